#include "periodic.h"

#include <errno.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "bench.h"
#include "process.h"

#define SPINNERS_MAX 64u

uint64_t periodic_next(uint64_t due_ns, uint64_t period_ns, uint64_t now_ns)
{
	if (now_ns < due_ns)
		return due_ns;
	return due_ns + ((now_ns - due_ns) / period_ns + 1) * period_ns;
}

static void spin(void *arg)
{
	volatile unsigned turns = 0;

	for (;;)
		turns++;
}

static int sleep_until(uint64_t when_ns)
{
	struct timespec when = {.tv_sec = (time_t)(when_ns / EOS_NS_PER_S),
				.tv_nsec = (long)(when_ns % EOS_NS_PER_S)};
	int err;

	do {
		err = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &when, NULL);
	} while (err == EINTR);
	return -err;
}

static int run_periods(uint64_t period_ns, uint64_t duration_ns, struct samples *samples,
		       struct eos_why *why)
{
	uint64_t now_ns = eos_now_ns(), end_ns = now_ns + duration_ns, due_ns = now_ns;

	do {
		due_ns = periodic_next(due_ns, period_ns, now_ns);
		int err = sleep_until(due_ns);

		if (err < 0)
			return eos_why(why, err, "clock_nanosleep: %s", strerror(-err));
		now_ns = eos_now_ns();
		samples_add(samples, now_ns - due_ns);
	} while (now_ns < end_ns && !samples_is_full(samples));
	return 0;
}

int periodic_measure(unsigned spinners, bool is_fifo, uint64_t period_ns, uint64_t duration_ns,
		     struct samples *samples, struct eos_why *why)
{
	pid_t pids[SPINNERS_MAX] = {0};

	EOS_ASSERT(spinners <= SPINNERS_MAX);
	if (samples_is_full(samples))
		return 0;
	/* Without it the kernel may be 50 us late on purpose. */
	if (prctl(PR_SET_TIMERSLACK, 1) < 0)
		return eos_why(why, -errno, "prctl(PR_SET_TIMERSLACK): %s", strerror(errno));
	if (is_fifo && !bench_go_first(true))
		return eos_why(why, -EPERM, "this user may not set SCHED_FIFO");
	int err = 0;

	for (unsigned i = 0; i < spinners && err == 0; i++)
		err = process_fork(spin, NULL, &pids[i], why);
	if (err == 0)
		err = run_periods(period_ns, duration_ns, samples, why);
	process_kill(pids, spinners);
	if (is_fifo && !bench_go_first(false) && err == 0)
		err = eos_why(why, -EPERM, "this user may not leave SCHED_FIFO");
	return err;
}
