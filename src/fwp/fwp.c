/*
 * The life of an FWP.
 *
 *	          fwp_new()       fwp_run_until()       fwp_block()
 *	(pool) ──────────────► READY ◄──────► RUNNING ◄────────────► BLOCKED
 *	  ▲                      │  fwp_yield()  │   fwp_run_until()    │
 *	  │ fwp_free()           │ fwp_kill()    │ fwp_finish()         │ fwp_kill()
 *	  └─────────────────── DEAD ◄────────────┴──────────────────────┘
 *
 * A place in the pool is DEAD too. `allowed` is that picture as a table; move() is the only
 * function that changes a state, checks the table, and notes the time; fwp_place_init() gives the
 * first.
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

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/counter.h"

EOS_COUNTER(created, "fwp.created_total", "Featherweight processes made.");
EOS_COUNTER(exits, "fwp.exits_total", "Featherweight processes that exited.");
EOS_COUNTER(traps, "fwp.traps_total", "Featherweight processes that died of a trap.");
EOS_COUNTER(timeouts, "fwp.timeouts_total", "Featherweight processes that ran out of time.");
EOS_COUNTER(kills, "fwp.kills_total", "Featherweight processes that were killed.");

/* Whoever gets the processor gets on, also when his slice was over before. */
#define SLICE_NS_MIN (10 * EOS_NS_PER_US)

const struct fwp_limits fwp_limits_default = {
	.memory_bytes = 64u << 20,
	.stack_bytes = 256u << 10,
	.timeout_ns = 0,
};

const struct fwp_death fwp_death_no_timer = {
	.kind = FWP_DEATH_KILLED,
	.text = "the host has no timer for it",
};

/* Starts after which the counters are brought up to date at the latest. */
#define COUNTS_MAX 1024u

#define PREFETCH_LINE	     64u
#define PREFETCH_STACK_BYTES 512u

#define TO(state) (1u << (state))
static const uint8_t allowed[] = {
	[FWP_READY] = TO(FWP_RUNNING) | TO(FWP_DEAD),
	[FWP_RUNNING] = TO(FWP_READY) | TO(FWP_BLOCKED) | TO(FWP_DEAD),
	[FWP_BLOCKED] = TO(FWP_RUNNING) | TO(FWP_DEAD),
	[FWP_DEAD] = TO(FWP_READY),
};

/* Inline, as stop() is: they are part of each switch. */
static inline __attribute__((always_inline)) void move(struct fwp *fwp, enum fwp_state to)
{
	EOS_ASSERT((allowed[fwp->state] & TO(to)) != 0);
	fwp->state = (uint8_t)to;
	fwp->history[fwp->changes++ % FWP_HISTORY_MAX] =
		(struct fwp_change){fwp->engine->now_ns, to};
}

/* From RUNNING, on its stack: the time is read. */
static inline __attribute__((always_inline)) void stop(struct fwp *fwp, enum fwp_state to)
{
	struct fwp_engine *engine = fwp->engine;
	engine->now_ns = eos_fast_clock_now(&engine->clock);
	move(fwp, to);
}

void fwp_place_init(struct fwp *fwp)
{
	fwp->state = FWP_DEAD;
}

const char *fwp_state_text(enum fwp_state state)
{
	static const char *const texts[] = {
		[FWP_READY] = "ready",
		[FWP_RUNNING] = "running",
		[FWP_BLOCKED] = "blocked",
		[FWP_DEAD] = "dead",
	};
	return (unsigned)state < EOS_ARRAY_SIZE(texts) ? texts[state] : "?";
}

static void count_death(const struct fwp *fwp)
{
	fwp->engine->counts.deaths[fwp->death.kind]++;
}

void fwp_engine_count(struct fwp_engine *engine)
{
	struct eos_counter *const counters[FWP_DEATH_KINDS] = {
		[FWP_DEATH_EXIT] = &exits,
		[FWP_DEATH_TRAP] = &traps,
		[FWP_DEATH_TIMEOUT] = &timeouts,
		[FWP_DEATH_KILLED] = &kills,
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(counters); i++) {
		eos_counter_add(counters[i], engine->counts.deaths[i]);
		engine->counts.deaths[i] = 0;
	}
	eos_counter_add(&created, engine->counts.created);
	engine->counts.created = 0;
}

static int check_limits(uint64_t memory_bytes, const struct fwp_limits *limits, struct eos_why *why)
{
	uint64_t memory_max = (uint64_t)FWP_MEMORY_PAGES_MAX * FWP_PAGE_SIZE;
	if (EOS_UNLIKELY(limits->memory_bytes > memory_max))
		return eos_why(why, -EINVAL, "a memory limit of %llu bytes is beyond %llu",
			       (unsigned long long)limits->memory_bytes,
			       (unsigned long long)memory_max);
	if (EOS_UNLIKELY(limits->stack_bytes < FWP_STACK_BYTES_MIN ||
			 limits->stack_bytes > FWP_STACK_BYTES_MAX))
		return eos_why(why, -EINVAL, "a stack limit of %llu bytes is not between %u and %u",
			       (unsigned long long)limits->stack_bytes, FWP_STACK_BYTES_MIN,
			       FWP_STACK_BYTES_MAX);
	if (EOS_UNLIKELY(memory_bytes > limits->memory_bytes))
		return eos_why(why, -EINVAL,
			       "it needs %llu bytes of memory to start, but its limit is %llu",
			       (unsigned long long)memory_bytes,
			       (unsigned long long)limits->memory_bytes);
	return 0;
}

int fwp_place_take(struct fwp_pool *pool, uint64_t memory_bytes, const struct fwp_limits **limits,
		   struct fwp **ret_place, struct eos_why *why)
{
	if (*limits == NULL)
		*limits = &fwp_limits_default;
	int err = check_limits(memory_bytes, *limits, why);
	if (err == 0)
		err = fwp_pool_take(pool, ret_place, why);
	if (err < 0)
		return err;
	err = fwp_slot_prepare(&(*ret_place)->slot, (*limits)->stack_bytes, memory_bytes);
	if (err == 0)
		return 0;
	fwp_pool_give(*ret_place);
	return eos_why(why, err, "no memory for a featherweight process");
}

void fwp_place_start(struct fwp *fwp, struct fwp_image *image, const struct fwp_limits *limits,
		     void *context)
{
	fwp->id = fwp->engine->next_id++;
	fwp->template = NULL;
	fwp->image = image;
	fwp->user = context;
	fwp->entry = NULL;
	fwp->on_return = NULL;
	fwp->timeout_ns = limits->timeout_ns;
	fwp->host_calls_per_s = limits->host_calls_per_s;
	fwp->deadline_ns = UINT64_MAX;
	fwp->frame = NULL;
	fwp->instance = NULL;
	fwp->context = (struct sched_context){0};
	atomic_store_explicit(&fwp->memory_bytes, 0, memory_order_relaxed);
	fwp->memory_pages_max = (uint32_t)(limits->memory_bytes / FWP_PAGE_SIZE);
	fwp->has_memory = false;
	fwp->is_initialising = false;
	fwp->arena_used = 0;
	fwp->changes = 0;
	fwp->rate_from_ns = 0;
	fwp->resume_ns = UINT64_MAX;
	/* The first call asks for the clock. */
	fwp->host_calls_left = limits->host_calls_per_s > 0 ? 0 : UINT32_MAX;
	atomic_store_explicit(&fwp->in_host, true, memory_order_relaxed);
	atomic_store_explicit(&fwp->pending, 0, memory_order_relaxed);
	move(fwp, FWP_READY);
	if (EOS_UNLIKELY(++fwp->engine->counts.created == COUNTS_MAX))
		fwp_engine_count(fwp->engine);
}

int fwp_new(struct fwp_engine *engine, struct fwp_image *image, const struct fwp_limits *limits,
	    void *context, struct fwp **ret_fwp, struct eos_why *why)
{
	if (image->start == NULL)
		return eos_why(why, -EINVAL, "it does not export a function \"_start\"");
	return fwp_new_with_entry(engine, image, limits, context, NULL, ret_fwp, why);
}

int fwp_new_with_entry(struct fwp_engine *engine, struct fwp_image *image,
		       const struct fwp_limits *limits, void *context,
		       void (*entry)(struct fwp *fwp, void *instance), struct fwp **ret_fwp,
		       struct eos_why *why)
{
	uint64_t memory_bytes = (uint64_t)image->memory_pages_initial * FWP_PAGE_SIZE;
	struct fwp *fwp;
	int err = fwp_place_take(&engine->plain, memory_bytes, &limits, &fwp, why);
	if (err < 0)
		return err;
	fwp_place_start(fwp, fwp_image_ref(image), limits, context);
	fwp->entry = entry;
	*ret_fwp = fwp;
	return 0;
}

struct fwp *fwp_free(struct fwp *fwp)
{
	if (fwp == NULL)
		return NULL;
	EOS_ASSERT(fwp->state != FWP_RUNNING && fwp->image != NULL);
	if (fwp->state != FWP_DEAD)
		move(fwp, FWP_DEAD);
	sched_context_fini(&fwp->context);
	if (fwp->is_initialising) {
		free(fwp->notes);
		fwp->notes = NULL;
	}
	struct fwp_image *image = fwp->image;
	struct fwp_template *template = fwp->template;
	fwp->image = NULL;
	fwp->template = NULL;
	fwp_pool_give(fwp);
	/* Last: without references a template gives up its places, of which this is one. */
	if (template != NULL)
		fwp_template_unref(template);
	else
		fwp_image_unref(image);
	return NULL;
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
	slot->is_dirty = true;
	sched_context_init(&fwp->context, slot->stack_low,
			   (size_t)(slot->stack_top - slot->stack_low), guest_main, fwp);
	if (fwp->timeout_ns == 0)
		return;
	fwp->deadline_ns = now + EOS_MIN(fwp->timeout_ns, UINT64_MAX - 1 - now);
}

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
	count_death(fwp);
	move(fwp, FWP_DEAD);
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
	if (fwp->context.sp == NULL) {
		start(fwp, engine->now_ns);
	} else if (EOS_UNLIKELY(engine->now_ns >= fwp->deadline_ns)) {
		fwp_kill(fwp, FWP_DEATH_TIMEOUT, "timed out");
		return false;
	}
	move(fwp, FWP_RUNNING);
	fwp->end_ns = EOS_MIN(fwp->deadline_ns, end_ns);
	fwp->resume_ns = UINT64_MAX;
	atomic_store_explicit(&engine->current, fwp, memory_order_relaxed);
	if (fwp->end_ns == UINT64_MAX || EOS_LIKELY(watch(engine, fwp->end_ns) == 0))
		return true;
	end_unwatched(fwp);
	return false;
}

static struct fwp *run(struct fwp *fwp, uint64_t end_ns)
{
	struct fwp_engine *engine = fwp->engine;
	EOS_ASSERT(engine == fwp_engine_here);
	EOS_ASSERT(atomic_load_explicit(&engine->current, memory_order_relaxed) == NULL);
	if (prepare_run(fwp, end_ns))
		sched_switch(&engine->context, &fwp->context);
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
	count_death(fwp);
	stop(fwp, FWP_DEAD);
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
	return prepare_run(turn.fwp, turn.end_ns) ? &turn.fwp->context : &engine->context;
}

/* Leaves the processor; returns when it has it again. Inline for the reason in sched_switch(). */
static inline __attribute__((always_inline)) void leave(struct fwp *fwp, enum fwp_state to)
{
	stop(fwp, to);
	struct sched_context *next = next_context(fwp);
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

void fwp_kill(struct fwp *fwp, enum fwp_death_kind kind, const char *text)
{
	EOS_ASSERT(fwp->state == FWP_READY || fwp->state == FWP_BLOCKED);
	fwp->death = (struct fwp_death){.kind = kind, .text = text};
	count_death(fwp);
	move(fwp, FWP_DEAD);
}

void fwp_set_on_return(struct fwp *fwp, void (*fn)(struct fwp *fwp))
{
	EOS_ASSERT(fwp->state != FWP_RUNNING);
	fwp->on_return = fn;
}

enum fwp_state fwp_state(const struct fwp *fwp)
{
	return (enum fwp_state)fwp->state;
}

const struct fwp_death *fwp_death(const struct fwp *fwp)
{
	EOS_ASSERT(fwp->state == FWP_DEAD);
	return &fwp->death;
}

uint64_t fwp_deadline_ns(const struct fwp *fwp)
{
	return fwp->deadline_ns;
}

uint64_t fwp_resume_ns(const struct fwp *fwp)
{
	return fwp->resume_ns;
}

uint64_t fwp_memory_bytes(const struct fwp *fwp)
{
	return atomic_load_explicit(&fwp->memory_bytes, memory_order_relaxed);
}

struct fwp_memory_view fwp_memory_view(struct fwp *fwp)
{
	fwp->slot.has_writers = true;
	return (struct fwp_memory_view){(uint8_t *)fwp->slot.memory, &fwp->memory_bytes};
}

const void *fwp_stack(const struct fwp *fwp)
{
	return fwp->slot.stack_top;
}

void fwp_prefetch(const struct fwp *fwp, const void *stack)
{
	const char *top = stack;
	__builtin_prefetch(&fwp->in_host, 1);
	__builtin_prefetch(&fwp->context, 1);
	__builtin_prefetch(&fwp->history[fwp->changes % FWP_HISTORY_MAX], 1);
	/* Where an FWP that waits in its entry has its frames. */
	for (size_t at = 2 * PREFETCH_LINE; at <= PREFETCH_STACK_BYTES; at += PREFETCH_LINE)
		__builtin_prefetch(top - at, 1);
}

void fwp_death_place(const struct fwp *fwp, char *out, size_t size)
{
	EOS_ASSERT(fwp->state == FWP_DEAD && size > 0);
	fwp_image_describe(fwp->image, fwp->death.pc, out, size);
}
