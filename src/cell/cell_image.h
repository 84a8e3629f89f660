/*
 * Images as the programs of this folder load them: with the host functions of WASI, and those of
 * module "edgeos" for functions that stay.
 *
 * A function stays when it exports the handler `edgeos_message` and no `_start`: its instance lives
 * on and answers messages (sdk/c/edgeos.h). All others are programs.
 */
#pragma once

#include <stdbool.h>

#include "base/macros.h"
#include "base/why.h"
#include "fwp/fwp.h"
#include "image/image.h"

/* As fwp_image_load(). */
int cell_image_load(const struct image *image, struct fwp_image **ret_image,
		    struct eos_why *why) EOS_MUST_CHECK;
bool cell_image_stays(const struct fwp_image *image);
