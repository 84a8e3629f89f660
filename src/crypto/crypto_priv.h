/*
 * For the files that use OpenSSL.
 */
#pragma once

#include <openssl/evp.h>

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
/* Of the calling thread, for what begins and ends within one call. */
struct crypto_contexts {
	EVP_MD_CTX *sha256;
	EVP_MAC_CTX *hmac_sha256;
	/* What HMAC_SHA256 was set up with last: most often the next message has the same key. */
	uint8_t hmac_key[CRYPTO_SHA256_SIZE];
	bool has_hmac_key;
};
/* NULL: no memory. */
struct crypto_contexts *crypto_contexts(void);
