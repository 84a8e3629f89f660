/*
 * Endpoints for TCP on sockets of the kernel.
 *
 * A connection is a place in a table of fixed size. What comes is given to its function in pieces
 * as they were received; what the function answers goes out at once, and what the socket does not
 * take waits here, up to PLANE_STREAM_OUT; while much waits, nothing more is read, so that who asks
 * and does not listen stops himself.
 *
 * A function hears of each connection's end once, by EDGEOS_LAST, unless it ended it itself or
 * died: also when it broke. Who takes none of what waits for him for STALL_MS is given up by the
 * kernel.
 *
 * Invariants
 * 1. A connection is closed by finish() alone, which is called between two deliveries: inside of
 *    chains_deliver() it is only marked (is_closing, is_broken).
 * 2. Its descriptor is in the epoll set with EVENTS, as long as it is open.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/file.h"
#include "base/macros.h"
#include "plane/plane_address.h"
#include "plane/plane_cores.h"
#include "plane/plane_priv.h"

#define ACCEPTS_MAX 16
#define STALL_MS    60000
/* Descriptors that connections leave to others. */
#define FDS_RESERVED 256u

static void on_ready(struct plane *plane, struct plane_watch *watch, uint32_t events,
		     uint64_t now_ns);

int plane_streams_init(struct plane *plane)
{
	struct plane_streams *streams = &plane->streams;
	uint32_t streams_max = plane_cores_share(plane->config.streams_max, plane->cores_count, 1);
	struct rlimit limit;
	eos_list_init(&streams->free);
	eos_list_init(&streams->used);
	/* Without a free descriptor not even a request could be taken. */
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 &&
	    (limit.rlim_cur /= plane->cores_count) < streams_max + FDS_RESERVED)
		streams_max = limit.rlim_cur > 2 * FDS_RESERVED
				      ? (uint32_t)limit.rlim_cur - FDS_RESERVED
				      : EOS_MIN(streams_max, FDS_RESERVED / 2);
	streams->all = calloc(streams_max, sizeof(*streams->all));
	if (streams->all == NULL)
		return -ENOMEM;
	streams->count = streams_max;
	streams->spare_fd = fcntl(plane->epoll_fd, F_DUPFD_CLOEXEC, 0);
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
	plane->streams.spare_fd = eos_close(plane->streams.spare_fd);
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
	plane->streams.current = stream;
	chains_deliver(plane->chains, &packet, 1, now_ns);
	plane->streams.current = NULL;
}

/* What is due for it between two deliveries; it may be gone afterwards. */
static void settle(struct plane_stream *stream, uint64_t now_ns)
{
	push_out(stream);
	bool is_over = (stream->is_closing || stream->is_ended) && waiting_of(stream) == 0;
	if (!stream->is_broken && !is_over)
		set_events(stream);
	/* Who has a place for it must be able to give it up. */
	if (stream->is_broken && stream->was_seen && !stream->is_ended && !stream->is_closing) {
		stream->is_ended = true;
		deliver(stream, 0, now_ns);
	}
	if (stream->is_broken || is_over)
		finish(stream);
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
	settle(stream, now_ns);
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
	const int on = 1, stall_ms = STALL_MS;
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
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stall_ms, sizeof(stall_ms));
	if (!plane_address_from_kernel(from, stream->address, &stream->port) ||
	    plane_watch(plane, fd, &stream->watch, EPOLLIN) < 0)
		finish(stream);
}

/* No descriptor is free: a spare one is used for sending somebody away, so that the listening
 * socket does not keep the loop busy. */
static void refuse_one(struct plane *plane, const struct plane_socket *socket)
{
	struct plane_streams *streams = &plane->streams;
	streams->spare_fd = eos_close(streams->spare_fd);
	int fd = accept4(socket->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		plane->stats.streams_refused++;
		eos_close(fd);
	}
	streams->spare_fd = fcntl(plane->epoll_fd, F_DUPFD_CLOEXEC, 0);
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
		if (fd < 0 && (errno == EMFILE || errno == ENFILE))
			refuse_one(plane, socket);
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
	/* Much was said already: the socket may take some of it. */
	if (waiting_of(stream) >= PLANE_STREAM_PAUSE)
		push_out(stream);
	if (stream->is_broken)
		return -EBADF;
	if (waiting_of(stream) + output->len > PLANE_STREAM_OUT ||
	    streams->waiting_bytes + output->len > PLANE_STREAMS_BYTES ||
	    eos_buf_append(&stream->out, output->data, output->len) < 0) {
		plane->stats.streams_full++;
		/* Not even its maker knows of the gap that there would be. */
		stream->is_broken |= output->is_verdict;
		return -EAGAIN;
	}
	streams->waiting_bytes += output->len;
	/* An answer to others than who is being served: the socket says when. */
	if (stream != streams->current)
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

void plane_streams_end(struct plane *plane, const struct plane_entry *entry)
{
	EOS_LIST_FOR_EACH (node, &plane->streams.used) {
		struct plane_stream *stream = EOS_CONTAINER_OF(node, struct plane_stream, node);
		if (stream->entry == entry)
			finish(stream);
	}
}

/* One of OWNER's, or NULL. */
static const struct plane_stream *find_one_of(const struct plane_streams *streams,
					      const struct plane_entry *entry, uint32_t owner)
{
	if (streams->current != NULL && streams->current->entry == entry)
		return streams->current;
	EOS_LIST_FOR_EACH (node, &streams->used) {
		const struct plane_stream *stream =
			EOS_CONTAINER_OF(node, struct plane_stream, node);
		if (stream->entry == entry && stream->owner == owner)
			return stream;
	}
	return NULL;
}

/* Who was not answered yet has no owner; whose he is then shows from one who is like him. */
static bool belongs_to(const struct plane_stream *stream, uint32_t owner,
		       const struct plane_stream *like)
{
	if (stream == like || stream->owner != 0)
		return stream == like || stream->owner == owner;
	if (stream->entry->manifest->isolation == CHAIN_PER_TENANT)
		return true;
	return stream->entry->manifest->isolation == CHAIN_PER_CLIENT && like != NULL &&
	       stream->local_port == like->local_port &&
	       memcmp(stream->address, like->address, sizeof(stream->address)) == 0;
}

void plane_streams_break(struct plane *plane, const struct plane_entry *entry, uint32_t chain)
{
	const struct plane_stream *like = find_one_of(&plane->streams, entry, chain + 1);
	EOS_LIST_FOR_EACH (node, &plane->streams.used) {
		struct plane_stream *stream = EOS_CONTAINER_OF(node, struct plane_stream, node);
		if (stream->entry != entry || !stream->was_seen ||
		    !belongs_to(stream, chain + 1, like))
			continue;
		stream->is_broken = true;
		stream->was_seen = false; /* by who died */
		(void)shutdown(stream->fd, SHUT_RDWR);
	}
}
