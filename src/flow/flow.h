/*
 * Packets' headers, and the keys by which packets of one conversation are found to belong together.
 * Plain C, no I/O, no state; flow_table.h keeps the flows.
 *
 * Everything about a packet is hostile: flow_parse() looks at nothing beyond the bytes that it was
 * given, and what it says about offsets and lengths holds within them.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

enum flow_kind {
	FLOW_OTHER, /* neither of those below, or malformed: see is_bad */
	FLOW_ARP,
	FLOW_IPV4,
	FLOW_IPV6,
};

/* What flow_parse() found out. Offsets are from the frame's first byte; 0: not there. */
struct flow_packet {
	uint8_t kind;	    /* enum flow_kind */
	uint8_t proto;	    /* IP's, behind IPv6's extension headers */
	uint8_t tcp_flags;  /* 0: not TCP */
	bool is_bad;	    /* lengths, versions or options that contradict each other */
	bool is_fragment;   /* any fragment but a whole datagram */
	bool has_ports;	    /* TCP, UDP, SCTP, UDP-Lite; in the first fragment too */
	bool is_icmp_error; /* its ports and addresses are then of the packet it is about, turned
			       round */
	uint16_t vlan;	    /* 0: none; the outermost tag's identifier */
	uint16_t l3_offset, l4_offset, payload_offset;
	uint16_t l3_len;		   /* IP's total length: what is behind it is padding */
	uint16_t source_port, target_port; /* host order; ICMP echo: the identifier in both */
	uint8_t source[16], target[16];	   /* IPv4 as ::ffff:a.b.c.d */
};

/* Of an Ethernet frame without its checksum. Returns the kind. Any bytes are fine. */
enum flow_kind flow_parse(const uint8_t *frame, uint32_t len, struct flow_packet *ret_packet);

/*
 * The key of a flow. It is the same for both directions: the endpoint that compares lower comes
 * first. DOMAIN tells apart networks whose addresses may be the same (ports, tenants). All bytes
 * count: there is no padding.
 */
struct flow_key {
	uint8_t low[16], high[16];
	uint16_t low_port, high_port;
	uint16_t vlan;
	uint16_t domain;
	uint8_t proto;
	uint8_t reserved[7];
};
_Static_assert(sizeof(struct flow_key) == 48, "keys are hashed and compared as bytes");

/* PACKET is IPv4 or IPv6 and not bad. Returns whether the packet goes from low to high. Packets
 * without ports have zeroes there. */
bool flow_key_of(const struct flow_packet *packet, uint16_t domain, struct flow_key *ret_key);
/* The key of whoever sent it (or, TO_TARGET, of whom it is for): its address alone, for policies
 * that have one chain for each client. */
void flow_key_of_host(const struct flow_packet *packet, bool to_target, uint16_t domain,
		      struct flow_key *ret_key);
/* SEED is secret, so that nobody can choose packets that collide. */
uint64_t flow_key_hash(const struct flow_key *key, uint64_t seed);

/* The sum of the Internet checksum over LEN bytes, added to SUM (0 at first); fold and complement
 * with flow_checksum_end(). */
uint64_t flow_checksum_add(uint64_t sum, const void *data, size_t len);
uint16_t flow_checksum_end(uint64_t sum); /* as it goes into the packet (network order) */
/* IPv4's header, and TCP's, UDP's and ICMP's with their pseudo headers, are right (or, UDP over
 * IPv4, absent). PACKET is what flow_parse() said of FRAME; fragments' transport is not looked at.
 */
bool flow_checksums_are_good(const uint8_t *frame, const struct flow_packet *packet);
/* Writes them. */
void flow_checksums_set(uint8_t *frame, const struct flow_packet *packet);
