/*
 * The table of data keys, and the node key that opens it.
 *
 * The table is small (a key for each tenant) and is kept in memory as it is on the disk; a data key
 * is opened when it is first used, and stays. A node key is made only while the table is empty:
 * where there are data keys, a missing or different file means that it must be brought back, and
 * until then everything that needs one of them is -ENOKEY. The file is looked for again, at most
 * once a second, so that a medium may be put in while the node runs.
 */
#include <errno.h>
#include <stdio.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "crypto/crypto.h"
#include "store/local_changes_priv.h"
#include "store/local_crypt_priv.h"
#include "store/local_priv.h"

#define RETRY_NS  EOS_NS_PER_S
#define PATH_SIZE 4096

void local_crypt_init(struct local_crypt *crypt)
{
	pthread_mutex_init(&crypt->make_lock, NULL);
	pthread_mutex_init(&crypt->lock, NULL);
	pthread_mutex_init(&crypt->pool_lock, NULL);
}

static void key_free(struct local_key *key)
{
	if (key != NULL)
		explicit_bzero(key, sizeof(*key));
	free(key);
}

void local_crypt_fini(struct local_crypt *crypt)
{
	while (crypt->idle != NULL) {
		struct local_cipher *cipher = crypt->idle;
		crypt->idle = cipher->next;
		local_cipher_free(cipher);
	}
	for (size_t i = 0; i < crypt->count; i++)
		key_free(crypt->slots[i].key);
	free(crypt->slots);
	free(crypt->path);
	explicit_bzero(&crypt->node_key, sizeof(crypt->node_key));
	pthread_mutex_destroy(&crypt->pool_lock);
	pthread_mutex_destroy(&crypt->lock);
	pthread_mutex_destroy(&crypt->make_lock);
}

int local_crypt_set_path(struct local_crypt *crypt, const char *path, const char *dir_path)
{
	size_t len = strlen(dir_path);
	while (len > 1 && dir_path[len - 1] == '/')
		len--;
	if (path != NULL)
		crypt->path = strdup(path);
	else if (asprintf(&crypt->path, "%.*s.key", (int)len, dir_path) < 0)
		crypt->path = NULL;
	return crypt->path == NULL ? -ENOMEM : 0;
}

static void id_bytes(uint16_t id, uint8_t out[2])
{
	out[0] = (uint8_t)(id >> 8);
	out[1] = (uint8_t)id;
}

static uint64_t record_sum(const struct local_key_record *record, uint16_t id)
{
	uint8_t name[2];
	id_bytes(id, name);
	return local_sum((const char *)record + 8, sizeof(*record) - 8,
			 local_sum(name, sizeof(name), 0));
}

/* Room for the slot of ID; those below it that are not there count as damaged. */
static int reserve_slot(struct local_crypt *crypt, uint16_t id)
{
	if (id > crypt->cap) {
		size_t cap = EOS_MAX(2 * crypt->cap, EOS_MAX((size_t)id, (size_t)8));
		struct local_key_slot *slots = realloc(crypt->slots, cap * sizeof(slots[0]));
		if (slots == NULL)
			return -ENOMEM;
		crypt->slots = slots;
		crypt->cap = cap;
	}
	while (crypt->count < id)
		crypt->slots[crypt->count++] = (struct local_key_slot){.key = NULL};
	return 0;
}

/* The id that KEY is, or 0. */
static uint16_t parse_id(const MDB_val *key)
{
	const uint8_t *name = key->mv_data;
	uint16_t id = key->mv_size == 2 ? (uint16_t)(name[0] << 8 | name[1]) : 0;
	return id <= LOCAL_KEY_ID_MAX ? id : 0;
}

static int parse_record(const MDB_val *value, uint16_t id, struct local_key_record *ret_record)
{
	struct local_key_record record;
	if (value->mv_size != sizeof(record))
		return -EBADMSG;
	memcpy(&record, value->mv_data, sizeof(record));
	if (record.sum == 0 || record.sum != record_sum(&record, id) ||
	    memchr(record.tenant, '\0', sizeof(record.tenant)) == NULL)
		return -EBADMSG;
	*ret_record = record;
	return 0;
}

int local_key_record_check(const MDB_val *key, const MDB_val *value)
{
	struct local_key_record record;
	uint16_t id = parse_id(key);
	return id != 0 ? parse_record(value, id, &record) : -EBADMSG;
}

static int load_slot(struct local_crypt *crypt, const MDB_val *key, const MDB_val *value)
{
	uint16_t id = parse_id(key);
	if (id == 0)
		return local_damaged("number of a data key", "", NULL, 0);
	int err = reserve_slot(crypt, id);
	if (err < 0)
		return err;
	/* What it sealed is lost; the rest of the store is not. */
	if (parse_record(value, id, &crypt->slots[id - 1].record) < 0)
		(void)local_damaged("data key", "", NULL, 0);
	return 0;
}

/* The first record that is whole: all have been wrapped by the same node key. */
static const struct local_key_record *any_record(const struct local_crypt *crypt)
{
	for (size_t i = 0; i < crypt->count; i++)
		if (crypt->slots[i].record.sum != 0)
			return &crypt->slots[i].record;
	return NULL;
}

static bool next_path(const struct local_crypt *crypt, char out[PATH_SIZE])
{
	int n = snprintf(out, PATH_SIZE, "%s.next", crypt->path);
	return n > 0 && n < PATH_SIZE;
}

/* Whether PATH.next is the one, because the last rekey was cut off; then it gets its name. */
static bool take_next(struct local_crypt *crypt, const struct local_key_record *record,
		      struct local_node_key *ret_key)
{
	char path[PATH_SIZE];
	struct local_node_key key;
	bool is_it = next_path(crypt, path) && local_node_key_read(path, &key, NULL) == 0 &&
		     key.id == record->node_key;
	if (is_it && local_node_key_move(path, crypt->path) < 0)
		is_it = false;
	if (is_it)
		*ret_key = key;
	explicit_bzero(&key, sizeof(key));
	return is_it;
}

static int load_node_key_locked(struct local_crypt *crypt)
{
	const struct local_key_record *record = any_record(crypt);
	struct local_node_key key;
	struct eos_why why = {""};
	uint64_t now = eos_now_ns();
	if (crypt->has_node_key)
		return 0;
	if (record != NULL && crypt->tried_ns != 0 && now - crypt->tried_ns < RETRY_NS)
		return -ENOKEY;
	crypt->tried_ns = now;
	int err = local_node_key_read(crypt->path, &key, &why);
	if (err == -ENOENT && crypt->count == 0)
		return -ENOENT;
	if (record != NULL && (err < 0 || key.id != record->node_key)) {
		if (err == 0)
			eos_why(&why, -ENOKEY,
				"%s: it is not the node key that this store's data was encrypted "
				"with",
				crypt->path);
		err = take_next(crypt, record, &key) ? 0 : -ENOKEY;
	}
	if (err < 0) {
		eos_log(EOS_LOG_ERROR, "store",
			"node key: %s; what is encrypted can neither be read nor written until "
			"the file is brought back",
			why.text);
		return -ENOKEY;
	}
	crypt->node_key = key;
	crypt->has_node_key = true;
	explicit_bzero(&key, sizeof(key));
	return 0;
}

int local_crypt_load(struct local *local, MDB_txn *txn)
{
	struct local_crypt *crypt = &local->crypt;
	MDB_cursor *cursor;
	MDB_val key, value;
	int err = local_error(mdb_cursor_open(txn, local->keys, &cursor));
	if (err < 0)
		return err;
	pthread_mutex_lock(&crypt->lock);
	int rc = mdb_cursor_get(cursor, &key, &value, MDB_FIRST);
	for (; err == 0 && rc == 0; rc = mdb_cursor_get(cursor, &key, &value, MDB_NEXT))
		err = load_slot(crypt, &key, &value);
	mdb_cursor_close(cursor);
	if (err == 0 && rc != MDB_NOTFOUND)
		err = local_error(rc);
	/* Only so that it is told now, not at the first object that is asked for. */
	if (err == 0 && any_record(crypt) != NULL)
		(void)!load_node_key_locked(crypt);
	pthread_mutex_unlock(&crypt->lock);
	return err;
}

/* The parameters that a data key is wrapped with; AD is bound to it. */
struct wrapping {
	uint16_t id;
	char tenant[STORE_TENANT_MAX + 1];
};

static struct crypto_aead wrapping_of(const struct local_key_record *record, uint16_t id,
				      const struct local_node_key *node_key,
				      struct wrapping *wrapping)
{
	memset(wrapping, 0, sizeof(*wrapping));
	wrapping->id = id;
	memcpy(wrapping->tenant, record->tenant, sizeof(wrapping->tenant));
	return (struct crypto_aead){
		.key = node_key->key,
		.nonce = record->nonce,
		.ad = wrapping,
		.ad_len = sizeof(*wrapping),
	};
}

/* RECORD's tenant is set. */
static int wrap(struct local *local, struct local_key_record *record, uint16_t id,
		const struct local_node_key *node_key, const uint8_t data_key[LOCAL_KEY_SIZE])
{
	struct local_cipher *cipher;
	struct wrapping wrapping;
	int err = crypto_random(record->nonce, sizeof(record->nonce));
	if (err == 0)
		err = local_cipher_take(local, &cipher);
	if (err < 0)
		return err;
	const struct crypto_aead aead = wrapping_of(record, id, node_key, &wrapping);
	err = crypto_aead_seal(cipher->crypto, &aead, data_key, LOCAL_KEY_SIZE, record->wrapped,
			       record->tag);
	local_cipher_give(local, cipher);
	record->node_key = node_key->id;
	record->zero = 0;
	record->sum = record_sum(record, id);
	return err;
}

static int unwrap(struct local *local, const struct local_key_record *record, uint16_t id,
		  const struct local_node_key *node_key, uint8_t ret_data_key[LOCAL_KEY_SIZE])
{
	struct local_cipher *cipher;
	struct wrapping wrapping;
	int err = local_cipher_take(local, &cipher);
	if (err < 0)
		return err;
	const struct crypto_aead aead = wrapping_of(record, id, node_key, &wrapping);
	err = crypto_aead_open(cipher->crypto, &aead, record->wrapped, LOCAL_KEY_SIZE, record->tag,
			       ret_data_key);
	local_cipher_give(local, cipher);
	return err;
}

int local_key_derive(struct local *local, uint16_t id, const uint8_t data_key[LOCAL_KEY_SIZE],
		     struct local_key *ret_key)
{
	struct local_cipher *cipher;
	int err = local_cipher_take(local, &cipher);
	if (err < 0)
		return err;
	ret_key->id = id;
	err = crypto_mac(cipher->crypto, data_key, 'S', "", 0, ret_key->seal);
	if (err == 0)
		err = crypto_mac(cipher->crypto, data_key, 'N', "", 0, ret_key->name);
	local_cipher_give(local, cipher);
	return err;
}

/* Number ID, which is there. Called without the lock: OpenSSL need not be waited for. */
static int open_key(struct local *local, uint16_t id, const struct local_key_record *record,
		    const struct local_node_key *node_key, struct local_key **ret_key)
{
	uint8_t data_key[LOCAL_KEY_SIZE];
	struct local_key *key = malloc(sizeof(*key));
	int err = key == NULL ? -ENOMEM : unwrap(local, record, id, node_key, data_key);
	if (err == 0)
		err = local_key_derive(local, id, data_key, key);
	explicit_bzero(data_key, sizeof(data_key));
	if (err < 0)
		key_free(key);
	else
		*ret_key = key;
	return err;
}

int local_crypt_key(struct local *local, uint16_t id, const struct local_key **ret_key)
{
	struct local_crypt *crypt = &local->crypt;
	struct local_key_record record = {0};
	struct local_node_key node_key;
	struct local_key *key = NULL;
	int err = id == LOCAL_KEY_CUSTOMER ? -ENOKEY : -EBADMSG;
	if (id == LOCAL_KEY_NONE || id == LOCAL_KEY_CUSTOMER)
		return err;
	pthread_mutex_lock(&crypt->lock);
	if (id <= crypt->count && crypt->slots[id - 1].record.sum != 0) {
		key = crypt->slots[id - 1].key;
		record = crypt->slots[id - 1].record;
		err = key != NULL ? 0 : load_node_key_locked(crypt);
		if (err == 0 && key == NULL)
			node_key = crypt->node_key;
	}
	pthread_mutex_unlock(&crypt->lock);
	if (err == 0 && key == NULL) {
		err = open_key(local, id, &record, &node_key, &key);
		explicit_bzero(&node_key, sizeof(node_key));
		if (err < 0)
			return err;
		pthread_mutex_lock(&crypt->lock);
		if (crypt->slots[id - 1].key == NULL) {
			crypt->slots[id - 1].key = key;
		} else {
			key_free(key);
			key = crypt->slots[id - 1].key;
		}
		pthread_mutex_unlock(&crypt->lock);
	}
	if (err == 0)
		*ret_key = key;
	return err == -ENOENT ? -ENOKEY : err;
}

/* The number of TENANT's key; 0: there is none. */
static uint16_t find_tenant(struct local_crypt *crypt, const char *tenant)
{
	uint16_t id = LOCAL_KEY_NONE;
	pthread_mutex_lock(&crypt->lock);
	for (size_t i = 0; i < crypt->count && id == LOCAL_KEY_NONE; i++)
		if (crypt->slots[i].record.sum != 0 &&
		    strcmp(crypt->slots[i].record.tenant, tenant) == 0)
			id = (uint16_t)(i + 1);
	pthread_mutex_unlock(&crypt->lock);
	return id;
}

/* Loads the node key, or makes it if nothing was ever encrypted, and sees to it that its file will
 * be found after a power cut: it may have been made by an attempt that failed behind that. */
static int ensure_node_key(struct local_crypt *crypt)
{
	pthread_mutex_lock(&crypt->lock);
	int err = load_node_key_locked(crypt);
	if (err == -ENOENT) {
		err = local_node_key_make(crypt->path, &crypt->node_key);
		crypt->has_node_key = err == 0;
		if (err == 0)
			eos_log(EOS_LOG_INFO, "store",
				"node key made file=%s; without it nobody can read what is "
				"encrypted: keep a copy elsewhere",
				crypt->path);
		else
			eos_log(EOS_LOG_ERROR, "store", "node key cannot be made file=%s error=%s",
				crypt->path, strerror(-err));
	} else if (err == 0) {
		err = local_node_key_sync(crypt->path);
	}
	pthread_mutex_unlock(&crypt->lock);
	return err;
}

/* With make_lock held. */
static int make_key(struct local *local, const char *tenant, uint16_t *ret_id)
{
	struct local_crypt *crypt = &local->crypt;
	struct local_key_record record = {0};
	uint8_t data_key[LOCAL_KEY_SIZE];
	if (crypt->count >= LOCAL_KEY_ID_MAX)
		return -ENOSPC;
	uint16_t id = (uint16_t)(crypt->count + 1); /* only we add some */
	int err = ensure_node_key(crypt);
	if (err == 0)
		err = crypto_random(data_key, sizeof(data_key));
	if (err < 0)
		return err;
	memcpy(record.tenant, tenant, strlen(tenant));
	err = wrap(local, &record, id, &crypt->node_key, data_key);
	explicit_bzero(data_key, sizeof(data_key));
	struct local_op op = {
		.kind = LOCAL_OP_KEYS_PUT,
		.key_records = &record,
		.key_records_count = 1,
		.key_first = id,
	};
	if (err == 0)
		err = local_commit(local, &op);
	if (err < 0)
		return err;
	pthread_mutex_lock(&crypt->lock);
	err = reserve_slot(crypt, id);
	if (err == 0)
		crypt->slots[id - 1].record = record;
	pthread_mutex_unlock(&crypt->lock);
	*ret_id = id;
	return err;
}

int local_crypt_tenant_key(struct local *local, const char *tenant,
			   const struct local_key **ret_key)
{
	struct local_crypt *crypt = &local->crypt;
	int err = 0;
	uint16_t id = find_tenant(crypt, tenant);
	if (id == LOCAL_KEY_NONE) {
		pthread_mutex_lock(&crypt->make_lock);
		id = find_tenant(crypt, tenant);
		if (id == LOCAL_KEY_NONE)
			err = make_key(local, tenant, &id);
		pthread_mutex_unlock(&crypt->make_lock);
	}
	return err < 0 ? err : local_crypt_key(local, id, ret_key);
}

int local_upload_key_choose(struct local *local, const struct local_bucket *bucket,
			    const struct store_upload_encryption *encryption, const char *wrapped,
			    struct local_upload_key *ret)
{
	ret->is_customers = wrapped != NULL;
	ret->is_locked = wrapped != NULL && encryption->customer_key == NULL;
	ret->key = NULL;
	if (wrapped == NULL && encryption->customer_key != NULL)
		return -EINVAL;
	if (ret->is_locked)
		return 0;
	if (wrapped != NULL) {
		ret->key = &ret->own;
		return local_crypt_customer_key(local, wrapped, encryption->customer_key,
						&ret->own);
	}
	if (!encryption->is_encrypted && (bucket->flags & LOCAL_BUCKET_IS_ENCRYPTED) == 0)
		return 0;
	return local_crypt_tenant_key(local, bucket->tenant, &ret->key);
}

uint16_t local_upload_key_id(const struct local_upload_key *upload)
{
	if (upload->is_customers)
		return LOCAL_KEY_CUSTOMER;
	return upload->key != NULL ? upload->key->id : LOCAL_KEY_NONE;
}

int local_apply_keys_put(struct local_txn *t, struct local_op *op)
{
	for (size_t i = 0; i < op->key_records_count; i++) {
		uint8_t name[2];
		struct local_key_record record = op->key_records[i];
		if (record.sum == 0)
			continue; /* damaged: it stays as it is */
		id_bytes((uint16_t)(op->key_first + i), name);
		MDB_val key = {.mv_size = sizeof(name), .mv_data = name};
		MDB_val value = {.mv_size = sizeof(record), .mv_data = &record};
		int err = local_put(t->txn, t->local->keys, &key, &value, 0);
		if (err < 0)
			return err;
	}
	return local_accept(t, op);
}

static int wrap_all(struct local *local, const struct local_node_key *next,
		    struct local_key_record *records)
{
	struct local_crypt *crypt = &local->crypt;
	int err = 0;
	for (size_t i = 0; err == 0 && i < crypt->count; i++) {
		uint8_t data_key[LOCAL_KEY_SIZE];
		uint16_t id = (uint16_t)(i + 1);
		records[i] = crypt->slots[i].record;
		if (records[i].sum == 0)
			continue;
		err = unwrap(local, &records[i], id, &crypt->node_key, data_key);
		if (err == 0)
			err = wrap(local, &records[i], id, next, data_key);
		explicit_bzero(data_key, sizeof(data_key));
	}
	return err;
}

/* The records are in the table, so NEXT counts from now on. */
static int take_over(struct local_crypt *crypt, const struct local_node_key *next,
		     const char *next_file, const struct local_key_record *records)
{
	pthread_mutex_lock(&crypt->lock);
	for (size_t i = 0; i < crypt->count; i++)
		crypt->slots[i].record = records[i];
	int err = local_node_key_move(next_file, crypt->path);
	crypt->node_key = *next;
	/* Where it could not be moved, it is looked for again, and found under its other name. */
	crypt->has_node_key = err == 0;
	crypt->tried_ns = 0;
	pthread_mutex_unlock(&crypt->lock);
	return err;
}

/* With make_lock held. */
static int rekey(struct local *local, struct local_key_record *records)
{
	struct local_crypt *crypt = &local->crypt;
	struct local_node_key next;
	char path[PATH_SIZE];
	if (!next_path(crypt, path))
		return -ENAMETOOLONG;
	int err = ensure_node_key(crypt);
	/* A leftover of an attempt whose transaction did not get to the disk: the key that counts
	 * was just loaded from the other file. */
	if (err == 0 && unlinkat(AT_FDCWD, path, 0) < 0 && errno != ENOENT)
		err = -errno;
	if (err == 0)
		err = local_node_key_make(path, &next);
	if (err < 0)
		return err;
	err = wrap_all(local, &next, records);
	struct local_op op = {
		.kind = LOCAL_OP_KEYS_PUT,
		.key_records = records,
		.key_records_count = crypt->count,
		.key_first = 1,
	};
	if (err == 0)
		err = local_commit(local, &op);
	if (err == 0)
		err = take_over(crypt, &next, path, records);
	explicit_bzero(&next, sizeof(next));
	return err;
}

int local_rekey(struct store *store)
{
	struct local *local = local_of(store);
	struct local_crypt *crypt = &local->crypt;
	pthread_mutex_lock(&crypt->make_lock);
	/* Behind the lock: when the one before us does not know what the disk has, PATH.next may be
	 * the node key, and must stay. */
	int err = local_check_writable(local);
	/* Nothing was ever encrypted: nothing to wrap. */
	if (err == 0 && crypt->count > 0) {
		struct local_key_record *records = calloc(crypt->count, sizeof(records[0]));
		err = records == NULL ? -ENOMEM : rekey(local, records);
		free(records);
	}
	pthread_mutex_unlock(&crypt->make_lock);
	return err;
}
