/*
 * Frames for the tests of packet functions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "frame.h"
#include "host_double.h"

static void put_address(uint8_t ret[16], const char *text)
{
	assert_true(frame_parse_address(text, (uint32_t)strlen(text), ret));
}

static uint32_t put_ethernet(uint8_t *out, const struct host_packet *packet, uint32_t type)
{
	static const uint8_t mac[6] = {2};
	memcpy(out, mac, 6);
	memcpy(out + 6, mac, 6);
	out[5] = packet->target_mac;
	out[11] = packet->source_mac;
	uint32_t at = 12;
	if (packet->has_vlan) {
		frame_put_u32(out + at, 0x81000007);
		at += 4;
	}
	frame_put_u16(out + at, type);
	return at + 2;
}

static uint32_t put_ip(uint8_t *at, const struct host_packet *packet, uint32_t payload_len)
{
	uint8_t source[16], target[16];
	put_address(source, packet->source);
	put_address(target, packet->target);
	if (!frame_is_ipv4(source)) {
		memset(at, 0, 40);
		at[0] = 0x60;
		frame_put_u16(at + 4, payload_len);
		at[6] = packet->proto;
		at[7] = 64;
		memcpy(at + 8, source, 16);
		memcpy(at + 24, target, 16);
		return 40;
	}
	memset(at, 0, 20);
	at[0] = 0x45;
	frame_put_u16(at + 2, 20 + payload_len);
	frame_put_u16(at + 4, packet->fragment_id);
	frame_put_u16(at + 6, packet->fragment);
	at[8] = 64;
	at[9] = packet->proto;
	memcpy(at + 12, source + 12, 4);
	memcpy(at + 16, target + 12, 4);
	return 20;
}

static uint32_t put_transport(uint8_t *at, const struct host_packet *packet)
{
	memset(at, 0, 20);
	/* The datagram's bytes follow at once. */
	if ((packet->fragment & 0x1fff) != 0)
		return 0;
	switch (packet->proto) {
	case FRAME_TCP:
		frame_put_u16(at, packet->source_port);
		frame_put_u16(at + 2, packet->target_port);
		frame_put_u32(at + 4, packet->seq);
		frame_put_u32(at + 8, packet->ack);
		at[12] = 5 << 4;
		at[13] = packet->flags;
		frame_put_u16(at + 14, packet->window != 0 ? packet->window : 65535);
		return 20;
	case FRAME_UDP:
		frame_put_u16(at, packet->source_port);
		frame_put_u16(at + 2, packet->target_port);
		frame_put_u16(at + 4, 8 + packet->payload_len);
		return 8;
	case FRAME_ICMP:
	case FRAME_ICMP6:
		at[0] = packet->icmp_type;
		at[1] = packet->icmp_code;
		frame_put_u16(at + 4, packet->source_port);
		return 8;
	default:
		return 0;
	}
}

uint32_t host_make(uint8_t *out, const struct host_packet *packet)
{
	uint8_t header[20], source[16];
	uint32_t header_len = put_transport(header, packet);
	put_address(source, packet->source);
	uint32_t at = put_ethernet(out, packet, frame_is_ipv4(source) ? FRAME_IPV4 : FRAME_IPV6);
	at += put_ip(out + at, packet, header_len + packet->payload_len);
	memcpy(out + at, header, header_len);
	at += header_len;
	if (packet->payload_len > 0)
		memcpy(out + at, packet->payload, packet->payload_len);
	at += packet->payload_len;
	struct frame frame;
	assert_true(frame_parse(&frame, out, at));
	if (!frame.is_fragment)
		frame_fill_checksums(&frame);
	return at;
}

bool host_checksums_are_right(const uint8_t *data, uint32_t len)
{
	uint8_t copy[EDGEOS_PACKET_MAX];
	struct frame frame;
	memcpy(copy, data, len);
	if (!frame_parse(&frame, copy, len))
		return false;
	/* UDP of IPv4 without one is right, too. */
	bool has_none = frame.version == 4 && frame.proto == FRAME_UDP && frame.has_transport &&
			frame_u16(copy + frame.transport + 6) == 0;
	frame_fill_checksums(&frame);
	if (has_none)
		frame_put_u16(copy + frame.transport + 6, 0);
	return memcmp(copy, data, len) == 0;
}
