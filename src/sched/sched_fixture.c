#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "sched/sched_fixture_priv.h"

static uint64_t rig_now(void *ctx)
{
	return ((struct rig *)ctx)->now_ns;
}

static void rig_preempt(void *ctx)
{
	struct rig *rig = ctx;
	rig->is_preempted = true;
	rig->preempts++;
}

static bool rig_is_interrupted(void *ctx)
{
	return ((struct rig *)ctx)->is_interrupted;
}

static void rig_shorten(void *ctx, uint64_t slice_end_ns)
{
	struct rig *rig = ctx;
	assert_true(slice_end_ns < rig->slice_end_ns);
	rig->slice_end_ns = slice_end_ns;
}

void actor_wake(struct actor *actor)
{
	if (actor->task.state == SCHED_TASK_IDLE) {
		actor->woke_ns = actor->rig->now_ns;
		actor->left_ns = actor->work_ns;
		actor->wakes++;
	}
	sched_task_wake(&actor->task);
}

static void actor_fire(struct sched_timer *timer)
{
	actor_wake(EOS_CONTAINER_OF(timer, struct actor, timer));
}

/* The next device that wants to wake somebody before END_NS. */
static struct actor *next_device(struct rig *rig, uint64_t end_ns)
{
	struct actor *next = NULL;
	for (unsigned i = 0; i < rig->actors_count; i++) {
		struct actor *actor = rig->actors[i];
		if (actor->device_ns != 0 && actor->device_ns <= end_ns) {
			end_ns = actor->device_ns;
			next = actor;
		}
	}
	return next;
}

static void wake_by_device(struct actor *actor)
{
	actor->rig->now_ns = EOS_MAX(actor->rig->now_ns, actor->device_ns);
	actor->device_ns = 0;
	actor_wake(actor);
}

static void wait_for_next(struct actor *actor)
{
	if (actor->every_ns == 0)
		return;
	if (actor->is_woken_by_device)
		actor->device_ns = actor->rig->now_ns + actor->every_ns;
	else
		sched_timer_set(actor->rig->core, &actor->timer,
				actor->rig->now_ns + actor->every_ns);
}

static enum sched_turn work(struct actor *actor)
{
	struct rig *rig = actor->rig;
	uint64_t start_ns = rig->now_ns;
	uint64_t end_ns = rig->slice_end_ns + rig->overrun_ns;
	if (actor->is_yielding)
		end_ns = EOS_MIN(end_ns, start_ns + US);
	if (actor->left_ns != FOREVER)
		end_ns = EOS_MIN(end_ns, start_ns + actor->left_ns);
	struct actor *woken;
	while (!rig->is_preempted && (woken = next_device(rig, end_ns)) != NULL)
		wake_by_device(woken);
	if (!rig->is_preempted)
		rig->now_ns = end_ns;
	uint64_t ran_ns = rig->now_ns - start_ns;
	actor->ran_ns += ran_ns;
	if (actor->left_ns == FOREVER)
		return SCHED_TURN_AGAIN;
	actor->left_ns -= ran_ns;
	if (actor->left_ns > 0)
		return SCHED_TURN_AGAIN;
	wait_for_next(actor);
	return SCHED_TURN_GONE;
}

bool rig_hands_on;

static enum sched_turn take_turn(struct rig *rig, struct sched_task *task, uint64_t slice_end_ns)
{
	struct actor *actor = EOS_CONTAINER_OF(task, struct actor, task);
	assert_int_equal(task->state, SCHED_TASK_RUNNING);
	rig->is_preempted = false;
	rig->slice_end_ns = slice_end_ns;
	rig->turns++;
	if (rig->log_len < sizeof(rig->log) - 1)
		rig->log[rig->log_len++] = actor->name;
	if (actor->woke_ns != 0) {
		actor->delay_ns_max = EOS_MAX(actor->delay_ns_max, rig->now_ns - actor->woke_ns);
		actor->woke_ns = 0;
	}
	return actor->act != NULL ? actor->act(actor) : work(actor);
}

static enum sched_turn rig_run(void *ctx, struct sched_task *task, uint64_t slice_end_ns)
{
	struct rig *rig = ctx;
	enum sched_turn how = take_turn(rig, task, slice_end_ns);
	if (!rig_hands_on)
		return how;
	while ((task = sched_core_next(rig->core, how, &slice_end_ns)) != NULL)
		how = take_turn(rig, task, slice_end_ns);
	return SCHED_TURN_OVER;
}

const struct sched_core_ops rig_ops = {
	.run = rig_run,
	.preempt = rig_preempt,
	.shorten = rig_shorten,
	.is_interrupted = rig_is_interrupted,
	.now_ns = rig_now,
};

void rig_init(struct rig *rig, const struct sched_policy_ops *policy)
{
	struct sched_core_config config = {.policy = policy};
	*rig = (struct rig){.now_ns = 1000 * MS};
	assert_int_equal(sched_core_new(&config, &rig_ops, rig, &rig->core, NULL), 0);
}

void rig_fini(struct rig *rig)
{
	while (rig->actors_count > 0)
		actor_fini(rig->actors[0]);
	rig->core = sched_core_free(rig->core);
}

void rig_server(struct rig *rig, struct sched_server *server, struct sched_server *parent,
		uint64_t budget_ns, uint64_t period_ns)
{
	struct sched_server_config config = {.budget_ns = budget_ns, .period_ns = period_ns};
	struct eos_why why = {""};
	int err = sched_server_init(server, rig->core, parent, &config, &why);
	assert_string_equal(why.text, "");
	assert_int_equal(err, 0);
}

void actor_init(struct actor *actor, struct rig *rig, char name, struct sched_server *server,
		unsigned task_class, uint64_t work_ns)
{
	*actor = (struct actor){.rig = rig, .name = name, .work_ns = work_ns};
	sched_task_init(&actor->task, server, task_class, UINT64_MAX);
	sched_timer_init(&actor->timer, actor_fire);
	assert_true(rig->actors_count < RIG_ACTORS_MAX);
	rig->actors[rig->actors_count++] = actor;
}

void actor_fini(struct actor *actor)
{
	struct rig *rig = actor->rig;
	unsigned i = 0;
	while (rig->actors[i] != actor)
		i++;
	rig->actors[i] = rig->actors[--rig->actors_count];
	sched_timer_cancel(rig->core, &actor->timer);
	sched_task_fini(&actor->task);
}

void rig_run_for(struct rig *rig, uint64_t duration_ns)
{
	uint64_t until_ns = rig->now_ns + duration_ns;
	for (;;) {
		uint64_t next_ns = sched_core_run(rig->core, until_ns);
		if (rig->now_ns >= until_ns)
			return;
		assert_int_not_equal(next_ns, 0);
		assert_true(next_ns > rig->now_ns);
		next_ns = EOS_MIN(next_ns, until_ns);
		struct actor *woken = next_device(rig, next_ns);
		if (woken != NULL)
			wake_by_device(woken);
		else
			rig->now_ns = next_ns;
	}
}

void rig_expect(struct rig *rig, const char *expected)
{
	rig->log[rig->log_len] = '\0';
	assert_string_equal(rig->log, expected);
	rig->log_len = 0;
}
