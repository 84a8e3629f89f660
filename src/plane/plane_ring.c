/*
 * Positions count without end and are cut by MASK. PUBLISHED is the only word that who takes looks
 * at, BEGIN the only one that who puts does, and that only when the ring seems full.
 *
 * Publishing and the look before a sleep are sequentially consistent: with release and acquire
 * alone, each side could read the other's word as it was before, and a frame would wait beside a
 * sleeping thread.
 */
#include "plane/plane_ring.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"

int plane_ring_init(struct plane_ring *ring, uint32_t places)
{
	EOS_ASSERT(places > 0 && (places & (places - 1)) == 0);
	*ring = (struct plane_ring){.mask = places - 1};
	ring->places = calloc(places, sizeof(*ring->places));
	return ring->places != NULL ? 0 : -ENOMEM;
}

void plane_ring_fini(struct plane_ring *ring)
{
	free(ring->places);
	ring->places = NULL;
}

/* A counter has one writer. */
static void count(_Atomic uint64_t *counter)
{
	uint64_t old = atomic_load_explicit(counter, memory_order_relaxed);
	atomic_store_explicit(counter, old + 1, memory_order_relaxed);
}

bool plane_ring_put(struct plane_ring *ring, const struct plane_handed *handed)
{
	if (ring->end - ring->begin_seen > ring->mask)
		ring->begin_seen = atomic_load_explicit(&ring->begin, memory_order_acquire);
	if (EOS_UNLIKELY(ring->end - ring->begin_seen > ring->mask)) {
		count(&ring->dropped);
		return false;
	}
	ring->places[ring->end++ & ring->mask] = *handed;
	count(&ring->handed);
	return true;
}

void plane_ring_publish(struct plane_ring *ring)
{
	atomic_store_explicit(&ring->published, ring->end, memory_order_seq_cst);
}

unsigned plane_ring_take(struct plane_ring *ring, struct plane_handed *handed, unsigned max)
{
	uint32_t begin = atomic_load_explicit(&ring->begin, memory_order_relaxed);
	uint32_t end = atomic_load_explicit(&ring->published, memory_order_acquire);
	unsigned n = 0;
	for (; n < max && begin != end; n++)
		handed[n] = ring->places[begin++ & ring->mask];
	if (n > 0)
		atomic_store_explicit(&ring->begin, begin, memory_order_release);
	return n;
}

bool plane_ring_is_empty(const struct plane_ring *ring)
{
	return atomic_load_explicit(&ring->published, memory_order_seq_cst) ==
	       atomic_load_explicit(&ring->begin, memory_order_relaxed);
}
