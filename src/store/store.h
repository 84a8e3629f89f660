/*
 * The object store: buckets of objects in versions, with metadata, and the outbox of events.
 *
 * Concepts
 * - A bucket holds objects by key (1 to 1,024 bytes of UTF-8 without NUL), in order of the keys'
 *   bytes. Its settings say whether versions are kept, what is encrypted and compressed, and how
 *   much fits; documents are texts that somebody keeps with it.
 * - A key has a latest version, and in a versioned bucket noncurrent ones. The latest may be a
 *   delete marker: then the key is as good as absent. What a version contains never changes; its
 *   metadata can be changed in place.
 * - An upload (struct store_upload) is a version in the making; it is seen by nobody until
 *   store_upload_commit() returns 0, and then whole. Commit returns when it is on disk: after a
 *   power cut it is there. An upload that is not committed leaves nothing.
 * - A reader (struct store_reader) sees one version of one object, whole, whatever happens to the
 *   key meanwhile. What it returns was checked against its checksum: damage is -EBADMSG, never
 *   data.
 * - The outbox holds events that were written in the same transaction as the change that caused
 *   them. A matcher, installed by whoever knows the triggers, names the targets.
 *
 * Behind this header is an engine (struct store_engine_ops, store_engine.h). All functions are safe
 * from any thread unless they name an upload or reader, which belong to one thread at a time. They
 * block on the disk. After an fsync failed the store refuses to acknowledge anything more: -EROFS.
 * Common errors: -ENOSPC disk or map full, -EDQUOT a quota: nothing was changed; -EIO; -ENOMEM.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
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

/*
 * What an encrypted store depends on: the node key, a file of 32 bytes that wraps all other keys.
 * It is made when something is to be encrypted for the first time, never where there are encrypted
 * data already; where it is missing or another one, what needs it is -ENOKEY, and all else works.
 */
struct store_options {
	const char *key_path; /* NULL: DIR_PATH with ".key" behind it */
};
/* DIR_PATH is made if it is not there. OPTIONS may be NULL, and is not kept. One process at a time:
 * -EBUSY. -EBADMSG: damaged or another format. */
int store_open_with(const char *dir_path, const struct store_options *options,
		    struct store **ret_store, struct eos_why *why) EOS_MUST_CHECK;
/* Without options. */
int store_open(const char *dir_path, struct store **ret_store, struct eos_why *why) EOS_MUST_CHECK;
/* All uploads and readers must be gone. */
struct store *store_close(struct store *store);

/* A version of a key: the number of the change that made it. */
#define STORE_VERSION_NULL   UINT64_C(0) /* made while the bucket was not versioned */
#define STORE_VERSION_LATEST UINT64_MAX	 /* whichever that is now */

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

/* Whether a bucket keeps what is replaced or deleted. Once it has, it cannot go back to OFF. */
enum store_versioning {
	STORE_VERSIONING_OFF,
	STORE_VERSIONING_ENABLED,
	STORE_VERSIONING_SUSPENDED
};

#define STORE_TENANT_MAX 63u
struct store_bucket_settings {
	char tenant[STORE_TENANT_MAX + 1]; /* the owner; "": the node's operator */
	enum store_versioning versioning;
	bool has_object_lock; /* cannot be taken back, and keeps versioning ENABLED */
	bool is_encrypted;    /* what is written from now on, with a key of TENANT's */
	bool is_compressed;   /* the same */
	/* 0: none. What is there already may be more than the quota; nothing is added then. */
	uint64_t quota_bytes, quota_objects;
};
/* store_bucket_create() with settings from the first moment: it is never seen as somebody else's.
 * -EEXIST; -EINVAL, -ENOKEY and so on as of store_bucket_settings_set(). */
int store_bucket_create_with(struct store *store, const char *name,
			     const struct store_bucket_settings *settings) EOS_MUST_CHECK;
/* A new bucket has all zeros. -ENOENT. */
int store_bucket_settings_get(struct store *store, const char *bucket,
			      struct store_bucket_settings *ret_settings) EOS_MUST_CHECK;
/* Durable on return. -ENOENT; -EINVAL: back to OFF, lock without versions, or the tenant's name;
 * -EPERM: object lock taken back; -ENOKEY: encryption without the node key; and what kept that from
 * being made. */
int store_bucket_settings_set(struct store *store, const char *bucket,
			      const struct store_bucket_settings *settings) EOS_MUST_CHECK;
/*
 * Changes some settings and leaves the others as they are at that moment: CHANGE(CTX, SETTINGS)
 * edits what is there and returns 0, or an error that is returned then and changes nothing. It is
 * called in the caller's thread, and again when somebody else was faster. Errors as of
 * store_bucket_settings_set().
 */
int store_bucket_settings_update(struct store *store, const char *bucket,
				 int (*change)(void *ctx, struct store_bucket_settings *settings),
				 void *ctx) EOS_MUST_CHECK;

/*
 * Documents: small texts that are kept with a bucket under a name ("policy", "cors", ...), gone
 * with it. Nobody here reads them. NAME: 1 to 63 of a-z and '-'.
 */
#define STORE_DOCUMENT_MAX	(128u << 10)
#define STORE_DOCUMENT_NAME_MAX 63u
/* Appends it to OUT. -ENOENT: the bucket or the document; store_bucket_get() tells which. */
int store_bucket_document_get(struct store *store, const char *bucket, const char *name,
			      struct eos_buf *out) EOS_MUST_CHECK;
/* Settings and documents of one state of the bucket: TEXTS[i] gets the one that is called NAMES[i]
 * appended, nothing if there is none. -ENOENT: no such bucket. */
int store_bucket_look(struct store *store, const char *bucket,
		      struct store_bucket_settings *ret_settings, const char *const *names,
		      struct eos_buf *texts, size_t count) EOS_MUST_CHECK;
/* Durable on return; replaces what was there. -ENOENT: no such bucket; -EFBIG. */
int store_bucket_document_set(struct store *store, const char *bucket, const char *name,
			      const void *data, size_t len) EOS_MUST_CHECK;
/* -ENOENT, also for the bucket. */
int store_bucket_document_delete(struct store *store, const char *bucket,
				 const char *name) EOS_MUST_CHECK;

/* What a bucket, or a tenant with all its buckets, holds: versions that are no delete markers, and
 * the bytes that were written into them (not what they take on disk). */
struct store_usage {
	uint64_t objects, bytes;
};
int store_bucket_usage(struct store *store, const char *bucket,
		       struct store_usage *ret_usage) EOS_MUST_CHECK;
int store_tenant_usage(struct store *store, const char *tenant,
		       struct store_usage *ret_usage) EOS_MUST_CHECK;
/* Of all the tenant's buckets together; 0: none. Durable on return. */
int store_tenant_quota_set(struct store *store, const char *tenant, uint64_t bytes,
			   uint64_t objects) EOS_MUST_CHECK;
int store_tenant_quota_get(struct store *store, const char *tenant, uint64_t *ret_bytes,
			   uint64_t *ret_objects) EOS_MUST_CHECK;

/* -EDQUOT: an object of SIZE bytes at KEY would be refused if it were committed now. For who knows
 * the size before the bytes come; the commit asks again. -ENOENT: no such bucket. */
int store_quota_check(struct store *store, const char *bucket, const char *key, size_t key_len,
		      uint64_t size) EOS_MUST_CHECK;

/*
 * How the data of an object is encrypted on disk: not at all, with the key of the tenant that owned
 * its bucket, or with one that its client must bring each time. Its key, metadata, size and etag
 * are not encrypted.
 */
enum store_encryption { STORE_PLAIN, STORE_ENCRYPTED, STORE_ENCRYPTED_BY_CUSTOMER };

/* What is known of an object. Metadata: pairs of name and value, "content-type\0text/csv\0…", kept
 * as given. */
struct store_object_info {
	uint64_t size;
	uint64_t modified_ns; /* wall clock */
	uint64_t sequence;    /* grows with every change of the store; S3's sequencer */
	uint64_t version;
	bool is_latest;
	bool is_delete_marker; /* only store_version_list() shows these */
	enum store_encryption encryption;
	char etag[STORE_ETAG_SIZE]; /* "" of a delete marker */
	uint32_t metadata_len;
	char metadata[STORE_METADATA_MAX];
};

/*
 * Names of metadata that the store itself knows.
 * Retention: a version whose RETAIN_UNTIL (decimal seconds since 1970) has not come, or whose
 * LEGAL_HOLD is "ON", cannot be removed: -EPERM. RETAIN_MODE "GOVERNANCE" can be passed over by who
 * says so; "COMPLIANCE" by nobody, nor may it be shortened.
 * Customer's keys: STORE_META_CUSTOMER_KEY is the object's data key, wrapped by the customer's.
 * Tags: STORE_META_TAG and the tag's key is the name, its value the value.
 */
#define STORE_META_RETAIN_MODE	".retain-mode"
#define STORE_META_RETAIN_UNTIL ".retain-until"
#define STORE_META_LEGAL_HOLD	".legal-hold"
#define STORE_META_CUSTOMER_KEY ".customer-key"
#define STORE_META_TAG		".tag:"
#define STORE_META_USER		"x-amz-meta-"

/* The value of NAME, or NULL. Borrowed from INFO. */
const char *store_metadata_get(const struct store_object_info *info, const char *name);
/* Adds a pair. -ENOSPC when it does not fit, -EINVAL for an empty name. */
int store_metadata_add(struct store_object_info *info, const char *name,
		       const char *value) EOS_MUST_CHECK;
/* Removes all pairs whose name begins with PREFIX. */
void store_metadata_remove(struct store_object_info *info, const char *prefix);
/* The pair at *OFFSET, which starts as 0 and moves to the next. False at the end. Borrowed. */
bool store_metadata_next(const struct store_object_info *info, uint32_t *offset,
			 const char **ret_name, const char **ret_value);

/*
 * Uploads. INFO's metadata is taken over (NULL: none); size, time and etag are made by the store.
 * -ENOENT: no such bucket; -EINVAL: a bad key or metadata that is not whole pairs; -EMFILE: too
 * many uploads at once (1,024).
 */
int store_upload_begin(struct store *store, const char *bucket, const char *key, size_t key_len,
		       const struct store_object_info *info,
		       struct store_upload **ret_upload) EOS_MUST_CHECK;
/*
 * The same, but for encryption, which otherwise is as the bucket's settings say. With
 * STORE_META_CUSTOMER_KEY in its metadata the object is encrypted by the data key that this wraps;
 * without CUSTOMER_KEY nothing but ranges of objects with the same data key can be put into it.
 * Further errors: -EKEYREJECTED: CUSTOMER_KEY is not what wrapped it; -ENOKEY; -EINVAL.
 */
#define STORE_CUSTOMER_KEY_SIZE	     32
#define STORE_CUSTOMER_KEY_TEXT_SIZE 81
struct store_upload_encryption {
	bool is_encrypted;	     /* with the tenant's key, also where the bucket is not */
	const uint8_t *customer_key; /* STORE_CUSTOMER_KEY_SIZE bytes; NULL: none. Not kept. */
};
int store_upload_begin_encrypted(struct store *store, const char *bucket, const char *key,
				 size_t key_len, const struct store_object_info *info,
				 const struct store_upload_encryption *encryption,
				 struct store_upload **ret_upload) EOS_MUST_CHECK;
/* A new data key, wrapped by CUSTOMER_KEY: the value of STORE_META_CUSTOMER_KEY. */
int store_customer_key_make(struct store *store,
			    const uint8_t customer_key[STORE_CUSTOMER_KEY_SIZE],
			    char out[STORE_CUSTOMER_KEY_TEXT_SIZE]) EOS_MUST_CHECK;
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
/* Appends LEN bytes of READER from OFFSET at the upload's end, where possible without copying them:
 * both must be encrypted with the same key, or not at all. READER is of the same store. -ERANGE:
 * READER has not so many; -ENOKEY: the upload would have to encrypt them, and cannot. */
int store_upload_append(struct store_upload *upload, struct store_reader *reader, uint64_t offset,
			uint64_t len) EOS_MUST_CHECK;
/* Replaces the metadata that store_upload_begin() took, for what is known only at the end. -EINVAL:
 * STORE_META_CUSTOMER_KEY is another one. */
int store_upload_set_metadata(struct store_upload *upload,
			      const struct store_object_info *info) EOS_MUST_CHECK;

/* What must be so at the moment of the change; checked in its transaction. */
enum store_condition {
	STORE_ALWAYS,
	STORE_IF_ABSENT, /* -EEXIST when the key exists */
	STORE_IF_MATCH,	 /* -ESTALE when the latest version has another etag; -ENOENT */
};
/* What happened to an object. On disk: numbers stay, new ones go to the end. */
enum store_event_kind {
	STORE_EVENT_CREATED, /* written as a whole */
	STORE_EVENT_REMOVED,
	STORE_EVENT_MARKER_CREATED, /* a delete marker became the latest */
	STORE_EVENT_CREATED_POST,   /* by a form */
	STORE_EVENT_CREATED_COPY,
	STORE_EVENT_CREATED_MULTIPART,
	STORE_EVENT_EXPIRED,	    /* REMOVED by a lifecycle rule */
	STORE_EVENT_MARKER_EXPIRED, /* MARKER_CREATED by one */
	STORE_EVENT_DAMAGED,	    /* was found to be damaged, by a read or the scrub */
	STORE_EVENT_KINDS
};
static inline bool store_event_is_creation(enum store_event_kind kind)
{
	return kind == STORE_EVENT_CREATED ||
	       (kind >= STORE_EVENT_CREATED_POST && kind <= STORE_EVENT_CREATED_MULTIPART);
}

struct store_put_options {
	enum store_event_kind event; /* a creation; 0: STORE_EVENT_CREATED */
	enum store_condition condition;
	char etag[STORE_ETAG_SIZE]; /* of STORE_IF_MATCH: as in struct store_object_info */
};
/*
 * Makes the object durable and visible, with its events. In any case the upload is gone
 * afterwards. OPTIONS (NULL: STORE_ALWAYS) and RET_INFO may be NULL. -ENOENT: the bucket was
 * deleted meanwhile; -EPERM: what it would replace is held (in a bucket without versions).
 */
int store_upload_commit(struct store_upload *upload, const struct store_put_options *options,
			struct store_object_info *ret_info) EOS_MUST_CHECK;
/* NULL is fine. */
struct store_upload *store_upload_abort(struct store_upload *upload);

/* -ENOENT, also where VERSION, or the latest, is a delete marker; -EACCES: only its customer's key
 * opens it; -ENOKEY. The reader holds a copy of the information. */
int store_reader_open(struct store *store, const char *bucket, const char *key, size_t key_len,
		      uint64_t version, struct store_reader **ret_reader) EOS_MUST_CHECK;
/* With the customer's key (STORE_CUSTOMER_KEY_SIZE bytes, not kept), which other objects do not
 * need. -EKEYREJECTED: it is another one. NULL: without; then what only such a key opens can be
 * told of and appended, but reading it is -EACCES. */
int store_reader_open_encrypted(struct store *store, const char *bucket, const char *key,
				size_t key_len, uint64_t version, const uint8_t *customer_key,
				struct store_reader **ret_reader) EOS_MUST_CHECK;
const struct store_object_info *store_reader_info(const struct store_reader *reader);
/* Count of bytes, 0 at the end, or -EBADMSG: damaged. Fewer than LEN come at the end, and where LEN
 * is 512 KiB or more, if so the next ones can be read without copying them once more. */
int64_t store_reader_read(struct store_reader *reader, void *data, size_t len, uint64_t offset);
/* All of the object's bytes, if they are in memory and checked already, as those of small objects
 * may be; borrowed from READER. NULL: they have to be read. */
const char *store_reader_whole(const struct store_reader *reader);
struct store_reader *store_reader_close(struct store_reader *reader);

/* -ENOENT, also for the bucket. A delete marker is found where VERSION names it, not as the latest:
 * then *RET_INFO tells of it nevertheless, with is_delete_marker (else it is all zeros). */
int store_object_get(struct store *store, const char *bucket, const char *key, size_t key_len,
		     uint64_t version, struct store_object_info *ret_info) EOS_MUST_CHECK;

struct store_removal {
	uint64_t version; /* STORE_VERSION_LATEST: as S3's DELETE without a version */
	bool bypasses_governance;
	bool is_expiration; /* a lifecycle rule's: its event says so */
	/* Not "": only if VERSION, or the latest, has it, else -ESTALE. */
	char etag[STORE_ETAG_SIZE];
	/* Not 0: the same for when it was written, which tells two null versions apart. */
	uint64_t modified_ns;
};
/* What became of it. */
struct store_removed {
	uint64_t version;      /* that is gone, or of the new delete marker */
	bool is_delete_marker; /* one was made, or one is gone */
};
/*
 * In a bucket that is versioned, the latest version is not removed: a delete marker becomes the
 * latest, also of a key that never was. A named version is removed for good, and the one before it
 * becomes the latest. With its event; durable on return. REMOVAL may be NULL (the latest), RET too.
 * -ENOENT when there was none (S3 calls that success); -EPERM: it is held.
 */
int store_object_delete(struct store *store, const char *bucket, const char *key, size_t key_len,
			const struct store_removal *removal,
			struct store_removed *ret) EOS_MUST_CHECK;
/*
 * Changes metadata of a version in place: CHANGE(CTX, INFO) edits INFO's metadata and returns 0, or
 * an error that is returned then and changes nothing. It is called in the transaction, from another
 * thread, and again when the transaction must be: it must not call the store or block. Version,
 * time and etag stay. -ENOENT; -EINVAL: a delete marker. What retention demands is the caller's
 * business.
 */
int store_object_update(struct store *store, const char *bucket, const char *key, size_t key_len,
			uint64_t version, int (*change)(void *ctx, struct store_object_info *info),
			void *ctx) EOS_MUST_CHECK;
/*
 * Within one bucket, atomically, without copying data; an object at the new key is replaced. In a
 * bucket that is versioned the latest version itself moves: it is a new version of the new key, and
 * a delete marker becomes the latest of the old key. -ENOENT; -EPERM: it, or what would go, is
 * held.
 */
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

/*
 * All versions and delete markers, by key, and for each key from the newest: S3's
 * ListObjectVersions. AFTER with AFTER_VERSION: what is behind that version of that key (-1 as
 * STORE_VERSION_LATEST: behind all of them). Otherwise as store_object_list().
 */
int store_version_list(struct store *store, const char *bucket,
		       const struct store_list_query *query, uint64_t after_version,
		       int (*visit)(void *ctx, const struct store_list_entry *entry), void *ctx,
		       bool *ret_more) EOS_MUST_CHECK;

/*
 * Finds latest versions by what is known of them. All terms must hold. Metadata and tags are found
 * through an index, which every change keeps; the first term that is not a time decides what is
 * looked at. VISIT gets BUCKET too; otherwise as store_object_list(), in no order.
 */
enum store_find_op { STORE_FIND_EQ, STORE_FIND_LT, STORE_FIND_LE, STORE_FIND_GT, STORE_FIND_GE };
struct store_find_term {
	const char *name;  /* with its prefix, STORE_META_USER or STORE_META_TAG */
	const char *value; /* two that are numbers are compared as numbers, else as bytes */
	enum store_find_op op;
};
struct store_find_query {
	const char *bucket; /* NULL: all of them */
	const char *prefix; /* of keys; may be NULL */
	const struct store_find_term *terms;
	size_t terms_count;
	uint64_t since_ns, until_ns; /* modified; 0 and UINT64_MAX: any time */
	unsigned limit;
};
int store_find(struct store *store, const struct store_find_query *query,
	       int (*visit)(void *ctx, const char *bucket, const struct store_list_entry *entry),
	       void *ctx, bool *ret_more) EOS_MUST_CHECK;

/* The outbox. */
#define STORE_RULE_MAX 255u

struct store_event {
	uint64_t id;		/* order of the changes; unique for ever */
	uint32_t attempts;	/* failed deliveries so far */
	uint64_t not_before_ns; /* wall clock */
	enum store_event_kind kind;
	uint64_t time_ns; /* wall clock of the change */
	uint64_t size;
	uint64_t sequence;
	uint64_t version;	    /* STORE_VERSION_NULL where the bucket is not versioned */
	char etag[STORE_ETAG_SIZE]; /* "" of a delete marker */
	char bucket[STORE_BUCKET_NAME_MAX + 1];
	uint64_t bucket_created_ns;	   /* for the matcher only, else 0 */
	char owner[STORE_TENANT_MAX + 1];  /* whose the bucket was at that moment */
	char target[STORE_TARGET_MAX + 1]; /* whom the matcher named */
	char rule[STORE_RULE_MAX + 1];	   /* and by which rule, "": it named none */
	uint32_t key_len;
	char key[STORE_KEY_MAX + 1]; /* also NUL-terminated */
};

/*
 * Called inside the transaction for each change of an object outside the node's own buckets: calls
 * EMIT once for each target that must hear of it, with the name of the rule that says so (NULL:
 * none). It must not call the store, block or fail. Any
 * thread, one at a time. Set it before the first upload.
 */
typedef void (*store_matcher_fn)(void *ctx, const struct store_event *event,
				 void (*emit)(void *emit_ctx, const char *target, const char *rule),
				 void *emit_ctx);
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

/* Without the node's own buckets, but for what is on disk. */
struct store_stats {
	uint64_t buckets, objects, bytes, outbox_events;
	uint64_t chunks, chunk_bytes;	       /* as they are stored, each once */
	uint64_t segment_bytes, garbage_bytes; /* files, and what in them nobody needs */
	uint64_t metadata_bytes, free_bytes;   /* LMDB's pages in use; of the file system */
};
int store_stats(struct store *store, struct store_stats *ret_stats) EOS_MUST_CHECK;

/*
 * Upkeep. These take as long as there is data; PROGRESS(CTX, DONE, OF, in bytes) is called now and
 * then, and returns false to stop (-EINTR). Others may use the store meanwhile.
 */
typedef bool (*store_progress_fn)(void *ctx, uint64_t done, uint64_t of);
typedef void (*store_problem_fn)(void *ctx, const char *bucket, const char *key, size_t key_len,
				 uint64_t version, const char *text);
struct store_verdict {
	uint64_t objects, chunks, bytes; /* looked at */
	uint64_t damaged_objects, damaged_chunks;
	uint64_t wrong_counts, leaked_bytes;
};
/* Reads everything and compares all counts with a recount. PROBLEM is told of each object that
 * cannot be read whole ("" as bucket: of something that is no object's). */
int store_verify(struct store *store, store_problem_fn problem, store_progress_fn progress,
		 void *ctx, struct store_verdict *ret_verdict) EOS_MUST_CHECK;
/* Removes versions that cannot be read whole, telling PROBLEM of each, and sets counts right. */
int store_repair(struct store *store, store_problem_fn problem, store_progress_fn progress,
		 void *ctx, struct store_verdict *ret_verdict) EOS_MUST_CHECK;
/* Makes a new node key and wraps all other keys with it. Durable on return: the former one is of no
 * use any more, but for backups. -ENOKEY; errors of writing its file. */
int store_rekey(struct store *store) EOS_MUST_CHECK;
/* Gives the space of what is not needed back, down to segments that are nearly full. */
int store_compact(struct store *store, store_progress_fn progress, void *ctx,
		  uint64_t *ret_freed_bytes) EOS_MUST_CHECK;

/*
 * The scrub: everything is read and checked in the background, again and again, so that damage is
 * found while there is still a copy elsewhere. Damage is logged, with an object that it concerns,
 * counted, told by an event (STORE_EVENT_DAMAGED), and remembered: an upload of the same bytes
 * heals it. It is off until it is set.
 */
#define STORE_SCRUB_RATE_MIN (UINT64_C(64) << 10)
struct store_scrub {
	uint64_t rate;	      /* bytes a second at most, 0: off */
	uint64_t interval_ns; /* from the beginning of a pass to that of the next */
	bool is_running;
	/* Of the present pass: read so far, and how much the segments have; the segment it is in.
	 */
	uint64_t done_bytes, of_bytes;
	uint32_t segment;
	uint64_t damages;	     /* of the present pass, or of the last one */
	uint64_t passes;	     /* that came to the end */
	uint64_t begun_ns, ended_ns; /* wall clock; of the last one begun, and ended; 0: none */
};
/* Also while it runs. A pass that was interrupted goes on where it was, also after the store was
 * closed. -EINVAL: a rate that is neither 0 nor at least STORE_SCRUB_RATE_MIN; -EAGAIN: no thread.
 */
int store_scrub_set(struct store *store, uint64_t rate, uint64_t interval_ns) EOS_MUST_CHECK;
int store_scrub_get(struct store *store, struct store_scrub *ret_scrub) EOS_MUST_CHECK;
