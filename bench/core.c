#include "core.h"

#include <errno.h>

#include "base/clock.h"
#include "ticks.h"

static void serve(struct core *core)
{
	if (EOS_LIKELY(!core->is_kicked))
		return;
	core->is_kicked = false;
	core->serve(core);
}

static void begin_turn(struct core *core, struct sched_task *task)
{
	core->last = EOS_CONTAINER_OF(task, struct core_fwp, task);
	/* What stops running reads the clock. */
	core->is_now_known = true;
	fwp_engine_set_now(core->engine, sched_core_now_ns(core->sched));
}

static enum sched_turn turn_of(enum fwp_state state)
{
	return state == FWP_READY ? SCHED_TURN_AGAIN : SCHED_TURN_GONE;
}

/* On the stack of who stopped. */
static struct fwp_turn next_turn(void *ctx, struct fwp *stopped)
{
	struct core *core = ctx;
	uint64_t slice_end_ns;
	struct sched_task *task =
		sched_core_next(core->sched, turn_of(fwp_state(stopped)), &slice_end_ns);

	core->is_turn_over = task == NULL;
	if (task == NULL)
		return (struct fwp_turn){0};
	begin_turn(core, task);
	return (struct fwp_turn){core->last->fwp, slice_end_ns};
}

static enum sched_turn run_task(void *ctx, struct sched_task *task, uint64_t slice_end_ns)
{
	struct core *core = ctx;

	begin_turn(core, task);
	core->is_turn_over = false;
	struct fwp *last = fwp_run_turns(core->last->fwp, slice_end_ns, next_turn, core);

	return core->is_turn_over ? SCHED_TURN_OVER : turn_of(fwp_state(last));
}

static enum sched_turn run_and_count(void *ctx, struct sched_task *task, uint64_t slice_end_ns)
{
	struct core *core = ctx;
	uint64_t start = ticks_now();

	begin_turn(core, task);
	enum fwp_state state = fwp_run_until(core->last->fwp, slice_end_ns);

	core->last->run_ns += ticks_between_ns(start, ticks_now());
	return turn_of(state);
}

static void preempt(void *ctx)
{
	struct core *core = ctx;

	fwp_engine_preempt(core->engine);
}

/* Between two turns: what the last one left is looked at here. */
static uint64_t now_ns(void *ctx)
{
	struct core *core = ctx;

	if (!core->is_now_known)
		return eos_fast_clock_now(&core->clock);
	core->is_now_known = false;
	if (EOS_UNLIKELY(fwp_state(core->last->fwp) == FWP_DEAD))
		core->has_deceased = core->is_stopped = true;
	if (EOS_LIKELY(!core->is_kicked))
		return fwp_engine_stopped_ns(core->engine);
	/* In its turn: who sends pays for what that takes. */
	serve(core);
	return eos_fast_clock_now(&core->clock);
}

static bool is_interrupted(void *ctx)
{
	const struct core *core = ctx;

	return core->is_stopped;
}

static const struct sched_core_ops ops = {
	.run = run_task, .preempt = preempt, .is_interrupted = is_interrupted, .now_ns = now_ns};
static const struct sched_core_ops counting_ops = {.run = run_and_count,
						   .preempt = preempt,
						   .is_interrupted = is_interrupted,
						   .now_ns = now_ns};

int core_init(struct core *core, const struct core_config *config, struct eos_why *why)
{
	struct fwp_engine_config engine_config = {.fwps_max = config->fwps_max};

	*core = (struct core){.serve = config->serve};
	eos_fast_clock_init(&core->clock);
	int err = fwp_engine_new(&engine_config, &core->engine, why);

	if (err < 0)
		return err;
	err = sched_core_new(NULL, config->counts_time ? &counting_ops : &ops, core, &core->sched,
			     why);
	if (err < 0)
		core->engine = fwp_engine_free(core->engine);
	return err;
}

void core_fini(struct core *core)
{
	core->sched = sched_core_free(core->sched);
	core->engine = fwp_engine_free(core->engine);
}

int core_add_tenant(struct core *core, struct sched_server *tenant, uint64_t budget_ns,
		    uint64_t period_ns, struct eos_why *why)
{
	struct sched_server_config config = {.budget_ns = budget_ns, .period_ns = period_ns};

	return sched_server_init(tenant, core->sched, NULL, &config, why);
}

int core_add(struct core *core, struct core_fwp *member, struct fwp_image *image,
	     struct sched_server *tenant, unsigned task_class, struct eos_why *why)
{
	*member = (struct core_fwp){.core = core};
	int err = fwp_new(core->engine, image, NULL, member, &member->fwp, why);

	if (err < 0)
		return err;
	sched_task_init(&member->task, tenant, task_class, UINT64_MAX);
	sched_task_wake(&member->task);
	return 0;
}

void core_remove(struct core_fwp *member)
{
	if (member->fwp == NULL)
		return;
	sched_task_fini(&member->task);
	member->fwp = fwp_free(member->fwp);
}

int core_run(struct core *core, uint64_t end_ns, struct eos_why *why)
{
	core->is_stopped = false;
	while (!core->is_stopped && eos_now_ns() < end_ns) {
		serve(core);
		(void)sched_core_run(core->sched, end_ns);
	}
	return core->has_deceased ? eos_why(why, -EIO, "a guest ended, which should not") : 0;
}
