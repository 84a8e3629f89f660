/* Rewriters against a model: flows do not share mappings, replies come back, checksums are right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sdk/click/core.h>

#include "click/click_nat_fixture.h"

static void echoes_are_rewritten(void **state)
{
	(void)state;
	nat_load(NAT("ICMPPingRewriter(pattern 1.0.0.1 7-9# - - 0 1, drop)"));
	struct flow flow = {0x0a000001, 0x08080808, 500, 0, CLICK_ICMP};
	struct flow outside = nat_begin(&flow, 30, 0);
	assert_int_equal(outside.saddr, 0x01000001);
	assert_int_equal(outside.sport, 7);
	struct flow other = flow;
	other.saddr = 0x0a000002;
	struct flow other_outside = nat_begin(&other, 30, 0);
	assert_int_equal(other_outside.sport, 8);
	struct flow reply = nat_reverse(&outside), wanted = nat_reverse(&flow);
	struct flow got = nat_flow_of(nat_pass(OUTSIDE, &reply, 30, 0));
	assert_true(nat_is_same(&got, &wanted));
	reply.dport = 9; /* nobody's */
	assert_null(nat_pass(OUTSIDE, &reply, 0, 0));
	assert_null(nat_pass(INSIDE, &reply, 0, 0));
	fixture_fini(&fixture);
}

/* --- NAT of addresses --- */

static void addresses_are_rewritten(void **state)
{
	(void)state;
	nat_load(NAT("IPAddrRewriter(pattern 1.0.0.1-1.0.0.2# - 0 1, drop)"));
	struct flow flow = nat_udp(1000), outside = nat_begin(&flow, 9, 0);
	assert_int_equal(outside.saddr, 0x01000001);
	assert_int_equal(outside.sport, 1000);
	/* Another destination and protocol are of the same mapping; replies come from anywhere. */
	flow = nat_tcp(7);
	flow.daddr++;
	outside = nat_begin(&flow, 9, 0);
	assert_int_equal(outside.saddr, 0x01000001);
	outside.daddr = 0x0b0b0b0b;
	struct flow reply = nat_reverse(&outside),
		    got = nat_flow_of(nat_pass(OUTSIDE, &reply, 3, 0));
	assert_int_equal(got.daddr, 0x0a000001);
	assert_int_equal(got.saddr, 0x0b0b0b0b);
	flow.saddr = 0x0a000002;
	assert_int_equal(nat_begin(&flow, 0, 0).saddr, 0x01000002);
	flow.saddr = 0x0a000003;
	assert_null(nat_pass(INSIDE, &flow, 0, 0));
	fixture_fini(&fixture);
	nat_load(NAT("IPAddrPairRewriter(pattern 1.0.0.0/30 2.2.2.2 0 1, drop)"));
	for (unsigned i = 0; i < 2; i++) {
		flow = nat_udp(1000);
		flow.saddr += i;
		outside = nat_begin(&flow, 5, 0);
		assert_in_range(outside.saddr, 0x01000001, 0x01000002);
		assert_int_equal(outside.daddr, 0x02020202);
		reply = nat_reverse(&outside);
		got = nat_flow_of(nat_pass(OUTSIDE, &reply, 5, 0));
		assert_int_equal(got.saddr, flow.daddr);
		assert_int_equal(got.daddr, flow.saddr);
	}
	flow.saddr++;
	assert_null(nat_pass(INSIDE, &flow, 0, 0));
	fixture_fini(&fixture);
}

/* --- errors --- */

/* An ICMP error of TYPE from FROM to TO about the first LEN bytes of PACKET, with right sums. */
static uint32_t make_error(uint8_t *out, uint8_t type, uint32_t from, uint32_t to,
			   const uint8_t *packet, uint32_t len)
{
	memset(out, 0, 28);
	out[0] = 0x45;
	click_put_u16(out + 2, 28 + len);
	out[8] = 64;
	out[9] = CLICK_ICMP;
	click_put_u32(out + 12, from);
	click_put_u32(out + 16, to);
	out[20] = type;
	out[21] = 1;
	memcpy(out + 28, packet, len);
	click_put_u16(out + 10, nat_checksum(nat_sum(out, 20)));
	click_put_u16(out + 22, nat_transport_checksum(out, 28 + len));
	return 28 + len;
}

static void errors_reach_who_sent(void **state)
{
	(void)state;
	nat_load(NAT(
		"IPRewriter(pattern 1.0.0.1 5000-6000# - - 0 1, drop)") "ping :: "
									"ICMPPingRewriter(pattern "
									"1.0.0.1 7-99# - - 0 1, "
									"drop);"
									"FromDevice(2) -> "
									"MarkIPHeader(0) -> "
									"[0]ping; Idle -> [1]ping;"
									"ping[0] -> ToDevice(1); "
									"ping[1] -> ToDevice(0);"
									"FromDevice(3) -> "
									"MarkIPHeader(0) -> e :: "
									"ICMPRewriter(rw ping);"
									"e[0] -> ToDevice(0); "
									"e[1] -> ToDevice(4);");
	static const uint8_t protocols[] = {CLICK_UDP, CLICK_TCP, CLICK_ICMP};
	for (unsigned i = 0; i < 300; i++) {
		uint8_t protocol = protocols[i % 3], inside[400], error[500];
		struct flow flow = {0x0a000001 + i, 0x08080808, (uint16_t)(300 + i), 80, protocol};
		if (protocol == CLICK_ICMP) {
			flow.dport = 0;
			flow.saddr = 0x0a000001 + i % 9;
			flow.sport = 0x0a00;
		}
		uint32_t len = nat_make(inside, &flow, 40, 2);
		fixture_clear(&fixture);
		assert_true(fixture_send(&fixture, protocol == CLICK_ICMP ? 2 : 0, inside, len));
		assert_int_equal(fixture.sent_count, 1);
		/* From the destination itself, or from a router on the way. */
		uint32_t from = i % 2 ? 0x08080808 : 0x09090909;
		uint32_t part = i % 4 < 2 ? 28 : len;
		uint8_t type = i % 5 ? 3 : 11;
		uint32_t error_len =
			make_error(error, type, from, 0x01000001, fixture.sent[0].data, part);
		fixture_clear(&fixture);
		assert_true(fixture_send(&fixture, 3, error, error_len));
		assert_int_equal(fixture.sent_count, 1);
		assert_int_equal(fixture.sent[0].device, 0);
		/* It is what it would have been without us. */
		uint8_t wanted[500];
		make_error(wanted, type, from, flow.saddr, inside, part);
		assert_int_equal(fixture.sent[0].len, error_len);
		assert_memory_equal(fixture.sent[0].data, wanted, error_len);
		/* An unknown flow's goes to the other output, as it was. */
		error[28 + 12] ^= 1;
		click_put_u16(error + 22, 0);
		fixture_clear(&fixture);
		assert_true(fixture_send(&fixture, 3, error, error_len));
		assert_int_equal(fixture.sent[0].device, 4);
		assert_memory_equal(fixture.sent[0].data, error, error_len);
	}
	fixture_fini(&fixture);
}

/* --- hostile packets --- */

static void damaged_packets_do_no_harm(void **state)
{
	(void)state;
	nat_load(NAT(
		"IPRewriter(pattern 1.0.0.1 1024-65535 - - 0 1, pattern 2.0.0.0 1-9 - - 1 0,"
		" MAPPING_CAPACITY 500)") "FromDevice(2) -> MarkIPHeader(0) -> t :: Tee(5);"
					  "t[0] -> [0]ping :: ICMPPingRewriter(pattern 1.0.0.1 "
					  "7-9# - - 0 0) -> Discard;"
					  "t[1] -> IPAddrRewriter(pattern 1.0.0.0/24 - 0 0, "
					  "MAPPING_CAPACITY 99) -> Discard;"
					  "t[2] -> IPAddrPairRewriter(pattern 1.0.0.0/24 - 0 0) "
					  "-> Discard;"
					  "t[3] -> ICMPRewriter(rw ping) -> Discard;"
					  "t[4] -> RadixIPLookup(0/0 0) -> StringMatcher(ab, "
					  "\"\\<0000>\", PAYLOAD_ONLY true)"
					  " -> HashSwitch(0, 40) -> SetCRC32 -> CheckCRC32 -> "
					  "Discard;");
	for (unsigned i = 0; i < 30000; i++) {
		uint8_t packet[400], error[500];
		struct flow flow = nat_random_flow();
		if (i % 3 == 0)
			flow.protocol = CLICK_ICMP;
		uint32_t len = nat_make(packet, &flow, (uint32_t)random() % 64, (uint8_t)random());
		if (i % 4 == 0) {
			len = make_error(error, (uint8_t)(random() % 14), 0x08080808, 0x01000001,
					 packet, (uint32_t)random() % (len + 1));
			memcpy(packet, error, len);
		}
		for (unsigned bits = (unsigned)random() % 6; bits > 0; bits--)
			packet[(unsigned)random() % len] ^= (uint8_t)(1u << random() % 8);
		if (random() % 3 == 0)
			len = (uint32_t)random() % (len + 1);
		fixture_now_ns += (uint64_t)random() % SECOND_NS;
		fixture_clear(&fixture);
		assert_true(fixture_send(&fixture, (unsigned)random() % 3, packet, len));
	}
	fixture_run_until(&fixture, fixture_now_ns + 7200 * SECOND_NS);
	assert_int_equal(fixture_count(&fixture, "rw.nmappings"), 0);
	fixture_fini(&fixture);
}

/* --- memory --- */

static void tell_nobody(void *ctx, const char *line)
{
	(void)line;
	++*(unsigned *)ctx;
}

/* With a little more memory each time, until it is enough: refused and told, never worse. */
static void memory_may_end(void **state)
{
	(void)state;
	static const char config[] =
		"FromDevice(0) -> MarkIPHeader(0)"
		" -> a :: IPRewriter(pattern 1.0.0.1 1-9 - - 0 0, MAPPING_CAPACITY 300)"
		" -> b :: ICMPPingRewriter(pattern p 0 0, MAPPING_CAPACITY 200) -> ICMPRewriter(a "
		"b)"
		" -> StringMatcher(one, two, three) -> RadixIPLookup(0/0 0) -> RED(1, 2, 0.5)"
		" -> FrontDropQueue(500) -> Unqueue -> m :: Meter(1, 2); m[0] -> d :: Discard;"
		"m[1] -> d; m[2] -> IPAddrRewriter(r) -> d; TimedSource -> d;"
		"p :: IPRewriterPatterns(p 1.0.0.1 5-6 - -); r :: RoundRobinIPMapper(1.0.0.1 - 0 "
		"0);";
	const struct click_host host = {0};
	unsigned refused = 0;
	for (size_t max = 0;; max += 1024) {
		unsigned told = 0;
		struct click_errors errors = {.ctx = &told, .tell = tell_nobody};
		struct click_router *router = click_router_new(&host, NULL);
		assert_non_null(router);
		router->arena.max = max;
		int err = click_router_load(router, config, sizeof(config) - 1, "test", &errors);
		assert_int_equal(err<0, told> 0);
		click_router_free(router);
		if (err == 0)
			break;
		refused++;
	}
	assert_in_range(refused, 50, 4000);
}

/* --- mistakes --- */

static void mistakes_are_told(void **state)
{
	(void)state;
	static const struct {
		const char *rewriter, *wanted;
	} cases[] = {
		{"IPRewriter(drop)", "2 inputs need as many"},
		{"IPRewriter(drop, drop, drop)", "2 inputs need as many"},
		{"IPRewriter(drop, pass 2)", "'2' is not an output"},
		{"IPRewriter(drop, pattern 1.0.0.1 - - 0 1)", "expected 'pattern SADDR SPORT"},
		{"IPRewriter(drop, pattern 1.0.0.1 9-8 - - 0 1)", "bad word '9-8'"},
		{"IPRewriter(drop, pattern 1.0.0.1 70000 - - 0 1)", "bad word '70000'"},
		{"IPRewriter(drop, pattern 1.0.0.1 0 - - 0 1)", "bad word '0'"},
		{"IPRewriter(drop, pattern 1.0.0.1 - - 0 0 1)", "bad word '0'"},
		{"IPRewriter(drop, pattern 1.0.0.1 5- - - 0 1)", "bad word '5-'"},
		{"IPRewriter(drop, pattern 1.0.0.1 --5 - - 0 1)", "bad word '--5'"},
		{"IPRewriter(drop, pattern nothing 0 1)", "no pattern 'nothing'"},
		{"IPRewriter(drop, nobody)", "neither a specification nor a mapper"},
		{"IPRewriter(drop, pattern a b c d e f g h i)", "expected 'pattern"},
		{"IPRewriter(drop, drop, MAPPING_CAPACITY 0)", "MAPPING_CAPACITY must be"},
		{"IPRewriter(drop, drop, MAPPING_CAPACITY rw)", "not a rewriter of its own"},
		{"IPRewriter(drop, drop, UDP_TIMEOU 3)", "did you mean 'UDP_TIMEOUT'"},
		{"IPAddrRewriter(drop, pattern 1.0.0.1 2.2.2.2 0 1)", "DADDR of a pattern"},
		{"IPAddrPairRewriter(drop, pattern 1.0.0.9-1.0.0.1 - 0 1)", "bad word"},
	};
	for (unsigned i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char config[512] =
			"FromDevice(0) -> [0]rw; FromDevice(1) -> [1]rw; rw[0] -> Discard;"
			"rw[1] -> Discard; rw :: ";
		strcat(config, cases[i].rewriter);
		strcat(config, ";");
		assert_false(fixture_init(&fixture, config));
		if (!strstr(fixture.errors, cases[i].wanted))
			print_error("%s: %s", cases[i].rewriter, fixture.errors);
		assert_non_null(strstr(fixture.errors, cases[i].wanted));
		fixture_fini(&fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(echoes_are_rewritten),
		cmocka_unit_test(addresses_are_rewritten),
		cmocka_unit_test(errors_reach_who_sent),
		cmocka_unit_test(damaged_packets_do_no_harm),
		cmocka_unit_test(memory_may_end),
		cmocka_unit_test(mistakes_are_told),
	};
	srandom(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
