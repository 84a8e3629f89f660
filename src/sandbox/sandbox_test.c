/*
 * Each case runs in a child, as root (where the test is) and as an ordinary user: the child enters
 * a profile and does one thing; its exit code or signal says what came of it.
 */
#include "sandbox/sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "sandbox/sandbox_priv.h"

#define NOBODY 65534

static char allowed_dir[] = "/tmp/sandbox_test.XXXXXX";
static char read_only_dir[] = "/tmp/sandbox_test.XXXXXX";
static bool is_ordinary_user; /* what the children become */

static int enter(enum sandbox_profile profile, bool keep_network, struct sandbox_report *report)
{
	const struct sandbox_path paths[] = {
		{allowed_dir, SANDBOX_WRITE},	 {read_only_dir, SANDBOX_READ},
		{"/usr", SANDBOX_READ_EXEC},	 {"/lib", SANDBOX_READ_EXEC},
		{"/lib64", SANDBOX_READ_EXEC},	 {"/bin", SANDBOX_READ_EXEC},
		{"/no/such/path", SANDBOX_READ}, {"/dev/null", SANDBOX_WRITE},
	};
	const struct sandbox_config config = {profile, paths, EOS_ARRAY_SIZE(paths), keep_network};
	struct eos_why why = {""};
	int err = sandbox_enter(&config, report, &why);
	if (err < 0)
		(void)fprintf(stderr, "sandbox_enter: %d %s\n", err, why.text);
	return err;
}

/* The wait status of a child that runs FN. */
static int in_child(int (*fn)(void))
{
	int status;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		if (is_ordinary_user && geteuid() == 0 &&
		    (setgroups(0, NULL) < 0 || setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
		     setresuid(NOBODY, NOBODY, NOBODY) < 0))
			_exit(99);
		_exit(fn());
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

static void assert_fine(int (*fn)(void))
{
	int status = in_child(fn);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void assert_killed(int (*fn)(void))
{
	int status = in_child(fn);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSYS);
}

/* Landlock off in the kernel: then files are not restricted, and tests of that have nothing to
 * see. */
static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, 1) >= 1;
}

#define CHECK(claim)                                                                               \
	do {                                                                                       \
		if (!(claim)) {                                                                    \
			(void)fprintf(stderr, "line %d: %s (errno %d)\n", __LINE__, #claim,        \
				      errno);                                                      \
			return 1;                                                                  \
		}                                                                                  \
	} while (0)
#define CHECK_ERRNO(call, wanted) CHECK((call) == -1 && errno == (wanted))

static int open_in(const char *dir, const char *name, int flags)
{
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	return open(path, flags | O_CLOEXEC, 0600);
}

static int child_files(void)
{
	struct sandbox_report report;
	CHECK(enter(SANDBOX_PROFILE_COMPILER, false, &report) == 0);
	CHECK(report.has_landlock == has_landlock());
	CHECK(report.has_seccomp);
	int fd = open_in(allowed_dir, "new", O_RDWR | O_CREAT);
	CHECK(fd >= 0);
	CHECK(write(fd, "x", 1) == 1 && ftruncate(fd, 0) == 0 && fsync(fd) == 0);
	CHECK(open("/dev/null", O_RDWR | O_CLOEXEC) >= 0);
	CHECK(open("/usr/bin", O_RDONLY | O_DIRECTORY | O_CLOEXEC) >= 0);
	CHECK(open_in(read_only_dir, "file", O_RDONLY) >= 0);
	if (!report.has_landlock)
		return 0;
	CHECK_ERRNO(open_in(read_only_dir, "file", O_WRONLY), EACCES);
	CHECK_ERRNO(open_in(read_only_dir, "new", O_WRONLY | O_CREAT), EACCES);
	CHECK_ERRNO(open("/etc/passwd", O_RDONLY | O_CLOEXEC), EACCES);
	CHECK_ERRNO(open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC), EACCES);
	CHECK_ERRNO(mkdir("/tmp/sandbox_test_new", 0700), EACCES);
	return 0;
}

/* Nothing that was written may be executed. */
static int child_execute(void)
{
	struct sandbox_report report;
	CHECK(enter(SANDBOX_PROFILE_COMPILER, false, &report) == 0);
	int fd = open_in(allowed_dir, "program", O_WRONLY | O_CREAT | O_TRUNC);
	CHECK(fd >= 0 && write(fd, "#!/bin/sh\n", 10) == 10 && fchmod(fd, 0700) == 0);
	close(fd);
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/program", allowed_dir);
	char *argv[] = {path, NULL};
	if (report.has_landlock)
		CHECK_ERRNO(execv(path, argv), EACCES);
	char *truth[] = {(char[]){"/bin/true"}, NULL};
	execv("/bin/true", truth);
	return 1;
}

static int child_compiler_calls(void)
{
	struct sandbox_report report;
	CHECK(enter(SANDBOX_PROFILE_COMPILER, false, &report) == 0);
	CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, 0), EPERM);
	CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM, 0), EPERM);
	CHECK_ERRNO(setsid(), EPERM);
	CHECK_ERRNO(unshare(CLONE_NEWUSER), EPERM);
	CHECK_ERRNO(mount("none", allowed_dir, "tmpfs", 0, NULL), EPERM);
	CHECK_ERRNO(syscall(SYS_clone, CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0), EPERM);
	CHECK_ERRNO(syscall(SYS_clone3, NULL, 0), ENOSYS);
	if (!SANDBOX_HAS_SANITIZER)
		CHECK_ERRNO(ptrace(PTRACE_TRACEME, 0, 0, 0), EPERM);
	CHECK(prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1);
	/* Ordinary work goes on: a child of the child. */
	pid_t child = fork();
	CHECK(child >= 0);
	if (child == 0)
		_exit(7);
	int status;
	CHECK(waitpid(child, &status, 0) == child && WEXITSTATUS(status) == 7);
	return 0;
}

static bool has_capabilities(void)
{
	char text[4096];
	int fd = open("/proc/thread-self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof(text) - 1);
	close(fd);
	text[n < 0 ? 0 : n] = '\0';
	const char *effective = strstr(text, "CapEff:");
	const char *permitted = strstr(text, "CapPrm:");
	const char *bounding = strstr(text, "CapBnd:");
	bool was_root = geteuid() == 0;
	return effective == NULL || strtoull(effective + 7, NULL, 16) != 0 ||
	       strtoull(permitted + 7, NULL, 16) != 0 ||
	       (was_root && strtoull(bounding + 7, NULL, 16) != 0);
}

static int child_capabilities(void)
{
	struct sandbox_report report;
	const struct sandbox_path paths[] = {{"/proc", SANDBOX_READ}};
	const struct sandbox_config config = {SANDBOX_PROFILE_NODE, paths, 1, true};
	CHECK(sandbox_enter(&config, &report, NULL) == 0);
	CHECK(!has_capabilities());
	CHECK_ERRNO(mount("none", "/tmp", "tmpfs", 0, NULL), EPERM);
	/* edged needs its sockets. */
	CHECK(socket(AF_INET, SOCK_STREAM, 0) >= 0);
	CHECK(!report.has_network_namespace);
	return 0;
}

static int child_node_without_network(void)
{
	struct sandbox_report report;
	CHECK(enter(SANDBOX_PROFILE_NODE, false, &report) == 0);
	CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, 0), EPERM);
	return 0;
}

static void *thread_main(void *arg)
{
	*(int *)arg = 5;
	return arg;
}

/* What a cell does all day. */
static int child_cell_work(void)
{
	struct sandbox_report report;
	int fds[2];
	CHECK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds) == 0);
	CHECK(enter(SANDBOX_PROFILE_CELL, false, &report) == 0);
	int memory = memfd_create("m", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CHECK(memory >= 0 && ftruncate(memory, 8192) == 0);
	CHECK(fcntl(memory, F_ADD_SEALS, F_SEAL_GROW) == 0);
	void *p = mmap(NULL, 8192, PROT_READ | PROT_EXEC, MAP_PRIVATE, memory, 0);
	CHECK(p != MAP_FAILED && mprotect(p, 4096, PROT_READ) == 0 && munmap(p, 8192) == 0);
	CHECK(send(fds[0], "x", 1, 0) == 1);
	char byte;
	struct iovec part = {&byte, 1};
	struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
	CHECK(recvmsg(fds[1], &message, 0) == 1 && byte == 'x');
	struct stat status;
	CHECK(fstat(memory, &status) == 0 && status.st_size == 8192);
	timer_t timer;
	struct sigevent event = {.sigev_notify = SIGEV_NONE};
	CHECK(timer_create(CLOCK_MONOTONIC, &event, &timer) == 0 && timer_delete(timer) == 0);
	int value = 0;
	pthread_t thread;
	CHECK(pthread_create(&thread, NULL, thread_main, &value) == 0);
	CHECK(pthread_join(thread, NULL) == 0 && value == 5);
	CHECK(prctl(PR_SET_NAME, "cell") == 0);
	free(malloc(1 << 20));
	return 0;
}

static int cell_does(long (*fn)(void))
{
	struct sandbox_report report;
	CHECK(enter(SANDBOX_PROFILE_CELL, false, &report) == 0);
	(void)fn();
	return 0;
}

static long make_socket(void)
{
	return socket(AF_INET, SOCK_STREAM, 0);
}

static long make_mount(void)
{
	return syscall(SYS_mount, "none", "/tmp", "tmpfs", 0, NULL);
}

static long push_input(void)
{
	return syscall(SYS_ioctl, 0, UINT64_C(0x100005412), "x"); /* TIOCSTI, disguised */
}

static long make_directory(void)
{
	return syscall(SYS_mkdirat, AT_FDCWD, "/tmp/x", 0700);
}

static long open_file(void)
{
	return syscall(SYS_openat, AT_FDCWD, "/dev/null", O_RDONLY);
}

static long fork_process(void)
{
	return syscall(SYS_clone, SIGCHLD, 0, 0, 0, 0);
}

static long set_limit(void)
{
	uint64_t limit[2] = {1, 1};
	return syscall(SYS_prlimit64, 0, 7, limit, NULL);
}

static int child_cell_socket(void)
{
	return cell_does(make_socket);
}

static int child_cell_mount(void)
{
	return cell_does(make_mount);
}

static int child_cell_ioctl(void)
{
	return cell_does(push_input);
}

static int child_cell_mkdir(void)
{
	return cell_does(make_directory);
}

static int child_cell_open(void)
{
	return cell_does(open_file);
}

static int child_cell_fork(void)
{
	return cell_does(fork_process);
}

static int child_cell_limit(void)
{
	return cell_does(set_limit);
}

/* File calls below a directory that is open, and only there. */
static int child_run_work(void)
{
	struct sandbox_report report;
	CHECK(enter(SANDBOX_PROFILE_RUN, false, &report) == 0);
	int dir = open(allowed_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(dir >= 0);
	(void)unlinkat(dir, "b", 0);
	int fd = openat(dir, "a", O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	CHECK(fd >= 0 && write(fd, "abc", 3) == 3 && ftruncate(fd, 2) == 0 && fsync(fd) == 0);
	CHECK(futimens(fd, NULL) == 0);
	CHECK(renameat(dir, "a", dir, "b") == 0);
	CHECK(mkdirat(dir, "d", 0700) == 0 && unlinkat(dir, "d", AT_REMOVEDIR) == 0);
	struct stat status;
	CHECK(fstatat(dir, "b", &status, 0) == 0 && status.st_size == 2);
	if (report.has_landlock)
		CHECK_ERRNO(openat(dir, "../../etc/passwd", O_RDONLY | O_CLOEXEC), EACCES);
	return 0;
}

static int child_run_socket(void)
{
	struct sandbox_report report;
	CHECK(enter(SANDBOX_PROFILE_RUN, false, &report) == 0);
	(void)make_socket();
	return 0;
}

static int child_bad_profile(void)
{
	struct sandbox_report report;
	CHECK(enter((enum sandbox_profile)99, true, &report) == -EINVAL);
	return 0;
}

static int child_keeps_death_signal(void)
{
	struct sandbox_report report;
	int death_signal = 0;
	CHECK(sandbox_die_with_parent(getppid()) == 0);
	CHECK(sandbox_die_with_parent(1 << 28) == -ESRCH);
	CHECK(enter(SANDBOX_PROFILE_COMPILER, false, &report) == 0);
	CHECK(prctl(PR_GET_PDEATHSIG, &death_signal) == 0 && death_signal == SIGKILL);
	return 0;
}

/* A NODE starts a COMPILER: a sandbox within a sandbox. */
static int child_nested(void)
{
	struct sandbox_report report;
	CHECK(enter(SANDBOX_PROFILE_NODE, true, &report) == 0);
	CHECK(enter(SANDBOX_PROFILE_COMPILER, false, &report) == 0);
	CHECK(report.has_seccomp && !report.has_network_namespace);
	CHECK_ERRNO(socket(AF_INET, SOCK_STREAM, 0), EPERM);
	return 0;
}

static void test_all(void **state)
{
	static int (*const fine[])(void) = {
		child_files,
		child_execute,
		child_compiler_calls,
		child_capabilities,
		child_cell_work,
		child_run_work,
		child_node_without_network,
		child_nested,
		child_bad_profile,
		child_keeps_death_signal,
	};
	static int (*const killed[])(void) = {child_cell_socket, child_cell_mount, child_cell_mkdir,
					      child_cell_ioctl, child_run_socket};
	static int (*const killed_unsanitized[])(void) = {child_cell_open, child_cell_fork,
							  child_cell_limit};
	is_ordinary_user = *state != NULL;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(fine); i++)
		assert_fine(fine[i]);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(killed); i++)
		assert_killed(killed[i]);
	for (size_t i = 0; !SANDBOX_HAS_SANITIZER && i < EOS_ARRAY_SIZE(killed_unsanitized); i++)
		assert_killed(killed_unsanitized[i]);
}

static int setup(void **state)
{
	assert_non_null(mkdtemp(allowed_dir));
	assert_non_null(mkdtemp(read_only_dir));
	assert_int_equal(chmod(allowed_dir, 0777), 0);
	assert_int_equal(chmod(read_only_dir, 0777), 0);
	int fd = open_in(read_only_dir, "file", O_WRONLY | O_CREAT);
	assert_true(fd >= 0);
	assert_int_equal(fchmod(fd, 0666), 0);
	close(fd);
	return 0;
}

static int clear_allowed_dir(void **state)
{
	static const char *const names[] = {"new", "program", "a", "b"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(names); i++) {
		char path[128];
		(void)snprintf(path, sizeof(path), "%s/%s", allowed_dir, names[i]);
		(void)unlink(path);
	}
	return 0;
}

static int teardown(void **state)
{
	char path[128];
	(void)snprintf(path, sizeof(path), "%s/file", read_only_dir);
	(void)unlink(path);
	return rmdir(read_only_dir) == 0 && rmdir(allowed_dir) == 0 ? 0 : -1;
}

int main(void)
{
	static bool ordinary_user = true;
	const struct CMUnitTest tests[] = {
		{"as we are", test_all, NULL, clear_allowed_dir, NULL},
		{"as an ordinary user", test_all, NULL, clear_allowed_dir, &ordinary_user},
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
