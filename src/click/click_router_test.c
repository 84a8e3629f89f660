/*
 * A router at work: packets, their pool, tasks, timers, notification, handlers, devices.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <sdk/click/core.h>

#include "click/click_clock.h"
#include "click/click_fixture_test.h"

static void test_packets(void **state)
{
	struct test_router test;
	test_must_load(&test, "");
	struct click_packet *packet = click_packet_new(test.router, 100);
	assert_int_equal(packet->len, 100);
	memset(packet->data, 7, 100);
	packet->mac = 0;
	packet->network = 14;
	assert_null(click_packet_header(packet, packet->transport, 1));
	assert_ptr_equal(click_packet_header(packet, packet->network, 86), packet->data + 14);
	assert_null(click_packet_header(packet, packet->network, 87));
	/* Headers stay where they are while the data's begin moves. */
	uint8_t *mac = packet->data;
	assert_true(click_packet_pull(packet, 14));
	assert_int_equal(packet->network, 0);
	assert_int_equal(packet->mac, -14);
	assert_ptr_equal(click_packet_header(packet, packet->mac, 14), mac);
	assert_false(click_packet_pull(packet, 87));
	assert_true(click_packet_push(packet, 14 + CLICK_HEADROOM));
	assert_false(click_packet_push(packet, 1));
	assert_int_equal(packet->mac, CLICK_HEADROOM);
	assert_true(click_packet_take(packet, packet->len));
	assert_false(click_packet_take(packet, 1));
	assert_true(click_packet_put(packet, CLICK_HEADROOM + CLICK_PACKET_MAX));
	assert_false(click_packet_put(packet, 1));
	assert_null(click_packet_header(packet, -1, 1)); /* in front of the buffer */
	struct click_packet *clone = click_packet_clone(test.router, packet);
	assert_memory_equal(clone->data, packet->data, packet->len);
	assert_ptr_not_equal(clone->data, packet->data);
	click_packet_free(test.router, clone);
	click_packet_free(test.router, packet);
	assert_null(click_packet_new(test.router, CLICK_PACKET_MAX + 1));
	test_unload(&test);
}

static void test_pool_is_bounded(void **state)
{
	struct test_router test;
	struct click_packet *all = NULL;
	unsigned count = 0;
	test_must_load(&test, "");
	for (struct click_packet *p; (p = click_packet_new(test.router, 1)) != NULL; count++) {
		p->next = all;
		all = p;
	}
	assert_int_equal(count, CLICK_PACKETS_MAX);
	assert_int_equal(click_router_exhausted(test.router), 1);
	assert_null(click_packet_clone(test.router, all));
	while (all != NULL) {
		struct click_packet *next = all->next;
		click_packet_free(test.router, all);
		all = next;
	}
	assert_non_null(click_packet_new(test.router, 1));
	test_unload(&test);
}

/* A packet in somebody's buffer, which may be written anew when it is settled. */
static void test_borrowed(void **state)
{
	static uint8_t buffer[CLICK_HEADROOM + CLICK_PACKET_MAX];
	struct test_router test;
	test_must_load(&test, "FromDevice(0) -> q :: Queue -> u :: Unqueue(ACTIVE false) -> "
			      "ToDevice(1)");
	uint8_t *data = buffer + CLICK_HEADROOM;
	assert_null(click_packet_borrow(test.router, buffer, data, CLICK_PACKET_MAX + 1));
	assert_null(click_packet_borrow(test.router, buffer + 1, buffer, 1));
	for (uint8_t i = 1; i <= 3; i++) {
		memset(buffer, i, sizeof(buffer));
		struct click_packet *packet = click_packet_borrow(test.router, buffer, data, 60);
		assert_non_null(packet);
		click_router_receive(test.router, 0, packet);
		click_packet_settle(test.router);
		memset(buffer, 99, sizeof(buffer));
	}
	assert_string_equal(test_sent(&test), "");
	assert_int_equal(click_router_write(test.router, "u.active", "true", NULL), 0);
	(void)click_router_run(test.router);
	assert_string_equal(test_sent(&test), "1:1 1:2 1:3");
	test_unload(&test);
}

/* Annotations are gone with their packet, wherever it was. */
static void test_annotations_end(void **state)
{
	static uint8_t buffer[CLICK_HEADROOM + CLICK_PACKET_MAX];
	struct test_router test;
	test_must_load(&test, "Idle -> Discard");
	struct click_packet *kept = NULL;
	for (unsigned i = 0; i < 50; i++) {
		struct click_packet *packet =
			i % 2 == 0 ? click_packet_borrow(test.router, buffer, buffer + 64, 60)
				   : click_packet_new(test.router, 60);
		assert_non_null(packet);
		assert_int_equal(click_anno_get(packet, 4, 4), 0);
		assert_int_equal(click_anno_get(packet, CLICK_ANNO_PAINT, 1), 0);
		click_anno_set(packet, 4, 4, i + 1);
		click_anno_set(packet, CLICK_ANNO_PAINT, 1, 7);
		struct click_packet *clone = click_packet_clone(test.router, packet);
		assert_non_null(clone);
		assert_int_equal(click_anno_get(clone, 4, 4), i + 1);
		click_packet_free(test.router, clone);
		/* Some borrowed ones stay for a while, so that the next one has another place. */
		click_packet_settle(test.router);
		click_packet_free(test.router, kept);
		kept = packet;
	}
	click_packet_free(test.router, kept);
	test_unload(&test);
}

static bool is_within(const void *at, const uint8_t *memory, size_t size)
{
	return (const uint8_t *)at >= memory && (const uint8_t *)at < memory + size;
}

/* What packets touch is where it is to be, in the configuration's order; the rest is elsewhere. */
static void test_in_given_memory(void **state)
{
	static _Alignas(64) uint8_t memory[8192];
	static const char text[] = "FromDevice(0) -> Counter -> q :: Queue -> ToDevice(1)";
	struct test_router test = {.host = {.send = NULL}};
	assert_null(click_router_new_in(memory, 64, &test.host, NULL));
	test.router = click_router_new_in(memory, sizeof(memory), &test.host, NULL);
	assert_ptr_equal(test.router, memory);
	assert_int_equal(click_router_load(test.router, text, strlen(text), "f", NULL), 0);
	const void *before = memory;
	for (uint32_t i = 0; i < click_router_elements(test.router); i++) {
		const struct click_element *e = click_router_element(test.router, i);
		assert_false(is_within(e->more, memory, sizeof(memory)));
		/* Packets do not come to where they come from. */
		if (e->inputs_count == 0)
			continue;
		assert_true((const void *)e > before);
		assert_true(is_within(e + 1, memory, sizeof(memory)));
		assert_true(e->outputs_count == 0 ||
			    is_within(e->outputs + 1, memory, sizeof(memory)));
		before = e;
	}
	test_unload(&test);
}

/* More than is given takes memory of its own. */
static void test_beyond_given_memory(void **state)
{
	static _Alignas(64) uint8_t memory[2048];
	char text[8192] = "FromDevice(0)";
	struct test_router test = {.host = {.send = NULL}};
	for (unsigned i = 0; i < 200; i++)
		strcat(text, " -> Counter");
	strcat(text, " -> Discard");
	test.router = click_router_new_in(memory, sizeof(memory), &test.host, NULL);
	assert_non_null(test.router);
	assert_int_equal(click_router_load(test.router, text, strlen(text), "f", NULL), 0);
	test_receive(&test, 0, 1, 60);
	assert_int_equal(test_count(&test, "Counter@201.count"), 1);
	test_unload(&test);
}

static uint64_t in_table(const struct test_router *test, const char *name)
{
	uint32_t count;
	const uint64_t *values;
	const struct click_counter *table = click_router_table(test->router, &count, &values);
	for (uint32_t i = 0; i < count; i++)
		if (strcmp(table[i].name, name) == 0)
			return values[i];
	fail_msg("there is no counter %s", name);
	return 0;
}

/* It is right without being asked for, but for what has to be computed. */
static void test_table(void **state)
{
	struct test_router test;
	test_must_load(&test, "FromDevice(0) -> c :: Counter -> p :: Paint(3) -> q :: Queue(2) -> "
			      "u :: Unqueue(ACTIVE false) -> ToDevice(1); FromDevice(2) -> "
			      "m :: FrontDropQueue(7) -> Unqueue(ACTIVE false) -> Discard");
	for (uint8_t i = 0; i < 3; i++)
		test_receive(&test, 0, i, 60);
	assert_int_equal(in_table(&test, "c.count"), 3);
	assert_int_equal(in_table(&test, "c.byte_count"), 180);
	assert_int_equal(in_table(&test, "p.color"), 3);
	assert_int_equal(in_table(&test, "q.length"), 2);
	assert_int_equal(in_table(&test, "q.highwater_length"), 2);
	assert_int_equal(in_table(&test, "q.capacity"), 2);
	assert_int_equal(in_table(&test, "q.drops"), 1);
	assert_int_equal(in_table(&test, "packets_exhausted"), 0);
	assert_int_equal(click_router_write(test.router, "q.capacity", "1", NULL), 0);
	assert_int_equal(in_table(&test, "q.length"), 1);
	assert_int_equal(in_table(&test, "q.capacity"), 1);
	assert_int_equal(in_table(&test, "q.drops"), 2);
	assert_int_equal(click_router_write(test.router, "q.reset_counts", "", NULL), 0);
	assert_int_equal(in_table(&test, "q.highwater_length"), 1);
	assert_int_equal(in_table(&test, "q.drops"), 0);
	assert_int_equal(click_router_write(test.router, "p.color", "5", NULL), 0);
	assert_int_equal(in_table(&test, "p.color"), 5);
	assert_true(click_router_computed(test.router) > 0);
	test_receive(&test, 2, 1, 60);
	assert_int_equal(in_table(&test, "m.length"), 0);
	click_router_compute(test.router);
	assert_int_equal(in_table(&test, "m.length"), 1);
	test_unload(&test);
}

/* More than a host takes: the others count as well, but are not shown. */
static void test_table_is_full(void **state)
{
	struct test_router test;
	char text[8192] = "FromDevice(0)";
	uint32_t count;
	for (unsigned i = 0; i < 200; i++)
		strcat(text, " -> Counter");
	strcat(text, " -> Idle");
	test_must_load(&test, text);
	test_receive(&test, 0, 1, 60);
	const uint64_t *values;
	const struct click_counter *table = click_router_table(test.router, &count, &values);
	assert_int_equal(count, CLICK_TABLE_MAX);
	for (uint32_t i = 0; i < count - 2; i++)
		assert_int_equal(values[i], i % 2 == 0 ? 1 : 60);
	assert_string_equal(table[count - 2].name, "packets_exhausted");
	assert_string_equal(table[count - 1].name, "packets_looped");
	assert_int_equal(values[count - 1], 0);
	assert_int_equal(click_router_counters(test.router), 400);
	assert_int_equal(click_router_counter(test.router, 398), 1);
	assert_int_equal(test_count(&test, "Counter@201.byte_count"), 60);
	test_unload(&test);
}

static void test_queue_and_tasks(void **state)
{
	struct test_router test;
	test_must_load(&test, "FromDevice(0) -> q :: Queue(2) -> n :: Null -> u :: Unqueue -> "
			      "c :: Counter -> t :: Tee -> ToDevice(1); t[1] -> ToDevice(0)");
	test_receive(&test, 0, 5, 60);
	assert_string_equal(test_sent(&test), "1:5 0:5");
	assert_int_equal(click_router_write(test.router, "u.active", "false", NULL), 0);
	for (uint8_t i = 1; i <= 4; i++)
		test_receive(&test, 0, i, 60);
	assert_string_equal(test_sent(&test), "");
	assert_int_equal(test_count(&test, "q.length"), 2);
	assert_int_equal(test_count(&test, "q.drops"), 2);
	assert_int_equal(click_router_write(test.router, "u.active", "true", NULL), 0);
	(void)click_router_run(test.router);
	assert_string_equal(test_sent(&test), "1:1 0:1 1:2 0:2");
	assert_int_equal(test_count(&test, "c.count"), 3);
	assert_int_equal(test_count(&test, "c.byte_count"), 180);
	assert_int_equal(click_router_deadline(test.router), UINT64_MAX);
	/* Nobody receives from device 2. */
	test_receive(&test, 2, 1, 60);
	test_unload(&test);
}

/* A source without an end gives way, and goes on. */
static void test_endless_source(void **state)
{
	struct test_router test;
	click_clock_set(1000, 1000);
	test_must_load(&test, "InfiniteSource -> c :: Counter -> Discard");
	assert_true(click_router_run(test.router) > 1000);
	assert_int_not_equal(click_router_deadline(test.router), UINT64_MAX);
	uint64_t before = test_count(&test, "c.count");
	assert_int_not_equal(before, 0);
	(void)click_router_run(test.router);
	assert_int_equal(test_count(&test, "c.count"), 2 * before);
	test_unload(&test);
}

static void test_circle(void **state)
{
	struct test_router test;
	test_must_load(&test, "FromDevice(0) -> a :: Null -> b :: Null -> a");
	test_receive(&test, 0, 1, 60);
	assert_int_equal(click_router_looped(test.router), 1);
	test_unload(&test);
	test_must_load(&test, "FromDevice(0) -> a :: Tee -> b :: Null -> a; a[1] -> Discard");
	test_receive(&test, 0, 1, 60);
	assert_int_not_equal(click_router_looped(test.router), 0);
	test_unload(&test);
}

/* --- timers --- */

struct timed {
	struct click_element element;
	uint32_t delay;
};

static char fired[64];

static int timed_configure(struct click_element *element, struct click_args *args)
{
	click_arg_u32(args, "DELAY", CLICK_POSITIONAL, &((struct timed *)element)->delay);
	return click_args_end(args);
}

static int timed_initialize(struct click_element *element, struct click_args *args)
{
	click_timer_set(element, click_now_ns() + ((struct timed *)element)->delay);
	return 0;
}

static void timed_run(struct click_element *element)
{
	assert_true(strlen(fired) + 4 < sizeof(fired));
	strcat(fired, element->more->name);
	/* One that is due at once waits for the next run. */
	if (element->more->name[0] == 'z')
		click_timer_set(element, click_now_ns() + 1);
}

static const struct click_class class_Timed = {.name = "Timed",
					       .size = sizeof(struct timed),
					       .port_count = "0/0",
					       .processing = "a",
					       .configure = timed_configure,
					       .initialize = timed_initialize,
					       .run_timer = timed_run};
static const struct click_class *const timed_classes[] = {&class_Timed, NULL};

static void test_timers(void **state)
{
	struct test_router test;
	click_clock_set(0, 0);
	assert_true(test_load(&test,
			      "e :: Timed(50); b :: Timed(20); d :: Timed(40); a :: Timed(10); "
			      "c :: Timed(30); x :: Timed(25); z :: Timed(60)",
			      timed_classes));
	click_timer_cancel(click_router_find(test.router, "x"));
	fired[0] = '\0';
	assert_int_equal(click_router_run(test.router), 10);
	assert_string_equal(fired, "");
	click_clock_set(30, 30);
	assert_int_equal(click_router_run(test.router), 40);
	assert_string_equal(fired, "abc");
	click_timer_set(click_router_find(test.router, "e"), 35); /* moved */
	click_timer_cancel(click_router_find(test.router, "a"));  /* it is none */
	assert_int_equal(click_router_deadline(test.router), 35);
	click_clock_set(100, 100);
	assert_int_equal(click_router_run(test.router), 101);
	assert_string_equal(fired, "abcedz");
	click_timer_cancel(click_router_find(test.router, "z"));
	assert_int_equal(click_router_run(test.router), UINT64_MAX);
	test_unload(&test);
}

static void test_rated_source(void **state)
{
	struct test_router test;
	click_clock_set(1000, 5000);
	test_must_load(&test, "s :: RatedSource(DATA x, RATE 10) -> q :: ToDevice(0)");
	for (uint64_t now = 0; now < 1000000000u; now += 1000000u) {
		click_clock_set(1000 + now, 5000 + now);
		(void)click_router_run(test.router);
	}
	assert_int_equal(test_count(&test, "s.count"), 10);
	/* After a long pause it does not make up for it, but for what its bucket holds. */
	click_clock_set(UINT64_C(3600000000000), 0);
	(void)click_router_run(test.router);
	assert_int_equal(test_count(&test, "s.count"), 12);
	test_unload(&test);
}

/* --- handlers --- */

static void test_handlers(void **state)
{
	struct test_router test;
	char text[200];
	test_must_load(&test, "Idle -> q :: Queue(7) -> Unqueue -> c :: Counter -> Discard");
	assert_int_equal(click_router_read(test.router, "q.class", text, sizeof(text)), 5);
	assert_string_equal(text, "Queue");
	assert_true(click_router_read(test.router, "q.handlers", text, sizeof(text)) > 0);
	assert_non_null(strstr(text, "\ncapacity\trw\n"));
	assert_int_equal(click_router_read(test.router, "q.capacity", text, sizeof(text)), 1);
	assert_int_equal(click_router_read(test.router, "q.nothing", text, sizeof(text)), -1);
	assert_int_equal(click_router_read(test.router, "x.class", text, sizeof(text)), -1);
	assert_int_equal(click_router_read(test.router, "q", text, sizeof(text)), -1);
	assert_int_equal(click_router_read(test.router, "q.class", text, 3), 2); /* cut */
	assert_int_equal(click_router_write(test.router, "q.capacity", "-1", NULL), -1);
	assert_int_equal(test_count(&test, "q.capacity"), 7);
	assert_int_equal(click_router_write(test.router, "q.capacity", "9", NULL), 0);
	assert_int_equal(test_count(&test, "q.capacity"), 9);
	assert_int_equal(click_router_write(test.router, "q.drops", "1", NULL), -1);
	bool is_there = false;
	for (uint32_t i = 0; i < click_router_counters(test.router); i++) {
		click_router_counter_name(test.router, i, text, sizeof(text));
		if (strcmp(text, "c.byte_count") == 0)
			is_there = click_router_counter(test.router, i) == 0;
	}
	assert_true(is_there);
	test_unload(&test);
}

/* What queues can hold is there before the first packet comes, as far as the pool's bound. */
static void test_pool(void **state)
{
	struct test_router test;
	test_must_load(&test, "FromDevice(0) -> Queue(500) -> Idle");
	uint32_t count = test.router->packets_count;
	assert_in_range(count, 501, 540);
	for (unsigned i = 0; i < 600; i++)
		test_receive(&test, 0, 'a', 60);
	assert_int_equal(test.router->packets_count, count);
	assert_int_equal(click_router_exhausted(test.router), 0);
	test_unload(&test);
	test_must_load(&test, "Idle -> Queue(60000) -> Idle; Idle -> Queue(60000) -> Idle");
	assert_int_equal(test.router->packets_count, CLICK_PACKETS_MAX);
	test_unload(&test);
}

/* What a write needs is given back: these would fill the router's memory. */
static void test_many_writes(void **state)
{
	struct test_router test;
	char value[801];
	memset(value, ' ', sizeof(value) - 1);
	value[0] = '9';
	value[sizeof(value) - 1] = '\0';
	test_must_load(&test, "Idle -> q :: Queue(7) -> Discard\n"
			      "r :: StaticIPLookup(1.0.0.0/8 0)\nIdle -> r -> Discard");
	for (unsigned i = 0; i < 100000; i++)
		assert_int_equal(click_router_write(test.router, "q.capacity", value, NULL), 0);
	test_unload(&test);
}

/* RFC 8439, A.1, test vector 1: the second half of the first block, from its end. */
static void test_random(void **state)
{
	static const uint8_t seed[CLICK_SEED_BYTES] = {1};
	static const uint32_t expected[] = {0x8665eeb2, 0x69b687c3, 0x1ca11815, 0xf4b8436a,
					    0x374ad8b8, 0x3fe02477, 0x8d485751, 0x7c5941da};
	struct test_router test;
	test_must_load(&test, "Idle -> Discard");
	for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		assert_int_equal(click_random(test.router), expected[i]);
	uint32_t next = click_random(test.router);
	assert_int_not_equal(next, expected[0]);
	click_router_seed(test.router, seed);
	uint32_t seeded = click_random(test.router);
	assert_int_not_equal(seeded, expected[0]);
	assert_int_not_equal(seeded, next);
	/* Half of the bits of many numbers, give or take seven deviations. */
	uint64_t bits = 0;
	for (unsigned i = 0; i < 100000; i++)
		bits += (uint64_t)__builtin_popcount(click_random(test.router));
	assert_in_range(bits, 1600000 - 6300, 1600000 + 6300);
	test_unload(&test);
}

static void test_script(void **state)
{
	struct test_router test;
	test_must_load(&test, "Script(write q.capacity 3, write d/q.capacity 4)\n"
			      "Idle -> q :: Queue -> Discard\n"
			      "d :: { Idle -> q :: Queue -> Discard; Script(write q.capacity 6) }");
	assert_int_equal(test_count(&test, "q.capacity"), 3);
	assert_int_equal(test_count(&test, "d/q.capacity"), 6);
	test_unload(&test);
	/* What is behind the end is not done; writeq takes quotes away. */
	test_must_load(&test, "Idle -> q :: Queue -> Discard; Idle -> p :: Queue -> Discard\n"
			      "Script(write q.capacity 3, writeq p.capacity \"\\x34\", end, "
			      "write q.capacity 5)");
	assert_int_equal(test_count(&test, "q.capacity"), 3);
	assert_int_equal(test_count(&test, "p.capacity"), 4);
	test_unload(&test);
	test_must_fail("s :: Script(wait 5)",
		       "f:1: s :: Script: 'wait 5' is not supported; only 'write' is\n");
	test_must_fail("s :: Script(write x.y 1)",
		       "f:1: s :: Script: write: there is no element for 'x.y'\n");
	test_must_fail_with("Idle -> q :: Queue -> Discard\ns :: Script(write q.capacity x)",
			    "f:1: q :: Queue: capacity: 'x' is not a number of 32 bits\n");
	test_must_fail("Idle -> q :: Queue -> Discard\ns :: Script(\nwrite q.capacty 1)",
		       "f:3: s :: Script: write: there is no handler 'q.capacty' to write; did you "
		       "mean 'capacity'?\n");
}

/* --- devices --- */

static void test_devices(void **state)
{
	struct test_router test;
	test_must_load(&test, "FromDevice(eth0) -> ToDevice(eth1); FromDevice(eth1) -> "
			      "ToDevice(eth0)");
	assert_string_equal(click_router_device_name(test.router, 0), "eth0");
	test_receive(&test, 0, 1, 60);
	test_receive(&test, 1, 2, 60);
	assert_string_equal(test_sent(&test), "1:1 0:2");
	test_unload(&test);
	test_must_load(&test, "FromDevice(out) -> ToDevice(in)");
	test_receive(&test, 1, 3, 60);
	assert_string_equal(test_sent(&test), "0:3");
	assert_int_equal(test_count(&test, "ToDevice@2.count"), 1);
	assert_int_equal(click_router_write(test.router, "ToDevice@2.reset_counts", "", NULL), 0);
	assert_int_equal(test_count(&test, "ToDevice@2.count"), 0);
	test_unload(&test);
	/* What is about the kernel's devices means nothing here. */
	test_must_load(&test, "FromDevice(in, false, 8, TIMESTAMP true) -> Queue(9) -> "
			      "ToDevice(out, 16, ALLOW_NONEXISTENT true, QUIET true)");
	test_unload(&test);
	test_must_fail("FromDevice(a) -> Discard\nb :: FromDevice(a) -> Discard",
		       "f:2: b :: FromDevice: 'FromDevice@1' receives from this device already\n");
	test_must_fail("d :: FromDevice -> Discard",
		       "f:1: d :: FromDevice: the argument DEVNAME is missing\n");
}

static void test_print(void **state)
{
	struct test_router test;
	test_must_load(&test, "FromDevice(0) -> Print(\"a b\", 6) -> "
			      "Print(CONTENTS NONE, LABEL x) -> Print(ACTIVE false) -> Discard");
	test_receive(&test, 0, 0xab, 60);
	assert_string_equal(test.log, "a b:   60 | ab000000 0000\nx:   60\n");
	test_unload(&test);
	/* 128 bytes of room in front, and 2,048 for 10 of data. */
	test_must_load(&test, "FromDevice(0) -> Print(HEADROOM true, MAXLENGTH -1) -> Strip(1) -> "
			      "Print(a, 9, CONTENTS Ascii, HEADROOM true) -> Discard");
	test_receive(&test, 0, 'x', 10);
	assert_string_equal(test.log, "  10 (h128 t2038) | 78000000 00000000 0000\n"
				      "a:    9 (h129 t2038) |  ........ .\n");
	test_unload(&test);
	/* All 48 bytes of annotations, each in its place: an address at 0, a colour at 16, a tag at
	 * 20. */
	test_must_load(&test,
		       "FromDevice(0) -> SetIPAddress(1.2.3.4) -> Paint(5) -> "
		       "SetVLANAnno(0x6789) -> Print(PRINTANNO yes, CONTENTS no) -> Discard");
	test_receive(&test, 0, 'x', 1);
	assert_string_equal(test.log, "   1 | 01020304000000000000000000000000"
				      "05000000678900000000000000000000"
				      "00000000000000000000000000000000\n");
	test_unload(&test);
	test_must_fail_with("Idle -> p :: Print(CONTENTS hexx) -> Discard",
			    "f:1: p :: Print: CONTENTS: 'hexx' is not NONE, HEX or ASCII");
}

static void print_time(uint64_t time_ns, const char *expected)
{
	struct test_router test;
	test_must_load(&test, "FromDevice(0) -> Print(TIMESTAMP true) -> Discard");
	struct click_packet *packet = click_packet_new(test.router, 0);
	assert_non_null(packet);
	packet->time_ns = time_ns;
	click_router_receive(test.router, 0, packet);
	assert_string_equal(test.log, expected);
	test_unload(&test);
}

static void test_print_time(void **state)
{
	print_time(1700000000000001000, "1700000000.000001:    0\n");
	print_time(1700000000000001001, "1700000000.000001001:    0\n");
	print_time(5, "0.000000005:    0\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_packets),
		cmocka_unit_test(test_pool_is_bounded),
		cmocka_unit_test(test_annotations_end),
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_table_is_full),
		cmocka_unit_test(test_in_given_memory),
		cmocka_unit_test(test_beyond_given_memory),
		cmocka_unit_test(test_borrowed),
		cmocka_unit_test(test_queue_and_tasks),
		cmocka_unit_test(test_endless_source),
		cmocka_unit_test(test_circle),
		cmocka_unit_test(test_timers),
		cmocka_unit_test(test_rated_source),
		cmocka_unit_test(test_handlers),
		cmocka_unit_test(test_many_writes),
		cmocka_unit_test(test_pool),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_script),
		cmocka_unit_test(test_devices),
		cmocka_unit_test(test_print),
		cmocka_unit_test(test_print_time),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
