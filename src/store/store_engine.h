/*
 * The engine behind store.h: a const table of functions. store.c checks what comes from outside
 * (names, keys, metadata, sizes) and calls the table; an engine may rely on that. The contracts are
 * those of store.h; where nothing else is said here, a function does what its namesake there does.
 *
 * An engine's own structs begin with the structs below, so that the handles that callers hold lead
 * to the table without a second allocation.
 */
#pragma once

#include "store/store.h"

struct store_engine_ops;

struct store {
	const struct store_engine_ops *ops;
};
struct store_upload {
	const struct store_engine_ops *ops;
};
struct store_reader {
	const struct store_engine_ops *ops;
};

struct store_engine_ops {
	const char *name;
	int (*open)(const char *dir_path, const struct store_options *options,
		    struct store **ret_store, struct eos_why *why);
	void (*close)(struct store *store);
	void (*set_matcher)(struct store *store, store_matcher_fn match, void (*notify)(void *ctx),
			    void *ctx);
	int (*stats)(struct store *store, struct store_stats *ret_stats);

	/* The settings are valid. */
	int (*bucket_create)(struct store *store, const char *name,
			     const struct store_bucket_settings *settings);
	int (*bucket_delete)(struct store *store, const char *name);
	int (*bucket_get)(struct store *store, const char *name,
			  struct store_bucket_info *ret_info);
	/* All buckets, the node's own too. */
	int (*bucket_list)(struct store *store,
			   int (*visit)(void *ctx, const struct store_bucket_info *info),
			   void *ctx);

	int (*bucket_settings_get)(struct store *store, const char *bucket,
				   struct store_bucket_settings *ret_settings);
	/* The settings are valid. EXPECTED: -EAGAIN when they are not these any more; or NULL. */
	int (*bucket_settings_set)(struct store *store, const char *bucket,
				   const struct store_bucket_settings *expected,
				   const struct store_bucket_settings *settings);
	int (*bucket_look)(struct store *store, const char *bucket,
			   struct store_bucket_settings *ret_settings, const char *const *names,
			   struct eos_buf *texts, size_t count);
	int (*bucket_document_get)(struct store *store, const char *bucket, const char *name,
				   struct eos_buf *out);
	int (*bucket_document_set)(struct store *store, const char *bucket, const char *name,
				   const void *data, size_t len);
	int (*bucket_document_delete)(struct store *store, const char *bucket, const char *name);
	int (*quota_check)(struct store *store, const char *bucket, const char *key, size_t key_len,
			   uint64_t size);
	int (*bucket_usage)(struct store *store, const char *bucket, struct store_usage *ret_usage);
	int (*tenant_usage)(struct store *store, const char *tenant, struct store_usage *ret_usage);
	int (*tenant_quota_set)(struct store *store, const char *tenant, uint64_t bytes,
				uint64_t objects);
	int (*tenant_quota_get)(struct store *store, const char *tenant, uint64_t *ret_bytes,
				uint64_t *ret_objects);

	int (*upload_begin)(struct store *store, const char *bucket, const char *key,
			    size_t key_len, const char *metadata, uint32_t metadata_len,
			    const struct store_upload_encryption *encryption,
			    struct store_upload **ret_upload);
	/* LEN > 0 and OFFSET + LEN <= STORE_OBJECT_BYTES_MAX. */
	int (*upload_write)(struct store_upload *upload, const void *data, size_t len,
			    uint64_t offset);
	int64_t (*upload_read)(struct store_upload *upload, void *data, size_t len,
			       uint64_t offset);
	/* SIZE <= STORE_OBJECT_BYTES_MAX. */
	int (*upload_truncate)(struct store_upload *upload, uint64_t size);
	uint64_t (*upload_size)(const struct store_upload *upload);
	/* READER has LEN > 0 bytes from OFFSET, and the upload room for them. */
	int (*upload_append)(struct store_upload *upload, struct store_reader *reader,
			     uint64_t offset, uint64_t len);
	int (*upload_set_metadata)(struct store_upload *upload, const char *metadata,
				   uint32_t metadata_len);
	int (*upload_commit)(struct store_upload *upload, const struct store_put_options *options,
			     struct store_object_info *ret_info);
	void (*upload_abort)(struct store_upload *upload);

	int (*reader_open)(struct store *store, const char *bucket, const char *key, size_t key_len,
			   uint64_t version, const uint8_t *customer_key,
			   struct store_reader **ret_reader);
	const struct store_object_info *(*reader_info)(const struct store_reader *reader);
	const char *(*reader_whole)(const struct store_reader *reader);
	/* OFFSET < size and 0 < LEN <= size - OFFSET: reads all of it. -EACCES: see
	 * store_reader_open_encrypted(). */
	int64_t (*reader_read)(struct store_reader *reader, void *data, size_t len,
			       uint64_t offset);
	void (*reader_close)(struct store_reader *reader);

	int (*object_get)(struct store *store, const char *bucket, const char *key, size_t key_len,
			  uint64_t version, struct store_object_info *ret_info);
	/* REMOVAL and RET are there. */
	int (*object_delete)(struct store *store, const char *bucket, const char *key,
			     size_t key_len, const struct store_removal *removal,
			     struct store_removed *ret);
	int (*object_update)(struct store *store, const char *bucket, const char *key,
			     size_t key_len, uint64_t version,
			     int (*change)(void *ctx, struct store_object_info *info), void *ctx);
	int (*object_rename)(struct store *store, const char *bucket, const char *key,
			     size_t key_len, const char *new_key, size_t new_key_len);
	int (*object_list)(struct store *store, const char *bucket,
			   const struct store_list_query *query,
			   int (*visit)(void *ctx, const struct store_list_entry *entry), void *ctx,
			   bool *ret_more);
	int (*version_list)(struct store *store, const char *bucket,
			    const struct store_list_query *query, uint64_t after_version,
			    int (*visit)(void *ctx, const struct store_list_entry *entry),
			    void *ctx, bool *ret_more);
	/* The query's bucket, if any, and its terms have valid names. */
	int (*find)(struct store *store, const struct store_find_query *query,
		    int (*visit)(void *ctx, const char *bucket,
				 const struct store_list_entry *entry),
		    void *ctx, bool *ret_more);

	int (*outbox_list)(struct store *store, uint64_t after_id,
			   int (*visit)(void *ctx, const struct store_event *event), void *ctx);
	int (*outbox_remove)(struct store *store, uint64_t id);
	int (*outbox_retry)(struct store *store, uint64_t id, uint64_t not_before_ns);

	int (*verify)(struct store *store, store_problem_fn problem, store_progress_fn progress,
		      void *ctx, struct store_verdict *ret_verdict);
	int (*repair)(struct store *store, store_problem_fn problem, store_progress_fn progress,
		      void *ctx, struct store_verdict *ret_verdict);
	/* The rate is valid. */
	int (*scrub_set)(struct store *store, uint64_t rate, uint64_t interval_ns);
	int (*scrub_get)(struct store *store, struct store_scrub *ret_scrub);
	int (*customer_key_make)(struct store *store,
				 const uint8_t customer_key[STORE_CUSTOMER_KEY_SIZE],
				 char out[STORE_CUSTOMER_KEY_TEXT_SIZE]);
	int (*rekey)(struct store *store);
	int (*compact)(struct store *store, store_progress_fn progress, void *ctx,
		       uint64_t *ret_freed_bytes);
};

/* LMDB and block files on this node's own disk. */
extern const struct store_engine_ops store_engine_local;

/* The node's own buckets: no events, not counted, not listed. */
static inline bool store_bucket_is_own(const char *name)
{
	return name[0] == '.';
}
