/*
 * ICMPPingResponder: echo requests become replies, in place.
 */
#include <string.h>

#include "ip.h"

#define ECHO_REPLY   0u
#define ECHO_REQUEST 8u

static void change_u16(uint8_t *at, uint8_t *checksum, uint16_t value)
{
	uint16_t old = click_get_u16(at);
	click_put_u16(at, value);
	click_put_u16(checksum, click_checksum_update_u16(click_get_u16(checksum), old, value));
}

static struct click_packet *simple(struct click_element *element, struct click_packet *packet)
{
	struct click_ip ip;
	if (!click_ip_get(packet, &ip) || ip.protocol != CLICK_ICMP || !click_ip_is_first(&ip) ||
	    ip.payload_len < CLICK_ICMP_HEADER || ip.payload[0] != ECHO_REQUEST) {
		click_push(element, 1, packet);
		return NULL;
	}
	uint8_t src[4];
	memcpy(src, ip.header + 12, 4);
	memcpy(ip.header + 12, ip.header + 16, 4);
	memcpy(ip.header + 16, src, 4);
	change_u16(ip.header + 6, ip.header + 10, 0);
	change_u16(ip.header + 8, ip.header + 10, 255u << 8 | CLICK_ICMP);
	change_u16(ip.payload, ip.payload + 2, ECHO_REPLY << 8);
	/* Of a message of nothing but zeroes it is not 0. */
	if (click_get_u16(ip.payload + 2) == 0 &&
	    click_checksum(ip.payload, ip.payload_len) == 0xffff)
		click_put_u16(ip.payload + 2, 0xffff);
	packet->destination = click_get_address(ip.header + 16);
	packet->paint = 0;
	packet->time_ns = click_wall_ns();
	return packet;
}

const struct click_class click_class_ICMPPingResponder = {
	.name = "ICMPPingResponder",
	.size = sizeof(struct click_element),
	.port_count = "1/1-2",
	.processing = "a/ah",
	.simple = simple,
};
