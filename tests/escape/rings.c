/*
 * A hostile guest for tests/lib/edgeos_guests_test.c: by chance (its configuration has the seed) it
 * writes nonsense into its rings and calls all of module "edgeos" with arguments from the edges.
 * Results must be errors that exist, or results; anything else traps.
 */
#include "edgeos.h"

EDGEOS_RINGS(16, 16, 256)

static uint32_t seed;

static uint32_t random_u32(void)
{
	seed = seed * 1664525u + 1013904223u;
	return seed >> 8;
}

static uint32_t pick(void)
{
	static const uint32_t values[] = {
		0,	    1,		2,	    8,		15,
		16,	    17,		64,	    255,	256,
		4096,	    4097,	65472,	    65535,	65536,
		0x7fffffff, 0x80000000, 0xfffff000, 0xffffffc0, 0xfffffff8,
		0xffffffff, 131008,	131072,	    1 << 20,	(1 << 20) + 1,
	};
	uint32_t choice = random_u32() % (sizeof(values) / sizeof(values[0]) + 3);

	if (choice < sizeof(values) / sizeof(values[0]))
		return values[choice];
	return (uint32_t)(uintptr_t)(choice % 2 ? (void *)&edgeos_out : (void *)&edgeos_in) +
	       random_u32() % 704 / 4 * 4;
}

static void check(int32_t result)
{
	if (result < -76)
		__builtin_trap();
}

static void scribble(void)
{
	uint32_t *words = random_u32() % 2 ? (uint32_t *)&edgeos_out : (uint32_t *)&edgeos_in;
	uint32_t choice = random_u32() % 8;

	/* Heads go on mostly, and not too far, or few would get old; some descriptors are nearly
	 * right. */
	if (choice < 4)
		words[16] += words[16] - words[32] < 14 ? random_u32() % 3 : 0;
	else if (choice < 7)
		words[48 + random_u32() % (16 * 8)] = pick();
	else
		words[random_u32() % (48 + 16 * 8)] = pick();
}

static void call(void)
{
	switch (random_u32() % 9) {
	case 0:
		check(edgeos_rings((void *)(uintptr_t)pick(), (void *)(uintptr_t)pick()));
		break;
	case 1:
		check(edgeos_send(pick(), (void *)(uintptr_t)pick(), pick(), EDGEOS_NO_WAIT));
		break;
	case 2:
		check(edgeos_send(0x1000, (void *)(uintptr_t)pick(), pick() % 512,
				  random_u32() % 4));
		break;
	case 3:
		check(edgeos_wait(pick(), pick(), random_u32() % 1000));
		break;
	case 4:
		check(edgeos_timer_set(pick(), pick()));
		break;
	case 5:
		check(edgeos_log(pick(), (void *)(uintptr_t)pick(), pick()));
		break;
	case 6:
		check(edgeos_config((void *)(uintptr_t)pick(), pick(), (void *)(uintptr_t)pick(),
				    pick()));
		break;
	case 7:
		check(edgeos_connection((void *)(uintptr_t)pick(), pick(),
					(void *)(uintptr_t)pick()));
		break;
	case 8:
		if (__builtin_wasm_memory_size(0) < 4)
			(void)__builtin_wasm_memory_grow(0, 1);
		break;
	}
	check(edgeos_kick());
}

EDGEOS_EXPORT(edgeos_init) void edgeos_init(void)
{
	if (edgeos_config("seed", 4, (char *)&seed, sizeof(seed)) < 0 || edgeos_open() < 0)
		__builtin_trap();
	for (uint32_t i = 0; i < 300; i++) {
		scribble();
		call();
	}
}

EDGEOS_EXPORT(edgeos_message) void edgeos_message(uint32_t conn, void *buf, uint32_t len)
{
	scribble();
	check(edgeos_send(conn, buf, len, EDGEOS_NO_WAIT));
}
