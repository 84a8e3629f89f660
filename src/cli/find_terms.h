/*
 * What `edgeos find` takes as text: conditions on metadata and points in time.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/macros.h"

struct find_term {
	const char *name; /* not NUL-terminated */
	size_t name_len;
	const char *op; /* "=", "<", "<=", ">" or ">=" */
	const char *value;
};

/* "NAME=VALUE", "NAME<=VALUE" and so on; the first character of "=<>" ends the name. The parts are
 * borrowed from TEXT. -EINVAL: no operator, or no name before it. */
int find_term_parse(const char *text, struct find_term *ret_term) EOS_MUST_CHECK;

/* A time as eos_parse_iso8601() takes it, or an age as eos_parse_duration() takes it, counted back
 * from NOW_NS. -EINVAL, -ERANGE as those two; -ERANGE too for an age beyond 1970. */
int find_time_parse(const char *text, uint64_t now_ns, uint64_t *ret_wall_ns) EOS_MUST_CHECK;
