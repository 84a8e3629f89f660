/*
 * Inside of the `edgeos` host calls. As those of WASI they return 0, a result or a negative errno,
 * and may be left for good wherever they wait: they own nothing by local variables.
 */
#pragma once

#include <stdatomic.h>

#include "wasi/edgeos.h"

struct edgeos_connection {
	char *name; /* owned */
	uint32_t handle;
};

/* Exports of the image; NULL where there is none. */
struct edgeos_handlers {
	void (*initialize)(void *instance);
	void (*init)(void *instance);
	uint32_t (*init_with_result)(void *instance);
	void (*message)(void *instance, uint32_t conn, uint32_t buf, uint32_t len);
	void (*timer)(void *instance, uint32_t id);
};

struct edgeos {
	struct edgeos_config config;
	struct mma_port *port; /* owned; NULL before edgeos_bind() */
	/* How much of the FWP's memory the mover may use: what it was at the last host call, and it
	 * only grows. */
	_Atomic uint64_t memory_bytes;
	_Atomic bool must_stop;
	struct edgeos_handlers handlers;
	uint32_t taken; /* inbound position of the next message, for edgeos_entry() */
	uint64_t timers_due_ns[EDGEOS_TIMERS_MAX]; /* UINT64_MAX: not set */
	struct edgeos_connection connections[EDGEOS_CONNECTIONS_MAX];
	unsigned connections_count;
};

/* The FWP's, or NULL. */
struct edgeos *edgeos_of(struct fwp *fwp);
/* After the guest ran: what its memory has become. */
void edgeos_refresh(struct edgeos *edgeos, struct fwp *fwp);
/* Tells the mover that the guest's rings changed; inline, moves. */
void edgeos_move(struct edgeos *edgeos);
/* Waits, unless what the port was last seen at has changed. The FWP's deadline ends it, too:
 * -EINTR. */
int edgeos_wait_port(struct edgeos *edgeos, struct fwp *fwp, unsigned events, uint32_t received,
		     uint32_t completions, uint64_t until_ns) EOS_MUST_CHECK;

#define EDGEOS_FUNCTION(name, signature, parameters, arguments) int edgeos_call_##name parameters;
#include "wasi/edgeos_functions.def"
#undef EDGEOS_FUNCTION
