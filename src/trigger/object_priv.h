/*
 * The object trigger's parts: deliveries (object.c), looking for due events (object_scan.c), and
 * what is written when a delivery has ended (object_settle.c).
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "trigger/trigger.h"
#include "base/workers.h"

#define TRIGGER_DELIVERIES_MAX 256u /* events between the outbox and their acknowledgement */
#define TRIGGER_SHARE_MAX      64u  /* of one function */
#define TRIGGER_BATCH_MAX      64u  /* events that one scan takes */
#define TRIGGER_CLOSED_MAX     64u  /* lanes that a scan is told to pass over */
#define TRIGGER_NEVER	       UINT64_MAX

/* A function's events. A lane exists while it has deliveries or is behind. */
struct trigger_lane {
	struct eos_list link;
	char name[STORE_TARGET_MAX + 1];
	unsigned deliveries;
	bool is_behind; /* there are due events with id > resume_after that were passed over */
	uint64_t resume_after;
};

enum trigger_verdict {
	TRIGGER_DELIVERED, /* the event goes */
	TRIGGER_DROPPED,   /* its function was removed, or may not hear of it: it goes */
	TRIGGER_FAILED,	   /* it stays, for later */
	TRIGGER_DEAD,	   /* a dead letter is written, if wanted, then it goes */
};

/* One event in delivery. */
struct trigger_delivery {
	struct eos_job job;   /* while it is settled */
	struct eos_list link; /* in the trigger's list, or in its pool */
	struct trigger_object *trigger;
	struct trigger_lane *lane;
	struct func *func;	/* a reference; NULL: removed */
	struct func_call *call; /* the queue's, until on_done; else NULL */
	struct store_event event;
	unsigned cells_lost;
	enum trigger_verdict verdict;
	uint64_t not_before_ns; /* wall clock; FAILED */
	char reason[160];
	int result; /* of settling: 0 or negative errno */
};

struct trigger_scan {
	struct eos_job job;
	struct trigger_object *trigger;
	/* What is looked for. */
	uint64_t after_id, now_ns;
	unsigned limit;
	char target[STORE_TARGET_MAX + 1]; /* "": all */
	unsigned busy_count, closed_count;
	uint64_t busy[TRIGGER_DELIVERIES_MAX]; /* ids in delivery, sorted */
	struct {
		char target[STORE_TARGET_MAX + 1];
		uint64_t first_id; /* passed over; 0: none */
	} closed[TRIGGER_CLOSED_MAX];
	/* What was found. */
	int result;
	uint64_t examined, last_id, nearest_ns;
	bool has_more;
	unsigned count;
	struct store_event events[TRIGGER_BATCH_MAX];
};

struct trigger_object {
	struct eos_loop *loop;
	struct store *store;
	struct func_registry *registry;
	struct func_queue *queue;
	struct func_log *log;
	struct trigger_rules rules; /* match may be NULL */
	struct eos_workers *workers;
	bool is_closing;

	struct eos_list deliveries, pool;
	unsigned deliveries_count, pool_count;
	struct eos_list lanes;

	/* Scanning: one scan at a time. */
	struct eos_timer *timer;
	struct trigger_scan scan;
	struct trigger_lane *scan_lane; /* NULL: of all */
	bool is_scanning, wants_scan, prefers_lane;
	uint64_t cursor;	/* events up to this id have been looked at */
	uint64_t nearest_ns;	/* wall clock: when to look at all of them again */
	uint64_t full_began_ns; /* monotonic; 0: no full scan under way */
	uint64_t full_allowed_ns;
	/* Lines about dropped events: one a second, with how many there were. */
	uint64_t drop_logged_ns; /* monotonic; 0: never */
	unsigned drops;
};

/* object.c */
/* Takes one event that is due into delivery, if its lane has room. */
void trigger_object_deliver(struct trigger_object *trigger, const struct store_event *event);
/* The event is no longer in delivery. */
void trigger_object_release(struct trigger_delivery *delivery);
/* NULL: no memory. */
struct trigger_lane *trigger_object_take_lane(struct trigger_object *trigger, const char *name);
/* LANE has due events behind AFTER_ID. */
void trigger_object_fall_behind(struct trigger_lane *lane, uint64_t after_id);
/* Frees LANE if nothing holds it. */
void trigger_object_settle_lane(struct trigger_lane *lane);

/* object_scan.c */
/* Starts a scan if one is wanted and there is room for what it may find; arms the timer. */
void trigger_object_pump(struct trigger_object *trigger);
/* Something will be due at WALL_NS that no scan has seen. */
void trigger_object_expect(struct trigger_object *trigger, uint64_t wall_ns);
void trigger_object_on_timer(void *ctx);

/* object_settle.c */
/* Writes what follows from the delivery's verdict, on a worker, then releases it. */
void trigger_object_settle(struct trigger_delivery *delivery);
