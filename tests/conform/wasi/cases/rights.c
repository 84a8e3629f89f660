#include <unistd.h>
#include <wasi/api.h>

#include "check.h"

#define OPEN(path, oflags, base, inheriting)                                                       \
	__wasi_path_open(3, 0, path, oflags, base, inheriting, 0, &fd)

int main(void)
{
	__wasi_fd_t fd = 0, other = 0;
	__wasi_fdstat_t stat;
	__wasi_filesize_t size;
	CHECK(__wasi_fd_fdstat_get(3, &stat) == 0);
	CHECK(stat.fs_filetype == __WASI_FILETYPE_DIRECTORY && stat.fs_flags == 0);
	CHECK((stat.fs_rights_base & __WASI_RIGHTS_FD_SEEK) == 0);
	CHECK(stat.fs_rights_inheriting & __WASI_RIGHTS_FD_SEEK);

	CHECK(OPEN("file", __WASI_OFLAGS_CREAT, __WASI_RIGHTS_FD_READ, ~0ull) == 0);
	CHECK(__wasi_fd_fdstat_get(fd, &stat) == 0);
	CHECK(stat.fs_rights_base == __WASI_RIGHTS_FD_READ && stat.fs_rights_inheriting == 0);
	CHECK(__wasi_fd_seek(fd, 0, __WASI_WHENCE_SET, &size) == __WASI_ERRNO_NOTCAPABLE);
	CHECK(__wasi_fd_sync(fd) == __WASI_ERRNO_NOTCAPABLE);
	CHECK(__wasi_fd_fdstat_set_rights(fd, __WASI_RIGHTS_FD_WRITE, 0) ==
	      __WASI_ERRNO_NOTCAPABLE);
	CHECK(__wasi_sock_shutdown(fd, 0) == __WASI_ERRNO_NOTSOCK);
	CHECK(__wasi_sock_shutdown(99, 0) == __WASI_ERRNO_BADF);

	/* A directory that hands on less. */
	CHECK(OPEN(".", __WASI_OFLAGS_DIRECTORY, __WASI_RIGHTS_PATH_OPEN | __WASI_RIGHTS_FD_READDIR,
		   __WASI_RIGHTS_FD_READ) == 0);
	CHECK(__wasi_path_open(fd, 0, "file", 0, __WASI_RIGHTS_FD_WRITE, 0, 0, &other) ==
	      __WASI_ERRNO_NOTCAPABLE);
	CHECK(__wasi_path_open(fd, 0, "new", __WASI_OFLAGS_CREAT, 0, 0, 0, &other) ==
	      __WASI_ERRNO_NOTCAPABLE);
	CHECK(__wasi_path_unlink_file(fd, "file") == __WASI_ERRNO_NOTCAPABLE);
	CHECK(__wasi_path_open(fd, 0, "file", 0, __WASI_RIGHTS_FD_READ, 0, 0, &other) == 0);

	/* Descriptors move. */
	CHECK(__wasi_fd_renumber(other, fd) == 0);
	CHECK(__wasi_fd_close(other) == __WASI_ERRNO_BADF);
	CHECK(__wasi_fd_close(fd) == 0);
	CHECK(__wasi_fd_renumber(3, 99) == __WASI_ERRNO_BADF);
	return 0;
}
