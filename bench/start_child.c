/*
 * What the bench "start" executes, alone and in containers: writes when its main began to its
 * standard output. Built statically with musl and with glibc.
 */
#include <stdint.h>
#include <time.h>
#include <unistd.h>

int main(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;

	return write(STDOUT_FILENO, &now_ns, sizeof(now_ns)) == sizeof(now_ns) ? 0 : 1;
}
