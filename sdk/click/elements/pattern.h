/*
 * Patterns by which rewriters make new flows' addresses and ports: "SADDR SPORT DADDR DPORT" of
 * IPRewriter, and "SADDR DADDR" of rewriters of addresses alone.
 *
 * Each word is a value, or '-' for what the packet has. SPORT, or SADDR of the second form, can be
 * a range "LOW-HIGH" (or a prefix, of whose addresses the first and the last are left out, unless
 * there are only two): then a value is chosen so that the reply's flow
 * is not one that is there. Source ports stay as they are if they can, and are random otherwise; a
 * '?' behind the range makes them random at once, a '#' makes them count up. Addresses are random,
 * or count up with '#'.
 *
 * Of ranges with more than CLICK_PATTERN_PROBES values only so many are tried for a flow: those
 * from a random one on, or from the one after the last. Where all were in use, that is remembered
 * for a millisecond, so that who sends one new flow after the other to a destination for which
 * there is no port does not make each of them cost as much.
 */
#pragma once

#include "elements/flow_table.h"

#define CLICK_PATTERN_PROBES  1024u
#define CLICK_PATTERN_FULL    16u
#define CLICK_PATTERN_FULL_NS 1000000u

struct click_pattern_full {
	struct click_flow_key flow; /* without the value that was looked for */
	uint64_t until_ns;
};

struct click_pattern {
	uint32_t saddr, daddr; /* network order; 0: unchanged */
	uint16_t sport, dport; /* 0: unchanged */
	bool is_of_addresses;
	bool is_range, is_sequential, prefers_source;
	uint32_t low, span; /* of the range, in host order: LOW to LOW + SPAN */
	uint32_t next;	    /* of those that count up: offset from LOW */
	struct click_pattern_full full[CLICK_PATTERN_FULL]; /* by a hash of the flow */
};

/* WORDS are four, or two of addresses, which may be names. False, and something was told. */
bool click_pattern_parse(struct click_pattern *pattern, struct click_router *router,
			 const char *const *words, unsigned count, struct click_args *args);
/* What FLOW becomes. False: there is no value left whose reply is not in TABLE. */
bool click_pattern_apply(struct click_pattern *pattern, struct click_flow_table *table,
			 struct click_router *router, const struct click_flow_key *flow,
			 uint64_t now_ns, struct click_flow_key *ret);

struct click_out;
/* As it can be configured. */
void click_pattern_print(const struct click_pattern *pattern, struct click_out *to);
