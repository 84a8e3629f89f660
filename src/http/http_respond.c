/*
 * Answers. A response is made at once and kept in the request; libmicrohttpd takes it only when it
 * has read the request's body (it would otherwise close the connection, and the reset would take
 * the answer away from a client that still writes), so http_server.c queues it when the time has
 * come.
 */
#include "http/http_server_priv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "http/http_chars.h"

struct stream {
	http_read_fn read;
	void (*free_ctx)(void *ctx);
	void *ctx;
	struct http_server *server; /* borrowed */
};

#define STREAM_BLOCK_BYTES (128u << 10)

static ssize_t stream_read(void *cls, uint64_t pos, char *data, size_t max)
{
	struct stream *stream = cls;
	http_loop_note_progress(stream->server);
	int64_t n = stream->read(stream->ctx, data, max, pos);
	if (n <= 0)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	return (ssize_t)n;
}

static void stream_free(void *cls)
{
	struct stream *stream = cls;
	if (stream->free_ctx != NULL)
		stream->free_ctx(stream->ctx);
	free(stream);
}

static bool is_ours(const char *name)
{
	switch (name[0] | 0x20) {
	case 'c':
		return strcasecmp(name, "content-length") == 0 ||
		       strcasecmp(name, "connection") == 0;
	case 'd':
		return strcasecmp(name, "date") == 0;
	case 't':
		return strcasecmp(name, "transfer-encoding") == 0;
	default:
		return false;
	}
}

bool http_header_measure(const struct http_header *header, size_t *ret_name_len,
			 size_t *ret_value_len)
{
	const char *name_end = http_skip(header->name, HTTP_TOKEN);
	const char *value_end = http_skip(header->value, HTTP_VALUE);
	*ret_name_len = (size_t)(name_end - header->name);
	*ret_value_len = (size_t)(value_end - header->value);
	return *name_end == '\0' && *value_end == '\0' && *ret_name_len > 0 && *ret_value_len > 0 &&
	       !is_ours(header->name);
}

bool http_next_added_header(const struct http_request *request, size_t *offset,
			    struct http_header *ret_header)
{
	if (*offset >= request->headers.len)
		return false;
	ret_header->name = request->headers.data + *offset;
	ret_header->value = ret_header->name + strlen(ret_header->name) + 1;
	*offset =
		(size_t)(ret_header->value - request->headers.data) + strlen(ret_header->value) + 1;
	return true;
}

static void add_header(struct MHD_Response *response, const struct http_header *header)
{
	size_t name_len, value_len;
	if (http_header_measure(header, &name_len, &value_len))
		(void)MHD_add_response_header(response, header->name, header->value);
}

/* HEADERS, and what http_request_add_header() gathered. */
static void add_headers(const struct http_request *request, struct MHD_Response *response,
			const struct http_header *headers, size_t count)
{
	struct http_header added;
	size_t offset = 0;
	for (size_t i = 0; i < count; i++)
		add_header(response, &headers[i]);
	while (http_next_added_header(request, &offset, &added))
		add_header(response, &added);
}

/* RESPONSE may be NULL: out of memory, then the connection will be cut. */
static void answer(struct http_request *request, unsigned status, struct MHD_Response *response,
		   uint64_t bytes)
{
	request->is_answered = true;
	request->response = response;
	request->status = status;
	request->response_bytes = bytes;
	if (request->is_suspended)
		http_loop_resume(request);
}

void http_respond(struct http_request *request, unsigned status, const struct http_header *headers,
		  size_t headers_count, const void *body, size_t body_len)
{
	EOS_ASSERT(!request->is_answered);
	if (request->direct != NULL) {
		http_direct_respond(request, status, headers, headers_count, body, body_len);
		return;
	}
	if (request->thread != NULL) {
		http_thread_respond(request, status, headers, headers_count, body, body_len);
		return;
	}
	/* The library's parameter lacks a const; with MUST_COPY it does not write. */
	struct MHD_Response *response = MHD_create_response_from_buffer(
		body_len, (void *)(uintptr_t)body,
		body_len > 0 ? MHD_RESPMEM_MUST_COPY : MHD_RESPMEM_PERSISTENT);
	if (response != NULL)
		add_headers(request, response, headers, headers_count);
	answer(request, status, response, body_len);
}

void http_respond_stream(struct http_request *request, unsigned status,
			 const struct http_header *headers, size_t headers_count, uint64_t size,
			 http_read_fn read, void (*free_ctx)(void *ctx), void *ctx)
{
	EOS_ASSERT(!request->is_answered);
	if (request->direct != NULL) {
		http_direct_respond_stream(request, status, headers, headers_count, size, read,
					   free_ctx, ctx);
		return;
	}
	if (request->thread != NULL) {
		http_thread_respond_stream(request, status, headers, headers_count, size, read,
					   free_ctx, ctx);
		return;
	}
	struct stream *stream = malloc(sizeof(*stream));
	struct MHD_Response *response = NULL;
	if (stream != NULL) {
		*stream = (struct stream){
			.read = read,
			.free_ctx = free_ctx,
			.ctx = ctx,
			.server = request->server,
		};
		size_t block = size < STREAM_BLOCK_BYTES ? (size_t)size + 1 : STREAM_BLOCK_BYTES;
		response = MHD_create_response_from_callback(size, block, stream_read, stream,
							     stream_free);
		if (response == NULL)
			stream_free(stream);
	} else if (free_ctx != NULL) {
		free_ctx(ctx);
	}
	if (response != NULL)
		add_headers(request, response, headers, headers_count);
	answer(request, status, response, size);
}

void http_respond_text(struct http_request *request, unsigned status)
{
	char body[64];
	static const struct http_header headers[] = {{"Content-Type", "text/plain"}};
	int n = snprintf(body, sizeof(body), "%u %s\n", status, MHD_get_reason_phrase_for(status));
	http_respond(request, status, headers, EOS_ARRAY_SIZE(headers), body, (size_t)n);
}

enum MHD_Result http_request_queue(struct http_request *request)
{
	EOS_ASSERT(request->is_answered && !request->is_queued);
	request->is_queued = true;
	if (request->response == NULL)
		return MHD_NO;
	http_connection_enter(request->connection, HTTP_PHASE_ANSWER, request->response_bytes);
	return MHD_queue_response(request->mhd, request->status, request->response);
}
