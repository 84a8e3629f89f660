/*
 * Which loads are found to need no care, in lines as wasm2c writes them. That the generated code
 * does what it should is tested by tests/conform/wasm (loads.wast).
 */
#include "aot/aot_access.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/file.h"

#define LOAD(to, type, at)                                                                         \
	"  w2c_" to " = " type "_load(&instance->w2c_memory, (u64)(w2c_" at "));\n"
#define STORE(type, at, value)                                                                     \
	"  " type "_store(&instance->w2c_memory, (u64)(w2c_" at ") + 8, w2c_" value ");\n"

/* TEXT, with "read" where it is to be in the place of "load", from its copy with "load" alone. */
static void check(const char *wanted)
{
	char text[2048];
	size_t len = strlen(wanted), count = 0;
	assert_true(len < sizeof(text));
	memcpy(text, wanted, len + 1);
	for (char *found = text; (found = strstr(found, "_read(")) != NULL; found += 5) {
		memcpy(found, "_load(", 6);
		count++;
	}
	assert_int_equal(aot_access_mark(text, len), count);
	assert_string_equal(text, wanted);
}

#define READ(to, type, at)                                                                         \
	"  w2c_" to " = " type "_read(&instance->w2c_memory, (u64)(w2c_" at ") + 16u);\n"

static void test_stored(void **state)
{
	check(READ("d1", "f64", "i0") "  w2c_d0 += w2c_d1;\n" STORE("f64", "i0", "d0"));
	/* By way of other variables, beside integers, and with a constant. */
	check("  w2c_L5: \n"
	      "    w2c_i0 = w2c_l1;\n    w2c_i1 = 8u;\n    w2c_i0 += w2c_i1;\n" READ(
		      "d1_0", "f64", "i2") "    w2c_l7 = w2c_d1_0;\n    w2c_i0 <<= (w2c_i1 & "
					   "31);\n    w2c_d2 = -0.0625;\n"
					   "    w2c_d0 = w2c_l7;\n    w2c_d0 *= w2c_d2;\n" READ(
						   "d2", "f64",
						   "i1") "    w2c_d0 -= w2c_d2;\n    w2c_l9 = "
							 "w2c_d0;\n" STORE("f64", "i0", "l9"));
	check(READ("f0", "f32", "i0")
		      READ("f1", "f32", "i1") "  w2c_f0 /= w2c_f1;\n" STORE("f32", "i2", "f0"));
	/* One value in two stores. */
	check(READ("d1", "f64", "i0") "  w2c_d0 += w2c_d1;\n" STORE(
		"f64", "i0", "d0") "  w2c_d2 *= w2c_d0;\n" STORE("f64", "i1", "d2"));
}

static void test_not_needed(void **state)
{
	/* Copied only; integers; not stored; stored before; overwritten. */
	check(LOAD("d0", "f64", "i0") STORE("f64", "i1", "d0"));
	check(LOAD("i1", "i32",
		   "i0") "  w2c_i1 += w2c_i2;\n"
			 "  i32_store(&instance->w2c_memory, (u64)(w2c_i0), w2c_i1);\n");
	check(LOAD("d1", "f64", "i0") "  w2c_d0 += w2c_d1;\n");
	check(STORE("f64", "i0", "d0") LOAD("d1", "f64", "i0") "  w2c_d0 += w2c_d1;\n");
	check(LOAD("d1", "f64", "i0") "  w2c_d0 += w2c_d1;\n  w2c_d0 = 1;\n" STORE("f64", "i0",
										   "d0"));
	check(LOAD("d1", "f64", "i0") "  w2c_d1 = w2c_l4;\n  w2c_d0 += w2c_d1;\n" STORE("f64", "i0",
											"d0"));
	check(LOAD("d1", "f64", "i0") "  w2c_d0 *= w2c_d1;\n" LOAD("d0", "f64", "i3")
		      STORE("f64", "i0", "d0"));
	/* Names that begin alike. */
	check(LOAD("d1", "f64", "i0") "  w2c_d0 += w2c_d11;\n" STORE("f64", "i0", "d0"));
	/* The value is the address. */
	check(LOAD("d1", "f64", "i0") "  w2c_d0 += w2c_d1;\n" STORE("f64", "d0", "d2"));
}

/* What may leave, or be entered from elsewhere, or is not known. */
static void test_ends_of_runs(void **state)
{
	static const char *const lines[] = {
		"  if (w2c_i0) {goto w2c_L5;}\n",
		"  w2c_B3:;\n",
		"  goto w2c_B3;\n",
		"}\n",
		"\n",
		"  w2c_f15(instance, w2c_i0);\n",
		"  w2c_i0 = w2c_f15(instance, w2c_i0);\n",
		"  w2c_i0 = DIV_S(u32, INT32_MIN, w2c_i0, w2c_i1);\n",
		"  w2c_i0 = w2c_i2 ? w2c_i0 : w2c_i1;\n",
		"  w2c_i0 = instance->w2c_g0;\n",
		"  memory_fill(&instance->w2c_memory, w2c_i0, w2c_i1, w2c_i2);\n",
		"  w2c_i0 = CALL_INDIRECT(instance->w2c_T0, u32 (*)(void*), 1, w2c_i0, h);\n",
		"  w2c_d0 = wasm_sqrt(w2c_d0);\n",
		"  UNREACHABLE;\n",
		"  w2c_d0 += w2c_d1; goto w2c_B3;\n",
		"  w2c_d0 %= w2c_d1;\n",
		"  f64_store(&instance->w2c_memory, (u64)(w2c_i0) + w2c_i1, w2c_d3);\n",
		"  f64_store(&other->w2c_memory, (u64)(w2c_i0), w2c_d3);\n",
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(lines); i++) {
		char text[1024];
		(void)snprintf(text, sizeof(text), "%s%s%s",
			       LOAD("d1", "f64", "i0") "  w2c_d0 += w2c_d1;\n", lines[i],
			       STORE("f64", "i0", "d0"));
		check(text);
	}
}

/* More loads and variables in a run than there is room for: some are not found, no harm is done. */
static void test_long_runs(void **state)
{
	struct eos_buf text = {0};
	for (unsigned i = 0; i < 1000; i++)
		(void)eos_buf_printf(&text, LOAD("d1", "f64", "i0") "  w2c_l%u += w2c_d1;\n", i);
	for (unsigned i = 0; i < 1000; i++)
		(void)eos_buf_printf(
			&text, "  f64_store(&instance->w2c_memory, (u64)(w2c_i0), w2c_l%u);\n", i);
	assert_false(eos_buf_failed(&text));
	size_t count = aot_access_mark(text.data, text.len);
	assert_in_range(count, 1, 64);
	eos_buf_fini(&text);
}

/* Cut anywhere: nothing is written behind the end, as the sanitizers see. */
static void test_cut(void **state)
{
	static const char whole[] =
		LOAD("d1", "f64", "i0") "  w2c_d0 += w2c_d1;\n" STORE("f64", "i0", "d0");
	for (size_t len = 0; len < sizeof(whole); len++) {
		struct eos_buf text = {0};
		assert_int_equal(eos_buf_append(&text, whole, len), 0);
		assert_int_equal(eos_buf_append(&text, "", 1), 0);
		size_t count = aot_access_mark(text.data, len);
		assert_int_equal(count, len == sizeof(whole) - 1 ? 1 : 0);
		eos_buf_fini(&text);
	}
}

/* The start of what wabt 1.0.32 writes, and of what another version might. */
static void test_rewrite(void **state)
{
	static const char known[] = "#define CALL_INDIRECT(table, t, ft, x, ...)\n\n"
				    "DEFINE_STORE(i64_store32, u32, u64)\n";
	static const char *const others[] = {
		"", "\nDEFINE_STORE(i64_store32, u32, u64)\n",
		"\n#define CALL_INDIRECT(table, t, ft, x, ...)\nDEFINE_STORE(i64_store32, u32)\n"};
	char path[] = "/tmp/aot_access.XXXXXX", wanted[512];
	struct eos_buf text = {0};
	struct eos_why why = {""};
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(eos_pwrite_full(fd, "\n", 1, 0), 0);
	assert_int_equal(eos_pwrite_full(fd, known, strlen(known), 1), 0);
	assert_int_equal(aot_access_rewrite(path, &why), 0);
	assert_int_equal(eos_read_file(AT_FDCWD, path, sizeof(wanted), &text), 0);
	(void)snprintf(wanted, sizeof(wanted), "\n%s#include \"image_access.c\"\n", known);
	assert_string_equal(text.data, wanted);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(others); i++) {
		assert_int_equal(ftruncate(fd, 0), 0);
		assert_int_equal(eos_pwrite_full(fd, others[i], strlen(others[i]), 0), 0);
		assert_int_equal(aot_access_rewrite(path, &why), -ENOTSUP);
		assert_non_null(strstr(why.text, "1.0.32"));
	}
	close(fd);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(aot_access_rewrite(path, &why), -ENOENT);
	eos_buf_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stored),	     cmocka_unit_test(test_not_needed),
		cmocka_unit_test(test_ends_of_runs), cmocka_unit_test(test_long_runs),
		cmocka_unit_test(test_cut),	     cmocka_unit_test(test_rewrite),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
