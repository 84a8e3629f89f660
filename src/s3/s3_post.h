/* Uploads by HTML forms; see s3_post.c. For the files of this folder. */
#pragma once

#include <stddef.h>

#include "base/macros.h"
#include "s3/s3_error.h"

struct s3_request;

enum s3_code s3_post_begin(struct s3_request *request);
/* The sink of S3_BODY_FORM; ctx is the request. */
int s3_post_sink(void *ctx, const void *data, size_t len);
/* Why the form was refused, or CODE. */
enum s3_code s3_post_code(const struct s3_request *request, enum s3_code code);
enum s3_code s3_post_end(struct s3_request *request);
/* A field of the form, NULL: it has none, or the request is no form. */
const char *s3_post_field(const struct s3_request *request, const char *name);
void s3_post_free(struct s3_request *request);
/* s3_object_put.c: makes the upload an object; its ETag in quotes goes to ETAG. */
enum s3_code s3_post_commit(struct s3_request *request, char *etag, size_t size) EOS_MUST_CHECK;
