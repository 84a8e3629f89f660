/*
 * The supervisor with cells that misbehave (fixtures/fake_cell.c): each costs its calls and itself.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cell/fixtures/node_fixture.h"
#include "link/link_proto.h"

/* Each misbehaving cell costs its calls and itself, and is started again. */
static void outlives_hostile_cells(void **state)
{
	/* The first two spoil it before they have a call. */
	static const char *const kinds[] = {"twice-ready", "counts-back",  "dies-later",
					    "scribble",	   "handle",	   "bucket",
					    "event",	   "two-requests", "other-call"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(kinds); i++) {
		struct node node;
		struct outcome outcome;
		char program[512];
		snprintf(program, sizeof(program), "%s/fake_cell-%s", FAKE_CELLS, kinds[i]);
		start_node(&node, program);
		node.restarts = 1;
		submit(&node, world.guest, "hello", "", 0, &outcome);
		if (i > 1) {
			run_until(&node, is_all_done);
			assert_int_equal(outcome.outcome, FUNC_CELL_LOST);
		}
		run_until(&node, has_restarted);
		stop_node(&node);
		outcome_fini(&outcome);
	}
}

static void outlives_cells_that_do_not_start(void **state)
{
	static const char *const kinds[] = {"dies", "noise"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(kinds); i++) {
		struct node node;
		char program[512];
		snprintf(program, sizeof(program), "%s/fake_cell-%s", FAKE_CELLS, kinds[i]);
		start_node(&node, program);
		node.restarts = 4;
		run_until(&node, has_restarted);
		stop_node(&node);
	}
}

/* The first restarts are immediate; a cell that goes on dying is started once a second. */
static void restarts_back_off(void **state)
{
	struct node node;
	start_node(&node, FAKE_CELLS "/fake_cell-dies");
	uint64_t begin_ns = eos_now_ns();
	node.restarts = 7;
	run_until(&node, has_restarted);
	assert_true(eos_now_ns() - begin_ns > 1900 * EOS_NS_PER_MS);
	stop_node(&node);
}

static void a_call_is_done_once(void **state)
{
	struct node node;
	struct outcome outcome;
	start_node(&node, FAKE_CELLS "/fake_cell-twice-done");
	node.restarts = 1;
	submit(&node, world.guest, "hello", "", 0, &outcome);
	run_until(&node, is_all_done);
	assert_int_equal(outcome.outcome, FUNC_OK);
	run_until(&node, has_restarted);
	stop_node(&node);
	outcome_fini(&outcome);
}

/* One that asks and does not listen: what would wait for it is bounded. */
static void a_deaf_cell_is_killed(void **state)
{
	struct node node;
	struct outcome outcome;
	static char input[LINK_DATA_MAX];
	start_node(&node, FAKE_CELLS "/fake_cell-floods");
	submit(&node, world.guest, "hello", input, sizeof(input), &outcome);
	run_until(&node, is_all_done);
	assert_int_equal(outcome.outcome, FUNC_CELL_LOST);
	assert_string_equal(outcome.text, "the cell ended under it (signal 9)");
	stop_node(&node);
	outcome_fini(&outcome);
}

static void a_hung_cell_is_killed(void **state)
{
	struct node node;
	struct outcome outcome;
	start_node(&node, FAKE_CELLS "/fake_cell-hangs");
	submit(&node, world.quick, "hello", "", 0, &outcome);
	run_until(&node, is_all_done);
	assert_int_equal(outcome.outcome, FUNC_CELL_LOST);
	stop_node(&node);
	outcome_fini(&outcome);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(outlives_hostile_cells),
		cmocka_unit_test(outlives_cells_that_do_not_start),
		cmocka_unit_test(restarts_back_off),
		cmocka_unit_test(a_call_is_done_once),
		cmocka_unit_test(a_deaf_cell_is_killed),
		cmocka_unit_test(a_hung_cell_is_killed),
	};
	return cmocka_run_group_tests(tests, make_world, free_world);
}
