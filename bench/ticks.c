#include "ticks.h"

#include "base/assert.h"
#include "base/clock.h"
#include "base/macros.h"

#define CALIBRATION_NS (20 * EOS_NS_PER_MS)
#define READINGS       1000

static double ns_per_tick;
static uint64_t reading_ticks; /* the least that is between two readings */

void ticks_calibrate(void)
{
	uint64_t start_ns = eos_now_ns(), start = ticks_now(), ns;

	do {
		ns = eos_now_ns() - start_ns;
	} while (ns < CALIBRATION_NS);
	ns_per_tick = (double)ns / (double)(ticks_now() - start);
	reading_ticks = UINT64_MAX;
	for (int i = 0; i < READINGS; i++) {
		start = ticks_now();
		reading_ticks = EOS_MIN(reading_ticks, ticks_now() - start);
	}
}

uint64_t ticks_between_ns(uint64_t start, uint64_t end)
{
	EOS_ASSERT(ns_per_tick > 0);
	uint64_t ticks = end - start;

	return (uint64_t)((double)(ticks - EOS_MIN(ticks, reading_ticks)) * ns_per_tick + 0.5);
}
