/*
 * The operations on a bucket's configuration, all chosen by a parameter of the query. s3_route.c
 * looks here first.
 */
#include "s3/s3_priv.h"

#define PARAMS(name)                                                                               \
	(const char *const[])                                                                      \
	{                                                                                          \
		name, NULL                                                                         \
	}
#define ROW(method, selector, body, end, action)                                                   \
	{                                                                                          \
		method, S3_LEVEL_BUCKET, selector, false, body, PARAMS(selector), NULL, end,       \
			action                                                                     \
	}
#define OBJECT_ROW(method, selector, body, end, action)                                            \
	{                                                                                          \
		method, S3_LEVEL_OBJECT, selector, false, body,                                    \
			(const char *const[]){selector, "versionId", NULL}, NULL, end, action      \
	}
/* A document that can be got, put and deleted; DELETE asks for DELETE_ACTION. */
#define DOCUMENT(selector, name, delete_action)                                                    \
	ROW("GET", selector, S3_BODY_UNUSED, s3_get_document, "Get" name),                         \
		ROW("PUT", selector, S3_BODY_XML, s3_put_document, "Put" name),                    \
		ROW("DELETE", selector, S3_BODY_UNUSED, s3_delete_document, delete_action)

const struct s3_operation s3_bucket_operations[] = {
	DOCUMENT("policy", "BucketPolicy", "DeleteBucketPolicy"),
	DOCUMENT("tagging", "BucketTagging", "PutBucketTagging"),
	DOCUMENT("publicAccessBlock", "BucketPublicAccessBlock", "PutBucketPublicAccessBlock"),
	DOCUMENT("ownershipControls", "BucketOwnershipControls", "PutBucketOwnershipControls"),
	DOCUMENT("cors", "BucketCORS", "PutBucketCORS"),
	DOCUMENT("lifecycle", "LifecycleConfiguration", "PutLifecycleConfiguration"),
	ROW("GET", "notification", S3_BODY_UNUSED, s3_get_document, "GetBucketNotification"),
	ROW("PUT", "notification", S3_BODY_XML, s3_put_notification, "PutBucketNotification"),
	ROW("GET", "policyStatus", S3_BODY_UNUSED, s3_get_policy_status, "GetBucketPolicyStatus"),
	ROW("GET", "versioning", S3_BODY_UNUSED, s3_get_versioning, "GetBucketVersioning"),
	ROW("PUT", "versioning", S3_BODY_XML, s3_put_versioning, "PutBucketVersioning"),
	ROW("GET", "encryption", S3_BODY_UNUSED, s3_get_encryption, "GetEncryptionConfiguration"),
	ROW("PUT", "encryption", S3_BODY_XML, s3_put_encryption, "PutEncryptionConfiguration"),
	ROW("DELETE", "encryption", S3_BODY_UNUSED, s3_delete_encryption,
	    "PutEncryptionConfiguration"),
	ROW("GET", "accelerate", S3_BODY_UNUSED, s3_get_absent, "GetAccelerateConfiguration"),
	ROW("GET", "logging", S3_BODY_UNUSED, s3_get_absent, "GetBucketLogging"),
	ROW("GET", "replication", S3_BODY_UNUSED, s3_get_absent, "GetReplicationConfiguration"),
	ROW("DELETE", "replication", S3_BODY_UNUSED, s3_delete_absent,
	    "PutReplicationConfiguration"),
	ROW("GET", "requestPayment", S3_BODY_UNUSED, s3_get_absent, "GetBucketRequestPayment"),
	ROW("GET", "website", S3_BODY_UNUSED, s3_get_absent, "GetBucketWebsite"),
	ROW("DELETE", "website", S3_BODY_UNUSED, s3_delete_absent, "DeleteBucketWebsite"),
	ROW("GET", "acl", S3_BODY_UNUSED, s3_get_bucket_acl, "GetBucketAcl"),
	ROW("PUT", "acl", S3_BODY_XML, s3_put_bucket_acl, "PutBucketAcl"),
	OBJECT_ROW("GET", "acl", S3_BODY_UNUSED, s3_get_object_acl, "GetObjectAcl"),
	OBJECT_ROW("PUT", "acl", S3_BODY_XML, s3_put_object_acl, "PutObjectAcl"),
};
const size_t s3_bucket_operations_count = EOS_ARRAY_SIZE(s3_bucket_operations);
