/*
 * The policy of a POST form: what its signer allows to be uploaded, and until when. Any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"

#define S3_POST_FIELDS_MAX 100u
#define S3_POST_FILENAME   "${filename}"

/* The fields of a form. Names are compared without regard to case. */
struct s3_post_field {
	char *name, *value;
};
struct s3_post_form {
	size_t count;
	struct s3_post_field fields[S3_POST_FIELDS_MAX];
};
/* -EMFILE: too many; -EEXIST: there is one of that name; -ENOMEM. */
int s3_post_form_add(struct s3_post_form *form, const char *name, const char *value,
		     size_t len) EOS_MUST_CHECK;
/* NULL: none. */
const char *s3_post_form_get(const struct s3_post_form *form, const char *name);
void s3_post_form_fini(struct s3_post_form *form);

/* How many bytes the file may have. */
struct s3_post_limits {
	uint64_t min_bytes, max_bytes;
};
/*
 * Checks FORM, for an upload to KEY in BUCKET, against the policy TEXT (JSON): each condition
 * holds, each field is named by one, and so is the bucket. KEY is what became of the field, which a
 * condition with ${filename} in it is about instead. -EINVAL: the policy is malformed; -ETIME: it
 * has expired at NOW_S (seconds since 1970); -EACCES: the form is not what it allows. WHY says
 * what.
 */
int s3_post_policy_check(const char *text, size_t len, const struct s3_post_form *form,
			 const char *bucket, const char *key, int64_t now_s,
			 struct s3_post_limits *ret_limits, struct eos_why *why) EOS_MUST_CHECK;
