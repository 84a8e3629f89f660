/*
 * Rates as exponentially weighted moving averages, as Meter and its like measure them.
 *
 * Time is cut into periods of 10 ms. When a period with N events ends, the rate moves a sixteenth
 * of the way to that period's: rate += (N * 100 - rate) / 16. It is kept with 16 bits behind the
 * point. Periods without events are caught up at once, by powers of 15/16.
 */
#pragma once

#include <stdint.h>

struct click_ewma {
	uint64_t average; /* events a second, times 2^16 */
	uint64_t events;  /* in this period */
	uint64_t period;  /* its number */
};

void click_ewma_init(struct click_ewma *ewma, uint64_t now_ns);
/* EVENTS more, now. */
void click_ewma_update(struct click_ewma *ewma, uint64_t events, uint64_t now_ns);
/* Events a second, as of the last update. */
uint64_t click_ewma_rate(const struct click_ewma *ewma);

/* VALUE * (1 - 2^-SHIFT)^TIMES, by squaring; SHIFT is 1 to 31. */
uint64_t click_decay(uint64_t value, unsigned shift, uint64_t times);
