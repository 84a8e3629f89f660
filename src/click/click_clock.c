#include "click/click_clock.h"

#include <stdatomic.h>

#include <sdk/click/click.h>

static _Atomic uint64_t clock_now_ns, clock_wall_ns;

void click_clock_set(uint64_t now_ns, uint64_t wall_ns)
{
	atomic_store_explicit(&clock_now_ns, now_ns, memory_order_relaxed);
	atomic_store_explicit(&clock_wall_ns, wall_ns, memory_order_relaxed);
}

uint64_t click_now_ns(void)
{
	return atomic_load_explicit(&clock_now_ns, memory_order_relaxed);
}

uint64_t click_wall_ns(void)
{
	return atomic_load_explicit(&clock_wall_ns, memory_order_relaxed);
}
