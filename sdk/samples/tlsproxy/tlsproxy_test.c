/*
 * The reverse proxy: what is passed on and how, what is refused, whatever pieces it comes in.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tlsproxy_fixture.h"

static void test_settings(void **state)
{
	(void)state;
	static const char *const wrong[] = {"", "www.test", "www.test nowhere", "a b c", ";"};
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		host_set("routes", wrong[i]);
		assert_false(host_start());
		assert_non_null(strstr(host_log, "routes"));
	}
	host_set("routes", NULL);
	assert_false(host_start());
	host_set("routes", "* out");
	host_set("timeout", "soon");
	assert_false(host_start());
}

static void test_heads(void **state)
{
	(void)state;
	host_infos[EDGEOS_STREAM_TLS] = "TLSv1.3";
	uint32_t peer =
		open_with("GET /a?b=c HTTP/1.1\r\nHost: WWW.test:8443\r\nAccept: */*\r\n"
			  "Connection: keep-alive, X-Private\r\nX-Private: 1\r\nTE: trailers\r\n"
			  "Keep-Alive: 5\r\nUpgrade: websocket\r\nX-Forwarded-For: 1.2.3.4\r\n"
			  "X-Forwarded-Proto: ftp\r\nForwarded: for=1\r\nCookie:  a=b \r\n"
			  "X_Forwarded_For: 1.2.3.4\r\nx_real-IP: 1.2.3.4\r\n"
			  "X-Forwarded-Ssl: on\r\nClient-IP: 1.2.3.4\r\nTrue-Client-Ip: 1\r\n"
			  "Proxy: http://1.2.3.4\r\nX-Original-URL: /api\r\n"
			  "Client-Cert: :AA==:\r\n\r\n");
	char want[512];
	snprintf(want, sizeof(want),
		 "GET /a?b=c HTTP/1.1\r\nHost: WWW.test:8443\r\nAccept: */*\r\nCookie: a=b\r\n"
		 "X-Forwarded-For: 10.0.0.%u\r\nX-Forwarded-Proto: https\r\n\r\n",
		 peer);
	assert_string_equal(sent_by(OUT, peer), want);
	forget();
	server(OUT, peer, EDGEOS_FIRST,
	       "HTTP/1.1 200 Fine\r\nServer: x\r\nConnection: X-Hop\r\nX-Hop: y\r\n"
	       "Keep-Alive: z\r\nContent-Length: 002\r\n\r\nhi");
	assert_string_equal(sent_by(0, peer),
			    "HTTP/1.1 200 Fine\r\nServer: x\r\nContent-Length: 2\r\n\r\nhi");
	assert_int_equal(host_closed, 0);
	end(peer);
}

static void test_routes(void **state)
{
	(void)state;
	static const struct {
		const char *target, *host;
		uint32_t way; /* 0: refused with STATUS */
		const char *status;
	} cases[] = {
		{"/", "www.test", OUT, NULL},
		{"/api", "www.test", API, NULL},
		{"/api/x", "www.test", API, NULL},
		{"/api?x", "www.test:80", API, NULL},
		{"/apix", "www.test", OUT, NULL},
		/* Written in another way, it is the same. */
		{"/%61p%69/x", "www.test", API, NULL},
		{"/%61p%69", "www.test", API, NULL},
		{"/api%78", "www.test", OUT, NULL},
		{"/ap%2569", "www.test", OUT, NULL},
		{"/ap%6", "www.test", OUT, NULL},
		{"/", "www.test.:443", OUT, NULL},
		{"/", "www.test:", OUT, NULL},
		{"/", "other", API, NULL},
		{"/", "[::1]:80", API, NULL},
		{"*", "www.test", OUT, NULL},
		{"/a..b/.c", "www.test", OUT, NULL},
		{"/x?../..", "www.test", OUT, NULL},
		{"/../api", "www.test", 0, "400"},
		{"/x/%2e%2E/api", "www.test", 0, "400"},
		{"/x%2f..%5Capi", "www.test", 0, "400"},
		{"/.", "www.test", 0, "400"},
		{"/x/..;a/api", "www.test", 0, "400"},
		{"/x/%2e.%3b", "www.test", 0, "400"},
		{"/x;../a.;..", "www.test", OUT, NULL},
		{"/%00", "www.test", 0, "400"},
		{"http://www.test/", "www.test", 0, "400"},
		{"/\x80", "www.test", 0, "400"},
		{"/#a", "www.test", 0, "400"},
		{"/", "www.test:x", 0, "400"},
		{"/", "www.test:80:80", 0, "400"},
		{"/", ":80", 0, "400"},
		{"/", "[::1", 0, "400"},
		{"/", "[::1]x", 0, "400"},
		{"/", "[]", 0, "400"},
		{"/", "[www.test]", 0, "400"},
		{"/", "www[::1]", 0, "400"},
		{"/", "www test", 0, "400"},
		{"/", "www.test,x", 0, "400"},
		{"/", "", 0, "400"},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[256];
		snprintf(text, sizeof(text), "OPTIONS %s HTTP/1.1\r\nHost: %s\r\n\r\n",
			 cases[i].target, cases[i].host);
		uint32_t peer = open_with(text);
		if (cases[i].way != 0)
			assert_true(sent_by(cases[i].way, peer)[0] != '\0');
		else
			assert_memory_equal(sent_by(0, peer) + 9, cases[i].status, 3);
		assert_int_equal(host_closed, cases[i].way == 0);
		if (cases[i].way != 0)
			end(peer);
	}
	host_set("routes", "www.test out");
	assert_true(host_start());
	uint32_t peer = open_with("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	assert_memory_equal(sent_by(0, peer), "HTTP/1.1 404 ", 13);
	/* By name to one server, by Host to another. */
	host_infos[EDGEOS_STREAM_SERVER_NAME] = "web.test";
	peer = open_with(GET);
	assert_memory_equal(sent_by(0, peer), "HTTP/1.1 421 ", 13);
	assert_string_equal(sent_by(OUT, peer), "");
}

/* What two readers could take for different messages, or is too much. */
static void test_refused(void **state)
{
	(void)state;
	static const struct {
		const char *head, *status;
	} cases[] = {
		{"GET / HTTP/1.1\n", "400"},
		{"GET / HTTP/1.1\r\nHost: a\n", "400"},
		{"GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n", "400"},
		{"GET / HTTP/1.1\r\nHost: a\r\nX: 1\r\n\t2\r\n\r\n", "400"},
		{"GET / HTTP/1.1\r\nHost : a\r\n\r\n", "400"},
		{"GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", "400"},
		{"GET / HTTP/1.1\r\n\r\n", "400"},
		{"GET / HTTP/1.0\r\nHost:\r\n\r\n", "400"},
		{"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", "400"},
		{"GET / HTTP/1.1\r\nHost: a\r\nX: \x01\r\n\r\n", "400"},
		{"GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", "400"},
		{"GET / HTTP/1.1\r\nHost: a\r\n: x\r\n\r\n", "400"},
		{"GET  / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"GET * HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"ABCDEFGHIJKLMNOPQRSTUVWXYZABCDEFGHIJ / HTTP/1.1\r\nHost: a\r\n\r\n", "501"},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent_Length: 1\r\n\r\n", "400"},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer_encoding: chunked\r\n\r\n", "400"},
		{"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "400"},
		{"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"GET /\r\nHost: a\r\n\r\n", "400"},
		{"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505"},
		{"GET / HTTP/1.2\r\n\r\n", "400"},
		{"GET / HTTP/1.a\r\nHost: a\r\n\r\n", "505"},
		{"PRI * HTTP/2.0\r\n\r\n", "505"},
		{"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "501"},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n"
		 "Transfer-Encoding: chunked\r\n\r\n",
		 "400"},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
		 "400"},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", "400"},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", "400"},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", "400"},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", "400"},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", "400"},
		{"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9999999999999999999\r\n\r\n",
		 "400"},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "501"},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", "501"},
		{"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
		 "Transfer-Encoding: chunked\r\n\r\n",
		 "400"},
		{"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "400"},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t peer = open_with(cases[i].head);
		const char *answer = sent_by(0, peer);
		assert_memory_equal(answer, "HTTP/1.1 ", 9);
		assert_memory_equal(answer + 9, cases[i].status, 3);
		assert_string_equal(sent_by(OUT, peer), "");
		assert_string_equal(sent_by(API, peer), "");
		assert_int_equal(host_closed, 1);
	}
}

static void test_too_large(void **state)
{
	(void)state;
	char text[9000];
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	uint32_t peer = open_with("GET / HTTP/1.1\r\nHost: a\r\nX: ");
	client(peer, 0, text);
	assert_int_equal(host_closed, 0);
	client(peer, 0, text);
	assert_memory_equal(sent_by(0, peer), "HTTP/1.1 431 ", 13);
	assert_int_equal(host_closed, 1);
	/* The target alone. */
	peer = open_with("\r\nGET /");
	client(peer, 0, text);
	client(peer, 0, text);
	assert_memory_equal(sent_by(0, peer), "HTTP/1.1 414 ", 13);
	/* Many small ones. */
	peer = open_with("GET / HTTP/1.1\r\nHost: a\r\n");
	for (unsigned i = 0; i < 200; i++)
		client(peer, 0, "A: b\r\n");
	client(peer, 0, "\r\n");
	assert_memory_equal(sent_by(0, peer), "HTTP/1.1 431 ", 13);
}

/* Each way of cutting a conversation into pieces leads to the same. */
static void test_pieces(void **state)
{
	(void)state;
	static const char request[] =
		"POST /x HTTP/1.1\r\nHost: www.test\r\n"
		"Transfer-Encoding: chunked\r\n\r\n"
		"4;a=b\r\nWiki\r\n005\r\npedia\r\n0\r\nTrailer: x\r\n\r\n" GET;
	static const char response[] = "HTTP/1.1 100 Continue\r\n\r\n"
				       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
				       "3\r\nabc\r\n0\r\n\r\n";
	for (uint32_t size = 1; size < sizeof(request); size += size < 8 ? 1 : 13) {
		forget();
		uint32_t peer = ++next_peer;
		for (uint32_t at = 0; at + 1 < sizeof(request); at += size) {
			uint32_t left = (uint32_t)sizeof(request) - 1 - at;
			host_stream(peer, at == 0 ? EDGEOS_FIRST : 0, request + at,
				    left < size ? left : size);
		}
		const char *body = strstr(sent_by(OUT, peer), "\r\n\r\n") + 4;
		char whole[64] = "";
		/* The frames are of the pieces' size, the content is the same. */
		for (const char *p = body; *p != '0' && *p != '\0';) {
			char *data;
			unsigned long n = strtoul(p, &data, 16);
			assert_memory_equal(data, "\r\n", 2);
			strncat(whole, data + 2, n);
			assert_memory_equal(data + 2 + n, "\r\n", 2);
			p = data + 4 + n;
		}
		assert_string_equal(whole, "Wikipedia");
		assert_string_equal(body + strlen(body) - 5, "0\r\n\r\n");
		/* The second request waits for its turn. */
		forget();
		for (uint32_t at = 0; at + 1 < sizeof(response); at += size) {
			uint32_t left = (uint32_t)sizeof(response) - 1 - at;
			host_stream_by(OUT, peer, 0, response + at, left < size ? left : size);
		}
		const char *answer = sent_by(0, peer);
		assert_memory_equal(answer, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n", 42);
		assert_string_equal(answer + strlen(answer) - 5, "0\r\n\r\n");
		assert_memory_equal(sent_by(OUT, peer), "GET / HTTP/1.1\r\n", 16);
		end(peer);
	}
}

static void test_bad_chunks(void **state)
{
	(void)state;
	static const char *const bodies[] = {"\r\n",
					     "g\r\n",
					     "1\n",
					     "123456789\r\n",
					     "1\r\nab",
					     "-1\r\n",
					     "1\r\na\r\n1x\r\n",
					     " 1\r\n",
					     "1 1\r\n",
					     "1 \t\n",
					     "0\r\n\n",
					     "1\r\r\n"};
	for (unsigned i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
		uint32_t peer = open_with("POST / HTTP/1.1\r\nHost: www.test\r\n"
					  "Transfer-Encoding: chunked\r\n\r\n");
		client(peer, 0, bodies[i]);
		assert_memory_equal(sent_by(0, peer), "HTTP/1.1 400 ", 13);
		/* The server does not take what it has for all. */
		assert_true(was_shut(OUT, EDGEOS_SHUT_BREAK));
		assert_null(strstr(sent_by(OUT, peer), "0\r\n\r\n"));
	}
	/* What was right of it goes nowhere behind that: it would open another connection, for
	 * bytes that are no request. */
	uint32_t peer = open_with("POST / HTTP/1.1\r\nHost: www.test\r\n"
				  "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nx");
	assert_true(was_shut(OUT, EDGEOS_SHUT_BREAK));
	for (unsigned i = host_shuts[0].sent_before; i < host_sent_count; i++)
		assert_int_equal(host_sent[i].port, EDGEOS_PORT_CLIENT);
	/* Blanks behind the size are what some pad it with. */
	peer = open_with("POST / HTTP/1.1\r\nHost: www.test\r\n"
			 "Transfer-Encoding: chunked\r\n\r\n3 \t;x=y\r\nabc\r\n0  \r\n\r\n");
	assert_non_null(strstr(sent_by(OUT, peer), "\r\n\r\n3\r\nabc\r\n0\r\n\r\n"));
	end(peer);
}

static void test_responses(void **state)
{
	(void)state;
	static const struct {
		const char *request, *response, *answer;
		bool is_closed, way_is_shut;
	} cases[] = {
		{GET, "HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 204 No\r\n\r\n", false, false},
		{"GET / HTTP/1.2\r\nHost: www.test\r\n\r\n", "HTTP/1.3 204 No\r\n\r\n",
		 "HTTP/1.1 204 No\r\n\r\n", false, false},
		/* Some clients would wait for it. */
		{GET, "HTTP/1.1 204 No\r\nContent-Length: 5\r\n\r\n", "HTTP/1.1 204 No\r\n\r\n",
		 false, false},
		{GET, "HTTP/1.1 304 \r\nContent-Length: 9\r\n\r\n",
		 "HTTP/1.1 304 \r\nContent-Length: 9\r\n\r\n", false, false},
		{"HEAD / HTTP/1.1\r\nHost: www.test\r\n\r\n",
		 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
		 "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n", false, false},
		{GET, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx",
		 "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx", false, true},
		{"GET / HTTP/1.1\r\nHost: www.test\r\nConnection: close\r\n\r\n", OK,
		 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nhi", true,
		 false},
		{"GET / HTTP/1.0\r\n\r\n",
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
		 "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nhi", true, false},
		/* Bytes that nobody asked for. */
		{GET, OK "HTTP/1.1 200 OK\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi",
		 false, true},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t peer = open_with(cases[i].request);
		uint32_t way = sent_by(OUT, peer)[0] != '\0' ? OUT : API;
		host_shuts_count = 0;
		server(way, peer, EDGEOS_FIRST, cases[i].response);
		assert_string_equal(sent_by(0, peer), cases[i].answer);
		assert_int_equal(host_closed, cases[i].is_closed);
		assert_int_equal(host_shuts_count > 0, cases[i].way_is_shut);
		if (!cases[i].is_closed)
			end(peer);
	}
}

static void test_bad_responses(void **state)
{
	(void)state;
	static const char *const responses[] = {
		"HTTP/1.1 200 OK\n\n",
		"HTTP/2 200 OK\r\n\r\n",
		"HTTP/1.1 20 OK\r\n\r\n",
		"HTTP/1.1 600 OK\r\n\r\n",
		"HTTP/1.1 101 Switching\r\n\r\n",
		"SSH-2.0-x\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
		"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n",
		"HTTP/1.1 200 OK\r\nX: 1\r\n 2\r\n\r\n",
	};
	for (unsigned i = 0; i < sizeof(responses) / sizeof(responses[0]); i++) {
		uint32_t peer = open_with(GET);
		server(OUT, peer, EDGEOS_FIRST, responses[i]);
		assert_memory_equal(sent_by(0, peer), "HTTP/1.1 502 ", 13);
		assert_true(was_shut(OUT, EDGEOS_SHUT_BREAK));
		assert_int_equal(host_closed, 1);
	}
	/* What has begun is cut off, not finished. */
	uint32_t peer = open_with(GET);
	server(OUT, peer, EDGEOS_FIRST,
	       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1x\r\n");
	assert_true(was_shut(0, EDGEOS_SHUT_BREAK));
	assert_int_equal(host_closed, 0);
}

/* Who asks for no body gets none, whatever is wrong. */
static void test_refused_head(void **state)
{
	(void)state;
	uint32_t peer = open_with("HEAD / HTTP/1.1\r\nHost: a b\r\n\r\n");
	const char *answer = sent_by(0, peer);
	assert_memory_equal(answer, "HTTP/1.1 400 ", 13);
	assert_string_equal(answer + strlen(answer) - 4, "\r\n\r\n");
}

/* A name of TLS may have any bytes: they get into no head. */
static void test_hostile_names(void **state)
{
	(void)state;
	static const char *const names[] = {"a\r\nX-Evil: 1", "a b", "a/b", "\xff", "[", ":80"};
	static const char request[] = "GET / HTTP/1.0\r\n\r\n";
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		host_infos[EDGEOS_STREAM_SERVER_NAME] = names[i];
		uint32_t peer = open_with(request);
		assert_memory_equal(sent_by(0, peer), "HTTP/1.1 421 ", 13);
		assert_string_equal(sent_by(API, peer), "");
	}
	host_infos[EDGEOS_STREAM_SERVER_NAME] = "other.test";
	uint32_t peer = open_with(request);
	assert_non_null(strstr(sent_by(API, peer), "\r\nHost: other.test\r\n"));
	end(peer);
}

/* Who asks how far a request comes. */
static void test_max_forwards(void **state)
{
	(void)state;
	static const struct {
		const char *head, *passed, *status;
	} cases[] = {
		{"OPTIONS * HTTP/1.1\r\nMax-Forwards: 10", "\r\nMax-Forwards: 9\r\n", NULL},
		{"TRACE / HTTP/1.1\r\nmax-forwards: 1", "\r\nMax-Forwards: 0\r\n", NULL},
		{"GET / HTTP/1.1\r\nMax-Forwards: 0", "\r\nMax-Forwards: 0\r\n", NULL},
		{"OPTIONS / HTTP/1.1\r\nMax-Forwards: 0", NULL, "200"},
		{"TRACE / HTTP/1.1\r\nMax-Forwards: 0", NULL, "501"},
		{"OPTIONS / HTTP/1.1\r\nMax-Forwards: -1", NULL, "400"},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char text[256];
		snprintf(text, sizeof(text), "%s\r\nHost: www.test\r\n\r\n", cases[i].head);
		uint32_t peer = open_with(text);
		if (cases[i].passed == NULL) {
			assert_memory_equal(sent_by(0, peer) + 9, cases[i].status, 3);
			assert_string_equal(sent_by(OUT, peer), "");
			continue;
		}
		assert_non_null(strstr(sent_by(OUT, peer), cases[i].passed));
		end(peer);
	}
}

static void test_expectations(void **state)
{
	(void)state;
	uint32_t peer = open_with("POST / HTTP/1.1\r\nHost: www.test\r\nContent-Length: 2\r\n"
				  "Expect: 100-continue\r\n\r\n");
	assert_non_null(strstr(sent_by(OUT, peer), "\r\nExpect: 100-continue\r\n"));
	end(peer);
	/* A client that is too old for it waits for nothing. */
	peer = open_with("POST / HTTP/1.0\r\nHost: www.test\r\nContent-Length: 2\r\n"
			 "Expect: 100-continue\r\n\r\nhi");
	assert_null(strstr(sent_by(OUT, peer), "Expect"));
	end(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_settings, set_up),
		cmocka_unit_test_setup(test_heads, set_up),
		cmocka_unit_test_setup(test_routes, set_up),
		cmocka_unit_test_setup(test_refused, set_up),
		cmocka_unit_test_setup(test_too_large, set_up),
		cmocka_unit_test_setup(test_pieces, set_up),
		cmocka_unit_test_setup(test_bad_chunks, set_up),
		cmocka_unit_test_setup(test_responses, set_up),
		cmocka_unit_test_setup(test_bad_responses, set_up),
		cmocka_unit_test_setup(test_refused_head, set_up),
		cmocka_unit_test_setup(test_expectations, set_up),
		cmocka_unit_test_setup(test_max_forwards, set_up),
		cmocka_unit_test_setup(test_hostile_names, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
