/*
 * Starting another program of ours, which gets nothing of this process but what it needs.
 *
 * The child has these descriptors: 0 is /dev/null, 1 and 2 are this process's standard error
 * (standard output is its own alone), and from EOS_SPAWN_FD_FIRST on those that it was given, in
 * order. Its environment says how it is being tested, no more (EDGEOS_FAULTS, the sanitizers'
 * options). No signal is blocked or ignored there because it is here.
 */
#pragma once

#include <sys/types.h>

#include "base/macros.h"

#define EOS_SPAWN_FD_FIRST 3
#define EOS_SPAWN_FDS_MAX  8u

/* Runs PROGRAM, a path, with ARGV, which ends with NULL. The COUNT descriptors FDS are borrowed,
 * and may have any numbers. -ENOENT, -EACCES and so on of the program; -EMFILE, -ENOMEM. Nothing
 * runs then. The child is the caller's to wait for. Any thread. */
int eos_spawn(const char *program, char *const argv[], const int *fds, unsigned count,
	      pid_t *ret_pid) EOS_MUST_CHECK;
