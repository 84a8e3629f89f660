/*
 * The checksums that S3 clients may send with an object: x-amz-checksum-crc32, -crc32c, -sha1,
 * -sha256. The value is the big-endian checksum in base64.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "crypto/crypto.h"

#define S3_CHECKSUM_BYTES_MAX 32u
/* "crc32c" of no more than this length. */
#define S3_CHECKSUM_HEADER_PREFIX "x-amz-checksum-"

enum s3_checksum_kind {
	S3_CHECKSUM_NONE,
	S3_CHECKSUM_CRC32,
	S3_CHECKSUM_CRC32C,
	S3_CHECKSUM_SHA1,
	S3_CHECKSUM_SHA256
};

struct s3_checksum {
	enum s3_checksum_kind kind;
	uint32_t crc;
	struct crypto_hash *hash;
};

/* "x-amz-checksum-crc32" in any case; anything else: S3_CHECKSUM_NONE. */
enum s3_checksum_kind s3_checksum_kind_of(const char *header_name);
/* -ENOMEM. */
int s3_checksum_init(struct s3_checksum *sum, enum s3_checksum_kind kind) EOS_MUST_CHECK;
void s3_checksum_fini(struct s3_checksum *sum);
int s3_checksum_update(struct s3_checksum *sum, const void *data, size_t len) EOS_MUST_CHECK;
/* Compares with the base64 text: 0, -EINVAL not such a checksum, -EBADMSG differs. Once. */
int s3_checksum_check(struct s3_checksum *sum, const char *base64) EOS_MUST_CHECK;

/* CRC-32C (Castagnoli), RFC 3720 appendix B.4; CRC starts as 0. */
uint32_t s3_crc32c(uint32_t crc, const void *data, size_t len);
