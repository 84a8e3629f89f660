/* Rewriters against a model: flows do not share mappings, replies come back, checksums are right.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "click/click_nat_fixture.h"

/* --- NAT of ports --- */

#define FLOWS_MAX 4000u

static struct {
	struct flow inside, outside;
} model[FLOWS_MAX];

/* What is new must be 1.0.0.1, a port of the range, and nobody else's. */
static void check_new(const struct flow *inside, const struct flow *outside, unsigned count)
{
	assert_int_equal(outside->saddr, 0x01000001);
	assert_int_equal(outside->daddr, inside->daddr);
	assert_int_equal(outside->dport, inside->dport);
	assert_in_range(outside->sport, 1024, 1024 + NAT_PORTS - 1);
	unsigned used = 0;
	bool wanted_is_used = false;
	for (unsigned i = 0; i < count; i++) {
		assert_false(nat_is_same(&model[i].outside, outside));
		if (model[i].outside.daddr != outside->daddr ||
		    model[i].outside.dport != outside->dport ||
		    model[i].outside.protocol != outside->protocol)
			continue;
		used++;
		wanted_is_used |= model[i].outside.sport == inside->sport;
	}
	assert_true(used < NAT_PORTS);
	/* The port stays if it can. */
	if (inside->sport >= 1024 && inside->sport < 1024 + NAT_PORTS && !wanted_is_used)
		assert_int_equal(outside->sport, inside->sport);
}

/* All ports towards that destination are in use. */
static void check_exhausted(const struct flow *inside, unsigned count)
{
	unsigned used = 0;
	for (unsigned i = 0; i < count; i++)
		used += model[i].outside.daddr == inside->daddr &&
			model[i].outside.dport == inside->dport &&
			model[i].outside.protocol == inside->protocol;
	assert_int_equal(used, NAT_PORTS);
}

static void nat_matches_a_model(void **state)
{
	(void)state;
	unsigned count = 0, dropped = 0;
	nat_load(
		NAT("IPRewriter(pattern 1.0.0.1 1024-1073 - - 0 1, drop, TCP_DONE_TIMEOUT 86400)"));
	for (unsigned round = 0; round < 20000; round++) {
		struct flow flow = nat_random_flow();
		unsigned at = 0;
		while (at < count && !nat_is_same(&model[at].inside, &flow))
			at++;
		fixture_now_ns += (uint64_t)random() % 1000000;
		const struct fixture_packet *out =
			nat_pass(INSIDE, &flow, (uint32_t)random() % 60, (uint8_t)(random() % 2));
		if (!out) {
			assert_int_equal(at, count);
			check_exhausted(&flow, count);
			dropped++;
			continue;
		}
		assert_int_equal(out->device, OUTSIDE);
		struct flow outside = nat_flow_of(out);
		if (at < count) {
			assert_true(nat_is_same(&model[at].outside, &outside));
		} else {
			check_new(&flow, &outside, count);
			model[count].inside = flow;
			model[count++].outside = outside;
		}
		/* A reply comes back to whoever that is. */
		at = (unsigned)random() % count;
		struct flow reply = nat_reverse(&model[at].outside);
		out = nat_pass(OUTSIDE, &reply, (uint32_t)random() % 60, 16);
		assert_non_null(out);
		assert_int_equal(out->device, INSIDE);
		struct flow wanted = nat_reverse(&model[at].inside), got = nat_flow_of(out);
		assert_true(nat_is_same(&wanted, &got));
		/* What nobody asked for does not. */
		reply.dport = (uint16_t)(reply.dport + 1000);
		assert_null(nat_pass(OUTSIDE, &reply, 0, 2));
	}
	assert_int_equal(count, 2 * 3 * 2 * NAT_PORTS);
	assert_true(dropped > 1000);
	assert_int_equal(fixture_count(&fixture, "rw.nmappings"), count);
	assert_int_equal(fixture_count(&fixture, "rw.mapping_failures"), dropped);
	fixture_fini(&fixture);
}

static void nat_forgets_in_time(void **state)
{
	(void)state;
	nat_load(NAT("IPRewriter(pattern 1.0.0.1 - - - 0 1, drop, TCP_TIMEOUT 1000,"
		     " TCP_NODATA_TIMEOUT 100, TCP_DONE_TIMEOUT 10, UDP_TIMEOUT 20,"
		     " UDP_STREAMING_TIMEOUT 200)"));
	fixture_now_ns = 1;
	struct flow flow = nat_udp(1000), outside = nat_begin(&flow, 0, 0);
	fixture_now_ns += 20 * SECOND_NS;
	assert_false(nat_lives(&outside));
	/* A reply, and a third packet: streaming. */
	nat_begin(&flow, 0, 0);
	fixture_now_ns += 20 * SECOND_NS - 1;
	assert_true(nat_lives(&outside));
	nat_begin(&flow, 0, 0);
	fixture_now_ns += 200 * SECOND_NS - 1;
	assert_true(nat_lives(&outside));
	fixture_now_ns += 200 * SECOND_NS;
	assert_false(nat_lives(&outside));
	/* TCP without data in both directions. */
	flow = nat_tcp(2000);
	outside = nat_begin(&flow, 10, 16);
	fixture_now_ns += 100 * SECOND_NS - 1;
	assert_true(nat_lives(&outside));
	fixture_now_ns += 100 * SECOND_NS;
	assert_false(nat_lives(&outside));
	/* With: until one end says that it is over, and the other. */
	nat_begin(&flow, 10, 16);
	struct flow reply = nat_reverse(&outside);
	assert_non_null(nat_pass(OUTSIDE, &reply, 10, 16));
	fixture_now_ns += 1000 * SECOND_NS - 1;
	nat_begin(&flow, 0, 1);
	fixture_now_ns += 1000 * SECOND_NS - 1;
	assert_non_null(nat_pass(OUTSIDE, &reply, 0, 1));
	fixture_now_ns += 10 * SECOND_NS - 1;
	assert_true(nat_lives(&outside));
	fixture_now_ns += 10 * SECOND_NS;
	assert_false(nat_lives(&outside));
	/* A reset is over at once; and the timer removes what nobody asks for. */
	nat_begin(&flow, 0, 4);
	assert_int_equal(fixture_count(&fixture, "rw.nmappings"), 1);
	fixture_run_until(&fixture, fixture_now_ns + 1900 * SECOND_NS);
	assert_int_equal(fixture_count(&fixture, "rw.nmappings"), 0);
	fixture_fini(&fixture);
}

static void nat_has_a_capacity(void **state)
{
	(void)state;
	nat_load(NAT("IPRewriter(pattern 1.0.0.1 - - - 0 1, drop, MAPPING_CAPACITY 3,"
		     " UDP_GUARANTEE 5)"));
	struct flow outside[4];
	for (uint16_t i = 0; i < 3; i++) {
		struct flow flow = nat_udp((uint16_t)(1000 + i));
		outside[i] = nat_begin(&flow, 0, 0);
		fixture_now_ns += SECOND_NS;
	}
	struct flow fourth = nat_udp(1003);
	assert_null(nat_pass(INSIDE, &fourth, 0, 0));
	assert_int_equal(fixture_count(&fixture, "rw.mapping_failures"), 1);
	fixture_now_ns += 2 * SECOND_NS; /* the first one's guarantee is over */
	outside[3] = nat_begin(&fourth, 0, 0);
	assert_false(nat_lives(&outside[0]));
	assert_true(nat_lives(&outside[1]) && nat_lives(&outside[2]) && nat_lives(&outside[3]));
	assert_true(fixture_write(&fixture, "rw.capacity", "1"));
	assert_int_equal(fixture_count(&fixture, "rw.size"), 1);
	assert_false(fixture_write(&fixture, "rw.capacity", "4"));
	assert_true(fixture_write(&fixture, "rw.clear", ""));
	assert_int_equal(fixture_count(&fixture, "rw.size"), 0);
	fixture_fini(&fixture);
}

static void nat_shares_a_capacity(void **state)
{
	(void)state;
	nat_load(NAT(
		"IPRewriter(pattern 1.0.0.1 - - - 0 1, drop, MAPPING_CAPACITY 2)") "a :: "
										   "UDPRewriter("
										   "keep 0 0, "
										   "MAPPING_"
										   "CAPACITY rw, "
										   "GUARANTEE 5);"
										   "FromDevice(2) "
										   "-> "
										   "MarkIPHeader("
										   "0) -> a -> "
										   "ToDevice(1);");
	struct flow flow = nat_udp(1);
	nat_begin(&flow, 0, 0);
	assert_non_null(nat_pass(2, &flow, 0, 0)); /* the same flow, of another table */
	assert_int_equal(fixture_count(&fixture, "rw.size"), 2);
	assert_int_equal(fixture_count(&fixture, "a.nmappings"), 1);
	flow = nat_udp(2);
	assert_null(nat_pass(INSIDE, &flow, 0, 0));
	fixture_now_ns += 6 * SECOND_NS;
	assert_non_null(nat_pass(INSIDE, &flow, 0, 0));
	assert_int_equal(fixture_count(&fixture, "rw.size"), 2);
	fixture_fini(&fixture);
}

static void nat_tells_its_table(void **state)
{
	(void)state;
	nat_load("p :: IPRewriterPatterns(web 1.0.0.1 5000-5001# 9.9.9.9 8080);" NAT(
		"IPRewriter(pattern web 0 1, pattern 7.7.7.7 1-9? - - 0 1)"));
	struct flow flow = nat_tcp(1000);
	nat_begin(&flow, 0, 2);
	flow.sport = 1001;
	nat_begin(&flow, 0, 2);
	assert_string_equal(fixture_read(&fixture, "rw.tcp_table"),
			    "(10.0.0.1, 1000, 8.8.8.8, 80) => (1.0.0.1, 5000, 9.9.9.9, 8080)"
			    " [*0 1]\n"
			    "(9.9.9.9, 8080, 1.0.0.1, 5000) => (8.8.8.8, 80, 10.0.0.1, 1000)"
			    " [0 *1]\n"
			    "(10.0.0.1, 1001, 8.8.8.8, 80) => (1.0.0.1, 5001, 9.9.9.9, 8080)"
			    " [*0 1]\n"
			    "(9.9.9.9, 8080, 1.0.0.1, 5001) => (8.8.8.8, 80, 10.0.0.1, 1001)"
			    " [0 *1]\n");
	assert_string_equal(fixture_read(&fixture, "rw.udp_table"), "");
	assert_string_equal(fixture_read(&fixture, "rw.patterns"),
			    "1.0.0.1 5000-5001# 9.9.9.9 8080 0 1\n7.7.7.7 1-9? - - 0 1\n");
	assert_true(fixture_write(&fixture, "rw.tcp_lookup", "10.0.0.1 1001 8.8.8.8 80"));
	assert_string_equal(fixture_read(&fixture, "rw.tcp_lookup"), "1.0.0.1 5001 9.9.9.9 8080");
	assert_true(fixture_write(&fixture, "rw.tcp_lookup", "10.0.0.1 1002 8.8.8.8 80"));
	assert_string_equal(fixture_read(&fixture, "rw.tcp_lookup"), "");
	assert_false(fixture_write(&fixture, "rw.tcp_lookup", "10.0.0.1 1002 8.8.8.8"));
	flow.sport = 1002;
	assert_null(nat_pass(INSIDE, &flow, 0, 2));
	fixture_fini(&fixture);
}

static void mappers_take_turns(void **state)
{
	(void)state;
	nat_load("m :: RoundRobinIPMapper(- - 9.0.0.1 - 0 1, - - 9.0.0.2 - 0 1);" NAT(
		"IPRewriter(m, pass 1)"));
	for (uint16_t i = 0; i < 6; i++) {
		struct flow flow = nat_tcp((uint16_t)(100 + i)), outside = nat_begin(&flow, 0, 2);
		assert_int_equal(outside.daddr, 0x09000001 + i % 2);
		assert_int_equal(outside.sport, flow.sport);
		struct flow again = nat_begin(&flow, 0, 16);
		assert_true(nat_is_same(&outside, &again));
		assert_true(nat_lives(&outside));
	}
	fixture_fini(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nat_matches_a_model), cmocka_unit_test(nat_forgets_in_time),
		cmocka_unit_test(nat_has_a_capacity),  cmocka_unit_test(nat_shares_a_capacity),
		cmocka_unit_test(nat_tells_its_table), cmocka_unit_test(mappers_take_turns),
	};
	srandom(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
