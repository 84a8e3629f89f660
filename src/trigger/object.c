/*
 * Events of objects become calls.
 *
 *     outbox --scan--> delivery --submit--> call --on_done--> verdict --settle--> outbox
 *
 * Invariants
 * 1. An event leaves the outbox only after its call ended well, or its dead letter was written, or
 *    its function is gone. What is in memory only is lost by a crash without loss of an event.
 * 2. An event is in at most one delivery: scans are told what is in delivery when they start, only
 *    scans make deliveries, and there is one scan at a time.
 * 3. One function has at most TRIGGER_SHARE_MAX of the TRIGGER_DELIVERIES_MAX deliveries, so one
 *    with a backlog leaves room for the others. Its events beyond that are passed over, and its
 *    lane remembers from where to go on.
 *
 * A call that was refused (shutting down, no image) is no attempt of the event's: it is looked at
 * again a little later. A call whose cell died is run again at once, and the second time counts as
 * a failed attempt, so that a function that kills its cell uses up its attempts.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/counter.h"
#include "base/log.h"
#include "trigger/object_priv.h"
#include "trigger/wagi_priv.h"

#define WORKERS		 4
#define DELIVERIES_KEPT	 32
#define BUSY_DELAY_NS	 (200 * EOS_NS_PER_MS)
#define REFUSED_DELAY_NS EOS_NS_PER_S
#define BACKOFF_MAX_NS	 (3600 * EOS_NS_PER_S)

EOS_COUNTER(deliveries_total, "trigger.deliveries_total",
	    "Calls made to deliver an event of an object.")
EOS_COUNTER(postponed_total, "trigger.deliveries_postponed_total",
	    "Deliveries put off because the call was refused.")

/* --- lanes --- */

struct trigger_lane *trigger_object_take_lane(struct trigger_object *trigger, const char *name)
{
	EOS_LIST_FOR_EACH (node, &trigger->lanes) {
		struct trigger_lane *lane = EOS_CONTAINER_OF(node, struct trigger_lane, link);
		if (strcmp(lane->name, name) == 0)
			return lane;
	}
	struct trigger_lane *lane = calloc(1, sizeof(*lane));
	if (lane == NULL)
		return NULL;
	(void)snprintf(lane->name, sizeof(lane->name), "%s", name);
	eos_list_add_tail(&trigger->lanes, &lane->link);
	return lane;
}

void trigger_object_fall_behind(struct trigger_lane *lane, uint64_t after_id)
{
	lane->resume_after = lane->is_behind ? EOS_MIN(lane->resume_after, after_id) : after_id;
	lane->is_behind = true;
}

void trigger_object_settle_lane(struct trigger_lane *lane)
{
	if (lane->deliveries > 0 || lane->is_behind)
		return;
	eos_list_remove(&lane->link);
	free(lane);
}

/* --- deliveries --- */

static struct trigger_delivery *new_delivery(struct trigger_object *trigger,
					     struct trigger_lane *lane,
					     const struct store_event *event)
{
	struct trigger_delivery *delivery;
	struct eos_list *node = eos_list_take(&trigger->pool);
	if (node != NULL) {
		delivery = EOS_CONTAINER_OF(node, struct trigger_delivery, link);
		trigger->pool_count--;
	} else {
		delivery = malloc(sizeof(*delivery));
		if (delivery == NULL)
			return NULL;
	}
	*delivery = (struct trigger_delivery){.trigger = trigger, .lane = lane, .event = *event};
	eos_list_init(&delivery->job.link);
	eos_list_add_tail(&trigger->deliveries, &delivery->link);
	trigger->deliveries_count++;
	lane->deliveries++;
	return delivery;
}

void trigger_object_release(struct trigger_delivery *delivery)
{
	struct trigger_object *trigger = delivery->trigger;
	EOS_ASSERT(trigger->deliveries_count > 0 && delivery->lane->deliveries > 0);
	eos_list_remove(&delivery->link);
	trigger->deliveries_count--;
	delivery->lane->deliveries--;
	trigger_object_settle_lane(delivery->lane);
	func_unref(delivery->func);
	if (trigger->pool_count == DELIVERIES_KEPT) {
		free(delivery);
		return;
	}
	eos_list_add_tail(&trigger->pool, &delivery->link);
	trigger->pool_count++;
}

/* The event stays as it is and is looked at again after DELAY_NS. */
static void postpone(struct trigger_delivery *delivery, uint64_t delay_ns)
{
	struct trigger_object *trigger = delivery->trigger;
	eos_counter_add(&postponed_total, 1);
	trigger_object_release(delivery);
	trigger_object_expect(trigger, eos_wall_ns() + delay_ns);
	trigger_object_pump(trigger);
}

/* BACKOFF doubled for each failed attempt, and up to a quarter more: events that failed together
 * need not come back together. The same event always gets the same share (splitmix64 of its id). */
static uint64_t backoff_ns(const struct trigger_delivery *delivery)
{
	uint64_t delay = delivery->func->manifest->retry_backoff_ns;
	for (uint32_t i = 0; i < delivery->event.attempts && delay < BACKOFF_MAX_NS; i++)
		delay *= 2;
	delay = EOS_MIN(delay, BACKOFF_MAX_NS);
	uint64_t hash =
		delivery->event.id + delivery->event.attempts + UINT64_C(0x9e3779b97f4a7c15);
	hash = (hash ^ hash >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	hash = (hash ^ hash >> 27) * UINT64_C(0x94d049bb133111eb);
	return delay + hash % (delay / 4 + 1);
}

static void log_delivery(const struct trigger_delivery *delivery, const char *text)
{
	const struct store_event *event = &delivery->event;
	char line[FUNC_LOG_LINE_BYTES];
	(void)snprintf(line, sizeof(line), "object %s/%.300s: attempt %u of %u: %.160s%s",
		       event->bucket, event->key, event->attempts + 1,
		       delivery->func->manifest->retry_attempts, delivery->reason, text);
	func_log_append(delivery->trigger->log, event->target, line, strlen(line));
}

static void fail(struct trigger_delivery *delivery)
{
	const struct func_manifest *manifest = delivery->func->manifest;
	if (delivery->event.attempts + 1 >= manifest->retry_attempts) {
		delivery->verdict = TRIGGER_DEAD;
		log_delivery(delivery, manifest->dead_letter[0] == '\0' ? "; given up"
									: "; to the dead letters");
	} else {
		delivery->verdict = TRIGGER_FAILED;
		delivery->not_before_ns = eos_wall_ns() + backoff_ns(delivery);
		log_delivery(delivery, "");
	}
	trigger_object_settle(delivery);
}

static void describe(struct trigger_delivery *delivery, const struct func_call *call)
{
	static const char *const names[] = {
		[FUNC_OK] = "",
		[FUNC_EXIT] = "exit code",
		[FUNC_TRAP] = "trap",
		[FUNC_TIMEOUT] = "timeout",
		[FUNC_CELL_LOST] = "the cell died",
		[FUNC_REFUSED] = "not started",
		[FUNC_OUTPUT_LIMIT] = "too much output",
	};
	EOS_ASSERT((size_t)call->outcome < EOS_ARRAY_SIZE(names));
	if (call->outcome == FUNC_EXIT)
		(void)snprintf(delivery->reason, sizeof(delivery->reason), "exit code %u",
			       call->exit_code);
	else
		(void)snprintf(delivery->reason, sizeof(delivery->reason), "%s%s%s",
			       names[call->outcome], call->text[0] == '\0' ? "" : ": ", call->text);
}

static int start(struct trigger_delivery *delivery);

static void on_done(void *ctx, struct func_call *call)
{
	struct trigger_delivery *delivery = ctx;
	delivery->call = NULL;
	describe(delivery, call);
	if (call->outcome == FUNC_OK) {
		delivery->verdict = TRIGGER_DELIVERED;
		trigger_object_settle(delivery);
	} else if (call->outcome == FUNC_REFUSED) {
		log_delivery(delivery, "; not counted");
		postpone(delivery, REFUSED_DELAY_NS);
	} else if (call->outcome == FUNC_CELL_LOST && delivery->cells_lost++ == 0) {
		if (start(delivery) < 0)
			postpone(delivery, BUSY_DELAY_NS);
	} else {
		fail(delivery);
	}
}

static int fill_call(struct trigger_delivery *delivery, struct func_call *call)
{
	call->event = malloc(sizeof(*call->event));
	if (call->event == NULL)
		return -ENOMEM;
	*call->event = delivery->event;
	int err = trigger_event_to_json(&delivery->event, &call->input);
	return err < 0 ? err : wagi_add_config(delivery->func, &call->environment);
}

/* Submits a call. On success DELIVERY may be gone. */
static int start(struct trigger_delivery *delivery)
{
	struct func_call *call;
	int err = func_call_new(delivery->func, &call);
	if (err < 0)
		return err;
	call->on_done = on_done;
	call->ctx = delivery;
	err = fill_call(delivery, call);
	/* Before submit: the call may be done, and DELIVERY gone, when it returns. */
	delivery->call = call;
	if (err == 0)
		err = func_queue_submit(delivery->trigger->queue, call);
	if (err < 0) {
		delivery->call = NULL;
		func_call_free(call);
	} else {
		eos_counter_add(&deliveries_total, 1);
	}
	return err;
}

/* Why EVENT does not go to FUNC (NULL: it was removed), or NULL. What a rule names is looked at
 * here, not when the rule is made: functions are deployed anew, and given to others. */
static const char *why_dropped(const struct func *func, const struct store_event *event)
{
	if (func == NULL)
		return "there is no such function";
	if (func->manifest->is_packet)
		return "it is a packet function, which the data plane runs";
	if (event->rule[0] == '\0')
		return NULL;
	switch (func_manifest_check_rule(func->manifest, event->owner, event->bucket,
					 store_event_is_creation(event->kind))) {
	case 0:
		return NULL;
	case -ELOOP:
		return "the function may write to the bucket and could call itself without end";
	default:
		return "the function is another tenant's";
	}
}

static void log_drop(struct trigger_object *trigger, const struct store_event *event,
		     const char *fault)
{
	uint64_t now = eos_now_ns();
	trigger->drops++;
	if (trigger->drop_logged_ns != 0 && now - trigger->drop_logged_ns < EOS_NS_PER_S)
		return;
	eos_log(EOS_LOG_WARN, "trigger",
		"event=event_dropped function=%s bucket=%s count=%u why=\"%s\"", event->target,
		event->bucket, trigger->drops, fault);
	trigger->drop_logged_ns = now;
	trigger->drops = 0;
}

void trigger_object_deliver(struct trigger_object *trigger, const struct store_event *event)
{
	struct trigger_delivery *delivery = NULL;
	struct trigger_lane *lane = trigger_object_take_lane(trigger, event->target);
	if (lane != NULL && (lane->deliveries >= TRIGGER_SHARE_MAX ||
			     trigger->deliveries_count >= TRIGGER_DELIVERIES_MAX)) {
		trigger_object_fall_behind(lane, event->id - 1);
		return;
	}
	if (lane != NULL)
		delivery = new_delivery(trigger, lane, event);
	if (delivery == NULL) {
		if (lane != NULL)
			trigger_object_settle_lane(lane);
		trigger_object_expect(trigger, eos_wall_ns() + BUSY_DELAY_NS);
		return;
	}
	delivery->func = func_registry_get(trigger->registry, event->target);
	const char *fault = why_dropped(delivery->func, event);
	if (fault != NULL) {
		log_drop(trigger, event, fault);
		delivery->verdict = TRIGGER_DROPPED;
		trigger_object_settle(delivery);
		return;
	}
	if (start(delivery) < 0)
		postpone(delivery, BUSY_DELAY_NS);
}

/* --- the trigger --- */

struct matching {
	void (*emit)(void *emit_ctx, const char *target, const char *rule);
	void *emit_ctx;
	char function[STORE_TARGET_MAX + 1]; /* a rule's, "": none fits */
	char rule[STORE_RULE_MAX + 1];
	bool is_named; /* by its manifest, too */
};

static void note_rule(void *ctx, const char *function, const char *rule)
{
	struct matching *matching = ctx;
	(void)snprintf(matching->function, sizeof(matching->function), "%s", function);
	(void)snprintf(matching->rule, sizeof(matching->rule), "%s", rule);
}

static void emit_manifests(void *ctx, const char *function)
{
	struct matching *matching = ctx;
	matching->is_named = matching->is_named || strcmp(function, matching->function) == 0;
	matching->emit(matching->emit_ctx, function, NULL);
}

static void match(void *ctx, const struct store_event *event,
		  void (*emit)(void *emit_ctx, const char *target, const char *rule),
		  void *emit_ctx)
{
	struct trigger_object *trigger = ctx;
	struct matching matching = {.emit = emit, .emit_ctx = emit_ctx};
	if (trigger->rules.match != NULL)
		trigger->rules.match(trigger->rules.ctx, event, note_rule, &matching);
	func_registry_match_object(trigger->registry, event, emit_manifests, &matching);
	if (matching.function[0] != '\0' && !matching.is_named)
		emit(emit_ctx, matching.function, matching.rule);
}

static void notify(void *ctx)
{
	struct trigger_object *trigger = ctx;
	eos_workers_wake(trigger->workers);
}

static void on_wake(void *ctx)
{
	struct trigger_object *trigger = ctx;
	trigger->wants_scan = true;
	trigger_object_pump(trigger);
}

int trigger_object_new(struct eos_loop *loop, struct store *store, struct func_registry *registry,
		       struct func_queue *queue, struct func_log *log,
		       const struct trigger_rules *rules, struct trigger_object **ret_trigger)
{
	struct trigger_object *trigger = calloc(1, sizeof(*trigger));
	if (trigger == NULL)
		return -ENOMEM;
	trigger->loop = loop;
	trigger->store = store;
	trigger->registry = registry;
	trigger->queue = queue;
	trigger->log = log;
	if (rules != NULL)
		trigger->rules = *rules;
	trigger->nearest_ns = TRIGGER_NEVER;
	eos_list_init(&trigger->deliveries);
	eos_list_init(&trigger->pool);
	eos_list_init(&trigger->lanes);
	int err = eos_timer_new(loop, trigger_object_on_timer, trigger, &trigger->timer);
	if (err == 0)
		err = eos_workers_new(loop, WORKERS, on_wake, trigger, &trigger->workers);
	if (err < 0) {
		eos_timer_free(trigger->timer);
		free(trigger);
		return err;
	}
	store_set_matcher(store, match, notify, trigger);
	/* What an earlier life of the node left in the outbox. */
	trigger->wants_scan = true;
	trigger_object_pump(trigger);
	*ret_trigger = trigger;
	return 0;
}

/* Calls that wait end at once: their events stay in the outbox. */
static void cancel_calls(struct trigger_object *trigger)
{
	EOS_LIST_FOR_EACH (node, &trigger->deliveries) {
		struct trigger_delivery *delivery =
			EOS_CONTAINER_OF(node, struct trigger_delivery, link);
		if (delivery->call != NULL)
			func_queue_cancel(trigger->queue, delivery->call);
	}
}

struct trigger_object *trigger_object_free(struct trigger_object *trigger)
{
	if (trigger == NULL)
		return NULL;
	store_set_matcher(trigger->store, NULL, NULL, NULL);
	trigger->is_closing = true;
	cancel_calls(trigger);
	trigger->workers = eos_workers_free(trigger->workers);
	EOS_ASSERT(trigger->deliveries_count == 0);
	trigger->timer = eos_timer_free(trigger->timer);
	for (struct eos_list *node; (node = eos_list_take(&trigger->lanes)) != NULL;)
		free(EOS_CONTAINER_OF(node, struct trigger_lane, link));
	for (struct eos_list *node; (node = eos_list_take(&trigger->pool)) != NULL;)
		free(EOS_CONTAINER_OF(node, struct trigger_delivery, link));
	free(trigger);
	return NULL;
}
