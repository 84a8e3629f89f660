/*
 * Block ids: numbers that grow and are never given twice, and which of them are in flight.
 *
 * An id is in flight from local_ids_take() until it is settled: the committer wrote durably that an
 * object or the trash has it, or that its file is gone. After a crash only ids from the lowest in
 * flight (local_state.block_low) up to the highest that may have been given (block_high) can
 * belong to files that nothing refers to. All functions: any thread.
 */
#pragma once

#include <pthread.h>
#include <stdint.h>

#include "base/macros.h"

#define LOCAL_IDS_STEP 1000u
/* Twice the uploads: the rest is room for ids of failed commits whose files wait for a sync. */
#define LOCAL_IDS_IN_FLIGHT_MAX 2048u

struct local_ids {
	pthread_mutex_t lock;
	/* Under the lock. */
	uint64_t next;
	uint64_t limit; /* durable: ids below may be given */
	unsigned count;
	uint64_t in_flight[LOCAL_IDS_IN_FLIGHT_MAX]; /* ascending */
};

void local_ids_init(struct local_ids *ids);
void local_ids_fini(struct local_ids *ids);
void local_ids_start(struct local_ids *ids, uint64_t next, uint64_t limit);
/* -EAGAIN: a reservation must become durable first; -ENOSPC: too many in flight. */
int local_ids_take(struct local_ids *ids, uint64_t *ret_id) EOS_MUST_CHECK;
void local_ids_settle(struct local_ids *ids, uint64_t id);
/* No id below is in flight or will ever be given. */
uint64_t local_ids_low(struct local_ids *ids);
/* What block_high should become: HIGH, or more when few are left. */
uint64_t local_ids_wanted(struct local_ids *ids, uint64_t high);
/* HIGH is durable. */
void local_ids_extend(struct local_ids *ids, uint64_t high);
