/* Whatever LMDB makes of random changes, its pages are found to be well. Real damage:
 * store_tables_damage_test.c. */
#include "store/store_fixture_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/local_pages_priv.h"

#define MAP_BYTES   (64u << 20)
#define KEYS	    200u
#define VALUE_BYTES 20000u

struct file {
	char path[64], lock_path[72];
	MDB_env *env;
	MDB_dbi table;
	unsigned seed;
};

static int setup(void **state)
{
	struct file *file = calloc(1, sizeof(*file));
	MDB_txn *txn;
	assert_non_null(file);
	snprintf(file->path, sizeof(file->path), "/tmp/local_pages_test.XXXXXX");
	int fd = mkstemp(file->path);
	assert_true(fd >= 0);
	close(fd);
	snprintf(file->lock_path, sizeof(file->lock_path), "%s-lock", file->path);
	assert_int_equal(mdb_env_create(&file->env), 0);
	assert_int_equal(mdb_env_set_maxdbs(file->env, 2), 0);
	assert_int_equal(mdb_env_set_mapsize(file->env, MAP_BYTES), 0);
	/* No power is cut here. */
	assert_int_equal(
		mdb_env_open(file->env, file->path, MDB_NOSUBDIR | MDB_NOTLS | MDB_NOSYNC, 0600),
		0);
	assert_int_equal(mdb_txn_begin(file->env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, "table", MDB_CREATE, &file->table), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	file->seed = 1;
	*state = file;
	return 0;
}

static int teardown(void **state)
{
	struct file *file = *state;
	mdb_env_close(file->env);
	unlink(file->path);
	unlink(file->lock_path);
	free(file);
	return 0;
}

static unsigned draw(struct file *file, unsigned below)
{
	return (unsigned)rand_r(&file->seed) % below;
}

/* As in a batch of changes: what one of them writes the next one may take away. */
static void change(struct file *file)
{
	static char bytes[VALUE_BYTES];
	MDB_txn *txn;
	assert_int_equal(mdb_txn_begin(file->env, NULL, 0, &txn), 0);
	for (unsigned i = draw(file, 40) + 1; i > 0; i--) {
		char name[16];
		int len = snprintf(name, sizeof(name), "key%u", draw(file, KEYS));
		MDB_val key = {.mv_size = (size_t)len, .mv_data = name};
		MDB_val value = {.mv_size = draw(file, VALUE_BYTES), .mv_data = bytes};
		int rc = draw(file, 2) == 0 ? mdb_put(txn, file->table, &key, &value, 0)
					    : mdb_del(txn, file->table, &key, NULL);
		assert_true(rc == 0 || rc == MDB_NOTFOUND);
	}
	assert_int_equal(mdb_txn_commit(txn), 0);
}

/* Pages that a transaction takes at the end of the file and gives back are never written. */
static bool is_short(struct file *file)
{
	MDB_envinfo info;
	MDB_stat stat_of_env;
	struct stat status;
	assert_int_equal(mdb_env_info(file->env, &info), 0);
	assert_int_equal(mdb_env_stat(file->env, &stat_of_env), 0);
	assert_int_equal(stat(file->path, &status), 0);
	return (uint64_t)status.st_size < (info.me_last_pgno + 1) * stat_of_env.ms_psize;
}

static void test_every_commit_is_well(void **state)
{
	struct file *file = *state;
	unsigned shorts = 0;
	for (unsigned i = 0; i < 2000; i++) {
		struct eos_why why = {""};
		mdb_filehandle_t fd;
		uint64_t bytes;
		change(file);
		assert_int_equal(mdb_env_get_fd(file->env, &fd), 0);
		if (local_pages_check(fd, 0, NULL, NULL, &bytes, &why) < 0)
			fail_msg("commit %u: %s", i, why.text);
		shorts += is_short(file);
		if (i % 50 == 0) { /* a file of its own for the next ones */
			teardown(state);
			setup(state);
			file = *state;
			file->seed = i + 2;
		}
	}
	/* Else it was not shown. */
	assert_true(shorts > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_every_commit_is_well, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
