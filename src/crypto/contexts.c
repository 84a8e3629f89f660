/*
 * OpenSSL looks an algorithm up by its name, under a lock, whenever a context is made for one of
 * the old constants (EVP_sha256()), which takes longer than to hash a kilobyte. So algorithms are
 * fetched once a process.
 *
 * What each request hashes in one piece is short, and around that EVP does more than SHA-256 itself
 * takes where the processor has instructions for it: contexts are copied with malloc() for each
 * HMAC. So there it is the functions below EVP that are called, which OpenSSL calls deprecated;
 * they are the code that EVP's end in. A key's two hashes are kept by its thread.
 */
#include "crypto/crypto_priv.h"

#include <pthread.h>
#include <stdlib.h>

#include <openssl/crypto.h>

CRYPTO_INIT_BEFORE_MAIN

/* Kept until the process ends; NULL: without memory at the start, which each use then says. */
static EVP_MD *mds[3];
static pthread_key_t hmac_key;
static bool has_key;
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void key_free(void *ctx)
{
	OPENSSL_cleanse(ctx, sizeof(struct crypto_hmac_key));
	free(ctx);
}

static void fetch(void)
{
	mds[CRYPTO_SHA256] = EVP_MD_fetch(NULL, "SHA256", NULL);
	mds[CRYPTO_MD5] = EVP_MD_fetch(NULL, "MD5", NULL);
	mds[CRYPTO_SHA1] = EVP_MD_fetch(NULL, "SHA1", NULL);
	has_key = pthread_key_create(&hmac_key, key_free) == 0;
}

const EVP_MD *crypto_md(enum crypto_hash_kind kind)
{
	pthread_once(&fetched, fetch);
	return mds[kind];
}

struct crypto_hmac_key *crypto_hmac_key(void)
{
	pthread_once(&fetched, fetch);
	if (!has_key)
		return NULL;
	struct crypto_hmac_key *key = pthread_getspecific(hmac_key);
	if (key != NULL)
		return key;
	key = calloc(1, sizeof(*key));
	if (key != NULL && pthread_setspecific(hmac_key, key) != 0) {
		free(key);
		key = NULL;
	}
	return key;
}
