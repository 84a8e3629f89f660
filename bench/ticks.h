/*
 * A clock for what takes nanoseconds: the processor's own counter, which is read in less time than
 * clock_gettime() takes, and always the same. It runs at a constant rate on all
 * processors that EdgeOS is for, the same on all cores, and is compared with CLOCK_MONOTONIC once.
 */
#pragma once

#include <stdint.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

/* All that comes before it is done, and nothing that comes after it has begun. */
static inline uint64_t ticks_now(void)
{
#if defined(__x86_64__)
	_mm_lfence();
	uint64_t ticks = __rdtsc();
	_mm_lfence();
	return ticks;
#elif defined(__aarch64__)
	uint64_t ticks;
	__asm__ volatile("isb\n\tmrs %0, cntvct_el0\n\tisb" : "=r"(ticks)::"memory");
	return ticks;
#else
#error "unknown processor"
#endif
}

/* Measures the counter's rate, and what reading it takes; 20 ms. Before ticks_between_ns(). */
void ticks_calibrate(void);
/* The nanoseconds between two readings, without what the second one took: tens of them in a virtual
 * machine. */
uint64_t ticks_between_ns(uint64_t start, uint64_t end);
