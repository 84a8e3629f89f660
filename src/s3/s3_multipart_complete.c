/* CompleteMultipartUpload, ListParts, ListMultipartUploads. */
#include "s3/s3_multipart.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "crypto/crypto.h"
#include "s3/s3_xml.h"
#include "s3/s3_xml_read.h"

/* All parts are there, in order, large enough; and the ETag of the whole. */
static enum s3_code check_parts(struct s3_request *request, const struct s3_part_list *list,
				struct store_object_info *scratch, struct crypto_hash *md5)
{
	uint8_t digest[CRYPTO_MD5_SIZE];
	char name[S3_PIECE_NAME_SIZE];
	uint64_t total = 0;

	for (size_t i = 1; i < list->count; i++)
		if (list->parts[i].number <= list->parts[i - 1].number)
			return S3_INVALID_PART_ORDER;
	for (size_t i = 0; i < list->count; i++) {
		const struct s3_part *part = &list->parts[i];
		size_t len = s3_part_name(request, part->number, name);
		int err = store_object_get(request->server->store, S3_MULTIPART_BUCKET, name, len,
					   STORE_VERSION_LATEST, scratch);
		if (err < 0)
			return s3_code_of(err, S3_INVALID_PART);
		if (strcmp(scratch->etag, part->etag) != 0)
			return S3_INVALID_PART;
		if (i + 1 < list->count && scratch->size < S3_PART_BYTES_MIN)
			return S3_ENTITY_TOO_SMALL;
		total += scratch->size;
		if (total > STORE_OBJECT_BYTES_MAX)
			return S3_ENTITY_TOO_LARGE;
		if (eos_hex_decode(part->etag, digest, sizeof(digest)) < 0 ||
		    crypto_hash_update(md5, digest, sizeof(digest)) < 0)
			return S3_INTERNAL_ERROR;
	}
	return S3_OK;
}

static enum s3_code compute_etag(struct s3_request *request, const struct s3_part_list *list,
				 struct store_object_info *scratch, char *etag, size_t size)
{
	struct crypto_hash *md5;
	uint8_t digest[CRYPTO_MD5_SIZE];
	char hex[2 * CRYPTO_MD5_SIZE + 1];

	if (crypto_hash_new(CRYPTO_MD5, &md5) < 0)
		return S3_INTERNAL_ERROR;
	enum s3_code code = check_parts(request, list, scratch, md5);
	if (code == S3_OK && crypto_hash_final(md5, digest) < 0)
		code = S3_INTERNAL_ERROR;
	crypto_hash_free(md5);
	if (code != S3_OK)
		return code;
	eos_hex_encode(digest, sizeof(digest), hex);
	snprintf(etag, size, "%s-%zu", hex, list->count);
	return S3_OK;
}

static enum s3_code append_parts(struct s3_request *request, const struct s3_part_list *list)
{
	char name[S3_PIECE_NAME_SIZE];

	for (size_t i = 0; i < list->count; i++) {
		const struct s3_part *part = &list->parts[i];
		struct store_reader *reader;
		size_t len = s3_part_name(request, part->number, name);
		int err = store_reader_open(request->server->store, S3_MULTIPART_BUCKET, name, len,
					    STORE_VERSION_LATEST, &reader);
		if (err < 0)
			return s3_code_of(err, S3_INVALID_PART);
		/* A part may have been sent again since it was checked. */
		const struct store_object_info *info = store_reader_info(reader);
		bool is_same = strcmp(info->etag, part->etag) == 0;
		err = is_same ? s3_copy_bytes(reader, 0, info->size, request->upload,
					      &request->offset)
			      : -ENOENT;
		store_reader_close(reader);
		if (err < 0)
			return s3_code_of(err, S3_INVALID_PART);
	}
	return S3_OK;
}

/* The whole object, from INFO, the upload's own. */
static enum s3_code assemble(struct s3_request *request, const struct s3_part_list *list,
			     const struct store_object_info *info, struct store_object_info *made,
			     const char *etag)
{
	const char *name, *value;
	uint32_t offset = 0;

	memset(made, 0, sizeof(*made));
	int err = store_metadata_add(made, S3_METADATA_ETAG, etag);
	while (err == 0 && s3_next_metadata(info, &offset, &name, &value))
		if (name[0] != '.')
			err = store_metadata_add(made, name, value);
	if (err < 0)
		return S3_METADATA_TOO_LARGE;
	err = store_upload_begin(request->server->store, request->bucket, request->key,
				 request->key_len, made, &request->upload);
	if (err < 0)
		return s3_code_of(err, S3_NO_SUCH_BUCKET);
	enum s3_code code = append_parts(request, list);
	if (code != S3_OK)
		return code;
	const char *none_match = s3_header(request, "if-none-match");
	struct store_upload *upload = request->upload;
	request->upload = NULL;
	struct store_put_options options = {
		.condition = none_match != NULL ? STORE_IF_ABSENT : STORE_ALWAYS,
	};
	err = store_upload_commit(upload, &options, NULL);
	return s3_code_of(err, S3_NO_SUCH_BUCKET);
}

static enum s3_code complete(struct s3_request *request, const struct s3_part_list *list,
			     struct store_object_info *info, struct store_object_info *scratch)
{
	char etag[64];
	struct eos_buf buf;
	const char *none_match = s3_header(request, "if-none-match");

	if (s3_header(request, "if-match") != NULL ||
	    (none_match != NULL && strcmp(none_match, "*") != 0))
		return S3_NOT_IMPLEMENTED;
	enum s3_code code = s3_find_upload(request, info);
	if (code == S3_OK)
		code = compute_etag(request, list, scratch, etag, sizeof(etag));
	if (code == S3_OK)
		code = assemble(request, list, info, scratch, etag);
	if (code != S3_OK)
		return code;
	/* The object is there, whatever happens now: leftovers can still be aborted. */
	(void)!s3_remove_upload(request);
	eos_buf_init(&buf);
	s3_xml_begin(&buf, "CompleteMultipartUploadResult");
	s3_xml_open(&buf, "Location");
	eos_buf_puts(&buf, "/");
	s3_xml_escape(&buf, request->bucket, strlen(request->bucket));
	eos_buf_puts(&buf, "/");
	s3_xml_escape(&buf, request->key, request->key_len);
	s3_xml_close(&buf, "Location");
	s3_xml_text(&buf, "Bucket", request->bucket);
	s3_xml_bytes(&buf, "Key", request->key, request->key_len);
	eos_buf_printf(&buf, "<ETag>&quot;%s&quot;</ETag>", etag);
	s3_xml_close(&buf, "CompleteMultipartUploadResult");
	return s3_respond_xml(request, &buf);
}

enum s3_code s3_complete_multipart(struct s3_request *request)
{
	struct s3_part_list list;

	int err = s3_xml_read_parts(request->xml.data, request->xml.len, &list);
	if (err < 0)
		return err == -ENOMEM ? S3_INTERNAL_ERROR : S3_MALFORMED_XML;
	struct store_object_info *infos = calloc(2, sizeof(*infos));
	enum s3_code code =
		infos != NULL ? complete(request, &list, &infos[0], &infos[1]) : S3_INTERNAL_ERROR;
	free(infos);
	s3_part_list_fini(&list);
	return code;
}

struct parts_listing {
	struct eos_buf *buf;
	unsigned last;
};

static int visit_part(void *ctx, const struct store_list_entry *entry)
{
	struct parts_listing *listing = ctx;
	uint64_t number;
	char digits[6];

	/* "…/p00001" */
	if (entry->is_prefix || entry->key_len < 6 || entry->key[entry->key_len - 6] != 'p')
		return 0;
	memcpy(digits, entry->key + entry->key_len - 5, 5);
	digits[5] = '\0';
	if (eos_parse_u64(digits, &number) < 0)
		return 0;
	listing->last = (unsigned)number;
	s3_xml_open(listing->buf, "Part");
	s3_xml_u64(listing->buf, "PartNumber", number);
	s3_xml_time(listing->buf, "LastModified", entry->info->modified_ns);
	eos_buf_printf(listing->buf, "<ETag>&quot;%s&quot;</ETag>", entry->info->etag);
	s3_xml_u64(listing->buf, "Size", entry->info->size);
	s3_xml_close(listing->buf, "Part");
	return 0;
}

static enum s3_code read_limit(struct s3_request *request, const char *name, uint64_t max,
			       uint64_t *value)
{
	const char *text = s3_query_get(&request->query, name);
	if (text == NULL)
		return S3_OK;
	if (eos_parse_u64(text, value) < 0)
		return s3_say(request, S3_INVALID_ARGUMENT, "%s is not a number.", name);
	*value = EOS_MIN(*value, max);
	return S3_OK;
}

enum s3_code s3_list_parts(struct s3_request *request)
{
	uint64_t limit = 1000, after = 0;
	char after_name[S3_PIECE_NAME_SIZE];
	bool has_more = false;
	struct eos_buf buf, parts;
	struct store_object_info *info = malloc(sizeof(*info));

	enum s3_code code = info != NULL ? s3_find_upload(request, info) : S3_INTERNAL_ERROR;
	free(info);
	if (code == S3_OK)
		code = read_limit(request, "max-parts", 1000, &limit);
	if (code == S3_OK)
		code = read_limit(request, "part-number-marker", 99999, &after);
	if (code != S3_OK)
		return code;
	size_t after_len = s3_part_name(request, (unsigned)after, after_name);
	eos_buf_init(&parts);
	struct parts_listing listing = {.buf = &parts};
	const struct store_list_query query = {
		.prefix = after_name,
		.prefix_len = after_len - 5, /* "…/p" */
		.after = after_name,
		.after_len = after_len,
		.limit = (unsigned)limit,
	};
	int err = limit == 0 ? 0
			     : store_object_list(request->server->store, S3_MULTIPART_BUCKET,
						 &query, visit_part, &listing, &has_more);
	eos_buf_init(&buf);
	s3_xml_begin(&buf, "ListPartsResult");
	s3_xml_text(&buf, "Bucket", request->bucket);
	s3_xml_bytes(&buf, "Key", request->key, request->key_len);
	s3_xml_text(&buf, "UploadId", s3_query_get(&request->query, "uploadId"));
	s3_xml_text(&buf, "StorageClass", "STANDARD");
	s3_xml_u64(&buf, "PartNumberMarker", after);
	if (has_more)
		s3_xml_u64(&buf, "NextPartNumberMarker", listing.last);
	s3_xml_u64(&buf, "MaxParts", limit);
	s3_xml_bool(&buf, "IsTruncated", has_more);
	eos_buf_append(&buf, parts.data, parts.len);
	s3_xml_close(&buf, "ListPartsResult");
	buf.failed = buf.failed || eos_buf_failed(&parts);
	eos_buf_fini(&parts);
	if (err < 0) {
		eos_buf_fini(&buf);
		return s3_code_of(err, S3_INTERNAL_ERROR);
	}
	return s3_respond_xml(request, &buf);
}

struct uploads_listing {
	const char *prefix;
	bool is_url;
	size_t count;
	struct eos_buf *buf;
};

/* One more than fits in a page is not handled by pages: see s3_list_multiparts(). */
#define UPLOADS_MAX 1000u

static int visit_upload(void *ctx, const struct store_list_entry *entry)
{
	static const char meta[] = "/meta";
	struct uploads_listing *listing = ctx;
	size_t meta_len = sizeof(meta) - 1, id_len = 2 * S3_UPLOAD_ID_BYTES;

	if (entry->is_prefix || entry->key_len < meta_len + id_len ||
	    memcmp(entry->key + entry->key_len - meta_len, meta, meta_len) != 0)
		return 0;
	const char *key = store_metadata_get(entry->info, S3_METADATA_KEY);
	if (key == NULL || (listing->prefix != NULL && !eos_str_starts_with(key, listing->prefix)))
		return 0;
	if (listing->count++ >= UPLOADS_MAX)
		return 0;
	s3_xml_open(listing->buf, "Upload");
	s3_xml_key(listing->buf, "Key", key, strlen(key), listing->is_url);
	s3_xml_bytes(listing->buf, "UploadId", entry->key + entry->key_len - meta_len - id_len,
		     id_len);
	s3_xml_text(listing->buf, "StorageClass", "STANDARD");
	s3_xml_time(listing->buf, "Initiated", entry->info->modified_ns);
	s3_xml_close(listing->buf, "Upload");
	return 0;
}

/* Uploads come in the order of their ids, at most UPLOADS_MAX; to get at more, end some first. */
enum s3_code s3_list_multiparts(struct s3_request *request)
{
	struct store *store = request->server->store;
	struct store_bucket_info bucket;
	char prefix[STORE_BUCKET_NAME_MAX + 2];
	struct eos_buf buf;
	bool has_more;

	int err = store_bucket_get(store, request->bucket, &bucket);
	if (err < 0)
		return s3_code_of(err, S3_NO_SUCH_BUCKET);
	eos_buf_init(&buf);
	s3_xml_begin(&buf, "ListMultipartUploadsResult");
	s3_xml_text(&buf, "Bucket", request->bucket);
	struct uploads_listing listing = {
		.prefix = s3_query_get(&request->query, "prefix"),
		.is_url = s3_query_get(&request->query, "encoding-type") != NULL,
		.buf = &buf,
	};
	const struct store_list_query query = {
		.prefix = prefix,
		.prefix_len = (size_t)snprintf(prefix, sizeof(prefix), "%s/", request->bucket),
		.limit = UINT32_MAX,
	};
	err = store_object_list(store, S3_MULTIPART_BUCKET, &query, visit_upload, &listing,
				&has_more);
	if (err < 0) {
		eos_buf_fini(&buf);
		return s3_code_of(err, S3_INTERNAL_ERROR);
	}
	if (listing.is_url)
		s3_xml_text(&buf, "EncodingType", "url");
	s3_xml_u64(&buf, "MaxUploads", UPLOADS_MAX);
	s3_xml_bool(&buf, "IsTruncated", listing.count > UPLOADS_MAX);
	s3_xml_close(&buf, "ListMultipartUploadsResult");
	return s3_respond_xml(request, &buf);
}
