/*
 * Fixed priority: the lowest class that has runnable tasks; in it the tenant that has had the least
 * time; of its tasks the one that waits longest.
 *
 * "The least time" is start-time fair queueing. Each tenant has a virtual time for each class,
 * which grows by what its tasks run. The class has one too, that of the turn which began last.
 * Tenants are ordered by what their virtual time was when their turn began, so a turn that is cut
 * keeps its place, and one that is over is ordered anew. A tenant that comes back after a pause
 * gets the class's virtual time less one quantum: it goes before all that are in their usual
 * rounds, but having run for that quantum more than its part it waits like the others. Plain round
 * robin would make it wait for all tenants, or, if it always went first, it could starve them.
 */
#include "sched/core_priv.h"

#include "base/assert.h"

static struct sched_tenant_queue *queue_of(const struct sched_task *task)
{
	return &task->server->tenant->queues[task->task_class];
}

void sched_priority_put(struct sched_core *core, struct sched_task *task, enum sched_entry entry)
{
	struct sched_class *class = &core->classes[task->task_class];
	struct sched_tenant_queue *queue = queue_of(task);
	/* After the head's first node is before all: the list is a circle. */
	eos_list_add_tail(entry == SCHED_ENTRY_CUT ? queue->ready.next : &queue->ready,
			  &task->node);
	if (sched_heap_has(&queue->node))
		return;
	core->classes_ready |= 1u << task->task_class;
	if (entry == SCHED_ENTRY_CUT) {
		sched_heap_add_back(&class->tenants, &queue->node);
		return;
	}
	EOS_DCHECK(class->vtime_ns >= core->quantum_ns);
	queue->vtime_ns = EOS_MAX(queue->vtime_ns, class->vtime_ns - core->quantum_ns);
	sched_heap_add(&class->tenants, &queue->node, queue->vtime_ns);
}

void sched_priority_remove(struct sched_core *core, struct sched_task *task)
{
	struct sched_class *class = &core->classes[task->task_class];
	struct sched_tenant_queue *queue = queue_of(task);
	eos_list_remove(&task->node);
	if (!eos_list_is_empty(&queue->ready))
		return;
	sched_heap_remove(&class->tenants, &queue->node);
	if (class->tenants.first == NULL)
		core->classes_ready &= ~(1u << task->task_class);
}

struct sched_task *sched_priority_take(struct sched_core *core)
{
	if (core->classes_ready == 0)
		return NULL;
	struct sched_class *class = &core->classes[__builtin_ctz(core->classes_ready)];
	struct sched_tenant_queue *queue =
		EOS_CONTAINER_OF(class->tenants.first, struct sched_tenant_queue, node);
	struct sched_task *task = EOS_CONTAINER_OF(queue->ready.next, struct sched_task, node);
	class->vtime_ns = EOS_MAX(class->vtime_ns, queue->node.key);
	sched_priority_remove(core, task);
	return task;
}

bool sched_priority_goes_before(const struct sched_task *a, const struct sched_task *b)
{
	return a->task_class < b->task_class;
}

void sched_priority_end_turn(struct sched_core *core, struct sched_tenant_queue *queue,
			     unsigned task_class)
{
	struct sched_heap *tenants = &core->classes[task_class].tenants;
	if (queue->node.key == queue->vtime_ns)
		return;
	if (sched_heap_has_only(tenants, &queue->node)) {
		queue->node.key = queue->vtime_ns;
		return;
	}
	sched_heap_remove(tenants, &queue->node);
	sched_heap_add(tenants, &queue->node, queue->vtime_ns);
}

const struct sched_policy_ops sched_policy_priority = {
	.put = sched_priority_put,
	.remove = sched_priority_remove,
	.take = sched_priority_take,
	.goes_before = sched_priority_goes_before,
};
