/*
 * Settings of buckets, which stand in the bucket's record, and the documents that are kept with
 * them: table `documents`, node of the bucket (8 bytes, big-endian) | name -> checksum (seeded by
 * that of the entry's key), text. Nothing is cached: LMDB's pages are.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "store/local_changes_priv.h"

struct document_key {
	uint8_t bytes[8 + STORE_DOCUMENT_NAME_MAX];
	size_t len;
};

static MDB_val document_key(struct document_key *key, uint64_t node, const char *name)
{
	size_t name_len = strlen(name);
	local_be64_put(key->bytes, node);
	memcpy(key->bytes + 8, name, name_len);
	key->len = 8 + name_len;
	return (MDB_val){.mv_size = key->len, .mv_data = key->bytes};
}

static uint64_t document_sum(const struct document_key *key, const void *data, size_t len)
{
	return local_sum(data, len, local_sum(key->bytes, key->len, 0));
}

int local_bucket_settings_get(struct store *store, const char *bucket,
			      struct store_bucket_settings *ret_settings)
{
	struct local *local = local_of(store);
	struct local_bucket found;
	MDB_txn *txn;
	int err = local_read_begin(local, &txn);
	if (err < 0)
		return err;
	err = local_bucket_find(local, txn, bucket, &found);
	mdb_txn_abort(txn);
	if (err < 0)
		return err;
	*ret_settings = (struct store_bucket_settings){
		.versioning = (enum store_versioning)found.versioning,
		.has_object_lock = (found.flags & LOCAL_BUCKET_HAS_LOCK) != 0,
		.is_encrypted = (found.flags & LOCAL_BUCKET_IS_ENCRYPTED) != 0,
		.is_compressed = (found.flags & LOCAL_BUCKET_IS_COMPRESSED) != 0,
		.quota_bytes = found.quota_bytes,
		.quota_objects = found.quota_objects,
	};
	memcpy(ret_settings->tenant, found.tenant, sizeof(found.tenant));
	return 0;
}

int local_bucket_settings_set(struct store *store, const char *bucket,
			      const struct store_bucket_settings *settings)
{
	struct local_op op = {
		.kind = LOCAL_OP_BUCKET_SETTINGS,
		.bucket = bucket,
		.settings = settings,
	};
	struct local *local = local_of(store);
	const struct local_key *key;
	/* Nobody may believe that what is written will be encrypted when it cannot be. */
	int err =
		settings->is_encrypted ? local_crypt_tenant_key(local, settings->tenant, &key) : 0;
	return err < 0 ? err : local_commit(local, &op);
}

int local_apply_settings(struct local_txn *t, struct local_op *op)
{
	const struct store_bucket_settings *settings = op->settings;
	struct local_bucket bucket;
	int err = local_bucket_find(t->local, t->txn, op->bucket, &bucket);
	if (err < 0)
		return local_refuse(t, op, err);
	if (bucket.versioning != STORE_VERSIONING_OFF &&
	    settings->versioning == STORE_VERSIONING_OFF)
		return local_refuse(t, op, -EINVAL);
	if ((bucket.flags & LOCAL_BUCKET_HAS_LOCK) != 0 && !settings->has_object_lock)
		return local_refuse(t, op, -EPERM);

	err = local_usage_move(t, op->bucket, &bucket, settings->tenant);
	if (err < 0)
		return err;
	bucket.versioning = (uint8_t)settings->versioning;
	bucket.flags = (uint8_t)((settings->has_object_lock ? LOCAL_BUCKET_HAS_LOCK : 0) |
				 (settings->is_encrypted ? LOCAL_BUCKET_IS_ENCRYPTED : 0) |
				 (settings->is_compressed ? LOCAL_BUCKET_IS_COMPRESSED : 0));
	bucket.quota_bytes = settings->quota_bytes;
	bucket.quota_objects = settings->quota_objects;
	memset(bucket.tenant, 0, sizeof(bucket.tenant));
	memcpy(bucket.tenant, settings->tenant, strlen(settings->tenant));
	err = local_bucket_put(t, op->bucket, &bucket);
	return err < 0 ? err : local_accept(t, op);
}

int local_bucket_document_get(struct store *store, const char *bucket, const char *name,
			      struct eos_buf *out)
{
	struct local *local = local_of(store);
	struct local_bucket found;
	struct document_key key;
	MDB_val value;
	MDB_txn *txn;
	uint64_t sum;
	int err = local_read_begin(local, &txn);
	if (err < 0)
		return err;
	err = local_bucket_find(local, txn, bucket, &found);
	if (err == 0) {
		MDB_val entry = document_key(&key, found.node, name);
		err = local_error(mdb_get(txn, local->documents, &entry, &value));
	}
	if (err == 0) {
		const char *text = (const char *)value.mv_data + sizeof(sum);
		if (value.mv_size >= sizeof(sum))
			memcpy(&sum, value.mv_data, sizeof(sum));
		if (value.mv_size < sizeof(sum) ||
		    sum != document_sum(&key, text, value.mv_size - sizeof(sum)))
			err = local_damaged("document", bucket, name, strlen(name));
		else
			err = eos_buf_append(out, text, value.mv_size - sizeof(sum));
	}
	mdb_txn_abort(txn);
	return err;
}

int local_bucket_document_set(struct store *store, const char *bucket, const char *name,
			      const void *data, size_t len)
{
	struct local_op op = {
		.kind = LOCAL_OP_DOCUMENT_SET,
		.bucket = bucket,
		.key = name,
		.data = data,
		.data_len = len,
	};
	return local_commit(local_of(store), &op);
}

int local_apply_document_set(struct local_txn *t, struct local_op *op)
{
	struct local_bucket bucket;
	struct document_key key;
	int err = local_bucket_find(t->local, t->txn, op->bucket, &bucket);
	if (err < 0)
		return local_refuse(t, op, err);
	MDB_val entry = document_key(&key, bucket.node, op->key);
	uint64_t sum = document_sum(&key, op->data, op->data_len);
	MDB_val value = {.mv_size = sizeof(sum) + op->data_len};
	err = local_put(t->txn, t->local->documents, &entry, &value, MDB_RESERVE);
	if (err < 0)
		return err;
	memcpy(value.mv_data, &sum, sizeof(sum));
	if (op->data_len > 0)
		memcpy((char *)value.mv_data + sizeof(sum), op->data, op->data_len);
	return local_accept(t, op);
}

int local_bucket_document_delete(struct store *store, const char *bucket, const char *name)
{
	struct local_op op = {
		.kind = LOCAL_OP_DOCUMENT_DELETE,
		.bucket = bucket,
		.key = name,
	};
	return local_commit(local_of(store), &op);
}

int local_apply_document_delete(struct local_txn *t, struct local_op *op)
{
	struct local_bucket bucket;
	struct document_key key;
	MDB_val entry, value;
	int err = local_bucket_find(t->local, t->txn, op->bucket, &bucket);
	if (err == 0) {
		entry = document_key(&key, bucket.node, op->key);
		err = local_error(mdb_get(t->txn, t->local->documents, &entry, &value));
	}
	if (err < 0)
		return local_refuse(t, op, err);
	err = local_delete(t->txn, t->local->documents, &entry);
	return err < 0 ? err : local_accept(t, op);
}

int local_documents_drop(struct local_txn *t, uint64_t node)
{
	MDB_cursor *cursor;
	int err = local_error(mdb_cursor_open(t->txn, t->local->documents, &cursor));
	if (err < 0)
		return err;
	for (;;) {
		struct document_key first;
		MDB_val key = document_key(&first, node, ""), value;
		err = local_error(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE));
		if (err < 0 || key.mv_size < 8 || key.mv_size > sizeof(first.bytes) ||
		    memcmp(key.mv_data, first.bytes, 8) != 0)
			break;
		/* A key inside the page that it is deleted from would move. */
		memcpy(first.bytes, key.mv_data, key.mv_size);
		key.mv_data = first.bytes;
		err = local_delete(t->txn, t->local->documents, &key);
		if (err < 0)
			break;
	}
	mdb_cursor_close(cursor);
	return err == -ENOENT ? 0 : err;
}
