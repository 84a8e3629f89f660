#include "base/str.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/macros.h"

static void test_parse_u64(void **state)
{
	uint64_t value = 7;
	assert_int_equal(eos_parse_u64("0", &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(eos_parse_u64("18446744073709551615", &value), 0);
	assert_true(value == UINT64_MAX);
	assert_int_equal(eos_parse_u64("18446744073709551616", &value), -ERANGE);
	static const char *const bad[] = {"", "-1", "+1", " 1", "1 ", "0x10", "1e3", "a"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++)
		assert_int_equal(eos_parse_u64(bad[i], &value), -EINVAL);
	assert_true(value == UINT64_MAX);
}

static void test_parse_size(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes;
	} good[] = {{"65536", 65536},	    {"64KiB", 65536}, {"16MiB", 16 << 20},
		    {"1GiB", 1 << 30},	    {"5kB", 5000},    {"5MB", 5000000},
		    {"5GB", 5000000000},    {"3B", 3},	      {"0", 0},
		    {"2TiB", 2199023255552}};
	uint64_t bytes;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(good); i++) {
		assert_int_equal(eos_parse_size(good[i].text, &bytes), 0);
		assert_true(bytes == good[i].bytes);
	}
	static const char *const bad[] = {"", "KiB", "1 MiB", "1mib", "1M", "-1MiB", "1MiB "};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++)
		assert_int_equal(eos_parse_size(bad[i], &bytes), -EINVAL);
	assert_int_equal(eos_parse_size("99999999999GiB", &bytes), -ERANGE);
}

static void test_parse_duration(void **state)
{
	static const struct {
		const char *text;
		uint64_t ns;
	} good[] = {{"0", 0},
		    {"5ns", 5},
		    {"250us", 250000},
		    {"10ms", 10000000},
		    {"2s", 2000000000},
		    {"5m", 300000000000},
		    {"1h", 3600000000000},
		    {"7d", 604800000000000}};
	uint64_t ns;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(good); i++) {
		assert_int_equal(eos_parse_duration(good[i].text, &ns), 0);
		assert_true(ns == good[i].ns);
	}
	static const char *const bad[] = {"", "1", "s", "1 s", "1S", "1.5s", "-1s"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++)
		assert_int_equal(eos_parse_duration(bad[i], &ns), -EINVAL);
	assert_int_equal(eos_parse_duration("300000d", &ns), -ERANGE);
}

static void test_hex(void **state)
{
	static const uint8_t bytes[] = {0x00, 0x7f, 0xff, 0xa5};
	char text[9];
	eos_hex_encode(bytes, 4, text);
	assert_string_equal(text, "007fffa5");
	uint8_t back[4];
	assert_int_equal(eos_hex_decode("007FffA5", back, 4), 0);
	assert_memory_equal(back, bytes, 4);
	/* All bytes, at all places of those that are done at once. */
	uint8_t all[256 + 7];
	char digits[2 * sizeof(all) + 1], two[3];
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)i;
	for (size_t skipped = 0; skipped < 8; skipped++) {
		size_t len = sizeof(all) - skipped;
		eos_hex_encode(all + skipped, len, digits);
		assert_int_equal(strlen(digits), 2 * len);
		for (size_t i = 0; i < len; i++) {
			snprintf(two, sizeof(two), "%02x", all[skipped + i]);
			assert_memory_equal(digits + 2 * i, two, 2);
		}
	}
	assert_int_equal(eos_hex_decode("007fffa", back, 4), -EINVAL);
	assert_int_equal(eos_hex_decode("007fffa5a", back, 4), -EINVAL);
	assert_int_equal(eos_hex_decode("007fffg5", back, 4), -EINVAL);
	assert_int_equal(eos_hex_decode("", back, 0), 0);
}

static void test_utf8(void **state)
{
	static const char *const good[] = {"",
					   "plain",
					   "\xc3\xa9",
					   "\xe2\x82\xac",
					   "\xf0\x9f\x98\x80",
					   "\xf4\x8f\xbf\xbf",
					   "\xef\xbf\xbf"};
	static const char *const bad[] = {
		"\x80",
		"\xc3", /* stray and cut */
		"\xc0\xaf",
		"\xe0\x80\xaf", /* overlong */
		"\xf0\x80\x80\xaf",
		"\xed\xa0\x80", /* overlong, surrogate */
		"\xf4\x90\x80\x80",
		"\xf8\x88\x80\x80", /* beyond U+10FFFF */
		"\xe2\x28\xa1",
		"\xff",
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(good); i++)
		assert_true(eos_utf8_is_valid(good[i], strlen(good[i])));
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++)
		assert_false(eos_utf8_is_valid(bad[i], strlen(bad[i])));
	assert_true(eos_utf8_is_valid("a\0b", 3));
	/* Wherever it stands, eight bytes being looked at at once. */
	for (size_t at = 0; at < 17; at++) {
		char text[19] = "aaaaaaaaaaaaaaaaaa";
		text[at] = (char)0xc3;
		assert_false(eos_utf8_is_valid(text, 18));
		text[at + 1] = (char)0xa9;
		assert_true(eos_utf8_is_valid(text, 18));
		assert_false(eos_utf8_is_valid(text, at + 1));
	}
}

static void test_percent(void **state)
{
	char text[] = "%41b%2Fc+%7e";
	long n = eos_percent_decode(text, strlen(text), text);
	assert_int_equal(n, 6);
	assert_memory_equal(text, "Ab/c+~", 6);
	char out[16];
	assert_int_equal(eos_percent_decode("%4", 2, out), -EINVAL);
	assert_int_equal(eos_percent_decode("%", 1, out), -EINVAL);
	assert_int_equal(eos_percent_decode("%zz", 3, out), -EINVAL);
	assert_int_equal(eos_percent_decode("%00", 3, out), 1);
	assert_int_equal(out[0], 0);

	struct eos_buf buf;
	eos_buf_init(&buf);
	assert_int_equal(eos_percent_encode(&buf, "a b/\xc3\xa9~", 7, true), 0);
	assert_string_equal(buf.data, "a%20b/%C3%A9~");
	eos_buf_clear(&buf);
	assert_int_equal(eos_percent_encode(&buf, "a/b", 3, false), 0);
	assert_string_equal(buf.data, "a%2Fb");
	eos_buf_fini(&buf);
}

static int sign(int order)
{
	return (order > 0) - (order < 0);
}

/* All pairs of texts of up to two bytes, one of each kind among them. */
static void test_percent_compare(void **state)
{
	static const unsigned char bytes[] = {0,   1,	'$', '%', '&',	'-',  '/', '0',
					      '9', ':', '@', 'A', 'F',	'Z',  '[', '_',
					      '`', 'a', 'f', '~', 0x7f, 0x80, 0xff};
	const size_t count = EOS_ARRAY_SIZE(bytes);
	struct eos_buf left = {0}, right = {0};
	for (size_t i = 0; i < count * count; i++) {
		for (size_t k = 0; k < count * count; k++) {
			const char a[] = {(char)bytes[i / count], (char)bytes[i % count], '\0'};
			const char b[] = {(char)bytes[k / count], (char)bytes[k % count], '\0'};
			eos_buf_clear(&left);
			eos_buf_clear(&right);
			assert_int_equal(eos_percent_encode(&left, a, strlen(a), false), 0);
			assert_int_equal(eos_percent_encode(&right, b, strlen(b), false), 0);
			assert_int_equal(sign(eos_percent_compare(a, b)),
					 sign(strcmp(left.data, right.data)));
		}
	}
	eos_buf_fini(&left);
	eos_buf_fini(&right);
}

static void test_prefix_suffix_copy(void **state)
{
	assert_true(eos_str_starts_with("abc", "ab"));
	assert_true(eos_str_starts_with("abc", ""));
	assert_false(eos_str_starts_with("ab", "abc"));
	assert_true(eos_str_ends_with("abc", "bc"));
	assert_true(eos_str_ends_with("abc", ""));
	assert_false(eos_str_ends_with("c", "bc"));
	char out[4] = "zzz";
	assert_int_equal(eos_str_copy(out, sizeof(out), "abc"), 0);
	assert_string_equal(out, "abc");
	assert_int_equal(eos_str_copy(out, sizeof(out), "abcd"), -ENAMETOOLONG);
	assert_string_equal(out, "");
	assert_int_equal(eos_str_copy(out, 0, ""), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_u64),
		cmocka_unit_test(test_parse_size),
		cmocka_unit_test(test_parse_duration),
		cmocka_unit_test(test_hex),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_percent),
		cmocka_unit_test(test_percent_compare),
		cmocka_unit_test(test_prefix_suffix_copy),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
