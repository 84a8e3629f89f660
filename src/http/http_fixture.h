/*
 * What the tests of this folder share: clients that speak byte by byte, and a large body.
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"
#include "http/http_server.h"

#define BIG_BYTES (8u << 20)

/* Clients wait for 10 s at most, and have so little room that large answers do not fit. */
int dial(const struct http_server *server);
/* A listening socket whose name is no file, the process's own; and a client of it. */
int listen_locally(int flags);
int dial_locally(void);
void say(int fd, const char *text);
/* Reads until ANSWER holds TEXT behind what it had. */
void read_until(int fd, struct eos_buf *answer, const char *text);
/* Nothing is there to be read, nor is it the end. */
void expect_silence(int fd);
void expect_end(int fd);

/* BIG_BYTES, owned by the caller, which look different at each offset. */
char *big_new(void);
/* Answers with SIZE bytes of it as a stream, and counts its end in FREED; and with a stream of all
 * of it, in small pieces, that breaks behind the first ones. */
struct big_stream {
	const char *big;
	_Atomic int *freed;
};
void respond_big_stream(struct http_request *request, unsigned status, uint64_t size,
			struct big_stream *stream);
void respond_broken_stream(struct http_request *request, struct big_stream *stream);
/* Clears ANSWER and reads one into it that ends with BIG. */
void expect_big(int fd, struct eos_buf *answer, const char *big);
