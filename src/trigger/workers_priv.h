/*
 * A few threads that do for the loop what blocks on the disk. A job runs on one of them, then its
 * done() runs on the loop. Jobs start in the order in which they were submitted; several may run at
 * once, so that the store can put their changes into one commit.
 */
#pragma once

#include "base/list.h"
#include "base/loop.h"
#include "base/macros.h"

struct trigger_job {
	struct eos_list link;
	void (*run)(struct trigger_job *job);  /* on a worker */
	void (*done)(struct trigger_job *job); /* on the loop; may free the job */
};

struct trigger_workers;
/* ON_WAKE(CTX) is called on the loop after trigger_workers_wake(). */
int trigger_workers_new(struct eos_loop *loop, unsigned threads, void (*on_wake)(void *ctx),
			void *ctx, struct trigger_workers **ret_workers) EOS_MUST_CHECK;
/* Loop thread. All jobs are run and done before it returns; nothing is called afterwards. */
struct trigger_workers *trigger_workers_free(struct trigger_workers *workers);
/* Loop thread. */
void trigger_workers_submit(struct trigger_workers *workers, struct trigger_job *job);
/* Any thread; does not block. Several wakes may become one call. */
void trigger_workers_wake(struct trigger_workers *workers);
