#include "base/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_append_grows_and_ends_with_nul(void **state)
{
	struct eos_buf buf;
	eos_buf_init(&buf);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(eos_buf_append(&buf, "abc", 3), 0);
	assert_int_equal(buf.len, 3000);
	assert_int_equal(strlen(buf.data), 3000);
	assert_int_equal(eos_buf_append(&buf, NULL, 0), 0);
	eos_buf_fini(&buf);
	assert_null(buf.data);
}

static void test_printf_and_puts(void **state)
{
	struct eos_buf buf;
	eos_buf_init(&buf);
	assert_int_equal(eos_buf_puts(&buf, "a"), 0);
	assert_int_equal(eos_buf_printf(&buf, "%d-%s", 42, "xyz"), 0);
	assert_string_equal(buf.data, "a42-xyz");
	assert_int_equal(buf.len, 7);
	char *longer = malloc(5000);
	memset(longer, 'q', 4999);
	longer[4999] = '\0';
	assert_int_equal(eos_buf_printf(&buf, "%s", longer), 0);
	assert_int_equal(buf.len, 7 + 4999);
	free(longer);
	eos_buf_fini(&buf);
}

static void test_clear_and_consume(void **state)
{
	struct eos_buf buf;
	eos_buf_init(&buf);
	eos_buf_clear(&buf);
	eos_buf_consume(&buf, 0);
	eos_buf_puts(&buf, "hello world");
	eos_buf_consume(&buf, 6);
	assert_string_equal(buf.data, "world");
	eos_buf_consume(&buf, 5);
	assert_int_equal(buf.len, 0);
	assert_string_equal(buf.data, "");
	eos_buf_puts(&buf, "x");
	size_t cap = buf.cap;
	eos_buf_clear(&buf);
	assert_int_equal(buf.cap, cap);
	assert_string_equal(buf.data, "");
	eos_buf_fini(&buf);
}

static void test_failure_sticks_until_clear(void **state)
{
	struct eos_buf buf;
	eos_buf_init(&buf);
	eos_buf_puts(&buf, "kept");
	assert_int_equal(eos_buf_reserve(&buf, SIZE_MAX - 2), -ENOMEM);
	assert_true(eos_buf_failed(&buf));
	assert_int_equal(eos_buf_append(&buf, "x", 1), -ENOMEM);
	assert_int_equal(eos_buf_printf(&buf, "x"), -ENOMEM);
	assert_string_equal(buf.data, "kept");
	eos_buf_clear(&buf);
	assert_false(eos_buf_failed(&buf));
	assert_int_equal(eos_buf_puts(&buf, "new"), 0);
	assert_int_equal(eos_buf_reserve(&buf, SIZE_MAX / 2), -ENOMEM);
	assert_null(eos_buf_steal(&buf));
	assert_int_equal(buf.len, 0);
}

static void test_steal(void **state)
{
	struct eos_buf buf;
	eos_buf_init(&buf);
	char *text = eos_buf_steal(&buf);
	assert_string_equal(text, "");
	free(text);
	eos_buf_puts(&buf, "mine");
	text = eos_buf_steal(&buf);
	assert_string_equal(text, "mine");
	assert_null(buf.data);
	free(text);
	eos_buf_fini(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append_grows_and_ends_with_nul),
		cmocka_unit_test(test_printf_and_puts),
		cmocka_unit_test(test_clear_and_consume),
		cmocka_unit_test(test_failure_sticks_until_clear),
		cmocka_unit_test(test_steal),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
