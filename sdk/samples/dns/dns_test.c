/*
 * The name server, and what it reads.
 */
#include "dns_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "frame.h"
#include "host_double.h"

static uint8_t out[ANSWER_MAX];

static void start_zone(const char *zone)
{
	host_set(NULL, NULL);
	host_set("origin", "edge.example");
	host_set("zone", zone);
	assert_true(host_start());
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
	if (edns != 0)
		assert_int_equal(out[n - OPT_BYTES + 7], (edns & DNSSEC) != 0 ? 0x80 : 0);
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
	assert_int_equal(ask("loop1.edge.example", TYPE_A, 0), 2);
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

/* What is asked about the origin itself. */
static void test_origin(void **state)
{
	start_zone("@ TXT x; www A 192.0.2.1");
	assert_int_equal(ask("edge.example", TYPE_SOA, 0), 1);
	assert_true(out[2] & 4);
	assert_int_equal(frame_u16(out + 8), 0);
	assert_int_equal(ask("edge.example", TYPE_ANY, EDNS | DNSSEC), 2);
	assert_int_equal(ask("www.edge.example", TYPE_SOA, 0), 0);
	assert_int_equal(frame_u16(out + 8), 1);
	/* One that there is, even without a record of its own. */
	start_zone("www A 192.0.2.1");
	assert_int_equal(ask("edge.example", TYPE_A, 0), 0);
	assert_int_equal(rcode_of(out), RCODE_OK);
}

/* A set has each record once, and one TTL. */
static void test_sets(void **state)
{
	struct question question;
	struct record record;
	start_zone("www 300 A 192.0.2.1; www A 192.0.2.2; www 60 A 192.0.2.1; www 5 AAAA ::1");
	assert_int_equal(ask("www.edge.example", TYPE_A, 0), 2);
	assert_true(question_read(out, 512, &question));
	record.end = question.end;
	for (unsigned i = 0; i < 2; i++) {
		assert_true(record_read(out, 512, record.end, &record));
		assert_int_equal(record.ttl, 60);
		assert_int_equal(out[record.end - 1], 1 + i);
	}
}

/* Who follows a chain to its end must not be told on the way that it leads to nothing. */
static void test_long_chains(void **state)
{
	start_zone("a1 CNAME a2; a2 CNAME a3; a3 CNAME a4; a4 CNAME a5; a5 CNAME a6; a6 CNAME a7;"
		   "a7 CNAME a8; a8 CNAME a9; a9 A 192.0.2.1; self CNAME self; no CNAME nothing");
	assert_int_equal(ask("a1.edge.example", TYPE_A, EDNS), 8);
	assert_int_equal(rcode_of(out), RCODE_OK);
	assert_int_equal(frame_u16(out + 8), 0);
	assert_int_equal(ask("a2.edge.example", TYPE_A, EDNS), 8);
	assert_int_equal(ask("self.edge.example", TYPE_A, 0), 1);
	assert_int_equal(frame_u16(out + 8), 0);
	assert_int_equal(ask("no.edge.example", TYPE_A, 0), 1);
	assert_int_equal(rcode_of(out), RCODE_NO_NAME);
	assert_int_equal(frame_u16(out + 8), 1);
}

/* Queries that are answered by an RCODE alone. */
static void test_refusals(void **state)
{
	static const struct {
		uint16_t at, value; /* of the query's header; 0: of its question's type */
		unsigned rcode;
	} cases[] = {
		{2, 2 << 11, RCODE_NOT_IMPLEMENTED},
		{2, 5 << 11, RCODE_NOT_IMPLEMENTED},
		{4, 0, RCODE_FORMAT},
		{4, 2, RCODE_FORMAT},
		{0, TYPE_AXFR, RCODE_REFUSED},
		{0, TYPE_IXFR, RCODE_REFUSED},
	};
	uint8_t query[512];
	start_zone("www A 192.0.2.1");
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint32_t len = make_query(query, 7, "edge.example", TYPE_A, EDNS);
		uint16_t at = cases[i].at != 0 ? cases[i].at : HEADER_BYTES + 14;
		frame_put_u16(query + at, cases[i].value);
		uint32_t n = zone_answer(query, len, out);
		assert_in_range(n, HEADER_BYTES, ANSWER_MAX);
		assert_int_equal(rcode_of(out), cases[i].rcode);
		/* Who speaks EDNS is answered so (RFC 6891, 7), if that could be seen. */
		if (cases[i].at != 4)
			assert_int_equal(frame_u16(out + 10), 1);
	}
	/* Options that do not end with their record. */
	uint32_t len = make_query(query, 7, "www.edge.example", TYPE_A, EDNS);
	query[len - 1] = 5;
	memcpy(query + len, "\0\x63\0\2x", 5);
	zone_answer(query, len + 5, out);
	assert_int_equal(rcode_of(out), RCODE_FORMAT);
	query[len + 3] = 1;
	zone_answer(query, len + 5, out);
	assert_int_equal(rcode_of(out), RCODE_OK);
}

static void test_what_does_not_fit(void **state)
{
	static char zone[1024];
	zone[0] = '\0';
	for (unsigned i = 0; i < 4; i++) {
		size_t len = strlen(zone);
		memset(zone + len, 'w' + (int)i, 230);
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
		"@ CNAME www",
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_zone),
		cmocka_unit_test(test_origin),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_long_chains),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_what_does_not_fit),
		cmocka_unit_test(test_bad_zones),
		cmocka_unit_test(test_compressed_names),
		cmocka_unit_test(test_hostile_queries),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
