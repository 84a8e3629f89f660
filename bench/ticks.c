#include "ticks.h"

#include "base/assert.h"
#include "base/clock.h"

#define CALIBRATION_NS (20 * EOS_NS_PER_MS)

static double ns_per_tick;

void ticks_calibrate(void)
{
	uint64_t start_ns = eos_now_ns(), start = ticks_now(), ns;

	do {
		ns = eos_now_ns() - start_ns;
	} while (ns < CALIBRATION_NS);
	ns_per_tick = (double)ns / (double)(ticks_now() - start);
}

uint64_t ticks_to_ns(uint64_t ticks)
{
	EOS_ASSERT(ns_per_tick > 0);
	return (uint64_t)((double)ticks * ns_per_tick + 0.5);
}

uint64_t ticks_from_ns(uint64_t ns)
{
	EOS_ASSERT(ns_per_tick > 0);
	return (uint64_t)((double)ns / ns_per_tick);
}
