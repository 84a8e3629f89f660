/* The stack of FWPs for turns: who leaves it in the middle of a turn, whose limits hold, who has
 * one of his own meanwhile, and what becomes of places that had one. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/fault.h"
#include "fwp/fixtures/stages.h"
#include "sched/sanitizer.h"

#define SLICE_NS (100 * EOS_NS_PER_US)
#define SMALL	 FWP_STACK_BYTES_MIN

/* TSan delivers signals late, at calls that it knows: endless loops make none. */
static bool has_signals(void)
{
	return !SCHED_TSAN;
}

/* Ends one that waits, or was preempted, in its turn, by one way or the other. */
static void abandon(struct fwp_template *template, uint32_t program, bool is_killed)
{
	struct stage stage = {.fixture.program = program};
	struct stage other = {.fixture.program = PROGRAM_COUNT};
	stage_make(template, NULL, stage_serve, &stage);
	stage_make(template, NULL, stage_serve, &other);
	assert_int_equal(fwp_run(other.fwp), FWP_BLOCKED);
	uint64_t end_ns = program == PROGRAM_SPIN ? eos_now_ns() + SLICE_NS : UINT64_MAX;
	assert_int_equal(fwp_run_until(stage.fwp, end_ns),
			 program == PROGRAM_SPIN ? FWP_READY : FWP_BLOCKED);
	assert_false(stage.is_done);
	if (is_killed) {
		fwp_kill(stage.fwp, FWP_DEATH_KILLED, "not needed");
		assert_string_equal(fwp_death(stage.fwp)->text, "not needed");
	} else {
		stage.fwp = fwp_free(stage.fwp);
	}
	assert_int_equal(fwp_run(other.fwp), FWP_BLOCKED);
	stage_check_count(&other, 2);
	stages_check(template);
	fwp_free(stage.fwp);
	assert_int_equal(fwp_run(other.fwp), FWP_BLOCKED);
	stage_check_count(&other, 3);
	/* One that waits for its turn is nobody's obstacle, dead or alive. */
	fwp_kill(other.fwp, FWP_DEATH_KILLED, "not needed");
	stages_check(template);
	fwp_free(other.fwp);
}

static void abandoned_turns_leave_the_stack(void **state)
{
	stages_begin(NULL);
	struct fwp_template *template = stages_template(PROGRAM_RETURN);
	for (int i = 0; i < 20; i++) {
		abandon(template, PROGRAM_WAIT, i % 2 == 0);
		if (has_signals())
			abandon(template, PROGRAM_SPIN, i % 2 == 0);
	}
	/* The engine ends behind one that had the stack. */
	struct stage stage = {.fixture.program = PROGRAM_WAIT};
	stage_make(template, NULL, stage_serve, &stage);
	assert_int_equal(fwp_run(stage.fwp), FWP_BLOCKED);
	fwp_free(stage.fwp);
	fwp_template_unref(template);
	stages_end();
}

/* In the middle of whose turn nothing would take the processor from it again. */
static void without_a_timer_turns_end(void **state)
{
	stages_begin(NULL);
	struct fwp_template *template = stages_template(PROGRAM_RETURN);
	struct stage stage = {.fixture.program = PROGRAM_WAIT};
	stage_make(template, NULL, stage_serve, &stage);
	assert_int_equal(fwp_run(stage.fwp), FWP_BLOCKED);
	assert_int_equal(eos_fault_arm("fwp.timer_settime:*=EIO", NULL), 0);
	assert_int_equal(fwp_run_until(stage.fwp, eos_now_ns() + SLICE_NS), FWP_DEAD);
	assert_int_equal(eos_fault_arm(NULL, NULL), 0);
	assert_int_equal(fwp_death(stage.fwp)->kind, FWP_DEATH_KILLED);
	stages_check(template);
	fwp_free(stage.fwp);
	fwp_template_unref(template);
	stages_end();
}

/* Hands on to the next of a ring, whether a turn is over or not. */
static struct fwp_turn next_in_ring(void *ctx, struct fwp *stopped)
{
	struct line *line = ctx;
	assert_ptr_equal(stopped, line->stages[line->at].fwp);
	line->at = (line->at + 1) % line->count;
	if (++line->interrupted % 17 == 0)
		return (struct fwp_turn){0};
	return line_turn(line);
}

/* One for turns is in the middle of its turn: those with stacks of their own come and go. */
static void own_stacks_run_meanwhile(void **state)
{
	enum { COUNT = 3 };
	stages_begin(NULL);
	struct fwp_template *template = stages_template(PROGRAM_RETURN);
	for (unsigned where = 0; where < COUNT; where++) {
		struct stage stages[COUNT] = {0};
		struct line ring = {.stages = stages, .count = COUNT};
		for (unsigned i = 0; i < COUNT; i++) {
			stages[i].fixture.program = i == where ? PROGRAM_WAIT : PROGRAM_COUNT;
			stages[i].fixture.answer = 3;
			if (i == where)
				stage_make(template, NULL, stage_serve, &stages[i]);
			else
				stage_make_own(template, &stages[i]);
		}
		while (fwp_state(stages[where].fwp) != FWP_DEAD) {
			struct fwp_turn first = line_turn(&ring);
			(void)fwp_run_turns(first.fwp, first.end_ns, next_in_ring, &ring);
		}
		assert_int_equal(fwp_death(stages[where].fwp)->kind, FWP_DEATH_EXIT);
		assert_int_equal(fwp_death(stages[where].fwp)->code, 4 * 3);
		for (unsigned i = 0; i < COUNT; i++) {
			if (i != where)
				stage_check_count(&stages[i], i < where ? 5 : 4);
		}
		stages_check(template);
		line_free(&ring);
	}
	fwp_template_unref(template);
	stages_end();
}

/* How often a guest with LIMIT of stack gets into PROGRAM, which calls the host at each level. */
static unsigned depth_of(struct fwp_template *template, uint32_t program, uint64_t limit)
{
	struct stage stage = {.fixture.program = program};
	struct fwp_limits limits = fwp_limits_default;
	limits.stack_bytes = limit;
	stage_make(template, &limits, stage_serve, &stage);
	assert_int_equal(fwp_run(stage.fwp), FWP_DEAD);
	assert_int_equal(fwp_death(stage.fwp)->trap, IMAGE_TRAP_STACK_OVERFLOW);
	fwp_free(stage.fwp);
	return stage.fixture.notes_count;
}

/* The stack is as large as the largest limit; the small ones hold all the same. */
static void limits_of_stacks_hold(void **state)
{
	stages_begin(NULL);
	struct fwp_template *template = stages_template(PROGRAM_RETURN);
	unsigned small = depth_of(template, PROGRAM_RECURSE_HOST, SMALL);
	assert_in_range(small, 10, SMALL);
	assert_int_equal(depth_of(template, PROGRAM_RECURSE_LARGE_HOST, SMALL), 0);
	/* One in its turn, while more is opened for another. */
	struct stage stage = {.fixture = {.program = PROGRAM_WAIT, .answer = 1}};
	struct stage large = {.fixture.program = PROGRAM_COUNT};
	struct fwp_limits limits = fwp_limits_default;
	limits.stack_bytes = SMALL;
	stage_make(template, &limits, stage_serve, &stage);
	assert_int_equal(fwp_run(stage.fwp), FWP_BLOCKED);
	limits.stack_bytes = FWP_STACK_BYTES_MAX;
	stage_make(template, &limits, stage_serve, &large);
	for (int i = 0; i < 3; i++)
		assert_int_equal(fwp_run(stage.fwp), FWP_BLOCKED);
	assert_int_equal(fwp_run(stage.fwp), FWP_DEAD);
	assert_int_equal(fwp_death(stage.fwp)->code, 4);
	assert_int_equal(fwp_run(large.fwp), FWP_BLOCKED);
	stage_check_count(&large, 1);
	fwp_free(stage.fwp);
	fwp_free(large.fwp);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(depth_of(template, PROGRAM_RECURSE_HOST, SMALL), small);
		/* Not even one that steps over the place where its limit is. */
		assert_int_equal(depth_of(template, PROGRAM_RECURSE_LARGE_HOST, SMALL), 0);
		assert_in_range(depth_of(template, PROGRAM_RECURSE_HOST, FWP_STACK_BYTES_MAX),
				50 * small, UINT32_MAX);
		assert_in_range(depth_of(template, PROGRAM_RECURSE_LARGE_HOST, FWP_STACK_BYTES_MAX),
				10, 30);
	}
	fwp_template_unref(template);
	stages_end();
}

/* Preemption looks, too: who is too deep has no room for the registers. */
static void deep_guests_are_contained(void **state)
{
	if (!has_signals())
		return;
	stages_begin(NULL);
	struct fwp_template *template = stages_template(PROGRAM_RETURN);
	for (unsigned i = 0; i < 40; i++) {
		struct stage stage = {.fixture.program = PROGRAM_RECURSE_SMALL};
		struct fwp_limits limits = fwp_limits_default;
		limits.stack_bytes = SMALL << (i % 8);
		stage_make(template, &limits, stage_serve, &stage);
		while (fwp_run_until(stage.fwp, eos_now_ns() + 1000 * (i % 20)) == FWP_READY)
			;
		assert_int_equal(fwp_death(stage.fwp)->trap, IMAGE_TRAP_STACK_OVERFLOW);
		fwp_free(stage.fwp);
		stages_check(template);
	}
	fwp_template_unref(template);
	stages_end();
}

/* One place, now with a stack of its own, now without; and some that wait clean behind it. */
static void places_gain_and_lose_their_stacks(void **state)
{
	static const uint32_t inits[] = {PROGRAM_RETURN, PROGRAM_INIT_FULL};
	static const uint32_t programs[] = {PROGRAM_COUNT, PROGRAM_RECURSE_HOST, PROGRAM_EXIT_42};
	for (unsigned i = 0; i < 4; i++) {
		struct fwp_engine_config config = {.fwps_max = i < 2 ? 1 : 4,
						   .pool_low = i / 2 * 2};
		stages_begin(&config);
		struct fwp_template *template = stages_template(inits[i % 2]);
		for (unsigned round = 0; round < 300; round++) {
			struct stage stage = {.fixture.program = programs[round % 3]};
			while (round % 4 == 0 && fwp_engine_maintain(stages_engine))
				;
			if (round * 7 % 5 < 2)
				stage_make_own(template, &stage);
			else
				stage_make(template, NULL, stage_serve, &stage);
			bool dies = stage.fixture.program != PROGRAM_COUNT;
			assert_int_equal(fwp_run(stage.fwp), dies ? FWP_DEAD : FWP_BLOCKED);
			if (!dies)
				stage_check_count(&stage, 1);
			fwp_free(stage.fwp);
		}
		fwp_template_unref(template);
		stages_end();
	}
}

/* A turn that is the host's fault. */
static void serve_badly(struct fwp *fwp, void *instance)
{
	volatile char *volatile nowhere = NULL;
	(void)fwp;
	(void)instance;
	*nowhere = 1;
}

/* Runs PROGRAM, or serve_badly(), in a child process; WHERE must be in its report. */
static void check_crash(uint32_t program, void (*turn)(struct fwp *fwp, void *instance),
			const char *where)
{
	static char text[65536];
	int ends[2], status = 0;
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit none = {0, 0};
		(void)setrlimit(RLIMIT_CORE, &none);
		(void)dup2(ends[1], STDERR_FILENO);
		/* Not cmocka's handlers, which would hide the signal from the parent. */
		signal(SIGSEGV, SIG_DFL);
		stages_begin(NULL);
		struct fwp_template *template = stages_template(PROGRAM_RETURN);
		struct stage first = {.fixture.program = PROGRAM_COUNT};
		struct stage stage = {.fixture.program = program};
		stage_make(template, NULL, stage_serve, &first);
		stage_make(template, NULL, turn, &stage);
		(void)fwp_run(first.fwp);
		(void)fwp_run(stage.fwp);
		_exit(0);
	}
	close(ends[1]);
	size_t len = 0;
	for (ssize_t n = 1; n > 0; len += n > 0 ? (size_t)n : 0)
		n = read(ends[0], text + len, sizeof(text) - 1 - len);
	text[len] = '\0';
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
	/* The first FWP made the template. */
	if (strstr(text, where) == NULL || strstr(text, "fwp 3, running") == NULL)
		fail_msg("%s", text);
}

static void crashes_are_reported(void **state)
{
	check_crash(PROGRAM_CRASH, stage_serve, "edgeos: crash: SIGSEGV in host code at 0x");
	check_crash(PROGRAM_WRITE_GLOBAL, stage_serve,
		    "edgeos: crash: SIGSEGV in guest code at 0x");
	check_crash(PROGRAM_RETURN, serve_badly, "edgeos: crash: SIGSEGV in host code at 0x");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(abandoned_turns_leave_the_stack),
		cmocka_unit_test(without_a_timer_turns_end),
		cmocka_unit_test(own_stacks_run_meanwhile),
		cmocka_unit_test(limits_of_stacks_hold),
		cmocka_unit_test(deep_guests_are_contained),
		cmocka_unit_test(places_gain_and_lose_their_stacks),
		cmocka_unit_test(crashes_are_reported),
	};
	return cmocka_run_group_tests_name("fwp_turns_stack", tests, NULL, NULL);
}
