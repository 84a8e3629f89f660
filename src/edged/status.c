/*
 * The node's state, for `edgeos status`. It is asked for on threads of the control server, but the
 * cell's numbers belong to the loop's thread: they are fetched there.
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
	struct supervisor_stats cell;
};

static void answer_on_loop(void *ctx)
{
	struct query *query = ctx;
	pthread_mutex_lock(&query->lock);
	query->is_ready = supervisor_is_ready(query->edged->supervisor);
	supervisor_stats(query->edged->supervisor, &query->cell);
	query->is_done = true;
	pthread_cond_signal(&query->done_cond);
	pthread_mutex_unlock(&query->lock);
}

/* Without memory to ask: a cell of which nothing is known. */
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
	eos_json_open(json, "cell", '{');
	eos_json_i64(json, "pid", query.cell.cell_pid);
	eos_json_u64(json, "restarts", query.cell.restarts);
	eos_json_u64(json, "calls_started", query.cell.calls_started);
	eos_json_u64(json, "calls_running", query.cell.calls_running);
	eos_json_close(json, '}');
}
