/* FWPs for turns: many on one stack. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fwp/fixtures/stages.h"
#include "sched/sanitizer.h"

#define LINE_MAX 24u
#define SLICE_NS (50 * EOS_NS_PER_US)

/* TSan delivers signals late, at calls that it knows: endless loops make none. */
static bool has_signals(void)
{
	return !SCHED_TSAN;
}

static void each_keeps_what_is_its_own(void **state)
{
	stages_begin(NULL);
	struct fwp_template *templates[2] = {stages_template(PROGRAM_RETURN),
					     stages_template(PROGRAM_INIT_FULL)};
	struct stage stages[LINE_MAX] = {0};
	struct line line = {.stages = stages, .count = LINE_MAX};
	for (unsigned i = 0; i < LINE_MAX; i++) {
		stages[i].fixture.program = PROGRAM_COUNT;
		/* Every third has a stack of its own. */
		if (i % 3 == 1)
			stage_make_own(templates[i % 2], &stages[i]);
		else
			stage_make(templates[i % 2], NULL, stage_serve, &stages[i]);
	}
	for (unsigned round = 1; round <= 40; round++) {
		if (round % 3 == 0)
			line_run_each(&line);
		else
			line_run(&line);
		for (unsigned i = 0; i < LINE_MAX; i++)
			stage_check_count(&stages[i], round);
	}
	assert_int_equal(line.interrupted, 0);
	line_free(&line);
	fwp_template_unref(templates[0]);
	fwp_template_unref(templates[1]);
	stages_end();
}

struct end_of {
	uint32_t program;
	enum fwp_death_kind kind;
	uint32_t trap;
};

/* Three in a line, of whom the one in the middle dies so; then another one in its place. */
static void die_in_line(struct fwp_template *template, const struct end_of *how,
			void (*run)(struct line *line))
{
	struct stage stages[3] = {{.fixture.program = PROGRAM_COUNT},
				  {.fixture.program = PROGRAM_COUNT},
				  {.fixture.program = PROGRAM_COUNT}};
	struct line line = {.stages = stages, .count = 3};
	for (unsigned i = 0; i < 3; i++)
		stage_make(template, NULL, stage_serve, &stages[i]);
	run(&line);
	stages[1].fixture.program = how->program;
	for (unsigned turns = 2; turns <= 3; turns++) {
		run(&line);
		assert_int_equal(fwp_state(stages[1].fwp), FWP_DEAD);
		assert_int_equal(fwp_death(stages[1].fwp)->kind, how->kind);
		if (how->kind == FWP_DEATH_TRAP)
			assert_int_equal(fwp_death(stages[1].fwp)->trap, how->trap);
		else
			assert_int_equal(fwp_death(stages[1].fwp)->code, 42);
		stage_check_count(&stages[0], turns);
		stage_check_count(&stages[2], turns);
	}
	stages_check(template);
	line_free(&line);
}

static void deaths_leave_a_clean_stack(void **state)
{
	static const struct end_of ends[] = {
		{PROGRAM_EXIT_42, FWP_DEATH_EXIT, 0},
		{PROGRAM_TRAP_FIRST + IMAGE_TRAP_CALL_INDIRECT, FWP_DEATH_TRAP,
		 IMAGE_TRAP_CALL_INDIRECT},
		{PROGRAM_LOAD_SIZE, FWP_DEATH_TRAP, IMAGE_TRAP_OUT_OF_BOUNDS},
		{PROGRAM_MEMCPY_OVER_END, FWP_DEATH_TRAP, IMAGE_TRAP_OUT_OF_BOUNDS},
		{PROGRAM_RECURSE_SMALL, FWP_DEATH_TRAP, IMAGE_TRAP_STACK_OVERFLOW},
		{PROGRAM_RECURSE_LARGE, FWP_DEATH_TRAP, IMAGE_TRAP_STACK_OVERFLOW},
		{PROGRAM_RECURSE_HOST, FWP_DEATH_TRAP, IMAGE_TRAP_STACK_OVERFLOW},
		{PROGRAM_RECURSE_GROW, FWP_DEATH_TRAP, IMAGE_TRAP_STACK_OVERFLOW},
		{PROGRAM_ILLEGAL, FWP_DEATH_TRAP, IMAGE_TRAP_UNREACHABLE},
#if defined(__x86_64__)
		{PROGRAM_DIVIDE, FWP_DEATH_TRAP, IMAGE_TRAP_DIVIDE_BY_ZERO},
#endif
	};
	stages_begin(NULL);
	struct fwp_template *template = stages_template(PROGRAM_RETURN);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(ends); i++) {
		die_in_line(template, &ends[i], line_run);
		die_in_line(template, &ends[i], line_run_each);
	}
	fwp_template_unref(template);
	stages_end();
}

/* An endless loop, a host function that takes too long, and one that waits in its turn too long. */
static void turns_run_out_of_time(void **state)
{
	static const uint32_t programs[] = {PROGRAM_HOST_SPIN, PROGRAM_WAIT, PROGRAM_SPIN};
	stages_begin(NULL);
	struct fwp_template *template = stages_template(PROGRAM_RETURN);
	struct fwp_limits limits = fwp_limits_default;
	limits.timeout_ns = 3 * EOS_NS_PER_MS;
	for (size_t i = 0; i < (has_signals() ? 3u : 2u); i++) {
		struct stage stages[3] = {{.fixture.program = PROGRAM_COUNT},
					  {.fixture.program = programs[i]},
					  {.fixture.program = PROGRAM_COUNT}};
		struct line line = {.stages = stages, .count = 3};
		for (unsigned k = 0; k < 3; k++)
			stage_make(template, k == 1 ? &limits : NULL, stage_serve, &stages[k]);
		if (programs[i] == PROGRAM_WAIT) {
			assert_int_equal(fwp_run(stages[1].fwp), FWP_BLOCKED);
			while (eos_now_ns() < fwp_deadline_ns(stages[1].fwp))
				;
			/* It is dead when it is to go on, and nobody's way is barred. */
			assert_int_equal(fwp_run(stages[1].fwp), FWP_DEAD);
		}
		line_run(&line);
		assert_int_equal(fwp_death(stages[1].fwp)->kind, FWP_DEATH_TIMEOUT);
		stage_check_count(&stages[0], 1);
		stage_check_count(&stages[2], 1);
		line_free(&line);
	}
	fwp_template_unref(template);
	stages_end();
}

/* A time that is over between two turns ends it there. */
static void time_passes_between_turns(void **state)
{
	stages_begin(NULL);
	struct fwp_template *template = stages_template(PROGRAM_RETURN);
	struct stage stages[2] = {{.fixture.program = PROGRAM_COUNT},
				  {.fixture.program = PROGRAM_COUNT}};
	struct line line = {.stages = stages, .count = 2};
	struct fwp_limits limits = fwp_limits_default;
	stage_make(template, NULL, stage_serve, &stages[0]);
	/* All of its first turn is to fit into it. */
	limits.timeout_ns = 200 * EOS_NS_PER_MS;
	stage_make(template, &limits, stage_serve, &stages[1]);
	line_run(&line);
	while (fwp_state(stages[1].fwp) != FWP_DEAD &&
	       eos_now_ns() < fwp_deadline_ns(stages[1].fwp))
		;
	line_run(&line);
	assert_int_equal(fwp_state(stages[1].fwp), FWP_DEAD);
	assert_int_equal(fwp_death(stages[1].fwp)->kind, FWP_DEATH_TIMEOUT);
	stage_check_count(&stages[0], 2);
	stages_check(template);
	line_free(&line);
	fwp_template_unref(template);
	stages_end();
}

static uint64_t checksum_of(uint32_t rounds)
{
	struct fixture fixture = {.program = PROGRAM_CHECKSUM, .answer = rounds};
	struct fwp *fwp = fixture_new(stages_engine, stages_image, NULL, &fixture);
	assert_int_equal(fwp_run(fwp), FWP_BLOCKED);
	assert_int_equal(fwp_run(fwp), FWP_DEAD);
	fwp_free(fwp);
	return fixture.notes[0];
}

/* Computations in the middle of whose turns the processor is taken, again and again. They wait
 * once, too, as they ask for their length. */
static void compute(struct fwp_template *template, void (*run)(struct line *line),
		    uint64_t slice_ns, uint32_t rounds)
{
	enum { COUNT = 6 };
	struct stage stages[COUNT] = {0};
	struct line line = {.stages = stages, .count = COUNT, .slice_ns = slice_ns};
	uint64_t expected[COUNT];
	for (unsigned i = 0; i < COUNT; i++) {
		expected[i] = checksum_of(rounds + i);
		stages[i].fixture =
			(struct fixture){.program = PROGRAM_CHECKSUM, .answer = rounds + i};
		if (i == 3)
			stage_make_own(template, &stages[i]);
		else
			stage_make(template, NULL, stage_serve, &stages[i]);
	}
	for (unsigned turns = 1; turns <= 2; turns++) {
		run(&line);
		for (unsigned i = 0; i < COUNT; i++) {
			assert_int_equal(stages[i].turns, turns);
			assert_int_equal(stages[i].fixture.notes[0], expected[i]);
		}
	}
	assert_true(line.interrupted > 4 * COUNT);
	line_free(&line);
}

static void computations_survive_preemption(void **state)
{
	if (!has_signals())
		return;
	stages_begin(NULL);
	struct fwp_template *template = stages_template(PROGRAM_RETURN);
	compute(template, line_run, SLICE_NS, 300000);
	compute(template, line_run_each, SLICE_NS, 300000);
	stages_check(template);
	fwp_template_unref(template);
	stages_end();
}

/* A storm of timer signals from elsewhere finds host, guest, ends of turns and resumptions. */
static void a_storm_of_signals_is_harmless(void **state)
{
	if (!has_signals())
		return;
	stages_begin(NULL);
	struct fwp_template *template = stages_template(PROGRAM_RETURN);
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN};
	struct itimerspec period = {{0, 30000}, {0, 30000}};
	timer_t timer;
	assert_int_equal(timer_create(CLOCK_MONOTONIC, &event, &timer), 0);
	assert_int_equal(timer_settime(timer, 0, &period, NULL), 0);
	struct stage stages[LINE_MAX] = {0};
	struct line line = {.stages = stages, .count = LINE_MAX, .slice_ns = 5000};
	for (unsigned i = 0; i < LINE_MAX; i++) {
		stages[i].fixture.program = PROGRAM_COUNT;
		stage_make(template, NULL, stage_serve, &stages[i]);
	}
	for (unsigned turns = 1; turns <= 150; turns++) {
		line_run(&line);
		for (unsigned i = 0; i < LINE_MAX; i++)
			stage_check_count(&stages[i], turns);
	}
	compute(template, line_run, 10000, 100000);
	assert_int_equal(timer_delete(timer), 0);
	line_free(&line);
	fwp_template_unref(template);
	stages_end();
}

/* Blocks, yields and leaves between guest code, with something to remember on the stack. */
static void serve_in_steps(struct fwp *fwp, void *instance)
{
	struct stage *stage = fwp_context(fwp);
	volatile uint8_t memory[2000];
	memset((void *)(uintptr_t)memory, (int)stage->turns, sizeof(memory));
	stage->is_done = false;
	fwp_block(fwp);
	fwp_yield_leave(fwp);
	stage_start(instance);
	fwp_host_enter(fwp);
	fwp_yield(fwp);
	fwp_block_leave(fwp);
	stage_start(instance);
	fwp_host_enter(fwp);
	for (size_t i = 0; i < sizeof(memory); i++)
		assert_int_equal(memory[i], (uint8_t)stage->turns);
	stage->is_done = true;
	stage->turns++;
}

static void turns_go_on_where_they_stopped(void **state)
{
	static const enum fwp_state states[] = {FWP_BLOCKED, FWP_READY, FWP_READY, FWP_BLOCKED,
						FWP_BLOCKED};
	stages_begin(NULL);
	struct fwp_template *template = stages_template(PROGRAM_RETURN);
	struct stage stages[3] = {0};
	struct line line = {.stages = stages, .count = 3};
	for (unsigned i = 0; i < 3; i++) {
		stages[i].fixture.program = PROGRAM_COUNT;
		stage_make(template, NULL, serve_in_steps, &stages[i]);
	}
	for (unsigned turns = 1; turns <= 20; turns++) {
		for (size_t i = 0; i < EOS_ARRAY_SIZE(states); i++) {
			assert_int_equal(fwp_run_until(stages[1].fwp, UINT64_MAX), states[i]);
			assert_int_equal(stages[1].is_done, i == 4);
		}
		line.interrupted = 0;
		line_run(&line);
		assert_int_equal(line.interrupted, 12);
		for (unsigned i = 0; i < 3; i++)
			assert_int_equal(stages[i].turns, i == 1 ? 2 * turns : turns);
	}
	/* The guests have counted in each of the two steps. */
	assert_int_equal(stages[1].fixture.notes_count, 40 * 2 * 3);
	line_free(&line);
	fwp_template_unref(template);
	stages_end();
}

static void host_calls_have_a_rate(void **state)
{
	stages_begin(NULL);
	struct fwp_template *template = stages_template(PROGRAM_RETURN);
	struct fwp_limits limits = fwp_limits_default;
	struct stage stage = {.fixture.program = PROGRAM_CALL_MUCH};
	limits.host_calls_per_s = 500000;
	stage_make(template, &limits, stage_serve, &stage);
	unsigned waits = 0;
	while (fwp_run(stage.fwp) == FWP_BLOCKED && !stage.is_done) {
		assert_true(fwp_resume_ns(stage.fwp) != UINT64_MAX);
		while (eos_now_ns() < fwp_resume_ns(stage.fwp))
			;
		waits++;
	}
	assert_int_equal(stage.fixture.notes_count, 10000);
	assert_int_equal(fwp_resume_ns(stage.fwp), UINT64_MAX);
	assert_true(waits > 0);
	fwp_free(stage.fwp);
	/* One call a second: the second waits, until its owner has lost patience. */
	limits.host_calls_per_s = 1;
	stage_make(template, &limits, stage_serve, &stage);
	assert_int_equal(fwp_run(stage.fwp), FWP_BLOCKED);
	assert_false(stage.is_done);
	assert_true(fwp_resume_ns(stage.fwp) != UINT64_MAX);
	fwp_kill(stage.fwp, FWP_DEATH_TIMEOUT, "too slow");
	stages_check(template);
	fwp_free(stage.fwp);
	fwp_template_unref(template);
	stages_end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_keeps_what_is_its_own),
		cmocka_unit_test(deaths_leave_a_clean_stack),
		cmocka_unit_test(turns_run_out_of_time),
		cmocka_unit_test(time_passes_between_turns),
		cmocka_unit_test(computations_survive_preemption),
		cmocka_unit_test(a_storm_of_signals_is_harmless),
		cmocka_unit_test(turns_go_on_where_they_stopped),
		cmocka_unit_test(host_calls_have_a_rate),
	};
	return cmocka_run_group_tests_name("fwp_turns", tests, NULL, NULL);
}
