/*
 * Any bytes as what src/aot reads of others, by the first byte:
 *
 *     m   a module: its frame, interface and names
 *     n   an image's table of functions' names
 *     e   the object that the linker made
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "aot/aot_elf.h"
#include "aot/aot_map.h"
#include "aot/aot_module.h"
#include "aot/aot_names.h"
#include "base/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Every name is one that the table takes. */
static void get_names(const struct aot_module *module)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf section = {0};
	struct aot_names names;
	struct eos_why why = {""};
	if (aot_names_read(module, &names) < 0)
		return;
	for (uint32_t i = 0; i < module->imports_count + module->functions_count; i++) {
		char text[IMAGE_NAME_BYTES_MAX + 1];
		aot_names_get(&names, i, text);
		const struct image_name entry = {i, 1, i, text};
		eos_buf_clear(&section);
		if (image_names_encode(&entry, 1, &section) == 0)
			EOS_ASSERT(image_names_check(section.data, section.len, &why) == 0);
	}
	aot_names_fini(&names);
}

static void read_module(const uint8_t *data, size_t size)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf rewritten = {0};
	struct aot_module module, again;
	struct eos_why why = {""};
	if (aot_module_read(data, size, &module, &why) < 0)
		return;
	get_names(&module);
	/* What we write we can read, and it has as many functions. */
	if (aot_module_rewrite(&module, &rewritten) == 0) {
		const uint8_t *bytes = (const uint8_t *)rewritten.data;
		int err = aot_module_read(bytes, rewritten.len, &again, &why);
		if (err == 0) {
			EOS_ASSERT(again.imports_count == module.imports_count);
			EOS_ASSERT(again.functions_count == module.functions_count);
			aot_module_fini(&again);
		}
	}
	aot_module_fini(&module);
}

static void read_table(const uint8_t *data, size_t size)
{
	struct eos_why why = {""};
	if (image_names_check(data, size, &why) < 0)
		return;
	for (uint32_t i = 0; i < image_names_count(data, size); i++) {
		struct image_name name, found;
		image_names_get(data, i, &name);
		EOS_ASSERT(strlen(name.name) > 0);
		EOS_ASSERT(image_names_find(data, size, name.offset, &found));
		EOS_ASSERT(found.function == name.function);
	}
}

static void read_object(const uint8_t *data, size_t size)
{
	/* The import i.i and two functions, the first of them exported as "f". */
	static const uint8_t bytes[] = {0, 'a', 's', 'm', 1, 0, 0,   0, 1,   4, 1, 0x60,
					0, 0,	2,   7,	  1, 1, 'i', 1, 'i', 0, 0, 3,
					3, 2,	0,   0,	  7, 5, 1,   1, 'f', 0, 1};
	EOS_CLEANUP(eos_buf_fini) struct eos_buf section = {0};
	struct aot_module module;
	struct aot_names names;
	struct eos_why why = {""};
	size_t left;
	if (aot_module_read(bytes, sizeof(bytes), &module, &why) < 0 ||
	    aot_names_read(&module, &names) < 0)
		abort();
	if (aot_map_write(data, size, &names, &section, &why) == 0)
		EOS_ASSERT(image_names_check(section.data, section.len, &why) == 0);
	uint8_t *copy = malloc(size + 1);
	if (copy != NULL) {
		memcpy(copy, data, size);
		if (aot_elf_strip(copy, size, &left) == 0)
			EOS_ASSERT(left <= size);
	}
	free(copy);
	aot_names_fini(&names);
	aot_module_fini(&module);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	if (data[0] == 'm')
		read_module(data + 1, size - 1);
	else if (data[0] == 'n')
		read_table(data + 1, size - 1);
	else if (data[0] == 'e')
		read_object(data + 1, size - 1);
	return 0;
}
