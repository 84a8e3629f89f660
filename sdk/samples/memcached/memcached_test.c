/*
 * Memcached's protocol over talk_input(), and the function's framing of UDP and TCP.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "memcached_fixture.h"

static void test_storing(void **state)
{
	begin(1 << 20);
	ASK("get a\r\n", "END\r\n");
	ASK("set a 5 0 3\r\nabc\r\n", "STORED\r\n");
	ASK("get a\r\n", "VALUE a 5 3\r\nabc\r\nEND\r\n");
	ASK("add a 0 0 1\r\nx\r\n", "NOT_STORED\r\n");
	ASK("add b 0 0 0\r\n\r\n", "STORED\r\n");
	ASK("replace c 0 0 1\r\nx\r\n", "NOT_STORED\r\n");
	ASK("replace b 1 0 1\r\nx\r\n", "STORED\r\n");
	ASK("append a 9 0 2\r\nde\r\n", "STORED\r\n");
	ASK("prepend a 9 0 2\r\n>>\r\n", "STORED\r\n");
	ASK("append none 0 0 1\r\nx\r\n", "NOT_STORED\r\n");
	ASK("get a c b\r\n", "VALUE a 5 7\r\n>>abcde\r\nVALUE b 1 1\r\nx\r\nEND\r\n");
	ASK("delete a\r\n", "DELETED\r\n");
	ASK("delete a\r\n", "NOT_FOUND\r\n");
	/* Values are bytes. */
	ASK("set a 0 0 6\r\n\r\nget\r\r\n", "STORED\r\n");
	ASK("get a\r\n", "VALUE a 0 6\r\n\r\nget\r\r\nEND\r\n");
}

static void test_cas(void **state)
{
	unsigned long long cas;
	char text[64];
	begin(1 << 20);
	ask("set a 0 0 1\r\nx\r\n");
	assert_int_equal(sscanf(ask("gets a\r\n"), "VALUE a 0 1 %llu", &cas), 1);
	snprintf(text, sizeof(text), "cas a 0 0 1 %llu\r\ny\r\n", cas + 1);
	ASK(text, "EXISTS\r\n");
	snprintf(text, sizeof(text), "cas a 0 0 1 %llu\r\ny\r\n", cas);
	ASK(text, "STORED\r\n");
	ASK(text, "EXISTS\r\n");
	ASK("cas none 0 0 1 1\r\ny\r\n", "NOT_FOUND\r\n");
}

static void test_counting(void **state)
{
	begin(1 << 20);
	ask("set n 0 0 2\r\n99\r\n");
	ASK("incr n 1\r\n", "100\r\n");
	ASK("decr n 1\r\n", "99\r\n");
	ASK("decr n 1000\r\n", "0\r\n");
	ASK("incr n 18446744073709551615\r\n", "18446744073709551615\r\n");
	ASK("incr n 2\r\n", "1\r\n");
	ASK("incr none 2\r\n", "NOT_FOUND\r\n");
	ASK("incr n -2\r\n", "CLIENT_ERROR invalid numeric delta argument\r\n");
	ask("set s 0 0 1\r\nx\r\n");
	ASK("incr s 1\r\n", "CLIENT_ERROR cannot increment or decrement non-numeric value\r\n");
}

static void test_noreply(void **state)
{
	begin(1 << 20);
	ASK("set a 0 0 1 noreply\r\n1\r\nincr a 1 noreply\r\ntouch a 0 noreply\r\n"
	    "append a 0 0 1 noreply\r\n3\r\nadd a 0 0 1 noreply\r\nx\r\nget a\r\n",
	    "VALUE a 0 2\r\n23\r\nEND\r\n");
	ASK("delete a noreply\r\nflush_all noreply\r\nverbosity 1 noreply\r\nget a\r\n", "END\r\n");
}

static void test_expiry(void **state)
{
	char text[64];
	begin(1 << 20);
	ask("set a 0 10 1\r\nx\r\n");
	ask("set b 0 -1 1\r\nx\r\n");
	snprintf(text, sizeof(text), "set c 0 %u 1\r\nx\r\n", 1700000000u + 30);
	ask(text);
	ASK("get b\r\n", "END\r\n");
	proto_now = 11;
	ASK("get a c\r\n", "VALUE a 0 1\r\nx\r\nVALUE c 0 1\r\nx\r\nEND\r\n");
	ASK("touch c 100\r\n", "TOUCHED\r\n");
	ASK("touch none 100\r\n", "NOT_FOUND\r\n");
	proto_now = 12;
	ASK("get a\r\n", "END\r\n");
	proto_now = 110;
	ASK("gat 50 c\r\n", "VALUE c 0 1\r\nx\r\nEND\r\n");
	proto_now = 159;
	ASK("get c\r\n", "VALUE c 0 1\r\nx\r\nEND\r\n");
	proto_now = 160;
	ASK("get c\r\n", "END\r\n");
	/* Flushed later. */
	ask("set d 0 0 1\r\nx\r\n");
	ASK("flush_all 5\r\n", "OK\r\n");
	ASK("get d\r\n", "VALUE d 0 1\r\nx\r\nEND\r\n");
	proto_now = 165;
	ASK("get d\r\n", "END\r\n");
	ask("set d 0 0 1\r\ny\r\n");
	ASK("get d\r\n", "VALUE d 0 1\r\ny\r\nEND\r\n");
}

static void test_mistakes(void **state)
{
	static char key[400], line[500];
	begin(1 << 20);
	ASK("\r\n", "ERROR\r\n");
	ASK("nonsense\r\n", "ERROR\r\n");
	ASK("get\r\n", "ERROR\r\n");
	ASK("set a 0 0\r\n", "ERROR\r\n");
	ASK("set a x 0 1\r\n", "CLIENT_ERROR bad command line format\r\n");
	ASK("set a 0 0 -1\r\n", "CLIENT_ERROR bad command line format\r\n");
	ASK("set a 4294967296 0 1\r\n", "CLIENT_ERROR bad command line format\r\n");
	ASK("set a 0 0 1\r\nxyz\r\n", "CLIENT_ERROR bad data chunk\r\nERROR\r\n");
	ASK("get a\r\n", "END\r\n");
	memset(key, 'k', 250);
	snprintf(line, sizeof(line), "set %s 0 0 1\r\nx\r\n", key);
	ASK(line, "STORED\r\n");
	memset(key, 'k', 251);
	snprintf(line, sizeof(line), "get %s\r\n", key);
	ASK(line, "CLIENT_ERROR bad command line format\r\n");
	/* A value beyond the limit is read away, and what was there is gone. */
	ask("set a 0 0 1\r\nx\r\n");
	ASK("set a 0 0 1048577\r\n", "SERVER_ERROR object too large for cache\r\n");
	char *value = calloc(1, 1048577 + 3);
	assert_non_null(value);
	memset(value, 'v', 1048577);
	memcpy(value + 1048577, "\r\n", 3);
	ASK(value, "");
	free(value);
	ASK("get a\r\n", "END\r\n");
	/* A line without an end. */
	char *endless = malloc(LINE_MAX + 2);
	assert_non_null(endless);
	memset(endless, 'x', LINE_MAX + 1);
	endless[LINE_MAX + 1] = '\0';
	ASK(endless, "CLIENT_ERROR line too long\r\n");
	assert_true(talk.must_close);
	free(endless);
}

static void test_meta(void **state)
{
	begin(1 << 20);
	ASK("mn\r\n", "MN\r\n");
	ASK("mg a v\r\n", "EN\r\n");
	ASK("ms a 2 F7 T100\r\nxy\r\n", "HD\r\n");
	ASK("mg a v f t s k Oabc\r\n", "VA 2 f7 t100 s2 ka Oabc\r\nxy\r\n");
	ASK("mg a\r\n", "HD\r\n");
	/* The longest opaque token. */
	ASK("mg a O1234567890123456789012345678901\r\n", "HD O1234567890123456789012345678901\r\n");
	ASK("ms none 1 MR C9 O1234567890123456789012345678901\r\nz\r\n",
	    "NF O1234567890123456789012345678901\r\n");
	/* The value of a set that is refused is no command. */
	ASK("ms a 4 O12345678901234567890123456789012\r\nmn\r\n\r\nmg a\r\n",
	    "CLIENT_ERROR opaque token too long\r\nHD\r\n");
	ASK("ms a 2 c c\r\nmn\r\n", "CLIENT_ERROR duplicate flag\r\n");
	ASK("ms Y*== 2 b\r\nmn\r\n", "CLIENT_ERROR error decoding key\r\n");
	ASK("mg none v q\r\nmn\r\n", "MN\r\n");
	ASK("ms a 1 ME\r\nz\r\n", "NS\r\n");
	ASK("ms a 1 MA\r\nz\r\n", "HD\r\n");
	ASK("ms a 1 MP q\r\n<\r\nmg a v\r\n", "VA 4\r\n<xyz\r\n");
	ASK("ms a 1 C999999\r\nz\r\n", "EX\r\n");
	ASK("ms none 1 MR\r\nz\r\n", "NS\r\n");
	ASK("ms n 1\r\n5\r\n", "HD\r\n");
	ASK("ma n v\r\n", "VA 1\r\n6\r\n");
	ASK("ma n MD D2 v\r\n", "VA 1\r\n4\r\n");
	ASK("ma new v\r\n", "NF\r\n");
	ASK("ma new N0 J13 v\r\n", "VA 2\r\n13\r\n");
	/* Keys as base64: "YQ==" is "a". */
	ASK("mg YQ== b v\r\n", "VA 4\r\n<xyz\r\n");
	ASK("mg Y*== b v\r\n", "CLIENT_ERROR error decoding key\r\n");
	ASK("mg a v v\r\n", "CLIENT_ERROR duplicate flag\r\n");
	/* Invalid, but better than nothing: one is told to make it anew. */
	ASK("md a I\r\n", "HD\r\n");
	ASK("mg a v\r\n", "VA 4 X W\r\n<xyz\r\n");
	ASK("mg a v\r\n", "VA 4 Z X\r\n<xyz\r\n");
	ASK("md a\r\n", "HD\r\n");
	ASK("md a\r\n", "NF\r\n");
	ASK("md a q\r\nmn\r\n", "NF\r\nMN\r\n");
	ASK("ms a 1 q\r\nx\r\nmd a q\r\nmn\r\n", "MN\r\n");
}

/* However it is cut into two, or into bytes, the answers are the same. */
static void test_split_anywhere(void **state)
{
	static const char session[] =
		"set a 1 0 5\r\nab\r\nc\r\nget a b\r\nms m 3 F2\r\nxyz\r\nmg m v f\r\nincr a 1\r\n"
		"set long 0 0 3\r\nabcdef\r\nset b 0 0 1 noreply\r\n7\r\nincr b 3\r\nbad\r\n"
		"set big 0 0 2000000\r\n";
	uint32_t len = sizeof(session) - 1;
	char expected[1024];
	begin(1 << 20);
	strcpy(expected, ask(session));
	assert_true(strlen(expected) > 100);
	for (uint32_t cut = 0; cut <= len; cut++) {
		char *first = malloc(cut + 1), *second = malloc(len - cut + 1);
		assert_true(first != NULL && second != NULL);
		memcpy(first, session, cut);
		memcpy(second, session + cut, len - cut);
		begin(1 << 20);
		talk_input(&talk, first, cut);
		talk_input(&talk, second, len - cut);
		assert_int_equal(talk.out_len, strlen(expected));
		assert_memory_equal(talk.out, expected, talk.out_len);
		free(first);
		free(second);
	}
	begin(1 << 20);
	for (uint32_t i = 0; i < len; i++)
		talk_input(&talk, session + i, 1);
	assert_int_equal(talk.out_len, strlen(expected));
	assert_memory_equal(talk.out, expected, talk.out_len);
}

static void test_eviction(void **state)
{
	char text[1200];
	const struct items_stats *stats = items_stats();
	begin(64 * 1024);
	uint64_t evicted = stats->evictions;
	for (unsigned i = 0; i < 200; i++) {
		int len = sprintf(text, "set key%u 0 0 1000\r\n", i);
		memset(text + len, 'x', 1000);
		strcpy(text + len + 1000, "\r\n");
		ASK(text, "STORED\r\n");
		assert_true(stats->bytes <= 64 * 1024);
		/* The first one is asked for all the time, and so it stays. */
		assert_int_equal(strncmp(ask("get key0\r\n"), "VALUE", 5), 0);
	}
	assert_true(stats->evictions - evicted > 100);
	ASK("get key1\r\n", "END\r\n");
	assert_int_equal(strncmp(ask("get key199\r\n"), "VALUE", 5), 0);
}

static void test_random_input(void **state)
{
	static const char *const words[] = {"get ", "set ",  "a ",    "b ",	 "0 ",	    "1 ",
					    "\r\n", "x\r\n", "mg ",   "ms ",	 "ma ",	    "v ",
					    "q ",   "b ",    "incr ", "N0 ",	 "noreply", "\n",
					    "T1 ",  "MA ",   "cas ",  "append ", "999999 "};
	begin(1 << 20);
	for (unsigned i = 0; i < 50000; i++) {
		char text[64] = "";
		for (unsigned k = 0; k < 1 + host_random() % 4; k++)
			strcat(text, words[host_random() % (sizeof(words) / sizeof(words[0]))]);
		uint32_t len = (uint32_t)strlen(text);
		for (unsigned k = 0; i % 3 == 0 && k < 2; k++)
			text[host_random() % len] = (char)host_random();
		talk_input(&talk, text, len);
		talk.out_len = 0;
		proto_now += i % 64 == 0;
		if (talk.must_close || talk.is_broken || talk.value_left > 100000)
			begin(1 << 20);
	}
}

/* --- the function --- */

static void start(void)
{
	begin(1 << 20);
	host_forget_sent();
}

static const char *datagram(const char *frame, const char *text)
{
	char data[512];
	size_t len = strlen(text);
	memcpy(data, frame, 8);
	memcpy(data + 8, text, len);
	if (host_datagram(1, data, (uint32_t)(8 + len)) != EDGEOS_ANSWER)
		return "";
	host_result.data[host_result.len] = '\0';
	return (const char *)host_result.data + 8;
}

static void test_datagrams(void **state)
{
	start();
	assert_string_equal(datagram("\x12\x34\0\0\0\1\0\0", "set a 0 0 1\r\nx\r\nget a\r\n"),
			    "STORED\r\nVALUE a 0 1\r\nx\r\nEND\r\n");
	assert_memory_equal(host_result.data, "\x12\x34\0\0\0\1\0\0", 8);
	/* Of several datagrams, or without a frame. */
	assert_string_equal(datagram("\x12\x34\0\0\0\2\0\0", "get a\r\n"), "");
	for (uint32_t n = 0; n < 8; n++)
		assert_int_equal(host_datagram(1, "\0\1\0\0\0\1\0\0", n), EDGEOS_DROP);
	/* What is not complete is forgotten, and is not part of the next one. */
	assert_string_equal(datagram("\0\1\0\0\0\1\0\0", "set b 0 0 10\r\nabc"), "");
	assert_string_equal(datagram("\0\1\0\0\0\1\0\0", "get a"), "");
	assert_string_equal(datagram("\0\2\0\0\0\1\0\0", "get b\r\n"), "END\r\n");
	/* A value set over TCP, longer than a datagram: the answer comes in several. */
	char value[4096];
	int len = sprintf(value, "set big 0 0 4000\r\n");
	host_stream(9, EDGEOS_FIRST, value, (uint32_t)len);
	memset(value, 'x', 2000);
	host_stream(9, 0, value, 2000);
	host_stream(9, 0, value, 2000);
	host_stream(9, EDGEOS_LAST, "\r\n", 2);
	host_forget_sent();
	datagram("\0\7\0\0\0\1\0\0", "get big\r\n");
	assert_int_equal(host_sent_count, 2);
	for (unsigned i = 0; i < 2; i++) {
		const uint8_t frame[8] = {0, 7, 0, (uint8_t)i, 0, 3, 0, 0};
		assert_memory_equal(host_sent[i].data, frame, 8);
		assert_int_equal(host_sent[i].len, 1400);
	}
	assert_memory_equal(host_result.data, "\0\7\0\2\0\3\0\0", 8);
}

static void test_streams(void **state)
{
	start();
	host_stream(5, EDGEOS_FIRST, "set s 0 0 1\r\n1\r", 15);
	host_stream(6, EDGEOS_FIRST, "get", 3);
	host_stream(5, 0, "\nget s\r\n", 8);
	host_stream(6, 0, " s\r\n", 4);
	assert_int_equal(host_sent_count, 2);
	assert_int_equal(host_sent[0].peer, 5);
	assert_int_equal(host_sent[1].peer, 6);
	assert_memory_equal(host_sent[1].data, "VALUE s 0 1\r\n1\r\nEND\r\n", 21);
	unsigned closed = host_closed;
	host_stream(5, 0, "quit\r\n", 6);
	assert_int_equal(host_closed, closed + 1);
	host_stream(6, EDGEOS_LAST, "", 0);
	/* A client who reads nothing is ended, and more connections than there are places. */
	host_send_error = -11;
	host_stream(7, EDGEOS_FIRST, "version\r\n", 9);
	host_send_error = 0;
	assert_int_equal(host_closed, closed + 2);
	for (uint32_t peer = 100; peer < 400; peer++)
		host_stream(peer, EDGEOS_FIRST, "", 0);
	assert_int_equal(host_closed, closed + 2 + 300 - 256);
	for (uint32_t peer = 100; peer < 400; peer++)
		host_stream(peer, EDGEOS_LAST, "", 0);
	host_forget_sent();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_storing),	  cmocka_unit_test(test_cas),
		cmocka_unit_test(test_counting),  cmocka_unit_test(test_noreply),
		cmocka_unit_test(test_expiry),	  cmocka_unit_test(test_mistakes),
		cmocka_unit_test(test_meta),	  cmocka_unit_test(test_split_anywhere),
		cmocka_unit_test(test_eviction),  cmocka_unit_test(test_random_input),
		cmocka_unit_test(test_datagrams), cmocka_unit_test(test_streams),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
