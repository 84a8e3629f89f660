/*
 * Running wabt's tools and the compiler, inside edge-aot: single-threaded, in the work directory.
 *
 * A tool gets no input, its output and errors are read together and kept up to a bound, and it dies
 * with us. Its address space is limited to what aot_tool_init() was told.
 */
#pragma once

#include <stdint.h>

#include "base/buf.h"
#include "base/macros.h"
#include "base/why.h"

#define AOT_OUTPUT_MAX 65536u

void aot_tool_init(uint64_t memory_bytes);

/*
 * Runs ARGV (ended by NULL; ARGV[0] is a path) and waits. What it printed is in OUTPUT, cut at
 * AOT_OUTPUT_MAX. RET_STATUS is as from waitpid(). A negative errno means it did not start:
 * -ENOENT, -ENOMEM, …
 */
int aot_tool_run(const char *const *argv, struct eos_buf *output, int *ret_status) EOS_MUST_CHECK;

/*
 * Says in WHY how a tool failed, as "WHAT (killed by signal 6)" or "WHAT: first error line".
 * Returns -ENOMEM or -ETIMEDOUT where the status or the output shows that a limit was hit, -EFBIG
 * for the limit of file sizes, else ERR.
 */
int aot_tool_failed(int err, const char *what, int status, const struct eos_buf *output,
		    struct eos_why *why);
