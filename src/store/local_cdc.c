/*
 * The gear hash: hash = (hash << 1) + gear[byte]. A byte's influence leaves at the top after 64
 * bytes, so the upper bits depend on the last 64 bytes, which is the window.
 *
 * The first `min - 64` bytes of a chunk need no look: the hash is rolled over the 64 bytes before
 * the first place where the chunk may end, and so depends on what stands there alone, too.
 */
#include "store/local_cdc_priv.h"

#include <stdbool.h>

#include "base/assert.h"
#include "base/macros.h"

#define WINDOW 64u
/* How many bits more or fewer than the normal size's must be zero: the paper's "level 2". */
#define NORMALISATION 2

static uint64_t gear[256];

/* SplitMix64 from a fixed seed ("EdgeOSCD"): 256 numbers that nobody chose. */
__attribute__((constructor)) static void gear_fill(void)
{
	uint64_t state = UINT64_C(0x456467654F534344);
	for (unsigned i = 0; i < EOS_ARRAY_SIZE(gear); i++) {
		uint64_t z = (state += UINT64_C(0x9E3779B97F4A7C15));
		z = (z ^ (z >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
		z = (z ^ (z >> 27)) * UINT64_C(0x94D049BB133111EB);
		gear[i] = z ^ (z >> 31);
	}
}

static uint64_t top_bits(unsigned count)
{
	return ~UINT64_C(0) << (64 - count);
}

void local_cdc_begin(struct local_cdc *cdc, uint64_t offset)
{
	bool is_fine = offset < LOCAL_CDC_FINE_BYTES;
	unsigned bits = is_fine ? 16 : 20;
	cdc->normal = (size_t)1 << bits;
	cdc->min = cdc->normal / 4;
	cdc->max = cdc->normal * 4;
	cdc->mask_before = top_bits(bits + NORMALISATION);
	cdc->mask_behind = top_bits(bits - NORMALISATION);
	cdc->looked = cdc->min - WINDOW;
	cdc->hash = 0;
}

/* The first place from AT to END where the hash has no bit of MASK, as the length up to there; 0.*/
static size_t roll(struct local_cdc *cdc, const uint8_t *chunk, size_t at, size_t end,
		   uint64_t mask)
{
	uint64_t hash = cdc->hash;
	for (; at < end; at++) {
		hash = (hash << 1) + gear[chunk[at]];
		if ((hash & mask) == 0)
			return at + 1;
	}
	cdc->hash = hash;
	return 0;
}

size_t local_cdc_end(struct local_cdc *cdc, const uint8_t *chunk, size_t len)
{
	size_t end = EOS_MIN(len, cdc->max), found = 0;
	if (end <= cdc->looked)
		return 0;
	/* Too early for an end: a mask that nothing passes, as the window is not full. */
	if (cdc->looked < cdc->min) {
		size_t stop = EOS_MIN(end, cdc->min);
		for (size_t at = cdc->looked; at < stop; at++)
			cdc->hash = (cdc->hash << 1) + gear[chunk[at]];
		cdc->looked = stop;
	}
	if (cdc->looked < cdc->normal) {
		size_t stop = EOS_MIN(end, cdc->normal);
		found = roll(cdc, chunk, cdc->looked, stop, cdc->mask_before);
		cdc->looked = stop;
	}
	if (found == 0) {
		found = roll(cdc, chunk, cdc->looked, end, cdc->mask_behind);
		cdc->looked = end;
	}
	if (found == 0 && end == cdc->max)
		found = cdc->max;
	EOS_ASSERT(found == 0 || (found >= cdc->min && found <= cdc->max));
	return found;
}
