/* Listings against a naive model: random keys, prefixes, delimiters, places to go on, limits. */
#include "store/store_fixture_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"

#define KEYS 120

static char *keys[KEYS]; /* sorted, all different */
static size_t keys_count;

static int compare(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Words from a small set of pieces, so that prefixes and delimiters meet often. */
static void make_text(char *out, int pieces)
{
	static const char *const set[] = {"a", "b", "/", "//", "ab", "\xc3\xa9", "-", "\x7f"};
	out[0] = '\0';
	for (int i = 0; i < pieces; i++) {
		if (random() % 40 == 0)
			memset(out + strlen(out), 'x', 481);
		strcat(out, set[(size_t)random() % EOS_ARRAY_SIZE(set)]);
		if (strlen(out) > 500)
			break;
	}
}

static void fill(struct store *store)
{
	static char text[4096];
	keys_count = 0;
	while (keys_count < KEYS) {
		memset(text, 0, sizeof(text));
		make_text(text, 1 + (int)(random() % 8));
		bool is_new = true;
		for (size_t i = 0; i < keys_count; i++)
			is_new &= strcmp(keys[i], text) != 0;
		if (!is_new)
			continue;
		assert_int_equal(object_put(store, "raw", text, keys_count, keys_count), 0);
		keys[keys_count] = strdup(text);
		assert_non_null(keys[keys_count++]);
	}
	qsort(keys, keys_count, sizeof(keys[0]), compare);
}

/* What the contract says, word by word. Returns whether there would be more. */
static bool model(const struct store_list_query *q, struct eos_buf *out)
{
	unsigned count = 0;
	char last[4096] = "";
	for (size_t i = 0; i < keys_count; i++) {
		const char *key = keys[i];
		char shown[4096];
		bool is_prefix = false;
		if (strncmp(key, q->prefix, q->prefix_len) != 0)
			continue;
		strcpy(shown, key);
		char *at =
			q->delimiter_len == 0 ? NULL : strstr(shown + q->prefix_len, q->delimiter);
		if (at != NULL) {
			at[q->delimiter_len] = '\0';
			is_prefix = true;
			if (strncmp(q->after, shown, strlen(shown)) == 0)
				continue;
			if (strcmp(last, shown) == 0)
				continue;
		}
		if (strcmp(shown, q->after) <= 0)
			continue;
		if (count++ == q->limit)
			return true;
		if (is_prefix)
			strcpy(last, shown);
		eos_buf_printf(out, "%s%s\n", is_prefix ? "PREFIX " : "", shown);
	}
	return false;
}

static int append(void *ctx, const struct store_list_entry *entry)
{
	assert_int_equal(entry->is_prefix, entry->info == NULL);
	eos_buf_printf(ctx, "%s%.*s\n", entry->is_prefix ? "PREFIX " : "", (int)entry->key_len,
		       entry->key);
	return 0;
}

static void compare_once(struct store *store)
{
	static char prefix[4096], delimiter[4096], after[4096];
	struct eos_buf expected, got;
	memset(after, 0, sizeof(after));
	make_text(prefix, (int)(random() % 3));
	make_text(delimiter, (int)(random() % 2));
	if (random() % 2 == 0)
		make_text(after, (int)(random() % 4));
	else
		strcpy(after, keys[(size_t)random() % keys_count]);
	if (random() % 2 == 0)
		strcpy(delimiter, "/");
	struct store_list_query query = {
		.prefix = prefix,
		.prefix_len = strlen(prefix),
		.delimiter = delimiter,
		.delimiter_len = strlen(delimiter),
		.after = after,
		.after_len = strlen(after),
		.limit = random() % 2 == 0 ? 1000 : (unsigned)random() % 10,
	};
	bool more;
	eos_buf_init(&expected);
	eos_buf_init(&got);
	eos_buf_puts(&expected, "");
	eos_buf_puts(&got, "");
	bool more_expected = model(&query, &expected);
	assert_int_equal(store_object_list(store, "raw", &query, append, &got, &more), 0);
	assert_string_equal(got.data, expected.data);
	assert_int_equal(more, more_expected);
	eos_buf_fini(&expected);
	eos_buf_fini(&got);
}

static void test_against_model(void **state)
{
	struct fixture *f = *state;
	unsigned seed = (unsigned)time(NULL);
	print_message("seed %u\n", seed);
	srandom(seed);
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	fill(f->store);
	for (int i = 0; i < 3000; i++)
		compare_once(f->store);
	for (size_t i = 0; i < keys_count; i++)
		free(keys[i]);
}

static int count_entries(void *ctx, const struct store_list_entry *entry)
{
	unsigned *count = ctx;
	(*count)++;
	return 0;
}

static int stop(void *ctx, const struct store_list_entry *entry)
{
	return -ECANCELED;
}

static void test_edges(void **state)
{
	struct fixture *f = *state;
	struct store_list_query query = {.limit = 10};
	unsigned count = 0;
	bool more = true;
	assert_int_equal(store_object_list(f->store, "raw", &query, count_entries, &count, &more),
			 -ENOENT);
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	assert_int_equal(store_object_list(f->store, "raw", &query, count_entries, &count, &more),
			 0);
	assert_false(more);
	assert_int_equal(object_put(f->store, "raw", "a", 1, 1), 0);
	assert_int_equal(store_object_list(f->store, "raw", &query, stop, NULL, &more), -ECANCELED);
	query.limit = 0;
	assert_int_equal(store_object_list(f->store, "raw", &query, count_entries, &count, &more),
			 0);
	assert_true(more);
	/* Longer than any key: nothing has this prefix; "a" is not behind this text. */
	static char huge[5000];
	memset(huge, 'a', sizeof(huge));
	query = (struct store_list_query){.prefix = huge, .prefix_len = sizeof(huge), .limit = 9};
	assert_int_equal(store_object_list(f->store, "raw", &query, count_entries, &count, &more),
			 0);
	assert_int_equal(count, 0);
	query = (struct store_list_query){.after = huge, .after_len = sizeof(huge), .limit = 9};
	assert_int_equal(store_object_list(f->store, "raw", &query, count_entries, &count, &more),
			 0);
	assert_int_equal(count, 0);
	assert_false(more);
}

/* Entries of two buckets do not mix, whatever was deleted and made anew. */
static void test_buckets_apart(void **state)
{
	struct fixture *f = *state;
	struct store_list_query query = {.limit = 10};
	static const char *const names[] = {"one", "two", "three"};
	bool more;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(store_bucket_create(f->store, names[i]), 0);
		assert_int_equal(object_put(f->store, names[i], "k", (uint64_t)i, 10), 0);
	}
	assert_int_equal(store_object_delete(f->store, "two", "k", 1, NULL, NULL), 0);
	assert_int_equal(store_bucket_delete(f->store, "two"), 0);
	assert_int_equal(store_bucket_create(f->store, "two"), 0);
	for (unsigned i = 0; i < 3; i++) {
		unsigned count = 0;
		assert_int_equal(
			store_object_list(f->store, names[i], &query, count_entries, &count, &more),
			0);
		assert_int_equal(count, i != 1);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_against_model),
		TEST(test_edges),
		TEST(test_buckets_apart),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
