#include "base/json.h"

#include <errno.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/node.h"

static void test_document(void **state)
{
	struct eos_buf buf;
	eos_buf_init(&buf);
	struct eos_json json = eos_json_begin(&buf);
	eos_json_open(&json, NULL, '{');
	eos_json_text(&json, "a", "x\"\\\n\x01");
	eos_json_text(&json, "none", NULL);
	eos_json_open(&json, "list", '[');
	eos_json_u64(&json, NULL, UINT64_MAX);
	eos_json_i64(&json, NULL, INT64_MIN);
	eos_json_f64(&json, NULL, 1.5);
	eos_json_f64(&json, NULL, NAN);
	eos_json_open(&json, NULL, '[');
	eos_json_close(&json, ']');
	eos_json_close(&json, ']');
	eos_json_bool(&json, "t", true);
	eos_json_bool(&json, "f", false);
	eos_json_raw(&json, "raw", "{\"k\":1}", 7);
	eos_json_text_n(&json, "cut", "abcdef", 3);
	eos_json_close(&json, '}');
	assert_false(eos_buf_failed(&buf));
	assert_string_equal(buf.data, "{\"a\":\"x\\\"\\\\\\u000a\\u0001\",\"none\":null,"
				      "\"list\":[18446744073709551615,-9223372036854775808,1.5,"
				      "null,[]],\"t\":true,\"f\":false,\"raw\":{\"k\":1},"
				      "\"cut\":\"abc\"}");
	eos_buf_fini(&buf);
}

static void test_bytes_that_are_not_utf8(void **state)
{
	struct eos_buf buf;
	eos_buf_init(&buf);
	struct eos_json json = eos_json_begin(&buf);
	eos_json_text_n(&json, NULL, "a\xff\xe2\x82\xac\xe2\x82", 7);
	assert_string_equal(buf.data, "\"a\xef\xbf\xbd\xe2\x82\xac\xef\xbf\xbd\xef\xbf\xbd\"");
	eos_buf_fini(&buf);
}

/* Whatever bytes a text has, the document is one that a parser takes. */
static void test_any_byte_gives_a_document(void **state)
{
	for (unsigned c = 1; c < 256; c++) {
		char text[4] = {'x', (char)c, 'y', '\0'};
		struct eos_buf buf;
		eos_buf_init(&buf);
		struct eos_json json = eos_json_begin(&buf);
		eos_json_open(&json, NULL, '{');
		eos_json_text(&json, text, text);
		eos_json_close(&json, '}');
		struct eos_doc *doc;
		assert_int_equal(eos_doc_parse_json("j", buf.data, buf.len, &doc, NULL), 0);
		assert_int_equal(eos_node_count(eos_doc_root(doc)), 1);
		if (c < 128)
			assert_string_equal(eos_node_text(eos_node_at(eos_doc_root(doc), 0)), text);
		eos_doc_free(doc);
		eos_buf_fini(&buf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_document),
		cmocka_unit_test(test_bytes_that_are_not_utf8),
		cmocka_unit_test(test_any_byte_gives_a_document),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
