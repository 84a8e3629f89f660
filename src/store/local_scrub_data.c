/*
 * The scrub's first phase: all chunks, in the order they stand in the segments.
 *
 * The tables have the chunks by name. One walk over them, in many short transactions, picks those
 * that come next by place, a bounded number, and forgets the others; when these are read, the next
 * walk picks the next. A chunk that is written or moved behind the position is read by the next
 * pass (compaction has just read it).
 *
 * What is checked is what stands in the file: the head against the record, and the payload against
 * its checksum; no key is needed. The kernel's copy of it is dropped first, for what decays is the
 * disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "store/local_priv.h"
#include "store/local_scrub_priv.h"

/* Picked by one walk: 48 bytes each, twice. */
#define PICK_CHUNKS  (32u << 10)
#define SLICE_CHUNKS 4096u

struct pick {
	uint8_t name[LOCAL_NAME_SIZE];
	uint32_t segment;
	uint64_t offset;
};

struct picks {
	struct pick *all; /* up to twice PICK_CHUNKS */
	size_t count;
	uint32_t segment; /* only what is at or behind this place */
	uint64_t offset;
	bool is_cut; /* there are more behind the last */
};

static int by_place(const void *a, const void *b)
{
	const struct pick *x = a, *y = b;
	if (x->segment != y->segment)
		return x->segment < y->segment ? -1 : 1;
	return (x->offset > y->offset) - (x->offset < y->offset);
}

static void cut(struct picks *picks)
{
	if (picks->count > 0)
		qsort(picks->all, picks->count, sizeof(picks->all[0]), by_place);
	if (picks->count <= PICK_CHUNKS)
		return;
	picks->count = PICK_CHUNKS;
	picks->is_cut = true;
}

static void consider(struct picks *picks, const uint8_t *name, const struct local_chunk *chunk)
{
	struct pick pick = {.segment = chunk->segment, .offset = chunk->offset};
	struct pick first = {.segment = picks->segment, .offset = picks->offset};
	if (by_place(&pick, &first) < 0)
		return;
	if (picks->is_cut && by_place(&pick, &picks->all[PICK_CHUNKS - 1]) > 0)
		return;
	memcpy(pick.name, name, LOCAL_NAME_SIZE);
	picks->all[picks->count++] = pick;
	if (picks->count == 2 * (size_t)PICK_CHUNKS)
		cut(picks);
}

/* Some entries behind NAME, which moves on. 0: there are no more; 1; or an error. */
static int pick_slice(struct local *local, struct picks *picks, uint8_t *name, bool is_first)
{
	MDB_txn *txn;
	MDB_cursor *cursor;
	int err = local_read_begin(local, &txn);
	if (err < 0)
		return err;
	err = local_error(mdb_cursor_open(txn, local->chunks, &cursor));
	if (err < 0) {
		mdb_txn_abort(txn);
		return err;
	}
	MDB_val key = {.mv_size = LOCAL_NAME_SIZE, .mv_data = name}, value;
	int rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	if (rc == 0 && !is_first && key.mv_size == LOCAL_NAME_SIZE &&
	    memcmp(key.mv_data, name, LOCAL_NAME_SIZE) == 0)
		rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	for (unsigned i = 0; rc == 0 && i < SLICE_CHUNKS; i++) {
		struct local_chunk chunk;
		if (local_chunk_parse(&key, &value, &chunk) == 0)
			consider(picks, key.mv_data, &chunk);
		/* Damaged records are the second phase's. */
		if (key.mv_size == LOCAL_NAME_SIZE)
			memcpy(name, key.mv_data, LOCAL_NAME_SIZE);
		rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	return rc == 0 ? 1 : rc == MDB_NOTFOUND ? 0 : local_error(rc);
}

static int pick_next(struct local *local, struct picks *picks)
{
	uint8_t name[LOCAL_NAME_SIZE] = {0};
	int more = 1;
	picks->count = 0;
	picks->is_cut = false;
	for (bool is_first = true; more == 1; is_first = false) {
		more = pick_slice(local, picks, name, is_first);
		if (more >= 0 &&
		    !local_scrub_pace(local, SLICE_CHUNKS / 4 * sizeof(struct local_chunk)))
			more = -EINTR;
	}
	cut(picks);
	return more;
}

/* Whether NAME is still stored at the place; then *RET_CHUNK is its record. */
static int look(struct local *local, const struct pick *pick, struct local_chunk *ret_chunk)
{
	MDB_txn *txn;
	int err = local_read_begin(local, &txn);
	if (err < 0)
		return err;
	err = local_chunk_get(local, txn, pick->name, ret_chunk);
	mdb_txn_abort(txn);
	if (err == 0)
		return ret_chunk->segment == pick->segment && ret_chunk->offset == pick->offset;
	return err == -ENOENT || err == -EBADMSG ? 0 : err;
}

/* Drops what the kernel keeps of the file there. Pages are dropped whole or not at all, so those at
 * the ends go with their other halves. */
static void forget(const struct local_segment *segment, uint64_t offset, size_t len)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t first = offset / page * page, end = (offset + len + page - 1) / page * page;
	(void)posix_fadvise(segment->fd, (off_t)first, (off_t)(end - first), POSIX_FADV_DONTNEED);
}

/* Reads and checks the entry. -EBADMSG, and whether what is read of it is; -ENOENT: the segment is
 * gone; -EIO. */
static int check_entry(struct local *local, const struct pick *pick,
		       const struct local_chunk *chunk, uint8_t *data, bool *ret_is_payload)
{
	struct local_segment *segment;
	struct local_entry entry;
	size_t bytes = sizeof(entry) + chunk->stored_len;
	int err = local_segment_get(&local->segments, chunk->segment, &segment);
	if (err < 0)
		return err;
	forget(segment, chunk->offset, bytes);
	err = local_segment_read(segment, data, bytes, chunk->offset);
	uint64_t salt = segment->salt;
	local_segment_put(&local->segments, segment);
	*ret_is_payload = err < 0 || local_payload_sum(pick->name, data + sizeof(entry),
						       chunk->stored_len) != chunk->payload_sum;
	if (err < 0 || *ret_is_payload)
		return err == 0 || err == -ENODATA ? -EBADMSG : err;
	/* Reads go by the record; compaction needs the head. */
	memcpy(&entry, data, sizeof(entry));
	if (local_entry_check(&entry, salt, chunk->offset) < 0 ||
	    memcmp(entry.name, pick->name, LOCAL_NAME_SIZE) != 0 ||
	    entry.stored_len != chunk->stored_len || entry.len != chunk->len ||
	    entry.flags != chunk->flags || entry.key != chunk->key ||
	    entry.payload_sum != chunk->payload_sum)
		return -EBADMSG;
	return 0;
}

static int check(struct local *local, const struct pick *pick, uint8_t *data)
{
	struct local_chunk chunk;
	int there = look(local, pick, &chunk);
	if (there <= 0)
		return there;
	bool is_payload = true;
	int err = check_entry(local, pick, &chunk, data, &is_payload);
	if (!local_scrub_pace(local, sizeof(struct local_entry) + chunk.stored_len))
		return -EINTR;
	if (err == 0)
		return 0;
	if (err != -EBADMSG && err != -ENOENT && err != -EIO)
		return err;
	there = look(local, pick, &chunk);
	if (there <= 0) /* moved or removed meanwhile, as it may */
		return there;
	char what[96];
	snprintf(what, sizeof(what), "chunk segment=%08x offset=%llu%s", pick->segment,
		 (unsigned long long)pick->offset, is_payload ? "" : " (its head only)");
	local_scrub_damage(local, what, "", NULL, 0);
	if (!is_payload)
		return 0;
	local_pins_set_damaged(&local->chunk_pins, pick->name, true);
	local->scrub.has_new_damage = true;
	return 0;
}

static void move_on(struct local *local, const struct pick *done)
{
	pthread_mutex_lock(&local->scrub.lock);
	local->scrub.record.segment = done->segment;
	local->scrub.record.offset = done->offset + 1;
	pthread_mutex_unlock(&local->scrub.lock);
}

static int scrub_picked(struct local *local, struct picks *picks, uint8_t *data)
{
	int err = 0;
	for (size_t i = 0; err == 0 && i < picks->count; i++) {
		err = check(local, &picks->all[i], data);
		if (err == 0)
			move_on(local, &picks->all[i]);
	}
	picks->segment = local->scrub.record.segment;
	picks->offset = local->scrub.record.offset;
	if (err == 0 && local->scrub.has_new_damage)
		err = local_scrub_tell_marked(local);
	return err;
}

int local_scrub_data(struct local *local)
{
	struct picks picks = {
		.segment = local->scrub.record.segment,
		.offset = local->scrub.record.offset,
		.all = malloc(2 * PICK_CHUNKS * sizeof(struct pick)),
	};
	uint8_t *data = malloc(sizeof(struct local_entry) + LOCAL_CHUNK_STORED_MAX);
	int err = picks.all == NULL || data == NULL ? -ENOMEM : 0;
	do {
		if (err == 0)
			err = pick_next(local, &picks);
		if (err == 0)
			err = scrub_picked(local, &picks, data);
	} while (err == 0 && picks.is_cut);
	free(data);
	free(picks.all);
	return err;
}
