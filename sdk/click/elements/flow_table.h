/*
 * A table of rewritten flows: what comes in one direction has one key, what comes in the other
 * has another, and both lead to the flow.
 *
 * Flows come from an array that is allocated once; when it is full, the flow that would end
 * soonest makes room, unless all are guaranteed. Flows age without scans: each is in a list of
 * flows with the same timeout, in the order in which they were used last, so that the first of a
 * list ends first. A lookup costs one hash (SipHash-1-3 with random keys, so that nobody can
 * choose flows that collide) and a short chain.
 *
 * Addresses are in network order, ports in host order, times by click_now_ns().
 */
#pragma once

#include <click.h>

#define CLICK_FLOWS_DEFAULT  16384u
#define CLICK_FLOWS_MAX	     262144u
#define CLICK_FLOW_LISTS_MAX 64u
#define CLICK_FLOW_NONE	     UINT32_MAX
/* Echo replies in keys, whose requests have ICMP's protocol number. */
#define CLICK_FLOW_ECHO	      1u
#define CLICK_FLOW_ECHO_REPLY 255u

struct click_flow_key {
	uint32_t saddr, daddr;
	uint16_t sport, dport;
	uint16_t map; /* of which element */
	uint8_t protocol, zero;
};

struct click_flow_list;
struct click_flow {
	struct click_flow_key key[2]; /* what comes forward, and what comes in reply */
	uint32_t chain[2];	      /* next entries of the buckets */
	uint32_t next, previous;      /* in the list, or the next free flow */
	struct click_flow_list *list;
	uint64_t used_ns;
	uint16_t output[2];
	uint8_t state[4]; /* the element's */
};

struct click_flow_list {
	uint64_t timeout_ns, guarantee_ns;
	uint32_t first, last, count;
	void *owner;
};

struct click_flow_table {
	struct click_flow *flows;
	uint32_t *buckets; /* entries: twice a flow's index, and one more for replies */
	uint32_t buckets_mask;
	uint32_t capacity, limit, count;
	uint32_t free;
	uint64_t seed[2]; /* drawn with the first lookup: each instance has its own */
	bool has_seed;
	struct click_router *router;
	struct click_flow_list *lists[CLICK_FLOW_LISTS_MAX];
	uint32_t lists_count;
	uint16_t maps_count;
	uint64_t evicted;
};

/* The key of what replies to KEY. */
struct click_flow_key click_flow_reverse(const struct click_flow_key *key);

/* Room for CAPACITY flows, from ROUTER's memory. False: there is not that much. */
bool click_flows_init(struct click_flow_table *table, struct click_router *router,
		      uint32_t capacity);
/* LIST is borrowed. False: there are too many. */
bool click_flows_add_list(struct click_flow_table *table, struct click_flow_list *list);

/* The entry of KEY: the flow's index times two, and its direction. A flow that ended is removed.
 * CLICK_FLOW_NONE: there is none. */
uint32_t click_flows_find(struct click_flow_table *table, const struct click_flow_key *key,
			  uint64_t now_ns);
/*
 * A new flow, used now. NULL: one of the keys is there already, or the table is full of flows that
 * are guaranteed.
 */
struct click_flow *click_flows_add(struct click_flow_table *table,
				   const struct click_flow_key *forward,
				   const struct click_flow_key *reply, struct click_flow_list *list,
				   uint64_t now_ns);
/* FLOW was used now, and belongs to LIST from now on. */
void click_flows_use(struct click_flow_table *table, struct click_flow *flow,
		     struct click_flow_list *list, uint64_t now_ns);
void click_flows_remove(struct click_flow_table *table, struct click_flow *flow);
/* Removes up to MAX flows that ended; how many. */
uint32_t click_flows_expire(struct click_flow_table *table, uint64_t now_ns, uint32_t max);
/* No more than LIMIT flows, which is at most the capacity, from now on. */
void click_flows_set_limit(struct click_flow_table *table, uint32_t limit);
