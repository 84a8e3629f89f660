/*
 * A router for tests, on virtual time: what it sends is kept.
 */
#pragma once

#include <stddef.h>

#include <sdk/click/router.h>

#define FIXTURE_SENT_MAX 8192

struct fixture_packet {
	unsigned device;
	uint64_t time_ns;
	uint32_t len;
	uint8_t *data;
};

struct fixture {
	struct click_router *router;
	struct click_host host;
	struct fixture_packet sent[FIXTURE_SENT_MAX];
	unsigned sent_count;
	char errors[4096];
};

/* What click_now_ns() and click_wall_ns() are. */
extern uint64_t fixture_now_ns;

/* Loads CONFIG; false: it has errors, which are in ERRORS. fixture_fini() in any case. */
bool fixture_init(struct fixture *fixture, const char *config);
void fixture_fini(struct fixture *fixture);
/* LEN bytes come by DEVICE, now. False: there was no packet for them. */
bool fixture_send(struct fixture *fixture, unsigned device, const void *data, uint32_t len);
/* Runs timers and tasks until WHEN_NS, which it is then. */
void fixture_run_until(struct fixture *fixture, uint64_t when_ns);
/* Forgets what was sent. */
void fixture_clear(struct fixture *fixture);
/* The handler's text, in a buffer that the next call uses again; "?": there is none. */
const char *fixture_read(struct fixture *fixture, const char *handler);
uint64_t fixture_count(struct fixture *fixture, const char *handler);
/* False: it failed. */
bool fixture_write(struct fixture *fixture, const char *handler, const char *value);
