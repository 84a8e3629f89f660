/*
 * Requests of threaded mode: those served without libmicrohttpd, and their way to it. What a
 * request may look like, and all that is the same for both, is in http_server_test.c.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/file.h"
#include "http/http_threaded_fixture.h"

static void pipelined_are_answered_in_order(void **state)
{
	struct fixture *f = *state;
	struct eos_buf answer = {0};
	int fd = ask(f, &answer,
		     "GET / HTTP/1.1\r\nHost: x\r\nX-Tag: one\r\n\r\n"
		     "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde"
		     "HEAD / HTTP/1.1\r\nHost: x\r\n\r\n"
		     "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"
		     "GET /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 007\r\n\r\nabcdefg"
		     "DELETE / HTTP/1.1\r\nHost: x\r\nX-Tag: last\r\n\r\n",
		     "<DELETE last 0>");
	const char *put = strstr(answer.data, "<PUT - 5>");
	const char *post = strstr(answer.data, "<POST - 0>");
	assert_true(put != NULL && post != NULL && put < post);
	assert_true(strstr(answer.data, "<GET one 0>") < put);
	assert_true(strstr(answer.data, "HTTP/1.1 403 ") > post);
	assert_int_equal(count_of(&answer, "plain"), 6);
	close(fd);
	eos_buf_fini(&answer);
}

static void get_one_by_one(int fd, struct eos_buf *answer, unsigned count)
{
	char text[100], wanted[40];
	for (unsigned i = 0; i < count; i++) {
		eos_buf_clear(answer);
		snprintf(text, sizeof(text), "GET / HTTP/1.1\r\nHost: x\r\nX-Tag: %u\r\n\r\n", i);
		snprintf(wanted, sizeof(wanted), "<GET %u 0>", i);
		say(fd, text);
		read_until(fd, answer, wanted);
		assert_int_equal(count_of(answer, "HTTP/1.1 "), 1);
	}
}

/* No reset, which could take the last answer with it. */
static void expect_orderly_end(int fd)
{
	char c;
	assert_int_equal(recv(fd, &c, 1, 0), 0);
}

/* Heads that were served may still be in the socket: nothing is taken for another thing by that,
 * whatever comes next. */
static void one_by_one(void **state)
{
	static const char chunked[] = "PUT /a HTTP/1.1\r\nHost: x\r\n"
				      "Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n";
	struct fixture *f = *state;
	struct eos_buf answer = {0};
	/* More than are left there. */
	int fd = dial(f->server);
	get_one_by_one(fd, &answer, 300);
	/* A body, in one piece with its head and in another. */
	for (unsigned i = 0; i < 3; i++) {
		eos_buf_clear(&answer);
		say(fd, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n");
		if (i == 1)
			usleep(10000);
		say(fd, "abcde");
		read_until(fd, &answer, "<PUT - 5>");
		get_one_by_one(fd, &answer, i);
	}
	eos_buf_clear(&answer);
	say(fd, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nabcde"
		"GET / HTTP/1.1\r\nHost: x\r\nX-Tag: behind\r\n\r\n");
	read_until(fd, &answer, "<GET behind 0>");
	assert_non_null(strstr(answer.data, "<PUT - 5>"));
	get_one_by_one(fd, &answer, 3);
	/* Another owner, with nothing but what is its own. */
	eos_buf_clear(&answer);
	say(fd, chunked);
	read_until(fd, &answer, "<PUT - 3>");
	assert_int_equal(count_of(&answer, "HTTP/1.1 "), 1);
	assert_int_equal(count_of(&answer, "other"), 1);
	get_one_by_one(fd, &answer, 3);
	close(fd);
	/* The end, whoever wants it. */
	fd = dial(f->server);
	get_one_by_one(fd, &answer, 3);
	shutdown(fd, SHUT_WR);
	expect_orderly_end(fd);
	close(fd);
	fd = dial(f->server);
	get_one_by_one(fd, &answer, 3);
	http_server_free(f->server);
	expect_orderly_end(fd);
	close(fd);
	start_server(f, -1);
	eos_buf_fini(&answer);
}

/* At the first request that is not plain the connection changes hands, with what is behind it. */
static void others_are_handed_over(void **state)
{
	struct fixture *f = *state;
	struct eos_buf answer = {0};
	int fd = ask(f, &answer,
		     "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc"
		     "PUT /a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
		     "3\r\nabc\r\n1\r\nd\r\n0\r\n\r\n"
		     "GET / HTTP/1.1\r\nHost: x\r\nX-Tag: last\r\n\r\n",
		     "<GET last 0>");
	assert_non_null(strstr(answer.data, "<PUT - 3>"));
	assert_non_null(strstr(answer.data, "<PUT - 4>"));
	assert_int_equal(count_of(&answer, "plain"), 1);
	assert_int_equal(count_of(&answer, "other"), 2);
	close(fd);
	/* In pieces. */
	eos_buf_clear(&answer);
	fd = dial(f->server);
	say(fd, "GET / HTTP/1.1\r\nHos");
	usleep(10000);
	say(fd, "t: x\r\nX-Tag: pieces\r\n\r\n");
	read_until(fd, &answer, "<GET pieces 0>");
	close(fd);
	/* Too long for a body, and not a handler's business. */
	int begun = f->begun;
	fd = ask(f, &answer, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 67108865\r\n\r\n",
		 "HTTP/1.1 413 ");
	assert_int_equal(f->begun, begun);
	close(fd);
	eos_buf_fini(&answer);
}

static void bodies(void **state)
{
	struct fixture *f = *state;
	struct eos_buf answer = {0};
	int fd = dial(f->server);
	char head[100];
	/* The first byte comes with the head. */
	snprintf(head, sizeof(head), "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: %u\r\n\r\n%c",
		 BIG_BYTES, f->big[0]);
	for (int i = 0; i < 2; i++) {
		say(fd, head);
		assert_int_equal(eos_write_full(fd, f->big + 1, BIG_BYTES - 1), 0);
		read_until(fd, &answer, "<PUT - 8388608>");
	}
	close(fd);
	/* Cut in the midst of it, no handler takes a part for the whole. */
	fd = dial(f->server);
	say(fd, "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nab");
	shutdown(fd, SHUT_WR);
	expect_end(fd);
	close(fd);
	eos_buf_fini(&answer);
}

/* Handlers that answer before the body is there: what is left of it is read. */
static void early_answers(void **state)
{
	struct fixture *f = *state;
	struct eos_buf answer = {0};
	int fd = dial(f->server);
	say(fd, "PUT /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n");
	assert_int_equal(eos_write_full(fd, f->big, BIG_BYTES), 0);
	say(fd, "PUT /mid HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n");
	assert_int_equal(eos_write_full(fd, f->big, BIG_BYTES), 0);
	say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
	read_until(fd, &answer, "<GET - 0>");
	assert_non_null(strstr(answer.data, "HTTP/1.1 403 "));
	assert_non_null(strstr(answer.data, "HTTP/1.1 409 "));
	assert_null(strstr(answer.data, "Connection: close"));
	close(fd);
	/* More than is read for nothing: the answer comes at once, and is the last. */
	static const char *const asks[] = {
		"PUT /refuse HTTP/1.1\r\nHost: x\r\nContent-Length: 33554432\r\n\r\nabcd",
		"PUT /mid HTTP/1.1\r\nHost: x\r\nContent-Length: 33554432\r\n\r\nabcd"};
	for (int i = 0; i < 2; i++) {
		fd = ask(f, &answer, asks[i], i == 0 ? "\r\n\r\nno" : "\r\n\r\nmid");
		assert_non_null(strstr(answer.data, "Connection: close\r\n"));
		expect_end(fd);
		close(fd);
	}
	eos_buf_fini(&answer);
}

static void expectations(void **state)
{
	struct fixture *f = *state;
	struct eos_buf answer = {0};
	int fd = ask(
		f, &answer,
		"PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n",
		"HTTP/1.1 100 Continue\r\n\r\n");
	say(fd, "ab");
	read_until(fd, &answer, "<PUT - 2>");
	/* Nobody waits for it, but it does no harm. */
	say(fd, "PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\nabc"
		"GET / HTTP/1.1\r\nHost: x\r\nX-Tag: next\r\n\r\n");
	read_until(fd, &answer, "<GET next 0>");
	assert_non_null(strstr(answer.data, "<PUT - 3>"));
	assert_null(strstr(answer.data, "other"));
	/* Some wait for it without a body, too; a refusal in its place is the last answer. */
	eos_buf_clear(&answer);
	say(fd, "PUT / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n");
	read_until(fd, &answer, "<PUT - 0>");
	assert_int_equal(count_of(&answer, "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 "), 1);
	eos_buf_clear(&answer);
	say(fd, "PUT /refuse HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\n\r\n");
	read_until(fd, &answer, "\r\n\r\nno");
	assert_null(strstr(answer.data, " 100 "));
	assert_non_null(strstr(answer.data, "Connection: close\r\n"));
	expect_end(fd);
	close(fd);
	fd = dial(f->server);
	/* Refused, and the body, which is there, is not taken for a request. */
	eos_buf_clear(&answer);
	int begun = f->begun;
	say(fd, "PUT /refuse HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 37\r\n"
		"\r\nGET /evil HTTP/1.1\r\nHost: x\r\n\r\nabcd");
	read_until(fd, &answer, "\r\n\r\nno");
	assert_null(strstr(answer.data, " 100 "));
	assert_non_null(strstr(answer.data, "Connection: close\r\n"));
	expect_end(fd);
	assert_int_equal(f->begun, begun + 1);
	close(fd);
	eos_buf_fini(&answer);
}

static void without_a_body(void **state)
{
	struct fixture *f = *state;
	struct eos_buf answer = {0};
	int fd = ask(f, &answer,
		     "HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\nHEAD /big HTTP/1.1\r\nHost: x\r\n"
		     "Content-Length: 3\r\n\r\nabc"
		     "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n"
		     "GET /unmodified HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n",
		     "<GET - 0>");
	assert_int_equal(count_of(&answer, "Content-Length: 8388608\r\n"), 2);
	/* 204 and 304 have neither a body nor a length. */
	assert_int_equal(count_of(&answer, "Content-Length"), 3);
	assert_int_equal(count_of(&answer, "\r\n\r\nHTTP/1.1 "), 4);
	assert_int_equal(f->freed, 2);
	close(fd);
	eos_buf_fini(&answer);
}

/* A client that reads slowly gets all of it; meanwhile others are served. */
static void large_answers(void **state)
{
	static const char *const asks[] = {"GET /big HTTP/1.1\r\nHost: x\r\n\r\n",
					   "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n"};
	struct fixture *f = *state;
	struct eos_buf answer = {0}, small = {0};
	for (int i = 0; i < 2; i++) {
		int fd = dial(f->server);
		say(fd, asks[i]);
		close(ask(f, &small, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "<GET - 0>"));
		expect_big(fd, &answer, f->big);
		say(fd, "GET / HTTP/1.1\r\nHost: x\r\nX-Tag: again\r\n\r\n");
		read_until(fd, &answer, "<GET again 0>");
		close(fd);
	}
	assert_int_equal(f->freed, 1);
	eos_buf_fini(&answer);
	eos_buf_fini(&small);
}

/* What cannot be read is cut, so that nobody takes a part for the whole. */
static void broken_stream(void **state)
{
	struct fixture *f = *state;
	char piece[4096];
	size_t got = 0;
	ssize_t n;
	int fd = dial(f->server);
	say(fd, "GET /bad HTTP/1.1\r\nHost: x\r\n\r\nGET / HTTP/1.1\r\nHost: x\r\n\r\n");
	while ((n = recv(fd, piece, sizeof(piece), 0)) > 0)
		got += (size_t)n;
	assert_true(got < BIG_BYTES);
	wait_until(&f->freed, 1);
	assert_int_equal(f->begun, 1);
	close(fd);
}

static void without_an_answer(void **state)
{
	struct fixture *f = *state;
	struct eos_buf answer = {0};
	int fd = ask(f, &answer,
		     "PUT /never HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\nab"
		     "GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		     "<GET - 0>");
	assert_non_null(strstr(answer.data, "HTTP/1.1 500 "));
	close(fd);
	eos_buf_fini(&answer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pipelined_are_answered_in_order),
		TEST(one_by_one),
		TEST(others_are_handed_over),
		TEST(bodies),
		TEST(early_answers),
		TEST(expectations),
		TEST(without_a_body),
		TEST(large_answers),
		TEST(broken_stream),
		TEST(without_an_answer),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
