#include "base/workers.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define JOBS 200

static struct eos_loop *loop;
static struct eos_workers *workers;
static pthread_t loop_thread;
static unsigned done, woken;
static _Atomic unsigned ran;

struct task {
	struct eos_job job;
	bool was_run;
};

static void run(struct eos_job *job)
{
	EOS_CONTAINER_OF(job, struct task, job)->was_run = true;
	atomic_fetch_add(&ran, 1);
}

static void on_job_done(struct eos_job *job)
{
	struct task *task = EOS_CONTAINER_OF(job, struct task, job);
	if (!task->was_run || !pthread_equal(pthread_self(), loop_thread))
		abort();
	free(task);
	if (++done == JOBS)
		eos_loop_stop(loop);
}

static void on_wake(void *ctx)
{
	if (!pthread_equal(pthread_self(), loop_thread))
		abort();
	woken++;
	eos_loop_stop(loop);
}

static void submit(void)
{
	struct task *task = calloc(1, sizeof(*task));
	task->job.run = run;
	task->job.done = on_job_done;
	eos_list_init(&task->job.link);
	eos_workers_submit(workers, &task->job);
}

static int setup(void **state)
{
	done = woken = 0;
	atomic_store(&ran, 0);
	loop_thread = pthread_self();
	if (eos_loop_new(&loop) < 0)
		return -1;
	return eos_workers_new(loop, 3, on_wake, NULL, &workers);
}

static int teardown(void **state)
{
	workers = eos_workers_free(workers);
	loop = eos_loop_free(loop);
	return 0;
}

static void test_jobs(void **state)
{
	for (int i = 0; i < JOBS; i++)
		submit();
	eos_loop_run(loop);
	assert_int_equal(done, JOBS);
	assert_int_equal(ran, JOBS);
}

static void *wake(void *arg)
{
	for (int i = 0; i < 100; i++)
		eos_workers_wake(workers);
	return NULL;
}

static void test_wake(void **state)
{
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, wake, NULL), 0);
	eos_loop_run(loop);
	pthread_join(thread, NULL);
	assert_true(woken >= 1);
	unsigned before = woken;
	eos_workers_wake(workers);
	eos_loop_run(loop);
	assert_true(woken > before);
}

/* The loop has not run: free() finishes the jobs, and the posts left behind harm nobody. */
static void test_free_finishes(void **state)
{
	for (int i = 0; i < 50; i++)
		submit();
	eos_workers_wake(workers);
	workers = eos_workers_free(workers);
	assert_int_equal(done, 50);
	assert_int_equal(woken, 0);
	assert_null(eos_workers_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_jobs, setup, teardown),
		cmocka_unit_test_setup_teardown(test_wake, setup, teardown),
		cmocka_unit_test_setup_teardown(test_free_finishes, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
