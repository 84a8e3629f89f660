/* What the files about multipart uploads share; the layout is told in s3_multipart.c. */
#pragma once

#include "s3/s3_priv.h"

#define S3_UPLOAD_ID_BYTES 16u
#define S3_PIECE_NAME_SIZE (STORE_BUCKET_NAME_MAX + 2 * S3_UPLOAD_ID_BYTES + 16)

/* Of the upload that the query names. Returns the length. */
size_t s3_part_name(const struct s3_request *request, unsigned number,
		    char out[S3_PIECE_NAME_SIZE]);
/* The upload's metadata. S3_NO_SUCH_UPLOAD. */
enum s3_code s3_find_upload(struct s3_request *request,
			    struct store_object_info *ret_info) EOS_MUST_CHECK;
/* Deletes all pieces. */
enum s3_code s3_remove_upload(struct s3_request *request) EOS_MUST_CHECK;
