#include "report.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"

static void test_percentiles(void **state)
{
	struct report report = {.bench = "test"};
	uint64_t samples[200];

	for (unsigned i = 0; i < 200; i++)
		samples[i] = 200 - i;
	report_add_samples(&report, "single", "ns", samples, 200);
	report_add_sums(&report, "sums", "ns", samples, 200, 100);
	assert_int_equal((int)report_find(&report, "single")->p50, 101);
	assert_int_equal((int)report_find(&report, "single")->p99, 199);
	assert_true(fabs(report_find(&report, "sums")->p50 - 1.01) < 1e-9);
	assert_int_equal(report_find(&report, "single")->count, 200);
}

static void test_ratios_of_rows(void **state)
{
	struct report report = {.bench = "test"};
	uint64_t slow = 1000, fast = 10;

	report_add_samples(&report, "slow", "ns", &slow, 1);
	report_add_samples(&report, "fast", "ns", &fast, 1);
	report_add_rate(&report, "many", "1/s", 1, 300);
	report_add_rate(&report, "few", "1/s", 1, 2);
	report_add_skipped(&report, "absent", "it is not there");
	report_add_ratio(&report, "slow", "fast", 50);
	report_add_rate_ratio(&report, "many", "few", 100);
	report_add_ratio(&report, "absent", "fast", 50);
	report_add_ratio(&report, "slow", "unheard-of", 50);
	/* What did not run says nothing. */
	assert_int_equal(report.ratios_count, 2);
	assert_string_equal(report.ratios[0].name, "slow/fast");
	assert_true(report.ratios[0].value == 100);
	assert_string_equal(report.ratios[1].name, "many/few");
	assert_true(report.ratios[1].value == 150);
	assert_null(report_find(&report, "absent"));
	assert_true(report_print(&report, true));
}

/* Each value with its bound, alone in a report. */
static void test_bounds(void **state)
{
	static const struct {
		double value, bound;
		bool is_limit, is_ok;
	} cases[] = {
		{2, 1, false, true},   {1, 1, false, true},    {0.5, 1, false, false},
		{0.5, 1, true, true},  {1, 1, true, true},     {1.5, 1, true, false},
		{NAN, 1, true, false}, {NAN, 1, false, false}, {-3, 1, true, true},
		{0.5, 0, false, true},
	};

	for (unsigned i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		struct report report = {.bench = "test"};

		if (cases[i].is_limit)
			report_add_limit(&report, "value", cases[i].value, cases[i].bound);
		else
			report_add_least(&report, "value", cases[i].value, cases[i].bound);
		assert_int_equal(report_print(&report, i % 2 == 0), cases[i].is_ok);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_percentiles),
		cmocka_unit_test(test_ratios_of_rows),
		cmocka_unit_test(test_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
