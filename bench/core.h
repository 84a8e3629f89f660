/*
 * One core of a node, in small: an engine, a scheduler, and FWPs that are the scheduler's tasks.
 * All of it belongs to the calling thread.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/ticks.h"
#include "base/why.h"
#include "fwp/fwp.h"
#include "sched/core.h"

struct core_fwp;

struct core {
	struct fwp_engine *engine;
	struct sched_core *sched;
	bool is_stopped;       /* core_run() returns after the present turn */
	bool is_kicked;	       /* serve() is called at the end of the present turn */
	bool has_deceased;     /* an FWP ended, which none should */
	bool is_now_known;     /* the engine has just read the clock */
	bool is_turn_over;     /* as sched_core_next() was told */
	struct core_fwp *last; /* that had a turn */
	struct eos_fast_clock clock;
	void (*serve)(struct core *core);
};

/* A task and its FWP, whose fwp_context() it is. */
struct core_fwp {
	struct core *core;
	struct fwp *fwp;
	struct sched_task task;
	uint64_t run_ns; /* that it ran, when the core counts it */
};

struct core_config {
	unsigned fwps_max;
	bool counts_time; /* in run_ns: by the bench's own clock, not the scheduler's */
	/* What the core does at the end of a turn in which somebody has set is_kicked; may set it
	 * again. NULL: nobody does. */
	void (*serve)(struct core *core);
};

int core_init(struct core *core, const struct core_config *config,
	      struct eos_why *why) EOS_MUST_CHECK;
/* Also of one that was not made; its FWPs are gone. */
void core_fini(struct core *core);

/* A tenant. BUDGET_NS in each PERIOD_NS; 0: as much as there is. */
int core_add_tenant(struct core *core, struct sched_server *tenant, uint64_t budget_ns,
		    uint64_t period_ns, struct eos_why *why) EOS_MUST_CHECK;
/* An FWP of TENANT that is runnable, into MEMBER, which stays where it is. */
int core_add(struct core *core, struct core_fwp *member, struct fwp_image *image,
	     struct sched_server *tenant, unsigned task_class, struct eos_why *why) EOS_MUST_CHECK;
/* Also of one that was not added, if it is all zeros. */
void core_remove(struct core_fwp *member);

/* Runs the tasks until END_NS or until it is stopped; where none is runnable it looks again and
 * again, as a core does that is a node's alone. -EIO: an FWP ended. */
int core_run(struct core *core, uint64_t end_ns, struct eos_why *why) EOS_MUST_CHECK;
