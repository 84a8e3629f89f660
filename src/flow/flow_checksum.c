/*
 * The Internet checksum (RFC 1071): the sum of 16-bit words with the carry added at the low end,
 * which does not depend on the order of the bytes in a word, so that it is made and stored as the
 * processor has it. Words of 32 bits are added into 64, and folded in the end.
 *
 * Where a checksum is and what it covers comes from the description alone, except for the length of
 * UDP and the coverage of UDP-Lite, which are part of what is summed: these are compared with what
 * is there, as somebody may have written to the packet since.
 */
#include <string.h>

#include "flow/flow.h"
#include "flow/flow_priv.h"

/* The checksum of a packet's transport. */
struct transport {
	uint16_t field;	 /* its offset; 0: it has none that is looked at */
	uint16_t len;	 /* bytes that it covers from l4_offset on */
	uint16_t stated; /* the length in the pseudo header */
	uint8_t proto;
	bool has_pseudo;
	bool may_be_absent;   /* 0: nobody made one */
	bool zero_is_special; /* so that a sum of 0 goes as 0xffff */
};

uint64_t flow_checksum_add(uint64_t sum, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint32_t word;
	uint16_t last = 0;

	for (; len >= 4; bytes += 4, len -= 4) {
		memcpy(&word, bytes, 4);
		sum += word;
	}
	if (len >= 2) {
		memcpy(&last, bytes, 2);
		sum += last;
		bytes += 2;
		len -= 2;
	}
	if (len > 0) {
		last = 0;
		memcpy(&last, bytes, 1);
		sum += last;
	}
	return sum;
}

uint16_t flow_checksum_end(uint64_t sum)
{
	sum = (sum >> 32) + (sum & UINT32_MAX);
	sum = (sum >> 32) + (sum & UINT32_MAX);
	sum = (sum >> 16) + (sum & UINT16_MAX);
	sum = (sum >> 16) + (sum & UINT16_MAX);
	return (uint16_t)~sum;
}

static uint32_t l4_len(const struct flow_packet *packet)
{
	return (uint32_t)packet->l3_offset + packet->l3_len - packet->l4_offset;
}

static uint8_t outer_proto(const struct flow_packet *packet)
{
	if (!packet->is_icmp_error)
		return packet->proto;
	return packet->kind == FLOW_IPV4 ? FLOW_PROTO_ICMP : FLOW_PROTO_ICMPV6;
}

/* False: the length that the packet states is not within it. */
static bool find_udp(const uint8_t *frame, const struct flow_packet *packet, struct transport *t)
{
	uint32_t len = flow_get_u16(frame + packet->l4_offset + 4);
	bool is_lite = t->proto == FLOW_PROTO_UDP_LITE;

	if (is_lite && len == 0)
		len = t->len;
	if (len < FLOW_UDP_BYTES || len > t->len)
		return false;
	t->field = packet->l4_offset + 6;
	t->len = (uint16_t)len;
	t->stated = is_lite ? t->stated : t->len;
	t->zero_is_special = true;
	t->may_be_absent = !is_lite && packet->kind == FLOW_IPV4;
	return true;
}

static bool find_transport(const uint8_t *frame, const struct flow_packet *packet,
			   struct transport *t)
{
	*t = (struct transport){.proto = outer_proto(packet)};
	if (packet->is_fragment || packet->l4_offset == 0)
		return true;
	t->len = t->stated = (uint16_t)l4_len(packet);
	t->has_pseudo = true;
	switch (t->proto) {
	case FLOW_PROTO_TCP:
		t->field = packet->l4_offset + 16;
		return true;
	case FLOW_PROTO_UDP:
	case FLOW_PROTO_UDP_LITE:
		return find_udp(frame, packet, t);
	case FLOW_PROTO_ICMP:
	case FLOW_PROTO_ICMPV6:
		/* That of the other IP is a protocol like any other. */
		if ((t->proto == FLOW_PROTO_ICMP) != (packet->kind == FLOW_IPV4))
			return true;
		t->field = packet->l4_offset + 2;
		t->has_pseudo = t->proto == FLOW_PROTO_ICMPV6;
		return true;
	default:
		return true;
	}
}

static uint64_t sum_transport(const uint8_t *frame, const struct flow_packet *packet,
			      const struct transport *t)
{
	const uint8_t *ip = frame + packet->l3_offset;
	const uint8_t rest[4] = {0, t->proto, (uint8_t)(t->stated >> 8),
				 (uint8_t)(t->stated & 255)};
	uint64_t sum = 0;

	if (t->has_pseudo) {
		if (packet->kind == FLOW_IPV4)
			sum = flow_checksum_add(sum, ip + 12, 8);
		else
			sum = flow_checksum_add(sum, ip + 8, 32);
		sum = flow_checksum_add(sum, rest, 4);
	}
	return flow_checksum_add(sum, frame + packet->l4_offset, t->len);
}

/* Where a header is followed by its extension or transport; IPv4 has both its options and its
 * checksum in the first part. */
static uint32_t ipv4_header_len(const struct flow_packet *packet)
{
	uint16_t next = packet->l4_offset != 0 ? packet->l4_offset : packet->payload_offset;

	return (uint32_t)next - packet->l3_offset;
}

bool flow_checksums_are_good(const uint8_t *frame, const struct flow_packet *packet)
{
	const uint8_t *ip = frame + packet->l3_offset;
	static const uint8_t zero[2];
	struct transport t;

	if (packet->is_bad)
		return false;
	if (packet->kind != FLOW_IPV4 && packet->kind != FLOW_IPV6)
		return true;
	if (packet->kind == FLOW_IPV4 &&
	    flow_checksum_end(flow_checksum_add(0, ip, ipv4_header_len(packet))) != 0)
		return false;
	if (!find_transport(frame, packet, &t))
		return false;
	if (t.field == 0)
		return true;
	if (t.zero_is_special && memcmp(frame + t.field, zero, 2) == 0)
		return t.may_be_absent;
	return flow_checksum_end(sum_transport(frame, packet, &t)) == 0;
}

void flow_checksums_set(uint8_t *frame, const struct flow_packet *packet)
{
	uint8_t *ip = frame + packet->l3_offset;
	struct transport t;
	uint16_t sum;

	if (packet->is_bad || (packet->kind != FLOW_IPV4 && packet->kind != FLOW_IPV6))
		return;
	if (packet->kind == FLOW_IPV4) {
		memset(ip + 10, 0, 2);
		sum = flow_checksum_end(flow_checksum_add(0, ip, ipv4_header_len(packet)));
		memcpy(ip + 10, &sum, 2);
	}
	if (!find_transport(frame, packet, &t) || t.field == 0)
		return;
	memset(frame + t.field, 0, 2);
	sum = flow_checksum_end(sum_transport(frame, packet, &t));
	if (sum == 0 && t.zero_is_special)
		sum = UINT16_MAX;
	memcpy(frame + t.field, &sum, 2);
}
