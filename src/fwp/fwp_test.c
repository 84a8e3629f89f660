#include "fwp/fwp.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fwp/fixtures/fixture.h"

/* Each test makes its own engine: cmocka replaces the signal handlers around each test, and making
 * an engine puts ours back. */
static struct fwp_engine *engine;
static struct fwp_image *image;

static void begin(void)
{
	engine = fixture_engine(NULL);
	image = fixture_load("image");
}

static void end(void)
{
	image = fwp_image_unref(image);
	engine = fwp_engine_free(engine);
}

/* Runs PROGRAM to its death, which is left in DEATH. */
static void run(struct fixture *fixture, const struct fwp_limits *limits, struct fwp_death *death)
{
	struct fwp *fwp = fixture_new(engine, image, limits, fixture);
	assert_int_equal(fwp_state(fwp), FWP_READY);
	assert_int_equal(fwp_run(fwp), FWP_DEAD);
	assert_int_equal(fwp_state(fwp), FWP_DEAD);
	*death = *fwp_death(fwp);
	assert_non_null(death->text);
	fwp_free(fwp);
}

static void check_trap(uint32_t program, uint32_t trap)
{
	struct fixture fixture = {.program = program};
	struct fwp_death death;
	run(&fixture, NULL, &death);
	if (death.kind != FWP_DEATH_TRAP || death.trap != trap)
		fail_msg("program %u: kind %d, trap %u: %s", program, death.kind, death.trap,
			 death.text);
}

static void returns_and_exits(void **state)
{
	begin();
	struct fixture fixture = {.program = PROGRAM_RETURN};
	struct fwp_death death;
	run(&fixture, NULL, &death);
	assert_int_equal(death.kind, FWP_DEATH_EXIT);
	assert_int_equal(death.code, 0);
	fixture.program = PROGRAM_EXIT_42;
	run(&fixture, NULL, &death);
	assert_int_equal(death.kind, FWP_DEATH_EXIT);
	assert_int_equal(death.code, 42);
	end();
}

static void each_trap_is_reported(void **state)
{
	begin();
	for (uint32_t trap = IMAGE_TRAP_OUT_OF_BOUNDS; trap <= IMAGE_TRAP_STACK_OVERFLOW; trap++)
		check_trap(PROGRAM_TRAP_FIRST + trap, trap);
	/* A reason that does not exist is still a trap. */
	check_trap(PROGRAM_TRAP_FIRST + 19, 19);
	assert_string_equal(fwp_trap_text(19), "unknown trap");
	assert_string_equal(fwp_trap_text(IMAGE_TRAP_OUT_OF_BOUNDS), "out of bounds memory access");
	end();
}

static void memory_ends_exactly(void **state)
{
	begin();
	struct fixture fixture = {.program = PROGRAM_LOAD_FIRST_AND_LAST};
	struct fwp_death death;
	run(&fixture, NULL, &death);
	assert_int_equal(death.kind, FWP_DEATH_EXIT);
	assert_int_equal(fixture.notes[0], 0);
	check_trap(PROGRAM_LOAD_SIZE, IMAGE_TRAP_OUT_OF_BOUNDS);
	check_trap(PROGRAM_LOAD_SIZE_4G, IMAGE_TRAP_OUT_OF_BOUNDS);
	check_trap(PROGRAM_LOAD_8G, IMAGE_TRAP_OUT_OF_BOUNDS);
	check_trap(PROGRAM_STORE_SIZE, IMAGE_TRAP_OUT_OF_BOUNDS);
	check_trap(PROGRAM_MEMCPY_OVER_END, IMAGE_TRAP_OUT_OF_BOUNDS);
	end();
}

static void stack_overflow_is_a_trap(void **state)
{
	begin();
	const uint32_t programs[] = {PROGRAM_RECURSE_SMALL, PROGRAM_RECURSE_LARGE,
				     PROGRAM_RECURSE_HOST, PROGRAM_RECURSE_GROW};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(programs); i++)
		check_trap(programs[i], IMAGE_TRAP_STACK_OVERFLOW);
	const uint64_t sizes[] = {FWP_STACK_BYTES_MIN, FWP_STACK_BYTES_MAX};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(sizes); i++) {
		struct fwp_limits limits = fwp_limits_default;
		limits.stack_bytes = sizes[i];
		struct fixture fixture = {.program = PROGRAM_RECURSE_HOST};
		struct fwp_death death;
		run(&fixture, &limits, &death);
		assert_int_equal(death.trap, IMAGE_TRAP_STACK_OVERFLOW);
		/* At least 40 bytes a level, and not more than 1 KiB. */
		assert_in_range(fixture.notes_count, sizes[i] / 1024, sizes[i] / 40 + 1000);
	}
	end();
}

static void faults_of_the_processor_are_traps(void **state)
{
	begin();
#if defined(__x86_64__)
	check_trap(PROGRAM_DIVIDE, IMAGE_TRAP_DIVIDE_BY_ZERO);
#endif
	check_trap(PROGRAM_ILLEGAL, IMAGE_TRAP_UNREACHABLE);
	end();
}

static void blocks_and_goes_on(void **state)
{
	begin();
	struct fixture one = {.program = PROGRAM_WAIT}, two = {.program = PROGRAM_WAIT};
	struct fwp *first = fixture_new(engine, image, NULL, &one);
	struct fwp *second = fixture_new(engine, image, NULL, &two);
	for (uint32_t i = 0; i < 4; i++) {
		one.answer = 10 + i;
		two.answer = 100 + i;
		assert_int_equal(fwp_run(first), FWP_BLOCKED);
		assert_int_equal(fwp_state(first), FWP_BLOCKED);
		assert_int_equal(fwp_run(second), FWP_BLOCKED);
		assert_int_equal(one.waited, i);
		assert_int_equal(two.waited, i);
	}
	assert_int_equal(fwp_run(first), FWP_DEAD);
	assert_int_equal(fwp_run(second), FWP_DEAD);
	/* Each answer is read when the wait ends: one step later than it was set. */
	assert_int_equal(fwp_death(first)->code, 11 + 12 + 13 + 13);
	assert_int_equal(fwp_death(second)->code, 101 + 102 + 103 + 103);
	fwp_free(first);
	fwp_free(second);
	end();
}

static void can_be_killed(void **state)
{
	begin();
	struct fixture fixture = {.program = PROGRAM_WAIT};
	struct fwp *blocked = fixture_new(engine, image, NULL, &fixture);
	struct fwp *ready = fixture_new(engine, image, NULL, &fixture);
	assert_int_equal(fwp_run(blocked), FWP_BLOCKED);
	fwp_kill(blocked, FWP_DEATH_KILLED, "not wanted");
	fwp_kill(ready, FWP_DEATH_KILLED, "never wanted");
	assert_int_equal(fwp_death(blocked)->kind, FWP_DEATH_KILLED);
	assert_string_equal(fwp_death(blocked)->text, "not wanted");
	assert_string_equal(fwp_death(ready)->text, "never wanted");
	fwp_free(blocked);
	fwp_free(ready);
	/* Freed without a kill, at any point of life. */
	struct fwp *another = fixture_new(engine, image, NULL, &fixture);
	assert_int_equal(fwp_run(another), FWP_BLOCKED);
	assert_null(fwp_free(another));
	assert_null(fwp_free(fixture_new(engine, image, NULL, &fixture)));
	assert_null(fwp_free(NULL));
	end();
}

static void memory_grows_to_its_limit(void **state)
{
	begin();
	struct fwp_limits limits = fwp_limits_default;
	/* A part of a page does not count. */
	limits.memory_bytes = 5 * FWP_PAGE_SIZE + 100;
	struct fixture fixture = {.program = PROGRAM_GROW};
	struct fwp_death death;
	run(&fixture, &limits, &death);
	assert_int_equal(fixture.notes[0], 5);
	assert_int_equal(death.trap, IMAGE_TRAP_OUT_OF_BOUNDS);
	/* The slot is used again, and the grown pages are not there. */
	check_trap(PROGRAM_LOAD_SIZE, IMAGE_TRAP_OUT_OF_BOUNDS);
	struct fixture waiting = {.program = PROGRAM_WAIT};
	struct fwp *fwp = fixture_new(engine, image, &limits, &waiting);
	assert_int_equal(fwp_memory_bytes(fwp), 0);
	assert_int_equal(fwp_run(fwp), FWP_BLOCKED);
	assert_int_equal(fwp_memory_bytes(fwp), FIXTURE_PAGES * FWP_PAGE_SIZE);
	assert_int_equal(fwp_deadline_ns(fwp), UINT64_MAX);
	fwp_free(fwp);
	end();
}

static void limits_are_checked(void **state)
{
	begin();
	struct fixture fixture = {.program = PROGRAM_RETURN};
	struct fwp *fwp = NULL;
	struct eos_why why = {""};
	struct fwp_limits limits = fwp_limits_default;
	limits.memory_bytes = FIXTURE_PAGES * FWP_PAGE_SIZE - 1;
	assert_int_equal(fwp_new(engine, image, &limits, &fixture, &fwp, &why), -EINVAL);
	assert_non_null(strstr(why.text, "131072"));
	assert_non_null(strstr(why.text, "131071"));
	limits.memory_bytes = (UINT64_C(1) << 32) - FWP_PAGE_SIZE + 1;
	assert_int_equal(fwp_new(engine, image, &limits, &fixture, &fwp, &why), -EINVAL);
	limits.memory_bytes -= 1;
	struct fwp_death death;
	run(&fixture, &limits, &death);
	limits.stack_bytes = FWP_STACK_BYTES_MIN - 1;
	assert_int_equal(fwp_new(engine, image, &limits, &fixture, &fwp, &why), -EINVAL);
	limits.stack_bytes = FWP_STACK_BYTES_MAX + 1;
	assert_int_equal(fwp_new(engine, image, &limits, &fixture, &fwp, &why), -EINVAL);
	assert_null(fwp);
	end();
}

static void tables_and_memories_are_bounded(void **state)
{
	begin();
	struct fixture fixture = {.program = PROGRAM_ALLOCATE_MUCH};
	struct fwp_death death;
	run(&fixture, NULL, &death);
	assert_int_equal(death.trap, IMAGE_TRAP_OUT_OF_BOUNDS);
	assert_int_equal(fixture.notes_count, 15);
	assert_int_equal(fixture.notes[14], 0);
	check_trap(PROGRAM_RESERVE_TWICE, IMAGE_TRAP_OUT_OF_BOUNDS);
	end();
}

static void host_sees_only_guest_memory(void **state)
{
	begin();
	struct fixture fixture = {.program = PROGRAM_PEEK};
	struct fwp_death death;
	run(&fixture, NULL, &death);
	assert_int_equal(death.kind, FWP_DEATH_EXIT);
	const uint64_t expected[] = {1, 0, 1, 0, 0, 0};
	assert_int_equal(fixture.notes_count, EOS_ARRAY_SIZE(expected));
	assert_memory_equal(fixture.notes, expected, sizeof(expected));
	end();
}

static void computes_like_the_c_library(void **state)
{
	begin();
	struct fixture fixture = {.program = PROGRAM_MATH};
	struct fwp_death death;
	run(&fixture, NULL, &death);
	assert_int_equal(fixture.notes[0], UINT64_C(0x3fd5555555555555));
	assert_int_equal(fixture.notes[1], 204);
	assert_int_equal(fixture.notes[2], 1);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(returns_and_exits),
		cmocka_unit_test(each_trap_is_reported),
		cmocka_unit_test(memory_ends_exactly),
		cmocka_unit_test(stack_overflow_is_a_trap),
		cmocka_unit_test(faults_of_the_processor_are_traps),
		cmocka_unit_test(blocks_and_goes_on),
		cmocka_unit_test(can_be_killed),
		cmocka_unit_test(memory_grows_to_its_limit),
		cmocka_unit_test(limits_are_checked),
		cmocka_unit_test(tables_and_memories_are_bounded),
		cmocka_unit_test(host_sees_only_guest_memory),
		cmocka_unit_test(computes_like_the_c_library),
	};
	return cmocka_run_group_tests_name("fwp", tests, NULL, NULL);
}
