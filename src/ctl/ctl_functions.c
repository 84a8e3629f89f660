/*
 * Functions over the control API: list, show, deploy, remove, logs, invoke.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/str.h"
#include "ctl/ctl_priv.h"

static void put_trigger(struct eos_json *json, const struct func_trigger *trigger)
{
	eos_json_open(json, NULL, '{');
	if (trigger->kind == FUNC_TRIGGER_HTTP) {
		eos_json_text(json, "kind", "http");
		eos_json_text(json, "path", trigger->path);
	} else if (trigger->kind == FUNC_TRIGGER_UDP || trigger->kind == FUNC_TRIGGER_TCP) {
		eos_json_text(json, "kind", trigger->kind == FUNC_TRIGGER_UDP ? "udp" : "tcp");
		eos_json_text(json, "address", trigger->address);
		eos_json_u64(json, "port", trigger->port);
		eos_json_u64(json, "idle_ms", trigger->idle_ns / EOS_NS_PER_MS);
	} else {
		eos_json_text(json, "kind", "object");
		eos_json_text(json, "bucket", trigger->bucket);
		eos_json_text(json, "prefix", trigger->prefix);
		eos_json_text(json, "suffix", trigger->suffix);
	}
	eos_json_close(json, '}');
}

static void put_function(struct eos_json *json, const char *key, const struct func *func)
{
	static const char *const isolations[] = {
		[FUNC_ISOLATION_REQUEST] = "request",
		[FUNC_ISOLATION_CLIENT] = "client",
		[FUNC_ISOLATION_TENANT] = "tenant",
	};
	const struct func_manifest *m = func->manifest;
	char hash[2 * sizeof(func->module_sha256) + 1];
	char deployed[EOS_ISO8601_SIZE];
	eos_hex_encode(func->module_sha256, sizeof(func->module_sha256), hash);
	eos_format_iso8601(func->deployed_ns, deployed);
	eos_json_open(json, key, '{');
	eos_json_text(json, "name", m->name);
	eos_json_text(json, "tenant", m->tenant);
	eos_json_u64(json, "version", func->version);
	eos_json_text(json, "deployed", deployed);
	eos_json_text(json, "module_sha256", hash);
	eos_json_u64(json, "memory_bytes", m->memory_bytes);
	eos_json_f64(json, "timeout_ms", (double)m->timeout_ns / EOS_NS_PER_MS);
	eos_json_text(json, "isolation", isolations[m->isolation]);
	/* Its name among the data plane's chains. */
	eos_json_text(json, "chain", m->is_packet ? m->name : NULL);
	eos_json_open(json, "triggers", '[');
	for (unsigned i = 0; i < m->triggers_count; i++)
		put_trigger(json, &m->triggers[i]);
	eos_json_close(json, ']');
	eos_json_open(json, "grants", '[');
	for (unsigned i = 0; i < m->grants_count; i++) {
		static const char *const names[] = {"", "read", "write", "read-write"};
		eos_json_open(json, NULL, '{');
		eos_json_text(json, "bucket", m->grants[i].bucket);
		eos_json_text(json, "access", names[m->grants[i].access & 3]);
		eos_json_close(json, '}');
	}
	eos_json_close(json, ']');
	eos_json_close(json, '}');
}

static void list_one(void *ctx, struct func *func)
{
	put_function(ctx, NULL, func);
}

static void run_list(struct ctl_request *request)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	struct eos_json json = eos_json_begin(&body);
	eos_json_open(&json, NULL, '{');
	eos_json_open(&json, "functions", '[');
	func_registry_each(request->server->config.registry, list_one, &json);
	eos_json_close(&json, ']');
	eos_json_close(&json, '}');
	ctl_answer_json(request, 200, &body);
}

static void answer_unknown(struct ctl_request *request)
{
	ctl_answer_error(request, -ENOENT, "no function named \"%s\"", request->name);
}

static void run_show(struct ctl_request *request)
{
	struct func *func = func_registry_get(request->server->config.registry, request->name);
	if (func == NULL) {
		answer_unknown(request);
		return;
	}
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	struct eos_json json = eos_json_begin(&body);
	put_function(&json, NULL, func);
	func_unref(func);
	ctl_answer_json(request, 200, &body);
}

static void run_remove(struct ctl_request *request)
{
	const struct ctl_ops *ops = request->server->config.ops;
	struct eos_why why = {""};
	int err = ops->remove(ops->ctx, request->name, &why);
	if (err == -ENOENT)
		answer_unknown(request);
	else if (err < 0)
		ctl_answer_error(request, err, "%s", why.text);
	else
		ctl_answer_empty(request);
}

/* Text of a function that exists, appended by READ. */
static void answer_text(struct ctl_request *request, int err, const struct eos_buf *text)
{
	static const struct http_header headers[] = {{"Content-Type", "text/plain; charset=utf-8"}};
	if (err == -ENOENT)
		answer_unknown(request);
	else if (err < 0)
		ctl_answer_error(request, err, "%s: %s", request->name, strerror(-err));
	else
		http_respond(request->http, 200, headers, 1, text->data, text->len);
}

static void run_logs(struct ctl_request *request)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	struct func *func = func_registry_get(request->server->config.registry, request->name);
	int err = func == NULL ? -ENOENT
			       : func_log_read(request->server->config.log, request->name, &text);
	func_unref(func);
	answer_text(request, err, &text);
}

static void run_manifest(struct ctl_request *request)
{
	EOS_CLEANUP(eos_buf_fini) struct eos_buf text = {0};
	int err =
		func_registry_read_manifest(request->server->config.registry, request->name, &text);
	answer_text(request, err, &text);
}

/* The body is the manifest (manifest_bytes of them) and behind it the module. */
static void run_deploy(struct ctl_request *request)
{
	const struct ctl_ops *ops = request->server->config.ops;
	char *bytes = ctl_query_get(request, "manifest_bytes");
	char *source = ctl_query_get(request, "source");
	uint64_t manifest_len = 0;
	int err = bytes == NULL ? -EINVAL : eos_parse_u64(bytes, &manifest_len);
	free(bytes);
	if (err < 0 || manifest_len > request->body.len) {
		ctl_answer_error(request, -EINVAL,
				 "manifest_bytes: missing, or beyond the body of %zu bytes",
				 request->body.len);
		free(source);
		return;
	}
	struct eos_why why = {""};
	struct func *func = NULL;
	const char *sent = request->body.len == 0 ? "" : request->body.data;
	err = ops->deploy(ops->ctx, request->name, source == NULL ? "manifest" : source, sent,
			  (size_t)manifest_len, sent + manifest_len,
			  request->body.len - (size_t)manifest_len, &func, &why);
	free(source);
	if (err < 0) {
		ctl_answer_error(request, err, "%s", why.text[0] ? why.text : strerror(-err));
		return;
	}
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	struct eos_json json = eos_json_begin(&body);
	put_function(&json, NULL, func);
	func_unref(func);
	ctl_answer_json(request, 200, &body);
}

static void run_invoke(struct ctl_request *request)
{
	static const struct http_header headers[] = {{"Content-Type", "application/octet-stream"}};
	const struct ctl_ops *ops = request->server->config.ops;
	EOS_CLEANUP(eos_buf_fini) struct eos_buf output = {0};
	struct eos_why why = {""};
	int err = ops->invoke(ops->ctx, request->name, request->body.data, request->body.len,
			      &output, &why);
	if (err < 0)
		ctl_answer_error(request, err, "%s", why.text[0] ? why.text : strerror(-err));
	else
		http_respond(request->http, 200, headers, 1, output.data, output.len);
}

const struct ctl_route ctl_function_routes[] = {
	{.method = "GET", .collection = "functions", .run = run_list},
	{.method = "GET", .collection = "functions", .has_name = true, .run = run_show},
	{.method = "PUT",
	 .collection = "functions",
	 .has_name = true,
	 .body_max = CTL_DEPLOY_BYTES_MAX,
	 .run = run_deploy},
	{.method = "DELETE", .collection = "functions", .has_name = true, .run = run_remove},
	{.method = "GET",
	 .collection = "functions",
	 .has_name = true,
	 .rest = "logs",
	 .run = run_logs},
	{.method = "GET",
	 .collection = "functions",
	 .has_name = true,
	 .rest = "manifest",
	 .run = run_manifest},
	{.method = "POST",
	 .collection = "functions",
	 .has_name = true,
	 .rest = "invoke",
	 .body_max = CTL_INVOKE_BYTES_MAX,
	 .run = run_invoke},
	{.method = NULL},
};
