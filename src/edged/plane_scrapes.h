/*
 * The data plane's metrics for /metrics: a thread asks the data plane, as that can take long, and
 * the loop, which must not wait, hands the answer to whoever asked for it meanwhile.
 *
 * The data plane is asked when somebody asks, and at most once a second; who asks again before
 * that gets the last answer. Without an answer within seconds it is "down": edgeos_plane_up is 0,
 * and there are no other metrics of it.
 */
#pragma once

#include "base/buf.h"
#include "base/loop.h"
#include "base/macros.h"
#include "base/why.h"
#include "ctl/ctl_server.h"

struct plane_scrapes;

struct plane_scrapes_config {
	struct eos_loop *loop; /* borrowed */
	/* Appends the data plane's state. Blocks; on the thread. */
	int (*get_state)(void *ctx, struct eos_buf *buf, struct eos_why *why);
	void *ctx;
};

int plane_scrapes_new(const struct plane_scrapes_config *config,
		      struct plane_scrapes **ret_scrapes) EOS_MUST_CHECK;
/* Waits for a get_state() that is under way. Nobody may be waiting for an answer. NULL is fine. */
struct plane_scrapes *plane_scrapes_free(struct plane_scrapes *scrapes);

/* The loop's thread. QUERY (borrowed) gets its answer now or later, unless it is cancelled. */
void plane_scrapes_ask(struct plane_scrapes *scrapes, struct ctl_metrics_query *query);
