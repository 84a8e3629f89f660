/*
 * A Click configuration as a packet function: checked, and compiled to WebAssembly.
 *
 * A configuration is hostile. It is read, configured and initialised natively (sdk/click, which has
 * limits on everything) to find mistakes; only then it goes, as data, with the elements that it
 * names into a module. The elements were compiled for guests when EdgeOS was built: clang compiles
 * a table of constants, and the linker takes what is needed of the archive click-guest.a.
 *
 * The module goes to aot_build() like any other.
 */
#pragma once

#include <stddef.h>

#include "base/buf.h"
#include "base/macros.h"
#include "base/why.h"

#define CLICK_CONFIG_BYTES_MAX (1u << 20)

/*
 * Only checks. What is wrong is appended to ERRORS, a line "NAME:LINE: what" each. 0; -EINVAL:
 * something is wrong; -ENOMEM. Any thread.
 */
int click_check(const char *name, const char *text, size_t len,
		struct eos_buf *errors) EOS_MUST_CHECK;

/*
 * The module's bytes, appended to MODULE. WORK_DIR is where a temporary directory may be made.
 * -EINVAL: ERRORS has the lines, WHY the first one. -ENOENT: the compiler or click-guest.a is not
 * there; -EIO: the compiler failed; -ENOMEM, and errors of the file system; WHY says which.
 * The caller must not reap children that are not its own.
 */
int click_build(const char *name, const char *text, size_t len, const char *work_dir,
		struct eos_buf *module, struct eos_buf *errors, struct eos_why *why) EOS_MUST_CHECK;
