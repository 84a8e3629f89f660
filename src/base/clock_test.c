#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static void test_formats(void **state)
{
	char iso[EOS_ISO8601_SIZE];
	char http[EOS_HTTP_DATE_SIZE];
	eos_format_iso8601(0, iso);
	assert_string_equal(iso, "1970-01-01T00:00:00.000Z");
	eos_format_http_date(0, http);
	assert_string_equal(http, "Thu, 01 Jan 1970 00:00:00 GMT");
	uint64_t leap = UINT64_C(1709210096) * EOS_NS_PER_S + 789 * EOS_NS_PER_MS + 999999;
	eos_format_iso8601(leap, iso);
	assert_string_equal(iso, "2024-02-29T12:34:56.789Z");
	eos_format_http_date(leap, http);
	assert_string_equal(http, "Thu, 29 Feb 2024 12:34:56 GMT");
	eos_format_iso8601(UINT64_MAX, iso);
	assert_string_equal(iso, "2554-07-21T23:34:33.709Z");
	eos_format_http_date(UINT64_MAX, http);
}

/* Against the C library, at the ends of each day that 64 bits of nanoseconds reach. */
static void test_each_day(void **state)
{
	static const char days[] = "SunMonTueWedThuFriSat";
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	for (time_t day = 0; day < 213503; day++) {
		for (time_t t = day * 86400; t <= day * 86400 + 86399; t += 86399) {
			struct tm tm;
			char iso[EOS_ISO8601_SIZE], http[EOS_HTTP_DATE_SIZE], want[64];
			gmtime_r(&t, &tm);
			eos_format_iso8601((uint64_t)t * EOS_NS_PER_S, iso);
			strftime(want, sizeof(want), "%Y-%m-%dT%H:%M:%S.000Z", &tm);
			assert_string_equal(iso, want);
			eos_format_http_date((uint64_t)t * EOS_NS_PER_S, http);
			snprintf(want, sizeof(want), "%.3s, %02d %.3s %04d %02d:%02d:%02d GMT",
				 days + 3 * tm.tm_wday, tm.tm_mday, months + 3 * tm.tm_mon,
				 tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
			assert_string_equal(http, want);
		}
	}
}

static void test_clocks_move_on(void **state)
{
	uint64_t before = eos_now_ns();
	uint64_t after = eos_now_ns();
	assert_true(before > 0 && after >= before);
	assert_true(eos_wall_ns() > UINT64_C(1600000000) * EOS_NS_PER_S);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_formats),
		cmocka_unit_test(test_each_day),
		cmocka_unit_test(test_clocks_move_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
