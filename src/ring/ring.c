/*
 * Design
 *
 *   data:  | len | bytes … pad | len | bytes … pad |        free         |
 *          ^ tail                                   ^ head
 *
 * Invariants of an honest ring, each checked where it is relied on:
 *  1. tail <= head, and head - tail <= capacity.
 *  2. Both are multiples of 8, so a length field never straddles the end of the data.
 *  3. Neither ever moves back.
 *  4. A record's length is 1 … RING_RECORD_MAX, and the record ends at or before head.
 *
 * A side that finds one of them broken reports -EBADMSG and moves nothing. The data may be
 * rewritten by the other side at any time; so a length is read once, and bytes are only copied.
 *
 * Sleeping. The sleeper does exchange(waits, 1) and then reads the other's position; the other
 * publishes its position and then does exchange(waits, 0). All exchanges of one flag are in one
 * order: either the waker's comes later and reads 1, so it wakes; or the sleeper's comes later,
 * reads from it (acquire), and therefore sees the position published before it. A wake-up cannot
 * get lost. Exchanges are used and not fences because thread sanitizers understand them.
 *
 * Records may straddle the end of the data: copying in two pieces costs nothing measurable, and
 * skip markers would be one more thing that a hostile side can forge.
 */
#include "ring/ring.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"

#define RING_CAPACITY_MIN (UINT64_C(4) << 10)
#define RING_CAPACITY_MAX (UINT64_C(64) << 20)
#define RECORD_ALIGN	  8u

static uint64_t record_size(uint64_t len)
{
	return EOS_ALIGN_UP(sizeof(uint32_t) + len, (uint64_t)RECORD_ALIGN);
}

size_t ring_memory_size(uint64_t capacity)
{
	return sizeof(struct ring_shared) + capacity;
}

int ring_attach(struct ring *ring, void *memory, uint64_t capacity)
{
	if (capacity < RING_CAPACITY_MIN || capacity > RING_CAPACITY_MAX ||
	    (capacity & (capacity - 1)) != 0)
		return -EINVAL;
	if (((uintptr_t)memory & 63) != 0)
		return -EINVAL;
	*ring = (struct ring){
		.shared = memory,
		.data = (uint8_t *)memory + sizeof(struct ring_shared),
		.capacity = capacity,
	};
	return 0;
}

/* Copies to or from the data at POSITION, in two pieces where it passes the end. */
static void copy_in(struct ring *ring, uint64_t position, const void *from, size_t len)
{
	uint64_t at = position & (ring->capacity - 1);
	size_t first = EOS_MIN((size_t)(ring->capacity - at), len);
	if (first > 0)
		memcpy(ring->data + at, from, first);
	if (len > first)
		memcpy(ring->data, (const uint8_t *)from + first, len - first);
}

static void copy_out(const struct ring *ring, uint64_t position, void *to, size_t len)
{
	uint64_t at = position & (ring->capacity - 1);
	size_t first = EOS_MIN((size_t)(ring->capacity - at), len);
	memcpy(to, ring->data + at, first);
	if (len > first)
		memcpy((uint8_t *)to + first, ring->data, len - first);
}

/* Looks at the consumer's position anew. */
static int refresh_tail(struct ring *ring)
{
	uint64_t tail = atomic_load_explicit(&ring->shared->tail, memory_order_acquire);
	if (tail < ring->tail || tail > ring->head || tail % RECORD_ALIGN != 0)
		return -EBADMSG;
	ring->tail = tail;
	return 0;
}

/* Looks at the producer's position anew. */
static int refresh_head(struct ring *ring)
{
	uint64_t head = atomic_load_explicit(&ring->shared->head, memory_order_acquire);
	if (head < ring->head || head - ring->tail > ring->capacity || head % RECORD_ALIGN != 0)
		return -EBADMSG;
	ring->head = head;
	return 0;
}

static bool has_room(const struct ring *ring, uint64_t size)
{
	EOS_DCHECK(ring->head - ring->tail <= ring->capacity);
	return ring->capacity - (ring->head - ring->tail) >= size;
}

int ring_push(struct ring *ring, const void *part1, size_t len1, const void *part2, size_t len2)
{
	if (len1 > RING_RECORD_MAX || len2 > RING_RECORD_MAX - len1)
		return -EMSGSIZE;
	uint32_t len = (uint32_t)(len1 + len2);
	uint64_t size = record_size(len);
	if (len == 0)
		return -EINVAL;
	if (size > ring->capacity)
		return -EMSGSIZE;
	if (!has_room(ring, size)) {
		int err = refresh_tail(ring);
		if (err < 0)
			return err;
		if (!has_room(ring, size))
			return -EAGAIN;
	}
	copy_in(ring, ring->head, &len, sizeof(len));
	copy_in(ring, ring->head + sizeof(len), part1, len1);
	copy_in(ring, ring->head + sizeof(len) + len1, part2, len2);
	ring->head += size;
	atomic_store_explicit(&ring->shared->head, ring->head, memory_order_release);
	return 0;
}

int64_t ring_pop(struct ring *ring, void *out, size_t size)
{
	if (ring->head == ring->tail) {
		int err = refresh_head(ring);
		if (err < 0)
			return err;
		if (ring->head == ring->tail)
			return 0;
	}
	/* Aligned by invariant 2, and read once: the producer may rewrite it under us. */
	const uint8_t *at = ring->data + (ring->tail & (ring->capacity - 1));
	uint32_t len = __atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_RELAXED);
	if (len == 0 || len > RING_RECORD_MAX || record_size(len) > ring->head - ring->tail)
		return -EBADMSG;
	if (len > size)
		return -EMSGSIZE;
	copy_out(ring, ring->tail + sizeof(len), out, len);
	ring->tail += record_size(len);
	atomic_store_explicit(&ring->shared->tail, ring->tail, memory_order_release);
	return len;
}

bool ring_is_empty(struct ring *ring)
{
	return ring->head == ring->tail && refresh_head(ring) == 0 && ring->head == ring->tail;
}

bool ring_consumer_prepare_wait(struct ring *ring)
{
	if (ring->head != ring->tail)
		return false;
	atomic_exchange_explicit(&ring->shared->consumer_waits, 1, memory_order_acq_rel);
	if (refresh_head(ring) == 0 && ring->head == ring->tail)
		return true;
	/* An exchange here too: a plain store would hide the waker's from our next exchange. */
	atomic_exchange_explicit(&ring->shared->consumer_waits, 0, memory_order_acq_rel);
	return false;
}

bool ring_producer_prepare_wait(struct ring *ring, size_t len)
{
	uint64_t size = record_size(len);
	if (has_room(ring, size))
		return false;
	atomic_exchange_explicit(&ring->shared->producer_waits, 1, memory_order_acq_rel);
	if (refresh_tail(ring) == 0 && !has_room(ring, size))
		return true;
	/* An exchange here too: a plain store would hide the waker's from our next exchange. */
	atomic_exchange_explicit(&ring->shared->producer_waits, 0, memory_order_acq_rel);
	return false;
}

bool ring_must_wake_consumer(struct ring *ring)
{
	return atomic_exchange_explicit(&ring->shared->consumer_waits, 0, memory_order_acq_rel) !=
	       0;
}

bool ring_must_wake_producer(struct ring *ring)
{
	return atomic_exchange_explicit(&ring->shared->producer_waits, 0, memory_order_acq_rel) !=
	       0;
}
