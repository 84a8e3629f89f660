/* The host with packets made by hand. */
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

static const uint8_t nobody[16], all_nodes[16] = {0xff, 2, [15] = 1};
static const uint8_t group_of_host[16] = {0xff, 2, [11] = 1, 0xff, 0, 0, 1};

static struct nic_host_stats stats_of(const struct nic_host *host)
{
	struct nic_host_stats stats;
	nic_host_stats(host, &stats);
	return stats;
}

static unsigned count_neighbours(const struct nic_host *host)
{
	struct nic_host_neighbour neighbour;
	unsigned count = 0;
	for (uint32_t at = 0; nic_host_neighbour_next(host, &at, &neighbour);)
		count++;
	return count;
}

static enum nic_host_verdict give(struct nic_host *host, const struct fixture_frame *frame,
				  uint64_t now_ns, struct fixture_frame *reply)
{
	struct nic_host_datagram datagram;
	struct flow_packet packet;
	enum nic_host_verdict verdict = fixture_input(host, frame, now_ns, reply, &datagram);
	if (reply->len > 0)
		fixture_check(reply, &packet);
	return verdict;
}

static void test_config(void **state)
{
	struct nic_host_address address = {.prefix_len = 24};
	struct nic_host_config good = {.addresses = &address, .addresses_count = 1, .now_ns = 5};
	struct nic_host *host = NULL;
	struct eos_why why;
	memcpy(good.mac, fixture_mac, 6);
	memcpy(address.address, fixture_ip4, 16);
	for (unsigned i = 0; i < 10; i++) {
		struct nic_host_config bad = good;
		address.prefix_len = 24;
		switch (i) {
		case 0:
			bad.mac[0] = 1;
			break;
		case 1:
			memset(bad.mac, 0, 6);
			break;
		case 2:
			bad.mtu = 60;
			break;
		case 3:
			bad.neighbours_max = 100;
			break;
		case 4:
			bad.neighbours_max = 4;
			break;
		case 5:
			bad.neighbours_max = 1u << 20;
			break;
		case 6:
			bad.addresses_count = 17;
			break;
		case 7:
			bad.gateway4[0] = 0xfe;
			break;
		case 8:
			memcpy(bad.gateway6, fixture_ip4, 16);
			break;
		default:
			address.prefix_len = 33;
			break;
		}
		why.text[0] = '\0';
		assert_int_equal(nic_host_new(&bad, &host, &why), -EINVAL);
		assert_true(why.text[0] != '\0');
	}
	address.prefix_len = 24;
	address.address[12] = 224;
	assert_int_equal(nic_host_new(&good, &host, &why), -EINVAL);
	assert_null(host);
	assert_null(nic_host_free(NULL));
}

static void test_arp(void **state)
{
	struct nic_host *host = fixture_host(false, 64);
	struct fixture_frame frame, reply;
	fixture_arp(&frame, 1, fixture_peer4, fixture_ip4);
	assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_ANSWERED);
	assert_memory_equal(reply.data, fixture_peer_mac, 6);
	assert_memory_equal(reply.data + 6, fixture_mac, 6);
	assert_int_equal(reply.data[21], 2);
	assert_memory_equal(reply.data + 22, fixture_mac, 6);
	assert_memory_equal(reply.data + 28, fixture_ip4 + 12, 4);
	assert_memory_equal(reply.data + 32, fixture_peer_mac, 6);
	assert_memory_equal(reply.data + 38, fixture_peer4 + 12, 4);
	assert_int_equal(count_neighbours(host), 1);
	/* For somebody else. */
	fixture_arp(&frame, 1, fixture_peer4, fixture_gateway4);
	assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_NOT_OURS);
	/* A probe is answered, and teaches nothing. */
	struct nic_host *other = fixture_host(false, 64);
	fixture_arp(&frame, 1, nobody, fixture_ip4);
	assert_int_equal(give(other, &frame, 1, &reply), NIC_HOST_ANSWERED);
	/* Nor does an answer to no question, or an announcement. */
	fixture_arp(&frame, 2, fixture_peer4, fixture_ip4);
	assert_int_equal(give(other, &frame, 1, &reply), NIC_HOST_TAKEN);
	fixture_arp(&frame, 1, fixture_peer4, fixture_peer4);
	assert_int_equal(give(other, &frame, 1, &reply), NIC_HOST_NOT_OURS);
	/* Nor who is not on the link, is a group, or has a group's MAC address. */
	fixture_arp(&frame, 1, fixture_far4, fixture_ip4);
	assert_int_equal(give(other, &frame, 1, &reply), NIC_HOST_ANSWERED);
	fixture_arp(&frame, 1, fixture_peer4, fixture_ip4);
	frame.data[22] |= 1;
	assert_int_equal(give(other, &frame, 1, &reply), NIC_HOST_TAKEN);
	fixture_arp(&frame, 1, fixture_peer4, fixture_ip4);
	frame.data[28] = 224;
	assert_int_equal(give(other, &frame, 1, &reply), NIC_HOST_TAKEN);
	assert_int_equal(stats_of(other).bad, 2);
	assert_int_equal(count_neighbours(other), 0);
	/* Another's MAC address on the frame. */
	fixture_arp(&frame, 1, fixture_peer4, fixture_ip4);
	memcpy(frame.data, fixture_peer_mac, 6);
	assert_int_equal(give(other, &frame, 1, &reply), NIC_HOST_NOT_OURS);
	host = nic_host_free(host);
	other = nic_host_free(other);
}

static void test_defence(void **state)
{
	struct nic_host *host = fixture_host(false, 64);
	struct fixture_frame frame, reply;
	fixture_arp(&frame, 1, fixture_ip4, fixture_ip4);
	assert_int_equal(give(host, &frame, SECOND, &reply), NIC_HOST_ANSWERED);
	assert_memory_equal(reply.data, fixture_everybody, 6);
	assert_memory_equal(reply.data + 28, fixture_ip4 + 12, 4);
	assert_memory_equal(reply.data + 38, fixture_ip4 + 12, 4);
	/* Not again within ten seconds: two that defend would fill the link. */
	assert_int_equal(give(host, &frame, 2 * SECOND, &reply), NIC_HOST_TAKEN);
	assert_int_equal(give(host, &frame, 12 * SECOND, &reply), NIC_HOST_ANSWERED);
	fixture_ndp(&frame, 136, fixture_peer6, all_nodes, fixture_ip6, true);
	assert_int_equal(give(host, &frame, SECOND, &reply), NIC_HOST_ANSWERED);
	assert_int_equal(give(host, &frame, 2 * SECOND, &reply), NIC_HOST_TAKEN);
	/* Duplicate address detection: the answer goes to everybody. */
	fixture_ndp(&frame, 135, nobody, group_of_host, fixture_ip6, false);
	assert_int_equal(give(host, &frame, SECOND, &reply), NIC_HOST_ANSWERED);
	assert_memory_equal(reply.data, ((uint8_t[]){0x33, 0x33, 0, 0, 0, 1}), 6);
	assert_int_equal(reply.data[14 + 40 + 4], 0x20);
	/* Our own frames, come back. */
	fixture_arp(&frame, 1, fixture_ip4, fixture_ip4);
	memcpy(frame.data + 22, fixture_mac, 6);
	assert_int_equal(give(host, &frame, 50 * SECOND, &reply), NIC_HOST_TAKEN);
	assert_int_equal(stats_of(host).conflicts, 6);
	assert_int_equal(count_neighbours(host), 0);
	host = nic_host_free(host);
}

static void test_ndp(void **state)
{
	static const uint8_t link_local[16] = {0xfe, 0x80, [11] = 0xff, 0xfe, 0, 0, 1};
	struct nic_host *host = fixture_host(false, 64);
	struct fixture_frame frame, reply;
	fixture_ndp(&frame, 135, fixture_peer6, group_of_host, fixture_ip6, true);
	assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_ANSWERED);
	assert_memory_equal(reply.data, fixture_peer_mac, 6);
	assert_int_equal(reply.data[14 + 7], 255);
	assert_memory_equal(reply.data + 14 + 8, fixture_ip6, 16);
	assert_memory_equal(reply.data + 14 + 24, fixture_peer6, 16);
	assert_int_equal(reply.data[54], 136);
	assert_int_equal(reply.data[58], 0x60);
	assert_memory_equal(reply.data + 62, fixture_ip6, 16);
	assert_memory_equal(reply.data + 80, fixture_mac, 6);
	assert_int_equal(count_neighbours(host), 1);
	/* The link-local address is there, without having been asked for. */
	assert_true(nic_host_has_address(host, link_local));
	fixture_ndp(&frame, 135, fixture_peer6, group_of_host, link_local, true);
	assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_ANSWERED);
	/* Forwarded; another code; an option without length; one that goes beyond the end. */
	fixture_ndp(&frame, 135, fixture_peer6, group_of_host, fixture_ip6, true);
	frame.data[14 + 7] = 254;
	assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_TAKEN);
	for (unsigned at = 54 + 1, i = 0; i < 2; i++, at = 54 + 25) {
		for (uint8_t value = 0; value < 4; value = (uint8_t)(value + 2)) {
			fixture_ndp(&frame, 135, fixture_peer6, group_of_host, fixture_ip6, true);
			frame.data[at] = value;
			fixture_finish(&frame);
			bool is_good = i == 0 && value == 0;
			assert_int_equal(give(host, &frame, 1, &reply),
					 is_good ? NIC_HOST_ANSWERED : NIC_HOST_TAKEN);
		}
	}
	/* Who has no address tells no MAC address, and asks the group. */
	fixture_ndp(&frame, 135, nobody, group_of_host, fixture_ip6, true);
	assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_TAKEN);
	fixture_ndp(&frame, 135, nobody, fixture_ip6, fixture_ip6, false);
	assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_TAKEN);
	fixture_ndp(&frame, 135, fixture_peer6, group_of_host, fixture_ip6, true);
	frame.data[60] ^= 1;
	assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_TAKEN);
	assert_int_equal(stats_of(host).bad_checksums, 1);
	assert_int_equal(stats_of(host).bad, 6);
	/* Groups of others. */
	fixture_ndp(&frame, 135, fixture_peer6, (uint8_t[16]){0xff, 2, [11] = 1, 0xff, 0, 0, 9},
		    fixture_ip6, true);
	assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_NOT_OURS);
	host = nic_host_free(host);
}

static void test_advertisement(void **state)
{
	struct nic_host *host = fixture_host(false, 64);
	struct fixture_frame frame, reply;
	struct nic_host_neighbour neighbour;
	uint32_t at = 0;
	/* Nobody asked. */
	fixture_ndp(&frame, 136, fixture_peer6, fixture_ip6, fixture_peer6, true);
	assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_TAKEN);
	assert_int_equal(count_neighbours(host), 0);
	fixture_ndp(&frame, 135, fixture_peer6, group_of_host, fixture_ip6, true);
	assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_ANSWERED);
	/* Another MAC address is believed when it says that it overrides. */
	for (unsigned i = 0; i < 2; i++) {
		fixture_ndp(&frame, 136, fixture_peer6, fixture_ip6, fixture_peer6, true);
		frame.data[54 + 4] = i == 0 ? 0x40 : 0x60;
		frame.data[54 + 31] = 9;
		fixture_finish(&frame);
		assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_TAKEN);
		at = 0;
		assert_true(nic_host_neighbour_next(host, &at, &neighbour));
		assert_int_equal(neighbour.mac[5], i == 0 ? 2 : 9);
	}
	host = nic_host_free(host);
}

static void test_echo(void **state)
{
	struct nic_host *host = fixture_host(false, 64);
	struct fixture_frame frame, reply;
	for (unsigned family = 0; family < 2; family++) {
		const uint8_t *source = family == 0 ? fixture_peer4 : fixture_peer6;
		const uint8_t *target = family == 0 ? fixture_ip4 : fixture_ip6;
		uint32_t at = 14 + (family == 0 ? 20 : 40);
		for (uint32_t len = 0; len <= 1452; len = len * 2 + 1) {
			struct flow_packet packet;
			fixture_echo(&frame, source, target, len);
			assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_ANSWERED);
			fixture_check(&reply, &packet);
			assert_memory_equal(packet.source, target, 16);
			assert_memory_equal(packet.target, source, 16);
			assert_memory_equal(reply.data, fixture_peer_mac, 6);
			assert_int_equal(reply.data[at], family == 0 ? 0 : 129);
			assert_int_equal(reply.len, frame.len);
			assert_memory_equal(reply.data + at + 4, frame.data + at + 4, 4 + len);
		}
	}
	/* Padding of short frames is not sent back. */
	fixture_echo(&frame, fixture_peer4, fixture_ip4, 4);
	frame.len = 60;
	assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_ANSWERED);
	assert_int_equal(reply.len, 14 + 20 + 12);
	uint64_t echoes = stats_of(host).echoes;
	frame.data[40] ^= 1;
	assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_TAKEN);
	assert_int_equal(stats_of(host).bad_checksums, 1);
	/* Replies, groups, another host's frame or address, our own address as the source. */
	fixture_echo(&frame, fixture_peer4, fixture_ip4, 4);
	frame.data[34] = 0;
	fixture_finish(&frame);
	assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_TAKEN);
	fixture_echo(&frame, fixture_peer6, all_nodes, 4);
	assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_NOT_OURS);
	fixture_echo(&frame, fixture_peer4, fixture_gateway4, 4);
	assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_NOT_OURS);
	fixture_echo(&frame, fixture_peer4, fixture_ip4, 4);
	memcpy(frame.data, fixture_everybody, 6);
	assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_NOT_OURS);
	fixture_echo(&frame, fixture_ip4, fixture_ip4, 4);
	assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_TAKEN);
	static const uint8_t impossible[][4] = {{127, 0, 0, 1},	 {0, 0, 0, 0},
						{224, 0, 0, 1},	 {255, 255, 255, 255},
						{10, 0, 0, 255}, {10, 0, 0, 0}};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(impossible); i++) {
		uint8_t source[16] = {[10] = 0xff, 0xff};
		memcpy(source + 12, impossible[i], 4);
		fixture_echo(&frame, source, fixture_ip4, 4);
		assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_TAKEN);
	}
	assert_int_equal(stats_of(host).bad, 7);
	/* A fragment. */
	fixture_echo(&frame, fixture_peer4, fixture_ip4, 8);
	frame.data[20] = 0x20;
	fixture_finish(&frame);
	assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_TAKEN);
	assert_int_equal(stats_of(host).fragments, 1);
	assert_int_equal(stats_of(host).echoes, echoes);
	host = nic_host_free(host);
}

static void test_other(void **state)
{
	struct nic_host *host = fixture_host(false, 64);
	struct fixture_frame frame, reply;
	/* Frames with tags are of other networks, also those of priority only. */
	for (uint8_t id = 0; id < 2; id++) {
		fixture_echo(&frame, fixture_peer4, fixture_ip4, 4);
		memmove(frame.data + 16, frame.data + 12, frame.len - 12);
		memcpy(frame.data + 12, (uint8_t[]){0x81, 0x00, 0x20, id}, 4);
		frame.len += 4;
		assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_NOT_OURS);
	}
	/* TCP is the caller's. */
	uint8_t *tcp = fixture_ip(&frame, 6, fixture_peer4, fixture_ip4, 20);
	tcp[12] = 0x50;
	fixture_finish(&frame);
	assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_LOCAL);
	/* Errors about something that we never sent. */
	uint8_t *icmp = fixture_ip(&frame, 1, fixture_peer4, fixture_ip4, 8 + 28);
	icmp[0] = 3;
	icmp[8] = 0x45;
	icmp[11] = 28;
	icmp[17] = 17;
	memcpy(icmp + 20, fixture_ip4 + 12, 4);
	memcpy(icmp + 24, fixture_peer4 + 12, 4);
	fixture_finish(&frame);
	assert_int_equal(give(host, &frame, 1, &reply), NIC_HOST_TAKEN);
	host = nic_host_free(host);
}

/* Each frame, shortened and with each byte changed: nothing but verdicts comes of it. */
static void test_mangled(void **state)
{
	struct nic_host *host = fixture_host(false, 8);
	struct fixture_frame frames[8], reply;
	fixture_arp(&frames[0], 1, fixture_peer4, fixture_ip4);
	fixture_arp(&frames[1], 2, fixture_peer4, fixture_ip4);
	fixture_ndp(&frames[2], 135, fixture_peer6, group_of_host, fixture_ip6, true);
	fixture_ndp(&frames[3], 136, fixture_peer6, fixture_ip6, fixture_peer6, true);
	fixture_echo(&frames[4], fixture_peer4, fixture_ip4, 20);
	fixture_echo(&frames[5], fixture_peer6, fixture_ip6, 20);
	fixture_udp(&frames[6], fixture_peer4, fixture_ip4, 7, 20);
	fixture_udp(&frames[7], fixture_peer6, fixture_ip6, 7, 20);
	for (unsigned i = 0; i < 8; i++) {
		struct fixture_frame cut = frames[i];
		for (cut.len = 0; cut.len < frames[i].len; cut.len++) {
			enum nic_host_verdict verdict = give(host, &cut, 1, &reply);
			assert_true(verdict == NIC_HOST_NOT_OURS || verdict == NIC_HOST_TAKEN);
		}
		for (uint32_t at = 0; at < frames[i].len; at++) {
			for (unsigned bit = 0; bit < 8; bit++) {
				struct fixture_frame changed = frames[i];
				changed.data[at] ^= (uint8_t)(1u << bit);
				(void)give(host, &changed, 1, &reply);
				fixture_finish(&changed);
				(void)give(host, &changed, 1, &reply);
			}
		}
	}
	assert_true(count_neighbours(host) <= 8);
	host = nic_host_free(host);
}

static void test_no_room(void **state)
{
	struct nic_host *host = fixture_host(false, 64);
	struct fixture_frame frames[3];
	fixture_arp(&frames[0], 1, fixture_peer4, fixture_ip4);
	fixture_ndp(&frames[1], 135, fixture_peer6, group_of_host, fixture_ip6, true);
	fixture_echo(&frames[2], fixture_peer4, fixture_ip4, 100);
	for (unsigned i = 0; i < 3; i++) {
		uint8_t small[59];
		struct nic_host_buffer reply = {small, sizeof(small), 9};
		struct nic_host_datagram datagram;
		struct flow_packet packet;
		(void)flow_parse(frames[i].data, frames[i].len, &packet);
		assert_int_equal(nic_host_input(host, frames[i].data, frames[i].len, &packet, false,
						1, &reply, &datagram),
				 NIC_HOST_TAKEN);
		assert_int_equal(reply.len, 0);
	}
	assert_int_equal(stats_of(host).no_room, 3);
	host = nic_host_free(host);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_config),	      cmocka_unit_test(test_arp),
		cmocka_unit_test(test_defence),	      cmocka_unit_test(test_ndp),
		cmocka_unit_test(test_advertisement), cmocka_unit_test(test_echo),
		cmocka_unit_test(test_other),	      cmocka_unit_test(test_mangled),
		cmocka_unit_test(test_no_room),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
