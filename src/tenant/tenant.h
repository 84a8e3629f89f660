/*
 * The tenants of a node and their S3 keys.
 *
 * A tenant is a name that owns buckets and functions; its keys sign its S3 requests. The operator,
 * who owns the node, is none of them: its keys are the file `credentials` of the data directory.
 * Tenants are kept as objects of the store's own bucket ".tenants" (docs/formats/tenants.md), and
 * all of them in memory. What a tenant holds and may hold is the store's to count
 * (store_tenant_usage(), store_tenant_quota_set()).
 *
 * All functions are for any thread; those that change something block on the disk and are durable
 * on return. Errors of the store are passed on.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"
#include "store/store.h"

#define TENANT_KEYS_MAX	       8u /* of one tenant */
#define TENANT_TENANTS_MAX     1024u
#define TENANT_ACCESS_KEY_SIZE 21 /* with NUL */
#define TENANT_SECRET_KEY_SIZE 41

struct tenant_key {
	char access_key[TENANT_ACCESS_KEY_SIZE], secret_key[TENANT_SECRET_KEY_SIZE];
};
/* A new random pair. */
int tenant_key_make(struct tenant_key *ret_key) EOS_MUST_CHECK;

struct tenant {
	char name[STORE_TENANT_MAX + 1];
	unsigned keys_count;
	struct tenant_key keys[TENANT_KEYS_MAX];
};

struct tenant_registry;
/* Reads what is there; a record that does not decode is an error, since its keys would be lost to
 * whoever creates the tenant again. STORE is borrowed. */
int tenant_registry_open(struct store *store, struct tenant_registry **ret_registry,
			 struct eos_why *why) EOS_MUST_CHECK;
struct tenant_registry *tenant_registry_free(struct tenant_registry *registry);

/* May TEXT be a tenant's name? a-z 0-9 -, begins with a letter; not "edgeos" or "default", which
 * mean something else. */
bool tenant_is_name(const char *text);
/* A tenant with one key. -EEXIST; -EINVAL: the name; -EMFILE: too many tenants. */
int tenant_create(struct tenant_registry *registry, const char *name,
		  struct tenant_key *ret_key) EOS_MUST_CHECK;
/* -ENOENT; -ENOTEMPTY: it owns buckets. */
int tenant_remove(struct tenant_registry *registry, const char *name) EOS_MUST_CHECK;
/* One more key. -ENOENT; -EMFILE: it has TENANT_KEYS_MAX. */
int tenant_key_add(struct tenant_registry *registry, const char *name,
		   struct tenant_key *ret_key) EOS_MUST_CHECK;
/* Requests signed with it are refused from now on. -ENOENT: the tenant or the key. */
int tenant_key_remove(struct tenant_registry *registry, const char *name,
		      const char *access_key) EOS_MUST_CHECK;

bool tenant_exists(struct tenant_registry *registry, const char *name);
/* -ENOENT. Wipe *RET_TENANT after use. */
int tenant_get(struct tenant_registry *registry, const char *name,
	       struct tenant *ret_tenant) EOS_MUST_CHECK;
/* Whose key is it? -ENOENT. Wipe *RET_KEY after use. */
int tenant_find_key(struct tenant_registry *registry, const char *access_key,
		    struct tenant_key *ret_key, char ret_name[STORE_TENANT_MAX + 1]) EOS_MUST_CHECK;
/* Calls VISIT in order of names; it must not call anything here. */
void tenant_each(struct tenant_registry *registry,
		 void (*visit)(void *ctx, const struct tenant *tenant), void *ctx);
