/*
 * Buckets, and the store's own numbers.
 */
#include <errno.h>
#include <string.h>

#include "store/local_changes_priv.h"
#include "store/local_priv.h"

int local_bucket_create(struct store *store, const char *name,
			const struct store_bucket_settings *settings)
{
	struct local_op op = {
		.kind = LOCAL_OP_BUCKET_CREATE,
		.bucket = name,
		.settings = settings,
	};
	int err = local_bucket_need_key(local_of(store), settings);
	return err < 0 ? err : local_commit(local_of(store), &op);
}

int local_bucket_delete(struct store *store, const char *name)
{
	struct local_op op = {.kind = LOCAL_OP_BUCKET_DELETE, .bucket = name};
	return local_commit(local_of(store), &op);
}

int local_bucket_get(struct store *store, const char *name, struct store_bucket_info *ret_info)
{
	struct local_bucket bucket;
	int err = local_bucket_read(local_of(store), name, &bucket);
	if (err < 0)
		return err;
	memcpy(ret_info->name, name, strlen(name) + 1);
	ret_info->created_ns = bucket.created_ns;
	return 0;
}

static int visit_bucket(const MDB_val *key, const MDB_val *value,
			int (*visit)(void *ctx, const struct store_bucket_info *info), void *ctx)
{
	struct store_bucket_info info;
	struct local_bucket bucket;
	if (key->mv_size > STORE_BUCKET_NAME_MAX)
		return local_damaged("bucket name", "", NULL, 0);
	memcpy(info.name, key->mv_data, key->mv_size);
	info.name[key->mv_size] = '\0';
	int err = local_bucket_parse(value, info.name, key->mv_size, &bucket);
	if (err < 0)
		return local_damaged("bucket record", info.name, NULL, 0);
	info.created_ns = bucket.created_ns;
	return visit(ctx, &info);
}

int local_bucket_list(struct store *store,
		      int (*visit)(void *ctx, const struct store_bucket_info *info), void *ctx)
{
	struct local *local = local_of(store);
	MDB_txn *txn;
	MDB_cursor *cursor;
	int err = local_read_begin(local, &txn);
	if (err < 0)
		return err;
	err = local_error(mdb_cursor_open(txn, local->buckets, &cursor));
	if (err == 0) {
		MDB_val key, value;
		int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
		for (; err == 0 && rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
			err = visit_bucket(&key, &value, visit, ctx);
		if (err == 0 && rc != MDB_NOTFOUND)
			err = local_error(rc);
		mdb_cursor_close(cursor);
	}
	mdb_txn_abort(txn);
	return err;
}
