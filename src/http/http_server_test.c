#include "http/http_client.h"
#include "http/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "http/http_server_priv.h"

/*
 * The handler under test echoes: "/echo" answers method, path, query and body; "/refuse" answers
 * 403 at begin; "/stream" delivers 1 MB; "/late" is answered by a post or a timer; "/never" not at
 * all.
 */
struct fixture {
	struct http_server *server;
	struct eos_loop *loop;
	pthread_t thread;
	struct eos_timer *late;
	struct http_request *waiting;
	_Atomic int begun, finished;
};

struct echo {
	struct eos_buf body;
};

static void handler_begin(void *ctx, struct http_request *request)
{
	struct fixture *f = ctx;
	atomic_fetch_add(&f->begun, 1);
	if (strcmp(http_request_path(request), "/refuse") == 0) {
		http_respond(request, 403, NULL, 0, "no", 2);
		return;
	}
	struct echo *echo = calloc(1, sizeof(*echo));
	assert_non_null(echo);
	http_request_set_data(request, echo);
}

static void handler_body(void *ctx, struct http_request *request, const void *data, size_t len)
{
	(void)ctx;
	struct echo *echo = http_request_data(request);
	eos_buf_append(&echo->body, data, len);
	if (strcmp(http_request_path(request), "/mid") == 0)
		http_respond(request, 409, NULL, 0, "mid", 3);
}

static int64_t stream_read(void *ctx, void *data, size_t len, uint64_t offset)
{
	(void)ctx;
	for (size_t i = 0; i < len; i++)
		((char *)data)[i] = (char)('a' + (offset + i) % 26);
	return (int64_t)len;
}

static int64_t broken_read(void *ctx, void *data, size_t len, uint64_t offset)
{
	return offset > 0 ? -EIO : stream_read(ctx, data, len < 10 ? len : 10, offset);
}

static void stream_free(void *ctx)
{
	struct fixture *f = ctx;
	atomic_fetch_add(&f->finished, 100);
}

static void answer_echo(struct http_request *request)
{
	struct echo *echo = http_request_data(request);
	struct eos_buf out = {0};
	const char *tag = http_request_header(request, "x-TAG");
	struct http_header headers[] = {{"X-Tag", tag != NULL ? tag : "none"},
					{"Content-Length", "7"},
					{"X-Bad", "a\r\nInjected: yes"}};
	eos_buf_printf(&out, "%s %s ?%s [%s] ", http_request_method(request),
		       http_request_path(request), http_request_query(request),
		       http_request_client(request));
	eos_buf_append(&out, echo->body.data, echo->body.len);
	http_respond(request, 200, headers, 3, out.data, out.len);
	eos_buf_fini(&out);
}

static void handler_end(void *ctx, struct http_request *request)
{
	struct fixture *f = ctx;
	const char *path = http_request_path(request);
	if (strcmp(path, "/stream") == 0) {
		http_respond_stream(request, 200, NULL, 0, 1000000, stream_read, stream_free, f);
	} else if (strcmp(path, "/broken") == 0) {
		http_respond_stream(request, 200, NULL, 0, 1000, broken_read, stream_free, f);
	} else if (strcmp(path, "/late") == 0) {
		f->waiting = request;
		eos_timer_arm(f->late, 5);
	} else if (strcmp(path, "/never") != 0) {
		answer_echo(request);
	}
}

static void handler_finish(void *ctx, struct http_request *request)
{
	struct fixture *f = ctx;
	struct echo *echo = http_request_data(request);
	if (echo != NULL) {
		eos_buf_fini(&echo->body);
		free(echo);
	}
	atomic_fetch_add(&f->finished, 1);
}

static const struct http_handler handler = {handler_begin, handler_body, handler_end,
					    handler_finish};

static void on_late(void *ctx)
{
	struct fixture *f = ctx;
	answer_echo(f->waiting);
}

static void *loop_main(void *ctx)
{
	struct fixture *f = ctx;
	eos_loop_run(f->loop);
	return NULL;
}

static struct http_server_config config_of(struct fixture *f)
{
	return (struct http_server_config){
		.address = "127.0.0.1",
		.loop = f->loop,
		.connections_max = 32,
		.idle_timeout_s = 20,
		.body_bytes_max = 100000,
		.handler = &handler,
		.ctx = f,
	};
}

static int setup_threaded(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct http_server_config config = config_of(f);
	struct eos_why why;
	*state = f;
	return http_server_new(&config, &f->server, &why);
}

static int teardown_threaded(void **state)
{
	struct fixture *f = *state;
	http_server_free(f->server);
	assert_int_equal(f->begun, f->finished % 100);
	free(f);
	return 0;
}

static int setup_loop(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct eos_why why;
	*state = f;
	assert_int_equal(eos_loop_new(&f->loop), 0);
	assert_int_equal(eos_timer_new(f->loop, on_late, f, &f->late), 0);
	struct http_server_config config = config_of(f);
	assert_int_equal(http_server_new(&config, &f->server, &why), 0);
	return pthread_create(&f->thread, NULL, loop_main, f);
}

static int teardown_loop(void **state)
{
	struct fixture *f = *state;
	eos_loop_stop(f->loop);
	pthread_join(f->thread, NULL);
	http_server_free(f->server);
	assert_int_equal(f->begun, f->finished % 100);
	eos_timer_free(f->late);
	eos_loop_free(f->loop);
	free(f);
	return 0;
}

static int dial(struct fixture *f)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_port = htons(http_server_port(f->server)),
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct timeval patience = {.tv_sec = 10};
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

/* Sends TEXT and reads until the server closes. */
static char *talk(struct fixture *f, const void *text, size_t len)
{
	static char answer[65536];
	size_t got = 0;
	int fd = dial(f);
	assert_int_equal(eos_write_full(fd, text, len), 0);
	for (;;) {
		ssize_t n = recv(fd, answer + got, sizeof(answer) - 1 - got, 0);
		if (n <= 0)
			break;
		got += (size_t)n;
	}
	answer[got] = '\0';
	close(fd);
	return answer;
}

static void expect_status(struct fixture *f, const char *text, size_t len, const char *status)
{
	const char *answer = talk(f, text, len);
	if (strncmp(answer, "HTTP/1.", 7) != 0 || strncmp(answer + 9, status, 3) != 0)
		fail_msg("for <%s> expected %s, got <%s>", text, status, answer);
}

#define EXPECT(f, text, status) expect_status(f, text, sizeof(text) - 1, status)

static void test_echo(void **state)
{
	struct fixture *f = *state;
	static const char text[] =
		"POST /a%2Fb+c?x=%41+b&y HTTP/1.1\r\nHost: a\r\nX-Tag: t\r\nContent-Length: 5\r\n"
		"\r\nhello"
		"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	const char *answer = talk(f, text, sizeof(text) - 1);
	assert_non_null(strstr(answer, "POST /a%2Fb+c ?x=%41+b&y [127.0.0.1] hello"));
	assert_non_null(strcasestr(answer, "x-tag: t\r\n"));
	assert_non_null(strstr(answer, "GET / ? [127.0.0.1] "));
	assert_null(strstr(answer, "Injected"));
	assert_null(strstr(answer, "Content-Length: 7"));
}

static void test_chunked_and_continue(void **state)
{
	struct fixture *f = *state;
	static const char chunked[] = "PUT /c HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
				      "chunked\r\nConnection: close\r\n\r\n"
				      "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\n\r\n";
	assert_non_null(
		strstr(talk(f, chunked, sizeof(chunked) - 1), "PUT /c ? [127.0.0.1] abcdefg"));
	static const char expecting[] =
		"PUT /c HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 2\r\n"
		"Connection: close\r\n\r\nhi";
	const char *answer = talk(f, expecting, sizeof(expecting) - 1);
	assert_non_null(strstr(answer, "HTTP/1.1 100 "));
	assert_non_null(strstr(answer, "PUT /c ? [127.0.0.1] hi"));
	static const char refused[] = "PUT /refuse HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n"
				      "Content-Length: 2\r\n\r\n";
	answer = talk(f, refused, sizeof(refused) - 1);
	assert_null(strstr(answer, "HTTP/1.1 100 "));
	assert_non_null(strstr(answer, "HTTP/1.1 403 "));
}

static void test_head(void **state)
{
	struct fixture *f = *state;
	static const char text[] = "HEAD /stream HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	const char *answer = talk(f, text, sizeof(text) - 1);
	assert_non_null(strstr(answer, "Content-Length: 1000000\r\n"));
	assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
}

static void test_early_answers(void **state)
{
	struct fixture *f = *state;
	static char text[60000];
	int n = snprintf(text, sizeof(text),
			 "PUT /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n"
			 "Connection: close\r\n\r\n");
	memset(text + n, 'x', 50000);
	assert_non_null(strstr(talk(f, text, (size_t)n + 50000), "HTTP/1.1 403 "));
	n = snprintf(text, sizeof(text),
		     "PUT /mid HTTP/1.1\r\nHost: a\r\nContent-Length: 50000\r\n"
		     "Connection: close\r\n\r\n");
	memset(text + n, 'x', 50000);
	assert_non_null(strstr(talk(f, text, (size_t)n + 50000), "HTTP/1.1 409 "));
}

static void test_too_large(void **state)
{
	struct fixture *f = *state;
	EXPECT(f, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 100001\r\n\r\n", "413");
	static char text[70000];
	int n = snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: a\r\nX-A: ");
	memset(text + n, 'x', 16000);
	strcpy(text + n + 16000, "\r\nConnection: close\r\n\r\n");
	expect_status(f, text, strlen(text), "200");
	memset(text + n, 'x', 17000);
	strcpy(text + n + 17000, "\r\n\r\n");
	expect_status(f, text, strlen(text), "431");
	memset(text + n, 'x', 60000);
	strcpy(text + n + 60000, "\r\n\r\n");
	if (f->loop != NULL)
		expect_status(f, text, strlen(text), "431");
	n = snprintf(text, sizeof(text), "GET /");
	memset(text + n, 'x', 17000);
	strcpy(text + n + 17000, " HTTP/1.1\r\nHost: a\r\n\r\n");
	expect_status(f, text, strlen(text), "431");
}

static void test_malformed(void **state)
{
	struct fixture *f = *state;
	EXPECT(f, "GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n", "400");
	EXPECT(f, "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", "400");
	EXPECT(f, "GET / HTTP/1.1\r\n\r\n", "400");
	EXPECT(f, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "400");
	EXPECT(f, "G@T / HTTP/1.1\r\nHost: a\r\n\r\n", "400");
	EXPECT(f, "GET / HTTP/1.1\r\nHost: a\r\nA B: c\r\n\r\n", "400");
	EXPECT(f, "GET / HTTP/1.1\r\nHost: a\r\nA : c\r\n\r\n", "400");
	EXPECT(f, "GET / HTTP/1.1\r\nHost: a\r\nX: a\001b\r\n\r\n", "400");
	EXPECT(f, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab",
	       "400");
	EXPECT(f, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na", "400");
	EXPECT(f, "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\na", "400");
	EXPECT(f,
	       "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: "
	       "chunked\r\n\r\n"
	       "1\r\na\r\n0\r\n\r\n",
	       "400");
	EXPECT(f, "GET / HTTP/1.1\r\nHost: a\r\n b\r\nConnection: close\r\n\r\n", "400");
	EXPECT(f, "GET / HTTP/1.1\r\n b: c\r\nHost: a\r\n\r\n", "400");
	EXPECT(f, "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n 1\r\n\r\nab", "400");
	EXPECT(f, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
	       "400");
	EXPECT(f, "PUT / HTTP/1.1\r\nHost: a\rX: y\r\n\r\n", "400");
	EXPECT(f, "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip\r\n\r\n", "501");
	assert_int_equal(f->begun, 0);
}

static void test_stream(void **state)
{
	struct fixture *f = *state;
	char url[64];
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/stream", http_server_port(f->server));
	struct http_client_request request = {.method = "GET", .url = url, .timeout_s = 20};
	struct http_client_response response;
	struct eos_why why = {""};
	assert_int_equal(http_client_perform(&request, &response, &why), 0);
	assert_int_equal(response.status, 200);
	assert_int_equal(response.body.len, 1000000);
	for (size_t i = 0; i < response.body.len; i++)
		assert_int_equal(response.body.data[i], 'a' + i % 26);
	eos_buf_fini(&response.body);
	request.response_bytes_max = 1000;
	assert_int_equal(http_client_perform(&request, &response, &why), -EFBIG);
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/broken", http_server_port(f->server));
	assert_int_equal(http_client_perform(&request, &response, &why), -EPROTO);
}

static void test_client_leaves(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);
	static const char half[] = "PUT /c HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nabc";
	assert_int_equal(eos_write_full(fd, half, sizeof(half) - 1), 0);
	close(fd);
	fd = dial(f);
	static const char get[] = "GET /stream HTTP/1.1\r\nHost: a\r\n\r\n";
	for (int i = 0; i < 5; i++)
		assert_int_equal(eos_write_full(fd, get, sizeof(get) - 1), 0);
	close(fd);
	EXPECT(f, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "200");
}

static void test_late(void **state)
{
	struct fixture *f = *state;
	static const char text[] = "PUT /late HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nhi"
				   "GET /late HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
	const char *answer = talk(f, text, sizeof(text) - 1);
	assert_non_null(strstr(answer, "PUT /late ? [127.0.0.1] hi"));
	assert_non_null(strstr(answer, "GET /late ? [127.0.0.1] "));
}

/* The server is stopped while a request waits: finish is called, nothing leaks. */
static void test_stop_while_waiting(void **state)
{
	struct fixture *f = *state;
	int fd = dial(f);
	static const char text[] = "GET /never HTTP/1.1\r\nHost: a\r\n\r\n";
	assert_int_equal(eos_write_full(fd, text, sizeof(text) - 1), 0);
	while (atomic_load(&f->begun) == 0)
		usleep(1000);
	close(fd);
}

static void test_never_in_threaded_mode(void **state)
{
	EXPECT(*state, "GET /never HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "500");
}

/* A client that trickles, in the headers or in the body, is cut. */
static void test_slow_clients(void **state)
{
	struct fixture *f = *state;
	static const char *const starts[] = {
		"GET / HTTP/1.1\r\nHost",
		"PUT /c HTTP/1.1\r\nHost: a\r\nContent-Length: 500\r\n\r\nx"};
	for (int i = 0; i < 2; i++) {
		int fd = dial(f);
		char c;
		assert_int_equal(eos_write_full(fd, starts[i], strlen(starts[i])), 0);
		f->server->grace_ns = UINT64_C(1000000000);
		http_watchdog_scan(f->server);
		assert_int_equal(recv(fd, &c, 1, MSG_DONTWAIT), -1);
		assert_int_equal(errno, EAGAIN);
		while (atomic_load(&f->begun) < i)
			usleep(1000);
		f->server->grace_ns = 1;
		/* The connection may not have been taken up yet. */
		ssize_t n;
		do {
			http_watchdog_scan(f->server);
			usleep(1000);
			n = recv(fd, &c, 1, MSG_DONTWAIT);
		} while (n < 0 && errno == EAGAIN);
		assert_true(n <= 0);
		close(fd);
	}
	f->server->grace_ns = UINT64_C(40000000000);
	EXPECT(f, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n", "200");
}

static int64_t client_read(void *ctx, void *data, size_t len)
{
	size_t *left = ctx;
	size_t n = len < *left ? len : *left;
	if (n > 1000)
		n = 1000;
	memset(data, 'z', n);
	*left -= n;
	return (int64_t)n;
}

static int client_cancel(void *ctx, const void *data, size_t len)
{
	return -1;
}

static void test_client(void **state)
{
	struct fixture *f = *state;
	char url[64];
	struct http_client_response response;
	struct eos_why why = {""};
	snprintf(url, sizeof(url), "http://127.0.0.1:%u/up?q", http_server_port(f->server));
	size_t left = 20000;
	const char *headers[] = {"X-Tag: curl", NULL};
	struct http_client_request request = {.method = "PUT",
					      .url = url,
					      .headers = headers,
					      .read = client_read,
					      .ctx = &left,
					      .body_len = 20000};
	assert_int_equal(http_client_perform(&request, &response, &why), 0);
	assert_int_equal(response.status, 200);
	assert_memory_equal(response.body.data, "PUT /up ?q [127.0.0.1] zzz", 26);
	assert_int_equal(response.body.len, 23 + 20000);
	eos_buf_fini(&response.body);
	request = (struct http_client_request){
		.method = "POST", .url = url, .body = "abc", .body_len = 3};
	assert_int_equal(http_client_perform(&request, &response, &why), 0);
	assert_string_equal(response.body.data, "POST /up ?q [127.0.0.1] abc");
	eos_buf_fini(&response.body);
	request.write = client_cancel;
	assert_int_equal(http_client_perform(&request, &response, &why), -ECANCELED);
	request = (struct http_client_request){.method = "HEAD", .url = url};
	assert_int_equal(http_client_perform(&request, &response, &why), 0);
	assert_int_equal(response.body.len, 0);
	eos_buf_fini(&response.body);
	request = (struct http_client_request){.method = "DELETE", .url = url};
	assert_int_equal(http_client_perform(&request, &response, &why), 0);
	eos_buf_fini(&response.body);
	request = (struct http_client_request){.method = "GET", .url = "http://127.0.0.1:1/"};
	assert_int_equal(http_client_perform(&request, &response, &why), -ECONNREFUSED);
	request.url = "file:///etc/passwd";
	assert_int_equal(http_client_perform(&request, &response, &why), -EPROTO);
}

static void test_addresses(void **state)
{
	struct fixture *f = *state;
	struct http_server *server;
	struct eos_why why;
	struct http_server_config config = config_of(f);
	config.loop = NULL;
	config.port = http_server_port(f->server);
	assert_int_equal(http_server_new(&config, &server, &why), -EADDRINUSE);
	assert_non_null(strstr(why.text, "127.0.0.1"));
	config.address = "nowhere";
	assert_int_equal(http_server_new(&config, &server, &why), -EINVAL);
}

static void test_unix_socket(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof(address.sun_path), "/tmp/http_test.%d", getpid());
	unlink(address.sun_path);
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 5), 0);
	struct http_server_config config = config_of(f);
	struct http_server *server;
	struct eos_why why;
	config.address = NULL;
	config.listen_fd = fd;
	config.loop = NULL;
	assert_int_equal(http_server_new(&config, &server, &why), 0);
	struct http_client_request request = {
		.method = "GET", .url = "http://localhost/u", .unix_socket = address.sun_path};
	struct http_client_response response;
	assert_int_equal(http_client_perform(&request, &response, &why), 0);
	assert_string_equal(response.body.data, "GET /u ? [] ");
	eos_buf_fini(&response.body);
	http_server_free(server);
	unlink(address.sun_path);
}

#define THREADED(fn) cmocka_unit_test_setup_teardown(fn, setup_threaded, teardown_threaded)
#define LOOP(fn)                                                                                   \
	{                                                                                          \
#fn " on a loop", fn, setup_loop, teardown_loop, NULL                              \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
		THREADED(test_echo),
		THREADED(test_chunked_and_continue),
		THREADED(test_head),
		THREADED(test_early_answers),
		THREADED(test_too_large),
		THREADED(test_malformed),
		THREADED(test_stream),
		THREADED(test_client_leaves),
		THREADED(test_never_in_threaded_mode),
		THREADED(test_slow_clients),
		THREADED(test_client),
		THREADED(test_addresses),
		THREADED(test_unix_socket),
		LOOP(test_echo),
		LOOP(test_chunked_and_continue),
		LOOP(test_head),
		LOOP(test_early_answers),
		LOOP(test_too_large),
		LOOP(test_malformed),
		LOOP(test_stream),
		LOOP(test_client_leaves),
		LOOP(test_late),
		LOOP(test_stop_while_waiting),
		LOOP(test_client),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
