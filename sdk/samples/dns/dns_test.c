#include "dns.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frame.h"
#include "host_double.h"

#define EDNS   1u
#define DNSSEC 2u
#define AD     4u /* without EDNS */

static uint8_t out[ANSWER_MAX];

static uint32_t make_query(uint8_t *message, uint16_t id, const char *name, uint16_t type,
			   unsigned edns)
{
	static const uint8_t opt[11] = {0, 0, TYPE_OPT, 0x04, 0xd0};
	uint32_t at = HEADER_BYTES;
	memset(message, 0, HEADER_BYTES);
	frame_put_u16(message, id);
	frame_put_u16(message + 2, FLAG_RECURSE | (edns == AD ? FLAG_AUTHENTIC : 0));
	frame_put_u16(message + 4, 1);
	/* Not name_parse(): large letters stay. */
	while (*name != '\0') {
		size_t len = strcspn(name, ".");
		message[at++] = (uint8_t)len;
		memcpy(message + at, name, len);
		at += (uint32_t)len;
		name += len + (name[len] == '.');
	}
	message[at++] = 0;
	frame_put_u16(message + at, type);
	frame_put_u16(message + at + 2, CLASS_IN);
	at += 4;
	if (edns != 0 && edns != AD) {
		memcpy(message + at, opt, sizeof(opt));
		message[at + 7] = (edns & DNSSEC) != 0 ? 0x80 : 0;
		at += sizeof(opt);
		frame_put_u16(message + 10, 1);
	}
	return at;
}

static void start_zone(const char *zone)
{
	host_set(NULL, NULL);
	host_set("origin", "edge.example");
	host_set("zone", zone);
	assert_true(host_start());
}

static unsigned rcode_of(const uint8_t *message)
{
	return message[3] & 15;
}

/* Asks the name server; the answer is in out. Returns how many records answer. */
static unsigned ask(const char *name, uint16_t type, unsigned edns)
{
	uint8_t query[512];
	struct question question;
	struct record record;
	uint32_t len = make_query(query, 0x1234, name, type, edns);
	uint32_t n = zone_answer(query, len, out);
	assert_in_range(n, HEADER_BYTES, ANSWER_MAX);
	assert_int_equal(frame_u16(out), 0x1234);
	assert_true(out[2] & 0x80);
	/* The whole of it can be read, and nothing is behind. */
	assert_true(question_read(out, n, &question));
	assert_memory_equal(out + HEADER_BYTES, query + HEADER_BYTES, question.end - HEADER_BYTES);
	uint32_t at = question.end;
	unsigned count = frame_u16(out + 6) + frame_u16(out + 8) + frame_u16(out + 10);
	for (unsigned i = 0; i < count; i++) {
		assert_true(record_read(out, n, at, &record));
		at = record.end;
	}
	assert_int_equal(at, n);
	assert_int_equal(frame_u16(out + 10), edns != 0);
	return frame_u16(out + 6);
}

#define ZONE                                                                                       \
	"www 300 A 192.0.2.1; www A 192.0.2.2; www AAAA 2001:db8::1; web CNAME www; "              \
	"ext CNAME www.example.org.; @ TXT  \"v=spf1 a; -all\"\n \"x y\"; a.b A 192.0.2.3;"        \
	"loop1 CNAME loop2; loop2 CNAME loop1; 1.2.0.192.in-addr.arpa. PTR www; t TXT word"

static void test_zone(void **state)
{
	start_zone(ZONE);
	assert_int_equal(ask("www.edge.example", TYPE_A, 0), 2);
	assert_int_equal(rcode_of(out), RCODE_OK);
	assert_true(out[2] & 4);
	assert_int_equal(ask("WwW.eDge.Example", TYPE_AAAA, EDNS), 1);
	assert_int_equal(ask("web.edge.example", TYPE_A, 0), 3);
	assert_int_equal(ask("web.edge.example", TYPE_CNAME, 0), 1);
	assert_int_equal(ask("ext.edge.example", TYPE_A, 0), 1);
	assert_int_equal(ask("edge.example", TYPE_TXT, 0), 1);
	assert_memory_equal(out + 12 + 14 + 4 + 10, "\0\x13\x0ev=spf1 a; -all\3x y", 21);
	assert_int_equal(ask("t.edge.example", TYPE_TXT, 0), 1);
	assert_int_equal(ask("1.2.0.192.in-addr.arpa", TYPE_PTR, 0), 1);
	assert_int_equal(ask("loop1.edge.example", TYPE_A, 0), 8);
	/* A name without such a record, one that is only above others, and none at all. */
	assert_int_equal(ask("www.edge.example", TYPE_TXT, 0), 0);
	assert_int_equal(rcode_of(out), RCODE_OK);
	assert_int_equal(frame_u16(out + 8), 1);
	assert_int_equal(ask("b.edge.example", TYPE_A, 0), 0);
	assert_int_equal(rcode_of(out), RCODE_OK);
	assert_int_equal(ask("nothing.edge.example", TYPE_A, EDNS), 0);
	assert_int_equal(rcode_of(out), RCODE_NO_NAME);
	assert_int_equal(frame_u16(out + 8), 1);
	assert_int_equal(ask("xedge.example", TYPE_A, 0), 0);
	assert_int_equal(rcode_of(out), RCODE_REFUSED);
}

static void test_what_does_not_fit(void **state)
{
	static char zone[1024];
	zone[0] = '\0';
	for (unsigned i = 0; i < 4; i++) {
		size_t len = strlen(zone);
		memset(zone + len, 'x', 230);
		memcpy(zone + len, "big TXT \"", 9);
		memcpy(zone + len + 228, "\";", 3);
	}
	start_zone(zone);
	assert_int_equal(ask("big.edge.example", TYPE_TXT, 0), 2);
	assert_true(out[2] & 2);
	assert_int_equal(ask("big.edge.example", TYPE_TXT, EDNS), 4);
	assert_false(out[2] & 2);
}

static void test_bad_zones(void **state)
{
	static const char *const bad[] = {
		"www",
		"www A",
		"www A 1.2.3",
		"www A ::1",
		"www AAAA 1.2.3.4",
		"www MX 1 a",
		"www -1 A 1.2.3.4",
		"a..b A 1.2.3.4",
		".a A 1.2.3.4",
		"www TXT \"abc",
		"www CNAME a b",
		"www A 1.2.3.4; www CNAME x",
		"w CNAME a; w CNAME b",
		"abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrst AAAA ::",
	};
	host_set(NULL, NULL);
	host_set("zone", "www A 1.2.3.4");
	assert_false(host_start());
	host_set("origin", "edge..example");
	assert_false(host_start());
	host_set("origin", "edge.example");
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		host_set("zone", bad[i]);
		assert_false(host_start());
		assert_non_null(strstr(host_log, "zone"));
	}
}

static void test_compressed_names(void **state)
{
	struct name name;
	uint32_t end;
	uint8_t message[64] = {[12] = 1, 'a', 0xc0, 12};
	/* To itself, to where it began, ahead, into the header, and without its second byte. */
	assert_false(name_read(message, 16, 12, &name, &end));
	message[15] = 14;
	assert_false(name_read(message, 16, 12, &name, &end));
	message[15] = 20;
	assert_false(name_read(message, 64, 12, &name, &end));
	message[15] = 2;
	assert_false(name_read(message, 16, 12, &name, &end));
	assert_false(name_read(message, 15, 12, &name, &end));
	/* Reserved kinds of labels. */
	message[14] = 0x40;
	assert_false(name_read(message, 64, 12, &name, &end));
	/* A chain of pointers, each to the one before: fine, and as long as it may be. */
	memset(message, 0, sizeof(message));
	message[12] = 1;
	message[13] = 'Z';
	for (unsigned i = 15; i + 3 < 60; i += 4)
		memcpy(message + i,
		       (const uint8_t[]){1, 'b', 0xc0, (uint8_t)(i == 15 ? 12 : i - 4)}, 4);
	assert_true(name_read(message, 64, 55, &name, &end));
	assert_int_equal(end, 59);
	assert_int_equal(name.len, 2 * 12 + 1);
	assert_memory_equal(name.bytes + 22, "\1z", 3);
}

/* Each beginning of a query, in memory of just that length; and queries with changed bytes. */
static void test_hostile_queries(void **state)
{
	uint8_t query[512];
	start_zone(ZONE);
	uint32_t len = make_query(query, 7, "web.edge.example", TYPE_A, EDNS);
	for (uint32_t n = 0; n <= len; n++) {
		uint8_t *copy = malloc(n + 1);
		memcpy(copy + 1, query, n);
		uint32_t made = zone_answer(copy + 1, n, out);
		assert_int_equal(made == 0, n < HEADER_BYTES);
		if (made > 0 && n < len)
			assert_int_equal(rcode_of(out), RCODE_FORMAT);
		free(copy);
	}
	for (unsigned i = 0; i < 20000; i++) {
		uint8_t *copy = malloc(len);
		memcpy(copy, query, len);
		for (unsigned k = 0; k < 1 + i % 6; k++)
			copy[host_random() % len] = (uint8_t)host_random();
		assert_in_range(zone_answer(copy, len, out), 0, ANSWER_MAX);
		free(copy);
	}
	/* A response is not answered, what is no query is refused. */
	query[2] |= 0x80;
	assert_int_equal(zone_answer(query, len, out), 0);
	query[2] = 5 << 3;
	assert_in_range(zone_answer(query, len, out), HEADER_BYTES, ANSWER_MAX);
	assert_int_equal(rcode_of(out), RCODE_NOT_IMPLEMENTED);
	host_tail_is_usable = true;
	query[2] = 1;
	assert_int_equal(host_datagram(3, query, len), EDGEOS_ANSWER);
	assert_int_equal(frame_u16(host_result.data), 7);
	host_tail_is_usable = false;
}

/* --- the cache --- */

struct exchange {
	uint16_t id, port, type;
	const char *name;
	unsigned edns;
	const char *server; /* NULL: the usual one */
};

static struct host_packet packet_of(bool is_query, struct exchange exchange, const uint8_t *message,
				    uint32_t len)
{
	const char *server = exchange.server != NULL ? exchange.server : "192.0.2.53";
	return (struct host_packet){.proto = FRAME_UDP,
				    .source = is_query ? "10.0.0.1" : server,
				    .target = is_query ? server : "10.0.0.1",
				    .source_port = is_query ? exchange.port : 53,
				    .target_port = is_query ? 53 : exchange.port,
				    .source_mac = is_query ? 1 : 2,
				    .target_mac = is_query ? 2 : 1,
				    .payload = message,
				    .payload_len = len};
}

static uint32_t query(struct exchange exchange)
{
	uint8_t message[512], frame[1024];
	uint32_t len =
		make_query(message, exchange.id, exchange.name, exchange.type, exchange.edns);
	struct host_packet packet = packet_of(true, exchange, message, len);
	return host_frame(EDGEOS_PORT_CLIENT, frame, host_make(frame, &packet));
}

#define NO_SOA 0xffffffffu

/* The server's answer: an A record with TTL; or, RCODE or TTL 0, nothing, with a SOA of MINIMUM. */
static uint32_t make_answer(uint8_t *message, struct exchange exchange, unsigned rcode,
			    uint32_t ttl, uint32_t minimum)
{
	static const uint8_t a[16] = {0xc0, 12, 0, TYPE_A, 0, 1, 0, 0, 0, 0, 0, 4, 192, 0, 2, 77};
	static const uint8_t soa[34] = {0xc0, 12, 0, TYPE_SOA, 0, 1, 0, 1, 0, 0, 0, 22};
	static const uint8_t opt[11] = {0, 0, TYPE_OPT, 0x04, 0xd0};
	uint32_t len = make_query(message, exchange.id, exchange.name, exchange.type, 0);
	frame_put_u16(message + 2, 0x8180 | rcode);
	if (rcode == RCODE_OK && minimum == 0) {
		memcpy(message + len, a, sizeof(a));
		frame_put_u32(message + len + 6, ttl);
		len += sizeof(a);
		message[7] = 1;
	} else if (minimum != NO_SOA) {
		memcpy(message + len, soa, sizeof(soa));
		frame_put_u32(message + len + 30, minimum);
		len += sizeof(soa);
		message[9] = 1;
	}
	if (exchange.edns != 0) {
		memcpy(message + len, opt, sizeof(opt));
		len += sizeof(opt);
		message[11] = 1;
	}
	return len;
}

static uint32_t respond(struct exchange exchange, unsigned rcode, uint32_t ttl, uint32_t minimum)
{
	uint8_t message[512], frame[1024];
	uint32_t len = make_answer(message, exchange, rcode, ttl, minimum);
	struct host_packet packet = packet_of(false, exchange, message, len);
	return host_frame(EDGEOS_PORT_OUT, frame, host_make(frame, &packet));
}

/* The message in host_result, which is an answer of the cache to EXCHANGE. */
static const uint8_t *answered(struct exchange exchange)
{
	struct frame frame;
	static uint8_t copy[2048];
	assert_int_equal(host_result.verdict, EDGEOS_ANSWER);
	assert_true(host_checksums_are_right(host_result.data, host_result.len));
	memcpy(copy, host_result.data, host_result.len);
	assert_true(frame_parse(&frame, copy, host_result.len));
	assert_int_equal(frame.source_port, 53);
	assert_int_equal(frame.target_port, exchange.port);
	assert_int_equal(copy[5], 1);
	assert_int_equal(frame_u16(copy + frame.payload), exchange.id);
	return copy + frame.payload;
}

static uint32_t ttl_of(const uint8_t *message)
{
	struct question question;
	struct record record;
	assert_true(question_read(message, 512, &question));
	assert_true(record_read(message, 512, question.end, &record));
	return record.ttl;
}

static void start_cache(void)
{
	/* Answers are longer than queries. */
	host_tail_is_usable = true;
	host_set(NULL, NULL);
	assert_true(host_start());
}

static void test_cached_from_the_second_time_on(void **state)
{
	start_cache();
	struct exchange one = {1, 1000, TYPE_A, "www.example.org", 0, NULL};
	assert_int_equal(query(one), EDGEOS_FORWARD);
	assert_int_equal(respond(one, RCODE_OK, 300, 0), EDGEOS_FORWARD);
	/* Another number, port and spelling, with and without EDNS. */
	struct exchange two = {2, 2000, TYPE_A, "wWw.eXample.org", EDNS, NULL};
	host_now_ns += 100 * HOST_SECOND;
	assert_int_equal(query(two), EDGEOS_ANSWER);
	const uint8_t *message = answered(two);
	assert_int_equal(ttl_of(message), 200);
	assert_memory_equal(message + 12, "\3wWw\7eXample\3org", 16);
	assert_int_equal(frame_u16(message + 10), 1);
	assert_int_equal(query(one), EDGEOS_ANSWER);
	assert_int_equal(frame_u16(answered(one) + 10), 0);
	/* Other questions are others; so is DNSSEC, and whether it was checked (AD). */
	two.edns = DNSSEC;
	assert_int_equal(query(two), EDGEOS_FORWARD);
	two.edns = AD;
	assert_int_equal(query(two), EDGEOS_FORWARD);
	two = (struct exchange){3, 2000, TYPE_AAAA, "www.example.org", 0, NULL};
	assert_int_equal(query(two), EDGEOS_FORWARD);
	/* It is over with its TTL. */
	host_now_ns += 200 * HOST_SECOND;
	assert_int_equal(query(one), EDGEOS_FORWARD);
}

static void test_signed_queries(void **state)
{
	static const uint8_t tsig[11] = {0, 0, 250, 0, 255};
	uint8_t message[512], frame[1024];
	start_cache();
	struct exchange one = {1, 1000, TYPE_A, "signed.example", 0, NULL};
	query(one);
	respond(one, RCODE_OK, 300, 0);
	assert_int_equal(query(one), EDGEOS_ANSWER);
	/* Who signs wants an answer that is signed. */
	uint32_t len = make_query(message, 2, one.name, TYPE_A, 0);
	memcpy(message + len, tsig, sizeof(tsig));
	message[11] = 1;
	struct host_packet packet = packet_of(true, one, message, len + sizeof(tsig));
	assert_int_equal(host_frame(EDGEOS_PORT_CLIENT, frame, host_make(frame, &packet)),
			 EDGEOS_FORWARD);
}

static void test_negative_answers(void **state)
{
	start_cache();
	struct exchange one = {1, 1000, TYPE_A, "no.example.org", EDNS, NULL};
	query(one);
	respond(one, RCODE_NO_NAME, 0, 30);
	host_now_ns += 10 * HOST_SECOND;
	assert_int_equal(query(one), EDGEOS_ANSWER);
	assert_int_equal(rcode_of(answered(one)), RCODE_NO_NAME);
	host_now_ns += 20 * HOST_SECOND;
	assert_int_equal(query(one), EDGEOS_FORWARD);
	/* Without a SOA, and failures, are not kept. */
	respond(one, RCODE_NO_NAME, 0, NO_SOA);
	assert_int_equal(query(one), EDGEOS_FORWARD);
	respond(one, RCODE_SERVER, 0, 30);
	assert_int_equal(query(one), EDGEOS_FORWARD);
	respond(one, RCODE_OK, 0, 30);
	assert_int_equal(query(one), EDGEOS_ANSWER);
	assert_int_equal(frame_u16(answered(one) + 6), 0);
}

static void test_nobody_puts_anything_in(void **state)
{
	start_cache();
	struct exchange one = {77, 1000, TYPE_A, "bank.example", 0, NULL}, other = one;
	/* Not asked for; another number, port, name. */
	respond(one, RCODE_OK, 300, 0);
	assert_int_equal(query(one), EDGEOS_FORWARD);
	other.id = 78;
	respond(other, RCODE_OK, 300, 0);
	other = one;
	other.port = 1001;
	respond(other, RCODE_OK, 300, 0);
	other = one;
	other.name = "bonk.example";
	respond(other, RCODE_OK, 300, 0);
	assert_int_equal(query(one), EDGEOS_FORWARD);
	/* Too late. */
	host_now_ns += 6 * HOST_SECOND;
	respond(one, RCODE_OK, 300, 0);
	assert_int_equal(query(one), EDGEOS_FORWARD);
	/* A TTL of 0, or with the highest bit, is not kept. */
	respond(one, RCODE_OK, 0, 0);
	assert_int_equal(query(one), EDGEOS_FORWARD);
	respond(one, RCODE_OK, 0x80000001, 0);
	assert_int_equal(query(one), EDGEOS_FORWARD);
	respond(one, RCODE_OK, 300, 0);
	assert_int_equal(query(one), EDGEOS_ANSWER);
}

static void test_whose_answers(void **state)
{
	start_cache();
	/* What a server says that a client has chosen is not what the others' server says. */
	struct exchange evil = {5, 1000, TYPE_A, "bank.example", 0, "203.0.113.66"};
	struct exchange good = {6, 2000, TYPE_A, "bank.example", 0, NULL};
	assert_int_equal(query(evil), EDGEOS_FORWARD);
	assert_int_equal(respond(evil, RCODE_OK, 300, 0), EDGEOS_FORWARD);
	assert_int_equal(query(evil), EDGEOS_ANSWER);
	assert_int_equal(query(good), EDGEOS_FORWARD);
	assert_int_equal(respond(good, RCODE_OK, 300, 0), EDGEOS_FORWARD);
	assert_int_equal(query(good), EDGEOS_ANSWER);
	/* Who spells a name at random wants to see it again: a guess of the rest is not kept. */
	struct exchange spelled = {7, 1000, TYPE_A, "sHoP.exAmPLe", 0, NULL}, guessed = spelled;
	guessed.name = "shop.example";
	assert_int_equal(query(spelled), EDGEOS_FORWARD);
	assert_int_equal(respond(guessed, RCODE_OK, 300, 0), EDGEOS_FORWARD);
	assert_int_equal(query(spelled), EDGEOS_FORWARD);
	assert_int_equal(respond(spelled, RCODE_OK, 300, 0), EDGEOS_FORWARD);
	assert_int_equal(query(guessed), EDGEOS_ANSWER);
}

static void test_hostile_frames(void **state)
{
	uint8_t message[512], frame[1024];
	struct exchange one = {1, 1000, TYPE_A, "www.example.net", EDNS, NULL};
	start_cache();
	uint32_t len = make_query(message, 1, one.name, TYPE_A, EDNS);
	struct host_packet packet = packet_of(true, one, message, len);
	uint32_t query_len = host_make(frame, &packet);
	host_be_hostile(frame, query_len, 10000);
	len = make_answer(message, one, RCODE_OK, 300, 0);
	packet = packet_of(false, one, message, len);
	for (unsigned i = 0; i < 20; i++) {
		query(one);
		host_be_hostile(frame, host_make(frame, &packet), 1000);
	}
	/* Messages with changed bytes that somebody did ask for, in right frames. */
	for (unsigned i = 0; i < 10000; i++) {
		query(one);
		len = make_answer(message, one, RCODE_OK, 1, 0);
		for (unsigned k = 0; k < 1 + i % 4; k++)
			message[2 + host_random() % (len - 2)] = (uint8_t)host_random();
		packet.payload_len = host_random() % 4 == 0 ? host_random() % len : len;
		host_frame(EDGEOS_PORT_OUT, frame, host_make(frame, &packet));
		host_now_ns += HOST_SECOND;
	}
	/* More names than places. */
	for (unsigned i = 0; i < 3000; i++) {
		char name[] = "n0000.example";
		for (unsigned k = 0, rest = i; k < 4; k++, rest /= 10)
			name[4 - k] = (char)('0' + rest % 10);
		one.name = name;
		query(one);
		respond(one, RCODE_OK, 300, 0);
		assert_int_equal(query(one), EDGEOS_ANSWER);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zone),
		cmocka_unit_test(test_what_does_not_fit),
		cmocka_unit_test(test_bad_zones),
		cmocka_unit_test(test_compressed_names),
		cmocka_unit_test(test_hostile_queries),
		cmocka_unit_test(test_cached_from_the_second_time_on),
		cmocka_unit_test(test_signed_queries),
		cmocka_unit_test(test_negative_answers),
		cmocka_unit_test(test_nobody_puts_anything_in),
		cmocka_unit_test(test_whose_answers),
		cmocka_unit_test(test_hostile_frames),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
