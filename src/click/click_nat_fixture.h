/*
 * For tests of NAT: IP packets with right checksums, what flows they are of, and what becomes of
 * them in one router.
 */
#pragma once

#include <sdk/click/ip.h>

#include "click/click_flow_fixture.h"

#define SECOND_NS 1000000000ull
#define INSIDE	  0u
#define OUTSIDE	  1u
#define NAT_PORTS 50u

struct flow {
	uint32_t saddr, daddr; /* host order */
	uint16_t sport, dport; /* of echoes: a request's identifier, or a reply's */
	uint8_t protocol;
};

extern struct fixture fixture;

#define NAT(rewriter)                                                                              \
	"FromDevice(0) -> MarkIPHeader(0) -> [0]rw; FromDevice(1) -> MarkIPHeader(0) -> [1]rw;\n"  \
	"rw :: " rewriter ";\n"                                                                    \
	"rw[0] -> ToDevice(1); rw[1] -> ToDevice(0);\n"

/* A checksum as RFC 1071 tells it, without anything of the elements' code. */
uint32_t nat_sum(const uint8_t *data, uint32_t len);
uint16_t nat_checksum(uint32_t sum);
/* Of what is behind an IP header of 20 bytes. */
uint16_t nat_transport_checksum(const uint8_t *packet, uint32_t len);
/* An IP packet with SIZE random bytes of payload; its length. */
uint32_t nat_make(uint8_t *packet, const struct flow *flow, uint32_t size, uint8_t tcp_flags);
struct flow nat_flow_of(const struct fixture_packet *packet);
bool nat_is_same(const struct flow *a, const struct flow *b);
struct flow nat_reverse(const struct flow *flow);
/* FLOW's packet comes by DEVICE. The one packet that was sent for it, with right checksums and the
 * same payload, or NULL. */
const struct fixture_packet *nat_pass(unsigned device, const struct flow *flow, uint32_t size,
				      uint8_t tcp_flags);
void nat_load(const char *config);
/* One of few, so that they meet. */
struct flow nat_random_flow(void);
/* From one host inside to one server. */
struct flow nat_tcp(uint16_t sport);
struct flow nat_udp(uint16_t sport);
/* Whether the flow that became OUTSIDE is still there: a reply comes back. */
bool nat_lives(const struct flow *outside);
/* FLOW's packet comes from inside; what it becomes. */
struct flow nat_begin(const struct flow *flow, uint32_t size, uint8_t tcp_flags);
