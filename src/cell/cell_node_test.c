/*
 * A real store, a real edge-cell and a real function (fixtures/guest.c), and cells that misbehave
 * (fixtures/fake_cell.c).
 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <fcntl.h>
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

#include "aot/aot.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"

#define MANIFEST                                                                                   \
	"function: %s\n"                                                                           \
	"tenant: acme\n"                                                                           \
	"image: guest.wasm\n"                                                                      \
	"limits: {memory: 16MiB, timeout: %s, stack: 128KiB, concurrency: 100}\n"                  \
	"grants:\n"                                                                                \
	"  - {bucket: work, access: read-write}\n"                                                 \
	"  - {bucket: inbox, access: read}\n"                                                      \
	"  - {bucket: outbox, access: write}\n"

static struct {
	char dir[64];
	int cache_fd;		     /* images and their key, kept between runs of this test */
	const struct image *instead; /* what open_image() gives a copy of */
	struct store *store;
	struct func_registry *registry;
	struct func_log *log;
	struct image_key key;
	struct eos_buf module;
	struct func *guest, *quick; /* quick has a short timeout */
} world;

static struct image_key other_key = {.seed = "not the key of the node's images"};

struct node {
	struct eos_loop *loop;
	struct func_queue *queue;
	struct supervisor *supervisor;
	struct eos_timer *poll_timer;
	bool (*until)(struct node *node);
	uint64_t until_ns;
	unsigned waiting; /* calls under way */
	uint64_t restarts;
};

static int open_image(void *ctx, const struct func *func, struct image **ret_image,
		      struct eos_why *why)
{
	if (world.instead != NULL)
		return image_open(image_fd(world.instead), other_key.public_key, ret_image, why);
	struct aot_config config = {
		.cache_dir_fd = world.cache_fd,
		.work_dir = world.dir,
		.key = &world.key,
		.program = EDGE_AOT,
	};
	return aot_build(&config, "guest.wasm", world.module.data, world.module.len, ret_image,
			 why);
}

static void put_object(const char *bucket, const char *key, const char *text)
{
	struct store_object_info info = {0};
	struct store_upload *upload;
	assert_int_equal(store_upload_begin(world.store, bucket, key, strlen(key), &info, &upload),
			 0);
	assert_int_equal(store_upload_write(upload, text, strlen(text), 0), 0);
	assert_int_equal(store_upload_commit(upload, STORE_ALWAYS, NULL), 0);
}

static bool has_object(const char *bucket, const char *key)
{
	struct store_object_info info;
	int err = store_object_get(world.store, bucket, key, strlen(key), &info);
	assert_true(err == 0 || err == -ENOENT);
	return err == 0;
}

static struct func *deploy(const char *name, const char *timeout)
{
	char manifest[1024];
	struct eos_why why = {""};
	struct func *func = NULL;
	snprintf(manifest, sizeof(manifest), MANIFEST, name, timeout);
	int err = func_registry_put(world.registry, "t.yaml", manifest, strlen(manifest),
				    world.module.data, world.module.len, &func, &why);
	if (err < 0)
		fail_msg("%s", why.text);
	return func;
}

static int make_world(void **state)
{
	struct eos_why why = {""};
	eos_log_set_level(EOS_LOG_WARN);
	strcpy(world.dir, "/tmp/cell-node-test-XXXXXX");
	assert_non_null(mkdtemp(world.dir));
	assert_int_equal(eos_mkdir_p(IMAGE_CACHE, 0700), 0);
	world.cache_fd = open(IMAGE_CACHE, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(world.cache_fd >= 0);
	assert_int_equal(crypto_sign_public(other_key.seed, other_key.public_key), 0);
	memcpy(world.key.seed, "the key of the cell's tests", 28);
	assert_int_equal(crypto_sign_public(world.key.seed, world.key.public_key), 0);
	char path[128];
	snprintf(path, sizeof(path), "%s/store", world.dir);
	if (store_open(path, &world.store, &why) < 0 ||
	    func_registry_open(world.store, &world.registry, &why) < 0)
		fail_msg("%s", why.text);
	assert_int_equal(func_log_new(&world.log), 0);
	assert_int_equal(eos_read_file(AT_FDCWD, GUEST_WASM, 1 << 24, &world.module), 0);
	assert_int_equal(store_bucket_create(world.store, "work"), 0);
	assert_int_equal(store_bucket_create(world.store, "inbox"), 0);
	assert_int_equal(store_bucket_create(world.store, "outbox"), 0);
	put_object("inbox", "given", "given text");
	put_object("outbox", "secret", "secret text");
	world.guest = deploy("guest", "20s");
	world.quick = deploy("quick", "150ms");
	return 0;
}

static int free_world(void **state)
{
	char command[128];
	func_unref(world.guest);
	func_unref(world.quick);
	func_registry_free(world.registry);
	func_log_free(world.log);
	store_close(world.store);
	eos_buf_fini(&world.module);
	eos_close(world.cache_fd);
	snprintf(command, sizeof(command), "rm -rf %s", world.dir);
	return system(command) == 0 ? 0 : -1;
}

static void on_poll(void *ctx)
{
	struct node *node = ctx;
	assert_true(eos_now_ns() < node->until_ns);
	if (node->until(node))
		eos_loop_stop(node->loop);
	else
		eos_timer_arm(node->poll_timer, 5);
}

/* Runs the loop until UNTIL is true; that long is for ever. */
static void run_until(struct node *node, bool (*until)(struct node *node))
{
	node->until = until;
	node->until_ns = eos_now_ns() + 20 * EOS_NS_PER_S;
	eos_timer_arm(node->poll_timer, 0);
	eos_loop_run(node->loop);
}

static bool is_ready(struct node *node)
{
	return supervisor_is_ready(node->supervisor);
}

static bool is_all_done(struct node *node)
{
	return node->waiting == 0;
}

static bool has_restarted(struct node *node)
{
	struct supervisor_stats stats;
	supervisor_stats(node->supervisor, &stats);
	return stats.restarts >= node->restarts;
}

static void start_node(struct node *node, const char *program)
{
	struct eos_why why = {""};
	*node = (struct node){0};
	assert_int_equal(eos_loop_new(&node->loop), 0);
	assert_int_equal(eos_timer_new(node->loop, on_poll, node, &node->poll_timer), 0);
	assert_int_equal(func_queue_new(&node->queue), 0);
	struct supervisor_config config = {
		.loop = node->loop,
		.store = world.store,
		.registry = world.registry,
		.queue = node->queue,
		.log = world.log,
		.cell_program = program,
		.image_public_key = world.key.public_key,
		.open_image = open_image,
	};
	if (supervisor_new(&config, &node->supervisor, &why) < 0)
		fail_msg("%s", why.text);
}

static void stop_node(struct node *node)
{
	node->supervisor = supervisor_free(node->supervisor);
	func_queue_free(node->queue);
	eos_timer_free(node->poll_timer);
	eos_loop_free(node->loop);
}

struct outcome {
	struct node *node;
	struct func_call *call; /* while it runs */
	enum func_outcome outcome;
	uint32_t exit_code;
	char text[128];
	struct eos_buf output, errors;
};

static void on_done(void *ctx, struct func_call *call)
{
	struct outcome *outcome = ctx;
	outcome->outcome = call->outcome;
	outcome->exit_code = call->exit_code;
	memcpy(outcome->text, call->text, sizeof(outcome->text));
	eos_buf_append(&outcome->output, call->output.data, call->output.len);
	eos_buf_append(&outcome->errors, call->errors.data, call->errors.len);
	outcome->call = NULL;
	outcome->node->waiting--;
}

static void submit(struct node *node, struct func *func, const char *mode, const void *input,
		   size_t input_len, struct outcome *outcome)
{
	struct func_call *call;
	*outcome = (struct outcome){.node = node};
	assert_int_equal(func_call_new(func, &call), 0);
	eos_buf_printf(&call->environment, "MODE=%s", mode);
	eos_buf_append(&call->environment, "", 1);
	eos_buf_append(&call->input, input, input_len);
	call->on_done = on_done;
	call->ctx = outcome;
	outcome->call = call;
	node->waiting++;
	if (strcmp(mode, "event") == 0) {
		call->event = calloc(1, sizeof(*call->event));
		assert_non_null(call->event);
		strcpy(call->event->bucket, "inbox");
		strcpy(call->event->key, "given");
		call->event->key_len = 5;
	}
	assert_int_equal(func_queue_submit(node->queue, call), 0);
}

static void outcome_fini(struct outcome *outcome)
{
	eos_buf_fini(&outcome->output);
	eos_buf_fini(&outcome->errors);
}

/* Runs MODE; its output must be TEXT. */
static void expect_output(struct node *node, const char *mode, const char *text)
{
	struct outcome outcome;
	submit(node, world.guest, mode, "", 0, &outcome);
	run_until(node, is_all_done);
	if (outcome.outcome != FUNC_OK || outcome.output.len != strlen(text) ||
	    memcmp(outcome.output.data, text, strlen(text)) != 0)
		fail_msg("%s: outcome %d, text %s, output %s", mode, outcome.outcome, outcome.text,
			 outcome.output.data);
	outcome_fini(&outcome);
}

static void expect_outcome(struct node *node, struct func *func, const char *mode,
			   enum func_outcome want, const char *text)
{
	struct outcome outcome;
	submit(node, func, mode, "", 0, &outcome);
	run_until(node, is_all_done);
	assert_int_equal(outcome.outcome, want);
	assert_string_equal(outcome.text, text);
	outcome_fini(&outcome);
}

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
	/* A file that was never closed was never there. */
	expect_output(&node, "leave", "");
	assert_false(has_object("work", "left"));
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
	check->err = supervisor_check_image(check->node->supervisor, check->image, &check->why);
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
	size_t size;
	int fd = memfd_create("other-image", MFD_CLOEXEC);
	if (open_image(NULL, world.guest, &image, &why) < 0 ||
	    image_write(fd, image_info(image), image_elf(image, &size), &other_key, &why) < 0 ||
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
	struct supervisor_config config = {
		.loop = node.loop,
		.store = world.store,
		.registry = world.registry,
		.queue = node.queue,
		.log = world.log,
		.cell_program = "/no/such/edge-cell",
		.image_public_key = world.key.public_key,
		.open_image = open_image,
	};
	assert_int_equal(supervisor_new(&config, &supervisor, &why), -ENOENT);
	assert_non_null(strstr(why.text, "/no/such/edge-cell"));
	stop_node(&node);
}

/* Each misbehaving cell costs its calls and itself, and is started again. */
static void outlives_hostile_cells(void **state)
{
	static const char *const kinds[] = {"twice-ready",  "dies-later", "scribble",
					    "handle",	    "bucket",	  "event",
					    "two-requests", "other-call"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(kinds); i++) {
		struct node node;
		struct outcome outcome;
		char program[512];
		snprintf(program, sizeof(program), "%s/fake_cell-%s", FAKE_CELLS, kinds[i]);
		start_node(&node, program);
		node.restarts = 1;
		submit(&node, world.guest, "hello", "", 0, &outcome);
		if (i > 0) {
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
		cmocka_unit_test(runs_functions),
		cmocka_unit_test(carries_input_and_errors),
		cmocka_unit_test(serves_files),
		cmocka_unit_test(many_calls_at_once),
		cmocka_unit_test(cancels),
		cmocka_unit_test(survives_a_killed_cell),
		cmocka_unit_test(stops_under_load),
		cmocka_unit_test(stops_at_once),
		cmocka_unit_test(checks_images),
		cmocka_unit_test(no_such_program),
		cmocka_unit_test(outlives_hostile_cells),
		cmocka_unit_test(outlives_cells_that_do_not_start),
		cmocka_unit_test(a_call_is_done_once),
		cmocka_unit_test(a_hung_cell_is_killed),
		cmocka_unit_test(refuses_other_keys),
	};
	return cmocka_run_group_tests(tests, make_world, free_world);
}
