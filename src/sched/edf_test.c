#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "sched/core.h"
#include "sched/sched_fixture_priv.h"

struct fixture {
	struct rig rig;
	struct sched_server tenants[2];
	struct actor actors[8];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	rig_init(&f->rig, &sched_policy_edf);
	for (unsigned i = 0; i < 2; i++)
		rig_server(&f->rig, &f->tenants[i], NULL, 0, 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	while (f->rig.actors_count > 0)
		actor_fini(f->rig.actors[0]);
	for (unsigned i = 0; i < 2; i++)
		sched_server_fini(&f->tenants[i]);
	rig_fini(&f->rig);
	free(f);
	return 0;
}

/* An idle actor; DEADLINE_MS 0 is none. */
static struct actor *add(struct fixture *f, unsigned i, unsigned tenant, unsigned deadline_ms,
			 uint64_t work_ns)
{
	struct actor *actor = &f->actors[i];
	actor_init(actor, &f->rig, (char)('a' + i), &f->tenants[tenant], 4, work_ns);
	sched_task_fini(&actor->task);
	sched_task_init(&actor->task, &f->tenants[tenant], 4,
			deadline_ms == 0 ? UINT64_MAX : f->rig.now_ns + deadline_ms * MS);
	return actor;
}

static void earliest_deadlines_go_first(void **state)
{
	struct fixture *f = *state;
	static const unsigned deadlines_ms[] = {0, 30, 10, 20, 10, 0};
	for (unsigned i = 0; i < 6; i++)
		actor_wake(add(f, i, i % 2, deadlines_ms[i], 10 * US));
	/* Out of the middle of the queue. */
	actor_fini(&f->actors[3]);
	assert_true(sched_core_has_runnable(f->rig.core));
	assert_int_equal(sched_core_run(f->rig.core, UINT64_MAX), UINT64_MAX);
	rig_expect(&f->rig, "cebaf");
	assert_false(sched_core_has_runnable(f->rig.core));
}

/* Whatever they have run: another switch helps neither. */
static void equal_deadlines_stay_in_order_of_arrival(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < 3; i++)
		actor_wake(add(f, i, i % 2, 50, 3 * MS));
	rig_run_for(&f->rig, 10 * MS);
	rig_expect(&f->rig, "aaabbbccc");
}

static void an_earlier_deadline_preempts(void **state)
{
	struct fixture *f = *state;
	struct actor *urgent = add(f, 0, 0, 10, 10 * US);
	struct actor *late = add(f, 1, 1, 50, 10 * US);
	urgent->device_ns = f->rig.now_ns + 2300 * US;
	late->device_ns = f->rig.now_ns + 400 * US;
	actor_wake(add(f, 2, 1, 30, 3 * MS));
	actor_wake(add(f, 3, 0, 0, FOREVER));
	rig_run_for(&f->rig, 4 * MS);
	rig_expect(&f->rig, "cccacbd");
	assert_int_equal(f->rig.preempts, 1);
	assert_int_equal(urgent->delay_ns_max, 0);
}

/* Time with deadlines does not count against the same tenant's tasks without. */
static void tasks_without_deadlines_share_the_rest(void **state)
{
	struct fixture *f = *state;
	struct actor *urgent = add(f, 0, 0, 1, 500 * US);
	urgent->every_ns = 500 * US;
	actor_wake(urgent);
	actor_wake(add(f, 1, 0, 0, FOREVER));
	actor_wake(add(f, 2, 1, 0, FOREVER));
	rig_run_for(&f->rig, 1000 * MS);
	assert_in_range(urgent->ran_ns, 499 * MS, 501 * MS);
	assert_in_range(f->actors[1].ran_ns, 245 * MS, 255 * MS);
	assert_in_range(f->actors[2].ran_ns, 245 * MS, 255 * MS);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(earliest_deadlines_go_first),
		TEST(equal_deadlines_stay_in_order_of_arrival),
		TEST(an_earlier_deadline_preempts),
		TEST(tasks_without_deadlines_share_the_rest),
	};
	return RIG_RUN_TESTS("sched_edf", tests);
}
