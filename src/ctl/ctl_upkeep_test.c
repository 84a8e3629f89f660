/*
 * Jobs over an engine whose upkeep does what the test says, step by step.
 */
#include "ctl/ctl_upkeep.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "base/node.h"
#include "store/store_engine.h"

/* What the job does: PROBLEMS first, then PROGRESS again and again until it may end. */
struct engine {
	struct store store;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	/* Guarded by lock. */
	bool may_end;
	unsigned problems;
	int err;
	unsigned begun, ended;
};

static int work(struct store *store, store_problem_fn problem, store_progress_fn progress,
		void *ctx)
{
	struct engine *engine = (struct engine *)store;
	pthread_mutex_lock(&engine->lock);
	engine->begun++;
	for (unsigned i = 0; i < engine->problems; i++)
		problem(ctx, i == 1 ? "" : "bucket", "k\n\xff", 3,
			i == 0	 ? STORE_VERSION_LATEST
			: i == 1 ? STORE_VERSION_NULL
				 : 0xabc,
			"its data is damaged");
	int err = engine->err;
	while (progress(ctx, 40, 100) && !engine->may_end)
		pthread_cond_wait(&engine->changed, &engine->lock);
	if (!progress(ctx, 50, 100))
		err = -EINTR;
	engine->ended++;
	pthread_cond_broadcast(&engine->changed);
	pthread_mutex_unlock(&engine->lock);
	return err;
}

static int fake_verify(struct store *store, store_problem_fn problem, store_progress_fn progress,
		       void *ctx, struct store_verdict *ret_verdict)
{
	int err = work(store, problem, progress, ctx);
	if (err == 0)
		*ret_verdict = (struct store_verdict){1, 2, 3, 4, 5, 6, 7};
	return err;
}

static int fake_compact(struct store *store, store_progress_fn progress, void *ctx,
			uint64_t *ret_freed_bytes)
{
	int err = work(store, NULL, progress, ctx);
	if (err == 0)
		*ret_freed_bytes = 4096;
	return err;
}

static const struct store_engine_ops ops = {
	.verify = fake_verify,
	.repair = fake_verify,
	.compact = fake_compact,
};

struct fixture {
	struct engine engine;
	struct ctl_upkeep *upkeep;
	struct eos_buf text;
	struct eos_doc *doc;
};

static void setup(struct fixture *f)
{
	*f = (struct fixture){.engine = {.store = {&ops}}};
	pthread_mutex_init(&f->engine.lock, NULL);
	pthread_cond_init(&f->engine.changed, NULL);
	assert_int_equal(ctl_upkeep_new(&f->engine.store, &f->upkeep), 0);
}

static void teardown(struct fixture *f)
{
	ctl_upkeep_free(f->upkeep);
	eos_doc_free(f->doc);
	eos_buf_fini(&f->text);
	pthread_cond_destroy(&f->engine.changed);
	pthread_mutex_destroy(&f->engine.lock);
}

/* The job as it is told to others. */
static const struct eos_node *look(struct fixture *f)
{
	eos_buf_clear(&f->text);
	f->doc = eos_doc_free(f->doc);
	struct eos_json json = eos_json_begin(&f->text);
	ctl_upkeep_put(f->upkeep, &json);
	assert_false(eos_buf_failed(&f->text));
	assert_int_equal(eos_doc_parse_json("job", f->text.data, f->text.len, &f->doc, NULL), 0);
	return eos_doc_root(f->doc);
}

static const char *field(const struct eos_node *map, const char *key)
{
	const struct eos_node *node = eos_node_get(map, key);
	return node == NULL ? "absent" : eos_node_text(node);
}

static void wake(struct fixture *f, bool may_end)
{
	pthread_mutex_lock(&f->engine.lock);
	f->engine.may_end = may_end;
	pthread_cond_broadcast(&f->engine.changed);
	pthread_mutex_unlock(&f->engine.lock);
}

static void wait_until_begun(struct fixture *f, unsigned begun)
{
	/* It holds the lock but for its waiting, which comes after its first progress. */
	for (;;) {
		pthread_mutex_lock(&f->engine.lock);
		bool is_done = f->engine.begun >= begun;
		pthread_mutex_unlock(&f->engine.lock);
		if (is_done)
			return;
		sched_yield();
	}
}

static void wait_for_end(struct fixture *f)
{
	while (strcmp(field(look(f), "running"), "true") == 0)
		sched_yield();
}

static void test_kinds(void **state)
{
	enum ctl_upkeep_kind kind = CTL_UPKEEP_COMPACT;
	assert_true(ctl_upkeep_parse_kind("verify", &kind));
	assert_int_equal(kind, CTL_UPKEEP_VERIFY);
	assert_true(ctl_upkeep_parse_kind("compact", &kind));
	assert_int_equal(kind, CTL_UPKEEP_COMPACT);
	assert_false(ctl_upkeep_parse_kind("upkeep", &kind));
	assert_false(ctl_upkeep_parse_kind("", &kind));
}

static void test_life_of_a_job(void **state)
{
	struct fixture f;
	setup(&f);
	assert_string_equal(field(look(&f), "id"), "0");
	assert_string_equal(field(look(&f), "kind"), "absent");
	assert_int_equal(ctl_upkeep_stop(f.upkeep), -ENOENT);
	assert_int_equal(ctl_upkeep_start(f.upkeep, CTL_UPKEEP_VERIFY), 0);
	wait_until_begun(&f, 1);
	const struct eos_node *job = look(&f);
	assert_string_equal(field(job, "running"), "true");
	assert_string_equal(field(job, "kind"), "verify");
	assert_string_equal(field(job, "done"), "40");
	assert_string_equal(field(job, "of"), "100");
	assert_null(eos_node_get(job, "verdict"));
	assert_null(eos_node_get(job, "ended"));
	assert_int_equal(ctl_upkeep_start(f.upkeep, CTL_UPKEEP_COMPACT), -EBUSY);
	wake(&f, true);
	wait_for_end(&f);
	job = look(&f);
	assert_string_equal(field(job, "done"), "50");
	assert_string_equal(field(job, "error"), "absent");
	const struct eos_node *verdict = eos_node_get(job, "verdict");
	assert_string_equal(field(verdict, "objects"), "1");
	assert_string_equal(field(verdict, "chunks"), "2");
	assert_string_equal(field(verdict, "bytes"), "3");
	assert_string_equal(field(verdict, "damaged_objects"), "4");
	assert_string_equal(field(verdict, "damaged_chunks"), "5");
	assert_string_equal(field(verdict, "wrong_counts"), "6");
	assert_string_equal(field(verdict, "leaked_bytes"), "7");
	assert_int_equal(ctl_upkeep_stop(f.upkeep), -ENOENT);
	/* The next one knows nothing of it, not even that a stop came too late. */
	assert_int_equal(ctl_upkeep_start(f.upkeep, CTL_UPKEEP_COMPACT), 0);
	wait_for_end(&f);
	job = look(&f);
	assert_string_equal(field(job, "id"), "2");
	assert_string_equal(field(job, "error"), "absent");
	assert_string_equal(field(eos_node_get(job, "verdict"), "freed_bytes"), "4096");
	teardown(&f);
}

static void test_problems_are_bounded(void **state)
{
	struct fixture f;
	setup(&f);
	f.engine.problems = CTL_UPKEEP_PROBLEMS_MAX + 3;
	f.engine.may_end = true;
	assert_int_equal(ctl_upkeep_start(f.upkeep, CTL_UPKEEP_REPAIR), 0);
	wait_for_end(&f);
	const struct eos_node *job = look(&f);
	const struct eos_node *problems = eos_node_get(job, "problems");
	assert_string_equal(field(job, "problems_count"), "259");
	assert_int_equal(eos_node_count(problems), CTL_UPKEEP_PROBLEMS_MAX);
	assert_string_equal(field(eos_node_at(problems, 0), "version"), "latest");
	assert_string_equal(field(eos_node_at(problems, 1), "version"), "null");
	assert_string_equal(field(eos_node_at(problems, 2), "version"), "0000000000000abc");
	assert_string_equal(field(eos_node_at(problems, 0), "bucket"), "bucket");
	assert_string_equal(field(eos_node_at(problems, 1), "bucket"), "");
	assert_string_equal(field(eos_node_at(problems, 0), "key"), "k\n\xef\xbf\xbd");
	assert_string_equal(field(eos_node_at(problems, 0), "text"), "its data is damaged");
	teardown(&f);
}

static void test_stop_and_errors(void **state)
{
	struct fixture f;
	setup(&f);
	assert_int_equal(ctl_upkeep_start(f.upkeep, CTL_UPKEEP_VERIFY), 0);
	wait_until_begun(&f, 1);
	assert_int_equal(ctl_upkeep_stop(f.upkeep), 0);
	wake(&f, false);
	wait_for_end(&f);
	assert_string_equal(field(look(&f), "error"), "stopped");
	assert_null(eos_node_get(look(&f), "verdict"));
	f.engine.err = -EIO;
	f.engine.may_end = true;
	assert_int_equal(ctl_upkeep_start(f.upkeep, CTL_UPKEEP_COMPACT), 0);
	wait_for_end(&f);
	assert_string_equal(field(look(&f), "error"), strerror(EIO));
	assert_null(eos_node_get(look(&f), "verdict"));
	teardown(&f);
}

static void *close_it(void *ctx)
{
	ctl_upkeep_close(ctx);
	return NULL;
}

/* Closing waits for the job, and none begins afterwards. */
static void test_close(void **state)
{
	struct fixture f;
	pthread_t closer;
	setup(&f);
	assert_int_equal(ctl_upkeep_start(f.upkeep, CTL_UPKEEP_VERIFY), 0);
	wait_until_begun(&f, 1);
	assert_int_equal(pthread_create(&closer, NULL, close_it, f.upkeep), 0);
	while (ctl_upkeep_start(f.upkeep, CTL_UPKEEP_VERIFY) == -EBUSY)
		sched_yield();
	assert_string_equal(field(look(&f), "running"), "true");
	wake(&f, false);
	pthread_join(closer, NULL);
	assert_int_equal(f.engine.ended, 1);
	assert_string_equal(field(look(&f), "error"), "stopped");
	assert_int_equal(ctl_upkeep_start(f.upkeep, CTL_UPKEEP_VERIFY), -ECANCELED);
	teardown(&f);
}

/* Many who start and stop at once: one job at a time, and each is waited for. */
static void *hammer(void *ctx)
{
	struct fixture *f = ctx;
	for (unsigned i = 0; i < 200; i++) {
		int err = ctl_upkeep_start(f->upkeep, CTL_UPKEEP_COMPACT);
		if (err != 0 && err != -EBUSY)
			return f;
		if (i % 3 == 0)
			err = ctl_upkeep_stop(f->upkeep); /* unless it has ended */
	}
	return NULL;
}

static void test_many_threads(void **state)
{
	struct fixture f;
	pthread_t threads[4];
	setup(&f);
	f.engine.may_end = true;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, hammer, &f), 0);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(threads); i++) {
		void *failed;
		pthread_join(threads[i], &failed);
		assert_null(failed);
	}
	wait_for_end(&f);
	char begun[24];
	snprintf(begun, sizeof(begun), "%u", f.engine.begun);
	assert_string_equal(field(look(&f), "id"), begun);
	assert_int_equal(f.engine.begun, f.engine.ended);
	teardown(&f);
}

int main(void)
{
	eos_log_set_level(EOS_LOG_ERROR);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_life_of_a_job),
		cmocka_unit_test(test_problems_are_bounded),
		cmocka_unit_test(test_stop_and_errors),
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_many_threads),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
