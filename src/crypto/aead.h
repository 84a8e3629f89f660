/*
 * Symmetric encryption: AES-256 in GCM, which authenticates what it hides, and in XTS, for files
 * that are written at any place; and HMAC-SHA-256 without an allocation a call.
 *
 * A struct crypto_cipher holds the contexts that OpenSSL works with, to be used again and again,
 * with any keys, by one thread at a time. The algorithms are fetched before main(): nothing here
 * opens a file or looks a name up later (a process under seccomp must not).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"

#define CRYPTO_AEAD_KEY_SIZE   32
#define CRYPTO_AEAD_NONCE_SIZE 12
#define CRYPTO_AEAD_TAG_SIZE   16
#define CRYPTO_XTS_KEY_SIZE    64
#define CRYPTO_MAC_SIZE	       32

struct crypto_cipher;
/* -ENOMEM, also when OpenSSL has not got the algorithms. */
int crypto_cipher_new(struct crypto_cipher **ret_cipher) EOS_MUST_CHECK;
/* NULL is fine. Returns NULL. What it holds of keys is wiped. */
struct crypto_cipher *crypto_cipher_free(struct crypto_cipher *cipher);

/* Authenticated, but not hidden: AD_LEN bytes at AD. */
struct crypto_aead {
	const uint8_t *key;   /* CRYPTO_AEAD_KEY_SIZE */
	const uint8_t *nonce; /* CRYPTO_AEAD_NONCE_SIZE; never twice with the same key */
	const void *ad;
	size_t ad_len;
};
/* LEN (at most 1 GiB) bytes at DATA into OUT, which may be DATA, and the TAG. */
int crypto_aead_seal(struct crypto_cipher *cipher, const struct crypto_aead *aead, const void *data,
		     size_t len, void *out, uint8_t tag[CRYPTO_AEAD_TAG_SIZE]) EOS_MUST_CHECK;
/* -EBADMSG: not what was sealed with these; OUT holds nothing of use then. */
int crypto_aead_open(struct crypto_cipher *cipher, const struct crypto_aead *aead, const void *data,
		     size_t len, const uint8_t tag[CRYPTO_AEAD_TAG_SIZE], void *out) EOS_MUST_CHECK;

/* One unit of a file: LEN bytes (16 to 64 KiB), which NUMBER tells from the others under the same
 * key. OUT may be DATA. The halves of KEY must not be equal. Nothing is authenticated. */
int crypto_xts(struct crypto_cipher *cipher, bool is_sealing,
	       const uint8_t key[CRYPTO_XTS_KEY_SIZE], uint64_t number, const void *data,
	       size_t len, void *out) EOS_MUST_CHECK;

/* HMAC-SHA-256 with a key of 32 bytes over LABEL (a byte that says what it is for) and DATA. */
int crypto_mac(struct crypto_cipher *cipher, const uint8_t key[CRYPTO_AEAD_KEY_SIZE], uint8_t label,
	       const void *data, size_t len, uint8_t out[CRYPTO_MAC_SIZE]) EOS_MUST_CHECK;
