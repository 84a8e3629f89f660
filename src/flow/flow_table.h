/*
 * The flow table: for each key a value of its owner's, found in constant time, forgotten when it
 * was not seen for a while.
 *
 * All memory is taken when the table is made; nothing is allocated, and nothing is moved, later. A
 * full table is an error code and a counter. One source (the lower layers say what that is: a
 * client's address, a port) can hold only so many flows, so that it cannot crowd out the others;
 * its idlest unconfirmed flow may go instead of refusing the new one (see policy). Ageing looks at
 * those whose time has come, never at the whole table.
 *
 * How exact idle times are: flows are kept in the order in which they were seen, which is corrected
 * only when a flow is seen that has kept its place for 1/FLOW_TABLE_GRAINS of its idle time. So one
 * goes after its idle time, never before, and at most that fraction later; of two that are evicted
 * by how long they were idle the order may be wrong by as much.
 *
 * Time is the caller's (nanoseconds, any origin) and does not go back: an earlier one than was told
 * before is taken for the latest.
 *
 * One thread. A find reads the cache line of a bucket and, by what is there, that of the flow; add,
 * remove and touch are O(1), too. In a large table neither line is in the caches, and the second is
 * not known before the first is there, so a find alone waits for memory twice. Packets come in
 * bursts, and are meant to be looked up so: flow_table_prefetch() for all of a burst, then
 * flow_table_prefetch_flow() for all, then flow_table_find(). `edgeos bench flow` has both.
 */
#pragma once

#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"
#include "flow/flow.h"

#define FLOW_TABLE_FLOWS_MAX (1u << 24)
#define FLOW_TABLE_GRAINS    16u

struct flow_table;

enum flow_when_full {
	FLOW_REFUSE,	 /* the new one: -ENOSPC, -EDQUOT */
	FLOW_EVICT_IDLE, /* the one that was idle longest among the unconfirmed ones goes, if any;
			    where its source is at its limit, among that source's */
	FLOW_EVICT_ANY,	 /* the same, but of the confirmed ones where none is unconfirmed */
};

struct flow_table_config {
	uint32_t flows_max;	 /* from 1 to FLOW_TABLE_FLOWS_MAX */
	uint32_t per_source_max; /* 0: no limit, and nothing is kept about sources */
	uint64_t idle_ns;	 /* of confirmed flows: seen in both directions, or so marked; 0:
				    they do not go by themselves */
	uint64_t idle_new_ns;	 /* of those that are not; 0: idle_ns */
	enum flow_when_full when_full;
	uint64_t seed; /* 0: a random one */
	/* A flow went: idle, evicted or by flow_table_clear(); not by flow_table_remove(). KEY is
	 * borrowed for the call. May not call the table. NULL: nobody wants to know. */
	void (*expired)(void *ctx, const struct flow_key *key, uint64_t value);
	void *ctx;
};

struct flow_table_stats {
	uint32_t flows, flows_max, confirmed;
	uint32_t sources; /* 0 without per_source_max */
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
/* FLOW_NONE: not there. HASH is flow_table_hash()'s. Does not touch. A flow whose time is over is
 * found until flow_table_age() lets it go. */
flow_id flow_table_find(const struct flow_table *table, const struct flow_key *key, uint64_t hash);
/*
 * For bursts: brings into the caches what finds will look at. What a find needs is in two places,
 * the second of which is known when the first is there: so call the first for all of a burst, then
 * the second for all, then find.
 */
void flow_table_prefetch(const struct flow_table *table, uint64_t hash);
void flow_table_prefetch_flow(const struct flow_table *table, uint64_t hash);
/*
 * SOURCE is whose limit it counts against. The new flow was seen at NOW_NS, in no direction yet:
 * touch it. -EEXIST; -ENOSPC: full; -EDQUOT: SOURCE has its share. Before a full table refuses or
 * evicts, a flow whose time is over goes.
 */
int flow_table_add(struct flow_table *table, const struct flow_key *key, uint64_t hash,
		   uint64_t source, uint64_t value, uint64_t now_ns,
		   flow_id *ret_id) EOS_MUST_CHECK;
uint64_t flow_table_value(const struct flow_table *table, flow_id id);
/* Borrowed until the flow goes. */
const struct flow_key *flow_table_key(const struct flow_table *table, flow_id id);
bool flow_table_is_confirmed(const struct flow_table *table, flow_id id);
void flow_table_set(struct flow_table *table, flow_id id, uint64_t value);
/* It was seen; TO_HIGH is flow_key_of()'s result, and both directions make it confirmed. */
void flow_table_touch(struct flow_table *table, flow_id id, bool to_high, uint64_t now_ns);
/* Marks it, as seen when the latest time was told. */
void flow_table_confirm(struct flow_table *table, flow_id id);
void flow_table_remove(struct flow_table *table, flow_id id);
/* O(flows). */
void flow_table_clear(struct flow_table *table);
/* Lets flows go whose time is over, at most COUNT_MAX of them. Returns how many; call it now and
 * then. */
uint32_t flow_table_age(struct flow_table *table, uint64_t now_ns, uint32_t count_max);
/* When flow_table_age() may have something to do at the earliest; UINT64_MAX: never, as the table
 * is now. */
uint64_t flow_table_next_ns(const struct flow_table *table);
void flow_table_stats(const struct flow_table *table, struct flow_table_stats *ret_stats);
