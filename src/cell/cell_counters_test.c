/*
 * What a cell tells edged of its counters, and when it does not.
 */
#include "cell/cell_priv.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/counter.h"
#include "base/str.h"
#include "cell/fixtures/cell_fixture.h"

static uint64_t reported(const struct fixture *f, const char *name)
{
	int place = link_counters_find(name);
	assert_true(place >= 0);
	return f->counters[place];
}

static void check_listed(void *ctx, const struct eos_counter *counter)
{
	static const char *const folders[] = {"cell.", "fwp.", "mma.", "sched.", "wasi."};
	bool is_ours = false;
	unsigned *count = ctx;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(folders); i++)
		is_ours |= eos_str_starts_with(counter->name, folders[i]);
	if (!is_ours)
		return;
	int place = link_counters_find(counter->name);
	if (place < 0)
		fail_msg("%s is not in link_counters.c", counter->name);
	assert_string_equal(link_counters[place].help, counter->help);
	++*count;
}

/* Both lists are written by hand: here they are held against each other. */
static void all_counters_are_listed(void **state)
{
	unsigned count = 0;
	eos_counter_each(check_listed, &count);
	assert_int_equal(count, LINK_COUNTERS_COUNT);
}

static void reports_and_falls_silent(void **state)
{
	struct fixture *f = start();
	uint64_t begin_ns = eos_now_ns();
	load_guest(f, 0);
	for (uint64_t i = 1; i <= 5; i++) {
		send_invoke(f, i, 0, "hello", 0, 0);
		expect_done(f, i, LINK_EXITED, "hello from a\n");
	}
	while (reported(f, "cell.calls_total") < 5)
		receive_report(f);
	/* Not at once: they are collected. */
	assert_true(eos_now_ns() - begin_ns > 900 * EOS_NS_PER_MS);
	assert_int_equal(reported(f, "cell.calls_total"), 5);
	/* One more, for the initialisation. */
	assert_int_equal(reported(f, "fwp.created_total"), 6);
	/* Cleaned places and the like may still be news; then there is nothing to say until unused
	 * memory is given back. */
	struct pollfd bell = {.fd = link_doorbell_fd(f->link), .events = POLLIN};
	unsigned more = 0;
	for (; link_has_message(f->link) ||
	       (link_prepare_wait(f->link) == 1 && poll(&bell, 1, 2000) == 1);
	     more++) {
		link_doorbell_clear(f->link);
		expect_silence(f);
	}
	assert_in_range(more, 0, 2);
	expect_end(f, -EPIPE);
}

/* A full ring costs the report, not the cell; the next one says it all. */
static void full_rings_cost_nothing(void **state)
{
	struct link_fds fds;
	struct link *node;
	struct eos_why why = {""};
	struct link_message message;
	static _Alignas(8) char buffer[LINK_MESSAGE_MAX], payload[LINK_PAYLOAD_MAX];
	uint64_t values[LINK_COUNTERS_COUNT], now_ns = eos_now_ns() + 10 * EOS_NS_PER_S;
	struct link_output output = {
		.header = {.kind = LINK_OUTPUT, .payload_len = sizeof(values)},
		.call_id = 1,
		.stream = LINK_STREAM_OUTPUT,
	};
	struct cell *cell = calloc(1, sizeof(*cell));
	assert_non_null(cell);
	cell_functions_init(cell);
	assert_int_equal(link_new(&node, &fds), 0);
	assert_int_equal(link_attach(&fds, &cell->link), 0);
	assert_int_equal(fwp_engine_new(NULL, &cell->engine, &why), 0);
	cell_counters_init(cell);
	/* Not before its time. */
	assert_int_equal(cell_counters_report(cell, eos_now_ns()), 0);
	assert_false(link_has_message(node));
	while (link_send(cell->link, &output, sizeof(output), payload, sizeof(values)) == 0)
		;
	int place = link_counters_find("cell.calls_total");
	cell->counters_sent[place] = UINT64_MAX; /* so there is something new */
	assert_int_equal(cell_counters_report(cell, now_ns), 0);
	assert_true(cell->counters_sent[place] == UINT64_MAX);
	/* The next time that it may, and not before. */
	assert_true(cell_counters_due(cell) > now_ns);
	while (link_receive(node, buffer, sizeof(buffer)) > 0)
		;
	assert_int_equal(cell_counters_report(cell, cell_counters_due(cell)), 0);
	int64_t n = link_receive(node, buffer, sizeof(buffer));
	assert_true(n > 0);
	assert_int_equal(link_decode_to_node(buffer, (size_t)n, &message), 0);
	assert_int_equal(message.header.kind, LINK_COUNTERS);
	link_counters_get(message.payload, values);
	assert_int_equal(values[place], eos_counter_read(cell->counters[place]));
	assert_true(cell_counters_due(cell) == UINT64_MAX);
	fwp_engine_free(cell->engine);
	link_free(cell->link);
	link_free(node);
	free(cell);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_counters_are_listed),
		cmocka_unit_test(full_rings_cost_nothing),
		cmocka_unit_test(reports_and_falls_silent),
	};
	return cmocka_run_group_tests(tests, open_guest, close_guest);
}
