/* Frames that the host makes: headers from the outside in, checksums last. */
#include "nic/host_priv.h"

#define FRAME_MIN 60u /* of Ethernet, without its checksum; what is missing is zeroes */

void host_put16(uint8_t *out, uint16_t value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

uint16_t host_get16(const uint8_t *in)
{
	return (uint16_t)(in[0] << 8 | in[1]);
}

static void write_ether(uint8_t *out, const uint8_t target[6], const uint8_t source[6],
			uint16_t type)
{
	memcpy(out, target, 6);
	memcpy(out + 6, source, 6);
	host_put16(out + 12, type);
}

uint8_t *host_write_ip(struct nic_host *host, const struct host_route *route, uint32_t len,
		       struct nic_host_buffer *out)
{
	bool is_ipv4 = host_is_ipv4(route->source);
	uint32_t header = is_ipv4 ? HOST_IPV4_LEN : HOST_IPV6_LEN;
	uint8_t *ip = out->data + HOST_ETHER_LEN;
	out->len = 0;
	if (len > UINT16_MAX - header || HOST_ETHER_LEN + header + len > out->capacity) {
		host->stats.no_room++;
		return NULL;
	}
	write_ether(out->data, route->target_mac, route->source_mac,
		    is_ipv4 ? HOST_TYPE_IPV4 : HOST_TYPE_IPV6);
	memset(ip, 0, header);
	if (is_ipv4) {
		ip[0] = 0x45;
		host_put16(ip + 2, (uint16_t)(header + len));
		ip[6] = 0x40; /* not to be fragmented, so it needs no identification */
		ip[8] = route->ttl;
		ip[9] = route->proto;
		memcpy(ip + 12, route->source + 12, 4);
		memcpy(ip + 16, route->target + 12, 4);
	} else {
		ip[0] = 0x60;
		host_put16(ip + 4, (uint16_t)len);
		ip[6] = route->proto;
		ip[7] = route->ttl;
		memcpy(ip + 8, route->source, 16);
		memcpy(ip + 24, route->target, 16);
	}
	out->len = HOST_ETHER_LEN + header + len;
	return ip + header;
}

void host_write_checksums(struct nic_host_buffer *out)
{
	struct flow_packet packet;
	(void)flow_parse(out->data, out->len, &packet);
	flow_checksums_set(out->data, &packet);
}

bool host_write_arp(struct nic_host *host, uint16_t operation, const uint8_t target_mac[6],
		    const uint8_t source[16], const uint8_t target[16], struct nic_host_buffer *out)
{
	static const uint8_t head[6] = {0, 1, 8, 0, 6, 4}; /* IPv4 over Ethernet */
	static const uint8_t unknown[6];
	uint8_t *arp = out->data + HOST_ETHER_LEN;
	bool is_broadcast = (target_mac[0] & 1) != 0;
	out->len = 0;
	if (out->capacity < FRAME_MIN) {
		host->stats.no_room++;
		return false;
	}
	memset(out->data, 0, FRAME_MIN);
	write_ether(out->data, target_mac, host->mac, HOST_TYPE_ARP);
	memcpy(arp, head, sizeof(head));
	host_put16(arp + 6, operation);
	memcpy(arp + 8, host->mac, 6);
	memcpy(arp + 14, source + 12, 4);
	memcpy(arp + 18, is_broadcast ? unknown : target_mac, 6);
	memcpy(arp + 24, target + 12, 4);
	out->len = FRAME_MIN;
	return true;
}
