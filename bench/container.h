/*
 * The smallest container that there can be: one static program as its whole root, a namespace of
 * each kind, no limits, no seccomp filter, no network set up. Runtimes start nothing faster.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"
#include "bench.h"

struct container {
	char runtime[64];			 /* its path */
	char bundle[BENCH_DIR_SIZE + 32];	 /* what it runs */
	char state[BENCH_DIR_SIZE + 32];	 /* where the runtime keeps its state */
	char log[BENCH_DIR_SIZE + 32], name[64]; /* what it says; of the running container */
};

/*
 * Makes a bundle of PROGRAM, which is static, for the runtime NAME ("runc"), and runs it once. On
 * failure WHY is complete: the runtime is not here, or this user or kernel may not. Where the
 * kernel's cgroups are mounted in systemd's hybrid way, which crun of Debian 12 refuses, this
 * process gets a view of the file system in which they are not.
 */
int container_prepare(struct container *container, const struct bench *bench, const char *name,
		      const char *program, struct eos_why *why) EOS_MUST_CHECK;
/* As process_time_start(). */
int container_time_start(const struct container *container, uint64_t *ret_ns,
			 struct eos_why *why) EOS_MUST_CHECK;
