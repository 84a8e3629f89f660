/*
 * Damage: whatever byte of a file changes, a read gives -EBADMSG or the right data, never other
 * data. LMDB's own page structure is not checked by LMDB; here its values are damaged.
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

static void test_block_file_bytes(void **state)
{
	struct fixture *f = *state;
	char path[256];
	struct stat file;
	assert_int_equal(object_put(f->store, "raw", "k", 1, LARGE), 0);
	block_file_path(f->dir, path, sizeof(path));
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0 && fstat(fd, &file) == 0);
	assert_int_equal(file.st_size, 64 + LARGE + 3 * 8);
	unsigned damaged = 0, tried = 0;
	for (off_t at = 0; at < file.st_size; at += at < 64 || at >= 64 + (off_t)LARGE ? 1 : 997) {
		flip(fd, at);
		int result = object_check(f->store, "raw", "k", 1, LARGE);
		assert_true(is_good_or_damaged(result));
		damaged += result == -EBADMSG;
		tried++;
		flip(fd, at);
	}
	/* All bytes count. */
	assert_int_equal(damaged, tried);
	assert_int_equal(object_check(f->store, "raw", "k", 1, LARGE), 0);
	eos_close(fd);
}

static void test_block_file_cut_lost_and_swapped(void **state)
{
	struct fixture *f = *state;
	char path[256], other[256];
	assert_int_equal(object_put(f->store, "raw", "k", 1, LARGE), 0);
	block_file_path(f->dir, path, sizeof(path));
	snprintf(other, sizeof(other), "%s/aside", f->dir);
	assert_int_equal(rename(path, other), 0);
	assert_int_equal(object_check(f->store, "raw", "k", 1, LARGE), -EBADMSG);
	assert_int_equal(rename(other, path), 0);
	static const off_t lengths[] = {64 + LARGE + 23, 64 + LARGE, 64 + 70000, 64, 63, 0};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(lengths); i++) {
		assert_int_equal(truncate(path, lengths[i]), 0);
		assert_int_equal(object_check(f->store, "raw", "k", 1, LARGE), -EBADMSG);
	}
	/* Another object's file in its place. */
	assert_int_equal(unlink(path), 0);
	assert_int_equal(object_put(f->store, "raw", "l", 1, LARGE), 0);
	block_file_path(f->dir, other, sizeof(other));
	assert_int_equal(rename(other, path), 0);
	assert_int_equal(object_check(f->store, "raw", "k", 1, LARGE), -EBADMSG);
	/* What is damaged can be replaced and deleted. */
	assert_int_equal(object_put(f->store, "raw", "k", 2, LARGE), 0);
	assert_int_equal(object_check(f->store, "raw", "k", 2, LARGE), 0);
	assert_int_equal(store_object_delete(f->store, "raw", "l", 1, NULL, NULL), 0);
}

/* Small reads in sequence meet the damage when they come to its chunk, not before. */
static void test_chunk_alone(void **state)
{
	struct fixture *f = *state;
	char path[256], got[1000], expected[1000];
	struct store_reader *reader;
	assert_int_equal(object_put(f->store, "raw", "k", 1, LARGE), 0);
	block_file_path(f->dir, path, sizeof(path));
	int fd = open(path, O_RDWR);
	flip(fd, 64 + 70000);
	eos_close(fd);
	assert_int_equal(store_reader_open(f->store, "raw", "k", 1, STORE_VERSION_LATEST, &reader),
			 0);
	for (uint64_t at = 0; at + sizeof(got) <= LARGE; at += sizeof(got)) {
		int64_t n = store_reader_read(reader, got, sizeof(got), at);
		bool is_hit = at + sizeof(got) > 65536 && at < 131072;
		assert_int_equal(n, is_hit ? -EBADMSG : (int)sizeof(got));
		content_fill(1, at, expected, sizeof(expected));
		if (!is_hit)
			assert_memory_equal(got, expected, sizeof(got));
	}
	store_reader_close(reader);
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
		  void (*emit)(void *emit_ctx, const char *target), void *emit_ctx)
{
	emit(emit_ctx, event->key[0] == 'm' ? "target-marker" : "other");
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
		TEST(test_block_file_bytes),
		TEST(test_block_file_cut_lost_and_swapped),
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
