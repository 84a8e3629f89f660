/*
 * The cells of a node: so many supervisors (supervisor/supervisor.h), each with a process of its
 * own, and the choice of the one that runs a call.
 *
 * Who runs where (router_choose.h): what must stay together stays in one cell for as long as the
 * node runs. These are the calls of a tenant with a CPU budget, so that it is one budget and not
 * one for each cell; those of a function with one; and those of a function that stays, whose state
 * is in its cell. Everybody else gets the cell with the fewest calls under way. A call is never
 * moved: if its cell dies it ends as FUNC_CELL_LOST, and whoever tries it again asks here again.
 *
 * Limits of the node (calls, FWPs of a tenant) are the queue's, before it asks here; a cell is set
 * up for as many FWPs as the whole node may have, so none refuses what the queue let through.
 *
 * Processors. Where edged may use as many processors as there are cells, each of several cells
 * stays on one of its own, and the first is given out last: that is edged's, as far as anybody's.
 * Otherwise the kernel moves them as it likes.
 *
 * All functions belong to the loop's thread, but for router_check_image().
 */
#pragma once

#include <stdbool.h>

#include "base/macros.h"
#include "base/why.h"
#include "supervisor/supervisor.h"

#define ROUTER_CELLS_MAX 64u
/* Without a number in the configuration: processors less one, at most this: each cell takes memory
 * (docs/CAVEATS.md says how much), and large machines say themselves what they are for. */
#define ROUTER_CELLS_DEFAULT_MAX 8u

struct router_config {
	/* What all cells have in common; workers and processor are the router's to fill in. */
	struct supervisor_config cell;
	unsigned cells; /* at most ROUTER_CELLS_MAX; 0: by the processors that edged may use */
};

struct router;

/*
 * Starts the cells and becomes the queue's executor. CONFIG is copied, what it points to is
 * borrowed until router_free(). If one of them cannot be started none is left running:
 * supervisor_new()'s errors, -ENOMEM, -EAGAIN (threads).
 */
int router_new(const struct router_config *config, struct router **ret_router,
	       struct eos_why *why) EOS_MUST_CHECK;
/* Ends the cells; calls under way end as FUNC_REFUSED, and so does what is started from now on.
 * Does not block; callers of router_check_image() get their answer. */
void router_stop(struct router *router);
/* Stops, and waits for the cells (a second at most for all together), file operations and images
 * under way. Nobody is in router_check_image() any more. */
struct router *router_free(struct router *router);

/* Is there a cell that takes calls? The others may be starting again. */
bool router_is_ready(const struct router *router);
unsigned router_cells(const struct router *router);
/* CELL is below router_cells(). */
void router_stats(const struct router *router, unsigned cell, struct supervisor_stats *ret_stats);

/* supervisor_check_image() in a cell that is ready: they are all alike. Any thread but the loop's
 * (which cells there are does not change after router_new()); its limits and errors. */
int router_check_image(struct router *router, const struct image *image,
		       enum func_isolation isolation, struct eos_why *why) EOS_MUST_CHECK;
