/*
 * Inside of src/edged: the chains that people apply (chains.c), and those of functions
 * (function_chains.c).
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>

#include "base/macros.h"
#include "base/why.h"

struct edged_chains {
	struct edged *edged;
	struct plane_client *client;
	struct plane_scrapes *scrapes;
	int dir_fd;
	/* One change at a time, of the folders, the data plane, and what it has of functions. */
	pthread_mutex_t lock;
};

/* Is there a folder of this name? The name may be anything. */
bool edged_chains_is_kept(const struct edged_chains *chains, const char *name);
/* Is there a function of this name that the data plane runs? */
bool edged_chains_is_function(const struct edged_chains *chains, const char *name);
/* -EEXIST: the name is that of such a function. */
int edged_chains_check_name_locked(const struct edged_chains *chains, const char *name,
				   struct eos_why *why) EOS_MUST_CHECK;
/* A worker that has no chains gets those of functions. What fails is logged. */
void edged_chains_serve_all_locked(struct edged_chains *chains);
void edged_chains_log(const char *name, const char *text);
