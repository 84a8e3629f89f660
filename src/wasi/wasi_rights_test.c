/*
 * Every function of WASI that names an object goes through the table of descriptors: without the
 * right it needs it is refused, with all others present; with this right alone it is not; and a
 * number that is no descriptor is EBADF. The list is held to wasi_functions.def, so a new function
 * cannot be forgotten.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "wasi/wasi_test_fixture.h"

#define FILE_FD 5u
#define EVERY	UINT64_MAX

static struct fixture *f;
static uint32_t name_len; /* of the path at AT_PATH */

/* Calls WASI_NAME with FD as its descriptor, and harmless other arguments. */
#define CALL(name, ...)                                                                            \
	static int call_##name(uint32_t fd)                                                        \
	{                                                                                          \
		return wasi_##name(f->fwp, __VA_ARGS__);                                           \
	}
CALL(fd_advise, fd, 0, 0, 0)
CALL(fd_allocate, fd, 0, 1)
CALL(fd_close, fd)
CALL(fd_datasync, fd)
CALL(fd_fdstat_get, fd, AT_OUT)
CALL(fd_fdstat_set_flags, fd, 0)
CALL(fd_fdstat_set_rights, fd, 0, 0)
CALL(fd_filestat_get, fd, AT_OUT)
CALL(fd_filestat_set_size, fd, 1)
CALL(fd_filestat_set_times, fd, 0, 0, 0)
CALL(fd_pread, fd, AT_IOVS, 1, 0, AT_OUT)
CALL(fd_prestat_get, fd, AT_OUT)
CALL(fd_prestat_dir_name, fd, AT_OUT, 64)
CALL(fd_pwrite, fd, AT_IOVS, 1, 0, AT_OUT)
CALL(fd_read, fd, AT_IOVS, 1, AT_OUT)
CALL(fd_readdir, fd, AT_BUF, 512, 0, AT_OUT)
CALL(fd_renumber, fd, fd)
CALL(fd_seek, fd, 1, WASI_WHENCE_SET, AT_OUT)
CALL(fd_sync, fd)
CALL(fd_tell, fd, AT_OUT)
CALL(fd_write, fd, AT_IOVS, 1, AT_OUT)
CALL(path_create_directory, fd, AT_PATH, name_len)
CALL(path_filestat_get, fd, 0, AT_PATH, name_len, AT_OUT)
CALL(path_filestat_set_times, fd, 0, AT_PATH, name_len, 0, 0, 0)
CALL(path_link, fd, 0, AT_PATH, name_len, fd, AT_PATH, name_len)
CALL(path_open, fd, 0, AT_PATH, name_len, 0, 0, 0, 0, AT_OUT)
CALL(path_readlink, fd, AT_PATH, name_len, AT_BUF, 64, AT_OUT)
CALL(path_remove_directory, fd, AT_PATH, name_len)
CALL(path_rename, fd, AT_PATH, name_len, fd, AT_PATH, name_len)
CALL(path_symlink, AT_PATH, name_len, fd, AT_PATH, name_len)
CALL(path_unlink_file, fd, AT_PATH, name_len)
CALL(sock_accept, fd, 0, AT_OUT)
CALL(sock_recv, fd, AT_IOVS, 1, 0, AT_OUT, AT_OUT2)
CALL(sock_send, fd, AT_IOVS, 1, 0, AT_OUT)
CALL(sock_shutdown, fd, 0)

static int call_poll_oneoff(uint32_t fd)
{
	const struct wasi_abi_subscription subscription = {
		.tag = WASI_EVENT_FD_READ,
		.u.fd = fd,
	};
	memcpy(fwp_double_at(f->fwp, AT_BUF, sizeof(subscription)), &subscription,
	       sizeof(subscription));
	int err = wasi_poll_oneoff(f->fwp, AT_BUF, AT_BUF + 256, 1, AT_OUT);
	assert_int_equal(err, 0);
	struct wasi_abi_event event;
	memcpy(&event, fwp_double_at(f->fwp, AT_BUF + 256, sizeof(event)), sizeof(event));
	if (event.error == WASI_ERRNO_NOTCAPABLE)
		return -WASI_ENOTCAPABLE;
	return event.error == WASI_ERRNO_BADF ? -EBADF : 0;
}

/* Names no object, or only itself. */
#define NO_OBJECT(name)                                                                            \
	{                                                                                          \
#name, NULL, 0, 0, false                                                           \
	}
/* Any descriptor will do, whatever its rights. */
#define ANY(name)                                                                                  \
	{                                                                                          \
#name, call_##name, 0, 0, false                                                    \
	}
#define OF_FILE(name, right)                                                                       \
	{                                                                                          \
#name, call_##name, WASI_RIGHT_##right, 0, false                                   \
	}
#define OF_FILE_2(name, right, other)                                                              \
	{                                                                                          \
#name, call_##name, WASI_RIGHT_##right, WASI_RIGHT_##other, false                  \
	}
#define OF_DIR(name, right)                                                                        \
	{                                                                                          \
#name, call_##name, WASI_RIGHT_##right, 0, true                                    \
	}
#define OF_DIR_2(name, right, other)                                                               \
	{                                                                                          \
#name, call_##name, WASI_RIGHT_##right, WASI_RIGHT_##other, true                   \
	}

static const struct row {
	const char *name;
	int (*call)(uint32_t fd);
	uint64_t right, other; /* both are needed; 0: none */
	bool is_of_directory;
} rows[] = {
	NO_OBJECT(args_get),
	NO_OBJECT(args_sizes_get),
	NO_OBJECT(environ_get),
	NO_OBJECT(environ_sizes_get),
	NO_OBJECT(clock_res_get),
	NO_OBJECT(clock_time_get),
	NO_OBJECT(proc_raise),
	NO_OBJECT(sched_yield),
	NO_OBJECT(random_get),
	ANY(fd_close),
	ANY(fd_fdstat_get),
	ANY(fd_fdstat_set_rights),
	ANY(fd_prestat_get),
	ANY(fd_prestat_dir_name),
	ANY(fd_renumber),
	ANY(sock_accept),
	ANY(sock_recv),
	ANY(sock_send),
	ANY(sock_shutdown),
	OF_FILE(fd_advise, FD_ADVISE),
	OF_FILE(fd_allocate, FD_ALLOCATE),
	OF_FILE(fd_datasync, FD_DATASYNC),
	OF_FILE(fd_fdstat_set_flags, FD_FDSTAT_SET_FLAGS),
	OF_FILE(fd_filestat_get, FD_FILESTAT_GET),
	OF_FILE(fd_filestat_set_size, FD_FILESTAT_SET_SIZE),
	OF_FILE(fd_filestat_set_times, FD_FILESTAT_SET_TIMES),
	OF_FILE_2(fd_pread, FD_READ, FD_SEEK),
	OF_FILE_2(fd_pwrite, FD_WRITE, FD_SEEK),
	OF_FILE(fd_read, FD_READ),
	OF_FILE(fd_seek, FD_SEEK),
	OF_FILE(fd_sync, FD_SYNC),
	OF_FILE(fd_write, FD_WRITE),
	OF_FILE_2(poll_oneoff, POLL_FD_READWRITE, FD_READ),
	/* Either will do: see telling(). */
	ANY(fd_tell),
	OF_DIR(fd_readdir, FD_READDIR),
	OF_DIR(path_create_directory, PATH_CREATE_DIRECTORY),
	OF_DIR(path_filestat_get, PATH_FILESTAT_GET),
	OF_DIR(path_filestat_set_times, PATH_FILESTAT_SET_TIMES),
	OF_DIR_2(path_link, PATH_LINK_SOURCE, PATH_LINK_TARGET),
	OF_DIR(path_open, PATH_OPEN),
	OF_DIR(path_readlink, PATH_READLINK),
	OF_DIR(path_remove_directory, PATH_REMOVE_DIRECTORY),
	OF_DIR_2(path_rename, PATH_RENAME_SOURCE, PATH_RENAME_TARGET),
	OF_DIR(path_symlink, PATH_SYMLINK),
	OF_DIR(path_unlink_file, PATH_UNLINK_FILE),
};

static int setup(void **state)
{
	int err = fixture_setup(state);
	f = *state;
	if (err == 0)
		err = create(f, "file") == (int)FILE_FD ? 0 : -EIO;
	name_len = fwp_double_put(f->fwp, AT_PATH, "file");
	put_iovec(f, 0, AT_BUF, 8);
	return err;
}

static bool is_refused(int err)
{
	/* Reading and writing without the right is EBADF, as on Linux. */
	return err == -WASI_ENOTCAPABLE || err == -EBADF;
}

static int call_with(const struct row *row, uint64_t rights)
{
	uint32_t fd = row->is_of_directory ? DATA_FD : FILE_FD;
	struct wasi_descriptor *descriptor;
	assert_int_equal(wasi_descriptor_get(f->wasi, fd, 0, &descriptor), 0);
	descriptor->rights_base = rights;
	return row->call(fd);
}

static void every_function_is_listed(void **state)
{
	static const char *const names[] = {
#define WASI_FUNCTION(name, signature, parameters, arguments) #name,
#include "wasi/wasi_functions.def"
#undef WASI_FUNCTION
	};
	assert_int_equal(EOS_ARRAY_SIZE(names), EOS_ARRAY_SIZE(rows));
	for (size_t i = 0; i < EOS_ARRAY_SIZE(names); i++) {
		size_t found = 0;
		for (size_t j = 0; j < EOS_ARRAY_SIZE(rows); j++)
			found += strcmp(names[i], rows[j].name) == 0;
		if (found != 1)
			fail_msg("%s is in the list %zu times", names[i], found);
	}
}

static void no_descriptor(void **state)
{
	static const uint32_t numbers[] = {6, 7, 255, 256, 0x7fffffff, 0x80000000, UINT32_MAX};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(rows); i++)
		for (size_t j = 0; j < EOS_ARRAY_SIZE(numbers) && rows[i].call != NULL; j++)
			if (rows[i].call(numbers[j]) != -EBADF)
				fail_msg("%s with descriptor %u", rows[i].name, numbers[j]);
}

static void rights_are_needed(void **state)
{
	for (size_t i = 0; i < EOS_ARRAY_SIZE(rows); i++) {
		const struct row *row = &rows[i];
		if (row->right == 0)
			continue;
		if (!is_refused(call_with(row, EVERY & ~row->right)) ||
		    (row->other != 0 && !is_refused(call_with(row, EVERY & ~row->other))))
			fail_msg("%s did without its right", row->name);
		if (is_refused(call_with(row, row->right | row->other)))
			fail_msg("%s wanted more than its right", row->name);
	}
	/* The last one, with its right, did its work; those before it, without theirs, did not. */
	struct wasi_stat stat;
	assert_int_equal(f->root->ops->stat_at(f->root, "file", false, &stat), -ENOENT);
}

static void telling(void **state)
{
	const struct row row = ANY(fd_tell);
	assert_int_equal(call_with(&row, EVERY & ~(WASI_RIGHT_FD_TELL | WASI_RIGHT_FD_SEEK)),
			 -WASI_ENOTCAPABLE);
	assert_int_equal(call_with(&row, WASI_RIGHT_FD_TELL), 0);
	assert_int_equal(call_with(&row, WASI_RIGHT_FD_SEEK), 0);
}

static void set_rights(uint32_t fd, uint64_t base, uint64_t inheriting)
{
	struct wasi_descriptor *descriptor;
	assert_int_equal(wasi_descriptor_get(f->wasi, fd, 0, &descriptor), 0);
	descriptor->rights_base = base;
	descriptor->rights_inheriting = inheriting;
}

/* Flags that have every write synced need the right to sync. */
static void synced_writes(void **state)
{
	const uint64_t data = WASI_RIGHT_FD_DATASYNC, all = WASI_RIGHT_FD_SYNC;
	static const uint32_t flags[] = {WASI_FDFLAG_DSYNC, WASI_FDFLAG_SYNC, WASI_FDFLAG_RSYNC};
	const uint64_t rights[] = {0, data, all};
	for (unsigned i = 0; i < EOS_ARRAY_SIZE(flags); i++)
		for (unsigned j = 0; j < EOS_ARRAY_SIZE(rights); j++) {
			bool is_allowed = rights[j] == all ||
					  (rights[j] == data && flags[i] == WASI_FDFLAG_DSYNC);
			set_rights(DATA_FD, EVERY, (EVERY & ~(data | all)) | rights[j]);
			int fd = open_in(f, DATA_FD, "file", 0, 0, flags[i]);
			if (is_allowed)
				assert_int_equal(wasi_fd_close(f->fwp, (uint32_t)fd), 0);
			else
				assert_int_equal(fd, -WASI_ENOTCAPABLE);
			set_rights(FILE_FD, (EVERY & ~(data | all)) | rights[j], 0);
			assert_int_equal(wasi_fd_fdstat_set_flags(f->fwp, FILE_FD, flags[i]),
					 is_allowed ? 0 : -WASI_ENOTCAPABLE);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_function_is_listed),
		cmocka_unit_test_setup_teardown(no_descriptor, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(rights_are_needed, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(telling, setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(synced_writes, setup, fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
