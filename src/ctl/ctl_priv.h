/*
 * Inside of the control server: a request under way, and the table of what answers it.
 */
#pragma once

#include "ctl/ctl_server.h"

struct ctl_server {
	struct ctl_config config;
	struct http_server *http;
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
extern const struct ctl_route ctl_tenant_routes[];
extern const struct ctl_route ctl_status_routes[]; /* each ends with a NULL method */

/* Answers. ERR is a negative errno that becomes a status; TEXT is for people. */
void ctl_answer_json(struct ctl_request *request, unsigned status, const struct eos_buf *json);
void ctl_answer_error(struct ctl_request *request, int err, const char *fmt, ...) EOS_PRINTF(3, 4);
void ctl_answer_empty(struct ctl_request *request);

/* The decoded value of a parameter in the query, owned by the caller; NULL when it is not there,
 * badly encoded or has a NUL inside. */
char *ctl_query_get(const struct ctl_request *request, const char *parameter);
