/*
 * One bit of any file of a store turns: then the store is not opened, or everything that is read is
 * right or an error; and where something is not right, verify says so. Each try is a process of its
 * own, so a crash is seen, too.
 */
#include "store/store_fixture_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"

#define OBJECTS	 150u
#define VERSIONS 20u
#define TRIES	 160u
#define SPARSE	 3u /* one in so many, with EDGEOS_SPARSE */
#define LARGE	 90000u

/* How a try ended: the child's exit code. */
enum outcome { HARMLESS, NOT_OPENED, DETECTED, WRONG_DATA, NOT_DETECTED, OUTCOMES };

static size_t size_of(unsigned i)
{
	return i % 10 == 0 ? LARGE + i : i * 7;
}

static void name_of(unsigned i, char out[600])
{
	/* Some are so long that they need nodes of their own. */
	int n = snprintf(out, 600, "%u/", i);
	if (i % 25 == 0) {
		memset(out + n, 'x', 550);
		out[n + 550] = '\0';
	}
}

static void all_events(void *ctx, const struct store_event *event,
		       void (*emit)(void *emit_ctx, const char *target, const char *rule),
		       void *emit_ctx)
{
	emit(emit_ctx, "f", NULL);
}

static int setup(void **state)
{
	struct store_bucket_settings settings = {.tenant = "plant",
						 .versioning = STORE_VERSIONING_ENABLED};
	static struct store_object_info info;
	struct store_upload *upload;
	char name[600];
	assert_int_equal(fixture_setup(state), 0);
	struct fixture *f = *state;
	f->is_damaged = true;
	assert_int_equal(store_bucket_create(f->store, "raw"), 0);
	assert_int_equal(store_bucket_create_with(f->store, "kept", &settings), 0);
	assert_int_equal(store_bucket_document_set(f->store, "kept", "policy", "text of it", 10),
			 0);
	store_set_matcher(f->store, all_events, NULL, NULL);
	assert_int_equal(store_metadata_add(&info, STORE_META_TAG "t", "1"), 0);
	assert_int_equal(store_upload_begin(f->store, "kept", "tagged", 6, &info, &upload), 0);
	assert_int_equal(store_upload_commit(upload, NULL, NULL), 0);
	for (unsigned i = 0; i < OBJECTS; i++) {
		name_of(i, name);
		assert_int_equal(object_put(f->store, "raw", name, i, size_of(i)), 0);
	}
	for (unsigned i = 0; i < VERSIONS; i++)
		assert_int_equal(object_put(f->store, "kept", "k", i, 1000 + i), 0);
	/* Free pages and garbage. */
	for (unsigned i = 0; i < OBJECTS; i += 3) {
		name_of(i, name);
		assert_int_equal(object_put(f->store, "raw", name, i + 1000, size_of(i)), 0);
	}
	fixture_close(f);
	/* Copies need no space in reserve. */
	char path[128];
	snprintf(path, sizeof(path), "%s/reserve", f->dir);
	(void)unlink(path);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	fixture_open(f);
	return fixture_teardown(state);
}

/* In the child. */
static enum outcome look(const char *dir)
{
	struct store *store;
	struct store_verdict verdict;
	struct eos_why why = {""};
	char name[600];
	bool is_damaged = false;
	if (store_open(dir, &store, &why) < 0)
		return NOT_OPENED;
	for (unsigned i = 0; i < OBJECTS; i++) {
		name_of(i, name);
		int err = object_check(store, "raw", name, i % 3 == 0 ? i + 1000 : i, size_of(i));
		if (err == -EILSEQ)
			return WRONG_DATA;
		is_damaged |= err < 0;
	}
	int err = object_check(store, "kept", "k", VERSIONS - 1, 1000 + VERSIONS - 1);
	if (err == -EILSEQ)
		return WRONG_DATA;
	is_damaged |= err < 0;
	err = store_verify(store, NULL, NULL, NULL, &verdict);
	bool is_told = err < 0 || verdict.damaged_objects + verdict.damaged_chunks > 0 ||
		       verdict.wrong_counts > 0;
	if (is_damaged && !is_told)
		return NOT_DETECTED;
	/* Nothing was lost in the opening: the child is not the last to look. */
	return is_told ? DETECTED : HARMLESS;
}

static int copy_dir(const char *from, const char *to)
{
	char command[256];
	snprintf(command, sizeof(command), "rm -rf %s && cp -r %s %s", to, from, to);
	return system(command);
}

/* Turns bit BIT of the file and looks at the store, in a copy of it. */
static enum outcome try_bit(const char *dir, const char *file, uint64_t bit)
{
	char copy[80], path[256];
	uint8_t byte;
	int status;
	snprintf(copy, sizeof(copy), "%s-copy", dir);
	assert_int_equal(copy_dir(dir, copy), 0);
	snprintf(path, sizeof(path), "%s/%s", copy, file);
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0);
	assert_int_equal(eos_pread_full(fd, &byte, 1, (off_t)(bit / 8)), 0);
	byte ^= (uint8_t)(1u << (bit % 8));
	assert_int_equal(eos_pwrite_full(fd, &byte, 1, (off_t)(bit / 8)), 0);
	close(fd);
	pid_t child = fork();
	if (child == 0) {
		int null = open("/dev/null", O_WRONLY);
		dup2(null, STDERR_FILENO);
		alarm(30);
		_exit(look(copy));
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	fixture_remove_dir(copy);
	if (!WIFEXITED(status))
		fail_msg("%s: bit %llu: signal %d", file, (unsigned long long)bit,
			 WTERMSIG(status));
	assert_true(WEXITSTATUS(status) < OUTCOMES);
	return (enum outcome)WEXITSTATUS(status);
}

static uint64_t bits_of(const char *dir, const char *file)
{
	char path[256];
	struct stat status;
	snprintf(path, sizeof(path), "%s/%s", dir, file);
	assert_int_equal(stat(path, &status), 0);
	return 8 * (uint64_t)status.st_size;
}

static unsigned sparse(void)
{
	return getenv("EDGEOS_SPARSE") != NULL ? SPARSE : 1;
}

static void flip_some(struct fixture *f, const char *file, uint64_t from, uint64_t to,
		      unsigned tries, unsigned counts[OUTCOMES])
{
	static const char *const bad[OUTCOMES] = {
		[WRONG_DATA] = "wrong data", [NOT_DETECTED] = "damage that verify does not see"};
	memset(counts, 0, OUTCOMES * sizeof(counts[0]));
	for (unsigned i = 0; i < tries; i++) {
		uint64_t word;
		content_fill(7000 + i, 0, &word, sizeof(word));
		uint64_t bit = from + word % (to - from);
		enum outcome outcome = try_bit(f->dir, file, bit);
		if (bad[outcome] != NULL)
			fail_msg("%s: bit %llu: %s", file, (unsigned long long)bit, bad[outcome]);
		counts[outcome]++;
	}
	print_message("%s: %u harmless, %u not opened, %u detected\n", file, counts[HARMLESS],
		      counts[NOT_OPENED], counts[DETECTED]);
}

static void test_metadata(void **state)
{
	struct fixture *f = *state;
	unsigned counts[OUTCOMES];
	flip_some(f, "metadata.mdb", 0, bits_of(f->dir, "metadata.mdb"), TRIES / sparse(), counts);
	assert_true(counts[NOT_OPENED] > 0 && counts[DETECTED] > 0);
	/* Headers of pages, and the metas: what LMDB itself believes. */
	flip_some(f, "metadata.mdb", 0, UINT64_C(8) * 152, TRIES / 8, counts);
	assert_true(counts[NOT_OPENED] > 0);
	flip_some(f, "metadata.mdb", UINT64_C(8) * 4096, UINT64_C(8) * (4096 + 152), TRIES / 8,
		  counts);
	assert_true(counts[NOT_OPENED] > 0);
	uint64_t pages = bits_of(f->dir, "metadata.mdb") / 8 / 4096;
	unsigned refused = 0;
	for (uint64_t page = 2; page < pages; page += sparse()) {
		flip_some(f, "metadata.mdb", 8 * 4096 * page, 8 * (4096 * page + 40), 1, counts);
		refused += counts[NOT_OPENED];
	}
	assert_true(refused > pages / sparse() / 4);
}

static void test_segment(void **state)
{
	struct fixture *f = *state;
	unsigned counts[OUTCOMES];
	char path[256];
	fixture_open(f);
	segment_file_path(f->dir, path, sizeof(path));
	fixture_close(f);
	const char *file = path + strlen(f->dir) + 1;
	flip_some(f, file, 0, bits_of(f->dir, file), TRIES / 4 / sparse(), counts);
	assert_true(counts[DETECTED] > TRIES / 8 / sparse());
	assert_int_equal(counts[NOT_OPENED], 0);
}

int main(void)
{
	eos_log_set_level(EOS_LOG_ERROR);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {TEST(test_metadata), TEST(test_segment)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
