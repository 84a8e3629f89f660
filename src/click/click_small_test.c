/* Small elements: what is only checked, what is switched by handlers, and what goes by a timer. */
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

/* CONFIG has exactly one mistake, which WHAT is part of; NULL: it has none. */
static void check_config(const char *config, const char *what)
{
	bool is_loaded = fixture_init(&fixture, config);
	if (is_loaded != (what == NULL) || (what != NULL && strstr(fixture.errors, what) == NULL))
		fail_msg("%s: %s", config, fixture.errors);
	fixture_fini(&fixture);
}

static void send_many(unsigned device, unsigned count)
{
	static const uint8_t zeroes[60];
	for (unsigned i = 0; i < count; i++)
		assert_true(fixture_send(&fixture, device, zeroes, sizeof(zeroes)));
}

static void what_says_nothing_is_checked(void **state)
{
	(void)state;
	check_config("Idle -> Align(4, 0) -> Align(MODULUS 8, OFFSET 7) -> Discard", NULL);
	check_config("Idle -> Align(3, 0) -> Discard", "MODULUS is 2, 4 or 8");
	check_config("Idle -> Align(2, 2) -> Discard", "OFFSET must be less than MODULUS");
	check_config("Idle -> Align(2, -1) -> Discard", "OFFSET");
	check_config("Idle -> Align(2) -> Discard", "OFFSET");
	check_config("AlignmentInfo(c 4 2, t 4 2 8 0, nobody x, i, ); i :: Idle -> c :: Null "
		     "-> t :: Discard",
		     NULL);
	check_config("AlignmentInfo(c 4); Idle -> c :: Discard", "'c 4' is not");
	check_config("AlignmentInfo(c 4 x); Idle -> c :: Discard", "'c 4 x' is not");
	check_config("ScheduleInfo(a 1, b 0.5, c .25, d 2., e 1e3, f 20E-1, g -1.5, h/i 3, )",
		     NULL);
	check_config("ScheduleInfo(a 2097151.9, b 0000000000000000000000000000000000001)", NULL);
	static const char *const wrong[] = {"1x",  ".",	  "e1", "1e",	   "1e100", "1e+-1",
					    "1 2", "- 1", "",	"2097152", "1.5.5"};
	for (unsigned i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		char text[64];
		snprintf(text, sizeof(text), "ScheduleInfo(a %s)", wrong[i]);
		check_config(text, "expected 'ELEMENT PARAM', not 'a");
	}
}

static void queues_of_all_names(void **state)
{
	static const char *const names[] = {"NotifierQueue", "FullNoteQueue", "QuickNoteQueue"};
	(void)state;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char text[160];
		snprintf(text, sizeof(text),
			 "FromDevice(0) -> q :: %s(2) -> u :: Unqueue(ACTIVE false) "
			 "-> ToDevice(0); q[1] -> ToDevice(1);",
			 names[i]);
		load(text);
		send_many(0, 3);
		assert_int_equal(fixture.sent_count, 1);
		assert_int_equal(fixture.sent[0].device, 1);
		assert_string_equal(fixture_read(&fixture, "q.length"), "2");
		assert_int_equal(fixture_count(&fixture, "q.drops"), 1);
		assert_true(fixture_write(&fixture, "u.active", "true"));
		fixture_run_until(&fixture, fixture_now_ns + 1);
		assert_int_equal(fixture.sent_count, 3);
		fixture_fini(&fixture);
	}
}

/* A source waits where a queue says when it has room, as these do. */
static void sources_wait_for_queues(void **state)
{
	static const struct {
		const char *name;
		bool waits;
	} queues[] = {{"FullNoteQueue", true}, {"QuickNoteQueue", true}, {"NotifierQueue", false}};
	(void)state;
	for (unsigned i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
		char text[160];
		snprintf(text, sizeof(text),
			 "InfiniteSource(LIMIT 50) -> q :: %s(2) -> RatedUnqueue(1000) -> "
			 "ToDevice(0);",
			 queues[i].name);
		load(text);
		fixture_run_until(&fixture, fixture_now_ns + SECOND_NS);
		assert_int_equal(fixture_count(&fixture, "q.drops") == 0, queues[i].waits);
		fixture_fini(&fixture);
	}
}

static void suppressed_ports_drop(void **state)
{
	(void)state;
	load("FromDevice(0) -> s :: Suppressor -> ToDevice(0); FromDevice(1) -> [1]s[1] "
	     "-> ToDevice(1);");
	assert_string_equal(fixture_read(&fixture, "s.active0"), "true");
	assert_true(fixture_write(&fixture, "s.active1", "false"));
	assert_string_equal(fixture_read(&fixture, "s.active1"), "false");
	assert_string_equal(fixture_read(&fixture, "s.active0"), "true");
	send_many(0, 1);
	send_many(1, 1);
	assert_int_equal(fixture.sent_count, 1);
	assert_int_equal(fixture.sent[0].device, 0);
	assert_false(fixture_write(&fixture, "s.active1", "maybe"));
	assert_false(fixture_write(&fixture, "s.active2", "false"));
	assert_false(fixture_write(&fixture, "s.active16", "false"));
	assert_string_equal(fixture_read(&fixture, "s.active2"), "");
	assert_true(fixture_write(&fixture, "s.reset", ""));
	assert_string_equal(fixture_read(&fixture, "s.active1"), "true");
	send_many(1, 1);
	assert_int_equal(fixture.sent_count, 2);
	assert_int_equal(fixture.sent[1].device, 1);
	fixture_fini(&fixture);
	check_config("s :: Suppressor; Idle -> s; s[1] -> Discard", "s");
	check_config("Idle -> Suppressor(1) -> Discard", "argument");
}

static void suppressed_pulls_get_nothing(void **state)
{
	(void)state;
	load("FromDevice(0) -> Queue -> s :: Suppressor -> Unqueue -> ToDevice(0);"
	     "Idle -> [1]s[1] -> Discard;");
	assert_true(fixture_write(&fixture, "s.active0", "false"));
	send_many(0, 2);
	fixture_run_until(&fixture, fixture_now_ns + SECOND_NS);
	assert_int_equal(fixture.sent_count, 0);
	/* Who pulls is told. */
	assert_true(fixture_write(&fixture, "s.active0", "true"));
	fixture_run_until(&fixture, fixture_now_ns + 1);
	assert_int_equal(fixture.sent_count, 2);
	fixture_fini(&fixture);
}

static void timed_unqueues_burst(void **state)
{
	(void)state;
	fixture_now_ns = 7;
	load("FromDevice(0) -> Queue -> TimedUnqueue(0.1, 2) -> ToDevice(0);"
	     "FromDevice(1) -> Queue -> Burster(INTERVAL 1) -> ToDevice(1);");
	send_many(0, 5);
	send_many(1, 9);
	/* What came while nothing was waited for goes at once. */
	assert_int_equal(fixture.sent_count, 2);
	fixture_run_until(&fixture, 7 + 10 * SECOND_NS);
	assert_int_equal(fixture.sent_count, 14);
	unsigned by_time[4] = {0};
	for (unsigned i = 0; i < 14; i++) {
		uint64_t at_ns = fixture.sent[i].time_ns - 7;
		if (fixture.sent[i].device == 0)
			by_time[at_ns == 0 ? 0 : at_ns == 100 * MS_NS ? 1 : 2]++;
		else
			by_time[3] += at_ns == SECOND_NS;
	}
	assert_int_equal(by_time[0], 1);
	assert_int_equal(by_time[1], 2);
	assert_int_equal(by_time[2], 2);
	assert_int_equal(by_time[3], 8);
	/* An empty queue needs no timer. */
	assert_int_equal(click_router_deadline(fixture.router), UINT64_MAX);
	fixture_fini(&fixture);
	/* A burst may be longer than a run. */
	load("s :: InfiniteSource -> TimedUnqueue(1, 3000) -> c :: Counter -> Discard;");
	fixture_run_until(&fixture, fixture_now_ns + SECOND_NS / 2);
	assert_int_equal(fixture_count(&fixture, "c.count"), 3000);
	fixture_run_until(&fixture, fixture_now_ns + SECOND_NS);
	assert_int_equal(fixture_count(&fixture, "c.count"), 6000);
	fixture_fini(&fixture);
	check_config("Idle -> TimedUnqueue(1, 0) -> Discard", "BURST must be more than 0");
	check_config("Idle -> TimedUnqueue(1, -1) -> Discard", "BURST must be more than 0");
	check_config("Idle -> TimedUnqueue -> Discard", "INTERVAL");
	check_config("Idle -> Burster(40000000) -> Discard", "INTERVAL is too long");
}

static void timed_sinks_take_one(void **state)
{
	(void)state;
	fixture_now_ns = 7;
	load("FromDevice(0) -> q :: Queue -> s :: TimedSink;");
	send_many(0, 9);
	assert_string_equal(fixture_read(&fixture, "s.interval"), "0.5");
	fixture_run_until(&fixture, 7 + 500 * MS_NS - 1);
	assert_string_equal(fixture_read(&fixture, "q.length"), "9");
	fixture_run_until(&fixture, 7 + 2 * SECOND_NS);
	assert_string_equal(fixture_read(&fixture, "q.length"), "5");
	assert_true(fixture_write(&fixture, "s.interval", "2"));
	assert_false(fixture_write(&fixture, "s.interval", "soon"));
	assert_string_equal(fixture_read(&fixture, "s.interval"), "2");
	fixture_run_until(&fixture, 7 + 4 * SECOND_NS);
	assert_string_equal(fixture_read(&fixture, "q.length"), "4");
	fixture_fini(&fixture);
}

/* LIMIT different addresses of the prefix, no more; as good as all of those are used. */
static void random_addresses(void **state)
{
	uint32_t seen[8];
	unsigned count = 0;
	(void)state;
	load("FromDevice(0) -> SetRandIPAddress(10.1.0.0/16, 5) -> StoreIPAddress(0) "
	     "-> ToDevice(0);");
	send_many(0, 400);
	assert_int_equal(fixture.sent_count, 400);
	for (unsigned i = 0; i < 400; i++) {
		uint32_t address;
		unsigned at = 0;
		assert_int_equal(fixture.sent[i].data[0], 10);
		assert_int_equal(fixture.sent[i].data[1], 1);
		memcpy(&address, fixture.sent[i].data, 4);
		while (at < count && seen[at] != address)
			at++;
		assert_true(at < 5);
		if (at == count)
			seen[count++] = address;
	}
	assert_true(count >= 3);
	fixture_fini(&fixture);
	check_config("Idle -> SetRandIPAddress(10.0.0.0/8, -1) -> Discard", NULL);
	check_config("Idle -> SetRandIPAddress(10.0.0.0/8, 0) -> Discard", NULL);
	check_config("Idle -> SetRandIPAddress(10.0.0.0/8, 65537) -> Discard", "LIMIT");
	check_config("Idle -> SetRandIPAddress -> Discard", "PREFIX");
}

static void arguments_have_bounds(void **state)
{
	(void)state;
	check_config("Idle -> Pad(2049) -> Discard", "at most 2048 bytes");
	check_config("Idle -> EnsureEther(0x10000) -> Discard", "ETHERTYPE");
	check_config("Idle -> EtherRewrite(1:1:1:1:1:1) -> Discard", "DST");
	check_config("Idle -> EtherVLANEncap(0x10000, 1:1:1:1:1:1, 2:2:2:2:2:2, 3) -> Discard",
		     "ETHERTYPE");
	check_config("Idle -> EtherVLANEncap(0x800, 1:1:1:1:1:1, 2:2:2:2:2:2, 3, 8) -> Discard",
		     "VLAN_PCP");
	check_config("Idle -> StrideSwitch(1, 2) -> Discard", "each of 1 outputs");
	check_config("Idle -> DelayShaper -> Discard", "DELAY");
	check_config("Idle -> IPInputCombo(256) -> Discard", "COLOR");
	check_config("Idle -> IPInputCombo(1, 10.0.0) -> Discard", "10.0.0");
	check_config("Idle -> IPInputCombo(1, , BADSRC 1.2.3.4) -> Discard", NULL);
	check_config("c :: IPOutputCombo(1, 10.0.0.1, 1500); Idle -> c => Discard, Discard, "
		     "Discard, Discard, Discard",
		     NULL);
	check_config("c :: IPOutputCombo(1, 10.0.0.1); Idle -> c => Discard, Discard, Discard, "
		     "Discard, Discard",
		     "MTU");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_says_nothing_is_checked),
		cmocka_unit_test(queues_of_all_names),
		cmocka_unit_test(sources_wait_for_queues),
		cmocka_unit_test(suppressed_ports_drop),
		cmocka_unit_test(suppressed_pulls_get_nothing),
		cmocka_unit_test(timed_unqueues_burst),
		cmocka_unit_test(timed_sinks_take_one),
		cmocka_unit_test(random_addresses),
		cmocka_unit_test(arguments_have_bounds),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
