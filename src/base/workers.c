/*
 * Threads, two lists under one lock, and a bell.
 *
 * The bell is what is posted to the loop: one object with its own life, because a post cannot be
 * taken back. At most one post is under way at a time. If the workers go first, the bell is cut
 * from them, and the post that is still under way frees it.
 */
#include "base/workers.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"

#define THREADS_MAX 8

struct bell {
	_Atomic bool is_posted;
	struct eos_workers *workers; /* the loop thread's; NULL: cut */
};

struct eos_workers {
	struct eos_loop *loop;
	void (*on_wake)(void *ctx);
	void *ctx;
	struct bell *bell;
	_Atomic bool is_woken;
	unsigned threads_count;
	pthread_t threads[THREADS_MAX];

	pthread_mutex_t lock; /* guards the rest */
	pthread_cond_t changed;
	struct eos_list waiting, done;
	bool is_stopping;
};

static void run_done(struct eos_workers *workers)
{
	for (;;) {
		pthread_mutex_lock(&workers->lock);
		struct eos_list *node = eos_list_take(&workers->done);
		pthread_mutex_unlock(&workers->lock);
		if (node == NULL)
			return;
		struct eos_job *job = EOS_CONTAINER_OF(node, struct eos_job, link);
		job->done(job);
	}
}

static void on_bell(void *ctx)
{
	struct bell *bell = ctx;
	struct eos_workers *workers = bell->workers;
	if (workers == NULL) {
		free(bell);
		return;
	}
	/* Before looking: what comes after this rings again. */
	atomic_store(&bell->is_posted, false);
	run_done(workers);
	if (atomic_exchange(&workers->is_woken, false))
		workers->on_wake(workers->ctx);
}

/* False: no memory for the post; then the next ring brings all. */
static bool ring(struct eos_workers *workers)
{
	struct bell *bell = workers->bell;
	if (atomic_exchange(&bell->is_posted, true))
		return true;
	if (eos_loop_post(workers->loop, on_bell, bell) == 0)
		return true;
	atomic_store(&bell->is_posted, false);
	return false;
}

static void *work(void *arg)
{
	struct eos_workers *workers = arg;
	pthread_mutex_lock(&workers->lock);
	for (;;) {
		struct eos_list *node = eos_list_take(&workers->waiting);
		if (node == NULL && workers->is_stopping)
			break;
		if (node == NULL) {
			pthread_cond_wait(&workers->changed, &workers->lock);
			continue;
		}
		pthread_mutex_unlock(&workers->lock);
		struct eos_job *job = EOS_CONTAINER_OF(node, struct eos_job, link);
		job->run(job);
		pthread_mutex_lock(&workers->lock);
		eos_list_add_tail(&workers->done, &job->link);
		bool is_stopping = workers->is_stopping;
		pthread_mutex_unlock(&workers->lock);
		/* The loop waits for this job: it must hear of it. (When stopping, free() looks.)
		 */
		while (!is_stopping && !ring(workers))
			usleep(10000);
		pthread_mutex_lock(&workers->lock);
	}
	pthread_mutex_unlock(&workers->lock);
	return NULL;
}

/* Signals are for the main thread. */
static int start_threads(struct eos_workers *workers, unsigned count)
{
	sigset_t all;
	sigset_t before;
	int err = 0;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	for (unsigned i = 0; i < count && err == 0; i++) {
		err = -pthread_create(&workers->threads[i], NULL, work, workers);
		workers->threads_count += err == 0;
	}
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

int eos_workers_new(struct eos_loop *loop, unsigned threads, void (*on_wake)(void *ctx), void *ctx,
		    struct eos_workers **ret_workers)
{
	EOS_ASSERT(threads > 0 && threads <= THREADS_MAX);
	struct eos_workers *workers = calloc(1, sizeof(*workers));
	struct bell *bell = calloc(1, sizeof(*bell));
	if (workers == NULL || bell == NULL) {
		free(workers);
		free(bell);
		return -ENOMEM;
	}
	workers->loop = loop;
	workers->on_wake = on_wake;
	workers->ctx = ctx;
	workers->bell = bell;
	bell->workers = workers;
	pthread_mutex_init(&workers->lock, NULL);
	pthread_cond_init(&workers->changed, NULL);
	eos_list_init(&workers->waiting);
	eos_list_init(&workers->done);
	int err = start_threads(workers, threads);
	if (err < 0) {
		eos_workers_free(workers);
		return err;
	}
	*ret_workers = workers;
	return 0;
}

struct eos_workers *eos_workers_free(struct eos_workers *workers)
{
	if (workers == NULL)
		return NULL;
	pthread_mutex_lock(&workers->lock);
	workers->is_stopping = true;
	pthread_cond_broadcast(&workers->changed);
	pthread_mutex_unlock(&workers->lock);
	for (unsigned i = 0; i < workers->threads_count; i++)
		pthread_join(workers->threads[i], NULL);
	run_done(workers);
	workers->bell->workers = NULL;
	if (!atomic_load(&workers->bell->is_posted))
		free(workers->bell);
	pthread_cond_destroy(&workers->changed);
	pthread_mutex_destroy(&workers->lock);
	free(workers);
	return NULL;
}

void eos_workers_submit(struct eos_workers *workers, struct eos_job *job)
{
	pthread_mutex_lock(&workers->lock);
	bool is_orphan = workers->is_stopping;
	if (!is_orphan) {
		eos_list_add_tail(&workers->waiting, &job->link);
		pthread_cond_signal(&workers->changed);
	}
	pthread_mutex_unlock(&workers->lock);
	if (!is_orphan)
		return;
	/* From a done() in eos_workers_free(): there are no threads any more. */
	job->run(job);
	job->done(job);
}

void eos_workers_wake(struct eos_workers *workers)
{
	atomic_store(&workers->is_woken, true);
	(void)ring(workers);
}
