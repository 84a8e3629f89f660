/* Sources, counters and what they call, on virtual time; names and timeouts of rewriters. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "click/click_nat_fixture.h"

#define MS_NS 1000000ull

static void load(const char *config)
{
	bool is_loaded = fixture_init(&fixture, config);
	if (!is_loaded)
		print_error("%s", fixture.errors);
	assert_true(is_loaded);
}

static void send_many(unsigned count, uint32_t len)
{
	static const uint8_t zeroes[2048];
	for (unsigned i = 0; i < count; i++)
		assert_true(fixture_send(&fixture, 0, zeroes, len));
}

/* --- counters --- */

static void counters_have_rates(void **state)
{
	(void)state;
	fixture_now_ns = 3600 * SECOND_NS;
	load("FromDevice(0) -> c :: Counter -> Discard;");
	assert_string_equal(fixture_read(&fixture, "c.rate"), "0");
	/* The first packet comes long after: 1,000 a second of 50 bytes, for ten seconds. */
	fixture_now_ns += 3600 * SECOND_NS;
	for (unsigned i = 0; i < 10000; i++) {
		send_many(1, 50);
		fixture_now_ns += MS_NS;
		if (i % 700 == 0)
			(void)fixture_read(&fixture, "c.byte_rate");
	}
	assert_in_range(fixture_count(&fixture, "c.rate"), 995, 1005);
	assert_in_range(fixture_count(&fixture, "c.byte_rate"), 49750, 50250);
	assert_in_range(fixture_count(&fixture, "c.bit_rate"), 398000, 402000);
	fixture_now_ns += 10 * SECOND_NS;
	assert_int_equal(fixture_count(&fixture, "c.rate"), 0);
	send_many(5, 50);
	assert_true(fixture_write(&fixture, "c.reset_counts", ""));
	assert_int_equal(fixture_count(&fixture, "c.count"), 0);
	fixture_now_ns += SECOND_NS;
	assert_string_equal(fixture_read(&fixture, "c.rate"), "0");
	fixture_fini(&fixture);
}

static void counters_call(void **state)
{
	(void)state;
	load("FromDevice(0) -> c :: Counter(COUNT_CALL 3 a/s.switch 1) -> a :: { input -> s :: "
	     "Switch -> output; s[1] -> [1]output } -> Discard; a[1] -> d :: "
	     "Counter(BYTE_COUNT_CALL "
	     "100 c.reset) -> Discard;");
	assert_string_equal(fixture_read(&fixture, "c.count_call"), "3");
	assert_string_equal(fixture_read(&fixture, "d.count_call"), "");
	send_many(2, 60);
	assert_string_equal(fixture_read(&fixture, "a/s.switch"), "0");
	send_many(1, 60);
	assert_string_equal(fixture_read(&fixture, "a/s.switch"), "1");
	/* The third went to 1 already, the fourth makes it 120 bytes; once only. */
	send_many(1, 60);
	assert_int_equal(fixture_count(&fixture, "c.count"), 0);
	send_many(2, 60);
	assert_int_equal(fixture_count(&fixture, "c.count"), 2);
	/* Another number for the same handler; after a reset each call comes again. */
	assert_true(fixture_write(&fixture, "a/s.switch", "0"));
	assert_true(fixture_write(&fixture, "c.count_call", "4"));
	send_many(2, 60);
	assert_string_equal(fixture_read(&fixture, "a/s.switch"), "1");
	assert_true(fixture_write(&fixture, "d.reset", ""));
	send_many(2, 60);
	assert_int_equal(fixture_count(&fixture, "c.count"), 0);
	assert_false(fixture_write(&fixture, "c.count_call", "nothing"));
	assert_false(fixture_write(&fixture, "c.byte_count_call", "5 nobody.reset"));
	/* Its own reset: each third packet. What the handler refuses does no harm. */
	assert_true(fixture_write(&fixture, "c.count_call", "3 c.reset"));
	assert_true(fixture_write(&fixture, "d.byte_count_call", "1 a/s.switch far"));
	send_many(7, 60);
	assert_int_equal(fixture_count(&fixture, "c.count"), 1);
	assert_string_equal(fixture_read(&fixture, "a/s.switch"), "1");
	fixture_fini(&fixture);
}

/* Handlers that change who calls them, while a packet is on its way through. */
static void calls_change_who_pulls(void **state)
{
	(void)state;
	load("s :: StrideSched(1, 1) -> Unqueue -> d :: Discard;"
	     "FromDevice(0) -> q :: Queue -> Counter(COUNT_CALL 2 s.tickets 0 0) -> [0]s;"
	     "Idle -> Queue -> [1]s;");
	send_many(5, 60);
	assert_int_equal(fixture_count(&fixture, "d.count"), 2);
	assert_string_equal(fixture_read(&fixture, "s.tickets"), "0 1");
	assert_true(fixture_write(&fixture, "s.tickets", "0 3"));
	fixture_run_until(&fixture, fixture_now_ns);
	assert_int_equal(fixture_count(&fixture, "d.count"), 5);
	fixture_fini(&fixture);
	load("FromDevice(0) -> q :: Queue -> Counter(COUNT_CALL 1 q.reset) -> u :: Unqueue(BURST 9,"
	     " ACTIVE false) -> Counter(COUNT_CALL 1 u.active false) -> d :: Discard;"
	     "q[1] -> Counter(COUNT_CALL 1 q.reset) -> e :: Discard;");
	send_many(5, 60);
	assert_true(fixture_write(&fixture, "u.active", "true"));
	fixture_run_until(&fixture, fixture_now_ns);
	assert_int_equal(fixture_count(&fixture, "d.count"), 1);
	assert_int_equal(fixture_count(&fixture, "e.count"), 4);
	assert_int_equal(fixture_count(&fixture, "q.length"), 0);
	fixture_fini(&fixture);
}

/* --- sources --- */

/* While one of the queues has room it goes on; what is not a queue always has. */
static void infinite_sources_wait(void **state)
{
	(void)state;
	load("InfiniteSource(LIMIT 50) -> Null -> t :: Tee;"
	     "t[0] -> a :: Queue(5) -> u :: Unqueue(ACTIVE false) -> Discard;"
	     "t[1] -> b :: ThreadSafeQueue(9) -> v :: RatedUnqueue(1000, BURST_SIZE 1) -> "
	     "Discard;");
	uint64_t start_ns = fixture_now_ns;
	fixture_run_until(&fixture, start_ns);
	assert_int_equal(click_router_deadline(fixture.router), start_ns + MS_NS);
	assert_int_equal(fixture_count(&fixture, "b.length"), 9);
	fixture_run_until(&fixture, start_ns + SECOND_NS);
	assert_int_equal(fixture_count(&fixture, "v.pushes"), 50);
	assert_int_equal(fixture_count(&fixture, "a.drops"), 45);
	assert_int_equal(fixture_count(&fixture, "b.drops"), 0);
	assert_int_equal(click_router_deadline(fixture.router), UINT64_MAX);
	fixture_fini(&fixture);
	load("s :: InfiniteSource(LIMIT 50, BURST 7) -> t :: Tee; t[1] -> Discard;"
	     "t[0] -> a :: Queue(5) -> Unqueue(ACTIVE false) -> Discard;");
	fixture_run_until(&fixture, fixture_now_ns);
	assert_int_equal(fixture_count(&fixture, "s.count"), 50);
	assert_int_equal(fixture_count(&fixture, "a.drops"), 45);
	/* More room wakes one that waits. */
	fixture_fini(&fixture);
	load("s :: InfiniteSource -> a :: Queue(5) -> Unqueue(ACTIVE false) -> Discard;");
	fixture_run_until(&fixture, fixture_now_ns);
	assert_true(fixture_write(&fixture, "a.capacity", "8"));
	fixture_run_until(&fixture, fixture_now_ns);
	assert_int_equal(fixture_count(&fixture, "a.length"), 8);
	assert_int_equal(fixture_count(&fixture, "a.drops"), 0);
	assert_true(fixture_write(&fixture, "a.reset", ""));
	fixture_run_until(&fixture, fixture_now_ns);
	assert_int_equal(fixture_count(&fixture, "s.count"), 16);
	assert_int_equal(fixture_count(&fixture, "a.highwater_length"), 8);
	fixture_fini(&fixture);
}

static void sources_are_changed(void **state)
{
	(void)state;
	load("s :: InfiniteSource(DATA abc, LIMIT 2, LENGTH 8) -> Unqueue -> ToDevice(0);");
	fixture_run_until(&fixture, fixture_now_ns);
	assert_int_equal(fixture.sent_count, 2);
	assert_memory_equal(fixture.sent[0].data, "abcabcab", 8);
	/* Who pulls is told when there is more. */
	fixture_clear(&fixture);
	assert_true(fixture_write(&fixture, "s.data", "other"));
	assert_true(fixture_write(&fixture, "s.length", "-1"));
	assert_false(fixture_write(&fixture, "s.length", "2049"));
	assert_true(fixture_write(&fixture, "s.limit", "3"));
	assert_true(fixture_write(&fixture, "s.burst", "1000000"));
	assert_false(fixture_write(&fixture, "s.burst", "0"));
	fixture_run_until(&fixture, fixture_now_ns);
	assert_int_equal(fixture.sent_count, 1);
	assert_int_equal(fixture.sent[0].len, 5);
	assert_memory_equal(fixture.sent[0].data, "other", 5);
	assert_true(fixture_write(&fixture, "s.active", "false"));
	assert_true(fixture_write(&fixture, "s.reset", ""));
	fixture_run_until(&fixture, fixture_now_ns);
	assert_int_equal(fixture.sent_count, 1);
	assert_true(fixture_write(&fixture, "s.active", "true"));
	fixture_run_until(&fixture, fixture_now_ns);
	assert_int_equal(fixture.sent_count, 4);
	assert_string_equal(fixture_read(&fixture, "s.limit"), "3");
	assert_string_equal(fixture_read(&fixture, "s.length"), "-1");
	assert_string_equal(fixture_read(&fixture, "s.burst"), "1000000");
	assert_string_equal(fixture_read(&fixture, "s.active"), "true");
	assert_string_equal(fixture_read(&fixture, "s.data"), "other");
	fixture_fini(&fixture);
}

/* A source that calls its own reset begins again each time, and does not keep the processor. */
static void sources_call(void **state)
{
	(void)state;
	load("s :: InfiniteSource(LIMIT 5, END_CALL s.reset) -> d :: Discard;"
	     "r :: RatedSource(RATE 10, LIMIT 2, END_CALL t.active true) -> e :: Discard;"
	     "t :: RatedSource(RATE 10, LIMIT 3, ACTIVE false) -> f :: Discard;");
	uint64_t start_ns = fixture_now_ns;
	(void)click_router_run(fixture.router);
	assert_in_range(fixture_count(&fixture, "d.count"), 100, 5000);
	assert_true(fixture_write(&fixture, "s.active", "false"));
	fixture_run_until(&fixture, start_ns + 100 * MS_NS);
	assert_int_equal(fixture_count(&fixture, "e.count"), 2);
	assert_int_equal(fixture_count(&fixture, "f.count"), 1);
	fixture_run_until(&fixture, start_ns + SECOND_NS);
	assert_int_equal(fixture_count(&fixture, "f.count"), 3);
	assert_int_equal(click_router_deadline(fixture.router), UINT64_MAX);
	fixture_fini(&fixture);
}

/* Of the packets that nobody pulled a hundredth of a second's are left, or two. */
static void rated_sources_keep_little(void **state)
{
	(void)state;
	load("s :: RatedSource(RATE 100) -> p :: PullSwitch(-1) -> Unqueue -> ToDevice(0);"
	     "t :: RatedSource(RATE 1000) -> q :: PullSwitch(-1) -> Unqueue -> ToDevice(1);");
	fixture_run_until(&fixture, fixture_now_ns);
	fixture_now_ns += SECOND_NS / 2;
	assert_true(fixture_write(&fixture, "p.switch", "0"));
	fixture_run_until(&fixture, fixture_now_ns);
	assert_true(fixture.sent_count <= 2);
	fixture_run_until(&fixture, fixture_now_ns + SECOND_NS);
	assert_in_range(fixture.sent_count, 101, 102);
	/* Another rate goes on from there. */
	fixture_clear(&fixture);
	assert_true(fixture_write(&fixture, "s.rate", "10"));
	fixture_run_until(&fixture, fixture_now_ns);
	assert_int_equal(fixture.sent_count, 0);
	fixture_run_until(&fixture, fixture_now_ns + SECOND_NS);
	assert_int_equal(fixture.sent_count, 10);
	assert_string_equal(fixture_read(&fixture, "s.rate"), "10");
	fixture_clear(&fixture);
	assert_true(fixture_write(&fixture, "p.switch", "-1"));
	assert_true(fixture_write(&fixture, "q.switch", "0"));
	fixture_run_until(&fixture, fixture_now_ns);
	assert_true(fixture.sent_count <= 10);
	fixture_fini(&fixture);
}

/* --- queues --- */

static void queues_keep_what_came_first(void **state)
{
	(void)state;
	load("FromDevice(0) -> q :: Queue(9) -> p :: PullSwitch(-1) -> Unqueue(BURST -1)"
	     " -> ToDevice(0); q[1] -> ToDevice(1);");
	for (uint32_t len = 1; len <= 5; len++)
		send_many(1, len);
	assert_true(fixture_write(&fixture, "q.capacity", "2"));
	assert_int_equal(fixture_count(&fixture, "q.length"), 2);
	send_many(1, 6);
	assert_int_equal(fixture.sent_count, 1);
	assert_int_equal(fixture.sent[0].device, 1);
	assert_int_equal(fixture_count(&fixture, "q.drops"), 4);
	fixture_clear(&fixture);
	assert_true(fixture_write(&fixture, "p.switch", "0"));
	fixture_run_until(&fixture, fixture_now_ns);
	assert_int_equal(fixture.sent_count, 2);
	assert_int_equal(fixture.sent[0].len, 1);
	assert_int_equal(fixture.sent[1].len, 2);
	assert_true(fixture_write(&fixture, "q.capacity", "0"));
	send_many(1, 7);
	assert_int_equal(fixture.sent_count, 3);
	assert_int_equal(fixture.sent[2].device, 1);
	/* A reset empties it, and counts stay. */
	assert_true(fixture_write(&fixture, "q.capacity", "4000000000"));
	assert_true(fixture_write(&fixture, "p.switch", "-1"));
	send_many(3, 8);
	assert_true(fixture_write(&fixture, "q.reset", ""));
	assert_int_equal(fixture_count(&fixture, "q.length"), 0);
	assert_int_equal(fixture.sent_count, 6);
	assert_int_equal(fixture_count(&fixture, "q.highwater_length"), 5);
	assert_int_equal(fixture_count(&fixture, "q.drops"), 5);
	fixture_fini(&fixture);
}

/* What a queue drops comes to the queue again: it ends, and no packet is lost or there twice. */
static void queues_in_circles_end(void **state)
{
	(void)state;
	static const char *const queues[] = {"Queue(2)", "FrontDropQueue(2)", "MixedQueue(2)",
					     "FrontDropQueue(0)"};
	for (unsigned i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
		char config[300];
		(void)snprintf(config, sizeof(config),
			       "FromDevice(0) -> q :: %s -> p :: PullSwitch(-1) -> Discard;"
			       "q[1] -> n :: Null -> q; %s",
			       queues[i], i == 2 ? "FromDevice(1) -> [1]q;" : "");
		load(config);
		for (unsigned turn = 0; turn < 9; turn++)
			send_many(1, 60);
		assert_int_equal(fixture_count(&fixture, "q.length"), i == 3 ? 0 : 2);
		assert_true(fixture_write(&fixture, "q.reset", ""));
		assert_true(fixture_count(&fixture, "q.length") <= 2);
		fixture_fini(&fixture);
	}
}

static void unqueues_have_bounds(void **state)
{
	(void)state;
	load("FromDevice(0) -> Queue -> u :: Unqueue(BURST 0) -> d :: Discard;"
	     "FromDevice(1) -> Queue -> Discard(BURST 0);");
	send_many(9, 60);
	assert_int_equal(fixture_count(&fixture, "d.count"), 0);
	assert_true(fixture_write(&fixture, "u.limit", "4"));
	assert_true(fixture_write(&fixture, "u.burst", "3"));
	fixture_run_until(&fixture, fixture_now_ns);
	assert_int_equal(fixture_count(&fixture, "d.count"), 4);
	assert_string_equal(fixture_read(&fixture, "u.burst"), "3");
	assert_string_equal(fixture_read(&fixture, "u.limit"), "4");
	assert_true(fixture_write(&fixture, "u.reset_counts", ""));
	fixture_run_until(&fixture, fixture_now_ns);
	assert_int_equal(fixture_count(&fixture, "d.count"), 8);
	assert_int_equal(click_router_deadline(fixture.router), UINT64_MAX);
	fixture_fini(&fixture);
}

static void delays_are_added(void **state)
{
	(void)state;
	load("FromDevice(0) -> Queue -> DelayUnqueue(0.5) -> Queue -> d :: DelayUnqueue(1)"
	     " -> ToDevice(0);");
	assert_true(fixture_write(&fixture, "d.delay", "250ms"));
	assert_false(fixture_write(&fixture, "d.delay", "soon"));
	assert_string_equal(fixture_read(&fixture, "d.delay"), "0.25");
	uint64_t start_ns = fixture_now_ns;
	send_many(1, 60);
	fixture_run_until(&fixture, start_ns + SECOND_NS);
	assert_int_equal(fixture.sent_count, 1);
	assert_int_equal(fixture.sent[0].time_ns, start_ns + 750 * MS_NS);
	fixture_fini(&fixture);
}

/* --- rewriters --- */

/* A reset that somebody else made up ends nothing for those who go on. */
static void resets_are_taken_back(void **state)
{
	(void)state;
	nat_load(NAT("IPRewriter(pattern 1.0.0.1 - - - 0 1, drop, TIMEOUT 1000,"
		     " TCP_NODATA_TIMEOUT 100, TCP_DONE_TIMEOUT 10)"));
	struct flow flow = nat_tcp(2000), outside = nat_begin(&flow, 10, 16);
	struct flow reply = nat_reverse(&outside);
	assert_non_null(nat_pass(OUTSIDE, &reply, 10, 16));
	assert_non_null(nat_pass(OUTSIDE, &reply, 0, 4));
	fixture_now_ns += 9 * SECOND_NS;
	assert_non_null(nat_pass(OUTSIDE, &reply, 10, 16));
	fixture_now_ns += 999 * SECOND_NS;
	nat_begin(&flow, 0, 1);
	assert_non_null(nat_pass(OUTSIDE, &reply, 0, 1));
	/* The same ports again begin anew, without what was known. */
	nat_begin(&flow, 0, 2);
	fixture_now_ns += 100 * SECOND_NS;
	assert_false(nat_lives(&outside));
	fixture_fini(&fixture);
}

static void keywords_have_other_names(void **state)
{
	(void)state;
	static const char *const rewriters[] = {
		"IPRewriter(xpattern 1.0.0.1 - - - 0 1, drop, CAPACITY 1, GUARANTEE 3, REAP_TIME "
		"9)",
		"UDPRewriter(pattern 1.0.0.1 - - - 0 1, drop, CAPACITY 1, UDP_GUARANTEE 3,"
		" UDP_TIMEOUT 20, UDP_STREAMING_TIMEOUT 30)",
		"TCPRewriter(pattern 1.0.0.1 - - - 0 1, drop, CAPACITY 1, GUARANTEE 3,"
		" TIMEOUT 20)",
	};
	for (unsigned i = 0; i < sizeof(rewriters) / sizeof(rewriters[0]); i++) {
		char config[500];
		(void)snprintf(config, sizeof(config), NAT("%s"), rewriters[i]);
		nat_load(config);
		struct flow flow = nat_tcp(1);
		nat_begin(&flow, 0, 2);
		flow = nat_tcp(2);
		fixture_now_ns += 3 * SECOND_NS - 1;
		assert_null(nat_pass(INSIDE, &flow, 0, 2));
		fixture_now_ns += 1;
		nat_begin(&flow, 0, 2);
		fixture_fini(&fixture);
	}
}

static void ranges_have_names(void **state)
{
	(void)state;
	load("AddressInfo(low 1.0.0.1, high 1.0.0.2, net 1.0.0.0/30, half 2.0.0.8/31);"
	     "FromDevice(0) -> MarkIPHeader(0) -> t :: Tee;"
	     "t[0] -> a :: IPAddrRewriter(pattern low-high# - 0 0) -> Discard;"
	     "t[1] -> b :: IPAddrRewriter(pattern net:ipnet# - 0 0) -> Discard;"
	     "t[2] -> c :: IPAddrPairRewriter(pattern half:ipnet low 0 0) -> Discard;"
	     "t[3] -> d :: IPAddrRewriter(pattern 1.0.0.0/29 - 0 0) -> Discard;");
	assert_string_equal(fixture_read(&fixture, "a.patterns"), "1.0.0.1-1.0.0.2# - 0 0\n");
	assert_string_equal(fixture_read(&fixture, "b.patterns"), "1.0.0.1-1.0.0.2# - 0 0\n");
	assert_string_equal(fixture_read(&fixture, "c.patterns"), "2.0.0.8-2.0.0.9 1.0.0.1 0 0\n");
	assert_string_equal(fixture_read(&fixture, "d.patterns"), "1.0.0.1-1.0.0.6 - 0 0\n");
	fixture_fini(&fixture);
	assert_false(fixture_init(&fixture,
				  "Idle -> IPAddrRewriter(pattern 1.0.0.0/255.0.255.0 - 0 "
				  "0) -> Discard;"));
	assert_non_null(strstr(fixture.errors, "bad word"));
	fixture_fini(&fixture);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(counters_have_rates),
		cmocka_unit_test(counters_call),
		cmocka_unit_test(calls_change_who_pulls),
		cmocka_unit_test(infinite_sources_wait),
		cmocka_unit_test(sources_are_changed),
		cmocka_unit_test(sources_call),
		cmocka_unit_test(rated_sources_keep_little),
		cmocka_unit_test(queues_keep_what_came_first),
		cmocka_unit_test(queues_in_circles_end),
		cmocka_unit_test(unqueues_have_bounds),
		cmocka_unit_test(delays_are_added),
		cmocka_unit_test(resets_are_taken_back),
		cmocka_unit_test(keywords_have_other_names),
		cmocka_unit_test(ranges_have_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
