/*
 * The frame of a module: magic, version, sections; and the cursor that everything is read with.
 *
 *     00 61 73 6d  01 00 00 00            magic, version
 *     ( id: byte, size: LEB128, body )*   sections
 *
 * A component (of the component model) has the same magic and version 0d 00 01 00.
 */
#include "aot/aot_module.h"

#include <errno.h>
#include <string.h>

#include "aot/aot_module_priv.h"
#include "image/image.h"

static const uint8_t magic[4] = {0x00, 'a', 's', 'm'};
static const uint8_t version[4] = {1, 0, 0, 0};

const char *aot_section_name(uint8_t id)
{
	static const char *const names[AOT_SECTIONS_COUNT] = {
		"custom", "type",  "import",  "function", "table", "memory",	 "global",
		"export", "start", "element", "code",	  "data",  "data count", "tag",
	};
	return id < AOT_SECTIONS_COUNT ? names[id] : "unknown";
}

int aot_read_byte(struct aot_reader *reader, uint8_t *ret_value)
{
	if (reader->pos == reader->end)
		return -EINVAL;
	*ret_value = *reader->pos++;
	return 0;
}

int aot_read_u32(struct aot_reader *reader, uint32_t *ret_value)
{
	uint64_t value = 0;
	for (unsigned shift = 0; shift < 35; shift += 7) {
		uint8_t byte;
		int err = aot_read_byte(reader, &byte);
		if (err < 0)
			return err;
		value |= (uint64_t)(byte & 0x7f) << shift;
		if ((byte & 0x80) != 0)
			continue;
		if (value > UINT32_MAX)
			return -EINVAL;
		*ret_value = (uint32_t)value;
		return 0;
	}
	return -EINVAL;
}

int aot_read_bytes(struct aot_reader *reader, uint32_t len, const uint8_t **ret_bytes)
{
	if ((size_t)(reader->end - reader->pos) < len) {
		reader->pos = reader->end;
		return -EINVAL;
	}
	*ret_bytes = reader->pos;
	reader->pos += len;
	return 0;
}

/* 1: a section; 0: the end; -EINVAL: it does not fit, and *RET_SECTION has the id if there is one.
 */
static int read_section(struct aot_reader *reader, struct aot_section *section)
{
	uint32_t size;
	section->id = AOT_SECTIONS_COUNT;
	if (reader->pos == reader->end)
		return 0;
	int err = aot_read_byte(reader, &section->id);
	if (err == 0)
		err = aot_read_u32(reader, &size);
	if (err == 0) {
		section->body.start = reader->start;
		err = aot_read_bytes(reader, size, &section->body.pos);
	}
	if (err < 0)
		return err;
	section->body.end = reader->pos;
	return 1;
}

bool aot_next_section(struct aot_reader *reader, struct aot_section *ret_section)
{
	return read_section(reader, ret_section) == 1;
}

static int check_header(const uint8_t *bytes, size_t len, struct eos_why *why)
{
	if (len == 0)
		return eos_why(why, -EINVAL, "not a WebAssembly module (the file is empty)");
	if (image_has_magic(bytes, len))
		return eos_why(why, -EINVAL,
			       "an image made by `edgeos build`, not a WebAssembly module");
	if (memcmp(bytes, magic, EOS_MIN(len, sizeof(magic))) != 0)
		return eos_why(why, -EINVAL, "not a WebAssembly module");
	if (len < AOT_HEADER_SIZE)
		return eos_why(why, -EINVAL, "truncated at byte %zu in the header", len);
	if (bytes[6] == 1 && bytes[7] == 0)
		return eos_why(why, -EINVAL,
			       "a WebAssembly component, not a module; components are not "
			       "supported (build for wasm32-wasi preview 1)");
	if (memcmp(bytes + 4, version, sizeof(version)) != 0)
		return eos_why(why, -EINVAL, "WebAssembly version %u is not supported, only 1",
			       bytes[4] | bytes[5] << 8 | bytes[6] << 16 |
				       (unsigned)bytes[7] << 24);
	return 0;
}

int aot_module_check(const uint8_t *bytes, size_t len, struct eos_why *why)
{
	int err = check_header(bytes, len, why);
	if (err < 0)
		return err;
	struct aot_reader reader = {bytes, bytes + AOT_HEADER_SIZE, bytes + len};
	struct aot_section section;
	for (;;) {
		size_t offset = (size_t)(reader.pos - bytes);
		int more = read_section(&reader, &section);
		if (more == 0)
			return 0;
		if (more < 0 && reader.pos == reader.end)
			return eos_why(why, -EINVAL, "truncated at byte %zu in the %s section", len,
				       aot_section_name(section.id));
		if (more < 0)
			return eos_why(why, -EINVAL,
				       "damaged: the %s section at byte %zu has a malformed size",
				       aot_section_name(section.id), offset);
		if (section.id >= AOT_SECTIONS_COUNT)
			return eos_why(why, -EINVAL, "damaged: unknown section %u at byte %zu",
				       section.id, offset);
	}
}
