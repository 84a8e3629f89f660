/*
 * Looking for events that are due.
 *
 * Three reasons to look: the store has new events (from the cursor on), a lane that fell behind has
 * room again (from where it was, its events alone), and time has come for something (from the
 * beginning: a full scan). A full scan of a long outbox costs time, so after one that took long the
 * next may start only after ten times as long: a function whose many events all fail cannot keep a
 * core busy with looking.
 *
 * A scan runs on a worker, because it reads the disk. It stops after EXAMINE_MAX events, so that it
 * does not hold a transaction of the store open for long, and goes on in the next.
 */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "trigger/object_priv.h"

#define EXAMINE_MAX   20000u
#define RETRY_NS      (5 * EOS_NS_PER_S)
#define SLEEP_NS_MAX  (60 * EOS_NS_PER_S) /* the wall clock may jump: look at it again */
#define FULL_REST_MAX (10 * EOS_NS_PER_S)
/* No delay of ours is as long as this: the wall clock was set back, and the event is due. */
#define DELAY_NS_MAX (2 * 3600 * EOS_NS_PER_S)

/* --- on a worker --- */

static int compare_ids(const void *a, const void *b)
{
	const uint64_t *x = a;
	const uint64_t *y = b;
	return (*x > *y) - (*x < *y);
}

/* True: the scan must pass EVENT over. */
static bool is_passed_over(struct trigger_scan *scan, const struct store_event *event)
{
	if (bsearch(&event->id, scan->busy, scan->busy_count, sizeof(scan->busy[0]), compare_ids) !=
	    NULL)
		return true;
	if (scan->target[0] != '\0')
		return strcmp(scan->target, event->target) != 0;
	for (unsigned i = 0; i < scan->closed_count; i++) {
		if (strcmp(scan->closed[i].target, event->target) != 0)
			continue;
		if (scan->closed[i].first_id == 0)
			scan->closed[i].first_id = event->id;
		return true;
	}
	return false;
}

static int visit(void *ctx, const struct store_event *event)
{
	struct trigger_scan *scan = ctx;
	if (scan->examined == EXAMINE_MAX) {
		scan->has_more = true;
		return 1;
	}
	bool is_due = event->not_before_ns <= scan->now_ns ||
		      event->not_before_ns - scan->now_ns > DELAY_NS_MAX;
	bool is_passed = is_passed_over(scan, event);
	if (!is_passed && is_due && scan->count == scan->limit) {
		scan->has_more = true;
		return 1;
	}
	scan->examined++;
	scan->last_id = event->id;
	if (is_passed)
		return 0;
	if (is_due)
		scan->events[scan->count++] = *event;
	else
		scan->nearest_ns = EOS_MIN(scan->nearest_ns, event->not_before_ns);
	return 0;
}

static void run_scan(struct eos_job *job)
{
	struct trigger_scan *scan = EOS_CONTAINER_OF(job, struct trigger_scan, job);
	int err = store_outbox_list(scan->trigger->store, scan->after_id, visit, scan);
	scan->result = err > 0 ? 0 : err;
}

/* --- on the loop --- */

void trigger_object_expect(struct trigger_object *trigger, uint64_t wall_ns)
{
	trigger->nearest_ns = EOS_MIN(trigger->nearest_ns, wall_ns);
}

static void arm_timer(struct trigger_object *trigger)
{
	if (trigger->nearest_ns == TRIGGER_NEVER || trigger->is_closing) {
		eos_timer_disarm(trigger->timer);
		return;
	}
	uint64_t wall = eos_wall_ns();
	uint64_t now = eos_now_ns();
	uint64_t delay = trigger->nearest_ns > wall ? trigger->nearest_ns - wall : 0;
	if (trigger->full_allowed_ns > now)
		delay = EOS_MAX(delay, trigger->full_allowed_ns - now);
	delay = EOS_MIN(delay, SLEEP_NS_MAX);
	eos_timer_arm(trigger->timer, (delay + EOS_NS_PER_MS - 1) / EOS_NS_PER_MS);
}

void trigger_object_on_timer(void *ctx)
{
	struct trigger_object *trigger = ctx;
	bool is_due =
		trigger->nearest_ns <= eos_wall_ns() && trigger->full_allowed_ns <= eos_now_ns();
	/* A scan under way may move the cursor: look again when it is done. */
	if (is_due && !trigger->is_scanning) {
		trigger->cursor = 0;
		trigger->wants_scan = true;
	}
	trigger_object_pump(trigger);
}

static void scan_is_done(struct eos_job *job);

static void close_lanes(struct trigger_object *trigger, struct trigger_scan *scan)
{
	EOS_LIST_FOR_EACH (node, &trigger->lanes) {
		struct trigger_lane *lane = EOS_CONTAINER_OF(node, struct trigger_lane, link);
		if (lane->deliveries < TRIGGER_SHARE_MAX && !lane->is_behind)
			continue;
		if (scan->closed_count == TRIGGER_CLOSED_MAX)
			return; /* what is found of the others falls behind when it is found */
		memcpy(scan->closed[scan->closed_count].target, lane->name, sizeof(lane->name));
		scan->closed[scan->closed_count++].first_id = 0;
	}
}

/* LANE is NULL for all. */
static void start_scan(struct trigger_object *trigger, struct trigger_lane *lane)
{
	struct trigger_scan *scan = &trigger->scan;
	unsigned room = TRIGGER_DELIVERIES_MAX - trigger->deliveries_count;
	EOS_ASSERT(!trigger->is_scanning && room > 0);
	scan->job = (struct eos_job){.run = run_scan, .done = scan_is_done};
	eos_list_init(&scan->job.link);
	scan->trigger = trigger;
	scan->now_ns = eos_wall_ns();
	scan->examined = scan->count = scan->busy_count = scan->closed_count = 0;
	scan->nearest_ns = TRIGGER_NEVER;
	scan->has_more = false;
	scan->limit = EOS_MIN(room, TRIGGER_BATCH_MAX);
	scan->target[0] = '\0';
	EOS_LIST_FOR_EACH (node, &trigger->deliveries)
		scan->busy[scan->busy_count++] =
			EOS_CONTAINER_OF(node, struct trigger_delivery, link)->event.id;
	qsort(scan->busy, scan->busy_count, sizeof(scan->busy[0]), compare_ids);
	if (lane != NULL) {
		memcpy(scan->target, lane->name, sizeof(lane->name));
		scan->limit = EOS_MIN(scan->limit, TRIGGER_SHARE_MAX - lane->deliveries);
		scan->after_id = lane->resume_after;
	} else {
		close_lanes(trigger, scan);
		scan->after_id = trigger->cursor;
		trigger->wants_scan = false;
		if (trigger->cursor == 0) {
			/* A full scan finds anew when the next event is due. */
			trigger->nearest_ns = TRIGGER_NEVER;
			trigger->full_began_ns = eos_now_ns();
		}
	}
	scan->last_id = scan->after_id;
	trigger->scan_lane = lane;
	trigger->is_scanning = true;
	eos_workers_submit(trigger->workers, &scan->job);
}

static void take_lane_result(struct trigger_object *trigger, const struct trigger_scan *scan)
{
	struct trigger_lane *lane = trigger->scan_lane;
	lane->is_behind = scan->has_more;
	lane->resume_after = scan->last_id;
	/* To the end: the next lane that is behind has its turn. */
	eos_list_remove(&lane->link);
	eos_list_add_tail(&trigger->lanes, &lane->link);
	/* What is delivered now makes it again if need be. */
	trigger_object_settle_lane(lane);
}

static void take_full_result(struct trigger_object *trigger, const struct trigger_scan *scan)
{
	trigger->cursor = scan->last_id;
	trigger->wants_scan |= scan->has_more;
	if (!scan->has_more && trigger->full_began_ns != 0) {
		uint64_t now = eos_now_ns();
		uint64_t rest = EOS_MIN(10 * (now - trigger->full_began_ns), FULL_REST_MAX);
		trigger->full_allowed_ns = now + rest;
		trigger->full_began_ns = 0;
	}
	for (unsigned i = 0; i < scan->closed_count; i++) {
		if (scan->closed[i].first_id == 0)
			continue;
		struct trigger_lane *lane =
			trigger_object_take_lane(trigger, scan->closed[i].target);
		if (lane != NULL)
			trigger_object_fall_behind(lane, scan->closed[i].first_id - 1);
		else
			trigger_object_expect(trigger, scan->now_ns + RETRY_NS);
	}
}

static void scan_is_done(struct eos_job *job)
{
	struct trigger_scan *scan = EOS_CONTAINER_OF(job, struct trigger_scan, job);
	struct trigger_object *trigger = scan->trigger;
	trigger->is_scanning = false;
	if (trigger->is_closing)
		return;
	if (scan->result < 0) {
		eos_log(EOS_LOG_ERROR, "trigger", "cannot read the outbox error=%s",
			strerror(-scan->result));
		if (trigger->scan_lane != NULL) {
			trigger->scan_lane->is_behind = false;
			trigger_object_settle_lane(trigger->scan_lane);
		}
		trigger->full_began_ns = 0;
		trigger_object_expect(trigger, eos_wall_ns() + RETRY_NS);
		trigger_object_pump(trigger);
		return;
	}
	trigger_object_expect(trigger, scan->nearest_ns);
	if (trigger->scan_lane != NULL)
		take_lane_result(trigger, scan);
	else
		take_full_result(trigger, scan);
	/* Deliveries may end, and pump, at once: the scan's events must stay as they are meanwhile.
	 */
	trigger->is_scanning = true;
	for (unsigned i = 0; i < scan->count; i++)
		trigger_object_deliver(trigger, &scan->events[i]);
	trigger->is_scanning = false;
	trigger_object_pump(trigger);
}

/* The first lane that is behind and has room for a good part of its share. */
static struct trigger_lane *find_lane_behind(struct trigger_object *trigger)
{
	EOS_LIST_FOR_EACH (node, &trigger->lanes) {
		struct trigger_lane *lane = EOS_CONTAINER_OF(node, struct trigger_lane, link);
		if (lane->is_behind && lane->deliveries <= TRIGGER_SHARE_MAX / 2)
			return lane;
	}
	return NULL;
}

void trigger_object_pump(struct trigger_object *trigger)
{
	if (trigger->is_closing)
		return;
	if (!trigger->is_scanning && trigger->deliveries_count < TRIGGER_DELIVERIES_MAX) {
		struct trigger_lane *lane = find_lane_behind(trigger);
		if (lane != NULL && trigger->wants_scan)
			trigger->prefers_lane = !trigger->prefers_lane;
		if (lane != NULL && (!trigger->wants_scan || trigger->prefers_lane))
			start_scan(trigger, lane);
		else if (trigger->wants_scan)
			start_scan(trigger, NULL);
	}
	/* A scan under way says when the next event is due; then the timer is set. */
	if (trigger->is_scanning)
		eos_timer_disarm(trigger->timer);
	else
		arm_timer(trigger);
}
