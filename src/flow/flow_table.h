/*
 * The flow table: for each key a value of its owner's, found in constant time, forgotten when it
 * was not seen for a while.
 *
 * All memory is taken when the table is made; nothing is allocated, and nothing is moved, later. A
 * full table is an error code and a counter. One source (the lower layers say what that is: a
 * client's address, a port) can hold only so many flows, so that it cannot crowd out the others;
 * its oldest, unconfirmed flow may go instead of refusing the new one (see policy). Ageing looks at
 * those whose time has come, never at the whole table.
 *
 * One thread. Lookup is one or two cache lines; find, add, remove and touch are O(1).
 */
#pragma once

#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"
#include "flow/flow.h"

#define FLOW_TABLE_FLOWS_MAX (1u << 24)

struct flow_table;

enum flow_when_full {
	FLOW_REFUSE,	 /* the new one: -ENOSPC, -EDQUOT */
	FLOW_EVICT_IDLE, /* the one that was idle longest among the unconfirmed ones goes, if any */
};

struct flow_table_config {
	uint32_t flows_max;	 /* from 1 to FLOW_TABLE_FLOWS_MAX */
	uint32_t per_source_max; /* 0: no limit */
	uint64_t idle_ns;	 /* of confirmed flows: seen in both directions, or so marked */
	uint64_t idle_new_ns;	 /* of those that are not; 0: idle_ns */
	enum flow_when_full when_full;
	uint64_t seed; /* 0: a random one */
	/* A flow went: idle, evicted or by flow_table_clear(); not by flow_table_remove(). May not
	 * call the table. NULL: nobody wants to know. */
	void (*expired)(void *ctx, const struct flow_key *key, uint64_t value);
	void *ctx;
};

struct flow_table_stats {
	uint32_t flows, flows_max, confirmed;
	uint64_t added, removed, aged, evicted;
	uint64_t refused_full, refused_source;
	uint64_t bytes; /* of memory */
};

/* A place in the table, valid until the flow goes; for touch and set without another look. */
typedef uint32_t flow_id;
#define FLOW_NONE UINT32_MAX

/* -EINVAL: WHY names the value; -ENOMEM. */
int flow_table_new(const struct flow_table_config *config, struct flow_table **ret_table,
		   struct eos_why *why) EOS_MUST_CHECK;
/* Without calling expired(). NULL is fine. */
struct flow_table *flow_table_free(struct flow_table *table);

uint64_t flow_table_hash(const struct flow_table *table, const struct flow_key *key);
/* FLOW_NONE: not there. HASH is flow_table_hash()'s. Does not touch. */
flow_id flow_table_find(const struct flow_table *table, const struct flow_key *key, uint64_t hash);
/* Brings the lines into the caches that a find for HASH will look at; for bursts. */
void flow_table_prefetch(const struct flow_table *table, uint64_t hash);
/* SOURCE is whose limit it counts against. -EEXIST; -ENOSPC: full; -EDQUOT: SOURCE has its share.
 */
int flow_table_add(struct flow_table *table, const struct flow_key *key, uint64_t hash,
		   uint64_t source, uint64_t value, uint64_t now_ns,
		   flow_id *ret_id) EOS_MUST_CHECK;
uint64_t flow_table_value(const struct flow_table *table, flow_id id);
const struct flow_key *flow_table_key(const struct flow_table *table, flow_id id);
void flow_table_set(struct flow_table *table, flow_id id, uint64_t value);
/* It was seen; TO_HIGH is flow_key_of()'s result, and both directions make it confirmed. */
void flow_table_touch(struct flow_table *table, flow_id id, bool to_high, uint64_t now_ns);
void flow_table_confirm(struct flow_table *table, flow_id id);
void flow_table_remove(struct flow_table *table, flow_id id);
void flow_table_clear(struct flow_table *table);
/* Lets flows go whose time is over, at most COUNT_MAX of them. Returns how many; call it now and
 * then. */
uint32_t flow_table_age(struct flow_table *table, uint64_t now_ns, uint32_t count_max);
/* When flow_table_age() may have something to do at the earliest; UINT64_MAX: the table is empty.
 */
uint64_t flow_table_next_ns(const struct flow_table *table);
void flow_table_stats(const struct flow_table *table, struct flow_table_stats *ret_stats);
