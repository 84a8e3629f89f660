/*
 * Hashes, HMAC, comparison and random bytes over OpenSSL's EVP interface.
 */
/* contexts.c says why. */
#define OPENSSL_SUPPRESS_DEPRECATED

#include "crypto/crypto.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "crypto/crypto_priv.h"

CRYPTO_INIT_BEFORE_MAIN

struct crypto_hash {
	EVP_MD_CTX *ctx;
	const EVP_MD *md;
};

int crypto_hash_new(enum crypto_hash_kind kind, struct crypto_hash **ret_hash)
{
	if ((size_t)kind > CRYPTO_SHA1)
		return -EINVAL;
	const EVP_MD *md = crypto_md(kind);
	if (md == NULL)
		return -ENOMEM;
	struct crypto_hash *hash = calloc(1, sizeof(*hash));
	if (hash == NULL)
		return -ENOMEM;
	hash->md = md;
	hash->ctx = EVP_MD_CTX_new();
	if (hash->ctx == NULL || EVP_DigestInit_ex2(hash->ctx, md, NULL) != 1) {
		crypto_hash_free(hash);
		return -ENOMEM;
	}
	*ret_hash = hash;
	return 0;
}

struct crypto_hash *crypto_hash_free(struct crypto_hash *hash)
{
	if (hash != NULL) {
		EVP_MD_CTX_free(hash->ctx);
		free(hash);
	}
	return NULL;
}

int crypto_hash_update(struct crypto_hash *hash, const void *data, size_t len)
{
	return EVP_DigestUpdate(hash->ctx, data, len) == 1 ? 0 : -ENOMEM;
}

int crypto_hash_final(struct crypto_hash *hash, uint8_t *out)
{
	if (EVP_DigestFinal_ex(hash->ctx, out, NULL) != 1)
		return -ENOMEM;
	return EVP_DigestInit_ex2(hash->ctx, hash->md, NULL) == 1 ? 0 : -ENOMEM;
}

int crypto_sha256(const void *data, size_t len, uint8_t out[CRYPTO_SHA256_SIZE])
{
	SHA256_CTX ctx;
	if (SHA256_Init(&ctx) != 1 || SHA256_Update(&ctx, data, len) != 1 ||
	    SHA256_Final(out, &ctx) != 1)
		return -ENOMEM;
	return 0;
}

/* RFC 2104: the hashes that begin with the key, each of its bytes changed in one of two ways. */
static bool begin_hashes(struct crypto_hmac_key *kept, const void *key, size_t key_len)
{
	uint8_t inner[SHA256_CBLOCK] = {0}, outer[SHA256_CBLOCK];
	bool is_good = true;
	if (key_len > sizeof(inner))
		is_good = crypto_sha256(key, key_len, inner) == 0;
	else if (key_len > 0)
		memcpy(inner, key, key_len);
	for (size_t i = 0; i < sizeof(inner); i++) {
		outer[i] = inner[i] ^ 0x5c;
		inner[i] ^= 0x36;
	}
	is_good = is_good && SHA256_Init(&kept->inner) == 1 &&
		  SHA256_Update(&kept->inner, inner, sizeof(inner)) == 1 &&
		  SHA256_Init(&kept->outer) == 1 &&
		  SHA256_Update(&kept->outer, outer, sizeof(outer)) == 1;
	OPENSSL_cleanse(inner, sizeof(inner));
	OPENSSL_cleanse(outer, sizeof(outer));
	return is_good;
}

/* A key that is there already spares two blocks of SHA-256. */
static bool set_key(struct crypto_hmac_key *kept, const void *key, size_t key_len)
{
	if (kept->has_key && key_len == sizeof(kept->key) && crypto_equal(kept->key, key, key_len))
		return true;
	kept->has_key = false;
	if (!begin_hashes(kept, key, key_len))
		return false;
	/* Of another length it could be told from others only by its length, too. */
	if (key_len == sizeof(kept->key)) {
		memcpy(kept->key, key, key_len);
		kept->has_key = true;
	}
	return true;
}

int crypto_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
		       uint8_t out[CRYPTO_SHA256_SIZE])
{
	struct crypto_hmac_key *kept = crypto_hmac_key();
	if (kept == NULL || !set_key(kept, key, key_len))
		return -ENOMEM;
	uint8_t digest[CRYPTO_SHA256_SIZE];
	SHA256_CTX ctx = kept->inner;
	bool is_good = SHA256_Update(&ctx, data, len) == 1 && SHA256_Final(digest, &ctx) == 1;
	if (is_good) {
		ctx = kept->outer;
		is_good = SHA256_Update(&ctx, digest, sizeof(digest)) == 1 &&
			  SHA256_Final(out, &ctx) == 1;
	}
	OPENSSL_cleanse(&ctx, sizeof(ctx));
	OPENSSL_cleanse(digest, sizeof(digest));
	return is_good ? 0 : -ENOMEM;
}

/* Seldom needed: nothing is kept for it. */
int crypto_hmac_sha1(const void *key, size_t key_len, const void *data, size_t len,
		     uint8_t out[CRYPTO_SHA1_SIZE])
{
	size_t out_len;
	if (EVP_Q_mac(NULL, "HMAC", NULL, "SHA1", NULL, key_len == 0 ? "" : key, key_len, data, len,
		      out, CRYPTO_SHA1_SIZE, &out_len) == NULL)
		return -ENOMEM;
	return 0;
}

bool crypto_equal(const void *a, const void *b, size_t len)
{
	return CRYPTO_memcmp(a, b, len) == 0;
}

/* The kernel's generator, not OpenSSL's: it needs no state of ours and survives fork(). */
int crypto_random(void *out, size_t len)
{
	uint8_t *p = out;
	while (len > 0) {
		ssize_t n = getrandom(p, len, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}
