/*
 * The scrub: a thread that reads everything in the store in the background, slowly, and checks it.
 *
 * A pass has two phases: all chunks, in the order they stand in the segments (local_scrub_data.c);
 * then all records of all tables, with the inline data (local_scrub_tables.c). It works in short
 * read transactions, so it keeps no pages of LMDB from being used again, and takes each thing as
 * it is when its turn comes: what is written, moved or removed meanwhile needs no care.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "store/local_records_priv.h"
#include "store/store.h"

struct local;
struct local_txn;
struct local_op;

enum local_scrub_phase { LOCAL_SCRUB_DATA, LOCAL_SCRUB_TABLES };

/* In the meta table, so that a pass goes on where it was when the store was closed. */
struct local_scrub_record {
	uint64_t sum;
	uint64_t begun_ns,
		ended_ns;	 /* wall clock; of the present pass, and of the last whole one */
	uint64_t bytes, damages; /* of the present pass */
	uint64_t last_damages;	 /* of the last one */
	uint64_t passes;
	uint64_t offset; /* chunks before this place are done */
	uint32_t segment;
	uint8_t phase, is_running;
	uint8_t zero[2];
};
static_assert(sizeof(struct local_scrub_record) == 72, "scrub record on disk");

struct local_scrub {
	/* Under the lock. */
	pthread_mutex_t lock;
	pthread_cond_t wake;
	pthread_t thread;
	bool has_thread, is_stopping, is_changed; /* RATE or INTERVAL_NS is */
	bool waits_for_data;
	uint64_t rate, interval_ns;
	struct local_scrub_record record;

	/* The thread's own. */
	uint64_t debt;	     /* bytes read that no time was spent for yet */
	uint64_t activity;   /* of the committer, when it was last looked at */
	uint64_t saved_ns;   /* monotonic */
	bool has_new_damage; /* whose objects nobody was told of yet */
};

void local_scrub_init(struct local_scrub *scrub);
void local_scrub_fini(struct local_scrub *scrub);
/* Before the committer stops. */
void local_scrub_stop(struct local *local);
/* The committer's, behind a transaction: there is something to scrub. */
void local_scrub_poke(struct local_scrub *scrub);
int local_apply_scrub(struct local_txn *t, struct local_op *op) EOS_MUST_CHECK;
int local_scrub_set(struct store *store, uint64_t rate, uint64_t interval_ns);
int local_scrub_get(struct store *store, struct store_scrub *ret_scrub);

/* For the phases. Takes the time that BYTES cost. False: the store is being closed, or the scrub
 * was turned off. */
bool local_scrub_pace(struct local *local, uint64_t bytes) EOS_MUST_CHECK;
/* Counts and logs. KEY may be NULL. */
void local_scrub_damage(struct local *local, const char *what, const char *bucket, const char *key,
			size_t key_len);
/* -EINTR: it was interrupted, as pace() says. Anything else is an error, and not damage. */
int local_scrub_data(struct local *local) EOS_MUST_CHECK;
int local_scrub_tables(struct local *local) EOS_MUST_CHECK;
/* Tells of the objects that have chunks which are marked as damaged. */
int local_scrub_tell_marked(struct local *local) EOS_MUST_CHECK;
