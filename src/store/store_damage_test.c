/*
 * Damage: whatever byte of a file changes, a read gives -EBADMSG or the right data, never other
 * data; and verify finds it. LMDB's own page structure is not checked by LMDB; here its values are
 * damaged.
 */
#include "store/store_fixture_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/file.h"
#include "base/log.h"

#define LARGE 150000u

static int setup(void **state)
{
	/* One line a damage a second would do no harm, but hides what matters. */
	eos_log_set_level(EOS_LOG_ERROR);
	assert_int_equal(fixture_setup(state), 0);
	struct fixture *f = *state;
	f->is_damaged = true;
	return store_bucket_create(f->store, "raw");
}

static void flip(int fd, off_t at)
{
	uint8_t byte;
	assert_int_equal(eos_pread_full(fd, &byte, 1, at), 0);
	byte ^= 0x10;
	assert_int_equal(eos_pwrite_full(fd, &byte, 1, at), 0);
}

static bool is_good_or_damaged(int result)
{
	return result == 0 || result == -EBADMSG;
}

static void verify(struct store *store, struct store_verdict *ret_verdict)
{
	assert_int_equal(store_verify(store, NULL, NULL, NULL, ret_verdict), 0);
}

/* Each byte of a segment counts for reads, or at least for verify. */
static void test_segment_bytes(void **state)
{
	struct fixture *f = *state;
	struct store_verdict verdict;
	char path[256];
	struct stat file;
	assert_int_equal(object_put(f->store, "raw", "k", 1, LARGE), 0);
	segment_file_path(f->dir, path, sizeof(path));
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0 && fstat(fd, &file) == 0);
	assert_in_range(file.st_size, LARGE + 64 + 64, LARGE + 64 + 10 * 72);
	unsigned damaged = 0, tried = 0;
	for (off_t at = 0; at < file.st_size; at += at < 128 ? 1 : 997) {
		/* Opened anew, so that the segment's header is read again. */
		fixture_close(f);
		flip(fd, at);
		fixture_open(f);
		int result = object_check(f->store, "raw", "k", 1, LARGE);
		assert_true(is_good_or_damaged(result));
		damaged += result == -EBADMSG;
		verify(f->store, &verdict);
		assert_int_equal(verdict.damaged_objects, result == -EBADMSG);
		assert_true(verdict.damaged_chunks > 0);
		flip(fd, at);
		tried++;
	}
	assert_in_range(damaged, tried - 64, tried - 60); /* all but the first entry's head */
	fixture_close(f);
	fixture_open(f);
	assert_int_equal(object_check(f->store, "raw", "k", 1, LARGE), 0);
	eos_close(fd);
}

static void test_segment_cut_lost_and_swapped(void **state)
{
	struct fixture *f = *state;
	char path[256], aside[256], other[256];
	assert_int_equal(object_put(f->store, "raw", "k", 1, LARGE), 0);
	segment_file_path(f->dir, path, sizeof(path));
	static const off_t lengths[] = {64 + LARGE, 64 + 70000, 128, 64, 63, 0};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(lengths); i++) {
		fixture_close(f);
		assert_int_equal(truncate(path, lengths[i]), 0);
		fixture_open(f);
		assert_int_equal(object_check(f->store, "raw", "k", 1, LARGE), -EBADMSG);
	}
	fixture_close(f);
	assert_int_equal(unlink(path), 0);
	fixture_open(f);
	assert_int_equal(object_check(f->store, "raw", "k", 1, LARGE), -EBADMSG);
	/* What is damaged can be replaced, also by the same content, and deleted. */
	assert_int_equal(object_put(f->store, "raw", "l", 1, LARGE), 0);
	assert_int_equal(object_check(f->store, "raw", "l", 1, LARGE), 0);
	assert_int_equal(object_check(f->store, "raw", "k", 1, LARGE), 0);
	store_audit(f->store);
	/* Another segment in its place. */
	segment_file_path(f->dir, path, sizeof(path));
	fixture_close(f);
	fixture_open(f);
	assert_int_equal(object_put(f->store, "raw", "m", 2, LARGE), 0);
	snprintf(aside, sizeof(aside), "%s/aside", f->dir);
	assert_int_equal(rename(path, aside), 0);
	segment_file_path(f->dir, other, sizeof(other));
	fixture_close(f);
	assert_int_equal(rename(other, path), 0);
	fixture_open(f);
	assert_int_equal(object_check(f->store, "raw", "k", 1, LARGE), -EBADMSG);
	assert_int_equal(object_check(f->store, "raw", "m", 2, LARGE), -EBADMSG);
	assert_int_equal(store_object_delete(f->store, "raw", "k", 1, NULL, NULL), 0);
	assert_int_equal(object_put(f->store, "raw", "m", 3, LARGE), 0);
	assert_int_equal(object_check(f->store, "raw", "m", 3, LARGE), 0);
}

/* Small reads in sequence meet the damage when they come to its chunk, not before. */
static void test_chunk_alone(void **state)
{
	struct fixture *f = *state;
	char path[256], got[1000], expected[1000];
	struct store_reader *reader;
	unsigned hits = 0;
	assert_int_equal(object_put(f->store, "raw", "k", 1, 5 * LARGE), 0);
	segment_file_path(f->dir, path, sizeof(path));
	int fd = open(path, O_RDWR);
	flip(fd, 64 + 300000);
	eos_close(fd);
	assert_int_equal(store_reader_open(f->store, "raw", "k", 1, STORE_VERSION_LATEST, &reader),
			 0);
	for (uint64_t at = 0; at + sizeof(got) <= 5 * LARGE; at += sizeof(got)) {
		int64_t n = store_reader_read(reader, got, sizeof(got), at);
		assert_true(n == sizeof(got) || n == -EBADMSG);
		content_fill(1, at, expected, sizeof(expected));
		if (n > 0)
			assert_memory_equal(got, expected, sizeof(got));
		else
			hits++;
	}
	assert_in_range(hits, 16, 258);
	store_reader_close(reader);
}

static unsigned problems;

static void count_problem(void *ctx, const char *bucket, const char *key, size_t key_len,
			  uint64_t version, const char *text)
{
	assert_string_equal(bucket, "raw");
	assert_int_equal(key_len, 3);
	assert_memory_equal(key, "bad", 3);
	problems++;
}

static void spoil_counts(struct local *local)
{
	MDB_txn *txn;
	MDB_cursor *cursor;
	MDB_val key, value;
	struct local_chunk chunk;
	uint8_t name[LOCAL_NAME_SIZE];
	assert_int_equal(mdb_txn_begin(local->env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_cursor_open(txn, local->chunks, &cursor), 0);
	assert_int_equal(mdb_cursor_get(cursor, &key, &value, MDB_FIRST), 0);
	assert_int_equal(local_chunk_parse(&key, &value, &chunk), 0);
	memcpy(name, key.mv_data, sizeof(name));
	mdb_cursor_close(cursor);
	chunk.refs += 3;
	assert_int_equal(local_chunk_put(local, txn, name, &chunk), 0);
	/* One that nothing refers to. */
	name[0] ^= 0xff;
	chunk.refs = 1;
	assert_int_equal(local_chunk_put(local, txn, name, &chunk), 0);
	assert_int_equal(local_segment_record_put(local, txn, 1, 12345), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
}

/* What cannot be read goes, everything else stays; wrong counts are made right. */
static void test_repair(void **state)
{
	struct fixture *f = *state;
	struct store_verdict verdict;
	char path[256];
	struct stat file;
	assert_int_equal(object_put(f->store, "raw", "bad", 1, LARGE), 0);
	segment_file_path(f->dir, path, sizeof(path));
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0 && fstat(fd, &file) == 0);
	assert_int_equal(object_put(f->store, "raw", "good", 2, LARGE), 0);
	assert_int_equal(object_put(f->store, "raw", "small", 3, 100), 0);
	flip(fd, file.st_size / 2);
	eos_close(fd);
	problems = 0;
	assert_int_equal(store_verify(f->store, count_problem, NULL, NULL, &verdict), 0);
	assert_int_equal(verdict.damaged_objects, 1);
	assert_int_equal(problems, 1);
	assert_int_equal(store_repair(f->store, count_problem, NULL, NULL, &verdict), 0);
	assert_int_equal(problems, 2);
	assert_int_equal(object_check(f->store, "raw", "bad", 1, LARGE), -ENOENT);
	assert_int_equal(object_check(f->store, "raw", "good", 2, LARGE), 0);
	store_audit(f->store);

	fixture_reopen(f);
	spoil_counts(local_of(f->store));
	fixture_reopen(f);
	verify(f->store, &verdict);
	assert_true(verdict.wrong_counts >= 3);
	assert_int_equal(store_repair(f->store, NULL, NULL, NULL, &verdict), 0);
	store_audit(f->store);
	assert_int_equal(object_check(f->store, "raw", "good", 2, LARGE), 0);
	assert_int_equal(object_check(f->store, "raw", "small", 3, 100), 0);
}

#define FLIP_OBJECTS 12

static size_t flip_size(uint64_t i)
{
	return i % 3 == 0 ? 200 * i : 20000 * i;
}

/* Every object is right or damaged. Returns how many are damaged. */
static unsigned check_objects(struct store *store)
{
	unsigned damaged = 0;
	for (uint64_t i = 1; i <= FLIP_OBJECTS; i++) {
		char key[16];
		snprintf(key, sizeof(key), "k%llu", (unsigned long long)i);
		int result = object_check(store, "raw", key, i, flip_size(i));
		/* -ENOENT: a byte of its key. */
		assert_true(is_good_or_damaged(result) || result == -ENOENT);
		damaged += result != 0;
	}
	return damaged;
}

/* A random byte of a random segment: what reads do not meet, verify does, if it counts at all. */
static void test_random_flips(void **state)
{
	struct fixture *f = *state;
	struct store_verdict verdict;
	uint64_t random = 7;
	unsigned found = 0;
	for (uint64_t i = 1; i <= FLIP_OBJECTS; i++) {
		char key[16];
		snprintf(key, sizeof(key), "k%llu", (unsigned long long)i);
		assert_int_equal(object_put(f->store, "raw", key, i, flip_size(i)), 0);
	}
	char path[256];
	struct stat file;
	segment_file_path(f->dir, path, sizeof(path));
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0 && fstat(fd, &file) == 0);
	for (unsigned round = 0; round < 200; round++) {
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		off_t at = (off_t)((random >> 20) % (uint64_t)file.st_size);
		fixture_close(f);
		flip(fd, at);
		fixture_open(f);
		unsigned damaged = check_objects(f->store);
		verify(f->store, &verdict);
		assert_true(damaged <= verdict.damaged_objects);
		found += damaged > 0 || verdict.damaged_chunks > 0;
		flip(fd, at);
	}
	/* Only the zeros that fill entries up do not count. */
	assert_in_range(found, 198, 200);
	eos_close(fd);
}

/* Calls TRY with byte after byte of every copy of MARKER's surroundings in metadata.mdb flipped. */
static void flip_around(struct fixture *f, const void *marker, size_t marker_len, off_t from,
			off_t to, void (*try)(struct fixture *f))
{
	char path[128];
	struct eos_buf file;
	eos_buf_init(&file);
	snprintf(path, sizeof(path), "%s/metadata.mdb", f->dir);
	assert_int_equal(eos_read_file(AT_FDCWD, path, 64 << 20, &file), 0);
	int fd = open(path, O_RDWR);
	off_t found[16];
	size_t count = 0;
	char *at = file.data;
	while ((at = memmem(at, file.len - (size_t)(at - file.data), marker, marker_len)) != NULL) {
		assert_true(count < EOS_ARRAY_SIZE(found));
		found[count++] = at - file.data;
		at++;
	}
	assert_true(count > 0);
	for (off_t offset = from; offset < to; offset++) {
		for (size_t i = 0; i < count; i++)
			flip(fd, found[i] + offset);
		try(f);
		for (size_t i = 0; i < count; i++)
			flip(fd, found[i] + offset);
	}
	eos_close(fd);
	eos_buf_fini(&file);
}

static unsigned damaged_count;

static int keep_info(void *ctx, const struct store_list_entry *entry)
{
	assert_int_equal(entry->info->size, 300);
	assert_string_equal(store_metadata_get(entry->info, "marker-name"), "marker-value");
	return 0;
}

static void try_inline(struct fixture *f)
{
	struct store_object_info info;
	struct store_list_query query = {.limit = 10};
	bool more;
	int result = object_check(f->store, "raw", "k", 9, 300);
	assert_true(is_good_or_damaged(result));
	damaged_count += result == -EBADMSG;
	result = store_object_get(f->store, "raw", "k", 1, STORE_VERSION_LATEST, &info);
	assert_true(is_good_or_damaged(result));
	if (result == 0)
		assert_string_equal(store_metadata_get(&info, "marker-name"), "marker-value");
	result = store_object_list(f->store, "raw", &query, keep_info, NULL, &more);
	assert_true(is_good_or_damaged(result));
}

static void test_inline_record(void **state)
{
	struct fixture *f = *state;
	struct store_upload *upload;
	static struct store_object_info info;
	char data[300];
	info.metadata_len = 0;
	assert_int_equal(store_metadata_add(&info, "marker-name", "marker-value"), 0);
	content_fill(9, 0, data, sizeof(data));
	assert_int_equal(store_upload_begin(f->store, "raw", "k", 1, &info, &upload), 0);
	assert_int_equal(store_upload_write(upload, data, sizeof(data), 0), 0);
	assert_int_equal(store_upload_commit(upload, NULL, NULL), 0);
	damaged_count = 0;
	/* The record's head stands before the metadata, the data behind. */
	flip_around(f, "marker-name", 11, -96, (off_t)info.metadata_len + 300, try_inline);
	assert_int_equal(damaged_count, 96 + info.metadata_len + 300);
	assert_int_equal(object_check(f->store, "raw", "k", 9, 300), 0);
}

/* A key that changed in the tree must not show another's data. */
static void try_key(struct fixture *f)
{
	int result = object_check(f->store, "raw", "key-marker-1", 1, 300);
	assert_true(is_good_or_damaged(result) || result == -ENOENT);
	result = object_check(f->store, "raw", "key-marker-2", 2, 300);
	assert_true(is_good_or_damaged(result) || result == -ENOENT);
	/* Flipping the last byte makes "1" to "!", "2" to "\"". */
	result = object_check(f->store, "raw", "key-marker-!", 1, 300);
	assert_true(result == -EBADMSG || result == -ENOENT);
}

static void test_key(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(object_put(f->store, "raw", "key-marker-1", 1, 300), 0);
	assert_int_equal(object_put(f->store, "raw", "key-marker-2", 2, 300), 0);
	flip_around(f, "key-marker-1", 12, 0, 12, try_key);
}

static void try_bucket(struct fixture *f)
{
	struct store_bucket_info info;
	assert_int_equal(store_bucket_get(f->store, "bucket-marker", &info), -EBADMSG);
	assert_int_equal(object_check(f->store, "bucket-marker", "k", 1, 10), -EBADMSG);
	assert_int_equal(object_put(f->store, "bucket-marker", "k", 1, 10), -EBADMSG);
	assert_int_equal(store_bucket_delete(f->store, "bucket-marker"), -EBADMSG);
}

static void test_bucket_record(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(store_bucket_create(f->store, "bucket-marker"), 0);
	assert_int_equal(object_put(f->store, "bucket-marker", "k", 1, 10), 0);
	flip_around(f, "bucket-marker", 13, 13, 13 + 128, try_bucket);
	assert_int_equal(object_check(f->store, "bucket-marker", "k", 1, 10), 0);
}

static char long_key[1000];

static void try_child(struct fixture *f)
{
	struct store_list_query query = {.limit = 10};
	bool more;
	assert_int_equal(object_check(f->store, "raw", long_key, 1, 10), -EBADMSG);
	assert_int_equal(store_object_list(f->store, "raw", &query, keep_info, NULL, &more),
			 -EBADMSG);
}

static void test_child_record(void **state)
{
	struct fixture *f = *state;
	memset(long_key, 'q', 600);
	assert_int_equal(object_put(f->store, "raw", long_key, 1, 10), 0);
	/* The first segment, the mark, 16 bytes of child record (aligned by LMDB: 8 + 481 is odd,
	 * the value follows at once). */
	char marker[481];
	memset(marker, 'q', 480);
	marker[480] = 0x01;
	flip_around(f, marker, sizeof(marker), 481, 481 + 16, try_child);
	assert_int_equal(object_check(f->store, "raw", long_key, 1, 10), 0);
}

static void match(void *ctx, const struct store_event *event,
		  void (*emit)(void *emit_ctx, const char *target, const char *rule),
		  void *emit_ctx)
{
	emit(emit_ctx, event->key[0] == 'm' ? "target-marker" : "other", NULL);
}

static int count_events(void *ctx, const struct store_event *event)
{
	unsigned *count = ctx;
	(*count)++;
	assert_string_equal(event->target, "other");
	return 0;
}

/* The damaged event is passed over, the others come. */
static void try_event(struct fixture *f)
{
	unsigned count = 0;
	assert_int_equal(store_outbox_list(f->store, 0, count_events, &count), 0);
	assert_int_equal(count, 1);
	assert_int_equal(store_outbox_retry(f->store, 1, 0), -EBADMSG);
}

static void test_event(void **state)
{
	struct fixture *f = *state;
	store_set_matcher(f->store, match, NULL, NULL);
	assert_int_equal(object_put(f->store, "raw", "m", 1, 10), 0);
	assert_int_equal(object_put(f->store, "raw", "o", 1, 10), 0);
	/* 72 bytes of head, "raw", the target, the key. */
	flip_around(f, "target-marker", 13, -75, 14, try_event);
	assert_int_equal(store_outbox_remove(f->store, 1), 0);
}

static void expect_refused(struct fixture *f, const char *words)
{
	struct eos_why why = {""};
	assert_int_equal(store_open(f->dir, &f->store, &why), -EBADMSG);
	assert_non_null(strstr(why.text, words));
	f->store = NULL;
}

static void try_state(struct fixture *f)
{
	expect_refused(f, "damaged");
}

static void test_state_record_and_file(void **state)
{
	struct fixture *f = *state;
	char path[128];
	assert_int_equal(object_put(f->store, "raw", "k", 1, LARGE), 0);
	fixture_close(f);
	flip_around(f, "state", 6, 6, 6 + 88, try_state);
	snprintf(path, sizeof(path), "%s/metadata.mdb", f->dir);
	/* Every page that still counts is cut off: an error, not a signal. */
	assert_int_equal(truncate(path, 8192), 0);
	expect_refused(f, "damaged");
	assert_int_equal(truncate(path, 0), 0);
	expect_refused(f, "missing");
	assert_int_equal(unlink(path), 0);
	expect_refused(f, "missing");
	int fd = open(path, O_RDWR | O_CREAT, 0600);
	char garbage[8192];
	content_fill(3, 0, garbage, sizeof(garbage));
	assert_int_equal(eos_write_full(fd, garbage, sizeof(garbage)), 0);
	eos_close(fd);
	expect_refused(f, "not a store's");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_segment_bytes),
		TEST(test_segment_cut_lost_and_swapped),
		TEST(test_repair),
		TEST(test_random_flips),
		TEST(test_chunk_alone),
		TEST(test_inline_record),
		TEST(test_key),
		TEST(test_bucket_record),
		TEST(test_child_record),
		TEST(test_event),
		TEST(test_state_record_and_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
