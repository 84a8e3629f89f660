/*
 * Acting on lifecycle rules: a thread that goes over all buckets every now and then.
 */
#pragma once

#include <stdint.h>

#include "base/macros.h"
#include "store/store.h"

struct s3_lifecycle_config {
	uint64_t interval_ms; /* between two rounds; 0: no thread */
	uint64_t day_ns;      /* how long the rules' days are; tests make them short */
};

struct s3_lifecycle_runner;
/* STORE is borrowed. */
int s3_lifecycle_start(struct store *store, const struct s3_lifecycle_config *config,
		       struct s3_lifecycle_runner **ret_runner) EOS_MUST_CHECK;
/* Waits for the step under way. NULL is fine. */
struct s3_lifecycle_runner *s3_lifecycle_stop(struct s3_lifecycle_runner *runner);
