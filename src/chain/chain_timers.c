/*
 * Guests' timers: for each FWP that ever set one its sixteen times, and the earliest of them as a
 * key in one heap for all.
 */
#include "base/assert.h"
#include "base/clock.h"
#include "chain/chain_priv.h"

static void queue_earliest(struct chains *chains, struct chain_timers *timers)
{
	uint64_t key = UINT64_MAX;
	if (sched_heap_has(&timers->node))
		sched_heap_remove(&chains->timers, &timers->node);
	for (uint32_t set = timers->set; set != 0; set &= set - 1)
		key = EOS_MIN(key, timers->due_ns[__builtin_ctz(set)]);
	if (timers->set != 0)
		sched_heap_add(&chains->timers, &timers->node, key);
}

static struct chain_timers *make_timers(struct chain_fwp *c)
{
	struct chain_timers *timers = chain_pool_take(&chain_chains(c)->timer_pool);
	EOS_ASSERT(timers != NULL); /* there are as many as FWPs */
	sched_heap_node_init(&timers->node);
	timers->owner = c;
	timers->set = 0;
	c->timers = timers;
	return timers;
}

void chain_timer_set(struct chain_fwp *c, uint32_t id, uint64_t delay_ns, uint64_t now_ns)
{
	struct chain_timers *timers = c->timers;
	if (timers == NULL && delay_ns == 0)
		return;
	if (timers == NULL)
		timers = make_timers(c);
	uint32_t bit = UINT32_C(1) << id;
	timers->set = delay_ns > 0 ? timers->set | bit : timers->set & ~bit;
	if (__builtin_add_overflow(now_ns, delay_ns, &timers->due_ns[id]))
		timers->due_ns[id] = UINT64_MAX - 1;
	queue_earliest(chain_chains(c), timers);
}

void chain_timers_clear(struct chain_fwp *c)
{
	struct chain_timers *timers = c->timers;
	if (timers == NULL)
		return;
	struct chains *chains = chain_chains(c);
	timers->set = 0;
	queue_earliest(chains, timers);
	chain_pool_give(&chains->timer_pool, timers);
	c->timers = NULL;
}

void chain_timers_fire(struct chains *chains, unsigned count_max, uint64_t time_ns, uint64_t now_ns)
{
	uint64_t start_ns = 0;
	for (unsigned count = 0; count < count_max; count++) {
		struct sched_heap_node *first = chains->timers.first;
		if (first == NULL || first->key > now_ns)
			return;
		/* NOW_NS may be of long ago. */
		uint64_t time_now_ns = eos_now_ns();
		if (count == 0)
			start_ns = time_now_ns;
		else if (time_now_ns - start_ns >= time_ns)
			return;
		struct chain_timers *timers = EOS_CONTAINER_OF(first, struct chain_timers, node);
		uint32_t id = 0;
		for (uint32_t set = timers->set; set != 0; set &= set - 1) {
			id = (uint32_t)__builtin_ctz(set);
			if (timers->due_ns[id] == first->key)
				break;
		}
		timers->set &= ~(UINT32_C(1) << id);
		queue_earliest(chains, timers);
		chain_run_timer(chains, timers->owner, id, now_ns);
	}
}

uint64_t chain_timers_next_ns(const struct chains *chains)
{
	return chains->timers.first != NULL ? chains->timers.first->key : UINT64_MAX;
}
