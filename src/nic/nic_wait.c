/*
 * Waiting. Nothing is missed: after a queue's interrupts were switched on it is looked at once
 * more, by receiving one frame, which nic_port_receive() then begins with. The same look is what
 * finds frames of drivers that cannot tell.
 */
#include "nic/nic_priv.h"

#include <errno.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>

#include <rte_ethdev.h>

#include "base/clock.h"

#define POLLED_MAX (NIC_PORTS_MAX * NIC_QUEUES_MAX)

/* Whether QUEUE has a frame now. */
static bool look(struct nic_port *port, unsigned index)
{
	struct nic_queue *queue = &port->queues[index];
	if (queue->looked == NULL &&
	    rte_eth_rx_burst(port->id, (uint16_t)index, &queue->looked, 1) != 1)
		queue->looked = NULL;
	return queue->looked != NULL;
}

/* Puts the queue's event descriptor of today into its set, and switches the interrupt on. False: it
 * will not tell, as there is no peer. */
static bool arm(struct nic_port *port, unsigned index)
{
	if (port->device.kind->wake != NIC_WAKE_INTERRUPT)
		return true;
	int fd = rte_eth_dev_rx_intr_ctl_q_get_fd(port->id, (uint16_t)index);
	struct epoll_event event = {.events = EPOLLIN | EPOLLET};
	int set = port->queues[index].wait_fd;
	if (fd < 0 || (epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) < 0 && errno != EEXIST))
		return false;
	return rte_eth_dev_rx_intr_enable(port->id, (uint16_t)index) == 0;
}

static void disarm(struct nic_port *port, unsigned index)
{
	if (port->device.kind->wake == NIC_WAKE_INTERRUPT)
		(void)rte_eth_dev_rx_intr_disable(port->id, (uint16_t)index);
}

/* Takes what made the set readable; an edge is over then, an error of a socket, too. Returns
 * whether there may be frames. */
static bool take_event(const struct nic_queue *queue)
{
	struct epoll_event event;
	if (epoll_wait(queue->wait_fd, &event, 1, 0) != 1)
		return false;
	if ((event.events & EPOLLERR) != 0 && queue->socket >= 0) {
		int error;
		socklen_t len = sizeof(error);
		(void)getsockopt(queue->socket, SOL_SOCKET, SO_ERROR, &error, &len);
	}
	return (event.events & EPOLLIN) != 0;
}

struct waiting {
	const struct nic_polled *polled;
	unsigned count;
	struct pollfd fds[POLLED_MAX + 1]; /* the last: the caller's */
	bool must_look;			   /* somebody cannot tell */
};

/* True: there is a frame. */
static bool arm_all(struct waiting *w)
{
	bool has_frame = false;
	for (unsigned i = 0; i < w->count; i++) {
		struct nic_port *port = w->polled[i].port;
		unsigned queue = w->polled[i].queue;
		int fd = port->queues[queue].wait_fd;
		bool can_tell = fd >= 0 && arm(port, queue);
		w->fds[i] = (struct pollfd){.fd = can_tell ? fd : -1, .events = POLLIN};
		w->must_look = w->must_look || !can_tell;
		has_frame = look(port, queue) || has_frame;
	}
	return has_frame;
}

static bool look_at_all(const struct waiting *w)
{
	bool has_frame = false;
	for (unsigned i = 0; i < w->count; i++) {
		if (w->fds[i].fd < 0)
			has_frame = look(w->polled[i].port, w->polled[i].queue) || has_frame;
	}
	return has_frame;
}

/* After ppoll(): whether it is time to return. */
static bool take_events(struct waiting *w)
{
	bool is_over = w->fds[w->count].revents != 0;
	for (unsigned i = 0; i < w->count; i++) {
		if (w->fds[i].revents == 0)
			continue;
		if (take_event(&w->polled[i].port->queues[w->polled[i].queue])) {
			is_over = true;
		} else {
			/* It may say so for ever, as when the interface has gone. */
			w->fds[i].fd = -1;
			w->must_look = true;
		}
	}
	return is_over;
}

static void sleep_for(struct waiting *w, const struct nic_pause *pause)
{
	uint64_t start = eos_now_ns(), now = start;
	while (now - start < pause->timeout_ns) {
		uint64_t left = pause->timeout_ns - (now - start);
		if (w->must_look) {
			uint64_t step =
				pause->idle_ns / NIC_STEP_SHARE + (now - start) / NIC_STEP_SHARE;
			step = EOS_MIN(step, NIC_STEP_NS_MAX);
			left = EOS_MIN(left, EOS_MAX(step, EOS_MAX(pause->step_ns, UINT64_C(1))));
		}
		struct timespec timeout = {(time_t)(left / EOS_NS_PER_S),
					   (long)(left % EOS_NS_PER_S)};
		int n = ppoll(w->fds, w->count + 1, &timeout, NULL);
		if (n < 0 || (n > 0 && take_events(w)) || (w->must_look && look_at_all(w)))
			return;
		now = eos_now_ns();
	}
}

void nic_wait(struct nic *nic, const struct nic_polled *polled, unsigned count, int wake_fd,
	      const struct nic_pause *pause)
{
	struct waiting w;
	w.polled = polled;
	w.count = EOS_MIN(count, POLLED_MAX);
	w.must_look = false;
	w.fds[w.count] = (struct pollfd){.fd = wake_fd, .events = POLLIN};
	bool has_frame = arm_all(&w);
	if (!has_frame)
		sleep_for(&w, pause);
	for (unsigned i = 0; i < w.count; i++)
		disarm(polled[i].port, polled[i].queue);
}
