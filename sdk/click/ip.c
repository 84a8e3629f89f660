#include "ip.h"

#include <string.h>

uint32_t click_get_address(const uint8_t *at)
{
	uint32_t address;
	memcpy(&address, at, sizeof(address));
	return address;
}

void click_put_address(uint8_t *at, uint32_t address)
{
	memcpy(at, &address, sizeof(address));
}

uint32_t click_address_to_host(uint32_t address)
{
	uint8_t bytes[4];
	click_put_address(bytes, address);
	return click_get_u32(bytes);
}

uint32_t click_address_to_network(uint32_t host)
{
	uint8_t bytes[4];
	click_put_u32(bytes, host);
	return click_get_address(bytes);
}

/* --- checksums --- */

/* The sum is kept folded to 16 bits and a little more between calls, so that no number of parts
 * makes it overflow. */
static uint32_t fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint32_t)((sum & 0xffff) + (sum >> 16));
}

uint32_t click_sum(uint32_t sum, const uint8_t *data, uint32_t len)
{
	/* A ones' complement sum may be taken in any width and byte order that is a multiple of the
	 * 16 bits; swapping the result's bytes makes it that of big-endian words. */
	uint64_t total = 0;
	while (len >= 4) {
		uint32_t word;
		memcpy(&word, data, sizeof(word));
		total += word;
		data += 4;
		len -= 4;
	}
	uint32_t words = fold(total);
	uint8_t bytes[2];
	memcpy(bytes, &(uint16_t){(uint16_t)words}, sizeof(bytes));
	uint64_t result = (uint64_t)sum + click_get_u16(bytes);
	if (len >= 2) {
		result += click_get_u16(data);
		data += 2;
		len -= 2;
	}
	if (len)
		result += (uint32_t)data[0] << 8;
	return fold(result);
}

uint16_t click_sum_finish(uint32_t sum)
{
	return (uint16_t)~fold(sum);
}

uint16_t click_checksum(const uint8_t *data, uint32_t len)
{
	return click_sum_finish(click_sum(0, data, len));
}

uint32_t click_sum_pseudo(uint32_t src, uint32_t dst, uint8_t protocol, uint32_t len)
{
	uint8_t header[12] = {0};
	click_put_address(header, src);
	click_put_address(header + 4, dst);
	header[9] = protocol;
	click_put_u16(header + 10, len);
	return click_sum(0, header, sizeof(header));
}

uint16_t click_checksum_update_u16(uint16_t checksum, uint16_t old, uint16_t new)
{
	return click_sum_finish((uint32_t)(uint16_t)~checksum + (uint16_t)~old + new);
}

uint16_t click_checksum_update_u32(uint16_t checksum, uint32_t old, uint32_t new)
{
	uint32_t sum = (uint16_t)~checksum;
	sum += (uint16_t) ~(old >> 16);
	sum += (uint16_t)~old;
	sum += new >> 16;
	sum += new & 0xffff;
	return click_sum_finish(sum);
}

/* --- IPv4 --- */

bool click_ip_get_at(const struct click_packet *packet, int32_t offset, struct click_ip *ret)
{
	if (offset <= INT16_MIN || offset > INT16_MAX)
		return false;
	uint8_t *header = click_packet_header(packet, (int16_t)offset, CLICK_IP_HEADER);
	if (!header || header[0] >> 4 != 4)
		return false;
	uint32_t header_len = (header[0] & 15) * 4u;
	uint32_t total_len = click_get_u16(header + 2);
	if (header_len < CLICK_IP_HEADER || total_len < header_len ||
	    !click_packet_header(packet, (int16_t)offset, header_len))
		return false;
	/* That many bytes there are, as the header is within. */
	uint32_t available = (uint32_t)((int32_t)packet->len - offset);
	uint32_t len = total_len < available ? total_len : available;
	*ret = (struct click_ip){
		.header = header,
		.header_len = header_len,
		.payload = header + header_len,
		.payload_len = len - header_len,
		.total_len = total_len,
		.fragment = click_get_u16(header + 6),
		.protocol = header[9],
	};
	return true;
}

bool click_ip_get(const struct click_packet *packet, struct click_ip *ret)
{
	return packet->network != CLICK_NO_HEADER && click_ip_get_at(packet, packet->network, ret);
}

void click_ip_set_checksum(uint8_t *header, uint32_t header_len)
{
	click_put_u16(header + 10, 0);
	click_put_u16(header + 10, click_checksum(header, header_len));
}

void click_ip_write(uint8_t *header, const struct click_ip_fields *fields)
{
	header[0] = 0x45;
	header[1] = fields->tos;
	click_put_u16(header + 2, fields->total_len);
	click_put_u16(header + 4, fields->id);
	click_put_u16(header + 6, fields->fragment);
	header[8] = fields->ttl;
	header[9] = fields->protocol;
	click_put_address(header + 12, fields->src);
	click_put_address(header + 16, fields->dst);
	click_ip_set_checksum(header, CLICK_IP_HEADER);
}

void click_ip_mark(struct click_packet *packet, int32_t offset, uint32_t header_len)
{
	int32_t transport = offset + (int32_t)header_len;
	bool fits = offset > INT16_MIN && transport <= INT16_MAX;
	packet->network = fits ? (int16_t)offset : CLICK_NO_HEADER;
	packet->transport = fits ? (int16_t)transport : CLICK_NO_HEADER;
}

uint16_t click_ip_payload_checksum(const struct click_ip *ip)
{
	uint32_t sum =
		click_sum_pseudo(click_get_address(ip->header + 12),
				 click_get_address(ip->header + 16), ip->protocol, ip->payload_len);
	return click_sum_finish(click_sum(sum, ip->payload, ip->payload_len));
}

void click_copy_annotations(struct click_packet *to, const struct click_packet *from)
{
	to->packet_type = from->packet_type;
	to->paint = from->paint;
	to->destination = from->destination;
	to->vlan_tci = from->vlan_tci;
	to->fix_ip_src = from->fix_ip_src;
	to->extra_len = from->extra_len;
	to->extra_packets = from->extra_packets;
	to->time_ns = from->time_ns;
	if (to->has_anno || from->has_anno)
		memcpy(to->anno, from->anno, sizeof(to->anno));
	to->has_anno = to->has_anno || from->has_anno;
	to->device = from->device;
}

void click_ether_mark(struct click_packet *packet)
{
	packet->mac = 0;
	/* It is where it was before the header came in front of it, or was not known. */
	if (packet->network == (int16_t)CLICK_ETHER_HEADER || packet->len <= CLICK_ETHER_HEADER)
		return;
	uint32_t header_len = (packet->data[CLICK_ETHER_HEADER] & 15) * 4u;
	click_ip_mark(packet, CLICK_ETHER_HEADER, header_len);
}

enum click_packet_type click_ether_type(const uint8_t *dst, const uint8_t own[6])
{
	static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};
	if (memcmp(dst, broadcast, 6) == 0)
		return CLICK_TO_BROADCAST;
	if (dst[0] & 1)
		return CLICK_TO_MULTICAST;
	return memcmp(dst, own, 6) == 0 ? CLICK_TO_HOST : CLICK_TO_OTHER_HOST;
}
