/*
 * The scheduler of one core: which task runs next, for how long, and what wakes when.
 *
 * Concepts
 * - A task is something that can run for a while: for EdgeOS a featherweight process, but nothing
 *   here knows that. The owner embeds struct sched_task and runs it in ops->run().
 * - A server is a CPU budget: its tasks, together, run at most BUDGET_NS in each PERIOD_NS. One
 *   that has used it up waits, with all its tasks, for the next period, also when the core is idle:
 *   a tenant gets what it was promised and no more. An overrun is paid back in the next period.
 *   Servers form chains (a function's below its tenant's); a task runs only when all of its chain
 *   have something left. A budget of 0 is no limit.
 * - The root of a task's chain is its tenant. Among tasks that are equal to the policy, tenants
 *   take turns, and a tenant's own tasks take turns among themselves: a tenant with one task that
 *   wakes waits for at most the slice that is running, however many tasks the others have.
 * - A policy orders the runnable tasks: fixed priority (sched_policy_priority: lower class first),
 * or earliest deadline first (sched_policy_edf: tasks without a deadline come last).
 * - A slice is how long a task may run before sched_core_run() must look again: the quantum, but
 *   not beyond its budget, nor beyond the next timer or replenishment of a task that goes before
 * it. A task alone on its core has a slice too, as long as the quantum.
 *
 * Time is the owner's clock in nanoseconds, ops->now_ns(), so tests run on virtual time. The
 * running time that is charged is what passed on that clock.
 *
 * Everything: the core's thread. No allocation after sched_core_new() but the growth of the timer
 * heap. No function here is for signal handlers.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/macros.h"
#include "base/why.h"

#define SCHED_CLASSES	     8u /* classes 0 (first) to 7 */
#define SCHED_CLASS_DEFAULT  4u
#define SCHED_QUANTUM_NS     UINT64_C(1000000)
#define SCHED_QUANTUM_NS_MIN UINT64_C(200000)
#define SCHED_PERIOD_NS_MIN  UINT64_C(1000000)
#define SCHED_PERIOD_NS_MAX  UINT64_C(60000000000)

struct sched_core;

enum sched_task_state {
	SCHED_TASK_IDLE,     /* not here: new, blocked or done */
	SCHED_TASK_RUNNABLE, /* in the run queue */
	SCHED_TASK_RUNNING,
	SCHED_TASK_PARKED, /* runnable, but a server of its chain is exhausted */
};

struct sched_server_config {
	uint64_t budget_ns; /* 0: no limit; else at most period_ns */
	uint64_t period_ns; /* from SCHED_PERIOD_NS_MIN to SCHED_PERIOD_NS_MAX; with a budget */
};

/* All fields of these structs are sched's; the owner only gives them a place. */
struct sched_server {
	struct sched_core *core;
	struct sched_server *parent; /* NULL: a tenant */
	struct sched_server_config config;
	uint64_t used_ns;	/* in this period, of which debts of the last one */
	uint64_t period_end_ns; /* when it is replenished */
	uint64_t total_ns;	/* ever; see sched_server_run_ns() */
	unsigned tasks_count;	/* of which it is the chain */
	struct eos_list parked; /* tasks that wait for it */
	struct eos_list node;	/* of the exhausted ones */
	/* A tenant's runnable tasks, by class, and its place among those that have some. */
	struct eos_list ready[SCHED_CLASSES], ready_node[SCHED_CLASSES];
};

struct sched_task {
	struct eos_list node;
	struct sched_server *server;
	uint64_t deadline_ns;	/* UINT64_MAX: none */
	uint64_t slice_left_ns; /* of a quantum that was cut short by a more urgent task */
	size_t heap_index;	/* for policies with a heap */
	uint8_t task_class;
	uint8_t state; /* enum sched_task_state */
};

struct sched_timer {
	uint64_t when_ns;
	size_t heap_index; /* SIZE_MAX: not set */
	void (*fire)(struct sched_timer *timer);
};

/* How a task's turn ended. */
enum sched_turn {
	SCHED_TURN_AGAIN, /* it could go on: its slice is over, or it yielded */
	SCHED_TURN_GONE,  /* it is blocked, or done, and may be freed already */
};

struct sched_core_ops {
	/* Runs TASK until about SLICE_END_NS. The task may be freed inside, with sched_task_fini().
	 */
	enum sched_turn (*run)(void *ctx, struct sched_task *task, uint64_t slice_end_ns);
	/* The task that runs now should return from run() soon, as a more urgent one woke. Called
	 * from sched_task_wake(), which is called inside run(). NULL: slices are short enough. */
	void (*preempt)(void *ctx);
	/* Between two turns: true makes sched_core_run() return, for instance as a message waits.
	 * NULL: never. */
	bool (*is_interrupted)(void *ctx);
	uint64_t (*now_ns)(void *ctx); /* NULL: eos_now_ns() */
};

struct sched_policy_ops;
extern const struct sched_policy_ops sched_policy_priority, sched_policy_edf;

struct sched_core_config {
	const struct sched_policy_ops *policy; /* NULL: sched_policy_priority */
	uint64_t quantum_ns;		       /* 0: SCHED_QUANTUM_NS; at least the least */
};

/* CONFIG may be NULL. OPS and CTX are borrowed. -ENOMEM, -EINVAL. */
int sched_core_new(const struct sched_core_config *config, const struct sched_core_ops *ops,
		   void *ctx, struct sched_core **ret_core, struct eos_why *why) EOS_MUST_CHECK;
/* Its tasks, timers and servers are gone. NULL is fine. */
struct sched_core *sched_core_free(struct sched_core *core);

/*
 * Fires what is due, then gives runnable tasks their turns until none is left, until UNTIL_NS, or
 * until ops->is_interrupted(). Returns when it wants to be called again if nothing happens before:
 * 0 when tasks are runnable, else the time of the next timer or replenishment, or UINT64_MAX.
 */
uint64_t sched_core_run(struct sched_core *core, uint64_t until_ns);
bool sched_core_has_runnable(const struct sched_core *core);

/* A budget. PARENT (NULL: this is a tenant) is borrowed and outlives it. -EINVAL: CONFIG is out of
 * range, and WHY says how. */
int sched_server_init(struct sched_server *server, struct sched_core *core,
		      struct sched_server *parent, const struct sched_server_config *config,
		      struct eos_why *why) EOS_MUST_CHECK;
/* It has no tasks and no children left. */
void sched_server_fini(struct sched_server *server);
/* Time its tasks have run, ever. */
uint64_t sched_server_run_ns(const struct sched_server *server);

/* TASK is idle. SERVER is borrowed. TASK_CLASS < SCHED_CLASSES. */
void sched_task_init(struct sched_task *task, struct sched_server *server, unsigned task_class,
		     uint64_t deadline_ns);
/* In any state; a running one only inside its own run(). */
void sched_task_fini(struct sched_task *task);
/* An idle task becomes runnable; one that is runnable, running or parked stays what it is. */
void sched_task_wake(struct sched_task *task);

/* TIMER calls FIRE at the first sched_core_run() at or after WHEN_NS, once; or cuts the slice of
 * what runs then. Setting it again moves it. -ENOMEM: the heap could not grow. */
void sched_timer_init(struct sched_timer *timer, void (*fire)(struct sched_timer *timer));
int sched_timer_set(struct sched_core *core, struct sched_timer *timer,
		    uint64_t when_ns) EOS_MUST_CHECK;
void sched_timer_cancel(struct sched_core *core, struct sched_timer *timer);
