/*
 * Encryption at rest: what is on the disk, what opens it and what does not. What becomes of the
 * keys: store_crypt_keys_test.c.
 */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/file.h"
#include "store/store_crypt_fixture_priv.h"

static bool has_marker;

static int look_for_marker(const char *path, const struct stat *st, int type, struct FTW *at)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	if (type != FTW_F)
		return 0;
	assert_int_equal(eos_read_file(AT_FDCWD, path, 64u << 20, &text), 0);
	has_marker = has_marker ||
		     memmem(text.data, text.len, CRYPT_MARKER, strlen(CRYPT_MARKER)) != NULL;
	return 0;
}

static bool marker_is_on_disk(const struct fixture *f)
{
	has_marker = false;
	assert_int_equal(nftw(f->dir, look_for_marker, 16, FTW_PHYS), 0);
	return has_marker;
}

static void test_round_trip(void **state)
{
	struct fixture *f = *state;
	static const size_t sizes[] = {0, 1, CRYPT_SMALL, 16384, 16385, CRYPT_LARGE};
	for (int is_compressed = 0; is_compressed < 2; is_compressed++) {
		crypt_make_bucket(f, "safe", "plant", true, is_compressed);
		for (size_t i = 0; i < EOS_ARRAY_SIZE(sizes); i++) {
			bool is_backwards = i == 2 || i == 5;
			assert_int_equal(crypt_put(f->store, "safe", "a", sizes[i], is_backwards,
						   NULL, NULL),
					 0);
			assert_int_equal(crypt_encryption_of(f->store, "safe", "a"),
					 STORE_ENCRYPTED);
			assert_int_equal(crypt_check(f->store, "safe", "a", sizes[i], NULL), 0);
			fixture_reopen(f);
			assert_int_equal(crypt_check(f->store, "safe", "a", sizes[i], NULL), 0);
		}
	}
	assert_int_equal(crypt_put(f->store, "safe", "b", CRYPT_SMALL, false, NULL, NULL), 0);
	assert_int_equal(store_object_rename(f->store, "safe", "b", 1, "c", 1), 0);
	assert_int_equal(crypt_check(f->store, "safe", "c", CRYPT_SMALL, NULL), 0);
	fixture_reopen(f);
	assert_int_equal(crypt_check(f->store, "safe", "c", CRYPT_SMALL, NULL), 0);
	fixture_close(f);
	assert_false(marker_is_on_disk(f));
	/* The look can find it. */
	fixture_open(f);
	crypt_make_bucket(f, "plain", "plant", false, false);
	assert_int_equal(crypt_put(f->store, "plain", "a", CRYPT_SMALL, false, NULL, NULL), 0);
	assert_int_equal(crypt_encryption_of(f->store, "plain", "a"), STORE_PLAIN);
	fixture_close(f);
	assert_true(marker_is_on_disk(f));
	fixture_open(f);
}

/* An upload that is read, cut and grown under way: what was written, zeros in between. */
static void test_staging(void **state)
{
	struct fixture *f = *state;
	struct store_upload *upload;
	static char model[60000], got[60000], piece[9000];
	size_t size = 0;
	srandom(7);
	crypt_make_bucket(f, "safe", "", true, false);
	assert_int_equal(store_upload_begin(f->store, "safe", "a", 1, NULL, &upload), 0);
	for (unsigned i = 0; i < 400; i++) {
		size_t offset = (size_t)random() % 50000;
		size_t len = 1 + (size_t)random() % sizeof(piece);
		if (i % 5 == 4) {
			assert_int_equal(store_upload_truncate(upload, offset), 0);
			if (offset < size)
				memset(model + offset, 0, size - offset);
			size = offset;
		} else {
			content_fill(i, 0, piece, len);
			assert_int_equal(store_upload_write(upload, piece, len, offset), 0);
			memcpy(model + offset, piece, len);
			size = EOS_MAX(size, offset + len);
		}
		assert_int_equal(store_upload_size(upload), size);
		assert_int_equal(store_upload_read(upload, got, sizeof(got), 0), size);
		assert_memory_equal(got, model, size);
	}
	assert_int_equal(store_upload_commit(upload, NULL, NULL), 0);
	struct store_reader *reader;
	assert_int_equal(store_reader_open(f->store, "safe", "a", 1, STORE_VERSION_LATEST, &reader),
			 0);
	assert_int_equal(store_reader_read(reader, got, sizeof(got), 0), size);
	assert_memory_equal(got, model, size);
	store_reader_close(reader);
}

/* Equal data is stored once for a tenant, and never for two. */
static void test_sharing(void **state)
{
	struct fixture *f = *state;
	crypt_make_bucket(f, "one", "t1", true, false);
	crypt_make_bucket(f, "two", "t1", true, false);
	crypt_make_bucket(f, "other", "t2", true, false);
	crypt_make_bucket(f, "plain", "t1", false, false);
	assert_int_equal(object_put(f->store, "one", "a", 9, CRYPT_LARGE), 0);
	uint64_t once = store_chunks_count(f->store);
	assert_int_equal(object_put(f->store, "one", "b", 9, CRYPT_LARGE), 0);
	assert_int_equal(object_put(f->store, "two", "c", 9, CRYPT_LARGE), 0);
	assert_int_equal(store_chunks_count(f->store), once);
	assert_int_equal(object_put(f->store, "other", "a", 9, CRYPT_LARGE), 0);
	assert_int_equal(store_chunks_count(f->store), 2 * once);
	assert_int_equal(object_put(f->store, "plain", "a", 9, CRYPT_LARGE), 0);
	assert_int_equal(store_chunks_count(f->store), 3 * once);
	assert_int_equal(object_check(f->store, "two", "c", 9, CRYPT_LARGE), 0);
	assert_int_equal(object_check(f->store, "other", "a", 9, CRYPT_LARGE), 0);
}

static int append_from(struct store *store, const char *from, const char *bucket)
{
	struct store_reader *reader;
	struct store_upload *upload;
	int err = store_reader_open(store, from, "a", 1, STORE_VERSION_LATEST, &reader);
	if (err == 0)
		err = store_upload_begin(store, bucket, "copy", 4, NULL, &upload);
	assert_int_equal(err, 0);
	err = store_upload_append(upload, reader, 0, store_reader_info(reader)->size);
	store_reader_close(reader);
	assert_int_equal(err, 0);
	return store_upload_commit(upload, NULL, NULL);
}

/* Copies are by reference where that is right, and encoded anew where it is not. */
static void test_copies(void **state)
{
	static const char *const buckets[] = {"plain", "one", "two", "other"};
	struct fixture *f = *state;
	crypt_make_bucket(f, "plain", "t1", false, false);
	crypt_make_bucket(f, "one", "t1", true, true);
	crypt_make_bucket(f, "two", "t1", true, false);
	crypt_make_bucket(f, "other", "t2", true, false);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(buckets); i++) {
		for (size_t k = 0; k < EOS_ARRAY_SIZE(buckets); k++) {
			bool is_safe = k > 0;
			assert_int_equal(crypt_put(f->store, buckets[i], "a", CRYPT_LARGE, false,
						   NULL, NULL),
					 0);
			assert_int_equal(append_from(f->store, buckets[i], buckets[k]), 0);
			assert_int_equal(
				crypt_check(f->store, buckets[k], "copy", CRYPT_LARGE, NULL), 0);
			assert_int_equal(crypt_encryption_of(f->store, buckets[k], "copy"),
					 is_safe ? STORE_ENCRYPTED : STORE_PLAIN);
			assert_int_equal(
				store_object_delete(f->store, buckets[i], "a", 1, NULL, NULL), 0);
			if (strcmp(buckets[i], "copy") != 0)
				assert_int_equal(crypt_check(f->store, buckets[k], "copy",
							     CRYPT_LARGE, NULL),
						 0);
		}
	}
	assert_int_equal(store_object_delete(f->store, "plain", "copy", 4, NULL, NULL), 0);
	uint64_t freed;
	assert_int_equal(store_compact(f->store, NULL, NULL, &freed), 0);
	for (size_t k = 1; k < EOS_ARRAY_SIZE(buckets); k++)
		assert_int_equal(crypt_check(f->store, buckets[k], "copy", CRYPT_LARGE, NULL), 0);
}

/* What was written before the setting changed stays as it is, and readable. */
static void test_settings_change(void **state)
{
	struct fixture *f = *state;
	crypt_make_bucket(f, "raw", "t1", false, false);
	assert_int_equal(crypt_put(f->store, "raw", "a", CRYPT_LARGE, false, NULL, NULL), 0);
	crypt_make_bucket(f, "raw", "t1", true, false);
	assert_int_equal(crypt_put(f->store, "raw", "b", CRYPT_LARGE, false, NULL, NULL), 0);
	crypt_make_bucket(f, "raw", "t2", true, false);
	assert_int_equal(crypt_put(f->store, "raw", "c", CRYPT_LARGE, false, NULL, NULL), 0);
	crypt_make_bucket(f, "raw", "t2", false, false);
	assert_int_equal(crypt_put(f->store, "raw", "d", CRYPT_SMALL, false, NULL, NULL), 0);
	const struct store_upload_encryption always = {.is_encrypted = true};
	assert_int_equal(crypt_put(f->store, "raw", "e", CRYPT_SMALL, false, &always, NULL), 0);
	fixture_reopen(f);
	static const char *const keys[] = {"a", "b", "c"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(keys); i++)
		assert_int_equal(crypt_check(f->store, "raw", keys[i], CRYPT_LARGE, NULL), 0);
	assert_int_equal(crypt_check(f->store, "raw", "d", CRYPT_SMALL, NULL), 0);
	assert_int_equal(crypt_check(f->store, "raw", "e", CRYPT_SMALL, NULL), 0);
	assert_int_equal(crypt_encryption_of(f->store, "raw", "a"), STORE_PLAIN);
	assert_int_equal(crypt_encryption_of(f->store, "raw", "c"), STORE_ENCRYPTED);
	assert_int_equal(crypt_encryption_of(f->store, "raw", "d"), STORE_PLAIN);
	assert_int_equal(crypt_encryption_of(f->store, "raw", "e"), STORE_ENCRYPTED);
}

/* The customer's key, in metadata of a new object. */
static void wrap_for(struct store *store, const uint8_t *customer_key,
		     struct store_object_info *ret_info)
{
	char text[STORE_CUSTOMER_KEY_TEXT_SIZE];
	memset(ret_info, 0, sizeof(*ret_info));
	assert_int_equal(store_customer_key_make(store, customer_key, text), 0);
	assert_int_equal(store_metadata_add(ret_info, STORE_META_CUSTOMER_KEY, text), 0);
}

static int drop_key(void *ctx, struct store_object_info *info)
{
	store_metadata_remove(info, STORE_META_CUSTOMER_KEY);
	return 0;
}

static void test_customer_key(void **state)
{
	static struct store_object_info info;
	static const size_t sizes[] = {0, CRYPT_SMALL, CRYPT_LARGE};
	struct fixture *f = *state;
	struct store_verdict verdict;
	struct store_reader *reader;
	const uint8_t key[32] = {7}, wrong[32] = {8};
	const struct store_upload_encryption mine = {.customer_key = key};
	const struct store_upload_encryption others = {.customer_key = wrong};
	crypt_make_bucket(f, "raw", "", false, true);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(sizes); i++) {
		wrap_for(f->store, key, &info);
		assert_int_equal(crypt_put(f->store, "raw", "a", sizes[i], i == 2, &others, &info),
				 -EKEYREJECTED);
		assert_int_equal(crypt_put(f->store, "raw", "a", sizes[i], i == 2, &mine, NULL),
				 -EINVAL);
		assert_int_equal(crypt_put(f->store, "raw", "a", sizes[i], i == 2, &mine, &info),
				 0);
		for (int round = 0; round < 2; round++) {
			assert_int_equal(crypt_check(f->store, "raw", "a", sizes[i], key), 0);
			assert_int_equal(crypt_check(f->store, "raw", "a", sizes[i], wrong),
					 -EKEYREJECTED);
			assert_int_equal(crypt_check(f->store, "raw", "a", sizes[i], NULL),
					 sizes[i] > 0 ? -EACCES : 0);
			assert_int_equal(store_reader_open(f->store, "raw", "a", 1,
							   STORE_VERSION_LATEST, &reader),
					 -EACCES);
			assert_int_equal(crypt_encryption_of(f->store, "raw", "a"),
					 STORE_ENCRYPTED_BY_CUSTOMER);
			fixture_reopen(f);
		}
	}
	assert_int_equal(
		store_object_update(f->store, "raw", "a", 1, STORE_VERSION_LATEST, drop_key, NULL),
		-EINVAL);
	assert_int_equal(store_object_rename(f->store, "raw", "a", 1, "b", 1), 0);
	assert_int_equal(crypt_check(f->store, "raw", "b", CRYPT_LARGE, key), 0);
	assert_int_equal(store_verify(f->store, NULL, NULL, NULL, &verdict), 0);
	assert_int_equal(verdict.damaged_chunks + verdict.damaged_objects, 0);
	fixture_close(f);
	assert_false(marker_is_on_disk(f));
	fixture_open(f);
}

/* Pieces with one data key are joined without the customer's key; nothing else is. */
static void test_customer_pieces(void **state)
{
	static struct store_object_info info, other;
	struct fixture *f = *state;
	struct store_upload *upload;
	struct store_reader *reader;
	const uint8_t key[32] = {7};
	const struct store_upload_encryption mine = {.customer_key = key}, none = {0};
	crypt_make_bucket(f, "raw", "", false, false);
	wrap_for(f->store, key, &info);
	wrap_for(f->store, key, &other);
	assert_int_equal(crypt_put(f->store, "raw", "p1", CRYPT_SMALL, false, &mine, &info), 0);
	assert_int_equal(crypt_put(f->store, "raw", "p2", CRYPT_SMALL, false, &mine, &other), 0);
	assert_int_equal(crypt_put(f->store, "raw", "p3", CRYPT_SMALL, false, NULL, NULL), 0);
	static const struct {
		const char *key;
		int expected;
	} cases[] = {{"p1", 0}, {"p2", -EACCES}, {"p3", -ENOKEY}};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		assert_int_equal(store_upload_begin_encrypted(f->store, "raw", "whole", 5, &info,
							      &none, &upload),
				 0);
		assert_int_equal(store_reader_open_encrypted(f->store, "raw", cases[i].key, 2,
							     STORE_VERSION_LATEST, NULL, &reader),
				 0);
		int err = store_upload_append(upload, reader, 0, CRYPT_SMALL);
		assert_true(cases[i].expected == 0 ? err == 0 : err == -EACCES || err == -ENOKEY);
		store_reader_close(reader);
		if (err == 0)
			assert_int_equal(store_upload_commit(upload, NULL, NULL), 0);
		else
			store_upload_abort(upload);
	}
	assert_int_equal(crypt_check(f->store, "raw", "whole", CRYPT_SMALL, key), 0);
	/* Bytes cannot be written without the key, nor the data key be exchanged. */
	assert_int_equal(
		store_upload_begin_encrypted(f->store, "raw", "x", 1, &info, &none, &upload), 0);
	assert_int_equal(store_upload_set_metadata(upload, &other), -EINVAL);
	static const struct store_object_info empty;
	assert_int_equal(store_upload_set_metadata(upload, &empty), -EINVAL);
	assert_int_equal(store_upload_write(upload, "x", 1, 0), -ENOKEY);
	store_upload_abort(upload);
}

/* The only chunk's record, and the payload as it stands in the segment. */
struct stored {
	uint8_t name[LOCAL_NAME_SIZE];
	struct local_chunk chunk;
	uint8_t payload[40000];
};

static void load_stored(struct local *local, struct stored *ret, unsigned number)
{
	MDB_txn *txn;
	MDB_cursor *cursor;
	MDB_val key, value;
	struct local_segment *segment;
	assert_int_equal(local_read_begin(local, &txn), 0);
	assert_int_equal(mdb_cursor_open(txn, local->chunks, &cursor), 0);
	for (unsigned i = 0; i <= number; i++)
		assert_int_equal(mdb_cursor_get(cursor, &key, &value, MDB_NEXT), 0);
	assert_int_equal(local_chunk_parse(&key, &value, &ret->chunk), 0);
	memcpy(ret->name, key.mv_data, LOCAL_NAME_SIZE);
	mdb_cursor_close(cursor);
	mdb_txn_abort(txn);
	assert_true(ret->chunk.stored_len <= sizeof(ret->payload));
	assert_int_equal(local_segment_get(&local->segments, ret->chunk.segment, &segment), 0);
	assert_int_equal(local_segment_read(segment, ret->payload, ret->chunk.stored_len,
					    ret->chunk.offset + sizeof(struct local_entry)),
			 0);
	local_segment_put(&local->segments, segment);
}

/* As somebody would have it who changes the disk and sets all checksums right. */
static int decode_forged(struct local *local, const struct stored *stored, const uint8_t *name,
			 const uint8_t *payload)
{
	static char data[40000];
	struct local_chunk chunk = stored->chunk;
	chunk.payload_sum = local_payload_sum(name, payload, chunk.stored_len);
	return local_chunk_decode(local, NULL, name, &chunk, payload, data);
}

static void test_forged_chunks(void **state)
{
	static struct stored a, b;
	struct fixture *f = *state;
	struct local *local = local_of(f->store);
	crypt_make_bucket(f, "safe", "", true, false);
	assert_int_equal(object_put(f->store, "safe", "a", 1, 20000), 0);
	assert_int_equal(object_put(f->store, "safe", "b", 2, 20000), 0);
	load_stored(local, &a, 0);
	load_stored(local, &b, 1);
	assert_int_equal(decode_forged(local, &a, a.name, a.payload), 0);
	size_t len = a.chunk.stored_len;
	/* Nonce, ciphertext, tag. */
	for (size_t at = 0; at < len; at += at < 12 || at + 20 > len ? 1 : 97) {
		a.payload[at] ^= 1;
		assert_int_equal(decode_forged(local, &a, a.name, a.payload), -EBADMSG);
		a.payload[at] ^= 1;
	}
	/* One in the place of another, both from the same tenant. */
	assert_int_equal(b.chunk.stored_len, a.chunk.stored_len);
	assert_int_equal(decode_forged(local, &a, a.name, b.payload), -EBADMSG);
	assert_int_equal(decode_forged(local, &a, b.name, a.payload), -EBADMSG);
	/* Called something else than what it is. */
	a.chunk.flags |= LOCAL_CHUNK_ZSTD;
	assert_int_equal(decode_forged(local, &a, a.name, a.payload), -EBADMSG);
	a.chunk.flags &= (uint16_t)~LOCAL_CHUNK_ZSTD;
	a.chunk.stored_len = LOCAL_SEAL_BYTES;
	assert_int_equal(decode_forged(local, &a, a.name, a.payload), -EBADMSG);
	a.chunk.stored_len = (uint32_t)len;
	a.chunk.key = 77;
	assert_int_equal(decode_forged(local, &a, a.name, a.payload), -EBADMSG);
	/* With another tenant's key. */
	crypt_make_bucket(f, "other", "t2", true, false);
	a.chunk.key = 2;
	assert_int_equal(decode_forged(local, &a, a.name, a.payload), -EBADMSG);
}

static void test_forged_inline(void **state)
{
	struct fixture *f = *state;
	struct local *local = local_of(f->store);
	const struct local_key *key;
	uint8_t sealed[100 + LOCAL_SEAL_BYTES], plain[100] = {1, 2, 3}, got[100];
	const struct local_owner a = {1, "a", 1}, others[] = {{1, "b", 1}, {2, "a", 1}};
	struct local_record record = {.size = sizeof(plain), .key = 1};
	crypt_make_bucket(f, "safe", "", true, false);
	assert_int_equal(local_crypt_tenant_key(local, "", &key), 0);
	assert_int_equal(local_crypt_seal_inline(local, key, &a, plain, sizeof(plain), sealed), 0);
	assert_int_equal(local_crypt_open_inline(local, &record, &a, sealed, got), 0);
	assert_memory_equal(got, plain, sizeof(plain));
	for (size_t i = 0; i < sizeof(sealed); i++) {
		sealed[i] ^= 0x80;
		assert_int_equal(local_crypt_open_inline(local, &record, &a, sealed, got),
				 -EBADMSG);
		sealed[i] ^= 0x80;
	}
	for (size_t i = 0; i < EOS_ARRAY_SIZE(others); i++)
		assert_int_equal(local_crypt_open_inline(local, &record, &others[i], sealed, got),
				 -EBADMSG);
	record.size--;
	assert_int_equal(local_crypt_open_inline(local, &record, &a, sealed, got), -EBADMSG);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_round_trip),	    TEST(test_staging),		TEST(test_sharing),
		TEST(test_copies),	    TEST(test_settings_change), TEST(test_customer_key),
		TEST(test_customer_pieces), TEST(test_forged_chunks),	TEST(test_forged_inline),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
