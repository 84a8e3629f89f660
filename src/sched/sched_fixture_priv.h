/*
 * For sched's tests: a core on virtual time, and actors, tasks that work for so long and then wait.
 * Time passes only inside turns and while the core sleeps.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "sched/core.h"

#define US	UINT64_C(1000)
#define MS	UINT64_C(1000000)
#define FOREVER UINT64_MAX

struct actor {
	struct sched_task task;
	struct rig *rig;
	char name;
	/* What it does. */
	uint64_t work_ns;	 /* before it blocks */
	uint64_t every_ns;	 /* wakes this long after it blocked; 0: not */
	bool is_woken_by_device; /* every_ns ends inside turns, not by a timer */
	bool is_yielding;	 /* after each microsecond */
	enum sched_turn (*act)(struct actor *actor); /* instead of all that */
	/* What it did. */
	uint64_t left_ns, ran_ns, woke_ns, delay_ns_max, wakes;
	struct sched_timer timer;
	uint64_t device_ns; /* when its device wakes it; 0: not */
};

#define RIG_ACTORS_MAX 256

struct rig {
	struct sched_core *core;
	uint64_t now_ns;
	uint64_t overrun_ns; /* of each slice that is cut */
	bool is_preempted, is_interrupted;
	uint64_t slice_end_ns; /* of the last turn */
	unsigned turns, preempts, log_len;
	char log[4096]; /* the names of those that had turns */
	struct actor *actors[RIG_ACTORS_MAX];
	unsigned actors_count;
};

extern const struct sched_core_ops rig_ops;
/* Actors have their turns one from another, by sched_core_next(), not from the core's loop. */
extern bool rig_hands_on;
/* A group of tests, in both ways. */
#define RIG_RUN_TESTS(NAME, TESTS)                                                                 \
	((rig_hands_on = false, cmocka_run_group_tests_name(NAME, TESTS, NULL, NULL)) != 0 ||      \
	 (rig_hands_on = true,                                                                     \
	  cmocka_run_group_tests_name(NAME ", handed on", TESTS, NULL, NULL)) != 0)

/* POLICY may be NULL. Time starts at one second. */
void rig_init(struct rig *rig, const struct sched_policy_ops *policy);
void rig_fini(struct rig *rig);
void rig_server(struct rig *rig, struct sched_server *server, struct sched_server *parent,
		uint64_t budget_ns, uint64_t period_ns);
/* An idle actor; its plan is all zeros but WORK_NS. */
void actor_init(struct actor *actor, struct rig *rig, char name, struct sched_server *server,
		unsigned task_class, uint64_t work_ns);
void actor_fini(struct actor *actor);
void actor_wake(struct actor *actor);
/* Lets time pass: turns, and sleep when the core has nothing to do. */
void rig_run_for(struct rig *rig, uint64_t duration_ns);
/* Forgets the log; EXPECTED is what it was. */
void rig_expect(struct rig *rig, const char *expected);
