/*
 * Taking a multipart/form-data body (RFC 7578) apart as it comes: small fields, and one file, the
 * last part that counts, which streams. Bytes come from strangers: every size has a bound.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/macros.h"

#define S3_FORM_FIELDS_BYTES_MAX (20u << 10) /* of all fields but the file: S3's own limit */
#define S3_FORM_HEADER_BYTES_MAX 4096u	     /* of one part */
#define S3_FORM_BOUNDARY_MAX	 70u	     /* RFC 2046 */
#define S3_FORM_NAME_MAX	 255u

struct s3_form_handler {
	/* A whole field; VALUE ends with NUL. Negative errno ends the form. */
	int (*field)(void *ctx, const char *name, const char *value, size_t len);
	/* The file begins; FILENAME is "" when there was none. */
	int (*file)(void *ctx, const char *filename);
	int (*data)(void *ctx, const void *data, size_t len);
	void *ctx;
};

struct s3_form {
	struct s3_form_handler handler;
	enum { S3_FORM_PREAMBLE, S3_FORM_HEADER, S3_FORM_FIELD, S3_FORM_FILE, S3_FORM_END } state;
	char delimiter[4 + S3_FORM_BOUNDARY_MAX + 1]; /* "\r\n--BOUNDARY" */
	size_t delimiter_len;
	size_t fields_bytes;
	bool has_file;
	char name[S3_FORM_NAME_MAX + 1];
	struct eos_buf pending; /* not used up yet */
	struct eos_buf field;
};

/* CONTENT_TYPE is the request's. -EINVAL: it is no form or has no boundary. */
int s3_form_init(struct s3_form *form, const char *content_type,
		 const struct s3_form_handler *handler) EOS_MUST_CHECK;
void s3_form_fini(struct s3_form *form);
/* -EINVAL: malformed; -EFBIG: fields too large; -ENOMEM; what the handler returned. */
int s3_form_feed(struct s3_form *form, const void *data, size_t len) EOS_MUST_CHECK;
/* 0 when the file came whole. -EINVAL. */
int s3_form_finish(const struct s3_form *form) EOS_MUST_CHECK;
