/*
 * The memory movement accelerator (MMA): the only way in which bytes cross from one FWP to another,
 * or between an FWP and the host.
 *
 * Concepts
 * - A port is one side: a memory, an outbound and an inbound ring of descriptors in it (mma_abi.h),
 *   a table of capabilities (mma_caps.h) and its owner's callbacks. FWPs have one each; the host's
 *   own side is in mma_host.h.
 * - A connection leads from one port's outbound to another's inbound ring. The sender names it by a
 *   handle; the receiver gets the tag that the host chose, so a sender cannot pretend to be
 *   another.
 * - The mover (struct mma) takes descriptors, checks them against the sender's and the receiver's
 *   bounds, copies, and wakes. It runs either inline, whenever the owner's thread calls
 *   mma_move(), or on a thread of its own (mma_thread_start()).
 *
 * Trust: a guest's memory can change at any moment, from any core. The mover reads each shared
 * field once, checks the copy, and keeps its own positions in private memory. A bad descriptor
 * is dropped with a status, counted, and reported to its port's owner; a ring whose head is
 * nonsense kills the port. Neither touches anybody else.
 *
 * Back-pressure: a message whose receiver has posted no buffer waits in the sender's ring, or is
 * dropped, as its connection says. Messages of one connection stay in order; those of other
 * connections pass it by.
 *
 * Fairness: deficit round robin. Ports take turns; a turn is MMA_QUANTUM bytes, a message costs
 * its length and MMA_MESSAGE_COST, and one longer than a turn waits until its port has saved enough
 * turns.
 *
 * Threads: inline, everything is the owner's thread. With a thread of its own, mma_kick() and the
 * positions' accessors are for any thread, and the functions that make, join and free wait until
 * the mover is between two turns (microseconds; a turn may be one message of the greatest length)
 * and then have it stand still. It is started and stopped while nobody else uses it. Callbacks run
 * inside a turn, on the mover's thread: they may kick, but not call anything that makes, joins
 * or frees.
 *
 * Moving does not allocate, lock, log or call the kernel.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"
#include "mma/mma_abi.h"

#define MMA_MESSAGE_BYTES_MAX (1u << 20)
#define MMA_QUANTUM	      (16u << 10)
#define MMA_MESSAGE_COST      64u
#define MMA_TURN_DESCRIPTORS  64u /* the most that a turn looks at */
#define MMA_HANDLES_DEFAULT   64u
#define MMA_SPIN_NS_DEFAULT   UINT64_C(50000)

struct mma;
struct mma_port;

/* LEN bytes are accessible from BASE on, and more as it grows; both pointers are borrowed. BASE
 * never moves and LEN never shrinks while the port is there. */
struct mma_memory {
	uint8_t *base;
	const _Atomic uint64_t *bytes;
};

enum mma_event {
	MMA_EVENT_RECEIVED = 1, /* buffers of the inbound ring were filled (or came back bad) */
	MMA_EVENT_SENT = 2,	/* descriptors of the outbound ring were dealt with */
};

/* What a port did wrong, since it was last reported. */
struct mma_fault {
	unsigned count;		    /* bad descriptors */
	enum mma_abi_status status; /* of the first of them */
	bool is_dead;		    /* a ring is nonsense: the port moves nothing any more */
	const char *text;	    /* static */
};

/* Called inside a turn; see above. Either may be NULL. */
struct mma_port_ops {
	/* What mma_port_prepare_wait() asked for has come. */
	void (*wake)(void *ctx, unsigned events);
	void (*fault)(void *ctx, const struct mma_fault *fault);
};

struct mma_port_config {
	struct mma_memory memory;
	const struct mma_port_ops *ops; /* borrowed; NULL: none */
	void *ctx;
	unsigned handles_max; /* 0: MMA_HANDLES_DEFAULT */
};

enum mma_when_full {
	MMA_WAIT, /* in the sender's ring */
	MMA_DROP,
};

struct mma_connection_config {
	uint32_t len_max; /* bytes; 0: MMA_MESSAGE_BYTES_MAX, which is the most */
	enum mma_when_full when_full;
	uint32_t tag; /* what the receiver sees in conn */
};

/* Counted since the port was made. Readable by any thread; each figure by itself is exact. */
struct mma_port_stats {
	uint64_t sent, sent_bytes, received, received_bytes;
	uint64_t dropped; /* outbound: dropped, too small, gone */
	uint64_t faults;  /* bad descriptors of either ring */
};

/* -ENOMEM. */
int mma_new(struct mma **ret_mma) EOS_MUST_CHECK;
/* Stops its thread. Its ports must have been freed. NULL is fine. */
struct mma *mma_free(struct mma *mma);

/* -EINVAL, -ENOMEM. */
int mma_port_new(struct mma *mma, const struct mma_port_config *config, struct mma_port **ret_port,
		 struct eos_why *why) EOS_MUST_CHECK;
/* When it returns the mover does not, and will not, touch the port's memory or call its ops.
 * Connections to it answer MMA_ABI_GONE from now on. NULL is fine. */
struct mma_port *mma_port_free(struct mma_port *port);

/*
 * Where the rings are, in the port's memory; 0: it has none of this kind. Once for each ring.
 * -EFAULT: not inside the memory or not aligned; -EINVAL: another version, a bad count, reserved
 * bits; -EEXIST: there is one. After an error nothing is attached.
 */
int mma_port_attach(struct mma_port *port, uint32_t out_address,
		    uint32_t in_address) EOS_MUST_CHECK;

/* The same for rings that were in use elsewhere: memory that is a copy of another port's, at the
 * positions that it was at. */
struct mma_rings {
	uint32_t out_address, in_address; /* 0: it has none */
	uint32_t sent, received;
};
int mma_port_attach_rings(struct mma_port *port, const struct mma_rings *rings) EOS_MUST_CHECK;
/* What another port over a copy of the memory has to be given. */
void mma_port_rings(const struct mma_port *port, struct mma_rings *ret_rings);

/* CONFIG may be NULL. RET_HANDLE is the sender's. -EINVAL: a port of another mover, to itself or
 * to one with the same memory, or len_max out of range; -EMFILE: the sender's table is full;
 * -ENOMEM. */
int mma_connect(struct mma_port *sender, struct mma_port *receiver,
		const struct mma_connection_config *config, uint32_t *ret_handle) EOS_MUST_CHECK;
/* One in each direction; the tag that each side sees is its own handle for the answer. */
int mma_connect_pair(struct mma_port *a, struct mma_port *b,
		     const struct mma_connection_config *config, uint32_t *ret_a,
		     uint32_t *ret_b) EOS_MUST_CHECK;
/* The handle is stale from now on. -EBADF. */
int mma_disconnect(struct mma_port *sender, uint32_t handle) EOS_MUST_CHECK;

/* Something was put into one of the port's rings. Any thread, if the mover has one of its own. */
void mma_kick(struct mma_port *port);
/* The same after buffers were posted, and cheaper: does nothing unless somebody waits for them. */
void mma_posted(struct mma_port *port);

/*
 * Inline: moves until BUDGET (bytes and costs, as above) is used up or nothing can be moved. Not
 * inside callbacks, nor while the mover has a thread. Returns how many messages it delivered.
 */
uint64_t mma_move(struct mma *mma, uint64_t budget);
/* The same for what PORT sends, and no other's: for a host call of its FWP, on whose time it is.
 * Includes the kick. Those who waited for PORT's buffers are left to mma_move(). */
uint64_t mma_move_port(struct mma_port *port, uint64_t budget);
/* Brings the process's counters up to date: what is moved is added to them now and then only. Where
 * mma_move() may be called; a mover's thread does it by itself. */
void mma_count(struct mma *mma);
/* Nothing was kicked, and what waits waits for buffers. */
bool mma_is_idle(const struct mma *mma);

struct mma_thread_config {
	int cpu;	  /* pinned to it; -1: not */
	uint64_t spin_ns; /* how long it looks for work before it sleeps */
};
/* CONFIG may be NULL: not pinned, MMA_SPIN_NS_DEFAULT. -EBUSY: it has one; -EAGAIN, -EINVAL. */
int mma_thread_start(struct mma *mma, const struct mma_thread_config *config,
		     struct eos_why *why) EOS_MUST_CHECK;
/* Harmless when there is none. What was kicked is left for mma_move(). */
void mma_thread_stop(struct mma *mma);
bool mma_has_thread(const struct mma *mma);

/* Positions up to which the rings were dealt with: the private truth behind `tail`. */
uint32_t mma_port_sent(const struct mma_port *port);
uint32_t mma_port_received(const struct mma_port *port);
/* Messages handed over or dropped, in any order: changes whenever MMA_EVENT_SENT would come. */
uint32_t mma_port_completions(const struct mma_port *port);
/* How far each ring was attached: its address and count; 0, 0 when it is not. */
void mma_port_out_ring(const struct mma_port *port, uint32_t *ret_address, uint32_t *ret_count);
void mma_port_in_ring(const struct mma_port *port, uint32_t *ret_address, uint32_t *ret_count);
bool mma_port_is_dead(const struct mma_port *port);
void mma_port_stats(const struct mma_port *port, struct mma_port_stats *ret_stats);

/*
 * Before sleeping: asks for ops->wake() at the next of EVENTS, once. False, and nothing asked, when
 * RECEIVED or COMPLETIONS is no longer what the accessor says, or the port is dead: there is
 * something to do. The port's own thread.
 */
bool mma_port_prepare_wait(struct mma_port *port, unsigned events, uint32_t received,
			   uint32_t completions);
