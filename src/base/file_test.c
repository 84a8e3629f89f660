#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/buf.h"

static char dir_path[64];
static int dir_fd;

static int make_dir(void **state)
{
	strcpy(dir_path, "/tmp/eos-file-XXXXXX");
	if (mkdtemp(dir_path) == NULL)
		return -1;
	dir_fd = open(dir_path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return dir_fd < 0 ? -1 : 0;
}

static int remove_dir(void **state)
{
	char command[128];
	close(dir_fd);
	snprintf(command, sizeof(command), "rm -rf %s", dir_path);
	return system(command) == 0 ? 0 : -1;
}

static void test_close(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	int copy = fd;
	errno = EIO;
	fd = eos_close(fd);
	assert_int_equal(fd, -1);
	assert_int_equal(errno, EIO);
	assert_int_equal(fcntl(copy, F_GETFD), -1);
	assert_int_equal(eos_close(-1), -1);
	{
		EOS_CLEANUP(eos_close_ptr) int scoped = open("/dev/null", O_RDONLY | O_CLOEXEC);
		copy = scoped;
	}
	assert_int_equal(fcntl(copy, F_GETFD), -1);
}

static void test_full_transfers(void **state)
{
	int fd = openat(dir_fd, "data", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(eos_write_full(fd, "0123456789", 10), 0);
	assert_int_equal(eos_pwrite_full(fd, "AB", 2, 4), 0);
	char out[16] = "";
	assert_int_equal(eos_pread_full(fd, out, 10, 0), 0);
	assert_string_equal(out, "0123AB6789");
	assert_int_equal(eos_pread_full(fd, out, 11, 0), -ENODATA);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(eos_read_full(fd, out, 4), 0);
	assert_int_equal(eos_read_full(fd, out, 7), -ENODATA);
	close(fd);
	assert_int_equal(eos_read_full(fd, out, 1), -EBADF);
	assert_int_equal(eos_write_full(fd, out, 1), -EBADF);
	assert_int_equal(eos_pread_full(fd, out, 1, 0), -EBADF);
	assert_int_equal(eos_pwrite_full(fd, out, 1, 0), -EBADF);
}

static void test_read_full_across_pieces(void **state)
{
	int ends[2];
	assert_int_equal(pipe(ends), 0);
	pid_t pid = fork();
	if (pid == 0) {
		for (int i = 0; i < 4; i++) {
			if (write(ends[1], "xy", 2) != 2)
				_exit(1);
			usleep(1000);
		}
		_exit(0);
	}
	close(ends[1]);
	char out[9] = "";
	assert_int_equal(eos_read_full(ends[0], out, 8), 0);
	assert_string_equal(out, "xyxyxyxy");
	close(ends[0]);
}

static void test_read_file(void **state)
{
	struct eos_buf buf;
	eos_buf_init(&buf);
	eos_buf_puts(&buf, "before ");
	assert_int_equal(eos_replace_file(dir_fd, "whole", "content", 7, 0600), 0);
	assert_int_equal(eos_read_file(dir_fd, "whole", 7, &buf), 0);
	assert_string_equal(buf.data, "before content");
	assert_int_equal(eos_read_file(dir_fd, "whole", 6, &buf), -EFBIG);
	assert_int_equal(eos_read_file(dir_fd, "missing", 6, &buf), -ENOENT);
	eos_buf_clear(&buf);
	char *big = calloc(1, 200000);
	assert_int_equal(eos_replace_file(dir_fd, "big", big, 200000, 0600), 0);
	assert_int_equal(eos_read_file(dir_fd, "big", 200000, &buf), 0);
	assert_int_equal(buf.len, 200000);
	assert_memory_equal(buf.data, big, 200000);
	free(big);
	eos_buf_fini(&buf);
}

static void test_replace_file(void **state)
{
	struct eos_buf buf;
	eos_buf_init(&buf);
	assert_int_equal(eos_replace_file(dir_fd, "r", "old", 3, 0600), 0);
	assert_int_equal(eos_replace_file(dir_fd, "r", "newer", 5, 0640), 0);
	assert_int_equal(eos_read_file(dir_fd, "r", 100, &buf), 0);
	assert_string_equal(buf.data, "newer");
	struct stat status;
	assert_int_equal(fstatat(dir_fd, "r", &status, 0), 0);
	assert_int_equal(status.st_mode & 0777, 0640);
	char name[400];
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(eos_replace_file(dir_fd, name, "x", 1, 0600), -ENAMETOOLONG);
	assert_int_equal(mkdirat(dir_fd, "isdir", 0700), 0);
	assert_true(eos_replace_file(dir_fd, "isdir", "x", 1, 0600) < 0);
	/* The temporary file of the failed one is gone. */
	char temporary[64];
	snprintf(temporary, sizeof(temporary), ".isdir.%ld.new", (long)getpid());
	assert_int_equal(faccessat(dir_fd, temporary, F_OK, 0), -1);
	eos_buf_fini(&buf);
}

static void test_mkdir_p(void **state)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/a/b//c", dir_path);
	assert_int_equal(eos_mkdir_p(path, 0700), 0);
	assert_int_equal(eos_mkdir_p(path, 0700), 0);
	struct stat status;
	assert_int_equal(stat(path, &status), 0);
	assert_true(S_ISDIR(status.st_mode));
	snprintf(path, sizeof(path), "%s/a/file", dir_path);
	close(open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
	assert_int_equal(eos_mkdir_p(path, 0700), -ENOTDIR);
	snprintf(path, sizeof(path), "%s/a/file/x", dir_path);
	assert_int_equal(eos_mkdir_p(path, 0700), -ENOTDIR);
	assert_int_equal(eos_mkdir_p("", 0700), -ENOENT);
}

static void test_programs(void **state)
{
	char dir[4096];
	char found[4096];
	assert_int_equal(eos_program_dir(dir, sizeof(dir)), 0);
	assert_int_equal(dir[0], '/');
	assert_int_equal(eos_program_dir(found, 4), -ENAMETOOLONG);
	assert_int_equal(eos_find_program("file_test", found, sizeof(found)), 0);
	assert_int_equal(access(found, X_OK), 0);
	assert_int_equal(eos_find_program("no-such-program", found, sizeof(found)), -ENOENT);
	assert_int_equal(eos_find_program("file_test", found, 5), -ENAMETOOLONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_close),
		cmocka_unit_test(test_full_transfers),
		cmocka_unit_test(test_read_full_across_pieces),
		cmocka_unit_test(test_read_file),
		cmocka_unit_test(test_replace_file),
		cmocka_unit_test(test_mkdir_p),
		cmocka_unit_test(test_programs),
	};
	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
