/*
 * The functions of module "edgeos". Handles go to the mover as they come: it looks them up in the
 * port's table for each message, so that there is one check and nothing to get stale.
 */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "wasi/edgeos_priv.h"
#include "wasi/wasi_priv.h"

int edgeos_call_rings(struct fwp *fwp, uint32_t out, uint32_t in)
{
	struct edgeos *edgeos = edgeos_of(fwp);
	if (edgeos == NULL)
		return -ENOSYS;
	int err = mma_port_attach(edgeos->port, out, in);
	if (err == 0)
		edgeos_move(edgeos);
	return err;
}

int edgeos_call_kick(struct fwp *fwp)
{
	struct edgeos *edgeos = edgeos_of(fwp);
	if (edgeos == NULL)
		return -ENOSYS;
	edgeos_move(edgeos);
	return mma_port_is_dead(edgeos->port) ? -EPIPE : 0;
}

static int errno_of(unsigned status)
{
	switch ((enum mma_abi_status)status) {
	case MMA_ABI_DONE:
		return 0;
	case MMA_ABI_FAULT:
		return -EFAULT;
	case MMA_ABI_TOO_LONG:
		return -EMSGSIZE;
	case MMA_ABI_BAD_HANDLE:
		return -EBADF;
	case MMA_ABI_BAD_FLAGS:
		return -EINVAL;
	case MMA_ABI_DROPPED:
		return -EAGAIN;
	case MMA_ABI_TOO_SMALL:
		return -ENOBUFS;
	case MMA_ABI_GONE:
		return -EPIPE;
	case MMA_ABI_PENDING:
		break;
	}
	return -EIO; /* the guest wrote into its own slot */
}

/* The outbound ring, and the slot at its head. The ring was inside when it was attached, and memory
 * does not shrink. */
struct outbound {
	struct mma_abi_ring *ring;
	struct mma_abi_descriptor *slots;
	uint32_t count, head;
};

static int outbound_get(struct edgeos *edgeos, struct fwp *fwp, struct outbound *ret_outbound)
{
	uint32_t address, count;
	mma_port_out_ring(edgeos->port, &address, &count);
	if (count == 0)
		return -ENOTCONN;
	struct mma_abi_ring *ring = fwp_memory(
		fwp, address, sizeof(*ring) + (uint64_t)count * sizeof(struct mma_abi_descriptor));
	if (ring == NULL)
		return -EFAULT;
	*ret_outbound = (struct outbound){
		.ring = ring,
		.slots = (struct mma_abi_descriptor *)(void *)(ring + 1),
		.count = count,
		.head = __atomic_load_n(&ring->head, __ATOMIC_RELAXED),
	};
	return 0;
}

/* Waits until the ring has room for one more. */
static int outbound_reserve(struct edgeos *edgeos, struct fwp *fwp, struct outbound *outbound)
{
	for (;;) {
		uint32_t completions = mma_port_completions(edgeos->port);
		uint32_t used = outbound->head - mma_port_sent(edgeos->port);
		if (used < outbound->count)
			return 0;
		edgeos_move(edgeos);
		if (mma_port_is_dead(edgeos->port))
			return -EPIPE;
		if (used > outbound->count)
			return -EINVAL; /* and the mover will say the same when it comes there */
		int err = edgeos_wait_port(edgeos, fwp, MMA_EVENT_SENT, 0, completions, UINT64_MAX);
		if (err < 0)
			return err;
	}
}

/* Waits until the message at POSITION was dealt with; its status as errno. */
static int outbound_settle(struct edgeos *edgeos, struct fwp *fwp, struct outbound *outbound,
			   uint32_t position)
{
	const struct mma_abi_descriptor *slot = &outbound->slots[position & (outbound->count - 1)];
	for (;;) {
		uint32_t completions = mma_port_completions(edgeos->port);
		uint32_t sent = mma_port_sent(edgeos->port);
		unsigned status = __atomic_load_n(&slot->status, __ATOMIC_ACQUIRE);
		if (status != MMA_ABI_PENDING || (int32_t)(sent - position) > 0)
			return errno_of(status);
		if (mma_port_is_dead(edgeos->port))
			return -EPIPE;
		int err = edgeos_wait_port(edgeos, fwp, MMA_EVENT_SENT, 0, completions, UINT64_MAX);
		if (err < 0)
			return err;
	}
}

int edgeos_call_send(struct fwp *fwp, uint32_t conn, uint32_t buf, uint32_t len, uint32_t flags)
{
	struct edgeos *edgeos = edgeos_of(fwp);
	if (edgeos == NULL)
		return -ENOSYS;
	if ((flags & ~MMA_ABI_FLAGS_ALL) != 0)
		return -EINVAL;
	struct outbound outbound;
	int err = outbound_get(edgeos, fwp, &outbound);
	if (err == 0)
		err = outbound_reserve(edgeos, fwp, &outbound);
	if (err < 0)
		return err;
	uint32_t position = outbound.head;
	outbound.slots[position & (outbound.count - 1)] = (struct mma_abi_descriptor){
		.address = buf,
		.len = len,
		.conn = conn,
		.flags = (uint16_t)flags,
	};
	__atomic_store_n(&outbound.ring->head, position + 1, __ATOMIC_RELEASE);
	edgeos_move(edgeos);
	return outbound_settle(edgeos, fwp, &outbound, position);
}

int edgeos_call_wait(struct fwp *fwp, uint32_t received, uint32_t sent, uint64_t timeout_ns)
{
	struct edgeos *edgeos = edgeos_of(fwp);
	if (edgeos == NULL)
		return -ENOSYS;
	edgeos_move(edgeos);
	uint64_t until_ns;
	if (__builtin_add_overflow(eos_now_ns(), timeout_ns, &until_ns))
		until_ns = UINT64_MAX;
	for (;;) {
		uint32_t completions = mma_port_completions(edgeos->port);
		int events = 0;
		if (mma_port_received(edgeos->port) != received)
			events |= MMA_EVENT_RECEIVED;
		if (mma_port_sent(edgeos->port) != sent)
			events |= MMA_EVENT_SENT;
		if (mma_port_is_dead(edgeos->port))
			return -EPIPE;
		if (events != 0 || (until_ns != UINT64_MAX && eos_now_ns() >= until_ns))
			return events;
		int err = edgeos_wait_port(edgeos, fwp, MMA_EVENT_RECEIVED | MMA_EVENT_SENT,
					   received, completions, until_ns);
		if (err < 0)
			return err;
	}
}

int edgeos_call_timer_set(struct fwp *fwp, uint32_t id, uint64_t delay_ns)
{
	struct edgeos *edgeos = edgeos_of(fwp);
	if (edgeos == NULL)
		return -ENOSYS;
	if (id >= EDGEOS_TIMERS_MAX)
		return -EINVAL;
	if (edgeos->handlers.timer == NULL)
		return -EOPNOTSUPP;
	edgeos_timer_start(edgeos, id, delay_ns);
	return 0;
}

int edgeos_call_log(struct fwp *fwp, uint32_t level, uint32_t text, uint32_t len)
{
	struct edgeos *edgeos = edgeos_of(fwp);
	if (edgeos == NULL)
		return -ENOSYS;
	if (level >= EDGEOS_LOG_LEVELS)
		return -EINVAL;
	const char *bytes = fwp_memory(fwp, text, len);
	if (bytes == NULL)
		return -EFAULT;
	if (edgeos->config.ops->log != NULL)
		edgeos->config.ops->log(edgeos->config.ctx, (enum edgeos_log_level)level, bytes,
					EOS_MIN(len, EDGEOS_LOG_BYTES_MAX));
	return 0;
}

/* A name of the guest as a string. */
static int name_get(struct fwp *fwp, uint32_t address, uint32_t len, char out[EDGEOS_NAME_MAX + 1])
{
	if (len > EDGEOS_NAME_MAX)
		return -ENAMETOOLONG;
	int err = wasi_copy_in(fwp, out, address, len);
	if (err < 0)
		return err;
	out[len] = '\0';
	return strlen(out) == len ? 0 : -EINVAL;
}

int edgeos_call_config(struct fwp *fwp, uint32_t key, uint32_t key_len, uint32_t out, uint32_t size)
{
	struct edgeos *edgeos = edgeos_of(fwp);
	if (edgeos == NULL)
		return -ENOSYS;
	char name[EDGEOS_NAME_MAX + 1];
	int err = name_get(fwp, key, key_len, name);
	if (err == 0)
		err = wasi_check_range(fwp, out, size);
	if (err < 0)
		return err;
	const struct edgeos_host_ops *ops = edgeos->config.ops;
	const char *value = ops->config != NULL ? ops->config(edgeos->config.ctx, name) : NULL;
	if (value == NULL)
		return -ENOENT;
	size_t len = strlen(value);
	if (len > INT32_MAX)
		return -EOVERFLOW;
	err = wasi_copy_out(fwp, out, value, EOS_MIN(len, (size_t)size));
	return err < 0 ? err : (int)len;
}

int edgeos_call_connection(struct fwp *fwp, uint32_t name, uint32_t len, uint32_t out)
{
	struct edgeos *edgeos = edgeos_of(fwp);
	if (edgeos == NULL)
		return -ENOSYS;
	char text[EDGEOS_NAME_MAX + 1];
	int err = name_get(fwp, name, len, text);
	if (err < 0)
		return err;
	for (unsigned i = 0; i < edgeos->connections_count; i++) {
		const struct edgeos_connection *connection = &edgeos->connections[i];
		if (strcmp(connection->name, text) == 0)
			return wasi_copy_out(fwp, out, &connection->handle,
					     sizeof(connection->handle));
	}
	return -ENOENT;
}
