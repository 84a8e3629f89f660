/* Queries, XML in and out, conditions, ranges. */
#include "s3/s3_error.h"
#include "s3/s3_priv.h"
#include "s3/s3_query.h"
#include "s3/s3_xml.h"
#include "s3/s3_xml_read.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_query(void **state)
{
	struct s3_query query;
	assert_int_equal(s3_query_parse(&query, ""), 0);
	assert_int_equal(query.count, 0);
	s3_query_fini(&query);
	assert_int_equal(s3_query_parse(&query, "a=1&&b=%C3%A9+x=y&acl&a=2&=e"), 0);
	assert_int_equal(query.count, 5);
	assert_string_equal(s3_query_get(&query, "a"), "1");
	assert_string_equal(s3_query_get(&query, "b"), "\xc3\xa9 x=y");
	assert_string_equal(s3_query_get(&query, "acl"), "");
	assert_string_equal(s3_query_get(&query, ""), "e");
	assert_null(s3_query_get(&query, "A"));
	/* These begin with bytes that share a bit with a name's. */
	assert_null(s3_query_get(&query, "!"));
	assert_null(s3_query_get(&query, "ac"));
	assert_null(s3_query_get(&query, "@"));
	s3_query_fini(&query);
	assert_int_equal(s3_query_parse(&query, "%61=%2B+%2b&a%2Bb+c=%c3%a9"), 0);
	assert_string_equal(s3_query_get(&query, "a"), "+ +");
	assert_string_equal(s3_query_get(&query, "a+b c"), "\xc3\xa9");
	assert_int_equal(query.params[1].name_len, 5);
	assert_int_equal(query.params[1].value_len, 2);
	s3_query_fini(&query);
	static const char *const bad[] = {"a=%", "a=%4", "a=%zz", "a=%00", "a=%ff", "%00=b"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++)
		assert_int_equal(s3_query_parse(&query, bad[i]), -EINVAL);
	char many[4 * (S3_QUERY_PARAMS_MAX + 1) + 1] = "";
	for (unsigned i = 0; i < S3_QUERY_PARAMS_MAX + 1; i++)
		strcat(many, "a=b&");
	assert_int_equal(s3_query_parse(&query, many), -EINVAL);
}

static void expect_canonical(const char *text, const char *expected)
{
	struct s3_query query;
	struct eos_buf buf = {0};
	assert_int_equal(s3_query_parse(&query, text), 0);
	assert_int_equal(s3_query_canonical(&query, "skipped", &buf), 0);
	assert_string_equal(buf.data, expected);
	eos_buf_fini(&buf);
	s3_query_fini(&query);
}

/* In the order of what is on the wire: "%2F" is before "-", though "/" is behind it. */
static void test_canonical_query(void **state)
{
	char many[1024] = "", sorted[1024] = "", one[16];
	expect_canonical("a=1&skipped=1", "a=1");
	expect_canonical("a-=1&a/=2&a=3&skipped=4&a~=5", "a=3&a%2F=2&a-=1&a~=5");
	expect_canonical("a=b&a=a&a=%C3%A9&a=B", "a=%C3%A9&a=B&a=a&a=b");
	expect_canonical("b=%c3%a9+*&a", "a=&b=%C3%A9%20%2A");
	/* So many are sorted in another way. */
	for (unsigned i = 0; i < 40; i++) {
		snprintf(one, sizeof(one), "k%02u=%02u&", (i * 7 + 3) % 40, i);
		strcat(many, one);
	}
	for (unsigned k = 0; k < 40; k++) {
		snprintf(one, sizeof(one), "%sk%02u=%02u", k > 0 ? "&" : "", k, (k + 37) * 23 % 40);
		strcat(sorted, one);
	}
	expect_canonical(many, sorted);
}

static void test_xml_write(void **state)
{
	struct eos_buf buf;
	eos_buf_init(&buf);
	s3_xml_begin(&buf, "R");
	s3_xml_text(&buf, "A", "<&>\"'\t\x01");
	s3_xml_key(&buf, "K", "a b/\x01+\xc3\xa9", 8, true);
	s3_xml_key(&buf, "K", "a b", 3, false);
	s3_xml_u64(&buf, "N", UINT64_MAX);
	s3_xml_bool(&buf, "B", true);
	s3_xml_time(&buf, "T", 0);
	s3_xml_close(&buf, "R");
	assert_string_equal(
		buf.data,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<R xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
		"<A>&lt;&amp;&gt;&#x22;&#x27;&#x9;&#x1;</A><K>a%20b/%01%2B%C3%A9</K><K>a b</K>"
		"<N>18446744073709551615</N><B>true</B><T>1970-01-01T00:00:00.000Z</T></R>");
	eos_buf_fini(&buf);
}

static void test_xml_write_not_utf8(void **state)
{
	struct eos_buf buf;
	eos_buf_init(&buf);
	s3_xml_text(&buf, "A", "\x80\xc3\xa9\xc3<\xf0\x9f\x92\xa9\xed\xa0\x80z\xf0\x9f\x92");
	assert_string_equal(buf.data, "<A>\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd&lt;\xf0\x9f\x92\xa9"
				      "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz"
				      "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd</A>");
	eos_buf_fini(&buf);
}

#define READ(fn, text, out) fn(text, strlen(text), out)

static void test_xml_read(void **state)
{
	char location[S3_LOCATION_MAX + 1];
	struct s3_delete_list list;
	struct s3_part_list parts;
	assert_int_equal(s3_xml_read_location(NULL, 0, location), 0);
	assert_string_equal(location, "");
	assert_int_equal(
		READ(s3_xml_read_location,
		     "<CreateBucketConfiguration xmlns='http://s3.amazonaws.com/doc/2006-03-01/'>"
		     "<LocationConstraint>eu</LocationConstraint></CreateBucketConfiguration>",
		     location),
		0);
	assert_string_equal(location, "eu");
	assert_int_equal(READ(s3_xml_read_location, "<x/>", location), -EINVAL);
	assert_int_equal(READ(s3_xml_read_location, "<CreateBucketConfiguration>", location),
			 -EINVAL);
	assert_int_equal(
		READ(s3_xml_read_delete,
		     "<Delete><Quiet>true</Quiet><Object><Key>a &amp; b</Key></Object>"
		     "<Object><Key><![CDATA[<c>]]></Key><VersionId>1</VersionId></Object></Delete>",
		     &list),
		0);
	assert_int_equal(list.count, 2);
	assert_true(list.is_quiet);
	assert_string_equal(list.keys[0].key, "a & b");
	assert_string_equal(list.keys[1].key, "<c>");
	assert_null(list.keys[0].version);
	assert_string_equal(list.keys[1].version, "1");
	assert_false(list.keys[1].has_others);
	s3_delete_list_fini(&list);
	assert_int_equal(READ(s3_xml_read_delete, "<Delete/>", &list), -EINVAL);
	assert_int_equal(READ(s3_xml_read_delete, "<Delete><Object/></Delete>", &list), -EINVAL);
	/* Entities and document types. */
	assert_int_equal(READ(s3_xml_read_delete,
			      "<!DOCTYPE Delete [<!ENTITY e SYSTEM 'file:///etc/passwd'>]>"
			      "<Delete><Object><Key>&e;</Key></Object></Delete>",
			      &list),
			 -EINVAL);
	assert_int_equal(READ(s3_xml_read_parts,
			      "<CompleteMultipartUpload><Part><ETag>\"ab\"</ETag><PartNumber>3"
			      "</PartNumber></Part></CompleteMultipartUpload>",
			      &parts),
			 0);
	assert_int_equal(parts.count, 1);
	assert_int_equal(parts.parts[0].number, 3);
	assert_string_equal(parts.parts[0].etag, "ab");
	s3_part_list_fini(&parts);
	static const char *const bad[] = {
		"<CompleteMultipartUpload/>",
		"<CompleteMultipartUpload><Part><ETag>a</ETag><PartNumber>0</PartNumber></Part>"
		"</CompleteMultipartUpload>",
		"<CompleteMultipartUpload><Part><PartNumber>1</PartNumber></Part>"
		"</CompleteMultipartUpload>",
		"<CompleteMultipartUpload><Part><ETag>a</ETag><PartNumber>10001</PartNumber></Part>"
		"</CompleteMultipartUpload>",
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++)
		assert_int_equal(READ(s3_xml_read_parts, bad[i], &parts), -EINVAL);
}

static void test_delete_limit(void **state)
{
	struct eos_buf buf;
	struct s3_delete_list list;
	eos_buf_init(&buf);
	eos_buf_puts(&buf, "<Delete>");
	for (int i = 0; i < 1001; i++)
		eos_buf_puts(&buf, "<Object><Key>k</Key></Object>");
	eos_buf_puts(&buf, "</Delete>");
	assert_int_equal(s3_xml_read_delete(buf.data, buf.len, &list), -EINVAL);
	eos_buf_fini(&buf);
}

static void test_ranges(void **state)
{
	uint64_t first = 0, len = 0;
	static const struct {
		const char *text;
		uint64_t size;
		int result;
		uint64_t first, len;
	} cases[] = {
		{"bytes=0-9", 100, 1, 0, 10},
		{"bytes=90-", 100, 1, 90, 10},
		{"bytes=-10", 100, 1, 90, 10},
		{"bytes=-200", 100, 1, 0, 100},
		{"bytes=50-500", 100, 1, 50, 50},
		{"bytes=99-99", 100, 1, 99, 1},
		{"bytes=100-", 100, -ERANGE, 0, 0},
		{"bytes=-0", 100, -ERANGE, 0, 0},
		{"bytes=0-", 0, -ERANGE, 0, 0},
		{"bytes=5-2", 100, 0, 0, 0},
		{"bytes=0-1,3-4", 100, 0, 0, 0},
		{"lines=0-1", 100, 0, 0, 0},
		{"bytes=a-b", 100, 0, 0, 0},
		{"bytes=-", 100, 0, 0, 0},
		{"bytes=0", 100, 0, 0, 0},
		{NULL, 100, 0, 0, 0},
		{"bytes=99999999999999999999-", 100, 0, 0, 0},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		int result = s3_parse_range(cases[i].text, cases[i].size, &first, &len);
		assert_int_equal(result, cases[i].result);
		if (result > 0) {
			assert_int_equal(first, cases[i].first);
			assert_int_equal(len, cases[i].len);
		}
	}
}

static void test_conditions(void **state)
{
	struct store_object_info *info = calloc(1, sizeof(*info));
	assert_non_null(info);
	strcpy(info->etag, "0123");
	info->modified_ns = UINT64_C(784111777) * 1000000000 + 5;
	static const char same[] = "Sun, 06 Nov 1994 08:49:37 GMT";
	static const char before[] = "Sun, 06 Nov 1994 08:49:36 GMT";
	static const struct {
		struct s3_condition_headers headers;
		enum s3_code code;
	} cases[] = {
		{{.if_match = "\"0123\""}, S3_OK},
		{{.if_match = "\"x\", 0123"}, S3_OK},
		{{.if_match = "*"}, S3_OK},
		{{.if_match = "\"x\""}, S3_PRECONDITION_FAILED},
		{{.if_none_match = "\"0123\""}, S3_NOT_MODIFIED},
		{{.if_none_match = "W/\"0123\""}, S3_NOT_MODIFIED},
		{{.if_none_match = "\"x\"", .if_modified_since = same}, S3_OK},
		{{.if_modified_since = same}, S3_NOT_MODIFIED},
		{{.if_modified_since = before}, S3_OK},
		{{.if_modified_since = "rubbish"}, S3_OK},
		{{.if_unmodified_since = same}, S3_OK},
		{{.if_unmodified_since = before}, S3_PRECONDITION_FAILED},
		{{.if_match = "0123", .if_unmodified_since = before}, S3_OK},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++)
		assert_int_equal(s3_check_conditions(&cases[i].headers, info), cases[i].code);
	int64_t time_s;
	assert_int_equal(s3_parse_http_date(same, &time_s), 0);
	assert_int_equal(time_s, 784111777);
	assert_int_equal(s3_parse_http_date("Sun, 06 Nvo 1994 08:49:37 GMT", &time_s), -EINVAL);
	assert_int_equal(s3_parse_http_date("Sun, 06 Nov 1994 08:49:37 PST", &time_s), -EINVAL);
	free(info);
}

static void test_bucket_names(void **state)
{
	static const char *const good[] = {"abc", "a-b.c1", "0ab", "1.2.3.4a"};
	static const char *const bad[] = {"",	     "ab",	"Abc", ".multipart", "a..b",
					  "a_b",     "-ab",	"ab-", "a.-b",	     "a-.b",
					  "1.2.3.4", "xn--abc", "a b", "a/b"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(good); i++)
		assert_int_equal(s3_check_bucket_name(good[i]), S3_OK);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++)
		assert_int_equal(s3_check_bucket_name(bad[i]), S3_INVALID_BUCKET_NAME);
	char longest[65];
	memset(longest, 'a', 64);
	longest[64] = '\0';
	assert_int_equal(s3_check_bucket_name(longest), S3_INVALID_BUCKET_NAME);
	longest[63] = '\0';
	assert_int_equal(s3_check_bucket_name(longest), S3_OK);
}

static void test_errors(void **state)
{
	assert_string_equal(s3_code_name(S3_NO_SUCH_KEY), "NoSuchKey");
	assert_int_equal(s3_code_status(S3_NO_SUCH_KEY), 404);
	for (int i = S3_OK + 1; i < S3_CODE_COUNT; i++)
		assert_true(strlen(s3_code_message((enum s3_code)i)) > 5);
	assert_int_equal(s3_code_of(0, S3_NO_SUCH_KEY), S3_OK);
	assert_int_equal(s3_code_of(-ENOENT, S3_NO_SUCH_KEY), S3_NO_SUCH_KEY);
	assert_int_equal(s3_code_of(-ENOSPC, S3_NO_SUCH_KEY), S3_INSUFFICIENT_STORAGE);
	assert_int_equal(s3_code_of(-EROFS, S3_NO_SUCH_KEY), S3_SERVICE_UNAVAILABLE);
	assert_int_equal(s3_code_of(-EBADMSG, S3_NO_SUCH_KEY), S3_INTERNAL_ERROR);
	assert_int_equal(s3_code_of(-EMFILE, S3_NO_SUCH_KEY), S3_SLOW_DOWN);
	assert_int_equal(s3_code_of(-EFBIG, S3_NO_SUCH_KEY), S3_ENTITY_TOO_LARGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_query),	     cmocka_unit_test(test_canonical_query),
		cmocka_unit_test(test_xml_write),    cmocka_unit_test(test_xml_read),
		cmocka_unit_test(test_delete_limit), cmocka_unit_test(test_xml_write_not_utf8),
		cmocka_unit_test(test_ranges),	     cmocka_unit_test(test_conditions),
		cmocka_unit_test(test_bucket_names), cmocka_unit_test(test_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
