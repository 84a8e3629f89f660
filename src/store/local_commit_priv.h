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
#include "store/local_chunks_priv.h"
#include "store/local_records_priv.h"

struct local;
struct eos_buf;
struct local_audit;
struct local_key_record;

/* Changes in one transaction. 256 inline objects of 16 KiB are 4 MiB of dirty pages, well below
 * LMDB's bound of 131,071 pages a transaction. */
#define LOCAL_BATCH_MAX 256u
/* References that one transaction takes back at most, and does when there is other work too. */
#define LOCAL_RECLAIM_MAX  2048u
#define LOCAL_RECLAIM_BUSY 256u

enum local_op_kind {
	LOCAL_OP_BUCKET_CREATE,
	LOCAL_OP_BUCKET_DELETE,
	LOCAL_OP_BUCKET_SETTINGS,
	LOCAL_OP_DOCUMENT_SET,
	LOCAL_OP_DOCUMENT_DELETE,
	LOCAL_OP_TENANT_QUOTA,
	LOCAL_OP_REINDEX,
	LOCAL_OP_OBJECT_PUT,
	LOCAL_OP_OBJECT_DELETE,
	LOCAL_OP_OBJECT_RENAME,
	LOCAL_OP_OBJECT_UPDATE,
	LOCAL_OP_OUTBOX_REMOVE,
	LOCAL_OP_OUTBOX_RETRY,
	LOCAL_OP_MANIFEST_APPEND, /* a part of a large upload's chunks */
	LOCAL_OP_CHUNKS_MOVE,	  /* to where compaction copied them */
	LOCAL_OP_SEGMENT_DROP,
	LOCAL_OP_KEYS_PUT,
	LOCAL_OP_RECOUNT, /* repair */
	LOCAL_OP_SCRUB,	  /* DATA: struct local_scrub_record */
	LOCAL_OP_DAMAGE,  /* writes its events; local_damages_priv.h */
	LOCAL_OP_RECLAIM, /* as much of the trash as fits */
};

/* A chunk that was copied to another segment. */
struct local_move {
	uint8_t name[LOCAL_NAME_SIZE];
	uint32_t from_segment;
	uint64_t from_offset, to_offset;
	struct local_segment *to;
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

	/* put and append: chunks that no transaction has seen yet, or NULL. An append that makes a
	 * manifest pins it for the caller and tells its id in is_pinned and record.manifest. */
	const struct local_chunk_list *chunks;
	bool is_pinned;

	/* upkeep */
	const struct local_move *moves;
	size_t moves_count;
	uint32_t segment;
	struct local_audit *audit;	   /* on return, of a recount; owned */
	struct eos_buf *reindexed_buckets; /* the same; whose index must be made anew */
	bool is_reclaimed; /* on return: nothing is left in the trash that could go */

	/* data keys, from number KEY_FIRST on */
	const struct local_key_record *key_records;
	size_t key_records_count;
	uint16_t key_first;

	/* settings, documents (the name is in KEY), tenants */
	const struct store_bucket_settings *settings;
	const struct store_bucket_settings *expected; /* or NULL: what is there must be the same */
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

	/* reindex, behind KEY; the result is 1 when there is more to do */
	bool drops_index;
	char *reindexed; /* on return: the last key */
	size_t reindexed_len;

	/* outbox */
	uint64_t event_id;
	uint64_t not_before_ns;

	/* the committer's */
	struct eos_list node;
	sem_t done;
	int result; /* of the change alone; only then: of its transaction */
};

/* What is in the trash: nothing that could be reclaimed; something; or only what is pinned. */
enum local_trash { LOCAL_TRASH_EMPTY, LOCAL_TRASH_READY, LOCAL_TRASH_BLOCKED };

struct local_live {
	uint32_t segment;
	int64_t bytes;
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
	enum local_trash trash;
	/* Damaged manifests in the trash: logged, and left alone. */
	unsigned stuck_count;
	uint64_t stuck[64];
};

/* Metadata and inline data of a record. */
#define LOCAL_CONTENT_MAX (STORE_METADATA_MAX + LOCAL_INLINE_MAX + LOCAL_SEAL_BYTES)

/* One write transaction in the making. */
struct local_txn {
	struct local *local;
	MDB_txn *txn;
	struct local_state state;
	bool is_changed;
	bool has_events;
	int emit_error;
	enum local_trash trash;	  /* as the reclaimer left it, or READY: something came */
	struct store_event event; /* in the making */
	/* How many live bytes of segments change; allocated. */
	struct local_live *live;
	size_t live_count, live_cap;
	/* What the reclaimer marked as going. */
	unsigned going_count, manifests_going_count;
	uint8_t going[LOCAL_RECLAIM_MAX][LOCAL_NAME_SIZE];
	uint64_t manifests_going[256];
	/* Segments that are dropped when the transaction is committed. */
	unsigned dropped_count;
	uint32_t dropped[LOCAL_BATCH_MAX];
	/* What is in LMDB moves when something is written: copies of metadata and inline data. */
	char scratch[LOCAL_CONTENT_MAX], moved[LOCAL_CONTENT_MAX];
	/* Inline data that a rename sealed for its new key, and its checksum. */
	uint8_t sealed[LOCAL_INLINE_MAX + LOCAL_SEAL_BYTES];
	uint64_t sealed_check;
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
 * refused, without a trace). An error: the transaction must be aborted.
 */
int local_change_apply(struct local_txn *txn, struct local_op *op) EOS_MUST_CHECK;
