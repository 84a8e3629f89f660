/*
 * Looking up, deleting and renaming objects.
 */
#include <errno.h>

#include "store/local_priv.h"

int local_object_get(struct store *store, const char *bucket, const char *key, size_t key_len,
		     uint64_t version, struct store_object_info *ret_info)
{
	struct local *local = local_of(store);
	struct local_bucket root;
	struct local_found found;
	MDB_txn *txn;
	int err = local_read_begin(local, &txn);
	if (err < 0)
		return err;
	err = local_bucket_find(local, txn, bucket, &root);
	if (err == 0)
		err = local_version_find(local, txn, bucket, root.node, key, key_len, version,
					 &found);
	if (err == 0)
		local_found_info(&found, ret_info);
	if (err == 0 && version == STORE_VERSION_LATEST && found.record.kind == LOCAL_RECORD_MARKER)
		err = -ENOENT;
	local_read_end(local, txn);
	return err;
}

int local_object_delete(struct store *store, const char *bucket, const char *key, size_t key_len,
			const struct store_removal *removal, struct store_removed *ret)
{
	struct local_op op = {
		.kind = LOCAL_OP_OBJECT_DELETE,
		.bucket = bucket,
		.key = key,
		.key_len = key_len,
		.removal = removal,
	};
	int err = local_commit(local_of(store), &op);
	if (err == 0)
		*ret = op.removed;
	return err;
}

int local_object_update(struct store *store, const char *bucket, const char *key, size_t key_len,
			uint64_t version, int (*change)(void *ctx, struct store_object_info *info),
			void *ctx)
{
	struct local_op op = {
		.kind = LOCAL_OP_OBJECT_UPDATE,
		.bucket = bucket,
		.key = key,
		.key_len = key_len,
		.version = version,
		.change = change,
		.change_ctx = ctx,
	};
	return local_commit(local_of(store), &op);
}

int local_object_rename(struct store *store, const char *bucket, const char *key, size_t key_len,
			const char *new_key, size_t new_key_len)
{
	struct local_op op = {
		.kind = LOCAL_OP_OBJECT_RENAME,
		.bucket = bucket,
		.key = key,
		.key_len = key_len,
		.new_key = new_key,
		.new_key_len = new_key_len,
	};
	return local_commit(local_of(store), &op);
}
