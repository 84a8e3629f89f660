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

/* What is left of AVERAGE after PERIODS without events: times (15/16)^PERIODS, by squaring. */
static uint64_t decay(uint64_t average, uint64_t periods)
{
	if (periods > 1024)
		return 0;	       /* (15/16)^1024 is less than 2^-95 */
	uint64_t factor = 15ull << 28; /* of 2^32 */
	while (periods) {
		if (periods & 1)
			average =
				(average >> 32) * factor + ((average & 0xffffffff) * factor >> 32);
		factor = factor * factor >> 32;
		periods >>= 1;
	}
	return average;
}

void click_ewma_update(struct click_ewma *ewma, uint64_t events, uint64_t now_ns)
{
	uint64_t period = now_ns / PERIOD_NS;
	if (period > ewma->period) {
		end_period(ewma);
		ewma->average = decay(ewma->average, period - ewma->period - 1);
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
