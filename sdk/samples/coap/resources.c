#include <string.h>

#include "coap.h"

#define LINK_MAX (COAP_PATH_MAX + 4u) /* "</PATH>," */

static struct resource resources[COAP_RESOURCES];
static uint32_t count, next_version = 1;

uint32_t resources_count(void)
{
	return count;
}

struct resource *resource_find(const char *path, uint32_t path_len)
{
	for (unsigned i = 0; i < COAP_RESOURCES; i++) {
		struct resource *resource = &resources[i];
		if (resource->version != 0 && resource->path_len == path_len &&
		    memcmp(resource->path, path, path_len) == 0)
			return resource;
	}
	return NULL;
}

static struct resource *find_free(void)
{
	for (unsigned i = 0; i < COAP_RESOURCES; i++) {
		if (resources[i].version == 0)
			return &resources[i];
	}
	return NULL;
}

struct resource *resource_put(const char *path, uint32_t path_len, uint16_t format,
			      const uint8_t *body, uint32_t len, bool *ret_is_new)
{
	struct resource *resource = resource_find(path, path_len);
	*ret_is_new = resource == NULL;
	if (resource == NULL) {
		resource = find_free();
		if (resource == NULL)
			return NULL;
		memcpy(resource->path, path, path_len);
		resource->path_len = path_len;
		count++;
	}
	resource->version = next_version;
	/* 0 is free, and the greatest is "anything" in If-Match. */
	next_version = next_version >= UINT32_MAX - 1 ? 1 : next_version + 1;
	resource->format = format;
	if (len > 0)
		memcpy(resource->body, body, len);
	resource->len = len;
	return resource;
}

void resource_remove(struct resource *resource)
{
	resource->version = 0;
	count--;
}

uint32_t resources_list(const uint8_t **ret_list)
{
	static uint8_t list[COAP_RESOURCES * LINK_MAX];
	uint32_t len = 0;
	for (unsigned i = 0; i < COAP_RESOURCES; i++) {
		const struct resource *resource = &resources[i];
		if (resource->version == 0)
			continue;
		if (len > 0)
			list[len++] = ',';
		memcpy(list + len, "</", 2);
		memcpy(list + len + 2, resource->path, resource->path_len);
		len += 2 + resource->path_len;
		list[len++] = '>';
	}
	*ret_list = list;
	return len;
}
