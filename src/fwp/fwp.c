/*
 * The life of an FWP.
 *
 *	          fwp_new()       fwp_run_until()       fwp_block()
 *	(pool) ──────────────► READY ◄──────► RUNNING ◄────────────► BLOCKED
 *	  ▲                      │  fwp_yield()  │   fwp_run_until()    │
 *	  │ fwp_free()           │ fwp_kill()    │ fwp_finish()         │ fwp_kill()
 *	  └─────────────────── DEAD ◄────────────┴──────────────────────┘
 *
 * A place in the pool is DEAD too. fwp_states_allowed is that picture as a table; fwp_move() is the
 * only function that changes a state, checks the table, and notes the time; fwp_place_init() gives
 * the first. What happens between RUNNING and the others is in fwp_run.c.
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

#define TO(state) (1u << (state))
const uint8_t fwp_states_allowed[] = {
	[FWP_READY] = TO(FWP_RUNNING) | TO(FWP_DEAD),
	[FWP_RUNNING] = TO(FWP_READY) | TO(FWP_BLOCKED) | TO(FWP_DEAD),
	[FWP_BLOCKED] = TO(FWP_RUNNING) | TO(FWP_DEAD),
	[FWP_DEAD] = TO(FWP_READY),
};

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

void fwp_count_death(const struct fwp *fwp)
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
		   bool has_stack, struct fwp **ret_place, struct eos_why *why)
{
	if (*limits == NULL)
		*limits = &fwp_limits_default;
	int err = check_limits(memory_bytes, *limits, why);
	if (err == 0)
		err = fwp_pool_take(pool, ret_place, why);
	if (err < 0)
		return err;
	err = fwp_slot_prepare(&(*ret_place)->slot, has_stack ? (*limits)->stack_bytes : 0,
			       memory_bytes);
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
	fwp->is_for_turns = false;
	fwp->has_started = false;
	fwp->arena_used = 0;
	fwp->rate_from_ns = 0;
	fwp->resume_ns = UINT64_MAX;
	/* The first call asks for the clock. */
	fwp->host_calls_left = limits->host_calls_per_s > 0 ? 0 : UINT32_MAX;
	atomic_store_explicit(&fwp->in_host, true, memory_order_relaxed);
	atomic_store_explicit(&fwp->pending, 0, memory_order_relaxed);
	fwp_move(fwp, FWP_READY);
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
	int err = fwp_place_take(&engine->plain, memory_bytes, &limits, true, &fwp, why);
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
		fwp_move(fwp, FWP_DEAD);
	if (fwp->is_for_turns)
		fwp_turns_leave(fwp);
	else
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

void fwp_kill(struct fwp *fwp, enum fwp_death_kind kind, const char *text)
{
	EOS_ASSERT(fwp->state == FWP_READY || fwp->state == FWP_BLOCKED);
	fwp->death = (struct fwp_death){.kind = kind, .text = text};
	fwp_count_death(fwp);
	fwp_move(fwp, FWP_DEAD);
	if (fwp->is_for_turns)
		fwp_turns_leave(fwp);
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

void fwp_prefetch(const struct fwp *fwp)
{
	__builtin_prefetch(&fwp->in_host, 1);
	__builtin_prefetch(&fwp->context, 1);
}

void fwp_death_place(const struct fwp *fwp, char *out, size_t size)
{
	EOS_ASSERT(fwp->state == FWP_DEAD && size > 0);
	fwp_image_describe(fwp->image, fwp->death.pc, out, size);
}
