/*
 * The control API of a node: HTTP with JSON over the local socket DATA/control.sock, and what the
 * functions' port answers beside functions (/healthz, /readyz, /metrics).
 *
 * The socket's permissions are the authentication: who may open it may do everything. Handlers
 * run on the connection's own thread and may block; what belongs to the loop's thread is reached
 * through struct ctl_ops, which edged fills in.
 *
 * Paths (all below /api/v1): status; functions[/NAME[/logs|/manifest|/invoke]];
 * buckets[/NAME[/settings]]; objects/BUCKET[/KEY]; find; store[/upkeep|/verify|/repair|/compact];
 * tenants[/NAME[/keys|/quota]]; chains[/NAME]. docs/control-api.md describes them.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/json.h"
#include "base/macros.h"
#include "base/why.h"
#include "func/func.h"
#include "http/http_server.h"
#include "store/store.h"
#include "tenant/tenant.h"

#define CTL_DEPLOY_BYTES_MAX (65u << 20) /* manifest and module together */
#define CTL_INVOKE_BYTES_MAX (8u << 20)

struct ctl_ops {
	/* Builds, checks and stores a function. SOURCE names the manifest in messages; NAME must be
	 * the manifest's. Blocks. */
	int (*deploy)(void *ctx, const char *name, const char *source, const char *manifest,
		      size_t manifest_len, const void *module, size_t module_len,
		      struct func **ret_func, struct eos_why *why);
	/* Runs NAME on INPUT and waits; its output is appended to OUTPUT. -ENOENT; -ECANCELED:
	 * it ended badly, and WHY says how. */
	int (*invoke)(void *ctx, const char *name, const void *input, size_t input_len,
		      struct eos_buf *output, struct eos_why *why);
	/* Builds, keeps and applies a chain. COUNT files: a module for each stage, and those that
	 * its TLS names: certificate, key, client CA. Blocks. -ENOSYS: the node has no data plane.
	 */
	int (*chain_apply)(void *ctx, const char *name, const char *source, const char *manifest,
			   size_t manifest_len, const void *const *files, const size_t *files_len,
			   unsigned count, struct eos_why *why);
	/* -ENOENT, -ENOSYS. */
	int (*chain_remove)(void *ctx, const char *name, struct eos_why *why);
	/* Appends the data plane's state, a JSON document; NAME: that of one chain. -ENOSYS,
	 * -EAGAIN, -EINVAL: there is none. */
	int (*chain_state)(void *ctx, const char *name, struct eos_buf *buf, struct eos_why *why);
	/* Adds the fields of the node's state to an open JSON object. */
	void (*status)(void *ctx, struct eos_json *json);
	/* BUCKET is gone, and what was known of it beside the store can be forgotten. */
	void (*bucket_deleted)(void *ctx, const char *bucket);
	/* True when functions can run. */
	bool (*is_ready)(void *ctx);
	void *ctx;
};

struct ctl_config {
	const char *socket_path; /* replaced if a dead node left it there */
	struct store *store;
	struct tenant_registry *tenants;
	struct func_registry *registry;
	struct func_log *log;
	const struct ctl_ops *ops;
};

struct ctl_server;
/* CONFIG's pointers are borrowed for the server's life; the socket is made with mode 0600. */
int ctl_server_new(const struct ctl_config *config, struct ctl_server **ret_server,
		   struct eos_why *why) EOS_MUST_CHECK;
/* Ends what the server does in the background too, before the store can be closed. */
struct ctl_server *ctl_server_free(struct ctl_server *server);

/* The handler for what is not a function's on the functions' port; ctx is a struct ctl_ops. */
extern const struct http_handler ctl_public_handler;
