#include "router/router_choose.h"

#include <stdint.h>

#include "base/assert.h"

#define FNV_OFFSET UINT64_C(14695981039346656037)
#define FNV_PRIME  UINT64_C(1099511628211)

/* FNV-1a; names are the deployer's, and few. With the NUL, so that "a", "bc" is not "ab", "c". */
static uint64_t hash_name(uint64_t hash, const char *name)
{
	const char *p = name;
	do
		hash = (hash ^ (uint8_t)*p) * FNV_PRIME;
	while (*p++ != '\0');
	return hash;
}

/* FNV's low bits are no more than sums of the names' low bits: the high ones are mixed in, as
 * MurmurHash3 ends. */
static unsigned to_index(uint64_t hash, unsigned count)
{
	hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
	hash = (hash ^ hash >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
	return (unsigned)((hash ^ hash >> 33) % count);
}

/* Has CALL one cell only? Then *RET_HASH says which. */
static bool is_bound(const struct func_call *call, uint64_t *ret_hash)
{
	const struct func_manifest *manifest = call->func->manifest;
	uint64_t hash = hash_name(FNV_OFFSET, manifest->tenant);
	if (call->tenant->cpu.budget_ns > 0) {
		*ret_hash = hash;
		return true;
	}
	*ret_hash = hash_name(hash, manifest->name);
	return manifest->isolation == FUNC_ISOLATION_TENANT || manifest->cpu.budget_ns > 0;
}

/* A cell that is ready is better than one that is not, then fewer calls are. */
static bool is_better(const struct router_cell *a, const struct router_cell *b)
{
	return a->is_ready != b->is_ready ? a->is_ready : a->calls < b->calls;
}

unsigned router_choose(const struct func_call *call, const struct router_cell *cells,
		       unsigned count, unsigned *next)
{
	uint64_t hash;
	EOS_ASSERT(count > 0 && call->tenant != NULL);
	if (is_bound(call, &hash))
		return to_index(hash, count);
	unsigned first = *next % count, best = first;
	for (unsigned i = 1; i < count; i++) {
		unsigned other = (first + i) % count;
		if (is_better(&cells[other], &cells[best]))
			best = other;
	}
	*next = (best + 1) % count;
	return best;
}
