/*
 * Clients of endpoints for TCP that come: each gets a place in the table of connections, or is sent
 * away.
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/macros.h"
#include "plane/plane_address.h"
#include "plane/plane_priv.h"

#define ACCEPTS_MAX 16

static uint32_t next_number(struct plane_streams *streams, const struct plane_stream *stream)
{
	uint32_t generations = UINT32_MAX / streams->count - 1;
	streams->generation = streams->generation % generations + 1;
	return streams->generation * streams->count + (uint32_t)(stream - streams->all);
}

static void open_stream(struct plane *plane, struct plane_socket *socket, int fd,
			const struct sockaddr_storage *from, uint64_t now_ns)
{
	const int on = 1, stall_ms = PLANE_STREAM_STALL_MS;
	struct plane_stream *stream = plane_stream_take(plane, socket->entry);
	if (stream == NULL) {
		plane->stats.streams_refused++;
		eos_close(fd);
		return;
	}
	stream->fd = fd;
	stream->number = next_number(&plane->streams, stream);
	stream->local_port = socket->port;
	stream->events = EPOLLIN | EPOLLERR;
	/* Answers are whole: nothing is won by waiting for more. Who vanished is found in time. */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stall_ms, sizeof(stall_ms));
	if (!plane_address_from_kernel(from, stream->address, &stream->port) ||
	    (socket->entry->tls != NULL && !plane_tls_begin(stream, now_ns)) ||
	    plane_watch(plane, fd, &stream->watch, EPOLLIN) < 0)
		plane_stream_give(stream);
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
	for (unsigned i = 0; i < ACCEPTS_MAX; i++) {
		struct sockaddr_storage from = {0};
		socklen_t len = sizeof(from);
		int fd = accept4(socket->fd, (struct sockaddr *)&from, &len,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0 && (errno == EMFILE || errno == ENFILE))
			refuse_one(plane, socket);
		if (fd < 0)
			return;
		open_stream(plane, socket, fd, &from, now_ns);
	}
}
