/*
 * The names of an image's functions: which WebAssembly function a native address belongs to. A
 * section of the image's file (docs/formats/image.md), read as it is: it is little-endian bytes,
 * borrowed from whoever holds them, at any alignment.
 *
 * A function of the module may have several entries, as compilers split and copy functions; code
 * that is no function of the module has none. Addresses are relative to the base of the ELF object.
 * Names are valid UTF-8 without characters that command a terminal.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/macros.h"
#include "base/why.h"

#define IMAGE_NAME_BYTES_MAX  255u	  /* of one name, without its zero byte */
#define IMAGE_NAMES_BYTES_MAX (64u << 20) /* of the section */

struct image_name {
	uint32_t offset;   /* of the first byte of code */
	uint32_t size;	   /* of the code in bytes, not 0 */
	uint32_t function; /* its index in the module, imports first */
	const char *name;
};

/*
 * Appends the section of ENTRIES, which are in ascending order and do not overlap. Entries that
 * follow each other with one pointer NAME share the text. -EFBIG; -ENOMEM.
 */
int image_names_encode(const struct image_name *entries, uint32_t count,
		       struct eos_buf *out) EOS_MUST_CHECK;

/* Checks a section from outside. -ENOEXEC: not as docs/formats/image.md says, WHY says how. */
int image_names_check(const void *section, size_t size, struct eos_why *why) EOS_MUST_CHECK;

/*
 * The entry whose code has the byte OFFSET, from a section that was checked; its name is borrowed
 * from the section. False: there is none. Any context, a signal handler too.
 */
bool image_names_find(const void *section, size_t size, uint64_t offset,
		      struct image_name *ret_name);

/* All entries of a section that was checked: their count, and the one with this index. */
uint32_t image_names_count(const void *section, size_t size);
void image_names_get(const void *section, uint32_t index, struct image_name *ret_name);
