/*
 * A core under random load, on virtual time, checked after each step against a model that knows
 * only what it woke, set and freed. A failure prints its seed, which replays it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "sched/core_priv.h"

#define US	UINT64_C(1000)
#define MS	UINT64_C(1000000)
#define SEEDS	40u
#define TURNS	3000u
#define TASKS	40u
#define TENANTS 4u
#define SERVERS (TENANTS * 3) /* each with two functions */
#define OVERRUN (20 * US)
#define HISTORY 4096u

struct sim_task {
	struct sched_task task;
	struct sched_timer timer;
	struct sim *sim;
	bool is_alive, is_awake; /* is_awake: the model's; woken and not yet blocked */
	bool is_set;
	uint64_t when_ns, set_order;
	unsigned set_pass; /* in which it was set by another that fired; 0: in none */
};

struct sim_server {
	struct sched_server server;
	struct {
		uint64_t start_ns, ran_ns;
	} history[HISTORY];
	unsigned oldest, newest;
};

struct sim {
	struct sched_core *core;
	unsigned seed, random;
	uint64_t now_ns, seen_ns; /* the clock; the latest that it ever said */
	uint64_t slice_end_ns, set_order;
	unsigned turns, pass, fired;
	bool is_preempted, is_firing;
	struct sim_task *running; /* NULL: none, or freed inside its turn */
	struct sim_server servers[SERVERS];
	struct sim_task tasks[TASKS];
};

#define CHECK(sim, claim)                                                                          \
	do {                                                                                       \
		if (!(claim))                                                                      \
			fail_msg("seed %u, turn %u: %s", (sim)->seed, (sim)->turns, #claim);       \
	} while (0)

static unsigned pick(struct sim *sim, unsigned count)
{
	return (unsigned)rand_r(&sim->random) % count;
}

/* Invariants */

static unsigned list_length(const struct eos_list *list)
{
	unsigned length = 0;
	EOS_LIST_FOR_EACH (node, list)
		length++;
	return length;
}

static unsigned heap_size(const struct sched_heap_node *node)
{
	return node == NULL ? 0 : 1 + heap_size(node->left) + heap_size(node->right);
}

static void check_server(struct sim *sim, const struct sched_server *server)
{
	const struct sched_refill *refills = server->refills;
	uint64_t sum_ns = 0;
	CHECK(sim, eos_list_is_empty(&server->parked) == !sched_heap_has(&server->node));
	CHECK(sim, server->refills_count >= 1 && server->refills_count <= SCHED_REFILLS_MAX);
	for (unsigned i = 0; i < server->refills_count; i++) {
		sum_ns += refills[i].amount_ns;
		/* The first may reach beyond the second until they are joined. */
		CHECK(sim, i < 2 || refills[i].when_ns >= refills[i - 1].when_ns);
		CHECK(sim, refills[i].when_ns <= refills[0].when_ns + server->config.period_ns);
	}
	CHECK(sim, sum_ns == server->config.budget_ns);
}

static bool is_in_list(const struct eos_list *list, const struct eos_list *wanted)
{
	EOS_LIST_FOR_EACH (node, list)
		if (node == wanted)
			return true;
	return false;
}

static void check_task(struct sim *sim, const struct sim_task *task)
{
	const struct sched_task *t = &task->task;
	bool is_queued = is_in_list(&t->server->tenant->queues[t->task_class].ready, &t->node) ||
			 sched_heap_has(&t->deadline_node);
	unsigned parked = 0;
	for (struct sched_server *s = t->server; s != NULL; s = s->parent)
		parked += is_in_list(&s->parked, &t->node);
	CHECK(sim, is_queued == (t->state == SCHED_TASK_RUNNABLE));
	CHECK(sim, parked == (t->state == SCHED_TASK_PARKED ? 1 : 0));
	CHECK(sim, (t->state == SCHED_TASK_RUNNING) == (task == sim->running));
	CHECK(sim, task == sim->running || task->is_awake == (t->state != SCHED_TASK_IDLE));
	CHECK(sim, sched_timer_is_set(&task->timer) == task->is_set);
}

static void check_all(struct sim *sim)
{
	const struct sched_core *core = sim->core;
	unsigned queued = heap_size(core->deadlines.first), parked = 0, timers = 0, alive = 0;
	for (unsigned i = 0; i < SERVERS; i++) {
		const struct sched_server *server = &sim->servers[i].server;
		check_server(sim, server);
		parked += list_length(&server->parked);
		alive += server->users_count;
		for (unsigned c = 0; c < SCHED_CLASSES; c++) {
			const struct sched_tenant_queue *queue = &server->queues[c];
			queued += list_length(&queue->ready);
			CHECK(sim,
			      eos_list_is_empty(&queue->ready) == !sched_heap_has(&queue->node));
		}
	}
	for (unsigned c = 0; c < SCHED_CLASSES; c++)
		CHECK(sim,
		      (core->classes_ready >> c & 1) == (core->classes[c].tenants.first != NULL));
	alive -= SERVERS - TENANTS;
	for (unsigned i = 0; i < TASKS; i++) {
		const struct sim_task *task = &sim->tasks[i];
		if (!task->is_alive)
			continue;
		check_task(sim, task);
		alive--;
		timers += task->is_set;
		queued -= task->task.state == SCHED_TASK_RUNNABLE;
		parked -= task->task.state == SCHED_TASK_PARKED;
	}
	CHECK(sim, queued == 0 && parked == 0 && alive == 0);
	CHECK(sim, timers == heap_size(core->timers.first) + list_length(&core->due));
}

/* No window as long as a period sees more than the budget and one overrun. */
static void check_budget(struct sim *sim, struct sim_server *s, uint64_t start_ns, uint64_t ran_ns)
{
	const struct sched_server_config *config = &s->server.config;
	if (config->budget_ns == 0 || ran_ns == 0)
		return;
	s->history[s->newest % HISTORY].start_ns = start_ns;
	s->history[s->newest % HISTORY].ran_ns = ran_ns;
	s->newest++;
	uint64_t end_ns = start_ns + ran_ns, sum_ns = 0;
	/* Turns that began in the window: of those that began before it the end is within, but
	 * the window moves on to where they began, too. */
	while (s->history[s->oldest % HISTORY].start_ns + config->period_ns < end_ns)
		s->oldest++;
	CHECK(sim, s->newest - s->oldest < HISTORY);
	for (unsigned i = s->oldest; i < s->newest; i++)
		sum_ns += s->history[i % HISTORY].ran_ns;
	CHECK(sim, sum_ns <= config->budget_ns + OVERRUN);
}

static bool is_dry(struct sched_task *task, uint64_t now_ns)
{
	uint64_t left_ns;
	return sched_server_find_dry(task, now_ns, &left_ns) != NULL;
}

/* TASK begins its turn: nobody who could run goes before it, and nobody was forgotten. */
static void check_choice(struct sim *sim, struct sched_task *task)
{
	uint64_t now_ns = sim->core->now_ns;
	CHECK(sim, !is_dry(task, now_ns));
	for (unsigned i = 0; i < TASKS; i++) {
		struct sim_task *other = &sim->tasks[i];
		if (!other->is_alive)
			continue;
		if (other->task.state == SCHED_TASK_RUNNABLE && !is_dry(&other->task, now_ns))
			CHECK(sim, !sim->core->policy->goes_before(&other->task, task));
		if (other->task.state == SCHED_TASK_PARKED)
			CHECK(sim, is_dry(&other->task, now_ns));
		if (other->is_set && other->set_pass != sim->pass)
			CHECK(sim, other->when_ns > now_ns || other->timer.node.key > now_ns);
	}
}

/* What may happen at any time */

static void fire(struct sched_timer *timer);

static void kill(struct sim *sim, struct sim_task *task)
{
	sched_timer_cancel(sim->core, &task->timer);
	sched_task_fini(&task->task);
	if (task == sim->running)
		sim->running = NULL;
	memset(task, 0xa5, sizeof(*task));
	task->is_alive = false;
}

static void give_birth(struct sim *sim, struct sim_task *task)
{
	*task = (struct sim_task){.sim = sim, .is_alive = true};
	uint64_t deadline_ns = pick(sim, 3) == 0 ? UINT64_MAX : sim->now_ns + pick(sim, 20) * MS;
	sched_task_init(&task->task, &sim->servers[pick(sim, SERVERS)].server,
			pick(sim, SCHED_CLASSES), deadline_ns);
	sched_timer_init(&task->timer, fire);
}

static void wake(struct sim_task *task)
{
	task->is_awake = true;
	sched_task_wake(&task->task);
}

static void set(struct sim *sim, struct sim_task *task)
{
	/* In the past now and then. */
	task->when_ns = sim->seen_ns + pick(sim, 3000) * US - 20 * US;
	task->is_set = true;
	task->set_order = sim->set_order++;
	task->set_pass = sim->is_firing ? sim->pass : 0;
	sched_timer_set(sim->core, &task->timer, task->when_ns);
}

static void anything(struct sim *sim)
{
	struct sim_task *task = &sim->tasks[pick(sim, TASKS)];
	unsigned what = pick(sim, 20);
	if (!task->is_alive) {
		if (what < 10)
			give_birth(sim, task);
	} else if (what < 10) {
		wake(task);
	} else if (what < 16) {
		set(sim, task);
	} else if (what < 18) {
		sched_timer_cancel(sim->core, &task->timer);
		task->is_set = false;
	} else if (what == 18) {
		kill(sim, task);
	} else if (sim->running != NULL) {
		kill(sim, sim->running);
	}
	check_all(sim);
}

static void fire(struct sched_timer *timer)
{
	struct sim_task *task = EOS_CONTAINER_OF(timer, struct sim_task, timer);
	struct sim *sim = task->sim;
	CHECK(sim, task->is_alive && task->is_set && task->when_ns <= sim->seen_ns);
	for (unsigned i = 0; i < TASKS; i++) {
		struct sim_task *other = &sim->tasks[i];
		if (!other->is_alive || !other->is_set || other == task ||
		    (other->set_pass == sim->pass && sim->pass != 0))
			continue;
		CHECK(sim, other->when_ns > task->when_ns || (other->when_ns == task->when_ns &&
							      other->set_order > task->set_order));
	}
	task->is_set = false;
	sim->fired++;
	sim->is_firing = true;
	if (pick(sim, 2) == 0)
		wake(task);
	while (pick(sim, 3) == 0)
		anything(sim);
	sim->is_firing = false;
}

static uint64_t clock(void *ctx)
{
	struct sim *sim = ctx;
	sim->seen_ns = EOS_MAX(sim->seen_ns, sim->now_ns);
	return sim->now_ns;
}

static void preempt(void *ctx)
{
	struct sim *sim = ctx;
	CHECK(sim, sim->running != NULL && !sim->is_preempted);
	sim->is_preempted = true;
}

static void shorten(void *ctx, uint64_t slice_end_ns)
{
	struct sim *sim = ctx;
	CHECK(sim, slice_end_ns < sim->slice_end_ns);
	sim->slice_end_ns = slice_end_ns;
}

static bool is_interrupted(void *ctx)
{
	return pick(ctx, 50) == 0;
}

/* A few things happen during a turn; then time has passed, until the slice's end or less. */
static enum sched_turn take_turn(struct sim *sim, struct sched_task *task, uint64_t slice_end_ns)
{
	uint64_t start_ns = sim->core->now_ns;
	struct sched_server *server = task->server;
	sim->running = EOS_CONTAINER_OF(task, struct sim_task, task);
	sim->slice_end_ns = slice_end_ns;
	sim->is_preempted = false;
	CHECK(sim, slice_end_ns > start_ns && slice_end_ns <= start_ns + SCHED_QUANTUM_NS);
	check_choice(sim, task);
	check_all(sim);
	sim->turns++;
	sim->pass++;
	sim->running->is_awake = false;
	for (unsigned i = pick(sim, 4); i > 0 && !sim->is_preempted; i--) {
		if (sim->now_ns < sim->slice_end_ns)
			sim->now_ns += pick(sim, (unsigned)(sim->slice_end_ns - sim->now_ns));
		anything(sim);
	}
	if (!sim->is_preempted && pick(sim, 2) == 0)
		sim->now_ns = EOS_MAX(sim->now_ns, sim->slice_end_ns + pick(sim, 20) * US);
	else if (pick(sim, 50) == 0)
		sim->now_ns -= pick(sim, 100) * US;
	uint64_t ran_ns = sim->now_ns > start_ns ? sim->now_ns - start_ns : 0;
	for (; server != NULL; server = server->parent)
		check_budget(sim, EOS_CONTAINER_OF(server, struct sim_server, server), start_ns,
			     ran_ns);
	struct sim_task *self = sim->running;
	sim->running = NULL;
	if (self == NULL)
		return SCHED_TURN_GONE;
	bool is_again = pick(sim, 3) != 0;
	self->is_awake = self->is_awake || is_again;
	return is_again ? SCHED_TURN_AGAIN : SCHED_TURN_GONE;
}

/* Goes back to the loop after each turn, or takes the next one at once. */
static enum sched_turn run(void *ctx, struct sched_task *task, uint64_t slice_end_ns)
{
	struct sim *sim = ctx;
	for (;;) {
		enum sched_turn how = take_turn(sim, task, slice_end_ns);
		if (pick(sim, 2) == 0)
			return how;
		task = sched_core_next(sim->core, how, &slice_end_ns);
		if (task == NULL)
			return SCHED_TURN_OVER;
	}
}

static const struct sched_core_ops sim_ops = {
	.run = run,
	.preempt = preempt,
	.shorten = shorten,
	.is_interrupted = is_interrupted,
	.now_ns = clock,
};

static void sim_init(struct sim *sim, unsigned seed, const struct sched_policy_ops *policy)
{
	struct sched_core_config config = {.policy = policy};
	memset(sim, 0, sizeof(*sim));
	sim->seed = sim->random = seed;
	sim->now_ns = sim->seen_ns = 1000 * MS;
	sim->pass = 1;
	assert_int_equal(sched_core_new(&config, &sim_ops, sim, &sim->core, NULL), 0);
	for (unsigned i = 0; i < SERVERS; i++) {
		struct sched_server_config server = {0};
		if (pick(sim, 2) == 0) {
			server.period_ns = SCHED_PERIOD_NS_MIN * (1 + pick(sim, 30));
			server.budget_ns = server.period_ns / (1 + pick(sim, 20));
		}
		assert_int_equal(
			sched_server_init(&sim->servers[i].server, sim->core,
					  i < TENANTS ? NULL : &sim->servers[i % TENANTS].server,
					  &server, NULL),
			0);
	}
}

static void sim_fini(struct sim *sim)
{
	for (unsigned i = 0; i < TASKS; i++) {
		if (sim->tasks[i].is_alive)
			kill(sim, &sim->tasks[i]);
	}
	for (unsigned i = SERVERS; i > 0; i--)
		sched_server_fini(&sim->servers[i - 1].server);
	sim->core = sched_core_free(sim->core);
}

static void simulate(const struct sched_policy_ops *policy)
{
	static struct sim sim;
	for (unsigned seed = 1; seed <= SEEDS; seed++) {
		sim_init(&sim, seed, policy);
		while (sim.turns < TURNS) {
			uint64_t next_ns =
				sched_core_run(sim.core, sim.now_ns + pick(&sim, 10) * MS);
			sim.pass++;
			check_all(&sim);
			CHECK(&sim, (next_ns == 0) == sched_core_has_runnable(sim.core));
			if (next_ns != 0 && next_ns != UINT64_MAX && next_ns > sim.now_ns &&
			    pick(&sim, 2) == 0)
				sim.now_ns = next_ns;
			for (unsigned i = pick(&sim, 5); i > 0; i--)
				anything(&sim);
		}
		CHECK(&sim, sim.fired > TURNS / 20);
		sim_fini(&sim);
	}
}

static void priorities_hold(void **state)
{
	simulate(&sched_policy_priority);
}

static void deadlines_hold(void **state)
{
	simulate(&sched_policy_edf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(priorities_hold),
		cmocka_unit_test(deadlines_hold),
	};
	return cmocka_run_group_tests_name("sched_sim", tests, NULL, NULL);
}
