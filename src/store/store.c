/*
 * The public face: checks everything that comes from outside, then calls the engine's table.
 *
 * A key that cannot exist (too long, NUL inside, not UTF-8) is -EINVAL where it would be made and
 * -ENOENT where it is looked for, so that callers need no check of their own to be correct.
 */
#include "store/store.h"

#include <errno.h>
#include <string.h>

#include "base/str.h"
#include "store/store_engine.h"
#include "store/store_metadata_priv.h"

static bool bucket_name_is_valid(const char *name)
{
	size_t len = strnlen(name, STORE_BUCKET_NAME_MAX + 1);
	if (len < 3 || len > STORE_BUCKET_NAME_MAX)
		return false;
	return strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789.-") == len;
}

static bool key_is_valid(const char *key, size_t len)
{
	return len >= 1 && len <= STORE_KEY_MAX && memchr(key, '\0', len) == NULL &&
	       eos_utf8_is_valid(key, len);
}

int store_open(const char *dir_path, struct store **ret_store, struct eos_why *why)
{
	return store_engine_local.open(dir_path, ret_store, why);
}

struct store *store_close(struct store *store)
{
	if (store != NULL)
		store->ops->close(store);
	return NULL;
}

void store_set_matcher(struct store *store, store_matcher_fn match, void (*notify)(void *ctx),
		       void *ctx)
{
	store->ops->set_matcher(store, match, notify, ctx);
}

int store_stats(struct store *store, struct store_stats *ret_stats)
{
	return store->ops->stats(store, ret_stats);
}

int store_bucket_create(struct store *store, const char *name)
{
	return bucket_name_is_valid(name) ? store->ops->bucket_create(store, name) : -EINVAL;
}

int store_bucket_delete(struct store *store, const char *name)
{
	return bucket_name_is_valid(name) ? store->ops->bucket_delete(store, name) : -ENOENT;
}

int store_bucket_get(struct store *store, const char *name, struct store_bucket_info *ret_info)
{
	return bucket_name_is_valid(name) ? store->ops->bucket_get(store, name, ret_info) : -ENOENT;
}

struct visible_buckets {
	int (*visit)(void *ctx, const struct store_bucket_info *info);
	void *ctx;
};

static int visit_visible(void *ctx, const struct store_bucket_info *info)
{
	struct visible_buckets *visible = ctx;
	return store_bucket_is_own(info->name) ? 0 : visible->visit(visible->ctx, info);
}

int store_bucket_list(struct store *store,
		      int (*visit)(void *ctx, const struct store_bucket_info *info), void *ctx)
{
	struct visible_buckets visible = {visit, ctx};
	return store->ops->bucket_list(store, visit_visible, &visible);
}

int store_upload_begin(struct store *store, const char *bucket, const char *key, size_t key_len,
		       const struct store_object_info *info, struct store_upload **ret_upload)
{
	if (!key_is_valid(key, key_len))
		return -EINVAL;
	if (!bucket_name_is_valid(bucket))
		return -ENOENT;
	const char *metadata = info == NULL ? "" : info->metadata;
	uint32_t metadata_len = info == NULL ? 0 : info->metadata_len;
	if (!store_metadata_is_valid(metadata, metadata_len))
		return -EINVAL;
	return store->ops->upload_begin(store, bucket, key, key_len, metadata, metadata_len,
					ret_upload);
}

int store_upload_write(struct store_upload *upload, const void *data, size_t len, uint64_t offset)
{
	if (offset > STORE_OBJECT_BYTES_MAX || len > STORE_OBJECT_BYTES_MAX - offset)
		return -EFBIG;
	return len == 0 ? 0 : upload->ops->upload_write(upload, data, len, offset);
}

int64_t store_upload_read(struct store_upload *upload, void *data, size_t len, uint64_t offset)
{
	uint64_t size = upload->ops->upload_size(upload);
	if (offset >= size || len == 0)
		return 0;
	return upload->ops->upload_read(upload, data, EOS_MIN((uint64_t)len, size - offset),
					offset);
}

int store_upload_truncate(struct store_upload *upload, uint64_t size)
{
	if (size > STORE_OBJECT_BYTES_MAX)
		return -EFBIG;
	return upload->ops->upload_truncate(upload, size);
}

uint64_t store_upload_size(const struct store_upload *upload)
{
	return upload->ops->upload_size(upload);
}

int store_upload_commit(struct store_upload *upload, enum store_condition condition,
			struct store_object_info *ret_info)
{
	return upload->ops->upload_commit(upload, condition, ret_info);
}

struct store_upload *store_upload_abort(struct store_upload *upload)
{
	if (upload != NULL)
		upload->ops->upload_abort(upload);
	return NULL;
}

int store_reader_open(struct store *store, const char *bucket, const char *key, size_t key_len,
		      struct store_reader **ret_reader)
{
	if (!bucket_name_is_valid(bucket) || !key_is_valid(key, key_len))
		return -ENOENT;
	return store->ops->reader_open(store, bucket, key, key_len, ret_reader);
}

const struct store_object_info *store_reader_info(const struct store_reader *reader)
{
	return reader->ops->reader_info(reader);
}

int64_t store_reader_read(struct store_reader *reader, void *data, size_t len, uint64_t offset)
{
	uint64_t size = reader->ops->reader_info(reader)->size;
	if (offset >= size || len == 0)
		return 0;
	return reader->ops->reader_read(reader, data, EOS_MIN((uint64_t)len, size - offset),
					offset);
}

struct store_reader *store_reader_close(struct store_reader *reader)
{
	if (reader != NULL)
		reader->ops->reader_close(reader);
	return NULL;
}

int store_object_get(struct store *store, const char *bucket, const char *key, size_t key_len,
		     struct store_object_info *ret_info)
{
	if (!bucket_name_is_valid(bucket) || !key_is_valid(key, key_len))
		return -ENOENT;
	return store->ops->object_get(store, bucket, key, key_len, ret_info);
}

int store_object_delete(struct store *store, const char *bucket, const char *key, size_t key_len)
{
	if (!bucket_name_is_valid(bucket) || !key_is_valid(key, key_len))
		return -ENOENT;
	return store->ops->object_delete(store, bucket, key, key_len);
}

int store_object_rename(struct store *store, const char *bucket, const char *key, size_t key_len,
			const char *new_key, size_t new_key_len)
{
	if (!key_is_valid(new_key, new_key_len))
		return -EINVAL;
	if (!bucket_name_is_valid(bucket) || !key_is_valid(key, key_len))
		return -ENOENT;
	return store->ops->object_rename(store, bucket, key, key_len, new_key, new_key_len);
}

int store_object_list(struct store *store, const char *bucket, const struct store_list_query *query,
		      int (*visit)(void *ctx, const struct store_list_entry *entry), void *ctx,
		      bool *ret_more)
{
	if (!bucket_name_is_valid(bucket))
		return -ENOENT;
	return store->ops->object_list(store, bucket, query, visit, ctx, ret_more);
}

int store_outbox_list(struct store *store, uint64_t after_id,
		      int (*visit)(void *ctx, const struct store_event *event), void *ctx)
{
	return store->ops->outbox_list(store, after_id, visit, ctx);
}

int store_outbox_remove(struct store *store, uint64_t id)
{
	return store->ops->outbox_remove(store, id);
}

int store_outbox_retry(struct store *store, uint64_t id, uint64_t not_before_ns)
{
	return store->ops->outbox_retry(store, id, not_before_ns);
}
