/*
 * Changes are made one after the other (change_lock): first on the disk, then in memory (lock), so
 * that nobody is let in by a key that a power cut would take back, and nobody is shut out before
 * the key is gone for good.
 */
#include "tenant/tenant.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/node.h"
#include "base/str.h"
#include "crypto/crypto.h"

#define BUCKET		 ".tenants"
#define RECORD_BYTES_MAX 8192u

struct tenant_registry {
	struct store *store; /* borrowed */
	pthread_mutex_t change_lock;
	pthread_rwlock_t lock;
	/* Guarded by lock; changed only with change_lock, too. By name. */
	size_t count;
	struct tenant *tenants[TENANT_TENANTS_MAX];
};

/* LEN letters and digits from random bytes; 32 symbols, so no value is likelier than another. */
static int random_text(char *out, size_t len)
{
	static const char symbols[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
	uint8_t bytes[TENANT_SECRET_KEY_SIZE];
	int err = crypto_random(bytes, len);
	if (err < 0)
		return err;
	for (size_t i = 0; i < len; i++)
		out[i] = symbols[bytes[i] & 31];
	out[len] = '\0';
	explicit_bzero(bytes, sizeof(bytes));
	return 0;
}

int tenant_key_make(struct tenant_key *ret_key)
{
	memcpy(ret_key->access_key, "EDGE", 4);
	int err = random_text(ret_key->access_key + 4, TENANT_ACCESS_KEY_SIZE - 5);
	return err < 0 ? err : random_text(ret_key->secret_key, TENANT_SECRET_KEY_SIZE - 1);
}

bool tenant_is_name(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
	return len > 0 && len <= STORE_TENANT_MAX && text[len] == '\0' && text[0] >= 'a' &&
	       text[0] <= 'z' && strcmp(text, "edgeos") != 0 && strcmp(text, "default") != 0;
}

static struct tenant *tenant_free(struct tenant *tenant)
{
	if (tenant != NULL) {
		explicit_bzero(tenant, sizeof(*tenant));
		free(tenant);
	}
	return NULL;
}

static void encode(const struct tenant *tenant, struct eos_buf *buf)
{
	struct eos_json json = eos_json_begin(buf);
	eos_json_open(&json, NULL, '{');
	eos_json_text(&json, "tenant", tenant->name);
	eos_json_open(&json, "keys", '[');
	for (unsigned i = 0; i < tenant->keys_count; i++) {
		eos_json_open(&json, NULL, '{');
		eos_json_text(&json, "access_key", tenant->keys[i].access_key);
		eos_json_text(&json, "secret_key", tenant->keys[i].secret_key);
		eos_json_close(&json, '}');
	}
	eos_json_close(&json, ']');
	eos_json_close(&json, '}');
}

static int decode_key(const struct eos_node *node, struct tenant_key *key, struct eos_why *why)
{
	static const char *const names[] = {"access_key", "secret_key", NULL};
	const char *access_key = "", *secret_key = "";
	int err = eos_node_check_keys(node, names, why);
	if (err == 0)
		err = eos_node_get_text(node, "access_key", &access_key, why);
	if (err == 0)
		err = eos_node_get_text(node, "secret_key", &secret_key, why);
	if (err < 0)
		return err;
	if (access_key[0] == '\0' || secret_key[0] == '\0' ||
	    eos_str_copy(key->access_key, sizeof(key->access_key), access_key) < 0 ||
	    eos_str_copy(key->secret_key, sizeof(key->secret_key), secret_key) < 0)
		return eos_node_fail(node, why, "not a key");
	return 0;
}

static int decode(const struct eos_node *root, struct tenant *tenant, struct eos_why *why)
{
	static const char *const names[] = {"tenant", "keys", NULL};
	const struct eos_node *keys = eos_node_get(root, "keys");
	const char *name = "";
	int err = eos_node_check_keys(root, names, why);
	if (err == 0)
		err = eos_node_get_text(root, "tenant", &name, why);
	if (err < 0)
		return err;
	if (!tenant_is_name(name) || keys == NULL || eos_node_kind(keys) != EOS_NODE_LIST ||
	    eos_node_count(keys) > TENANT_KEYS_MAX)
		return eos_node_fail(root, why, "not a tenant's record");
	memcpy(tenant->name, name, strlen(name) + 1);
	for (size_t i = 0; err == 0 && i < eos_node_count(keys); i++)
		err = decode_key(eos_node_at(keys, i), &tenant->keys[tenant->keys_count++], why);
	return err;
}

static int read_record(struct store *store, const char *key, size_t key_len, struct eos_buf *text)
{
	struct store_reader *reader;
	int err = store_reader_open(store, BUCKET, key, key_len, STORE_VERSION_LATEST, &reader);
	if (err < 0)
		return err;
	uint64_t size = store_reader_info(reader)->size;
	err = size <= RECORD_BYTES_MAX ? eos_buf_reserve(text, (size_t)size + 1) : -EFBIG;
	while (err == 0 && text->len < size) {
		int64_t n = store_reader_read(reader, text->data + text->len,
					      (size_t)size - text->len, text->len);
		if (n <= 0)
			err = n < 0 ? (int)n : -EIO;
		else
			text->len += (size_t)n;
	}
	store_reader_close(reader);
	return err;
}

static int write_record(struct store *store, const struct tenant *tenant)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	struct store_upload *upload;

	encode(tenant, &text);
	if (eos_buf_failed(&text))
		return -ENOMEM;
	int err = store_upload_begin(store, BUCKET, tenant->name, strlen(tenant->name), NULL,
				     &upload);
	if (err < 0)
		return err;
	err = store_upload_write(upload, text.data, text.len, 0);
	explicit_bzero(text.data, text.len);
	if (err < 0) {
		store_upload_abort(upload);
		return err;
	}
	return store_upload_commit(upload, NULL, NULL);
}

/* Where NAME is, or would be. Any lock held. */
static size_t position(const struct tenant_registry *registry, const char *name, bool *ret_found)
{
	size_t low = 0, high = registry->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(registry->tenants[middle]->name, name);
		if (order == 0) {
			*ret_found = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*ret_found = false;
	return low;
}

/* Takes TENANT, in the place of one of the same name. */
static void insert(struct tenant_registry *registry, struct tenant *tenant)
{
	bool is_there;
	pthread_rwlock_wrlock(&registry->lock);
	size_t at = position(registry, tenant->name, &is_there);
	if (is_there) {
		tenant_free(registry->tenants[at]);
	} else {
		memmove(&registry->tenants[at + 1], &registry->tenants[at],
			(registry->count - at) * sizeof(registry->tenants[0]));
		registry->count++;
	}
	registry->tenants[at] = tenant;
	pthread_rwlock_unlock(&registry->lock);
}

struct loading {
	struct tenant_registry *registry;
	struct eos_why *why;
};

static int load_one(void *ctx, const struct store_list_entry *entry)
{
	struct loading *loading = ctx;
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	struct eos_doc *doc;

	if (loading->registry->count == TENANT_TENANTS_MAX)
		return eos_why(loading->why, -EMFILE, "more than %u tenants", TENANT_TENANTS_MAX);
	struct tenant *tenant = calloc(1, sizeof(*tenant));
	if (tenant == NULL)
		return -ENOMEM;
	int err = read_record(loading->registry->store, entry->key, entry->key_len, &text);
	if (err < 0)
		err = eos_why(loading->why, err, "tenant %.*s: %s", (int)entry->key_len, entry->key,
			      strerror(-err));
	else
		err = eos_doc_parse_json("tenant", text.data, text.len, &doc, loading->why);
	if (err == 0) {
		err = decode(eos_doc_root(doc), tenant, loading->why);
		eos_doc_free(doc);
	}
	if (err < 0) {
		tenant_free(tenant);
		return err;
	}
	insert(loading->registry, tenant);
	return 0;
}

static int load(struct tenant_registry *registry, struct eos_why *why)
{
	struct loading loading = {.registry = registry, .why = why};
	const struct store_list_query query = {.limit = TENANT_TENANTS_MAX + 1};
	bool has_more;
	int err = store_bucket_create(registry->store, BUCKET);
	if (err == 0)
		return 0;
	if (err != -EEXIST)
		return eos_why(why, err, "making the bucket of the tenants: %s", strerror(-err));
	err = store_object_list(registry->store, BUCKET, &query, load_one, &loading, &has_more);
	if (err < 0 && why->text[0] == '\0')
		return eos_why(why, err, "reading the tenants: %s", strerror(-err));
	return err;
}

int tenant_registry_open(struct store *store, struct tenant_registry **ret_registry,
			 struct eos_why *why)
{
	struct tenant_registry *registry = calloc(1, sizeof(*registry));
	if (registry == NULL)
		return eos_why(why, -ENOMEM, "out of memory");
	registry->store = store;
	pthread_mutex_init(&registry->change_lock, NULL);
	pthread_rwlock_init(&registry->lock, NULL);
	int err = load(registry, why);
	if (err < 0) {
		tenant_registry_free(registry);
		return err;
	}
	*ret_registry = registry;
	return 0;
}

struct tenant_registry *tenant_registry_free(struct tenant_registry *registry)
{
	if (registry == NULL)
		return NULL;
	for (size_t i = 0; i < registry->count; i++)
		tenant_free(registry->tenants[i]);
	pthread_rwlock_destroy(&registry->lock);
	pthread_mutex_destroy(&registry->change_lock);
	free(registry);
	return NULL;
}

/* Writes and takes TENANT; frees it on failure. change_lock is held. */
static int keep(struct tenant_registry *registry, struct tenant *tenant)
{
	int err = write_record(registry->store, tenant);
	if (err < 0)
		tenant_free(tenant);
	else
		insert(registry, tenant);
	return err;
}

int tenant_create(struct tenant_registry *registry, const char *name, struct tenant_key *ret_key)
{
	if (!tenant_is_name(name))
		return -EINVAL;
	struct tenant *tenant = calloc(1, sizeof(*tenant));
	if (tenant == NULL)
		return -ENOMEM;
	memcpy(tenant->name, name, strlen(name) + 1);
	tenant->keys_count = 1;
	int err = tenant_key_make(&tenant->keys[0]);
	*ret_key = tenant->keys[0];
	pthread_mutex_lock(&registry->change_lock);
	if (err == 0 && tenant_exists(registry, name))
		err = -EEXIST;
	else if (err == 0 && registry->count == TENANT_TENANTS_MAX)
		err = -EMFILE;
	if (err < 0)
		tenant_free(tenant);
	else
		err = keep(registry, tenant);
	pthread_mutex_unlock(&registry->change_lock);
	if (err < 0)
		explicit_bzero(ret_key, sizeof(*ret_key));
	return err;
}

struct owned {
	struct store *store;
	const char *name;
};

static int find_owned(void *ctx, const struct store_bucket_info *info)
{
	struct owned *owned = ctx;
	struct store_bucket_settings settings;
	int err = store_bucket_settings_get(owned->store, info->name, &settings);
	if (err < 0)
		return err == -ENOENT ? 0 : err;
	return strcmp(settings.tenant, owned->name) == 0 ? -ENOTEMPTY : 0;
}

int tenant_remove(struct tenant_registry *registry, const char *name)
{
	struct owned owned = {.store = registry->store, .name = name};
	bool is_there;

	pthread_mutex_lock(&registry->change_lock);
	int err = tenant_exists(registry, name) ? 0 : -ENOENT;
	if (err == 0)
		err = store_bucket_list(registry->store, find_owned, &owned);
	if (err == 0)
		err = store_object_delete(registry->store, BUCKET, name, strlen(name), NULL, NULL);
	if (err == 0) {
		pthread_rwlock_wrlock(&registry->lock);
		size_t at = position(registry, name, &is_there);
		tenant_free(registry->tenants[at]);
		registry->count--;
		memmove(&registry->tenants[at], &registry->tenants[at + 1],
			(registry->count - at) * sizeof(registry->tenants[0]));
		pthread_rwlock_unlock(&registry->lock);
	}
	pthread_mutex_unlock(&registry->change_lock);
	return err;
}

int tenant_key_add(struct tenant_registry *registry, const char *name, struct tenant_key *ret_key)
{
	struct tenant_key key;
	struct tenant *tenant = calloc(1, sizeof(*tenant));

	if (tenant == NULL)
		return -ENOMEM;
	int err = tenant_key_make(&key);
	pthread_mutex_lock(&registry->change_lock);
	if (err == 0)
		err = tenant_get(registry, name, tenant);
	if (err == 0 && tenant->keys_count == TENANT_KEYS_MAX)
		err = -EMFILE;
	if (err < 0) {
		tenant_free(tenant);
	} else {
		tenant->keys[tenant->keys_count++] = key;
		err = keep(registry, tenant);
	}
	pthread_mutex_unlock(&registry->change_lock);
	if (err == 0)
		*ret_key = key;
	explicit_bzero(&key, sizeof(key));
	return err;
}

int tenant_key_remove(struct tenant_registry *registry, const char *name, const char *access_key)
{
	struct tenant *tenant = calloc(1, sizeof(*tenant));
	unsigned kept = 0;

	if (tenant == NULL)
		return -ENOMEM;
	pthread_mutex_lock(&registry->change_lock);
	int err = tenant_get(registry, name, tenant);
	for (unsigned i = 0; err == 0 && i < tenant->keys_count; i++)
		if (strcmp(tenant->keys[i].access_key, access_key) != 0)
			tenant->keys[kept++] = tenant->keys[i];
	if (err == 0 && kept == tenant->keys_count)
		err = -ENOENT;
	tenant->keys_count = kept;
	if (err < 0)
		tenant_free(tenant);
	else
		err = keep(registry, tenant);
	pthread_mutex_unlock(&registry->change_lock);
	return err;
}

bool tenant_exists(struct tenant_registry *registry, const char *name)
{
	bool is_there;
	pthread_rwlock_rdlock(&registry->lock);
	(void)position(registry, name, &is_there);
	pthread_rwlock_unlock(&registry->lock);
	return is_there;
}

int tenant_get(struct tenant_registry *registry, const char *name, struct tenant *ret_tenant)
{
	bool is_there;
	pthread_rwlock_rdlock(&registry->lock);
	size_t at = position(registry, name, &is_there);
	if (is_there)
		*ret_tenant = *registry->tenants[at];
	pthread_rwlock_unlock(&registry->lock);
	return is_there ? 0 : -ENOENT;
}

int tenant_find_key(struct tenant_registry *registry, const char *access_key,
		    struct tenant_key *ret_key, char ret_name[STORE_TENANT_MAX + 1])
{
	int err = -ENOENT;
	pthread_rwlock_rdlock(&registry->lock);
	for (size_t i = 0; err < 0 && i < registry->count; i++) {
		const struct tenant *tenant = registry->tenants[i];
		for (unsigned k = 0; err < 0 && k < tenant->keys_count; k++) {
			if (strcmp(tenant->keys[k].access_key, access_key) != 0)
				continue;
			*ret_key = tenant->keys[k];
			memcpy(ret_name, tenant->name, sizeof(tenant->name));
			err = 0;
		}
	}
	pthread_rwlock_unlock(&registry->lock);
	return err;
}

void tenant_each(struct tenant_registry *registry,
		 void (*visit)(void *ctx, const struct tenant *tenant), void *ctx)
{
	pthread_rwlock_rdlock(&registry->lock);
	for (size_t i = 0; i < registry->count; i++)
		visit(ctx, registry->tenants[i]);
	pthread_rwlock_unlock(&registry->lock);
}
