/*
 * IPEncap(PROTOCOL, SRC, DST, ...) and UDPIPEncap(SRC, SPORT, DST, DPORT [, CHECKSUM]).
 *
 * "DST_ANNO" for DST takes each packet's destination annotation.
 */
#include <string.h>

#include "elements/ip_names.h"
#include "elements/out_more.h"
#include "ip.h"

struct encap {
	struct click_element element;
	struct click_ip_fields fields;
	uint16_t next_id;
	bool to_anno, has_checksum;
	uint16_t sport, dport;
};

static void read_dst(struct encap *encap, struct click_args *args)
{
	const char *text = NULL;
	click_arg_text(args, "DST", CLICK_POSITIONAL | CLICK_MANDATORY, &text);
	if (text && strcmp(text, "DST_ANNO") == 0)
		encap->to_anno = true;
	else if (text && !click_parse_ip_name(encap->element.router, text, &encap->fields.dst))
		click_args_error(args, "DST: '%s' is no IP address", text);
}

/* LEN bytes of headers in front of PACKET; NULL: there is no room, and it is gone. */
static uint8_t *push_header(struct encap *encap, struct click_packet *packet, uint32_t len)
{
	if (packet->len + len <= UINT16_MAX && click_packet_push(packet, len))
		return packet->data;
	click_kill(&encap->element, packet);
	return NULL;
}

/* Writes the IP header at PACKET's beginning, and marks it. */
static void write_header(struct encap *encap, struct click_packet *packet)
{
	struct click_ip_fields fields = encap->fields;
	if (encap->to_anno)
		fields.dst = packet->destination;
	fields.total_len = packet->len;
	fields.id = encap->next_id++;
	click_ip_write(packet->data, &fields);
	packet->destination = fields.dst;
	click_ip_mark(packet, 0, CLICK_IP_HEADER);
}

/* --- handlers --- */

static uint32_t read_address(uint32_t address, char *out, uint32_t size)
{
	struct click_out text;
	click_out_init(&text, out, size);
	click_out_ip(&text, address);
	return text.len;
}

static uint32_t handler_src(struct click_element *element, char *out, uint32_t size)
{
	return read_address(((struct encap *)element)->fields.src, out, size);
}

static uint32_t handler_dst(struct click_element *element, char *out, uint32_t size)
{
	struct encap *encap = (struct encap *)element;
	if (!encap->to_anno)
		return read_address(encap->fields.dst, out, size);
	struct click_out text;
	click_out_init(&text, out, size);
	click_out_add(&text, "DST_ANNO");
	return text.len;
}

static int write_address(const char *text, struct click_args *args, uint32_t *ret)
{
	if (click_parse_ip(text, ret))
		return 0;
	click_args_error(args, "'%s' is no IP address", text);
	return -1;
}

static int handler_set_src(struct click_element *element, const char *text, struct click_args *args)
{
	return write_address(text, args, &((struct encap *)element)->fields.src);
}

static int handler_set_dst(struct click_element *element, const char *text, struct click_args *args)
{
	struct encap *encap = (struct encap *)element;
	bool to_anno = strcmp(text, "DST_ANNO") == 0;
	if (!to_anno && write_address(text, args, &encap->fields.dst) < 0)
		return -1;
	encap->to_anno = to_anno;
	return 0;
}

static uint32_t handler_sport(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size, ((struct encap *)element)->sport);
}

static uint32_t handler_dport(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size, ((struct encap *)element)->dport);
}

static int write_port(const char *text, struct click_args *args, uint16_t *ret)
{
	uint32_t port;
	if (!click_parse_u32(text, &port) || port > UINT16_MAX) {
		click_args_error(args, "'%s' is no port", text);
		return -1;
	}
	*ret = (uint16_t)port;
	return 0;
}

static int handler_set_sport(struct click_element *element, const char *text,
			     struct click_args *args)
{
	return write_port(text, args, &((struct encap *)element)->sport);
}

static int handler_set_dport(struct click_element *element, const char *text,
			     struct click_args *args)
{
	return write_port(text, args, &((struct encap *)element)->dport);
}

/* --- IPEncap --- */

/* ECT is a truth, or 2 for the other code point. */
static uint32_t read_ect(struct click_args *args)
{
	const char *text = NULL;
	uint32_t value;
	click_arg_text(args, "ECT", 0, &text);
	if (!text || strcmp(text, "false") == 0 || strcmp(text, "no") == 0)
		return 0;
	if (strcmp(text, "true") == 0 || strcmp(text, "yes") == 0)
		return 1;
	if (click_parse_u32(text, &value) && value <= 2)
		return value;
	click_args_error(args, "ECT: '%s' is neither true, false nor 2", text);
	return 0;
}

static void read_tos(struct encap *encap, struct click_args *args)
{
	uint32_t tos = UINT32_MAX, dscp = UINT32_MAX;
	bool ce = false;
	click_arg_u32(args, "TOS", 0, &tos);
	click_arg_u32(args, "DSCP", 0, &dscp);
	uint32_t ecn = read_ect(args);
	click_arg_bool(args, "CE", 0, &ce);
	if (ce)
		ecn = 3;
	if (tos != UINT32_MAX && (dscp != UINT32_MAX || ecn))
		click_args_error(args, "either TOS, or DSCP, ECT and CE");
	if (tos != UINT32_MAX && tos > UINT8_MAX)
		click_args_error(args, "TOS is at most 255");
	if (dscp != UINT32_MAX && dscp > 63)
		click_args_error(args, "DSCP is at most 63");
	if (tos == UINT32_MAX)
		tos = (dscp == UINT32_MAX ? 0 : dscp << 2) | ecn;
	encap->fields.tos = (uint8_t)tos;
}

static int ip_configure(struct click_element *element, struct click_args *args)
{
	struct encap *encap = (struct encap *)element;
	const char *protocol = NULL;
	uint32_t number = 0, ttl = 250;
	bool df = false;
	click_arg_text(args, "PROTO", CLICK_POSITIONAL | CLICK_MANDATORY, &protocol);
	click_arg_ip(args, "SRC", CLICK_POSITIONAL | CLICK_MANDATORY, &encap->fields.src);
	read_dst(encap, args);
	click_arg_u32(args, "TTL", 0, &ttl);
	click_arg_bool(args, "DF", 0, &df);
	read_tos(encap, args);
	if (protocol && !click_ip_protocol_number(protocol, &number) &&
	    (!click_parse_u32(protocol, &number) || number > UINT8_MAX))
		click_args_error(args, "PROTO: '%s' is no IP protocol", protocol);
	if (ttl > UINT8_MAX)
		click_args_error(args, "TTL is at most 255");
	encap->fields.protocol = (uint8_t)number;
	encap->fields.ttl = (uint8_t)ttl;
	encap->fields.fragment = df ? CLICK_IP_DF : 0;
	return click_args_end(args);
}

static struct click_packet *ip_simple(struct click_element *element, struct click_packet *packet)
{
	struct encap *encap = (struct encap *)element;
	if (!push_header(encap, packet, CLICK_IP_HEADER))
		return NULL;
	write_header(encap, packet);
	return packet;
}

static const struct click_handler ip_handlers[] = {
	{.name = "src", .read = handler_src, .write = handler_set_src},
	{.name = "dst", .read = handler_dst, .write = handler_set_dst},
	{.name = NULL},
};

const struct click_class click_class_IPEncap = {
	.name = "IPEncap",
	.size = sizeof(struct encap),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = ip_configure,
	.simple = ip_simple,
	.handlers = ip_handlers,
};

/* --- UDPIPEncap --- */

static int udp_configure(struct click_element *element, struct click_args *args)
{
	struct encap *encap = (struct encap *)element;
	encap->has_checksum = true;
	encap->fields.protocol = CLICK_UDP;
	encap->fields.ttl = 250;
	click_arg_ip(args, "SRC", CLICK_POSITIONAL | CLICK_MANDATORY, &encap->fields.src);
	click_arg_port(args, "SPORT", CLICK_POSITIONAL | CLICK_MANDATORY, &encap->sport);
	read_dst(encap, args);
	click_arg_port(args, "DPORT", CLICK_POSITIONAL | CLICK_MANDATORY, &encap->dport);
	click_arg_bool(args, "CHECKSUM", CLICK_POSITIONAL, &encap->has_checksum);
	return click_args_end(args);
}

static struct click_packet *udp_simple(struct click_element *element, struct click_packet *packet)
{
	struct encap *encap = (struct encap *)element;
	if (!push_header(encap, packet, CLICK_IP_HEADER + CLICK_UDP_HEADER))
		return NULL;
	write_header(encap, packet);
	struct click_ip ip;
	if (!click_ip_get(packet, &ip)) {
		click_kill(element, packet);
		return NULL;
	}
	click_put_u16(ip.payload, encap->sport);
	click_put_u16(ip.payload + 2, encap->dport);
	click_put_u16(ip.payload + 4, ip.payload_len);
	click_put_u16(ip.payload + 6, 0);
	if (encap->has_checksum) {
		uint16_t checksum = click_ip_payload_checksum(&ip);
		click_put_u16(ip.payload + 6, checksum ? checksum : 0xffff);
	}
	return packet;
}

static const struct click_handler udp_handlers[] = {
	{.name = "src", .read = handler_src, .write = handler_set_src},
	{.name = "dst", .read = handler_dst, .write = handler_set_dst},
	{.name = "sport", .read = handler_sport, .write = handler_set_sport},
	{.name = "dport", .read = handler_dport, .write = handler_set_dport},
	{.name = NULL},
};

const struct click_class click_class_UDPIPEncap = {
	.name = "UDPIPEncap",
	.size = sizeof(struct encap),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = udp_configure,
	.simple = udp_simple,
	.handlers = udp_handlers,
};
