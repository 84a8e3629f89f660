/*
 * Plain C without a library: what is compared is what the compilers make of the same source. A call
 * takes less than a millisecond, less than the scheduler's slices, so that most calls are
 * undisturbed; data fits the second-level cache.
 */
#include "compute_kernels.h"

#include <stdbool.h>
#include <stddef.h>

#ifdef __wasm__
#define KERNEL(name) __attribute__((export_name(#name))) uint64_t kernel_##name(void)
#else
#define KERNEL(name) uint64_t kernel_##name(void)
#endif

#define SHA_BYTES     (64u << 10)
#define CRC_BYTES     (256u << 10)
#define RECORDS_COUNT 8192u
#define MATRIX_SIZE   100u

static uint8_t input[CRC_BYTES];

/* xorshift64: any bytes will do, if they are the same on both sides. */
static uint64_t next_random(uint64_t *state)
{
	*state ^= *state << 13;
	*state ^= *state >> 7;
	*state ^= *state << 17;
	return *state;
}

static void fill_input(void)
{
	uint64_t state = 0x9e3779b97f4a7c15;

	if (input[0] != 0)
		return;
	for (size_t i = 0; i < sizeof(input); i++)
		input[i] = (uint8_t)(next_random(&state) >> 32);
	input[0] = 1;
}

static uint64_t mix(uint64_t hash, uint64_t value)
{
	return (hash ^ value) * 0x100000001b3;
}

/* SHA-256, FIPS 180-4. */

static const uint32_t sha_constants[64] = {
	0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4,
	0xab1c5ed5, 0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe,
	0x9bdc06a7, 0xc19bf174, 0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f,
	0x4a7484aa, 0x5cb0a9dc, 0x76f988da, 0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7,
	0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967, 0x27b70a85, 0x2e1b2138, 0x4d2c6dfc,
	0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85, 0xa2bfe8a1, 0xa81a664b,
	0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070, 0x19a4c116,
	0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
	0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7,
	0xc67178f2,
};

static uint32_t rotate_right(uint32_t x, unsigned n)
{
	return x >> n | x << (32 - n);
}

static uint32_t load_big_endian(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static void sha_block(uint32_t state[8], const uint8_t *block)
{
	uint32_t w[64], s[8];

	for (int i = 0; i < 16; i++)
		w[i] = load_big_endian(block + (size_t)4 * i);
	for (int i = 16; i < 64; i++) {
		uint32_t a = w[i - 15], b = w[i - 2];

		w[i] = w[i - 16] + w[i - 7] + (rotate_right(a, 7) ^ rotate_right(a, 18) ^ a >> 3) +
		       (rotate_right(b, 17) ^ rotate_right(b, 19) ^ b >> 10);
	}
	for (int i = 0; i < 8; i++)
		s[i] = state[i];
	for (int i = 0; i < 64; i++) {
		uint32_t e = s[4], a = s[0];
		uint32_t t1 = s[7] +
			      (rotate_right(e, 6) ^ rotate_right(e, 11) ^ rotate_right(e, 25)) +
			      ((e & s[5]) ^ (~e & s[6])) + sha_constants[i] + w[i];
		uint32_t t2 = (rotate_right(a, 2) ^ rotate_right(a, 13) ^ rotate_right(a, 22)) +
			      ((a & s[1]) ^ (a & s[2]) ^ (s[1] & s[2]));

		s[7] = s[6];
		s[6] = s[5];
		s[5] = s[4];
		s[4] = s[3] + t1;
		s[3] = s[2];
		s[2] = s[1];
		s[1] = s[0];
		s[0] = t1 + t2;
	}
	for (int i = 0; i < 8; i++)
		state[i] += s[i];
}

KERNEL(sha256)
{
	uint32_t state[8] = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
			     0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
	/* The last block: a bit, and the length in bits. */
	uint8_t last[64] = {0x80};
	uint64_t hash = 0;

	fill_input();
	for (size_t i = 0; i < SHA_BYTES; i += 64)
		sha_block(state, input + i);
	for (int i = 0; i < 8; i++)
		last[56 + i] = (uint8_t)((uint64_t)SHA_BYTES * 8 >> (56 - 8 * i));
	sha_block(state, last);
	for (int i = 0; i < 8; i++)
		hash = mix(hash, state[i]);
	return hash;
}

/* CRC-32. */

static uint32_t crc_table[256];

static void crc_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t value = i;

		for (int bit = 0; bit < 8; bit++)
			value = value >> 1 ^ (value & 1 ? 0xedb88320 : 0);
		crc_table[i] = value;
	}
}

KERNEL(crc32)
{
	uint32_t crc = 0xffffffff;

	fill_input();
	if (crc_table[1] == 0)
		crc_init();
	for (size_t i = 0; i < CRC_BYTES; i++)
		crc = crc >> 8 ^ crc_table[(crc ^ input[i]) & 0xff];
	return ~crc;
}

/* Sorting, as qsort() does it: the comparator is not known where the sorting is compiled. */

struct record {
	uint32_t key, number;
	uint64_t payload;
};

typedef int compare_fn(const struct record *a, const struct record *b);

static int by_key(const struct record *a, const struct record *b)
{
	if (a->key != b->key)
		return a->key < b->key ? -1 : 1;
	return (a->number > b->number) - (a->number < b->number);
}

static int by_number_down(const struct record *a, const struct record *b)
{
	return (a->number < b->number) - (a->number > b->number);
}

/* Through a variable that the compiler may not know, or it would copy the sort for its value. */
static compare_fn *volatile orders[] = {by_key, by_number_down};

static void swap(struct record *a, struct record *b)
{
	struct record c = *a;

	*a = *b;
	*b = c;
}

static void insertion_sort(struct record *first, struct record *end, compare_fn *compare)
{
	for (struct record *r = first + 1; r < end; r++)
		for (struct record *p = r; p > first && compare(p, p - 1) < 0; p--)
			swap(p, p - 1);
}

/* Quicksort around the median of three; the larger part is the loop's, so the stack is bounded. */
static void sort(struct record *first, struct record *end, compare_fn *compare)
{
	while (end - first > 12) {
		struct record *middle = first + (end - first) / 2, *low = first, *high = end - 1;

		if (compare(middle, first) < 0)
			swap(middle, first);
		if (compare(high, first) < 0)
			swap(high, first);
		if (compare(high, middle) < 0)
			swap(high, middle);
		struct record pivot = *middle;

		while (low <= high) {
			while (compare(low, &pivot) < 0)
				low++;
			while (compare(&pivot, high) < 0)
				high--;
			if (low <= high)
				swap(low++, high--);
		}
		if (high + 1 - first < end - low) {
			sort(first, high + 1, compare);
			first = low;
		} else {
			sort(low, end, compare);
			end = high + 1;
		}
	}
	insertion_sort(first, end, compare);
}

KERNEL(sort)
{
	static struct record records[RECORDS_COUNT];
	uint64_t state = 88172645463325252, hash = 0;

	for (uint32_t i = 0; i < RECORDS_COUNT; i++) {
		uint64_t value = next_random(&state);

		records[i] = (struct record){(uint32_t)value & 0xffff, i, value};
	}
	sort(records, records + RECORDS_COUNT, orders[0]);
	for (uint32_t i = 0; i < RECORDS_COUNT; i++)
		hash = mix(hash, records[i].payload);
	return hash;
}

/* The product of matrices of doubles. Their size is no multiple of a page: or else, where they lie
 * one behind the other, loads would have to wait for stores that only look like theirs. */

static double a[MATRIX_SIZE][MATRIX_SIZE], b[MATRIX_SIZE][MATRIX_SIZE];
static double c[MATRIX_SIZE][MATRIX_SIZE];

static void fill_matrices(void)
{
	for (unsigned i = 0; i < MATRIX_SIZE; i++)
		for (unsigned j = 0; j < MATRIX_SIZE; j++) {
			a[i][j] = (double)(i * 7 + j * 3 + 1) / 16;
			b[i][j] = (double)(i + j * 5 + 2) / 32;
		}
}

static void multiply(void)
{
	for (unsigned i = 0; i < MATRIX_SIZE; i++)
		for (unsigned j = 0; j < MATRIX_SIZE; j++)
			c[i][j] = 0;
	for (unsigned i = 0; i < MATRIX_SIZE; i++)
		for (unsigned k = 0; k < MATRIX_SIZE; k++)
			for (unsigned j = 0; j < MATRIX_SIZE; j++)
				c[i][j] += a[i][k] * b[k][j];
}

KERNEL(matmul)
{
	uint64_t hash = 0;

	if (a[0][0] == 0)
		fill_matrices();
	multiply();
	for (unsigned i = 0; i < MATRIX_SIZE; i++) {
		union {
			double value;
			uint64_t bits;
		} element = {c[i][MATRIX_SIZE - 1 - i]};

		hash = mix(hash, element.bits);
	}
	return hash;
}

#ifdef __wasm__
/* The modules that sdk/build makes are programs. */
int main(void)
{
	return 0;
}
#endif
