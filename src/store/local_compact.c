/*
 * Compaction: gives the space of garbage back.
 *
 * A segment of which little is live is walked from front to back; what chunks still refer to is
 * copied to the active segment, and a transaction moves the entries of the chunks behind a sync of
 * the copies (local_commit.c). Then nothing refers to the segment: a transaction takes it from the
 * table, and its file is unlinked. Readers that hold it keep its descriptor; who comes later finds
 * the chunks at their new places. A crash leaves copies that are garbage, or both.
 *
 * A thread does that in the background, at a rate that leaves the disk to others; store_compact()
 * does it at once. One at a time: compact_lock.
 *
 * What is damaged is not copied: its segment stays, is marked as stuck, and left alone until the
 * store is opened anew.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/local_priv.h"
#include "store/local_upkeep_priv.h"

EOS_COUNTER(compacted, "store.segments_compacted_total", "Segments emptied and removed.")
EOS_COUNTER(moved, "store.compacted_bytes_total", "Bytes of live chunks copied by compaction.")

/* Copied by one transaction. */
#define BATCH_CHUNKS 64u
#define BATCH_BYTES  (4u << 20)
/* A segment is worth the work when so little of it is live (background and on demand). */
#define LIVE_PERCENT_MAX	50u
#define LIVE_PERCENT_MAX_DEMAND 95u

struct compaction {
	struct local *local;
	struct local_segment *from;
	uint64_t offset, size; /* in FROM */
	uint64_t rate;	       /* bytes a second, 0: no limit */
	uint8_t *buffer;
	size_t len;
	struct local_move moves[BATCH_CHUNKS];
	unsigned count;
	bool is_damaged;
};

/* Sleeps off what LEN bytes take at the rate. False: the store is being closed. */
static bool pace(struct compaction *c, size_t len)
{
	struct local_upkeep *upkeep = &c->local->upkeep;
	/* The background's thread has this to do, too, and may be here for hours. */
	if (c->rate > 0)
		local_damages_tell(c->local);
	return c->rate == 0 || local_upkeep_sleep(upkeep, len * EOS_NS_PER_S / c->rate);
}

/* Writes the copies and moves the entries. */
static int flush(struct compaction *c)
{
	struct local_segment *to;
	uint64_t offset;
	if (c->count == 0)
		return 0;
	int err = local_segment_reserve(&c->local->segments, c->len, &to, &offset);
	if (err < 0)
		return err;
	uint64_t at = offset;
	for (unsigned i = 0; i < c->count; i++) {
		struct local_entry *entry = (struct local_entry *)(c->buffer + (at - offset));
		local_entry_seal(entry, to->salt, at);
		c->moves[i].to = to;
		c->moves[i].to_offset = at;
		at += local_entry_bytes(entry->stored_len);
	}
	struct iovec iov = {c->buffer, c->len};
	err = local_segment_write(to, &iov, 1, offset);
	struct local_op op = {
		.kind = LOCAL_OP_CHUNKS_MOVE,
		.moves = c->moves,
		.moves_count = c->count,
	};
	if (err == 0)
		err = local_commit(c->local, &op);
	if (err == 0)
		eos_counter_add(&moved, c->len);
	local_segment_written(&c->local->segments, to);
	local_segment_put(&c->local->segments, to);
	bool is_over = !pace(c, c->len);
	c->len = c->count = 0;
	return err == 0 && is_over ? -EINTR : err;
}

/* Whether a chunk refers to the entry at the present place. */
static int is_live(struct compaction *c, const struct local_entry *entry, bool *ret_is_live)
{
	struct local_chunk chunk;
	MDB_txn *txn;
	int err = local_read_begin(c->local, &txn);
	if (err < 0)
		return err;
	err = local_chunk_get(c->local, txn, entry->name, &chunk);
	mdb_txn_abort(txn);
	*ret_is_live = err == 0 && chunk.segment == c->from->id && chunk.offset == c->offset;
	return err == -ENOENT || err == -EBADMSG ? 0 : err;
}

/* Copies the entry at the present place into the buffer. */
static int copy_entry(struct compaction *c, const struct local_entry *entry)
{
	uint64_t bytes = local_entry_bytes(entry->stored_len);
	int err = 0;
	if (c->count == BATCH_CHUNKS || c->len + bytes > BATCH_BYTES + LOCAL_CHUNK_STORED_MAX)
		err = flush(c);
	if (err < 0)
		return err;
	uint8_t *out = c->buffer + c->len;
	err = local_segment_read(c->from, out, bytes, c->offset);
	if (err == 0 && local_payload_sum(entry->name, out + sizeof(*entry), entry->stored_len) !=
				entry->payload_sum)
		err = -EBADMSG;
	if (err == -EBADMSG || err == -ENODATA) {
		local_pins_set_damaged(&c->local->chunk_pins, entry->name, true);
		c->is_damaged = true;
		return 0;
	}
	if (err < 0)
		return err;
	struct local_move *move = &c->moves[c->count++];
	memcpy(move->name, entry->name, LOCAL_NAME_SIZE);
	move->from_segment = c->from->id;
	move->from_offset = c->offset;
	c->len += bytes;
	return c->len >= BATCH_BYTES ? flush(c) : 0;
}

/* Looks at the place C->OFFSET and goes on to the next. What is no entry (a write that was cut off
 * or refused) is passed over, 8 bytes at a time. */
static int step(struct compaction *c)
{
	struct local_entry entry;
	bool live;
	int err = local_segment_read(c->from, &entry, sizeof(entry), c->offset);
	if (err < 0)
		return err;
	if (local_entry_check(&entry, c->from->salt, c->offset) < 0) {
		c->offset += 8;
		return 0;
	}
	err = is_live(c, &entry, &live);
	if (err == 0 && live)
		err = copy_entry(c, &entry);
	c->offset += local_entry_bytes(entry.stored_len);
	return err;
}

static int drop(struct local *local, uint32_t id)
{
	struct local_op op = {.kind = LOCAL_OP_SEGMENT_DROP, .segment = id};
	int err = local_commit(local, &op);
	if (err == 0)
		eos_counter_add(&compacted, 1);
	return err;
}

static void set_stuck(struct local *local, uint32_t id)
{
	eos_log(EOS_LOG_ERROR, "store",
		"damaged: segment=%08x cannot be compacted; verify the store", id);
	local_segments_set_stuck(&local->segments, id);
}

static int empty_segment(struct compaction *c)
{
	int err = 0;
	while (err == 0 && c->offset + sizeof(struct local_entry) <= c->size)
		err = step(c);
	if (err == -ENODATA)
		err = 0; /* its end was never written */
	return err == 0 ? flush(c) : err;
}

/* Empties and drops one segment. */
static int compact_segment(struct local *local, const struct local_candidate *candidate,
			   uint64_t rate)
{
	struct compaction *c = NULL;
	int err = 0;
	if (candidate->live > 0) {
		c = calloc(1, sizeof(*c));
		if (c != NULL)
			c->buffer = malloc(BATCH_BYTES + 2 * LOCAL_CHUNK_STORED_MAX);
		if (c == NULL || c->buffer == NULL)
			err = -ENOMEM;
		if (err == 0)
			err = local_segment_get(&local->segments, candidate->id, &c->from);
		if (err == 0) {
			c->local = local;
			c->offset = LOCAL_SEGMENT_DATA_OFFSET;
			c->size = candidate->size;
			c->rate = rate;
			err = empty_segment(c);
			c->from = local_segment_put(&local->segments, c->from);
		}
		if (err == -EBADMSG || err == -ENOENT || err == -EIO ||
		    (err == 0 && c->is_damaged)) {
			set_stuck(local, candidate->id);
			err = -EBADMSG;
		}
	}
	if (c != NULL)
		free(c->buffer);
	free(c);
	if (err < 0)
		return err;
	err = drop(local, candidate->id);
	if (err == -EBUSY && candidate->live > 0) {
		/* Chunks whose entries could not be found: heads that are damaged. */
		struct local_candidate now;
		if (local_segments_candidate(&local->segments, candidate->id - 1, 100, &now) &&
		    now.id == candidate->id && now.live > 0 && now.live >= candidate->live / 64)
			set_stuck(local, candidate->id);
	}
	return err;
}

/* All segments of which at most PERCENT are live. */
static int compact_all(struct local *local, unsigned percent, uint64_t rate,
		       store_progress_fn progress, void *ctx)
{
	struct local_candidate candidate = {0};
	uint64_t done = 0;
	pthread_mutex_lock(&local->segments.lock);
	uint64_t of = local->segments.file_bytes;
	pthread_mutex_unlock(&local->segments.lock);
	while (local_segments_candidate(&local->segments, candidate.id, percent, &candidate)) {
		int err = compact_segment(local, &candidate, rate);
		if (err < 0 && err != -EBUSY && err != -EBADMSG)
			return err;
		done += candidate.size;
		if (progress != NULL && !progress(ctx, EOS_MIN(done, of), of))
			return -EINTR;
	}
	return 0;
}

static int reclaim_all(struct local *local)
{
	struct local_op op = {.kind = LOCAL_OP_RECLAIM};
	int err = 0;
	while (err == 0 && !op.is_reclaimed)
		err = local_commit(local, &op);
	return err;
}

int local_compact(struct store *store, store_progress_fn progress, void *ctx,
		  uint64_t *ret_freed_bytes)
{
	struct local *local = local_of(store);
	pthread_mutex_lock(&local->upkeep.compact_lock);
	pthread_mutex_lock(&local->segments.lock);
	uint64_t before = local->segments.file_bytes;
	pthread_mutex_unlock(&local->segments.lock);
	int err = reclaim_all(local);
	local_segments_seal(&local->segments);
	if (err == 0)
		err = compact_all(local, LIVE_PERCENT_MAX_DEMAND, 0, progress, ctx);
	pthread_mutex_lock(&local->segments.lock);
	uint64_t after = local->segments.file_bytes;
	pthread_mutex_unlock(&local->segments.lock);
	pthread_mutex_unlock(&local->upkeep.compact_lock);
	if (err == 0)
		*ret_freed_bytes = before > after ? before - after : 0;
	return err;
}

static void *upkeep_main(void *arg)
{
	struct local *local = arg;
	while (local_upkeep_sleep(&local->upkeep, LOCAL_UPKEEP_INTERVAL_NS)) {
		if (local_check_writable(local) < 0)
			continue;
		if (!atomic_load(&local->has_reserve))
			local_space_reserve(local);
		local_damages_tell(local);
		/* Who compacts already does more. */
		if (pthread_mutex_trylock(&local->upkeep.compact_lock) != 0)
			continue;
		int err = compact_all(local, LIVE_PERCENT_MAX, local->upkeep.rate, NULL, NULL);
		pthread_mutex_unlock(&local->upkeep.compact_lock);
		if (err < 0 && err != -EINTR)
			eos_log(EOS_LOG_WARN, "store", "compaction stopped error=%s",
				strerror(-err));
	}
	return NULL;
}

void local_upkeep_init(struct local_upkeep *upkeep)
{
	pthread_condattr_t monotonic;
	pthread_mutex_init(&upkeep->lock, NULL);
	pthread_mutex_init(&upkeep->compact_lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&upkeep->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
	upkeep->is_running = upkeep->is_stopping = false;
	upkeep->rate = LOCAL_UPKEEP_RATE;
}

void local_upkeep_fini(struct local_upkeep *upkeep)
{
	pthread_cond_destroy(&upkeep->wake);
	pthread_mutex_destroy(&upkeep->compact_lock);
	pthread_mutex_destroy(&upkeep->lock);
}

bool local_upkeep_sleep(struct local_upkeep *upkeep, uint64_t ns)
{
	uint64_t end = eos_now_ns() + ns;
	struct timespec at = {.tv_sec = (time_t)(end / EOS_NS_PER_S),
			      .tv_nsec = (long)(end % EOS_NS_PER_S)};
	pthread_mutex_lock(&upkeep->lock);
	while (!upkeep->is_stopping &&
	       pthread_cond_timedwait(&upkeep->wake, &upkeep->lock, &at) != ETIMEDOUT)
		;
	bool goes_on = !upkeep->is_stopping;
	pthread_mutex_unlock(&upkeep->lock);
	return goes_on;
}

int local_upkeep_start(struct local *local)
{
	sigset_t all, saved;
	/* Signals are for the threads that wait for them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	int err = pthread_create(&local->upkeep.thread, NULL, upkeep_main, local);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	local->upkeep.is_running = err == 0;
	return -err;
}

void local_upkeep_stop(struct local *local)
{
	struct local_upkeep *upkeep = &local->upkeep;
	if (!upkeep->is_running)
		return;
	pthread_mutex_lock(&upkeep->lock);
	upkeep->is_stopping = true;
	pthread_cond_signal(&upkeep->wake);
	pthread_mutex_unlock(&upkeep->lock);
	pthread_join(upkeep->thread, NULL);
	upkeep->is_running = false;
}
