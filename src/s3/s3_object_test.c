/* What objects have beside their data: checksums, encoded words, tags, maps of parts, dates. */
#include "s3/s3_crc.h"
#include "s3/s3_lock.h"
#include "s3/s3_mime_word.h"
#include "s3/s3_object_priv.h"
#include "s3/s3_part_map.h"
#include "s3/s3_tags.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_crc(void **state)
{
	/* RFC 3720, B.4: 32 bytes of zeros, of ones, ascending. */
	uint8_t data[32] = {0};
	assert_int_equal(s3_crc_update(S3_CRC32C, 0, data, 32), 0x8a9136aa);
	memset(data, 0xff, 32);
	assert_int_equal(s3_crc_update(S3_CRC32C, 0, data, 32), 0x62a8ab43);
	for (int i = 0; i < 32; i++)
		data[i] = (uint8_t)i;
	assert_int_equal(s3_crc_update(S3_CRC32C, 0, data, 32), 0x46dd794e);
	/* The check values of the catalogue of parametrised CRC algorithms. */
	assert_int_equal(s3_crc_update(S3_CRC32, 0, "123456789", 9), 0xcbf43926);
	assert_int_equal(s3_crc_update(S3_CRC32C, 0, "123456789", 9), 0xe3069283);
	assert_true(s3_crc_update(S3_CRC64NVME, 0, "123456789", 9) == UINT64_C(0xae8b14860a799888));
}

static void test_crc_parts(void **state)
{
	uint8_t data[1000];
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * i >> 3);
	for (int i = S3_CRC32; i <= S3_CRC64NVME; i++) {
		enum s3_crc_kind kind = (enum s3_crc_kind)i;
		uint64_t whole = s3_crc_update(kind, 0, data, sizeof(data));
		for (size_t cut = 0; cut <= sizeof(data); cut += 37) {
			uint64_t a = s3_crc_update(kind, 0, data, cut);
			uint64_t b = s3_crc_update(kind, 0, data + cut, sizeof(data) - cut);
			assert_true(s3_crc_update(kind, a, data + cut, sizeof(data) - cut) ==
				    whole);
			assert_true(s3_crc_combine(kind, a, b, sizeof(data) - cut) == whole);
		}
	}
}

static void test_checksum(void **state)
{
	static const char *const values[S3_CHECKSUM_KINDS] = {
		[S3_CHECKSUM_CRC32] = "y/Q5Jg==",
		[S3_CHECKSUM_CRC32C] = "4waSgw==",
		[S3_CHECKSUM_CRC64NVME] = "rosUhgp5mIg=",
		[S3_CHECKSUM_SHA1] = "98O8HYCOBHMq32eZZczDTKeuNEE=",
		[S3_CHECKSUM_SHA256] = "FeKw08M4keuw8e9gnsQZQgwg4yDOlMZfvIwzEkSOsiU=",
	};
	for (unsigned i = S3_CHECKSUM_NONE + 1; i < S3_CHECKSUM_KINDS; i++) {
		enum s3_checksum_kind kind = (enum s3_checksum_kind)i;
		struct s3_checksum sum;
		struct s3_checksum_record record = {.kind = kind, .is_composite = i % 2 == 0};
		struct s3_checksum_record again;
		char text[S3_CHECKSUM_RECORD_SIZE];
		uint8_t bytes[S3_CHECKSUM_BYTES_MAX];
		assert_int_equal(s3_checksum_init(&sum, kind), 0);
		assert_int_equal(s3_checksum_update(&sum, "1234", 4), 0);
		assert_int_equal(s3_checksum_update(&sum, "56789", 5), 0);
		assert_int_equal(s3_checksum_final(&sum, record.value), 0);
		s3_checksum_fini(&sum);
		assert_string_equal(record.value, values[i]);
		assert_int_equal(s3_checksum_decode(kind, record.value, bytes), 0);
		assert_int_equal(s3_checksum_decode(kind, "", bytes), -EINVAL);
		assert_int_equal(s3_checksum_decode(kind, "AAAA", bytes), -EINVAL);
		assert_int_equal(s3_checksum_kind_named(s3_checksum_name(kind)), kind);
		assert_int_equal(s3_checksum_kind_of(s3_checksum_header(kind)), kind);
		s3_checksum_format(&record, text);
		s3_checksum_parse(text, &again);
		assert_int_equal(again.kind, kind);
		assert_int_equal(again.is_composite, record.is_composite);
		assert_string_equal(again.value, record.value);
	}
	struct s3_checksum_record none;
	static const char *const bad[] = {"", "CRC32", "CRC32 FULL_OBJECT", "MD5 FULL_OBJECT x"};
	s3_checksum_parse(NULL, &none);
	assert_int_equal(none.kind, S3_CHECKSUM_NONE);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++) {
		s3_checksum_parse(bad[i], &none);
		assert_int_equal(none.kind, S3_CHECKSUM_NONE);
	}
}

static void test_mime(void **state)
{
	static const struct {
		const char *in, *out;
	} cases[] = {
		{"", ""},
		{"plain text", "plain text"},
		{"=?UTF-8?B?w7w=?=", "ü"},
		{"=?utf-8?q?=C3=BC_x?=", "ü x"},
		{"=?iso-8859-1?Q?=FC?=", "ü"},
		{"a =?UTF-8?B?w7w=?= b", "a ü b"},
		{"=?UTF-8?B?w7w=?= =?UTF-8?B?w7w=?=", "üü"},
		{"=?UTF-8?B?w7w=?=  x", "ü  x"},
		/* No encoded words. */
		{"=?UTF-8?B?w7w=?", "=?UTF-8?B?w7w=?"},
		{"=?UTF-8?X?w7w=?=", "=?UTF-8?X?w7w=?="},
		{"=?KOI8-R?B?w7w=?=", "=?KOI8-R?B?w7w=?="},
		{"=?UTF-8?Q?=C3?=", "=?UTF-8?Q?=C3?="},
		{"=?UTF-8?Q?=0?=", "=?UTF-8?Q?=0?="},
		{"=?UTF-8?B?AA==?=", "=?UTF-8?B?AA==?="}, /* NUL */
		{"=?", "=?"},
		{"=?"
		 "?=",
		 "=?"
		 "?="},
		{"==?=?", "==?=?"},
	};
	struct eos_buf out, back;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		eos_buf_init(&out);
		s3_mime_decode(&out, cases[i].in);
		assert_string_equal(out.data, cases[i].out);
		/* What goes out comes in again as it was. */
		eos_buf_init(&back);
		eos_buf_clear(&out);
		s3_mime_encode(&out, cases[i].out);
		s3_mime_decode(&back, out.len > 0 ? out.data : "");
		assert_string_equal(back.data, cases[i].out);
		for (const char *c = out.data; out.len > 0 && *c != '\0'; c++)
			assert_true(*c >= 0x20 && *c < 0x7f);
		eos_buf_fini(&out);
		eos_buf_fini(&back);
	}
}

static void test_mime_long(void **state)
{
	char text[1001];
	struct eos_buf out, back;

	for (size_t i = 0; i < 1000; i += 2)
		memcpy(text + i, "ü", 2);
	text[1000] = '\0';
	eos_buf_init(&out);
	eos_buf_init(&back);
	s3_mime_encode(&out, text);
	s3_mime_decode(&back, out.data);
	assert_string_equal(back.data, text);
	for (char *word = strtok(out.data, " "); word != NULL; word = strtok(NULL, " "))
		assert_true(strlen(word) <= 75);
	eos_buf_clear(&out);
	s3_mime_encode(&out, "\xe9"); /* ISO 8859-1, perhaps */
	assert_string_equal(out.data, "\xe9");
	eos_buf_fini(&out);
	eos_buf_fini(&back);
}

static void test_tags(void **state)
{
	struct s3_tags *tags = calloc(1, sizeof(*tags));
	struct store_object_info *info = calloc(1, sizeof(*info));
	char text[600];

	assert_int_equal(s3_tags_parse(tags, "b=1&a=x+y%2Fz&&c"), S3_OK);
	assert_int_equal(tags->count, 3);
	assert_string_equal(tags->tags[0].key, "a");
	assert_string_equal(tags->tags[0].value, "x y/z");
	assert_string_equal(tags->tags[2].value, "");
	assert_int_equal(s3_tags_parse(tags, "a=2"), S3_INVALID_TAG);
	assert_int_equal(store_metadata_add(info, "content-type", "a/b"), 0);
	assert_int_equal(s3_tags_store(tags, info), 0);
	assert_int_equal(s3_tags_store(tags, info), 0);
	assert_int_equal(s3_tags_count(info), 3);
	assert_string_equal(store_metadata_get(info, STORE_META_TAG "b"), "1");
	assert_string_equal(store_metadata_get(info, "content-type"), "a/b");
	static const char *const bad[] = {"=x",	 "aws:x=1", "d=%0A", "d%3B=1",
					  "d=%", "d=%00",   "d=%FF", "d=1=2=%26"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++)
		assert_true(s3_tags_parse(tags, bad[i]) != S3_OK);
	assert_int_equal(tags->count, 3);
	/* Limits are in characters. */
	memset(tags, 0, sizeof(*tags));
	memset(text, 'x', sizeof(text));
	text[128] = '\0';
	assert_int_equal(s3_tags_add(tags, text, ""), S3_OK);
	text[128] = 'x';
	text[129] = '\0';
	assert_int_equal(s3_tags_add(tags, text, ""), S3_INVALID_TAG);
	for (size_t i = 0; i < 512; i += 2)
		memcpy(text + i, "ü", 2);
	text[512] = '\0';
	assert_int_equal(s3_tags_add(tags, "v", text), S3_OK);
	memcpy(text + 512, "y", 2);
	assert_int_equal(s3_tags_add(tags, "w", text), S3_INVALID_TAG);
	for (char c = 'a'; c < 'i'; c++)
		assert_int_equal(s3_tags_add(tags, (char[]){c, '\0'}, ""), S3_OK);
	assert_int_equal(s3_tags_add(tags, "j", ""), S3_INVALID_TAG);
	free(tags);
	free(info);
}

static void test_tags_xml(void **state)
{
	struct s3_tags *tags = calloc(1, sizeof(*tags));
	static const char good[] = "<Tagging><TagSet><Tag><Key>k</Key><Value>v</Value></Tag>"
				   "<Tag><Key>e</Key><Value/></Tag></TagSet></Tagging>";
	static const char *const bad[] = {
		"",
		"<Tagging/>",
		"<Tagging><TagSet><Tag/></TagSet></Tagging>",
		"<Tagging><TagSet><Tag><Key>k</Key></Tag></TagSet></Tagging>",
		"<Tagging><TagSet><Tag><Key>k</Key><Key>l</Key><Value/></Tag></TagSet></Tagging>",
		"<Tags><TagSet/></Tags>"};

	assert_int_equal(s3_tags_read_xml(tags, good, strlen(good)), S3_OK);
	assert_int_equal(tags->count, 2);
	assert_string_equal(tags->tags[0].key, "e");
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++)
		assert_int_equal(s3_tags_read_xml(tags, bad[i], strlen(bad[i])), S3_MALFORMED_XML);
	free(tags);
}

static void test_part_map(void **state)
{
	struct s3_part_map map = {.len = 0};
	struct s3_part_place place;

	s3_part_map_add(&map, 10);
	s3_part_map_add(&map, 10);
	s3_part_map_add(&map, 7);
	s3_part_map_add(&map, 10);
	s3_part_map_end(&map);
	assert_string_equal(map.text, "10*2,7,10");
	assert_int_equal(s3_part_map_find(map.text, 2, &place), 0);
	assert_true(place.offset == 10 && place.size == 10);
	assert_int_equal(s3_part_map_find(map.text, 4, &place), 0);
	assert_true(place.offset == 27 && place.size == 10);
	assert_int_equal(s3_part_map_find(map.text, 5, &place), -ENOENT);
	assert_int_equal(s3_part_map_find(map.text, 0, &place), -ENOENT);
	assert_int_equal(s3_part_map_find("", 1, &place), -ENOENT);
	assert_int_equal(s3_part_map_find("x", 1, &place), -EBADMSG);
	assert_int_equal(s3_part_map_find("5*", 1, &place), -EBADMSG);
	map = (struct s3_part_map){.len = 0};
	for (uint64_t i = 0; i < 10000; i++)
		s3_part_map_add(&map, (UINT64_C(5) << 30) - i);
	s3_part_map_end(&map);
	assert_string_equal(map.text, "");
	map = (struct s3_part_map){.len = 0};
	for (uint64_t i = 0; i < 9999; i++)
		s3_part_map_add(&map, UINT64_C(5) << 30);
	s3_part_map_add(&map, 0);
	s3_part_map_end(&map);
	assert_int_equal(s3_part_map_find(map.text, 10000, &place), 0);
	assert_true(place.offset == 9999 * (UINT64_C(5) << 30) && place.size == 0);
}

static void test_copy_range(void **state)
{
	static const char *const bad[] = {"",
					  "0-2",
					  "bytes=0",
					  "bytes=-2",
					  "bytes=2-",
					  "bytes=2-1",
					  "bytes=a-b",
					  "bytes=0-2,3-5",
					  "bytes=0-x",
					  "bytes 0-2",
					  "bytes=0-99999999999999999999"};
	uint64_t first, last;

	assert_int_equal(s3_parse_copy_range("bytes=3-17", &first, &last), 0);
	assert_true(first == 3 && last == 17);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++)
		assert_int_equal(s3_parse_copy_range(bad[i], &first, &last), -EINVAL);
}

static void test_versions(void **state)
{
	struct s3_request *request = calloc(1, sizeof(*request));
	char text[S3_VERSION_SIZE];
	uint64_t version;

	s3_format_version(0x1234, text);
	assert_string_equal(text, "0000000000001234");
	assert_int_equal(s3_parse_version(request, text, &version), S3_OK);
	assert_int_equal(version, 0x1234);
	s3_format_version(STORE_VERSION_NULL, text);
	assert_int_equal(s3_parse_version(request, text, &version), S3_OK);
	assert_true(version == STORE_VERSION_NULL);
	static const char *const bad[] = {"",
					  "1",
					  "x",
					  "0000000000000000",
					  "ffffffffffffffff",
					  "00000000000012345",
					  "000000000000123g",
					  "NULL"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++)
		assert_int_equal(s3_parse_version(request, bad[i], &version), S3_INVALID_ARGUMENT);
	free(request);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_crc),	   cmocka_unit_test(test_crc_parts),
		cmocka_unit_test(test_checksum),   cmocka_unit_test(test_mime),
		cmocka_unit_test(test_mime_long),  cmocka_unit_test(test_tags),
		cmocka_unit_test(test_tags_xml),   cmocka_unit_test(test_part_map),
		cmocka_unit_test(test_copy_range), cmocka_unit_test(test_versions),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
