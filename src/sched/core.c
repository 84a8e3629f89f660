/*
 * The loop of a core, turns and what becomes of a task after one.
 *
 *              wake                  take                  slice over, yield
 *      IDLE ---------> RUNNABLE ----------------> RUNNING -------------------> RUNNABLE
 *        |               ^    | take, a server is dry   \  blocked
 *        | wake, dry     |    v                          `-------------------> IDLE
 *        `-------------> PARKED
 *
 * Invariants
 * 1. A runnable task is in the policy's queue, a parked one in the list of one server, and only
 *    there. That its server is dry is seen when its turn comes, or when it wakes while others wait
 *    for that server already.
 * 2. The clock is read once a turn: one turn ends where the next begins. core->now_ns never falls.
 * 3. core->turn.task and .server are forgotten when the owner frees them inside run(). Nothing
 *    here looks at the task of a turn after run() but through core->turn.
 * 4. One run() may hold many turns: sched_core_next() ends one and begins another. What must be
 *    looked at between turns is looked at there too, or it sends the owner back to the loop.
 */
#include "sched/core_priv.h"

#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/fault.h"

/* An alarm may ring so much before its time and is believed. */
#define ALARM_EARLY_NS UINT64_C(2000)

uint64_t sched_core_clock(struct sched_core *core)
{
	uint64_t now_ns = core->ops->now_ns == NULL ? eos_fast_clock_now(&core->clock)
						    : core->ops->now_ns(core->ctx);
	core->now_ns = EOS_MAX(core->now_ns, now_ns);
	return core->now_ns;
}

uint64_t sched_core_now_ns(const struct sched_core *core)
{
	return core->now_ns;
}

int sched_core_new(const struct sched_core_config *config, const struct sched_core_ops *ops,
		   void *ctx, struct sched_core **ret_core, struct eos_why *why)
{
	uint64_t quantum_ns =
		config == NULL || config->quantum_ns == 0 ? SCHED_QUANTUM_NS : config->quantum_ns;
	if (quantum_ns < SCHED_QUANTUM_NS_MIN)
		return eos_why(why, -EINVAL, "a quantum of %llu us is less than %llu us",
			       (unsigned long long)(quantum_ns / EOS_NS_PER_US),
			       (unsigned long long)(SCHED_QUANTUM_NS_MIN / EOS_NS_PER_US));
	int err = eos_fault("sched.core_new");
	struct sched_core *core = err < 0 ? NULL : calloc(1, sizeof(*core));
	if (core == NULL)
		return eos_why(why, err < 0 ? err : -ENOMEM, "no memory for a core's scheduler");
	core->ops = ops;
	core->ctx = ctx;
	core->policy =
		config == NULL || config->policy == NULL ? &sched_policy_priority : config->policy;
	core->quantum_ns = quantum_ns;
	eos_fast_clock_init(&core->clock);
	core->least_ns = quantum_ns / 16;
	for (unsigned c = 0; c < SCHED_CLASSES; c++) {
		sched_heap_init(&core->classes[c].tenants);
		core->classes[c].vtime_ns = quantum_ns; /* so that a quantum can be taken off */
	}
	sched_heap_init(&core->deadlines);
	sched_heap_init(&core->waiting);
	sched_heap_init(&core->timers);
	eos_list_init(&core->due);
	(void)sched_core_clock(core);
	*ret_core = core;
	return 0;
}

struct sched_core *sched_core_free(struct sched_core *core)
{
	if (core == NULL)
		return NULL;
	EOS_ASSERT(!core->is_in_run && core->servers_count == 0);
	EOS_ASSERT(core->timers.first == NULL && eos_list_is_empty(&core->due));
	free(core);
	return NULL;
}

bool sched_core_has_runnable(const struct sched_core *core)
{
	return core->classes_ready != 0 || core->deadlines.first != NULL;
}

void sched_core_charge(struct sched_core *core)
{
	struct sched_turn_now *turn = &core->turn;
	uint64_t start_ns = turn->start_ns;
	turn->start_ns = core->now_ns;
	if (turn->server != NULL)
		sched_server_charge(turn->server, start_ns, core->now_ns - start_ns);
	/* One long absence of the core must not put a tenant behind the others for as long. */
	if (turn->queue != NULL)
		turn->queue->vtime_ns += EOS_MIN(core->now_ns - start_ns, 100 * core->quantum_ns);
}

/* A change of the run queue or of what waits: when must somebody look again, at the latest? */
static uint64_t next_event_ns(const struct sched_core *core)
{
	uint64_t timer_ns = core->timers.first == NULL ? UINT64_MAX : core->timers.first->key;
	uint64_t refill_ns = core->waiting.first == NULL ? UINT64_MAX : core->waiting.first->key;
	return EOS_MIN(timer_ns, refill_ns);
}

static struct sched_task *take_with_budget(struct sched_core *core, uint64_t *ret_left_ns)
{
	struct sched_task *task;
	while ((task = core->policy->take(core)) != NULL) {
		EOS_DCHECK(task->state == SCHED_TASK_RUNNABLE);
		struct sched_server *dry = NULL;
		if (task->server->is_limited)
			dry = sched_server_find_dry(task, core->now_ns, ret_left_ns);
		if (EOS_LIKELY(dry == NULL))
			return task;
		sched_server_park(dry, task);
	}
	return NULL;
}

static bool is_interrupted(const struct sched_core *core)
{
	return core->ops->is_interrupted != NULL && core->ops->is_interrupted(core->ctx);
}

static void put(struct sched_core *core, struct sched_task *task, enum sched_entry entry)
{
	task->state = SCHED_TASK_RUNNABLE;
	core->policy->put(core, task, entry);
}

/* Where a task that could go on stands after a turn of RAN_NS. */
static enum sched_entry entry_after(struct sched_core *core, struct sched_task *task,
				    uint64_t ran_ns)
{
	uint64_t left_ns = task->quantum_left_ns - EOS_MIN(ran_ns, task->quantum_left_ns);
	if (left_ns <= core->least_ns)
		return SCHED_ENTRY_SPENT;
	if (core->now_ns + ALARM_EARLY_NS < core->turn.slice_end_ns && !core->turn.is_preempted &&
	    !is_interrupted(core))
		return SCHED_ENTRY_NEW;
	task->quantum_left_ns = left_ns;
	return SCHED_ENTRY_CUT;
}

/* The turn is paid for; what becomes of its task? */
static void end_turn(struct sched_core *core, enum sched_turn how, uint64_t ran_ns)
{
	struct sched_turn_now *turn = &core->turn;
	struct sched_task *task = turn->task;
	enum sched_entry entry = SCHED_ENTRY_NEW;
	if (task != NULL && how == SCHED_TURN_AGAIN)
		entry = entry_after(core, task, ran_ns);
	if (entry != SCHED_ENTRY_CUT && turn->queue != NULL && sched_heap_has(&turn->queue->node))
		sched_priority_end_turn(core, turn->queue, turn->task_class);
	turn->task = NULL;
	turn->server = NULL;
	turn->queue = NULL;
	turn->slice_end_ns = 0;
	turn->is_on = false;
	if (task == NULL)
		return;
	if (entry != SCHED_ENTRY_CUT)
		task->quantum_left_ns = 0;
	if (how == SCHED_TURN_AGAIN || turn->is_woken)
		put(core, task, entry);
	else
		task->state = SCHED_TASK_IDLE;
}

static void begin_turn(struct sched_core *core, struct sched_task *task, uint64_t slice_end_ns)
{
	struct sched_turn_now *turn = &core->turn;
	bool is_shared = !core->policy->is_by_deadline || task->deadline_ns == UINT64_MAX;
	turn->task = task;
	turn->server = task->server;
	turn->queue = is_shared ? &task->server->tenant->queues[task->task_class] : NULL;
	turn->begin_ns = turn->start_ns = core->now_ns;
	turn->slice_end_ns = slice_end_ns;
	turn->task_class = task->task_class;
	turn->is_on = true;
	turn->is_woken = turn->is_preempted = false;
	task->state = SCHED_TASK_RUNNING;
}

/* When a turn that begins now must end for what may happen then. */
static uint64_t turn_end_ns(const struct sched_core *core)
{
	uint64_t event_ns = next_event_ns(core);
	/* A timer that was set in the past while others fired waits for a short turn, so that
	 * timers which set each other cannot keep the tasks from running. */
	return event_ns <= core->now_ns ? core->now_ns + core->least_ns : event_ns;
}

/* The next task's turn has begun. NULL: it is time to leave the loop, or nobody can run. */
static inline __attribute__((always_inline)) struct sched_task *
take_turn(struct sched_core *core, uint64_t *ret_slice_end_ns)
{
	if (core->now_ns >= core->until_ns || is_interrupted(core))
		return NULL;
	uint64_t left_ns = UINT64_MAX;
	struct sched_task *task = take_with_budget(core, &left_ns);
	if (task == NULL)
		return NULL;
	if (task->quantum_left_ns == 0)
		task->quantum_left_ns = core->quantum_ns;
	left_ns = EOS_MIN(left_ns, task->quantum_left_ns);
	uint64_t end_ns = EOS_MIN(turn_end_ns(core), core->until_ns);
	*ret_slice_end_ns = EOS_MIN(end_ns, core->now_ns + left_ns);
	begin_turn(core, task, *ret_slice_end_ns);
	return task;
}

/* The turn that runs ends now. */
static inline __attribute__((always_inline)) void stop_turn(struct sched_core *core,
							    enum sched_turn how)
{
	uint64_t begin_ns = core->turn.begin_ns;
	(void)sched_core_clock(core);
	sched_core_charge(core);
	end_turn(core, how, core->now_ns - begin_ns);
}

struct sched_task *sched_core_next(struct sched_core *core, enum sched_turn how,
				   uint64_t *ret_slice_end_ns)
{
	EOS_ASSERT(core->turn.is_on && how != SCHED_TURN_OVER);
	stop_turn(core, how);
	if (EOS_UNLIKELY(next_event_ns(core) <= core->now_ns))
		return NULL;
	return take_turn(core, ret_slice_end_ns);
}

uint64_t sched_core_run(struct sched_core *core, uint64_t until_ns)
{
	EOS_ASSERT(!core->is_in_run);
	core->is_in_run = true;
	core->until_ns = until_ns;
	(void)sched_core_clock(core);
	for (;;) {
		if (EOS_UNLIKELY(next_event_ns(core) <= core->now_ns)) {
			if (sched_timers_fire(core, core->now_ns))
				(void)sched_core_clock(core);
			sched_server_replenish(core, core->now_ns);
		}
		uint64_t slice_end_ns;
		struct sched_task *task = take_turn(core, &slice_end_ns);
		if (task == NULL)
			break;
		enum sched_turn how = core->ops->run(core->ctx, task, slice_end_ns);
		EOS_ASSERT((how == SCHED_TURN_OVER) == !core->turn.is_on);
		if (how != SCHED_TURN_OVER)
			stop_turn(core, how);
	}
	core->is_in_run = false;
	return sched_core_has_runnable(core) ? 0 : next_event_ns(core);
}

void sched_task_init(struct sched_task *task, struct sched_server *server, unsigned task_class,
		     uint64_t deadline_ns)
{
	EOS_ASSERT(task_class < SCHED_CLASSES);
	*task = (struct sched_task){.server = server,
				    .deadline_ns = deadline_ns,
				    .task_class = (uint8_t)task_class,
				    .state = SCHED_TASK_IDLE};
	eos_list_init(&task->node);
	server->users_count++;
}

void sched_task_fini(struct sched_task *task)
{
	struct sched_core *core = task->server->core;
	switch ((enum sched_task_state)task->state) {
	case SCHED_TASK_IDLE:
		break;
	case SCHED_TASK_RUNNABLE:
		core->policy->remove(core, task);
		break;
	case SCHED_TASK_PARKED:
		sched_server_unpark(task);
		break;
	case SCHED_TASK_RUNNING:
		EOS_ASSERT(core->turn.task == task);
		core->turn.task = NULL;
		break;
	}
	EOS_ASSERT(task->server->users_count > 0);
	task->server->users_count--;
	task->state = SCHED_TASK_IDLE;
}

void sched_task_wake(struct sched_task *task)
{
	struct sched_core *core = task->server->core;
	struct sched_turn_now *turn = &core->turn;
	if (task->state == SCHED_TASK_RUNNING) {
		EOS_DCHECK(turn->task == task);
		turn->is_woken = true;
	}
	if (task->state != SCHED_TASK_IDLE)
		return;
	struct sched_server *server = task->server->is_limited ? task->server : NULL;
	for (; server != NULL; server = server->parent) {
		if (EOS_UNLIKELY(sched_heap_has(&server->node))) {
			sched_server_park(server, task);
			return;
		}
	}
	put(core, task, SCHED_ENTRY_NEW);
	if (turn->task != NULL && !turn->is_preempted &&
	    core->policy->goes_before(task, turn->task)) {
		turn->is_preempted = true;
		if (core->ops->preempt != NULL)
			core->ops->preempt(core->ctx);
	}
}
