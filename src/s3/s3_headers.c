/*
 * The headers of requests: what is understood, what is kept with an object, and what is refused.
 * A header that asks for something we do not do is answered with NotImplemented, never ignored: a
 * client that asked for encryption must not believe it got it.
 */
#include "s3/s3_priv.h"

#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "s3/s3_access.h"

/* VALUE NULL: any. */
struct known {
	const char *name, *value;
};

static const struct known known_headers[] = {
	{"x-amz-acl", NULL},
	{"x-amz-bucket-object-lock-enabled", NULL},
	{"x-amz-bypass-governance-retention", NULL},
	{"x-amz-checksum-algorithm", NULL},
	{"x-amz-checksum-crc32", NULL},
	{"x-amz-checksum-crc32c", NULL},
	{"x-amz-checksum-crc64nvme", NULL},
	{"x-amz-checksum-mode", NULL},
	{"x-amz-checksum-sha1", NULL},
	{"x-amz-checksum-sha256", NULL},
	{"x-amz-checksum-type", NULL},
	/* To be refused in future is what a bucket's owner cannot be. */
	{"x-amz-confirm-remove-self-bucket-access", NULL},
	{"x-amz-content-sha256", NULL},
	{"x-amz-copy-source", NULL},
	{"x-amz-copy-source-if-match", NULL},
	{"x-amz-copy-source-if-modified-since", NULL},
	{"x-amz-copy-source-if-none-match", NULL},
	{"x-amz-copy-source-if-unmodified-since", NULL},
	{"x-amz-copy-source-range", NULL},
	{"x-amz-copy-source-server-side-encryption-customer-algorithm", NULL},
	{"x-amz-copy-source-server-side-encryption-customer-key", NULL},
	{"x-amz-copy-source-server-side-encryption-customer-key-md5", NULL},
	{"x-amz-date", NULL},
	{"x-amz-decoded-content-length", NULL},
	{"x-amz-expected-bucket-owner", NULL},
	{"x-amz-grant-full-control", NULL},
	{"x-amz-grant-read", NULL},
	{"x-amz-grant-read-acp", NULL},
	{"x-amz-grant-write", NULL},
	{"x-amz-grant-write-acp", NULL},
	{"x-amz-max-parts", NULL},
	{"x-amz-metadata-directive", NULL},
	{"x-amz-mp-object-size", NULL},
	{"x-amz-object-attributes", NULL},
	{"x-amz-object-lock-legal-hold", NULL},
	{"x-amz-object-lock-mode", NULL},
	{"x-amz-object-lock-retain-until-date", NULL},
	{"x-amz-object-ownership", NULL},
	{"x-amz-part-number-marker", NULL},
	{"x-amz-request-payer", NULL},
	{"x-amz-sdk-checksum-algorithm", NULL},
	{"x-amz-server-side-encryption", NULL},
	{"x-amz-server-side-encryption-aws-kms-key-id", NULL},
	{"x-amz-server-side-encryption-customer-algorithm", NULL},
	{"x-amz-server-side-encryption-customer-key", NULL},
	{"x-amz-server-side-encryption-customer-key-md5", NULL},
	{"x-amz-source-expected-bucket-owner", NULL},
	{"x-amz-skip-destination-validation", "false"},
	{"x-amz-storage-class", "STANDARD"},
	{"x-amz-tagging", NULL},
	{"x-amz-tagging-directive", NULL},
	{"x-amz-trailer", NULL},
	{"x-amz-user-agent", NULL},
};

static enum s3_code check_one(struct s3_request *request, const struct s3_header *header)
{
	if (strncasecmp(header->name, STORE_META_USER, strlen(STORE_META_USER)) == 0)
		return S3_OK;
	if (strcasecmp(header->name, "x-amz-security-token") == 0)
		return S3_INVALID_TOKEN;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(known_headers); i++) {
		const struct known *known = &known_headers[i];
		if (strcasecmp(header->name, known->name) != 0)
			continue;
		if (known->value == NULL || strcmp(header->value, known->value) == 0)
			return S3_OK;
		break;
	}
	return s3_say(request, S3_NOT_IMPLEMENTED,
		      "A header you provided implies functionality that is not implemented: %s",
		      header->name);
}

enum s3_code s3_check_headers(struct s3_request *request)
{
	enum s3_code code = S3_OK;
	for (size_t i = 0; i < request->headers_count && code == S3_OK; i++)
		if (strncasecmp(request->headers[i].name, "x-amz-", 6) == 0)
			code = check_one(request, &request->headers[i]);
	return code == S3_OK ? s3_read_encryption(request) : code;
}

const char *s3_header(const struct s3_request *request, const char *name)
{
	for (size_t i = 0; i < request->headers_count; i++) {
		const char *other = request->headers[i].name;
		/* Most differ in their first byte already: letters' cases in this bit alone. */
		if (((other[0] ^ name[0]) & ~0x20) == 0 && strcasecmp(other, name) == 0)
			return request->headers[i].value;
	}
	return NULL;
}

const char *s3_etag_of(const struct store_object_info *info)
{
	const char *etag = store_metadata_get(info, S3_METADATA_ETAG);
	return etag != NULL ? etag : info->etag;
}
