/*
 * The clock of routers that run natively: nothing moves it but this. For checks and tests; not for
 * several threads that do so.
 */
#pragma once

#include <stdint.h>

/* What click_now_ns() and click_wall_ns() are from now on; both are 0 at first. */
void click_clock_set(uint64_t now_ns, uint64_t wall_ns);
