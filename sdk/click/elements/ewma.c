#include "elements/ewma.h"

#define PERIOD_NS 10000000ull
#define PERIODS_S 100ull
#define SHIFT	  4
/* A period with more is counted as that many: 2^40 times 100 and 2^16 fit in 63 bits. */
#define EVENTS_MAX (1ull << 40)

void click_ewma_init(struct click_ewma *ewma, uint64_t now_ns)
{
	*ewma = (struct click_ewma){.period = now_ns / PERIOD_NS};
}

static void end_period(struct click_ewma *ewma)
{
	uint64_t sample = ewma->events * PERIODS_S << 16;
	if (sample >= ewma->average)
		ewma->average += (sample - ewma->average) >> SHIFT;
	else
		ewma->average -= (ewma->average - sample) >> SHIFT;
	ewma->events = 0;
}

uint64_t click_decay(uint64_t value, unsigned shift, uint64_t times)
{
	/* What is left is less than e^-64 of it. */
	if (times > 64ull << shift)
		return 0;
	uint64_t factor = (1ull << 32) - (1ull << (32 - shift)); /* of 2^32 */
	while (times) {
		if (times & 1)
			value = (value >> 32) * factor + ((value & 0xffffffff) * factor >> 32);
		factor = factor * factor >> 32;
		times >>= 1;
	}
	return value;
}

void click_ewma_update(struct click_ewma *ewma, uint64_t events, uint64_t now_ns)
{
	uint64_t period = now_ns / PERIOD_NS;
	if (period > ewma->period) {
		end_period(ewma);
		ewma->average = click_decay(ewma->average, SHIFT, period - ewma->period - 1);
		ewma->period = period;
	}
	ewma->events += events;
	if (ewma->events > EVENTS_MAX)
		ewma->events = EVENTS_MAX;
}

uint64_t click_ewma_rate(const struct click_ewma *ewma)
{
	return ewma->average >> 16;
}
