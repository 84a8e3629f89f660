/* Nothing outside of the directories that were given can be reached. */
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <wasi/api.h>

#include "check.h"

/* Descriptor 3 is the directory "work": asked without the C library, which has ideas of its own. */
static int open_raw(const char *path)
{
	__wasi_fd_t fd;
	int err = __wasi_path_open(3, __WASI_LOOKUPFLAGS_SYMLINK_FOLLOW, path, 0,
				   __WASI_RIGHTS_FD_READ, 0, 0, &fd);
	return err;
}

int main(void)
{
	struct stat st;
	static const char *const outside[] = {"/etc/passwd", "../work/x",   "..",
					      "a/../..",     "a/../../etc", "/"};
	for (size_t i = 0; i < sizeof(outside) / sizeof(outside[0]); i++)
		CHECK(open_raw(outside[i]) == __WASI_ERRNO_PERM);
	CHECK(open("/etc/passwd", O_RDONLY) == -1);
	CHECK(stat("/", &st) == -1 && opendir("/") == NULL);
	CHECK(open("elsewhere", O_CREAT | O_WRONLY, 0666) == -1);
	CHECK_ERROR(symlink("/etc/passwd", "work/absolute"), EPERM);
	CHECK(symlink("../../../../etc/passwd", "work/relative") == 0);
	CHECK_ERROR(open("work/relative", O_RDONLY), EPERM);
	CHECK_ERROR(stat("work/relative", &st), EPERM);
	CHECK(symlink("..", "work/up") == 0);
	CHECK_ERROR(stat("work/up", &st), EPERM);
	CHECK_ERROR(mkdir("work/up/x", 0777), EPERM);
	CHECK_ERROR(unlink("work/up/work"), EPERM);
	CHECK_ERROR(rename("work/up", "work/up/y"), EPERM);
	CHECK_ERROR(link("work/up", "work/up/y"), EPERM);
	CHECK_ERROR(symlink("x", "work/up/y"), EPERM);
	CHECK(unlink("work/up") == 0);
	CHECK(lstat("work/relative", &st) == 0 && S_ISLNK(st.st_mode));
	/* A directory that another takes the place of keeps its limits. */
	CHECK(mkdir("work/a", 0777) == 0 && mkdir("work/a/b", 0777) == 0);
	int fd = open("work/a/b", O_RDONLY | O_DIRECTORY);
	CHECK(fd >= 0);
	CHECK(rename("work/a/b", "work/c") == 0);
	CHECK_ERROR(openat(fd, "../a", O_RDONLY), EPERM);
	CHECK(openat(fd, "new", O_CREAT | O_WRONLY, 0666) >= 0);
	CHECK(stat("work/c/new", &st) == 0);
	return 0;
}
