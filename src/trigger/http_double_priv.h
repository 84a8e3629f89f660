/*
 * A double of the HTTP server for tests: requests are structs that the test makes, and answers are
 * kept in them.
 */
#pragma once

#include "http/http_server.h"

struct http_request {
	const char *method, *path, *query, *client;
	struct http_header headers[400];
	size_t headers_count;
	void *data;
	bool is_answered;
	unsigned status;
	char answer_headers[4096]; /* "Name: value\n" … */
	char body[8192];
	size_t body_len;
};
