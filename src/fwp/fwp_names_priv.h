/*
 * Names for addresses in an image's code: "parse+0x1a3" for logs, traps and crash reports.
 *
 * The table is the image's own section (image/image_names.h), copied when the image is loaded, as
 * its file may be closed before its code is dropped.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "image/image_names.h"

struct fwp_names;

/* What a description needs at most, its zero byte included. */
#define FWP_NAMES_TEXT_SIZE (IMAGE_NAME_BYTES_MAX + sizeof("+0x12345678"))

/* A copy of SECTION, which image_open() has checked; it may be empty. NULL: no memory. */
struct fwp_names *fwp_names_new(const void *section, size_t size);
struct fwp_names *fwp_names_free(struct fwp_names *names);

/*
 * Writes "name+0x1a3" for the code at OFFSET from the base of the image's ELF object into OUT, a C
 * string, cut to SIZE (never within a character). Returns its length. -ENOENT: no function of the
 * module is there, or NAMES is NULL; -EINVAL: SIZE is 0. Any context, a signal handler too.
 */
int fwp_names_describe(const struct fwp_names *names, uint64_t offset, char *out,
		       size_t size) EOS_MUST_CHECK;
