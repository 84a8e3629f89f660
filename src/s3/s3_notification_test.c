/* Notification configurations: what is read, refused and matched; the table of all of them. */
#include "s3/s3_notification.h"

#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "s3/s3_xml_read.h"

#define OPEN		   "<NotificationConfiguration>"
#define CLOSE		   "</NotificationConfiguration>"
#define ARN		   "<CloudFunction>arn:aws:lambda:us-east-1:acme:function:f</CloudFunction>"
#define RULE(text)	   "<CloudFunctionConfiguration>" text "</CloudFunctionConfiguration>"
#define EVENT(name)	   "<Event>s3:" name "</Event>"
#define FILTER(text)	   "<Filter><S3Key>" text "</S3Key></Filter>"
#define VALUE(name, value) "<FilterRule><Name>" name "</Name><Value>" value "</Value></FilterRule>"
#define CREATED		   EVENT("ObjectCreated:*")

static enum s3_code read_text(const char *text, struct s3_notification **ret_notification)
{
	struct eos_why why = {""};
	*ret_notification = NULL;
	return s3_notification_read(text, strlen(text), ret_notification, &why);
}

static struct s3_notification *must_read(const char *text)
{
	struct s3_notification *notification;
	if (read_text(text, &notification) != S3_OK)
		fail_msg("refused: %s", text);
	return notification;
}

static void test_read(void **state)
{
	struct s3_notification *n = must_read(
		OPEN RULE("<Id>one</Id>" ARN EVENT("ObjectCreated:Put") EVENT("ObjectCreated:Copy")
				  FILTER(VALUE("Prefix", "a/") VALUE("SUFFIX", ".csv")))
			RULE("<CloudFunction>arn:edgeos:function:::beta/g-2</CloudFunction>" EVENT(
				"ObjectRemoved:*")) CLOSE);
	assert_int_equal(n->count, 2);
	assert_string_equal(n->rules[0].id, "one");
	assert_string_equal(n->rules[0].function, "f");
	assert_string_equal(n->rules[0].tenant, "acme");
	assert_string_equal(n->rules[0].region, "us-east-1");
	assert_string_equal(n->rules[0].prefix, "a/");
	assert_string_equal(n->rules[0].suffix, ".csv");
	assert_true(s3_notification_is_for_new(&n->rules[0]));
	assert_int_equal(strlen(n->rules[1].id), 32);
	assert_string_equal(n->rules[1].function, "g-2");
	assert_string_equal(n->rules[1].tenant, "beta");
	assert_string_equal(n->rules[1].region, "");
	assert_false(s3_notification_is_for_new(&n->rules[1]));
	/* What is written is read as the same. */
	struct eos_buf first = {0}, second = {0};
	s3_notification_write(n, &first);
	struct s3_notification *again = must_read(first.data);
	s3_notification_write(again, &second);
	assert_string_equal(first.data, second.data);
	assert_non_null(strstr(first.data, "<Event>s3:ObjectRemoved:*</Event>"));
	s3_notification_free(again);
	s3_notification_free(n);
	eos_buf_fini(&first);
	eos_buf_fini(&second);
	n = must_read("<NotificationConfiguration "
		      "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"/>");
	assert_int_equal(n->count, 0);
	s3_notification_free(n);
}

static void test_refused(void **state)
{
	static const struct {
		enum s3_code code;
		const char *text;
	} cases[] = {
		{S3_MALFORMED_XML, ""},
		{S3_MALFORMED_XML, "<a/>"},
		{S3_MALFORMED_XML, OPEN "<Rule/>" CLOSE},
		{S3_MALFORMED_XML, "<!DOCTYPE a [<!ENTITY b \"c\">]>" OPEN CLOSE},
		{S3_MALFORMED_XML, OPEN RULE(ARN) CLOSE},
		{S3_MALFORMED_XML, OPEN RULE(CREATED) CLOSE},
		{S3_MALFORMED_XML, OPEN RULE(ARN ARN CREATED) CLOSE},
		{S3_MALFORMED_XML, OPEN RULE("<Id/><Id/>" ARN CREATED) CLOSE},
		{S3_MALFORMED_XML, OPEN RULE("<Queue>q</Queue>" ARN CREATED) CLOSE},
		{S3_MALFORMED_XML, OPEN RULE(ARN CREATED "<Filter><Tag/></Filter>") CLOSE},
		{S3_MALFORMED_XML, OPEN RULE(ARN CREATED FILTER("<Rule/>")) CLOSE},
		{S3_MALFORMED_XML, OPEN RULE(ARN CREATED FILTER(
					   "<FilterRule><Name>prefix</Name></FilterRule>")) CLOSE},
		{S3_NOT_IMPLEMENTED, OPEN "<TopicConfiguration/>" CLOSE},
		{S3_NOT_IMPLEMENTED, OPEN "<QueueConfiguration/>" CLOSE},
		{S3_NOT_IMPLEMENTED, OPEN "<EventBridgeConfiguration/>" CLOSE},
		{S3_NOT_IMPLEMENTED, OPEN RULE(ARN EVENT("ObjectTagging:*")) CLOSE},
		{S3_NOT_IMPLEMENTED, OPEN RULE(ARN CREATED EVENT("ObjectRestore:Post")) CLOSE},
		{S3_INVALID_ARGUMENT, OPEN RULE(ARN EVENT("ObjectCreated")) CLOSE},
		{S3_INVALID_ARGUMENT, OPEN RULE(ARN "<Event/>") CLOSE},
		{S3_INVALID_ARGUMENT, OPEN RULE(ARN CREATED FILTER(VALUE("infix", "a"))) CLOSE},
		{S3_INVALID_ARGUMENT,
		 OPEN RULE(ARN CREATED FILTER(VALUE("prefix", "a") VALUE("Prefix", "a"))) CLOSE},
		/* The same id; the same event and overlapping ends. */
		{S3_INVALID_ARGUMENT, OPEN RULE("<Id>i</Id>" ARN CREATED) RULE(
					      "<Id>i</Id>" ARN EVENT("ObjectRemoved:*")) CLOSE},
		{S3_INVALID_ARGUMENT,
		 OPEN RULE(ARN CREATED) RULE(ARN EVENT("ObjectCreated:Copy")) CLOSE},
		{S3_INVALID_ARGUMENT,
		 OPEN RULE(ARN CREATED FILTER(VALUE("prefix", "a/b"))) RULE(
			 ARN CREATED FILTER(VALUE("prefix", "a/") VALUE("suffix", "c"))) CLOSE},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		struct s3_notification *notification;
		enum s3_code code = read_text(cases[i].text, &notification);
		if (code != cases[i].code)
			fail_msg("case %zu: %s: %s", i, code == S3_OK ? "OK" : s3_code_name(code),
				 cases[i].text);
	}
}

static void test_arns(void **state)
{
	static const char *const bad[] = {"",
					  "f",
					  "arn:aws:sqs:us-east-1:1:f",
					  "arn:aws:lambda:us-east-1:1:f",
					  "arn:aws:lambda:us-east-1:1:function:",
					  "arn:aws:lambda:us-east-1:1:function:f:2",
					  "arn:aws:lambda:us-east-1:1:function:f:$LATEST:x",
					  "arn:aws:lambda:us-east-1:1:layer:f",
					  "arn:aws:lambda:us-east-1:1:function:../f",
					  "arn:edgeos:function:::",
					  "arn:edgeos:function:::a/",
					  "arn:edgeos:function:::a/b/c"};
	static const char *const good[] = {"arn:aws:lambda:::function:f",
					   "arn:aws:lambda:us-east-1:1:function:f:$LATEST",
					   "arn:edgeos:function:::f"};
	char text[512];
	struct s3_notification *n;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++) {
		snprintf(text, sizeof(text),
			 OPEN RULE("<CloudFunction>%s</CloudFunction>" CREATED) CLOSE, bad[i]);
		assert_int_equal(read_text(text, &n), S3_INVALID_ARGUMENT);
	}
	for (size_t i = 0; i < EOS_ARRAY_SIZE(good); i++) {
		snprintf(text, sizeof(text),
			 OPEN RULE("<CloudFunction>%s</CloudFunction>" CREATED) CLOSE, good[i]);
		n = must_read(text);
		assert_string_equal(n->rules[0].function, "f");
		s3_notification_free(n);
	}
}

/* Texts of just the greatest length, and one byte more. */
static void test_limits(void **state)
{
	static const struct {
		const char *format;
		size_t max;
	} cases[] = {
		{OPEN RULE("<Id>%s</Id>" ARN CREATED) CLOSE, STORE_RULE_MAX},
		{OPEN RULE(ARN CREATED FILTER(VALUE("suffix", "%s"))) CLOSE,
		 S3_NOTIFICATION_VALUE_MAX},
		{OPEN RULE("<CloudFunction>arn:edgeos:function:::%s</CloudFunction>" CREATED) CLOSE,
		 STORE_TARGET_MAX},
		{OPEN RULE("<CloudFunction>arn:edgeos:function:::%s/f</CloudFunction>" CREATED)
			 CLOSE,
		 STORE_TENANT_MAX},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		char filling[2048], text[4096];
		struct s3_notification *n;
		memset(filling, 'x', sizeof(filling));
		filling[cases[i].max] = '\0';
		snprintf(text, sizeof(text), cases[i].format, filling);
		s3_notification_free(must_read(text));
		filling[cases[i].max] = 'x';
		filling[cases[i].max + 1] = '\0';
		snprintf(text, sizeof(text), cases[i].format, filling);
		assert_int_equal(read_text(text, &n), S3_INVALID_ARGUMENT);
	}
	for (unsigned count = S3_NOTIFICATION_RULES_MAX; count <= S3_NOTIFICATION_RULES_MAX + 1;
	     count++) {
		struct eos_buf buf = {0};
		struct s3_notification *n;
		eos_buf_puts(&buf, OPEN);
		for (unsigned i = 0; i < count; i++)
			eos_buf_printf(&buf, RULE(ARN CREATED FILTER(VALUE("prefix", "%03u"))), i);
		eos_buf_puts(&buf, CLOSE);
		assert_int_equal(read_text(buf.data, &n),
				 count == S3_NOTIFICATION_RULES_MAX ? S3_OK : S3_INVALID_ARGUMENT);
		s3_notification_free(n);
		eos_buf_fini(&buf);
	}
}

static struct store_event make_event(enum store_event_kind kind, const char *key)
{
	struct store_event event = {
		.kind = kind, .bucket = "raw", .key_len = (uint32_t)strlen(key)};
	strcpy(event.key, key);
	return event;
}

static void test_match(void **state)
{
	struct s3_notification *n = must_read(
		OPEN RULE("<Id>put</Id>" ARN EVENT("ObjectCreated:Put")
				  FILTER(VALUE("prefix", "aba") VALUE("suffix", "ba")))
			RULE("<Id>copy</Id>" ARN EVENT("ObjectCreated:Copy")) RULE(
				"<Id>gone</Id>" ARN EVENT("ObjectRemoved:*")
					EVENT("LifecycleExpiration:Delete"))
				RULE("<Id>lost</Id>" ARN EVENT("ReducedRedundancyLostObject"))
					CLOSE);
	static const struct {
		enum store_event_kind kind;
		const char *key, *id;
	} cases[] = {
		{STORE_EVENT_CREATED, "aba", "put"},
		{STORE_EVENT_CREATED, "ab", NULL},
		{STORE_EVENT_CREATED, "abaxba", "put"},
		{STORE_EVENT_CREATED, "abaxbab", NULL},
		{STORE_EVENT_CREATED_COPY, "x", "copy"},
		{STORE_EVENT_CREATED_POST, "aba", NULL},
		{STORE_EVENT_CREATED_MULTIPART, "aba", NULL},
		{STORE_EVENT_REMOVED, "aba", "gone"},
		{STORE_EVENT_MARKER_CREATED, "x", "gone"},
		{STORE_EVENT_EXPIRED, "x", "gone"},
		{STORE_EVENT_MARKER_EXPIRED, "x", NULL},
		{STORE_EVENT_DAMAGED, "aba", "lost"},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		struct store_event event = make_event(cases[i].kind, cases[i].key);
		const struct s3_notification_rule *rule = s3_notification_match(n, &event);
		assert_true((rule == NULL) == (cases[i].id == NULL));
		if (rule != NULL)
			assert_string_equal(rule->id, cases[i].id);
	}
	s3_notification_free(n);
}

/* --- the table --- */

static char found[256];

static void note(void *ctx, const char *function, const char *rule)
{
	size_t n = strlen(found);
	snprintf(found + n, sizeof(found) - n, "%s/%s ", function, rule);
}

/* What an object in BUCKET, made at CREATED_NS, would start. */
static const char *ask(struct s3_notifications *table, const char *bucket, uint64_t created_ns)
{
	struct store_event event = make_event(STORE_EVENT_CREATED, "k");
	strcpy(event.bucket, bucket);
	event.bucket_created_ns = created_ns;
	found[0] = '\0';
	s3_notifications_match(table, &event, note, NULL);
	return found;
}

static uint64_t make_bucket(struct store *store, const char *name)
{
	struct store_bucket_info info;
	assert_int_equal(store_bucket_create(store, name), 0);
	assert_int_equal(store_bucket_get(store, name, &info), 0);
	return info.created_ns;
}

static int set(struct s3_notifications *table, const char *bucket, const char *text)
{
	struct s3_notification *n = must_read(text);
	int err = s3_notifications_set(table, bucket, n);
	if (err < 0)
		s3_notification_free(n);
	return err;
}

static void test_table(void **state)
{
	char dir[] = "/tmp/eos-notification-XXXXXX", command[64], name[32];
	struct eos_why why = {""};
	struct store *store;
	struct s3_notifications *table;
	uint64_t created[40];
	assert_non_null(mkdtemp(dir));
	assert_int_equal(store_open(dir, &store, &why), 0);
	assert_int_equal(s3_notifications_open(store, &table), 0);
	/* In no order, more than fit at first. */
	for (int i = 0; i < 40; i++) {
		snprintf(name, sizeof(name), "b%02d", i * 7 % 40);
		created[i * 7 % 40] = make_bucket(store, name);
		if (i % 2 == 0)
			assert_int_equal(
				set(table, name, OPEN RULE("<Id>i</Id>" ARN CREATED) CLOSE), 0);
	}
	assert_string_equal(ask(table, "b14", created[14]), "f/i ");
	assert_string_equal(ask(table, "b14", created[14] + 1), "");
	assert_string_equal(ask(table, "b07", created[7]), "");
	assert_string_equal(ask(table, "c", 0), "");
	assert_int_equal(set(table, "none", OPEN RULE(ARN CREATED) CLOSE), -ENOENT);
	assert_int_equal(set(table, "b14", OPEN RULE("<Id>j</Id>" ARN CREATED) CLOSE), 0);
	assert_string_equal(ask(table, "b14", created[14]), "f/j ");
	assert_int_equal(set(table, "b00", OPEN CLOSE), 0);
	assert_string_equal(ask(table, "b00", created[0]), "");
	/* Deleted, and made again by somebody before that was heard of. */
	assert_int_equal(store_bucket_delete(store, "b14"), 0);
	uint64_t again = make_bucket(store, "b14");
	assert_string_equal(ask(table, "b14", again), "");
	assert_int_equal(set(table, "b14", OPEN RULE("<Id>k</Id>" ARN CREATED) CLOSE), 0);
	s3_notifications_forget(table, "b14");
	assert_string_equal(ask(table, "b14", again), "f/k ");
	assert_int_equal(store_bucket_delete(store, "b28"), 0);
	s3_notifications_forget(table, "b28");
	assert_string_equal(ask(table, "b28", created[28]), "");
	/* And all of it from disk; one that is damaged is left out. */
	assert_int_equal(store_bucket_document_set(store, "b02", "notification", "<x", 2), 0);
	s3_notifications_free(table);
	assert_int_equal(s3_notifications_open(store, &table), 0);
	assert_string_equal(ask(table, "b14", again), "f/k ");
	assert_string_equal(ask(table, "b16", created[16]), "f/i ");
	assert_string_equal(ask(table, "b00", created[0]), "");
	assert_string_equal(ask(table, "b02", created[2]), "");
	s3_notifications_free(table);
	store_close(store);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

static struct s3_notifications *shared;
static _Atomic bool is_over;

static void count_whole(void *ctx, const char *function, const char *rule)
{
	/* What is named is whole: a rule of one of the two configurations. */
	assert_string_equal(function, "f");
	assert_true(strcmp(rule, "one") == 0 || strcmp(rule, "two") == 0);
	atomic_fetch_add((_Atomic unsigned *)ctx, 1);
}

static _Atomic unsigned matches;

static void *ask_all_the_time(void *created_ns)
{
	struct store_event event = make_event(STORE_EVENT_CREATED, "k");
	event.bucket_created_ns = *(uint64_t *)created_ns;
	while (!atomic_load(&is_over))
		s3_notifications_match(shared, &event, count_whole, &matches);
	return NULL;
}

/* The store's committer asks while configurations come and go. */
static void test_threads(void **state)
{
	char dir[] = "/tmp/eos-notification-XXXXXX", command[64], name[32];
	struct eos_why why = {""};
	struct store *store;
	pthread_t thread;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(store_open(dir, &store, &why), 0);
	assert_int_equal(s3_notifications_open(store, &shared), 0);
	uint64_t created_ns = make_bucket(store, "raw");
	assert_int_equal(set(shared, "raw", OPEN RULE("<Id>one</Id>" ARN CREATED) CLOSE), 0);
	assert_int_equal(pthread_create(&thread, NULL, ask_all_the_time, &created_ns), 0);
	/* Until one was found, too: on a busy machine who asks begins late. */
	for (int i = 0; i < 20 || atomic_load(&matches) == 0; i++) {
		snprintf(name, sizeof(name), "other-%02d", i);
		(void)make_bucket(store, name);
		assert_int_equal(set(shared, name, OPEN RULE(ARN CREATED) CLOSE), 0);
		assert_int_equal(set(shared, "raw",
				     i % 3 == 0	  ? OPEN CLOSE
				     : i % 3 == 1 ? OPEN RULE("<Id>one</Id>" ARN CREATED) CLOSE
						  : OPEN RULE("<Id>two</Id>" ARN CREATED) CLOSE),
				 0);
	}
	atomic_store(&is_over, true);
	pthread_join(thread, NULL);
	s3_notifications_free(shared);
	store_close(store);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_read),	cmocka_unit_test(test_refused),
		cmocka_unit_test(test_arns),	cmocka_unit_test(test_limits),
		cmocka_unit_test(test_match),	cmocka_unit_test(test_table),
		cmocka_unit_test(test_threads),
	};
	s3_xml_read_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
