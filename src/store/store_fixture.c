#include "store/store_fixture_priv.h"

#include <dirent.h>
#include <errno.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/fault.h"

void fixture_make_dir(char out[64])
{
	snprintf(out, 64, "%s/edgeos-store-XXXXXX",
		 access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(out));
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path);
}

void fixture_remove_dir(const char *dir)
{
	char key[80];
	(void)nftw(dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	snprintf(key, sizeof(key), "%s.key", dir);
	(void)unlink(key);
}

void fixture_open(struct fixture *f)
{
	struct eos_why why = {""};
	int err = store_open(f->dir, &f->store, &why);
	if (err < 0)
		fail_msg("store_open: %s", why.text);
}

void fixture_close(struct fixture *f)
{
	f->store = store_close(f->store);
}

void fixture_reopen(struct fixture *f)
{
	fixture_close(f);
	fixture_open(f);
	if (!f->is_damaged)
		store_audit(f->store);
}

int fixture_setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	assert_non_null(f);
	fixture_make_dir(f->dir);
	fixture_open(f);
	*state = f;
	return 0;
}

int fixture_teardown(void **state)
{
	struct fixture *f = *state;
	assert_int_equal(eos_fault_arm(NULL, NULL), 0);
	if (f->store != NULL && !f->is_damaged)
		store_audit(f->store);
	fixture_close(f);
	fixture_remove_dir(f->dir);
	free(f);
	return 0;
}

void content_fill(uint64_t seed, uint64_t offset, void *out, size_t len)
{
	uint8_t *bytes = out;
	for (size_t i = 0; i < len; i++) {
		uint64_t at = offset + i;
		uint64_t word = (seed * UINT64_C(0x9E3779B97F4A7C15)) ^ (at / 8);
		word *= UINT64_C(0xBF58476D1CE4E5B9);
		word ^= word >> 29;
		bytes[i] = (uint8_t)(word >> (at % 8 * 8));
	}
}

int object_put(struct store *store, const char *bucket, const char *key, uint64_t seed, size_t size)
{
	struct store_upload *upload;
	char piece[10000];
	int err = store_upload_begin(store, bucket, key, strlen(key), NULL, &upload);
	if (err < 0)
		return err;
	for (size_t offset = 0; offset < size;) {
		size_t n = EOS_MIN(size - offset, sizeof(piece));
		content_fill(seed, offset, piece, n);
		err = store_upload_write(upload, piece, n, offset);
		if (err < 0) {
			store_upload_abort(upload);
			return err;
		}
		offset += n;
	}
	return store_upload_commit(upload, NULL, NULL);
}

int object_check(struct store *store, const char *bucket, const char *key, uint64_t seed,
		 size_t size)
{
	struct store_reader *reader;
	char got[7001], expected[7001];
	int64_t n;
	int err = store_reader_open(store, bucket, key, strlen(key), STORE_VERSION_LATEST, &reader);
	if (err < 0)
		return err;
	size_t offset = 0;
	if (store_reader_info(reader)->size != size)
		err = -EILSEQ;
	while (err == 0 && (n = store_reader_read(reader, got, sizeof(got), offset)) != 0) {
		if (n < 0) {
			err = (int)n;
			break;
		}
		content_fill(seed, offset, expected, (size_t)n);
		if (memcmp(got, expected, (size_t)n) != 0)
			err = -EILSEQ;
		offset += (size_t)n;
	}
	if (err == 0 && offset != size)
		err = -EILSEQ;
	store_reader_close(reader);
	return err;
}

static unsigned files_seen;
static char file_seen[256];

static int see_file(const char *path, const struct stat *st, int type, struct FTW *at)
{
	if (type == FTW_F) {
		files_seen++;
		snprintf(file_seen, sizeof(file_seen), "%s", path);
	}
	return 0;
}

static unsigned files_count(const char *dir, const char *name)
{
	char path[128];
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	files_seen = 0;
	assert_int_equal(nftw(path, see_file, 16, FTW_PHYS), 0);
	return files_seen;
}

unsigned segment_files_count(const char *dir)
{
	return files_count(dir, "segments");
}

unsigned staging_files_count(const char *dir)
{
	return files_count(dir, "staging");
}

void segment_file_path(const char *dir, char *out, size_t size)
{
	assert_int_equal(segment_files_count(dir), 1);
	snprintf(out, size, "%s", file_seen);
}

void store_reclaim(struct store *store)
{
	struct local_op op = {.kind = LOCAL_OP_RECLAIM};
	while (!op.is_reclaimed)
		assert_int_equal(local_commit(local_of(store), &op), 0);
}

uint64_t store_chunks_count(struct store *store)
{
	struct store_stats stats;
	store_reclaim(store);
	assert_int_equal(store_stats(store, &stats), 0);
	return stats.chunks;
}

static void tell_problem(void *ctx, const char *bucket, const char *key, size_t key_len,
			 uint64_t version, const char *text)
{
	print_error("%s/%.*s: %s\n", bucket, (int)key_len, key, text);
}

void store_audit(struct store *store)
{
	struct store_verdict verdict;
	if (local_check_writable(local_of(store)) == 0)
		store_reclaim(store);
	assert_int_equal(store_verify(store, tell_problem, NULL, NULL, &verdict), 0);
	assert_int_equal(verdict.damaged_objects, 0);
	assert_int_equal(verdict.damaged_chunks, 0);
	assert_int_equal(verdict.wrong_counts, 0);
	assert_int_equal(verdict.leaked_bytes, 0);
}

int64_t fixture_read(struct store_reader *reader, void *data, size_t len, uint64_t offset)
{
	char *out = data;
	size_t got = 0;
	int64_t n = 1;
	while (got < len && n > 0) {
		n = store_reader_read(reader, out + got, len - got, offset + got);
		if (n < 0)
			return n;
		got += (size_t)n;
	}
	return (int64_t)got;
}
