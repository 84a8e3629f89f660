/*
 * The data plane's cores: threads that share nothing but what this header has. Each has its own
 * struct plane: engine, chains, peers, datagrams, connections, its queue of each port.
 *
 * Concepts
 * - Core 0 is the thread that made the data plane. It has the control socket, the ports' hosts
 *   (ARP, neighbour discovery, echo) and the ports that have one queue only.
 * - Frames that belong to another core are handed over by a ring for each pair of cores.
 * - A command is a function that core 0 has another core run, between two bursts. Core 0 goes on
 *   with its own packets until that is done. One at a time; the function may read and write what
 *   core 0 passed, as nobody else does meanwhile.
 * - A core that finds nothing to do sleeps; who has something for it wakes it by an event
 *   descriptor, and makes no system call while it is awake.
 *
 * With one core there are no threads, rings or commands, and nothing here costs anything.
 */
#pragma once

#include <stdbool.h>

#include "plane/plane_priv.h"
#include "plane/plane_ring.h"
#include "plane/plane_steer.h"

/* Opens and closes what a core has for itself, on its own thread. */
typedef int (*plane_core_open_fn)(struct plane *plane, struct eos_why *why);
typedef void (*plane_core_close_fn)(struct plane *plane);
/* Runs on its core's thread. */
typedef int (*plane_core_fn)(struct plane *plane, void *ctx);

struct plane_cores_ops {
	plane_core_open_fn open;
	plane_core_close_fn close; /* also of what OPEN has left half done */
	void (*loop)(struct plane *plane);
};

/* How many of WANTED cores this machine has processors for. */
unsigned plane_cores_possible(unsigned wanted);
/* What one of CORES gets of a limit for all: at least MIN. */
uint32_t plane_cores_share(uint32_t limit, unsigned cores, uint32_t min);

/*
 * Makes PLANE core 0 of config.cores, before its ports are opened. With more than one:
 * plane_cores_open() then starts the others, each of which goes to its processor, if there is one,
 * opens its own, and waits for commands. They read nothing from outside before plane_cores_start().
 * The caller's thread stays where it is. -ENOMEM, or what a core failed with: plane_cores_stop()
 * and _fini() end what there is then.
 */
int plane_cores_init(struct plane *plane, struct eos_why *why) EOS_MUST_CHECK;
int plane_cores_open(struct plane *plane, const struct plane_cores_ops *ops,
		     struct eos_why *why) EOS_MUST_CHECK;
/* Core 0 is about to run its loop; the others run theirs from now on. */
void plane_cores_start(struct plane *plane);
/* Ends the others. Frames that are between cores are freed. */
void plane_cores_stop(struct plane *plane);
/* After that, and when the ports were closed. */
void plane_cores_fini(struct plane *plane);

/* Core 0 asks, at a place where its own loop may run: runs FN on CORE, which may be 0, and returns
 * its result. */
int plane_cores_ask(struct plane *plane, unsigned core, plane_core_fn fn, void *ctx);

/* --- each core, in its loop --- */

/* Obeys a command if there is one. */
void plane_cores_obey(struct plane *plane);
/* Up to MAX frames that others handed over; returns how many. */
unsigned plane_cores_take(struct plane *plane, struct plane_handed *handed, unsigned max);
/* Hands HANDED's frame over to CORE, or frees it if there is no room, which is counted. */
void plane_cores_hand(struct plane *plane, unsigned core, const struct plane_handed *handed);
/* What was handed over is seen by its new owners, and who sleeps is woken. */
void plane_cores_flush(struct plane *plane);
/* About to sleep, on the descriptor of the epoll set that wakes it: false, if there is something to
 * do after all. */
bool plane_cores_may_sleep(struct plane *plane);
void plane_cores_awake(struct plane *plane);

/* More than one core only. */
struct plane_steer *plane_cores_steer(struct plane *plane);

/* What CORE handed to TO. Any thread. */
struct plane_hop_stats {
	uint64_t handed, dropped;
};
void plane_cores_hop_stats(const struct plane *plane, unsigned core, unsigned to,
			   struct plane_hop_stats *ret_stats);
