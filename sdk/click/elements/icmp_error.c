/*
 * ICMPError(SRC, TYPE [, CODE, BADADDRS, MTU, PMTU, USE_FIX_ANNO]): the message that a router sends
 * for a packet it could not forward (RFC 792, RFC 1812 4.3).
 *
 * No message is made for an error message, a fragment but the first, what came to or from an
 * address that is not one host's, or what the link delivered to many: each would be an amplifier.
 */
#include <string.h>

#include "elements/address_list.h"
#include "elements/ip_names.h"
#include "elements/out.h"
#include "ip.h"

enum icmp_type {
	UNREACHABLE = 3,
	SOURCE_QUENCH = 4,
	REDIRECT = 5,
	TIME_EXCEEDED = 11,
	PARAMETER_PROBLEM = 12,
};
#define NEED_FRAGMENTATION 4u
#define ERROR_AT_POINTER   0u

/* The options of source routing: type, length, pointer (from 1) and addresses. */
#define LOOSE_ROUTE  131u
#define STRICT_ROUTE 137u

#define TTL 200u
/* The longest headers that there can be. */
#define MTU_MIN (60u + CLICK_ICMP_HEADER)

struct icmp_error {
	struct click_element element;
	uint32_t src, type, code, mtu, pmtu;
	struct click_addresses bad;
	bool sets_fix_anno;
	uint16_t next_id;
	uint64_t *sent, *drops;
};

static bool is_error_type(uint32_t type)
{
	return type == UNREACHABLE || type == SOURCE_QUENCH || type == REDIRECT ||
	       type == TIME_EXCEEDED || type == PARAMETER_PROBLEM;
}

static int configure(struct click_element *element, struct click_args *args)
{
	struct icmp_error *error = (struct icmp_error *)element;
	const char *type = NULL, *code = NULL;
	error->mtu = 576;
	error->sets_fix_anno = true;
	error->next_id = 1;
	click_arg_ip(args, "SRC", CLICK_POSITIONAL | CLICK_MANDATORY, &error->src);
	click_arg_text(args, "TYPE", CLICK_POSITIONAL | CLICK_MANDATORY, &type);
	click_arg_text(args, "CODE", CLICK_POSITIONAL, &code);
	click_arg_addresses(args, element->router, "BADADDRS", CLICK_POSITIONAL, &error->bad);
	click_arg_u32(args, "MTU", CLICK_POSITIONAL, &error->mtu);
	click_arg_u32(args, "PMTU", 0, &error->pmtu);
	click_arg_bool(args, "USE_FIX_ANNO", 0, &error->sets_fix_anno);
	click_arg_bool(args, "SET_FIX_ANNO", 0, &error->sets_fix_anno);
	if (type && !click_icmp_type_number(type, &error->type) &&
	    !click_parse_u32(type, &error->type))
		click_args_error(args, "TYPE: '%s' is no type of ICMP messages", type);
	else if (type && !is_error_type(error->type))
		click_args_error(args, "TYPE: %u is no error", error->type);
	if (code && !click_icmp_code_number(error->type, code, &error->code) &&
	    (!click_parse_u32(code, &error->code) || error->code > UINT8_MAX))
		click_args_error(args, "CODE: '%s' is no code of type %u", code, error->type);
	if (error->mtu < MTU_MIN || error->mtu > CLICK_PACKET_MAX)
		click_args_error(args, "MTU is from %u to %u", MTU_MIN, CLICK_PACKET_MAX);
	if (error->pmtu > UINT16_MAX)
		click_args_error(args, "PMTU is at most 65535");
	return click_args_end(args);
}

/* --- may there be a message --- */

static bool is_unicast(const struct icmp_error *error, uint32_t address)
{
	uint32_t host = click_address_to_host(address);
	return host != UINT32_MAX && host >> 28 != 14 &&
	       !click_addresses_have(&error->bad, address);
}

/* RFC 1812 5.3.7: not this network, not the host itself, not of class E. */
static bool is_source(const struct icmp_error *error, uint32_t address)
{
	uint32_t net = click_address_to_host(address) >> 24;
	return is_unicast(error, address) && net != 0 && net != 127 && net < 240;
}

static bool may_answer(const struct icmp_error *error, const struct click_packet *packet,
		       const struct click_ip *ip)
{
	if (ip->protocol == CLICK_ICMP &&
	    (ip->payload_len < 4 || (click_ip_is_first(ip) && is_error_type(ip->payload[0]))))
		return false;
	return click_ip_is_first(ip) && is_unicast(error, click_get_address(ip->header + 16)) &&
	       is_source(error, click_get_address(ip->header + 12)) &&
	       packet->packet_type != CLICK_TO_BROADCAST &&
	       packet->packet_type != CLICK_TO_MULTICAST;
}

/* --- source routes --- */

/* The option, of which as many addresses as its pointer says are there; NULL: there is none. */
static const uint8_t *find_route(const struct click_ip *ip)
{
	const uint8_t *at = ip->header + CLICK_IP_HEADER;
	const uint8_t *end = ip->header + ip->header_len;
	while (at < end && *at != 0) {
		if (*at == 1) {
			at++;
			continue;
		}
		if (end - at < 2 || at[1] < 2 || at[1] > end - at)
			return NULL;
		if (at[0] == LOOSE_ROUTE || at[0] == STRICT_ROUTE)
			return at[1] >= 3 && at[2] >= 4 && at[2] % 4 == 0 && at[2] <= at[1] + 1
				       ? at
				       : NULL;
		at += at[1];
	}
	return NULL;
}

/* How long the option of the way back is, without padding. */
static uint32_t route_len(const uint8_t *route)
{
	return route ? route[2] - 1u : 0;
}

/* The routers that ROUTE was through, the last first. OUT is cleared. */
static void put_route(uint8_t *out, const uint8_t *route)
{
	uint32_t len = route_len(route);
	out[0] = route[0];
	out[1] = (uint8_t)len;
	out[2] = 4;
	for (uint32_t from = len; from > 3; from -= 4)
		memcpy(out + 3 + (len - from), route + from - 4, 4);
}

/* --- the message --- */

/* What follows type, code and checksum. */
static void put_rest(const struct icmp_error *error, const struct click_packet *packet,
		     uint8_t *icmp)
{
	if (error->type == PARAMETER_PROBLEM && error->code == ERROR_AT_POINTER)
		icmp[4] = packet->anno[CLICK_ICMP_PARAMPROB];
	else if (error->type == REDIRECT)
		click_put_address(icmp + 4, packet->destination);
	else if (error->type == UNREACHABLE && error->code == NEED_FRAGMENTATION)
		click_put_u16(icmp + 6, error->pmtu);
}

static struct click_packet *make(struct icmp_error *error, const struct click_packet *packet,
				 const struct click_ip *ip)
{
	const uint8_t *route = find_route(ip);
	if (route && error->type == REDIRECT)
		return NULL;
	/* What is wrong may be the route itself (RFC 1812 4.3.2.6). */
	if (route && error->type == PARAMETER_PROBLEM && error->code == ERROR_AT_POINTER) {
		uint32_t at = packet->anno[CLICK_ICMP_PARAMPROB];
		uint32_t begin = (uint32_t)(route - ip->header);
		if (at >= begin && at < begin + route[1])
			route = NULL;
	}
	uint32_t header_len = CLICK_IP_HEADER + ((route_len(route) + 3) & ~3u);
	uint32_t quoted = ip->header_len + ip->payload_len;
	uint32_t room = error->mtu - header_len - CLICK_ICMP_HEADER;
	if (quoted > room)
		quoted = room;
	struct click_packet *answer =
		click_packet_new(error->element.router, header_len + CLICK_ICMP_HEADER + quoted);
	if (!answer)
		return NULL;
	memset(answer->data, 0, header_len + CLICK_ICMP_HEADER);
	click_ip_write(answer->data, &(struct click_ip_fields){
					     .src = error->src,
					     .dst = click_get_address(ip->header + 12),
					     .total_len = answer->len,
					     .id = error->next_id++,
					     .ttl = TTL,
					     .protocol = CLICK_ICMP,
				     });
	answer->data[0] = (uint8_t)(0x40 | header_len / 4);
	if (route)
		put_route(answer->data + CLICK_IP_HEADER, route);
	click_ip_set_checksum(answer->data, header_len);
	uint8_t *icmp = answer->data + header_len;
	icmp[0] = (uint8_t)error->type;
	icmp[1] = (uint8_t)error->code;
	put_rest(error, packet, icmp);
	memcpy(icmp + CLICK_ICMP_HEADER, ip->header, quoted);
	click_put_u16(icmp + 2, click_checksum(icmp, CLICK_ICMP_HEADER + quoted));
	click_ip_mark(answer, 0, header_len);
	return answer;
}

static struct click_packet *simple(struct click_element *element, struct click_packet *packet)
{
	struct icmp_error *error = (struct icmp_error *)element;
	struct click_packet *answer = NULL;
	struct click_ip ip;
	if (click_ip_get(packet, &ip) && may_answer(error, packet, &ip))
		answer = make(error, packet, &ip);
	if (answer) {
		answer->destination = click_get_address(answer->data + 16);
		answer->fix_ip_src = error->sets_fix_anno;
		answer->time_ns = click_wall_ns();
		(*error->sent)++;
	} else {
		(*error->drops)++;
	}
	click_kill(element, packet);
	return answer;
}

/* --- handlers --- */

static uint32_t read_src(struct click_element *element, char *out, uint32_t size)
{
	struct click_out text;
	click_out_init(&text, out, size);
	click_out_ip(&text, ((struct icmp_error *)element)->src);
	return text.len;
}

static int write_src(struct click_element *element, const char *text, struct click_args *args)
{
	if (click_parse_ip_name(element->router, text, &((struct icmp_error *)element)->src))
		return 0;
	click_args_error(args, "'%s' is no IP address", text);
	return -1;
}

static int write_number(const char *text, uint32_t min, uint32_t max, uint32_t *ret,
			struct click_args *args)
{
	uint32_t value;
	if (!click_parse_u32(text, &value) || value < min || value > max) {
		click_args_error(args, "'%s' is no number from %u to %u", text, min, max);
		return -1;
	}
	*ret = value;
	return 0;
}

static uint32_t read_mtu(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size, ((struct icmp_error *)element)->mtu);
}

static int write_mtu(struct click_element *element, const char *text, struct click_args *args)
{
	return write_number(text, MTU_MIN, CLICK_PACKET_MAX, &((struct icmp_error *)element)->mtu,
			    args);
}

static uint32_t read_pmtu(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size, ((struct icmp_error *)element)->pmtu);
}

static int write_pmtu(struct click_element *element, const char *text, struct click_args *args)
{
	return write_number(text, 0, UINT16_MAX, &((struct icmp_error *)element)->pmtu, args);
}

static const struct click_handler handlers[] = {
	{.name = "src", .read = read_src, .write = write_src},
	{.name = "mtu", .read = read_mtu, .write = write_mtu},
	{.name = "pmtu", .read = read_pmtu, .write = write_pmtu},
	{.name = "count", .counter = offsetof(struct icmp_error, sent)},
	{.name = "drops", .counter = offsetof(struct icmp_error, drops)},
	{.name = NULL},
};

const struct click_class click_class_ICMPError = {
	.name = "ICMPError",
	.size = sizeof(struct icmp_error),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = configure,
	.simple = simple,
	.handlers = handlers,
};
