/*
 * Signs of life: what the worker's loops write and its keeper reads, in memory of both.
 *
 * Each loop of the worker has a number of its own, which it changes in every turn (its sleeps are
 * short), and which is 0 while there is no such loop. A loop whose number stood still for longer
 * than the worker's own limit says is hung, and the keeper ends the worker.
 *
 * The keeper takes what it reads for hostile: all it does with it is to compare.
 */
#pragma once

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"

#define PLANE_LOOPS_MAX		64u /* a loop for each thread of the worker */
#define PLANE_WATCHDOG_NS	(120 * UINT64_C(1000000000)) /* by default */
#define PLANE_WATCHDOG_NS_MIN	UINT64_C(1000000000)
#define PLANE_WATCHDOG_NS_MAX	(86400 * UINT64_C(1000000000))
#define PLANE_WATCHDOG_LOOKS	4u /* and sleeps, at least, in the time of the limit */
#define PLANE_WATCHDOG_LOOK_MAX UINT64_C(1000000000)

struct plane_heartbeat {
	alignas(64) _Atomic uint64_t beats; /* its loop's, which writes it alone; 0: no loop */
};

struct plane_heartbeats {
	struct plane_heartbeat loops[PLANE_LOOPS_MAX];
	_Atomic uint64_t limit_ns; /* the worker's, when it has read its configuration; 0: none */
};

/* Memory that children share, with the first loop's beating already, so that a hang while the
 * worker starts is seen, and the default limit. NULL: no memory. */
struct plane_heartbeats *plane_heartbeats_new(void);
struct plane_heartbeats *plane_heartbeats_free(struct plane_heartbeats *heartbeats);
/* Before a worker is started: as plane_heartbeats_new() left it. */
void plane_heartbeats_reset(struct plane_heartbeats *heartbeats);

/* The loop INDEX is alive. Two accesses to memory of its own; on the loop's thread. */
static inline void plane_beat(struct plane_heartbeats *heartbeats, unsigned index)
{
	_Atomic uint64_t *beats = &heartbeats->loops[index].beats;
	uint64_t next = atomic_load_explicit(beats, memory_order_relaxed) + 1;
	atomic_store_explicit(beats, next != 0 ? next : 1, memory_order_relaxed);
}

/* The loop INDEX has ended, and is not expected to beat any more. */
static inline void plane_beat_end(struct plane_heartbeats *heartbeats, unsigned index)
{
	atomic_store_explicit(&heartbeats->loops[index].beats, 0, memory_order_relaxed);
}

/* How long a loop may sleep, and the keeper between two looks, where LIMIT_NS is the limit. */
uint64_t plane_watchdog_step_ns(uint64_t limit_ns);

/* The keeper's memory of what it saw. All zero at the start. */
struct plane_watchdog {
	uint64_t looked_ns;
	uint64_t beats[PLANE_LOOPS_MAX];
	uint64_t still_ns[PLANE_LOOPS_MAX];
};

/* Looks at NOW_NS. True: a loop, RET_INDEX, stood still for its limit. Of the time since the last
 * look at most two steps count, as who was frozen together with the worker (a machine that slept,
 * a debugger) has not waited for it. */
bool plane_watchdog_look(struct plane_watchdog *watchdog, const struct plane_heartbeats *heartbeats,
			 uint64_t now_ns, unsigned *ret_index);
