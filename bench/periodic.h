/*
 * A thread of Linux that wants to run every so often, beside processes that spin on its core: what
 * the bench "neighbour" compares with.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"
#include "samples.h"

/* The first time after NOW_NS that is a whole number of periods after DUE_NS: those that were
 * missed are not made up for. */
uint64_t periodic_next(uint64_t due_ns, uint64_t period_ns, uint64_t now_ns);

/*
 * Adds to SAMPLES how many nanoseconds after it was due the calling thread ran, each PERIOD_NS for
 * DURATION_NS or until they are full, and once at least; beside SPINNERS processes which all stay
 * on the core to which the caller is pinned. IS_FIFO: with the real-time policy SCHED_FIFO;
 * -EPERM: this user may not.
 */
int periodic_measure(unsigned spinners, bool is_fifo, uint64_t period_ns, uint64_t duration_ns,
		     struct samples *samples, struct eos_why *why) EOS_MUST_CHECK;
