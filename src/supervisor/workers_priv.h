/*
 * A few threads for what blocks: file operations on the store, and opening images.
 *
 * A job is embedded in its owner's struct. run() is called on a worker, then done() on the loop's
 * thread. The queue has no bound of its own: who submits has one (one request a call, one opening
 * an image).
 */
#pragma once

#include "base/list.h"
#include "base/loop.h"
#include "base/macros.h"

struct worker_job {
	struct eos_list link; /* the pool's */
	void (*run)(struct worker_job *job);
	void (*done)(struct worker_job *job);
};

struct worker_pool;

/* Loop thread, as all functions here. LOOP is borrowed until worker_pool_free(). */
int worker_pool_new(struct eos_loop *loop, unsigned threads,
		    struct worker_pool **ret_pool) EOS_MUST_CHECK;
/* JOB is borrowed until its done(). */
void worker_pool_submit(struct worker_pool *pool, struct worker_job *job);
/* Runs what was submitted to its end, calls every done(), and what those submit too. */
struct worker_pool *worker_pool_free(struct worker_pool *pool);
