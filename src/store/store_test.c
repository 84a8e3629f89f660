/* The contract of store.h, function by function. */
#include "store/store_fixture_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"

#define SMALL 1000u
#define LARGE 200000u

static struct store *store_with_bucket(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	return f->store;
}

static int append_name(void *ctx, const struct store_bucket_info *info)
{
	eos_buf_printf(ctx, "%s ", info->name);
	return strcmp(info->name, "stop-here") == 0 ? 77 : 0;
}

static void test_buckets(void **state)
{
	struct fixture *f = *state;
	struct store_bucket_info info;
	struct eos_buf names;
	eos_buf_init(&names);
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	assert_int_equal(store_bucket_create(f->store, "raw"), -EEXIST);
	assert_int_equal(store_bucket_create(f->store, "cooked"), 0);
	assert_int_equal(store_bucket_create(f->store, ".functions"), 0);
	static const char *const bad[] = {"", "ab", "Upper", "a/b", "a b", "../x"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++)
		assert_int_equal(store_bucket_create(f->store, bad[i]), -EINVAL);
	char name[80];
	memset(name, 'n', sizeof(name));
	name[64] = '\0';
	assert_int_equal(store_bucket_create(f->store, name), -EINVAL);
	name[63] = '\0';
	assert_int_equal(store_bucket_create(f->store, name), 0);
	assert_int_equal(store_bucket_delete(f->store, name), 0);

	assert_int_equal(store_bucket_get(f->store, "raw", &info), 0);
	assert_string_equal(info.name, "raw");
	assert_true(info.created_ns <= eos_wall_ns());
	assert_int_equal(store_bucket_get(f->store, "none", &info), -ENOENT);
	assert_int_equal(store_bucket_get(f->store, "", &info), -ENOENT);
	assert_int_equal(store_bucket_list(f->store, append_name, &names), 0);
	assert_string_equal(names.data, "cooked raw ");
	assert_int_equal(store_bucket_create(f->store, "stop-here"), 0);
	assert_int_equal(store_bucket_create(f->store, "zebra"), 0);
	eos_buf_clear(&names);
	assert_int_equal(store_bucket_list(f->store, append_name, &names), 77);
	assert_string_equal(names.data, "cooked raw stop-here ");

	assert_int_equal(store_bucket_delete(f->store, "none"), -ENOENT);
	assert_int_equal(object_put(f->store, "raw", "k", 1, SMALL), 0);
	assert_int_equal(store_bucket_delete(f->store, "raw"), -ENOTEMPTY);
	assert_int_equal(store_object_delete(f->store, "raw", "k", 1, NULL, NULL), 0);
	assert_int_equal(store_bucket_delete(f->store, "raw"), 0);
	assert_int_equal(store_bucket_get(f->store, "raw", &info), -ENOENT);
	fixture_reopen(f);
	assert_int_equal(store_bucket_get(f->store, "cooked", &info), 0);
	assert_int_equal(store_bucket_get(f->store, "raw", &info), -ENOENT);
	eos_buf_fini(&names);
}

static void test_sizes_and_reopen(void **state)
{
	struct fixture *f = *state;
	struct store *store = store_with_bucket(state);
	static const size_t sizes[] = {0,     1,     4095,   16384,  16385,  65535,
				       65536, 65537, 131072, 200000, 1 << 20};
	char key[32];
	for (size_t i = 0; i < EOS_ARRAY_SIZE(sizes); i++) {
		snprintf(key, sizeof(key), "size/%zu", sizes[i]);
		assert_int_equal(object_put(store, "raw", key, i, sizes[i]), 0);
		assert_int_equal(object_check(store, "raw", key, i, sizes[i]), 0);
	}
	assert_true(store_chunks_count(store) >= 10);
	fixture_reopen(f);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(sizes); i++) {
		snprintf(key, sizeof(key), "size/%zu", sizes[i]);
		assert_int_equal(object_check(f->store, "raw", key, i, sizes[i]), 0);
	}
	assert_true(store_chunks_count(f->store) >= 10);
	assert_int_equal(staging_files_count(f->dir), 0);
}

/* Random offsets and lengths, forwards and back, against the content. */
static void test_reads_anywhere(void **state)
{
	struct store *store = store_with_bucket(state);
	struct store_reader *reader;
	static char got[150000], expected[150000];
	assert_int_equal(object_put(store, "raw", "k", 5, 300001), 0);
	assert_int_equal(store_reader_open(store, "raw", "k", 1, STORE_VERSION_LATEST, &reader), 0);
	srandom(7);
	for (int i = 0; i < 300; i++) {
		uint64_t offset = (uint64_t)random() % 310000;
		size_t len = (size_t)random() % (i % 3 == 0 ? sizeof(got) : 500);
		int64_t n = store_reader_read(reader, got, len, offset);
		uint64_t rest = offset < 300001 ? 300001 - offset : 0;
		assert_int_equal(n, EOS_MIN((uint64_t)len, rest));
		content_fill(5, offset, expected, (size_t)n);
		assert_memory_equal(got, expected, (size_t)n);
	}
	assert_null(store_reader_close(reader));
	assert_null(store_reader_close(NULL));
}

static void write_at(struct store_upload *upload, const char *text, uint64_t offset)
{
	assert_int_equal(store_upload_write(upload, text, strlen(text), offset), 0);
}

static void expect_content(struct store *store, const char *key, const char *expected, size_t len)
{
	struct store_reader *reader;
	static char got[100000];
	assert_int_equal(
		store_reader_open(store, "raw", key, strlen(key), STORE_VERSION_LATEST, &reader),
		0);
	assert_int_equal(fixture_read(reader, got, sizeof(got), 0), len);
	assert_memory_equal(got, expected, len);
	store_reader_close(reader);
}

static void test_etag(void **state)
{
	struct store *store = store_with_bucket(state);
	struct store_upload *upload;
	struct store_object_info info;
	assert_int_equal(store_upload_begin(store, "raw", "e", 1, NULL, &upload), 0);
	assert_int_equal(store_upload_commit(upload, NULL, &info), 0);
	assert_string_equal(info.etag, "d41d8cd98f00b204e9800998ecf8427e");
	assert_int_equal(store_upload_begin(store, "raw", "e", 1, NULL, &upload), 0);
	write_at(upload, "abc", 0);
	assert_int_equal(store_upload_commit(upload, NULL, &info), 0);
	assert_string_equal(info.etag, "900150983cd24fb0d6963f7d28e17f72");
	/* A million times "a", in order, and from back to front. */
	char piece[10000];
	memset(piece, 'a', sizeof(piece));
	for (int backwards = 0; backwards < 2; backwards++) {
		assert_int_equal(store_upload_begin(store, "raw", "m", 1, NULL, &upload), 0);
		for (int i = 0; i < 100; i++) {
			uint64_t offset = 10000 * (uint64_t)(backwards ? 99 - i : i);
			assert_int_equal(store_upload_write(upload, piece, 10000, offset), 0);
		}
		assert_int_equal(store_upload_commit(upload, NULL, &info), 0);
		assert_string_equal(info.etag, "7707d6ae4e027c70eea2a935c2296f21");
		assert_int_equal(info.size, 1000000);
	}
}

static void test_upload_in_memory(void **state)
{
	struct store *store = store_with_bucket(state);
	struct store_upload *upload;
	char got[32];
	assert_int_equal(store_upload_begin(store, "raw", "k", 1, NULL, &upload), 0);
	write_at(upload, "world", 6);
	assert_int_equal(store_upload_size(upload), 11);
	assert_int_equal(store_upload_read(upload, got, sizeof(got), 0), 11);
	assert_memory_equal(got, "\0\0\0\0\0\0world", 11);
	write_at(upload, "hello ", 0);
	assert_int_equal(store_upload_read(upload, got, 3, 4), 3);
	assert_memory_equal(got, "o w", 3);
	assert_int_equal(store_upload_read(upload, got, 3, 11), 0);
	/* What was cut off does not come back. */
	assert_int_equal(store_upload_truncate(upload, 5), 0);
	assert_int_equal(store_upload_truncate(upload, 7), 0);
	write_at(upload, "!", 8);
	assert_int_equal(store_upload_commit(upload, NULL, NULL), 0);
	expect_content(store, "k", "hello\0\0\0!", 9);
}

static void test_upload_in_file(void **state)
{
	struct fixture *f = *state;
	struct store *store = store_with_bucket(state);
	struct store_upload *upload;
	static char expected[90000], piece[30000];
	char got[100];
	memset(piece, 'p', sizeof(piece));
	assert_int_equal(store_upload_begin(store, "raw", "k", 1, NULL, &upload), 0);
	write_at(upload, "head", 0);
	write_at(upload, "tail", 80000);		  /* spills, with a gap */
	assert_int_equal(staging_files_count(f->dir), 0); /* it has no name */
	assert_int_equal(store_upload_write(upload, piece, sizeof(piece), 10000), 0);
	assert_int_equal(store_upload_read(upload, got, 8, 9996), 8);
	assert_memory_equal(got, "\0\0\0\0pppp", 8);
	assert_int_equal(store_upload_truncate(upload, 80002), 0);
	assert_int_equal(store_upload_truncate(upload, 80010), 0);
	assert_int_equal(store_upload_commit(upload, NULL, NULL), 0);
	memcpy(expected, "head", 4);
	memset(expected + 10000, 'p', sizeof(piece));
	memcpy(expected + 80000, "ta", 2);
	expect_content(store, "k", expected, 80010);
	/* Emptied and written anew; smaller than what is kept in memory. */
	assert_int_equal(store_upload_begin(store, "raw", "s", 1, NULL, &upload), 0);
	assert_int_equal(store_upload_write(upload, piece, sizeof(piece), 0), 0);
	assert_int_equal(store_upload_truncate(upload, 0), 0);
	write_at(upload, "short", 0);
	assert_int_equal(store_upload_commit(upload, NULL, NULL), 0);
	expect_content(store, "s", "short", 5);
	/* A file that ends up empty. */
	assert_int_equal(store_upload_begin(store, "raw", "z", 1, NULL, &upload), 0);
	assert_int_equal(store_upload_truncate(upload, 50000), 0);
	assert_int_equal(store_upload_truncate(upload, 0), 0);
	assert_int_equal(store_upload_commit(upload, NULL, NULL), 0);
	assert_int_equal(object_check(store, "raw", "z", 0, 0), 0);
}

static void test_upload_bounds(void **state)
{
	struct store *store = store_with_bucket(state);
	struct store_upload *upload;
	assert_int_equal(store_upload_begin(store, "raw", "k", 1, NULL, &upload), 0);
	assert_int_equal(store_upload_write(upload, "x", 1, STORE_OBJECT_BYTES_MAX), -EFBIG);
	assert_int_equal(store_upload_write(upload, "x", 1, UINT64_MAX), -EFBIG);
	assert_int_equal(store_upload_truncate(upload, STORE_OBJECT_BYTES_MAX + 1), -EFBIG);
	/* Holes are bounded, one by one and together. */
	assert_int_equal(store_upload_truncate(upload, UINT64_C(2) << 30), -EFBIG);
	assert_int_equal(store_upload_truncate(upload, UINT64_C(600) << 20), 0);
	assert_int_equal(store_upload_write(upload, "x", 1, UINT64_C(1200) << 20), -EFBIG);
	assert_int_equal(store_upload_truncate(upload, 3), 0);
	assert_int_equal(store_upload_write(upload, "x", 0, 100), 0);
	assert_int_equal(store_upload_size(upload), 3);
	assert_int_equal(store_upload_commit(upload, NULL, NULL), 0);
	expect_content(store, "k", "\0\0\0", 3);
}

static void test_upload_abort_and_errors(void **state)
{
	struct fixture *f = *state;
	struct store *store = store_with_bucket(state);
	struct store_upload *upload;
	struct store_object_info info = {.metadata_len = 0};
	char key[STORE_KEY_MAX + 1];
	memset(key, 'k', sizeof(key));
	assert_int_equal(store_upload_begin(store, "none", "k", 1, NULL, &upload), -ENOENT);
	assert_int_equal(store_upload_begin(store, "No!", "k", 1, NULL, &upload), -ENOENT);
	assert_int_equal(store_upload_begin(store, "raw", "", 0, NULL, &upload), -EINVAL);
	assert_int_equal(store_upload_begin(store, "raw", "a\0b", 3, NULL, &upload), -EINVAL);
	assert_int_equal(store_upload_begin(store, "raw", "\xff", 1, NULL, &upload), -EINVAL);
	assert_int_equal(store_upload_begin(store, "raw", key, 1025, NULL, &upload), -EINVAL);
	info.metadata_len = STORE_METADATA_MAX + 1;
	assert_int_equal(store_upload_begin(store, "raw", "k", 1, &info, &upload), -EINVAL);
	memcpy(info.metadata, "name\0no end", 11);
	info.metadata_len = 11;
	assert_int_equal(store_upload_begin(store, "raw", "k", 1, &info, &upload), -EINVAL);

	for (int large = 0; large < 2; large++) {
		assert_int_equal(store_upload_begin(store, "raw", "k", 1, NULL, &upload), 0);
		write_at(upload, "x", large ? 100000 : 0);
		assert_null(store_upload_abort(upload));
	}
	assert_null(store_upload_abort(NULL));
	assert_int_equal(object_check(store, "raw", "k", 0, 0), -ENOENT);
	assert_int_equal(staging_files_count(f->dir), 0);
}

static void test_too_many_uploads(void **state)
{
	struct store *store = store_with_bucket(state);
	static struct store_upload *uploads[LOCAL_UPLOADS_MAX + 1];
	for (unsigned i = 0; i < LOCAL_UPLOADS_MAX; i++)
		assert_int_equal(store_upload_begin(store, "raw", "k", 1, NULL, &uploads[i]), 0);
	struct store_upload *more;
	assert_int_equal(store_upload_begin(store, "raw", "k", 1, NULL, &more), -EMFILE);
	store_upload_abort(uploads[0]);
	assert_int_equal(store_upload_begin(store, "raw", "k", 1, NULL, &uploads[0]), 0);
	for (unsigned i = 0; i < LOCAL_UPLOADS_MAX; i++)
		store_upload_abort(uploads[i]);
}

static void test_conditions(void **state)
{
	struct fixture *f = *state;
	struct store *store = store_with_bucket(state);
	struct store_upload *upload, *other;
	static char piece[50000];
	assert_int_equal(store_upload_begin(store, "raw", "k", 1, NULL, &upload), 0);
	assert_int_equal(store_upload_begin(store, "raw", "k", 1, NULL, &other), 0);
	assert_int_equal(store_upload_write(upload, piece, sizeof(piece), 0), 0);
	assert_int_equal(store_upload_write(other, piece, sizeof(piece) - 1, 0), 0);
	assert_int_equal(
		store_upload_commit(
			upload, &(struct store_put_options){.condition = STORE_IF_ABSENT}, NULL),
		0);
	assert_int_equal(
		store_upload_commit(
			other, &(struct store_put_options){.condition = STORE_IF_ABSENT}, NULL),
		-EEXIST);
	expect_content(store, "k", piece, sizeof(piece));

	/* The bucket goes away under an upload; a new one of the same name is another bucket. */
	for (int anew = 0; anew < 2; anew++) {
		assert_int_equal(store_bucket_create(store, "gone"), 0);
		assert_int_equal(store_upload_begin(store, "gone", "k", 1, NULL, &upload), 0);
		assert_int_equal(store_upload_write(upload, piece, sizeof(piece), 0), 0);
		assert_int_equal(store_bucket_delete(store, "gone"), 0);
		if (anew)
			assert_int_equal(store_bucket_create(store, "gone"), 0);
		assert_int_equal(store_upload_commit(upload, NULL, NULL), -ENOENT);
	}
	fixture_reopen(f);
	assert_true(store_chunks_count(f->store) > 0);
	assert_int_equal(staging_files_count(f->dir), 0);
}

static void test_metadata(void **state)
{
	struct fixture *f = *state;
	struct store *store = store_with_bucket(state);
	struct store_upload *upload;
	static struct store_object_info info, got;
	assert_int_equal(store_metadata_add(&info, "", "x"), -EINVAL);
	assert_int_equal(store_metadata_add(&info, "content-type", "text/csv"), 0);
	assert_int_equal(store_metadata_add(&info, "x-empty", ""), 0);
	static char big[STORE_METADATA_MAX];
	memset(big, 'v', sizeof(big) - 1);
	assert_int_equal(store_metadata_add(&info, "big", big), -ENOSPC);
	big[STORE_METADATA_MAX - info.metadata_len - 5] = '\0';
	assert_int_equal(store_metadata_add(&info, "big", big), 0);
	assert_int_equal(info.metadata_len, STORE_METADATA_MAX);
	assert_int_equal(store_metadata_add(&info, "n", ""), -ENOSPC);
	for (unsigned large = 0; large < 2; large++) {
		assert_int_equal(store_upload_begin(store, "raw", "k", 1, &info, &upload), 0);
		write_at(upload, "data", large * 100000);
		assert_int_equal(store_upload_commit(upload, NULL, &got), 0);
		assert_string_equal(store_metadata_get(&got, "content-type"), "text/csv");
		fixture_reopen(f);
		store = f->store;
		memset(&got, 0, sizeof(got));
		assert_int_equal(store_object_get(store, "raw", "k", 1, STORE_VERSION_LATEST, &got),
				 0);
		assert_int_equal(got.metadata_len, info.metadata_len);
		assert_memory_equal(got.metadata, info.metadata, info.metadata_len);
		assert_string_equal(store_metadata_get(&got, "big"), big);
		assert_string_equal(store_metadata_get(&got, "x-empty"), "");
		assert_null(store_metadata_get(&got, "text/csv"));
		assert_int_equal(got.size, large * 100000 + 4);
	}
	/* A caller's broken text leads nowhere. */
	memcpy(got.metadata, "a\0b", 3);
	got.metadata_len = 3;
	assert_null(store_metadata_get(&got, "a"));
}

static void test_overwrite_and_delete(void **state)
{
	struct fixture *f = *state;
	struct store *store = store_with_bucket(state);
	struct store_reader *reader;
	struct store_object_info first, second;
	static char got[LARGE], expected[LARGE];
	assert_int_equal(object_put(store, "raw", "k", 1, LARGE), 0);
	assert_int_equal(store_object_get(store, "raw", "k", 1, STORE_VERSION_LATEST, &first), 0);
	assert_int_equal(store_reader_open(store, "raw", "k", 1, STORE_VERSION_LATEST, &reader), 0);
	assert_int_equal(object_put(store, "raw", "k", 2, LARGE), 0);
	assert_int_equal(store_object_get(store, "raw", "k", 1, STORE_VERSION_LATEST, &second), 0);
	assert_true(second.sequence > first.sequence);
	assert_string_not_equal(first.etag, second.etag);
	assert_int_equal(object_check(store, "raw", "k", 2, LARGE), 0);
	assert_int_equal(store_object_delete(store, "raw", "k", 1, NULL, NULL), 0);
	assert_int_equal(store_object_delete(store, "raw", "k", 1, NULL, NULL), -ENOENT);
	assert_int_equal(store_object_delete(store, "none", "k", 1, NULL, NULL), -ENOENT);
	assert_int_equal(store_object_get(store, "raw", "k", 1, STORE_VERSION_LATEST, &second),
			 -ENOENT);
	/* The reader still sees its version, whole. */
	content_fill(1, 0, expected, LARGE);
	assert_int_equal(fixture_read(reader, got, LARGE, 0), LARGE);
	assert_memory_equal(got, expected, LARGE);
	store_reader_close(reader);
	fixture_reopen(f);
	assert_int_equal(store_chunks_count(f->store), 0);
	assert_int_equal(store_reader_open(f->store, "raw", "k", 1, STORE_VERSION_LATEST, &reader),
			 -ENOENT);
	assert_int_equal(store_reader_open(f->store, "none", "k", 1, STORE_VERSION_LATEST, &reader),
			 -ENOENT);
	assert_int_equal(store_reader_open(f->store, "raw", "", 0, STORE_VERSION_LATEST, &reader),
			 -ENOENT);
}

static void test_rename(void **state)
{
	struct fixture *f = *state;
	struct store *store = store_with_bucket(state);
	static const size_t sizes[] = {SMALL, LARGE};
	char long_key[STORE_KEY_MAX + 1];
	memset(long_key, 'l', STORE_KEY_MAX);
	long_key[STORE_KEY_MAX] = '\0';
	assert_int_equal(store_object_rename(store, "raw", "a", 1, "b", 1), -ENOENT);
	assert_int_equal(store_object_rename(store, "none", "a", 1, "b", 1), -ENOENT);
	assert_int_equal(store_object_rename(store, "raw", "a", 1, "", 0), -EINVAL);
	for (size_t i = 0; i < 2; i++) {
		assert_int_equal(object_put(store, "raw", "a", 1, sizes[i]), 0);
		assert_int_equal(object_put(store, "raw", "b", 2, LARGE), 0);
		assert_int_equal(store_object_rename(store, "raw", "a", 1, "a", 1), 0);
		assert_int_equal(object_check(store, "raw", "a", 1, sizes[i]), 0);
		assert_int_equal(store_object_rename(store, "raw", "a", 1, "b", 1), 0);
		assert_int_equal(object_check(store, "raw", "a", 1, sizes[i]), -ENOENT);
		assert_int_equal(object_check(store, "raw", "b", 1, sizes[i]), 0);
		assert_int_equal(store_object_rename(store, "raw", "b", 1, long_key, STORE_KEY_MAX),
				 0);
		assert_int_equal(object_check(store, "raw", long_key, 1, sizes[i]), 0);
		assert_int_equal(
			store_object_delete(store, "raw", long_key, STORE_KEY_MAX, NULL, NULL), 0);
	}
	fixture_reopen(f);
	assert_int_equal(store_chunks_count(f->store), 0);
	assert_int_equal(store_bucket_delete(f->store, "raw"), 0);
}

static void test_stats(void **state)
{
	struct fixture *f = *state;
	struct store *store = store_with_bucket(state);
	struct store_stats stats;
	assert_int_equal(store_bucket_create(store, ".own"), 0);
	assert_int_equal(object_put(store, ".own", "k", 1, SMALL), 0);
	assert_int_equal(object_check(store, ".own", "k", 1, SMALL), 0);
	assert_int_equal(object_put(store, "raw", "a", 1, SMALL), 0);
	assert_int_equal(object_put(store, "raw", "a", 1, LARGE), 0);
	assert_int_equal(object_put(store, "raw", "b", 1, 10), 0);
	assert_int_equal(object_put(store, "raw", "c", 1, 20), 0);
	assert_int_equal(store_object_rename(store, "raw", "b", 1, "c", 1), 0);
	fixture_reopen(f);
	assert_int_equal(store_stats(f->store, &stats), 0);
	assert_int_equal(stats.buckets, 1);
	assert_int_equal(stats.objects, 2);
	assert_int_equal(stats.bytes, LARGE + 10);
	assert_int_equal(stats.outbox_events, 0);
}

static void test_open_errors(void **state)
{
	struct fixture *f = *state;
	struct store *other;
	struct eos_why why = {""};
	assert_int_equal(store_open(f->dir, &other, &why), -EBUSY);
	assert_non_null(strstr(why.text, "another process has the store open"));
	assert_int_equal(store_open("/proc/none/store", &other, &why), -ENOENT);
	assert_int_equal(store_open("/dev/null", &other, &why), -ENOTDIR);
	assert_null(store_close(NULL));
}

/* A full map refuses uploads, changes nothing, and lets deletes through. */
static void test_map_full(void **state)
{
	struct fixture *f = *state;
	struct local_options options = {.map_bytes = 1 << 20};
	struct store_stats stats;
	fixture_close(f);
	assert_int_equal(local_open(f->dir, &options, &f->store, NULL), 0);
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	char key[16];
	int err = 0;
	unsigned n = 0;
	for (; err == 0 && n < 1000; n++) {
		snprintf(key, sizeof(key), "%u", n);
		err = object_put(f->store, "raw", key, n, 8000);
	}
	assert_int_equal(err, -ENOSPC);
	n--;
	assert_true(n > 20);
	assert_int_equal(store_stats(f->store, &stats), 0);
	assert_int_equal(stats.objects, n);
	for (unsigned i = 0; i < n; i++) {
		snprintf(key, sizeof(key), "%u", i);
		assert_int_equal(object_check(f->store, "raw", key, i, 8000), 0);
		if (i < 20)
			assert_int_equal(
				store_object_delete(f->store, "raw", key, strlen(key), NULL, NULL),
				0);
	}
	assert_int_equal(object_put(f->store, "raw", "again", 3, 8000), 0);
	assert_int_equal(object_check(f->store, "raw", "again", 3, 8000), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_buckets),	     TEST(test_sizes_and_reopen),
		TEST(test_reads_anywhere),   TEST(test_etag),
		TEST(test_upload_in_memory), TEST(test_upload_in_file),
		TEST(test_upload_bounds),    TEST(test_upload_abort_and_errors),
		TEST(test_too_many_uploads), TEST(test_conditions),
		TEST(test_metadata),	     TEST(test_overwrite_and_delete),
		TEST(test_rename),	     TEST(test_stats),
		TEST(test_open_errors),	     TEST(test_map_full),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
