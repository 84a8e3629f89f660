#include <fenv.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/macros.h"
#include "sched/context.h"

#define STACK_BYTES (256u << 10)

struct fiber {
	struct sched_context context;
	struct sched_context *back;
	void *stack;
	int steps;
	int rounding;
	double sum;
	bool is_aligned;
	uintptr_t local;
};

static void fiber_init(struct fiber *fiber, struct sched_context *back, void (*entry)(void *))
{
	*fiber = (struct fiber){.back = back, .stack = aligned_alloc(4096, STACK_BYTES)};
	assert_non_null(fiber->stack);
	sched_context_init(&fiber->context, fiber->stack, STACK_BYTES, entry, fiber);
}

static void fiber_fini(struct fiber *fiber)
{
	sched_context_fini(&fiber->context);
	free(fiber->stack);
}

/* Uses values that live in preserved registers across the switches. */
static void count_entry(void *arg)
{
	struct fiber *fiber = arg;
	long double aligned_probe = 0;
	fiber->is_aligned = ((uintptr_t)&aligned_probe & 15) == 0;
	fiber->local = (uintptr_t)&aligned_probe;
	double a = 1.5, b = 2.5;
	for (int i = 0; i < 3; i++) {
		fiber->steps++;
		fiber->sum += a * i + b;
		sched_switch(&fiber->context, fiber->back);
	}
	sched_switch_final(&fiber->context, fiber->back);
}

static void runs_and_comes_back(void **state)
{
	struct sched_context self;
	sched_context_init_thread(&self);
	struct fiber one, two;
	fiber_init(&one, &self, count_entry);
	fiber_init(&two, &self, count_entry);
	for (int i = 1; i <= 3; i++) {
		sched_switch(&self, &one.context);
		assert_int_equal(one.steps, i);
		sched_switch(&self, &two.context);
		assert_int_equal(two.steps, i);
	}
	sched_switch(&self, &one.context);
	sched_switch(&self, &two.context);
	assert_true(one.is_aligned && two.is_aligned);
	assert_true(one.sum == two.sum && one.sum == 12.0);
	assert_in_range(one.local, (uintptr_t)one.stack, (uintptr_t)one.stack + STACK_BYTES);
	fiber_fini(&one);
	fiber_fini(&two);
}

static void rounding_entry(void *arg)
{
	struct fiber *fiber = arg;
	fiber->rounding = fegetround();
	fesetround(FE_UPWARD);
	sched_switch(&fiber->context, fiber->back);
	fiber->steps = fegetround();
	sched_switch_final(&fiber->context, fiber->back);
}

static void keeps_rounding_apart(void **state)
{
	struct sched_context self;
	sched_context_init_thread(&self);
	struct fiber fiber;
	fiber_init(&fiber, &self, rounding_entry);
	fesetround(FE_DOWNWARD);
	sched_switch(&self, &fiber.context);
	assert_int_equal(fiber.rounding, FE_TONEAREST);
	assert_int_equal(fegetround(), FE_DOWNWARD);
	fesetround(FE_TONEAREST);
	sched_switch(&self, &fiber.context);
	assert_int_equal(fiber.steps, FE_UPWARD);
	assert_int_equal(fegetround(), FE_TONEAREST);
	fiber_fini(&fiber);
}

static void restarted_entry(void *arg)
{
	struct fiber *fiber = arg;
	fiber->steps = 100;
	sched_switch_final(&fiber->context, fiber->back);
}

__attribute__((noinline)) static void dive(struct fiber *fiber, int depth)
{
	volatile char frame[512];
	memset((void *)(uintptr_t)frame, depth, sizeof(frame));
	if (depth > 0)
		dive(fiber, depth - 1);
	else if (fiber->steps == 0)
		sched_restart(&fiber->context, restarted_entry, fiber);
	frame[0] = 0;
}

static void deep_entry(void *arg)
{
	dive(arg, 50);
	abort();
}

static void restarts_on_the_same_stack(void **state)
{
	struct sched_context self;
	sched_context_init_thread(&self);
	struct fiber fiber;
	fiber_init(&fiber, &self, deep_entry);
	sched_switch(&self, &fiber.context);
	assert_int_equal(fiber.steps, 100);
	fiber_fini(&fiber);
}

static void waiting_entry(void *arg)
{
	struct fiber *fiber = arg;
	fiber->steps++;
	sched_switch(&fiber->context, fiber->back);
	abort();
}

static void abandoned_stack_is_used_again(void **state)
{
	struct sched_context self;
	sched_context_init_thread(&self);
	struct fiber fiber;
	fiber_init(&fiber, &self, waiting_entry);
	sched_switch(&self, &fiber.context);
	for (int i = 0; i < 100; i++) {
		sched_context_fini(&fiber.context);
		sched_context_init(&fiber.context, fiber.stack, STACK_BYTES, waiting_entry, &fiber);
		sched_switch(&self, &fiber.context);
	}
	assert_int_equal(fiber.steps, 101);
	fiber_fini(&fiber);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_and_comes_back),
		cmocka_unit_test(keeps_rounding_apart),
		cmocka_unit_test(restarts_on_the_same_stack),
		cmocka_unit_test(abandoned_stack_is_used_again),
	};
	return cmocka_run_group_tests_name("sched_context", tests, NULL, NULL);
}
