/*
 * Access control lists: who owns a bucket or object, and who else may do what with it.
 *
 * Canned lists ("public-read"), grants in headers and AccessControlPolicy documents all become a
 * struct s3_acl, which is kept as a short text. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/macros.h"
#include "s3/s3_error.h"
#include "store/store.h"

#define S3_GRANTS_MAX	 100u
#define S3_ACL_TEXT_MAX	 2048u /* of what is kept with an object */
#define S3_EVERYBODY	 "*"   /* the group AllUsers */
#define S3_AUTHENTICATED "+"   /* the group AuthenticatedUsers */

enum s3_permission {
	S3_PERMISSION_READ = 1,
	S3_PERMISSION_WRITE = 2,
	S3_PERMISSION_READ_ACP = 4,
	S3_PERMISSION_WRITE_ACP = 8,
	S3_PERMISSION_FULL = 15,
};

struct s3_grant {
	unsigned permission;		    /* one of the above */
	char grantee[STORE_TENANT_MAX + 1]; /* a tenant's id, S3_EVERYBODY or S3_AUTHENTICATED */
};
struct s3_acl {
	char owner[STORE_TENANT_MAX + 1]; /* a tenant's id */
	size_t count;
	struct s3_grant grants[S3_GRANTS_MAX];
};

/* Only OWNER, who has FULL_CONTROL. */
void s3_acl_private(struct s3_acl *acl, const char *owner);
/* Adds a grant. S3_INVALID_ARGUMENT: too many. */
enum s3_code s3_acl_grant(struct s3_acl *acl, unsigned permission,
			  const char *grantee) EOS_MUST_CHECK;
/* The canned list NAME for something of OWNER's in a bucket of BUCKET_OWNER's.
 * S3_INVALID_ARGUMENT. */
enum s3_code s3_acl_canned(const char *name, const char *owner, const char *bucket_owner,
			   struct s3_acl *ret_acl) EOS_MUST_CHECK;
/* Adds what an x-amz-grant-… header says: `id="acme", uri="http://…"`. S3_INVALID_ARGUMENT,
 * S3_UNRESOLVABLE_EMAIL. */
enum s3_code s3_acl_read_header(const char *text, unsigned permission,
				struct s3_acl *acl) EOS_MUST_CHECK;
/* An AccessControlPolicy document. S3_MALFORMED_ACL, S3_INVALID_ARGUMENT,
 * S3_UNRESOLVABLE_EMAIL. */
enum s3_code s3_acl_read_xml(const char *text, size_t len, struct s3_acl *ret_acl) EOS_MUST_CHECK;
/* The same document, appended to BUF. */
void s3_acl_write_xml(const struct s3_acl *acl, struct eos_buf *buf);

/* "acme FULL_CONTROL=acme READ=*", appended to BUF; and back: -EINVAL. */
void s3_acl_encode(const struct s3_acl *acl, struct eos_buf *buf);
int s3_acl_decode(const char *text, size_t len, struct s3_acl *ret_acl) EOS_MUST_CHECK;

/* Has TENANT (an id; NULL: anonymous) PERMISSION? Groups do not count if IGNORES_PUBLIC. */
bool s3_acl_allows(const struct s3_acl *acl, const char *tenant, unsigned permission,
		   bool ignores_public);
/* Is there a grant to a group? */
bool s3_acl_is_public(const struct s3_acl *acl);
