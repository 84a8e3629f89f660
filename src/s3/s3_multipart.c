/*
 * Multipart uploads, kept in a bucket of the node's own:
 *
 *   BUCKET/UPLOAD/meta      empty; its metadata is that of the object to be, and its key
 *   BUCKET/UPLOAD/p00001    a part, an object like any other
 *
 * UPLOAD is 32 random hexadecimal digits. All state is in the store, so uploads survive restarts.
 * Completion copies the parts into one new object, which becomes visible whole, and then deletes
 * the upload; a crash in between leaves parts behind that AbortMultipartUpload removes.
 *
 * The ETag of an object of N parts is the MD5 of the parts' MD5s, and "-N". It is known before the
 * copy and goes into the new object's metadata (S3_METADATA_ETAG).
 */
#include "s3/s3_priv.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "crypto/crypto.h"
#include "s3/s3_multipart.h"
#include "s3/s3_xml.h"
#include "s3/s3_xml_read.h"

/* The name of a piece of the request's upload in S3_MULTIPART_BUCKET; returns its length. */
static size_t piece_name(const struct s3_request *request, const char *upload, const char *piece,
			 char out[S3_PIECE_NAME_SIZE])
{
	return (size_t)snprintf(out, S3_PIECE_NAME_SIZE, "%s/%s/%s", request->bucket, upload,
				piece);
}

size_t s3_part_name(const struct s3_request *request, unsigned number, char out[S3_PIECE_NAME_SIZE])
{
	char piece[16];
	snprintf(piece, sizeof(piece), "p%05u", number);
	return piece_name(request, s3_query_get(&request->query, "uploadId"), piece, out);
}

enum s3_code s3_find_upload(struct s3_request *request, struct store_object_info *ret_info)
{
	const char *upload = s3_query_get(&request->query, "uploadId");
	uint8_t id[S3_UPLOAD_ID_BYTES];
	char name[S3_PIECE_NAME_SIZE];

	if (eos_hex_decode(upload, id, sizeof(id)) < 0)
		return S3_NO_SUCH_UPLOAD;
	size_t len = piece_name(request, upload, "meta", name);
	int err = store_object_get(request->server->store, S3_MULTIPART_BUCKET, name, len,
				   STORE_VERSION_LATEST, ret_info);
	if (err < 0)
		return s3_code_of(err, S3_NO_SUCH_UPLOAD);
	const char *key = store_metadata_get(ret_info, S3_METADATA_KEY);
	return key != NULL && strcmp(key, request->key) == 0 ? S3_OK : S3_NO_SUCH_UPLOAD;
}

static enum s3_code store_meta(struct s3_request *request, const char *upload_id,
			       struct store_object_info *info)
{
	struct store *store = request->server->store;
	struct store_upload *upload;
	struct store_put_options options = {.condition = STORE_IF_ABSENT};
	char name[S3_PIECE_NAME_SIZE];

	size_t len = piece_name(request, upload_id, "meta", name);
	int err = store_upload_begin(store, S3_MULTIPART_BUCKET, name, len, info, &upload);
	if (err == 0)
		err = store_upload_commit(upload, &options, NULL);
	return s3_code_of(err, S3_INTERNAL_ERROR);
}

enum s3_code s3_create_multipart(struct s3_request *request)
{
	struct store *store = request->server->store;
	struct store_bucket_info bucket;
	uint8_t id[S3_UPLOAD_ID_BYTES];
	char upload_id[2 * S3_UPLOAD_ID_BYTES + 1];
	struct eos_buf buf;

	int err = store_bucket_get(store, request->bucket, &bucket);
	if (err < 0)
		return s3_code_of(err, S3_NO_SUCH_BUCKET);
	if (crypto_random(id, sizeof(id)) < 0)
		return S3_INTERNAL_ERROR;
	eos_hex_encode(id, sizeof(id), upload_id);
	struct store_object_info *info = calloc(1, sizeof(*info));
	if (info == NULL)
		return S3_INTERNAL_ERROR;
	enum s3_code code = S3_OK;
	if (store_metadata_add(info, S3_METADATA_KEY, request->key) < 0)
		code = S3_METADATA_TOO_LARGE;
	if (code == S3_OK)
		code = s3_take_metadata(request, info);
	if (code == S3_OK)
		code = store_meta(request, upload_id, info);
	free(info);
	if (code != S3_OK)
		return code;
	eos_buf_init(&buf);
	s3_xml_begin(&buf, "InitiateMultipartUploadResult");
	s3_xml_text(&buf, "Bucket", request->bucket);
	s3_xml_bytes(&buf, "Key", request->key, request->key_len);
	s3_xml_text(&buf, "UploadId", upload_id);
	s3_xml_close(&buf, "InitiateMultipartUploadResult");
	return s3_respond_xml(request, &buf);
}

enum s3_code s3_upload_part_begin(struct s3_request *request)
{
	const char *text = s3_query_get(&request->query, "partNumber");
	char name[S3_PIECE_NAME_SIZE];
	uint64_t number;

	if (text == NULL || eos_parse_u64(text, &number) < 0 || number == 0 ||
	    number > S3_PART_NUMBER_MAX)
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "Part number must be an integer between 1 and 10000, inclusive");
	struct store_object_info *info = calloc(1, sizeof(*info));
	if (info == NULL)
		return S3_INTERNAL_ERROR;
	enum s3_code code = s3_find_upload(request, info);
	if (code == S3_OK) {
		memset(info, 0, sizeof(*info));
		size_t len = s3_part_name(request, (unsigned)number, name);
		int err = store_upload_begin(request->server->store, S3_MULTIPART_BUCKET, name, len,
					     info, &request->upload);
		code = s3_code_of(err, S3_INTERNAL_ERROR);
	}
	free(info);
	return code;
}

enum s3_code s3_upload_part(struct s3_request *request)
{
	request->condition = STORE_ALWAYS;
	return s3_put_object(request);
}

static enum s3_code copy_part(struct s3_request *request, struct store_reader *reader)
{
	const char *range = s3_header(request, "x-amz-copy-source-range");
	uint64_t first = 0, len = store_reader_info(reader)->size;

	if (range != NULL && s3_parse_range(range, len, &first, &len) <= 0)
		return S3_INVALID_RANGE;
	if (len > S3_PUT_BYTES_MAX)
		return S3_ENTITY_TOO_LARGE;
	enum s3_code code = s3_upload_part_begin(request);
	if (code != S3_OK)
		return code;
	int err = s3_copy_bytes(reader, first, len, request->upload, &request->offset);
	return s3_code_of(err, S3_INTERNAL_ERROR);
}

enum s3_code s3_upload_part_copy(struct s3_request *request)
{
	struct store_reader *reader;
	struct eos_buf buf;

	enum s3_code code = s3_open_copy_source(request, &reader);
	if (code != S3_OK)
		return code;
	code = copy_part(request, reader);
	store_reader_close(reader);
	if (code != S3_OK)
		return code;
	struct store_object_info *info = calloc(1, sizeof(*info));
	if (info == NULL)
		return S3_INTERNAL_ERROR;
	struct store_upload *upload = request->upload;
	request->upload = NULL;
	int err = store_upload_commit(upload, NULL, info);
	code = s3_code_of(err, S3_INTERNAL_ERROR);
	if (code == S3_OK) {
		eos_buf_init(&buf);
		s3_xml_begin(&buf, "CopyPartResult");
		s3_xml_time(&buf, "LastModified", info->modified_ns);
		eos_buf_printf(&buf, "<ETag>&quot;%s&quot;</ETag>", info->etag);
		s3_xml_close(&buf, "CopyPartResult");
		code = s3_respond_xml(request, &buf);
	}
	free(info);
	return code;
}

/* Names of pieces, gathered before they are deleted: a listing must not be changed under way. */
struct pieces {
	char names[64][S3_PIECE_NAME_SIZE];
	size_t lens[64];
	size_t count;
};

static int gather(void *ctx, const struct store_list_entry *entry)
{
	struct pieces *pieces = ctx;
	if (entry->key_len < S3_PIECE_NAME_SIZE) {
		memcpy(pieces->names[pieces->count], entry->key, entry->key_len);
		pieces->lens[pieces->count++] = entry->key_len;
	}
	return 0;
}

enum s3_code s3_remove_upload(struct s3_request *request)
{
	struct store *store = request->server->store;
	char prefix[S3_PIECE_NAME_SIZE];
	struct pieces *pieces = malloc(sizeof(*pieces));
	int err = pieces != NULL ? 0 : -ENOMEM;

	const struct store_list_query query = {
		.prefix = prefix,
		.prefix_len =
			piece_name(request, s3_query_get(&request->query, "uploadId"), "", prefix),
		.limit = EOS_ARRAY_SIZE(pieces->names),
	};
	for (bool has_more = true; has_more && err == 0;) {
		pieces->count = 0;
		err = store_object_list(store, S3_MULTIPART_BUCKET, &query, gather, pieces,
					&has_more);
		for (size_t i = 0; i < pieces->count && err == 0; i++) {
			err = store_object_delete(store, S3_MULTIPART_BUCKET, pieces->names[i],
						  pieces->lens[i], NULL, NULL);
			/* Somebody else completes or aborts the same upload. */
			if (err == -ENOENT)
				err = 0;
		}
	}
	free(pieces);
	return s3_code_of(err, S3_INTERNAL_ERROR);
}

enum s3_code s3_abort_multipart(struct s3_request *request)
{
	struct store_object_info *info = malloc(sizeof(*info));
	enum s3_code code = info != NULL ? s3_find_upload(request, info) : S3_INTERNAL_ERROR;
	free(info);
	if (code == S3_OK)
		code = s3_remove_upload(request);
	if (code == S3_OK)
		s3_respond(request, 204, NULL, 0, NULL, 0);
	return code;
}
