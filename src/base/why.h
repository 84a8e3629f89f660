/*
 * The reason of a failure in words for people.
 *
 * A library never prints an error. It returns a negative errno, and where the caller passed a
 * struct eos_why, one line of text that says what failed, on which name, and what to do.
 */
#pragma once

#include "base/macros.h"

#define EOS_WHY_SIZE 512

struct eos_why {
	char text[EOS_WHY_SIZE]; /* NUL-terminated; "" until something failed */
};

/*
 * Writes the text (cut at EOS_WHY_SIZE - 1 bytes; control characters become '?') and returns ERR,
 * so that a failing function can end with `return eos_why(why, -EINVAL, "…")`. WHY may be NULL.
 */
int eos_why(struct eos_why *why, int err, const char *fmt, ...) EOS_PRINTF(3, 4);

/* Puts "PREFIX: " before the text that is there. WHY may be NULL. */
void eos_why_prefix(struct eos_why *why, const char *fmt, ...) EOS_PRINTF(2, 3);
