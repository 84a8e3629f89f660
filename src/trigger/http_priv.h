/*
 * An exchange: one HTTP request that is for a function, from its headers to its answer.
 *
 * It is reached from two sides, the request (through the trigger's table) and the call (its ctx),
 * and goes when both are gone: a client that leaves takes the request away, on_done the call.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "trigger/trigger.h"

#define TRIGGER_EXCHANGE_BUCKETS 1024u

struct trigger_exchange {
	struct trigger_exchange *next; /* in its bucket, or in the pool */
	struct trigger_http *trigger;
	struct http_request *request; /* NULL: the client left */
	struct func *func;	      /* a reference; NULL: answered without a function */
	struct func_call *call;	      /* ours until is_submitted, then borrowed until on_done */
	bool is_submitted, was_retried;
	bool is_invoke; /* Lambda's invocation, not WAGI */
	unsigned methods;
	uint64_t body_bytes; /* counted in the trigger's sum */
	char route[FUNC_PATH_MAX + 1];
	struct eos_buf path_info;
};

struct trigger_http {
	struct func_registry *registry;
	struct func_queue *queue;
	struct func_log *log;
	const struct http_handler *fallback;
	void *fallback_ctx;
	unsigned exchanges_count;
	uint64_t body_bytes; /* of all exchanges */
	struct eos_buf path; /* scratch: the decoded path */
	struct trigger_exchange *pool;
	unsigned pool_count;
	struct trigger_exchange *exchanges[TRIGGER_EXCHANGE_BUCKETS]; /* by request */
};

/* Answers with a line of plain text; HEADER may be NULL. The exchange may be gone afterwards. */
void trigger_exchange_respond(struct trigger_exchange *exchange, unsigned status,
			      const struct http_header *header, const char *text);
/* Appends a line to the function's log: what was asked and FMT. */
void trigger_exchange_log(struct trigger_exchange *exchange, const char *fmt, ...) EOS_PRINTF(2, 3);

/* Is PATH (decoded) Lambda's path of a function? Its name is put into NAME. */
bool trigger_invoke_parse_path(const char *path, char name[FUNC_NAME_MAX + 1]);
/* Checks method and headers of an invocation. True: it was answered. */
bool trigger_invoke_refuse(struct trigger_exchange *exchange);
/* The answer to an invocation whose call has ended. */
void trigger_invoke_answer(struct trigger_exchange *exchange, struct func_call *call);
/* An error as Lambda words it. */
void trigger_invoke_fail(struct trigger_exchange *exchange, unsigned status, const char *type,
			 const char *message);
