/*
 * What the files of this folder share: numbers of the protocols, and reading and writing of fields,
 * which stand at any address.
 */
#pragma once

#include <stdint.h>
#include <string.h>

#include "flow/flow.h"

#define FLOW_IPV4_BYTES 20u /* without options */
#define FLOW_IPV6_BYTES 40u
#define FLOW_TCP_BYTES	20u /* without options */
#define FLOW_UDP_BYTES	8u  /* UDP-Lite's too */
#define FLOW_SCTP_BYTES 12u
#define FLOW_ICMP_BYTES 8u

enum flow_proto {
	FLOW_PROTO_ICMP = 1,
	FLOW_PROTO_TCP = 6,
	FLOW_PROTO_UDP = 17,
	FLOW_PROTO_ICMPV6 = 58,
	FLOW_PROTO_SCTP = 132,
	FLOW_PROTO_UDP_LITE = 136,
};

/* Network order. */
static inline uint16_t flow_get_u16(const uint8_t *field)
{
	return (uint16_t)(field[0] << 8 | field[1]);
}

/* What a hash is made with: words that come from one seed. */
#define FLOW_HASH_WORDS 8u
struct flow_hash {
	uint64_t words[FLOW_HASH_WORDS];
};
void flow_hash_init(struct flow_hash *hash, uint64_t seed);
/* flow_key_hash() with the seed of HASH, and faster than that. */
uint64_t flow_hash_key(const struct flow_hash *hash, const struct flow_key *key);
uint64_t flow_hash_u64(const struct flow_hash *hash, uint64_t value);
