/*
 * Headers of packets, for elements: numbers in network order wherever they stand, Internet
 * checksums, and IPv4 headers that were checked against the packet.
 *
 * A header's fields are not to be believed: struct click_ip has what is really there. Nothing here
 * allocates, and nothing keeps a pointer.
 */
#pragma once

#include <click.h>

#define CLICK_ETHER_HEADER 14u
#define CLICK_IP_HEADER	   20u /* without options */
#define CLICK_TCP_HEADER   20u
#define CLICK_UDP_HEADER   8u
#define CLICK_ICMP_HEADER  8u
#define CLICK_ARP_HEADER   28u /* of Ethernet and IPv4 */

#define CLICK_ETHERTYPE_IP   0x0800u
#define CLICK_ETHERTYPE_ARP  0x0806u
#define CLICK_ETHERTYPE_VLAN 0x8100u
#define CLICK_ETHERTYPE_IP6  0x86ddu

#define CLICK_IP_DF	0x4000u
#define CLICK_IP_MF	0x2000u
#define CLICK_IP_OFFSET 0x1fffu

/* The annotation (of one byte in anno) of the byte that IPGWOptions found wrong. */
#define CLICK_ICMP_PARAMPROB 17

enum click_ip_protocol {
	CLICK_ICMP = 1,
	CLICK_TCP = 6,
	CLICK_UDP = 17,
};

/* What packet_type holds. */
enum click_packet_type {
	CLICK_TO_HOST,
	CLICK_TO_BROADCAST,
	CLICK_TO_MULTICAST,
	CLICK_TO_OTHER_HOST,
	CLICK_OUTGOING,
};

/* Numbers in network order, aligned or not. */
static inline uint16_t click_get_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

static inline uint32_t click_get_u32(const uint8_t *at)
{
	return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static inline void click_put_u16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

static inline void click_put_u32(uint8_t *at, uint32_t value)
{
	click_put_u16(at, value >> 16);
	click_put_u16(at + 2, value);
}

/* An address as it stands in a packet, in network order as annotations and arguments are. */
uint32_t click_get_address(const uint8_t *at);
void click_put_address(uint8_t *at, uint32_t address);
/* In host order, to compare and to calculate with. */
uint32_t click_address_to_host(uint32_t address);
uint32_t click_address_to_network(uint32_t host);

/* --- checksums (RFC 1071); values are in host order, for click_put_u16() --- */

/* Adds LEN bytes to a running sum, which begins with 0. Only the last part may have an odd LEN. */
uint32_t click_sum(uint32_t sum, const uint8_t *data, uint32_t len);
/* The checksum of what was summed. */
uint16_t click_sum_finish(uint32_t sum);
/* The checksum of LEN bytes; 0 if they contain a right one. */
uint16_t click_checksum(const uint8_t *data, uint32_t len);
/* The sum of the pseudo header for a payload of LEN bytes. */
uint32_t click_sum_pseudo(uint32_t src, uint32_t dst, uint8_t protocol, uint32_t len);
/* CHECKSUM after a field went from OLD to NEW (RFC 1624, equation 3). */
uint16_t click_checksum_update_u16(uint16_t checksum, uint16_t old, uint16_t new);
uint16_t click_checksum_update_u32(uint16_t checksum, uint32_t old, uint32_t new);

/* --- IPv4 --- */

struct click_ip {
	uint8_t *header;
	uint32_t header_len;
	uint8_t *payload;
	uint32_t payload_len; /* what both the header and the packet have of it */
	uint32_t total_len;   /* as the header says */
	uint16_t fragment;    /* flags and offset */
	uint8_t protocol;
};

/* The IPv4 header of PACKET, whose network header is set. False: it is not set, or there is no
 * whole header with sane lengths. */
bool click_ip_get(const struct click_packet *packet, struct click_ip *ret);
/* The same at OFFSET of the data. */
bool click_ip_get_at(const struct click_packet *packet, int32_t offset, struct click_ip *ret);
/* Whether the transport header is there: no fragment, or the first. */
static inline bool click_ip_is_first(const struct click_ip *ip)
{
	return (ip->fragment & CLICK_IP_OFFSET) == 0;
}

/* Computes the header's checksum anew. */
void click_ip_set_checksum(uint8_t *header, uint32_t header_len);
/* An IPv4 header of 20 bytes without the lengths' and identification's checks: TOTAL_LEN and ID are
 * in host order, addresses in network order. Its checksum is right. */
struct click_ip_fields {
	uint32_t src, dst;
	uint32_t total_len;
	uint16_t id, fragment;
	uint8_t tos, ttl, protocol;
};
void click_ip_write(uint8_t *header, const struct click_ip_fields *fields);
/* Notes that PACKET's IP header is at OFFSET of its data and has HEADER_LEN bytes. */
void click_ip_mark(struct click_packet *packet, int32_t offset, uint32_t header_len);
/* The checksum of IP's payload under the pseudo header; 0 if there is a right one within. */
uint16_t click_ip_payload_checksum(const struct click_ip *ip);

/* Gives TO the annotations of FROM: all but what says where headers are. */
void click_copy_annotations(struct click_packet *to, const struct click_packet *from);

/* Notes that PACKET begins with an Ethernet header, and the network's is behind it. */
void click_ether_mark(struct click_packet *packet);
/* What an Ethernet address means to a host with the address OWN. */
enum click_packet_type click_ether_type(const uint8_t *dst, const uint8_t own[6]);
