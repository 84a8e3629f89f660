/*
 * The public face: checks everything that comes from outside, then calls the engine's table.
 *
 * A key that cannot exist (too long, NUL inside, not UTF-8) is -EINVAL where it would be made and
 * -ENOENT where it is looked for, so that callers need no check of their own to be correct.
 */
#include "store/store.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/str.h"
#include "store/store_engine.h"
#include "store/store_metadata_priv.h"

static bool bucket_name_is_valid(const char *name)
{
	size_t len = 0;
	/* By hand: each request is about a bucket. */
	for (; name[len] != '\0' && len <= STORE_BUCKET_NAME_MAX; len++) {
		char c = name[len];
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '.' && c != '-')
			return false;
	}
	return len >= 3 && len <= STORE_BUCKET_NAME_MAX;
}

static bool key_is_valid(const char *key, size_t len)
{
	return len >= 1 && len <= STORE_KEY_MAX && memchr(key, '\0', len) == NULL &&
	       eos_utf8_is_valid(key, len);
}

int store_open_with(const char *dir_path, const struct store_options *options,
		    struct store **ret_store, struct eos_why *why)
{
	static const struct store_options none = {0};
	return store_engine_local.open(dir_path, options != NULL ? options : &none, ret_store, why);
}

int store_open(const char *dir_path, struct store **ret_store, struct eos_why *why)
{
	return store_open_with(dir_path, NULL, ret_store, why);
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
	static const struct store_bucket_settings none = {.tenant = ""};
	return store_bucket_create_with(store, name, &none);
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

/* Any printable ASCII: what is a tenant is decided elsewhere. */
static bool tenant_is_valid(const char *tenant)
{
	size_t len = strnlen(tenant, STORE_TENANT_MAX + 1);
	for (size_t i = 0; i < len; i++) {
		if (tenant[i] <= ' ' || tenant[i] > '~')
			return false;
	}
	return len <= STORE_TENANT_MAX;
}

static bool document_name_is_valid(const char *name)
{
	size_t len = strnlen(name, STORE_DOCUMENT_NAME_MAX + 1);
	return len >= 1 && len <= STORE_DOCUMENT_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyz-") == len;
}

int store_bucket_settings_get(struct store *store, const char *bucket,
			      struct store_bucket_settings *ret_settings)
{
	if (!bucket_name_is_valid(bucket))
		return -ENOENT;
	return store->ops->bucket_settings_get(store, bucket, ret_settings);
}

static bool settings_are_valid(const struct store_bucket_settings *settings)
{
	return tenant_is_valid(settings->tenant) &&
	       settings->versioning <= STORE_VERSIONING_SUSPENDED &&
	       (!settings->has_object_lock || settings->versioning == STORE_VERSIONING_ENABLED);
}

int store_bucket_create_with(struct store *store, const char *name,
			     const struct store_bucket_settings *settings)
{
	if (!bucket_name_is_valid(name) || !settings_are_valid(settings))
		return -EINVAL;
	return store->ops->bucket_create(store, name, settings);
}

int store_bucket_settings_set(struct store *store, const char *bucket,
			      const struct store_bucket_settings *settings)
{
	if (!bucket_name_is_valid(bucket))
		return -ENOENT;
	return settings_are_valid(settings)
		       ? store->ops->bucket_settings_set(store, bucket, NULL, settings)
		       : -EINVAL;
}

int store_bucket_settings_update(struct store *store, const char *bucket,
				 int (*change)(void *ctx, struct store_bucket_settings *settings),
				 void *ctx)
{
	struct store_bucket_settings before, after;
	int err;
	do {
		err = store_bucket_settings_get(store, bucket, &before);
		after = before;
		if (err == 0)
			err = change(ctx, &after);
		if (err < 0)
			return err;
		err = settings_are_valid(&after)
			      ? store->ops->bucket_settings_set(store, bucket, &before, &after)
			      : -EINVAL;
	} while (err == -EAGAIN);
	return err;
}

int store_bucket_look(struct store *store, const char *bucket,
		      struct store_bucket_settings *ret_settings, const char *const *names,
		      struct eos_buf *texts, size_t count)
{
	if (!bucket_name_is_valid(bucket))
		return -ENOENT;
	for (size_t i = 0; i < count; i++)
		if (!document_name_is_valid(names[i]))
			return -EINVAL;
	return store->ops->bucket_look(store, bucket, ret_settings, names, texts, count);
}

int store_bucket_document_get(struct store *store, const char *bucket, const char *name,
			      struct eos_buf *out)
{
	if (!bucket_name_is_valid(bucket) || !document_name_is_valid(name))
		return -ENOENT;
	return store->ops->bucket_document_get(store, bucket, name, out);
}

int store_bucket_document_set(struct store *store, const char *bucket, const char *name,
			      const void *data, size_t len)
{
	if (!document_name_is_valid(name))
		return -EINVAL;
	if (len > STORE_DOCUMENT_MAX)
		return -EFBIG;
	if (!bucket_name_is_valid(bucket))
		return -ENOENT;
	return store->ops->bucket_document_set(store, bucket, name, data, len);
}

int store_bucket_document_delete(struct store *store, const char *bucket, const char *name)
{
	if (!bucket_name_is_valid(bucket) || !document_name_is_valid(name))
		return -ENOENT;
	return store->ops->bucket_document_delete(store, bucket, name);
}

int store_bucket_usage(struct store *store, const char *bucket, struct store_usage *ret_usage)
{
	return bucket_name_is_valid(bucket) ? store->ops->bucket_usage(store, bucket, ret_usage)
					    : -ENOENT;
}

int store_tenant_usage(struct store *store, const char *tenant, struct store_usage *ret_usage)
{
	return tenant_is_valid(tenant) ? store->ops->tenant_usage(store, tenant, ret_usage)
				       : -EINVAL;
}

int store_tenant_quota_set(struct store *store, const char *tenant, uint64_t bytes,
			   uint64_t objects)
{
	return tenant_is_valid(tenant) ? store->ops->tenant_quota_set(store, tenant, bytes, objects)
				       : -EINVAL;
}

int store_tenant_quota_get(struct store *store, const char *tenant, uint64_t *ret_bytes,
			   uint64_t *ret_objects)
{
	return tenant_is_valid(tenant)
		       ? store->ops->tenant_quota_get(store, tenant, ret_bytes, ret_objects)
		       : -EINVAL;
}

int store_quota_check(struct store *store, const char *bucket, const char *key, size_t key_len,
		      uint64_t size)
{
	if (!bucket_name_is_valid(bucket))
		return -ENOENT;
	if (!key_is_valid(key, key_len) || size > STORE_OBJECT_BYTES_MAX)
		return 0; /* refused for other reasons */
	return store->ops->quota_check(store, bucket, key, key_len, size);
}

int store_upload_begin(struct store *store, const char *bucket, const char *key, size_t key_len,
		       const struct store_object_info *info, struct store_upload **ret_upload)
{
	static const struct store_upload_encryption as_the_bucket = {0};
	return store_upload_begin_encrypted(store, bucket, key, key_len, info, &as_the_bucket,
					    ret_upload);
}

int store_upload_begin_encrypted(struct store *store, const char *bucket, const char *key,
				 size_t key_len, const struct store_object_info *info,
				 const struct store_upload_encryption *encryption,
				 struct store_upload **ret_upload)
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
					encryption, ret_upload);
}

int store_customer_key_make(struct store *store,
			    const uint8_t customer_key[STORE_CUSTOMER_KEY_SIZE],
			    char out[STORE_CUSTOMER_KEY_TEXT_SIZE])
{
	return store->ops->customer_key_make(store, customer_key, out);
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

int store_upload_append(struct store_upload *upload, struct store_reader *reader, uint64_t offset,
			uint64_t len)
{
	uint64_t size = reader->ops->reader_info(reader)->size;
	if (offset > size || len > size - offset)
		return -ERANGE;
	if (len > STORE_OBJECT_BYTES_MAX - upload->ops->upload_size(upload))
		return -EFBIG;
	return len == 0 ? 0 : upload->ops->upload_append(upload, reader, offset, len);
}

int store_upload_set_metadata(struct store_upload *upload, const struct store_object_info *info)
{
	if (!store_metadata_is_valid(info->metadata, info->metadata_len))
		return -EINVAL;
	return upload->ops->upload_set_metadata(upload, info->metadata, info->metadata_len);
}

int store_upload_commit(struct store_upload *upload, const struct store_put_options *options,
			struct store_object_info *ret_info)
{
	static const struct store_put_options always = {.condition = STORE_ALWAYS};
	EOS_ASSERT(options == NULL || store_event_is_creation(options->event));
	return upload->ops->upload_commit(upload, options == NULL ? &always : options, ret_info);
}

struct store_upload *store_upload_abort(struct store_upload *upload)
{
	if (upload != NULL)
		upload->ops->upload_abort(upload);
	return NULL;
}

int store_reader_open(struct store *store, const char *bucket, const char *key, size_t key_len,
		      uint64_t version, struct store_reader **ret_reader)
{
	struct store_reader *reader;
	int err = store_reader_open_encrypted(store, bucket, key, key_len, version, NULL, &reader);
	if (err == 0 && store_reader_info(reader)->encryption == STORE_ENCRYPTED_BY_CUSTOMER) {
		store_reader_close(reader);
		err = -EACCES;
	}
	if (err == 0)
		*ret_reader = reader;
	return err;
}

int store_reader_open_encrypted(struct store *store, const char *bucket, const char *key,
				size_t key_len, uint64_t version, const uint8_t *customer_key,
				struct store_reader **ret_reader)
{
	if (!bucket_name_is_valid(bucket) || !key_is_valid(key, key_len))
		return -ENOENT;
	return store->ops->reader_open(store, bucket, key, key_len, version, customer_key,
				       ret_reader);
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

const char *store_reader_whole(const struct store_reader *reader)
{
	return reader->ops->reader_whole(reader);
}

struct store_reader *store_reader_close(struct store_reader *reader)
{
	if (reader != NULL)
		reader->ops->reader_close(reader);
	return NULL;
}

int store_object_get(struct store *store, const char *bucket, const char *key, size_t key_len,
		     uint64_t version, struct store_object_info *ret_info)
{
	memset(ret_info, 0, offsetof(struct store_object_info, metadata));
	if (!bucket_name_is_valid(bucket) || !key_is_valid(key, key_len))
		return -ENOENT;
	return store->ops->object_get(store, bucket, key, key_len, version, ret_info);
}

int store_object_delete(struct store *store, const char *bucket, const char *key, size_t key_len,
			const struct store_removal *removal, struct store_removed *ret)
{
	static const struct store_removal latest = {.version = STORE_VERSION_LATEST};
	struct store_removed unused;
	if (!bucket_name_is_valid(bucket) || !key_is_valid(key, key_len))
		return -ENOENT;
	return store->ops->object_delete(store, bucket, key, key_len,
					 removal == NULL ? &latest : removal,
					 ret == NULL ? &unused : ret);
}

int store_object_update(struct store *store, const char *bucket, const char *key, size_t key_len,
			uint64_t version, int (*change)(void *ctx, struct store_object_info *info),
			void *ctx)
{
	if (!bucket_name_is_valid(bucket) || !key_is_valid(key, key_len))
		return -ENOENT;
	return store->ops->object_update(store, bucket, key, key_len, version, change, ctx);
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

int store_version_list(struct store *store, const char *bucket,
		       const struct store_list_query *query, uint64_t after_version,
		       int (*visit)(void *ctx, const struct store_list_entry *entry), void *ctx,
		       bool *ret_more)
{
	if (!bucket_name_is_valid(bucket))
		return -ENOENT;
	return store->ops->version_list(store, bucket, query, after_version, visit, ctx, ret_more);
}

int store_find(struct store *store, const struct store_find_query *query,
	       int (*visit)(void *ctx, const char *bucket, const struct store_list_entry *entry),
	       void *ctx, bool *ret_more)
{
	if (query->bucket != NULL && !bucket_name_is_valid(query->bucket))
		return -ENOENT;
	for (size_t i = 0; i < query->terms_count; i++) {
		if (query->terms[i].name[0] == '\0' || query->terms[i].op > STORE_FIND_GE)
			return -EINVAL;
	}
	return store->ops->find(store, query, visit, ctx, ret_more);
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

int store_verify(struct store *store, store_problem_fn problem, store_progress_fn progress,
		 void *ctx, struct store_verdict *ret_verdict)
{
	return store->ops->verify(store, problem, progress, ctx, ret_verdict);
}

int store_repair(struct store *store, store_problem_fn problem, store_progress_fn progress,
		 void *ctx, struct store_verdict *ret_verdict)
{
	return store->ops->repair(store, problem, progress, ctx, ret_verdict);
}

int store_rekey(struct store *store)
{
	return store->ops->rekey(store);
}

int store_compact(struct store *store, store_progress_fn progress, void *ctx,
		  uint64_t *ret_freed_bytes)
{
	return store->ops->compact(store, progress, ctx, ret_freed_bytes);
}

int store_scrub_set(struct store *store, uint64_t rate, uint64_t interval_ns)
{
	if (rate != 0 && rate < STORE_SCRUB_RATE_MIN)
		return -EINVAL;
	return store->ops->scrub_set(store, rate, interval_ns);
}

int store_scrub_get(struct store *store, struct store_scrub *ret_scrub)
{
	return store->ops->scrub_get(store, ret_scrub);
}
