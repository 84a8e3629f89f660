/*
 * Inside of the control server: a request under way, and the table of what answers it.
 */
#pragma once

#include "base/node.h"
#include "ctl/ctl_server.h"

struct ctl_upkeep;

struct ctl_server {
	struct ctl_config config;
	struct http_server *http;
	struct ctl_upkeep *upkeep;
};

struct ctl_request {
	struct ctl_server *server; /* borrowed */
	struct http_request *http; /* borrowed */
	const struct ctl_route *route;
	char *name; /* owned; the decoded first component behind the collection, or NULL */
	char *rest; /* owned; what follows it (an object's key, "logs"), or NULL; may hold any byte
		       but NUL */
	size_t rest_len;
	struct eos_buf body;
	struct store_upload *upload; /* an object on its way in */
	uint64_t uploaded;
	int upload_err;
};

struct ctl_route {
	const char *method;
	const char *collection; /* "functions" */
	bool has_name;
	const char *rest; /* NULL: none; "*": any; else exactly this */
	size_t body_max;
	/* The body is complete (in request->body) or there is none. Answers. */
	void (*run)(struct ctl_request *request);
	/* Streaming instead of request->body; may be NULL. */
	void (*begin)(struct ctl_request *request);
	void (*data)(struct ctl_request *request, const void *data, size_t len);
};

extern const struct ctl_route ctl_function_routes[];
extern const struct ctl_route ctl_object_routes[];
extern const struct ctl_route ctl_bucket_routes[];
extern const struct ctl_route ctl_store_routes[];
extern const struct ctl_route ctl_tenant_routes[];
extern const struct ctl_route ctl_chain_routes[];
extern const struct ctl_route ctl_status_routes[]; /* each ends with a NULL method */

/* Answers. ERR is a negative errno that becomes a status; TEXT is for people. */
void ctl_answer_json(struct ctl_request *request, unsigned status, const struct eos_buf *json);
void ctl_answer_error(struct ctl_request *request, int err, const char *fmt, ...) EOS_PRINTF(3, 4);
void ctl_answer_empty(struct ctl_request *request);

/* ERR of a function of the store, about the bucket that the request names. */
void ctl_answer_bucket_error(struct ctl_request *request, int err);
/* False for the node's own buckets, whose names begin with a dot: nobody reaches them from here. */
bool ctl_bucket_is_reachable(const char *bucket);

/* The request's body as JSON; NAME stands in messages for it. As eos_doc_parse_json(). */
int ctl_parse_body(const struct ctl_request *request, const char *name, struct eos_doc **ret_doc,
		   struct eos_why *why) EOS_MUST_CHECK;
/* The decoded value of a parameter in the query, owned by the caller; NULL when it is not there,
 * badly encoded or has a NUL inside. */
char *ctl_query_get(const struct ctl_request *request, const char *parameter);
