/*
 * The data plane's ports: frames in, to the node itself, to endpoints and chains; and frames out.
 */
#pragma once

#include "plane/plane_priv.h"

/* Opens all ports of the configuration. */
int plane_ports_open(struct plane *plane, struct eos_why *why) EOS_MUST_CHECK;
void plane_ports_close(struct plane *plane);
/* Chains came or went: who gets which frames is found anew. */
void plane_ports_route(struct plane *plane);
/* Takes and deals with what has come. Returns how many frames. */
unsigned plane_ports_poll(struct plane *plane, uint64_t now_ns);
/* Sends what was put into the ports' queues. */
void plane_ports_flush(struct plane *plane);
/* Sleeps until a frame or an event of the epoll set, or at most TIMEOUT_NS. */
void plane_ports_wait(struct plane *plane, uint64_t timeout_ns);
unsigned plane_port_mtu(const struct plane *plane, uint16_t port);
/* A frame, which is copied. -EAGAIN: no memory for it. */
int plane_ports_send(struct plane *plane, uint16_t port, const uint8_t *data,
		     uint32_t len) EOS_MUST_CHECK;
/* To PEER, whose datagram came by a port. */
int plane_ports_send_datagram(struct plane *plane, const struct plane_peer *peer,
			      const uint8_t *data, uint32_t len) EOS_MUST_CHECK;
/* A port's part of the state, as JSON members. */
void plane_port_put(struct plane *plane, unsigned port, struct eos_json *json);
