/*
 * AES-256-GCM, AES-256-XTS and HMAC-SHA-256 over OpenSSL's EVP interface.
 */
#include "crypto/aead.h"

#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "crypto/crypto_priv.h"

#define BYTES_MAX (1u << 30)

struct crypto_cipher {
	EVP_CIPHER_CTX *gcm, *xts;
	EVP_MAC_CTX *mac;
};

/* Fetched once, for the life of the process; NULL: then no cipher can be made. */
static EVP_CIPHER *aes_gcm, *aes_xts;
static EVP_MAC *hmac;

__attribute__((constructor)) static void fetch_before_main(void)
{
	crypto_init();
	aes_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	aes_xts = EVP_CIPHER_fetch(NULL, "AES-256-XTS", NULL);
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
}

int crypto_cipher_new(struct crypto_cipher **ret_cipher)
{
	static char digest[] = "SHA256";
	const OSSL_PARAM params[] = {
		OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, digest, 0),
		OSSL_PARAM_construct_end(),
	};
	struct crypto_cipher *cipher = calloc(1, sizeof(*cipher));
	if (cipher == NULL)
		return -ENOMEM;
	if (aes_gcm != NULL && aes_xts != NULL && hmac != NULL) {
		cipher->gcm = EVP_CIPHER_CTX_new();
		cipher->xts = EVP_CIPHER_CTX_new();
		cipher->mac = EVP_MAC_CTX_new(hmac);
	}
	if (cipher->gcm == NULL || cipher->xts == NULL || cipher->mac == NULL ||
	    EVP_MAC_CTX_set_params(cipher->mac, params) != 1) {
		crypto_cipher_free(cipher);
		return -ENOMEM;
	}
	*ret_cipher = cipher;
	return 0;
}

struct crypto_cipher *crypto_cipher_free(struct crypto_cipher *cipher)
{
	if (cipher == NULL)
		return NULL;
	EVP_CIPHER_CTX_free(cipher->gcm);
	EVP_CIPHER_CTX_free(cipher->xts);
	EVP_MAC_CTX_free(cipher->mac);
	free(cipher);
	return NULL;
}

/* Sets key and nonce, and takes what is only authenticated. */
static bool gcm_begin(EVP_CIPHER_CTX *ctx, const struct crypto_aead *aead, bool is_sealing)
{
	int n;
	return EVP_CipherInit_ex2(ctx, aes_gcm, aead->key, aead->nonce, is_sealing, NULL) == 1 &&
	       (aead->ad_len == 0 ||
		EVP_CipherUpdate(ctx, NULL, &n, aead->ad, (int)aead->ad_len) == 1);
}

int crypto_aead_seal(struct crypto_cipher *cipher, const struct crypto_aead *aead, const void *data,
		     size_t len, void *out, uint8_t tag[CRYPTO_AEAD_TAG_SIZE])
{
	EVP_CIPHER_CTX *ctx = cipher->gcm;
	int n = 0;
	if (len > BYTES_MAX || aead->ad_len > BYTES_MAX)
		return -EINVAL;
	if (!gcm_begin(ctx, aead, true) ||
	    (len > 0 && EVP_CipherUpdate(ctx, out, &n, data, (int)len) != 1) ||
	    EVP_CipherFinal_ex(ctx, (uint8_t *)out + n, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_GET_TAG, CRYPTO_AEAD_TAG_SIZE, tag) != 1)
		return -ENOMEM;
	return 0;
}

int crypto_aead_open(struct crypto_cipher *cipher, const struct crypto_aead *aead, const void *data,
		     size_t len, const uint8_t tag[CRYPTO_AEAD_TAG_SIZE], void *out)
{
	EVP_CIPHER_CTX *ctx = cipher->gcm;
	int n = 0;
	if (len > BYTES_MAX || aead->ad_len > BYTES_MAX)
		return -EINVAL;
	if (!gcm_begin(ctx, aead, false) ||
	    (len > 0 && EVP_CipherUpdate(ctx, out, &n, data, (int)len) != 1) ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_AEAD_SET_TAG, CRYPTO_AEAD_TAG_SIZE,
				(void *)(uintptr_t)tag) != 1)
		return -ENOMEM;
	int err = EVP_CipherFinal_ex(ctx, (uint8_t *)out + n, &n) == 1 ? 0 : -EBADMSG;
	/* A refused tag may leave entries in the thread's queue; nobody reads them. */
	if (err < 0)
		ERR_clear_error();
	return err;
}

int crypto_xts(struct crypto_cipher *cipher, bool is_sealing,
	       const uint8_t key[CRYPTO_XTS_KEY_SIZE], uint64_t number, const void *data,
	       size_t len, void *out)
{
	EVP_CIPHER_CTX *ctx = cipher->xts;
	uint8_t tweak[16] = {0};
	int n = 0;
	if (len < sizeof(tweak) || len > (64u << 10))
		return -EINVAL;
	for (unsigned i = 0; i < sizeof(number); i++)
		tweak[i] = (uint8_t)(number >> (8 * i));
	if (EVP_CipherInit_ex2(ctx, aes_xts, key, tweak, is_sealing, NULL) != 1 ||
	    EVP_CipherUpdate(ctx, out, &n, data, (int)len) != 1 ||
	    EVP_CipherFinal_ex(ctx, (uint8_t *)out + n, &n) != 1)
		return -ENOMEM;
	return 0;
}

int crypto_mac(struct crypto_cipher *cipher, const uint8_t key[CRYPTO_AEAD_KEY_SIZE], uint8_t label,
	       const void *data, size_t len, uint8_t out[CRYPTO_MAC_SIZE])
{
	size_t n;
	if (EVP_MAC_init(cipher->mac, key, CRYPTO_AEAD_KEY_SIZE, NULL) != 1 ||
	    EVP_MAC_update(cipher->mac, &label, sizeof(label)) != 1 ||
	    EVP_MAC_update(cipher->mac, data, len) != 1 ||
	    EVP_MAC_final(cipher->mac, out, &n, CRYPTO_MAC_SIZE) != 1)
		return -ENOMEM;
	return 0;
}
