#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/node.h"
#include "trigger/trigger.h"

static struct store_event make_event(enum store_event_kind kind, const char *key)
{
	struct store_event event = {.id = 0x2a,
				    .kind = kind,
				    .time_ns = UINT64_C(1709210096789) * EOS_NS_PER_MS,
				    .size = 1024,
				    .sequence = 0xabc,
				    .etag = "d41d8cd98f00b204e9800998ecf8427e",
				    .bucket = "raw",
				    .target = "downsample",
				    .key_len = (uint32_t)strlen(key)};
	strcpy(event.key, key);
	return event;
}

static void test_created(void **state)
{
	struct store_event event = make_event(STORE_EVENT_CREATED, "cam/a b+\xc3\xa9.csv");
	struct eos_buf buf;
	eos_buf_init(&buf);
	assert_int_equal(trigger_event_to_json(&event, &buf), 0);
	assert_string_equal(
		buf.data,
		"{\"Records\":[{\"eventVersion\":\"2.1\",\"eventSource\":\"aws:s3\","
		"\"awsRegion\":\"us-east-1\",\"eventTime\":\"2024-02-29T12:34:56.789Z\","
		"\"eventName\":\"ObjectCreated:Put\","
		"\"userIdentity\":{\"principalId\":\"edgeos\"},"
		"\"requestParameters\":{\"sourceIPAddress\":\"\"},"
		"\"responseElements\":{\"x-amz-request-id\":\"000000000000002A\","
		"\"x-amz-id-2\":\"\"},"
		"\"s3\":{\"s3SchemaVersion\":\"1.0\",\"configurationId\":\"downsample\","
		"\"bucket\":{\"name\":\"raw\",\"ownerIdentity\":{\"principalId\":\"edgeos\"},"
		"\"arn\":\"arn:aws:s3:::raw\"},"
		"\"object\":{\"key\":\"cam/a+b%2B%C3%A9.csv\",\"size\":1024,"
		"\"eTag\":\"d41d8cd98f00b204e9800998ecf8427e\","
		"\"sequencer\":\"0000000000000ABC\"}}}]}");
	eos_buf_fini(&buf);
}

static void test_removed(void **state)
{
	struct store_event event = make_event(STORE_EVENT_REMOVED, "x");
	struct eos_buf buf;
	struct eos_doc *doc;
	eos_buf_init(&buf);
	assert_int_equal(trigger_event_to_json(&event, &buf), 0);
	assert_int_equal(eos_doc_parse_json("e", buf.data, buf.len, &doc, NULL), 0);
	const struct eos_node *record = eos_node_at(eos_node_get(eos_doc_root(doc), "Records"), 0);
	assert_string_equal(eos_node_text(eos_node_get(record, "eventName")),
			    "ObjectRemoved:Delete");
	const struct eos_node *object = eos_node_get(eos_node_get(record, "s3"), "object");
	assert_string_equal(eos_node_text(eos_node_get(object, "key")), "x");
	assert_null(eos_node_get(object, "size"));
	assert_null(eos_node_get(object, "eTag"));
	eos_doc_free(doc);
	eos_buf_fini(&buf);
}

static void test_versions(void **state)
{
	struct store_event event = make_event(STORE_EVENT_MARKER_CREATED, "x");
	struct eos_buf buf;
	event.version = 0xabc;
	eos_buf_init(&buf);
	assert_int_equal(trigger_event_to_json(&event, &buf), 0);
	assert_non_null(strstr(buf.data, "\"eventName\":\"ObjectRemoved:DeleteMarkerCreated\""));
	assert_non_null(strstr(buf.data, "\"versionId\":\"0000000000000abc\""));
	eos_buf_fini(&buf);
}

static void test_names(void **state)
{
	static const char *const names[STORE_EVENT_KINDS] = {
		"ObjectCreated:Put",
		"ObjectRemoved:Delete",
		"ObjectRemoved:DeleteMarkerCreated",
		"ObjectCreated:Post",
		"ObjectCreated:Copy",
		"ObjectCreated:CompleteMultipartUpload",
		"LifecycleExpiration:Delete",
		"LifecycleExpiration:DeleteMarkerCreated",
		"ReducedRedundancyLostObject",
	};
	struct eos_buf buf;
	eos_buf_init(&buf);
	for (unsigned i = 0; i < STORE_EVENT_KINDS; i++) {
		char name[80];
		struct store_event event = make_event((enum store_event_kind)i, "x");
		snprintf(name, sizeof(name), "\"eventName\":\"%s\"", names[i]);
		strcpy(event.rule, "an \"id\"");
		strcpy(event.owner, "acme");
		eos_buf_clear(&buf);
		assert_int_equal(trigger_event_to_json(&event, &buf), 0);
		assert_non_null(strstr(buf.data, name));
		assert_non_null(strstr(buf.data, "\"configurationId\":\"an \\\"id\\\"\""));
		assert_non_null(strstr(buf.data, "\"ownerIdentity\":{\"principalId\":\"acme\"}"));
		assert_int_equal(strncmp(names[i], "ObjectCreated", 13) == 0,
				 strstr(buf.data, "\"eTag\"") != NULL);
	}
	eos_buf_fini(&buf);
}

/* Spaces at the ends and in a row, and a key of the greatest length with the longest encoding. */
static void test_keys(void **state)
{
	static const struct {
		const char *key, *encoded;
	} cases[] = {{" ", "\"+\""}, {"  a ", "\"++a+\""}, {"a//b", "\"a//b\""}, {"\"", "\"%22\""}};
	struct eos_buf buf;
	eos_buf_init(&buf);
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		struct store_event event = make_event(STORE_EVENT_CREATED, cases[i].key);
		eos_buf_clear(&buf);
		assert_int_equal(trigger_event_to_json(&event, &buf), 0);
		assert_non_null(strstr(buf.data, cases[i].encoded));
	}
	char key[STORE_KEY_MAX + 1];
	memset(key, '%', STORE_KEY_MAX);
	key[STORE_KEY_MAX] = '\0';
	struct store_event event = make_event(STORE_EVENT_CREATED, key);
	eos_buf_clear(&buf);
	assert_int_equal(trigger_event_to_json(&event, &buf), 0);
	assert_true(buf.len > 3 * STORE_KEY_MAX);
	eos_buf_fini(&buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_created),	 cmocka_unit_test(test_removed),
		cmocka_unit_test(test_versions), cmocka_unit_test(test_names),
		cmocka_unit_test(test_keys),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
