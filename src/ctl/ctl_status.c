/*
 * The node's state: /api/v1/status on the local socket; /healthz, /readyz and /metrics
 * (Prometheus text format 0.0.4) on the functions' port.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/counter.h"
#include "ctl/ctl_priv.h"

static void run_status(struct ctl_request *request)
{
	const struct ctl_config *config = &request->server->config;
	struct store_stats stats;
	int err = store_stats(config->store, &stats);
	if (err < 0) {
		ctl_answer_error(request, err, "reading the store: %s", strerror(-err));
		return;
	}
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	struct eos_json json = eos_json_begin(&body);
	eos_json_open(&json, NULL, '{');
	config->ops->status(config->ops->ctx, &json);
	eos_json_open(&json, "store", '{');
	eos_json_u64(&json, "buckets", stats.buckets);
	eos_json_u64(&json, "objects", stats.objects);
	eos_json_u64(&json, "bytes", stats.bytes);
	eos_json_u64(&json, "outbox_events", stats.outbox_events);
	eos_json_close(&json, '}');
	eos_json_close(&json, '}');
	ctl_answer_json(request, 200, &body);
}

const struct ctl_route ctl_status_routes[] = {
	{.method = "GET", .collection = "status", .run = run_status},
	{.method = NULL},
};

static void put_metric(void *ctx, const struct eos_counter *counter)
{
	struct eos_buf *body = ctx;
	char name[128] = "edgeos_";
	size_t n = strlen(name);
	for (const char *p = counter->name; *p != '\0' && n + 1 < sizeof(name); p++)
		name[n++] = *p == '.' ? '_' : *p;
	name[n] = '\0';
	bool is_total = n > 6 && strcmp(name + n - 6, "_total") == 0;
	eos_buf_printf(body, "# HELP %s %s\n# TYPE %s %s\n%s %llu\n", name, counter->help, name,
		       is_total ? "counter" : "gauge", name,
		       (unsigned long long)eos_counter_read(counter));
}

/* A request for metrics that waits for those from elsewhere; the request's data. */
struct scrape {
	struct ctl_metrics_query query;
	struct http_request *request;
};

static void on_scraped(struct ctl_metrics_query *query, const char *text, size_t len)
{
	static const struct http_header headers[] = {{"Content-Type", "text/plain; version=0.0.4"}};
	struct scrape *scrape = EOS_CONTAINER_OF(query, struct scrape, query);
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	eos_counter_each(put_metric, &body);
	eos_buf_append(&body, text, len);
	http_respond(scrape->request, eos_buf_failed(&body) ? 500 : 200, headers, 1, body.data,
		     body.len);
}

static void begin_scrape(const struct ctl_ops *ops, struct http_request *request)
{
	struct scrape *scrape = malloc(sizeof(*scrape));
	if (scrape == NULL) {
		http_respond(request, 503, NULL, 0, NULL, 0);
		return;
	}
	*scrape = (struct scrape){.query = {.done = on_scraped}, .request = request};
	eos_list_init(&scrape->query.node);
	http_request_set_data(request, scrape);
	ops->metrics(ops->ctx, &scrape->query);
}

static void answer_text(struct http_request *request, unsigned status, const char *text)
{
	static const struct http_header headers[] = {{"Content-Type", "text/plain"}};
	http_respond(request, status, headers, 1, text, strlen(text));
}

static void on_public_begin(void *ctx, struct http_request *request)
{
	const struct ctl_ops *ops = ctx;
	const char *path = http_request_path(request);
	const char *method = http_request_method(request);
	bool is_read = strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0;
	bool is_known = strcmp(path, "/healthz") == 0 || strcmp(path, "/readyz") == 0 ||
			strcmp(path, "/metrics") == 0;
	if (!is_known)
		answer_text(request, 404, "no function answers this path\n");
	else if (!is_read)
		answer_text(request, 405, "only GET and HEAD\n");
	else if (strcmp(path, "/metrics") == 0)
		return; /* at the request's end: the answer may take a while */
	else if (strcmp(path, "/readyz") == 0 && !ops->is_ready(ops->ctx))
		answer_text(request, 503, "not ready\n");
	else
		answer_text(request, 200, "ok\n");
}

static void on_public_body(void *ctx, struct http_request *request, const void *data, size_t len)
{
}

static void on_public_end(void *ctx, struct http_request *request)
{
	begin_scrape(ctx, request);
}

static void on_public_finish(void *ctx, struct http_request *request)
{
	struct scrape *scrape = http_request_data(request);
	if (scrape != NULL)
		eos_list_remove(&scrape->query.node);
	free(scrape);
}

const struct http_handler ctl_public_handler = {
	.begin = on_public_begin,
	.body = on_public_body,
	.end = on_public_end,
	.finish = on_public_finish,
};
