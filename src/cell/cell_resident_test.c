/*
 * Functions that stay: one FWP that answers all calls of a function, through the mover. The cell
 * runs on a thread of this process; tests/lib/resident_guest.c is the function.
 */
#include "cell/cell_priv.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/counter.h"
#include "base/fault.h"
#include "cell/fixtures/cell_fixture.h"

static uint64_t last_id;

static struct fixture *start_resident(void)
{
	struct fixture *f = start();
	load_as(f, resident_guest, 0, LINK_ISOLATION_TENANT, 0);
	return f;
}

static uint64_t call(struct fixture *f, const char *mode, uint64_t timeout_ns)
{
	send_invoke(f, ++last_id, 0, mode, 0, timeout_ns);
	return last_id;
}

static void expect_answer(struct fixture *f, const char *mode, const char *answer)
{
	expect_done(f, call(f, mode, 0), LINK_EXITED, answer);
}

/* The DONE of a call that fails with TEXT in its text. */
static void expect_failure(struct fixture *f, uint64_t id, uint32_t outcome, const char *text)
{
	char seen[LINK_TEXT_MAX + 1] = "";
	struct link_message done = receive(f);
	assert_int_equal(done.header.kind, LINK_DONE);
	assert_int_equal(done.done.call_id, id);
	memcpy(seen, done.done_parts.text.data, done.done_parts.text.len);
	if (done.done.outcome != outcome || strstr(seen, text) == NULL)
		fail_msg("outcome %u: %s", done.done.outcome, seen);
}

static void state_stays_between_calls(void **state)
{
	struct fixture *f = start_resident();
	char text[64];
	for (int i = 1; i <= 200; i++) {
		snprintf(text, sizeof(text), "%d of 1, 0 ticks", i);
		expect_answer(f, "count", text);
	}
	/* Many at once: in order. */
	uint64_t first = last_id + 1;
	for (int i = 0; i < 40; i++)
		call(f, "count", 0);
	for (int i = 0; i < 40; i++) {
		snprintf(text, sizeof(text), "%d of 1, 0 ticks", 201 + i);
		expect_done(f, first + (uint64_t)i, LINK_EXITED, text);
	}
	expect_end(f, -EPIPE);
}

static void message_is_environment_and_input(void **state)
{
	struct fixture *f = start_resident();
	struct invocation invocation = {.call_id = ++last_id, .mode = "echo", .input = "the\nbody"};
	send_invoke_as(f, &invocation);
	expect_done(f, last_id, LINK_EXITED, "MODE=echo\n\nthe\nbody");
	/* A value cannot pretend to be another variable, or the body. */
	invocation.call_id = ++last_id;
	invocation.mode = "none\nMODE=trap\n\nx";
	send_invoke_as(f, &invocation);
	expect_done(f, last_id, LINK_EXITED, "1 of 1, 0 ticks");
	expect_end(f, -EPIPE);
}

static void too_long_messages_are_refused(void **state)
{
	static char input[5000];
	struct fixture *f = start_resident();
	memset(input, 'i', sizeof(input) - 1);
	expect_answer(f, "count", "1 of 1, 0 ticks");
	/* For its buffers of 4 KiB; for any message; not all of the input there. */
	struct invocation invocation = {.call_id = ++last_id, .mode = "count", .input = input};
	send_invoke_as(f, &invocation);
	expect_failure(f, last_id, LINK_NOT_STARTED, "longer than the function's buffers");
	send_invoke(f, ++last_id, 0, "count", 100000, 0);
	expect_failure(f, last_id, LINK_NOT_STARTED, "too long for a message");
	expect_answer(f, "count", "2 of 1, 0 ticks");
	expect_end(f, -EPIPE);
}

static void answers_are_bounded(void **state)
{
	struct fixture *f = start_resident();
	size_t len = 0;
	uint64_t id = call(f, "big", 0);
	struct link_message m = receive(f);
	assert_int_equal(m.header.kind, LINK_OUTPUT);
	assert_int_equal(m.output.call_id, id);
	len += m.payload.len;
	m = receive(f);
	assert_int_equal(m.header.kind, LINK_DONE);
	assert_int_equal(m.done.outcome, LINK_EXITED);
	assert_int_equal(len + m.done_parts.output.len, CELL_RESIDENT_BYTES);
	assert_int_equal(m.done_parts.output.data[0], 'b');
	expect_answer(f, "huge", "refused");
	/* The second of two answers is nobody's. */
	expect_answer(f, "twice", "first");
	expect_answer(f, "count", "1 of 1, 0 ticks");
	expect_end(f, -EPIPE);
}

static void large_answers_wait_for_room(void **state)
{
	enum { CALLS = 40 };
	struct fixture *f = start_resident();
	size_t len = 0;
	for (int i = 0; i < CALLS; i++)
		call(f, "big", 0);
	usleep(50000); /* more than the ring holds */
	for (int done = 0; done < CALLS;) {
		struct link_message m = receive(f);
		if (m.header.kind == LINK_OUTPUT) {
			len += m.payload.len;
			continue;
		}
		assert_int_equal(m.header.kind, LINK_DONE);
		assert_int_equal(m.done.outcome, LINK_EXITED);
		len += m.done_parts.output.len;
		done++;
	}
	assert_int_equal(len, CALLS * CELL_RESIDENT_BYTES);
	expect_end(f, -EPIPE);
}

static void a_death_ends_the_call_under_way(void **state)
{
	struct fixture *f = start_resident();
	expect_answer(f, "count", "1 of 1, 0 ticks");
	uint64_t id = call(f, "trap", 0);
	call(f, "count", 0); /* waits behind it, and is not harmed */
	expect_failure(f, id, LINK_TRAPPED, "trap: unreachable executed");
	expect_done(f, id + 1, LINK_EXITED, "1 of 1, 0 ticks");
	expect_failure(f, call(f, "exit", 0), LINK_TRAPPED, "instead of answering");
	expect_failure(f, call(f, "spoil", 0), LINK_TRAPPED, "rings are nonsense");
	expect_answer(f, "spoil-later", "spoilt");
	for (int i = 1; i <= 3; i++)
		expect_done(f, call(f, "twice", 0), LINK_EXITED, "first");
	expect_failure(f, call(f, "count", 0), LINK_TRAPPED, "rings are nonsense");
	expect_answer(f, "count", "1 of 1, 0 ticks");
	/* After its answer. */
	expect_answer(f, "last", "last words");
	expect_answer(f, "count", "1 of 1, 0 ticks");
	expect_end(f, -EPIPE);
}

static void a_late_answer_costs_the_state(void **state)
{
	struct fixture *f = start_resident();
	expect_answer(f, "count", "1 of 1, 0 ticks");
	uint64_t id = call(f, "mute", 20 * EOS_NS_PER_MS);
	call(f, "count", 0);
	expect_failure(f, id, LINK_TIMED_OUT, "timed out after 0.020 s");
	expect_done(f, id + 1, LINK_EXITED, "1 of 1, 0 ticks");
	/* One that waits dies alone: the call under way goes on, and is ended by its own time. */
	id = call(f, "mute", 200 * EOS_NS_PER_MS);
	call(f, "count", 20 * EOS_NS_PER_MS);
	expect_failure(f, id + 1, LINK_TIMED_OUT, "timed out after 0.020 s");
	expect_failure(f, id, LINK_TIMED_OUT, "timed out after 0.200 s");
	if (!getenv("TSAN_OPTIONS"))
		expect_failure(f, call(f, "spin", 30 * EOS_NS_PER_MS), LINK_TIMED_OUT, "0.030 s");
	expect_answer(f, "count", "1 of 1, 0 ticks");
	expect_end(f, -EPIPE);
}

/* What the DONE of a counting call says. */
static int receive_count(struct fixture *f, uint64_t id)
{
	struct link_message done = receive(f);
	assert_int_equal(done.header.kind, LINK_DONE);
	assert_int_equal(done.done.call_id, id);
	assert_int_equal(done.done.outcome, LINK_EXITED);
	return atoi(done.done_parts.output.data);
}

/* A client that hangs up costs nobody the state. How many of the cancelled calls came as far as the
 * function depends on the machine. */
static void a_cancelled_call_leaves_the_state(void **state)
{
	struct fixture *f = start_resident();
	expect_answer(f, "count", "1 of 1, 0 ticks");
	for (int i = 0; i < 20; i++) {
		uint64_t id = call(f, "mute", 0);
		usleep(1000);
		send_cancel(f, id);
		expect_done(f, id, LINK_CANCELLED, "");
	}
	int before = receive_count(f, call(f, "count", 0));
	assert_in_range(before, 2, 22);
	/* Before the others, and out of the middle. */
	uint64_t id = call(f, "mute", 0);
	call(f, "count", 0);
	call(f, "count", 0);
	send_cancel(f, id + 1);
	expect_done(f, id + 1, LINK_CANCELLED, "");
	send_cancel(f, id);
	expect_done(f, id, LINK_CANCELLED, "");
	assert_in_range(receive_count(f, id + 2), before + 1, before + 2);
	expect_end(f, -EPIPE);
}

/* Messages of cancelled calls fill the way to one that does not look. */
static void a_full_way_is_waited_for(void **state)
{
	struct fixture *f = start_resident();
	if (getenv("TSAN_OPTIONS"))
		skip();
	uint64_t id;
	uint32_t outcome;
	/* On a busy machine the call may be cancelled before it has begun: then the next is
	 * answered, and all is tried again. */
	do {
		id = call(f, "spin", 0);
		usleep(20000);
		send_cancel(f, id);
		expect_done(f, id, LINK_CANCELLED, "");
		id = call(f, "count", 0);
		usleep(3000);
		send_cancel(f, id);
		outcome = receive(f).done.outcome;
	} while (outcome == LINK_EXITED);
	assert_int_equal(outcome, LINK_CANCELLED);
	for (int i = 0; i < 11; i++) {
		id = call(f, "count", 0);
		usleep(3000);
		send_cancel(f, id);
		expect_done(f, id, LINK_CANCELLED, "");
	}
	expect_failure(f, call(f, "count", 50 * EOS_NS_PER_MS), LINK_TIMED_OUT, "0.050 s");
	expect_answer(f, "count", "1 of 1, 0 ticks");
	expect_end(f, -EPIPE);
}

static void logs_to_the_call(void **state)
{
	struct fixture *f = start_resident();
	size_t len = 0;
	uint64_t id = call(f, "log", 0);
	for (;;) {
		struct link_message m = receive(f);
		if (m.header.kind == LINK_OUTPUT) {
			assert_int_equal(m.output.stream, LINK_STREAM_ERRORS);
			len += m.payload.len;
			continue;
		}
		assert_int_equal(m.done.call_id, id);
		len += m.done_parts.errors.len;
		break;
	}
	assert_int_equal(len, 3 * 4001 + strlen("the end\n"));
	expect_end(f, -EPIPE);
}

/* The call is answered, and TEXT is in its log. */
static void expect_log(struct fixture *f, const char *mode, const char *text)
{
	char seen[CELL_ERRORS_BYTES + 1] = "";
	uint64_t id = call(f, mode, 0);
	struct link_message done = receive(f);
	assert_int_equal(done.header.kind, LINK_DONE);
	assert_int_equal(done.done.call_id, id);
	assert_int_equal(done.done.outcome, LINK_EXITED);
	memcpy(seen, done.done_parts.errors.data, done.done_parts.errors.len);
	if (strstr(seen, text) == NULL)
		fail_msg("%s: %s", mode, seen);
}

static void a_death_that_fails_no_call_is_said(void **state)
{
	struct fixture *f = start_resident();
	expect_log(f, "last", "it died: unreachable executed");
	expect_log(f, "die-later", "");
	usleep(50000);
	expect_log(f, "count", "enough\nit died: unreachable executed");
	/* Once. */
	uint64_t id = call(f, "count", 0);
	struct link_message done = receive(f);
	assert_int_equal(done.done.call_id, id);
	assert_int_equal(done.done_parts.errors.len, 0);
	/* Nobody comes to hear of it. */
	expect_log(f, "die-later", "");
	usleep(50000);
	expect_end(f, -EPIPE);
}

static void timers_run_between_calls(void **state)
{
	struct fixture *f = start_resident();
	expect_answer(f, "tick", "set");
	usleep(50000);
	expect_answer(f, "count", "1 of 1, 1 ticks");
	expect_end(f, -EPIPE);
}

/* What it sends without taking what follows must not hold it up when the call is over. */
static void sends_end_with_the_call(void **state)
{
	struct fixture *f = start_resident();
	expect_answer(f, "many", "answer");
	usleep(50000);
	/* It went on, and set a timer behind what it sent. */
	expect_answer(f, "count", "1 of 1, 1 ticks");
	expect_end(f, -EPIPE);
}

/* The deadline of a call that is over does not put the function before the calls of others. */
static void what_follows_a_call_is_not_urgent(void **state)
{
	if (getenv("TSAN_OPTIONS"))
		skip();
	struct cell_config config = {.settings = link_config_default};
	config.settings.is_edf = true;
	struct fixture *f = start_with(&config);
	load_as(f, resident_guest, 0, LINK_ISOLATION_TENANT, 0);
	load_guest(f, 1);
	struct invocation greeting = {.name = "b",
				      .tenant = "u",
				      .mode = "hello",
				      .image_id = 1,
				      .timeout_ns = 2 * EOS_NS_PER_S};
	expect_done(f, call(f, "answer-and-spin", 100 * EOS_NS_PER_MS), LINK_EXITED, "spinning");
	for (unsigned i = 0; i < 5; i++) {
		greeting.call_id = ++last_id;
		send_invoke_as(f, &greeting);
		expect_done(f, last_id, LINK_EXITED, "hello from b\n");
	}
	expect_end(f, -EPIPE);
}

/* Whoever of the two has its turn first: nonsense in the rings is not the message's fault. */
static void rings_are_to_blame(void **state)
{
	struct cell_config config = {.settings = link_config_default};
	config.settings.is_edf = true;
	struct fixture *f = start_with(&config);
	load_as(f, resident_guest, 0, LINK_ISOLATION_TENANT, 0);
	expect_done(f, call(f, "spoil-later", EOS_NS_PER_S), LINK_EXITED, "spoilt");
	for (int i = 1; i <= 3; i++)
		expect_done(f, call(f, "twice", EOS_NS_PER_S), LINK_EXITED, "first");
	expect_failure(f, call(f, "count", EOS_NS_PER_S), LINK_TRAPPED, "rings are nonsense");
	expect_done(f, call(f, "count", EOS_NS_PER_S), LINK_EXITED, "1 of 1, 0 ticks");
	expect_end(f, -EPIPE);
}

/* Its host calls are limited as those of calls are: it waits, and answers. */
static void waits_for_its_rate(void **state)
{
	struct fixture *f = start_resident();
	struct invocation invocation = {.mode = "count", .host_calls_per_s = 500};
	uint64_t start_ns = eos_now_ns();
	char text[64];
	for (int i = 1; i <= 150; i++) {
		invocation.call_id = ++last_id;
		send_invoke_as(f, &invocation);
		snprintf(text, sizeof(text), "%d of 1, 0 ticks", i);
		expect_done(f, last_id, LINK_EXITED, text);
	}
	assert_true(eos_now_ns() - start_ns > 50 * EOS_NS_PER_MS);
	expect_end(f, -EPIPE);
}

/* By tenant, by function, by deployment; and when their image leaves. */
static void instances_are_apart(void **state)
{
	struct fixture *f = start_resident();
	struct invocation invocation = {.mode = "count"};
	const char *names[] = {"a", "b"}, *tenants[] = {"t", "u"};
	for (unsigned round = 1; round <= 2; round++) {
		char text[64];
		snprintf(text, sizeof(text), "%u of 1, 0 ticks", round);
		for (unsigned i = 0; i < 4; i++) {
			invocation.call_id = ++last_id;
			invocation.name = names[i % 2];
			invocation.tenant = tenants[i / 2];
			send_invoke_as(f, &invocation);
			expect_done(f, last_id, LINK_EXITED, text);
		}
	}
	for (unsigned i = 0; i < 3; i++) {
		/* The newer one takes the older one's instance with it. */
		invocation.deployment = 2 + i % 2;
		invocation.call_id = ++last_id;
		send_invoke_as(f, &invocation);
		expect_done(f, last_id, LINK_EXITED, "1 of 1, 0 ticks");
	}
	/* A call of an older one that comes late changes nothing for the newer one. */
	const uint64_t deployments[] = {9, 8, 9, 8};
	const char *late[] = {"1 of 1, 0 ticks", "1 of 1, 0 ticks", "2 of 1, 0 ticks",
			      "1 of 1, 0 ticks"};
	for (unsigned i = 0; i < EOS_ARRAY_SIZE(deployments); i++) {
		invocation.deployment = deployments[i];
		invocation.call_id = ++last_id;
		send_invoke_as(f, &invocation);
		expect_done(f, last_id, LINK_EXITED, late[i]);
	}
	struct link_unload unload = {.header.kind = LINK_UNLOAD};
	send_message(f, &unload, sizeof(unload), NULL, 0);
	load_as(f, resident_guest, 0, LINK_ISOLATION_ANY, 0);
	expect_answer(f, "count", "1 of 1, 0 ticks");
	expect_end(f, -EPIPE);
}

/* More functions than may stay: the one that was idle longest goes. */
static void the_longest_idle_one_goes(void **state)
{
	struct fixture *f = start_resident();
	char name[16];
	struct invocation invocation = {.mode = "count", .name = name};
	for (unsigned i = 0; i <= CELL_RESIDENTS_MAX; i++) {
		snprintf(name, sizeof(name), "f%u", i);
		invocation.call_id = ++last_id;
		send_invoke_as(f, &invocation);
		expect_done(f, last_id, LINK_EXITED, "1 of 1, 0 ticks");
	}
	const char *expected[] = {"2 of 1, 0 ticks", "1 of 1, 0 ticks"};
	const char *which[] = {"f2", "f0"};
	for (unsigned i = 0; i < 2; i++) {
		strcpy(name, which[i]);
		invocation.call_id = ++last_id;
		send_invoke_as(f, &invocation);
		expect_done(f, last_id, LINK_EXITED, expected[i]);
	}
	expect_end(f, -EPIPE);
}

static void add_residents(void *ctx, const struct eos_counter *counter)
{
	if (strcmp(counter->name, "cell.residents") == 0)
		*(uint64_t *)ctx = eos_counter_read(counter);
}

static void wait_until_none_stays(void)
{
	uint64_t residents = 1, end_ns = eos_now_ns() + 5 * EOS_NS_PER_S;
	while (residents > 0) {
		assert_true(eos_now_ns() < end_ns);
		usleep(1000);
		eos_counter_each(add_residents, &residents);
	}
}

static struct fixture *start_impatient(void)
{
	struct fixture *f = start_with(&(struct cell_config){
		.settings = link_config_default, .resident_idle_ns = 300 * EOS_NS_PER_MS});
	load_as(f, resident_guest, 0, LINK_ISOLATION_TENANT, 0);
	return f;
}

static void one_without_calls_is_given_up(void **state)
{
	struct fixture *f = start_impatient();
	expect_answer(f, "count", "1 of 1, 0 ticks");
	wait_until_none_stays();
	expect_answer(f, "count", "1 of 1, 0 ticks");
	expect_end(f, -EPIPE);
}

/* Also when its time was over while there was a call that did not come as far: here it waits for
 * the function's budget, which a call before it used up. */
static void calls_that_never_begin_do_not_keep_it(void **state)
{
	if (getenv("TSAN_OPTIONS"))
		skip();
	struct fixture *f = start_impatient();
	struct invocation invocation = {
		.mode = "count",
		.function = {.budget_ns = 30 * EOS_NS_PER_MS, .period_ns = 20 * EOS_NS_PER_S},
	};
	const char *modes[] = {"spin", "count"};
	invocation.call_id = ++last_id;
	send_invoke_as(f, &invocation);
	expect_done(f, last_id, LINK_EXITED, "1 of 1, 0 ticks");
	for (unsigned i = 0; i < 2; i++) {
		invocation.call_id = ++last_id;
		invocation.mode = modes[i];
		send_invoke_as(f, &invocation);
		usleep(i == 0 ? 100000 : 350000);
		send_cancel(f, last_id);
		expect_done(f, last_id, LINK_CANCELLED, "");
	}
	wait_until_none_stays();
	expect_end(f, -EPIPE);
}

/* Handles are not used twice, so one that is called without end uses them up. */
static void one_without_handles_is_replaced(void **state)
{
	struct fixture *f = start_resident();
	assert_int_equal(eos_fault_arm("cell.resident_handles:3=ENOMEM", NULL), 0);
	expect_answer(f, "count", "1 of 1, 0 ticks");
	expect_answer(f, "count", "2 of 1, 0 ticks");
	expect_answer(f, "count", "1 of 1, 0 ticks");
	expect_answer(f, "count", "2 of 1, 0 ticks");
	/* Nor does the new one get any: the call fails, and the next finds an instance. */
	assert_int_equal(eos_fault_arm("cell.resident_handles:*=ENOMEM", NULL), 0);
	expect_failure(f, call(f, "count", 0), LINK_NOT_STARTED, "");
	assert_int_equal(eos_fault_arm(NULL, NULL), 0);
	expect_answer(f, "count", "1 of 1, 0 ticks");
	expect_end(f, -EPIPE);
}

static void ends_with_calls_under_way(void **state)
{
	struct fixture *f = start_resident();
	for (unsigned i = 0; i < 5; i++)
		call(f, "mute", 0);
	usleep(20000);
	expect_end(f, -EPIPE);
}

static void isolation_fits_the_exports(void **state)
{
	struct fixture *f = start();
	load_as(f, resident_guest, 0, LINK_ISOLATION_REQUEST, -ENOSYS);
	load_as(f, guest, 0, LINK_ISOLATION_TENANT, -ENOSYS);
	load_as(f, guest, 0, LINK_ISOLATION_REQUEST, 0);
	load_as(f, resident_guest, 1, LINK_ISOLATION_TENANT, 0);
	expect_end(f, -EPIPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(state_stays_between_calls),
		cmocka_unit_test(message_is_environment_and_input),
		cmocka_unit_test(too_long_messages_are_refused),
		cmocka_unit_test(answers_are_bounded),
		cmocka_unit_test(large_answers_wait_for_room),
		cmocka_unit_test(a_death_ends_the_call_under_way),
		cmocka_unit_test(a_late_answer_costs_the_state),
		cmocka_unit_test(a_cancelled_call_leaves_the_state),
		cmocka_unit_test(a_full_way_is_waited_for),
		cmocka_unit_test(logs_to_the_call),
		cmocka_unit_test(a_death_that_fails_no_call_is_said),
		cmocka_unit_test(timers_run_between_calls),
		cmocka_unit_test(sends_end_with_the_call),
		cmocka_unit_test(what_follows_a_call_is_not_urgent),
		cmocka_unit_test(rings_are_to_blame),
		cmocka_unit_test(waits_for_its_rate),
		cmocka_unit_test(instances_are_apart),
		cmocka_unit_test(the_longest_idle_one_goes),
		cmocka_unit_test(one_without_calls_is_given_up),
		cmocka_unit_test(calls_that_never_begin_do_not_keep_it),
		cmocka_unit_test(one_without_handles_is_replaced),
		cmocka_unit_test(ends_with_calls_under_way),
		cmocka_unit_test(isolation_fits_the_exports),
	};
	return cmocka_run_group_tests(tests, open_resident, close_guest);
}
