/* Whose packets are whose: hashes of clients and conversations, and the directory of flows. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/macros.h"
#include "plane/plane_steer.h"

#define SECOND EOS_NS_PER_S

static struct flow_packet make_packet(uint8_t source, uint8_t target, uint16_t source_port,
				      uint16_t target_port)
{
	struct flow_packet packet = {
		.kind = FLOW_IPV4,
		.proto = 17,
		.has_ports = true,
		.source_port = source_port,
		.target_port = target_port,
	};
	const uint8_t from[16] = {[10] = 0xff, 0xff, 10, 0, 0, source};
	const uint8_t to[16] = {[10] = 0xff, 0xff, 10, 0, 0, target};
	memcpy(packet.source, from, 16);
	memcpy(packet.target, to, 16);
	return packet;
}

static void clients_have_one_core(void **state)
{
	struct plane_steer steer;
	unsigned counts[4] = {0};
	(void)state;
	assert_int_equal(plane_steer_init(&steer, 4, 1024), 0);
	for (unsigned client = 0; client < 200; client++) {
		struct flow_packet first = make_packet((uint8_t)client, 250, 1000, 80);
		unsigned core = plane_steer_client(&steer, &first, false);
		assert_true(core < 4);
		counts[core]++;
		for (uint16_t i = 0; i < 20; i++) {
			struct flow_packet there =
				make_packet((uint8_t)client, (uint8_t)(200 + i), i, 53);
			struct flow_packet back =
				make_packet((uint8_t)(200 + i), (uint8_t)client, 53, i);
			there.vlan = i;
			assert_int_equal(plane_steer_client(&steer, &there, false), core);
			assert_int_equal(plane_steer_client(&steer, &back, true), core);
		}
	}
	/* 50 each, and a standard deviation of 6. */
	for (unsigned i = 0; i < 4; i++)
		assert_true(counts[i] > 10);
	plane_steer_fini(&steer);
}

static void conversations_have_both_directions(void **state)
{
	struct plane_steer steer;
	(void)state;
	assert_int_equal(plane_steer_init(&steer, 3, 1024), 0);
	for (uint16_t i = 0; i < 200; i++) {
		struct flow_packet there = make_packet(1, 2, i, 80),
				   back = make_packet(2, 1, 80, i);
		assert_int_equal(plane_steer_conversation(&steer, &there),
				 plane_steer_conversation(&steer, &back));
		assert_int_equal(plane_steer_flow(&steer, &there, 5),
				 plane_steer_flow(&steer, &back, 5));
		assert_int_not_equal(plane_steer_flow(&steer, &there, 5),
				     plane_steer_flow(&steer, &there, 6));
	}
	plane_steer_fini(&steer);
}

static void first_one_keeps_it(void **state)
{
	struct plane_steer steer;
	uint64_t now_ns = 5000 * SECOND;
	const uint64_t flow = UINT64_C(0x123456789abcdef0);
	(void)state;
	assert_int_equal(plane_steer_init(&steer, 4, 1024), 0);
	assert_int_equal(plane_steer_find(&steer, flow, now_ns), PLANE_STEER_NONE);
	assert_true(plane_steer_remember(&steer, flow, 2, now_ns));
	assert_int_equal(plane_steer_find(&steer, flow, now_ns), 2);
	assert_int_equal(plane_steer_find(&steer, flow ^ UINT64_C(1) << 60, now_ns),
			 PLANE_STEER_NONE);
	assert_false(plane_steer_remember(&steer, flow, 1, now_ns));
	assert_int_equal(plane_steer_find(&steer, flow, now_ns), 2);
	/* As long as he sees it, and no longer. */
	for (unsigned i = 0; i < 10; i++) {
		now_ns += 290 * SECOND;
		assert_true(plane_steer_remember(&steer, flow, 2, now_ns));
		assert_false(plane_steer_remember(&steer, flow, 1, now_ns + 300 * SECOND));
	}
	now_ns += 360 * SECOND;
	assert_int_equal(plane_steer_find(&steer, flow, now_ns), PLANE_STEER_NONE);
	assert_true(plane_steer_remember(&steer, flow, 1, now_ns));
	assert_int_equal(plane_steer_find(&steer, flow, now_ns), 1);
	/* Who does not have it cannot take it away. */
	plane_steer_forget(&steer, flow, 2);
	assert_int_equal(plane_steer_find(&steer, flow, now_ns), 1);
	plane_steer_forget(&steer, flow, 1);
	assert_int_equal(plane_steer_find(&steer, flow, now_ns), PLANE_STEER_NONE);
	plane_steer_fini(&steer);
}

/* What is not found was pushed out or was never there: only a full bucket leaves that open. */
static void full_buckets_say_so(void **state)
{
	struct plane_steer steer;
	uint64_t now_ns = 5000 * SECOND;
	(void)state;
	assert_int_equal(plane_steer_init(&steer, 4, 16), 0);
	for (uint64_t i = 0; i < 8; i++) {
		uint64_t flow = i << 32;
		assert_int_equal(plane_steer_find(&steer, flow, now_ns), PLANE_STEER_NONE);
		/* The first is the oldest. */
		assert_true(plane_steer_remember(&steer, flow, (unsigned)i % 4,
						 now_ns + (i > 0 ? 10 * SECOND : 0)));
	}
	now_ns += 10 * SECOND;
	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(plane_steer_find(&steer, i << 32, now_ns), i % 4);
	assert_int_equal(plane_steer_find(&steer, UINT64_C(8) << 32, now_ns), PLANE_STEER_UNKNOWN);
	assert_int_equal(plane_steer_find(&steer, (UINT64_C(8) << 32) + 1, now_ns),
			 PLANE_STEER_NONE);
	assert_true(plane_steer_remember(&steer, UINT64_C(8) << 32, 3, now_ns));
	assert_int_equal(plane_steer_find(&steer, UINT64_C(8) << 32, now_ns), 3);
	assert_int_equal(plane_steer_find(&steer, 0, now_ns), PLANE_STEER_UNKNOWN);
	for (uint64_t i = 1; i < 8; i++)
		assert_int_equal(plane_steer_find(&steer, i << 32, now_ns), i % 4);
	/* Who is not seen any more is not counted. */
	now_ns += 400 * SECOND;
	assert_int_equal(plane_steer_find(&steer, 0, now_ns), PLANE_STEER_NONE);
	plane_steer_fini(&steer);
}

/* A core in a long turn has an older time than others, whose entries are not older for that. */
static void turns_begin_at_other_times(void **state)
{
	struct plane_steer steer;
	const uint64_t flow = UINT64_C(0x123456789abcdef0);
	/* The first nanosecond of a unit, also where the time comes round. */
	static const uint64_t units[] = {700, 1024, 2047, 2048};
	(void)state;
	for (unsigned i = 0; i < EOS_ARRAY_SIZE(units); i++) {
		uint64_t now_ns = units[i] << 32;
		assert_int_equal(plane_steer_init(&steer, 4, 16), 0);
		assert_true(plane_steer_remember(&steer, flow, 2, now_ns));
		assert_int_equal(plane_steer_find(&steer, flow, now_ns - 1), 2);
		assert_int_equal(plane_steer_find(&steer, flow, now_ns - 100 * SECOND), 2);
		assert_false(plane_steer_remember(&steer, flow, 1, now_ns - 1));
		assert_false(plane_steer_remember(&steer, flow, 1, now_ns - 100 * SECOND));
		/* Nor is it the first to make room. */
		for (uint64_t k = 1; k < 8; k++)
			assert_true(plane_steer_remember(&steer, flow ^ k << 32, 1,
							 now_ns - 30 * SECOND));
		assert_true(plane_steer_remember(&steer, flow ^ UINT64_C(8) << 32, 1,
						 now_ns - 10 * SECOND));
		assert_int_equal(plane_steer_find(&steer, flow, now_ns), 2);
		plane_steer_fini(&steer);
	}
}

/* What was pushed out of a full bucket is looked for, also when another one is forgotten. */
static void forgetting_in_full_buckets(void **state)
{
	struct plane_steer steer;
	uint64_t now_ns = 5000 * SECOND;
	(void)state;
	assert_int_equal(plane_steer_init(&steer, 4, 16), 0);
	for (uint64_t i = 0; i < 9; i++)
		assert_true(plane_steer_remember(&steer, i << 32, 1, now_ns + i * 10 * SECOND));
	now_ns += 90 * SECOND;
	assert_int_equal(plane_steer_find(&steer, 0, now_ns), PLANE_STEER_UNKNOWN);
	plane_steer_forget(&steer, UINT64_C(5) << 32, 1);
	assert_int_equal(plane_steer_find(&steer, 0, now_ns), PLANE_STEER_UNKNOWN);
	assert_int_equal(plane_steer_find(&steer, UINT64_C(5) << 32, now_ns), PLANE_STEER_UNKNOWN);
	/* Its place is the first to be taken, and what it was about is anybody's. */
	plane_steer_forget(&steer, UINT64_C(6) << 32, 1);
	assert_true(plane_steer_remember(&steer, UINT64_C(6) << 32, 3, now_ns));
	assert_int_equal(plane_steer_find(&steer, UINT64_C(6) << 32, now_ns), 3);
	assert_true(plane_steer_remember(&steer, 0, 2, now_ns));
	for (uint64_t i = 0; i < 9; i++)
		assert_int_equal(plane_steer_find(&steer, i << 32, now_ns),
				 i == 0	  ? 2
				 : i == 5 ? PLANE_STEER_UNKNOWN
				 : i == 6 ? 3
					  : 1);
	now_ns += 400 * SECOND;
	assert_int_equal(plane_steer_find(&steer, UINT64_C(5) << 32, now_ns), PLANE_STEER_NONE);
	plane_steer_fini(&steer);
}

struct worker {
	struct plane_steer *steer;
	unsigned core;
	unsigned wrong;
};

/* Each core remembers flows of its own, in the same few buckets, and looks at others'. */
static void *work(void *ctx)
{
	struct worker *worker = ctx;
	for (uint64_t i = 0; i < 20000; i++) {
		uint64_t flow = (i % 64) << 32 | (uint64_t)(worker->core + 1) << 20 | i % 3;
		uint64_t now_ns = i * SECOND / 50;
		(void)plane_steer_remember(worker->steer, flow, worker->core, now_ns);
		unsigned core = plane_steer_find(worker->steer, flow, now_ns);
		/* Pushed out, perhaps, but nobody else's. */
		worker->wrong += core < PLANE_CORES_MAX && core != worker->core;
		if (i % 5 == 0)
			plane_steer_forget(worker->steer, flow, worker->core);
		(void)plane_steer_find(worker->steer, flow ^ UINT64_C(3) << 20, now_ns);
	}
	return NULL;
}

static void many_threads(void **state)
{
	struct plane_steer steer;
	struct worker workers[4];
	pthread_t threads[4];
	(void)state;
	assert_int_equal(plane_steer_init(&steer, 4, 16), 0);
	for (unsigned i = 0; i < 4; i++) {
		workers[i] = (struct worker){&steer, i, 0};
		assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
	}
	for (unsigned i = 0; i < 4; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(workers[i].wrong, 0);
	}
	plane_steer_fini(&steer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_have_one_core),
		cmocka_unit_test(conversations_have_both_directions),
		cmocka_unit_test(first_one_keeps_it),
		cmocka_unit_test(full_buckets_say_so),
		cmocka_unit_test(turns_begin_at_other_times),
		cmocka_unit_test(forgetting_in_full_buckets),
		cmocka_unit_test(many_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
