/*
 * The HTTP trigger over a real registry, store and queue; the HTTP server is a double: requests are
 * structs made here, and answers are kept.
 */
#include "trigger/trigger.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "trigger/http_double_priv.h"

/* --- the world around the trigger --- */

static char dir[64];
static struct store *store;
static struct func_registry *registry;
static struct func_queue *queue;
static struct func_log *log_;
static struct trigger_http *trigger;

/* The executor: keeps what it was given. */
static struct func_call *running[64];
static unsigned running_count, started, cancelled;

static void start(void *ctx, struct func_call *call)
{
	started++;
	running[running_count++] = call;
}

static void end_call(enum func_outcome outcome, const char *output)
{
	assert_true(running_count > 0);
	struct func_call *call = running[--running_count];
	call->outcome = outcome;
	if (output != NULL)
		eos_buf_puts(&call->output, output);
	func_queue_done(queue, call);
}

static void cancel(void *ctx, struct func_call *call)
{
	cancelled++;
	end_call(FUNC_REFUSED, NULL);
}

static const struct func_executor executor = {start, cancel, NULL};

/* The fallback notes what it is asked. */
static char fallback_trail[64];
static const struct http_header text_header = {"Content-Type", "text/plain"};

static void fallback_begin(void *ctx, struct http_request *request)
{
	assert_string_equal(ctx, "fallback");
	http_request_set_data(request, fallback_trail);
	strcat(fallback_trail, "begin ");
}

static void fallback_body(void *ctx, struct http_request *request, const void *data, size_t len)
{
	strcat(fallback_trail, "body ");
}

static void fallback_end(void *ctx, struct http_request *request)
{
	strcat(fallback_trail, "end ");
	http_respond(request, 200, &text_header, 1, "fallback", 8);
}

static void fallback_finish(void *ctx, struct http_request *request)
{
	assert_ptr_equal(http_request_data(request), fallback_trail);
	strcat(fallback_trail, "finish");
}

static const struct http_handler fallback = {fallback_begin, fallback_body, fallback_end,
					     fallback_finish};

static void deploy(const char *yaml)
{
	struct eos_why why = {""};
	if (func_registry_put(registry, "t.yaml", yaml, strlen(yaml), "wasm", 4, NULL, &why) < 0)
		fail_msg("%s", why.text);
}

static int setup(void **state)
{
	struct eos_why why = {""};
	/* These tests make many small commits; what a disk does with them is tested elsewhere. */
	strcpy(dir,
	       access("/dev/shm", W_OK) == 0 ? "/dev/shm/eos-http-XXXXXX" : "/tmp/eos-http-XXXXXX");
	running_count = started = cancelled = 0;
	fallback_trail[0] = '\0';
	if (mkdtemp(dir) == NULL || store_open(dir, &store, &why) < 0 ||
	    func_registry_open(store, &registry, &why) < 0 || func_queue_new(&queue) < 0 ||
	    func_log_new(&log_) < 0)
		return -1;
	func_queue_set_executor(queue, &executor);
	static char ctx[] = "fallback";
	if (trigger_http_new(registry, queue, log_, &fallback, ctx, &trigger) < 0)
		return -1;
	deploy("function: hello\nimage: x\ntriggers:\n"
	       " - http: {path: /hello}\n"
	       " - http: {path: /get, methods: [GET]}\n"
	       " - http: {path: /post, methods: [POST, PUT]}\n"
	       "config: {COLOUR: red}\n");
	deploy("function: plain\nimage: x\nlimits: {concurrency: 1}\n");
	return 0;
}

static int teardown(void **state)
{
	char command[96];
	queue = func_queue_free(queue);
	trigger = trigger_http_free(trigger);
	log_ = func_log_free(log_);
	registry = func_registry_free(registry);
	store = store_close(store);
	snprintf(command, sizeof(command), "rm -rf %s", dir);
	return system(command) == 0 ? 0 : -1;
}

static struct http_request make(const char *method, const char *path)
{
	struct http_request request = {.method = method, .path = path};
	request.headers[request.headers_count++] = (struct http_header){"Host", "edge:9800"};
	return request;
}

/* All that a server does until the answer is wanted. */
static void send_request(struct http_request *request, const char *body)
{
	trigger_http_handler.begin(trigger, request);
	if (!request->is_answered && body != NULL)
		trigger_http_handler.body(trigger, request, body, strlen(body));
	if (!request->is_answered)
		trigger_http_handler.end(trigger, request);
}

static void finish(struct http_request *request)
{
	trigger_http_handler.finish(trigger, request);
}

/* A request that is refused without a call. */
static void expect_refusal(const char *method, const char *path, unsigned status,
			   const char *header)
{
	struct http_request request = make(method, path);
	unsigned before = started;
	send_request(&request, NULL);
	assert_true(request.is_answered);
	assert_int_equal(request.status, status);
	assert_non_null(strstr(request.answer_headers, header));
	assert_int_equal(started, before);
	finish(&request);
}

static const char *variable(const char *name)
{
	const struct eos_buf *env = &running[running_count - 1]->environment;
	size_t len = strlen(name);
	for (size_t at = 0; at < env->len; at += strlen(env->data + at) + 1) {
		if (strncmp(env->data + at, name, len) == 0 && env->data[at + len] == '=')
			return env->data + at + len + 1;
	}
	return "(unset)";
}

static void expect_log(const char *function, const char *text)
{
	struct eos_buf buf;
	eos_buf_init(&buf);
	assert_int_equal(func_log_read(log_, function, &buf), 0);
	if (buf.data == NULL || strstr(buf.data, text) == NULL)
		fail_msg("no \"%s\" in: %s", text, buf.data);
	eos_buf_fini(&buf);
}

/* --- the tests --- */

static void test_a_request_and_its_answer(void **state)
{
	struct http_request request = make("POST", "/hello/a%20b/c");
	request.query = "x=1&y=%20";
	request.headers[request.headers_count++] = (struct http_header){"Content-Type", "text/csv"};
	send_request(&request, "body");
	assert_false(request.is_answered);
	assert_memory_equal(running[0]->input.data, "body", 5);
	assert_string_equal(variable("REQUEST_METHOD"), "POST");
	assert_string_equal(variable("SCRIPT_NAME"), "/hello");
	assert_string_equal(variable("X_MATCHED_ROUTE"), "/hello");
	assert_string_equal(variable("PATH_INFO"), "/a b/c");
	assert_string_equal(variable("PATH_TRANSLATED"), "(unset)");
	assert_string_equal(variable("QUERY_STRING"), "x=1&y=%20");
	assert_string_equal(variable("CONTENT_TYPE"), "text/csv");
	assert_string_equal(variable("CONTENT_LENGTH"), "4");
	assert_string_equal(variable("SERVER_NAME"), "edge");
	assert_string_equal(variable("SERVER_PORT"), "9800");
	assert_string_equal(variable("SERVER_PROTOCOL"), "HTTP/1.1");
	assert_string_equal(variable("GATEWAY_INTERFACE"), "CGI/1.1");
	assert_string_equal(variable("SERVER_SOFTWARE"), "EdgeOS");
	assert_string_equal(variable("REMOTE_ADDR"), "192.0.2.7");
	assert_string_equal(variable("HTTP_HOST"), "edge:9800");
	assert_string_equal(variable("HTTP_CONTENT_TYPE"), "(unset)");
	assert_string_equal(variable("X_FULL_URL"), "http://edge:9800/hello/a%20b/c?x=1&y=%20");
	assert_string_equal(variable("COLOUR"), "red");
	end_call(FUNC_OK, "Content-Type: text/plain\nStatus: 201\n\ndone");
	assert_int_equal(request.status, 201);
	assert_string_equal(request.answer_headers, "Content-Type: text/plain\n");
	assert_int_equal(request.body_len, 4);
	assert_memory_equal(request.body, "done", 4);
	finish(&request);
}

static void test_request_headers(void **state)
{
	static const struct http_header headers[] = {
		{"X-One", "1"},
		{"Proxy", "http://evil"},
		{"x-one", "2"},
		{"Cookie", "a=b"},
		{"Authorization", "Basic x"},
		{"X_Under_Score", "x"},
		{"cookie", "c=d"},
		{"X-ONE", "3"},
		{"Content-Length", "0"},
	};
	struct http_request request = {.method = "GET", .path = "/hello"};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(headers); i++)
		request.headers[request.headers_count++] = headers[i];
	send_request(&request, NULL);
	assert_string_equal(variable("HTTP_X_ONE"), "1, 2, 3");
	assert_string_equal(variable("HTTP_COOKIE"), "a=b; c=d");
	assert_string_equal(variable("HTTP_AUTHORIZATION"), "Basic x");
	assert_string_equal(variable("HTTP_PROXY"), "(unset)");
	assert_string_equal(variable("HTTP_X_UNDER_SCORE"), "(unset)");
	assert_string_equal(variable("HTTP_CONTENT_LENGTH"), "(unset)");
	assert_string_equal(variable("CONTENT_LENGTH"), "0");
	assert_string_equal(variable("SERVER_NAME"), "localhost");
	assert_string_equal(variable("SERVER_PORT"), "80");
	assert_string_equal(variable("PATH_INFO"), "");
	end_call(FUNC_OK, "A: b\n\n");
	finish(&request);
}

static void test_host_forms(void **state)
{
	static const struct {
		const char *host, *name, *port;
	} cases[] = {{"[::1]:9800", "[::1]", "9800"},
		     {"[::1]", "[::1]", "80"},
		     {"[::1", "[::1", "80"},
		     {"a:", "a", "80"},
		     {"a:b", "a", "80"},
		     {"", "localhost", "80"}};
	for (size_t i = 0; i < EOS_ARRAY_SIZE(cases); i++) {
		struct http_request request = make("GET", "/hello");
		request.headers[0].value = cases[i].host;
		send_request(&request, NULL);
		assert_string_equal(variable("SERVER_NAME"), cases[i].name);
		assert_string_equal(variable("SERVER_PORT"), cases[i].port);
		end_call(FUNC_OK, "A: b\n\n");
		finish(&request);
	}
}

static void test_too_many_headers(void **state)
{
	struct http_request request = make("GET", "/hello");
	while (request.headers_count < EOS_ARRAY_SIZE(request.headers))
		request.headers[request.headers_count++] = (struct http_header){"X-Y", "z"};
	send_request(&request, NULL);
	assert_int_equal(request.status, 431);
	assert_int_equal(started, 0);
	finish(&request);
}

static void test_paths(void **state)
{
	struct http_request request = make("GET", "/f/hello/below");
	send_request(&request, NULL);
	assert_string_equal(variable("SCRIPT_NAME"), "/f/hello");
	assert_string_equal(variable("PATH_INFO"), "/below");
	end_call(FUNC_OK, "A: b\n\n");
	finish(&request);
	expect_refusal("GET", "/f/nobody", 404, "");
	expect_refusal("GET", "/f/", 404, "");
	expect_refusal("GET", "/f//x", 404, "");
	expect_refusal(
		"GET",
		"/f/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", 404,
		"");
	expect_refusal("GET", "/hello/%zz", 400, "");
	expect_refusal("GET", "/hello/%00", 400, "");
	expect_refusal("GET", "/hello/../api", 400, "");
	expect_refusal("GET", "/hello/%2e%2e/api", 400, "");
	expect_refusal("GET", "/hello/.", 400, "");
	assert_string_equal(fallback_trail, "");
}

static void test_methods(void **state)
{
	expect_refusal("POST", "/get", 405, "Allow: GET, HEAD\n");
	expect_refusal("GET", "/post/x", 405, "Allow: POST, PUT\n");
	expect_refusal("HEAD", "/post", 405, "Allow: POST, PUT\n");
	expect_refusal("TRACE", "/hello", 405, "Allow: GET, HEAD, POST");
	expect_refusal("BREW", "/f/hello", 405, "Allow: GET, HEAD, POST");
	struct http_request request = make("HEAD", "/get");
	send_request(&request, NULL);
	assert_string_equal(variable("REQUEST_METHOD"), "HEAD");
	end_call(FUNC_OK, "A: b\n\nbody");
	assert_int_equal(request.status, 200);
	finish(&request);
}

static void test_fallback(void **state)
{
	struct http_request request = make("POST", "/hellofallback");
	send_request(&request, "x");
	finish(&request);
	assert_int_equal(request.status, 200);
	assert_string_equal(fallback_trail, "begin body end finish");
}

static void test_no_fallback(void **state)
{
	struct trigger_http *before = trigger;
	assert_int_equal(trigger_http_new(registry, queue, log_, NULL, NULL, &trigger), 0);
	expect_refusal("GET", "/", 404, "text/plain");
	assert_null(trigger_http_free(trigger));
	assert_null(trigger_http_free(NULL));
	trigger = before;
}

static void test_large_bodies(void **state)
{
	struct http_request request = make("POST", "/hello");
	request.headers[request.headers_count++] =
		(struct http_header){"Content-Length", "8388609"};
	send_request(&request, NULL);
	assert_int_equal(request.status, 413);
	finish(&request);
	/* Not announced: found when it comes. */
	size_t piece = 1 << 20;
	char *data = calloc(1, piece);
	request = make("POST", "/hello");
	trigger_http_handler.begin(trigger, &request);
	for (int i = 0; i < 8; i++)
		trigger_http_handler.body(trigger, &request, data, piece);
	assert_false(request.is_answered);
	trigger_http_handler.body(trigger, &request, data, 1);
	assert_int_equal(request.status, 413);
	finish(&request);
	/* Many of them at once. */
	struct http_request *many = calloc(9, sizeof(*many));
	for (int k = 0; k < 9; k++) {
		many[k] = make("POST", "/hello");
		trigger_http_handler.begin(trigger, &many[k]);
		for (int i = 0; i < 8 && !many[k].is_answered; i++)
			trigger_http_handler.body(trigger, &many[k], data, piece);
	}
	assert_false(many[7].is_answered);
	assert_int_equal(many[8].status, 503);
	for (int k = 0; k < 9; k++)
		finish(&many[k]);
	free(many);
	free(data);
	assert_int_equal(started, 0);
}

static void expect_failure(enum func_outcome outcome, unsigned status, const char *header)
{
	struct http_request request = make("POST", "/hello");
	send_request(&request, NULL);
	running[0]->exit_code = 3;
	strcpy(running[0]->text, "the reason");
	end_call(outcome, "A: b\n\nsecret");
	assert_int_equal(request.status, status);
	assert_non_null(strstr(request.answer_headers, header));
	assert_null(strstr(request.answer_headers, "A: b"));
	request.body[request.body_len] = '\0';
	assert_null(strstr(request.body, "secret"));
	assert_null(strstr(request.body, "reason"));
	finish(&request);
}

static void test_failures(void **state)
{
	expect_failure(FUNC_EXIT, 500, "text/plain");
	expect_log("hello", "http POST /hello: exit code 3");
	expect_failure(FUNC_TRAP, 500, "text/plain");
	expect_log("hello", "http POST /hello: trap: the reason");
	expect_failure(FUNC_TIMEOUT, 504, "text/plain");
	expect_failure(FUNC_CELL_LOST, 503, "Retry-After: 1");
	expect_failure(FUNC_REFUSED, 503, "Retry-After: 1");
	expect_failure(FUNC_OUTPUT_LIMIT, 502, "text/plain");
	struct http_request request = make("GET", "/hello");
	send_request(&request, NULL);
	end_call(FUNC_OK, "Header: x\n");
	assert_int_equal(request.status, 502);
	expect_log("hello", "http GET /hello: the output is no answer: there is no empty line");
	finish(&request);
	request = make("GET", "/hello");
	send_request(&request, NULL);
	end_call(FUNC_OK, NULL);
	assert_int_equal(request.status, 502);
	finish(&request);
}

static void test_a_lost_cell_is_tried_once_more(void **state)
{
	struct http_request request = make("GET", "/hello/x");
	send_request(&request, "in");
	end_call(FUNC_CELL_LOST, NULL);
	assert_false(request.is_answered);
	assert_int_equal(started, 2);
	assert_string_equal(variable("PATH_INFO"), "/x");
	assert_string_equal(running[0]->input.data, "in");
	end_call(FUNC_OK, "A: b\n\n");
	assert_int_equal(request.status, 200);
	finish(&request);
	request = make("HEAD", "/hello");
	send_request(&request, NULL);
	end_call(FUNC_CELL_LOST, NULL);
	end_call(FUNC_CELL_LOST, NULL);
	assert_int_equal(request.status, 503);
	finish(&request);
}

static void test_a_full_queue(void **state)
{
	static struct http_request many[FUNC_QUEUE_MAX + 2];
	for (unsigned i = 0; i < EOS_ARRAY_SIZE(many); i++) {
		many[i] = make("GET", "/f/plain");
		send_request(&many[i], NULL);
	}
	assert_int_equal(running_count, 1);
	assert_false(many[FUNC_QUEUE_MAX].is_answered);
	assert_int_equal(many[FUNC_QUEUE_MAX + 1].status, 429);
	assert_non_null(strstr(many[FUNC_QUEUE_MAX + 1].answer_headers, "Retry-After: 1"));
	for (unsigned i = FUNC_QUEUE_MAX + 2; i-- > 1;)
		finish(&many[i]);
	assert_int_equal(cancelled, 0);
	assert_int_equal(started, 1);
	finish(&many[0]);
	assert_int_equal(cancelled, 1);
}

static void test_the_client_leaves(void **state)
{
	struct http_request request = make("POST", "/hello");
	trigger_http_handler.begin(trigger, &request);
	trigger_http_handler.body(trigger, &request, "x", 1);
	finish(&request);
	assert_int_equal(started, 0);
	request = make("POST", "/hello");
	send_request(&request, NULL);
	finish(&request);
	assert_int_equal(cancelled, 1);
	assert_int_equal(running_count, 0);
	assert_false(request.is_answered);
}

static void test_shutting_down(void **state)
{
	struct http_request running_request = make("GET", "/f/plain");
	struct http_request waiting = make("GET", "/f/plain");
	send_request(&running_request, NULL);
	send_request(&waiting, NULL);
	end_call(FUNC_OK, "A: b\n\n");
	end_call(FUNC_OK, "A: b\n\n");
	func_queue_set_executor(queue, NULL);
	finish(&running_request);
	finish(&waiting);
	waiting = make("GET", "/f/plain");
	send_request(&waiting, NULL);
	queue = func_queue_free(queue);
	assert_int_equal(waiting.status, 503);
	finish(&waiting);
}

#define INVOKE "/2015-03-31/functions/hello/invocations"

static void test_invoke(void **state)
{
	struct http_request request = make("POST", INVOKE);
	send_request(&request, "{\"a\":1}");
	assert_string_equal(running[0]->input.data, "{\"a\":1}");
	assert_string_equal(variable("COLOUR"), "red");
	assert_string_equal(variable("REQUEST_METHOD"), "(unset)");
	end_call(FUNC_OK, "{\"b\":2}");
	assert_int_equal(request.status, 200);
	assert_memory_equal(request.body, "{\"b\":2}", 7);
	assert_non_null(strstr(request.answer_headers, "X-Amz-Executed-Version: 1\n"));
	assert_null(strstr(request.answer_headers, "Function-Error"));
	finish(&request);
	/* An output that is no HTTP answer is fine here, and so is none. */
	request = make("POST", INVOKE);
	send_request(&request, NULL);
	end_call(FUNC_OK, NULL);
	assert_int_equal(request.status, 200);
	assert_int_equal(request.body_len, 0);
	finish(&request);
}

static void test_invoke_errors(void **state)
{
	struct http_request request = make("POST", INVOKE);
	send_request(&request, NULL);
	strcpy(running[0]->text, "unreachable");
	end_call(FUNC_TRAP, NULL);
	assert_int_equal(request.status, 200);
	assert_non_null(strstr(request.answer_headers, "X-Amz-Function-Error: Unhandled\n"));
	assert_string_equal(request.body,
			    "{\"errorMessage\":\"unreachable\",\"errorType\":\"Runtime.Trap\"}");
	finish(&request);
	request = make("POST", INVOKE);
	send_request(&request, NULL);
	running[0]->exit_code = 7;
	end_call(FUNC_EXIT, NULL);
	assert_non_null(strstr(request.body, "Exit code 7"));
	finish(&request);
	request = make("POST", INVOKE);
	send_request(&request, NULL);
	end_call(FUNC_REFUSED, NULL);
	assert_int_equal(request.status, 503);
	finish(&request);
	expect_refusal("GET", INVOKE, 405, "Allow: POST");
	expect_refusal("POST", "/2015-03-31/functions/nobody/invocations", 404,
		       "x-amzn-ErrorType: ResourceNotFoundException");
	request = make("POST", INVOKE);
	request.headers[request.headers_count++] =
		(struct http_header){"X-Amz-Invocation-Type", "Event"};
	send_request(&request, NULL);
	assert_int_equal(request.status, 400);
	finish(&request);
	request = make("POST", INVOKE);
	request.headers[request.headers_count++] =
		(struct http_header){"X-Amz-Invocation-Type", "DryRun"};
	send_request(&request, NULL);
	assert_int_equal(request.status, 204);
	finish(&request);
	/* Not quite the path: the fallback's. */
	request = make("POST", "/2015-03-31/functions/hello/x/invocations");
	send_request(&request, NULL);
	assert_string_equal(fallback_trail, "begin end ");
	finish(&request);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_a_request_and_its_answer),
		TEST(test_request_headers),
		TEST(test_host_forms),
		TEST(test_too_many_headers),
		TEST(test_paths),
		TEST(test_methods),
		TEST(test_fallback),
		TEST(test_no_fallback),
		TEST(test_large_bodies),
		TEST(test_failures),
		TEST(test_a_lost_cell_is_tried_once_more),
		TEST(test_a_full_queue),
		TEST(test_the_client_leaves),
		TEST(test_shutting_down),
		TEST(test_invoke),
		TEST(test_invoke_errors),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
