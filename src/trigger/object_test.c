/*
 * The object trigger over a real loop, store, registry and queue. The executor is a double that
 * does what the test's plan says, one turn of the loop later.
 */
#include "trigger/trigger.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fault.h"
#include "base/node.h"
#include "trigger/object_priv.h"

static char dir[64];
static struct eos_loop *loop;
static struct store *store;
static struct func_registry *registry;
static struct func_queue *queue;
static struct func_log *log_;
static struct trigger_object *trigger;
static struct eos_timer *poll_timer;

/* --- the executor --- */

static enum func_outcome plan[16]; /* outcomes in order; the last stays */
static unsigned plan_count, plan_at;
static unsigned calls; /* since setup */
static unsigned most_at_once, at_once;
static bool holds; /* calls are kept until the test ends them */
static struct func_call *held[TRIGGER_DELIVERIES_MAX];
static unsigned held_count;
static char inputs[4096]; /* the keys of the calls' events, each with a space */

static void end_call(void *ctx)
{
	struct func_call *call = ctx;
	at_once--;
	func_queue_done(queue, call);
}

static void start(void *ctx, struct func_call *call)
{
	calls++;
	at_once++;
	most_at_once = EOS_MAX(most_at_once, at_once);
	assert_non_null(call->event);
	size_t n = strlen(inputs);
	snprintf(inputs + n, sizeof(inputs) - n, "%s ", call->event->key);
	call->outcome = plan[plan_at];
	call->exit_code = 1;
	if (plan_at + 1 < plan_count)
		plan_at++;
	if (holds)
		held[held_count++] = call;
	else
		assert_int_equal(eos_loop_post(loop, end_call, call), 0);
}

static void cancel(void *ctx, struct func_call *call)
{
}

static const struct func_executor executor = {start, cancel, NULL};

static void set_plan(unsigned count, const enum func_outcome *outcomes)
{
	memcpy(plan, outcomes, count * sizeof(plan[0]));
	plan_count = count;
	plan_at = 0;
}
#define PLAN(...)                                                                                  \
	set_plan(sizeof((enum func_outcome[]){__VA_ARGS__}) / sizeof(enum func_outcome),           \
		 (const enum func_outcome[]){__VA_ARGS__})

/* --- the world --- */

static int remember(void *ctx, const struct store_event *event)
{
	(*(unsigned *)ctx)++;
	return 0;
}

static unsigned outbox(void)
{
	unsigned count = 0;
	assert_int_equal(store_outbox_list(store, 0, remember, &count), 0);
	return count;
}

static unsigned want_calls, want_outbox;

static void look(void *ctx)
{
	if (calls >= want_calls && outbox() == want_outbox && at_once == held_count)
		eos_loop_stop(loop);
	else
		eos_timer_arm(poll_timer, 2);
}

/* Runs the loop until so many calls were made and so many events are left. */
static void run_until(unsigned calls_made, unsigned events_left)
{
	want_calls = calls_made;
	want_outbox = events_left;
	eos_timer_arm(poll_timer, 0);
	eos_loop_run(loop);
	assert_int_equal(calls, calls_made);
}

/* A rule beside the manifests: what begins with "rule" goes to the function f. */
static void match_rule(void *ctx, const struct store_event *event,
		       void (*emit)(void *emit_ctx, const char *target, const char *rule),
		       void *emit_ctx)
{
	if (strncmp(event->key, "rule", 4) == 0)
		emit(emit_ctx, "f", "the rule");
}

static const struct trigger_rules rules = {match_rule, NULL};

static void start_trigger(void)
{
	assert_int_equal(func_queue_new(&queue), 0);
	func_queue_set_executor(queue, &executor);
	assert_int_equal(trigger_object_new(loop, store, registry, queue, log_, &rules, &trigger),
			 0);
}

static void stop_trigger(void)
{
	trigger = trigger_object_free(trigger);
	queue = func_queue_free(queue);
}

static int setup(void **state)
{
	struct eos_why why = {""};
	/* These tests make many small commits; what a disk does with them is tested elsewhere. */
	strcpy(dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/eos-object-XXXXXX"
						  : "/tmp/eos-object-XXXXXX");
	calls = at_once = most_at_once = held_count = 0;
	inputs[0] = '\0';
	holds = false;
	PLAN(FUNC_OK);
	if (eos_loop_new(&loop) < 0 || mkdtemp(dir) == NULL || store_open(dir, &store, &why) < 0 ||
	    func_registry_open(store, &registry, &why) < 0 || func_log_new(&log_) < 0 ||
	    eos_timer_new(loop, look, NULL, &poll_timer) < 0)
		return -1;
	start_trigger();
	return store_bucket_create(store, "raw");
}

static int teardown(void **state)
{
	char command[96];
	stop_trigger();
	poll_timer = eos_timer_free(poll_timer);
	log_ = func_log_free(log_);
	registry = func_registry_free(registry);
	store = store_close(store);
	loop = eos_loop_free(loop);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (eos_fault_arm(NULL, NULL) < 0)
		return -1;
	return system(command) == 0 ? 0 : -1;
}

static void set_owner(const char *tenant)
{
	struct store_bucket_settings settings;
	assert_int_equal(store_bucket_settings_get(store, "raw", &settings), 0);
	snprintf(settings.tenant, sizeof(settings.tenant), "%s", tenant);
	assert_int_equal(store_bucket_settings_set(store, "raw", &settings), 0);
}

static void deploy(const char *name, const char *more)
{
	char yaml[1024];
	struct eos_why why = {""};
	int n = snprintf(yaml, sizeof(yaml), "function: %s\nimage: x\n%s", name, more);
	if (strstr(more, "triggers:") == NULL)
		snprintf(yaml + n, sizeof(yaml) - (size_t)n,
			 "triggers: [{object: {bucket: raw, prefix: %s}}]\n", name);
	if (func_registry_put(registry, "t.yaml", yaml, strlen(yaml), "wasm", 4, NULL, &why) < 0)
		fail_msg("%s", why.text);
}

static void put(const char *key)
{
	struct store_object_info *info = calloc(1, sizeof(*info));
	struct store_upload *upload;
	assert_int_equal(store_upload_begin(store, "raw", key, strlen(key), info, &upload), 0);
	assert_int_equal(store_upload_write(upload, "data", 4, 0), 0);
	assert_int_equal(store_upload_commit(upload, NULL, NULL), 0);
	free(info);
}

static void expect_log(const char *function, const char *text)
{
	struct eos_buf buf;
	eos_buf_init(&buf);
	assert_int_equal(func_log_read(log_, function, &buf), 0);
	if (buf.data == NULL || strstr(buf.data, text) == NULL)
		fail_msg("no \"%s\" in: %s", text, buf.data);
	eos_buf_fini(&buf);
}

#define FAST "retry: {attempts: 3, backoff: 10ms}\n"

/* --- the tests --- */

static void test_delivery(void **state)
{
	deploy("f", "config: {COLOUR: red}\n");
	put("f1");
	put("other");
	put("f2");
	run_until(2, 0);
	assert_non_null(strstr(inputs, "f1 "));
	assert_non_null(strstr(inputs, "f2 "));
}

static void test_the_call(void **state)
{
	holds = true;
	deploy("f", "config: {COLOUR: red}\n");
	put("f 1");
	run_until(1, 1);
	struct func_call *call = held[0];
	assert_string_equal(call->event->bucket, "raw");
	assert_string_equal(call->event->key, "f 1");
	assert_memory_equal(call->environment.data, "COLOUR=red", 11);
	struct eos_doc *doc;
	assert_int_equal(eos_doc_parse_json("e", call->input.data, call->input.len, &doc, NULL), 0);
	const struct eos_node *record = eos_node_at(eos_node_get(eos_doc_root(doc), "Records"), 0);
	assert_string_equal(eos_node_text(eos_node_get(record, "eventName")), "ObjectCreated:Put");
	const struct eos_node *object = eos_node_get(eos_node_get(record, "s3"), "object");
	assert_string_equal(eos_node_text(eos_node_get(object, "key")), "f+1");
	assert_string_equal(eos_node_text(eos_node_get(object, "size")), "4");
	eos_doc_free(doc);
	held_count = 0;
	end_call(call);
	run_until(1, 0);
}

static void test_retries(void **state)
{
	PLAN(FUNC_EXIT, FUNC_TRAP, FUNC_OK);
	deploy("f", FAST);
	put("f1");
	run_until(3, 0);
	expect_log("f", "object raw/f1: attempt 1 of 3: exit code 1");
	expect_log("f", "object raw/f1: attempt 2 of 3: trap");
}

static void test_given_up(void **state)
{
	PLAN(FUNC_TIMEOUT);
	deploy("f", FAST);
	put("f1");
	run_until(3, 0);
	expect_log("f", "attempt 3 of 3: timeout; given up");
}

static void test_dead_letter(void **state)
{
	PLAN(FUNC_TRAP);
	deploy("f", "retry: {attempts: 2, backoff: 10ms, dead_letter: failed}\n");
	put("f1");
	run_until(2, 0);
	struct store_reader *reader;
	char key[64] = "";
	for (unsigned id = 0; id < 64; id++) {
		snprintf(key, sizeof(key), "f/%016x.json", id);
		if (store_reader_open(store, "failed", key, strlen(key), STORE_VERSION_LATEST,
				      &reader) == 0)
			break;
		reader = NULL;
	}
	assert_non_null(reader);
	char text[4096];
	int64_t n = store_reader_read(reader, text, sizeof(text), 0);
	assert_true(n > 0);
	assert_string_equal(store_metadata_get(store_reader_info(reader), "content-type"),
			    "application/json");
	store_reader_close(reader);
	struct eos_doc *doc;
	assert_int_equal(eos_doc_parse_json("d", text, (size_t)n, &doc, NULL), 0);
	const struct eos_node *root = eos_doc_root(doc);
	assert_string_equal(eos_node_text(eos_node_get(root, "function")), "f");
	assert_string_equal(eos_node_text(eos_node_get(root, "reason")), "trap");
	assert_string_equal(eos_node_text(eos_node_get(root, "attempts")), "2");
	assert_int_equal(eos_node_count(eos_node_get(eos_node_get(root, "event"), "Records")), 1);
	eos_doc_free(doc);
}

/* The dead letter cannot be written: the event stays. */
static void test_a_dead_letter_comes_before_the_removal(void **state)
{
	PLAN(FUNC_TRAP);
	deploy("f", "retry: {attempts: 1, dead_letter: failed}\n");
	assert_int_equal(eos_fault_arm("trigger.dead_letter_write:*=EIO", NULL), 0);
	put("f1");
	run_until(1, 1);
	stop_trigger();
	assert_int_equal(outbox(), 1);
	assert_int_equal(eos_fault_arm(NULL, NULL), 0);
	start_trigger();
	run_until(2, 0);
}

static void test_a_lost_cell(void **state)
{
	/* Once is no attempt; twice in a row is one. */
	PLAN(FUNC_CELL_LOST, FUNC_OK);
	deploy("f", "retry: {attempts: 1}\n");
	put("f1");
	run_until(2, 0);
	PLAN(FUNC_CELL_LOST);
	put("f2");
	run_until(4, 0);
	expect_log("f", "attempt 1 of 1: the cell died; given up");
}

static void test_refused_calls_do_not_count(void **state)
{
	PLAN(FUNC_REFUSED, FUNC_OK);
	deploy("f", "retry: {attempts: 1}\n");
	put("f1");
	run_until(2, 0);
	expect_log("f", "not started; not counted");
}

static void test_a_removed_function(void **state)
{
	deploy("f", "");
	func_queue_set_executor(queue, NULL); /* the cell is not there */
	put("f1");
	put("f2");
	stop_trigger();
	assert_int_equal(outbox(), 2);
	assert_int_equal(func_registry_remove(registry, "f"), 0);
	start_trigger();
	run_until(0, 0);
}

static void test_restart(void **state)
{
	deploy("f", "");
	func_queue_set_executor(queue, NULL); /* the cell is not there */
	for (int i = 0; i < 10; i++) {
		char key[8];
		snprintf(key, sizeof(key), "f%d", i);
		put(key);
	}
	eos_timer_arm(poll_timer, 20);
	want_calls = 0;
	want_outbox = 10;
	eos_loop_run(loop);
	stop_trigger();
	assert_int_equal(calls, 0);
	assert_int_equal(outbox(), 10);
	start_trigger();
	run_until(10, 0);
}

/* The function ended well, but this could not be written: the event is delivered again. */
static void test_at_least_once(void **state)
{
	deploy("f", "");
	assert_int_equal(eos_fault_arm("trigger.event_remove:1=EIO", NULL), 0);
	put("f1");
	run_until(1, 1);
	stop_trigger();
	start_trigger();
	run_until(2, 0);
}

static void test_a_backlog(void **state)
{
	deploy("f", "limits: {concurrency: 1000}\n");
	for (int i = 0; i < 200; i++) {
		char key[8];
		snprintf(key, sizeof(key), "f%d", i);
		put(key);
	}
	run_until(200, 0);
	assert_true(most_at_once <= TRIGGER_SHARE_MAX);
}

/* A function that never ends fills its share; another's event is delivered all the same, and then
 * the rest of the first one's. */
static void test_a_backlog_starves_nobody(void **state)
{
	holds = true;
	deploy("f", "limits: {concurrency: 1000}\n");
	deploy("g", "");
	for (int i = 0; i < 150; i++) {
		char key[8];
		snprintf(key, sizeof(key), "f%d", i);
		put(key);
	}
	put("g1");
	run_until(TRIGGER_SHARE_MAX + 1, 151);
	assert_non_null(strstr(inputs, "g1 "));
	holds = false;
	unsigned count = held_count;
	held_count = 0;
	for (unsigned i = 0; i < count; i++)
		end_call(held[i]);
	run_until(151, 0);
}

/* The other order of the end: waiting calls are the queue's to refuse. */
static void test_the_queue_may_go_first(void **state)
{
	deploy("f", "");
	func_queue_set_executor(queue, NULL);
	put("f1");
	want_calls = 0;
	want_outbox = 1;
	eos_timer_arm(poll_timer, 20);
	eos_loop_run(loop);
	queue = func_queue_free(queue);
	trigger = trigger_object_free(trigger);
	assert_int_equal(outbox(), 1);
	start_trigger();
	run_until(1, 0);
}

static void test_two_functions_one_object(void **state)
{
	deploy("f", "");
	deploy("fg", "");
	put("fg1");
	run_until(2, 0);
}

static void test_rules(void **state)
{
	holds = true;
	set_owner("acme");
	deploy("f", "tenant: acme\n");
	put("rule1");
	run_until(1, 1);
	struct func_call *call = held[0];
	assert_string_equal(call->event->rule, "the rule");
	assert_string_equal(call->event->owner, "acme");
	assert_non_null(strstr(call->input.data, "\"configurationId\":\"the rule\""));
	assert_non_null(strstr(call->input.data, "\"ownerIdentity\":{\"principalId\":\"acme\"}"));
	holds = false;
	held_count = 0;
	end_call(call);
	run_until(1, 0);
	/* The operator's rules may start anybody's functions. */
	set_owner("");
	put("rule2");
	run_until(2, 0);
}

/* Nobody is let in by a rule that was right when it was made, and what does not fit is gone. */
static void test_rules_that_do_not_hold(void **state)
{
	put("rule1"); /* no such function */
	run_until(0, 0);
	set_owner("other");
	deploy("f", "tenant: acme\n");
	put("rule2");
	run_until(0, 0);
	set_owner("acme");
	deploy("f", "tenant: acme\ngrants: [{bucket: raw, access: write}]\n"
		    "triggers: [{http: {path: /fun}}]\n");
	put("rule3");
	run_until(0, 0);
	/* What a function may write to is no matter when nothing new is there. */
	assert_int_equal(store_object_delete(store, "raw", "rule3", 5, NULL, NULL), 0);
	run_until(1, 0);
}

/* A manifest's trigger and a rule for the same event: one call, by the manifest's right. */
static void test_a_rule_and_a_manifest(void **state)
{
	set_owner("other");
	deploy("f", "tenant: acme\ntriggers: [{object: {bucket: raw}}]\n");
	put("rule1");
	run_until(1, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_delivery),
		TEST(test_the_call),
		TEST(test_retries),
		TEST(test_given_up),
		TEST(test_dead_letter),
		TEST(test_a_dead_letter_comes_before_the_removal),
		TEST(test_a_lost_cell),
		TEST(test_refused_calls_do_not_count),
		TEST(test_a_removed_function),
		TEST(test_restart),
		TEST(test_at_least_once),
		TEST(test_a_backlog),
		TEST(test_a_backlog_starves_nobody),
		TEST(test_the_queue_may_go_first),
		TEST(test_two_functions_one_object),
		TEST(test_rules),
		TEST(test_rules_that_do_not_hold),
		TEST(test_a_rule_and_a_manifest),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
