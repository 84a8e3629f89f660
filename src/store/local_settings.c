/*
 * Settings of buckets, which stand in the bucket's record, and the documents that are kept with
 * them: table `documents`, node of the bucket (8 bytes, big-endian) | name -> checksum (seeded by
 * that of the entry's key), text. LMDB's pages are cached; beyond that: local_memo_priv.h.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "store/local_changes_priv.h"
#include "store/local_memo_priv.h"

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

static void settings_of(const struct local_bucket *bucket,
			struct store_bucket_settings *ret_settings)
{
	*ret_settings = (struct store_bucket_settings){
		.versioning = (enum store_versioning)bucket->versioning,
		.has_object_lock = (bucket->flags & LOCAL_BUCKET_HAS_LOCK) != 0,
		.is_encrypted = (bucket->flags & LOCAL_BUCKET_IS_ENCRYPTED) != 0,
		.is_compressed = (bucket->flags & LOCAL_BUCKET_IS_COMPRESSED) != 0,
		.quota_bytes = bucket->quota_bytes,
		.quota_objects = bucket->quota_objects,
	};
	memcpy(ret_settings->tenant, bucket->tenant, sizeof(bucket->tenant));
}

int local_document_check(const MDB_val *key, const MDB_val *value)
{
	uint64_t sum;
	if (key->mv_size <= 8 || key->mv_size > sizeof(((struct document_key *)NULL)->bytes) ||
	    value->mv_size < sizeof(sum))
		return -EBADMSG;
	memcpy(&sum, value->mv_data, sizeof(sum));
	return sum == local_sum((const char *)value->mv_data + sizeof(sum),
				value->mv_size - sizeof(sum),
				local_sum(key->mv_data, key->mv_size, 0))
		       ? 0
		       : -EBADMSG;
}

int local_bucket_settings_get(struct store *store, const char *bucket,
			      struct store_bucket_settings *ret_settings)
{
	struct local_bucket found;
	int err = local_bucket_read(local_of(store), bucket, &found);
	if (err < 0)
		return err;
	settings_of(&found, ret_settings);
	return 0;
}

int local_bucket_need_key(struct local *local, const struct store_bucket_settings *settings)
{
	const struct local_key *key;
	return settings->is_encrypted ? local_crypt_tenant_key(local, settings->tenant, &key) : 0;
}

int local_bucket_settings_set(struct store *store, const char *bucket,
			      const struct store_bucket_settings *expected,
			      const struct store_bucket_settings *settings)
{
	struct local_op op = {
		.kind = LOCAL_OP_BUCKET_SETTINGS,
		.bucket = bucket,
		.expected = expected,
		.settings = settings,
	};
	/* Without the node key other settings of an encrypted bucket can be changed nevertheless.
	 */
	bool is_new_key = expected == NULL || !expected->is_encrypted ||
			  strcmp(expected->tenant, settings->tenant) != 0;
	int err = is_new_key ? local_bucket_need_key(local_of(store), settings) : 0;
	return err < 0 ? err : local_commit(local_of(store), &op);
}

void local_bucket_take_settings(struct local_bucket *bucket,
				const struct store_bucket_settings *settings)
{
	bucket->versioning = (uint8_t)settings->versioning;
	bucket->flags = (uint8_t)((settings->has_object_lock ? LOCAL_BUCKET_HAS_LOCK : 0) |
				  (settings->is_encrypted ? LOCAL_BUCKET_IS_ENCRYPTED : 0) |
				  (settings->is_compressed ? LOCAL_BUCKET_IS_COMPRESSED : 0));
	bucket->quota_bytes = settings->quota_bytes;
	bucket->quota_objects = settings->quota_objects;
	memset(bucket->tenant, 0, sizeof(bucket->tenant));
	memcpy(bucket->tenant, settings->tenant, strlen(settings->tenant));
}

/* Field by field: what is between them, and behind the tenant's name, may be anything. */
static bool is_same(const struct store_bucket_settings *a, const struct store_bucket_settings *b)
{
	return strcmp(a->tenant, b->tenant) == 0 && a->versioning == b->versioning &&
	       a->has_object_lock == b->has_object_lock && a->is_encrypted == b->is_encrypted &&
	       a->is_compressed == b->is_compressed && a->quota_bytes == b->quota_bytes &&
	       a->quota_objects == b->quota_objects;
}

int local_apply_settings(struct local_txn *t, struct local_op *op)
{
	const struct store_bucket_settings *settings = op->settings;
	struct store_bucket_settings now;
	struct local_bucket bucket;
	int err = local_bucket_find(t->local, t->txn, op->bucket, &bucket);
	if (err < 0)
		return local_refuse(t, op, err);
	settings_of(&bucket, &now);
	if (op->expected != NULL && !is_same(&now, op->expected))
		return local_refuse(t, op, -EAGAIN);
	if (bucket.versioning != STORE_VERSIONING_OFF &&
	    settings->versioning == STORE_VERSIONING_OFF)
		return local_refuse(t, op, -EINVAL);
	if ((bucket.flags & LOCAL_BUCKET_HAS_LOCK) != 0 && !settings->has_object_lock)
		return local_refuse(t, op, -EPERM);

	err = local_usage_move(t, op->bucket, &bucket, settings->tenant);
	if (err < 0)
		return err;
	local_bucket_take_settings(&bucket, settings);
	err = local_bucket_put(t, op->bucket, &bucket);
	return err < 0 ? err : local_accept(t, op);
}

/* Appends the document to OUT. */
static int read_document(struct local *local, MDB_txn *txn, const char *bucket, uint64_t node,
			 const char *name, struct eos_buf *out)
{
	struct document_key key;
	MDB_val entry = document_key(&key, node, name), value;
	uint64_t sum;
	int err = local_error(mdb_get(txn, local->documents, &entry, &value));
	if (err < 0)
		return err;
	const char *text = (const char *)value.mv_data + sizeof(sum);
	if (value.mv_size >= sizeof(sum))
		memcpy(&sum, value.mv_data, sizeof(sum));
	if (value.mv_size < sizeof(sum) ||
	    sum != document_sum(&key, text, value.mv_size - sizeof(sum)))
		return local_damaged("document", bucket, name, strlen(name));
	return eos_buf_append(out, text, value.mv_size - sizeof(sum));
}

int local_bucket_document_get(struct store *store, const char *bucket, const char *name,
			      struct eos_buf *out)
{
	struct local *local = local_of(store);
	struct local_bucket found;
	MDB_txn *txn;
	int err = local_read_begin(local, &txn);
	if (err < 0)
		return err;
	err = local_bucket_find(local, txn, bucket, &found);
	if (err == 0)
		err = read_document(local, txn, bucket, found.node, name, out);
	local_read_end(local, txn);
	return err;
}

int local_bucket_look(struct store *store, const char *bucket,
		      struct store_bucket_settings *ret_settings, const char *const *names,
		      struct eos_buf *texts, size_t count)
{
	struct local *local = local_of(store);
	struct local_bucket found;
	bool has_any = false;
	MDB_txn *txn;
	if (local_memo_find(local, bucket, names, count, &found)) {
		settings_of(&found, ret_settings);
		return 0;
	}
	uint64_t generation = local_memo_generation(local);
	int err = local_read_begin(local, &txn);
	if (err < 0)
		return err;
	err = local_bucket_find(local, txn, bucket, &found);
	for (size_t i = 0; i < count && err == 0; i++) {
		err = read_document(local, txn, bucket, found.node, names[i], &texts[i]);
		has_any = has_any || err == 0;
		if (err == -ENOENT)
			err = 0;
	}
	local_read_end(local, txn);
	if (err < 0)
		return err;
	settings_of(&found, ret_settings);
	if (!has_any)
		local_memo_keep(local, generation, bucket, &found, names, count);
	return 0;
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
