/* Writers and readers at once: a reader sees one version of an object, whole, or none. */
#include "store/store_fixture_priv.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEYS	       4
#define WRITERS	       4
#define READERS	       3
#define WRITES	       120
#define UPLOAD_THREADS 16

static struct store *store;
static _Atomic int writers_left;
/* cmocka's assertions are for the main thread. */
static _Atomic int failures;

#define CHECK(claim)                                                                               \
	do {                                                                                       \
		if (!(claim) && atomic_fetch_add(&failures, 1) == 0)                               \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #claim);                \
	} while (0)

/* The size tells the content: WRITES * WRITERS different ones, some inline, some in files. */
static size_t size_of(uint64_t seed)
{
	return 1 + seed * 233;
}

static void *writer_main(void *arg)
{
	uint64_t base = (uint64_t)(uintptr_t)arg * WRITES;
	char key[8], new_key[8];
	for (uint64_t i = 0; i < WRITES; i++) {
		snprintf(key, sizeof(key), "k%d", (int)(i * 7 % KEYS));
		snprintf(new_key, sizeof(new_key), "k%d", (int)(i * 5 % KEYS));
		if (i % 10 == 9) {
			int err = store_object_delete(store, "raw", key, 2, NULL, NULL);
			CHECK(err == 0 || err == -ENOENT);
		} else if (i % 10 == 4) {
			int err = store_object_rename(store, "raw", key, 2, new_key, 2);
			CHECK(err == 0 || err == -ENOENT);
		} else {
			CHECK(object_put(store, "raw", key, base + i, size_of(base + i)) == 0);
		}
	}
	atomic_fetch_sub(&writers_left, 1);
	return NULL;
}

static void read_one(const char *key)
{
	struct store_reader *reader;
	char got[5000], expected[5000];
	int err = store_reader_open(store, "raw", key, 2, STORE_VERSION_LATEST, &reader);
	if (err < 0) {
		CHECK(err == -ENOENT);
		return;
	}
	uint64_t size = store_reader_info(reader)->size, offset = 0;
	uint64_t seed = (size - 1) / 233;
	CHECK(size_of(seed) == size);
	for (;;) {
		int64_t n = store_reader_read(reader, got, sizeof(got), offset);
		CHECK(n >= 0);
		if (n <= 0)
			break;
		content_fill(seed, offset, expected, (size_t)n);
		CHECK(memcmp(got, expected, (size_t)n) == 0);
		offset += (uint64_t)n;
	}
	CHECK(offset == size);
	store_reader_close(reader);
}

static int check_entry(void *ctx, const struct store_list_entry *entry)
{
	CHECK(size_of((entry->info->size - 1) / 233) == entry->info->size);
	return 0;
}

static void *reader_main(void *arg)
{
	struct store_list_query query = {.limit = 100};
	char key[8];
	bool more;
	for (int i = 0; atomic_load(&writers_left) > 0; i++) {
		snprintf(key, sizeof(key), "k%d", i % KEYS);
		read_one(key);
		if (i % 16 == 0)
			CHECK(store_object_list(store, "raw", &query, check_entry, NULL, &more) ==
			      0);
	}
	return NULL;
}

static void test_old_or_new(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[WRITERS + READERS];
	struct store_stats stats;
	store = f->store;
	assert_int_equal(store_bucket_create(store, "raw"), 0);
	atomic_store(&writers_left, WRITERS);
	for (uintptr_t i = 0; i < WRITERS + READERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL,
						i < WRITERS ? writer_main : reader_main, (void *)i),
				 0);
	for (int i = 0; i < WRITERS + READERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&failures), 0);

	uint64_t objects = 0, bytes = 0;
	fixture_reopen(f);
	for (int i = 0; i < KEYS; i++) {
		struct store_object_info info;
		char key[8];
		snprintf(key, sizeof(key), "k%d", i);
		if (store_object_get(f->store, "raw", key, 2, STORE_VERSION_LATEST, &info) == 0) {
			objects++;
			bytes += info.size;
		}
	}
	assert_int_equal(store_stats(f->store, &stats), 0);
	assert_int_equal(stats.objects, objects);
	assert_int_equal(stats.bytes, bytes);
}

static _Atomic int winners;

static void *absent_main(void *arg)
{
	struct store_upload *upload;
	char key[8];
	for (int i = 0; i < 20; i++) {
		snprintf(key, sizeof(key), "a%02d", i);
		CHECK(store_upload_begin(store, "raw", key, 3, NULL, &upload) == 0);
		CHECK(store_upload_write(upload, "x", 1, i % 2 == 0 ? 0 : 20000) == 0);
		int err = store_upload_commit(
			upload, &(struct store_put_options){.condition = STORE_IF_ABSENT}, NULL);
		CHECK(err == 0 || err == -EEXIST);
		if (err == 0)
			atomic_fetch_add(&winners, 1);
	}
	return NULL;
}

/* Of many that commit one key if it is absent, one wins; the others leave nothing. */
static void test_if_absent(void **state)
{
	struct fixture *f = *state;
	pthread_t threads[UPLOAD_THREADS];
	store = f->store;
	assert_int_equal(store_bucket_create(store, "raw"), 0);
	for (int i = 0; i < UPLOAD_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, absent_main, NULL), 0);
	for (int i = 0; i < UPLOAD_THREADS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(atomic_load(&failures), 0);
	assert_int_equal(atomic_load(&winners), 20);
	fixture_reopen(f);
	/* All have the same content. */
	assert_int_equal(store_chunks_count(f->store), 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_old_or_new),
		TEST(test_if_absent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
