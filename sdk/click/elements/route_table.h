/*
 * A routing table: prefixes of IPv4 addresses, and the longest that an address matches.
 *
 * It is a binary trie in which ways without branches are one step, so that N prefixes are at most
 * 2N nodes and a lookup takes at most 33 steps. Nodes come from an array that is allocated once.
 * Addresses and gateways are in network order.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct click_route {
	uint32_t address;
	uint8_t len;	  /* of the prefix, 0 to 32 */
	uint32_t gateway; /* 0: none */
	int32_t port;
};

struct click_route_node;
struct click_route_table {
	struct click_route_node *nodes; /* the first is no node */
	uint32_t nodes_count;		/* allocated, with that */
	uint32_t root, free;		/* 0: none */
	uint32_t routes_count;
};

/* Bytes of memory for ROUTES. */
size_t click_routes_size(uint32_t routes);
/* MEMORY is borrowed, cleared, and has that many bytes. */
void click_routes_init(struct click_route_table *table, void *memory, uint32_t routes);
void click_routes_clear(struct click_route_table *table);

/* 0; -EEXIST: there is one for this prefix (*RET_OLD), and MAY_REPLACE is false; -ENOSPC: full.
 * A replaced route is left in *RET_OLD, whose port is below zero otherwise. */
int click_routes_add(struct click_route_table *table, const struct click_route *route,
		     bool may_replace, struct click_route *ret_old);
/* Removes the route of that prefix: any where the port is below zero, or only with the same port
 * and gateway. 0, or -ENOENT. */
int click_routes_remove(struct click_route_table *table, const struct click_route *route,
			struct click_route *ret_old);
/* The route of the longest prefix of ADDRESS; false: there is none. */
bool click_routes_lookup(const struct click_route_table *table, uint32_t address,
			 struct click_route *ret);
/* Calls EACH with all routes, in the order of their addresses, shorter prefixes first. */
void click_routes_walk(const struct click_route_table *table,
		       void (*each)(void *ctx, const struct click_route *route), void *ctx);
