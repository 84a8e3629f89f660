/*
 * Which bucket, key and operation a request is about.
 *
 * One table lists all operations. Of the rows that fit method and level, the first whose selector
 * stands in the query (or that has none) is it; so rows with a selector come first. Then every
 * parameter of the query must be one the row knows: "?acl" on a plain GET is NotImplemented, and
 * is not taken for the object itself.
 */
#include "s3/s3_object_priv.h"

#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "s3/s3_cors.h"

static const char *const no_params[] = {NULL};
/* A preflight has the query of the request that it is for. */
static const char *const any_params[] = {"*", NULL};
static const char *const buckets_params[] = {"max-buckets", "continuation-token", "prefix",
					     "bucket-region", NULL};
static const char *const location_params[] = {"location", NULL};
static const char *const version_params[] = {"versionId", NULL};
static const char *const tagging_params[] = {"tagging", "versionId", NULL};
static const char *const retention_params[] = {"retention", "versionId", NULL};
static const char *const legal_hold_params[] = {"legal-hold", "versionId", NULL};
static const char *const lock_config_params[] = {"object-lock", NULL};
static const char *const attributes_params[] = {"attributes", "versionId", NULL};
static const char *const list_versions_params[] = {
	"versions",	     "prefix",	 "delimiter",	  "key-marker",
	"version-id-marker", "max-keys", "encoding-type", NULL};
static const char *const delete_params[] = {"delete", NULL};
static const char *const list_params[] = {"prefix", "delimiter",     "max-keys",
					  "marker", "encoding-type", NULL};
static const char *const list_v2_params[] = {
	"list-type",   "prefix",	"delimiter",   "max-keys", "continuation-token",
	"start-after", "encoding-type", "fetch-owner", NULL};
static const char *const uploads_params[] = {"uploads", NULL};
static const char *const list_uploads_params[] = {
	"uploads",     "prefix",	   "delimiter",	    "key-marker",
	"max-uploads", "upload-id-marker", "encoding-type", NULL};
static const char *const part_params[] = {"uploadId", "partNumber", NULL};
static const char *const upload_params[] = {"uploadId", NULL};
static const char *const list_parts_params[] = {"uploadId", "max-parts", "part-number-marker",
						"encoding-type", NULL};
static const char *const get_params[] = {"response-content-type",
					 "response-content-language",
					 "response-expires",
					 "response-cache-control",
					 "response-content-disposition",
					 "response-content-encoding",
					 "versionId",
					 "partNumber",
					 NULL};

static const struct s3_operation operations[] = {
	{"GET", S3_LEVEL_SERVICE, NULL, false, S3_BODY_UNUSED, buckets_params, NULL,
	 s3_list_buckets, "ListAllMyBuckets"},
	{"GET", S3_LEVEL_BUCKET, "location", false, S3_BODY_UNUSED, location_params, NULL,
	 s3_get_location, "GetBucketLocation"},
	{"GET", S3_LEVEL_BUCKET, "uploads", false, S3_BODY_UNUSED, list_uploads_params, NULL,
	 s3_list_multiparts, "ListBucketMultipartUploads"},
	{"GET", S3_LEVEL_BUCKET, "versions", false, S3_BODY_UNUSED, list_versions_params, NULL,
	 s3_list_versions, "ListBucketVersions"},
	{"GET", S3_LEVEL_BUCKET, "object-lock", false, S3_BODY_UNUSED, lock_config_params, NULL,
	 s3_get_lock_config, "GetBucketObjectLockConfiguration"},
	{"PUT", S3_LEVEL_BUCKET, "object-lock", false, S3_BODY_XML, lock_config_params, NULL,
	 s3_put_lock_config, "PutBucketObjectLockConfiguration"},
	{"GET", S3_LEVEL_BUCKET, "list-type", false, S3_BODY_UNUSED, list_v2_params, NULL,
	 s3_list_objects, "ListBucket"},
	{"GET", S3_LEVEL_BUCKET, NULL, false, S3_BODY_UNUSED, list_params, NULL, s3_list_objects,
	 "ListBucket"},
	{"PUT", S3_LEVEL_BUCKET, NULL, false, S3_BODY_XML, no_params, NULL, s3_create_bucket,
	 "CreateBucket"},
	{"HEAD", S3_LEVEL_BUCKET, NULL, false, S3_BODY_UNUSED, no_params, NULL, s3_head_bucket,
	 "ListBucket"},
	{"DELETE", S3_LEVEL_BUCKET, NULL, false, S3_BODY_UNUSED, no_params, NULL, s3_delete_bucket,
	 "DeleteBucket"},
	{"POST", S3_LEVEL_BUCKET, "delete", false, S3_BODY_XML, delete_params, NULL,
	 s3_delete_objects, S3_ACTION_EACH},
	{"POST", S3_LEVEL_BUCKET, NULL, false, S3_BODY_FORM, no_params, s3_post_begin, s3_post_end,
	 "PutObject"},
	{"OPTIONS", S3_LEVEL_BUCKET, NULL, false, S3_BODY_UNUSED, any_params, NULL, s3_preflight},
	{"OPTIONS", S3_LEVEL_OBJECT, NULL, false, S3_BODY_UNUSED, any_params, NULL, s3_preflight},
	{"GET", S3_LEVEL_OBJECT, "uploadId", false, S3_BODY_UNUSED, list_parts_params, NULL,
	 s3_list_parts, "ListMultipartUploadParts"},
	{"GET", S3_LEVEL_OBJECT, "tagging", false, S3_BODY_UNUSED, tagging_params, NULL,
	 s3_get_tagging, "GetObjectTagging"},
	{"GET", S3_LEVEL_OBJECT, "retention", false, S3_BODY_UNUSED, retention_params, NULL,
	 s3_get_retention, "GetObjectRetention"},
	{"GET", S3_LEVEL_OBJECT, "legal-hold", false, S3_BODY_UNUSED, legal_hold_params, NULL,
	 s3_get_legal_hold, "GetObjectLegalHold"},
	{"GET", S3_LEVEL_OBJECT, "attributes", false, S3_BODY_UNUSED, attributes_params, NULL,
	 s3_get_attributes, "GetObjectAttributes"},
	{"GET", S3_LEVEL_OBJECT, NULL, false, S3_BODY_UNUSED, get_params, NULL, s3_get_object,
	 "GetObject"},
	{"HEAD", S3_LEVEL_OBJECT, NULL, false, S3_BODY_UNUSED, get_params, NULL, s3_get_object,
	 "GetObject"},
	{"PUT", S3_LEVEL_OBJECT, "uploadId", true, S3_BODY_UNUSED, part_params, NULL,
	 s3_upload_part_copy, "PutObject"},
	{"PUT", S3_LEVEL_OBJECT, "uploadId", false, S3_BODY_OBJECT, part_params,
	 s3_upload_part_begin, s3_upload_part, "PutObject"},
	{"PUT", S3_LEVEL_OBJECT, "tagging", false, S3_BODY_XML, tagging_params, NULL,
	 s3_put_tagging, "PutObjectTagging"},
	{"PUT", S3_LEVEL_OBJECT, "retention", false, S3_BODY_XML, retention_params, NULL,
	 s3_put_retention, "PutObjectRetention"},
	{"PUT", S3_LEVEL_OBJECT, "legal-hold", false, S3_BODY_XML, legal_hold_params, NULL,
	 s3_put_legal_hold, "PutObjectLegalHold"},
	{"PUT", S3_LEVEL_OBJECT, NULL, true, S3_BODY_UNUSED, no_params, NULL, s3_copy_object,
	 "PutObject"},
	{"PUT", S3_LEVEL_OBJECT, NULL, false, S3_BODY_OBJECT, no_params, s3_put_object_begin,
	 s3_put_object, "PutObject"},
	{"DELETE", S3_LEVEL_OBJECT, "uploadId", false, S3_BODY_UNUSED, upload_params, NULL,
	 s3_abort_multipart, "AbortMultipartUpload"},
	{"DELETE", S3_LEVEL_OBJECT, "tagging", false, S3_BODY_UNUSED, tagging_params, NULL,
	 s3_delete_tagging, "DeleteObjectTagging"},
	{"DELETE", S3_LEVEL_OBJECT, NULL, false, S3_BODY_UNUSED, version_params, NULL,
	 s3_delete_object, "DeleteObject"},
	{"POST", S3_LEVEL_OBJECT, "uploads", false, S3_BODY_UNUSED, uploads_params, NULL,
	 s3_create_multipart, "PutObject"},
	{"POST", S3_LEVEL_OBJECT, "uploadId", false, S3_BODY_XML, upload_params, NULL,
	 s3_complete_multipart, "PutObject"},
};

static bool is_name_end(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

enum s3_code s3_check_bucket_name(const char *name)
{
	size_t len = strlen(name);
	if (len < 3 || len > STORE_BUCKET_NAME_MAX || !is_name_end(name[0]) ||
	    !is_name_end(name[len - 1]))
		return S3_INVALID_BUCKET_NAME;
	bool is_address = true;
	for (size_t i = 0; i < len; i++) {
		char c = name[i];
		if (!is_name_end(c) && c != '.' && c != '-')
			return S3_INVALID_BUCKET_NAME;
		if (c == '.' && (name[i - 1] == '.' || name[i - 1] == '-' || name[i + 1] == '-'))
			return S3_INVALID_BUCKET_NAME;
		is_address = is_address && ((c >= '0' && c <= '9') || c == '.');
	}
	/* "192.168.5.4", and prefixes that S3 keeps for itself. */
	if (is_address || eos_str_starts_with(name, "xn--") || eos_str_ends_with(name, "-s3alias"))
		return S3_INVALID_BUCKET_NAME;
	return S3_OK;
}

enum s3_code s3_check_key(struct s3_request *request, const char *key, size_t len)
{
	if (len > STORE_KEY_MAX)
		return S3_KEY_TOO_LONG;
	if (memchr(key, '\0', len) != NULL)
		return s3_say(request, S3_INVALID_ARGUMENT, "The key contains a NUL byte.");
	if (!eos_utf8_is_valid(key, len))
		return s3_say(request, S3_INVALID_ARGUMENT, "The key is not valid UTF-8.");
	return S3_OK;
}

static enum s3_code take_key(struct s3_request *request, const char *text)
{
	char decoded[3 * STORE_KEY_MAX + 1];
	size_t len = strlen(text);

	/* Each byte of a key is at most three on the wire. */
	if (len >= sizeof(decoded))
		return S3_KEY_TOO_LONG;
	long n = eos_percent_decode(text, len, decoded);
	if (n < 0)
		return S3_INVALID_URI;
	enum s3_code code = s3_check_key(request, decoded, (size_t)n);
	if (code != S3_OK)
		return code;
	memcpy(request->key, decoded, (size_t)n);
	request->key[n] = '\0';
	request->key_len = (size_t)n;
	return S3_OK;
}

/* The length of the bucket's name in front of the domain in Host, 0 for path style. */
static size_t bucket_in_host(const struct s3_request *request, const char *host)
{
	const char *domain = request->server->config.domain;
	if (host == NULL || domain == NULL)
		return 0;
	size_t host_len = strcspn(host, ":"), domain_len = strlen(domain);
	if (host_len <= domain_len + 1 || host[host_len - domain_len - 1] != '.' ||
	    strncasecmp(host + host_len - domain_len, domain, domain_len) != 0)
		return 0;
	return host_len - domain_len - 1;
}

static enum s3_code take_bucket(struct s3_request *request, const char *text, size_t len)
{
	char name[3 * STORE_BUCKET_NAME_MAX + 1];
	if (len >= sizeof(name))
		return S3_INVALID_BUCKET_NAME;
	long n = eos_percent_decode(text, len, name);
	if (n < 0)
		return S3_INVALID_URI;
	name[n] = '\0';
	if (strlen(name) != (size_t)n || s3_check_bucket_name(name) != S3_OK)
		return S3_INVALID_BUCKET_NAME;
	memcpy(request->bucket, name, (size_t)n + 1);
	return S3_OK;
}

static enum s3_code take_resource(struct s3_request *request, enum s3_level *ret_level)
{
	const char *host = s3_header(request, "host");
	const char *path = http_request_path(request->http) + 1;
	size_t in_host = bucket_in_host(request, host);
	enum s3_code code;

	if (in_host > 0) {
		code = take_bucket(request, host, in_host);
	} else {
		size_t len = strcspn(path, "/");
		if (len == 0 && path[0] == '\0') {
			*ret_level = S3_LEVEL_SERVICE;
			return S3_OK;
		}
		code = take_bucket(request, path, len);
		path += len + (path[len] == '/');
	}
	if (code != S3_OK)
		return code;
	*ret_level = *path == '\0' ? S3_LEVEL_BUCKET : S3_LEVEL_OBJECT;
	return take_key(request, path);
}

static const struct s3_operation *operation_at(size_t index)
{
	return index < s3_bucket_operations_count ? &s3_bucket_operations[index]
						  : &operations[index - s3_bucket_operations_count];
}

static bool has_param(const struct s3_operation *operation, const char *name)
{
	for (const char *const *known = operation->params; *known != NULL; known++)
		if (strcmp(*known, name) == 0)
			return true;
	return false;
}

/* Does NAME mean something to S3, here or elsewhere? */
static bool is_word(const char *name)
{
	static const char *const others[] = {
		"abac",	     "analytics", "append",	  "intelligent-tiering",
		"inventory", "metrics",	  "notification", "renameObject",
		"restore",   "select",	  "session",	  "torrent",
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(others); i++)
		if (strcmp(others[i], name) == 0)
			return true;
	for (size_t i = 0; i < s3_bucket_operations_count + EOS_ARRAY_SIZE(operations); i++)
		if (has_param(operation_at(i), name))
			return true;
	return eos_str_starts_with(name, "metadata") || eos_str_starts_with(name, "response-");
}

/* A presigned URL's own, of those that begin with "X-Amz-". */
static bool is_signature_param(const char *name)
{
	static const char *const names[] = {
		"X-Amz-Algorithm",	"X-Amz-Credential", "X-Amz-Date",
		"X-Amz-Expires",	"X-Amz-Signature",  "X-Amz-SignedHeaders",
		"X-Amz-Content-Sha256", "X-Amz-User-Agent",
	};
	const size_t prefix_len = 6;
	for (size_t i = 0; i < EOS_ARRAY_SIZE(names); i++)
		if (names[i][prefix_len] == name[prefix_len] && strcmp(names[i], name) == 0)
			return true;
	return false;
}

static bool is_allowed_param(const struct s3_operation *operation, bool is_read, const char *name)
{
	if (operation->params == any_params)
		return true;
	/* Clients move headers into presigned URLs. We read none there: of what asks for
	 * encryption, a lock or a list nobody may believe that it was done. */
	if (eos_str_starts_with(name, "X-Amz-"))
		return is_signature_param(name) ||
		       (is_read && strcmp(name, "X-Amz-Security-Token") != 0 &&
			!eos_str_starts_with(name, "X-Amz-Server-Side-"));
	if (has_param(operation, name))
		return true;
	/* What is not S3's at all (a page's "utm_source") does not change what is read; in what
	 * changes something nothing may be misunderstood. */
	if (is_read && strncasecmp(name, "x-amz-", 6) != 0 && !is_word(name))
		return true;
	/* What S3 lets clients add for their logs. */
	return eos_str_starts_with(name, "x-") && !eos_str_starts_with(name, "x-amz-");
}

enum s3_code s3_route(struct s3_request *request)
{
	const char *method = http_request_method(request->http);
	bool is_copy = s3_header(request, "x-amz-copy-source") != NULL;
	bool is_level_known = false;
	enum s3_level level;

	enum s3_code code = take_resource(request, &level);
	if (code != S3_OK)
		return code;
	size_t count = s3_bucket_operations_count + EOS_ARRAY_SIZE(operations);
	bool is_put_object = level == S3_LEVEL_OBJECT && strcmp(method, "PUT") == 0;
	for (size_t i = 0; i < count && request->operation == NULL; i++) {
		const struct s3_operation *row = operation_at(i);
		if (row->level != level || row->method[0] != method[0] ||
		    strcmp(row->method, method) != 0)
			continue;
		is_level_known = true;
		if ((!is_put_object || row->is_copy == is_copy) &&
		    (row->selector == NULL || s3_query_get(&request->query, row->selector)))
			request->operation = row;
	}
	if (request->operation == NULL)
		return is_level_known ? S3_NOT_IMPLEMENTED : S3_METHOD_NOT_ALLOWED;
	bool is_read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
	for (size_t i = 0; i < request->query.count; i++) {
		const char *name = request->query.params[i].name;
		if (!is_allowed_param(request->operation, is_read, name))
			return s3_say(request, S3_NOT_IMPLEMENTED,
				      "The parameter \"%s\" is not implemented here.", name);
	}
	const char *version = s3_query_get(&request->query, "versionId");
	request->version = STORE_VERSION_LATEST;
	return version != NULL ? s3_parse_version(request, version, &request->version) : S3_OK;
}
