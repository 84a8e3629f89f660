#include "base/assert.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/pages.h"
#include "chain/chain_priv.h"

/* Of a pool's items; beyond these it gets large pages. */
#define FEW_BYTES (256u << 10)

int chain_pool_init(struct chain_pool *pool, size_t item_size, uint32_t max)
{
	*pool = (struct chain_pool){.item_size = item_size, .max = max};
	int err = eos_fault("chain.mmap");
	if (err < 0)
		return err;
	void *items = NULL;
	pool->bytes = item_size * max;
	err = eos_pages_reserve(pool->bytes, &items);
	pool->items = items;
	return err;
}

void chain_pool_fini(struct chain_pool *pool)
{
	eos_pages_release(pool->items, pool->bytes);
	pool->items = NULL;
}

void *chain_pool_take(struct chain_pool *pool)
{
	void *item = pool->free;
	if (item != NULL) {
		pool->free = *(void **)item;
		return item;
	}
	if (pool->made == pool->max)
		return NULL;
	if (pool->made == FEW_BYTES / pool->item_size)
		eos_pages_make_large(pool->items, pool->bytes);
	return pool->items + pool->item_size * pool->made++;
}

void chain_pool_give(struct chain_pool *pool, void *item)
{
	size_t offset = (size_t)((char *)item - pool->items);
	EOS_ASSERT(offset < pool->bytes && offset % pool->item_size == 0);
	*(void **)item = pool->free;
	pool->free = item;
}

/* A bucket of PER_S tokens, told by the time at which it is full. */
bool chain_limiter_allow(struct chain_limiter *limiter, unsigned per_s, uint64_t now_ns)
{
	uint64_t full_ns = EOS_MAX(limiter->full_ns, now_ns) + EOS_NS_PER_S / per_s;
	if (full_ns > now_ns + EOS_NS_PER_S) {
		limiter->refused++;
		return false;
	}
	limiter->full_ns = full_ns;
	return true;
}
