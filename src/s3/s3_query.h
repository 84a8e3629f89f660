/*
 * The query of a request: names and values, decoded ('+' is a space, as in S3).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/macros.h"

#define S3_QUERY_PARAMS_MAX 64u

struct s3_param {
	const char *name, *value; /* UTF-8 without NUL; value "" when there was no '=' */
	size_t name_len, value_len;
};

struct s3_query {
	size_t count;
	char *storage;
	uint64_t initials; /* a bit for each name's first byte, so that most that are asked for and
			      not there are not looked for */
	struct s3_param params[S3_QUERY_PARAMS_MAX];
};

/* -EINVAL: bad percent encoding, NUL, not UTF-8, or too many. -ENOMEM. */
int s3_query_parse(struct s3_query *query, const char *text) EOS_MUST_CHECK;
void s3_query_fini(struct s3_query *query);
/* NULL: absent. Of repeated names the first. */
const char *s3_query_get(const struct s3_query *query, const char *name);
/* Signature Version 4's canonical query: encoded, sorted, without the parameter SKIP (or NULL). */
int s3_query_canonical(const struct s3_query *query, const char *skip,
		       struct eos_buf *out) EOS_MUST_CHECK;
