/*
 * What buckets and tenants hold, and how much they may: counted by the changes themselves.
 *
 * Invariants
 * 1. A bucket's objects and bytes are those of its versions that are no delete markers, latest and
 *    noncurrent; a tenant's are the sums of its buckets'; the store's those of all buckets. The
 *    node's own buckets have counts of their own and are in no sum.
 * 2. Counts and quotas change in the transaction of the change that is counted. So two uploads that
 *    fit one by one, but not together, cannot both get in.
 */
#include <errno.h>
#include <string.h>

#include "store/local_changes_priv.h"

/* The name with its NUL: LMDB has no empty keys, and the operator's name is empty. */
static MDB_val tenant_key(const char *name)
{
	/* LMDB does not write to the keys it is given. */
	return (MDB_val){.mv_size = strlen(name) + 1, .mv_data = (void *)(uintptr_t)name};
}

int local_tenant_get(struct local *local, MDB_txn *txn, const char *name,
		     struct local_tenant *ret_tenant)
{
	MDB_val key = tenant_key(name), value;
	int err = local_error(mdb_get(txn, local->tenants, &key, &value));
	if (err == -ENOENT) {
		*ret_tenant = (struct local_tenant){0};
		return 0;
	}
	if (err == 0)
		err = local_tenant_parse(&value, name, ret_tenant);
	return err == -EBADMSG ? local_damaged("tenant record", name, NULL, 0) : err;
}

int local_tenant_put(struct local_txn *t, const char *name, struct local_tenant *tenant)
{
	MDB_val key = tenant_key(name);
	if ((tenant->quota_bytes | tenant->quota_objects | tenant->objects | tenant->bytes) == 0) {
		int err = local_delete(t->txn, t->local->tenants, &key);
		return err == -ENOENT ? 0 : err;
	}
	local_tenant_seal(tenant, name);
	MDB_val value = {.mv_size = sizeof(*tenant), .mv_data = tenant};
	return local_put(t->txn, t->local->tenants, &key, &value, 0);
}

/* Counts are never below zero; where one would be, it was wrong before. */
static void add(uint64_t *count, int64_t delta, const char *name)
{
	if (delta < 0 && *count < (uint64_t)-delta) {
		(void)local_damaged("count of what it holds", name, NULL, 0);
		*count = 0;
		return;
	}
	*count += (uint64_t)delta;
}

static bool fits(uint64_t count, int64_t delta, uint64_t quota)
{
	return quota == 0 || delta <= 0 || (count <= quota && (uint64_t)delta <= quota - count);
}

static int check_quotas(struct local *local, MDB_txn *txn, const char *name,
			const struct local_bucket *bucket, struct local_delta delta)
{
	struct local_tenant tenant = {0};
	int err = 0;
	if (!store_bucket_is_own(name))
		err = local_tenant_get(local, txn, bucket->tenant, &tenant);
	if (err < 0)
		return err;
	return fits(bucket->objects, delta.objects, bucket->quota_objects) &&
			       fits(bucket->bytes, delta.bytes, bucket->quota_bytes) &&
			       fits(tenant.objects, delta.objects, tenant.quota_objects) &&
			       fits(tenant.bytes, delta.bytes, tenant.quota_bytes)
		       ? 0
		       : -EDQUOT;
}

int local_usage_check(struct local_txn *t, const char *name, const struct local_bucket *bucket,
		      struct local_delta delta)
{
	return check_quotas(t->local, t->txn, name, bucket, delta);
}

int local_quota_check(struct store *store, const char *bucket, const char *key, size_t key_len,
		      uint64_t size)
{
	struct local *local = local_of(store);
	struct local_delta delta = {.objects = 1, .bytes = (int64_t)size};
	struct local_bucket found;
	struct local_found old;
	MDB_txn *txn;
	int err = local_read_begin(local, &txn);
	if (err < 0)
		return err;
	err = local_bucket_find(local, txn, bucket, &found);
	/* Where versions are not kept the null version is replaced. */
	if (err == 0 && found.versioning != STORE_VERSIONING_ENABLED) {
		err = local_object_find(local, txn, bucket, found.node, key, key_len,
					STORE_VERSION_NULL, &old);
		if (err == 0)
			delta = (struct local_delta){.bytes = delta.bytes -
							      (int64_t)old.record.size};
		if (err == -ENOENT)
			err = 0;
	}
	if (err == 0)
		err = check_quotas(local, txn, bucket, &found, delta);
	local_read_end(local, txn);
	return err;
}

static int tenant_add(struct local_txn *t, const char *name, struct local_delta delta)
{
	struct local_tenant tenant;
	int err = local_tenant_get(t->local, t->txn, name, &tenant);
	if (err < 0)
		return err;
	add(&tenant.objects, delta.objects, name);
	add(&tenant.bytes, delta.bytes, name);
	return local_tenant_put(t, name, &tenant);
}

int local_usage_add(struct local_txn *t, const char *name, struct local_bucket *bucket,
		    struct local_delta delta)
{
	if (delta.objects == 0 && delta.bytes == 0)
		return 0;
	add(&bucket->objects, delta.objects, name);
	add(&bucket->bytes, delta.bytes, name);
	int err = local_bucket_put(t, name, bucket);
	if (err < 0 || store_bucket_is_own(name))
		return err;
	add(&t->state.objects, delta.objects, "");
	add(&t->state.bytes, delta.bytes, "");
	return tenant_add(t, bucket->tenant, delta);
}

int local_usage_move(struct local_txn *t, const char *name, const struct local_bucket *bucket,
		     const char *new_tenant)
{
	struct local_delta delta = {(int64_t)bucket->objects, (int64_t)bucket->bytes};
	if (store_bucket_is_own(name) || strcmp(bucket->tenant, new_tenant) == 0)
		return 0;
	int err = tenant_add(t, new_tenant, delta);
	if (err < 0)
		return err;
	return tenant_add(t, bucket->tenant, (struct local_delta){-delta.objects, -delta.bytes});
}

int local_apply_tenant_quota(struct local_txn *t, struct local_op *op)
{
	struct local_tenant tenant;
	int err = local_tenant_get(t->local, t->txn, op->tenant, &tenant);
	if (err < 0)
		return local_refuse(t, op, err);
	tenant.quota_bytes = op->quota_bytes;
	tenant.quota_objects = op->quota_objects;
	err = local_tenant_put(t, op->tenant, &tenant);
	return err < 0 ? err : local_accept(t, op);
}

int local_bucket_usage(struct store *store, const char *bucket, struct store_usage *ret_usage)
{
	struct local_bucket found;
	int err = local_bucket_read(local_of(store), bucket, &found);
	if (err == 0)
		*ret_usage = (struct store_usage){.objects = found.objects, .bytes = found.bytes};
	return err;
}

static int tenant_read(struct store *store, const char *name, struct local_tenant *ret_tenant)
{
	struct local *local = local_of(store);
	MDB_txn *txn;
	int err = local_read_begin(local, &txn);
	if (err < 0)
		return err;
	err = local_tenant_get(local, txn, name, ret_tenant);
	local_read_end(local, txn);
	return err;
}

int local_tenant_usage(struct store *store, const char *tenant, struct store_usage *ret_usage)
{
	struct local_tenant found;
	int err = tenant_read(store, tenant, &found);
	if (err == 0)
		*ret_usage = (struct store_usage){.objects = found.objects, .bytes = found.bytes};
	return err;
}

int local_tenant_quota_set(struct store *store, const char *tenant, uint64_t bytes,
			   uint64_t objects)
{
	struct local_op op = {
		.kind = LOCAL_OP_TENANT_QUOTA,
		.tenant = tenant,
		.quota_bytes = bytes,
		.quota_objects = objects,
	};
	return local_commit(local_of(store), &op);
}

int local_tenant_quota_get(struct store *store, const char *tenant, uint64_t *ret_bytes,
			   uint64_t *ret_objects)
{
	struct local_tenant found;
	int err = tenant_read(store, tenant, &found);
	if (err < 0)
		return err;
	*ret_bytes = found.quota_bytes;
	*ret_objects = found.quota_objects;
	return 0;
}
