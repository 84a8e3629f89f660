/*
 * The data plane's ports: frames in, to the node itself, to endpoints and chains; and frames out.
 */
#pragma once

#include "plane/plane_priv.h"

/* What one core counts of a port. */
struct plane_port_counts {
	uint64_t unwanted;     /* frames that nobody takes */
	uint64_t no_frames;    /* for what was to be sent */
	uint64_t no_neighbour; /* datagrams to somebody who cannot be reached */
	uint64_t lost; /* frames that changed hands too often, as cores disagreed whose they are */
};

/* Opens all ports of the configuration, with a queue for each core where the device spreads over
 * them. Core 0. */
int plane_ports_open(struct plane *plane, struct eos_why *why) EOS_MUST_CHECK;
/* The ports of FIRST, core 0's, for another core. */
int plane_ports_join(struct plane *plane, const struct plane *first,
		     struct eos_why *why) EOS_MUST_CHECK;
/* Before plane_ports_close(), each core. */
void plane_ports_leave(struct plane *plane);
/* When all cores have left. Core 0. */
void plane_ports_close(struct plane *plane);
/* Another core's thread begins and ends. -ENOMEM. */
int plane_ports_thread_enter(struct plane *plane) EOS_MUST_CHECK;
void plane_ports_thread_leave(struct plane *plane);
void plane_ports_free_frame(struct nic_frame *frame);
/* Chains came or went: who gets which frames is found anew. */
void plane_ports_route(struct plane *plane);
/* Takes and deals with what has come. Returns how many frames. */
unsigned plane_ports_poll(struct plane *plane, uint64_t now_ns);
/* Sends what was put into the ports' queues. */
void plane_ports_flush(struct plane *plane);
/* Sleeps until a frame or an event of the epoll set, or at most TIMEOUT_NS; nothing has come for
 * IDLE_NS. */
void plane_ports_wait(struct plane *plane, uint64_t timeout_ns, uint64_t idle_ns);
unsigned plane_port_mtu(const struct plane *plane, uint16_t port);
/* What OUTPUT says as a frame, by PORT. -EAGAIN: no memory for it; -EMSGSIZE. */
int plane_ports_send(struct plane *plane, uint16_t port, const struct chain_output *output);
/* To PEER, whose datagram came by a port. */
int plane_ports_send_datagram(struct plane *plane, const struct plane_peer *peer,
			      const uint8_t *data, uint32_t len) EOS_MUST_CHECK;
/* A chain on this core sends a frame by its out side: answers find this core. */
void plane_ports_remember(struct plane *plane, uint16_t port, const uint8_t *data, uint32_t len);
/* Adds what this core counted of PORT. */
void plane_port_count(const struct plane *plane, unsigned port, struct plane_port_counts *counts);
/* A port's part of the state, as JSON members; COUNTS are all cores'. Core 0. */
void plane_port_put(struct plane *plane, unsigned port, const struct plane_port_counts *counts,
		    struct eos_json *json);
