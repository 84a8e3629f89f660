/*
 * Cross-origin requests: what a bucket's CORS rules let browsers do, as the headers that tell them.
 * Rules grant nothing by themselves: the request behind a preflight is checked like any other. Any
 * thread; what was read is immutable.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/macros.h"
#include "s3/s3_error.h"

#define S3_CORS_RULES_MAX 100u

struct s3_cors;
struct s3_cors_rule;
struct s3_request;

/* A CORSConfiguration. S3_MALFORMED_XML, S3_INVALID_REQUEST: more than one '*', or a method that
 * is none; S3_INTERNAL_ERROR: no memory. */
enum s3_code s3_cors_read(const char *text, size_t len, struct s3_cors **ret_cors) EOS_MUST_CHECK;
struct s3_cors *s3_cors_free(struct s3_cors *cors);
/* The first rule for ORIGIN and METHOD that allows all of HEADERS (a list with commas; NULL: none).
 * NULL: none does. */
const struct s3_cors_rule *s3_cors_find(const struct s3_cors *cors, const char *origin,
					const char *method, const char *headers);

/* Adds the headers to the request's answer, if it has an Origin that a rule of its bucket names. */
enum s3_code s3_cors_answer(struct s3_request *request) EOS_MUST_CHECK;
/* The operation OPTIONS. */
enum s3_code s3_preflight(struct s3_request *request);
