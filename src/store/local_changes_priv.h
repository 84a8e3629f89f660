/*
 * What the files that apply changes share. All of it runs in the committer's transaction.
 *
 * A change has two halves. The first only reads, and may refuse: local_refuse() notes why, and the
 * transaction goes on. The second writes; an error there spoils the transaction, and the committer
 * aborts it. So a refused change leaves nothing, and what a transaction holds is whole.
 *
 * Every applier returns 0 when the transaction may go on, whatever became of its own change.
 */
#pragma once

#include "store/local_priv.h"

/* The change is not made; what its upload wrote is given back. */
int local_refuse(struct local_txn *t, struct local_op *op, int result) EOS_MUST_CHECK;
int local_accept(struct local_txn *t, struct local_op *op) EOS_MUST_CHECK;
/* What RECORD had on disk beside the tables is no longer referred to. */
int local_drop_record(struct local_txn *t, const struct local_record *record) EOS_MUST_CHECK;
/* Asks the matcher, and writes an event for each target. SETTINGS are BUCKET's. */
int local_emit_events(struct local_txn *t, enum store_event_kind kind, const char *bucket,
		      const struct local_bucket *settings, const char *key, size_t key_len,
		      const struct local_record *record) EOS_MUST_CHECK;

/* Seals and writes the record of a bucket. */
int local_bucket_put(struct local_txn *t, const char *name,
		     struct local_bucket *bucket) EOS_MUST_CHECK;

/* local_usage.c: what the versions of a change add to a bucket and its tenant. */
struct local_delta {
	int64_t objects, bytes;
};
/* For the first half. -EDQUOT; -EBADMSG. */
int local_usage_check(struct local_txn *t, const char *name, const struct local_bucket *bucket,
		      struct local_delta delta) EOS_MUST_CHECK;
/* For the second half: counts DELTA, and writes the bucket's record. */
int local_usage_add(struct local_txn *t, const char *name, struct local_bucket *bucket,
		    struct local_delta delta) EOS_MUST_CHECK;
/* What BUCKET holds counts for NEW_TENANT from now on; BUCKET is not written. */
int local_usage_move(struct local_txn *t, const char *name, const struct local_bucket *bucket,
		     const char *new_tenant) EOS_MUST_CHECK;
/* All zeros where there is no record. -EBADMSG, logged. */
int local_tenant_get(struct local *local, MDB_txn *txn, const char *name,
		     struct local_tenant *ret_tenant) EOS_MUST_CHECK;
int local_tenant_put(struct local_txn *t, const char *name,
		     struct local_tenant *tenant) EOS_MUST_CHECK;
int local_apply_tenant_quota(struct local_txn *t, struct local_op *op) EOS_MUST_CHECK;

/* local_history.c */
int local_history_put(struct local_txn *t, uint64_t seed, struct local_record *record,
		      const char *metadata, const void *data) EOS_MUST_CHECK;
int local_history_delete(struct local_txn *t, uint64_t history, uint64_t sequence) EOS_MUST_CHECK;

/* local_recount.c: for verify and repair. */
/* How many tenants' counts are not those of their buckets. */
int local_tenants_check(struct local *local, MDB_txn *txn, uint64_t *ret_wrong) EOS_MUST_CHECK;
/* Makes them so; the buckets' own must be right. */
int local_tenants_recount(struct local_txn *t) EOS_MUST_CHECK;
/* Makes the index of a bucket anew, in many transactions: not for the committer. */
int local_index_rebuild(struct local *local, const char *bucket) EOS_MUST_CHECK;
int local_apply_reindex(struct local_txn *t, struct local_op *op) EOS_MUST_CHECK;

/* local_index.c: a latest version, and what is found by. */
struct local_indexed {
	const char *bucket;
	uint64_t node;
	const char *key;
	size_t key_len;
	const struct local_record *record;
	const char *metadata;
};
/* Adds its entries to the index, or takes them out. */
int local_index_change(struct local_txn *t, const struct local_indexed *object,
		       bool is_added) EOS_MUST_CHECK;

/* local_versions.c */
int local_apply_put(struct local_txn *t, struct local_op *op) EOS_MUST_CHECK;
int local_apply_delete(struct local_txn *t, struct local_op *op) EOS_MUST_CHECK;
int local_apply_rename(struct local_txn *t, struct local_op *op) EOS_MUST_CHECK;
int local_apply_update(struct local_txn *t, struct local_op *op) EOS_MUST_CHECK;

/* local_settings.c */
/* Makes the tenant's key if SETTINGS say that what is written will be encrypted: nobody may believe
 * so when it cannot be. Not for the committer. Errors of local_crypt_tenant_key(). */
int local_bucket_need_key(struct local *local,
			  const struct store_bucket_settings *settings) EOS_MUST_CHECK;
/* BUCKET, which is not written, gets SETTINGS. */
void local_bucket_take_settings(struct local_bucket *bucket,
				const struct store_bucket_settings *settings);
int local_apply_settings(struct local_txn *t, struct local_op *op) EOS_MUST_CHECK;
int local_apply_document_set(struct local_txn *t, struct local_op *op) EOS_MUST_CHECK;
int local_apply_document_delete(struct local_txn *t, struct local_op *op) EOS_MUST_CHECK;
/* An entry of the table of documents. -EBADMSG. */
int local_document_check(const MDB_val *key, const MDB_val *value) EOS_MUST_CHECK;
/* All of a bucket that goes. */
int local_documents_drop(struct local_txn *t, uint64_t node) EOS_MUST_CHECK;

/* local_chunk_changes.c. An upload's chunks that no transaction has seen yet; with them the
 * manifest belongs to the record, no longer to the trash. */
int local_put_chunks(struct local_txn *t, struct local_op *op) EOS_MUST_CHECK;
int local_apply_manifest_append(struct local_txn *t, struct local_op *op) EOS_MUST_CHECK;
int local_apply_chunks_move(struct local_txn *t, struct local_op *op) EOS_MUST_CHECK;
int local_apply_segment_drop(struct local_txn *t, struct local_op *op) EOS_MUST_CHECK;
int local_apply_recount(struct local_txn *t, struct local_op *op) EOS_MUST_CHECK;
int local_apply_reclaim(struct local_txn *t, struct local_op *op) EOS_MUST_CHECK;
