#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/fault.h"
#include "sched/core.h"
#include "sched/sched_fixture_priv.h"

struct fixture {
	struct rig rig;
	struct sched_server tenants[20];
	struct actor actors[200];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	rig_init(&f->rig, NULL);
	for (unsigned i = 0; i < EOS_ARRAY_SIZE(f->tenants); i++)
		rig_server(&f->rig, &f->tenants[i], NULL, 0, 0);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	while (f->rig.actors_count > 0)
		actor_fini(f->rig.actors[0]);
	for (unsigned i = 0; i < EOS_ARRAY_SIZE(f->tenants); i++)
		sched_server_fini(&f->tenants[i]);
	rig_fini(&f->rig);
	free(f);
	return 0;
}

/* An actor that is awake. */
static struct actor *start(struct fixture *f, unsigned i, unsigned tenant, unsigned task_class,
			   uint64_t work_ns)
{
	actor_init(&f->actors[i], &f->rig, (char)('a' + i % 26), &f->tenants[tenant], task_class,
		   work_ns);
	actor_wake(&f->actors[i]);
	return &f->actors[i];
}

static void assert_near(uint64_t value, uint64_t expected, unsigned per_thousand)
{
	uint64_t slack = expected * per_thousand / 1000;
	assert_in_range(value, expected - slack, expected + slack);
}

static void refuses_bad_configurations(void **state)
{
	struct fixture *f = *state;
	struct sched_core_config config = {.quantum_ns = SCHED_QUANTUM_NS_MIN - 1};
	struct sched_core *core = NULL;
	struct eos_why why = {""};
	assert_int_equal(sched_core_new(&config, &rig_ops, f, &core, &why), -EINVAL);
	assert_non_null(strstr(why.text, "199 us"));
	assert_int_equal(eos_fault_arm("sched.core_new:1=ENOMEM", NULL), 0);
	assert_int_equal(sched_core_new(NULL, &rig_ops, f, &core, &why), -ENOMEM);
	assert_null(core);
	assert_int_equal(eos_fault_arm(NULL, NULL), 0);
	static const struct sched_server_config bad[] = {
		{.budget_ns = SCHED_BUDGET_NS_MIN - 1, .period_ns = SCHED_PERIOD_NS_MIN},
		{.budget_ns = SCHED_PERIOD_NS_MIN, .period_ns = SCHED_PERIOD_NS_MIN - 1},
		{.budget_ns = SCHED_PERIOD_NS_MIN, .period_ns = SCHED_PERIOD_NS_MAX + 1},
		{.budget_ns = SCHED_PERIOD_NS_MIN + 1, .period_ns = SCHED_PERIOD_NS_MIN},
	};
	for (unsigned i = 0; i < EOS_ARRAY_SIZE(bad); i++) {
		struct sched_server server;
		why.text[0] = '\0';
		assert_int_equal(sched_server_init(&server, f->rig.core, NULL, &bad[i], &why),
				 -EINVAL);
		assert_string_not_equal(why.text, "");
	}
	assert_null(sched_core_free(NULL));
}

static void runs_classes_in_order(void **state)
{
	struct fixture *f = *state;
	start(f, 0, 0, 7, 10 * US);
	start(f, 1, 1, 0, 10 * US);
	start(f, 2, 0, 4, 10 * US);
	start(f, 3, 0, 0, 10 * US);
	assert_true(sched_core_has_runnable(f->rig.core));
	assert_int_equal(sched_core_run(f->rig.core, UINT64_MAX), UINT64_MAX);
	assert_false(sched_core_has_runnable(f->rig.core));
	rig_expect(&f->rig, "bdca");
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(f->actors[i].task.state, SCHED_TASK_IDLE);
}

static void a_lone_task_gets_quantum_after_quantum(void **state)
{
	struct fixture *f = *state;
	start(f, 0, 0, 4, FOREVER);
	rig_run_for(&f->rig, 10 * MS);
	assert_int_equal(f->rig.turns, 10);
	assert_int_equal(f->actors[0].ran_ns, 10 * MS);
	assert_int_equal(sched_server_run_ns(&f->tenants[0]), 10 * MS);
}

static void a_tenants_tasks_take_turns(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < 3; i++)
		start(f, i, 0, 4, FOREVER);
	rig_run_for(&f->rig, 7 * MS);
	rig_expect(&f->rig, "abcabca");
}

static void tenants_take_turns(void **state)
{
	struct fixture *f = *state;
	start(f, 0, 0, 4, FOREVER);
	start(f, 1, 0, 4, FOREVER);
	start(f, 2, 1, 4, FOREVER);
	rig_run_for(&f->rig, 8 * MS);
	rig_expect(&f->rig, "acbcacbc");
}

static void a_wake_preempts_lower_classes_only(void **state)
{
	struct fixture *f = *state;
	start(f, 0, 0, 4, FOREVER);
	struct actor *urgent = start(f, 1, 1, 3, 10 * US);
	struct actor *equal = start(f, 2, 2, 4, 10 * US);
	urgent->every_ns = 300 * US;
	equal->every_ns = 100 * US;
	urgent->is_woken_by_device = equal->is_woken_by_device = true;
	rig_run_for(&f->rig, 100 * MS);
	assert_int_equal(urgent->delay_ns_max, 0);
	assert_true(urgent->wakes > 300);
	assert_in_range(f->rig.preempts, urgent->wakes - 10, urgent->wakes);
	/* One quantum, and the more urgent turns inside it. */
	assert_in_range(equal->delay_ns_max, 100 * US, SCHED_QUANTUM_NS + 4 * 10 * US);
}

/* What is cut goes on with the rest of its quantum, before the others of its tenant. */
static void a_cut_turn_goes_on(void **state)
{
	struct fixture *f = *state;
	start(f, 0, 0, 4, FOREVER);
	start(f, 1, 0, 4, FOREVER);
	start(f, 3, 2, 4, FOREVER);
	struct actor *urgent = &f->actors[2];
	actor_init(urgent, &f->rig, 'c', &f->tenants[1], 0, 10 * US);
	sched_timer_set(f->rig.core, &urgent->timer, f->rig.now_ns + 400 * US);
	rig_run_for(&f->rig, 3 * MS + 10 * US);
	rig_expect(&f->rig, "acadb");
	assert_int_equal(f->actors[0].ran_ns, 1 * MS);
	/* By a wake inside the turn, too. */
	urgent->device_ns = f->rig.now_ns + 300 * US;
	rig_run_for(&f->rig, 2 * MS + 10 * US);
	rig_expect(&f->rig, "dcda");
}

static void nothing(struct sched_timer *timer)
{
	(void)timer;
}

/* Timers that wake nobody change nothing for tenants, however often they cut. */
static void a_cut_turn_keeps_its_place_among_tenants(void **state)
{
	struct fixture *f = *state;
	struct sched_timer timer;
	start(f, 0, 0, 4, FOREVER);
	start(f, 1, 1, 4, FOREVER);
	sched_timer_init(&timer, nothing);
	for (unsigned i = 0; i < 8; i++) {
		sched_timer_set(f->rig.core, &timer, f->rig.now_ns + 400 * US);
		rig_run_for(&f->rig, 500 * US);
	}
	rig_expect(&f->rig, "aaaabbbbaaaabbbb");
}

static enum sched_turn is_called_away(struct actor *actor)
{
	actor->rig->now_ns += 100 * US;
	actor->rig->is_interrupted = true;
	return SCHED_TURN_AGAIN;
}

static void an_interruption_is_no_yield(void **state)
{
	struct fixture *f = *state;
	start(f, 0, 0, 4, 0)->act = is_called_away;
	start(f, 1, 0, 4, 0)->act = is_called_away;
	for (unsigned i = 0; i < 20; i++) {
		f->rig.is_interrupted = false;
		assert_int_equal(sched_core_run(f->rig.core, UINT64_MAX), 0);
	}
	rig_expect(&f->rig, "aaaaaaaaaabbbbbbbbbb");
}

static void a_yield_goes_to_the_tail(void **state)
{
	struct fixture *f = *state;
	start(f, 0, 0, 4, FOREVER)->is_yielding = true;
	start(f, 1, 0, 4, FOREVER)->is_yielding = true;
	rig_run_for(&f->rig, 100 * US);
	f->rig.log_len = 4;
	rig_expect(&f->rig, "abab");
}

static enum sched_turn wakes_itself(struct actor *actor)
{
	actor->rig->now_ns += US;
	actor_wake(actor);
	return ++actor->ran_ns < 3 ? SCHED_TURN_GONE : SCHED_TURN_AGAIN;
}

static enum sched_turn blocks(struct actor *actor)
{
	actor->rig->now_ns += US;
	return SCHED_TURN_GONE;
}

static void a_wake_inside_its_turn_is_not_lost(void **state)
{
	struct fixture *f = *state;
	start(f, 0, 0, 4, 0)->act = wakes_itself;
	start(f, 1, 0, 4, 0)->act = blocks;
	f->rig.is_interrupted = true;
	assert_int_equal(sched_core_run(f->rig.core, UINT64_MAX), 0);
	rig_expect(&f->rig, "");
	f->rig.is_interrupted = false;
	rig_run_for(&f->rig, 3 * US);
	rig_expect(&f->rig, "aba");
	assert_int_equal(f->actors[0].task.state, SCHED_TASK_RUNNABLE);
	assert_int_equal(f->actors[1].task.state, SCHED_TASK_IDLE);
	f->actors[0].act = blocks;
	assert_int_equal(sched_core_run(f->rig.core, UINT64_MAX), UINT64_MAX);
	rig_expect(&f->rig, "a");
}

static enum sched_turn dies(struct actor *actor)
{
	struct rig *rig = actor->rig;
	rig->now_ns += 7 * US;
	actor_wake(actor); /* of no use to the dead */
	actor_fini(actor);
	memset(actor, 0xa5, sizeof(*actor));
	rig->now_ns += US;
	return SCHED_TURN_GONE;
}

static enum sched_turn is_born_again(struct actor *actor)
{
	struct rig *rig = actor->rig;
	struct sched_server *server = actor->task.server;
	dies(actor);
	actor_init(actor, rig, 'z', server, 4, 10 * US);
	actor_wake(actor);
	return SCHED_TURN_GONE;
}

static void a_task_may_be_freed_inside_its_turn(void **state)
{
	struct fixture *f = *state;
	start(f, 0, 0, 4, 0)->act = dies;
	start(f, 1, 0, 4, 10 * US);
	start(f, 2, 1, 4, 0)->act = is_born_again;
	assert_int_equal(sched_core_run(f->rig.core, UINT64_MAX), UINT64_MAX);
	rig_expect(&f->rig, "acbz");
	assert_int_equal(sched_server_run_ns(&f->tenants[0]), 18 * US);
	assert_int_equal(sched_server_run_ns(&f->tenants[1]), 18 * US);
}

static struct sched_server *doomed_server;

static enum sched_turn dies_with_its_server(struct actor *actor)
{
	dies(actor);
	sched_server_fini(doomed_server);
	sched_server_fini(doomed_server->parent);
	memset(doomed_server, 0xa5, sizeof(*doomed_server));
	return SCHED_TURN_GONE;
}

static void servers_may_be_freed_inside_a_turn(void **state)
{
	struct fixture *f = *state;
	struct sched_server tenant;
	doomed_server = malloc(sizeof(*doomed_server));
	rig_server(&f->rig, &tenant, NULL, MS, 10 * MS);
	rig_server(&f->rig, doomed_server, &tenant, MS, 10 * MS);
	actor_init(&f->actors[0], &f->rig, 'a', doomed_server, 4, 0);
	f->actors[0].act = dies_with_its_server;
	actor_wake(&f->actors[0]);
	assert_int_equal(sched_core_run(f->rig.core, UINT64_MAX), UINT64_MAX);
	assert_int_equal(sched_server_run_ns(&tenant), 8 * US);
	free(doomed_server);
}

static enum sched_turn runs_without_time(struct actor *actor)
{
	struct rig *rig = actor->rig;
	actor->ran_ns++;
	if (rig->turns == 30)
		rig->is_interrupted = true;
	else if (rig->turns == 10)
		rig->now_ns -= 5 * MS;
	return SCHED_TURN_AGAIN;
}

static void a_clock_that_stands_or_goes_back_charges_nothing(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < 3; i++)
		start(f, i, 0, 4, 0)->act = runs_without_time;
	assert_int_equal(sched_core_run(f->rig.core, UINT64_MAX), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(f->actors[i].ran_ns, 10);
	assert_int_equal(sched_server_run_ns(&f->tenants[0]), 0);
}

static void stops_at_until(void **state)
{
	struct fixture *f = *state;
	start(f, 0, 0, 4, FOREVER);
	start(f, 1, 0, 4, FOREVER);
	assert_int_equal(sched_core_run(f->rig.core, 0), 0);
	rig_expect(&f->rig, "");
	rig_run_for(&f->rig, 600 * US);
	assert_int_equal(f->actors[0].ran_ns, 600 * US);
	rig_run_for(&f->rig, 600 * US);
	rig_expect(&f->rig, "aab"); /* the rest of a's quantum comes first */
	assert_int_equal(f->actors[1].ran_ns, 200 * US);
}

static void waits_for_one_slice_at_most(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < 64; i++)
		start(f, i, 0, 4, FOREVER);
	struct actor *neighbour = start(f, 64, 1, 4, US);
	neighbour->every_ns = 100 * US;
	neighbour->is_woken_by_device = true;
	/* Also beside tenants that have each had as much as the next. */
	for (unsigned tenants = 2; tenants < 12; tenants++) {
		rig_run_for(&f->rig, 5 * MS); /* the last tenant to come was a neighbour too */
		neighbour->delay_ns_max = 0;
		rig_run_for(&f->rig, 500 * MS);
		assert_in_range(neighbour->delay_ns_max, 1, SCHED_QUANTUM_NS);
		assert_in_range(neighbour->wakes, 450, 5000);
		neighbour->wakes = 0;
		start(f, 63 + tenants, tenants, 4, FOREVER);
	}
	neighbour->is_woken_by_device = false; /* a timer cuts the slice */
	rig_run_for(&f->rig, 2 * MS);
	neighbour->delay_ns_max = 0;
	neighbour->wakes = 0;
	rig_run_for(&f->rig, 100 * MS);
	assert_int_equal(neighbour->delay_ns_max, 0);
	assert_in_range(neighbour->wakes, 900, 1000);
}

static void spinning_tenants_get_equal_parts(void **state)
{
	struct fixture *f = *state;
	unsigned actors = 0;
	for (unsigned count = 1; count <= 20; count++) {
		/* The Nth tenant has N tasks, and some are cut by timers all the time. */
		for (unsigned i = 0; i < (count < 14 ? count : 1); i++)
			start(f, actors++, count - 1, 4, FOREVER);
		if (count == 3)
			start(f, actors++, 19, 0, 3 * US)->every_ns = 170 * US;
		uint64_t before[20], sum = 0;
		for (unsigned i = 0; i < count; i++)
			before[i] = sched_server_run_ns(&f->tenants[i]);
		rig_run_for(&f->rig, 1000 * MS);
		for (unsigned i = 0; i < EOS_MIN(count, 19u); i++)
			sum += sched_server_run_ns(&f->tenants[i]) - before[i];
		for (unsigned i = 0; i < EOS_MIN(count, 19u); i++)
			assert_near(sched_server_run_ns(&f->tenants[i]) - before[i],
				    sum / EOS_MIN(count, 19u), 50);
	}
}

/* A tenant that naps wins nothing by it: three that want all get as much as it. */
static void napping_starves_nobody(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < 3; i++)
		start(f, i, i, 4, FOREVER);
	for (unsigned i = 3; i < 8; i++) {
		struct actor *napper = start(f, i, 3, 4, 90 * US);
		napper->every_ns = 10 * US;
		napper->is_woken_by_device = i % 2 == 0;
	}
	rig_run_for(&f->rig, 2000 * MS);
	for (unsigned i = 0; i < 4; i++)
		assert_near(sched_server_run_ns(&f->tenants[i]), 500 * MS, 50);
}

/*
 * Any two tenants that want to run all the time are never more than two quanta apart, whatever the
 * others do: here some that nap, of which each gets no more than those.
 */
static void no_tenant_falls_behind(void **state)
{
	struct fixture *f = *state;
	unsigned random = 1;
	f->rig.overrun_ns = 5 * US;
	for (unsigned i = 0; i < 30; i++) {
		struct actor *actor = start(f, i, i < 20 ? i % 5 : i % 20, 4, FOREVER);
		if (i < 20)
			continue;
		actor->left_ns = actor->work_ns = (1 + (unsigned)rand_r(&random) % 700) * US;
		actor->every_ns = (1 + (unsigned)rand_r(&random) % 3000) * US;
		actor->is_woken_by_device = rand_r(&random) % 2 == 0;
	}
	uint64_t least_ns = 0, most_ns = 0;
	for (unsigned step = 0; step < 20000; step++) {
		rig_run_for(&f->rig, 150 * US);
		least_ns = UINT64_MAX;
		most_ns = 0;
		/* 0 to 4 spin, but 0 to 9 have nappers. */
		for (unsigned i = 0; i < 5; i++) {
			uint64_t run_ns = sched_server_run_ns(&f->tenants[i]);
			least_ns = EOS_MIN(least_ns, run_ns);
			most_ns = EOS_MAX(most_ns, run_ns);
		}
		assert_true(most_ns - least_ns <= 2 * (SCHED_QUANTUM_NS + f->rig.overrun_ns));
	}
	assert_true(least_ns > 190 * MS);
	for (unsigned i = 5; i < 20; i++)
		assert_true(sched_server_run_ns(&f->tenants[i]) <= most_ns + 2 * MS);
}

/* Time that was not wanted is not saved up, but for one quantum beyond the usual round. */
static void a_long_pause_earns_little(void **state)
{
	struct fixture *f = *state;
	start(f, 0, 0, 4, FOREVER);
	rig_run_for(&f->rig, 5000 * MS);
	start(f, 1, 1, 4, FOREVER);
	f->rig.log_len = 0;
	rig_run_for(&f->rig, 6 * MS);
	rig_expect(&f->rig, "bbabab");
}

static void one_long_turn_does_not_starve(void **state)
{
	struct fixture *f = *state;
	struct actor *stuck = start(f, 0, 0, 4, FOREVER);
	start(f, 1, 1, 4, FOREVER);
	f->rig.overrun_ns = UINT64_C(3600) * 1000 * MS;
	rig_run_for(&f->rig, 1);
	assert_true(stuck->ran_ns > 3599 * UINT64_C(1000) * MS);
	f->rig.overrun_ns = 0;
	stuck->ran_ns = 0;
	rig_run_for(&f->rig, 400 * MS);
	assert_in_range(stuck->ran_ns, 140 * MS, 160 * MS);
}

static struct sched_task *other_task;

static enum sched_turn works_on_others(struct actor *actor)
{
	struct rig *rig = actor->rig;
	struct actor *other = EOS_CONTAINER_OF(other_task, struct actor, task);
	rig->now_ns += US;
	switch (actor->ran_ns++) {
	case 0: /* a new one */
		actor_init(other, rig, 'n', actor->task.server, 5, 10 * US);
		actor_wake(other);
		return SCHED_TURN_AGAIN;
	case 1: /* gone before it ever ran */
		assert_int_equal(other_task->state, SCHED_TASK_RUNNABLE);
		actor_fini(other);
		return SCHED_TURN_AGAIN;
	default:
		return SCHED_TURN_GONE;
	}
}

static void tasks_come_and_go_inside_turns(void **state)
{
	struct fixture *f = *state;
	other_task = &f->actors[1].task;
	start(f, 0, 0, 4, 0)->act = works_on_others;
	assert_int_equal(sched_core_run(f->rig.core, UINT64_MAX), UINT64_MAX);
	rig_expect(&f->rig, "aaa");
	assert_int_equal(f->rig.preempts, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(refuses_bad_configurations),
		TEST(runs_classes_in_order),
		TEST(a_lone_task_gets_quantum_after_quantum),
		TEST(a_tenants_tasks_take_turns),
		TEST(tenants_take_turns),
		TEST(a_wake_preempts_lower_classes_only),
		TEST(a_cut_turn_goes_on),
		TEST(a_cut_turn_keeps_its_place_among_tenants),
		TEST(an_interruption_is_no_yield),
		TEST(a_yield_goes_to_the_tail),
		TEST(a_wake_inside_its_turn_is_not_lost),
		TEST(a_task_may_be_freed_inside_its_turn),
		TEST(servers_may_be_freed_inside_a_turn),
		TEST(a_clock_that_stands_or_goes_back_charges_nothing),
		TEST(stops_at_until),
		TEST(waits_for_one_slice_at_most),
		TEST(spinning_tenants_get_equal_parts),
		TEST(napping_starves_nobody),
		TEST(no_tenant_falls_behind),
		TEST(a_long_pause_earns_little),
		TEST(one_long_turn_does_not_starve),
		TEST(tasks_come_and_go_inside_turns),
	};
	return RIG_RUN_TESTS("sched_core", tests);
}
