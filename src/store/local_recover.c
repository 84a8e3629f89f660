/*
 * What open does before anything else writes: loads the state or makes it, compares the segments in
 * the table with the files, and removes the files that no transaction refers to. The cost depends
 * on how many segments there are, not on how much is in them (but where the table is damaged: then
 * all chunks are counted); the trash of the last run is reclaimed in the background.
 *
 * Everything here may be cut off at any line and begun again: files are unlinked only when nothing
 * refers to them, and no id of a file that is seen is given again.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "store/local_priv.h"

EOS_COUNTER(recovered, "store.files_recovered_total",
	    "Files of unfinished changes removed at open.")

struct segment_file {
	uint32_t id;
	bool is_known; /* the table has it too, or something refers to it */
	uint64_t size, live;
};

struct recovery {
	struct local *local;
	MDB_txn *txn;
	struct local_state state;
	uint32_t id_max;
	struct segment_file *files; /* sorted by id */
	size_t files_count, files_cap;
	bool is_damaged;      /* the table of segments is */
	bool has_lost_chunks; /* records that do not say where they are */
};

static int remove_staged(void *ctx, int fd, const char *name)
{
	eos_counter_add(&recovered, 1);
	return unlinkat(fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* A file of segments/. */
static int see_segment(void *ctx, int fd, const char *name)
{
	struct recovery *r = ctx;
	struct stat status;
	uint32_t id;
	if (local_segment_parse_name(name, &id) < 0)
		return 0; /* not ours: neither used nor removed */
	if (fstatat(fd, name, &status, AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	if (r->files_count == r->files_cap) {
		size_t cap = EOS_MAX(2 * r->files_cap, (size_t)64);
		struct segment_file *files = realloc(r->files, cap * sizeof(files[0]));
		if (files == NULL)
			return -ENOMEM;
		r->files = files;
		r->files_cap = cap;
	}
	r->files[r->files_count++] = (struct segment_file){
		.id = id,
		.size = (uint64_t)status.st_size,
	};
	r->id_max = EOS_MAX(r->id_max, id);
	return 0;
}

static int by_id(const void *a, const void *b)
{
	uint32_t x = ((const struct segment_file *)a)->id;
	uint32_t y = ((const struct segment_file *)b)->id;
	return (x > y) - (x < y);
}

static struct segment_file *file_of(struct recovery *r, uint32_t id)
{
	struct segment_file wanted = {.id = id};
	return r->files_count == 0
		       ? NULL
		       : bsearch(&wanted, r->files, r->files_count, sizeof(r->files[0]), by_id);
}

/* An entry of the table of segments: every one has its file, unless something is damaged or lost.
 * Returns 1 when the entry means nothing. */
static int see_record(struct recovery *r, const MDB_val *key, const MDB_val *value)
{
	struct local_segment_record record;
	uint32_t id;
	if (key->mv_size != sizeof(id) || local_segment_record_parse(key, value, &record) < 0) {
		(void)local_damaged("count of a segment", "", NULL, 0);
		r->is_damaged = true;
		return 1;
	}
	memcpy(&id, key->mv_data, sizeof(id));
	id = __builtin_bswap32(id);
	r->id_max = EOS_MAX(r->id_max, id); /* an id is not given again, though its file is lost */
	struct segment_file *file = file_of(r, id);
	if (file == NULL && record.live == 0)
		return 1; /* nothing was lost with it */
	if (file == NULL) {
		eos_log(EOS_LOG_ERROR, "store", "lost segment=%08x; verify the store", id);
		r->is_damaged = true;
		return 0;
	}
	file->is_known = true;
	file->live = record.live;
	return 0;
}

/* What a chunk has in its segment. */
static int see_chunk(struct recovery *r, const MDB_val *key, const MDB_val *value)
{
	struct local_chunk chunk;
	if (local_chunk_parse(key, value, &chunk) < 0) {
		r->has_lost_chunks = true;
		return 0;
	}
	struct segment_file *file = file_of(r, chunk.segment);
	if (file != NULL)
		file->live += local_entry_bytes(chunk.stored_len);
	return 0;
}

/* Calls SEE with each entry; removes those that it returns 1 for. */
static int each_entry(struct recovery *r, MDB_dbi dbi,
		      int (*see)(struct recovery *r, const MDB_val *key, const MDB_val *value))
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int err = local_error(mdb_cursor_open(r->txn, dbi, &cursor));
	if (err < 0)
		return err;
	int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
	for (; rc == 0 && err == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
		if (see(r, &key, &value) == 1)
			err = local_error(mdb_cursor_del(cursor, 0));
	mdb_cursor_close(cursor);
	return err == 0 && rc != 0 && rc != MDB_NOTFOUND ? local_error(rc) : err;
}

/* The table says of each segment how much of it is live, and its word removes files: where any of
 * it is damaged or lost, it is made anew from the chunks, which it is derived from. */
static int count_anew(struct recovery *r)
{
	for (size_t i = 0; i < r->files_count; i++)
		r->files[i].live = 0;
	int err = each_entry(r, r->local->chunks, see_chunk);
	for (size_t i = 0; i < r->files_count && err == 0; i++) {
		struct segment_file *file = &r->files[i];
		file->is_known |= file->live > 0 || r->has_lost_chunks;
		if (file->is_known)
			err = local_segment_record_put(r->local, r->txn, file->id, file->live);
	}
	return err;
}

/* Compares the table with the files. What no transaction refers to is removed. */
static int take_segments(struct recovery *r)
{
	struct local_segments *segments = &r->local->segments;
	char name[LOCAL_SEGMENT_NAME_SIZE];
	int err = local_dir_each(r->local->dir_fd, "segments", see_segment, r);
	if (err < 0)
		return err;
	if (r->files_count > 0)
		qsort(r->files, r->files_count, sizeof(r->files[0]), by_id);
	err = each_entry(r, r->local->segments_dbi, see_record);
	if (err == 0 && r->is_damaged)
		err = count_anew(r);
	for (size_t i = 0; i < r->files_count && err == 0; i++) {
		const struct segment_file *file = &r->files[i];
		local_segment_name(file->id, name);
		err = file->is_known
			      ? local_segments_add(segments, file->id, file->size, file->live)
			      : remove_staged(NULL, segments->dir_fd, name);
	}
	return err;
}

static int open_tables(struct recovery *r)
{
	struct local *local = r->local;
	const struct {
		const char *name;
		MDB_dbi *dbi;
	} tables[] = {
		{"meta", &local->meta},
		{"buckets", &local->buckets},
		{"documents", &local->documents},
		{"tenants", &local->tenants},
		{"keys", &local->keys},
		{"objects", &local->objects},
		{"versions", &local->versions},
		{"index", &local->index},
		{"chunks", &local->chunks},
		{"manifests", &local->manifests},
		{"segments", &local->segments_dbi},
		{"trash", &local->trash},
		{"outbox", &local->outbox},
	};
	/* The tables and the state are made by one transaction: all are there, or none. */
	int err = local_error(mdb_dbi_open(r->txn, tables[0].name, 0, tables[0].dbi));
	bool is_new = err == -ENOENT;
	if (err < 0 && !is_new)
		return err;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(tables); i++) {
		err = local_error(mdb_dbi_open(r->txn, tables[i].name, is_new ? MDB_CREATE : 0,
					       tables[i].dbi));
		if (err < 0)
			return err == -ENOENT ? -EBADMSG : err;
	}
	if (!is_new) {
		err = local_state_get(local, r->txn, &r->state);
		return err == -ENOENT ? -EBADMSG : err;
	}
	r->state = (struct local_state){
		.version = LOCAL_FORMAT_VERSION,
		.node_next = 1,
		.event_next = 1,
		.manifest_next = 1,
	};
	return 0;
}

static int recover(struct recovery *r)
{
	int err = local_dir_each(r->local->dir_fd, "staging", remove_staged, NULL);
	if (err == 0)
		err = take_segments(r);
	if (err < 0)
		return err;
	(void)eos_fault("store.recover");
	pthread_mutex_lock(&r->local->segments.lock);
	r->local->segments.next_id = r->id_max + 1;
	pthread_mutex_unlock(&r->local->segments.lock);
	return local_state_put(r->local, r->txn, &r->state);
}

int local_recover(struct local *local, struct eos_why *why)
{
	struct recovery r = {.local = local};
	int err = local_error(mdb_txn_begin(local->env, NULL, 0, &r.txn));
	if (err < 0)
		return eos_why(why, err, "metadata.mdb: %s", strerror(-err));
	err = open_tables(&r);
	if (err == -EBADMSG) {
		uint32_t format = local_format_get(local, r.txn);
		mdb_txn_abort(r.txn);
		if (format != 0 && format != LOCAL_FORMAT_VERSION)
			return eos_why(why, err,
				       "the store is of format version %u, this program's is %u; "
				       "move the store's directory away to begin anew",
				       format, LOCAL_FORMAT_VERSION);
		return eos_why(why, err,
			       "metadata.mdb is damaged; restore it, or move the store's directory "
			       "away to begin anew");
	}
	if (err == 0)
		err = local_crypt_load(local, r.txn);
	if (err == 0)
		err = recover(&r);
	free(r.files);
	if (err < 0) {
		mdb_txn_abort(r.txn);
		return eos_why(why, err, "cleaning up after the last run: %s", strerror(-err));
	}
	err = local_error(mdb_txn_commit(r.txn));
	if (err < 0)
		return eos_why(why, err, "metadata.mdb: first commit: %s", strerror(-err));
	return local_committer_start(local, &r.state);
}
