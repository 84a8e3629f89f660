/*
 * Upkeep: verify, repair, and compaction, which a thread of its own does in the background.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "store/store.h"

struct local;

int local_verify(struct store *store, store_problem_fn problem, store_progress_fn progress,
		 void *ctx, struct store_verdict *ret_verdict);
