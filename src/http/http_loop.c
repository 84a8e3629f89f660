/*
 * Loop mode for what is not a plain request (http_direct.c): libmicrohttpd's epoll descriptor is
 * watched by the loop, and its time-outs are a timer.
 *
 * A request whose handler did not answer is suspended. Its answer queues the response, resumes
 * the connection and arms the timer with zero, so that all answers of one turn of the loop go out
 * in one MHD_run() at its end. MHD_run() is never entered from a handler.
 *
 * libmicrohttpd 0.9.75 wants to run again and again, until the idle limit, for a client whose chunk
 * has an extension as long as the pool. When nothing comes of it, it is let run less often.
 */
#include "http/http_server_priv.h"

#include "base/assert.h"

#define WATCHDOG_PERIOD_MS 1000u
#define IDLE_RUNS_MAX	   64u
#define IDLE_RUN_MS	   10u

static void run(struct http_server *server)
{
	MHD_UNSIGNED_LONG_LONG delay_ms;
	uint64_t progress = server->progress;

	server->is_running = true;
	(void)MHD_run(server->daemon);
	server->is_running = false;
	bool has_delay = MHD_get_timeout(server->daemon, &delay_ms) == MHD_YES;
	bool is_idle = has_delay && delay_ms == 0 && progress == server->progress;
	server->idle_runs = is_idle ? server->idle_runs + 1 : 0;
	if (server->idle_runs > IDLE_RUNS_MAX) {
		server->idle_runs = IDLE_RUNS_MAX;
		delay_ms = IDLE_RUN_MS;
	}
	if (has_delay)
		eos_timer_arm(server->timer, delay_ms);
	else
		eos_timer_disarm(server->timer);
}

static void on_event(void *ctx)
{
	run(ctx);
}

static void on_watchdog(void *ctx)
{
	struct http_server *server = ctx;
	http_watchdog_scan(server);
	http_directs_scan(server);
	eos_timer_arm(server->watchdog_timer, WATCHDOG_PERIOD_MS);
}

int http_loop_attach(struct http_server *server, struct eos_loop *loop, unsigned connections_max)
{
	const union MHD_DaemonInfo *info =
		MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD);
	EOS_ASSERT(info != NULL);
	int err = eos_timer_new(loop, on_event, server, &server->timer);
	if (err < 0)
		return err;
	err = eos_timer_new(loop, on_watchdog, server, &server->watchdog_timer);
	if (err < 0)
		goto free_timer;
	err = eos_watch_new(loop, info->epoll_fd, on_event, server, &server->watch);
	if (err < 0)
		goto free_watchdog;
	/* What it made before it failed, http_directs_stop() takes away. */
	err = http_directs_start(server, loop, connections_max);
	if (err < 0)
		goto free_watch;
	eos_timer_arm(server->watchdog_timer, WATCHDOG_PERIOD_MS);
	return 0;

free_watch:
	server->watch = eos_watch_free(server->watch);
free_watchdog:
	server->watchdog_timer = eos_timer_free(server->watchdog_timer);
free_timer:
	server->timer = eos_timer_free(server->timer);
	return err;
}

void http_loop_note_progress(struct http_server *server)
{
	if (server->loop != NULL)
		server->progress++;
}

void http_loop_release(struct http_server *server)
{
	struct eos_list *node;
	while ((node = eos_list_take(&server->suspended)) != NULL) {
		struct http_request *request =
			EOS_CONTAINER_OF(node, struct http_request, suspended_node);
		request->is_suspended = false;
		MHD_resume_connection(request->mhd);
	}
}

void http_loop_detach(struct http_server *server)
{
	if (server->watch != NULL)
		server->watch = eos_watch_free(server->watch);
	if (server->watchdog_timer != NULL)
		server->watchdog_timer = eos_timer_free(server->watchdog_timer);
	if (server->timer != NULL)
		server->timer = eos_timer_free(server->timer);
}

void http_loop_suspend(struct http_request *request)
{
	EOS_ASSERT(!request->is_suspended);
	request->is_suspended = true;
	eos_list_add_tail(&request->server->suspended, &request->suspended_node);
	MHD_suspend_connection(request->mhd);
}

void http_loop_resume(struct http_request *request)
{
	EOS_ASSERT(request->is_suspended);
	request->is_suspended = false;
	eos_list_remove(&request->suspended_node);
	/* The connection's handler is called again and queues the response. */
	MHD_resume_connection(request->mhd);
	if (!request->server->is_running)
		eos_timer_arm(request->server->timer, 0);
}
