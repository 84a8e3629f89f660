/*
 * How FWPs get the processor and leave it.
 *
 * An FWP has a stack of its own, and is continued by a switch to it. Those for turns have none: all
 * of an engine's use one stack (fwp_turns.c), on which serve_turns() calls them one after the
 * other. So between two of them there is no switch at all, and what they touch of a stack is in the
 * cache. One that is interrupted in its turn is suspended on that stack, which is his alone until
 * he is done or dead.
 *
 * Invariants
 * 1. engine->current is the FWP whose stack the thread is on, or about to be; NULL otherwise. While
 *    an FWP that stopped looks for the next one on its own stack, it is still the one that stopped.
 * 2. in_host is false only while guest code runs. It is set before the FWP's stack is left, so a
 *    signal handler that finds it false, with the stack pointer in the FWP's stack, has interrupted
 *    guest code (or one of the C library's functions that guests may call) and may end it there, or
 *    take the processor from it (fwp_preempted()).
 * 3. Each death takes the same way out: fwp->death is written, then fwp_finish() runs at the top of
 *    the FWP's stack, where it has room however the guest left the stack. A signal handler gets
 *    there by changing the registers to which it returns: no longjmp out of a handler, and the
 *    signal mask is restored by the kernel.
 */
#include "fwp/fwp_priv.h"

#include "base/assert.h"
#include "base/clock.h"

/* Whoever gets the processor gets on, also when his slice was over before. */
#define SLICE_NS_MIN (10 * EOS_NS_PER_US)

/* From RUNNING, on its stack: the time is read. Inline, as it is part of each switch. */
static inline __attribute__((always_inline)) void stop(struct fwp *fwp, enum fwp_state to)
{
	struct fwp_engine *engine = fwp->engine;
	engine->now_ns = eos_fast_clock_now(&engine->clock);
	fwp_move(fwp, to);
}

/* Calls an export that the image may not have. On the FWP's stack, as the host. */
static void call_export(struct fwp *fwp, void (*function)(void *instance))
{
	if (function == NULL)
		return;
	fwp_host_leave(fwp);
	function(fwp->instance);
	fwp_host_enter(fwp);
}

/* Makes the instance of an FWP that has no template, and runs what a template is made of. */
static void make_instance(struct fwp *fwp)
{
	const struct image_exports *exports = &fwp->image->exports;
	/* The first in the arena: it ends where the memory starts, as image_abi.h wants it. */
	fwp->instance = fwp_arena_allocate(fwp, exports->instance_size);
	fwp_host_leave(fwp);
	exports->instantiate(fwp->instance, fwp);
	fwp_host_enter(fwp);
	if (!fwp->is_initialising)
		return;
	call_export(fwp, fwp->image->initialize);
	call_export(fwp, fwp->image->edgeos_init);
	fwp_exit(fwp, 0);
}

/* The first function on an FWP's stack. */
static void guest_main(void *arg)
{
	struct fwp *fwp = arg;
	if (fwp->instance == NULL)
		make_instance(fwp);
	if (fwp->entry == NULL)
		call_export(fwp, fwp->image->start);
	else
		fwp->entry(fwp, fwp->instance);
	if (fwp->on_return != NULL)
		fwp->on_return(fwp);
	fwp_exit(fwp, 0);
}

static void start(struct fwp *fwp, uint64_t now)
{
	struct fwp_slot *slot = &fwp->slot;
	fwp->has_started = true;
	slot->is_dirty = true;
	if (!fwp->is_for_turns)
		sched_context_init(&fwp->context, slot->stack_low,
				   (size_t)(slot->stack_top - slot->stack_low), guest_main, fwp);
	if (fwp->timeout_ns == 0)
		return;
	fwp->deadline_ns = now + EOS_MIN(fwp->timeout_ns, UINT64_MAX - 1 - now);
}

static void serve_turns(void *engine);

/* Arms the timer unless it comes early enough. CURRENT was set before: if the timer comes between
 * the two, its handler sees the FWP and arms it again, so the time read here is never stale. */
static int watch(struct fwp_engine *engine, uint64_t end_ns)
{
	atomic_signal_fence(memory_order_seq_cst);
	if (end_ns >= atomic_load_explicit(&engine->armed_ns, memory_order_relaxed))
		return 0;
	return fwp_engine_arm(engine, EOS_MAX(end_ns, engine->now_ns + SLICE_NS_MIN));
}

/* Nothing would take the processor from it: it does not get it. */
static void __attribute__((noinline)) end_unwatched(struct fwp *fwp)
{
	atomic_store_explicit(&fwp->engine->current, NULL, memory_order_relaxed);
	fwp->death = fwp_death_no_timer;
	fwp_count_death(fwp);
	fwp_move(fwp, FWP_DEAD);
	/* It may be in the middle of a turn. */
	if (fwp->is_for_turns)
		fwp_turns_leave(fwp);
}

void fwp_engine_shorten(struct fwp_engine *engine, uint64_t end_ns)
{
	struct fwp *fwp = atomic_load_explicit(&engine->current, memory_order_relaxed);
	if (fwp == NULL || fwp->end_ns <= end_ns)
		return;
	fwp->end_ns = end_ns;
	/* Then it is over when it leaves this host function. */
	if (watch(engine, end_ns) < 0)
		fwp_engine_preempt(engine);
}

void fwp_engine_set_now(struct fwp_engine *engine, uint64_t now_ns)
{
	engine->now_ns = now_ns;
	engine->is_now_set = true;
}

uint64_t fwp_engine_stopped_ns(const struct fwp_engine *engine)
{
	return engine->now_ns;
}

/* Everything but the switch. False: it is dead, as it may not run. */
static inline __attribute__((always_inline)) bool prepare_run(struct fwp *fwp, uint64_t end_ns)
{
	struct fwp_engine *engine = fwp->engine;
	EOS_ASSERT(fwp->state == FWP_READY || fwp->state == FWP_BLOCKED);
	engine->last = fwp;
	if (!engine->is_now_set)
		engine->now_ns = eos_fast_clock_now(&engine->clock);
	engine->is_now_set = false;
	if (!fwp->has_started) {
		start(fwp, engine->now_ns);
	} else if (EOS_UNLIKELY(engine->now_ns >= fwp->deadline_ns)) {
		fwp_kill(fwp, FWP_DEATH_TIMEOUT, "timed out");
		return false;
	}
	fwp_move(fwp, FWP_RUNNING);
	fwp->end_ns = EOS_MIN(fwp->deadline_ns, end_ns);
	fwp->resume_ns = UINT64_MAX;
	atomic_store_explicit(&engine->current, fwp, memory_order_relaxed);
	if (fwp->end_ns == UINT64_MAX || EOS_LIKELY(watch(engine, fwp->end_ns) == 0))
		return true;
	end_unwatched(fwp);
	return false;
}

/* Where an FWP that may run goes on. */
static inline __attribute__((always_inline)) struct sched_context *context_of(struct fwp *fwp)
{
	struct fwp_engine *engine = fwp->engine;
	if (!fwp->is_for_turns || fwp == engine->turns.user)
		return &fwp->context;
	/* Whoever is in the middle of a turn has the stack. */
	EOS_ASSERT(engine->turns.user == NULL);
	if (EOS_UNLIKELY(engine->turns.context.sp == NULL))
		fwp_turns_begin(engine, serve_turns);
	return &engine->turns.context;
}

static struct fwp *run(struct fwp *fwp, uint64_t end_ns)
{
	struct fwp_engine *engine = fwp->engine;
	EOS_ASSERT(engine == fwp_engine_here);
	EOS_ASSERT(atomic_load_explicit(&engine->current, memory_order_relaxed) == NULL);
	if (prepare_run(fwp, end_ns))
		sched_switch(&engine->context, context_of(fwp));
	atomic_store_explicit(&engine->current, NULL, memory_order_relaxed);
	fwp = engine->last;
	if (fwp->state == FWP_DEAD && fwp->template != NULL)
		fwp_pool_warm(&fwp->template->pool);
	return fwp;
}

enum fwp_state fwp_run_until(struct fwp *fwp, uint64_t end_ns)
{
	fwp->engine->next = NULL;
	return (enum fwp_state)run(fwp, end_ns)->state;
}

struct fwp *fwp_run_turns(struct fwp *fwp, uint64_t end_ns, fwp_next_fn next, void *ctx)
{
	fwp->engine->next = next;
	fwp->engine->next_ctx = ctx;
	return run(fwp, end_ns);
}

enum fwp_state fwp_run(struct fwp *fwp)
{
	enum fwp_state state;
	do {
		state = fwp_run_until(fwp, UINT64_MAX);
	} while (state == FWP_READY);
	return state;
}

void fwp_finish(void *arg)
{
	struct fwp *fwp = arg;
	atomic_store_explicit(&fwp->in_host, true, memory_order_relaxed);
	fwp_count_death(fwp);
	stop(fwp, FWP_DEAD);
	if (fwp->is_for_turns)
		fwp_turns_leave(fwp);
	sched_switch_final(&fwp->context, &fwp->engine->context);
}

void fwp_die(struct fwp *fwp, struct fwp_death death)
{
	fwp->death = death;
	sched_restart(&fwp->context, fwp_finish, fwp);
}

static void ask_next(void *engine_arg, void *fwp)
{
	struct fwp_engine *engine = engine_arg;
	engine->turn = engine->next(engine->next_ctx, fwp);
}

/* Who has the processor after FWP, which stopped: another FWP, itself, or the engine's thread. */
static inline __attribute__((always_inline)) struct sched_context *next_context(struct fwp *fwp)
{
	struct fwp_engine *engine = fwp->engine;
	if (engine->next == NULL)
		return &engine->context;
	sched_call_on(&engine->context, ask_next, engine, fwp);
	struct fwp_turn turn = engine->turn;
	if (turn.fwp == NULL)
		return &engine->context;
	EOS_ASSERT(turn.fwp->engine == engine);
	return prepare_run(turn.fwp, turn.end_ns) ? context_of(turn.fwp) : &engine->context;
}

/* The only function on the stack for turns: calls those who get the processor. */
static void serve_turns(void *arg)
{
	struct fwp_engine *engine = arg;
	struct sched_context *own = &engine->turns.context;
	for (;;) {
		struct fwp *fwp = atomic_load_explicit(&engine->current, memory_order_relaxed);
		engine->turns.user = fwp;
		fwp->entry(fwp, fwp->instance);
		engine->turns.user = NULL;
		stop(fwp, FWP_BLOCKED);
		struct sched_context *next = next_context(fwp);
		if (next != own)
			sched_switch(own, next);
	}
}

/* Leaves the processor; returns when it has it again. Inline for the reason in sched_switch(). */
static inline __attribute__((always_inline)) void leave(struct fwp *fwp, enum fwp_state to)
{
	stop(fwp, to);
	struct sched_context *next = next_context(fwp);
#if SCHED_TSAN
	if (fwp->is_for_turns)
		fwp->context.sanitizer = fwp->engine->turns.context.sanitizer;
#endif
	if (next != &fwp->context)
		sched_switch(&fwp->context, next);
}

void fwp_block(struct fwp *fwp)
{
	leave(fwp, FWP_BLOCKED);
}

void fwp_yield(struct fwp *fwp)
{
	leave(fwp, FWP_READY);
}

void fwp_block_leave(struct fwp *fwp)
{
	leave(fwp, FWP_BLOCKED);
	fwp_host_leave_now(fwp);
}

void fwp_yield_leave(struct fwp *fwp)
{
	leave(fwp, FWP_READY);
	fwp_host_leave_now(fwp);
}

void fwp_preempted(void *arg)
{
	fwp_yield_leave(arg);
}
