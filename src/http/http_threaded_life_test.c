/*
 * Connections of threaded mode: slow, idle and leaving clients, limits, failures, the server's end.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fault.h"
#include "http/http_threaded_fixture.h"

#define IDLE_NS (100 * EOS_NS_PER_MS)

/* The acceptor takes the lock before it makes a connection: it sees what is set here. */
static void set_times(struct fixture *f, uint64_t idle_ns, uint64_t grace_ns)
{
	pthread_mutex_lock(&f->server->lock);
	f->server->idle_ns = idle_ns;
	f->server->grace_ns = grace_ns;
	pthread_mutex_unlock(&f->server->lock);
}

/* --- clients --- */

static void clients_leave(void **state)
{
	static const char *const asks[] = {
		"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n", "GET /big HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n",
		"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
		"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n"};
	struct fixture *f = *state;
	struct linger at_once = {.l_onoff = 1};
	for (int i = 0; i < (int)EOS_ARRAY_SIZE(asks); i++) {
		int fd = dial(f->server);
		say(fd, asks[i]);
		wait_until(&f->begun, i + 1);
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
		close(fd);
		if (i == 0)
			sem_post(&f->go);
		wait_until(&f->finished, i + 1);
	}
	wait_until(&f->freed, 1);
	/* One that will say no more still gets its answer. */
	struct eos_buf answer = {0};
	int fd = dial(f->server);
	say(fd, "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
	shutdown(fd, SHUT_WR);
	sem_post(&f->go);
	read_until(fd, &answer, "<GET - 0>");
	expect_end(fd);
	close(fd);
	eos_buf_fini(&answer);
}

/* Who is silent: before a request, after one, in a body; and who does not read. */
static void idle_ones_are_closed(void **state)
{
	static const char *const asks[] = {
		"", "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"};
	struct fixture *f = *state;
	struct eos_buf answer = {0};
	int fds[3];
	/* With a zero nobody is. */
	set_times(f, 0, 0);
	fds[0] = ask(f, &answer, asks[1], "<GET - 0>");
	http_watchdog_scan(f->server);
	expect_silence(fds[0]);
	close(fds[0]);
	set_times(f, IDLE_NS, 40 * EOS_NS_PER_S);
	for (int i = 0; i < 3; i++) {
		fds[i] = dial(f->server);
		say(fds[i], asks[i]);
	}
	read_until(fds[1], &answer, "<GET - 0>");
	for (int i = 0; i < 3; i++) {
		expect_end(fds[i]);
		close(fds[i]);
	}
	fds[0] = dial(f->server);
	fds[1] = dial(f->server);
	say(fds[0], "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	say(fds[1], "GET /wait HTTP/1.1\r\nHost: x\r\n\r\n");
	wait_until(&f->freed, 1);
	/* Whose handler takes its time is not idle. */
	expect_silence(fds[1]);
	sem_post(&f->go);
	read_until(fds[1], &answer, "<GET - 0>");
	close(fds[0]);
	close(fds[1]);
	eos_buf_fini(&answer);
}

/* Who is slow, but not silent, is the watchdog's; who waits for a handler is nobody's. */
static void slow_ones_are_cut(void **state)
{
	static const char *const asks[] = {
		"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 99\r\n\r\nabc",
		"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"};
	static const char *const waits[] = {"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n",
					    "GET /wait_early HTTP/1.1\r\nHost: x\r\n\r\n"};
	struct fixture *f = *state;
	struct eos_buf answer = {0};
	for (int i = 0; i < 2; i++) {
		int fd = dial(f->server), patient = dial(f->server);
		say(patient, waits[i]);
		wait_until(&f->waiting, i + 1);
		say(fd, asks[i]);
		wait_until(&f->begun, 2 * i + 2);
		http_watchdog_scan(f->server);
		assert_int_equal(f->finished, 2 * i);
		set_times(f, 20 * EOS_NS_PER_S, 1);
		/* Large answers have their time. */
		for (int look = 0; look < (i == 0 ? 5000 : 5) && f->finished == 2 * i; look++) {
			http_watchdog_scan(f->server);
			usleep(1000);
		}
		assert_int_equal(f->finished, 2 * i + (i == 0));
		close(fd);
		wait_until(&f->finished, 2 * i + 1);
		set_times(f, 20 * EOS_NS_PER_S, 40 * EOS_NS_PER_S);
		sem_post(&f->go);
		read_until(patient, &answer, "<GET - 0>");
		close(patient);
		wait_until(&f->finished, 2 * i + 2);
	}
	eos_buf_fini(&answer);
}

/* --- connections --- */

/* As many as may be are served, of both kinds; the next waits for a place. */
static void connections_are_limited(void **state)
{
	static const char plain[] = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
	static const char other[] = "GET / HTTP/1.1\r\nHost: x\r\nTE: a\r\n\r\n";
	struct fixture *f = *state;
	struct eos_buf answer = {0};
	int fds[CONNECTIONS_MAX];
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
		fds[i] = ask(f, &answer, i == 1 ? other : plain, "<GET - 0>");
	for (unsigned i = 0; i < 2; i++) {
		int next = dial(f->server);
		say(next, plain);
		usleep(20000);
		expect_silence(next);
		close(fds[i]);
		read_until(next, &answer, "<GET - 0>");
		fds[i] = next;
	}
	for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
		close(fds[i]);
	eos_buf_fini(&answer);
}

/* Between our thread's end and libmicrohttpd's beginning a connection is counted as well, so that
 * nobody is let in whom libmicrohttpd would turn out. */
static void none_is_turned_out(void **state)
{
	static const char ask_last[] = "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
	struct fixture *f = *state;
	struct eos_buf answer = {0};
	int fds[16];
	for (int round = 0; round < 10; round++) {
		for (size_t i = 0; i < EOS_ARRAY_SIZE(fds); i++) {
			fds[i] = dial(f->server);
			say(fds[i], ask_last);
		}
		for (size_t i = 0; i < EOS_ARRAY_SIZE(fds); i++) {
			read_until(fds[i], &answer, "<GET - 0>");
			expect_end(fds[i]);
			close(fds[i]);
		}
	}
	assert_true(f->at_once_max <= CONNECTIONS_MAX);
	eos_buf_fini(&answer);
}

/* Wakes the acceptor and waits until it woke: then it looks whether there is room. */
static void wake(struct fixture *f)
{
	uint64_t one = 1;
	struct pollfd pfd = {.fd = f->server->threads.wake_fd, .events = POLLIN};
	assert_int_equal(write(pfd.fd, &one, sizeof(one)), sizeof(one));
	while (poll(&pfd, 1, 0) > 0)
		usleep(1000);
}

/* What libmicrohttpd dropped without a word takes up a place for a while, not for ever. */
static void lost_ones_are_forgotten(void **state)
{
	struct fixture *f = *state;
	struct http_threads *threads = &f->server->threads;
	struct eos_buf answer = {0};
	for (int i = 0; i < 2; i++) {
		pthread_mutex_lock(&f->server->lock);
		threads->given_count = i == 0 ? CONNECTIONS_MAX : threads->given_count;
		threads->given_ns = eos_now_ns() - (uint64_t)i * 11 * EOS_NS_PER_S;
		pthread_mutex_unlock(&f->server->lock);
		wake(f);
		int fd = dial(f->server);
		say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
		if (i == 0) {
			usleep(20000);
			expect_silence(fd);
		} else {
			read_until(fd, &answer, "<GET - 0>");
		}
		close(fd);
	}
	eos_buf_fini(&answer);
}

static void out_of_resources(void **state)
{
	static const char text[] = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\n\r\na";
	struct fixture *f = *state;
	struct eos_buf answer = {0};
	/* Without descriptors who connects waits a little. */
	assert_int_equal(eos_fault_arm("http.accept:1=ENOMEM", NULL), 0);
	close(ask(f, &answer, text, "<PUT - 1>"));
	/* What cannot be served is closed. */
	static const char *const points[] = {"http.thread_create:1=ENOMEM",
					     "http.body_alloc:1=ENOMEM"};
	for (int i = 0; i < 2; i++) {
		assert_int_equal(eos_fault_arm(points[i], NULL), 0);
		int fd = dial(f->server);
		if (i == 1)
			say(fd, text);
		expect_end(fd);
		close(fd);
		close(ask(f, &answer, text, "<PUT - 1>"));
	}
	assert_int_equal(eos_fault_arm(NULL, NULL), 0);
	eos_buf_fini(&answer);
}

static void local_sockets(void **state)
{
	struct fixture *f = *state;
	struct eos_buf answer = {0};
	/* Else the acceptor could wait for a client that is gone, and never stop. */
	assert_true((fcntl(f->server->listen_fd, F_GETFL) & O_NONBLOCK) != 0);
	int fd = dial_locally();
	for (int i = 0; i < 2; i++) {
		say(fd, "GET / HTTP/1.1\r\nHost: x\r\nX-Tag: one\r\n\r\n"
			"PUT / HTTP/1.1\r\nHost: x\r\nX-Tag: two\r\nContent-Length: 3\r\n\r\nabc");
		read_until(fd, &answer, "<PUT two 3>");
	}
	assert_null(strstr(answer.data, "other"));
	say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	expect_big(fd, &answer, f->big);
	say(fd,
	    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\n\r\n");
	read_until(fd, &answer, "<POST - 1>");
	say(fd, "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
	expect_big(fd, &answer, f->big);
	close(fd);
	eos_buf_fini(&answer);
}

/* --- the end --- */

static void *let_go(void *ctx)
{
	struct fixture *f = ctx;
	usleep(5000);
	sem_post(&f->go);
	return NULL;
}

/* The server goes with connections in all states: each is ended, each begin has its finish. */
static void stop(void **state)
{
	static const char *const asks[] = {
		"",
		"GET /wait HTTP/1.1\r\nHost: x\r\n\r\n",
		"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc",
		"GET /stream HTTP/1.1\r\nHost: x\r\n\r\n",
		"PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\na\r\n",
		"PUT /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 33554432\r\n\r\n"};
	struct fixture *f = *state;
	pthread_t helper;
	/* Three at a time; the second time on their ways, wherever they are. */
	for (int round = 0; round < 4; round++) {
		int fds[CONNECTIONS_MAX];
		for (unsigned i = 0; i < CONNECTIONS_MAX; i++) {
			fds[i] = dial(f->server);
			say(fds[i], asks[(unsigned)round % 2 * CONNECTIONS_MAX + i]);
		}
		if (round < 2)
			wait_until(&f->begun, round == 0 ? 2 : 5);
		/* While the server is waiting for that, or before. */
		assert_int_equal(pthread_create(&helper, NULL, let_go, f), 0);
		http_server_free(f->server);
		pthread_join(helper, NULL);
		while (sem_trywait(&f->go) == 0)
			;
		assert_int_equal(f->begun, f->finished);
		for (unsigned i = 0; i < CONNECTIONS_MAX; i++)
			close(fds[i]);
		start_server(f, -1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(clients_leave),
		TEST(idle_ones_are_closed),
		TEST(slow_ones_are_cut),
		TEST(connections_are_limited),
		TEST(none_is_turned_out),
		TEST(lost_ones_are_forgotten),
		TEST(out_of_resources),
		cmocka_unit_test_setup_teardown(local_sockets, setup_local, teardown),
		TEST(stop),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
