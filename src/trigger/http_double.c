#include "trigger/http_double_priv.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

const char *http_request_method(const struct http_request *request)
{
	return request->method;
}

const char *http_request_path(const struct http_request *request)
{
	return request->path;
}

const char *http_request_query(const struct http_request *request)
{
	return request->query == NULL ? "" : request->query;
}

const char *http_request_header(const struct http_request *request, const char *name)
{
	for (size_t i = 0; i < request->headers_count; i++) {
		if (strcasecmp(request->headers[i].name, name) == 0)
			return request->headers[i].value;
	}
	return NULL;
}

void http_request_each_header(struct http_request *request,
			      void (*visit)(void *ctx, const char *name, const char *value),
			      void *ctx)
{
	for (size_t i = 0; i < request->headers_count; i++)
		visit(ctx, request->headers[i].name, request->headers[i].value);
}

const char *http_request_client(const struct http_request *request)
{
	return "192.0.2.7";
}

bool http_request_content_length(const struct http_request *request, uint64_t *ret_bytes)
{
	const char *value = http_request_header(request, "content-length");
	if (value != NULL)
		*ret_bytes = strtoull(value, NULL, 10);
	return value != NULL;
}

void http_request_set_data(struct http_request *request, void *data)
{
	request->data = data;
}

void *http_request_data(const struct http_request *request)
{
	return request->data;
}

bool http_request_is_answered(const struct http_request *request)
{
	return request->is_answered;
}

void http_respond(struct http_request *request, unsigned status, const struct http_header *headers,
		  size_t headers_count, const void *body, size_t body_len)
{
	if (request->is_answered || body_len >= sizeof(request->body))
		abort(); /* answered twice, or more than a test writes */
	request->is_answered = true;
	request->status = status;
	for (size_t i = 0; i < headers_count; i++) {
		size_t n = strlen(request->answer_headers);
		snprintf(request->answer_headers + n, sizeof(request->answer_headers) - n,
			 "%s: %s\n", headers[i].name, headers[i].value);
	}
	if (body_len > 0)
		memcpy(request->body, body, body_len);
	request->body_len = body_len;
}
