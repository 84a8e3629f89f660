/*
 * SetIPAddress(ADDR [, ANNO]), GetIPAddress(OFFSET [, ANNO, IP]) and StoreIPAddress([ADDR,]
 * OFFSET): addresses between packets and their annotations.
 */
#include <string.h>

#include "elements/out_more.h"
#include "ip.h"

/* OFFSET where an argument says "src" or "dst": the field of the IP header. */
#define AT_SRC UINT32_MAX
#define AT_DST (UINT32_MAX - 1)

struct address {
	struct click_element element;
	uint32_t address, anno, offset;
	bool has_address;
};

/* --- SetIPAddress --- */

static int set_configure(struct click_element *element, struct click_args *args)
{
	struct address *set = (struct address *)element;
	const char *address = NULL;
	set->anno = CLICK_ANNO_DST_IP;
	/* Click's documentation calls it ADDR, and its code IPADDR. */
	click_arg_text(args, "IPADDR", 0, &address);
	if (!address)
		click_arg_ip(args, "ADDR", CLICK_POSITIONAL | CLICK_MANDATORY, &set->address);
	else if (!click_parse_ip_name(element->router, address, &set->address))
		click_args_error(args, "IPADDR: '%s' is no IP address", address);
	click_arg_anno(args, "ANNO", CLICK_POSITIONAL, 4, &set->anno);
	return click_args_end(args);
}

static struct click_packet *set_simple(struct click_element *element, struct click_packet *packet)
{
	struct address *set = (struct address *)element;
	click_anno_set(packet, set->anno, 4, set->address);
	return packet;
}

static uint32_t set_read(struct click_element *element, char *out, uint32_t size)
{
	struct click_out text;
	click_out_init(&text, out, size);
	click_out_ip(&text, ((struct address *)element)->address);
	return text.len;
}

static int set_write(struct click_element *element, const char *text, struct click_args *args)
{
	if (click_parse_ip_name(element->router, text, &((struct address *)element)->address))
		return 0;
	click_args_error(args, "'%s' is no IP address", text);
	return -1;
}

static const struct click_handler set_handlers[] = {
	{.name = "addr", .read = set_read, .write = set_write},
	{.name = NULL},
};

const struct click_class click_class_SetIPAddress = {
	.name = "SetIPAddress",
	.size = sizeof(struct address),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = set_configure,
	.simple = set_simple,
	.handlers = set_handlers,
};

/* --- GetIPAddress --- */

static bool read_field(const char *text, uint32_t *ret_offset)
{
	if (strcmp(text, "src") == 0 || strcmp(text, "SRC") == 0)
		*ret_offset = AT_SRC;
	else if (strcmp(text, "dst") == 0 || strcmp(text, "DST") == 0)
		*ret_offset = AT_DST;
	else
		return false;
	return true;
}

static void read_offset(struct click_args *args, const char *text, uint32_t *ret_offset)
{
	if (!click_parse_u32(text, ret_offset) || *ret_offset > CLICK_PACKET_MAX)
		click_args_error(args, "'%s' is no offset within a packet", text);
}

static int get_configure(struct click_element *element, struct click_args *args)
{
	struct address *get = (struct address *)element;
	const char *offset = NULL, *field = NULL;
	get->anno = CLICK_ANNO_DST_IP;
	click_arg_text(args, "OFFSET", CLICK_POSITIONAL, &offset);
	click_arg_anno(args, "ANNO", CLICK_POSITIONAL, 4, &get->anno);
	click_arg_text(args, "IP", 0, &field);
	if ((offset != NULL) == (field != NULL))
		click_args_error(args, "either OFFSET or IP");
	else if (offset)
		read_offset(args, offset, &get->offset);
	else if (!read_field(field, &get->offset))
		click_args_error(args, "IP is 'src' or 'dst'");
	return click_args_end(args);
}

/* What OFFSET means in PACKET: four bytes, or NULL. The addresses are there whatever else the
 * header says. */
static uint8_t *find(const struct click_packet *packet, uint32_t offset)
{
	if (offset <= CLICK_PACKET_MAX)
		return packet->len >= 4 && offset <= packet->len - 4 ? packet->data + offset : NULL;
	uint8_t *header = click_packet_header(packet, packet->network, CLICK_IP_HEADER);
	return header ? header + (offset == AT_SRC ? 12 : 16) : NULL;
}

static struct click_packet *get_simple(struct click_element *element, struct click_packet *packet)
{
	struct address *get = (struct address *)element;
	const uint8_t *at = find(packet, get->offset);
	if (!at) {
		click_kill(element, packet);
		return NULL;
	}
	click_anno_set(packet, get->anno, 4, click_get_address(at));
	return packet;
}

const struct click_class click_class_GetIPAddress = {
	.name = "GetIPAddress",
	.size = sizeof(struct address),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = get_configure,
	.simple = get_simple,
};

/* --- StoreIPAddress --- */

static int store_configure(struct click_element *element, struct click_args *args)
{
	struct address *store = (struct address *)element;
	const char *offset = NULL;
	store->has_address = click_args_count(args) > 1;
	if (store->has_address)
		click_arg_ip(args, "ADDR", CLICK_POSITIONAL | CLICK_MANDATORY, &store->address);
	click_arg_text(args, "OFFSET", CLICK_POSITIONAL | CLICK_MANDATORY, &offset);
	if (offset && !read_field(offset, &store->offset))
		read_offset(args, offset, &store->offset);
	return click_args_end(args);
}

static void update(uint8_t *checksum, uint32_t old, uint32_t new)
{
	click_put_u16(checksum,
		      click_checksum_update_u32(click_get_u16(checksum), click_address_to_host(old),
						click_address_to_host(new)));
}

/* That of the transport covers the address, too. */
static void update_transport(const struct click_ip *ip, uint32_t old, uint32_t new)
{
	if (!click_ip_is_first(ip))
		return;
	if (ip->protocol == CLICK_TCP && ip->payload_len >= 18)
		update(ip->payload + 16, old, new);
	if (ip->protocol == CLICK_UDP && ip->payload_len >= CLICK_UDP_HEADER &&
	    click_get_u16(ip->payload + 6)) {
		update(ip->payload + 6, old, new);
		/* Zero would say that there is none. */
		if (!click_get_u16(ip->payload + 6))
			click_put_u16(ip->payload + 6, 0xffff);
	}
}

static struct click_packet *store_simple(struct click_element *element, struct click_packet *packet)
{
	struct address *store = (struct address *)element;
	uint32_t address = store->has_address ? store->address : packet->destination;
	if (!store->has_address && !address)
		return packet;
	uint8_t *at = find(packet, store->offset);
	if (!at) {
		click_push(element, 1, packet);
		return NULL;
	}
	struct click_ip ip;
	if (store->offset > CLICK_PACKET_MAX) {
		uint32_t old = click_get_address(at);
		update(packet->data + packet->network + 10, old, address);
		if (click_ip_get(packet, &ip))
			update_transport(&ip, old, address);
	}
	click_put_address(at, address);
	return packet;
}

const struct click_class click_class_StoreIPAddress = {
	.name = "StoreIPAddress",
	.size = sizeof(struct address),
	.port_count = "1/1-2",
	.processing = "a/ah",
	.configure = store_configure,
	.simple = store_simple,
};
