/*
 * Server-side encryption as S3's headers ask for it.
 *
 * - SSE-S3: x-amz-server-side-encryption: AES256, or the bucket's default. The store's own keys.
 * - SSE-C: the client's key in three headers (algorithm, key, its MD5), with each request for the
 *   object. We keep nothing of it but what it wraps (STORE_META_CUSTOMER_KEY). A copy may have two:
 *   the source's in x-amz-copy-source-server-side-encryption-customer-….
 * - Keys of KMS: NotImplemented.
 *
 * A customer's key is taken over TLS, and in plain HTTP only where nobody but this machine can
 * hear it: on a server that listens on a loopback address.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "s3/s3_error.h"
#include "store/store.h"

struct s3_request;

struct s3_customer_key {
	bool is_given;
	uint8_t key[STORE_CUSTOMER_KEY_SIZE];
	char md5[25]; /* of KEY, in base64 */
};

struct s3_encryption {
	bool is_wanted; /* x-amz-server-side-encryption: AES256 */
	struct s3_customer_key customer, source;
};

/* Checks all those headers, fills request->encryption. */
enum s3_code s3_read_encryption(struct s3_request *request);
/* What a new object of the request is encrypted with, into its metadata INFO and the headers of the
 * answer. */
enum s3_code s3_take_encryption(struct s3_request *request, struct store_object_info *info);
/* The same for a part of request->multipart; what it says must fit to how that began. */
enum s3_code s3_take_part_encryption(struct s3_request *request, struct store_object_info *info);
/* store_upload_begin_encrypted() as INFO and the request say. */
int s3_begin_encrypted(struct s3_request *request, const char *bucket, const char *key,
		       size_t key_len, const struct store_object_info *info,
		       struct store_upload **ret_upload);
/* Whether KEY is given where INFO's object needs one, and only there. */
enum s3_code s3_check_customer_key(struct s3_request *request, const struct s3_customer_key *key,
				   const struct store_object_info *info);
/* Headers of the answer that tell how INFO's object is encrypted. */
void s3_add_encryption(struct s3_request *request, const struct store_object_info *info);
