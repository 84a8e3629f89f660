/*
 * The C file that makes an image of what wasm2c wrote: glue.c includes the translated module and
 * the runtime (image_runtime.c), and defines a forwarding function for each import, the tables of
 * imports and exports, and eos_image_exports (image/image_abi.h).
 */
#pragma once

#include "aot/aot_module.h"

/* The texts that are compiled into each image (tools/embed_text), NUL-terminated. */
extern const char aot_text_image_abi[];
extern const char aot_text_image_prelude[];
extern const char aot_text_image_runtime[];
/* SHA-256 of the sources of this folder, in hexadecimal: made by the build. */
extern const char aot_text_sources[];

/* Appends the text of glue.c to OUT. It expects m.c and the texts above beside it, and in m.c the
 * module that aot_module_rewrite() made of MODULE. -ENOMEM. */
int aot_glue_write(const struct aot_module *module, struct eos_buf *out) EOS_MUST_CHECK;
