#include "s3/s3_chunked.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SIG "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

/* Feeds TEXT in two pieces, cut at CUT, and writes the events as text. */
static int run(const char *text, size_t cut, bool is_signed, bool has_trailers, char *out)
{
	struct s3_chunked chunked;
	struct s3_chunk_item item;
	size_t len = strlen(text), lens[2] = {cut, len - cut};
	const char *at = text;

	out[0] = '\0';
	s3_chunked_init(&chunked, is_signed, has_trailers);
	for (int i = 0; i < 2; i++) {
		for (;;) {
			int event = s3_chunked_next(&chunked, &at, &lens[i], &item);
			char *end = out + strlen(out);
			if (event < 0)
				return event;
			if (event == S3_CHUNK_EVENT_MORE)
				break;
			if (event == S3_CHUNK_EVENT_BEGIN)
				sprintf(end, "(%.4s", item.signature);
			else if (event == S3_CHUNK_EVENT_DATA)
				sprintf(end, "%.*s", (int)item.len, item.data);
			else if (event == S3_CHUNK_EVENT_TRAILER)
				sprintf(end, "[%s=%s]", item.name, item.value);
			else
				strcpy(end, event == S3_CHUNK_EVENT_END ? ")" : "!");
		}
		assert_int_equal(lens[i], 0);
	}
	return s3_chunked_is_done(&chunked) ? 1 : 0;
}

static void expect(const char *text, bool is_signed, bool has_trailers, const char *events)
{
	char out[512];
	for (size_t cut = 0; cut <= strlen(text); cut++) {
		assert_int_equal(run(text, cut, is_signed, has_trailers, out), 1);
		assert_string_equal(out, events);
	}
}

static void refuse(const char *text, bool is_signed, bool has_trailers)
{
	char out[512];
	for (size_t cut = 0; cut <= strlen(text); cut++)
		assert_int_equal(run(text, cut, is_signed, has_trailers, out), -EINVAL);
}

static void test_good(void **state)
{
	expect("3\r\nabc\r\nA\r\n0123456789\r\n0\r\n\r\n", false, false, "(abc)(0123456789)()!");
	expect("1;chunk-signature=" SIG "\r\nx\r\n0;chunk-signature=" SIG "\r\n\r\n", true, false,
	       "(0011x)(0011)!");
	expect("0\r\nX-Amz-Checksum: v \r\nb:c\n\r\n", false, true, "()[x-amz-checksum=v][b=c]!");
	expect("0\r\n\r\n", false, true, "()!");
	expect("2\r\n\r\n\r\n0\r\n\r\n", false, false, "(\r\n)()!");
}

static void test_bad(void **state)
{
	refuse("x\r\n", false, false);
	refuse("\r\n", false, false);
	refuse("-1\r\n", false, false);
	refuse("00000000000000001\r\n", false, false);
	refuse("3\nabc\r\n", false, false);
	refuse("3\r\nabcd\r\n", false, false);
	refuse("3\r\nabc\n", false, false);
	refuse("3\r\nabc\r\r", false, false);
	refuse("3 \r\nabc\r\n", false, false);
	refuse("3;chunk-signature=" SIG "\r\nabc\r\n", false, false);
	refuse("3\r\nabc\r\n", true, false);
	refuse("3;chunk-signature=" SIG "0\r\n", true, false);
	refuse("3;chunk-signature=12\r\n", true, false);
	refuse("3;other=" SIG "\r\n", true, false);
	refuse("0\r\na:b\r\n\r\n", false, false);
	refuse("0\r\nab\r\n\r\n", false, true);
	refuse("0\r\n:b\r\n\r\n", false, true);
	refuse("0\r\na b:c\r\n\r\n", false, true);
	refuse("0\r\n\r\nx", false, false);
}

static void test_limits(void **state)
{
	char out[512], text[2000];
	memset(text, '1', sizeof(text));
	text[1999] = '\0';
	assert_int_equal(run(text, 700, false, false, out), -EINVAL);
	strcpy(text, "0\r\n");
	for (int i = 0; i < 17; i++)
		strcat(text, "a:b\r\n");
	assert_int_equal(run(text, 5, false, true, out), -EINVAL);
	/* Cut short: neither done nor wrong. */
	assert_int_equal(run("3\r\nab", 2, false, false, out), 0);
	/* A chunk may announce 2^64 - 1 bytes; they just have to come. */
	assert_int_equal(run("ffffffffffffffff\r\nab", 3, false, false, out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_good),
		cmocka_unit_test(test_bad),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
