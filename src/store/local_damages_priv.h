/*
 * Who must hear that an object is damaged: events of the kind STORE_EVENT_DAMAGED.
 *
 * Damage is met by readers, which may not wait for a commit, and by the scrub. They note which
 * object it concerns; the thread of upkeep writes the events, seconds later. An object is told of
 * once in the life of the process, as far as can be remembered: a program that reads it in a loop,
 * or a pass of the scrub that meets it twice, makes one event.
 */
#pragma once

#include <pthread.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/macros.h"
#include "store/store.h"

struct local;
struct local_txn;
struct local_op;

#define LOCAL_DAMAGES_WAITING_MAX 256u
#define LOCAL_DAMAGES_TOLD	  4096u

struct local_damages {
	pthread_mutex_t lock;
	/* Under the lock. */
	struct eos_list waiting;
	unsigned waiting_count;
	uint64_t told[LOCAL_DAMAGES_TOLD]; /* hashes, each in its place; 0: none */
};

void local_damages_init(struct local_damages *damages);
void local_damages_fini(struct local_damages *damages);
/* Which version: its number and its sequence, since null versions replace each other. Where its
 * record cannot be read: as it was asked for, and 0. Any thread; does not block. */
void local_damages_note(struct local *local, const char *bucket, const char *key, size_t key_len,
			uint64_t version, uint64_t sequence);
/* Upkeep's thread: writes the events of what was noted. */
void local_damages_tell(struct local *local);
int local_apply_damage(struct local_txn *t, struct local_op *op) EOS_MUST_CHECK;
