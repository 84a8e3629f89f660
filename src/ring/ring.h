/*
 * Message rings: records of bytes from one producer to one consumer, over memory they share.
 *
 * The two sides do not trust each other. A side keeps its own position in private memory and only
 * ever publishes it; what it reads from the shared header is the other side's position, checked on
 * each use. A record is copied out before anybody looks at it, so its bytes cannot change under a
 * check.
 *
 * Layout of the shared memory, version RING_LAYOUT_VERSION: struct ring_shared, then CAPACITY
 * bytes. A record is a 32-bit length, the bytes, and padding to 8. Positions count bytes since the
 * start and never wrap (64 bits).
 *
 * No threads, no I/O: waking the other side is the caller's work (link). One producer and one
 * consumer at a time; each side's struct is used by one thread.
 */
#pragma once

#include <assert.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

#define RING_LAYOUT_VERSION 1u
#define RING_RECORD_MAX	    (256u << 10)

struct ring_shared {
	alignas(64) _Atomic uint64_t head;	     /* published by the producer: release */
	alignas(64) _Atomic uint64_t tail;	     /* published by the consumer: release */
	alignas(64) _Atomic uint32_t consumer_waits; /* set before the consumer sleeps */
	alignas(64) _Atomic uint32_t producer_waits; /* set before the producer sleeps */
};
static_assert(sizeof(struct ring_shared) == 256, "another layout is another version");
static_assert(offsetof(struct ring_shared, head) == 0, "head");
static_assert(offsetof(struct ring_shared, tail) == 64, "tail");
static_assert(offsetof(struct ring_shared, consumer_waits) == 128, "consumer_waits");
static_assert(offsetof(struct ring_shared, producer_waits) == 192, "producer_waits");

/* One side's view; private memory. */
struct ring {
	struct ring_shared *shared; /* borrowed */
	uint8_t *data;		    /* borrowed */
	uint64_t capacity;	    /* bytes, a power of two */
	uint64_t head, tail;	    /* own position, and the other's as last seen */
};

/* Bytes of shared memory for a ring of CAPACITY. */
size_t ring_memory_size(uint64_t capacity);
/* MEMORY is zeroed and 64-aligned (both sides attach once). CAPACITY is a power of two, from
 * 4 KiB to 64 MiB: -EINVAL. */
int ring_attach(struct ring *ring, void *memory, uint64_t capacity) EOS_MUST_CHECK;

/* A record made of two parts, so that a header need not be copied together with its payload.
 * -EAGAIN: no room now; -EMSGSIZE: over RING_RECORD_MAX, or more than the ring can ever hold;
 * -EINVAL: an empty record; -EBADMSG: the other side's position is nonsense. */
int ring_push(struct ring *ring, const void *part1, size_t len1, const void *part2,
	      size_t len2) EOS_MUST_CHECK;
/* Copies the next record out; returns its length, 0 when empty, -EBADMSG when position or length is
 * nonsense, -EMSGSIZE when it does not fit SIZE (it stays). */
int64_t ring_pop(struct ring *ring, void *out, size_t size) EOS_MUST_CHECK;

/* The consumer's look without taking: true when there is nothing to pop and nothing to report. */
bool ring_is_empty(struct ring *ring);

/* Before sleeping: true when there is nothing to pop (or, for the producer, still no room for a
 * record of LEN) after the wish to be woken was published. False, and the wish taken back, when
 * there is something to do: also when the other side's position is nonsense, which the next pop or
 * push reports. */
bool ring_consumer_prepare_wait(struct ring *ring);
bool ring_producer_prepare_wait(struct ring *ring, size_t len);
/* After a push or pop: true when the other side sleeps and must be woken; takes the wish back. */
bool ring_must_wake_consumer(struct ring *ring);
bool ring_must_wake_producer(struct ring *ring);
