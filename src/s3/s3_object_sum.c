/* Checksums of objects and parts: from requests, in metadata, in answers. */
#include "s3/s3_object_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "s3/s3_xml.h"

enum s3_code s3_read_algorithm(struct s3_request *request, const char *header,
			       enum s3_checksum_kind *ret_kind)
{
	const char *text = s3_header(request, header);
	*ret_kind = text != NULL ? s3_checksum_kind_named(text) : S3_CHECKSUM_NONE;
	if (text != NULL && *ret_kind == S3_CHECKSUM_NONE)
		return s3_say(request, S3_INVALID_REQUEST,
			      "Checksum algorithm provided is unsupported. Please try again with "
			      "any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256]");
	return S3_OK;
}

enum s3_code s3_check_announced(struct s3_request *request)
{
	enum s3_checksum_kind announced;
	enum s3_checksum_kind given = request->body.checksum.kind;

	enum s3_code code = s3_read_algorithm(request, "x-amz-sdk-checksum-algorithm", &announced);
	if (code != S3_OK || announced == S3_CHECKSUM_NONE)
		return code;
	if (given == S3_CHECKSUM_NONE)
		return s3_say(request, S3_INVALID_REQUEST,
			      "x-amz-sdk-checksum-algorithm specified, but no corresponding "
			      "x-amz-checksum-* or x-amz-trailer headers were found.");
	if (given != announced)
		return s3_say(request, S3_INVALID_REQUEST,
			      "Value for x-amz-sdk-checksum-algorithm header is invalid.");
	return S3_OK;
}

void s3_checksum_of(const struct store_object_info *info, struct s3_checksum_record *ret_record)
{
	s3_checksum_parse(store_metadata_get(info, S3_METADATA_CHECKSUM), ret_record);
}

enum s3_code s3_keep_checksum(struct store_object_info *info,
			      const struct s3_checksum_record *record)
{
	char text[S3_CHECKSUM_RECORD_SIZE];

	if (record->kind == S3_CHECKSUM_NONE)
		return S3_OK;
	s3_checksum_format(record, text);
	return store_metadata_add(info, S3_METADATA_CHECKSUM, text) < 0 ? S3_METADATA_TOO_LARGE
									: S3_OK;
}

enum s3_code s3_keep_body_checksum(struct s3_request *request)
{
	struct s3_checksum_record record = {.kind = request->body.checksum.kind};

	if (record.kind == S3_CHECKSUM_NONE)
		return S3_OK;
	memcpy(record.value, request->body.checksum_text, sizeof(record.value));
	enum s3_code code = s3_keep_checksum(request->object, &record);
	if (code != S3_OK)
		return code;
	int err = store_upload_set_metadata(request->upload, request->object);
	return s3_code_of(err, S3_INTERNAL_ERROR);
}

static const struct s3_header *sum_header(const struct s3_request *request)
{
	for (size_t i = 0; i < request->headers_count; i++)
		if (s3_checksum_kind_of(request->headers[i].name) != S3_CHECKSUM_NONE)
			return &request->headers[i];
	return NULL;
}

enum s3_code s3_begin_form_checksum(struct s3_request *request)
{
	const struct s3_header *given = sum_header(request);

	if (given == NULL)
		return S3_OK;
	int err = s3_checksum_init(&request->form_sum, s3_checksum_kind_of(given->name));
	return err < 0 ? S3_INTERNAL_ERROR : S3_OK;
}

enum s3_code s3_end_form_checksum(struct s3_request *request)
{
	struct s3_checksum_record record = {.kind = request->form_sum.kind};
	uint8_t given[S3_CHECKSUM_BYTES_MAX], computed[S3_CHECKSUM_BYTES_MAX];
	const struct s3_header *header = sum_header(request);

	if (record.kind == S3_CHECKSUM_NONE || header == NULL)
		return S3_OK;
	if (s3_checksum_final(&request->form_sum, record.value) < 0 ||
	    s3_checksum_decode(record.kind, record.value, computed) < 0)
		return S3_INTERNAL_ERROR;
	if (s3_checksum_decode(record.kind, header->value, given) < 0)
		return S3_INVALID_REQUEST;
	if (memcmp(given, computed, s3_checksum_size(record.kind)) != 0)
		return S3_BAD_DIGEST;
	enum s3_code code = s3_keep_checksum(request->object, &record);
	if (code != S3_OK)
		return code;
	return s3_code_of(store_upload_set_metadata(request->upload, request->object),
			  S3_INTERNAL_ERROR);
}

static const char *type_of(const struct s3_checksum_record *record)
{
	return record->is_composite ? "COMPOSITE" : "FULL_OBJECT";
}

void s3_add_checksum(struct s3_request *request, const struct s3_checksum_record *record)
{
	if (record->kind == S3_CHECKSUM_NONE)
		return;
	s3_add_header(request, s3_checksum_header(record->kind), record->value);
	s3_add_header(request, "x-amz-checksum-type", type_of(record));
}

void s3_checksum_xml(struct eos_buf *buf, const struct s3_checksum_record *record)
{
	if (record->kind == S3_CHECKSUM_NONE)
		return;
	s3_xml_text(buf, s3_checksum_tag(record->kind), record->value);
	s3_xml_text(buf, "ChecksumType", type_of(record));
}

enum s3_code s3_compute_checksum(struct store_reader *reader, uint64_t offset, uint64_t len,
				 enum s3_checksum_kind kind, struct s3_checksum_record *ret_record)
{
	struct s3_checksum sum;
	char *block = malloc(S3_COPY_BLOCK_BYTES);

	*ret_record = (struct s3_checksum_record){.kind = kind};
	int err = block != NULL ? s3_checksum_init(&sum, kind) : -ENOMEM;
	if (err < 0) {
		free(block);
		return S3_INTERNAL_ERROR;
	}
	while (err == 0 && len > 0) {
		size_t want = len < S3_COPY_BLOCK_BYTES ? (size_t)len : S3_COPY_BLOCK_BYTES;
		int64_t n = store_reader_read(reader, block, want, offset);
		err = n > 0 ? s3_checksum_update(&sum, block, (size_t)n) : -EIO;
		offset += (uint64_t)(n > 0 ? n : 0);
		len -= (uint64_t)(n > 0 ? n : 0);
	}
	if (err == 0)
		err = s3_checksum_final(&sum, ret_record->value);
	s3_checksum_fini(&sum);
	free(block);
	return err < 0 ? S3_INTERNAL_ERROR : S3_OK;
}

uint64_t s3_parts_count_of(const struct store_object_info *info)
{
	const char *etag = store_metadata_get(info, S3_METADATA_ETAG);
	const char *dash = etag != NULL ? strchr(etag, '-') : NULL;
	uint64_t count;
	/* A copy keeps the ETag, but is one piece. */
	if (dash == NULL || store_metadata_get(info, S3_METADATA_PARTS) == NULL)
		return 0;
	return eos_parse_u64(dash + 1, &count) == 0 ? count : 0;
}

void s3_part_checksum_of(const struct store_object_info *info, uint64_t number,
			 struct s3_checksum_record *ret_record)
{
	const char *text = store_metadata_get(info, S3_METADATA_PARTSUMS);

	s3_checksum_of(info, ret_record);
	for (uint64_t i = 1; i < number && text != NULL; i++) {
		text = strchr(text, ',');
		text = text != NULL ? text + 1 : NULL;
	}
	size_t len = text != NULL ? strcspn(text, ",") : 0;
	if (len == 0 || len >= sizeof(ret_record->value)) {
		ret_record->kind = S3_CHECKSUM_NONE;
		return;
	}
	ret_record->is_composite = false;
	memcpy(ret_record->value, text, len);
	ret_record->value[len] = '\0';
}
