/*
 * Upkeep: verify, and compaction, which a thread of its own does in the background.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "store/store.h"

struct local;

/* How often the background looks for work, and how many bytes a second it copies. */
#define LOCAL_UPKEEP_INTERVAL_NS UINT64_C(2000000000)
#define LOCAL_UPKEEP_RATE	 (UINT64_C(32) << 20)

struct local_upkeep {
	pthread_t thread;
	bool is_running;
	uint64_t rate; /* constant after open */
	/* Held by whoever compacts. */
	pthread_mutex_t compact_lock;

	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Under the lock. */
	bool is_stopping;
};

void local_upkeep_init(struct local_upkeep *upkeep);
void local_upkeep_fini(struct local_upkeep *upkeep);
int local_upkeep_start(struct local *local) EOS_MUST_CHECK;
/* Before the committer stops. */
void local_upkeep_stop(struct local *local);
/* False: the store is being closed. */
bool local_upkeep_sleep(struct local_upkeep *upkeep, uint64_t ns);

int local_verify(struct store *store, store_problem_fn problem, store_progress_fn progress,
		 void *ctx, struct store_verdict *ret_verdict);
int local_repair(struct store *store, store_problem_fn problem, store_progress_fn progress,
		 void *ctx, struct store_verdict *ret_verdict);
int local_compact(struct store *store, store_progress_fn progress, void *ctx,
		  uint64_t *ret_freed_bytes);
