/*
 * Templates: a function's calls start from the memory that its initialisation left.
 *
 * A function without a template gets it from its first call, which becomes the initialiser: in its
 * turns it runs the initialisation, as an FWP of its own, and then itself. Other calls of the
 * function wait for that, in function->waiting. What the initialisation costs is charged to the
 * function like everything else its calls do; its running time is limited by the cell's settings,
 * its waiting by the deadline of the initialiser.
 *
 *     no template ──first call──► initialiser runs ──exit 0──► template
 *          ▲                          │
 *          └── fails, or the call ends ◄┘
 *
 * When the initialisation fails, the initialiser and those that wait end as not started, by the
 * fault of the function; the next call tries again. When the initialiser is ended for another
 * reason, one of those that wait takes its place.
 *
 * The initialisation sees the function's name as its argument, but no environment, no files and no
 * input: what is in them belongs to one call, and must not be found in the memory of another.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/counter.h"
#include "cell/cell_priv.h"

EOS_COUNTER(templates_total, "cell.templates_total", "Initialisations of functions that succeeded.")
EOS_COUNTER(failed_total, "cell.templates_failed_total",
	    "Initialisations of functions that failed.")

static int start(struct cell_call *call, struct eos_why *why)
{
	struct cell_function *function = call->function;
	struct cell *cell = call->cell;
	const char *argv[1] = {function->name};
	struct fwp_limits limits = {
		.memory_bytes = call->limits.memory_bytes,
		.stack_bytes = call->limits.stack_bytes,
	};
	EOS_ASSERT(call->init_wasi == NULL);
	int err = wasi_new(argv, 1, NULL, 0, &call->init_wasi);
	if (err < 0)
		return err;
	wasi_set_host_ops(call->init_wasi, &cell_call_host_ops, call);
	err = fwp_new_for_template(cell->engine, function->image, &limits, call->init_wasi,
				   &call->fwp, why);
	if (err < 0) {
		call->init_wasi = wasi_free(call->init_wasi);
		return err;
	}
	call->init_left_ns = cell->init_timeout_ns;
	function->initialiser = call;
	return 0;
}

int cell_template_join(struct cell_call *call, struct eos_why *why)
{
	struct cell_function *function = call->function;
	EOS_ASSERT(function->template == NULL && call->state == CELL_CALL_READY);
	if (function->initialiser == NULL)
		return start(call, why);
	cell_call_move(call, CELL_CALL_RUNNING);
	cell_call_move(call, CELL_CALL_WAITS_TEMPLATE);
	return 0;
}

uint64_t cell_template_slice(const struct cell_call *call, uint64_t slice_end_ns)
{
	return EOS_MIN(slice_end_ns, eos_now_ns() + call->init_left_ns);
}

int cell_template_charge(struct cell_call *call, uint64_t ran_ns, struct eos_why *why)
{
	if (ran_ns < call->init_left_ns) {
		call->init_left_ns -= ran_ns;
		return 0;
	}
	return eos_why(why, -ETIMEDOUT, "its initialisation ran for longer than %.3f s",
		       (double)call->cell->init_timeout_ns / (double)EOS_NS_PER_S);
}

void cell_template_leave(struct cell_call *call)
{
	struct cell_function *function = call->function;
	if (function->initialiser != call)
		return;
	function->initialiser = NULL;
	call->fwp = fwp_free(call->fwp);
	call->init_wasi = wasi_free(call->init_wasi);
	EOS_LIST_FOR_EACH (link, &function->waiting) {
		cell_call_move(EOS_CONTAINER_OF(link, struct cell_call, link), CELL_CALL_READY);
	}
}

static int why_dead(const struct fwp_death *death, struct eos_why *why)
{
	if (death->kind == FWP_DEATH_EXIT)
		return eos_why(why, -EIO, "its initialisation ended with exit code %u",
			       death->code);
	if (death->kind == FWP_DEATH_TRAP)
		return eos_why(why, -EIO, "its initialisation failed: trap: %s", death->text);
	return eos_why(why, -EIO, "its initialisation failed: %s", death->text);
}

int cell_template_capture(struct cell_call *call, struct eos_why *why)
{
	struct cell_function *function = call->function;
	const struct fwp_death *death = fwp_death(call->fwp);
	EOS_ASSERT(function->initialiser == call && function->template == NULL);
	if (death->kind != FWP_DEATH_EXIT || death->code != 0)
		return why_dead(death, why);
	int err = fwp_template_capture(call->fwp, &function->template, why);
	if (err < 0)
		return err;
	eos_counter_add(&templates_total, 1);
	cell_template_leave(call);
	return 0;
}

void cell_template_fail(struct cell_call *call, int err, const struct eos_why *why)
{
	struct cell_function *function = call->function;
	enum link_fault fault = err == -ENOMEM ? LINK_FAULT_CELL : LINK_FAULT_FUNCTION;
	eos_counter_add(&failed_total, 1);
	/* Before the initialiser: it has the function, which the last call may take with it. */
	EOS_LIST_FOR_EACH (link, &function->waiting) {
		struct cell_call *waiting = EOS_CONTAINER_OF(link, struct cell_call, link);
		waiting->exit_code = fault;
		cell_call_refuse(waiting, err, why);
	}
	call->exit_code = fault;
	cell_call_refuse(call, err, why);
}
