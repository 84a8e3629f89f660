/*
 * Metadata of objects: "name\0value\0name\0value\0", kept as given. Every walk is bounded by
 * metadata_len, so that a caller's broken text cannot lead it outside.
 */
#include "store/store_metadata_priv.h"

#include <errno.h>
#include <string.h>

#include "store/store.h"

/* The end (behind the NUL) of the text that begins at OFFSET, or 0: not ended. */
static uint32_t text_end(const char *metadata, uint32_t len, uint32_t offset)
{
	const char *nul = offset < len ? memchr(metadata + offset, '\0', len - offset) : NULL;
	return nul == NULL ? 0 : (uint32_t)(nul - metadata) + 1;
}

bool store_metadata_is_valid(const char *metadata, uint32_t len)
{
	if (len > STORE_METADATA_MAX)
		return false;
	for (uint32_t offset = 0; offset < len;) {
		uint32_t value = text_end(metadata, len, offset);
		if (value <= offset + 1)
			return false;
		offset = text_end(metadata, len, value);
		if (offset == 0)
			return false;
	}
	return true;
}

const char *store_metadata_get(const struct store_object_info *info, const char *name)
{
	const char *found, *value;
	uint32_t offset = 0;
	while (store_metadata_next(info, &offset, &found, &value)) {
		if (strcmp(found, name) == 0)
			return value;
	}
	return NULL;
}

int store_metadata_add(struct store_object_info *info, const char *name, const char *value)
{
	size_t name_size = strlen(name) + 1, value_size = strlen(value) + 1;
	if (name_size == 1)
		return -EINVAL;
	if (info->metadata_len > STORE_METADATA_MAX ||
	    name_size > STORE_METADATA_MAX - info->metadata_len ||
	    value_size > STORE_METADATA_MAX - info->metadata_len - name_size)
		return -ENOSPC;
	char *end = info->metadata + info->metadata_len;
	memcpy(end, name, name_size);
	memcpy(end + name_size, value, value_size);
	info->metadata_len += (uint32_t)(name_size + value_size);
	return 0;
}

void store_metadata_remove(struct store_object_info *info, const char *prefix)
{
	size_t prefix_len = strlen(prefix);
	const char *name, *value;
	uint32_t offset = 0, kept = 0;
	for (uint32_t start = 0; store_metadata_next(info, &offset, &name, &value);
	     start = offset) {
		if (strncmp(name, prefix, prefix_len) == 0)
			continue;
		memmove(info->metadata + kept, info->metadata + start, offset - start);
		kept += offset - start;
	}
	info->metadata_len = kept;
}

bool store_metadata_pair(const char *metadata, uint32_t len, uint32_t *offset,
			 const char **ret_name, const char **ret_value)
{
	uint32_t value = text_end(metadata, len, *offset);
	uint32_t end = value == 0 ? 0 : text_end(metadata, len, value);
	if (end == 0)
		return false;
	*ret_name = metadata + *offset;
	*ret_value = metadata + value;
	*offset = end;
	return true;
}

bool store_metadata_next(const struct store_object_info *info, uint32_t *offset,
			 const char **ret_name, const char **ret_value)
{
	return store_metadata_pair(info->metadata, EOS_MIN(info->metadata_len, STORE_METADATA_MAX),
				   offset, ret_name, ret_value);
}
