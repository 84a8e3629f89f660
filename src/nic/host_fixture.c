#include "nic/host_fixture.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

const uint8_t fixture_mac[6] = {2, 0, 0, 0, 0, 1}, fixture_peer_mac[6] = {2, 0, 0, 0, 0, 2};
const uint8_t fixture_everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

#define IPV4(a, b, c, d)                                                                           \
	{                                                                                          \
		[10] = 0xff, 0xff, a, b, c, d                                                      \
	}
#define IPV6(last)                                                                                 \
	{                                                                                          \
		0x20, 1, 0x0d, 0xb8, [15] = last                                                   \
	}
const uint8_t fixture_ip4[16] = IPV4(10, 0, 0, 1), fixture_peer4[16] = IPV4(10, 0, 0, 2);
const uint8_t fixture_gateway4[16] = IPV4(10, 0, 0, 254), fixture_far4[16] = IPV4(192, 0, 2, 9);
const uint8_t fixture_ip6[16] = IPV6(1), fixture_peer6[16] = IPV6(2);
const uint8_t fixture_gateway6[16] = IPV6(0xfe);
const uint8_t fixture_far6[16] = {0x20, 1, 0x0d, 0xb9, [15] = 9};

static bool is_ipv4(const uint8_t address[16])
{
	return address[0] == 0 && address[11] == 0xff;
}

static void put16(uint8_t *out, uint32_t value)
{
	out[0] = (uint8_t)(value >> 8);
	out[1] = (uint8_t)value;
}

struct nic_host *fixture_host(bool is_peer, uint32_t neighbours_max)
{
	struct nic_host_address addresses[2] = {{.prefix_len = 24}, {.prefix_len = 64}};
	struct nic_host_config config = {.addresses = addresses,
					 .addresses_count = 2,
					 .neighbours_max = neighbours_max,
					 .seed = 7};
	struct nic_host *host = NULL;
	struct eos_why why = {""};
	memcpy(config.mac, is_peer ? fixture_peer_mac : fixture_mac, 6);
	memcpy(addresses[0].address, is_peer ? fixture_peer4 : fixture_ip4, 16);
	memcpy(addresses[1].address, is_peer ? fixture_peer6 : fixture_ip6, 16);
	memcpy(config.gateway4, fixture_gateway4, 16);
	memcpy(config.gateway6, fixture_gateway6, 16);
	EOS_ASSERT(nic_host_new(&config, &host, &why) == 0);
	return host;
}

static void ether(struct fixture_frame *frame, const uint8_t target[6], uint16_t type)
{
	memset(frame, 0, sizeof(*frame));
	memcpy(frame->data, target, 6);
	memcpy(frame->data + 6, fixture_peer_mac, 6);
	put16(frame->data + 12, type);
	frame->len = 14;
}

void fixture_arp(struct fixture_frame *frame, uint16_t operation, const uint8_t source[16],
		 const uint8_t target[16])
{
	static const uint8_t head[6] = {0, 1, 8, 0, 6, 4};
	ether(frame, operation == 1 ? fixture_everybody : fixture_mac, 0x0806);
	uint8_t *arp = frame->data + 14;
	memcpy(arp, head, 6);
	put16(arp + 6, operation);
	memcpy(arp + 8, fixture_peer_mac, 6);
	memcpy(arp + 14, source + 12, 4);
	memcpy(arp + 24, target + 12, 4);
	frame->len += 28;
}

uint8_t *fixture_ip(struct fixture_frame *frame, uint8_t proto, const uint8_t source[16],
		    const uint8_t target[16], uint32_t len)
{
	ether(frame, fixture_mac, is_ipv4(target) ? 0x0800 : 0x86dd);
	uint8_t *ip = frame->data + 14;
	if (is_ipv4(target)) {
		ip[0] = 0x45;
		put16(ip + 2, 20 + len);
		ip[8] = 64;
		ip[9] = proto;
		memcpy(ip + 12, source + 12, 4);
		memcpy(ip + 16, target + 12, 4);
	} else {
		ip[0] = 0x60;
		put16(ip + 4, len);
		ip[6] = proto;
		ip[7] = 255;
		memcpy(ip + 8, source, 16);
		memcpy(ip + 24, target, 16);
		if (target[0] == 0xff) {
			frame->data[0] = frame->data[1] = 0x33;
			memcpy(frame->data + 2, target + 12, 4);
		}
	}
	uint32_t header = is_ipv4(target) ? 20 : 40;
	frame->len += header + len;
	EOS_ASSERT(frame->len <= sizeof(frame->data));
	return ip + header;
}

void fixture_finish(struct fixture_frame *frame)
{
	struct flow_packet packet;
	(void)flow_parse(frame->data, frame->len, &packet);
	flow_checksums_set(frame->data, &packet);
}

void fixture_udp(struct fixture_frame *frame, const uint8_t source[16], const uint8_t target[16],
		 uint16_t port, uint32_t len)
{
	uint8_t *udp = fixture_ip(frame, 17, source, target, 8 + len);
	put16(udp, 4000);
	put16(udp + 2, port);
	put16(udp + 4, 8 + len);
	for (uint32_t i = 0; i < len; i++)
		udp[8 + i] = (uint8_t)(i * 7);
	fixture_finish(frame);
}

void fixture_echo(struct fixture_frame *frame, const uint8_t source[16], const uint8_t target[16],
		  uint32_t len)
{
	uint8_t *echo = fixture_ip(frame, is_ipv4(target) ? 1 : 58, source, target, 8 + len);
	echo[0] = is_ipv4(target) ? 8 : 128;
	put16(echo + 4, 0x1234);
	put16(echo + 6, 5);
	for (uint32_t i = 0; i < len; i++)
		echo[8 + i] = (uint8_t)(i * 3);
	fixture_finish(frame);
}

void fixture_ndp(struct fixture_frame *frame, uint8_t type, const uint8_t source[16],
		 const uint8_t target[16], const uint8_t subject[16], bool has_option)
{
	uint8_t *message = fixture_ip(frame, 58, source, target, has_option ? 32 : 24);
	message[0] = type;
	message[4] = type == 136 ? 0x60 : 0;
	memcpy(message + 8, subject, 16);
	if (has_option) {
		message[24] = type == 135 ? 1 : 2;
		message[25] = 1;
		memcpy(message + 26, fixture_peer_mac, 6);
	}
	fixture_finish(frame);
}

enum nic_host_verdict fixture_input(struct nic_host *host, const struct fixture_frame *frame,
				    uint64_t now_ns, struct fixture_frame *ret_reply,
				    struct nic_host_datagram *ret_datagram)
{
	struct nic_host_buffer reply = {ret_reply->data, sizeof(ret_reply->data), 0};
	struct flow_packet packet;
	uint8_t *bytes = malloc(frame->len > 0 ? frame->len : 1);
	EOS_ASSERT(bytes != NULL);
	memcpy(bytes, frame->data, frame->len);
	(void)flow_parse(bytes, frame->len, &packet);
	enum nic_host_verdict verdict = nic_host_input(host, bytes, frame->len, &packet, false,
						       now_ns, &reply, ret_datagram);
	ret_reply->len = reply.len;
	EOS_ASSERT((verdict == NIC_HOST_ANSWERED) == (reply.len > 0));
	if (verdict == NIC_HOST_UDP) {
		EOS_ASSERT(ret_datagram->payload >= bytes &&
			   ret_datagram->payload + ret_datagram->len <= bytes + frame->len);
		/* The caller has the same bytes, for longer. */
		ret_datagram->payload = frame->data + (ret_datagram->payload - bytes);
	}
	free(bytes);
	return verdict;
}

void fixture_check(const struct fixture_frame *frame, struct flow_packet *ret_packet)
{
	(void)flow_parse(frame->data, frame->len, ret_packet);
	EOS_ASSERT(frame->len <= sizeof(frame->data));
	EOS_ASSERT(!ret_packet->is_bad && ret_packet->kind != FLOW_OTHER);
	EOS_ASSERT(ret_packet->kind == FLOW_ARP ||
		   flow_checksums_are_good(frame->data, ret_packet));
	EOS_ASSERT((frame->data[6] & 1) == 0);
}
