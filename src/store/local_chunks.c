/*
 * The tables of chunks, manifests, segments and trash. What is inside the committer's transaction
 * has the two halves that local_changes.c tells of: local_chunks_check() is the first of an
 * upload's chunks, everything else writes.
 */
#include "store/local_chunks_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "base/assert.h"
#include "store/local_priv.h"

static uint64_t name_seed(const uint8_t name[LOCAL_NAME_SIZE])
{
	return local_sum(name, LOCAL_NAME_SIZE, 0);
}

static MDB_val name_val(const uint8_t name[LOCAL_NAME_SIZE])
{
	/* LMDB does not write to the keys it is given. */
	return (MDB_val){.mv_size = LOCAL_NAME_SIZE, .mv_data = (void *)(uintptr_t)name};
}

static uint64_t chunk_sum(const struct local_chunk *chunk, const uint8_t name[LOCAL_NAME_SIZE])
{
	return local_sum((const char *)chunk + 8, sizeof(*chunk) - 8, name_seed(name));
}

int local_chunk_parse(const MDB_val *key, const MDB_val *value, struct local_chunk *ret_chunk)
{
	struct local_chunk chunk;
	if (key->mv_size != LOCAL_NAME_SIZE || value->mv_size != sizeof(chunk))
		return -EBADMSG;
	memcpy(&chunk, value->mv_data, sizeof(chunk));
	if (chunk.sum != chunk_sum(&chunk, key->mv_data) || chunk.len == 0 ||
	    chunk.len > LOCAL_CHUNK_BYTES_MAX || chunk.stored_len == 0 ||
	    chunk.stored_len > LOCAL_CHUNK_STORED_MAX || (chunk.flags & ~LOCAL_CHUNK_FLAGS) != 0 ||
	    ((chunk.flags & LOCAL_CHUNK_ENCRYPTED) != 0) != (chunk.key != LOCAL_KEY_NONE))
		return -EBADMSG;
	*ret_chunk = chunk;
	return 0;
}

int local_chunk_get(struct local *local, MDB_txn *txn, const uint8_t name[LOCAL_NAME_SIZE],
		    struct local_chunk *ret_chunk)
{
	MDB_val key = name_val(name), value;
	int err = local_error(mdb_get(txn, local->chunks, &key, &value));
	return err < 0 ? err : local_chunk_parse(&key, &value, ret_chunk);
}

int local_chunk_put(struct local *local, MDB_txn *txn, const uint8_t name[LOCAL_NAME_SIZE],
		    struct local_chunk *chunk)
{
	chunk->sum = chunk_sum(chunk, name);
	MDB_val key = name_val(name), value = {.mv_size = sizeof(*chunk), .mv_data = chunk};
	return local_put(txn, local->chunks, &key, &value, 0);
}

static size_t page_size(uint32_t count)
{
	return offsetof(struct local_page, entries) + count * sizeof(struct local_page_entry);
}

static uint64_t page_sum(const struct local_page *page, const MDB_val *key)
{
	return local_sum((const char *)page + 8, page_size(page->count) - 8,
			 local_sum(key->mv_data, key->mv_size, 0));
}

int local_page_parse(const MDB_val *key, const MDB_val *value, struct local_page *ret_page)
{
	struct local_page *page = ret_page;
	if (key->mv_size != LOCAL_PAGE_KEY_SIZE || value->mv_size < page_size(1) ||
	    value->mv_size > sizeof(*page))
		return -EBADMSG;
	memcpy(page, value->mv_data, value->mv_size);
	if (page->count == 0 || page->count > LOCAL_PAGE_ENTRIES ||
	    value->mv_size != page_size(page->count) || page->sum != page_sum(page, key))
		return -EBADMSG;
	for (uint32_t i = 0; i < page->count; i++)
		if (page->entries[i].len == 0 || page->entries[i].len > LOCAL_CHUNK_BYTES_MAX)
			return -EBADMSG;
	return 0;
}

void local_page_key(uint64_t id, uint64_t offset, uint8_t out[LOCAL_PAGE_KEY_SIZE])
{
	local_be64_put(out, id);
	local_be64_put(out + 8, offset);
}

int local_page_put(struct local *local, MDB_txn *txn, uint64_t id, uint64_t offset,
		   struct local_page *page)
{
	uint8_t name[LOCAL_PAGE_KEY_SIZE];
	local_page_key(id, offset, name);
	MDB_val key = {.mv_size = sizeof(name), .mv_data = name};
	page->zero = 0;
	page->sum = page_sum(page, &key);
	MDB_val value = {.mv_size = page_size(page->count), .mv_data = page};
	return local_put(txn, local->manifests, &key, &value, 0);
}

static int find_at_cursor(MDB_cursor *cursor, uint64_t id, uint64_t offset,
			  struct local_page *ret_page, uint64_t *ret_start)
{
	uint8_t name[LOCAL_PAGE_KEY_SIZE];
	local_page_key(id, offset, name);
	MDB_val key = {.mv_size = sizeof(name), .mv_data = name}, value;
	int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	if (rc == MDB_NOTFOUND)
		rc = mdb_cursor_get(cursor, &key, &value, MDB_LAST);
	else if (rc == 0 &&
		 (key.mv_size != sizeof(name) || memcmp(key.mv_data, name, sizeof(name)) != 0))
		rc = mdb_cursor_get(cursor, &key, &value, MDB_PREV);
	if (rc != 0)
		return rc == MDB_NOTFOUND ? -EBADMSG : local_error(rc);
	if (key.mv_size != sizeof(name) || local_be64_get(key.mv_data) != id)
		return -EBADMSG;
	*ret_start = local_be64_get((const uint8_t *)key.mv_data + 8);
	return local_page_parse(&key, &value, ret_page);
}

int local_manifest_find(struct local *local, MDB_txn *txn, uint64_t id, uint64_t offset,
			struct local_page *ret_page, uint64_t *ret_start)
{
	MDB_cursor *cursor;
	int err = local_error(mdb_cursor_open(txn, local->manifests, &cursor));
	if (err < 0)
		return err;
	err = find_at_cursor(cursor, id, offset, ret_page, ret_start);
	mdb_cursor_close(cursor);
	if (err < 0)
		return err;
	uint64_t end = *ret_start;
	for (uint32_t i = 0; i < ret_page->count; i++)
		end += ret_page->entries[i].len;
	return offset < *ret_start || offset >= end ? -EBADMSG : 0;
}

static uint64_t trash_sum(const MDB_val *key)
{
	return local_sum(key->mv_data, key->mv_size, 0);
}

int local_trash_parse(const MDB_val *key, const MDB_val *value, uint64_t *ret_id)
{
	uint64_t sum;
	if (key->mv_size != sizeof(*ret_id) || value->mv_size != sizeof(sum))
		return -EBADMSG;
	memcpy(&sum, value->mv_data, sizeof(sum));
	if (sum != trash_sum(key))
		return -EBADMSG;
	*ret_id = local_be64_get(key->mv_data);
	return 0;
}

int local_trash_has(struct local *local, MDB_txn *txn, uint64_t id)
{
	uint8_t name[8];
	local_be64_put(name, id);
	MDB_val key = {.mv_size = sizeof(name), .mv_data = name}, value;
	int err = local_error(mdb_get(txn, local->trash, &key, &value));
	if (err == 0)
		return local_trash_parse(&key, &value, &id) == 0;
	return err == -ENOENT ? 0 : err;
}

int local_trash_put(struct local_txn *t, uint64_t manifest)
{
	uint8_t name[8];
	local_be64_put(name, manifest);
	MDB_val key = {.mv_size = sizeof(name), .mv_data = name};
	uint64_t sum = trash_sum(&key);
	MDB_val value = {.mv_size = sizeof(sum), .mv_data = &sum};
	t->is_changed = true;
	return local_put(t->txn, t->local->trash, &key, &value, 0);
}

int local_trash_remove(struct local_txn *t, uint64_t manifest)
{
	uint8_t name[8];
	local_be64_put(name, manifest);
	MDB_val key = {.mv_size = sizeof(name), .mv_data = name};
	t->is_changed = true;
	return local_delete(t->txn, t->local->trash, &key);
}

int local_chunks_check(struct local_txn *t, const struct local_chunk_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		struct local_chunk there;
		if (list->all[i].segment != NULL)
			continue;
		int err = local_chunk_get(t->local, t->txn, list->all[i].name, &there);
		if (err < 0)
			return err == -ENOENT ? -EBADMSG : err;
	}
	return 0;
}

static int place(struct local_txn *t, const struct local_new_chunk *chunk,
		 struct local_chunk *there)
{
	there->payload_sum = chunk->payload_sum;
	there->offset = chunk->offset;
	there->segment = chunk->segment->id;
	there->stored_len = chunk->stored_len;
	there->len = chunk->len;
	there->flags = chunk->flags;
	there->key = chunk->key;
	return local_live_add(t, there->segment, (int64_t)local_entry_bytes(there->stored_len));
}

/* One more reference to CHUNK. Its own copy is used when there is none yet, or a bad one. */
static int refer(struct local_txn *t, const struct local_new_chunk *chunk)
{
	struct local_chunk there;
	int err = local_chunk_get(t->local, t->txn, chunk->name, &there);
	if (err == -ENOENT) {
		memset(&there, 0, sizeof(there));
		t->state.chunks++;
		err = place(t, chunk, &there);
	} else if (err == -EBADMSG && chunk->segment != NULL) {
		/* What it stood for cannot be told: neither its place nor who refers to it. */
		memset(&there, 0, sizeof(there));
		there.refs = LOCAL_REFS_UNKNOWN;
		err = place(t, chunk, &there);
	} else if (err == 0 && chunk->segment != NULL &&
		   local_pins_is_damaged(&t->local->chunk_pins, chunk->name)) {
		err = local_live_add(t, there.segment,
				     -(int64_t)local_entry_bytes(there.stored_len));
		if (err == 0)
			err = place(t, chunk, &there);
	}
	if (err < 0)
		return err;
	there.refs++;
	return local_chunk_put(t->local, t->txn, chunk->name, &there);
}

int local_manifest_append(struct local_txn *t, const struct local_chunk_list *list,
			  uint64_t *ret_manifest)
{
	struct local_page page;
	uint64_t offset = list->offset;
	uint64_t id = list->manifest != 0 ? list->manifest : t->state.manifest_next++;
	for (size_t i = 0; i < list->count;) {
		uint64_t start = offset;
		page.count = (uint32_t)EOS_MIN(list->count - i, (size_t)LOCAL_PAGE_ENTRIES);
		for (uint32_t k = 0; k < page.count; k++, i++) {
			int err = refer(t, &list->all[i]);
			if (err < 0)
				return err;
			memcpy(page.entries[k].name, list->all[i].name, LOCAL_NAME_SIZE);
			page.entries[k].len = list->all[i].len;
			offset += list->all[i].len;
		}
		int err = local_page_put(t->local, t->txn, id, start, &page);
		if (err < 0)
			return err;
	}
	t->is_changed = true;
	*ret_manifest = id;
	return 0;
}

int local_live_add(struct local_txn *t, uint32_t segment, int64_t bytes)
{
	for (size_t i = 0; i < t->live_count; i++) {
		if (t->live[i].segment == segment) {
			t->live[i].bytes += bytes;
			return 0;
		}
	}
	if (t->live_count == t->live_cap) {
		size_t cap = EOS_MAX(2 * t->live_cap, (size_t)64);
		struct local_live *live = realloc(t->live, cap * sizeof(live[0]));
		if (live == NULL)
			return -ENOMEM;
		t->live = live;
		t->live_cap = cap;
	}
	t->live[t->live_count++] = (struct local_live){.segment = segment, .bytes = bytes};
	return 0;
}

void local_segment_key(uint32_t id, uint8_t out[4])
{
	id = __builtin_bswap32(id);
	memcpy(out, &id, sizeof(id));
}

int local_segment_record_parse(const MDB_val *key, const MDB_val *value,
			       struct local_segment_record *ret_record)
{
	struct local_segment_record record;
	if (key->mv_size != 4 || value->mv_size != sizeof(record))
		return -EBADMSG;
	memcpy(&record, value->mv_data, sizeof(record));
	if (record.sum !=
	    local_sum(&record.live, sizeof(record.live), local_sum(key->mv_data, key->mv_size, 0)))
		return -EBADMSG;
	*ret_record = record;
	return 0;
}

int local_segment_record_put(struct local *local, MDB_txn *txn, uint32_t id, uint64_t live)
{
	uint8_t name[4];
	local_segment_key(id, name);
	struct local_segment_record record = {.live = live};
	record.sum = local_sum(&record.live, sizeof(record.live), local_sum(name, 4, 0));
	MDB_val key = {.mv_size = 4, .mv_data = name};
	MDB_val value = {.mv_size = sizeof(record), .mv_data = &record};
	return local_put(txn, local->segments_dbi, &key, &value, 0);
}

int local_live_flush(struct local_txn *t)
{
	for (size_t i = 0; i < t->live_count; i++) {
		uint8_t name[4];
		struct local_segment_record record = {0};
		local_segment_key(t->live[i].segment, name);
		MDB_val key = {.mv_size = 4, .mv_data = name}, value;
		int err = 0;
		/* The table in memory is as committed, and nothing damages it. Only of a segment
		 * whose file is lost it knows nothing. */
		if (!local_segments_live(&t->local->segments, t->live[i].segment, &record.live)) {
			err = local_error(mdb_get(t->txn, t->local->segments_dbi, &key, &value));
			if (err == 0)
				err = local_segment_record_parse(&key, &value, &record);
		}
		if (err < 0 && err != -ENOENT && err != -EBADMSG)
			return err;
		uint64_t bytes = (uint64_t)t->live[i].bytes;
		record.live = t->live[i].bytes < 0 && record.live < (uint64_t)-t->live[i].bytes
				      ? 0
				      : record.live + bytes;
		err = local_segment_record_put(t->local, t->txn, t->live[i].segment, record.live);
		if (err < 0)
			return err;
	}
	return 0;
}

void local_live_take_over(struct local_txn *t)
{
	for (size_t i = 0; i < t->live_count; i++)
		local_segments_count(&t->local->segments, t->live[i].segment, t->live[i].bytes);
	t->live_count = 0;
}

int local_chunk_decode(struct local *local, const struct local_key *key,
		       const uint8_t name[LOCAL_NAME_SIZE], const struct local_chunk *chunk,
		       const void *payload, void *data)
{
	if (local_payload_sum(name, payload, chunk->stored_len) != chunk->payload_sum)
		return -EBADMSG;
	if (chunk->flags & LOCAL_CHUNK_ENCRYPTED)
		return local_crypt_open_chunk(local, key, name, chunk, payload, data);
	if (chunk->flags & LOCAL_CHUNK_ZSTD) {
		size_t n = ZSTD_decompress(data, chunk->len, payload, chunk->stored_len);
		return ZSTD_isError(n) || n != chunk->len ? -EBADMSG : 0;
	}
	if (chunk->stored_len != chunk->len)
		return -EBADMSG;
	if (data != payload)
		memcpy(data, payload, chunk->len);
	return 0;
}

int local_chunk_read(struct local *local, const struct local_key *key,
		     const uint8_t name[LOCAL_NAME_SIZE], const struct local_chunk *chunk,
		     void *data)
{
	struct local_segment *segment;
	struct local_cipher *cipher = NULL;
	bool is_plain = chunk->flags == 0 && chunk->stored_len == chunk->len;
	int err = local_segment_get(&local->segments, chunk->segment, &segment);
	if (err < 0)
		return err;
	void *payload = data;
	if (!is_plain) {
		/* For its memory, which is there already. */
		err = local_cipher_take(local, &cipher);
		payload = err < 0 ? NULL : local_cipher_scratch(cipher, chunk->stored_len);
	}
	err = payload == NULL ? -ENOMEM : 0;
	if (err == 0)
		err = local_segment_read(segment, payload, chunk->stored_len,
					 chunk->offset + sizeof(struct local_entry));
	if (err == 0)
		err = local_chunk_decode(local, key, name, chunk, payload, data);
	if (cipher != NULL)
		local_cipher_give(local, cipher);
	local_segment_put(&local->segments, segment);
	return err == -ENODATA ? -EBADMSG : err;
}

int local_chunk_fetch(struct local *local, const struct local_key *key,
		      const uint8_t name[LOCAL_NAME_SIZE], uint32_t len, void *data)
{
	int err = 0;
	/* What is moved while we look is found at the second look; it moves once in seconds. */
	for (unsigned attempt = 0; attempt < 3; attempt++) {
		struct local_chunk chunk;
		MDB_txn *txn;
		err = local_read_begin(local, &txn);
		if (err < 0)
			return err;
		err = local_chunk_get(local, txn, name, &chunk);
		local_read_end(local, txn);
		if (err == 0 && chunk.len != len)
			err = -EBADMSG;
		if (err == 0)
			err = local_chunk_read(local, key, name, &chunk, data);
		if (err != -ENOENT)
			break;
	}
	if (err == -ENOENT)
		err = -EBADMSG;
	if (err == -EBADMSG)
		local_pins_set_damaged(&local->chunk_pins, name, true);
	return err;
}
