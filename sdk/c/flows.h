/*
 * A table of flows of fixed size for packet functions: what to know of a conversation, found by its
 * two ends. No allocation, no lists: a flow is in one of FLOWS_WAYS places that its hash gives, and
 * where all of these are taken, the one that ends soonest makes room, unless it is to be kept.
 * The hash is multilinear, with a key for each word: whatever keys of flows somebody chooses, those
 * of two share their places by chance only, as long as he does not know the hash's.
 *
 *	struct entry { struct flow flow; uint32_t mine; };
 *	static struct entry entries[1024];
 *	static struct flows flows = FLOWS_OF(entries);
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"

#define FLOWS_WAYS  8u
#define FLOWS_WORDS 10u /* of a key of 4 bytes each */

/* Which conversation: the same for both directions. */
struct flow_key {
	uint8_t client[16], out[16]; /* addresses of the chain's two sides */
	uint16_t client_port, out_port;
	uint8_t proto;
	uint8_t reserved[3]; /* 0, or what else tells one from another */
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
	uint64_t hash_keys[FLOWS_WORDS];
};

/* ENTRIES: an array of a power of two (at least FLOWS_WAYS) of structs that begin with a flow. */
#define FLOWS_OF(array)                                                                            \
	{                                                                                          \
		(array), sizeof((array)[0]), sizeof(array) / sizeof((array)[0]) / FLOWS_WAYS,      \
			FLOWS_KEYS                                                                 \
	}
/* The hash's keys where there is no randomness: splitmix64 from 0 on. */
#define FLOWS_KEYS                                                                                 \
	{                                                                                          \
		UINT64_C(0xe220a8397b1dcdaf), UINT64_C(0x6e789e6aa1b965f4),                        \
			UINT64_C(0x06c45d188009454f), UINT64_C(0xf88bb8a8724c81ec),                \
			UINT64_C(0x1b39896a51a8749b), UINT64_C(0x53cb9f0c747ea2ea),                \
			UINT64_C(0x2c829abe1f4532e1), UINT64_C(0xc584133ac916ab3c),                \
			UINT64_C(0x3ee5789041c98ac3), UINT64_C(0xf3b8488c368cb0a6),                \
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
