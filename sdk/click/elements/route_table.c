/*
 * A node stands for a prefix. Its children stand for longer prefixes that begin with it, and
 * differ in the bit behind it. A node without a route has two children, or it is removed.
 */
#include "elements/route_table.h"

#include <errno.h>

#include "ip.h"

struct click_route_node {
	uint32_t key; /* host order; bits behind LEN are 0 */
	uint32_t gateway;
	int32_t port; /* below zero: no route */
	uint32_t child[2];
	uint8_t len;
};

size_t click_routes_size(uint32_t routes)
{
	return (2 * (size_t)routes + 1) * sizeof(struct click_route_node);
}

void click_routes_init(struct click_route_table *table, void *memory, uint32_t routes)
{
	*table = (struct click_route_table){.nodes = memory, .nodes_count = 2 * routes + 1};
	click_routes_clear(table);
}

void click_routes_clear(struct click_route_table *table)
{
	table->root = 0;
	table->free = 0;
	table->routes_count = 0;
	for (uint32_t i = table->nodes_count - 1; i > 0; i--) {
		table->nodes[i].child[0] = table->free;
		table->free = i;
	}
}

static uint32_t mask_of(unsigned len)
{
	return len ? UINT32_MAX << (32 - len) : 0;
}

/* The bit behind the first LEN, LEN below 32. */
static unsigned bit_at(uint32_t key, unsigned len)
{
	return key >> (31 - len) & 1;
}

static unsigned common_len(uint32_t a, uint32_t b, unsigned max)
{
	uint32_t differ = a ^ b;
	unsigned len = differ ? (unsigned)__builtin_clz(differ) : 32;
	return len < max ? len : max;
}

static uint32_t take_node(struct click_route_table *table, uint32_t key, unsigned len)
{
	uint32_t index = table->free;
	struct click_route_node *node = &table->nodes[index];
	table->free = node->child[0];
	*node = (struct click_route_node){
		.key = key & mask_of(len), .port = -1, .len = (uint8_t)len};
	return index;
}

static void give_node(struct click_route_table *table, uint32_t index)
{
	table->nodes[index].child[0] = table->free;
	table->free = index;
}

static struct click_route route_of(const struct click_route_node *node)
{
	return (struct click_route){.address = click_address_to_network(node->key),
				    .len = node->len,
				    .gateway = node->gateway,
				    .port = node->port};
}

/* The link to the node of that prefix, or to where it has to be. */
static uint32_t *find_link(struct click_route_table *table, uint32_t key, unsigned len)
{
	uint32_t *link = &table->root;
	while (*link) {
		struct click_route_node *node = &table->nodes[*link];
		if (node->len >= len || common_len(node->key, key, node->len) < node->len)
			break;
		link = &node->child[bit_at(key, node->len)];
	}
	return link;
}

/* A new node of that prefix at LINK, where another prefix is or none. 0: there is no room. */
static uint32_t insert_node(struct click_route_table *table, uint32_t *link, uint32_t key,
			    unsigned len)
{
	if (!table->free)
		return 0;
	uint32_t below = *link;
	if (!below)
		return *link = take_node(table, key, len);
	const struct click_route_node *node = &table->nodes[below];
	unsigned common = common_len(node->key, key, node->len < len ? node->len : len);
	unsigned below_bit = bit_at(node->key, common);
	if (common == len) {
		uint32_t index = take_node(table, key, len);
		table->nodes[index].child[below_bit] = below;
		return *link = index;
	}
	if (!table->nodes[table->free].child[0])
		return 0; /* it needs two */
	uint32_t branch = take_node(table, key, common);
	uint32_t index = take_node(table, key, len);
	table->nodes[branch].child[below_bit] = below;
	table->nodes[branch].child[!below_bit] = index;
	*link = branch;
	return index;
}

int click_routes_add(struct click_route_table *table, const struct click_route *route,
		     bool may_replace, struct click_route *ret_old)
{
	const uint32_t key = click_address_to_host(route->address) & mask_of(route->len);
	uint32_t *link = find_link(table, key, route->len);
	uint32_t index = *link;
	*ret_old = (struct click_route){.port = -1};
	if (!index || table->nodes[index].len != route->len || table->nodes[index].key != key)
		index = insert_node(table, link, key, route->len);
	if (!index)
		return -ENOSPC;
	struct click_route_node *node = &table->nodes[index];
	if (node->port >= 0) {
		*ret_old = route_of(node);
		if (!may_replace)
			return -EEXIST;
	} else {
		table->routes_count++;
	}
	node->port = route->port;
	node->gateway = route->gateway;
	return 0;
}

/* Removes the node at LINK if it has no route and not two children. */
static void tidy(struct click_route_table *table, uint32_t *link)
{
	uint32_t index = *link;
	const struct click_route_node *node = &table->nodes[index];
	if (!index || node->port >= 0 || (node->child[0] && node->child[1]))
		return;
	*link = node->child[0] ? node->child[0] : node->child[1];
	give_node(table, index);
}

int click_routes_remove(struct click_route_table *table, const struct click_route *route,
			struct click_route *ret_old)
{
	const uint32_t key = click_address_to_host(route->address) & mask_of(route->len);
	uint32_t *link = &table->root, *above = NULL;
	while (*link && table->nodes[*link].len < route->len) {
		struct click_route_node *node = &table->nodes[*link];
		above = link;
		link = &node->child[bit_at(key, node->len)];
	}
	struct click_route_node *node = &table->nodes[*link];
	if (!*link || node->len != route->len || node->key != key || node->port < 0)
		return -ENOENT;
	if (route->port >= 0 && (route->port != node->port || route->gateway != node->gateway))
		return -ENOENT;
	*ret_old = route_of(node);
	node->port = -1;
	table->routes_count--;
	tidy(table, link);
	if (above)
		tidy(table, above);
	return 0;
}

bool click_routes_lookup(const struct click_route_table *table, uint32_t address,
			 struct click_route *ret)
{
	const uint32_t key = click_address_to_host(address);
	uint32_t best = 0;
	for (uint32_t index = table->root; index;) {
		const struct click_route_node *node = &table->nodes[index];
		if ((key & mask_of(node->len)) != node->key)
			break;
		if (node->port >= 0)
			best = index;
		index = node->len < 32 ? node->child[bit_at(key, node->len)] : 0;
	}
	if (!best)
		return false;
	*ret = route_of(&table->nodes[best]);
	return true;
}

void click_routes_walk(const struct click_route_table *table,
		       void (*each)(void *ctx, const struct click_route *route), void *ctx)
{
	/* At most one waits for each length of a prefix. */
	uint32_t stack[34];
	unsigned depth = 0;
	uint32_t index = table->root;
	while (index || depth) {
		if (!index)
			index = stack[--depth];
		const struct click_route_node *node = &table->nodes[index];
		if (node->port >= 0) {
			struct click_route route = route_of(node);
			each(ctx, &route);
		}
		if (node->child[1])
			stack[depth++] = node->child[1];
		index = node->child[0];
	}
}
