/*
 * Answers to plain requests. Head and body are made into one buffer of the server's and go to the
 * socket at once, from within http_respond(): when a client reads, nearly always that is all. What
 * finds no room is copied, and sent when the socket says that there is some.
 *
 * A stream is read a block at a time, the next one when the last has been sent, and a few blocks a
 * turn, so that a fast reader does not keep the loop.
 */
#include "http/http_direct_priv.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>

#include "base/assert.h"

#define JOINED_BYTES_MAX (32u << 10) /* bodies up to this are copied behind their heads */
#define BLOCK_BYTES	 (128u << 10)
#define BLOCKS_AT_ONCE	 8u
#define SCRATCH_KEPT	 (128u << 10)

void http_outgoing_fini(struct http_outgoing *out)
{
	eos_buf_fini(&out->bytes);
	if (out->read != NULL && out->free_ctx != NULL)
		out->free_ctx(out->ctx);
	*out = (struct http_outgoing){.sent = 0};
}

static void give_up(struct http_direct *direct)
{
	direct->is_broken = true;
	http_direct_make_due(direct);
}

/* The head of the answer, into the server's buffer. */
static void put_head(const struct http_request *request, unsigned status,
		     const struct http_header *headers, size_t headers_count, uint64_t size)
{
	struct http_directs *directs = &request->server->directs;
	if (directs->out.cap > SCRATCH_KEPT)
		eos_buf_fini(&directs->out);
	eos_buf_clear(&directs->out);
	http_head_put(&directs->out, &directs->date, request, status, headers, headers_count, size);
}

/* How much of it went out; -EAGAIN included, which is 0. -EPIPE: the client is gone. */
static int64_t send_some(struct http_direct *direct, const void *data, size_t len)
{
	ssize_t n;
	do
		n = send(direct->connection.fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno != EAGAIN)
		return -EPIPE;
	return n < 0 ? 0 : n;
}

/* Sends DATA, and keeps what finds no room. False: given up. */
static bool send_or_keep(struct http_direct *direct, const char *data, size_t len)
{
	struct eos_buf *bytes = &direct->out.bytes;
	int64_t n = 0;
	if (direct->out.sent == bytes->len)
		n = send_some(direct, data, len);
	if (n < 0 || ((size_t)n < len && eos_buf_append(bytes, data + n, len - (size_t)n) < 0)) {
		give_up(direct);
		return false;
	}
	return true;
}

static bool is_all_sent(const struct http_direct *direct)
{
	const struct http_outgoing *out = &direct->out;
	return out->sent == out->bytes.len && (out->read == NULL || out->offset == out->size);
}

/* Sends what is kept. False: no room for all of it, or given up. */
static bool send_kept(struct http_direct *direct)
{
	struct http_outgoing *out = &direct->out;
	while (out->sent < out->bytes.len) {
		int64_t n =
			send_some(direct, out->bytes.data + out->sent, out->bytes.len - out->sent);
		if (n < 0)
			give_up(direct);
		if (n <= 0)
			return false;
		out->sent += (size_t)n;
	}
	return true;
}

/* The next block of the stream into BYTES. False: given up. */
static bool read_block(struct http_direct *direct)
{
	struct http_outgoing *out = &direct->out;
	size_t len = (size_t)EOS_MIN(out->size - out->offset, (uint64_t)BLOCK_BYTES);
	eos_buf_clear(&out->bytes);
	out->sent = 0;
	int64_t n = eos_buf_reserve(&out->bytes, len);
	if (n == 0)
		n = out->read(out->ctx, out->bytes.data, len, out->offset);
	if (n <= 0 || (uint64_t)n > len) {
		give_up(direct);
		return false;
	}
	out->bytes.len = (size_t)n;
	out->offset += (uint64_t)n;
	return true;
}

void http_direct_send(struct http_direct *direct)
{
	struct http_outgoing *out = &direct->out;
	EOS_ASSERT(direct->state == HTTP_DIRECT_SENDING);
	for (unsigned blocks = 0; send_kept(direct); blocks++) {
		if (is_all_sent(direct)) {
			http_outgoing_fini(out);
			http_direct_move(direct, HTTP_DIRECT_SENT);
			http_direct_make_due(direct);
			return;
		}
		if (blocks == BLOCKS_AT_ONCE) {
			http_direct_make_due(direct);
			return;
		}
		if (!read_block(direct))
			return;
	}
}

static struct http_direct *answer(struct http_request *request)
{
	struct http_direct *direct = request->direct;
	request->is_answered = true;
	http_direct_move(direct, HTTP_DIRECT_SENDING);
	return direct;
}

/* From now on it depends on the client. The turn may have begun long before this answer. */
static void wait_for_client(struct http_direct *direct, uint64_t bytes)
{
	http_connection_enter(&direct->connection, HTTP_PHASE_ANSWER, bytes);
}

void http_direct_respond(struct http_request *request, unsigned status,
			 const struct http_header *headers, size_t headers_count, const void *body,
			 size_t body_len)
{
	struct http_direct *direct = answer(request);
	struct http_directs *directs = &request->server->directs;
	bool has_body = body_len > 0 && !direct->plain.is_head && http_status_has_body(status);
	bool is_joined = has_body && body_len <= JOINED_BYTES_MAX;
	put_head(request, status, headers, headers_count, body_len);
	if (is_joined)
		eos_buf_append(&directs->out, body, body_len);
	if (eos_buf_failed(&directs->out)) {
		give_up(direct);
		return;
	}
	bool is_good = send_or_keep(direct, directs->out.data, directs->out.len);
	if (is_good && has_body && !is_joined)
		is_good = send_or_keep(direct, body, body_len);
	if (is_good && is_all_sent(direct)) {
		http_direct_move(direct, HTTP_DIRECT_SENT);
		http_direct_make_due(direct);
	} else {
		wait_for_client(direct, body_len);
	}
}

void http_direct_respond_stream(struct http_request *request, unsigned status,
				const struct http_header *headers, size_t headers_count,
				uint64_t size, http_read_fn read, void (*free_ctx)(void *ctx),
				void *ctx)
{
	struct http_direct *direct = answer(request);
	struct http_directs *directs = &request->server->directs;
	bool has_body = size > 0 && !direct->plain.is_head && http_status_has_body(status);
	wait_for_client(direct, size);
	direct->out.read = read;
	direct->out.free_ctx = free_ctx;
	direct->out.ctx = ctx;
	direct->out.offset = 0;
	direct->out.size = has_body ? size : 0;
	put_head(request, status, headers, headers_count, size);
	if (eos_buf_failed(&directs->out))
		give_up(direct);
	else if (send_or_keep(direct, directs->out.data, directs->out.len))
		http_direct_make_due(direct); /* the body, in its turns */
}
