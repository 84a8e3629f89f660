/*
 * A port as one core sees it: plane_ports.c opens it and sends, plane_input.c takes what comes.
 */
#pragma once

#include "nic/host.h"
#include "plane/plane_ports.h"

#define PLANE_HOST_POLL_NS UINT64_C(100000000) /* how often hosts are asked for what is due */

struct plane_port {
	struct nic_port *nic_port; /* core 0's */
	/* NULL: the port has no addresses. Core 0's does all that a host does; the others' are for
	 * datagrams of their own peers only, which need no neighbours. */
	struct nic_host *host;
	unsigned queue;
	bool has_queue; /* else core 0 receives, and sends for this one */
	/* Who gets frames: borrowed entries, in the order of their names. */
	struct plane_entry **matches, **endpoints;
	struct plane_entry **askers; /* whose chains lead here, so that answers come */
	unsigned matches_count, endpoints_count, askers_count;
	bool has_client_askers; /* one of them has a chain for each client */
	/* Frames that leave at the end of the turn. */
	struct nic_frame out[NIC_BURST_MAX];
	unsigned out_count;
	uint64_t polled_ns;
	struct plane_port_counts counts;
};

/* plane_input.c: the frame in which PACKET came, whose bytes nobody reads any more: its memory may
 * be taken, or was. NULL: there is none. */
struct nic_frame *plane_input_spent(struct plane *plane, const struct chain_packet *packet);
/* FRAME leaves by PORT at the end of the turn. */
void plane_port_queue(struct plane *plane, uint16_t port, const struct nic_frame *frame);
/* The same for one of the host's own, cut to LEN; 0: there is none after all. */
void plane_port_reply(struct plane *plane, uint16_t port, struct nic_frame *frame, uint32_t len);
