#include "s3/s3_access.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/str.h"
#include "s3/s3_policy.h"
#include "s3/s3_object_priv.h"
#include "s3/s3_tags.h"

/* A decision under way. The object is read only when something asks for it. */
struct decision {
	struct s3_request *request;
	const struct s3_access *access;
	struct store_bucket_settings settings;
	const char *tenant;		/* id, NULL: anonymous */
	struct store_object_info *info; /* owned */
	bool is_info_read, has_info;
	/* What a condition asked for could not be found out: then nothing is decided by it. */
	bool has_failed;
	/* The tags that the request gives; as they would be kept. */
	struct s3_tags *tags; /* owned; NULL: not read yet */
	/* From here on not cleared. */
	/* For values of the request that are not texts of its own. */
	char scratch[3 * (STORE_BUCKET_NAME_MAX + STORE_KEY_MAX + 2)];
	char resource[STORE_BUCKET_NAME_MAX + 1 + STORE_KEY_MAX + 1];
};

const char *s3_owner_id(const char *tenant)
{
	return tenant[0] != '\0' ? tenant : S3_OWNER;
}

static const struct store_object_info *object_of(struct decision *decision)
{
	const struct s3_access *access = decision->access;
	if (!decision->is_info_read && access->key_len > 0) {
		decision->is_info_read = true;
		decision->info = calloc(1, sizeof(*decision->info));
		int err = decision->info != NULL
				  ? store_object_get(decision->request->server->store,
						     access->bucket, access->key, access->key_len,
						     access->version, decision->info)
				  : -ENOMEM;
		decision->has_info = err == 0;
		decision->has_failed = err < 0 && err != -ENOENT;
	}
	return decision->has_info ? decision->info : NULL;
}

/* The value of tag KEY that the request gives. Tags that cannot be read will be refused. */
static const char *tag_of_request(struct decision *decision, const char *key)
{
	const char *text = s3_header(decision->request, "x-amz-tagging");
	const char *xml = s3_post_field(decision->request, "tagging");
	if (decision->tags == NULL && (text != NULL || xml != NULL)) {
		decision->tags = calloc(1, sizeof(*decision->tags));
		decision->has_failed = decision->has_failed || decision->tags == NULL;
		if (decision->tags == NULL)
			return NULL;
		if (xml != NULL)
			(void)!s3_tags_read_xml(decision->tags, xml, strlen(xml));
		else
			(void)!s3_tags_parse(decision->tags, text);
	}
	for (size_t i = 0; decision->tags != NULL && i < decision->tags->count; i++)
		if (strcmp(decision->tags->tags[i].key, key) == 0)
			return decision->tags->tags[i].value;
	return NULL;
}

/* "bucket/key", however the client wrote it, with the version if it named one. */
static const char *copy_source(struct decision *decision)
{
	const char *text = s3_header(decision->request, "x-amz-copy-source");
	size_t len = text != NULL ? strlen(text) : 0;
	if (text == NULL || len >= sizeof(decision->scratch))
		return text;
	long n = eos_percent_decode(text, len, decision->scratch);
	if (n < 0)
		return text;
	decision->scratch[n] = '\0';
	return decision->scratch + (decision->scratch[0] == '/');
}

static const char *version_of(struct decision *decision)
{
	if (decision->access->version == STORE_VERSION_LATEST)
		return NULL;
	s3_format_version(decision->access->version, decision->scratch);
	return decision->scratch;
}

static const char *existing_tag(struct decision *decision, const char *key)
{
	const struct store_object_info *info = object_of(decision);
	char name[256];
	int n = snprintf(name, sizeof(name), "%s%s", STORE_META_TAG, key);
	return info != NULL && (size_t)n < sizeof(name) ? store_metadata_get(info, name) : NULL;
}

static const char *auth_value(struct decision *decision, const char *key)
{
	const struct s3_request *request = decision->request;
	if (decision->tenant == NULL)
		return NULL;
	if (strcmp(key, "s3:signatureversion") == 0)
		return s3_post_field(request, "signature") != NULL ? "AWS" : "AWS4-HMAC-SHA256";
	if (request->is_form)
		return "POST";
	return request->auth.is_presigned ? "REST-QUERY-STRING" : "REST-HEADER";
}

static const char *now_value(struct decision *decision, bool is_epoch)
{
	uint64_t now_ns = eos_wall_ns();
	if (is_epoch)
		snprintf(decision->scratch, sizeof(decision->scratch), "%" PRIu64,
			 now_ns / EOS_NS_PER_S);
	else
		eos_format_iso8601(now_ns, decision->scratch);
	return decision->scratch;
}

/* struct s3_policy_question's value(). KEY is one that a checked policy may have. */
static const char *value_of(void *ctx, const char *key)
{
	struct decision *decision = ctx;
	struct s3_request *request = decision->request;

	if (strncasecmp(key, "s3:ExistingObjectTag/", 21) == 0)
		return existing_tag(decision, key + 21);
	if (strncasecmp(key, "s3:RequestObjectTag/", 20) == 0)
		return tag_of_request(decision, key + 20);
	if (strcmp(key, "s3:x-amz-copy-source") == 0)
		return copy_source(decision);
	if (eos_str_starts_with(key, "s3:x-amz-") || eos_str_starts_with(key, "s3:if-"))
		return s3_header(request, key + 3);
	if (strcmp(key, "s3:VersionId") == 0)
		return version_of(decision);
	if (strcmp(key, "s3:authType") == 0 || strcmp(key, "s3:signatureversion") == 0)
		return auth_value(decision, key);
	if (eos_str_starts_with(key, "s3:"))
		return s3_query_get(&request->query, key + 3);
	if (strcmp(key, "aws:SourceIp") == 0)
		return http_request_client(request->http);
	if (strcmp(key, "aws:SecureTransport") == 0)
		return http_request_is_secure(request->http) ? "true" : "false";
	if (strcmp(key, "aws:Referer") == 0)
		return s3_header(request, "referer");
	if (strcmp(key, "aws:UserAgent") == 0)
		return s3_header(request, "user-agent");
	return now_value(decision, strcmp(key, "aws:EpochTime") == 0);
}

/* The bucket's settings and policy (NULL: none); for the request's own bucket also its lifecycle
 * rules, which are told of later. */
static enum s3_code look(struct s3_request *request, const char *bucket,
			 struct store_bucket_settings *ret_settings, struct s3_policy **ret_policy)
{
	static const char *const names[] = {"policy", "lifecycle"};
	struct eos_buf texts[2] = {0};
	struct eos_why why = {""};
	bool is_own = bucket == request->bucket && !request->has_lifecycle;

	*ret_policy = NULL;
	int err = store_bucket_look(request->server->store, bucket, ret_settings, names, texts,
				    is_own ? 2 : 1);
	/* Rules that cannot be read keep nobody out: their own reader says so. */
	if (err == -EBADMSG && is_own) {
		is_own = false;
		eos_buf_clear(&texts[0]);
		err = store_bucket_look(request->server->store, bucket, ret_settings, names, texts,
					1);
	}
	if (err == 0 && is_own) {
		request->has_lifecycle = true;
		request->lifecycle = texts[1];
		texts[1] = (struct eos_buf){0};
	}
	if (err < 0 || texts[0].len == 0) {
		eos_buf_fini(&texts[0]);
		eos_buf_fini(&texts[1]);
		return s3_code_of(err, S3_NO_SUCH_BUCKET);
	}
	err = s3_policy_parse(texts[0].data, texts[0].len, bucket, ret_policy, &why);
	eos_buf_fini(&texts[0]);
	/* It was checked when it came: nobody is let in by a policy that cannot be read. */
	if (err == -EINVAL)
		eos_log(EOS_LOG_ERROR, "s3", "event=stored_policy_invalid bucket=%s why=\"%s\"",
			bucket, why.text);
	return err < 0 ? S3_INTERNAL_ERROR : S3_OK;
}

/* Some are about the version when one is named. */
static const char *versioned_action(const char *action, bool has_version)
{
	static const char *const pairs[][2] = {
		{"GetObject", "GetObjectVersion"},
		{"DeleteObject", "DeleteObjectVersion"},
		{"GetObjectAcl", "GetObjectVersionAcl"},
		{"PutObjectAcl", "PutObjectVersionAcl"},
		{"GetObjectAttributes", "GetObjectVersionAttributes"},
		{"GetObjectTagging", "GetObjectVersionTagging"},
		{"PutObjectTagging", "PutObjectVersionTagging"},
		{"DeleteObjectTagging", "DeleteObjectVersionTagging"},
	};
	for (size_t i = 0; has_version && i < EOS_ARRAY_SIZE(pairs); i++)
		if (strcmp(pairs[i][0], action) == 0)
			return pairs[i][1];
	return action;
}

/* Which permission of which list stands for an action; 0: none does. */
static unsigned permission_for(const char *action, bool *ret_is_objects)
{
	static const struct {
		const char *action;
		unsigned permission;
		bool is_objects;
	} rows[] = {
		{"ListBucket", S3_PERMISSION_READ, false},
		{"ListBucketVersions", S3_PERMISSION_READ, false},
		{"ListBucketMultipartUploads", S3_PERMISSION_READ, false},
		{"PutObject", S3_PERMISSION_WRITE, false},
		{"DeleteObject", S3_PERMISSION_WRITE, false},
		{"AbortMultipartUpload", S3_PERMISSION_WRITE, false},
		{"ListMultipartUploadParts", S3_PERMISSION_WRITE, false},
		{"GetBucketAcl", S3_PERMISSION_READ_ACP, false},
		{"PutBucketAcl", S3_PERMISSION_WRITE_ACP, false},
		{"GetObject", S3_PERMISSION_READ, true},
		{"GetObjectVersion", S3_PERMISSION_READ, true},
		{"GetObjectAcl", S3_PERMISSION_READ_ACP, true},
		{"GetObjectVersionAcl", S3_PERMISSION_READ_ACP, true},
		{"PutObjectAcl", S3_PERMISSION_WRITE_ACP, true},
		{"PutObjectVersionAcl", S3_PERMISSION_WRITE_ACP, true},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(rows); i++) {
		if (strcmp(rows[i].action, action) == 0) {
			*ret_is_objects = rows[i].is_objects;
			return rows[i].permission;
		}
	}
	return 0;
}

static enum s3_code check_acl(struct decision *decision, const struct s3_public_block *block)
{
	const struct s3_access *access = decision->access;
	bool is_objects = false, has_no_acls = false;
	unsigned permission = permission_for(access->action, &is_objects);
	if (permission == 0)
		return S3_ACCESS_DENIED;
	enum s3_code code = s3_has_no_acls(decision->request, access->bucket, &has_no_acls);
	if (code != S3_OK || has_no_acls)
		return code != S3_OK ? code : S3_ACCESS_DENIED;
	struct s3_acl *acl = malloc(sizeof(*acl));
	if (acl == NULL)
		return S3_INTERNAL_ERROR;
	const struct store_object_info *info = is_objects ? object_of(decision) : NULL;
	/* Whether a key is there is told only to those who may list. */
	if (is_objects && info == NULL)
		permission = S3_PERMISSION_READ;
	if (info != NULL)
		code = s3_object_acl(&decision->settings, info, acl);
	else
		code = s3_bucket_acl(decision->request, access->bucket, &decision->settings, acl);
	if (code == S3_OK && !s3_acl_allows(acl, decision->tenant, permission, block->ignore_acls))
		code = S3_ACCESS_DENIED;
	free(acl);
	return code;
}

/* Policy, owner, lists. */
static enum s3_code decide(struct decision *decision, const struct s3_policy *policy)
{
	const struct s3_access *access = decision->access;
	const struct s3_policy_question question = {
		.tenant = decision->tenant,
		.action = access->action,
		.resource = decision->resource,
		.value = value_of,
		.ctx = decision,
	};
	bool is_owner = decision->tenant != NULL &&
			strcmp(decision->tenant, s3_owner_id(decision->settings.tenant)) == 0;
	struct s3_public_block block;

	if (is_owner && (access->action == NULL || strstr(access->action, "BucketPolicy") != NULL))
		return S3_OK;
	if (access->action == NULL)
		return S3_ACCESS_DENIED;
	enum s3_verdict verdict =
		policy != NULL ? s3_policy_ask(policy, &question) : S3_VERDICT_NONE;
	if (verdict == S3_VERDICT_DENY)
		return S3_ACCESS_DENIED;
	if (is_owner)
		return S3_OK;
	enum s3_code code = s3_public_block(decision->request, access->bucket, &block);
	if (code != S3_OK)
		return code;
	if (verdict == S3_VERDICT_ALLOW && !(block.restrict_buckets && s3_policy_is_public(policy)))
		return S3_OK;
	return check_acl(decision, &block);
}

static enum s3_code decide_for(struct decision *decision, const struct s3_policy *policy,
			       const char *action)
{
	const struct s3_access *access = decision->access;
	struct s3_access other = *access;
	other.action = action;
	decision->access = &other;
	enum s3_code code = decide(decision, policy);
	decision->access = access;
	return code;
}

static bool is_denied(struct decision *decision, const struct s3_policy *policy, const char *action)
{
	const struct s3_policy_question question = {
		.tenant = decision->tenant,
		.action = action,
		.resource = decision->resource,
		.value = value_of,
		.ctx = decision,
	};
	return policy != NULL && s3_policy_ask(policy, &question) == S3_VERDICT_DENY;
}

/* What else a request asks for by headers. Locks, which nobody can take back, and passing over them
 * must be allowed; a Deny of lists and tags refuses what would come with them. */
static enum s3_code check_extras(struct decision *decision, const struct s3_policy *policy)
{
	static const struct {
		const char *header, *action;
		bool must_allow;
	} extras[] = {
		{"x-amz-object-lock-mode", "PutObjectRetention", true},
		{"x-amz-object-lock-legal-hold", "PutObjectLegalHold", true},
		{"x-amz-acl", "PutObjectAcl", false},
		{"x-amz-grant-read", "PutObjectAcl", false},
		{"x-amz-grant-write", "PutObjectAcl", false},
		{"x-amz-grant-read-acp", "PutObjectAcl", false},
		{"x-amz-grant-write-acp", "PutObjectAcl", false},
		{"x-amz-grant-full-control", "PutObjectAcl", false},
		{"x-amz-tagging", "PutObjectTagging", false},
	};
	const struct s3_request *request = decision->request;
	const char *bypass = s3_header(request, "x-amz-bypass-governance-retention");
	enum s3_code code = S3_OK;

	if (bypass != NULL && strcasecmp(bypass, "true") == 0)
		code = decide_for(decision, policy, "BypassGovernanceRetention");
	/* Those of a copy are about what is made, not about its source. */
	bool is_put = decision->access->action != NULL &&
		      strcmp(decision->access->action, "PutObject") == 0;
	for (size_t i = 0; is_put && i < EOS_ARRAY_SIZE(extras); i++) {
		if (code != S3_OK || s3_header(request, extras[i].header) == NULL)
			continue;
		if (extras[i].must_allow)
			code = decide_for(decision, policy, extras[i].action);
		else if (is_denied(decision, policy, extras[i].action))
			code = S3_ACCESS_DENIED;
	}
	if (code == S3_OK && s3_post_field(request, "tagging") != NULL &&
	    is_denied(decision, policy, "PutObjectTagging"))
		code = S3_ACCESS_DENIED;
	return code;
}

/* Clients may say whose the bucket must be, and what must become of their bytes. */
static enum s3_code check_expected(struct s3_request *request, const char *owner_header,
				   const struct store_bucket_settings *settings)
{
	const char *owner = s3_header(request, owner_header);
	if (owner != NULL && strcmp(owner, s3_owner_id(settings->tenant)) != 0)
		return S3_ACCESS_DENIED;
	return S3_OK;
}

/* "bucket" or "bucket/key". */
static void put_resource(const struct s3_access *access,
			 char out[sizeof(((struct decision *)NULL)->resource)])
{
	size_t len = strnlen(access->bucket, STORE_BUCKET_NAME_MAX);
	size_t key_len = strnlen(access->key, STORE_KEY_MAX);
	memcpy(out, access->bucket, len);
	if (access->key_len > 0)
		out[len++] = '/';
	memcpy(out + len, access->key, key_len);
	out[len + key_len] = '\0';
}

static enum s3_code check(struct s3_request *request, const struct s3_access *access,
			  struct store_bucket_settings *ret_settings)
{
	struct decision on_stack, *decision = &on_stack;
	struct s3_policy *policy = NULL;

	memset(decision, 0, offsetof(struct decision, scratch));
	struct s3_access named = *access;
	if (named.action != NULL)
		named.action =
			versioned_action(named.action, access->version != STORE_VERSION_LATEST);
	decision->request = request;
	decision->access = &named;
	decision->tenant = request->is_anonymous ? NULL : s3_owner_id(request->tenant);
	put_resource(access, decision->resource);
	enum s3_code code = look(request, access->bucket, &decision->settings, &policy);
	if (code == S3_OK)
		code = decide(decision, policy);
	if (code == S3_OK)
		code = check_extras(decision, policy);
	if (decision->has_failed)
		code = S3_INTERNAL_ERROR;
	if (code == S3_OK)
		*ret_settings = decision->settings;
	s3_policy_free(policy);
	free(decision->tags);
	free(decision->info);
	return code;
}

enum s3_code s3_access_check(struct s3_request *request, const struct s3_access *access)
{
	struct store_bucket_settings settings;
	enum s3_code code = check(request, access, &settings);
	if (code == S3_OK)
		code = check_expected(request, "x-amz-source-expected-bucket-owner", &settings);
	return code;
}

enum s3_code s3_access_check_request(struct s3_request *request)
{
	const struct s3_operation *operation = request->operation;
	const struct s3_access access = {
		.action = operation->action,
		.bucket = request->bucket,
		.key = request->key,
		.key_len = request->key_len,
		.version = request->version,
	};

	/* A preflight asks for nothing but what the bucket's CORS rules say. */
	if (strcmp(operation->method, "OPTIONS") == 0)
		return S3_OK;
	/* Listing and making buckets is for everybody who has credentials. */
	if (operation->level == S3_LEVEL_SERVICE ||
	    (operation->action != NULL && strcmp(operation->action, "CreateBucket") == 0))
		return request->is_anonymous ? S3_ACCESS_DENIED : S3_OK;
	if (access.action != NULL && strcmp(access.action, S3_ACTION_EACH) == 0) {
		int err = store_bucket_settings_get(request->server->store, request->bucket,
						    &request->settings);
		return err < 0 ? s3_code_of(err, S3_NO_SUCH_BUCKET)
			       : check_expected(request, "x-amz-expected-bucket-owner",
						&request->settings);
	}
	enum s3_code code = check(request, &access, &request->settings);
	if (code == S3_OK)
		code = check_expected(request, "x-amz-expected-bucket-owner", &request->settings);
	return code;
}
