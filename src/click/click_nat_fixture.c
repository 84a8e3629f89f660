#include "click/click_nat_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct fixture fixture;

uint32_t nat_sum(const uint8_t *data, uint32_t len)
{
	uint32_t sum = 0;
	for (uint32_t i = 0; i < len; i++)
		sum += i % 2 ? data[i] : (uint32_t)data[i] << 8;
	return sum;
}

uint16_t nat_checksum(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint16_t nat_transport_checksum(const uint8_t *packet, uint32_t len)
{
	uint32_t sum = nat_sum(packet + 20, len - 20);
	if (packet[9] != CLICK_ICMP)
		sum += nat_sum(packet + 12, 8) + packet[9] + len - 20;
	return nat_checksum(sum);
}

static unsigned checksum_at(uint8_t protocol)
{
	return protocol == CLICK_TCP ? 36 : protocol == CLICK_UDP ? 26 : 22;
}

uint32_t nat_make(uint8_t *packet, const struct flow *flow, uint32_t size, uint8_t tcp_flags)
{
	uint32_t header = flow->protocol == CLICK_TCP ? 20 : 8, len = 20 + header + size;
	memset(packet, 0, len);
	packet[0] = 0x45;
	click_put_u16(packet + 2, len);
	packet[8] = 64;
	packet[9] = flow->protocol;
	click_put_u32(packet + 12, flow->saddr);
	click_put_u32(packet + 16, flow->daddr);
	click_put_u16(packet + 20, flow->sport);
	click_put_u16(packet + 22, flow->dport);
	if (flow->protocol == CLICK_TCP) {
		packet[32] = 0x50;
		packet[33] = tcp_flags;
	} else if (flow->protocol == CLICK_UDP) {
		click_put_u16(packet + 24, len - 20);
	} else { /* an echo request, or with a DPORT a reply */
		packet[20] = flow->dport ? 0 : 8;
		packet[21] = packet[22] = packet[23] = 0;
		click_put_u16(packet + 24, flow->dport ? flow->dport : flow->sport);
	}
	for (uint32_t i = 0; i < size; i++)
		packet[20 + header + i] = (uint8_t)random();
	click_put_u16(packet + 10, nat_checksum(nat_sum(packet, 20)));
	uint16_t sum = nat_transport_checksum(packet, len);
	if (flow->protocol == CLICK_UDP && sum == 0)
		sum = 0xffff;
	click_put_u16(packet + checksum_at(flow->protocol), sum);
	return len;
}

static void check_sums(const struct fixture_packet *packet)
{
	assert_int_equal(nat_checksum(nat_sum(packet->data, 20)), 0);
	assert_int_equal(nat_transport_checksum(packet->data, packet->len), 0);
}

struct flow nat_flow_of(const struct fixture_packet *packet)
{
	const uint8_t *data = packet->data;
	assert_true(packet->len >= 28);
	struct flow flow = {.saddr = click_get_u32(data + 12),
			    .daddr = click_get_u32(data + 16),
			    .sport = click_get_u16(data + 20),
			    .dport = click_get_u16(data + 22),
			    .protocol = data[9]};
	if (flow.protocol == CLICK_ICMP) {
		flow.sport = data[20] == 8 ? click_get_u16(data + 24) : 0;
		flow.dport = data[20] == 8 ? 0 : click_get_u16(data + 24);
	}
	return flow;
}

bool nat_is_same(const struct flow *a, const struct flow *b)
{
	return a->saddr == b->saddr && a->daddr == b->daddr && a->sport == b->sport &&
	       a->dport == b->dport && a->protocol == b->protocol;
}

struct flow nat_reverse(const struct flow *flow)
{
	return (struct flow){flow->daddr, flow->saddr, flow->dport, flow->sport, flow->protocol};
}

const struct fixture_packet *nat_pass(unsigned device, const struct flow *flow, uint32_t size,
				      uint8_t tcp_flags)
{
	uint8_t packet[400];
	fixture_clear(&fixture);
	uint32_t len = nat_make(packet, flow, size, tcp_flags);
	assert_true(fixture_send(&fixture, device, packet, len));
	assert_in_range(fixture.sent_count, 0, 1);
	if (fixture.sent_count == 0)
		return NULL;
	assert_int_equal(fixture.sent[0].len, len);
	assert_memory_equal(fixture.sent[0].data + len - size, packet + len - size, size);
	check_sums(&fixture.sent[0]);
	return &fixture.sent[0];
}

void nat_load(const char *config)
{
	bool is_loaded = fixture_init(&fixture, config);
	if (!is_loaded)
		print_error("%s", fixture.errors);
	assert_true(is_loaded);
}

struct flow nat_random_flow(void)
{
	struct flow flow = {.saddr = 0x0a000001 + (uint32_t)random() % 12,
			    .daddr = 0x08080800 + (uint32_t)random() % 3,
			    .sport = (uint16_t)(2000 + random() % 40),
			    .dport = (uint16_t)(random() % 2 ? 80 : 443),
			    .protocol = random() % 2 ? CLICK_TCP : CLICK_UDP};
	if (random() % 4 == 0)
		flow.sport = (uint16_t)(1024 + random() % (NAT_PORTS + 10));
	return flow;
}

struct flow nat_tcp(uint16_t sport)
{
	return (struct flow){0x0a000001, 0x08080808, sport, 80, CLICK_TCP};
}

struct flow nat_udp(uint16_t sport)
{
	return (struct flow){0x0a000001, 0x08080808, sport, 53, CLICK_UDP};
}

bool nat_lives(const struct flow *outside)
{
	struct flow reply = nat_reverse(outside);
	return nat_pass(OUTSIDE, &reply, 0, 16) != NULL;
}

struct flow nat_begin(const struct flow *flow, uint32_t size, uint8_t tcp_flags)
{
	const struct fixture_packet *out = nat_pass(INSIDE, flow, size, tcp_flags);
	assert_non_null(out);
	return nat_flow_of(out);
}
