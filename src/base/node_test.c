#include "base/node.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"

static struct eos_why why;

static struct eos_doc *yaml(const char *text)
{
	struct eos_doc *doc = NULL;
	int err = eos_doc_parse_yaml("t.yaml", text, strlen(text), &doc, &why);
	if (err < 0)
		print_error("%s\n", why.text);
	assert_int_equal(err, 0);
	return doc;
}

static void refuse_yaml(const char *text, size_t len, const char *message)
{
	struct eos_doc *doc;
	assert_int_equal(eos_doc_parse_yaml("t.yaml", text, len, &doc, &why), -EINVAL);
	assert_string_equal(why.text, message);
}

static void refuse_json(const char *text, const char *message)
{
	struct eos_doc *doc;
	assert_int_equal(eos_doc_parse_json("t.json", text, strlen(text), &doc, &why), -EINVAL);
	assert_memory_equal(why.text, message, strlen(message));
}

static void test_yaml_tree(void **state)
{
	struct eos_doc *doc = yaml("# comment\n"
				   "function: down\n"
				   "limits: {memory: 16MiB,\n"
				   "  timeout: 2s}\n"
				   "triggers:\n"
				   "  - object: {bucket: raw}\n"
				   "  -\n"
				   "    http:\n"
				   "      path: \"/x\"\n"
				   "empty:\n"
				   "quoted: ''\n"
				   "tilde: ~\n"
				   "text: |\n"
				   "  a\n"
				   "  b\n");
	const struct eos_node *root = eos_doc_root(doc);
	assert_int_equal(eos_node_kind(root), EOS_NODE_MAP);
	assert_int_equal(eos_node_count(root), 7);
	assert_string_equal(eos_node_key_at(root, 0), "function");
	assert_string_equal(eos_node_text(eos_node_get(root, "function")), "down");
	assert_int_equal(eos_node_line(eos_node_get(root, "function")), 2);
	const struct eos_node *limits = eos_node_get(root, "limits");
	assert_int_equal(eos_node_line(limits), 3);
	assert_int_equal(eos_node_line(eos_node_get(limits, "timeout")), 4);
	assert_null(eos_node_get(limits, "nothing"));
	const struct eos_node *triggers = eos_node_get(root, "triggers");
	assert_int_equal(eos_node_kind(triggers), EOS_NODE_LIST);
	assert_int_equal(eos_node_line(triggers), 5);
	assert_int_equal(eos_node_count(triggers), 2);
	assert_string_equal(eos_node_key_at(triggers, 1), "");
	assert_string_equal(eos_node_text(triggers), "");
	assert_null(eos_node_get(triggers, "object"));
	assert_int_equal(eos_node_line(eos_node_at(triggers, 0)), 6);
	const struct eos_node *http = eos_node_get(eos_node_at(triggers, 1), "http");
	assert_int_equal(eos_node_line(eos_node_get(http, "path")), 9);
	assert_true(eos_node_is_null(eos_node_get(root, "empty")));
	assert_int_equal(eos_node_line(eos_node_get(root, "empty")), 10);
	assert_false(eos_node_is_null(eos_node_get(root, "quoted")));
	assert_true(eos_node_is_null(eos_node_get(root, "tilde")));
	assert_string_equal(eos_node_text(eos_node_get(root, "text")), "a\nb\n");
	eos_doc_free(doc);
	assert_null(eos_doc_free(NULL));
}

static void test_yaml_empty_documents(void **state)
{
	static const char *const empty[] = {"",	     "\n\n",	    "# only a comment\n",
					    "---\n", "--- \n...\n", "\xef\xbb\xbf"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(empty); i++) {
		struct eos_doc *doc = yaml(empty[i]);
		assert_int_equal(eos_node_kind(eos_doc_root(doc)), EOS_NODE_MAP);
		assert_int_equal(eos_node_count(eos_doc_root(doc)), 0);
		eos_doc_free(doc);
	}
	/* The body of a request without one. */
	struct eos_doc *none = NULL;
	assert_int_equal(eos_doc_parse_yaml("t.yaml", NULL, 0, &none, NULL), 0);
	assert_int_equal(eos_node_count(eos_doc_root(none)), 0);
	eos_doc_free(none);
	struct eos_doc *doc = yaml("''");
	assert_int_equal(eos_node_kind(eos_doc_root(doc)), EOS_NODE_SCALAR);
	eos_doc_free(doc);
}

static void test_yaml_refused(void **state)
{
	static const struct {
		const char *text, *message;
	} cases[] = {
		{"a: 1\nb: 2\na: 3\n", "t.yaml:3: the key \"a\" is there twice"},
		{"a: &x 1\nb: *x\n", "t.yaml:2: aliases (*name) are not supported"},
		{"a: 1\n---\nb: 2\n", "t.yaml:2: a second document in one file"},
		{"a: !!binary aGk=\n", "t.yaml:1: tags (!\?\?\?) are not supported"},
		{"a: 1\nb: !x [1]\n", "t.yaml:2: tags (!\?\?\?) are not supported"},
		{"a: 1\n? [x]\n: 2\n", "t.yaml:2: a key must be a single value"},
		{"a: \"\\0\"\n", "t.yaml:1: a NUL byte"},
		{"ok: 1\n\xff: 2\n", "t.yaml:2: not UTF-8"},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		struct eos_doc *doc;
		assert_int_equal(eos_doc_parse_yaml("t.yaml", cases[i].text, strlen(cases[i].text),
						    &doc, &why),
				 -EINVAL);
		if (strstr(cases[i].message, "tags") == NULL)
			assert_string_equal(why.text, cases[i].message);
		else
			assert_non_null(strstr(why.text, "are not supported"));
	}
	refuse_yaml("a: 1\nb: \0\n", 10, "t.yaml:2: a NUL byte");
}

static void test_yaml_syntax_errors_name_the_line(void **state)
{
	static const struct {
		const char *text, *place;
	} cases[] = {
		{"a: 1\nb: [1, 2\nc: 3\n", "t.yaml:3: "},
		{"a: 1\n\tb: 2\n", "t.yaml:2: "},
		{"a: \"unclosed\n", "t.yaml:1: "},
		{"a: 1\nb: }\n", "t.yaml:2: "},
		{"a: b: c\n", "t.yaml:1: "},
		{"a: 1\n b: 2\n", "t.yaml:2: "},
		{"a: 1\nb: \"\x01\"\n", "t.yaml:2: "},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		struct eos_doc *doc;
		assert_int_equal(eos_doc_parse_yaml("t.yaml", cases[i].text, strlen(cases[i].text),
						    &doc, &why),
				 -EINVAL);
		if (strncmp(why.text, cases[i].place, strlen(cases[i].place)) != 0)
			fail_msg("case %zu: %s", i, why.text);
	}
}

static void test_bounds(void **state)
{
	struct eos_buf buf;
	struct eos_doc *doc;
	eos_buf_init(&buf);
	for (int i = 0; i < EOS_DOC_DEPTH_MAX; i++)
		eos_buf_puts(&buf, "[");
	for (int i = 0; i < EOS_DOC_DEPTH_MAX; i++)
		eos_buf_puts(&buf, "]");
	assert_int_equal(eos_doc_parse_yaml("t", buf.data, buf.len, &doc, &why), 0);
	eos_doc_free(doc);
	assert_int_equal(eos_doc_parse_json("t", buf.data, buf.len, &doc, &why), 0);
	eos_doc_free(doc);
	eos_buf_clear(&buf);
	for (int i = 0; i < 1000000; i++)
		eos_buf_puts(&buf, "[");
	assert_int_equal(eos_doc_parse_yaml("t", buf.data, buf.len, &doc, &why), -EINVAL);
	assert_string_equal(why.text, "t:1: nested too deeply");
	assert_int_equal(eos_doc_parse_json("t", buf.data, buf.len, &doc, &why), -EINVAL);
	assert_string_equal(why.text, "t:1: nested too deeply");
	eos_buf_clear(&buf);
	eos_buf_puts(&buf, "[");
	for (int i = 0; i < EOS_DOC_NODES_MAX; i++)
		eos_buf_puts(&buf, "1,\n");
	eos_buf_puts(&buf, "1]");
	assert_int_equal(eos_doc_parse_yaml("t", buf.data, buf.len, &doc, &why), -EINVAL);
	assert_string_equal(why.text, "t: more than 100000 values");
	assert_int_equal(eos_doc_parse_json("t", buf.data, buf.len, &doc, &why), -EINVAL);
	assert_non_null(strstr(why.text, "more than 100000 values"));
	assert_int_equal(eos_buf_reserve(&buf, EOS_DOC_BYTES_MAX), 0);
	memset(buf.data, ' ', EOS_DOC_BYTES_MAX + 1);
	assert_int_equal(eos_doc_parse_yaml("t", buf.data, EOS_DOC_BYTES_MAX + 1, &doc, &why),
			 -EINVAL);
	assert_int_equal(eos_doc_parse_json("t", buf.data, EOS_DOC_BYTES_MAX + 1, &doc, &why),
			 -EINVAL);
	eos_buf_fini(&buf);
}

static void test_json_tree(void **state)
{
	static const char text[] = "{\"s\": \"a\\u00e9\", \"i\": -12, \"r\": 1.5, \"t\": true,\n"
				   "\"f\": false, \"n\": null, \"e\": \"\", \"l\": [1, [2], {}]}";
	struct eos_doc *doc;
	assert_int_equal(eos_doc_parse_json("t", text, strlen(text), &doc, &why), 0);
	const struct eos_node *root = eos_doc_root(doc);
	assert_int_equal(eos_node_count(root), 8);
	assert_string_equal(eos_node_key_at(root, 7), "l");
	assert_string_equal(eos_node_text(eos_node_get(root, "s")), "a\xc3\xa9");
	assert_string_equal(eos_node_text(eos_node_get(root, "i")), "-12");
	assert_string_equal(eos_node_text(eos_node_get(root, "r")), "1.5");
	assert_string_equal(eos_node_text(eos_node_get(root, "t")), "true");
	assert_string_equal(eos_node_text(eos_node_get(root, "f")), "false");
	assert_true(eos_node_is_null(eos_node_get(root, "n")));
	assert_false(eos_node_is_null(eos_node_get(root, "e")));
	const struct eos_node *list = eos_node_get(root, "l");
	assert_int_equal(eos_node_count(list), 3);
	assert_int_equal(eos_node_kind(eos_node_at(list, 1)), EOS_NODE_LIST);
	assert_int_equal(eos_node_kind(eos_node_at(list, 2)), EOS_NODE_MAP);
	/* No positions in JSON: the message has the name alone. */
	uint64_t value = 0;
	assert_int_equal(eos_node_get_u64(root, "i", 0, 9, &value, &why), -EINVAL);
	assert_string_equal(why.text, "t: i: not a number: \"-12\"");
	eos_doc_free(doc);
}

static void test_json_refused(void **state)
{
	refuse_json("", "t.json:1: ");
	refuse_json("{\"a\": 1,\n\"b\": }", "t.json:2: ");
	refuse_json("{\"a\": 1,\n \"a\": 2}", "t.json:2: ");
	refuse_json("{} {}", "t.json:1: ");
	refuse_json("\"\\u0000\"", "t.json:1: ");
	refuse_json("{\"\\u0000\": 1}", "t.json:1: ");
	refuse_json("[\"\n", "t.json:");
	refuse_json("99999999999999999999999", "t.json:1: ");
	refuse_json("[1,\n\"\xff\"]", "t.json:2: not UTF-8");
	refuse_json("]", "t.json:1: ");
}

static void test_many_keys_are_not_quadratic(void **state)
{
	struct eos_buf buf;
	eos_buf_init(&buf);
	for (int i = 0; i < 50000; i++)
		eos_buf_printf(&buf, "k%d: v\n", i);
	struct eos_doc *doc = yaml(buf.data);
	char key[16];
	for (int i = 0; i < 50000; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_int_equal(eos_node_line(eos_node_get(eos_doc_root(doc), key)), i + 1);
	}
	eos_doc_free(doc);
	eos_buf_fini(&buf);
}

static void test_typed_fields(void **state)
{
	struct eos_doc *doc = yaml("text: hello\nnumber: 42\nsize: 16MiB\ntime: 250ms\nyes: true\n"
				   "no: false\n");
	const struct eos_node *root = eos_doc_root(doc);
	const char *text = "default";
	uint64_t value = 7;
	bool flag = true;
	assert_int_equal(eos_node_get_text(root, "missing", &text, &why), 0);
	assert_string_equal(text, "default");
	assert_int_equal(eos_node_get_text(root, "text", &text, &why), 0);
	assert_string_equal(text, "hello");
	assert_int_equal(eos_node_get_u64(root, "missing", 0, 1, &value, &why), 0);
	assert_int_equal(value, 7);
	assert_int_equal(eos_node_get_u64(root, "number", 42, 42, &value, &why), 0);
	assert_int_equal(value, 42);
	assert_int_equal(eos_node_get_size(root, "size", 0, UINT64_MAX, &value, &why), 0);
	assert_int_equal(value, 16 << 20);
	assert_int_equal(eos_node_get_duration(root, "time", 0, EOS_NS_PER_S, &value, &why), 0);
	assert_int_equal(value, 250 * EOS_NS_PER_MS);
	assert_int_equal(eos_node_get_bool(root, "missing", &flag, &why), 0);
	assert_true(flag);
	assert_int_equal(eos_node_get_bool(root, "no", &flag, &why), 0);
	assert_false(flag);
	assert_int_equal(eos_node_get_bool(root, "yes", &flag, &why), 0);
	assert_true(flag);
	eos_doc_free(doc);
}

static void test_typed_fields_refuse(void **state)
{
	struct eos_doc *doc = yaml("limits:\n  memory: lots\n  timeout: 2h\n  count: 0\n"
				   "  list: [1]\n  none:\n  flag: maybe\n  map: {a: 1}\n"
				   "  items:\n    - {n: x}\n    - {n: y}\n");
	const struct eos_node *limits = eos_node_get(eos_doc_root(doc), "limits");
	const char *text = NULL;
	uint64_t value = 7;
	bool flag = false;
	assert_int_equal(eos_node_get_size(limits, "memory", 1, 2, &value, &why), -EINVAL);
	assert_string_equal(why.text,
			    "t.yaml:2: limits.memory: not a size (such as 16MiB): \"lots\"");
	assert_int_equal(eos_node_get_duration(limits, "timeout", 1000000, 3600 * EOS_NS_PER_S,
					       &value, &why),
			 -EINVAL);
	assert_string_equal(why.text, "t.yaml:3: limits.timeout: must be from 1ms to 1h, not 2h");
	assert_int_equal(eos_node_get_u64(limits, "count", 1, 10, &value, &why), -EINVAL);
	assert_string_equal(why.text, "t.yaml:4: limits.count: must be from 1 to 10, not 0");
	assert_int_equal(eos_node_get_text(limits, "list", &text, &why), -EINVAL);
	assert_string_equal(why.text,
			    "t.yaml:5: limits.list: a single value is wanted here, not a list");
	assert_int_equal(eos_node_get_text(limits, "none", &text, &why), -EINVAL);
	assert_string_equal(why.text, "t.yaml:6: limits.none: has no value");
	assert_int_equal(eos_node_get_bool(limits, "flag", &flag, &why), -EINVAL);
	assert_string_equal(why.text, "t.yaml:7: limits.flag: not true or false: \"maybe\"");
	assert_int_equal(eos_node_get_bool(limits, "map", &flag, &why), -EINVAL);
	const struct eos_node *second = eos_node_at(eos_node_get(limits, "items"), 1);
	assert_int_equal(eos_node_get_u64(second, "n", 0, 1, &value, &why), -EINVAL);
	assert_string_equal(why.text, "t.yaml:11: limits.items[1].n: not a number: \"y\"");
	assert_int_equal(value, 7);
	assert_null(text);
	eos_doc_free(doc);
}

static void test_check_keys(void **state)
{
	static const char *const keys[] = {"a", "b", NULL};
	struct eos_doc *doc = yaml("b: 1\nin: {a: 1,\n c: 2}\nlist: []\n");
	const struct eos_node *root = eos_doc_root(doc);
	assert_int_equal(eos_node_check_keys(root, keys, &why), -EINVAL);
	assert_string_equal(why.text, "t.yaml:2: unknown key \"in\"");
	assert_int_equal(eos_node_check_keys(eos_node_get(root, "in"), keys, &why), -EINVAL);
	assert_string_equal(why.text, "t.yaml:3: unknown key \"in.c\"");
	assert_int_equal(eos_node_check_keys(eos_node_get(root, "list"), keys, &why), -EINVAL);
	assert_string_equal(why.text, "t.yaml:4: list: not a map of keys and values");
	eos_doc_free(doc);
	doc = yaml("a: 1");
	assert_int_equal(eos_node_check_keys(eos_doc_root(doc), keys, &why), 0);
	eos_doc_free(doc);
	doc = yaml("- 1");
	assert_int_equal(eos_node_check_keys(eos_doc_root(doc), keys, &why), -EINVAL);
	assert_string_equal(why.text, "t.yaml:1: not a map of keys and values");
	assert_int_equal(eos_node_fail(eos_doc_root(doc), &why, "no %s", "good"), -EINVAL);
	assert_string_equal(why.text, "t.yaml:1: no good");
	eos_doc_free(doc);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_yaml_tree),
		cmocka_unit_test(test_yaml_empty_documents),
		cmocka_unit_test(test_yaml_refused),
		cmocka_unit_test(test_yaml_syntax_errors_name_the_line),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_json_tree),
		cmocka_unit_test(test_json_refused),
		cmocka_unit_test(test_many_keys_are_not_quadratic),
		cmocka_unit_test(test_typed_fields),
		cmocka_unit_test(test_typed_fields_refuse),
		cmocka_unit_test(test_check_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
