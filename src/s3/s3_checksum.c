/*
 * CRC-32C: the polynomial 0x1EDC6F41 (RFC 3720, section 12.1), bits reversed 0x82F63B78, computed
 * eight bytes a step with eight tables ("slicing by 8", Kounavis and Berry, ISCC 2005): table k
 * holds the effect of a byte that stands k bytes before the end of the step.
 */
#include "s3/s3_checksum.h"

#include <errno.h>
#include <pthread.h>
#include <string.h>
#include <strings.h>

#include <zlib.h>

#define CASTAGNOLI_REVERSED 0x82F63B78u

static uint32_t tables[8][256];
static pthread_once_t tables_once = PTHREAD_ONCE_INIT;

static void make_tables(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t crc = i;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ ((crc & 1) != 0 ? CASTAGNOLI_REVERSED : 0);
		tables[0][i] = crc;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int k = 1; k < 8; k++)
			tables[k][i] = (tables[k - 1][i] >> 8) ^ tables[0][tables[k - 1][i] & 0xff];
}

uint32_t s3_crc32c(uint32_t crc, const void *data, size_t len)
{
	const uint8_t *at = data;

	pthread_once(&tables_once, make_tables);
	crc = ~crc;
	for (; len >= 8; at += 8, len -= 8) {
		uint32_t low = crc ^ ((uint32_t)at[0] | (uint32_t)at[1] << 8 |
				      (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24);
		crc = tables[7][low & 0xff] ^ tables[6][(low >> 8) & 0xff] ^
		      tables[5][(low >> 16) & 0xff] ^ tables[4][low >> 24] ^ tables[3][at[4]] ^
		      tables[2][at[5]] ^ tables[1][at[6]] ^ tables[0][at[7]];
	}
	for (; len > 0; at++, len--)
		crc = (crc >> 8) ^ tables[0][(crc ^ *at) & 0xff];
	return ~crc;
}

struct kind {
	const char *name;
	size_t bytes;
};

static const struct kind kinds[] = {
	[S3_CHECKSUM_NONE] = {"", 0},	       [S3_CHECKSUM_CRC32] = {"crc32", 4},
	[S3_CHECKSUM_CRC32C] = {"crc32c", 4},  [S3_CHECKSUM_SHA1] = {"sha1", 20},
	[S3_CHECKSUM_SHA256] = {"sha256", 32},
};

enum s3_checksum_kind s3_checksum_kind_of(const char *header_name)
{
	static const size_t prefix_len = sizeof(S3_CHECKSUM_HEADER_PREFIX) - 1;
	if (strncasecmp(header_name, S3_CHECKSUM_HEADER_PREFIX, prefix_len) != 0)
		return S3_CHECKSUM_NONE;
	for (size_t i = 1; i < EOS_ARRAY_SIZE(kinds); i++)
		if (strcasecmp(header_name + prefix_len, kinds[i].name) == 0)
			return (enum s3_checksum_kind)i;
	return S3_CHECKSUM_NONE;
}

int s3_checksum_init(struct s3_checksum *sum, enum s3_checksum_kind kind)
{
	*sum = (struct s3_checksum){.kind = kind};
	if (kind == S3_CHECKSUM_SHA1)
		return crypto_hash_new(CRYPTO_SHA1, &sum->hash);
	if (kind == S3_CHECKSUM_SHA256)
		return crypto_hash_new(CRYPTO_SHA256, &sum->hash);
	return 0;
}

void s3_checksum_fini(struct s3_checksum *sum)
{
	sum->hash = crypto_hash_free(sum->hash);
	sum->kind = S3_CHECKSUM_NONE;
}

int s3_checksum_update(struct s3_checksum *sum, const void *data, size_t len)
{
	if (sum->kind == S3_CHECKSUM_CRC32)
		sum->crc = (uint32_t)crc32_z(sum->crc, data, len);
	else if (sum->kind == S3_CHECKSUM_CRC32C)
		sum->crc = s3_crc32c(sum->crc, data, len);
	else if (sum->hash != NULL)
		return crypto_hash_update(sum->hash, data, len);
	return 0;
}

int s3_checksum_check(struct s3_checksum *sum, const char *base64)
{
	uint8_t given[S3_CHECKSUM_BYTES_MAX + 4], computed[S3_CHECKSUM_BYTES_MAX];
	size_t bytes = kinds[sum->kind].bytes;
	size_t len = strlen(base64);

	if (len != 4 * ((bytes + 2) / 3))
		return -EINVAL;
	if (crypto_base64_decode(base64, len, given) != (long)bytes)
		return -EINVAL;
	if (sum->hash != NULL) {
		int err = crypto_hash_final(sum->hash, computed);
		if (err < 0)
			return err;
	} else {
		for (int i = 0; i < 4; i++)
			computed[i] = (uint8_t)(sum->crc >> (24 - 8 * i));
	}
	return memcmp(given, computed, bytes) == 0 ? 0 : -EBADMSG;
}
