/*
 * What tests of aot_build() share: a directory, a key, a cache, and modules from text.
 */
#pragma once

#include <stddef.h>

#include "aot/aot.h"
#include "base/buf.h"
#include "base/why.h"
#include "image/image.h"

extern char test_dir[];
extern struct image_key test_key;
extern int test_cache_fd;
extern char test_phases[128]; /* of builds with test_config(), each followed by a space */

/* Of the group of tests. */
int test_setup(void **state);
int test_teardown(void **state);

/* Clears test_phases. */
struct aot_config test_config(void);
/* The binary of a module in text, with options of wat2wasm. */
void test_assemble(const char *text, const char *options, struct eos_buf *out);
struct image *test_build(const struct aot_config *config, const char *text);
/* Fails with the error WANTED; what it says. */
struct eos_why test_fail_to_build(const struct aot_config *config, const void *module, size_t len,
				  int wanted);
