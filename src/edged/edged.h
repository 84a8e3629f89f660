/*
 * The node: everything that belongs to one running edged, and the order in which it starts and
 * stops.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "aot/aot.h"
#include "base/buf.h"
#include "base/loop.h"
#include "base/macros.h"
#include "base/why.h"
#include "ctl/ctl_server.h"
#include "edged/chains.h"
#include "edged/config.h"
#include "func/func.h"
#include "image/image.h"
#include "router/router.h"
#include "s3/s3.h"
#include "s3/s3_notification.h"
#include "store/store.h"
#include "tenant/tenant.h"
#include "trigger/trigger.h"

struct edged {
	/* Set at the start, read by all threads. */
	struct edged_config config;
	const char *data_dir; /* as given; the process works in it */
	int data_fd, images_fd;
	char cell_program[4096];
	struct image_key key;
	struct s3_credentials credentials;
	bool has_new_credentials;
	uint64_t started_ns;
	struct ctl_ops ctl_ops;
	struct eos_loop *loop;
	struct store *store;
	struct func_registry *registry;
	struct tenant_registry *tenants;
	struct s3_notifications *notifications;
	struct eos_buf tls_certificate, tls_key; /* PEM; empty: no TLS */
	struct func_log *log;
	struct edged_chains *chains; /* NULL: without a data plane */
	/* One change of the functions at a time, with what the data plane has of them. Before the
	 * chains' lock. */
	pthread_mutex_t deploy_lock;
	/* The loop's thread. */
	struct func_queue *queue;
	struct router *router;
	struct trigger_http *trigger_http;
	struct trigger_object *trigger_object;
	struct http_server *functions_server;
	struct eos_watch *signal_watch;
	struct eos_timer *ready_timer;
	int signal_fd;
	int stop_fd; /* readable from the stop on, for threads that compile */
	bool is_stopping;
	pthread_t stopper; /* while is_stopping */
	/* Threads of their own. */
	struct s3_server *s3_server;
	struct ctl_server *ctl_server;
};

/* Starts all parts; on failure whatever was started has been stopped. */
int edged_start(struct edged *edged, struct eos_why *why) EOS_MUST_CHECK;
/* Runs the loop until SIGINT or SIGTERM. */
void edged_run(struct edged *edged);
/* Also on a half-started node. */
void edged_stop(struct edged *edged);

/* "http://127.0.0.1:9000", or https. */
void edged_format_url(char *out, size_t size, const struct edged *edged,
		      const struct edged_listen *listen);

/* struct ctl_ops' functions, with the struct edged as their context. */
int edged_deploy(void *ctx, const char *name, const char *source, const char *manifest,
		 size_t manifest_len, const void *module, size_t module_len, struct func **ret_func,
		 struct eos_why *why);
int edged_remove(void *ctx, const char *name, struct eos_why *why);
int edged_invoke(void *ctx, const char *name, const void *input, size_t input_len,
		 struct eos_buf *output, struct eos_why *why);
/* Not on the loop's thread, which it waits for. */
void edged_put_status(void *ctx, struct eos_json *json);
/* Removes what deploys left behind that a kill cut off. The data directory is ours alone. */
void edged_deploy_clean(struct edged *edged);
/* How modules are built here. Any thread. */
struct aot_config edged_aot_config(const struct edged *edged);
/* For the supervisor: the image of a deployed function. */
int edged_open_image(void *ctx, const struct func *func, struct image **ret_image,
		     struct eos_why *why);
