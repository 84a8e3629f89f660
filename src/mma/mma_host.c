/*
 * Memory of a host port: outbound ring, inbound ring, outbound buffers, inbound buffers. Buffer i
 * belongs to slot i, so that no list of free buffers is needed; slots whose turn is over out of
 * order rest until those before them are done.
 */
#include "mma/mma_host.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define COUNT_DEFAULT  64u
#define BUFFER_DEFAULT 2048u

struct side {
	struct mma_abi_ring *ring;
	struct mma_abi_descriptor *slots;
	uint8_t *buffers;
	uint32_t count;
	uint32_t head; /* ours; what the ring says is a copy for the mover */
};

struct mma_host {
	struct mma_port *port;
	uint8_t *memory; /* owned */
	_Atomic uint64_t memory_bytes;
	struct side out, in;
	uint32_t buffer_bytes;
	uint32_t taken; /* inbound: position of the next message to be looked at */
	bool is_reserved;
};

static uint64_t ring_bytes(uint32_t count)
{
	return sizeof(struct mma_abi_ring) + (uint64_t)count * sizeof(struct mma_abi_descriptor);
}

static int check_config(struct mma_host_config *config, struct eos_why *why)
{
	if (config->out_count == 0)
		config->out_count = COUNT_DEFAULT;
	if (config->in_count == 0)
		config->in_count = COUNT_DEFAULT;
	if (config->buffer_bytes == 0)
		config->buffer_bytes = BUFFER_DEFAULT;
	if (config->buffer_bytes > MMA_MESSAGE_BYTES_MAX)
		return eos_why(why, -EINVAL, "buffers of %u bytes are beyond %u",
			       config->buffer_bytes, MMA_MESSAGE_BYTES_MAX);
	/* That they are powers of two is checked where the rings are attached. */
	if (config->out_count > MMA_ABI_COUNT_MAX || config->in_count > MMA_ABI_COUNT_MAX)
		return eos_why(why, -EINVAL, "a ring has at most %u slots", MMA_ABI_COUNT_MAX);
	config->buffer_bytes = EOS_ALIGN_UP(config->buffer_bytes, 64u);
	return 0;
}

/* The mover's own checks are for both sides; what the host writes here is right. */
static void side_init(struct mma_host *host, struct side *side, uint32_t count, uint8_t **at,
		      uint8_t **buffers)
{
	side->ring = (struct mma_abi_ring *)(void *)*at;
	side->slots = (struct mma_abi_descriptor *)(void *)(side->ring + 1);
	side->count = count;
	side->ring->version = MMA_ABI_VERSION;
	side->ring->count = count;
	side->buffers = *buffers;
	*at += EOS_ALIGN_UP(ring_bytes(count), (uint64_t)MMA_ABI_RING_ALIGN);
	*buffers += (uint64_t)count * host->buffer_bytes;
}

static uint32_t address_of(const struct mma_host *host, const void *at)
{
	return (uint32_t)((const uint8_t *)at - host->memory);
}

static uint8_t *buffer_of(const struct mma_host *host, const struct side *side, uint32_t position)
{
	return side->buffers + (uint64_t)(position & (side->count - 1)) * host->buffer_bytes;
}

static void publish_head(struct side *side)
{
	side->head++;
	__atomic_store_n(&side->ring->head, side->head, __ATOMIC_RELEASE);
}

static void post_buffer(struct mma_host *host)
{
	struct side *in = &host->in;
	in->slots[in->head & (in->count - 1)] = (struct mma_abi_descriptor){
		.address = address_of(host, buffer_of(host, in, in->head)),
		.capacity = host->buffer_bytes,
	};
	publish_head(in);
}

static int allocate(struct mma_host *host, const struct mma_host_config *config)
{
	uint64_t out_ring =
		EOS_ALIGN_UP(ring_bytes(config->out_count), (uint64_t)MMA_ABI_RING_ALIGN);
	uint64_t in_ring = EOS_ALIGN_UP(ring_bytes(config->in_count), (uint64_t)MMA_ABI_RING_ALIGN);
	/* Address 0 means no ring, so nothing begins there. */
	uint64_t rings = MMA_ABI_RING_ALIGN + out_ring + in_ring;
	uint64_t slots = (uint64_t)config->out_count + config->in_count;
	uint64_t bytes = rings + slots * config->buffer_bytes;
	if (bytes > UINT32_MAX)
		return -EINVAL;
	host->memory = aligned_alloc(MMA_ABI_RING_ALIGN, bytes);
	if (host->memory == NULL)
		return -ENOMEM;
	memset(host->memory, 0, rings);
	atomic_init(&host->memory_bytes, bytes);
	host->buffer_bytes = config->buffer_bytes;
	uint8_t *at = host->memory + MMA_ABI_RING_ALIGN;
	uint8_t *buffers = host->memory + rings;
	side_init(host, &host->out, config->out_count, &at, &buffers);
	side_init(host, &host->in, config->in_count, &at, &buffers);
	return 0;
}

int mma_host_new(struct mma *mma, const struct mma_host_config *config, struct mma_host **ret_host,
		 struct eos_why *why)
{
	struct mma_host_config checked = config != NULL ? *config : (struct mma_host_config){0};
	int err = check_config(&checked, why);
	if (err < 0)
		return err;
	struct mma_host *host = calloc(1, sizeof(*host));
	if (host == NULL)
		return eos_why(why, -ENOMEM, "no memory for the host's port");
	err = allocate(host, &checked);
	if (err < 0) {
		mma_host_free(host);
		return eos_why(why, err, "no memory for the buffers of the host's port");
	}
	struct mma_port_config port_config = {
		.memory = {host->memory, &host->memory_bytes},
		.ops = checked.ops,
		.ctx = checked.ctx,
		.handles_max = checked.handles_max,
	};
	err = mma_port_new(mma, &port_config, &host->port, why);
	if (err < 0) {
		mma_host_free(host);
		return err;
	}
	for (uint32_t i = 0; i < host->in.count; i++)
		post_buffer(host);
	err = mma_port_attach(host->port, address_of(host, host->out.ring),
			      address_of(host, host->in.ring));
	if (err < 0) {
		mma_host_free(host);
		return eos_why(why, err, "the number of slots must be a power of two");
	}
	*ret_host = host;
	return 0;
}

struct mma_host *mma_host_free(struct mma_host *host)
{
	if (host == NULL)
		return NULL;
	mma_port_free(host->port);
	free(host->memory);
	free(host);
	return NULL;
}

struct mma_port *mma_host_port(struct mma_host *host)
{
	return host->port;
}

static bool has_room(const struct mma_host *host)
{
	return host->out.head - mma_port_sent(host->port) < host->out.count;
}

int mma_host_reserve(struct mma_host *host, uint8_t **ret_data, uint32_t *ret_size)
{
	if (!has_room(host))
		return -EAGAIN;
	host->is_reserved = true;
	*ret_data = buffer_of(host, &host->out, host->out.head);
	*ret_size = host->buffer_bytes;
	return 0;
}

int mma_host_commit(struct mma_host *host, uint32_t handle, uint32_t len)
{
	struct side *out = &host->out;
	if (!host->is_reserved)
		return -EAGAIN;
	if (len > host->buffer_bytes)
		return -EMSGSIZE;
	host->is_reserved = false;
	out->slots[out->head & (out->count - 1)] = (struct mma_abi_descriptor){
		.address = address_of(host, buffer_of(host, out, out->head)),
		.len = len,
		.conn = handle,
	};
	publish_head(out);
	mma_kick(host->port);
	return 0;
}

int mma_host_send(struct mma_host *host, uint32_t handle, const void *data, uint32_t len)
{
	uint8_t *buffer;
	uint32_t size;
	int err = mma_host_reserve(host, &buffer, &size);
	if (err < 0)
		return err;
	if (len > size)
		return -EMSGSIZE;
	if (len > 0)
		memcpy(buffer, data, len);
	return mma_host_commit(host, handle, len);
}

int mma_host_peek(struct mma_host *host, struct mma_host_message *ret_message)
{
	if (host->taken == mma_port_received(host->port))
		return 0;
	const struct mma_abi_descriptor *slot = &host->in.slots[host->taken & (host->in.count - 1)];
	/* All buffers here are good, so each that came back has a message. */
	EOS_DCHECK(slot->status == MMA_ABI_DONE);
	*ret_message = (struct mma_host_message){
		.conn = slot->conn,
		.len = slot->len,
		.data = buffer_of(host, &host->in, host->taken),
	};
	return 1;
}

void mma_host_release(struct mma_host *host)
{
	EOS_ASSERT(host->taken != mma_port_received(host->port));
	host->taken++;
	post_buffer(host);
	mma_posted(host->port);
}

bool mma_host_prepare_wait(struct mma_host *host, bool for_room)
{
	uint32_t completions = mma_port_completions(host->port);
	if (for_room && has_room(host))
		return false;
	unsigned events = MMA_EVENT_RECEIVED | (for_room ? MMA_EVENT_SENT : 0u);
	return mma_port_prepare_wait(host->port, events, host->taken, completions);
}
