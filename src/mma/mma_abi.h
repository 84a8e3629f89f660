/*
 * The rings between a guest and the memory mover, as they lie in the guest's own memory. This is
 * the contract with compiled guests: sdk/c/edgeos.h says the same in its own words, and
 * tests/lib/sdk_abi_test.c holds the two together.
 *
 * A ring is a struct mma_abi_ring, aligned to MMA_ABI_RING_ALIGN, and behind it COUNT descriptors.
 * COUNT is a power of two from 1 to MMA_ABI_COUNT_MAX. Positions are free-running 32-bit numbers;
 * position p is in slot p % COUNT.
 *
 * Outbound: the guest fills in address, len, conn, flags, cookie and sets status to
 * MMA_ABI_PENDING, moves head on, and kicks. The mover writes status when it has dealt with the
 * descriptor, also out of order when messages of other connections have to wait; tail is the
 * first that it has not dealt with. A slot may be used again, and its message overwritten, when
 * tail is beyond it.
 *
 * Inbound: the guest posts empty buffers: address, capacity, cookie, status MMA_ABI_PENDING, head
 * moved on, kick. The mover fills them in order: it writes len, conn and status, then tail. A
 * buffer that is not in the guest's memory comes back with MMA_ABI_FAULT and no message.
 *
 * A guest's compiler may reorder ordinary stores, so what it wrote counts from its next host call
 * on (kick, send, wait), and what the mover wrote is to be read after one.
 */
#pragma once

#include <assert.h>
#include <stddef.h>
#include <stdint.h>

#define MMA_ABI_VERSION	   1u
#define MMA_ABI_RING_ALIGN 64u
#define MMA_ABI_COUNT_MAX  1024u

/* Complete with MMA_ABI_DROPPED instead of waiting for the receiver's buffers. */
#define MMA_ABI_FLAG_NO_WAIT 1u
#define MMA_ABI_FLAGS_ALL    MMA_ABI_FLAG_NO_WAIT

enum mma_abi_status {
	MMA_ABI_PENDING = 0,
	MMA_ABI_DONE = 1,
	MMA_ABI_FAULT = 2,	/* address, len or capacity is not inside one's own memory */
	MMA_ABI_TOO_LONG = 3,	/* beyond the connection's limit */
	MMA_ABI_BAD_HANDLE = 4, /* conn: no connection, a closed one, one without the right */
	MMA_ABI_BAD_FLAGS = 5,	/* flags, status or reserved bits that must be zero */
	MMA_ABI_DROPPED = 6,	/* the receiver had no buffer, and the message was not to wait */
	MMA_ABI_TOO_SMALL = 7,	/* the receiver's next buffer is smaller than the message */
	MMA_ABI_GONE = 8,	/* the receiver is no more */
};

struct mma_abi_descriptor {
	uint32_t address;
	uint32_t len;
	uint32_t conn; /* outbound: a handle; inbound: whose message it is, as the host named it */
	uint32_t capacity; /* inbound only */
	uint16_t flags;	   /* outbound only */
	uint16_t status;   /* enum mma_abi_status */
	uint32_t reserved; /* 0 */
	uint64_t cookie;   /* the guest's own; never looked at */
};
static_assert(sizeof(struct mma_abi_descriptor) == 32, "another layout is another version");
static_assert(offsetof(struct mma_abi_descriptor, len) == 4, "len");
static_assert(offsetof(struct mma_abi_descriptor, conn) == 8, "conn");
static_assert(offsetof(struct mma_abi_descriptor, capacity) == 12, "capacity");
static_assert(offsetof(struct mma_abi_descriptor, flags) == 16, "flags");
static_assert(offsetof(struct mma_abi_descriptor, status) == 18, "status");
static_assert(offsetof(struct mma_abi_descriptor, reserved) == 20, "reserved");
static_assert(offsetof(struct mma_abi_descriptor, cookie) == 24, "cookie");

struct mma_abi_ring {
	uint32_t version; /* these four are read once, when the ring is attached */
	uint32_t count;
	uint32_t flags; /* 0 */
	uint32_t reserved[13];
	uint32_t head; /* the guest's */
	uint32_t reserved2[15];
	uint32_t tail; /* the mover's */
	uint32_t reserved3[15];
};
static_assert(sizeof(struct mma_abi_ring) == 192, "another layout is another version");
static_assert(offsetof(struct mma_abi_ring, count) == 4, "count");
static_assert(offsetof(struct mma_abi_ring, flags) == 8, "flags");
static_assert(offsetof(struct mma_abi_ring, head) == 64, "head");
static_assert(offsetof(struct mma_abi_ring, tail) == 128, "tail");
