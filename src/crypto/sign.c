/*
 * Ed25519 over OpenSSL.
 */
#include "crypto/crypto.h"

#include <errno.h>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "crypto/crypto_priv.h"

CRYPTO_INIT_BEFORE_MAIN

int crypto_sign_public(const uint8_t seed[CRYPTO_SIGN_SEED_SIZE],
		       uint8_t out[CRYPTO_SIGN_PUBLIC_SIZE])
{
	EVP_PKEY *key =
		EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, CRYPTO_SIGN_SEED_SIZE);
	size_t len = CRYPTO_SIGN_PUBLIC_SIZE;
	bool is_done = key != NULL && EVP_PKEY_get_raw_public_key(key, out, &len) == 1;
	EVP_PKEY_free(key);
	return is_done ? 0 : -ENOMEM;
}

int crypto_sign(const uint8_t seed[CRYPTO_SIGN_SEED_SIZE], const void *data, size_t len,
		uint8_t out[CRYPTO_SIGNATURE_SIZE])
{
	EVP_PKEY *key =
		EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, seed, CRYPTO_SIGN_SEED_SIZE);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	size_t out_len = CRYPTO_SIGNATURE_SIZE;
	bool is_done = key != NULL && ctx != NULL &&
		       EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
		       EVP_DigestSign(ctx, out, &out_len, data, len) == 1;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	return is_done ? 0 : -ENOMEM;
}

int crypto_verify(const uint8_t public_key[CRYPTO_SIGN_PUBLIC_SIZE], const void *data, size_t len,
		  const uint8_t signature[CRYPTO_SIGNATURE_SIZE])
{
	EVP_PKEY *key = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, public_key,
						    CRYPTO_SIGN_PUBLIC_SIZE);
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	int err = -ENOMEM;
	if (key != NULL && ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1)
		err = EVP_DigestVerify(ctx, signature, CRYPTO_SIGNATURE_SIZE, data, len) == 1
			      ? 0
			      : -EBADMSG;
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_free(key);
	/* A refused signature leaves entries in the thread's queue; nobody reads them. */
	ERR_clear_error();
	return err;
}
