/*
 * Random numbers: ChaCha20 (RFC 8439, 2.3) with a key that each block replaces.
 *
 * Half of a block is what is given out, the other half is the next key; nonce and counter are
 * always 0. So who reads an instance's memory does not learn what it drew before, and who sees
 * numbers, such as the ports of a NAT, learns nothing of others.
 */
#include <string.h>

#include "core.h"

#define ROUNDS	    20u
#define BLOCK_WORDS 16u

_Static_assert(CLICK_SEED_BYTES == CLICK_SEED_WORDS * sizeof(uint32_t), "a seed is a key");

static uint32_t rotate(uint32_t value, unsigned bits)
{
	return value << bits | value >> (32 - bits);
}

static void quarter_round(uint32_t x[BLOCK_WORDS], unsigned a, unsigned b, unsigned c, unsigned d)
{
	x[a] += x[b];
	x[d] = rotate(x[d] ^ x[a], 16);
	x[c] += x[d];
	x[b] = rotate(x[b] ^ x[c], 12);
	x[a] += x[b];
	x[d] = rotate(x[d] ^ x[a], 8);
	x[c] += x[d];
	x[b] = rotate(x[b] ^ x[c], 7);
}

static void make_block(const uint32_t key[CLICK_SEED_WORDS], uint32_t block[BLOCK_WORDS])
{
	uint32_t input[BLOCK_WORDS] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
	memcpy(input + 4, key, CLICK_SEED_BYTES);
	memcpy(block, input, sizeof(input));
	for (unsigned round = 0; round < ROUNDS; round += 2) {
		for (unsigned i = 0; i < 4; i++)
			quarter_round(block, i, 4 + i, 8 + i, 12 + i);
		for (unsigned i = 0; i < 4; i++)
			quarter_round(block, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4);
	}
	for (unsigned i = 0; i < BLOCK_WORDS; i++)
		block[i] += input[i];
}

void click_router_seed(struct click_router *router, const uint8_t seed[CLICK_SEED_BYTES])
{
	struct click_random *random = &router->random;
	memcpy(random->key, seed, sizeof(random->key));
	random->words_count = 0;
}

uint32_t click_random(struct click_router *router)
{
	struct click_random *random = &router->random;
	if (random->words_count == 0) {
		uint32_t block[BLOCK_WORDS];
		make_block(random->key, block);
		memcpy(random->key, block, sizeof(random->key));
		memcpy(random->words, block + CLICK_SEED_WORDS, sizeof(random->words));
		random->words_count = CLICK_SEED_WORDS;
	}
	uint32_t *word = &random->words[--random->words_count];
	uint32_t value = *word;
	*word = 0;
	return value;
}
