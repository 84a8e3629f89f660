/*
 * Functions: the registry, and the queue of their invocations.
 *
 * The registry keeps manifests and modules as objects of the store's own bucket ".functions", so
 * that they survive like any object does; a function is there after deploy returned, or not at all.
 * In memory it holds the decoded manifests.
 *
 * An invocation (struct func_call) is one run of one function for one cause. The queue admits at
 * most `concurrency` of a function at a time and at most as many of a tenant as the node's
 * configuration says, keeps FUNC_QUEUE_MAX more of each function waiting, and refuses the rest
 * (-EAGAIN). It hands calls to an executor (a table of functions, installed by edged: the
 * cell's supervisor).
 *
 * Threads: registry functions are for any thread; calls and the queue belong to the node's loop
 * thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "base/macros.h"
#include "base/why.h"
#include "func/manifest.h"
#include "store/store.h"

#define FUNC_QUEUE_MAX	    1024u /* waiting calls of one function */
#define FUNC_OUTPUT_MAX	    (16u << 20)
#define FUNC_MODULE_MAX	    (64u << 20)
#define FUNC_FUNCTIONS_MAX  4096u
#define FUNC_LOG_LINES_MAX  200u  /* of one function */
#define FUNC_LOG_LINE_BYTES 1024u /* longer lines are split */
#define FUNC_LOG_RINGS_MAX  1024u /* functions with a log; then the one silent longest goes */

/* One deployed version of a function. Reference-counted (atomic) and immutable. */
struct func {
	const struct func_manifest *manifest;
	uint64_t version;	   /* 1, 2, … */
	uint8_t module_sha256[32]; /* names the module in the store and its image */
	uint64_t deployed_ns;	   /* wall clock; later than of the versions before */
};
struct func *func_ref(struct func *func);
struct func *func_unref(struct func *func);

struct func_registry;
/*
 * Reads what is deployed. A record that does not decode is logged and left alone, not deleted.
 * Modules that no record names are removed.
 */
int func_registry_open(struct store *store, struct func_registry **ret_registry,
		       struct eos_why *why) EOS_MUST_CHECK;
struct func_registry *func_registry_free(struct func_registry *registry);

/*
 * Deploys a version: MANIFEST_YAML (NAME stands for it in messages: "downsample.yaml") and MODULE
 * are stored and durable on return. The function's name is the manifest's. RET_FUNC (may be NULL)
 * gets a reference. The image must have been built and loaded before: a function that cannot run is
 * not deployed. Blocks on the disk; deploys happen one after the other.
 * -EINVAL: the manifest; -EEXIST: another function has the same HTTP path; -EFBIG: the module;
 * -ENOSPC: FUNC_FUNCTIONS_MAX, or the disk; the store's errors. Nothing has changed then, but that
 * after an error of the store the new version may be there after a restart.
 */
int func_registry_put(struct func_registry *registry, const char *name, const char *manifest_yaml,
		      size_t manifest_len, const void *module, size_t module_len,
		      struct func **ret_func, struct eos_why *why) EOS_MUST_CHECK;
/* Removes a function; its events are dropped when they come up. -ENOENT; the store's errors. */
int func_registry_remove(struct func_registry *registry, const char *name) EOS_MUST_CHECK;
/* A reference, or NULL. */
struct func *func_registry_get(struct func_registry *registry, const char *name);
/* Calls VISIT in order of names with a borrowed func; the registry is locked meanwhile. */
void func_registry_each(struct func_registry *registry, void (*visit)(void *ctx, struct func *func),
			void *ctx);
/*
 * Who has the longest HTTP trigger path that is PATH or an ancestor of it ("/a" of "/a/b")? PATH is
 * decoded, without the query. Returns a reference and *RET_TRIGGER, which lives as long, or NULL.
 */
struct func *func_registry_match_http(struct func_registry *registry, const char *path,
				      const struct func_trigger **ret_trigger);
/* Calls EMIT once for each function that a change of an object triggers. Does not allocate, and
 * waits for nobody who touches the disk: fit for the store's matcher. */
void func_registry_match_object(struct func_registry *registry, const struct store_event *event,
				void (*emit)(void *ctx, const char *function), void *ctx);
/* The module's bytes are appended to BUF, checked against the hash. -ENOENT (a version before the
 * last two), -EBADMSG. */
int func_registry_read_module(struct func_registry *registry, const struct func *func,
			      struct eos_buf *buf) EOS_MUST_CHECK;
/* The manifest as it was deployed, appended to BUF. -ENOENT. */
int func_registry_read_manifest(struct func_registry *registry, const char *name,
				struct eos_buf *buf) EOS_MUST_CHECK;

enum func_outcome {
	FUNC_OK,   /* exit code 0 */
	FUNC_EXIT, /* another exit code */
	FUNC_TRAP, /* text says which */
	FUNC_TIMEOUT,
	FUNC_CELL_LOST,	   /* the cell died under it; may be tried again */
	FUNC_REFUSED,	   /* never started: limit, image gone, shutting down */
	FUNC_OUTPUT_LIMIT, /* over FUNC_OUTPUT_MAX */
};

struct func_call;
typedef void (*func_done_fn)(void *ctx, struct func_call *call);

/* Public because the executor and the triggers work on it; owner: the loop thread. */
struct func_call {
	struct eos_list link; /* the queue's */
	uint64_t id;	      /* unique in this run of the node */
	struct func *func;    /* a reference */
	/* Set by the trigger before func_queue_submit(). */
	struct eos_buf environment; /* "K=V\0" … */
	struct eos_buf input;	    /* standard input */
	struct store_event *event;  /* owned; NULL unless an object caused it: /event/object */
	func_done_fn on_done;	    /* called once; then the queue frees the call */
	void *ctx;
	const struct func_tenant *tenant; /* set by the queue before start(); borrowed */
	/* Set by the executor. */
	enum func_outcome outcome;
	uint32_t exit_code;
	char text[128];	       /* why, for people */
	struct eos_buf output; /* standard output */
	struct eos_buf errors; /* standard error, the tail of it */
	uint64_t submitted_ns, started_ns, ended_ns;
	void *executor_data;
};

/* From a pool; takes a reference of its own to FUNC. -ENOMEM. */
int func_call_new(struct func *func, struct func_call **ret_call) EOS_MUST_CHECK;
/* For a call that was not submitted. */
struct func_call *func_call_free(struct func_call *call);

/* Who runs calls. start() takes a call until func_queue_done(); it never fails: what goes wrong is
 * an outcome, which it may report before it returns. cancel() asks for an early end of a started
 * call; done still comes, perhaps before it returns. */
struct func_executor {
	void (*start)(void *ctx, struct func_call *call);
	void (*cancel)(void *ctx, struct func_call *call);
	void *ctx;
};

struct func_queue;
int func_queue_new(struct func_queue **ret_queue) EOS_MUST_CHECK;
/*
 * TENANTS says how many calls of each tenant may run at once; at most RUNNING_MAX (1 to
 * FUNC_RUNNING_MAX) run of all together. Before the first submit; TENANTS is borrowed until
 * func_queue_free(). Without this: func_tenants_init(), FUNC_RUNNING_MAX.
 */
void func_queue_set_limits(struct func_queue *queue, const struct func_tenants *tenants,
			   unsigned running_max);
/* EXECUTOR is copied. Until there is one, and while it is NULL, calls wait. */
void func_queue_set_executor(struct func_queue *queue, const struct func_executor *executor);
/* Waiting calls end as FUNC_REFUSED. Started ones must be done. */
struct func_queue *func_queue_free(struct func_queue *queue);
/* Takes CALL on success; it may be done already on return. -EAGAIN: FUNC_QUEUE_MAX calls of the
 * function wait already; -ESHUTDOWN: the queue is being freed; -ENOMEM: the caller still owns it.
 */
int func_queue_submit(struct func_queue *queue, struct func_call *call) EOS_MUST_CHECK;
/* The caller of submit is no longer interested: on_done will be called, soon, perhaps before this
 * returns (then the call is gone). A waiting call ends as FUNC_REFUSED. */
void func_queue_cancel(struct func_queue *queue, struct func_call *call);
/* From the executor: the outcome is in CALL. Calls on_done, frees it, starts the next. */
void func_queue_done(struct func_queue *queue, struct func_call *call);

struct func_queue_stats {
	unsigned waiting, running; /* of all functions */
};
void func_queue_stats(const struct func_queue *queue, struct func_queue_stats *ret_stats);

/* A function's own log: the last FUNC_LOG_LINES_MAX lines of standard error (which the executor
 * appends) and of what ended badly (which the triggers append). In memory only. */
struct func_log;
int func_log_new(struct func_log **ret_log) EOS_MUST_CHECK;
struct func_log *func_log_free(struct func_log *log);
/* Adds TEXT's lines; a last one needs no line break. Without memory they are lost. Any thread. */
void func_log_append(struct func_log *log, const char *function, const char *text, size_t len);
/* Appends "TIME LINE\n" … of FUNCTION to BUF, oldest first, with everything that is not printable
 * UTF-8 replaced by '?'. Nothing for an unknown name. Any thread. -ENOMEM. */
int func_log_read(struct func_log *log, const char *function, struct eos_buf *buf) EOS_MUST_CHECK;
