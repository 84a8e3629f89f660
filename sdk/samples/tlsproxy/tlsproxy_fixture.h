/*
 * The two sides of the reverse proxy, for its unit tests.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "host_double.h"
#include "proxy.h"

#define OUT 1u
#define API 2u
#define GET "GET / HTTP/1.1\r\nHost: www.test\r\n\r\n"
#define OK  "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"

void edgeos_timer(uint32_t id);

extern uint32_t next_peer; /* the last number that a connection got */

/* What left by PORT for PEER since forget(), until the next call. */
const char *sent_by(uint32_t port, uint32_t peer);
void forget(void);
/* TEXT comes from the client PEER, or for it by the way out PORT. */
void client(uint32_t peer, uint32_t flags, const char *text);
void server(uint32_t port, uint32_t peer, uint32_t flags, const char *text);
/* A new connection with TEXT at its start; its peer number. */
uint32_t open_with(const char *text);
/* The connection is over: its place is another one's. */
void end(uint32_t peer);
bool was_shut(uint32_t port, uint32_t how);
/* cmocka's setup: a proxy with routes, and settings, which tests may change. */
int set_up(void **state);
