/* Datagrams, both ways, and the table of neighbours: two hosts on a wire, and time that is ours. */
#include "nic/host.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "nic/host_fixture.h"

#define SECOND UINT64_C(1000000000)

static struct nic_host_stats stats_of(const struct nic_host *host)
{
	struct nic_host_stats stats;
	nic_host_stats(host, &stats);
	return stats;
}

static struct nic_host_datagram datagram_to(const uint8_t peer[16], const void *payload,
					    uint32_t len)
{
	struct nic_host_datagram datagram = {
		.payload = payload, .len = len, .local_port = 5000, .peer_port = 6000};
	memcpy(datagram.local, peer[0] == 0 ? fixture_ip4 : fixture_ip6, 16);
	memcpy(datagram.peer, peer, 16);
	return datagram;
}

static int output(struct nic_host *host, const struct nic_host_datagram *datagram, uint64_t now_ns,
		  struct fixture_frame *ret_frame)
{
	struct nic_host_buffer out = {ret_frame->data, sizeof(ret_frame->data), 0};
	struct flow_packet packet;
	int err = nic_host_output(host, datagram, now_ns, &out);
	ret_frame->len = out.len;
	assert_true(err == 0 || err == -EAGAIN || out.len == 0);
	if (out.len > 0)
		fixture_check(ret_frame, &packet);
	return err;
}

static void test_answer(void **state)
{
	struct nic_host *host = fixture_host(false, 8);
	struct fixture_frame frame, reply;
	struct nic_host_datagram datagram;
	struct flow_packet packet;
	for (unsigned family = 0; family < 2; family++) {
		/* From far away, by a gateway whose MAC address nobody was asked for. */
		const uint8_t *source = family == 0 ? fixture_far4 : fixture_far6;
		const uint8_t *target = family == 0 ? fixture_ip4 : fixture_ip6;
		for (uint32_t len = 0; len <= 1400; len += 350) {
			fixture_udp(&frame, source, target, 53, len);
			assert_int_equal(fixture_input(host, &frame, 1, &reply, &datagram),
					 NIC_HOST_UDP);
			assert_int_equal(datagram.local_port, 53);
			assert_int_equal(datagram.peer_port, 4000);
			assert_int_equal(datagram.len, len);
			assert_memory_equal(datagram.peer, source, 16);
			assert_memory_equal(datagram.local, target, 16);
			assert_int_equal(output(host, &datagram, 1, &reply), 0);
			fixture_check(&reply, &packet);
			assert_memory_equal(reply.data, fixture_peer_mac, 6);
			assert_memory_equal(packet.source, target, 16);
			assert_memory_equal(packet.target, source, 16);
			assert_int_equal(packet.source_port, 53);
			assert_int_equal(packet.target_port, 4000);
			assert_memory_equal(reply.data + packet.payload_offset, datagram.payload,
					    len);
		}
	}
	/* IPv4's UDP may have no checksum, IPv6's must. */
	fixture_udp(&frame, fixture_peer4, fixture_ip4, 53, 4);
	frame.data[40] = frame.data[41] = 0;
	assert_int_equal(fixture_input(host, &frame, 1, &reply, &datagram), NIC_HOST_UDP);
	fixture_udp(&frame, fixture_peer6, fixture_ip6, 53, 4);
	frame.data[60] = frame.data[61] = 0;
	assert_int_equal(fixture_input(host, &frame, 1, &reply, &datagram), NIC_HOST_TAKEN);
	/* To or from port 0. */
	fixture_udp(&frame, fixture_peer4, fixture_ip4, 0, 4);
	assert_int_equal(fixture_input(host, &frame, 1, &reply, &datagram), NIC_HOST_TAKEN);
	host = nic_host_free(host);
}

/* HOST sends to PEER, of which it knows nothing: request, answer, datagram. */
static void exchange(const uint8_t to[16], const uint8_t from[16])
{
	struct nic_host *host = fixture_host(false, 8), *peer = fixture_host(true, 8);
	struct fixture_frame frame, reply, nothing;
	struct nic_host_datagram datagram = datagram_to(to, "hello", 5), got;
	assert_int_equal(output(host, &datagram, SECOND, &frame), -EAGAIN);
	assert_true(frame.len > 0);
	/* Not a second request at once. */
	assert_int_equal(output(host, &datagram, SECOND + 1, &nothing), -EAGAIN);
	assert_int_equal(nothing.len, 0);
	assert_int_equal(fixture_input(peer, &frame, SECOND, &reply, &got), NIC_HOST_ANSWERED);
	assert_int_equal(fixture_input(host, &reply, SECOND, &nothing, &got), NIC_HOST_TAKEN);
	assert_int_equal(output(host, &datagram, SECOND, &frame), 0);
	assert_memory_equal(frame.data, fixture_peer_mac, 6);
	assert_int_equal(fixture_input(peer, &frame, SECOND, &reply, &got), NIC_HOST_UDP);
	assert_memory_equal(got.payload, "hello", 5);
	assert_int_equal(got.len, 5);
	assert_int_equal(got.local_port, 6000);
	assert_memory_equal(got.peer, from, 16);
	/* The peer knows us from our question. */
	got.has_peer_mac = false;
	assert_int_equal(output(peer, &got, SECOND, &frame), 0);
	assert_memory_equal(frame.data, fixture_mac, 6);
	host = nic_host_free(host);
	peer = nic_host_free(peer);
}

static void test_exchange(void **state)
{
	exchange(fixture_peer4, fixture_ip4);
	exchange(fixture_peer6, fixture_ip6);
}

static void test_gateway(void **state)
{
	struct nic_host *host = fixture_host(false, 8);
	struct fixture_frame frame;
	struct flow_packet packet;
	struct nic_host_datagram datagram = datagram_to(fixture_far4, "x", 1);
	assert_int_equal(output(host, &datagram, SECOND, &frame), -EAGAIN);
	fixture_check(&frame, &packet);
	assert_memory_equal(packet.target, fixture_gateway4, 16);
	assert_int_equal(nic_host_neighbour_set(host, fixture_gateway4, fixture_peer_mac), 0);
	assert_int_equal(output(host, &datagram, SECOND, &frame), 0);
	assert_memory_equal(frame.data, fixture_peer_mac, 6);
	assert_int_equal(nic_host_neighbour_remove(host, fixture_gateway4), 0);
	assert_int_equal(nic_host_neighbour_remove(host, fixture_gateway4), -ENOENT);
	datagram = datagram_to(fixture_far6, "x", 1);
	assert_int_equal(output(host, &datagram, SECOND, &frame), -EAGAIN);
	assert_int_equal(frame.data[54], 135);
	assert_memory_equal(frame.data + 62, fixture_gateway6, 16);
	/* Link-local addresses are not behind a gateway; without one nothing is. */
	uint8_t far_link[16] = {0xfe, 0x90, [15] = 1};
	datagram = datagram_to(far_link, "x", 1);
	assert_int_equal(output(host, &datagram, SECOND, &frame), -ENETUNREACH);
	struct nic_host_address address = {.prefix_len = 24};
	struct nic_host_config config = {.addresses = &address, .addresses_count = 1};
	struct nic_host *alone = NULL;
	memcpy(address.address, fixture_ip4, 16);
	memcpy(config.mac, fixture_mac, 6);
	assert_int_equal(nic_host_new(&config, &alone, NULL), 0);
	datagram = datagram_to(fixture_far4, "x", 1);
	assert_int_equal(output(alone, &datagram, SECOND, &frame), -ENETUNREACH);
	alone = nic_host_free(alone);
	host = nic_host_free(host);
}

static void test_refused(void **state)
{
	static uint8_t payload[1500];
	struct nic_host *host = fixture_host(false, 8);
	struct fixture_frame frame;
	struct nic_host_datagram datagram = datagram_to(fixture_peer4, payload, 1473);
	assert_int_equal(output(host, &datagram, 1, &frame), -EMSGSIZE);
	datagram = datagram_to(fixture_peer6, payload, 1453);
	assert_int_equal(output(host, &datagram, 1, &frame), -EMSGSIZE);
	datagram = datagram_to(fixture_peer4, payload, UINT32_MAX);
	assert_int_equal(output(host, &datagram, 1, &frame), -EMSGSIZE);
	datagram = datagram_to(fixture_peer4, payload, 1);
	memcpy(datagram.local, fixture_gateway4, 16);
	assert_int_equal(output(host, &datagram, 1, &frame), -EADDRNOTAVAIL);
	datagram = datagram_to(fixture_peer4, payload, 1);
	memcpy(datagram.local, fixture_ip6, 16);
	assert_int_equal(output(host, &datagram, 1, &frame), -EINVAL);
	datagram = datagram_to(fixture_peer4, payload, 1);
	datagram.peer_port = 0;
	assert_int_equal(output(host, &datagram, 1, &frame), -EINVAL);
	datagram = datagram_to(fixture_peer4, payload, 1);
	datagram.peer[15] = 255; /* everybody */
	assert_int_equal(output(host, &datagram, 1, &frame), -EINVAL);
	datagram = datagram_to(fixture_ip4, payload, 1);
	assert_int_equal(output(host, &datagram, 1, &frame), -EINVAL);
	/* A payload that is in its place already, and one that overlaps it. */
	assert_int_equal(nic_host_neighbour_set(host, fixture_peer4, fixture_peer_mac), 0);
	for (unsigned at = 0; at < 80; at++) {
		struct nic_host_buffer out = {frame.data, sizeof(frame.data), 0};
		for (uint8_t i = 0; i < 100; i++)
			frame.data[at + i] = i;
		datagram = datagram_to(fixture_peer4, frame.data + at, 100);
		assert_int_equal(nic_host_output(host, &datagram, 1, &out), 0);
		for (uint8_t i = 0; i < 100; i++)
			assert_int_equal(frame.data[42 + i], i);
	}
	struct nic_host_buffer small = {frame.data, 42 + 99, 0};
	assert_int_equal(nic_host_output(host, &datagram, 1, &small), -EMSGSIZE);
	host = nic_host_free(host);
}

static void test_refuse(void **state)
{
	struct nic_host *host = fixture_host(false, 8);
	struct fixture_frame frame, reply;
	struct flow_packet packet;
	for (unsigned family = 0; family < 2; family++) {
		uint32_t l4 = family == 0 ? 34 : 54;
		for (uint32_t len = 0; len <= 1400; len += 700) {
			fixture_udp(&frame, family == 0 ? fixture_peer4 : fixture_peer6,
				    family == 0 ? fixture_ip4 : fixture_ip6, 9, len);
			struct nic_host_buffer out = {reply.data, sizeof(reply.data), 0};
			(void)flow_parse(frame.data, frame.len, &packet);
			assert_true(nic_host_refuse(host, frame.data, frame.len, &packet, 1, &out));
			reply.len = out.len;
			fixture_check(&reply, &packet);
			assert_true(packet.is_icmp_error);
			assert_int_equal(reply.data[l4], family == 0 ? 3 : 1);
			assert_int_equal(reply.data[l4 + 1], family == 0 ? 3 : 4);
			assert_memory_equal(reply.data + l4 + 8, frame.data + 14,
					    reply.len - l4 - 8);
			assert_true(reply.len <= NIC_HOST_CONTROL_MAX);
		}
	}
	/* A hundred a second, no more. */
	unsigned errors = 0;
	fixture_udp(&frame, fixture_peer4, fixture_ip4, 9, 4);
	(void)flow_parse(frame.data, frame.len, &packet);
	for (unsigned i = 0; i < 1000; i++) {
		struct nic_host_buffer out = {reply.data, sizeof(reply.data), 0};
		errors += nic_host_refuse(host, frame.data, frame.len, &packet, 1, &out);
	}
	assert_int_equal(errors, NIC_HOST_ERRORS_RATE - 6);
	assert_int_equal(stats_of(host).errors_limited, 1000 - errors);
	struct nic_host_buffer out = {reply.data, sizeof(reply.data), 0};
	assert_true(nic_host_refuse(host, frame.data, frame.len, &packet, SECOND, &out));
	/* Not about ICMP, nor what came to everybody, nor about another's packet. */
	fixture_echo(&frame, fixture_peer4, fixture_ip4, 4);
	(void)flow_parse(frame.data, frame.len, &packet);
	assert_false(nic_host_refuse(host, frame.data, frame.len, &packet, 5 * SECOND, &out));
	fixture_udp(&frame, fixture_peer4, fixture_ip4, 9, 4);
	memcpy(frame.data, fixture_everybody, 6);
	(void)flow_parse(frame.data, frame.len, &packet);
	assert_false(nic_host_refuse(host, frame.data, frame.len, &packet, 5 * SECOND, &out));
	fixture_udp(&frame, fixture_peer4, fixture_gateway4, 9, 4);
	(void)flow_parse(frame.data, frame.len, &packet);
	assert_false(nic_host_refuse(host, frame.data, frame.len, &packet, 5 * SECOND, &out));
	host = nic_host_free(host);
}

static void test_ageing(void **state)
{
	struct nic_host *host = fixture_host(false, 8);
	struct fixture_frame frame, nothing;
	struct nic_host_datagram datagram = datagram_to(fixture_peer4, "x", 1), got;
	struct nic_host_buffer out = {frame.data, sizeof(frame.data), 0};
	for (unsigned i = 0; nic_host_poll(host, i * 10 * SECOND, &out); i++)
		assert_true(i < 20);
	uint64_t now = 1000 * SECOND;
	/* The rest of the announcements, so that what follows is requests. */
	while (nic_host_poll(host, now += 10 * SECOND, &out))
		continue;
	assert_int_equal(output(host, &datagram, now, &frame), -EAGAIN);
	fixture_arp(&frame, 2, fixture_peer4, fixture_ip4);
	assert_int_equal(fixture_input(host, &frame, now, &nothing, &got), NIC_HOST_TAKEN);
	assert_int_equal(output(host, &datagram, now + NIC_HOST_FRESH_NS - 1, &frame), 0);
	assert_false(nic_host_poll(host, now + NIC_HOST_FRESH_NS - 1, &out));
	/* Stale: it is used still, and asked again. */
	now += NIC_HOST_FRESH_NS;
	assert_int_equal(output(host, &datagram, now, &frame), 0);
	assert_true(nic_host_poll(host, now, &out));
	assert_int_equal(frame.data[21], 1);
	assert_false(nic_host_poll(host, now, &out));
	/* It answers, and is fresh again. */
	fixture_arp(&frame, 2, fixture_peer4, fixture_ip4);
	assert_int_equal(fixture_input(host, &frame, now, &nothing, &got), NIC_HOST_TAKEN);
	assert_int_equal(output(host, &datagram, now + NIC_HOST_FRESH_NS - 1, &frame), 0);
	assert_false(nic_host_poll(host, now + NIC_HOST_FRESH_NS - 1, &out));
	/* Not used for long: forgotten. */
	assert_int_equal(output(host, &datagram, now + NIC_HOST_STALE_NS, &frame), -EAGAIN);
	assert_true(frame.len > 0);
	host = nic_host_free(host);
}

static void test_unreachable(void **state)
{
	struct nic_host *host = fixture_host(false, 8);
	struct fixture_frame frame;
	struct nic_host_datagram datagram = datagram_to(fixture_peer4, "x", 1);
	uint64_t now = SECOND;
	for (unsigned i = 0; i < NIC_HOST_RETRIES; i++, now += NIC_HOST_RETRY_NS) {
		assert_int_equal(output(host, &datagram, now, &frame), -EAGAIN);
		assert_true(frame.len > 0);
	}
	assert_int_equal(output(host, &datagram, now - 1, &frame), -EHOSTUNREACH);
	assert_int_equal(output(host, &datagram, now, &frame), -EHOSTUNREACH);
	/* Later it is tried again. */
	now += 10 * SECOND;
	assert_int_equal(output(host, &datagram, now, &frame), -EAGAIN);
	assert_true(frame.len > 0);
	host = nic_host_free(host);
}

/* Who is static stays, however many others there are; requests have their limit. */
static void test_flood(void **state)
{
	struct nic_host *host = fixture_host(false, 64);
	struct fixture_frame frame, reply;
	struct nic_host_datagram got;
	struct nic_host_neighbour neighbour;
	uint8_t source[16];
	memcpy(source, fixture_peer4, 16);
	for (unsigned i = 200; i < 208; i++) {
		source[15] = (uint8_t)i;
		assert_int_equal(nic_host_neighbour_set(host, source, fixture_peer_mac), 0);
	}
	for (unsigned i = 2; i < 200; i++) {
		source[15] = (uint8_t)i;
		fixture_arp(&frame, 1, source, fixture_ip4);
		assert_int_equal(fixture_input(host, &frame, i, &reply, &got), NIC_HOST_ANSWERED);
	}
	unsigned known = 0, fixed = 0;
	for (uint32_t at = 0; nic_host_neighbour_next(host, &at, &neighbour); known++)
		fixed += neighbour.is_static;
	assert_int_equal(fixed, 8);
	assert_true(known > 32 && known <= 64);
	assert_int_equal(stats_of(host).neighbours_evicted, 198 + 8 - known);
	/* A static one does not change by what others say. */
	source[15] = 200;
	fixture_arp(&frame, 1, source, fixture_ip4);
	frame.data[27] = 9;
	assert_int_equal(fixture_input(host, &frame, SECOND, &reply, &got), NIC_HOST_ANSWERED);
	struct nic_host_datagram datagram = datagram_to(source, "x", 1);
	assert_int_equal(output(host, &datagram, SECOND, &frame), 0);
	assert_memory_equal(frame.data, fixture_peer_mac, 6);
	/* Datagrams to addresses that nobody has. */
	unsigned requests = 0;
	uint8_t target[16];
	memcpy(target, fixture_peer6, 16);
	for (unsigned i = 0; i < 1000; i++) {
		target[8] = (uint8_t)(i >> 8);
		target[9] = (uint8_t)i;
		datagram = datagram_to(target, "x", 1);
		assert_int_equal(output(host, &datagram, 2 * SECOND, &frame), -EAGAIN);
		requests += frame.len > 0;
	}
	assert_int_equal(requests, NIC_HOST_REQUESTS_RATE);
	assert_int_equal(stats_of(host).requests_limited, 1000 - requests);
	host = nic_host_free(host);
	/* A set of static ones only. */
	host = fixture_host(false, 8);
	for (unsigned i = 10; i < 18; i++) {
		source[15] = (uint8_t)i;
		assert_int_equal(nic_host_neighbour_set(host, source, fixture_peer_mac), 0);
	}
	assert_int_equal(nic_host_neighbour_set(host, fixture_peer4, fixture_peer_mac), -ENOSPC);
	assert_int_equal(nic_host_neighbour_set(host, source, fixture_everybody), -EINVAL);
	datagram = datagram_to(fixture_peer4, "x", 1);
	assert_int_equal(output(host, &datagram, 1, &frame), -EHOSTUNREACH);
	host = nic_host_free(host);
}

static void test_announce(void **state)
{
	struct nic_host *host = fixture_host(false, 8), *peer = fixture_host(true, 8);
	struct fixture_frame frame, reply;
	struct nic_host_buffer out = {frame.data, sizeof(frame.data), 0};
	struct nic_host_datagram got;
	struct flow_packet packet;
	unsigned arp = 0, ndp = 0;
	for (unsigned second = 0; second < 10; second++) {
		while (nic_host_poll(host, second * SECOND, &out)) {
			frame.len = out.len;
			fixture_check(&frame, &packet);
			arp += packet.kind == FLOW_ARP;
			ndp += packet.kind == FLOW_IPV6;
			enum nic_host_verdict verdict =
				fixture_input(peer, &frame, second * SECOND, &reply, &got);
			assert_int_equal(verdict, packet.kind == FLOW_ARP ? NIC_HOST_NOT_OURS
									  : NIC_HOST_TAKEN);
		}
	}
	/* Twice each; 2001:db8::1 and fe80::… are two. */
	assert_int_equal(arp, 2);
	assert_int_equal(ndp, 4);
	assert_int_equal(stats_of(peer).conflicts + stats_of(peer).bad, 0);
	host = nic_host_free(host);
	peer = nic_host_free(peer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answer),	    cmocka_unit_test(test_exchange),
		cmocka_unit_test(test_gateway),	    cmocka_unit_test(test_refused),
		cmocka_unit_test(test_refuse),	    cmocka_unit_test(test_ageing),
		cmocka_unit_test(test_unreachable), cmocka_unit_test(test_flood),
		cmocka_unit_test(test_announce),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
