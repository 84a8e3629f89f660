/* PutObject, CopyObject, DeleteObject, DeleteObjects. */
#include "s3/s3_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "s3/s3_access.h"
#include "s3/s3_xml.h"
#include "s3/s3_xml_read.h"

int s3_upload_sink(void *ctx, const void *data, size_t len)
{
	struct s3_request *request = ctx;
	int err = store_upload_write(request->upload, data, len, request->offset);
	request->offset += len;
	return err;
}

static enum s3_code read_condition(struct s3_request *request)
{
	const char *none_match = s3_header(request, "if-none-match");
	if (s3_header(request, "if-match") != NULL ||
	    (none_match != NULL && strcmp(none_match, "*") != 0))
		return s3_say(request, S3_NOT_IMPLEMENTED,
			      "Of conditional writes only If-None-Match: * is implemented.");
	request->condition = none_match != NULL ? STORE_IF_ABSENT : STORE_ALWAYS;
	return S3_OK;
}

/* Begins an upload at the request's key. INFO is big, so it is not on a connection's stack. */
static enum s3_code begin_upload(struct s3_request *request, const struct store_object_info *info)
{
	int err = store_upload_begin(request->server->store, request->bucket, request->key,
				     request->key_len, info, &request->upload);
	return s3_code_of(err, S3_NO_SUCH_BUCKET);
}

enum s3_code s3_put_object_begin(struct s3_request *request)
{
	struct store_object_info *info = calloc(1, sizeof(*info));
	if (info == NULL)
		return S3_INTERNAL_ERROR;
	enum s3_code code = read_condition(request);
	if (code == S3_OK)
		code = s3_take_metadata(request, info);
	if (code == S3_OK)
		code = begin_upload(request, info);
	free(info);
	return code;
}

/* Commits the request's upload. */
static enum s3_code commit(struct s3_request *request, struct store_object_info *info)
{
	struct store_upload *upload = request->upload;
	request->upload = NULL;
	struct store_put_options options = {.condition = request->condition};
	int err = store_upload_commit(upload, &options, info);
	return s3_code_of(err, S3_NO_SUCH_BUCKET);
}

enum s3_code s3_put_object(struct s3_request *request)
{
	char etag[80];
	struct store_object_info *info = malloc(sizeof(*info));
	if (info == NULL)
		return S3_INTERNAL_ERROR;
	enum s3_code code = commit(request, info);
	if (code == S3_OK) {
		snprintf(etag, sizeof(etag), "\"%s\"", info->etag);
		const struct http_header headers[] = {{"ETag", etag}};
		s3_respond(request, 200, headers, EOS_ARRAY_SIZE(headers), NULL, 0);
	}
	free(info);
	return code;
}

enum s3_code s3_post_commit(struct s3_request *request, char *etag, size_t size)
{
	struct store_object_info *info = malloc(sizeof(*info));
	if (info == NULL)
		return S3_INTERNAL_ERROR;
	enum s3_code code = commit(request, info);
	if (code == S3_OK)
		snprintf(etag, size, "\"%s\"", info->etag);
	free(info);
	return code;
}

int s3_copy_bytes(struct store_reader *reader, uint64_t offset, uint64_t len,
		  struct store_upload *upload, uint64_t *upload_offset)
{
	char *block = malloc(S3_COPY_BLOCK_BYTES);
	int64_t n = block != NULL ? 0 : -ENOMEM;

	while (n >= 0 && len > 0) {
		size_t want = len < S3_COPY_BLOCK_BYTES ? (size_t)len : S3_COPY_BLOCK_BYTES;
		n = store_reader_read(reader, block, want, offset);
		if (n == 0)
			n = -EIO;
		if (n < 0)
			break;
		int err = store_upload_write(upload, block, (size_t)n, *upload_offset);
		if (err < 0) {
			n = err;
			break;
		}
		offset += (uint64_t)n;
		*upload_offset += (uint64_t)n;
		len -= (uint64_t)n;
	}
	free(block);
	return n < 0 ? (int)n : 0;
}

/* "/bucket/key" or "bucket/key", percent-encoded. */
static enum s3_code parse_copy_source(struct s3_request *request, const char *text,
				      char bucket[STORE_BUCKET_NAME_MAX + 1],
				      char key[STORE_KEY_MAX + 1], size_t *key_len)
{
	text += *text == '/';
	size_t len = strcspn(text, "/");
	if (text[len] != '/' || len > STORE_BUCKET_NAME_MAX)
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "Copy Source must mention the source bucket and key: "
			      "sourcebucket/sourcekey");
	memcpy(bucket, text, len);
	bucket[len] = '\0';
	if (s3_check_bucket_name(bucket) != S3_OK)
		return S3_INVALID_BUCKET_NAME;
	text += len + 1;
	if (strstr(text, "?versionId=") != NULL)
		return s3_say(request, S3_NOT_IMPLEMENTED, "Versions are not implemented.");
	enum s3_code code = s3_decode_key(request, text, strlen(text), key, key_len);
	if (code == S3_OK && *key_len == 0)
		return S3_INVALID_ARGUMENT;
	return code;
}

enum s3_code s3_open_copy_source(struct s3_request *request, struct store_reader **ret_reader)
{
	char bucket[STORE_BUCKET_NAME_MAX + 1], key[STORE_KEY_MAX + 1];
	struct store_reader *reader;
	struct store_bucket_info info;
	size_t key_len;

	enum s3_code code = parse_copy_source(request, s3_header(request, "x-amz-copy-source"),
					      bucket, key, &key_len);
	if (code != S3_OK)
		return code;
	const struct s3_access access = {
		.action = "GetObject",
		.bucket = bucket,
		.key = key,
		.key_len = key_len,
		.version = STORE_VERSION_LATEST,
	};
	code = s3_access_check(request, &access);
	if (code != S3_OK)
		return code;
	struct store *store = request->server->store;
	int err = store_reader_open(store, bucket, key, key_len, STORE_VERSION_LATEST, &reader);
	if (err == -ENOENT && store_bucket_get(store, bucket, &info) == -ENOENT)
		return S3_NO_SUCH_BUCKET;
	if (err < 0)
		return s3_code_of(err, S3_NO_SUCH_KEY);
	const struct s3_condition_headers conditions = {
		.if_match = s3_header(request, "x-amz-copy-source-if-match"),
		.if_none_match = s3_header(request, "x-amz-copy-source-if-none-match"),
		.if_modified_since = s3_header(request, "x-amz-copy-source-if-modified-since"),
		.if_unmodified_since = s3_header(request, "x-amz-copy-source-if-unmodified-since"),
	};
	if (s3_check_conditions(&conditions, store_reader_info(reader)) != S3_OK) {
		store_reader_close(reader);
		return S3_PRECONDITION_FAILED;
	}
	*ret_reader = reader;
	return S3_OK;
}

/* The new object's metadata: the source's or the request's. */
static enum s3_code copy_metadata(struct s3_request *request,
				  const struct store_object_info *source,
				  struct store_object_info *info)
{
	const char *directive = s3_header(request, "x-amz-metadata-directive");
	const char *name, *value;
	uint32_t offset = 0;

	if (directive != NULL && strcmp(directive, "REPLACE") == 0)
		return s3_take_metadata(request, info);
	if (directive != NULL && strcmp(directive, "COPY") != 0)
		return s3_say(request, S3_INVALID_ARGUMENT, "Unknown metadata directive.");
	while (s3_next_metadata(source, &offset, &name, &value))
		if (name[0] != '.' && store_metadata_add(info, name, value) < 0)
			return S3_METADATA_TOO_LARGE;
	return S3_OK;
}

/* S3 refuses a copy that changes nothing. */
static bool is_pointless(const struct s3_request *request)
{
	const char *directive = s3_header(request, "x-amz-metadata-directive");
	const char *source = s3_header(request, "x-amz-copy-source");
	size_t bucket_len = strlen(request->bucket);
	char key[3 * STORE_KEY_MAX + 1];

	source += *source == '/';
	if ((directive != NULL && strcmp(directive, "REPLACE") == 0) ||
	    strncmp(source, request->bucket, bucket_len) != 0 || source[bucket_len] != '/')
		return false;
	source += bucket_len + 1;
	size_t len = strlen(source);
	long n = len < sizeof(key) ? eos_percent_decode(source, len, key) : -1;
	return n >= 0 && (size_t)n == request->key_len && memcmp(key, request->key, (size_t)n) == 0;
}

static enum s3_code copy(struct s3_request *request, struct store_reader *reader,
			 struct store_object_info *info)
{
	const struct store_object_info *source = store_reader_info(reader);

	if (source->size > S3_PUT_BYTES_MAX)
		return S3_ENTITY_TOO_LARGE;
	enum s3_code code = copy_metadata(request, source, info);
	if (code == S3_OK)
		code = read_condition(request);
	if (code == S3_OK)
		code = begin_upload(request, info);
	if (code != S3_OK)
		return code;
	int err = s3_copy_bytes(reader, 0, source->size, request->upload, &request->offset);
	return err < 0 ? s3_code_of(err, S3_INTERNAL_ERROR) : commit(request, info);
}

enum s3_code s3_copy_object(struct s3_request *request)
{
	struct store_reader *reader;
	struct eos_buf buf;

	enum s3_code code = s3_open_copy_source(request, &reader);
	if (code != S3_OK)
		return code;
	struct store_object_info *info = calloc(1, sizeof(*info));
	if (is_pointless(request))
		code = s3_say(request, S3_INVALID_REQUEST,
			      "This copy request is illegal because it is trying to copy an "
			      "object to itself without changing its metadata.");
	else
		code = info != NULL ? copy(request, reader, info) : S3_INTERNAL_ERROR;
	store_reader_close(reader);
	if (code == S3_OK) {
		eos_buf_init(&buf);
		s3_xml_begin(&buf, "CopyObjectResult");
		s3_xml_time(&buf, "LastModified", info->modified_ns);
		eos_buf_printf(&buf, "<ETag>&quot;%s&quot;</ETag>", s3_etag_of(info));
		s3_xml_close(&buf, "CopyObjectResult");
		code = s3_respond_xml(request, &buf);
	}
	free(info);
	return code;
}

enum s3_code s3_delete_object(struct s3_request *request)
{
	struct store *store = request->server->store;
	struct store_bucket_info bucket;

	int err = store_object_delete(store, request->bucket, request->key, request->key_len, NULL,
				      NULL);
	if (err == -ENOENT && store_bucket_get(store, request->bucket, &bucket) == -ENOENT)
		return S3_NO_SUCH_BUCKET;
	if (err < 0 && err != -ENOENT)
		return s3_code_of(err, S3_NO_SUCH_KEY);
	s3_respond(request, 204, NULL, 0, NULL, 0);
	return S3_OK;
}

static void delete_one(struct s3_request *request, const struct s3_delete_key *entry, bool is_quiet,
		       struct eos_buf *buf)
{
	size_t len = strlen(entry->key);
	enum s3_code code = S3_OK;

	const struct s3_access access = {
		.action = "DeleteObject",
		.bucket = request->bucket,
		.key = entry->key,
		.key_len = len,
		.version = STORE_VERSION_LATEST,
	};

	if (entry->has_version) {
		code = S3_NOT_IMPLEMENTED;
	} else if (len == 0 || len > STORE_KEY_MAX) {
		code = len == 0 ? S3_INVALID_ARGUMENT : S3_KEY_TOO_LONG;
	} else if ((code = s3_access_check(request, &access)) == S3_OK) {
		int err = store_object_delete(request->server->store, request->bucket, entry->key,
					      len, NULL, NULL);
		code = err == -ENOENT ? S3_OK : s3_code_of(err, S3_NO_SUCH_KEY);
	}
	if (code == S3_OK && is_quiet)
		return;
	s3_xml_open(buf, code == S3_OK ? "Deleted" : "Error");
	s3_xml_bytes(buf, "Key", entry->key, len);
	if (code != S3_OK) {
		s3_xml_text(buf, "Code", s3_code_name(code));
		s3_xml_text(buf, "Message", s3_code_message(code));
	}
	s3_xml_close(buf, code == S3_OK ? "Deleted" : "Error");
}

enum s3_code s3_delete_objects(struct s3_request *request)
{
	struct store_bucket_info bucket;
	struct s3_delete_list list;
	struct eos_buf buf;

	int err = store_bucket_get(request->server->store, request->bucket, &bucket);
	if (err < 0)
		return s3_code_of(err, S3_NO_SUCH_BUCKET);
	err = s3_xml_read_delete(request->xml.data, request->xml.len, &list);
	if (err < 0)
		return err == -ENOMEM ? S3_INTERNAL_ERROR : S3_MALFORMED_XML;
	eos_buf_init(&buf);
	s3_xml_begin(&buf, "DeleteResult");
	for (size_t i = 0; i < list.count; i++)
		delete_one(request, &list.keys[i], list.is_quiet, &buf);
	s3_xml_close(&buf, "DeleteResult");
	s3_delete_list_fini(&list);
	return s3_respond_xml(request, &buf);
}
