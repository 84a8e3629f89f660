/*
 * Content-defined chunking: where a stream of bytes is cut depends on the bytes near the cut alone,
 * so equal stretches of two objects become equal chunks wherever they stand.
 *
 * FastCDC (Xia et al., USENIX ATC 2016): a gear hash rolls over the bytes, and a chunk ends where
 * its upper bits are zero. Normalised: up to the normal size more bits must be zero, behind it
 * fewer, which draws the sizes together. Nothing ends below the smallest size, everything does at
 * the largest. The gear table and the parameters are part of the format only in so far as a change
 * would find no duplicates among what is stored already; every cut can be read.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The beginning of an object is cut finely, since most objects are small; what is behind is large
 * data, where the tables' size counts. docs/decisions/0014-chunks.md has the measurements. */
#define LOCAL_CDC_FINE_BYTES (UINT64_C(64) << 20)
#define LOCAL_CDC_FINE_MAX   (256u << 10)
#define LOCAL_CDC_COARSE_MAX (4u << 20)

struct local_cdc {
	size_t min, normal, max;
	uint64_t limit_before, limit_behind; /* the normal size: a chunk ends at a hash below */
	/* Of the chunk in the making. */
	size_t looked; /* bytes that hold no end */
	uint64_t hash;
};

/* OFFSET is where the next chunk begins in its object. */
void local_cdc_begin(struct local_cdc *cdc, uint64_t offset);
/*
 * CHUNK is the chunk in the making, of which LEN bytes are known. Returns its length when its end
 * is among them, else 0: then call again with the same bytes and more. After an end, begin anew.
 */
size_t local_cdc_end(struct local_cdc *cdc, const uint8_t *chunk, size_t len);
