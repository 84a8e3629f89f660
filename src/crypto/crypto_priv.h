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
};
/* NULL: no memory. */
struct crypto_contexts *crypto_contexts(void);
