/*
 * IPFragmenter and IPReassembler: what one takes apart the other puts together, in any order; and
 * hostile fragments. Checksums that are changed against those that are computed anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sdk/click/ip.h>

#include "click/click_elements_fixture.h"

#define NS_PER_S 1000000000ull

static struct fixture fixture;
static uint32_t seed = 1;

static uint32_t next(uint32_t below)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % below;
}

/* A packet with random options of which some are copied, and LEN bytes of payload. */
static size_t make(uint8_t *out, uint16_t id, uint32_t options, uint32_t len, uint16_t fragment)
{
	uint32_t header = 20 + options;
	memset(out, 0, header);
	out[0] = (uint8_t)(0x40 | header / 4);
	click_put_u16(out + 2, header + len);
	click_put_u16(out + 4, id);
	click_put_u16(out + 6, fragment);
	out[8] = 9;
	out[9] = 17;
	click_put_u32(out + 12, 0x0a000001);
	click_put_u32(out + 16, 0x0a000002);
	for (uint32_t at = 20; at < header; at += 4) {
		out[at] = next(2) ? 0x88 : 0x44;
		out[at + 1] = 4;
	}
	click_ip_set_checksum(out, header);
	for (uint32_t i = 0; i < len; i++)
		out[header + i] = (uint8_t)next(256);
	return header + len;
}

static void load(const char *text)
{
	if (fixture_load(&fixture, text) < 0)
		fail_msg("%s", fixture.errors);
}

/* --- together --- */

static void fragments_become_the_packet(void **state)
{
	static struct sent parts[SENT_MAX];
	uint8_t packet[2048];
	for (unsigned round = 0; round < 300; round++) {
		char text[256];
		uint32_t options = 4 * next(11), mtu = 20 + options + 8 + next(600);
		size_t len = make(packet, (uint16_t)round, options,
				  1 + next(2048 - 20 - options - 1), 0);
		sprintf(text,
			"FromDevice(in) -> MarkIPHeader(0) -> f :: IPFragmenter(%u)"
			"-> ToDevice(out); f[1] -> ToDevice(out);",
			mtu);
		load(text);
		fixture_receive(&fixture, "in", packet, len);
		unsigned count = fixture.sent_count;
		assert_true(count >= 1 && count <= SENT_MAX);
		uint32_t total = 0;
		for (unsigned i = 0; i < count; i++) {
			parts[i] = fixture.sent[i];
			const uint8_t *part = parts[i].data;
			assert_true(parts[i].len <= mtu);
			assert_int_equal(click_get_u16(part + 2), parts[i].len);
			assert_int_equal(click_checksum(part, (part[0] & 15) * 4u), 0);
			assert_int_equal((click_get_u16(part + 6) & 0x1fff) * 8u, total);
			assert_int_equal(click_get_u16(part + 6) >> 13, i + 1 < count);
			total += parts[i].len - (part[0] & 15) * 4u;
		}
		assert_int_equal(total, len - 20 - options);
		fixture_fini(&fixture);

		load("FromDevice(in) -> MarkIPHeader(0) -> r :: IPReassembler -> ToDevice(out);"
		     "r[1] -> ToDevice(bad);");
		for (unsigned i = count; i > 1; i--) {
			unsigned j = next(i);
			struct sent swap = parts[i - 1];
			parts[i - 1] = parts[j];
			parts[j] = swap;
		}
		fixture.sent_count = 0;
		for (unsigned i = 0; i < count; i++) {
			assert_int_equal(fixture.sent_count, 0);
			/* What comes twice does no harm. */
			if (i + 1 < count && next(4) == 0)
				fixture_receive_more(&fixture, "in", parts[i].data, parts[i].len);
			fixture_receive_more(&fixture, "in", parts[i].data, parts[i].len);
		}
		assert_int_equal(fixture.sent_count, 1);
		assert_int_equal(fixture.sent[0].device, fixture_device(&fixture, "out"));
		assert_int_equal(fixture.sent[0].len, len);
		assert_memory_equal(fixture.sent[0].data, packet, len);
		fixture_fini(&fixture);
	}
}

/* --- the reassembler alone --- */

static void give(uint16_t id, uint32_t offset, uint32_t len, bool more, uint8_t fill)
{
	uint8_t packet[2048];
	size_t size = make(packet, id, 0, len, (uint16_t)(offset / 8 | (more ? 0x2000 : 0)));
	memset(packet + 20, fill, len);
	fixture_receive_more(&fixture, "in", packet, size);
}

static void load_reassembler(const char *args)
{
	char text[256];
	sprintf(text,
		"FromDevice(in) -> MarkIPHeader(0) -> r :: IPReassembler(%s) -> ToDevice(out);"
		"r[1] -> ToDevice(bad);",
		args);
	load(text);
	fixture.sent_count = 0;
}

static void contradictions_end_a_datagram(void **state)
{
	load_reassembler("");
	/* Bytes that differ, */
	give(1, 0, 16, true, 1);
	give(1, 8, 16, true, 2);
	assert_int_equal(fixture_read(&fixture, "r.failed"), 1);
	assert_int_equal(fixture_read(&fixture, "r.length"), 0);
	/* an end before what is there, a second end, and something behind the end. */
	give(2, 0, 32, true, 1);
	give(2, 8, 8, false, 1);
	assert_int_equal(fixture_read(&fixture, "r.failed"), 2);
	give(3, 8, 8, false, 1);
	give(3, 8, 3, false, 1);
	assert_int_equal(fixture_read(&fixture, "r.failed"), 3);
	give(4, 8, 8, false, 1);
	give(4, 16, 8, true, 1);
	assert_int_equal(fixture_read(&fixture, "r.failed"), 4);
	/* Those that agree are fine. */
	fixture.sent_count = 0;
	give(5, 0, 16, true, 7);
	give(5, 8, 16, true, 7);
	give(5, 24, 5, false, 7);
	assert_int_equal(fixture.sent_count, 1);
	assert_int_equal(fixture.sent[0].len, 49);
	/* Neither a fragment of no whole blocks nor one beyond a packet's end is kept. */
	give(6, 0, 15, true, 1);
	give(7, 2040, 16, false, 1);
	give(8, 65528, 100, true, 1);
	assert_int_equal(fixture_read(&fixture, "r.length"), 0);
	fixture_fini(&fixture);
}

static void old_datagrams_are_given_up(void **state)
{
	fixture_now_ns = NS_PER_S;
	load_reassembler("");
	give(1, 0, 16, true, 1);
	give(1, 24, 8, false, 2);
	give(2, 8, 8, false, 3);
	fixture_run_at(&fixture, 25 * NS_PER_S);
	assert_int_equal(fixture_read(&fixture, "r.length"), 2);
	fixture_run_at(&fixture, 45 * NS_PER_S);
	assert_int_equal(fixture_read(&fixture, "r.length"), 0);
	assert_int_equal(fixture.sent_count, 2);
	/* What is missing is zero. */
	assert_int_equal(fixture.sent[0].len, 52);
	assert_int_equal(click_get_u16(fixture.sent[0].data + 6), 0);
	assert_int_equal(fixture.sent[0].data[20 + 15], 1);
	for (unsigned i = 16; i < 24; i++)
		assert_int_equal(fixture.sent[0].data[20 + i], 0);
	assert_int_equal(fixture.sent[0].data[20 + 24], 2);
	/* Without the first fragment it is none. */
	assert_int_equal(click_get_u16(fixture.sent[1].data + 6), 1);
	assert_int_equal(fixture.sent[1].len, 28);
	assert_int_equal(click_checksum(fixture.sent[1].data, 20), 0);
	fixture_fini(&fixture);
}

static void memory_is_bounded(void **state)
{
	load_reassembler("HIMEM 50000");
	uint64_t most = 0;
	for (unsigned id = 0; id < 3000; id++) {
		give((uint16_t)id, 8 * next(100), 8, true, 1);
		uint64_t length = fixture_read(&fixture, "r.length");
		most = length > most ? length : most;
	}
	assert_true(most > 10 && most * 2176 <= 50000);
	assert_int_equal(fixture_read(&fixture, "r.failed") + fixture_read(&fixture, "r.length"),
			 3000);
	fixture_fini(&fixture);
}

/* Anything may come: the packets' number stays bounded, and what comes out is well formed. */
static void random_fragments_do_no_harm(void **state)
{
	load_reassembler("HIMEM 60000, MAX_MTU_ANNO 20");
	uint8_t packet[2048];
	for (unsigned round = 0; round < 60000; round++) {
		uint32_t len = next(8) ? 8 * next(8) : next(160);
		size_t size = make(packet, (uint16_t)next(30), 4 * next(2), len,
				   (uint16_t)(next(12) | (next(12) ? 0x2000 : 0)));
		memset(packet + size - len, next(60) == 0, len);
		if (next(50) == 0)
			packet[next(20)] = (uint8_t)next(256);
		if (next(50) == 0)
			size = next((uint32_t)size + 1);
		fixture_receive(&fixture, "in", packet, size);
		if (next(100) == 0)
			fixture_run_at(&fixture, fixture_now_ns + NS_PER_S);
		for (unsigned i = 0; i < fixture.sent_count && i < SENT_MAX; i++) {
			const struct sent *sent = &fixture.sent[i];
			if (sent->len == size && memcmp(sent->data, packet, size) == 0)
				continue; /* no fragment */
			assert_true(sent->len > 20 && sent->len <= CLICK_PACKET_MAX);
			assert_int_equal(click_get_u16(sent->data + 2), sent->len);
			assert_int_equal(click_checksum(sent->data, (sent->data[0] & 15) * 4u), 0);
		}
	}
	assert_true(fixture_read(&fixture, "r.good") > 100);
	assert_true(fixture_read(&fixture, "r.bad") > 100);
	fixture_fini(&fixture);
}

/* --- the fragmenter alone --- */

static void fragments_are_refused(void **state)
{
	uint8_t packet[2048];
	load("FromDevice(in) -> MarkIPHeader(0) -> f :: IPFragmenter(100) -> ToDevice(out);"
	     "f[1] -> ToDevice(df);");
	size_t len = make(packet, 1, 0, 500, 0x4000);
	fixture_receive(&fixture, "in", packet, len);
	assert_int_equal(fixture.sent_count, 1);
	assert_int_equal(fixture.sent[0].device, fixture_device(&fixture, "df"));
	assert_memory_equal(fixture.sent[0].data, packet, len);
	assert_int_equal(fixture_read(&fixture, "f.drops"), 1);
	/* Its end would be beyond what an offset can say. */
	len = make(packet, 1, 0, 500, 0x1ff0);
	fixture_receive(&fixture, "in", packet, len);
	assert_int_equal(fixture.sent_count, 0);
	/* A fragment's fragments keep its place, and that more follow. */
	len = make(packet, 1, 0, 160, 0x2010);
	fixture_receive(&fixture, "in", packet, len);
	assert_int_equal(fixture.sent_count, 2);
	assert_int_equal(click_get_u16(fixture.sent[0].data + 6), 0x2010);
	assert_int_equal(click_get_u16(fixture.sent[1].data + 6), 0x201a);
	fixture_fini(&fixture);

	load("FromDevice(in) -> MarkIPHeader(0) -> IPFragmenter(100, false) -> ToDevice(out);");
	len = make(packet, 1, 0, 100, 0x4000);
	fixture_receive(&fixture, "in", packet, len);
	assert_int_equal(fixture.sent_count, 2);
	assert_int_equal(click_get_u16(fixture.sent[0].data + 6), 0x2000);
	assert_int_equal(click_get_u16(fixture.sent[1].data + 6), 10);
	fixture_fini(&fixture);
}

/* --- checksums --- */

/* Word by word, as RFC 1071 says. */
static uint16_t plain_checksum(const uint8_t *data, size_t len)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < len; i++)
		sum += i % 2 ? data[i] : (uint64_t)data[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

static void checksums_are_right(void **state)
{
	uint8_t data[200];
	for (unsigned round = 0; round < 20000; round++) {
		uint32_t len = next(200), part = next(len + 1) & ~1u;
		for (uint32_t i = 0; i < len; i++)
			data[i] = next(3) ? (uint8_t)next(256) : next(2) ? 0xff : 0;
		assert_int_equal(click_checksum(data, len), plain_checksum(data, len));
		uint32_t sum = click_sum(0, data, part);
		assert_int_equal(click_sum_finish(click_sum(sum, data + part, len - part)),
				 plain_checksum(data, len));
	}
}

/* Equal in ones' complement: both zeroes are one number, unless all of the data are zero. */
static void changes_keep_checksums(void **state)
{
	uint8_t data[40];
	for (unsigned round = 0; round < 200000; round++) {
		for (unsigned i = 0; i < sizeof(data); i++)
			data[i] = next(3) ? (uint8_t)next(256) : next(2) ? 0xff : 0;
		data[0] = 0x45;
		uint16_t before = click_checksum(data, sizeof(data));
		uint32_t at = 4 * (1 + next(9));
		uint32_t old = click_get_u32(data + at);
		uint32_t new = next(3) ? next(1u << 24) << 8 | next(256) : next(2) ? UINT32_MAX : 0;
		uint16_t half = click_checksum_update_u16(
			click_checksum_update_u16(before, (uint16_t)(old >> 16),
						  (uint16_t)(new >> 16)),
			(uint16_t)old, (uint16_t) new);
		uint16_t whole = click_checksum_update_u32(before, old, new);
		click_put_u32(data + at, new);
		uint16_t after = plain_checksum(data, sizeof(data));
		assert_int_equal(half, after);
		assert_int_equal(whole, after);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fragments_become_the_packet),
		cmocka_unit_test(contradictions_end_a_datagram),
		cmocka_unit_test(old_datagrams_are_given_up),
		cmocka_unit_test(memory_is_bounded),
		cmocka_unit_test(random_fragments_do_no_harm),
		cmocka_unit_test(fragments_are_refused),
		cmocka_unit_test(checksums_are_right),
		cmocka_unit_test(changes_keep_checksums),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
