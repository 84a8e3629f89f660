/*
 * The committer: one thread that turns waiting changes into durable ones, many at a time.
 *
 * The way of an object to the disk; T is the caller's thread, C the committer's.
 *
 *   1 T  the data is written to staging/N             power cut here: open empties staging/
 *   2 T  header and table are written, fsync(file)    the same; many callers at once
 *   3 T  an id is taken from the durable reservation  nothing on disk yet
 *   4 T  rename to blocks/XX/ID                       an orphan: block_low <= ID < block_high and
 * no entry in `blocks`: open removes it 5 C  fsync(blocks/XX), once a directory           the same
 *   6 C  one LMDB transaction with all waiting changes: records, events, counts, trash, state;
 *        its commit writes pages, syncs, and flips the meta page
 *                                                     before the flip: as 4. Behind it: all of it
 *   7 C  the callers are woken: acknowledged
 *   8 C  files that the transaction put in the trash are unlinked
 *                                                     open unlinks what is in the trash
 *   9 C  later, their directories are synced, and
 *  10 C  the next transaction takes them from the trash
 *
 * Small objects stand in the transaction itself and begin at 6.
 *
 * Invariants
 *  I1 A change is acknowledged only behind the commit of the transaction that holds it; that
 *     transaction begins only when the files it refers to, and the entries that name them, are
 *     synced (2 and 5 before 6).
 *  I2 No file below blocks/ is changed after its rename. The rename of an id that an object refers
 *     to is never undone: ids are never given twice.
 *  I3 A block file is unlinked only when a durable transaction put its id in the trash or when no
 *     transaction can ever have referred to it (8 behind 6; failed changes: see abandon()).
 *  I4 An id leaves the trash only when the unlink of its file is durable (9 before 10), so neither
 *     a crash nor a power cut leaks a file.
 *  I5 An id at or above block_high was never renamed into blocks/; an id below block_low is in
 *     `blocks`, in the trash, or its file is durably gone. So open looks only at what is between,
 *     some thousands at most, however many objects there are.
 *  I6 After an error that leaves the disk's state unknown (fsync or commit, but for "no space",
 *     which LMDB reports before it touched anything that counts) nothing is unlinked, nothing is
 *     committed and nothing is acknowledged any more: the next open finds out what is there.
 *  I7 A transaction is whole or not at all; a change that fails in it for want of space is tried
 *     alone, so that it fails alone.
 *
 * One transaction a caller would cost two flushes of the disk each; a timer that waits for company
 * would cost the lonely caller its delay. Here the company gathers while the disk is busy.
 */
#include "store/local_commit_priv.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/fault.h"
#include "base/log.h"
#include "store/local_blocks_priv.h"
#include "store/local_priv.h"

EOS_COUNTER(transactions, "store.transactions_total", "Write transactions that were committed.")
EOS_COUNTER(changes, "store.changes_total", "Changes that were committed.")
EOS_COUNTER(dir_syncs, "store.dir_syncs_total", "Directories of block files synced to disk.")
EOS_COUNTER(leftovers, "store.leftovers_total", "Block files left for the next open to remove.")

#define COMMITTER_STACK_BYTES (256u * 1024)

void local_committer_init(struct local_committer *committer)
{
	committer->is_running = false;
	committer->is_stopping = false;
	committer->unlinked_count = 0;
	eos_list_init(&committer->queue);
	pthread_mutex_init(&committer->lock, NULL);
	pthread_mutex_init(&committer->batch_lock, NULL);
	pthread_cond_init(&committer->wake, NULL);
}

void local_committer_fini(struct local_committer *committer)
{
	EOS_ASSERT(!committer->is_running);
	pthread_cond_destroy(&committer->wake);
	pthread_mutex_destroy(&committer->batch_lock);
	pthread_mutex_destroy(&committer->lock);
}

int local_commit(struct local *local, struct local_op *op)
{
	int err = local_check_writable(local);
	if (err < 0)
		return err;
	struct local_committer *committer = &local->committer;
	sem_init(&op->done, 0, 0);
	pthread_mutex_lock(&committer->lock);
	EOS_ASSERT(committer->is_running && !committer->is_stopping);
	if (eos_list_is_empty(&committer->queue))
		pthread_cond_signal(&committer->wake);
	eos_list_add_tail(&committer->queue, &op->node);
	pthread_mutex_unlock(&committer->lock);
	while (sem_wait(&op->done) < 0)
		EOS_ASSERT(errno == EINTR);
	sem_destroy(&op->done);
	return op->result;
}

/* Waits for changes. 0: the store is being closed and nothing is left. */
static unsigned take_batch(struct local_committer *committer, struct local_op **ops)
{
	unsigned n = 0;
	pthread_mutex_lock(&committer->lock);
	while (eos_list_is_empty(&committer->queue) && !committer->is_stopping)
		pthread_cond_wait(&committer->wake, &committer->lock);
	while (n < LOCAL_BATCH_MAX) {
		struct eos_list *node = eos_list_take(&committer->queue);
		if (node == NULL)
			break;
		ops[n++] = EOS_CONTAINER_OF(node, struct local_op, node);
	}
	pthread_mutex_unlock(&committer->lock);
	return n;
}

/* Step 5. */
static int sync_block_dirs(struct local_op **ops, unsigned n)
{
	bool is_synced[LOCAL_BLOCK_DIRS] = {false};
	for (unsigned i = 0; i < n; i++) {
		if (ops[i]->kind != LOCAL_OP_OBJECT_PUT || ops[i]->block_dir_fd < 0)
			continue;
		unsigned dir = local_block_dir(ops[i]->record.block_id);
		if (is_synced[dir])
			continue;
		int err = eos_fault("store.dir_fsync");
		if (err == 0 && fsync(ops[i]->block_dir_fd) < 0)
			err = -errno;
		if (err < 0)
			return err;
		eos_counter_add(&dir_syncs, 1);
		is_synced[dir] = true;
	}
	return 0;
}

static void remember_unlinked(struct local *local, uint64_t id, bool is_in_trash)
{
	struct local_committer *committer = &local->committer;
	if (committer->unlinked_count == LOCAL_UNLINKED_MAX) {
		/* It stays in the trash or in flight, where the next open finds it. */
		eos_counter_add(&leftovers, 1);
		return;
	}
	committer->unlinked[committer->unlinked_count++] =
		(struct local_unlinked){.id = id, .is_in_trash = is_in_trash};
}

/* Steps 8 and, for changes that failed, the same without the trash. */
static void unlink_block(struct local *local, uint64_t id, bool is_in_trash)
{
	int err = local_block_unlink(local, id);
	if (err == 0) {
		remember_unlinked(local, id, is_in_trash);
		return;
	}
	eos_counter_add(&leftovers, 1);
	eos_log(EOS_LOG_WARN, "store", "unlink failed block=%016llx error=%s",
		(unsigned long long)id, strerror(-err));
}

/* Step 9: all directories with unlinked files. A failure is not fatal: nothing that was
 * acknowledged depends on it, and the trash keeps the ids. */
static void sync_unlinked(struct local *local)
{
	struct local_committer *committer = &local->committer;
	bool is_synced[LOCAL_BLOCK_DIRS] = {false}, is_broken[LOCAL_BLOCK_DIRS] = {false};
	unsigned kept = 0;
	for (unsigned i = 0; i < committer->unlinked_count; i++) {
		struct local_unlinked unlinked = committer->unlinked[i];
		unsigned dir = local_block_dir(unlinked.id);
		if (!unlinked.is_synced && !is_synced[dir] && !is_broken[dir]) {
			int err = eos_fault("store.trash_fsync");
			if (err == 0)
				err = local_block_dir_sync(local, dir);
			eos_counter_add(&dir_syncs, 1);
			is_synced[dir] = err == 0;
			is_broken[dir] = err < 0;
			if (err < 0)
				eos_log(EOS_LOG_WARN, "store",
					"sync failed dir=blocks/%02x error=%s", dir,
					strerror(-err));
		}
		unlinked.is_synced |= is_synced[dir];
		if (unlinked.is_synced && !unlinked.is_in_trash)
			local_ids_settle(&local->ids, unlinked.id);
		else
			committer->unlinked[kept++] = unlinked;
	}
	committer->unlinked_count = kept;
}

/* A transaction that cannot begin for anything but memory has a broken environment under it. */
static int txn_begin(struct local *local, MDB_txn **ret_txn)
{
	int err = eos_fault("store.txn_begin");
	if (err == 0)
		err = local_error(mdb_txn_begin(local->env, NULL, 0, ret_txn));
	if (err < 0 && err != -ENOMEM)
		local_turn_read_only(local, "begin of a transaction", err);
	return err;
}

/* Step 10, and the reservation of block ids. */
static int prepare(struct local_txn *t)
{
	struct local *local = t->local;
	struct local_committer *committer = &local->committer;
	t->state = committer->state;
	t->is_changed = t->has_events = false;
	t->dropped_count = 0;
	for (unsigned i = 0; i < committer->unlinked_count; i++) {
		if (!committer->unlinked[i].is_synced)
			continue;
		uint8_t name[8];
		local_be64_put(name, committer->unlinked[i].id);
		MDB_val key = {.mv_size = sizeof(name), .mv_data = name};
		int err = local_delete(t->txn, local->trash, &key);
		if (err < 0 && err != -ENOENT)
			return err;
	}
	uint64_t high = local_ids_wanted(&local->ids, t->state.block_high);
	t->is_changed = high != t->state.block_high;
	t->state.block_high = high;
	t->state.block_low = local_ids_low(&local->ids);
	return 0;
}

static int txn_commit(struct local_txn *t)
{
	int err = local_state_put(t->local, t->txn, &t->state);
	if (err < 0) {
		mdb_txn_abort(t->txn);
		return err;
	}
	err = eos_fault("store.txn_commit");
	if (err < 0)
		mdb_txn_abort(t->txn);
	else
		err = local_error(mdb_txn_commit(t->txn));
	if (err < 0 && err != -ENOSPC && err != -ENOMEM)
		local_turn_read_only(t->local, "commit", err);
	return err;
}

static void take_over(struct local_txn *t)
{
	struct local_committer *committer = &t->local->committer;
	committer->state = t->state;
	local_ids_extend(&t->local->ids, t->state.block_high);
	unsigned kept = 0;
	for (unsigned i = 0; i < committer->unlinked_count; i++) {
		if (!committer->unlinked[i].is_synced)
			committer->unlinked[kept++] = committer->unlinked[i];
	}
	committer->unlinked_count = kept;
	eos_counter_add(&transactions, 1);
}

/* Step 6. An error: nothing of it happened, unless the store is read-only now. */
static int run_transaction(struct local_txn *t, struct local_op **ops, unsigned n)
{
	int err = txn_begin(t->local, &t->txn);
	if (err < 0)
		return err;
	err = prepare(t);
	for (unsigned i = 0; i < n && err == 0; i++)
		err = local_change_apply(t, ops[i]);
	if (err < 0 || !t->is_changed) {
		mdb_txn_abort(t->txn);
		return err;
	}
	err = txn_commit(t);
	if (err == 0)
		take_over(t);
	return err;
}

static void finish(struct local_op *op, int result)
{
	op->result = result;
	sem_post(&op->done);
	/* OP is gone. */
}

/* Steps 7 and 8. */
static void acknowledge(struct local_txn *t, struct local_op **ops, unsigned n)
{
	struct local *local = t->local;
	(void)eos_fault("store.after_commit");
	eos_counter_add(&changes, n);
	for (unsigned i = 0; i < n; i++) {
		if (ops[i]->kind == LOCAL_OP_OBJECT_PUT && ops[i]->block_dir_fd >= 0)
			local_ids_settle(&local->ids, ops[i]->record.block_id);
		finish(ops[i], ops[i]->result);
	}
	if (t->has_events && local->notify != NULL)
		local->notify(local->matcher_ctx);
	for (unsigned i = 0; i < t->dropped_count; i++)
		unlink_block(local, t->dropped[i], true);
}

/*
 * A change failed and its transaction is gone. Its block file is removed at once, to give the space
 * back, but only when LMDB can still begin a transaction: an environment that failed while it wrote
 * its meta page may have committed after all (I3, I6). The id stays in flight until the directory
 * is synced.
 */
static void abandon(struct local *local, struct local_op *op)
{
	if (op->kind != LOCAL_OP_OBJECT_PUT || op->block_dir_fd < 0)
		return;
	MDB_txn *probe = NULL;
	int err = local_check_writable(local);
	if (err == 0)
		err = txn_begin(local, &probe);
	if (err < 0)
		return;
	mdb_txn_abort(probe);
	unlink_block(local, op->record.block_id, false);
}

static void run_batch(struct local_txn *t, struct local_op **ops, unsigned n)
{
	struct local *local = t->local;
	int err = local_check_writable(local);
	if (err == 0) {
		err = sync_block_dirs(ops, n);
		if (err < 0)
			local_turn_read_only(local, "fsync of a directory", err);
	}
	if (err == 0 && local->committer.unlinked_count >= LOCAL_UNLINKED_FLUSH)
		sync_unlinked(local);
	if (err == 0)
		err = run_transaction(t, ops, n);
	if (err == 0) {
		acknowledge(t, ops, n);
		return;
	}
	if (n == 1) {
		abandon(local, ops[0]);
		finish(ops[0], err);
		return;
	}
	for (unsigned i = 0; i < n; i++) {
		if (local_check_writable(local) == 0)
			run_batch(t, &ops[i], 1);
		else
			finish(ops[i], err);
	}
}

/* The last transaction: nothing is in the trash, no id is in flight, none is reserved. */
static void close_cleanly(struct local_txn *t)
{
	struct local *local = t->local;
	if (local_check_writable(local) < 0)
		return;
	sync_unlinked(local);
	int err = txn_begin(local, &t->txn);
	if (err < 0)
		return;
	err = prepare(t);
	if (err < 0) {
		mdb_txn_abort(t->txn);
		return;
	}
	pthread_mutex_lock(&local->ids.lock);
	t->state.block_high = local->ids.next;
	pthread_mutex_unlock(&local->ids.lock);
	/* A failure costs the next open some milliseconds of looking. */
	err = txn_commit(t);
	if (err < 0)
		eos_log(EOS_LOG_WARN, "store", "close left cleaning to the next open error=%s",
			strerror(-err));
}

static void *committer_main(void *arg)
{
	struct local_txn *t = arg;
	struct local *local = t->local;
	struct local_op *ops[LOCAL_BATCH_MAX];
	unsigned n;
	while ((n = take_batch(&local->committer, ops)) > 0) {
		pthread_mutex_lock(&local->committer.batch_lock);
		run_batch(t, ops, n);
		pthread_mutex_unlock(&local->committer.batch_lock);
	}
	close_cleanly(t);
	free(t);
	return NULL;
}

int local_committer_start(struct local *local, const struct local_state *state)
{
	struct local_committer *committer = &local->committer;
	struct local_txn *t = calloc(1, sizeof(*t));
	if (t == NULL)
		return -ENOMEM;
	t->local = local;
	committer->state = *state;
	pthread_attr_t attr;
	sigset_t all, saved;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, COMMITTER_STACK_BYTES);
	/* Signals are for the threads that wait for them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	int err = pthread_create(&committer->thread, &attr, committer_main, t);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	pthread_attr_destroy(&attr);
	committer->is_running = err == 0;
	if (err != 0)
		free(t);
	return -err;
}

void local_committer_stop(struct local *local)
{
	struct local_committer *committer = &local->committer;
	if (!committer->is_running)
		return;
	pthread_mutex_lock(&committer->lock);
	committer->is_stopping = true;
	pthread_cond_signal(&committer->wake);
	pthread_mutex_unlock(&committer->lock);
	pthread_join(committer->thread, NULL);
	committer->is_running = false;
}
