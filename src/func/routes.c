/*
 * Two sorted arrays. A path is looked up whole, then without its last segment, and so on, so a
 * request costs one binary search for each segment, whatever the number of functions.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "func/routes_priv.h"

static int compare_http(const void *a, const void *b)
{
	const struct func_http_route *x = a;
	const struct func_http_route *y = b;
	return strcmp(x->trigger->path, y->trigger->path);
}

/* By bucket, then function, so that several triggers of one function are neighbours. */
static int compare_object(const void *a, const void *b)
{
	const struct func_object_route *x = a;
	const struct func_object_route *y = b;
	int order = strcmp(x->trigger->bucket, y->trigger->bucket);
	return order != 0 ? order : strcmp(x->func->manifest->name, y->func->manifest->name);
}

static void fill(struct func_routes *routes, struct func *func)
{
	const struct func_manifest *manifest = func->manifest;
	for (unsigned i = 0; i < manifest->triggers_count; i++) {
		const struct func_trigger *trigger = &manifest->triggers[i];
		if (trigger->kind == FUNC_TRIGGER_HTTP)
			routes->http[routes->http_count++] =
				(struct func_http_route){.trigger = trigger, .func = func};
		else if (trigger->kind == FUNC_TRIGGER_OBJECT)
			routes->object[routes->object_count++] =
				(struct func_object_route){.trigger = trigger, .func = func};
	}
}

int func_routes_new(struct func *const *funcs, size_t count, struct func_routes **ret_routes)
{
	size_t triggers = 0;
	for (size_t i = 0; i < count; i++)
		triggers += funcs[i]->manifest->triggers_count;
	struct func_routes *routes = calloc(1, sizeof(*routes));
	if (routes == NULL)
		return -ENOMEM;
	routes->http = calloc(triggers + 1, sizeof(routes->http[0]));
	routes->object = calloc(triggers + 1, sizeof(routes->object[0]));
	if (routes->http == NULL || routes->object == NULL) {
		func_routes_free(routes);
		return -ENOMEM;
	}
	for (size_t i = 0; i < count; i++)
		fill(routes, funcs[i]);
	/* Packets have ways of their own. */
	EOS_ASSERT(routes->http_count + routes->object_count <= triggers);
	qsort(routes->http, routes->http_count, sizeof(routes->http[0]), compare_http);
	qsort(routes->object, routes->object_count, sizeof(routes->object[0]), compare_object);
	*ret_routes = routes;
	return 0;
}

struct func_routes *func_routes_free(struct func_routes *routes)
{
	if (routes == NULL)
		return NULL;
	free(routes->http);
	free(routes->object);
	free(routes);
	return NULL;
}

/* Like strcmp() of PATH's first LEN bytes with TEXT. */
static int compare_part(const char *path, size_t len, const char *text)
{
	int order = strncmp(path, text, len);
	return order != 0 ? order : (text[len] == '\0' ? 0 : -1);
}

static const struct func_http_route *find_exact(const struct func_routes *routes, const char *path,
						size_t len)
{
	size_t low = 0;
	size_t high = routes->http_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = compare_part(path, len, routes->http[middle].trigger->path);
		if (order == 0)
			return &routes->http[middle];
		if (order < 0)
			high = middle;
		else
			low = middle + 1;
	}
	return NULL;
}

const struct func_http_route *func_routes_find_http(const struct func_routes *routes,
						    const char *path)
{
	size_t len = strlen(path);
	while (len > 1) {
		if (len <= FUNC_PATH_MAX) {
			const struct func_http_route *route = find_exact(routes, path, len);
			if (route != NULL)
				return route;
		}
		/* To before the last slash: "/a/b/" is below "/a/b", which is below "/a". */
		while (len > 1 && path[len - 1] != '/')
			len--;
		len--;
	}
	return NULL;
}

static bool trigger_matches(const struct func_trigger *trigger, const struct store_event *event)
{
	if (event->kind == STORE_EVENT_DAMAGED)
		return false; /* only a notification configuration asks for that */
	if (store_event_is_creation(event->kind) ? !trigger->on_created : !trigger->on_removed)
		return false;
	size_t prefix = strlen(trigger->prefix);
	size_t suffix = strlen(trigger->suffix);
	return event->key_len >= prefix && event->key_len >= suffix &&
	       memcmp(event->key, trigger->prefix, prefix) == 0 &&
	       memcmp(event->key + event->key_len - suffix, trigger->suffix, suffix) == 0;
}

void func_routes_find_object(const struct func_routes *routes, const struct store_event *event,
			     void (*emit)(void *ctx, const char *function), void *ctx)
{
	size_t low = 0;
	size_t high = routes->object_count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (strcmp(routes->object[middle].trigger->bucket, event->bucket) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	const struct func *last = NULL;
	for (; low < routes->object_count; low++) {
		const struct func_object_route *route = &routes->object[low];
		if (strcmp(route->trigger->bucket, event->bucket) != 0)
			break;
		if (route->func == last || !trigger_matches(route->trigger, event))
			continue;
		emit(ctx, route->func->manifest->name);
		last = route->func;
	}
}
