/*
 * The interface of a module: aot_module_read() and what goes with it.
 *
 * One pass over the sections; each has a function in a table. Arrays are sized by the counts in the
 * module, after a check that the section has at least a byte for each entry.
 */
#include "aot/aot_module.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "aot/aot_module_priv.h"
#include "base/str.h"

/* How a name is shown in messages: cut short, printable characters only. */
#define SHOWN_SIZE 65

struct shown {
	char text[SHOWN_SIZE];
};

static struct shown show(const struct aot_name *name)
{
	struct shown shown = {""};
	size_t len = EOS_MIN((size_t)name->len, sizeof(shown.text) - 1);
	for (size_t i = 0; i < len; i++)
		shown.text[i] = name->bytes[i] >= 0x20 && name->bytes[i] < 0x7f
					? (char)name->bytes[i]
					: '?';
	return shown;
}

static int damaged(const struct aot_reader *reader, uint8_t section, struct eos_why *why)
{
	return eos_why(why, -EINVAL, "damaged at byte %zu in the %s section",
		       (size_t)(reader->pos - reader->start), aot_section_name(section));
}

/* The count of a vector with at least a byte for each entry, and ENTRIES of ENTRY_SIZE for it. */
static int read_vector(struct aot_reader *reader, uint8_t section, uint32_t max, size_t entry_size,
		       void **ret_entries, uint32_t *ret_count, struct eos_why *why)
{
	uint32_t count;
	if (*ret_entries != NULL)
		return eos_why(why, -EINVAL, "damaged: there are two %s sections",
			       aot_section_name(section));
	if (aot_read_u32(reader, &count) < 0 || count > (size_t)(reader->end - reader->pos))
		return damaged(reader, section, why);
	if (count > max)
		return eos_why(why, -EINVAL,
			       "has %u entries in the %s section; at most %u are "
			       "supported",
			       count, aot_section_name(section), max);
	void *entries = calloc(count + 1, entry_size);
	if (entries == NULL)
		return eos_why(why, -ENOMEM, "out of memory");
	*ret_entries = entries;
	*ret_count = count;
	return 0;
}

static int read_name(struct aot_reader *reader, struct aot_name *ret_name)
{
	uint32_t len;
	const uint8_t *bytes;
	if (aot_read_u32(reader, &len) < 0 || aot_read_bytes(reader, len, &bytes) < 0)
		return -EINVAL;
	if (!eos_utf8_is_valid(bytes, len))
		return -EINVAL;
	*ret_name = (struct aot_name){bytes, len};
	return 0;
}

/* Names become C strings of the image, so a zero byte would cut them. */
static bool has_zero_byte(const struct aot_name *name)
{
	return memchr(name->bytes, 0, name->len) != NULL;
}

static int read_types(struct aot_module *module, struct aot_reader *reader, struct eos_why *why)
{
	void *entries = module->types;
	int err = read_vector(reader, AOT_SECTION_TYPE, AOT_TYPES_MAX, sizeof(*module->types),
			      &entries, &module->types_count, why);
	module->types = entries;
	for (uint32_t i = 0; err == 0 && i < module->types_count; i++) {
		struct aot_type *type = &module->types[i];
		uint8_t form;
		if (aot_read_byte(reader, &form) < 0 || form != 0x60 ||
		    aot_read_u32(reader, &type->params_count) < 0 ||
		    aot_read_bytes(reader, type->params_count, &type->params) < 0 ||
		    aot_read_u32(reader, &type->results_count) < 0 ||
		    aot_read_bytes(reader, type->results_count, &type->results) < 0)
			return damaged(reader, AOT_SECTION_TYPE, why);
	}
	return err;
}

static int refuse_import(const struct aot_import *import, uint8_t kind, struct eos_why *why)
{
	static const char *const kinds[AOT_KINDS_COUNT] = {"", "table", "memory", "global"};
	return eos_why(why, -EINVAL, "imports the %s %s.%s; only functions can be imported",
		       kinds[kind], show(&import->module).text, show(&import->name).text);
}

static int check_import(const struct aot_module *module, const struct aot_import *import,
			struct eos_why *why)
{
	if (has_zero_byte(&import->module) || has_zero_byte(&import->name))
		return eos_why(why, -EINVAL, "imports %s.%s, whose name has a zero byte",
			       show(&import->module).text, show(&import->name).text);
	if (!aot_type_signature(&module->types[import->type], NULL))
		return eos_why(why, -EINVAL,
			       "imports %s.%s, which takes or returns what no host offers "
			       "(references, or several results)",
			       show(&import->module).text, show(&import->name).text);
	return 0;
}

static int read_imports(struct aot_module *module, struct aot_reader *reader, struct eos_why *why)
{
	void *entries = module->imports;
	int err = read_vector(reader, AOT_SECTION_IMPORT, AOT_IMPORTS_MAX, sizeof(*module->imports),
			      &entries, &module->imports_count, why);
	module->imports = entries;
	for (uint32_t i = 0; err == 0 && i < module->imports_count; i++) {
		struct aot_import *import = &module->imports[i];
		uint8_t kind;
		if (read_name(reader, &import->module) < 0 ||
		    read_name(reader, &import->name) < 0 || aot_read_byte(reader, &kind) < 0 ||
		    kind >= AOT_KINDS_COUNT)
			return damaged(reader, AOT_SECTION_IMPORT, why);
		if (kind != AOT_KIND_FUNCTION)
			return refuse_import(import, kind, why);
		if (aot_read_u32(reader, &import->type) < 0 || import->type >= module->types_count)
			return damaged(reader, AOT_SECTION_IMPORT, why);
		err = check_import(module, import, why);
	}
	return err;
}

static int read_functions(struct aot_module *module, struct aot_reader *reader, struct eos_why *why)
{
	void *entries = module->functions;
	int err = read_vector(reader, AOT_SECTION_FUNCTION, UINT32_MAX, sizeof(*module->functions),
			      &entries, &module->functions_count, why);
	module->functions = entries;
	for (uint32_t i = 0; err == 0 && i < module->functions_count; i++) {
		if (aot_read_u32(reader, &module->functions[i]) < 0 ||
		    module->functions[i] >= module->types_count)
			return damaged(reader, AOT_SECTION_FUNCTION, why);
	}
	return err;
}

static int read_memory(struct aot_module *module, struct aot_reader *reader, struct eos_why *why)
{
	uint32_t count, pages_max;
	uint8_t flags;
	if (aot_read_u32(reader, &count) < 0 || count > 1 || module->has_memory)
		return damaged(reader, AOT_SECTION_MEMORY, why);
	if (count == 0)
		return 0;
	if (aot_read_byte(reader, &flags) < 0 || flags > 1 ||
	    aot_read_u32(reader, &module->memory_pages_initial) < 0 ||
	    (flags == 1 && aot_read_u32(reader, &pages_max) < 0))
		return damaged(reader, AOT_SECTION_MEMORY, why);
	if (module->memory_pages_initial > AOT_MEMORY_PAGES_MAX)
		return eos_why(why, -EINVAL,
			       "starts with %u pages of memory; at most %u are supported",
			       module->memory_pages_initial, AOT_MEMORY_PAGES_MAX);
	module->has_memory = true;
	return 0;
}

static int read_exports(struct aot_module *module, struct aot_reader *reader, struct eos_why *why)
{
	void *entries = module->exports;
	uint32_t count = 0;
	int err = read_vector(reader, AOT_SECTION_EXPORT, AOT_EXPORTS_MAX, sizeof(*module->exports),
			      &entries, &count, why);
	module->exports = entries;
	for (uint32_t i = 0; err == 0 && i < count; i++) {
		struct aot_export export;
		uint8_t kind;
		if (read_name(reader, &export.name) < 0 || aot_read_byte(reader, &kind) < 0 ||
		    aot_read_u32(reader, &export.function) < 0)
			return damaged(reader, AOT_SECTION_EXPORT, why);
		if (kind != AOT_KIND_FUNCTION)
			continue;
		if (export.function >= (uint64_t)module->imports_count + module->functions_count)
			return damaged(reader, AOT_SECTION_EXPORT, why);
		if (has_zero_byte(&export.name))
			return eos_why(why, -EINVAL, "exports %s, whose name has a zero byte",
				       show(&export.name).text);
		module->exports[module->exports_count++] = export;
	}
	return err;
}

int aot_module_read(const uint8_t *bytes, size_t len, struct aot_module *ret_module,
		    struct eos_why *why)
{
	static int (*const readers[AOT_SECTIONS_COUNT])(struct aot_module *, struct aot_reader *,
							struct eos_why *) = {
		[AOT_SECTION_TYPE] = read_types,	 [AOT_SECTION_IMPORT] = read_imports,
		[AOT_SECTION_FUNCTION] = read_functions, [AOT_SECTION_MEMORY] = read_memory,
		[AOT_SECTION_EXPORT] = read_exports,
	};
	int err = aot_module_check(bytes, len, why);
	if (err < 0)
		return err;
	struct aot_module module = {.bytes = bytes, .len = len};
	struct aot_reader reader = {bytes, bytes + AOT_HEADER_SIZE, bytes + len};
	struct aot_section section;
	while (err == 0 && aot_next_section(&reader, &section)) {
		if (readers[section.id] == NULL)
			continue;
		err = readers[section.id](&module, &section.body, why);
		if (err == 0 && section.body.pos != section.body.end)
			err = damaged(&section.body, section.id, why);
	}
	if (err < 0) {
		aot_module_fini(&module);
		return err;
	}
	*ret_module = module;
	return 0;
}

void aot_module_fini(struct aot_module *module)
{
	free(module->types);
	free(module->imports);
	free(module->functions);
	free(module->exports);
	*module = (struct aot_module){0};
}

const struct aot_type *aot_module_type_of(const struct aot_module *module, uint32_t function)
{
	uint32_t type = function < module->imports_count
				? module->imports[function].type
				: module->functions[function - module->imports_count];
	return &module->types[type];
}

static char value_letter(uint8_t type)
{
	switch (type) {
	case 0x7f:
		return 'i';
	case 0x7e:
		return 'I';
	case 0x7d:
		return 'f';
	case 0x7c:
		return 'F';
	}
	return '\0';
}

static bool append_letters(const uint8_t *types, uint32_t count, struct eos_buf *out)
{
	for (uint32_t i = 0; i < count; i++) {
		char letter = value_letter(types[i]);
		if (letter == '\0')
			return false;
		if (out != NULL)
			(void)eos_buf_append(out, &letter, 1);
	}
	return true;
}

bool aot_type_signature(const struct aot_type *type, struct eos_buf *out)
{
	if (type->results_count > 1 || !append_letters(type->params, type->params_count, NULL) ||
	    !append_letters(type->results, type->results_count, NULL))
		return false;
	(void)append_letters(type->params, type->params_count, out);
	if (out != NULL)
		(void)eos_buf_puts(out, ":");
	(void)append_letters(type->results, type->results_count, out);
	return true;
}
