/*
 * A cell of a node: the process that runs featherweight processes for edged.
 *
 * One thread does everything: it takes messages off the link, gives the calls their turns by their
 * class (or deadline) and budgets, and sleeps when there is nothing to do. Each invocation is one
 * FWP with its own struct wasi, and one task of the scheduler (sched/core.h); calls of a function
 * share its server, those of a tenant the tenant's.
 *
 * Bounds: LINK_CALLS_MAX calls, LINK_IMAGES_MAX images; a call's buffers are of fixed size and
 * are used again by later calls.
 */
#pragma once

#include <stdint.h>

#include "base/macros.h"
#include "crypto/crypto.h"
#include "link/link.h"
#include "link/link_config.h"

struct cell_config {
	struct link_fds fds;			     /* taken */
	uint8_t public_key[CRYPTO_SIGN_PUBLIC_SIZE]; /* of whoever signs images */
	int parent_pid;				     /* edged */
	struct link_config settings;
	int processor;		   /* where the process stays, if it may; negative: anywhere */
	uint64_t resident_idle_ns; /* how long functions stay without calls; 0: 30 s */
};

/* Reads "MEMFD BELL_TO_CELL BELL_TO_NODE SOCKET PUBLIC-KEY-IN-HEX PARENT-PID SETTINGS
 * PROCESSOR", the last of them a number or "any". -EINVAL. */
int cell_parse_args(int argc, char **argv, struct cell_config *ret_config) EOS_MUST_CHECK;

/*
 * Becomes the cell: sandboxes the process, says READY and works until edged closes its end of the
 * link. Returns the exit code of the process: 0 after that, 1 when it could not start or edged
 * broke the protocol; the reason is in the log.
 */
int cell_node(const struct cell_config *config) EOS_MUST_CHECK;
