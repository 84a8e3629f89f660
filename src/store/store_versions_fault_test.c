/*
 * Each write and each commit of a script over versions, settings and counts fails once, in turn.
 * What failed left no trace, in listings, counts and finds; tried again, it gives what it gives
 * when nothing fails. After a failed disk the store opens with the change whole or not at all.
 */
#include "store/store_fixture_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/fault.h"

#define STEPS 24u

static void digest_usage(struct eos_buf *out, const struct store_usage *usage)
{
	eos_buf_printf(out, "%llu/%llu ", (unsigned long long)usage->objects,
		       (unsigned long long)usage->bytes);
}

static int digest_version(void *ctx, const struct store_list_entry *entry)
{
	eos_buf_printf(ctx, "%.*s:%llu%s%s%s ", (int)entry->key_len, entry->key,
		       (unsigned long long)entry->info->size,
		       entry->info->is_delete_marker ? "-" : "",
		       entry->info->version == STORE_VERSION_NULL ? "0" : "",
		       entry->info->is_latest ? "!" : "");
	return 0;
}

static int digest_found(void *ctx, const char *bucket, const struct store_list_entry *entry)
{
	eos_buf_printf(ctx, "?%.*s ", (int)entry->key_len, entry->key);
	return 0;
}

/* Recounts what the counts must be, too. */
static int recount(void *ctx, const struct store_list_entry *entry)
{
	struct store_usage *usage = ctx;
	usage->objects += !entry->info->is_delete_marker;
	usage->bytes += entry->info->size;
	return 0;
}

/* All that can be seen of the store, without the numbers of versions. */
static void digest(struct store *store, struct eos_buf *out)
{
	struct store_list_query query = {.limit = 1000};
	struct store_find_term term = {STORE_META_TAG "t", "", STORE_FIND_GE};
	struct store_find_query find = {
		.terms = &term, .terms_count = 1, .until_ns = UINT64_MAX, .limit = 1000};
	struct store_bucket_settings settings;
	struct store_usage usage, counted = {0};
	struct store_stats stats;
	bool more;
	eos_buf_clear(out);
	assert_int_equal(store_version_list(store, "raw", &query, STORE_VERSION_LATEST,
					    digest_version, out, &more),
			 0);
	assert_int_equal(store_version_list(store, "raw", &query, STORE_VERSION_LATEST, recount,
					    &counted, &more),
			 0);
	assert_int_equal(store_find(store, &find, digest_found, out, &more), 0);
	assert_int_equal(store_bucket_usage(store, "raw", &usage), 0);
	assert_memory_equal(&usage, &counted, sizeof(usage));
	assert_int_equal(store_stats(store, &stats), 0);
	assert_int_equal(stats.objects, counted.objects);
	assert_int_equal(stats.bytes, counted.bytes);
	assert_int_equal(store_tenant_usage(store, "", &usage), 0);
	digest_usage(out, &usage);
	assert_int_equal(store_tenant_usage(store, "plant", &usage), 0);
	digest_usage(out, &usage);
	assert_int_equal(store_bucket_settings_get(store, "raw", &settings), 0);
	eos_buf_printf(out, "%d %s", (int)settings.versioning, settings.tenant);
	assert_int_not_equal(store_bucket_document_get(store, "raw", "policy", out), -EBADMSG);
	assert_false(eos_buf_failed(out));
}

static int put(struct store *store, const char *key, size_t size, const char *tag)
{
	static struct store_object_info info;
	static char data[60000];
	struct store_upload *upload;
	info.metadata_len = 0;
	int err = store_metadata_add(&info, STORE_META_TAG "t", tag);
	if (err == 0)
		err = store_upload_begin(store, "raw", key, strlen(key), &info, &upload);
	if (err < 0)
		return err;
	err = store_upload_write(upload, data, size, 0);
	if (err == 0)
		return store_upload_commit(upload, NULL, NULL);
	store_upload_abort(upload);
	return err;
}

static int set(struct store *store, enum store_versioning versioning, const char *tenant)
{
	struct store_bucket_settings settings = {.versioning = versioning};
	strcpy(settings.tenant, tenant);
	return store_bucket_settings_set(store, "raw", &settings);
}

static int take_oldest(void *ctx, const struct store_list_entry *entry)
{
	if (entry->key_len == 1 && entry->key[0] == 'k')
		*(uint64_t *)ctx = entry->info->version;
	return 0;
}

/* Of the key "k": the latest, marker or not, or the oldest. */
static int remove_one(struct store *store, bool is_latest)
{
	struct store_list_query query = {
		.prefix = "k", .prefix_len = 1, .limit = is_latest ? 1 : 9};
	struct store_removal removal = {.version = 0};
	bool more;
	int err = store_version_list(store, "raw", &query, STORE_VERSION_LATEST, take_oldest,
				     &removal.version, &more);
	return err < 0 ? err : store_object_delete(store, "raw", "k", 1, &removal, NULL);
}

static int retag(void *ctx, struct store_object_info *info)
{
	store_metadata_remove(info, STORE_META_TAG);
	return store_metadata_add(info, STORE_META_TAG "t", ctx);
}

static int run_step(struct store *store, unsigned step)
{
	static char text[] = "retagged";
	switch (step) {
	case 0:
		return put(store, "k", 100, "a");
	case 1:
		return put(store, "k", 50000, "b");
	case 2:
		return set(store, STORE_VERSIONING_ENABLED, "");
	case 3:
		return put(store, "k", 5000, "c");
	case 4:
		return put(store, "k", 40000, "d");
	case 5:
		return set(store, STORE_VERSIONING_ENABLED, "plant");
	case 6:
		return store_object_delete(store, "raw", "k", 1, NULL, NULL);
	case 7:
		return remove_one(store, true);
	case 8:
		return store_object_rename(store, "raw", "k", 1, "n", 1);
	case 9:
		return put(store, "k", 16384, "e");
	case 10:
		return remove_one(store, false);
	case 11:
		return store_object_update(store, "raw", "k", 1, STORE_VERSION_LATEST, retag, text);
	case 12:
		return set(store, STORE_VERSIONING_SUSPENDED, "plant");
	case 13:
		return put(store, "k", 30000, "f");
	case 14:
		return put(store, "k", 20, "g");
	case 15:
		return store_object_delete(store, "raw", "k", 1, NULL, NULL);
	case 16:
		return set(store, STORE_VERSIONING_ENABLED, "");
	case 17:
		return put(store, "k", 200, "h");
	case 18:
		return set(store, STORE_VERSIONING_SUSPENDED, "");
	case 19:
		return put(store, "k", 25000, "i");
	case 20:
		return store_bucket_document_set(store, "raw", "policy", "text", 4);
	case 21:
		return store_object_rename(store, "raw", "n", 1, "k", 1);
	case 22:
		return store_tenant_quota_set(store, "plant", 5, 5);
	default:
		return store_tenant_quota_set(store, "plant", 0, 0);
	}
}

static struct eos_buf reference[STEPS];

static void empty_bucket(struct fixture *f)
{
	fixture_close(f);
	fixture_remove_dir(f->dir);
	fixture_open(f);
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
}

/* Runs all steps with SPEC armed from the first on. False: nothing failed. */
static bool run_script(struct fixture *f, const char *spec)
{
	struct eos_buf before, now;
	bool has_failed = false;
	eos_buf_init(&before);
	eos_buf_init(&now);
	empty_bucket(f);
	digest(f->store, &now);
	assert_int_equal(eos_fault_arm(spec, NULL), 0);
	for (unsigned i = 0; i < STEPS; i++) {
		eos_buf_clear(&before);
		eos_buf_append(&before, now.data, now.len);
		int err = run_step(f->store, i);
		if (err < 0) {
			has_failed = true;
			assert_int_equal(eos_fault_arm(NULL, NULL), 0);
			bool is_dead = local_check_writable(local_of(f->store)) < 0;
			if (is_dead)
				fixture_reopen(f);
			digest(f->store, &now);
			bool is_whole = is_dead && strcmp(now.data, reference[i].data) == 0;
			if (!is_whole && strcmp(now.data, before.data) != 0)
				fail_msg("%s, step %u: a trace: %s, was: %s", spec, i, now.data,
					 before.data);
			if (!is_whole)
				assert_int_equal(run_step(f->store, i), 0);
		}
		digest(f->store, &now);
		if (strcmp(now.data, reference[i].data) != 0)
			fail_msg("%s, step %u: %s, expected: %s", spec, i, now.data,
				 reference[i].data);
	}
	assert_int_equal(eos_fault_arm(NULL, NULL), 0);
	fixture_reopen(f);
	digest(f->store, &now);
	assert_string_equal(now.data, reference[STEPS - 1].data);
	eos_buf_fini(&before);
	eos_buf_fini(&now);
	return has_failed;
}

static void test_each_write(void **state)
{
	static const char *const points[] = {"store.txn_put", "store.txn_commit",
					     "store.txn_begin"};
	static const char *const actions[] = {"ENOMEM", "ENOSPC", "EIO"};
	struct fixture *f = *state;
	char spec[80];
	int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
	dup2(null, STDERR_FILENO);
	empty_bucket(f);
	for (unsigned i = 0; i < STEPS; i++) {
		eos_buf_init(&reference[i]);
		assert_int_equal(run_step(f->store, i), 0);
		digest(f->store, &reference[i]);
	}
	for (size_t p = 0; p < EOS_ARRAY_SIZE(points); p++) {
		unsigned nth = 1;
		unsigned least = p == 0 ? 4 * STEPS : STEPS;
		/* The reclaimer may be what fails: then no step does. */
		for (bool has_failed = true; has_failed || nth <= least; nth++) {
			snprintf(spec, sizeof(spec), "%s:%u=%s", points[p], nth,
				 actions[nth % EOS_ARRAY_SIZE(actions)]);
			has_failed = run_script(f, spec);
		}
		/* The script has as many transactions as steps, and several writes in each. */
		assert_true(nth > least);
	}
	for (unsigned i = 0; i < STEPS; i++)
		eos_buf_fini(&reference[i]);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(null);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_each_write),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
