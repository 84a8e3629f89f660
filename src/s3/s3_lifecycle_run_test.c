/* Uploads under way: what is left of them by a node that was killed, or of a bucket that is gone,
 * is found and removed. */
#include "s3/s3_lifecycle_run.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fault.h"
#include "s3/s3_object_priv.h"
#include "s3/s3_xml_read.h"

#define PARTS	 3
#define KILLS	 20
#define PATIENCE 20000 /* ms */

static const char rules[] =
	"<LifecycleConfiguration><Rule><ID>r</ID><Filter/><Status>Enabled</Status>"
	"<AbortIncompleteMultipartUpload><DaysAfterInitiation>1</DaysAfterInitiation>"
	"</AbortIncompleteMultipartUpload></Rule></LifecycleConfiguration>";

static void put(struct store *store, const char *key, const struct store_object_info *info)
{
	struct store_upload *upload;
	assert_int_equal(
		store_upload_begin(store, S3_MULTIPART_BUCKET, key, strlen(key), info, &upload), 0);
	assert_int_equal(store_upload_write(upload, key, strlen(key), 0), 0);
	assert_int_equal(store_upload_commit(upload, NULL, NULL), 0);
}

/* As s3_multipart.c has it. */
static void fill_entry(struct store_object_info *entry, uint64_t bucket_created_ns)
{
	char time[24];
	entry->metadata_len = 0;
	snprintf(time, sizeof(time), "%llu", (unsigned long long)bucket_created_ns);
	assert_int_equal(store_metadata_add(entry, S3_METADATA_KEY, "k"), 0);
	assert_int_equal(store_metadata_add(entry, S3_METADATA_PIECES, S3_MULTIPART_BUCKET), 0);
	assert_int_equal(store_metadata_add(entry, S3_METADATA_BUCKET, time), 0);
}

static void begin_upload(struct store *store)
{
	static struct store_object_info entry;
	struct store_bucket_info bucket;
	assert_int_equal(store_bucket_get(store, "raw", &bucket), 0);
	fill_entry(&entry, bucket.created_ns);
	put(store, "raw/m/1", &entry);
	for (int i = 1; i <= PARTS; i++) {
		char name[32];
		snprintf(name, sizeof(name), "raw/p/1/p%05d", i);
		put(store, name, NULL);
	}
}

static int count(void *ctx, const struct store_list_entry *entry)
{
	++*(unsigned *)ctx;
	return 0;
}

static unsigned count_of(struct store *store, const char *prefix)
{
	const struct store_list_query query = {
		.prefix = prefix, .prefix_len = strlen(prefix), .limit = 100};
	unsigned found = 0;
	bool has_more;
	assert_int_equal(
		store_object_list(store, S3_MULTIPART_BUCKET, &query, count, &found, &has_more), 0);
	return found;
}

/* Runs rules until nothing is left of the upload. */
static void run(struct store *store)
{
	const struct s3_lifecycle_config config = {.interval_ms = 1, .day_ns = 1};
	struct s3_lifecycle_runner *runner;
	assert_int_equal(s3_lifecycle_start(store, &config, &runner), 0);
	for (int i = 0; i < PATIENCE && count_of(store, "raw/") > 0; i++)
		usleep(1000);
	s3_lifecycle_stop(runner);
	assert_int_equal(count_of(store, "raw/"), 0);
}

static struct store *open_store(const char *dir)
{
	struct store *store;
	struct eos_why why = {""};
	if (store_open(dir, &store, &why) < 0)
		fail_msg("%s", why.text);
	return store;
}

/* The process that dies behind its commit number NTH, or comes to the end. */
static bool is_killed(const char *dir, int nth)
{
	int status;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		char spec[64];
		struct store *store = open_store(dir);
		snprintf(spec, sizeof(spec), "store.after_commit:%d=kill", nth);
		assert_int_equal(eos_fault_arm(spec, NULL), 0);
		run(store);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) || (WIFEXITED(status) && WEXITSTATUS(status) == 0));
	return WIFSIGNALED(status);
}

static void test_killed(void **state)
{
	char dir[] = "/tmp/eos-lifecycle-XXXXXX", command[64];
	assert_non_null(mkdtemp(dir));
	struct store *store = open_store(dir);
	assert_int_equal(store_bucket_create(store, "raw"), 0);
	assert_int_equal(store_bucket_create(store, S3_MULTIPART_BUCKET), 0);
	assert_int_equal(store_bucket_document_set(store, "raw", "lifecycle", rules, strlen(rules)),
			 0);
	int nth = 1;
	for (bool killed = true; killed && nth < KILLS; nth++) {
		begin_upload(store);
		store_close(store);
		killed = is_killed(dir, nth);
		store = open_store(dir);
		/* Parts without their entry are nobody's. */
		if (count_of(store, "raw/p/") > 0)
			assert_int_equal(count_of(store, "raw/m/"), 1);
		run(store);
	}
	/* The parts and the entry, and one that came to the end. */
	assert_in_range(nth, PARTS + 2, KILLS - 1);
	store_close(store);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

static void begin_upload_in(struct store *store, const char *bucket, uint64_t created_ns)
{
	static struct store_object_info entry;
	char name[96];
	fill_entry(&entry, created_ns);
	snprintf(name, sizeof(name), "%s/m/%llu", bucket, (unsigned long long)created_ns);
	put(store, name, &entry);
	snprintf(name, sizeof(name), "%s/p/%llu/p00001", bucket, (unsigned long long)created_ns);
	put(store, name, NULL);
}

/* Uploads go with their buckets, also of buckets that nobody deleted over S3. */
static void test_buckets_that_are_gone(void **state)
{
	const struct s3_lifecycle_config config = {.interval_ms = 1, .day_ns = 1};
	char dir[] = "/tmp/eos-lifecycle-XXXXXX", command[64];
	struct s3_lifecycle_runner *runner;
	struct store_bucket_info info;
	assert_non_null(mkdtemp(dir));
	struct store *store = open_store(dir);
	assert_int_equal(store_bucket_create(store, S3_MULTIPART_BUCKET), 0);
	assert_int_equal(store_bucket_create(store, "made-anew"), 0);
	assert_int_equal(store_bucket_get(store, "made-anew", &info), 0);
	begin_upload_in(store, "gone", info.created_ns);
	begin_upload_in(store, "made-anew", info.created_ns - 1);
	begin_upload_in(store, "made-anew", info.created_ns);
	assert_int_equal(s3_lifecycle_start(store, &config, &runner), 0);
	for (int i = 0; i < PATIENCE && count_of(store, "") > 2; i++)
		usleep(1000);
	/* More rounds. */
	usleep(20000);
	s3_lifecycle_stop(runner);
	assert_int_equal(count_of(store, "gone/"), 0);
	assert_int_equal(count_of(store, "made-anew/m/"), 1);
	assert_int_equal(count_of(store, "made-anew/p/"), 1);
	store_close(store);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_killed),
		cmocka_unit_test(test_buckets_that_are_gone),
	};
	s3_xml_read_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
