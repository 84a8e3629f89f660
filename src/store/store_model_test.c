/*
 * Thousands of random changes, with the store opened anew in between, compared with a model in
 * memory that knows no more than the rules of store.h: a list of versions a key, the newest first.
 * The seed is printed; a seed as argument repeats a run.
 */
#include "store/store_fixture_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define BUCKETS	     3
#define KEYS	     7
#define VERSIONS_MAX 40
#define COLORS	     4

static const char *const bucket_names[BUCKETS] = {"aaa", "bbb", "ccc"};
/* The last bucket has a tenant of its own. */
static const char *const tenant_names[BUCKETS] = {"", "", "plant-1"};

struct version {
	uint64_t id, seed;
	size_t size;
	bool is_marker, is_held;
	int color, number; /* -1: none */
};

struct key {
	unsigned count;
	struct version versions[VERSIONS_MAX]; /* the latest first */
};

struct bucket {
	enum store_versioning versioning;
	uint64_t quota_bytes, quota_objects;
	struct key keys[KEYS];
};

struct model {
	struct bucket buckets[BUCKETS];
	uint64_t tenant_bytes; /* quota of plant-1 */
	uint64_t last_sequence;
	unsigned refused[3]; /* EDQUOT, EPERM, ESTALE: the run must have met each */
};

static unsigned long run_seed;
static unsigned run_steps = 4000;

static unsigned pick(unsigned n)
{
	return (unsigned)random() % n;
}

/* In byte order. */
static const char *key_name(int key)
{
	static char names[KEYS][900];
	static const char *const shorts[KEYS] = {"a", "dir/a", "dir/b", "dir/sub/c", "e"};
	if (shorts[key] != NULL)
		return shorts[key];
	if (names[key][0] == '\0')
		memset(names[key], 'f', key == 5 ? 500 : 890);
	return names[key];
}

static struct store_usage bucket_usage(const struct bucket *b)
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

static struct version *latest(struct key *k)
{
	return k->count > 0 && !k->versions[0].is_marker ? &k->versions[0] : NULL;
}

static struct version *find(struct key *k, uint64_t id)
{
	for (unsigned v = 0; v < k->count; v++) {
		if (k->versions[v].id == id)
			return &k->versions[v];
	}
	return NULL;
}

static void remove_at(struct key *k, unsigned at)
{
	k->count--;
	memmove(&k->versions[at], &k->versions[at + 1], (k->count - at) * sizeof(k->versions[0]));
}

/* VERSION becomes the latest. -EPERM. */
static int push(struct bucket *b, struct key *k, struct version version)
{
	if (b->versioning != STORE_VERSIONING_ENABLED) {
		struct version *null = find(k, STORE_VERSION_NULL);
		if (null != NULL && null->is_held)
			return -EPERM;
		if (null != NULL)
			remove_at(k, (unsigned)(null - k->versions));
		version.id = STORE_VERSION_NULL;
	}
	assert_true(k->count < VERSIONS_MAX);
	memmove(&k->versions[1], &k->versions[0], k->count * sizeof(k->versions[0]));
	k->versions[0] = version;
	k->count++;
	return 0;
}

/* -EDQUOT when NEW_B, which B shall become, adds what does not fit. */
static int check_quota(const struct model *m, int bucket, const struct bucket *new_b)
{
	const struct bucket *b = &m->buckets[bucket];
	struct store_usage was = bucket_usage(b), will = bucket_usage(new_b);
	if (will.bytes > was.bytes && b->quota_bytes != 0 && will.bytes > b->quota_bytes)
		return -EDQUOT;
	if (will.objects > was.objects && b->quota_objects != 0 && will.objects > b->quota_objects)
		return -EDQUOT;
	if (bucket == BUCKETS - 1 && will.bytes > was.bytes && m->tenant_bytes != 0 &&
	    will.bytes > m->tenant_bytes)
		return -EDQUOT;
	return 0;
}

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

/* Numbers in several forms, and texts among them. */
static void number_text(int number, char out[16])
{
	static const char *const forms[] = {"%d", "v%d", "%d.0", "-%d", "0%d"};
	snprintf(out, 16, forms[number % 5], number);
}

static void add_metadata(struct store_object_info *info, const struct version *version)
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

static void etag_of(struct store *store, int bucket, int key, char *out)
{
	static struct store_object_info info;
	const char *name = key_name(key);
	snprintf(out, STORE_ETAG_SIZE, "another");
	if (pick(4) != 0 && store_object_get(store, bucket_names[bucket], name, strlen(name),
					     STORE_VERSION_LATEST, &info) == 0)
		memcpy(out, info.etag, STORE_ETAG_SIZE);
}

static int upload(struct store *store, int bucket, int key, const struct version *version,
		  const struct store_put_options *options, struct store_object_info *info)
{
	static char data[100000];
	struct store_upload *u;
	const char *name = key_name(key);
	add_metadata(info, version);
	content_fill(version->seed, 0, data, version->size);
	int err = store_upload_begin(store, bucket_names[bucket], name, strlen(name),
				     pick(2) ? info : NULL, &u);
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
	struct store_put_options options = {.condition = (enum store_condition)pick(8)};
	new_b = m->buckets[bucket];
	struct key *k = &new_b.keys[key];
	struct version version = {
		.id = UINT64_MAX,
		.seed = next_seed++,
		.size = sizes[pick(EOS_ARRAY_SIZE(sizes))],
		.is_held = pick(16) == 0,
		.color = (int)pick(COLORS + 1) - 1,
		.number = (int)pick(30) - 1,
	};
	if (k->count == VERSIONS_MAX)
		return;
	const struct version *old = latest(k);
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
		expected = push(&new_b, k, version);
	if (expected == 0)
		expected = check_quota(m, bucket, &new_b);
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
	const char *name = key_name(key);
	new_b = m->buckets[bucket];
	struct key *k = &new_b.keys[key];
	bool has_versions = new_b.versioning != STORE_VERSIONING_OFF;
	int expected = 0;
	if (k->count == VERSIONS_MAX)
		return;
	if (pick(4) == 0)
		etag_of(store, bucket, key, removal.etag);
	if (latest(k) == NULL && (!has_versions || removal.etag[0] != '\0'))
		expected = -ENOENT;
	else if (removal.etag[1] == 'n')
		expected = -ESTALE;
	else if (has_versions)
		expected = push(
			&new_b, k,
			(struct version){
				.id = UINT64_MAX, .is_marker = true, .color = -1, .number = -1});
	else if (k->versions[0].is_held)
		expected = -EPERM;
	else
		remove_at(k, 0);
	int err = store_object_delete(store, bucket_names[bucket], name, strlen(name), &removal,
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
	const char *name = key_name(key);
	new_b = m->buckets[bucket];
	struct key *k = &new_b.keys[key];
	struct store_removal removal = {.bypasses_governance = pick(2) != 0};
	struct store_removed removed;
	if (pick(8) == 0)
		removal.version = pick(2) ? STORE_VERSION_NULL : 1 + pick(100);
	else if (k->count > 0)
		removal.version = k->versions[pick(k->count)].id;
	struct version *found = find(k, removal.version);
	int expected = found == NULL ? -ENOENT : found->is_held ? -EPERM : 0;
	bool is_marker = found != NULL && found->is_marker;
	if (expected == 0)
		remove_at(k, (unsigned)(found - k->versions));
	int err = store_object_delete(store, bucket_names[bucket], name, strlen(name), &removal,
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
	const char *name = key_name(key);
	assert_int_equal(store_object_get(store, bucket_names[bucket], name, strlen(name),
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
	const char *name = key_name(key), *new_name = key_name(other);
	new_b = m->buckets[bucket];
	struct key *from = &new_b.keys[key], *to = &new_b.keys[other];
	int expected = 0;
	if (key == other || from->count == VERSIONS_MAX || to->count == VERSIONS_MAX)
		return;
	if (latest(from) == NULL)
		expected = -ENOENT;
	else if (from->versions[0].is_held)
		expected = -EPERM;
	else
		expected = push(&new_b, to, from->versions[0]);
	if (expected == 0) {
		remove_at(from, 0);
		if (new_b.versioning != STORE_VERSIONING_OFF)
			expected = push(
				&new_b, from,
				(struct version){.is_marker = true, .color = -1, .number = -1});
	}
	int err = store_object_rename(store, bucket_names[bucket], name, strlen(name), new_name,
				      strlen(new_name));
	if (err == 0 && new_b.versioning == STORE_VERSIONING_ENABLED) {
		struct store_list_query query = {
			.prefix = name, .prefix_len = strlen(name), .limit = 1};
		bool more;
		to->versions[0].id = version_of(store, bucket, other);
		assert_int_equal(store_version_list(store, bucket_names[bucket], &query,
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
	add_metadata(info, version);
	return 0;
}

static void do_update(struct store *store, struct model *m, int bucket, int key)
{
	static struct bucket new_b;
	const char *name = key_name(key);
	new_b = m->buckets[bucket];
	struct key *k = &new_b.keys[key];
	uint64_t id =
		pick(2) || k->count == 0 ? STORE_VERSION_LATEST : k->versions[pick(k->count)].id;
	struct version *found = id == STORE_VERSION_LATEST ? latest(k) : find(k, id);
	struct version to = found != NULL ? *found : (struct version){0};
	to.is_held = pick(16) == 0;
	to.color = (int)pick(COLORS + 1) - 1;
	to.number = (int)pick(30) - 1;
	int expected = found == NULL	  ? -ENOENT
		       : found->is_marker ? -EINVAL
		       : to.number == 13  ? -ECANCELED
					  : 0;
	if (expected == 0)
		*found = to;
	int err = store_object_update(store, bucket_names[bucket], name, strlen(name), id,
				      change_metadata, &to);
	settle(m, bucket, &new_b, expected, err);
}

static void do_settings(struct store *store, struct model *m, int bucket)
{
	static struct bucket new_b;
	struct store_bucket_settings settings;
	new_b = m->buckets[bucket];
	assert_int_equal(store_bucket_settings_get(store, bucket_names[bucket], &settings), 0);
	int expected = 0;
	switch (pick(6)) {
	case 0:
		new_b.quota_bytes = pick(2) ? 0 : 100000 + pick(800000);
		break;
	case 1:
		new_b.quota_objects = pick(2) ? 0 : 5 + pick(40);
		break;
	case 2:
		assert_int_equal(store_tenant_quota_set(store, tenant_names[BUCKETS - 1],
							m->tenant_bytes = pick(3) * 200000, 0),
				 0);
		break;
	default:
		new_b.versioning = (enum store_versioning)pick(3);
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
	settle(m, bucket, &new_b, expected,
	       store_bucket_settings_set(store, bucket_names[bucket], &settings));
}

/* Reads one version whole. */
static void check_version(struct store *store, int bucket, int key, uint64_t id,
			  const struct version *version, bool is_latest)
{
	static struct store_object_info info, expected;
	static char got[100000], data[100000];
	const char *name = key_name(key);
	struct store_reader *reader;
	int err = store_object_get(store, bucket_names[bucket], name, strlen(name), id, &info);
	bool is_found = version != NULL && (!version->is_marker || id != STORE_VERSION_LATEST);
	assert_int_equal(err, is_found ? 0 : -ENOENT);
	assert_int_equal(info.is_delete_marker, version != NULL && version->is_marker);
	if (version != NULL) {
		assert_int_equal(info.version, version->id);
		assert_int_equal(info.is_latest, is_latest);
	}
	err = store_reader_open(store, bucket_names[bucket], name, strlen(name), id, &reader);
	if (version == NULL || version->is_marker) {
		assert_int_equal(err, -ENOENT);
		return;
	}
	assert_int_equal(err, 0);
	add_metadata(&expected, version);
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
	assert_int_equal(entry->key_len, strlen(key_name(w->key)));
	assert_memory_equal(entry->key, key_name(w->key), entry->key_len);
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
	struct store_list_query query = {.limit = 1 + pick(9)};
	bool more = true;
	while (more) {
		w.count = 0;
		assert_int_equal(store_version_list(store, bucket_names[bucket], &query,
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
	bool more, has_dir = latest(&b->keys[1]) || latest(&b->keys[2]) || latest(&b->keys[3]);
	got[0] = expected[0] = '\0';
	for (int k = 0; k < KEYS; k++) {
		size_t len = strlen(expected);
		bool is_in_dir = k >= 1 && k <= 3;
		if (k == 1 && has_dir)
			snprintf(expected + len, sizeof(expected) - len, "dir/* ");
		else if (!is_in_dir && latest(&b->keys[k]))
			snprintf(expected + len, sizeof(expected) - len, "%s ", key_name(k));
	}
	assert_int_equal(
		store_object_list(store, bucket_names[bucket], &query, append_key, got, &more), 0);
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
			const char *name = key_name(k);
			if (strcmp(bucket, bucket_names[b]) != 0 ||
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
	if (version == NULL || strncmp(key_name(key), q->prefix, strlen(q->prefix)) != 0)
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
		{STORE_META_TAG "color", color, (enum store_find_op)pick(5)},
		{STORE_META_USER "n", number, (enum store_find_op)pick(5)},
	};
	int only = (int)pick(BUCKETS + 1);
	struct store_find_query query = {
		.bucket = only < BUCKETS ? bucket_names[only] : NULL,
		.prefix = pick(2) ? "" : "dir/",
		.terms = &terms[pick(2)],
		.until_ns = UINT64_MAX,
		.limit = 100,
	};
	query.terms_count = query.terms == terms ? pick(3) : pick(2);
	snprintf(color, sizeof(color), "c%u", pick(COLORS));
	number_text((int)pick(30), number);
	struct found found = {.model = m};
	bool more;
	assert_int_equal(store_find(store, &query, take_found, &found, &more), 0);
	assert_false(more);
	for (int b = 0; b < BUCKETS; b++) {
		for (int k = 0; k < KEYS; k++) {
			bool is_expected = (only == BUCKETS || only == b) &&
					   matches(latest(&m->buckets[b].keys[k]), &query, k);
			assert_int_equal(found.has[b][k], is_expected);
		}
	}
}

static void check_all(struct store *store, struct model *m)
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
			check_version(store, b, k, STORE_VERSION_NULL, find(key, 0),
				      key->count > 0 && key->versions[0].id == 0);
		}
		check_versions(store, bucket, b);
		check_objects(store, bucket, b);
		struct store_usage expected = bucket_usage(bucket);
		assert_int_equal(store_bucket_usage(store, bucket_names[b], &usage), 0);
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
	assert_int_equal(store_tenant_usage(store, tenant_names[BUCKETS - 1], &usage), 0);
	assert_memory_equal(&usage, &tenant, sizeof(usage));
	assert_int_equal(store_tenant_usage(store, "", &usage), 0);
	assert_int_equal(usage.objects, sum.objects - tenant.objects);
	assert_int_equal(usage.bytes, sum.bytes - tenant.bytes);
}

static void step(struct store *store, struct model *m)
{
	int bucket = (int)pick(BUCKETS), key = (int)pick(KEYS);
	unsigned dice = pick(100);
	if (dice < 40)
		do_put(store, m, bucket, key);
	else if (dice < 50)
		do_delete_latest(store, m, bucket, key);
	else if (dice < 78)
		do_delete_version(store, m, bucket, key);
	else if (dice < 86)
		do_rename(store, m, bucket, key, (int)pick(KEYS));
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
		assert_int_equal(store_bucket_create(f->store, bucket_names[b]), 0);
	assert_int_equal(store_bucket_settings_set(f->store, bucket_names[BUCKETS - 1], &settings),
			 0);
	for (unsigned i = 0; i < run_steps; i++) {
		step(f->store, m);
		if (i % 61 == 0)
			check_all(f->store, m);
		if (i % 401 == 400) {
			fixture_reopen(f);
			check_all(f->store, m);
		}
	}
	check_all(f->store, m);
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
