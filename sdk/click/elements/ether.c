/*
 * EtherEncap(ETHERTYPE, SRC, DST), EnsureEther([ETHERTYPE, SRC, DST]), EtherRewrite(SRC, DST),
 * EtherMirror, HostEtherFilter(ETHER, ...) and DropBroadcasts.
 */
#include "elements/ether.h"

#include <string.h>

#include "elements/out_more.h"
#include "ip.h"

/* --- EtherEncap --- */

struct ether_encap {
	struct click_element element;
	uint8_t header[CLICK_ETHER_HEADER];
};

static int encap_configure(struct click_element *element, struct click_args *args)
{
	struct ether_encap *encap = (struct ether_encap *)element;
	uint32_t type = 0;
	click_arg_u32(args, "ETHERTYPE", CLICK_POSITIONAL | CLICK_MANDATORY, &type);
	click_arg_ether(args, "SRC", CLICK_POSITIONAL | CLICK_MANDATORY, encap->header + 6);
	click_arg_ether(args, "DST", CLICK_POSITIONAL | CLICK_MANDATORY, encap->header);
	if (type > UINT16_MAX)
		click_args_error(args, "ETHERTYPE is at most 0xffff");
	click_put_u16(encap->header + 12, type);
	return click_args_end(args);
}

static struct click_packet *encap_simple(struct click_element *element, struct click_packet *packet)
{
	struct ether_encap *encap = (struct ether_encap *)element;
	if (!click_packet_push(packet, CLICK_ETHER_HEADER)) {
		click_kill(element, packet);
		return NULL;
	}
	memcpy(packet->data, encap->header, CLICK_ETHER_HEADER);
	click_ether_mark(packet);
	return packet;
}

uint32_t click_ether_read(const uint8_t address[6], char *out, uint32_t size)
{
	struct click_out text;
	click_out_init(&text, out, size);
	click_out_ether(&text, address);
	return text.len;
}

int click_ether_write(struct click_element *element, uint8_t address[6], const char *text,
		      struct click_args *args)
{
	if (click_parse_ether_name(element->router, text, address))
		return 0;
	click_args_error(args, "'%s' is no Ethernet address", text);
	return -1;
}

static uint32_t encap_read_src(struct click_element *element, char *out, uint32_t size)
{
	return click_ether_read(((struct ether_encap *)element)->header + 6, out, size);
}

static int encap_write_src(struct click_element *element, const char *text, struct click_args *args)
{
	return click_ether_write(element, ((struct ether_encap *)element)->header + 6, text, args);
}

static uint32_t encap_read_dst(struct click_element *element, char *out, uint32_t size)
{
	return click_ether_read(((struct ether_encap *)element)->header, out, size);
}

static int encap_write_dst(struct click_element *element, const char *text, struct click_args *args)
{
	return click_ether_write(element, ((struct ether_encap *)element)->header, text, args);
}

static uint32_t encap_read_type(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size,
				click_get_u16(((struct ether_encap *)element)->header + 12));
}

static int encap_write_type(struct click_element *element, const char *text,
			    struct click_args *args)
{
	uint32_t type;
	if (!click_parse_u32(text, &type) || type > UINT16_MAX) {
		click_args_error(args, "'%s' is no type of at most 0xffff", text);
		return -1;
	}
	click_put_u16(((struct ether_encap *)element)->header + 12, type);
	return 0;
}

static const struct click_handler encap_handlers[] = {
	{.name = "src", .read = encap_read_src, .write = encap_write_src},
	{.name = "dst", .read = encap_read_dst, .write = encap_write_dst},
	{.name = "ethertype", .read = encap_read_type, .write = encap_write_type},
	{.name = NULL},
};

const struct click_class click_class_EtherEncap = {
	.name = "EtherEncap",
	.size = sizeof(struct ether_encap),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = encap_configure,
	.simple = encap_simple,
	.handlers = encap_handlers,
};

/* --- EnsureEther --- */

static int ensure_configure(struct click_element *element, struct click_args *args)
{
	struct ether_encap *ensure = (struct ether_encap *)element;
	uint32_t type = CLICK_ETHERTYPE_IP;
	memset(ensure->header, 2, 6);
	memset(ensure->header + 6, 1, 6);
	click_arg_u32(args, "ETHERTYPE", CLICK_POSITIONAL, &type);
	click_arg_ether(args, "SRC", CLICK_POSITIONAL, ensure->header + 6);
	click_arg_ether(args, "DST", CLICK_POSITIONAL, ensure->header);
	if (type > UINT16_MAX)
		click_args_error(args, "ETHERTYPE is at most 0xffff");
	click_put_u16(ensure->header + 12, type);
	return click_args_end(args);
}

/* Is there an Ethernet header of IP directly in front of the network header? */
static bool has_header(const struct click_packet *packet)
{
	const uint8_t *header = click_packet_header(
		packet, (int16_t)(packet->network - (int16_t)CLICK_ETHER_HEADER),
		CLICK_ETHER_HEADER);
	if (!header)
		return false;
	uint32_t type = click_get_u16(header + 12);
	return type == CLICK_ETHERTYPE_IP || type == CLICK_ETHERTYPE_IP6;
}

static struct click_packet *ensure_simple(struct click_element *element,
					  struct click_packet *packet)
{
	if (packet->network < 0 || (uint32_t)packet->network > packet->len)
		return packet;
	bool is_framed = packet->network == (int16_t)CLICK_ETHER_HEADER;
	if (is_framed && has_header(packet))
		return packet;
	/* What was stripped is marked: other bytes in front of a packet are of earlier ones. */
	bool was_framed = packet->network == 0 && packet->mac == -(int16_t)CLICK_ETHER_HEADER &&
			  has_header(packet);
	if (was_framed && click_packet_push(packet, CLICK_ETHER_HEADER))
		return packet;
	click_packet_pull(packet, (uint32_t)packet->network);
	return encap_simple(element, packet);
}

const struct click_class click_class_EnsureEther = {
	.name = "EnsureEther",
	.size = sizeof(struct ether_encap),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = ensure_configure,
	.simple = ensure_simple,
};

/* --- EtherRewrite --- */

static int rewrite_configure(struct click_element *element, struct click_args *args)
{
	struct ether_encap *rewrite = (struct ether_encap *)element;
	click_arg_ether(args, "SRC", CLICK_POSITIONAL | CLICK_MANDATORY, rewrite->header + 6);
	click_arg_ether(args, "DST", CLICK_POSITIONAL | CLICK_MANDATORY, rewrite->header);
	return click_args_end(args);
}

/* Of a packet that is not marked, the header is where it begins. */
static struct click_packet *rewrite_simple(struct click_element *element,
					   struct click_packet *packet)
{
	int16_t at = packet->mac == CLICK_NO_HEADER ? 0 : packet->mac;
	uint8_t *header = click_packet_header(packet, at, CLICK_ETHER_HEADER);
	if (header) {
		memcpy(header, ((const struct ether_encap *)element)->header, 12);
		return packet;
	}
	click_kill(element, packet);
	return NULL;
}

static const struct click_handler rewrite_handlers[] = {
	{.name = "src", .read = encap_read_src, .write = encap_write_src},
	{.name = "dst", .read = encap_read_dst, .write = encap_write_dst},
	{.name = NULL},
};

const struct click_class click_class_EtherRewrite = {
	.name = "EtherRewrite",
	.size = sizeof(struct ether_encap),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = rewrite_configure,
	.simple = rewrite_simple,
	.handlers = rewrite_handlers,
};

/* --- EtherMirror --- */

static struct click_packet *mirror_simple(struct click_element *element,
					  struct click_packet *packet)
{
	if (packet->len < CLICK_ETHER_HEADER) {
		click_kill(element, packet);
		return NULL;
	}
	uint8_t dst[6];
	memcpy(dst, packet->data, 6);
	memcpy(packet->data, packet->data + 6, 6);
	memcpy(packet->data + 6, dst, 6);
	return packet;
}

const struct click_class click_class_EtherMirror = {
	.name = "EtherMirror",
	.size = sizeof(struct click_element),
	.port_count = "1/1",
	.processing = "a/a",
	.simple = mirror_simple,
};

/* --- HostEtherFilter --- */

struct host_filter {
	struct click_element element;
	uint8_t address[6];
	bool drop_own, drop_other;
	uint32_t offset;
	uint64_t *drops;
};

static int filter_configure(struct click_element *element, struct click_args *args)
{
	struct host_filter *filter = (struct host_filter *)element;
	filter->drop_other = true;
	click_arg_ether(args, "ETHER", CLICK_POSITIONAL | CLICK_MANDATORY, filter->address);
	click_arg_bool(args, "DROP_OWN", CLICK_POSITIONAL, &filter->drop_own);
	click_arg_bool(args, "DROP_OTHER", CLICK_POSITIONAL, &filter->drop_other);
	click_arg_u32(args, "OFFSET", 0, &filter->offset);
	if (filter->offset > CLICK_PACKET_MAX)
		click_args_error(args, "a packet has at most %u bytes", CLICK_PACKET_MAX);
	return click_args_end(args);
}

static struct click_packet *filter_simple(struct click_element *element,
					  struct click_packet *packet)
{
	struct host_filter *filter = (struct host_filter *)element;
	bool is_dropped = packet->len < filter->offset + CLICK_ETHER_HEADER;
	if (!is_dropped) {
		const uint8_t *header = packet->data + filter->offset;
		enum click_packet_type type = click_ether_type(header, filter->address);
		packet->packet_type = (uint8_t)type;
		packet->mac = (int16_t)filter->offset;
		is_dropped = (filter->drop_own && memcmp(header + 6, filter->address, 6) == 0) ||
			     (filter->drop_other && type == CLICK_TO_OTHER_HOST);
	}
	if (!is_dropped)
		return packet;
	(*filter->drops)++;
	click_push(element, 1, packet);
	return NULL;
}

static uint32_t filter_read(struct click_element *element, char *out, uint32_t size)
{
	return click_ether_read(((struct host_filter *)element)->address, out, size);
}

static int filter_write(struct click_element *element, const char *text, struct click_args *args)
{
	return click_ether_write(element, ((struct host_filter *)element)->address, text, args);
}

static const struct click_handler filter_handlers[] = {
	{.name = "ether", .read = filter_read, .write = filter_write},
	{.name = "drops", .counter = offsetof(struct host_filter, drops)},
	{.name = NULL},
};

const struct click_class click_class_HostEtherFilter = {
	.name = "HostEtherFilter",
	.size = sizeof(struct host_filter),
	.port_count = "1/1-2",
	.processing = "a/ah",
	.configure = filter_configure,
	.simple = filter_simple,
	.handlers = filter_handlers,
};

/* --- DropBroadcasts --- */

struct drop_broadcasts {
	struct click_element element;
	uint64_t *drops;
};

static struct click_packet *drop_simple(struct click_element *element, struct click_packet *packet)
{
	if (packet->packet_type != CLICK_TO_BROADCAST && packet->packet_type != CLICK_TO_MULTICAST)
		return packet;
	(*((struct drop_broadcasts *)element)->drops)++;
	click_push(element, 1, packet);
	return NULL;
}

static const struct click_handler drop_handlers[] = {
	{.name = "drops", .counter = offsetof(struct drop_broadcasts, drops)},
	{.name = NULL},
};

const struct click_class click_class_DropBroadcasts = {
	.name = "DropBroadcasts",
	.size = sizeof(struct drop_broadcasts),
	.port_count = "1/1-2",
	.processing = "a/ah",
	.simple = drop_simple,
	.handlers = drop_handlers,
};
