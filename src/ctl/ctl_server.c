/*
 * Routing of the control API. A request's path is /api/v1/COLLECTION[/NAME[/REST]]; the tables of
 * the other files say what there is. Bodies are collected up to the route's bound before the route
 * runs, but for objects, which stream.
 */
#include "ctl/ctl_server.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/str.h"
#include "ctl/ctl_priv.h"
#include "ctl/ctl_upkeep.h"

#define API_PREFIX "/api/v1/"

void ctl_answer_json(struct ctl_request *request, unsigned status, const struct eos_buf *json)
{
	static const struct http_header headers[] = {{"Content-Type", "application/json"}};
	if (eos_buf_failed(json)) {
		ctl_answer_error(request, -ENOMEM, "out of memory");
		return;
	}
	http_respond(request->http, status, headers, 1, json->data, json->len);
}

void ctl_answer_empty(struct ctl_request *request)
{
	http_respond(request->http, 204, NULL, 0, NULL, 0);
}

static unsigned status_of(int err)
{
	static const struct {
		int err;
		unsigned status;
	} table[] = {
		{-ENOENT, 404},	   {-EINVAL, 400}, {-ENOSYS, 400},    {-EEXIST, 409},
		{-ENOTEMPTY, 409}, {-EFBIG, 413},  {-ENOSPC, 507},    {-EAGAIN, 503},
		{-EROFS, 503},	   {-EPERM, 403},  {-ETIMEDOUT, 504}, {-ECANCELED, 502},
		{-ENOTSUP, 405},   {-EBUSY, 409},  {-EDQUOT, 507},
	};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(table); i++) {
		if (table[i].err == err)
			return table[i].status;
	}
	return 500;
}

void ctl_answer_error(struct ctl_request *request, int err, const char *fmt, ...)
{
	char text[EOS_WHY_SIZE];
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	EOS_CLEANUP(eos_buf_fini) struct eos_buf body = {0};
	struct eos_json json = eos_json_begin(&body);
	eos_json_open(&json, NULL, '{');
	eos_json_text(&json, "error", text);
	eos_json_close(&json, '}');
	static const struct http_header headers[] = {{"Content-Type", "application/json"}};
	http_respond(request->http, status_of(err), headers, 1, body.data, body.len);
}

static char *decode_component(const char *text, size_t len, size_t *ret_len)
{
	char *out = malloc(len + 1);
	if (out == NULL)
		return NULL;
	long n = eos_percent_decode(text, len, out);
	if (n < 0 || memchr(out, '\0', (size_t)n) != NULL) {
		free(out);
		return NULL;
	}
	out[n] = '\0';
	*ret_len = (size_t)n;
	return out;
}

int ctl_parse_body(const struct ctl_request *request, const char *name, struct eos_doc **ret_doc,
		   struct eos_why *why)
{
	const struct eos_buf *body = &request->body;
	return eos_doc_parse_json(name, body->len == 0 ? "" : body->data, body->len, ret_doc, why);
}

char *ctl_query_get(const struct ctl_request *request, const char *parameter)
{
	const char *p = http_request_query(request->http);
	size_t name_len = strlen(parameter);
	while (*p != '\0') {
		size_t len = strcspn(p, "&");
		if (len > name_len && strncmp(p, parameter, name_len) == 0 && p[name_len] == '=') {
			size_t ignored;
			return decode_component(p + name_len + 1, len - name_len - 1, &ignored);
		}
		p += len + (p[len] == '&');
	}
	return NULL;
}

static bool route_matches(const struct ctl_route *route, const char *method, const char *collection,
			  size_t collection_len, const struct ctl_request *request)
{
	if (strcmp(route->method, method) != 0 || strlen(route->collection) != collection_len ||
	    strncmp(route->collection, collection, collection_len) != 0 ||
	    route->has_name != (request->name != NULL))
		return false;
	if (route->rest == NULL)
		return request->rest == NULL;
	if (request->rest == NULL)
		return false;
	return strcmp(route->rest, "*") == 0 || strcmp(route->rest, request->rest) == 0;
}

/* Splits the path and finds the route. -EINVAL: badly encoded; -ENOENT: nothing there. */
static int find_route(struct ctl_request *request)
{
	static const struct ctl_route *const tables[] = {
		ctl_status_routes, ctl_function_routes, ctl_bucket_routes, ctl_object_routes,
		ctl_store_routes,  ctl_tenant_routes,	ctl_chain_routes};
	const char *path = http_request_path(request->http);
	if (!eos_str_starts_with(path, API_PREFIX))
		return -ENOENT;
	const char *collection = path + strlen(API_PREFIX);
	size_t collection_len = strcspn(collection, "/");
	const char *name = collection + collection_len;
	if (*name == '/' && name[1] != '\0') {
		name++;
		size_t name_len = strcspn(name, "/"), ignored;
		request->name = decode_component(name, name_len, &ignored);
		if (request->name == NULL)
			return -EINVAL;
		const char *rest = name + name_len;
		if (*rest == '/' && rest[1] != '\0') {
			request->rest =
				decode_component(rest + 1, strlen(rest + 1), &request->rest_len);
			if (request->rest == NULL)
				return -EINVAL;
		}
	}
	const char *method = http_request_method(request->http);
	for (size_t t = 0; t < EOS_ARRAY_SIZE(tables); t++) {
		for (const struct ctl_route *r = tables[t]; r->method != NULL; r++) {
			if (route_matches(r, method, collection, collection_len, request)) {
				request->route = r;
				return 0;
			}
		}
	}
	return -ENOENT;
}

static void on_begin(void *ctx, struct http_request *http)
{
	struct ctl_request *request = calloc(1, sizeof(*request));
	if (request == NULL) {
		http_respond(http, 500, NULL, 0, NULL, 0);
		return;
	}
	request->server = ctx;
	request->http = http;
	http_request_set_data(http, request);
	int err = find_route(request);
	if (err == -EINVAL) {
		ctl_answer_error(request, err, "badly encoded path");
		return;
	}
	if (err < 0) {
		ctl_answer_error(request, -ENOENT, "no such request: %s %s",
				 http_request_method(http), http_request_path(http));
		return;
	}
	uint64_t length;
	if (http_request_content_length(http, &length) && request->route->body_max > 0 &&
	    length > request->route->body_max) {
		ctl_answer_error(request, -EFBIG, "a body of %llu bytes is over the limit of %zu",
				 (unsigned long long)length, request->route->body_max);
		return;
	}
	if (request->route->begin != NULL)
		request->route->begin(request);
}

static void on_body(void *ctx, struct http_request *http, const void *data, size_t len)
{
	struct ctl_request *request = http_request_data(http);
	if (request->route->data != NULL) {
		request->route->data(request, data, len);
		return;
	}
	if (len > request->route->body_max - request->body.len) {
		ctl_answer_error(request, -EFBIG, "the body is over the limit of %zu bytes",
				 request->route->body_max);
		return;
	}
	if (eos_buf_append(&request->body, data, len) < 0)
		ctl_answer_error(request, -ENOMEM, "out of memory");
}

static void on_end(void *ctx, struct http_request *http)
{
	struct ctl_request *request = http_request_data(http);
	request->route->run(request);
}

static void on_finish(void *ctx, struct http_request *http)
{
	struct ctl_request *request = http_request_data(http);
	if (request == NULL)
		return;
	store_upload_abort(request->upload);
	eos_buf_fini(&request->body);
	free(request->name);
	free(request->rest);
	free(request);
}

/* Callers that may wait: a client that does not block is refused beyond that (EAGAIN). */
#define BACKLOG 1024

static const struct http_handler handler = {
	.begin = on_begin,
	.body = on_body,
	.end = on_end,
	.finish = on_finish,
};

/* A listening socket at PATH that only its owner may open. */
static int listen_at(const char *path, struct eos_why *why)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (eos_str_copy(address.sun_path, sizeof(address.sun_path), path) < 0)
		return eos_why(why, -ENAMETOOLONG,
			       "%s: longer than the %zu bytes a local socket's path may have; "
			       "choose a shorter data directory",
			       path, sizeof(address.sun_path) - 1);
	/* The data directory's lock is ours: what is there belongs to a node that is gone. */
	if (unlink(path) < 0 && errno != ENOENT)
		return eos_why(why, -errno, "%s: %s", path, strerror(errno));
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return eos_why(why, -errno, "local socket: %s", strerror(errno));
	mode_t old_mask = umask(0177);
	int err = bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0 ? -errno : 0;
	umask(old_mask);
	if (err == 0 && listen(fd, BACKLOG) < 0)
		err = -errno;
	if (err < 0) {
		eos_close(fd);
		return eos_why(why, err, "%s: %s", path, strerror(-err));
	}
	return fd;
}

int ctl_server_new(const struct ctl_config *config, struct ctl_server **ret_server,
		   struct eos_why *why)
{
	struct ctl_server *server = calloc(1, sizeof(*server));
	if (server == NULL)
		return eos_why(why, -ENOMEM, "out of memory");
	server->config = *config;
	int err = ctl_upkeep_new(config->store, &server->upkeep);
	if (err < 0) {
		eos_why(why, err, "upkeep of the store: %s", strerror(-err));
		goto free_server;
	}
	int fd = listen_at(config->socket_path, why);
	if (fd < 0) {
		err = fd;
		goto free_upkeep;
	}
	const struct http_server_config http = {
		.listen_fd = fd,
		.connections_max = 64,
		.idle_timeout_s = 600,
		.body_bytes_max = STORE_OBJECT_BYTES_MAX,
		.handler = &handler,
		.ctx = server,
	};
	err = http_server_new(&http, &server->http, why);
	if (err < 0)
		goto free_upkeep;
	*ret_server = server;
	return 0;
free_upkeep:
	ctl_upkeep_free(server->upkeep);
free_server:
	free(server);
	return err;
}

struct ctl_server *ctl_server_free(struct ctl_server *server)
{
	if (server == NULL)
		return NULL;
	/* First, for it may take a moment; whoever waits for it is told how it ended. */
	ctl_upkeep_close(server->upkeep);
	http_server_free(server->http);
	ctl_upkeep_free(server->upkeep);
	(void)unlink(server->config.socket_path);
	free(server);
	return NULL;
}
