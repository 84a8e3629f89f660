/* Queues, schedulers and shapers on virtual time: when packets leave, and in which proportion. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "click/click_flow_fixture.h"

#define SECOND_NS 1000000000ull
#define MS_NS	  1000000ull

static struct fixture fixture;

static void load(const char *config)
{
	bool is_loaded = fixture_init(&fixture, config);
	if (!is_loaded)
		print_error("%s", fixture.errors);
	assert_true(is_loaded);
}

static void send_many(unsigned device, unsigned count, uint32_t len)
{
	static const uint8_t zeroes[2048];
	for (unsigned i = 0; i < count; i++)
		assert_true(fixture_send(&fixture, device, zeroes, len));
}

/* Nothing is to do any more, and no timer wakes an idle router. */
static void check_idle(void)
{
	assert_int_equal(click_router_deadline(fixture.router), UINT64_MAX);
}

static void unqueue_keeps_its_rate(void **state)
{
	(void)state;
	fixture_now_ns = 7;
	load("FromDevice(0) -> Queue -> u :: RatedUnqueue(1000, BURST_SIZE 5) -> ToDevice(0);");
	send_many(0, 20, 60);
	fixture_run_until(&fixture, 7 + SECOND_NS);
	assert_int_equal(fixture.sent_count, 20);
	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(fixture.sent[i].time_ns, 7 + (i < 5 ? 0 : (i - 4) * MS_NS));
	check_idle();
	/* Another rate; the burst that was configured stays. */
	assert_true(fixture_write(&fixture, "u.rate", "10"));
	assert_false(fixture_write(&fixture, "u.rate", "fast"));
	assert_string_equal(fixture_read(&fixture, "u.rate"), "10");
	fixture_clear(&fixture);
	send_many(0, 7, 60);
	fixture_run_until(&fixture, fixture_now_ns + SECOND_NS);
	assert_int_equal(fixture.sent_count, 7);
	assert_int_equal(fixture.sent[4].time_ns, 7 + SECOND_NS);
	assert_int_equal(fixture.sent[6].time_ns, 7 + SECOND_NS + 200 * MS_NS);
	assert_true(fixture_write(&fixture, "u.active", "false"));
	fixture_clear(&fixture);
	send_many(0, 3, 60);
	fixture_run_until(&fixture, fixture_now_ns + SECOND_NS);
	assert_int_equal(fixture.sent_count, 0);
	assert_true(fixture_write(&fixture, "u.active", "true"));
	fixture_run_until(&fixture, fixture_now_ns);
	assert_int_equal(fixture.sent_count, 3);
	fixture_fini(&fixture);
}

/* Bytes of random packets over a long time; no byte too many, and no time lost. */
static void bandwidth_holds(const char *config)
{
	load(config);
	uint64_t start_ns = fixture_now_ns, bytes = 0, last = 0;
	for (unsigned i = 0; i < 900; i++) {
		uint32_t len = 1 + (uint32_t)random() % 1500;
		send_many(0, 1, len);
		bytes += len;
		last = len;
	}
	fixture_run_until(&fixture, start_ns + 100 * SECOND_NS);
	assert_int_equal(fixture.sent_count, 900);
	/* The last one leaves when all before it are paid; the bucket has at most 2,000. */
	uint64_t took_ns = fixture.sent[899].time_ns - start_ns;
	uint64_t all_ns = (bytes - last) * 10000;
	assert_in_range(took_ns, all_ns - 2000 * 10000, all_ns + 1);
	check_idle();
	fixture_fini(&fixture);
}

static void bandwidths_hold(void **state)
{
	(void)state;
	bandwidth_holds("FromDevice(0) -> Queue -> BandwidthRatedUnqueue(100kBps) -> ToDevice(0);");
	bandwidth_holds("FromDevice(0) -> Queue -> BandwidthShaper(800kbps) -> Unqueue"
			" -> ToDevice(0);");
}

static void splitter_keeps_its_rate(void **state)
{
	(void)state;
	load("FromDevice(0) -> s :: RatedSplitter(100, BURST_DURATION 100ms);"
	     "s[0] -> ToDevice(0); s[1] -> ToDevice(1);");
	unsigned within = 0;
	for (unsigned i = 0; i < 5000; i++) {
		fixture_now_ns += MS_NS;
		send_many(0, 1, 60);
	}
	for (unsigned i = 0; i < fixture.sent_count; i++)
		within += fixture.sent[i].device == 0;
	assert_int_equal(fixture.sent_count, 5000);
	assert_in_range(within, 509, 510); /* ten at once, and 100 a second */
	fixture_fini(&fixture);
}

static void strides_share(void **state)
{
	(void)state;
	load("s :: StrideSched(3, 2, 1) -> RatedUnqueue(1000) -> ToDevice(0);"
	     "FromDevice(0) -> Queue -> [0]s; FromDevice(1) -> Queue -> [1]s;"
	     "FromDevice(2) -> Queue -> [2]s;");
	for (unsigned device = 0; device < 3; device++)
		send_many(device, 700, 100 + device);
	fixture_clear(&fixture);
	fixture_run_until(&fixture, fixture_now_ns + 600 * MS_NS);
	unsigned counts[3] = {0};
	for (unsigned i = 0; i < fixture.sent_count; i++)
		counts[fixture.sent[i].len - 100]++;
	assert_int_equal(fixture.sent_count, 600);
	assert_in_range(counts[0], 298, 302);
	assert_in_range(counts[1], 198, 202);
	assert_in_range(counts[2], 98, 102);
	/* Without tickets, nothing; an input that was empty does not catch up. */
	assert_true(fixture_write(&fixture, "s.tickets", "0 0"));
	assert_false(fixture_write(&fixture, "s.tickets", "3 1"));
	assert_false(fixture_write(&fixture, "s.tickets", "1 32769"));
	assert_string_equal(fixture_read(&fixture, "s.tickets"), "0 2 1");
	fixture_clear(&fixture);
	fixture_run_until(&fixture, fixture_now_ns + 300 * MS_NS);
	memset(counts, 0, sizeof(counts));
	for (unsigned i = 0; i < fixture.sent_count; i++)
		counts[fixture.sent[i].len - 100]++;
	assert_int_equal(counts[0], 0);
	assert_in_range(counts[1], 198, 202);
	fixture_fini(&fixture);
}

static void queues_have_handlers(void **state)
{
	(void)state;
	load("FromDevice(0) -> q :: FrontDropQueue(3) -> p :: PullSwitch(-1) -> Unqueue"
	     " -> ToDevice(0);");
	for (uint32_t i = 1; i <= 5; i++)
		send_many(0, 1, i);
	assert_int_equal(fixture_count(&fixture, "q.length"), 3);
	assert_int_equal(fixture_count(&fixture, "q.highwater_length"), 3);
	assert_int_equal(fixture_count(&fixture, "q.drops"), 2);
	assert_true(fixture_write(&fixture, "q.capacity", "6"));
	assert_false(fixture_write(&fixture, "q.capacity", "7"));
	for (uint32_t i = 6; i <= 9; i++)
		send_many(0, 1, i);
	assert_int_equal(fixture_count(&fixture, "q.length"), 6);
	assert_int_equal(fixture_count(&fixture, "q.drops"), 3);
	assert_true(fixture_write(&fixture, "q.reset_counts", ""));
	assert_int_equal(fixture_count(&fixture, "q.drops"), 0);
	assert_true(fixture_write(&fixture, "q.capacity", "2"));
	/* What waits is pulled as soon as the switch lets it. */
	assert_true(fixture_write(&fixture, "p.switch", "0"));
	fixture_run_until(&fixture, fixture_now_ns);
	assert_int_equal(fixture.sent_count, 2);
	assert_int_equal(fixture.sent[0].len, 8);
	assert_int_equal(fixture.sent[1].len, 9);
	assert_false(fixture_write(&fixture, "p.switch", "1"));
	assert_true(fixture_write(&fixture, "p.switch", "-1"));
	send_many(0, 2, 1);
	assert_true(fixture_write(&fixture, "q.reset", ""));
	assert_int_equal(fixture_count(&fixture, "q.length"), 0);
	check_idle();
	fixture_fini(&fixture);
}

/* With a queue of 30 all the time, p is 0.1 at half of the way to MAX_P: on average each
 * (1/p + 1) / 2 = 5.5 packets one is dropped. */
static void red_drops_in_proportion(void **state)
{
	(void)state;
	load("FromDevice(0) -> r :: RED(10, 50, 0.2, QUEUES q, STABILITY 2) -> Discard;"
	     "FromDevice(1) -> q :: Queue(100) -> PullSwitch(-1) -> Unqueue -> Discard;");
	send_many(1, 30, 60);
	send_many(0, 11000, 60);
	assert_in_range(fixture_count(&fixture, "r.drops"), 1900, 2100);
	assert_string_equal(fixture_read(&fixture, "r.queues"), "q\n");
	assert_int_equal(fixture_count(&fixture, "r.avg_queue_size"), 29);
	assert_true(fixture_write(&fixture, "r.min_thresh", "40"));
	assert_false(fixture_write(&fixture, "r.max_thresh", "39"));
	uint64_t before = fixture_count(&fixture, "r.drops");
	send_many(0, 1000, 60);
	assert_int_equal(fixture_count(&fixture, "r.drops"), before);
	/* An empty queue is forgotten in milliseconds. */
	assert_true(fixture_write(&fixture, "q.reset", ""));
	send_many(0, 1, 60);
	fixture_now_ns += 100 * MS_NS;
	send_many(0, 1, 60);
	assert_int_equal(fixture_count(&fixture, "r.avg_queue_size"), 0);
	fixture_fini(&fixture);
}

/* The nearest in the direction of packets, through others, and both of two. */
static void red_finds_its_queues(void **state)
{
	(void)state;
	load("FromDevice(0) -> r :: RED(5, 50, 0.02) -> Null -> s :: RoundRobinSwitch;"
	     "s[0] -> a :: Queue -> u :: Unqueue -> c :: Queue -> Unqueue -> Discard;"
	     "s[1] -> b :: FrontDropQueue -> Unqueue -> Discard;");
	assert_string_equal(fixture_read(&fixture, "r.queues"), "a\nb\n");
	fixture_fini(&fixture);
	load("FromDevice(0) -> a :: Queue -> [0]s :: PrioSched -> Null -> r :: RED(5, 50, 0.02)"
	     " -> Unqueue -> c :: Queue -> Unqueue -> Discard; Idle -> b :: Queue -> [1]s;");
	assert_string_equal(fixture_read(&fixture, "r.queues"), "a\nb\n");
	send_many(0, 3, 60);
	assert_int_equal(fixture_count(&fixture, "a.length"), 0);
	fixture_fini(&fixture);
}

static void samples_are_random(void **state)
{
	(void)state;
	load("FromDevice(0) -> r :: RandomSample(0.25) -> Discard;");
	send_many(0, 20000, 60);
	assert_in_range(fixture_count(&fixture, "r.drops"), 14700, 15300);
	assert_string_equal(fixture_read(&fixture, "r.drop_prob"), "0.75");
	assert_true(fixture_write(&fixture, "r.drop_prob", "0"));
	send_many(0, 1000, 60);
	assert_string_equal(fixture_read(&fixture, "r.sampling_prob"), "1");
	fixture_fini(&fixture);
	load("FromDevice(0) -> r :: RandomSwitch; r[0] -> a :: Counter -> Discard;"
	     "r[1] -> b :: Counter -> Discard; r[2] -> c :: Counter -> Discard;");
	send_many(0, 30000, 60);
	assert_in_range(fixture_count(&fixture, "a.count"), 9600, 10400);
	assert_in_range(fixture_count(&fixture, "b.count"), 9600, 10400);
	assert_in_range(fixture_count(&fixture, "c.count"), 9600, 10400);
	fixture_fini(&fixture);
	/* Of what is pulled, too: dropped packets do not stop whoever pulls. */
	load("FromDevice(0) -> Queue -> r :: RandomSample(0.25) -> RatedUnqueue(1000) -> c :: "
	     "Counter"
	     " -> Discard;");
	send_many(0, 1000, 60);
	fixture_run_until(&fixture, fixture_now_ns + 10 * SECOND_NS);
	assert_int_equal(fixture_count(&fixture, "r.drops") + fixture_count(&fixture, "c.count"),
			 1000);
	fixture_fini(&fixture);
}

static void sources_keep_time(void **state)
{
	(void)state;
	load("t :: TimedSource(20ms, \"x\", LIMIT 10) -> ToDevice(0);");
	uint64_t start_ns = fixture_now_ns;
	fixture_run_until(&fixture, start_ns + 50 * MS_NS);
	assert_int_equal(fixture.sent_count, 2);
	assert_int_equal(fixture.sent[1].time_ns, start_ns + 40 * MS_NS);
	assert_true(fixture_write(&fixture, "t.data", "other"));
	assert_true(fixture_write(&fixture, "t.interval", "0.1"));
	assert_string_equal(fixture_read(&fixture, "t.interval"), "0.1");
	fixture_run_until(&fixture, start_ns + 5 * SECOND_NS);
	assert_int_equal(fixture.sent_count, 10);
	assert_int_equal(fixture.sent[9].time_ns, start_ns + 850 * MS_NS);
	assert_int_equal(fixture.sent[9].len, 5);
	check_idle();
	fixture_fini(&fixture);
}

static void counters_average(void **state)
{
	(void)state;
	load("FromDevice(0) -> c :: AverageCounter -> d :: AverageCounter(1) -> Discard;");
	for (unsigned i = 0; i <= 300; i++) {
		send_many(0, 1, 50);
		fixture_now_ns += 10 * MS_NS;
	}
	assert_int_equal(fixture_count(&fixture, "c.count"), 301);
	assert_int_equal(fixture_count(&fixture, "c.rate"), 100);
	assert_int_equal(fixture_count(&fixture, "c.byte_rate"), 5016);
	assert_int_equal(fixture_count(&fixture, "d.count"), 201);
	assert_int_equal(fixture_count(&fixture, "d.byte_count"), 201 * 50);
	assert_true(fixture_write(&fixture, "c.reset", ""));
	assert_int_equal(fixture_count(&fixture, "c.rate"), 0);
	fixture_fini(&fixture);
}

static void routes_have_handlers(void **state)
{
	(void)state;
	load("FromDevice(0) -> MarkIPHeader(0) -> r :: DirectIPLookup(10/8 1.1.1.1 1, 0/0 0);"
	     "r[0] -> Discard; r[1] -> Discard;");
	assert_string_equal(fixture_read(&fixture, "r.table"),
			    "0.0.0.0/0\t\t-\t\t0\n10.0.0.0/8\t\t1.1.1.1\t\t1\n");
	assert_true(fixture_write(&fixture, "r.lookup", "10.1.2.3"));
	assert_string_equal(fixture_read(&fixture, "r.lookup"), "1 1.1.1.1");
	assert_false(fixture_write(&fixture, "r.add", "10/8 0"));
	assert_true(fixture_write(&fixture, "r.set", "10/8 0"));
	assert_string_equal(fixture_read(&fixture, "r.lookup"), "0");
	assert_false(fixture_write(&fixture, "r.remove", "10/9"));
	assert_false(fixture_write(&fixture, "r.add", "10/9 2"));
	/* All commands, or none of them. */
	assert_false(fixture_write(&fixture, "r.ctrl",
				   "add 11/8 1\nremove 10/8\nset 0/0 2.2.2.2 1\nremove 12/8"));
	assert_string_equal(fixture_read(&fixture, "r.table"),
			    "0.0.0.0/0\t\t-\t\t0\n10.0.0.0/8\t\t-\t\t0\n");
	assert_true(fixture_write(&fixture, "r.ctrl", "add 11/8 1\n\nremove 10/8 0"));
	assert_int_equal(fixture_count(&fixture, "r.routes"), 2);
	assert_true(fixture_write(&fixture, "r.flush", ""));
	assert_string_equal(fixture_read(&fixture, "r.lookup"), "-1");
	fixture_fini(&fixture);
}

static void mistakes_are_told(void **state)
{
	(void)state;
	static const char *const configs[][2] = {
		{"Idle -> Switch(2) -> Discard;", "OUTPUT must be less than 1"},
		{"Idle -> m :: Meter(5, 4); m[0] -> d :: Discard; m[1] -> d; m[2] -> d;",
		 "rates must increase"},
		{"Idle -> m :: Meter(5); m[0] -> d :: Discard; m[1] -> d; m[2] -> d;",
		 "1 rates need 2 outputs"},
		{"Idle -> RED(5, 4, 0.1) -> Queue -> Unqueue -> Discard;", "MIN_THRESH must be"},
		{"Idle -> RED(5, 50, 0.1) -> Discard;", "there is no queue"},
		{"Idle -> RED(5, 50, 0.1, QUEUES d) -> d :: Discard;", "'d' is not a queue"},
		{"Idle -> RadixIPLookup(10/8 1) -> Discard;", "expected 'ADDRESS/MASK"},
		{"Idle -> RadixIPLookup(10/8 0, 10.0.0.0/8 0) -> Discard;", "two routes"},
		{"Idle -> RadixIPLookup(10.0.0.0/255.0.255.0 0) -> Discard;", "expected 'ADDRESS"},
		{"Idle -> StringMatcher() -> Discard;", "expected strings"},
		{"Idle -> StringMatcher(\"\") -> Discard;", "a string is empty"},
		{"Idle -> RandomSample(0.5, DROP 0.1) -> Discard;", "one of P, SAMPLE and DROP"},
		{"Idle -> RatedSplitter(5, BURST_SIZE 4000000001) -> Discard;", "a burst is at"},
		{"Idle -> HashSwitch(0, 0) -> Discard;", "LENGTH must be"},
		{"Idle -> Counter(COUNT_CALL no d.reset_counts) -> d :: Discard;",
		 "expected 'NUMBER"},
		{"Idle -> Counter(COUNT_CALL 5 d.count) -> d :: Discard;",
		 "no handler that can be"},
		{"InfiniteSource(STOP true, END_CALL d.reset_counts) -> d :: Discard;", "exclude"},
		{"Idle -> Discard(ACTIVE false);", "a Discard that pulls"},
		{"Idle -> Queue -> StrideSched(1, 2) -> Unqueue -> Discard;", "each of 1 inputs"},
	};
	for (unsigned i = 0; i < sizeof(configs) / sizeof(configs[0]); i++) {
		assert_false(fixture_init(&fixture, configs[i][0]));
		if (!strstr(fixture.errors, configs[i][1]))
			print_error("%s: %s", configs[i][0], fixture.errors);
		assert_non_null(strstr(fixture.errors, configs[i][1]));
		fixture_fini(&fixture);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unqueue_keeps_its_rate),
		cmocka_unit_test(bandwidths_hold),
		cmocka_unit_test(splitter_keeps_its_rate),
		cmocka_unit_test(strides_share),
		cmocka_unit_test(queues_have_handlers),
		cmocka_unit_test(red_drops_in_proportion),
		cmocka_unit_test(red_finds_its_queues),
		cmocka_unit_test(samples_are_random),
		cmocka_unit_test(sources_keep_time),
		cmocka_unit_test(counters_average),
		cmocka_unit_test(routes_have_handlers),
		cmocka_unit_test(mistakes_are_told),
	};
	srandom(1);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
