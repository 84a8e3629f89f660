/*
 * Writing glue.c.
 *
 * The only bytes of a tenant in it are the names in the tables, as string constants in which
 * everything but letters, digits and underscores is an octal escape of three digits: no quote,
 * backslash, question mark (trigraphs) or line end of theirs is ever in the C.
 */
#include "aot/aot_glue.h"

#include <errno.h>

static void put_string(struct eos_buf *out, const struct aot_name *name)
{
	(void)eos_buf_puts(out, "\"");
	for (uint32_t i = 0; i < name->len; i++) {
		uint8_t c = name->bytes[i];
		bool is_plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
				(c >= '0' && c <= '9') || c == '_';
		if (is_plain)
			(void)eos_buf_append(out, &c, 1);
		else
			(void)eos_buf_printf(out, "\\%03o", c);
	}
	(void)eos_buf_puts(out, "\"");
}

static const char *c_type(uint8_t value_type)
{
	switch (value_type) {
	case 0x7f:
		return "u32";
	case 0x7e:
		return "u64";
	case 0x7d:
		return "f32";
	}
	return "f64";
}

static const char *c_result(const struct aot_type *type)
{
	return type->results_count == 0 ? "void" : c_type(type->results[0]);
}

static void put_counts(struct eos_buf *out, const struct aot_module *module, uint32_t exports_count)
{
	uint64_t values = 0;
	uint64_t slots = 2;
	for (uint32_t i = 0; i < module->types_count; i++)
		values += (uint64_t)module->types[i].params_count + module->types[i].results_count;
	while (slots < 2 * (uint64_t)module->types_count)
		slots *= 2;
	(void)eos_buf_printf(out,
			     "#define IMPORTS_COUNT %u\n"
			     "#define EXPORTS_COUNT %u\n"
			     "#define TYPES_COUNT %u\n"
			     "#define TYPE_VALUES_COUNT %llu\n"
			     "#define TYPE_SLOTS_COUNT %llu\n"
			     "#define HAS_MEMORY %d\n",
			     module->imports_count, exports_count, module->types_count,
			     (unsigned long long)values, (unsigned long long)slots,
			     module->has_memory ? 1 : 0);
}

/* static struct image_import imports[] = { {"env", "f", "ii:i", 0}, }; */
static void put_imports(struct eos_buf *out, const struct aot_module *module)
{
	(void)eos_buf_puts(out, "static struct image_import imports[IMPORTS_COUNT + 1] = {\n");
	for (uint32_t i = 0; i < module->imports_count; i++) {
		(void)eos_buf_puts(out, "\t{");
		put_string(out, &module->imports[i].module);
		(void)eos_buf_puts(out, ", ");
		put_string(out, &module->imports[i].name);
		(void)eos_buf_puts(out, ", \"");
		(void)aot_type_signature(aot_module_type_of(module, i), out);
		(void)eos_buf_puts(out, "\", 0},\n");
	}
	(void)eos_buf_puts(out, "};\n");
}

/*
 * u32 Z_hZ_i0(struct Z_h_instance_t *h, u32 p0) { return ((u32 (*)(void *, u32))…)(host_of(h), p0);
 * }
 *
 * Inline: where the host function blocks, each return behind it is predicted wrongly. The one for
 * tables is made all the same, as m.h declares it extern.
 */
static void put_forwarder(struct eos_buf *out, uint32_t index, const struct aot_type *type)
{
	const char *result = c_result(type);
	(void)eos_buf_printf(
		out, "__attribute__((always_inline)) inline %s Z_hZ_i%u(struct Z_h_instance_t *h",
		result, index);
	for (uint32_t i = 0; i < type->params_count; i++)
		(void)eos_buf_printf(out, ", %s p%u", c_type(type->params[i]), i);
	(void)eos_buf_printf(out, ")\n{\n\t%s((%s (*)(void *",
			     type->results_count > 0 ? "return " : "", result);
	for (uint32_t i = 0; i < type->params_count; i++)
		(void)eos_buf_printf(out, ", %s", c_type(type->params[i]));
	(void)eos_buf_printf(out, "))imports[%u].call)(host_of(h)", index);
	for (uint32_t i = 0; i < type->params_count; i++)
		(void)eos_buf_printf(out, ", p%u", i);
	(void)eos_buf_puts(out, ");\n}\n");
}

/* Exports that the host cannot call (several results, references) are left out. */
static bool is_callable(const struct aot_module *module, const struct aot_export *export)
{
	return aot_type_signature(aot_module_type_of(module, export->function), NULL);
}

static void put_exports(struct eos_buf *out, const struct aot_module *module)
{
	(void)eos_buf_puts(out,
			   "static const struct image_export exports[EXPORTS_COUNT + 1] = {\n");
	for (uint32_t i = 0; i < module->exports_count; i++) {
		const struct aot_export *export = &module->exports[i];
		if (!is_callable(module, export))
			continue;
		(void)eos_buf_puts(out, "\t{");
		put_string(out, &export->name);
		(void)eos_buf_puts(out, ", \"");
		(void)aot_type_signature(aot_module_type_of(module, export->function), out);
		(void)eos_buf_printf(out, "\", (void (*)(void))Z_mZ_x%u},\n", i);
	}
	(void)eos_buf_puts(out, "};\n");
}

int aot_glue_write(const struct aot_module *module, struct eos_buf *out)
{
	uint32_t exports_count = 0;
	for (uint32_t i = 0; i < module->exports_count; i++)
		exports_count += is_callable(module, &module->exports[i]) ? 1 : 0;
	(void)eos_buf_puts(out, "#include \"image_prelude.c\"\n"
				"#include \"m.c\"\n"
				"#undef inline\n"
				"#include \"image_abi.h\"\n");
	put_counts(out, module, exports_count);
	(void)eos_buf_puts(out, "#include \"image_runtime.c\"\n");
	put_imports(out, module);
	for (uint32_t i = 0; i < module->imports_count; i++)
		put_forwarder(out, i, aot_module_type_of(module, i));
	put_exports(out, module);
	(void)eos_buf_puts(
		out, "__attribute__((visibility(\"default\")))\n"
		     "const struct image_exports eos_image_exports = {\n"
		     "\tIMAGE_ABI_VERSION, sizeof(struct instance), IMPORTS_COUNT, EXPORTS_COUNT,\n"
		     "\toffsetof(struct instance, host), SELF_OFFSET,\n"
		     "\timports, exports, &host_ops, Z_m_init_module, instantiate, get_memory,\n"
		     "};\n");
	return eos_buf_failed(out) ? -ENOMEM : 0;
}
