/*
 * The invocation queue.
 *
 * Each function has a lane: its waiting calls in order, and a count of those that run. A lane that
 * has both a waiting call and room under the function's concurrency is in the ring of ready lanes.
 * pump() takes the ring's lanes in turn, one call each, while fewer than FUNC_RUNNING_MAX run: a
 * function with a thousand waiting calls gets one turn in every round, like any other.
 *
 *     NEW --submit--> WAITING --pump--> RUNNING --done--> DONE
 *                        '------cancel, free------------> DONE
 *
 * Lanes go by the function's name, not by its version: concurrency is the function's, also while
 * calls of two versions are under way. Versions may differ in their limit; the first waiting call's
 * counts.
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

#define BUCKETS	   256 /* of the hash over names; a power of two */
#define LANES_KEPT 256 /* idle lanes beyond this are freed */

EOS_COUNTER(calls_total, "func.calls_total", "Invocations that ended, well or badly.")
EOS_COUNTER(failed_total, "func.calls_failed_total",
	    "Invocations that did not end with exit code 0.")
EOS_COUNTER(refused_total, "func.calls_refused_total", "Invocations refused: too many waited.")
EOS_COUNTER(waiting_now, "func.calls_waiting", "Invocations that wait for their turn.")
EOS_COUNTER(running_now, "func.calls_running", "Invocations that run now.")

struct func_lane {
	struct func_lane *next; /* in its hash bucket */
	struct eos_list ready;	/* in the queue's ring, or in itself */
	struct eos_list waiting;
	unsigned waiting_count, running;
	char name[FUNC_NAME_MAX + 1];
};

struct func_queue {
	struct func_executor executor;
	bool has_executor, is_pumping, is_closing;
	unsigned waiting, running;
	struct eos_list ready;
	struct func_lane *lanes[BUCKETS];
	unsigned lanes_count;
};

int func_queue_new(struct func_queue **ret_queue)
{
	struct func_queue *queue = calloc(1, sizeof(*queue));
	if (queue == NULL)
		return -ENOMEM;
	eos_list_init(&queue->ready);
	*ret_queue = queue;
	return 0;
}

static struct func_lane **find_lane(struct func_queue *queue, const char *name)
{
	uint32_t hash = 2166136261u; /* FNV-1a; names are the deployer's, and few */
	for (const char *p = name; *p != '\0'; p++)
		hash = (hash ^ (uint8_t)*p) * 16777619u;
	struct func_lane **link = &queue->lanes[(hash ^ hash >> 16) % BUCKETS];
	while (*link != NULL && strcmp((*link)->name, name) != 0)
		link = &(*link)->next;
	return link;
}

static struct func_lane *take_lane(struct func_queue *queue, const char *name)
{
	struct func_lane **link = find_lane(queue, name);
	if (*link == NULL) {
		struct func_lane *lane = calloc(1, sizeof(*lane));
		if (lane == NULL)
			return NULL;
		eos_list_init(&lane->ready);
		eos_list_init(&lane->waiting);
		strcpy(lane->name, name); /* a decoded manifest's name fits */
		*link = lane;
		queue->lanes_count++;
	}
	return *link;
}

/* After a change of LANE: is it in the ring exactly when a call of it could start? An idle lane may
 * be freed. */
static void settle_lane(struct func_queue *queue, struct func_lane *lane)
{
	bool is_ready = false;
	if (lane->waiting_count > 0) {
		const struct func_call *first =
			EOS_CONTAINER_OF(lane->waiting.next, struct func_call, link);
		is_ready = lane->running < first->func->manifest->concurrency_max;
	}
	bool is_in_ring = !eos_list_is_empty(&lane->ready);
	if (is_ready && !is_in_ring)
		eos_list_add_tail(&queue->ready, &lane->ready);
	if (!is_ready && is_in_ring)
		eos_list_remove(&lane->ready);
	if (lane->waiting_count == 0 && lane->running == 0 && queue->lanes_count > LANES_KEPT) {
		struct func_lane **link = find_lane(queue, lane->name);
		EOS_ASSERT(*link == lane);
		*link = lane->next;
		queue->lanes_count--;
		free(lane);
	}
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

static void start_first(struct func_queue *queue, struct func_lane *lane)
{
	struct func_call *call = EOS_CONTAINER_OF(lane->waiting.next, struct func_call, link);
	struct func_queued *queued = func_queued_of(call);
	leave_waiting(queue, queued);
	queued->state = FUNC_CALL_RUNNING;
	lane->running++;
	queue->running++;
	eos_counter_add(&running_now, 1);
	/* To the end of the ring, if there is more to do: the next lane's turn. */
	eos_list_remove(&lane->ready);
	settle_lane(queue, lane);
	call->started_ns = eos_now_ns();
	queue->executor.start(queue->executor.ctx, call);
}

static void pump(struct func_queue *queue)
{
	if (queue->is_pumping)
		return;
	queue->is_pumping = true;
	while (queue->has_executor && !queue->is_closing && queue->running < FUNC_RUNNING_MAX &&
	       !eos_list_is_empty(&queue->ready))
		start_first(queue, EOS_CONTAINER_OF(queue->ready.next, struct func_lane, ready));
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
	struct func_lane *lane = take_lane(queue, call->func->manifest->name);
	if (lane == NULL)
		return -ENOMEM;
	if (lane->waiting_count >= FUNC_QUEUE_MAX) {
		eos_counter_add(&refused_total, 1);
		return -EAGAIN;
	}
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
	lane->running--;
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

struct func_queue *func_queue_free(struct func_queue *queue)
{
	if (queue == NULL)
		return NULL;
	EOS_ASSERT(queue->running == 0);
	queue->is_closing = true;
	for (size_t i = 0; i < BUCKETS; i++) {
		while (queue->lanes[i] != NULL) {
			struct func_lane *lane = queue->lanes[i];
			if (lane->waiting_count > 0) {
				struct func_call *call = EOS_CONTAINER_OF(lane->waiting.next,
									  struct func_call, link);
				refuse(queue, func_queued_of(call), "the node is shutting down");
				continue;
			}
			queue->lanes[i] = lane->next;
			free(lane);
			queue->lanes_count--;
		}
	}
	EOS_ASSERT(queue->waiting == 0);
	free(queue);
	return NULL;
}
