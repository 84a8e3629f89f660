/*
 * Answers of threaded mode without libmicrohttpd. http_respond() makes the head, with a whole body
 * behind it; when the request is at its end all of that is one send. A stream is read and sent a
 * block at a time.
 */
#include "http/http_threaded_priv.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

#define KEPT_BYTES_MAX (64u << 10) /* of the buffer, from one answer to the next */

void http_thread_send(struct http_thread *thread, const void *data, size_t len, bool has_more)
{
	const char *at = data;
	while (len > 0 && !thread->is_broken) {
		ssize_t n = send(thread->connection.fd, at, len,
				 MSG_NOSIGNAL | (has_more ? MSG_MORE : 0));
		if (n < 0 && errno == EINTR)
			continue;
		/* EAGAIN: for the whole idle time nothing could be sent. */
		if (n <= 0) {
			thread->is_broken = true;
			return;
		}
		at += n;
		len -= (size_t)n;
	}
}

static void send_stream(struct http_thread *thread)
{
	size_t block = (size_t)EOS_MIN(thread->size, (uint64_t)HTTP_STREAM_BYTES);
	char *data = malloc(block);
	if (data == NULL)
		thread->is_broken = true;
	for (uint64_t offset = 0; !thread->is_broken && offset < thread->size;) {
		size_t len = (size_t)EOS_MIN(thread->size - offset, (uint64_t)block);
		int64_t n = thread->read(thread->ctx, data, len, offset);
		/* All that can be said in the midst of a body is that it ends here. */
		if (n <= 0 || (uint64_t)n > len) {
			thread->is_broken = true;
			break;
		}
		offset += (uint64_t)n;
		http_thread_send(thread, data, (size_t)n, offset < thread->size);
	}
	free(data);
}

void http_thread_send_answer(struct http_thread *thread)
{
	bool has_stream = thread->read != NULL && thread->size > 0;
	http_connection_enter(&thread->connection, HTTP_PHASE_ANSWER,
			      thread->connection.request.response_bytes);
	http_thread_send(thread, thread->out.data, thread->out.len, has_stream);
	if (has_stream)
		send_stream(thread);
}

void http_thread_forget_answer(struct http_thread *thread)
{
	if (thread->read != NULL && thread->free_ctx != NULL)
		thread->free_ctx(thread->ctx);
	thread->read = NULL;
	if (thread->out.cap > KEPT_BYTES_MAX)
		eos_buf_fini(&thread->out);
	eos_buf_clear(&thread->out);
}

/* Does the client have to read an answer before it has sent all? Then nothing can follow. */
static bool ends_connection(const struct http_thread *thread)
{
	bool is_waiting = thread->plain.expects_continue && !thread->is_reading;
	return is_waiting || thread->body_left > HTTP_DRAIN_BYTES_MAX;
}

static void put_head(struct http_thread *thread, unsigned status, const struct http_header *headers,
		     size_t headers_count, uint64_t size)
{
	struct http_request *request = &thread->connection.request;
	request->is_answered = true;
	request->response_bytes = size;
	request->closes = ends_connection(thread);
	http_head_put(&thread->out, &thread->date, request, status, headers, headers_count, size);
}

static bool sends_body(const struct http_thread *thread, unsigned status)
{
	return !thread->plain.is_head && http_status_has_body(status);
}

void http_thread_respond(struct http_request *request, unsigned status,
			 const struct http_header *headers, size_t headers_count, const void *body,
			 size_t body_len)
{
	struct http_thread *thread = request->thread;
	put_head(thread, status, headers, headers_count, body_len);
	if (body_len > 0 && sends_body(thread, status))
		eos_buf_append(&thread->out, body, body_len);
	if (eos_buf_failed(&thread->out))
		thread->is_broken = true;
}

void http_thread_respond_stream(struct http_request *request, unsigned status,
				const struct http_header *headers, size_t headers_count,
				uint64_t size, http_read_fn read, void (*free_ctx)(void *ctx),
				void *ctx)
{
	struct http_thread *thread = request->thread;
	put_head(thread, status, headers, headers_count, size);
	thread->read = read;
	thread->free_ctx = free_ctx;
	thread->ctx = ctx;
	thread->size = sends_body(thread, status) ? size : 0;
	if (eos_buf_failed(&thread->out))
		thread->is_broken = true;
}
