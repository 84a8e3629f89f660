/*
 * Inside of src/mma. Who owns which field, and the two functions by which everybody but the mover
 * gets at the mover's.
 */
#pragma once

#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>

#include "base/list.h"
#include "mma/mma.h"
#include "mma/mma_caps.h"

#define MMA_COUNT_WORDS (MMA_ABI_COUNT_MAX / 64u)

struct mma_connection {
	struct mma_port *sender;
	struct mma_port *receiver; /* NULL: gone */
	struct eos_list node;	   /* of the receiver's incoming */
	struct eos_list wait_node; /* of the receiver's waiters; in no list when it does not wait */
	uint32_t handle;
	uint32_t tag;
	uint32_t len_max;
	uint64_t stalled_pass; /* the sender's pass in which a message of it had to wait */
	enum mma_when_full when_full;
};

/* A ring as the mover sees it; the pointers lead into the guest's memory. */
struct mma_ring {
	struct mma_abi_ring *shared; /* NULL: not attached */
	struct mma_abi_descriptor *slots;
	uint32_t mask;
	uint32_t address; /* of SHARED, as the guest named it */
	uint32_t tail;	  /* the truth; what is in shared memory is a copy for the guest */
	uint32_t head;	  /* as last seen: never more than COUNT beyond tail */
};

struct mma_port {
	/* Fixed after mma_port_new(). */
	struct mma *mma;
	struct mma_memory memory;
	const struct mma_port_ops *ops;
	void *ctx;

	/* The mover's; others between mma_control_begin() and _end(). */
	struct mma_caps caps;
	struct mma_ring out, in;
	struct eos_list ready_node; /* of mma->ready */
	struct eos_list incoming;   /* connections that lead here */
	struct eos_list waiters;    /* those of them with a message that waits for a buffer */
	uint64_t deficit;
	uint64_t pass;		       /* a new one begins when cursor goes back to tail */
	uint32_t cursor;	       /* outbound position that is looked at next */
	struct mma_port *touched_next; /* of mma->touched */
	struct mma_fault fault;
	bool is_touched, has_completed;
	/* Outbound slots dealt with although an earlier one was not. */
	uint64_t done[MMA_COUNT_WORDS];

	/* Written by the mover, read by anybody. */
	alignas(64) _Atomic uint32_t sent;
	_Atomic uint32_t received;
	_Atomic uint32_t completions;
	_Atomic bool is_dead;
	_Atomic bool has_waiters;
	_Atomic uint64_t stats_sent, stats_sent_bytes, stats_received, stats_received_bytes;
	_Atomic uint64_t stats_dropped, stats_faults;

	/* Written by the port's own thread and by the mover. */
	alignas(64) _Atomic uint32_t wants; /* enum mma_event: a wake is asked for */
	_Atomic bool is_kicked;		    /* in mma->kicked, or about to be */
	struct mma_port *kicked_next; /* written by who set is_kicked, before it is in the stack */
};

struct mma {
	/* The mover's. */
	struct eos_list ready;	  /* ports whose turn will come */
	struct mma_port *touched; /* receivers of this turn's messages */
	uint64_t messages, bytes; /* not yet in the process's counters */
	unsigned ports_count;
	bool is_moving; /* inline: a turn is on, control functions are a bug */

	/* Set while there is no thread. */
	bool has_thread;
	pthread_t thread;
	struct mma_thread_config thread_config;

	/* A stack of ports that were kicked by other threads; pushed by them, taken whole. */
	alignas(64) _Atomic(struct mma_port *) kicked;
	/* 1 when the mover sleeps, or is about to; a futex. */
	_Atomic uint32_t is_asleep;
	_Atomic bool is_stopping;
	_Atomic bool is_stirred; /* a controller made ports ready */
	/* The handshake of mma_control_begin(); see mma_thread.c. */
	alignas(64) _Atomic bool is_busy;
	alignas(64) _Atomic bool is_paused;
	pthread_mutex_t control; /* one controller at a time */
};

/* The mover stands still between these, between two turns. */
void mma_control_begin(struct mma *mma);
void mma_control_end(struct mma *mma);

/* For the mover's thread: around each turn. */
void mma_turn_begin(struct mma *mma);
void mma_turn_end(struct mma *mma);
/* Moves what the kicks of other threads left into ready. The mover, or a controller. */
void mma_drain_kicked(struct mma *mma);
/* One port's turn, if one is ready. Returns its cost, 0: none was ready. */
uint64_t mma_turn(struct mma *mma);
/* The port gets a turn. */
void mma_make_ready(struct mma_port *port);
/* All that wait for buffers of PORT look again. */
void mma_release_waiters(struct mma_port *port);
void mma_wake_thread(struct mma *mma);
