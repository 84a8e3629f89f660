#include "s3/s3_checksum.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/str.h"
#include "s3/s3_crc.h"

struct kind {
	const char *name, *header, *tag;
	size_t bytes;
	enum s3_crc_kind crc;	    /* where is_crc */
	enum crypto_hash_kind hash; /* where not */
	bool is_crc;
};

static const struct kind kinds[S3_CHECKSUM_KINDS] = {
	[S3_CHECKSUM_NONE] = {"", "", "", 0, S3_CRC32, CRYPTO_SHA1, true},
	[S3_CHECKSUM_CRC32] = {"CRC32", "x-amz-checksum-crc32", "ChecksumCRC32", 4, S3_CRC32,
			       CRYPTO_SHA1, true},
	[S3_CHECKSUM_CRC32C] = {"CRC32C", "x-amz-checksum-crc32c", "ChecksumCRC32C", 4, S3_CRC32C,
				CRYPTO_SHA1, true},
	[S3_CHECKSUM_CRC64NVME] = {"CRC64NVME", "x-amz-checksum-crc64nvme", "ChecksumCRC64NVME", 8,
				   S3_CRC64NVME, CRYPTO_SHA1, true},
	[S3_CHECKSUM_SHA1] = {"SHA1", "x-amz-checksum-sha1", "ChecksumSHA1", 20, S3_CRC32,
			      CRYPTO_SHA1, false},
	[S3_CHECKSUM_SHA256] = {"SHA256", "x-amz-checksum-sha256", "ChecksumSHA256", 32, S3_CRC32,
				CRYPTO_SHA256, false},
};

static const struct kind *row_of(enum s3_checksum_kind kind)
{
	EOS_ASSERT(kind > S3_CHECKSUM_NONE && kind < S3_CHECKSUM_KINDS);
	return &kinds[kind];
}

enum s3_checksum_kind s3_checksum_kind_of(const char *header_name)
{
	for (unsigned i = S3_CHECKSUM_NONE + 1; i < S3_CHECKSUM_KINDS; i++)
		if (strcasecmp(header_name, kinds[i].header) == 0)
			return (enum s3_checksum_kind)i;
	return S3_CHECKSUM_NONE;
}

enum s3_checksum_kind s3_checksum_kind_named(const char *name)
{
	for (unsigned i = S3_CHECKSUM_NONE + 1; i < S3_CHECKSUM_KINDS; i++)
		if (strcasecmp(name, kinds[i].name) == 0)
			return (enum s3_checksum_kind)i;
	return S3_CHECKSUM_NONE;
}

const char *s3_checksum_name(enum s3_checksum_kind kind)
{
	return row_of(kind)->name;
}

const char *s3_checksum_header(enum s3_checksum_kind kind)
{
	return row_of(kind)->header;
}

const char *s3_checksum_tag(enum s3_checksum_kind kind)
{
	return row_of(kind)->tag;
}

bool s3_checksum_is_crc(enum s3_checksum_kind kind)
{
	return row_of(kind)->is_crc;
}

size_t s3_checksum_size(enum s3_checksum_kind kind)
{
	return row_of(kind)->bytes;
}

int s3_checksum_init(struct s3_checksum *sum, enum s3_checksum_kind kind)
{
	*sum = (struct s3_checksum){.kind = kind};
	return kinds[kind].is_crc ? 0 : crypto_hash_new(kinds[kind].hash, &sum->hash);
}

void s3_checksum_fini(struct s3_checksum *sum)
{
	sum->hash = crypto_hash_free(sum->hash);
	sum->kind = S3_CHECKSUM_NONE;
}

int s3_checksum_update(struct s3_checksum *sum, const void *data, size_t len)
{
	if (sum->hash != NULL)
		return crypto_hash_update(sum->hash, data, len);
	if (sum->kind != S3_CHECKSUM_NONE)
		sum->crc = s3_crc_update(kinds[sum->kind].crc, sum->crc, data, len);
	return 0;
}

int s3_checksum_final(struct s3_checksum *sum, char out[S3_CHECKSUM_TEXT_SIZE])
{
	uint8_t bytes[S3_CHECKSUM_BYTES_MAX];
	size_t size = s3_checksum_size(sum->kind);

	if (sum->hash != NULL) {
		int err = crypto_hash_final(sum->hash, bytes);
		if (err < 0)
			return err;
	} else {
		for (size_t i = 0; i < size; i++)
			bytes[i] = (uint8_t)(sum->crc >> (8 * (size - 1 - i)));
	}
	crypto_base64_encode(bytes, size, out);
	return 0;
}

int s3_checksum_decode(enum s3_checksum_kind kind, const char *base64,
		       uint8_t out[S3_CHECKSUM_BYTES_MAX])
{
	/* What is not a multiple of three bytes needs up to two more while it is decoded. */
	uint8_t bytes[S3_CHECKSUM_BYTES_MAX + 4];
	size_t size = s3_checksum_size(kind), len = strlen(base64);

	if (len != 4 * ((size + 2) / 3) || crypto_base64_decode(base64, len, bytes) != (long)size)
		return -EINVAL;
	memcpy(out, bytes, size);
	return 0;
}

void s3_checksum_format(const struct s3_checksum_record *record, char out[S3_CHECKSUM_RECORD_SIZE])
{
	snprintf(out, S3_CHECKSUM_RECORD_SIZE, "%s %s %s", s3_checksum_name(record->kind),
		 record->is_composite ? "COMPOSITE" : "FULL_OBJECT", record->value);
}

void s3_checksum_parse(const char *text, struct s3_checksum_record *ret_record)
{
	char name[16], type[16], value[S3_CHECKSUM_TEXT_SIZE];

	*ret_record = (struct s3_checksum_record){.kind = S3_CHECKSUM_NONE};
	if (text == NULL || sscanf(text, "%15s %15s %55s", name, type, value) != 3)
		return;
	ret_record->kind = s3_checksum_kind_named(name);
	ret_record->is_composite = strcmp(type, "COMPOSITE") == 0;
	memcpy(ret_record->value, value, sizeof(value));
}
