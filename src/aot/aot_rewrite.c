/*
 * The same module with our names: aot_module_rewrite().
 *
 * wasm2c copies names into comments and identifiers of the C that it writes. Rather than trust its
 * mangling, we let it see no name but ours. All sections but imports and exports are copied byte
 * for byte; function indices do not change. The export section stands between the globals and the
 * start section, so it is written before the first section that comes later.
 */
#include "aot/aot_module.h"

#include <errno.h>
#include <stdio.h>

#include "aot/aot_module_priv.h"

static void put_byte(struct eos_buf *out, uint8_t byte)
{
	(void)eos_buf_append(out, &byte, 1);
}

static void put_u32(struct eos_buf *out, uint32_t value)
{
	for (; value >= 0x80; value >>= 7)
		put_byte(out, (uint8_t)(value | 0x80));
	put_byte(out, (uint8_t)value);
}

static void put_name(struct eos_buf *out, const char *name, int len)
{
	put_u32(out, (uint32_t)len);
	(void)eos_buf_append(out, name, (size_t)len);
}

static void put_numbered_name(struct eos_buf *out, char letter, uint32_t number)
{
	char name[16];
	put_name(out, name, snprintf(name, sizeof(name), "%c%u", letter, number));
}

static void put_section(struct eos_buf *out, uint8_t id, const struct eos_buf *body)
{
	if (eos_buf_failed(body)) {
		out->failed = true;
		return;
	}
	put_byte(out, id);
	put_u32(out, (uint32_t)body->len);
	(void)eos_buf_append(out, body->data, body->len);
}

static void put_imports(struct eos_buf *out, const struct aot_module *module)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	put_u32(&body, module->imports_count);
	for (uint32_t i = 0; i < module->imports_count; i++) {
		put_name(&body, "h", 1);
		put_numbered_name(&body, 'i', i);
		put_byte(&body, AOT_KIND_FUNCTION);
		put_u32(&body, module->imports[i].type);
	}
	put_section(out, AOT_SECTION_IMPORT, &body);
}

static void put_exports(struct eos_buf *out, const struct aot_module *module)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	put_u32(&body, module->exports_count + (module->has_memory ? 1 : 0));
	if (module->has_memory) {
		put_name(&body, "memory", 6);
		put_byte(&body, AOT_KIND_MEMORY);
		put_u32(&body, 0);
	}
	for (uint32_t i = 0; i < module->exports_count; i++) {
		/* wasm2c has no numbered names of its own with this letter. */
		put_numbered_name(&body, 'x', i);
		put_byte(&body, AOT_KIND_FUNCTION);
		put_u32(&body, module->exports[i].function);
	}
	put_section(out, AOT_SECTION_EXPORT, &body);
}

static bool comes_after_exports(uint8_t id)
{
	return id >= AOT_SECTION_START && id <= AOT_SECTION_DATA_COUNT;
}

int aot_module_rewrite(const struct aot_module *module, struct eos_buf *out)
{
	struct aot_reader reader = {module->bytes, module->bytes + AOT_HEADER_SIZE,
				    module->bytes + module->len};
	struct aot_section section;
	bool has_exports = false;
	(void)eos_buf_append(out, module->bytes, AOT_HEADER_SIZE);
	while (aot_next_section(&reader, &section)) {
		if (section.id == AOT_SECTION_CUSTOM || section.id == AOT_SECTION_EXPORT)
			continue;
		if (comes_after_exports(section.id) && !has_exports) {
			put_exports(out, module);
			has_exports = true;
		}
		if (section.id == AOT_SECTION_IMPORT) {
			put_imports(out, module);
			continue;
		}
		put_byte(out, section.id);
		put_u32(out, (uint32_t)(section.body.end - section.body.pos));
		(void)eos_buf_append(out, section.body.pos,
				     (size_t)(section.body.end - section.body.pos));
	}
	if (!has_exports)
		put_exports(out, module);
	return eos_buf_failed(out) ? -ENOMEM : 0;
}
