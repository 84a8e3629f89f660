#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wasi/wasi_test_fixture.h"

static uint64_t rights_of(struct fixture *f, uint32_t fd, bool inheriting)
{
	assert_int_equal(wasi_fd_fdstat_get(f->fwp, fd, AT_OUT2), 0);
	return fwp_double_u64(f->fwp, AT_OUT2 + (inheriting ? 16 : 8));
}

static uint8_t filetype_of(struct fixture *f, uint32_t fd)
{
	assert_int_equal(wasi_fd_fdstat_get(f->fwp, fd, AT_OUT2), 0);
	return *(uint8_t *)fwp_double_at(f->fwp, AT_OUT2, 1);
}

static uint64_t size_of(struct fixture *f, uint32_t fd)
{
	assert_int_equal(wasi_fd_filestat_get(f->fwp, fd, AT_OUT2), 0);
	return fwp_double_u64(f->fwp, AT_OUT2 + offsetof(struct wasi_abi_filestat, size));
}

static void test_read_write_seek(void **state)
{
	struct fixture *f = *state;
	uint32_t fd = (uint32_t)create(f, "file");
	assert_int_equal(fd, 5);
	assert_int_equal(write_text(f, fd, "hello world"), 11);
	assert_int_equal(wasi_fd_tell(f->fwp, fd, AT_OUT), 0);
	assert_int_equal(fwp_double_u64(f->fwp, AT_OUT), 11);
	assert_int_equal(read_some(f, fd, 10), 0);
	assert_int_equal(seek(f, fd, 6, WASI_WHENCE_SET), 6);
	assert_int_equal(read_some(f, fd, 100), 5);
	assert_memory_equal(fwp_double_at(f->fwp, AT_BUF, 5), "world", 5);
	assert_int_equal(seek(f, fd, -3, WASI_WHENCE_END), 8);
	assert_int_equal(seek(f, fd, -2, WASI_WHENCE_CUR), 6);
	assert_int_equal(seek(f, fd, -7, WASI_WHENCE_CUR), -EINVAL);
	assert_int_equal(seek(f, fd, INT64_MAX, WASI_WHENCE_CUR), -EOVERFLOW);
	assert_int_equal(seek(f, fd, 0, 3), -EINVAL);
	assert_int_equal(seek(f, fd, 0, WASI_WHENCE_CUR), 6);
	/* A hole reads as zero. */
	assert_int_equal(seek(f, fd, 20, WASI_WHENCE_SET), 20);
	assert_int_equal(write_text(f, fd, "!"), 1);
	assert_int_equal(size_of(f, fd), 21);
	assert_int_equal(seek(f, fd, 11, WASI_WHENCE_SET), 11);
	assert_int_equal(read_some(f, fd, 10), 10);
	assert_memory_equal(fwp_double_at(f->fwp, AT_BUF, 10), "\0\0\0\0\0\0\0\0\0!", 10);
	assert_int_equal(seek(f, fd, INT64_MAX, WASI_WHENCE_SET), INT64_MAX);
	assert_int_equal(write_text(f, fd, "!"), -EFBIG);
	assert_int_equal(read_some(f, fd, 10), 0);
}

static void test_positional(void **state)
{
	struct fixture *f = *state;
	uint32_t fd = (uint32_t)create(f, "file");
	assert_int_equal(write_text(f, fd, "0123456789"), 10);
	put_iovec(f, 0, AT_BUF, 3);
	put_iovec(f, 1, AT_BUF + 100, 3);
	assert_int_equal(wasi_fd_pread(f->fwp, fd, AT_IOVS, 2, 6, AT_OUT), 0);
	assert_int_equal(fwp_double_u32(f->fwp, AT_OUT), 4);
	assert_memory_equal(fwp_double_at(f->fwp, AT_BUF, 3), "678", 3);
	assert_memory_equal(fwp_double_at(f->fwp, AT_BUF + 100, 1), "9", 1);
	assert_int_equal(wasi_fd_pwrite(f->fwp, fd, AT_IOVS, 1, 0, AT_OUT), 0);
	assert_int_equal(wasi_fd_pread(f->fwp, fd, AT_IOVS, 1, UINT64_MAX, AT_OUT), -EINVAL);
	assert_int_equal(wasi_fd_pwrite(f->fwp, fd, AT_IOVS, 1, UINT64_MAX, AT_OUT), -EINVAL);
	assert_int_equal(wasi_fd_pwrite(f->fwp, fd, AT_IOVS, 1, INT64_MAX, AT_OUT), -EFBIG);
	assert_int_equal(seek(f, fd, 0, WASI_WHENCE_CUR), 10);
	assert_int_equal(wasi_fd_pread(f->fwp, 0, AT_IOVS, 1, 0, AT_OUT), -ESPIPE);
	assert_int_equal(wasi_fd_pwrite(f->fwp, 1, AT_IOVS, 1, 0, AT_OUT), -ESPIPE);
}

static void test_append(void **state)
{
	struct fixture *f = *state;
	uint32_t fd = (uint32_t)open_in(f, DATA_FD, "log", WASI_OFLAG_CREAT, WASI_RIGHTS_FILE,
					WASI_FDFLAG_APPEND | WASI_FDFLAG_DSYNC);
	assert_int_equal(write_text(f, fd, "one"), 3);
	assert_int_equal(seek(f, fd, 0, WASI_WHENCE_SET), 0);
	assert_int_equal(write_text(f, fd, "two"), 3);
	assert_int_equal(seek(f, fd, 0, WASI_WHENCE_CUR), 6);
	assert_int_equal(wasi_fd_fdstat_set_flags(f->fwp, fd, 0), 0);
	assert_int_equal(seek(f, fd, 0, WASI_WHENCE_SET), 0);
	assert_int_equal(write_text(f, fd, "X"), 1);
	assert_int_equal(size_of(f, fd), 6);
	assert_int_equal(wasi_fd_fdstat_set_flags(f->fwp, fd, 32), -EINVAL);
}

static void test_hostile_iovecs(void **state)
{
	struct fixture *f = *state;
	uint32_t fd = (uint32_t)create(f, "file");
	assert_int_equal(write_text(f, fd, "0123456789abcdefghij"), 20);
	assert_int_equal(seek(f, fd, 0, WASI_WHENCE_SET), 0);
	/* Count beyond the limit, array beyond memory. */
	assert_int_equal(wasi_fd_read(f->fwp, fd, 0, WASI_IOVECS_MAX + 1, AT_OUT), -EINVAL);
	assert_int_equal(wasi_fd_read(f->fwp, fd, 0, UINT32_MAX, AT_OUT), -EINVAL);
	assert_int_equal(wasi_fd_read(f->fwp, fd, DOUBLE_MEMORY_SIZE - 8, 2, AT_OUT), -EFAULT);
	/* One bad among good ones: nothing is transferred. */
	put_iovec(f, 0, AT_BUF, 4);
	put_iovec(f, 1, UINT32_MAX - 1, 4);
	assert_int_equal(wasi_fd_read(f->fwp, fd, AT_IOVS, 2, AT_OUT), -EFAULT);
	put_iovec(f, 1, DOUBLE_MEMORY_SIZE - 3, 4);
	assert_int_equal(wasi_fd_write(f->fwp, fd, AT_IOVS, 2, AT_OUT), -EFAULT);
	assert_int_equal(seek(f, fd, 0, WASI_WHENCE_CUR), 0);
	/* Empty ones may point anywhere. */
	put_iovec(f, 1, UINT32_MAX, 0);
	assert_int_equal(wasi_fd_read(f->fwp, fd, AT_IOVS, 2, AT_OUT), 0);
	assert_int_equal(fwp_double_u32(f->fwp, AT_OUT), 4);
	assert_int_equal(wasi_fd_read(f->fwp, fd, UINT32_MAX, 0, AT_OUT), 0);
	/* Reading over the array itself does not change where the rest goes. */
	put_iovec(f, 0, AT_IOVS, 16);
	put_iovec(f, 1, AT_BUF, 4);
	assert_int_equal(seek(f, fd, 0, WASI_WHENCE_SET), 0);
	assert_int_equal(wasi_fd_read(f->fwp, fd, AT_IOVS, 2, AT_OUT), 0);
	assert_int_equal(fwp_double_u32(f->fwp, AT_OUT), 20);
	assert_memory_equal(fwp_double_at(f->fwp, AT_BUF, 4), "ghij", 4);
	/* The same memory a thousand times: a total that is honest, and no more than INT32_MAX. */
	for (uint32_t i = 0; i < WASI_IOVECS_MAX; i++)
		put_iovec(f, i, 0, DOUBLE_MEMORY_SIZE);
	assert_int_equal(wasi_fd_write(f->fwp, fd, AT_IOVS, WASI_IOVECS_MAX, AT_OUT), 0);
	assert_true(fwp_double_u32(f->fwp, AT_OUT) < 1u << 20);
}

static void test_streams(void **state)
{
	struct fixture *f = *state;
	put_iovec(f, 0, AT_BUF, 0);
	put_iovec(f, 1, AT_BUF, 3);
	put_iovec(f, 2, AT_BUF + 3, 3);
	/* Only the first place that is not empty is filled. */
	assert_int_equal(wasi_fd_read(f->fwp, 0, AT_IOVS, 3, AT_OUT), 0);
	assert_int_equal(fwp_double_u32(f->fwp, AT_OUT), 3);
	assert_int_equal(read_some(f, 0, 10), 2);
	assert_int_equal(read_some(f, 0, 10), 0);
	/* Several pieces are one write. */
	fwp_double_put(f->fwp, AT_BUF, "abcdef");
	put_iovec(f, 0, AT_BUF, 0);
	assert_int_equal(wasi_fd_write(f->fwp, 1, AT_IOVS, 3, AT_OUT), 0);
	put_iovec(f, 1, AT_BUF, 6);
	assert_int_equal(wasi_fd_write(f->fwp, 2, AT_IOVS, 2, AT_OUT), 0);
	assert_int_equal(f->stream.writes, 2);
	assert_memory_equal(f->stream.output, "abcdefabcdef", 12);
	assert_int_equal(wasi_fd_write(f->fwp, 1, AT_IOVS, 0, AT_OUT), 0);
	assert_int_equal(f->stream.writes, 2);
	/* A full stream: a short count, then its error. */
	put_iovec(f, 0, AT_BUF, 300);
	f->stream.output_len = 0;
	assert_int_equal(wasi_fd_write(f->fwp, 1, AT_IOVS, 1, AT_OUT), 0);
	assert_int_equal(fwp_double_u32(f->fwp, AT_OUT), 256);
	f->stream.next_error = -EPIPE;
	assert_int_equal(write_text(f, 1, "x"), -EPIPE);
	/* Directions and what a stream has not. */
	assert_int_equal(write_text(f, 0, "x"), -EBADF);
	assert_int_equal(read_some(f, 1, 1), -EBADF);
	assert_int_equal(seek(f, 0, 0, WASI_WHENCE_CUR), -ESPIPE);
	assert_int_equal(wasi_fd_tell(f->fwp, 1, AT_OUT), -ESPIPE);
	assert_int_equal(wasi_fd_advise(f->fwp, 1, 0, 0, 0), -ESPIPE);
	assert_int_equal(wasi_fd_sync(f->fwp, 1), -EOPNOTSUPP);
	assert_int_equal(wasi_fd_filestat_get(f->fwp, 1, AT_OUT), -EOPNOTSUPP);
	assert_int_equal(wasi_fd_filestat_set_size(f->fwp, 1, 1), -WASI_ENOTCAPABLE);
	assert_int_equal(wasi_fd_allocate(f->fwp, 1, 0, 1), -WASI_ENOTCAPABLE);
	assert_int_equal(filetype_of(f, 1), WASI_FILETYPE_UNKNOWN);
	f->stream.node.is_terminal = true;
	assert_int_equal(filetype_of(f, 1), WASI_FILETYPE_CHARACTER_DEVICE);
}

static void test_directory_is_no_file(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(read_some(f, DATA_FD, 1), -EISDIR);
	assert_int_equal(write_text(f, DATA_FD, "x"), -EISDIR);
	assert_int_equal(seek(f, DATA_FD, 0, WASI_WHENCE_CUR), -EBADF);
	assert_int_equal(wasi_fd_tell(f->fwp, DATA_FD, AT_OUT), -EBADF);
	assert_int_equal(wasi_fd_advise(f->fwp, DATA_FD, 0, 0, 0), -EBADF);
	assert_int_equal(wasi_fd_allocate(f->fwp, DATA_FD, 0, 0), -EBADF);
	assert_int_equal(wasi_fd_filestat_set_size(f->fwp, DATA_FD, 0), -EBADF);
	assert_int_equal(filetype_of(f, DATA_FD), WASI_FILETYPE_DIRECTORY);
	uint32_t fd = (uint32_t)create(f, "file");
	assert_int_equal(wasi_fd_readdir(f->fwp, fd, AT_BUF, 10, 0, AT_OUT), -ENOTDIR);
	assert_int_equal(open_in(f, fd, "x", 0, 0, 0), -ENOTDIR);
}

static void test_rights(void **state)
{
	struct fixture *f = *state;
	uint32_t fd = (uint32_t)open_in(f, DATA_FD, "file", WASI_OFLAG_CREAT,
					WASI_RIGHT_FD_READ | WASI_RIGHT_PATH_OPEN, 0);
	/* Rights of directories do not stick to files; files hand nothing on. */
	assert_int_equal(rights_of(f, fd, false), WASI_RIGHT_FD_READ);
	assert_int_equal(rights_of(f, fd, true), 0);
	assert_int_equal(write_text(f, fd, "x"), -EBADF);
	assert_int_equal(seek(f, fd, 0, WASI_WHENCE_SET), -WASI_ENOTCAPABLE);
	assert_int_equal(wasi_fd_tell(f->fwp, fd, AT_OUT), -WASI_ENOTCAPABLE);
	put_iovec(f, 0, AT_BUF, 1);
	assert_int_equal(wasi_fd_pread(f->fwp, fd, AT_IOVS, 1, 0, AT_OUT), -WASI_ENOTCAPABLE);
	assert_int_equal(wasi_fd_sync(f->fwp, fd), -WASI_ENOTCAPABLE);
	assert_int_equal(wasi_fd_datasync(f->fwp, fd), -WASI_ENOTCAPABLE);
	assert_int_equal(wasi_fd_advise(f->fwp, fd, 0, 0, 0), -WASI_ENOTCAPABLE);
	assert_int_equal(wasi_fd_filestat_get(f->fwp, fd, AT_OUT), -WASI_ENOTCAPABLE);
	assert_int_equal(wasi_fd_filestat_set_times(f->fwp, fd, 0, 0, 0), -WASI_ENOTCAPABLE);
	assert_int_equal(wasi_fd_fdstat_set_flags(f->fwp, fd, 0), -WASI_ENOTCAPABLE);
	/* Rights only shrink. */
	assert_int_equal(wasi_fd_fdstat_set_rights(f->fwp, fd, WASI_RIGHT_FD_WRITE, 0),
			 -WASI_ENOTCAPABLE);
	assert_int_equal(wasi_fd_fdstat_set_rights(f->fwp, fd, 0, WASI_RIGHT_FD_READ),
			 -WASI_ENOTCAPABLE);
	assert_int_equal(wasi_fd_fdstat_set_rights(f->fwp, fd, 0, 0), 0);
	assert_int_equal(read_some(f, fd, 1), -EBADF);
	/* The right to tell is enough for a seek that does not move. */
	fd = (uint32_t)open_in(f, DATA_FD, "file", 0, WASI_RIGHT_FD_TELL, 0);
	assert_int_equal(seek(f, fd, 0, WASI_WHENCE_CUR), 0);
	assert_int_equal(seek(f, fd, 1, WASI_WHENCE_CUR), -WASI_ENOTCAPABLE);
	/* What a directory does not hand on, its files do not have. */
	uint64_t base = rights_of(f, DATA_FD, false), inheriting = rights_of(f, DATA_FD, true);
	assert_int_equal(
		wasi_fd_fdstat_set_rights(f->fwp, DATA_FD, base,
					  inheriting & ~WASI_RIGHT_FD_READ & ~WASI_RIGHT_FD_SEEK),
		0);
	assert_int_equal(open_in(f, DATA_FD, "file", 0, WASI_RIGHT_FD_READ, 0), -WASI_ENOTCAPABLE);
	fd = (uint32_t)open_in(f, DATA_FD, "file", 0, WASI_RIGHT_FD_SEEK, 0);
	assert_int_equal(rights_of(f, fd, false), 0);
}

static void test_read_only(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(wasi_fd_close(f->fwp, (uint32_t)create(f, "file")), 0);
	assert_int_equal(open_in(f, RO_FD, "file", 0, WASI_RIGHT_FD_WRITE, 0), -WASI_ENOTCAPABLE);
	assert_int_equal(open_in(f, RO_FD, "new", WASI_OFLAG_CREAT, 0, 0), -WASI_ENOTCAPABLE);
	assert_int_equal(open_in(f, RO_FD, "file", WASI_OFLAG_TRUNC, 0, 0), -EPERM);
	/* A program that asks for everything but writing gets what there is. */
	uint64_t wanted = ALL_RIGHTS & ~WASI_RIGHT_FD_WRITE;
	uint32_t fd = (uint32_t)open_in(f, RO_FD, "file", 0, wanted, 0);
	assert_int_equal(fd, 5);
	assert_int_equal(rights_of(f, fd, false) & WASI_RIGHTS_CHANGE, 0);
	assert_int_equal(wasi_fd_filestat_set_size(f->fwp, fd, 0), -WASI_ENOTCAPABLE);
	assert_int_equal(wasi_fd_allocate(f->fwp, fd, 0, 1), -WASI_ENOTCAPABLE);
	assert_int_equal(wasi_path_create_directory(f->fwp, RO_FD, AT_PATH, 1), -WASI_ENOTCAPABLE);
	assert_int_equal(wasi_path_remove_directory(f->fwp, RO_FD, AT_PATH, 1), -WASI_ENOTCAPABLE);
	assert_int_equal(wasi_path_unlink_file(f->fwp, RO_FD, AT_PATH, 1), -WASI_ENOTCAPABLE);
	assert_int_equal(wasi_path_rename(f->fwp, RO_FD, AT_PATH, 1, DATA_FD, AT_PATH, 1),
			 -WASI_ENOTCAPABLE);
	assert_int_equal(wasi_path_rename(f->fwp, DATA_FD, AT_PATH, 1, RO_FD, AT_PATH, 1),
			 -WASI_ENOTCAPABLE);
	assert_int_equal(wasi_path_link(f->fwp, RO_FD, 0, AT_PATH, 1, DATA_FD, AT_PATH, 1),
			 -WASI_ENOTCAPABLE);
	assert_int_equal(wasi_path_symlink(f->fwp, AT_PATH, 1, RO_FD, AT_PATH, 1),
			 -WASI_ENOTCAPABLE);
	assert_int_equal(wasi_path_filestat_set_times(f->fwp, RO_FD, 0, AT_PATH, 1, 0, 0, 0),
			 -WASI_ENOTCAPABLE);
	/* Nor through a directory opened below it. */
	fd = (uint32_t)open_in(f, RO_FD, ".", WASI_OFLAG_DIRECTORY, wanted, 0);
	assert_int_equal(rights_of(f, fd, true) & WASI_RIGHTS_CHANGE, 0);
	assert_int_equal(open_in(f, fd, "new", WASI_OFLAG_CREAT, 0, 0), -WASI_ENOTCAPABLE);
}

static void test_sizes(void **state)
{
	struct fixture *f = *state;
	uint32_t fd = (uint32_t)create(f, "file");
	assert_int_equal(wasi_fd_filestat_set_size(f->fwp, fd, 100), 0);
	assert_int_equal(size_of(f, fd), 100);
	assert_int_equal(wasi_fd_filestat_set_size(f->fwp, fd, UINT64_MAX), -EFBIG);
	assert_int_equal(wasi_fd_filestat_set_size(f->fwp, fd, 1 << 21), -ENOSPC);
	assert_int_equal(wasi_fd_allocate(f->fwp, fd, 10, 10), 0);
	assert_int_equal(size_of(f, fd), 100);
	assert_int_equal(wasi_fd_allocate(f->fwp, fd, 90, 20), 0);
	assert_int_equal(size_of(f, fd), 110);
	assert_int_equal(wasi_fd_allocate(f->fwp, fd, 0, 0), -EINVAL);
	assert_int_equal(wasi_fd_allocate(f->fwp, fd, UINT64_MAX, 2), -EFBIG);
	assert_int_equal(wasi_fd_allocate(f->fwp, fd, INT64_MAX, 1), -EFBIG);
	assert_int_equal(wasi_fd_advise(f->fwp, fd, 0, 10, 5), 0);
	assert_int_equal(wasi_fd_advise(f->fwp, fd, 0, 10, 6), -EINVAL);
	assert_int_equal(wasi_fd_sync(f->fwp, fd), 0);
	assert_int_equal(wasi_fd_datasync(f->fwp, fd), 0);
}

static void test_times(void **state)
{
	struct fixture *f = *state;
	uint32_t fd = (uint32_t)create(f, "file");
	const uint32_t set = WASI_FSTFLAG_ATIM | WASI_FSTFLAG_MTIM;
	assert_int_equal(wasi_fd_filestat_set_times(f->fwp, fd, 100, 200, set), 0);
	assert_int_equal(wasi_fd_filestat_get(f->fwp, fd, AT_OUT2), 0);
	assert_int_equal(fwp_double_u64(f->fwp, AT_OUT2 + 40), 100);
	assert_int_equal(fwp_double_u64(f->fwp, AT_OUT2 + 48), 200);
	assert_int_equal(wasi_fd_filestat_set_times(f->fwp, fd, 7, 7, WASI_FSTFLAG_MTIM_NOW), 0);
	assert_int_equal(wasi_fd_filestat_get(f->fwp, fd, AT_OUT2), 0);
	assert_int_equal(fwp_double_u64(f->fwp, AT_OUT2 + 40), 100);
	assert_true(fwp_double_u64(f->fwp, AT_OUT2 + 48) > 200);
	assert_int_equal(wasi_fd_filestat_set_times(f->fwp, fd, 0, 0, 3), -EINVAL);
	assert_int_equal(wasi_fd_filestat_set_times(f->fwp, fd, 0, 0, 12), -EINVAL);
	assert_int_equal(wasi_fd_filestat_set_times(f->fwp, fd, 0, 0, 16), -EINVAL);
}

static void test_close_and_renumber(void **state)
{
	struct fixture *f = *state;
	uint32_t one = (uint32_t)create(f, "one"), two = (uint32_t)create(f, "two");
	assert_int_equal(write_text(f, one, "1"), 1);
	assert_int_equal(wasi_fd_renumber(f->fwp, one, 99), -EBADF);
	assert_int_equal(wasi_fd_renumber(f->fwp, 99, one), -EBADF);
	assert_int_equal(wasi_fd_renumber(f->fwp, one, one), 0);
	assert_int_equal(wasi_fd_renumber(f->fwp, one, two), 0);
	assert_int_equal(wasi_fd_close(f->fwp, one), -EBADF);
	assert_int_equal(size_of(f, two), 1);
	assert_int_equal(seek(f, two, 0, WASI_WHENCE_CUR), 1);
	/* The lowest number is taken again. */
	assert_int_equal(create(f, "three"), one);
	/* Over a stream, which is closed; its error is told, and the number is taken all the same.
	 */
	f->stream.next_error = -EIO;
	assert_int_equal(wasi_fd_renumber(f->fwp, two, 1), -EIO);
	assert_int_equal(f->stream.closes, 1);
	assert_int_equal(write_text(f, 1, "to the file"), 11);
	assert_int_equal(wasi_fd_close(f->fwp, 2), -EIO);
	assert_int_equal(wasi_fd_close(f->fwp, 2), -EBADF);
	/* Over a preopen: it is no preopen any more. */
	assert_int_equal(wasi_fd_prestat_get(f->fwp, DATA_FD, AT_OUT), 0);
	assert_int_equal(wasi_fd_renumber(f->fwp, 1, RO_FD), 0);
	assert_int_equal(wasi_fd_prestat_get(f->fwp, RO_FD, AT_OUT), -EBADF);
	assert_int_equal(wasi_fd_close(f->fwp, UINT32_MAX), -EBADF);
}

static void test_prestat(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(wasi_fd_prestat_get(f->fwp, DATA_FD, AT_OUT), 0);
	assert_int_equal(fwp_double_u32(f->fwp, AT_OUT), 0);
	assert_int_equal(fwp_double_u32(f->fwp, AT_OUT + 4), 5);
	assert_int_equal(wasi_fd_prestat_dir_name(f->fwp, DATA_FD, AT_BUF, 4), -ENAMETOOLONG);
	assert_int_equal(wasi_fd_prestat_dir_name(f->fwp, DATA_FD, AT_BUF, 6), 0);
	assert_memory_equal(fwp_double_at(f->fwp, AT_BUF, 6), "/data\0", 6);
	assert_int_equal(wasi_fd_prestat_get(f->fwp, 0, AT_OUT), -EBADF);
	assert_int_equal(wasi_fd_prestat_get(f->fwp, 5, AT_OUT), -EBADF);
	assert_int_equal(wasi_fd_prestat_dir_name(f->fwp, 5, AT_BUF, 6), -EBADF);
}

/* Lists DATA_FD with a buffer of LEN bytes; counts the entries and checks their order. */
static unsigned list(struct fixture *f, uint32_t len)
{
	uint64_t cookie = 0;
	unsigned count = 0;
	for (;;) {
		assert_int_equal(wasi_fd_readdir(f->fwp, DATA_FD, AT_BUF, len, cookie, AT_OUT), 0);
		uint32_t used = fwp_double_u32(f->fwp, AT_OUT), at = 0;
		assert_true(used <= len);
		while (used - at >= sizeof(struct wasi_abi_dirent)) {
			struct wasi_abi_dirent head;
			memcpy(&head, fwp_double_at(f->fwp, AT_BUF + at, sizeof(head)),
			       sizeof(head));
			at += (uint32_t)sizeof(head);
			if (used - at < head.namlen)
				break;
			char name[32] = "";
			memcpy(name, fwp_double_at(f->fwp, AT_BUF + at, head.namlen), head.namlen);
			char expected[32];
			snprintf(expected, sizeof(expected), "file%u", count - 2);
			assert_string_equal(name, count == 0 ? "." : count == 1 ? ".." : expected);
			at += head.namlen;
			cookie = head.next;
			count++;
		}
		if (used < len)
			return count;
	}
}

static void test_readdir(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(list(f, 64), 2);
	for (unsigned i = 0; i < 50; i++) {
		char name[16];
		snprintf(name, sizeof(name), "file%u", i);
		assert_int_equal(wasi_fd_close(f->fwp, (uint32_t)create(f, name)), 0);
	}
	/* A buffer that holds one entry and no more, odd sizes, one that holds all. */
	assert_int_equal(list(f, 30), 52);
	assert_int_equal(list(f, 31), 52);
	assert_int_equal(list(f, 77), 52);
	assert_int_equal(list(f, 8192), 52);
	/* A head that is cut. */
	assert_int_equal(wasi_fd_readdir(f->fwp, DATA_FD, AT_BUF, 10, 2, AT_OUT), 0);
	assert_int_equal(fwp_double_u32(f->fwp, AT_OUT), 10);
	assert_int_equal(wasi_fd_readdir(f->fwp, DATA_FD, AT_BUF, 0, 2, AT_OUT), 0);
	assert_int_equal(fwp_double_u32(f->fwp, AT_OUT), 0);
	/* Cookies of no entry. */
	assert_int_equal(wasi_fd_readdir(f->fwp, DATA_FD, AT_BUF, 64, UINT64_MAX, AT_OUT), 0);
	assert_int_equal(fwp_double_u32(f->fwp, AT_OUT), 0);
	/* What is removed during a listing is not seen, and nothing is skipped. */
	assert_int_equal(wasi_fd_readdir(f->fwp, DATA_FD, AT_BUF, 24 + 5, 2, AT_OUT), 0);
	uint64_t next = fwp_double_u64(f->fwp, AT_BUF);
	uint32_t len = fwp_double_put(f->fwp, AT_PATH, "file0");
	assert_int_equal(wasi_path_unlink_file(f->fwp, DATA_FD, AT_PATH, len), 0);
	len = fwp_double_put(f->fwp, AT_PATH, "file1");
	assert_int_equal(wasi_path_unlink_file(f->fwp, DATA_FD, AT_PATH, len), 0);
	assert_int_equal(wasi_fd_readdir(f->fwp, DATA_FD, AT_BUF, 24 + 5, next, AT_OUT), 0);
	assert_memory_equal(fwp_double_at(f->fwp, AT_BUF + 24, 5), "file2", 5);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_read_write_seek),
		TEST(test_positional),
		TEST(test_append),
		TEST(test_hostile_iovecs),
		TEST(test_streams),
		TEST(test_directory_is_no_file),
		TEST(test_rights),
		TEST(test_read_only),
		TEST(test_sizes),
		TEST(test_times),
		TEST(test_close_and_renumber),
		TEST(test_prestat),
		TEST(test_readdir),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
