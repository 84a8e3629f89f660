/*
 * The headers of requests: what is understood, what is kept with an object, and what is refused.
 * A header that asks for something we do not do is answered with NotImplemented, never ignored: a
 * client that asked for encryption must not believe it got it.
 */
#include "s3/s3_priv.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "s3/s3_access.h"

#define META_PREFIX "x-amz-meta-"

/* VALUE NULL: any. */
struct known {
	const char *name, *value;
};

static const struct known known_headers[] = {
	{"x-amz-acl", NULL},
	{"x-amz-bucket-object-lock-enabled", NULL},
	{"x-amz-checksum-algorithm", NULL},
	{"x-amz-checksum-crc32", NULL},
	{"x-amz-checksum-crc32c", NULL},
	{"x-amz-checksum-mode", NULL},
	{"x-amz-checksum-sha1", NULL},
	{"x-amz-checksum-sha256", NULL},
	{"x-amz-content-sha256", NULL},
	{"x-amz-copy-source", NULL},
	{"x-amz-copy-source-if-match", NULL},
	{"x-amz-copy-source-if-modified-since", NULL},
	{"x-amz-copy-source-if-none-match", NULL},
	{"x-amz-copy-source-if-unmodified-since", NULL},
	{"x-amz-copy-source-range", NULL},
	{"x-amz-date", NULL},
	{"x-amz-decoded-content-length", NULL},
	{"x-amz-expected-bucket-owner", NULL},
	{"x-amz-grant-full-control", NULL},
	{"x-amz-grant-read", NULL},
	{"x-amz-grant-read-acp", NULL},
	{"x-amz-grant-write", NULL},
	{"x-amz-grant-write-acp", NULL},
	{"x-amz-metadata-directive", NULL},
	{"x-amz-object-ownership", NULL},
	{"x-amz-request-payer", NULL},
	{"x-amz-sdk-checksum-algorithm", NULL},
	{"x-amz-server-side-encryption", "AES256"},
	{"x-amz-source-expected-bucket-owner", NULL},
	{"x-amz-storage-class", "STANDARD"},
	{"x-amz-tagging-directive", "COPY"},
	{"x-amz-trailer", NULL},
	{"x-amz-user-agent", NULL},
};

static enum s3_code check_one(struct s3_request *request, const struct s3_header *header)
{
	if (strncasecmp(header->name, META_PREFIX, sizeof(META_PREFIX) - 1) == 0)
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
	return code;
}

const char *s3_header(const struct s3_request *request, const char *name)
{
	for (size_t i = 0; i < request->headers_count; i++)
		if (strcasecmp(request->headers[i].name, name) == 0)
			return request->headers[i].value;
	return NULL;
}

/* The coding list without aws-chunked, which was only for the way here; OUT has room. */
static void strip_aws_chunked(const char *value, char *out)
{
	static const char word[] = "aws-chunked";
	char *end = out;
	while (*value != '\0') {
		value += strspn(value, ", \t");
		size_t len = strcspn(value, ",");
		const char *next = value + len;
		while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t'))
			len--;
		bool is_ours = len == sizeof(word) - 1 && strncasecmp(value, word, len) == 0;
		if (len > 0 && !is_ours) {
			if (end != out)
				*end++ = ',';
			memcpy(end, value, len);
			end += len;
		}
		value = next;
	}
	*end = '\0';
}

static enum s3_code add(struct store_object_info *info, const char *name, const char *value)
{
	return store_metadata_add(info, name, value) < 0 ? S3_METADATA_TOO_LARGE : S3_OK;
}

static enum s3_code take_content_headers(struct s3_request *request, struct store_object_info *info)
{
	static const char *const kept[] = {"content-type", "content-disposition",
					   "content-language", "cache-control", "expires"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(kept); i++) {
		const char *value = s3_header(request, kept[i]);
		if (value != NULL && add(info, kept[i], value) != S3_OK)
			return S3_METADATA_TOO_LARGE;
	}
	const char *encoding = s3_header(request, "content-encoding");
	if (encoding == NULL)
		return S3_OK;
	char stripped[1024];
	if (strlen(encoding) >= sizeof(stripped))
		return S3_METADATA_TOO_LARGE;
	strip_aws_chunked(encoding, stripped);
	return stripped[0] != '\0' ? add(info, "content-encoding", stripped) : S3_OK;
}

enum s3_code s3_take_metadata(struct s3_request *request, struct store_object_info *info)
{
	size_t user_bytes = 0;

	enum s3_code code = take_content_headers(request, info);
	for (size_t i = 0; i < request->headers_count && code == S3_OK; i++) {
		const struct s3_header *header = &request->headers[i];
		char name[256];
		size_t len = strlen(header->name);
		if (strncasecmp(header->name, META_PREFIX, sizeof(META_PREFIX) - 1) != 0)
			continue;
		user_bytes += len - (sizeof(META_PREFIX) - 1) + strlen(header->value);
		if (len >= sizeof(name) || user_bytes > S3_USER_METADATA_MAX)
			return S3_METADATA_TOO_LARGE;
		for (size_t k = 0; k <= len; k++) {
			char c = header->name[k];
			name[k] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
		}
		code = add(info, name, header->value);
	}
	return code == S3_OK ? s3_take_defaults(request, info) : code;
}

bool s3_next_metadata(const struct store_object_info *info, uint32_t *offset, const char **ret_name,
		      const char **ret_value)
{
	/* The store keeps pairs "name\0value\0"; a cut last pair is not looked at. */
	const char *end = info->metadata + info->metadata_len;
	const char *name = info->metadata + *offset;
	const char *stop = name < end ? memchr(name, '\0', (size_t)(end - name)) : NULL;
	if (stop == NULL)
		return false;
	const char *value = stop + 1;
	stop = value < end ? memchr(value, '\0', (size_t)(end - value)) : NULL;
	if (stop == NULL)
		return false;
	*ret_name = name;
	*ret_value = value;
	*offset = (uint32_t)(stop + 1 - info->metadata);
	return true;
}

const char *s3_etag_of(const struct store_object_info *info)
{
	const char *etag = store_metadata_get(info, S3_METADATA_ETAG);
	return etag != NULL ? etag : info->etag;
}
