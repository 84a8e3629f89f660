/*
 * What tests of routers share: one made of text, what it tells, and what it sends.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <sdk/click/router.h>

#define TEST_SENT_MAX 64u

struct test_sent {
	unsigned device;
	uint32_t len;
	uint8_t first; /* byte of the packet */
};

struct test_router {
	struct click_router *router;
	char errors[4096]; /* lines */
	char log[4096];
	struct test_sent sent[TEST_SENT_MAX];
	unsigned sent_count;
	struct click_host host;
};

/* From TEXT, named "f"; whether it could be loaded. CLASSES NULL: all. */
bool test_load(struct test_router *test, const char *text,
	       const struct click_class *const *classes);
void test_unload(struct test_router *test);
/* Loads it and expects success. */
void test_must_load(struct test_router *test, const char *text);
/* Loads it and expects exactly these lines. */
void test_must_fail(const char *text, const char *errors);
/* As that, with one line that begins so. */
void test_must_fail_with(const char *text, const char *beginning);
/* A packet of LEN bytes of which the first is FIRST. */
void test_receive(struct test_router *test, unsigned device, uint8_t first, uint32_t len);
/* "device:first device:first …" of all that was sent since the last time. */
const char *test_sent(struct test_router *test);
uint64_t test_count(struct test_router *test, const char *handler);
