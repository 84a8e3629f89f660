/*
 * Tenants, their keys and quotas over the control API, for `edgeos tenant`. Secret keys are
 * answered once, when they are made.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "ctl/ctl_priv.h"
#include "tenant/tenant.h"

static void answer_tenant_error(struct ctl_request *request, int err)
{
	if (err == -ENOENT)
		ctl_answer_error(request, err, "no tenant named \"%s\", or not such a key",
				 request->name);
	else if (err == -EEXIST)
		ctl_answer_error(request, err, "tenant \"%s\" is there already", request->name);
	else if (err == -ENOTEMPTY)
		ctl_answer_error(request, err, "tenant \"%s\" owns buckets", request->name);
	else if (err == -EINVAL)
		ctl_answer_error(request, err,
				 "\"%s\" is not a tenant's name: up to %u of a-z, 0-9 and '-', "
				 "beginning with a letter; not edgeos or default",
				 request->name, STORE_TENANT_MAX);
	else if (err == -EMFILE)
		ctl_answer_error(request, -EEXIST, "tenant \"%s\": there are as many as can be",
				 request->name);
	else
		ctl_answer_error(request, err, "tenant \"%s\": %s", request->name, strerror(-err));
}

/* A size in the query; false after an answer that it is not one. */
static bool get_size(struct ctl_request *request, const char *name, uint64_t *ret_value,
		     bool *ret_is_given)
{
	char *text = ctl_query_get(request, name);
	*ret_is_given = text != NULL && text[0] != '\0';
	int err = *ret_is_given ? eos_parse_size(text, ret_value) : 0;
	if (err < 0)
		ctl_answer_error(request, -EINVAL, "%s: not a number or size: \"%s\"", name, text);
	free(text);
	return err == 0;
}

/* The request's quotas over what *BYTES and *OBJECTS hold. False after an answer. */
static bool get_quotas(struct ctl_request *request, uint64_t *bytes, uint64_t *objects,
		       bool *ret_is_given)
{
	bool has_bytes, has_objects;
	if (!get_size(request, "quota-bytes", bytes, &has_bytes) ||
	    !get_size(request, "quota-objects", objects, &has_objects))
		return false;
	*ret_is_given = has_bytes || has_objects;
	return true;
}

static void answer_key(struct ctl_request *request, struct tenant_key *key)
{
	struct eos_buf body = {0};
	struct eos_json json = eos_json_begin(&body);
	eos_json_open(&json, NULL, '{');
	eos_json_text(&json, "tenant", request->name);
	eos_json_text(&json, "access_key", key->access_key);
	eos_json_text(&json, "secret_key", key->secret_key);
	eos_json_close(&json, '}');
	ctl_answer_json(request, 201, &body);
	explicit_bzero(key, sizeof(*key));
	if (body.data != NULL)
		explicit_bzero(body.data, body.len);
	eos_buf_fini(&body);
}

static void put_usage(struct eos_json *json, const struct store_usage *usage, uint64_t quota_bytes,
		      uint64_t quota_objects)
{
	eos_json_u64(json, "bytes", usage->bytes);
	eos_json_u64(json, "objects", usage->objects);
	eos_json_u64(json, "quota_bytes", quota_bytes);
	eos_json_u64(json, "quota_objects", quota_objects);
}

static int put_tenant(struct ctl_request *request, struct eos_json *json, const char *key,
		      const struct tenant *tenant)
{
	struct store *store = request->server->config.store;
	struct store_usage usage = {0};
	uint64_t bytes = 0, objects = 0;

	int err = store_tenant_usage(store, tenant->name, &usage);
	if (err == 0)
		err = store_tenant_quota_get(store, tenant->name, &bytes, &objects);
	eos_json_open(json, key, '{');
	eos_json_text(json, "name", tenant->name);
	put_usage(json, &usage, bytes, objects);
	eos_json_open(json, "access_keys", '[');
	for (unsigned i = 0; i < tenant->keys_count; i++)
		eos_json_text(json, NULL, tenant->keys[i].access_key);
	eos_json_close(json, ']');
	eos_json_close(json, '}');
	return err;
}

struct tenant_list {
	struct ctl_request *request;
	struct eos_json *json;
	int err;
};

static void list_one(void *ctx, const struct tenant *tenant)
{
	struct tenant_list *list = ctx;
	int err = put_tenant(list->request, list->json, NULL, tenant);
	if (list->err == 0)
		list->err = err;
}

static void run_list(struct ctl_request *request)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	struct eos_json json = eos_json_begin(&body);
	struct tenant_list list = {.request = request, .json = &json};
	eos_json_open(&json, NULL, '{');
	eos_json_open(&json, "tenants", '[');
	tenant_each(request->server->config.tenants, list_one, &list);
	eos_json_close(&json, ']');
	eos_json_close(&json, '}');
	if (list.err < 0)
		ctl_answer_error(request, list.err, "listing tenants: %s", strerror(-list.err));
	else
		ctl_answer_json(request, 200, &body);
}

static void run_show(struct ctl_request *request)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	struct eos_json json = eos_json_begin(&body);
	struct tenant tenant;
	int err = tenant_get(request->server->config.tenants, request->name, &tenant);
	if (err == 0)
		err = put_tenant(request, &json, NULL, &tenant);
	explicit_bzero(&tenant, sizeof(tenant));
	if (err < 0)
		answer_tenant_error(request, err);
	else
		ctl_answer_json(request, 200, &body);
}

static void run_create(struct ctl_request *request)
{
	struct tenant_key key;
	uint64_t bytes = 0, objects = 0;
	bool is_given;
	if (!get_quotas(request, &bytes, &objects, &is_given))
		return;
	/* The quota first: nobody may write before it holds. */
	int err = tenant_is_name(request->name) ? 0 : -EINVAL;
	if (err == 0 && tenant_exists(request->server->config.tenants, request->name))
		err = -EEXIST;
	if (err == 0)
		err = store_tenant_quota_set(request->server->config.store, request->name, bytes,
					     objects);
	if (err == 0)
		err = tenant_create(request->server->config.tenants, request->name, &key);
	if (err < 0)
		answer_tenant_error(request, err);
	else
		answer_key(request, &key);
}

static void run_remove(struct ctl_request *request)
{
	int err = tenant_remove(request->server->config.tenants, request->name);
	if (err == 0)
		err = store_tenant_quota_set(request->server->config.store, request->name, 0, 0);
	if (err < 0)
		answer_tenant_error(request, err);
	else
		ctl_answer_empty(request);
}

static void run_quota(struct ctl_request *request)
{
	struct store *store = request->server->config.store;
	uint64_t bytes, objects;
	bool is_given;
	int err = tenant_exists(request->server->config.tenants, request->name) ? 0 : -ENOENT;
	if (err == 0)
		err = store_tenant_quota_get(store, request->name, &bytes, &objects);
	if (err == 0) {
		if (!get_quotas(request, &bytes, &objects, &is_given))
			return;
		err = store_tenant_quota_set(store, request->name, bytes, objects);
	}
	if (err < 0)
		answer_tenant_error(request, err);
	else
		ctl_answer_empty(request);
}

static void run_add_key(struct ctl_request *request)
{
	struct tenant_key key;
	int err = tenant_key_add(request->server->config.tenants, request->name, &key);
	if (err < 0)
		answer_tenant_error(request, err);
	else
		answer_key(request, &key);
}

static void run_remove_key(struct ctl_request *request)
{
	char *access_key = ctl_query_get(request, "access-key");
	int err = access_key != NULL ? tenant_key_remove(request->server->config.tenants,
							 request->name, access_key)
				     : -ENOENT;
	free(access_key);
	if (err < 0)
		answer_tenant_error(request, err);
	else
		ctl_answer_empty(request);
}

const struct ctl_route ctl_tenant_routes[] = {
	{.method = "GET", .collection = "tenants", .run = run_list},
	{.method = "GET", .collection = "tenants", .has_name = true, .run = run_show},
	{.method = "PUT", .collection = "tenants", .has_name = true, .run = run_create},
	{.method = "DELETE", .collection = "tenants", .has_name = true, .run = run_remove},
	{.method = "POST",
	 .collection = "tenants",
	 .has_name = true,
	 .rest = "quota",
	 .run = run_quota},
	{.method = "POST",
	 .collection = "tenants",
	 .has_name = true,
	 .rest = "keys",
	 .run = run_add_key},
	{.method = "DELETE",
	 .collection = "tenants",
	 .has_name = true,
	 .rest = "keys",
	 .run = run_remove_key},
	{.method = NULL},
};
