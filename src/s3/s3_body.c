#include "s3/s3_body.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"

#define TRAILER_SIGNATURE "x-amz-trailer-signature"

enum s3_code s3_payload_parse(const char *text, enum s3_payload *ret_payload)
{
	static const struct {
		const char *text;
		enum s3_payload payload;
	} words[] = {
		{"UNSIGNED-PAYLOAD", S3_PAYLOAD_UNSIGNED},
		{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD", S3_PAYLOAD_STREAM_SIGNED},
		{"STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER", S3_PAYLOAD_STREAM_SIGNED_TRAILER},
		{"STREAMING-UNSIGNED-PAYLOAD-TRAILER", S3_PAYLOAD_STREAM_UNSIGNED_TRAILER},
	};
	uint8_t hash[CRYPTO_SHA256_SIZE];

	for (size_t i = 0; i < EOS_ARRAY_SIZE(words); i++) {
		if (strcmp(text, words[i].text) == 0) {
			*ret_payload = words[i].payload;
			return S3_OK;
		}
	}
	if (eos_str_starts_with(text, "STREAMING-"))
		return S3_NOT_IMPLEMENTED;
	if (eos_hex_decode(text, hash, sizeof(hash)) < 0)
		return S3_INVALID_ARGUMENT;
	*ret_payload = S3_PAYLOAD_HASH;
	return S3_OK;
}

bool s3_payload_is_chunked(enum s3_payload payload)
{
	return payload >= S3_PAYLOAD_STREAM_SIGNED;
}

static bool has_trailers(enum s3_payload payload)
{
	return payload >= S3_PAYLOAD_STREAM_SIGNED_TRAILER;
}

static bool is_signed(enum s3_payload payload)
{
	return payload == S3_PAYLOAD_STREAM_SIGNED || payload == S3_PAYLOAD_STREAM_SIGNED_TRAILER;
}

static enum s3_code take_md5(struct s3_body *body, const char *value)
{
	uint8_t digest[CRYPTO_MD5_SIZE + 2];

	if (strlen(value) != 24 || crypto_base64_decode(value, 24, digest) != CRYPTO_MD5_SIZE ||
	    body->md5 != NULL)
		return S3_INVALID_DIGEST;
	memcpy(body->md5_given, digest, CRYPTO_MD5_SIZE);
	return crypto_hash_new(CRYPTO_MD5, &body->md5) < 0 ? S3_INTERNAL_ERROR : S3_OK;
}

/* VALUE is NULL when it will come in a trailer. */
static enum s3_code take_checksum(struct s3_body *body, const char *name, const char *value)
{
	enum s3_checksum_kind kind = s3_checksum_kind_of(name);

	if (kind == S3_CHECKSUM_NONE)
		return S3_NOT_IMPLEMENTED;
	if (body->checksum.kind != S3_CHECKSUM_NONE)
		return S3_INVALID_REQUEST;
	body->has_trailer_checksum = value == NULL;
	if (value != NULL &&
	    eos_str_copy(body->checksum_given, sizeof(body->checksum_given), value) < 0)
		return S3_INVALID_REQUEST;
	return s3_checksum_init(&body->checksum, kind) < 0 ? S3_INTERNAL_ERROR : S3_OK;
}

static enum s3_code take_header(struct s3_body *body, const char *name, const char *value)
{
	if (strcasecmp(name, "content-md5") == 0)
		return take_md5(body, value);
	if (strcasecmp(name, "x-amz-trailer") == 0)
		return has_trailers(body->payload) ? take_checksum(body, value, NULL)
						   : S3_INVALID_REQUEST;
	if (strcasecmp(name, "x-amz-decoded-content-length") == 0 &&
	    s3_payload_is_chunked(body->payload)) {
		body->has_expected = true;
		return eos_parse_u64(value, &body->expected_bytes) < 0 ? S3_INVALID_ARGUMENT
								       : S3_OK;
	}
	return body->has_sum && s3_checksum_kind_of(name) != S3_CHECKSUM_NONE
		       ? take_checksum(body, name, value)
		       : S3_OK;
}

enum s3_code s3_body_init(struct s3_body *body, enum s3_payload payload, const char *payload_text,
			  const struct s3_header *headers, size_t headers_count,
			  struct s3_signer *signer, bool has_sum)
{
	memset(body, 0, sizeof(*body));
	body->has_sum = has_sum;
	eos_buf_init(&body->trailers);
	body->payload = payload;
	body->signer = signer;
	s3_chunked_init(&body->chunked, is_signed(payload), has_trailers(payload));
	enum s3_code code = S3_OK;
	for (size_t i = 0; i < headers_count && code == S3_OK; i++)
		code = take_header(body, headers[i].name, headers[i].value);
	if (code == S3_OK && s3_payload_is_chunked(payload) && !body->has_expected)
		code = S3_MISSING_LENGTH;
	if (code == S3_OK && payload == S3_PAYLOAD_HASH) {
		memcpy(body->payload_hex, payload_text, S3_SIGNATURE_SIZE);
		if (crypto_hash_new(CRYPTO_SHA256, &body->payload_hash) < 0)
			code = S3_INTERNAL_ERROR;
	}
	if (code == S3_OK && is_signed(payload) &&
	    crypto_hash_new(CRYPTO_SHA256, &body->chunk_hash) < 0)
		code = S3_INTERNAL_ERROR;
	if (code != S3_OK)
		s3_body_fini(body);
	return code;
}

enum s3_code s3_body_compute(struct s3_body *body, enum s3_checksum_kind kind)
{
	body->is_checksum_ours = true;
	return s3_checksum_init(&body->checksum, kind) < 0 ? S3_INTERNAL_ERROR : S3_OK;
}

void s3_body_fini(struct s3_body *body)
{
	body->payload_hash = crypto_hash_free(body->payload_hash);
	body->chunk_hash = crypto_hash_free(body->chunk_hash);
	body->md5 = crypto_hash_free(body->md5);
	s3_checksum_fini(&body->checksum);
	eos_buf_fini(&body->trailers);
}

/* Decoded bytes. */
static enum s3_code feed_data(struct s3_body *body, const void *data, size_t len)
{
	int err = 0;

	body->received_bytes += len;
	if (body->has_expected && body->received_bytes > body->expected_bytes)
		return S3_INCOMPLETE_BODY;
	if (body->payload_hash != NULL)
		err = crypto_hash_update(body->payload_hash, data, len);
	if (err == 0 && body->chunk_hash != NULL)
		err = crypto_hash_update(body->chunk_hash, data, len);
	if (err == 0 && body->md5 != NULL)
		err = crypto_hash_update(body->md5, data, len);
	if (err == 0)
		err = s3_checksum_update(&body->checksum, data, len);
	if (err == 0 && body->sink != NULL && len > 0)
		err = body->sink(body->sink_ctx, data, len);
	return s3_code_of(err, S3_NO_SUCH_BUCKET);
}

static enum s3_code end_chunk(struct s3_body *body)
{
	uint8_t hash[CRYPTO_SHA256_SIZE];

	if (body->chunk_hash == NULL)
		return S3_OK;
	int err = crypto_hash_final(body->chunk_hash, hash);
	if (err == 0)
		err = s3_signer_check_chunk(body->signer, hash, body->chunk_signature);
	if (err == -EBADMSG)
		return S3_SIGNATURE_MISMATCH;
	return err < 0 ? S3_INTERNAL_ERROR : S3_OK;
}

static enum s3_code take_trailer(struct s3_body *body, const char *name, const char *value)
{
	if (strcmp(name, TRAILER_SIGNATURE) == 0) {
		if (strlen(value) != S3_SIGNATURE_SIZE - 1)
			return S3_SIGNATURE_MISMATCH;
		memcpy(body->trailer_signature, value, S3_SIGNATURE_SIZE);
		return S3_OK;
	}
	eos_buf_printf(&body->trailers, "%s:%s\n", name, value);
	if (!body->has_trailer_checksum || s3_checksum_kind_of(name) != body->checksum.kind)
		return S3_INVALID_REQUEST;
	if (body->checksum_given[0] != '\0' ||
	    eos_str_copy(body->checksum_given, sizeof(body->checksum_given), value) < 0)
		return S3_INVALID_DIGEST;
	return S3_OK;
}

static enum s3_code feed_chunked(struct s3_body *body, const char *data, size_t len)
{
	struct s3_chunk_item item;
	enum s3_code code = S3_OK;

	while (code == S3_OK) {
		int event = s3_chunked_next(&body->chunked, &data, &len, &item);
		if (event < 0)
			return S3_INVALID_REQUEST;
		switch ((enum s3_chunk_event)event) {
		case S3_CHUNK_EVENT_MORE:
			return S3_OK;
		case S3_CHUNK_EVENT_BEGIN:
			memcpy(body->chunk_signature, item.signature, strlen(item.signature) + 1);
			break;
		case S3_CHUNK_EVENT_DATA:
			code = feed_data(body, item.data, item.len);
			break;
		case S3_CHUNK_EVENT_END:
			code = end_chunk(body);
			break;
		case S3_CHUNK_EVENT_TRAILER:
			code = take_trailer(body, item.name, item.value);
			break;
		case S3_CHUNK_EVENT_DONE:
			break;
		}
	}
	return code;
}

enum s3_code s3_body_feed(struct s3_body *body, const void *data, size_t len)
{
	if (body->failed == S3_OK)
		body->failed = s3_payload_is_chunked(body->payload) ? feed_chunked(body, data, len)
								    : feed_data(body, data, len);
	return body->failed;
}

static enum s3_code check_hash(struct s3_body *body)
{
	uint8_t hash[CRYPTO_SHA256_SIZE], given[CRYPTO_SHA256_SIZE];

	if (crypto_hash_final(body->payload_hash, hash) < 0)
		return S3_INTERNAL_ERROR;
	if (eos_hex_decode(body->payload_hex, given, sizeof(given)) < 0 ||
	    memcmp(hash, given, sizeof(hash)) != 0)
		return S3_PAYLOAD_MISMATCH;
	return S3_OK;
}

static enum s3_code check_trailer_signature(struct s3_body *body)
{
	if (eos_buf_failed(&body->trailers))
		return S3_INTERNAL_ERROR;
	int err = s3_signer_check_trailers(body->signer, body->trailers.data, body->trailers.len,
					   body->trailer_signature);
	if (err == -EBADMSG)
		return S3_SIGNATURE_MISMATCH;
	return err < 0 ? S3_INTERNAL_ERROR : S3_OK;
}

static enum s3_code check_md5(struct s3_body *body)
{
	uint8_t digest[CRYPTO_MD5_SIZE];

	if (crypto_hash_final(body->md5, digest) < 0)
		return S3_INTERNAL_ERROR;
	return memcmp(digest, body->md5_given, sizeof(digest)) == 0 ? S3_OK : S3_BAD_DIGEST;
}

static enum s3_code check_checksum(struct s3_body *body)
{
	uint8_t given[S3_CHECKSUM_BYTES_MAX], computed[S3_CHECKSUM_BYTES_MAX];
	enum s3_checksum_kind kind = body->checksum.kind;

	if (s3_checksum_final(&body->checksum, body->checksum_text) < 0)
		return S3_INTERNAL_ERROR;
	if (body->is_checksum_ours)
		return S3_OK;
	if (body->checksum_given[0] == '\0' ||
	    s3_checksum_decode(kind, body->checksum_given, given) < 0)
		return S3_INVALID_REQUEST;
	if (s3_checksum_decode(kind, body->checksum_text, computed) < 0)
		return S3_INTERNAL_ERROR;
	return memcmp(given, computed, s3_checksum_size(kind)) == 0 ? S3_OK : S3_BAD_DIGEST;
}

enum s3_code s3_body_finish(struct s3_body *body)
{
	enum s3_code code = body->failed;

	if (code == S3_OK && s3_payload_is_chunked(body->payload) &&
	    !s3_chunked_is_done(&body->chunked))
		code = S3_INCOMPLETE_BODY;
	if (code == S3_OK && body->has_expected && body->received_bytes != body->expected_bytes)
		code = S3_INCOMPLETE_BODY;
	if (code == S3_OK && body->payload_hash != NULL)
		code = check_hash(body);
	if (code == S3_OK && body->payload == S3_PAYLOAD_STREAM_SIGNED_TRAILER)
		code = check_trailer_signature(body);
	if (code == S3_OK && body->md5 != NULL)
		code = check_md5(body);
	if (code == S3_OK && body->checksum.kind != S3_CHECKSUM_NONE)
		code = check_checksum(body);
	body->failed = code;
	return code;
}
