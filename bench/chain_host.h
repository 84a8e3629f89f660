/*
 * What the benches of chains in memory have in common: an engine with chains, and an owner that
 * counts what leaves.
 */
#pragma once

#include <stdint.h>

#include "base/macros.h"
#include "base/why.h"
#include "bench.h"
#include "chain/chain.h"
#include "fwp/fwp.h"

#define CHAIN_HOST_BURST 32u

struct chain_host {
	struct fwp_engine *engine;
	struct fwp_image *image;
	struct chains *chains;
	uint64_t sent, sent_bytes;
};

int chain_host_init(struct chain_host *host, const struct bench *bench, unsigned fwps_max,
		    unsigned chains_max, struct eos_why *why) EOS_MUST_CHECK;
/* Also of one that was not made, if it is all zeros. */
void chain_host_fini(struct chain_host *host);

/* A template of STAGES stages, one chain a client, each of which does the work of WORK. */
int chain_host_apply(struct chain_host *host, const char *name, unsigned stages, unsigned work,
		     uint64_t idle_ns, struct chain_template **ret_template,
		     struct eos_why *why) EOS_MUST_CHECK;
