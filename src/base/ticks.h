/*
 * The processor's counter, and a clock made of it.
 *
 * Reading the counter takes some ten nanoseconds; clock_gettime() takes several times that on
 * virtual machines. struct eos_fast_clock tells CLOCK_MONOTONIC's time from the counter: it asks
 * the kernel once a millisecond at most and takes the rate from there. So it is off by what the
 * rate changes within a millisecond, which is nothing that a scheduler could notice. Where the
 * counter does not run at a constant rate it asks the kernel each time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#if defined(__x86_64__)
#include <x86intrin.h>
#endif

/* Of unknown but constant rate (mostly), the same on all cores. Any context, also signal. */
static inline uint64_t eos_ticks(void)
{
#if defined(__x86_64__)
	return __rdtsc();
#elif defined(__aarch64__)
	uint64_t ticks;
	__asm__ volatile("mrs %0, cntvct_el0" : "=r"(ticks));
	return ticks;
#else
#error "no counter for this processor"
#endif
}

/* One thread's. */
struct eos_fast_clock {
	uint64_t ticks, ns;  /* when the kernel was asked last */
	uint64_t span_ticks; /* for how long that is good; 0: it is not */
	uint64_t rate;	     /* nanoseconds a tick, times 2^32 */
	uint64_t last_ns;    /* what was told last: it never goes back */
	bool is_constant;    /* the counter's rate */
};

void eos_fast_clock_init(struct eos_fast_clock *clock);
/* Asks the kernel. Use eos_fast_clock_now(). */
uint64_t eos_fast_clock_ask(struct eos_fast_clock *clock);

/* The time of eos_now_ns(), which never goes back. */
static inline uint64_t eos_fast_clock_now(struct eos_fast_clock *clock)
{
	uint64_t passed = eos_ticks() - clock->ticks;
	if (__builtin_expect(passed >= clock->span_ticks, 0))
		return eos_fast_clock_ask(clock);
	uint64_t now_ns = clock->ns + (passed * clock->rate >> 32);
	if (now_ns > clock->last_ns)
		clock->last_ns = now_ns;
	return clock->last_ns;
}
