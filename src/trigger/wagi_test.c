#include "trigger/wagi_priv.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct wagi_response response;
static struct eos_why why;
static char output[64 << 10];

static int parse_n(const char *text, size_t len)
{
	memcpy(output, text, len);
	output[len] = '\0';
	return wagi_parse_response(output, len, &response, &why);
}

static int parse(const char *text)
{
	return parse_n(text, strlen(text));
}

static void test_plain(void **state)
{
	assert_int_equal(parse("Content-Type: text/plain\n\nhello\n"), 0);
	assert_int_equal(response.status, 200);
	assert_int_equal(response.headers_count, 1);
	assert_string_equal(response.headers[0].name, "Content-Type");
	assert_string_equal(response.headers[0].value, "text/plain");
	assert_int_equal(response.body_len, 6);
	assert_memory_equal(response.body, "hello\n", 6);
}

static void test_crlf_and_spaces(void **state)
{
	assert_int_equal(parse("A:1\r\nB: \t two words \t\r\nC:\r\n\r\n\r\nbody"), 0);
	assert_int_equal(response.headers_count, 3);
	assert_string_equal(response.headers[0].value, "1");
	assert_string_equal(response.headers[1].value, "two words");
	assert_string_equal(response.headers[2].value, "");
	assert_memory_equal(response.body, "\r\nbody", 6);
	assert_int_equal(response.body_len, 6);
}

static void test_status(void **state)
{
	assert_int_equal(parse("Status: 404 Not Found\n\n"), 0);
	assert_int_equal(response.status, 404);
	assert_int_equal(response.headers_count, 0);
	assert_int_equal(parse("status:599\nX: y\n\n"), 0);
	assert_int_equal(response.status, 599);
	assert_int_equal(parse("Status: 204\n\nbody"), 0);
	assert_int_equal(response.body_len, 0);
	assert_int_equal(parse("Status: 304\n\nbody"), 0);
	assert_int_equal(response.body_len, 0);
	static const char *const bad[] = {
		"Status: 99\n\n",    "Status: 100\n\n",	 "Status: 600\n\n",
		"Status: 2000\n\n",  "Status: \n\n",	 "Status: OK\n\n",
		"Status: 200OK\n\n", "Status: -200\n\n", "Status: 99999999999999999999200\n\n"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++) {
		assert_int_equal(parse(bad[i]), -EINVAL);
		assert_non_null(strstr(why.text, "not a status"));
	}
	assert_int_equal(parse("Status: 200\nStatus: 201\n\n"), -EINVAL);
}

static void test_location(void **state)
{
	assert_int_equal(parse("Location: /there\n\n"), 0);
	assert_int_equal(response.status, 302);
	assert_string_equal(response.headers[0].value, "/there");
	assert_int_equal(parse("Location: /there\nStatus: 201\n\n"), 0);
	assert_int_equal(response.status, 201);
}

static void test_framing_is_left_out(void **state)
{
	assert_int_equal(parse("Content-Length: 5\nTransfer-Encoding: chunked\nconnection: close\n"
			       "Date: x\nUpgrade: x\nX-Mine: 1\n\n"),
			 0);
	assert_int_equal(response.headers_count, 1);
	assert_string_equal(response.headers[0].name, "X-Mine");
}

static void test_malformed(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *message;
	} cases[] = {
		{"", 0, "there is no output"},
		{"hello", 5, "no empty line"},
		{"A: b", 4, "no empty line"},
		{"A: b\n", 5, "no empty line"},
		{"A: b\r\n", 6, "no empty line"},
		{"\n\n", 2, "there are no headers"},
		{"\r\nbody", 6, "there are no headers"},
		{"HTTP/1.1 200 OK\n\n", 17, "not a header line"},
		{"<html>\n\n", 8, "not a header line"},
		{"A b: c\n\n", 8, "not a header line"},
		{" A: b\n\n", 7, "not a header line"},
		{"A: b\n c\n\n", 9, "not a header line"},
		{": b\n\n", 5, "not a header line"},
		{"A\n\n", 3, "not a header line"},
		{"A\0: b\n\n", 7, "not a header line"},
		{"A: b\0c\n\n", 8, "a control character"},
		{"A: b\rSet-Cookie: x\n\n", 20, "a control character"},
		{"A: b\r\r\n\n", 8, "a control character"},
		{"A: b\x7f\n\n", 7, "a control character"},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		why.text[0] = '\0';
		assert_int_equal(parse_n(cases[i].text, cases[i].len), -EINVAL);
		if (strstr(why.text, cases[i].message) == NULL)
			fail_msg("case %zu: %s", i, why.text);
	}
}

static void test_limits(void **state)
{
	struct eos_buf buf;
	eos_buf_init(&buf);
	for (unsigned i = 0; i < WAGI_HEADERS_MAX; i++)
		eos_buf_printf(&buf, "H%u: x\n", i);
	eos_buf_puts(&buf, "\n");
	assert_int_equal(parse(buf.data), 0);
	assert_int_equal(response.headers_count, WAGI_HEADERS_MAX);
	buf.len--;
	eos_buf_puts(&buf, "One: more\n\n");
	assert_int_equal(parse(buf.data), -EINVAL);
	eos_buf_clear(&buf);
	eos_buf_puts(&buf, "A: ");
	for (unsigned i = 0; i < WAGI_HEADER_BYTES_MAX; i++)
		eos_buf_puts(&buf, "x");
	eos_buf_puts(&buf, "\n\n");
	assert_int_equal(parse(buf.data), -EINVAL);
	assert_non_null(strstr(why.text, "bytes of headers"));
	eos_buf_fini(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_crlf_and_spaces),
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_location),
		cmocka_unit_test(test_framing_is_left_out),
		cmocka_unit_test(test_malformed),
		cmocka_unit_test(test_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
