/* GetObjectAttributes. */
#include "s3/s3_object_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/str.h"
#include "s3/s3_part_map.h"
#include "s3/s3_xml.h"

#define PARTS_MAX 1000u

enum attribute {
	ATTRIBUTE_ETAG,
	ATTRIBUTE_CHECKSUM,
	ATTRIBUTE_PARTS,
	ATTRIBUTE_CLASS,
	ATTRIBUTE_SIZE,
	ATTRIBUTES
};

/* The list in x-amz-object-attributes, which may be several headers. */
static enum s3_code read_list(struct s3_request *request, bool wanted[ATTRIBUTES])
{
	static const char *const names[ATTRIBUTES] = {"ETag", "Checksum", "ObjectParts",
						      "StorageClass", "ObjectSize"};
	bool is_empty = true;

	for (size_t i = 0; i < request->headers_count; i++) {
		if (strcasecmp(request->headers[i].name, "x-amz-object-attributes") != 0)
			continue;
		for (const char *at = request->headers[i].value; *at != '\0';) {
			size_t k = 0, len;
			at += strspn(at, ", \t");
			len = strcspn(at, ", \t");
			while (k < ATTRIBUTES &&
			       (strlen(names[k]) != len || strncmp(names[k], at, len) != 0))
				k++;
			if (len > 0 && k == ATTRIBUTES)
				return s3_say(request, S3_INVALID_ARGUMENT,
					      "Invalid attribute name specified.");
			if (len > 0)
				wanted[k] = true;
			is_empty = is_empty && len == 0;
			at += len;
		}
	}
	return is_empty ? s3_say(request, S3_INVALID_REQUEST,
				 "The x-amz-object-attributes header specifying the attributes to "
				 "be retrieved is either missing or empty")
			: S3_OK;
}

/* Without "-N": how many parts there are is told apart. */
static void add_checksum(const struct store_object_info *info, struct eos_buf *buf)
{
	struct s3_checksum_record sum;

	s3_checksum_of(info, &sum);
	if (sum.kind == S3_CHECKSUM_NONE)
		return;
	sum.value[strcspn(sum.value, "-")] = '\0';
	s3_xml_open(buf, "Checksum");
	s3_checksum_xml(buf, &sum);
	s3_xml_close(buf, "Checksum");
}

static enum s3_code read_number(struct s3_request *request, const char *header, uint64_t *value)
{
	const char *text = s3_header(request, header);
	if (text != NULL && (eos_parse_u64(text, value) < 0 || *value > INT32_MAX))
		return s3_say(request, S3_INVALID_ARGUMENT, "%s is not a number.", header);
	return S3_OK;
}

static enum s3_code add_parts(struct s3_request *request, const struct store_object_info *info,
			      struct eos_buf *buf)
{
	const char *map = store_metadata_get(info, S3_METADATA_PARTS);
	uint64_t count = s3_parts_count_of(info), limit = PARTS_MAX, after = 0, number;

	enum s3_code code = read_number(request, "x-amz-max-parts", &limit);
	if (code == S3_OK)
		code = read_number(request, "x-amz-part-number-marker", &after);
	if (code != S3_OK || count == 0)
		return code;
	limit = EOS_MIN(limit, PARTS_MAX);
	s3_xml_open(buf, "ObjectParts");
	s3_xml_u64(buf, "PartsCount", count);
	for (number = after + 1; number <= count && number - after <= limit; number++) {
		struct s3_part_place place;
		struct s3_checksum_record sum;
		if (s3_part_map_find(map, number, &place) < 0)
			break;
		s3_xml_open(buf, "Part");
		s3_xml_u64(buf, "PartNumber", number);
		s3_xml_u64(buf, "Size", place.size);
		s3_part_checksum_of(info, number, &sum);
		if (sum.kind != S3_CHECKSUM_NONE)
			s3_xml_text(buf, s3_checksum_tag(sum.kind), sum.value);
		s3_xml_close(buf, "Part");
	}
	s3_xml_u64(buf, "PartNumberMarker", after);
	s3_xml_u64(buf, "NextPartNumberMarker", number - 1);
	s3_xml_u64(buf, "MaxParts", limit);
	s3_xml_bool(buf, "IsTruncated", number <= count && map[0] != '\0');
	s3_xml_close(buf, "ObjectParts");
	return S3_OK;
}

/* Who has not got the customer's key is told nothing of the object: what is told is of the very
 * version that the key was compared with. */
static enum s3_code find(struct s3_request *request, struct store_object_info *ret_info)
{
	const struct s3_place place = s3_place_of(request);
	struct store_reader *reader;

	enum s3_code code = s3_open(request, &place, &request->encryption.customer, &reader);
	if (code != S3_OK)
		return code;
	*ret_info = *store_reader_info(reader);
	store_reader_close(reader);
	s3_add_version(request, "x-amz-version-id", request->bucket, ret_info->version);
	return S3_OK;
}

enum s3_code s3_get_attributes(struct s3_request *request)
{
	bool wanted[ATTRIBUTES] = {false};
	char modified[EOS_HTTP_DATE_SIZE];
	struct eos_buf buf;

	enum s3_code code = read_list(request, wanted);
	if (code != S3_OK)
		return code;
	struct store_object_info *info = malloc(sizeof(*info));
	code = info != NULL ? find(request, info) : S3_INTERNAL_ERROR;
	if (code != S3_OK) {
		free(info);
		return code;
	}
	eos_format_http_date(info->modified_ns, modified);
	s3_add_header(request, "Last-Modified", modified);
	eos_buf_init(&buf);
	s3_xml_begin(&buf, "GetObjectAttributesResponse");
	if (wanted[ATTRIBUTE_ETAG])
		s3_xml_text(&buf, "ETag", s3_etag_of(info));
	if (wanted[ATTRIBUTE_CHECKSUM])
		add_checksum(info, &buf);
	if (wanted[ATTRIBUTE_PARTS])
		code = add_parts(request, info, &buf);
	if (wanted[ATTRIBUTE_CLASS])
		s3_xml_text(&buf, "StorageClass", "STANDARD");
	if (wanted[ATTRIBUTE_SIZE])
		s3_xml_u64(&buf, "ObjectSize", info->size);
	s3_xml_close(&buf, "GetObjectAttributesResponse");
	free(info);
	if (code == S3_OK)
		return s3_respond_xml(request, &buf);
	eos_buf_fini(&buf);
	return code;
}
