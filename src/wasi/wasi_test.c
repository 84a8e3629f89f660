#include "wasi/wasi.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "wasi/wasi_test_fixture.h"

static void test_imports_are_complete(void **state)
{
	size_t count;
	const struct fwp_import *imports = wasi_imports(&count);
	assert_int_equal(count, 46);
	for (size_t i = 0; i < count; i++) {
		assert_string_equal(imports[i].module, "wasi_snapshot_preview1");
		assert_non_null(imports[i].call);
		assert_non_null(strchr(imports[i].signature, ':'));
		for (size_t j = 0; j < i; j++)
			assert_string_not_equal(imports[i].name, imports[j].name);
	}
}

static const struct fwp_import *find_import(const char *name)
{
	size_t count;
	const struct fwp_import *imports = wasi_imports(&count);
	for (size_t i = 0; i < count; i++) {
		if (strcmp(imports[i].name, name) == 0)
			return &imports[i];
	}
	return NULL;
}

static void test_entry_points(void **state)
{
	struct fixture *f = *state;
	const struct fwp_import *import = find_import("fd_close");
	assert_string_equal(import->signature, "i:i");
	uint32_t (*fd_close)(struct fwp *, uint32_t) =
		(uint32_t(*)(struct fwp *, uint32_t))import->call;
	assert_int_equal(fd_close(f->fwp, 99), WASI_ERRNO_BADF);
	assert_int_equal(fd_close(f->fwp, RO_FD), WASI_ERRNO_SUCCESS);
	assert_int_equal(f->fwp->entered, 2);
	assert_int_equal(f->fwp->left, 2);

	import = find_import("proc_exit");
	assert_string_equal(import->signature, "i:");
	void (*proc_exit)(struct fwp *, uint32_t) = (void (*)(struct fwp *, uint32_t))import->call;
	if (setjmp(f->fwp->on_exit) == 0)
		proc_exit(f->fwp, 42);
	assert_true(f->fwp->has_exited);
	assert_int_equal(f->fwp->exit_code, 42);
	assert_int_equal(f->fwp->entered, 3);
}

static void test_errno(void **state)
{
	static const struct {
		int linux_errno;
		uint16_t wasi_errno;
	} pairs[] = {
		{0, 0},
		{E2BIG, 1},
		{EACCES, 2},
		{EAGAIN, 6},
		{EBADF, 8},
		{EEXIST, 20},
		{EFAULT, 21},
		{EINVAL, 28},
		{EIO, 29},
		{EISDIR, 31},
		{ELOOP, 32},
		{EMFILE, 33},
		{ENOENT, 44},
		{ENOSPC, 51},
		{ENOTDIR, 54},
		{ENOTEMPTY, 55},
		{ENOTSOCK, 57},
		{EOPNOTSUPP, 58},
		{ENOTSUP, 58},
		{EPERM, 63},
		{EPIPE, 64},
		{EROFS, 69},
		{ESPIPE, 70},
		{EXDEV, 75},
		{ESTALE, 72},
		{ETXTBSY, 74},
		{EOVERFLOW, 61},
		{EDQUOT, 19},
		{4095, 29},
		{EREMOTEIO, 29},
		{WASI_ENOTCAPABLE, 76},
		{100000, 29},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(pairs); i++)
		assert_int_equal(wasi_errno_from_linux(-pairs[i].linux_errno), pairs[i].wasi_errno);
	assert_int_equal(wasi_errno_from_linux(INT32_MIN), 29);
}

static void test_args_and_environment(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(wasi_args_sizes_get(f->fwp, AT_OUT, AT_OUT2), 0);
	assert_int_equal(fwp_double_u32(f->fwp, AT_OUT), 3);
	assert_int_equal(fwp_double_u32(f->fwp, AT_OUT2), 10);
	assert_int_equal(wasi_args_get(f->fwp, AT_PATH, AT_BUF), 0);
	assert_memory_equal(fwp_double_at(f->fwp, AT_BUF, 10), "prog\0one\0", 10);
	assert_int_equal(fwp_double_u32(f->fwp, AT_PATH), AT_BUF);
	assert_int_equal(fwp_double_u32(f->fwp, AT_PATH + 4), AT_BUF + 5);
	assert_int_equal(fwp_double_u32(f->fwp, AT_PATH + 8), AT_BUF + 9);

	assert_int_equal(wasi_environ_sizes_get(f->fwp, AT_OUT, AT_OUT2), 0);
	assert_int_equal(fwp_double_u32(f->fwp, AT_OUT), 2);
	assert_int_equal(fwp_double_u32(f->fwp, AT_OUT2), 19);
	assert_int_equal(wasi_environ_get(f->fwp, AT_PATH, AT_BUF), 0);
	assert_string_equal(fwp_double_at(f->fwp, AT_BUF + 4, 15), "LONG=two words");

	/* Exactly at the end of memory, then one byte beyond. */
	uint32_t end = DOUBLE_MEMORY_SIZE;
	assert_int_equal(wasi_args_get(f->fwp, end - 12, AT_BUF), 0);
	assert_int_equal(wasi_args_get(f->fwp, end - 11, AT_BUF), -EFAULT);
	assert_int_equal(wasi_args_get(f->fwp, AT_PATH, end - 10), 0);
	assert_int_equal(wasi_args_get(f->fwp, AT_PATH, end - 9), -EFAULT);
	/* The pointers over the strings: the guest's own harm only. */
	assert_int_equal(wasi_args_get(f->fwp, AT_BUF, AT_BUF), 0);
}

static void test_no_args(void **state)
{
	struct wasi *wasi;
	assert_int_equal(wasi_new(NULL, 0, NULL, 0, &wasi), 0);
	struct fwp *fwp = fwp_double_new(wasi);
	assert_int_equal(wasi_args_sizes_get(fwp, AT_OUT, AT_OUT2), 0);
	assert_int_equal(fwp_double_u32(fwp, AT_OUT), 0);
	assert_int_equal(wasi_args_get(fwp, UINT32_MAX, UINT32_MAX), 0);
	assert_int_equal(wasi_fd_prestat_get(fwp, 3, AT_OUT), -EBADF);
	fwp_double_free(fwp);
	wasi_free(wasi);
}

static void test_clocks(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(wasi_clock_res_get(f->fwp, WASI_CLOCK_REALTIME, AT_OUT), 0);
	assert_true(fwp_double_u64(f->fwp, AT_OUT) > 0);
	assert_int_equal(wasi_clock_res_get(f->fwp, WASI_CLOCK_MONOTONIC, AT_OUT), 0);
	assert_int_equal(wasi_clock_time_get(f->fwp, WASI_CLOCK_MONOTONIC, 0, AT_OUT), 0);
	uint64_t first = fwp_double_u64(f->fwp, AT_OUT);
	assert_int_equal(wasi_clock_time_get(f->fwp, WASI_CLOCK_MONOTONIC, 0, AT_OUT), 0);
	assert_true(fwp_double_u64(f->fwp, AT_OUT) >= first);
	assert_int_equal(wasi_clock_time_get(f->fwp, WASI_CLOCK_REALTIME, 0, AT_OUT), 0);
	assert_true(fwp_double_u64(f->fwp, AT_OUT) > UINT64_C(1600000000) * EOS_NS_PER_S);
	for (uint32_t id = 2; id < 6; id++) {
		assert_int_equal(wasi_clock_time_get(f->fwp, id, 0, AT_OUT), -EINVAL);
		assert_int_equal(wasi_clock_res_get(f->fwp, id, AT_OUT), -EINVAL);
	}
}

static void test_random(void **state)
{
	struct fixture *f = *state;
	static const uint8_t zero[64];
	assert_int_equal(wasi_random_get(f->fwp, AT_BUF, 64), 0);
	assert_memory_not_equal(fwp_double_at(f->fwp, AT_BUF, 64), zero, 64);
	assert_int_equal(*(uint8_t *)fwp_double_at(f->fwp, AT_BUF + 64, 1), 0);
	assert_int_equal(wasi_random_get(f->fwp, 0, DOUBLE_MEMORY_SIZE), 0);
	assert_int_equal(wasi_random_get(f->fwp, 1, DOUBLE_MEMORY_SIZE), -EFAULT);
	assert_int_equal(wasi_random_get(f->fwp, UINT32_MAX, 0), 0);
	f->fwp->deadline_ns = 1;
	assert_int_equal(wasi_random_get(f->fwp, AT_BUF, 64), -EINTR);
}

static void test_signals_and_sockets(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(wasi_sched_yield(f->fwp), 0);
	assert_int_equal(wasi_proc_raise(f->fwp, WASI_SIGNAL_NONE), 0);
	assert_int_equal(wasi_proc_raise(f->fwp, WASI_SIGNAL_CHLD), 0);
	assert_int_equal(wasi_proc_raise(f->fwp, WASI_SIGNAL_STOP), -EOPNOTSUPP);
	assert_int_equal(wasi_proc_raise(f->fwp, 31), -EINVAL);
	if (setjmp(f->fwp->on_exit) == 0)
		(void)!wasi_proc_raise(f->fwp, 6);
	assert_int_equal(f->fwp->exit_code, 134);

	assert_int_equal(wasi_sock_accept(f->fwp, DATA_FD, 0, AT_OUT), -ENOTSOCK);
	assert_int_equal(wasi_sock_recv(f->fwp, DATA_FD, 0, 0, 0, AT_OUT, AT_OUT2), -ENOTSOCK);
	assert_int_equal(wasi_sock_send(f->fwp, DATA_FD, 0, 0, 0, AT_OUT), -ENOTSOCK);
	assert_int_equal(wasi_sock_shutdown(f->fwp, DATA_FD, 3), -ENOTSOCK);
	assert_int_equal(wasi_sock_accept(f->fwp, 77, 0, AT_OUT), -EBADF);
	assert_int_equal(wasi_sock_recv(f->fwp, 77, 0, 0, 0, AT_OUT, AT_OUT2), -EBADF);
	assert_int_equal(wasi_sock_send(f->fwp, 77, 0, 0, 0, AT_OUT), -EBADF);
	assert_int_equal(wasi_sock_shutdown(f->fwp, 77, 3), -EBADF);
}

/* Every function that takes pointers, with FILE as descriptor 5 and good values elsewhere. */
static int call_with(struct fwp *fwp, unsigned which, const uint32_t *p)
{
	enum { FILE_FD = 5, LEN = 4 };
	switch (which) {
	case 0:
		return wasi_args_get(fwp, p[0], p[1]);
	case 1:
		return wasi_args_sizes_get(fwp, p[0], p[1]);
	case 2:
		return wasi_environ_get(fwp, p[0], p[1]);
	case 3:
		return wasi_environ_sizes_get(fwp, p[0], p[1]);
	case 4:
		return wasi_clock_res_get(fwp, 1, p[0]);
	case 5:
		return wasi_clock_time_get(fwp, 1, 0, p[0]);
	case 6:
		return wasi_fd_fdstat_get(fwp, FILE_FD, p[0]);
	case 7:
		return wasi_fd_filestat_get(fwp, FILE_FD, p[0]);
	case 8:
		return wasi_fd_pread(fwp, FILE_FD, p[0], 1, 0, p[1]);
	case 9:
		return wasi_fd_pwrite(fwp, FILE_FD, p[0], 1, 0, p[1]);
	case 10:
		return wasi_fd_read(fwp, FILE_FD, p[0], 1, p[1]);
	case 11:
		return wasi_fd_write(fwp, FILE_FD, p[0], 1, p[1]);
	case 12:
		return wasi_fd_prestat_get(fwp, DATA_FD, p[0]);
	case 13:
		return wasi_fd_prestat_dir_name(fwp, DATA_FD, p[0], 5);
	case 14:
		return wasi_fd_readdir(fwp, DATA_FD, p[0], 64, 0, p[1]);
	case 15:
		return wasi_fd_seek(fwp, FILE_FD, 0, 0, p[0]);
	case 16:
		return wasi_fd_tell(fwp, FILE_FD, p[0]);
	case 17:
		return wasi_path_filestat_get(fwp, DATA_FD, 0, p[0], LEN, p[1]);
	case 18:
		return wasi_path_filestat_set_times(fwp, DATA_FD, 0, p[0], LEN, 0, 0, 0);
	case 19:
		return wasi_path_open(fwp, DATA_FD, 0, p[0], LEN, 0, 0, 0, 0, p[1]);
	case 20:
		return wasi_random_get(fwp, p[0], 16);
	case 21:
		return wasi_poll_oneoff(fwp, p[0], p[1], 1, p[2]);
	case 22:
		return wasi_path_readlink(fwp, DATA_FD, p[0], LEN, p[1], 16, p[2]);
	default:
		return 1;
	}
}

/* And those that change names: only the bad pointers are tried. */
static int change_with(struct fwp *fwp, unsigned which, const uint32_t *p)
{
	enum { LEN = 4 };
	switch (which) {
	case 0:
		return wasi_path_create_directory(fwp, DATA_FD, p[0], LEN);
	case 1:
		return wasi_path_remove_directory(fwp, DATA_FD, p[0], LEN);
	case 2:
		return wasi_path_unlink_file(fwp, DATA_FD, p[0], LEN);
	case 3:
		return wasi_path_link(fwp, DATA_FD, 0, p[0], LEN, DATA_FD, p[1], LEN);
	case 4:
		return wasi_path_rename(fwp, DATA_FD, p[0], LEN, DATA_FD, p[1], LEN);
	case 5:
		return wasi_path_symlink(fwp, p[0], LEN, DATA_FD, p[1], LEN);
	default:
		return 1;
	}
}

/* How many pointers each call of call_with() and change_with() has, and how long what is at them.
 */
static const struct {
	unsigned count;
	uint32_t sizes[3];
} calls[] = {{2, {12, 10}}, {2, {4, 4}},      {2, {8, 19}},   {2, {4, 4}}, {1, {8}},
	     {1, {8}},	    {1, {24}},	      {1, {64}},      {2, {8, 4}}, {2, {8, 4}},
	     {2, {8, 4}},   {2, {8, 4}},      {1, {8}},	      {1, {5}},	   {2, {64, 4}},
	     {1, {8}},	    {1, {8}},	      {2, {4, 64}},   {1, {4}},	   {2, {4, 4}},
	     {1, {16}},	    {3, {48, 32, 4}}, {3, {4, 16, 4}}};
static const unsigned changes[] = {1, 1, 1, 2, 2, 2};

static void put_good(struct fixture *f, uint32_t *p)
{
	memset(f->fwp->memory, 0, DOUBLE_MEMORY_SIZE);
	p[0] = AT_IOVS;
	p[1] = AT_BUF;
	p[2] = AT_OUT;
}

static void test_hostile_pointers(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(create(f, "file"), 5);
	uint32_t len = fwp_double_put(f->fwp, AT_PATH, "link");
	fwp_double_put(f->fwp, AT_PATH2, "file");
	assert_int_equal(wasi_path_symlink(f->fwp, AT_PATH2, 4, DATA_FD, AT_PATH, len), 0);
	uint32_t p[3];
	for (unsigned i = 0; call_with(f->fwp, i, (put_good(f, p), p)) != 1; i++) {
		bool is_path = (i >= 17 && i <= 19) || i == 22;
		for (unsigned j = 0; j < calls[i].count; j++) {
			uint32_t last = DOUBLE_MEMORY_SIZE - calls[i].sizes[j];
			/* The last good place, with every other pointer good too. */
			put_good(f, p);
			p[j] = last;
			if (is_path)
				fwp_double_put(f->fwp, p[0], i == 22 ? "link" : "file");
			assert_int_equal(call_with(f->fwp, i, p), 0);
			if (i == 19)
				assert_int_equal(wasi_fd_close(f->fwp, 6), 0);
			const uint32_t bad[] = {
				last + 1,   DOUBLE_MEMORY_SIZE - 1, DOUBLE_MEMORY_SIZE, 0x7fffffff,
				0x80000000, UINT32_MAX - 3,	    UINT32_MAX};
			for (size_t k = 0; k < EOS_ARRAY_SIZE(bad); k++) {
				put_good(f, p);
				if (is_path)
					fwp_double_put(f->fwp, p[0], i == 22 ? "link" : "file");
				p[j] = bad[k];
				if (bad[k] < last + 1)
					continue;
				assert_int_equal(call_with(f->fwp, i, p), -EFAULT);
			}
		}
	}
	for (unsigned i = 0; i < EOS_ARRAY_SIZE(changes); i++) {
		for (unsigned j = 0; j < changes[i]; j++) {
			put_good(f, p);
			fwp_double_put(f->fwp, p[0], "file");
			fwp_double_put(f->fwp, p[1], "new1");
			p[j] = DOUBLE_MEMORY_SIZE - 3;
			assert_int_equal(change_with(f->fwp, i, p), -EFAULT);
			p[j] = UINT32_MAX - 1;
			assert_int_equal(change_with(f->fwp, i, p), -EFAULT);
		}
	}
}

static void test_set_stdio_twice(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(wasi_set_stdio(f->wasi, 1, f->root), -EBUSY);
	assert_int_equal(wasi_fd_close(f->fwp, 1), 0);
	assert_int_equal(wasi_set_stdio(f->wasi, 1, &f->stream.node), 0);
}

static void test_descriptor_limit(void **state)
{
	struct fixture *f = *state;
	int err = 0;
	unsigned opened = 0;
	while ((err = create(f, "file")) >= 0)
		opened++;
	assert_int_equal(err, -EMFILE);
	assert_int_equal(opened, WASI_DESCRIPTORS_MAX - 5); /* stdio and two preopens */
	assert_int_equal(wasi_add_preopen(f->wasi, "/x", f->root, false), -EMFILE);
	assert_int_equal(wasi_fd_close(f->fwp, 200), 0);
	assert_int_equal(create(f, "file"), 200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_imports_are_complete),
		cmocka_unit_test_setup_teardown(test_entry_points, fixture_setup, fixture_teardown),
		cmocka_unit_test(test_errno),
		cmocka_unit_test_setup_teardown(test_args_and_environment, fixture_setup,
						fixture_teardown),
		cmocka_unit_test(test_no_args),
		cmocka_unit_test_setup_teardown(test_clocks, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_random, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(test_signals_and_sockets, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_hostile_pointers, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_set_stdio_twice, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(test_descriptor_limit, fixture_setup,
						fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
