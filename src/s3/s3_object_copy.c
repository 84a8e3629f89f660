/*
 * CopyObject, and the source of UploadPartCopy. The data is taken over by reference where the store
 * can (store_upload_append()), so a copy of any size takes no time to speak of; the ETag is the
 * source's, since it stands for the same bytes.
 */
#include "s3/s3_object_priv.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "s3/s3_access.h"
#include "s3/s3_tags.h"
#include "s3/s3_xml.h"

struct copy_source {
	char bucket[STORE_BUCKET_NAME_MAX + 1], key[STORE_KEY_MAX + 1];
	size_t key_len;
	uint64_t version;
};

static enum s3_code malformed(struct s3_request *request)
{
	return s3_say(request, S3_INVALID_ARGUMENT,
		      "Copy Source must mention the source bucket and key: "
		      "sourcebucket/sourcekey");
}

/* "/bucket/key" or "bucket/key", percent-encoded, and "?versionId=…", which is not. */
static enum s3_code parse_source(struct s3_request *request, struct copy_source *source)
{
	static const char mark[] = "?versionId=";
	const char *text = s3_header(request, "x-amz-copy-source");
	const char *version = strstr(text, mark);
	size_t len = version != NULL ? (size_t)(version - text) : strlen(text);
	char decoded[3 * (STORE_BUCKET_NAME_MAX + STORE_KEY_MAX + 2)];
	enum s3_code code;

	if (len >= sizeof(decoded))
		return S3_KEY_TOO_LONG;
	long n = eos_percent_decode(text, len, decoded);
	if (n < 0 || memchr(decoded, '\0', (size_t)n) != NULL)
		return malformed(request);
	decoded[n] = '\0';
	const char *bucket = decoded + (decoded[0] == '/');
	size_t bucket_len = strcspn(bucket, "/");
	if (bucket[bucket_len] != '/' || bucket[bucket_len + 1] == '\0')
		return malformed(request);
	if (bucket_len > STORE_BUCKET_NAME_MAX)
		return S3_INVALID_BUCKET_NAME;
	memcpy(source->bucket, bucket, bucket_len);
	source->bucket[bucket_len] = '\0';
	if (s3_check_bucket_name(source->bucket) != S3_OK)
		return S3_INVALID_BUCKET_NAME;
	const char *key = bucket + bucket_len + 1;
	code = s3_check_key(request, key, strlen(key));
	if (code != S3_OK)
		return code;
	source->key_len = strlen(key);
	memcpy(source->key, key, source->key_len + 1);
	source->version = STORE_VERSION_LATEST;
	return version != NULL
		       ? s3_parse_version(request, version + sizeof(mark) - 1, &source->version)
		       : S3_OK;
}

static enum s3_code open_source(struct s3_request *request, const struct copy_source *source,
				struct store_reader **ret_reader)
{
	struct store_reader *reader;
	const struct s3_place place = {
		.bucket = source->bucket,
		.key = source->key,
		.key_len = source->key_len,
		.version = source->version,
	};

	const struct s3_access access = {
		.action = "GetObject",
		.bucket = source->bucket,
		.key = source->key,
		.key_len = source->key_len,
		.version = source->version,
	};

	enum s3_code code = s3_access_check(request, &access);
	if (code == S3_OK)
		code = s3_open(request, &place, &request->encryption.source, &reader);
	if (code == S3_METHOD_NOT_ALLOWED)
		return s3_say(request, S3_INVALID_REQUEST,
			      "The source of a copy request may not specifically refer to a "
			      "delete marker by version id.");
	if (code != S3_OK)
		return code;
	const struct s3_condition_headers conditions = {
		.if_match = s3_header(request, "x-amz-copy-source-if-match"),
		.if_none_match = s3_header(request, "x-amz-copy-source-if-none-match"),
		.if_modified_since = s3_header(request, "x-amz-copy-source-if-modified-since"),
		.if_unmodified_since = s3_header(request, "x-amz-copy-source-if-unmodified-since"),
	};
	const struct store_object_info *info = store_reader_info(reader);
	if (s3_check_conditions(&conditions, info) != S3_OK) {
		store_reader_close(reader);
		return S3_PRECONDITION_FAILED;
	}
	s3_add_version(request, "x-amz-copy-source-version-id", source->bucket, info->version);
	*ret_reader = reader;
	return S3_OK;
}

enum s3_code s3_open_copy_source(struct s3_request *request, struct store_reader **ret_reader)
{
	struct copy_source source;
	enum s3_code code = parse_source(request, &source);
	return code == S3_OK ? open_source(request, &source, ret_reader) : code;
}

/* Whether the directive in header NAME says REPLACE. */
static enum s3_code read_directive(struct s3_request *request, const char *name, bool *ret_replaces)
{
	const char *text = s3_header(request, name);
	*ret_replaces = text != NULL && strcmp(text, "REPLACE") == 0;
	if (text != NULL && !*ret_replaces && strcmp(text, "COPY") != 0)
		return s3_say(request, S3_INVALID_ARGUMENT, "Unknown directive in %s.", name);
	return S3_OK;
}

/* The checksum of the copy: the kind that the request asks for, or the source's. */
static enum s3_code copy_checksum(struct s3_request *request, struct store_reader *reader,
				  struct s3_checksum_record *ret_record)
{
	const struct store_object_info *source = store_reader_info(reader);
	enum s3_checksum_kind kind;

	enum s3_code code = s3_read_algorithm(request, "x-amz-checksum-algorithm", &kind);
	if (code != S3_OK)
		return code;
	s3_checksum_of(source, ret_record);
	if (kind == S3_CHECKSUM_NONE)
		kind = ret_record->kind;
	/* The copy is not made of parts, so the parts' checksum is not its own. */
	if (kind != ret_record->kind || ret_record->is_composite)
		code = s3_compute_checksum(reader, 0, source->size, kind, ret_record);
	return code == S3_OK ? s3_keep_checksum(request->object, ret_record) : code;
}

/* Fills request->object, the new object's metadata: the source's or the request's. */
static enum s3_code fill_object(struct s3_request *request, const struct store_object_info *source)
{
	bool replaces_metadata, replaces_tags;

	enum s3_code code = read_directive(request, "x-amz-metadata-directive", &replaces_metadata);
	if (code == S3_OK)
		code = read_directive(request, "x-amz-tagging-directive", &replaces_tags);
	if (code == S3_OK)
		code = replaces_metadata ? s3_take_metadata(request, request->object)
					 : s3_copy_pairs(source, false, request->object);
	if (code == S3_OK)
		code = replaces_tags ? s3_take_tags(request, request->object)
				     : s3_copy_pairs(source, true, request->object);
	if (code == S3_OK)
		code = s3_take_lock(request, request->object);
	if (code == S3_OK)
		code = s3_take_defaults(request, request->object);
	if (code == S3_OK &&
	    store_metadata_add(request->object, S3_METADATA_ETAG, s3_etag_of(source)) < 0)
		code = S3_METADATA_TOO_LARGE;
	return code;
}

/* S3 refuses a copy that changes nothing. */
static bool is_pointless(const struct s3_request *request, const struct copy_source *source)
{
	const char *metadata = s3_header(request, "x-amz-metadata-directive");
	const char *tags = s3_header(request, "x-amz-tagging-directive");
	bool replaces = (metadata != NULL && strcmp(metadata, "REPLACE") == 0) ||
			(tags != NULL && strcmp(tags, "REPLACE") == 0);

	/* Whoever names a class or an encryption may have the one that is there written again. */
	return !replaces && source->version == STORE_VERSION_LATEST &&
	       s3_header(request, "x-amz-checksum-algorithm") == NULL &&
	       s3_header(request, "x-amz-storage-class") == NULL &&
	       !request->encryption.is_wanted && !request->encryption.customer.is_given &&
	       !request->encryption.source.is_given &&
	       strcmp(source->bucket, request->bucket) == 0 &&
	       strcmp(source->key, request->key) == 0;
}

static enum s3_code copy(struct s3_request *request, struct store_reader *reader,
			 struct s3_checksum_record *sum)
{
	uint64_t size = store_reader_info(reader)->size;

	if (size > S3_PUT_BYTES_MAX)
		return s3_say(request, S3_INVALID_REQUEST,
			      "The specified copy source is larger than the maximum allowable size "
			      "for a copy source: %" PRIu64,
			      S3_PUT_BYTES_MAX);
	enum s3_code code = s3_new_object(request);
	if (code == S3_OK)
		code = s3_read_put_condition(request);
	if (code == S3_OK)
		code = fill_object(request, store_reader_info(reader));
	if (code == S3_OK)
		code = copy_checksum(request, reader, sum);
	if (code == S3_OK)
		code = s3_begin_upload(request);
	if (code != S3_OK)
		return code;
	int err = store_upload_append(request->upload, reader, 0, size);
	return err < 0 ? s3_code_of(err, S3_INTERNAL_ERROR)
		       : s3_commit_upload(request, STORE_EVENT_CREATED_COPY, request->object);
}

/* A copy shows the source's tags: who may not read these may copy it only with others. */
static enum s3_code check_source_tags(struct s3_request *request, const struct copy_source *source,
				      const struct store_object_info *info)
{
	const char *directive = s3_header(request, "x-amz-tagging-directive");
	const struct s3_access access = {
		.action = "GetObjectTagging",
		.bucket = source->bucket,
		.key = source->key,
		.key_len = source->key_len,
		.version = source->version,
	};
	bool are_replaced = directive != NULL && strcmp(directive, "REPLACE") == 0;
	return are_replaced || s3_tags_count(info) == 0 ? S3_OK : s3_access_check(request, &access);
}

enum s3_code s3_copy_object(struct s3_request *request)
{
	struct copy_source source;
	struct store_reader *reader;
	struct s3_checksum_record sum;
	struct eos_buf buf;

	enum s3_code code = parse_source(request, &source);
	if (code == S3_OK && is_pointless(request, &source))
		code = s3_say(request, S3_INVALID_REQUEST,
			      "This copy request is illegal because it is trying to copy an "
			      "object to itself without changing the object's metadata, storage "
			      "class, website redirect location or encryption attributes.");
	if (code == S3_OK)
		code = open_source(request, &source, &reader);
	if (code != S3_OK)
		return code;
	code = check_source_tags(request, &source, store_reader_info(reader));
	if (code == S3_OK)
		code = copy(request, reader, &sum);
	store_reader_close(reader);
	if (code != S3_OK)
		return code;
	s3_add_new_version(request);
	s3_add_expiration(request, request->object);
	eos_buf_init(&buf);
	s3_xml_begin(&buf, "CopyObjectResult");
	s3_xml_time(&buf, "LastModified", request->object->modified_ns);
	s3_xml_etag(&buf, s3_etag_of(request->object));
	s3_checksum_xml(&buf, &sum);
	s3_xml_close(&buf, "CopyObjectResult");
	return s3_respond_xml(request, &buf);
}
