/*
 * Reading and writing the registry's objects; the layout is in registry_priv.h.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "func/registry_priv.h"

#define KEY_SIZE  96
#define PAGE_KEYS 64

static void format_module_key(const uint8_t sha256[CRYPTO_SHA256_SIZE], char out[KEY_SIZE])
{
	strcpy(out, "modules/");
	eos_hex_encode(sha256, CRYPTO_SHA256_SIZE, out + strlen(out));
}

static int write_object(struct store *store, const char *key, const struct store_object_info *info,
			const void *data, size_t len)
{
	struct store_upload *upload;
	int err = store_upload_begin(store, FUNC_BUCKET, key, strlen(key), info, &upload);
	if (err < 0)
		return err;
	if (len > 0)
		err = store_upload_write(upload, data, len, 0);
	if (err < 0) {
		store_upload_abort(upload);
		return err;
	}
	return store_upload_commit(upload, NULL, NULL);
}

int func_module_write(struct store *store, const uint8_t sha256[CRYPTO_SHA256_SIZE],
		      const void *module, size_t len)
{
	char key[KEY_SIZE];
	struct store_object_info *info = calloc(1, sizeof(*info));
	if (info == NULL)
		return -ENOMEM;
	format_module_key(sha256, key);
	int err = write_object(store, key, info, module, len);
	free(info);
	return err;
}

int func_module_remove(struct store *store, const uint8_t sha256[CRYPTO_SHA256_SIZE])
{
	char key[KEY_SIZE];
	format_module_key(sha256, key);
	return store_object_delete(store, FUNC_BUCKET, key, strlen(key), NULL, NULL);
}

int func_record_write(struct store *store, const char *name, const struct func_record *record,
		      const char *yaml, size_t len)
{
	char key[KEY_SIZE];
	char number[24];
	char hex[2 * CRYPTO_SHA256_SIZE + 1];
	struct store_object_info *info = calloc(1, sizeof(*info));
	if (info == NULL)
		return -ENOMEM;
	(void)snprintf(key, sizeof(key), "%s/manifest", name);
	(void)snprintf(number, sizeof(number), "%" PRIu64, record->version);
	int err = store_metadata_add(info, "version", number);
	eos_hex_encode(record->module_sha256, CRYPTO_SHA256_SIZE, hex);
	if (err == 0)
		err = store_metadata_add(info, "module-sha256", hex);
	(void)snprintf(number, sizeof(number), "%" PRIu64, record->deployed_ns);
	if (err == 0)
		err = store_metadata_add(info, "deployed-ns", number);
	if (err == 0)
		err = write_object(store, key, info, yaml, len);
	free(info);
	return err;
}

int func_record_read(const struct store_object_info *info, struct func_record *ret_record)
{
	struct func_record record;
	const char *version = store_metadata_get(info, "version");
	const char *sha256 = store_metadata_get(info, "module-sha256");
	const char *deployed = store_metadata_get(info, "deployed-ns");
	if (version == NULL || sha256 == NULL || deployed == NULL)
		return -EBADMSG;
	if (eos_parse_u64(version, &record.version) < 0 || record.version == 0 ||
	    eos_parse_u64(deployed, &record.deployed_ns) < 0 ||
	    eos_hex_decode(sha256, record.module_sha256, CRYPTO_SHA256_SIZE) < 0)
		return -EBADMSG;
	*ret_record = record;
	return 0;
}

static int read_all(struct store_reader *reader, size_t max, struct eos_buf *buf)
{
	uint64_t size = store_reader_info(reader)->size;
	if (size > max)
		return -EFBIG;
	int err = eos_buf_reserve(buf, size);
	uint64_t offset = 0;
	while (err == 0 && offset < size) {
		int64_t n = store_reader_read(reader, buf->data + buf->len, size - offset, offset);
		if (n <= 0)
			return n < 0 ? (int)n : -EBADMSG;
		buf->len += (size_t)n;
		buf->data[buf->len] = '\0';
		offset += (uint64_t)n;
	}
	return err;
}

int func_object_read(struct store *store, const char *key, size_t max, struct eos_buf *buf,
		     struct store_object_info *ret_info)
{
	struct store_reader *reader;
	int err = store_reader_open(store, FUNC_BUCKET, key, strlen(key), STORE_VERSION_LATEST,
				    &reader);
	if (err < 0)
		return err;
	size_t before = buf->len;
	err = read_all(reader, max, buf);
	if (err < 0 && buf->data != NULL) {
		buf->len = before;
		buf->data[before] = '\0';
	}
	if (err == 0 && ret_info != NULL)
		*ret_info = *store_reader_info(reader);
	store_reader_close(reader);
	return err;
}

struct page {
	unsigned count;
	struct {
		char key[STORE_KEY_MAX + 1];
		struct store_object_info info;
	} entries[PAGE_KEYS];
};

static int collect(void *ctx, const struct store_list_entry *entry)
{
	struct page *page = ctx;
	char *key = page->entries[page->count].key;
	if (entry->key_len > STORE_KEY_MAX || page->count == PAGE_KEYS)
		return -EBADMSG;
	memcpy(key, entry->key, entry->key_len);
	key[entry->key_len] = '\0';
	page->entries[page->count++].info = *entry->info;
	return 0;
}

int func_keys_each(struct store *store,
		   int (*visit)(void *ctx, const char *key, const struct store_object_info *info),
		   void *ctx)
{
	struct page *page = calloc(1, sizeof(*page));
	if (page == NULL)
		return -ENOMEM;
	char after[STORE_KEY_MAX + 1] = "";
	bool has_more = true;
	int err = 0;
	while (err == 0 && has_more) {
		struct store_list_query query = {
			.after = after, .after_len = strlen(after), .limit = PAGE_KEYS};
		page->count = 0;
		has_more = false;
		err = store_object_list(store, FUNC_BUCKET, &query, collect, page, &has_more);
		for (unsigned i = 0; i < page->count && err == 0; i++)
			err = visit(ctx, page->entries[i].key, &page->entries[i].info);
		if (page->count == 0)
			break;
		strcpy(after, page->entries[page->count - 1].key);
	}
	free(page);
	return err;
}
