/*
 * Chains of the data plane over the control API: apply and remove, and the data plane's state,
 * which is handed on as it came.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "ctl/ctl_priv.h"

#define FILES_MAX 19u /* of 16 stages, and three of TLS */

struct parts {
	size_t manifest_len;
	const void *modules[FILES_MAX];
	size_t modules_len[FILES_MAX];
	unsigned count;
};

/* "120,4096,77": the lengths of the manifest, of each module and of TLS' files, which the body has
 * in this order. */
static int split(const struct ctl_request *request, char *lengths, struct parts *parts)
{
	const char *body = request->body.len == 0 ? "" : request->body.data;
	size_t at = 0;
	char *rest = lengths;
	for (unsigned i = 0;; i++) {
		uint64_t len = 0;
		char *text = strsep(&rest, ",");
		if (text == NULL)
			break;
		if (i > FILES_MAX || eos_parse_u64(text, &len) < 0 || len > request->body.len - at)
			return -EINVAL;
		if (i == 0) {
			parts->manifest_len = (size_t)len;
		} else {
			parts->modules[i - 1] = body + at;
			parts->modules_len[i - 1] = (size_t)len;
			parts->count = i;
		}
		at += (size_t)len;
	}
	return at == request->body.len ? 0 : -EINVAL;
}

static void answer_why(struct ctl_request *request, int err, const struct eos_why *why)
{
	ctl_answer_error(request, err, "%s", why->text[0] != '\0' ? why->text : strerror(-err));
}

static void run_apply(struct ctl_request *request)
{
	const struct ctl_ops *ops = request->server->config.ops;
	char *lengths = ctl_query_get(request, "lengths");
	char *source = ctl_query_get(request, "source");
	struct parts parts = {0};
	struct eos_why why = {""};
	int err = lengths == NULL ? -EINVAL : split(request, lengths, &parts);
	if (err < 0)
		eos_why(&why, err, "lengths: missing, or not those of the body of %zu bytes",
			request->body.len);
	else
		err = ops->chain_apply(ops->ctx, request->name,
				       source == NULL ? "manifest" : source, request->body.data,
				       parts.manifest_len, parts.modules, parts.modules_len,
				       parts.count, &why);
	free(lengths);
	free(source);
	/* It may hold a private key. */
	if (request->body.len > 0)
		explicit_bzero(request->body.data, request->body.len);
	if (err < 0)
		answer_why(request, err, &why);
	else
		ctl_answer_empty(request);
}

static void run_remove(struct ctl_request *request)
{
	const struct ctl_ops *ops = request->server->config.ops;
	struct eos_why why = {""};
	int err = ops->chain_remove(ops->ctx, request->name, &why);
	if (err < 0)
		answer_why(request, err, &why);
	else
		ctl_answer_empty(request);
}

static void run_state(struct ctl_request *request)
{
	const struct ctl_ops *ops = request->server->config.ops;
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	struct eos_why why = {""};
	int err = ops->chain_state(ops->ctx, request->name, &body, &why);
	if (err < 0)
		answer_why(request, err, &why);
	else
		ctl_answer_json(request, 200, &body);
}

const struct ctl_route ctl_chain_routes[] = {
	{.method = "PUT",
	 .collection = "chains",
	 .has_name = true,
	 .body_max = CTL_DEPLOY_BYTES_MAX,
	 .run = run_apply},
	{.method = "DELETE", .collection = "chains", .has_name = true, .run = run_remove},
	{.method = "GET", .collection = "chains", .run = run_state},
	{.method = "GET", .collection = "chains", .has_name = true, .run = run_state},
	{.method = NULL},
};
