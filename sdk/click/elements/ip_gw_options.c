/*
 * IPGWOptions(MYADDR [, OTHERADDRS]): what every router does for the options of a packet that it
 * forwards: Record Route and Timestamp (RFC 791, RFC 1812 5.2.4.1).
 *
 * A malformed option goes to output 1, and the annotation for ICMPError says at which byte.
 */
#include "elements/ip_steps.h"

enum option { END = 0, NOP = 1, RECORD_ROUTE = 7, TIMESTAMP = 68 };
enum timestamp_flag { STAMPS = 0, ADDRESSES_AND_STAMPS = 1, PRESPECIFIED = 3 };

#define MS_PER_DAY 86400000u

struct gw_options {
	struct click_element element;
	struct click_gw gw;
	uint64_t *drops;
};

static int configure(struct click_element *element, struct click_args *args)
{
	struct gw_options *options = (struct gw_options *)element;
	click_arg_ip(args, "MYADDR", CLICK_POSITIONAL | CLICK_MANDATORY, &options->gw.address);
	click_arg_addresses(args, element->router, "OTHERADDRS", CLICK_POSITIONAL,
			    &options->gw.own);
	if (!click_addresses_add(&options->gw.own, element->router, options->gw.address))
		click_args_error(args, "OTHERADDRS has more than %u addresses", CLICK_LIST_MAX);
	return click_args_end(args);
}

/* Each returns the byte of the option that is wrong, or 0. LEN is at least 2, and within the
 * header. Pointers count from 1. */
static uint32_t record_route(const struct click_gw *options, uint8_t *option, uint32_t len)
{
	if (len < 3)
		return 1;
	if (option[2] < 4)
		return 2;
	uint32_t at = option[2] - 1u;
	if (at + 4 <= len) {
		click_put_address(option + at, options->address);
		option[2] = (uint8_t)(option[2] + 4);
		return 0;
	}
	/* A full one is passed on as it is. */
	return at == len ? 0 : 2;
}

static uint32_t add_overflow(uint8_t *option)
{
	if (option[3] >> 4 == 15)
		return 3;
	option[3] = (uint8_t)(option[3] + 0x10);
	return 0;
}

static uint32_t timestamp(const struct click_gw *options, uint8_t *option, uint32_t len)
{
	if (len < 4)
		return 1;
	if (option[2] < 5)
		return 2;
	uint32_t at = option[2] - 1u;
	uint32_t flag = option[3] & 15;
	uint32_t ms = (uint32_t)(click_wall_ns() / 1000000 % MS_PER_DAY);
	if (flag == STAMPS) {
		if (at + 4 > len)
			return add_overflow(option);
		click_put_u32(option + at, ms);
		option[2] = (uint8_t)(option[2] + 4);
		return 0;
	}
	if (flag != ADDRESSES_AND_STAMPS && flag != PRESPECIFIED)
		return 3;
	if (at + 8 > len && flag == PRESPECIFIED)
		return at == len ? 0 : 2;
	if (at + 8 > len)
		return add_overflow(option);
	if (flag == PRESPECIFIED &&
	    !click_addresses_have(&options->own, click_get_address(option + at)))
		return 0;
	if (flag == ADDRESSES_AND_STAMPS)
		click_put_address(option + at, options->address);
	click_put_u32(option + at + 4, ms);
	option[2] = (uint8_t)(option[2] + 8);
	return 0;
}

/* The byte of the header that is wrong, or 0. */
static uint32_t process(const struct click_gw *options, const struct click_ip *ip)
{
	uint32_t at = CLICK_IP_HEADER;
	while (at < ip->header_len && ip->header[at] != END) {
		uint8_t *option = ip->header + at;
		if (*option == NOP) {
			at++;
			continue;
		}
		uint32_t left = ip->header_len - at;
		uint32_t len = left >= 2 ? option[1] : 0;
		if (left < 2)
			return at;
		if (len < 2 || len > left)
			return at + 1;
		uint32_t wrong = 0;
		if (*option == RECORD_ROUTE)
			wrong = record_route(options, option, len);
		else if (*option == TIMESTAMP)
			wrong = timestamp(options, option, len);
		if (wrong)
			return at + wrong;
		at += len;
	}
	return 0;
}

bool click_gw_options(const struct click_gw *gw, struct click_packet *packet,
		      const struct click_ip *ip)
{
	if (ip->header_len == CLICK_IP_HEADER)
		return true;
	uint32_t wrong = process(gw, ip);
	click_ip_set_checksum(ip->header, ip->header_len);
	if (!wrong)
		return true;
	packet->has_anno = true;
	packet->anno[CLICK_ICMP_PARAMPROB] = (uint8_t)wrong;
	return false;
}

static struct click_packet *simple(struct click_element *element, struct click_packet *packet)
{
	struct gw_options *options = (struct gw_options *)element;
	struct click_ip ip;
	bool is_ip = click_ip_get(packet, &ip);
	if (is_ip && click_gw_options(&options->gw, packet, &ip))
		return packet;
	(*options->drops)++;
	if (is_ip)
		click_push(element, 1, packet);
	else
		click_kill(element, packet);
	return NULL;
}

static const struct click_handler handlers[] = {
	{.name = "drops", .counter = offsetof(struct gw_options, drops)},
	{.name = NULL},
};

const struct click_class click_class_IPGWOptions = {
	.name = "IPGWOptions",
	.size = sizeof(struct gw_options),
	.port_count = "1/1-2",
	.processing = "a/ah",
	.configure = configure,
	.simple = simple,
	.handlers = handlers,
};
