/*
 * Signature Version 4: reading what a client claims, and checking it.
 *
 * s3_auth_parse_…() only take the text apart (they see bytes from strangers);
 * s3_auth_verify() computes the signature over the canonical request and compares.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/macros.h"
#include "s3/s3.h"
#include "s3/s3_error.h"
#include "s3/s3_query.h"

#define S3_REGION_MAX	      64u
#define S3_SIGNED_HEADERS_MAX 8192u
#define S3_SIGNATURE_SIZE     65 /* hexadecimal SHA-256 and NUL */
#define S3_AMZ_DATE_SIZE      17 /* "20130524T000000Z" and NUL */
#define S3_PRESIGN_S_MAX      (7u * 24 * 3600)
#define S3_CLOCK_SKEW_S_MAX   (15u * 60)

struct s3_auth {
	bool is_presigned;
	uint64_t expires_s; /* of presigned ones */
	char access_key[S3_ACCESS_KEY_MAX + 1];
	char day[9]; /* "20130524" */
	char region[S3_REGION_MAX + 1];
	char amz_date[S3_AMZ_DATE_SIZE];		/* "" until it is known */
	char signature[S3_SIGNATURE_SIZE];		/* as given; "": nothing of its length */
	char signed_headers[S3_SIGNED_HEADERS_MAX + 1]; /* "host;x-amz-date" */
};

/* What is read by a function that fails is not to be used.
 * The Authorization header. S3_AUTH_HEADER_MALFORMED; S3_INVALID_REQUEST: it is of Signature
 * Version 2; S3_INVALID_ARGUMENT: of no scheme that S3 ever had. */
enum s3_code s3_auth_parse_header(const char *text, struct s3_auth *ret_auth) EOS_MUST_CHECK;
/* The X-Amz-… parameters of a presigned URL. S3_AUTH_QUERY_ERROR. */
enum s3_code s3_auth_parse_query(const struct s3_query *query,
				 struct s3_auth *ret_auth) EOS_MUST_CHECK;
/* The fields of a POST form. S3_INVALID_ARGUMENT. */
enum s3_code s3_auth_parse_form(const char *algorithm, const char *credential, const char *date,
				const char *signature, struct s3_auth *ret_auth) EOS_MUST_CHECK;
/* "20130524T000000Z" to seconds since 1970. -EINVAL. */
int s3_auth_parse_time(const char *text, int64_t *ret_s) EOS_MUST_CHECK;

struct s3_header {
	const char *name, *value;
};

/* What is signed. Borrowed. */
struct s3_sign_input {
	const char *method;
	const char *path; /* as sent */
	const struct s3_query *query;
	const struct s3_header *headers;
	size_t headers_count;
	const char *payload; /* hash in hexadecimal, or one of S3's words for it */
};

/* What signs the chunks of a body, one after the other. Wipe it after use. */
struct s3_signer {
	uint8_t key[32];
	char amz_date[S3_AMZ_DATE_SIZE];
	char scope[9 + S3_REGION_MAX + 18]; /* "20130524/us-east-1/s3/aws4_request" */
	char previous[S3_SIGNATURE_SIZE];
};

/* The canonical request, appended to OUT. -EINVAL: the path is not percent-encoded properly;
 * -ENOENT: a signed header is not there; -ENOMEM. */
int s3_auth_canonical(const struct s3_auth *auth, const struct s3_sign_input *input,
		      struct eos_buf *out) EOS_MUST_CHECK;
/* S3_OK, S3_SIGNATURE_MISMATCH, S3_ACCESS_DENIED: what must be signed was not. On success
 * RET_SIGNER is ready for the first chunk. */
enum s3_code s3_auth_verify(const struct s3_auth *auth, const struct s3_sign_input *input,
			    const char *secret_key, struct s3_signer *ret_signer) EOS_MUST_CHECK;

/* The same for a signature over TEXT itself, as POST forms have it. */
enum s3_code s3_auth_verify_text(const struct s3_auth *auth, const char *text,
				 const char *secret_key) EOS_MUST_CHECK;

/* The signatures of a chunk with that hash, and of the trailers; both become `previous`.
 * 0 when SIGNATURE is right, -EBADMSG when not, -ENOMEM. */
int s3_signer_check_chunk(struct s3_signer *signer, const uint8_t sha256[32],
			  const char *signature) EOS_MUST_CHECK;
int s3_signer_check_trailers(struct s3_signer *signer, const char *canonical, size_t len,
			     const char *signature) EOS_MUST_CHECK;
