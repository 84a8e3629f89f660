#include "cli/find_terms.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"

static void test_terms(void **state)
{
	static const struct {
		const char *text, *name, *op, *value;
	} good[] = {
		{"site=berlin", "site", "=", "berlin"},
		{"t<5", "t", "<", "5"},
		{"t<=5", "t", "<=", "5"},
		{"t>5", "t", ">", "5"},
		{"t>=-0.5", "t", ">=", "-0.5"},
		{"t=", "t", "=", ""},
		{"a b=c=d", "a b", "=", "c=d"},
		{"t==5", "t", "=", "=5"},
		{"t=<5", "t", "=", "<5"},
		{"t<>5", "t", "<", ">5"},
	};
	static const char *const bad[] = {"", "site", "=x", "<=x", ">"};
	struct find_term term;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(good); i++) {
		assert_int_equal(find_term_parse(good[i].text, &term), 0);
		assert_int_equal(term.name_len, strlen(good[i].name));
		assert_memory_equal(term.name, good[i].name, term.name_len);
		assert_string_equal(term.op, good[i].op);
		assert_string_equal(term.value, good[i].value);
	}
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++)
		assert_int_equal(find_term_parse(bad[i], &term), -EINVAL);
}

static void test_times(void **state)
{
	const uint64_t now_ns = 30 * 86400 * EOS_NS_PER_S;
	uint64_t ns = 1;
	assert_int_equal(find_time_parse("1970-01-02", now_ns, &ns), 0);
	assert_int_equal(ns, 86400 * EOS_NS_PER_S);
	assert_int_equal(find_time_parse("7d", now_ns, &ns), 0);
	assert_int_equal(ns, 23 * 86400 * EOS_NS_PER_S);
	assert_int_equal(find_time_parse("2h", now_ns, &ns), 0);
	assert_int_equal(ns, now_ns - 7200 * EOS_NS_PER_S);
	assert_int_equal(find_time_parse("30d", now_ns, &ns), 0);
	assert_int_equal(ns, 0);
	assert_int_equal(find_time_parse("31d", now_ns, &ns), -ERANGE);
	assert_int_equal(find_time_parse("99999999999999d", now_ns, &ns), -ERANGE);
	assert_int_equal(find_time_parse("9999-01-01", now_ns, &ns), -ERANGE);
	assert_int_equal(find_time_parse("yesterday", now_ns, &ns), -EINVAL);
	assert_int_equal(find_time_parse("", now_ns, &ns), -EINVAL);
	assert_int_equal(ns, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_terms),
		cmocka_unit_test(test_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
