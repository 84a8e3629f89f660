/*
 * The flow table's memory; for flow_table.c, which has the design, flow_bucket.c, flow_source.c and
 * their tests.
 *
 * Flows, buckets and sources name each other by their numbers, in half the bytes of a pointer;
 * FLOW_NONE is none.
 */
#pragma once

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "flow/flow_priv.h"
#include "flow/flow_table.h"

#define FLOW_BUCKET_SLOTS 10u

/* A cache line: what is in it is known without looking at the flows. */
struct flow_bucket {
	uint16_t signatures[FLOW_BUCKET_SLOTS]; /* of the hash's high bits; 0: the slot is free */
	uint32_t overflow;			/* the first flow that found no slot */
	uint32_t ids[FLOW_BUCKET_SLOTS];
};
_Static_assert(sizeof(struct flow_bucket) == 64, "a cache line");

/* A place in one of the rings of flows: see flow_ring_... in flow_table.c. */
struct flow_link {
	uint32_t prev, next;
};

enum flow_state { FLOW_FREE, FLOW_NEW, FLOW_CONFIRMED };

struct flow_entry {
	/* What a find looks at. */
	struct flow_key key;
	uint64_t hash, value;
	/* What a touch looks at. */
	alignas(64) uint64_t seen_ns;
	uint64_t placed_ns;	   /* when it got its place in the rings; at most seen_ns */
	struct flow_link idle;	   /* of all flows of its state, the longest idle one first */
	struct flow_link siblings; /* of the unconfirmed flows of its source, in the same order */
	uint32_t source;
	uint32_t overflow; /* the next flow without a slot of its bucket; of free ones, the next */
	uint8_t state;	   /* enum flow_state */
	uint8_t seen;	   /* directions: 1 to high, 2 to low */
};
_Static_assert(sizeof(struct flow_entry) == 128, "two cache lines");
_Static_assert(offsetof(struct flow_entry, seen_ns) == 64, "find needs the first only");

/* Whoever has flows, where sources have a limit. */
struct flow_source {
	uint64_t name;
	uint32_t count;	 /* of its flows */
	uint32_t idlest; /* of its unconfirmed flows, which are a ring */
	uint32_t next;	 /* of its chain, or of the free ones */
	uint32_t reserved;
};

struct flow_sources {
	struct flow_source *sources;
	uint32_t *chains;
	uint32_t chains_mask;
	uint32_t free;
	uint32_t count;
};

struct flow_table {
	struct flow_table_config config; /* idle times resolved: UINT64_MAX is never */
	struct flow_hash hash;
	struct flow_bucket *buckets;
	struct flow_entry *entries;
	uint64_t buckets_mask;
	uint32_t free;
	uint32_t idlest[3]; /* of each state, a ring's first; not of free ones */
	uint64_t now_ns;    /* the latest that was told */
	struct flow_sources sources;
	void *memory;
	size_t memory_bytes;
	struct flow_table_stats stats;
	uint64_t steps; /* entries that adding, ageing and removing looked at; for tests */
};

/* By its key's hash; it is in no bucket. */
void flow_bucket_add(struct flow_table *table, uint32_t id);
void flow_bucket_remove(struct flow_table *table, uint32_t id);

/* The source NAME, or FLOW_NONE. */
uint32_t flow_source_find(struct flow_table *table, uint64_t name);
/* A new one without flows. As many can be as flows. */
uint32_t flow_source_add(struct flow_table *table, uint64_t name);
/* It has no flows any more. */
void flow_source_remove(struct flow_table *table, uint32_t index);
void flow_sources_init(struct flow_table *table);
/* How long the chain of NAME is; for tests. */
uint32_t flow_source_chain_len(const struct flow_table *table, uint64_t name);
