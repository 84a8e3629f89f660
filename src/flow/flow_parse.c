/*
 * Reads a frame from the outside in: Ethernet, tags, ARP or IP, IPv6's extension headers,
 * transport. An ICMP error has another IP header and the beginning of a transport header inside,
 * which is read by the same functions with less strict lengths, as it was cut off by whoever sent
 * it.
 *
 * Every function gets where its part begins and where the bytes end, which are the frame's at first
 * and IP's own as soon as those are known to be within. A function that returns false has found the
 * packet to be bad. Nothing loops but over IPv4's options, which are at most 40 bytes, and IPv6's
 * extension headers, which are counted, and their options.
 */
#include <string.h>

#include "flow/flow.h"
#include "flow/flow_priv.h"

#define ETHERNET_BYTES 14u
#define TAG_BYTES      4u
#define TAGS_MAX       2u
#define ARP_BYTES      28u

enum ethertype {
	ETHERTYPE_IPV4 = 0x0800,
	ETHERTYPE_ARP = 0x0806,
	ETHERTYPE_TAG = 0x8100,	  /* 802.1Q */
	ETHERTYPE_OUTER = 0x88a8, /* 802.1ad */
	ETHERTYPE_IPV6 = 0x86dd,
};

/* IPv6's extension headers. */
enum extension {
	EXTENSION_HOP_BY_HOP = 0,
	EXTENSION_ROUTING = 43,
	EXTENSION_FRAGMENT = 44,
	EXTENSION_AUTHENTICATION = 51,
	EXTENSION_DESTINATION = 60,
	EXTENSION_MOBILITY = 135,
	EXTENSION_HIP = 139,
	EXTENSION_SHIM6 = 140,
};
#define PROTO_NO_NEXT 59u

#define IPV4_OPTION_END	     0u
#define IPV4_OPTION_NOP	     1u
#define IPV4_OPTION_LOOSE    131u
#define IPV4_OPTION_STRICT   137u
#define IPV6_OPTION_PAD1     0u
#define FRAGMENT_MORE_IPV4   0x2000u
#define FRAGMENT_OFFSET_IPV4 0x1fffu /* in units of 8 bytes */
#define FRAGMENT_MORE_IPV6   0x0001u
#define FRAGMENT_OFFSET_IPV6 0xfff8u /* in bytes */
#define DATAGRAM_PAYLOAD_MAX 65535u

/* An IP header of the frame. */
struct ip {
	const uint8_t *frame;
	uint32_t start;			/* where it is */
	uint32_t payload;		/* what is behind it and its extension headers */
	uint32_t end;			/* of the packet's bytes that are there */
	const uint8_t *source, *target; /* 4 or 16 bytes, as its version says */
	uint8_t version, proto;
	bool is_quoted; /* by an ICMP error, so it may end before its lengths say */
	bool is_fragment, is_first;
};

static bool is_mapped(const uint8_t address[16])
{
	static const uint8_t prefix[12] = {[10] = 0xff, [11] = 0xff};

	return memcmp(address, prefix, sizeof(prefix)) == 0;
}

/* In halves, as flow_key_of() reads it: the processor is slow to read what it has just written in
 * other pieces. */
static void map_address(uint8_t out[16], const uint8_t ipv4[4])
{
	uint8_t half[8] = {[2] = 0xff, [3] = 0xff};

	memset(out, 0, 8);
	memcpy(half + 4, ipv4, 4);
	memcpy(out + 8, half, 8);
}

static void put_address(uint8_t out[16], const struct ip *ip, const uint8_t *address)
{
	if (ip->version == 4)
		map_address(out, address);
	else
		memcpy(out, address, 16);
}

/* Whether a datagram can have such a fragment: of its payload the LEN bytes from OFFSET on. A
 * quoted one was longer. */
static bool fragment_is_possible(const struct ip *ip, uint32_t offset, uint32_t len, bool has_more)
{
	if (offset + len > DATAGRAM_PAYLOAD_MAX)
		return false;
	return ip->is_quoted || (len > 0 && (!has_more || len % 8 == 0));
}

static bool check_ipv4_options(const uint8_t *options, uint32_t len)
{
	for (uint32_t at = 0; at < len;) {
		uint8_t kind = options[at];

		if (kind == IPV4_OPTION_END)
			return true;
		if (kind == IPV4_OPTION_NOP) {
			at++;
			continue;
		}
		if (len - at < 2 || options[at + 1] < 2 || options[at + 1] > len - at)
			return false;
		/* The third byte points behind the last address when all were visited. */
		if (kind == IPV4_OPTION_LOOSE || kind == IPV4_OPTION_STRICT)
			if (options[at + 1] < 3 || options[at + 2] <= options[at + 1])
				return false;
		at += options[at + 1];
	}
	return true;
}

static bool read_ipv4(struct ip *ip)
{
	const uint8_t *header = ip->frame + ip->start;
	uint32_t room = ip->end - ip->start;

	if (room < FLOW_IPV4_BYTES || header[0] >> 4 != 4)
		return false;
	uint32_t header_len = (header[0] & 15u) * 4, total = flow_get_u16(header + 2);
	uint32_t fragment = flow_get_u16(header + 6);
	uint32_t offset = (fragment & FRAGMENT_OFFSET_IPV4) * 8;

	if (header_len < FLOW_IPV4_BYTES || header_len > room || total < header_len)
		return false;
	if (total > room && !ip->is_quoted)
		return false;
	if (!check_ipv4_options(header + FLOW_IPV4_BYTES, header_len - FLOW_IPV4_BYTES))
		return false;
	ip->end = ip->start + EOS_MIN(total, room);
	ip->payload = ip->start + header_len;
	ip->proto = header[9];
	ip->is_fragment = offset > 0 || (fragment & FRAGMENT_MORE_IPV4) != 0;
	ip->is_first = offset == 0;
	ip->source = header + 12;
	ip->target = header + 16;
	return !ip->is_fragment || fragment_is_possible(ip, offset, total - header_len,
							(fragment & FRAGMENT_MORE_IPV4) != 0);
}

static bool check_ipv6_options(const uint8_t *options, uint32_t len)
{
	for (uint32_t at = 0; at < len;) {
		if (options[at] == IPV6_OPTION_PAD1) {
			at++;
			continue;
		}
		if (len - at < 2 || options[at + 1] > len - at - 2)
			return false;
		at += 2 + options[at + 1];
	}
	return true;
}

/* A fragment header at IP->payload, of which 8 bytes are there. */
static bool read_ipv6_fragment(struct ip *ip, const uint8_t *header, uint32_t payload_len)
{
	uint32_t word = flow_get_u16(header + 2), offset = word & FRAGMENT_OFFSET_IPV6;
	bool has_more = (word & FRAGMENT_MORE_IPV6) != 0;

	ip->is_fragment = offset > 0 || has_more;
	ip->is_first = offset == 0;
	return !ip->is_fragment || fragment_is_possible(ip, offset, payload_len, has_more);
}

static bool is_extension(uint8_t proto)
{
	switch (proto) {
	case EXTENSION_HOP_BY_HOP:
	case EXTENSION_ROUTING:
	case EXTENSION_FRAGMENT:
	case EXTENSION_AUTHENTICATION:
	case EXTENSION_DESTINATION:
	case EXTENSION_MOBILITY:
	case EXTENSION_HIP:
	case EXTENSION_SHIM6:
		return true;
	default:
		return false;
	}
}

/* Passes the extension header at IP->payload, which is of kind IP->proto. STATED_END is where the
 * packet ends by its own length. */
static bool pass_extension(struct ip *ip, uint32_t stated_end)
{
	const uint8_t *header = ip->frame + ip->payload;
	uint32_t room = ip->end - ip->payload;

	if (room < 8)
		return false;
	uint32_t len = 8 + header[1] * 8u;

	if (ip->proto == EXTENSION_FRAGMENT)
		len = 8;
	else if (ip->proto == EXTENSION_AUTHENTICATION)
		len = (header[1] + 2u) * 4;
	if (len < 8 || len > room)
		return false;
	switch (ip->proto) {
	case EXTENSION_HOP_BY_HOP:
	case EXTENSION_DESTINATION:
		if (!check_ipv6_options(header + 2, len - 2))
			return false;
		break;
	case EXTENSION_ROUTING:
		if (header[3] > 0) /* segments that are left */
			return false;
		break;
	case EXTENSION_FRAGMENT:
		if (!read_ipv6_fragment(ip, header, stated_end - ip->payload - len))
			return false;
		break;
	default:
		break;
	}
	ip->payload += len;
	ip->proto = header[0];
	return true;
}

static bool read_ipv6(struct ip *ip)
{
	const uint8_t *header = ip->frame + ip->start;
	uint32_t room = ip->end - ip->start;
	bool has_fragment_header = false;

	if (room < FLOW_IPV6_BYTES || header[0] >> 4 != 6)
		return false;
	uint32_t total = FLOW_IPV6_BYTES + flow_get_u16(header + 4);

	/* Jumbograms are not for Ethernet; a total of more than 16 bits is not for l3_len. */
	if (total > UINT16_MAX || (total > room && !ip->is_quoted))
		return false;
	ip->end = ip->start + EOS_MIN(total, room);
	ip->payload = ip->start + FLOW_IPV6_BYTES;
	ip->proto = header[6];
	ip->is_first = true;
	ip->source = header + 8;
	ip->target = header + 24;
	if (is_mapped(ip->source) || is_mapped(ip->target))
		return false;
	for (unsigned count = 0; ip->is_first && is_extension(ip->proto); count++) {
		uint8_t kind = ip->proto;

		if (count == FLOW_EXTENSIONS_MAX)
			return false;
		if (kind == EXTENSION_HOP_BY_HOP && count > 0)
			return false;
		if (kind == EXTENSION_FRAGMENT && has_fragment_header)
			return false;
		has_fragment_header = has_fragment_header || kind == EXTENSION_FRAGMENT;
		if (!pass_extension(ip, ip->start + total))
			return false;
	}
	return true;
}

static bool read_ip(struct ip *ip)
{
	return ip->version == 4 ? read_ipv4(ip) : read_ipv6(ip);
}

static bool is_icmp(const struct ip *ip)
{
	return ip->proto == (ip->version == 4 ? FLOW_PROTO_ICMP : FLOW_PROTO_ICMPV6);
}

/* Messages that ask or answer, and have an identifier: echo, and IPv4's time stamps. */
static bool icmp_has_id(uint8_t version, uint8_t type)
{
	if (version == 6)
		return type == 128 || type == 129;
	return type == 0 || type == 8 || type == 13 || type == 14;
}

/* Messages that quote a packet: unreachable, quench, redirect, time exceeded, parameter; too big.
 */
static bool icmp_is_error(uint8_t version, uint8_t type)
{
	if (version == 6)
		return type >= 1 && type <= 4;
	return (type >= 3 && type <= 5) || type == 11 || type == 12;
}

static bool proto_has_ports(uint8_t proto)
{
	return proto == FLOW_PROTO_TCP || proto == FLOW_PROTO_UDP || proto == FLOW_PROTO_SCTP ||
	       proto == FLOW_PROTO_UDP_LITE;
}

/* The transport of the packet that an ICMP error quotes: at least what has its ports. */
static bool read_quoted_transport(const struct ip *ip, struct flow_packet *out)
{
	const uint8_t *header = ip->frame + ip->payload;
	uint32_t room = ip->end - ip->payload;

	if (!ip->is_first)
		return true;
	if (proto_has_ports(ip->proto)) {
		if (room < 4)
			return false;
		out->has_ports = true;
		out->source_port = flow_get_u16(header + 2);
		out->target_port = flow_get_u16(header);
	} else if (is_icmp(ip)) {
		/* There are no errors about errors. */
		if (room < 1 || icmp_is_error(ip->version, header[0]))
			return false;
		if (!icmp_has_id(ip->version, header[0]))
			return true;
		if (room < 6)
			return false;
		out->source_port = out->target_port = flow_get_u16(header + 4);
	}
	return true;
}

static bool read_quoted(const struct ip *ip, struct flow_packet *out)
{
	struct ip quoted = {
		.frame = ip->frame,
		.start = ip->payload + FLOW_ICMP_BYTES,
		.end = ip->end,
		.version = ip->version,
		.is_quoted = true,
	};

	/* Who sent the packet hears of it. */
	if (!read_ip(&quoted) || memcmp(quoted.source, ip->target, ip->version == 4 ? 4 : 16) != 0)
		return false;
	out->is_icmp_error = true;
	out->proto = quoted.proto;
	put_address(out->source, &quoted, quoted.target);
	put_address(out->target, &quoted, quoted.source);
	return read_quoted_transport(&quoted, out);
}

/* Each of these returns the length of the header; 0: it is bad. ROOM is what is there of it and of
 * its payload. */

static uint32_t read_icmp(const struct ip *ip, uint32_t room, struct flow_packet *out)
{
	const uint8_t *header = ip->frame + ip->payload;

	/* Of ICMPv6 only four bytes are the same for all messages. */
	if (room < (ip->version == 6 ? 4 : FLOW_ICMP_BYTES))
		return 0;
	bool has_id = icmp_has_id(ip->version, header[0]);
	bool is_error = icmp_is_error(ip->version, header[0]);

	if ((has_id || is_error) && room < FLOW_ICMP_BYTES)
		return 0;
	if (has_id)
		out->source_port = out->target_port = flow_get_u16(header + 4);
	/* What is quoted may end with the fragment, but its headers do not. */
	if (is_error && !read_quoted(ip, out))
		return 0;
	return EOS_MIN(room, FLOW_ICMP_BYTES);
}

static uint32_t read_tcp(const struct ip *ip, uint32_t room, struct flow_packet *out)
{
	const uint8_t *header = ip->frame + ip->payload;

	if (room < FLOW_TCP_BYTES)
		return 0;
	uint32_t len = (header[12] >> 4) * 4u;

	if (len < FLOW_TCP_BYTES || len > room)
		return 0;
	out->tcp_flags = header[13];
	return len;
}

static uint32_t read_udp(const struct ip *ip, uint32_t room, struct flow_packet *out)
{
	if (room < FLOW_UDP_BYTES)
		return 0;
	uint32_t len = flow_get_u16(ip->frame + ip->payload + 4);

	if (ip->proto == FLOW_PROTO_UDP_LITE) {
		/* How much the checksum covers; 0: all of it. */
		if (len != 0 && (len < FLOW_UDP_BYTES || (len > room && !ip->is_fragment)))
			return 0;
		return FLOW_UDP_BYTES;
	}
	if (len < FLOW_UDP_BYTES || (len > room && !ip->is_fragment))
		return 0;
	if (!ip->is_fragment)
		out->payload_len = (uint16_t)(len - FLOW_UDP_BYTES);
	return FLOW_UDP_BYTES;
}

static bool read_transport(const struct ip *ip, struct flow_packet *out)
{
	uint32_t room = ip->end - ip->payload, len = 0;
	bool is_known = proto_has_ports(ip->proto) || is_icmp(ip);

	out->payload_offset = (uint16_t)ip->payload;
	out->payload_len = (uint16_t)room;
	if (!ip->is_first)
		return true;
	if (ip->version == 6 && ip->proto == PROTO_NO_NEXT)
		return true;
	out->l4_offset = (uint16_t)ip->payload;
	if (!is_known)
		return true;
	if (is_icmp(ip))
		len = read_icmp(ip, room, out);
	else if (ip->proto == FLOW_PROTO_TCP)
		len = read_tcp(ip, room, out);
	else if (ip->proto == FLOW_PROTO_SCTP)
		len = room < FLOW_SCTP_BYTES ? 0 : FLOW_SCTP_BYTES;
	else
		len = read_udp(ip, room, out);
	if (len == 0)
		return false;
	if (proto_has_ports(ip->proto)) {
		out->has_ports = true;
		out->source_port = flow_get_u16(ip->frame + ip->payload);
		out->target_port = flow_get_u16(ip->frame + ip->payload + 2);
	}
	out->payload_offset = (uint16_t)(ip->payload + len);
	if (ip->proto != FLOW_PROTO_UDP || ip->is_fragment)
		out->payload_len = (uint16_t)(room - len);
	return true;
}

static bool parse_ip(const uint8_t *frame, uint32_t len, uint8_t version, struct flow_packet *out)
{
	struct ip ip = {.frame = frame, .start = out->l3_offset, .end = len, .version = version};

	if (!read_ip(&ip))
		return false;
	out->kind = version == 4 ? FLOW_IPV4 : FLOW_IPV6;
	out->l3_len = (uint16_t)(ip.end - ip.start);
	out->proto = ip.proto;
	out->is_fragment = ip.is_fragment;
	put_address(out->source, &ip, ip.source);
	put_address(out->target, &ip, ip.target);
	return read_transport(&ip, out);
}

static bool parse_arp(const uint8_t *frame, uint32_t len, struct flow_packet *out)
{
	static const uint8_t ethernet_ipv4[] = {0, 1, 8, 0, 6, 4};
	const uint8_t *arp = frame + out->l3_offset;

	if (len - out->l3_offset < ARP_BYTES || memcmp(arp, ethernet_ipv4, 6) != 0)
		return false;
	out->kind = FLOW_ARP;
	out->l3_len = ARP_BYTES;
	map_address(out->source, arp + 14);
	map_address(out->target, arp + 24);
	return true;
}

/* Passes the tags. Returns the type of what is behind them, at *RET_OFFSET; -1: it is cut off. */
static int parse_tags(const uint8_t *frame, uint32_t len, uint32_t *ret_offset,
		      struct flow_packet *out)
{
	uint32_t offset = ETHERNET_BYTES;

	if (len < ETHERNET_BYTES)
		return -1;
	uint16_t type = flow_get_u16(frame + 12);

	for (unsigned tags = 0; tags < TAGS_MAX; tags++) {
		if (type != ETHERTYPE_TAG && type != ETHERTYPE_OUTER)
			break;
		if (len - offset < TAG_BYTES)
			return -1;
		uint16_t id = flow_get_u16(frame + offset) & 0xfffu;

		if (tags == 0)
			out->vlan = id;
		else
			out->inner_vlan = id;
		type = flow_get_u16(frame + offset + 2);
		offset += TAG_BYTES;
	}
	*ret_offset = offset;
	return type;
}

/* False: it is bad. */
static bool parse(const uint8_t *frame, uint32_t len, struct flow_packet *out)
{
	uint32_t offset = 0;
	int type = parse_tags(frame, len, &offset, out);

	out->l3_offset = (uint16_t)offset;
	switch (type) {
	case -1:
		return false;
	case ETHERTYPE_ARP:
		return parse_arp(frame, len, out);
	case ETHERTYPE_IPV4:
		return parse_ip(frame, len, 4, out);
	case ETHERTYPE_IPV6:
		return parse_ip(frame, len, 6, out);
	default:
		return true;
	}
}

enum flow_kind flow_parse(const uint8_t *frame, uint32_t len, struct flow_packet *ret_packet)
{
	*ret_packet = (struct flow_packet){.kind = FLOW_OTHER};
	if (!parse(frame, len, ret_packet)) {
		*ret_packet = (struct flow_packet){
			.kind = FLOW_OTHER,
			.is_bad = true,
			.vlan = ret_packet->vlan,
			.inner_vlan = ret_packet->inner_vlan,
		};
	}
	return (enum flow_kind)ret_packet->kind;
}
