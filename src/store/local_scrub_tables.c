/*
 * The scrub's second phase: the records of all tables, and what stands in them.
 *
 * Objects and their versions are walked by bucket and key, which their checksums are seeded by; the
 * other tables entry by entry (local_tables.c). Each slice is a read transaction of its own and
 * begins behind the last key of the one before.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "store/local_audit_priv.h"
#include "store/local_keys_priv.h"
#include "store/local_pages_priv.h"
#include "store/local_priv.h"
#include "store/local_scrub_priv.h"
#include "store/local_tables_priv.h"

#define SLICE_KEYS    64u
#define SLICE_ENTRIES 256u
#define SLICE_BYTES   (256u << 10)
/* So many damaged entries one behind the other are taken for a tree that does not end. */
#define DAMAGED_IN_A_ROW_MAX 1024u
#define PAGES_BETWEEN_NAPS   256u

struct walk {
	struct local_audit audit; /* for its checks; of the slice */
	struct local *local;
	bool only_marked; /* tells of objects with marked chunks, nothing else */
	uint64_t bytes;	  /* looked at in the slice */
	char bucket[STORE_BUCKET_NAME_MAX + 1];
	uint64_t node;
	struct local_key_cursor cursor;
	char after[STORE_KEY_MAX + 1]; /* the last key and a NUL, or nothing */
	size_t after_len;
};

static void tell(struct walk *w, const char *text)
{
	local_scrub_damage(w->local, text, w->bucket, w->cursor.key, w->cursor.key_len);
}

static int check_version(struct walk *w, const struct local_found *found)
{
	const char *text = "";
	w->bytes += local_record_size(&found->record);
	if (w->only_marked && found->record.kind != LOCAL_RECORD_CHUNKED)
		return 0;
	int err = local_audit_content(&w->audit, &found->record, found->data, &text);
	if (err != -EBADMSG)
		return err;
	tell(w, text);
	local_damages_note(w->local, w->bucket, w->cursor.key, w->cursor.key_len,
			   found->record.version, found->record.sequence);
	return 0;
}

static int check_history(struct walk *w, uint64_t history, uint64_t seed)
{
	struct local_history_cursor cursor;
	struct local_found found;
	unsigned damaged = 0;
	if (history == 0)
		return 0;
	local_history_cursor_init(&cursor, w->audit.txn, w->local->versions);
	int err = local_history_seek(&cursor, history, UINT64_MAX, seed, &found);
	while ((err == 0 || err == -EBADMSG) && damaged < DAMAGED_IN_A_ROW_MAX) {
		if (err == 0)
			err = check_version(w, &found);
		else if (!w->only_marked)
			tell(w, "record of a noncurrent version");
		damaged = err == 0 ? 0 : damaged + 1;
		if (err == 0 || err == -EBADMSG)
			err = local_history_next(&cursor, history, seed, &found);
	}
	local_history_cursor_fini(&cursor);
	return err == -ENOENT || err == -EBADMSG ? 0 : err;
}

static int check_key(struct walk *w)
{
	struct local_found found = {.is_latest = true};
	uint64_t seed = local_record_seed(w->node, w->cursor.key, w->cursor.key_len);
	if (local_record_parse(&w->cursor.value, seed, &found.record, &found.metadata,
			       &found.data) < 0) {
		if (w->only_marked)
			return 0;
		tell(w, "object record");
		local_damages_note(w->local, w->bucket, w->cursor.key, w->cursor.key_len,
				   STORE_VERSION_LATEST, 0);
		return 0;
	}
	int err = check_version(w, &found);
	return err < 0 ? err : check_history(w, found.record.history, seed);
}

/* The keys behind AFTER, within the slice's transaction. 0: there are no more; 1; or an error. */
static int walk_slice(struct walk *w)
{
	unsigned damaged = 0, keys = 0;
	local_key_cursor_init(&w->cursor, w->audit.txn, w->local->objects, w->node);
	int err = local_key_cursor_seek(&w->cursor, w->after, w->after_len);
	for (; keys < SLICE_KEYS && w->bytes < SLICE_BYTES; keys++) {
		if (err == -EBADMSG) {
			w->cursor.key_len = 0;
			if (!w->only_marked)
				tell(w, "node of keys");
			if (++damaged == DAMAGED_IN_A_ROW_MAX)
				break;
			keys--; /* there is no key to go on behind */
		} else if (err == 0) {
			damaged = 0;
			err = check_key(w);
			memcpy(w->after, w->cursor.key, w->cursor.key_len);
			w->after[w->cursor.key_len] = '\0'; /* the smallest that is greater */
			w->after_len = EOS_MIN(w->cursor.key_len + 1, (size_t)STORE_KEY_MAX + 1);
		}
		if (err < 0 && err != -EBADMSG)
			break;
		err = local_key_cursor_next(&w->cursor);
	}
	local_key_cursor_fini(&w->cursor);
	return err == -ENOENT || damaged == DAMAGED_IN_A_ROW_MAX ? 0
	       : err < 0 && err != -EBADMSG			 ? err
								 : 1;
}

/* The name of the first bucket behind that of W, and its node. -ENOENT. */
static int next_bucket(struct walk *w)
{
	struct local_bucket bucket;
	MDB_cursor *cursor;
	MDB_val value;
	int err = local_error(mdb_cursor_open(w->audit.txn, w->local->buckets, &cursor));
	if (err < 0)
		return err;
	MDB_val key = {.mv_size = strlen(w->bucket) + 1, .mv_data = w->bucket};
	int rc = w->bucket[0] == '\0' ? mdb_cursor_get(cursor, &key, &value, MDB_FIRST)
				      : mdb_cursor_get(cursor, &key, &value, MDB_SET_RANGE);
	for (; rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		/* Damaged ones are told of with the tables. */
		if (key.mv_size == 0 || key.mv_size > STORE_BUCKET_NAME_MAX ||
		    memchr(key.mv_data, '\0', key.mv_size) != NULL)
			continue;
		memcpy(w->bucket, key.mv_data, key.mv_size);
		w->bucket[key.mv_size] = '\0';
		if (local_bucket_parse(&value, w->bucket, key.mv_size, &bucket) < 0)
			continue;
		w->node = bucket.node;
		break;
	}
	mdb_cursor_close(cursor);
	return local_error(rc);
}

/* The next slice of the bucket (or of the next one, when IS_NEXT). As walk_slice(); -ENOENT: there
 * is no other bucket. */
static int slice(struct walk *w, bool is_next)
{
	int err = local_read_begin(w->local, &w->audit.txn);
	if (err < 0)
		return err;
	w->bytes = 0;
	if (is_next) {
		w->after_len = 0;
		err = next_bucket(w);
	}
	if (err == 0)
		err = walk_slice(w);
	mdb_txn_abort(w->audit.txn);
	if (err >= 0 && !local_scrub_pace(w->local, w->bytes))
		err = -EINTR;
	return err;
}

static int walk_objects(struct local *local, bool only_marked)
{
	struct walk *w = calloc(1, sizeof(*w));
	if (w == NULL)
		return -ENOMEM;
	w->local = w->audit.local = local;
	w->only_marked = only_marked;
	int result = 0;
	do {
		result = slice(w, result == 0);
	} while (result >= 0);
	free(w);
	return result == -ENOENT ? 0 : result;
}

int local_scrub_tell_marked(struct local *local)
{
	local->scrub.has_new_damage = false;
	return walk_objects(local, true);
}

/* Entries of a table behind KEY (KEY_LEN 0: from the first on), which moves on. As walk_slice(). */
static int table_slice(struct local *local, const struct local_table *table, uint8_t *name,
		       size_t *name_len)
{
	MDB_txn *txn;
	MDB_cursor *cursor;
	uint64_t bytes = 0;
	int err = local_read_begin(local, &txn);
	if (err < 0)
		return err;
	err = local_error(mdb_cursor_open(txn, local_table_dbi(local, table), &cursor));
	if (err < 0) {
		mdb_txn_abort(txn);
		return err;
	}
	MDB_val key = {.mv_size = *name_len, .mv_data = name}, value;
	int rc = mdb_cursor_get(cursor, &key, &value, *name_len == 0 ? MDB_FIRST : MDB_SET_RANGE);
	if (rc == 0 && *name_len > 0 && key.mv_size == *name_len &&
	    memcmp(key.mv_data, name, *name_len) == 0)
		rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	for (unsigned i = 0; rc == 0 && i < SLICE_ENTRIES && bytes < SLICE_BYTES; i++) {
		bytes += key.mv_size + value.mv_size;
		if (table->check(&key, &value) < 0)
			local_scrub_damage(local, table->what, "", NULL, 0);
		*name_len = EOS_MIN(key.mv_size, (size_t)LOCAL_TABLE_KEY_MAX);
		memcpy(name, key.mv_data, *name_len);
		rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT);
	}
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	if (!local_scrub_pace(local, bytes))
		return -EINTR;
	return rc == 0 ? 1 : rc == MDB_NOTFOUND ? 0 : local_error(rc);
}

struct page_walk {
	struct local *local;
	uint64_t activity; /* of the committer, at the last nap */
	unsigned pages;
};

/* Naps often, and longer while others write, so that a processor is left for them. */
static void nap(struct page_walk *walk)
{
	static const struct timespec idle = {.tv_nsec = EOS_NS_PER_MS},
				     busy = {.tv_nsec = 4 * EOS_NS_PER_MS};
	uint64_t activity = atomic_load(&walk->local->activity);
	(void)nanosleep(activity != walk->activity ? &busy : &idle, NULL);
	walk->activity = activity;
}

static bool goes_on(void *ctx)
{
	struct page_walk *walk = ctx;
	struct local_scrub *scrub = &walk->local->scrub;
	if (++walk->pages % PAGES_BETWEEN_NAPS == 0)
		nap(walk);
	pthread_mutex_lock(&scrub->lock);
	bool result = scrub->rate > 0 && !scrub->is_stopping;
	pthread_mutex_unlock(&scrub->lock);
	return result;
}

/* Some hundred megabytes a second, fewer while others write, whatever the rate, for the snapshot
 * should not be held for long; the time that it costs is taken behind. */
static int scrub_pages(struct local *local)
{
	struct page_walk walk = {.local = local};
	struct eos_why why = {""};
	uint64_t bytes = 0;
	int err = local_pages_check_now(local, goes_on, &walk, &bytes, &why);
	if (err == -EBADMSG)
		local_scrub_damage(local, why.text, "", NULL, 0);
	else if (err < 0)
		return err;
	return local_scrub_pace(local, bytes) ? 0 : -EINTR;
}

int local_scrub_tables(struct local *local)
{
	int err = scrub_pages(local);
	for (const struct local_table *table = local_tables; err == 0 && table->what != NULL;
	     table++) {
		uint8_t name[LOCAL_TABLE_KEY_MAX];
		size_t name_len = 0;
		do {
			err = table_slice(local, table, name, &name_len);
		} while (err == 1);
	}
	return err < 0 ? err : walk_objects(local, false);
}
