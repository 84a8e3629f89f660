#include "base/ticks.h"

#include "base/clock.h"
#include "base/macros.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

#define SPAN_NS EOS_NS_PER_MS
/* Between two readings of the counter with one of the kernel's clock in between: a microsecond or
 * so at any rate of today's processors. */
#define PAIR_TICKS_MAX 4096u
/* Shorter times tell the rate too badly. */
#define RATE_NS_MIN (100 * EOS_NS_PER_US)
/* From 16 MHz to 16 GHz. Longer spans at such rates do not overflow. */
#define RATE_MIN (UINT64_C(1) << 28)
#define RATE_MAX (UINT64_C(1) << 38)

static bool has_constant_rate(void)
{
#if defined(__x86_64__)
	unsigned eax, ebx, ecx, edx;
	/* "Invariant TSC", Intel SDM volume 3, 18.17.1; AMD APM volume 3, Fn8000_0007. */
	return __get_cpuid(0x80000007u, &eax, &ebx, &ecx, &edx) != 0 && (edx & 1u << 8) != 0;
#else
	return true; /* by architecture */
#endif
}

void eos_fast_clock_init(struct eos_fast_clock *clock)
{
	*clock = (struct eos_fast_clock){.is_constant = has_constant_rate()};
}

uint64_t eos_fast_clock_ask(struct eos_fast_clock *clock)
{
	uint64_t before = eos_ticks(), ns = eos_now_ns(), ticks = eos_ticks();
	clock->last_ns = EOS_MAX(clock->last_ns, ns);
	if (!clock->is_constant)
		return clock->last_ns;
	uint64_t passed_ns = ns - clock->ns, passed = ticks - clock->ticks;
	bool is_known = clock->ns != 0 && ns > clock->ns && passed > 0;
	/* It was asked for the first time a moment ago; or something came between the two readings,
	 * and which time belongs to which count is not known. */
	if ((is_known && passed_ns < RATE_NS_MIN) || ticks - before > PAIR_TICKS_MAX) {
		clock->span_ticks = 0;
		return clock->last_ns;
	}
	clock->span_ticks = 0;
	if (is_known) {
		unsigned __int128 rate = ((unsigned __int128)passed_ns << 32) / passed;
		if (rate >= RATE_MIN && rate <= RATE_MAX) {
			clock->rate = (uint64_t)rate;
			clock->span_ticks = (SPAN_NS << 32) / clock->rate;
		}
	}
	clock->ns = ns;
	clock->ticks = ticks;
	return clock->last_ns;
}
