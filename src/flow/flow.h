/*
 * Packets' headers, and the keys by which packets of one conversation are found to belong together.
 * Plain C, no I/O, no state, any thread; flow_table.h keeps the flows.
 *
 * Everything about a packet is hostile: flow_parse() looks at nothing beyond the bytes that it was
 * given, and what it says about offsets and lengths holds within them, also when the bytes are
 * changed afterwards: the functions that take a packet's description believe only that.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

#define FLOW_EXTENSIONS_MAX 8u /* of IPv6, in one packet; one with more is bad */

enum flow_kind {
	FLOW_OTHER, /* none of those below, or malformed: see is_bad */
	FLOW_ARP,   /* for IPv4 over Ethernet */
	FLOW_IPV4,
	FLOW_IPV6,
};

/*
 * What flow_parse() found out. Offsets are from the frame's first byte; 0: not there.
 *
 * Bad is what contradicts itself: lengths that go beyond others, the wrong version, options that do
 * not fit, headers of transport that are cut off (in a first fragment too), IPv4's addresses within
 * IPv6's, an ICMP error for somebody else than the sender of what it is about. So are fragments
 * that no datagram can have, and what is source routed, as its target is not where it goes. A bad
 * packet is of kind FLOW_OTHER, and nothing else is said of it but its tags. Checksums are not
 * looked at.
 */
struct flow_packet {
	uint8_t kind;	    /* enum flow_kind */
	uint8_t proto;	    /* IP's, behind IPv6's extension headers */
	uint8_t tcp_flags;  /* 0: not TCP */
	bool is_bad;	    /* see above */
	bool is_fragment;   /* any fragment but a whole datagram */
	bool has_ports;	    /* TCP, UDP, SCTP, UDP-Lite; in the first fragment too */
	bool is_icmp_error; /* proto, ports and addresses are then of the packet it is about, turned
			       round; offsets and lengths remain its own */
	uint16_t vlan;	    /* 0: none; the outermost tag's identifier */
	uint16_t inner_vlan; /* 0: none; that of the tag behind it */
	/* What is behind two tags is of kind FLOW_OTHER. Fragments but the first have no l4_offset,
	 * ARP has none either. */
	uint16_t l3_offset, l4_offset, payload_offset;
	uint16_t l3_len;      /* IP's total length: what is behind it is padding */
	uint16_t payload_len; /* behind the last header that is known; UDP's own length counts */
	uint16_t source_port, target_port; /* host order; ICMP echo: the identifier in both */
	uint8_t source[16], target[16];	   /* IPv4 as ::ffff:a.b.c.d; ARP: the protocol addresses */
};

/* Of an Ethernet frame without its checksum. Returns the kind. Any bytes are fine. */
enum flow_kind flow_parse(const uint8_t *frame, uint32_t len, struct flow_packet *ret_packet);

/*
 * The key of a flow. It is the same for both directions: the endpoint that compares lower comes
 * first. DOMAIN tells apart networks whose addresses may be the same (ports, tenants), and so do
 * VLANs' tags. All bytes count: there is no padding.
 */
struct flow_key {
	uint8_t low[16], high[16];
	uint16_t low_port, high_port;
	uint16_t vlan, inner_vlan;
	uint16_t domain;
	uint8_t proto;
	uint8_t reserved[5];
};
_Static_assert(sizeof(struct flow_key) == 48, "keys are hashed and compared as bytes");

/* PACKET is IPv4 or IPv6 (not bad). Returns whether it goes from low to high. Packets without ports
 * or identifiers have zeroes there: fragments but the first are not of their datagram's flow. */
bool flow_key_of(const struct flow_packet *packet, uint16_t domain, struct flow_key *ret_key);
/* The key of whoever sent it (or, TO_TARGET, of whom it is for): its address alone, for policies
 * that have one chain for each client. ARP is fine, too. */
void flow_key_of_host(const struct flow_packet *packet, bool to_target, uint16_t domain,
		      struct flow_key *ret_key);
/* SEED is secret, so that nobody can choose packets that collide. */
uint64_t flow_key_hash(const struct flow_key *key, uint64_t seed);

/* The sum of the Internet checksum (RFC 1071) over LEN bytes, added to SUM (0 at first); fold and
 * complement with flow_checksum_end(). All pieces but the last have even lengths, and all together
 * are less than 4 GiB. */
uint64_t flow_checksum_add(uint64_t sum, const void *data, size_t len);
uint16_t flow_checksum_end(uint64_t sum); /* as it goes into the packet (network order) */
/*
 * IPv4's header, and the checksums of TCP, UDP, UDP-Lite and ICMP with their pseudo headers, are
 * right (or, UDP over IPv4, absent). Others, SCTP's among them, and fragments' transport are not
 * looked at. PACKET is what flow_parse() said of FRAME; false when it is bad.
 */
bool flow_checksums_are_good(const uint8_t *frame, const struct flow_packet *packet);
/* Writes those. Nothing is written to a bad packet. */
void flow_checksums_set(uint8_t *frame, const struct flow_packet *packet);
