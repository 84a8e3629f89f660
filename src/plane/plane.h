/*
 * The data plane: packets in by ports and sockets, through chains of packet functions (src/chain),
 * and out again, on one core or several (plane_cores.h), each with one thread.
 *
 * Concepts
 * - Ports (src/nic) give frames. What is for the node itself (ARP, neighbour discovery, echo) is
 *   answered here; the rest goes to the chain whose manifest wants it, or is dropped and counted.
 * - Endpoints give payloads: of UDP on a port, where everything below is done here, or of UDP and
 *   TCP on sockets of the kernel. The same function runs on both.
 * - The control socket: its owner (edged) applies and removes chains and asks for the state.
 *   docs/formats/plane-control.md. What comes by it is checked like anything else.
 *
 * The loop polls while there is traffic and for config.spin_ns afterwards; then it sleeps until a
 * port, a socket, a timer or the control socket has something.
 */
#pragma once

#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"
#include "crypto/crypto.h"
#include "plane/plane_config.h"

struct plane;

/* Opens the ports. CONTROL_FD, a seqpacket socket, is taken. PUBLIC_KEY: of whoever signs images.
 * HEARTBEATS: borrowed; every loop beats there, and the start and the loading of images do.
 * -EINVAL, -ENOMEM, -ENODEV, … and WHY. */
int plane_new(const struct plane_config *config, int control_fd,
	      const uint8_t public_key[CRYPTO_SIGN_PUBLIC_SIZE],
	      struct plane_heartbeats *heartbeats, struct plane **ret_plane,
	      struct eos_why *why) EOS_MUST_CHECK;
/* Gives up what its threads do not need any more: CONFINE, which fails with WHY, is called on each
 * of them. Between plane_new() and plane_run(), before which nothing from outside is read. */
typedef int (*plane_confine_fn)(struct eos_why *why);
int plane_confine(struct plane *plane, plane_confine_fn confine,
		  struct eos_why *why) EOS_MUST_CHECK;
/* Runs until the control socket's other end is closed. -EPROTO: its owner broke the protocol. */
int plane_run(struct plane *plane) EOS_MUST_CHECK;
struct plane *plane_free(struct plane *plane);
