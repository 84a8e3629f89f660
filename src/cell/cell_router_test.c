/*
 * The router with several real cells: what they share, and how they start and end together.
 * Which cell a call gets is tested in src/router, what a cell does with it in cell_node_test.c.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cell/fixtures/node_fixture.h"
#include "router/router.h"

#define CELLS 3u
#define CALLS 12u

static int new_router(struct node *node, const char *program, struct router **ret_router,
		      struct eos_why *why)
{
	const struct router_config config = {.cell = config_of(node, program), .cells = CELLS};
	return router_new(&config, ret_router, why);
}

static struct supervisor_stats stats_of(struct node *node, unsigned cell)
{
	struct supervisor_stats stats;
	router_stats(node->more, cell, &stats);
	return stats;
}

static bool all_ready(struct node *node)
{
	unsigned ready = 0;
	for (unsigned i = 0; i < CELLS; i++)
		ready += stats_of(node, i).is_ready;
	assert_int_equal(router_is_ready(node->more), ready > 0);
	return ready == CELLS;
}

static struct router *start_router(struct node *node)
{
	struct eos_why why = {""};
	struct router *router;
	start_loop(node);
	if (new_router(node, EDGE_CELL, &router, &why) < 0)
		fail_msg("%s", why.text);
	node->more = router;
	run_until(node, all_ready);
	assert_int_equal(router_cells(router), CELLS);
	return router;
}

static void stop_router(struct node *node)
{
	assert_null(router_free(node->more));
	stop_loop(node);
}

static void calls_take_turns(void **state)
{
	struct node node;
	struct outcome outcomes[CALLS];
	start_router(&node);
	for (size_t i = 0; i < CALLS; i++)
		submit(&node, world.guest, "hello", "", 0, &outcomes[i]);
	run_until(&node, is_all_done);
	for (size_t i = 0; i < CALLS; i++) {
		assert_int_equal(outcomes[i].outcome, FUNC_OK);
		outcome_fini(&outcomes[i]);
	}
	for (unsigned i = 0; i < CELLS; i++) {
		struct supervisor_stats stats = stats_of(&node, i);
		assert_int_equal(stats.calls_running, 0);
		assert_int_equal(stats.calls_under_way, 0);
		assert_int_equal(stats.calls_started, CALLS / CELLS);
	}
	stop_router(&node);
}

static unsigned running_calls(struct node *node)
{
	unsigned running = 0;
	for (unsigned i = 0; i < CELLS; i++)
		running += stats_of(node, i).calls_running;
	return running;
}

static bool half_run(struct node *node)
{
	return running_calls(node) == CALLS / 2;
}

/* The other half waits in the queue, and is refused as well when its turn comes during the stop. */
static void stops_under_load(void **state)
{
	static struct func_tenants tenants;
	struct node node;
	struct outcome outcomes[CALLS], late;
	struct router *router = start_router(&node);
	uint64_t started = 0;
	func_tenants_init(&tenants);
	func_queue_set_limits(node.queue, &tenants, CALLS / 2);
	for (size_t i = 0; i < CALLS; i++)
		submit(&node, world.guest, i % 2 ? "hold" : "sleep", "", 0, &outcomes[i]);
	run_until(&node, half_run);
	router_stop(router);
	assert_int_equal(node.waiting, 0);
	for (unsigned i = 0; i < CELLS; i++)
		started += stats_of(&node, i).calls_started;
	/* The first cell has refused the rest. */
	assert_int_equal(started, CALLS / 2);
	assert_false(router_is_ready(router));
	submit(&node, world.guest, "hello", "", 0, &late);
	assert_int_equal(late.outcome, FUNC_REFUSED);
	outcome_fini(&late);
	stop_router(&node);
	for (size_t i = 0; i < CALLS; i++) {
		assert_int_equal(outcomes[i].outcome, FUNC_REFUSED);
		outcome_fini(&outcomes[i]);
	}
}

static bool each_has_one(struct node *node)
{
	for (unsigned i = 0; i < CELLS; i++)
		if (stats_of(node, i).calls_running != 1)
			return false;
	return true;
}

static bool second_has_restarted(struct node *node)
{
	return stats_of(node, 1).restarts == 1;
}

static void a_cell_dies_alone(void **state)
{
	struct node node;
	struct outcome outcomes[CELLS];
	struct supervisor_stats before[CELLS];
	unsigned lost = 0;
	struct router *router = start_router(&node);
	for (size_t i = 0; i < CELLS; i++)
		submit(&node, world.guest, "sleep", "", 0, &outcomes[i]);
	run_until(&node, each_has_one);
	for (unsigned i = 0; i < CELLS; i++)
		before[i] = stats_of(&node, i);
	assert_int_equal(kill(before[1].cell_pid, SIGKILL), 0);
	run_until(&node, second_has_restarted);
	for (unsigned i = 0; i < CELLS; i++) {
		struct supervisor_stats after = stats_of(&node, i);
		assert_int_equal(after.restarts, i == 1);
		assert_int_equal(after.calls_running, i != 1);
		assert_int_equal(after.cell_pid == before[i].cell_pid, i != 1);
		lost += outcomes[i].call == NULL && outcomes[i].outcome == FUNC_CELL_LOST;
	}
	assert_int_equal(node.waiting, CELLS - 1);
	assert_int_equal(lost, 1);
	router_stop(router);
	for (unsigned i = 0; i < CELLS; i++)
		outcome_fini(&outcomes[i]);
	stop_router(&node);
}

struct check {
	struct node *node;
	struct image *image;
	int err;
	bool is_done;
};

static void *check_image(void *arg)
{
	struct check *check = arg;
	struct eos_why why = {""};
	check->err =
		router_check_image(check->node->more, check->image, FUNC_ISOLATION_REQUEST, &why);
	__atomic_store_n(&check->is_done, true, __ATOMIC_RELEASE);
	return NULL;
}

static struct check the_check;

static bool is_checked(struct node *node)
{
	return __atomic_load_n(&the_check.is_done, __ATOMIC_ACQUIRE);
}

static bool first_has_restarted(struct node *node)
{
	struct supervisor_stats stats = stats_of(node, 0);
	return stats.restarts == node->restarts && stats.is_ready;
}

static bool first_is_away(struct node *node)
{
	return stats_of(node, 0).cell_pid == 0;
}

/* Also while the first cell is away: it has died so often that it is not started at once. */
static void checks_images_in_a_ready_cell(void **state)
{
	struct node node;
	struct eos_why why = {""};
	start_router(&node);
	for (node.restarts = 1; node.restarts <= 6; node.restarts++) {
		assert_int_equal(kill(stats_of(&node, 0).cell_pid, SIGKILL), 0);
		run_until(&node, node.restarts < 6 ? first_has_restarted : first_is_away);
	}
	the_check = (struct check){.node = &node};
	assert_int_equal(open_image(NULL, world.guest, &the_check.image, &why), 0);
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, check_image, &the_check), 0);
	run_until(&node, is_checked);
	pthread_join(thread, NULL);
	assert_int_equal(the_check.err, 0);
	image_close(the_check.image);
	assert_true(first_is_away(&node));
	stop_router(&node);
}

static unsigned count_fds(void)
{
	unsigned count = 0;
	DIR *dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

/* With one descriptor more each time, until there are enough for all cells: whatever failed,
 * nothing is left behind. */
static void all_start_or_none(void **state)
{
	struct node node;
	struct rlimit before, limit;
	struct router *router = NULL;
	struct eos_why why = {""};
	start_loop(&node);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	limit = before;
	int lowest = fcntl(0, F_DUPFD, 3), err = -EMFILE;
	assert_true(lowest >= 3);
	close(lowest);
	unsigned fds = count_fds(), failures = 0;
	for (rlim_t i = (rlim_t)lowest; err < 0; i++, failures++) {
		limit.rlim_cur = i;
		assert_true(i < before.rlim_cur);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
		err = new_router(&node, EDGE_CELL, &router, &why);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		if (err == 0)
			break;
		assert_int_equal(err, -EMFILE);
		assert_non_null(strstr(why.text, "starting the cell"));
		assert_int_equal(count_fds(), fds);
		assert_true(waitpid(-1, NULL, WNOHANG) < 0 && errno == ECHILD);
	}
	/* A memfd, two doorbells, a socket and a pidfd each. */
	assert_true(failures >= CELLS * 5);
	node.more = router;
	run_until(&node, all_ready);
	stop_router(&node);
}

static void no_such_program(void **state)
{
	struct node node;
	struct eos_why why = {""};
	struct router *router;
	start_loop(&node);
	assert_int_equal(new_router(&node, "/no/such/edge-cell", &router, &why), -ENOENT);
	assert_non_null(strstr(why.text, "/no/such/edge-cell"));
	stop_loop(&node);
}

/* A processor that there is not: the cell says so and works on the others. */
static void forbidden_processors(void **state)
{
	struct node node;
	struct supervisor_config config;
	struct eos_why why = {""};
	start_node(&node, EDGE_CELL);
	config = config_of(&node, EDGE_CELL);
	config.processor = 1023;
	struct supervisor *other;
	if (supervisor_new(&config, &other, &why) < 0)
		fail_msg("%s", why.text);
	struct func_executor executor = {
		.start = supervisor_call_start,
		.cancel = supervisor_call_cancel,
		.ctx = other,
	};
	func_queue_set_executor(node.queue, &executor);
	expect_outcome(&node, world.guest, "hello", FUNC_OK, "");
	struct supervisor_stats stats;
	supervisor_stats(other, &stats);
	assert_int_equal(stats.calls_started, 1);
	assert_int_equal(stats.restarts, 0);
	/* Both share the workers, so these go between. */
	supervisor_stop(other);
	supervisor_stop(node.supervisor);
	func_queue_set_executor(node.queue, NULL);
	node.image_workers = eos_workers_free(node.image_workers);
	node.file_workers = eos_workers_free(node.file_workers);
	supervisor_free(other);
	stop_node(&node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_take_turns),
		cmocka_unit_test(stops_under_load),
		cmocka_unit_test(a_cell_dies_alone),
		cmocka_unit_test(checks_images_in_a_ready_cell),
		cmocka_unit_test(all_start_or_none),
		cmocka_unit_test(no_such_program),
		cmocka_unit_test(forbidden_processors),
	};
	return cmocka_run_group_tests(tests, make_world, free_world);
}
