/*
 * Finding flows.
 *
 * The hash's low bits choose a bucket, a cache line with ten slots: the hash's 16 high bits
 * and the number of the flow. There is a bucket for at most four flows on average, so that of those
 * with random keys 99 in 100 have a slot; a flow that finds none is in a list at the bucket, and
 * takes a slot of it as soon as one gets free. Flows stay where they are in any case. Buckets that
 * are searched one behind the other would need marks where flows were removed, and cleaning up;
 * cuckoo hashing looks at two buckets and moves flows when it adds.
 */
#include <string.h>

#include "base/assert.h"
#include "flow/flow_table_priv.h"

static struct flow_bucket *bucket_of(const struct flow_table *table, uint64_t hash)
{
	return &table->buckets[hash & table->buckets_mask];
}

static uint16_t signature_of(uint64_t hash)
{
	uint16_t signature = (uint16_t)(hash >> 48);

	return signature == 0 ? 1 : signature;
}

/* A bit for each slot whose signature is SIGNATURE. */
static uint32_t match(const struct flow_bucket *bucket, uint16_t signature)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < FLOW_BUCKET_SLOTS; i++)
		bits |= (uint32_t)(bucket->signatures[i] == signature) << i;
	return bits;
}

void flow_bucket_add(struct flow_table *table, uint32_t id)
{
	struct flow_entry *entry = &table->entries[id];
	struct flow_bucket *bucket = bucket_of(table, entry->hash);
	uint32_t free = match(bucket, 0);

	if (free == 0) {
		entry->overflow = bucket->overflow;
		bucket->overflow = id;
		return;
	}
	unsigned slot = (unsigned)__builtin_ctz(free);

	bucket->signatures[slot] = signature_of(entry->hash);
	bucket->ids[slot] = id;
}

void flow_bucket_remove(struct flow_table *table, uint32_t id)
{
	struct flow_entry *entry = &table->entries[id];
	struct flow_bucket *bucket = bucket_of(table, entry->hash);

	for (unsigned i = 0; i < FLOW_BUCKET_SLOTS; i++) {
		if (bucket->signatures[i] == 0 || bucket->ids[i] != id)
			continue;
		bucket->signatures[i] = 0;
		uint32_t heir = bucket->overflow;

		if (heir != FLOW_NONE) {
			bucket->overflow = table->entries[heir].overflow;
			bucket->signatures[i] = signature_of(table->entries[heir].hash);
			bucket->ids[i] = heir;
		}
		return;
	}
	uint32_t *next = &bucket->overflow;

	while (*next != id) {
		EOS_ASSERT(*next != FLOW_NONE);
		table->steps++;
		next = &table->entries[*next].overflow;
	}
	*next = entry->overflow;
}

static bool is_key(const struct flow_entry *entry, const struct flow_key *key)
{
	return memcmp(&entry->key, key, sizeof(*key)) == 0;
}

flow_id flow_table_find(const struct flow_table *table, const struct flow_key *key, uint64_t hash)
{
	const struct flow_bucket *bucket = bucket_of(table, hash);

	for (uint32_t bits = match(bucket, signature_of(hash)); bits != 0; bits &= bits - 1) {
		uint32_t id = bucket->ids[__builtin_ctz(bits)];

		if (EOS_LIKELY(is_key(&table->entries[id], key)))
			return id;
	}
	for (uint32_t id = bucket->overflow; id != FLOW_NONE; id = table->entries[id].overflow)
		if (table->entries[id].hash == hash && is_key(&table->entries[id], key))
			return id;
	return FLOW_NONE;
}

void flow_table_prefetch(const struct flow_table *table, uint64_t hash)
{
	__builtin_prefetch(bucket_of(table, hash));
}

void flow_table_prefetch_flow(const struct flow_table *table, uint64_t hash)
{
	const struct flow_bucket *bucket = bucket_of(table, hash);
	uint32_t bits = match(bucket, signature_of(hash));

	if (bits != 0) {
		const struct flow_entry *entry = &table->entries[bucket->ids[__builtin_ctz(bits)]];

		__builtin_prefetch(entry);
		__builtin_prefetch(&entry->seen_ns, 1);
	}
}
