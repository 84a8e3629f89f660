/*
 * What is written to disk: the records in LMDB. docs/formats/store.md
 * describes them for people.
 *
 * All numbers are little-endian, as on every machine that EdgeOS runs on (checked at compile time);
 * numbers inside LMDB keys are big-endian, so that byte order is numeric order. LMDB aligns values
 * to two bytes only: copy before use. Every record begins with its checksum (XXH3-64), seeded by
 * what it belongs to, so that a record that turns up under another key is damage as well.
 */
#pragma once

#include <assert.h>
#include <lmdb.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "store/store.h"

static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the formats are little-endian");

#define LOCAL_FORMAT_VERSION	    3
#define LOCAL_INLINE_MAX	    (16u * 1024)
#define LOCAL_INLINE_COMPRESSED_MAX 512u /* in buckets that are compressed */
#define LOCAL_MD5_SIZE		    16
#define LOCAL_KEY_NONE		    0u	    /* not encrypted */
#define LOCAL_KEY_CUSTOMER	    0xFFFFu /* with a key that is not the store's */
#define LOCAL_SEAL_BYTES	    28u	    /* that encryption adds: local_crypt_priv.h */

enum local_record_kind {
	LOCAL_RECORD_INLINE = 1,  /* the data stands behind the metadata */
	LOCAL_RECORD_CHUNKED = 2, /* the data is in chunks */
	LOCAL_RECORD_MARKER = 3,  /* a delete marker: no data */
};

struct local_record {
	uint64_t sum; /* of the rest and the metadata; seeded by bucket and key */
	uint8_t format;
	uint8_t kind;
	uint16_t key; /* that the data is encrypted with, or 0 */
	uint32_t metadata_len;
	uint64_t size;
	uint64_t modified_ns;
	uint64_t sequence;
	uint8_t md5[LOCAL_MD5_SIZE];
	uint64_t manifest;	/* chunked */
	uint64_t check;		/* inline: checksum of the data, as it is stored */
	uint64_t version;	/* the sequence that it was made with, or STORE_VERSION_NULL */
	uint64_t history;	/* of the noncurrent versions, or 0 (local_history.c) */
	uint64_t null_sequence; /* in the latest: of the noncurrent null version, or 0 */
};
static_assert(sizeof(struct local_record) == 96, "record on disk");
static_assert(offsetof(struct local_record, manifest) == 56, "record on disk");

struct local_child {
	uint64_t sum; /* seeded by the entry's key */
	uint64_t node;
};
static_assert(sizeof(struct local_child) == 16, "child on disk");

#define LOCAL_BUCKET_HAS_LOCK	   1u
#define LOCAL_BUCKET_IS_ENCRYPTED  2u
#define LOCAL_BUCKET_IS_COMPRESSED 4u

struct local_bucket {
	uint64_t sum; /* seeded by the name */
	uint64_t node;
	uint64_t created_ns;
	uint64_t quota_bytes, quota_objects; /* 0: none */
	uint64_t objects, bytes;	     /* versions that are no delete markers */
	uint8_t versioning;		     /* enum store_versioning */
	uint8_t flags;
	uint8_t zero[6];
	char tenant[STORE_TENANT_MAX + 1]; /* the rest is zeros */
};
static_assert(sizeof(struct local_bucket) == 128, "bucket on disk");
static_assert(offsetof(struct local_bucket, tenant) == 64, "bucket on disk");

/* One that is not there is all zeros, and one that becomes so is removed. */
struct local_tenant {
	uint64_t sum; /* seeded by the name */
	uint64_t quota_bytes, quota_objects;
	uint64_t objects, bytes; /* of all the tenant's buckets */
};
static_assert(sizeof(struct local_tenant) == 40, "tenant on disk");

/* The one record of the meta table, rewritten by every transaction. */
struct local_state {
	uint64_t sum;
	uint32_t version;
	uint32_t zero;
	uint64_t node_next;
	uint64_t sequence;
	uint64_t event_next;
	uint64_t manifest_next;
	uint64_t chunks;
	uint64_t buckets, objects, bytes, outbox_events;
};
static_assert(sizeof(struct local_state) == 88, "state on disk");

/* Behind it: bucket, target, key, rule and owner, without NULs. */
struct local_event {
	uint64_t sum; /* of the rest and the texts; seeded by the id */
	uint8_t version;
	uint8_t kind;
	uint16_t bucket_len;
	uint16_t target_len;
	uint16_t key_len;
	uint32_t attempts;
	uint16_t rule_len;
	uint16_t owner_len;
	uint64_t not_before_ns;
	uint64_t time_ns;
	uint64_t size;
	uint64_t sequence;
	uint64_t object_version;
	uint8_t md5[LOCAL_MD5_SIZE];
};
static_assert(sizeof(struct local_event) == 80, "event on disk");

/* XXH3-64. */
uint64_t local_sum(const void *data, size_t len, uint64_t seed);

void local_be64_put(uint8_t out[8], uint64_t value);
uint64_t local_be64_get(const uint8_t in[8]);

/* The seed of the record of KEY in the bucket whose root node is NODE. */
uint64_t local_record_seed(uint64_t node, const char *key, size_t key_len);
/* Sets the checksum. METADATA has record->metadata_len bytes. */
void local_record_seal(struct local_record *record, const char *metadata, uint64_t seed);
/* What the data of an inline record takes; an empty one is not encrypted. */
static inline size_t local_inline_bytes(const struct local_record *record)
{
	return record->size + (record->key != 0 && record->size > 0 ? LOCAL_SEAL_BYTES : 0);
}
/* The length of the whole value: head, metadata, inline data. */
size_t local_record_size(const struct local_record *record);
/* Checks all but the inline data. *RET_METADATA and *RET_DATA (NULL if not inline) point into
 * VALUE. -EBADMSG. */
int local_record_parse(const MDB_val *value, uint64_t seed, struct local_record *ret_record,
		       const char **ret_metadata, const char **ret_data) EOS_MUST_CHECK;
/* Without a look at the checksum. */
bool local_record_looks_like_marker(const MDB_val *value);
/* Writes local_record_size() bytes. DATA: of inline records. */
void local_record_write(const struct local_record *record, const char *metadata, const void *data,
			void *out);
/* Says that it is the latest. */
void local_record_info(const struct local_record *record, const char *metadata,
		       struct store_object_info *ret_info);

void local_bucket_seal(struct local_bucket *bucket, const char *name, size_t name_len);
int local_bucket_parse(const MDB_val *value, const char *name, size_t name_len,
		       struct local_bucket *ret_bucket) EOS_MUST_CHECK;

void local_tenant_seal(struct local_tenant *tenant, const char *name);
int local_tenant_parse(const MDB_val *value, const char *name,
		       struct local_tenant *ret_tenant) EOS_MUST_CHECK;

void local_state_seal(struct local_state *state);
/* The format version of a whole state record of any version; 0: it is damaged. */
uint32_t local_state_format(const MDB_val *value);
int local_state_parse(const MDB_val *value, struct local_state *ret_state) EOS_MUST_CHECK;

#define LOCAL_EVENT_SIZE_MAX                                                                       \
	(sizeof(struct local_event) + STORE_BUCKET_NAME_MAX + STORE_TARGET_MAX + STORE_KEY_MAX +   \
	 STORE_RULE_MAX + STORE_TENANT_MAX)
/* Returns the length written to OUT, which has LOCAL_EVENT_SIZE_MAX bytes. */
size_t local_event_encode(const struct store_event *event, uint8_t *out);
int local_event_parse(const MDB_val *value, uint64_t id,
		      struct store_event *ret_event) EOS_MUST_CHECK;
