/*
 * Endpoints for TCP on sockets of the kernel.
 *
 * A connection is a place in a table of fixed size. What comes is given to its function in pieces
 * as they were received; what the function answers goes out at once, and what the socket does not
 * take waits here, up to PLANE_STREAM_OUT; while much waits, nothing more is read, so that who asks
 * and does not listen stops himself.
 *
 * Invariants
 * 1. A connection is closed by finish() alone, which is called between two deliveries: inside of
 *    chains_deliver() it is only marked (is_closing, is_broken).
 * 2. Its descriptor is in the epoll set with EVENTS, as long as it is open.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/file.h"
#include "base/macros.h"
#include "plane/plane_address.h"
#include "plane/plane_priv.h"

#define ACCEPTS_MAX 16

static void on_ready(struct plane *plane, struct plane_watch *watch, uint32_t events,
		     uint64_t now_ns);

int plane_streams_init(struct plane *plane)
{
	struct plane_streams *streams = &plane->streams;
	eos_list_init(&streams->free);
	eos_list_init(&streams->used);
	streams->all = calloc(plane->config.streams_max, sizeof(*streams->all));
	if (streams->all == NULL)
		return -ENOMEM;
	streams->count = plane->config.streams_max;
	for (uint32_t i = 0; i < streams->count; i++) {
		streams->all[i].fd = -1;
		eos_list_add_tail(&streams->free, &streams->all[i].node);
	}
	return 0;
}

static size_t waiting_of(const struct plane_stream *stream)
{
	return stream->out.len - stream->sent;
}

static void finish(struct plane_stream *stream)
{
	struct plane_streams *streams = &stream->plane->streams;
	streams->waiting_bytes -= waiting_of(stream);
	eos_buf_fini(&stream->out);
	/* Closing takes it out of the epoll set. */
	stream->fd = eos_close(stream->fd);
	stream->number = 0;
	stream->sent = 0;
	eos_list_remove(&stream->node);
	eos_list_add_tail(&streams->free, &stream->node);
}

void plane_streams_fini(struct plane *plane)
{
	if (plane->streams.all == NULL)
		return;
	EOS_LIST_FOR_EACH (node, &plane->streams.used)
		finish(EOS_CONTAINER_OF(node, struct plane_stream, node));
	free(plane->streams.all);
	plane->streams.all = NULL;
}

static void set_events(struct plane_stream *stream)
{
	bool may_read =
		!stream->is_ended && !stream->is_closing && waiting_of(stream) < PLANE_STREAM_PAUSE;
	uint32_t events = (may_read ? EPOLLIN : 0) | (waiting_of(stream) > 0 ? EPOLLOUT : 0);
	struct epoll_event event = {.events = events, .data.ptr = &stream->watch};
	if (events == stream->events)
		return;
	if (epoll_ctl(stream->plane->epoll_fd, EPOLL_CTL_MOD, stream->fd, &event) < 0)
		stream->is_broken = true;
	stream->events = events;
}

/* Sends what waits, as far as the socket takes it. */
static void push_out(struct plane_stream *stream)
{
	while (!stream->is_broken && waiting_of(stream) > 0) {
		ssize_t n = send(stream->fd, stream->out.data + stream->sent, waiting_of(stream),
				 MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n <= 0) {
			stream->is_broken = true;
			break;
		}
		stream->sent += (size_t)n;
		stream->plane->streams.waiting_bytes -= (size_t)n;
	}
	if (waiting_of(stream) == 0) {
		stream->sent = 0;
		eos_buf_clear(&stream->out);
	} else if (stream->sent > PLANE_STREAM_PAUSE) {
		eos_buf_consume(&stream->out, stream->sent);
		stream->sent = 0;
	}
}

/* What is due for it between two deliveries; it may be gone afterwards. */
static void settle(struct plane_stream *stream)
{
	push_out(stream);
	bool is_over = (stream->is_closing || stream->is_ended) && waiting_of(stream) == 0;
	if (!stream->is_broken && !is_over)
		set_events(stream);
	if (stream->is_broken || is_over)
		finish(stream);
}

static void deliver(struct plane_stream *stream, size_t len, uint64_t now_ns)
{
	struct plane *plane = stream->plane;
	struct chain_packet packet = {
		.data = plane->streams.chunk,
		.len = (uint32_t)len,
		.kind = CHAIN_STREAM,
		.side = CHAIN_CLIENT,
		.flags = CHAIN_CHECKSUM_GOOD | (stream->was_seen ? 0 : CHAIN_FIRST) |
			 (len == 0 ? CHAIN_LAST : 0),
		.template = stream->entry->template,
		.peer = stream->number,
		.peer_port = stream->port,
		.local_port = stream->local_port,
	};
	memcpy(packet.peer_address, stream->address, sizeof(packet.peer_address));
	stream->was_seen = true;
	chains_deliver(plane->chains, &packet, 1, now_ns);
}

static void on_ready(struct plane *plane, struct plane_watch *watch, uint32_t events,
		     uint64_t now_ns)
{
	struct plane_stream *stream = EOS_CONTAINER_OF(watch, struct plane_stream, watch);
	/* Closed by what came before it in the same look at the epoll set. */
	if (stream->fd < 0)
		return;
	if ((events & EPOLLERR) != 0)
		stream->is_broken = true;
	size_t room = EOS_MIN(sizeof(plane->streams.chunk),
			      (size_t)chain_template_packet_max(stream->entry->template));
	/* Some pieces, so that one who sends much lets others have their turn. */
	for (unsigned i = 0; i < PLANE_BURST && !stream->is_broken && !stream->is_ended &&
			     !stream->is_closing && waiting_of(stream) < PLANE_STREAM_PAUSE;
	     i++) {
		ssize_t n = recv(stream->fd, plane->streams.chunk, room, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
			break;
		if (n < 0) {
			stream->is_broken = true;
			break;
		}
		stream->is_ended = n == 0;
		deliver(stream, (size_t)n, now_ns);
		if ((size_t)n < room && n > 0)
			break;
	}
	settle(stream);
}

static struct plane_stream *take_place(struct plane_streams *streams)
{
	struct eos_list *node = eos_list_take(&streams->free);
	if (node == NULL)
		return NULL;
	struct plane_stream *stream = EOS_CONTAINER_OF(node, struct plane_stream, node);
	eos_list_add_tail(&streams->used, node);
	uint32_t generations = UINT32_MAX / streams->count - 1;
	streams->generation = streams->generation % generations + 1;
	stream->number = streams->generation * streams->count + (uint32_t)(stream - streams->all);
	return stream;
}

static void open_stream(struct plane *plane, struct plane_socket *socket, int fd,
			const struct sockaddr_storage *from)
{
	const int on = 1;
	struct plane_stream *stream = take_place(&plane->streams);
	if (stream == NULL) {
		plane->stats.streams_refused++;
		eos_close(fd);
		return;
	}
	struct eos_list node = stream->node;
	uint32_t number = stream->number;
	*stream = (struct plane_stream){
		.watch.ready = on_ready,
		.node = node,
		.plane = plane,
		.entry = socket->entry,
		.fd = fd,
		.number = number,
		.local_port = socket->port,
		.events = EPOLLIN,
	};
	/* Answers are whole: nothing is won by waiting for more. Who vanished is found in time. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	if (!plane_address_from_kernel(from, stream->address, &stream->port) ||
	    plane_watch(plane, fd, &stream->watch, EPOLLIN) < 0)
		finish(stream);
}

void plane_streams_accept(struct plane *plane, struct plane_watch *watch, uint32_t events,
			  uint64_t now_ns)
{
	struct plane_socket *socket = EOS_CONTAINER_OF(watch, struct plane_socket, watch);
	(void)events;
	(void)now_ns;
	for (unsigned i = 0; i < ACCEPTS_MAX; i++) {
		struct sockaddr_storage from = {0};
		socklen_t len = sizeof(from);
		int fd = accept4(socket->fd, (struct sockaddr *)&from, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		open_stream(plane, socket, fd, &from);
	}
}

static struct plane_stream *find(struct plane *plane, const struct chain_output *output)
{
	struct plane_streams *streams = &plane->streams;
	struct plane_stream *stream = &streams->all[output->peer % streams->count];
	if (output->peer == 0 || stream->number != output->peer ||
	    !plane_may_send(output, stream->entry, &stream->owner))
		return NULL;
	return stream;
}

int plane_streams_send(struct plane *plane, const struct chain_output *output)
{
	struct plane_stream *stream = find(plane, output);
	if (stream == NULL || stream->is_closing || stream->is_broken)
		return -EBADF;
	struct plane_streams *streams = &plane->streams;
	if (waiting_of(stream) + output->len > PLANE_STREAM_OUT ||
	    streams->waiting_bytes + output->len > PLANE_STREAMS_BYTES ||
	    eos_buf_append(&stream->out, output->data, output->len) < 0) {
		plane->stats.streams_full++;
		return -EAGAIN;
	}
	streams->waiting_bytes += output->len;
	/* An answer to others than who is being served, from a timer: the socket says when. */
	if (stream->events == EPOLLIN)
		set_events(stream);
	return 0;
}

int plane_streams_close(struct plane *plane, const struct chain_output *output)
{
	struct plane_stream *stream = find(plane, output);
	if (stream == NULL)
		return -EBADF;
	stream->is_closing = true;
	/* Ready at once, as its socket has room, or as soon as it has. */
	struct epoll_event event = {.events = EPOLLOUT, .data.ptr = &stream->watch};
	if (epoll_ctl(plane->epoll_fd, EPOLL_CTL_MOD, stream->fd, &event) == 0)
		stream->events = EPOLLOUT;
	return 0;
}

void plane_streams_end(struct plane *plane, const struct plane_entry *entry, uint32_t owner)
{
	EOS_LIST_FOR_EACH (node, &plane->streams.used) {
		struct plane_stream *stream = EOS_CONTAINER_OF(node, struct plane_stream, node);
		if (stream->entry != entry || (owner != 0 && stream->owner != owner))
			continue;
		/* Those of an entry that goes must not outlive it; others may be in use right now.
		 */
		if (owner == 0) {
			finish(stream);
		} else {
			stream->is_broken = true;
			(void)shutdown(stream->fd, SHUT_RDWR);
		}
	}
}
