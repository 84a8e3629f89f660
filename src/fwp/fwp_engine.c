/*
 * The engine: the pool of places for FWPs, and the timer that ends what runs too long.
 *
 * The pool grows on demand to fwps_max and never shrinks: a place that was given back keeps its
 * struct and its reservation, so that fwp_new() on it allocates nothing and, for a guest of the
 * same sizes, makes no system call. The place used last is taken first: its caches are warm.
 *
 * The timer is one-shot and stays armed while FWPs come and go: at most one timer_settime() per
 * tick_ns under load, none when nobody with a timeout runs.
 */
#include "fwp/fwp_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/counter.h"
#include "base/file.h"
#include "base/str.h"
#include "fwp/fwp_pages_priv.h"

#define FWPS_MAX_DEFAULT 1024u
#define WARM_MAX_DEFAULT 64u
#define TICK_NS_DEFAULT	 (10 * EOS_NS_PER_MS)
/* Shorter waits would be spent in the kernel. */
#define TICK_NS_MIN (50 * EOS_NS_PER_US)
/* Where addresses of 47 bits end: 2^47 bytes by a little more than 8 GiB. */
#define SLOTS_MAX 16000u
/* Linux's default, taken where /proc cannot be read. */
#define MAP_COUNT_DEFAULT 65530u
/* Mappings left for everything else in the process. */
#define MAP_COUNT_RESERVE 1000u

EOS_COUNTER(slots_made, "fwp.slots_total", "Address-space reservations made.");
EOS_COUNTER(slots_lost, "fwp.slots_lost_total", "Reservations that could not be cleaned.");
EOS_COUNTER(refused, "fwp.refused_total", "Featherweight processes refused at the limit.");

_Thread_local struct fwp_engine *fwp_engine_here;
/* The sum of fwps_max of all engines: the limits are the process's. */
static _Atomic unsigned slots_promised;

static uint64_t read_map_count_max(void)
{
	struct eos_buf buf EOS_CLEANUP(eos_buf_fini);
	eos_buf_init(&buf);
	uint64_t value;
	if (eos_read_file(AT_FDCWD, "/proc/sys/vm/max_map_count", 64, &buf) < 0 || buf.len < 2)
		return MAP_COUNT_DEFAULT;
	buf.data[buf.len - 1] = '\0'; /* the line's end */
	return eos_parse_u64(buf.data, &value) == 0 ? value : MAP_COUNT_DEFAULT;
}

static int check_slots(unsigned fwps_max, unsigned promised, struct eos_why *why)
{
	uint64_t slots = (uint64_t)fwps_max + promised;
	if (slots > SLOTS_MAX)
		return eos_why(why, -ERANGE,
			       "%llu featherweight processes do not fit into the address space of "
			       "one process: %u do",
			       (unsigned long long)slots, SLOTS_MAX);
	uint64_t need = slots * FWP_SLOT_MAPPINGS + MAP_COUNT_RESERVE;
	uint64_t have = read_map_count_max();
	if (need > have)
		return eos_why(why, -ERANGE,
			       "%llu featherweight processes need vm.max_map_count of %llu, but it "
			       "is %llu: raise it (sysctl -w vm.max_map_count=%llu) or lower the "
			       "number",
			       (unsigned long long)slots, (unsigned long long)need,
			       (unsigned long long)have, (unsigned long long)need);
	return 0;
}

static int make_timer(struct fwp_engine *engine)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = fwp_signal_timer(),
	};
	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	return timer_create(CLOCK_MONOTONIC, &event, &engine->timer) < 0 ? -errno : 0;
}

int fwp_engine_new(const struct fwp_engine_config *config, struct fwp_engine **ret_engine,
		   struct eos_why *why)
{
	if (fwp_engine_here != NULL)
		return eos_why(why, -EBUSY, "this thread has an engine already");
	unsigned fwps_max =
		config != NULL && config->fwps_max > 0 ? config->fwps_max : FWPS_MAX_DEFAULT;
	unsigned promised = atomic_fetch_add(&slots_promised, fwps_max);
	struct fwp_engine *engine = NULL;
	int err = check_slots(fwps_max, promised, why);
	if (err < 0)
		goto fail;
	err = fwp_signal_install(why);
	if (err < 0)
		goto fail;
	engine = calloc(1, sizeof(*engine));
	if (engine == NULL) {
		err = eos_why(why, -ENOMEM, "no memory for an engine");
		goto fail;
	}
	engine->fwps_max = fwps_max;
	engine->tick_ns = config != NULL && config->tick_ns > 0 ? config->tick_ns : TICK_NS_DEFAULT;
	engine->tick_ns = EOS_MAX(engine->tick_ns, TICK_NS_MIN);
	engine->next_id = 1;
	engine->pagemap_fd = fwp_pages_open();
	engine->warm_max =
		config != NULL && config->warm_max > 0 ? config->warm_max : WARM_MAX_DEFAULT;
	engine->start_ns = eos_now_ns();
	engine->start_ticks = fwp_machine_ticks();
	eos_list_init(&engine->free);
	sched_context_init_thread(&engine->context);
	err = make_timer(engine);
	if (err < 0) {
		err = eos_why(why, err, "cannot make a timer");
		goto fail;
	}
	err = fwp_signal_thread_start(engine);
	if (err < 0) {
		(void)timer_delete(engine->timer);
		err = eos_why(why, err, "cannot prepare the thread's signals");
		goto fail;
	}
	fwp_engine_here = engine;
	*ret_engine = engine;
	return 0;
fail:
	if (engine != NULL)
		eos_close(engine->pagemap_fd);
	free(engine);
	atomic_fetch_sub(&slots_promised, fwps_max);
	return err;
}

struct fwp_engine *fwp_engine_free(struct fwp_engine *engine)
{
	if (engine == NULL)
		return NULL;
	EOS_ASSERT(engine == fwp_engine_here && engine->alive_count == 0);
	(void)timer_delete(engine->timer);
	fwp_engine_here = NULL;
	fwp_signal_thread_stop(engine);
	while (engine->made != NULL) {
		struct fwp *fwp = engine->made;
		engine->made = fwp->next_made;
		fwp_slot_unmap(&fwp->slot);
		free(fwp);
	}
	atomic_fetch_sub(&slots_promised, engine->fwps_max);
	eos_close(engine->pagemap_fd);
	free(engine);
	return NULL;
}

/* A new place in the pool. */
static int make_place(struct fwp_engine *engine, struct fwp **ret_fwp, struct eos_why *why)
{
	struct fwp *fwp = calloc(1, sizeof(*fwp));
	if (fwp == NULL)
		return eos_why(why, -ENOMEM, "no memory for a featherweight process");
	int err = fwp_slot_map(&fwp->slot, engine->made_count);
	if (err < 0) {
		free(fwp);
		return eos_why(why, err,
			       "cannot reserve 8 GiB of addresses for a featherweight process "
			       "(is there a limit, ulimit -v?)");
	}
	fwp_place_init(fwp);
	eos_list_init(&fwp->node);
	fwp->engine = engine;
	fwp->next_made = engine->made;
	engine->made = fwp;
	engine->made_count++;
	eos_counter_add(&slots_made, 1);
	*ret_fwp = fwp;
	return 0;
}

int fwp_engine_take(struct fwp_engine *engine, struct fwp **ret_fwp, struct eos_why *why)
{
	EOS_ASSERT(engine == fwp_engine_here);
	if (engine->alive_count == engine->fwps_max) {
		eos_counter_add(&refused, 1);
		return eos_why(why, -EAGAIN, "all %u featherweight processes are in use",
			       engine->fwps_max);
	}
	struct eos_list *node = eos_list_take(&engine->free);
	struct fwp *fwp = NULL;
	if (node != NULL) {
		fwp = EOS_CONTAINER_OF(node, struct fwp, node);
		engine->free_count--;
	} else {
		int err = make_place(engine, &fwp, why);
		if (err < 0)
			return err;
	}
	engine->alive_count++;
	*ret_fwp = fwp;
	return 0;
}

/* Takes a place out of the pool for good. Rare, so the walk does not matter. */
static void drop_place(struct fwp *fwp)
{
	struct fwp **link = &fwp->engine->made;
	while (*link != fwp)
		link = &(*link)->next_made;
	*link = fwp->next_made;
	fwp_slot_unmap(&fwp->slot);
	free(fwp);
	eos_counter_add(&slots_lost, 1);
}

void fwp_engine_give(struct fwp *fwp)
{
	struct fwp_engine *engine = fwp->engine;
	EOS_ASSERT(engine == fwp_engine_here && engine->alive_count > 0);
	engine->alive_count--;
	/* What the next tenant would see must be gone; better no slot than a dirty one. */
	int pagemap_fd = engine->free_count < engine->warm_max ? engine->pagemap_fd : -1;
	if (fwp_slot_clean(&fwp->slot, pagemap_fd) < 0) {
		drop_place(fwp);
		return;
	}
	/* At the head: last given, first taken. */
	eos_list_add_tail(engine->free.next, &fwp->node);
	engine->free_count++;
}

void fwp_engine_arm(struct fwp_engine *engine, uint64_t remaining_ns)
{
	uint64_t ns = EOS_MIN(remaining_ns, engine->tick_ns);
	ns = EOS_MAX(ns, TICK_NS_MIN);
	struct itimerspec when = {
		.it_value = {.tv_sec = (time_t)(ns / EOS_NS_PER_S),
			     .tv_nsec = (long)(ns % EOS_NS_PER_S)},
	};
	/* The flag first: the signal may come before the call returns. */
	atomic_store_explicit(&engine->is_armed, true, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	(void)timer_settime(engine->timer, 0, &when, NULL);
}
