/*
 * Hashes, HMAC, comparison and random bytes over OpenSSL's EVP interface.
 */
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
	const EVP_MD *md = crypto_md(CRYPTO_SHA256);
	struct crypto_contexts *contexts = crypto_contexts();
	if (md == NULL || contexts == NULL || EVP_DigestInit_ex2(contexts->sha256, md, NULL) != 1 ||
	    EVP_DigestUpdate(contexts->sha256, data, len) != 1 ||
	    EVP_DigestFinal_ex(contexts->sha256, out, NULL) != 1)
		return -ENOMEM;
	return 0;
}

/* Begins a message; a key that is there already spares two blocks of SHA-256 and more. */
static bool hmac_begin(struct crypto_contexts *contexts, const void *key, size_t key_len)
{
	if (contexts->has_hmac_key && key_len == sizeof(contexts->hmac_key) &&
	    crypto_equal(contexts->hmac_key, key, key_len))
		return EVP_MAC_init(contexts->hmac_sha256, NULL, 0, NULL) == 1;
	/* An empty key is legal, but OpenSSL takes NULL to mean the key of an earlier call. */
	contexts->has_hmac_key = false;
	if (EVP_MAC_init(contexts->hmac_sha256, key_len == 0 ? "" : key, key_len, NULL) != 1)
		return false;
	if (key_len == sizeof(contexts->hmac_key)) {
		memcpy(contexts->hmac_key, key, key_len);
		contexts->has_hmac_key = true;
	}
	return true;
}

int crypto_hmac_sha256(const void *key, size_t key_len, const void *data, size_t len,
		       uint8_t out[CRYPTO_SHA256_SIZE])
{
	struct crypto_contexts *contexts = crypto_contexts();
	size_t out_len;
	if (contexts == NULL || !hmac_begin(contexts, key, key_len) ||
	    EVP_MAC_update(contexts->hmac_sha256, data, len) != 1 ||
	    EVP_MAC_final(contexts->hmac_sha256, out, &out_len, CRYPTO_SHA256_SIZE) != 1)
		return -ENOMEM;
	return 0;
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
