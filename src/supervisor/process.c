#include "supervisor/process_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/str.h"
#include "image/image.h" /* keys */

/* The child's numbers: 0 to 2, the four of struct link_fds in its order, nothing else. */
#define CHILD_FD_FIRST 3
#define CHILD_FD_COUNT 4

/* What a cell may know of edged's environment: how it is being tested. */
static const char *const kept_variables[] = {
	"EDGEOS_FAULTS", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS",
};

struct spawn {
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int lifted[CHILD_FD_COUNT]; /* copies above the child's numbers, so that none is overwritten
				       before it was moved */
	char *environment[EOS_ARRAY_SIZE(kept_variables) + 1];
};

static void fill_environment(struct spawn *spawn)
{
	extern char **environ;
	size_t count = 0;
	for (char **e = environ; e != NULL && *e != NULL; e++)
		for (size_t i = 0; i < EOS_ARRAY_SIZE(kept_variables); i++) {
			size_t len = strlen(kept_variables[i]);
			if (strncmp(*e, kept_variables[i], len) == 0 && (*e)[len] == '=' &&
			    count < EOS_ARRAY_SIZE(kept_variables))
				spawn->environment[count++] = *e;
		}
	spawn->environment[count] = NULL;
}

static int add_actions(struct spawn *spawn)
{
	posix_spawn_file_actions_t *actions = &spawn->actions;
	int err = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
	if (err == 0) /* standard output is edged's alone */
		err = posix_spawn_file_actions_adddup2(actions, 2, 1);
	for (int i = 0; err == 0 && i < CHILD_FD_COUNT; i++)
		err = posix_spawn_file_actions_adddup2(actions, spawn->lifted[i],
						       CHILD_FD_FIRST + i);
	if (err == 0)
		err = posix_spawn_file_actions_addclosefrom_np(actions,
							       CHILD_FD_FIRST + CHILD_FD_COUNT);
	return -err;
}

/* No signal is blocked or ignored in the child because it is in edged. */
static int set_signals(struct spawn *spawn)
{
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	int err = posix_spawnattr_setsigmask(&spawn->attributes, &none);
	if (err == 0)
		err = posix_spawnattr_setsigdefault(&spawn->attributes, &all);
	if (err == 0)
		err = posix_spawnattr_setflags(&spawn->attributes,
					       POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	return -err;
}

static int lift_fds(struct spawn *spawn, const struct link_fds *fds)
{
	const int from[CHILD_FD_COUNT] = {fds->memory, fds->doorbell_to_cell, fds->doorbell_to_node,
					  fds->socket};
	for (int i = 0; i < CHILD_FD_COUNT; i++) {
		spawn->lifted[i] = fcntl(from[i], F_DUPFD_CLOEXEC, CHILD_FD_FIRST + CHILD_FD_COUNT);
		if (spawn->lifted[i] < 0)
			return -errno;
	}
	return 0;
}

static int run(struct spawn *spawn, const char *program, const uint8_t *key,
	       const struct link_config *config, int processor, int *ret_pid)
{
	char settings[LINK_CONFIG_TEXT_SIZE];
	char hex[2 * CRYPTO_SIGN_PUBLIC_SIZE + 1], parent[16], place[16];
	char name[] = "edge-cell", mode[] = "--node";
	char numbers[CHILD_FD_COUNT][8];
	eos_hex_encode(key, CRYPTO_SIGN_PUBLIC_SIZE, hex);
	link_config_format(config, settings);
	snprintf(parent, sizeof(parent), "%d", (int)getpid());
	if (processor < 0)
		strcpy(place, "any");
	else
		snprintf(place, sizeof(place), "%d", processor);
	for (int i = 0; i < CHILD_FD_COUNT; i++)
		snprintf(numbers[i], sizeof(numbers[i]), "%d", CHILD_FD_FIRST + i);
	char *argv[] = {name, mode,   numbers[0], numbers[1], numbers[2], numbers[3],
			hex,  parent, settings,	  place,      NULL};
	pid_t pid;
	int err = posix_spawn(&pid, program, &spawn->actions, &spawn->attributes, argv,
			      spawn->environment);
	if (err != 0)
		return -err;
	*ret_pid = pid;
	return 0;
}

int process_start(const char *program, const struct link_fds *fds, const uint8_t *key,
		  const struct link_config *config, int processor, struct process *ret_process)
{
	struct spawn spawn = {.lifted = {-1, -1, -1, -1}};
	int pid = 0;
	if (posix_spawn_file_actions_init(&spawn.actions) != 0)
		return -ENOMEM;
	if (posix_spawnattr_init(&spawn.attributes) != 0) {
		posix_spawn_file_actions_destroy(&spawn.actions);
		return -ENOMEM;
	}
	fill_environment(&spawn);
	int err = lift_fds(&spawn, fds);
	if (err == 0)
		err = add_actions(&spawn);
	if (err == 0)
		err = set_signals(&spawn);
	if (err == 0)
		err = run(&spawn, program, key, config, processor, &pid);
	for (int i = 0; i < CHILD_FD_COUNT; i++)
		eos_close(spawn.lifted[i]);
	posix_spawnattr_destroy(&spawn.attributes);
	posix_spawn_file_actions_destroy(&spawn.actions);
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
