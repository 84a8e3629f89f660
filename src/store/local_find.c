/*
 * Finding objects by their metadata.
 *
 * The first term on metadata that is in the index (local_index_priv.h) gives one or two ranges of
 * entries, of numbers and of texts; a query without one looks at all keys with its prefix. What
 * stands there is only a hint: each object's record must satisfy all terms. An object has one entry
 * for a term's name that counts, that of its first pair of the name; the others are passed over, so
 * nothing is found twice.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "store/local_index_priv.h"
#include "store/local_keys_priv.h"

/* What a visit returns inside, when the limit is reached; no errno is as large. */
#define LIMIT_REACHED INT_MIN

struct finding {
	struct local *local;
	MDB_txn *txn;
	const struct store_find_query *query;
	const char *prefix;
	size_t prefix_len;
	const struct store_find_term *term; /* that the index is asked for, or NULL */
	int (*visit)(void *ctx, const char *bucket, const struct store_list_entry *entry);
	void *ctx;
	unsigned count;
	char bucket[STORE_BUCKET_NAME_MAX + 1];
	uint64_t node;
	struct local_key_cursor cursor;
	struct store_object_info info;
};

static bool term_holds(const struct store_find_term *term, const struct store_object_info *info)
{
	const char *value = store_metadata_get(info, term->name);
	if (value == NULL)
		return false;
	int order = local_text_compare(value, term->value);
	switch (term->op) {
	case STORE_FIND_EQ:
		return order == 0;
	case STORE_FIND_LT:
		return order < 0;
	case STORE_FIND_LE:
		return order <= 0;
	case STORE_FIND_GT:
		return order > 0;
	case STORE_FIND_GE:
		return order >= 0;
	}
	return false;
}

static bool is_wanted(const struct finding *f, const char *key, size_t key_len)
{
	const struct store_find_query *q = f->query;
	if (key_len < f->prefix_len || memcmp(key, f->prefix, f->prefix_len) != 0)
		return false;
	if (f->info.modified_ns < q->since_ns || f->info.modified_ns > q->until_ns)
		return false;
	for (size_t i = 0; i < q->terms_count; i++) {
		if (!term_holds(&q->terms[i], &f->info))
			return false;
	}
	return true;
}

/* INFO is that of KEY. */
static int consider(struct finding *f, const char *key, size_t key_len)
{
	if (!is_wanted(f, key, key_len))
		return 0;
	if (f->count == f->query->limit)
		return LIMIT_REACHED;
	f->count++;
	struct store_list_entry entry = {.key = key, .key_len = key_len, .info = &f->info};
	return f->visit(f->ctx, f->bucket, &entry);
}

static int consider_entry(struct finding *f, const MDB_val *name, const MDB_val *value)
{
	struct local_found found;
	const char *key;
	size_t key_len;
	if (local_index_parse(name, value, &key, &key_len) < 0)
		return local_damaged("index entry", f->bucket, NULL, 0);
	int err = local_latest_find(f->local, f->txn, f->bucket, f->node, key, key_len, &found);
	const uint8_t *end = (const uint8_t *)name->mv_data + name->mv_size;
	if (err == -ENOENT || (err == 0 && found.record.sequence != local_be64_get(end - 8)))
		return local_damaged("index entry without object", f->bucket, key, key_len);
	if (err < 0)
		return err;
	local_found_info(&found, &f->info);
	const char *first = store_metadata_get(&f->info, f->term->name);
	if (first == NULL) /* another name, alike as far as the index goes */
		return 0;
	struct local_index_entry expected;
	local_index_entry_make(&expected, f->node, f->term->name, first, found.record.sequence);
	if (expected.len != name->mv_size ||
	    memcmp(expected.bytes, name->mv_data, expected.len) != 0)
		return 0;
	return consider(f, key, key_len);
}

/* Entries from START on that begin with its first PREFIX_LEN bytes, up to those whose next bytes
 * are greater than STOP (NULL: all). */
static int scan(struct finding *f, struct local_index_entry *start, size_t prefix_len,
		const uint8_t *stop, size_t stop_len)
{
	MDB_cursor *cursor;
	MDB_val name = local_index_entry_val(start), value;
	int err = local_error(mdb_cursor_open(f->txn, f->local->index, &cursor));
	if (err < 0)
		return err;
	int rc = mdb_cursor_get(cursor, &name, &value, MDB_SET_RANGE);
	for (; rc == 0 && err == 0; rc = mdb_cursor_get(cursor, &name, &value, MDB_NEXT)) {
		const uint8_t *bytes = name.mv_data;
		if (name.mv_size < prefix_len || memcmp(bytes, start->bytes, prefix_len) != 0)
			break;
		size_t both = EOS_MIN(name.mv_size - prefix_len, stop_len);
		if (stop != NULL && memcmp(bytes + prefix_len, stop, both) > 0)
			break;
		err = consider_entry(f, &name, &value);
	}
	mdb_cursor_close(cursor);
	if (err == 0 && rc != 0 && rc != MDB_NOTFOUND)
		err = local_error(rc);
	return err;
}

/* The entries of KIND ('n' or 't') that may satisfy the term. */
static int scan_kind(struct finding *f, uint8_t kind)
{
	const struct store_find_term *term = f->term;
	struct local_index_entry entry, start;
	local_index_entry_make(&entry, f->node, term->name, term->value, 0);
	size_t prefix_len = entry.value_at;
	size_t value_len = entry.value_end - entry.value_at;
	bool is_number = entry.bytes[prefix_len - 1] == 'n';
	bool is_text_value = kind == 't' && is_number;
	if (term->op == STORE_FIND_EQ && is_number != (kind == 'n'))
		return 0;    /* equal bytes are both numbers, or neither */
	if (is_text_value) { /* texts are compared with the number's own text */
		value_len = strnlen(term->value, LOCAL_INDEX_TEXT_MAX);
		memcpy(entry.bytes + prefix_len, term->value, value_len);
		entry.bytes[prefix_len + value_len++] = '\0';
	}
	bool has_bounds = kind == 't' || is_number;
	bool has_start = has_bounds && term->op != STORE_FIND_LT && term->op != STORE_FIND_LE;
	bool has_stop = has_bounds && term->op != STORE_FIND_GT && term->op != STORE_FIND_GE;
	entry.bytes[prefix_len - 1] = kind;
	start = entry;
	start.len = prefix_len + (has_start ? value_len : 0);
	return scan(f, &start, prefix_len, has_stop ? entry.bytes + prefix_len : NULL,
		    has_stop ? value_len : 0);
}

static int walk_keys(struct finding *f)
{
	struct local_key_cursor *cursor = &f->cursor;
	struct local_found found;
	local_key_cursor_init(cursor, f->txn, f->local->objects, f->node);
	int err = f->prefix_len > STORE_KEY_MAX
			  ? -ENOENT
			  : local_key_cursor_seek(cursor, f->prefix, f->prefix_len);
	int result = 0;
	while (err == 0 && result == 0 && cursor->key_len >= f->prefix_len &&
	       memcmp(cursor->key, f->prefix, f->prefix_len) == 0) {
		uint64_t seed = local_record_seed(f->node, cursor->key, cursor->key_len);
		if (local_record_parse(&cursor->value, seed, &found.record, &found.metadata,
				       &found.data) < 0) {
			result = local_damaged("object record", f->bucket, cursor->key,
					       cursor->key_len);
			break;
		}
		found.is_latest = true;
		if (found.record.kind != LOCAL_RECORD_MARKER) {
			local_found_info(&found, &f->info);
			result = consider(f, cursor->key, cursor->key_len);
		}
		err = local_key_cursor_next(cursor);
	}
	local_key_cursor_fini(cursor);
	if (result != 0)
		return result;
	if (err == -EBADMSG)
		return local_damaged("key tree", f->bucket, NULL, 0);
	return err == -ENOENT ? 0 : err;
}

static int find_in_bucket(struct finding *f, const char *name, uint64_t node)
{
	memcpy(f->bucket, name, strlen(name) + 1);
	f->node = node;
	if (f->term == NULL || store_bucket_is_own(name))
		return walk_keys(f);
	int err = scan_kind(f, 'n');
	return err != 0 ? err : scan_kind(f, 't');
}

static int find_in_all(struct finding *f)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int err = local_error(mdb_cursor_open(f->txn, f->local->buckets, &cursor));
	if (err < 0)
		return err;
	int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
	for (; rc == 0 && err == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		char name[STORE_BUCKET_NAME_MAX + 1] = "";
		struct local_bucket bucket;
		if (key.mv_size <= STORE_BUCKET_NAME_MAX)
			memcpy(name, key.mv_data, key.mv_size);
		if (store_bucket_is_own(name))
			continue;
		err = local_bucket_parse(&value, name, key.mv_size, &bucket) < 0
			      ? local_damaged("bucket record", name, NULL, 0)
			      : find_in_bucket(f, name, bucket.node);
	}
	mdb_cursor_close(cursor);
	if (err == 0 && rc != 0 && rc != MDB_NOTFOUND)
		err = local_error(rc);
	return err;
}

static int find(struct finding *f)
{
	struct local_bucket bucket;
	int err = local_read_begin(f->local, &f->txn);
	if (err < 0)
		return err;
	if (f->query->bucket == NULL) {
		err = find_in_all(f);
	} else {
		err = local_bucket_find(f->local, f->txn, f->query->bucket, &bucket);
		if (err == 0)
			err = find_in_bucket(f, f->query->bucket, bucket.node);
	}
	mdb_txn_abort(f->txn);
	return err;
}

int local_find(struct store *store, const struct store_find_query *query,
	       int (*visit)(void *ctx, const char *bucket, const struct store_list_entry *entry),
	       void *ctx, bool *ret_more)
{
	struct finding *f = malloc(sizeof(*f));
	if (f == NULL)
		return -ENOMEM;
	f->local = local_of(store);
	f->query = query;
	f->prefix = query->prefix == NULL ? "" : query->prefix;
	f->prefix_len = strlen(f->prefix);
	f->visit = visit;
	f->ctx = ctx;
	f->count = 0;
	f->term = NULL;
	for (size_t i = 0; i < query->terms_count && f->term == NULL; i++) {
		if (local_index_has(query->terms[i].name))
			f->term = &query->terms[i];
	}
	int err = find(f);
	free(f);
	if (err != 0 && err != LIMIT_REACHED)
		return err;
	*ret_more = err == LIMIT_REACHED;
	return 0;
}
