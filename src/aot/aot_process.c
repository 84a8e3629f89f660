/*
 * Running edge-aot: descriptors, time, and what it says.
 *
 * It may be called from a thread of a large process, so posix_spawn(), which does not copy the
 * address space and does nothing in the child that is unsafe there. The end of edge-aot is seen
 * as the end of its progress pipe, which no tool of its inherits. When the time is over, its whole
 * process group is killed.
 */
#include "aot/aot_glue.h"
#include "aot/aot_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "aot/aot_protocol.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"

#define LINE_MAX_BYTES 1024u
/* So that dup2() to AOT_FD_… never overwrites a descriptor that is still to be moved. */
#define FIRST_SAFE_FD 10

struct session {
	const struct aot_config *config;
	int module_fd, elf_fd, names_fd;
	int progress_read, progress_write;
	int error_read, error_write;
	struct eos_buf progress, error;
	uint32_t pages;
	bool has_pages;
};

static int high_fd(int fd)
{
	int high = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, FIRST_SAFE_FD);
	(void)eos_close(fd);
	return high;
}

static int open_pipe(int *ret_read, int *ret_write)
{
	int fds[2];
	if (pipe2(fds, O_CLOEXEC) < 0)
		return -errno;
	*ret_read = fds[0];
	*ret_write = high_fd(fds[1]);
	return *ret_write < 0 ? -EMFILE : 0;
}

static int session_open(struct session *session, const void *module, size_t len)
{
	session->module_fd = high_fd(memfd_create("module", MFD_CLOEXEC));
	session->elf_fd = high_fd(memfd_create("elf", MFD_CLOEXEC));
	session->names_fd = high_fd(memfd_create("names", MFD_CLOEXEC));
	if (session->module_fd < 0 || session->elf_fd < 0 || session->names_fd < 0)
		return -EMFILE;
	int err = eos_write_full(session->module_fd, module, len);
	if (err == 0)
		err = open_pipe(&session->progress_read, &session->progress_write);
	if (err == 0)
		err = open_pipe(&session->error_read, &session->error_write);
	return err;
}

static void session_close(struct session *session)
{
	int *const fds[] = {&session->module_fd,     &session->elf_fd,	       &session->names_fd,
			    &session->progress_read, &session->progress_write, &session->error_read,
			    &session->error_write};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(fds); i++)
		*fds[i] = eos_close(*fds[i]);
	eos_buf_fini(&session->progress);
	eos_buf_fini(&session->error);
}

static int spawn_with(const struct session *session, char *const *argv,
		      posix_spawn_file_actions_t *actions, posix_spawnattr_t *attributes,
		      pid_t *ret_pid)
{
	/* edge-aot needs none, and what ours says is nothing for a compiler of tenants' code. */
	static char *const environment[] = {NULL};
	static const struct {
		int target;
		size_t offset;
	} moves[] = {
		{STDERR_FILENO, offsetof(struct session, error_write)},
		{AOT_FD_PROGRESS, offsetof(struct session, progress_write)},
		{AOT_FD_MODULE, offsetof(struct session, module_fd)},
		{AOT_FD_OUT, offsetof(struct session, elf_fd)},
		{AOT_FD_NAMES, offsetof(struct session, names_fd)},
	};
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	int err = posix_spawnattr_setflags(
		attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	if (err == 0)
		err = posix_spawnattr_setsigmask(attributes, &none);
	if (err == 0)
		err = posix_spawnattr_setsigdefault(attributes, &all);
	for (int fd = STDIN_FILENO; err == 0 && fd <= STDOUT_FILENO; fd++)
		err = posix_spawn_file_actions_addopen(actions, fd, "/dev/null", O_RDWR, 0);
	for (size_t i = 0; err == 0 && i < EOS_ARRAY_SIZE(moves); i++) {
		int fd = *(const int *)((const char *)session + moves[i].offset);
		err = posix_spawn_file_actions_adddup2(actions, fd, moves[i].target);
	}
	if (err == 0)
		err = posix_spawn_file_actions_addclosefrom_np(actions, AOT_FDS_END);
	if (err == 0)
		err = posix_spawn(ret_pid, argv[0], actions, attributes, argv, environment);
	return -err;
}

static int spawn(const struct session *session, char *const *argv, pid_t *ret_pid)
{
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	if (posix_spawn_file_actions_init(&actions) != 0)
		return -ENOMEM;
	int err = -ENOMEM;
	if (posix_spawnattr_init(&attributes) == 0) {
		err = spawn_with(session, argv, &actions, &attributes, ret_pid);
		(void)posix_spawnattr_destroy(&attributes);
	}
	(void)posix_spawn_file_actions_destroy(&actions);
	return err;
}

/* The complete lines of the progress pipe. What is not understood is ignored. */
static void take_lines(struct session *session)
{
	const struct aot_config *config = session->config;
	char *end;
	while (session->progress.len > 0 &&
	       (end = memchr(session->progress.data, '\n', session->progress.len)) != NULL) {
		static const char *const phases[] = {"checking", "translating", "compiling"};
		const char *line = session->progress.data;
		uint64_t pages;
		*end = '\0';
		for (size_t i = 0; i < EOS_ARRAY_SIZE(phases); i++) {
			if (eos_str_starts_with(line, "phase ") &&
			    strcmp(line + 6, phases[i]) == 0 && config->on_progress != NULL)
				config->on_progress(config->progress_ctx, phases[i]);
		}
		if (eos_str_starts_with(line, "pages ") && eos_parse_u64(line + 6, &pages) == 0 &&
		    pages <= UINT16_MAX) {
			session->pages = (uint32_t)pages;
			session->has_pages = true;
		}
		eos_buf_consume(&session->progress, (size_t)(end + 1 - line));
	}
}

/* Reads what there is. False at the end of the pipe. Beyond the bound bytes are dropped. */
static bool read_some(int fd, struct eos_buf *buf)
{
	char part[512];
	ssize_t n = read(fd, part, sizeof(part));
	if (n < 0)
		return errno == EINTR || errno == EAGAIN;
	if (n > 0 && buf->len < LINE_MAX_BYTES)
		(void)eos_buf_append(buf, part, (size_t)n);
	return n > 0;
}

/* Listens until edge-aot is gone. -ETIMEDOUT or -ECANCELED when it has to go before. */
static int listen_to(struct session *session, uint64_t deadline_ns)
{
	int cancel_fd = session->config->cancel_fd;
	struct pollfd fds[3] = {{.fd = session->progress_read, .events = POLLIN},
				{.fd = session->error_read, .events = POLLIN},
				{.fd = cancel_fd > 0 ? cancel_fd : -1, .events = POLLIN}};
	while (fds[0].fd >= 0) {
		uint64_t now_ns = eos_now_ns();
		if (now_ns >= deadline_ns)
			return -ETIMEDOUT;
		uint64_t wait_ms = (deadline_ns - now_ns) / EOS_NS_PER_MS + 1;
		int n = poll(fds, 3, (int)EOS_MIN(wait_ms, (uint64_t)60000));
		if (n <= 0)
			continue;
		if (fds[2].revents != 0)
			return -ECANCELED;
		if (fds[1].revents != 0 && !read_some(fds[1].fd, &session->error))
			fds[1].fd = -1;
		if (fds[0].revents != 0 && !read_some(fds[0].fd, &session->progress))
			fds[0].fd = -1;
		take_lines(session);
	}
	return 0;
}

static int explain_exit(const struct session *session, int status, struct eos_why *why)
{
	static const int errors[] = {
		[AOT_EXIT_OK] = 0,
		[AOT_EXIT_INVALID] = -EINVAL,
		[AOT_EXIT_USAGE] = -EIO,
		[AOT_EXIT_NO_MEMORY] = -ENOMEM,
		[AOT_EXIT_TOO_LARGE] = -EFBIG,
		[AOT_EXIT_TOO_SLOW] = -ETIMEDOUT,
		[AOT_EXIT_NO_TOOL] = -ENOENT,
		[AOT_EXIT_FAILED] = -EIO,
	};
	if (WIFSIGNALED(status) && WTERMSIG(status) == SIGXCPU)
		return eos_why(why, -ETIMEDOUT, "compiling it takes too long");
	if (WIFSIGNALED(status))
		return eos_why(why, -EIO, "edge-aot failed on it (killed by signal %d)",
			       WTERMSIG(status));
	size_t code = (size_t)WEXITSTATUS(status);
	if (code == AOT_EXIT_OK && session->has_pages)
		return 0;
	int err = code > AOT_EXIT_OK && code < EOS_ARRAY_SIZE(errors) ? errors[code] : -EIO;
	if (session->error.len == 0)
		return eos_why(why, err, "edge-aot failed on it (exit code %zu)", code);
	return eos_why(why, err, "%.*s", (int)strcspn(session->error.data, "\n"),
		       session->error.data);
}

static int supervise(struct session *session, pid_t pid, uint64_t timeout_ns, struct eos_why *why)
{
	int status;
	int err = listen_to(session, eos_now_ns() + timeout_ns);
	/* In any case: nothing of it may outlive this call. Its group is there until it is reaped.
	 * When it closed the pipe it is ending, or it misbehaves. */
	siginfo_t info;
	if (err == 0)
		while (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT) < 0 && errno == EINTR)
			;
	(void)kill(-pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return eos_why(why, -errno, "cannot wait for edge-aot: %s",
				       strerror(errno));
	}
	if (err == -ECANCELED)
		return eos_why(why, err, "compiling it was given up");
	if (err < 0)
		return eos_why(why, err, "compiling it takes longer than %llu ms",
			       (unsigned long long)(timeout_ns / EOS_NS_PER_MS));
	return explain_exit(session, status, why);
}

static int start_and_supervise(struct session *session, const struct aot_toolchain *toolchain,
			       const char *work_dir, struct eos_why *why)
{
	const struct aot_config *config = session->config;
	uint64_t timeout_ns = config->timeout_ns != 0 ? config->timeout_ns : 300 * EOS_NS_PER_S;
	uint64_t memory = config->memory_bytes != 0 ? config->memory_bytes : UINT64_C(4) << 30;
	char memory_text[24], seconds_text[24], fds[4][12];
	(void)snprintf(memory_text, sizeof(memory_text), "%llu", (unsigned long long)memory);
	(void)snprintf(seconds_text, sizeof(seconds_text), "%llu",
		       (unsigned long long)(timeout_ns / EOS_NS_PER_S + 1));
	for (int i = 0; i < 4; i++)
		(void)snprintf(fds[i], sizeof(fds[i]), "%d", AOT_FD_PROGRESS + i);
	const char *argv[] = {toolchain->program,
			      "--sources",
			      aot_text_sources,
			      "--progress-fd",
			      fds[0],
			      "--module-fd",
			      fds[1],
			      "--out-fd",
			      fds[2],
			      "--names-fd",
			      fds[3],
			      "--dir",
			      work_dir,
			      "--cc",
			      toolchain->compiler,
			      "--memory",
			      memory_text,
			      "--seconds",
			      seconds_text,
			      NULL};
	pid_t pid;
	int err = spawn(session, (char *const *)(uintptr_t)argv, &pid);
	if (err < 0)
		return eos_why(why, err, "cannot start edge-aot: %s", strerror(-err));
	session->progress_write = eos_close(session->progress_write);
	session->error_write = eos_close(session->error_write);
	return supervise(session, pid, timeout_ns, why);
}

int aot_run(const struct aot_config *config, const struct aot_toolchain *toolchain,
	    const char *work_dir, const void *module, size_t len, struct aot_result *ret_result,
	    struct eos_why *why)
{
	struct session session = {.config = config,
				  .module_fd = -1,
				  .elf_fd = -1,
				  .names_fd = -1,
				  .progress_read = -1,
				  .progress_write = -1,
				  .error_read = -1,
				  .error_write = -1};
	int err = session_open(&session, module, len);
	if (err < 0)
		eos_why(why, err, "cannot start edge-aot: %s", strerror(-err));
	else
		err = start_and_supervise(&session, toolchain, work_dir, why);
	if (err == 0) {
		*ret_result = (struct aot_result){session.elf_fd, session.names_fd, session.pages};
		session.elf_fd = session.names_fd = -1;
	}
	session_close(&session);
	return err;
}
