/*
 * Who has flows, and how many: a hash table with chains of records from a pool. A record lives as
 * long as its source has flows, so there are never more than flows, however many sources are
 * forged; who has none costs nothing. There are at least as many chains as records.
 */
#include "base/assert.h"
#include "flow/flow_table_priv.h"

static uint32_t *chain_of(const struct flow_table *table, uint64_t name)
{
	uint64_t hash = flow_hash_u64(&table->hash, name);

	return &table->sources.chains[hash & table->sources.chains_mask];
}

void flow_sources_init(struct flow_table *table)
{
	struct flow_sources *s = &table->sources;
	uint32_t count = table->config.flows_max;

	for (uint32_t i = 0; i <= s->chains_mask; i++)
		s->chains[i] = FLOW_NONE;
	for (uint32_t i = 0; i < count; i++)
		s->sources[i].next = i + 1 < count ? i + 1 : FLOW_NONE;
	s->free = 0;
	s->count = 0;
}

uint32_t flow_source_find(struct flow_table *table, uint64_t name)
{
	uint32_t index = *chain_of(table, name);

	while (index != FLOW_NONE && table->sources.sources[index].name != name) {
		table->steps++;
		index = table->sources.sources[index].next;
	}
	return index;
}

uint32_t flow_source_add(struct flow_table *table, uint64_t name)
{
	struct flow_sources *s = &table->sources;
	uint32_t *chain = chain_of(table, name), index = s->free;

	EOS_ASSERT(index != FLOW_NONE);
	s->free = s->sources[index].next;
	s->sources[index] = (struct flow_source){.name = name, .idlest = FLOW_NONE, .next = *chain};
	*chain = index;
	s->count++;
	return index;
}

void flow_source_remove(struct flow_table *table, uint32_t index)
{
	struct flow_sources *s = &table->sources;
	struct flow_source *source = &s->sources[index];
	uint32_t *place = chain_of(table, source->name);

	EOS_ASSERT(source->count == 0 && source->idlest == FLOW_NONE);
	while (*place != index) {
		EOS_ASSERT(*place != FLOW_NONE);
		table->steps++;
		place = &s->sources[*place].next;
	}
	*place = source->next;
	source->next = s->free;
	s->free = index;
	s->count--;
}

uint32_t flow_source_chain_len(const struct flow_table *table, uint64_t name)
{
	uint32_t len = 0;

	for (uint32_t i = *chain_of(table, name); i != FLOW_NONE;
	     i = table->sources.sources[i].next)
		len++;
	return len;
}
