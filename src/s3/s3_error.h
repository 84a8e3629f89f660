/*
 * S3's error codes: what an operation answers when it does not succeed. One table holds name,
 * HTTP status and text of each.
 */
#pragma once

/* NAME, S3's spelling, HTTP status, message. In order of names. */
#define S3_CODES(X)                                                                                \
	X(ACCESS_DENIED, "AccessDenied", 403, "Access Denied")                                     \
	X(AUTH_HEADER_MALFORMED, "AuthorizationHeaderMalformed", 400,                              \
	  "The authorization header you provided is invalid.")                                     \
	X(AUTH_QUERY_ERROR, "AuthorizationQueryParametersError", 400,                              \
	  "The authorization query parameters that you provided are not valid.")                   \
	X(BAD_DIGEST, "BadDigest", 400,                                                            \
	  "The Content-MD5 or checksum value that you specified did not match what the server "    \
	  "received.")                                                                             \
	X(BUCKET_OWNED_BY_YOU, "BucketAlreadyOwnedByYou", 409,                                     \
	  "The bucket that you tried to create already exists, and you own it.")                   \
	X(BUCKET_NOT_EMPTY, "BucketNotEmpty", 409,                                                 \
	  "The bucket that you tried to delete is not empty.")                                     \
	X(ENTITY_TOO_LARGE, "EntityTooLarge", 400,                                                 \
	  "Your proposed upload exceeds the maximum allowed object size.")                         \
	X(ENTITY_TOO_SMALL, "EntityTooSmall", 400,                                                 \
	  "Your proposed upload is smaller than the minimum allowed object size.")                 \
	X(ILLEGAL_LOCATION, "IllegalLocationConstraintException", 400,                             \
	  "The specified location constraint is not valid for this node.")                         \
	X(INCOMPLETE_BODY, "IncompleteBody", 400,                                                  \
	  "You did not provide the number of bytes specified by the Content-Length HTTP header.")  \
	X(INSUFFICIENT_STORAGE, "InsufficientStorage", 507, "The node's disk is full.")            \
	X(INTERNAL_ERROR, "InternalError", 500, "An internal error occurred. Try again.")          \
	X(INVALID_ACCESS_KEY, "InvalidAccessKeyId", 403,                                           \
	  "The access key ID that you provided does not exist in our records.")                    \
	X(INVALID_ARGUMENT, "InvalidArgument", 400, "Invalid argument.")                           \
	X(INVALID_BUCKET_NAME, "InvalidBucketName", 400, "The specified bucket is not valid.")     \
	X(INVALID_DIGEST, "InvalidDigest", 400,                                                    \
	  "The Content-MD5 or checksum value that you specified is not valid.")                    \
	X(INVALID_PART, "InvalidPart", 400,                                                        \
	  "One or more of the specified parts could not be found, or its entity tag did not "      \
	  "match.")                                                                                \
	X(INVALID_PART_ORDER, "InvalidPartOrder", 400,                                             \
	  "The list of parts was not in ascending order.")                                         \
	X(INVALID_RANGE, "InvalidRange", 416, "The requested range is not satisfiable.")           \
	X(INVALID_REQUEST, "InvalidRequest", 400, "Invalid request.")                              \
	X(INVALID_TOKEN, "InvalidToken", 400, "Session tokens are not known to this node.")        \
	X(INVALID_URI, "InvalidURI", 400, "The specified URI could not be parsed.")                \
	X(KEY_TOO_LONG, "KeyTooLongError", 400, "Your key is too long.")                           \
	X(MALFORMED_XML, "MalformedXML", 400,                                                      \
	  "The XML that you provided was not well formed or did not validate.")                    \
	X(METADATA_TOO_LARGE, "MetadataTooLarge", 400,                                             \
	  "Your metadata headers exceed the maximum allowed metadata size.")                       \
	X(METHOD_NOT_ALLOWED, "MethodNotAllowed", 405,                                             \
	  "The specified method is not allowed against this resource.")                            \
	X(MISSING_LENGTH, "MissingContentLength", 411,                                             \
	  "You must provide the Content-Length HTTP header.")                                      \
	X(NO_SUCH_BUCKET, "NoSuchBucket", 404, "The specified bucket does not exist.")             \
	X(NO_SUCH_KEY, "NoSuchKey", 404, "The specified key does not exist.")                      \
	X(NO_SUCH_UPLOAD, "NoSuchUpload", 404, "The specified multipart upload does not exist.")   \
	X(NOT_IMPLEMENTED, "NotImplemented", 501,                                                  \
	  "A header, parameter or operation that you asked for is not implemented.")               \
	X(NOT_MODIFIED, "NotModified", 304, "Not Modified")                                        \
	X(PAYLOAD_MISMATCH, "XAmzContentSHA256Mismatch", 400,                                      \
	  "The provided 'x-amz-content-sha256' header does not match what was computed.")          \
	X(PRECONDITION_FAILED, "PreconditionFailed", 412,                                          \
	  "At least one of the preconditions that you specified did not hold.")                    \
	X(SERVICE_UNAVAILABLE, "ServiceUnavailable", 503,                                          \
	  "The store refuses writes, because the disk failed.")                                    \
	X(SIGNATURE_MISMATCH, "SignatureDoesNotMatch", 403,                                        \
	  "The request signature that the server calculated does not match the signature that "    \
	  "you provided. Check your secret access key and signing method.")                        \
	X(SLOW_DOWN, "SlowDown", 503, "Please reduce your request rate.")                          \
	X(TIME_TOO_SKEWED, "RequestTimeTooSkewed", 403,                                            \
	  "The difference between the request time and the server's time is too large.")

/* Those of versions of objects. */
#define S3_OBJECT_CODES(X)                                                                         \
	X(INVALID_ENCRYPTION, "InvalidEncryptionAlgorithmError", 400,                              \
	  "The Encryption request you specified is not valid. Supported value: AES256.")           \
	X(NO_NODE_KEY, "ServiceUnavailable", 503,                                                  \
	  "The node's key is missing, without which what is encrypted can neither be read nor "    \
	  "written.")                                                                              \
	X(NO_SUCH_LOCK, "NoSuchObjectLockConfiguration", 404,                                      \
	  "The specified object does not have a ObjectLock configuration")                         \
	X(NO_SUCH_VERSION, "NoSuchVersion", 404, "The specified version does not exist.")          \
	X(INVALID_RETENTION, "InvalidRetentionPeriod", 400, "The retention period is not valid.")  \
	X(NO_LOCK_CONFIG, "ObjectLockConfigurationNotFoundError", 404,                             \
	  "Object Lock configuration does not exist for this bucket")

/* Those of the configuration of buckets. */
#define S3_BUCKET_CODES(X)                                                                         \
	X(ACL_NOT_SUPPORTED, "AccessControlListNotSupported", 400,                                 \
	  "The bucket does not allow ACLs")                                                        \
	X(BUCKET_EXISTS, "BucketAlreadyExists", 409,                                               \
	  "The requested bucket name is not available. Please select a different name.")           \
	X(CORS_FORBIDDEN, "AccessForbidden", 403,                                                  \
	  "CORSResponse: This CORS request is not allowed.")                                       \
	X(ILLEGAL_VERSIONING, "IllegalVersioningConfigurationException", 400,                      \
	  "The versioning configuration specified in the request is not valid.")                   \
	X(INVALID_ACL_OWNERSHIP, "InvalidBucketAclWithObjectOwnership", 400,                       \
	  "Bucket cannot have ACLs set with ObjectOwnership's BucketOwnerEnforced setting")        \
	X(INVALID_BUCKET_STATE, "InvalidBucketState", 409,                                         \
	  "The request is not valid for the current state of the bucket.")                         \
	X(INVALID_POLICY_DOCUMENT, "InvalidPolicyDocument", 400,                                   \
	  "The content of the form does not meet the conditions specified in the policy "          \
	  "document.")                                                                             \
	X(INVALID_TAG, "InvalidTag", 400, "The tag provided was not a valid tag.")                 \
	X(MALFORMED_ACL, "MalformedACLError", 400,                                                 \
	  "The XML that you provided was not well formed or did not validate.")                    \
	X(MALFORMED_POLICY, "MalformedPolicy", 400, "The policy is not valid.")                    \
	X(MALFORMED_POST, "MalformedPOSTRequest", 400,                                             \
	  "The body of your POST request is not well-formed multipart/form-data.")                 \
	X(MISSING_SECURITY_HEADER, "MissingSecurityHeader", 400,                                   \
	  "Your request is missing a required header.")                                            \
	X(NO_SUCH_BUCKET_POLICY, "NoSuchBucketPolicy", 404, "The bucket policy does not exist")    \
	X(NO_SUCH_CORS, "NoSuchCORSConfiguration", 404, "The CORS configuration does not exist")   \
	X(NO_SUCH_ENCRYPTION, "ServerSideEncryptionConfigurationNotFoundError", 404,               \
	  "The server side encryption configuration was not found")                                \
	X(NO_SUCH_LIFECYCLE, "NoSuchLifecycleConfiguration", 404,                                  \
	  "The lifecycle configuration does not exist")                                            \
	X(NO_SUCH_PUBLIC_BLOCK, "NoSuchPublicAccessBlockConfiguration", 404,                       \
	  "The public access block configuration was not found")                                   \
	X(NO_SUCH_REPLICATION, "ReplicationConfigurationNotFoundError", 404,                       \
	  "The replication configuration was not found")                                           \
	X(NO_SUCH_TAG_SET, "NoSuchTagSet", 404, "The TagSet does not exist")                       \
	X(NO_SUCH_WEBSITE, "NoSuchWebsiteConfiguration", 404,                                      \
	  "The specified bucket does not have a website configuration")                            \
	X(OWNERSHIP_NOT_FOUND, "OwnershipControlsNotFoundError", 404,                              \
	  "The bucket ownership controls were not found")                                          \
	X(QUOTA_EXCEEDED, "QuotaExceeded", 403,                                                    \
	  "The quota of the bucket or its owner is used up.")                                      \
	X(UNRESOLVABLE_EMAIL, "UnresolvableGrantByEmailAddress", 400,                              \
	  "The email address you provided does not match any account on record.")

#define S3_CODE_ENUM(name, text, status, message) S3_##name,
/* S3_OK, or why not. The protocol's own vocabulary: functions that decide what a client is told
 * return one of these; everything below them returns negative errno. */
enum s3_code {
	S3_OK,
	S3_CODES(S3_CODE_ENUM) S3_OBJECT_CODES(S3_CODE_ENUM) S3_BUCKET_CODES(S3_CODE_ENUM)
		S3_CODE_COUNT
};
#undef S3_CODE_ENUM

/* Any thread. For every code but S3_OK. */
const char *s3_code_name(enum s3_code code);
unsigned s3_code_status(enum s3_code code);
const char *s3_code_message(enum s3_code code);
/* What a store's or system's error is to a client; NOT_FOUND is the code for -ENOENT. */
enum s3_code s3_code_of(int err, enum s3_code not_found);
