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
/* Finds the upload that the query names: request->multipart. S3_NO_SUCH_UPLOAD, S3_NO_SUCH_BUCKET:
 * that stays what it was. */
enum s3_code s3_find_upload(struct s3_request *request) EOS_MUST_CHECK;
/* "BUCKET/m/ID", and "BUCKET/p/ID/p00001" of request->multipart. Return the length. */
size_t s3_entry_name(const struct s3_request *request, const char *id,
		     char out[S3_PIECE_NAME_SIZE]);
size_t s3_part_name(const struct s3_request *request, unsigned number,
		    char out[S3_PIECE_NAME_SIZE]);
/* When the request's bucket was made, as S3_METADATA_BUCKET has it. S3_NO_SUCH_BUCKET. */
#define S3_BUCKET_TIME_SIZE 24u
enum s3_code s3_bucket_time(struct s3_request *request,
			    char out[S3_BUCKET_TIME_SIZE]) EOS_MUST_CHECK;
/* Deletes request->multipart with its parts. */
enum s3_code s3_remove_upload(struct s3_request *request) EOS_MUST_CHECK;
