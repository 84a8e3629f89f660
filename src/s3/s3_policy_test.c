/* Policies, access control lists, lifecycle rules: what they decide, without a store. */
#include "s3/s3_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "s3/s3_acl.h"
#include "s3/s3_lifecycle.h"
#include "s3/s3_xml_read.h"

#define DAY_NS (UINT64_C(86400) * 1000000000)

static void test_glob(void **state)
{
	static const struct {
		const char *pattern, *text;
		bool fits;
	} rows[] = {
		{"", "", true},		{"*", "", true},	{"?", "", false},
		{"a*c", "abbc", true},	{"a*c", "abcb", false}, {"a*b*c", "aXbYbZc", true},
		{"*a", "ba", true},	{"*a", "ab", false},	{"a?c", "abc", true},
		{"a?c", "ac", false},	{"**", "x", true},	{"a**", "a", true},
		{"*/x", "a/b/x", true}, {"abc", "ABC", false},	{"*aab", "aaaab", true},
		{"a*", "b", false},	{"*?", "", false},	{"[a]", "a", false},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(rows); i++)
		assert_int_equal(s3_glob(rows[i].pattern, rows[i].text), rows[i].fits);
	/* Many stars must not take for ever. */
	char text[20001];
	memset(text, 'a', 20000);
	text[20000] = '\0';
	assert_false(s3_glob("*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*a*b", text));
}

static const char *value_of(void *ctx, const char *key)
{
	return strcmp(key, "aws:SourceIp") == 0 ? ctx : NULL;
}

static enum s3_verdict ask(const char *text, const char *tenant, const char *action,
			   const char *resource, const char *address)
{
	struct eos_why why = {""};
	struct s3_policy *policy;
	char copy[64];
	snprintf(copy, sizeof(copy), "%s", address);
	const struct s3_policy_question question = {.tenant = tenant,
						    .action = action,
						    .resource = resource,
						    .value = value_of,
						    .ctx = copy};
	assert_int_equal(s3_policy_parse(text, strlen(text), "b", &policy, &why), 0);
	enum s3_verdict verdict = s3_policy_ask(policy, &question);
	s3_policy_free(policy);
	return verdict;
}

static void test_statements(void **state)
{
	static const char text[] =
		"{\"Statement\":["
		"{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"acme\"},\"Action\":\"s3:get*\","
		" \"Resource\":\"arn:aws:s3:::b/*\"},"
		"{\"Effect\":\"Deny\",\"NotPrincipal\":{\"AWS\":\"acme\"},\"Action\":\"s3:*\","
		" \"Resource\":\"arn:aws:s3:::b/secret/*\"},"
		"{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"s3:PutObject\","
		" \"NotResource\":\"arn:aws:s3:::b/fixed\","
		" \"Condition\":{\"IpAddress\":{\"aws:SourceIp\":\"10.1.2.128/25\"}}}]}";
	assert_int_equal(ask(text, "acme", "GetObject", "b/k", "1.1.1.1"), S3_VERDICT_ALLOW);
	assert_int_equal(ask(text, "acme", "GetObject", "b", "1.1.1.1"), S3_VERDICT_NONE);
	assert_int_equal(ask(text, "acme", "GetObject", "b/secret/k", "1.1.1.1"), S3_VERDICT_ALLOW);
	assert_int_equal(ask(text, "zeta", "GetObject", "b/k", "1.1.1.1"), S3_VERDICT_NONE);
	assert_int_equal(ask(text, NULL, "GetObject", "b/secret/k", "1.1.1.1"), S3_VERDICT_DENY);
	assert_int_equal(ask(text, NULL, "PutObject", "b/k", "10.1.2.129"), S3_VERDICT_ALLOW);
	assert_int_equal(ask(text, NULL, "PutObject", "b/k", "10.1.2.127"), S3_VERDICT_NONE);
	assert_int_equal(ask(text, NULL, "PutObject", "b/k", "::ffff:10.1.2.200"),
			 S3_VERDICT_ALLOW);
	assert_int_equal(ask(text, NULL, "PutObject", "b/fixed", "10.1.2.129"), S3_VERDICT_NONE);
	assert_int_equal(ask(text, NULL, "PutObject", "b/k", "rubbish"), S3_VERDICT_NONE);
}

static void test_lists(void **state)
{
	struct s3_acl acl, again;
	struct eos_buf buf;

	assert_int_equal(s3_acl_canned("public-read", "acme", "acme", &acl), S3_OK);
	assert_true(s3_acl_allows(&acl, NULL, S3_PERMISSION_READ, false));
	assert_false(s3_acl_allows(&acl, NULL, S3_PERMISSION_READ, true));
	assert_false(s3_acl_allows(&acl, "zeta", S3_PERMISSION_WRITE, false));
	assert_true(s3_acl_allows(&acl, "acme", S3_PERMISSION_WRITE_ACP, true));
	assert_int_equal(s3_acl_canned("authenticated-read", "acme", "acme", &acl), S3_OK);
	assert_false(s3_acl_allows(&acl, NULL, S3_PERMISSION_READ, false));
	assert_true(s3_acl_allows(&acl, "zeta", S3_PERMISSION_READ, false));
	assert_int_equal(s3_acl_read_header("id=\"zeta\", id=acme", S3_PERMISSION_READ_ACP, &acl),
			 S3_OK);
	eos_buf_init(&buf);
	s3_acl_encode(&acl, &buf);
	assert_int_equal(s3_acl_decode(buf.data, buf.len, &again), 0);
	assert_int_equal(again.count, 4);
	assert_string_equal(again.grants[2].grantee, "zeta");
	eos_buf_fini(&buf);
	static const char *const bad[] = {"", " READ=a", "a READ", "a FLY=b", "a READ=", "a  "};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(bad); i++)
		assert_true(s3_acl_decode(bad[i], strlen(bad[i]), &again) < 0);
}

static void test_lifecycle_days(void **state)
{
	static const char text[] =
		"<LifecycleConfiguration><Rule><Status>Enabled</Status><Filter><Prefix>a</Prefix>"
		"</Filter><Expiration><Days>2</Days></Expiration><NoncurrentVersionExpiration>"
		"<NoncurrentDays>1</NoncurrentDays><NewerNoncurrentVersions>1"
		"</NewerNoncurrentVersions></NoncurrentVersionExpiration></Rule>"
		"</LifecycleConfiguration>";
	struct s3_lifecycle *lifecycle;
	struct store_object_info *info = calloc(1, sizeof(*info));
	struct s3_lifecycle_subject subject = {.key = "ab", .key_len = 2, .info = info};

	assert_int_equal(s3_lifecycle_read(text, strlen(text), &lifecycle), S3_OK);
	/* In the middle of day 10: it is two days old when day 13 begins. */
	info->modified_ns = 10 * DAY_NS + DAY_NS / 2;
	info->is_latest = true;
	assert_int_equal(s3_lifecycle_judge(lifecycle, &subject, 13 * DAY_NS - 1, DAY_NS),
			 S3_LIFECYCLE_KEEP);
	assert_int_equal(s3_lifecycle_judge(lifecycle, &subject, 13 * DAY_NS, DAY_NS),
			 S3_LIFECYCLE_EXPIRE);
	/* A clock that went back. */
	assert_int_equal(s3_lifecycle_judge(lifecycle, &subject, 0, DAY_NS), S3_LIFECYCLE_KEEP);
	subject.noncurrent_ns = 10 * DAY_NS;
	assert_int_equal(s3_lifecycle_judge(lifecycle, &subject, 13 * DAY_NS, DAY_NS),
			 S3_LIFECYCLE_KEEP);
	subject.newer_noncurrent = 1;
	assert_int_equal(s3_lifecycle_judge(lifecycle, &subject, 11 * DAY_NS, DAY_NS),
			 S3_LIFECYCLE_REMOVE);
	subject.key = "b";
	subject.key_len = 1;
	assert_int_equal(s3_lifecycle_judge(lifecycle, &subject, 99 * DAY_NS, DAY_NS),
			 S3_LIFECYCLE_KEEP);
	s3_lifecycle_free(lifecycle);
	free(info);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_glob),
		cmocka_unit_test(test_statements),
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_lifecycle_days),
	};
	s3_xml_read_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
