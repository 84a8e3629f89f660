/*
 * The object store: buckets of objects with metadata, and the outbox of events.
 *
 * Concepts
 * - A bucket holds objects by key (1 to 1,024 bytes of UTF-8 without NUL), in order of the keys'
 * bytes.
 * - An upload (struct store_upload) is an object in the making; it is seen by nobody until
 *   store_upload_commit() returns 0, and then whole. Commit returns when the object is on disk:
 * after a power cut it is there. An upload that is not committed leaves nothing.
 * - A reader (struct store_reader) sees one version of one object, whole, whatever happens to the
 * key meanwhile. What it returns was checked against its checksum: damage is -EBADMSG, never data.
 * - The outbox holds events that were written in the same transaction as the change that caused
 *   them. A matcher, installed by whoever knows the triggers, names the targets.
 *
 * Behind this header is an engine (struct store_engine_ops, store_engine.h). All functions are safe
 * from any thread unless they name an upload or reader, which belong to one thread at a time. They
 * block on the disk. After an fsync failed the store refuses to acknowledge anything more: -EROFS.
 * Common errors: -ENOSPC disk or map full, nothing was changed; -EIO; -ENOMEM.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"

#define STORE_KEY_MAX	       1024u
#define STORE_BUCKET_NAME_MAX  63u
#define STORE_ETAG_SIZE	       33 /* MD5 in hexadecimal and NUL */
#define STORE_METADATA_MAX     8192u
#define STORE_OBJECT_BYTES_MAX (UINT64_C(5) << 40)
#define STORE_TARGET_MAX       128u

struct store;
struct store_upload;
struct store_reader;

/* DIR_PATH is made if it is not there. One process at a time: -EBUSY. -EBADMSG: damaged or another
 * format. */
int store_open(const char *dir_path, struct store **ret_store, struct eos_why *why) EOS_MUST_CHECK;
/* All uploads and readers must be gone. */
struct store *store_close(struct store *store);

/*
 * Buckets. Names are as S3's (3 to 63 of a-z 0-9 . -), which the caller checks for people; names
 * that begin with '.' are for the node's own use and are left out of listings.
 */
struct store_bucket_info {
	char name[STORE_BUCKET_NAME_MAX + 1];
	uint64_t created_ns; /* wall clock */
};
/* -EEXIST; -EINVAL: a bad name. */
int store_bucket_create(struct store *store, const char *name) EOS_MUST_CHECK;
/* -ENOENT; -ENOTEMPTY. */
int store_bucket_delete(struct store *store, const char *name) EOS_MUST_CHECK;
/* -ENOENT. */
int store_bucket_get(struct store *store, const char *name,
		     struct store_bucket_info *ret_info) EOS_MUST_CHECK;
/*
 * Calls VISIT in order of names until it returns non-zero, which is then returned. Here and in the
 * other listings VISIT may call the store, but should not wait for anything else: while it runs,
 * space that changes set free cannot be used again.
 */
int store_bucket_list(struct store *store,
		      int (*visit)(void *ctx, const struct store_bucket_info *info), void *ctx);

/* What is known of an object. Metadata: pairs of name and value, "content-type\0text/csv\0…", kept
 * as given. */
struct store_object_info {
	uint64_t size;
	uint64_t modified_ns; /* wall clock */
	uint64_t sequence;    /* grows with every change of the store; S3's sequencer */
	char etag[STORE_ETAG_SIZE];
	uint32_t metadata_len;
	char metadata[STORE_METADATA_MAX];
};

/* The value of NAME, or NULL. Borrowed from INFO. */
const char *store_metadata_get(const struct store_object_info *info, const char *name);
/* Adds a pair. -ENOSPC when it does not fit, -EINVAL for an empty name. */
int store_metadata_add(struct store_object_info *info, const char *name,
		       const char *value) EOS_MUST_CHECK;

/*
 * Uploads. INFO's metadata is taken over (NULL: none); size, time and etag are made by the store.
 * -ENOENT: no such bucket; -EINVAL: a bad key or metadata that is not whole pairs; -EMFILE: too
 * many uploads at once (1,024).
 */
int store_upload_begin(struct store *store, const char *bucket, const char *key, size_t key_len,
		       const struct store_object_info *info,
		       struct store_upload **ret_upload) EOS_MUST_CHECK;
/* Writes at OFFSET; a gap reads as zeros. Sequential writes are the fast path. -EFBIG: beyond the
 * largest object, or more than 1 GiB of gaps. After any other error the upload cannot be committed:
 * everything returns that error again. */
int store_upload_write(struct store_upload *upload, const void *data, size_t len,
		       uint64_t offset) EOS_MUST_CHECK;
/* What was written so far can be read back (functions open files for reading and writing).
 * Returns the count of bytes, 0 at the end. */
int64_t store_upload_read(struct store_upload *upload, void *data, size_t len, uint64_t offset);
int store_upload_truncate(struct store_upload *upload, uint64_t size) EOS_MUST_CHECK;
uint64_t store_upload_size(const struct store_upload *upload);

enum store_condition {
	STORE_ALWAYS,
	STORE_IF_ABSENT, /* -EEXIST when the key exists */
};
/*
 * Makes the object durable and visible, with its events. In any case the upload is gone
 * afterwards. RET_INFO may be NULL. -ENOENT: the bucket was deleted meanwhile.
 */
int store_upload_commit(struct store_upload *upload, enum store_condition condition,
			struct store_object_info *ret_info) EOS_MUST_CHECK;
/* NULL is fine. */
struct store_upload *store_upload_abort(struct store_upload *upload);

/* -ENOENT. The reader holds a copy of the information. */
int store_reader_open(struct store *store, const char *bucket, const char *key, size_t key_len,
		      struct store_reader **ret_reader) EOS_MUST_CHECK;
const struct store_object_info *store_reader_info(const struct store_reader *reader);
/* Count of bytes, 0 at the end, or -EBADMSG: damaged. */
int64_t store_reader_read(struct store_reader *reader, void *data, size_t len, uint64_t offset);
struct store_reader *store_reader_close(struct store_reader *reader);

/* -ENOENT, also for the bucket. */
int store_object_get(struct store *store, const char *bucket, const char *key, size_t key_len,
		     struct store_object_info *ret_info) EOS_MUST_CHECK;
/* With its event; durable on return. -ENOENT when there was none (S3 calls that success). */
int store_object_delete(struct store *store, const char *bucket, const char *key,
			size_t key_len) EOS_MUST_CHECK;
/* Within one bucket, atomically, without copying data; an object at the new key is replaced. */
int store_object_rename(struct store *store, const char *bucket, const char *key, size_t key_len,
			const char *new_key, size_t new_key_len) EOS_MUST_CHECK;

/*
 * Listing, as ListObjectsV2 needs it: keys that begin with PREFIX and are greater than AFTER, in
 * order; what is alike up to the first DELIMITER behind the prefix comes once, as a common prefix.
 * The listing sees one state of the bucket. VISIT gets at most LIMIT entries. *RET_MORE: there
 * would be more. A common prefix is greater than AFTER when AFTER does not begin with it.
 */
struct store_list_entry {
	const char *key; /* borrowed during the visit; not NUL-terminated */
	size_t key_len;
	bool is_prefix;
	const struct store_object_info *info; /* NULL for a prefix */
};
struct store_list_query {
	const char *prefix, *delimiter, *after; /* may be NULL; bytes, with their lengths */
	size_t prefix_len, delimiter_len, after_len;
	unsigned limit;
};
int store_object_list(struct store *store, const char *bucket, const struct store_list_query *query,
		      int (*visit)(void *ctx, const struct store_list_entry *entry), void *ctx,
		      bool *ret_more) EOS_MUST_CHECK;

/* The outbox. */
enum store_event_kind { STORE_EVENT_CREATED, STORE_EVENT_REMOVED };

struct store_event {
	uint64_t id;		/* order of the changes; unique for ever */
	uint32_t attempts;	/* failed deliveries so far */
	uint64_t not_before_ns; /* wall clock */
	enum store_event_kind kind;
	uint64_t time_ns; /* wall clock of the change */
	uint64_t size;
	uint64_t sequence;
	char etag[STORE_ETAG_SIZE];
	char bucket[STORE_BUCKET_NAME_MAX + 1];
	char target[STORE_TARGET_MAX + 1]; /* whom the matcher named */
	uint32_t key_len;
	char key[STORE_KEY_MAX + 1]; /* also NUL-terminated */
};

/*
 * Called inside the transaction for each change of an object outside the node's own buckets: calls
 * EMIT once for each target that must hear of it. It must not call the store, block or fail. Any
 * thread, one at a time. Set it before the first upload.
 */
typedef void (*store_matcher_fn)(void *ctx, const struct store_event *event,
				 void (*emit)(void *emit_ctx, const char *target), void *emit_ctx);
/* NOTIFY(CTX) is called after a commit that wrote events, from any thread; it must not block.
 * MATCH and NOTIFY may be NULL. On return the former ones have been called for the last time. */
void store_set_matcher(struct store *store, store_matcher_fn match, void (*notify)(void *ctx),
		       void *ctx);

/* Events with id > AFTER_ID in order, also those whose time has not come; VISIT as in listings. */
int store_outbox_list(struct store *store, uint64_t after_id,
		      int (*visit)(void *ctx, const struct store_event *event), void *ctx);
/* Delivered: the event is gone. Durable on return. -ENOENT. */
int store_outbox_remove(struct store *store, uint64_t id) EOS_MUST_CHECK;
/* One more failed attempt, durable on return. -ENOENT. */
int store_outbox_retry(struct store *store, uint64_t id, uint64_t not_before_ns) EOS_MUST_CHECK;

/* Without the node's own buckets. */
struct store_stats {
	uint64_t buckets, objects, bytes, outbox_events;
};
int store_stats(struct store *store, struct store_stats *ret_stats) EOS_MUST_CHECK;
