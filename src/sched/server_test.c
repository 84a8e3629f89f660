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
	struct sched_server other; /* no limit */
	struct sched_server tenant, functions[3];
	unsigned functions_count;
	struct actor actors[80];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	rig_init(&f->rig, NULL);
	rig_server(&f->rig, &f->other, NULL, 0, 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	while (f->rig.actors_count > 0)
		actor_fini(f->rig.actors[0]);
	while (f->functions_count > 0)
		sched_server_fini(&f->functions[--f->functions_count]);
	sched_server_fini(&f->tenant);
	sched_server_fini(&f->other);
	rig_fini(&f->rig);
	free(f);
	return 0;
}

static struct actor *start(struct fixture *f, unsigned i, struct sched_server *server,
			   unsigned task_class, uint64_t work_ns)
{
	actor_init(&f->actors[i], &f->rig, (char)('a' + i % 26), server, task_class, work_ns);
	actor_wake(&f->actors[i]);
	return &f->actors[i];
}

static void add_function(struct fixture *f, uint64_t budget_ns, uint64_t period_ns)
{
	rig_server(&f->rig, &f->functions[f->functions_count++], &f->tenant, budget_ns, period_ns);
}

/*
 * Lets 6 seconds pass and looks every PERIOD_NS / 8: no ten periods, wherever they start, may have
 * more than ten budgets and MORE_NS; all of them together have at least PER_THOUSAND of theirs.
 */
static void run_and_check(struct fixture *f, const struct sched_server *server, uint64_t budget_ns,
			  uint64_t period_ns, uint64_t more_ns, unsigned per_thousand)
{
	enum { WINDOW = 80 };
	uint64_t seen[WINDOW] = {0}, start_ns = sched_server_run_ns(server);
	uint64_t begin_ns = f->rig.now_ns;
	unsigned steps = (unsigned)(6000 * MS / (period_ns / 8));
	for (unsigned i = 0; i < steps; i++) {
		uint64_t until_ns = begin_ns + (i + 1) * (period_ns / 8);
		if (f->rig.now_ns < until_ns)
			rig_run_for(&f->rig, until_ns - f->rig.now_ns);
		uint64_t run_ns = sched_server_run_ns(server) - start_ns;
		if (i >= WINDOW)
			assert_true(run_ns - seen[i % WINDOW] <= 10 * budget_ns + more_ns);
		seen[i % WINDOW] = run_ns;
	}
	uint64_t run_ns = sched_server_run_ns(server) - start_ns;
	assert_true(run_ns >= 6000 * MS / period_ns * budget_ns / 1000 * per_thousand);
	assert_true(run_ns <= (6000 * MS / period_ns + 1) * budget_ns + more_ns);
}

static void a_tenant_gets_its_budget_and_no_more(void **state)
{
	struct fixture *f = *state;
	rig_server(&f->rig, &f->tenant, NULL, 20 * MS, 100 * MS);
	start(f, 0, &f->tenant, 2, FOREVER);
	for (unsigned i = 1; i < 5; i++)
		start(f, i, &f->other, 4, FOREVER);
	run_and_check(f, &f->tenant, 20 * MS, 100 * MS, 0, 990);
}

static void also_when_the_core_is_idle_otherwise(void **state)
{
	struct fixture *f = *state;
	rig_server(&f->rig, &f->tenant, NULL, 300 * US, MS);
	for (unsigned i = 0; i < 64; i++)
		start(f, i, &f->tenant, i % 8, FOREVER);
	run_and_check(f, &f->tenant, 300 * US, MS, 0, 990);
	/* Replenishment by replenishment the tenant's most urgent tasks share it. */
	for (unsigned i = 0; i < 64; i++)
		assert_true((f->actors[i].ran_ns > 0) == (i % 8 == 0));
	rig_run_for(&f->rig, 500 * US);
	assert_false(sched_core_has_runnable(f->rig.core));
}

static void and_when_more_urgent_tasks_cut_it_to_pieces(void **state)
{
	struct fixture *f = *state;
	rig_server(&f->rig, &f->tenant, NULL, 20 * MS, 100 * MS);
	start(f, 0, &f->tenant, 2, FOREVER);
	struct actor *urgent = start(f, 1, &f->other, 0, 30 * US);
	urgent->every_ns = 61 * US;
	start(f, 2, &f->other, 4, FOREVER);
	run_and_check(f, &f->tenant, 20 * MS, 100 * MS, 0, 950);
}

/* Its tasks are short and many, as a server's are that wants more than it gets. */
static void and_when_it_wakes_all_the_time(void **state)
{
	struct fixture *f = *state;
	rig_server(&f->rig, &f->tenant, NULL, 20 * MS, 100 * MS);
	for (unsigned i = 0; i < 3; i++) {
		struct actor *actor = start(f, i, &f->tenant, 2, 17 * US);
		actor->every_ns = (90 + 7 * i) * US;
		actor->is_woken_by_device = i == 1;
	}
	start(f, 3, &f->other, 4, FOREVER);
	run_and_check(f, &f->tenant, 20 * MS, 100 * MS, 0, 950);
}

/* The pattern that gets two budgets at the border of fixed periods. */
static void saving_for_the_end_of_a_period_wins_nothing(void **state)
{
	struct fixture *f = *state;
	rig_server(&f->rig, &f->tenant, NULL, 20 * MS, 100 * MS);
	start(f, 0, &f->tenant, 2, 10 * US);
	rig_run_for(&f->rig, 80 * MS);
	actor_fini(&f->actors[0]);
	start(f, 0, &f->tenant, 2, FOREVER);
	rig_run_for(&f->rig, 100 * MS);
	assert_in_range(sched_server_run_ns(&f->tenant), 20 * MS, 20 * MS + 10 * US);
}

static void a_function_is_below_its_tenant(void **state)
{
	struct fixture *f = *state;
	rig_server(&f->rig, &f->tenant, NULL, 50 * MS, 100 * MS);
	add_function(f, 20 * MS, 100 * MS);
	add_function(f, 0, 0);
	start(f, 0, &f->functions[0], 2, FOREVER);
	start(f, 1, &f->functions[0], 2, FOREVER);
	start(f, 2, &f->functions[1], 2, FOREVER);
	start(f, 3, &f->other, 4, FOREVER);
	run_and_check(f, &f->functions[0], 20 * MS, 100 * MS, 0, 950);
	/* The tenant's other function has the rest of the tenant's. */
	assert_in_range(sched_server_run_ns(&f->tenant), 2850 * MS, 3050 * MS);
	assert_in_range(sched_server_run_ns(&f->functions[1]), 1650 * MS, 1850 * MS);
}

static void a_function_cannot_have_more_than_its_tenant(void **state)
{
	struct fixture *f = *state;
	rig_server(&f->rig, &f->tenant, NULL, 20 * MS, 100 * MS);
	add_function(f, 90 * MS, 100 * MS);
	start(f, 0, &f->functions[0], 2, FOREVER);
	start(f, 1, &f->other, 4, FOREVER);
	run_and_check(f, &f->tenant, 20 * MS, 100 * MS, 0, 950);
	assert_int_equal(sched_server_run_ns(&f->functions[0]), sched_server_run_ns(&f->tenant));
}

static void a_whole_core_is_never_dry(void **state)
{
	struct fixture *f = *state;
	rig_server(&f->rig, &f->tenant, NULL, 10 * MS, 10 * MS);
	start(f, 0, &f->tenant, 2, FOREVER);
	start(f, 1, &f->other, 4, FOREVER);
	rig_run_for(&f->rig, 200 * MS);
	assert_int_equal(sched_server_run_ns(&f->tenant), 200 * MS);
}

static void overruns_are_debts(void **state)
{
	struct fixture *f = *state;
	rig_server(&f->rig, &f->tenant, NULL, 20 * MS, 100 * MS);
	start(f, 0, &f->tenant, 2, FOREVER);
	f->rig.overrun_ns = 50 * US; /* of each slice: the last of a budget takes too much */
	run_and_check(f, &f->tenant, 20 * MS, 100 * MS, 2 * 50 * US, 990);
	/* Once for long. */
	f->rig.overrun_ns = 0;
	while (f->actors[0].task.state != SCHED_TASK_RUNNABLE)
		rig_run_for(&f->rig, MS);
	uint64_t start_ns = sched_server_run_ns(&f->tenant);
	f->rig.overrun_ns = 99 * MS;
	rig_run_for(&f->rig, MS);
	f->rig.overrun_ns = 0;
	rig_run_for(&f->rig, 300 * MS);
	assert_in_range(sched_server_run_ns(&f->tenant) - start_ns, 99 * MS, 100 * MS);
	rig_run_for(&f->rig, 600 * MS);
	assert_in_range(sched_server_run_ns(&f->tenant) - start_ns, 179 * MS, 200 * MS);
}

static void a_debt_has_a_limit(void **state)
{
	struct fixture *f = *state;
	rig_server(&f->rig, &f->tenant, NULL, MS, 10 * MS);
	start(f, 0, &f->tenant, 2, FOREVER);
	f->rig.overrun_ns = UINT64_C(24) * 3600 * 1000 * MS;
	rig_run_for(&f->rig, 1);
	f->rig.overrun_ns = 0;
	assert_true(f->actors[0].ran_ns >= UINT64_C(24) * 3600 * 1000 * MS);
	f->actors[0].ran_ns = 0;
	rig_run_for(&f->rig, SCHED_DEBT_PERIODS_MAX * 10 * MS + 100 * MS);
	assert_in_range(f->actors[0].ran_ns, 9 * MS, 110 * MS);
}

static void a_wake_below_a_dry_server_waits_too(void **state)
{
	struct fixture *f = *state;
	rig_server(&f->rig, &f->tenant, NULL, MS, 10 * MS);
	start(f, 0, &f->tenant, 4, 3 * MS);
	uint64_t start_ns = f->rig.now_ns;
	assert_int_equal(sched_core_run(f->rig.core, UINT64_MAX), start_ns + 10 * MS);
	assert_int_equal(f->actors[0].task.state, SCHED_TASK_PARKED);
	start(f, 1, &f->tenant, 0, 10 * US);
	assert_int_equal(f->actors[1].task.state, SCHED_TASK_PARKED);
	sched_task_wake(&f->actors[1].task);
	assert_false(sched_core_has_runnable(f->rig.core));
	rig_run_for(&f->rig, 10 * MS);
	rig_expect(&f->rig, "aba"); /* the more urgent one first */
	assert_int_equal(f->actors[1].delay_ns_max, 9 * MS);
}

static void the_last_that_waits_may_go(void **state)
{
	struct fixture *f = *state;
	rig_server(&f->rig, &f->tenant, NULL, MS, 10 * MS);
	start(f, 0, &f->tenant, 4, 3 * MS);
	start(f, 1, &f->tenant, 4, 3 * MS);
	uint64_t end_ns = f->rig.now_ns + 10 * MS;
	assert_int_equal(sched_core_run(f->rig.core, UINT64_MAX), end_ns);
	actor_fini(&f->actors[1]);
	assert_int_equal(sched_core_run(f->rig.core, UINT64_MAX), end_ns);
	actor_fini(&f->actors[0]);
	assert_int_equal(sched_core_run(f->rig.core, UINT64_MAX), UINT64_MAX);
	/* The server is as dry for others. */
	start(f, 2, &f->tenant, 4, US);
	assert_int_equal(sched_core_run(f->rig.core, UINT64_MAX), end_ns);
	rig_run_for(&f->rig, 10 * MS);
	assert_int_equal(f->actors[2].ran_ns, US);
}

/* The core sleeps for nobody when only timers are left, though a server is dry. */
static void a_dry_server_without_tasks_wakes_nobody(void **state)
{
	struct fixture *f = *state;
	rig_server(&f->rig, &f->tenant, NULL, MS, 10 * MS);
	start(f, 0, &f->tenant, 4, MS);
	assert_int_equal(sched_core_run(f->rig.core, UINT64_MAX), UINT64_MAX);
	assert_int_equal(f->actors[0].task.state, SCHED_TASK_IDLE);
}

static void a_replenishment_cuts_the_slice(void **state)
{
	struct fixture *f = *state;
	rig_server(&f->rig, &f->tenant, NULL, 700 * US, 3300 * US);
	struct actor *limited = start(f, 0, &f->tenant, 1, FOREVER);
	start(f, 1, &f->other, 4, FOREVER);
	rig_run_for(&f->rig, 33 * MS);
	assert_int_equal(limited->ran_ns, 10 * 700 * US);
}

/* What was used in crumbs comes back a quantum at a time to one that ran dry. */
static void a_dry_server_waits_for_a_quantum(void **state)
{
	struct fixture *f = *state;
	rig_server(&f->rig, &f->tenant, NULL, 2 * MS, 20 * MS);
	struct actor *limited = start(f, 0, &f->tenant, 2, 100 * US);
	limited->every_ns = 400 * US;
	rig_run_for(&f->rig, 5 * MS); /* 10 crumbs, the half of it */
	assert_int_equal(limited->ran_ns, MS);
	actor_fini(limited);
	start(f, 0, &f->tenant, 2, FOREVER);
	rig_run_for(&f->rig, 15 * MS);
	assert_int_equal(limited->ran_ns, MS);
	assert_int_equal(limited->task.state, SCHED_TASK_PARKED);
	f->rig.log_len = 0;
	rig_run_for(&f->rig, 5 * MS);
	rig_expect(&f->rig, "a");
	assert_int_equal(limited->ran_ns, 2 * MS);
}

static void shares_a_class_fairly_up_to_its_budget(void **state)
{
	struct fixture *f = *state;
	rig_server(&f->rig, &f->tenant, NULL, 10 * MS, 100 * MS);
	add_function(f, 0, 0);
	start(f, 0, &f->functions[0], 4, FOREVER);
	for (unsigned i = 1; i < 4; i++)
		start(f, i, &f->other, 4, FOREVER);
	run_and_check(f, &f->tenant, 10 * MS, 100 * MS, 0, 950);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_tenant_gets_its_budget_and_no_more),
		TEST(also_when_the_core_is_idle_otherwise),
		TEST(and_when_more_urgent_tasks_cut_it_to_pieces),
		TEST(and_when_it_wakes_all_the_time),
		TEST(saving_for_the_end_of_a_period_wins_nothing),
		TEST(a_function_is_below_its_tenant),
		TEST(a_function_cannot_have_more_than_its_tenant),
		TEST(a_whole_core_is_never_dry),
		TEST(overruns_are_debts),
		TEST(a_debt_has_a_limit),
		TEST(a_wake_below_a_dry_server_waits_too),
		TEST(the_last_that_waits_may_go),
		TEST(a_dry_server_without_tasks_wakes_nobody),
		TEST(a_replenishment_cuts_the_slice),
		TEST(a_dry_server_waits_for_a_quantum),
		TEST(shares_a_class_fairly_up_to_its_budget),
	};
	return RIG_RUN_TESTS("sched_server", tests);
}
