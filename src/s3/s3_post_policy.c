#include "s3/s3_post_policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/node.h"
#include "base/str.h"
#include "s3/s3_auth.h"

int s3_post_form_add(struct s3_post_form *form, const char *name, const char *value, size_t len)
{
	if (form->count == S3_POST_FIELDS_MAX)
		return -EMFILE;
	if (s3_post_form_get(form, name) != NULL)
		return -EEXIST;
	struct s3_post_field *field = &form->fields[form->count];
	field->name = strdup(name);
	field->value = strndup(value, len);
	form->count++;
	return field->name != NULL && field->value != NULL ? 0 : -ENOMEM;
}

const char *s3_post_form_get(const struct s3_post_form *form, const char *name)
{
	for (size_t i = 0; i < form->count; i++)
		if (form->fields[i].name != NULL && strcasecmp(form->fields[i].name, name) == 0)
			return form->fields[i].value;
	return NULL;
}

void s3_post_form_fini(struct s3_post_form *form)
{
	for (size_t i = 0; i < form->count; i++) {
		free(form->fields[i].name);
		free(form->fields[i].value);
	}
	form->count = 0;
}

/* A check under way: which of the form's fields a condition has named. */
struct check {
	const struct s3_post_form *form;
	const char *bucket, *key;
	bool is_bucket_named;
	bool is_named[S3_POST_FIELDS_MAX];
	struct s3_post_limits limits;
	struct eos_why *why;
};

static int refuse(struct check *check, const struct eos_node *condition)
{
	return eos_why(check->why, -EACCES,
		       "Invalid according to Policy: Policy Condition failed: line %u",
		       eos_node_line(condition));
}

static int check_value(struct check *check, const struct eos_node *condition, const char *name,
		       const char *want, bool is_prefix)
{
	bool is_bucket = strcasecmp(name, "bucket") == 0;
	const char *have = is_bucket ? check->bucket : NULL;
	check->is_bucket_named = check->is_bucket_named || is_bucket;
	/* Not the word ${filename} must begin as the signer said, but what comes of it. */
	if (strcasecmp(name, "key") == 0 && strstr(want, S3_POST_FILENAME) == NULL)
		have = check->key;
	for (size_t i = 0; i < check->form->count; i++) {
		if (strcasecmp(check->form->fields[i].name, name) == 0) {
			check->is_named[i] = true;
			if (have == NULL)
				have = check->form->fields[i].value;
		}
	}
	/* Nothing begins with nothing, too. */
	if (have == NULL)
		return is_prefix && want[0] == '\0' ? 0 : refuse(check, condition);
	bool fits = is_prefix ? eos_str_starts_with(have, want) : strcmp(have, want) == 0;
	return fits ? 0 : refuse(check, condition);
}

static int check_range(struct check *check, const struct eos_node *condition)
{
	struct s3_post_limits limits;
	if (eos_parse_u64(eos_node_text(eos_node_at(condition, 1)), &limits.min_bytes) < 0 ||
	    eos_parse_u64(eos_node_text(eos_node_at(condition, 2)), &limits.max_bytes) < 0 ||
	    limits.min_bytes > limits.max_bytes)
		return eos_node_fail(condition, check->why, "not a content-length-range");
	check->limits.min_bytes = EOS_MAX(check->limits.min_bytes, limits.min_bytes);
	check->limits.max_bytes = EOS_MIN(check->limits.max_bytes, limits.max_bytes);
	return 0;
}

/* {"name": "value"}, ["eq" or "starts-with", "$name", "value"], ["content-length-range", a, b]. */
static int check_condition(struct check *check, const struct eos_node *condition)
{
	if (eos_node_kind(condition) == EOS_NODE_MAP) {
		int err = eos_node_count(condition) > 0 ? 0 : -EINVAL;
		for (size_t i = 0; err == 0 && i < eos_node_count(condition); i++) {
			const struct eos_node *value = eos_node_at(condition, i);
			if (eos_node_kind(value) != EOS_NODE_SCALAR)
				return eos_node_fail(value, check->why, "not a condition");
			err = check_value(check, value, eos_node_key_at(condition, i),
					  eos_node_text(value), false);
		}
		return err == -EINVAL ? eos_node_fail(condition, check->why, "not a condition")
				      : err;
	}
	bool is_triple =
		eos_node_kind(condition) == EOS_NODE_LIST && eos_node_count(condition) == 3;
	for (size_t i = 0; is_triple && i < 3; i++)
		is_triple = eos_node_kind(eos_node_at(condition, i)) == EOS_NODE_SCALAR;
	if (!is_triple)
		return eos_node_fail(condition, check->why, "not a condition");
	const char *op = eos_node_text(eos_node_at(condition, 0));
	const char *name = eos_node_text(eos_node_at(condition, 1));
	const char *value = eos_node_text(eos_node_at(condition, 2));
	if (strcasecmp(op, "content-length-range") == 0)
		return check_range(check, condition);
	bool is_prefix = strcasecmp(op, "starts-with") == 0;
	if ((!is_prefix && strcasecmp(op, "eq") != 0) || name[0] != '$' || name[1] == '\0')
		return eos_node_fail(condition, check->why, "not a condition");
	return check_value(check, condition, name + 1, value, is_prefix);
}

/* "2026-11-22T01:02:03Z", also with a fraction of seconds. */
static int parse_expiration(const char *text, int64_t *ret_s)
{
	char compact[S3_AMZ_DATE_SIZE];
	size_t n = 0;

	for (; *text != '\0' && *text != '.' && *text != 'Z'; text++) {
		if (*text == '-' || *text == ':')
			continue;
		if (n == sizeof(compact) - 2)
			return -EINVAL;
		compact[n++] = *text;
	}
	compact[n++] = 'Z';
	compact[n] = '\0';
	if (*text == '.')
		text += 1 + strspn(text + 1, "0123456789");
	return strcmp(text, "Z") == 0 ? s3_auth_parse_time(compact, ret_s) : -EINVAL;
}

static bool needs_no_condition(const char *name)
{
	static const char *const free_names[] = {"x-amz-signature", "file",	 "policy",
						 "AWSAccessKeyId",  "signature", "bucket"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(free_names); i++)
		if (strcasecmp(name, free_names[i]) == 0)
			return true;
	return strncasecmp(name, "x-ignore-", 9) == 0;
}

static int check_all(struct check *check, const struct eos_node *root, int64_t now_s)
{
	static const char *const keys[] = {"expiration", "conditions", NULL};
	const struct eos_node *conditions = eos_node_get(root, "conditions");
	const char *expiration = NULL;
	int64_t until_s;

	int err = eos_node_check_keys(root, keys, check->why);
	if (err == 0)
		err = eos_node_get_text(root, "expiration", &expiration, check->why);
	if (err < 0)
		return err;
	if (expiration == NULL || parse_expiration(expiration, &until_s) < 0)
		return eos_node_fail(root, check->why, "Invalid Policy: expiration");
	if (conditions == NULL || eos_node_kind(conditions) != EOS_NODE_LIST)
		return eos_node_fail(root, check->why, "Invalid Policy: conditions");
	if (now_s >= until_s)
		return eos_why(check->why, -ETIME, "Invalid according to Policy: Policy expired.");
	for (size_t i = 0; err == 0 && i < eos_node_count(conditions); i++)
		err = check_condition(check, eos_node_at(conditions, i));
	for (size_t i = 0; err == 0 && i < check->form->count; i++) {
		const char *name = check->form->fields[i].name;
		if (!check->is_named[i] && !needs_no_condition(name))
			err = eos_why(check->why, -EACCES,
				      "Invalid according to Policy: Extra input fields: %.80s",
				      name);
	}
	/* A form for whatever bucket is nothing that anybody wants to have signed. */
	if (err == 0 && !check->is_bucket_named)
		err = eos_why(check->why, -EACCES,
			      "Invalid according to Policy: Extra input fields: bucket");
	return err;
}

int s3_post_policy_check(const char *text, size_t len, const struct s3_post_form *form,
			 const char *bucket, const char *key, int64_t now_s,
			 struct s3_post_limits *ret_limits, struct eos_why *why)
{
	struct check check = {.form = form,
			      .bucket = bucket,
			      .key = key,
			      .limits = {.min_bytes = 0, .max_bytes = UINT64_MAX},
			      .why = why};
	struct eos_doc *doc;

	int err = eos_doc_parse_json("policy", text, len, &doc, why);
	if (err < 0)
		return err;
	err = check_all(&check, eos_doc_root(doc), now_s);
	eos_doc_free(doc);
	if (err == 0)
		*ret_limits = check.limits;
	return err;
}
