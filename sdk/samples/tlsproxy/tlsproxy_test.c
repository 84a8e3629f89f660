/*
 * The reverse proxy: what is passed on and how, what is refused, whatever pieces it comes in; ends,
 * failures and time.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "host_double.h"
#include "proxy.h"

#define OUT 1u
#define API 2u
#define GET "GET / HTTP/1.1\r\nHost: www.test\r\n\r\n"
#define OK  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

void edgeos_timer(uint32_t id);

static uint32_t next_peer;
static char got[16][1 << 17];

/* What left by PORT for PEER since the last time. */
static const char *sent_by(uint32_t port, uint32_t peer)
{
	size_t len = 0;
	for (unsigned i = 0; i < host_sent_count; i++) {
		if (host_sent[i].port != port || host_sent[i].peer != peer)
			continue;
		assert_true(len + host_sent[i].len < sizeof(got[0]));
		memcpy(got[port] + len, host_sent[i].data, host_sent[i].len);
		len += host_sent[i].len;
	}
	got[port][len] = '\0';
	return got[port];
}

static void forget(void)
{
	host_forget_sent();
	host_closed = host_shuts_count = 0;
}

static void client(uint32_t peer, uint32_t flags, const char *text)
{
	host_stream(peer, flags, text, (uint32_t)strlen(text));
}

static void server(uint32_t port, uint32_t peer, uint32_t flags, const char *text)
{
	host_stream_by(port, peer, flags, text, (uint32_t)strlen(text));
}

/* A new connection with this at its start. */
static uint32_t open_with(const char *text)
{
	forget();
	client(++next_peer, EDGEOS_FIRST, text);
	return next_peer;
}

/* The connection is over: its place is another one's. */
static void end(uint32_t peer)
{
	host_stream(peer, EDGEOS_LAST | EDGEOS_BROKEN, "", 0);
	forget();
}

static bool was_shut(uint32_t port, uint32_t how)
{
	for (unsigned i = 0; i < host_shuts_count; i++)
		if (host_shuts[i].port == port && host_shuts[i].how == how)
			return true;
	return false;
}

static int set_up(void **state)
{
	(void)state;
	static bool has_ports;
	if (!has_ports)
		host_add_port("api");
	has_ports = true;
	host_set(NULL, NULL);
	host_set("routes", "www.test/api/ api; www.test out; * api");
	memset(host_infos, 0, sizeof(host_infos));
	return host_start() ? 0 : -1;
}

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
			  "X-Forwarded-Ssl: on\r\n\r\n");
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
		{"GET / HTTP/1.1 \r\nHost: a\r\n\r\n", "400"},
		{"G(T / HTTP/1.1\r\nHost: a\r\n\r\n", "400"},
		{"GET /\r\nHost: a\r\n\r\n", "400"},
		{"GET / HTTP/2.0\r\nHost: a\r\n\r\n", "505"},
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
}

static void test_responses(void **state)
{
	(void)state;
	static const struct {
		const char *request, *response, *answer;
		bool is_closed, way_is_shut;
	} cases[] = {
		{GET, "HTTP/1.1 204 No\r\n\r\n", "HTTP/1.1 204 No\r\n\r\n", false, false},
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

static void test_ends_of_servers(void **state)
{
	(void)state;
	/* Nobody there. */
	uint32_t peer = open_with(GET);
	server(OUT, peer, EDGEOS_FIRST | EDGEOS_LAST | EDGEOS_BROKEN, "");
	assert_memory_equal(sent_by(0, peer), "HTTP/1.1 502 ", 13);
	/* The end of the connection is the end of the body; for the client it is a chunk. */
	peer = open_with(GET);
	server(OUT, peer, EDGEOS_FIRST, "HTTP/1.1 200 OK\r\n\r\nhi");
	server(OUT, peer, EDGEOS_LAST, "");
	assert_string_equal(sent_by(0, peer),
			    "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
			    "2\r\nhi\r\n0\r\n\r\n");
	assert_true(was_shut(OUT, EDGEOS_SHUT_ALL));
	end(peer);
	/* If it broke, or had promised more, the client must see that. */
	static const char *const cut[] = {"HTTP/1.1 200 OK\r\n\r\nhi",
					  "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nhi"};
	for (unsigned i = 0; i < 2; i++) {
		peer = open_with(GET);
		server(OUT, peer, EDGEOS_FIRST, cut[i]);
		server(OUT, peer, EDGEOS_LAST | (i == 0 ? EDGEOS_BROKEN : 0), "");
		assert_true(was_shut(0, EDGEOS_SHUT_BREAK));
	}
	/* An old connection that ends when it is used again: once more, if nothing can be done
	 * twice by that. */
	peer = open_with(GET);
	server(OUT, peer, EDGEOS_FIRST, OK);
	forget();
	client(peer, 0, GET);
	server(OUT, peer, EDGEOS_LAST | EDGEOS_BROKEN, "");
	const char *sent = sent_by(OUT, peer);
	assert_non_null(strstr(sent + 5, "GET / HTTP/1.1"));
	server(OUT, peer, EDGEOS_FIRST | EDGEOS_LAST | EDGEOS_BROKEN, "");
	assert_memory_equal(sent_by(0, peer), "HTTP/1.1 502 ", 13);
	peer = open_with(GET);
	server(OUT, peer, EDGEOS_FIRST, OK);
	forget();
	client(peer, 0, "DELETE / HTTP/1.1\r\nHost: www.test\r\n\r\n");
	server(OUT, peer, EDGEOS_LAST, "");
	assert_memory_equal(sent_by(0, peer), "HTTP/1.1 502 ", 13);
	/* Idle, it is only closed. */
	peer = open_with(GET);
	server(OUT, peer, EDGEOS_FIRST, OK);
	forget();
	server(OUT, peer, EDGEOS_LAST, "");
	assert_true(was_shut(OUT, EDGEOS_SHUT_ALL));
	assert_int_equal(host_sent_count, 0);
	end(peer);
}

static void test_no_room_for_a_body(void **state)
{
	(void)state;
	/* Nothing follows a part that is missing: the server would take the rest for all. */
	uint32_t peer = open_with("POST / HTTP/1.1\r\nHost: www.test\r\n"
				  "Transfer-Encoding: chunked\r\n\r\n3\r\none\r\n");
	host_send_error = -EAGAIN;
	client(peer, 0, "3\r\ntwo\r\n");
	host_send_error = 0;
	assert_true(was_shut(OUT, EDGEOS_SHUT_BREAK));
	assert_int_equal(host_closed, 1);
	client(peer, 0, "5\r\nthree\r\n0\r\n\r\n");
	assert_null(strstr(sent_by(OUT, peer), "three"));
	/* One that takes no more may have answered already. */
	peer = open_with("POST / HTTP/1.1\r\nHost: www.test\r\nContent-Length: 9\r\n\r\nhalf");
	host_send_error = -EBADF;
	client(peer, 0, "and");
	host_send_error = 0;
	assert_int_equal(host_closed, 0);
	server(OUT, peer, EDGEOS_FIRST, "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n");
	assert_memory_equal(sent_by(0, peer), "HTTP/1.1 413 No\r\n", 17);
	assert_int_equal(host_closed, 1);
}

static void test_ends_of_clients(void **state)
{
	(void)state;
	/* Half closed: the answer still comes. */
	uint32_t peer = open_with(GET);
	host_stream(peer, EDGEOS_LAST, "", 0);
	assert_int_equal(host_closed, 0);
	server(OUT, peer, EDGEOS_FIRST, OK);
	assert_non_null(strstr(sent_by(0, peer), "Connection: close"));
	assert_int_equal(host_closed, 1);
	/* In a head, or a body. */
	peer = open_with("GET / HT");
	host_stream(peer, EDGEOS_LAST, "", 0);
	assert_int_equal(host_closed, 1);
	peer = open_with("POST / HTTP/1.1\r\nHost: www.test\r\nContent-Length: 9\r\n\r\nhalf");
	host_stream(peer, EDGEOS_LAST, "", 0);
	assert_true(was_shut(OUT, EDGEOS_SHUT_BREAK));
	assert_int_equal(host_closed, 1);
	/* An answer before the question's end. */
	peer = open_with("POST / HTTP/1.1\r\nHost: www.test\r\nContent-Length: 9\r\n\r\nhalf");
	server(OUT, peer, EDGEOS_FIRST, "HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n");
	assert_memory_equal(sent_by(0, peer), "HTTP/1.1 413 No\r\n", 17);
	assert_int_equal(host_closed, 1);
	/* One that an instance before this one has known. */
	forget();
	client(++next_peer, 0, GET);
	assert_int_equal(host_closed, 1);
	/* All places taken, and free again. */
	for (unsigned i = 0; i < TALKS_MAX; i++)
		(void)open_with(GET);
	(void)open_with(GET);
	assert_int_equal(host_closed, 1);
	for (unsigned i = 0; i < TALKS_MAX; i++)
		end(next_peer - 1 - i);
	end(open_with(GET));
	/* More asked for than waits here: what is under way is answered. */
	peer = open_with(GET);
	for (unsigned i = 0; i < 1000; i++)
		client(peer, 0, GET);
	server(OUT, peer, EDGEOS_FIRST, OK);
	assert_int_equal(host_closed, 1);
}

static void test_time(void **state)
{
	(void)state;
	uint32_t head = open_with("GET / HT"), due = ++next_peer, body = ++next_peer;
	client(due, EDGEOS_FIRST, GET);
	client(body, EDGEOS_FIRST,
	       "POST / HTTP/1.1\r\nHost: www.test\r\nContent-Length: 9\r\n\r\n");
	host_now_ns += 29 * HOST_SECOND;
	assert_true(host_timer_due(0));
	edgeos_timer(0);
	assert_int_equal(host_closed, 0);
	host_now_ns += 2 * HOST_SECOND;
	assert_true(host_timer_due(0));
	edgeos_timer(0);
	assert_memory_equal(sent_by(0, head), "HTTP/1.1 408 ", 13);
	assert_memory_equal(sent_by(0, due), "HTTP/1.1 504 ", 13);
	assert_int_equal(host_closed, 2);
	end(body);
	/* Nobody is there any more. */
	assert_false(host_timer_due(0));
	uint32_t idle = open_with(GET);
	server(OUT, idle, EDGEOS_FIRST, OK);
	host_now_ns += 59 * HOST_SECOND;
	edgeos_timer(0);
	assert_int_equal(host_closed, 0);
	host_now_ns += 2 * HOST_SECOND;
	edgeos_timer(0);
	assert_int_equal(host_closed, 1);
	assert_int_equal(host_counter("timeouts"), 2);
}

/* Anything at all, from both sides: memory stays whole, places are given back. */
static void test_hostile(void **state)
{
	(void)state;
	static const char *const seeds[] = {
		GET,
		"POST / HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: "
		"chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"PUT /api HTTP/1.1\r\nHost: www.test\r\nContent-Length: 5\r\n\r\nhello" GET,
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		OK,
		"HTTP/1.1 200 OK\r\n\r\nuntil the end",
	};
	for (unsigned i = 0; i < 60000; i++) {
		char text[256];
		const char *seed = seeds[host_random() % 6];
		uint32_t len = (uint32_t)strlen(seed);
		memcpy(text, seed, len);
		for (unsigned n = host_random() % 4; n > 0; n--)
			text[host_random() % len] = (char)host_random();
		if (host_random() % 3 == 0)
			len = host_random() % (len + 1);
		uint32_t flags = host_random() % 20 == 0 ? EDGEOS_LAST : 0;
		uint32_t peer = 1 + host_random() % 80;
		if (flags != 0)
			len = 0;
		if (host_random() % 2 == 0)
			host_stream(peer, flags | (host_random() % 4 == 0 ? EDGEOS_FIRST : 0), text,
				    len);
		else
			host_stream_by(1 + host_random() % 2, peer, flags, text, len);
		if (host_random() % 500 == 0) {
			host_now_ns += 10 * HOST_SECOND;
			edgeos_timer(0);
		}
		host_send_error = host_random() % 50 == 0 ? -1 : 0;
		forget();
	}
	host_send_error = 0;
	for (uint32_t peer = 1; peer <= 80; peer++)
		end(peer);
	next_peer = 100;
	uint32_t peer = open_with(GET);
	server(OUT, peer, EDGEOS_FIRST, OK);
	assert_string_equal(sent_by(0, peer), "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
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
		cmocka_unit_test_setup(test_ends_of_servers, set_up),
		cmocka_unit_test_setup(test_no_room_for_a_body, set_up),
		cmocka_unit_test_setup(test_ends_of_clients, set_up),
		cmocka_unit_test_setup(test_time, set_up),
		cmocka_unit_test_setup(test_hostile, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
