/*
 * Bucket policies: JSON documents that say who may do what with a bucket and its objects.
 *
 * A policy is parsed and checked whole before any of it is believed; what we do not understand
 * (an element, an operator, a condition key, an action) makes the document invalid, since a
 * condition that is passed over would let in whom it was to keep out. Any thread; a policy is
 * immutable.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/macros.h"
#include "base/why.h"

#define S3_POLICY_BYTES_MAX (20u << 10) /* S3's own limit */

enum s3_verdict {
	S3_VERDICT_NONE, /* no statement applies */
	S3_VERDICT_ALLOW,
	S3_VERDICT_DENY, /* wins over any ALLOW */
};

/* What is asked about a request. */
struct s3_policy_question {
	const char *tenant;   /* as S3 calls it (s3_owner_id()), NULL: anonymous */
	const char *action;   /* "GetObject", without "s3:" */
	const char *resource; /* "bucket" or "bucket/key" */
	/* The value of a condition key ("aws:SourceIp", "s3:ExistingObjectTag/dept"), borrowed
	 * until the next call; NULL: the request has none. */
	const char *(*value)(void *ctx, const char *key);
	void *ctx;
};

struct s3_policy;
/* -EINVAL: not a policy, or not for BUCKET, and WHY says where; -ENOMEM. */
int s3_policy_parse(const char *text, size_t len, const char *bucket, struct s3_policy **ret_policy,
		    struct eos_why *why) EOS_MUST_CHECK;
struct s3_policy *s3_policy_free(struct s3_policy *policy);
enum s3_verdict s3_policy_ask(const struct s3_policy *policy,
			      const struct s3_policy_question *question);
/* Does it allow anything to everybody, wherever they come from? */
bool s3_policy_is_public(const struct s3_policy *policy);

/* Does TEXT fit PATTERN, in which '*' is any bytes and '?' any one? */
bool s3_glob(const char *pattern, const char *text);
