/*
 * Places: where FWPs live, made once and used again.
 *
 *	       fwp_pool_take()                      fwp_pool_give()
 *	clean ────────────────► with an FWP ────────────────────► dirty
 *	  ▲                                                         │
 *	  └─────────────────────────────────────────────────────────┘
 *	     fwp_pool_maintain(), or fwp_pool_take() when none is clean
 *
 * A place belongs to the pool of one template, to which its slot is bound, or to the engine's plain
 * pool. A template's clean place is taken with a few stores: that is what makes a start cheap.
 * Places move between pools by being reset: to the plain pool when a template has more than
 * pool_high of them, and from there, or from another template when there are no more, to the one
 * that needs one.
 *
 * Cleaning is put off until fwp_engine_maintain() is called or a place is needed. The place used
 * last is taken first, as it is the one in the caches. When an FWP dies, the lines of the place
 * behind its own are fetched (fwp_pool_warm()), so that the next start does not wait for them.
 *
 * A place that cannot be cleaned is given up for good: better no slot than a dirty one.
 */
#include "fwp/fwp_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/counter.h"
#include "base/fault.h"
#include "base/pages.h"
#include "fwp/fwp_pages_priv.h"

#define CACHE_LINE	 64u
#define STACK_WARM_BYTES 256 /* what a start uses of the stack */
/* Beyond these the places' memory gets large pages. */
#define PLACES_FEW 1024u
/* So many are cleaned at a time when one is needed: all with one look at the page faults. */
#define CLEAN_MANY 8u

EOS_COUNTER(places_made, "fwp.slots_total", "Address-space reservations made.");
EOS_COUNTER(places_lost, "fwp.slots_lost_total", "Reservations that could not be cleaned.");
EOS_COUNTER(refused, "fwp.refused_total", "Featherweight processes refused at the limit.");

void fwp_pool_init(struct fwp_pool *pool, struct fwp_engine *engine,
		   const struct fwp_snapshot *snapshot)
{
	*pool = (struct fwp_pool){.engine = engine, .snapshot = snapshot};
	eos_list_init(&pool->dirty);
	eos_list_init(&pool->node);
	if (snapshot != NULL)
		eos_list_add_tail(&engine->pools, &pool->node);
}

int fwp_pool_reserve_places(struct fwp_engine *engine)
{
	void *places = NULL;
	int err = eos_fault("fwp.mmap");
	if (err == 0)
		err = eos_pages_reserve(engine->fwps_max * sizeof(struct fwp), &places);
	engine->places = places;
	return err;
}

/* Memory for a place, not cleared. There are never more than fwps_max. */
static struct fwp *take_memory(struct fwp_engine *engine)
{
	struct fwp *fwp = engine->places_free;
	if (fwp != NULL) {
		engine->places_free = fwp->next_clean;
		return fwp;
	}
	EOS_ASSERT(engine->places_taken < engine->fwps_max);
	if (engine->places_taken == PLACES_FEW)
		eos_pages_make_large(engine->places, engine->fwps_max * sizeof(struct fwp));
	return &engine->places[engine->places_taken++];
}

static void give_memory(struct fwp_engine *engine, struct fwp *fwp)
{
	fwp->next_clean = engine->places_free;
	engine->places_free = fwp;
}

static void free_place(struct fwp *fwp)
{
	eos_list_remove(&fwp->made_node);
	fwp->engine->made_count--;
	fwp_slot_unmap(&fwp->slot);
	give_memory(fwp->engine, fwp);
}

static void lose_place(struct fwp *fwp)
{
	free_place(fwp);
	eos_counter_add(&places_lost, 1);
}

/* A new place, which is in no list of a pool. */
static int make_place(struct fwp_engine *engine, struct fwp **ret_fwp, struct eos_why *why)
{
	struct fwp *fwp = take_memory(engine);
	memset(fwp, 0, sizeof(*fwp));
	int err = fwp_slot_map(&fwp->slot, engine->made_count, fwp);
	if (err < 0) {
		give_memory(engine, fwp);
		return eos_why(why, err,
			       "cannot reserve 8 GiB of addresses for a featherweight process "
			       "(is there a limit, ulimit -v?)");
	}
	fwp_place_init(fwp);
	eos_list_init(&fwp->node);
	eos_list_init(&fwp->dirty_node);
	fwp->engine = engine;
	fwp->pool = &engine->plain;
	eos_list_add_tail(&engine->made, &fwp->made_node);
	engine->made_count++;
	eos_counter_add(&places_made, 1);
	*ret_fwp = fwp;
	return 0;
}

static void add_clean(struct fwp *fwp, bool is_warm)
{
	struct fwp_pool *pool = fwp->pool;
	fwp->next_clean = pool->clean;
	pool->clean = fwp;
	fwp->is_warm = is_warm;
	pool->clean_count++;
	pool->warm_count += is_warm;
}

static struct fwp *take_clean(struct fwp_pool *pool)
{
	struct fwp *fwp = pool->clean;
	pool->clean = fwp->next_clean;
	pool->clean_count--;
	pool->warm_count -= fwp->is_warm;
	return fwp;
}

/* Not a prefetch: that is given up where the translation of the address is missing, which is most
 * of what this is for. */
__attribute__((no_sanitize("address"))) static void touch(const volatile char *address)
{
	(void)*address;
}

void fwp_pool_warm(const struct fwp_pool *pool)
{
	const struct fwp *next = pool->clean;
	if (next == NULL)
		return;
	for (size_t at = 0; at < offsetof(struct fwp, slot.low); at += CACHE_LINE)
		touch((const char *)next + at);
	/* It has none where nobody ran yet, or somebody for turns. */
	if (next->slot.stack_top - next->slot.stack_low >= STACK_WARM_BYTES)
		for (size_t at = CACHE_LINE; at <= STACK_WARM_BYTES; at += CACHE_LINE)
			touch(next->slot.stack_top - at);
	touch(next->slot.memory - 1);
}

static struct fwp *take_dirty(struct fwp_pool *pool)
{
	struct fwp *fwp = EOS_CONTAINER_OF(pool->dirty.next, struct fwp, node);
	eos_list_remove(&fwp->node);
	eos_list_remove(&fwp->dirty_node);
	pool->dirty_count--;
	return fwp;
}

/* To the plain pool, without adding it there. On failure the place is lost. */
static int reset_place(struct fwp *fwp)
{
	int err = fwp_slot_reset(&fwp->slot);
	if (err < 0) {
		lose_place(fwp);
		return err;
	}
	fwp->pool = &fwp->engine->plain;
	return 0;
}

static uint64_t count_faults(const struct fwp_engine *engine)
{
	return engine->counts_faults ? fwp_pages_faults() : FWP_PAGES_FAULTS_UNKNOWN;
}

/* Cleans a place that is in no list, in its pool, when the thread has had FAULTS page faults. On
 * failure the place is lost. */
static int clean_place(struct fwp *fwp, uint64_t faults, bool *ret_warm)
{
	*ret_warm = false;
	if (fwp->pool->snapshot == NULL)
		return reset_place(fwp);
	int err = fwp_slot_restore(&fwp->slot, fwp->engine->pagemap_fd, faults, ret_warm);
	if (err < 0)
		lose_place(fwp);
	return err;
}

/* A place of another template, which has no FWP, made plain; or NULL. */
static struct fwp *steal_place(struct fwp_engine *engine)
{
	EOS_LIST_FOR_EACH (node, &engine->pools) {
		struct fwp_pool *pool = EOS_CONTAINER_OF(node, struct fwp_pool, node);
		while (pool->clean_count + pool->dirty_count > 0) {
			struct fwp *fwp =
				pool->clean_count > 0 ? take_clean(pool) : take_dirty(pool);
			/* The next one is taken from another. */
			eos_list_remove(&pool->node);
			eos_list_add_tail(&engine->pools, &pool->node);
			if (reset_place(fwp) == 0)
				return fwp;
		}
	}
	return NULL;
}

/* A plain place in no list. */
static int find_plain(struct fwp_engine *engine, struct fwp **ret_fwp, struct eos_why *why)
{
	struct fwp_pool *plain = &engine->plain;
	if (plain->clean_count > 0) {
		*ret_fwp = take_clean(plain);
		return 0;
	}
	while (plain->dirty_count > 0) {
		struct fwp *fwp = take_dirty(plain);
		if (reset_place(fwp) < 0)
			continue;
		*ret_fwp = fwp;
		return 0;
	}
	if (engine->made_count >= engine->fwps_max) {
		*ret_fwp = steal_place(engine);
		if (*ret_fwp != NULL)
			return 0;
		/* All that there were are lost: then there is room for a new one. */
	}
	return make_place(engine, ret_fwp, why);
}

/* A place bound to POOL's template, in no list. */
static int bind_place(struct fwp_pool *pool, struct fwp **ret_fwp, struct eos_why *why)
{
	struct fwp *fwp = NULL;
	int err = find_plain(pool->engine, &fwp, why);
	if (err < 0)
		return err;
	err = fwp_slot_bind(&fwp->slot, pool->snapshot);
	if (err < 0) {
		/* What could not be mapped is nowhere: the place is as it was. */
		if (fwp->slot.snapshot == NULL || reset_place(fwp) == 0)
			add_clean(fwp, false);
		return eos_why(why, err, "no memory for a featherweight process");
	}
	fwp->pool = pool;
	*ret_fwp = fwp;
	return 0;
}

/* Cleans dirty places of POOL, at least one if there is one that can be cleaned. */
static void clean_some(struct fwp_pool *pool)
{
	uint64_t faults = count_faults(pool->engine);
	for (unsigned i = 0; pool->dirty_count > 0 && (i < CLEAN_MANY || pool->clean_count == 0);
	     i++) {
		struct fwp *fwp = take_dirty(pool);
		bool is_warm;
		if (clean_place(fwp, faults, &is_warm) == 0)
			add_clean(fwp, is_warm);
	}
}

int fwp_pool_take(struct fwp_pool *pool, struct fwp **ret_fwp, struct eos_why *why)
{
	struct fwp_engine *engine = pool->engine;
	struct fwp *fwp = NULL;
	EOS_ASSERT(engine == fwp_engine_here);
	if (EOS_UNLIKELY(engine->alive_count == engine->fwps_max)) {
		eos_counter_add(&refused, 1);
		return eos_why(why, -EAGAIN, "all %u featherweight processes are in use",
			       engine->fwps_max);
	}
	if (EOS_LIKELY(pool->clean_count > 0))
		fwp = take_clean(pool);
	if (fwp == NULL && pool->snapshot != NULL && pool->dirty_count > 0) {
		clean_some(pool);
		if (pool->clean_count > 0)
			fwp = take_clean(pool);
	}
	if (fwp == NULL) {
		int err = pool->snapshot != NULL ? bind_place(pool, &fwp, why)
						 : find_plain(engine, &fwp, why);
		if (err < 0)
			return err;
	}
	engine->alive_count++;
	engine->alive_max = EOS_MAX(engine->alive_max, engine->alive_count);
	*ret_fwp = fwp;
	return 0;
}

void fwp_pool_give(struct fwp *fwp)
{
	struct fwp_engine *engine = fwp->engine;
	struct fwp_pool *pool = fwp->pool;
	EOS_ASSERT(engine == fwp_engine_here && engine->alive_count > 0);
	engine->alive_count--;
	eos_list_add_tail(pool->dirty.next, &fwp->node);
	eos_list_add_tail(&engine->dirty, &fwp->dirty_node);
	pool->dirty_count++;
}

/* Cleans the place that has waited longest. */
static void clean_oldest(struct fwp_engine *engine)
{
	struct fwp *fwp = EOS_CONTAINER_OF(engine->dirty.next, struct fwp, dirty_node);
	struct fwp_pool *pool = fwp->pool;
	eos_list_remove(&fwp->node);
	eos_list_remove(&fwp->dirty_node);
	pool->dirty_count--;
	bool is_warm = false;
	bool is_enough = pool->snapshot != NULL && pool->clean_count >= engine->pool_high;
	int err = is_enough ? reset_place(fwp) : clean_place(fwp, count_faults(engine), &is_warm);
	if (err == 0)
		add_clean(fwp, is_warm);
}

bool fwp_pool_maintain(struct fwp_engine *engine)
{
	if (!eos_list_is_empty(&engine->dirty)) {
		clean_oldest(engine);
		return true;
	}
	EOS_LIST_FOR_EACH (node, &engine->pools) {
		struct fwp_pool *pool = EOS_CONTAINER_OF(node, struct fwp_pool, node);
		/* Not at the expense of others. */
		bool has_room =
			engine->plain.clean_count > 0 || engine->made_count < engine->fwps_max;
		if (pool->clean_count >= engine->pool_low || !has_room)
			continue;
		struct fwp *fwp = NULL;
		if (bind_place(pool, &fwp, NULL) < 0)
			return false; /* no memory: not now */
		add_clean(fwp, false);
		return true;
	}
	return false;
}

void fwp_pool_shrink(struct fwp_engine *engine)
{
	while (!eos_list_is_empty(&engine->dirty))
		clean_oldest(engine);
	EOS_LIST_FOR_EACH (node, &engine->pools) {
		struct fwp_pool *pool = EOS_CONTAINER_OF(node, struct fwp_pool, node);
		while (pool->clean_count > engine->pool_low)
			free_place(take_clean(pool));
	}
	while (engine->plain.clean_count > 0)
		free_place(take_clean(&engine->plain));
}

/* The slots are still bound, and are reset before somebody gets them: a template that had thousands
 * of places must not stop the core when it goes. */
void fwp_pool_fini(struct fwp_pool *pool)
{
	struct fwp_engine *engine = pool->engine;
	struct fwp_pool *plain = &engine->plain;
	eos_list_remove(&pool->node);
	while (pool->clean_count + pool->dirty_count > 0) {
		struct fwp *fwp = pool->clean_count > 0 ? take_clean(pool) : take_dirty(pool);
		fwp->pool = plain;
		eos_list_add_tail(&plain->dirty, &fwp->node);
		eos_list_add_tail(&engine->dirty, &fwp->dirty_node);
		plain->dirty_count++;
	}
}

void fwp_pool_free_places(struct fwp_engine *engine)
{
	EOS_LIST_FOR_EACH (node, &engine->made) {
		free_place(EOS_CONTAINER_OF(node, struct fwp, made_node));
	}
	eos_pages_release(engine->places, engine->fwps_max * sizeof(struct fwp));
	engine->places = NULL;
}
