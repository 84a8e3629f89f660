/*
 * The event loop over libuv.
 *
 * Posts. A post is a node in a list under a mutex; the async handle wakes the loop, which takes the
 * whole list and runs it. What a post itself posts runs in the next turn, so a post that re-posts
 * itself cannot starve the file descriptors. Used nodes are kept (POSTS_KEPT of them), so that a
 * busy loop does not allocate.
 *
 * Timers. libuv goes on for as long as a timer is due, also for those that the timers themselves
 * arm with no delay. Those wait here until the descriptors were looked at.
 *
 * Handles. libuv closes handles asynchronously: freeing a watch or timer closes it, and the memory
 * goes in the close callback, at the latest in eos_loop_free(). The callback is never called after
 * the free, and a watch's file descriptor may be closed at once.
 */
#include "base/loop.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <uv.h>

#include "base/assert.h"
#include "base/list.h"

#define POSTS_KEPT 256

struct post {
	struct post *next;
	void (*fn)(void *ctx);
	void *ctx;
};

struct eos_loop {
	uv_loop_t uv;
	uv_async_t async;
	uv_check_t check;	   /* after the descriptors: arms what is in next_turn */
	uv_idle_t idle;		   /* does not let them be waited for meanwhile */
	struct eos_list next_turn; /* struct eos_timer; the handles above run while it has any */
	bool is_in_timer;
	unsigned handles; /* watches and timers that were not freed; the loop's thread */
	_Atomic bool is_stopping;

	pthread_mutex_t lock; /* guards all below */
	struct post *first, **last;
	struct post *kept;
	unsigned kept_count;
};

struct eos_watch {
	uv_poll_t uv;
	struct eos_loop *loop;
	void (*fn)(void *ctx);
	void *ctx;
};

struct eos_timer {
	uv_timer_t uv;
	struct eos_list node; /* in next_turn, or alone */
	struct eos_loop *loop;
	void (*fn)(void *ctx);
	void *ctx;
};

/* Gives a list of used nodes back. */
static void keep_posts(struct eos_loop *loop, struct post *posts)
{
	pthread_mutex_lock(&loop->lock);
	while (posts != NULL && loop->kept_count < POSTS_KEPT) {
		struct post *next = posts->next;
		posts->next = loop->kept;
		loop->kept = posts;
		loop->kept_count++;
		posts = next;
	}
	pthread_mutex_unlock(&loop->lock);
	while (posts != NULL) {
		struct post *next = posts->next;
		free(posts);
		posts = next;
	}
}

/* Runs what is in the list now. Returns whether there was anything. */
static bool run_posts(struct eos_loop *loop)
{
	pthread_mutex_lock(&loop->lock);
	struct post *posts = loop->first;
	loop->first = NULL;
	loop->last = &loop->first;
	pthread_mutex_unlock(&loop->lock);
	for (struct post *p = posts; p != NULL; p = p->next)
		p->fn(p->ctx);
	keep_posts(loop, posts);
	return posts != NULL;
}

static void on_async(uv_async_t *async)
{
	struct eos_loop *loop = async->data;
	(void)run_posts(loop);
	if (atomic_load_explicit(&loop->is_stopping, memory_order_acquire))
		uv_stop(&loop->uv);
}

int eos_loop_new(struct eos_loop **ret_loop)
{
	struct eos_loop *loop = calloc(1, sizeof(*loop));
	if (loop == NULL)
		return -ENOMEM;
	loop->last = &loop->first;
	int err = -pthread_mutex_init(&loop->lock, NULL);
	if (err < 0)
		goto free_loop;
	err = uv_loop_init(&loop->uv);
	if (err < 0)
		goto destroy_lock;
	err = uv_async_init(&loop->uv, &loop->async, on_async);
	if (err < 0)
		goto close_uv;
	loop->async.data = loop;
	eos_list_init(&loop->next_turn);
	(void)uv_check_init(&loop->uv, &loop->check); /* these two cannot fail */
	(void)uv_idle_init(&loop->uv, &loop->idle);
	loop->check.data = loop;
	*ret_loop = loop;
	return 0;
close_uv:
	uv_loop_close(&loop->uv);
destroy_lock:
	pthread_mutex_destroy(&loop->lock);
free_loop:
	free(loop);
	return err;
}

struct eos_loop *eos_loop_free(struct eos_loop *loop)
{
	if (loop == NULL)
		return NULL;
	while (run_posts(loop))
		;
	EOS_ASSERT(loop->handles == 0);
	uv_close((uv_handle_t *)&loop->async, NULL);
	uv_close((uv_handle_t *)&loop->check, NULL);
	uv_close((uv_handle_t *)&loop->idle, NULL);
	(void)uv_run(&loop->uv, UV_RUN_DEFAULT); /* the close callbacks */
	int err = uv_loop_close(&loop->uv);
	EOS_ASSERT(err == 0);
	while (loop->kept != NULL) {
		struct post *next = loop->kept->next;
		free(loop->kept);
		loop->kept = next;
	}
	pthread_mutex_destroy(&loop->lock);
	free(loop);
	return NULL;
}

void eos_loop_run(struct eos_loop *loop)
{
	/* uv_run() may return early when uv_stop() of an earlier run was seen late. */
	while (!atomic_load_explicit(&loop->is_stopping, memory_order_acquire))
		(void)uv_run(&loop->uv, UV_RUN_DEFAULT);
	atomic_store_explicit(&loop->is_stopping, false, memory_order_relaxed);
}

void eos_loop_stop(struct eos_loop *loop)
{
	atomic_store_explicit(&loop->is_stopping, true, memory_order_release);
	(void)uv_async_send(&loop->async);
}

int eos_loop_post(struct eos_loop *loop, void (*fn)(void *ctx), void *ctx)
{
	pthread_mutex_lock(&loop->lock);
	struct post *post = loop->kept;
	if (post != NULL) {
		loop->kept = post->next;
		loop->kept_count--;
	} else {
		post = malloc(sizeof(*post));
	}
	if (post != NULL) {
		*post = (struct post){.fn = fn, .ctx = ctx};
		*loop->last = post;
		loop->last = &post->next;
	}
	pthread_mutex_unlock(&loop->lock);
	if (post == NULL)
		return -ENOMEM;
	(void)uv_async_send(&loop->async);
	return 0;
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct eos_watch *watch = poll->data;
	/* libuv stops a handle whose descriptor has an error; we promise to report it for as long
	 * as it lasts, as poll(2) does. */
	if (status < 0)
		(void)uv_poll_start(poll, UV_READABLE, on_poll);
	watch->fn(watch->ctx);
}

int eos_watch_new(struct eos_loop *loop, int fd, void (*fn)(void *ctx), void *ctx,
		  struct eos_watch **ret_watch)
{
	struct eos_watch *watch = calloc(1, sizeof(*watch));
	if (watch == NULL)
		return -ENOMEM;
	*watch = (struct eos_watch){.loop = loop, .fn = fn, .ctx = ctx};
	int err = uv_poll_init(&loop->uv, &watch->uv, fd);
	if (err < 0) {
		free(watch);
		return err;
	}
	watch->uv.data = watch;
	loop->handles++;
	err = uv_poll_start(&watch->uv, UV_READABLE, on_poll);
	if (err < 0) {
		eos_watch_free(watch);
		return err;
	}
	*ret_watch = watch;
	return 0;
}

static void on_watch_closed(uv_handle_t *handle)
{
	free(handle->data);
}

struct eos_watch *eos_watch_free(struct eos_watch *watch)
{
	if (watch == NULL)
		return NULL;
	watch->loop->handles--;
	uv_close((uv_handle_t *)&watch->uv, on_watch_closed);
	return NULL;
}

static void on_timer(uv_timer_t *uv)
{
	struct eos_timer *timer = uv->data;
	struct eos_loop *loop = timer->loop;
	loop->is_in_timer = true;
	timer->fn(timer->ctx);
	loop->is_in_timer = false;
}

static void on_idle(uv_idle_t *idle)
{
}

static void on_check(uv_check_t *check)
{
	struct eos_loop *loop = check->data;
	struct eos_list *node;
	while ((node = eos_list_take(&loop->next_turn)) != NULL) {
		struct eos_timer *timer = EOS_CONTAINER_OF(node, struct eos_timer, node);
		int err = uv_timer_start(&timer->uv, on_timer, 0, 0);
		EOS_ASSERT(err == 0);
	}
	(void)uv_check_stop(check);
	(void)uv_idle_stop(&loop->idle);
}

/* TIMER fires when the descriptors had their turn. */
static void put_off(struct eos_timer *timer)
{
	struct eos_loop *loop = timer->loop;
	(void)uv_timer_stop(&timer->uv);
	eos_list_add_tail(&loop->next_turn, &timer->node);
	(void)uv_check_start(&loop->check, on_check);
	(void)uv_idle_start(&loop->idle, on_idle);
}

int eos_timer_new(struct eos_loop *loop, void (*fn)(void *ctx), void *ctx,
		  struct eos_timer **ret_timer)
{
	struct eos_timer *timer = calloc(1, sizeof(*timer));
	if (timer == NULL)
		return -ENOMEM;
	*timer = (struct eos_timer){.loop = loop, .fn = fn, .ctx = ctx};
	eos_list_init(&timer->node);
	int err = uv_timer_init(&loop->uv, &timer->uv);
	if (err < 0) {
		free(timer);
		return err;
	}
	timer->uv.data = timer;
	loop->handles++;
	*ret_timer = timer;
	return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
	free(handle->data);
}

struct eos_timer *eos_timer_free(struct eos_timer *timer)
{
	if (timer == NULL)
		return NULL;
	timer->loop->handles--;
	eos_list_remove(&timer->node);
	uv_close((uv_handle_t *)&timer->uv, on_timer_closed);
	return NULL;
}

void eos_timer_arm(struct eos_timer *timer, uint64_t delay_ms)
{
	eos_list_remove(&timer->node);
	if (delay_ms == 0 && timer->loop->is_in_timer) {
		put_off(timer);
		return;
	}
	/* The loop's idea of now is as old as this turn. */
	uv_update_time(&timer->loop->uv);
	int err = uv_timer_start(&timer->uv, on_timer, delay_ms, 0);
	EOS_ASSERT(err == 0);
}

void eos_timer_disarm(struct eos_timer *timer)
{
	eos_list_remove(&timer->node);
	(void)uv_timer_stop(&timer->uv);
}
