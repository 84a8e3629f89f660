/*
 * The flow table.
 *
 * Finding is flow_bucket.c's, and who has flows flow_source.c's.
 *
 * Ageing. Flows of a state (unconfirmed, confirmed) have the same idle time, so a ring in the order
 * in which they were seen has the one whose time is over first. To keep it each packet would have
 * to move its flow, which costs the cache lines of four flows; so a flow is moved at most
 * FLOW_TABLE_GRAINS times in its idle time.
 *
 * Invariants
 * 1. An entry is in exactly one of: the free list; ring idlest[FLOW_NEW]; ring
 *    idlest[FLOW_CONFIRMED].
 * 2. Along a ring of flows placed_ns does not fall, and placed_ns <= seen_ns < placed_ns + grain
 *    of the idle time.
 * 3. Where sources have limits, each flow has a source, which counts it, and the unconfirmed ones
 *    are in its ring.
 * 4. A bucket's overflow list has flows only while all its slots are taken.
 */
#include "flow/flow_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>

#include "base/assert.h"
#include "base/fault.h"
#include "flow/flow_table_priv.h"

#define FLOWS_PER_BUCKET 4u
#define HUGE_PAGE_BYTES	 ((size_t)2 << 20)

#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23 /* Linux 5.14; glibc 2.35 */
#endif

/* Rings. *FIRST is the first flow of a ring, FLOW_NONE: it is empty; LINK is where in an entry its
 * places are. */

static struct flow_link *link_at(struct flow_table *table, uint32_t id, size_t link)
{
	return (struct flow_link *)((char *)&table->entries[id] + link);
}

static void ring_append(struct flow_table *table, uint32_t *first, uint32_t id, size_t link)
{
	struct flow_link *own = link_at(table, id, link);

	if (*first == FLOW_NONE) {
		*first = own->prev = own->next = id;
		return;
	}
	struct flow_link *head = link_at(table, *first, link);

	own->next = *first;
	own->prev = head->prev;
	link_at(table, head->prev, link)->next = id;
	head->prev = id;
}

static void ring_remove(struct flow_table *table, uint32_t *first, uint32_t id, size_t link)
{
	struct flow_link own = *link_at(table, id, link);

	if (own.next == id) {
		EOS_ASSERT(*first == id);
		*first = FLOW_NONE;
		return;
	}
	link_at(table, own.prev, link)->next = own.next;
	link_at(table, own.next, link)->prev = own.prev;
	if (*first == id)
		*first = own.next;
}

static struct flow_source *source_of(struct flow_table *table, const struct flow_entry *entry)
{
	return entry->source == FLOW_NONE ? NULL : &table->sources.sources[entry->source];
}

/* Puts ID at the end of the rings that its state says. */
static void place(struct flow_table *table, uint32_t id)
{
	struct flow_entry *entry = &table->entries[id];
	struct flow_source *source = source_of(table, entry);

	entry->placed_ns = entry->seen_ns;
	ring_append(table, &table->idlest[entry->state], id, offsetof(struct flow_entry, idle));
	if (entry->state == FLOW_NEW && source != NULL)
		ring_append(table, &source->idlest, id, offsetof(struct flow_entry, siblings));
}

static void displace(struct flow_table *table, uint32_t id)
{
	struct flow_entry *entry = &table->entries[id];
	struct flow_source *source = source_of(table, entry);

	ring_remove(table, &table->idlest[entry->state], id, offsetof(struct flow_entry, idle));
	if (entry->state == FLOW_NEW && source != NULL)
		ring_remove(table, &source->idlest, id, offsetof(struct flow_entry, siblings));
}

uint64_t flow_table_hash(const struct flow_table *table, const struct flow_key *key)
{
	return flow_hash_key(&table->hash, key);
}

/* Flows. */

static struct flow_entry *entry_of(const struct flow_table *table, flow_id id)
{
	EOS_ASSERT(id < table->config.flows_max);
	return &table->entries[id];
}

static uint64_t idle_ns_of(const struct flow_table *table, const struct flow_entry *entry)
{
	return entry->state == FLOW_CONFIRMED ? table->config.idle_ns : table->config.idle_new_ns;
}

/* When its time is over. */
static uint64_t due_ns(const struct flow_table *table, const struct flow_entry *entry)
{
	uint64_t due;

	return __builtin_add_overflow(entry->seen_ns, idle_ns_of(table, entry), &due) ? UINT64_MAX
										      : due;
}

static uint64_t advance(struct flow_table *table, uint64_t now_ns)
{
	table->now_ns = EOS_MAX(table->now_ns, now_ns);
	return table->now_ns;
}

uint64_t flow_table_value(const struct flow_table *table, flow_id id)
{
	return entry_of(table, id)->value;
}

const struct flow_key *flow_table_key(const struct flow_table *table, flow_id id)
{
	return &entry_of(table, id)->key;
}

bool flow_table_is_confirmed(const struct flow_table *table, flow_id id)
{
	return entry_of(table, id)->state == FLOW_CONFIRMED;
}

void flow_table_set(struct flow_table *table, flow_id id, uint64_t value)
{
	entry_of(table, id)->value = value;
}

void flow_table_confirm(struct flow_table *table, flow_id id)
{
	struct flow_entry *entry = entry_of(table, id);

	EOS_ASSERT(entry->state != FLOW_FREE);
	if (entry->state == FLOW_CONFIRMED)
		return;
	displace(table, id);
	entry->state = FLOW_CONFIRMED;
	table->stats.confirmed++;
	/* It goes to the end of the ring, so this is when it was seen. */
	entry->seen_ns = table->now_ns;
	place(table, id);
}

void flow_table_touch(struct flow_table *table, flow_id id, bool to_high, uint64_t now_ns)
{
	struct flow_entry *entry = entry_of(table, id);

	EOS_ASSERT(entry->state != FLOW_FREE);
	entry->seen_ns = advance(table, now_ns);
	entry->seen |= to_high ? 1 : 2;
	if (EOS_UNLIKELY(entry->seen == 3 && entry->state == FLOW_NEW)) {
		flow_table_confirm(table, id);
	} else if (entry->seen_ns - entry->placed_ns >=
		   idle_ns_of(table, entry) / FLOW_TABLE_GRAINS) {
		displace(table, id);
		place(table, id);
	}
}

/* Takes ID out of everything. */
static void drop(struct flow_table *table, uint32_t id)
{
	struct flow_entry *entry = &table->entries[id];
	struct flow_source *source = source_of(table, entry);

	EOS_ASSERT(entry->state != FLOW_FREE);
	table->steps++;
	displace(table, id);
	flow_bucket_remove(table, id);
	if (source != NULL && --source->count == 0)
		flow_source_remove(table, entry->source);
	if (entry->state == FLOW_CONFIRMED)
		table->stats.confirmed--;
	table->stats.flows--;
	entry->state = FLOW_FREE;
	entry->overflow = table->free;
	table->free = id;
}

/* The same, and its owner hears of it. */
static void expire(struct flow_table *table, uint32_t id)
{
	const struct flow_entry *entry = &table->entries[id];

	drop(table, id);
	if (table->config.expired != NULL)
		table->config.expired(table->config.ctx, &entry->key, entry->value);
}

void flow_table_remove(struct flow_table *table, flow_id id)
{
	(void)entry_of(table, id);
	drop(table, id);
	table->stats.removed++;
}

void flow_table_clear(struct flow_table *table)
{
	for (unsigned state = FLOW_NEW; state <= FLOW_CONFIRMED; state++)
		while (table->idlest[state] != FLOW_NONE)
			expire(table, table->idlest[state]);
}

/* A flow whose time is over, or FLOW_NONE. */
static uint32_t find_due(struct flow_table *table)
{
	for (unsigned state = FLOW_NEW; state <= FLOW_CONFIRMED; state++) {
		uint32_t id = table->idlest[state];

		table->steps++;
		if (id != FLOW_NONE && due_ns(table, &table->entries[id]) <= table->now_ns)
			return id;
	}
	return FLOW_NONE;
}

static bool age_one(struct flow_table *table)
{
	uint32_t id = find_due(table);

	if (id == FLOW_NONE)
		return false;
	expire(table, id);
	table->stats.aged++;
	return true;
}

uint32_t flow_table_age(struct flow_table *table, uint64_t now_ns, uint32_t count_max)
{
	uint32_t count = 0;

	(void)advance(table, now_ns);
	while (count < count_max && age_one(table))
		count++;
	return count;
}

uint64_t flow_table_next_ns(const struct flow_table *table)
{
	uint64_t next_ns = UINT64_MAX;

	for (unsigned state = FLOW_NEW; state <= FLOW_CONFIRMED; state++) {
		uint32_t id = table->idlest[state];

		if (id != FLOW_NONE)
			next_ns = EOS_MIN(next_ns, due_ns(table, &table->entries[id]));
	}
	return next_ns;
}

/* Evicts ID, if there is one and flows may be. */
static bool evict(struct flow_table *table, uint32_t id)
{
	if (table->config.when_full == FLOW_REFUSE || id == FLOW_NONE)
		return false;
	expire(table, id);
	table->stats.evicted++;
	return true;
}

/* Who goes when the table is full, if anybody may. */
static uint32_t find_victim(const struct flow_table *table)
{
	uint32_t id = table->idlest[FLOW_NEW];

	if (id == FLOW_NONE && table->config.when_full == FLOW_EVICT_ANY)
		id = table->idlest[FLOW_CONFIRMED];
	return id;
}

/* Makes room for a flow of SOURCE. */
static int make_room(struct flow_table *table, uint64_t source)
{
	if (table->config.per_source_max != 0) {
		uint32_t index = flow_source_find(table, source);
		struct flow_source *s = index == FLOW_NONE ? NULL : &table->sources.sources[index];

		if (s != NULL && s->count >= table->config.per_source_max &&
		    !evict(table, s->idlest)) {
			table->stats.refused_source++;
			return -EDQUOT;
		}
	}
	if (table->free == FLOW_NONE && !age_one(table) && !evict(table, find_victim(table))) {
		table->stats.refused_full++;
		return -ENOSPC;
	}
	return 0;
}

/* The source of a new flow, which counts it. FLOW_NONE: sources have no limit. */
static uint32_t count_in(struct flow_table *table, uint64_t source)
{
	if (table->config.per_source_max == 0)
		return FLOW_NONE;
	uint32_t index = flow_source_find(table, source);

	if (index == FLOW_NONE)
		index = flow_source_add(table, source);
	table->sources.sources[index].count++;
	return index;
}

int flow_table_add(struct flow_table *table, const struct flow_key *key, uint64_t hash,
		   uint64_t source, uint64_t value, uint64_t now_ns, flow_id *ret_id)
{
	(void)advance(table, now_ns);
	if (flow_table_find(table, key, hash) != FLOW_NONE)
		return -EEXIST;
	int err = make_room(table, source);

	if (err < 0)
		return err;
	uint32_t id = table->free;
	struct flow_entry *entry = &table->entries[id];

	EOS_ASSERT(entry->state == FLOW_FREE);
	table->free = entry->overflow;
	*entry = (struct flow_entry){
		.key = *key,
		.hash = hash,
		.value = value,
		.seen_ns = table->now_ns,
		.source = count_in(table, source),
		.overflow = FLOW_NONE,
		.state = FLOW_NEW,
	};
	flow_bucket_add(table, id);
	place(table, id);
	table->stats.flows++;
	table->stats.added++;
	*ret_id = id;
	return 0;
}

void flow_table_stats(const struct flow_table *table, struct flow_table_stats *ret_stats)
{
	*ret_stats = table->stats;
	ret_stats->flows_max = table->config.flows_max;
	ret_stats->sources = table->sources.count;
	ret_stats->bytes = sizeof(*table) + table->memory_bytes;
}

/* Making one. */

static int check_config(const struct flow_table_config *config, struct eos_why *why)
{
	if (config->flows_max == 0 || config->flows_max > FLOW_TABLE_FLOWS_MAX)
		return eos_why(why, -EINVAL, "flows_max is %u; expected: 1 to %u",
			       config->flows_max, FLOW_TABLE_FLOWS_MAX);
	if (config->when_full != FLOW_REFUSE && config->when_full != FLOW_EVICT_IDLE &&
	    config->when_full != FLOW_EVICT_ANY)
		return eos_why(why, -EINVAL, "when_full is %d; expected: a policy",
			       (int)config->when_full);
	return 0;
}

/* The least power of two that is at least N. */
static uint64_t round_up(uint64_t n)
{
	uint64_t power = 1;

	while (power < n)
		power *= 2;
	return power;
}

/* Memory that is there, so that no packet has to wait for it, in large pages where the kernel has
 * some: looking up flows at random otherwise misses the TLB twice. */
static int take_memory(struct flow_table *table, size_t bytes, struct eos_why *why)
{
	int err = eos_fault("flow.table_memory");

	if (err < 0)
		return eos_why(why, err, "%zu bytes for flows: %s", bytes, strerror(-err));
	void *memory =
		mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (memory == MAP_FAILED)
		return eos_why(why, -ENOMEM, "%zu bytes for flows: %s", bytes, strerror(errno));
	table->memory = memory;
	table->memory_bytes = bytes;
	if (bytes >= HUGE_PAGE_BYTES)
		(void)madvise(memory, bytes, MADV_HUGEPAGE);
	/* EINVAL: an older kernel, which gives it when it is used first. */
	if (madvise(memory, bytes, MADV_POPULATE_WRITE) < 0 && errno != EINVAL)
		return eos_why(why, -ENOMEM, "%zu bytes for flows: %s", bytes, strerror(errno));
	return 0;
}

/* The parts of the memory, each of whole cache lines. */
static int lay_out(struct flow_table *table, struct eos_why *why)
{
	size_t count = table->config.flows_max;
	size_t buckets = round_up((count + FLOWS_PER_BUCKET - 1) / FLOWS_PER_BUCKET);
	bool has_sources = table->config.per_source_max != 0;
	size_t chains = has_sources ? round_up(count) : 0, sources = has_sources ? count : 0;
	size_t entries_at = EOS_ALIGN_UP(buckets * sizeof(struct flow_bucket), 128);
	size_t sources_at = entries_at + count * sizeof(struct flow_entry);
	size_t chains_at = sources_at + EOS_ALIGN_UP(sources * sizeof(struct flow_source), 64);
	size_t end = EOS_ALIGN_UP(chains_at + chains * sizeof(uint32_t), 4096);
	int err = take_memory(table, end, why);

	if (err < 0)
		return err;
	char *memory = table->memory;

	table->buckets = (struct flow_bucket *)memory;
	table->buckets_mask = buckets - 1;
	table->entries = (struct flow_entry *)(memory + entries_at);
	if (has_sources) {
		table->sources.sources = (struct flow_source *)(memory + sources_at);
		table->sources.chains = (uint32_t *)(memory + chains_at);
		table->sources.chains_mask = (uint32_t)chains - 1;
		flow_sources_init(table);
	}
	return 0;
}

static int choose_seed(struct flow_table *table, struct eos_why *why)
{
	uint64_t seed = table->config.seed;

	while (seed == 0) {
		ssize_t n = getrandom(&seed, sizeof(seed), 0);

		if (n < 0 && errno != EINTR)
			return eos_why(why, -errno, "getrandom: %s", strerror(errno));
		if (n != sizeof(seed))
			seed = 0;
	}
	flow_hash_init(&table->hash, seed);
	return 0;
}

int flow_table_new(const struct flow_table_config *config, struct flow_table **ret_table,
		   struct eos_why *why)
{
	int err = check_config(config, why);

	if (err < 0)
		return err;
	struct flow_table *table = calloc(1, sizeof(*table));

	if (table == NULL)
		return eos_why(why, -ENOMEM, "out of memory");
	table->config = *config;
	if (table->config.idle_ns == 0)
		table->config.idle_ns = UINT64_MAX;
	if (table->config.idle_new_ns == 0)
		table->config.idle_new_ns = table->config.idle_ns;
	err = choose_seed(table, why);
	if (err == 0)
		err = lay_out(table, why);
	if (err < 0) {
		flow_table_free(table);
		return err;
	}
	for (uint64_t i = 0; i <= table->buckets_mask; i++)
		table->buckets[i].overflow = FLOW_NONE;
	for (uint32_t i = 0; i < config->flows_max; i++)
		table->entries[i].overflow = i + 1 < config->flows_max ? i + 1 : FLOW_NONE;
	table->idlest[FLOW_NEW] = table->idlest[FLOW_CONFIRMED] = FLOW_NONE;
	*ret_table = table;
	return 0;
}

struct flow_table *flow_table_free(struct flow_table *table)
{
	if (table == NULL)
		return NULL;
	if (table->memory != NULL)
		munmap(table->memory, table->memory_bytes);
	free(table);
	return NULL;
}
