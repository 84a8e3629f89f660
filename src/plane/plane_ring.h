/*
 * A ring of frames from one core to another: one thread puts, one takes, and neither waits for the
 * other. What was put is seen by the other side when it is published, many at once, so that a burst
 * costs one write to memory that both look at.
 *
 * All memory is taken when the ring is made. A full ring refuses, and counts that.
 */
#pragma once

#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "nic/nic.h"

/* Why a frame is handed over: what its new owner is to do with it. */
enum plane_hop {
	PLANE_HOP_HOST,	  /* for the node itself, or an endpoint */
	PLANE_HOP_ANSWER, /* it may be an answer to what one of its chains sent */
	PLANE_HOP_MATCH,  /* its chain is there */
	PLANE_HOP_SEND,	  /* it leaves by the port, whose queue is there */
};

struct plane_handed {
	struct nic_frame frame; /* taken by who puts it, given to who takes it */
	uint16_t port;
	uint8_t hop;	 /* enum plane_hop */
	uint8_t asks;	 /* ANSWER: how many cores are to be asked, the new owner among them */
	uint8_t changes; /* how often it changed hands, this time included */
};

struct plane_ring {
	/* Set when it is made. */
	struct plane_handed *places; /* owned */
	uint32_t mask;
	/* Who puts. */
	alignas(64) uint32_t end; /* of what was put, published or not */
	uint32_t begin_seen;
	_Atomic uint64_t handed, dropped; /* read by any */
	/* Who puts, with release; read by who takes, with acquire. */
	alignas(64) _Atomic uint32_t published;
	/* Who takes, with release; read by who puts, with acquire. */
	alignas(64) _Atomic uint32_t begin;
};

/* PLACES is a power of two. -ENOMEM. */
int plane_ring_init(struct plane_ring *ring, uint32_t places) EOS_MUST_CHECK;
/* Nobody uses it any more. What is in it is lost: take it out before. */
void plane_ring_fini(struct plane_ring *ring);
/* False: there is no room; counted. */
bool plane_ring_put(struct plane_ring *ring, const struct plane_handed *handed);
/* What was put can be taken. In one order with plane_ring_is_empty() of all threads, so that who
 * publishes and then finds the other awake may leave it so, if the other looks again before it
 * sleeps. */
void plane_ring_publish(struct plane_ring *ring);
/* Up to MAX; returns how many. */
unsigned plane_ring_take(struct plane_ring *ring, struct plane_handed *handed, unsigned max);
/* Who takes: nothing is published. */
bool plane_ring_is_empty(const struct plane_ring *ring);
