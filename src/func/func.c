/*
 * One deployed version of a function: an immutable object with a count of references.
 */
#include "func/func.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "func/registry_priv.h"

struct func_counted {
	struct func func; /* first: a func is its func_counted */
	_Atomic unsigned refs;
	struct func_manifest *manifest; /* owned; func.manifest is the same, const */
};

int func_new(struct func_manifest *manifest, const struct func_record *record,
	     struct func **ret_func)
{
	struct func_counted *counted = calloc(1, sizeof(*counted));
	if (counted == NULL)
		return -ENOMEM;
	counted->manifest = manifest;
	counted->func.manifest = manifest;
	counted->func.version = record->version;
	counted->func.deployed_ns = record->deployed_ns;
	memcpy(counted->func.module_sha256, record->module_sha256, CRYPTO_SHA256_SIZE);
	atomic_init(&counted->refs, 1);
	*ret_func = &counted->func;
	return 0;
}

struct func *func_ref(struct func *func)
{
	struct func_counted *counted = EOS_CONTAINER_OF(func, struct func_counted, func);
	unsigned before = atomic_fetch_add_explicit(&counted->refs, 1, memory_order_relaxed);
	EOS_ASSERT(before > 0);
	return func;
}

struct func *func_unref(struct func *func)
{
	if (func == NULL)
		return NULL;
	struct func_counted *counted = EOS_CONTAINER_OF(func, struct func_counted, func);
	unsigned before = atomic_fetch_sub_explicit(&counted->refs, 1, memory_order_acq_rel);
	EOS_ASSERT(before > 0);
	if (before == 1) {
		func_manifest_free(counted->manifest);
		free(counted);
	}
	return NULL;
}
