/*
 * The directory: buckets of eight words, a cache line each.
 *
 *	63            16 15      10 9        0
 *	+---------------+----------+----------+
 *	| tag           | core + 1 | time     |    0: no entry
 *	+---------------+----------+----------+
 *
 * The time is in units of 2^32 ns (4.3 s), and comes round after 73 minutes: an entry that nobody
 * saw for so long may look younger again, which costs a look at a core that knows nothing of it.
 * Cores' times are those of when their turns began, so an entry may be of a later time than that of
 * who looks: what seems to be a little less than a whole round old is new.
 *
 * An entry that is older than a core keeps flows counts as empty. So while a bucket has an empty
 * place, nothing that is alive was ever pushed out of it, and what is not there is nobody's. That
 * is why one that is forgotten keeps its place, for anybody to take, until it is as old as that:
 * others may have been pushed out to make room for it.
 *
 * Words are changed by compare-and-swap, each by itself, with no order among them: an entry says
 * nothing about any other memory.
 */
#include "plane/plane_steer.h"

#include <errno.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/crypto.h"

#define ENTRIES	  8u
#define CORE_BITS 6u
#define TIME_BITS 10u
#define TIME_MASK ((1u << TIME_BITS) - 1u)
#define CORE_MASK ((1u << CORE_BITS) - 1u)
#define TAG_SHIFT (CORE_BITS + TIME_BITS)
#define TAG_MASK  (UINT64_MAX << TAG_SHIFT)
/* 344 s: chains forget flows after 300 s, which a table of flows measures to a sixteenth. */
#define IDLE_UNITS 80u
/* 137 s: longer than a turn can last, by default, before the watchdog ends the worker. */
#define AHEAD_UNITS 32u
/* In the place of a core: the one that had it does not know it any more. */
#define FORGOTTEN (CORE_MASK - 1u)
/* On average two of eight are used when all flows are there. */
#define BUCKETS_OF(flows) ((flows) / 2u)
#define TRIES		  4u

struct plane_bucket {
	alignas(64) _Atomic uint64_t entries[ENTRIES];
};
_Static_assert(sizeof(struct plane_bucket) == 64, "a bucket is a cache line");
_Static_assert(PLANE_CORES_MAX <= FORGOTTEN, "a core's number fits");

int plane_steer_init(struct plane_steer *steer, unsigned cores, uint32_t flows_max)
{
	uint32_t count = 16;
	while (count < BUCKETS_OF(flows_max))
		count *= 2;
	*steer = (struct plane_steer){.cores = cores, .mask = count - 1};
	int err = crypto_random(&steer->seed, sizeof(steer->seed));
	if (err < 0)
		return err;
	steer->buckets =
		aligned_alloc(alignof(struct plane_bucket), count * sizeof(struct plane_bucket));
	if (steer->buckets == NULL)
		return -ENOMEM;
	for (uint32_t i = 0; i < count; i++) {
		for (unsigned k = 0; k < ENTRIES; k++)
			atomic_init(&steer->buckets[i].entries[k], 0);
	}
	return 0;
}

void plane_steer_fini(struct plane_steer *steer)
{
	free(steer->buckets);
	steer->buckets = NULL;
}

unsigned plane_steer_client(const struct plane_steer *steer, const struct flow_packet *packet,
			    bool to_target)
{
	struct flow_key key;
	flow_key_of_host(packet, to_target, 0, &key);
	/* A customer's VLAN does not make him another client of the way back. */
	key.vlan = key.inner_vlan = 0;
	return (unsigned)((flow_key_hash(&key, steer->seed) >> 32) % steer->cores);
}

uint64_t plane_steer_conversation(const struct plane_steer *steer, const struct flow_packet *packet)
{
	return plane_steer_flow(steer, packet, 0) >> 32;
}

uint64_t plane_steer_flow(const struct plane_steer *steer, const struct flow_packet *packet,
			  uint16_t domain)
{
	struct flow_key key;
	(void)flow_key_of(packet, domain, &key);
	return flow_key_hash(&key, steer->seed);
}

static struct plane_bucket *bucket_of(const struct plane_steer *steer, uint64_t flow)
{
	/* The tag is the upper bits. */
	return &steer->buckets[flow & steer->mask];
}

static uint64_t make_entry(uint64_t flow, unsigned core, uint64_t now_ns)
{
	return (flow & TAG_MASK) | (uint64_t)(core + 1u) << TIME_BITS | (now_ns >> 32 & TIME_MASK);
}

static unsigned core_of(uint64_t entry)
{
	return (unsigned)(entry >> TIME_BITS & CORE_MASK) - 1u;
}

/* How long ago, in units; what is empty is oldest. */
static unsigned age_of(uint64_t entry, uint64_t now_ns)
{
	if (entry == 0)
		return UINT32_MAX;
	unsigned age = ((unsigned)(now_ns >> 32) - (unsigned)entry) & TIME_MASK;
	return age > TIME_MASK - AHEAD_UNITS ? 0 : age;
}

static bool swap(_Atomic uint64_t *entry, uint64_t was, uint64_t is)
{
	return atomic_compare_exchange_strong_explicit(entry, &was, is, memory_order_relaxed,
						       memory_order_relaxed);
}

/* Whether it is done; *RET_HAS: and CORE has the flow. */
static bool try_remember(struct plane_bucket *bucket, uint64_t made, uint64_t now_ns, bool *ret_has)
{
	unsigned oldest = 0, age = 0;
	uint64_t old = 0;
	for (unsigned i = 0; i < ENTRIES; i++) {
		uint64_t entry = atomic_load_explicit(&bucket->entries[i], memory_order_relaxed);
		if (entry == made) {
			*ret_has = true;
			return true;
		}
		unsigned entry_age = age_of(entry, now_ns);
		bool is_free = entry != 0 && core_of(entry) == FORGOTTEN;
		if (entry != 0 && ((entry ^ made) & TAG_MASK) == 0) {
			*ret_has = is_free || core_of(entry) == core_of(made) ||
				   entry_age > IDLE_UNITS;
			return !*ret_has || swap(&bucket->entries[i], entry, made);
		}
		if (is_free)
			entry_age = UINT32_MAX - 1;
		if (i == 0 || entry_age > age) {
			oldest = i;
			old = entry;
			age = entry_age;
		}
	}
	*ret_has = true;
	return swap(&bucket->entries[oldest], old, made);
}

bool plane_steer_remember(struct plane_steer *steer, uint64_t flow, unsigned core, uint64_t now_ns)
{
	struct plane_bucket *bucket = bucket_of(steer, flow);
	uint64_t made = make_entry(flow, core, now_ns);
	bool has = false;
	/* Who loses against others all the time is remembered with its next packet. */
	for (unsigned i = 0; i < TRIES; i++) {
		if (try_remember(bucket, made, now_ns, &has))
			return has;
	}
	return false;
}

unsigned plane_steer_find(const struct plane_steer *steer, uint64_t flow, uint64_t now_ns)
{
	const struct plane_bucket *bucket = bucket_of(steer, flow);
	bool is_full = true;
	for (unsigned i = 0; i < ENTRIES; i++) {
		uint64_t entry = atomic_load_explicit(&bucket->entries[i], memory_order_relaxed);
		if (age_of(entry, now_ns) > IDLE_UNITS)
			is_full = false;
		else if (((entry ^ flow) & TAG_MASK) == 0 && core_of(entry) != FORGOTTEN)
			return core_of(entry);
	}
	return is_full ? PLANE_STEER_UNKNOWN : PLANE_STEER_NONE;
}

void plane_steer_forget(struct plane_steer *steer, uint64_t flow, unsigned core)
{
	struct plane_bucket *bucket = bucket_of(steer, flow);
	for (unsigned i = 0; i < ENTRIES; i++) {
		uint64_t entry = atomic_load_explicit(&bucket->entries[i], memory_order_relaxed);
		uint64_t forgotten = (entry & ~((uint64_t)CORE_MASK << TIME_BITS)) |
				     (uint64_t)(FORGOTTEN + 1u) << TIME_BITS;
		if (entry != 0 && ((entry ^ flow) & TAG_MASK) == 0 && core_of(entry) == core)
			(void)swap(&bucket->entries[i], entry, forgotten);
	}
}
