/*
 * Turns: from the scheduler to the tasks, and from FWP to FWP.
 *
 * When an FWP stops, alive, its task says what that means, and the scheduler names the next. If
 * that one has only to be continued, the processor goes there at once; whoever must first be made,
 * or has more to do around its turn, gets it from the engine's thread.
 */
#include "cell/cell_priv.h"

#include "base/macros.h"

/* STOPPED is alive. */
static struct fwp_turn next_turn(void *ctx, struct fwp *stopped)
{
	(void)stopped;
	struct cell *cell = ctx;
	struct cell_turns *turns = &cell->turns;
	uint64_t slice_end_ns = 0;
	enum sched_turn how = turns->running->stopped(turns->running);
	struct sched_task *task = sched_core_next(cell->core, how, &slice_end_ns);
	turns->running = NULL;
	turns->is_over = true;
	if (task == NULL)
		return (struct fwp_turn){0};
	struct cell_task *next = EOS_CONTAINER_OF(task, struct cell_task, task);
	struct fwp *fwp = next->resume == NULL ? NULL : next->resume(next);
	if (fwp == NULL) {
		turns->next = next;
		turns->next_end_ns = slice_end_ns;
		return (struct fwp_turn){0};
	}
	turns->running = next;
	turns->is_over = false;
	fwp_engine_set_now(cell->engine, sched_core_now_ns(cell->core));
	return (struct fwp_turn){fwp, slice_end_ns};
}

struct cell_task *cell_run_turns(struct cell *cell, struct cell_task *task, struct fwp *fwp,
				 uint64_t slice_end_ns)
{
	struct cell_turns *turns = &cell->turns;
	turns->running = task;
	turns->is_over = false;
	fwp_engine_set_now(cell->engine, sched_core_now_ns(cell->core));
	(void)fwp_run_turns(fwp, slice_end_ns, next_turn, cell);
	return turns->is_over ? NULL : turns->running;
}

static enum sched_turn run_task(void *ctx, struct sched_task *sched_task, uint64_t slice_end_ns)
{
	struct cell *cell = ctx;
	struct cell_turns *turns = &cell->turns;
	struct cell_task *task = EOS_CONTAINER_OF(sched_task, struct cell_task, task);
	for (;;) {
		turns->next = NULL;
		enum sched_turn how = task->run(task, slice_end_ns);
		if (how != SCHED_TURN_OVER || turns->next == NULL)
			return how;
		task = turns->next;
		slice_end_ns = turns->next_end_ns;
	}
}

static void preempt(void *ctx)
{
	struct cell *cell = ctx;
	fwp_engine_preempt(cell->engine);
}

static void shorten(void *ctx, uint64_t slice_end_ns)
{
	struct cell *cell = ctx;
	fwp_engine_shorten(cell->engine, slice_end_ns);
}

bool cell_has_message(const struct cell *cell)
{
	return cell->err < 0 || (!cell->has_loaded && link_has_message(cell->link));
}

static bool is_interrupted(void *ctx)
{
	return cell_has_message(ctx);
}

const struct sched_core_ops cell_sched_ops = {
	.run = run_task,
	.preempt = preempt,
	.shorten = shorten,
	.is_interrupted = is_interrupted,
};
