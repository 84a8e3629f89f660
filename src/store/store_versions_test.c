/* Versions and retention, rule by rule; what comes of many rules together: store_model_test.c. */
#include "store/store_fixture_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"

#define SMALL 1000u
#define LARGE 200000u

static void set_versioning(struct store *store, enum store_versioning versioning)
{
	struct store_bucket_settings settings = {.versioning = versioning};
	assert_int_equal(store_bucket_settings_set(store, "raw", &settings), 0);
}

static uint64_t put(struct store *store, const char *key, uint64_t seed, size_t size,
		    const char *name, const char *value)
{
	static struct store_object_info info;
	static char data[LARGE];
	struct store_upload *upload;
	info.metadata_len = 0;
	if (name != NULL)
		assert_int_equal(store_metadata_add(&info, name, value), 0);
	assert_int_equal(store_upload_begin(store, "raw", key, strlen(key), &info, &upload), 0);
	content_fill(seed, 0, data, size);
	assert_int_equal(store_upload_write(upload, data, size, 0), 0);
	assert_int_equal(store_upload_commit(upload, NULL, &info), 0);
	return info.version;
}

static int remove_version(struct store *store, const char *key, uint64_t version, bool bypasses,
			  struct store_removed *ret)
{
	struct store_removal removal = {.version = version, .bypasses_governance = bypasses};
	return store_object_delete(store, "raw", key, strlen(key), &removal, ret);
}

static int append(void *ctx, const struct store_list_entry *entry)
{
	eos_buf_printf(ctx, "%.*s%s%s%s ", (int)entry->key_len, entry->key,
		       entry->is_prefix		       ? "*"
		       : entry->info->is_delete_marker ? "-"
						       : "+",
		       !entry->is_prefix && entry->info->version == 0 ? "0" : "",
		       !entry->is_prefix && entry->info->is_latest ? "!" : "");
	return 0;
}

static void expect_list(struct store *store, const char *delimiter, const char *versions,
			const char *objects)
{
	struct store_list_query query = {
		.delimiter = delimiter, .delimiter_len = strlen(delimiter), .limit = 100};
	struct eos_buf got;
	bool more;
	eos_buf_init(&got);
	eos_buf_puts(&got, "");
	assert_int_equal(
		store_version_list(store, "raw", &query, STORE_VERSION_LATEST, append, &got, &more),
		0);
	assert_string_equal(got.len == 0 ? "" : got.data, versions);
	eos_buf_clear(&got);
	assert_int_equal(store_object_list(store, "raw", &query, append, &got, &more), 0);
	assert_string_equal(got.len == 0 ? "" : got.data, objects);
	eos_buf_fini(&got);
}

static void test_life_of_a_key(void **state)
{
	struct fixture *f = *state;
	struct store_removed removed;
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	assert_int_equal(put(f->store, "k", 1, LARGE, NULL, NULL), 0);
	set_versioning(f->store, STORE_VERSIONING_ENABLED);
	uint64_t second = put(f->store, "k", 2, SMALL, NULL, NULL);
	uint64_t third = put(f->store, "k", 3, LARGE, NULL, NULL);
	assert_true(0 < second && second < third);
	expect_list(f->store, "", "k+! k+ k+0 ", "k+! ");
	assert_int_equal(remove_version(f->store, "k", STORE_VERSION_LATEST, false, &removed), 0);
	assert_true(removed.is_delete_marker && removed.version > third);
	assert_int_equal(object_check(f->store, "raw", "k", 3, LARGE), -ENOENT);
	expect_list(f->store, "", "k-! k+ k+ k+0 ", "");
	assert_int_equal(store_bucket_delete(f->store, "raw"), -ENOTEMPTY);
	/* Without the marker the object is back. */
	assert_int_equal(remove_version(f->store, "k", removed.version, false, &removed), 0);
	assert_true(removed.is_delete_marker);
	fixture_reopen(f);
	assert_int_equal(object_check(f->store, "raw", "k", 3, LARGE), 0);
	assert_int_equal(remove_version(f->store, "k", third, false, &removed), 0);
	assert_false(removed.is_delete_marker);
	assert_int_equal(object_check(f->store, "raw", "k", 2, SMALL), 0);
	assert_int_equal(remove_version(f->store, "k", third, false, &removed), -ENOENT);

	/* Suspended: the null version comes and goes, the other stays. */
	set_versioning(f->store, STORE_VERSIONING_SUSPENDED);
	assert_int_equal(put(f->store, "k", 4, SMALL, NULL, NULL), 0);
	expect_list(f->store, "", "k+0! k+ ", "k+0! ");
	assert_int_equal(store_object_delete(f->store, "raw", "k", 1, NULL, &removed), 0);
	assert_int_equal(removed.version, STORE_VERSION_NULL);
	expect_list(f->store, "", "k-0! k+ ", "");
	set_versioning(f->store, STORE_VERSIONING_ENABLED);
	(void)put(f->store, "k", 5, SMALL, NULL, NULL);
	expect_list(f->store, "", "k+! k-0 k+ ", "k+! ");
	set_versioning(f->store, STORE_VERSIONING_SUSPENDED);
	assert_int_equal(put(f->store, "k", 6, SMALL, NULL, NULL), 0);
	expect_list(f->store, "", "k+0! k+ k+ ", "k+0! ");
	/* A marker for a key that never was. */
	assert_int_equal(store_object_delete(f->store, "raw", "never", 5, NULL, &removed), 0);
	expect_list(f->store, "", "k+0! k+ k+ never-0! ", "k+0! ");
}

static void test_files_of_versions(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	set_versioning(f->store, STORE_VERSIONING_ENABLED);
	uint64_t first = put(f->store, "k", 1, LARGE, NULL, NULL);
	uint64_t second = put(f->store, "k", 2, LARGE, NULL, NULL);
	assert_int_equal(store_object_rename(f->store, "raw", "k", 1, "n", 1), 0);
	expect_list(f->store, "", "k-! k+ n+! ", "n+! ");
	assert_int_equal(object_check(f->store, "raw", "n", 2, LARGE), 0);
	assert_int_equal(remove_version(f->store, "k", second, false, NULL), -ENOENT);
	assert_int_equal(remove_version(f->store, "k", first, false, NULL), 0);
	assert_int_equal(store_object_delete(f->store, "raw", "n", 1, NULL, NULL), 0);
	fixture_reopen(f);
	assert_in_range(store_chunks_count(f->store), 1, LARGE / 16384 + 1);
	expect_list(f->store, "", "k-! n-! n+ ", "");
}

static void test_lists(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	set_versioning(f->store, STORE_VERSIONING_ENABLED);
	(void)put(f->store, "a/1", 1, 0, NULL, NULL);
	(void)put(f->store, "a/2", 1, 0, NULL, NULL);
	(void)put(f->store, "b/1", 1, 0, NULL, NULL);
	(void)put(f->store, "c", 1, 0, NULL, NULL);
	(void)put(f->store, "c", 2, 0, NULL, NULL);
	expect_list(f->store, "/", "a/* b/* c+! c+ ", "a/* b/* c+! ");
	assert_int_equal(store_object_delete(f->store, "raw", "a/1", 3, NULL, NULL), 0);
	expect_list(f->store, "/", "a/* b/* c+! c+ ", "a/* b/* c+! ");
	/* A prefix below which all is deleted is there for versions only. */
	assert_int_equal(store_object_delete(f->store, "raw", "b/1", 3, NULL, NULL), 0);
	expect_list(f->store, "/", "a/* b/* c+! c+ ", "a/* c+! ");
	assert_int_equal(store_object_delete(f->store, "raw", "a/2", 3, NULL, NULL), 0);
	expect_list(f->store, "/", "a/* b/* c+! c+ ", "c+! ");
}

struct change {
	const char *name, *value;
};

static int change(void *ctx, struct store_object_info *info)
{
	const struct change *c = ctx;
	store_metadata_remove(info, c->name);
	return store_metadata_add(info, c->name, c->value);
}

static int break_metadata(void *ctx, struct store_object_info *info)
{
	info->metadata[info->metadata_len++] = 'x';
	return 0;
}

static int update(struct store *store, const char *key, uint64_t version, const char *name,
		  const char *value)
{
	struct change c = {name, value};
	return store_object_update(store, "raw", key, strlen(key), version, change, &c);
}

static void test_update(void **state)
{
	struct fixture *f = *state;
	static struct store_object_info before, after;
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	set_versioning(f->store, STORE_VERSIONING_ENABLED);
	for (size_t i = 0; i < 2; i++) {
		size_t size = i == 0 ? SMALL : LARGE;
		uint64_t version = put(f->store, "k", i, size, STORE_META_TAG "a", "1");
		assert_int_equal(store_object_get(f->store, "raw", "k", 1, version, &before), 0);
		assert_int_equal(update(f->store, "k", version, STORE_META_TAG "b", "2"), 0);
		assert_int_equal(store_object_get(f->store, "raw", "k", 1, version, &after), 0);
		assert_string_equal(store_metadata_get(&after, STORE_META_TAG "a"), "1");
		assert_string_equal(store_metadata_get(&after, STORE_META_TAG "b"), "2");
		assert_memory_equal(&before, &after,
				    offsetof(struct store_object_info, metadata_len));
		assert_int_equal(object_check(f->store, "raw", "k", i, size), 0);
	}
	assert_int_equal(store_object_update(f->store, "raw", "k", 1, STORE_VERSION_LATEST,
					     break_metadata, NULL),
			 -EINVAL);
	assert_int_equal(update(f->store, "none", STORE_VERSION_LATEST, "x", "y"), -ENOENT);
	assert_int_equal(update(f->store, "k", 4711, "x", "y"), -ENOENT);
	struct store_removed removed;
	assert_int_equal(store_object_delete(f->store, "raw", "k", 1, NULL, &removed), 0);
	assert_int_equal(update(f->store, "k", removed.version, "x", "y"), -EINVAL);
	assert_int_equal(update(f->store, "k", STORE_VERSION_LATEST, "x", "y"), -ENOENT);
}

static void until(char out[24], int64_t seconds)
{
	uint64_t now_s = eos_wall_ns() / EOS_NS_PER_S;
	snprintf(out, 24, "%llu", (unsigned long long)(now_s + (uint64_t)seconds));
}

static void test_retention(void **state)
{
	struct fixture *f = *state;
	struct store *store = f->store;
	char later[24], soon[24];
	assert_int_equal(store_bucket_create(store, "raw"), 0);
	set_versioning(store, STORE_VERSIONING_ENABLED);
	until(later, 1000);
	until(soon, 2);
	uint64_t v = put(store, "k", 1, SMALL, STORE_META_RETAIN_UNTIL, later);
	assert_int_equal(update(store, "k", v, STORE_META_RETAIN_MODE, "COMPLIANCE"), 0);
	assert_int_equal(remove_version(store, "k", v, false, NULL), -EPERM);
	assert_int_equal(remove_version(store, "k", v, true, NULL), -EPERM);
	/* A marker removes nothing, nor does another version; a rename would. */
	assert_int_equal(store_object_rename(store, "raw", "k", 1, "n", 1), -EPERM);
	assert_int_equal(store_object_delete(store, "raw", "k", 1, NULL, NULL), 0);
	(void)put(store, "k", 2, SMALL, NULL, NULL);
	assert_int_equal(remove_version(store, "k", v, true, NULL), -EPERM);
	assert_int_equal(update(store, "k", v, STORE_META_RETAIN_MODE, "GOVERNANCE"), 0);
	assert_int_equal(remove_version(store, "k", v, false, NULL), -EPERM);
	assert_int_equal(update(store, "k", v, STORE_META_LEGAL_HOLD, "ON"), 0);
	assert_int_equal(remove_version(store, "k", v, true, NULL), -EPERM);
	assert_int_equal(update(store, "k", v, STORE_META_LEGAL_HOLD, "OFF"), 0);
	assert_int_equal(remove_version(store, "k", v, true, NULL), 0);

	v = put(store, "s", 1, SMALL, STORE_META_RETAIN_UNTIL, soon);
	assert_int_equal(remove_version(store, "s", v, false, NULL), -EPERM);
	uint64_t broken = put(store, "s", 2, SMALL, STORE_META_RETAIN_UNTIL, "tomorrow");
	assert_int_equal(remove_version(store, "s", broken, true, NULL), -EPERM);
	while (eos_wall_ns() / EOS_NS_PER_S < strtoull(soon, NULL, 10))
		usleep(100000);
	assert_int_equal(remove_version(store, "s", v, false, NULL), 0);
}

/* In a bucket without versions what is held cannot be replaced either. */
static void test_retention_without_versions(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	assert_int_equal(put(f->store, "k", 1, LARGE, STORE_META_LEGAL_HOLD, "ON"), 0);
	assert_int_equal(object_put(f->store, "raw", "k", 2, SMALL), -EPERM);
	assert_int_equal(object_put(f->store, "raw", "n", 2, LARGE), 0);
	assert_int_equal(store_object_rename(f->store, "raw", "n", 1, "k", 1), -EPERM);
	assert_int_equal(store_object_rename(f->store, "raw", "k", 1, "x", 1), -EPERM);
	assert_int_equal(store_object_delete(f->store, "raw", "k", 1, NULL, NULL), -EPERM);
	set_versioning(f->store, STORE_VERSIONING_SUSPENDED);
	assert_int_equal(object_put(f->store, "raw", "k", 2, LARGE), -EPERM);
	assert_int_equal(store_object_delete(f->store, "raw", "k", 1, NULL, NULL), -EPERM);
	assert_int_equal(object_check(f->store, "raw", "k", 1, LARGE), 0);
	fixture_reopen(f);
	assert_in_range(store_chunks_count(f->store), 2, 2 * (LARGE / 16384 + 1));
	assert_int_equal(update(f->store, "k", STORE_VERSION_NULL, STORE_META_LEGAL_HOLD, "OFF"),
			 0);
	assert_int_equal(object_put(f->store, "raw", "k", 2, SMALL), 0);
}

/* Who deletes what it saw before does not delete what has taken its place, be it the same bytes. */
static void test_replaced_meanwhile(void **state)
{
	static struct store_object_info info;
	struct fixture *f = *state;
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	for (int is_versioned = 0; is_versioned < 2; is_versioned++) {
		if (is_versioned)
			set_versioning(f->store, STORE_VERSIONING_SUSPENDED);
		for (int is_named = 0; is_named < 2; is_named++) {
			(void)put(f->store, "k", 1, SMALL, NULL, NULL);
			assert_int_equal(store_object_get(f->store, "raw", "k", 1,
							  STORE_VERSION_LATEST, &info),
					 0);
			struct store_removal removal = {
				.version = is_named ? STORE_VERSION_NULL : STORE_VERSION_LATEST,
				.modified_ns = info.modified_ns,
			};
			(void)put(f->store, "k", 1, SMALL, NULL, NULL);
			assert_int_equal(
				store_object_delete(f->store, "raw", "k", 1, &removal, NULL),
				-ESTALE);
			assert_int_equal(object_check(f->store, "raw", "k", 1, SMALL), 0);
			assert_int_equal(store_object_get(f->store, "raw", "k", 1,
							  STORE_VERSION_LATEST, &info),
					 0);
			removal.modified_ns = info.modified_ns;
			assert_int_equal(
				store_object_delete(f->store, "raw", "k", 1, &removal, NULL), 0);
			assert_int_equal(object_check(f->store, "raw", "k", 1, SMALL), -ENOENT);
			/* The marker that is there now is not what was seen. */
			int again = store_object_delete(f->store, "raw", "k", 1, &removal, NULL);
			assert_true(again == -ENOENT || again == -ESTALE);
		}
	}
}

static void match(void *ctx, const struct store_event *event,
		  void (*emit)(void *emit_ctx, const char *target, const char *rule),
		  void *emit_ctx)
{
	emit(emit_ctx, "t", NULL);
}

static int append_event(void *ctx, const struct store_event *event)
{
	static const char kinds[] = {'+', '-', '!'};
	eos_buf_printf(ctx, "%c%s%s%s ", kinds[event->kind], event->key,
		       event->version == STORE_VERSION_NULL ? "0" : "",
		       event->etag[0] == '\0' ? "?" : "");
	return 0;
}

static void test_events(void **state)
{
	struct fixture *f = *state;
	struct eos_buf got;
	eos_buf_init(&got);
	store_set_matcher(f->store, match, NULL, NULL);
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	(void)put(f->store, "k", 1, SMALL, NULL, NULL);
	set_versioning(f->store, STORE_VERSIONING_ENABLED);
	uint64_t v = put(f->store, "k", 1, SMALL, NULL, NULL);
	assert_int_equal(store_object_delete(f->store, "raw", "k", 1, NULL, NULL), 0);
	assert_int_equal(remove_version(f->store, "k", v, false, NULL), 0);
	assert_int_equal(remove_version(f->store, "k", STORE_VERSION_NULL, false, NULL), 0);
	(void)put(f->store, "m", 1, SMALL, NULL, NULL);
	assert_int_equal(store_object_rename(f->store, "raw", "m", 1, "n", 1), 0);
	assert_int_equal(store_outbox_list(f->store, 0, append_event, &got), 0);
	assert_string_equal(got.data, "+k0 +k !k? -k -k0 +m +n !m? ");
	eos_buf_fini(&got);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_life_of_a_key), TEST(test_files_of_versions),
		TEST(test_lists),	  TEST(test_update),
		TEST(test_retention),	  TEST(test_retention_without_versions),
		TEST(test_events),	  TEST(test_replaced_meanwhile),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
