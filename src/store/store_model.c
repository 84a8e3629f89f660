#include "store/store_model_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const model_buckets[BUCKETS] = {"aaa", "bbb", "ccc"};
/* The last bucket has a tenant of its own. */
const char *const model_tenants[BUCKETS] = {"", "", "plant-1"};

unsigned model_pick(unsigned n)
{
	return (unsigned)random() % n;
}

const char *model_key_name(int key)
{
	static char names[KEYS][900];
	static const char *const shorts[KEYS] = {"a", "dir/a", "dir/b", "dir/sub/c", "e"};
	if (shorts[key] != NULL)
		return shorts[key];
	if (names[key][0] == '\0')
		memset(names[key], 'f', key == 5 ? 500 : 890);
	return names[key];
}

struct store_usage model_usage(const struct bucket *b)
{
	struct store_usage usage = {0};
	for (int k = 0; k < KEYS; k++) {
		for (unsigned v = 0; v < b->keys[k].count; v++) {
			usage.objects += !b->keys[k].versions[v].is_marker;
			usage.bytes += b->keys[k].versions[v].size;
		}
	}
	return usage;
}

struct version *model_latest(struct key *k)
{
	return k->count > 0 && !k->versions[0].is_marker ? &k->versions[0] : NULL;
}

struct version *model_find_version(struct key *k, uint64_t id)
{
	for (unsigned v = 0; v < k->count; v++) {
		if (k->versions[v].id == id)
			return &k->versions[v];
	}
	return NULL;
}

void model_remove_at(struct key *k, unsigned at)
{
	k->count--;
	memmove(&k->versions[at], &k->versions[at + 1], (k->count - at) * sizeof(k->versions[0]));
}

int model_push(struct bucket *b, struct key *k, struct version version)
{
	if (b->versioning != STORE_VERSIONING_ENABLED) {
		struct version *null = model_find_version(k, STORE_VERSION_NULL);
		if (null != NULL && null->is_held)
			return -EPERM;
		if (null != NULL)
			model_remove_at(k, (unsigned)(null - k->versions));
		version.id = STORE_VERSION_NULL;
	}
	assert_true(k->count < VERSIONS_MAX);
	memmove(&k->versions[1], &k->versions[0], k->count * sizeof(k->versions[0]));
	k->versions[0] = version;
	k->count++;
	return 0;
}

int model_check_quota(const struct model *m, int bucket, const struct bucket *new_b)
{
	const struct bucket *b = &m->buckets[bucket];
	struct store_usage was = model_usage(b), will = model_usage(new_b);
	if (will.bytes > was.bytes && b->quota_bytes != 0 && will.bytes > b->quota_bytes)
		return -EDQUOT;
	if (will.objects > was.objects && b->quota_objects != 0 && will.objects > b->quota_objects)
		return -EDQUOT;
	if (bucket == BUCKETS - 1 && will.bytes > was.bytes && m->tenant_bytes != 0 &&
	    will.bytes > m->tenant_bytes)
		return -EDQUOT;
	return 0;
}

/* Numbers in several forms, and texts among them. */
static void number_text(int number, char out[16])
{
	static const char *const forms[] = {"%d", "v%d", "%d.0", "-%d", "0%d"};
	snprintf(out, 16, forms[number % 5], number);
}

void model_add_metadata(struct store_object_info *info, const struct version *version)
{
	char text[16];
	info->metadata_len = 0;
	assert_int_equal(store_metadata_add(info, "content-type", "text/csv"), 0);
	if (version->color >= 0) {
		snprintf(text, sizeof(text), "c%d", version->color);
		assert_int_equal(store_metadata_add(info, STORE_META_TAG "color", text), 0);
	}
	if (version->number >= 0) {
		number_text(version->number, text);
		assert_int_equal(store_metadata_add(info, STORE_META_USER "n", text), 0);
	}
	if (version->is_held)
		assert_int_equal(store_metadata_add(info, STORE_META_LEGAL_HOLD, "ON"), 0);
}

/* Reads one version whole. */
static void check_version(struct store *store, int bucket, int key, uint64_t id,
			  const struct version *version, bool is_latest)
{
	static struct store_object_info info, expected;
	static char got[100000], data[100000];
	const char *name = model_key_name(key);
	struct store_reader *reader;
	int err = store_object_get(store, model_buckets[bucket], name, strlen(name), id, &info);
	bool is_found = version != NULL && (!version->is_marker || id != STORE_VERSION_LATEST);
	assert_int_equal(err, is_found ? 0 : -ENOENT);
	assert_int_equal(info.is_delete_marker, version != NULL && version->is_marker);
	if (version != NULL) {
		assert_int_equal(info.version, version->id);
		assert_int_equal(info.is_latest, is_latest);
	}
	err = store_reader_open(store, model_buckets[bucket], name, strlen(name), id, &reader);
	if (version == NULL || version->is_marker) {
		assert_int_equal(err, -ENOENT);
		return;
	}
	assert_int_equal(err, 0);
	model_add_metadata(&expected, version);
	assert_int_equal(info.metadata_len, expected.metadata_len);
	assert_memory_equal(info.metadata, expected.metadata, expected.metadata_len);
	assert_int_equal(store_reader_info(reader)->version, version->id);
	assert_int_equal(store_reader_info(reader)->is_latest, is_latest);
	assert_int_equal(store_reader_read(reader, got, sizeof(got), 0), version->size);
	content_fill(version->seed, 0, data, version->size);
	assert_memory_equal(got, data, version->size);
	store_reader_close(reader);
}

struct walk {
	const struct bucket *bucket;
	int key;
	unsigned version, count;
	char last_key[STORE_KEY_MAX];
	size_t last_len;
	uint64_t last_version;
};

/* To the next version at or behind the place. False: there is none. */
static bool advance(struct walk *w)
{
	while (w->key < KEYS && w->version >= w->bucket->keys[w->key].count) {
		w->key++;
		w->version = 0;
	}
	return w->key < KEYS;
}

static int check_entry(void *ctx, const struct store_list_entry *entry)
{
	struct walk *w = ctx;
	assert_true(advance(w));
	const struct version *version = &w->bucket->keys[w->key].versions[w->version];
	assert_int_equal(entry->key_len, strlen(model_key_name(w->key)));
	assert_memory_equal(entry->key, model_key_name(w->key), entry->key_len);
	assert_int_equal(entry->info->version, version->id);
	assert_int_equal(entry->info->is_delete_marker, version->is_marker);
	assert_int_equal(entry->info->is_latest, w->version == 0);
	assert_int_equal(entry->info->size, version->size);
	memcpy(w->last_key, entry->key, entry->key_len);
	w->last_len = entry->key_len;
	w->last_version = version->id;
	w->version++;
	w->count++;
	return 0;
}

static void check_versions(struct store *store, const struct bucket *b, int bucket)
{
	struct walk w = {.bucket = b};
	struct store_list_query query = {.limit = 1 + model_pick(9)};
	bool more = true;
	while (more) {
		w.count = 0;
		assert_int_equal(store_version_list(store, model_buckets[bucket], &query,
						    query.after_len == 0 ? STORE_VERSION_LATEST
									 : w.last_version,
						    check_entry, &w, &more),
				 0);
		assert_true(w.count == query.limit || !more);
		query.after = w.last_key;
		query.after_len = w.last_len;
	}
	assert_false(advance(&w));
}

static int append_key(void *ctx, const struct store_list_entry *entry)
{
	char *text = ctx;
	size_t len = strlen(text);
	snprintf(text + len, 8000 - len, "%.*s%s ", (int)entry->key_len, entry->key,
		 entry->is_prefix ? "*" : "");
	return 0;
}

static void check_objects(struct store *store, struct bucket *b, int bucket)
{
	static char got[8000], expected[8000];
	struct store_list_query query = {.delimiter = "/", .delimiter_len = 1, .limit = 100};
	bool more, has_dir = model_latest(&b->keys[1]) || model_latest(&b->keys[2]) ||
			     model_latest(&b->keys[3]);
	got[0] = expected[0] = '\0';
	for (int k = 0; k < KEYS; k++) {
		size_t len = strlen(expected);
		bool is_in_dir = k >= 1 && k <= 3;
		if (k == 1 && has_dir)
			snprintf(expected + len, sizeof(expected) - len, "dir/* ");
		else if (!is_in_dir && model_latest(&b->keys[k]))
			snprintf(expected + len, sizeof(expected) - len, "%s ", model_key_name(k));
	}
	assert_int_equal(
		store_object_list(store, model_buckets[bucket], &query, append_key, got, &more), 0);
	assert_string_equal(got, expected);
	assert_false(more);
}

struct found {
	const struct model *model;
	bool has[BUCKETS][KEYS];
};

static int take_found(void *ctx, const char *bucket, const struct store_list_entry *entry)
{
	struct found *found = ctx;
	for (int b = 0; b < BUCKETS; b++) {
		for (int k = 0; k < KEYS; k++) {
			const char *name = model_key_name(k);
			if (strcmp(bucket, model_buckets[b]) != 0 ||
			    entry->key_len != strlen(name) ||
			    memcmp(entry->key, name, entry->key_len) != 0)
				continue;
			assert_false(found->has[b][k]);
			found->has[b][k] = true;
			assert_int_equal(entry->info->version,
					 found->model->buckets[b].keys[k].versions[0].id);
			return 0;
		}
	}
	fail_msg("found %s %.*s", bucket, (int)entry->key_len, entry->key);
	return 0;
}

static bool is_true(const char *value, const struct store_find_term *term)
{
	char *end_a, *end_b;
	double a = strtod(value, &end_a), b = strtod(term->value, &end_b);
	int order =
		*end_a == '\0' && *end_b == '\0' ? (a > b) - (a < b) : strcmp(value, term->value);
	switch (term->op) {
	case STORE_FIND_EQ:
		return order == 0;
	case STORE_FIND_LT:
		return order < 0;
	case STORE_FIND_LE:
		return order <= 0;
	case STORE_FIND_GT:
		return order > 0;
	case STORE_FIND_GE:
		return order >= 0;
	}
	return false;
}

static bool matches(const struct version *version, const struct store_find_query *q, int key)
{
	char color[16], number[16];
	if (version == NULL || strncmp(model_key_name(key), q->prefix, strlen(q->prefix)) != 0)
		return false;
	for (size_t i = 0; i < q->terms_count; i++) {
		bool is_color = strcmp(q->terms[i].name, STORE_META_TAG "color") == 0;
		if ((is_color ? version->color : version->number) < 0)
			return false;
		snprintf(color, sizeof(color), "c%d", version->color);
		if (version->number >= 0)
			number_text(version->number, number);
		if (!is_true(is_color ? color : number, &q->terms[i]))
			return false;
	}
	return true;
}

static void check_find(struct store *store, struct model *m)
{
	char color[16], number[16];
	struct store_find_term terms[2] = {
		{STORE_META_TAG "color", color, (enum store_find_op)model_pick(5)},
		{STORE_META_USER "n", number, (enum store_find_op)model_pick(5)},
	};
	int only = (int)model_pick(BUCKETS + 1);
	struct store_find_query query = {
		.bucket = only < BUCKETS ? model_buckets[only] : NULL,
		.prefix = model_pick(2) ? "" : "dir/",
		.terms = &terms[model_pick(2)],
		.until_ns = UINT64_MAX,
		.limit = 100,
	};
	query.terms_count = query.terms == terms ? model_pick(3) : model_pick(2);
	snprintf(color, sizeof(color), "c%u", model_pick(COLORS));
	number_text((int)model_pick(30), number);
	struct found found = {.model = m};
	bool more;
	assert_int_equal(store_find(store, &query, take_found, &found, &more), 0);
	assert_false(more);
	for (int b = 0; b < BUCKETS; b++) {
		for (int k = 0; k < KEYS; k++) {
			bool is_expected = (only == BUCKETS || only == b) &&
					   matches(model_latest(&m->buckets[b].keys[k]), &query, k);
			assert_int_equal(found.has[b][k], is_expected);
		}
	}
}

void model_check(struct store *store, struct model *m)
{
	struct store_usage usage, sum = {0}, tenant = {0};
	struct store_stats stats;
	for (int b = 0; b < BUCKETS; b++) {
		struct bucket *bucket = &m->buckets[b];
		for (int k = 0; k < KEYS; k++) {
			struct key *key = &bucket->keys[k];
			check_version(store, b, k, STORE_VERSION_LATEST,
				      key->count > 0 ? &key->versions[0] : NULL, true);
			for (unsigned v = 0; v < key->count; v++)
				check_version(store, b, k, key->versions[v].id, &key->versions[v],
					      v == 0);
			check_version(store, b, k, STORE_VERSION_NULL, model_find_version(key, 0),
				      key->count > 0 && key->versions[0].id == 0);
		}
		check_versions(store, bucket, b);
		check_objects(store, bucket, b);
		struct store_usage expected = model_usage(bucket);
		assert_int_equal(store_bucket_usage(store, model_buckets[b], &usage), 0);
		assert_int_equal(usage.objects, expected.objects);
		assert_int_equal(usage.bytes, expected.bytes);
		sum.objects += usage.objects;
		sum.bytes += usage.bytes;
		if (b == BUCKETS - 1)
			tenant = usage;
	}
	for (int i = 0; i < 40; i++)
		check_find(store, m);
	assert_int_equal(store_stats(store, &stats), 0);
	assert_int_equal(stats.objects, sum.objects);
	assert_int_equal(stats.bytes, sum.bytes);
	assert_int_equal(store_tenant_usage(store, model_tenants[BUCKETS - 1], &usage), 0);
	assert_memory_equal(&usage, &tenant, sizeof(usage));
	assert_int_equal(store_tenant_usage(store, "", &usage), 0);
	assert_int_equal(usage.objects, sum.objects - tenant.objects);
	assert_int_equal(usage.bytes, sum.bytes - tenant.bytes);
}
