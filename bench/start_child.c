/*
 * What the bench "start" executes: writes when its main began to the descriptor in its argument.
 * Built statically with musl and with glibc.
 */
#include <stdint.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	uint64_t now_ns = (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;

	if (argc != 2)
		return 2;
	return write(atoi(argv[1]), &now_ns, sizeof(now_ns)) == sizeof(now_ns) ? 0 : 1;
}
