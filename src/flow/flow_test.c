#include "flow/flow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "flow/flow_test_fixture.h"

/* FRAME is a sample that was changed. */
static bool is_bad(const uint8_t *frame, uint32_t len)
{
	struct flow_packet packet;

	(void)flow_parse_exact(frame, len, &packet);
	flow_check_packet(&packet, len);
	return packet.is_bad;
}

static void put_u16(uint8_t *field, unsigned value)
{
	field[0] = (uint8_t)(value >> 8);
	field[1] = (uint8_t)value;
}

/* Compared field by field, as padding between them is nobody's. */
static void assert_same(const char *name, const struct flow_packet *a, const struct flow_packet *b)
{
	bool is_same = a->kind == b->kind && a->proto == b->proto && a->tcp_flags == b->tcp_flags &&
		       a->is_bad == b->is_bad && a->is_fragment == b->is_fragment &&
		       a->has_ports == b->has_ports && a->is_icmp_error == b->is_icmp_error &&
		       a->vlan == b->vlan && a->inner_vlan == b->inner_vlan &&
		       a->l3_offset == b->l3_offset && a->l4_offset == b->l4_offset &&
		       a->payload_offset == b->payload_offset && a->l3_len == b->l3_len &&
		       a->payload_len == b->payload_len && a->source_port == b->source_port &&
		       a->target_port == b->target_port && memcmp(a->source, b->source, 16) == 0 &&
		       memcmp(a->target, b->target, 16) == 0;

	if (!is_same)
		fail_msg("%s: kind %u proto %u bad %d l3 %u+%u l4 %u payload %u+%u ports %u %u",
			 name, a->kind, a->proto, a->is_bad, a->l3_offset, a->l3_len, a->l4_offset,
			 a->payload_offset, a->payload_len, a->source_port, a->target_port);
}

static void every_kind_is_read(void **state)
{
	uint8_t frame[FLOW_SAMPLE_MAX];

	for (size_t i = 0; i < flow_samples_count; i++) {
		const struct flow_sample *sample = &flow_samples[i];
		struct flow_packet packet, expected = sample->expected;
		uint32_t len = flow_sample_frame(sample, frame);

		if (sample->source != NULL) {
			flow_test_address(sample->source, expected.source);
			flow_test_address(sample->target, expected.target);
		}
		assert_int_equal(flow_parse_exact(frame, len, &packet), expected.kind);
		flow_check_packet(&packet, len);
		assert_same(sample->name, &packet, &expected);
	}
}

static void what_is_cut_off_is_bad(void **state)
{
	uint8_t frame[FLOW_SAMPLE_MAX];

	for (size_t i = 0; i < flow_samples_count; i++) {
		const struct flow_packet *e = &flow_samples[i].expected;
		uint32_t end = (uint32_t)e->l3_offset + e->l3_len;
		uint32_t full = flow_sample_frame(&flow_samples[i], frame);

		for (uint32_t len = 0; len <= full; len++)
			if (is_bad(frame, len) != (len < end))
				fail_msg("%s of %u bytes", flow_samples[i].name, len);
	}
}

/* Each byte of each sample with each value, and each two bytes next to each other at the ends of
 * their range: what is said about them stays within them. */
static void any_bytes_are_fine(void **state)
{
	uint8_t frame[FLOW_SAMPLE_MAX];
	struct flow_packet packet;

	for (size_t i = 0; i < flow_samples_count; i++) {
		uint32_t len = flow_sample_frame(&flow_samples[i], frame);

		for (uint32_t at = 12; at < len; at++) {
			uint8_t was[2] = {frame[at], at + 1 < len ? frame[at + 1] : 0};

			for (unsigned value = 0; value < 256; value++) {
				frame[at] = (uint8_t)value;
				(void)flow_parse_exact(frame, len, &packet);
				flow_check_packet(&packet, len);
			}
			for (unsigned value = 0; value < 256 && at + 1 < len; value += 255) {
				frame[at] = frame[at + 1] = (uint8_t)value;
				(void)flow_parse_exact(frame, len, &packet);
				flow_check_packet(&packet, len);
				frame[at + 1] = was[1];
			}
			frame[at] = was[0];
		}
	}
}

struct change {
	const char *sample;
	uint32_t at;
	uint8_t value;
};

static void contradictions_are_bad(void **state)
{
	static const struct change changes[] = {
		{"arp", 14, 1},		   /* of another network */
		{"arp", 18, 8},		   /* longer addresses */
		{"udp4", 14, 0x65},	   /* version 6 in a frame that says 4 */
		{"udp4", 14, 0x44},	   /* a header of 16 bytes */
		{"udp4", 14, 0x4f},	   /* of 60 */
		{"udp4", 17, 39},	   /* more bytes than there are */
		{"udp4", 17, 19},	   /* fewer than the header */
		{"udp4", 39, 19},	   /* UDP longer than IP */
		{"udp4", 39, 7},	   /* shorter than itself */
		{"udp_lite4", 39, 7},	   /* what is covered is shorter than the header */
		{"udp_lite4", 39, 19},	   /* longer than the packet */
		{"tcp4", 46, 0x40},	   /* a header of 16 bytes */
		{"tcp4", 46, 0xf0},	   /* longer than the packet */
		{"tcp4_options", 36, 1},   /* an option shorter than itself */
		{"tcp4_options", 36, 9},   /* longer than the options */
		{"tcp4_options", 35, 131}, /* a source route that is not at its end */
		{"tcp4_options", 35, 137},
		{"later4", 20, 0x1f}, /* beyond a datagram's end, with the next byte 8 more */
		{"udp6", 14, 0x40},   /* version 4 */
		{"udp6", 19, 19},     /* more bytes than there are */
		{"udp6", 18, 0xff},
		{"udp6", 19, 7},	      /* fewer than UDP's header */
		{"udp6", 20, 0},	      /* an extension that reaches beyond the end */
		{"udp6_extensions", 54, 0},   /* hop by hop behind another one */
		{"udp6_extensions", 55, 200}, /* beyond the end */
		{"udp6_extensions", 57, 5},   /* an option beyond its header */
		{"udp6_extensions", 73, 1},   /* a source route that is not at its end */
		{"first6", 54, 44},	      /* a fragment of a fragment */
		{"first6", 19, 71},	      /* not the last, and not a multiple of 8 */
		{"ah6", 55, 0xff},
		{"unreachable4", 42, 0x65}, /* quotes another version */
		{"unreachable4", 45, 19},   /* that is shorter than its header */
		{"unreachable4", 54, 193},  /* for somebody else than who hears of it */
		{"too_big6", 70, 0x21},
	};
	uint8_t frame[FLOW_SAMPLE_MAX];

	for (size_t i = 0; i < EOS_ARRAY_SIZE(changes); i++) {
		const struct change *c = &changes[i];
		uint32_t len = flow_sample_named(c->sample, frame);

		assert_false(is_bad(frame, len));
		frame[c->at] = c->value;
		/* The length of what was cut goes with it. */
		if (strcmp(c->sample, "first6") == 0 && c->at == 19)
			len--;
		if (strcmp(c->sample, "later4") == 0)
			frame[21] = 0xff;
		if (!is_bad(frame, len))
			fail_msg("%s with %u at %u", c->sample, c->value, c->at);
	}
}

static void errors_about_errors_are_bad(void **state)
{
	uint8_t frame[FLOW_SAMPLE_MAX];
	uint32_t len = flow_sample_named("exceeded4_echo", frame);

	for (unsigned type = 0; type < 256; type++) {
		bool is_error = (type >= 3 && type <= 5) || type == 11 || type == 12;

		frame[62] = (uint8_t)type;
		assert_int_equal(is_bad(frame, len), is_error);
	}
	/* Nor do errors quote less than the ports. */
	len = flow_sample_named("unreachable4", frame);
	for (uint32_t quoted = 0; quoted < 38; quoted++) {
		put_u16(frame + 16, 28 + quoted);
		assert_int_equal(is_bad(frame, 42 + quoted), quoted < 24);
	}
}

/* IPv4's addresses within IPv6's would be those of another's flow. */
static void mapped_addresses_are_bad(void **state)
{
	uint8_t frame[FLOW_SAMPLE_MAX];

	for (unsigned at = 22; at <= 38; at += 16) {
		uint32_t len = flow_sample_named("udp6", frame);

		memset(frame + at, 0, 10);
		assert_false(is_bad(frame, len));
		memset(frame + at + 10, 0xff, 2);
		assert_true(is_bad(frame, len));
	}
}

static void extension_headers_are_counted(void **state)
{
	for (unsigned count = 1; count <= FLOW_EXTENSIONS_MAX + 2; count++) {
		uint8_t frame[FLOW_SAMPLE_MAX];
		uint32_t len = flow_sample_named("udp6", frame), more = count * 8;

		memmove(frame + 54 + more, frame + 54, len - 54);
		memset(frame + 54, 0, more); /* options: PadN of 4 bytes */
		for (unsigned i = 0; i < count; i++) {
			frame[54 + i * 8] = i + 1 < count ? 60 : 17;
			frame[54 + i * 8 + 2] = 1;
			frame[54 + i * 8 + 3] = 4;
		}
		frame[20] = 60;
		put_u16(frame + 18, 18 + more);
		assert_int_equal(is_bad(frame, len + more), count > FLOW_EXTENSIONS_MAX);
	}
}

static void fragments_are_possible(void **state)
{
	uint8_t frame[FLOW_SAMPLE_MAX];
	uint32_t len = flow_sample_named("later4", frame);

	/* The last one of 44 bytes; the payload's end is at most 65,535. */
	put_u16(frame + 20, 8186);
	assert_false(is_bad(frame, len));
	put_u16(frame + 20, 8187);
	assert_true(is_bad(frame, len));
	/* One with more behind it has a multiple of 8. */
	put_u16(frame + 20, 0x2000 | 8);
	assert_true(is_bad(frame, len));
	put_u16(frame + 16, 60);
	assert_false(is_bad(frame, len));
	/* And something. */
	put_u16(frame + 16, 20);
	assert_true(is_bad(frame, len));
	/* The first one has its transport's header. */
	len = flow_sample_named("first4", frame);
	frame[23] = 6;
	frame[46] = 0x50;
	assert_false(is_bad(frame, len));
	put_u16(frame + 16, 20 + 16);
	assert_true(is_bad(frame, len));
}

/* All that 16 bits can say, behind two tags; and one byte more. */
static void longest_packets_fit(void **state)
{
	enum { LEN = 22 + 65535 };
	uint8_t *frame = calloc(1, LEN), sample[FLOW_SAMPLE_MAX];
	struct flow_packet packet;

	assert_non_null(frame);
	uint32_t len = flow_sample_named("udp4_tags", sample);

	memcpy(frame, sample, len);
	put_u16(frame + 24, 65535);
	put_u16(frame + 46, 65515);
	assert_int_equal(flow_parse(frame, LEN, &packet), FLOW_IPV4);
	flow_check_packet(&packet, LEN);
	assert_int_equal(packet.payload_len, 65507);
	flow_checksums_set(frame, &packet);
	assert_true(flow_checksums_are_good(frame, &packet));
	assert_true(is_bad(frame, LEN - 1));
	memset(frame + 22, 0, 65535);
	flow_sample_named("udp6", sample);
	memcpy(frame + 22, sample + 14, 48);
	put_u16(frame + 20, 0x86dd);
	put_u16(frame + 26, 65495);
	put_u16(frame + 66, 65495);
	assert_int_equal(flow_parse(frame, LEN, &packet), FLOW_IPV6);
	flow_check_packet(&packet, LEN);
	assert_int_equal(packet.l3_len, 65535);
	flow_checksums_set(frame, &packet);
	assert_true(flow_checksums_are_good(frame, &packet));
	put_u16(frame + 26, 65496);
	assert_true(is_bad(frame, LEN));
	free(frame);
}

static void third_tag_is_not_looked_behind(void **state)
{
	uint8_t frame[FLOW_SAMPLE_MAX];
	uint32_t len = flow_sample_named("udp4_tags", frame);
	struct flow_packet packet;

	memmove(frame + 24, frame + 20, len - 20);
	put_u16(frame + 20, 0x8100);
	assert_int_equal(flow_parse_exact(frame, len + 4, &packet), FLOW_OTHER);
	assert_false(packet.is_bad);
	assert_int_equal(packet.l3_offset, 22);
	/* A tag without a number has only a priority. */
	len = flow_sample_named("udp4_tag", frame);
	put_u16(frame + 14, 0xe000);
	assert_int_equal(flow_parse_exact(frame, len, &packet), FLOW_IPV4);
	assert_int_equal(packet.vlan, 0);
}

static bool key_named(const char *name, uint16_t domain, struct flow_key *key)
{
	uint8_t frame[FLOW_SAMPLE_MAX];
	struct flow_packet packet;
	uint32_t len = flow_sample_named(name, frame);

	assert_true(flow_parse_exact(frame, len, &packet) >= FLOW_IPV4);
	return flow_key_of(&packet, domain, key);
}

/* The key of the packet that goes the other way. */
static bool key_back(const struct flow_packet *packet, struct flow_key *key)
{
	struct flow_packet back = *packet;

	memcpy(back.source, packet->target, 16);
	memcpy(back.target, packet->source, 16);
	back.source_port = packet->target_port;
	back.target_port = packet->source_port;
	return flow_key_of(&back, 3, key);
}

static void keys_are_of_both_directions(void **state)
{
	uint8_t frame[FLOW_SAMPLE_MAX];
	struct flow_key key, back;
	struct flow_packet packet;

	for (size_t i = 0; i < flow_samples_count; i++) {
		uint32_t len = flow_sample_frame(&flow_samples[i], frame);

		if (flow_parse_exact(frame, len, &packet) < FLOW_IPV4)
			continue;
		bool is_to_high = flow_key_of(&packet, 3, &key);

		assert_true(is_to_high != key_back(&packet, &back));
		assert_memory_equal(&key, &back, sizeof(key));
		assert_true(memcmp(key.low, key.high, 16) < 0);
	}
	/* One address, two ports. */
	(void)flow_parse_exact(frame, flow_sample_named("udp4", frame), &packet);
	memcpy(packet.target, packet.source, 16);
	packet.source_port = 300;
	packet.target_port = 200;
	assert_false(flow_key_of(&packet, 3, &key));
	assert_true(key_back(&packet, &back));
	assert_memory_equal(&key, &back, sizeof(key));
	assert_int_equal(key.low_port, 200);
	assert_int_equal(key.high_port, 300);
	/* One of itself goes to high in both. */
	packet.target_port = 300;
	assert_true(flow_key_of(&packet, 3, &key) && key_back(&packet, &back));
}

static void keys_differ(void **state)
{
	static const char *const names[] = {"udp4",  "udp4_tag", "udp4_tags", "tcp4",  "udp6",
					    "sctp4", "echo4",	 "udp_lite4", "later4"};
	struct flow_key keys[EOS_ARRAY_SIZE(names) + 1];

	for (size_t i = 0; i < EOS_ARRAY_SIZE(names); i++)
		(void)key_named(names[i], 0, &keys[i]);
	(void)key_named("udp4", 1, &keys[EOS_ARRAY_SIZE(names)]);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(keys); i++) {
		for (size_t k = 0; k < i; k++) {
			assert_memory_not_equal(&keys[i], &keys[k], sizeof(keys[i]));
			assert_true(flow_key_hash(&keys[i], 7) != flow_key_hash(&keys[k], 7));
		}
		assert_true(flow_key_hash(&keys[i], 7) == flow_key_hash(&keys[i], 7));
		assert_true(flow_key_hash(&keys[i], 7) != flow_key_hash(&keys[i], 8));
	}
	/* What is about a flow, and its answer, have its key. */
	(void)key_named("echo4", 0, &keys[0]);
	(void)key_named("reply4", 0, &keys[1]);
	assert_memory_equal(&keys[0], &keys[1], sizeof(keys[0]));
}

static void errors_have_the_key_of_their_flow(void **state)
{
	struct flow_packet packet = {.kind = FLOW_IPV4, .proto = 17, .has_ports = true};
	struct flow_key key, error;

	flow_test_address("192.0.2.9", packet.source);
	flow_test_address("198.51.100.7", packet.target);
	packet.source_port = 53;
	packet.target_port = 40000;
	bool is_to_high = flow_key_of(&packet, 0, &key);

	assert_true(key_named("unreachable4", 0, &error) != is_to_high);
	assert_memory_equal(&key, &error, sizeof(key));
}

static void hosts_have_keys(void **state)
{
	uint8_t frame[FLOW_SAMPLE_MAX];
	struct flow_key tcp, udp, target;
	struct flow_packet packet;

	(void)flow_parse_exact(frame, flow_sample_named("tcp4", frame), &packet);
	flow_key_of_host(&packet, false, 2, &tcp);
	flow_key_of_host(&packet, true, 2, &target);
	(void)flow_parse_exact(frame, flow_sample_named("udp4", frame), &packet);
	flow_key_of_host(&packet, false, 2, &udp);
	assert_memory_equal(&tcp, &udp, sizeof(tcp));
	assert_memory_not_equal(&tcp, &target, sizeof(tcp));
	flow_key_of_host(&packet, false, 3, &udp);
	assert_memory_not_equal(&tcp, &udp, sizeof(tcp));
}

/* Keys that differ in one bit, or count up, spread over the low bits and the high ones as random
 * numbers do: of 65,536 in as many places, the fullest has a dozen at the most. */
static void hashes_spread(void **state)
{
	enum { PLACES = 1 << 16 };
	static uint8_t low[PLACES], high[PLACES];
	struct flow_key key = {.proto = 6};
	unsigned most = 0, changed = 0;

	for (unsigned i = 0; i < PLACES; i++) {
		memcpy(key.low + 12, &i, sizeof(i));
		uint64_t hash = flow_key_hash(&key, 99);

		most = EOS_MAX(most, ++low[hash % PLACES]);
		most = EOS_MAX(most, ++high[hash >> 48]);
	}
	assert_in_range(most, 5, 14);
	for (unsigned bit = 0; bit < 8 * sizeof(key); bit++) {
		struct flow_key other = key;

		((uint8_t *)&other)[bit / 8] ^= (uint8_t)(1u << bit % 8);
		changed += (unsigned)__builtin_popcountll(flow_key_hash(&key, 99) ^
							  flow_key_hash(&other, 99));
	}
	/* Half of 64 bits on average, of 384 keys: within 5 standard deviations. */
	assert_in_range(changed, 384 * 32 - 400, 384 * 32 + 400);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_kind_is_read),
		cmocka_unit_test(what_is_cut_off_is_bad),
		cmocka_unit_test(any_bytes_are_fine),
		cmocka_unit_test(contradictions_are_bad),
		cmocka_unit_test(errors_about_errors_are_bad),
		cmocka_unit_test(mapped_addresses_are_bad),
		cmocka_unit_test(extension_headers_are_counted),
		cmocka_unit_test(fragments_are_possible),
		cmocka_unit_test(longest_packets_fit),
		cmocka_unit_test(third_tag_is_not_looked_behind),
		cmocka_unit_test(keys_are_of_both_directions),
		cmocka_unit_test(keys_differ),
		cmocka_unit_test(errors_have_the_key_of_their_flow),
		cmocka_unit_test(hosts_have_keys),
		cmocka_unit_test(hashes_spread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
