/* A bucket's default retention, and words as object lock has them. Any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "s3/s3_error.h"

#define S3_LOCK_DOCUMENT "object-lock"
#define S3_LOCK_DAYS_MAX 36500u

struct s3_request;

struct s3_lock_default {
	char mode[16];	/* "GOVERNANCE" or "COMPLIANCE" */
	unsigned count; /* 0: there is no default */
	bool is_years;	/* else days */
};
/* "GOVERNANCE 30 DAYS". -EINVAL. */
int s3_lock_default_parse(const char *text, struct s3_lock_default *ret_rule) EOS_MUST_CHECK;
/* That of the request's bucket. */
enum s3_code s3_lock_default(struct s3_request *request,
			     struct s3_lock_default *ret_rule) EOS_MUST_CHECK;
bool s3_is_lock_mode(const char *text);
