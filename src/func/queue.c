/*
 * The invocation queue.
 *
 * Each function has a lane: its waiting calls in order, and a count of those that run. A lane that
 * has both a waiting call and room under the function's concurrency is in its tenant's ring. A
 * tenant that has such lanes, and runs fewer calls than it may, is in the queue's ring. pump()
 * takes that ring's tenants in turn, and of each the next lane, one call each, while fewer calls
 * run than all may together: a tenant or function with a thousand waiting calls gets one turn in
 * every round, like any other; one at its limit waits for its own calls to end, and holds up nobody
 * else.
 *
 *     NEW --submit--> WAITING --pump--> RUNNING --done--> DONE
 *                        '------cancel, free------------> DONE
 *
 * Lanes go by the names of function and tenant, not by the function's version: concurrency is the
 * function's, also while calls of two versions are under way. Versions may differ in their limit;
 * the first waiting call's counts.
 *
 * Why the limit of a tenant's FWPs is kept here and not in the cell: a call that waits here costs
 * the cell nothing, no memory and no message. An FWP lives only while its call runs.
 *
 * Executors and on_done may call back (submit, cancel, done) from anywhere. pump() is therefore not
 * re-entered: an inner call leaves the work to the outer one, so the stack does not grow with the
 * queue.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/counter.h"
#include "func/queue_priv.h"

#define BUCKETS	     256 /* of the hashes over names; a power of two */
#define LANES_KEPT   256 /* idle lanes beyond this are freed */
#define TENANTS_KEPT 64	 /* idle tenants beyond this are freed */

EOS_COUNTER(calls_total, "func.calls_total", "Invocations that ended, well or badly.")
EOS_COUNTER(failed_total, "func.calls_failed_total",
	    "Invocations that did not end with exit code 0.")
EOS_COUNTER(refused_total, "func.calls_refused_total", "Invocations refused: too many waited.")
EOS_COUNTER(waiting_now, "func.calls_waiting", "Invocations that wait for their turn.")
EOS_COUNTER(running_now, "func.calls_running", "Invocations that run now.")
EOS_COUNTER(tenant_limit_total, "func.tenant_limit_total",
	    "Invocations that came while their tenant ran as many as it may.")

struct queue_tenant {
	struct queue_tenant *next;	 /* in its hash bucket */
	const struct func_tenant *limit; /* borrowed from the configuration */
	struct eos_list turn;		 /* in the queue's ring, or in itself */
	struct eos_list ready;		 /* lanes that could start a call */
	unsigned running, lanes_count;
	char name[FUNC_NAME_MAX + 1];
};

struct func_lane {
	struct func_lane *next; /* in its hash bucket */
	struct queue_tenant *tenant;
	struct eos_list turn; /* in the tenant's ring, or in itself */
	struct eos_list waiting;
	unsigned waiting_count, running;
	char name[FUNC_NAME_MAX + 1];
};

struct func_queue {
	struct func_executor executor;
	bool has_executor, is_pumping, is_closing;
	unsigned waiting, running, running_max;
	const struct func_tenants *limits; /* borrowed; own_limits unless there are others */
	struct func_tenants *own_limits;
	struct eos_list ready; /* tenants */
	struct func_lane *lanes[BUCKETS];
	struct queue_tenant *tenants[BUCKETS];
	unsigned lanes_count, tenants_count;
};

int func_queue_new(struct func_queue **ret_queue)
{
	struct func_queue *queue = calloc(1, sizeof(*queue));
	if (queue == NULL)
		return -ENOMEM;
	queue->own_limits = malloc(sizeof(*queue->own_limits));
	if (queue->own_limits == NULL) {
		free(queue);
		return -ENOMEM;
	}
	func_tenants_init(queue->own_limits);
	queue->limits = queue->own_limits;
	queue->running_max = FUNC_RUNNING_MAX;
	eos_list_init(&queue->ready);
	*ret_queue = queue;
	return 0;
}

void func_queue_set_limits(struct func_queue *queue, const struct func_tenants *tenants,
			   unsigned running_max)
{
	EOS_ASSERT(queue->tenants_count == 0 && running_max > 0 && running_max <= FUNC_RUNNING_MAX);
	queue->limits = tenants;
	queue->running_max = running_max;
}

static size_t bucket_of(const char *name)
{
	uint32_t hash = 2166136261u; /* FNV-1a; names are the deployer's, and few */
	for (const char *p = name; *p != '\0'; p++)
		hash = (hash ^ (uint8_t)*p) * 16777619u;
	return (hash ^ hash >> 16) % BUCKETS;
}

static struct queue_tenant **find_tenant(struct func_queue *queue, const char *name)
{
	struct queue_tenant **link = &queue->tenants[bucket_of(name)];
	while (*link != NULL && strcmp((*link)->name, name) != 0)
		link = &(*link)->next;
	return link;
}

static struct func_lane **find_lane(struct func_queue *queue, const char *name, const char *tenant)
{
	struct func_lane **link = &queue->lanes[bucket_of(name)];
	while (*link != NULL &&
	       (strcmp((*link)->name, name) != 0 || strcmp((*link)->tenant->name, tenant) != 0))
		link = &(*link)->next;
	return link;
}

static struct queue_tenant *take_tenant(struct func_queue *queue, const char *name)
{
	struct queue_tenant **link = find_tenant(queue, name);
	if (*link == NULL) {
		struct queue_tenant *tenant = calloc(1, sizeof(*tenant));
		if (tenant == NULL)
			return NULL;
		eos_list_init(&tenant->turn);
		eos_list_init(&tenant->ready);
		strcpy(tenant->name, name); /* a decoded manifest's name fits */
		tenant->limit = func_tenants_find(queue->limits, name);
		*link = tenant;
		queue->tenants_count++;
	}
	return *link;
}

static struct func_lane *take_lane(struct func_queue *queue, const struct func_manifest *manifest)
{
	struct func_lane **link = find_lane(queue, manifest->name, manifest->tenant);
	if (*link != NULL)
		return *link;
	struct queue_tenant *tenant = take_tenant(queue, manifest->tenant);
	struct func_lane *lane = tenant != NULL ? calloc(1, sizeof(*lane)) : NULL;
	if (lane == NULL)
		return NULL; /* a tenant without lanes is freed with the queue, or used again */
	eos_list_init(&lane->turn);
	eos_list_init(&lane->waiting);
	strcpy(lane->name, manifest->name);
	lane->tenant = tenant;
	tenant->lanes_count++;
	*link = lane;
	queue->lanes_count++;
	return lane;
}

static void free_tenant(struct func_queue *queue, struct queue_tenant *tenant)
{
	struct queue_tenant **link = find_tenant(queue, tenant->name);
	EOS_ASSERT(*link == tenant && tenant->lanes_count == 0 && tenant->running == 0);
	*link = tenant->next;
	queue->tenants_count--;
	free(tenant);
}

static void free_lane(struct func_queue *queue, struct func_lane *lane)
{
	struct queue_tenant *tenant = lane->tenant;
	struct func_lane **link = find_lane(queue, lane->name, tenant->name);
	EOS_ASSERT(*link == lane && lane->waiting_count == 0 && lane->running == 0);
	*link = lane->next;
	queue->lanes_count--;
	free(lane);
	tenant->lanes_count--;
	if (tenant->lanes_count == 0 && queue->tenants_count > TENANTS_KEPT)
		free_tenant(queue, tenant);
}

/* Is NODE in RING exactly when it should be? At its end, if it comes in. */
static void settle_turn(struct eos_list *ring, struct eos_list *node, bool is_ready)
{
	bool is_in_ring = !eos_list_is_empty(node);
	if (is_ready && !is_in_ring)
		eos_list_add_tail(ring, node);
	if (!is_ready && is_in_ring)
		eos_list_remove(node);
}

static void settle_tenant(struct func_queue *queue, struct queue_tenant *tenant)
{
	bool has_room = tenant->running < tenant->limit->running_max;
	settle_turn(&queue->ready, &tenant->turn, has_room && !eos_list_is_empty(&tenant->ready));
}

/* After a change of LANE: is it in its ring exactly when a call of it could start? An idle lane may
 * be freed. */
static void settle_lane(struct func_queue *queue, struct func_lane *lane)
{
	struct queue_tenant *tenant = lane->tenant;
	bool is_ready = false;
	if (lane->waiting_count > 0) {
		const struct func_call *first =
			EOS_CONTAINER_OF(lane->waiting.next, struct func_call, link);
		is_ready = lane->running < first->func->manifest->concurrency_max;
	}
	settle_turn(&tenant->ready, &lane->turn, is_ready);
	settle_tenant(queue, tenant);
	if (lane->waiting_count == 0 && lane->running == 0 && queue->lanes_count > LANES_KEPT)
		free_lane(queue, lane);
}

static void leave_waiting(struct func_queue *queue, struct func_queued *queued)
{
	EOS_ASSERT(queued->state == FUNC_CALL_WAITING && queued->lane->waiting_count > 0);
	eos_list_remove(&queued->call.link);
	queued->lane->waiting_count--;
	queue->waiting--;
	eos_counter_sub(&waiting_now, 1);
}

/* The end of every submitted call. */
static void finish(struct func_queued *queued)
{
	struct func_call *call = &queued->call;
	queued->state = FUNC_CALL_DONE;
	queued->lane = NULL;
	if (call->ended_ns == 0)
		call->ended_ns = eos_now_ns();
	eos_counter_add(&calls_total, 1);
	if (call->outcome != FUNC_OK)
		eos_counter_add(&failed_total, 1);
	call->on_done(call->ctx, call);
	func_call_free(call);
}

/* The next call of the tenant whose turn it is. */
static void start_next(struct func_queue *queue)
{
	struct queue_tenant *tenant =
		EOS_CONTAINER_OF(queue->ready.next, struct queue_tenant, turn);
	struct func_lane *lane = EOS_CONTAINER_OF(tenant->ready.next, struct func_lane, turn);
	struct func_call *call = EOS_CONTAINER_OF(lane->waiting.next, struct func_call, link);
	struct func_queued *queued = func_queued_of(call);
	leave_waiting(queue, queued);
	queued->state = FUNC_CALL_RUNNING;
	lane->running++;
	tenant->running++;
	queue->running++;
	eos_counter_add(&running_now, 1);
	/* To the ends of their rings, if there is more to do: the next one's turn. */
	eos_list_remove(&lane->turn);
	eos_list_remove(&tenant->turn);
	settle_lane(queue, lane);
	call->tenant = tenant->limit;
	call->started_ns = eos_now_ns();
	queue->executor.start(queue->executor.ctx, call);
}

static void pump(struct func_queue *queue)
{
	if (queue->is_pumping)
		return;
	queue->is_pumping = true;
	while (queue->has_executor && !queue->is_closing && queue->running < queue->running_max &&
	       !eos_list_is_empty(&queue->ready))
		start_next(queue);
	queue->is_pumping = false;
}

void func_queue_set_executor(struct func_queue *queue, const struct func_executor *executor)
{
	queue->has_executor = executor != NULL;
	if (executor != NULL)
		queue->executor = *executor;
	pump(queue);
}

int func_queue_submit(struct func_queue *queue, struct func_call *call)
{
	struct func_queued *queued = func_queued_of(call);
	EOS_ASSERT(queued->state == FUNC_CALL_NEW && call->on_done != NULL);
	if (queue->is_closing)
		return -ESHUTDOWN;
	struct func_lane *lane = take_lane(queue, call->func->manifest);
	if (lane == NULL)
		return -ENOMEM;
	if (lane->waiting_count >= FUNC_QUEUE_MAX) {
		eos_counter_add(&refused_total, 1);
		return -EAGAIN;
	}
	if (lane->tenant->running >= lane->tenant->limit->running_max)
		eos_counter_add(&tenant_limit_total, 1);
	queued->state = FUNC_CALL_WAITING;
	queued->lane = lane;
	eos_list_add_tail(&lane->waiting, &call->link);
	lane->waiting_count++;
	queue->waiting++;
	eos_counter_add(&waiting_now, 1);
	call->submitted_ns = eos_now_ns();
	settle_lane(queue, lane);
	pump(queue);
	return 0;
}

/* A waiting call ends without having run. */
static void refuse(struct func_queue *queue, struct func_queued *queued, const char *text)
{
	struct func_lane *lane = queued->lane;
	leave_waiting(queue, queued);
	settle_lane(queue, lane);
	queued->call.outcome = FUNC_REFUSED;
	(void)snprintf(queued->call.text, sizeof(queued->call.text), "%s", text);
	finish(queued);
}

void func_queue_cancel(struct func_queue *queue, struct func_call *call)
{
	struct func_queued *queued = func_queued_of(call);
	if (queued->state == FUNC_CALL_WAITING)
		refuse(queue, queued, "cancelled");
	else if (queued->state == FUNC_CALL_RUNNING && queue->has_executor)
		queue->executor.cancel(queue->executor.ctx, call);
	pump(queue);
}

void func_queue_done(struct func_queue *queue, struct func_call *call)
{
	struct func_queued *queued = func_queued_of(call);
	struct func_lane *lane = queued->lane;
	EOS_ASSERT(queued->state == FUNC_CALL_RUNNING && lane->running > 0);
	EOS_ASSERT(lane->tenant->running > 0);
	lane->running--;
	lane->tenant->running--;
	queue->running--;
	eos_counter_sub(&running_now, 1);
	settle_lane(queue, lane);
	finish(queued);
	pump(queue);
}

void func_queue_stats(const struct func_queue *queue, struct func_queue_stats *ret_stats)
{
	*ret_stats =
		(struct func_queue_stats){.waiting = queue->waiting, .running = queue->running};
}

/* Ends a waiting call of LANE, or frees it: one step towards its end. */
static void free_or_refuse(struct func_queue *queue, struct func_lane *lane)
{
	if (lane->waiting_count == 0) {
		free_lane(queue, lane);
		return;
	}
	struct func_call *call = EOS_CONTAINER_OF(lane->waiting.next, struct func_call, link);
	refuse(queue, func_queued_of(call), "the node is shutting down");
}

struct func_queue *func_queue_free(struct func_queue *queue)
{
	if (queue == NULL)
		return NULL;
	EOS_ASSERT(queue->running == 0);
	queue->is_closing = true;
	for (size_t i = 0; i < BUCKETS; i++)
		while (queue->lanes[i] != NULL)
			free_or_refuse(queue, queue->lanes[i]);
	for (size_t i = 0; i < BUCKETS; i++)
		while (queue->tenants[i] != NULL)
			free_tenant(queue, queue->tenants[i]);
	EOS_ASSERT(queue->waiting == 0 && queue->lanes_count == 0);
	free(queue->own_limits);
	free(queue);
	return NULL;
}
