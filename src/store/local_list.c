/*
 * Listing a bucket: one walk over the keys in one read transaction.
 *
 * A common prefix is passed over by seeking to its successor, the first byte string behind all that
 * begin with it, so it costs one seek however many keys are below. Records are decoded only when
 * their entry is returned.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "store/local_keys_priv.h"
#include "store/local_priv.h"

struct listing {
	struct local *local;
	const char *bucket;
	uint64_t node;
	const struct store_list_query *query;
	int (*visit)(void *ctx, const struct store_list_entry *entry);
	void *ctx;
	struct local_key_cursor cursor;
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
	/* The smallest key that is greater. */
	memcpy(l->target, q->after, after_len);
	l->target[after_len] = '\0';
	return local_key_cursor_seek(&l->cursor, l->target, after_len + 1);
}

static int visit_object(struct listing *l)
{
	struct local_key_cursor *cursor = &l->cursor;
	struct local_found found;
	uint64_t seed = local_record_seed(l->node, cursor->key, cursor->key_len);
	int err = local_record_parse(&cursor->value, seed, &found.record, &found.metadata,
				     &found.data);
	if (err < 0)
		return local_damaged("object record", l->bucket, cursor->key, cursor->key_len);
	local_record_info(&found.record, found.metadata, &l->info);
	struct store_list_entry entry = {
		.key = cursor->key,
		.key_len = cursor->key_len,
		.info = &l->info,
	};
	return l->visit(l->ctx, &entry);
}

static int walk(struct listing *l, bool *ret_more)
{
	const struct store_list_query *q = l->query;
	struct local_key_cursor *cursor = &l->cursor;
	unsigned count = 0;
	int err = seek_first(l);
	while (err == 0 && begins_with(cursor->key, cursor->key_len, q->prefix, q->prefix_len)) {
		if (count == q->limit) {
			*ret_more = true;
			return 0;
		}
		count++;
		size_t common = common_prefix(q, cursor->key, cursor->key_len);
		if (common == 0) {
			err = visit_object(l);
			if (err == 0)
				err = local_key_cursor_next(cursor);
			else
				return err;
			continue;
		}
		struct store_list_entry entry = {
			.key = cursor->key,
			.key_len = common,
			.is_prefix = true,
		};
		err = l->visit(l->ctx, &entry);
		if (err != 0)
			return err;
		err = seek_behind(l, cursor->key, common);
	}
	if (err == -EBADMSG)
		return local_damaged("key tree", l->bucket, NULL, 0);
	if (err < 0 && err != -ENOENT)
		return err;
	*ret_more = false;
	return 0;
}

int local_object_list(struct store *store, const char *bucket, const struct store_list_query *query,
		      int (*visit)(void *ctx, const struct store_list_entry *entry), void *ctx,
		      bool *ret_more)
{
	struct local *local = local_of(store);
	struct local_bucket root;
	MDB_txn *txn;
	struct listing *l = malloc(sizeof(*l));
	if (l == NULL)
		return -ENOMEM;
	int err = local_read_begin(local, &txn);
	if (err < 0)
		goto out;
	err = local_bucket_find(local, txn, bucket, &root);
	if (err == 0) {
		l->local = local;
		l->bucket = bucket;
		l->node = root.node;
		l->query = query;
		l->visit = visit;
		l->ctx = ctx;
		local_key_cursor_init(&l->cursor, txn, local->objects, root.node);
		bool more = false;
		err = walk(l, &more);
		if (err == 0)
			*ret_more = more;
		local_key_cursor_fini(&l->cursor);
	}
	mdb_txn_abort(txn);
out:
	free(l);
	return err;
}
