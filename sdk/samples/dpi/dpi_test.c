#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flows.h"
#include "host_double.h"
#include "patterns.h"

static bool compile(const char *text, bool ignores_case)
{
	struct piece wrong;
	patterns_clear();
	return patterns_add((struct piece){text, (uint32_t)strlen(text)}, &wrong) &&
	       patterns_compile(ignores_case);
}

static int find(const char *text)
{
	uint16_t state = 0;
	return patterns_scan(&state, (const uint8_t *)text, (uint32_t)strlen(text));
}

static void test_patterns(void **state)
{
	assert_true(compile("he; she ;his; hers ; a\\;b; \\x00\\xff\\\\", false));
	assert_int_equal(patterns_count(), 6);
	assert_int_equal(find("ushers"), 1);
	assert_int_equal(find("xhe"), 0);
	assert_int_equal(find("hihis"), 2);
	assert_int_equal(find("HE"), -1);
	assert_int_equal(find("a;b"), 4);
	uint16_t at = 0;
	assert_int_equal(patterns_scan(&at, (const uint8_t *)"\0\0\xff\\", 4), 5);
	assert_true(compile("GeT /", true));
	assert_int_equal(find("xget /"), 0);
	assert_false(compile("a\\", false));
	assert_false(compile("\\x4", false));
	assert_false(compile("\\xg0", false));
	assert_false(compile("a;;b", false));
	assert_false(compile("\\n", false));
	assert_true(compile("a;b; ", false));
}

/* One of COUNT letters, large or small; only letters of ASCII are the same in both. */
static char letter(unsigned count, bool ignores_case)
{
	static const char letters[] = {'a', 'b', '\xc3', 'x', 'A', 'B', '\xe3', 'X'};
	return letters[host_random() % count + (ignores_case ? host_random() % 2 * 4 : 0)];
}

/* Against the obvious way, with few letters, so that there is much to find. */
static void test_against_a_model(void **state)
{
	for (unsigned round = 0; round < 600; round++) {
		bool ignores_case = round % 2 == 1;
		char text[256] = "", data[65];
		unsigned count = 1 + host_random() % 8;
		const char *words[8];
		static char each[8][8];
		for (unsigned i = 0; i < count; i++) {
			unsigned len = 1 + host_random() % 6;
			for (unsigned k = 0; k < len; k++)
				each[i][k] = letter(3, ignores_case);
			each[i][len] = '\0';
			words[i] = each[i];
			strcat(strcat(text, each[i]), ";");
		}
		assert_true(compile(text, ignores_case));
		for (unsigned i = 0; i < 64; i++)
			data[i] = letter(4, ignores_case);
		data[64] = '\0';
		size_t first = 64;
		for (unsigned i = 0; i < count; i++) {
			const char *at =
				ignores_case ? strcasestr(data, words[i]) : strstr(data, words[i]);
			size_t end = at == NULL ? 64 : (size_t)(at - data) + strlen(words[i]) - 1;
			first = end < first ? end : first;
		}
		/* It is found with the byte that completes it, in pieces as well as at once. */
		uint16_t at = 0;
		size_t found = 64;
		for (size_t i = 0; i < 64 && found == 64; i++) {
			if (patterns_scan(&at, (const uint8_t *)data + i, 1) >= 0)
				found = i;
		}
		assert_int_equal(found, first);
		assert_int_equal(find(data) >= 0, first < 64);
	}
}

/* --- flows --- */

static uint32_t segment(unsigned side, uint16_t port, uint8_t flags, uint32_t seq, const char *text)
{
	uint8_t data[2048];
	const struct host_packet packet = {
		.proto = FRAME_TCP,
		.source = side == 0 ? "10.0.0.1" : "192.0.2.1",
		.target = side == 0 ? "192.0.2.1" : "10.0.0.1",
		.source_port = side == 0 ? port : 80,
		.target_port = side == 0 ? 80 : port,
		.flags = flags,
		.seq = seq,
		.payload = text,
		.payload_len = (uint32_t)strlen(text),
	};
	uint32_t len = host_make(data, &packet);
	return host_frame(side, data, len);
}

static void start(const char *patterns, const char *verdict, const char *gaps)
{
	host_set(NULL, NULL);
	host_set("patterns", patterns);
	host_set("verdict", verdict);
	host_set("gaps", gaps);
	assert_true(host_start());
}

static void test_across_segments(void **state)
{
	static const char text[] = "GET /evil HTTP/1.1";
	start("/evil", NULL, NULL);
	/* At every border, and in pieces of one byte. */
	for (uint32_t cut = 1; cut < sizeof(text) - 1; cut++) {
		char first[32] = "";
		uint16_t port = (uint16_t)(1000 + cut);
		memcpy(first, text, cut);
		assert_int_equal(segment(0, port, FRAME_SYN, 99, ""), EDGEOS_FORWARD);
		uint32_t one = segment(0, port, FRAME_ACK, 100, first);
		uint32_t two = segment(0, port, FRAME_ACK, 100 + cut, text + cut);
		assert_int_equal(one, cut >= 9 ? EDGEOS_DROP : EDGEOS_FORWARD);
		assert_int_equal(two, EDGEOS_DROP);
		/* It is over for the whole flow, both ways, and for no other. */
		assert_int_equal(segment(1, port, FRAME_ACK, 1, "hello"), EDGEOS_DROP);
		assert_int_equal(segment(1, (uint16_t)(port + 1), FRAME_ACK, 1, "hello"),
				 EDGEOS_FORWARD);
	}
	assert_int_equal(host_counter("pattern_01"), sizeof(text) - 2);
	/* Half in one direction and half in the other is not it. */
	assert_int_equal(segment(0, 3000, FRAME_ACK, 1, "/ev"), EDGEOS_FORWARD);
	assert_int_equal(segment(1, 3000, FRAME_ACK, 1, "il"), EDGEOS_FORWARD);
	assert_int_equal(segment(0, 3000, FRAME_ACK, 4, "il"), EDGEOS_DROP);
	/* The same ports again. */
	assert_int_equal(segment(0, 3000, FRAME_SYN, 1, ""), EDGEOS_FORWARD);
	assert_int_equal(segment(0, 3000, FRAME_ACK, 2, "x"), EDGEOS_FORWARD);
}

static void test_order(void **state)
{
	start("/evil", NULL, NULL);
	assert_int_equal(segment(0, 1, FRAME_ACK, 100, "GET "), EDGEOS_FORWARD);
	/* The end before the beginning waits to be sent again. */
	assert_int_equal(segment(0, 1, FRAME_ACK, 107, "il"), EDGEOS_DROP);
	assert_int_equal(host_counter("gaps"), 1);
	assert_int_equal(segment(0, 1, FRAME_ACK, 104, "/ev"), EDGEOS_FORWARD);
	/* Sent twice: fine. Overlapping: what is new counts. */
	assert_int_equal(segment(0, 1, FRAME_ACK, 104, "/ev"), EDGEOS_FORWARD);
	assert_int_equal(segment(0, 1, FRAME_ACK, 105, "evil"), EDGEOS_DROP);
	start("/evil", NULL, "pass");
	assert_int_equal(segment(0, 2, FRAME_ACK, 100, "GET "), EDGEOS_FORWARD);
	assert_int_equal(segment(0, 2, FRAME_ACK, 200, "x"), EDGEOS_FORWARD);
	assert_int_equal(segment(0, 2, FRAME_ACK, 300, "/evil"), EDGEOS_DROP);
	/* Numbers wrap. */
	start("/evil", NULL, NULL);
	assert_int_equal(segment(0, 3, FRAME_ACK, 0xfffffffeu, "/ev"), EDGEOS_FORWARD);
	assert_int_equal(segment(0, 3, FRAME_ACK, 1, "il"), EDGEOS_DROP);
}

static void test_syn_in_the_middle(void **state)
{
	start("/evil", NULL, NULL);
	assert_int_equal(segment(0, 10, FRAME_SYN, 99, ""), EDGEOS_FORWARD);
	assert_int_equal(segment(1, 10, FRAME_SYN | FRAME_ACK, 499, ""), EDGEOS_FORWARD);
	assert_int_equal(segment(0, 10, FRAME_ACK, 100, "GET /ev"), EDGEOS_FORWARD);
	/* The server would not take it, and both halves for one. */
	assert_int_equal(segment(0, 10, FRAME_SYN, 106, ""), EDGEOS_DROP);
	assert_int_equal(segment(0, 10, FRAME_SYN | FRAME_ACK, 106, ""), EDGEOS_DROP);
	/* The first ones, once more, change nothing. */
	assert_int_equal(segment(1, 10, FRAME_SYN | FRAME_ACK, 499, ""), EDGEOS_FORWARD);
	assert_int_equal(segment(0, 10, FRAME_SYN, 99, ""), EDGEOS_FORWARD);
	assert_int_equal(segment(0, 10, FRAME_ACK, 107, "il"), EDGEOS_DROP);
	/* Nor is what was found forgotten. */
	assert_int_equal(segment(0, 10, FRAME_SYN, 7000, ""), EDGEOS_DROP);
	assert_int_equal(segment(0, 10, FRAME_ACK, 7001, "x"), EDGEOS_DROP);
	/* Behind the end the ports may be used again; or after a while. */
	for (uint16_t port = 11; port < 14; port++) {
		assert_int_equal(segment(0, port, FRAME_SYN, 99, ""), EDGEOS_FORWARD);
		assert_int_equal(segment(0, port, FRAME_ACK, 100, "GET /ev"), EDGEOS_FORWARD);
		assert_int_equal(segment(1, port, FRAME_ACK, 500, "hello"), EDGEOS_FORWARD);
		if (port == 11) {
			segment(0, port, FRAME_ACK | FRAME_FIN, 107, "");
			assert_int_equal(segment(0, port, FRAME_SYN, 9000, ""), EDGEOS_DROP);
			segment(1, port, FRAME_ACK | FRAME_FIN, 505, "");
		} else if (port == 12) {
			segment(1, port, FRAME_RST, 999, "");
			assert_int_equal(segment(0, port, FRAME_SYN, 9000, ""), EDGEOS_DROP);
			segment(1, port, FRAME_RST, 505, "");
		} else {
			host_now_ns += 299 * HOST_SECOND;
			assert_int_equal(segment(0, port, FRAME_SYN, 9000, ""), EDGEOS_DROP);
			host_now_ns += 2 * HOST_SECOND;
		}
		assert_int_equal(segment(0, port, FRAME_SYN, 9000, ""), EDGEOS_FORWARD);
		assert_int_equal(segment(0, port, FRAME_ACK, 9001, "il"), EDGEOS_FORWARD);
	}
}

/* The server keeps to the first SYN. What it reads then is before what was followed here, where
 * each segment would be looked at by itself. */
static void test_other_syn(void **state)
{
	start("/evil", NULL, NULL);
	for (uint16_t port = 30; port < 32; port++) {
		assert_int_equal(segment(0, port, FRAME_SYN, 99, ""), EDGEOS_FORWARD);
		if (port == 30)
			segment(1, port, FRAME_SYN | FRAME_ACK, 499, "");
		assert_int_equal(segment(0, port, FRAME_SYN, 5000, ""), EDGEOS_FORWARD);
		assert_int_equal(segment(0, port, FRAME_ACK, 100, "GET /ev"), EDGEOS_DROP);
		assert_int_equal(segment(0, port, FRAME_ACK, 107, "il"), EDGEOS_DROP);
		/* Is somebody there? */
		assert_int_equal(segment(0, port, FRAME_ACK, 5000, "x"), EDGEOS_FORWARD);
		assert_int_equal(segment(0, port, FRAME_ACK, 5001, "GET /ev"), EDGEOS_FORWARD);
		assert_int_equal(segment(0, port, FRAME_ACK, 5001, "GET"), EDGEOS_FORWARD);
		assert_int_equal(segment(0, port, FRAME_ACK, 4999, "xx/ev"), EDGEOS_DROP);
		assert_int_equal(segment(0, port, FRAME_ACK, 5008, "il"), EDGEOS_DROP);
	}
	/* One that began before it was seen here, out of order. */
	assert_int_equal(segment(0, 33, FRAME_ACK, 107, "il"), EDGEOS_FORWARD);
	assert_int_equal(segment(0, 33, FRAME_ACK, 100, "GET /ev"), EDGEOS_FORWARD);
	assert_int_equal(segment(0, 33, FRAME_ACK, 107, "il"), EDGEOS_DROP);
	/* Half of all numbers away. */
	assert_int_equal(segment(0, 34, FRAME_ACK, 100, "GET /ev"), EDGEOS_FORWARD);
	assert_int_equal(segment(0, 34, FRAME_ACK, 107 + (1u << 31), "x"), EDGEOS_FORWARD);
	assert_int_equal(segment(0, 34, FRAME_ACK, 107, "il"), EDGEOS_DROP);
}

/* What no receiver takes is not between the parts of a pattern. */
static void test_refused(void **state)
{
	uint8_t data[512];
	struct host_packet packet = {.proto = FRAME_TCP,
				     .source = "2001:db8::1",
				     .target = "2001:db8::2",
				     .flags = FRAME_ACK,
				     .seq = 100,
				     .payload = "GET /ev",
				     .payload_len = 7};
	start("/evil", NULL, NULL);
	uint64_t before = host_counter("pattern_01");
	assert_int_equal(host_frame(0, data, host_make(data, &packet)), EDGEOS_FORWARD);
	packet.seq += 7;
	packet.payload = "xx";
	packet.payload_len = 2;
	uint32_t len = host_make(data, &packet);
	data[len - 1] ^= 1;
	assert_int_equal(host_frame(0, data, len), EDGEOS_DROP);
	packet.flags = FRAME_PSH;
	assert_int_equal(host_frame(0, data, host_make(data, &packet)), EDGEOS_DROP);
	assert_int_equal(host_counter("refused"), 2);
	packet.flags = FRAME_ACK;
	packet.payload = "il";
	assert_int_equal(host_frame(0, data, host_make(data, &packet)), EDGEOS_DROP);
	assert_int_equal(host_counter("pattern_01"), before + 1);
	/* Odd lengths, too. */
	packet.source_port = 5;
	len = host_make(data, &packet);
	assert_int_equal(host_frame(0, data, len), EDGEOS_FORWARD);
	packet.payload_len = 1;
	assert_int_equal(host_frame(0, data, host_make(data, &packet)), EDGEOS_FORWARD);
}

/* The receiver would take an urgent byte out of the rest. */
static void test_urgent(void **state)
{
	uint8_t data[512];
	struct frame frame;
	struct host_packet packet = {.proto = FRAME_TCP,
				     .source = "10.0.0.1",
				     .target = "192.0.2.1",
				     .source_port = 20,
				     .target_port = 80,
				     .flags = FRAME_ACK | FRAME_URG,
				     .seq = 100,
				     .payload = "GET /eXvil",
				     .payload_len = 10};
	start("/evil", NULL, NULL);
	for (unsigned i = 0; i < 2; i++) {
		packet.source = i == 0 ? "10.0.0.1" : "2001:db8::1";
		packet.target = i == 0 ? "192.0.2.1" : "2001:db8::2";
		uint32_t len = host_make(data, &packet);
		assert_true(frame_parse(&frame, data, len));
		frame_put_u16(data + frame.transport + 18, 7);
		frame_fill_checksums(&frame);
		assert_int_equal(host_frame(0, data, len), EDGEOS_FORWARD);
		assert_true(frame_parse(&frame, host_result.data, host_result.len));
		assert_int_equal(frame.tcp_flags, FRAME_ACK);
		assert_int_equal(frame_u16(host_result.data + frame.transport + 18), 0);
		assert_true(host_checksums_are_right(host_result.data, host_result.len));
		assert_memory_equal(host_result.data + frame.payload, "GET /eXvil", 10);
	}
	assert_int_equal(host_counter("urgent"), 2);
}

/* An end ahead of what it ends is sent again as well: it is not missed. */
static void test_early_end(void **state)
{
	start("/evil", NULL, NULL);
	assert_int_equal(segment(0, 21, FRAME_SYN, 99, ""), EDGEOS_FORWARD);
	assert_int_equal(segment(0, 21, FRAME_ACK | FRAME_FIN, 102, ""), EDGEOS_DROP);
	assert_int_equal(segment(0, 21, FRAME_ACK, 102, ""), EDGEOS_FORWARD);
	assert_int_equal(segment(0, 21, FRAME_ACK, 100, "ab"), EDGEOS_FORWARD);
	assert_int_equal(segment(0, 21, FRAME_ACK | FRAME_FIN, 102, ""), EDGEOS_FORWARD);
	assert_int_equal(segment(1, 21, FRAME_ACK | FRAME_FIN, 500, ""), EDGEOS_FORWARD);
	assert_int_equal(segment(0, 21, FRAME_SYN, 9000, ""), EDGEOS_FORWARD);
}

static void test_mark_and_udp(void **state)
{
	uint8_t data[512];
	struct host_packet packet = {.proto = FRAME_UDP,
				     .source = "10.0.0.1",
				     .target = "192.0.2.1",
				     .source_port = 1,
				     .target_port = 53,
				     .payload = "..evil..",
				     .payload_len = 8};
	host_set(NULL, NULL);
	host_set("patterns", "evil");
	host_set("verdict", "mark");
	host_set("hop", "nowhere");
	assert_false(host_start());
	host_set("hop", "trap");
	assert_true(host_start());
	uint32_t len = host_make(data, &packet);
	assert_int_equal(host_frame(0, data, len), EDGEOS_HOP + EDGEOS_PORT_NEXT);
	assert_int_equal(host_result.len, len);
	packet.source_port = 2;
	packet.payload_len = 5;
	assert_int_equal(host_frame(0, data, host_make(data, &packet)), EDGEOS_FORWARD);
	/* What is behind the packet (padding) is not its payload. */
	len = host_make(data, &packet);
	memcpy(data + len, "l", 1);
	assert_int_equal(host_frame(0, data, len + 1), EDGEOS_FORWARD);
}

static void test_limits(void **state)
{
	char many[1400] = "";
	for (unsigned i = 0; i < 200; i++)
		strcat(many, "abcde;");
	host_set(NULL, NULL);
	host_set("patterns", many);
	assert_false(host_start());
	assert_non_null(strstr(host_log, "too long"));
	many[1020] = '\0';
	host_set("patterns", many);
	host_set("patterns2", many);
	assert_false(host_start());
	host_set("patterns2", "x");
	assert_true(host_start());
	host_set("patterns", "a\\x0");
	assert_false(host_start());
	host_set("patterns", NULL);
	host_set("patterns2", NULL);
	assert_false(host_start());
}

static void test_hostile(void **state)
{
	uint8_t data[512];
	struct host_packet packet = {.proto = FRAME_TCP,
				     .source = "10.0.0.1",
				     .target = "192.0.2.1",
				     .payload = "GET /evi /ev /e",
				     .payload_len = 15};
	start("/evil; \\x00\\x00", NULL, NULL);
	host_be_hostile(data, host_make(data, &packet), 5000);
	/* Checksums are not looked at. */
	start("/evil; \\x00\\x00", NULL, "pass");
	host_be_hostile(data, host_make(data, &packet), 5000);
	packet.proto = FRAME_UDP;
	packet.source = packet.target = "2001:db8::1";
	host_be_hostile(data, host_make(data, &packet), 5000);
	/* More flows than places. */
	packet.proto = FRAME_UDP;
	for (unsigned i = 0; i < 20000; i++) {
		packet.source_port = (uint16_t)i;
		host_frame(0, data, host_make(data, &packet));
	}
	assert_true(host_counter("flows_evicted") > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns),
		cmocka_unit_test(test_against_a_model),
		cmocka_unit_test(test_across_segments),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_syn_in_the_middle),
		cmocka_unit_test(test_other_syn),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_urgent),
		cmocka_unit_test(test_early_end),
		cmocka_unit_test(test_mark_and_udp),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_hostile),
	};
	host_add_port("trap");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
