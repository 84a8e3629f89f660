/*
 * DecIPTTL, FixIPSrc, IPMirror and SetIPDSCP: elements that change fields of an IP header, and its
 * checksum with them.
 */
#include <string.h>

#include "elements/ip_steps.h"
#include "elements/out_more.h"

/* Puts VALUE where 16 bits of HEADER are, at OFFSET. */
static void change_u16(uint8_t *header, uint32_t offset, uint16_t value)
{
	uint16_t old = click_get_u16(header + offset);
	click_put_u16(header + offset, value);
	click_put_u16(header + 10,
		      click_checksum_update_u16(click_get_u16(header + 10), old, value));
}

/* --- DecIPTTL --- */

struct dec_ttl {
	struct click_element element;
	bool is_active, does_multicast;
	uint64_t *drops;
};

static int ttl_configure(struct click_element *element, struct click_args *args)
{
	struct dec_ttl *dec = (struct dec_ttl *)element;
	dec->is_active = dec->does_multicast = true;
	click_arg_bool(args, "ACTIVE", 0, &dec->is_active);
	click_arg_bool(args, "MULTICAST", 0, &dec->does_multicast);
	return click_args_end(args);
}

bool click_dec_ip_ttl(const struct click_ip *ip)
{
	if (ip->header[8] <= 1)
		return false;
	change_u16(ip->header, 8, (uint16_t)(click_get_u16(ip->header + 8) - 0x100));
	return true;
}

static struct click_packet *ttl_simple(struct click_element *element, struct click_packet *packet)
{
	struct dec_ttl *dec = (struct dec_ttl *)element;
	struct click_ip ip;
	if (!click_ip_get(packet, &ip)) {
		(*dec->drops)++;
		click_kill(element, packet);
		return NULL;
	}
	bool is_multicast = ip.header[16] >> 4 == 14;
	if (!dec->is_active || (is_multicast && !dec->does_multicast))
		return packet;
	if (click_dec_ip_ttl(&ip))
		return packet;
	(*dec->drops)++;
	click_push(element, 1, packet);
	return NULL;
}

static uint32_t ttl_read_active(struct click_element *element, char *out, uint32_t size)
{
	struct click_out text;
	click_out_init(&text, out, size);
	click_out_add(&text, ((struct dec_ttl *)element)->is_active ? "true" : "false");
	return text.len;
}

static int ttl_write_active(struct click_element *element, const char *text,
			    struct click_args *args)
{
	if (click_parse_bool(text, &((struct dec_ttl *)element)->is_active))
		return 0;
	click_args_error(args, "'%s' is neither true nor false", text);
	return -1;
}

static const struct click_handler ttl_handlers[] = {
	{.name = "drops", .counter = offsetof(struct dec_ttl, drops)},
	{.name = "active", .read = ttl_read_active, .write = ttl_write_active},
	{.name = NULL},
};

const struct click_class click_class_DecIPTTL = {
	.name = "DecIPTTL",
	.size = sizeof(struct dec_ttl),
	.port_count = "1/1-2",
	.processing = "a/ah",
	.configure = ttl_configure,
	.simple = ttl_simple,
	.handlers = ttl_handlers,
};

/* --- FixIPSrc --- */

struct fix_src {
	struct click_element element;
	uint32_t address;
};

static int fix_configure(struct click_element *element, struct click_args *args)
{
	click_arg_ip(args, "IPADDR", CLICK_POSITIONAL | CLICK_MANDATORY,
		     &((struct fix_src *)element)->address);
	return click_args_end(args);
}

/* Messages of ICMPError leave with the address of the interface by which they do (RFC 1812
 * 4.3.2.4). ICMP's own checksum does not cover addresses. */
void click_fix_ip_src(struct click_packet *packet, const struct click_ip *ip, uint32_t address)
{
	uint32_t host = click_address_to_host(address);
	if (!packet->fix_ip_src)
		return;
	packet->fix_ip_src = 0;
	change_u16(ip->header, 12, (uint16_t)(host >> 16));
	change_u16(ip->header, 14, (uint16_t)host);
}

static struct click_packet *fix_simple(struct click_element *element, struct click_packet *packet)
{
	struct click_ip ip;
	if (packet->fix_ip_src && click_ip_get(packet, &ip))
		click_fix_ip_src(packet, &ip, ((const struct fix_src *)element)->address);
	return packet;
}

const struct click_class click_class_FixIPSrc = {
	.name = "FixIPSrc",
	.size = sizeof(struct fix_src),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = fix_configure,
	.simple = fix_simple,
};

/* --- IPMirror --- */

struct mirror {
	struct click_element element;
	bool sets_anno;
};

static int mirror_configure(struct click_element *element, struct click_args *args)
{
	struct mirror *mirror = (struct mirror *)element;
	mirror->sets_anno = true;
	click_arg_bool(args, "DST_ANNO", CLICK_POSITIONAL, &mirror->sets_anno);
	return click_args_end(args);
}

static void swap(uint8_t *a, uint8_t *b, uint32_t len)
{
	uint8_t old[4];
	memcpy(old, a, len);
	memcpy(a, b, len);
	memcpy(b, old, len);
}

static struct click_packet *mirror_simple(struct click_element *element,
					  struct click_packet *packet)
{
	struct click_ip ip;
	if (!click_ip_get(packet, &ip)) {
		click_kill(element, packet);
		return NULL;
	}
	swap(ip.header + 12, ip.header + 16, 4);
	if (((struct mirror *)element)->sets_anno)
		packet->destination = click_get_address(ip.header + 16);
	bool has_ports = (ip.protocol == CLICK_TCP || ip.protocol == CLICK_UDP) &&
			 click_ip_is_first(&ip) && ip.payload_len >= 4;
	if (has_ports)
		swap(ip.payload, ip.payload + 2, 2);
	if (has_ports && ip.protocol == CLICK_TCP && ip.payload_len >= 12)
		swap(ip.payload + 4, ip.payload + 8, 4);
	return packet;
}

const struct click_class click_class_IPMirror = {
	.name = "IPMirror",
	.size = sizeof(struct mirror),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = mirror_configure,
	.simple = mirror_simple,
};

/* --- SetIPDSCP --- */

struct set_dscp {
	struct click_element element;
	uint32_t dscp;
};

static int dscp_configure(struct click_element *element, struct click_args *args)
{
	struct set_dscp *set = (struct set_dscp *)element;
	click_arg_u32(args, "DSCP", CLICK_POSITIONAL | CLICK_MANDATORY, &set->dscp);
	if (set->dscp > 63)
		click_args_error(args, "DSCP is at most 63");
	return click_args_end(args);
}

static struct click_packet *dscp_simple(struct click_element *element, struct click_packet *packet)
{
	struct click_ip ip;
	if (!click_ip_get(packet, &ip)) {
		click_kill(element, packet);
		return NULL;
	}
	uint32_t word = click_get_u16(ip.header) & 0xff03u;
	change_u16(ip.header, 0, (uint16_t)(word | ((struct set_dscp *)element)->dscp << 2));
	return packet;
}

static uint32_t dscp_read(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size, ((struct set_dscp *)element)->dscp);
}

static int dscp_write(struct click_element *element, const char *text, struct click_args *args)
{
	uint32_t dscp;
	if (!click_parse_u32(text, &dscp) || dscp > 63) {
		click_args_error(args, "'%s' is no DSCP from 0 to 63", text);
		return -1;
	}
	((struct set_dscp *)element)->dscp = dscp;
	return 0;
}

static const struct click_handler dscp_handlers[] = {
	{.name = "dscp", .read = dscp_read, .write = dscp_write},
	{.name = NULL},
};

const struct click_class click_class_SetIPDSCP = {
	.name = "SetIPDSCP",
	.size = sizeof(struct set_dscp),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = dscp_configure,
	.simple = dscp_simple,
	.handlers = dscp_handlers,
};
