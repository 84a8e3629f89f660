/* PutObject, and what all operations that make an object share. */
#include "s3/s3_object_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "s3/s3_access.h"

int s3_upload_sink(void *ctx, const void *data, size_t len)
{
	struct s3_request *request = ctx;
	int err = s3_checksum_update(&request->form_sum, data, len);
	if (err < 0)
		return err;
	err = store_upload_write(request->upload, data, len, request->offset);
	request->offset += len;
	return err;
}

enum s3_code s3_new_object(struct s3_request *request)
{
	free(request->object);
	request->object = calloc(1, sizeof(*request->object));
	return request->object != NULL ? S3_OK : S3_INTERNAL_ERROR;
}

enum s3_code s3_begin_upload(struct s3_request *request)
{
	int err = s3_begin_encrypted(request, request->bucket, request->key, request->key_len,
				     request->object, &request->upload);
	/* Completion of an upload that began with another key, or without one. */
	if (err == -EKEYREJECTED || (err == -EINVAL && request->encryption.customer.is_given))
		return s3_say(request, S3_INVALID_REQUEST,
			      "The provided encryption parameters did not match the ones used "
			      "originally.");
	return s3_code_of(err, S3_NO_SUCH_BUCKET);
}

enum s3_code s3_commit_upload(struct s3_request *request, enum store_event_kind event,
			      struct store_object_info *info)
{
	struct store_upload *upload = request->upload;
	bool is_match = request->put.condition == STORE_IF_MATCH;

	request->upload = NULL;
	request->put.event = event;
	int err = store_upload_commit(upload, &request->put, info);
	return s3_code_of(err, is_match ? S3_NO_SUCH_KEY : S3_NO_SUCH_BUCKET);
}

enum s3_code s3_take_object(struct s3_request *request)
{
	enum s3_code code = s3_take_metadata(request, request->object);
	if (code == S3_OK)
		code = s3_take_tags(request, request->object);
	if (code == S3_OK)
		code = s3_take_lock(request, request->object);
	if (code == S3_OK)
		code = s3_take_defaults(request, request->object);
	return code;
}

/* Who announces more than fits hears it before he sends it; the commit asks again. Where there is a
 * condition it decides first, and it is looked at then. */
static enum s3_code check_quota(struct s3_request *request)
{
	uint64_t bytes;
	if (request->post != NULL || request->put.condition != STORE_ALWAYS ||
	    !http_request_content_length(request->http, &bytes))
		return S3_OK;
	if (request->body.has_expected)
		bytes = request->body.expected_bytes;
	int err = store_quota_check(request->server->store, request->bucket, request->key,
				    request->key_len, bytes);
	return s3_code_of(err, S3_NO_SUCH_BUCKET);
}

enum s3_code s3_put_object_begin(struct s3_request *request)
{
	enum s3_code code = s3_new_object(request);
	if (code == S3_OK)
		code = request->post != NULL ? s3_begin_form_checksum(request)
					     : s3_check_announced(request);
	if (code == S3_OK)
		code = s3_read_put_condition(request);
	if (code == S3_OK)
		code = check_quota(request);
	if (code == S3_OK)
		code = s3_take_object(request);
	return code == S3_OK ? s3_begin_upload(request) : code;
}

void s3_add_etag(struct s3_request *request, const struct store_object_info *info)
{
	char etag[S3_ETAG_TEXT_SIZE];
	snprintf(etag, sizeof(etag), "\"%s\"", s3_etag_of(info));
	s3_add_header(request, "ETag", etag);
}

enum s3_code s3_put_object(struct s3_request *request)
{
	struct s3_checksum_record sum;

	enum s3_code code = s3_keep_body_checksum(request);
	if (code != S3_OK)
		return code;
	s3_checksum_of(request->object, &sum);
	code = s3_commit_upload(request, STORE_EVENT_CREATED, request->object);
	if (code != S3_OK)
		return code;
	s3_add_etag(request, request->object);
	s3_add_new_version(request);
	s3_add_checksum(request, &sum);
	s3_add_expiration(request, request->object);
	s3_respond(request, 200, NULL, 0, NULL, 0);
	return S3_OK;
}

enum s3_code s3_post_commit(struct s3_request *request, char *etag, size_t size)
{
	struct s3_checksum_record sum;

	enum s3_code code = s3_end_form_checksum(request);
	if (code != S3_OK)
		return code;
	s3_checksum_of(request->object, &sum);
	code = s3_commit_upload(request, STORE_EVENT_CREATED_POST, request->object);
	if (code != S3_OK)
		return code;
	s3_add_checksum(request, &sum);
	snprintf(etag, size, "\"%s\"", request->object->etag);
	s3_add_new_version(request);
	s3_add_expiration(request, request->object);
	return S3_OK;
}
