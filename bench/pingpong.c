#include "pingpong.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <linux/futex.h>

#include "base/file.h"
#include "process.h"
#include "ticks.h"

/* Round trips before those that count. */
#define WARM_UP 100u

struct pipes {
	size_t bytes;
	int there[2], back[2];
};

static void echo_pipe(void *arg)
{
	struct pipes *pipes = arg;
	char data[PINGPONG_BYTES_MAX];

	while (eos_read_full(pipes->there[0], data, pipes->bytes) == 0 &&
	       eos_write_full(pipes->back[1], data, pipes->bytes) == 0)
		;
}

static int measure_pipe(struct pipes *pipes, struct samples *samples, struct eos_why *why)
{
	char data[PINGPONG_BYTES_MAX] = {0};

	for (unsigned i = 0; !samples_is_full(samples); i++) {
		uint64_t start = ticks_now();
		int err = eos_write_full(pipes->there[1], data, pipes->bytes);

		if (err == 0)
			err = eos_read_full(pipes->back[0], data, pipes->bytes);
		if (err < 0)
			return eos_why(why, err, "pipe: %s", strerror(-err));
		if (i >= WARM_UP)
			samples_add(samples, ticks_between_ns(start, ticks_now()));
	}
	return 0;
}

int pingpong_pipe(size_t bytes, struct samples *samples, struct eos_why *why)
{
	struct pipes pipes = {.bytes = bytes, .there = {-1, -1}, .back = {-1, -1}};
	pid_t pid = 0;
	int err;

	EOS_ASSERT(bytes <= PINGPONG_BYTES_MAX);
	if (pipe2(pipes.there, O_CLOEXEC) < 0 || pipe2(pipes.back, O_CLOEXEC) < 0)
		err = eos_why(why, -errno, "pipe: %s", strerror(errno));
	else
		err = process_fork(echo_pipe, &pipes, &pid, why);
	if (err == 0)
		err = measure_pipe(&pipes, samples, why);
	process_kill(&pid, 1);
	for (int end = 0; end < 2; end++) {
		eos_close(pipes.there[end]);
		eos_close(pipes.back[end]);
	}
	return err;
}

/* In memory that the two share. */
struct baton {
	_Atomic uint32_t turn; /* whose it is: 0 or 1 */
};

/* Waits for the turn of MINE. It does not spin: the other one is on the same core. */
static int await_turn(struct baton *baton, uint32_t mine)
{
	while (atomic_load(&baton->turn) != mine)
		if (syscall(SYS_futex, &baton->turn, FUTEX_WAIT, 1 - mine, NULL, NULL, 0) < 0 &&
		    errno != EAGAIN && errno != EINTR)
			return -errno;
	return 0;
}

static int give_turn(struct baton *baton, uint32_t other)
{
	atomic_store(&baton->turn, other);
	return syscall(SYS_futex, &baton->turn, FUTEX_WAKE, 1, NULL, NULL, 0) < 0 ? -errno : 0;
}

static void echo_futex(void *arg)
{
	struct baton *baton = arg;

	while (await_turn(baton, 1) == 0 && give_turn(baton, 0) == 0)
		;
}

static int measure_futex(struct baton *baton, struct samples *samples, struct eos_why *why)
{
	for (unsigned i = 0; !samples_is_full(samples); i++) {
		uint64_t start = ticks_now();
		int err = give_turn(baton, 1);

		if (err == 0)
			err = await_turn(baton, 0);
		if (err < 0)
			return eos_why(why, err, "futex: %s", strerror(-err));
		if (i >= WARM_UP)
			samples_add(samples, ticks_between_ns(start, ticks_now()));
	}
	return 0;
}

int pingpong_futex(struct samples *samples, struct eos_why *why)
{
	pid_t pid = 0;
	struct baton *baton = mmap(NULL, sizeof(*baton), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (baton == MAP_FAILED)
		return eos_why(why, -errno, "mmap: %s", strerror(errno));
	int err = process_fork(echo_futex, baton, &pid, why);

	if (err == 0)
		err = measure_futex(baton, samples, why);
	process_kill(&pid, 1);
	(void)munmap(baton, sizeof(*baton));
	return err;
}
