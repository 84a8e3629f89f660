#include "aot/aot_module.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "aot/aot_glue.h"

#define HEADER 0x00, 'a', 's', 'm', 1, 0, 0, 0

/*
 * (type (func (param i32 i64) (result f64))) (type (func))
 * (import "env" "f" (func (type 0)))
 * (func (type 1)) (memory 2 3) (export "_start" (func 1)) (export "m" (memory 0))
 * (export "g" (func 0)) and a custom section
 */
static const uint8_t sample[] = {
	HEADER, 0,   3, 1,    'x', '!',					       /* custom */
	1,	10,  2, 0x60, 2,   0x7f, 0x7e, 1,   0x7c, 0x60, 0, 0,	       /* types */
	2,	9,   1, 3,    'e', 'n',	 'v',  1,   'f',  0,	0,	       /* imports */
	3,	2,   1, 1,						       /* functions */
	5,	4,   1, 1,    2,   3,					       /* memory */
	7,	18,  3, 6,    '_', 's',	 't',  'a', 'r',  't',	0, 1,	       /* exports */
	1,	'm', 2, 0,    1,   'g',	 0,    0,   10,	  4,	1, 2, 0, 0x0b, /* code */
};

static const uint8_t sample_rewritten[] = {
	HEADER, 1,   10, 2,   0x60, 2,	 0x7f, 0x7e, 1,	  0x7c, 0x60, 0, 0,    2, 8,   1,
	1,	'h', 2,	 'i', '0',  0,	 0,    3,    2,	  1,	1,    5, 4,    1, 1,   2,
	3,	7,   20, 3,   6,    'm', 'e',  'm',  'o', 'r',	'y',  2, 0,    2, 'x', '0',
	0,	1,   2,	 'x', '1',  0,	 0,    10,   4,	  1,	2,    0, 0x0b,
};

static void assert_name(const struct aot_name *name, const char *text)
{
	assert_int_equal(name->len, strlen(text));
	assert_memory_equal(name->bytes, text, name->len);
}

static void test_read(void **state)
{
	struct aot_module module;
	struct eos_why why = {""};
	assert_int_equal(aot_module_check(sample, sizeof(sample), &why), 0);
	assert_int_equal(aot_module_read(sample, sizeof(sample), &module, &why), 0);
	assert_int_equal(module.types_count, 2);
	assert_int_equal(module.imports_count, 1);
	assert_name(&module.imports[0].module, "env");
	assert_name(&module.imports[0].name, "f");
	assert_int_equal(module.functions_count, 1);
	assert_int_equal(module.exports_count, 2);
	assert_name(&module.exports[0].name, "_start");
	assert_int_equal(module.exports[0].function, 1);
	assert_true(module.has_memory);
	assert_int_equal(module.memory_pages_initial, 2);

	struct eos_buf text = {0};
	assert_true(aot_type_signature(aot_module_type_of(&module, 0), &text));
	assert_string_equal(text.data, "iI:F");
	eos_buf_clear(&text);
	assert_true(aot_type_signature(aot_module_type_of(&module, 1), &text));
	assert_string_equal(text.data, ":");
	eos_buf_fini(&text);
	aot_module_fini(&module);
	aot_module_fini(&module);
}

static void test_rewrite(void **state)
{
	struct aot_module module;
	struct eos_why why = {""};
	struct eos_buf out = {0};
	assert_int_equal(aot_module_read(sample, sizeof(sample), &module, &why), 0);
	assert_int_equal(aot_module_rewrite(&module, &out), 0);
	assert_int_equal(out.len, sizeof(sample_rewritten));
	assert_memory_equal(out.data, sample_rewritten, out.len);
	eos_buf_fini(&out);
	aot_module_fini(&module);
}

static int check_and_read(const uint8_t *bytes, size_t len, struct eos_why *why)
{
	/* A copy of exactly that length, so that a sanitizer sees a read beyond it. */
	uint8_t *copy = malloc(len > 0 ? len : 1);
	assert_non_null(copy);
	memcpy(copy, bytes, len);
	struct aot_module module;
	*why = (struct eos_why){""};
	int err = aot_module_check(copy, len, why);
	if (err == 0)
		err = aot_module_read(copy, len, &module, why);
	if (err == 0) {
		struct eos_buf out = {0};
		assert_int_equal(aot_module_rewrite(&module, &out), 0);
		assert_int_equal(aot_glue_write(&module, &out), 0);
		eos_buf_fini(&out);
		aot_module_fini(&module);
	} else {
		assert_int_equal(err, -EINVAL);
		assert_string_not_equal(why->text, "");
	}
	free(copy);
	return err;
}

static void test_truncated(void **state)
{
	/* Ends of sections: what is left is a smaller module. */
	static const size_t whole[] = {8, 13, 25, 36, 40, 46, 66, 72};
	struct eos_why why;
	assert_int_equal(sizeof(sample), 72);
	for (size_t len = 0; len <= sizeof(sample); len++) {
		bool is_whole = false;
		for (size_t i = 0; i < EOS_ARRAY_SIZE(whole); i++)
			is_whole |= whole[i] == len;
		/* Without its functions section the export is out of range, but that comes later.
		 */
		assert_int_equal(check_and_read(sample, len, &why), is_whole ? 0 : -EINVAL);
	}
	assert_int_equal(check_and_read(sample, 4, &why), -EINVAL);
	assert_string_equal(why.text, "truncated at byte 4 in the header");
	assert_int_equal(check_and_read(sample, 30, &why), -EINVAL);
	assert_string_equal(why.text, "truncated at byte 30 in the import section");
	assert_int_equal(check_and_read(sample, 0, &why), -EINVAL);
	assert_string_equal(why.text, "not a WebAssembly module (the file is empty)");
}

/* Each byte replaced by each value: never a crash, and mostly an error. */
static void test_damaged(void **state)
{
	uint8_t bytes[sizeof(sample)];
	struct eos_why why;
	for (size_t i = 0; i < sizeof(sample); i++) {
		for (unsigned value = 0; value < 256; value += i % 3 + 1) {
			memcpy(bytes, sample, sizeof(sample));
			bytes[i] = (uint8_t)value;
			(void)check_and_read(bytes, sizeof(bytes), &why);
		}
	}
}

static void test_messages(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		uint8_t bytes[32];
	} cases[] = {
		{"not a WebAssembly module", 12, {0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0}},
		{"not a WebAssembly module", 3, {'a', 'b', 'c'}},
		{"an image made by `edgeos build`, not a WebAssembly module",
		 9,
		 {0x7f, 'F', 'W', 'P', 'I', 'M', 'G', '\n', 2}},
		{"a WebAssembly component, not a module; components are not supported "
		 "(build for wasm32-wasi preview 1)",
		 8,
		 {0, 'a', 's', 'm', 0x0d, 0, 1, 0}},
		{"WebAssembly version 2 is not supported, only 1",
		 8,
		 {0, 'a', 's', 'm', 2, 0, 0, 0}},
		{"damaged: unknown section 77 at byte 8", 10, {HEADER, 77, 0}},
		{"damaged: the type section at byte 8 has a malformed size",
		 16,
		 {HEADER, 1, 0xff, 0xff, 0xff, 0xff, 0xff, 0x0f, 0}},
		{"damaged: the type section at byte 8 has a malformed size",
		 15,
		 {HEADER, 1, 0xff, 0xff, 0xff, 0xff, 0x7f, 0}},
		{"truncated at byte 11 in the code section", 11, {HEADER, 10, 200, 1}},
		{"damaged at byte 15 in the type section",
		 15,
		 {HEADER, 1, 5, 0xff, 0xff, 0xff, 0xff, 0x0f}},
		{"damaged at byte 12 in the type section", 15, {HEADER, 1, 5, 1, 0x5f, 0, 0, 0}},
		{"damaged: there are two type sections", 14, {HEADER, 1, 1, 0, 1, 1, 0}},
		{"damaged at byte 11 in the function section", 11, {HEADER, 3, 1, 1}},
		{"damaged at byte 12 in the function section", 12, {HEADER, 3, 2, 1, 0}},
		/* A name that is not UTF-8. */
		{"damaged at byte 13 in the import section",
		 16,
		 {HEADER, 2, 6, 1, 1, 0xff, 0, 0, 0}},
		{"damaged at byte 14 in the export section", 14, {HEADER, 7, 4, 1, 0, 0, 9}},
	};
	struct eos_why why;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		assert_int_equal(check_and_read(cases[i].bytes, cases[i].len, &why), -EINVAL);
		assert_string_equal(why.text, cases[i].text);
	}
}

/* Names of a tenant reach the C file as harmless string constants only. */
static void test_names_in_glue(void **state)
{
	static const uint8_t bytes[] = {
		HEADER, 1,    4,    1,	 0x60, 0,   0,	 2,    16,   1,	   5,	 '*', '/',
		'"',	'\\', '\n', 6,	 '?',  '?', '/', '1',  0xc3, 0xbc, 0,	 0,   7,
		12,	1,    8,    '"', '}',  ';', '#', '\r', '\n', 'x',  '\'', 0,   0,
	};
	struct aot_module module;
	struct eos_why why = {""};
	struct eos_buf glue = {0};
	assert_int_equal(aot_module_read(bytes, sizeof(bytes), &module, &why), 0);
	assert_int_equal(aot_glue_write(&module, &glue), 0);
	assert_non_null(strstr(glue.data, "\t{\"\\052\\057\\042\\134\\012\", "
					  "\"\\077\\077\\0571\\303\\274\", \":\", 0},\n"));
	assert_non_null(strstr(glue.data, "\t{\"\\042\\175\\073\\043\\015\\012x\\047\", \":\", "
					  "(void (*)(void))Z_mZ_x0},\n"));
	eos_buf_clear(&glue);
	assert_int_equal(aot_module_rewrite(&module, &glue), 0);
	assert_null(memchr(glue.data, '"', glue.len));
	eos_buf_fini(&glue);
	aot_module_fini(&module);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),	  cmocka_unit_test(test_rewrite),
		cmocka_unit_test(test_truncated), cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_messages),  cmocka_unit_test(test_names_in_glue),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
