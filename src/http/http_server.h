/*
 * HTTP/1.1 server: an adapter over libmicrohttpd, so that nothing else includes it. Plain requests
 * (http_plain.h) are served without it, which users of this header cannot tell.
 *
 * A server has one handler table. For each request the handler gets begin (headers are there), body
 * (each piece), end (body complete) and, whatever happened, finish. It answers once, from begin or
 * end or later.
 *
 * Two ways of running:
 * - threaded: one thread a connection, with a stack of 256 KiB; handlers may block. The answer must
 *   be there when end returns, else it is 500.
 * - on a loop (base/loop.h): everything on the loop's thread; end may return without an answer, and
 *   http_respond…() is called later from the same thread.
 *
 * With a certificate both ways speak TLS; the idle time bounds the handshake too.
 *
 * Limits: header block 16 KiB (431), body as configured (413), connections and idle time as
 * configured: who connects when there are as many waits in the listening socket's queue. A client
 * that is slower than 256 bytes a second, after twice the idle time, is cut. Malformed requests are
 * answered by the adapter with 400 and never reach a handler.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/loop.h"
#include "base/macros.h"
#include "base/why.h"

struct http_server;
struct http_request;

struct http_handler {
	/* May answer now; then body and end are not called and the rest of the body is dropped. */
	void (*begin)(void *ctx, struct http_request *request);
	/* DATA is borrowed for the call. May answer now (then nothing more is delivered). */
	void (*body)(void *ctx, struct http_request *request, const void *data, size_t len);
	void (*end)(void *ctx, struct http_request *request);
	/* Always last, also when the client left: frees what http_request_set_data() holds. After
	 * it REQUEST is gone and must not be answered. */
	void (*finish)(void *ctx, struct http_request *request);
};

struct http_server_config {
	const char *address; /* "127.0.0.1" or "::1"; NULL: listen_fd is used */
	uint16_t port;	     /* 0: any free one, see http_server_port() */
	/* Taken, and made non-blocking; a listening socket of any family. */
	int listen_fd;
	struct eos_loop *loop; /* borrowed; NULL: threaded */
	unsigned connections_max;
	unsigned idle_timeout_s; /* without a byte from or to the client; 0: for ever */
	uint64_t body_bytes_max;
	/* PEM, both or neither: with them the server speaks TLS (1.2 and 1.3) only. Copied. */
	const char *tls_certificate, *tls_key;
	const struct http_handler *handler; /* borrowed */
	void *ctx;
};

/* -EADDRINUSE and so on; WHY names address and port. */
int http_server_new(const struct http_server_config *config, struct http_server **ret_server,
		    struct eos_why *why) EOS_MUST_CHECK;
uint16_t http_server_port(const struct http_server *server);
/* Stops accepting; requests under way are cut, but handlers that block are waited for. Every finish
 * has been called and every thread has ended on return. */
struct http_server *http_server_free(struct http_server *server);

/* Borrowed until finish. */
const char *http_request_method(const struct http_request *request);
/* The path as sent: percent-encoded, without the query; begins with '/'. */
const char *http_request_path(const struct http_request *request);
/* The query as sent, without '?'; "" if none. */
const char *http_request_query(const struct http_request *request);
/* By name without regard to case; NULL if absent. Of repeated headers the first. */
const char *http_request_header(const struct http_request *request, const char *name);
void http_request_each_header(struct http_request *request,
			      void (*visit)(void *ctx, const char *name, const char *value),
			      void *ctx);
/* "127.0.0.1", or "" for local sockets. */
const char *http_request_client(const struct http_request *request);
/* True when Content-Length was given, with its value. */
bool http_request_content_length(const struct http_request *request, uint64_t *ret_bytes);
void http_request_set_data(struct http_request *request, void *data);
void *http_request_data(const struct http_request *request);
bool http_request_is_answered(const struct http_request *request);
/* Did it come over TLS? */
bool http_request_is_secure(const struct http_request *request);

struct http_header {
	const char *name, *value;
};

/* Adds a header to whatever the answer will be; copied. -ENOMEM. */
int http_request_add_header(struct http_request *request, const char *name,
			    const char *value) EOS_MUST_CHECK;
/* The whole answer; BODY and HEADERS are copied. Content-Length, Date and Connection are the
 * adapter's. Names or values with control characters: the header is dropped. */
void http_respond(struct http_request *request, unsigned status, const struct http_header *headers,
		  size_t headers_count, const void *body, size_t body_len);

/* Reads up to LEN bytes at OFFSET of the body: a count, or negative: the connection is cut. */
typedef int64_t (*http_read_fn)(void *ctx, void *data, size_t len, uint64_t offset);
/* An answer of SIZE bytes that READ delivers, on the connection's thread. FREE_CTX is always called
 * once. */
void http_respond_stream(struct http_request *request, unsigned status,
			 const struct http_header *headers, size_t headers_count, uint64_t size,
			 http_read_fn read, void (*free_ctx)(void *ctx), void *ctx);
