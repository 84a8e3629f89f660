/*
 * What makes functions run: HTTP requests and changes of objects.
 *
 * HTTP is WAGI: the request becomes CGI variables (RFC 3875) and standard input; the function's
 * standard output is header lines, an empty line, and the body. A path is matched by the longest
 * trigger path; /f/NAME always reaches the function NAME, and so does Lambda's
 * POST /2015-03-31/functions/NAME/invocations, with the body as the event and the output as the
 * answer. What is no function's goes to a fallback handler.
 *
 * Object events come from the store's outbox. They are delivered at least once: a call that fails
 * is tried again with back-off, and after `retry.attempts` the event goes to the dead-letter
 * bucket (made if it is not there), if the manifest names one, and is dropped. Whom they go to is
 * said by the manifests' triggers and by further rules, the buckets' notification configurations.
 *
 * Threads: made, used and freed on the loop thread. The matcher that trigger_object installs in the
 * store runs anywhere; its acknowledgements, which block on the disk, have threads of their own.
 *
 * Order of the end: the http_server is freed, the executor is gone (what ran is done), then the
 * triggers and the queue, then the loop, the registry, the log and the store.
 */
#pragma once

#include "base/loop.h"
#include "base/macros.h"
#include "func/func.h"
#include "http/http_server.h"
#include "store/store.h"

#define TRIGGER_HTTP_BODY_MAX (8u << 20) /* 413 beyond */

struct trigger_http;
/* The handler for a loop-driven http_server; ctx is the trigger_http. */
extern const struct http_handler trigger_http_handler;
/* FALLBACK (borrowed; NULL: 404) gets, with FALLBACK_CTX, all callbacks of the requests for paths
 * that belong to no function. Badly encoded paths are answered with 400 before. */
int trigger_http_new(struct func_registry *registry, struct func_queue *queue, struct func_log *log,
		     const struct http_handler *fallback, void *fallback_ctx,
		     struct trigger_http **ret_trigger) EOS_MUST_CHECK;
/* The server must be gone, and calls under way must be done. */
struct trigger_http *trigger_http_free(struct trigger_http *trigger);

/*
 * Rules beside those of manifests: MATCH is a store's matcher (store.h) that names a function and
 * the rule's id, at most once for an event. What it names is delivered only where
 * func_manifest_check_rule() lets it, and no second time to a function whose manifest asks for the
 * same event. Any thread.
 */
struct trigger_rules {
	store_matcher_fn match;
	void *ctx;
};

struct trigger_object;
/* Installs the store's matcher and begins to deliver what is in the outbox. RULES (NULL: none) is
 * copied; what it names must live as long as the trigger. */
int trigger_object_new(struct eos_loop *loop, struct store *store, struct func_registry *registry,
		       struct func_queue *queue, struct func_log *log,
		       const struct trigger_rules *rules,
		       struct trigger_object **ret_trigger) EOS_MUST_CHECK;
/* Calls that run must be done; those that wait are cancelled. Finishes what is to be acknowledged.
 */
struct trigger_object *trigger_object_free(struct trigger_object *trigger);

/* The S3 notification record of EVENT (eventVersion 2.1) as one JSON document, appended to BUF.
 * -ENOMEM. */
int trigger_event_to_json(const struct store_event *event, struct eos_buf *buf) EOS_MUST_CHECK;
