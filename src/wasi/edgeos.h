/*
 * The host calls of module "edgeos": messages, timers, log and configuration for functions that
 * live longer than one request. What guests see is in sdk/c/edgeos.h.
 *
 * Concepts
 * - A struct edgeos belongs to one FWP, beside its struct wasi. It has the FWP's port at the mover
 *   (src/mma), its timers and the names of its connections.
 * - Nothing a guest says names an object of the host but through its port's table of capabilities
 *   (mma_caps.h), as files do through the descriptors of struct wasi.
 * - edgeos_entry() is the main loop of a function that exports handlers: it waits for messages and
 *   timers, calls the export, and gives the buffer back.
 * - What waiting, logging and configuration mean is the owner's affair: struct edgeos_host_ops.
 *
 * Order of things: edgeos_new(), wasi_set_edgeos(), fwp_new_with_entry() with edgeos_entry (or
 * fwp_new(), for a program that waits by itself), edgeos_bind(), mma_connect(), fwp_run() …,
 * edgeos_free() before fwp_free().
 *
 * Threads: the FWP's, but for ops->wake and ops->fault, which come on the mover's. Where the mover
 * has no thread, host calls move what their own FWP sends, up to a budget, and the owner calls
 * mma_move() for the rest when the FWP has blocked.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"
#include "fwp/fwp.h"
#include "mma/mma.h"
#include "wasi/wasi.h"

#define EDGEOS_MODULE	       "edgeos"
#define EDGEOS_TIMERS_MAX      16u
#define EDGEOS_NAME_MAX	       255u  /* bytes of a name or key */
#define EDGEOS_CONNECTIONS_MAX 64u   /* with a name */
#define EDGEOS_LOG_BYTES_MAX   4096u /* a longer text is cut */
#define EDGEOS_BUDGET_DEFAULT  (256u << 10)
/* What an FWP with handlers exits with when its rings are nonsense, so that nothing could ever come
 * (EX_PROTOCOL of sysexits.h). */
#define EDGEOS_EXIT_RINGS 76u

enum edgeos_log_level {
	EDGEOS_LOG_ERROR,
	EDGEOS_LOG_WARNING,
	EDGEOS_LOG_INFO,
	EDGEOS_LOG_DEBUG,
	EDGEOS_LOG_LEVELS,
};

struct edgeos;

struct edgeos_host_ops {
	/* Blocks the FWP until wake() was called (also before this, since the last wait), until
	 * eos_now_ns() is UNTIL_NS or the FWP's deadline. May return early. */
	void (*wait)(void *ctx, struct fwp *fwp, uint64_t until_ns);
	/* Inside a turn of the mover, maybe on its thread. */
	void (*wake)(void *ctx);
	/* What the guest did wrong with its rings; as wake(). NULL: nobody wants to know. */
	void (*fault)(void *ctx, const struct mma_fault *fault);
	/* LEN bytes of the guest's memory, any bytes, borrowed for the call. NULL: dropped. */
	void (*log)(void *ctx, enum edgeos_log_level level, const char *text, size_t len);
	/* The value of KEY, borrowed for the call, or NULL: there is none. NULL: there are none. */
	const char *(*config)(void *ctx, const char *key);
};

struct edgeos_config {
	struct mma *mma;		   /* borrowed */
	const struct edgeos_host_ops *ops; /* borrowed */
	void *ctx;
	uint64_t budget;      /* of a host call that moves inline; 0: EDGEOS_BUDGET_DEFAULT */
	unsigned handles_max; /* as in struct mma_port_config */
};

/* CONFIG is copied. -ENOMEM. */
int edgeos_new(const struct edgeos_config *config, struct edgeos **ret_edgeos) EOS_MUST_CHECK;
/* Its port goes, and from then on nobody looks at the FWP's memory. NULL is fine. */
struct edgeos *edgeos_free(struct edgeos *edgeos);

/* The host calls find EDGEOS, borrowed, by the FWP's WASI. NULL: they fail with ENOSYS. */
void wasi_set_edgeos(struct wasi *wasi, struct edgeos *edgeos);

/*
 * Makes the port over the memory of FWP, which has not run yet, and finds the handlers that IMAGE,
 * its image, exports: "edgeos_message" (iii:), "edgeos_timer" (i:), "edgeos_init" (:), and
 * "_initialize" (:), which comes before all. IMAGE is borrowed as long as EDGEOS lives. -ENOMEM.
 */
int edgeos_bind(struct edgeos *edgeos, struct fwp *fwp, const struct fwp_image *image,
		struct eos_why *why) EOS_MUST_CHECK;
/* For mma_connect() and statistics; NULL before edgeos_bind(). */
struct mma_port *edgeos_port(struct edgeos *edgeos);
/* Does it have a handler, so that edgeos_entry() makes sense? After edgeos_bind(). */
bool edgeos_has_handlers(const struct edgeos *edgeos);

/*
 * For templates (fwp/fwp_template.h), whose FWPs begin where edgeos_init() ended: what the host has
 * to remember of it. Save after the initialising FWP, which had a struct edgeos of its own, is
 * dead; restore after edgeos_bind(). Timers begin anew. Connections are not remembered: make the
 * same ones in the same order, so that the handles which the initialisation saw are right. -EFAULT,
 * -EINVAL: it wrote over its rings.
 */
struct edgeos_saved {
	struct mma_rings rings;
	uint32_t taken;
	uint64_t timers_delay_ns[EDGEOS_TIMERS_MAX]; /* 0: not set */
};
void edgeos_save(const struct edgeos *edgeos, struct edgeos_saved *ret_saved);
int edgeos_restore(struct edgeos *edgeos, const struct edgeos_saved *saved) EOS_MUST_CHECK;

/* The guest finds HANDLE of its port by NAME, which is copied. -EEXIST, -ENAMETOOLONG, -EMFILE,
 * -ENOMEM. */
int edgeos_name_connection(struct edgeos *edgeos, const char *name, uint32_t handle) EOS_MUST_CHECK;

/* The main loop, for fwp_new_with_entry() and, after edgeos_restore(), fwp_new_from_with_entry().
 * Returns after edgeos_stop(). */
void edgeos_entry(struct fwp *fwp, void *instance);
/* The main loop ends as soon as the handler that runs has returned: wake the FWP. Any thread. */
void edgeos_stop(struct edgeos *edgeos);

/* The host functions. fwp_context() of the FWPs that use them must be their struct wasi. */
const struct fwp_import *edgeos_imports(size_t *ret_count);
