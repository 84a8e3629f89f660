#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "fwp/fixtures/fixture.h"
#include "sched/sanitizer.h"

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

static struct fwp *new_with_timeout(struct fixture *fixture, uint64_t timeout_ns)
{
	struct fwp_limits limits = fwp_limits_default;
	limits.timeout_ns = timeout_ns;
	return fixture_new(engine, image, &limits, fixture);
}

static void check_timeout(struct fwp *fwp)
{
	assert_int_equal(fwp_run(fwp), FWP_DEAD);
	assert_int_equal(fwp_death(fwp)->kind, FWP_DEATH_TIMEOUT);
	assert_string_equal(fwp_death(fwp)->text, "timed out");
	assert_true(eos_now_ns() >= fwp_deadline_ns(fwp));
	fwp_free(fwp);
}

static void endless_loops_time_out(void **state)
{
#if SCHED_TSAN
	/* It delivers signals when the program calls it, which a loop in a guest never does. */
	return;
#endif
	begin();
	const uint32_t programs[] = {PROGRAM_SPIN, PROGRAM_SPIN_MEMSET};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(programs); i++) {
		struct fixture fixture = {.program = programs[i]};
		/* Shorter than a tick, and longer. */
		check_timeout(new_with_timeout(&fixture, EOS_NS_PER_MS));
		check_timeout(new_with_timeout(&fixture, 25 * EOS_NS_PER_MS));
	}
	/* The slots and the timer are as good as before. */
	struct fixture fixture = {.program = PROGRAM_RETURN};
	struct fwp *fwp = new_with_timeout(&fixture, EOS_NS_PER_S);
	assert_int_equal(fwp_run(fwp), FWP_DEAD);
	assert_int_equal(fwp_death(fwp)->kind, FWP_DEATH_EXIT);
	fwp_free(fwp);
	end();
}

static void timeout_waits_for_the_host(void **state)
{
	begin();
	struct fixture fixture = {.program = PROGRAM_HOST_SPIN};
	check_timeout(new_with_timeout(&fixture, 15 * EOS_NS_PER_MS));
	/* The host function came to its end, the guest did not go on. */
	assert_int_equal(fixture.waited, 1);
	assert_int_equal(fixture.notes_count, 0);
	end();
}

static void timeout_counts_while_blocked(void **state)
{
	begin();
	struct fixture fixture = {.program = PROGRAM_WAIT};
	struct fwp *fwp = new_with_timeout(&fixture, 5 * EOS_NS_PER_MS);
	assert_int_equal(fwp_deadline_ns(fwp), UINT64_MAX);
	assert_int_equal(fwp_run(fwp), FWP_BLOCKED);
	assert_true(fwp_deadline_ns(fwp) < eos_now_ns() + 5 * EOS_NS_PER_MS);
	while (eos_now_ns() < fwp_deadline_ns(fwp))
		(void)usleep(1000);
	check_timeout(fwp);
	/* An endless timeout is none. */
	struct fwp *patient = new_with_timeout(&fixture, UINT64_MAX);
	assert_int_equal(fwp_run(patient), FWP_BLOCKED);
	fwp_free(patient);
	end();
}

/* Many short lives with a timeout that never comes, with many timer signals among them. */
static void timer_disturbs_nobody(void **state)
{
	begin();
	uint64_t end_ns = eos_now_ns() + 100 * EOS_NS_PER_MS;
	while (eos_now_ns() < end_ns) {
		struct fixture fixture = {.program = PROGRAM_WAIT};
		struct fwp *fwp = new_with_timeout(&fixture, 100 * EOS_NS_PER_S);
		unsigned waits = 0;
		enum fwp_state fwp_state;
		while ((fwp_state = fwp_run_until(fwp, eos_now_ns() + 2000)) != FWP_DEAD)
			waits += fwp_state == FWP_BLOCKED;
		assert_int_equal(waits, 4);
		assert_int_equal(fwp_death(fwp)->kind, FWP_DEATH_EXIT);
		fwp_free(fwp);
	}
	end();
}

/* Runs PROGRAM in a child process; returns its wait status, and what it wrote to stderr. */
static int run_in_child(uint32_t program, char *text, size_t size)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct rlimit none = {0, 0};
		(void)setrlimit(RLIMIT_CORE, &none);
		(void)dup2(ends[1], STDERR_FILENO);
		struct fixture fixture = {.program = program};
		/* Not cmocka's handlers, which would hide the signal from the parent. */
		signal(SIGSEGV, SIG_DFL);
		begin();
		struct fwp *fwp = fixture_new(engine, image, NULL, &fixture);
		fwp_run(fwp);
		_exit(0);
	}
	close(ends[1]);
	size_t len = 0;
	for (;;) {
		ssize_t n = read(ends[0], text + len, size - 1 - len);
		if (n <= 0)
			break;
		len += (size_t)n;
	}
	text[len] = '\0';
	close(ends[0]);
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void check_crash(uint32_t program, const char *where)
{
	static char text[65536];
	int status = run_in_child(program, text, sizeof(text));
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
	if (strstr(text, where) == NULL || strstr(text, "fwp 1, running") == NULL ||
	    strstr(text, "states of places: ") == NULL)
		fail_msg("%s", text);
#if defined(__x86_64__)
	assert_non_null(strstr(text, "rip=0x"));
#endif
}

static void a_fault_of_the_host_ends_the_process(void **state)
{
	check_crash(PROGRAM_CRASH, "edgeos: crash: SIGSEGV in host code at 0x");
}

/* What all FWPs of an image share cannot be written by one of them. */
static void shared_data_is_read_only(void **state)
{
	check_crash(PROGRAM_WRITE_GLOBAL, "edgeos: crash: SIGSEGV in guest code at 0x");
}

static void previous_handler_comes_next(void **state)
{
	/* Takes the place of a sanitizer's or the system's handler. */
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)close(STDERR_FILENO);
		signal(SIGSEGV, _exit);
		begin();
		(void)raise(SIGSEGV);
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), SIGSEGV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(endless_loops_time_out),
		cmocka_unit_test(timeout_waits_for_the_host),
		cmocka_unit_test(timeout_counts_while_blocked),
		cmocka_unit_test(timer_disturbs_nobody),
		cmocka_unit_test(a_fault_of_the_host_ends_the_process),
		cmocka_unit_test(shared_data_is_read_only),
		cmocka_unit_test(previous_handler_comes_next),
	};
	return cmocka_run_group_tests_name("fwp_signal", tests, NULL, NULL);
}
