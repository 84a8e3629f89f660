/*
 * Budgets: sporadic servers.
 *
 * A server's budget lies in refills, each an amount and the time from which it may be used,
 * together always the whole budget. What a turn used is taken from the first refill and put at the
 * end with a time one period after the turn began. So no window as long as a period, wherever it
 * starts, sees more than the budget. Fixed periods would allow twice that across their border.
 *
 * Invariants
 * 1. The refills are ordered by time and their amounts are the budget; the last is no more than a
 *    period later than the first.
 * 2. Two refills become one only by moving the earlier to where it ends when the later begins, or
 *    later: never to an earlier time. When the array is full those two are chosen where the least
 *    budget becomes late by the least time, so what that costs is small beside a period.
 * 3. A server that has nothing left waits until it may run for a quantum, or for its whole budget:
 *    crumbs would cost more switches than they are worth.
 *
 * An overrun uses refills whose time has not come and puts them off by a period each: a debt.
 */
#include "sched/core_priv.h"

#include <errno.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"

static int check_config(const struct sched_server_config *config, struct eos_why *why)
{
	if (config->budget_ns == 0)
		return 0;
	if (config->period_ns < SCHED_PERIOD_NS_MIN || config->period_ns > SCHED_PERIOD_NS_MAX)
		return eos_why(why, -EINVAL, "a period of %llu us is not from 1 ms to 60 s",
			       (unsigned long long)(config->period_ns / EOS_NS_PER_US));
	if (config->budget_ns < SCHED_BUDGET_NS_MIN)
		return eos_why(why, -EINVAL, "a budget of %llu ns is less than 10 us",
			       (unsigned long long)config->budget_ns);
	if (config->budget_ns > config->period_ns)
		return eos_why(why, -EINVAL, "a budget of %llu us is more than its period, %llu us",
			       (unsigned long long)(config->budget_ns / EOS_NS_PER_US),
			       (unsigned long long)(config->period_ns / EOS_NS_PER_US));
	return 0;
}

int sched_server_init(struct sched_server *server, struct sched_core *core,
		      struct sched_server *parent, const struct sched_server_config *config,
		      struct eos_why *why)
{
	int err = check_config(config, why);
	if (err < 0)
		return err;
	EOS_ASSERT(parent == NULL || parent->core == core);
	*server = (struct sched_server){.core = core, .parent = parent, .config = *config};
	server->tenant = parent == NULL ? server : parent->tenant;
	server->is_limited = config->budget_ns != 0 || (parent != NULL && parent->is_limited);
	server->refills[0].amount_ns = config->budget_ns;
	server->refills_count = 1;
	eos_list_init(&server->parked);
	for (unsigned c = 0; c < SCHED_CLASSES; c++)
		eos_list_init(&server->queues[c].ready);
	if (parent != NULL)
		parent->users_count++;
	core->servers_count++;
	return 0;
}

void sched_server_fini(struct sched_server *server)
{
	struct sched_core *core = server->core;
	EOS_ASSERT(server->users_count == 0 && eos_list_is_empty(&server->parked));
	/* Its last task ended inside its own turn: what is left of that is its parents' time. */
	if (core->turn.server == server) {
		(void)sched_core_clock(core);
		sched_core_charge(core);
		core->turn.server = server->parent;
		if (server->parent == NULL)
			core->turn.queue = NULL;
	}
	if (server->parent != NULL)
		server->parent->users_count--;
	core->servers_count--;
}

uint64_t sched_server_run_ns(const struct sched_server *server)
{
	return server->run_ns;
}

static struct sched_refill take_first(struct sched_server *server)
{
	struct sched_refill first = server->refills[0];
	server->refills_count--;
	memmove(server->refills, server->refills + 1,
		server->refills_count * sizeof(server->refills[0]));
	return first;
}

/* When both A and the later B may be used in one go. */
static uint64_t joined_when(const struct sched_refill *a, const struct sched_refill *b)
{
	return b->when_ns < a->when_ns + a->amount_ns ? a->when_ns : b->when_ns - a->amount_ns;
}

/* Makes one place. The first refill is what the server runs on, and stays apart. */
static void join_cheapest(struct sched_server *server)
{
	struct sched_refill *refills = server->refills;
	unsigned cheapest = 1;
	uint64_t least_cost = UINT64_MAX;
	for (unsigned i = 1; i + 1 < server->refills_count; i++) {
		uint64_t late_ns = joined_when(&refills[i], &refills[i + 1]) - refills[i].when_ns;
		/* A minute times a minute does not fit. */
		uint64_t cost = (late_ns >> 8) * (refills[i].amount_ns >> 8);
		if (cost < least_cost) {
			least_cost = cost;
			cheapest = i;
		}
	}
	refills[cheapest].when_ns = joined_when(&refills[cheapest], &refills[cheapest + 1]);
	refills[cheapest].amount_ns += refills[cheapest + 1].amount_ns;
	server->refills_count--;
	memmove(&refills[cheapest + 1], &refills[cheapest + 2],
		(server->refills_count - cheapest - 1) * sizeof(refills[0]));
}

static void add_last(struct sched_server *server, struct sched_refill refill)
{
	struct sched_refill *last = NULL;
	if (server->refills_count > 0)
		last = &server->refills[server->refills_count - 1];
	if (last != NULL && last->when_ns + last->amount_ns >= refill.when_ns) {
		last->amount_ns += refill.amount_ns;
		return;
	}
	if (server->refills_count == SCHED_REFILLS_MAX)
		join_cheapest(server);
	server->refills[server->refills_count++] = refill;
}

/* What the server may use from now on without a break; 0: it is dry until its first refill. */
static uint64_t budget_left(struct sched_server *server, uint64_t now_ns)
{
	struct sched_refill *first = &server->refills[0];
	first->when_ns = EOS_MAX(first->when_ns, now_ns);
	while (server->refills_count > 1 && first[1].when_ns <= first->when_ns + first->amount_ns) {
		first[1].amount_ns += first->amount_ns;
		first[1].when_ns = first->when_ns;
		(void)take_first(server);
	}
	if (EOS_LIKELY(first->when_ns <= now_ns && first->amount_ns >= SCHED_BUDGET_NS_MIN))
		return first->amount_ns;
	while (server->refills_count > 1 && first->amount_ns < server->core->quantum_ns) {
		first[1].when_ns = joined_when(first, &first[1]);
		first[1].amount_ns += first->amount_ns;
		(void)take_first(server);
	}
	return first->when_ns <= now_ns ? first->amount_ns : 0;
}

struct sched_server *sched_server_find_dry(struct sched_task *task, uint64_t now_ns,
					   uint64_t *ret_left_ns)
{
	uint64_t least_ns = UINT64_MAX;
	for (struct sched_server *server = task->server; server != NULL; server = server->parent) {
		if (server->config.budget_ns == 0)
			continue;
		uint64_t left_ns = budget_left(server, now_ns);
		if (left_ns == 0)
			return server;
		least_ns = EOS_MIN(least_ns, left_ns);
	}
	*ret_left_ns = least_ns;
	return NULL;
}

void sched_server_park(struct sched_server *server, struct sched_task *task)
{
	task->state = SCHED_TASK_PARKED;
	eos_list_add_tail(&server->parked, &task->node);
	if (!sched_heap_has(&server->node))
		sched_heap_add(&server->core->waiting, &server->node, server->refills[0].when_ns);
}

void sched_server_unpark(struct sched_task *task)
{
	for (struct sched_server *server = task->server; server != NULL; server = server->parent) {
		/* The only node of a list has its head on both sides. */
		if (task->node.next == &server->parked && task->node.prev == &server->parked)
			sched_heap_remove(&server->core->waiting, &server->node);
	}
	eos_list_remove(&task->node);
}

void sched_server_replenish(struct sched_core *core, uint64_t now_ns)
{
	struct sched_heap_node *node;
	while ((node = core->waiting.first) != NULL && node->key <= now_ns) {
		struct sched_server *server = EOS_CONTAINER_OF(node, struct sched_server, node);
		sched_heap_remove(&core->waiting, node);
		struct eos_list *task_node;
		while ((task_node = eos_list_take(&server->parked)) != NULL) {
			struct sched_task *task =
				EOS_CONTAINER_OF(task_node, struct sched_task, node);
			task->state = SCHED_TASK_RUNNABLE;
			core->policy->put(core, task, SCHED_ENTRY_NEW);
		}
	}
}

static void pay(struct sched_server *server, uint64_t start_ns, uint64_t ran_ns)
{
	struct sched_refill *first = &server->refills[0];
	first->when_ns = EOS_MAX(first->when_ns, start_ns);
	ran_ns = EOS_MIN(ran_ns, SCHED_DEBT_PERIODS_MAX * server->config.budget_ns);
	while (ran_ns >= first->amount_ns) {
		struct sched_refill used = take_first(server);
		ran_ns -= used.amount_ns;
		used.when_ns += server->config.period_ns;
		add_last(server, used);
	}
	if (ran_ns == 0)
		return;
	struct sched_refill used = {first->when_ns + server->config.period_ns, ran_ns};
	first->when_ns += ran_ns;
	first->amount_ns -= ran_ns;
	add_last(server, used);
}

void sched_server_charge(struct sched_server *server, uint64_t start_ns, uint64_t ran_ns)
{
	for (; server != NULL; server = server->parent) {
		server->run_ns += ran_ns;
		if (server->config.budget_ns != 0)
			pay(server, start_ns, ran_ns);
	}
}
