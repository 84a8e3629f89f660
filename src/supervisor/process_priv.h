/*
 * The cell as a process: started with nothing but the descriptors it needs, watched by a pidfd.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/macros.h"
#include "link/link.h"
#include "link/link_config.h"

struct process {
	int pid;   /* 0: none */
	int pidfd; /* readable when it has ended; -1: none */
};

/* Runs PROGRAM as a node's cell that stays on PROCESSOR (negative: on any). All is borrowed. */
int process_start(const char *program, const struct link_fds *fds, const uint8_t *key,
		  const struct link_config *config, int processor,
		  struct process *ret_process) EOS_MUST_CHECK;
/* SIGKILL; nothing happens when there is none. */
void process_kill(const struct process *process);
/* True when it has ended; then it is reaped, PROCESS is reset, and TEXT says how it ended. Waits at
 * most WAIT_MS for that. */
bool process_reap(struct process *process, int wait_ms, char *text, size_t size);
