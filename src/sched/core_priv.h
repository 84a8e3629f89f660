/*
 * The parts of a core's scheduler: the loop (core.c), budgets (server.c), orders (policy_*.c) and
 * timers (timers.c).
 */
#pragma once

#include "base/ticks.h"
#include "sched/core.h"

/* Why a task enters the run queue; says where. */
enum sched_entry {
	SCHED_ENTRY_NEW,   /* woke, yielded, or its server was replenished: as the last to come */
	SCHED_ENTRY_SPENT, /* used up its quantum */
	SCHED_ENTRY_CUT,   /* its turn goes on, after those that are more urgent */
};

struct sched_policy_ops {
	void (*put)(struct sched_core *core, struct sched_task *task, enum sched_entry entry);
	/* TASK is in the run queue. */
	void (*remove)(struct sched_core *core, struct sched_task *task);
	/* The first, removed, or NULL. */
	struct sched_task *(*take)(struct sched_core *core);
	/* Does A interrupt B when it wakes? */
	bool (*goes_before)(const struct sched_task *a, const struct sched_task *b);
	bool is_by_deadline; /* and virtual time pays only for tasks that have none */
};

struct sched_class {
	struct sched_heap tenants; /* that have runnable tasks */
	uint64_t vtime_ns;	   /* of the turns that begin now; never falls */
};

/* The turn that is running. */
struct sched_turn_now {
	struct sched_task *task;	  /* NULL: none, or freed */
	struct sched_server *server;	  /* who pays for it; NULL: none, or freed */
	struct sched_tenant_queue *queue; /* of its tenant; NULL: none, or freed */
	uint64_t begin_ns;		  /* of the turn */
	uint64_t start_ns;		  /* of what is not paid for yet */
	uint64_t slice_end_ns;
	unsigned task_class;
	bool is_on; /* a turn is running; else slice_end_ns is 0 */
	bool is_woken, is_preempted;
};

struct sched_core {
	const struct sched_core_ops *ops;
	void *ctx;
	const struct sched_policy_ops *policy;
	uint64_t quantum_ns;
	uint64_t least_ns;	     /* less than this of a quantum is not worth a turn */
	struct eos_fast_clock clock; /* where the owner has none */
	uint64_t now_ns;	     /* when the clock was last read; never falls */
	struct sched_turn_now turn;
	uint64_t until_ns; /* of sched_core_run() */
	bool is_in_run;
	unsigned servers_count;

	unsigned classes_ready; /* bit c: classes[c].tenants is not empty */
	struct sched_class classes[SCHED_CLASSES];
	struct sched_heap deadlines; /* sched_policy_edf's tasks */
	struct sched_heap waiting;   /* servers for which tasks wait */
	struct sched_heap timers;
	struct eos_list due; /* timers that are about to fire */
};

/* core.c */
/* Reads the clock into core->now_ns. */
uint64_t sched_core_clock(struct sched_core *core);
/* The turn's time until now is paid for, and a new one begins. */
void sched_core_charge(struct sched_core *core);

/* server.c */
/* The server of TASK's chain that has nothing left and is furthest from the tenant, or NULL. Then
 * *RET_LEFT_NS is what all of them have left. */
struct sched_server *sched_server_find_dry(struct sched_task *task, uint64_t now_ns,
					   uint64_t *ret_left_ns);
/* TASK, which is in no queue, waits for SERVER, which ran dry. */
void sched_server_park(struct sched_server *server, struct sched_task *task);
void sched_server_unpark(struct sched_task *task);
/* Tasks whose wait is over go into the run queue. */
void sched_server_replenish(struct sched_core *core, uint64_t now_ns);
/* SERVER and its parents pay RAN_NS that began at START_NS. */
void sched_server_charge(struct sched_server *server, uint64_t start_ns, uint64_t ran_ns);

/* policy_priority.c; sched_policy_edf uses it for tasks without a deadline. */
void sched_priority_put(struct sched_core *core, struct sched_task *task, enum sched_entry entry);
void sched_priority_remove(struct sched_core *core, struct sched_task *task);
struct sched_task *sched_priority_take(struct sched_core *core);
bool sched_priority_goes_before(const struct sched_task *a, const struct sched_task *b);
/* QUEUE has runnable tasks. A turn of TASK_CLASS ended: the tenant's next one is ordered by what it
 * has had until now. */
void sched_priority_end_turn(struct sched_core *core, struct sched_tenant_queue *queue,
			     unsigned task_class);

/* timers.c */
/* Fires what is due. False: nothing was. */
bool sched_timers_fire(struct sched_core *core, uint64_t now_ns);
