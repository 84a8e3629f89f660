/*
 * Who is triggered by a path or by an object: sorted arrays over the deployed functions, immutable
 * once built. The registry builds a new one with each deploy and swaps it under its lock.
 */
#pragma once

#include "func/func.h"

struct func_http_route {
	const struct func_trigger *trigger; /* its path is the key */
	struct func *func;		    /* borrowed from the registry's table */
};

struct func_object_route {
	const struct func_trigger *trigger; /* its bucket is the key */
	struct func *func;
};

struct func_routes {
	size_t http_count, object_count;
	struct func_http_route *http;
	struct func_object_route *object; /* one bucket's routes together, by function */
};

/* FUNCS are in order of names. -ENOMEM. */
int func_routes_new(struct func *const *funcs, size_t count,
		    struct func_routes **ret_routes) EOS_MUST_CHECK;
struct func_routes *func_routes_free(struct func_routes *routes);

/* The route with the longest path that is PATH or above it, or NULL. */
const struct func_http_route *func_routes_find_http(const struct func_routes *routes,
						    const char *path);
void func_routes_find_object(const struct func_routes *routes, const struct store_event *event,
			     void (*emit)(void *ctx, const char *function), void *ctx);
