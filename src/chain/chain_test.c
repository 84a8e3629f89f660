/* The way of packets through stages that behave: tests/lib/chain_guest.c says how they are told. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "chain/fixtures/chain_fixture.h"

static void verdicts_are_obeyed(void **state)
{
	struct fixture *f = *state;
	fixture_apply(f, &(struct stages){.ids = "a"});
	const struct sent *sent = tell(f, 1, '-', 0);
	assert_non_null(sent);
	assert_int_equal(sent->port, CHAIN_OUT);
	assert_int_equal(sent->len, FRAME_BYTES);
	assert_int_equal(sent->kind, CHAIN_FRAME);
	assert_int_equal(sent->data[SEEN], 1);
	assert_null(tell(f, 1, 'a', 'd'));
	assert_int_equal(tell(f, 1, 'a', 'a')->port, CHAIN_CLIENT);
	assert_int_equal(tell(f, 1, 'a', 'p')->port, 2);
	/* Hop 0: the client's side. */
	assert_int_equal(tell(f, 1, 'a', 'h')->port, CHAIN_CLIENT);
	assert_int_equal(tell_back(f, 1, '-', 0)->port, CHAIN_CLIENT);
	assert_int_equal(tell_back(f, 1, 'a', 'a')->port, CHAIN_OUT);
	struct chain_stage_stats stats = stage_stats(f, 0);
	assert_int_equal(stats.received, 7);
	assert_int_equal(stats.forwarded, 2);
	assert_int_equal(stats.answered, 2);
	assert_int_equal(stats.hopped, 2);
	assert_int_equal(stats.dropped, 1);
	assert_int_equal(stats.refused + stats.died + stats.full, 0);
	assert_true(stats.run_ns > 0);
}

static void stages_are_passed_in_both_directions(void **state)
{
	struct fixture *f = *state;
	fixture_apply(f, &(struct stages){.ids = "abcd"});
	assert_memory_equal(tell(f, 1, '-', 0)->data + TRACE + 2, "abcd", 4);
	assert_memory_equal(tell_back(f, 1, '-', 0)->data + TRACE + 2, "dcba", 4);
	/* Answered in the middle it goes back by those that it passed. */
	const struct sent *sent = tell(f, 1, 'b', 'a');
	assert_int_equal(sent->port, CHAIN_CLIENT);
	assert_memory_equal(sent->data + TRACE + 2, "aba", 3);
	assert_int_equal(sent->data[TRACE], 3);
	sent = tell_back(f, 1, 'b', 'a');
	assert_int_equal(sent->port, CHAIN_OUT);
	/* d, c, b, c, d: the fifth is where the first was. */
	assert_memory_equal(sent->data + TRACE + 2, "dcbc", 4);
	assert_int_equal(sent->data[TRACE], 5);
	/* A next hop is out of the chain from any stage. */
	assert_int_equal(tell(f, 1, 'b', 'p')->port, 2);
	assert_int_equal(stage_stats(f, 0).received, 5);
	assert_int_equal(stage_stats(f, 3).received, 4);
}

static void bytes_may_be_taken_and_put_in_front(void **state)
{
	struct fixture *f = *state;
	uint8_t data[FRAME_BYTES];
	fixture_apply(f, &(struct stages){.ids = "ab"});
	frame(data, 1, false);
	memcpy(data + COMMAND, "sa", 2);
	const struct sent *sent = deliver(f, data, sizeof(data), CHAIN_CLIENT);
	assert_int_equal(sent->len, FRAME_BYTES - 16);
	assert_memory_equal(sent->data, data + 16, 20);
	sent = tell(f, 1, 'a', 'u');
	assert_int_equal(sent->len, FRAME_BYTES + 100);
	assert_int_equal(sent->data[99], 0x55);
	assert_memory_equal(sent->data + 100, data, 40);
	/* Longer than it came, up to the slot's end; the next stage's slot is as large. */
	assert_int_equal(tell(f, 1, 'b', 'l')->len, 2048);
	assert_int_equal(tell(f, 1, 'a', 'l')->len, 2048);
}

static void port_has_a_longest_packet(void **state)
{
	struct fixture *f = *state;
	uint8_t data[CHAIN_ABI_PACKET_MAX] = {0};
	fixture_apply(f, &(struct stages){.ids = "a", .out_mtu = 1500});
	frame(data, 1, false);
	assert_non_null(deliver(f, data, 1500, CHAIN_CLIENT));
	assert_null(deliver(f, data, 1501, CHAIN_CLIENT));
	assert_int_equal(stage_stats(f, 0).refused, 1);
	/* With a tag it is longer by that. */
	memmove(data + 16, data + 12, FRAME_BYTES - 12);
	memcpy(data + 12, (const uint8_t[]){0x81, 0, 0, 7}, 4);
	assert_non_null(deliver(f, data, 1504, CHAIN_CLIENT));
	assert_null(deliver(f, data, 1505, CHAIN_CLIENT));
	assert_int_equal(stage_stats(f, 0).refused, 2);
	/* More than the slot holds. */
	frame(data, 1, false);
	assert_null(deliver(f, data, 2113, CHAIN_CLIENT));
	assert_null(deliver(f, data, sizeof(data), CHAIN_CLIENT));
	assert_int_equal(stage_stats(f, 0).refused, 4);
	assert_null(tell(f, 1, 'a', 'l'));
	assert_int_equal(stage_stats(f, 0).refused, 5);
}

static void ports_have_names(void **state)
{
	struct fixture *f = *state;
	fixture_apply(f, &(struct stages){.ids = "a",
					  .modes = "init-ports",
					  .client_port = "lan",
					  .out_port = "wan"});
}

static void burst_is_in_order(void **state)
{
	struct fixture *f = *state;
	uint8_t frames[CHAIN_BURST_MAX][FRAME_BYTES];
	struct chain_packet packets[CHAIN_BURST_MAX];
	fixture_apply(f, &(struct stages){.ids = "abc"});
	for (unsigned round = 0; round < 3; round++) {
		for (unsigned i = 0; i < CHAIN_BURST_MAX; i++) {
			frame(frames[i], 1 + i % 5, false);
			frames[i][60] = (uint8_t)i;
			packets[i] = (struct chain_packet){
				.data = frames[i], .len = FRAME_BYTES, .template = f->template};
		}
		f->sent_count = 0;
		chains_deliver(f->chains, packets, CHAIN_BURST_MAX, ++f->now_ns);
		assert_int_equal(f->sent_count, CHAIN_BURST_MAX);
		for (unsigned i = 0; i < CHAIN_BURST_MAX; i++)
			assert_int_equal(f->sent[i].data[60], i);
	}
	assert_int_equal(stats(f).chains, 5);
	assert_int_equal(stats(f).packets, 3 * CHAIN_BURST_MAX);
}

static void what_is_sent_besides_takes_the_same_way(void **state)
{
	struct fixture *f = *state;
	fixture_apply(f, &(struct stages){.ids = "ab"});
	/* The last stage's leave at once, before the packet itself. */
	const struct sent *sent = tell(f, 1, 'b', 'k');
	assert_int_equal(f->sent_count, 2);
	assert_int_equal(f->sent[0].port, CHAIN_CLIENT);
	assert_int_equal(f->sent[0].len, FRAME_BYTES);
	/* What went to the stage before waits behind it. */
	assert_int_equal(sent->len, 4);
	assert_memory_equal(sent->data, "more", 4);
	assert_int_equal(stage_stats(f, 1).sent, 1);
	/* Told by the owner that it did not go. */
	f->send_error = -EAGAIN;
	assert_null(tell(f, 2, 'a', 'k'));
	assert_int_equal(stage_stats(f, 0).full, 1);
	assert_int_equal(stats(f).send_failed, 2);
}

static void endpoints_hear_of_their_peer(void **state)
{
	struct fixture *f = *state;
	fixture_apply(f, &(struct stages){.ids = "a"});
	const struct chain_packet packet = {
		.data = (const uint8_t *)"hello",
		.len = 5,
		.kind = CHAIN_STREAM,
		.flags = CHAIN_FIRST,
		.template = f->template,
		.peer = 77,
		.peer_address = {[15] = 9},
		.peer_port = 1234,
		.local_port = 80,
	};
	chains_deliver(f->chains, &packet, 1, f->now_ns);
	assert_int_equal(f->sent_count, 1);
	assert_int_equal(f->sent[0].peer, 77);
	assert_int_equal(f->sent[0].port, CHAIN_CLIENT);
	assert_int_equal(f->sent[0].kind, CHAIN_STREAM);
	assert_false(f->sent[0].is_last);
	struct chain_packet last = packet;
	last.len = 0;
	last.flags = 0;
	chains_deliver(f->chains, &last, 1, f->now_ns);
	/* An answer of no bytes is nothing … */
	assert_int_equal(f->sent_count, 1);
	/* … but that nothing more comes is. */
	last.flags = CHAIN_LAST;
	chains_deliver(f->chains, &last, 1, f->now_ns);
	assert_int_equal(f->sent_count, 2);
	assert_int_equal(f->sent[1].len, 0);
	assert_true(f->sent[1].is_last);
	assert_int_equal(stats(f).chains, 1);
}

static void collect(void *ctx, const char *name, uint64_t value)
{
	char *text = ctx;
	(void)sprintf(text + strlen(text), "%s=%llu ", name, (unsigned long long)value);
}

static void counters_are_summed_over_the_dead(void **state)
{
	struct fixture *f = *state;
	char text[200] = "";
	fixture_apply(f, &(struct stages){.ids = "a"});
	for (unsigned client = 1; client <= 3; client++)
		assert_non_null(tell(f, client, '-', 0));
	assert_null(tell(f, 2, 'a', 't'));
	chain_template_counters(f->template, 0, collect, text);
	assert_string_equal(text, "packets=4 bad_name_=28 ");
	/* A new version has the counts of the one before, also of chains that are not changed yet.
	 */
	fixture_apply(f, &(struct stages){.ids = "a"});
	assert_non_null(tell(f, 1, '-', 0));
	text[0] = '\0';
	chain_template_counters(f->template, 0, collect, text);
	assert_string_equal(text, "packets=5 bad_name_=35 ");
	text[0] = '\0';
	chain_template_counters(f->template, 1, collect, text);
	assert_string_equal(text, "");
}

static void timers_fire(void **state)
{
	struct fixture *f = *state;
	uint8_t data[FRAME_BYTES];
	uint64_t delay_ns = EOS_NS_PER_MS;
	fixture_apply(f, &(struct stages){.ids = "ab"});
	frame(data, 1, false);
	memcpy(data + COMMAND, "Ta", 2);
	memcpy(data + 52, &delay_ns, sizeof(delay_ns));
	assert_non_null(deliver(f, data, sizeof(data), CHAIN_CLIENT));
	f->sent_count = 0;
	uint64_t next_ns = chains_work(f->chains, eos_now_ns());
	assert_true(next_ns <= eos_now_ns() + 2 * delay_ns);
	/* On a slow machine not all at once. */
	for (unsigned i = 0; i < 16; i++)
		(void)chains_work(f->chains, eos_now_ns() + 10 * delay_ns);
	/* All sixteen, through the second stage. */
	assert_int_equal(f->sent_count, 16);
	assert_int_equal(f->sent[0].data[1], 'a');
	assert_int_equal(chains_work(f->chains, eos_now_ns() + 20 * delay_ns), UINT64_MAX);
	assert_int_equal(f->sent_count, 16);
	/* Those of the initialisation begin with each chain. */
	fixture_apply(f, &(struct stages){.ids = "a", .modes = "init-timer"});
	assert_non_null(tell(f, 9, '-', 0));
	f->sent_count = 0;
	(void)chains_work(f->chains, f->now_ns + 10 * delay_ns);
	assert_true(f->sent_count >= 1);
	assert_int_equal(f->sent[0].data[0], 5);
}

static void version_changes_without_loss(void **state)
{
	struct fixture *f = *state;
	fixture_apply(f, &(struct stages){.ids = "abc"});
	for (unsigned i = 0; i < 600; i++) {
		if (i % 50 == 49)
			fixture_apply(f, &(struct stages){.ids = i % 100 == 99 ? "abc" : "xy"});
		if (i % 3 == 0)
			(void)chains_work(f->chains, f->now_ns);
		const struct sent *sent = tell(f, 1 + i % 20, '-', 0);
		assert_non_null(sent);
		assert_int_equal(sent->data[TRACE], (i + 1) / 50 % 2 == 0 ? 3 : 2);
	}
	assert_int_equal(f->sent_count, 600);
	assert_int_equal(stats(f).version, 13);
	assert_int_equal(stats(f).chains, 20);
	assert_true(stats(f).replaced >= 12 * 20 - 20);
	/* Old versions go when the idle ones have changed. */
	for (unsigned i = 0; i < 10; i++)
		(void)chains_work(f->chains, f->now_ns);
	assert_true(f->template->versions.next->next == &f->template->versions);
	assert_int_equal(chain_template_remove(f->chains, "chain"), 0);
	assert_int_equal(chain_template_remove(f->chains, "chain"), -ENOENT);
}

/* A burst whose chains are renewed one after the other, with fewer stages each: what was fetched
 * ahead for the stages of a version that is gone by then is not looked at again. */
static void bursts_change_their_version(void **state)
{
	struct fixture *f = *state;
	uint8_t frames[8][FRAME_BYTES];
	struct chain_packet packets[8];
	fixture_apply(f, &(struct stages){.ids = "abcd"});
	assert_non_null(tell(f, 1, '-', 0));
	assert_non_null(tell(f, 2, '-', 0));
	fixture_apply(f, &(struct stages){.ids = "x"});
	for (unsigned i = 0; i < 8; i++) {
		frame(frames[i], i == 0 ? 1 : 2, false);
		packets[i] = (struct chain_packet){.template = f->template,
						   .side = CHAIN_CLIENT,
						   .data = frames[i],
						   .len = FRAME_BYTES};
	}
	f->sent_count = 0;
	chains_deliver(f->chains, packets, 8, f->now_ns);
	assert_int_equal(f->sent_count, 8);
	assert_int_equal(stats(f).replaced, 2);
}

/* What only was prepared changes nothing, and packets go on meanwhile. */
static void prepared_changes_nothing(void **state)
{
	static const struct stages stages = {.ids = "abc"}, others = {.ids = "xy"};
	struct fixture *f = *state;
	struct chain_update *update;
	/* The first version: there is no such template before it is committed. */
	chain_template_abandon(fixture_prepare(f, &stages));
	assert_null(chain_template_find(f->chains, "chain"));
	update = fixture_prepare(f, &stages);
	assert_null(chain_template_find(f->chains, "chain"));
	f->template = chain_template_commit(update);
	assert_ptr_equal(chain_template_find(f->chains, "chain"), f->template);
	for (unsigned round = 0; round < 4; round++) {
		char before[200] = "", after[200] = "";
		for (unsigned i = 1; i <= 5; i++)
			assert_int_equal(tell(f, i, '-', 0)->data[TRACE], 3);
		update = fixture_prepare(f, round % 2 == 0 ? &others : &stages);
		/* Also those of which a stage died, and new ones, are of the version before. */
		assert_null(tell(f, 1, 'b', 't'));
		for (unsigned i = 1; i <= 7; i++)
			assert_int_equal(tell(f, i, '-', 0)->data[TRACE], 3);
		(void)chains_work(f->chains, f->now_ns);
		assert_int_equal(stats(f).version, 1);
		chain_template_counters(f->template, 0, collect, before);
		chain_template_abandon(update);
		chain_template_counters(f->template, 0, collect, after);
		assert_string_equal(after, before);
		assert_int_equal(stats(f).version, 1);
		assert_int_equal(stats(f).replaced, 0);
	}
	assert_int_equal(stats(f).chains, 7);
	f->template = chain_template_commit(fixture_prepare(f, &others));
	for (unsigned i = 1; i <= 7; i++)
		assert_int_equal(tell(f, i, '-', 0)->data[TRACE], 2);
	assert_int_equal(stats(f).version, 2);
	assert_int_equal(stats(f).replaced, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(verdicts_are_obeyed),
		TEST(stages_are_passed_in_both_directions),
		TEST(bytes_may_be_taken_and_put_in_front),
		TEST(port_has_a_longest_packet),
		TEST(ports_have_names),
		TEST(burst_is_in_order),
		TEST(what_is_sent_besides_takes_the_same_way),
		TEST(endpoints_hear_of_their_peer),
		TEST(counters_are_summed_over_the_dead),
		TEST(timers_fire),
		TEST(version_changes_without_loss),
		TEST(bursts_change_their_version),
		TEST(prepared_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
