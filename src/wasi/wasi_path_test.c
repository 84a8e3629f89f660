#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wasi/wasi_test_fixture.h"

static void test_normalise(void **state)
{
	static const struct {
		const char *path, *expected; /* NULL: an error */
		int err;
		bool is_directory;
	} rows[] = {
		{"a", "a", 0, false},
		{"a/b", "a/b", 0, false},
		{"a//b", "a/b", 0, false},
		{"./a", "a", 0, false},
		{"a/./b", "a/b", 0, false},
		{"a/", "a", 0, true},
		{"a///", "a", 0, true},
		{"a/.", "a", 0, true},
		{".", "", 0, true},
		{"./", "", 0, true},
		{"a/..", "", 0, true},
		{"a/../b", "b", 0, false},
		{"a/b/../c", "a/c", 0, false},
		{"a/b/../../c", "c", 0, false},
		{"dir/.//nested/../../dir/nested/../nested///./file", "dir/nested/file", 0, false},
		{"...", "...", 0, false},
		{"..a", "..a", 0, false},
		{"a..", "a..", 0, false},
		{".a", ".a", 0, false},
		{"\xff\xfe", "\xff\xfe", 0, false},
		{"a b\n", "a b\n", 0, false},
		{"", NULL, -ENOENT, false},
		{"/", NULL, -EPERM, false},
		{"/etc/passwd", NULL, -EPERM, false},
		{"//a", NULL, -EPERM, false},
		{"..", NULL, -EPERM, false},
		{"../a", NULL, -EPERM, false},
		{"a/../..", NULL, -EPERM, false},
		{"a/../../a", NULL, -EPERM, false},
		{"./..", NULL, -EPERM, false},
		{"a/b/../../../c", NULL, -EPERM, false},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(rows); i++) {
		char out[WASI_PATH_MAX + 1];
		bool is_directory = !rows[i].is_directory;
		size_t len = strlen(rows[i].path);
		int err = wasi_path_normalise(rows[i].path, len, out, &is_directory);
		assert_int_equal(err, rows[i].err);
		if (err < 0)
			continue;
		assert_string_equal(out, rows[i].expected);
		assert_int_equal(is_directory, rows[i].is_directory);
		/* In place. */
		memcpy(out, rows[i].path, len);
		assert_int_equal(wasi_path_normalise(out, len, out, &is_directory), 0);
		assert_string_equal(out, rows[i].expected);
	}
}

static void test_normalise_limits(void **state)
{
	char out[WASI_PATH_MAX + 1], longest[WASI_PATH_MAX + 1];
	bool is_directory;
	assert_int_equal(wasi_path_normalise("a\0b", 3, out, &is_directory), -EINVAL);
	assert_int_equal(wasi_path_normalise("a\0", 2, out, &is_directory), -EINVAL);
	memset(longest, 'x', sizeof(longest));
	assert_int_equal(wasi_path_normalise(longest, WASI_PATH_MAX, out, &is_directory), 0);
	assert_int_equal(strlen(out), WASI_PATH_MAX);
	assert_int_equal(wasi_path_normalise(longest, WASI_PATH_MAX + 1, out, &is_directory),
			 -ENAMETOOLONG);
}

/* The calls with one path and with two, by text. */
static int with_path(struct fixture *f, int (*fn)(struct fwp *, uint32_t, uint32_t, uint32_t),
		     const char *path)
{
	return fn(f->fwp, DATA_FD, AT_PATH, fwp_double_put(f->fwp, AT_PATH, path));
}

static int rename_to(struct fixture *f, const char *from, const char *to)
{
	uint32_t len = fwp_double_put(f->fwp, AT_PATH, from);
	uint32_t to_len = fwp_double_put(f->fwp, AT_PATH2, to);
	return wasi_path_rename(f->fwp, DATA_FD, AT_PATH, len, DATA_FD, AT_PATH2, to_len);
}

static int link_to(struct fixture *f, const char *from, const char *to, uint32_t flags)
{
	uint32_t len = fwp_double_put(f->fwp, AT_PATH, from);
	uint32_t to_len = fwp_double_put(f->fwp, AT_PATH2, to);
	return wasi_path_link(f->fwp, DATA_FD, flags, AT_PATH, len, DATA_FD, AT_PATH2, to_len);
}

static int symlink_to(struct fixture *f, const char *target, const char *path)
{
	uint32_t len = fwp_double_put(f->fwp, AT_PATH, target);
	uint32_t path_len = fwp_double_put(f->fwp, AT_PATH2, path);
	return wasi_path_symlink(f->fwp, AT_PATH, len, DATA_FD, AT_PATH2, path_len);
}

/* The filetype of PATH, or the negative errno. */
static int filetype_at(struct fixture *f, const char *path, uint32_t flags)
{
	uint32_t len = fwp_double_put(f->fwp, AT_PATH, path);
	int err = wasi_path_filestat_get(f->fwp, DATA_FD, flags, AT_PATH, len, AT_OUT2);
	return err < 0 ? err : *(uint8_t *)fwp_double_at(f->fwp, AT_OUT2 + 16, 1);
}

static int make_file(struct fixture *f, const char *path)
{
	int fd = create(f, path);
	return fd < 0 ? fd : wasi_fd_close(f->fwp, (uint32_t)fd);
}

static void test_open_flags(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(open_in(f, DATA_FD, "no", 0, 0, 0), -ENOENT);
	assert_int_equal(make_file(f, "file"), 0);
	assert_int_equal(make_file(f, "file"), 0);
	const uint32_t exclusive = WASI_OFLAG_CREAT | WASI_OFLAG_EXCL;
	assert_int_equal(open_in(f, DATA_FD, "file", exclusive, 0, 0), -EEXIST);
	assert_int_equal(open_in(f, DATA_FD, "file", WASI_OFLAG_DIRECTORY, 0, 0), -ENOTDIR);
	assert_int_equal(open_in(f, DATA_FD, "file/", 0, 0, 0), -ENOTDIR);
	assert_int_equal(open_in(f, DATA_FD, "file/x", 0, 0, 0), -ENOTDIR);
	assert_int_equal(open_in(f, DATA_FD, "new/", WASI_OFLAG_CREAT, 0, 0), -EISDIR);
	assert_int_equal(open_in(f, DATA_FD, ".", exclusive, 0, 0), -EEXIST);
	assert_int_equal(open_in(f, DATA_FD, ".", WASI_OFLAG_CREAT, 0, 0), -EISDIR);
	assert_int_equal(open_in(f, DATA_FD, "x", WASI_OFLAG_CREAT | WASI_OFLAG_DIRECTORY, 0, 0),
			 -EINVAL);
	assert_int_equal(open_in(f, DATA_FD, "file", 16, 0, 0), -EINVAL);
	assert_int_equal(open_in(f, DATA_FD, "file", 0, 0, 32), -EINVAL);
	assert_int_equal(wasi_path_open(f->fwp, DATA_FD, 2, AT_PATH, 4, 0, 0, 0, 0, AT_OUT),
			 -EINVAL);
	assert_int_equal(open_in(f, DATA_FD, ".", 0, WASI_RIGHT_FD_WRITE, 0), -EISDIR);
	assert_int_equal(open_in(f, DATA_FD, "/file", 0, 0, 0), -EPERM);
	assert_int_equal(open_in(f, DATA_FD, "../file", 0, 0, 0), -EPERM);
	assert_int_equal(open_in(f, DATA_FD, "", 0, 0, 0), -ENOENT);
	assert_int_equal(open_in(f, 99, "file", 0, 0, 0), -EBADF);
	/* Truncation. */
	uint32_t fd = (uint32_t)open_in(f, DATA_FD, "file", 0, WASI_RIGHTS_FILE, 0);
	assert_int_equal(write_text(f, fd, "text"), 4);
	assert_true(open_in(f, DATA_FD, "file", WASI_OFLAG_TRUNC, 0, 0) > 0);
	assert_int_equal(seek(f, fd, 0, WASI_WHENCE_END), 0);
	/* A bad place for the result: nothing is made. */
	fwp_double_put(f->fwp, AT_PATH, "new");
	assert_int_equal(wasi_path_open(f->fwp, DATA_FD, 0, AT_PATH, 3, WASI_OFLAG_CREAT, 0, 0, 0,
					DOUBLE_MEMORY_SIZE - 3),
			 -EFAULT);
	assert_int_equal(filetype_at(f, "new", 0), -ENOENT);
	/* Without the right to open. */
	assert_int_equal(wasi_fd_fdstat_set_rights(f->fwp, DATA_FD, 0, 0), 0);
	assert_int_equal(open_in(f, DATA_FD, "file", 0, 0, 0), -WASI_ENOTCAPABLE);
}

static void test_directories(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(with_path(f, wasi_path_create_directory, "dir"), 0);
	assert_int_equal(with_path(f, wasi_path_create_directory, "dir"), -EEXIST);
	assert_int_equal(with_path(f, wasi_path_create_directory, "."), -EEXIST);
	assert_int_equal(with_path(f, wasi_path_create_directory, "dir/sub/"), 0);
	assert_int_equal(with_path(f, wasi_path_create_directory, "no/sub"), -ENOENT);
	assert_int_equal(with_path(f, wasi_path_create_directory, "../x"), -EPERM);
	assert_int_equal(with_path(f, wasi_path_remove_directory, "dir"), -ENOTEMPTY);
	assert_int_equal(with_path(f, wasi_path_remove_directory, "."), -EINVAL);
	assert_int_equal(with_path(f, wasi_path_unlink_file, "dir"), -EISDIR);
	assert_int_equal(with_path(f, wasi_path_unlink_file, "dir/"), -EISDIR);
	assert_int_equal(with_path(f, wasi_path_unlink_file, "."), -EISDIR);
	assert_int_equal(with_path(f, wasi_path_remove_directory, "dir/sub/"), 0);
	assert_int_equal(with_path(f, wasi_path_remove_directory, "dir"), 0);
	assert_int_equal(with_path(f, wasi_path_remove_directory, "dir"), -ENOENT);
	assert_int_equal(make_file(f, "file"), 0);
	assert_int_equal(with_path(f, wasi_path_remove_directory, "file"), -ENOTDIR);
	assert_int_equal(with_path(f, wasi_path_unlink_file, "file/"), -ENOTDIR);
	assert_int_equal(with_path(f, wasi_path_unlink_file, "file"), 0);
	assert_int_equal(with_path(f, wasi_path_unlink_file, "file"), -ENOENT);
}

static void test_rename(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(make_file(f, "a"), 0);
	assert_int_equal(with_path(f, wasi_path_create_directory, "dir"), 0);
	assert_int_equal(with_path(f, wasi_path_create_directory, "empty"), 0);
	assert_int_equal(rename_to(f, "a", "dir/b"), 0);
	assert_int_equal(filetype_at(f, "a", 0), -ENOENT);
	assert_int_equal(filetype_at(f, "dir/b", 0), WASI_FILETYPE_REGULAR_FILE);
	assert_int_equal(rename_to(f, "a", "b"), -ENOENT);
	assert_int_equal(rename_to(f, "dir/b", "dir/b"), 0);
	assert_int_equal(rename_to(f, "dir/b", "empty"), -EISDIR);
	assert_int_equal(rename_to(f, "empty", "dir/b"), -ENOTDIR);
	assert_int_equal(rename_to(f, "empty", "dir"), -ENOTEMPTY);
	assert_int_equal(rename_to(f, "dir", "dir/sub"), -EINVAL);
	assert_int_equal(rename_to(f, ".", "x"), -EBUSY);
	assert_int_equal(rename_to(f, "dir", "."), -EBUSY);
	assert_int_equal(rename_to(f, "dir/b", "x/"), -ENOTDIR);
	assert_int_equal(rename_to(f, "dir/b/", "x"), -ENOTDIR);
	assert_int_equal(rename_to(f, "dir", "../x"), -EPERM);
	assert_int_equal(rename_to(f, "dir/", "empty/"), 0);
	assert_int_equal(filetype_at(f, "empty/b", 0), WASI_FILETYPE_REGULAR_FILE);
	assert_int_equal(make_file(f, "c"), 0);
	assert_int_equal(rename_to(f, "empty/b", "c"), 0);
	assert_int_equal(rename_to(f, "empty", "moved"), 0);
	/* To another tree. */
	struct wasi_node *other;
	assert_int_equal(vfs_memory_new(1000, 10, &other), 0);
	assert_int_equal(wasi_add_preopen(f->wasi, "/other", other, false), 0);
	wasi_node_unref(other);
	fwp_double_put(f->fwp, AT_PATH, "c");
	assert_int_equal(wasi_path_rename(f->fwp, DATA_FD, AT_PATH, 1, 5, AT_PATH, 1), -EXDEV);
	assert_int_equal(wasi_path_link(f->fwp, DATA_FD, 0, AT_PATH, 1, 5, AT_PATH, 1), -EXDEV);
}

static void test_links(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(make_file(f, "file"), 0);
	assert_int_equal(with_path(f, wasi_path_create_directory, "dir"), 0);
	assert_int_equal(link_to(f, "file", "dir/hard", 0), 0);
	assert_int_equal(filetype_at(f, "dir/hard", 0), WASI_FILETYPE_REGULAR_FILE);
	assert_int_equal(fwp_double_u64(f->fwp, AT_OUT2 + 24), 2);
	assert_int_equal(link_to(f, "file", "dir/hard", 0), -EEXIST);
	assert_int_equal(link_to(f, "file", "dir", 0), -EEXIST);
	assert_int_equal(link_to(f, "file", "new/", 0), -ENOENT);
	assert_int_equal(link_to(f, "dir", "new", 0), -EPERM);
	assert_int_equal(link_to(f, "dir/", "new", 0), -EPERM);
	assert_int_equal(link_to(f, ".", "new", 0), -EPERM);
	assert_int_equal(link_to(f, "file/", "new", 0), -ENOTDIR);
	assert_int_equal(link_to(f, "no", "new", 0), -ENOENT);
	assert_int_equal(link_to(f, "file", "new", 2), -EINVAL);

	assert_int_equal(symlink_to(f, "file", "soft"), 0);
	assert_int_equal(filetype_at(f, "soft", 0), WASI_FILETYPE_SYMBOLIC_LINK);
	assert_int_equal(filetype_at(f, "soft", 1), WASI_FILETYPE_REGULAR_FILE);
	assert_int_equal(filetype_at(f, "soft/", 0), -ENOTDIR);
	assert_int_equal(filetype_at(f, "soft", 2), -EINVAL);
	assert_int_equal(open_in(f, DATA_FD, "soft", 0, 0, 0), -ELOOP);
	assert_int_equal(symlink_to(f, "file", "soft"), -EEXIST);
	assert_int_equal(symlink_to(f, "x", "file/"), -ENOTDIR);
	assert_int_equal(symlink_to(f, "x", "dir/"), -EEXIST);
	assert_int_equal(symlink_to(f, "x", "new/"), -ENOENT);
	assert_int_equal(symlink_to(f, "x", "."), -EEXIST);
	assert_int_equal(symlink_to(f, "/etc/passwd", "new"), -EPERM);
	assert_int_equal(symlink_to(f, "", "new"), -ENOENT);
	fwp_double_put(f->fwp, AT_PATH2, "new");
	memcpy(fwp_double_at(f->fwp, AT_PATH, 3), "a\0b", 3);
	assert_int_equal(wasi_path_symlink(f->fwp, AT_PATH, 3, DATA_FD, AT_PATH2, 3), -EINVAL);
	assert_int_equal(wasi_path_symlink(f->fwp, 0, WASI_PATH_MAX + 1, DATA_FD, AT_PATH2, 3),
			 -ENAMETOOLONG);
}

static void test_readlink(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(symlink_to(f, "target", "link"), 0);
	assert_int_equal(make_file(f, "file"), 0);
	uint32_t len = fwp_double_put(f->fwp, AT_PATH, "link");
	memset(fwp_double_at(f->fwp, AT_BUF, 16), 'x', 16);
	assert_int_equal(wasi_path_readlink(f->fwp, DATA_FD, AT_PATH, len, AT_BUF, 16, AT_OUT), 0);
	assert_int_equal(fwp_double_u32(f->fwp, AT_OUT), 6);
	assert_memory_equal(fwp_double_at(f->fwp, AT_BUF, 8), "targetxx", 8);
	assert_int_equal(wasi_path_readlink(f->fwp, DATA_FD, AT_PATH, len, AT_BUF, 3, AT_OUT), 0);
	assert_int_equal(fwp_double_u32(f->fwp, AT_OUT), 3);
	assert_int_equal(wasi_path_readlink(f->fwp, DATA_FD, AT_PATH, len, 0, 0, AT_OUT), 0);
	assert_int_equal(fwp_double_u32(f->fwp, AT_OUT), 0);
	static const struct {
		const char *path;
		int err;
	} rows[] = {{"file", -EINVAL}, {".", -EINVAL}, {"no", -ENOENT}, {"file/", -ENOTDIR}};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(rows); i++) {
		len = fwp_double_put(f->fwp, AT_PATH, rows[i].path);
		assert_int_equal(
			wasi_path_readlink(f->fwp, DATA_FD, AT_PATH, len, AT_BUF, 9, AT_OUT),
			rows[i].err);
	}
}

static int set_times_at(struct fixture *f, const char *path, uint32_t flags, uint32_t fstflags)
{
	uint32_t len = fwp_double_put(f->fwp, AT_PATH, path);
	return wasi_path_filestat_set_times(f->fwp, DATA_FD, flags, AT_PATH, len, 11, 22, fstflags);
}

static void test_times_by_path(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(make_file(f, "file"), 0);
	assert_int_equal(symlink_to(f, "file", "link"), 0);
	assert_int_equal(set_times_at(f, "link", 1, WASI_FSTFLAG_MTIM), 0);
	assert_int_equal(filetype_at(f, "file", 0), WASI_FILETYPE_REGULAR_FILE);
	assert_int_equal(fwp_double_u64(f->fwp, AT_OUT2 + 48), 22);
	assert_int_equal(set_times_at(f, "link", 0, WASI_FSTFLAG_ATIM), 0);
	assert_int_equal(filetype_at(f, "link", 0), WASI_FILETYPE_SYMBOLIC_LINK);
	assert_int_equal(fwp_double_u64(f->fwp, AT_OUT2 + 40), 11);
	assert_int_equal(set_times_at(f, "file", 0, 3), -EINVAL);
	assert_int_equal(set_times_at(f, "file", 2, 0), -EINVAL);
	assert_int_equal(set_times_at(f, "file/", 0, 0), -ENOTDIR);
	assert_int_equal(set_times_at(f, "no", 0, WASI_FSTFLAG_ATIM), -ENOENT);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_normalise),
		cmocka_unit_test(test_normalise_limits),
		TEST(test_open_flags),
		TEST(test_directories),
		TEST(test_rename),
		TEST(test_links),
		TEST(test_readlink),
		TEST(test_times_by_path),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
