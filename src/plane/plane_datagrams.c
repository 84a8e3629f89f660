/*
 * Endpoints for UDP on sockets of the kernel. Up to PLANE_BURST datagrams are taken with one call
 * of the kernel, run through their chains, and their answers sent with one more.
 */
#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>

#include "base/macros.h"
#include "plane/plane_address.h"
#include "plane/plane_priv.h"

static void prepare_receive(struct plane_datagrams *datagrams)
{
	for (unsigned i = 0; i < PLANE_BURST; i++) {
		datagrams->in_vectors[i] =
			(struct iovec){datagrams->in_data[i], PLANE_DATAGRAM_MAX};
		datagrams->in[i].msg_hdr = (struct msghdr){
			.msg_name = &datagrams->in_names[i],
			.msg_namelen = sizeof(datagrams->in_names[i]),
			.msg_iov = &datagrams->in_vectors[i],
			.msg_iovlen = 1,
			.msg_control = datagrams->in_control[i],
			.msg_controllen = sizeof(datagrams->in_control[i]),
		};
	}
}

/* Which of our addresses it came to. */
static void read_local(struct msghdr *message, uint8_t local[16])
{
	memset(local, 0, 16);
	for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c != NULL; c = CMSG_NXTHDR(message, c)) {
		if (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_PKTINFO) {
			struct in_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			local[10] = local[11] = 0xff;
			memcpy(local + 12, &info.ipi_addr, 4);
		} else if (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_PKTINFO) {
			struct in6_pktinfo info;
			memcpy(&info, CMSG_DATA(c), sizeof(info));
			memcpy(local, &info.ipi6_addr, 16);
		}
	}
}

/* False: it is nobody's. */
static bool make_packet(struct plane *plane, struct plane_socket *socket, unsigned i,
			uint64_t now_ns, struct chain_packet *ret_packet)
{
	struct plane_datagrams *datagrams = plane->datagrams;
	struct mmsghdr *message = &datagrams->in[i];
	struct plane_peer seen = {
		.entry = socket->entry, .socket = socket, .local_port = socket->port};
	if ((message->msg_hdr.msg_flags & MSG_TRUNC) != 0) {
		plane->stats.datagrams_cut++;
		return false;
	}
	if (!plane_address_from_kernel(&datagrams->in_names[i], seen.address, &seen.port))
		return false;
	read_local(&message->msg_hdr, seen.local);
	const struct plane_peer *peer = plane_peers_meet(&plane->peers, &seen, now_ns);
	if (peer == NULL)
		return false;
	*ret_packet = (struct chain_packet){
		.data = datagrams->in_data[i],
		.len = message->msg_len,
		.kind = CHAIN_DATAGRAM,
		.side = CHAIN_CLIENT,
		.flags = CHAIN_CHECKSUM_GOOD,
		.template = socket->entry->template,
		.peer = peer->number,
		.peer_port = seen.port,
		.local_port = socket->port,
	};
	memcpy(ret_packet->peer_address, seen.address, sizeof(seen.address));
	return true;
}

void plane_datagrams_ready(struct plane *plane, struct plane_watch *watch, uint32_t events,
			   uint64_t now_ns)
{
	struct plane_socket *socket = EOS_CONTAINER_OF(watch, struct plane_socket, watch);
	struct chain_packet packets[PLANE_BURST];
	unsigned count = 0;
	(void)events;
	prepare_receive(plane->datagrams);
	int n = recvmmsg(socket->fd, plane->datagrams->in, PLANE_BURST, MSG_DONTWAIT, NULL);
	/* Also errors that ICMP reported of earlier answers: reading took them away. */
	for (int i = 0; i < n; i++)
		count += make_packet(plane, socket, (unsigned)i, now_ns, &packets[count]);
	if (count > 0)
		chains_deliver(plane->chains, packets, count, now_ns);
}

void plane_datagrams_flush(struct plane *plane)
{
	struct plane_datagrams *datagrams = plane->datagrams;
	unsigned at = 0;
	while (at < datagrams->out_count) {
		int n = sendmmsg(datagrams->out_fd, datagrams->out + at, datagrams->out_count - at,
				 MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		/* One that cannot be sent does not keep the others. */
		if (n <= 0)
			plane->stats.datagrams_unsent++;
		at += n <= 0 ? 1 : (unsigned)n;
	}
	datagrams->out_count = 0;
}

/* The answer leaves with the address that was asked. */
static size_t put_local(const struct plane_peer *peer, uint8_t *control)
{
	struct cmsghdr *c = (struct cmsghdr *)control;
	static const uint8_t none[16];
	if (memcmp(peer->local, none, sizeof(none)) == 0)
		return 0;
	if (!peer->socket->is_v6) {
		struct in_pktinfo info = {0};
		memcpy(&info.ipi_spec_dst, peer->local + 12, 4);
		*c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(info)),
				      .cmsg_level = IPPROTO_IP,
				      .cmsg_type = IP_PKTINFO};
		memcpy(CMSG_DATA(c), &info, sizeof(info));
		return CMSG_SPACE(sizeof(info));
	}
	struct in6_pktinfo info = {0};
	memcpy(&info.ipi6_addr, peer->local, 16);
	*c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(info)),
			      .cmsg_level = IPPROTO_IPV6,
			      .cmsg_type = IPV6_PKTINFO};
	memcpy(CMSG_DATA(c), &info, sizeof(info));
	return CMSG_SPACE(sizeof(info));
}

int plane_datagrams_send(struct plane *plane, const struct plane_peer *peer, const uint8_t *data,
			 uint32_t len)
{
	struct plane_datagrams *datagrams = plane->datagrams;
	int fd = peer->socket->fd;
	if (len > PLANE_DATAGRAM_MAX)
		return -EMSGSIZE;
	if (datagrams->out_count == PLANE_BURST ||
	    (datagrams->out_count > 0 && datagrams->out_fd != fd))
		plane_datagrams_flush(plane);
	unsigned i = datagrams->out_count++;
	datagrams->out_fd = fd;
	memcpy(datagrams->out_data[i], data, len);
	datagrams->out_vectors[i] = (struct iovec){datagrams->out_data[i], len};
	socklen_t name_len = plane_address_to_kernel(peer->address, peer->port, peer->socket->is_v6,
						     &datagrams->out_names[i]);
	datagrams->out[i].msg_hdr = (struct msghdr){
		.msg_name = &datagrams->out_names[i],
		.msg_namelen = name_len,
		.msg_iov = &datagrams->out_vectors[i],
		.msg_iovlen = 1,
	};
	size_t control_len = put_local(peer, datagrams->out_control[i]);
	if (control_len > 0) {
		datagrams->out[i].msg_hdr.msg_control = datagrams->out_control[i];
		datagrams->out[i].msg_hdr.msg_controllen = control_len;
	}
	return 0;
}
