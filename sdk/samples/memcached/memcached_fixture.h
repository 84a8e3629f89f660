/*
 * A conversation with the cache, for its unit tests.
 */
#pragma once

#include <stdint.h>

#include "host_double.h"
#include "proto.h"

#define ASK(text, expected) assert_string_equal(ask(text), expected)

extern struct talk talk;

/* What TEXT is answered with, given at once. */
const char *ask(const char *text);
/* Empty, with a limit of all items, at second 2. */
void begin(uint64_t limit);
/* Of a group of tests: an instance with a memory of 1 MiB. */
int setup(void **state);
int teardown(void **state);
