/*
 * Changes and the thread that commits them.
 *
 * A caller describes its change in a struct local_op on its own stack and gives it to
 * local_commit(), which returns when the change is durable or refused.
 */
#pragma once

#include <lmdb.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "base/macros.h"
#include "store/local_records_priv.h"

struct local;

/* Changes in one transaction. 256 inline objects of 16 KiB are 4 MiB of dirty pages, well below
 * LMDB's bound of 131,071 pages a transaction. */
#define LOCAL_BATCH_MAX 256u
/* Deleted block files whose directories are not synced yet; see local_commit.c. */
#define LOCAL_UNLINKED_MAX   2048u
#define LOCAL_UNLINKED_FLUSH 512u

enum local_op_kind {
	LOCAL_OP_BUCKET_CREATE,
	LOCAL_OP_BUCKET_DELETE,
	LOCAL_OP_BUCKET_SETTINGS,
	LOCAL_OP_DOCUMENT_SET,
	LOCAL_OP_DOCUMENT_DELETE,
	LOCAL_OP_TENANT_QUOTA,
	LOCAL_OP_OBJECT_PUT,
	LOCAL_OP_OBJECT_DELETE,
	LOCAL_OP_OBJECT_RENAME,
	LOCAL_OP_OBJECT_UPDATE,
	LOCAL_OP_OUTBOX_REMOVE,
	LOCAL_OP_OUTBOX_RETRY,
	LOCAL_OP_RESERVE, /* block ids */
};

struct local_op {
	enum local_op_kind kind;
	const char *bucket;
	const char *key;
	size_t key_len;

	/* put */
	uint64_t bucket_node; /* of the bucket that the upload began in */
	const struct store_put_options *options;
	struct local_record record; /* all but sum, time and sequence; those on return */
	const char *metadata;
	const void *data; /* inline, or a document's */
	int block_dir_fd; /* the directory that the block file was renamed into; else -1 */

	/* settings, documents (the name is in KEY), tenants */
	const struct store_bucket_settings *settings;
	size_t data_len;
	const char *tenant;
	uint64_t quota_bytes, quota_objects;

	/* delete */
	const struct store_removal *removal;
	struct store_removed removed; /* on return */

	/* update; the change is called in the transaction */
	uint64_t version;
	int (*change)(void *ctx, struct store_object_info *info);
	void *change_ctx;

	/* rename */
	const char *new_key;
	size_t new_key_len;

	/* outbox */
	uint64_t event_id;
	uint64_t not_before_ns;

	/* the committer's */
	struct eos_list node;
	sem_t done;
	int result; /* of the change alone; only then: of its transaction */
};

/* A block file that was deleted, but whose directory was not synced since. */
struct local_unlinked {
	uint64_t id;
	bool is_in_trash; /* else it is still in flight */
	bool is_synced;
};

struct local_committer {
	pthread_t thread;
	bool is_running;

	/* Held for each batch: the matcher must not change under one. */
	pthread_mutex_t batch_lock;
	pthread_mutex_t lock;
	pthread_cond_t wake;
	/* Under the lock. */
	struct eos_list queue;
	bool is_stopping;

	/* The committer thread's own. */
	struct local_state state; /* as committed */
	unsigned unlinked_count;
	struct local_unlinked unlinked[LOCAL_UNLINKED_MAX];
};

/* Metadata and inline data of a record. */
#define LOCAL_CONTENT_MAX (STORE_METADATA_MAX + LOCAL_INLINE_MAX)

/* One write transaction in the making. */
struct local_txn {
	struct local *local;
	MDB_txn *txn;
	struct local_state state;
	bool is_changed;
	bool has_events;
	int emit_error;
	unsigned dropped_count;
	uint64_t dropped[2 * LOCAL_BATCH_MAX]; /* block ids that are now in the trash */
	struct store_event event;	       /* in the making */
	/* What is in LMDB moves when something is written: copies of metadata and inline data. */
	char scratch[LOCAL_CONTENT_MAX], moved[LOCAL_CONTENT_MAX];
	char indexed[STORE_METADATA_MAX];
	struct store_object_info info; /* of an update */
};

void local_committer_init(struct local_committer *committer);
void local_committer_fini(struct local_committer *committer);
/* STATE is what was read or written at open. */
int local_committer_start(struct local *local, const struct local_state *state) EOS_MUST_CHECK;
/* Commits what is queued, marks the store as cleanly closed, ends the thread. */
void local_committer_stop(struct local *local);
/* Any thread but the committer. Returns the op's result. -EROFS. */
int local_commit(struct local *local, struct local_op *op) EOS_MUST_CHECK;

/*
 * Applies OP to TXN (local_changes.c). 0: op->result holds what becomes of it (it may have been
 * refused, without a trace but its block in the trash). An error: the transaction must be aborted.
 */
int local_change_apply(struct local_txn *txn, struct local_op *op) EOS_MUST_CHECK;
