#include "aot/aot_tool.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"

/* edge-aot makes one image and exits; its tools all have the same limit. */
static uint64_t tool_memory_bytes;

void aot_tool_init(uint64_t memory_bytes)
{
	tool_memory_bytes = memory_bytes;
}

/* In the child. 127 is what a shell says too when it cannot run a program. */
EOS_NORETURN static void exec_tool(const char *const *argv, int output_fd, pid_t parent)
{
	struct rlimit limit = {tool_memory_bytes, tool_memory_bytes};
	static char path[] = "PATH=/usr/bin:/bin", locale[] = "LC_ALL=C", temporary[] = "TMPDIR=.";
	static char *const environment[] = {path, locale, temporary, NULL};
	int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (tool_memory_bytes > 0 && setrlimit(RLIMIT_AS, &limit) < 0)
		_exit(127);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(127);
	if (dup2(null_fd, STDIN_FILENO) < 0 || dup2(output_fd, STDOUT_FILENO) < 0 ||
	    dup2(output_fd, STDERR_FILENO) < 0)
		_exit(127);
	execve(argv[0], (char *const *)(uintptr_t)argv, environment);
	_exit(127);
}

static int read_output(int fd, struct eos_buf *output)
{
	char part[4096];
	for (;;) {
		ssize_t n = read(fd, part, sizeof(part));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return eos_buf_failed(output) ? -ENOMEM : 0;
		size_t room = AOT_OUTPUT_MAX - EOS_MIN(output->len, (size_t)AOT_OUTPUT_MAX);
		(void)eos_buf_append(output, part, EOS_MIN((size_t)n, room));
	}
}

int aot_tool_run(const char *const *argv, struct eos_buf *output, int *ret_status)
{
	int fds[2];
	if (access(argv[0], X_OK) < 0)
		return -errno;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	pid_t parent = getpid();
	pid_t child = fork();
	if (child == 0)
		exec_tool(argv, fds[1], parent);
	int err = child < 0 ? -errno : 0;
	fds[1] = eos_close(fds[1]);
	eos_buf_clear(output);
	if (child > 0) {
		err = read_output(fds[0], output);
		while (waitpid(child, ret_status, 0) < 0) {
			if (errno != EINTR) {
				err = -errno;
				break;
			}
		}
	}
	fds[0] = eos_close(fds[0]);
	return err;
}

/* The first line with "error" in it, else the first line that is not empty; into OUT. */
static void find_error_line(const struct eos_buf *output, char *out, size_t size)
{
	const char *line = output->len > 0 ? output->data : "";
	const char *found = strstr(line, "error: ");
	if (found != NULL)
		line = found + strlen("error: ");
	else
		line += strspn(line, " \n");
	size_t len = EOS_MIN(strcspn(line, "\n"), size - 1);
	memcpy(out, line, len);
	out[len] = '\0';
}

/* A compiler is a driver with children: their limits show in its text only. */
static int error_of_text(int err, const struct eos_buf *output)
{
	static const struct {
		const char *text;
		int err;
	} signs[] = {
		{"out of memory", -ENOMEM},
		{"memory exhausted", -ENOMEM},
		{"bad_alloc", -ENOMEM},
		{"Cannot allocate memory", -ENOMEM},
		{"Killed signal", -ENOMEM},
		{"CPU time limit exceeded", -ETIMEDOUT},
		{"File size limit exceeded", -EFBIG},
	};
	for (size_t i = 0; output->len > 0 && i < EOS_ARRAY_SIZE(signs); i++) {
		if (strstr(output->data, signs[i].text) != NULL)
			return signs[i].err;
	}
	return err;
}

static int error_of_signal(int err, int signal_number)
{
	if (signal_number == SIGXCPU)
		return -ETIMEDOUT;
	if (signal_number == SIGXFSZ)
		return -EFBIG;
	return signal_number == SIGKILL ? -ENOMEM : err;
}

int aot_tool_failed(int err, const char *what, int status, const struct eos_buf *output,
		    struct eos_why *why)
{
	char line[200];
	int signal_number = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
	err = error_of_text(error_of_signal(err, signal_number), output);
	switch (err) {
	case -ENOMEM:
		return eos_why(why, err, "%s: it needs more memory than allowed", what);
	case -ETIMEDOUT:
		return eos_why(why, err, "%s: it takes too long", what);
	case -EFBIG:
		return eos_why(why, err, "%s: the result is too large", what);
	}
	if (signal_number != 0)
		return eos_why(why, err, "%s (killed by signal %d)", what, signal_number);
	find_error_line(output, line, sizeof(line));
	if (*line == '\0')
		return eos_why(why, err, "%s (exit code %d)", what, WEXITSTATUS(status));
	return eos_why(why, err, "%s: %s", what, line);
}
