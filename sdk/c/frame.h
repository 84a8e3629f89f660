/*
 * Frames for packet functions: what an Ethernet frame holds, found with every length checked, and
 * the arithmetic of the Internet checksum. Addresses are 16 bytes: IPv6, or IPv4 as ::ffff:a.b.c.d.
 *
 * Nothing is allocated. Offsets count from the frame's first byte; multi-byte fields of a frame are
 * read byte by byte, as they may be anywhere.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define FRAME_ARP   0x0806u
#define FRAME_IPV4  0x0800u
#define FRAME_IPV6  0x86ddu
#define FRAME_ICMP  1u
#define FRAME_TCP   6u
#define FRAME_UDP   17u
#define FRAME_ICMP6 58u

#define FRAME_FIN 0x01u
#define FRAME_SYN 0x02u
#define FRAME_RST 0x04u
#define FRAME_PSH 0x08u
#define FRAME_ACK 0x10u
#define FRAME_URG 0x20u

struct frame {
	uint8_t *data; /* borrowed from who called frame_parse() */
	uint32_t len;
	uint16_t type;	    /* of Ethernet, behind up to two VLAN tags */
	uint8_t version;    /* of IP: 4, 6, or 0: it is something else */
	uint8_t proto;	    /* of what is behind the IP header and its extensions */
	uint32_t ip;	    /* where the IP header is */
	uint32_t transport; /* where what is behind it is */
	uint32_t payload;   /* behind the header of TCP, UDP, ICMP; transport: there is none */
	uint32_t end;	    /* of the IP packet: what is behind is padding */
	bool is_fragment;
	bool has_transport;	  /* the header of TCP, UDP or ICMP is there, whole */
	uint32_t fragment_id;	  /* of fragments */
	uint32_t fragment_offset; /* in bytes */
	uint32_t fragment_begin;  /* where the fragment's part of its datagram is */
	uint8_t source[16], target[16];
	uint16_t source_port, target_port; /* 0 where there are none */
	uint8_t tcp_flags;		   /* TCP: these three */
	uint32_t seq, ack;
	uint16_t window;
	uint8_t icmp_type, icmp_code;
};

/* False: it is not well formed (truncated, lengths that contradict each other, more than eight
 * extension headers or two for fragments, addresses of IPv6 that stand for IPv4's). What is not IP
 * is fine and has version 0. */
bool frame_parse(struct frame *ret_frame, uint8_t *data, uint32_t len);
/* The packet that an ICMP error in OUTER quotes; its end may be missing, its first 8 bytes of TCP,
 * UDP or ICMP not: has_transport says that ports are there (seq too; nothing behind). False: it
 * quotes none. */
bool frame_parse_quoted(struct frame *ret_frame, const struct frame *outer);
/* Is it an error of ICMP or ICMPv6, which quotes a packet? */
bool frame_is_icmp_error(const struct frame *frame);

uint16_t frame_u16(const uint8_t *at);
uint32_t frame_u32(const uint8_t *at);
void frame_put_u16(uint8_t *at, uint32_t value);
void frame_put_u32(uint8_t *at, uint32_t value);

/* The sum of LEN bytes in ones' complement, added to SUM; not folded. */
uint32_t frame_sum(const uint8_t *data, uint32_t len, uint32_t sum);
/* The checksum that stands for SUM. */
uint16_t frame_fold(uint32_t sum);
/* Corrects the checksum at AT for LEN bytes (an even number) that change from OLD to NEW, which
 * begin at an even offset of what it covers (RFC 1624). */
void frame_adjust(uint8_t *at, const uint8_t *old, const uint8_t *new, uint32_t len);
/* Computes the checksums of IP and of TCP, UDP or ICMP anew. The frame is no fragment. */
void frame_fill_checksums(struct frame *frame);
/* Is that of TCP, UDP or ICMP right? True also where there is none: IPv4's UDP may have 0, and
 * others have none. The frame is no fragment; IP's own is not looked at. */
bool frame_checksum_is_right(const struct frame *frame);
/* Replaces the source or target address by one of the same version, with checksums. */
void frame_set_address(struct frame *frame, bool is_target, const uint8_t address[16]);

bool frame_is_ipv4(const uint8_t address[16]);
/* "10.1.2.3", "2001:db8::1"; false: it is neither. */
bool frame_parse_address(const char *text, uint32_t len, uint8_t ret[16]);
/* The same with "/LENGTH"; *RET_BITS is of 128. */
bool frame_parse_prefix(const char *text, uint32_t len, uint8_t ret[16], uint8_t *ret_bits);
/* False for an address of the other version of IP. */
bool frame_prefix_has(const uint8_t prefix[16], uint8_t bits, const uint8_t address[16]);
/* "02:00:00:00:00:01". */
bool frame_parse_mac(const char *text, uint32_t len, uint8_t ret[6]);
