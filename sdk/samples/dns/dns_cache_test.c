/*
 * The cache.
 */
#include "dns_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frame.h"
#include "host_double.h"

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
	const char *client = strchr(server, ':') != NULL ? "2001:db8::1" : "10.0.0.1";
	return (struct host_packet){.proto = FRAME_UDP,
				    .source = is_query ? client : server,
				    .target = is_query ? server : client,
				    .source_port = is_query ? exchange.port : 53,
				    .target_port = is_query ? 53 : exchange.port,
				    .source_mac = is_query ? 1 : 2,
				    .target_mac = is_query ? 2 : 1,
				    .payload = message,
				    .payload_len = len};
}

static uint32_t send(bool is_query, struct exchange exchange, const uint8_t *message, uint32_t len)
{
	uint8_t frame[1024];
	struct host_packet packet = packet_of(is_query, exchange, message, len);
	return host_frame(is_query ? EDGEOS_PORT_CLIENT : EDGEOS_PORT_OUT, frame,
			  host_make(frame, &packet));
}

static uint32_t query(struct exchange exchange)
{
	uint8_t message[512];
	uint32_t len =
		make_query(message, exchange.id, exchange.name, exchange.type, exchange.edns);
	return send(true, exchange, message, len);
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
	uint8_t message[512];
	uint32_t len = make_answer(message, exchange, rcode, ttl, minimum);
	return send(false, exchange, message, len);
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
	uint8_t message[512];
	start_cache();
	struct exchange one = {1, 1000, TYPE_A, "signed.example", 0, NULL};
	query(one);
	respond(one, RCODE_OK, 300, 0);
	assert_int_equal(query(one), EDGEOS_ANSWER);
	/* Who signs wants an answer that is signed. */
	uint32_t len = make_query(message, 2, one.name, TYPE_A, 0);
	memcpy(message + len, tsig, sizeof(tsig));
	message[11] = 1;
	assert_int_equal(send(true, one, message, len + sizeof(tsig)), EDGEOS_FORWARD);
	/* Nor can a transfer be had from here, which says what is there already. */
	one.type = TYPE_IXFR;
	static const uint8_t soa[34] = {0xc0, 12, 0, TYPE_SOA, 0, 1, 0, 1, 0, 0, 0, 22};
	len = make_query(message, 3, one.name, TYPE_IXFR, 0);
	memcpy(message + len, soa, sizeof(soa));
	message[9] = 1;
	assert_int_equal(send(true, one, message, len + sizeof(soa)), EDGEOS_FORWARD);
	/* … nor what has no question. */
	memset(message + 4, 0, 8);
	assert_int_equal(send(true, one, message, HEADER_BYTES), EDGEOS_FORWARD);
}

/* The query of EXCHANGE with an option of LEN bytes. */
static uint32_t query_with(struct exchange exchange, uint16_t code, const void *option,
			   uint32_t len)
{
	uint8_t message[512];
	uint32_t n = make_query(message, exchange.id, exchange.name, exchange.type, EDNS);
	frame_put_u16(message + n - 2, 4 + len);
	frame_put_u16(message + n, code);
	frame_put_u16(message + n + 2, len);
	memcpy(message + n + 4, option, len);
	return send(true, exchange, message, n + 4 + len);
}

static void test_options(void **state)
{
	static const uint8_t subnet[7] = {0, 1, 24, 0, 198, 51, 100};
	struct exchange one = {1, 1000, TYPE_A, "www.example.org", EDNS, NULL};
	start_cache();
	/* What is said of one network is not said of all. */
	assert_int_equal(query_with(one, 8, subnet, sizeof(subnet)), EDGEOS_FORWARD);
	respond(one, RCODE_OK, 300, 0);
	assert_int_equal(query(one), EDGEOS_FORWARD);
	respond(one, RCODE_OK, 300, 0);
	assert_int_equal(query(one), EDGEOS_ANSWER);
	assert_int_equal(query_with(one, 8, subnet, sizeof(subnet)), EDGEOS_FORWARD);
	assert_int_equal(query_with(one, 3, "", 0), EDGEOS_FORWARD);
	/* Whom a cookie's second half was given expects it (RFC 7873, 5.3). */
	assert_int_equal(query_with(one, 10, "client's", 8), EDGEOS_ANSWER);
	const uint8_t *message = answered(one);
	uint32_t opt = HEADER_BYTES + 17 + 4 + 16;
	assert_int_equal(frame_u16(message + opt + 9), 0);
	assert_int_equal(query_with(one, 10, "client'sand server's", 20), EDGEOS_ANSWER);
	message = answered(one);
	assert_memory_equal(message + opt + 9,
			    "\0\x18\0\x0a\0\x14"
			    "client'sand server's",
			    26);
	assert_int_equal(query_with(one, 10, "no", 2), EDGEOS_FORWARD);
	one.type = 250;
	query(one);
	respond(one, RCODE_OK, 300, 0);
	assert_int_equal(query(one), EDGEOS_FORWARD);
}

/* What is damaged on its way is neither kept, where it would get right checksums, nor answered. */
static void test_damaged_frames(void **state)
{
	uint8_t message[512], frame[1024];
	struct exchange one = {1, 1000, TYPE_A, "www.example.org", 0, NULL};
	for (unsigned i = 0; i < 3; i++) {
		start_cache();
		query(one);
		uint32_t len = make_answer(message, one, RCODE_OK, 300, 0);
		struct host_packet packet = packet_of(false, one, message, len);
		uint32_t n = host_make(frame, &packet);
		/* The address, and IP's time to live. */
		frame[i == 0 ? n - 1 : 22] ^= i < 2;
		assert_int_equal(host_frame(EDGEOS_PORT_OUT, frame, n), EDGEOS_FORWARD);
		assert_int_equal(query(one), i < 2 ? EDGEOS_FORWARD : EDGEOS_ANSWER);
		one.id++;
	}
	/* The device has looked at them; and UDP over IPv4 may have none. */
	start_cache();
	query(one);
	uint32_t len = make_answer(message, one, RCODE_OK, 300, 0);
	struct host_packet packet = packet_of(false, one, message, len);
	uint32_t n = host_make(frame, &packet);
	memset(frame + 40, 0, 2);
	host_frame(EDGEOS_PORT_OUT, frame, n);
	len = make_query(message, one.id, one.name, one.type, 0);
	packet = packet_of(true, one, message, len);
	n = host_make(frame, &packet);
	frame[40] ^= 1;
	assert_int_equal(host_frame(EDGEOS_PORT_CLIENT, frame, n), EDGEOS_FORWARD);
	host_frame_flags = EDGEOS_CHECKSUM_GOOD;
	assert_int_equal(host_frame(EDGEOS_PORT_CLIENT, frame, n), EDGEOS_ANSWER);
	host_frame_flags = 0;
}

/* The same addresses somewhere else are not the same hosts. */
static void test_vlans(void **state)
{
	uint8_t message[512], frame[1024];
	struct exchange one = {1, 1000, TYPE_A, "www.example.org", 0, NULL};
	uint32_t len = make_query(message, 1, one.name, TYPE_A, 0);
	struct host_packet packet = packet_of(true, one, message, len);
	packet.has_vlan = true;
	start_cache();
	query(one);
	respond(one, RCODE_OK, 300, 0);
	uint32_t n = host_make(frame, &packet);
	assert_int_equal(host_frame(EDGEOS_PORT_CLIENT, frame, n), EDGEOS_FORWARD);
	respond(one, RCODE_OK, 300, 0);
	assert_int_equal(host_frame(EDGEOS_PORT_CLIENT, frame, n), EDGEOS_ANSWER);
	frame[15]++;
	assert_int_equal(host_frame(EDGEOS_PORT_CLIENT, frame, n), EDGEOS_FORWARD);
	assert_int_equal(query(one), EDGEOS_ANSWER);
}

/* With headers that leave no room behind them. */
static void test_long_headers(void **state)
{
	static uint8_t frame[EDGEOS_PACKET_MAX];
	uint8_t message[512];
	struct exchange one = {1, 1000, TYPE_A, "www.example.org", 0, "2001:db8::53"};
	start_cache();
	query(one);
	respond(one, RCODE_OK, 300, 0);
	assert_int_equal(query(one), EDGEOS_ANSWER);
	uint32_t len = make_query(message, 1, one.name, TYPE_A, 0);
	struct host_packet packet = packet_of(true, one, message, len);
	uint32_t n = host_make(frame, &packet);
	/* Options for the destination, of 255 times 8 bytes and 8 more, as often as they fit. */
	for (unsigned i = 0; i < 4; i++) {
		memmove(frame + 54 + 2048, frame + 54, n - 54);
		memset(frame + 54, 0, 2048);
		frame[54] = frame[20];
		frame[55] = 255;
		frame[20] = 60;
		n += 2048;
	}
	memmove(frame + 54 + 1360, frame + 54, n - 54);
	memset(frame + 54, 0, 1360);
	frame[54] = 60;
	frame[55] = 1360 / 8 - 1;
	n += 1360;
	frame_put_u16(frame + 18, n - 54);
	assert_int_equal(host_frame(EDGEOS_PORT_CLIENT, frame, n), EDGEOS_FORWARD);
	assert_int_equal(host_result.len, n);
}

/* Answers that say less than it looks. */
static void test_half_answers(void **state)
{
	static const uint8_t alias[14] = {0xc0, 12, 0, TYPE_CNAME, 0, 1,    0,
					  0,	1,  0, 0,	   2, 0xc0, 16};
	uint8_t message[512];
	struct exchange one = {1, 1000, TYPE_A, "web.example.org", EDNS, NULL};
	start_cache();
	/* An alias, and nothing that it stands for; nor for how long. */
	query(one);
	uint32_t len = make_query(message, one.id, one.name, TYPE_A, 0);
	frame_put_u16(message + 2, 0x8180);
	message[7] = 1;
	memcpy(message + len, alias, sizeof(alias));
	assert_int_equal(send(false, one, message, len + sizeof(alias)), EDGEOS_FORWARD);
	assert_int_equal(query(one), EDGEOS_FORWARD);
	/* An RCODE whose upper half is EDNS's. */
	len = make_answer(message, one, RCODE_OK, 300, 0);
	message[len - 6] = 1;
	send(false, one, message, len);
	assert_int_equal(query(one), EDGEOS_FORWARD);
	/* Cut off in the middle of a record: the client has to see that. */
	len = make_answer(message, one, RCODE_OK, 300, 0);
	message[2] |= 2;
	assert_int_equal(send(false, one, message, len - 15), EDGEOS_FORWARD);
	message[2] &= 0xfd;
	assert_int_equal(send(false, one, message, len - 15), EDGEOS_DROP);
	assert_int_equal(query(one), EDGEOS_FORWARD);
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
	/* Of the SOA's 65,536 seconds 30 were good for this: who gets it from here has 20. */
	assert_int_equal(ttl_of(answered(one)), 20);
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
	/* Else most of them are only passed on. */
	host_frame_flags = EDGEOS_CHECKSUM_GOOD;
	host_be_hostile(frame, query_len, 10000);
	len = make_answer(message, one, RCODE_OK, 300, 0);
	packet = packet_of(false, one, message, len);
	for (unsigned i = 0; i < 20; i++) {
		query(one);
		host_be_hostile(frame, host_make(frame, &packet), 1000);
	}
	host_frame_flags = 0;
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
		cmocka_unit_test(test_cached_from_the_second_time_on),
		cmocka_unit_test(test_signed_queries),
		cmocka_unit_test(test_options),
		cmocka_unit_test(test_damaged_frames),
		cmocka_unit_test(test_vlans),
		cmocka_unit_test(test_long_headers),
		cmocka_unit_test(test_half_answers),
		cmocka_unit_test(test_negative_answers),
		cmocka_unit_test(test_nobody_puts_anything_in),
		cmocka_unit_test(test_whose_answers),
		cmocka_unit_test(test_hostile_frames),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
