/*
 * SetIPChecksum, SetUDPChecksum and SetTCPChecksum([FIXOFF]).
 */
#include "ip.h"

static struct click_packet *kill(struct click_element *element, struct click_packet *packet)
{
	click_kill(element, packet);
	return NULL;
}

struct set_ip {
	struct click_element element;
	uint64_t *drops;
};

/* The header is where the annotation says or, without one, in front. Of it the length counts and
 * nothing else, as it may be in the making. */
static struct click_packet *ip_simple(struct click_element *element, struct click_packet *packet)
{
	int16_t offset = packet->network != CLICK_NO_HEADER ? packet->network : 0;
	uint8_t *header = click_packet_header(packet, offset, CLICK_IP_HEADER);
	uint32_t len = header ? (header[0] & 15) * 4u : 0;
	if (len < CLICK_IP_HEADER || !click_packet_header(packet, offset, len)) {
		(*((struct set_ip *)element)->drops)++;
		return kill(element, packet);
	}
	click_ip_set_checksum(header, len);
	return packet;
}

static const struct click_handler ip_handlers[] = {
	{.name = "drops", .counter = offsetof(struct set_ip, drops)},
	{.name = NULL},
};

const struct click_class click_class_SetIPChecksum = {
	.name = "SetIPChecksum",
	.size = sizeof(struct set_ip),
	.port_count = "1/1",
	.processing = "a/a",
	.simple = ip_simple,
	.handlers = ip_handlers,
};

/* UDP's own length counts, and only of whole datagrams is there a checksum. */
static struct click_packet *udp_simple(struct click_element *element, struct click_packet *packet)
{
	struct click_ip ip;
	bool is_whole = click_ip_get(packet, &ip) &&
			(ip.fragment & (CLICK_IP_OFFSET | CLICK_IP_MF)) == 0 &&
			ip.payload_len >= CLICK_UDP_HEADER;
	uint32_t len = is_whole ? click_get_u16(ip.payload + 4) : 0;
	if (len < CLICK_UDP_HEADER || len > ip.payload_len) {
		click_push(element, 1, packet);
		return NULL;
	}
	click_put_u16(ip.payload + 6, 0);
	ip.payload_len = len;
	ip.protocol = CLICK_UDP;
	uint16_t checksum = click_ip_payload_checksum(&ip);
	click_put_u16(ip.payload + 6, checksum ? checksum : 0xffff);
	return packet;
}

const struct click_class click_class_SetUDPChecksum = {
	.name = "SetUDPChecksum",
	.size = sizeof(struct click_element),
	.port_count = "1/1-2",
	.processing = "a/ah",
	.simple = udp_simple,
};

struct set_tcp {
	struct click_element element;
	bool fixes_offset;
};

static int tcp_configure(struct click_element *element, struct click_args *args)
{
	click_arg_bool(args, "FIXOFF", CLICK_POSITIONAL,
		       &((struct set_tcp *)element)->fixes_offset);
	return click_args_end(args);
}

static struct click_packet *tcp_simple(struct click_element *element, struct click_packet *packet)
{
	struct click_ip ip;
	if (!click_ip_get(packet, &ip) || ip.payload_len < CLICK_TCP_HEADER ||
	    ip.total_len != ip.header_len + ip.payload_len)
		return kill(element, packet);
	uint32_t offset = (ip.payload[12] >> 4) * 4u;
	if (((struct set_tcp *)element)->fixes_offset &&
	    (offset < CLICK_TCP_HEADER || offset > ip.payload_len)) {
		uint32_t words = ip.payload_len / 4 < 15 ? ip.payload_len / 4 : 15;
		ip.payload[12] = (uint8_t)(words << 4 | (ip.payload[12] & 15));
	}
	ip.protocol = CLICK_TCP;
	click_put_u16(ip.payload + 16, 0);
	click_put_u16(ip.payload + 16, click_ip_payload_checksum(&ip));
	return packet;
}

const struct click_class click_class_SetTCPChecksum = {
	.name = "SetTCPChecksum",
	.size = sizeof(struct set_tcp),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = tcp_configure,
	.simple = tcp_simple,
};
