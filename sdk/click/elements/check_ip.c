/*
 * CheckIPHeader([OFFSET, INTERFACES, BADSRC, GOODDST, CHECKSUM, VERBOSE, DETAILS]), and its old
 * form CheckIPHeader(BADSRC, OFFSET); CheckIPHeader2 is the same without the checksum.
 */
#include "elements/ip_steps.h"

enum reason {
	TOO_SHORT,
	BAD_VERSION,
	BAD_HEADER_LEN,
	BAD_LEN,
	BAD_CHECKSUM,
	BAD_SOURCE,
};

static const char *const reasons[] = {
	"tiny packet",	 "bad IP version",  "bad IP header length",
	"bad IP length", "bad IP checksum", "bad source address",
};

static void add(struct click_check_ip *check, struct click_args *args, struct click_addresses *list,
		uint32_t address)
{
	if (!click_addresses_have(list, address) &&
	    !click_addresses_add(list, check->check.element.router, address))
		click_args_error(args, "more than %u addresses", CLICK_LIST_MAX);
}

/* All broadcast addresses of the interfaces are bad sources, their own are good destinations. */
static void read_interfaces(struct click_check_ip *check, struct click_args *args)
{
	struct click_addresses interfaces = {.count = 0};
	click_arg_prefixes(args, check->check.element.router, "INTERFACES", 0, &interfaces);
	for (uint32_t i = 0; i < interfaces.count; i++) {
		add(check, args, &check->bad_src, interfaces.address[i] | ~interfaces.mask[i]);
		add(check, args, &check->good_dst, interfaces.address[i]);
	}
	if (interfaces.count) {
		add(check, args, &check->bad_src, 0);
		add(check, args, &check->bad_src, UINT32_MAX);
	}
}

void click_check_ip_bad(struct click_check_ip *check, const char *list, struct click_args *args)
{
	const char *words[CLICK_LIST_MAX];
	struct click_router *router = check->check.element.router;
	unsigned count = click_words(router, list, words, CLICK_LIST_MAX);
	for (unsigned i = 0; i < count; i++) {
		uint32_t address;
		if (click_parse_ip_name(router, words[i], &address))
			add(check, args, &check->bad_src, address);
		else
			click_args_error(args, "'%s' is neither an offset nor addresses", words[i]);
	}
	add(check, args, &check->bad_src, 0);
	add(check, args, &check->bad_src, UINT32_MAX);
}

/* The first argument was a list of bad addresses once, and has been an offset since. */
static void read_positional(struct click_check_ip *check, struct click_args *args)
{
	const char *first = NULL;
	uint32_t number;
	click_arg_text(args, "OFFSET", CLICK_POSITIONAL, &first);
	if (!first)
		return;
	if (click_parse_u32(first, &number)) {
		check->offset = number;
		return;
	}
	click_check_ip_bad(check, first, args);
	click_arg_u32(args, "OFFSET2", CLICK_POSITIONAL, &check->offset);
}

void click_check_ip_addresses(struct click_check_ip *check, struct click_args *args)
{
	struct click_router *router = check->check.element.router;
	read_interfaces(check, args);
	click_arg_addresses(args, router, "BADSRC", 0, &check->bad_src);
	click_arg_addresses(args, router, "GOODDST", 0, &check->good_dst);
}

void click_check_ip_init(struct click_check_ip *check, bool does_checksum)
{
	check->check.what = "IP";
	check->check.reasons = reasons;
	check->check.reasons_count = sizeof(reasons) / sizeof(reasons[0]);
	check->does_checksum = does_checksum;
}

static int configure_with(struct click_element *element, struct click_args *args, bool checksum)
{
	struct click_check_ip *check = (struct click_check_ip *)element;
	click_check_ip_init(check, checksum);
	read_positional(check, args);
	click_check_ip_addresses(check, args);
	click_arg_bool(args, "CHECKSUM", 0, &check->does_checksum);
	click_check_configure(&check->check, args);
	if (check->offset > CLICK_PACKET_MAX)
		click_args_error(args, "a packet has at most %u bytes", CLICK_PACKET_MAX);
	return click_args_end(args);
}

static int configure(struct click_element *element, struct click_args *args)
{
	return configure_with(element, args, true);
}

static int configure2(struct click_element *element, struct click_args *args)
{
	return configure_with(element, args, false);
}

struct click_packet *click_check_ip(struct click_check_ip *check, struct click_packet *packet)
{
	if (packet->len < check->offset + CLICK_IP_HEADER)
		return click_check_drop(&check->check, TOO_SHORT, packet);
	uint8_t *header = packet->data + check->offset;
	uint32_t available = packet->len - check->offset;
	if (header[0] >> 4 != 4)
		return click_check_drop(&check->check, BAD_VERSION, packet);
	uint32_t header_len = (header[0] & 15) * 4u;
	if (header_len < CLICK_IP_HEADER)
		return click_check_drop(&check->check, BAD_HEADER_LEN, packet);
	uint32_t len = click_get_u16(header + 2);
	if (len > available || len < header_len)
		return click_check_drop(&check->check, BAD_LEN, packet);
	if (check->does_checksum && click_checksum(header, header_len) != 0)
		return click_check_drop(&check->check, BAD_CHECKSUM, packet);
	uint32_t dst = click_get_address(header + 16);
	if (click_addresses_have(&check->bad_src, click_get_address(header + 12)) &&
	    !click_addresses_have(&check->good_dst, dst))
		return click_check_drop(&check->check, BAD_SOURCE, packet);
	/* Ethernet pads what is short. */
	if (available > len)
		click_packet_take(packet, available - len);
	click_ip_mark(packet, (int32_t)check->offset, header_len);
	packet->destination = dst;
	(*check->check.passed)++;
	return packet;
}

static struct click_packet *simple(struct click_element *element, struct click_packet *packet)
{
	return click_check_ip((struct click_check_ip *)element, packet);
}

const struct click_class click_class_CheckIPHeader = {
	.name = "CheckIPHeader",
	.size = sizeof(struct click_check_ip),
	.port_count = "1/1-2",
	.processing = "a/ah",
	.configure = configure,
	.simple = simple,
	.handlers = click_check_handlers,
};

const struct click_class click_class_CheckIPHeader2 = {
	.name = "CheckIPHeader2",
	.size = sizeof(struct click_check_ip),
	.port_count = "1/1-2",
	.processing = "a/ah",
	.configure = configure2,
	.simple = simple,
	.handlers = click_check_handlers,
};
