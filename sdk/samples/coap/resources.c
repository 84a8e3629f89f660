#include <string.h>

#include "coap.h"

#define LINK_MAX (COAP_PATH_MAX + 18u) /* "</PATH>;ct=65535;obs," */

static struct resource resources[COAP_RESOURCES];
static uint32_t count, next_version = 1, list_version = 1;

/* 0 is free, and the greatest is "anything" in If-Match. */
static uint32_t take_version(void)
{
	uint32_t version = next_version;
	next_version = version >= UINT32_MAX - 1 ? 1 : version + 1;
	return version;
}

void resources_seed(uint32_t seed)
{
	next_version = seed % (UINT32_MAX - 1) + 1;
	list_version = take_version();
}

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

struct resource *resource_put(const char *path, uint32_t path_len, uint32_t format,
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
	resource->version = take_version();
	if (*ret_is_new || resource->format != format)
		list_version = take_version();
	resource->format = format;
	if (len > 0)
		memcpy(resource->body, body, len);
	resource->len = len;
	return resource;
}

void resource_remove(struct resource *resource)
{
	resource->version = 0;
	list_version = take_version();
	count--;
}

/* --- the list --- */

static uint32_t put_text(uint8_t *out, const char *text)
{
	uint32_t len = (uint32_t)strlen(text);
	memcpy(out, text, len);
	return len;
}

static uint32_t put_number(uint8_t *out, uint32_t number)
{
	uint32_t digits = 1;
	for (uint32_t rest = number; rest >= 10; rest /= 10)
		digits++;
	for (uint32_t i = digits; i-- > 0; number /= 10)
		out[i] = (uint8_t)('0' + number % 10);
	return digits;
}

/* "pat*" is for all that begin so (RFC 6690, 4.1). */
static bool fits(struct coap_text pattern, const uint8_t *value, uint32_t len)
{
	if (pattern.len > 0 && pattern.data[pattern.len - 1] == '*')
		return --pattern.len <= len && memcmp(pattern.data, value, pattern.len) == 0;
	return pattern.len == len && memcmp(pattern.data, value, len) == 0;
}

/* QUERY: "NAME=PATTERN". Attributes that links do not have fit nothing. */
static bool is_asked_for(const struct resource *resource, struct coap_text query)
{
	uint8_t value[1 + COAP_PATH_MAX] = "/";
	uint32_t name = 0, len;
	while (name < query.len && query.data[name] != '=')
		name++;
	if (name == query.len)
		return true;
	struct coap_text pattern = {query.data + name + 1, query.len - name - 1};
	if (name == 4 && memcmp(query.data, "href", 4) == 0) {
		len = 1 + coap_decode_path(resource->path, resource->path_len, value + 1);
		return fits(pattern, value, len);
	}
	if (name != 2 || memcmp(query.data, "ct", 2) != 0 || resource->format == COAP_NO_FORMAT)
		return false;
	return fits(pattern, value, put_number(value, resource->format));
}

static uint32_t put_link(uint8_t *out, const struct resource *resource)
{
	uint32_t len = put_text(out, "</");
	memcpy(out + len, resource->path, resource->path_len);
	len += resource->path_len;
	len += put_text(out + len, ">");
	if (resource->format != COAP_NO_FORMAT) {
		len += put_text(out + len, ";ct=");
		len += put_number(out + len, resource->format);
	}
	return len + put_text(out + len, ";obs");
}

uint32_t resources_list(const struct coap_message *request, const uint8_t **ret_list)
{
	static uint8_t list[COAP_RESOURCES * LINK_MAX];
	uint32_t len = 0;
	for (unsigned i = 0; i < COAP_RESOURCES; i++) {
		const struct resource *resource = &resources[i];
		bool is_in = resource->version != 0;
		for (uint32_t k = 0; k < request->queries_count && is_in; k++)
			is_in = is_asked_for(resource, request->queries[k]);
		if (!is_in)
			continue;
		if (len > 0)
			list[len++] = ',';
		len += put_link(list + len, resource);
	}
	*ret_list = list;
	return len;
}

uint32_t resources_list_tag(void)
{
	return list_version;
}
