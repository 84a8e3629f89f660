#include "base/ticks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"

/* Between two readings of the kernel's clock, give or take what the rate may be off. */
static void check(struct eos_fast_clock *clock)
{
	uint64_t before_ns = eos_now_ns();
	uint64_t now_ns = eos_fast_clock_now(clock);
	uint64_t after_ns = eos_now_ns();
	assert_true(now_ns + 100 * EOS_NS_PER_US >= before_ns);
	assert_true(now_ns <= after_ns + 100 * EOS_NS_PER_US);
}

static void tells_the_kernels_time(void **state)
{
	struct eos_fast_clock clock;
	eos_fast_clock_init(&clock);
	uint64_t end_ns = eos_now_ns() + 30 * EOS_NS_PER_MS;
	while (eos_now_ns() < end_ns)
		check(&clock);
	/* Also after it was not asked for a while. */
	for (int i = 0; i < 5; i++) {
		struct timespec pause = {.tv_nsec = 3000000};
		(void)nanosleep(&pause, NULL);
		check(&clock);
		check(&clock);
	}
}

static void never_goes_back(void **state)
{
	struct eos_fast_clock clock;
	eos_fast_clock_init(&clock);
	uint64_t last_ns = 0, end_ns = eos_now_ns() + 30 * EOS_NS_PER_MS, now_ns;
	do {
		now_ns = eos_fast_clock_now(&clock);
		assert_true(now_ns >= last_ns);
		last_ns = now_ns;
	} while (now_ns < end_ns);
}

static void works_without_a_constant_counter(void **state)
{
	struct eos_fast_clock clock;
	eos_fast_clock_init(&clock);
	clock.is_constant = false;
	for (int i = 0; i < 1000; i++) {
		check(&clock);
		assert_int_equal(clock.span_ticks, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tells_the_kernels_time),
		cmocka_unit_test(never_goes_back),
		cmocka_unit_test(works_without_a_constant_counter),
	};
	return cmocka_run_group_tests_name("ticks", tests, NULL, NULL);
}
