/* What is kept from one read to the next: what a thread remembers of a bucket is never older than
 * what was acknowledged, and of readers and transactions nothing shows that they were used before.
 */
#include "store/store_fixture_priv.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "base/buf.h"
#include "store/local_memo_priv.h"

static const char *const names[] = {"policy", "lifecycle"};

/* Looks as a request does. TEXT: what the document "policy" must be, "" if there is none. */
static void expect_look(struct store *store, const char *bucket, const char *tenant,
			const char *text)
{
	struct store_bucket_settings settings;
	struct eos_buf texts[2] = {0};
	/* Twice: what the first kept, the second may use. */
	for (int i = 0; i < 2; i++) {
		assert_int_equal(store_bucket_look(store, bucket, &settings, names, texts, 2), 0);
		assert_string_equal(settings.tenant, tenant);
		assert_int_equal(texts[0].len, strlen(text));
		assert_int_equal(texts[1].len, 0);
		if (text[0] != '\0')
			assert_string_equal(texts[0].data, text);
		eos_buf_fini(&texts[0]);
	}
}

static bool is_known(struct store *store, const char *bucket, size_t count)
{
	struct local_bucket found;
	return local_memo_find(local_of(store), bucket, names, count, &found);
}

static void is_used(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	assert_int_equal(store_bucket_create(f->store, "other"), 0);
	assert_false(is_known(f->store, "raw", 0));
	expect_look(f->store, "raw", "", "");
	assert_true(is_known(f->store, "raw", 2));
	assert_false(is_known(f->store, "rax", 0));
	static const char *const cors[] = {"cors"};
	struct local_bucket found;
	assert_false(local_memo_find(local_of(f->store), "raw", cors, 1, &found));
	/* The last one alone. */
	expect_look(f->store, "other", "", "");
	assert_false(is_known(f->store, "raw", 0));
	expect_look(f->store, "raw", "", "");
	/* Objects do not matter to it, nor do their counts. */
	assert_int_equal(object_put(f->store, "raw", "key", 1, 4096), 0);
	assert_true(is_known(f->store, "raw", 2));
	assert_int_equal(object_check(f->store, "raw", "key", 1, 4096), 0);
	struct store_bucket_info info;
	assert_int_equal(store_bucket_get(f->store, "raw", &info), 0);
	/* Nor is it another store's, be it the same one opened again. */
	fixture_reopen(f);
	assert_false(is_known(f->store, "raw", 0));
}

static void each_change_is_seen(void **state)
{
	struct fixture *f = *state;
	struct store_bucket_settings settings = {.tenant = "alice"};
	struct eos_buf texts[2] = {0};
	struct store_reader *reader;
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	expect_look(f->store, "raw", "", "");
	assert_int_equal(store_bucket_settings_set(f->store, "raw", &settings), 0);
	expect_look(f->store, "raw", "alice", "");
	assert_int_equal(store_bucket_document_set(f->store, "raw", "policy", "{}", 2), 0);
	expect_look(f->store, "raw", "alice", "{}");
	assert_int_equal(store_bucket_document_set(f->store, "raw", "policy", "[1]", 3), 0);
	expect_look(f->store, "raw", "alice", "[1]");
	assert_int_equal(store_bucket_document_delete(f->store, "raw", "policy"), 0);
	expect_look(f->store, "raw", "alice", "");
	/* Gone, and made again: the objects of the old one are not in the new one. */
	assert_int_equal(object_put(f->store, "raw", "key", 1, 100), 0);
	assert_int_equal(store_object_delete(f->store, "raw", "key", 3, NULL, NULL), 0);
	assert_int_equal(store_bucket_delete(f->store, "raw"), 0);
	assert_int_equal(store_bucket_look(f->store, "raw", &settings, names, texts, 2), -ENOENT);
	assert_int_equal(
		store_reader_open(f->store, "raw", "key", 3, STORE_VERSION_LATEST, &reader),
		-ENOENT);
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	expect_look(f->store, "raw", "", "");
	assert_int_equal(object_put(f->store, "raw", "key", 2, 5000), 0);
	assert_int_equal(object_check(f->store, "raw", "key", 2, 5000), 0);
}

#define CHANGES 300u
#define LOOKS	100u
#define READERS 3

struct race {
	struct store *store;
	_Atomic uint64_t acknowledged; /* the quota that was set last */
	_Atomic bool is_over;
	_Atomic unsigned looks, failures;
};

/* What was acknowledged before the look is the least that it may see. */
static void *look_again_and_again(void *ctx)
{
	struct race *race = ctx;
	while (!atomic_load(&race->is_over)) {
		struct store_bucket_settings settings;
		struct eos_buf texts[2] = {0};
		uint64_t least = atomic_load(&race->acknowledged);
		int err = store_bucket_look(race->store, "raw", &settings, names, texts, 2);
		if (err != 0 || settings.quota_bytes < least)
			atomic_fetch_add(&race->failures, 1);
		eos_buf_fini(&texts[0]);
		eos_buf_fini(&texts[1]);
		atomic_fetch_add(&race->looks, 1);
	}
	return NULL;
}

static void never_older_than_acknowledged(void **state)
{
	struct fixture *f = *state;
	struct race race = {.store = f->store};
	pthread_t readers[READERS];
	struct store_bucket_settings settings = {.tenant = "alice"};
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	for (int i = 0; i < READERS; i++)
		assert_int_equal(pthread_create(&readers[i], NULL, look_again_and_again, &race), 0);
	/* On a busy machine readers begin late. */
	for (uint64_t i = 1; i <= CHANGES || atomic_load(&race.looks) < LOOKS; i++) {
		settings.quota_bytes = i << 20;
		int err = store_bucket_settings_set(f->store, "raw", &settings);
		atomic_store(&race.acknowledged, settings.quota_bytes);
		assert_int_equal(err, 0);
	}
	atomic_store(&race.is_over, true);
	for (int i = 0; i < READERS; i++)
		pthread_join(readers[i], NULL);
	assert_int_equal(race.failures, 0);
}

static void expect_whole(struct store *store, const char *key, uint64_t seed, size_t size)
{
	struct store_reader *reader;
	char expected[5000];
	assert_int_equal(
		store_reader_open(store, "raw", key, strlen(key), STORE_VERSION_LATEST, &reader),
		0);
	content_fill(seed, 0, expected, size);
	assert_non_null(store_reader_whole(reader));
	assert_memory_equal(store_reader_whole(reader), expected, size);
	store_reader_close(reader);
}

/* Each open is with the reader of the last. */
static void readers_are_as_new(void **state)
{
	struct fixture *f = *state;
	struct store_reader *reader;
	const size_t large = 3u << 20;
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	assert_int_equal(object_put(f->store, "raw", "small", 1, 5000), 0);
	assert_int_equal(object_put(f->store, "raw", "tiny", 2, 7), 0);
	assert_int_equal(object_put(f->store, "raw", "large", 3, large), 0);
	assert_int_equal(object_put(f->store, "raw", "empty", 4, 0), 0);
	for (int i = 0; i < 3; i++) {
		expect_whole(f->store, "small", 1, 5000);
		expect_whole(f->store, "tiny", 2, 7);
		assert_int_equal(store_reader_open(f->store, "raw", "large", 5,
						   STORE_VERSION_LATEST, &reader),
				 0);
		assert_null(store_reader_whole(reader));
		store_reader_close(reader);
		assert_int_equal(object_check(f->store, "raw", "large", 3, large), 0);
		assert_int_equal(store_reader_open(f->store, "raw", "none", 4, STORE_VERSION_LATEST,
						   &reader),
				 -ENOENT);
		assert_int_equal(object_check(f->store, "raw", "empty", 4, 0), 0);
		expect_whole(f->store, "small", 1, 5000);
	}
	/* More at once than are kept. */
	struct store_reader *readers[2 * EOS_SPARES_MAX];
	for (size_t i = 0; i < EOS_ARRAY_SIZE(readers); i++)
		assert_int_equal(store_reader_open(f->store, "raw", "tiny", 4, STORE_VERSION_LATEST,
						   &readers[i]),
				 0);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(readers); i++)
		store_reader_close(readers[i]);
	expect_whole(f->store, "tiny", 2, 7);
}

/* A transaction that is kept holds no page back: the file does not grow with each change. */
static void kept_reads_hold_nothing(void **state)
{
	struct fixture *f = *state;
	struct local *local = local_of(f->store);
	struct store_stats before, after;
	MDB_txn *txns[EOS_SPARES_MAX];
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	/* As many as are kept; most of them are not used again here. */
	for (size_t i = 0; i < EOS_ARRAY_SIZE(txns); i++)
		assert_int_equal(local_read_begin(local, &txns[i]), 0);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(txns); i++)
		local_read_end(local, txns[i]);
	for (uint64_t i = 0; i < 300; i++) {
		assert_int_equal(object_put(f->store, "raw", "key", i, 10000), 0);
		assert_int_equal(object_check(f->store, "raw", "key", i, 10000), 0);
		if (i == 50)
			assert_int_equal(store_stats(f->store, &before), 0);
	}
	assert_int_equal(store_stats(f->store, &after), 0);
	assert_in_range(after.metadata_bytes, 0, before.metadata_bytes + (256u << 10));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(is_used, fixture_setup, fixture_teardown),
		cmocka_unit_test_setup_teardown(each_change_is_seen, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(never_older_than_acknowledged, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(readers_are_as_new, fixture_setup,
						fixture_teardown),
		cmocka_unit_test_setup_teardown(kept_reads_hold_nothing, fixture_setup,
						fixture_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
