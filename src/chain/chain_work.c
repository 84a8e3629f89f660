/*
 * What is due without a packet: timers of stages, chains of older versions, idle ones, old flows.
 */
#include "base/assert.h"
#include "base/clock.h"
#include "chain/chain_priv.h"

#define TIMERS_MAX 64u
#define TIMERS_NS  (2 * EOS_NS_PER_MS) /* after which others have their turn again */
#define RENEW_MAX  8u

/* Chains of an older version become ones of the present one also when no packet comes. */
static bool renew_some(struct chain_template *template, uint64_t now_ns)
{
	if (template->versions.next->next == &template->versions)
		return false;
	for (unsigned i = 0; i < RENEW_MAX && !eos_list_is_empty(&template->idle); i++) {
		struct chain *chain = EOS_CONTAINER_OF(template->idle.next, struct chain, node);
		uint64_t last_ns = chain->last_ns;
		eos_list_remove(&chain->node);
		eos_list_add_tail(&template->idle, &chain->node);
		chain->looked_ns = now_ns;
		if (!chain_is_ready(chain)) {
			(void)chain_renew(chain, now_ns);
			chain->last_ns = last_ns;
		}
	}
	return true;
}

uint64_t chains_work(struct chains *chains, uint64_t now_ns)
{
	EOS_ASSERT(!chains->is_busy);
	uint64_t next_ns = UINT64_MAX;
	chains->is_busy = true;
	chains->run.now_ns = now_ns;
	chain_timers_fire(chains, TIMERS_MAX, TIMERS_NS, now_ns);
	EOS_LIST_FOR_EACH (node, &chains->templates) {
		struct chain_template *template =
			EOS_CONTAINER_OF(node, struct chain_template, node);
		if (renew_some(template, now_ns))
			next_ns = now_ns;
		(void)chain_reclaim(template, CHAIN_RECLAIM_MAX, now_ns);
		if (template->idle_ns == 0 || eos_list_is_empty(&template->idle))
			continue;
		const struct chain *chain =
			EOS_CONTAINER_OF(template->idle.next, struct chain, node);
		next_ns = EOS_MIN(next_ns, chain->looked_ns + template->idle_ns);
	}
	(void)flow_table_age(chains->flows, now_ns, CHAIN_RECLAIM_MAX);
	next_ns = EOS_MIN(next_ns, flow_table_next_ns(chains->flows));
	next_ns = EOS_MIN(next_ns, chain_timers_next_ns(chains));
	chains->is_busy = false;
	return EOS_MAX(next_ns, now_ns);
}
