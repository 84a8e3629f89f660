/*
 * The registry: a table of functions in memory over the objects of registry_priv.h.
 *
 * Invariants
 * 1. The table and the routes change together, in swap_table(), and only after the store has
 *    acknowledged; what is built for a change is built before the store is touched, so that nothing
 *    can fail behind the commit.
 * 2. `lock` is never held across a call of the store: the store's matcher takes it for reading
 *    inside the store's transaction.
 * 3. `deploy_lock` is held by whoever changes something, across the disk. Modules are removed under
 *    it only, so a deploy that has just written its module cannot lose it.
 *
 * The module before the current one is kept until the next deploy (or start): calls of the version
 * that was just replaced may still have to open it.
 */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/str.h"
#include "func/registry_priv.h"
#include "func/routes_priv.h"

struct entry {
	struct func *func; /* a reference */
	bool has_previous;
	uint8_t previous_sha256[CRYPTO_SHA256_SIZE];
};

struct table {
	struct entry *entries; /* in order of names */
	size_t count;
	struct func_routes *routes;
};

struct func_registry {
	struct store *store; /* borrowed */
	pthread_mutex_t deploy_lock;
	pthread_rwlock_t lock; /* guards the pointer; tables are immutable */
	struct table *table;
};

static struct table *free_table(struct table *table)
{
	if (table == NULL)
		return NULL;
	func_routes_free(table->routes);
	for (size_t i = 0; i < table->count; i++)
		func_unref(table->entries[i].func);
	free(table->entries);
	free(table);
	return NULL;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a;
	const struct entry *y = b;
	return strcmp(x->func->manifest->name, y->func->manifest->name);
}

/* Takes ENTRIES on success; they need not be sorted. */
static int make_table(struct entry *entries, size_t count, struct table **ret_table)
{
	struct table *table = calloc(1, sizeof(*table));
	struct func **funcs = calloc(count + 1, sizeof(funcs[0]));
	int err = table == NULL || funcs == NULL ? -ENOMEM : 0;
	if (err == 0) {
		if (count > 0)
			qsort(entries, count, sizeof(entries[0]), compare_entries);
		for (size_t i = 0; i < count; i++)
			funcs[i] = entries[i].func;
		err = func_routes_new(funcs, count, &table->routes);
	}
	free(funcs);
	if (err < 0) {
		free(table);
		return err;
	}
	table->entries = entries;
	table->count = count;
	*ret_table = table;
	return 0;
}

static struct entry *find_entry(const struct table *table, const char *name)
{
	size_t low = 0;
	size_t high = table->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(table->entries[middle].func->manifest->name, name);
		if (order == 0)
			return &table->entries[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

/* TABLE without the function NAME and with ADDED (may be NULL; its reference is taken on success).
 */
static int change_table(const struct table *table, const char *name, const struct entry *added,
			struct table **ret_table)
{
	struct entry *entries = calloc(table->count + 1, sizeof(entries[0]));
	if (entries == NULL)
		return -ENOMEM;
	size_t count = 0;
	for (size_t i = 0; i < table->count; i++) {
		if (strcmp(table->entries[i].func->manifest->name, name) == 0)
			continue;
		entries[count] = table->entries[i];
		func_ref(entries[count++].func);
	}
	if (added != NULL)
		entries[count++] = *added;
	int err = make_table(entries, count, ret_table);
	if (err < 0) {
		for (size_t i = 0; i < count; i++) {
			if (added == NULL || entries[i].func != added->func)
				func_unref(entries[i].func);
		}
		free(entries);
	}
	return err;
}

static void swap_table(struct func_registry *registry, struct table *table)
{
	pthread_rwlock_wrlock(&registry->lock);
	struct table *old = registry->table;
	registry->table = table;
	pthread_rwlock_unlock(&registry->lock);
	free_table(old);
}

static bool table_uses(const struct table *table, const uint8_t sha256[CRYPTO_SHA256_SIZE])
{
	for (size_t i = 0; i < table->count; i++) {
		const struct entry *entry = &table->entries[i];
		if (memcmp(entry->func->module_sha256, sha256, CRYPTO_SHA256_SIZE) == 0)
			return true;
		if (entry->has_previous &&
		    memcmp(entry->previous_sha256, sha256, CRYPTO_SHA256_SIZE) == 0)
			return true;
	}
	return false;
}

/* Garbage costs room only: a failure is logged, and the next start tries again. */
static void drop_module(struct func_registry *registry, const uint8_t sha256[CRYPTO_SHA256_SIZE])
{
	if (table_uses(registry->table, sha256))
		return;
	int err = func_module_remove(registry->store, sha256);
	if (err < 0 && err != -ENOENT)
		eos_log(EOS_LOG_WARN, "func", "module not removed error=%s", strerror(-err));
}

/* --- opening --- */

struct opening {
	struct func_registry *registry;
	struct entry *entries;
	size_t count, cap;
	uint8_t (*used)[CRYPTO_SHA256_SIZE]; /* modules that some record names */
	size_t used_count, used_cap;
	bool is_blind; /* a record does not tell its module: no module may be removed */
};

static int note_used(struct opening *opening, const uint8_t sha256[CRYPTO_SHA256_SIZE])
{
	if (opening->used_count == opening->used_cap) {
		size_t cap = EOS_MAX(opening->used_cap * 2, (size_t)16);
		void *used = realloc(opening->used, cap * sizeof(opening->used[0]));
		if (used == NULL)
			return -ENOMEM;
		opening->used = used;
		opening->used_cap = cap;
	}
	memcpy(opening->used[opening->used_count++], sha256, CRYPTO_SHA256_SIZE);
	return 0;
}

static int add_entry(struct opening *opening, struct func *func)
{
	if (opening->count == opening->cap) {
		size_t cap = EOS_MAX(opening->cap * 2, (size_t)16);
		void *entries = realloc(opening->entries, cap * sizeof(opening->entries[0]));
		if (entries == NULL)
			return -ENOMEM;
		opening->entries = entries;
		opening->cap = cap;
	}
	opening->entries[opening->count++] = (struct entry){.func = func};
	return 0;
}

static int decode_manifest(const char *name, const char *yaml, size_t len,
			   struct func_manifest **ret_manifest, struct eos_why *why)
{
	struct eos_doc *doc;
	int err = eos_doc_parse_yaml(name, yaml, len, &doc, why);
	if (err < 0)
		return err;
	err = func_manifest_decode(eos_doc_root(doc), ret_manifest, why);
	eos_doc_free(doc);
	return err;
}

/* The function behind the record KEY ("NAME/manifest"). */
static int load_func(struct opening *opening, const char *key, const struct func_record *record,
		     struct func **ret_func, struct eos_why *why)
{
	struct func_manifest *manifest = NULL;
	EOS_CLEANUP(eos_buf_fini) struct eos_buf buf;
	eos_buf_init(&buf);
	int err = func_object_read(opening->registry->store, key, FUNC_MANIFEST_MAX, &buf, NULL);
	if (err < 0)
		return eos_why(why, err, "%s: %s", key, strerror(-err));
	err = decode_manifest(key, buf.data == NULL ? "" : buf.data, buf.len, &manifest, why);
	if (err < 0)
		return err;
	size_t name_len = strlen(key) - strlen("/manifest");
	if (strlen(manifest->name) != name_len || memcmp(manifest->name, key, name_len) != 0)
		err = eos_why(why, -EBADMSG, "%s: names another function", key);
	else
		err = func_new(manifest, record, ret_func);
	if (err < 0)
		func_manifest_free(manifest);
	return err;
}

static int visit_record(void *ctx, const char *key, const struct store_object_info *info)
{
	struct opening *opening = ctx;
	struct func_record record;
	struct func *func;
	struct eos_why why = {""};
	if (!eos_str_ends_with(key, "/manifest"))
		return 0;
	if (func_record_read(info, &record) < 0) {
		opening->is_blind = true;
		eos_log(EOS_LOG_ERROR, "func", "left alone record=%s: its metadata are damaged",
			key);
		return 0;
	}
	int err = note_used(opening, record.module_sha256);
	if (err < 0)
		return err;
	err = load_func(opening, key, &record, &func, &why);
	if (err == -ENOMEM)
		return err;
	if (err < 0) {
		eos_log(EOS_LOG_ERROR, "func", "left alone record=%s: %s", key, why.text);
		return 0;
	}
	err = add_entry(opening, func);
	if (err < 0)
		func_unref(func);
	return err;
}

static int visit_module(void *ctx, const char *key, const struct store_object_info *info)
{
	struct opening *opening = ctx;
	uint8_t sha256[CRYPTO_SHA256_SIZE];
	if (!eos_str_starts_with(key, "modules/") ||
	    eos_hex_decode(key + strlen("modules/"), sha256, sizeof(sha256)) < 0)
		return 0;
	for (size_t i = 0; i < opening->used_count; i++) {
		if (memcmp(opening->used[i], sha256, sizeof(sha256)) == 0)
			return 0;
	}
	int err = func_module_remove(opening->registry->store, sha256);
	if (err < 0 && err != -ENOENT)
		eos_log(EOS_LOG_WARN, "func", "module not removed error=%s", strerror(-err));
	return 0;
}

static int load(struct func_registry *registry)
{
	struct opening opening = {.registry = registry};
	int err = store_bucket_create(registry->store, FUNC_BUCKET);
	if (err == 0 || err == -EEXIST)
		err = func_keys_each(registry->store, visit_record, &opening);
	if (err == 0 && !opening.is_blind)
		err = func_keys_each(registry->store, visit_module, &opening);
	if (err == 0)
		err = make_table(opening.entries, opening.count, &registry->table);
	if (err < 0) {
		for (size_t i = 0; i < opening.count; i++)
			func_unref(opening.entries[i].func);
		free(opening.entries);
	}
	free(opening.used);
	return err;
}

int func_registry_open(struct store *store, struct func_registry **ret_registry,
		       struct eos_why *why)
{
	struct func_registry *registry = calloc(1, sizeof(*registry));
	if (registry == NULL)
		return eos_why(why, -ENOMEM, "functions: out of memory");
	registry->store = store;
	pthread_mutex_init(&registry->deploy_lock, NULL);
	pthread_rwlock_init(&registry->lock, NULL);
	int err = load(registry);
	if (err < 0) {
		func_registry_free(registry);
		return eos_why(why, err, "functions: cannot read them: %s", strerror(-err));
	}
	*ret_registry = registry;
	return 0;
}

struct func_registry *func_registry_free(struct func_registry *registry)
{
	if (registry == NULL)
		return NULL;
	free_table(registry->table);
	pthread_rwlock_destroy(&registry->lock);
	pthread_mutex_destroy(&registry->deploy_lock);
	free(registry);
	return NULL;
}

/* --- changing --- */

static int check_paths(const struct table *table, const struct func_manifest *manifest,
		       struct eos_why *why)
{
	for (unsigned i = 0; i < manifest->triggers_count; i++) {
		const struct func_trigger *trigger = &manifest->triggers[i];
		if (trigger->kind != FUNC_TRIGGER_HTTP)
			continue;
		const struct func_http_route *route =
			func_routes_find_http(table->routes, trigger->path);
		if (route == NULL || strcmp(route->trigger->path, trigger->path) != 0 ||
		    strcmp(route->func->manifest->name, manifest->name) == 0)
			continue;
		return eos_why(why, -EEXIST, "the path %s belongs to the function %s",
			       trigger->path, route->func->manifest->name);
	}
	return 0;
}

/* The new version of MANIFEST's function, which is taken on success, as an entry. */
static int make_entry(const struct table *table, struct func_manifest *manifest,
		      const uint8_t sha256[CRYPTO_SHA256_SIZE], struct entry *ret_entry)
{
	struct func_record record = {.version = 1, .deployed_ns = eos_wall_ns()};
	struct entry entry = {0};
	const struct entry *old = find_entry(table, manifest->name);
	memcpy(record.module_sha256, sha256, CRYPTO_SHA256_SIZE);
	if (old != NULL) {
		record.version = old->func->version + 1;
		/* Also when the clock was put back: cells go by it. */
		record.deployed_ns = EOS_MAX(record.deployed_ns, old->func->deployed_ns + 1);
		entry.has_previous = true;
		memcpy(entry.previous_sha256, old->func->module_sha256, CRYPTO_SHA256_SIZE);
	}
	int err = func_new(manifest, &record, &entry.func);
	if (err == 0)
		*ret_entry = entry;
	return err;
}

static int write_version(struct func_registry *registry, const struct func *func,
			 const char *manifest_yaml, size_t manifest_len, const void *module,
			 size_t module_len)
{
	struct func_record record = {.version = func->version, .deployed_ns = func->deployed_ns};
	memcpy(record.module_sha256, func->module_sha256, CRYPTO_SHA256_SIZE);
	int err = func_module_write(registry->store, func->module_sha256, module, module_len);
	if (err == 0)
		err = eos_fault("func.manifest_write");
	if (err == 0)
		err = func_record_write(registry->store, func->manifest->name, &record,
					manifest_yaml, manifest_len);
	/* After any other error the record may have been written: then the module is needed. */
	if (err == -ENOSPC || err == -ENOMEM)
		drop_module(registry, func->module_sha256);
	return err;
}

struct deploy {
	const char *manifest_yaml;
	size_t manifest_len;
	const void *module;
	size_t module_len;
	uint8_t sha256[CRYPTO_SHA256_SIZE];
};

/* Takes MANIFEST in any case. */
static int put_locked(struct func_registry *registry, const struct deploy *deploy,
		      struct func_manifest *manifest, struct func **ret_func, struct eos_why *why)
{
	struct entry added;
	struct table *table;
	int err = check_paths(registry->table, manifest, why);
	const struct entry *old = find_entry(registry->table, manifest->name);
	if (err == 0 && old == NULL && registry->table->count >= FUNC_FUNCTIONS_MAX)
		err = eos_why(why, -ENOSPC, "there are %u functions already, no more fit",
			      FUNC_FUNCTIONS_MAX);
	uint8_t obsolete[CRYPTO_SHA256_SIZE];
	bool has_obsolete = old != NULL && old->has_previous;
	if (has_obsolete)
		memcpy(obsolete, old->previous_sha256, sizeof(obsolete));
	if (err < 0) {
		func_manifest_free(manifest);
		return err;
	}
	err = make_entry(registry->table, manifest, deploy->sha256, &added);
	if (err < 0) {
		func_manifest_free(manifest);
		return eos_why(why, err, "out of memory");
	}
	err = change_table(registry->table, manifest->name, &added, &table);
	if (err < 0) {
		func_unref(added.func);
		return eos_why(why, err, "out of memory");
	}
	err = write_version(registry, added.func, deploy->manifest_yaml, deploy->manifest_len,
			    deploy->module, deploy->module_len);
	if (err < 0) {
		eos_why(why, err, "cannot store the function %s: %s", manifest->name,
			strerror(-err));
		free_table(table);
		return err;
	}
	if (ret_func != NULL)
		*ret_func = func_ref(added.func);
	swap_table(registry, table);
	if (has_obsolete)
		drop_module(registry, obsolete);
	return 0;
}

int func_registry_put(struct func_registry *registry, const char *name, const char *manifest_yaml,
		      size_t manifest_len, const void *module, size_t module_len,
		      struct func **ret_func, struct eos_why *why)
{
	struct deploy deploy = {manifest_yaml, manifest_len, module, module_len, {0}};
	struct func_manifest *manifest;
	if (module_len == 0)
		return eos_why(why, -EINVAL, "%s: the module is empty", name);
	if (module_len > FUNC_MODULE_MAX)
		return eos_why(why, -EFBIG, "%s: the module is larger than %u MiB", name,
			       FUNC_MODULE_MAX >> 20);
	if (manifest_len > FUNC_MANIFEST_MAX)
		return eos_why(why, -EINVAL, "%s: larger than %u KiB", name,
			       FUNC_MANIFEST_MAX >> 10);
	int err = decode_manifest(name, manifest_yaml, manifest_len, &manifest, why);
	if (err < 0)
		return err;
	err = crypto_sha256(module, module_len, deploy.sha256);
	if (err < 0) {
		func_manifest_free(manifest);
		return eos_why(why, err, "out of memory");
	}
	pthread_mutex_lock(&registry->deploy_lock);
	err = put_locked(registry, &deploy, manifest, ret_func, why);
	pthread_mutex_unlock(&registry->deploy_lock);
	return err;
}

static int remove_locked(struct func_registry *registry, const char *name)
{
	char key[FUNC_NAME_MAX + sizeof("/manifest")];
	struct table *table;
	const struct entry *found = find_entry(registry->table, name);
	if (found == NULL)
		return -ENOENT;
	struct entry old = *found;
	int err = change_table(registry->table, name, NULL, &table);
	if (err < 0)
		return err;
	(void)snprintf(key, sizeof(key), "%s/manifest", name);
	err = store_object_delete(registry->store, FUNC_BUCKET, key, strlen(key), NULL, NULL);
	if (err < 0 && err != -ENOENT) {
		free_table(table);
		return err;
	}
	func_ref(old.func);
	swap_table(registry, table);
	drop_module(registry, old.func->module_sha256);
	if (old.has_previous)
		drop_module(registry, old.previous_sha256);
	func_unref(old.func);
	return 0;
}

int func_registry_remove(struct func_registry *registry, const char *name)
{
	pthread_mutex_lock(&registry->deploy_lock);
	int err = remove_locked(registry, name);
	pthread_mutex_unlock(&registry->deploy_lock);
	return err;
}

/* --- looking --- */

struct func *func_registry_get(struct func_registry *registry, const char *name)
{
	pthread_rwlock_rdlock(&registry->lock);
	const struct entry *entry = find_entry(registry->table, name);
	struct func *func = entry == NULL ? NULL : func_ref(entry->func);
	pthread_rwlock_unlock(&registry->lock);
	return func;
}

void func_registry_each(struct func_registry *registry, void (*visit)(void *ctx, struct func *func),
			void *ctx)
{
	pthread_rwlock_rdlock(&registry->lock);
	for (size_t i = 0; i < registry->table->count; i++)
		visit(ctx, registry->table->entries[i].func);
	pthread_rwlock_unlock(&registry->lock);
}

struct func *func_registry_match_http(struct func_registry *registry, const char *path,
				      const struct func_trigger **ret_trigger)
{
	struct func *func = NULL;
	pthread_rwlock_rdlock(&registry->lock);
	const struct func_http_route *route = func_routes_find_http(registry->table->routes, path);
	if (route != NULL) {
		func = func_ref(route->func);
		*ret_trigger = route->trigger;
	}
	pthread_rwlock_unlock(&registry->lock);
	return func;
}

void func_registry_match_object(struct func_registry *registry, const struct store_event *event,
				void (*emit)(void *ctx, const char *function), void *ctx)
{
	pthread_rwlock_rdlock(&registry->lock);
	func_routes_find_object(registry->table->routes, event, emit, ctx);
	pthread_rwlock_unlock(&registry->lock);
}

int func_registry_read_module(struct func_registry *registry, const struct func *func,
			      struct eos_buf *buf)
{
	char key[sizeof("modules/") + 2 * CRYPTO_SHA256_SIZE] = "modules/";
	uint8_t sha256[CRYPTO_SHA256_SIZE];
	eos_hex_encode(func->module_sha256, CRYPTO_SHA256_SIZE, key + strlen(key));
	size_t before = buf->len;
	int err = func_object_read(registry->store, key, FUNC_MODULE_MAX, buf, NULL);
	if (err == 0)
		err = crypto_sha256(buf->data + before, buf->len - before, sha256);
	if (err == 0 && memcmp(sha256, func->module_sha256, sizeof(sha256)) != 0) {
		buf->len = before;
		err = -EBADMSG;
	}
	return err;
}

int func_registry_read_manifest(struct func_registry *registry, const char *name,
				struct eos_buf *buf)
{
	char key[FUNC_NAME_MAX + sizeof("/manifest")];
	int n = snprintf(key, sizeof(key), "%s/manifest", name);
	if (n < 0 || (size_t)n >= sizeof(key))
		return -ENOENT;
	return func_object_read(registry->store, key, FUNC_MANIFEST_MAX, buf, NULL);
}
