/*
 * A host on a port: what the kernel does for an interface, for the few protocols that an endpoint
 * of ours needs: ARP, NDP, ICMP echo, and UDP's way in and out.
 *
 * Concepts
 * - A host is a port's addresses, its gateways, and a table of neighbours: who has which MAC
 *   address, learned or set.
 * - Pure functions over bytes: frames come in by nic_host_input(), answers and what is to be sent
 *   are written into buffers of the caller's. There is no clock, device or thread in here.
 * - Addresses are 16 bytes, IPv4's as ::ffff:a.b.c.d, as flow.h has them.
 * - A datagram's answer goes to the MAC address that its question came from, so that nobody can
 * make the host ask around by asking it something.
 *
 * Everything in a frame is hostile. The table of neighbours has a fixed size: it is made of sets of
 * eight, into which addresses are put by a secret hash, and where a new neighbour takes the place
 * of the one that is worth least. Requests, errors and defences are limited a second.
 *
 * What is not done: fragments are dropped and counted; routers are not learned (advertisements and
 * redirects are ignored), the gateways are those of the configuration; own addresses are defended,
 * and announced, but not probed for before they are used; nobody is answered who asks a group.
 *
 * Threads: a host is one thread's. Nothing is allocated after nic_host_new(). Times are those of
 * eos_now_ns(), and do not go back.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"
#include "flow/flow.h"

#define NIC_HOST_ADDRESSES_MAX	16u
#define NIC_HOST_NEIGHBOURS_MAX 65536u
#define NIC_HOST_HEADERS_MAX	62u /* bytes before a datagram: Ethernet, IPv6, UDP */
#define NIC_HOST_CONTROL_MAX                                                                       \
	1280u /* bytes that any frame of the host's own fits into, but echoes */

#define NIC_HOST_FRESH_NS      UINT64_C(30000000000) /* then a neighbour is asked again when used */
#define NIC_HOST_STALE_NS      UINT64_C(300000000000) /* then it is forgotten */
#define NIC_HOST_RETRY_NS      UINT64_C(1000000000)   /* between requests for one address */
#define NIC_HOST_RETRIES       3u
#define NIC_HOST_DEFEND_NS     UINT64_C(10000000000) /* between defences of one address */
#define NIC_HOST_REQUESTS_RATE 100u		     /* a second, all together */
#define NIC_HOST_ERRORS_RATE   100u		     /* ICMP's, a second */

struct nic_host;

struct nic_host_address {
	uint8_t address[16];
	uint8_t prefix_len; /* of IPv4: 0 to 32; of IPv6: 0 to 128. What it covers is on the link */
};

struct nic_host_config {
	uint8_t mac[6];
	uint16_t mtu;				  /* 0: 1,500 */
	const struct nic_host_address *addresses; /* copied */
	size_t addresses_count;
	uint8_t gateway4[16], gateway6[16]; /* all zero: none */
	bool without_link_local; /* else fe80::… is made of MAC, if there is any IPv6 */
	uint32_t neighbours_max; /* 0: 1,024; a power of two, from 8 on */
	uint64_t seed;		 /* secret */
	uint64_t now_ns;
};

/* -EINVAL: WHY names the value; -ENOMEM. */
int nic_host_new(const struct nic_host_config *config, struct nic_host **ret_host,
		 struct eos_why *why) EOS_MUST_CHECK;
struct nic_host *nic_host_free(struct nic_host *host);

/* Where a frame is written. LEN is 0 when there is none. It must not overlap the frame that came.
 */
struct nic_host_buffer {
	uint8_t *data;
	uint32_t capacity;
	uint32_t len;
};

struct nic_host_datagram {
	const uint8_t *payload; /* borrowed from the frame */
	uint32_t len;
	uint8_t local[16], peer[16];
	uint16_t local_port, peer_port;
	uint8_t peer_mac[6];
	bool has_peer_mac;
};

enum nic_host_verdict {
	NIC_HOST_NOT_OURS, /* for another address or protocol, tagged, or malformed and not for us
			    */
	NIC_HOST_TAKEN,	   /* and done with; what was wrong with it is counted */
	NIC_HOST_ANSWERED, /* REPLY has a frame to send */
	NIC_HOST_UDP,	   /* for one of our addresses: DATAGRAM says what */
	NIC_HOST_LOCAL, /* for one of our addresses, of a protocol that is not done here: TCP… */
};

/*
 * PACKET is what flow_parse() said of FRAME. CHECKSUMS_GOOD: the device has looked at them, so they
 * are not computed again. An answer that REPLY has no room for is dropped and counted.
 */
enum nic_host_verdict nic_host_input(struct nic_host *host, const uint8_t *frame, uint32_t len,
				     const struct flow_packet *packet, bool checksums_good,
				     uint64_t now_ns, struct nic_host_buffer *reply,
				     struct nic_host_datagram *ret_datagram);

/* For UDP or LOCAL, when nobody wants it: REPLY is an ICMP error (port or protocol unreachable).
 * False: none is due, as there were too many, or as the packet does not deserve one. */
bool nic_host_refuse(struct nic_host *host, const uint8_t *frame, uint32_t len,
		     const struct flow_packet *packet, uint64_t now_ns,
		     struct nic_host_buffer *reply);

/*
 * Writes the frame of a datagram into OUT, whose capacity must be for NIC_HOST_HEADERS_MAX bytes
 * more than the payload. The payload may already be where it belongs, behind the headers.
 *
 * -EAGAIN: the next hop's MAC address is not known yet; if OUT->len is not 0, a request for it was
 * written to OUT instead, which is to be sent; the datagram may be tried again later.
 * -EHOSTUNREACH: nobody answers there; -ENETUNREACH: no address of ours, or gateway, for it;
 * -EADDRNOTAVAIL: LOCAL is not ours; -EMSGSIZE: longer than the MTU or OUT; -EINVAL: a port of 0,
 * or a peer that is a group.
 */
int nic_host_output(struct nic_host *host, const struct nic_host_datagram *datagram,
		    uint64_t now_ns, struct nic_host_buffer *out) EOS_MUST_CHECK;

/* Frames that are due by themselves: announcements, and requests that confirm what is used. True:
 * OUT has one, and there may be more. To be called some times a second. */
bool nic_host_poll(struct nic_host *host, uint64_t now_ns, struct nic_host_buffer *out);

bool nic_host_has_address(const struct nic_host *host, const uint8_t address[16]);

/* One that is never forgotten. -EINVAL: a group's; -ENOSPC: its set has no room. */
int nic_host_neighbour_set(struct nic_host *host, const uint8_t address[16],
			   const uint8_t mac[6]) EOS_MUST_CHECK;
/* -ENOENT. */
int nic_host_neighbour_remove(struct nic_host *host, const uint8_t address[16]) EOS_MUST_CHECK;

struct nic_host_neighbour {
	uint8_t address[16], mac[6];
	bool is_static, is_known; /* its MAC address is */
	uint64_t confirmed_ns;
};
/* The first at or behind *POSITION, which is moved behind it; begin with 0. False: no more. */
bool nic_host_neighbour_next(const struct nic_host *host, uint32_t *position,
			     struct nic_host_neighbour *ret_neighbour);

struct nic_host_stats {
	uint64_t arp_requests, arp_replies, ndp_solicitations, ndp_advertisements; /* taken */
	uint64_t echoes, datagrams, refused;
	uint64_t bad; /* malformed, or from impossible addresses */
	uint64_t bad_checksums;
	uint64_t fragments;
	uint64_t conflicts; /* somebody else says that one of our addresses is its own */
	uint64_t neighbours_evicted, requests_sent, requests_limited, errors_limited;
	uint64_t no_room; /* in a reply's buffer */
};
void nic_host_stats(const struct nic_host *host, struct nic_host_stats *ret_stats);
