/*
 * No request takes long, however much there is, as nothing else runs meanwhile: the table grows by
 * one bucket with an item (linear hashing), a flush is a number that items have or have not, and
 * for an item no more is evicted than the largest one needs.
 *
 * Buckets 0 to BUCKETS - 1 are in use. Those of the hashes that end in a number below BUCKETS, in
 * one bit more than LOW_MASK has, are split already; the others are where LOW_MASK says.
 */
#include "items.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define BUCKETS_MIN  64u
#define SEGMENT	     1024u /* buckets */
#define SEGMENTS_MAX 16384u
#define BUCKETS_MAX  (SEGMENT * SEGMENTS_MAX)
/* No item is smaller. */
#define ITEM_MIN 64u
/* What malloc() adds to each item, about. */
#define OVERHEAD 16u
/* Of the original's items: the header, the cas, and what ends a key and a value. */
#define ORIGINAL_OVERHEAD (48u + 8 + 1 + 2)

static struct {
	struct item **segments[SEGMENTS_MAX];
	uint32_t buckets, low_mask;
	struct item *oldest, *newest;
	uint64_t limit, item_max, next_cas;
	uint32_t flush_before; /* what was stored earlier is gone, once this time has come */
	uint32_t flushes;      /* at once */
	uint32_t seed;
	struct items_stats stats;
} table;

static_assert(sizeof(struct item) + 1 + 2 + OVERHEAD >= ITEM_MIN, "smaller than ITEM_MIN");

static struct item **bucket_of(uint32_t hash)
{
	uint32_t at = hash & (2 * table.low_mask + 1);
	if (at >= table.buckets)
		at &= table.low_mask;
	return &table.segments[at / SEGMENT][at % SEGMENT];
}

static uint32_t hash_of(const char *key, uint32_t len)
{
	/* FNV-1a, begun at random: keys are chosen by clients, who own what they slow down. */
	uint32_t hash = table.seed;
	for (uint32_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)key[i]) * 16777619u;
	return hash ^ hash >> 15;
}

static uint64_t size_of(const struct item *item)
{
	return sizeof(*item) + item->key_len + item->value_len + 2 + OVERHEAD;
}

bool items_init(uint64_t limit, uint64_t item_max)
{
	for (uint32_t i = 0; i < SEGMENTS_MAX && table.segments[i] != NULL; i++) {
		free(table.segments[i]);
		table.segments[i] = NULL;
	}
	table.segments[0] = calloc(SEGMENT, sizeof(*table.segments[0]));
	table.buckets = BUCKETS_MIN;
	table.low_mask = BUCKETS_MIN - 1;
	table.limit = limit;
	table.item_max = item_max;
	table.next_cas = 1;
	table.seed = 2166136261u;
	return table.segments[0] != NULL;
}

void items_seed(uint32_t seed)
{
	table.seed ^= seed;
}

uint64_t items_limit(void)
{
	return table.limit;
}

uint64_t items_item_max(void)
{
	return table.item_max;
}

uint32_t items_buckets(void)
{
	return table.low_mask + 1;
}

const struct items_stats *items_stats(void)
{
	return &table.stats;
}

void items_reset_stats(void)
{
	table.stats = (struct items_stats){.count = table.stats.count, .bytes = table.stats.bytes};
}

/* One bucket more, if there are more items than buckets; without memory it stays as it is. */
static void grow(void)
{
	if (table.stats.count <= table.buckets || table.buckets == BUCKETS_MAX)
		return;
	struct item ***segment = &table.segments[table.buckets / SEGMENT];
	if (*segment == NULL)
		*segment = calloc(SEGMENT, sizeof(**segment));
	if (*segment == NULL)
		return;
	struct item **split = bucket_of(table.buckets);
	struct item *item = *split, *next;
	*split = NULL;
	table.buckets++;
	for (; item != NULL; item = next) {
		next = item->next;
		struct item **bucket = bucket_of(item->hash);
		item->next = *bucket;
		*bucket = item;
	}
	if (table.buckets == 2 * (table.low_mask + 1))
		table.low_mask = 2 * table.low_mask + 1;
}

static void unlink_use(struct item *item)
{
	*(item->older != NULL ? &item->older->newer : &table.oldest) = item->newer;
	*(item->newer != NULL ? &item->newer->older : &table.newest) = item->older;
}

static void link_newest(struct item *item)
{
	item->older = table.newest;
	item->newer = NULL;
	*(table.newest != NULL ? &table.newest->newer : &table.oldest) = item;
	table.newest = item;
}

static void unlink_item(struct item *item)
{
	struct item **at = bucket_of(item->hash);
	while (*at != item)
		at = &(*at)->next;
	*at = item->next;
	unlink_use(item);
	table.stats.count--;
	table.stats.bytes -= size_of(item);
}

void items_remove(struct item *item)
{
	unlink_item(item);
	free(item);
}

bool item_is_too_large(uint32_t key_len, uint32_t flags, uint64_t value_len)
{
	return ORIGINAL_OVERHEAD + (flags != 0 ? 4 : 0) + key_len + value_len > table.item_max;
}

static bool is_expired(const struct item *item, uint32_t now)
{
	return item->expires != 0 && item->expires <= now;
}

static bool is_over(const struct item *item, uint32_t now)
{
	if (is_expired(item, now) || item->flushes != table.flushes)
		return true;
	return table.flush_before != 0 && table.flush_before <= now &&
	       item->stored < table.flush_before;
}

const struct item *items_newest(void)
{
	return table.newest;
}

bool item_is_valid(const struct item *item, uint32_t now)
{
	return !is_over(item, now);
}

static void evict(uint32_t now)
{
	struct item *item = table.oldest;
	if (is_over(item, now)) {
		table.stats.reclaimed++;
		table.stats.expired_unfetched += !item->was_fetched;
	} else {
		table.stats.evictions++;
		table.stats.evicted_unfetched += !item->was_fetched;
	}
	items_remove(item);
}

/* How many items the largest one may need to be evicted. */
static uint64_t evictions_max(void)
{
	return table.item_max / ITEM_MIN + 1;
}

/* For SIZE bytes, but not ITEM. What is beyond the limit still makes room for the next ones. */
static void make_room(uint64_t size, const struct item *item, uint32_t now)
{
	uint64_t left = evictions_max();
	while (table.stats.bytes + size > table.limit && left-- > 0 && table.oldest != NULL &&
	       table.oldest != item)
		evict(now);
}

void items_set_limit(uint64_t limit, uint32_t now)
{
	table.limit = limit;
	make_room(0, NULL, now);
}

struct item *items_find(const char *key, uint32_t key_len, uint32_t now)
{
	uint32_t hash = hash_of(key, key_len);
	for (struct item *item = *bucket_of(hash); item != NULL; item = item->next) {
		if (item->hash != hash || item->key_len != key_len ||
		    memcmp(item->data, key, key_len) != 0)
			continue;
		if (!is_over(item, now))
			return item;
		*(is_expired(item, now) ? &table.stats.expired : &table.stats.flushed) += 1;
		items_remove(item);
		return NULL;
	}
	return NULL;
}

void item_touch(struct item *item, uint32_t now)
{
	item->was_fetched = true;
	item_bump(item, now);
}

void item_bump(struct item *item, uint32_t now)
{
	item->used = now;
	if (item == table.newest)
		return;
	unlink_use(item);
	link_newest(item);
}

struct item *item_new(const char *key, uint32_t key_len, uint32_t value_len, uint32_t now)
{
	uint64_t size = sizeof(struct item) + key_len + value_len + 2 + OVERHEAD;
	if (size > table.limit)
		return NULL;
	make_room(size, NULL, now);
	struct item *item = malloc(size);
	/* The limit may be more than the instance's memory. */
	for (uint64_t left = evictions_max(); item == NULL && table.oldest != NULL && left > 0;
	     left--) {
		evict(now);
		item = malloc(size);
	}
	if (item == NULL)
		return NULL;
	memset(item, 0, sizeof(*item));
	item->hash = hash_of(key, key_len);
	item->key_len = (uint8_t)key_len;
	item->value_len = value_len;
	memcpy(item->data, key, key_len);
	memcpy(item->data + key_len + value_len, "\r\n", 2);
	return item;
}

void item_free(struct item *item)
{
	free(item);
}

uint64_t items_new_cas(const struct item *old)
{
	/* Numbers that clients choose may lie ahead of ours. */
	if (old != NULL && old->cas == table.next_cas)
		table.next_cas++;
	return table.next_cas++;
}

void item_link(struct item *item, uint64_t cas, uint32_t now)
{
	struct item *old = items_find(item->data, item->key_len, now);
	item->cas = cas != 0 ? cas : items_new_cas(old);
	if (old != NULL)
		items_remove(old);
	item->stored = item->used = now;
	item->flushes = table.flushes;
	struct item **bucket = bucket_of(item->hash);
	item->next = *bucket;
	*bucket = item;
	link_newest(item);
	table.stats.count++;
	table.stats.total++;
	table.stats.bytes += size_of(item);
	/* Others may have come since there was room for it: values take their time. */
	make_room(0, item, now);
	grow();
}

struct item *items_join(const struct item *given, bool given_is_first, uint32_t now)
{
	const struct item *old = items_find(given->data, given->key_len, now);
	if (old == NULL ||
	    item_is_too_large(old->key_len, old->flags, old->value_len + given->value_len))
		return NULL;
	uint64_t cas = old->cas;
	struct item *joined =
		item_new(given->data, given->key_len, old->value_len + given->value_len, now);
	/* Making room may have taken the old one. */
	old = items_find(given->data, given->key_len, now);
	if (joined == NULL || old == NULL || old->cas != cas) {
		item_free(joined);
		return NULL;
	}
	const struct item *first = given_is_first ? given : old;
	const struct item *second = given_is_first ? old : given;
	memcpy(item_value(joined), item_value_of(first), first->value_len);
	memcpy(item_value(joined) + first->value_len, item_value_of(second), second->value_len);
	joined->flags = old->flags;
	joined->expires = old->expires;
	joined->is_binary = old->is_binary;
	return joined;
}

void items_flush(uint32_t when)
{
	table.flush_before = when;
}

void items_flush_all(void)
{
	table.flushes++;
	table.flush_before = 0;
}
