/*
 * A call's turns. The first makes its FWP; while the function has no template it is the one that
 * runs the initialisation, or it waits for who does (cell_template.c). All others only continue it.
 */
#include "cell/cell_priv.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/counter.h"

EOS_COUNTER(throttled_total, "cell.calls_throttled_total",
	    "Times that a call had to wait because of its host-call rate.")

static struct cell_call *call_of(struct cell_task *task)
{
	return EOS_CONTAINER_OF(task, struct cell_call, task);
}

static bool is_initialiser(const struct cell_call *call)
{
	return call->function->initialiser == call;
}

/* The FWP of a call whose function is initialised. */
static int make_fwp(struct cell_call *call, struct eos_why *why)
{
	uint64_t now_ns = sched_core_now_ns(call->cell->core);
	if (call->deadline_ns != UINT64_MAX)
		call->limits.timeout_ns =
			call->deadline_ns > now_ns ? call->deadline_ns - now_ns : 1;
	cell_memory_note_use(call->cell, now_ns);
	int err =
		fwp_new_from(call->function->template, &call->limits, call->wasi, &call->fwp, why);
	if (err == 0)
		fwp_set_on_return(call->fwp, wasi_finish);
	return err;
}

/* The initialisation has run once more, and died or not. */
static enum sched_turn end_init_turn(struct cell_call *call, uint64_t ran_ns)
{
	struct eos_why why = {""};
	bool is_dead = fwp_state(call->fwp) == FWP_DEAD;
	int err = cell_template_charge(call, ran_ns, &why);
	if (err == 0 && is_dead) {
		cell_call_move(call, CELL_CALL_READY);
		err = cell_template_capture(call, &why);
	}
	if (err < 0) {
		if (!is_dead)
			fwp_kill(call->fwp, FWP_DEATH_KILLED, "ended by the cell");
		cell_template_fail(call, err, &why);
		return SCHED_TURN_GONE;
	}
	return is_dead || call->state == CELL_CALL_READY ? SCHED_TURN_AGAIN : SCHED_TURN_GONE;
}

/* What the FWP's turn means for the state of the call. */
static void note_turn(struct cell_call *call, enum fwp_state state)
{
	if (state == FWP_READY) {
		cell_call_move(call, CELL_CALL_READY);
	} else if (state == FWP_BLOCKED && call->state == CELL_CALL_RUNNING) {
		/* Not by us: it makes more host calls than it may. */
		uint64_t resume_ns = fwp_resume_ns(call->fwp);
		EOS_ASSERT(resume_ns != UINT64_MAX);
		eos_counter_add(&throttled_total, 1);
		sched_timer_set(call->cell->core, &call->wake_timer, resume_ns);
		cell_call_move(call, CELL_CALL_SLEEPS);
	}
}

/* Makes the FWP at the call's first turn. False: the call waits, or has ended. */
static bool begin(struct cell_call *call)
{
	struct eos_why why = {""};
	if (call->fwp != NULL)
		return true;
	bool is_made = call->function->template != NULL;
	bool stays = call->function->stays;
	int err = !is_made ? cell_template_join(call, &why)
		  : stays  ? cell_resident_join(call, &why)
			   : make_fwp(call, &why);
	if (err < 0)
		cell_call_refuse(call, err, &why);
	/* A call that joined may have its answer already, and be gone. */
	return err == 0 && !(is_made && stays) && call->state == CELL_CALL_READY;
}

static enum sched_turn run_initialiser(struct cell_call *call, uint64_t slice_end_ns)
{
	uint64_t start_ns = eos_now_ns();
	slice_end_ns = cell_template_slice(call, slice_end_ns);
	cell_call_move(call, CELL_CALL_RUNNING);
	note_turn(call, fwp_run_until(call->fwp, slice_end_ns));
	return end_init_turn(call, eos_now_ns() - start_ns);
}

static enum sched_turn run(struct cell_task *task, uint64_t slice_end_ns)
{
	struct cell_call *call = call_of(task);
	EOS_ASSERT(call->state == CELL_CALL_READY);
	if (!begin(call))
		return SCHED_TURN_GONE;
	if (is_initialiser(call))
		return run_initialiser(call, slice_end_ns);
	cell_call_move(call, CELL_CALL_RUNNING);
	task = cell_run_turns(call->cell, task, call->fwp, slice_end_ns);
	if (task == NULL)
		return SCHED_TURN_OVER;
	/* Perhaps another than ours. */
	call = call_of(task);
	cell_call_note_death(call, call->fwp);
	cell_call_end(call);
	return SCHED_TURN_GONE;
}

static struct fwp *resume(struct cell_task *task)
{
	struct cell_call *call = call_of(task);
	if (call->fwp == NULL || is_initialiser(call))
		return NULL;
	cell_call_move(call, CELL_CALL_RUNNING);
	return call->fwp;
}

static enum sched_turn stopped(struct cell_task *task)
{
	struct cell_call *call = call_of(task);
	enum fwp_state state = fwp_state(call->fwp);
	note_turn(call, state);
	return state == FWP_READY ? SCHED_TURN_AGAIN : SCHED_TURN_GONE;
}

void cell_call_set_turns(struct cell_call *call)
{
	call->task.run = run;
	call->task.resume = resume;
	call->task.stopped = stopped;
}
