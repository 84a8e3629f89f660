/*
 * For the files that use OpenSSL.
 */
#pragma once

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "crypto/crypto.h"

/* Called by a constructor in each such file, so that none can be linked without it. */
void crypto_init(void);

#define CRYPTO_INIT_BEFORE_MAIN                                                                    \
	__attribute__((constructor)) static void init_before_main(void)                            \
	{                                                                                          \
		crypto_init();                                                                     \
	}

/* contexts.c */
/* NULL: no memory. */
const EVP_MD *crypto_md(enum crypto_hash_kind kind);
/* The key that the calling thread used last for HMAC-SHA256, and the two hashes that begin with it:
 * most often the next message has the same key. */
struct crypto_hmac_key {
	bool has_key;
	uint8_t key[CRYPTO_SHA256_SIZE];
	SHA256_CTX inner, outer;
};
/* NULL: no memory. */
struct crypto_hmac_key *crypto_hmac_key(void);
