/*
 * Reading the name section:
 *
 *     custom section "name": ( id: byte, size: u32, body )*    subsections; 1: functions' names
 *     functions' names:      count, ( index, name )*
 *
 * The first name section counts, in it each subsection of functions' names, and of several names of
 * a function the first. Where the bytes are not well formed, reading ends and what was found stays.
 * No count is believed: each entry takes at least two bytes of the section.
 */
#include "aot/aot_names.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "aot/aot_module_priv.h"
#include "base/str.h"

#define SUBSECTION_FUNCTIONS 1

static uint64_t functions_count(const struct aot_module *module)
{
	return (uint64_t)module->imports_count + module->functions_count;
}

static int read_bytes(struct aot_reader *reader, struct aot_name *ret_name)
{
	struct aot_name name;
	if (aot_read_u32(reader, &name.len) < 0 ||
	    aot_read_bytes(reader, name.len, &name.bytes) < 0)
		return -EINVAL;
	*ret_name = name;
	return 0;
}

static void set_name(struct aot_names *names, uint64_t function, const struct aot_name *name)
{
	if (function < functions_count(names->module) && names->functions[function].len == 0)
		names->functions[function] = *name;
}

static void read_functions(struct aot_names *names, struct aot_reader *reader)
{
	struct aot_name name;
	uint32_t count, function;
	if (aot_read_u32(reader, &count) < 0)
		return;
	for (; count > 0; count--) {
		if (aot_read_u32(reader, &function) < 0 || read_bytes(reader, &name) < 0)
			return;
		if (eos_utf8_is_valid(name.bytes, name.len))
			set_name(names, function, &name);
	}
}

static void read_subsections(struct aot_names *names, struct aot_reader *reader)
{
	uint8_t id;
	uint32_t size;
	while (aot_read_byte(reader, &id) == 0 && aot_read_u32(reader, &size) == 0) {
		struct aot_reader body = *reader;
		const uint8_t *bytes;
		if (aot_read_bytes(reader, size, &bytes) < 0)
			return;
		body.end = reader->pos;
		body.pos = bytes;
		if (id == SUBSECTION_FUNCTIONS)
			read_functions(names, &body);
	}
}

static void read_name_section(struct aot_names *names)
{
	const struct aot_module *module = names->module;
	struct aot_reader reader = {module->bytes, module->bytes + AOT_HEADER_SIZE,
				    module->bytes + module->len};
	struct aot_section section;
	while (aot_next_section(&reader, &section)) {
		struct aot_name name;
		if (section.id != AOT_SECTION_CUSTOM || read_bytes(&section.body, &name) < 0 ||
		    name.len != 4 || memcmp(name.bytes, "name", 4) != 0)
			continue;
		read_subsections(names, &section.body);
		return;
	}
}

int aot_names_read(const struct aot_module *module, struct aot_names *ret_names)
{
	struct aot_names names = {.module = module};
	names.functions = calloc(functions_count(module) + 1, sizeof(*names.functions));
	if (names.functions == NULL)
		return -ENOMEM;
	read_name_section(&names);
	for (uint32_t i = 0; i < module->exports_count; i++)
		set_name(&names, module->exports[i].function, &module->exports[i].name);
	*ret_names = names;
	return 0;
}

void aot_names_fini(struct aot_names *names)
{
	free(names->functions);
	*names = (struct aot_names){0};
}

/* The character at BYTES, which are valid UTF-8. */
static uint32_t decode(const uint8_t *bytes, uint32_t *ret_len)
{
	uint32_t len = bytes[0] < 0x80 ? 1 : bytes[0] < 0xe0 ? 2 : bytes[0] < 0xf0 ? 3 : 4;
	uint32_t value = len == 1 ? bytes[0] : bytes[0] & (0x7fu >> len);
	for (uint32_t i = 1; i < len; i++)
		value = value << 6 | (bytes[i] & 0x3f);
	*ret_len = len;
	return value;
}

/* C0, DEL and C1; and of the others those that end a line, change the direction of what follows, or
 * cannot be seen. */
static bool is_harmful(uint32_t c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x200b && c <= 0x200f) ||
	       (c >= 0x2028 && c <= 0x202e) || (c >= 0x2060 && c <= 0x206f) || c == 0x061c ||
	       c == 0xfeff || (c >= 0xfff9 && c <= 0xfffb);
}

/* Appends NAME to OUT, where LEN bytes are; returns how many are then. */
static size_t put_name(char out[IMAGE_NAME_BYTES_MAX + 1], size_t len, const struct aot_name *name)
{
	for (uint32_t i = 0, n; i < name->len; i += n) {
		uint32_t c = decode(name->bytes + i, &n);
		size_t wanted = is_harmful(c) ? 1 : n;
		if (wanted > IMAGE_NAME_BYTES_MAX - len)
			break;
		if (is_harmful(c))
			out[len] = '?';
		else
			memcpy(out + len, name->bytes + i, n);
		len += wanted;
	}
	out[len] = '\0';
	return len;
}

void aot_names_get(const struct aot_names *names, uint32_t function,
		   char out[IMAGE_NAME_BYTES_MAX + 1])
{
	const struct aot_module *module = names->module;
	if (names->functions[function].len > 0) {
		(void)put_name(out, 0, &names->functions[function]);
	} else if (function < module->imports_count) {
		static const struct aot_name dot = {(const uint8_t *)".", 1};
		const struct aot_import *import = &module->imports[function];
		size_t len = put_name(out, 0, &import->module);
		len = put_name(out, len, &dot);
		(void)put_name(out, len, &import->name);
	} else {
		(void)snprintf(out, IMAGE_NAME_BYTES_MAX + 1, "func[%u]", function);
	}
}
