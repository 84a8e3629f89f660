/*
 * Sealing and opening. What is bound to what, and why nonces do not repeat: local_crypt_priv.h.
 */
#include "store/local_crypt_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <zstd.h>

#include "crypto/crypto.h"
#include "store/local_priv.h"
#include "store/store_metadata_priv.h"

/* As many threads work at once, most of the time; more make ciphers of their own. */
#define IDLE_MAX    16u
#define SCRATCH_MAX (1u << 20) /* more is not kept */

/* What keys are derived for (crypto_mac()); 'S' and 'N' are local_crypt_keys.c's. */
#define LABEL_CHUNK  'C'
#define LABEL_INLINE 'I'
#define LABEL_NAME   'B'

void local_cipher_free(struct local_cipher *cipher)
{
	crypto_cipher_free(cipher->crypto);
	if (cipher->scratch != NULL)
		explicit_bzero(cipher->scratch, cipher->cap);
	free(cipher->scratch);
	free(cipher);
}

int local_cipher_take(struct local *local, struct local_cipher **ret_cipher)
{
	struct local_crypt *crypt = &local->crypt;
	pthread_mutex_lock(&crypt->pool_lock);
	struct local_cipher *cipher = crypt->idle;
	if (cipher != NULL) {
		crypt->idle = cipher->next;
		crypt->idle_count--;
	}
	pthread_mutex_unlock(&crypt->pool_lock);
	if (cipher == NULL) {
		cipher = calloc(1, sizeof(*cipher));
		if (cipher == NULL)
			return -ENOMEM;
		int err = crypto_cipher_new(&cipher->crypto);
		if (err < 0) {
			free(cipher);
			return err;
		}
	}
	*ret_cipher = cipher;
	return 0;
}

void local_cipher_give(struct local *local, struct local_cipher *cipher)
{
	struct local_crypt *crypt = &local->crypt;
	if (cipher->cap > SCRATCH_MAX) {
		free(cipher->scratch);
		cipher->scratch = NULL;
		cipher->cap = 0;
	}
	pthread_mutex_lock(&crypt->pool_lock);
	bool is_kept = crypt->idle_count < IDLE_MAX;
	if (is_kept) {
		cipher->next = crypt->idle;
		crypt->idle = cipher;
		crypt->idle_count++;
	}
	pthread_mutex_unlock(&crypt->pool_lock);
	if (!is_kept)
		local_cipher_free(cipher);
}

uint8_t *local_cipher_scratch(struct local_cipher *cipher, size_t len)
{
	if (len > cipher->cap) {
		free(cipher->scratch);
		cipher->scratch = malloc(len);
		cipher->cap = cipher->scratch == NULL ? 0 : len;
	}
	return cipher->scratch;
}

int local_crypt_name(struct local *local, const struct local_key *key, const void *data, size_t len,
		     uint8_t ret_name[LOCAL_NAME_SIZE])
{
	struct local_cipher *cipher;
	if (key == NULL)
		return crypto_sha256(data, len, ret_name);
	int err = local_cipher_take(local, &cipher);
	if (err < 0)
		return err;
	err = crypto_mac(cipher->crypto, key->name, LABEL_NAME, data, len, ret_name);
	local_cipher_give(local, cipher);
	return err;
}

/* The key of its own that something is sealed with, and what is authenticated beside it. */
struct sealing {
	uint8_t key[LOCAL_KEY_SIZE];
	struct {
		uint64_t len; /* of the plain bytes */
		uint32_t flags;
		uint32_t key;
		uint8_t name[LOCAL_NAME_SIZE]; /* of a chunk, or zeros */
	} ad;
};

/* NONCE | ciphertext | tag. */
static int seal(struct local_cipher *cipher, const struct sealing *sealing, const void *data,
		size_t len, uint8_t *out)
{
	const struct crypto_aead aead = {
		.key = sealing->key,
		.nonce = out,
		.ad = &sealing->ad,
		.ad_len = sizeof(sealing->ad),
	};
	int err = crypto_random(out, CRYPTO_AEAD_NONCE_SIZE);
	uint8_t *body = out + CRYPTO_AEAD_NONCE_SIZE;
	return err < 0 ? err : crypto_aead_seal(cipher->crypto, &aead, data, len, body, body + len);
}

/* LEN: of the plain bytes. */
static int unseal(struct local_cipher *cipher, const struct sealing *sealing, const uint8_t *sealed,
		  size_t len, void *out)
{
	const struct crypto_aead aead = {
		.key = sealing->key,
		.nonce = sealed,
		.ad = &sealing->ad,
		.ad_len = sizeof(sealing->ad),
	};
	const uint8_t *body = sealed + CRYPTO_AEAD_NONCE_SIZE;
	return crypto_aead_open(cipher->crypto, &aead, body, len, body + len, out);
}

static int chunk_sealing(struct local_cipher *cipher, const struct local_key *key,
			 const uint8_t name[LOCAL_NAME_SIZE], uint32_t len, uint16_t flags,
			 struct sealing *ret_sealing)
{
	memset(ret_sealing, 0, sizeof(*ret_sealing));
	ret_sealing->ad.len = len;
	ret_sealing->ad.flags = flags;
	ret_sealing->ad.key = key->id;
	memcpy(ret_sealing->ad.name, name, LOCAL_NAME_SIZE);
	return crypto_mac(cipher->crypto, key->seal, LABEL_CHUNK, name, LOCAL_NAME_SIZE,
			  ret_sealing->key);
}

int local_crypt_seal_chunk(struct local *local, const struct local_key *key,
			   struct local_new_chunk *chunk, const void *data, size_t len,
			   uint8_t *out)
{
	struct local_cipher *cipher;
	struct sealing sealing;
	int err = local_cipher_take(local, &cipher);
	if (err < 0)
		return err;
	chunk->key = key->id;
	chunk->flags |= LOCAL_CHUNK_ENCRYPTED;
	chunk->stored_len = (uint32_t)(len + LOCAL_SEAL_BYTES);
	err = chunk_sealing(cipher, key, chunk->name, chunk->len, chunk->flags, &sealing);
	if (err == 0)
		err = seal(cipher, &sealing, data, len, out);
	explicit_bzero(&sealing, sizeof(sealing));
	local_cipher_give(local, cipher);
	return err;
}

static int open_packed(struct local_cipher *cipher, const struct sealing *sealing,
		       const struct local_chunk *chunk, const uint8_t *payload, void *data)
{
	size_t len = chunk->stored_len - LOCAL_SEAL_BYTES;
	uint8_t *packed = local_cipher_scratch(cipher, len);
	int err = packed == NULL ? -ENOMEM : unseal(cipher, sealing, payload, len, packed);
	if (err < 0)
		return err;
	size_t n = ZSTD_decompress(data, chunk->len, packed, len);
	return ZSTD_isError(n) || n != chunk->len ? -EBADMSG : 0;
}

int local_crypt_open_chunk(struct local *local, const struct local_key *key,
			   const uint8_t name[LOCAL_NAME_SIZE], const struct local_chunk *chunk,
			   const uint8_t *payload, void *data)
{
	struct local_cipher *cipher;
	struct sealing sealing;
	bool is_packed = (chunk->flags & LOCAL_CHUNK_ZSTD) != 0;
	int err = 0;
	if (chunk->stored_len <= LOCAL_SEAL_BYTES ||
	    (!is_packed && chunk->stored_len - LOCAL_SEAL_BYTES != chunk->len))
		return -EBADMSG;
	if (key == NULL || key->id != chunk->key)
		err = local_crypt_key(local, chunk->key, &key);
	if (err == 0)
		err = local_cipher_take(local, &cipher);
	if (err < 0)
		return err;
	err = chunk_sealing(cipher, key, name, chunk->len, chunk->flags, &sealing);
	if (err == 0)
		err = is_packed ? open_packed(cipher, &sealing, chunk, payload, data)
				: unseal(cipher, &sealing, payload, chunk->len, data);
	explicit_bzero(&sealing, sizeof(sealing));
	local_cipher_give(local, cipher);
	return err;
}

static int inline_sealing(struct local_cipher *cipher, const struct local_key *key,
			  const struct local_owner *owner, uint64_t size,
			  struct sealing *ret_sealing)
{
	uint8_t name[8 + STORE_KEY_MAX];
	local_be64_put(name, owner->node);
	memcpy(name + 8, owner->key, owner->key_len);
	memset(ret_sealing, 0, sizeof(*ret_sealing));
	ret_sealing->ad.len = size;
	ret_sealing->ad.key = key->id;
	return crypto_mac(cipher->crypto, key->seal, LABEL_INLINE, name, 8 + owner->key_len,
			  ret_sealing->key);
}

int local_crypt_seal_inline(struct local *local, const struct local_key *key,
			    const struct local_owner *owner, const void *data, size_t size,
			    uint8_t *out)
{
	struct local_cipher *cipher;
	struct sealing sealing;
	int err = local_cipher_take(local, &cipher);
	if (err < 0)
		return err;
	err = inline_sealing(cipher, key, owner, size, &sealing);
	if (err == 0)
		err = seal(cipher, &sealing, data, size, out);
	explicit_bzero(&sealing, sizeof(sealing));
	local_cipher_give(local, cipher);
	return err;
}

int local_crypt_open_inline(struct local *local, const struct local_record *record,
			    const struct local_owner *owner, const void *data, uint8_t *out)
{
	struct local_cipher *cipher;
	struct sealing sealing;
	const struct local_key *key;
	int err = local_crypt_key(local, record->key, &key);
	if (err == 0)
		err = local_cipher_take(local, &cipher);
	if (err < 0)
		return err;
	err = inline_sealing(cipher, key, owner, record->size, &sealing);
	if (err == 0)
		err = unseal(cipher, &sealing, data, record->size, out);
	explicit_bzero(&sealing, sizeof(sealing));
	local_cipher_give(local, cipher);
	return err;
}

int local_crypt_move_inline(struct local *local, struct local_record *record,
			    const struct local_owner *from, const struct local_owner *to,
			    const void *data, uint8_t *out)
{
	const struct local_key *key;
	uint8_t plain[LOCAL_INLINE_MAX];
	size_t stored_len = local_inline_bytes(record);
	if (local_sum(data, stored_len, 0) != record->check)
		return -EBADMSG;
	int err = local_crypt_open_inline(local, record, from, data, plain);
	if (err == 0)
		err = local_crypt_key(local, record->key, &key);
	if (err == 0)
		err = local_crypt_seal_inline(local, key, to, plain, record->size, out);
	if (err == 0)
		record->check = local_sum(out, stored_len, 0);
	explicit_bzero(plain, sizeof(plain));
	return err;
}

/* What STORE_META_CUSTOMER_KEY holds, in base64. */
struct customer_key {
	uint8_t nonce[CRYPTO_AEAD_NONCE_SIZE];
	uint8_t wrapped[LOCAL_KEY_SIZE];
	uint8_t tag[CRYPTO_AEAD_TAG_SIZE];
};
static_assert(sizeof(struct customer_key) == 60, "text of 80 characters");
static_assert(STORE_CUSTOMER_KEY_TEXT_SIZE == 81, "80 characters and NUL");

const char *local_customer_text(const char *metadata, uint32_t metadata_len)
{
	const char *name, *value;
	uint32_t offset = 0;
	while (store_metadata_pair(metadata, metadata_len, &offset, &name, &value))
		if (strcmp(name, STORE_META_CUSTOMER_KEY) == 0)
			return value;
	return NULL;
}

static const char customer_label[] = "edgeos customer key";

int local_customer_key_make(struct store *store, const uint8_t customer_key[LOCAL_KEY_SIZE],
			    char out[STORE_CUSTOMER_KEY_TEXT_SIZE])
{
	struct local *local = local_of(store);
	struct customer_key made;
	struct local_cipher *cipher;
	uint8_t data_key[LOCAL_KEY_SIZE];
	const struct crypto_aead aead = {
		.key = customer_key,
		.nonce = made.nonce,
		.ad = customer_label,
		.ad_len = sizeof(customer_label),
	};
	int err = crypto_random(made.nonce, sizeof(made.nonce));
	if (err == 0)
		err = crypto_random(data_key, sizeof(data_key));
	if (err == 0)
		err = local_cipher_take(local, &cipher);
	if (err < 0)
		return err;
	err = crypto_aead_seal(cipher->crypto, &aead, data_key, sizeof(data_key), made.wrapped,
			       made.tag);
	explicit_bzero(data_key, sizeof(data_key));
	local_cipher_give(local, cipher);
	if (err == 0)
		crypto_base64_encode(&made, sizeof(made), out);
	return err;
}

int local_crypt_customer_key(struct local *local, const char *wrapped,
			     const uint8_t customer_key[LOCAL_KEY_SIZE], struct local_key *ret_key)
{
	struct customer_key made;
	struct local_cipher *cipher;
	uint8_t data_key[LOCAL_KEY_SIZE];
	if (strlen(wrapped) != STORE_CUSTOMER_KEY_TEXT_SIZE - 1 ||
	    crypto_base64_decode(wrapped, strlen(wrapped), (uint8_t *)&made) != sizeof(made))
		return -EBADMSG;
	const struct crypto_aead aead = {
		.key = customer_key,
		.nonce = made.nonce,
		.ad = customer_label,
		.ad_len = sizeof(customer_label),
	};
	int err = local_cipher_take(local, &cipher);
	if (err < 0)
		return err;
	err = crypto_aead_open(cipher->crypto, &aead, made.wrapped, sizeof(made.wrapped), made.tag,
			       data_key);
	local_cipher_give(local, cipher);
	if (err == 0)
		err = local_key_derive(local, LOCAL_KEY_CUSTOMER, data_key, ret_key);
	explicit_bzero(data_key, sizeof(data_key));
	return err == -EBADMSG ? -EKEYREJECTED : err;
}
