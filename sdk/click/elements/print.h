/*
 * What elements that print packets share.
 */
#pragma once

#include "click.h"
#include "elements/out.h"

#define CLICK_PRINT_LINE_MAX 4000u

enum click_contents { CLICK_NONE, CLICK_HEX, CLICK_ASCII };

/* The argument KEY; false: it is missing, or was told to be wrong. */
bool click_print_contents(struct click_args *args, const char *key, enum click_contents *ret);
/* Seconds with microseconds, or with nanoseconds where they matter. */
void click_print_time(struct click_out *to, uint64_t time_ns);
