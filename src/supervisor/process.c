#include "supervisor/process_priv.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "base/subprocess.h"
#include "image/image.h" /* keys */

/* Those of struct link_fds, in its order. */
#define CHILD_FD_COUNT 4u

int process_start(const char *program, const struct link_fds *fds, const uint8_t *key,
		  const struct link_config *config, int processor, struct process *ret_process)
{
	const int passed[CHILD_FD_COUNT] = {fds->memory, fds->doorbell_to_cell,
					    fds->doorbell_to_node, fds->socket};
	char settings[LINK_CONFIG_TEXT_SIZE];
	char hex[2 * CRYPTO_SIGN_PUBLIC_SIZE + 1], parent[16], place[16];
	char name[] = "edge-cell", mode[] = "--node";
	char numbers[CHILD_FD_COUNT][16];
	pid_t pid = 0;
	eos_hex_encode(key, CRYPTO_SIGN_PUBLIC_SIZE, hex);
	link_config_format(config, settings);
	snprintf(parent, sizeof(parent), "%d", (int)getpid());
	if (processor < 0)
		strcpy(place, "any");
	else
		snprintf(place, sizeof(place), "%d", processor);
	for (unsigned i = 0; i < CHILD_FD_COUNT; i++)
		snprintf(numbers[i], sizeof(numbers[i]), "%u", EOS_SPAWN_FD_FIRST + i);
	char *argv[] = {name, mode,   numbers[0], numbers[1], numbers[2], numbers[3],
			hex,  parent, settings,	  place,      NULL};
	int err = eos_spawn(program, argv, passed, CHILD_FD_COUNT, &pid);
	if (err < 0)
		return err;
	struct process process = {.pid = pid};
	process.pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (process.pidfd < 0) {
		err = -errno;
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
		return err;
	}
	*ret_process = process;
	return 0;
}

void process_kill(const struct process *process)
{
	/* Not reaped yet, so the number is still its own. */
	if (process->pid > 0)
		kill(process->pid, SIGKILL);
}

bool process_reap(struct process *process, int wait_ms, char *text, size_t size)
{
	int status;
	if (process->pid == 0)
		return false;
	if (wait_ms > 0) {
		struct pollfd ended = {.fd = process->pidfd, .events = POLLIN};
		while (poll(&ended, 1, wait_ms) < 0 && errno == EINTR)
			;
	}
	if (waitpid(process->pid, &status, WNOHANG) != process->pid)
		return false;
	if (WIFSIGNALED(status))
		snprintf(text, size, "signal %d", WTERMSIG(status));
	else
		snprintf(text, size, "exit code %d", WEXITSTATUS(status));
	process->pidfd = eos_close(process->pidfd);
	process->pid = 0;
	return true;
}
