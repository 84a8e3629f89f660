/*
 * wabt: proving a module valid and translating it to C, inside edge-aot, in the work directory.
 */
#pragma once

#include "base/macros.h"
#include "base/why.h"

#define AOT_WASM_VALIDATE "/usr/bin/wasm-validate"
#define AOT_WASM2C	  "/usr/bin/wasm2c"

/*
 * Validates FILE with exactly those features that we can translate. -EINVAL: WHY names the feature
 * that is not supported, or what is wrong. -ENOENT: no wabt.
 */
int aot_validate(const char *file, struct eos_why *why) EOS_MUST_CHECK;

/* Translates FILE into m.c and m.h; m.c includes image_access.c (aot_access.h). -ENOTSUP: wabt is
 * of a version that we do not know. */
int aot_translate(const char *file, struct eos_why *why) EOS_MUST_CHECK;
