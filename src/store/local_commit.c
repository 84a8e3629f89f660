/*
 * The committer: one thread that turns waiting changes into durable ones, many at a time.
 *
 * The way of an object to the disk; T is the caller's thread, C the committer's.
 *
 *   1 T  a segment is begun when the active one is full: file and header are written, the
 *        directory is synced                          power cut here: open removes the file, as no
 *                                                     transaction refers to it
 *   2 T  chunks are written to places reserved in it  garbage in a segment: nobody refers to it,
 *                                                     compaction gives the space back
 *   3 C  fdatasync(segment), once for all changes     the same
 *   4 C  one LMDB transaction with all waiting changes: chunks, manifests, records, events, counts,
 *        live bytes of segments, trash, state; its commit writes pages, syncs, and flips the meta
 *        page                                         before the flip: as 3. Behind it: all of it
 *   5 C  the callers are woken: acknowledged
 *   6 C  this or a later transaction takes references of manifests in the trash back, and removes
 *        chunks without any                           each transaction is whole; the next goes on
 *   7 C  a transaction takes a segment that nothing refers to from the table
 *   8 C  its file is unlinked                         open removes the file, as under 1
 *
 * Small objects stand in the transaction itself and begin at 4. A large upload goes through 1 to 4
 * several times: its manifest is in the trash until the transaction that has its record, so what a
 * crash leaves of it is reclaimed. Compaction copies chunks as 1 to 3 and moves their entries in 4.
 *
 * What an acknowledged change needs on the disk, and why it is there: (a) the pages of its
 * transaction and of all before it, which LMDB syncs before it flips the meta page, and the flip
 * itself, written through a descriptor that is O_DSYNC; (b) the bytes of the chunks it refers to.
 * Those it brings were synced in 3, by a sync that began behind the last write of them. Those it
 * found were referred to by a committed transaction, so they were synced before that one; and they
 * are still there, since a pin kept the reclaimer from removing their entries; (c) the names of the
 * segments, synced in 1 before the first byte was reserved; and metadata.mdb's own, at open.
 *
 * Invariants
 *  I1 A change is acknowledged only behind the commit of the transaction that holds it; that
 *     transaction begins only when the bytes it refers to are synced (3 before 4).
 *  I2 A byte of a segment is written at most once. Places are reserved once, and a new process
 *     begins a new segment: what a crash left behind the end of an old one is never trusted.
 *  I3 A segment is unlinked only behind the commit of a transaction in which no chunk refers to it
 *     and nobody writes to it (7 before 8), or when no transaction ever referred to it.
 *  I4 A chunk's entry is removed in the same transaction as the page of the manifest that held the
 *     last reference, and only if nobody has pinned it. So refs are right after every transaction.
 *  I5 A manifest is in a record or in the trash, never in both, never in neither: the transaction
 *     that takes it from the one puts it into the other.
 *  I6 After an error that leaves the disk's state unknown (fdatasync or commit, but for "no space",
 *     which LMDB reports before it touched anything that counts) nothing is unlinked, nothing is
 *     committed and nothing is acknowledged any more: the next open finds out what is there. When
 *     fdatasync() says "no space", what was not synced before in that segment may be lost although
 *     the next call succeeds: the segment refuses all of it for ever, and is not written again.
 *  I7 A transaction is whole or not at all; a change that fails in it for want of space is tried
 *     alone, so that it fails alone, and without the reclaimer, so that it does not fail for it.
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
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "store/local_memo_priv.h"
#include "store/local_priv.h"
#include "store/local_reclaim_priv.h"

EOS_COUNTER(transactions, "store.transactions_total", "Write transactions that were committed.")
EOS_COUNTER(changes, "store.changes_total", "Changes that were committed.")
EOS_COUNTER(leftovers, "store.leftovers_total", "Segments left for the next open to remove.")

#define COMMITTER_STACK_BYTES (256u * 1024)
/* What is pinned in the trash is looked at so often. */
#define BLOCKED_NS (200 * EOS_NS_PER_MS)

void local_committer_init(struct local_committer *committer)
{
	committer->is_running = false;
	committer->is_stopping = false;
	committer->trash = LOCAL_TRASH_READY; /* of the last run, perhaps */
	committer->stuck_count = 0;
	eos_list_init(&committer->queue);
	pthread_mutex_init(&committer->lock, NULL);
	pthread_mutex_init(&committer->batch_lock, NULL);
	pthread_condattr_t monotonic;
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&committer->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
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

static void wait_locked(struct local_committer *committer)
{
	uint64_t end = eos_now_ns() + BLOCKED_NS;
	struct timespec at = {.tv_sec = (time_t)(end / EOS_NS_PER_S),
			      .tv_nsec = (long)(end % EOS_NS_PER_S)};
	if (committer->trash == LOCAL_TRASH_EMPTY) {
		pthread_cond_wait(&committer->wake, &committer->lock);
	} else {
		/* Whether something came or the time is over is seen by who called. */
		(void)pthread_cond_timedwait(&committer->wake, &committer->lock, &at);
		committer->trash = LOCAL_TRASH_READY;
	}
}

/* Waits for changes, or for something in the trash: then 0. False: the store is being closed and
 * no change is left. */
static bool take_batch(struct local_committer *committer, struct local_op **ops, unsigned *ret_n)
{
	unsigned n = 0;
	pthread_mutex_lock(&committer->lock);
	while (eos_list_is_empty(&committer->queue) && !committer->is_stopping &&
	       committer->trash != LOCAL_TRASH_READY)
		wait_locked(committer);
	while (n < LOCAL_BATCH_MAX) {
		struct eos_list *node = eos_list_take(&committer->queue);
		if (node == NULL)
			break;
		ops[n++] = EOS_CONTAINER_OF(node, struct local_op, node);
	}
	bool is_over = n == 0 && committer->is_stopping;
	pthread_mutex_unlock(&committer->lock);
	*ret_n = n;
	return !is_over;
}

static void finish(struct local_op *op, int result)
{
	op->result = result;
	sem_post(&op->done);
	/* OP is gone. */
}

/* Step 3 for one change. */
static int sync_op(struct local *local, const struct local_op *op)
{
	int err = 0;
	for (size_t i = 0; err == 0 && op->chunks != NULL && i < op->chunks->count; i++) {
		if (op->chunks->all[i].segment != NULL)
			err = local_segment_sync(op->chunks->all[i].segment);
	}
	for (size_t i = 0; err == 0 && i < op->moves_count; i++)
		err = local_segment_sync(op->moves[i].to);
	if (err < 0 && err != -ENOSPC)
		local_turn_read_only(local, "fdatasync of a segment", err);
	return err;
}

/* Step 3. Changes whose bytes cannot be made durable are refused; returns how many are left. */
static unsigned sync_segments(struct local *local, struct local_op **ops, unsigned n)
{
	unsigned kept = 0;
	for (unsigned i = 0; i < n; i++) {
		int err = sync_op(local, ops[i]);
		if (err < 0)
			finish(ops[i], err);
		else
			ops[kept++] = ops[i];
	}
	return kept;
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

static void prepare(struct local_txn *t)
{
	t->state = t->local->committer.state;
	t->is_changed = t->has_events = false;
	t->live_count = t->dropped_count = 0;
	t->trash = LOCAL_TRASH_READY;
}

static int txn_commit(struct local_txn *t)
{
	int err = local_live_flush(t);
	if (err == 0)
		err = local_state_put(t->local, t->txn, &t->state);
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

static void set_trash(struct local_committer *committer, enum local_trash trash)
{
	pthread_mutex_lock(&committer->lock);
	committer->trash = trash;
	pthread_mutex_unlock(&committer->lock);
}

static void take_over(struct local_txn *t)
{
	t->local->committer.state = t->state;
	local_live_take_over(t);
	eos_counter_add(&transactions, 1);
	atomic_fetch_add(&t->local->activity, 1);
	local_scrub_poke(&t->local->scrub);
}

/* Steps 4 and 6. An error: nothing of it happened, unless the store is read-only now. */
static int run_transaction(struct local_txn *t, struct local_op **ops, unsigned n, unsigned budget)
{
	int err = txn_begin(t->local, &t->txn);
	if (err < 0)
		return err;
	prepare(t);
	for (unsigned i = 0; i < n && err == 0; i++)
		err = local_change_apply(t, ops[i]);
	if (err == 0 && budget > 0)
		err = local_reclaim_step(t, budget);
	if (err < 0 || !t->is_changed)
		mdb_txn_abort(t->txn);
	else
		err = txn_commit(t);
	/* Also where it is not known what became of it. */
	for (unsigned i = 0; i < n; i++)
		local_memo_note(t->local, ops[i]->kind);
	if (err == 0 && t->is_changed)
		take_over(t);
	local_reclaim_done(t);
	return err;
}

/* Step 8. */
static void unlink_dropped(struct local_txn *t)
{
	struct local *local = t->local;
	for (unsigned i = 0; i < t->dropped_count; i++) {
		int err = local_segments_unlink(&local->segments, t->dropped[i]);
		if (err == 0)
			continue;
		eos_counter_add(&leftovers, 1);
		eos_log(EOS_LOG_WARN, "store", "unlink failed segment=%08x error=%s", t->dropped[i],
			strerror(-err));
	}
	t->dropped_count = 0;
}

/* Steps 5 and 8. */
static void acknowledge(struct local_txn *t, struct local_op **ops, unsigned n)
{
	struct local *local = t->local;
	(void)eos_fault("store.after_commit");
	eos_counter_add(&changes, n);
	unsigned drops = 0;
	for (unsigned i = 0; i < n; i++) {
		ops[i]->is_reclaimed = t->trash != LOCAL_TRASH_READY;
		if (ops[i]->kind == LOCAL_OP_SEGMENT_DROP)
			ops[drops++] = ops[i];
		else
			finish(ops[i], ops[i]->result);
	}
	if (t->has_events && local->notify != NULL)
		local->notify(local->matcher_ctx);
	/* Nobody else waits for a file system that takes its time to remove a file. */
	unlink_dropped(t);
	for (unsigned i = 0; i < drops; i++)
		finish(ops[i], ops[i]->result);
}

static void undrop(struct local_txn *t)
{
	for (unsigned i = 0; i < t->dropped_count; i++)
		local_segments_undrop(&t->local->segments, t->dropped[i]);
	t->dropped_count = 0;
}

/* What takes no space in the end may have the reserve. */
static bool may_use_reserve(const struct local_op *op)
{
	return op->kind != LOCAL_OP_OBJECT_PUT && op->kind != LOCAL_OP_MANIFEST_APPEND;
}

/* Each alone, and without the reclaimer. */
static void run_singly(struct local_txn *t, struct local_op **ops, unsigned n, int err)
{
	for (unsigned i = 0; i < n; i++) {
		if (local_check_writable(t->local) == 0)
			err = run_transaction(t, &ops[i], 1, 0);
		if (err == -ENOSPC && may_use_reserve(ops[i]) &&
		    local_check_writable(t->local) == 0 && local_space_give_up(t->local)) {
			undrop(t);
			err = run_transaction(t, &ops[i], 1, 0);
		}
		if (err == 0) {
			acknowledge(t, &ops[i], 1);
		} else {
			undrop(t);
			finish(ops[i], err);
		}
	}
}

static void run_batch(struct local_txn *t, struct local_op **ops, unsigned n)
{
	struct local *local = t->local;
	unsigned budget = n == 0 ? LOCAL_RECLAIM_MAX : LOCAL_RECLAIM_BUSY;
	for (unsigned i = 0; i < n; i++)
		if (ops[i]->kind == LOCAL_OP_RECLAIM)
			budget = LOCAL_RECLAIM_MAX;
	int err = local_check_writable(local);
	if (err == 0) {
		unsigned had = n;
		n = sync_segments(local, ops, n);
		if (n == 0 && had > 0)
			return;
		err = local_check_writable(local);
	}
	if (err == 0)
		err = run_transaction(t, ops, n, budget);
	if (err == 0) {
		set_trash(&local->committer, t->trash);
		acknowledge(t, ops, n);
		return;
	}
	undrop(t);
	if (n == 0 && err == -ENOSPC)
		(void)local_space_give_up(local); /* for the reclaimer's next attempt */
	run_singly(t, ops, n, err);
	/* The reclaimer may be what failed: it tries again a little later. */
	set_trash(&local->committer,
		  local_check_writable(local) == 0 ? LOCAL_TRASH_BLOCKED : LOCAL_TRASH_EMPTY);
}

static void *committer_main(void *arg)
{
	struct local_txn *t = arg;
	struct local *local = t->local;
	struct local_op *ops[LOCAL_BATCH_MAX];
	unsigned n;
	while (take_batch(&local->committer, ops, &n)) {
		pthread_mutex_lock(&local->committer.batch_lock);
		run_batch(t, ops, n);
		pthread_mutex_unlock(&local->committer.batch_lock);
	}
	free(t->live);
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
