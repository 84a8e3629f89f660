#include "base/subprocess.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <unistd.h>

#include "base/assert.h"
#include "base/file.h"

static const char *const kept_variables[] = {
	"EDGEOS_FAULTS", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS", "TSAN_OPTIONS",
};

struct spawn {
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	unsigned count;
	/* Copies above the child's numbers, so that none is overwritten before it was moved. */
	int lifted[EOS_SPAWN_FDS_MAX];
	char *environment[EOS_ARRAY_SIZE(kept_variables) + 1];
};

static void fill_environment(struct spawn *spawn)
{
	extern char **environ;
	size_t count = 0;
	for (char **e = environ; e != NULL && *e != NULL; e++) {
		for (size_t i = 0; i < EOS_ARRAY_SIZE(kept_variables); i++) {
			size_t len = strlen(kept_variables[i]);
			if (strncmp(*e, kept_variables[i], len) == 0 && (*e)[len] == '=' &&
			    count < EOS_ARRAY_SIZE(kept_variables))
				spawn->environment[count++] = *e;
		}
	}
	spawn->environment[count] = NULL;
}

static int lift_fds(struct spawn *spawn, const int *fds, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		spawn->lifted[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, EOS_SPAWN_FD_FIRST + (int)count);
		if (spawn->lifted[i] < 0)
			return -errno;
		spawn->count++;
	}
	return 0;
}

static int add_actions(struct spawn *spawn)
{
	posix_spawn_file_actions_t *actions = &spawn->actions;
	int last = EOS_SPAWN_FD_FIRST + (int)spawn->count;
	int err = posix_spawn_file_actions_addopen(actions, 0, "/dev/null", O_RDONLY, 0);
	if (err == 0)
		err = posix_spawn_file_actions_adddup2(actions, 2, 1);
	for (unsigned i = 0; err == 0 && i < spawn->count; i++)
		err = posix_spawn_file_actions_adddup2(actions, spawn->lifted[i],
						       EOS_SPAWN_FD_FIRST + (int)i);
	if (err == 0)
		err = posix_spawn_file_actions_addclosefrom_np(actions, last);
	return -err;
}

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

int eos_spawn(const char *program, char *const argv[], const int *fds, unsigned count,
	      pid_t *ret_pid)
{
	struct spawn spawn = {.count = 0};
	pid_t pid = 0;
	EOS_ASSERT(count <= EOS_SPAWN_FDS_MAX);
	if (posix_spawn_file_actions_init(&spawn.actions) != 0)
		return -ENOMEM;
	if (posix_spawnattr_init(&spawn.attributes) != 0) {
		posix_spawn_file_actions_destroy(&spawn.actions);
		return -ENOMEM;
	}
	fill_environment(&spawn);
	int err = lift_fds(&spawn, fds, count);
	if (err == 0)
		err = add_actions(&spawn);
	if (err == 0)
		err = set_signals(&spawn);
	if (err == 0)
		err = -posix_spawn(&pid, program, &spawn.actions, &spawn.attributes, argv,
				   spawn.environment);
	for (unsigned i = 0; i < spawn.count; i++)
		eos_close(spawn.lifted[i]);
	posix_spawnattr_destroy(&spawn.attributes);
	posix_spawn_file_actions_destroy(&spawn.actions);
	if (err == 0)
		*ret_pid = pid;
	return err;
}
