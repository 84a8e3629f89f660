/* Frames for the host's tests, and two hosts on a wire. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "nic/host.h"

#define FIXTURE_FRAME_MAX 2048u

extern const uint8_t fixture_mac[6], fixture_peer_mac[6], fixture_everybody[6];
/* 10.0.0.1/24 and 2001:db8::1/64 are the host's; .2 and ::2 its peer's; the gateways are .254 and
 * ::fe. */
extern const uint8_t fixture_ip4[16], fixture_peer4[16], fixture_gateway4[16];
extern const uint8_t fixture_ip6[16], fixture_peer6[16], fixture_gateway6[16];
extern const uint8_t fixture_far4[16], fixture_far6[16];

struct fixture_frame {
	uint8_t data[FIXTURE_FRAME_MAX];
	uint32_t len;
};

/* The host, or its peer, with as many neighbours as a set has. */
struct nic_host *fixture_host(bool is_peer, uint32_t neighbours_max);

/* The frames are from the peer to the host, and right. */
void fixture_arp(struct fixture_frame *frame, uint16_t operation, const uint8_t source[16],
		 const uint8_t target[16]);
/* A header for SOURCE's family, and LEN bytes for the caller, whose place is returned. */
uint8_t *fixture_ip(struct fixture_frame *frame, uint8_t proto, const uint8_t source[16],
		    const uint8_t target[16], uint32_t len);
void fixture_finish(struct fixture_frame *frame); /* checksums */
void fixture_udp(struct fixture_frame *frame, const uint8_t source[16], const uint8_t target[16],
		 uint16_t port, uint32_t len);
void fixture_echo(struct fixture_frame *frame, const uint8_t source[16], const uint8_t target[16],
		  uint32_t len);
/* A solicitation (135) or advertisement (136) about SUBJECT, with the peer's MAC address. */
void fixture_ndp(struct fixture_frame *frame, uint8_t type, const uint8_t source[16],
		 const uint8_t target[16], const uint8_t subject[16], bool has_option);

/* Gives FRAME, in memory of exactly its length, to HOST. */
enum nic_host_verdict fixture_input(struct nic_host *host, const struct fixture_frame *frame,
				    uint64_t now_ns, struct fixture_frame *ret_reply,
				    struct nic_host_datagram *ret_datagram);
/* What the host wrote is a frame that others can read. */
void fixture_check(const struct fixture_frame *frame, struct flow_packet *ret_packet);
