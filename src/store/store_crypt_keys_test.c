/*
 * The keys of encryption: the node key's file, lost, changed, moved, made anew; data keys.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"
#include "store/local_changes_priv.h"
#include "store/store_crypt_fixture_priv.h"

static int set_quota(void *ctx, struct store_bucket_settings *settings)
{
	settings->quota_bytes = (settings->quota_bytes | 1u << 30) + 1;
	return 0;
}

static int give_away(void *ctx, struct store_bucket_settings *settings)
{
	settings->tenant[0] = 'n';
	return 0;
}

/* With the node key lost or another one: what is encrypted cannot be read or written, everything
 * else can; nothing is called damaged; and with the key all is well again. */
static void expect_locked(struct fixture *f)
{
	struct store_verdict verdict;
	fixture_open(f);
	assert_int_equal(crypt_check(f->store, "safe", "large", CRYPT_LARGE, NULL), -ENOKEY);
	assert_int_equal(crypt_check(f->store, "safe", "small", CRYPT_SMALL, NULL), -ENOKEY);
	assert_int_equal(object_put(f->store, "safe", "x", 1, 10), -ENOKEY);
	/* It stands inline, sealed for its key. */
	assert_int_equal(store_object_rename(f->store, "safe", "tiny", 4, "x", 1), -ENOKEY);
	assert_int_equal(crypt_encryption_of(f->store, "safe", "large"), STORE_ENCRYPTED);
	assert_int_equal(crypt_check(f->store, "plain", "large", CRYPT_LARGE, NULL), 0);
	assert_int_equal(object_put(f->store, "plain", "x", 1, 10), 0);
	struct store_bucket_settings settings = {.is_encrypted = true, .tenant = "new"};
	assert_int_equal(store_bucket_settings_set(f->store, "plain", &settings), -ENOKEY);
	assert_int_equal(store_bucket_settings_update(f->store, "safe", set_quota, NULL), 0);
	assert_int_equal(store_bucket_settings_update(f->store, "safe", give_away, NULL), -ENOKEY);
	assert_int_equal(store_repair(f->store, NULL, NULL, NULL, &verdict), 0);
	assert_int_equal(verdict.damaged_objects + verdict.damaged_chunks, 0);
	uint64_t freed;
	assert_int_equal(store_object_delete(f->store, "safe", "gone", 4, NULL, NULL), 0);
	assert_int_equal(crypt_put(f->store, "plain", "gone", 17000, false, NULL, NULL), 0);
	assert_int_equal(store_compact(f->store, NULL, NULL, &freed), 0);
	assert_int_equal(store_rekey(f->store), -ENOKEY);
	fixture_close(f);
}

static void write_key(const char *path, const void *data, size_t len, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), (ssize_t)len);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

static void put_for_locked(struct fixture *f)
{
	if (f->store == NULL)
		fixture_open(f);
	assert_int_equal(object_put(f->store, "safe", "gone", 3, 200000), 0);
	fixture_close(f);
}

static void test_node_key(void **state)
{
	struct fixture *f = *state;
	char path[96], aside[110];
	uint8_t key[32] = {1, 2, 3};
	struct stat status;
	crypt_key_path(f, path);
	snprintf(aside, sizeof(aside), "%s.aside", path);
	assert_int_equal(access(path, F_OK), -1);
	crypt_make_bucket(f, "plain", "", false, false);
	assert_int_equal(access(path, F_OK), -1);
	crypt_make_bucket(f, "safe", "t1", true, true);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
	assert_int_equal(status.st_size, 32);
	assert_int_equal(crypt_put(f->store, "safe", "large", CRYPT_LARGE, false, NULL, NULL), 0);
	assert_int_equal(crypt_put(f->store, "safe", "small", CRYPT_SMALL, false, NULL, NULL), 0);
	assert_int_equal(crypt_put(f->store, "safe", "tiny", 300, false, NULL, NULL), 0);
	assert_int_equal(crypt_put(f->store, "plain", "large", CRYPT_LARGE, false, NULL, NULL), 0);
	put_for_locked(f);
	int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
	if (getenv("KEEP_LOG") == NULL)
		dup2(null, STDERR_FILENO);

	assert_int_equal(rename(path, aside), 0); /* lost */
	expect_locked(f);
	assert_int_equal(access(path, F_OK), -1); /* and no other one was made */
	assert_int_equal(rename(aside, path), 0);
	put_for_locked(f);
	assert_int_equal(rename(path, aside), 0);
	write_key(path, key, 32, 0600); /* another one */
	expect_locked(f);
	assert_int_equal(rename(aside, path), 0);
	put_for_locked(f);
	assert_int_equal(rename(path, aside), 0);
	write_key(path, key, 31, 0600); /* cut short */
	expect_locked(f);
	assert_int_equal(rename(aside, path), 0);
	put_for_locked(f);
	assert_int_equal(rename(path, aside), 0);
	assert_int_equal(mkdir(path, 0700), 0); /* not a file */
	expect_locked(f);
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(rename(aside, path), 0);
	put_for_locked(f);
	assert_int_equal(eos_fault_arm("store.key_read:*=EIO", NULL), 0);
	expect_locked(f);
	assert_int_equal(eos_fault_arm(NULL, NULL), 0);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(null);

	assert_int_equal(chmod(path, 0644), 0);
	fixture_open(f);
	assert_int_equal(crypt_check(f->store, "safe", "large", CRYPT_LARGE, NULL), 0);
	assert_int_equal(crypt_check(f->store, "safe", "small", CRYPT_SMALL, NULL), 0);
	assert_int_equal(stat(path, &status), 0);
	assert_int_equal(status.st_mode & 0777, 0600);
}

/* The key's file may stand elsewhere. */
static void test_key_path(void **state)
{
	struct fixture *f = *state;
	char path[96], usual[96];
	snprintf(path, sizeof(path), "%s.elsewhere", f->dir);
	crypt_key_path(f, usual);
	fixture_close(f);
	const struct store_options options = {.key_path = path};
	assert_int_equal(store_open_with(f->dir, &options, &f->store, NULL), 0);
	crypt_make_bucket(f, "safe", "", true, false);
	assert_int_equal(crypt_put(f->store, "safe", "a", CRYPT_LARGE, false, NULL, NULL), 0);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(access(usual, F_OK), -1);
	fixture_close(f);
	assert_int_equal(rename(path, usual), 0);
	fixture_open(f);
	assert_int_equal(crypt_check(f->store, "safe", "a", CRYPT_LARGE, NULL), 0);
}

static void read_key(const struct fixture *f, uint8_t out[32])
{
	char path[96];
	crypt_key_path(f, path);
	int fd = open(path, O_RDONLY);
	assert_int_equal(read(fd, out, 32), 32);
	close(fd);
}

static void test_rekey(void **state)
{
	static const char *const specs[] = {
		"store.key_write:1=ENOSPC", "store.key_fsync:1=EIO",  "store.key_fsync:2=EIO",
		"store.key_rename:1=EIO",   "store.txn_put:*=ENOSPC", "store.key_rename:2=EIO",
		"store.key_fsync:4=EIO",    "store.txn_commit:1=EIO",
	};
	struct fixture *f = *state;
	uint8_t before[32], after[32];
	assert_int_equal(store_rekey(f->store), 0); /* nothing to wrap */
	crypt_make_bucket(f, "safe", "t1", true, false);
	crypt_make_bucket(f, "other", "t2", true, false);
	assert_int_equal(crypt_put(f->store, "safe", "a", CRYPT_LARGE, false, NULL, NULL), 0);
	assert_int_equal(crypt_put(f->store, "other", "a", CRYPT_SMALL, false, NULL, NULL), 0);
	for (size_t i = 0; i < 2 * EOS_ARRAY_SIZE(specs); i++) {
		/* Each cut off by an error, and followed by one that succeeds. */
		read_key(f, before);
		if (i % 2 == 0) {
			assert_int_equal(eos_fault_arm(specs[i / 2], NULL), 0);
			int err = store_rekey(f->store);
			assert_int_equal(eos_fault_arm(NULL, NULL), 0);
			if (err == 0)
				fail_msg("%s: not hit", specs[i / 2]);
			/* In memory first, and after that as it is on the disk. */
			assert_int_equal(crypt_check(f->store, "safe", "a", CRYPT_LARGE, NULL), 0);
		} else {
			assert_int_equal(store_rekey(f->store), 0);
			read_key(f, after);
			assert_memory_not_equal(before, after, sizeof(before));
		}
		fixture_reopen(f);
		assert_int_equal(crypt_check(f->store, "safe", "a", CRYPT_LARGE, NULL), 0);
		assert_int_equal(crypt_check(f->store, "other", "a", CRYPT_SMALL, NULL), 0);
		assert_int_equal(crypt_put(f->store, "safe", "b", 17000, false, NULL, NULL), 0);
	}
}

static void *rekey_main(void *arg)
{
	struct fixture *f = arg;
	return (void *)(intptr_t)store_rekey(f->store);
}

/* One that waited for another that failed, so that nobody knows which of the two files counts on
 * the disk, leaves both as they are. */
static void test_rekey_behind_failure(void **state)
{
	struct fixture *f = *state;
	static const uint8_t next[32] = {7, 7, 7};
	struct local *local = local_of(f->store);
	char path[96], next_path[110];
	uint8_t got[32];
	pthread_t thread;
	void *result;
	crypt_make_bucket(f, "safe", "t1", true, false);
	crypt_key_path(f, path);
	snprintf(next_path, sizeof(next_path), "%s.next", path);
	pthread_mutex_lock(&local->crypt.make_lock);
	assert_int_equal(pthread_create(&thread, NULL, rekey_main, f), 0);
	usleep(50000); /* until it waits; without that the test is only easier */
	write_key(next_path, next, sizeof(next), 0600);
	local_turn_read_only(local, "a test", -EIO);
	pthread_mutex_unlock(&local->crypt.make_lock);
	pthread_join(thread, &result);
	assert_int_equal((intptr_t)result, -EROFS);
	int fd = open(next_path, O_RDONLY);
	assert_int_equal(read(fd, got, sizeof(got)), 32);
	close(fd);
	assert_memory_equal(got, next, sizeof(got));
	assert_int_equal(unlink(next_path), 0);
	fixture_reopen(f);
}

/* A damaged data key: what it sealed is an error, everything else goes on. */
static void test_damaged_data_key(void **state)
{
	struct fixture *f = *state;
	crypt_make_bucket(f, "one", "t1", true, false);
	crypt_make_bucket(f, "two", "t2", true, false);
	assert_int_equal(crypt_put(f->store, "one", "a", CRYPT_LARGE, false, NULL, NULL), 0);
	assert_int_equal(crypt_put(f->store, "two", "a", CRYPT_LARGE, false, NULL, NULL), 0);
	struct local *local = local_of(f->store);
	struct local_key_record record = local->crypt.slots[0].record;
	record.wrapped[3] ^= 1; /* its checksum is wrong now */
	struct local_op op = {
		.kind = LOCAL_OP_KEYS_PUT,
		.key_records = &record,
		.key_records_count = 1,
		.key_first = 1,
	};
	struct store_verdict verdict;
	assert_int_equal(local_commit(local, &op), 0);
	f->is_damaged = true;
	/* Told while the key is still in memory, from where a rekey puts it right. */
	assert_int_equal(store_verify(f->store, NULL, NULL, NULL, &verdict), 0);
	assert_int_equal(verdict.damaged_objects, 1);
	assert_int_equal(store_rekey(f->store), 0);
	fixture_reopen(f);
	store_audit(f->store);
	assert_int_equal(crypt_check(f->store, "one", "a", CRYPT_LARGE, NULL), 0);
	local = local_of(f->store);
	assert_int_equal(local_commit(local, &op), 0);
	fixture_reopen(f);
	assert_int_equal(crypt_check(f->store, "one", "a", CRYPT_LARGE, NULL), -EBADMSG);
	assert_int_equal(crypt_check(f->store, "two", "a", CRYPT_LARGE, NULL), 0);
	assert_int_equal(object_put(f->store, "one", "b", 4, 50000), 0);
	assert_int_equal(object_check(f->store, "one", "b", 4, 50000), 0);
	assert_int_equal(store_rekey(f->store), 0);
	fixture_reopen(f);
	assert_int_equal(object_check(f->store, "one", "b", 4, 50000), 0);
	assert_int_equal(crypt_check(f->store, "two", "a", CRYPT_LARGE, NULL), 0);
}

/* Each step of making the first key fails once; the next attempt succeeds, with one key. */
static void test_making_fails(void **state)
{
	static const char *const specs[] = {
		"store.key_write:1=ENOSPC", "store.key_fsync:1=EIO",  "store.key_rename:1=EIO",
		"store.key_fsync:2=EIO",    "store.txn_put:*=ENOSPC",
	};
	struct fixture *f = *state;
	struct store_bucket_settings settings = {.is_encrypted = true};
	char path[96];
	crypt_key_path(f, path);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(specs); i++) {
		assert_int_equal(store_bucket_create(f->store, "safe"), 0);
		assert_int_equal(eos_fault_arm(specs[i], NULL), 0);
		int err = store_bucket_settings_set(f->store, "safe", &settings);
		assert_int_equal(eos_fault_arm(NULL, NULL), 0);
		if (err >= 0)
			fail_msg("%s: not hit", specs[i]);
		struct store_bucket_settings got;
		assert_int_equal(store_bucket_settings_get(f->store, "safe", &got), 0);
		assert_false(got.is_encrypted);
		assert_int_equal(store_bucket_settings_set(f->store, "safe", &settings), 0);
		assert_int_equal(crypt_put(f->store, "safe", "a", CRYPT_SMALL, false, NULL, NULL),
				 0);
		fixture_reopen(f);
		assert_int_equal(crypt_check(f->store, "safe", "a", CRYPT_SMALL, NULL), 0);
		fixture_close(f);
		fixture_remove_dir(f->dir);
		fixture_open(f);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_node_key),	 TEST(test_key_path),
		TEST(test_rekey),	 TEST(test_damaged_data_key),
		TEST(test_making_fails), TEST(test_rekey_behind_failure),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
