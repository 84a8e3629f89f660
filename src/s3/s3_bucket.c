/* Operations on buckets. */
#include "s3/s3_priv.h"

#include <errno.h>
#include <string.h>
#include <strings.h>

#include "base/str.h"
#include "s3/s3_access.h"
#include "s3/s3_bucket_xml.h"
#include "s3/s3_notification.h"
#include "s3/s3_xml.h"
#include "s3/s3_xml_read.h"

#define S3_LIST_BUCKETS_MAX 10000u

bool s3_is_owner_known(const struct s3_request *request, const char *id)
{
	const struct s3_config *config = &request->server->config;
	if (strcmp(id, S3_OWNER) == 0)
		return true;
	return config->has_tenant != NULL && config->has_tenant(config->ctx, id);
}

struct bucket_list {
	struct s3_request *request;
	struct eos_buf *buf;
	const char *prefix, *after; /* "" at first */
	uint64_t left;		    /* how many may still come */
	bool is_truncated;
	char last[STORE_BUCKET_NAME_MAX + 1];
};

/* Each tenant sees only its own. */
static int visit_bucket(void *ctx, const struct store_bucket_info *info)
{
	struct bucket_list *list = ctx;
	struct store_bucket_settings settings;
	if (!eos_str_starts_with(info->name, list->prefix) || strcmp(info->name, list->after) <= 0)
		return 0;
	int err = store_bucket_settings_get(list->request->server->store, info->name, &settings);
	/* Deleted meanwhile. */
	if (err == -ENOENT)
		return 0;
	if (err < 0 || strcmp(settings.tenant, list->request->tenant) != 0)
		return err;
	list->is_truncated = list->left == 0;
	if (list->is_truncated)
		return 0;
	list->left--;
	memcpy(list->last, info->name, strlen(info->name) + 1);
	s3_xml_open(list->buf, "Bucket");
	s3_xml_text(list->buf, "Name", info->name);
	s3_xml_time(list->buf, "CreationDate", info->created_ns);
	s3_xml_close(list->buf, "Bucket");
	return 0;
}

/* What the query asks for. */
static enum s3_code begin_bucket_list(struct s3_request *request, struct bucket_list *list)
{
	const char *max = s3_query_get(&request->query, "max-buckets");
	const char *prefix = s3_query_get(&request->query, "prefix");
	const char *after = s3_query_get(&request->query, "continuation-token");
	const char *region = s3_query_get(&request->query, "bucket-region");

	list->prefix = prefix != NULL ? prefix : "";
	list->after = after != NULL ? after : "";
	list->left = S3_LIST_BUCKETS_MAX;
	if (max != NULL && (eos_parse_u64(max, &list->left) < 0 || list->left == 0 ||
			    list->left > S3_LIST_BUCKETS_MAX))
		return s3_say(request, S3_INVALID_ARGUMENT, "max-buckets must be 1 to %u.",
			      S3_LIST_BUCKETS_MAX);
	/* All buckets are in the one region there is. */
	if (region != NULL && strcmp(region, request->server->config.region) != 0)
		list->left = 0;
	return S3_OK;
}

enum s3_code s3_list_buckets(struct s3_request *request)
{
	struct eos_buf buf;
	struct bucket_list list = {.request = request, .buf = &buf};

	enum s3_code code = begin_bucket_list(request, &list);
	if (code != S3_OK)
		return code;
	eos_buf_init(&buf);
	s3_xml_begin(&buf, "ListAllMyBucketsResult");
	s3_xml_open(&buf, "Owner");
	s3_xml_text(&buf, "ID", s3_owner_id(request->tenant));
	s3_xml_text(&buf, "DisplayName", s3_owner_id(request->tenant));
	s3_xml_close(&buf, "Owner");
	s3_xml_open(&buf, "Buckets");
	int err = store_bucket_list(request->server->store, visit_bucket, &list);
	if (err < 0) {
		eos_buf_fini(&buf);
		return s3_code_of(err, S3_INTERNAL_ERROR);
	}
	s3_xml_close(&buf, "Buckets");
	if (list.prefix[0] != '\0')
		s3_xml_text(&buf, "Prefix", list.prefix);
	if (list.is_truncated && list.last[0] != '\0')
		s3_xml_text(&buf, "ContinuationToken", list.last);
	s3_xml_close(&buf, "ListAllMyBucketsResult");
	return s3_respond_xml(request, &buf);
}

/* What the headers ask of a bucket that is to be. */
static enum s3_code check_create(struct s3_request *request, bool *ret_has_lock)
{
	char location[S3_LOCATION_MAX + 1];
	const char *lock = s3_header(request, "x-amz-bucket-object-lock-enabled");
	const char *ownership = s3_header(request, "x-amz-object-ownership");

	int err = s3_xml_read_location(request->xml.data, request->xml.len, location);
	if (err < 0)
		return err == -ENOTSUP ? S3_NOT_IMPLEMENTED : S3_MALFORMED_XML;
	if (location[0] != '\0' && strcmp(location, request->server->config.region) != 0)
		return S3_ILLEGAL_LOCATION;
	if (ownership != NULL && !s3_is_ownership(ownership))
		return s3_say(request, S3_INVALID_ARGUMENT, "Invalid x-amz-object-ownership");
	if (lock != NULL && strcasecmp(lock, "true") != 0 && strcasecmp(lock, "false") != 0)
		return s3_say(request, S3_INVALID_ARGUMENT,
			      "Invalid x-amz-bucket-object-lock-enabled");
	*ret_has_lock = lock != NULL && strcasecmp(lock, "true") == 0;
	return S3_OK;
}

/* The bucket is there, and ours. */
static enum s3_code set_up_bucket(struct s3_request *request)
{
	const char *ownership = s3_header(request, "x-amz-object-ownership");

	enum s3_code code = s3_set_bucket_acl(request, NULL, 0);
	if (code == S3_OK && ownership != NULL && strcmp(ownership, "BucketOwnerEnforced") == 0)
		code = s3_check_enforceable(request);
	if (code != S3_OK || ownership == NULL)
		return code;
	int err = store_bucket_document_set(request->server->store, request->bucket, "ownership",
					    ownership, strlen(ownership));
	return s3_code_of(err, S3_NO_SUCH_BUCKET);
}

static enum s3_code bucket_exists(struct s3_request *request)
{
	int err = store_bucket_settings_get(request->server->store, request->bucket,
					    &request->settings);
	if (err < 0)
		return s3_code_of(err, S3_BUCKET_EXISTS);
	return strcmp(request->settings.tenant, request->tenant) == 0 ? S3_BUCKET_OWNED_BY_YOU
								      : S3_BUCKET_EXISTS;
}

enum s3_code s3_create_bucket(struct s3_request *request)
{
	char path[STORE_BUCKET_NAME_MAX + 2] = "/";
	bool has_lock = false;

	enum s3_code code = check_create(request, &has_lock);
	if (code != S3_OK)
		return code;
	struct store_bucket_settings *settings = &request->settings;
	*settings = (struct store_bucket_settings){
		.has_object_lock = has_lock,
		.versioning = has_lock ? STORE_VERSIONING_ENABLED : STORE_VERSIONING_OFF,
	};
	memcpy(settings->tenant, request->tenant, sizeof(settings->tenant));
	int err = store_bucket_create_with(request->server->store, request->bucket, settings);
	if (err == -EEXIST)
		return bucket_exists(request);
	if (err < 0)
		return s3_code_of(err, S3_INTERNAL_ERROR);
	code = set_up_bucket(request);
	if (code != S3_OK) {
		/* Whoever is told that it failed may try again. */
		(void)!store_bucket_delete(request->server->store, request->bucket);
		return code;
	}
	strcat(path, request->bucket);
	const struct http_header headers[] = {{"Location", path}};
	s3_respond(request, 200, headers, EOS_ARRAY_SIZE(headers), NULL, 0);
	return S3_OK;
}

enum s3_code s3_head_bucket(struct s3_request *request)
{
	const struct http_header headers[] = {
		{"x-amz-bucket-region", request->server->config.region}};
	s3_respond(request, 200, headers, EOS_ARRAY_SIZE(headers), NULL, 0);
	return S3_OK;
}

enum s3_code s3_delete_bucket(struct s3_request *request)
{
	struct store_bucket_info bucket;
	int err = store_bucket_get(request->server->store, request->bucket, &bucket);
	if (err == 0)
		err = store_bucket_delete(request->server->store, request->bucket);
	if (err == -ENOTEMPTY)
		return S3_BUCKET_NOT_EMPTY;
	if (err < 0)
		return s3_code_of(err, S3_NO_SUCH_BUCKET);
	/* The bucket is gone, whatever happens now: nobody finds what is left of its uploads. */
	(void)!s3_remove_uploads(request, bucket.created_ns);
	if (request->server->config.notifications != NULL)
		s3_notifications_forget(request->server->config.notifications, request->bucket);
	s3_respond(request, 204, NULL, 0, NULL, 0);
	return S3_OK;
}

enum s3_code s3_get_location(struct s3_request *request)
{
	const char *region = request->server->config.region;
	struct eos_buf buf;

	eos_buf_init(&buf);
	s3_xml_begin(&buf, "LocationConstraint");
	/* S3's first region has no name here. */
	if (strcmp(region, "us-east-1") != 0)
		s3_xml_escape(&buf, region, strlen(region));
	s3_xml_close(&buf, "LocationConstraint");
	return s3_respond_xml(request, &buf);
}
