/*
 * Timers: a heap by time. What is due when a pass begins moves to a list and fires from there, so
 * a timer that sets itself to the past is fired by the next pass, after tasks had a turn.
 */
#include "sched/core_priv.h"

void sched_timer_init(struct sched_timer *timer, void (*fire)(struct sched_timer *timer))
{
	*timer = (struct sched_timer){.fire = fire};
	eos_list_init(&timer->due_node);
}

bool sched_timer_is_set(const struct sched_timer *timer)
{
	return sched_heap_has(&timer->node) || !eos_list_is_empty(&timer->due_node);
}

void sched_timer_cancel(struct sched_core *core, struct sched_timer *timer)
{
	if (sched_heap_has(&timer->node))
		sched_heap_remove(&core->timers, &timer->node);
	eos_list_remove(&timer->due_node);
}

void sched_timer_set(struct sched_core *core, struct sched_timer *timer, uint64_t when_ns)
{
	struct sched_turn_now *turn = &core->turn;
	sched_timer_cancel(core, timer);
	sched_heap_add(&core->timers, &timer->node, when_ns);
	if (when_ns < turn->slice_end_ns) {
		turn->slice_end_ns = when_ns;
		if (core->ops->shorten != NULL)
			core->ops->shorten(core->ctx, when_ns);
	}
}

bool sched_timers_fire(struct sched_core *core, uint64_t now_ns)
{
	struct sched_heap_node *first;
	while ((first = core->timers.first) != NULL && first->key <= now_ns) {
		sched_heap_remove(&core->timers, first);
		eos_list_add_tail(&core->due,
				  &EOS_CONTAINER_OF(first, struct sched_timer, node)->due_node);
	}
	struct eos_list *node = eos_list_take(&core->due);
	if (node == NULL)
		return false;
	for (; node != NULL; node = eos_list_take(&core->due)) {
		struct sched_timer *timer = EOS_CONTAINER_OF(node, struct sched_timer, due_node);
		timer->fire(timer);
	}
	return true;
}
