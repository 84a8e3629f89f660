/* The order of values, the bounds of the index, and what finding promises. */
#include "store/store_fixture_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"
#include "base/clock.h"
#include "store/local_index_priv.h"

static void test_compare(void **state)
{
	/* Each is below the next, where equal is 0. */
	static const struct {
		const char *a, *b;
		int order;
	} cases[] = {
		{"1", "2", -1},
		{"9", "10", -1},
		{"10", "9", 1},
		{"-10", "-9", -1},
		{"-1", "0", -1},
		{"-0", "0", 0},
		{"0.0", "-0.00", 0},
		{"007", "7", 0},
		{"1.5", "1.50", 0},
		{"1.05", "1.5", -1},
		{"-1.5", "-1.05", -1},
		{"1.", "1", 1},
		{"a", "b", -1},
		{"10", "9a", -1},
		{"1e3", "2", -1},
		{"", "0", -1},
		{"-", "-1", -1},
		{"0x10", "1", -1},
		{"12.", "12.1", -1},
		{"9007199254740993", "9007199254740992", 1},
		{"100000000000000000000000000000000", "99999999999999999999999999999999", 1},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		int got = local_text_compare(cases[i].a, cases[i].b);
		int back = local_text_compare(cases[i].b, cases[i].a);
		assert_int_equal((got > 0) - (got < 0), cases[i].order);
		assert_int_equal((back > 0) - (back < 0), -cases[i].order);
	}
	assert_true(local_text_is_number("-12.5"));
	static const char *const texts[] = {"", "-", ".5", "5.", "1e5", "inf", "nan", " 1", "1 "};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(texts); i++)
		assert_false(local_text_is_number(texts[i]));
}

static void put(struct store *store, const char *bucket, const char *key, const char *name,
		const char *value)
{
	static struct store_object_info info;
	struct store_upload *upload;
	info.metadata_len = 0;
	assert_int_equal(store_metadata_add(&info, name, value), 0);
	assert_int_equal(store_upload_begin(store, bucket, key, strlen(key), &info, &upload), 0);
	assert_int_equal(store_upload_commit(upload, NULL, NULL), 0);
}

static int append(void *ctx, const char *bucket, const struct store_list_entry *entry)
{
	eos_buf_printf(ctx, "%s/%.*s ", bucket, (int)entry->key_len, entry->key);
	return 0;
}

static void expect(struct store *store, const char *name, enum store_find_op op, const char *value,
		   const char *expected)
{
	struct store_find_term term = {name, value, op};
	struct store_find_query query = {
		.terms = &term,
		.terms_count = 1,
		.until_ns = UINT64_MAX,
		.limit = 10,
	};
	struct eos_buf got;
	bool more;
	eos_buf_init(&got);
	eos_buf_puts(&got, "");
	assert_int_equal(store_find(store, &query, append, &got, &more), 0);
	assert_false(more);
	assert_string_equal(got.data == NULL ? "" : got.data, expected);
	eos_buf_fini(&got);
}

static void test_find(void **state)
{
	struct fixture *f = *state;
	struct store *store = f->store;
	char name_a[300], name_b[300], value[300];
	assert_int_equal(store_bucket_create(store, "raw"), 0);
	assert_int_equal(store_bucket_create(store, "two"), 0);
	assert_int_equal(store_bucket_create(store, ".own"), 0);
	put(store, "raw", "a", STORE_META_TAG "line", "9");
	put(store, "raw", "b", STORE_META_TAG "line", "10");
	put(store, "two", "a", STORE_META_TAG "line", "north");
	put(store, ".own", "a", STORE_META_TAG "line", "9");
	expect(store, STORE_META_TAG "line", STORE_FIND_EQ, "9.0", "raw/a ");
	expect(store, STORE_META_TAG "line", STORE_FIND_GT, "9", "raw/b two/a ");
	expect(store, STORE_META_TAG "line", STORE_FIND_LE, "9", "raw/a ");
	expect(store, STORE_META_TAG "line", STORE_FIND_GE, "n", "two/a ");
	expect(store, STORE_META_TAG "line", STORE_FIND_LT, "n", "raw/a raw/b ");
	expect(store, STORE_META_TAG "lin", STORE_FIND_GE, "", "");
	/* What is not in the index is found all the same. */
	put(store, "raw", "c", "content-type", "text/csv");
	expect(store, "content-type", STORE_FIND_EQ, "text/csv", "raw/c ");

	/* Names and values that are alike as far as the index goes. */
	memset(name_a, 'x', sizeof(name_a));
	memcpy(name_a, STORE_META_USER, strlen(STORE_META_USER));
	name_a[299] = '\0';
	memcpy(name_b, name_a, sizeof(name_b));
	name_b[250] = 'y';
	memset(value, 'v', sizeof(value));
	value[299] = '\0';
	put(store, "raw", "d", name_a, value);
	put(store, "raw", "e", name_b, value);
	expect(store, name_a, STORE_FIND_EQ, value, "raw/d ");
	value[298] = 'w';
	expect(store, name_b, STORE_FIND_EQ, value, "");
	expect(store, name_b, STORE_FIND_LT, value, "raw/e ");
	fixture_reopen(f);
	expect(f->store, name_b, STORE_FIND_LT, value, "raw/e ");
}

/* A name that comes twice: the first counts, and its object is found once. */
static void test_twice(void **state)
{
	struct fixture *f = *state;
	static struct store_object_info info;
	struct store_upload *upload;
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(store_metadata_add(&info, STORE_META_USER "n", "1"), 0);
		assert_int_equal(store_metadata_add(&info, STORE_META_USER "n", "2"), 0);
	}
	assert_int_equal(store_upload_begin(f->store, "raw", "k", 1, &info, &upload), 0);
	assert_int_equal(store_upload_commit(upload, NULL, NULL), 0);
	expect(f->store, STORE_META_USER "n", STORE_FIND_GE, "0", "raw/k ");
	expect(f->store, STORE_META_USER "n", STORE_FIND_EQ, "2", "");
	assert_int_equal(store_object_delete(f->store, "raw", "k", 1, NULL, NULL), 0);
	expect(f->store, STORE_META_USER "n", STORE_FIND_GE, "0", "");
}

static void test_limits_and_times(void **state)
{
	struct fixture *f = *state;
	struct store_find_term term = {STORE_META_TAG "t", "1", STORE_FIND_EQ};
	struct store_find_query query = {.bucket = "raw", .until_ns = UINT64_MAX, .limit = 2};
	struct eos_buf got;
	bool more = false;
	eos_buf_init(&got);
	assert_int_equal(store_find(f->store, &query, append, &got, &more), -ENOENT);
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	put(f->store, "raw", "a", STORE_META_TAG "t", "1");
	put(f->store, "raw", "b", STORE_META_TAG "t", "1");
	uint64_t between = eos_wall_ns();
	put(f->store, "raw", "c", STORE_META_TAG "t", "1");
	for (int with_term = 0; with_term < 2; with_term++) {
		query.terms = with_term ? &term : NULL;
		query.terms_count = (size_t)with_term;
		query.since_ns = 0;
		eos_buf_clear(&got);
		assert_int_equal(store_find(f->store, &query, append, &got, &more), 0);
		assert_string_equal(got.data, "raw/a raw/b ");
		assert_true(more);
		query.since_ns = between;
		eos_buf_clear(&got);
		assert_int_equal(store_find(f->store, &query, append, &got, &more), 0);
		assert_string_equal(got.data, "raw/c ");
		assert_false(more);
	}
	query.terms = &(struct store_find_term){"", "1", STORE_FIND_EQ};
	assert_int_equal(store_find(f->store, &query, append, &got, &more), -EINVAL);
	eos_buf_fini(&got);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_compare),
		TEST(test_find),
		TEST(test_twice),
		TEST(test_limits_and_times),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
