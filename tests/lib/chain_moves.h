/*
 * What a stage of chain_page_guest.c with the setting `moves` does to each packet, so that the test
 * can compute what comes out of any chain of them.
 */
#pragma once

#include <stdint.h>

struct chain_move {
	uint32_t len;	 /* of the packet from now on: cut, or with more at its end */
	uint32_t offset; /* where it goes to in the buffer */
	int sends;	 /* a copy besides, the way that the verdict says */
	int answers;	 /* or forwards */
};

static inline uint64_t chain_move_mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static inline uint32_t chain_move_least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* The SEEN-th packet, LEN bytes that are behind the headroom, of a stage whose shared page ends at
 * PAGE_END in its buffer of CAPACITY bytes. */
static inline struct chain_move chain_move_of(uint64_t seed, uint32_t seen, uint32_t page_end,
					      uint32_t capacity, uint32_t len)
{
	uint64_t h = chain_move_mix(seed + seen), more = chain_move_mix(h);
	uint32_t len_max = chain_move_least(capacity, 9728), off = 0;
	if (h % 4 == 0)
		len = 1 + (uint32_t)(h >> 8) % len_max;
	else if (h % 4 == 1)
		len = chain_move_least(len + 1 + (uint32_t)(h >> 8) % 8, len_max);
	uint32_t room = capacity - len, some = (uint32_t)(more >> 8);
	switch (more % 6) {
	case 0:
		off = 128;
		break;
	case 1: /* ends about where the page does */
		off = page_end + some % 5 - 2 - len;
		break;
	case 2: /* begins there */
		off = page_end + some % 5 - 2;
		break;
	case 3:
		off = 0;
		break;
	case 4:
		off = room;
		break;
	default:
		off = some % (room + 1);
	}
	/* One that is below the buffer is beyond it, too. */
	off = chain_move_least(off, room);
	return (struct chain_move){
		.len = len, .offset = off, .sends = h >> 56 < 16, .answers = (h >> 48 & 0xff) < 32};
}

/* Byte I of what is put at the end of the SEEN-th packet. */
static inline uint8_t chain_move_pad(uint32_t i, uint32_t seen)
{
	return (uint8_t)(i * 31 + seen * 7 + 1);
}
