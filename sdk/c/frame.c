#include "frame.h"

#include <string.h>

#define ETHERNET_BYTES 14u
#define VLAN	       0x8100u
#define VLAN_OUTER     0x88a8u
#define EXTENSIONS_MAX 8u

uint16_t frame_u16(const uint8_t *at)
{
	return (uint16_t)(at[0] << 8 | at[1]);
}

uint32_t frame_u32(const uint8_t *at)
{
	return (uint32_t)frame_u16(at) << 16 | frame_u16(at + 2);
}

void frame_put_u16(uint8_t *at, uint32_t value)
{
	at[0] = (uint8_t)(value >> 8);
	at[1] = (uint8_t)value;
}

void frame_put_u32(uint8_t *at, uint32_t value)
{
	frame_put_u16(at, value >> 16);
	frame_put_u16(at + 2, value);
}

/* --- parsing --- */

static void put_ipv4(uint8_t address[16], const uint8_t *at)
{
	memset(address, 0, 10);
	address[10] = address[11] = 0xff;
	memcpy(address + 12, at, 4);
}

/* QUOTED: the end may be missing. */
static bool parse_transport(struct frame *frame, bool is_quoted)
{
	const uint8_t *at = frame->data + frame->transport;
	uint32_t left = frame->end - frame->transport;
	frame->payload = frame->transport;
	uint32_t wanted = frame->proto == FRAME_TCP && !is_quoted ? 20 : 8;
	bool is_known = frame->proto == FRAME_TCP || frame->proto == FRAME_UDP ||
			frame->proto == FRAME_ICMP || frame->proto == FRAME_ICMP6;
	if (!is_known || frame->fragment_offset > 0)
		return true;
	if (left < wanted)
		return false;
	frame->has_transport = true;
	if (frame->proto == FRAME_ICMP || frame->proto == FRAME_ICMP6) {
		frame->icmp_type = at[0];
		frame->icmp_code = at[1];
		frame->payload += 8;
		return true;
	}
	frame->source_port = frame_u16(at);
	frame->target_port = frame_u16(at + 2);
	if (frame->proto == FRAME_UDP) {
		uint32_t len = frame_u16(at + 4);
		frame->payload += 8;
		/* What UDP says of its length holds where the datagram is whole. */
		return is_quoted || frame->is_fragment || (len >= 8 && len <= left);
	}
	frame->seq = frame_u32(at + 4);
	if (is_quoted)
		return true;
	uint32_t header = (uint32_t)(at[12] >> 4) * 4;
	frame->ack = frame_u32(at + 8);
	frame->tcp_flags = at[13] & 0x3f;
	frame->window = frame_u16(at + 14);
	frame->payload += header;
	return header >= 20 && header <= left;
}

static bool parse_ipv4(struct frame *frame, bool is_quoted)
{
	const uint8_t *at = frame->data + frame->ip;
	uint32_t left = frame->len - frame->ip;
	if (left < 20)
		return false;
	uint32_t header = (at[0] & 15u) * 4, total = frame_u16(at + 2);
	if (at[0] >> 4 != 4 || header < 20 || header > left || total < header)
		return false;
	if (total > left) {
		if (!is_quoted)
			return false;
		total = left;
	}
	uint32_t fragment = frame_u16(at + 6);
	frame->version = 4;
	frame->proto = at[9];
	frame->transport = frame->fragment_begin = frame->ip + header;
	frame->end = frame->ip + total;
	frame->is_fragment = (fragment & 0x3fff) != 0;
	frame->fragment_offset = (fragment & 0x1fff) * 8;
	frame->fragment_id = frame_u16(at + 4);
	put_ipv4(frame->source, at + 12);
	put_ipv4(frame->target, at + 16);
	return parse_transport(frame, is_quoted);
}

static bool is_extension(uint8_t proto)
{
	return proto == 0 || proto == 43 || proto == 44 || proto == 60;
}

static bool parse_ipv6(struct frame *frame, bool is_quoted)
{
	const uint8_t *at = frame->data + frame->ip;
	uint32_t left = frame->len - frame->ip;
	if (left < 40 || at[0] >> 4 != 6)
		return false;
	uint32_t total = 40 + (uint32_t)frame_u16(at + 4), offset = 40;
	if (total > left) {
		if (!is_quoted)
			return false;
		total = left;
	}
	frame->version = 6;
	frame->end = frame->ip + total;
	memcpy(frame->source, at + 8, 16);
	memcpy(frame->target, at + 24, 16);
	/* None that would be taken for IPv4's is on any wire (RFC 4291, 2.5.5.2). */
	if (frame_is_ipv4(frame->source) || frame_is_ipv4(frame->target))
		return false;
	uint8_t proto = at[6];
	bool has_fragment = false;
	for (unsigned i = 0; is_extension(proto); i++) {
		if (i == EXTENSIONS_MAX || total - offset < 8 || (proto == 44 && has_fragment))
			return false;
		const uint8_t *extension = at + offset;
		uint32_t len = proto == 44 ? 8 : (extension[1] + 1u) * 8;
		if (proto == 44) {
			has_fragment = true;
			uint32_t fragment = frame_u16(extension + 2);
			frame->is_fragment = (fragment & 0xfff9) != 0;
			frame->fragment_offset = fragment & 0xfff8;
			frame->fragment_id = frame_u32(extension + 4);
			frame->fragment_begin = frame->ip + offset + 8;
		}
		if (len > total - offset)
			return false;
		proto = extension[0];
		offset += len;
		/* The headers behind a later fragment's are its datagram's bytes. */
		if (frame->fragment_offset > 0)
			break;
	}
	frame->proto = proto;
	frame->transport = frame->ip + offset;
	return parse_transport(frame, is_quoted);
}

bool frame_parse(struct frame *ret_frame, uint8_t *data, uint32_t len)
{
	struct frame *frame = ret_frame;
	memset(frame, 0, sizeof(*frame));
	frame->data = data;
	frame->len = frame->end = len;
	if (len < ETHERNET_BYTES)
		return false;
	uint32_t at = 12;
	frame->type = frame_u16(data + at);
	for (unsigned i = 0; i < 2 && (frame->type == VLAN || frame->type == VLAN_OUTER); i++) {
		at += 4;
		if (len < at + 2)
			return false;
		frame->type = frame_u16(data + at);
	}
	frame->ip = frame->transport = frame->payload = at + 2;
	if (frame->type == FRAME_IPV4)
		return parse_ipv4(frame, false);
	return frame->type != FRAME_IPV6 || parse_ipv6(frame, false);
}

bool frame_is_icmp_error(const struct frame *frame)
{
	if (!frame->has_transport)
		return false;
	if (frame->proto == FRAME_ICMP6)
		return frame->version == 6 && frame->icmp_type < 128;
	return frame->proto == FRAME_ICMP && frame->version == 4 &&
	       (frame->icmp_type == 3 || frame->icmp_type == 4 || frame->icmp_type == 5 ||
		frame->icmp_type == 11 || frame->icmp_type == 12);
}

bool frame_parse_quoted(struct frame *ret_frame, const struct frame *outer)
{
	struct frame *frame = ret_frame;
	if (!frame_is_icmp_error(outer))
		return false;
	memset(frame, 0, sizeof(*frame));
	frame->data = outer->data;
	frame->len = frame->end = outer->end;
	frame->type = outer->type;
	frame->ip = outer->payload;
	return outer->version == 4 ? parse_ipv4(frame, true) : parse_ipv6(frame, true);
}

/* --- checksums --- */

uint32_t frame_sum(const uint8_t *data, uint32_t len, uint32_t sum)
{
	for (uint32_t i = 0; i + 1 < len; i += 2)
		sum += frame_u16(data + i);
	if (len % 2 != 0)
		sum += (uint32_t)data[len - 1] << 8;
	return sum;
}

uint16_t frame_fold(uint32_t sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum += sum >> 16;
	return (uint16_t)~sum;
}

void frame_adjust(uint8_t *at, const uint8_t *old, const uint8_t *new, uint32_t len)
{
	uint32_t sum = (uint16_t)~frame_u16(at);
	for (uint32_t i = 0; i < len; i += 2)
		sum += (uint32_t)(uint16_t)~frame_u16(old + i) + frame_u16(new + i);
	frame_put_u16(at, frame_fold(sum));
}

/* Where the checksum of FRAME's transport is, or NULL: it has none. */
static uint8_t *transport_checksum(const struct frame *frame)
{
	if (!frame->has_transport)
		return NULL;
	uint8_t *at = frame->data + frame->transport;
	switch (frame->proto) {
	case FRAME_TCP:
		return at + 16;
	case FRAME_UDP:
		return at + 6;
	default:
		return at + 2;
	}
}

static bool covers_addresses(const struct frame *frame)
{
	return frame->proto != FRAME_ICMP;
}

static uint32_t sum_of_addresses(const struct frame *frame, uint32_t len)
{
	const uint8_t *ip = frame->data + frame->ip;
	if (!covers_addresses(frame))
		return 0;
	uint32_t sum = frame->version == 4 ? frame_sum(ip + 12, 8, 0) : frame_sum(ip + 8, 32, 0);
	return sum + frame->proto + len;
}

bool frame_checksum_is_right(const struct frame *frame)
{
	const uint8_t *at = transport_checksum(frame);
	uint32_t len = frame->end - frame->transport;
	if (at == NULL || (frame->proto == FRAME_UDP && frame->version == 4 && frame_u16(at) == 0))
		return true;
	uint32_t sum = sum_of_addresses(frame, len);
	return frame_fold(frame_sum(frame->data + frame->transport, len, sum)) == 0;
}

void frame_fill_checksums(struct frame *frame)
{
	uint8_t *ip = frame->data + frame->ip;
	uint32_t len = frame->end - frame->transport;
	if (frame->version == 4) {
		frame_put_u16(ip + 10, 0);
		frame_put_u16(ip + 10, frame_fold(frame_sum(ip, frame->transport - frame->ip, 0)));
	}
	uint8_t *at = transport_checksum(frame);
	if (at == NULL)
		return;
	uint32_t sum = sum_of_addresses(frame, len);
	frame_put_u16(at, 0);
	uint16_t checksum = frame_fold(frame_sum(frame->data + frame->transport, len, sum));
	/* UDP's 0 means that there is none. */
	frame_put_u16(at, checksum == 0 && frame->proto == FRAME_UDP ? 0xffff : checksum);
}

void frame_set_address(struct frame *frame, bool is_target, const uint8_t address[16])
{
	uint8_t *ip = frame->data + frame->ip;
	uint32_t len = frame->version == 4 ? 4 : 16;
	uint32_t offset = frame->version == 4 ? 12 : 8;
	uint8_t *at = ip + offset + (is_target ? len : 0);
	const uint8_t *new = address + (16 - len);
	uint8_t *checksum = transport_checksum(frame);
	bool has_none = frame->proto == FRAME_UDP && frame->version == 4 && checksum != NULL &&
			frame_u16(checksum) == 0;
	if (checksum != NULL && covers_addresses(frame) && !has_none) {
		frame_adjust(checksum, at, new, len);
		if (frame->proto == FRAME_UDP && frame_u16(checksum) == 0)
			frame_put_u16(checksum, 0xffff);
	}
	if (frame->version == 4)
		frame_adjust(ip + 10, at, new, len);
	memcpy(at, new, len);
	memcpy(is_target ? frame->target : frame->source, address, 16);
}
