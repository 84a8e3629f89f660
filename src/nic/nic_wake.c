/*
 * What a sleeping thread can be woken by, for each kind of driver (enum nic_wake):
 *
 *   SOCKET     DPDK keeps its packet sockets to itself. They are found among the process's
 *              descriptors: those of af_packet by the interface that they are bound to, in the
 * order of the queues; those of af_xdp by being new after the set-up of their queue. LEVEL DPDK
 * tells the descriptor; it is readable as long as there are frames. INTERRUPT  DPDK tells an event
 * descriptor, which is another one when the peer comes anew, and is never read: it is watched for
 * its edges.
 *
 * Each queue has an epoll set, so that waiting is one ppoll() whatever is behind it, and nothing
 * that may be somebody else's by now is ever read.
 */
#include "nic/nic_priv.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <rte_ethdev.h>

#include "base/clock.h"
#include "base/file.h"

/* Sockets are looked for among the descriptors below this one. */
#define DESCRIPTORS_MAX 4096u

/* And gets frames, unlike nic_interface_hold()'s. */
static bool is_bound_to(int fd, unsigned index)
{
	struct sockaddr_ll address;
	socklen_t len = sizeof(address);
	return getsockname(fd, (struct sockaddr *)&address, &len) == 0 &&
	       (unsigned)address.sll_ifindex == index && address.sll_protocol != 0;
}

void nic_wake_find(int domain, unsigned index, struct nic_wake_sockets *ret_sockets)
{
	struct rlimit limit = {.rlim_cur = DESCRIPTORS_MAX};
	(void)getrlimit(RLIMIT_NOFILE, &limit);
	ret_sockets->count = 0;
	for (int fd = 0; fd < (int)EOS_MIN(limit.rlim_cur, (rlim_t)DESCRIPTORS_MAX); fd++) {
		int value;
		socklen_t len = sizeof(value);
		if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &len) < 0 || value != domain)
			continue;
		if (index != 0 && !is_bound_to(fd, index))
			continue;
		if (ret_sockets->count < EOS_ARRAY_SIZE(ret_sockets->fds))
			ret_sockets->fds[ret_sockets->count++] = fd;
	}
}

/* An epoll set with FD in it; FD may be -1. */
static int make_set(int fd)
{
	int set = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
	if (set >= 0 && fd >= 0 && epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) < 0)
		set = eos_close(set);
	return set;
}

static int open_queue(struct nic_port *port, unsigned i)
{
	int fd;
	switch (port->device.kind->wake) {
	case NIC_WAKE_SOCKET:
		return port->queues[i].socket >= 0 ? make_set(port->queues[i].socket) : -1;
	case NIC_WAKE_LEVEL:
		fd = rte_eth_dev_rx_intr_ctl_q_get_fd(port->id, (uint16_t)i);
		return fd >= 0 ? make_set(fd) : -1;
	case NIC_WAKE_INTERRUPT:
		/* Some know their descriptors only when the peer is there. */
		if (rte_eth_dev_rx_intr_enable(port->id, (uint16_t)i) == -ENOTSUP)
			return -1;
		(void)rte_eth_dev_rx_intr_disable(port->id, (uint16_t)i);
		return make_set(-1);
	case NIC_WAKE_NEVER:
		break;
	}
	return -1;
}

/* af_packet makes its sockets in the order of the queues, and the kernel gives out ascending
 * numbers. */
static void find_packet_sockets(struct nic_port *port)
{
	struct nic_wake_sockets found;
	nic_wake_find(AF_PACKET, if_nametoindex(port->device.interface), &found);
	for (unsigned i = 0; i < port->queues_count && found.count == port->queues_count; i++)
		port->queues[i].socket = found.fds[i];
	/* What the kernel sends by the interface is not for us; old kernels do not know this. */
	const int yes = 1;
	for (unsigned i = 0; i < found.count; i++)
		(void)setsockopt(found.fds[i], SOL_PACKET, PACKET_IGNORE_OUTGOING, &yes,
				 sizeof(yes));
}

void nic_wake_open(struct nic_port *port)
{
	bool is_xdp = (port->device.kind->flags & NIC_KIND_XDP) != 0;
	if (port->device.kind->wake == NIC_WAKE_SOCKET && !is_xdp)
		find_packet_sockets(port);
	port->can_sleep = true;
	for (unsigned i = 0; i < port->queues_count; i++) {
		port->queues[i].wait_fd = open_queue(port, i);
		port->can_sleep = port->can_sleep && port->queues[i].wait_fd >= 0;
	}
}

void nic_wake_close(struct nic_port *port)
{
	for (unsigned i = 0; i < port->queues_count; i++)
		port->queues[i].wait_fd = eos_close(port->queues[i].wait_fd);
}

void nic_wake_signals_before(struct nic_wake_signals *ret_signals)
{
	for (int i = 1; i < 65; i++) {
		struct sigaction action;
		ret_signals->handlers[i] = NULL;
		if (sigaction(i, NULL, &action) == 0)
			ret_signals->handlers[i] = (void *)(uintptr_t)action.sa_handler;
	}
}

void nic_wake_signals_after(const struct nic_wake_signals *signals)
{
	struct sigaction action;
	for (int i = SIGRTMIN; i <= SIGRTMAX; i++) {
		if (sigaction(i, NULL, &action) < 0 ||
		    (void *)(uintptr_t)action.sa_handler == signals->handlers[i] ||
		    action.sa_handler == SIG_DFL || action.sa_handler == SIG_IGN)
			continue;
		action.sa_flags |= SA_ONSTACK | SA_RESTART;
		(void)sigaction(i, &action, NULL);
	}
	/* What the kernel sends when the queue of such signals is full; it would end the process.
	 */
	if (sigaction(SIGIO, NULL, &action) == 0 && action.sa_handler == SIG_DFL)
		(void)signal(SIGIO, SIG_IGN);
}
