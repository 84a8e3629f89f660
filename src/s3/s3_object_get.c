/*
 * GetObject and HeadObject.
 *
 * The first block is read before the answer begins, so that a damaged object is an error the
 * client understands; damage found later can only cut the connection. Small objects, and ranges,
 * are answered from that block at once.
 */
#include "s3/s3_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "s3/s3_xml.h"

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

struct answer {
	struct http_header headers[S3_RESPONSE_HEADERS_MAX];
	size_t count;
	char etag[80], modified[EOS_HTTP_DATE_SIZE], range[80];
};

static void add(struct answer *answer, const char *name, const char *value)
{
	if (answer->count < S3_RESPONSE_HEADERS_MAX - 1)
		answer->headers[answer->count++] = (struct http_header){name, value};
}

/* The query may replace what the object says of itself. */
static const char *override_of(const struct s3_request *request, const char *name)
{
	char param[64];
	snprintf(param, sizeof(param), "response-%s", name);
	return s3_query_get(&request->query, param);
}

static void add_metadata(struct s3_request *request, const struct store_object_info *info,
			 struct answer *answer)
{
	static const char *const content[] = {"content-type",	     "content-encoding",
					      "content-disposition", "content-language",
					      "cache-control",	     "expires"};
	const char *name, *value;
	uint32_t offset = 0;

	for (size_t i = 0; i < EOS_ARRAY_SIZE(content); i++) {
		value = override_of(request, content[i]);
		if (value == NULL)
			value = store_metadata_get(info, content[i]);
		if (value == NULL && i == 0)
			value = "binary/octet-stream";
		if (value != NULL)
			add(answer, content[i], value);
	}
	if (store_metadata_get(info, S3_METADATA_SSE) != NULL)
		add(answer, "x-amz-server-side-encryption",
		    store_metadata_get(info, S3_METADATA_SSE));
	while (s3_next_metadata(info, &offset, &name, &value))
		if (strncmp(name, "x-amz-meta-", 11) == 0)
			add(answer, name, value);
}

static void fill_answer(struct s3_request *request, const struct store_object_info *info,
			struct answer *answer)
{
	snprintf(answer->etag, sizeof(answer->etag), "\"%s\"", s3_etag_of(info));
	eos_format_http_date(info->modified_ns, answer->modified);
	add(answer, "x-amz-request-id", request->id);
	add(answer, "ETag", answer->etag);
	add(answer, "Last-Modified", answer->modified);
	add(answer, "Accept-Ranges", "bytes");
	add_metadata(request, info, answer);
}

/* If-Range: a range of another version is not wanted. */
static const char *range_of(const struct s3_request *request, const struct answer *answer)
{
	const char *if_range = s3_header(request, "if-range");
	if (if_range != NULL && strcmp(if_range, answer->etag) != 0 &&
	    strcmp(if_range, answer->modified) != 0)
		return NULL;
	return s3_header(request, "range");
}

/* Takes READER when S3_OK. */
static enum s3_code send_bytes(struct s3_request *request, struct answer *answer, unsigned status,
			       struct store_reader *reader, uint64_t offset, uint64_t len)
{
	size_t first_len = len < FIRST_BLOCK_BYTES ? (size_t)len : FIRST_BLOCK_BYTES;
	struct stream *stream = malloc(sizeof(*stream) + first_len);
	if (stream == NULL)
		return S3_INTERNAL_ERROR;
	*stream = (struct stream){.reader = reader, .offset = offset};
	while (stream->first_len < first_len) {
		int64_t n = store_reader_read(reader, stream->first + stream->first_len,
					      first_len - stream->first_len,
					      offset + stream->first_len);
		if (n <= 0) {
			free(stream);
			return S3_INTERNAL_ERROR;
		}
		stream->first_len += (size_t)n;
	}
	if (len == first_len) {
		http_respond(request->http, status, answer->headers, answer->count, stream->first,
			     first_len);
		stream_free(stream);
	} else {
		http_respond_stream(request->http, status, answer->headers, answer->count, len,
				    stream_read, stream_free, stream);
	}
	return S3_OK;
}

/* HEAD: the length without the bytes. */
static int64_t nothing_read(void *ctx, void *data, size_t len, uint64_t offset)
{
	return -EIO;
}

static enum s3_code not_modified(struct s3_request *request, const struct answer *answer)
{
	/* Without Content-Type and its like, which would describe a body. */
	s3_respond(request, 304, &answer->headers[1], 2, NULL, 0);
	return S3_OK;
}

static enum s3_code answer_with(struct s3_request *request, struct store_reader **reader)
{
	const struct store_object_info *info = store_reader_info(*reader);
	bool is_head = strcmp(http_request_method(request->http), "HEAD") == 0;
	struct answer answer = {.count = 0};
	uint64_t first = 0, len = info->size;
	unsigned status = 200;

	fill_answer(request, info, &answer);
	const struct s3_condition_headers conditions = {
		.if_match = s3_header(request, "if-match"),
		.if_none_match = s3_header(request, "if-none-match"),
		.if_modified_since = s3_header(request, "if-modified-since"),
		.if_unmodified_since = s3_header(request, "if-unmodified-since"),
	};
	enum s3_code code = s3_check_conditions(&conditions, info);
	if (code == S3_NOT_MODIFIED)
		return not_modified(request, &answer);
	if (code != S3_OK)
		return code;
	int ranged = s3_parse_range(range_of(request, &answer), info->size, &first, &len);
	if (ranged < 0)
		return S3_INVALID_RANGE;
	if (ranged > 0) {
		status = 206;
		snprintf(answer.range, sizeof(answer.range),
			 "bytes %" PRIu64 "-%" PRIu64 "/%" PRIu64, first, first + len - 1,
			 info->size);
		add(&answer, "Content-Range", answer.range);
	}
	if (is_head) {
		http_respond_stream(request->http, status, answer.headers, answer.count, len,
				    nothing_read, NULL, NULL);
		return S3_OK;
	}
	code = send_bytes(request, &answer, status, *reader, first, len);
	if (code == S3_OK)
		*reader = NULL;
	return code;
}

static enum s3_code open_object(struct s3_request *request, struct store_reader **ret_reader)
{
	struct store *store = request->server->store;
	struct store_bucket_info bucket;

	int err = store_reader_open(store, request->bucket, request->key, request->key_len,
				    STORE_VERSION_LATEST, ret_reader);
	if (err == -ENOENT && store_bucket_get(store, request->bucket, &bucket) == -ENOENT)
		return S3_NO_SUCH_BUCKET;
	return s3_code_of(err, S3_NO_SUCH_KEY);
}

/* Objects have no tags, since none can be given to them; the aws command asks when it copies. */
enum s3_code s3_get_tagging(struct s3_request *request)
{
	struct store_reader *reader;
	struct eos_buf buf;

	enum s3_code code = open_object(request, &reader);
	if (code != S3_OK)
		return code;
	store_reader_close(reader);
	eos_buf_init(&buf);
	s3_xml_begin(&buf, "Tagging");
	s3_xml_open(&buf, "TagSet");
	s3_xml_close(&buf, "TagSet");
	s3_xml_close(&buf, "Tagging");
	return s3_respond_xml(request, &buf);
}

enum s3_code s3_get_object(struct s3_request *request)
{
	struct store_reader *reader;

	enum s3_code code = open_object(request, &reader);
	if (code != S3_OK)
		return code;
	code = answer_with(request, &reader);
	store_reader_close(reader);
	return code;
}
