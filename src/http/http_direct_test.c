/*
 * Connections that are served without libmicrohttpd, and their way to it. What a request may look
 * like, and all that is the same for both, is in http_server_test.c.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "http/http_fixture.h"
#include "http/http_server_priv.h"

#define CONNECTIONS_MAX 3u

struct fixture {
	struct http_server *server;
	struct eos_loop *loop;
	pthread_t thread;
	struct eos_timer *late;
	struct http_request *waiting;
	char *big;
	struct big_stream stream;
	_Atomic int begun, finished, freed;
};

static const struct http_header kinds[] = {{"X-Kind", "other"}, {"X-Kind", "plain"}};

static void respond(struct http_request *request, unsigned status, const void *body, size_t len)
{
	http_respond(request, status, &kinds[request->direct != NULL], 1, body, len);
}

static void on_begin(void *ctx, struct http_request *request)
{
	struct fixture *f = ctx;
	atomic_fetch_add(&f->begun, 1);
	if (strcmp(http_request_path(request), "/refuse") == 0)
		respond(request, 403, "no", 2);
}

static void on_body(void *ctx, struct http_request *request, const void *data, size_t len)
{
}

static void on_end(void *ctx, struct http_request *request)
{
	struct fixture *f = ctx;
	const char *path = http_request_path(request);
	if (strcmp(path, "/big") == 0) {
		respond(request, 200, f->big, BIG_BYTES);
	} else if (strcmp(path, "/stream") == 0) {
		respond_big_stream(request, 200, BIG_BYTES, &f->stream);
	} else if (strcmp(path, "/bad") == 0) {
		respond_broken_stream(request, &f->stream);
	} else if (strcmp(path, "/nothing") == 0) {
		respond(request, 204, "unsent", 6);
	} else if (strcmp(path, "/late") == 0) {
		f->waiting = request;
		eos_timer_arm(f->late, 20);
	} else if (strcmp(path, "/never") != 0) {
		const char *tag = http_request_header(request, "x-tAg");
		respond(request, 200, tag != NULL ? tag : "-", tag != NULL ? strlen(tag) : 1);
	}
}

static void on_finish(void *ctx, struct http_request *request)
{
	struct fixture *f = ctx;
	atomic_fetch_add(&f->finished, 1);
}

static const struct http_handler handler = {on_begin, on_body, on_end, on_finish};

static void on_late(void *ctx)
{
	struct fixture *f = ctx;
	respond(f->waiting, 200, "late", 4);
}

static void *loop_main(void *ctx)
{
	struct fixture *f = ctx;
	eos_loop_run(f->loop);
	return NULL;
}

/* LISTEN_FD: -1 for a port. */
static int setup_with(void **state, unsigned idle_timeout_s, int listen_fd)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct eos_why why;
	*state = f;
	f->big = big_new();
	f->stream = (struct big_stream){f->big, &f->freed};
	assert_int_equal(eos_loop_new(&f->loop), 0);
	assert_int_equal(eos_timer_new(f->loop, on_late, f, &f->late), 0);
	struct http_server_config config = {
		.address = listen_fd < 0 ? "127.0.0.1" : NULL,
		.listen_fd = listen_fd,
		.loop = f->loop,
		.connections_max = CONNECTIONS_MAX,
		.idle_timeout_s = idle_timeout_s,
		.body_bytes_max = 1000,
		.handler = &handler,
		.ctx = f,
	};
	assert_int_equal(http_server_new(&config, &f->server, &why), 0);
	return pthread_create(&f->thread, NULL, loop_main, f);
}

static int setup(void **state)
{
	return setup_with(state, 20, -1);
}

static int setup_impatient(void **state)
{
	return setup_with(state, 1, -1);
}

static int setup_local(void **state)
{
	return setup_with(state, 20, listen_locally(SOCK_NONBLOCK));
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	eos_loop_stop(f->loop);
	pthread_join(f->thread, NULL);
	http_server_free(f->server);
	assert_int_equal(f->begun, f->finished);
	eos_timer_free(f->late);
	eos_loop_free(f->loop);
	free(f->big);
	free(f);
	return 0;
}

/* Waits until all that began have finished: those of clients that left, too. */
static void wait_finished(struct fixture *f, int begun)
{
	for (int i = 0; i < 5000 && (f->begun < begun || f->finished < begun); i++)
		usleep(1000);
	assert_int_equal(f->begun, begun);
	assert_int_equal(f->finished, begun);
}

static void pipelined_are_answered_in_order(void **state)
{
	struct fixture *f = *state;
	struct eos_buf answer = {0};
	int fd = dial(f->server);
	say(fd, "GET / HTTP/1.1\r\nHost: x\r\nX-Tag: first.\r\n\r\n"
		"GET /late HTTP/1.1\r\nHost: x\r\n\r\n"
		"GET /refuse HTTP/1.1\r\nHost: x\r\n\r\n"
		"GET / HTTP/1.1\r\nHost: x\r\nX-Tag: last.\r\n\r\n");
	read_until(fd, &answer, "last.");
	const char *first = strstr(answer.data, "first.");
	const char *late = strstr(answer.data, "\r\n\r\nlate");
	const char *refused = strstr(answer.data, "HTTP/1.1 403 ");
	assert_true(first != NULL && late != NULL && refused != NULL);
	assert_true(first < late && late < refused && refused < strstr(answer.data, "last."));
	assert_null(strstr(answer.data, "other"));
	close(fd);
	eos_buf_fini(&answer);
}

/* At the first request that is not plain the connection changes hands, with what is behind it. */
static void others_are_handed_over(void **state)
{
	struct fixture *f = *state;
	struct eos_buf answer = {0};
	int fd = dial(f->server);
	say(fd, "GET / HTTP/1.1\r\nHost: x\r\nX-Tag: one.\r\n\r\n");
	read_until(fd, &answer, "one.");
	assert_non_null(strstr(answer.data, "X-Kind: plain"));
	eos_buf_clear(&answer);
	say(fd, "PUT / HTTP/1.1\r\nHost: x\r\nX-Tag: two.\r\nContent-Length: 2\r\n\r\nab"
		"GET / HTTP/1.1\r\nHost: x\r\nX-Tag: three.\r\n\r\n");
	read_until(fd, &answer, "three.");
	assert_non_null(strstr(answer.data, "two."));
	assert_null(strstr(answer.data, "plain"));
	close(fd);
	eos_buf_clear(&answer);
	/* In pieces. */
	fd = dial(f->server);
	say(fd, "GET / HTTP/1.1\r\nHos");
	usleep(20000);
	say(fd, "t: x\r\nX-Tag: pieces.\r\n\r\n");
	read_until(fd, &answer, "pieces.");
	close(fd);
	eos_buf_fini(&answer);
}

static void without_a_body(void **state)
{
	struct fixture *f = *state;
	struct eos_buf answer = {0};
	int fd = dial(f->server);
	say(fd, "HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\nHEAD /big HTTP/1.1\r\nHost: x\r\n\r\n"
		"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
	read_until(fd, &answer, "\r\n\r\n-");
	const char *second = strstr(answer.data + 1, "HTTP/1.1 200 ");
	const char *nothing = strstr(answer.data, "HTTP/1.1 204 ");
	assert_non_null(strstr(answer.data, "Content-Length: 8388608\r\n"));
	assert_true(second != NULL && nothing != NULL && nothing - answer.data < 1000);
	assert_non_null(strstr(second, "Content-Length: 8388608\r\n"));
	const char *last = strstr(nothing + 1, "HTTP/1.1 200 ");
	assert_non_null(last);
	/* A 204 has neither a body nor a length. */
	assert_true(strstr(nothing, "Content-Length") > last);
	assert_null(strstr(answer.data, "unsent"));
	assert_int_equal(f->freed, 1);
	close(fd);
	eos_buf_fini(&answer);
}

/* A client that reads slowly gets all of it; meanwhile others are served. */
static void large_answers(void **state)
{
	struct fixture *f = *state;
	static const char *const asks[] = {"GET /big HTTP/1.1\r\nHost: x\r\n\r\n",
					   "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"};
	for (int i = 0; i < 2; i++) {
		struct eos_buf answer = {0};
		int fd = dial(f->server), other = dial(f->server);
		say(fd, asks[i]);
		usleep(20000);
		say(other, "GET / HTTP/1.1\r\nHost: x\r\nX-Tag: other.\r\n\r\n");
		read_until(other, &answer, "other.");
		expect_big(fd, &answer, f->big);
		say(fd, "GET / HTTP/1.1\r\nHost: x\r\nX-Tag: again.\r\n\r\n");
		read_until(fd, &answer, "again.");
		close(fd);
		close(other);
		eos_buf_fini(&answer);
	}
}

/* What cannot be read is cut, so that nobody takes a part for the whole. */
static void broken_stream(void **state)
{
	struct fixture *f = *state;
	char piece[4096];
	size_t got = 0;
	ssize_t n;
	int fd = dial(f->server);
	say(fd, "GET /bad HTTP/1.1\r\nHost: x\r\n\r\n");
	while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
		got += (size_t)n;
	assert_true(got < BIG_BYTES);
	wait_finished(f, 1);
	assert_int_equal(f->freed, 1);
	close(fd);
}

static void clients_leave(void **state)
{
	static const char *const asks[] = {"GET /never HTTP/1.1\r\nHost: x\r\n\r\n",
					   "GET /big HTTP/1.1\r\nHost: x\r\n\r\n",
					   "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"};
	struct fixture *f = *state;
	struct linger at_once = {.l_onoff = 1};
	for (int i = 0; i < 3; i++) {
		int fd = dial(f->server);
		say(fd, asks[i]);
		while (f->begun <= i)
			usleep(1000);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(fd);
		wait_finished(f, i + 1);
	}
	assert_int_equal(f->freed, 1);
}

/* A client that will say no more still gets its answer. */
static void half_closed(void **state)
{
	struct fixture *f = *state;
	struct eos_buf answer = {0};
	int fd = dial(f->server);
	say(fd, "GET /late HTTP/1.1\r\nHost: x\r\n\r\n");
	shutdown(fd, SHUT_WR);
	read_until(fd, &answer, "\r\n\r\nlate");
	expect_end(fd);
	close(fd);
	eos_buf_fini(&answer);
}

/* As many as may be are served, of both kinds; the next waits for a place. */
static void connections_are_limited(void **state)
{
	static const char ask[] = "GET / HTTP/1.1\r\nHost: x\r\nX-Tag: here.\r\n\r\n";
	struct fixture *f = *state;
	struct eos_buf answer = {0};
	int fds[CONNECTIONS_MAX];
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
		fds[i] = dial(f->server);
		say(fds[i],
		    i == 1 ? "GET / HTTP/1.1\r\nHost: x\r\nX-Tag: here.\r\nTE: a\r\n\r\n" : ask);
		read_until(fds[i], &answer, "here.");
	}
	for (unsigned i = 0; i < 2; i++) {
		int next = dial(f->server);
		say(next, ask);
		usleep(50000);
		expect_silence(next);
		close(fds[i]);
		read_until(next, &answer, "here.");
		fds[i] = next;
	}
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
		close(fds[i]);
	eos_buf_fini(&answer);
}

static void idle_ones_are_closed(void **state)
{
	struct fixture *f = *state;
	struct eos_buf answer = {0};
	int silent = dial(f->server), spoke = dial(f->server), works = dial(f->server);
	say(works, "GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
	say(spoke, "GET / HTTP/1.1\r\nHost: x\r\nX-Tag: here.\r\n\r\n");
	read_until(spoke, &answer, "here.");
	expect_end(silent);
	expect_end(spoke);
	/* Whose function takes its time is not idle. */
	expect_silence(works);
	close(silent);
	close(spoke);
	close(works);
	eos_buf_fini(&answer);
}

static void local_sockets(void **state)
{
	struct eos_buf answer = {0};
	int fd = dial_locally();
	for (int i = 0; i < 2; i++) {
		say(fd, "GET / HTTP/1.1\r\nHost: x\r\nX-Tag: one.\r\n\r\n"
			"GET / HTTP/1.1\r\nHost: x\r\nX-Tag: two.\r\n\r\n");
		read_until(fd, &answer, "two.");
	}
	assert_null(strstr(answer.data, "other"));
	say(fd, "POST / HTTP/1.1\r\nHost: x\r\nX-Tag: three.\r\nContent-Length: 1\r\n\r\n.");
	read_until(fd, &answer, "three.");
	close(fd);
	eos_buf_fini(&answer);
}

/* The server goes with connections in all states. */
static void stop(void **state)
{
	struct fixture *f = *state;
	int fds[] = {dial(f->server), dial(f->server), dial(f->server)};
	say(fds[0], "GET /never HTTP/1.1\r\nHost: x\r\n\r\n");
	say(fds[1], "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	while (f->begun < 2)
		usleep(1000);
	for (int i = 0; i < 3; i++)
		close(fds[i]);
}

#define ON_LOOP(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ON_LOOP(pipelined_are_answered_in_order),
		ON_LOOP(others_are_handed_over),
		ON_LOOP(without_a_body),
		ON_LOOP(large_answers),
		ON_LOOP(broken_stream),
		ON_LOOP(clients_leave),
		ON_LOOP(half_closed),
		ON_LOOP(connections_are_limited),
		cmocka_unit_test_setup_teardown(idle_ones_are_closed, setup_impatient, teardown),
		cmocka_unit_test_setup_teardown(local_sockets, setup_local, teardown),
		ON_LOOP(stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
