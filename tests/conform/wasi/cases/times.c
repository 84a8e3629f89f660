#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <wasi/api.h>

#include "check.h"

static long long ns(const struct timespec *t)
{
	return t->tv_sec * 1000000000LL + t->tv_nsec;
}

int main(void)
{
	struct timespec a, b, res;
	CHECK(clock_getres(CLOCK_MONOTONIC, &res) == 0 && ns(&res) > 0);
	CHECK(clock_gettime(CLOCK_MONOTONIC, &a) == 0);
	CHECK(usleep(3000) == 0);
	CHECK(clock_gettime(CLOCK_MONOTONIC, &b) == 0);
	CHECK(ns(&b) - ns(&a) >= 3000000);
	CHECK(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &a, NULL) == 0); /* long over */
	CHECK(time(NULL) > 1600000000);

	struct stat st;
	int fd = open("work/file", O_CREAT | O_RDWR, 0666);
	struct timespec set[2] = {{.tv_sec = 1000, .tv_nsec = 1}, {.tv_sec = 2000, .tv_nsec = 2}};
	CHECK(futimens(fd, set) == 0);
	CHECK(fstat(fd, &st) == 0 && ns(&st.st_atim) == 1000000000001LL);
	CHECK(ns(&st.st_mtim) == 2000000000002LL);
	/* Not by utimensat(): UTIME_NOW is one number in the C library's header and another inside.
	 */
	CHECK(__wasi_path_filestat_set_times(3, 0, "file", 0, 0, __WASI_FSTFLAGS_MTIM_NOW) == 0);
	CHECK(stat("work/file", &st) == 0 && ns(&st.st_atim) == 1000000000001LL);
	CHECK(st.st_mtim.tv_sec > 1600000000);
	return 0;
}
