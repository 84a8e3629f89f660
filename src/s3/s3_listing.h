/* What all listings share: how they are asked for, and whose what they list is. Any thread. */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "s3/s3_priv.h"

/* A number in the query, at most MAX; *VALUE stays when it is not given. S3_INVALID_ARGUMENT. */
enum s3_code s3_read_limit(struct s3_request *request, const char *name, uint64_t max,
			   uint64_t *value) EOS_MUST_CHECK;
/* Whether names in the answer are to be encoded. S3_INVALID_ARGUMENT. */
enum s3_code s3_read_encoding(struct s3_request *request, bool *ret_is_url) EOS_MUST_CHECK;
/* NULL: none, which an empty one is too. Borrowed from the query. */
const char *s3_read_delimiter(const struct s3_request *request);
/* <TAG> with the owner's id and name. ACL is the value of S3_METADATA_ACL of what is listed, or
 * NULL: it is the owner's of the request's bucket. */
void s3_owner_xml(const struct s3_request *request, const char *tag, const char *acl,
		  struct eos_buf *buf);
