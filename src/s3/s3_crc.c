/*
 * A CRC is the remainder of the message, taken as a polynomial over GF(2), divided by a generator.
 *
 * Eight bytes a step with eight tables ("slicing by 8", Kounavis and Berry, ISCC 2005): table k
 * holds the effect of a byte that stands k bytes before the end of the step. CRC-32 is zlib's,
 * which does the same.
 *
 * For A and B one after the other the remainder of A is multiplied by x^(8 * length of B), modulo
 * the generator, and added to that of B; start and end values cancel out. In the reflected form the
 * highest bit stands for x^0.
 */
#include "s3/s3_crc.h"

#include <pthread.h>

#include <zlib.h>

#include "base/macros.h"

struct generator {
	uint64_t reversed; /* without its highest power */
	unsigned bits;
};

static const struct generator generators[] = {
	[S3_CRC32] = {0xEDB88320u, 32},
	[S3_CRC32C] = {0x82F63B78u, 32},
	[S3_CRC64NVME] = {UINT64_C(0x9A6C9329AC4BC9B5), 64},
};

static uint64_t tables[EOS_ARRAY_SIZE(generators)][8][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void make_table(enum s3_crc_kind kind)
{
	uint64_t(*table)[256] = tables[kind];
	for (unsigned i = 0; i < 256; i++) {
		uint64_t crc = i;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ ((crc & 1) != 0 ? generators[kind].reversed : 0);
		table[0][i] = crc;
	}
	for (unsigned i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			table[k][i] = (table[k - 1][i] >> 8) ^ table[0][table[k - 1][i] & 0xff];
}

static void make_tables(void)
{
	make_table(S3_CRC32C);
	make_table(S3_CRC64NVME);
}

static uint64_t mask_of(enum s3_crc_kind kind)
{
	return UINT64_MAX >> (64 - generators[kind].bits);
}

static uint64_t load_le64(const uint8_t *at)
{
	uint64_t value = 0;
	for (int i = 0; i < 8; i++)
		value |= (uint64_t)at[i] << (8 * i);
	return value;
}

uint64_t s3_crc_update(enum s3_crc_kind kind, uint64_t crc, const void *data, size_t len)
{
	const uint8_t *at = data;

	if (kind == S3_CRC32)
		return crc32_z((uLong)crc, data, len);
	pthread_once(&tables_once, make_tables);
	uint64_t(*table)[256] = tables[kind];
	crc = ~crc & mask_of(kind);
	for (; len >= 8; at += 8, len -= 8) {
		uint64_t step = crc ^ load_le64(at);
		crc = 0;
		for (int i = 0; i < 8; i++)
			crc ^= table[7 - i][(step >> (8 * i)) & 0xff];
	}
	for (; len > 0; at++, len--)
		crc = (crc >> 8) ^ table[0][(crc ^ *at) & 0xff];
	return ~crc & mask_of(kind);
}

/* The product of two remainders. */
static uint64_t multiply(const struct generator *generator, uint64_t a, uint64_t b)
{
	uint64_t product = 0;
	for (uint64_t bit = UINT64_C(1) << (generator->bits - 1); bit != 0; bit >>= 1) {
		if ((a & bit) != 0)
			product ^= b;
		b = (b >> 1) ^ ((b & 1) != 0 ? generator->reversed : 0);
	}
	return product;
}

uint64_t s3_crc_combine(enum s3_crc_kind kind, uint64_t crc_a, uint64_t crc_b, uint64_t len_b)
{
	const struct generator *generator = &generators[kind];
	uint64_t one = UINT64_C(1) << (generator->bits - 1);
	uint64_t power = one >> 8; /* x^8: a byte */

	for (; len_b > 0; len_b >>= 1) {
		if ((len_b & 1) != 0)
			crc_a = multiply(generator, crc_a, power);
		power = multiply(generator, power, power);
	}
	return crc_a ^ crc_b;
}
