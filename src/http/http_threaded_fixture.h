/*
 * What the tests of threaded mode share: a server of few connections, its handlers, and a way to
 * ask it. Every test ends with as many descriptors as it began with, and as many finishes as
 * begins.
 *
 * The answer tells "<METHOD X-TAG BODY-LENGTH>", and X-Kind which of the two served it: "plain" a
 * thread of ours, "other" libmicrohttpd. By their paths: "/refuse" is answered at begin, "/mid" at
 * the body's first piece, "/never" not at all; "/wait_early" and "/wait" wait for GO, at begin and
 * at end; "/big" and "/stream" are BIG_BYTES, "/bad" a stream that breaks; "/nothing" is a 204,
 * "/unmodified" a 304, both with bodies.
 */
#pragma once

#include <semaphore.h>

#include "http/http_fixture.h"
#include "http/http_server_priv.h"

#define CONNECTIONS_MAX 3u

struct fixture {
	struct http_server *server;
	char *big;
	struct big_stream stream;
	unsigned descriptors;
	sem_t go;
	_Atomic int begun, finished, freed, waiting;
	_Atomic unsigned at_once_max;
	_Atomic bool is_body_wrong; /* not the beginning of BIG */
};

/* Of cmocka: a server on a port, on a local socket, and its end. */
int setup(void **state);
int setup_local(void **state);
int teardown(void **state);
void start_server(struct fixture *f, int listen_fd);
/* Waits for another thread, for 10 s. */
void wait_until(_Atomic int *count, int wanted);
/* Says TEXT on a connection of its own, which the caller closes, and reads until WANTED. */
int ask(struct fixture *f, struct eos_buf *answer, const char *text, const char *wanted);
unsigned count_of(const struct eos_buf *answer, const char *text);

#define TEST(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
