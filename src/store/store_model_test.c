/*
 * Thousands of random changes, with the store opened anew in between, compared with a model in
 * memory that knows no more than the rules of store.h: a list of versions a key, the newest first.
 * The seed is printed; a seed as argument repeats a run.
 */
#include "store/store_model_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static unsigned long run_seed;
static unsigned run_steps = 4000;

/* What NEW_B says happened unless ERR; the version that was made has number ID. */
static void settle(struct model *m, int bucket, const struct bucket *new_b, int expected, int err)
{
	if (err != expected)
		fail_msg("seed %lu: error %d, expected %d", run_seed, err, expected);
	m->refused[0] += err == -EDQUOT;
	m->refused[1] += err == -EPERM;
	m->refused[2] += err == -ESTALE;
	if (err == 0)
		m->buckets[bucket] = *new_b;
}

static void etag_of(struct store *store, int bucket, int key, char *out)
{
	static struct store_object_info info;
	const char *name = model_key_name(key);
	snprintf(out, STORE_ETAG_SIZE, "another");
	if (model_pick(4) != 0 && store_object_get(store, model_buckets[bucket], name, strlen(name),
						   STORE_VERSION_LATEST, &info) == 0)
		memcpy(out, info.etag, STORE_ETAG_SIZE);
}

static int upload(struct store *store, int bucket, int key, const struct version *version,
		  const struct store_put_options *options, struct store_object_info *info)
{
	static char data[100000];
	struct store_upload *u;
	const char *name = model_key_name(key);
	model_add_metadata(info, version);
	content_fill(version->seed, 0, data, version->size);
	int err = store_upload_begin(store, model_buckets[bucket], name, strlen(name),
				     model_pick(2) ? info : NULL, &u);
	assert_int_equal(err, 0);
	assert_int_equal(store_upload_write(u, data, version->size, 0), 0);
	assert_int_equal(store_upload_set_metadata(u, info), 0);
	return store_upload_commit(u, options, info);
}

static void do_put(struct store *store, struct model *m, int bucket, int key)
{
	static const size_t sizes[] = {0, 10, 3000, 16384, 20000, 90000};
	static struct store_object_info info;
	static uint64_t next_seed = 1;
	static struct bucket new_b;
	struct store_put_options options = {.condition = (enum store_condition)model_pick(8)};
	new_b = m->buckets[bucket];
	struct key *k = &new_b.keys[key];
	struct version version = {
		.id = UINT64_MAX,
		.seed = next_seed++,
		.size = sizes[model_pick(EOS_ARRAY_SIZE(sizes))],
		.is_held = model_pick(16) == 0,
		.color = (int)model_pick(COLORS + 1) - 1,
		.number = (int)model_pick(30) - 1,
	};
	if (k->count == VERSIONS_MAX)
		return;
	const struct version *old = model_latest(k);
	int expected = 0;
	if (options.condition == STORE_IF_ABSENT && old != NULL)
		expected = -EEXIST;
	if (options.condition == STORE_IF_MATCH) {
		etag_of(store, bucket, key, options.etag);
		expected = old == NULL ? -ENOENT : options.etag[1] == 'n' ? -ESTALE : 0;
	}
	if (options.condition > STORE_IF_MATCH)
		options.condition = STORE_ALWAYS;
	if (expected == 0)
		expected = model_push(&new_b, k, version);
	if (expected == 0)
		expected = model_check_quota(m, bucket, &new_b);
	int err = upload(store, bucket, key, &version, &options, &info);
	if (err == 0) {
		assert_true(info.sequence > m->last_sequence);
		m->last_sequence = info.sequence;
		if (new_b.versioning == STORE_VERSIONING_ENABLED)
			k->versions[0].id = info.sequence;
		assert_int_equal(info.version, k->versions[0].id);
		assert_true(info.is_latest && !info.is_delete_marker);
	}
	settle(m, bucket, &new_b, expected, err);
}

static void do_delete_latest(struct store *store, struct model *m, int bucket, int key)
{
	static struct bucket new_b;
	struct store_removal removal = {.version = STORE_VERSION_LATEST};
	struct store_removed removed = {.version = 12345};
	const char *name = model_key_name(key);
	new_b = m->buckets[bucket];
	struct key *k = &new_b.keys[key];
	bool has_versions = new_b.versioning != STORE_VERSIONING_OFF;
	int expected = 0;
	if (k->count == VERSIONS_MAX)
		return;
	if (model_pick(4) == 0)
		etag_of(store, bucket, key, removal.etag);
	if (model_latest(k) == NULL && (!has_versions || removal.etag[0] != '\0'))
		expected = -ENOENT;
	else if (removal.etag[1] == 'n')
		expected = -ESTALE;
	else if (has_versions)
		expected = model_push(
			&new_b, k,
			(struct version){
				.id = UINT64_MAX, .is_marker = true, .color = -1, .number = -1});
	else if (k->versions[0].is_held)
		expected = -EPERM;
	else
		model_remove_at(k, 0);
	int err = store_object_delete(store, model_buckets[bucket], name, strlen(name), &removal,
				      &removed);
	if (err == 0 && new_b.versioning == STORE_VERSIONING_ENABLED)
		k->versions[0].id = removed.version;
	if (err == 0) {
		assert_int_equal(removed.is_delete_marker, has_versions);
		assert_int_equal(removed.version, has_versions ? k->versions[0].id : 0);
	}
	settle(m, bucket, &new_b, expected, err);
}

static void do_delete_version(struct store *store, struct model *m, int bucket, int key)
{
	static struct bucket new_b;
	const char *name = model_key_name(key);
	new_b = m->buckets[bucket];
	struct key *k = &new_b.keys[key];
	struct store_removal removal = {.bypasses_governance = model_pick(2) != 0};
	struct store_removed removed;
	if (model_pick(8) == 0)
		removal.version = model_pick(2) ? STORE_VERSION_NULL : 1 + model_pick(100);
	else if (k->count > 0)
		removal.version = k->versions[model_pick(k->count)].id;
	struct version *found = model_find_version(k, removal.version);
	int expected = found == NULL ? -ENOENT : found->is_held ? -EPERM : 0;
	bool is_marker = found != NULL && found->is_marker;
	if (expected == 0)
		model_remove_at(k, (unsigned)(found - k->versions));
	int err = store_object_delete(store, model_buckets[bucket], name, strlen(name), &removal,
				      &removed);
	if (err == 0) {
		assert_int_equal(removed.version, removal.version);
		assert_int_equal(removed.is_delete_marker, is_marker);
	}
	settle(m, bucket, &new_b, expected, err);
}

static uint64_t version_of(struct store *store, int bucket, int key)
{
	struct found_version {
		uint64_t id;
	} found = {0};
	static struct store_object_info info;
	const char *name = model_key_name(key);
	assert_int_equal(store_object_get(store, model_buckets[bucket], name, strlen(name),
					  STORE_VERSION_LATEST, &info),
			 0);
	found.id = info.version;
	return found.id;
}

static int take_version(void *ctx, const struct store_list_entry *entry)
{
	*(uint64_t *)ctx = entry->info->version;
	return 0;
}

static void do_rename(struct store *store, struct model *m, int bucket, int key, int other)
{
	static struct bucket new_b;
	const char *name = model_key_name(key), *new_name = model_key_name(other);
	new_b = m->buckets[bucket];
	struct key *from = &new_b.keys[key], *to = &new_b.keys[other];
	int expected = 0;
	if (key == other || from->count == VERSIONS_MAX || to->count == VERSIONS_MAX)
		return;
	if (model_latest(from) == NULL)
		expected = -ENOENT;
	else if (from->versions[0].is_held)
		expected = -EPERM;
	else
		expected = model_push(&new_b, to, from->versions[0]);
	if (expected == 0) {
		model_remove_at(from, 0);
		if (new_b.versioning != STORE_VERSIONING_OFF)
			expected = model_push(
				&new_b, from,
				(struct version){.is_marker = true, .color = -1, .number = -1});
	}
	int err = store_object_rename(store, model_buckets[bucket], name, strlen(name), new_name,
				      strlen(new_name));
	if (err == 0 && new_b.versioning == STORE_VERSIONING_ENABLED) {
		struct store_list_query query = {
			.prefix = name, .prefix_len = strlen(name), .limit = 1};
		bool more;
		to->versions[0].id = version_of(store, bucket, other);
		assert_int_equal(store_version_list(store, model_buckets[bucket], &query,
						    STORE_VERSION_LATEST, take_version,
						    &from->versions[0].id, &more),
				 0);
	}
	settle(m, bucket, &new_b, expected, err);
}

static int change_metadata(void *ctx, struct store_object_info *info)
{
	const struct version *version = ctx;
	if (version->number == 13)
		return -ECANCELED;
	store_metadata_remove(info, STORE_META_TAG);
	store_metadata_remove(info, STORE_META_USER);
	store_metadata_remove(info, STORE_META_LEGAL_HOLD);
	if (store_metadata_get(info, "content-type") == NULL)
		return -EILSEQ;
	model_add_metadata(info, version);
	return 0;
}

static void do_update(struct store *store, struct model *m, int bucket, int key)
{
	static struct bucket new_b;
	const char *name = model_key_name(key);
	new_b = m->buckets[bucket];
	struct key *k = &new_b.keys[key];
	uint64_t id = model_pick(2) || k->count == 0 ? STORE_VERSION_LATEST
						     : k->versions[model_pick(k->count)].id;
	struct version *found =
		id == STORE_VERSION_LATEST ? model_latest(k) : model_find_version(k, id);
	struct version to = found != NULL ? *found : (struct version){0};
	to.is_held = model_pick(16) == 0;
	to.color = (int)model_pick(COLORS + 1) - 1;
	to.number = (int)model_pick(30) - 1;
	int expected = found == NULL	  ? -ENOENT
		       : found->is_marker ? -EINVAL
		       : to.number == 13  ? -ECANCELED
					  : 0;
	if (expected == 0)
		*found = to;
	int err = store_object_update(store, model_buckets[bucket], name, strlen(name), id,
				      change_metadata, &to);
	settle(m, bucket, &new_b, expected, err);
}

static void do_settings(struct store *store, struct model *m, int bucket)
{
	static struct bucket new_b;
	struct store_bucket_settings settings;
	new_b = m->buckets[bucket];
	assert_int_equal(store_bucket_settings_get(store, model_buckets[bucket], &settings), 0);
	int expected = 0;
	switch (model_pick(6)) {
	case 0:
		new_b.quota_bytes = model_pick(2) ? 0 : 100000 + model_pick(800000);
		break;
	case 1:
		new_b.quota_objects = model_pick(2) ? 0 : 5 + model_pick(40);
		break;
	case 2:
		assert_int_equal(store_tenant_quota_set(store, model_tenants[BUCKETS - 1],
							m->tenant_bytes = model_pick(3) * 200000,
							0),
				 0);
		break;
	default:
		new_b.versioning = (enum store_versioning)model_pick(3);
		if (new_b.versioning == STORE_VERSIONING_OFF &&
		    m->buckets[bucket].versioning != STORE_VERSIONING_OFF)
			expected = -EINVAL;
		/* Long enough without versions. */
		if (bucket == 0 && random() % 8 != 0)
			return;
		break;
	}
	settings.versioning = new_b.versioning;
	settings.quota_bytes = new_b.quota_bytes;
	settings.quota_objects = new_b.quota_objects;
	settings.is_encrypted = model_pick(2) == 0;
	settings.is_compressed = model_pick(2) == 0;
	settle(m, bucket, &new_b, expected,
	       store_bucket_settings_set(store, model_buckets[bucket], &settings));
}

static void step(struct store *store, struct model *m)
{
	int bucket = (int)model_pick(BUCKETS), key = (int)model_pick(KEYS);
	unsigned dice = model_pick(100);
	if (dice < 40)
		do_put(store, m, bucket, key);
	else if (dice < 50)
		do_delete_latest(store, m, bucket, key);
	else if (dice < 78)
		do_delete_version(store, m, bucket, key);
	else if (dice < 86)
		do_rename(store, m, bucket, key, (int)model_pick(KEYS));
	else if (dice < 97)
		do_update(store, m, bucket, key);
	else
		do_settings(store, m, bucket);
}

static void test_random_changes(void **state)
{
	struct fixture *f = *state;
	struct model *m = calloc(1, sizeof(*m));
	struct store_bucket_settings settings = {.tenant = "plant-1"};
	assert_non_null(m);
	print_message("seed %lu\n", run_seed);
	srandom((unsigned)run_seed);
	for (int b = 0; b < BUCKETS; b++)
		assert_int_equal(store_bucket_create(f->store, model_buckets[b]), 0);
	assert_int_equal(store_bucket_settings_set(f->store, model_buckets[BUCKETS - 1], &settings),
			 0);
	for (unsigned i = 0; i < run_steps; i++) {
		step(f->store, m);
		if (i % 61 == 0)
			model_check(f->store, m);
		if (i % 401 == 400) {
			fixture_reopen(f);
			model_check(f->store, m);
		}
	}
	model_check(f->store, m);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(m->refused); i++)
		assert_true(m->refused[i] > 0);
	free(m);
}

int main(int argc, char **argv)
{
	run_seed = argc > 1 ? strtoul(argv[1], NULL, 10) : (unsigned long)(eos_now_ns() % 1000000);
	run_steps = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : run_steps;
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_random_changes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
