/*
 * Measured times, in memory that is there before the first is taken: adding one allocates nothing
 * and takes no page fault.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/assert.h"
#include "base/macros.h"
#include "base/why.h"

struct samples {
	uint64_t *values;
	size_t count, room;
};

/* -ENOMEM. */
int samples_init(struct samples *samples, size_t room, struct eos_why *why) EOS_MUST_CHECK;
/* Also of one that was not made. */
void samples_fini(struct samples *samples);

/* Sorts them; 0 when there are none. */
uint64_t samples_median(struct samples *samples);

static inline bool samples_is_full(const struct samples *samples)
{
	return samples->count == samples->room;
}

/* It is not full. */
static inline void samples_add(struct samples *samples, uint64_t value)
{
	EOS_ASSERT(!samples_is_full(samples));
	samples->values[samples->count++] = value;
}
