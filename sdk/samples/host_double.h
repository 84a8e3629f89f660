/*
 * What stands for a node in the unit tests of packet functions: the host's functions that
 * edgeos_packet.h names, a clock that the test moves, and frames to send. A test links it with its
 * function's files, whose edgeos_init() and edgeos_packet() it calls as a node does.
 *
 * A packet is copied into the function's slot; under AddressSanitizer what is behind it is
 * poisoned, so that reading beyond its end is found. After each packet host_check() is done: what
 * leaves lies within the slot, and the counters are what a node accepts.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "edgeos_packet.h"

#define HOST_SENT_MAX 1024u
#define HOST_SECOND   UINT64_C(1000000000)

/* What the function did with the last packet. */
struct host_result {
	uint32_t verdict;
	uint32_t len; /* of what leaves by the verdict; DATA is it */
	uint8_t data[EDGEOS_PACKET_MAX];
};

#define HOST_SHUTS_MAX 64u
#define HOST_INFOS_MAX 8u

/* What edgeos_stream_shut() was given. */
struct host_shut {
	uint32_t port, peer, how;
	unsigned sent_before; /* of host_sent */
};

struct host_sent {
	uint32_t port, peer, len;
	uint8_t *data;
};

extern uint64_t host_now_ns;
extern struct host_result host_result;
/* What edgeos_packet_send() was given since host_forget_sent(). */
extern struct host_sent host_sent[HOST_SENT_MAX];
extern unsigned host_sent_count;
extern uint32_t host_frame_flags; /* of frames, as a device may say that checksums are right */
extern int host_send_error;	  /* what edgeos_packet_send() answers, unless it is 0 */
extern bool host_tail_is_usable;  /* answers may be longer than the packet: nothing is poisoned */
extern unsigned host_closed;	  /* streams */
extern struct host_shut host_shuts[HOST_SHUTS_MAX];
extern unsigned host_shuts_count; /* the test sets it back */
/* What edgeos_stream_info() knows of all streams, by WHAT; NULL: nothing. */
extern const char *host_infos[HOST_INFOS_MAX];

/* Configuration of the next host_start(); VALUE NULL: none any more. KEY NULL: nothing at all. */
void host_set(const char *key, const char *value);
/* Another name of a port, or next hop, from EDGEOS_PORT_NEXT on. */
void host_add_port(const char *name);
/* A day later, runs edgeos_init(). False: it refused its configuration, host_log says why. */
bool host_start(void);
extern char host_log[512];

/* One packet. Returns the verdict; the rest is in host_result. */
uint32_t host_frame(uint32_t port, const uint8_t *data, uint32_t len);
uint32_t host_datagram(uint32_t peer, const void *data, uint32_t len);
uint32_t host_stream(uint32_t peer, uint32_t flags, const void *data, uint32_t len);
/* The same by a way out. */
uint32_t host_stream_by(uint32_t port, uint32_t peer, uint32_t flags, const void *data,
			uint32_t len);
void host_forget_sent(void);
uint64_t host_counter(const char *name);
/* edgeos_timer(ID) if it was set and its time has come. */
bool host_timer_due(uint32_t id);
uint32_t host_random(void);

/* --- frames --- */

struct host_packet {
	uint8_t proto;
	const char *source, *target; /* addresses as text, both of one version */
	uint16_t source_port, target_port;
	uint8_t flags; /* of TCP */
	uint32_t seq, ack;
	uint16_t window; /* 0: 65,535 */
	uint8_t icmp_type, icmp_code;
	const void *payload;
	uint32_t payload_len;
	uint32_t fragment;    /* the field of IPv4: offset / 8, and 0x2000: more follow */
	uint16_t fragment_id; /* of IPv4 */
	bool has_vlan;
	uint8_t source_mac, target_mac; /* the last byte of 02:00:00:00:00:xx */
};

/* Writes it with right checksums; returns its length. */
uint32_t host_make(uint8_t *out, const struct host_packet *packet);
/* Are the checksums of IP, and of TCP, UDP or ICMP, right? */
bool host_checksums_are_right(const uint8_t *data, uint32_t len);
/* Sends each beginning of FRAME, then COUNT copies with some bytes changed, by both sides. */
void host_be_hostile(const uint8_t *frame, uint32_t len, unsigned count);
