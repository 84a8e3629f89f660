/*
 * A few threads that do for a loop what blocks, on the disk mostly. A job runs on one of them, then
 * its done() runs on the loop. Jobs start in the order in which they were submitted; several may
 * run at once, so that a store can put their changes into one commit. The queue has no bound of its
 * own: who submits has one.
 *
 * A job is embedded in its owner's struct and borrowed until its done(), which may free it. All
 * functions but eos_workers_wake() are for the loop's thread.
 */
#pragma once

#include "base/list.h"
#include "base/loop.h"
#include "base/macros.h"

struct eos_job {
	struct eos_list link;		   /* the workers' */
	void (*run)(struct eos_job *job);  /* on a worker */
	void (*done)(struct eos_job *job); /* on the loop */
};

struct eos_workers;
/* ON_WAKE(CTX) is called on the loop after eos_workers_wake(); it may be NULL for workers that
 * nobody wakes. LOOP is borrowed until eos_workers_free(). At most 8 threads. -ENOMEM, -EAGAIN. */
int eos_workers_new(struct eos_loop *loop, unsigned threads, void (*on_wake)(void *ctx), void *ctx,
		    struct eos_workers **ret_workers) EOS_MUST_CHECK;
/* Runs what was submitted to its end and calls every done(); what those submit is run too. Nothing
 * is called afterwards. */
struct eos_workers *eos_workers_free(struct eos_workers *workers);
void eos_workers_submit(struct eos_workers *workers, struct eos_job *job);
/* Any thread; does not block. Several wakes may become one call. */
void eos_workers_wake(struct eos_workers *workers);
