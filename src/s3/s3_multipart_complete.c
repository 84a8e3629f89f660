/*
 * CompleteMultipartUpload: the parts that the client lists, one after the other, become one object.
 *
 * What is known of the whole is gathered from what is known of its parts (struct whole): its ETag,
 * its size, where the parts begin, and its checksum: that of the parts' checksums (COMPOSITE), or
 * the parts' CRCs combined (FULL_OBJECT).
 */
#include "s3/s3_multipart.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "crypto/crypto.h"
#include "s3/s3_crc.h"
#include "s3/s3_part_map.h"
#include "s3/s3_xml.h"
#include "s3/s3_xml_read.h"

/* Checksums of parts are kept as far as they fit: those of some 50 to 200 parts. */
#define PART_SUMS_SIZE 2048u

struct whole {
	struct s3_request *request;
	const struct s3_part_list *list;
	struct store_object_info info; /* of the part looked at */
	uint64_t size;
	struct s3_part_map map;
	struct s3_checksum sum; /* over the parts' checksums, or combined */
	struct s3_checksum_record record;
	char part_sums[PART_SUMS_SIZE];
	size_t part_sums_len;
	bool has_part_sums;
	char etag[S3_ETAG_TEXT_SIZE];
};

static enum s3_crc_kind crc_of(enum s3_checksum_kind kind)
{
	return kind == S3_CHECKSUM_CRC32    ? S3_CRC32
	       : kind == S3_CHECKSUM_CRC32C ? S3_CRC32C
					    : S3_CRC64NVME;
}

static void keep_part_sum(struct whole *whole, const char *value)
{
	size_t room = sizeof(whole->part_sums) - whole->part_sums_len;
	int len = snprintf(whole->part_sums + whole->part_sums_len, room, "%s%s",
			   whole->part_sums_len > 0 ? "," : "", value);
	if ((size_t)len >= room)
		whole->has_part_sums = false;
	else
		whole->part_sums_len += (size_t)len;
}

/* What the client says of the part's checksum, and what is kept with it, into the whole's. */
static enum s3_code add_checksum(struct whole *whole, const struct s3_part *part)
{
	struct s3_request *request = whole->request;
	enum s3_checksum_kind kind = whole->record.kind;
	struct s3_checksum_record sum;
	uint8_t bytes[S3_CHECKSUM_BYTES_MAX];
	uint64_t crc = 0;

	s3_checksum_of(&whole->info, &sum);
	if (part->sum_kind != S3_CHECKSUM_NONE &&
	    (part->sum_kind != sum.kind || strcmp(part->sum, sum.value) != 0))
		return S3_INVALID_PART;
	if (kind == S3_CHECKSUM_NONE)
		return S3_OK;
	if (whole->record.is_composite && part->sum_kind == S3_CHECKSUM_NONE)
		return s3_say(request, S3_INVALID_REQUEST,
			      "The upload was created using a %s checksum. The complete request "
			      "must include the checksum for each part. It was missing for part %u "
			      "in the request.",
			      s3_checksum_name(kind), part->number);
	if (sum.kind != kind || s3_checksum_decode(kind, sum.value, bytes) < 0)
		return S3_INTERNAL_ERROR;
	size_t size = s3_checksum_size(kind);
	if (whole->record.is_composite) {
		if (s3_checksum_update(&whole->sum, bytes, size) < 0)
			return S3_INTERNAL_ERROR;
	} else {
		for (size_t i = 0; i < size; i++)
			crc = crc << 8 | bytes[i];
		whole->sum.crc =
			s3_crc_combine(crc_of(kind), whole->sum.crc, crc, whole->info.size);
	}
	keep_part_sum(whole, sum.value);
	return S3_OK;
}

static enum s3_code add_part(struct whole *whole, const struct s3_part *part, bool is_last)
{
	struct s3_request *request = whole->request;
	char name[S3_PIECE_NAME_SIZE];

	size_t len = s3_part_name(request, part->number, name);
	int err = store_object_get(request->server->store, request->multipart->pieces, name, len,
				   STORE_VERSION_LATEST, &whole->info);
	if (err < 0)
		return s3_code_of(err, S3_INVALID_PART);
	if (strcmp(whole->info.etag, part->etag) != 0)
		return S3_INVALID_PART;
	if (!is_last && whole->info.size < S3_PART_BYTES_MIN)
		return S3_ENTITY_TOO_SMALL;
	whole->size += whole->info.size;
	if (whole->size > STORE_OBJECT_BYTES_MAX)
		return S3_ENTITY_TOO_LARGE;
	s3_part_map_add(&whole->map, whole->info.size);
	return add_checksum(whole, part);
}

/* The ETag of an object made of LIST's parts. -EINVAL: one's is no MD5. */
static int make_etag(const struct s3_part_list *list, char out[S3_ETAG_TEXT_SIZE])
{
	uint8_t digest[CRYPTO_MD5_SIZE];
	char hex[2 * CRYPTO_MD5_SIZE + 1];
	struct crypto_hash *md5;

	int err = crypto_hash_new(CRYPTO_MD5, &md5);
	if (err < 0)
		return err;
	for (size_t i = 0; i < list->count && err == 0; i++) {
		err = eos_hex_decode(list->parts[i].etag, digest, sizeof(digest));
		if (err == 0)
			err = crypto_hash_update(md5, digest, sizeof(digest));
	}
	if (err == 0)
		err = crypto_hash_final(md5, digest);
	crypto_hash_free(md5);
	if (err < 0)
		return err;
	eos_hex_encode(digest, sizeof(digest), hex);
	snprintf(out, S3_ETAG_TEXT_SIZE, "%s-%zu", hex, list->count);
	return 0;
}

/* Whether TEXT has the form of a checksum of KIND, with a count of parts behind it or not. */
static bool is_checksum(enum s3_checksum_kind kind, const char *text)
{
	uint8_t bytes[S3_CHECKSUM_BYTES_MAX];
	char value[S3_CHECKSUM_TEXT_SIZE];
	size_t len = strcspn(text, "-");

	if (len >= sizeof(value))
		return false;
	memcpy(value, text, len);
	value[len] = '\0';
	return s3_checksum_decode(kind, value, bytes) == 0;
}

/* What the client says of the whole. */
static enum s3_code check_whole(struct whole *whole)
{
	struct s3_request *request = whole->request;
	const char *size_text = s3_header(request, "x-amz-mp-object-size");
	const char *type = s3_header(request, "x-amz-checksum-type");
	const struct s3_checksum_record *record = &whole->record;
	uint64_t size;

	if (size_text != NULL && (eos_parse_u64(size_text, &size) < 0 || size != whole->size))
		return s3_say(request, S3_INVALID_REQUEST,
			      "The provided 'x-amz-mp-object-size' header value %s does not match "
			      "what was computed: %" PRIu64,
			      size_text, whole->size);
	if (type != NULL && (record->kind == S3_CHECKSUM_NONE ||
			     strcmp(type, record->is_composite ? "COMPOSITE" : "FULL_OBJECT") != 0))
		return s3_say(request, S3_INVALID_REQUEST,
			      "The upload was not created with checksum type %s.", type);
	for (size_t i = 0; i < request->headers_count; i++) {
		enum s3_checksum_kind kind = s3_checksum_kind_of(request->headers[i].name);
		const char *given = request->headers[i].value;
		size_t len = strcspn(record->value, "-");
		if (kind == S3_CHECKSUM_NONE)
			continue;
		if (kind != record->kind)
			return s3_say(request, S3_INVALID_REQUEST,
				      "The upload was not created with the checksum of %s.",
				      request->headers[i].name);
		if (!is_checksum(kind, given))
			return s3_say(request, S3_INVALID_REQUEST,
				      "Value for %s header is invalid.", request->headers[i].name);
		/* A composite one may be given without the count of parts. */
		if (strcmp(given, record->value) != 0 &&
		    (strlen(given) != len || strncmp(given, record->value, len) != 0))
			return s3_say(request, S3_BAD_DIGEST,
				      "The %s you specified did not match the calculated checksum.",
				      s3_checksum_name(kind));
	}
	return S3_OK;
}

static enum s3_code end_whole(struct whole *whole)
{
	size_t count = whole->list->count;

	if (make_etag(whole->list, whole->etag) < 0)
		return S3_INTERNAL_ERROR;
	s3_part_map_end(&whole->map);
	if (whole->record.kind != S3_CHECKSUM_NONE) {
		if (s3_checksum_final(&whole->sum, whole->record.value) < 0)
			return S3_INTERNAL_ERROR;
		size_t len = strlen(whole->record.value);
		if (whole->record.is_composite)
			snprintf(whole->record.value + len, sizeof(whole->record.value) - len,
				 "-%zu", count);
	}
	return check_whole(whole);
}

/* All parts are there, in order, large enough; and what the whole will be. */
static enum s3_code gather_parts(struct whole *whole)
{
	const struct s3_part_list *list = whole->list;

	for (size_t i = 1; i < list->count; i++)
		if (list->parts[i].number <= list->parts[i - 1].number)
			return S3_INVALID_PART_ORDER;
	whole->has_part_sums = true;
	whole->record = whole->request->multipart->sum;
	if (s3_checksum_init(&whole->sum, whole->record.kind) < 0)
		return S3_INTERNAL_ERROR;
	enum s3_code code = S3_OK;
	for (size_t i = 0; i < list->count && code == S3_OK; i++)
		code = add_part(whole, &list->parts[i], i + 1 == list->count);
	return code == S3_OK ? end_whole(whole) : code;
}

/* request->object: what the upload's entry says, and what was gathered. */
static enum s3_code fill_object(struct whole *whole)
{
	struct s3_request *request = whole->request;
	const struct store_object_info *entry = &request->multipart->info;
	static const size_t prefix_len = sizeof(S3_METADATA_TO_BE) - 1;
	const char *name, *value;
	uint32_t offset = 0;

	enum s3_code code = s3_new_object(request);
	if (code != S3_OK)
		return code;
	struct store_object_info *object = request->object;
	int err = store_metadata_add(object, S3_METADATA_ETAG, whole->etag);
	while (err == 0 && store_metadata_next(entry, &offset, &name, &value))
		if (eos_str_starts_with(name, S3_METADATA_TO_BE))
			err = store_metadata_add(object, name + prefix_len, value);
	if (err < 0 || s3_keep_checksum(object, &whole->record) != S3_OK)
		return S3_METADATA_TOO_LARGE;
	/* Where there is no room for these, the object does without. */
	(void)!store_metadata_add(object, S3_METADATA_UPLOAD, request->multipart->id);
	if (store_metadata_add(object, S3_METADATA_PARTS, whole->map.text) == 0 &&
	    whole->part_sums_len > 0 && whole->has_part_sums)
		(void)!store_metadata_add(object, S3_METADATA_PARTSUMS, whole->part_sums);
	return S3_OK;
}

static enum s3_code append_parts(struct whole *whole)
{
	struct s3_request *request = whole->request;
	char name[S3_PIECE_NAME_SIZE];

	for (size_t i = 0; i < whole->list->count; i++) {
		const struct s3_part *part = &whole->list->parts[i];
		struct store_reader *reader;
		size_t len = s3_part_name(request, part->number, name);
		/* Without a customer's key, if they have one: they are taken over as they are. */
		int err = store_reader_open_encrypted(request->server->store,
						      request->multipart->pieces, name, len,
						      STORE_VERSION_LATEST, NULL, &reader);
		if (err < 0)
			return s3_code_of(err, S3_INVALID_PART);
		/* A part may have been sent again since it was checked. */
		const struct store_object_info *info = store_reader_info(reader);
		err = strcmp(info->etag, part->etag) == 0
			      ? store_upload_append(request->upload, reader, 0, info->size)
			      : -ENOENT;
		store_reader_close(reader);
		if (err < 0)
			return s3_code_of(err, S3_INVALID_PART);
	}
	return S3_OK;
}

static enum s3_code complete(struct whole *whole)
{
	struct s3_request *request = whole->request;

	enum s3_code code = gather_parts(whole);
	if (code == S3_OK)
		code = s3_read_put_condition(request);
	if (code == S3_OK)
		code = fill_object(whole);
	if (code == S3_OK)
		code = s3_begin_upload(request);
	if (code == S3_OK)
		code = append_parts(whole);
	if (code == S3_OK)
		code = s3_commit_upload(request, STORE_EVENT_CREATED_MULTIPART, request->object);
	/* The object is there, whatever happens now: leftovers can still be aborted. */
	if (code == S3_OK)
		(void)!s3_remove_upload(request);
	return code;
}

static enum s3_code respond(struct whole *whole)
{
	struct s3_request *request = whole->request;
	struct eos_buf buf;

	const char *sse = store_metadata_get(request->object, S3_METADATA_SSE);
	if (sse != NULL)
		s3_add_header(request, "x-amz-server-side-encryption", sse);
	s3_add_new_version(request);
	s3_add_expiration(request, request->object);
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
	s3_xml_etag(&buf, whole->etag);
	s3_checksum_xml(&buf, &whole->record);
	s3_xml_close(&buf, "CompleteMultipartUploadResult");
	return s3_respond_xml(request, &buf);
}

/* The upload is not there. If that is because it was completed, and what it made is still the
 * latest, then it is answered again: the first answer may never have arrived. */
static enum s3_code find_completed(struct s3_request *request)
{
	enum s3_code code = s3_new_object(request);
	if (code != S3_OK)
		return code;
	int err = store_object_get(request->server->store, request->bucket, request->key,
				   request->key_len, STORE_VERSION_LATEST, request->object);
	if (err < 0)
		return s3_code_of(err, S3_NO_SUCH_UPLOAD);
	const char *id = store_metadata_get(request->object, S3_METADATA_UPLOAD);
	return id != NULL && strcmp(id, s3_query_get(&request->query, "uploadId")) == 0
		       ? S3_OK
		       : S3_NO_SUCH_UPLOAD;
}

/* Of the same parts, it is the same answer. */
static enum s3_code complete_again(struct whole *whole)
{
	if (make_etag(whole->list, whole->etag) < 0 ||
	    strcmp(whole->etag, s3_etag_of(whole->request->object)) != 0)
		return S3_INVALID_PART;
	s3_checksum_of(whole->request->object, &whole->record);
	return S3_OK;
}

enum s3_code s3_complete_multipart(struct s3_request *request)
{
	struct s3_part_list list;

	enum s3_code code = s3_find_upload(request);
	bool is_again = code == S3_NO_SUCH_UPLOAD;
	if (is_again)
		code = find_completed(request);
	if (code != S3_OK)
		return code;
	int err = s3_xml_read_parts(request->xml.data, request->xml.len, &list);
	if (err < 0)
		return err == -ENOMEM ? S3_INTERNAL_ERROR : S3_MALFORMED_XML;
	struct whole *whole = calloc(1, sizeof(*whole));
	code = S3_INTERNAL_ERROR;
	if (whole != NULL) {
		whole->request = request;
		whole->list = &list;
		code = is_again ? complete_again(whole) : complete(whole);
		/* The same request, sent twice, may have taken the parts away meanwhile. */
		if (code == S3_INVALID_PART && !is_again && find_completed(request) == S3_OK)
			code = complete_again(whole);
		if (code == S3_OK)
			code = respond(whole);
		s3_checksum_fini(&whole->sum);
	}
	free(whole);
	s3_part_list_fini(&list);
	return code;
}
