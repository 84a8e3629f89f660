/*
 * Stages share a page for their packets, and find nothing of each other in it: each one of these
 * looks at all of it first (tests/lib/chain_page_guest.c).
 *
 * Tests make their engines themselves, behind cmocka, whose handlers of faults would be the last
 * ones otherwise: guests' faults are the engine's.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "chain/fixtures/chain_page_fixture.h"

#define CLIENTS	 5u
#define CHAINS	 4u
#define SECOND	 60u /* byte from which on 's' changes what it has sent */
#define LONG_MAX (CHAIN_ABI_HEADROOM + 9600u + 64u)

static const struct page_stage dirt_spy[] = {PAGE_DIRT('a'), PAGE_SPY('b')};
static const struct page_stage spy_dirt_spy[] = {PAGE_SPY('a'), PAGE_DIRT('b'), PAGE_SPY('c')};
static const struct page_stage one_spy[] = {PAGE_SPY('a')};
/* Also one whose packets are in memory of its own, and one with a packet beyond the page. */
static const struct page_stage mixed[] = {
	PAGE_DIRT('a'),
	{.id = 'b', .is_dirty = true, .slot = 8, .buffer = 200, .capacity = 2400},
	{.id = 'c', .has_page = true, .is_dirty = true, .buffer = 3904, .capacity = LONG_MAX},
	PAGE_DIRT('d'),
};
static const struct page_chain chains[CHAINS] = {
	{.name = "dirt-spy", .stages = dirt_spy, .count = 2},
	{.name = "spy-dirt-spy", .stages = spy_dirt_spy, .count = 3},
	{.name = "spy", .stages = one_spy, .count = 1},
	{.name = "mixed", .stages = mixed, .count = 4, .isolation = CHAIN_PER_TENANT},
};

static void apply_all(struct fixture *f, struct chain_template *templates[CHAINS])
{
	for (unsigned i = 0; i < CHAINS; i++)
		templates[i] = page_apply(f, &chains[i]);
}

static void assert_all_clean(struct chain_template *const templates[CHAINS])
{
	for (unsigned i = 0; i < CHAINS; i++)
		page_assert_clean(templates[i], chains[i].count);
}

static void ends_of_turns_leave_nothing(void **state)
{
	struct fixture *f = *state = fixture_with(256, 64);
	struct chain_template *templates[CHAINS];
	uint8_t data[1 + CHAINS][PAGE_BYTES];
	struct chain_packet packets[1 + CHAINS];
	unsigned died = 0;
	apply_all(f, templates);
	for (const char *command = "fadtesTl"; *command != '\0'; command++) {
		for (unsigned stage = 0; stage < 4; stage++) {
			packets[0] = page_packet(templates[3], data[0], 1, (char)('a' + stage),
						 *command);
			for (unsigned i = 0; i < CHAINS; i++)
				packets[1 + i] =
					page_packet(templates[i], data[1 + i], 2 + stage, '-', 0);
			page_deliver(f, packets, 1 + CHAINS);
			assert_true(f->sent_count >= CHAINS);
			for (unsigned i = 0; i < CHAINS; i++) {
				const struct sent *sent = &f->sent[f->sent_count - CHAINS + i];
				assert_int_equal(sent->port, CHAIN_OUT);
				assert_int_equal(sent->len, PAGE_BYTES);
				assert_memory_equal(sent->data, data[1 + i], PAGE_BYTES);
			}
			died += *command == 't' || *command == 'e';
			assert_int_equal(f->died_count, died);
			(void)chains_work(f->chains, eos_now_ns() + EOS_NS_PER_S);
		}
	}
	/* 'T': once in each. */
	for (unsigned i = 0; i < 4; i++)
		assert_int_equal(page_counter(templates[3], i, "timers"), 1);
	assert_int_equal(page_counter(templates[2], 0, "packets"), 4 * strlen("fadtesTl"));
	assert_all_clean(templates);
}

/* --- random bursts --- */

struct expected {
	uint32_t port;
	unsigned client;
	char command;
	bool is_second; /* of what was sent and changed: changed */
};

static struct expected expected[4 * CHAIN_BURST_MAX];
static unsigned expected_count;

static void expect(uint32_t port, unsigned client, char command, bool is_second)
{
	expected[expected_count++] = (struct expected){port, client, command, is_second};
}

/* What leaves of COMMAND to STAGE of a chain of COUNT. */
static void expect_of(unsigned client, char command, unsigned stage, unsigned count)
{
	if (command == 'a')
		expect(CHAIN_CLIENT, client, command, false);
	else if (command == 's' && stage + 1 < count) {
		/* The packet first, then what waited. */
		expect(CHAIN_OUT, client, 'S', true);
		expect(CHAIN_OUT, client, 's', false);
		expect(CHAIN_OUT, client, 's', true);
	} else if (command == 's') {
		expect(CHAIN_OUT, client, 's', false);
		expect(CHAIN_OUT, client, 's', true);
		expect(CHAIN_OUT, client, 'S', true);
	} else if (strchr("dte", command) == NULL) {
		expect(CHAIN_OUT, client, command, false);
	}
}

static void check_left(const struct fixture *f)
{
	uint8_t rest[PAGE_BYTES];
	assert_int_equal(f->sent_count, expected_count);
	for (unsigned i = 0; i < expected_count; i++) {
		const struct sent *sent = &f->sent[i];
		assert_int_equal(sent->port, expected[i].port);
		assert_int_equal(sent->peer, expected[i].client);
		assert_int_equal(sent->len, PAGE_BYTES);
		assert_int_equal(sent->data[COMMAND], expected[i].command);
		if (expected[i].command == 'l')
			assert_int_equal(sent->data[PAGE_STATUS], 1);
		memset(rest, (int)(0x40 + expected[i].client), sizeof(rest));
		if (expected[i].is_second)
			memset(rest + SECOND, 0xee, sizeof(rest) - SECOND);
		assert_memory_equal(sent->data, rest, COMMAND);
		assert_memory_equal(sent->data + SECOND, rest + SECOND, PAGE_BYTES - SECOND);
	}
}

/* Clients and tenants in one burst, timers between bursts, and stages that die. */
static void bursts_of_all_leave_nothing(void **state)
{
	struct fixture *f = *state = fixture_with(256, 64);
	struct chain_template *templates[CHAINS];
	static uint8_t data[CHAIN_BURST_MAX][PAGE_BYTES];
	struct chain_packet packets[CHAIN_BURST_MAX];
	uint64_t seen = 0, counted = 0;
	uint32_t random = 1;
	apply_all(f, templates);
	for (unsigned round = 0; round < 60; round++) {
		expected_count = 0;
		for (unsigned i = 0; i < CHAIN_BURST_MAX; i++) {
			random = random * 1103515245u + 12345u;
			unsigned which = (random >> 8) % CHAINS, count = chains[which].count;
			unsigned client = 1 + (random >> 12) % CLIENTS,
				 stage = (random >> 16) % count;
			char command = "ffffaadtesTl"[(random >> 20) % 12];
			packets[i] = page_packet(templates[which], data[i], client,
						 (char)('a' + stage), command);
			expect_of(client, command, stage, count);
			seen++;
		}
		page_deliver(f, packets, CHAIN_BURST_MAX);
		check_left(f);
		f->sent_count = 0;
		(void)chains_work(f->chains, eos_now_ns() + EOS_NS_PER_S);
		for (unsigned i = 0; i < f->sent_count; i++) {
			assert_int_equal(f->sent[i].len, 100);
			for (unsigned k = 1; k < 100; k++)
				assert_int_equal(f->sent[i].data[k], f->sent[i].data[0]);
		}
	}
	assert_all_clean(templates);
	/* Counted as ever: each packet by each first stage that it came to. */
	for (unsigned i = 0; i < CHAINS; i++) {
		struct chain_stage_stats stats;
		for (unsigned k = 0; k < chains[i].count; k++) {
			assert_int_equal(chain_template_stage_stats(templates[i], k, &stats), 0);
			assert_int_equal(stats.refused, 0);
			assert_int_equal(page_counter(templates[i], k, "packets"), stats.received);
		}
		struct chain_stats all;
		chain_template_stats(templates[i], &all);
		counted += all.packets;
	}
	assert_int_equal(counted, seen);
	assert_true(f->died_count > 60);
}

/* --- turns that are interrupted --- */

static void who_is_killed_in_his_turn_leaves_nothing(void **state)
{
	struct fixture *f = *state = fixture_with(256, 64);
	uint8_t data[4][PAGE_BYTES];
	struct chain_packet packets[4];
	struct page_chain first = chains[1], second = chains[2];
	first.timeout_ns = second.timeout_ns = 100 * EOS_NS_PER_MS;
	struct chain_template *dirty = page_apply(f, &first), *spy = page_apply(f, &second);
	packets[0] = page_packet(dirty, data[0], 1, '-', 0);
	packets[1] = page_packet(dirty, data[1], 1, 'b', 'L');
	packets[2] = page_packet(spy, data[2], 2, '-', 0);
	packets[3] = page_packet(dirty, data[3], 1, '-', 0);
	for (unsigned round = 1; round <= 3; round++) {
		page_deliver(f, packets, 4);
		assert_int_equal(f->died_count, round);
		assert_int_equal(f->death.kind, FWP_DEATH_TIMEOUT);
		assert_int_equal(f->sent_count, 3);
		assert_memory_equal(f->sent[1].data, data[2], PAGE_BYTES);
		assert_memory_equal(f->sent[2].data, data[3], PAGE_BYTES);
	}
	page_assert_clean(dirty, 3);
	page_assert_clean(spy, 1);
}

/* In the middle of its turn, whose packet and dirt are in the page: nobody else's is before it. */
static void who_is_interrupted_keeps_his_packet(void **state)
{
	struct fixture *f = *state = fixture_with(256, 64);
	uint8_t data[3][PAGE_BYTES];
	struct chain_packet packets[3];
	struct chain_template *dirty = page_apply(f, &chains[1]), *spy = page_apply(f, &chains[2]);
	f->is_interrupting = true;
	for (unsigned round = 1; round <= 6; round++) {
		packets[0] = page_packet(dirty, data[0], 1, (char)('a' + round % 3), 'p');
		packets[1] = page_packet(spy, data[1], 2, '-', 0);
		packets[2] = page_packet(dirty, data[2], 3, '-', 0);
		page_deliver(f, packets, 3);
		assert_int_equal(f->interrupted_count, round);
		assert_int_equal(f->sent_count, 3);
		for (unsigned i = 0; i < 3; i++)
			assert_memory_equal(f->sent[i].data, data[i], PAGE_BYTES);
	}
	assert_int_equal(f->died_count, 0);
	page_assert_clean(dirty, 3);
	page_assert_clean(spy, 1);
}

/* --- kinds of packets --- */

static void kinds_leave_nothing(void **state)
{
	struct fixture *f = *state = fixture_with(256, 64);
	struct chain_template *templates[CHAINS];
	uint8_t data[PAGE_BYTES], bytes[FRAME_BYTES];
	apply_all(f, templates);
	for (unsigned i = 0; i < CHAINS; i++) {
		for (unsigned client = 1; client <= CLIENTS; client++) {
			struct chain_packet packet =
				page_packet(templates[i], data, client, '-', 0);
			packet.kind = CHAIN_STREAM;
			packet.flags = CHAIN_FIRST;
			page_deliver(f, &packet, 1);
			assert_int_equal(f->sent_count, 1);
			assert_int_equal(f->sent[0].len, PAGE_BYTES);
			/* Of no bytes: that is its end, and nothing else is. */
			packet.flags = 0;
			packet.len = 0;
			page_deliver(f, &packet, 1);
			assert_int_equal(f->sent_count, 0);
			packet.flags = CHAIN_LAST;
			page_deliver(f, &packet, 1);
			assert_int_equal(f->sent_count, 1);
			assert_int_equal(f->sent[0].len, 0);
			assert_true(f->sent[0].is_last);
			/* A datagram of one byte, both ways. */
			packet = page_packet(templates[i], data, client, '-', 0);
			packet.len = 1;
			page_deliver(f, &packet, 1);
			packet.side = CHAIN_OUT;
			chains_deliver(f->chains, &packet, 1, f->now_ns);
			assert_int_equal(f->sent_count, 2);
			assert_int_equal(f->sent[0].port, CHAIN_OUT);
			assert_int_equal(f->sent[1].port, CHAIN_CLIENT);
			assert_int_equal(f->sent[1].data[0], data[0]);
			/* And frames, whose answers find the client by what left. */
			f->template = templates[i];
			for (unsigned back = 0; back < 2; back++) {
				frame(bytes, client, back == 1);
				const struct sent *sent =
					deliver(f, bytes, sizeof(bytes), (enum chain_side)back);
				assert_int_equal(sent->port, 1 - back);
				assert_memory_equal(sent->data, bytes, sizeof(bytes));
			}
		}
	}
	assert_all_clean(templates);
	assert_int_equal(f->died_count, 0);
}

/* --- borders --- */

static uint8_t pattern(uint32_t i)
{
	return (uint8_t)(i * 13 + i / 256);
}

/* The first stage of TEMPLATE, whose buffer has CAPACITY bytes, says that its packet is LEN of them
 * from OFFSET on. */
static void claim(struct fixture *f, struct chain_template *template, uint32_t capacity,
		  uint32_t offset, uint32_t len)
{
	uint8_t data[PAGE_BYTES];
	struct chain_packet packet = page_packet(template, data, 1, 'a', 'm');
	bool is_good = offset <= capacity && len <= capacity - offset && len > 0 &&
		       len <= CHAIN_ABI_PACKET_MAX;
	packet.len = 64; /* as much as the least of slots has */
	memcpy(data + PAGE_OFFSET, &offset, sizeof(offset));
	memcpy(data + PAGE_LEN, &len, sizeof(len));
	page_deliver(f, &packet, 1);
	if (f->sent_count != (is_good ? 1 : 0))
		fail_msg("%u from %u of %u: %u left", len, offset, capacity, f->sent_count);
	if (!is_good)
		return;
	assert_int_equal(f->sent[0].len, len);
	for (uint32_t i = 0; i < len; i++)
		if (f->sent[0].data[i] != pattern(offset + i))
			fail_msg("%u from %u of %u: byte %u is another", len, offset, capacity, i);
}

static void claims_are_checked_at_the_borders(void **state)
{
	static const struct page_stage layouts[] = {
		{.id = 'a', .has_page = true, .buffer = 64, .capacity = 2240},
		{.id = 'a', .has_page = true, .buffer = 64, .capacity = 4032, .mode = "last"},
		{.id = 'a', .has_page = true, .buffer = 64, .capacity = 4033},
		{.id = 'a', .has_page = true, .slot = 4096, .buffer = 64, .capacity = LONG_MAX},
		{.id = 'a', .has_page = true, .buffer = 1000, .capacity = 12000},
		{.id = 'a', .has_page = true, .buffer = 3904, .capacity = 192},
		{.id = 'a', .has_page = true, .buffer = 3904, .capacity = 192, .mode = "last"},
		{.id = 'a', .has_page = true, .buffer = 3904, .capacity = 12000},
		{.id = 'a', .slot = 4000, .buffer = 64, .capacity = 12000},
	};
	struct fixture *f = *state = fixture_with(256, 64);
	struct chain_template *template = NULL;
	for (size_t i = 0; i < 2 * EOS_ARRAY_SIZE(layouts); i++) {
		/* Alone, and before one whose buffer is elsewhere. */
		const struct page_stage stages[] = {
			layouts[i / 2],
			{.id = 'b',
			 .has_page = true,
			 .is_dirty = true,
			 .buffer = 100,
			 .capacity = CHAIN_ABI_HEADROOM + CHAIN_ABI_PACKET_MAX}};
		uint32_t c = stages[0].capacity, e = 4096 - stages[0].buffer;
		const uint32_t offsets[] = {0,
					    1,
					    127,
					    128,
					    e - 1,
					    e,
					    e + 1,
					    c - 1,
					    c,
					    c + 1,
					    -1u,
					    -64u,
					    -stages[0].buffer,
					    64,
					    1u << 31,
					    0u - c};
		template = page_apply(f, &(struct page_chain){.name = "border",
							      .stages = stages,
							      .count = 1 + i % 2});
		for (size_t k = 0; k < EOS_ARRAY_SIZE(offsets); k++) {
			uint32_t o = offsets[k];
			const uint32_t lens[] = {0,	   1,	      2,	 64,	 e - o - 1,
						 e - o,	   e - o + 1, c - o - 1, c - o,	 c - o + 1,
						 c,	   c + 1,     9728,	 9729,	 -1u,
						 1u << 31, 0u - o,    1u - o,	 -1u - o};
			for (size_t n = 0; n < EOS_ARRAY_SIZE(lens); n++)
				claim(f, template, c, o, lens[n]);
		}
		page_assert_clean(template, 1 + i % 2);
	}
	assert_int_equal(f->died_count, 0);
}

/* --- what is said in the initialisation --- */

static void bad_pages_and_states_are_errors(void **state)
{
	struct fixture *f = *state = fixture_with(256, 64);
	uint8_t data[PAGE_BYTES];
	struct page_stage stages[] = {PAGE_SPY('a')};
	stages[0].mode = "errors";
	/* The guest ends its initialisation badly if one of them is none. */
	struct chain_template *template =
		page_apply(f, &(struct page_chain){.name = "errors", .stages = stages, .count = 1});
	struct chain_packet packet = page_packet(template, data, 1, 'a', 'l');
	page_deliver(f, &packet, 1);
	assert_int_equal(f->sent_count, 1);
	assert_int_equal(f->sent[0].data[PAGE_STATUS], 1);
}

/* Four counters are 256 bytes, of which the names are read once; four values are 32. */
static void counters_are_not_in_the_page(void **state)
{
	static const struct {
		const char *table, *values;
		bool is_good;
	} tables[] = {{"3840", NULL, true},  {"3841", NULL, false}, {"4096", NULL, false},
		      {"6000", NULL, false}, {"8135", NULL, false}, {"8136", NULL, true},
		      {NULL, "4064", true},  {NULL, "4065", false}, {NULL, "5000", false},
		      {NULL, "8191", false}, {NULL, "8192", true}};
	struct fixture *f = *state = fixture_with(256, 64);
	uint8_t data[PAGE_BYTES];
	struct chain_packet packet;
	struct chain_template *template = NULL;
	for (size_t i = 0; i < 4 * EOS_ARRAY_SIZE(tables); i++) {
		struct eos_why why = {""};
		bool has_page = i % 4 < 2, is_good = tables[i / 4].is_good || !has_page;
		const struct page_stage stage = {.id = 'a',
						 .has_page = has_page,
						 .slot = 4096,
						 .buffer = 64,
						 .capacity = 2240,
						 .mode = i % 2 == 0 ? NULL : "late",
						 .table = tables[i / 4].table,
						 .values = tables[i / 4].values};
		struct page_chain chain = {.name = "counters", .stages = &stage, .count = 1};
		struct chain_template *before = template;
		int err = page_try(f, &chain, &template, &why);
		assert_int_equal(err, is_good ? 0 : -EINVAL);
		if (!is_good) {
			assert_non_null(strstr(why.text, "stage a: its counters are in the page"));
			assert_ptr_equal(template, before);
		}
		uint64_t before_count = page_counter(template, 0, "packets");
		packet = page_packet(template, data, 1, '-', 0);
		page_deliver(f, &packet, 1);
		assert_int_equal(f->sent_count, 1);
		assert_memory_equal(f->sent[0].data, data, PAGE_BYTES);
		if (stage.values != NULL && tables[i / 4].is_good)
			assert_int_equal(page_counter(template, 0, "packets"), before_count + 1);
	}
	assert_int_equal(f->died_count, 0);
}

/* --- new versions --- */

static void version_changes_the_slot_between_packets(void **state)
{
	struct fixture *f = *state = fixture_with(256, 64);
	struct chain_template *spy = page_apply(f, &chains[2]), *template = NULL;
	uint8_t data[2][PAGE_BYTES];
	struct chain_packet packets[2];
	struct chain_stats stats;
	for (unsigned i = 0; i < 400; i++) {
		if (i % 20 == 0) {
			/* The same stages at other places, in the page and not. */
			struct page_stage stages[] = {PAGE_DIRT('a'), PAGE_DIRT('b')};
			stages[i / 20 % 2].has_page = i / 40 % 2 == 0;
			stages[0].buffer += i;
			stages[1].slot = i / 20 % 3 * 4096;
			template = page_apply(f, &(struct page_chain){.name = "changes",
								      .stages = stages,
								      .count = 2});
		}
		if (i % 3 == 0)
			(void)chains_work(f->chains, f->now_ns);
		packets[0] = page_packet(template, data[0], 1 + i % 7, 'a', i % 2 ? 0 : 's');
		packets[1] = page_packet(spy, data[1], 1 + i % 7, '-', 0);
		page_deliver(f, packets, 2);
		assert_int_equal(f->sent_count, i % 2 ? 2 : 4);
		assert_memory_equal(f->sent[f->sent_count - 1].data, data[1], PAGE_BYTES);
		page_assert_clean(template, 2);
	}
	page_assert_clean(spy, 1);
	assert_int_equal(page_counter(template, 0, "packets"), 400);
	chain_template_stats(template, &stats);
	assert_int_equal(stats.version, 20);
	assert_int_equal(stats.chains, 7);
	assert_true(stats.replaced >= 19 * 7 - 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_teardown(name, fixture_teardown)
		TEST(ends_of_turns_leave_nothing),
		TEST(bursts_of_all_leave_nothing),
		TEST(who_is_killed_in_his_turn_leaves_nothing),
		TEST(who_is_interrupted_keeps_his_packet),
		TEST(kinds_leave_nothing),
		TEST(claims_are_checked_at_the_borders),
		TEST(bad_pages_and_states_are_errors),
		TEST(counters_are_not_in_the_page),
		TEST(version_changes_the_slot_between_packets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
