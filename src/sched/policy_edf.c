/*
 * Earliest deadline first. Equal deadlines in the order in which their tasks woke, whatever they
 * have run since: switching between them would only make the first one later. Tasks without a
 * deadline run when no other can, as sched_policy_priority orders them; time that a tenant's tasks
 * with deadlines had does not count there.
 */
#include "sched/core_priv.h"

static bool has_deadline(const struct sched_task *task)
{
	return task->deadline_ns != UINT64_MAX;
}

static void edf_put(struct sched_core *core, struct sched_task *task, enum sched_entry entry)
{
	if (!has_deadline(task))
		sched_priority_put(core, task, entry);
	else if (entry == SCHED_ENTRY_NEW)
		sched_heap_add(&core->deadlines, &task->deadline_node, task->deadline_ns);
	else
		sched_heap_add_back(&core->deadlines, &task->deadline_node);
}

static void edf_remove(struct sched_core *core, struct sched_task *task)
{
	if (has_deadline(task))
		sched_heap_remove(&core->deadlines, &task->deadline_node);
	else
		sched_priority_remove(core, task);
}

static struct sched_task *edf_take(struct sched_core *core)
{
	struct sched_heap_node *first = core->deadlines.first;
	if (first == NULL)
		return sched_priority_take(core);
	sched_heap_remove(&core->deadlines, first);
	return EOS_CONTAINER_OF(first, struct sched_task, deadline_node);
}

static bool edf_goes_before(const struct sched_task *a, const struct sched_task *b)
{
	return a->deadline_ns < b->deadline_ns ||
	       (a->deadline_ns == b->deadline_ns && !has_deadline(a) &&
		sched_priority_goes_before(a, b));
}

const struct sched_policy_ops sched_policy_edf = {
	.put = edf_put,
	.remove = edf_remove,
	.take = edf_take,
	.goes_before = edf_goes_before,
	.is_by_deadline = true,
};
