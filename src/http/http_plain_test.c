#include "http/http_plain.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* In memory of exactly its size, so that the sanitizers see a byte too many. */
static size_t parse(const char *text, size_t len, struct http_plain *plain, char **ret_copy)
{
	char *copy = malloc(len > 0 ? len : 1);
	assert_non_null(copy);
	memcpy(copy, text, len);
	size_t used = http_plain_parse(copy, len, plain);
	if (ret_copy != NULL)
		*ret_copy = copy;
	else
		free(copy);
	return used;
}

static void takes_apart(void **state)
{
	static const char text[] = "GET /a%20b/c?d=e&f HTTP/1.1\r\nHost: x:1\r\nACCEPT:*/*\r\n"
				   "X-A: \t b\tc, d\r\nX-Empty:\r\nConnection: Keep-Alive\r\n\r\n";
	struct http_plain plain;
	char *copy;
	/* What follows is not looked at. */
	assert_int_equal(parse(text, sizeof(text), &plain, &copy), sizeof(text) - 1);
	assert_false(plain.is_head);
	assert_string_equal(plain.path, "/a%20b/c");
	assert_string_equal(plain.query, "d=e&f");
	assert_int_equal(plain.headers_count, 5);
	assert_string_equal(plain.headers[0].name, "Host");
	assert_string_equal(plain.headers[0].value, "x:1");
	assert_string_equal(plain.headers[1].name, "ACCEPT");
	assert_string_equal(plain.headers[1].value, "*/*");
	assert_string_equal(plain.headers[2].value, "b\tc, d");
	assert_string_equal(plain.headers[3].value, "");
	free(copy);
	static const char head[] = "HEAD / HTTP/1.1\r\nhost:\r\n\r\n";
	assert_int_equal(parse(head, sizeof(head) - 1, &plain, &copy), sizeof(head) - 1);
	assert_true(plain.is_head);
	assert_string_equal(plain.query, "");
	free(copy);
}

static void tells_of_a_body(void **state)
{
	static const char text[] =
		"PUT /b/k HTTP/1.1\r\nHost: x\r\ncontent-length: 18446744073709551615"
		"\r\nExpect: 100-Continue\r\n\r\nbody";
	struct http_plain plain;
	char *copy;
	assert_int_equal(parse(text, sizeof(text) - 1, &plain, &copy), sizeof(text) - 5);
	assert_string_equal(plain.method, "PUT");
	assert_true(plain.has_content_length && plain.expects_continue);
	assert_true(plain.content_length == UINT64_MAX);
	free(copy);
	static const char *const methods[] = {"GET", "HEAD", "PUT", "POST", "DELETE"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(methods); i++) {
		char other[64];
		size_t len = (size_t)snprintf(other, sizeof(other),
					      "%s / HTTP/1.1\r\nHost: x\r\n\r\n", methods[i]);
		assert_int_equal(parse(other, len, &plain, &copy), len);
		assert_string_equal(plain.method, methods[i]);
		assert_int_equal(plain.is_head, i == 1);
		/* Nothing is left of the request before. */
		assert_false(plain.has_content_length || plain.expects_continue);
		assert_int_equal(plain.content_length, 0);
		free(copy);
	}
}

/* Every beginning of a plain request is not one. */
static void wants_it_whole(void **state)
{
	static const char text[] = "GET /a?b HTTP/1.1\r\nHost: x\r\nA: b\r\n\r\n";
	struct http_plain plain;
	for (size_t len = 0; len < sizeof(text) - 1; len++)
		assert_int_equal(parse(text, len, &plain, NULL), 0);
	assert_int_equal(parse(text, sizeof(text) - 1, &plain, NULL), sizeof(text) - 1);
}

static void leaves_the_rest(void **state)
{
#define LINES(lines) "GET / HTTP/1.1\r\nHost: x\r\n" lines "\r\n"
	static const char *const others[] = {
		"\r\n\r\n",
		"GET\r\n\r\n",
		"GET /\r\n\r\n",
		"GET / HTTP/1.1\r\n\r\n", /* no Host */
		"PATCH / HTTP/1.1\r\nHost: x\r\n\r\n",
		"GETS / HTTP/1.1\r\nHost: x\r\n\r\n",
		"get / HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET  / HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /  HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /\tHTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /a\001 HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET * HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET http://x/ HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.0\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.10\r\nHost: x\r\n\r\n",
		"GET / HTTP/1.1\nHost: x\r\n\r\n",
		"\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
		LINES("Host: y\r\n"),
		LINES("Content-Length: 1\r\nContent-Length: 1\r\n"),
		LINES("Content-Length: 1, 1\r\n"),
		LINES("Content-Length: -1\r\n"),
		LINES("Content-Length: +1\r\n"),
		LINES("Content-Length: 0x1\r\n"),
		LINES("Content-Length:\r\n"),
		LINES("Content-Length: 18446744073709551616\r\n"),
		LINES("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n"),
		LINES("content-lengthx: 0\r\n"),
		LINES("Transfer-Encoding: chunked\r\n"),
		LINES("transfer-encodingchunked: x\r\n"),
		LINES("Expect: 200-ok\r\n"),
		LINES("Expect:\r\n"),
		LINES("Connection: close\r\n"),
		LINES("Connection: keep-alive, close\r\n"),
		LINES("Connection: upgrade\r\n"),
		LINES("Keep-Alive: timeout=5\r\n"),
		LINES("Upgrade: h2c\r\n"),
		LINES("TE: trailers\r\n"),
		LINES("Trailer: x\r\n"),
		LINES(" folded\r\n"),
		LINES("\tfolded: x\r\n"),
		LINES("A : b\r\n"),
		LINES("A B: c\r\n"),
		LINES(": c\r\n"),
		LINES("A\r\n"),
		LINES("A: b \r\n"),
		LINES("A: b\001\r\n"),
		LINES("A: b\177\r\n"),
		LINES("A: b\rc\r\n"),
		LINES("A: b\nC: d\r\n"),
		LINES("A\303\244: b\r\n"),
	};
	struct http_plain plain;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(others); i++)
		if (parse(others[i], strlen(others[i]), &plain, NULL) != 0)
			fail_msg("plain: <%s>", others[i]);
	static const char nul[] = LINES("A: b\0c\r\n");
	assert_int_equal(parse(nul, sizeof(nul) - 1, &plain, NULL), 0);
	/* These look like them, and are plain. */
	static const char *const plains[] = {
		LINES("Cookie: a=b; c=d\r\n"), LINES("Content-Type: a/b\r\n"),
		LINES("Expected: x\r\n"),      LINES("Test: x\r\n"),
		LINES("Upgrades: x\r\n"),      LINES("A: \303\244\r\n"),
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(plains); i++)
		if (parse(plains[i], strlen(plains[i]), &plain, NULL) != strlen(plains[i]))
			fail_msg("not plain: <%s>", plains[i]);
}

static void limits(void **state)
{
	struct http_plain plain;
	char text[HTTP_PLAIN_BYTES_MAX];
	for (unsigned count = HTTP_PLAIN_HEADERS_MAX - 1; count <= HTTP_PLAIN_HEADERS_MAX;
	     count++) {
		size_t len = (size_t)snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: x\r\n");
		for (unsigned i = 0; i < count; i++)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "A: b\r\n");
		len += (size_t)snprintf(text + len, sizeof(text) - len, "\r\n");
		assert_int_equal(parse(text, len, &plain, NULL),
				 count < HTTP_PLAIN_HEADERS_MAX ? len : 0);
	}
	for (size_t target = HTTP_PLAIN_TARGET_MAX; target <= HTTP_PLAIN_TARGET_MAX + 1; target++) {
		memcpy(text, "GET /", 5);
		memset(text + 5, 'a', target - 1);
		size_t len = 4 + target;
		len += (size_t)snprintf(text + len, sizeof(text) - len,
					" HTTP/1.1\r\nHost: x\r\n\r\n");
		assert_int_equal(parse(text, len, &plain, NULL),
				 target <= HTTP_PLAIN_TARGET_MAX ? len : 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_apart),	  cmocka_unit_test(tells_of_a_body),
		cmocka_unit_test(wants_it_whole), cmocka_unit_test(leaves_the_rest),
		cmocka_unit_test(limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
