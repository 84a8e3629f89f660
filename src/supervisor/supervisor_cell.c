/*
 * The cell: process, link, restarts.
 *
 *   none ──start──► starting ──READY──► ready
 *    ▲                 │                  │
 *    │   reaped        ▼                  ▼
 *    └───────────── condemned or dead ◄───┘
 *
 * The link is closed the moment the cell is condemned; the calls end when the process is reaped, in
 * one place (on_exit_of_cell), whatever it died of. So nothing of an old cell can reach a new one.
 *
 * Restarts are immediate, but after five deaths within ten seconds only once a second.
 *
 * Full rings: messages that find no room wait in `outgoing`, in order; the incoming ring is always
 * emptied first, so the cell gets on and makes room. What waits is bounded by the calls: one
 * INVOKE, one CANCEL and one reply each, and one LOAD and UNLOAD for each image. That is so with a
 * cell that takes the answer to a request before it makes the next; one that asks on and on without
 * listening is ended when more than that waits.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/counter.h"
#include "base/file.h"
#include "base/log.h"
#include "supervisor/supervisor_priv.h"

#define MESSAGES_AT_ONCE 256u
#define DEATHS_WINDOW_NS (10 * EOS_NS_PER_S)
#define RESTART_DELAY_MS 1000u

EOS_COUNTER(restarts_total, "supervisor.cell_restarts_total", "Cells that were started again.")
EOS_COUNTER(condemned_total, "supervisor.cells_condemned_total",
	    "Cells that were killed because they broke the protocol or hung.")

static void free_outgoing(struct supervisor *supervisor)
{
	struct eos_list *link;
	while ((link = eos_list_take(&supervisor->outgoing)) != NULL)
		free(EOS_CONTAINER_OF(link, struct supervisor_message, link));
	supervisor->outgoing_bytes = 0;
}

void supervisor_cell_close(struct supervisor *supervisor)
{
	atomic_store_explicit(&supervisor->is_ready, false, memory_order_relaxed);
	eos_timer_disarm(supervisor->ready_timer);
	eos_timer_disarm(supervisor->drain_timer);
	supervisor->link_watch = eos_watch_free(supervisor->link_watch);
	supervisor->link = link_free(supervisor->link);
	free_outgoing(supervisor);
	supervisor_counters_lost(supervisor);
}

void supervisor_cell_condemn(struct supervisor *supervisor, const char *reason)
{
	if (supervisor->link == NULL)
		return; /* condemned already */
	eos_log(EOS_LOG_ERROR, "supervisor", "cell condemned pid=%d reason=%s",
		supervisor->process.pid, reason);
	eos_counter_add(&condemned_total, 1);
	supervisor_cell_close(supervisor);
	process_kill(&supervisor->process);
}

/* Keeps a message until there is room. */
static void put_off(struct supervisor *supervisor, const void *header, size_t header_len,
		    const void *payload, size_t payload_len)
{
	size_t len = header_len + payload_len;
	if (len > SUPERVISOR_OUTGOING_BYTES_MAX - supervisor->outgoing_bytes) {
		supervisor_cell_condemn(supervisor, "it does not take its messages");
		return;
	}
	struct supervisor_message *message = malloc(sizeof(*message) + len);
	if (message == NULL) {
		supervisor_cell_condemn(supervisor, "no memory for its messages");
		return;
	}
	message->len = len;
	memcpy(message->bytes, header, header_len);
	if (payload_len > 0)
		memcpy(message->bytes + header_len, payload, payload_len);
	eos_list_add_tail(&supervisor->outgoing, &message->link);
	supervisor->outgoing_bytes += len;
}

void supervisor_send(struct supervisor *supervisor, const void *header, size_t header_len,
		     const void *payload, size_t payload_len)
{
	if (supervisor->link == NULL)
		return; /* whoever waits for an answer hears of the cell's death */
	int err = -EAGAIN;
	if (eos_list_is_empty(&supervisor->outgoing))
		err = link_send(supervisor->link, header, header_len, payload, payload_len);
	if (err == -EAGAIN)
		put_off(supervisor, header, header_len, payload, payload_len);
	else if (err < 0)
		supervisor_cell_condemn(supervisor, "its ring is damaged");
}

/* Sends what waited for room, as far as there is some. */
static void flush_outgoing(struct supervisor *supervisor)
{
	while (supervisor->link != NULL && !eos_list_is_empty(&supervisor->outgoing)) {
		struct supervisor_message *message = EOS_CONTAINER_OF(
			supervisor->outgoing.next, struct supervisor_message, link);
		int err = link_send(supervisor->link, message->bytes, message->len, NULL, 0);
		if (err == -EAGAIN)
			return;
		if (err < 0) {
			supervisor_cell_condemn(supervisor, "its ring is damaged");
			return;
		}
		eos_list_remove(&message->link);
		supervisor->outgoing_bytes -= message->len;
		free(message);
	}
}

static int apply_ready(struct supervisor *supervisor, const struct link_message *message)
{
	if (supervisor_is_ready(supervisor) || message->ready.version != LINK_PROTO_VERSION)
		return -EBADMSG;
	atomic_store_explicit(&supervisor->is_ready, true, memory_order_relaxed);
	eos_timer_disarm(supervisor->ready_timer);
	eos_log(EOS_LOG_INFO, "supervisor", "cell ready pid=%d", supervisor->process.pid);
	supervisor_images_send(supervisor);
	return 0;
}

static int apply(struct supervisor *supervisor, const struct link_message *message)
{
	if (message->header.kind == LINK_READY)
		return apply_ready(supervisor, message);
	if (!supervisor_is_ready(supervisor))
		return -EBADMSG;
	switch (message->header.kind) {
	case LINK_LOADED:
		return supervisor_image_loaded(supervisor, message);
	case LINK_OUTPUT:
		return supervisor_call_output(supervisor, message);
	case LINK_FILE_REQUEST:
		return supervisor_file_request(supervisor, message);
	case LINK_DONE:
		return supervisor_call_done(supervisor, message);
	case LINK_COUNTERS:
		return supervisor_counters_take(supervisor, message);
	default:
		return -EBADMSG;
	}
}

/* One message. 1; 0 when there is none, or the link is gone. */
static int take_message(struct supervisor *supervisor)
{
	struct link_message message;
	if (supervisor->link == NULL)
		return 0;
	int64_t len =
		link_receive(supervisor->link, supervisor->message, sizeof(supervisor->message));
	if (len == 0)
		return 0;
	int err = len < 0 ? (int)len
			  : link_decode_to_node(supervisor->message, (size_t)len, &message);
	if (err == 0)
		err = apply(supervisor, &message);
	if (err < 0) {
		supervisor_cell_condemn(supervisor, "it broke the protocol");
		return 0;
	}
	return 1;
}

/* Takes messages until there are none and the cell will ring for the next. A flood of them does not
 * keep the loop: the rest comes in its next turn. */
static void drain(void *ctx)
{
	struct supervisor *supervisor = ctx;
	if (supervisor->is_draining)
		return;
	supervisor->is_draining = true;
	for (unsigned i = 0;; i++) {
		if (i == MESSAGES_AT_ONCE) {
			eos_timer_arm(supervisor->drain_timer, 0);
			break;
		}
		if (take_message(supervisor) > 0)
			continue;
		if (supervisor->link == NULL || link_prepare_wait(supervisor->link) != 0)
			break;
	}
	supervisor->is_draining = false;
	flush_outgoing(supervisor);
}

static void on_doorbell(void *ctx)
{
	struct supervisor *supervisor = ctx;
	link_doorbell_clear(supervisor->link);
	drain(supervisor);
}

static void on_ready_timeout(void *ctx)
{
	supervisor_cell_condemn(ctx, "it did not get ready in time");
}

/* Notes a death; returns how long to wait before the next start. */
static uint64_t restart_delay_ms(struct supervisor *supervisor)
{
	uint64_t now_ns = eos_now_ns();
	size_t count = EOS_ARRAY_SIZE(supervisor->deaths_ns);
	uint64_t *oldest = &supervisor->deaths_ns[supervisor->deaths % count];
	bool is_often = supervisor->deaths >= count && now_ns - *oldest < DEATHS_WINDOW_NS;
	*oldest = now_ns;
	supervisor->deaths++;
	return is_often ? RESTART_DELAY_MS : 0;
}

static void schedule_restart(struct supervisor *supervisor)
{
	if (supervisor->is_stopping)
		return;
	eos_timer_arm(supervisor->restart_timer, restart_delay_ms(supervisor));
}

static void on_exit_of_cell(void *ctx)
{
	struct supervisor *supervisor = ctx;
	char how[32], text[96];
	int pid = supervisor->process.pid;
	if (!process_reap(&supervisor->process, 0, how, sizeof(how)))
		return;
	supervisor->process_watch = eos_watch_free(supervisor->process_watch);
	supervisor_cell_close(supervisor);
	if (!supervisor->is_stopping)
		eos_log(EOS_LOG_ERROR, "supervisor", "cell ended pid=%d how=%s calls=%u", pid, how,
			supervisor->calls_running);
	snprintf(text, sizeof(text), "the cell ended under it (%s)", how);
	/* Calls first: what their ends start waits for an image, and is opened for the next cell.
	 */
	supervisor_calls_lost(supervisor, text);
	supervisor_images_lost(supervisor);
	schedule_restart(supervisor);
}

static int start(struct supervisor *supervisor)
{
	struct link_fds fds;
	int err = link_new(&supervisor->link, &fds);
	if (err < 0)
		return err;
	err = process_start(supervisor->config.cell_program, &fds,
			    supervisor->config.image_public_key, &supervisor->config.cell,
			    supervisor->config.processor, &supervisor->process);
	eos_close(fds.memory);
	eos_close(fds.doorbell_to_cell);
	eos_close(fds.doorbell_to_node);
	eos_close(fds.socket);
	if (err == 0)
		err = eos_watch_new(supervisor->config.loop, supervisor->process.pidfd,
				    on_exit_of_cell, supervisor, &supervisor->process_watch);
	if (err == 0)
		err = eos_watch_new(supervisor->config.loop, link_doorbell_fd(supervisor->link),
				    on_doorbell, supervisor, &supervisor->link_watch);
	if (err < 0)
		return err;
	eos_timer_arm(supervisor->ready_timer, SUPERVISOR_READY_MS);
	/* It may have spoken before we listened. */
	drain(supervisor);
	return 0;
}

/* Undoes what start() did before it failed. */
static void undo_start(struct supervisor *supervisor)
{
	char how[32];
	supervisor->process_watch = eos_watch_free(supervisor->process_watch);
	supervisor_cell_close(supervisor);
	process_kill(&supervisor->process);
	while (supervisor->process.pid != 0)
		process_reap(&supervisor->process, 1000, how, sizeof(how));
}

int supervisor_cell_first(struct supervisor *supervisor)
{
	int err = start(supervisor);
	if (err < 0)
		undo_start(supervisor);
	return err;
}

static void on_restart(void *ctx)
{
	struct supervisor *supervisor = ctx;
	EOS_ASSERT(supervisor->link == NULL && supervisor->process.pid == 0);
	if (supervisor->is_stopping)
		return;
	supervisor->restarts++;
	eos_counter_add(&restarts_total, 1);
	int err = start(supervisor);
	if (err == 0)
		return;
	eos_log(EOS_LOG_ERROR, "supervisor", "cell not started program=%s error=%s",
		supervisor->config.cell_program, strerror(-err));
	undo_start(supervisor);
	eos_timer_arm(supervisor->restart_timer, RESTART_DELAY_MS);
}

int supervisor_cell_timers(struct supervisor *supervisor)
{
	struct eos_loop *loop = supervisor->config.loop;
	int err = eos_timer_new(loop, on_ready_timeout, supervisor, &supervisor->ready_timer);
	if (err == 0)
		err = eos_timer_new(loop, on_restart, supervisor, &supervisor->restart_timer);
	if (err == 0)
		err = eos_timer_new(loop, drain, supervisor, &supervisor->drain_timer);
	return err;
}
