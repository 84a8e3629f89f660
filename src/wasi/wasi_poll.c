/*
 * Waiting: poll_oneoff, and reading and writing of streams within the FWP's time.
 *
 * Clocks become one point of monotonic time, streams with a descriptor become one poll(2), and
 * everything else is ready at once. Where no descriptor is waited for, the host's sleep_until
 * waits, which in a node lets other FWPs run meanwhile.
 */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "wasi/wasi_priv.h"

/* One subscription: copied from the guest, then what we found out. In the scratch buffer. */
struct wait {
	struct wasi_abi_subscription subscription;
	uint64_t due_ns; /* clocks: monotonic */
	int poll_index;	 /* streams: into the array of struct pollfd; else -1 */
	int err;	 /* negative: the event is this error */
	bool is_ready;
	uint16_t flags;
	uint64_t nbytes;
};

struct waits {
	struct wait *items;
	uint32_t count;
	struct pollfd *fds; /* as many places as items */
	unsigned fds_count;
	uint64_t due_ns; /* the earliest */
	bool has_ready;
};

static int node_poll_fd(struct wasi_node *node)
{
	if (node->kind != WASI_NODE_STREAM || node->ops->poll_fd == NULL)
		return -1;
	return node->ops->poll_fd(node);
}

/* Until one of FDS is ready, or UNTIL_NS. 1 when ready, else 0. */
static int poll_until(struct pollfd *fds, unsigned count, uint64_t until_ns)
{
	for (;;) {
		uint64_t now_ns = eos_now_ns();
		uint64_t left_ns = until_ns > now_ns ? until_ns - now_ns : 0;
		struct timespec left = {
			.tv_sec = (time_t)(left_ns / EOS_NS_PER_S),
			.tv_nsec = (long)(left_ns % EOS_NS_PER_S),
		};
		int n = ppoll(fds, count, until_ns == UINT64_MAX ? NULL : &left, NULL);
		if (n > 0)
			return 1;
		if (n < 0 && errno != EINTR)
			return -errno;
		if (n == 0 && eos_now_ns() >= until_ns)
			return 0;
	}
}

int wasi_stream_wait(struct fwp *fwp, struct wasi_descriptor *descriptor, bool for_write)
{
	int fd = node_poll_fd(descriptor->node);
	bool is_nonblocking = (descriptor->flags & WASI_FDFLAG_NONBLOCK) != 0;
	uint64_t deadline_ns = fwp_deadline_ns(fwp);
	if (fd < 0 || (!is_nonblocking && deadline_ns == UINT64_MAX))
		return 0;
	struct pollfd pollfd = {.fd = fd, .events = for_write ? POLLOUT : POLLIN};
	int ready = poll_until(&pollfd, 1, is_nonblocking ? 0 : deadline_ns);
	if (ready != 0)
		return ready < 0 ? ready : 0;
	return is_nonblocking ? -EAGAIN : -EINTR;
}

/* When the clock subscription is over, in monotonic time; the past is now. */
static int clock_due(const struct wasi_abi_subscription_clock *clock, uint64_t *ret_due_ns)
{
	if (clock->id != WASI_CLOCK_REALTIME && clock->id != WASI_CLOCK_MONOTONIC)
		return -EINVAL;
	if ((clock->flags & ~WASI_SUBSCRIPTION_CLOCK_ABSTIME) != 0)
		return -EINVAL;
	uint64_t now_ns = eos_now_ns();
	uint64_t delay_ns = clock->timeout;
	if ((clock->flags & WASI_SUBSCRIPTION_CLOCK_ABSTIME) != 0) {
		uint64_t clock_ns = clock->id == WASI_CLOCK_REALTIME ? eos_wall_ns() : now_ns;
		delay_ns = clock->timeout > clock_ns ? clock->timeout - clock_ns : 0;
	}
	if (__builtin_add_overflow(now_ns, delay_ns, ret_due_ns))
		*ret_due_ns = UINT64_MAX;
	return 0;
}

/* How much can be read of a file without reaching its end. */
static uint64_t bytes_left(const struct wasi_descriptor *descriptor)
{
	struct wasi_node *node = descriptor->node;
	struct wasi_stat stat;
	if (node->kind != WASI_NODE_FILE || node->ops->stat == NULL ||
	    node->ops->stat(node, &stat) < 0)
		return 1;
	return stat.size > descriptor->offset ? stat.size - descriptor->offset : 0;
}

static int prepare_fd(struct wasi *wasi, struct waits *waits, struct wait *wait)
{
	bool is_read = wait->subscription.tag == WASI_EVENT_FD_READ;
	uint64_t rights =
		WASI_RIGHT_POLL_FD_READWRITE | (is_read ? WASI_RIGHT_FD_READ : WASI_RIGHT_FD_WRITE);
	struct wasi_descriptor *descriptor;
	int err = wasi_descriptor_get(wasi, wait->subscription.u.fd, rights, &descriptor);
	if (err < 0)
		return err;
	int fd = node_poll_fd(descriptor->node);
	if (fd < 0) {
		wait->is_ready = true;
		wait->nbytes = is_read ? bytes_left(descriptor) : 1;
		return 0;
	}
	wait->poll_index = (int)waits->fds_count;
	waits->fds[waits->fds_count++] =
		(struct pollfd){.fd = fd, .events = is_read ? POLLIN : POLLOUT};
	return 0;
}

static void prepare(struct wasi *wasi, struct waits *waits)
{
	for (uint32_t i = 0; i < waits->count; i++) {
		struct wait *wait = &waits->items[i];
		if (wait->subscription.tag == WASI_EVENT_CLOCK) {
			wait->err = clock_due(&wait->subscription.u.clock, &wait->due_ns);
			if (wait->err == 0)
				waits->due_ns = EOS_MIN(waits->due_ns, wait->due_ns);
		} else {
			wait->err = prepare_fd(wasi, waits, wait);
		}
		waits->has_ready = waits->has_ready || wait->err < 0 || wait->is_ready;
	}
}

/* Fills in what is ready after waiting. Returns how many. */
static uint32_t settle(struct waits *waits)
{
	uint64_t now_ns = eos_now_ns();
	uint32_t ready = 0;
	for (uint32_t i = 0; i < waits->count; i++) {
		struct wait *wait = &waits->items[i];
		if (wait->err == 0 && wait->subscription.tag == WASI_EVENT_CLOCK)
			wait->is_ready = wait->due_ns <= now_ns;
		if (wait->poll_index >= 0) {
			short revents = waits->fds[wait->poll_index].revents;
			wait->is_ready = revents != 0;
			wait->nbytes = (revents & (POLLIN | POLLOUT)) != 0;
			wait->flags = (revents & POLLHUP) != 0 ? WASI_EVENT_FLAG_HANGUP : 0;
			if ((revents & POLLNVAL) != 0)
				wait->err = -EBADF;
		}
		ready += wait->err < 0 || wait->is_ready;
	}
	return ready;
}

static int wait_for_any(struct fwp *fwp, struct waits *waits)
{
	const struct wasi *wasi = fwp_context(fwp);
	uint64_t deadline_ns = fwp_deadline_ns(fwp);
	uint64_t until_ns = waits->has_ready ? 0 : EOS_MIN(waits->due_ns, deadline_ns);
	if (waits->fds_count > 0) {
		int ready = poll_until(waits->fds, waits->fds_count, until_ns);
		if (ready < 0)
			return ready;
	} else if (until_ns > eos_now_ns()) {
		wasi->host_ops->sleep_until(wasi->host_ctx, fwp, until_ns);
	}
	return 0;
}

static int put_events(struct fwp *fwp, const struct waits *waits, uint32_t out)
{
	uint32_t address = out;
	for (uint32_t i = 0; i < waits->count; i++) {
		const struct wait *wait = &waits->items[i];
		if (wait->err == 0 && !wait->is_ready)
			continue;
		struct wasi_abi_event event = {
			.userdata = wait->subscription.userdata,
			.error = wasi_errno_from_linux(wait->err),
			.type = wait->subscription.tag,
			.nbytes = wait->nbytes,
			.flags = wait->flags,
		};
		int err = wasi_copy_out(fwp, address, &event, sizeof(event));
		if (err < 0)
			return err;
		address += (uint32_t)sizeof(event);
	}
	return 0;
}

static int waits_get(struct fwp *fwp, uint32_t in, uint32_t count, struct waits *ret_waits)
{
	struct waits waits = {.count = count, .due_ns = UINT64_MAX};
	waits.items =
		wasi_scratch(fwp_context(fwp), count * (sizeof(*waits.items) + sizeof(*waits.fds)));
	if (waits.items == NULL)
		return -ENOMEM;
	waits.fds = (struct pollfd *)(waits.items + count);
	for (uint32_t i = 0; i < count; i++) {
		struct wait *wait = &waits.items[i];
		*wait = (struct wait){.poll_index = -1};
		uint32_t address = in + i * (uint32_t)sizeof(wait->subscription);
		int err =
			wasi_copy_in(fwp, &wait->subscription, address, sizeof(wait->subscription));
		if (err < 0)
			return err;
		if (wait->subscription.tag > WASI_EVENT_FD_WRITE)
			return -EINVAL;
	}
	*ret_waits = waits;
	return 0;
}

int wasi_poll_oneoff(struct fwp *fwp, uint32_t in, uint32_t out, uint32_t count, uint32_t out_count)
{
	if (count == 0 || count > WASI_SUBSCRIPTIONS_MAX)
		return -EINVAL;
	uint64_t in_size = (uint64_t)count * sizeof(struct wasi_abi_subscription);
	int err = wasi_check_range(fwp, in, in_size);
	if (err == 0)
		err = wasi_check_range(fwp, out, (uint64_t)count * sizeof(struct wasi_abi_event));
	if (err == 0)
		err = wasi_check_range(fwp, out_count, sizeof(uint32_t));
	struct waits waits = {0};
	if (err == 0)
		err = waits_get(fwp, in, count, &waits);
	if (err < 0)
		return err;
	prepare(fwp_context(fwp), &waits);
	uint32_t ready = 0;
	while (ready == 0) {
		err = wait_for_any(fwp, &waits);
		if (err < 0)
			return err;
		ready = settle(&waits);
		if (ready == 0 && eos_now_ns() >= fwp_deadline_ns(fwp))
			return -EINTR;
	}
	err = put_events(fwp, &waits, out);
	return err < 0 ? err : wasi_copy_out(fwp, out_count, &ready, sizeof(ready));
}
