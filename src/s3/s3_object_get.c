/*
 * GetObject and HeadObject.
 *
 * The first block is read before the answer begins, so that a damaged object is an error the
 * client understands; damage found later can only cut the connection. Small objects, and ranges,
 * are answered from that block at once.
 */
#include "s3/s3_object_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "s3/s3_mime_word.h"
#include "s3/s3_part_map.h"
#include "s3/s3_tags.h"

#define FIRST_BLOCK_BYTES (64u << 10)

struct stream {
	struct store_reader *reader;
	uint64_t offset; /* of the answer's first byte in the object */
	size_t first_len;
	char first[];
};

static int64_t stream_read(void *ctx, void *data, size_t len, uint64_t offset)
{
	struct stream *stream = ctx;
	if (offset < stream->first_len) {
		size_t left = stream->first_len - (size_t)offset;
		size_t n = len < left ? len : left;
		memcpy(data, stream->first + offset, n);
		return (int64_t)n;
	}
	int64_t n = store_reader_read(stream->reader, data, len, stream->offset + offset);
	if (n < 0)
		eos_log(EOS_LOG_ERROR, "s3", "object cannot be read, answer cut error=%s",
			strerror((int)-n));
	return n;
}

static void stream_free(void *ctx)
{
	struct stream *stream = ctx;
	store_reader_close(stream->reader);
	free(stream);
}

/* What is answered of an object: of its 7 KiB few are touched. */
struct answer {
	struct s3_request *request;
	struct store_reader *reader;
	const struct store_object_info *info;
	unsigned status;
	uint64_t first, len; /* of the object's bytes */
	size_t count, values_count;
	bool has_failed; /* for want of memory */
	/* From here on not cleared. */
	struct http_header headers[S3_RESPONSE_HEADERS_MAX];
	char *values[S3_HEADERS_MAX]; /* encoded for the answer, to be freed */
	char etag[S3_ETAG_TEXT_SIZE], modified[EOS_HTTP_DATE_SIZE];
};

static void add(struct answer *answer, const char *name, const char *value)
{
	if (answer->count < S3_RESPONSE_HEADERS_MAX)
		answer->headers[answer->count++] = (struct http_header){name, value};
	else
		answer->has_failed = true;
}

static bool has_overrides(const struct s3_request *request)
{
	for (size_t i = 0; i < request->query.count; i++)
		if (eos_str_starts_with(request->query.params[i].name, "response-"))
			return true;
	return false;
}

/* The query may replace what the object says of itself. */
static const char *override_of(const struct s3_request *request, const char *name)
{
	char param[64];
	snprintf(param, sizeof(param), "response-%s", name);
	return s3_query_get(&request->query, param);
}

static void add_content_headers(struct answer *answer)
{
	static const char *const content[] = {"content-type",	     "content-encoding",
					      "content-disposition", "content-language",
					      "cache-control",	     "expires"};
	bool is_overridden = has_overrides(answer->request);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(content); i++) {
		const char *value = is_overridden ? override_of(answer->request, content[i]) : NULL;
		if (value == NULL)
			value = store_metadata_get(answer->info, content[i]);
		if (value == NULL && i == 0)
			value = "binary/octet-stream";
		if (value != NULL)
			add(answer, content[i], value);
	}
}

static void add_user_metadata(struct answer *answer)
{
	const char *name, *value;
	uint32_t offset = 0;

	while (store_metadata_next(answer->info, &offset, &name, &value)) {
		struct eos_buf buf;
		if (!eos_str_starts_with(name, STORE_META_USER))
			continue;
		eos_buf_init(&buf);
		s3_mime_encode(&buf, value);
		char *encoded = eos_buf_steal(&buf);
		if (encoded == NULL || answer->values_count == S3_HEADERS_MAX) {
			free(encoded);
			answer->has_failed = true;
			return;
		}
		answer->values[answer->values_count++] = encoded;
		/* Headers without a value are not sent; to who receives it, a space is one. */
		add(answer, name, encoded[0] != '\0' ? encoded : " ");
	}
}

static void quote(const char *text, char *out, size_t size)
{
	size_t len = strnlen(text, size - 3);
	out[0] = '"';
	memcpy(out + 1, text, len);
	memcpy(out + 1 + len, "\"", 2);
}

/* What is true of the object, whether it is sent or not. */
static void add_identity(struct answer *answer)
{
	struct s3_request *request = answer->request;
	const struct store_object_info *info = answer->info;

	quote(s3_etag_of(info), answer->etag, sizeof(answer->etag));
	eos_format_http_date(info->modified_ns, answer->modified);
	add(answer, "ETag", answer->etag);
	add(answer, "Last-Modified", answer->modified);
	s3_add_version(request, "x-amz-version-id", request->bucket, info->version);
}

static void add_description(struct answer *answer)
{
	struct s3_request *request = answer->request;
	char count[24];

	add(answer, "Accept-Ranges", "bytes");
	add_content_headers(answer);
	add_user_metadata(answer);
	size_t tags = s3_tags_count(answer->info);
	if (tags > 0) {
		snprintf(count, sizeof(count), "%zu", tags);
		s3_add_header(request, "x-amz-tagging-count", count);
	}
	s3_add_lock(request, answer->info);
	s3_add_encryption(request, answer->info);
	if (answer->info->is_latest)
		s3_add_expiration(request, answer->info);
}

/* If-Range: a range of another version is not wanted. */
static const char *range_of(const struct answer *answer)
{
	const char *if_range = s3_header(answer->request, "if-range");
	if (if_range != NULL && strcmp(if_range, answer->etag) != 0 &&
	    strcmp(if_range, answer->modified) != 0)
		return NULL;
	return s3_header(answer->request, "range");
}

static void set_part(struct answer *answer, uint64_t first, uint64_t len)
{
	char range[80];

	answer->status = 206;
	answer->first = first;
	answer->len = len;
	/* An empty part of an empty object has no first byte to name. */
	if (len == 0)
		return;
	snprintf(range, sizeof(range), "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first,
		 first + len - 1, answer->info->size);
	s3_add_header(answer->request, "Content-Range", range);
}

static enum s3_code choose_part(struct answer *answer, uint64_t number)
{
	struct s3_request *request = answer->request;
	const char *map = store_metadata_get(answer->info, S3_METADATA_PARTS);
	struct s3_part_place place = {.size = answer->info->size};
	char count[24];

	if (s3_parts_count_of(answer->info) == 0) {
		if (number != 1)
			return S3_INVALID_PART;
		set_part(answer, 0, answer->info->size);
		return S3_OK;
	}
	if (map[0] == '\0')
		return s3_say(request, S3_NOT_IMPLEMENTED,
			      "The parts of this object differ too much in size to be found.");
	int err = s3_part_map_find(map, number, &place);
	if (err < 0)
		return err == -ENOENT ? S3_INVALID_PART : S3_INTERNAL_ERROR;
	set_part(answer, place.offset, place.size);
	snprintf(count, sizeof(count), "%" PRIu64, s3_parts_count_of(answer->info));
	s3_add_header(request, "x-amz-mp-parts-count", count);
	return S3_OK;
}

static enum s3_code choose_range(struct answer *answer)
{
	uint64_t first, len;
	char range[48];

	int ranged = s3_parse_range(range_of(answer), answer->info->size, &first, &len);
	if (ranged > 0)
		set_part(answer, first, len);
	if (ranged >= 0)
		return S3_OK;
	snprintf(range, sizeof(range), "bytes */%" PRIu64, answer->info->size);
	s3_add_header(answer->request, "Content-Range", range);
	return S3_INVALID_RANGE;
}

/* Which bytes, and their checksum where it is asked for and known. */
static enum s3_code choose_bytes(struct answer *answer)
{
	struct s3_request *request = answer->request;
	const char *part = s3_query_get(&request->query, "partNumber");
	const char *mode = s3_header(request, "x-amz-checksum-mode");
	struct s3_checksum_record sum = {.kind = S3_CHECKSUM_NONE};
	uint64_t number = 0;
	enum s3_code code;

	answer->status = 200;
	answer->len = answer->info->size;
	if (part != NULL && s3_header(request, "range") != NULL)
		return s3_say(request, S3_INVALID_REQUEST,
			      "Cannot specify both Range header and partNumber query parameter");
	if (part != NULL) {
		code = s3_read_part_number(request, &number);
		if (code == S3_OK)
			code = choose_part(answer, number);
	} else {
		code = choose_range(answer);
	}
	if (code != S3_OK || mode == NULL)
		return code;
	if (strcmp(mode, "ENABLED") != 0)
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "Value for x-amz-checksum-mode header is invalid.");
	if (number > 0 && s3_parts_count_of(answer->info) > 0)
		s3_part_checksum_of(answer->info, number, &sum);
	else if (answer->len == answer->info->size)
		s3_checksum_of(answer->info, &sum);
	s3_add_checksum(request, &sum);
	return S3_OK;
}

/* HEAD: the length without the bytes. */
static int64_t nothing_read(void *ctx, void *data, size_t len, uint64_t offset)
{
	return -EIO;
}

/* Takes the reader, or leaves it, when S3_OK. */
static enum s3_code send_bytes(struct answer *answer)
{
	struct http_request *http = answer->request->http;
	size_t first_len =
		answer->len < FIRST_BLOCK_BYTES ? (size_t)answer->len : FIRST_BLOCK_BYTES;
	const char *whole = store_reader_whole(answer->reader);
	if (whole != NULL) {
		http_respond(http, answer->status, answer->headers, answer->count,
			     whole + answer->first, (size_t)answer->len);
		return S3_OK;
	}
	struct stream *stream = malloc(sizeof(*stream) + first_len);
	if (stream == NULL)
		return S3_INTERNAL_ERROR;
	*stream = (struct stream){.reader = answer->reader, .offset = answer->first};
	while (stream->first_len < first_len) {
		int64_t n = store_reader_read(answer->reader, stream->first + stream->first_len,
					      first_len - stream->first_len,
					      answer->first + stream->first_len);
		if (n <= 0) {
			free(stream);
			return n < 0 ? s3_code_of((int)n, S3_INTERNAL_ERROR) : S3_INTERNAL_ERROR;
		}
		stream->first_len += (size_t)n;
	}
	answer->reader = NULL;
	if (answer->len == first_len) {
		http_respond(http, answer->status, answer->headers, answer->count, stream->first,
			     first_len);
		stream_free(stream);
	} else {
		http_respond_stream(http, answer->status, answer->headers, answer->count,
				    answer->len, stream_read, stream_free, stream);
	}
	return S3_OK;
}

static enum s3_code send_answer(struct answer *answer)
{
	struct s3_request *request = answer->request;

	if (answer->has_failed)
		return S3_INTERNAL_ERROR;
	if (strcmp(http_request_method(request->http), "HEAD") != 0)
		return send_bytes(answer);
	http_respond_stream(request->http, answer->status, answer->headers, answer->count,
			    answer->len, nothing_read, NULL, NULL);
	return S3_OK;
}

static enum s3_code answer_object(struct answer *answer)
{
	struct s3_request *request = answer->request;
	const struct s3_condition_headers conditions = {
		.if_match = s3_header(request, "if-match"),
		.if_none_match = s3_header(request, "if-none-match"),
		.if_modified_since = s3_header(request, "if-modified-since"),
		.if_unmodified_since = s3_header(request, "if-unmodified-since"),
	};

	add_identity(answer);
	enum s3_code code = s3_check_conditions(&conditions, answer->info);
	if (code == S3_NOT_MODIFIED) {
		/* Without Content-Type and its like, which would describe a body. */
		s3_respond(request, 304, answer->headers, answer->count, NULL, 0);
		return S3_OK;
	}
	if (code == S3_OK)
		code = choose_bytes(answer);
	if (code != S3_OK)
		return code;
	add_description(answer);
	return send_answer(answer);
}

static enum s3_code check_overrides(struct s3_request *request)
{
	return request->is_anonymous && has_overrides(request)
		       ? s3_say(request, S3_INVALID_REQUEST,
				"Request specific response headers cannot be used for anonymous "
				"GET "
				"requests.")
		       : S3_OK;
}

enum s3_code s3_get_object(struct s3_request *request)
{
	const struct s3_place place = s3_place_of(request);
	struct store_reader *reader;

	enum s3_code code = check_overrides(request);
	if (code == S3_OK)
		code = s3_open(request, &place, &request->encryption.customer, &reader);
	if (code != S3_OK)
		return code;
	struct answer answer;
	memset(&answer, 0, offsetof(struct answer, headers));
	answer.request = request;
	answer.reader = reader;
	answer.info = store_reader_info(reader);
	code = answer_object(&answer);
	store_reader_close(answer.reader);
	for (size_t i = 0; i < answer.values_count; i++)
		free(answer.values[i]);
	return code;
}
