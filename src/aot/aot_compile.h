/*
 * The C compiler, inside edge-aot, in the work directory; and its flags, which are part of the
 * cache's key.
 */
#pragma once

#include "base/macros.h"
#include "base/why.h"

/* Ended by NULL. The reason of each is in aot_compile.c. */
extern const char *const aot_compile_flags[];

/* Compiles glue.c to RESULT with COMPILER, a path. */
int aot_compile(const char *compiler, const char *result, struct eos_why *why) EOS_MUST_CHECK;
