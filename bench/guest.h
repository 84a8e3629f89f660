/*
 * The guests of the benches: guests/NAME.c, which are compiled to WebAssembly with the benches and
 * to native images when a bench runs, as a node does.
 */
#pragma once

#include <stddef.h>

#include "base/macros.h"
#include "base/why.h"
#include "bench.h"
#include "fwp/fwp.h"
#include "image/image.h"

struct guest {
	struct image_key key;
	char path[BENCH_DIR_SIZE + 64]; /* of the image, a file of a node's cache */
};

/* Compiles guest NAME into BENCH's directory. */
int guest_build(const struct bench *bench, const char *name, struct guest *ret_guest,
		struct eos_why *why) EOS_MUST_CHECK;
/* Opens its image, verifies and loads it. */
int guest_load(const struct guest *guest, const struct fwp_import *imports, size_t imports_count,
	       struct fwp_image **ret_image, struct eos_why *why) EOS_MUST_CHECK;
/* Both, for benches that do not ask how long that takes. */
int guest_make(const struct bench *bench, const char *name, const struct fwp_import *imports,
	       size_t imports_count, struct fwp_image **ret_image,
	       struct eos_why *why) EOS_MUST_CHECK;
