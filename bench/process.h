/*
 * Processes that benches start to compare with.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/macros.h"
#include "base/why.h"

/* vfork() and exec of ARGV with an empty environment, its end awaited. -ECHILD: it did not end with
 * code 0. */
int process_run(char *const argv[], struct eos_why *why) EOS_MUST_CHECK;

/*
 * The same for a program that writes CLOCK_MONOTONIC in nanoseconds, a uint64_t, to standard output
 * as the first thing it, or what it starts, does: RET_NS is the time from the decision to start it
 * until then. LOG_FD becomes its standard error. -ETIMEDOUT: nothing came for ten seconds, and it
 * was killed; -ENODATA: it ended without a word.
 */
int process_time_start(char *const argv[], int log_fd, uint64_t *ret_ns,
		       struct eos_why *why) EOS_MUST_CHECK;

/* A running program, its standard input and output as pipes. */
struct process {
	pid_t pid;
	int in_fd, out_fd; /* its input, written here; its output, read here */
};

int process_open(char *const argv[], struct process *ret_process,
		 struct eos_why *why) EOS_MUST_CHECK;
/* Closes both, and waits for its end. -ECHILD: it did not end with code 0. */
int process_close(struct process *process, struct eos_why *why) EOS_MUST_CHECK;

/* A child of this process that runs FN(ARG), and ends with it; dies with its parent. Killed and
 * waited for with process_kill(). */
int process_fork(void (*fn)(void *arg), void *arg, pid_t *ret_pid,
		 struct eos_why *why) EOS_MUST_CHECK;
/* Kills COUNT of them, and waits for their end. A PID of 0: there is none. */
void process_kill(const pid_t *pids, unsigned count);
