/*
 * What clients send to be kept with an object: content headers as they are, and user metadata
 * (x-amz-meta-…), decoded by RFC 2047 (s3_mime_word.h) so that it is stored, found and measured as
 * what it means.
 */
#include "s3/s3_object_priv.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "s3/s3_mime_word.h"
#include "s3/s3_tags.h"

static const char *const content_headers[] = {"content-type",	  "content-disposition",
					      "content-language", "cache-control",
					      "expires",	  "content-encoding"};

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
	for (size_t i = 0; i < EOS_ARRAY_SIZE(content_headers); i++) {
		const char *name = content_headers[i];
		const char *value = s3_header(request, name);
		char stripped[1024];
		if (value != NULL && strcmp(name, "content-encoding") == 0) {
			if (strlen(value) >= sizeof(stripped))
				return S3_METADATA_TOO_LARGE;
			strip_aws_chunked(value, stripped);
			value = stripped[0] != '\0' ? stripped : NULL;
		}
		/* A header without a value says nothing. */
		if (value != NULL && value[0] != '\0' && add(info, name, value) != S3_OK)
			return S3_METADATA_TOO_LARGE;
	}
	return S3_OK;
}

/* Appends what all headers of the same name as FIRST hold, in order, with commas: a repeated header
 * is a list (RFC 9110, 5.2). */
static void join_values(const struct s3_request *request, size_t first, struct eos_buf *out)
{
	const char *name = request->headers[first].name;
	for (size_t i = first; i < request->headers_count; i++) {
		if (strcasecmp(request->headers[i].name, name) != 0)
			continue;
		if (i > first)
			eos_buf_puts(out, ",");
		s3_mime_decode(out, request->headers[i].value);
	}
}

static bool is_repeated(const struct s3_request *request, size_t at)
{
	for (size_t i = 0; i < at; i++)
		if (strcasecmp(request->headers[i].name, request->headers[at].name) == 0)
			return true;
	return false;
}

static enum s3_code take_user_header(struct s3_request *request, size_t at, size_t *user_bytes,
				     struct store_object_info *info)
{
	const struct s3_header *header = &request->headers[at];
	size_t len = strlen(header->name), prefix_len = strlen(STORE_META_USER);
	char name[S3_USER_METADATA_MAX + 16];
	struct eos_buf value;

	if (len >= sizeof(name))
		return S3_METADATA_TOO_LARGE;
	for (size_t k = 0; k <= len; k++) {
		char c = header->name[k];
		name[k] = c >= 'A' && c <= 'Z' ? (char)(c + ('a' - 'A')) : c;
	}
	eos_buf_init(&value);
	join_values(request, at, &value);
	enum s3_code code = eos_buf_failed(&value) ? S3_INTERNAL_ERROR : S3_OK;
	*user_bytes += len - prefix_len + value.len;
	if (code == S3_OK && *user_bytes > S3_USER_METADATA_MAX)
		code = S3_METADATA_TOO_LARGE;
	if (code == S3_OK)
		code = add(info, name, value.data);
	eos_buf_fini(&value);
	return code;
}

enum s3_code s3_take_metadata(struct s3_request *request, struct store_object_info *info)
{
	size_t user_bytes = 0;

	enum s3_code code = take_content_headers(request, info);
	for (size_t i = 0; i < request->headers_count && code == S3_OK; i++)
		if (strncasecmp(request->headers[i].name, STORE_META_USER,
				strlen(STORE_META_USER)) == 0 &&
		    !is_repeated(request, i))
			code = take_user_header(request, i, &user_bytes, info);
	return code;
}

enum s3_code s3_take_tags(struct s3_request *request, struct store_object_info *info)
{
	const char *text = s3_header(request, "x-amz-tagging");
	const char *xml = s3_post_field(request, "tagging");
	if (text == NULL && xml == NULL)
		return S3_OK;
	struct s3_tags *tags = calloc(1, sizeof(*tags));
	if (tags == NULL)
		return S3_INTERNAL_ERROR;
	enum s3_code code =
		xml != NULL ? s3_tags_read_xml(tags, xml, strlen(xml)) : s3_tags_parse(tags, text);
	if (code != S3_OK && tags->problem != NULL)
		code = s3_say(request, code, "%s", tags->problem);
	if (code == S3_OK && s3_tags_store(tags, info) < 0)
		code = S3_METADATA_TOO_LARGE;
	free(tags);
	return code;
}

static bool is_content_header(const char *name)
{
	for (size_t i = 0; i < EOS_ARRAY_SIZE(content_headers); i++)
		if (strcmp(name, content_headers[i]) == 0)
			return true;
	return false;
}

enum s3_code s3_copy_pairs(const struct store_object_info *source, bool is_tag,
			   struct store_object_info *info)
{
	const char *name, *value;
	uint32_t offset = 0;

	while (store_metadata_next(source, &offset, &name, &value)) {
		bool is_wanted = is_tag ? eos_str_starts_with(name, STORE_META_TAG)
					: is_content_header(name) ||
						  eos_str_starts_with(name, STORE_META_USER);
		if (is_wanted && add(info, name, value) != S3_OK)
			return S3_METADATA_TOO_LARGE;
	}
	return S3_OK;
}
