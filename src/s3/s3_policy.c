/*
 * A policy stays the JSON tree that it was parsed to; asking walks that tree. Documents are small,
 * and a request is asked once or twice about one.
 *
 * A statement applies when its principal, action and resource are the question's and all conditions
 * hold. DENY of any statement that applies wins over all else.
 */
#include "s3/s3_policy.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "s3/s3_policy_priv.h"
#include "store/store.h"

#define STATEMENTS_MAX 200u
#define ARN_S3	       "arn:aws:s3:::"
#define ARN_IAM	       "arn:aws:iam::"

struct s3_policy {
	struct eos_doc *doc;
};

/* What "s3:…" in an Action may stand for: all that any operation here asks about, and those of S3's
 * that we have nothing for, since policies that name them are common. */
static const char *const actions[] = {
	"AbortMultipartUpload",
	"BypassGovernanceRetention",
	"CreateBucket",
	"DeleteBucket",
	"DeleteBucketPolicy",
	"DeleteBucketWebsite",
	"DeleteObject",
	"DeleteObjectTagging",
	"DeleteObjectVersion",
	"DeleteObjectVersionTagging",
	"GetAccelerateConfiguration",
	"GetBucketAcl",
	"GetBucketCORS",
	"GetBucketLocation",
	"GetBucketLogging",
	"GetBucketNotification",
	"GetBucketObjectLockConfiguration",
	"GetBucketOwnershipControls",
	"GetBucketPolicy",
	"GetBucketPolicyStatus",
	"GetBucketPublicAccessBlock",
	"GetBucketRequestPayment",
	"GetBucketTagging",
	"GetBucketVersioning",
	"GetBucketWebsite",
	"GetEncryptionConfiguration",
	"GetLifecycleConfiguration",
	"GetObject",
	"GetObjectAcl",
	"GetObjectAttributes",
	"GetObjectLegalHold",
	"GetObjectRetention",
	"GetObjectTagging",
	"GetObjectTorrent",
	"GetObjectVersion",
	"GetObjectVersionAcl",
	"GetObjectVersionAttributes",
	"GetObjectVersionTagging",
	"GetReplicationConfiguration",
	"ListAllMyBuckets",
	"ListBucket",
	"ListBucketMultipartUploads",
	"ListBucketVersions",
	"ListMultipartUploadParts",
	"PutAccelerateConfiguration",
	"PutBucketAcl",
	"PutBucketCORS",
	"PutBucketLogging",
	"PutBucketNotification",
	"PutBucketObjectLockConfiguration",
	"PutBucketOwnershipControls",
	"PutBucketPolicy",
	"PutBucketPublicAccessBlock",
	"PutBucketRequestPayment",
	"PutBucketTagging",
	"PutBucketVersioning",
	"PutBucketWebsite",
	"PutEncryptionConfiguration",
	"PutLifecycleConfiguration",
	"PutObject",
	"PutObjectAcl",
	"PutObjectLegalHold",
	"PutObjectRetention",
	"PutObjectTagging",
	"PutObjectVersionAcl",
	"PutObjectVersionTagging",
	"PutReplicationConfiguration",
	"ReplicateDelete",
	"ReplicateObject",
	"ReplicateTags",
	"RestoreObject",
};

static bool glob(const char *pattern, const char *text, size_t text_len, bool ignores_case)
{
	const char *end = text + text_len, *retry_pattern = NULL, *retry_text = NULL;

	while (text < end || *pattern == '*') {
		if (*pattern == '*') {
			retry_pattern = ++pattern;
			retry_text = text;
		} else if (*pattern == '?' || *pattern == *text ||
			   (ignores_case && *pattern != '\0' &&
			    strncasecmp(pattern, text, 1) == 0)) {
			pattern++;
			text++;
		} else if (retry_pattern != NULL) {
			/* The last star takes one byte more. Earlier ones need not be tried again.
			 */
			pattern = retry_pattern;
			text = ++retry_text;
		} else {
			return false;
		}
	}
	return *pattern == '\0';
}

bool s3_glob(const char *pattern, const char *text)
{
	return glob(pattern, text, strlen(text), false);
}

size_t s3_policy_texts(const struct eos_node *node)
{
	return eos_node_kind(node) == EOS_NODE_LIST ? eos_node_count(node) : 1;
}

const char *s3_policy_text(const struct eos_node *node, size_t index)
{
	return eos_node_kind(node) == EOS_NODE_LIST ? eos_node_text(eos_node_at(node, index))
						    : eos_node_text(node);
}

int s3_policy_check_texts(const struct eos_node *node, const char *name, struct eos_why *why)
{
	bool is_list = eos_node_kind(node) == EOS_NODE_LIST;
	bool is_good = eos_node_kind(node) != EOS_NODE_MAP && s3_policy_texts(node) > 0;
	for (size_t i = 0; is_list && i < eos_node_count(node); i++)
		is_good = is_good && eos_node_kind(eos_node_at(node, i)) == EOS_NODE_SCALAR;
	for (size_t i = 0; is_good && i < s3_policy_texts(node); i++)
		if (strstr(s3_policy_text(node, i), "${") != NULL)
			return eos_node_fail(node, why, "%s: policy variables are not implemented",
					     name);
	return is_good ? 0
		       : eos_node_fail(node, why, "%s: must be a text or a list of texts", name);
}

static int check_actions(const struct eos_node *node, struct eos_why *why)
{
	int err = s3_policy_check_texts(node, "Action", why);
	for (size_t i = 0; err == 0 && i < s3_policy_texts(node); i++) {
		const char *text = s3_policy_text(node, i);
		bool is_known = strcmp(text, "*") == 0;
		if (strncasecmp(text, "s3:", 3) == 0)
			for (size_t k = 0; !is_known && k < EOS_ARRAY_SIZE(actions); k++)
				is_known = glob(text + 3, actions[k], strlen(actions[k]), true);
		if (!is_known)
			err = eos_node_fail(node, why, "Policy has invalid action: %.80s", text);
	}
	return err;
}

static bool has_action(const struct eos_node *node, const char *action)
{
	for (size_t i = 0; i < s3_policy_texts(node); i++) {
		const char *text = s3_policy_text(node, i);
		if (strcmp(text, "*") == 0 || glob(text + 3, action, strlen(action), true))
			return true;
	}
	return false;
}

/* A resource must be this bucket or its objects: a pattern counts as far as it may mean them. */
static int check_resources(const struct eos_node *node, const char *bucket, struct eos_why *why)
{
	int err = s3_policy_check_texts(node, "Resource", why);
	for (size_t i = 0; err == 0 && i < s3_policy_texts(node); i++) {
		const char *text = s3_policy_text(node, i);
		bool is_ours = strcmp(text, "*") == 0;
		if (eos_str_starts_with(text, ARN_S3)) {
			const char *name = text + strlen(ARN_S3);
			size_t len = strcspn(name, "/");
			char pattern[2 * STORE_BUCKET_NAME_MAX];
			if (len < sizeof(pattern)) {
				memcpy(pattern, name, len);
				pattern[len] = '\0';
				is_ours = s3_glob(pattern, bucket);
			}
		}
		if (!is_ours)
			err = eos_node_fail(node, why, "Policy has invalid resource: %.80s", text);
	}
	return err;
}

static bool has_resource(const struct eos_node *node, const char *resource)
{
	for (size_t i = 0; i < s3_policy_texts(node); i++) {
		const char *text = s3_policy_text(node, i);
		if (strcmp(text, "*") == 0 || s3_glob(text + strlen(ARN_S3), resource))
			return true;
	}
	return false;
}

static bool is_tenant_name(const char *text)
{
	size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");
	return len > 0 && len < 64 && text[len] == '\0';
}

/* The tenant that a principal names: "*", "acme", "arn:aws:iam::acme:root" or
 * "arn:aws:iam:::user/acme". NULL: none. Nobody is smaller than a tenant here. */
static const char *tenant_of(const char *text, char out[80])
{
	const char *name = text;
	size_t len = strlen(text);
	if (eos_str_starts_with(text, ARN_IAM ":user/")) {
		name = text + strlen(ARN_IAM ":user/");
		len = strlen(name);
	} else if (eos_str_starts_with(text, ARN_IAM) && eos_str_ends_with(text, ":root")) {
		name = text + strlen(ARN_IAM);
		len = strlen(name) - strlen(":root");
	}
	if (len >= 80)
		return NULL;
	memcpy(out, name, len);
	out[len] = '\0';
	return is_tenant_name(out) || strcmp(text, "*") == 0 ? out : NULL;
}

static int check_principals(const struct eos_node *node, struct eos_why *why)
{
	static const char *const keys[] = {"AWS", "CanonicalUser", NULL};
	char name[80];

	if (eos_node_kind(node) == EOS_NODE_SCALAR && strcmp(eos_node_text(node), "*") == 0)
		return 0;
	if (eos_node_kind(node) != EOS_NODE_MAP || eos_node_count(node) == 0)
		return eos_node_fail(node, why, "Invalid principal in policy");
	int err = eos_node_check_keys(node, keys, why);
	for (size_t i = 0; err == 0 && i < eos_node_count(node); i++) {
		const struct eos_node *who = eos_node_at(node, i);
		err = s3_policy_check_texts(who, "Principal", why);
		for (size_t k = 0; err == 0 && k < s3_policy_texts(who); k++)
			if (tenant_of(s3_policy_text(who, k), name) == NULL)
				err = eos_node_fail(who, why, "Invalid principal in policy: %.80s",
						    s3_policy_text(who, k));
	}
	return err;
}

/* TENANT NULL: anonymous, who is nobody but "*". */
static bool has_principal(const struct eos_node *node, const char *tenant)
{
	char buffer[80];

	if (eos_node_kind(node) == EOS_NODE_SCALAR)
		return true;
	for (size_t i = 0; i < eos_node_count(node); i++) {
		const struct eos_node *who = eos_node_at(node, i);
		for (size_t k = 0; k < s3_policy_texts(who); k++) {
			const char *name = tenant_of(s3_policy_text(who, k), buffer);
			if (strcmp(name, "*") == 0 || (tenant != NULL && strcmp(name, tenant) == 0))
				return true;
		}
	}
	return false;
}

/* Exactly one of NAME and "NotNAME" must be there. */
static int choose(const struct eos_node *statement, const char *name, const char *not_name,
		  const struct eos_node **ret_node, struct eos_why *why)
{
	const struct eos_node *plain = eos_node_get(statement, name);
	const struct eos_node *negated = eos_node_get(statement, not_name);
	if ((plain == NULL) == (negated == NULL))
		return eos_node_fail(statement, why, "a statement has %s %s or %s",
				     plain == NULL ? "neither" : "both", name, not_name);
	*ret_node = plain != NULL ? plain : negated;
	return 0;
}

static int check_statement(const struct eos_node *statement, const char *bucket,
			   struct eos_why *why)
{
	static const char *const keys[] = {"Sid",	"Effect",    "Principal", "NotPrincipal",
					   "Action",	"NotAction", "Resource",  "NotResource",
					   "Condition", NULL};
	const struct eos_node *node = NULL;
	const char *effect = NULL, *sid = NULL;

	int err = eos_node_check_keys(statement, keys, why);
	if (err == 0)
		err = eos_node_get_text(statement, "Sid", &sid, why);
	if (err == 0)
		err = eos_node_get_text(statement, "Effect", &effect, why);
	if (err == 0 &&
	    (effect == NULL || (strcmp(effect, "Allow") != 0 && strcmp(effect, "Deny") != 0)))
		err = eos_node_fail(statement, why, "Effect: must be Allow or Deny");
	if (err == 0)
		err = choose(statement, "Principal", "NotPrincipal", &node, why);
	if (err == 0)
		err = check_principals(node, why);
	/* Allowing all but somebody would allow the whole world. */
	if (err == 0 && strcmp(effect, "Allow") == 0 &&
	    eos_node_get(statement, "NotPrincipal") != NULL)
		err = eos_node_fail(statement, why, "Allow with NotPrincipal is not allowed");
	if (err == 0)
		err = choose(statement, "Action", "NotAction", &node, why);
	if (err == 0)
		err = check_actions(node, why);
	if (err == 0)
		err = choose(statement, "Resource", "NotResource", &node, why);
	if (err == 0)
		err = check_resources(node, bucket, why);
	node = eos_node_get(statement, "Condition");
	if (err == 0 && node != NULL)
		err = s3_policy_check_conditions(node, why);
	return err;
}

/* A single statement may stand without a list around it. */
static size_t count_statements(const struct s3_policy *policy)
{
	const struct eos_node *node = eos_node_get(eos_doc_root(policy->doc), "Statement");
	return eos_node_kind(node) == EOS_NODE_LIST ? eos_node_count(node) : 1;
}

static const struct eos_node *statement_at(const struct s3_policy *policy, size_t index)
{
	const struct eos_node *node = eos_node_get(eos_doc_root(policy->doc), "Statement");
	return eos_node_kind(node) == EOS_NODE_LIST ? eos_node_at(node, index) : node;
}

static int check(const struct s3_policy *policy, const char *bucket, struct eos_why *why)
{
	static const char *const keys[] = {"Version", "Id", "Statement", NULL};
	const struct eos_node *root = eos_doc_root(policy->doc);
	const char *version = NULL, *id = NULL;

	int err = eos_node_check_keys(root, keys, why);
	if (err == 0)
		err = eos_node_get_text(root, "Version", &version, why);
	if (err == 0)
		err = eos_node_get_text(root, "Id", &id, why);
	if (err == 0 && version != NULL && strcmp(version, "2012-10-17") != 0 &&
	    strcmp(version, "2008-10-17") != 0)
		err = eos_node_fail(root, why, "Version: must be 2012-10-17 or 2008-10-17");
	if (err == 0 && eos_node_get(root, "Statement") == NULL)
		err = eos_node_fail(root, why, "Missing required field Statement");
	if (err < 0)
		return err;
	size_t count = count_statements(policy);
	if (count == 0 || count > STATEMENTS_MAX)
		return eos_node_fail(root, why, "Statement: 1 to %u are possible", STATEMENTS_MAX);
	for (size_t i = 0; err == 0 && i < count; i++)
		err = check_statement(statement_at(policy, i), bucket, why);
	return err;
}

int s3_policy_parse(const char *text, size_t len, const char *bucket, struct s3_policy **ret_policy,
		    struct eos_why *why)
{
	struct s3_policy *policy = calloc(1, sizeof(*policy));
	if (policy == NULL)
		return -ENOMEM;
	int err =
		len <= S3_POLICY_BYTES_MAX
			? eos_doc_parse_json("policy", text, len, &policy->doc, why)
			: eos_why(why, -EINVAL, "Policy exceeds the maximum allowed document size");
	if (err == 0)
		err = check(policy, bucket, why);
	if (err < 0) {
		s3_policy_free(policy);
		return err;
	}
	*ret_policy = policy;
	return 0;
}

struct s3_policy *s3_policy_free(struct s3_policy *policy)
{
	if (policy != NULL) {
		eos_doc_free(policy->doc);
		free(policy);
	}
	return NULL;
}

/* A statement's element NAME, turned round if it stands there as NotNAME. */
static bool holds(const struct eos_node *statement, const char *name, const char *not_name,
		  bool (*has)(const struct eos_node *node, const char *what), const char *what)
{
	const struct eos_node *node = eos_node_get(statement, name);
	return node != NULL ? has(node, what) : !has(eos_node_get(statement, not_name), what);
}

static bool applies(const struct eos_node *statement, const struct s3_policy_question *question)
{
	const struct eos_node *conditions = eos_node_get(statement, "Condition");
	return holds(statement, "Principal", "NotPrincipal", has_principal, question->tenant) &&
	       holds(statement, "Action", "NotAction", has_action, question->action) &&
	       holds(statement, "Resource", "NotResource", has_resource, question->resource) &&
	       (conditions == NULL || s3_policy_conditions_hold(conditions, question));
}

static bool is_deny(const struct eos_node *statement)
{
	return strcmp(eos_node_text(eos_node_get(statement, "Effect")), "Deny") == 0;
}

enum s3_verdict s3_policy_ask(const struct s3_policy *policy,
			      const struct s3_policy_question *question)
{
	enum s3_verdict verdict = S3_VERDICT_NONE;
	for (size_t i = 0; i < count_statements(policy); i++) {
		const struct eos_node *statement = statement_at(policy, i);
		if (!applies(statement, question))
			continue;
		if (is_deny(statement))
			return S3_VERDICT_DENY;
		verdict = S3_VERDICT_ALLOW;
	}
	return verdict;
}

bool s3_policy_is_public(const struct s3_policy *policy)
{
	for (size_t i = 0; i < count_statements(policy); i++) {
		const struct eos_node *statement = statement_at(policy, i);
		const struct eos_node *conditions = eos_node_get(statement, "Condition");
		if (!is_deny(statement) &&
		    has_principal(eos_node_get(statement, "Principal"), NULL) &&
		    (conditions == NULL || !s3_policy_conditions_bound(conditions)))
			return true;
	}
	return false;
}
