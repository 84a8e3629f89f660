/*
 * The tree of nodes described in local_keys_priv.h.
 *
 * Invariants
 * 1. Every node but a root has at least one entry, and exactly one parent entry leads to it.
 * 2. An entry of 8 + LOCAL_SEGMENT + 1 bytes leads to a child; every shorter one is a record.
 * 3. Depth is bounded by LOCAL_LEVELS_MAX; deeper is damage, so a loop in a damaged tree ends.
 *
 * Hashing the tails of long keys would need one entry a key, but loses their order; storing long
 * keys in an overflow list makes keys with a common beginning slow, which a hostile tenant chooses.
 */
#include "store/local_keys_priv.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "store/local_priv.h"
#include "store/local_records_priv.h"

struct entry {
	uint8_t bytes[LOCAL_ENTRY_MAX];
	size_t len;
};

static MDB_val entry_val(struct entry *entry)
{
	return (MDB_val){.mv_size = entry->len, .mv_data = entry->bytes};
}

static void entry_record(struct entry *entry, uint64_t node, const char *segment, size_t len)
{
	EOS_ASSERT(len <= LOCAL_SEGMENT);
	local_be64_put(entry->bytes, node);
	memcpy(entry->bytes + 8, segment, len);
	entry->len = 8 + len;
}

static void entry_child(struct entry *entry, uint64_t node, const char *segment)
{
	entry_record(entry, node, segment, LOCAL_SEGMENT);
	entry->bytes[entry->len++] = 0x01;
}

static int child_parse(const MDB_val *key, const MDB_val *value, uint64_t *ret_node)
{
	struct local_child child;
	if (value->mv_size != sizeof(child))
		return -EBADMSG;
	memcpy(&child, value->mv_data, sizeof(child));
	uint64_t seed = local_sum(key->mv_data, key->mv_size, 0);
	if (child.sum != local_sum(&child.node, sizeof(child.node), seed))
		return -EBADMSG;
	*ret_node = child.node;
	return 0;
}

static int child_get(MDB_txn *txn, MDB_dbi dbi, struct entry *entry, uint64_t *ret_node)
{
	MDB_val key = entry_val(entry), value;
	int rc = mdb_get(txn, dbi, &key, &value);
	return rc != 0 ? local_error(rc) : child_parse(&key, &value, ret_node);
}

/* Follows KEY down to the node of its last segment. NODES gets every node on the way. */
static int walk(MDB_txn *txn, MDB_dbi dbi, uint64_t root, const char *key, size_t key_len,
		uint64_t nodes[LOCAL_LEVELS_MAX], unsigned *ret_depth)
{
	unsigned depth = 0;
	nodes[0] = root;
	while (key_len - depth * LOCAL_SEGMENT > LOCAL_SEGMENT) {
		EOS_ASSERT(depth + 1 < LOCAL_LEVELS_MAX);
		struct entry entry;
		entry_child(&entry, nodes[depth], key + depth * LOCAL_SEGMENT);
		int err = child_get(txn, dbi, &entry, &nodes[depth + 1]);
		if (err < 0)
			return err;
		depth++;
	}
	*ret_depth = depth;
	return 0;
}

int local_keys_get(MDB_txn *txn, MDB_dbi dbi, uint64_t root, const char *key, size_t key_len,
		   MDB_val *ret_value)
{
	uint64_t nodes[LOCAL_LEVELS_MAX];
	unsigned depth;
	int err = walk(txn, dbi, root, key, key_len, nodes, &depth);
	if (err < 0)
		return err;
	struct entry entry;
	size_t offset = depth * LOCAL_SEGMENT;
	entry_record(&entry, nodes[depth], key + offset, key_len - offset);
	MDB_val name = entry_val(&entry);
	return local_error(mdb_get(txn, dbi, &name, ret_value));
}

static int child_make(MDB_txn *txn, MDB_dbi dbi, struct entry *entry, uint64_t node)
{
	MDB_val key = entry_val(entry);
	struct local_child child = {.node = node};
	child.sum =
		local_sum(&child.node, sizeof(child.node), local_sum(entry->bytes, entry->len, 0));
	MDB_val value = {.mv_size = sizeof(child), .mv_data = &child};
	return local_put(txn, dbi, &key, &value, 0);
}

int local_keys_put(MDB_txn *txn, MDB_dbi dbi, uint64_t root, const char *key, size_t key_len,
		   size_t size, uint64_t *node_next, void **ret_space)
{
	struct entry entry;
	uint64_t node = root;
	size_t offset = 0;
	for (; key_len - offset > LOCAL_SEGMENT; offset += LOCAL_SEGMENT) {
		entry_child(&entry, node, key + offset);
		int err = child_get(txn, dbi, &entry, &node);
		if (err == -ENOENT) {
			node = (*node_next)++;
			err = child_make(txn, dbi, &entry, node);
		}
		if (err < 0)
			return err;
	}
	entry_record(&entry, node, key + offset, key_len - offset);
	MDB_val name = entry_val(&entry);
	MDB_val value = {.mv_size = size};
	int err = local_put(txn, dbi, &name, &value, MDB_RESERVE);
	if (err == 0)
		*ret_space = value.mv_data;
	return err;
}

int local_keys_is_empty(MDB_txn *txn, MDB_dbi dbi, uint64_t node)
{
	MDB_cursor *cursor;
	int rc = mdb_cursor_open(txn, dbi, &cursor);
	if (rc != 0)
		return local_error(rc);
	struct entry entry;
	entry_record(&entry, node, "", 0);
	MDB_val key = entry_val(&entry), value;
	rc = mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	int result = rc == MDB_NOTFOUND ? 1 : local_error(rc);
	if (rc == 0)
		result = key.mv_size < 8 || memcmp(key.mv_data, entry.bytes, 8) != 0;
	mdb_cursor_close(cursor);
	return result;
}

int local_keys_delete(MDB_txn *txn, MDB_dbi dbi, uint64_t root, const char *key, size_t key_len)
{
	uint64_t nodes[LOCAL_LEVELS_MAX];
	unsigned depth;
	int err = walk(txn, dbi, root, key, key_len, nodes, &depth);
	if (err < 0)
		return err;
	struct entry entry;
	size_t offset = depth * LOCAL_SEGMENT;
	entry_record(&entry, nodes[depth], key + offset, key_len - offset);
	MDB_val name = entry_val(&entry);
	err = local_delete(txn, dbi, &name);
	while (err == 0 && depth > 0) {
		int is_empty = local_keys_is_empty(txn, dbi, nodes[depth]);
		if (is_empty <= 0)
			return is_empty;
		depth--;
		entry_child(&entry, nodes[depth], key + depth * LOCAL_SEGMENT);
		name = entry_val(&entry);
		err = local_delete(txn, dbi, &name);
		/* Invariant 1: it was walked a moment ago. */
		if (err == -ENOENT)
			err = -EBADMSG;
	}
	return err;
}

void local_key_cursor_init(struct local_key_cursor *cursor, MDB_txn *txn, MDB_dbi dbi,
			   uint64_t root)
{
	cursor->txn = txn;
	cursor->dbi = dbi;
	cursor->depth = 0;
	cursor->nodes[0] = root;
	cursor->key_len = 0;
	for (unsigned i = 0; i < LOCAL_LEVELS_MAX; i++)
		cursor->cursors[i] = NULL;
}

void local_key_cursor_fini(struct local_key_cursor *cursor)
{
	for (unsigned i = 0; i < LOCAL_LEVELS_MAX; i++) {
		if (cursor->cursors[i] != NULL)
			mdb_cursor_close(cursor->cursors[i]);
		cursor->cursors[i] = NULL;
	}
}

/* Moves the cursor of the present depth to the first entry >= ENTRY. Returns LMDB's code. */
static int seek_entry(struct local_key_cursor *cursor, struct entry *entry, MDB_val *ret_key)
{
	MDB_cursor **at = &cursor->cursors[cursor->depth];
	int rc = *at == NULL ? mdb_cursor_open(cursor->txn, cursor->dbi, at) : 0;
	if (rc != 0)
		return rc;
	*ret_key = entry_val(entry);
	return mdb_cursor_get(*at, ret_key, &cursor->value, MDB_SET_RANGE);
}

static bool key_is_of_node(const MDB_val *key, uint64_t node)
{
	return key->mv_size >= 8 && local_be64_get(key->mv_data) == node;
}

/*
 * From the entry where the cursor of the present depth stands (RC and KEY are what LMDB said) to
 * the first record at or behind it: down into children, up where a node ends.
 */
static int settle(struct local_key_cursor *cursor, int rc, MDB_val *key)
{
	for (;;) {
		if (rc == MDB_NOTFOUND ||
		    (rc == 0 && !key_is_of_node(key, cursor->nodes[cursor->depth]))) {
			if (cursor->depth == 0)
				return -ENOENT;
			cursor->depth--;
			rc = mdb_cursor_get(cursor->cursors[cursor->depth], key, &cursor->value,
					    MDB_NEXT);
			continue;
		}
		if (rc != 0)
			return local_error(rc);
		size_t offset = cursor->depth * LOCAL_SEGMENT;
		size_t segment_len = EOS_MIN(key->mv_size - 8, (size_t)LOCAL_SEGMENT);
		memcpy(cursor->key + offset, (const char *)key->mv_data + 8, segment_len);
		if (key->mv_size < LOCAL_ENTRY_MAX) {
			cursor->key_len = offset + segment_len;
			return cursor->key_len - 1 < STORE_KEY_MAX ? 0 : -EBADMSG;
		}
		if (cursor->depth + 1 == LOCAL_LEVELS_MAX)
			return -EBADMSG;
		int err = child_parse(key, &cursor->value, &cursor->nodes[cursor->depth + 1]);
		if (err < 0)
			return err;
		cursor->depth++;
		struct entry first;
		entry_record(&first, cursor->nodes[cursor->depth], "", 0);
		rc = seek_entry(cursor, &first, key);
	}
}

int local_key_cursor_seek(struct local_key_cursor *cursor, const char *key, size_t key_len)
{
	struct entry entry;
	MDB_val found;
	size_t offset = 0;
	cursor->depth = 0;
	for (;;) {
		size_t rest = key_len - offset;
		bool goes_on = rest > LOCAL_SEGMENT;
		if (goes_on)
			entry_child(&entry, cursor->nodes[cursor->depth], key + offset);
		else
			entry_record(&entry, cursor->nodes[cursor->depth], key + offset, rest);
		int rc = seek_entry(cursor, &entry, &found);
		if (!goes_on || rc != 0 || found.mv_size != entry.len ||
		    memcmp(found.mv_data, entry.bytes, entry.len) != 0)
			return settle(cursor, rc, &found);
		if (cursor->depth + 1 == LOCAL_LEVELS_MAX)
			return -EBADMSG;
		int err = child_parse(&found, &cursor->value, &cursor->nodes[cursor->depth + 1]);
		if (err < 0)
			return err;
		memcpy(cursor->key + offset, key + offset, LOCAL_SEGMENT);
		cursor->depth++;
		offset += LOCAL_SEGMENT;
	}
}

int local_key_cursor_next(struct local_key_cursor *cursor)
{
	MDB_val key;
	int rc = mdb_cursor_get(cursor->cursors[cursor->depth], &key, &cursor->value, MDB_NEXT);
	return settle(cursor, rc, &key);
}
