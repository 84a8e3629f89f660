/*
 * How the registry lies in the store's bucket ".functions":
 *
 *     NAME/manifest      the YAML text as deployed; metadata: version, module-sha256, deployed-ns
 *     modules/SHA256     a WebAssembly module, named by its hash in lower-case hexadecimal
 *
 * No function is called with a slash, so the two cannot meet. The manifest's object is what makes a
 * version exist: it is written after the module and removed before it.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "crypto/crypto.h"
#include "func/func.h"

#define FUNC_BUCKET	  ".functions"
#define FUNC_MANIFEST_MAX (1u << 20)

/* What a manifest's object says beside its text. */
struct func_record {
	uint64_t version;
	uint8_t module_sha256[CRYPTO_SHA256_SIZE];
	uint64_t deployed_ns;
};

/* Takes MANIFEST on success. The func has one reference. */
int func_new(struct func_manifest *manifest, const struct func_record *record,
	     struct func **ret_func) EOS_MUST_CHECK;

/* -EBADMSG: the metadata are not a record. */
int func_record_read(const struct store_object_info *info,
		     struct func_record *ret_record) EOS_MUST_CHECK;
int func_record_write(struct store *store, const char *name, const struct func_record *record,
		      const char *yaml, size_t len) EOS_MUST_CHECK;
int func_module_write(struct store *store, const uint8_t sha256[CRYPTO_SHA256_SIZE],
		      const void *module, size_t len) EOS_MUST_CHECK;
int func_module_remove(struct store *store,
		       const uint8_t sha256[CRYPTO_SHA256_SIZE]) EOS_MUST_CHECK;
/* Appends the object KEY to BUF. -EFBIG: over MAX bytes. */
int func_object_read(struct store *store, const char *key, size_t max, struct eos_buf *buf,
		     struct store_object_info *ret_info) EOS_MUST_CHECK;
/* Calls VISIT for every key of the bucket, outside the store's listing: it may call the store. */
int func_keys_each(struct store *store,
		   int (*visit)(void *ctx, const char *key, const struct store_object_info *info),
		   void *ctx) EOS_MUST_CHECK;
