#include "base/why.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_returns_the_error(void **state)
{
	struct eos_why why = {""};
	assert_int_equal(eos_why(&why, -EINVAL, "bad %s at %d", "thing", 7), -EINVAL);
	assert_string_equal(why.text, "bad thing at 7");
	assert_int_equal(eos_why(NULL, -EIO, "nobody listens"), -EIO);
	eos_why_prefix(NULL, "x");
}

static void test_control_characters_are_replaced(void **state)
{
	struct eos_why why;
	eos_why(&why, -EINVAL, "%s", "a\nb\x1b[31m\x7f");
	assert_string_equal(why.text, "a?b?[31m?");
	/* C1 commands terminals as well: CSI in one character. Others of two bytes stay. */
	eos_why(&why, -EINVAL, "%s",
		"\xc2\x9b"
		"31m\xc2\x85\xc2\xa0\xc3\xa9\xc2");
	assert_string_equal(why.text, "??31m??\xc2\xa0\xc3\xa9\xc2");
}

static void test_long_texts_are_cut(void **state)
{
	char big[2000];
	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	struct eos_why why;
	eos_why(&why, -EINVAL, "%s", big);
	assert_int_equal(strlen(why.text), EOS_WHY_SIZE - 1);
	eos_why_prefix(&why, "%s", "front\n");
	assert_int_equal(strlen(why.text), EOS_WHY_SIZE - 1);
	assert_memory_equal(why.text, "front?: xxx", 11);
	eos_why_prefix(&why, "%s", big);
	assert_int_equal(strlen(why.text), EOS_WHY_SIZE - 1);
}

static void test_prefix(void **state)
{
	struct eos_why why;
	eos_why(&why, -ENOENT, "no such bucket");
	eos_why_prefix(&why, "deploy %s", "f");
	assert_string_equal(why.text, "deploy f: no such bucket");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_returns_the_error),
		cmocka_unit_test(test_control_characters_are_replaced),
		cmocka_unit_test(test_long_texts_are_cut),
		cmocka_unit_test(test_prefix),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
