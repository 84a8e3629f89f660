/*
 * What the tests of encryption share: objects of a text that can be looked for on the disk.
 */
#pragma once

#include "store/store_fixture_priv.h"

#define CRYPT_MARKER "PLAINTEXT-MARKER-0123456789"
#define CRYPT_SMALL  3000u
#define CRYPT_LARGE  400000u

/* Or sets what it has. */
void crypt_make_bucket(struct fixture *f, const char *name, const char *tenant, bool is_encrypted,
		       bool is_compressed);
/* Of the node key. */
void crypt_key_path(const struct fixture *f, char out[96]);
/* The marker again and again, SIZE bytes. IS_BACKWARDS: the second half first, through staging/.
 * ENCRYPTION and INFO may be NULL. */
int crypt_put(struct store *store, const char *bucket, const char *key, size_t size,
	      bool is_backwards, const struct store_upload_encryption *encryption,
	      const struct store_object_info *info);
/* 0 when the object is that; -EILSEQ: something else; or the store's error. */
int crypt_check(struct store *store, const char *bucket, const char *key, size_t size,
		const uint8_t *customer_key);
enum store_encryption crypt_encryption_of(struct store *store, const char *bucket, const char *key);
