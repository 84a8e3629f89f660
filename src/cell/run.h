/*
 * `edgeos run`: one WASI program as one FWP, in this process, without a node.
 *
 * The program sees its arguments, the environment that was named, the three standard streams, and
 * the directories that were named; then the process is sandboxed and runs it. Its image comes from
 * the user's own cache: images in ${XDG_CACHE_HOME:-~/.cache}/edgeos/images, signed with the
 * user's key in ${XDG_DATA_HOME:-~/.local/share}/edgeos/image.key.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"

/* Exit codes beside the program's own. */
#define CELL_RUN_FAILED	   1   /* it could not be run */
#define CELL_RUN_USAGE	   2   /* wrong arguments */
#define CELL_RUN_TIMED_OUT 124 /* as timeout(1) */
#define CELL_RUN_TRAPPED   134 /* as a process that aborted */

struct cell_run_dir {
	char *host, *guest; /* owned */
	bool is_read_only;
};

struct cell_run_config {
	const char *file;	   /* borrowed from argv, as all but the directories */
	const char **args;	   /* owned array; args[0] is FILE */
	const char **environment;  /* owned array of "K=V" */
	struct cell_run_dir *dirs; /* owned */
	size_t args_count, environment_count, dirs_count;
	uint64_t memory_bytes; /* 0: the default of an FWP */
	uint64_t timeout_ns;   /* 0: none */
};

/*
 * Reads "[-e K=V] [--dir HOST[::GUEST[::ro]]] [--memory N] [--timeout T] FILE.wasm [ARGS…]".
 * ARGV is borrowed until cell_run_config_fini(). --dir HOST is HOST::HOST. -EINVAL: WHY says what
 * is wrong; -ENOMEM.
 */
int cell_run_parse_args(int argc, char **argv, struct cell_run_config *ret_config,
			struct eos_why *why) EOS_MUST_CHECK;
void cell_run_config_fini(struct cell_run_config *config);

/* Runs it and returns the exit code; what went wrong is one line on standard error. Enters the
 * sandbox, so the process is good for nothing else afterwards. */
int cell_run(const struct cell_run_config *config);

/* Both: what edge-cell does with what comes behind --run. */
int cell_run_main(int argc, char **argv);
