/*
 * Every byte of a value in the tables of versions, documents, tenants and the index, flipped one
 * after another: damage is told, never returned, and everything else goes on.
 */
#include "store/store_fixture_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "store/local_changes_priv.h"

#define VALUE_MAX 4096u

static uint64_t first_version;

/* Calls CHANGE with the first entry of TABLE, in a transaction. The store is closed. */
static void with_first(struct fixture *f, const char *table,
		       void (*change)(MDB_cursor *cursor, MDB_val *key, MDB_val *value, void *ctx),
		       void *ctx)
{
	char path[128];
	MDB_env *env;
	MDB_txn *txn;
	MDB_dbi dbi;
	MDB_cursor *cursor;
	MDB_val key, value;
	snprintf(path, sizeof(path), "%s/metadata.mdb", f->dir);
	assert_int_equal(mdb_env_create(&env), 0);
	assert_int_equal(mdb_env_set_maxdbs(env, 32), 0);
	assert_int_equal(mdb_env_set_mapsize(env, 64 << 20), 0);
	assert_int_equal(mdb_env_open(env, path, MDB_NOSUBDIR, 0600), 0);
	assert_int_equal(mdb_txn_begin(env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_dbi_open(txn, table, 0, &dbi), 0);
	assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
	assert_int_equal(mdb_cursor_get(cursor, &key, &value, MDB_FIRST), 0);
	change(cursor, &key, &value, ctx);
	mdb_cursor_close(cursor);
	assert_int_equal(mdb_txn_commit(txn), 0);
	mdb_env_close(env);
}

static void flip_byte(MDB_cursor *cursor, MDB_val *key, MDB_val *value, void *ctx)
{
	static uint8_t copy[VALUE_MAX];
	size_t *at = ctx;
	assert_true(value->mv_size <= sizeof(copy));
	if (*at < value->mv_size) {
		memcpy(copy, value->mv_data, value->mv_size);
		copy[*at] ^= 0x10;
		value->mv_data = copy;
		assert_int_equal(mdb_cursor_put(cursor, key, value, MDB_CURRENT), 0);
	}
	*at = value->mv_size;
}

/* Flips byte AT of the first value of TABLE. Returns the value's length. */
static size_t flip(struct fixture *f, const char *table, size_t at)
{
	with_first(f, table, flip_byte, &at);
	return at;
}

static void replace(MDB_cursor *cursor, MDB_val *key, MDB_val *value, void *ctx)
{
	assert_int_equal(mdb_cursor_put(cursor, key, ctx, 0), 0);
}

/* The first value of TABLE becomes DATA. */
static void put_value(struct fixture *f, const char *table, void *data, size_t len)
{
	MDB_val value = {.mv_size = len, .mv_data = data};
	with_first(f, table, replace, &value);
}

/* Calls TRY with each of the first BYTES bytes of TABLE's first value flipped (0: all). */
static void flip_each(struct fixture *f, const char *table, size_t bytes,
		      void (*try)(struct fixture *f))
{
	int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
	dup2(null, STDERR_FILENO);
	fixture_close(f);
	size_t size = flip(f, table, SIZE_MAX);
	assert_true(size > 0);
	for (size_t at = 0; at < (bytes == 0 ? size : bytes); at++) {
		(void)flip(f, table, at);
		fixture_open(f);
		try(f);
		fixture_close(f);
		(void)flip(f, table, at);
	}
	fixture_open(f);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(null);
}

static int setup(void **state)
{
	struct store_bucket_settings settings = {.tenant = "plant",
						 .versioning = STORE_VERSIONING_ENABLED};
	static struct store_object_info info;
	struct store_upload *upload;
	assert_int_equal(fixture_setup(state), 0);
	struct fixture *f = *state;
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	assert_int_equal(store_bucket_settings_set(f->store, "raw", &settings), 0);
	assert_int_equal(store_bucket_document_set(f->store, "raw", "policy", "text of it", 10), 0);
	assert_int_equal(object_put(f->store, "raw", "k", 1, 300), 0);
	assert_int_equal(store_object_get(f->store, "raw", "k", 1, STORE_VERSION_LATEST, &info), 0);
	first_version = info.version;
	assert_int_equal(store_metadata_add(&info, STORE_META_TAG "t", "1"), 0);
	assert_int_equal(store_upload_begin(f->store, "raw", "k", 1, &info, &upload), 0);
	assert_int_equal(store_upload_commit(upload, NULL, NULL), 0);
	return 0;
}

static int ignore(void *ctx, const struct store_list_entry *entry)
{
	return 0;
}

static void try_version(struct fixture *f)
{
	static struct store_object_info info;
	struct store_list_query query = {.limit = 10};
	struct store_removal removal = {.version = first_version};
	struct store_removed removed;
	bool more;
	assert_int_equal(store_object_get(f->store, "raw", "k", 1, first_version, &info), -EBADMSG);
	assert_int_equal(store_version_list(f->store, "raw", &query, STORE_VERSION_LATEST, ignore,
					    NULL, &more),
			 -EBADMSG);
	assert_int_equal(store_object_delete(f->store, "raw", "k", 1, &removal, &removed),
			 -EBADMSG);
	/* What would follow the latest cannot be told. */
	assert_int_equal(store_object_get(f->store, "raw", "k", 1, STORE_VERSION_LATEST, &info), 0);
	removal.version = info.version;
	assert_int_equal(store_object_delete(f->store, "raw", "k", 1, &removal, &removed),
			 -EBADMSG);
	assert_int_equal(object_put(f->store, "raw", "other", 1, 10), 0);
	assert_int_equal(store_object_list(f->store, "raw", &query, ignore, NULL, &more), 0);
}

static void test_version(void **state)
{
	struct fixture *f = *state;
	/* The head; the data behind it is the reader's to check. */
	flip_each(f, "versions", sizeof(struct local_record), try_version);
	static struct store_object_info info;
	assert_int_equal(store_object_get(f->store, "raw", "k", 1, first_version, &info), 0);
}

static void try_document(struct fixture *f)
{
	struct eos_buf out;
	eos_buf_init(&out);
	assert_int_equal(store_bucket_document_get(f->store, "raw", "policy", &out), -EBADMSG);
	assert_int_equal(out.len, 0);
	eos_buf_fini(&out);
}

static void test_document(void **state)
{
	struct fixture *f = *state;
	flip_each(f, "documents", 0, try_document);
	/* A damaged one can be replaced. */
	fixture_close(f);
	(void)flip(f, "documents", 9);
	fixture_open(f);
	assert_int_equal(store_bucket_document_set(f->store, "raw", "policy", "new", 3), 0);
	struct eos_buf out;
	eos_buf_init(&out);
	assert_int_equal(store_bucket_document_get(f->store, "raw", "policy", &out), 0);
	assert_string_equal(out.data, "new");
	eos_buf_fini(&out);
}

static void try_tenant(struct fixture *f)
{
	struct store_usage usage;
	assert_int_equal(store_tenant_usage(f->store, "plant", &usage), -EBADMSG);
	assert_int_equal(object_put(f->store, "raw", "new", 1, 10), -EBADMSG);
	assert_int_equal(object_check(f->store, "raw", "k", 1, 300), -EILSEQ); /* the newer one */
}

static uint64_t wrong_tenants(struct fixture *f)
{
	struct local *local = local_of(f->store);
	uint64_t wrong = 0;
	MDB_txn *txn;
	assert_int_equal(local_read_begin(local, &txn), 0);
	assert_int_equal(local_tenants_check(local, txn, &wrong), 0);
	mdb_txn_abort(txn);
	return wrong;
}

static void test_tenant(void **state)
{
	struct fixture *f = *state;
	flip_each(f, "tenants", 0, try_tenant);
	assert_int_equal(wrong_tenants(f), 0);
	fixture_close(f);
	(void)flip(f, "tenants", 30);
	fixture_open(f);
	assert_int_equal(wrong_tenants(f), 1);
	/* Counted anew in a transaction of its own, as repair does. */
	struct local *local = local_of(f->store);
	struct local_txn *t = calloc(1, sizeof(*t));
	assert_non_null(t);
	t->local = local;
	t->state = local->committer.state;
	assert_int_equal(mdb_txn_begin(local->env, NULL, 0, &t->txn), 0);
	assert_int_equal(local_tenants_recount(t), 0);
	assert_int_equal(mdb_txn_commit(t->txn), 0);
	free(t);
	assert_int_equal(wrong_tenants(f), 0);
	struct store_usage usage;
	assert_int_equal(store_tenant_usage(f->store, "plant", &usage), 0);
	assert_int_equal(usage.objects, 2);
	assert_int_equal(usage.bytes, 300);
}

static int ignore_found(void *ctx, const char *bucket, const struct store_list_entry *entry)
{
	return 0;
}

static void try_index(struct fixture *f)
{
	struct store_find_term term = {STORE_META_TAG "t", "1", STORE_FIND_EQ};
	struct store_find_query query = {
		.terms = &term, .terms_count = 1, .until_ns = UINT64_MAX, .limit = 10};
	bool more;
	assert_int_equal(store_find(f->store, &query, ignore_found, NULL, &more), -EBADMSG);
}

static unsigned found_count;

static int count_found(void *ctx, const char *bucket, const struct store_list_entry *entry)
{
	found_count++;
	return 0;
}

static void expect_found(struct fixture *f, unsigned count)
{
	struct store_find_term term = {STORE_META_TAG "t", "1", STORE_FIND_EQ};
	struct store_find_query query = {
		.terms = &term, .terms_count = 1, .until_ns = UINT64_MAX, .limit = 10000};
	bool more;
	found_count = 0;
	assert_int_equal(store_find(f->store, &query, count_found, NULL, &more), 0);
	assert_int_equal(found_count, count);
}

static void test_index(void **state)
{
	struct fixture *f = *state;
	static struct store_object_info info;
	struct store_upload *upload;
	char key[16];
	flip_each(f, "index", 0, try_index);
	/* The index is made anew, several transactions long. */
	assert_int_equal(store_metadata_add(&info, STORE_META_TAG "t", "1"), 0);
	for (int i = 0; i < 500; i++) {
		snprintf(key, sizeof(key), "n%d", i);
		assert_int_equal(
			store_upload_begin(f->store, "raw", key, strlen(key), &info, &upload), 0);
		assert_int_equal(store_upload_commit(upload, NULL, NULL), 0);
	}
	assert_int_equal(store_object_delete(f->store, "raw", "n7", 2, NULL, NULL), 0);
	expect_found(f, 500);
	fixture_close(f);
	(void)flip(f, "index", 3);
	fixture_open(f);
	try_index(f);
	assert_int_equal(local_index_rebuild(local_of(f->store), "raw"), 0);
	expect_found(f, 500);
	assert_int_equal(local_index_rebuild(local_of(f->store), "none"), -ENOENT);
}

/* A store of another version is refused by name, whatever tables and lengths it has. */
static void test_other_format(void **state)
{
	struct fixture *f = *state;
	struct eos_why why = {""};
	uint8_t other[40];
	uint32_t version = 1;
	fixture_close(f);
	memset(other, 7, sizeof(other));
	memcpy(other + 8, &version, sizeof(version));
	uint64_t sum = local_sum(other + 8, sizeof(other) - 8, 0);
	memcpy(other, &sum, sizeof(sum));
	put_value(f, "meta", other, sizeof(other));
	assert_int_equal(store_open(f->dir, &f->store, &why), -EBADMSG);
	assert_non_null(strstr(why.text, "of format version 1, this program's is 3"));
	other[20] ^= 1;
	put_value(f, "meta", other, sizeof(other));
	assert_int_equal(store_open(f->dir, &f->store, &why), -EBADMSG);
	assert_non_null(strstr(why.text, "damaged"));
	f->store = NULL;
}

/* The first key of a table gets another bit; AT counts from its end. */
static void flip_key(MDB_cursor *cursor, MDB_val *key, MDB_val *value, void *ctx)
{
	static uint8_t name[512], copy[VALUE_MAX];
	size_t *at = ctx;
	assert_true(*at < key->mv_size && value->mv_size <= sizeof(copy));
	memcpy(name, key->mv_data, key->mv_size);
	memcpy(copy, value->mv_data, value->mv_size);
	MDB_val other = {.mv_size = key->mv_size, .mv_data = name};
	MDB_val moved = {.mv_size = value->mv_size, .mv_data = copy};
	assert_int_equal(mdb_cursor_del(cursor, 0), 0);
	name[key->mv_size - 1 - *at] ^= 0x10;
	assert_int_equal(mdb_cursor_put(cursor, &other, &moved, 0), 0);
}

#define LARGE 200000u

/* What the table of segments says removes files: when it is damaged, no file may go. */
static void test_segments(void **state)
{
	struct fixture *f = *state;
	uint64_t freed;
	size_t at = 0;
	assert_int_equal(object_put(f->store, "raw", "large", 5, LARGE), 0);
	fixture_close(f);
	(void)flip(f, "segments", 9);
	fixture_open(f);
	assert_int_equal(store_compact(f->store, NULL, NULL, &freed), 0);
	assert_int_equal(object_check(f->store, "raw", "large", 5, LARGE), 0);
	store_audit(f->store);
	fixture_close(f);
	with_first(f, "segments", flip_key, &at);
	fixture_open(f);
	assert_int_equal(object_check(f->store, "raw", "large", 5, LARGE), 0);
	assert_int_equal(store_compact(f->store, NULL, NULL, &freed), 0);
	assert_int_equal(object_check(f->store, "raw", "large", 5, LARGE), 0);
	store_audit(f->store);
}

/* The same while the store is open: what is counted further must not begin at nothing. */
static void test_segments_while_open(void **state)
{
	struct fixture *f = *state;
	struct local *local = local_of(f->store);
	uint8_t name[4], zeros[sizeof(struct local_segment_record)] = {0};
	MDB_val key = {.mv_size = 4, .mv_data = name};
	MDB_val value = {.mv_size = sizeof(zeros), .mv_data = zeros};
	MDB_txn *txn;
	uint64_t freed;
	assert_int_equal(object_put(f->store, "raw", "large", 5, LARGE), 0);
	assert_int_equal(object_put(f->store, "raw", "other", 6, LARGE), 0);
	local_segment_key(1, name);
	pthread_mutex_lock(&local->committer.batch_lock);
	assert_int_equal(mdb_txn_begin(local->env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_put(txn, local->segments_dbi, &key, &value, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	pthread_mutex_unlock(&local->committer.batch_lock);
	assert_int_equal(store_object_delete(f->store, "raw", "other", 5,
					     &(struct store_removal){.version = 0}, NULL),
			 -ENOENT);
	assert_int_equal(object_put(f->store, "raw", "third", 7, LARGE), 0);
	fixture_reopen(f);
	assert_int_equal(store_compact(f->store, NULL, NULL, &freed), 0);
	assert_int_equal(object_check(f->store, "raw", "large", 5, LARGE), 0);
	assert_int_equal(object_check(f->store, "raw", "third", 7, LARGE), 0);
	store_audit(f->store);
}

static void put_trash(struct fixture *f, uint64_t id)
{
	struct local *local = local_of(f->store);
	uint8_t name[8];
	MDB_val key = {.mv_size = 8, .mv_data = name}, value = {0};
	MDB_txn *txn;
	local_be64_put(name, id);
	pthread_mutex_lock(&local->committer.batch_lock);
	assert_int_equal(mdb_txn_begin(local->env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_put(txn, local->trash, &key, &value, 0), 0);
	assert_int_equal(mdb_txn_commit(txn), 0);
	pthread_mutex_unlock(&local->committer.batch_lock);
}

/* An entry of the trash that became another one: that manifest has an object. */
static void test_trash(void **state)
{
	struct fixture *f = *state;
	struct store_verdict verdict;
	assert_int_equal(object_put(f->store, "raw", "large", 5, LARGE), 0);
	put_trash(f, 1);
	fixture_close(f);
	fixture_open(f);
	store_reclaim(f->store);
	assert_int_equal(object_check(f->store, "raw", "large", 5, LARGE), 0);
	assert_int_equal(store_verify(f->store, NULL, NULL, NULL, &verdict), 0);
	assert_int_equal(verdict.wrong_counts, 1);
	assert_int_equal(store_repair(f->store, NULL, NULL, NULL, &verdict), 0);
	assert_int_equal(object_check(f->store, "raw", "large", 5, LARGE), 0);
	store_audit(f->store);
}

/* What was read badly once and is well now is no reason to remove anything. */
static void test_repair_after_bad_read(void **state)
{
	struct fixture *f = *state;
	struct local *local = local_of(f->store);
	struct store_verdict verdict;
	MDB_cursor *cursor;
	MDB_val key, value;
	MDB_txn *txn;
	assert_int_equal(object_put(f->store, "raw", "large", 5, LARGE), 0);
	assert_int_equal(local_read_begin(local, &txn), 0);
	assert_int_equal(mdb_cursor_open(txn, local->chunks, &cursor), 0);
	assert_int_equal(mdb_cursor_get(cursor, &key, &value, MDB_FIRST), 0);
	local_pins_set_damaged(&local->chunk_pins, key.mv_data, true);
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	assert_int_equal(store_repair(f->store, NULL, NULL, NULL, &verdict), 0);
	assert_int_equal(verdict.damaged_objects, 0);
	assert_int_equal(object_check(f->store, "raw", "large", 5, LARGE), 0);
}

/* Repair looks at all versions, also behind one whose record is damaged. */
static void test_repair_versions(void **state)
{
	struct fixture *f = *state;
	static struct store_object_info info;
	struct store_verdict verdict;
	uint64_t oldest;
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(object_put(f->store, "raw", "a", 5 + i, LARGE), 0);
	assert_int_equal(store_object_get(f->store, "raw", "a", 1, STORE_VERSION_LATEST, &info), 0);
	oldest = info.version - 2;
	/* The first history is of "k": remove it, so that the table begins with that of "a". */
	struct store_removal removal = {.version = first_version};
	struct store_removed removed;
	assert_int_equal(store_object_delete(f->store, "raw", "k", 1, &removal, &removed), 0);
	fixture_close(f);
	(void)flip(f, "versions", 9);
	fixture_open(f);
	assert_int_equal(store_repair(f->store, NULL, NULL, NULL, &verdict), 0);
	assert_int_equal(verdict.damaged_objects, 1);
	store_reclaim(f->store);
	struct store_reader *reader;
	static char data[LARGE], expected[LARGE];
	assert_int_equal(store_reader_open(f->store, "raw", "a", 1, oldest, &reader), 0);
	assert_int_equal(fixture_read(reader, data, LARGE, 0), LARGE);
	content_fill(5, 0, expected, LARGE);
	assert_memory_equal(data, expected, LARGE);
	reader = store_reader_close(reader);
	f->is_damaged = true;
}

/* A key whose record is damaged can be neither read nor replaced; repair makes it free again. */
static void test_repair_record(void **state)
{
	struct fixture *f = *state;
	struct store_find_term term = {.name = STORE_META_TAG "t", .value = "1"};
	struct store_find_query query = {.terms = &term, .terms_count = 1, .limit = 10};
	struct store_verdict verdict;
	bool more;
	fixture_close(f);
	(void)flip(f, "objects", 9);
	fixture_open(f);
	assert_int_equal(object_put(f->store, "raw", "k", 9, 10), -EBADMSG);
	assert_int_equal(store_repair(f->store, NULL, NULL, NULL, &verdict), 0);
	assert_int_equal(verdict.damaged_objects, 1);
	assert_int_equal(object_check(f->store, "raw", "k", 1, 300), -ENOENT);
	assert_int_equal(store_find(f->store, &query, ignore_found, NULL, &more), 0);
	assert_int_equal(object_put(f->store, "raw", "k", 9, 10), 0);
	store_audit(f->store);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_version),
		TEST(test_document),
		TEST(test_tenant),
		TEST(test_index),
		TEST(test_other_format),
		TEST(test_segments),
		TEST(test_segments_while_open),
		TEST(test_trash),
		TEST(test_repair_after_bad_read),
		TEST(test_repair_versions),
		TEST(test_repair_record),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
