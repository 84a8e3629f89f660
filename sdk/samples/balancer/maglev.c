#include "maglev.h"

#include <string.h>

#define EMPTY 0xffu

uint64_t maglev_hash(const void *data, uint32_t len, uint64_t seed)
{
	const uint8_t *at = data;
	uint64_t hash = seed ^ 14695981039346656037u;
	for (uint32_t i = 0; i < len; i++)
		hash = (hash ^ at[i]) * 1099511628211u;
	/* FNV leaves the high bits of short keys alike. */
	hash ^= hash >> 33;
	hash *= 0xff51afd7ed558ccdu;
	return hash ^ hash >> 33;
}

/*
 * Each backend has an order of its own in which it would like the places: all of them, as their
 * number is prime, SKIP apart. They take turns; in each a backend gains its weight, and takes its
 * next free place for each MAX of that. The heaviest takes one in each turn.
 */
void maglev_fill(uint8_t table[MAGLEV_PLACES], const struct maglev_backend *backends,
		 unsigned count)
{
	uint32_t next[MAGLEV_BACKENDS_MAX], skip[MAGLEV_BACKENDS_MAX];
	uint32_t gained[MAGLEV_BACKENDS_MAX] = {0}, max = 1;
	for (unsigned i = 0; i < count; i++) {
		uint64_t name = backends[i].name;
		next[i] = (uint32_t)(maglev_hash(&name, sizeof(name), 1) % MAGLEV_PLACES);
		skip[i] = (uint32_t)(maglev_hash(&name, sizeof(name), 2) % (MAGLEV_PLACES - 1)) + 1;
		if (backends[i].weight > max)
			max = backends[i].weight;
	}
	memset(table, EMPTY, MAGLEV_PLACES);
	uint32_t left = MAGLEV_PLACES;
	while (left > 0) {
		for (unsigned i = 0; i < count && left > 0; i++) {
			gained[i] += backends[i].weight;
			if (gained[i] < max)
				continue;
			gained[i] -= max;
			while (table[next[i]] != EMPTY)
				next[i] = (next[i] + skip[i]) % MAGLEV_PLACES;
			table[next[i]] = (uint8_t)i;
			left--;
		}
	}
}
