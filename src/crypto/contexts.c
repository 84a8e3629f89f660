/*
 * OpenSSL looks an algorithm up by its name, under a lock, whenever a context is made for one of
 * the old constants (EVP_sha256()), which takes longer than to hash a kilobyte. So algorithms are
 * fetched once a process, and the contexts for what is hashed in one piece are made once a thread.
 */
#include "crypto/crypto_priv.h"

#include <pthread.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/crypto.h>

CRYPTO_INIT_BEFORE_MAIN

/* Kept until the process ends; NULL: without memory at the start, which each use then says. */
static EVP_MD *mds[3];
static EVP_MAC *hmac;
static pthread_key_t contexts_key;
static bool has_key;
static pthread_once_t fetched = PTHREAD_ONCE_INIT;

static void contexts_free(void *ctx)
{
	struct crypto_contexts *contexts = ctx;
	EVP_MD_CTX_free(contexts->sha256);
	EVP_MAC_CTX_free(contexts->hmac_sha256);
	OPENSSL_cleanse(contexts->hmac_key, sizeof(contexts->hmac_key));
	free(contexts);
}

static void fetch(void)
{
	mds[CRYPTO_SHA256] = EVP_MD_fetch(NULL, "SHA256", NULL);
	mds[CRYPTO_MD5] = EVP_MD_fetch(NULL, "MD5", NULL);
	mds[CRYPTO_SHA1] = EVP_MD_fetch(NULL, "SHA1", NULL);
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
	has_key = pthread_key_create(&contexts_key, contexts_free) == 0;
}

const EVP_MD *crypto_md(enum crypto_hash_kind kind)
{
	pthread_once(&fetched, fetch);
	return mds[kind];
}

static struct crypto_contexts *contexts_new(void)
{
	char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	struct crypto_contexts *contexts = calloc(1, sizeof(*contexts));
	if (contexts == NULL)
		return NULL;
	contexts->sha256 = EVP_MD_CTX_new();
	contexts->hmac_sha256 = EVP_MAC_CTX_new(hmac);
	if (contexts->sha256 == NULL || contexts->hmac_sha256 == NULL ||
	    EVP_MAC_CTX_set_params(contexts->hmac_sha256, params) != 1 ||
	    pthread_setspecific(contexts_key, contexts) != 0) {
		contexts_free(contexts);
		return NULL;
	}
	return contexts;
}

struct crypto_contexts *crypto_contexts(void)
{
	pthread_once(&fetched, fetch);
	if (!has_key || hmac == NULL)
		return NULL;
	struct crypto_contexts *contexts = pthread_getspecific(contexts_key);
	return contexts != NULL ? contexts : contexts_new();
}
