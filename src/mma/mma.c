/*
 * Making, joining and freeing: what changes the mover's structures from outside of it. Each
 * function checks and allocates first, then has the mover stand still, and changes.
 *
 * A connection belongs to its sender: it lives in the sender's table of capabilities until it is
 * disconnected or the sender's port is freed. When the receiver goes first, the connection stays
 * with no receiver, so that the sender learns MMA_ABI_GONE instead of being blamed for a handle
 * that was good.
 */
#include "mma/mma.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "mma/mma_priv.h"

static const struct mma_port_ops no_ops = {0};

int mma_new(struct mma **ret_mma)
{
	struct mma *mma = aligned_alloc(alignof(struct mma), sizeof(*mma));
	if (mma == NULL)
		return -ENOMEM;
	*mma = (struct mma){0};
	eos_list_init(&mma->ready);
	int err = pthread_mutex_init(&mma->control, NULL);
	if (err != 0) {
		free(mma);
		return -err;
	}
	*ret_mma = mma;
	return 0;
}

struct mma *mma_free(struct mma *mma)
{
	if (mma == NULL)
		return NULL;
	mma_thread_stop(mma);
	EOS_ASSERT(mma->ports_count == 0);
	mma_count(mma);
	pthread_mutex_destroy(&mma->control);
	free(mma);
	return NULL;
}

int mma_port_new(struct mma *mma, const struct mma_port_config *config, struct mma_port **ret_port,
		 struct eos_why *why)
{
	if (config->memory.base == NULL || config->memory.bytes == NULL ||
	    (uintptr_t)config->memory.base % MMA_ABI_RING_ALIGN != 0)
		return eos_why(why, -EINVAL, "a port's memory must be there, aligned to %u",
			       MMA_ABI_RING_ALIGN);
	if (config->handles_max > MMA_CAPS_MAX)
		return eos_why(why, -EINVAL, "%u handles are beyond %u", config->handles_max,
			       MMA_CAPS_MAX);
	struct mma_port *port = aligned_alloc(alignof(struct mma_port), sizeof(*port));
	if (port == NULL)
		return eos_why(why, -ENOMEM, "no memory for a port");
	*port = (struct mma_port){
		.mma = mma,
		.memory = config->memory,
		.ops = config->ops != NULL ? config->ops : &no_ops,
		.ctx = config->ctx,
		.pass = 1,
	};
	int err = mma_caps_init(&port->caps, config->handles_max != 0 ? config->handles_max
								      : MMA_HANDLES_DEFAULT);
	if (err < 0) {
		free(port);
		return eos_why(why, err, "no memory for a port");
	}
	eos_list_init(&port->ready_node);
	eos_list_init(&port->incoming);
	eos_list_init(&port->waiters);
	mma_control_begin(mma);
	mma->ports_count++;
	mma_control_end(mma);
	*ret_port = port;
	return 0;
}

/* The mover stands still. */
static void connection_free(struct mma_connection *connection)
{
	eos_list_remove(&connection->node);
	eos_list_remove(&connection->wait_node);
	free(connection);
}

struct mma_port *mma_port_free(struct mma_port *port)
{
	if (port == NULL)
		return NULL;
	struct mma *mma = port->mma;
	mma_control_begin(mma);
	mma_drain_kicked(mma);
	mma_release_waiters(port);
	EOS_LIST_FOR_EACH (node, &port->incoming) {
		EOS_CONTAINER_OF(node, struct mma_connection, node)->receiver = NULL;
		eos_list_remove(node);
	}
	for (uint32_t i = 0; i < port->caps.count; i++)
		if (port->caps.entries[i].kind == MMA_CAP_CONNECTION)
			connection_free(port->caps.entries[i].object);
	eos_list_remove(&port->ready_node);
	mma->ports_count--;
	mma_control_end(mma);
	mma_caps_fini(&port->caps);
	free(port);
	return NULL;
}

/* Fills in RING from what the guest wrote at ADDRESS. */
static int open_ring(const struct mma_port *port, uint32_t address, struct mma_ring *ret_ring)
{
	uint64_t bytes = atomic_load_explicit(port->memory.bytes, memory_order_acquire);
	if (address % MMA_ABI_RING_ALIGN != 0 || address > bytes ||
	    bytes - address < sizeof(struct mma_abi_ring))
		return -EFAULT;
	struct mma_abi_ring *shared = (struct mma_abi_ring *)(void *)(port->memory.base + address);
	uint32_t version = __atomic_load_n(&shared->version, __ATOMIC_RELAXED);
	uint32_t count = __atomic_load_n(&shared->count, __ATOMIC_RELAXED);
	uint32_t flags = __atomic_load_n(&shared->flags, __ATOMIC_RELAXED);
	if (version != MMA_ABI_VERSION || flags != 0 || count == 0 || count > MMA_ABI_COUNT_MAX ||
	    (count & (count - 1)) != 0)
		return -EINVAL;
	if (bytes - address - sizeof(*shared) < (uint64_t)count * sizeof(struct mma_abi_descriptor))
		return -EFAULT;
	*ret_ring = (struct mma_ring){
		.shared = shared,
		.slots = (struct mma_abi_descriptor *)(void *)(shared + 1),
		.mask = count - 1,
		.address = address,
	};
	return 0;
}

/* The mover stands still; what is not attached stays so. */
static void attach_locked(struct mma_port *port, const struct mma_rings *rings,
			  const struct mma_ring *out, const struct mma_ring *in)
{
	if (rings->out_address != 0) {
		port->out = *out;
		port->out.tail = port->out.head = port->cursor = rings->sent;
		atomic_store_explicit(&port->sent, rings->sent, memory_order_release);
		__atomic_store_n(&out->shared->tail, rings->sent, __ATOMIC_RELEASE);
	}
	if (rings->in_address != 0) {
		port->in = *in;
		port->in.tail = port->in.head = rings->received;
		atomic_store_explicit(&port->received, rings->received, memory_order_release);
		__atomic_store_n(&in->shared->tail, rings->received, __ATOMIC_RELEASE);
	}
	/* What is in the rings already counts, and who waited for buffers may find some. */
	mma_make_ready(port);
}

int mma_port_attach_rings(struct mma_port *port, const struct mma_rings *rings)
{
	/* Only the port's own thread attaches, so the pointers may be looked at here. */
	if ((rings->out_address != 0 && port->out.shared != NULL) ||
	    (rings->in_address != 0 && port->in.shared != NULL))
		return -EEXIST;
	struct mma_ring out, in;
	int err = rings->out_address != 0 ? open_ring(port, rings->out_address, &out) : 0;
	if (err == 0 && rings->in_address != 0)
		err = open_ring(port, rings->in_address, &in);
	if (err < 0)
		return err;
	mma_control_begin(port->mma);
	attach_locked(port, rings, &out, &in);
	mma_control_end(port->mma);
	return 0;
}

int mma_port_attach(struct mma_port *port, uint32_t out_address, uint32_t in_address)
{
	return mma_port_attach_rings(
		port, &(struct mma_rings){.out_address = out_address, .in_address = in_address});
}

void mma_port_rings(const struct mma_port *port, struct mma_rings *ret_rings)
{
	*ret_rings = (struct mma_rings){
		.out_address = port->out.address,
		.in_address = port->in.address,
		.sent = mma_port_sent(port),
		.received = mma_port_received(port),
	};
}

/* CONFIG is checked. The mover stands still. */
static int connect_locked(struct mma_port *sender, struct mma_port *receiver,
			  const struct mma_connection_config *config,
			  struct mma_connection *connection)
{
	*connection = (struct mma_connection){
		.sender = sender,
		.receiver = receiver,
		.tag = config->tag,
		.len_max = config->len_max != 0 ? config->len_max : MMA_MESSAGE_BYTES_MAX,
		.when_full = config->when_full,
	};
	int err = mma_caps_grant(&sender->caps, MMA_CAP_CONNECTION, MMA_RIGHT_SEND, connection,
				 &connection->handle);
	if (err < 0)
		return err;
	eos_list_init(&connection->wait_node);
	eos_list_add_tail(&receiver->incoming, &connection->node);
	return 0;
}

static int check_connect(const struct mma_port *sender, const struct mma_port *receiver,
			 const struct mma_connection_config *config)
{
	/* Within one memory a message could overlap the buffer that it is copied to. */
	if (sender->mma != receiver->mma || sender->memory.base == receiver->memory.base)
		return -EINVAL;
	if (config->len_max > MMA_MESSAGE_BYTES_MAX || (unsigned)config->when_full > MMA_DROP)
		return -EINVAL;
	return 0;
}

int mma_connect(struct mma_port *sender, struct mma_port *receiver,
		const struct mma_connection_config *config, uint32_t *ret_handle)
{
	static const struct mma_connection_config defaults = {0};
	if (config == NULL)
		config = &defaults;
	int err = check_connect(sender, receiver, config);
	if (err < 0)
		return err;
	struct mma_connection *connection = malloc(sizeof(*connection));
	if (connection == NULL)
		return -ENOMEM;
	mma_control_begin(sender->mma);
	err = connect_locked(sender, receiver, config, connection);
	mma_control_end(sender->mma);
	if (err < 0) {
		free(connection);
		return err;
	}
	*ret_handle = connection->handle;
	return 0;
}

int mma_connect_pair(struct mma_port *a, struct mma_port *b,
		     const struct mma_connection_config *config, uint32_t *ret_a, uint32_t *ret_b)
{
	uint32_t from_a, from_b;
	int err = mma_connect(a, b, config, &from_a);
	if (err < 0)
		return err;
	err = mma_connect(b, a, config, &from_b);
	if (err < 0) {
		EOS_ASSERT(mma_disconnect(a, from_a) == 0);
		return err;
	}
	mma_control_begin(a->mma);
	struct mma_connection *of_a = mma_caps_get(&a->caps, from_a)->object;
	struct mma_connection *of_b = mma_caps_get(&b->caps, from_b)->object;
	of_a->tag = from_b;
	of_b->tag = from_a;
	mma_control_end(a->mma);
	*ret_a = from_a;
	*ret_b = from_b;
	return 0;
}

int mma_disconnect(struct mma_port *sender, uint32_t handle)
{
	mma_control_begin(sender->mma);
	void *object;
	int err = mma_caps_find(&sender->caps, handle, MMA_CAP_CONNECTION, 0, &object);
	if (err == 0) {
		struct mma_connection *connection = object;
		err = mma_caps_revoke(&sender->caps, handle);
		/* A message that waits is looked at again, and found to have no connection. */
		if (!eos_list_is_empty(&connection->wait_node)) {
			sender->cursor = sender->out.tail;
			sender->pass++;
			mma_make_ready(sender);
		}
		connection_free(connection);
	}
	mma_control_end(sender->mma);
	return err;
}

uint32_t mma_port_sent(const struct mma_port *port)
{
	return atomic_load_explicit(&port->sent, memory_order_acquire);
}

uint32_t mma_port_received(const struct mma_port *port)
{
	return atomic_load_explicit(&port->received, memory_order_acquire);
}

uint32_t mma_port_completions(const struct mma_port *port)
{
	return atomic_load_explicit(&port->completions, memory_order_acquire);
}

static void describe_ring(const struct mma_ring *ring, uint32_t *ret_address, uint32_t *ret_count)
{
	*ret_address = ring->address;
	*ret_count = ring->shared != NULL ? ring->mask + 1 : 0;
}

void mma_port_out_ring(const struct mma_port *port, uint32_t *ret_address, uint32_t *ret_count)
{
	describe_ring(&port->out, ret_address, ret_count);
}

void mma_port_in_ring(const struct mma_port *port, uint32_t *ret_address, uint32_t *ret_count)
{
	describe_ring(&port->in, ret_address, ret_count);
}

bool mma_port_is_dead(const struct mma_port *port)
{
	return atomic_load_explicit(&port->is_dead, memory_order_acquire);
}

static uint64_t figure(const _Atomic uint64_t *value)
{
	return atomic_load_explicit(value, memory_order_relaxed);
}

void mma_port_stats(const struct mma_port *port, struct mma_port_stats *ret_stats)
{
	*ret_stats = (struct mma_port_stats){
		.sent = figure(&port->stats_sent),
		.sent_bytes = figure(&port->stats_sent_bytes),
		.received = figure(&port->stats_received),
		.received_bytes = figure(&port->stats_received_bytes),
		.dropped = figure(&port->stats_dropped),
		.faults = figure(&port->stats_faults),
	};
}

bool mma_port_prepare_wait(struct mma_port *port, unsigned events, uint32_t received,
			   uint32_t completions)
{
	/* A mover with a thread publishes first and then looks for the wish: so this comes before
	 * what follows. */
	atomic_store_explicit(&port->wants, events, memory_order_relaxed);
	if (port->mma->has_thread)
		atomic_thread_fence(memory_order_seq_cst);
	bool has_received = (events & MMA_EVENT_RECEIVED) != 0 &&
			    atomic_load_explicit(&port->received, memory_order_acquire) != received;
	bool has_sent =
		(events & MMA_EVENT_SENT) != 0 &&
		atomic_load_explicit(&port->completions, memory_order_acquire) != completions;
	if (!has_received && !has_sent && !mma_port_is_dead(port))
		return true;
	atomic_store_explicit(&port->wants, 0, memory_order_relaxed);
	return false;
}
