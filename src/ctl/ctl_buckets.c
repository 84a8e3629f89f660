/*
 * Buckets and their settings over the control API, for `edgeos bucket`.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "base/node.h"
#include "base/str.h"
#include "ctl/ctl_priv.h"
#include "tenant/tenant.h"

#define SETTINGS_BODY_MAX (16u << 10)

bool ctl_bucket_is_reachable(const char *bucket)
{
	return bucket[0] != '.';
}

void ctl_answer_bucket_error(struct ctl_request *request, int err)
{
	if (err == -ENOENT)
		ctl_answer_error(request, err, "no bucket named \"%s\"", request->name);
	else if (err == -EEXIST)
		ctl_answer_error(request, err, "bucket \"%s\" is there already", request->name);
	else if (err == -ENOTEMPTY)
		ctl_answer_error(request, err, "bucket \"%s\" is not empty", request->name);
	else if (err == -EINVAL)
		ctl_answer_error(request, err,
				 "\"%s\" is not a bucket name: 3 to 63 of a-z, 0-9, '-' and '.'",
				 request->name);
	else
		ctl_answer_error(request, err, "bucket \"%s\": %s", request->name, strerror(-err));
}

static int list_bucket(void *ctx, const struct store_bucket_info *info)
{
	struct eos_json *json = ctx;
	char created[EOS_ISO8601_SIZE];
	eos_format_iso8601(info->created_ns, created);
	eos_json_open(json, NULL, '{');
	eos_json_text(json, "name", info->name);
	eos_json_text(json, "created", created);
	eos_json_close(json, '}');
	return 0;
}

static void run_list(struct ctl_request *request)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	struct eos_json json = eos_json_begin(&body);
	eos_json_open(&json, NULL, '{');
	eos_json_open(&json, "buckets", '[');
	int err = store_bucket_list(request->server->config.store, list_bucket, &json);
	if (err < 0) {
		ctl_answer_error(request, err, "listing buckets: %s", strerror(-err));
		return;
	}
	eos_json_close(&json, ']');
	eos_json_close(&json, '}');
	ctl_answer_json(request, 200, &body);
}

static void run_create(struct ctl_request *request)
{
	int err = ctl_bucket_is_reachable(request->name)
			  ? store_bucket_create(request->server->config.store, request->name)
			  : -EINVAL;
	if (err < 0)
		ctl_answer_bucket_error(request, err);
	else
		ctl_answer_empty(request);
}

static void run_delete(struct ctl_request *request)
{
	const struct ctl_ops *ops = request->server->config.ops;
	int err = ctl_bucket_is_reachable(request->name)
			  ? store_bucket_delete(request->server->config.store, request->name)
			  : -ENOENT;
	if (err < 0) {
		ctl_answer_bucket_error(request, err);
		return;
	}
	ops->bucket_deleted(ops->ctx, request->name);
	ctl_answer_empty(request);
}

static int put_bucket(struct store *store, const char *name, struct eos_json *json)
{
	static const char *const versioning[] = {
		[STORE_VERSIONING_OFF] = "off",
		[STORE_VERSIONING_ENABLED] = "enabled",
		[STORE_VERSIONING_SUSPENDED] = "suspended",
	};
	struct store_bucket_info info;
	struct store_bucket_settings settings;
	struct store_usage usage;
	char created[EOS_ISO8601_SIZE];
	int err = store_bucket_get(store, name, &info);
	if (err == 0)
		err = store_bucket_settings_get(store, name, &settings);
	if (err == 0)
		err = store_bucket_usage(store, name, &usage);
	if (err < 0)
		return err;
	eos_format_iso8601(info.created_ns, created);
	eos_json_open(json, NULL, '{');
	eos_json_text(json, "name", name);
	eos_json_text(json, "created", created);
	eos_json_text(json, "tenant", settings.tenant);
	eos_json_text(json, "versioning", versioning[settings.versioning]);
	eos_json_bool(json, "object_lock", settings.has_object_lock);
	eos_json_bool(json, "encrypted", settings.is_encrypted);
	eos_json_bool(json, "compressed", settings.is_compressed);
	eos_json_u64(json, "bytes", usage.bytes);
	eos_json_u64(json, "objects", usage.objects);
	eos_json_u64(json, "quota_bytes", settings.quota_bytes);
	eos_json_u64(json, "quota_objects", settings.quota_objects);
	eos_json_close(json, '}');
	return 0;
}

static void answer_bucket(struct ctl_request *request)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	struct eos_json json = eos_json_begin(&body);
	int err = ctl_bucket_is_reachable(request->name)
			  ? put_bucket(request->server->config.store, request->name, &json)
			  : -ENOENT;
	if (err < 0)
		ctl_answer_bucket_error(request, err);
	else
		ctl_answer_json(request, 200, &body);
}

/* "" is the node's operator. */
static int decode_tenant(const struct eos_node *root, struct tenant_registry *tenants,
			 struct store_bucket_settings *settings, struct eos_why *why)
{
	const char *name = NULL;
	int err = eos_node_get_text(root, "tenant", &name, why);
	if (err < 0 || name == NULL)
		return err;
	if ((name[0] != '\0' && !tenant_exists(tenants, name)) ||
	    eos_str_copy(settings->tenant, sizeof(settings->tenant), name) < 0)
		return eos_node_fail(eos_node_get(root, "tenant"), why,
				     "tenant: no tenant named \"%s\"", name);
	return 0;
}

static int decode_versioning(const struct eos_node *root, struct store_bucket_settings *settings,
			     struct eos_why *why)
{
	const char *text = NULL;
	int err = eos_node_get_text(root, "versioning", &text, why);
	if (err < 0 || text == NULL)
		return err;
	if (strcmp(text, "enabled") == 0)
		settings->versioning = STORE_VERSIONING_ENABLED;
	else if (strcmp(text, "suspended") == 0)
		settings->versioning = STORE_VERSIONING_SUSPENDED;
	else
		return eos_node_fail(eos_node_get(root, "versioning"), why,
				     "versioning: neither enabled nor suspended: \"%s\"", text);
	return 0;
}

/* What ROOT gives replaces what SETTINGS has. */
static int decode_settings(const struct eos_node *root, struct tenant_registry *tenants,
			   struct store_bucket_settings *settings, struct eos_why *why)
{
	static const char *const keys[] = {"versioning",  "compressed",	   "encrypted",
					   "quota_bytes", "quota_objects", "tenant",
					   NULL};
	int err = eos_node_check_keys(root, keys, why);
	if (err == 0)
		err = decode_versioning(root, settings, why);
	if (err == 0)
		err = eos_node_get_bool(root, "compressed", &settings->is_compressed, why);
	if (err == 0)
		err = eos_node_get_bool(root, "encrypted", &settings->is_encrypted, why);
	if (err == 0)
		err = eos_node_get_u64(root, "quota_bytes", 0, UINT64_MAX, &settings->quota_bytes,
				       why);
	if (err == 0)
		err = eos_node_get_u64(root, "quota_objects", 0, UINT64_MAX,
				       &settings->quota_objects, why);
	if (err == 0)
		err = decode_tenant(root, tenants, settings, why);
	return err;
}

struct settings_change {
	const struct eos_node *root;
	struct tenant_registry *tenants;
	struct eos_why why;
};

static int change_settings(void *ctx, struct store_bucket_settings *settings)
{
	struct settings_change *change = ctx;
	return decode_settings(change->root, change->tenants, settings, &change->why);
}

static void set_settings(struct ctl_request *request, const struct eos_node *root)
{
	struct settings_change change = {
		.root = root,
		.tenants = request->server->config.tenants,
		.why = {""},
	};
	int err = ctl_bucket_is_reachable(request->name)
			  ? store_bucket_settings_update(request->server->config.store,
							 request->name, change_settings, &change)
			  : -ENOENT;
	if (err < 0 && change.why.text[0] != '\0')
		ctl_answer_error(request, err, "%s", change.why.text);
	else if (err == -EINVAL)
		ctl_answer_error(request, err,
				 "bucket \"%s\": with object lock its versions cannot be suspended",
				 request->name);
	else if (err < 0)
		ctl_answer_bucket_error(request, err);
	else
		answer_bucket(request);
}

static void run_set(struct ctl_request *request)
{
	struct eos_why why = {""};
	struct eos_doc *doc;
	int err = ctl_parse_body(request, "settings", &doc, &why);
	if (err < 0) {
		ctl_answer_error(request, err, "%s", why.text);
		return;
	}
	set_settings(request, eos_doc_root(doc));
	eos_doc_free(doc);
}

const struct ctl_route ctl_bucket_routes[] = {
	{.method = "GET", .collection = "buckets", .run = run_list},
	{.method = "GET", .collection = "buckets", .has_name = true, .run = answer_bucket},
	{.method = "PUT", .collection = "buckets", .has_name = true, .run = run_create},
	{.method = "DELETE", .collection = "buckets", .has_name = true, .run = run_delete},
	{.method = "PUT",
	 .collection = "buckets",
	 .has_name = true,
	 .rest = "settings",
	 .body_max = SETTINGS_BODY_MAX,
	 .run = run_set},
	{.method = NULL},
};
