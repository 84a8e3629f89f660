/*
 * What a core has of chains: pools, the tables of clients and flows, the queue. All memory is taken
 * here, or with a template.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/assert.h"
#include "base/clock.h"
#include "base/fault.h"
#include "chain/chain_priv.h"

/* Of what was remembered for answers. */
#define FLOW_IDLE_NS	 (300 * EOS_NS_PER_S)
#define FLOW_IDLE_NEW_NS (60 * EOS_NS_PER_S)
/* One client's chain may have so much of the table. */
#define FLOW_SHARE     16u
#define FLOW_SHARE_MIN 64u
/* Clients go with their chains, not by themselves. */
#define CLIENT_IDLE_NS (UINT64_MAX / 4)

static int make_tables(struct chains *chains, uint32_t chains_max, uint32_t flows_max,
		       struct eos_why *why)
{
	const struct flow_table_config clients = {
		.flows_max = 2 * chains_max, /* each has one on both sides */
		.idle_ns = CLIENT_IDLE_NS,
		.when_full = FLOW_REFUSE,
	};
	const struct flow_table_config flows = {
		.flows_max = flows_max,
		.per_source_max = EOS_MAX(flows_max / FLOW_SHARE, FLOW_SHARE_MIN),
		.idle_ns = FLOW_IDLE_NS,
		.idle_new_ns = FLOW_IDLE_NEW_NS,
		.when_full = FLOW_EVICT_IDLE,
	};
	int err = flow_table_new(&clients, &chains->clients, why);
	return err < 0 ? err : flow_table_new(&flows, &chains->flows, why);
}

static int make_pools(struct chains *chains, uint32_t chains_max, struct eos_why *why)
{
	uint32_t fwps_max = chains_max * CHAIN_STAGES_MAX;
	int err = chain_pool_init(&chains->chain_pool, sizeof(struct chain), chains_max);
	if (err == 0)
		err = chain_pool_init(&chains->fwp_pool, sizeof(struct chain_fwp), fwps_max);
	if (err == 0)
		err = chain_pool_init(&chains->timer_pool, sizeof(struct chain_timers), fwps_max);
	if (err == 0)
		err = chain_queue_init(&chains->queue);
	return err < 0 ? eos_why(why, err, "no memory for %u chains", chains_max) : 0;
}

int chains_new(const struct chains_config *config, struct chains **ret_chains, struct eos_why *why)
{
	uint32_t chains_max = config->chains_max > 0 ? config->chains_max : CHAIN_CHAINS_DEFAULT;
	uint32_t flows_max = config->flows_max > 0 ? config->flows_max : CHAIN_FLOWS_DEFAULT;
	if (chains_max > CHAIN_CHAINS_MAX)
		return eos_why(why, -EINVAL, "chains: %u, expected at most %u", chains_max,
			       CHAIN_CHAINS_MAX);
	if (flows_max > FLOW_TABLE_FLOWS_MAX)
		return eos_why(why, -EINVAL, "flows: %u, expected at most %u", flows_max,
			       FLOW_TABLE_FLOWS_MAX);
	int err = eos_fault("chain.calloc");
	struct chains *chains = err == 0 ? calloc(1, sizeof(*chains)) : NULL;
	if (chains == NULL)
		return eos_why(why, -ENOMEM, "no memory for chains");
	chains->engine = config->engine;
	chains->ops = config->ops;
	chains->ctx = config->ctx;
	eos_list_init(&chains->templates);
	sched_heap_init(&chains->timers);
	eos_fast_clock_init(&chains->clock);
	err = make_pools(chains, chains_max, why);
	if (err == 0)
		err = make_tables(chains, chains_max, flows_max, why);
	if (err < 0) {
		chains_free(chains);
		return err;
	}
	*ret_chains = chains;
	return 0;
}

struct chains *chains_free(struct chains *chains)
{
	if (chains == NULL)
		return NULL;
	EOS_ASSERT(!chains->is_busy);
	while (!eos_list_is_empty(&chains->templates)) {
		struct chain_template *template =
			EOS_CONTAINER_OF(chains->templates.next, struct chain_template, node);
		int err = chain_template_remove(chains, template->name);
		EOS_ASSERT(err == 0);
	}
	flow_table_free(chains->clients);
	flow_table_free(chains->flows);
	chain_queue_fini(&chains->queue);
	chain_pool_fini(&chains->timer_pool);
	chain_pool_fini(&chains->fwp_pool);
	chain_pool_fini(&chains->chain_pool);
	free(chains);
	return NULL;
}

uint64_t chains_lost(const struct chains *chains)
{
	return chains->lost;
}

bool chains_maintain(struct chains *chains)
{
	return fwp_engine_maintain(chains->engine);
}
