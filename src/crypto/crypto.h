/*
 * Hashes, message authentication, signatures and random bytes, from OpenSSL's libcrypto.
 * Contexts are opaque; functions are thread-safe on different contexts. A failure inside
 * OpenSSL that is not an input's fault (out of memory) is -ENOMEM.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

#define CRYPTO_SHA256_SIZE	32
#define CRYPTO_MD5_SIZE		16
#define CRYPTO_SHA1_SIZE	20
#define CRYPTO_SIGN_SEED_SIZE	32
#define CRYPTO_SIGN_PUBLIC_SIZE 32
#define CRYPTO_SIGNATURE_SIZE	64

enum crypto_hash_kind { CRYPTO_SHA256, CRYPTO_MD5, CRYPTO_SHA1 };

/* A running hash. MD5 is here for S3's ETag only. */
struct crypto_hash;
int crypto_hash_new(enum crypto_hash_kind kind, struct crypto_hash **ret_hash) EOS_MUST_CHECK;
struct crypto_hash *crypto_hash_free(struct crypto_hash *hash);
int crypto_hash_update(struct crypto_hash *hash, const void *data, size_t len) EOS_MUST_CHECK;
/* Writes the digest; the hash then starts anew. */
int crypto_hash_final(struct crypto_hash *hash, uint8_t *out) EOS_MUST_CHECK;

int crypto_sha256(const void *data, size_t len, uint8_t out[CRYPTO_SHA256_SIZE]) EOS_MUST_CHECK;
int crypto_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
		       uint8_t out[CRYPTO_SHA256_SIZE]) EOS_MUST_CHECK;
/* For S3's old POST forms only. */
int crypto_hmac_sha1(const void *key, size_t key_len, const void *data, size_t len,
		     uint8_t out[CRYPTO_SHA1_SIZE]) EOS_MUST_CHECK;

/* In time that does not depend on the contents. */
bool crypto_equal(const void *a, const void *b, size_t len);

int crypto_random(void *out, size_t len) EOS_MUST_CHECK;

/* Ed25519 (RFC 8032). The public key of SEED, the secret. */
int crypto_sign_public(const uint8_t seed[CRYPTO_SIGN_SEED_SIZE],
		       uint8_t out[CRYPTO_SIGN_PUBLIC_SIZE]) EOS_MUST_CHECK;
int crypto_sign(const uint8_t seed[CRYPTO_SIGN_SEED_SIZE], const void *data, size_t len,
		uint8_t out[CRYPTO_SIGNATURE_SIZE]) EOS_MUST_CHECK;
/* 0 or -EBADMSG. */
int crypto_verify(const uint8_t public_key[CRYPTO_SIGN_PUBLIC_SIZE], const void *data, size_t len,
		  const uint8_t signature[CRYPTO_SIGNATURE_SIZE]) EOS_MUST_CHECK;

/* Base64 (RFC 4648, padded). OUT needs 4 * ((len + 2) / 3) + 1 bytes. */
void crypto_base64_encode(const void *data, size_t len, char *out);
/* OUT needs 3 * (len / 4) bytes. Returns the length or -EINVAL. */
long crypto_base64_decode(const char *text, size_t len, uint8_t *out) EOS_MUST_CHECK;
