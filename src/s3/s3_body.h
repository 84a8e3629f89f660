/*
 * The body of a request on its way from the connection to where it goes: takes the aws-chunked
 * coding off, and checks everything the client said about the bytes: payload hash, chunk
 * signatures, Content-MD5, checksums in headers or trailers, decoded length.
 *
 * The data flows on before all is checked; whoever takes it must not make it visible before
 * s3_body_finish() returned S3_OK.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/macros.h"
#include "s3/s3_auth.h"
#include "s3/s3_checksum.h"
#include "s3/s3_chunked.h"

enum s3_payload {
	S3_PAYLOAD_HASH,
	S3_PAYLOAD_UNSIGNED,
	S3_PAYLOAD_STREAM_SIGNED,
	S3_PAYLOAD_STREAM_SIGNED_TRAILER,
	S3_PAYLOAD_STREAM_UNSIGNED_TRAILER
};

/* Takes the decoded bytes. Negative errno ends the body. */
typedef int (*s3_sink_fn)(void *ctx, const void *data, size_t len);

struct s3_body {
	enum s3_payload payload;
	enum s3_code failed; /* the first failure stays */
	bool has_expected;
	uint64_t expected_bytes; /* decoded */
	uint64_t received_bytes; /* decoded */
	s3_sink_fn sink;
	void *sink_ctx;

	struct crypto_hash *payload_hash;
	char payload_hex[S3_SIGNATURE_SIZE];
	struct crypto_hash *md5;
	uint8_t md5_given[CRYPTO_MD5_SIZE];
	struct s3_checksum checksum;
	char checksum_given[64];		   /* "" until it is known */
	char checksum_text[S3_CHECKSUM_TEXT_SIZE]; /* computed; after s3_body_finish() */
	bool has_sum;				   /* checksums in headers are the body's */
	bool has_trailer_checksum;
	bool is_checksum_ours; /* nobody gave it: s3_body_compute() */

	struct s3_chunked chunked;
	struct crypto_hash *chunk_hash;
	struct s3_signer *signer; /* borrowed */
	char chunk_signature[S3_SIGNATURE_SIZE];
	struct eos_buf trailers; /* in canonical form */
	char trailer_signature[S3_SIGNATURE_SIZE];
};

/* What x-amz-content-sha256 says. S3_INVALID_ARGUMENT; S3_NOT_IMPLEMENTED: signed with a curve. */
enum s3_code s3_payload_parse(const char *text, enum s3_payload *ret_payload) EOS_MUST_CHECK;
bool s3_payload_is_chunked(enum s3_payload payload);

/* Sets up from the request's headers. PAYLOAD_TEXT is x-amz-content-sha256's value; SIGNER
 * is needed for signed chunks. HAS_SUM: checksums in the headers are those of the body (and not of
 * the object that the request makes of others). */
enum s3_code s3_body_init(struct s3_body *body, enum s3_payload payload, const char *payload_text,
			  const struct s3_header *headers, size_t headers_count,
			  struct s3_signer *signer, bool has_sum) EOS_MUST_CHECK;
/* Computes a checksum of the body that nobody gave; before the first byte, if there is none yet. */
enum s3_code s3_body_compute(struct s3_body *body, enum s3_checksum_kind kind) EOS_MUST_CHECK;
void s3_body_fini(struct s3_body *body);
enum s3_code s3_body_feed(struct s3_body *body, const void *data, size_t len) EOS_MUST_CHECK;
/* All bytes are here: S3_OK when everything agrees. */
enum s3_code s3_body_finish(struct s3_body *body) EOS_MUST_CHECK;
