/*
 * What SimpleQueue, FrontDropQueue and MixedQueue share: a ring of packets.
 *
 * The ring is allocated when the router starts. Its capacity can be changed later, but not beyond
 * what was allocated: twice what was configured.
 */
#pragma once

#include <click.h>

#define CLICK_QUEUE_DEFAULT 1000u
#define CLICK_QUEUE_MAX	    65536u

struct click_ring {
	struct click_element element;
	struct click_packet **packets;
	uint32_t allocated, capacity;
	uint32_t head, length; /* the oldest is at HEAD */
	uint32_t highwater;
	uint64_t drops;
};

int click_ring_configure(struct click_element *element, struct click_args *args);
int click_ring_initialize(struct click_element *element, struct click_args *args);
/* Behind all others; the caller sees that the ring is not full. Tells who pulls. */
void click_ring_put_last(struct click_ring *ring, struct click_packet *packet);
void click_ring_put_first(struct click_ring *ring, struct click_packet *packet);
/* NULL: it is empty. */
struct click_packet *click_ring_take_first(struct click_ring *ring);
struct click_packet *click_ring_take_last(struct click_ring *ring);
/* Frees PACKET and counts it. */
void click_ring_drop(struct click_ring *ring, struct click_packet *packet);
struct click_packet *click_ring_pull(struct click_element *element, unsigned port);
/* length, highwater_length, capacity, drops, reset_counts, reset */
extern const struct click_handler click_ring_handlers[];
