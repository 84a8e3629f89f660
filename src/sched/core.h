/*
 * The scheduler of one core: which task runs next, for how long, and what wakes when.
 *
 * Concepts
 * - A task is something that can run for a while: for EdgeOS a featherweight process, but nothing
 *   here knows that. The owner embeds struct sched_task and runs it in ops->run().
 * - A server is a CPU budget: its tasks, together, run at most BUDGET_NS in any PERIOD_NS, wherever
 *   one starts to measure (a sporadic server: what was used at some time comes back one period
 *   later). One that has used it up waits, with all its tasks, also when the core is idle: a tenant
 *   gets what it was promised and no more. An overrun is a debt that later periods pay back, at
 *   most SCHED_DEBT_PERIODS_MAX of them. Servers form chains (a function's below its tenant's); a
 *   task runs only when all of its chain have something left. A budget of 0 is no limit.
 * - The root of a task's chain is its tenant. Among tasks that are equal to the policy, the tenant
 *   goes first that has had the least time, and a tenant's own tasks take turns among themselves:
 *   tenants that all want to run get equal parts, and one that wakes now and then waits for at most
 *   the slice that is running, however many tasks the others have. Time that a tenant did not want
 *   is not saved up, but for one quantum.
 * - A policy orders the runnable tasks: fixed priority (sched_policy_priority: lower class first),
 *   or earliest deadline first (sched_policy_edf: tasks without a deadline come last, by class).
 * - A slice is how long a task may run before sched_core_run() must look again: what is left of its
 *   quantum, but not beyond its budgets, the next timer (it may wake somebody more urgent) or the
 *   next replenishment of a server for which tasks wait. A task alone on its core has a slice too,
 *   as long as the quantum. A task whose slice ended before its quantum goes on where it was, after
 *   those that are more urgent; one that used up its quantum goes behind the others of its tenant.
 *
 * Time is the owner's clock in nanoseconds, ops->now_ns(), so tests run on virtual time. The
 * running time that is charged is what passed on that clock; while it stands still or after it went
 * backwards, nothing is charged until it has caught up.
 *
 * Everything: the core's thread. Nothing but sched_core_new() allocates. Tasks are queued in
 * constant time, tenants, deadlines and timers in O(log n); a server that ran dry costs one step
 * for each of its runnable tasks. No function here is for signal handlers.
 *
 * Fault point: sched.core_new.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/macros.h"
#include "base/why.h"
#include "sched/heap.h"

#define SCHED_CLASSES	     8u /* classes 0 (first) to 7 */
#define SCHED_CLASS_DEFAULT  4u
#define SCHED_QUANTUM_NS     UINT64_C(1000000)
#define SCHED_QUANTUM_NS_MIN UINT64_C(200000)
#define SCHED_PERIOD_NS_MIN  UINT64_C(1000000)
#define SCHED_PERIOD_NS_MAX  UINT64_C(60000000000)
/* What a switch costs; a server with less left waits for more. */
#define SCHED_BUDGET_NS_MIN UINT64_C(10000)
/* A core that stood still in a debugger must not cost a tenant its day. */
#define SCHED_DEBT_PERIODS_MAX 10u
#define SCHED_REFILLS_MAX      16u /* see server.c */

struct sched_core;

enum sched_task_state {
	SCHED_TASK_IDLE,     /* not here: new, blocked or done */
	SCHED_TASK_RUNNABLE, /* in the run queue */
	SCHED_TASK_RUNNING,
	SCHED_TASK_PARKED, /* runnable, but a server of its chain is exhausted */
};

struct sched_server_config {
	uint64_t budget_ns; /* 0: no limit; else from SCHED_BUDGET_NS_MIN to period_ns */
	uint64_t period_ns; /* from SCHED_PERIOD_NS_MIN to SCHED_PERIOD_NS_MAX; with a budget */
};

/* All fields of these structs are sched's; the owner only gives them a place. */
struct sched_refill {
	uint64_t when_ns, amount_ns;
};

/* A tenant's runnable tasks of one class, and its place among the tenants that have some. */
struct sched_tenant_queue {
	struct eos_list ready;
	struct sched_heap_node node; /* by the virtual time at which its turn began */
	uint64_t vtime_ns;
};

struct sched_server {
	struct sched_core *core;
	struct sched_server *parent; /* NULL: a tenant */
	struct sched_server *tenant; /* the root of the chain, perhaps itself */
	struct sched_server_config config;
	struct sched_refill refills[SCHED_REFILLS_MAX]; /* by time; together the budget */
	unsigned refills_count;
	bool is_limited;      /* by its own budget or one above */
	unsigned users_count; /* tasks and servers directly below */
	uint64_t run_ns;
	struct eos_list parked;	     /* tasks that wait for it */
	struct sched_heap_node node; /* by the next refill, while tasks wait */
	struct sched_tenant_queue queues[SCHED_CLASSES];
};

struct sched_task {
	struct eos_list node;		      /* of a tenant's queue or a server's parked */
	struct sched_heap_node deadline_node; /* of sched_policy_edf */
	struct sched_server *server;
	uint64_t deadline_ns;	  /* UINT64_MAX: none */
	uint64_t quantum_left_ns; /* when the slice was cut; 0: all of it */
	uint8_t task_class;
	uint8_t state; /* enum sched_task_state */
};

struct sched_timer {
	struct sched_heap_node node; /* by time; in no heap: not set, or due */
	struct eos_list due_node;
	void (*fire)(struct sched_timer *timer);
};

/* How a task's turn ended. */
enum sched_turn {
	/* It could go on. When that is before the end of its slice, without preempt() and without
	 * is_interrupted(), it yielded, and goes behind the others of its tenant. */
	SCHED_TURN_AGAIN,
	/* It is blocked, or done, and may be freed already. If somebody woke it while it ran, it is
	 * runnable again. */
	SCHED_TURN_GONE,
	/* sched_core_next() was told already, and had nobody to run. Only from run(). */
	SCHED_TURN_OVER,
};

struct sched_core_ops {
	/* Runs TASK until about SLICE_END_NS. Inside, all functions but sched_core_run() and
	 * sched_core_free() may be called, also sched_task_fini(TASK), and TASK freed then. */
	enum sched_turn (*run)(void *ctx, struct sched_task *task, uint64_t slice_end_ns);
	/* The task that runs now should return from run() soon, as a more urgent one woke. Called
	 * from sched_task_wake(), which is called inside run(), once in a turn. NULL: slices are
	 * short enough. */
	void (*preempt)(void *ctx);
	/* The slice of the task that runs now ends earlier than run() was told: a timer was set.
	 * Called from sched_timer_set() inside run(). NULL: such a timer may be a slice late. */
	void (*shorten)(void *ctx, uint64_t slice_end_ns);
	/* Between two turns: true makes sched_core_run() return, for instance as a message waits.
	 * NULL: never. */
	bool (*is_interrupted)(void *ctx);
	uint64_t (*now_ns)(void *ctx); /* NULL: eos_now_ns()'s time, read cheaply */
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
 * Fires what is due, then gives runnable tasks their turns until none is left, until UNTIL_NS (0:
 * gives no turns), or until ops->is_interrupted(). Returns when it wants to be called again if
 * nothing happens before: 0 when tasks are runnable, else the time of the next timer or of the next
 * replenishment for which tasks wait, or UINT64_MAX.
 */
uint64_t sched_core_run(struct sched_core *core, uint64_t until_ns);
/*
 * Inside ops->run(): the turn that runs ends (HOW: AGAIN or GONE), and the next one begins, of the
 * task that is returned, perhaps the same. So who can continue one task from another saves the way
 * back through run(). NULL: no turn runs now, sched_core_run() has to look, and run() returns
 * SCHED_TURN_OVER.
 */
struct sched_task *sched_core_next(struct sched_core *core, enum sched_turn how,
				   uint64_t *ret_slice_end_ns) EOS_MUST_CHECK;
bool sched_core_has_runnable(const struct sched_core *core);
/* When the clock was last read; inside ops->run(), when the turn began. */
uint64_t sched_core_now_ns(const struct sched_core *core);

/* A budget, at first full. PARENT (NULL: this is a tenant) is borrowed and outlives it. -EINVAL:
 * CONFIG is out of range, and WHY says how. */
int sched_server_init(struct sched_server *server, struct sched_core *core,
		      struct sched_server *parent, const struct sched_server_config *config,
		      struct eos_why *why) EOS_MUST_CHECK;
/* It has no tasks and no children left. */
void sched_server_fini(struct sched_server *server);
/* Time its tasks have run, ever, without the turn that is running. */
uint64_t sched_server_run_ns(const struct sched_server *server);

/* TASK is idle. SERVER is borrowed. TASK_CLASS < SCHED_CLASSES. */
void sched_task_init(struct sched_task *task, struct sched_server *server, unsigned task_class,
		     uint64_t deadline_ns);
/* In any state; a running one only inside its own run(). */
void sched_task_fini(struct sched_task *task);
/*
 * An idle task becomes runnable, or parked if a server of its chain has nothing left. One that is
 * runnable or parked stays what it is. One that runs is runnable again after this turn, however
 * the turn ends: no wake is lost, but a task can be given a turn without anything new to do.
 */
void sched_task_wake(struct sched_task *task);

/* TIMER calls FIRE once, in the first sched_core_run() at or after WHEN_NS; it cuts the slice of
 * what runs then. Timers fire by time, then in the order in which they were set. One that was set
 * inside FIRE does not fire before tasks had a chance to run. */
void sched_timer_init(struct sched_timer *timer, void (*fire)(struct sched_timer *timer));
/* Setting it again moves it. */
void sched_timer_set(struct sched_core *core, struct sched_timer *timer, uint64_t when_ns);
/* One that is not set is fine. Afterwards TIMER may be freed; also inside its own FIRE. */
void sched_timer_cancel(struct sched_core *core, struct sched_timer *timer);
bool sched_timer_is_set(const struct sched_timer *timer);
