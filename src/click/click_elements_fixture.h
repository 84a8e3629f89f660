/*
 * For the elements' unit tests: a router from a text, packets into it, and what it sends.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sdk/click/router.h>

#define SENT_MAX 256u

struct sent {
	unsigned device;
	uint32_t len;
	uint8_t data[CLICK_HEADROOM + CLICK_PACKET_MAX];
};

struct fixture {
	struct click_router *router;
	struct sent *sent;
	unsigned sent_count; /* also those beyond SENT_MAX */
	char errors[2048];
};

/* The time, of both clocks; fixture_run_at() sets it, too. */
extern uint64_t fixture_now_ns;

/* 0, or -1 and ERRORS has what was told. */
int fixture_load(struct fixture *fixture, const char *text);
void fixture_fini(struct fixture *fixture);
/* A packet by the device NAME; then tasks run. The list of what was sent is emptied before. */
void fixture_receive(struct fixture *fixture, const char *device, const void *data, size_t len);
/* The same without emptying the list. */
void fixture_receive_more(struct fixture *fixture, const char *device, const void *data,
			  size_t len);
/* Timers at this time. */
void fixture_run_at(struct fixture *fixture, uint64_t now_ns);
/* The device's number; it must be there. */
unsigned fixture_device(const struct fixture *fixture, const char *name);
/* A number that "ELEMENT.HANDLER" reads. */
uint64_t fixture_read(const struct fixture *fixture, const char *handler);
