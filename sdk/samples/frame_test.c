/*
 * Tests of what packet functions share: frame.h, flows.h, settings.h.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flows.h"
#include "frame.h"
#include "host_double.h"
#include "settings.h"

/* What the double calls; nothing is sent here. */
void edgeos_init(void)
{
}

uint32_t edgeos_packet(void *buf, uint32_t len)
{
	return EDGEOS_DROP;
}

static const struct host_packet examples[] = {
	{.proto = FRAME_TCP,
	 .source = "10.1.2.3",
	 .target = "192.0.2.1",
	 .source_port = 1234,
	 .target_port = 80,
	 .flags = FRAME_SYN,
	 .payload = "hello",
	 .payload_len = 5},
	{.proto = FRAME_UDP,
	 .source = "2001:db8::1",
	 .target = "2001:db8::2",
	 .source_port = 5,
	 .target_port = 53,
	 .payload = "x",
	 .payload_len = 1,
	 .has_vlan = true},
	{.proto = FRAME_ICMP,
	 .source = "10.1.2.3",
	 .target = "192.0.2.1",
	 .icmp_type = 8,
	 .source_port = 7},
	{.proto = FRAME_UDP,
	 .source = "10.1.2.3",
	 .target = "192.0.2.1",
	 .source_port = 5,
	 .target_port = 53,
	 .fragment = 0x2000,
	 .fragment_id = 9,
	 .payload = "12345678",
	 .payload_len = 8},
};

static void test_fields(void **state)
{
	uint8_t data[256];
	struct frame frame;
	uint32_t len = host_make(data, &examples[0]);
	assert_true(frame_parse(&frame, data, len));
	assert_int_equal(frame.version, 4);
	assert_int_equal(frame.proto, FRAME_TCP);
	assert_int_equal(frame.source_port, 1234);
	assert_int_equal(frame.target_port, 80);
	assert_int_equal(frame.tcp_flags, FRAME_SYN);
	assert_int_equal(frame.end - frame.payload, 5);
	assert_memory_equal(data + frame.payload, "hello", 5);
	assert_memory_equal(frame.source, "\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\x01\x02\x03", 16);
	/* Padding behind the packet is not part of it. */
	memset(data + len, 1, 20);
	assert_true(frame_parse(&frame, data, len + 20));
	assert_int_equal(frame.end, len);
	len = host_make(data, &examples[1]);
	assert_true(frame_parse(&frame, data, len));
	assert_int_equal(frame.version, 6);
	assert_int_equal(frame.ip, 18);
	assert_int_equal(frame.target_port, 53);
	len = host_make(data, &examples[3]);
	assert_true(frame_parse(&frame, data, len));
	assert_true(frame.is_fragment && frame.has_transport);
	assert_int_equal(frame.fragment_id, 9);
}

/* Each length of each example, in memory of just that length: nothing behind is read, and nothing
 * shorter is well formed but for what has no IP in it. */
static void test_truncations(void **state)
{
	uint8_t data[256];
	for (unsigned i = 0; i < sizeof(examples) / sizeof(examples[0]); i++) {
		uint32_t len = host_make(data, &examples[i]);
		for (uint32_t n = 0; n <= len; n++) {
			uint8_t *copy = malloc(n + 1);
			struct frame frame;
			memcpy(copy + 1, data, n);
			assert_int_equal(frame_parse(&frame, copy + 1, n), n == len);
			free(copy);
		}
	}
}

static void test_random(void **state)
{
	uint8_t data[256];
	for (unsigned i = 0; i < 20000; i++) {
		uint32_t len = host_make(data, &examples[i % 4]);
		for (unsigned k = 0; k < 1 + i % 5; k++)
			data[12 + host_random() % (len - 12)] = (uint8_t)host_random();
		uint8_t *copy = malloc(len);
		memcpy(copy, data, len);
		struct frame frame, quoted;
		if (frame_parse(&frame, copy, len)) {
			assert_true(frame.ip <= frame.transport || frame.version == 0);
			assert_true(frame.transport <= frame.payload);
			assert_true(frame.version == 0 || frame.payload <= frame.end);
			assert_true(frame.end <= len);
			if (frame_parse_quoted(&quoted, &frame))
				assert_true(quoted.payload <= quoted.end && quoted.end <= len);
			if (frame.version != 0 && !frame.is_fragment)
				frame_fill_checksums(&frame);
			if (frame.version != 0)
				frame_set_address(&frame, i % 2 != 0, quoted.source);
		}
		free(copy);
	}
}

static void test_checksums_follow_changes(void **state)
{
	uint8_t data[256], address[16];
	struct frame frame;
	for (unsigned i = 0; i < 2000; i++) {
		uint32_t len = host_make(data, &examples[i % 3]);
		assert_true(host_checksums_are_right(data, len));
		data[len - 1] ^= 1;
		assert_int_equal(host_checksums_are_right(data, len), false);
		data[len - 1] ^= 1;
		assert_true(frame_parse(&frame, data, len));
		for (unsigned k = 0; k < 16; k++)
			address[k] = (uint8_t)host_random();
		frame_set_address(&frame, i % 2 == 0, address);
		assert_true(host_checksums_are_right(data, len));
		assert_true(frame_checksum_is_right(&frame));
		data[frame.payload] ^= 1;
		assert_int_equal(frame_checksum_is_right(&frame), frame.payload == frame.end);
		data[frame.payload] ^= 1;
	}
}

static void test_mapped_addresses(void **state)
{
	uint8_t data[256];
	struct frame frame;
	const struct host_packet packet = {
		.proto = FRAME_UDP, .source = "2001:db8::1", .target = "2001:db8::2"};
	uint32_t len = host_make(data, &packet);
	assert_true(frame_parse(&frame, data, len));
	/* ::ffff:a.b.c.d would be known as an address of IPv4. */
	for (unsigned at = 14 + 8; at <= 14 + 24; at += 16) {
		host_make(data, &packet);
		memset(data + at, 0, 10);
		memset(data + at + 10, 0xff, 2);
		assert_false(frame_parse(&frame, data, len));
	}
}

static void test_extension_headers(void **state)
{
	uint8_t data[512], options[8 * 10];
	/* Hop-by-hop, then destination options, then UDP. */
	memset(options, 0, sizeof(options));
	options[0] = 60;
	options[8] = 17;
	memcpy(options + 16, "\x00\x35\x00\x35\x00\x08\x00\x00", 8);
	struct host_packet packet = {.proto = 0,
				     .source = "::1",
				     .target = "::2",
				     .payload = options,
				     .payload_len = 24};
	struct frame frame;
	uint32_t len = host_make(data, &packet);
	assert_true(frame_parse(&frame, data, len));
	assert_int_equal(frame.proto, FRAME_UDP);
	assert_int_equal(frame.source_port, 53);
	/* One that is longer than the packet. */
	data[54 + 9] = 2;
	assert_false(frame_parse(&frame, data, len));
	/* More than eight. */
	for (unsigned i = 0; i < 9; i++)
		options[8 * i] = 60;
	options[72] = 59;
	packet.payload_len = sizeof(options);
	memcpy(data + 54, options, sizeof(options));
	frame_put_u16(data + 18, sizeof(options));
	assert_false(frame_parse(&frame, data, 54 + sizeof(options)));
	/* A first fragment, within which is one that is whole: what is it now? */
	memset(options, 0, sizeof(options));
	memcpy(options, "\x2c\0\0\1\0\0\0\5\x11", 9);
	memcpy(options + 16, "\x00\x35\x00\x35\x00\x08\x00\x00", 8);
	memcpy(data + 54, options, 24);
	data[14 + 6] = 44;
	frame_put_u16(data + 18, 24);
	assert_false(frame_parse(&frame, data, 54 + 24));
	data[54] = 60;
	assert_true(frame_parse(&frame, data, 54 + 24));
	assert_true(frame.is_fragment && frame.proto == FRAME_UDP && frame.source_port == 53);
}

static void test_addresses(void **state)
{
	static const char *const good[] = {
		"1.2.3.4",	   "255.255.255.255", "::", "::1", "1::", "2001:db8::1:2",
		"1:2:3:4:5:6:7:8", "1::3:4:5:6:7:8"};
	static const char *const bad[] = {"",
					  "1.2.3",
					  "1.2.3.4.5",
					  "256.1.1.1",
					  "1.2.3.",
					  ":",
					  "1:",
					  ":::",
					  "1::2::3",
					  "1:2:3:4:5:6:7",
					  "1:2:3:4:5:6:7:8:9",
					  "12345::",
					  "1:2:3:4:5:6:7:8::",
					  "g::",
					  "1.2.3.4 "};
	uint8_t address[16], bits;
	for (unsigned i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(frame_parse_address(good[i], (uint32_t)strlen(good[i]), address));
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(frame_parse_address(bad[i], (uint32_t)strlen(bad[i]), address));
	assert_true(frame_parse_prefix("10.0.0.0/9", 10, address, &bits));
	assert_int_equal(bits, 96 + 9);
	uint8_t inside[16], outside[16];
	assert_true(frame_parse_address("10.127.0.1", 10, inside));
	assert_true(frame_parse_address("10.128.0.1", 10, outside));
	assert_true(frame_prefix_has(address, bits, inside));
	assert_false(frame_prefix_has(address, bits, outside));
	/* Each version has its own. */
	assert_true(frame_parse_prefix("::/0", 4, address, &bits));
	assert_false(frame_prefix_has(address, bits, inside));
	assert_true(frame_parse_address("2001:db8::1", 11, outside));
	assert_true(frame_prefix_has(address, bits, outside));
	assert_true(frame_parse_prefix("0.0.0.0/0", 9, address, &bits));
	assert_true(frame_prefix_has(address, bits, inside));
	assert_false(frame_prefix_has(address, bits, outside));
	assert_false(frame_parse_prefix("10.0.0.0/33", 11, address, &bits));
	assert_false(frame_parse_prefix("10.0.0.0/", 9, address, &bits));
	assert_true(frame_parse_mac("02:00:0a:FF:00:01", 17, address));
	assert_false(frame_parse_mac("02:00:0a:FF:00-01", 17, address));
}

struct entry {
	struct flow flow;
	uint32_t mine;
};

static void test_flows(void **state)
{
	static struct entry entries[64];
	struct flows flows = FLOWS_OF(entries);
	struct flow_key key = {.proto = 6};
	unsigned found = 0;
	bool was_evicted;
	for (uint16_t i = 0; i < 1000; i++) {
		key.client_port = i;
		assert_null(flows_find(&flows, &key, 1000));
		struct entry *entry = flows_add(&flows, &key, 1000, &was_evicted);
		assert_non_null(entry);
		entry->mine = i;
		entry->flow.ends_ns = 2000 + i;
		assert_ptr_equal(flows_find(&flows, &key, 1000), entry);
	}
	/* Those that are there are whole, and each place is taken. */
	for (uint16_t i = 0; i < 1000; i++) {
		key.client_port = i;
		struct entry *entry = flows_find(&flows, &key, 1000);
		found += entry != NULL;
		assert_true(entry == NULL || entry->mine == i);
		assert_null(flows_find(&flows, &key, 2000 + i));
	}
	assert_int_equal(found, 64);
	/* What is kept makes no room, until it is over. */
	for (unsigned i = 0; i < 64; i++)
		entries[i].flow.is_kept = true;
	key.client_port = 5000;
	assert_null(flows_add(&flows, &key, 1000, NULL));
	assert_non_null(flows_add(&flows, &key, 5000, &was_evicted));
	assert_false(was_evicted);
}

/* Keys that somebody chose so that they shared their places whatever the seed was, when that was
 * only where the hash began: a bit that is the topmost one, and what it becomes in the next word.
 */
static void test_flows_chosen_by_strangers(void **state)
{
	static struct entry entries[512];
	struct flows flows = FLOWS_OF(entries);
	unsigned full = 0;
	for (unsigned round = 0; round < 20; round++) {
		memset(entries, 0, sizeof(entries));
		flows_seed(&flows);
		for (uint32_t i = 0; i < 16; i++) {
			struct flow_key key = {.proto = 6};
			uint32_t words[FLOWS_WORDS];
			memcpy(words, &key, sizeof(words));
			for (unsigned bit = 0; bit < 4; bit++) {
				words[2 * bit] ^= (i >> bit & 1) * 0x80000000u;
				words[2 * bit + 1] ^= (i >> bit & 1) * 0x80010000u;
			}
			memcpy(&key, words, sizeof(words));
			struct entry *entry = flows_add(&flows, &key, 1000, NULL);
			full += entry == NULL;
			if (entry == NULL)
				continue;
			entry->flow.ends_ns = 2000;
			entry->flow.is_kept = true;
		}
	}
	assert_int_equal(full, 0);
}

static void test_pieces(void **state)
{
	struct piece rest = {" a b ;; c", 9}, piece;
	uint64_t value;
	assert_true(piece_split(&rest, ";", &piece) && piece_is(piece, "a b"));
	assert_true(piece_split(&rest, ";", &piece) && piece_is(piece, ""));
	assert_true(piece_split(&rest, ";", &piece) && piece_is(piece, "c"));
	assert_false(piece_split(&rest, ";", &piece));
	assert_true(piece_rate((struct piece){"10Mbit", 6}, &value));
	assert_int_equal(value, 1250000);
	assert_true(piece_duration_ns((struct piece){"20ms", 4}, &value));
	assert_int_equal(value, 20000000);
	assert_true(piece_size((struct piece){"64KiB", 5}, &value));
	assert_int_equal(value, 65536);
	assert_false(piece_u64((struct piece){"18446744073709551616", 20}, 0, UINT64_MAX, &value));
	assert_true(piece_u64((struct piece){"18446744073709551615", 20}, 0, UINT64_MAX, &value));
	assert_false(piece_size((struct piece){"18446744073709551615KiB", 23}, &value));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_truncations),
		cmocka_unit_test(test_random),
		cmocka_unit_test(test_checksums_follow_changes),
		cmocka_unit_test(test_mapped_addresses),
		cmocka_unit_test(test_extension_headers),
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_flows),
		cmocka_unit_test(test_flows_chosen_by_strangers),
		cmocka_unit_test(test_pieces),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
