/*
 * What open does before anything else writes: loads the state or makes it, and removes the files
 * that a crash left behind. The cost depends on what was in flight, never on how much is stored.
 *
 * Everything here may be cut off at any line and begun again: files are unlinked only when nothing
 * refers to them, and the transaction that forgets them begins when their directories are synced.
 */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "store/local_blocks_priv.h"
#include "store/local_priv.h"

EOS_COUNTER(recovered, "store.files_recovered_total",
	    "Files of unfinished changes removed at open.")

struct recovery {
	struct local *local;
	MDB_txn *txn;
	struct local_state state;
	bool is_dir_touched[LOCAL_BLOCK_DIRS];
};

static int remove_staged(void *ctx, int fd, const char *name)
{
	eos_counter_add(&recovered, 1);
	return unlinkat(fd, name, 0) < 0 && errno != ENOENT ? -errno : 0;
}

static int remove_block(struct recovery *r, uint64_t id)
{
	char path[LOCAL_BLOCK_PATH_SIZE];
	local_block_path(id, path);
	if (unlinkat(r->local->blocks_fd, path, 0) == 0) {
		eos_counter_add(&recovered, 1);
		r->is_dir_touched[local_block_dir(id)] = true;
		return 0;
	}
	return errno == ENOENT ? 0 : -errno;
}

/* Steps 8 to 10 of a commit (local_commit.c) that were not reached. */
static int empty_trash(struct recovery *r)
{
	MDB_cursor *cursor;
	MDB_val key, value;
	int err = local_error(mdb_cursor_open(r->txn, r->local->trash, &cursor));
	if (err < 0)
		return err;
	int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
	for (; err == 0 && rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT)) {
		if (key.mv_size != 8) {
			err = -EBADMSG;
			break;
		}
		uint64_t id = local_be64_get(key.mv_data);
		err = remove_block(r, id);
		/* An unlink of the last run may not be durable yet. */
		r->is_dir_touched[local_block_dir(id)] = true;
	}
	if (err == 0 && rc != MDB_NOTFOUND)
		err = local_error(rc);
	mdb_cursor_close(cursor);
	return err < 0 ? err : local_error(mdb_drop(r->txn, r->local->trash, 0));
}

/* Files that were renamed into blocks/, but whose transaction was not committed. */
static int remove_orphans(struct recovery *r)
{
	for (uint64_t id = r->state.block_low; id < r->state.block_high; id++) {
		uint8_t name[8];
		local_be64_put(name, id);
		MDB_val key = {.mv_size = sizeof(name), .mv_data = name}, value;
		int err = local_error(mdb_get(r->txn, r->local->blocks, &key, &value));
		if (err == -ENOENT) {
			err = remove_block(r, id);
			r->is_dir_touched[local_block_dir(id)] = true;
		}
		if (err < 0)
			return err;
	}
	return 0;
}

static int sync_touched(struct recovery *r)
{
	for (unsigned dir = 0; dir < LOCAL_BLOCK_DIRS; dir++) {
		if (!r->is_dir_touched[dir])
			continue;
		int err = local_block_dir_sync(r->local, dir);
		if (err < 0)
			return err;
	}
	return 0;
}

static int open_tables(struct recovery *r)
{
	struct local *local = r->local;
	const struct {
		const char *name;
		MDB_dbi *dbi;
	} tables[] = {
		{"meta", &local->meta},		  {"buckets", &local->buckets},
		{"documents", &local->documents}, {"tenants", &local->tenants},
		{"objects", &local->objects},	  {"versions", &local->versions},
		{"index", &local->index},	  {"blocks", &local->blocks},
		{"trash", &local->trash},	  {"outbox", &local->outbox},
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
		.block_low = 1,
		.block_high = 1,
	};
	return 0;
}

static int recover(struct recovery *r)
{
	int err = local_dir_each(r->local->dir_fd, "staging", remove_staged, NULL);
	if (err == 0)
		err = empty_trash(r);
	if (err == 0)
		err = remove_orphans(r);
	if (err == 0)
		err = sync_touched(r);
	(void)eos_fault("store.recover");
	if (err < 0)
		return err;
	uint64_t next = r->state.block_high;
	r->state.block_low = next;
	r->state.block_high = next + 2 * LOCAL_IDS_STEP;
	local_ids_start(&r->local->ids, next, r->state.block_high);
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
