#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"

#define START_TIMEOUT_MS 10000

static int await(pid_t pid, const char *program, struct eos_why *why)
{
	int status;

	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return eos_why(why, -errno, "%s: %s", program, strerror(errno));
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		return eos_why(why, -ECHILD, "%s did not run, or failed", program);
	return 0;
}

int process_run(char *const argv[], struct eos_why *why)
{
	char *const environment[] = {NULL};
	pid_t pid = vfork();

	if (pid == 0) {
		execve(argv[0], argv, environment);
		_exit(127);
	}
	return pid < 0 ? eos_why(why, -errno, "vfork: %s", strerror(errno))
		       : await(pid, argv[0], why);
}

/* What comes out of FD, or why nothing does. */
static int read_time(int fd, uint64_t *ret_ns)
{
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	int count;

	do {
		count = poll(&ready, 1, START_TIMEOUT_MS);
	} while (count < 0 && errno == EINTR);
	if (count <= 0)
		return count < 0 ? -errno : -ETIMEDOUT;
	return eos_read_full(fd, ret_ns, sizeof(*ret_ns));
}

int process_time_start(char *const argv[], int log_fd, uint64_t *ret_ns, struct eos_why *why)
{
	char *const environment[] = {NULL};
	int fds[2];
	uint64_t first_ns = 0;

	if (pipe2(fds, O_CLOEXEC) < 0)
		return eos_why(why, -errno, "pipe: %s", strerror(errno));
	uint64_t start_ns = eos_now_ns();
	pid_t pid = vfork();

	if (pid == 0) {
		dup2(fds[1], STDOUT_FILENO);
		dup2(log_fd, STDERR_FILENO);
		execve(argv[0], argv, environment);
		_exit(127);
	}
	close(fds[1]);
	int err = pid < 0 ? -errno : read_time(fds[0], &first_ns);

	close(fds[0]);
	if (pid < 0 || err < 0)
		eos_why(why, err, "%s: %s", argv[0],
			err == -ENODATA ? "it ended without a word" : strerror(-err));
	if (pid > 0 && err == -ETIMEDOUT)
		kill(pid, SIGKILL);
	if (pid > 0) {
		int wait_err = await(pid, argv[0], err == 0 ? why : NULL);

		err = err < 0 ? err : wait_err;
	}
	if (err == 0)
		*ret_ns = first_ns - start_ns;
	return err;
}

int process_open(char *const argv[], struct process *ret_process, struct eos_why *why)
{
	char *const environment[] = {NULL};
	int in[2], out[2];

	if (pipe2(in, O_CLOEXEC) < 0)
		return eos_why(why, -errno, "pipe: %s", strerror(errno));
	if (pipe2(out, O_CLOEXEC) < 0) {
		int err = eos_why(why, -errno, "pipe: %s", strerror(errno));

		close(in[0]);
		close(in[1]);
		return err;
	}
	pid_t pid = vfork();

	if (pid == 0) {
		dup2(in[0], STDIN_FILENO);
		dup2(out[1], STDOUT_FILENO);
		execve(argv[0], argv, environment);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	if (pid < 0) {
		int err = eos_why(why, -errno, "vfork: %s", strerror(errno));

		close(in[1]);
		close(out[0]);
		return err;
	}
	*ret_process = (struct process){.pid = pid, .in_fd = in[1], .out_fd = out[0]};
	return 0;
}

int process_close(struct process *process, struct eos_why *why)
{
	close(process->in_fd);
	close(process->out_fd);
	return await(process->pid, "the process", why);
}

int process_fork(void (*fn)(void *arg), void *arg, pid_t *ret_pid, struct eos_why *why)
{
	pid_t parent = getpid(), pid = fork();

	if (pid < 0)
		return eos_why(why, -errno, "fork: %s", strerror(errno));
	if (pid == 0) {
		/* The parent may have died before that was said. */
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) == 0 && getppid() == parent)
			fn(arg);
		_exit(0);
	}
	*ret_pid = pid;
	return 0;
}

void process_kill(const pid_t *pids, unsigned count)
{
	/* All at first: beside the others each would wait long for its last turn. */
	for (unsigned i = 0; i < count; i++)
		if (pids[i] != 0)
			kill(pids[i], SIGKILL);
	for (unsigned i = 0; i < count; i++)
		if (pids[i] != 0)
			(void)await(pids[i], "", NULL);
}
