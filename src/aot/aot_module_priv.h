/*
 * Reading the binary format, for the files that implement aot_module.h.
 */
#pragma once

#include "aot/aot_module.h"

enum {
	AOT_SECTION_CUSTOM = 0,
	AOT_SECTION_TYPE = 1,
	AOT_SECTION_IMPORT = 2,
	AOT_SECTION_FUNCTION = 3,
	AOT_SECTION_MEMORY = 5,
	AOT_SECTION_EXPORT = 7,
	AOT_SECTION_START = 8,
	AOT_SECTION_ELEMENT = 9,
	AOT_SECTION_CODE = 10,
	AOT_SECTION_DATA = 11,
	AOT_SECTION_DATA_COUNT = 12,
	AOT_SECTIONS_COUNT = 14, /* 13: tags, of the exceptions proposal */
};

enum { AOT_KIND_FUNCTION, AOT_KIND_TABLE, AOT_KIND_MEMORY, AOT_KIND_GLOBAL, AOT_KINDS_COUNT };

#define AOT_HEADER_SIZE 8u /* magic and version */

/* A cursor. Every read checks what is left; after a failure the position is that of the failure. */
struct aot_reader {
	const uint8_t *start, *pos, *end;
};

/* All return 0 or -EINVAL: the bytes end, or are not well formed. */
int aot_read_byte(struct aot_reader *reader, uint8_t *ret_value) EOS_MUST_CHECK;
/* Unsigned LEB128 of at most five bytes and 32 bits. */
int aot_read_u32(struct aot_reader *reader, uint32_t *ret_value) EOS_MUST_CHECK;
int aot_read_bytes(struct aot_reader *reader, uint32_t len,
		   const uint8_t **ret_bytes) EOS_MUST_CHECK;

struct aot_section {
	uint8_t id;
	struct aot_reader body; /* start is the module's */
};

/* The next section; its frame was checked by aot_module_check(). False at the end. */
bool aot_next_section(struct aot_reader *reader, struct aot_section *ret_section);

const char *aot_section_name(uint8_t id);
