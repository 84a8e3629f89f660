#include "store/store_crypt_fixture_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

void crypt_make_bucket(struct fixture *f, const char *name, const char *tenant, bool is_encrypted,
		       bool is_compressed)
{
	struct store_bucket_settings settings = {
		.is_encrypted = is_encrypted,
		.is_compressed = is_compressed,
	};
	strcpy(settings.tenant, tenant);
	int err = store_bucket_create(f->store, name);
	assert_true(err == 0 || err == -EEXIST);
	assert_int_equal(store_bucket_settings_set(f->store, name, &settings), 0);
}

void crypt_key_path(const struct fixture *f, char out[96])
{
	snprintf(out, 96, "%s.key", f->dir);
}

/* The marker again and again, with a number in between, so that there are many chunks. */
static void marked_fill(char *out, size_t len)
{
	for (size_t i = 0, n = 0; i < len; n++) {
		char text[64];
		int text_len = snprintf(text, sizeof(text), "%s %zu ", CRYPT_MARKER, n);
		for (int k = 0; k < text_len && i < len; k++)
			out[i++] = text[k];
	}
}

/* In one go, or the second half first: through staging/. */
int crypt_put(struct store *store, const char *bucket, const char *key, size_t size,
	      bool is_backwards, const struct store_upload_encryption *encryption,
	      const struct store_object_info *info)
{
	static const struct store_upload_encryption none = {0};
	static char data[CRYPT_LARGE];
	struct store_upload *upload;
	size_t half = is_backwards ? size / 2 + 1 : 0;
	marked_fill(data, size);
	int err = store_upload_begin_encrypted(store, bucket, key, strlen(key), info,
					       encryption != NULL ? encryption : &none, &upload);
	if (err < 0)
		return err;
	err = store_upload_write(upload, data + half, size - half, half);
	if (err == 0)
		err = store_upload_write(upload, data, half, 0);
	if (err == 0)
		return store_upload_commit(upload, NULL, NULL);
	store_upload_abort(upload);
	return err;
}

static int read_marked(struct store_reader *reader, size_t size)
{
	static char expected[CRYPT_LARGE], got[CRYPT_LARGE];
	marked_fill(expected, size);
	assert_int_equal(store_reader_info(reader)->size, size);
	for (size_t offset = 0; offset < size;) {
		int64_t n = store_reader_read(reader, got + offset, 10007, offset);
		if (n < 0)
			return (int)n;
		offset += (size_t)n;
	}
	return memcmp(got, expected, size) == 0 ? 0 : -EILSEQ;
}

int crypt_check(struct store *store, const char *bucket, const char *key, size_t size,
		const uint8_t *customer_key)
{
	struct store_reader *reader;
	int err = store_reader_open_encrypted(store, bucket, key, strlen(key), STORE_VERSION_LATEST,
					      customer_key, &reader);
	if (err < 0)
		return err;
	err = read_marked(reader, size);
	store_reader_close(reader);
	return err;
}

enum store_encryption crypt_encryption_of(struct store *store, const char *bucket, const char *key)
{
	static struct store_object_info info;
	assert_int_equal(
		store_object_get(store, bucket, key, strlen(key), STORE_VERSION_LATEST, &info), 0);
	return info.encryption;
}
