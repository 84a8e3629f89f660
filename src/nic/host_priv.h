/* What the files of the host share. */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "nic/host.h"

#define HOST_ETHER_LEN 14u
#define HOST_IPV4_LEN  20u
#define HOST_IPV6_LEN  40u
#define HOST_UDP_LEN   8u
#define HOST_ICMP_LEN  8u
#define HOST_ARP_LEN   28u
#define HOST_TTL       64u
#define HOST_TTL_LINK  255u /* of NDP: nobody forwarded it */

#define HOST_TYPE_IPV4 0x0800u
#define HOST_TYPE_ARP  0x0806u
#define HOST_TYPE_IPV6 0x86ddu

#define HOST_PROTO_ICMP	  1u
#define HOST_PROTO_UDP	  17u
#define HOST_PROTO_ICMPV6 58u

#define HOST_SET_SIZE 8u
#define HOST_DUE_MAX  16u
#define HOST_ANNOUNCE 2u /* times */

struct host_neighbour {
	uint8_t address[16];
	uint8_t mac[6];
	bool is_used, is_static, is_known, was_asked;
	uint8_t requests;      /* that nobody answered */
	uint64_t confirmed_ns; /* when the MAC address was last heard of */
	uint64_t requested_ns; /* WAS_ASKED */
	uint64_t touched_ns;   /* when it was last used */
};

struct host_own {
	struct nic_host_address address;
	bool is_ipv4;
	uint8_t announcements; /* still to be made */
	uint64_t announce_ns;  /* not before */
	bool was_defended;
	uint64_t defended_ns;
};

/* So many a second, and as many at once. */
struct host_limit {
	uint32_t rate;
	uint32_t left;
	uint64_t filled_ns;
};

struct nic_host {
	uint8_t mac[6];
	uint16_t mtu;
	uint8_t gateway4[16], gateway6[16];
	bool has_gateway4, has_gateway6;
	struct host_own own[NIC_HOST_ADDRESSES_MAX + 1];
	unsigned own_count;
	struct host_limit requests, errors;
	struct nic_host_stats stats;
	/* Neighbours that are used and want to be asked again; nic_host_poll() asks. */
	uint8_t due[HOST_DUE_MAX][16];
	unsigned due_count;
	uint64_t seed;
	uint32_t sets_mask;
	struct host_neighbour neighbours[];
};

/* host.c */
/* Somebody else has OWN's address: counted. Whether it is to be defended now. */
bool host_must_defend(struct nic_host *host, struct host_own *own, uint64_t now_ns);
bool host_is_ipv4(const uint8_t address[16]);
bool host_is_zero(const uint8_t *bytes, size_t len);
bool host_is_group(const uint8_t address[16]); /* IPv4's broadcast, too */
bool host_is_link_local(const uint8_t address[16]);
/* An address that somebody may have: no group, not 0, not loopback, no broadcast of ours. */
bool host_is_possible(const struct nic_host *host, const uint8_t address[16]);
struct host_own *host_find_own(struct nic_host *host, const uint8_t address[16]);
/* The address of ours whose prefix ADDRESS is in, or NULL. */
const struct host_own *host_find_link(const struct nic_host *host, const uint8_t address[16]);
bool host_limit_take(struct host_limit *limit, uint64_t now_ns);
bool host_mac_is_possible(const uint8_t mac[6]);

/* host_neighbour.c */
struct host_neighbour *host_neighbour_find(struct nic_host *host, const uint8_t address[16]);
/* Somebody said that it has MAC. MAY_ADD: a neighbour that is not known yet becomes one. */
void host_neighbour_learn(struct nic_host *host, const uint8_t address[16], const uint8_t mac[6],
			  bool may_add, uint64_t now_ns);
/* 0: RET_MAC is known; -EAGAIN, and OUT may have a request; -EHOSTUNREACH. */
int host_neighbour_resolve(struct nic_host *host, const uint8_t address[16], uint64_t now_ns,
			   uint8_t ret_mac[6], struct nic_host_buffer *out);

/* host_write.c: the host's own frames. Each returns false, and counts, when OUT has no room. */
struct host_route {
	uint8_t source_mac[6], target_mac[6];
	uint8_t source[16], target[16];
	uint8_t proto, ttl;
};
/* Ethernet and IP for LEN bytes of payload; returns the payload's place, or NULL. */
uint8_t *host_write_ip(struct nic_host *host, const struct host_route *route, uint32_t len,
		       struct nic_host_buffer *out);
/* IP's and its payload's checksums, when the payload is there. */
void host_write_checksums(struct nic_host_buffer *out);
bool host_write_arp(struct nic_host *host, uint16_t operation, const uint8_t target_mac[6],
		    const uint8_t source[16], const uint8_t target[16],
		    struct nic_host_buffer *out);
void host_put16(uint8_t *out, uint16_t value);
uint16_t host_get16(const uint8_t *in);

/* host_arp.c, host_ndp.c, host_icmp.c */
enum nic_host_verdict host_arp_input(struct nic_host *host, const uint8_t *frame,
				     const struct flow_packet *packet, uint64_t now_ns,
				     struct nic_host_buffer *reply);
bool host_arp_request(struct nic_host *host, const uint8_t address[16],
		      struct nic_host_buffer *out);
bool host_arp_announce(struct nic_host *host, const struct host_own *own,
		       struct nic_host_buffer *out);
enum nic_host_verdict host_ndp_input(struct nic_host *host, const uint8_t *frame,
				     const struct flow_packet *packet, uint64_t now_ns,
				     struct nic_host_buffer *reply);
bool host_ndp_request(struct nic_host *host, const uint8_t address[16],
		      struct nic_host_buffer *out);
bool host_ndp_announce(struct nic_host *host, const struct host_own *own,
		       struct nic_host_buffer *out);
bool host_ndp_is_ours(struct nic_host *host, const uint8_t *frame,
		      const struct flow_packet *packet);
enum nic_host_verdict host_icmp_input(struct nic_host *host, const uint8_t *frame,
				      const struct flow_packet *packet,
				      struct nic_host_buffer *reply);
