/*
 * Changes wasm2c's output so that memory and tables are reached as image_access.c says. Inside
 * edge-aot.
 */
#pragma once

#include <stddef.h>

#include "base/macros.h"
#include "base/why.h"

/* The text of image_access.c (tools/embed_text), NUL-terminated. */
extern const char aot_text_image_access[];

/*
 * Rewrites FILE, C by wasm2c, to include image_access.c. -ENOTSUP: this is not as the version of
 * wasm2c that we know writes it.
 */
int aot_access_rewrite(const char *file, struct eos_why *why) EOS_MUST_CHECK;

/*
 * In LEN bytes of wasm2c's C, NUL-terminated: renames those floating-point loads whose values
 * cannot but end in a store ("f64_load" becomes "f64_read"). Returns how many.
 */
size_t aot_access_mark(char *text, size_t len);
