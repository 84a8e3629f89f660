/*
 * The engine: what an engine's thread needs once, and the timer that takes the processor from what
 * runs too long.
 *
 * The timer is one-shot and stays armed while FWPs come and go: who starts with a later end leaves
 * it alone, and the handler arms it anew for whoever runs when it fires. So FWPs that run shorter
 * than their slices cost one timer_settime() a slice's length at most, and none when nobody runs.
 */
#include "fwp/fwp_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/file.h"
#include "base/str.h"
#include "fwp/fwp_pages_priv.h"

#define FWPS_MAX_DEFAULT  1024u
#define POOL_HIGH_DEFAULT 64u
/* From the kernel's linux/prctl.h of version 6.18. */
#define THP_DISABLE_EXCEPT_ADVISED (1UL << 1)
/* Where addresses of 47 bits end: 2^47 bytes by a little more than 8 GiB. */
#define SLOTS_MAX 16000u
/* Linux's default, taken where /proc cannot be read. */
#define MAP_COUNT_DEFAULT 65530u
/* Mappings left for everything else in the process. */
#define MAP_COUNT_RESERVE 1000u

_Thread_local struct fwp_engine *fwp_engine_here;
/* The sums of all engines: the limits are the process's. */
static _Atomic uint64_t slots_promised, mappings_promised;

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

static uint64_t mappings_of(unsigned fwps_max, bool shares_page)
{
	return (uint64_t)fwps_max * (shares_page ? FWP_SLOT_MAPPINGS_PAGED : FWP_SLOT_MAPPINGS);
}

/* All that was promised, this engine's included. */
static int check_slots(uint64_t slots, uint64_t mappings, struct eos_why *why)
{
	if (slots > SLOTS_MAX)
		return eos_why(why, -ERANGE,
			       "%llu featherweight processes do not fit into the address space of "
			       "one process: %u do",
			       (unsigned long long)slots, SLOTS_MAX);
	uint64_t need = mappings + MAP_COUNT_RESERVE;
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

/* A small instance must not cost a large page. Tables that ask for such pages get them still, on
 * kernels that know the difference. */
static void disable_large_pages(void)
{
	if (prctl(PR_SET_THP_DISABLE, 1, THP_DISABLE_EXCEPT_ADVISED, 0, 0) < 0)
		/* Kernels without any answer EINVAL. */
		(void)prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
}

static int make_timer(struct fwp_engine *engine)
{
	struct sigevent event = {
		.sigev_notify = SIGEV_THREAD_ID,
		.sigev_signo = fwp_signal_timer(),
	};
	event._sigev_un._tid = (pid_t)syscall(SYS_gettid);
	int err = eos_fault("fwp.timer_create");
	if (err < 0)
		return err;
	return timer_create(CLOCK_MONOTONIC, &event, &engine->timer) < 0 ? -errno : 0;
}

static struct fwp_engine *free_engine(struct fwp_engine *engine)
{
	if (engine != NULL) {
		fwp_pool_free_places(engine);
		fwp_turns_fini(engine);
		fwp_shared_fini(engine);
		eos_close(engine->pagemap_fd);
	}
	free(engine);
	return NULL;
}

/* The engine as far as it does not concern the thread. */
static int make_engine(const struct fwp_engine_config *config, unsigned fwps_max,
		       struct fwp_engine **ret_engine, struct eos_why *why)
{
	int err = eos_fault("fwp.calloc");
	struct fwp_engine *engine = err == 0 ? calloc(1, sizeof(*engine)) : NULL;
	if (engine == NULL)
		return eos_why(why, -ENOMEM, "no memory for an engine");
	engine->fwps_max = fwps_max;
	engine->pool_high =
		config != NULL && config->pool_high > 0 ? config->pool_high : POOL_HIGH_DEFAULT;
	engine->pool_low = config != NULL ? EOS_MIN(config->pool_low, engine->pool_high) : 0;
	engine->shares_page = config != NULL && config->shares_page;
	engine->next_id = 1;
	engine->page_fd = -1;
	engine->pagemap_fd = fwp_pages_open();
	engine->counts_faults = fwp_pages_counts_faults();
	eos_fast_clock_init(&engine->clock);
	atomic_init(&engine->armed_ns, UINT64_MAX);
	eos_list_init(&engine->pools);
	eos_list_init(&engine->dirty);
	eos_list_init(&engine->made);
	fwp_pool_init(&engine->plain, engine, NULL);
	err = fwp_pool_reserve_places(engine);
	if (err == 0 && engine->shares_page)
		err = fwp_shared_make(engine);
	if (err < 0) {
		free_engine(engine);
		return eos_why(why, err, "no memory for %u featherweight processes", fwps_max);
	}
	*ret_engine = engine;
	return 0;
}

int fwp_engine_new(const struct fwp_engine_config *config, struct fwp_engine **ret_engine,
		   struct eos_why *why)
{
	if (fwp_engine_here != NULL)
		return eos_why(why, -EBUSY, "this thread has an engine already");
	unsigned fwps_max =
		config != NULL && config->fwps_max > 0 ? config->fwps_max : FWPS_MAX_DEFAULT;
	bool shares_page = config != NULL && config->shares_page;
	uint64_t mappings = mappings_of(fwps_max, shares_page);
	uint64_t slots = atomic_fetch_add(&slots_promised, fwps_max) + fwps_max;
	struct fwp_engine *engine = NULL;
	int err =
		check_slots(slots, atomic_fetch_add(&mappings_promised, mappings) + mappings, why);
	if (err == 0)
		err = fwp_signal_install(why);
	if (err == 0)
		err = make_engine(config, fwps_max, &engine, why);
	if (err < 0)
		goto fail;
	disable_large_pages();
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
	free_engine(engine);
	atomic_fetch_sub(&slots_promised, fwps_max);
	atomic_fetch_sub(&mappings_promised, mappings);
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
	EOS_ASSERT(eos_list_is_empty(&engine->pools));
	fwp_engine_count(engine);
	atomic_fetch_sub(&slots_promised, engine->fwps_max);
	atomic_fetch_sub(&mappings_promised, mappings_of(engine->fwps_max, engine->shares_page));
	return free_engine(engine);
}

bool fwp_engine_maintain(struct fwp_engine *engine)
{
	EOS_ASSERT(engine == fwp_engine_here);
	if (fwp_pool_maintain(engine))
		return true;
	fwp_engine_count(engine);
	return false;
}

void fwp_engine_shrink(struct fwp_engine *engine)
{
	EOS_ASSERT(engine == fwp_engine_here);
	fwp_pool_shrink(engine);
}

void fwp_engine_stats(const struct fwp_engine *engine, struct fwp_engine_stats *ret_stats)
{
	struct fwp_engine_stats stats = {
		.alive = engine->alive_count,
		.alive_max = engine->alive_max,
		.made = engine->made_count,
		.dirty = engine->plain.dirty_count,
	};
	for (struct eos_list *node = engine->pools.next; node != &engine->pools;
	     node = node->next) {
		const struct fwp_pool *pool = EOS_CONTAINER_OF(node, struct fwp_pool, node);
		stats.clean += pool->clean_count;
		stats.warm += pool->warm_count;
		stats.dirty += pool->dirty_count;
	}
	*ret_stats = stats;
}

int fwp_engine_arm(struct fwp_engine *engine, uint64_t end_ns)
{
	struct itimerspec when = {
		.it_value = {.tv_sec = (time_t)(end_ns / EOS_NS_PER_S),
			     .tv_nsec = (long)(end_ns % EOS_NS_PER_S)},
	};
	/* The time first: the signal may come before the call returns. */
	atomic_store_explicit(&engine->armed_ns, end_ns, memory_order_relaxed);
	atomic_signal_fence(memory_order_seq_cst);
	/* Fails for arguments that ours are not: a wrong timer, or nanoseconds beyond a second. */
	int err = eos_fault("fwp.timer_settime");
	if (err == 0 && timer_settime(engine->timer, TIMER_ABSTIME, &when, NULL) < 0)
		err = -errno;
	/* Whoever needs it next tries again. */
	if (EOS_UNLIKELY(err < 0))
		atomic_store_explicit(&engine->armed_ns, UINT64_MAX, memory_order_relaxed);
	return err;
}
