/*
 * Who may do what: the one place that decides it, for every request.
 *
 * Credentials belong to a tenant; the operator of the node is one like the others ("edgeos" to
 * clients, "" in the store). In this order:
 *
 *   1. A Deny of the bucket's policy refuses, the owner too (who can still change the policy).
 *   2. The bucket's owner may do everything.
 *   3. An Allow of the policy allows, unless the policy is public and the public access block says
 *      that such ones do not count.
 *   4. The access control list of the bucket, or of the object for reading it, allows; its groups
 *      only if the public access block lets them.
 *   5. Everybody else is refused, anonymous or not.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/macros.h"
#include "s3/s3_acl.h"
#include "s3/s3_error.h"
#include "store/store.h"

struct s3_request;

/* What a tenant is called in owners, grants and principals. Borrowed from TENANT. */
const char *s3_owner_id(const char *tenant);

struct s3_access {
	const char *action; /* "GetObject"; NULL: what only the bucket's owner may */
	const char *bucket;
	const char *key; /* "" for the bucket; ends with NUL */
	size_t key_len;
	uint64_t version;
};
/* S3_OK, S3_ACCESS_DENIED, or why it cannot be known (S3_NO_SUCH_BUCKET). */
enum s3_code s3_access_check(struct s3_request *request,
			     const struct s3_access *access) EOS_MUST_CHECK;
/* The same for what the request itself is about; also fills in request->settings. */
enum s3_code s3_access_check_request(struct s3_request *request) EOS_MUST_CHECK;

/* The lists themselves: of the request's bucket, or of INFO, an object in it. */
enum s3_code s3_bucket_acl(struct s3_request *request, const char *bucket,
			   const struct store_bucket_settings *settings,
			   struct s3_acl *ret_acl) EOS_MUST_CHECK;
enum s3_code s3_object_acl(const struct store_bucket_settings *settings,
			   const struct store_object_info *info,
			   struct s3_acl *ret_acl) EOS_MUST_CHECK;
/* A document of BUCKET's, appended to OUT: S3_OK also when there is none. */
enum s3_code s3_read_document(struct s3_request *request, const char *bucket, const char *name,
			      struct eos_buf *out) EOS_MUST_CHECK;

/* What PublicAccessBlock says; all false without one. */
struct s3_public_block {
	bool block_acls, ignore_acls, block_policy, restrict_buckets;
};
enum s3_code s3_public_block(struct s3_request *request, const char *bucket,
			     struct s3_public_block *ret_block) EOS_MUST_CHECK;
/* The list that x-amz-acl, x-amz-grant-… or (LEN > 0) an XML body ask for, in a bucket whose owner
 * is BUCKET_OWNER. *RET_IS_GIVEN: there was one. */
enum s3_code s3_acl_of_request(struct s3_request *request, const char *owner,
			       const char *bucket_owner, const char *xml, size_t xml_len,
			       struct s3_acl *ret_acl, bool *ret_is_given) EOS_MUST_CHECK;
/* Whose what others write into a bucket becomes. */
enum s3_ownership { S3_OWNED_BY_WRITER, S3_OWNER_PREFERRED, S3_OWNER_ENFORCED };
enum s3_code s3_ownership(struct s3_request *request, const char *bucket,
			  enum s3_ownership *ret_ownership) EOS_MUST_CHECK;
/* Do lists not count here (BucketOwnerEnforced)? */
enum s3_code s3_has_no_acls(struct s3_request *request, const char *bucket,
			    bool *ret_has_none) EOS_MUST_CHECK;
/* S3_INVALID_ACL_OWNERSHIP: the request's bucket lets others in by its list, which would not count
 * with BucketOwnerEnforced. */
enum s3_code s3_check_enforceable(struct s3_request *request) EOS_MUST_CHECK;
/* Adds to INFO, of a new object, whose it is, who else may read it, and that it is encrypted; the
 * answer will say the latter. */
enum s3_code s3_take_defaults(struct s3_request *request,
			      struct store_object_info *info) EOS_MUST_CHECK;
