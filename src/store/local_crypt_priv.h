/*
 * Encryption at rest.
 *
 * Keys
 * - The node key: 32 bytes in a file that is not among the store's own (local_crypt_node.c). It
 *   does nothing but wrap data keys.
 * - A data key for each tenant that has encrypted data, the operator ("") included: random, made
 *   when it is first needed, kept wrapped in the table `keys` under a number, its id. Chunks and
 *   records name the key by that id: 2 bytes, 65,534 tenants in the life of a store.
 * - A data key for each object whose client brings a key of its own (S3's SSE-C). It is wrapped by
 *   the client's key and kept in the object's metadata (STORE_META_CUSTOMER_KEY); the client's key
 *   is kept nowhere. Id: LOCAL_KEY_CUSTOMER. The pieces of one object, which are written apart,
 *   have the same.
 *
 * From a data key two others are derived: one seals, one names chunks.
 *
 * What is sealed
 * - Payloads of chunks (behind compression) and inline data: nonce (12 bytes), ciphertext, tag
 * (16). AES-256-GCM with a key of its own for each name of a chunk, or each key of an object in a
 *   bucket, derived from the sealing key; so what belongs elsewhere does not open. The nonce is
 *   random. A nonce that comes twice with a key would undo GCM; here only payloads of one chunk
 *   (its bytes compressed in different ways) or one object's key (each time that it is overwritten)
 *   share a key, so that it takes 2^32 of those to get to a chance of 2^-33. With one key for
 *   all of a tenant's data that would be 2^32 chunks, which a disk can hold.
 * - The name of an encrypted chunk is a MAC of its bytes under the naming key: equal data is stored
 *   once within a tenant, and neither shared with others nor recognised by who sees the names.
 * - Files in staging/, with a key that is only in memory (local_crypt_staging.c).
 *
 * Checksums (XXH3) are over what is stored, so damage is found without any key.
 */
#pragma once

#include <assert.h>
#include <lmdb.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"
#include "crypto/aead.h"
#include "store/local_chunks_priv.h"
#include "store/local_records_priv.h"

struct local_op;

#define LOCAL_KEY_SIZE	 32
#define LOCAL_KEY_ID_MAX 0xFFFEu

/* A data key, as it is used. */
struct local_key {
	uint16_t id;
	uint8_t seal[LOCAL_KEY_SIZE];
	uint8_t name[LOCAL_KEY_SIZE];
};

/* The value in `keys`, by the id (2 bytes, big-endian). */
struct local_key_record {
	uint64_t sum;	   /* seeded by the id */
	uint64_t node_key; /* the id of the node key that wrapped it */
	uint8_t nonce[CRYPTO_AEAD_NONCE_SIZE];
	uint8_t wrapped[LOCAL_KEY_SIZE];
	uint8_t tag[CRYPTO_AEAD_TAG_SIZE];
	uint32_t zero;
	char tenant[STORE_TENANT_MAX + 1]; /* the rest is zeros */
};
static_assert(sizeof(struct local_key_record) == 144, "key on disk");
static_assert(offsetof(struct local_key_record, tenant) == 80, "key on disk");

/* The node key, loaded. */
struct local_node_key {
	uint64_t id; /* tells it from others; not 0 */
	uint8_t key[LOCAL_KEY_SIZE];
};

/* Number id - 1 of all. */
struct local_key_slot {
	struct local_key_record record; /* sum 0: damaged */
	struct local_key *key;		/* owned; NULL: not opened yet */
};

/* Contexts and memory to work with. */
struct local_cipher {
	struct local_cipher *next;
	struct crypto_cipher *crypto;
	uint8_t *scratch;
	size_t cap;
};

struct local_crypt {
	char *path; /* of the node key */

	pthread_mutex_t make_lock; /* whoever makes a key or wraps all anew; before LOCK */
	pthread_mutex_t lock;
	/* Under LOCK. A key stays where it is until the store is closed. */
	bool has_node_key;
	struct local_node_key node_key;
	uint64_t tried_ns; /* when it was looked for last */
	struct local_key_slot *slots;
	size_t count, cap;

	pthread_mutex_t pool_lock;
	/* Under POOL_LOCK. */
	struct local_cipher *idle;
	unsigned idle_count;
};

void local_crypt_init(struct local_crypt *crypt);
void local_crypt_fini(struct local_crypt *crypt);
/* PATH: of the node key; NULL: DIR_PATH with ".key" behind it. */
int local_crypt_set_path(struct local_crypt *crypt, const char *path,
			 const char *dir_path) EOS_MUST_CHECK;
/* At open: loads the table. Keys that cannot be opened are logged, and are no error yet. */
int local_crypt_load(struct local *local, MDB_txn *txn) EOS_MUST_CHECK;

/* A cipher for a while; local_cipher_give() it back. -ENOMEM. */
int local_cipher_take(struct local *local, struct local_cipher **ret_cipher) EOS_MUST_CHECK;
void local_cipher_give(struct local *local, struct local_cipher *cipher);
void local_cipher_free(struct local_cipher *cipher);
/* LEN bytes to work in, as long as the cipher is held; NULL: no memory. */
uint8_t *local_cipher_scratch(struct local_cipher *cipher, size_t len);

/* The data key ID, borrowed until the store is closed. -ENOKEY: the node key is missing or another
 * one, or ID is LOCAL_KEY_CUSTOMER; -EBADMSG: its record is damaged or missing. */
int local_crypt_key(struct local *local, uint16_t id,
		    const struct local_key **ret_key) EOS_MUST_CHECK;
/* The same for TENANT; makes it if there is none. Not for the committer. -ENOKEY; -ENOSPC: no more
 * ids; errors of local_commit(), and of writing the node key's file. */
int local_crypt_tenant_key(struct local *local, const char *tenant,
			   const struct local_key **ret_key) EOS_MUST_CHECK;
/* What an upload is sealed with. */
struct local_upload_key {
	const struct local_key *key; /* the store's, or OWN; NULL: none */
	struct local_key own;	     /* opened by the customer's */
	/* IS_LOCKED: nobody brought the customer's key, so nothing can be written. */
	bool is_customers, is_locked;
};
/* As the bucket, its ENCRYPTION, and WRAPPED (STORE_META_CUSTOMER_KEY, or NULL) say. Errors: those
 * of store_upload_begin_encrypted(). */
int local_upload_key_choose(struct local *local, const struct local_bucket *bucket,
			    const struct store_upload_encryption *encryption, const char *wrapped,
			    struct local_upload_key *ret) EOS_MUST_CHECK;
uint16_t local_upload_key_id(const struct local_upload_key *upload);
/* Opens what STORE_META_CUSTOMER_KEY holds. -EKEYREJECTED: it was another key; -EBADMSG: no such
 * text. */
int local_crypt_customer_key(struct local *local, const char *wrapped,
			     const uint8_t customer_key[LOCAL_KEY_SIZE],
			     struct local_key *ret_key) EOS_MUST_CHECK;
/* The two keys that are used, from the one that is kept. */
int local_key_derive(struct local *local, uint16_t id, const uint8_t data_key[LOCAL_KEY_SIZE],
		     struct local_key *ret_key) EOS_MUST_CHECK;
/* The value of STORE_META_CUSTOMER_KEY in a record's metadata, or NULL. Borrowed. */
const char *local_customer_text(const char *metadata, uint32_t metadata_len);
int local_customer_key_make(struct store *store, const uint8_t customer_key[LOCAL_KEY_SIZE],
			    char out[STORE_CUSTOMER_KEY_TEXT_SIZE]);
/* Wraps all data keys with a new node key. */
int local_rekey(struct store *store);
/* Whether an entry of `keys` is whole. -EBADMSG. */
int local_key_record_check(const MDB_val *key, const MDB_val *value) EOS_MUST_CHECK;
/* In the committer's transaction. */
int local_apply_keys_put(struct local_txn *t, struct local_op *op) EOS_MUST_CHECK;

/* The name of a chunk; KEY NULL: of one that is not encrypted. */
int local_crypt_name(struct local *local, const struct local_key *key, const void *data, size_t len,
		     uint8_t ret_name[LOCAL_NAME_SIZE]) EOS_MUST_CHECK;
/* Seals LEN bytes at DATA, as they are to be stored but for this, into OUT (LEN +
 * LOCAL_SEAL_BYTES). Of CHUNK name, len and flags count; key, flags and stored_len are set. */
int local_crypt_seal_chunk(struct local *local, const struct local_key *key,
			   struct local_new_chunk *chunk, const void *data, size_t len,
			   uint8_t *out) EOS_MUST_CHECK;
/* The reverse, and decompresses. KEY NULL: the store's own key of that id. Whoever has the wrong
 * key gets -ENOKEY, as far as that can be told, else -EBADMSG. */
int local_crypt_open_chunk(struct local *local, const struct local_key *key,
			   const uint8_t name[LOCAL_NAME_SIZE], const struct local_chunk *chunk,
			   const uint8_t *payload, void *data) EOS_MUST_CHECK;

/* Whose inline data it is: the root node of the bucket and the object's key. */
struct local_owner {
	uint64_t node;
	const char *key;
	size_t key_len;
};
/* SIZE bytes into OUT (SIZE + LOCAL_SEAL_BYTES). */
int local_crypt_seal_inline(struct local *local, const struct local_key *key,
			    const struct local_owner *owner, const void *data, size_t size,
			    uint8_t *out) EOS_MUST_CHECK;
/* What RECORD has inline, with its key, opened into OUT (record->size). */
int local_crypt_open_inline(struct local *local, const struct local_record *record,
			    const struct local_owner *owner, const void *data,
			    uint8_t *out) EOS_MUST_CHECK;
/* The same content for a new owner, into OUT (stored size); RECORD's check is set. */
int local_crypt_move_inline(struct local *local, struct local_record *record,
			    const struct local_owner *from, const struct local_owner *to,
			    const void *data, uint8_t *out) EOS_MUST_CHECK;

/* local_crypt_node.c. -ENOENT; -EINVAL: no node key; other errors of the file: WHY tells. */
int local_node_key_read(const char *path, struct local_node_key *ret_key,
			struct eos_why *why) EOS_MUST_CHECK;
/* Makes one and its file, durably. -EEXIST: there is one. */
int local_node_key_make(const char *path, struct local_node_key *ret_key) EOS_MUST_CHECK;
/* Its name is on the disk. */
int local_node_key_sync(const char *path) EOS_MUST_CHECK;
/* Durably moves the file FROM to TO, which it replaces. */
int local_node_key_move(const char *from, const char *to) EOS_MUST_CHECK;

/*
 * A file without a name, for an upload that is not written from front to back. With IS_ENCRYPTED
 * what is in it on the disk is sealed. A gap reads as zeros. One thread at a time.
 */
struct local_staging;
int local_staging_new(struct local *local, bool is_encrypted,
		      struct local_staging **ret_staging) EOS_MUST_CHECK;
struct local_staging *local_staging_free(struct local_staging *staging);
int local_staging_write(struct local_staging *staging, const void *data, size_t len,
			uint64_t offset) EOS_MUST_CHECK;
/* All LEN bytes, which must be there. */
int local_staging_read(struct local_staging *staging, void *data, size_t len,
		       uint64_t offset) EOS_MUST_CHECK;
int local_staging_truncate(struct local_staging *staging, uint64_t size) EOS_MUST_CHECK;
