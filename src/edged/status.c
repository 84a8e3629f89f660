/*
 * The node's state, for `edgeos status`. It is asked for on threads of the control server, but the
 * cells' numbers belong to the loop's thread: they are fetched there.
 */
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "edged/edged.h"

struct query {
	struct edged *edged;
	pthread_mutex_t lock;
	pthread_cond_t done_cond;
	/* Guarded by lock. */
	bool is_done;
	bool is_ready;
	unsigned count;
	struct supervisor_stats cells[ROUTER_CELLS_MAX];
};

static void answer_on_loop(void *ctx)
{
	struct query *query = ctx;
	pthread_mutex_lock(&query->lock);
	query->is_ready = router_is_ready(query->edged->router);
	query->count = router_cells(query->edged->router);
	for (unsigned i = 0; i < query->count; i++)
		router_stats(query->edged->router, i, &query->cells[i]);
	query->is_done = true;
	pthread_cond_signal(&query->done_cond);
	pthread_mutex_unlock(&query->lock);
}

/* Without memory to ask: no cells. */
static void ask_loop(struct query *query)
{
	pthread_mutex_init(&query->lock, NULL);
	pthread_cond_init(&query->done_cond, NULL);
	if (eos_loop_post(query->edged->loop, answer_on_loop, query) == 0) {
		pthread_mutex_lock(&query->lock);
		while (!query->is_done)
			pthread_cond_wait(&query->done_cond, &query->lock);
		pthread_mutex_unlock(&query->lock);
	}
	pthread_cond_destroy(&query->done_cond);
	pthread_mutex_destroy(&query->lock);
}

void edged_format_url(char *out, size_t size, const struct edged *edged,
		      const struct edged_listen *listen)
{
	const char *scheme = edged->tls_certificate.len > 0 ? "https" : "http";
	bool is_v6 = strchr(listen->address, ':') != NULL;
	snprintf(out, size, is_v6 ? "%s://[%s]:%u" : "%s://%s:%u", scheme, listen->address,
		 (unsigned)listen->port);
}

static void count_function(void *ctx, struct func *func)
{
	++*(uint64_t *)ctx;
}

static void put_cell(struct eos_json *json, const char *key, const struct supervisor_stats *cell)
{
	eos_json_open(json, key, '{');
	eos_json_i64(json, "pid", cell->cell_pid);
	eos_json_u64(json, "restarts", cell->restarts);
	eos_json_u64(json, "calls_started", cell->calls_started);
	eos_json_u64(json, "calls_running", cell->calls_running);
	eos_json_close(json, '}');
}

/* "cell" is all of them together, with the first one's pid; "cells" is each. */
static void put_cells(struct eos_json *json, const struct query *query)
{
	struct supervisor_stats all = {.cell_pid = query->cells[0].cell_pid};
	for (unsigned i = 0; i < query->count; i++) {
		all.restarts += query->cells[i].restarts;
		all.calls_started += query->cells[i].calls_started;
		all.calls_running += query->cells[i].calls_running;
	}
	put_cell(json, "cell", &all);
	eos_json_open(json, "cells", '[');
	for (unsigned i = 0; i < query->count; i++)
		put_cell(json, NULL, &query->cells[i]);
	eos_json_close(json, ']');
}

void edged_put_status(void *ctx, struct eos_json *json)
{
	struct edged *edged = ctx;
	struct query query = {.edged = edged};
	char url[128];
	uint64_t functions = 0;
	ask_loop(&query);
	func_registry_each(edged->registry, count_function, &functions);
	eos_json_text(json, "version", EDGEOS_VERSION);
	eos_json_u64(json, "pid", (uint64_t)getpid());
	eos_json_u64(json, "uptime_s", (eos_now_ns() - edged->started_ns) / EOS_NS_PER_S);
	eos_json_bool(json, "ready", query.is_ready);
	edged_format_url(url, sizeof(url), edged, &edged->config.s3.listen);
	eos_json_text(json, "s3_url", url);
	edged_format_url(url, sizeof(url), edged, &edged->config.functions.listen);
	eos_json_text(json, "functions_url", url);
	eos_json_u64(json, "functions", functions);
	put_cells(json, &query);
}
