/*
 * What open does before anything else writes: loads the state or makes it, compares the segments in
 * the table with the files, and removes the files that no transaction refers to. The cost depends
 * on how many segments there are, not on how much is in them; the trash of the last run is
 * reclaimed in the background.
 *
 * Everything here may be cut off at any line and begun again: files are unlinked only when nothing
 * refers to them, and no id of a file that is seen is given again.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "store/local_priv.h"

EOS_COUNTER(recovered, "store.files_recovered_total",
	    "Files of unfinished changes removed at open.")

struct recovery {
	struct local *local;
	MDB_txn *txn;
	struct local_state state;
	uint32_t id_max; /* of the files */
	uint64_t files;	 /* that the table has too */
};

static int remove_staged(void *ctx, int fd, const char *name)
{
	eos_counter_add(&recovered, 1);
	return unlinkat(fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

/* A file of segments/: known, or a leftover. */
static int see_segment(void *ctx, int fd, const char *name)
{
	struct recovery *r = ctx;
	uint32_t id;
	uint8_t key_bytes[4];
	struct local_segment_record record = {0};
	struct stat file;
	if (local_segment_parse_name(name, &id) < 0)
		return 0; /* not ours: neither used nor removed */
	r->id_max = EOS_MAX(r->id_max, id);
	local_segment_key(id, key_bytes);
	MDB_val key = {.mv_size = sizeof(key_bytes), .mv_data = key_bytes}, value;
	int err = local_error(mdb_get(r->txn, r->local->segments_dbi, &key, &value));
	if (err == -ENOENT)
		return remove_staged(NULL, fd, name);
	if (err == 0 && local_segment_record_parse(&key, &value, &record) < 0)
		/* Only compaction needs the count; repair makes it anew. */
		(void)local_damaged("count of a segment", "", NULL, 0);
	if (err == 0 && fstatat(fd, name, &file, AT_SYMLINK_NOFOLLOW) < 0)
		err = -errno;
	if (err < 0)
		return err;
	r->files++;
	return local_segments_add(&r->local->segments, id, (uint64_t)file.st_size, record.live);
}

/* Segments that the table has, but the disk has not: their chunks are lost, which reads tell. */
static int look_for_lost_segments(struct recovery *r)
{
	MDB_stat stat;
	int err = local_error(mdb_stat(r->txn, r->local->segments_dbi, &stat));
	if (err == 0 && stat.ms_entries > r->files) {
		eos_log(EOS_LOG_ERROR, "store", "lost segments=%llu; verify the store",
			(unsigned long long)(stat.ms_entries - r->files));
		MDB_cursor *cursor;
		MDB_val key, value;
		err = local_error(mdb_cursor_open(r->txn, r->local->segments_dbi, &cursor));
		if (err < 0)
			return err;
		/* Their ids are not given again. */
		if (mdb_cursor_get(cursor, &key, &value, MDB_LAST) == 0 && key.mv_size == 4) {
			uint32_t id;
			memcpy(&id, key.mv_data, sizeof(id));
			r->id_max = EOS_MAX(r->id_max, __builtin_bswap32(id));
		}
		mdb_cursor_close(cursor);
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
		err = local_dir_each(r->local->dir_fd, "segments", see_segment, r);
	if (err == 0)
		err = look_for_lost_segments(r);
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
	if (err < 0) {
		mdb_txn_abort(r.txn);
		return eos_why(why, err, "cleaning up after the last run: %s", strerror(-err));
	}
	err = local_error(mdb_txn_commit(r.txn));
	if (err < 0)
		return eos_why(why, err, "metadata.mdb: first commit: %s", strerror(-err));
	return local_committer_start(local, &r.state);
}
