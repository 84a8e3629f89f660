/*
 * The scrub: it finds what reads would find, tells of the object, lives with changes, stops at
 * once, and goes on where it was.
 */
#include "store/store_fixture_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/file.h"
#include "store/store_metadata_priv.h"

#define LARGE	  300000u
#define FAST	  (UINT64_C(1) << 40)
#define LONG_NS	  (UINT64_C(86400) * EOS_NS_PER_S)
#define WAIT_MS	  20000u
#define SLOW_RATE STORE_SCRUB_RATE_MIN

static int setup(void **state)
{
	assert_int_equal(fixture_setup(state), 0);
	struct fixture *f = *state;
	return store_bucket_create(f->store, "raw");
}

static struct store_scrub get(struct fixture *f)
{
	struct store_scrub scrub;
	assert_int_equal(store_scrub_get(f->store, &scrub), 0);
	return scrub;
}

/* Runs one more pass to its end, and returns how it was. */
static struct store_scrub pass(struct fixture *f)
{
	uint64_t before = get(f).passes;
	assert_int_equal(store_scrub_set(f->store, FAST, 0), 0);
	for (unsigned i = 0; i < WAIT_MS && get(f).passes == before; i++)
		usleep(1000);
	assert_int_equal(store_scrub_set(f->store, FAST, LONG_NS), 0);
	/* With no interval another one may have begun. */
	for (unsigned i = 0; i < WAIT_MS && get(f).is_running; i++)
		usleep(1000);
	assert_true(get(f).passes > before);
	return get(f);
}

/* Turns a bit of byte AT of the only segment. */
static void flip(struct fixture *f, off_t at)
{
	char path[256];
	uint8_t byte;
	segment_file_path(f->dir, path, sizeof(path));
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(eos_pread_full(fd, &byte, 1, at), 0);
	byte ^= 0x10;
	assert_int_equal(eos_pwrite_full(fd, &byte, 1, at), 0);
	close(fd);
}

static uint64_t file_size(struct fixture *f)
{
	char path[256];
	struct stat status;
	segment_file_path(f->dir, path, sizeof(path));
	assert_int_equal(stat(path, &status), 0);
	return (uint64_t)status.st_size;
}

/* Standard error of what is between. */
struct capture {
	int saved;
	char path[64];
};

static void capture_begin(struct capture *capture)
{
	snprintf(capture->path, sizeof(capture->path), "/tmp/store_scrub_%d", (int)getpid());
	int fd = open(capture->path, O_RDWR | O_CREAT | O_TRUNC, 0600);
	assert_true(fd >= 0);
	capture->saved = dup(STDERR_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

static void capture_end(struct capture *capture, char *out, size_t size)
{
	dup2(capture->saved, STDERR_FILENO);
	close(capture->saved);
	int fd = open(capture->path, O_RDONLY);
	ssize_t n = read(fd, out, size - 1);
	assert_true(n >= 0);
	out[n] = '\0';
	close(fd);
	unlink(capture->path);
}

static void test_finds_and_heals(void **state)
{
	struct fixture *f = *state;
	struct capture capture;
	char text[8192];
	assert_int_equal(object_put(f->store, "raw", "well", 1, LARGE), 0);
	assert_int_equal(object_put(f->store, "raw", "ill", 2, LARGE), 0);
	struct store_scrub scrub = pass(f);
	assert_int_equal(scrub.damages, 0);
	flip(f, 64 + 64 + LARGE + 2000); /* in the second object */
	f->is_damaged = true;
	capture_begin(&capture);
	scrub = pass(f);
	capture_end(&capture, text, sizeof(text));
	assert_true(scrub.damages >= 2); /* the chunk, and the object */
	assert_non_null(strstr(text, "chunk segment=00000001"));
	assert_non_null(strstr(text, "key=ill"));
	assert_null(strstr(text, "key=well"));
	assert_int_equal(object_check(f->store, "raw", "ill", 2, LARGE), -EBADMSG);
	/* The same bytes under another key. */
	assert_int_equal(object_put(f->store, "raw", "again", 2, LARGE), 0);
	assert_int_equal(object_check(f->store, "raw", "ill", 2, LARGE), 0);
	f->is_damaged = false;
	assert_int_equal(pass(f).damages, 0);
}

static void match_all(void *ctx, const struct store_event *event,
		      void (*emit)(void *emit_ctx, const char *target, const char *rule),
		      void *emit_ctx)
{
	if (event->kind == STORE_EVENT_DAMAGED)
		emit(emit_ctx, "f", "r");
}

static int print_event(void *ctx, const struct store_event *event)
{
	eos_buf_printf(ctx, "%s/%s v%llu %llu;", event->bucket, event->key,
		       (unsigned long long)event->version, (unsigned long long)event->size);
	return 0;
}

/* Upkeep writes them by itself, but not at once. */
static void expect_events(struct fixture *f, const char *wanted)
{
	struct eos_buf got = {0};
	local_damages_tell(local_of(f->store));
	for (unsigned i = 0; i < WAIT_MS; i++) {
		eos_buf_clear(&got);
		eos_buf_puts(&got, "");
		assert_int_equal(store_outbox_list(f->store, 0, print_event, &got), 0);
		if (strcmp(got.data, wanted) == 0)
			break;
		usleep(1000);
	}
	assert_string_equal(got.data, wanted);
	eos_buf_fini(&got);
}

static void test_event(void **state)
{
	struct store_bucket_settings settings = {.versioning = STORE_VERSIONING_ENABLED};
	static const char event[] = "raw/ill v0 300000;";
	struct fixture *f = *state;
	char text[64];
	f->is_damaged = true;
	store_set_matcher(f->store, match_all, NULL, NULL);
	assert_int_equal(object_put(f->store, "raw", "well", 1, LARGE), 0);
	assert_int_equal(object_put(f->store, "raw", "ill", 2, LARGE), 0);
	flip(f, 64 + 64 + LARGE + 2000);
	expect_events(f, "");
	/* Who reads it finds it, again and again, and then the scrub, twice in a pass. */
	for (int i = 0; i < 3; i++)
		assert_int_equal(object_check(f->store, "raw", "ill", 2, LARGE), -EBADMSG);
	expect_events(f, event);
	assert_true(pass(f).damages >= 2);
	expect_events(f, event);
	/* A version is named, also by the scrub. */
	assert_int_equal(store_bucket_settings_set(f->store, "raw", &settings), 0);
	assert_int_equal(object_put(f->store, "raw", "old", 4, LARGE), 0);
	struct store_object_info info;
	assert_int_equal(store_object_get(f->store, "raw", "old", 3, STORE_VERSION_LATEST, &info),
			 0);
	flip(f, (off_t)file_size(f) - LARGE / 2);
	assert_int_equal(object_put(f->store, "raw", "old", 5, 10), 0);
	assert_true(pass(f).damages >= 2);
	snprintf(text, sizeof(text), "%sraw/old v%llu 300000;", event,
		 (unsigned long long)info.version);
	expect_events(f, text);
	/* Who is there in its place when the event is written is not meant. */
	struct local_op op = {
		.kind = LOCAL_OP_DAMAGE,
		.bucket = "raw",
		.key = "well",
		.key_len = 4,
		.record = {.sequence = info.sequence},
	};
	assert_int_equal(local_commit(local_of(f->store), &op), -ENOENT);
	expect_events(f, text);
}

/* A head is no reason to call an object damaged, nor for repair to remove it. */
static void test_head(void **state)
{
	struct fixture *f = *state;
	struct store_verdict verdict;
	assert_int_equal(object_put(f->store, "raw", "k", 1, LARGE), 0);
	flip(f, 64 + 20);
	assert_int_equal(pass(f).damages, 1);
	assert_int_equal(store_repair(f->store, NULL, NULL, NULL, &verdict), 0);
	assert_int_equal(object_check(f->store, "raw", "k", 1, LARGE), 0);
	f->is_damaged = true;
}

static void flip_value(struct fixture *f, MDB_dbi dbi, size_t at)
{
	struct local *local = local_of(f->store);
	static uint8_t copy[64 << 10];
	MDB_txn *txn;
	MDB_cursor *cursor;
	MDB_val key, value;
	/* The committer has no transaction now: LMDB's own lock keeps it out of ours. */
	assert_int_equal(mdb_txn_begin(local->env, NULL, 0, &txn), 0);
	assert_int_equal(mdb_cursor_open(txn, dbi, &cursor), 0);
	assert_int_equal(mdb_cursor_get(cursor, &key, &value, MDB_FIRST), 0);
	assert_true(value.mv_size <= sizeof(copy) && at < value.mv_size);
	memcpy(copy, value.mv_data, value.mv_size);
	copy[at] ^= 0x10;
	value.mv_data = copy;
	assert_int_equal(mdb_cursor_put(cursor, &key, &value, MDB_CURRENT), 0);
	mdb_cursor_close(cursor);
	assert_int_equal(mdb_txn_commit(txn), 0);
}

static void all_events(void *ctx, const struct store_event *event,
		       void (*emit)(void *emit_ctx, const char *target, const char *rule),
		       void *emit_ctx)
{
	emit(emit_ctx, "f", NULL);
}

/* The first value of each table. */
static void test_tables(void **state)
{
	struct fixture *f = *state;
	struct local *local = local_of(f->store);
	struct store_bucket_settings settings = {.tenant = "plant",
						 .versioning = STORE_VERSIONING_ENABLED};
	static struct store_object_info info;
	struct store_upload *upload;
	store_set_matcher(f->store, all_events, NULL, NULL);
	settings.is_encrypted = true; /* for the key */
	assert_int_equal(store_bucket_settings_set(f->store, "raw", &settings), 0);
	settings.is_encrypted = false;
	assert_int_equal(store_bucket_settings_set(f->store, "raw", &settings), 0);
	assert_int_equal(store_bucket_document_set(f->store, "raw", "policy", "text of it", 10), 0);
	assert_int_equal(object_put(f->store, "raw", "k", 1, 300), 0);
	assert_int_equal(store_metadata_add(&info, STORE_META_TAG "t", "1"), 0);
	assert_int_equal(store_upload_begin(f->store, "raw", "k", 1, &info, &upload), 0);
	assert_int_equal(store_upload_write(upload, "inline", 6, 0), 0);
	assert_int_equal(store_upload_commit(upload, NULL, NULL), 0);
	assert_int_equal(object_put(f->store, "raw", "z", 1, LARGE), 0);
	assert_int_equal(pass(f).damages, 0);
	const MDB_dbi tables[] = {local->buckets, local->documents, local->tenants,
				  local->objects, local->versions,  local->index,
				  local->chunks,  local->manifests, local->segments_dbi,
				  local->outbox,  local->keys};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(tables); i++) {
		flip_value(f, tables[i], 3);
		assert_true(pass(f).damages > 0);
		flip_value(f, tables[i], 3);
	}
	/* The inline data: the last byte. */
	flip_value(f, local->versions, sizeof(struct local_record) + 299);
	assert_int_equal(pass(f).damages, 1);
	flip_value(f, local->versions, sizeof(struct local_record) + 299);
	assert_int_equal(pass(f).damages, 0);
}

/* An empty store has no pass; the first change begins one. */
static void test_empty(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(store_scrub_set(f->store, 1, LONG_NS), -EINVAL);
	assert_int_equal(store_scrub_set(f->store, FAST, LONG_NS), 0);
	usleep(50000);
	assert_int_equal(get(f).passes, 0);
	assert_int_equal(get(f).begun_ns, 0);
	assert_int_equal(object_put(f->store, "raw", "k", 1, 10), 0);
	for (unsigned i = 0; i < WAIT_MS && get(f).passes == 0; i++)
		usleep(1000);
	assert_int_equal(get(f).passes, 1);
	assert_true(get(f).ended_ns >= get(f).begun_ns);
}

/* At the lowest rate a pass would take a minute: closing the store does not wait for it, and the
 * next run goes on. */
static void test_stop_and_go_on(void **state)
{
	struct fixture *f = *state;
	for (unsigned i = 0; i < 16; i++) {
		char key[8];
		snprintf(key, sizeof(key), "%u", i);
		assert_int_equal(object_put(f->store, "raw", key, i, LARGE), 0);
	}
	assert_int_equal(store_scrub_set(f->store, SLOW_RATE, LONG_NS), 0);
	for (unsigned i = 0; i < WAIT_MS && get(f).segment == 0; i++)
		usleep(1000);
	uint64_t start = eos_now_ns();
	fixture_close(f);
	assert_true(eos_now_ns() - start < 10 * EOS_NS_PER_S);
	fixture_open(f);
	assert_int_equal(store_scrub_set(f->store, FAST, LONG_NS), 0);
	for (unsigned i = 0; i < WAIT_MS && get(f).passes == 0; i++)
		usleep(1000);
	assert_int_equal(get(f).passes, 1);
	uint64_t read = local_of(f->store)->scrub.record.bytes;
	assert_in_range(read, 16 * LARGE, 17 * LARGE); /* nothing twice, but for tables */
	assert_int_equal(get(f).is_running, false);
	/* Off is off. */
	assert_int_equal(store_scrub_set(f->store, 0, 0), 0);
	usleep(20000);
	assert_int_equal(get(f).passes, 1);
}

static _Atomic bool is_over;

static void *change(void *arg)
{
	struct fixture *f = arg;
	uint64_t freed;
	for (unsigned i = 0; !atomic_load(&is_over); i++) {
		char key[8];
		snprintf(key, sizeof(key), "%u", i % 20);
		if (object_put(f->store, "raw", key, i, i % 3 == 0 ? 100 : LARGE) < 0)
			break;
		if (i % 10 == 9 && store_compact(f->store, NULL, NULL, &freed) < 0)
			break;
	}
	return NULL;
}

/* What is written, moved and removed meanwhile is no damage. */
static void test_concurrent(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;
	atomic_store(&is_over, false);
	assert_int_equal(store_scrub_set(f->store, FAST, 0), 0);
	assert_int_equal(pthread_create(&thread, NULL, change, f), 0);
	for (unsigned i = 0; i < WAIT_MS && get(f).passes < 30; i++) {
		usleep(1000);
		assert_int_equal(get(f).damages, 0);
	}
	assert_true(get(f).passes >= 30);
	atomic_store(&is_over, true);
	pthread_join(thread, NULL);
	assert_int_equal(pass(f).damages, 0);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_finds_and_heals), TEST(test_head),  TEST(test_tables),
		TEST(test_event),	    TEST(test_empty), TEST(test_stop_and_go_on),
		TEST(test_concurrent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
