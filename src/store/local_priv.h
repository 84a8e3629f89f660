/*
 * The local engine: LMDB for metadata and small objects, segments of chunks for larger data.
 *
 *     DIR/lock            held by the one process that has the store open
 *     DIR.key             the node key: local_crypt_priv.h
 *     DIR/metadata.mdb    LMDB (tables: meta buckets documents tenants keys objects versions index
 *                         chunks manifests segments trash outbox)
 *     DIR/reserve         space that deletes can have when the disk is full: local_space.c
 *     DIR/segments/       chunks: local_segments_priv.h; read again and again: local_scrub_priv.h
 *     DIR/staging/        files of uploads that are not written from front to back; emptied at open
 *
 * Readers use LMDB's read transactions; only the committer thread (local_commit.c) writes. The
 * order of things on the disk, and what a power cut leaves at each line, is told there.
 *
 * Fault points, in the order of a commit: store.staging_create, store.staging_write,
 * store.staging_read, store.segment_create, store.dir_fsync, store.segment_write,
 * store.segment_fsync, store.txn_begin, store.txn_put, store.txn_commit, store.after_commit,
 * store.segment_unlink; and store.space, store.segment_read, store.recover, and those of the node
 * key's file (local_crypt_node.c). store.after_commit and
 * store.recover only know `kill`.
 */
#pragma once

#include <lmdb.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/counter.h"
#include "base/macros.h"
#include "base/spares.h"
#include "store/local_commit_priv.h"
#include "store/local_crypt_priv.h"
#include "store/local_damages_priv.h"
#include "store/local_map_priv.h"
#include "store/local_pins_priv.h"
#include "store/local_records_priv.h"
#include "store/local_scrub_priv.h"
#include "store/local_segments_priv.h"
#include "store/local_upkeep_priv.h"
#include "store/store_engine.h"

/* Each holds up to 16 KiB, of larger objects about a MiB (5 MiB behind the first 64 MiB). */
#define LOCAL_UPLOADS_MAX 1024u
/* Read transactions at once: a slot in LMDB's lock file each (64 bytes, untouched until used). */
#define LOCAL_READERS_MAX 4096u

struct local {
	struct store store; /* first */

	/* Constant after open. */
	uint64_t number; /* of this store in this process */
	int lock_fd, dir_fd, staging_fd;
	MDB_env *env;
	MDB_dbi meta, buckets, documents, tenants, keys, objects, versions, index;
	MDB_dbi chunks, manifests, segments_dbi, trash, outbox;

	/* Guarded by committer.batch_lock. */
	store_matcher_fn match;
	void (*notify)(void *ctx);
	void *matcher_ctx;

	/* Any thread. */
	_Atomic unsigned uploads;
	_Atomic uint64_t staging_next;
	_Atomic uint64_t activity;	      /* transactions; the scrub slows down when it moves */
	_Atomic uint64_t buckets_generation;  /* local_memo_priv.h */
	_Atomic bool has_reserve, has_warned; /* local_space.c */
	_Atomic bool is_read_only;	      /* for good; set by local_turn_read_only() */

	/* Kept for the next: read transactions that are reset, readers of objects. */
	struct eos_spares reads, readers;

	/* Each has its own lock. */
	struct local_segments segments;
	struct local_pins chunk_pins, manifest_pins;
	struct local_crypt crypt;
	struct local_map map;
	struct local_upkeep upkeep;
	struct local_damages damages;
	struct local_scrub scrub;
	struct local_committer committer;
};

struct local_options {
	size_t map_bytes;	/* 0: as large as is sensible */
	uint64_t segment_bytes; /* 0: LOCAL_SEGMENT_BYTES */
	const char *key_path;	/* as in struct store_options */
};

static inline struct local *local_of(struct store *store)
{
	return EOS_CONTAINER_OF(store, struct local, store);
}

/* store_open() with options; for tests too. */
int local_open(const char *dir_path, const struct local_options *options, struct store **ret_store,
	       struct eos_why *why) EOS_MUST_CHECK;

/* LMDB's code as a negative errno; -ENOENT for MDB_NOTFOUND, -EBADMSG for a damaged file. */
int local_error(int rc);
/* mdb_put() and mdb_del() with the fault point of the commit path. */
int local_put(MDB_txn *txn, MDB_dbi dbi, MDB_val *key, MDB_val *value,
	      unsigned flags) EOS_MUST_CHECK;
int local_delete(MDB_txn *txn, MDB_dbi dbi, MDB_val *key) EOS_MUST_CHECK;

/* A read transaction. It ends with local_read_end(), which keeps it for the next: a new one has to
 * find a free slot in LMDB's lock file, behind a lock of all threads. mdb_txn_abort() is as right.
 */
int local_read_begin(struct local *local, MDB_txn **ret_txn) EOS_MUST_CHECK;
void local_read_end(struct local *local, MDB_txn *txn);
/* Before the environment is closed. */
void local_reads_fini(struct local *local);
/* The root node and record of a bucket. -ENOENT, -EBADMSG. */
int local_bucket_find(struct local *local, MDB_txn *txn, const char *name,
		      struct local_bucket *ret_bucket) EOS_MUST_CHECK;
/* The same by a look of its own. */
int local_bucket_read(struct local *local, const char *name,
		      struct local_bucket *ret_bucket) EOS_MUST_CHECK;
/* Where the state record is in LMDB's map. */
int local_state_find(struct local *local, MDB_txn *txn, const void **ret_state) EOS_MUST_CHECK;
int local_state_get(struct local *local, MDB_txn *txn,
		    struct local_state *ret_state) EOS_MUST_CHECK;
/* Of the store's format; 0: there is no whole state record. */
uint32_t local_format_get(struct local *local, MDB_txn *txn);
int local_state_put(struct local *local, MDB_txn *txn, struct local_state *state) EOS_MUST_CHECK;
/* The record of a version; all borrowed until the transaction ends. -ENOENT, -EBADMSG (logged). */
struct local_found {
	struct local_record record;
	const char *metadata;
	const char *data; /* NULL: not inline */
	bool is_latest;
};
int local_object_find(struct local *local, MDB_txn *txn, const char *bucket, uint64_t node,
		      const char *key, size_t key_len, uint64_t version,
		      struct local_found *ret_found) EOS_MUST_CHECK;
/* The same, but finds delete markers too. */
int local_version_find(struct local *local, MDB_txn *txn, const char *bucket, uint64_t node,
		       const char *key, size_t key_len, uint64_t version,
		       struct local_found *ret_found) EOS_MUST_CHECK;
/* The latest, which may be a delete marker. */
int local_latest_find(struct local *local, MDB_txn *txn, const char *bucket, uint64_t node,
		      const char *key, size_t key_len,
		      struct local_found *ret_found) EOS_MUST_CHECK;
static inline void local_found_info(const struct local_found *found,
				    struct store_object_info *ret_info)
{
	local_record_info(&found->record, found->metadata, ret_info);
	ret_info->is_latest = found->is_latest;
}

/* The noncurrent versions of one history after another, from the newest: local_history.c. */
struct local_history_cursor {
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_cursor *cursor; /* opened when first needed */
};
void local_history_cursor_init(struct local_history_cursor *cursor, MDB_txn *txn, MDB_dbi dbi);
void local_history_cursor_fini(struct local_history_cursor *cursor);
/* To the newest of HISTORY (0: none) with a sequence below BEFORE. -ENOENT; -EBADMSG, not logged.
 * SEED: of the key's records. */
int local_history_seek(struct local_history_cursor *cursor, uint64_t history, uint64_t before,
		       uint64_t seed, struct local_found *ret_found) EOS_MUST_CHECK;
/* To the one behind. */
int local_history_next(struct local_history_cursor *cursor, uint64_t history, uint64_t seed,
		       struct local_found *ret_found) EOS_MUST_CHECK;
/* As a seek for the newest of all. */
int local_history_newest(MDB_txn *txn, MDB_dbi dbi, uint64_t history, uint64_t seed,
			 struct local_found *ret_found) EOS_MUST_CHECK;

/* Calls VISIT for each name in the directory PARENT_FD/NAME until it returns non-zero. FD is the
 * directory's. */
int local_dir_each(int parent_fd, const char *name,
		   int (*visit)(void *ctx, int fd, const char *name), void *ctx);
/* Logs and counts what was damaged; returns -EBADMSG. KEY may be NULL. */
int local_damaged(const char *what, const char *bucket, const char *key, size_t key_len);
/* The disk failed to keep something: nothing is acknowledged any more. Logs once. */
void local_turn_read_only(struct local *local, const char *what, int err);
/* -EROFS after that, else 0. */
int local_check_writable(struct local *local) EOS_MUST_CHECK;

/* Engine functions, by the file they are in. */
int local_bucket_create(struct store *store, const char *name,
			const struct store_bucket_settings *settings);
int local_bucket_delete(struct store *store, const char *name);
int local_bucket_get(struct store *store, const char *name, struct store_bucket_info *ret_info);
int local_bucket_list(struct store *store,
		      int (*visit)(void *ctx, const struct store_bucket_info *info), void *ctx);
int local_bucket_settings_get(struct store *store, const char *bucket,
			      struct store_bucket_settings *ret_settings);
int local_bucket_settings_set(struct store *store, const char *bucket,
			      const struct store_bucket_settings *expected,
			      const struct store_bucket_settings *settings);
int local_bucket_look(struct store *store, const char *bucket,
		      struct store_bucket_settings *ret_settings, const char *const *names,
		      struct eos_buf *texts, size_t count) EOS_MUST_CHECK;
int local_bucket_document_get(struct store *store, const char *bucket, const char *name,
			      struct eos_buf *out);
int local_bucket_document_set(struct store *store, const char *bucket, const char *name,
			      const void *data, size_t len);
int local_bucket_document_delete(struct store *store, const char *bucket, const char *name);
int local_quota_check(struct store *store, const char *bucket, const char *key, size_t key_len,
		      uint64_t size);
int local_bucket_usage(struct store *store, const char *bucket, struct store_usage *ret_usage);
int local_tenant_usage(struct store *store, const char *tenant, struct store_usage *ret_usage);
int local_tenant_quota_set(struct store *store, const char *tenant, uint64_t bytes,
			   uint64_t objects);
int local_tenant_quota_get(struct store *store, const char *tenant, uint64_t *ret_bytes,
			   uint64_t *ret_objects);
int local_object_get(struct store *store, const char *bucket, const char *key, size_t key_len,
		     uint64_t version, struct store_object_info *ret_info);
int local_object_delete(struct store *store, const char *bucket, const char *key, size_t key_len,
			const struct store_removal *removal, struct store_removed *ret);
int local_object_update(struct store *store, const char *bucket, const char *key, size_t key_len,
			uint64_t version, int (*change)(void *ctx, struct store_object_info *info),
			void *ctx);
int local_object_rename(struct store *store, const char *bucket, const char *key, size_t key_len,
			const char *new_key, size_t new_key_len);
int local_object_list(struct store *store, const char *bucket, const struct store_list_query *query,
		      int (*visit)(void *ctx, const struct store_list_entry *entry), void *ctx,
		      bool *ret_more);
int local_version_list(struct store *store, const char *bucket,
		       const struct store_list_query *query, uint64_t after_version,
		       int (*visit)(void *ctx, const struct store_list_entry *entry), void *ctx,
		       bool *ret_more);
int local_find(struct store *store, const struct store_find_query *query,
	       int (*visit)(void *ctx, const char *bucket, const struct store_list_entry *entry),
	       void *ctx, bool *ret_more);
int local_outbox_list(struct store *store, uint64_t after_id,
		      int (*visit)(void *ctx, const struct store_event *event), void *ctx);
int local_outbox_remove(struct store *store, uint64_t id);
int local_outbox_retry(struct store *store, uint64_t id, uint64_t not_before_ns);
int local_upload_begin(struct store *store, const char *bucket, const char *key, size_t key_len,
		       const char *metadata, uint32_t metadata_len,
		       const struct store_upload_encryption *encryption,
		       struct store_upload **ret_upload);
int local_upload_write(struct store_upload *upload, const void *data, size_t len, uint64_t offset);
int64_t local_upload_read(struct store_upload *upload, void *data, size_t len, uint64_t offset);
int local_upload_truncate(struct store_upload *upload, uint64_t size);
uint64_t local_upload_size(const struct store_upload *upload);
int local_upload_append(struct store_upload *upload, struct store_reader *reader, uint64_t offset,
			uint64_t len);
int local_upload_set_metadata(struct store_upload *upload, const char *metadata,
			      uint32_t metadata_len);
int local_upload_commit(struct store_upload *upload, const struct store_put_options *options,
			struct store_object_info *ret_info);
void local_upload_abort(struct store_upload *upload);
int local_reader_open(struct store *store, const char *bucket, const char *key, size_t key_len,
		      uint64_t version, const uint8_t *customer_key,
		      struct store_reader **ret_reader);
const struct store_object_info *local_reader_info(const struct store_reader *reader);
int64_t local_reader_read(struct store_reader *reader, void *data, size_t len, uint64_t offset);
const char *local_reader_whole(const struct store_reader *reader);
void local_reader_close(struct store_reader *reader);
void local_readers_fini(struct local *local);

/* -ENOSPC: the disk is nearly full, nothing new is taken (local_space.c). */
int local_space_check(struct local *local) EOS_MUST_CHECK;
/* Sets space aside, if there is some. */
void local_space_reserve(struct local *local);
/* Gives it up. False: there is none. */
bool local_space_give_up(struct local *local);
/* Cleans up after whoever had the store open before: local_recover.c. Before the committer runs. */
int local_recover(struct local *local, struct eos_why *why) EOS_MUST_CHECK;
