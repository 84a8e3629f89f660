/*
 * The sockets of the kernel that endpoints listen on: one for each port number.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "base/file.h"
#include "base/macros.h"
#include "plane/plane_address.h"
#include "plane/plane_priv.h"

#define BACKLOG	       512
#define BUFFER_BYTES   (1 << 20)
#define DEFAULT_LISTEN "127.0.0.1"

int plane_watch(struct plane *plane, int fd, struct plane_watch *watch, uint32_t events)
{
	struct epoll_event event = {.events = events, .data.ptr = watch};
	return epoll_ctl(plane->epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

static int set_options(const struct plane_socket *socket, bool is_tcp)
{
	const int on = 1, bytes = BUFFER_BYTES;
	int err = 0;
	/* A restart must not wait for the kernel to forget old connections. */
	if (is_tcp)
		err = setsockopt(socket->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	else
		(void)setsockopt(socket->fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (err == 0 && !is_tcp && socket->is_v6)
		err = setsockopt(socket->fd, IPPROTO_IPV6, IPV6_RECVPKTINFO, &on, sizeof(on));
	else if (err == 0 && !is_tcp)
		err = setsockopt(socket->fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on));
	return err < 0 ? -errno : 0;
}

static int open_one(struct plane_entry *entry, const uint8_t address[16], uint16_t port)
{
	struct plane_socket *one = &entry->sockets[entry->sockets_count];
	bool is_tcp = entry->manifest->endpoint.is_tcp;
	struct sockaddr_storage name;
	socklen_t len = plane_address_to_kernel(address, port, false, &name);
	*one = (struct plane_socket){
		.watch.ready = is_tcp ? plane_streams_accept : plane_datagrams_ready,
		.entry = entry,
		.port = port,
		.is_v6 = name.ss_family == AF_INET6,
	};
	one->fd = socket(name.ss_family,
			 (is_tcp ? SOCK_STREAM : SOCK_DGRAM) | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (one->fd < 0)
		return -errno;
	entry->sockets_count++;
	int err = set_options(one, is_tcp);
	if (err == 0 && bind(one->fd, (struct sockaddr *)&name, len) < 0)
		err = -errno;
	if (err == 0 && is_tcp && listen(one->fd, BACKLOG) < 0)
		err = -errno;
	return err;
}

int plane_sockets_open(struct plane_entry *entry, struct eos_why *why)
{
	const struct plane_endpoint *endpoint = &entry->manifest->endpoint;
	const char *text = endpoint->address[0] == '\0' ? DEFAULT_LISTEN : endpoint->address;
	unsigned count = (unsigned)(endpoint->last - endpoint->first) + 1;
	uint8_t address[16], bits;
	int err = 0;
	if (!plane_address_parse(text, address, &bits))
		return eos_why(why, -EINVAL, "%s: not an address", text);
	entry->sockets = calloc(count, sizeof(*entry->sockets));
	if (entry->sockets == NULL)
		return eos_why(why, -ENOMEM, "no memory for %u sockets", count);
	for (unsigned i = 0; err == 0 && i < count; i++) {
		uint16_t port = (uint16_t)(endpoint->first + i);
		err = open_one(entry, address, port);
		if (err < 0)
			eos_why(why, err, "endpoint: %s %s port %u: %s",
				endpoint->is_tcp ? "TCP" : "UDP", text, port, strerror(-err));
	}
	if (err < 0)
		plane_sockets_close(entry);
	return err;
}

void plane_sockets_close(struct plane_entry *entry)
{
	for (unsigned i = 0; i < entry->sockets_count; i++)
		eos_close(entry->sockets[i].fd);
	free(entry->sockets);
	entry->sockets = NULL;
	entry->sockets_count = 0;
}
