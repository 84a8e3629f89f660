/*
 * The supervisor as a whole: its parts come in the order timers, cell, and go in the opposite one.
 * What each part does is told at the top of its file.
 */
#include "supervisor/supervisor.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/log.h"
#include "supervisor/supervisor_priv.h"

/* For the cell to end by itself after its link was closed; together with those that were told to at
 * the same time. */
#define CELL_END_NS EOS_NS_PER_S
#define REAP_MS	    1000

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
	*ret_supervisor = supervisor;
	return 0;
}

void supervisor_stop(struct supervisor *supervisor)
{
	if (supervisor->is_stopping)
		return;
	supervisor->is_stopping = true;
	supervisor->stopped_ns = eos_now_ns();
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
	uint64_t waited_ns = eos_now_ns() - supervisor->stopped_ns;
	int wait_ms =
		waited_ns < CELL_END_NS ? (int)((CELL_END_NS - waited_ns) / EOS_NS_PER_MS) : 0;
	if (!process_reap(&supervisor->process, wait_ms, how, sizeof(how))) {
		process_kill(&supervisor->process); /* a guest that spins, perhaps */
		while (!process_reap(&supervisor->process, REAP_MS, how, sizeof(how)))
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
	end_cell(supervisor);
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
	return atomic_load_explicit(&supervisor->is_ready, memory_order_relaxed);
}

void supervisor_stats(const struct supervisor *supervisor, struct supervisor_stats *ret_stats)
{
	*ret_stats = (struct supervisor_stats){
		.cell_pid = supervisor->process.pid,
		.is_ready = supervisor_is_ready(supervisor),
		.restarts = supervisor->restarts,
		.calls_started = supervisor->calls_started,
		.calls_running = supervisor->calls_running,
		.calls_under_way = LINK_CALLS_MAX - supervisor->free_slots_count,
	};
}
