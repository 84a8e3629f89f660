/*
 * This program is the other one, too: with the argument "child" it tells what it has, to the first
 * descriptor that it was given.
 */
#include "base/subprocess.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define TEXT_SIZE 4096

/* --- the child --- */

static void tell_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	if (dir == NULL)
		_exit(1);
	int own = dirfd(dir);
	for (struct dirent *entry; (entry = readdir(dir)) != NULL;) {
		if (entry->d_name[0] != '.' && atoi(entry->d_name) != own)
			dprintf(EOS_SPAWN_FD_FIRST, "fd%s ", entry->d_name);
	}
	closedir(dir);
}

static int be_child(char **argv)
{
	extern char **environ;
	char byte = '-', path[64] = "";
	sigset_t mask;
	struct sigaction action;
	tell_fds();
	for (char **e = environ; *e != NULL; e++)
		dprintf(EOS_SPAWN_FD_FIRST, "env:%s ", *e);
	sigprocmask(SIG_BLOCK, NULL, &mask);
	sigaction(SIGPIPE, NULL, &action);
	if (sigismember(&mask, SIGTERM) == 0 && action.sa_handler == SIG_DFL)
		dprintf(EOS_SPAWN_FD_FIRST, "signals ");
	if (readlink("/proc/self/fd/0", path, sizeof(path) - 1) > 0)
		dprintf(EOS_SPAWN_FD_FIRST, "in:%s ", path);
	if (read(EOS_SPAWN_FD_FIRST + 1, &byte, 1) == 1)
		dprintf(EOS_SPAWN_FD_FIRST, "second:%c ", byte);
	dprintf(EOS_SPAWN_FD_FIRST, "arg:%s\n", argv[2]);
	return 7;
}

/* --- the parent --- */

static char self[4096];

static unsigned count_fds(void)
{
	unsigned count = 0;
	DIR *dir = opendir("/proc/self/fd");
	assert_non_null(dir);
	while (readdir(dir) != NULL)
		count++;
	closedir(dir);
	return count;
}

/* Starts the child with the writing end of a pipe and SECOND; what it told. */
static void run(int report[2], int second, char text[TEXT_SIZE])
{
	char name[] = "subprocess_test", child[] = "child", word[] = "one word";
	char *const argv[] = {name, child, word, NULL};
	const int fds[] = {report[1], second};
	size_t len = 0;
	ssize_t n;
	int status;
	pid_t pid;
	assert_int_equal(eos_spawn(self, argv, fds, 2, &pid), 0);
	close(report[1]);
	while ((n = read(report[0], text + len, TEXT_SIZE - 1 - len)) > 0)
		len += (size_t)n;
	text[len] = '\0';
	close(report[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

static void test_what_a_child_has(void **state)
{
	char text[TEXT_SIZE];
	int report[2], second[2];
	sigset_t blocked, before;
	(void)state;
	unsigned fds = count_fds();
	assert_int_equal(pipe(report), 0);
	assert_int_equal(pipe(second), 0);
	assert_int_equal(write(second[1], "x", 1), 1);
	setenv("EDGEOS_FAULTS", "", 1);
	setenv("SECRET", "1", 1);
	setenv("EDGEOS_FAULTS_NOT", "1", 1);
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigprocmask(SIG_BLOCK, &blocked, &before);
	signal(SIGPIPE, SIG_IGN);
	run(report, second[0], text);
	signal(SIGPIPE, SIG_DFL);
	sigprocmask(SIG_SETMASK, &before, NULL);
	assert_non_null(strstr(text, "env:EDGEOS_FAULTS= "));
	assert_null(strstr(text, "SECRET"));
	assert_null(strstr(text, "_NOT"));
	for (char *p = text; (p = strstr(p, "env:")) != NULL; p++)
		assert_true(strncmp(p, "env:EDGEOS_FAULTS", 17) == 0 ||
			    strstr(p, "SAN_OPTIONS=") != NULL);
	for (int i = 0; i < 5; i++) {
		char fd[16];
		snprintf(fd, sizeof(fd), "fd%d ", i);
		assert_non_null(strstr(text, fd));
	}
	assert_null(strstr(text, "fd5 "));
	assert_non_null(strstr(text, "signals in:/dev/null second:x arg:one word\n"));
	close(second[0]);
	close(second[1]);
	assert_int_equal(count_fds(), fds);
}

static int move_up(int fd)
{
	int moved = fcntl(fd, F_DUPFD, 100);
	assert_true(moved >= 100);
	close(fd);
	return moved;
}

/* What this process itself has at NUMBER comes back. */
static void put_back(int kept, int number)
{
	if (kept < 0) {
		close(number);
		return;
	}
	assert_int_equal(dup2(kept, number), number);
	close(kept);
}

/* Those of this process that have the child's numbers, each where the other belongs. */
static void test_numbers_that_cross(void **state)
{
	char text[TEXT_SIZE];
	int report[2], second[2];
	(void)state;
	int kept[2] = {fcntl(EOS_SPAWN_FD_FIRST, F_DUPFD, 100),
		       fcntl(EOS_SPAWN_FD_FIRST + 1, F_DUPFD, 100)};
	assert_int_equal(pipe(report), 0);
	assert_int_equal(pipe(second), 0);
	for (int i = 0; i < 2; i++) {
		report[i] = move_up(report[i]);
		second[i] = move_up(second[i]);
	}
	assert_int_equal(write(second[1], "y", 1), 1);
	close(second[1]);
	int crossed[2] = {report[0], EOS_SPAWN_FD_FIRST + 1};
	assert_int_equal(dup2(report[1], EOS_SPAWN_FD_FIRST + 1), EOS_SPAWN_FD_FIRST + 1);
	assert_int_equal(dup2(second[0], EOS_SPAWN_FD_FIRST), EOS_SPAWN_FD_FIRST);
	close(report[1]);
	close(second[0]);
	run(crossed, EOS_SPAWN_FD_FIRST, text);
	assert_non_null(strstr(text, "second:y arg:"));
	put_back(kept[0], EOS_SPAWN_FD_FIRST);
	put_back(kept[1], EOS_SPAWN_FD_FIRST + 1);
}

static void test_failures(void **state)
{
	char name[] = "x";
	char *const argv[] = {name, NULL};
	const int none = -1;
	pid_t pid = -5;
	(void)state;
	unsigned fds = count_fds();
	assert_int_equal(eos_spawn("/nowhere/program", argv, NULL, 0, &pid), -ENOENT);
	assert_int_equal(eos_spawn("/etc/passwd", argv, NULL, 0, &pid), -EACCES);
	assert_int_equal(eos_spawn(self, argv, &none, 1, &pid), -EBADF);
	assert_int_equal(pid, -5);
	assert_int_equal(count_fds(), fds);
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "child") == 0)
		return be_child(argv);
	if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_child_has),
		cmocka_unit_test(test_numbers_that_cross),
		cmocka_unit_test(test_failures),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
