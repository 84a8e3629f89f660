/*
 * WAGI: a request as CGI variables, and a function's output as an answer. Both are plain
 * transformations of bytes; http.c knows about calls and connections.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/macros.h"
#include "base/why.h"
#include "func/func.h"
#include "http/http_server.h"

#define WAGI_HEADERS_MAX       64u
#define WAGI_HEADER_BYTES_MAX  16384u
#define WAGI_REQUEST_LINES_MAX 256u

struct wagi_request {
	struct http_request *request;
	const struct func *func;
	const char *route;     /* "/downsample" or "/f/NAME": SCRIPT_NAME */
	const char *path_info; /* decoded, what is behind the route; "" or "/…" */
	size_t body_len;
};

/* Appends the CGI variables and the function's config ("K=V\0" …) to ENVIRONMENT. -E2BIG: more than
 * WAGI_REQUEST_LINES_MAX header lines; -ENOMEM. */
int wagi_build_environment(const struct wagi_request *wagi,
			   struct eos_buf *environment) EOS_MUST_CHECK;
/* The function's config alone. */
int wagi_add_config(const struct func *func, struct eos_buf *environment) EOS_MUST_CHECK;

struct wagi_response {
	unsigned status; /* 200 to 599 */
	size_t headers_count;
	struct http_header
		headers[WAGI_HEADERS_MAX]; /* names are tokens, values have no controls */
	const char *body;
	size_t body_len;
};

/*
 * Takes OUTPUT apart in place: OUTPUT[LEN] must be writable, and RET_RESPONSE points into it.
 * Framing headers (Content-Length, Connection, …) are left out: they are the server's.
 * -EINVAL: it is not an answer, and WHY says what is wrong, for the function's author.
 */
int wagi_parse_response(char *output, size_t len, struct wagi_response *ret_response,
			struct eos_why *why) EOS_MUST_CHECK;
