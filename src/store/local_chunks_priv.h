/*
 * Chunks and manifests in the tables.
 *
 * A chunk is a stretch of bytes that is stored once, however many objects hold it, under the
 * SHA-256 of its plain bytes (in encrypted buckets: a keyed one). `chunks` says where it is, and
 * how often manifests name it. A manifest is the list of an object's chunks in order, in pages that
 * are found by the offset of their first byte. Manifest ids are never given twice.
 *
 * The manifest of a record that is gone moves to `trash`; the reclaimer (local_reclaim.c) takes its
 * references back bit by bit. A manifest that is being written in several transactions, as that of
 * a large upload, stands in the trash from the first on, and leaves it in the last, with the
 * record.
 *
 * Invariant: refs of a chunk = how often the pages in `manifests` name it, whether their manifest
 * is in the trash or not. The sum of local_entry_bytes() of a segment's chunks = its `live`.
 */
#pragma once

#include <assert.h>
#include <lmdb.h>
#include <stddef.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "store/local_records_priv.h"
#include "store/local_segments_priv.h"

struct local;
struct local_key;
struct local_txn;

/* The value in `chunks`. */
struct local_chunk {
	uint64_t sum; /* seeded by the name */
	uint64_t payload_sum;
	uint64_t offset; /* of the entry in the segment */
	uint32_t segment;
	uint32_t stored_len;
	uint32_t len;
	uint16_t flags;
	uint16_t key;
	uint64_t refs;
};
static_assert(sizeof(struct local_chunk) == 48, "chunk on disk");
static_assert(offsetof(struct local_chunk, refs) == 40, "chunk on disk");
/* The references of a chunk whose record was damaged: it stays until repair counts anew. */
#define LOCAL_REFS_UNKNOWN (UINT64_C(1) << 62)

/* Of the plain bytes, and with what encryption adds. */
#define LOCAL_CHUNK_BYTES_MAX  (4u << 20)
#define LOCAL_CHUNK_STORED_MAX (LOCAL_CHUNK_BYTES_MAX + LOCAL_SEAL_BYTES)

/* The value in `segments`, by the id (4 bytes, big-endian). */
struct local_segment_record {
	uint64_t sum; /* seeded by the id */
	uint64_t live;
};
static_assert(sizeof(struct local_segment_record) == 16, "segment record on disk");

/* The value in `manifests`, by manifest id and offset (8 bytes each, big-endian). */
struct local_page_entry {
	uint8_t name[LOCAL_NAME_SIZE];
	uint32_t len;
};
static_assert(sizeof(struct local_page_entry) == 36, "manifest on disk");
/* As many as fit twice into one of LMDB's pages. */
#define LOCAL_PAGE_ENTRIES 55u
struct local_page {
	uint64_t sum; /* of what follows, as far as it counts; seeded by the key */
	uint32_t count;
	uint32_t zero;
	struct local_page_entry entries[LOCAL_PAGE_ENTRIES];
};
static_assert(offsetof(struct local_page, entries) == 16, "manifest on disk");

/* The chunks of an upload that no transaction has seen yet. */
struct local_new_chunk {
	uint8_t name[LOCAL_NAME_SIZE];
	uint32_t len, stored_len;
	uint64_t payload_sum;
	uint64_t offset;
	uint16_t flags, key;
	/* New: it comes with its bytes, which stand in SEGMENT once they are written, those of
	 * number SAME_AS in the list for both. Else it is stored already, SEGMENT is NULL, and it
	 * is pinned by the list's owner. */
	bool is_staged;
	size_t same_as;
	struct local_segment *segment;
};
struct local_chunk_list {
	struct local_new_chunk *all;
	size_t count, cap;
	uint64_t manifest; /* 0: none yet */
	uint64_t offset;   /* of the first of ALL in the object */
};
/* So many chunks go into one transaction; the pages that this touches are well below LMDB's bound
 * of dirty pages. */
#define LOCAL_LIST_MAX 512u

/* -ENOENT, -EBADMSG (the record is damaged; not logged). */
int local_chunk_get(struct local *local, MDB_txn *txn, const uint8_t name[LOCAL_NAME_SIZE],
		    struct local_chunk *ret_chunk) EOS_MUST_CHECK;
int local_chunk_put(struct local *local, MDB_txn *txn, const uint8_t name[LOCAL_NAME_SIZE],
		    struct local_chunk *chunk) EOS_MUST_CHECK;
int local_chunk_parse(const MDB_val *key, const MDB_val *value,
		      struct local_chunk *ret_chunk) EOS_MUST_CHECK;

/* *RET_PAGE gets the page that holds byte OFFSET, *RET_START where it begins. -EBADMSG. */
int local_manifest_find(struct local *local, MDB_txn *txn, uint64_t id, uint64_t offset,
			struct local_page *ret_page, uint64_t *ret_start) EOS_MUST_CHECK;
#define LOCAL_PAGE_KEY_SIZE 16
void local_page_key(uint64_t id, uint64_t offset, uint8_t out[LOCAL_PAGE_KEY_SIZE]);
int local_page_parse(const MDB_val *key, const MDB_val *value,
		     struct local_page *ret_page) EOS_MUST_CHECK;
int local_page_put(struct local *local, MDB_txn *txn, uint64_t id, uint64_t offset,
		   struct local_page *page) EOS_MUST_CHECK;
void local_segment_key(uint32_t id, uint8_t out[4]);
int local_segment_record_parse(const MDB_val *key, const MDB_val *value,
			       struct local_segment_record *ret_record) EOS_MUST_CHECK;
int local_segment_record_put(struct local *local, MDB_txn *txn, uint32_t id,
			     uint64_t live) EOS_MUST_CHECK;
/* The id in the key; the value is its checksum. -EBADMSG: an entry that may mean another manifest,
 * which somebody needs: it is left alone. */
int local_trash_parse(const MDB_val *key, const MDB_val *value, uint64_t *ret_id) EOS_MUST_CHECK;
/* 1: in the trash; 0: not; or an error. */
int local_trash_has(struct local *local, MDB_txn *txn, uint64_t id) EOS_MUST_CHECK;

/* Below: inside the committer's transaction. After an error it must be aborted. */

/* Whether all that LIST takes for stored is: 0 or -EBADMSG. Changes nothing. */
int local_chunks_check(struct local_txn *t, const struct local_chunk_list *list) EOS_MUST_CHECK;
/* Adds the chunks of LIST to its manifest (a new one when it is 0: then sets *RET_MANIFEST). */
int local_manifest_append(struct local_txn *t, const struct local_chunk_list *list,
			  uint64_t *ret_manifest) EOS_MUST_CHECK;
int local_trash_put(struct local_txn *t, uint64_t manifest) EOS_MUST_CHECK;
int local_trash_remove(struct local_txn *t, uint64_t manifest) EOS_MUST_CHECK;
/* The live bytes of a segment change; written by local_live_flush(). */
int local_live_add(struct local_txn *t, uint32_t segment, int64_t bytes) EOS_MUST_CHECK;
int local_live_flush(struct local_txn *t) EOS_MUST_CHECK;
/* After the commit: the same in the table in memory. */
void local_live_take_over(struct local_txn *t);

/* Reads what CHUNK describes into DATA (chunk->len bytes): checks, decrypts, decompresses. KEY: of
 * whoever reads, or NULL: then customers' chunks cannot be read. -ENOENT: its segment is gone;
 * -EBADMSG; -ENOKEY: as it was written, but the key to open it is missing. */
int local_chunk_read(struct local *local, const struct local_key *key,
		     const uint8_t name[LOCAL_NAME_SIZE], const struct local_chunk *chunk,
		     void *data) EOS_MUST_CHECK;
/* The same for whatever is stored under NAME now: looks the place up, also when it just moved.
 * -EBADMSG: lost or damaged; then it is marked as damaged. */
int local_chunk_fetch(struct local *local, const struct local_key *key,
		      const uint8_t name[LOCAL_NAME_SIZE], uint32_t len, void *data) EOS_MUST_CHECK;
/* The same from what was read already. */
int local_chunk_decode(struct local *local, const struct local_key *key,
		       const uint8_t name[LOCAL_NAME_SIZE], const struct local_chunk *chunk,
		       const void *payload, void *data) EOS_MUST_CHECK;
