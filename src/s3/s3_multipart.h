/* What the files about multipart uploads share; the layout is told in s3_multipart.c. */
#pragma once

#include "s3/s3_object_priv.h"

#define S3_UPLOAD_ID_BYTES  24u
#define S3_UPLOAD_ID_DIGITS (2 * S3_UPLOAD_ID_BYTES)
#define S3_PIECE_NAME_SIZE  (STORE_BUCKET_NAME_MAX + S3_UPLOAD_ID_DIGITS + 16)
/* In front of the names of metadata that the object to be shall have. */
#define S3_METADATA_TO_BE "="

/* An upload under way, as it was found. */
struct s3_upload {
	char id[S3_UPLOAD_ID_DIGITS + 1];
	char pieces[STORE_BUCKET_NAME_MAX + 1]; /* the bucket of its parts */
	struct s3_checksum_record sum;		/* the kind and type that it shall have */
	struct store_object_info info;		/* of its entry */
};
/* Finds the upload that the query names: request->multipart. S3_NO_SUCH_UPLOAD, and that stays what
 * it was. */
enum s3_code s3_find_upload(struct s3_request *request) EOS_MUST_CHECK;
/* Uploads outlive their bucket: does this one belong to the owner of the request's bucket, or to
 * one who had a bucket of that name before? */
bool s3_is_upload_ours(const struct s3_request *request, const struct store_object_info *entry);
/* "BUCKET/m/ID", and "BUCKET/p/ID/p00001" of request->multipart. Return the length. */
size_t s3_entry_name(const struct s3_request *request, const char *id,
		     char out[S3_PIECE_NAME_SIZE]);
size_t s3_part_name(const struct s3_request *request, unsigned number,
		    char out[S3_PIECE_NAME_SIZE]);
/* Deletes request->multipart with its parts. */
enum s3_code s3_remove_upload(struct s3_request *request) EOS_MUST_CHECK;

/* A number in the query, at most MAX; *VALUE stays when it is not given. */
enum s3_code s3_read_limit(struct s3_request *request, const char *name, uint64_t max,
			   uint64_t *value) EOS_MUST_CHECK;
/* Whether names in the answer are to be encoded. S3_INVALID_ARGUMENT. */
enum s3_code s3_read_encoding(struct s3_request *request, bool *ret_is_url) EOS_MUST_CHECK;
