/*
 * Space-separated lists of IP addresses, as several elements have for an argument.
 */
#pragma once

#include <click.h>

#define CLICK_LIST_MAX 256u

struct click_addresses {
	uint32_t *address, *mask; /* network order; MASK: of prefixes only, otherwise NULL */
	uint32_t count;
};

/* Reads the argument KEY into LIST, behind what it has; mistakes are told. */
void click_arg_addresses(struct click_args *args, struct click_router *router, const char *key,
			 unsigned flags, struct click_addresses *list);
/* The same, of prefixes. */
void click_arg_prefixes(struct click_args *args, struct click_router *router, const char *key,
			unsigned flags, struct click_addresses *list);
/* Adds one; false: there is no memory, or the list is full. */
bool click_addresses_add(struct click_addresses *list, struct click_router *router,
			 uint32_t address);
bool click_addresses_have(const struct click_addresses *list, uint32_t address);
