/*
 * Every fault point fails at every pass of a scripted workload. Each time: what was acknowledged is
 * there, what was refused left nothing, what failed with the disk is whole or absent, the store
 * opens again, its counts are right, everything can be read, and nothing is left over
 * (store_audit()).
 */
#include "store/store_fixture_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"

#define KEYS 6

/* What the store holds: contents (0: no object), and how many events. */
struct model {
	struct {
		uint64_t seed;
		size_t size;
	} objects[KEYS];
	uint64_t events;
};

enum action { PUT, PUT_ANYHOW, COPY, DELETE, RENAME, ACKNOWLEDGE, COMPACT };

struct step {
	enum action action;
	int key, other; /* other: the new key, or the copy's */
	size_t size;
};

static const struct step script[] = {
	{PUT, 0, 0, 100},   {PUT, 1, 0, 70000}, {PUT, 1, 0, 20000},  {RENAME, 1, 2, 0},
	{PUT, 3, 0, 5000},  {RENAME, 3, 2, 0},	{DELETE, 0, 0, 0},   {PUT, 4, 0, 140000},
	{ACKNOWLEDGE},	    {PUT, 0, 0, 16384}, {RENAME, 4, 0, 0},   {DELETE, 2, 0, 0},
	{PUT, 5, 0, 30000}, {DELETE, 0, 0, 0},	{PUT, 1, 0, 400000}, {PUT_ANYHOW, 3, 0, 50000},
	{COPY, 1, 4, 0},    {DELETE, 1, 0, 0},	{COPY, 4, 3, 0},     {COMPACT},
};

/* The last is long: two entries in the tree. */
static const char *key_name(int key)
{
	static char names[KEYS][600];
	if (names[key][0] == '\0') {
		memset(names[key], 'f', key == KEYS - 1 ? 590 : 3);
		names[key][0] = (char)('a' + key);
	}
	return names[key];
}

static uint64_t first_event;

static void match(void *ctx, const struct store_event *event,
		  void (*emit)(void *emit_ctx, const char *target, const char *rule),
		  void *emit_ctx)
{
	emit(emit_ctx, "t", NULL);
}

static int take_id(void *ctx, const struct store_event *event)
{
	first_event = event->id;
	return 1;
}

/* The model after a step that succeeds. False: the step has nothing to work on. */
static bool model_apply(struct model *m, const struct step *step, uint64_t seed)
{
	switch (step->action) {
	case PUT:
	case PUT_ANYHOW:
		m->objects[step->key].seed = seed;
		m->objects[step->key].size = step->size;
		m->events++;
		return true;
	case COPY:
		if (m->objects[step->key].seed == 0)
			return false;
		m->objects[step->other] = m->objects[step->key];
		m->events++;
		return true;
	case DELETE:
		if (m->objects[step->key].seed == 0)
			return false;
		m->objects[step->key].seed = 0;
		m->events++;
		return true;
	case RENAME:
		if (m->objects[step->key].seed == 0)
			return false;
		m->objects[step->other] = m->objects[step->key];
		m->objects[step->key].seed = 0;
		m->events += 2;
		return true;
	case ACKNOWLEDGE:
		if (m->events == 0)
			return false;
		m->events--;
		return true;
	case COMPACT:
		return true;
	}
	return false;
}

/* The second half first. */
static int put_anyhow(struct store *store, const char *key, uint64_t seed, size_t size)
{
	static char data[200000];
	struct store_upload *upload;
	size_t half = size / 2;
	content_fill(seed, 0, data, size);
	int err = store_upload_begin(store, "raw", key, strlen(key), NULL, &upload);
	if (err < 0)
		return err;
	err = store_upload_write(upload, data + half, size - half, half);
	if (err == 0)
		err = store_upload_write(upload, data, half, 0);
	if (err < 0) {
		store_upload_abort(upload);
		return err;
	}
	return store_upload_commit(upload, NULL, NULL);
}

static int copy(struct store *store, const char *from, const char *to)
{
	struct store_reader *reader;
	struct store_upload *upload;
	int err =
		store_reader_open(store, "raw", from, strlen(from), STORE_VERSION_LATEST, &reader);
	if (err < 0)
		return err;
	err = store_upload_begin(store, "raw", to, strlen(to), NULL, &upload);
	if (err == 0) {
		err = store_upload_append(upload, reader, 0, store_reader_info(reader)->size);
		if (err == 0)
			err = store_upload_commit(upload, NULL, NULL);
		else
			store_upload_abort(upload);
	}
	store_reader_close(reader);
	return err;
}

static int run_step(struct store *store, const struct step *step, uint64_t seed)
{
	const char *key = key_name(step->key), *other = key_name(step->other);
	switch (step->action) {
	case PUT:
		return object_put(store, "raw", key, seed, step->size);
	case PUT_ANYHOW:
		return put_anyhow(store, key, seed, step->size);
	case COPY:
		return copy(store, key, other);
	case DELETE:
		return store_object_delete(store, "raw", key, strlen(key), NULL, NULL);
	case RENAME:
		return store_object_rename(store, "raw", key, strlen(key), other, strlen(other));
	case ACKNOWLEDGE:
		if (store_outbox_list(store, 0, take_id, NULL) != 1)
			return -ENOENT;
		return store_outbox_remove(store, first_event);
	case COMPACT: {
		uint64_t freed;
		return store_compact(store, NULL, NULL, &freed);
	}
	}
	return -EINVAL;
}

static bool model_matches(struct store *store, const struct model *m)
{
	struct store_stats stats;
	uint64_t objects = 0, bytes = 0;
	for (int i = 0; i < KEYS; i++) {
		uint64_t seed = m->objects[i].seed;
		size_t size = m->objects[i].size;
		if (object_check(store, "raw", key_name(i), seed, size) !=
		    (seed == 0 ? -ENOENT : 0))
			return false;
		objects += seed != 0;
		bytes += seed != 0 ? size : 0;
	}
	assert_int_equal(store_stats(store, &stats), 0);
	return stats.objects == objects && stats.bytes == bytes && stats.outbox_events == m->events;
}

static uint64_t next_seed = 1;
static bool is_full; /* each error at each pass; else they take turns */

/* Runs the script with SPEC armed. Returns the first error, and the model of what must be there;
 * *RET_OTHER is what may be there instead. */
static int run_script(struct fixture *f, const char *spec, struct model *m, struct model *ret_other)
{
	int first = 0;
	assert_int_equal(eos_fault_arm(spec, NULL), 0);
	*ret_other = *m;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(script); i++) {
		struct model after = *m;
		uint64_t seed = next_seed++;
		bool is_possible = model_apply(&after, &script[i], seed);
		int err = run_step(f->store, &script[i], seed);
		if (err == 0) {
			assert_true(is_possible);
			*m = *ret_other = after;
			continue;
		}
		if (err == -ENOENT && !is_possible)
			continue;
		if (first == 0)
			first = err;
		/* Only the disk's failure leaves doubt, and after it nothing is written. */
		if (err == -EIO && local_check_writable(local_of(f->store)) < 0)
			*ret_other = after;
		else if (err != -EROFS)
			assert_true(model_matches(f->store, m));
	}
	assert_int_equal(eos_fault_arm(NULL, NULL), 0);
	return first;
}

static void run_round(struct fixture *f, const char *point, const char *action, unsigned nth,
		      struct model *m)
{
	char spec[80];
	struct model other;
	snprintf(spec, sizeof(spec), "%s:%u=%s", point, nth, action);
	int err = run_script(f, spec, m, &other);
	if (err != 0 && err != -EIO && err != -ENOSPC && err != -ENOMEM)
		fail_msg("%s: error %d", spec, err);
	if (!model_matches(f->store, m) && !model_matches(f->store, &other))
		fail_msg("%s: not what was acknowledged, before close", spec);
	fixture_reopen(f);
	store_set_matcher(f->store, match, NULL, NULL);
	if (!model_matches(f->store, m)) {
		if (!model_matches(f->store, &other))
			fail_msg("%s: not what was acknowledged, after reopen", spec);
		*m = other;
	}
	if (staging_files_count(f->dir) != 0)
		fail_msg("%s: files left over", spec);
}

/* With IS_ENCRYPTED the bucket is encrypted all the time, and each third pass is enough when not
 * all is wanted: the rest is the same. */
static void fail_each_pass(struct fixture *f, bool is_encrypted)
{
	static const struct {
		const char *name;
		unsigned passes; /* a little more than the script has */
	} points[] = {
		{"store.staging_create", 2}, {"store.staging_write", 4},
		{"store.staging_read", 3},   {"store.segment_create", 3},
		{"store.dir_fsync", 2},	     {"store.segment_write", 9},
		{"store.segment_fsync", 9},  {"store.txn_begin", 30},
		{"store.txn_put", 220},	     {"store.txn_commit", 30},
		{"store.segment_unlink", 2}, {"store.segment_read", 30},
		{"store.key_write", 1},	     {"store.key_fsync", 2},
		{"store.key_rename", 1},     {"store.key_read", 1},
	};
	static const char *const actions[] = {"EIO", "ENOSPC", "ENOMEM"};
	const struct store_bucket_settings settings = {.is_encrypted = is_encrypted};
	struct model m = {0};
	/* No multiple of the actions' number: so each has its turn. */
	bool is_sparse = is_encrypted || getenv("EDGEOS_SPARSE") != NULL;
	unsigned step = is_sparse && !is_full ? 4 : 1;
	/* Each round logs what it broke. */
	int saved = dup(STDERR_FILENO), null = open("/dev/null", O_WRONLY);
	if (getenv("KEEP_LOG") == NULL)
		dup2(null, STDERR_FILENO);
	store_set_matcher(f->store, match, NULL, NULL);
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	assert_int_equal(store_bucket_settings_set(f->store, "raw", &settings), 0);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(points); i++) {
		for (unsigned nth = 1; nth <= points[i].passes; nth += step) {
			for (size_t a = 0; a < EOS_ARRAY_SIZE(actions); a++) {
				if (is_full || a == nth % EOS_ARRAY_SIZE(actions))
					run_round(f, points[i].name, actions[a], nth, &m);
			}
		}
	}
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(null);
}

static void test_each_point_at_each_pass(void **state)
{
	fail_each_pass(*state, false);
}

static void test_each_point_encrypted(void **state)
{
	fail_each_pass(*state, true);
}

/* After the disk failed nothing is acknowledged, and everything can be read. */
static void test_read_only_for_good(void **state)
{
	static const char *const specs[] = {"store.segment_fsync:1=EIO", "store.txn_commit:1=EIO"};
	struct fixture *f = *state;
	struct store_upload *upload;
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	assert_int_equal(object_put(f->store, "raw", "a", 1, 50000), 0);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(specs); i++) {
		assert_int_equal(store_upload_begin(f->store, "raw", "b", 1, NULL, &upload), 0);
		assert_int_equal(store_upload_write(upload, "b", 1, 50000), 0);
		assert_int_equal(eos_fault_arm(specs[i], NULL), 0);
		assert_int_equal(object_put(f->store, "raw", "a", 2, 60000), -EIO);
		assert_int_equal(eos_fault_arm(NULL, NULL), 0);
		assert_int_equal(object_put(f->store, "raw", "a", 3, 10), -EROFS);
		assert_int_equal(store_upload_commit(upload, NULL, NULL), -EROFS);
		assert_int_equal(store_bucket_create(f->store, "cooked"), -EROFS);
		assert_int_equal(store_bucket_delete(f->store, "raw"), -EROFS);
		assert_int_equal(store_object_delete(f->store, "raw", "a", 1, NULL, NULL), -EROFS);
		assert_int_equal(store_object_rename(f->store, "raw", "a", 1, "b", 1), -EROFS);
		assert_int_equal(store_outbox_remove(f->store, 1), -EROFS);
		assert_int_equal(store_outbox_retry(f->store, 1, 0), -EROFS);
		assert_int_equal(object_check(f->store, "raw", "a", 1, 50000), 0);
		fixture_reopen(f);
		assert_int_equal(object_check(f->store, "raw", "a", 1, 50000), 0);
	}
}

/* A failed write is remembered: a caller that goes on cannot commit a hole. */
static void test_failed_write_cannot_be_committed(void **state)
{
	struct fixture *f = *state;
	struct store_upload *upload;
	static char piece[30000];
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	assert_int_equal(store_upload_begin(f->store, "raw", "a", 1, NULL, &upload), 0);
	assert_int_equal(eos_fault_arm("store.segment_write:1=ENOSPC", NULL), 0);
	/* The first MiB that is written to a segment. */
	uint64_t offset = 0;
	int err = 0;
	for (; err == 0 && offset < (4u << 20); offset += sizeof(piece)) {
		content_fill(5, offset, piece, sizeof(piece));
		err = store_upload_write(upload, piece, sizeof(piece), offset);
	}
	assert_int_equal(err, -ENOSPC);
	assert_int_equal(store_upload_write(upload, piece, sizeof(piece), offset), -ENOSPC);
	assert_int_equal(store_upload_truncate(upload, 0), -ENOSPC);
	assert_int_equal(store_upload_read(upload, piece, 10, 0), -ENOSPC);
	assert_int_equal(store_upload_commit(upload, NULL, NULL), -ENOSPC);
	assert_int_equal(object_check(f->store, "raw", "a", 0, 0), -ENOENT);
	assert_int_equal(staging_files_count(f->dir), 0);
}

/* When the disk is nearly full nothing is taken, but everything can be read and deleted. */
static void test_full_disk(void **state)
{
	struct fixture *f = *state;
	struct local *local = local_of(f->store);
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	assert_int_equal(object_put(f->store, "raw", "a", 1, 50000), 0);
	assert_int_equal(object_put(f->store, "raw", "b", 2, 100), 0);
	assert_true(atomic_load(&local->has_reserve));
	assert_int_equal(eos_fault_arm("store.space:*=ENOSPC", NULL), 0);
	assert_int_equal(object_put(f->store, "raw", "c", 3, 50000), -ENOSPC);
	assert_int_equal(object_put(f->store, "raw", "c", 3, 100), -ENOSPC);
	assert_int_equal(object_check(f->store, "raw", "a", 1, 50000), 0);
	assert_int_equal(store_object_delete(f->store, "raw", "b", 1, NULL, NULL), 0);
	assert_true(atomic_load(&local->has_reserve));
	/* Not even a transaction fits: the batch fails, then the change alone. */
	store_reclaim(f->store);
	assert_int_equal(eos_fault_arm("store.txn_put:8=ENOSPC,store.txn_commit:1=ENOSPC", NULL),
			 0);
	assert_int_equal(store_object_delete(f->store, "raw", "a", 1, NULL, NULL), 0);
	assert_false(atomic_load(&local->has_reserve));
	assert_int_equal(eos_fault_arm(NULL, NULL), 0);
	assert_int_equal(object_put(f->store, "raw", "c", 3, 50000), 0);
}

/* One object replaced again and again: the reclaimer keeps up. */
static void test_many_replaced(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	for (uint64_t i = 1; i <= 1500; i++)
		assert_int_equal(object_put(f->store, "raw", "a", i, 17000), 0);
	assert_int_equal(store_chunks_count(f->store), 1);
	fixture_reopen(f);
	assert_int_equal(object_check(f->store, "raw", "a", 1500, 17000), 0);
	assert_int_equal(store_chunks_count(f->store), 1);
}

int main(int argc, char **argv)
{
	is_full = argc > 1 && strcmp(argv[1], "full") == 0;
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_each_point_at_each_pass), TEST(test_each_point_encrypted),
		TEST(test_read_only_for_good),	    TEST(test_failed_write_cannot_be_committed),
		TEST(test_many_replaced),	    TEST(test_full_disk),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
