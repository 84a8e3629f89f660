/*
 * The supervisor and the cell with a real store and a real function (fixtures/guest.c).
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "cell/fixtures/node_fixture.h"
#include "sched/sanitizer.h"

static void runs_functions(void **state)
{
	struct node node;
	struct supervisor_stats stats;
	start_node(&node, EDGE_CELL);
	/* Also before the cell is ready. */
	expect_output(&node, "hello", "hello from guest\n");
	expect_output(&node, "hello", "hello from guest\n");
	expect_output(&node, "environment", "MODE=environment\n");
	expect_output(&node, "nap", "ok\n");
	expect_outcome(&node, world.guest, "exit", FUNC_EXIT, "exit code 3");
	expect_outcome(&node, world.guest, "trap", FUNC_TRAP, "trap: unreachable executed");
	expect_outcome(&node, world.guest, "bounds", FUNC_TRAP,
		       "trap: out of bounds memory access");
	/* ThreadSanitizer keeps signals back until the program calls something, which a guest that
	 * computes does not. */
	if (!SCHED_TSAN)
		expect_outcome(&node, world.quick, "spin", FUNC_TIMEOUT, "timed out after 0.150 s");
	expect_outcome(&node, world.quick, "sleep", FUNC_TIMEOUT, "timed out after 0.150 s");
	expect_outcome(&node, world.guest, "flood", FUNC_OUTPUT_LIMIT, "wrote more than 16 MiB");
	expect_output(&node, "hello", "hello from guest\n");
	supervisor_stats(node.supervisor, &stats);
	assert_int_equal(stats.restarts, 0);
	assert_int_equal(stats.calls_running, 0);
	assert_true(stats.cell_pid > 0);
	stop_node(&node);
}

static void carries_input_and_errors(void **state)
{
	struct node node;
	struct outcome outcome;
	size_t len = 1 << 20;
	char *data = malloc(len), text[64];
	unsigned long sum = 0;
	assert_non_null(data);
	for (size_t i = 0; i < len; i++)
		sum += (unsigned char)(data[i] = (char)(i * 31 + i / 1000));
	start_node(&node, EDGE_CELL);
	submit(&node, world.guest, "echo", data, len, &outcome);
	run_until(&node, is_all_done);
	assert_int_equal(outcome.outcome, FUNC_OK);
	assert_int_equal(outcome.output.len, len);
	assert_memory_equal(outcome.output.data, data, len);
	outcome_fini(&outcome);
	submit(&node, world.guest, "count", data, len, &outcome);
	run_until(&node, is_all_done);
	snprintf(text, sizeof(text), "%zu %lu\n", len, sum);
	assert_string_equal(outcome.output.data, text);
	outcome_fini(&outcome);
	submit(&node, world.guest, "errors", "", 0, &outcome);
	run_until(&node, is_all_done);
	assert_int_equal(outcome.outcome, FUNC_OK);
	assert_int_equal(outcome.errors.len, 64 << 10);
	outcome_fini(&outcome);
	stop_node(&node);
	free(data);
}

static void serves_files(void **state)
{
	struct node node;
	char key[32], text[64];
	unsigned long sum = 0;
	for (unsigned i = 0; i < 1200; i++) {
		snprintf(key, sizeof(key), "many/%u%s", i, i % 100 == 7 ? "/in/deep" : "");
		put_object("inbox", key, "");
		sum += i;
	}
	start_node(&node, EDGE_CELL);
	expect_output(&node, "names", "ok\n");
	expect_output(&node, "bytes", "ok\n");
	expect_output(&node, "grants", "ok\n");
	expect_output(&node, "event", "ok\n");
	expect_output(&node, "open-many", "64 ok\n");
	snprintf(text, sizeof(text), "2400 %lu\n", 2 * sum);
	expect_output(&node, "list-many", text);
	/* A good end closes what the program left open. */
	expect_output(&node, "leave", "");
	assert_true(has_object("work", "left"));
	stop_node(&node);
	put_object("outbox", "secret", "secret text");
}

static void many_calls_at_once(void **state)
{
	struct node node;
	static struct outcome outcomes[300];
	static const char *const modes[] = {"hello", "nap", "event", "sleep"};
	start_node(&node, EDGE_CELL);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(outcomes); i++) {
		const char *mode = modes[i % 4];
		struct func *func = i % 4 == 3 ? world.quick : world.guest;
		submit(&node, func, mode, "", 0, &outcomes[i]);
	}
	run_until(&node, is_all_done);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(outcomes); i++) {
		enum func_outcome want = i % 4 == 3 ? FUNC_TIMEOUT : FUNC_OK;
		if (outcomes[i].outcome != want)
			fail_msg("%s: outcome %d, text %s, output %s", modes[i % 4],
				 outcomes[i].outcome, outcomes[i].text, outcomes[i].output.data);
		outcome_fini(&outcomes[i]);
	}
	stop_node(&node);
}

static bool is_holding(struct node *node)
{
	static uint64_t since_ns;
	struct supervisor_stats stats;
	supervisor_stats(node->supervisor, &stats);
	if (stats.calls_running == 0)
		since_ns = eos_now_ns();
	return eos_now_ns() - since_ns > 200 * EOS_NS_PER_MS;
}

static void cancels(void **state)
{
	struct node node;
	struct outcome outcome;
	start_node(&node, EDGE_CELL);
	submit(&node, world.guest, "hold", "", 0, &outcome);
	run_until(&node, is_holding);
	func_queue_cancel(node.queue, outcome.call);
	run_until(&node, is_all_done);
	assert_int_equal(outcome.outcome, FUNC_REFUSED);
	assert_string_equal(outcome.text, "cancelled");
	assert_false(has_object("work", "held"));
	outcome_fini(&outcome);
	stop_node(&node);
}

static void survives_a_killed_cell(void **state)
{
	struct node node;
	struct outcome held, waiting;
	struct supervisor_stats stats;
	start_node(&node, EDGE_CELL);
	submit(&node, world.guest, "hold", "", 0, &held);
	run_until(&node, is_holding);
	supervisor_stats(node.supervisor, &stats);
	assert_int_equal(stats.calls_running, 1);
	assert_int_equal(kill(stats.cell_pid, SIGKILL), 0);
	submit(&node, world.guest, "hello", "", 0, &waiting);
	run_until(&node, is_all_done);
	assert_int_equal(held.outcome, FUNC_CELL_LOST);
	assert_string_equal(held.text, "the cell ended under it (signal 9)");
	assert_false(has_object("work", "held"));
	outcome_fini(&held);
	/* It came in before or after the death was seen. */
	assert_true(waiting.outcome == FUNC_OK || waiting.outcome == FUNC_CELL_LOST);
	outcome_fini(&waiting);
	expect_output(&node, "hello", "hello from guest\n");
	supervisor_stats(node.supervisor, &stats);
	assert_int_equal(stats.restarts, 1);
	stop_node(&node);
}

static bool is_ready_again(struct node *node)
{
	return has_restarted(node) && is_ready(node);
}

/* The time without a cell, as its clients see it. */
static void a_killed_cell_is_replaced_at_once(void **state)
{
	struct node node;
	struct supervisor_stats stats;
	uint64_t longest_ns = 0;
	start_node(&node, EDGE_CELL);
	expect_output(&node, "hello", "hello from guest\n");
	for (node.restarts = 1; node.restarts <= 3; node.restarts++) {
		supervisor_stats(node.supervisor, &stats);
		uint64_t begin_ns = eos_now_ns();
		assert_int_equal(kill(stats.cell_pid, SIGKILL), 0);
		run_until(&node, is_ready_again);
		longest_ns = EOS_MAX(longest_ns, eos_now_ns() - begin_ns);
	}
	print_message("from kill -9 to READY: at most %.1f ms\n", (double)longest_ns / 1e6);
	assert_true(longest_ns < EOS_NS_PER_S);
	expect_output(&node, "hello", "hello from guest\n");
	stop_node(&node);
}

static void stops_under_load(void **state)
{
	struct node node;
	struct outcome outcomes[8];
	start_node(&node, EDGE_CELL);
	for (size_t i = 0; i < 8; i++)
		submit(&node, world.guest, i % 2 ? "hold" : "sleep", "", 0, &outcomes[i]);
	run_until(&node, is_holding);
	supervisor_stop(node.supervisor);
	assert_int_equal(node.waiting, 0);
	struct outcome late;
	submit(&node, world.guest, "hello", "", 0, &late);
	assert_int_equal(late.outcome, FUNC_REFUSED);
	outcome_fini(&late);
	stop_node(&node);
	for (size_t i = 0; i < 8; i++) {
		assert_int_equal(outcomes[i].outcome, FUNC_REFUSED);
		outcome_fini(&outcomes[i]);
	}
	assert_false(has_object("work", "held"));
}

/* Not even ready: stopped while everything waits. */
static void stops_at_once(void **state)
{
	struct node node;
	struct outcome outcome;
	start_node(&node, EDGE_CELL);
	submit(&node, world.guest, "hello", "", 0, &outcome);
	stop_node(&node);
	assert_int_equal(outcome.outcome, FUNC_REFUSED);
	outcome_fini(&outcome);
}

struct check {
	struct node *node;
	const struct image *image;
	int err;
	struct eos_why why;
	_Atomic bool is_done;
};

static void *check_image(void *arg)
{
	struct check *check = arg;
	check->err = supervisor_check_image(check->node->supervisor, check->image,
					    FUNC_ISOLATION_REQUEST, &check->why);
	atomic_store(&check->is_done, true);
	return NULL;
}

static struct check *current_check;

static bool is_checked(struct node *node)
{
	return atomic_load(&current_check->is_done);
}

static int check_in(struct node *node, const struct image *image)
{
	struct check check = {.node = node, .image = image};
	pthread_t thread;
	current_check = &check;
	assert_int_equal(pthread_create(&thread, NULL, check_image, &check), 0);
	run_until(node, is_checked);
	pthread_join(thread, NULL);
	return check.err;
}

static void checks_images(void **state)
{
	struct node node;
	struct image *image = NULL;
	struct eos_why why = {""};
	start_node(&node, EDGE_CELL);
	if (open_image(NULL, world.guest, &image, &why) < 0)
		fail_msg("%s", why.text);
	run_until(&node, is_ready);
	assert_int_equal(check_in(&node, image), 0);
	assert_int_equal(check_in(&node, image), 0);
	expect_output(&node, "hello", "hello from guest\n");
	supervisor_stop(node.supervisor);
	assert_int_equal(check_in(&node, image), -EAGAIN);
	image_close(image);
	stop_node(&node);
}

/* The cell believes nobody but the key it was given. */
static void refuses_other_keys(void **state)
{
	struct node node;
	struct eos_why why = {""};
	struct image *image = NULL, *other = NULL;
	struct outcome outcome;
	size_t size, names_size;
	int fd = memfd_create("other-image", MFD_CLOEXEC);
	if (open_image(NULL, world.guest, &image, &why) < 0 ||
	    image_write(fd, image_info(image), image_elf(image, &size),
			image_names(image, &names_size), &other_key, &why) < 0 ||
	    image_open(fd, other_key.public_key, &other, &why) < 0)
		fail_msg("%s", why.text);
	start_node(&node, EDGE_CELL);
	run_until(&node, is_ready);
	assert_int_equal(check_in(&node, image), 0);
	assert_int_equal(check_in(&node, other), -EBADMSG);
	world.instead = other;
	submit(&node, world.guest, "hello", "", 0, &outcome);
	run_until(&node, is_all_done);
	world.instead = NULL;
	assert_int_equal(outcome.outcome, FUNC_REFUSED);
	assert_non_null(strstr(outcome.text, "signature"));
	outcome_fini(&outcome);
	expect_output(&node, "hello", "hello from guest\n");
	image_close(image);
	image_close(other);
	eos_close(fd);
	stop_node(&node);
}

static void no_such_program(void **state)
{
	struct node node;
	struct eos_why why = {""};
	struct supervisor *supervisor;
	start_node(&node, EDGE_CELL);
	struct supervisor_config config = config_of(&node, "/no/such/edge-cell");
	assert_int_equal(supervisor_new(&config, &supervisor, &why), -ENOENT);
	assert_non_null(strstr(why.text, "/no/such/edge-cell"));
	stop_node(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_functions),
		cmocka_unit_test(carries_input_and_errors),
		cmocka_unit_test(serves_files),
		cmocka_unit_test(many_calls_at_once),
		cmocka_unit_test(cancels),
		cmocka_unit_test(survives_a_killed_cell),
		cmocka_unit_test(a_killed_cell_is_replaced_at_once),
		cmocka_unit_test(stops_under_load),
		cmocka_unit_test(stops_at_once),
		cmocka_unit_test(checks_images),
		cmocka_unit_test(refuses_other_keys),
		cmocka_unit_test(no_such_program),
	};
	return cmocka_run_group_tests(tests, make_world, free_world);
}
