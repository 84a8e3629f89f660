#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "sched/core.h"
#include "sched/sched_fixture_priv.h"

struct bell {
	struct sched_timer timer;
	struct rig *rig;
	char name;
	struct bell *other; /* SET_OTHER_NS from now, or cancelled if that is 0 */
	uint64_t set_other_ns;
	unsigned fired;
	uint64_t fired_ns;
};

static void ring(struct sched_timer *timer)
{
	struct bell *bell = EOS_CONTAINER_OF(timer, struct bell, timer);
	struct rig *rig = bell->rig;
	assert_false(sched_timer_is_set(timer));
	rig->log[rig->log_len++] = bell->name;
	bell->fired++;
	bell->fired_ns = rig->now_ns;
	if (bell->other == NULL)
		return;
	if (bell->set_other_ns == 0)
		sched_timer_cancel(rig->core, &bell->other->timer);
	else
		sched_timer_set(rig->core, &bell->other->timer,
				rig->now_ns + bell->set_other_ns - 1);
}

static void bell_init(struct bell *bell, struct rig *rig, char name)
{
	*bell = (struct bell){.rig = rig, .name = name};
	sched_timer_init(&bell->timer, ring);
}

static void fire_by_time_then_by_setting(void **state)
{
	struct rig rig;
	struct bell bells[5];
	rig_init(&rig, NULL);
	static const unsigned when_us[] = {30, 10, 20, 10, 0};
	for (unsigned i = 0; i < 5; i++) {
		bell_init(&bells[i], &rig, (char)('a' + i));
		assert_false(sched_timer_is_set(&bells[i].timer));
		sched_timer_set(rig.core, &bells[i].timer, rig.now_ns + when_us[i] * US);
		assert_true(sched_timer_is_set(&bells[i].timer));
	}
	rig_run_for(&rig, 15 * US);
	rig_expect(&rig, "ebd");
	assert_int_equal(bells[1].fired_ns, 1000 * MS + 10 * US);
	/* Late ones fire in order too. */
	rig.now_ns += MS;
	sched_timer_set(rig.core, &bells[1].timer, 2);
	sched_timer_set(rig.core, &bells[3].timer, 1);
	assert_int_equal(sched_core_run(rig.core, UINT64_MAX), UINT64_MAX);
	rig_expect(&rig, "dbca");
	rig_fini(&rig);
}

static void setting_again_moves(void **state)
{
	struct rig rig;
	struct bell a, b;
	rig_init(&rig, NULL);
	bell_init(&a, &rig, 'a');
	bell_init(&b, &rig, 'b');
	uint64_t now_ns = rig.now_ns;
	sched_timer_cancel(rig.core, &a.timer);
	sched_timer_set(rig.core, &a.timer, now_ns + 10 * US);
	sched_timer_set(rig.core, &b.timer, now_ns + 20 * US);
	sched_timer_set(rig.core, &a.timer, now_ns + 30 * US);
	assert_int_equal(sched_core_run(rig.core, UINT64_MAX), now_ns + 20 * US);
	rig_run_for(&rig, 25 * US);
	rig_expect(&rig, "b");
	sched_timer_set(rig.core, &a.timer, now_ns + 26 * US);
	sched_timer_cancel(rig.core, &b.timer);
	rig_run_for(&rig, 100 * US);
	rig_expect(&rig, "a");
	sched_timer_set(rig.core, &a.timer, rig.now_ns + 1);
	sched_timer_cancel(rig.core, &a.timer);
	sched_timer_cancel(rig.core, &a.timer);
	assert_int_equal(sched_core_run(rig.core, UINT64_MAX), UINT64_MAX);
	rig_run_for(&rig, US);
	rig_expect(&rig, "");
	rig_fini(&rig);
}

static void one_may_cancel_or_move_another_that_is_due(void **state)
{
	struct rig rig;
	struct bell a, b, c;
	rig_init(&rig, NULL);
	bell_init(&a, &rig, 'a');
	bell_init(&b, &rig, 'b');
	bell_init(&c, &rig, 'c');
	for (unsigned set_other_us = 0; set_other_us < 2; set_other_us++) {
		uint64_t now_ns = rig.now_ns;
		a.other = &b;
		a.set_other_ns = set_other_us * 5 * US;
		sched_timer_set(rig.core, &a.timer, now_ns + US);
		sched_timer_set(rig.core, &b.timer, now_ns + US);
		sched_timer_set(rig.core, &c.timer, now_ns + US);
		rig_run_for(&rig, 20 * US);
		rig_expect(&rig, set_other_us == 0 ? "ac" : "acb");
	}
	rig_fini(&rig);
}

/* A timer that is always due lets tasks have turns, and sched_core_run() return. */
static void a_timer_that_sets_itself_starves_nobody(void **state)
{
	struct rig rig;
	struct bell bell;
	struct sched_server tenant;
	struct actor actor;
	rig_init(&rig, NULL);
	rig_server(&rig, &tenant, NULL, 0, 0);
	bell_init(&bell, &rig, '!');
	bell.other = &bell;
	bell.set_other_ns = 1; /* now */
	sched_timer_set(rig.core, &bell.timer, 0);
	assert_true(sched_core_run(rig.core, UINT64_MAX) <= rig.now_ns);
	actor_init(&actor, &rig, 'a', &tenant, 4, FOREVER);
	actor_wake(&actor);
	uint64_t until_ns = rig.now_ns + MS;
	assert_int_equal(sched_core_run(rig.core, until_ns), 0);
	assert_int_equal(actor.ran_ns, MS);
	assert_in_range(bell.fired, 10, 30);
	sched_timer_cancel(rig.core, &bell.timer);
	actor_fini(&actor);
	sched_server_fini(&tenant);
	rig_fini(&rig);
}

static struct bell *bell_to_set;

static enum sched_turn sets_a_bell(struct actor *actor)
{
	struct rig *rig = actor->rig;
	if (bell_to_set != NULL) {
		rig->now_ns += 10 * US;
		sched_timer_set(rig->core, &bell_to_set->timer, rig->now_ns + 50 * US);
		/* A later one does not lengthen the slice. */
		uint64_t slice_end_ns = rig->slice_end_ns;
		assert_int_equal(slice_end_ns, rig->now_ns + 50 * US);
		bell_to_set = NULL;
	}
	rig->now_ns = rig->slice_end_ns;
	return SCHED_TURN_AGAIN;
}

static void cuts_slices_also_from_inside(void **state)
{
	struct rig rig;
	struct bell a, b;
	struct sched_server tenant;
	struct actor actor;
	rig_init(&rig, NULL);
	rig_server(&rig, &tenant, NULL, 0, 0);
	bell_init(&a, &rig, '1');
	bell_init(&b, &rig, '2');
	actor_init(&actor, &rig, 'a', &tenant, 4, FOREVER);
	actor.act = sets_a_bell;
	actor_wake(&actor);
	bell_to_set = &b;
	sched_timer_set(rig.core, &a.timer, rig.now_ns + 200 * US);
	uint64_t now_ns = rig.now_ns;
	rig_run_for(&rig, 2 * MS);
	rig_expect(&rig, "a2a1aa");
	assert_int_equal(b.fired_ns, now_ns + 60 * US);
	assert_int_equal(a.fired_ns, now_ns + 200 * US);
	actor_fini(&actor);
	sched_server_fini(&tenant);
	rig_fini(&rig);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fire_by_time_then_by_setting),
		cmocka_unit_test(setting_again_moves),
		cmocka_unit_test(one_may_cancel_or_move_another_that_is_due),
		cmocka_unit_test(a_timer_that_sets_itself_starves_nobody),
		cmocka_unit_test(cuts_slices_also_from_inside),
	};
	return RIG_RUN_TESTS("sched_timers", tests);
}
