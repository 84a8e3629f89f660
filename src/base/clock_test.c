#include "base/clock.h"

#include <errno.h>
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
			uint64_t parsed_ns = 1;
			assert_int_equal(eos_parse_iso8601(iso, &parsed_ns), 0);
			assert_int_equal(parsed_ns, (uint64_t)t * EOS_NS_PER_S);
		}
	}
}

static void test_parses(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {
		{"1970-01-01", 0},
		{"1970-01-01T00:00Z", 0},
		{"1970-01-01T00:00:01", EOS_NS_PER_S},
		{"1970-01-01T02:00:00+02:00", 0},
		{"1970-01-01T00:00:00-01:30", 5400 * EOS_NS_PER_S},
		{"2024-02-29T12:34:56.789Z",
		 UINT64_C(1709210096) * EOS_NS_PER_S + 789 * EOS_NS_PER_MS},
		{"1970-01-01T00:00:00.1234567891Z", 123456789},
		{"2554-07-21T23:34:33.709551615Z", UINT64_MAX},
	};
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint64_t ns = 7;
		assert_int_equal(eos_parse_iso8601(good[i].text, &ns), 0);
		assert_int_equal(ns, good[i].ns);
	}
}

static void test_parse_refuses(void **state)
{
	static const char *const malformed[] = {
		"",
		"2026",
		"2026-11",
		"2026-1-2",
		"2026-13-01",
		"2026-00-01",
		"2026-02-29",
		"2100-02-29",
		"2026-11-31",
		"2026-11-00",
		"2026-11-22x",
		"2026-11-22 01:02",
		"2026-11-22T",
		"2026-11-22T01",
		"2026-11-22T24:00",
		"2026-11-22T01:60",
		"2026-11-22T01:02:60",
		"2026-11-22T01:02:03.",
		"2026-11-22T01:02:03.Z",
		"2026-11-22T01:02+2:00",
		"2026-11-22T01:02+24:00",
		"2026-11-22T01:02ZZ",
		"2026-11-22Z",
		"-026-11-22",
		" 2026-11-22",
	};
	/* A day before 1970 whatever its zone. */
	static const char *const far[] = {
		"1969-12-31T19:00:00-05:00",
		"0000-01-01",
		"1969-12-31T23:59:59Z",
		"1970-01-01T00:00:00+00:01",
		"2554-07-21T23:34:33.709551616Z",
		"2554-07-21T23:34:33-01:00",
		"9999-12-31",
	};
	uint64_t ns = 7;
	for (size_t i = 0; i < sizeof(malformed) / sizeof(malformed[0]); i++)
		assert_int_equal(eos_parse_iso8601(malformed[i], &ns), -EINVAL);
	for (size_t i = 0; i < sizeof(far) / sizeof(far[0]); i++)
		assert_int_equal(eos_parse_iso8601(far[i], &ns), -ERANGE);
	assert_int_equal(ns, 7);
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
		cmocka_unit_test(test_formats),	       cmocka_unit_test(test_each_day),
		cmocka_unit_test(test_parses),	       cmocka_unit_test(test_parse_refuses),
		cmocka_unit_test(test_clocks_move_on),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
