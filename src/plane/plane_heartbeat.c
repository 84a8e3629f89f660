#include "plane/plane_heartbeat.h"

#include <sys/mman.h>

struct plane_heartbeats *plane_heartbeats_new(void)
{
	void *memory = mmap(NULL, sizeof(struct plane_heartbeats), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return NULL;
	plane_heartbeats_reset(memory);
	return memory;
}

struct plane_heartbeats *plane_heartbeats_free(struct plane_heartbeats *heartbeats)
{
	if (heartbeats != NULL)
		(void)munmap(heartbeats, sizeof(*heartbeats));
	return NULL;
}

void plane_heartbeats_reset(struct plane_heartbeats *heartbeats)
{
	for (unsigned i = 0; i < PLANE_LOOPS_MAX; i++)
		plane_beat_end(heartbeats, i);
	atomic_store_explicit(&heartbeats->limit_ns, PLANE_WATCHDOG_NS, memory_order_relaxed);
	plane_beat(heartbeats, 0);
}

uint64_t plane_watchdog_step_ns(uint64_t limit_ns)
{
	if (limit_ns == 0)
		return PLANE_WATCHDOG_LOOK_MAX;
	/* Not what a worker that is not what it should be makes the keeper busy with. */
	limit_ns = EOS_MAX(limit_ns, PLANE_WATCHDOG_NS_MIN);
	return EOS_MIN(limit_ns / PLANE_WATCHDOG_LOOKS, PLANE_WATCHDOG_LOOK_MAX);
}

bool plane_watchdog_look(struct plane_watchdog *watchdog, const struct plane_heartbeats *heartbeats,
			 uint64_t now_ns, unsigned *ret_index)
{
	uint64_t limit_ns = atomic_load_explicit(&heartbeats->limit_ns, memory_order_relaxed);
	uint64_t passed_ns = watchdog->looked_ns == 0 ? 0 : now_ns - watchdog->looked_ns;
	passed_ns = EOS_MIN(passed_ns, 2 * plane_watchdog_step_ns(limit_ns));
	watchdog->looked_ns = now_ns;
	for (unsigned i = 0; i < PLANE_LOOPS_MAX; i++) {
		uint64_t beats =
			atomic_load_explicit(&heartbeats->loops[i].beats, memory_order_relaxed);
		bool is_still = beats != 0 && beats == watchdog->beats[i];
		watchdog->beats[i] = beats;
		watchdog->still_ns[i] = is_still ? watchdog->still_ns[i] + passed_ns : 0;
		if (limit_ns != 0 && watchdog->still_ns[i] >= limit_ns) {
			*ret_index = i;
			return true;
		}
	}
	return false;
}
