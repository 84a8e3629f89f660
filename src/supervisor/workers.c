/*
 * Workers: a list of jobs to run and a list of jobs that were run, under one mutex.
 *
 * At most one post is under way to the loop at a time; it takes all that are finished. The post
 * carries a relay and not the pool, because it may come after the pool is gone.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/assert.h"
#include "supervisor/workers_priv.h"

#define THREADS_MAX 8u

struct relay {
	struct worker_pool *pool; /* NULL: gone; the loop's thread */
};

struct worker_pool {
	struct eos_loop *loop;
	struct relay *relay;
	unsigned threads_count;
	pthread_t threads[THREADS_MAX];

	pthread_mutex_t lock; /* guards all below */
	pthread_cond_t wake;
	struct eos_list waiting, finished;
	bool is_posted; /* a post is under way */
	bool is_stopping;
};

static void finish_jobs(struct worker_pool *pool)
{
	for (;;) {
		pthread_mutex_lock(&pool->lock);
		struct eos_list *link = eos_list_take(&pool->finished);
		pthread_mutex_unlock(&pool->lock);
		if (link == NULL)
			return;
		struct worker_job *job = EOS_CONTAINER_OF(link, struct worker_job, link);
		job->done(job);
	}
}

static void on_post(void *ctx)
{
	struct relay *relay = ctx;
	struct worker_pool *pool = relay->pool;
	if (pool == NULL) {
		free(relay);
		return;
	}
	pthread_mutex_lock(&pool->lock);
	pool->is_posted = false;
	pthread_mutex_unlock(&pool->lock);
	finish_jobs(pool);
}

/* Hands JOB back. The lock is held. */
static void hand_back_locked(struct worker_pool *pool, struct worker_job *job)
{
	eos_list_add_tail(&pool->finished, &job->link);
	while (!pool->is_posted && !pool->is_stopping) {
		if (eos_loop_post(pool->loop, on_post, pool->relay) == 0) {
			pool->is_posted = true;
			break;
		}
		/* Out of memory for one list node: somebody will free some. */
		pthread_mutex_unlock(&pool->lock);
		usleep(1000);
		pthread_mutex_lock(&pool->lock);
	}
}

static void *work(void *arg)
{
	struct worker_pool *pool = arg;
	pthread_mutex_lock(&pool->lock);
	for (;;) {
		struct eos_list *link = eos_list_take(&pool->waiting);
		if (link == NULL && pool->is_stopping)
			break;
		if (link == NULL) {
			pthread_cond_wait(&pool->wake, &pool->lock);
			continue;
		}
		struct worker_job *job = EOS_CONTAINER_OF(link, struct worker_job, link);
		pthread_mutex_unlock(&pool->lock);
		job->run(job);
		pthread_mutex_lock(&pool->lock);
		hand_back_locked(pool, job);
	}
	pthread_mutex_unlock(&pool->lock);
	return NULL;
}

static void join_threads(struct worker_pool *pool)
{
	pthread_mutex_lock(&pool->lock);
	pool->is_stopping = true;
	pthread_cond_broadcast(&pool->wake);
	pthread_mutex_unlock(&pool->lock);
	for (unsigned i = 0; i < pool->threads_count; i++)
		pthread_join(pool->threads[i], NULL);
	pool->threads_count = 0;
}

int worker_pool_new(struct eos_loop *loop, unsigned threads, struct worker_pool **ret_pool)
{
	EOS_ASSERT(threads > 0 && threads <= THREADS_MAX);
	struct worker_pool *pool = calloc(1, sizeof(*pool));
	struct relay *relay = calloc(1, sizeof(*relay));
	if (pool == NULL || relay == NULL) {
		free(pool);
		free(relay);
		return -ENOMEM;
	}
	relay->pool = pool;
	pool->relay = relay;
	pool->loop = loop;
	pthread_mutex_init(&pool->lock, NULL);
	pthread_cond_init(&pool->wake, NULL);
	eos_list_init(&pool->waiting);
	eos_list_init(&pool->finished);
	for (unsigned i = 0; i < threads; i++) {
		int err = pthread_create(&pool->threads[i], NULL, work, pool);
		if (err != 0) {
			worker_pool_free(pool);
			return -err;
		}
		pool->threads_count++;
	}
	*ret_pool = pool;
	return 0;
}

void worker_pool_submit(struct worker_pool *pool, struct worker_job *job)
{
	bool is_orphan;
	pthread_mutex_lock(&pool->lock);
	is_orphan = pool->is_stopping;
	eos_list_init(&job->link);
	if (!is_orphan) {
		eos_list_add_tail(&pool->waiting, &job->link);
		pthread_cond_signal(&pool->wake);
	}
	pthread_mutex_unlock(&pool->lock);
	if (!is_orphan)
		return;
	/* From a done() in worker_pool_free(): there are no threads any more. */
	job->run(job);
	job->done(job);
}

struct worker_pool *worker_pool_free(struct worker_pool *pool)
{
	if (pool == NULL)
		return NULL;
	join_threads(pool);
	finish_jobs(pool);
	EOS_ASSERT(eos_list_is_empty(&pool->waiting));
	if (pool->is_posted)
		pool->relay->pool = NULL;
	else
		free(pool->relay);
	pthread_mutex_destroy(&pool->lock);
	pthread_cond_destroy(&pool->wake);
	free(pool);
	return NULL;
}
