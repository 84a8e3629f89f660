/*
 * The reverse proxy: ends, failures, time, and anything at all.
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
	/* So do all that were asked for before, the last of which says that it is. */
	peer = open_with(GET GET GET);
	host_stream(peer, EDGEOS_LAST, "", 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(host_closed, 0);
		forget();
		server(OUT, peer, i == 0 ? EDGEOS_FIRST : 0, OK);
		assert_int_equal(strstr(sent_by(0, peer), "Connection: close") != NULL, i == 2);
	}
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
	assert_non_null(strstr(sent_by(0, peer), "\r\nConnection: close\r\n"));
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

/* --- what servers get --- */

#define PEERS 6u

/* What came of a server's connection, of each way and client. */
static struct {
	char text[1 << 16];
	uint32_t len;
} wires[2][PEERS];

/* Each is requests, one behind the other, of which only the last may be cut off. */
static void look_at_wire(unsigned way, uint32_t peer)
{
	static const char mark[] = "X-Forwarded-Proto: http\r\n\r\n";
	static struct http_head head;
	const char *at = wires[way][peer].text;
	uint32_t left = wires[way][peer].len;
	wires[way][peer].len = 0;
	while (left > 0) {
		struct http_body body;
		struct piece data;
		uint32_t scanned = 0;
		int32_t n = http_find_end(at, left, &scanned);
		assert_int_not_equal(n, -1);
		if (n == 0)
			return;
		assert_int_equal(http_parse_request(at, (uint32_t)n, &head), 0);
		/* How the proxy ends each. */
		assert_true((uint32_t)n > sizeof(mark));
		assert_memory_equal(at + n - (sizeof(mark) - 1), mark, sizeof(mark) - 1);
		at += n;
		left -= (uint32_t)n;
		http_body_init(&body, head.framing, head.length);
		while (left > 0 && !body.is_done) {
			n = http_body_take(&body, at, left, &data);
			assert_in_range(n, 1, left);
			at += n;
			left -= (uint32_t)n;
		}
	}
}

/* What was sent since the last time, and the ends of connections between. */
static void look_at_wires(void)
{
	unsigned shut = 0;
	for (unsigned i = 0; i <= host_sent_count; i++) {
		for (; shut < host_shuts_count && host_shuts[shut].sent_before == i; shut++)
			if (host_shuts[shut].port != EDGEOS_PORT_CLIENT)
				look_at_wire(host_shuts[shut].port - OUT, host_shuts[shut].peer);
		if (i == host_sent_count || host_sent[i].port == EDGEOS_PORT_CLIENT)
			continue;
		unsigned way = host_sent[i].port - OUT;
		uint32_t peer = host_sent[i].peer, len = wires[way][peer].len;
		if (len + host_sent[i].len > sizeof(wires[0][0].text))
			continue;
		memcpy(wires[way][peer].text + len, host_sent[i].data, host_sent[i].len);
		wires[way][peer].len += host_sent[i].len;
	}
	forget();
}

/* A piece of what clients say, mostly right; *AT goes on in it. */
static void say(uint32_t peer, uint32_t *at, bool is_new)
{
	static const char talk[] = GET
		"POST /api HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n"
		"1e\r\nGET /evil HTTP/1.1\r\nHost: \r\n\r\n\r\n3;x=y\r\nabc\r\n0\r\nA: b\r\n\r\n"
		"POST / HTTP/1.1\r\nHost: www.test\r\nContent-Length: 27\r\n\r\n"
		"GET /evil HTTP/1.1\r\nHost: a" GET
		"POST / HTTP/1.1\r\nHost: www.test\r\nTransfer-Encoding: chunked\r\n\r\n"
		"8\r\nGET / HT\r\na\r\nTP/1.1\r\n\r\n\r\n0\r\n\r\n";
	char text[sizeof(talk)];
	uint32_t len = 1 + host_random() % (sizeof(talk) - 1 - *at);
	if (host_random() % 2 == 0)
		len = 1 + host_random() % (len < 40 ? len : 40);
	memcpy(text, talk + *at, len);
	if (host_random() % 50 == 0)
		text[host_random() % len] ^= (char)(1 << host_random() % 8);
	*at = (*at + len) % (sizeof(talk) - 1);
	host_stream(peer, is_new ? EDGEOS_FIRST : 0, text, len);
}

/* However clients and servers behave, no server gets anything but requests of ours. */
static void test_what_servers_get(void **state)
{
	(void)state;
	static const char *const responses[] = {
		OK,
		"HTTP/1.1 100 Continue\r\n\r\n",
		"HTTP/1.1 413 No\r\nContent-Length: 0\r\n\r\n",
		"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end",
		OK "more",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		"nothing\r\n",
	};
	uint32_t at[PEERS] = {0};
	forget();
	for (unsigned i = 0; i < 100000; i++) {
		uint32_t peer = 1 + host_random() % (PEERS - 1), way = OUT + host_random() % 2;
		uint32_t kind = host_random() % 64;
		unsigned closed = host_closed;
		if (kind < 32) {
			say(peer, &at[peer], at[peer] == 0);
		} else if (kind < 60) {
			if (wires[way - OUT][peer].len > 0)
				server(way, peer, 0, responses[kind < 48 ? 0 : kind % 7]);
		} else if (kind < 63) {
			bool is_broken = host_random() % 2 == 0;
			look_at_wire(way - OUT, peer);
			host_stream_by(way, peer, EDGEOS_LAST | (is_broken ? EDGEOS_BROKEN : 0), "",
				       0);
		} else {
			host_stream(peer, EDGEOS_LAST | (i % 2 == 0 ? EDGEOS_BROKEN : 0), "", 0);
		}
		bool is_closed = host_closed != closed || was_shut(0, EDGEOS_SHUT_BREAK);
		look_at_wires();
		/* The next that he says comes by a new connection. */
		if (is_closed) {
			look_at_wire(0, peer);
			look_at_wire(1, peer);
			at[peer] = 0;
		}
	}
	for (uint32_t peer = 1; peer < PEERS; peer++)
		end(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_ends_of_servers, set_up),
		cmocka_unit_test_setup(test_no_room_for_a_body, set_up),
		cmocka_unit_test_setup(test_ends_of_clients, set_up),
		cmocka_unit_test_setup(test_time, set_up),
		cmocka_unit_test_setup(test_hostile, set_up),
		cmocka_unit_test_setup(test_what_servers_get, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
