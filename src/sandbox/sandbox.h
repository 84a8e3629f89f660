/*
 * What our own processes give up before they touch anything from outside.
 *
 * A process that calls sandbox_enter() keeps the descriptors it has and loses, for good and for
 * its children: new privileges, capabilities, the file system but for the named paths (Landlock),
 * the network (a network namespace of its own, or seccomp where the kernel refuses one), and the
 * system calls outside its profile (seccomp). What the kernel does not offer is reported, so that
 * the caller can log it; what it offers and refuses to set up is an error.
 * Call it from main, before a second thread exists; with keep_network also on each of several
 * threads, each of which gives up its own rights only. Root without capabilities is an ordinary
 * user with number 0: what files of others deny to others they deny to it.
 */
#pragma once

#include <stdbool.h>

#include "base/macros.h"
#include "base/why.h"

enum sandbox_access {
	SANDBOX_READ,	   /* read and list */
	SANDBOX_READ_EXEC, /* read, list and execute */
	SANDBOX_WRITE,	   /* everything below the path but executing */
};

struct sandbox_path {
	const char *path; /* a path that does not exist is skipped; borrowed during the call */
	enum sandbox_access access;
};

enum sandbox_profile {
	SANDBOX_PROFILE_CELL,	  /* memory, signals, timers, ready descriptors; nothing by name */
	SANDBOX_PROFILE_RUN,	  /* the same and file calls below directories that are open */
	SANDBOX_PROFILE_COMPILER, /* processes and files; no sockets, no tracing, no mounting */
	SANDBOX_PROFILE_NODE,	  /* edged: files, sockets, its children; no tracing, no mounting */
};

struct sandbox_config {
	enum sandbox_profile profile;
	const struct sandbox_path *paths; /* what stays reachable by name */
	unsigned paths_count;
	bool keep_network;
};

struct sandbox_report {
	bool has_landlock;
	bool has_network_namespace;
	bool has_seccomp;
};

int sandbox_enter(const struct sandbox_config *config, struct sandbox_report *ret_report,
		  struct eos_why *why) EOS_MUST_CHECK;

/* SIGKILL for us when the parent dies, and a check that PARENT_PID, the parent as it was before
 * fork, is still there (else -ESRCH). Before or after sandbox_enter(), which keeps it. Threads:
 * the parent's forking thread must outlive the child. */
int sandbox_die_with_parent(int parent_pid) EOS_MUST_CHECK;
