/* UploadPart, UploadPartCopy. */
#include "s3/s3_multipart.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "s3/s3_xml.h"
#include "s3/s3_xml_read.h"

enum s3_code s3_read_part_number(struct s3_request *request, uint64_t *ret_number)
{
	const char *text = s3_query_get(&request->query, "partNumber");

	if (text == NULL || eos_parse_u64(text, ret_number) < 0 || *ret_number == 0 ||
	    *ret_number > S3_PART_NUMBER_MAX)
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "Part number must be an integer between 1 and 10000, inclusive");
	return S3_OK;
}

/* Begins request->upload, the part that the query names. Its metadata is request->object. */
static enum s3_code begin_part(struct s3_request *request)
{
	char name[S3_PIECE_NAME_SIZE];
	uint64_t number;

	enum s3_code code = s3_read_part_number(request, &number);
	if (code == S3_OK)
		code = s3_new_object(request);
	if (code != S3_OK)
		return code;
	code = s3_take_part_encryption(request, request->object);
	if (code != S3_OK)
		return code;
	size_t len = s3_part_name(request, (unsigned)number, name);
	int err = s3_begin_encrypted(request, request->multipart->pieces, name, len,
				     request->object, &request->upload);
	if (err == -EKEYREJECTED)
		return s3_say(request, S3_INVALID_REQUEST,
			      "The provided encryption parameters did not match the ones used "
			      "originally.");
	return s3_code_of(err, S3_NO_SUCH_UPLOAD);
}

/* The part's checksum must be of the kind that was chosen for the upload; if the client sends none,
 * it is computed nevertheless, as the whole's is made of them. */
static enum s3_code require_checksum(struct s3_request *request)
{
	enum s3_checksum_kind wanted = request->multipart->sum.kind;
	enum s3_checksum_kind given = request->body.checksum.kind;

	if (wanted == S3_CHECKSUM_NONE || given == wanted)
		return S3_OK;
	if (given != S3_CHECKSUM_NONE)
		return s3_say(request, S3_INVALID_REQUEST,
			      "Checksum Type mismatch occurred, expected checksum Type: %s, actual "
			      "checksum Type: %s",
			      s3_checksum_name(wanted), s3_checksum_name(given));
	return s3_body_compute(&request->body, wanted);
}

enum s3_code s3_upload_part_begin(struct s3_request *request)
{
	enum s3_code code = s3_check_announced(request);
	if (code == S3_OK)
		code = s3_find_upload(request);
	if (code == S3_OK)
		code = require_checksum(request);
	return code == S3_OK ? begin_part(request) : code;
}

/* Commits the part. If the upload ended meanwhile, the part goes again: nobody would ever find it.
 */
static enum s3_code commit_part(struct s3_request *request)
{
	char name[S3_PIECE_NAME_SIZE];
	uint64_t number;

	enum s3_code code = s3_read_part_number(request, &number);
	if (code == S3_OK)
		code = s3_commit_upload(request, STORE_EVENT_CREATED, request->object);
	if (code == S3_OK)
		code = s3_find_upload(request);
	if (code != S3_NO_SUCH_UPLOAD && code != S3_NO_SUCH_BUCKET)
		return code;
	size_t len = s3_part_name(request, (unsigned)number, name);
	int err = store_object_delete(request->server->store, request->multipart->pieces, name, len,
				      NULL, NULL);
	return err < 0 && err != -ENOENT ? s3_code_of(err, S3_INTERNAL_ERROR) : code;
}

enum s3_code s3_upload_part(struct s3_request *request)
{
	struct s3_checksum_record sum;

	enum s3_code code = s3_keep_body_checksum(request);
	if (code != S3_OK)
		return code;
	s3_checksum_of(request->object, &sum);
	code = commit_part(request);
	if (code != S3_OK)
		return code;
	s3_add_etag(request, request->object);
	if (sum.kind != S3_CHECKSUM_NONE)
		s3_add_header(request, s3_checksum_header(sum.kind), sum.value);
	s3_respond(request, 200, NULL, 0, NULL, 0);
	return S3_OK;
}

int s3_parse_copy_range(const char *text, uint64_t *ret_first, uint64_t *ret_last)
{
	char first[24], last[24];
	int used = 0;

	if (sscanf(text, "bytes=%20[0-9]-%20[0-9]%n", first, last, &used) != 2 ||
	    text[used] != '\0' || eos_parse_u64(first, ret_first) < 0 ||
	    eos_parse_u64(last, ret_last) < 0 || *ret_first > *ret_last)
		return -EINVAL;
	return 0;
}

/* x-amz-copy-source-range, which must be whole and within the source. */
static enum s3_code read_range(struct s3_request *request, uint64_t size, uint64_t *ret_first,
			       uint64_t *ret_len)
{
	const char *text = s3_header(request, "x-amz-copy-source-range");
	uint64_t first = 0, last = size;

	*ret_first = 0;
	*ret_len = size;
	if (text != NULL) {
		if (s3_parse_copy_range(text, &first, &last) < 0)
			return s3_say(request, S3_INVALID_ARGUMENT,
				      "The x-amz-copy-source-range value must be of the form "
				      "bytes=first-last where first and last are the zero-based "
				      "offsets of the first and last bytes to copy");
		if (last >= size)
			return s3_say(request, S3_INVALID_ARGUMENT,
				      "Range specified is not valid for source object of size: "
				      "%" PRIu64,
				      size);
		*ret_first = first;
		*ret_len = last - first + 1;
	}
	if (*ret_len > S3_PUT_BYTES_MAX)
		return s3_say(request, S3_INVALID_REQUEST,
			      "The specified copy source is larger than the maximum allowable size "
			      "for a copy source: %" PRIu64,
			      S3_PUT_BYTES_MAX);
	return S3_OK;
}

static enum s3_code copy_part(struct s3_request *request, struct store_reader *reader,
			      struct s3_checksum_record *sum)
{
	enum s3_checksum_kind kind = request->multipart->sum.kind;
	uint64_t first, len;

	*sum = (struct s3_checksum_record){.kind = S3_CHECKSUM_NONE};
	enum s3_code code = read_range(request, store_reader_info(reader)->size, &first, &len);
	if (code == S3_OK)
		code = begin_part(request);
	if (code == S3_OK && kind != S3_CHECKSUM_NONE)
		code = s3_compute_checksum(reader, first, len, kind, sum);
	if (code == S3_OK)
		code = s3_keep_checksum(request->object, sum);
	if (code != S3_OK)
		return code;
	int err = store_upload_append(request->upload, reader, first, len);
	if (err == 0)
		err = store_upload_set_metadata(request->upload, request->object);
	return err < 0 ? s3_code_of(err, S3_INTERNAL_ERROR) : commit_part(request);
}

enum s3_code s3_upload_part_copy(struct s3_request *request)
{
	struct store_reader *reader;
	struct s3_checksum_record sum;
	struct eos_buf buf;

	enum s3_code code = s3_find_upload(request);
	if (code == S3_OK)
		code = s3_open_copy_source(request, &reader);
	if (code != S3_OK)
		return code;
	code = copy_part(request, reader, &sum);
	store_reader_close(reader);
	if (code != S3_OK)
		return code;
	eos_buf_init(&buf);
	s3_xml_begin(&buf, "CopyPartResult");
	s3_xml_time(&buf, "LastModified", request->object->modified_ns);
	s3_xml_etag(&buf, s3_etag_of(request->object));
	if (sum.kind != S3_CHECKSUM_NONE)
		s3_xml_text(&buf, s3_checksum_tag(sum.kind), sum.value);
	s3_xml_close(&buf, "CopyPartResult");
	return s3_respond_xml(request, &buf);
}
