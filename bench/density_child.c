/*
 * What the bench "density" executes: forks as many processes as its argument says, each of which
 * computes a little, writes to two pages, and waits for good (guests/idle.c does the same). Then
 * writes their process ids to standard output, and ends them when standard input does.
 */
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#define PAGE 4096u

static volatile unsigned words[3 * PAGE / sizeof(unsigned)];

static void idle(int ready_fd)
{
	for (unsigned i = 0; i < 1000; i++)
		words[(i % 2) * (PAGE / sizeof(unsigned)) + i % 16] += i;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0 || write(ready_fd, "", 1) != 1)
		_exit(1);
	close(ready_fd);
	for (;;)
		pause();
}

int main(int argc, char **argv)
{
	int ready[2], count = argc == 2 ? atoi(argv[1]) : 0;
	char byte;

	if (count <= 0 || pipe(ready) != 0)
		return 2;
	for (int i = 0; i < count; i++) {
		int32_t pid = fork();

		if (pid == 0)
			idle(ready[1]);
		if (pid < 0 || read(ready[0], &byte, 1) != 1 ||
		    write(STDOUT_FILENO, &pid, sizeof(pid)) != sizeof(pid))
			return 1;
	}
	return read(STDIN_FILENO, &byte, 1) == 0 ? 0 : 1;
}
