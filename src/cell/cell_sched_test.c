/*
 * Calls beside each other in a cell of this process: turns, rates, initialisations.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cell/cell_priv.h"
#include "cell/fixtures/cell_fixture.h"
#include "sched/sanitizer.h"

/* ThreadSanitizer keeps signals back until the program calls something, which a guest that computes
 * does not: it cannot be interrupted then. */
static void skip_without_preemption(void)
{
	if (SCHED_TSAN)
		skip();
}

static void others_run_beside_one_that_computes(void **state)
{
	skip_without_preemption();
	struct fixture *f = start();
	load_guest(f, 0);
	send_invoke(f, 1, 0, "spin", 0, 0);
	send_invoke_as(f, &(struct invocation){.call_id = 2, .tenant = "u", .mode = "spin"});
	for (uint64_t i = 3; i < 20; i++) {
		send_invoke(f, i, 0, "hello", 0, 0);
		expect_done(f, i, LINK_EXITED, "hello from a\n");
	}
	/* What runs is ended from outside. */
	send_cancel(f, 1);
	expect_done(f, 1, LINK_CANCELLED, "");
	send_invoke(f, 20, 0, "spin", 0, 20 * EOS_NS_PER_MS);
	expect_done(f, 20, LINK_TIMED_OUT, "");
	/* And a cell whose guests compute hears that it is to end. */
	expect_end(f, -EPIPE);
}

static void budgets_hold_up_only_their_own(void **state)
{
	skip_without_preemption();
	struct fixture *f = start();
	struct link_budget small = {.budget_ns = EOS_NS_PER_MS, .period_ns = 10 * EOS_NS_PER_S};
	load_guest(f, 0);
	/* Its initialisation is the first thing that is charged. */
	send_invoke_as(f, &(struct invocation){.call_id = 1,
					       .name = "poor",
					       .tenant = "p",
					       .mode = "spin",
					       .function = small,
					       .timeout_ns = 200 * EOS_NS_PER_MS});
	send_invoke_as(f, &(struct invocation){.call_id = 2,
					       .name = "poor",
					       .tenant = "q",
					       .mode = "spin",
					       .budget = small,
					       .timeout_ns = 200 * EOS_NS_PER_MS});
	for (uint64_t i = 3; i < 20; i++) {
		send_invoke(f, i, 0, "hello", 0, 0);
		expect_done(f, i, LINK_EXITED, "hello from a\n");
	}
	/* They wait for the next period, and time goes on for them. */
	struct link_message done = receive(f);
	assert_int_equal(done.done.outcome, LINK_TIMED_OUT);
	done = receive(f);
	assert_int_equal(done.done.outcome, LINK_TIMED_OUT);
	/* The function has nothing left either when it comes again. */
	send_invoke_as(f, &(struct invocation){.call_id = 1024,
					       .name = "poor",
					       .tenant = "p",
					       .mode = "hello",
					       .function = small,
					       .timeout_ns = 50 * EOS_NS_PER_MS});
	expect_done(f, 1024, LINK_TIMED_OUT, "");
	/* The same name of another tenant is another function. */
	send_invoke_as(f, &(struct invocation){
				  .call_id = 1025, .name = "poor", .tenant = "r", .mode = "hello"});
	expect_done(f, 1025, LINK_EXITED, "hello from poor\n");
	expect_end(f, -EPIPE);
}

static void host_calls_have_a_rate(void **state)
{
	struct fixture *f = start();
	load_guest(f, 0);
	send_invoke(f, 1, 0, "state", 0, 0);
	expect_done(f, 1, LINK_EXITED, "state 41\n");
	uint64_t begin_ns = eos_now_ns();
	send_invoke_as(
		f, &(struct invocation){.call_id = 2, .mode = "state", .host_calls_per_s = 500});
	send_invoke(f, 3, 0, "hello", 0, 0);
	expect_done(f, 3, LINK_EXITED, "hello from a\n");
	expect_done(f, 2, LINK_EXITED, "state 41\n");
	assert_true(eos_now_ns() - begin_ns > 100 * EOS_NS_PER_MS);
	/* One that waits can be ended. */
	send_invoke_as(f, &(struct invocation){.call_id = 4,
					       .mode = "state",
					       .host_calls_per_s = 1,
					       .timeout_ns = 50 * EOS_NS_PER_MS});
	expect_done(f, 4, LINK_TIMED_OUT, "");
	expect_end(f, -EPIPE);
}

static void calls_start_from_the_same_state(void **state)
{
	struct fixture *f = start();
	load_guest(f, 0);
	for (uint64_t i = 1; i <= 30; i++)
		send_invoke_as(f, &(struct invocation){
					  .call_id = i, .name = "init-sleep", .mode = "state"});
	/* All waited for the first one's initialisation. */
	for (unsigned i = 0; i < 30; i++) {
		struct link_message done = receive(f);
		assert_int_equal(done.header.kind, LINK_DONE);
		assert_int_equal(done.done_parts.output.len, 9);
		assert_memory_equal(done.done_parts.output.data, "state 41\n", 9);
	}
	expect_end(f, -EPIPE);
}

static void expect_not_started(struct fixture *f, unsigned count, const char *why)
{
	for (unsigned i = 0; i < count; i++) {
		struct link_message done = receive(f);
		assert_int_equal(done.header.kind, LINK_DONE);
		assert_int_equal(done.done.outcome, LINK_NOT_STARTED);
		assert_int_equal(done.done.code, LINK_FAULT_FUNCTION);
		assert_int_equal(done.done_parts.text.len, strlen(why));
		assert_memory_equal(done.done_parts.text.data, why, strlen(why));
	}
}

static void failed_initialisations_are_said(void **state)
{
	skip_without_preemption();
	struct fixture *f = start();
	load_guest(f, 0);
	for (unsigned round = 0; round < 2; round++) {
		for (uint64_t i = 1; i <= 4; i++)
			send_invoke_as(f, &(struct invocation){.call_id = i,
							       .name = "init-spin",
							       .mode = "hello"});
		send_invoke(f, 5, 0, "hello", 0, 0);
		expect_done(f, 5, LINK_EXITED, "hello from a\n");
		expect_not_started(f, 4, "its initialisation ran for longer than 0.100 s");
		send_invoke_as(f, &(struct invocation){
					  .call_id = 6, .name = "init-trap", .mode = "hello"});
		expect_not_started(f, 1, "its initialisation failed: trap: unreachable executed");
	}
	expect_end(f, -EPIPE);
}

/* The call that initialises is cancelled: another one of those that wait begins anew. */
static void initialisers_are_replaced(void **state)
{
	struct fixture *f = start();
	load_guest(f, 0);
	for (uint64_t i = 1; i <= 3; i++)
		send_invoke_as(f, &(struct invocation){
					  .call_id = i, .name = "init-sleep", .mode = "hello"});
	usleep(20000);
	send_cancel(f, 1);
	expect_done(f, 1, LINK_CANCELLED, "");
	send_cancel(f, 3); /* it waits */
	expect_done(f, 3, LINK_CANCELLED, "");
	expect_done(f, 2, LINK_EXITED, "hello from init-sleep\n");
	/* The end comes in the middle of it. */
	struct link_unload unload = {.header.kind = LINK_UNLOAD, .image_id = 0};
	load_guest(f, 1);
	for (uint64_t i = 1; i <= 3; i++)
		send_invoke_as(f, &(struct invocation){.call_id = i,
						       .image_id = 1,
						       .name = "init-sleep",
						       .mode = "hello"});
	send_message(f, &unload, sizeof(unload), NULL, 0);
	usleep(20000);
	expect_end(f, -EPIPE);
}

/* More functions than are kept, and images that go while they are in use. */
static void functions_come_and_go(void **state)
{
	struct fixture *f = start();
	struct link_unload unload = {.header.kind = LINK_UNLOAD, .image_id = 0};
	char name[16], tenant[16], text[32];
	load_guest(f, 0);
	for (uint64_t i = 1; i <= 300; i++) {
		snprintf(name, sizeof(name), "f%u", (unsigned)(i % 150));
		snprintf(tenant, sizeof(tenant), "t%u", (unsigned)(i % 40));
		snprintf(text, sizeof(text), "hello from %s\n", name);
		send_invoke_as(f, &(struct invocation){.call_id = i,
						       .name = name,
						       .tenant = tenant,
						       .mode = "hello",
						       .task_class = (uint32_t)(i % 8)});
		expect_done(f, i, LINK_EXITED, text);
	}
	send_invoke(f, 301, 0, "nap", 0, 0);
	send_message(f, &unload, sizeof(unload), NULL, 0);
	load_guest(f, 0);
	send_invoke(f, 302, 0, "hello", 0, 0);
	expect_done(f, 302, LINK_EXITED, "hello from a\n");
	expect_done(f, 301, LINK_EXITED, "ok\n");
	expect_end(f, -EPIPE);
}

static void reads_what_memory_is_left(void **state)
{
	static const char text[] = "MemTotal:       16000 kB\nMemFree:  12 kB\n"
				   "MemAvailable:   77 kB\nBuffers: x kB\n";
	uint64_t kib = 0;
	assert_int_equal(cell_memory_parse(text, "MemTotal", &kib), 0);
	assert_int_equal(kib, 16000);
	assert_int_equal(cell_memory_parse(text, "MemAvailable", &kib), 0);
	assert_int_equal(kib, 77);
	assert_int_equal(cell_memory_parse(text, "Mem", &kib), -ENOENT);
	assert_int_equal(cell_memory_parse(text, "Swap", &kib), -ENOENT);
	assert_int_equal(cell_memory_parse(text, "Buffers", &kib), -EBADMSG);
	assert_int_equal(cell_memory_parse("", "Mem", &kib), -ENOENT);
}

static void set_available(int fd, unsigned kib)
{
	char text[64];
	int n = snprintf(text, sizeof(text), "MemAvailable: %9u kB\n", kib);
	assert_int_equal(pwrite(fd, text, (size_t)n, 0), n);
}

static void gives_memory_back_when_it_is_short(void **state)
{
	struct cell *cell = calloc(1, sizeof(*cell));
	struct eos_why why = {""};
	assert_non_null(cell);
	cell_functions_init(cell);
	assert_int_equal(fwp_engine_new(NULL, &cell->engine, &why), 0);
	cell->meminfo_fd = memfd_create("meminfo", MFD_CLOEXEC);
	cell->memory_low_kib = 1000;
	/* Nothing was used: nothing to look for, also when memory is short. */
	set_available(cell->meminfo_fd, 10);
	assert_int_equal(cell_memory_check(cell), UINT64_MAX);
	assert_int_equal(cell->memory_check_ns, 0);
	cell_memory_note_use(cell, eos_now_ns());
	assert_int_equal(cell_memory_check(cell), UINT64_MAX);
	assert_false(cell->has_used_memory);
	/* Not twice in a second. */
	uint64_t now_ns = eos_now_ns();
	cell_memory_note_use(cell, now_ns);
	assert_true(cell_memory_check(cell) > now_ns);
	assert_true(cell->has_used_memory);
	/* Enough is there: it is kept, for a while. */
	set_available(cell->meminfo_fd, 5000);
	cell->memory_check_ns = 0;
	assert_true(cell_memory_check(cell) > now_ns);
	cell_memory_note_use(cell, now_ns - 60 * EOS_NS_PER_S);
	assert_int_equal(cell_memory_check(cell), UINT64_MAX);
	assert_false(cell->has_used_memory);
	fwp_engine_free(cell->engine);
	cell_memory_close(cell);
	free(cell);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(others_run_beside_one_that_computes),
		cmocka_unit_test(budgets_hold_up_only_their_own),
		cmocka_unit_test(host_calls_have_a_rate),
		cmocka_unit_test(calls_start_from_the_same_state),
		cmocka_unit_test(failed_initialisations_are_said),
		cmocka_unit_test(initialisers_are_replaced),
		cmocka_unit_test(functions_come_and_go),
		cmocka_unit_test(reads_what_memory_is_left),
		cmocka_unit_test(gives_memory_back_when_it_is_short),
	};
	return cmocka_run_group_tests(tests, open_guest, close_guest);
}
