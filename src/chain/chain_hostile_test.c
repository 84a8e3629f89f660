/* Stages that die, hang and lie: nobody but they notices. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "chain/fixtures/chain_fixture.h"

static void stage_that_dies_is_replaced(void **state)
{
	struct fixture *f = *state;
	fixture_apply(f, &(struct stages){.ids = "abc"});
	assert_non_null(tell(f, 1, '-', 0));
	assert_non_null(tell(f, 2, '-', 0));
	assert_null(tell(f, 1, 'b', 't'));
	assert_int_equal(f->died_count, 1);
	assert_int_equal(f->death.kind, FWP_DEATH_TRAP);
	assert_null(tell(f, 1, 'b', 'e'));
	assert_int_equal(f->death.kind, FWP_DEATH_EXIT);
	assert_int_equal(stage_stats(f, 1).died, 2);
	assert_int_equal(stage_stats(f, 1).timed_out, 0);
	/* Its neighbours remember: the last one saw two packets, and its own count says three. */
	assert_int_equal(tell(f, 1, '-', 0)->data[SEEN], 2);
	assert_int_equal(tell_back(f, 1, '-', 0)->data[SEEN], 5);
	assert_int_equal(tell(f, 2, '-', 0)->data[SEEN], 2);
	assert_int_equal(stats(f).chains, 2);
}

static void endless_loop_ends(void **state)
{
	struct fixture *f = *state;
	fixture_apply(f, &(struct stages){.ids = "ab", .timeout_ns = 20 * EOS_NS_PER_MS});
	assert_null(tell(f, 1, 'a', 'L'));
	assert_int_equal(stage_stats(f, 0).died, 1);
	assert_int_equal(stage_stats(f, 0).timed_out, 1);
	assert_int_equal(f->death.kind, FWP_DEATH_TIMEOUT);
	assert_non_null(tell(f, 1, '-', 0));
	/* Packets behind it in a burst are not lost. */
	uint8_t frames[3][FRAME_BYTES];
	struct chain_packet packets[3];
	for (unsigned i = 0; i < 3; i++) {
		frame(frames[i], 1, false);
		packets[i] = (struct chain_packet){
			.data = frames[i], .len = FRAME_BYTES, .template = f->template};
	}
	memcpy(frames[0] + COMMAND, "Lb", 2);
	f->sent_count = 0;
	chains_deliver(f->chains, packets, 3, ++f->now_ns);
	assert_int_equal(f->sent_count, 2);
	assert_int_equal(stage_stats(f, 1).timed_out, 1);
}

static void lies_about_the_packet_are_refused(void **state)
{
	struct fixture *f = *state;
	fixture_apply(f, &(struct stages){.ids = "abc"});
	unsigned refused = 0;
	for (const char *lie = "oOABDE"; *lie != '\0'; lie++) {
		for (const char *stage = "abc"; *stage != '\0'; stage++) {
			assert_null(tell(f, 1, *stage, *lie));
			refused++;
			/* The slot is where it was. */
			assert_non_null(tell(f, 1, '-', 0));
		}
	}
	/* A slot of its own invention: below the real one. */
	assert_null(tell(f, 1, 'b', 'C'));
	/* What it writes into port, kind and peer changes nothing. */
	const struct sent *sent = tell(f, 1, 'a', 'F');
	assert_int_equal(sent->port, CHAIN_CLIENT);
	assert_int_equal(sent->kind, CHAIN_FRAME);
	assert_int_equal(sent->peer, 0);
	uint64_t all =
		stage_stats(f, 0).refused + stage_stats(f, 1).refused + stage_stats(f, 2).refused;
	assert_int_equal(all, refused + 1);
	assert_int_equal(f->died_count, 0);
}

static void strange_verdicts_are_refused(void **state)
{
	struct fixture *f = *state;
	uint8_t data[FRAME_BYTES];
	unsigned refused = 0;
	fixture_apply(f, &(struct stages){.ids = "a"});
	for (unsigned verdict = 0; verdict < 256; verdict++) {
		frame(data, 1, false);
		memcpy(data + COMMAND, "va", 2);
		data[46] = (uint8_t)verdict;
		bool is_good = verdict == 1 || verdict == 2 || (verdict >= 16 && verdict <= 18);
		assert_int_equal(deliver(f, data, sizeof(data), CHAIN_CLIENT) != NULL, is_good);
		refused += !is_good && verdict != 0;
	}
	data[47] = 0xff;
	assert_null(deliver(f, data, sizeof(data), CHAIN_CLIENT));
	assert_int_equal(stage_stats(f, 0).refused, refused + 1);
}

static void bad_calls_fail(void **state)
{
	struct fixture *f = *state;
	fixture_apply(f, &(struct stages){.ids = "a", .modes = "init-calls"});
	assert_int_equal(tell(f, 1, 'a', 'b')->data[STATUS], 0);
	const struct sent *sent = tell(f, 1, 'a', 'g');
	/* It grew within its limit, and not beyond. */
	assert_int_equal(sent->data[STATUS], 1);
	assert_int_equal(sent->data[46], 1);
	assert_non_null(tell(f, 1, '-', 0));
}

static void floods_have_an_end(void **state)
{
	struct fixture *f = *state;
	fixture_apply(f, &(struct stages){.ids = "ab"});
	/* 5,000 packets to the next stage: what does not fit is refused, and told. */
	const struct sent *sent = tell(f, 1, 'a', 'x');
	assert_non_null(sent);
	struct chain_stage_stats stage = stage_stats(f, 0);
	assert_int_equal(stage.full, 1);
	assert_true(stage.sent >= 1000 && stage.sent < 2000);
	/* Of these only so many pass as one packet may cause. */
	assert_int_equal(f->sent_count, CHAIN_RUNS_MAX);
	assert_int_equal(f->sent[0].data[STATUS], CHAIN_ABI_EAGAIN);
	/* The two send three packets to each other for each that they get. */
	unsigned before = f->sent_count;
	assert_null(tell(f, 1, '*', 'X'));
	assert_int_equal(f->sent_count, before);
	stage = stage_stats(f, 0);
	assert_true(stage.received + stage_stats(f, 1).received < 3 * CHAIN_RUNS_MAX);
	assert_int_equal(f->chains->queue.used, 0);
	/* Lines of a log. */
	f->log_count = 0;
	assert_non_null(tell(f, 1, 'a', 'G'));
	assert_true(f->log_count <= CHAIN_LOGS_PER_S + 2);
	assert_string_equal(f->log, "flood");
}

/* Stage b answers, stage a (whose port it is) answers that, and so on. */
static void ping_pong_has_an_end(void **state)
{
	struct fixture *f = *state;
	fixture_apply(f, &(struct stages){.ids = "abc"});
	uint8_t data[FRAME_BYTES];
	frame(data, 1, false);
	memcpy(data + COMMAND, "h*", 2);
	/* All hop by port 0 if told so; by port 1 from a, and b answers: nothing is endless here.
	 */
	assert_non_null(deliver(f, data, sizeof(data), CHAIN_CLIENT));
	frame(data, 1, false);
	memcpy(data + COMMAND, "a*", 2);
	assert_non_null(deliver(f, data, sizeof(data), CHAIN_CLIENT));
	/* From the queue into the middle: b answers to a, a answers to b, … */
	struct chain *chain = EOS_CONTAINER_OF(f->template->idle.next, struct chain, node);
	struct chain_abi_packet head = {.port = CHAIN_CLIENT};
	assert_true(chain_queue_put(&f->chains->queue, chain->fwps[1], &head, data, sizeof(data)));
	f->sent_count = 0;
	assert_non_null(tell(f, 1, '-', 0));
	assert_int_equal(f->sent_count, 1);
	assert_true(stage_stats(f, 0).refused + stage_stats(f, 1).refused >= 1);
	assert_true(stage_stats(f, 1).received < CHAIN_RUNS_MAX);
}

static void timers_do_not_starve_anybody(void **state)
{
	struct fixture *f = *state;
	uint8_t data[FRAME_BYTES];
	uint64_t delay_ns = 1;
	fixture_apply(f, &(struct stages){.ids = "a", .modes = "again"});
	frame(data, 1, false);
	memcpy(data + COMMAND, "Ta", 2);
	memcpy(data + 52, &delay_ns, sizeof(delay_ns));
	assert_non_null(deliver(f, data, sizeof(data), CHAIN_CLIENT));
	/* Each sets itself anew: a step is bounded. */
	f->sent_count = 0;
	(void)chains_work(f->chains, eos_now_ns() + EOS_NS_PER_S);
	assert_true(f->sent_count > 0 && f->sent_count <= 64);
	/* As far off as can be. */
	delay_ns = UINT64_MAX;
	memcpy(data + 52, &delay_ns, sizeof(delay_ns));
	assert_non_null(deliver(f, data, sizeof(data), CHAIN_CLIENT));
	f->sent_count = 0;
	(void)chains_work(f->chains, eos_now_ns() + EOS_NS_PER_S);
	assert_int_equal(f->sent_count, 0);
	/* They go with who set them. */
	assert_null(tell(f, 1, 'a', 't'));
	assert_int_equal(chains_work(f->chains, UINT64_MAX / 2), UINT64_MAX);
}

/* Each hop is within its limit: all of them together have one, too. */
static void hops_have_an_end_in_time(void **state)
{
	struct fixture *f = *state;
	fixture_apply(f, &(struct stages){.ids = "ab", .timeout_ns = 40 * EOS_NS_PER_MS});
	assert_null(tell(f, 1, '*', 'w'));
	uint64_t received = stage_stats(f, 0).received + stage_stats(f, 1).received;
	assert_true(received >= 2 && received < 100);
	assert_int_equal(stage_stats(f, 0).refused + stage_stats(f, 1).refused, 1);
	assert_int_equal(f->died_count, 0);
	/* The next packet has as much as any. */
	assert_non_null(tell(f, 1, '-', 0));
}

/* Packets come between timers that take long. */
static void slow_timers_let_others_in(void **state)
{
	struct fixture *f = *state;
	uint8_t data[FRAME_BYTES];
	uint64_t delay_ns = 1;
	fixture_apply(f, &(struct stages){.ids = "a", .modes = "slow"});
	frame(data, 1, false);
	memcpy(data + COMMAND, "Ta", 2);
	memcpy(data + 52, &delay_ns, sizeof(delay_ns));
	assert_non_null(deliver(f, data, sizeof(data), CHAIN_CLIENT));
	f->sent_count = 0;
	for (unsigned i = 1; i <= CHAIN_ABI_TIMERS_MAX; i++) {
		uint64_t now_ns = eos_now_ns(), next_ns = chains_work(f->chains, now_ns);
		assert_int_equal(f->sent_count, i);
		assert_int_equal(next_ns, i < CHAIN_ABI_TIMERS_MAX ? now_ns : UINT64_MAX);
	}
}

static void ignore(void *ctx, const char *name, uint64_t value)
{
	assert_true(strlen(name) < 56);
	++*(unsigned *)ctx;
}

static void counters_may_be_garbage(void **state)
{
	struct fixture *f = *state;
	unsigned count = 0;
	fixture_apply(f, &(struct stages){.ids = "a"});
	assert_non_null(tell(f, 1, 'a', 'c'));
	chain_template_counters(f->template, 0, ignore, &count);
	assert_int_equal(count, 2);
}

static void bad_initialisation_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct eos_why why = {""};
	static const char *const modes[] = {"init-trap", "init-exit", "no-slot"};
	fixture_apply(f, &(struct stages){.ids = "ab"});
	assert_non_null(tell(f, 1, '-', 0));
	for (size_t i = 0; i < EOS_ARRAY_SIZE(modes); i++) {
		const struct stages stages = {.ids = "abc", .modes = modes[i]};
		why.text[0] = '\0';
		assert_int_equal(fixture_try(f, &stages, &why), -EIO);
		assert_non_null(strstr(why.text, "stage a"));
		assert_int_equal(tell(f, 1, '-', 0)->data[SEEN], 2 + i);
	}
	/* What it says last of why goes along, as a line. */
	const struct stages saying = {.ids = "abc", .modes = "init-says"};
	assert_int_equal(fixture_try(f, &saying, &why), -EIO);
	assert_non_null(strstr(why.text, "stage b"));
	assert_non_null(strstr(why.text, ": threshold?not a number: b"));
	assert_null(strstr(why.text, "first"));
	assert_int_equal(fixture_try(f, &(struct stages){.ids = "a", .modes = "init-exit"}, &why),
			 -EIO);
	assert_null(strstr(why.text, "threshold"));
	assert_int_equal(fixture_try(f, &(struct stages){.ids = ""}, &why), -EINVAL);
	assert_int_equal(fixture_try(f, &(struct stages){.ids = "abcdefghijklmnopq"}, &why),
			 -EINVAL);
	assert_int_equal(
		fixture_try(f, &(struct stages){.ids = "a", .isolation = CHAIN_FIXED}, &why),
		-EINVAL);
	/* Whose memory is too small is said, too. */
	why.text[0] = '\0';
	assert_true(fixture_try(f, &(struct stages){.ids = "ab", .memory_bytes = 65536}, &why) < 0);
	assert_non_null(strstr(why.text, "stage a: it needs "));
	assert_int_equal(stats(f).version, 1);
	assert_int_equal(tell(f, 1, '-', 0)->data[SEEN], 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
		TEST(stage_that_dies_is_replaced),
		TEST(endless_loop_ends),
		TEST(lies_about_the_packet_are_refused),
		TEST(strange_verdicts_are_refused),
		TEST(bad_calls_fail),
		TEST(floods_have_an_end),
		TEST(ping_pong_has_an_end),
		TEST(timers_do_not_starve_anybody),
		TEST(hops_have_an_end_in_time),
		TEST(slow_timers_let_others_in),
		TEST(counters_may_be_garbage),
		TEST(bad_initialisation_changes_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
