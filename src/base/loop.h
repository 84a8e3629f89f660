/*
 * The event loop of a thread: file descriptors, timers and work posted from other threads.
 * A thin layer over libuv, so that nothing else depends on it.
 *
 * One thread runs the loop; all functions but eos_loop_post() and eos_loop_stop() are for that
 * thread (or for before it starts). Callbacks may add and remove watches and timers, their own too.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"

struct eos_loop;
struct eos_watch;
struct eos_timer;

int eos_loop_new(struct eos_loop **ret_loop) EOS_MUST_CHECK;
/* All watches and timers must have been freed. */
struct eos_loop *eos_loop_free(struct eos_loop *loop);
/* Runs until eos_loop_stop(). */
void eos_loop_run(struct eos_loop *loop);
/* Any thread; not from a signal handler. What is due in the turn under way still runs. */
void eos_loop_stop(struct eos_loop *loop);

/* FN(CTX) will run once on the loop's thread. Any thread. -ENOMEM. Posts keep their order.
 * What is posted after the loop stopped runs in eos_loop_free(). */
int eos_loop_post(struct eos_loop *loop, void (*fn)(void *ctx), void *ctx) EOS_MUST_CHECK;

/* Calls FN when FD is readable (or has an error), as long as it is. FD is borrowed until
 * eos_watch_free(), and becomes non-blocking. -EEXIST: it has a watch; -EPERM: a regular file. */
int eos_watch_new(struct eos_loop *loop, int fd, void (*fn)(void *ctx), void *ctx,
		  struct eos_watch **ret_watch) EOS_MUST_CHECK;
struct eos_watch *eos_watch_free(struct eos_watch *watch);

/* A timer that is not armed. */
int eos_timer_new(struct eos_loop *loop, void (*fn)(void *ctx), void *ctx,
		  struct eos_timer **ret_timer) EOS_MUST_CHECK;
struct eos_timer *eos_timer_free(struct eos_timer *timer);
/* Fires once, DELAY_MS from now; replaces an earlier arming. With 0 from a timer's callback it
 * fires in the next turn, after the descriptors. */
void eos_timer_arm(struct eos_timer *timer, uint64_t delay_ms);
void eos_timer_disarm(struct eos_timer *timer);
