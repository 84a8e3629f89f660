/*
 * What names of a compound mean: a table of their hashes.
 */
#include <string.h>

#include "parse.h"

static uint32_t hash_of(const char *name, size_t len)
{
	uint32_t hash = 2166136261u;
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (uint8_t)name[i]) * 16777619u;
	return hash ^ hash >> 15;
}

/* Where it is, or is to be; there is a free place. */
static struct click_name *find(const struct click_names *names, const char *name, size_t len,
			       uint32_t hash)
{
	for (uint32_t at = hash;; at++) {
		struct click_name *slot = &names->slots[at & (names->size - 1)];
		if (slot->name == NULL ||
		    (slot->hash == hash && slot->len == len && memcmp(slot->name, name, len) == 0))
			return slot;
	}
}

uint32_t click_names_find(const struct click_names *names, const char *name, size_t len)
{
	if (names->count == 0)
		return CLICK_NONE;
	const struct click_name *slot = find(names, name, len, hash_of(name, len));
	return slot->name != NULL ? slot->index : CLICK_NONE;
}

bool click_names_add(struct click_arena *arena, struct click_names *names, const char *name,
		     uint32_t index)
{
	size_t len = strlen(name);
	uint32_t hash = hash_of(name, len);
	if (2 * (names->count + 1) > names->size) {
		struct click_names old = *names;
		names->size = old.size > 0 ? 2 * old.size : 16;
		names->slots = click_arena_alloc(arena, names->size * sizeof(*names->slots));
		if (names->slots == NULL) {
			*names = old;
			return false;
		}
		for (uint32_t i = 0; i < old.size; i++)
			if (old.slots[i].name != NULL)
				*find(names, old.slots[i].name, old.slots[i].len,
				      old.slots[i].hash) = old.slots[i];
	}
	*find(names, name, len, hash) = (struct click_name){name, (uint32_t)len, hash, index};
	names->count++;
	return true;
}
