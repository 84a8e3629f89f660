#include "plane/plane_heartbeat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"

#define LIMIT_NS (8 * EOS_NS_PER_S)
#define STEP_NS	 EOS_NS_PER_S
#define START_NS (100 * EOS_NS_PER_S)

struct fixture {
	struct plane_heartbeats *heartbeats;
	struct plane_watchdog watchdog;
	uint64_t now_ns;
	unsigned index;
};

static void begin(struct fixture *f, uint64_t limit_ns)
{
	*f = (struct fixture){.heartbeats = plane_heartbeats_new(), .now_ns = START_NS};
	assert_non_null(f->heartbeats);
	atomic_store(&f->heartbeats->limit_ns, limit_ns);
}

static bool look_after(struct fixture *f, uint64_t ns)
{
	f->now_ns += ns;
	return plane_watchdog_look(&f->watchdog, f->heartbeats, f->now_ns, &f->index);
}

/* How many looks, STEP_NS apart, until somebody is found to hang; MAX: nobody was. */
static unsigned looks_until_hung(struct fixture *f, unsigned max)
{
	for (unsigned i = 0; i < max; i++) {
		if (look_after(f, STEP_NS))
			return i;
	}
	return max;
}

/* The first loop is watched from the start, also if it has never beaten by itself. */
static void test_stands_still(void **state)
{
	struct fixture f;
	(void)state;
	begin(&f, LIMIT_NS);
	assert_int_equal(looks_until_hung(&f, 100), LIMIT_NS / STEP_NS);
	assert_int_equal(f.index, 0);
	plane_heartbeats_free(f.heartbeats);
}

static void test_beats(void **state)
{
	struct fixture f;
	(void)state;
	begin(&f, LIMIT_NS);
	/* Also where a loop's number begins anew. */
	atomic_store(&f.heartbeats->loops[0].beats, UINT64_MAX - 1);
	for (unsigned i = 0; i < 100; i++) {
		for (unsigned j = 0; j < LIMIT_NS / STEP_NS - 1; j++)
			assert_false(look_after(&f, STEP_NS));
		plane_beat(f.heartbeats, 0);
		assert_true(atomic_load(&f.heartbeats->loops[0].beats) != 0);
	}
	assert_true(looks_until_hung(&f, 100) <= LIMIT_NS / STEP_NS);
	plane_heartbeats_free(f.heartbeats);
}

/* Each loop for itself: others that live do not hide it, and one that has ended is not missed. */
static void test_loops(void **state)
{
	struct fixture f;
	(void)state;
	begin(&f, LIMIT_NS);
	plane_beat(f.heartbeats, 3);
	plane_beat(f.heartbeats, PLANE_LOOPS_MAX - 1);
	plane_beat_end(f.heartbeats, PLANE_LOOPS_MAX - 1);
	unsigned count = 0;
	for (; count < 100 && !look_after(&f, STEP_NS); count++)
		plane_beat(f.heartbeats, 0);
	assert_int_equal(count, LIMIT_NS / STEP_NS);
	assert_int_equal(f.index, 3);
	plane_heartbeats_free(f.heartbeats);
}

static void test_no_limit(void **state)
{
	struct fixture f;
	(void)state;
	begin(&f, 0);
	assert_int_equal(looks_until_hung(&f, 1000), 1000);
	assert_int_equal(plane_watchdog_step_ns(0), PLANE_WATCHDOG_LOOK_MAX);
	plane_heartbeats_free(f.heartbeats);
}

/* Both were frozen: the worker could not beat while nobody looked. */
static void test_time_jumps(void **state)
{
	struct fixture f;
	(void)state;
	begin(&f, LIMIT_NS);
	for (unsigned i = 0; i < LIMIT_NS / STEP_NS / 2; i++)
		assert_false(look_after(&f, 3600 * EOS_NS_PER_S));
	assert_true(looks_until_hung(&f, 100) < 100);
	plane_heartbeats_free(f.heartbeats);
}

/* A limit that no configuration has does not keep the keeper busy. */
static void test_hostile_limit(void **state)
{
	(void)state;
	assert_true(plane_watchdog_step_ns(1) >= PLANE_WATCHDOG_NS_MIN / PLANE_WATCHDOG_LOOKS);
	assert_true(plane_watchdog_step_ns(UINT64_MAX) <= PLANE_WATCHDOG_LOOK_MAX);
	/* At the limits that there are, a loop that only sleeps beats more than once. */
	assert_true(2 * plane_watchdog_step_ns(PLANE_WATCHDOG_NS_MIN) < PLANE_WATCHDOG_NS_MIN);
}

static void test_shared(void **state)
{
	struct fixture f;
	int status;
	(void)state;
	begin(&f, LIMIT_NS);
	uint64_t before = atomic_load(&f.heartbeats->loops[0].beats);
	pid_t pid = fork();
	if (pid == 0) {
		plane_beat(f.heartbeats, 0);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(atomic_load(&f.heartbeats->loops[0].beats), before + 1);
	plane_heartbeats_reset(f.heartbeats);
	assert_int_equal(atomic_load(&f.heartbeats->limit_ns), PLANE_WATCHDOG_NS);
	assert_int_equal(atomic_load(&f.heartbeats->loops[0].beats), 1);
	plane_heartbeats_free(f.heartbeats);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stands_still), cmocka_unit_test(test_beats),
		cmocka_unit_test(test_loops),	     cmocka_unit_test(test_no_limit),
		cmocka_unit_test(test_time_jumps),   cmocka_unit_test(test_hostile_limit),
		cmocka_unit_test(test_shared),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
