/*
 * HTTP requests for functions.
 *
 * begin: the path decides who gets the request: a function (an exchange is made) or the fallback.
 *        What can be refused by its headers is answered here, before the body is read.
 * body:  goes into the call's standard input.
 * end:   the call is submitted.
 * on_done: the function's output becomes the answer. A GET or HEAD whose cell died under it is
 *        submitted once more; what has side effects is not.
 * finish: the request is gone; a call under way is cancelled.
 *
 * The fallback owns the request's data pointer (http_request_set_data), so that it need not know
 * of us; exchanges are found by the request's address in a table.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/counter.h"
#include "base/str.h"
#include "trigger/http_priv.h"
#include "trigger/wagi_priv.h"

#define EXCHANGES_KEPT	64
#define PATH_KEPT	4096
#define BODIES_MAX	(64u << 20) /* bodies that wait in memory, of all requests together */
#define RETRY_SOON	(&(const struct http_header){"Retry-After", "1"})
#define FUNCTION_PREFIX "/f/"

EOS_COUNTER(requests_total, "trigger.http_requests_total", "HTTP requests for functions.")
EOS_COUNTER(bad_output_total, "trigger.http_bad_outputs_total",
	    "Answers of functions that were not well formed.")
EOS_COUNTER(retried_total, "trigger.http_retries_total",
	    "HTTP calls run again because the cell died under them.")
EOS_COUNTER(bodies_full_total, "trigger.http_bodies_refused_total",
	    "HTTP requests refused because too many bodies were in memory.")

/* Stands in a request's data when there was no memory for an exchange. */
static const char no_memory_mark;

static struct trigger_exchange **find_exchange(struct trigger_http *trigger,
					       const struct http_request *request)
{
	uintptr_t key = (uintptr_t)request >> 4;
	struct trigger_exchange **link =
		&trigger->exchanges[(key ^ key >> 10) % TRIGGER_EXCHANGE_BUCKETS];
	while (*link != NULL && (*link)->request != request)
		link = &(*link)->next;
	return link;
}

static struct trigger_exchange *new_exchange(struct trigger_http *trigger,
					     struct http_request *request)
{
	struct trigger_exchange *exchange = trigger->pool;
	if (exchange != NULL) {
		trigger->pool = exchange->next;
		trigger->pool_count--;
	} else {
		exchange = calloc(1, sizeof(*exchange));
		if (exchange == NULL)
			return NULL;
	}
	struct trigger_exchange **link = find_exchange(trigger, request);
	EOS_ASSERT(*link == NULL);
	exchange->next = NULL;
	exchange->trigger = trigger;
	exchange->request = request;
	*link = exchange;
	trigger->exchanges_count++;
	return exchange;
}

/* Both the request and the call are gone. */
static void release(struct trigger_exchange *exchange)
{
	struct trigger_http *trigger = exchange->trigger;
	EOS_ASSERT(exchange->request == NULL && exchange->call == NULL);
	EOS_ASSERT(trigger->exchanges_count > 0);
	trigger->exchanges_count--;
	trigger->body_bytes -= exchange->body_bytes;
	func_unref(exchange->func);
	struct eos_buf path_info = exchange->path_info;
	if (path_info.cap > PATH_KEPT)
		eos_buf_fini(&path_info);
	eos_buf_clear(&path_info);
	if (trigger->pool_count == EXCHANGES_KEPT) {
		eos_buf_fini(&path_info);
		free(exchange);
		return;
	}
	*exchange = (struct trigger_exchange){.path_info = path_info, .next = trigger->pool};
	trigger->pool = exchange;
	trigger->pool_count++;
}

void trigger_exchange_respond(struct trigger_exchange *exchange, unsigned status,
			      const struct http_header *header, const char *text)
{
	struct http_header headers[2] = {{"Content-Type", "text/plain; charset=utf-8"}};
	if (header != NULL)
		headers[1] = *header;
	http_respond(exchange->request, status, headers, header == NULL ? 1 : 2, text,
		     strlen(text));
}

void trigger_exchange_log(struct trigger_exchange *exchange, const char *fmt, ...)
{
	char line[FUNC_LOG_LINE_BYTES];
	int n = exchange->request == NULL
			? snprintf(line, sizeof(line), "http: ")
			: snprintf(line, sizeof(line),
				   "http %s %.200s: ", http_request_method(exchange->request),
				   http_request_path(exchange->request));
	size_t at = n < 0 ? 0 : EOS_MIN((size_t)n, sizeof(line) - 1);
	va_list args;
	va_start(args, fmt);
	(void)vsnprintf(line + at, sizeof(line) - at, fmt, args);
	va_end(args);
	func_log_append(exchange->trigger->log, exchange->func->manifest->name, line, strlen(line));
}

/* --- begin --- */

/* The scratch path. Its bytes are the client's, without NUL. -EINVAL: badly encoded; -ENOMEM. */
static int decode_path(struct trigger_http *trigger, const char *raw)
{
	size_t len = strlen(raw);
	eos_buf_clear(&trigger->path);
	int err = eos_buf_reserve(&trigger->path, len);
	if (err < 0)
		return err;
	long n = eos_percent_decode(raw, len, trigger->path.data);
	if (n < 0 || memchr(trigger->path.data, '\0', (size_t)n) != NULL)
		return -EINVAL;
	trigger->path.data[n] = '\0';
	trigger->path.len = (size_t)n;
	return 0;
}

/* "/f/NAME" and what is below it. */
static bool parse_function_path(const char *path, char name[FUNC_NAME_MAX + 1])
{
	if (!eos_str_starts_with(path, FUNCTION_PREFIX))
		return false;
	path += strlen(FUNCTION_PREFIX);
	size_t len = strcspn(path, "/");
	if (len > FUNC_NAME_MAX)
		len = 0; /* no function has such a name; the answer will be 404 */
	memcpy(name, path, len);
	name[len] = '\0';
	return true;
}

/* One that calls are for: packets' are not. */
static struct func *get_function(struct trigger_http *trigger, const char *name)
{
	struct func *func = func_registry_get(trigger->registry, name);
	return func != NULL && func->manifest->is_packet ? func_unref(func) : func;
}

/* Whose request is it? Fills EXCHANGE in. False: the fallback's. */
static bool find_target(struct trigger_http *trigger, struct trigger_exchange *target)
{
	const char *path = trigger->path.data;
	char name[FUNC_NAME_MAX + 1];
	if (trigger_invoke_parse_path(path, name)) {
		target->is_invoke = true;
		target->func = get_function(trigger, name);
		return true;
	}
	if (parse_function_path(path, name)) {
		target->func = get_function(trigger, name);
		(void)snprintf(target->route, sizeof(target->route), "%s%s", FUNCTION_PREFIX, name);
		return true;
	}
	const struct func_trigger *route;
	target->func = func_registry_match_http(trigger->registry, path, &route);
	if (target->func == NULL)
		return false;
	target->methods = route->methods;
	strcpy(target->route, route->path); /* a decoded manifest's path fits */
	return true;
}

/* Segments "." and ".." would let a request out of the route it was matched by. */
static bool has_dot_segment(const char *path)
{
	while (*path == '/') {
		size_t len = strcspn(path + 1, "/");
		if ((len == 1 || len == 2) && strncmp(path + 1, "..", len) == 0)
			return true;
		path += 1 + len;
	}
	return false;
}

static bool method_is_allowed(unsigned methods, const char *method)
{
	unsigned bit = func_method_parse(method);
	if (methods == 0)
		return bit != 0;
	if (bit == FUNC_METHOD_HEAD && (methods & FUNC_METHOD_GET) != 0)
		return true;
	return (methods & bit) != 0;
}

/* Answers what needs no body to be refused. */
static bool refuse(struct trigger_exchange *exchange)
{
	struct http_request *request = exchange->request;
	uint64_t length;
	if (exchange->is_invoke && trigger_invoke_refuse(exchange))
		return true;
	if (exchange->func == NULL) {
		trigger_exchange_respond(exchange, 404, NULL, "There is no such function.\n");
		return true;
	}
	if (!exchange->is_invoke &&
	    !method_is_allowed(exchange->methods, http_request_method(request))) {
		char allowed[FUNC_METHODS_TEXT_SIZE];
		unsigned methods = exchange->methods;
		if ((methods & FUNC_METHOD_GET) != 0)
			methods |= FUNC_METHOD_HEAD;
		func_methods_format(methods, allowed);
		trigger_exchange_respond(exchange, 405, &(struct http_header){"Allow", allowed},
					 "This method is not allowed here.\n");
		return true;
	}
	if (has_dot_segment(exchange->path_info.data)) {
		trigger_exchange_respond(exchange, 400, NULL,
					 "The path has a segment \".\" or \"..\".\n");
		return true;
	}
	if (http_request_content_length(request, &length) && length > TRIGGER_HTTP_BODY_MAX) {
		trigger_exchange_respond(exchange, 413, NULL, "The body is larger than 8 MiB.\n");
		return true;
	}
	return false;
}

static void respond_no_memory(struct trigger_exchange *exchange)
{
	trigger_exchange_respond(exchange, 503, RETRY_SOON, "Out of memory.\n");
}

static void begin_exchange(struct trigger_exchange *exchange, const struct trigger_exchange *target,
			   const char *path)
{
	exchange->func = target->func;
	exchange->is_invoke = target->is_invoke;
	exchange->methods = target->methods;
	memcpy(exchange->route, target->route, sizeof(exchange->route));
	eos_counter_add(&requests_total, 1);
	if (exchange->is_invoke)
		path = "";
	else
		path += EOS_MIN(strlen(path), strlen(exchange->route));
	if (eos_buf_puts(&exchange->path_info, path) < 0) {
		respond_no_memory(exchange);
		return;
	}
	if (refuse(exchange))
		return;
	if (func_call_new(exchange->func, &exchange->call) < 0)
		respond_no_memory(exchange);
}

static void on_begin(void *ctx, struct http_request *request)
{
	struct trigger_http *trigger = ctx;
	struct trigger_exchange target = {.func = NULL};
	int err = decode_path(trigger, http_request_path(request));
	if (err == 0 && !find_target(trigger, &target) && trigger->fallback != NULL) {
		trigger->fallback->begin(trigger->fallback_ctx, request);
		return;
	}
	struct trigger_exchange *exchange = new_exchange(trigger, request);
	if (exchange == NULL) {
		func_unref(target.func);
		http_request_set_data(request, (void *)(uintptr_t)&no_memory_mark);
		http_respond(request, 503, RETRY_SOON, 1, NULL, 0);
		return;
	}
	if (err == -EINVAL)
		trigger_exchange_respond(exchange, 400, NULL, "The path is badly encoded.\n");
	else if (err < 0)
		respond_no_memory(exchange);
	else
		begin_exchange(exchange, &target, trigger->path.data);
}

/* --- body, end, done --- */

static void on_body(void *ctx, struct http_request *request, const void *data, size_t len)
{
	struct trigger_http *trigger = ctx;
	struct trigger_exchange *exchange = *find_exchange(trigger, request);
	if (exchange == NULL) {
		if (trigger->fallback != NULL)
			trigger->fallback->body(trigger->fallback_ctx, request, data, len);
		return;
	}
	if (exchange->call == NULL)
		return; /* answered already */
	struct eos_buf *input = &exchange->call->input;
	if (len > TRIGGER_HTTP_BODY_MAX - input->len) {
		trigger_exchange_respond(exchange, 413, NULL, "The body is larger than 8 MiB.\n");
	} else if (trigger->body_bytes + len > BODIES_MAX) {
		eos_counter_add(&bodies_full_total, 1);
		trigger_exchange_respond(exchange, 503, RETRY_SOON, "The node is busy.\n");
	} else if (eos_buf_append(input, data, len) < 0) {
		respond_no_memory(exchange);
	} else {
		trigger->body_bytes += len;
		exchange->body_bytes += len;
		return;
	}
	exchange->call = func_call_free(exchange->call);
}

static void respond_wagi(struct trigger_exchange *exchange, struct func_call *call)
{
	static char empty[1];
	struct wagi_response response;
	struct eos_why why = {""};
	char *output = call->output.data == NULL ? empty : call->output.data;
	if (wagi_parse_response(output, call->output.len, &response, &why) < 0) {
		eos_counter_add(&bad_output_total, 1);
		trigger_exchange_log(exchange, "the output is no answer: %s", why.text);
		trigger_exchange_respond(exchange, 502, NULL,
					 "The function's answer is not well formed.\n");
		return;
	}
	http_respond(exchange->request, response.status, response.headers, response.headers_count,
		     response.body, response.body_len);
}

/* The answers to calls that ended badly. */
static const struct {
	unsigned status;
	bool may_come_back;
	const char *what; /* for the function's log */
	const char *text; /* for the client, who need not know more */
} failures[] = {
	[FUNC_EXIT] = {500, false, "exit code", "The function failed.\n"},
	[FUNC_TRAP] = {500, false, "trap", "The function failed.\n"},
	[FUNC_TIMEOUT] = {504, false, "timeout", "The function took too long.\n"},
	[FUNC_CELL_LOST] = {503, true, "the cell died", "The function was interrupted.\n"},
	[FUNC_REFUSED] = {503, true, "not started", "The function cannot run now.\n"},
	[FUNC_OUTPUT_LIMIT] = {502, false, "too much output",
			       "The function's answer is too long.\n"},
};

static void respond_failure(struct trigger_exchange *exchange, struct func_call *call)
{
	EOS_ASSERT((size_t)call->outcome < EOS_ARRAY_SIZE(failures));
	if (call->outcome == FUNC_EXIT)
		trigger_exchange_log(exchange, "exit code %u", call->exit_code);
	else
		trigger_exchange_log(exchange, "%s%s%s", failures[call->outcome].what,
				     call->text[0] == '\0' ? "" : ": ", call->text);
	if (exchange->is_invoke)
		trigger_invoke_answer(exchange, call);
	else
		trigger_exchange_respond(exchange, failures[call->outcome].status,
					 failures[call->outcome].may_come_back ? RETRY_SOON : NULL,
					 failures[call->outcome].text);
}

static void on_done(void *ctx, struct func_call *call);

static void submit(struct trigger_exchange *exchange)
{
	struct func_call *call = exchange->call;
	call->on_done = on_done;
	call->ctx = exchange;
	/* Before submit: the call may be done, and the exchange gone, when it returns. */
	exchange->is_submitted = true;
	int err = func_queue_submit(exchange->trigger->queue, call);
	if (err == 0)
		return;
	exchange->is_submitted = false;
	exchange->call = func_call_free(call);
	if (err == -EAGAIN && exchange->is_invoke)
		trigger_invoke_fail(exchange, 429, "TooManyRequestsException", "Rate Exceeded.");
	else if (err == -EAGAIN)
		trigger_exchange_respond(exchange, 429, RETRY_SOON,
					 "Too many requests wait for this function.\n");
	else
		trigger_exchange_respond(exchange, 503, RETRY_SOON,
					 "The function cannot run now.\n");
}

/* Runs the request again in a new call. False: it may not, or cannot. */
static bool retry(struct trigger_exchange *exchange, struct func_call *call)
{
	const char *method = http_request_method(exchange->request);
	struct func_call *again;
	if (call->outcome != FUNC_CELL_LOST || exchange->was_retried || exchange->is_invoke ||
	    (strcmp(method, "GET") != 0 && strcmp(method, "HEAD") != 0))
		return false;
	if (func_call_new(call->func, &again) < 0)
		return false;
	struct eos_buf spare = again->environment;
	again->environment = call->environment;
	call->environment = spare;
	spare = again->input;
	again->input = call->input;
	call->input = spare;
	exchange->was_retried = true;
	exchange->call = again;
	eos_counter_add(&retried_total, 1);
	submit(exchange);
	return true;
}

static void on_done(void *ctx, struct func_call *call)
{
	struct trigger_exchange *exchange = ctx;
	EOS_ASSERT(exchange->call == call && exchange->is_submitted);
	exchange->call = NULL;
	exchange->is_submitted = false;
	if (exchange->request == NULL) {
		release(exchange);
		return;
	}
	if (call->outcome != FUNC_OK) {
		if (!retry(exchange, call))
			respond_failure(exchange, call);
	} else if (exchange->is_invoke) {
		trigger_invoke_answer(exchange, call);
	} else {
		respond_wagi(exchange, call);
	}
}

static void on_end(void *ctx, struct http_request *request)
{
	struct trigger_http *trigger = ctx;
	struct trigger_exchange *exchange = *find_exchange(trigger, request);
	if (exchange == NULL) {
		if (trigger->fallback != NULL)
			trigger->fallback->end(trigger->fallback_ctx, request);
		return;
	}
	if (exchange->call == NULL)
		return;
	struct eos_buf *environment = &exchange->call->environment;
	struct wagi_request wagi = {.request = request,
				    .func = exchange->func,
				    .route = exchange->route,
				    .path_info = exchange->path_info.data,
				    .body_len = exchange->call->input.len};
	int err = exchange->is_invoke ? wagi_add_config(exchange->func, environment)
				      : wagi_build_environment(&wagi, environment);
	if (err == 0) {
		submit(exchange);
		return;
	}
	exchange->call = func_call_free(exchange->call);
	if (err == -E2BIG)
		trigger_exchange_respond(exchange, 431, NULL, "There are too many headers.\n");
	else
		respond_no_memory(exchange);
}

static void on_finish(void *ctx, struct http_request *request)
{
	struct trigger_http *trigger = ctx;
	struct trigger_exchange **link = find_exchange(trigger, request);
	struct trigger_exchange *exchange = *link;
	if (exchange == NULL) {
		if (trigger->fallback != NULL && http_request_data(request) != &no_memory_mark)
			trigger->fallback->finish(trigger->fallback_ctx, request);
		return;
	}
	*link = exchange->next;
	exchange->request = NULL;
	if (exchange->is_submitted) {
		/* on_done will release it, perhaps at once. */
		func_queue_cancel(trigger->queue, exchange->call);
		return;
	}
	exchange->call = func_call_free(exchange->call);
	release(exchange);
}

const struct http_handler trigger_http_handler = {on_begin, on_body, on_end, on_finish};

int trigger_http_new(struct func_registry *registry, struct func_queue *queue, struct func_log *log,
		     const struct http_handler *fallback, void *fallback_ctx,
		     struct trigger_http **ret_trigger)
{
	struct trigger_http *trigger = calloc(1, sizeof(*trigger));
	if (trigger == NULL)
		return -ENOMEM;
	trigger->registry = registry;
	trigger->queue = queue;
	trigger->log = log;
	trigger->fallback = fallback;
	trigger->fallback_ctx = fallback_ctx;
	*ret_trigger = trigger;
	return 0;
}

struct trigger_http *trigger_http_free(struct trigger_http *trigger)
{
	if (trigger == NULL)
		return NULL;
	EOS_ASSERT(trigger->exchanges_count == 0);
	while (trigger->pool != NULL) {
		struct trigger_exchange *next = trigger->pool->next;
		eos_buf_fini(&trigger->pool->path_info);
		free(trigger->pool);
		trigger->pool = next;
	}
	eos_buf_fini(&trigger->path);
	free(trigger);
	return NULL;
}
