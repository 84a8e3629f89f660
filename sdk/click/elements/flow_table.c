#include "elements/flow_table.h"

#include <string.h>

_Static_assert(sizeof(struct click_flow_key) == 16, "keys are hashed and compared as they are");

/* --- keys --- */

struct click_flow_key click_flow_reverse(const struct click_flow_key *key)
{
	struct click_flow_key reverse = {.saddr = key->daddr,
					 .daddr = key->saddr,
					 .sport = key->dport,
					 .dport = key->sport,
					 .map = key->map,
					 .protocol = key->protocol};
	if (key->protocol == CLICK_FLOW_ECHO)
		reverse.protocol = CLICK_FLOW_ECHO_REPLY;
	else if (key->protocol == CLICK_FLOW_ECHO_REPLY)
		reverse.protocol = CLICK_FLOW_ECHO;
	return reverse;
}

static uint64_t rotate(uint64_t value, unsigned bits)
{
	return value << bits | value >> (64 - bits);
}

static void sip_round(uint64_t v[4])
{
	v[0] += v[1];
	v[2] += v[3];
	v[1] = rotate(v[1], 13) ^ v[0];
	v[3] = rotate(v[3], 16) ^ v[2];
	v[0] = rotate(v[0], 32);
	v[2] += v[1];
	v[0] += v[3];
	v[1] = rotate(v[1], 17) ^ v[2];
	v[3] = rotate(v[3], 21) ^ v[0];
	v[2] = rotate(v[2], 32);
}

/* SipHash-1-3 of 16 bytes; its block with the length is left out, as they are always 16. */
static uint32_t hash_key(const struct click_flow_table *table, const struct click_flow_key *key)
{
	uint64_t words[2];
	memcpy(words, key, sizeof(words));
	uint64_t v[4] = {table->seed[0] ^ 0x736f6d6570736575, table->seed[1] ^ 0x646f72616e646f6d,
			 table->seed[0] ^ 0x6c7967656e657261, table->seed[1] ^ 0x7465646279746573};
	for (unsigned i = 0; i < 2; i++) {
		v[3] ^= words[i];
		sip_round(v);
		v[0] ^= words[i];
	}
	v[2] ^= 0xff;
	for (unsigned i = 0; i < 3; i++)
		sip_round(v);
	return (uint32_t)(v[0] ^ v[1] ^ v[2] ^ v[3]);
}

static bool is_same(const struct click_flow_key *a, const struct click_flow_key *b)
{
	return memcmp(a, b, sizeof(*a)) == 0;
}

/* --- the table --- */

static uint64_t random_u64(struct click_router *router)
{
	uint64_t high = click_random(router);
	return high << 32 | click_random(router);
}

bool click_flows_init(struct click_flow_table *table, struct click_router *router,
		      uint32_t capacity)
{
	uint32_t buckets = 16;
	while (buckets < 2 * capacity)
		buckets *= 2;
	memset(table, 0, sizeof(*table));
	table->flows = click_alloc(router, capacity * sizeof(*table->flows));
	table->buckets = click_alloc(router, buckets * sizeof(*table->buckets));
	if (!table->flows || !table->buckets)
		return false;
	memset(table->buckets, 0xff, buckets * sizeof(*table->buckets));
	table->buckets_mask = buckets - 1;
	table->capacity = table->limit = capacity;
	table->free = CLICK_FLOW_NONE;
	for (uint32_t i = capacity; i-- > 0;) {
		table->flows[i].next = table->free;
		table->free = i;
	}
	table->router = router;
	return true;
}

bool click_flows_add_list(struct click_flow_table *table, struct click_flow_list *list)
{
	if (table->lists_count == CLICK_FLOW_LISTS_MAX)
		return false;
	list->first = list->last = CLICK_FLOW_NONE;
	list->count = 0;
	table->lists[table->lists_count++] = list;
	return true;
}

static uint32_t index_of(const struct click_flow_table *table, const struct click_flow *flow)
{
	return (uint32_t)(flow - table->flows);
}

static void list_append(struct click_flow_table *table, struct click_flow_list *list,
			struct click_flow *flow)
{
	uint32_t index = index_of(table, flow);
	flow->list = list;
	flow->next = CLICK_FLOW_NONE;
	flow->previous = list->last;
	if (list->last == CLICK_FLOW_NONE)
		list->first = index;
	else
		table->flows[list->last].next = index;
	list->last = index;
	list->count++;
}

static void list_unlink(struct click_flow_table *table, struct click_flow *flow)
{
	struct click_flow_list *list = flow->list;
	if (flow->previous == CLICK_FLOW_NONE)
		list->first = flow->next;
	else
		table->flows[flow->previous].next = flow->next;
	if (flow->next == CLICK_FLOW_NONE)
		list->last = flow->previous;
	else
		table->flows[flow->next].previous = flow->previous;
	list->count--;
}

static uint32_t *bucket_of(struct click_flow_table *table, const struct click_flow_key *key)
{
	if (!table->has_seed) {
		table->seed[0] = random_u64(table->router);
		table->seed[1] = random_u64(table->router);
		table->has_seed = true;
	}
	return &table->buckets[hash_key(table, key) & table->buckets_mask];
}

static void chain_insert(struct click_flow_table *table, struct click_flow *flow, unsigned way)
{
	uint32_t *bucket = bucket_of(table, &flow->key[way]);
	flow->chain[way] = *bucket;
	*bucket = 2 * index_of(table, flow) + way;
}

static void chain_remove(struct click_flow_table *table, struct click_flow *flow, unsigned way)
{
	uint32_t entry = 2 * index_of(table, flow) + way;
	uint32_t *link = bucket_of(table, &flow->key[way]);
	while (*link != entry)
		link = &table->flows[*link / 2].chain[*link % 2];
	*link = flow->chain[way];
}

static bool has_ended(const struct click_flow *flow, uint64_t now_ns)
{
	return now_ns - flow->used_ns >= flow->list->timeout_ns;
}

static uint32_t find(struct click_flow_table *table, const struct click_flow_key *key)
{
	uint32_t entry = *bucket_of(table, key);
	while (entry != CLICK_FLOW_NONE) {
		const struct click_flow *flow = &table->flows[entry / 2];
		if (is_same(&flow->key[entry % 2], key))
			break;
		entry = flow->chain[entry % 2];
	}
	return entry;
}

uint32_t click_flows_find(struct click_flow_table *table, const struct click_flow_key *key,
			  uint64_t now_ns)
{
	uint32_t entry = find(table, key);
	if (entry == CLICK_FLOW_NONE || !has_ended(&table->flows[entry / 2], now_ns))
		return entry;
	click_flows_remove(table, &table->flows[entry / 2]);
	/* Both of a flow's keys can be the same. */
	return find(table, key);
}

void click_flows_remove(struct click_flow_table *table, struct click_flow *flow)
{
	chain_remove(table, flow, 0);
	chain_remove(table, flow, 1);
	list_unlink(table, flow);
	flow->next = table->free;
	table->free = index_of(table, flow);
	table->count--;
}

/* Removes the flow that would end soonest of those that are not guaranteed. */
static bool evict(struct click_flow_table *table, uint64_t now_ns)
{
	struct click_flow *victim = NULL;
	uint64_t victim_end_ns = 0;
	for (uint32_t i = 0; i < table->lists_count; i++) {
		const struct click_flow_list *list = table->lists[i];
		if (list->first == CLICK_FLOW_NONE)
			continue;
		struct click_flow *flow = &table->flows[list->first];
		uint64_t end_ns = flow->used_ns + list->timeout_ns;
		bool is_guaranteed = now_ns - flow->used_ns < list->guarantee_ns;
		if (is_guaranteed || (victim && end_ns >= victim_end_ns))
			continue;
		victim = flow;
		victim_end_ns = end_ns;
	}
	if (!victim)
		return false;
	click_flows_remove(table, victim);
	table->evicted++;
	return true;
}

struct click_flow *click_flows_add(struct click_flow_table *table,
				   const struct click_flow_key *forward,
				   const struct click_flow_key *reply, struct click_flow_list *list,
				   uint64_t now_ns)
{
	if (click_flows_find(table, forward, now_ns) != CLICK_FLOW_NONE ||
	    click_flows_find(table, reply, now_ns) != CLICK_FLOW_NONE)
		return NULL;
	click_flows_expire(table, now_ns, 2);
	if (table->count >= table->limit && !evict(table, now_ns))
		return NULL;
	struct click_flow *flow = &table->flows[table->free];
	table->free = flow->next;
	table->count++;
	memset(flow, 0, sizeof(*flow));
	flow->key[0] = *forward;
	flow->key[1] = *reply;
	flow->used_ns = now_ns;
	chain_insert(table, flow, 0);
	chain_insert(table, flow, 1);
	list_append(table, list, flow);
	return flow;
}

void click_flows_use(struct click_flow_table *table, struct click_flow *flow,
		     struct click_flow_list *list, uint64_t now_ns)
{
	list_unlink(table, flow);
	flow->used_ns = now_ns;
	list_append(table, list, flow);
}

uint32_t click_flows_expire(struct click_flow_table *table, uint64_t now_ns, uint32_t max)
{
	uint32_t removed = 0;
	for (uint32_t i = 0; i < table->lists_count; i++) {
		const struct click_flow_list *list = table->lists[i];
		while (removed < max && list->first != CLICK_FLOW_NONE &&
		       has_ended(&table->flows[list->first], now_ns)) {
			click_flows_remove(table, &table->flows[list->first]);
			removed++;
		}
	}
	return removed;
}

void click_flows_set_limit(struct click_flow_table *table, uint32_t limit)
{
	table->limit = limit < table->capacity ? limit : table->capacity;
	/* No flow is guaranteed at the end of time. */
	while (table->count > table->limit && evict(table, UINT64_MAX))
		continue;
}
