/* Settings and documents of buckets, usage and quotas of buckets and tenants. */
#include "store/store_fixture_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/str.h"

static void set_tenant(struct store *store, const char *bucket, const char *tenant)
{
	struct store_bucket_settings settings;
	assert_int_equal(store_bucket_settings_get(store, bucket, &settings), 0);
	assert_int_equal(eos_str_copy(settings.tenant, sizeof(settings.tenant), tenant), 0);
	assert_int_equal(store_bucket_settings_set(store, bucket, &settings), 0);
}

static void expect_usage(struct store *store, const char *bucket, uint64_t objects, uint64_t bytes)
{
	struct store_usage usage;
	assert_int_equal(store_bucket_usage(store, bucket, &usage), 0);
	assert_int_equal(usage.objects, objects);
	assert_int_equal(usage.bytes, bytes);
}

static void expect_tenant(struct store *store, const char *tenant, uint64_t objects, uint64_t bytes)
{
	struct store_usage usage;
	assert_int_equal(store_tenant_usage(store, tenant, &usage), 0);
	assert_int_equal(usage.objects, objects);
	assert_int_equal(usage.bytes, bytes);
}

static void test_settings(void **state)
{
	struct fixture *f = *state;
	struct store_bucket_settings got, zero = {0};
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	assert_int_equal(store_bucket_settings_get(f->store, "raw", &got), 0);
	assert_memory_equal(&got, &zero, sizeof(got));
	assert_int_equal(store_bucket_settings_get(f->store, "none", &got), -ENOENT);
	assert_int_equal(store_bucket_settings_set(f->store, "none", &got), -ENOENT);

	struct store_bucket_settings all = {
		.tenant = "plant-7",
		.versioning = STORE_VERSIONING_ENABLED,
		.has_object_lock = true,
		.is_encrypted = true,
		.is_compressed = true,
		.quota_bytes = 1000000,
		.quota_objects = 50,
	};
	struct store_bucket_settings bad = all;
	bad.versioning = STORE_VERSIONING_OFF;
	assert_int_equal(store_bucket_settings_set(f->store, "raw", &bad), -EINVAL);
	bad = all;
	strcpy(bad.tenant, "a b");
	assert_int_equal(store_bucket_settings_set(f->store, "raw", &bad), -EINVAL);
	memset(bad.tenant, 't', sizeof(bad.tenant));
	assert_int_equal(store_bucket_settings_set(f->store, "raw", &bad), -EINVAL);

	assert_int_equal(store_bucket_settings_set(f->store, "raw", &all), 0);
	fixture_reopen(f);
	assert_int_equal(store_bucket_settings_get(f->store, "raw", &got), 0);
	assert_string_equal(got.tenant, all.tenant);
	assert_int_equal(got.versioning, all.versioning);
	assert_true(got.has_object_lock && got.is_encrypted && got.is_compressed);
	assert_int_equal(got.quota_bytes, all.quota_bytes);
	assert_int_equal(got.quota_objects, all.quota_objects);

	/* No way back from locks, nor from versions. */
	bad = all;
	bad.has_object_lock = false;
	assert_int_equal(store_bucket_settings_set(f->store, "raw", &bad), -EPERM);
	bad.versioning = STORE_VERSIONING_OFF;
	assert_int_equal(store_bucket_settings_set(f->store, "raw", &bad), -EINVAL);
	bad = all;
	bad.versioning = STORE_VERSIONING_SUSPENDED;
	assert_int_equal(store_bucket_settings_set(f->store, "raw", &bad), -EINVAL);
	/* A bucket of the same name, made anew, has nothing of it. */
	assert_int_equal(store_bucket_delete(f->store, "raw"), 0);
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	assert_int_equal(store_bucket_settings_get(f->store, "raw", &got), 0);
	assert_memory_equal(&got, &zero, sizeof(got));
	zero.versioning = STORE_VERSIONING_SUSPENDED;
	assert_int_equal(store_bucket_settings_set(f->store, "raw", &zero), 0);
	zero.versioning = STORE_VERSIONING_OFF;
	assert_int_equal(store_bucket_settings_set(f->store, "raw", &zero), -EINVAL);
}

static void expect_document(struct store *store, const char *bucket, const char *name,
			    const char *expected, size_t len)
{
	struct eos_buf got;
	eos_buf_init(&got);
	assert_int_equal(eos_buf_puts(&got, ">"), 0);
	assert_int_equal(store_bucket_document_get(store, bucket, name, &got), 0);
	assert_int_equal(got.len, len + 1);
	assert_memory_equal(got.data + 1, expected, len);
	eos_buf_fini(&got);
}

static void test_documents(void **state)
{
	struct fixture *f = *state;
	struct eos_buf got;
	char *large = malloc(STORE_DOCUMENT_MAX + 1);
	assert_non_null(large);
	content_fill(3, 0, large, STORE_DOCUMENT_MAX + 1);
	eos_buf_init(&got);
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	assert_int_equal(store_bucket_create(f->store, "two"), 0);
	assert_int_equal(store_bucket_document_get(f->store, "raw", "policy", &got), -ENOENT);
	assert_int_equal(store_bucket_document_delete(f->store, "raw", "policy"), -ENOENT);
	assert_int_equal(store_bucket_document_set(f->store, "none", "policy", "x", 1), -ENOENT);
	assert_int_equal(store_bucket_document_set(f->store, "raw", "Policy", "x", 1), -EINVAL);
	assert_int_equal(store_bucket_document_set(f->store, "raw", "", "x", 1), -EINVAL);
	assert_int_equal(
		store_bucket_document_set(f->store, "raw", "cors", large, STORE_DOCUMENT_MAX + 1),
		-EFBIG);

	assert_int_equal(store_bucket_document_set(f->store, "raw", "policy", "one", 3), 0);
	assert_int_equal(store_bucket_document_set(f->store, "raw", "policy", "three", 5), 0);
	assert_int_equal(store_bucket_document_set(f->store, "raw", "empty", NULL, 0), 0);
	assert_int_equal(store_bucket_document_set(f->store, "two", "policy", "other", 5), 0);
	assert_int_equal(
		store_bucket_document_set(f->store, "raw", "cors", large, STORE_DOCUMENT_MAX), 0);
	fixture_reopen(f);
	expect_document(f->store, "raw", "policy", "three", 5);
	expect_document(f->store, "raw", "empty", "", 0);
	expect_document(f->store, "raw", "cors", large, STORE_DOCUMENT_MAX);
	assert_int_equal(store_bucket_document_delete(f->store, "raw", "policy"), 0);
	assert_int_equal(store_bucket_document_get(f->store, "raw", "policy", &got), -ENOENT);

	/* Documents do not keep a bucket, and go with it. */
	assert_int_equal(store_bucket_delete(f->store, "raw"), 0);
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	assert_int_equal(store_bucket_document_get(f->store, "raw", "cors", &got), -ENOENT);
	expect_document(f->store, "two", "policy", "other", 5);
	assert_int_equal(got.len, 0);
	eos_buf_fini(&got);
	free(large);
}

static void test_usage(void **state)
{
	struct fixture *f = *state;
	struct store_usage usage;
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	assert_int_equal(store_bucket_create(f->store, "two"), 0);
	assert_int_equal(store_bucket_create(f->store, ".own"), 0);
	assert_int_equal(store_bucket_usage(f->store, "none", &usage), -ENOENT);
	assert_int_equal(store_tenant_usage(f->store, "a b", &usage), -EINVAL);
	expect_tenant(f->store, "nobody", 0, 0);
	assert_int_equal(object_put(f->store, "raw", "a", 1, 100), 0);
	assert_int_equal(object_put(f->store, "raw", "b", 1, 50000), 0);
	assert_int_equal(object_put(f->store, "raw", "a", 1, 10), 0);
	assert_int_equal(object_put(f->store, "two", "a", 1, 7), 0);
	assert_int_equal(object_put(f->store, ".own", "a", 1, 1000), 0);
	expect_usage(f->store, "raw", 2, 50010);
	expect_usage(f->store, ".own", 1, 1000);
	expect_tenant(f->store, "", 3, 50017);
	set_tenant(f->store, "raw", "t1");
	set_tenant(f->store, ".own", "t1");
	fixture_reopen(f);
	expect_tenant(f->store, "", 1, 7);
	expect_tenant(f->store, "t1", 2, 50010);
	set_tenant(f->store, "two", "t1");
	expect_tenant(f->store, "t1", 3, 50017);
	assert_int_equal(store_object_rename(f->store, "raw", "a", 1, "b", 1), 0);
	expect_usage(f->store, "raw", 1, 10);
	assert_int_equal(store_object_delete(f->store, "raw", "b", 1, NULL, NULL), 0);
	expect_usage(f->store, "raw", 0, 0);
	expect_tenant(f->store, "t1", 1, 7);
	expect_tenant(f->store, "", 0, 0);
}

struct changer {
	struct fixture *f;
	unsigned calls;
};

/* The first time somebody else is faster. */
static int compress(void *ctx, struct store_bucket_settings *settings)
{
	struct changer *changer = ctx;
	if (changer->calls++ == 0) {
		struct store_bucket_settings other = *settings;
		other.quota_bytes = 77;
		assert_int_equal(store_bucket_settings_set(changer->f->store, "raw", &other), 0);
	}
	settings->is_compressed = true;
	return 0;
}

static int refuse(void *ctx, struct store_bucket_settings *settings)
{
	settings->quota_bytes = 1;
	return -ECANCELED;
}

static void test_create_with_and_update(void **state)
{
	struct fixture *f = *state;
	struct store_bucket_settings settings = {
		.tenant = "t1", .versioning = STORE_VERSIONING_ENABLED, .has_object_lock = true};
	struct store_bucket_settings got;
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	assert_int_equal(store_bucket_create_with(f->store, "theirs", &settings), 0);
	assert_int_equal(store_bucket_create_with(f->store, "theirs", &settings), -EEXIST);
	assert_int_equal(store_bucket_settings_get(f->store, "theirs", &got), 0);
	assert_string_equal(got.tenant, "t1");
	assert_int_equal(got.versioning, STORE_VERSIONING_ENABLED);
	assert_true(got.has_object_lock);
	settings.versioning = STORE_VERSIONING_SUSPENDED;
	assert_int_equal(store_bucket_create_with(f->store, "bad", &settings), -EINVAL);
	struct store_bucket_info info;
	assert_int_equal(store_bucket_get(f->store, "bad", &info), -ENOENT);

	struct changer changer = {.f = f};
	assert_int_equal(store_bucket_settings_update(f->store, "raw", compress, &changer), 0);
	assert_int_equal(changer.calls, 2);
	assert_int_equal(store_bucket_settings_get(f->store, "raw", &got), 0);
	assert_true(got.is_compressed);
	assert_int_equal(got.quota_bytes, 77);
	assert_int_equal(store_bucket_settings_update(f->store, "raw", refuse, NULL), -ECANCELED);
	assert_int_equal(store_bucket_settings_update(f->store, "none", refuse, NULL), -ENOENT);
	assert_int_equal(store_bucket_settings_get(f->store, "raw", &got), 0);
	assert_int_equal(got.quota_bytes, 77);
}

/* What is asked beforehand says what the commit will say. */
static void test_quota_check(void **state)
{
	struct fixture *f = *state;
	struct store_bucket_settings settings = {.quota_bytes = 1000, .quota_objects = 2};
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	assert_int_equal(store_bucket_settings_set(f->store, "raw", &settings), 0);
	assert_int_equal(object_put(f->store, "raw", "k", 1, 600), 0);
	assert_int_equal(store_quota_check(f->store, "raw", "other", 5, 400), 0);
	assert_int_equal(store_quota_check(f->store, "raw", "other", 5, 401), -EDQUOT);
	assert_int_equal(object_put(f->store, "raw", "other", 1, 401), -EDQUOT);
	/* In place of what is there. */
	assert_int_equal(store_quota_check(f->store, "raw", "k", 1, 1000), 0);
	assert_int_equal(store_quota_check(f->store, "raw", "k", 1, 1001), -EDQUOT);
	settings.versioning = STORE_VERSIONING_ENABLED;
	assert_int_equal(store_bucket_settings_set(f->store, "raw", &settings), 0);
	assert_int_equal(store_quota_check(f->store, "raw", "k", 1, 401), -EDQUOT);
	assert_int_equal(object_put(f->store, "raw", "k", 1, 401), -EDQUOT);
	assert_int_equal(store_quota_check(f->store, "none", "k", 1, 1), -ENOENT);
	assert_int_equal(store_tenant_quota_set(f->store, "", 700, 0), 0);
	assert_int_equal(store_quota_check(f->store, "raw", "other", 5, 101), -EDQUOT);
	assert_int_equal(store_quota_check(f->store, "raw", "other", 5, 100), 0);
}

static void test_quotas(void **state)
{
	struct fixture *f = *state;
	struct store_bucket_settings settings = {.tenant = "t1", .quota_bytes = 1000};
	uint64_t bytes, objects;
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	assert_int_equal(store_bucket_create(f->store, "two"), 0);
	assert_int_equal(store_bucket_settings_set(f->store, "raw", &settings), 0);
	assert_int_equal(object_put(f->store, "raw", "a", 1, 1001), -EDQUOT);
	assert_int_equal(object_put(f->store, "raw", "a", 1, 100000), -EDQUOT);
	assert_int_equal(object_put(f->store, "raw", "a", 1, 600), 0);
	assert_int_equal(object_put(f->store, "raw", "b", 1, 401), -EDQUOT);
	assert_int_equal(object_put(f->store, "raw", "b", 1, 400), 0);
	assert_int_equal(object_put(f->store, "raw", "a", 2, 601), -EDQUOT);
	assert_int_equal(object_check(f->store, "raw", "a", 1, 600), 0);
	assert_int_equal(object_put(f->store, "raw", "a", 2, 599), 0);
	/* What is there may be more than a new quota, and may shrink, but not grow. */
	settings.quota_bytes = 500;
	settings.quota_objects = 2;
	assert_int_equal(store_bucket_settings_set(f->store, "raw", &settings), 0);
	assert_int_equal(object_put(f->store, "raw", "a", 3, 598), 0);
	assert_int_equal(object_put(f->store, "raw", "a", 3, 599), -EDQUOT);
	assert_int_equal(object_put(f->store, "raw", "c", 3, 0), -EDQUOT);
	assert_int_equal(store_object_delete(f->store, "raw", "b", 1, NULL, NULL), 0);
	assert_int_equal(object_put(f->store, "raw", "c", 3, 0), 0);

	assert_int_equal(store_tenant_quota_set(f->store, "t1", 700, 3), 0);
	settings = (struct store_bucket_settings){.tenant = "t1"};
	assert_int_equal(store_bucket_settings_set(f->store, "two", &settings), 0);
	assert_int_equal(object_put(f->store, "two", "a", 1, 103), -EDQUOT);
	assert_int_equal(object_put(f->store, "two", "a", 1, 102), 0);
	assert_int_equal(object_put(f->store, "two", "b", 1, 0), -EDQUOT);
	fixture_reopen(f);
	assert_int_equal(store_tenant_quota_get(f->store, "t1", &bytes, &objects), 0);
	assert_int_equal(bytes, 700);
	assert_int_equal(objects, 3);
	assert_int_equal(store_tenant_quota_get(f->store, "t2", &bytes, &objects), 0);
	assert_int_equal(bytes + objects, 0);
	assert_int_equal(object_put(f->store, "two", "b", 1, 0), -EDQUOT);
	assert_int_equal(store_tenant_quota_set(f->store, "t1", 0, 0), 0);
	assert_int_equal(object_put(f->store, "two", "b", 1, 5000), 0);
	expect_tenant(f->store, "t1", 4, 598 + 102 + 5000);
	fixture_reopen(f);
	assert_int_equal(store_chunks_count(f->store), 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_settings), TEST(test_documents),   TEST(test_usage),
		TEST(test_quotas),   TEST(test_quota_check), TEST(test_create_with_and_update),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
