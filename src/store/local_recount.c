/*
 * Upkeep of what is derived from other tables: tenants' counts from those of their buckets, and the
 * index from the objects. Verify compares, repair makes anew.
 *
 * A bucket's index is dropped and made in many small transactions, between which changes go on:
 * they add entries that the making would add too, and remove what may be gone already. Until it is
 * done, searches find less than there is.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/local_changes_priv.h"
#include "store/local_index_priv.h"
#include "store/local_keys_priv.h"

/* Of one transaction; a key has some hundred entries at most. */
#define DROPS_MAX 4096u
#define KEYS_MAX  128u

struct tenant_sum {
	char name[STORE_TENANT_MAX + 1];
	struct store_usage usage;
};

struct tenant_sums {
	size_t count, cap;
	struct tenant_sum *all;
};

static struct tenant_sum *sum_of(struct tenant_sums *sums, const char *name)
{
	for (size_t i = 0; i < sums->count; i++) {
		if (strcmp(sums->all[i].name, name) == 0)
			return &sums->all[i];
	}
	if (sums->count == sums->cap) {
		size_t cap = EOS_MAX(2 * sums->cap, (size_t)16);
		struct tenant_sum *all = realloc(sums->all, cap * sizeof(all[0]));
		if (all == NULL)
			return NULL;
		sums->all = all;
		sums->cap = cap;
	}
	struct tenant_sum *sum = &sums->all[sums->count++];
	*sum = (struct tenant_sum){0};
	memcpy(sum->name, name, strlen(name) + 1);
	return sum;
}

static int add_bucket(struct tenant_sums *sums, const MDB_val *key, const MDB_val *value)
{
	char name[STORE_BUCKET_NAME_MAX + 1] = "";
	struct local_bucket bucket;
	if (key->mv_size > STORE_BUCKET_NAME_MAX)
		return 0;
	memcpy(name, key->mv_data, key->mv_size);
	/* A damaged bucket is told of elsewhere; nobody knows whose it is. */
	if (store_bucket_is_own(name) || local_bucket_parse(value, name, key->mv_size, &bucket) < 0)
		return 0;
	struct tenant_sum *sum = sum_of(sums, bucket.tenant);
	if (sum == NULL)
		return -ENOMEM;
	sum->usage.objects += bucket.objects;
	sum->usage.bytes += bucket.bytes;
	return 0;
}

/* A tenant without buckets must count nothing. */
static int add_tenant(struct tenant_sums *sums, const MDB_val *key, const MDB_val *value)
{
	const char *name = key->mv_data;
	if (key->mv_size == 0 || key->mv_size > STORE_TENANT_MAX + 1 ||
	    strnlen(name, key->mv_size) != key->mv_size - 1)
		return 0;
	return sum_of(sums, name) == NULL ? -ENOMEM : 0;
}

static int each(MDB_txn *txn, MDB_dbi dbi, struct tenant_sums *sums,
		int (*add)(struct tenant_sums *sums, const MDB_val *key, const MDB_val *value))
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int err = local_error(mdb_cursor_open(txn, dbi, &cursor));
	if (err < 0)
		return err;
	int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
	for (; rc == 0 && err == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
		err = add(sums, &key, &value);
	mdb_cursor_close(cursor);
	return err == 0 && rc != 0 && rc != MDB_NOTFOUND ? local_error(rc) : err;
}

static int sum_up(struct local *local, MDB_txn *txn, struct tenant_sums *ret_sums)
{
	*ret_sums = (struct tenant_sums){0};
	int err = each(txn, local->buckets, ret_sums, add_bucket);
	return err < 0 ? err : each(txn, local->tenants, ret_sums, add_tenant);
}

int local_tenants_check(struct local *local, MDB_txn *txn, uint64_t *ret_wrong)
{
	struct tenant_sums sums;
	uint64_t wrong = 0;
	int err = sum_up(local, txn, &sums);
	for (size_t i = 0; i < sums.count && err == 0; i++) {
		struct local_tenant tenant;
		err = local_tenant_get(local, txn, sums.all[i].name, &tenant);
		if (err == -EBADMSG) {
			wrong++;
			err = 0;
		} else if (err == 0) {
			wrong += tenant.objects != sums.all[i].usage.objects ||
				 tenant.bytes != sums.all[i].usage.bytes;
		}
	}
	free(sums.all);
	if (err == 0)
		*ret_wrong = wrong;
	return err;
}

int local_tenants_recount(struct local_txn *t)
{
	struct tenant_sums sums;
	int err = sum_up(t->local, t->txn, &sums);
	for (size_t i = 0; i < sums.count && err == 0; i++) {
		struct local_tenant tenant;
		err = local_tenant_get(t->local, t->txn, sums.all[i].name, &tenant);
		if (err == -EBADMSG) { /* its quotas are lost */
			tenant = (struct local_tenant){0};
			err = 0;
		}
		tenant.objects = sums.all[i].usage.objects;
		tenant.bytes = sums.all[i].usage.bytes;
		if (err == 0)
			err = local_tenant_put(t, sums.all[i].name, &tenant);
	}
	free(sums.all);
	if (err == 0)
		t->is_changed = true;
	return err;
}

/* Removes some entries of the bucket's index. 0: none are left; 1; or an error. */
static int drop_some(struct local_txn *t, uint64_t node)
{
	uint8_t bytes[LOCAL_ENTRY_MAX];
	MDB_cursor *cursor;
	int err = local_error(mdb_cursor_open(t->txn, t->local->index, &cursor));
	if (err < 0)
		return err;
	unsigned dropped = 0;
	for (; dropped < DROPS_MAX; dropped++) {
		local_be64_put(bytes, node);
		MDB_val key = {.mv_size = 8, .mv_data = bytes}, value;
		err = local_error(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE));
		if (err < 0 || key.mv_size > sizeof(bytes) || memcmp(key.mv_data, bytes, 8) != 0)
			break;
		/* A key inside the page that it is deleted from would move. */
		memcpy(bytes, key.mv_data, key.mv_size);
		key.mv_data = bytes;
		err = local_delete(t->txn, t->local->index, &key);
		if (err < 0)
			break;
	}
	mdb_cursor_close(cursor);
	if (err < 0 && err != -ENOENT)
		return err;
	return dropped == DROPS_MAX;
}

/* Enters some objects behind op->key; op->reindexed becomes the last of them. As drop_some(). */
static int enter_some(struct local_txn *t, struct local_op *op, uint64_t node,
		      struct local_key_cursor *cursor)
{
	char *last = t->scratch;
	memcpy(last, op->key, op->key_len);
	last[op->key_len] = '\0'; /* the smallest key that is greater */
	unsigned entered = 0;
	int err = local_key_cursor_seek(cursor, last, op->key_len == 0 ? 0 : op->key_len + 1);
	for (; err == 0 && entered < KEYS_MAX; entered++) {
		struct local_record record;
		struct local_indexed object = {
			.bucket = op->bucket,
			.node = node,
			.key = cursor->key,
			.key_len = cursor->key_len,
			.record = &record,
		};
		const char *data;
		uint64_t seed = local_record_seed(node, cursor->key, cursor->key_len);
		/* A damaged record is told of elsewhere, and found by nothing. */
		if (local_record_parse(&cursor->value, seed, &record, &object.metadata, &data) == 0)
			err = local_index_change(t, &object, true);
		memcpy(op->reindexed, cursor->key, cursor->key_len);
		op->reindexed_len = cursor->key_len;
		if (err == 0)
			err = local_key_cursor_next(cursor);
	}
	if (err < 0 && err != -ENOENT)
		return err;
	return err == 0;
}

int local_apply_reindex(struct local_txn *t, struct local_op *op)
{
	struct local_bucket bucket;
	int err = local_bucket_find(t->local, t->txn, op->bucket, &bucket);
	if (err < 0)
		return local_refuse(t, op, err);
	int more;
	if (op->drops_index) {
		more = drop_some(t, bucket.node);
	} else {
		struct local_key_cursor cursor;
		local_key_cursor_init(&cursor, t->txn, t->local->objects, bucket.node);
		more = enter_some(t, op, bucket.node, &cursor);
		local_key_cursor_fini(&cursor);
	}
	if (more < 0)
		return more;
	t->is_changed = true;
	op->result = more;
	return 0;
}

int local_index_rebuild(struct local *local, const char *bucket)
{
	char last[STORE_KEY_MAX], next[STORE_KEY_MAX]; /* a batch may be tried twice */
	struct local_op op = {.kind = LOCAL_OP_REINDEX, .bucket = bucket, .drops_index = true};
	int more;
	do {
		more = local_commit(local, &op);
	} while (more > 0);
	op.drops_index = false;
	op.key = last;
	op.key_len = 0;
	op.reindexed = next;
	op.reindexed_len = 0;
	if (more == 0)
		more = 1;
	while (more > 0) {
		more = local_commit(local, &op);
		memcpy(last, next, op.reindexed_len);
		op.key_len = op.reindexed_len;
	}
	return more;
}
