/*
 * What the benches in C have in common: arguments, a directory of their own, and how they end.
 *
 *     NAME [--json]
 *
 * Ends with 0, 1 (something failed, or a ratio is not as it must be) or 2 (wrong use). With
 * BENCH_QUICK=1 in the environment a bench does everything it does, but so few times that the
 * figures mean nothing; ratios are not judged then. That is for tests of the benches.
 */
#pragma once

#include <stdbool.h>

#include "base/macros.h"
#include "base/why.h"
#include "report.h"

#define BENCH_DIR_SIZE	64
#define BENCH_PATH_SIZE 4096

struct bench {
	struct report report;
	bool is_quick;
	char work_dir[BENCH_DIR_SIZE]; /* removed at the end */
};

/* The main() of the bench NAME, which RUN measures and reports. RUN returns 0 or a negative errno
 * with WHY. */
int bench_main(int argc, char **argv, const char *name,
	       int (*run)(struct bench *bench, struct eos_why *why));

/* FULL, or QUICK when the bench is. */
unsigned bench_count(const struct bench *bench, unsigned full, unsigned quick);

/* The path of a file that is installed beside the benches into OUT. -ENOENT. */
int bench_find(const char *name, char out[BENCH_PATH_SIZE], struct eos_why *why) EOS_MUST_CHECK;

/* From here on this process, and those that it makes, run on one core only: the last that it may
 * use, as interrupts often go to the first. */
int bench_pin(struct eos_why *why) EOS_MUST_CHECK;

/* This thread, without its children, goes before all others of its core from here on (SCHED_FIFO),
 * or no longer. False: this user may not. */
bool bench_go_first(bool is_first);
