/*
 * The scrub's thread: when a pass begins, how fast it goes, and what is remembered of it.
 *
 * A pass begins an interval after the last one began, at once when there was none, and goes at the
 * rate at most: at a quarter of it while changes are committed. An empty store is not looked at:
 * the thread waits, without a time, until something is committed. The thread is made when the scrub
 * is first turned on.
 *
 * Where a pass stands is saved every ten minutes and when the store is closed, in the store itself:
 * a week's pass on a machine that is switched off each evening would never end otherwise. After a
 * crash up to ten minutes are read again.
 */
#include "store/local_scrub_priv.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "store/local_changes_priv.h"

EOS_COUNTER(scrubbed, "store.scrubbed_bytes_total", "Bytes read and checked by the scrub.")
EOS_COUNTER(scrub_damages, "store.scrub_damages_total",
	    "Damaged chunks, records and objects that the scrub met.")
EOS_COUNTER(scrub_passes, "store.scrub_passes_total", "Passes of the scrub that came to the end.")

#define SAVE_NS (UINT64_C(600) * EOS_NS_PER_S)
/* Sleeps are no shorter: what is read in between goes at full speed. */
#define NAP_NS	   (20 * EOS_NS_PER_MS)
#define RETRY_NS   (UINT64_C(60) * EOS_NS_PER_S)
#define WAIT_NS	   (UINT64_C(86400) * EOS_NS_PER_S) /* the wall clock may be set meanwhile */
#define BUSY_TIMES 4u
#define LOGGED_MAX 1000u /* in a pass */

static char record_name[] = "scrub";

void local_scrub_init(struct local_scrub *scrub)
{
	pthread_condattr_t monotonic;
	memset(scrub, 0, sizeof(*scrub));
	pthread_mutex_init(&scrub->lock, NULL);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&scrub->wake, &monotonic);
	pthread_condattr_destroy(&monotonic);
}

void local_scrub_fini(struct local_scrub *scrub)
{
	EOS_ASSERT(!scrub->has_thread);
	pthread_cond_destroy(&scrub->wake);
	pthread_mutex_destroy(&scrub->lock);
}

static uint64_t record_sum(const struct local_scrub_record *record)
{
	return local_sum((const char *)record + sizeof(record->sum),
			 sizeof(*record) - sizeof(record->sum), 0);
}

/* Whatever cannot be read: then the pass begins anew. */
static void load(struct local *local)
{
	struct local_scrub_record record;
	MDB_val key = {.mv_size = sizeof(record_name), .mv_data = record_name}, value;
	MDB_txn *txn;
	if (local_read_begin(local, &txn) < 0)
		return;
	if (mdb_get(txn, local->meta, &key, &value) == 0 && value.mv_size == sizeof(record)) {
		memcpy(&record, value.mv_data, sizeof(record));
		if (record.sum == record_sum(&record))
			local->scrub.record = record;
	}
	mdb_txn_abort(txn);
}

int local_apply_scrub(struct local_txn *t, struct local_op *op)
{
	struct local_scrub_record record;
	MDB_val key = {.mv_size = sizeof(record_name), .mv_data = record_name};
	MDB_val value = {.mv_size = sizeof(record), .mv_data = &record};
	memcpy(&record, op->data, sizeof(record));
	record.sum = record_sum(&record);
	int err = local_put(t->txn, t->local->meta, &key, &value, 0);
	return err < 0 ? err : local_accept(t, op);
}

static void save(struct local *local)
{
	struct local_scrub_record record;
	pthread_mutex_lock(&local->scrub.lock);
	record = local->scrub.record;
	pthread_mutex_unlock(&local->scrub.lock);
	struct local_op op = {.kind = LOCAL_OP_SCRUB, .data = &record};
	int err = local_commit(local, &op);
	local->scrub.saved_ns = eos_now_ns();
	local->scrub.activity = atomic_load(&local->activity);
	if (err < 0 && err != -EROFS)
		eos_log(EOS_LOG_WARN, "store", "the scrub's position is not saved error=%s",
			strerror(-err));
}

/* Until UNTIL_NS (monotonic), a change of the rate, or the end. */
static void wait_locked(struct local_scrub *scrub, uint64_t until_ns)
{
	struct timespec at = {.tv_sec = (time_t)(until_ns / EOS_NS_PER_S),
			      .tv_nsec = (long)(until_ns % EOS_NS_PER_S)};
	while (!scrub->is_stopping && !scrub->is_changed &&
	       pthread_cond_timedwait(&scrub->wake, &scrub->lock, &at) != ETIMEDOUT)
		;
}

bool local_scrub_pace(struct local *local, uint64_t bytes)
{
	struct local_scrub *scrub = &local->scrub;
	uint64_t activity = atomic_load(&local->activity);
	bool is_busy = activity != scrub->activity;
	scrub->activity = activity;
	eos_counter_add(&scrubbed, bytes);
	scrub->debt += bytes * (is_busy ? BUSY_TIMES : 1);
	pthread_mutex_lock(&scrub->lock);
	scrub->record.bytes += bytes;
	while (scrub->rate > 0 && !scrub->is_stopping) {
		uint64_t rate = scrub->rate;
		/* Debts are small, but a changed rate must not make the product overflow. */
		uint64_t ns = (uint64_t)((double)scrub->debt / (double)rate * 1e9);
		if (ns < NAP_NS)
			break;
		scrub->is_changed = false;
		wait_locked(scrub, eos_now_ns() + ns);
		if (!scrub->is_changed) {
			scrub->debt = 0;
			break;
		}
	}
	bool goes_on = scrub->rate > 0 && !scrub->is_stopping;
	pthread_mutex_unlock(&scrub->lock);
	if (goes_on && eos_now_ns() - scrub->saved_ns > SAVE_NS)
		save(local);
	return goes_on;
}

void local_scrub_damage(struct local *local, const char *what, const char *bucket, const char *key,
			size_t key_len)
{
	struct local_scrub *scrub = &local->scrub;
	eos_counter_add(&scrub_damages, 1);
	pthread_mutex_lock(&scrub->lock);
	uint64_t nth = ++scrub->record.damages;
	pthread_mutex_unlock(&scrub->lock);
	/* The first ones by name; a disk that dies must not fill the log. */
	if (nth <= LOGGED_MAX)
		eos_log(EOS_LOG_ERROR, "store",
			"damaged, found by the scrub what=\"%s\" bucket=%s key=%.*s%s", what,
			bucket, (int)key_len, key == NULL ? "" : key,
			nth == LOGGED_MAX ? " (more are counted, not told)" : "");
}

/* Whether there is anything but the tables themselves. */
static int is_empty(struct local *local)
{
	struct local_state state;
	MDB_txn *txn;
	int err = local_read_begin(local, &txn);
	if (err < 0)
		return err;
	err = local_state_get(local, txn, &state);
	mdb_txn_abort(txn);
	return err < 0 ? err : state.sequence == 0;
}

/* Waits until a pass is due. False: the store is being closed. */
static bool wait_until_due(struct local *local)
{
	struct local_scrub *scrub = &local->scrub;
	/* Before the look: what is committed behind it wakes us. */
	pthread_mutex_lock(&scrub->lock);
	scrub->waits_for_data = true;
	pthread_mutex_unlock(&scrub->lock);
	int empty = is_empty(local);
	pthread_mutex_lock(&scrub->lock);
	while (empty == 1 && scrub->waits_for_data && !scrub->is_stopping)
		pthread_cond_wait(&scrub->wake, &scrub->lock);
	scrub->waits_for_data = false;
	if (empty < 0)
		wait_locked(scrub, eos_now_ns() + RETRY_NS);
	while (!scrub->is_stopping) {
		const struct local_scrub_record *record = &scrub->record;
		uint64_t now = eos_wall_ns(), wait_ns = WAIT_NS;
		scrub->is_changed = false;
		if (scrub->rate > 0) {
			if (record->is_running || record->begun_ns == 0 || record->begun_ns > now ||
			    now - record->begun_ns >= scrub->interval_ns)
				break;
			wait_ns = EOS_MIN(wait_ns, record->begun_ns + scrub->interval_ns - now);
			wait_locked(scrub, eos_now_ns() + wait_ns);
		} else {
			while (!scrub->is_changed && !scrub->is_stopping)
				pthread_cond_wait(&scrub->wake, &scrub->lock);
		}
	}
	bool goes_on = !scrub->is_stopping;
	pthread_mutex_unlock(&scrub->lock);
	return goes_on;
}

static void begin_pass(struct local_scrub *scrub)
{
	struct local_scrub_record *record = &scrub->record;
	pthread_mutex_lock(&scrub->lock);
	if (!record->is_running) {
		record->is_running = 1;
		record->begun_ns = eos_wall_ns();
		record->bytes = record->damages = record->offset = 0;
		record->segment = 0;
		record->phase = LOCAL_SCRUB_DATA;
	}
	pthread_mutex_unlock(&scrub->lock);
}

static void end_phase(struct local *local)
{
	struct local_scrub_record *record = &local->scrub.record;
	pthread_mutex_lock(&local->scrub.lock);
	bool is_over = record->phase != LOCAL_SCRUB_DATA;
	if (is_over) {
		record->is_running = 0;
		record->ended_ns = eos_wall_ns();
		record->last_damages = record->damages;
		record->passes++;
	} else {
		record->phase = LOCAL_SCRUB_TABLES;
	}
	pthread_mutex_unlock(&local->scrub.lock);
	if (is_over) {
		eos_counter_add(&scrub_passes, 1);
		save(local);
	}
}

static void *scrub_main(void *arg)
{
	struct local *local = arg;
	struct local_scrub *scrub = &local->scrub;
	scrub->saved_ns = eos_now_ns();
	while (wait_until_due(local)) {
		begin_pass(scrub);
		int err = scrub->record.phase == LOCAL_SCRUB_DATA ? local_scrub_data(local)
								  : local_scrub_tables(local);
		if (err == 0)
			end_phase(local);
		if (err == 0 || err == -EINTR)
			continue;
		eos_log(EOS_LOG_WARN, "store", "the scrub stopped for a minute error=%s",
			strerror(-err));
		pthread_mutex_lock(&scrub->lock);
		wait_locked(scrub, eos_now_ns() + RETRY_NS);
		pthread_mutex_unlock(&scrub->lock);
	}
	if (scrub->record.is_running)
		save(local);
	return NULL;
}

/* Under the lock. */
static int start_thread_locked(struct local *local)
{
	sigset_t all, saved;
	load(local);
	/* Signals are for the threads that wait for them. */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	int err = pthread_create(&local->scrub.thread, NULL, scrub_main, local);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	local->scrub.has_thread = err == 0;
	return -err;
}

int local_scrub_set(struct store *store, uint64_t rate, uint64_t interval_ns)
{
	struct local *local = local_of(store);
	struct local_scrub *scrub = &local->scrub;
	int err = 0;
	pthread_mutex_lock(&scrub->lock);
	scrub->rate = rate;
	scrub->interval_ns = interval_ns;
	scrub->is_changed = true;
	if (!scrub->has_thread && rate > 0)
		err = start_thread_locked(local);
	pthread_cond_broadcast(&scrub->wake);
	pthread_mutex_unlock(&scrub->lock);
	return err;
}

int local_scrub_get(struct store *store, struct store_scrub *ret_scrub)
{
	struct local *local = local_of(store);
	struct local_scrub *scrub = &local->scrub;
	pthread_mutex_lock(&local->segments.lock);
	uint64_t of = local->segments.live_bytes;
	pthread_mutex_unlock(&local->segments.lock);
	pthread_mutex_lock(&scrub->lock);
	const struct local_scrub_record *record = &scrub->record;
	*ret_scrub = (struct store_scrub){
		.rate = scrub->rate,
		.interval_ns = scrub->interval_ns,
		.is_running = record->is_running && scrub->rate > 0,
		.done_bytes = record->is_running ? record->bytes : 0,
		.of_bytes = of,
		.segment = record->is_running ? record->segment : 0,
		.damages = record->is_running ? record->damages : record->last_damages,
		.passes = record->passes,
		.begun_ns = record->begun_ns,
		.ended_ns = record->ended_ns,
	};
	pthread_mutex_unlock(&scrub->lock);
	return 0;
}

void local_scrub_poke(struct local_scrub *scrub)
{
	pthread_mutex_lock(&scrub->lock);
	if (scrub->waits_for_data) {
		scrub->waits_for_data = false;
		pthread_cond_broadcast(&scrub->wake);
	}
	pthread_mutex_unlock(&scrub->lock);
}

void local_scrub_stop(struct local *local)
{
	struct local_scrub *scrub = &local->scrub;
	pthread_mutex_lock(&scrub->lock);
	scrub->is_stopping = true;
	pthread_cond_broadcast(&scrub->wake);
	bool has_thread = scrub->has_thread;
	pthread_mutex_unlock(&scrub->lock);
	if (has_thread)
		pthread_join(scrub->thread, NULL);
	scrub->has_thread = false;
}
