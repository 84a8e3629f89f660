/*
 * What stands in headers and in the query: dates, ranges, conditions, tags, grants, checksums, user
 * metadata, and what is kept of them with an object. Where a value is written again, it is read as
 * the same.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "s3/s3_acl.h"
#include "s3/s3_body.h"
#include "s3/s3_checksum.h"
#include "s3/s3_lock.h"
#include "s3/s3_mime_word.h"
#include "s3/s3_object_priv.h"
#include "s3/s3_part_map.h"
#include "s3/s3_tags.h"
#include "s3/s3_xml.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void try_ranges(const char *text)
{
	static const uint64_t sizes[] = {0, 1, 1000, UINT64_C(5) << 30};
	uint64_t first, len, last;

	for (size_t i = 0; i < EOS_ARRAY_SIZE(sizes); i++)
		if (s3_parse_range(text, sizes[i], &first, &len) == 1 &&
		    (len == 0 || first >= sizes[i] || len > sizes[i] - first))
			abort();
	if (s3_parse_copy_range(text, &first, &last) == 0 && first > last)
		abort();
}

static void try_conditions(const char *text)
{
	static struct store_object_info info = {.modified_ns = 1};
	const struct s3_condition_headers headers[] = {
		{.if_match = text},
		{.if_none_match = text},
		{.if_modified_since = text, .if_none_match = text},
		{.if_unmodified_since = text, .if_match = text},
	};
	int64_t time_s;
	uint64_t time_ns;

	strcpy(info.etag, "00000000000000000000000000000000");
	for (size_t i = 0; i < EOS_ARRAY_SIZE(headers); i++)
		(void)!s3_check_conditions(&headers[i], &info);
	(void)!s3_parse_http_date(text, &time_s);
	(void)!eos_parse_iso8601(text, &time_ns);
}

static void try_tags(const char *text)
{
	static struct s3_tags tags, again;
	struct store_object_info *info = calloc(1, sizeof(*info));
	struct eos_buf buf;

	tags.count = again.count = 0;
	eos_buf_init(&buf);
	if (info != NULL && s3_tags_parse(&tags, text) == S3_OK &&
	    s3_tags_store(&tags, info) == 0) {
		if (s3_tags_count(info) != tags.count)
			abort();
		s3_tags_write_xml(info, &buf);
		/* Characters that XML does not know are written all the same: s3_xml.h. */
		if (s3_tags_read_xml(&again, buf.data, buf.len) == S3_OK &&
		    again.count != tags.count)
			abort();
	}
	eos_buf_fini(&buf);
	free(info);
}

static void try_grants(const char *text)
{
	struct s3_acl acl, again;
	struct eos_buf buf;

	s3_acl_private(&acl, "acme");
	if (s3_acl_read_header(text, S3_PERMISSION_READ, &acl) != S3_OK)
		return;
	eos_buf_init(&buf);
	s3_acl_encode(&acl, &buf);
	if (s3_acl_decode(buf.data, buf.len, &again) < 0 || again.count != acl.count)
		abort();
	eos_buf_fini(&buf);
}

static void try_checksums(const char *text)
{
	uint8_t bytes[S3_CHECKSUM_BYTES_MAX];
	char line[S3_CHECKSUM_RECORD_SIZE];
	struct s3_checksum_record record;
	enum s3_payload payload;

	for (int kind = S3_CHECKSUM_NONE + 1; kind < S3_CHECKSUM_KINDS; kind++)
		(void)!s3_checksum_decode((enum s3_checksum_kind)kind, text, bytes);
	(void)s3_checksum_kind_of(text);
	(void)s3_checksum_kind_named(text);
	s3_checksum_parse(text, &record);
	if (record.kind != S3_CHECKSUM_NONE)
		s3_checksum_format(&record, line);
	(void)!s3_payload_parse(text, &payload);
}

static void try_metadata(const char *text)
{
	struct eos_buf decoded, encoded, again;

	eos_buf_init(&decoded);
	eos_buf_init(&encoded);
	eos_buf_init(&again);
	s3_mime_decode(&decoded, text);
	eos_buf_append(&decoded, "", 1);
	if (!eos_buf_failed(&decoded))
		s3_mime_encode(&encoded, decoded.data);
	eos_buf_append(&encoded, "", 1);
	s3_xml_escape(&again, text, strlen(text));
	eos_buf_fini(&decoded);
	eos_buf_fini(&encoded);
	eos_buf_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct s3_lock_default rule;
	struct s3_part_place place;
	char *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	memcpy(text, data, size);
	text[size] = '\0';
	try_ranges(text);
	try_conditions(text);
	try_tags(text);
	try_grants(text);
	try_checksums(text);
	try_metadata(text);
	(void)!s3_lock_default_parse(text, &rule);
	for (uint64_t number = 1; number <= 10000; number = number * 10 + 1)
		(void)!s3_part_map_find(text, number, &place);
	free(text);
	return 0;
}
