#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flow/flow.h"
#include "flow/flow_test_fixture.h"

/* RFC 1071 word by word, in network order. */
static uint16_t reference(const uint8_t *data, size_t len)
{
	uint32_t sum = 0;

	for (size_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)data[i] << 8 : data[i];
	while (sum > 0xffff)
		sum = (sum >> 16) + (sum & 0xffff);
	return (uint16_t)~sum;
}

static uint16_t host_order(uint16_t sum)
{
	uint8_t bytes[2];

	memcpy(bytes, &sum, 2);
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static void sums_are_right(void **state)
{
	uint8_t data[300];

	srandom(1);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)random();
	for (size_t from = 0; from < 5; from++) {
		for (size_t len = 0; from + len <= sizeof(data); len++) {
			uint16_t expected = reference(data + from, len);
			size_t half = len / 4 * 2;
			uint64_t sum = flow_checksum_add(0, data + from, half);

			sum = flow_checksum_add(sum, data + from + half, len - half);
			assert_int_equal(host_order(flow_checksum_end(sum)), expected);
		}
	}
	/* With every carry that there is. */
	memset(data, 0xff, sizeof(data));
	assert_int_equal(flow_checksum_end(flow_checksum_add(0, data, sizeof(data))), 0);
	assert_int_equal(flow_checksum_end(UINT64_MAX), 0);
	assert_int_equal(flow_checksum_end(0), 0xffff);
	assert_int_equal(flow_checksum_end(UINT64_C(0x1fffe0001)),
			 (uint16_t) ~(0x1 + 0xfffe + 0x1 + 0x1));
}

static bool is_good(const uint8_t *frame, uint32_t len)
{
	struct flow_packet packet;
	uint8_t *copy = malloc(len);

	assert_non_null(copy);
	memcpy(copy, frame, len);
	(void)flow_parse(copy, len, &packet);
	bool result = flow_checksums_are_good(copy, &packet);

	free(copy);
	return result;
}

/* What a sample's checksums cover. */
static bool is_covered(const struct flow_sample *sample, uint32_t at)
{
	const struct flow_packet *e = &sample->expected;
	uint32_t end = (uint32_t)e->payload_offset + e->payload_len;

	if (e->kind != FLOW_IPV4 && e->kind != FLOW_IPV6)
		return false;
	if (e->kind == FLOW_IPV4 && at >= e->l3_offset && at < e->l3_offset + 20u)
		return true;
	if (e->kind == FLOW_IPV6 && at >= e->l3_offset + 8u && at < e->l3_offset + 24u)
		return e->l4_offset != 0 && !e->is_fragment && e->proto != 50;
	if (e->is_fragment || e->l4_offset == 0 || at < e->l4_offset || at >= end)
		return false;
	if (strcmp(sample->name, "udp_lite4") == 0)
		return at < e->l4_offset + 12u;
	return strcmp(sample->name, "udp4_absent") != 0 && strcmp(sample->name, "sctp4") != 0 &&
	       strcmp(sample->name, "gre4") != 0 && strcmp(sample->name, "esp6") != 0;
}

static void each_bit_counts(void **state)
{
	uint8_t frame[FLOW_SAMPLE_MAX];

	for (size_t i = 0; i < flow_samples_count; i++) {
		const struct flow_sample *sample = &flow_samples[i];
		uint32_t len = flow_sample_frame(sample, frame), covered = 0;

		if (!is_good(frame, len))
			fail_msg("%s has bad checksums", sample->name);
		for (uint32_t bit = 0; bit < len * 8; bit++) {
			if (!is_covered(sample, bit / 8))
				continue;
			covered++;
			frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
			if (is_good(frame, len))
				fail_msg("%s with bit %u changed", sample->name, bit);
			frame[bit / 8] ^= (uint8_t)(1u << bit % 8);
		}
		if (sample->expected.kind == FLOW_IPV4)
			assert_true(covered >= 160);
	}
}

static void setting_makes_them_right(void **state)
{
	uint8_t frame[FLOW_SAMPLE_MAX], made[FLOW_SAMPLE_MAX];
	struct flow_packet packet;

	for (size_t i = 0; i < flow_samples_count; i++) {
		const struct flow_packet *e = &flow_samples[i].expected;
		uint32_t len = flow_sample_frame(&flow_samples[i], frame);

		memcpy(made, frame, len);
		(void)flow_parse(made, len, &packet);
		if (e->kind == FLOW_IPV4)
			memset(made + e->l3_offset + 10, 0xa5, 2);
		if (e->has_ports && e->proto == 17 && !e->is_icmp_error && !e->is_fragment)
			memset(made + e->l4_offset + 6, 0xa5, 2);
		if (e->proto == 6 && !e->is_icmp_error)
			memset(made + e->l4_offset + 16, 0xa5, 2);
		if (e->proto == 58 || e->is_icmp_error)
			memset(made + e->l4_offset + 2, 0xa5, 2);
		flow_checksums_set(made, &packet);
		assert_true(flow_checksums_are_good(made, &packet));
		/* UDP's is made where it was absent. */
		if (strcmp(flow_samples[i].name, "udp4_absent") == 0) {
			assert_int_equal(made[40] << 8 | made[41], 0x848b);
			memset(made + 40, 0, 2);
		}
		assert_memory_equal(made, frame, len);
	}
}

/* A sum that is zero says so in another way than that there is none. */
static void zero_is_not_absent(void **state)
{
	for (unsigned kind = 0; kind < 2; kind++) {
		uint8_t frame[FLOW_SAMPLE_MAX];
		uint32_t len = flow_sample_named(kind == 0 ? "udp4" : "udp6", frame);
		uint32_t udp = kind == 0 ? 34 : 54;
		struct flow_packet packet;

		/* The checksum as part of the payload leaves nothing to add. */
		memcpy(frame + udp + 8, frame + udp + 6, 2);
		(void)flow_parse(frame, len, &packet);
		memset(frame + udp + 8, 0, 2);
		flow_checksums_set(frame, &packet);
		memcpy(frame + udp + 8, frame + udp + 6, 2);
		flow_checksums_set(frame, &packet);
		assert_int_equal(frame[udp + 6] << 8 | frame[udp + 7], 0xffff);
		assert_true(flow_checksums_are_good(frame, &packet));
		/* Over IPv6 there always is one. */
		memset(frame + udp + 6, 0, 2);
		assert_int_equal(flow_checksums_are_good(frame, &packet), kind == 0);
	}
}

/* Somebody writes to the packet after it was looked at. */
static void later_changes_do_no_harm(void **state)
{
	static const char *const names[] = {"udp4", "udp6", "udp_lite4", "tcp4", "too_big6"};

	srandom(2);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(names); i++) {
		uint8_t sample[FLOW_SAMPLE_MAX];
		uint32_t len = flow_sample_named(names[i], sample);
		uint8_t *frame = malloc(len);
		struct flow_packet packet;

		assert_non_null(frame);
		memcpy(frame, sample, len);
		(void)flow_parse(frame, len, &packet);
		for (unsigned round = 0; round < 10000; round++) {
			for (uint32_t at = 0; at < len; at++)
				frame[at] = (uint8_t)random();
			(void)flow_checksums_are_good(frame, &packet);
			flow_checksums_set(frame, &packet);
		}
		free(frame);
	}
}

static void bad_packets_are_left_alone(void **state)
{
	uint8_t frame[64] = {[12] = 8, [14] = 0x41}, before[64];
	struct flow_packet packet;

	memcpy(before, frame, sizeof(frame));
	(void)flow_parse(frame, sizeof(frame), &packet);
	assert_true(packet.is_bad);
	assert_false(flow_checksums_are_good(frame, &packet));
	flow_checksums_set(frame, &packet);
	assert_memory_equal(frame, before, sizeof(frame));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums_are_right),
		cmocka_unit_test(each_bit_counts),
		cmocka_unit_test(setting_makes_them_right),
		cmocka_unit_test(zero_is_not_absent),
		cmocka_unit_test(later_changes_do_no_harm),
		cmocka_unit_test(bad_packets_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
