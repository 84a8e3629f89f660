/*
 * The reclaimer: takes back the references of manifests in the trash, some at a time, inside the
 * committer's transactions.
 *
 * A page of a manifest is removed in the same transaction as the references that it stands for, so
 * a crash between two transactions loses and repeats nothing. A chunk whose last reference would go
 * while somebody has pinned it keeps that reference, and its entry in the page; the page is looked
 * at again later. A manifest that is pinned (it is read, or still written) is left alone.
 *
 * What is damaged is passed over, logged once, and left to repair: it can be neither used nor
 * counted.
 */
#include "store/local_reclaim_priv.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "store/local_priv.h"

EOS_COUNTER(reclaimed, "store.chunks_reclaimed_total", "Chunks that nothing refers to any more.")

/* The first page of the manifest at or behind *OFFSET. -ENOENT: there is none. */
static int next_page(struct local_txn *t, uint64_t id, uint64_t *offset,
		     struct local_page *ret_page)
{
	uint8_t name[LOCAL_PAGE_KEY_SIZE];
	MDB_cursor *cursor;
	local_page_key(id, *offset, name);
	MDB_val key = {.mv_size = sizeof(name), .mv_data = name}, value;
	int err = local_error(mdb_cursor_open(t->txn, t->local->manifests, &cursor));
	if (err < 0)
		return err;
	err = local_error(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE));
	if (err == 0 && (key.mv_size != sizeof(name) || local_be64_get(key.mv_data) != id))
		err = -ENOENT;
	if (err == 0) {
		*offset = local_be64_get((const uint8_t *)key.mv_data + 8);
		err = local_page_parse(&key, &value, ret_page);
	}
	mdb_cursor_close(cursor);
	return err;
}

static bool mark_going(struct local_txn *t, const uint8_t name[LOCAL_NAME_SIZE])
{
	EOS_ASSERT(t->going_count < EOS_ARRAY_SIZE(t->going));
	if (!local_pins_going(&t->local->chunk_pins, name))
		return false;
	memcpy(t->going[t->going_count++], name, LOCAL_NAME_SIZE);
	return true;
}

/* Takes one reference back. *RET_IS_KEPT: it was the last, and the chunk is pinned. */
static int release(struct local_txn *t, const uint8_t name[LOCAL_NAME_SIZE], bool *ret_is_kept)
{
	struct local_chunk chunk;
	*ret_is_kept = false;
	int err = local_chunk_get(t->local, t->txn, name, &chunk);
	if (err == -ENOENT || err == -EBADMSG)
		return 0; /* verify tells of it */
	if (err < 0)
		return err;
	if (chunk.refs > 1) {
		if (chunk.refs < LOCAL_REFS_UNKNOWN)
			chunk.refs--;
		return local_chunk_put(t->local, t->txn, name, &chunk);
	}
	if (!mark_going(t, name)) {
		*ret_is_kept = true;
		return 0;
	}
	MDB_val key = {.mv_size = LOCAL_NAME_SIZE, .mv_data = (void *)(uintptr_t)name};
	err = local_delete(t->txn, t->local->chunks, &key);
	if (err < 0)
		return err;
	t->state.chunks--;
	eos_counter_add(&reclaimed, 1);
	return local_live_add(t, chunk.segment, -(int64_t)local_entry_bytes(chunk.stored_len));
}

static int release_page(struct local_txn *t, uint64_t id, uint64_t offset, struct local_page *page,
			bool *ret_is_kept)
{
	uint32_t kept = 0, count = page->count;
	for (uint32_t i = 0; i < count; i++) {
		bool is_kept;
		int err = release(t, page->entries[i].name, &is_kept);
		if (err < 0)
			return err;
		if (is_kept)
			page->entries[kept++] = page->entries[i];
	}
	*ret_is_kept = kept > 0;
	if (kept == count)
		return 0;
	t->is_changed = true;
	page->count = kept;
	if (kept > 0)
		return local_page_put(t->local, t->txn, id, offset, page);
	uint8_t name[LOCAL_PAGE_KEY_SIZE];
	local_page_key(id, offset, name);
	MDB_val key = {.mv_size = sizeof(name), .mv_data = name};
	return local_delete(t->txn, t->local->manifests, &key);
}

/* Works on the manifest while there is budget. -EBUSY: something of it is pinned; -EBADMSG. */
static int release_manifest(struct local_txn *t, uint64_t id, unsigned *budget)
{
	struct local_page page;
	uint64_t offset = 0;
	bool is_busy = false, is_kept;
	while (*budget >= LOCAL_PAGE_ENTRIES) {
		int err = next_page(t, id, &offset, &page);
		if (err == -ENOENT)
			return is_busy ? -EBUSY : local_trash_remove(t, id);
		if (err < 0)
			return err;
		*budget -= page.count;
		err = release_page(t, id, offset, &page, &is_kept);
		if (err < 0)
			return err;
		is_busy |= is_kept;
		offset++;
	}
	return -EAGAIN;
}

/* The next manifest in the trash behind *ID. *RET_IS_GOOD: it is really the one meant. */
static int next_manifest(struct local_txn *t, uint64_t *id, bool *ret_is_good)
{
	uint8_t name[8];
	MDB_cursor *cursor;
	if (*id == UINT64_MAX)
		return -ENOENT;
	local_be64_put(name, *id + 1);
	MDB_val key = {.mv_size = sizeof(name), .mv_data = name}, value;
	int err = local_error(mdb_cursor_open(t->txn, t->local->trash, &cursor));
	if (err < 0)
		return err;
	err = local_error(mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE));
	if (err == 0) {
		*id = key.mv_size == 8 ? local_be64_get(key.mv_data) : UINT64_MAX;
		*ret_is_good = local_trash_parse(&key, &value, id) == 0;
	}
	mdb_cursor_close(cursor);
	return err;
}

static bool is_stuck(const struct local_committer *committer, uint64_t id)
{
	for (unsigned i = 0; i < committer->stuck_count; i++)
		if (committer->stuck[i] == id)
			return true;
	return false;
}

static void note_stuck(struct local_committer *committer, uint64_t id)
{
	eos_log(EOS_LOG_ERROR, "store", "damaged: manifest in the trash id=%llu; repair the store",
		(unsigned long long)id);
	if (committer->stuck_count < EOS_ARRAY_SIZE(committer->stuck))
		committer->stuck[committer->stuck_count++] = id;
}

int local_reclaim_step(struct local_txn *t, unsigned budget)
{
	struct local_committer *committer = &t->local->committer;
	uint8_t name[LOCAL_PIN_SIZE];
	uint64_t id = 0;
	bool is_good = false;
	t->trash = LOCAL_TRASH_EMPTY;
	EOS_ASSERT(budget <= LOCAL_RECLAIM_MAX);
	for (;;) {
		int err = next_manifest(t, &id, &is_good);
		if (err == -ENOENT)
			return 0;
		if (err < 0)
			return err;
		if (is_stuck(committer, id))
			continue;
		if (!is_good) {
			note_stuck(committer, id);
			continue;
		}
		local_manifest_pin_name(id, name);
		if (t->manifests_going_count == EOS_ARRAY_SIZE(t->manifests_going) ||
		    budget < LOCAL_PAGE_ENTRIES) {
			t->trash = LOCAL_TRASH_READY;
			return 0;
		}
		if (!local_pins_going(&t->local->manifest_pins, name)) {
			t->trash = LOCAL_TRASH_BLOCKED;
			continue;
		}
		t->manifests_going[t->manifests_going_count++] = id;
		err = release_manifest(t, id, &budget);
		if (err == -EBADMSG)
			note_stuck(committer, id);
		else if (err == -EBUSY)
			t->trash = LOCAL_TRASH_BLOCKED;
		else if (err < 0 && err != -EAGAIN)
			return err;
	}
}

void local_reclaim_done(struct local_txn *t)
{
	uint8_t name[LOCAL_PIN_SIZE];
	for (unsigned i = 0; i < t->going_count; i++)
		local_pins_gone(&t->local->chunk_pins, t->going[i]);
	for (unsigned i = 0; i < t->manifests_going_count; i++) {
		local_manifest_pin_name(t->manifests_going[i], name);
		local_pins_gone(&t->local->manifest_pins, name);
	}
	t->going_count = t->manifests_going_count = 0;
}
