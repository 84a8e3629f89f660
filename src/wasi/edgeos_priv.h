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
	void (*message)(void *instance, uint32_t conn, uint32_t buf, uint32_t len);
	void (*timer)(void *instance, uint32_t id);
};

struct edgeos {
	struct edgeos_config config;
	struct mma_port *port; /* owned; NULL before edgeos_bind() */
	_Atomic bool must_stop;
	bool is_initialised; /* restored: edgeos_init() ran before */
	struct edgeos_handlers handlers;
	uint32_t taken; /* inbound position of the next message, for edgeos_entry() */
	uint64_t timers_due_ns[EDGEOS_TIMERS_MAX];   /* UINT64_MAX: not set */
	uint64_t timers_delay_ns[EDGEOS_TIMERS_MAX]; /* as they were set */
	struct edgeos_connection connections[EDGEOS_CONNECTIONS_MAX];
	unsigned connections_count;
};

/* The FWP's, or NULL. */
struct edgeos *edgeos_of(struct fwp *fwp);
/* DELAY_NS from now; 0: not at all. */
void edgeos_timer_start(struct edgeos *edgeos, uint32_t id, uint64_t delay_ns);
/* Tells the mover that the guest's rings changed; inline, moves. */
void edgeos_move(struct edgeos *edgeos);
/* Waits, unless what the port was last seen at has changed. The FWP's deadline ends it, too:
 * -EINTR. */
int edgeos_wait_port(struct edgeos *edgeos, struct fwp *fwp, unsigned events, uint32_t received,
		     uint32_t completions, uint64_t until_ns) EOS_MUST_CHECK;

#define EDGEOS_FUNCTION(name, signature, parameters, arguments) int edgeos_call_##name parameters;
#include "wasi/edgeos_functions.def"
#undef EDGEOS_FUNCTION
