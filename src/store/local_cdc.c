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

/* What is below it has COUNT upper bits that are zero. */
static uint64_t limit_of(unsigned count)
{
	return UINT64_C(1) << (64 - count);
}

void local_cdc_begin(struct local_cdc *cdc, uint64_t offset)
{
	bool is_fine = offset < LOCAL_CDC_FINE_BYTES;
	unsigned bits = is_fine ? 16 : 20;
	cdc->normal = (size_t)1 << bits;
	cdc->min = cdc->normal / 4;
	cdc->max = cdc->normal * 4;
	cdc->limit_before = limit_of(bits + NORMALISATION);
	cdc->limit_behind = limit_of(bits - NORMALISATION);
	cdc->looked = cdc->min - WINDOW;
	cdc->hash = 0;
}

/*
 * The first place from AT to END where the hash is below LIMIT, so that its upper bits are zero, as
 * the length up to there; 0: none. Eight bytes a turn: the loop's own work would be as much as that
 * on a byte.
 */
static size_t roll(struct local_cdc *cdc, const uint8_t *chunk, size_t at, size_t end,
		   uint64_t limit)
{
	const uint8_t *p = chunk + at, *stop = chunk + end;
	uint64_t hash = cdc->hash;
#define LOOK_AT(i)                                                                                 \
	do {                                                                                       \
		hash = (hash << 1) + gear[p[i]];                                                   \
		if (EOS_UNLIKELY(hash < limit))                                                    \
			return (size_t)(p - chunk) + (i) + 1;                                      \
	} while (0)
	for (; stop - p >= 8; p += 8) {
		LOOK_AT(0);
		LOOK_AT(1);
		LOOK_AT(2);
		LOOK_AT(3);
		LOOK_AT(4);
		LOOK_AT(5);
		LOOK_AT(6);
		LOOK_AT(7);
	}
	for (; p < stop; p++)
		LOOK_AT(0);
#undef LOOK_AT
	cdc->hash = hash;
	return 0;
}

size_t local_cdc_end(struct local_cdc *cdc, const uint8_t *chunk, size_t len)
{
	size_t end = EOS_MIN(len, cdc->max), found = 0;
	if (end <= cdc->looked)
		return 0;
	/* Too early for an end, as the window is not full. */
	if (cdc->looked < cdc->min) {
		size_t stop = EOS_MIN(end, cdc->min);
		for (size_t at = cdc->looked; at < stop; at++)
			cdc->hash = (cdc->hash << 1) + gear[chunk[at]];
		cdc->looked = stop;
	}
	if (cdc->looked < cdc->normal) {
		size_t stop = EOS_MIN(end, cdc->normal);
		found = roll(cdc, chunk, cdc->looked, stop, cdc->limit_before);
		cdc->looked = stop;
	}
	if (found == 0) {
		found = roll(cdc, chunk, cdc->looked, end, cdc->limit_behind);
		cdc->looked = end;
	}
	if (found == 0 && end == cdc->max)
		found = cdc->max;
	EOS_ASSERT(found == 0 || (found >= cdc->min && found <= cdc->max));
	return found;
}
