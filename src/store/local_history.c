/*
 * Versions of keys: finding them, and the table of those that are not the latest.
 *
 *     objects:   key                                   -> the latest version, perhaps a marker
 *     versions:  history (8, big-endian) | ~sequence   -> a noncurrent version
 *
 * Invariants
 * 1. A history belongs to one key: it is a number that is never given twice, stands in the record
 *    of the key's latest version, and goes with the last version.
 * 2. Within a history the newest version comes first; all are older than the latest.
 * 3. A version's number is its sequence, but for the null version. A key has at most one null
 *    version; where it is noncurrent, the latest one's null_sequence says where. So every version
 *    is found by one look, however many there are.
 * 4. A record here is seeded by its key, as in `objects`; its history and sequence must be those
 *    of the entry.
 */
#include <errno.h>
#include <string.h>

#include "store/local_changes_priv.h"
#include "store/local_keys_priv.h"

#define ENTRY_SIZE 16u

static MDB_val entry_key(uint8_t bytes[ENTRY_SIZE], uint64_t history, uint64_t sequence)
{
	local_be64_put(bytes, history);
	local_be64_put(bytes + 8, ~sequence);
	return (MDB_val){.mv_size = ENTRY_SIZE, .mv_data = bytes};
}

static int entry_parse(const MDB_val *key, const MDB_val *value, uint64_t history, uint64_t seed,
		       struct local_found *ret_found)
{
	const uint8_t *bytes = key->mv_data;
	int err = local_record_parse(value, seed, &ret_found->record, &ret_found->metadata,
				     &ret_found->data);
	if (err < 0)
		return err;
	ret_found->is_latest = false;
	return ret_found->record.history == history &&
			       ret_found->record.sequence == ~local_be64_get(bytes + 8)
		       ? 0
		       : -EBADMSG;
}

void local_history_cursor_init(struct local_history_cursor *cursor, MDB_txn *txn, MDB_dbi dbi)
{
	cursor->txn = txn;
	cursor->dbi = dbi;
	cursor->cursor = NULL;
}

void local_history_cursor_fini(struct local_history_cursor *cursor)
{
	if (cursor->cursor != NULL)
		mdb_cursor_close(cursor->cursor);
	cursor->cursor = NULL;
}

static int settle(int rc, const MDB_val *key, const MDB_val *value, uint64_t history, uint64_t seed,
		  struct local_found *ret_found)
{
	if (rc != 0)
		return local_error(rc);
	if (key->mv_size != ENTRY_SIZE)
		return -EBADMSG;
	return local_be64_get(key->mv_data) != history
		       ? -ENOENT
		       : entry_parse(key, value, history, seed, ret_found);
}

int local_history_seek(struct local_history_cursor *cursor, uint64_t history, uint64_t before,
		       uint64_t seed, struct local_found *ret_found)
{
	uint8_t bytes[ENTRY_SIZE];
	MDB_val key, value;
	int rc = 0;
	if (history == 0 || before == 0)
		return -ENOENT;
	if (cursor->cursor == NULL)
		rc = mdb_cursor_open(cursor->txn, cursor->dbi, &cursor->cursor);
	if (rc != 0)
		return local_error(rc);
	key = entry_key(bytes, history, before - 1);
	rc = mdb_cursor_get(cursor->cursor, &key, &value, MDB_SET_RANGE);
	return settle(rc, &key, &value, history, seed, ret_found);
}

int local_history_next(struct local_history_cursor *cursor, uint64_t history, uint64_t seed,
		       struct local_found *ret_found)
{
	MDB_val key, value;
	int rc = mdb_cursor_get(cursor->cursor, &key, &value, MDB_NEXT);
	return settle(rc, &key, &value, history, seed, ret_found);
}

int local_history_newest(MDB_txn *txn, MDB_dbi dbi, uint64_t history, uint64_t seed,
			 struct local_found *ret_found)
{
	struct local_history_cursor cursor;
	local_history_cursor_init(&cursor, txn, dbi);
	int err = local_history_seek(&cursor, history, UINT64_MAX, seed, ret_found);
	local_history_cursor_fini(&cursor);
	return err;
}

int local_history_put(struct local_txn *t, uint64_t seed, struct local_record *record,
		      const char *metadata, const void *data)
{
	uint8_t bytes[ENTRY_SIZE];
	MDB_val key = entry_key(bytes, record->history, record->sequence);
	MDB_val value = {.mv_size = local_record_size(record)};
	local_record_seal(record, metadata, seed);
	int err = local_put(t->txn, t->local->versions, &key, &value, MDB_RESERVE);
	if (err == 0)
		local_record_write(record, metadata, data, value.mv_data);
	return err;
}

int local_history_delete(struct local_txn *t, uint64_t history, uint64_t sequence)
{
	uint8_t bytes[ENTRY_SIZE];
	MDB_val key = entry_key(bytes, history, sequence);
	int err = local_delete(t->txn, t->local->versions, &key);
	/* It was found a moment ago. */
	return err == -ENOENT ? -EBADMSG : err;
}

int local_latest_find(struct local *local, MDB_txn *txn, const char *bucket, uint64_t node,
		      const char *key, size_t key_len, struct local_found *ret_found)
{
	MDB_val value;
	int err = local_keys_get(txn, local->objects, node, key, key_len, &value);
	if (err == 0)
		err = local_record_parse(&value, local_record_seed(node, key, key_len),
					 &ret_found->record, &ret_found->metadata,
					 &ret_found->data);
	ret_found->is_latest = true;
	return err == -EBADMSG ? local_damaged("object record", bucket, key, key_len) : err;
}

int local_version_find(struct local *local, MDB_txn *txn, const char *bucket, uint64_t node,
		       const char *key, size_t key_len, uint64_t version,
		       struct local_found *ret_found)
{
	struct local_found latest, found;
	int err = local_latest_find(local, txn, bucket, node, key, key_len, &latest);
	if (err < 0)
		return err;
	if (version == STORE_VERSION_LATEST || version == latest.record.version) {
		*ret_found = latest;
		return 0;
	}
	uint64_t history = latest.record.history;
	uint64_t sequence = version == STORE_VERSION_NULL ? latest.record.null_sequence : version;
	if (history == 0 || sequence == 0)
		return -ENOENT;
	uint8_t bytes[ENTRY_SIZE];
	MDB_val entry = entry_key(bytes, history, sequence), value;
	err = local_error(mdb_get(txn, local->versions, &entry, &value));
	if (err == 0)
		err = entry_parse(&entry, &value, history, local_record_seed(node, key, key_len),
				  &found);
	if (err == -EBADMSG || (err == -ENOENT && version == STORE_VERSION_NULL))
		return local_damaged("version record", bucket, key, key_len);
	if (err < 0)
		return err;
	/* The null version is not to be had by its sequence. */
	if (found.record.version != version)
		return -ENOENT;
	*ret_found = found;
	return 0;
}

int local_object_find(struct local *local, MDB_txn *txn, const char *bucket, uint64_t node,
		      const char *key, size_t key_len, uint64_t version,
		      struct local_found *ret_found)
{
	int err = local_version_find(local, txn, bucket, node, key, key_len, version, ret_found);
	if (err == 0 && ret_found->record.kind == LOCAL_RECORD_MARKER)
		err = -ENOENT;
	return err;
}
