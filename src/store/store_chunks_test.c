/*
 * Chunks: shared where contents are equal, by reference when copied, compressed where it saves
 * something, moved by compaction, and gone when nobody needs them.
 */
#include "store/store_fixture_priv.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/str.h"
#include "crypto/crypto.h"

#define LARGE (3u << 20)

static int setup(void **state)
{
	assert_int_equal(fixture_setup(state), 0);
	struct fixture *f = *state;
	return store_bucket_create(f->store, "raw");
}

static struct store_stats stats_of(struct store *store)
{
	struct store_stats stats;
	store_reclaim(store);
	assert_int_equal(store_stats(store, &stats), 0);
	return stats;
}

static void test_equal_contents_are_stored_once(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(object_put(f->store, "raw", "a", 1, LARGE), 0);
	struct store_stats one = stats_of(f->store);
	assert_in_range(one.chunk_bytes, LARGE, LARGE + LARGE / 100);
	assert_int_equal(object_put(f->store, "raw", "b", 1, LARGE), 0);
	assert_int_equal(object_put(f->store, "raw", "c", 1, LARGE), 0);
	struct store_stats three = stats_of(f->store);
	assert_int_equal(three.chunks, one.chunks);
	assert_int_equal(three.chunk_bytes, one.chunk_bytes);
	assert_int_equal(three.bytes, 3 * (uint64_t)LARGE);
	assert_int_equal(store_object_delete(f->store, "raw", "a", 1, NULL, NULL), 0);
	assert_int_equal(store_object_delete(f->store, "raw", "c", 1, NULL, NULL), 0);
	fixture_reopen(f);
	assert_int_equal(object_check(f->store, "raw", "b", 1, LARGE), 0);
	assert_int_equal(stats_of(f->store).chunks, one.chunks);
	assert_int_equal(store_object_delete(f->store, "raw", "b", 1, NULL, NULL), 0);
	assert_int_equal(stats_of(f->store).chunks, 0);
	assert_int_equal(stats_of(f->store).chunk_bytes, 0);
}

static int put_bytes(struct store *store, const char *key, const void *data, size_t len)
{
	struct store_upload *upload;
	assert_int_equal(store_upload_begin(store, "raw", key, strlen(key), NULL, &upload), 0);
	assert_int_equal(store_upload_write(upload, data, len, 0), 0);
	return store_upload_commit(upload, NULL, NULL);
}

/* A long zero is one chunk many times, also within one upload. */
static void test_repetition_within_an_object(void **state)
{
	struct fixture *f = *state;
	char *zeros = calloc(1, LARGE), *got = malloc(LARGE);
	struct store_reader *reader;
	assert_true(zeros != NULL && got != NULL);
	assert_int_equal(put_bytes(f->store, "z", zeros, LARGE), 0);
	assert_true(stats_of(f->store).chunks <= 2);
	assert_true(stats_of(f->store).segment_bytes < 600000);
	fixture_reopen(f);
	assert_int_equal(store_reader_open(f->store, "raw", "z", 1, STORE_VERSION_LATEST, &reader),
			 0);
	assert_int_equal(fixture_read(reader, got, LARGE, 0), LARGE);
	assert_memory_equal(got, zeros, LARGE);
	store_reader_close(reader);
	free(zeros);
	free(got);
}

/* Bytes inserted at the front: nearly all chunks are those that are there. */
static void test_shifted_content_is_shared(void **state)
{
	struct fixture *f = *state;
	char *data = malloc(LARGE + 5);
	assert_non_null(data);
	content_fill(1, 0, data + 5, LARGE);
	assert_int_equal(put_bytes(f->store, "a", data + 5, LARGE), 0);
	uint64_t chunks = stats_of(f->store).chunks;
	memcpy(data, "shift", 5);
	assert_int_equal(put_bytes(f->store, "b", data, LARGE + 5), 0);
	assert_in_range(stats_of(f->store).chunks, chunks + 1, chunks + 4);
	free(data);
}

/* The bytes of the upload's object, from anything that was appended. */
static void expect_bytes(struct store *store, const char *key, const char *expected, size_t len)
{
	struct store_reader *reader;
	char *got = malloc(len + 1);
	assert_non_null(got);
	assert_int_equal(
		store_reader_open(store, "raw", key, strlen(key), STORE_VERSION_LATEST, &reader),
		0);
	assert_int_equal(fixture_read(reader, got, len + 1, 0), len);
	assert_memory_equal(got, expected, len);
	store_reader_close(reader);
	free(got);
}

static void append(struct store *store, struct store_upload *upload, const char *key,
		   uint64_t offset, uint64_t len)
{
	struct store_reader *reader;
	assert_int_equal(
		store_reader_open(store, "raw", key, strlen(key), STORE_VERSION_LATEST, &reader),
		0);
	assert_int_equal(store_upload_append(upload, reader, offset, len), 0);
	store_reader_close(reader);
}

static void test_append_by_reference(void **state)
{
	struct fixture *f = *state;
	struct store_upload *upload;
	struct store_object_info info, source;
	char *expected = malloc(2 * LARGE);
	assert_non_null(expected);
	assert_int_equal(object_put(f->store, "raw", "a", 1, LARGE), 0);
	assert_int_equal(object_put(f->store, "raw", "small", 2, 1000), 0);
	uint64_t written = stats_of(f->store).segment_bytes;

	/* A whole object: same bytes, same etag, nothing copied. */
	assert_int_equal(store_upload_begin(f->store, "raw", "copy", 4, NULL, &upload), 0);
	append(f->store, upload, "a", 0, LARGE);
	assert_int_equal(store_upload_commit(upload, NULL, &info), 0);
	assert_int_equal(store_object_get(f->store, "raw", "a", 1, STORE_VERSION_LATEST, &source),
			 0);
	assert_string_equal(info.etag, source.etag);
	assert_int_equal(stats_of(f->store).segment_bytes, written);
	content_fill(1, 0, expected, LARGE);
	expect_bytes(f->store, "copy", expected, LARGE);

	/* Bytes, a range, an inline object, bytes. */
	assert_int_equal(store_upload_begin(f->store, "raw", "mix", 3, NULL, &upload), 0);
	assert_int_equal(store_upload_write(upload, "head", 4, 0), 0);
	append(f->store, upload, "a", 100, LARGE - 200);
	append(f->store, upload, "small", 0, 1000);
	assert_int_equal(store_upload_write(upload, "tail", 4, store_upload_size(upload)), 0);
	assert_int_equal(store_upload_commit(upload, NULL, &info), 0);
	assert_int_equal(info.size, 4 + LARGE - 200 + 1000 + 4);
	memcpy(expected, "head", 4);
	content_fill(1, 100, expected + 4, LARGE - 200);
	content_fill(2, 0, expected + 4 + LARGE - 200, 1000);
	memcpy(expected + 4 + LARGE - 200 + 1000, "tail", 4);
	expect_bytes(f->store, "mix", expected, info.size);
	/* Only the ends were copied. */
	assert_true(stats_of(f->store).segment_bytes < written + 800000);

	/* The source may go, also while the upload is not committed. */
	assert_int_equal(store_upload_begin(f->store, "raw", "late", 4, NULL, &upload), 0);
	append(f->store, upload, "mix", 0, info.size);
	assert_int_equal(store_object_delete(f->store, "raw", "mix", 3, NULL, NULL), 0);
	assert_int_equal(store_object_delete(f->store, "raw", "a", 1, NULL, NULL), 0);
	assert_int_equal(store_object_delete(f->store, "raw", "copy", 4, NULL, NULL), 0);
	store_reclaim(f->store);
	/* Written to behind the reference, then anywhere: the referred bytes are copied to a file.
	 */
	assert_int_equal(store_upload_write(upload, "HEAD", 4, 0), 0);
	assert_int_equal(store_upload_commit(upload, NULL, &info), 0);
	memcpy(expected, "HEAD", 4);
	expect_bytes(f->store, "late", expected, info.size);
	free(expected);
}

/* More chunks than one transaction takes: the manifest is written ahead. */
static void test_large_upload(void **state)
{
	struct fixture *f = *state;
	struct store_upload *upload, *aborted;
	size_t piece_len = 1u << 20, pieces = 90;
	char *piece = malloc(piece_len), *got = malloc(piece_len);
	assert_true(piece != NULL && got != NULL);
	assert_int_equal(store_upload_begin(f->store, "raw", "big", 3, NULL, &upload), 0);
	assert_int_equal(store_upload_begin(f->store, "raw", "not", 3, NULL, &aborted), 0);
	struct crypto_hash *md5;
	assert_int_equal(crypto_hash_new(CRYPTO_MD5, &md5), 0);
	for (size_t i = 0; i < pieces; i++) {
		content_fill(7, i * piece_len, piece, piece_len);
		assert_int_equal(crypto_hash_update(md5, piece, piece_len), 0);
		assert_int_equal(store_upload_write(upload, piece, piece_len, i * piece_len), 0);
		assert_int_equal(store_upload_write(aborted, piece, piece_len, i * piece_len), 0);
	}
	struct local_committer *committer = &local_of(f->store)->committer;
	assert_true(committer->state.manifest_next > 2); /* both wrote ahead */
	struct store_object_info info;
	uint8_t digest[16];
	char hex[33];
	store_upload_abort(aborted);
	assert_int_equal(store_upload_commit(upload, NULL, &info), 0);
	assert_int_equal(crypto_hash_final(md5, digest), 0);
	crypto_hash_free(md5);
	eos_hex_encode(digest, sizeof(digest), hex);
	assert_string_equal(info.etag, hex);
	fixture_reopen(f); /* audits */
	struct store_reader *reader;
	assert_int_equal(
		store_reader_open(f->store, "raw", "big", 3, STORE_VERSION_LATEST, &reader), 0);
	for (size_t i = 0; i < pieces; i++) {
		content_fill(7, i * piece_len, piece, piece_len);
		assert_int_equal(fixture_read(reader, got, piece_len, i * piece_len), piece_len);
		assert_memory_equal(got, piece, piece_len);
	}
	store_reader_close(reader);
	assert_int_equal(store_object_delete(f->store, "raw", "big", 3, NULL, NULL), 0);
	assert_int_equal(stats_of(f->store).chunks, 0);
	free(piece);
	free(got);
}

static void test_compression(void **state)
{
	struct fixture *f = *state;
	struct store_bucket_settings settings;
	char *text = malloc(LARGE + 100);
	assert_non_null(text);
	size_t len = 0;
	for (unsigned i = 0; len < LARGE; i++)
		len += (size_t)sprintf(text + len, "%u,station-%u,%u.%u\n", i, i % 17, i % 40,
				       i % 7);
	assert_int_equal(store_bucket_settings_get(f->store, "raw", &settings), 0);
	settings.is_compressed = true;
	assert_int_equal(store_bucket_settings_set(f->store, "raw", &settings), 0);
	assert_int_equal(put_bytes(f->store, "text", text, len), 0);
	assert_true(stats_of(f->store).chunk_bytes < len / 2);
	/* What does not shrink is stored as it is. */
	assert_int_equal(object_put(f->store, "raw", "random", 3, LARGE), 0);
	fixture_reopen(f);
	expect_bytes(f->store, "text", text, len);
	assert_int_equal(object_check(f->store, "raw", "random", 3, LARGE), 0);
	char got[5000];
	struct store_reader *reader;
	assert_int_equal(
		store_reader_open(f->store, "raw", "text", 4, STORE_VERSION_LATEST, &reader), 0);
	for (uint64_t at = 0; at + sizeof(got) < len; at += 77777) {
		assert_int_equal(fixture_read(reader, got, sizeof(got), at), sizeof(got));
		assert_memory_equal(got, text + at, sizeof(got));
	}
	store_reader_close(reader);
	free(text);
}

static void test_compaction(void **state)
{
	struct fixture *f = *state;
	char key[16];
	uint64_t freed;
	struct store_reader *reader;
	for (uint64_t i = 1; i <= 40; i++) {
		snprintf(key, sizeof(key), "k%llu", (unsigned long long)i);
		assert_int_equal(object_put(f->store, "raw", key, i, 500000), 0);
	}
	assert_int_equal(store_reader_open(f->store, "raw", "k2", 2, STORE_VERSION_LATEST, &reader),
			 0);
	for (uint64_t i = 1; i <= 40; i++) {
		snprintf(key, sizeof(key), "k%llu", (unsigned long long)i);
		if (i % 4 != 0)
			assert_int_equal(
				store_object_delete(f->store, "raw", key, strlen(key), NULL, NULL),
				0);
	}
	assert_int_equal(store_compact(f->store, NULL, NULL, &freed), 0);
	assert_in_range(freed, 14 * 1000 * 1000, 15 * 1000 * 1000);
	/* What is left is what is needed, and one that is read. */
	struct store_stats stats = stats_of(f->store);
	assert_in_range(stats.segment_bytes, 11 * 500000, 12 * 500000);
	static char got[500000], expected[500000];
	content_fill(2, 0, expected, sizeof(expected));
	assert_int_equal(fixture_read(reader, got, sizeof(got), 0), sizeof(got));
	assert_memory_equal(got, expected, sizeof(got));
	store_reader_close(reader);
	for (unsigned round = 0; round < 2; round++) {
		for (uint64_t i = 4; i <= 40; i += 4) {
			snprintf(key, sizeof(key), "k%llu", (unsigned long long)i);
			assert_int_equal(object_check(f->store, "raw", key, i, 500000), 0);
		}
		fixture_reopen(f);
	}
	for (uint64_t i = 4; i <= 40; i += 4) {
		snprintf(key, sizeof(key), "k%llu", (unsigned long long)i);
		assert_int_equal(store_object_delete(f->store, "raw", key, strlen(key), NULL, NULL),
				 0);
	}
	assert_int_equal(store_compact(f->store, NULL, NULL, &freed), 0);
	assert_int_equal(stats_of(f->store).segment_bytes, 0);
	assert_int_equal(segment_files_count(f->dir), 0);
}

static struct store *shared;
static _Atomic bool is_over;
static _Atomic int failures;

static void *compact_main(void *arg)
{
	uint64_t freed;
	while (!atomic_load(&is_over))
		if (store_compact(shared, NULL, NULL, &freed) < 0)
			atomic_fetch_add(&failures, 1);
	return NULL;
}

/* Each writer's objects share chunks with the others', and come and go. */
static void *write_main(void *arg)
{
	uint64_t number = (uintptr_t)arg;
	char key[32];
	for (uint64_t i = 0; i < 120; i++) {
		uint64_t seed = 1 + (number + i) % 5;
		snprintf(key, sizeof(key), "w%llu/%llu", (unsigned long long)number,
			 (unsigned long long)(i % 3));
		if (object_put(shared, "raw", key, seed, 200000) < 0 ||
		    object_check(shared, "raw", key, seed, 200000) < 0)
			atomic_fetch_add(&failures, 1);
		if (i % 2 == 0 &&
		    store_object_delete(shared, "raw", key, strlen(key), NULL, NULL) < 0)
			atomic_fetch_add(&failures, 1);
	}
	return NULL;
}

/* Compaction, the reclaimer and duplicates that come back in the same moment. */
static void test_compaction_under_load(void **state)
{
	struct fixture *f = *state;
	pthread_t compactor, writers[4];
	shared = f->store;
	atomic_store(&is_over, false);
	assert_int_equal(pthread_create(&compactor, NULL, compact_main, NULL), 0);
	for (uintptr_t i = 0; i < EOS_ARRAY_SIZE(writers); i++)
		assert_int_equal(pthread_create(&writers[i], NULL, write_main, (void *)i), 0);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(writers); i++)
		pthread_join(writers[i], NULL);
	atomic_store(&is_over, true);
	pthread_join(compactor, NULL);
	assert_int_equal(atomic_load(&failures), 0);
	store_audit(f->store);
}

/* The background does it by itself. */
static void test_background(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(object_put(f->store, "raw", "a", 1, LARGE), 0);
	fixture_reopen(f);
	assert_int_equal(store_object_delete(f->store, "raw", "a", 1, NULL, NULL), 0);
	for (unsigned i = 0; i < 200 && segment_files_count(f->dir) > 0; i++)
		usleep(50000);
	assert_int_equal(segment_files_count(f->dir), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_equal_contents_are_stored_once),
		TEST(test_repetition_within_an_object),
		TEST(test_shifted_content_is_shared),
		TEST(test_append_by_reference),
		TEST(test_large_upload),
		TEST(test_compression),
		TEST(test_compaction),
		TEST(test_compaction_under_load),
		TEST(test_background),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
