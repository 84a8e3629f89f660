/*
 * IPFragmenter(MTU [, HONOR_DF, VERBOSE, HEADROOM]): RFC 791's fragments, in order. The first is
 * the packet itself, cut, with whatever is in front of its IP header; the others begin with theirs.
 */
#include <string.h>

#include "elements/out_more.h"
#include "ip.h"

/* Messages about packets that may not be fragmented, without VERBOSE. */
#define TOLD_MAX 5u
#define IP_MAX	 65535u

struct fragmenter {
	struct click_element element;
	uint32_t mtu;
	bool honors_df, is_verbose;
	uint64_t *drops, *fragments;
};

static int configure(struct click_element *element, struct click_args *args)
{
	struct fragmenter *fragmenter = (struct fragmenter *)element;
	uint32_t headroom = CLICK_HEADROOM;
	fragmenter->honors_df = true;
	click_arg_u32(args, "MTU", CLICK_POSITIONAL | CLICK_MANDATORY, &fragmenter->mtu);
	click_arg_bool(args, "HONOR_DF", CLICK_POSITIONAL, &fragmenter->honors_df);
	click_arg_bool(args, "VERBOSE", CLICK_POSITIONAL, &fragmenter->is_verbose);
	click_arg_u32(args, "HEADROOM", 0, &headroom);
	if (fragmenter->mtu < CLICK_IP_HEADER + 8)
		click_args_error(args, "MTU is at least %u", CLICK_IP_HEADER + 8);
	/* Every packet has this much, which is no less than what was asked for. */
	if (headroom > CLICK_HEADROOM)
		click_args_error(args, "HEADROOM is at most %u", CLICK_HEADROOM);
	return click_args_end(args);
}

static void tell(const struct fragmenter *fragmenter, const struct click_ip *ip)
{
	char line[160];
	struct click_out text;
	click_out_init(&text, line, sizeof(line) - 1);
	click_out_add(&text, fragmenter->element.more->name);
	click_out_add(&text, ": may not fragment ");
	click_out_ip(&text, click_get_address(ip->header + 12));
	click_out_add(&text, " > ");
	click_out_ip(&text, click_get_address(ip->header + 16));
	click_out_add(&text, " len ");
	click_out_u64(&text, ip->total_len);
	line[text.len] = '\0';
	click_log(fragmenter->element.router, line);
}

/* Those options of IP that all fragments have, into OUT; how long they are with padding. */
static uint32_t copy_options(const struct click_ip *ip, uint8_t out[40])
{
	const uint8_t *at = ip->header + CLICK_IP_HEADER;
	const uint8_t *end = ip->header + ip->header_len;
	uint32_t len = 0;
	memset(out, 0, 40);
	while (at < end && *at != 0) {
		if (*at == 1) {
			at++;
			continue;
		}
		if (end - at < 2 || at[1] < 2 || at[1] > end - at)
			break;
		if (*at & 0x80) {
			memcpy(out + len, at, at[1]);
			len += at[1];
		}
		at += at[1];
	}
	return (len + 3) & ~3u;
}

/* Sets the length and the fragment's field of a header, and its checksum. */
static void finish(uint8_t *header, uint32_t header_len, uint32_t data_len, uint32_t fragment)
{
	click_put_u16(header + 2, header_len + data_len);
	click_put_u16(header + 6, fragment);
	click_ip_set_checksum(header, header_len);
}

/* Frees a list of fragments. */
static void kill_all(struct click_element *element, struct click_packet *list)
{
	while (list) {
		struct click_packet *next = list->next;
		list->next = NULL;
		click_kill(element, list);
		list = next;
	}
}

/* The fragments behind the first FIRST_LEN bytes of IP's payload, which PACKET still has. NULL:
 * there are no packets for all of them, and some of them are worth nothing. */
static struct click_packet *make_rest(struct fragmenter *fragmenter,
				      const struct click_packet *packet, const struct click_ip *ip,
				      uint32_t first_len)
{
	uint8_t options[40];
	uint32_t header_len = CLICK_IP_HEADER + copy_options(ip, options);
	uint32_t step = (fragmenter->mtu - header_len) & ~7u;
	struct click_packet *list = NULL, **end = &list;
	for (uint32_t at = first_len; at < ip->payload_len; at += step) {
		uint32_t len = ip->payload_len - at < step ? ip->payload_len - at : step;
		struct click_packet *part =
			click_packet_new(fragmenter->element.router, header_len + len);
		if (!part) {
			kill_all(&fragmenter->element, list);
			return NULL;
		}
		click_copy_annotations(part, packet);
		memcpy(part->data, ip->header, CLICK_IP_HEADER);
		memcpy(part->data + CLICK_IP_HEADER, options, header_len - CLICK_IP_HEADER);
		memcpy(part->data + header_len, ip->payload + at, len);
		part->data[0] = (uint8_t)(0x40 | header_len / 4);
		bool is_last = at + len == ip->payload_len && !(ip->fragment & CLICK_IP_MF);
		finish(part->data, header_len, len,
		       ((ip->fragment & CLICK_IP_OFFSET) + at / 8) | (is_last ? 0 : CLICK_IP_MF));
		click_ip_mark(part, 0, header_len);
		part->next = NULL;
		*end = part;
		end = &part->next;
	}
	return list;
}

static void fragment(struct fragmenter *fragmenter, struct click_packet *packet,
		     const struct click_ip *ip)
{
	struct click_element *element = &fragmenter->element;
	uint32_t first_len =
		fragmenter->mtu > ip->header_len ? (fragmenter->mtu - ip->header_len) & ~7u : 0;
	uint32_t offset = (ip->fragment & CLICK_IP_OFFSET) * 8u;
	/* Fragments of something that ends beyond what IP can have would get wrong offsets. */
	if (offset + ip->payload_len > IP_MAX) {
		(*fragmenter->drops)++;
		click_kill(element, packet);
		return;
	}
	bool may_not = (ip->fragment & CLICK_IP_DF) && fragmenter->honors_df;
	if (may_not || first_len < 8) {
		if (fragmenter->is_verbose || *fragmenter->drops < TOLD_MAX)
			tell(fragmenter, ip);
		(*fragmenter->drops)++;
		click_push(element, 1, packet);
		return;
	}
	/* Who forbids fragments need not give his packets different numbers. */
	if (ip->fragment & CLICK_IP_DF)
		click_put_u16(ip->header + 4, click_random(element->router) & 0xffff);
	struct click_packet *rest = make_rest(fragmenter, packet, ip, first_len);
	if (!rest) {
		(*fragmenter->drops)++;
		click_kill(element, packet);
		return;
	}
	uint32_t front = (uint32_t)(ip->payload - packet->data) + first_len;
	click_packet_take(packet, packet->len - front);
	finish(ip->header, ip->header_len, first_len,
	       (ip->fragment & CLICK_IP_OFFSET) | CLICK_IP_MF);
	(*fragmenter->fragments)++;
	click_push(element, 0, packet);
	while (rest) {
		struct click_packet *next = rest->next;
		rest->next = NULL;
		(*fragmenter->fragments)++;
		click_push(element, 0, rest);
		rest = next;
	}
}

static void push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	struct fragmenter *fragmenter = (struct fragmenter *)element;
	struct click_ip ip;
	if (!click_ip_get(packet, &ip) || ip.header < packet->data ||
	    ip.total_len != ip.header_len + ip.payload_len) {
		(*fragmenter->drops)++;
		click_kill(element, packet);
	} else if (ip.total_len <= fragmenter->mtu) {
		click_push(element, 0, packet);
	} else {
		fragment(fragmenter, packet, &ip);
	}
}

static const struct click_handler handlers[] = {
	{.name = "drops", .counter = offsetof(struct fragmenter, drops)},
	{.name = "fragments", .counter = offsetof(struct fragmenter, fragments)},
	{.name = NULL},
};

const struct click_class click_class_IPFragmenter = {
	.name = "IPFragmenter",
	.size = sizeof(struct fragmenter),
	.port_count = "1/1-2",
	.processing = "h/h",
	.configure = configure,
	.push = push,
	.handlers = handlers,
};
