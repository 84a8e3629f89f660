/*
 * Listing a bucket: one walk over the keys in one read transaction.
 *
 * A common prefix is passed over by seeking to its successor, the first byte string behind all that
 * begin with it, so it costs one seek however many keys are below. Records are decoded only when
 * their entry is returned. A listing of versions walks the same way, and at each key through its
 * history; keys whose latest version is a delete marker are passed over where only objects count.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "store/local_keys_priv.h"
#include "store/local_priv.h"

/* What a visit returns inside, when the limit is reached; no errno is as large. */
#define LIMIT_REACHED INT_MIN

struct listing {
	struct local *local;
	const char *bucket;
	uint64_t node;
	const struct store_list_query *query;
	int (*visit)(void *ctx, const struct store_list_entry *entry);
	void *ctx;
	struct local_key_cursor cursor;
	bool has_versions;	/* all versions are wanted, and markers */
	uint64_t after_version; /* of the query's AFTER */
	struct local_history_cursor history;
	unsigned count;
	struct store_object_info info;
	char target[STORE_KEY_MAX + 2]; /* of a seek */
};

static bool begins_with(const char *text, size_t len, const char *prefix, size_t prefix_len)
{
	return len >= prefix_len && (prefix_len == 0 || memcmp(text, prefix, prefix_len) == 0);
}

/* Length of the common prefix that KEY (which begins with the query's prefix) belongs to; 0. */
static size_t common_prefix(const struct store_list_query *query, const char *key, size_t key_len)
{
	if (query->delimiter_len == 0)
		return 0;
	const char *at = memmem(key + query->prefix_len, key_len - query->prefix_len,
				query->delimiter, query->delimiter_len);
	return at == NULL ? 0 : (size_t)(at - key) + query->delimiter_len;
}

/* To the first key behind all that begin with PREFIX (len >= 1). */
static int seek_behind(struct listing *l, const char *prefix, size_t len)
{
	memcpy(l->target, prefix, len);
	while (len > 0 && (uint8_t)l->target[len - 1] == 0xff)
		len--;
	if (len == 0)
		return -ENOENT;
	l->target[len - 1] = (char)((uint8_t)l->target[len - 1] + 1);
	return local_key_cursor_seek(&l->cursor, l->target, len);
}

/* Whether the listing goes on among the versions of AFTER itself. */
static bool resumes_in_key(const struct listing *l)
{
	const struct store_list_query *q = l->query;
	return l->has_versions && l->after_version != STORE_VERSION_LATEST && q->after_len > 0 &&
	       q->after_len <= STORE_KEY_MAX &&
	       begins_with(q->after, q->after_len, q->prefix, q->prefix_len) &&
	       common_prefix(q, q->after, q->after_len) == 0;
}

/* To the first key that may be returned. */
static int seek_first(struct listing *l)
{
	const struct store_list_query *q = l->query;
	/* No key is longer, so for one that is greater than AFTER only this much counts. */
	size_t after_len = EOS_MIN(q->after_len, (size_t)STORE_KEY_MAX);
	if (q->prefix_len > STORE_KEY_MAX)
		return -ENOENT;
	size_t both = EOS_MIN(after_len, q->prefix_len);
	int order = both == 0 ? 0 : memcmp(q->after, q->prefix, both);
	if (after_len == 0 || order < 0 || (order == 0 && after_len < q->prefix_len))
		return local_key_cursor_seek(&l->cursor, q->prefix_len == 0 ? "" : q->prefix,
					     q->prefix_len);
	if (order == 0) {
		size_t common = common_prefix(q, q->after, after_len);
		if (common > 0)
			return seek_behind(l, q->after, common);
	}
	if (resumes_in_key(l))
		return local_key_cursor_seek(&l->cursor, q->after, after_len);
	/* The smallest key that is greater. */
	memcpy(l->target, q->after, after_len);
	l->target[after_len] = '\0';
	return local_key_cursor_seek(&l->cursor, l->target, after_len + 1);
}

static int visit_entry(struct listing *l, const struct store_list_entry *entry)
{
	if (l->count == l->query->limit)
		return LIMIT_REACHED;
	l->count++;
	return l->visit(l->ctx, entry);
}

static int visit_version(struct listing *l, const struct local_found *found)
{
	local_found_info(found, &l->info);
	struct store_list_entry entry = {
		.key = l->cursor.key,
		.key_len = l->cursor.key_len,
		.info = &l->info,
	};
	return visit_entry(l, &entry);
}

static int parse_latest(struct listing *l, struct local_found *ret_found)
{
	struct local_key_cursor *cursor = &l->cursor;
	uint64_t seed = local_record_seed(l->node, cursor->key, cursor->key_len);
	int err = local_record_parse(&cursor->value, seed, &ret_found->record, &ret_found->metadata,
				     &ret_found->data);
	ret_found->is_latest = true;
	return err < 0 ? local_damaged("object record", l->bucket, cursor->key, cursor->key_len)
		       : 0;
}

/* What is behind AFTER_VERSION in the key that the listing goes on in: the sequence that noncurrent
 * versions must be below. UINT64_MAX: all, and the latest too. */
static uint64_t resume_before(const struct listing *l, const struct local_record *latest)
{
	const struct local_key_cursor *cursor = &l->cursor;
	const struct store_list_query *q = l->query;
	if (!resumes_in_key(l) || cursor->key_len != q->after_len ||
	    memcmp(cursor->key, q->after, q->after_len) != 0)
		return UINT64_MAX;
	if (l->after_version == latest->version)
		return latest->sequence;
	if (l->after_version != STORE_VERSION_NULL)
		return l->after_version;
	/* The null version may have gone since; then all that is left comes again. */
	return latest->null_sequence != 0 ? latest->null_sequence : UINT64_MAX;
}

static int visit_versions(struct listing *l)
{
	struct local_key_cursor *cursor = &l->cursor;
	struct local_found found;
	int err = parse_latest(l, &found);
	if (err < 0)
		return err;
	uint64_t seed = local_record_seed(l->node, cursor->key, cursor->key_len);
	uint64_t history = found.record.history;
	uint64_t before = resume_before(l, &found.record);
	if (found.record.sequence < before)
		err = visit_version(l, &found);
	if (err != 0)
		return err;
	err = local_history_seek(&l->history, history, before, seed, &found);
	while (err == 0) {
		err = visit_version(l, &found);
		if (err != 0)
			return err;
		err = local_history_next(&l->history, history, seed, &found);
	}
	if (err == -EBADMSG)
		return local_damaged("version record", l->bucket, cursor->key, cursor->key_len);
	return err == -ENOENT ? 0 : err;
}

/* 1: the latest version at the cursor is a delete marker, and the key as good as absent. */
static int is_hidden(struct listing *l)
{
	struct local_found found;
	if (l->has_versions || !local_record_looks_like_marker(&l->cursor.value))
		return 0;
	int err = parse_latest(l, &found);
	return err < 0 ? err : found.record.kind == LOCAL_RECORD_MARKER;
}

static int visit_latest(struct listing *l)
{
	struct local_found found;
	int err = parse_latest(l, &found);
	return err < 0 ? err : visit_version(l, &found);
}

/* Visits what is at the cursor, and moves it on. *RET_RESULT: what the visit said, which ends the
 * walk when it is not 0; else returns what the move said. */
static int step(struct listing *l, int *ret_result)
{
	struct local_key_cursor *cursor = &l->cursor;
	int hidden = is_hidden(l);
	size_t common = common_prefix(l->query, cursor->key, cursor->key_len);
	*ret_result = 0;
	if (hidden < 0)
		*ret_result = hidden;
	else if (hidden == 0 && common > 0)
		*ret_result = visit_entry(l, &(struct store_list_entry){.key = cursor->key,
									.key_len = common,
									.is_prefix = true});
	else if (hidden == 0)
		*ret_result = l->has_versions ? visit_versions(l) : visit_latest(l);
	if (*ret_result != 0)
		return 0;
	return hidden == 0 && common > 0 ? seek_behind(l, cursor->key, common)
					 : local_key_cursor_next(cursor);
}

static int walk(struct listing *l, bool *ret_more)
{
	const struct store_list_query *q = l->query;
	struct local_key_cursor *cursor = &l->cursor;
	int result = 0;
	int err = seek_first(l);
	while (err == 0 && begins_with(cursor->key, cursor->key_len, q->prefix, q->prefix_len)) {
		err = step(l, &result);
		if (result != 0) {
			*ret_more = result == LIMIT_REACHED;
			return *ret_more ? 0 : result;
		}
	}
	if (err == -EBADMSG)
		return local_damaged("key tree", l->bucket, NULL, 0);
	if (err < 0 && err != -ENOENT)
		return err;
	*ret_more = false;
	return 0;
}

static int list(struct listing *l, bool *ret_more)
{
	struct local *local = l->local;
	struct local_bucket root;
	MDB_txn *txn;
	int err = local_read_begin(local, &txn);
	if (err < 0)
		return err;
	err = local_bucket_find(local, txn, l->bucket, &root);
	if (err == 0) {
		bool more = false;
		l->node = root.node;
		l->count = 0;
		local_key_cursor_init(&l->cursor, txn, local->objects, root.node);
		local_history_cursor_init(&l->history, txn, local->versions);
		err = walk(l, &more);
		if (err == 0)
			*ret_more = more;
		local_history_cursor_fini(&l->history);
		local_key_cursor_fini(&l->cursor);
	}
	mdb_txn_abort(txn);
	return err;
}

/* It holds a key and an object's information, too much for the stack. NULL: no memory. */
static struct listing *listing_new(struct store *store, const char *bucket,
				   const struct store_list_query *query,
				   int (*visit)(void *ctx, const struct store_list_entry *entry),
				   void *ctx)
{
	struct listing *l = malloc(sizeof(*l));
	if (l == NULL)
		return NULL;
	l->local = local_of(store);
	l->bucket = bucket;
	l->query = query;
	l->visit = visit;
	l->ctx = ctx;
	l->has_versions = false;
	return l;
}

int local_object_list(struct store *store, const char *bucket, const struct store_list_query *query,
		      int (*visit)(void *ctx, const struct store_list_entry *entry), void *ctx,
		      bool *ret_more)
{
	struct listing *l = listing_new(store, bucket, query, visit, ctx);
	int err = l == NULL ? -ENOMEM : list(l, ret_more);
	free(l);
	return err;
}

int local_version_list(struct store *store, const char *bucket,
		       const struct store_list_query *query, uint64_t after_version,
		       int (*visit)(void *ctx, const struct store_list_entry *entry), void *ctx,
		       bool *ret_more)
{
	struct listing *l = listing_new(store, bucket, query, visit, ctx);
	if (l == NULL)
		return -ENOMEM;
	l->has_versions = true;
	l->after_version = after_version;
	int err = list(l, ret_more);
	free(l);
	return err;
}
