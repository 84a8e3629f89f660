/*
 * HTTP client: a thin adapter over libcurl, so that nothing else includes it. Blocking; one
 * request a call; any thread.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/macros.h"
#include "base/why.h"

struct http_client_request {
	const char *method;
	const char *url;	    /* "http://localhost/api/v1/status" */
	const char *unix_socket;    /* path of a local socket to connect to, or NULL */
	const char *const *headers; /* "Name: value", ended by NULL; may be NULL */
	/* The body: BODY and BODY_LEN, or READ (a count, 0 at the end, negative: cancel) with
	 * BODY_LEN bytes in all. */
	const void *body;
	uint64_t body_len;
	int64_t (*read)(void *ctx, void *data, size_t len);
	/* Receives the answer's body if its status is 2xx; a negative result cancels. NULL: kept in
	 * response->body. */
	int (*write)(void *ctx, const void *data, size_t len);
	void *ctx;
	unsigned timeout_s;	   /* for the whole; 0: none */
	size_t response_bytes_max; /* for response->body; 0: 16 MiB */
};

struct http_client_response {
	unsigned status;
	struct eos_buf body; /* the caller calls eos_buf_fini() */
};

/* 0 for any HTTP status. -ECONNREFUSED, -ETIMEDOUT, -ECANCELED, -EPROTO; WHY says what. */
int http_client_perform(const struct http_client_request *request,
			struct http_client_response *ret_response,
			struct eos_why *why) EOS_MUST_CHECK;
