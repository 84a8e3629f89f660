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
#include "sched/fixtures/preserved.h"

#define STACK_BYTES (256u << 10)
#define DEPTH	    200 /* frames of at most 1 KiB, also with sanitizers */

struct fiber {
	struct sched_context context;
	struct sched_context *back;
	void *stack;
	int steps;
	int rounding;
	int id; /* what tells it from others */
	double sum;
	bool is_aligned, is_same;
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

/* Not the same in any two directions of rounding; no compiler knows it. */
static double third_of(double one)
{
	volatile double operand = one;
	return operand / 3;
}

static void rounding_entry(void *arg)
{
	struct fiber *fiber = arg;
	fiber->rounding = fegetround();
	fiber->sum = third_of(1);
	fesetround(FE_UPWARD);
	sched_switch(&fiber->context, fiber->back);
	fiber->steps = fegetround();
	fiber->sum = third_of(1);
	sched_switch_final(&fiber->context, fiber->back);
}

static void keeps_rounding_apart(void **state)
{
	struct sched_context self;
	sched_context_init_thread(&self);
	struct fiber fiber;
	fiber_init(&fiber, &self, rounding_entry);
	/* A third is between two numbers and nearer to the lower one. */
	double nearest = third_of(1);
	fesetround(FE_DOWNWARD);
	double minus_down = third_of(-1);
	sched_switch(&self, &fiber.context);
	assert_int_equal(fiber.rounding, FE_TONEAREST);
	assert_true(fiber.sum == nearest);
	assert_int_equal(fegetround(), FE_DOWNWARD);
	assert_true(third_of(-1) == minus_down && minus_down < -nearest);
	fesetround(FE_TONEAREST);
	sched_switch(&self, &fiber.context);
	assert_int_equal(fiber.steps, FE_UPWARD);
	assert_true(fiber.sum > nearest);
	assert_int_equal(fegetround(), FE_TONEAREST);
	fiber_fini(&fiber);
}

/* Values that differ from fiber to fiber, register to register and round to round. */
static void fill(uint64_t values[PRESERVED_COUNT], uint64_t owner, uint64_t round)
{
	for (uint64_t i = 0; i < PRESERVED_COUNT; i++)
		values[i] = (owner << 56 | round << 32 | i) * UINT64_C(0x9e3779b97f4a7c15) + owner;
}

static void to_main(void *arg)
{
	struct fiber *fiber = arg;
	sched_switch(&fiber->context, fiber->back);
}

static void preserving_entry(void *arg)
{
	struct fiber *fiber = arg;
	uint64_t values[PRESERVED_COUNT], expected[PRESERVED_COUNT];
	for (;;) {
		fill(values, (uint64_t)fiber->id, (uint64_t)fiber->steps++);
		memcpy(expected, values, sizeof(values));
		preserved_call(values, to_main, fiber);
		fiber->is_same &= memcmp(values, expected, sizeof(values)) == 0;
	}
}

struct step {
	struct sched_context *self;
	struct fiber *fiber;
};

static void to_fiber(void *arg)
{
	struct step *step = arg;
	sched_switch(step->self, &step->fiber->context);
}

/* In the main program and in two fibers, each with values of its own. */
static void preserved_registers_are_preserved(void **state)
{
	struct sched_context self;
	sched_context_init_thread(&self);
	struct fiber fibers[2];
	for (int i = 0; i < 2; i++) {
		fiber_init(&fibers[i], &self, preserving_entry);
		fibers[i].id = i + 1;
		fibers[i].is_same = true;
	}
	for (unsigned round = 0; round < 1000; round++) {
		uint64_t values[PRESERVED_COUNT], expected[PRESERVED_COUNT];
		struct step step = {&self, &fibers[round % 2]};
		fill(values, 3, round);
		memcpy(expected, values, sizeof(values));
		preserved_call(values, to_fiber, &step);
		assert_memory_equal(values, expected, sizeof(values));
	}
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fibers[i].steps, 500);
		assert_true(fibers[i].is_same);
		fiber_fini(&fibers[i]);
	}
}

/* Switches away at each depth, on the way down and on the way up. */
__attribute__((noinline)) static bool descend(struct fiber *fiber, int depth)
{
	volatile unsigned char frame[400];
	memset((void *)(uintptr_t)frame, depth + fiber->id, sizeof(frame));
	sched_switch(&fiber->context, fiber->back);
	bool is_same = depth == 0 || descend(fiber, depth - 1);
	sched_switch(&fiber->context, fiber->back);
	for (size_t i = 0; i < sizeof(frame); i++)
		is_same &= frame[i] == (unsigned char)(depth + fiber->id);
	return is_same;
}

static void descending_entry(void *arg)
{
	struct fiber *fiber = arg;
	fiber->is_same = descend(fiber, DEPTH - 1);
	fiber->steps = 1;
	sched_switch_final(&fiber->context, fiber->back);
}

static void deep_stacks_are_kept_apart(void **state)
{
	struct sched_context self;
	sched_context_init_thread(&self);
	struct fiber fibers[3];
	for (int i = 0; i < 3; i++) {
		fiber_init(&fibers[i], &self, descending_entry);
		fibers[i].id = 80 * i;
	}
	for (int round = 0; round <= 2 * DEPTH; round++) {
		for (int i = 0; i < 3; i++) {
			assert_int_equal(fibers[i].steps, 0);
			sched_switch(&self, &fibers[i].context);
		}
	}
	for (int i = 0; i < 3; i++) {
		assert_int_equal(fibers[i].steps, 1);
		assert_true(fibers[i].is_same);
		fiber_fini(&fibers[i]);
	}
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

struct asked {
	int count;
	bool is_aligned;
	uintptr_t local;
};

/* Deep enough to overwrite what it should not. */
static void count_asked(void *asked_arg, void *fiber_arg)
{
	struct asked *asked = asked_arg;
	struct fiber *fiber = fiber_arg;
	volatile char filler[4096];
	long double aligned_probe = 0;
	for (size_t i = 0; i < sizeof(filler); i++)
		filler[i] = (char)0xff;
	asked->count++;
	asked->is_aligned = ((uintptr_t)&aligned_probe & 15) == 0;
	asked->local = (uintptr_t)&filler[0];
	fiber->steps += filler[fiber->id] == (char)0xff;
}

static struct asked *answers;

static void asking_entry(void *arg)
{
	struct fiber *fiber = arg;
	double sum = 1.5;
	for (int i = 0; i < 3; i++) {
		sched_call_on(fiber->back, count_asked, answers, fiber);
		sum += i;
		fiber->sum = sum;
		sched_switch(&fiber->context, fiber->back);
	}
	sched_switch_final(&fiber->context, fiber->back);
}

/* Whoever is suspended lends his stack, and finds everything as it was. */
static void calls_on_a_suspended_stack(void **state)
{
	struct sched_context self;
	struct asked asked = {0};
	struct fiber fiber;
	volatile uint64_t mine[64];
	answers = &asked;
	sched_context_init_thread(&self);
	fiber_init(&fiber, &self, asking_entry);
	for (unsigned i = 0; i < EOS_ARRAY_SIZE(mine); i++)
		mine[i] = i * 0x0101010101010101;
	for (int round = 1; round <= 4; round++) {
		sched_switch(&self, &fiber.context);
		for (unsigned i = 0; i < EOS_ARRAY_SIZE(mine); i++)
			assert_int_equal(mine[i], i * 0x0101010101010101);
	}
	assert_int_equal(asked.count, 3);
	assert_int_equal(fiber.steps, 3);
	assert_true(asked.is_aligned && fiber.sum == 4.5);
#if !SCHED_ASAN && !SCHED_TSAN
	assert_false(asked.local >= (uintptr_t)fiber.stack &&
		     asked.local < (uintptr_t)fiber.stack + STACK_BYTES);
#endif
	fiber_fini(&fiber);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(runs_and_comes_back),
		cmocka_unit_test(keeps_rounding_apart),
		cmocka_unit_test(preserved_registers_are_preserved),
		cmocka_unit_test(deep_stacks_are_kept_apart),
		cmocka_unit_test(restarts_on_the_same_stack),
		cmocka_unit_test(abandoned_stack_is_used_again),
		cmocka_unit_test(calls_on_a_suspended_stack),
	};
	return cmocka_run_group_tests_name("sched_context", tests, NULL, NULL);
}
