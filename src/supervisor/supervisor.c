/*
 * The supervisor as a whole: its parts come in the order timers, workers, cell, executor, and go
 * in the opposite one. What each part does is told at the top of its file.
 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/log.h"
#include "supervisor/supervisor_priv.h"

/* For the cell to end by itself after its link was closed. */
#define CELL_END_MS 1000

static void on_tick(void *ctx)
{
	supervisor_calls_check(ctx);
}

static void init_tables(struct supervisor *supervisor)
{
	eos_list_init(&supervisor->outgoing);
	eos_list_init(&supervisor->running);
	/* The lowest slots on top: few calls at a time touch few pages. */
	for (unsigned i = 0; i < LINK_CALLS_MAX; i++)
		supervisor->free_slots[i] = (uint16_t)(LINK_CALLS_MAX - 1 - i);
	supervisor->free_slots_count = LINK_CALLS_MAX;
}

static int init_parts(struct supervisor *supervisor)
{
	struct eos_loop *loop = supervisor->config.loop;
	int err = supervisor_relay_new(supervisor, &supervisor->relay);
	if (err == 0)
		err = eos_timer_new(loop, on_tick, supervisor, &supervisor->tick_timer);
	if (err == 0)
		err = supervisor_cell_timers(supervisor);
	if (err == 0)
		err = eos_workers_new(loop, SUPERVISOR_FILE_THREADS, NULL, NULL,
				      &supervisor->file_workers);
	if (err == 0)
		err = eos_workers_new(loop, SUPERVISOR_IMAGE_THREADS, NULL, NULL,
				      &supervisor->image_workers);
	return err;
}

int supervisor_new(const struct supervisor_config *config, struct supervisor **ret_supervisor,
		   struct eos_why *why)
{
	struct supervisor *supervisor = calloc(1, sizeof(*supervisor));
	if (supervisor == NULL)
		return eos_why(why, -ENOMEM, "starting the cell: %s", strerror(ENOMEM));
	supervisor->config = *config;
	if (config->cell.fwps_max == 0)
		supervisor->config.cell = link_config_default;
	init_tables(supervisor);
	int err = init_parts(supervisor);
	if (err == 0)
		err = supervisor_cell_first(supervisor);
	if (err < 0) {
		supervisor->is_stopping = true;
		supervisor_free(supervisor);
		return eos_why(why, err, "starting the cell %s: %s", config->cell_program,
			       strerror(-err));
	}
	struct func_executor executor = {
		.start = supervisor_call_start,
		.cancel = supervisor_call_cancel,
		.ctx = supervisor,
	};
	func_queue_set_executor(config->queue, &executor);
	supervisor->is_executor = true;
	*ret_supervisor = supervisor;
	return 0;
}

void supervisor_stop(struct supervisor *supervisor)
{
	if (supervisor->is_stopping)
		return;
	supervisor->is_stopping = true;
	eos_timer_disarm(supervisor->restart_timer);
	eos_timer_disarm(supervisor->tick_timer);
	/* The cell sees the end of its socket and ends; what it still says nobody hears. */
	supervisor_cell_close(supervisor);
	supervisor_calls_refuse(supervisor, "the node is shutting down");
	supervisor_images_lost(supervisor);
}

/* Waits for the process, which was told to end. */
static void end_cell(struct supervisor *supervisor)
{
	char how[32];
	supervisor->process_watch = eos_watch_free(supervisor->process_watch);
	if (supervisor->process.pid == 0)
		return;
	if (!process_reap(&supervisor->process, CELL_END_MS, how, sizeof(how))) {
		process_kill(&supervisor->process); /* a guest that spins, perhaps */
		while (!process_reap(&supervisor->process, CELL_END_MS, how, sizeof(how)))
			;
	}
	if (strcmp(how, "exit code 0") != 0)
		eos_log(EOS_LOG_WARN, "supervisor", "cell did not end cleanly how=%s", how);
}

struct supervisor *supervisor_free(struct supervisor *supervisor)
{
	if (supervisor == NULL)
		return NULL;
	supervisor_stop(supervisor);
	if (supervisor->is_executor)
		func_queue_set_executor(supervisor->config.queue, NULL);
	end_cell(supervisor);
	supervisor->image_workers = eos_workers_free(supervisor->image_workers);
	supervisor->file_workers = eos_workers_free(supervisor->file_workers);
	EOS_ASSERT(supervisor->free_slots_count == LINK_CALLS_MAX);
	supervisor_images_free(supervisor);
	supervisor_requests_free(supervisor);
	eos_timer_free(supervisor->tick_timer);
	eos_timer_free(supervisor->ready_timer);
	eos_timer_free(supervisor->restart_timer);
	eos_timer_free(supervisor->drain_timer);
	supervisor_relay_close(supervisor->relay);
	free(supervisor);
	return NULL;
}

bool supervisor_is_ready(const struct supervisor *supervisor)
{
	return supervisor->is_ready;
}

void supervisor_stats(const struct supervisor *supervisor, struct supervisor_stats *ret_stats)
{
	*ret_stats = (struct supervisor_stats){
		.cell_pid = supervisor->process.pid,
		.restarts = supervisor->restarts,
		.calls_started = supervisor->calls_started,
		.calls_running = supervisor->calls_running,
	};
}
