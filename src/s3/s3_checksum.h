/*
 * The checksums that S3 clients may send with an object: x-amz-checksum-crc32, -crc32c, -crc64nvme,
 * -sha1, -sha256. The value is the big-endian checksum in base64.
 *
 * Of an object made of parts there are two forms: the checksum of all its bytes (FULL_OBJECT; only
 * CRCs, which can be combined), and that of the parts' checksums, with "-N" behind it (COMPOSITE).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "crypto/crypto.h"

#define S3_CHECKSUM_BYTES_MAX 32u
/* Base64 of that, "-10000" and NUL. */
#define S3_CHECKSUM_TEXT_SIZE 56u
/* "crc32c" of no more than this length. */
#define S3_CHECKSUM_HEADER_PREFIX "x-amz-checksum-"

enum s3_checksum_kind {
	S3_CHECKSUM_NONE,
	S3_CHECKSUM_CRC32,
	S3_CHECKSUM_CRC32C,
	S3_CHECKSUM_CRC64NVME,
	S3_CHECKSUM_SHA1,
	S3_CHECKSUM_SHA256,
	S3_CHECKSUM_KINDS
};

struct s3_checksum {
	enum s3_checksum_kind kind;
	uint64_t crc;
	struct crypto_hash *hash;
};

/* "x-amz-checksum-crc32" in any case; anything else: S3_CHECKSUM_NONE. */
enum s3_checksum_kind s3_checksum_kind_of(const char *header_name);
/* "CRC32C", as in x-amz-checksum-algorithm. */
enum s3_checksum_kind s3_checksum_kind_named(const char *name);
/* The same three ways: "CRC32C", "x-amz-checksum-crc32c", "ChecksumCRC32C". Not of NONE. */
const char *s3_checksum_name(enum s3_checksum_kind kind);
const char *s3_checksum_header(enum s3_checksum_kind kind);
const char *s3_checksum_tag(enum s3_checksum_kind kind);
bool s3_checksum_is_crc(enum s3_checksum_kind kind);
/* Of a value, in bytes. */
size_t s3_checksum_size(enum s3_checksum_kind kind);

/* -ENOMEM. */
int s3_checksum_init(struct s3_checksum *sum, enum s3_checksum_kind kind) EOS_MUST_CHECK;
void s3_checksum_fini(struct s3_checksum *sum);
int s3_checksum_update(struct s3_checksum *sum, const void *data, size_t len) EOS_MUST_CHECK;
/* In base64; once. */
int s3_checksum_final(struct s3_checksum *sum, char out[S3_CHECKSUM_TEXT_SIZE]) EOS_MUST_CHECK;
/* The bytes of a value in base64. -EINVAL: not of that kind. */
int s3_checksum_decode(enum s3_checksum_kind kind, const char *base64,
		       uint8_t out[S3_CHECKSUM_BYTES_MAX]) EOS_MUST_CHECK;

/* What is kept with an object: "CRC32C FULL_OBJECT yZRlqg==". */
struct s3_checksum_record {
	enum s3_checksum_kind kind;
	bool is_composite;
	char value[S3_CHECKSUM_TEXT_SIZE];
};
#define S3_CHECKSUM_RECORD_SIZE 96u
void s3_checksum_format(const struct s3_checksum_record *record, char out[S3_CHECKSUM_RECORD_SIZE]);
/* TEXT may be NULL. Anything but a record: kind NONE. */
void s3_checksum_parse(const char *text, struct s3_checksum_record *ret_record);
