/*
 * Guests for the tests of this folder: a memory with an inaccessible page behind it, an outbound
 * and an inbound ring at fixed places, and an owner that writes down what it is told.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "mma/mma.h"

#define GUEST_BYTES	 (4u << 20)
#define GUEST_BYTES_SEEN (1u << 20) /* accessible at first */
#define GUEST_OUT	 0x1000u
#define GUEST_IN	 0xa000u
#define GUEST_MESSAGES	 0x20000u
#define GUEST_BUFFERS	 0x60000u

struct guest {
	struct mma *mma;
	struct mma_port *port;
	uint8_t *memory;
	_Atomic uint64_t bytes;
	struct mma_abi_ring *out, *in;
	uint32_t out_count, in_count;
	uint32_t taken; /* inbound position of the next message */
	/* What the owner was told; atomic, as the mover may have a thread. */
	_Atomic unsigned wakes, events, faults, fault_status;
	_Atomic bool is_killed;
};

/* A port with rings of COUNT slots each; 0: without that ring. */
struct guest *guest_new(struct mma *mma, uint32_t out_count, uint32_t in_count);
struct guest *guest_free(struct guest *guest);

struct mma_abi_descriptor *guest_slot(struct mma_abi_ring *ring, uint32_t position);
/* Posts; no kick. */
void guest_send(struct guest *guest, uint32_t conn, uint32_t address, uint32_t len);
void guest_post(struct guest *guest, uint32_t address, uint32_t capacity);
/* The same and kick, for any descriptor. */
void guest_push(struct guest *guest, struct mma_abi_ring *ring,
		const struct mma_abi_descriptor *descriptor);
/* Status of the outbound slot at POSITION. */
unsigned guest_status(struct guest *guest, uint32_t position);
/* COUNT buffers of CAPACITY from GUEST_BUFFERS on. */
void guest_post_buffers(struct guest *guest, uint32_t count, uint32_t capacity);
/* The next message, or NULL: its inbound slot. */
struct mma_abi_descriptor *guest_take(struct guest *guest);

uint32_t connect_guests(struct guest *from, struct guest *to, enum mma_when_full when_full,
			uint32_t tag);
