/*
 * A table of flows of fixed size for packet functions: what to know of a conversation, found by its
 * two ends. No allocation, no lists: a flow is in one of FLOWS_WAYS places that its hash gives, and
 * where all of these are taken, the one that ends soonest makes room, unless it is to be kept.
 *
 *	struct entry { struct flow flow; uint32_t mine; };
 *	static struct entry entries[1024];
 *	static struct flows flows = FLOWS_OF(entries);
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

#define FLOWS_WAYS 8u

/* Which conversation: the same for both directions. */
struct flow_key {
	uint8_t client[16], out[16]; /* addresses of the chain's two sides */
	uint16_t client_port, out_port;
	uint8_t proto;
	uint8_t reserved[3]; /* 0 */
};

/* At the head of an entry. */
struct flow {
	struct flow_key key;
	uint64_t ends_ns; /* over from then on; 0: the place is free */
	bool is_kept;	  /* not to make room before it is over */
};

struct flows {
	void *entries;
	uint32_t entry_bytes, sets; /* of FLOWS_WAYS entries each */
	uint32_t seed;
};

/* ENTRIES: an array of a power of two (at least FLOWS_WAYS) of structs that begin with a flow. */
#define FLOWS_OF(array)                                                                            \
	{                                                                                          \
		(array), sizeof((array)[0]), sizeof(array) / sizeof((array)[0]) / FLOWS_WAYS,      \
			2166136261u                                                                \
	}

/* The key of FRAME, which came from the client side or not. Echoes of ICMP have their identifier
 * for ports. */
struct flow_key flow_key_of(const struct frame *frame, bool is_from_client);
/* Begins the hash at random: once in each instance, before its first flow. */
void flows_seed(struct flows *flows);
/* NULL: not there, or over. */
void *flows_find(const struct flows *flows, const struct flow_key *key, uint64_t now_ns);
/* A cleared place for KEY, which is not in the table; it is there as soon as its ends_ns is set.
 * *RET_EVICTED (or NULL) says whether another one made room. NULL: all to be kept. */
void *flows_add(struct flows *flows, const struct flow_key *key, uint64_t now_ns,
		bool *ret_evicted);
