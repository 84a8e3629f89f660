/*
 * Ways out of endpoints for TCP: connections of ours to addresses that the manifest names, each for
 * one client and one way, opened when a function first sends by it. They are connections like
 * those of clients (plane_streams.c), in the same table and with the same bounds, and go with their
 * client's.
 */
#include <errno.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/macros.h"
#include "plane/plane_address.h"
#include "plane/plane_priv.h"

/* Of one client: more than there are ways, as those that are still being closed count too. */
#define WAYS_MAX 32u

static const struct plane_target *target_of(const struct plane_entry *entry, uint32_t way)
{
	const struct plane_manifest *manifest = entry->manifest;
	const struct plane_target *target = NULL;
	if (way == CHAIN_OUT)
		target = &manifest->out_target;
	else if (way >= 2 && way - 2 < manifest->next_count)
		target = &manifest->next[way - 2].target;
	return target == NULL || target->port == 0 ? NULL : target;
}

/* Is it not even good for more bytes in one direction? */
static bool is_past(const struct plane_stream *upstream)
{
	return upstream->is_closing || upstream->is_broken ||
	       (upstream->is_ended && upstream->must_shut);
}

struct plane_stream *plane_upstream_find(const struct plane_stream *stream, uint32_t way)
{
	EOS_LIST_FOR_EACH (node, &stream->ways) {
		struct plane_stream *upstream = EOS_CONTAINER_OF(node, struct plane_stream, ways);
		if (upstream->way == way && !is_past(upstream))
			return upstream;
	}
	return NULL;
}

bool plane_upstream_is_full(const struct plane_stream *stream)
{
	EOS_LIST_FOR_EACH (node, &stream->ways) {
		const struct plane_stream *upstream =
			EOS_CONTAINER_OF(node, struct plane_stream, ways);
		if (plane_stream_waiting(upstream) >= PLANE_STREAM_PAUSE)
			return true;
	}
	return false;
}

static unsigned count_ways(const struct plane_stream *stream)
{
	unsigned count = 0;
	EOS_LIST_FOR_EACH (node, &stream->ways)
		count++;
	return count;
}

/* A socket on its way to TARGET. Where it cannot even set out, the socket says so later, as it does
 * of all other failures. */
static int start_connecting(const struct plane_target *target)
{
	const int on = 1, stall_ms = PLANE_STREAM_STALL_MS;
	struct sockaddr_storage name;
	socklen_t len = plane_address_to_kernel(target->address, target->port, false, &name);
	int fd = socket(name.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	(void)setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof(on));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &stall_ms, sizeof(stall_ms));
	(void)!connect(fd, (struct sockaddr *)&name, len);
	return fd;
}

static int open_upstream(struct plane_stream *stream, const struct chain_output *output,
			 const struct plane_target *target, struct plane_stream **ret_upstream)
{
	struct plane *plane = stream->plane;
	struct plane_stream *upstream =
		count_ways(stream) < WAYS_MAX ? plane_stream_take(plane, stream->entry) : NULL;
	if (upstream == NULL) {
		plane->stats.streams_refused++;
		return -EAGAIN;
	}
	upstream->client = stream;
	upstream->way = (uint8_t)output->port;
	upstream->stage = output->stage;
	upstream->is_connecting = true;
	upstream->events = EPOLLOUT | EPOLLERR;
	eos_list_add_tail(&stream->ways, &upstream->ways);
	upstream->fd = start_connecting(target);
	int err = upstream->fd < 0 ? upstream->fd
				   : plane_watch(plane, upstream->fd, &upstream->watch, EPOLLOUT);
	stream->entry->stats.upstreams++;
	if (err < 0) {
		stream->entry->stats.upstream_failed++;
		plane_stream_give(upstream);
		return -EAGAIN;
	}
	plane_stream_wait(upstream, PLANE_CONNECT, eos_now_ns());
	*ret_upstream = upstream;
	return 0;
}

int plane_upstream_get(struct plane_stream *stream, const struct chain_output *output,
		       struct plane_stream **ret_upstream)
{
	const struct plane_target *target = target_of(stream->entry, output->port);
	struct plane_stream *upstream = plane_upstream_find(stream, output->port);
	if (target == NULL)
		return -EBADF;
	if (upstream == NULL)
		return open_upstream(stream, output, target, ret_upstream);
	*ret_upstream = upstream;
	return 0;
}

void plane_upstream_connected(struct plane_stream *upstream)
{
	const struct plane_target *target = target_of(upstream->entry, upstream->way);
	struct sockaddr_storage name;
	int error = 0;
	socklen_t len = sizeof(error);
	if (getsockopt(upstream->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	/* Asked for again it says how far it is, or why it does not come about. */
	len = plane_address_to_kernel(target->address, target->port, false, &name);
	if (error == 0 && connect(upstream->fd, (struct sockaddr *)&name, len) < 0)
		error = errno;
	if (error == EALREADY || error == EINPROGRESS)
		return;
	plane_stream_wait_no_more(upstream);
	upstream->is_connecting = false;
	if (error != 0 && error != EISCONN) {
		upstream->entry->stats.upstream_failed++;
		upstream->is_broken = true;
	}
}
