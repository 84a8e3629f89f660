/*
 * A request as environment variables, after RFC 3875 and WAGI.
 *
 * What the request decides comes first and config last, and a manifest cannot use the request's
 * names (func/manifest.c), so neither can pass for the other. Left out: Proxy (as HTTP_PROXY it
 * would steer HTTP clients inside the function), and header names with anything but letters,
 * digits and '-' (X_Y and X-Y would become one variable).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "trigger/wagi_priv.h"

struct line {
	const char *name, *value;
	unsigned index;
};

struct lines {
	struct line entries[WAGI_REQUEST_LINES_MAX];
	unsigned count;
	bool is_full;
};

/* In one piece: a request has a dozen of them, and each append would look for room. */
static void put(struct eos_buf *env, const char *name, const char *value)
{
	size_t name_len = strlen(name), value_size = strlen(value) + 1;
	if (eos_buf_reserve(env, name_len + 1 + value_size) < 0)
		return;
	char *out = env->data + env->len;
	memcpy(out, name, name_len);
	out[name_len] = '=';
	memcpy(out + name_len + 1, value, value_size);
	env->len += name_len + 1 + value_size;
	env->data[env->len] = '\0';
}

/* Host as a name and a port: "[::1]:9800", "edge.local", "10.0.0.1:80". */
static void put_server(struct eos_buf *env, const char *host)
{
	const char *end = host[0] == '[' ? strchr(host, ']') : strchr(host, ':');
	size_t len = end == NULL ? strlen(host) : (size_t)(end - host) + (host[0] == '[');
	const char *port = host[len] == ':' ? host + len + 1 : "";
	if (*port == '\0' || strspn(port, "0123456789") != strlen(port))
		port = "80";
	eos_buf_puts(env, "SERVER_NAME=");
	eos_buf_append(env, host, len);
	eos_buf_append(env, "", 1);
	put(env, "SERVER_PORT", port);
}

/* What has its own variable, or none. */
static bool is_left_out(const char *name)
{
	switch (name[0] | 0x20) {
	case 'c':
		return strcasecmp(name, "content-type") == 0 ||
		       strcasecmp(name, "content-length") == 0;
	case 'p':
		return strcasecmp(name, "proxy") == 0;
	default:
		return false;
	}
}

static void collect(void *ctx, const char *name, const char *value)
{
	struct lines *lines = ctx;
	if (*name == '\0' || is_left_out(name))
		return;
	for (const char *p = name; *p != '\0'; p++) {
		bool is_letter = (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z');
		if (!is_letter && !(*p >= '0' && *p <= '9') && *p != '-')
			return;
	}
	if (lines->count == WAGI_REQUEST_LINES_MAX) {
		lines->is_full = true;
		return;
	}
	lines->entries[lines->count] = (struct line){name, value, lines->count};
	lines->count++;
}

static int compare_lines(const void *a, const void *b)
{
	const struct line *x = a;
	const struct line *y = b;
	int order = strcasecmp(x->name, y->name);
	return order != 0 ? order : (x->index > y->index) - (x->index < y->index);
}

static void put_header_name(struct eos_buf *env, const char *name)
{
	eos_buf_puts(env, "HTTP_");
	if (eos_buf_reserve(env, strlen(name)) < 0)
		return;
	for (; *name != '\0'; name++) {
		char c = *name;
		if (c == '-')
			c = '_';
		else if (c >= 'a' && c <= 'z')
			c = (char)(c - 'a' + 'A');
		env->data[env->len++] = c;
	}
	eos_buf_puts(env, "=");
}

/* Repeated lines become one value, as RFC 9110 joins them (cookies have their own separator). */
static void put_headers(struct eos_buf *env, struct lines *lines)
{
	qsort(lines->entries, lines->count, sizeof(lines->entries[0]), compare_lines);
	for (unsigned i = 0; i < lines->count;) {
		const char *name = lines->entries[i].name;
		const char *separator = strcasecmp(name, "cookie") == 0 ? "; " : ", ";
		put_header_name(env, name);
		eos_buf_puts(env, lines->entries[i].value);
		for (i++; i < lines->count && strcasecmp(lines->entries[i].name, name) == 0; i++) {
			eos_buf_puts(env, separator);
			eos_buf_puts(env, lines->entries[i].value);
		}
		eos_buf_append(env, "", 1);
	}
}

static void put_url(struct eos_buf *env, struct http_request *request, const char *host)
{
	const char *query = http_request_query(request);
	eos_buf_puts(env, "X_FULL_URL=http://");
	eos_buf_puts(env, host);
	eos_buf_puts(env, http_request_path(request));
	if (*query != '\0') {
		eos_buf_puts(env, "?");
		eos_buf_puts(env, query);
	}
	eos_buf_append(env, "", 1);
}

int wagi_add_config(const struct func *func, struct eos_buf *environment)
{
	const struct func_manifest *manifest = func->manifest;
	for (unsigned i = 0; i < manifest->config_count; i++)
		eos_buf_append(environment, manifest->config[i], strlen(manifest->config[i]) + 1);
	return eos_buf_failed(environment) ? -ENOMEM : 0;
}

int wagi_build_environment(const struct wagi_request *wagi, struct eos_buf *environment)
{
	struct http_request *request = wagi->request;
	struct lines lines = {.count = 0};
	const char *host = http_request_header(request, "host");
	const char *type = http_request_header(request, "content-type");
	http_request_each_header(request, collect, &lines);
	if (lines.is_full)
		return -E2BIG;
	if (host == NULL || *host == '\0')
		host = "localhost";
	put(environment, "GATEWAY_INTERFACE", "CGI/1.1");
	put(environment, "SERVER_SOFTWARE", "EdgeOS");
	put(environment, "SERVER_PROTOCOL", "HTTP/1.1");
	put_server(environment, host);
	put(environment, "REQUEST_METHOD", http_request_method(request));
	put(environment, "SCRIPT_NAME", wagi->route);
	put(environment, "PATH_INFO", wagi->path_info);
	put(environment, "QUERY_STRING", http_request_query(request));
	put(environment, "REMOTE_ADDR", http_request_client(request));
	put(environment, "X_MATCHED_ROUTE", wagi->route);
	put_url(environment, request, host);
	if (type != NULL)
		put(environment, "CONTENT_TYPE", type);
	uint64_t announced;
	if (wagi->body_len > 0 || http_request_content_length(request, &announced)) {
		eos_buf_printf(environment, "CONTENT_LENGTH=%zu", wagi->body_len);
		eos_buf_append(environment, "", 1);
	}
	put_headers(environment, &lines);
	return wagi_add_config(wagi->func, environment);
}
