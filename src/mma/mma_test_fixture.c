#include "mma/mma_test_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#define GUARD_BYTES 65536u

static void on_wake(void *ctx, unsigned events)
{
	struct guest *guest = ctx;
	atomic_fetch_or(&guest->events, events);
	atomic_fetch_add(&guest->wakes, 1);
}

static void on_fault(void *ctx, const struct mma_fault *fault)
{
	struct guest *guest = ctx;
	assert_non_null(fault->text);
	atomic_fetch_add(&guest->faults, fault->count);
	if (fault->count > 0)
		atomic_store(&guest->fault_status, fault->status);
	if (fault->is_dead)
		atomic_store(&guest->is_killed, true);
}

static const struct mma_port_ops ops = {.wake = on_wake, .fault = on_fault};

static struct mma_abi_ring *ring_init(struct guest *guest, uint32_t address, uint32_t count)
{
	struct mma_abi_ring *ring = (struct mma_abi_ring *)(void *)(guest->memory + address);
	ring->version = MMA_ABI_VERSION;
	ring->count = count;
	return ring;
}

struct guest *guest_new(struct mma *mma, uint32_t out_count, uint32_t in_count)
{
	struct guest *guest = calloc(1, sizeof(*guest));
	assert_non_null(guest);
	guest->memory = mmap(NULL, GUEST_BYTES + GUARD_BYTES, PROT_NONE,
			     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(guest->memory, MAP_FAILED);
	assert_int_equal(mprotect(guest->memory, GUEST_BYTES_SEEN, PROT_READ | PROT_WRITE), 0);
	atomic_init(&guest->bytes, GUEST_BYTES_SEEN);
	guest->mma = mma;
	guest->out_count = out_count;
	guest->in_count = in_count;
	struct mma_port_config config = {
		.memory = {guest->memory, &guest->bytes},
		.ops = &ops,
		.ctx = guest,
	};
	assert_int_equal(mma_port_new(mma, &config, &guest->port, NULL), 0);
	guest->out = ring_init(guest, GUEST_OUT, out_count);
	guest->in = ring_init(guest, GUEST_IN, in_count);
	assert_int_equal(mma_port_attach(guest->port, out_count > 0 ? GUEST_OUT : 0,
					 in_count > 0 ? GUEST_IN : 0),
			 0);
	return guest;
}

struct guest *guest_free(struct guest *guest)
{
	mma_port_free(guest->port);
	/* From now on the mover must not come near. */
	munmap(guest->memory, GUEST_BYTES + GUARD_BYTES);
	free(guest);
	return NULL;
}

struct mma_abi_descriptor *guest_slot(struct mma_abi_ring *ring, uint32_t position)
{
	return (struct mma_abi_descriptor *)(void *)(ring + 1) + (position & (ring->count - 1));
}

static void append(struct mma_abi_ring *ring, const struct mma_abi_descriptor *descriptor)
{
	*guest_slot(ring, ring->head) = *descriptor;
	__atomic_store_n(&ring->head, ring->head + 1, __ATOMIC_RELEASE);
}

void guest_send(struct guest *guest, uint32_t conn, uint32_t address, uint32_t len)
{
	append(guest->out,
	       &(struct mma_abi_descriptor){.address = address, .len = len, .conn = conn});
}

void guest_post(struct guest *guest, uint32_t address, uint32_t capacity)
{
	append(guest->in, &(struct mma_abi_descriptor){.address = address, .capacity = capacity});
}

void guest_push(struct guest *guest, struct mma_abi_ring *ring,
		const struct mma_abi_descriptor *descriptor)
{
	append(ring, descriptor);
	mma_kick(guest->port);
}

unsigned guest_status(struct guest *guest, uint32_t position)
{
	return __atomic_load_n(&guest_slot(guest->out, position)->status, __ATOMIC_RELAXED);
}

void guest_post_buffers(struct guest *guest, uint32_t count, uint32_t capacity)
{
	for (uint32_t i = 0; i < count; i++)
		guest_post(guest, GUEST_BUFFERS + i * capacity, capacity);
	mma_kick(guest->port);
}

struct mma_abi_descriptor *guest_take(struct guest *guest)
{
	if (mma_port_received(guest->port) == guest->taken)
		return NULL;
	return guest_slot(guest->in, guest->taken++);
}

uint32_t connect_guests(struct guest *from, struct guest *to, enum mma_when_full when_full,
			uint32_t tag)
{
	struct mma_connection_config config = {.when_full = when_full, .tag = tag};
	uint32_t handle = 0;
	assert_int_equal(mma_connect(from->port, to->port, &config, &handle), 0);
	assert_int_not_equal(handle, 0);
	return handle;
}
