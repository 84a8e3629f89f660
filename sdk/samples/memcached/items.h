/*
 * The items of one memcached instance: a hash table, the order in which they were used, and a limit
 * of memory within which the least recently used ones make room.
 *
 * One thread. An item belongs to the table from item_link() on; items_find() lends it until the
 * next call that may remove items (item_new(), items_expire_one(), …).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KEY_MAX 250u

struct item {
	struct item *next;	    /* of its bucket */
	struct item *older, *newer; /* by use */
	uint64_t cas;
	uint32_t hash;
	uint32_t flags;
	uint32_t expires; /* seconds since the instance began; 0: never */
	uint32_t used;	  /* the same: when it was asked for last */
	uint32_t stored;  /* the same: when it was stored */
	uint32_t flushes; /* how many there had been then */
	uint32_t value_len;
	uint8_t key_len;
	bool was_fetched;
	bool is_stale;	 /* meta commands: invalid, but better than nothing */
	bool has_winner; /* somebody was told to make it anew */
	bool is_binary;	 /* its key was given in base64, and is told so */
	char data[];	 /* the key, then the value, then "\r\n" */
};

struct items_stats {
	uint64_t count, bytes, total, evictions, evicted_unfetched;
	uint64_t reclaimed;	    /* room made by removing what was over */
	uint64_t expired, flushed;  /* asked for, but over */
	uint64_t expired_unfetched; /* over, and never asked for */
};

/* LIMIT bytes for all items with what is around them, ITEM_MAX for one with what the original has
 * around it; again only without items. False: no memory. */
bool items_init(uint64_t limit, uint64_t item_max);
/* Before the first item. */
void items_seed(uint32_t seed);
uint64_t items_limit(void);
uint64_t items_item_max(void);
/* Of its table, as a power of two. */
uint32_t items_buckets(void);
void items_set_limit(uint64_t limit, uint32_t now);
const struct items_stats *items_stats(void);
/* All but how many there are, and their bytes. */
void items_reset_stats(void);

/* The valid item of KEY, or NULL. NOW: seconds since the instance began. */
struct item *items_find(const char *key, uint32_t key_len, uint32_t now);
/* It was asked for. */
void item_touch(struct item *item, uint32_t now);
/* It was used, but nobody got it. */
void item_bump(struct item *item, uint32_t now);
/* Whether it is beyond what an item may be: decided as the original does, byte by byte. */
bool item_is_too_large(uint32_t key_len, uint32_t flags, uint64_t value_len);
/* An item that is not in the table, its value uninitialised. Evicts what is least recently used.
 * NULL: there is no room even so. */
struct item *item_new(const char *key, uint32_t key_len, uint32_t value_len, uint32_t now);
/* One that is not in the table. NULL is fine. */
void item_free(struct item *item);
/* A number that no item of this instance had yet, and not that of OLD (or NULL). */
uint64_t items_new_cas(const struct item *old);
/* Into the table, in place of what has its key; a new cas, unless one is given. */
void item_link(struct item *item, uint64_t cas, uint32_t now);
/* A new item, not in the table: GIVEN's value and that of the item in the table which has its key,
 * one behind the other, with the latter's flags and expiry. NULL: too long, or there is no room. */
struct item *items_join(const struct item *given, bool given_is_first, uint32_t now);
void items_remove(struct item *item);
/* The item that was used last, or NULL; ITEM->older is the one that was used before it. Some may be
 * over. */
const struct item *items_newest(void);
bool item_is_valid(const struct item *item, uint32_t now);
/* All that were stored before WHEN are gone from then on. */
void items_flush(uint32_t when);
void items_flush_all(void);

static inline char *item_value(struct item *item)
{
	return item->data + item->key_len;
}

static inline const char *item_value_of(const struct item *item)
{
	return item->data + item->key_len;
}
