/*
 * Chains and their FWPs: made, renewed, replaced, reclaimed. Everything but the templates' own
 * state comes from pools; an FWP is a clean place of its template.
 *
 * Idle chains are found without a list in order of use, which would touch three chains for each
 * packet. A template's chains stand in the order in which they were last looked at; a packet only
 * notes the time. Who comes to the front after idle_ns is reclaimed if there was no packet since,
 * and goes to the back otherwise. So a chain lives for one to two times idle_ns after its last
 * packet, and each is looked at once in that time.
 */
#include <string.h>

#include "base/assert.h"
#include "chain/chain_priv.h"

static bool make_fwp(struct chain_fwp *c, uint64_t now_ns)
{
	const struct chain_stage *stage = c->stage;
	if (fwp_new_from_for_turns(stage->template, &stage->limits, c, chain_fwp_turn, &c->fwp,
				   NULL) < 0) {
		c->fwp = NULL;
		return false;
	}
	c->memory = fwp_memory(c->fwp, 0, 0);
	c->is_done = true;
	for (uint32_t id = 0, set = stage->timers_set; set != 0; id++, set >>= 1)
		if ((set & 1u) != 0)
			chain_timer_set(c, id, stage->timers_delay_ns[id], now_ns);
	return true;
}

static void end_fwp(struct chain_fwp *c)
{
	if (c->fwp == NULL)
		return;
	if (c->stage->counters_count > 0)
		chain_counters_keep(c);
	chain_timers_clear(c);
	c->fwp = fwp_free(c->fwp);
}

/* Ends idle chains of other templates too, of few of them. */
static bool make_room(struct chain_template *template, uint64_t now_ns)
{
	struct chains *chains = template->chains;
	if (chain_reclaim(template, 1, now_ns) > 0)
		return true;
	unsigned looked = 0;
	EOS_LIST_FOR_EACH (node, &chains->templates) {
		struct chain_template *other = EOS_CONTAINER_OF(node, struct chain_template, node);
		if (looked++ == CHAIN_IDLE_LOOK_MAX)
			return false;
		/* The next look begins behind it. */
		eos_list_remove(&other->node);
		eos_list_add_tail(&chains->templates, &other->node);
		if (chain_reclaim(other, 1, now_ns) > 0)
			return true;
	}
	return false;
}

/* Its FWPs, of which some may be there. Reclaims others for them. */
static bool make_fwps(struct chain *chain, uint64_t now_ns)
{
	for (unsigned i = 0; i < chain->stages_count; i++) {
		struct chain_fwp *c = chain->fwps[i];
		if (c->fwp != NULL)
			continue;
		while (!make_fwp(c, now_ns))
			if (!make_room(chain->template, now_ns))
				return false;
		chain->missing--;
	}
	return true;
}

static void give_fwps(struct chain *chain)
{
	struct chains *chains = chain->template->chains;
	struct chain_pool *pool = &chains->fwp_pool;
	/* They may be among those whose turns are said to be next. */
	chains->run.ahead_at = chains->run.ahead_count = 0;
	for (unsigned i = 0; i < chain->stages_count; i++) {
		end_fwp(chain->fwps[i]);
		chain_pool_give(pool, chain->fwps[i]);
	}
	/* A packet of the burst may still name the chain. */
	chain->stages_count = 0;
	chain_version_unref(chain->template, chain->version);
}

/* Places for the stages of the present version, without FWPs. */
static void take_fwps(struct chain *chain)
{
	struct chain_version *version = chain->template->version;
	struct chain_pool *pool = &chain->template->chains->fwp_pool;
	version->references++;
	chain->version = version;
	chain->stages_count = (uint8_t)version->stages_count;
	chain->missing = chain->stages_count;
	for (unsigned i = 0; i < version->stages_count; i++) {
		struct chain_fwp *c = chain_pool_take(pool);
		EOS_ASSERT(c != NULL); /* there are enough for all chains */
		*c = (struct chain_fwp){
			.stage = &version->stages[i], .chain = chain, .index = (uint8_t)i};
		chain->fwps[i] = c;
	}
}

static struct chain *take_chain(struct chain_template *template, uint64_t now_ns)
{
	struct chains *chains = template->chains;
	struct chain *chain;
	if (template->stats.chains >= template->chains_max &&
	    chain_reclaim(template, 1, now_ns) == 0)
		return NULL;
	while ((chain = chain_pool_take(&chains->chain_pool)) == NULL)
		if (!make_room(template, now_ns))
			return NULL;
	/* But for its generation. */
	memset(chain, 0, offsetof(struct chain, fwps));
	chain->number = (uint32_t)(((char *)chain - chains->chain_pool.items) /
				   (ptrdiff_t)chains->chain_pool.item_size);
	chain->template = template;
	chain->client = chain->outside = FLOW_NONE;
	chain->last_ns = chain->looked_ns = now_ns;
	template->stats.chains++;
	return chain;
}

static void give_chain(struct chain *chain)
{
	chain->template->stats.chains--;
	/* The flows that it had know it by this. */
	chain->generation++;
	chain_pool_give(&chain->template->chains->chain_pool, chain);
}

struct chain *chain_new(struct chain_template *template, const struct chain_target *target,
			uint64_t now_ns)
{
	struct chains *chains = template->chains;
	uint64_t start_ns = eos_fast_clock_now(&chains->clock);
	struct chain *chain = take_chain(template, now_ns);
	if (chain == NULL)
		goto refused;
	if (target->has_key) {
		if (flow_table_add(chains->clients, &target->key, target->hash, 0, chain->number,
				   now_ns, &chain->client) < 0) {
			give_chain(chain);
			goto refused;
		}
	} else {
		chain->fixed_index = target->fixed_index;
		template->fixed[target->fixed_index] = chain;
	}
	take_fwps(chain);
	eos_list_add_tail(&template->idle, &chain->node);
	if (!make_fwps(chain, now_ns)) {
		chain_free(chain);
		goto refused;
	}
	template->stats.started++;
	template->stats.start_ns += eos_fast_clock_now(&chains->clock) - start_ns;
	return chain;
refused:
	template->stats.limit++;
	return NULL;
}

void chain_free(struct chain *chain)
{
	struct chain_template *template = chain->template;
	give_fwps(chain);
	if (chain->client != FLOW_NONE)
		flow_table_remove(template->chains->clients, chain->client);
	else
		template->fixed[chain->fixed_index] = NULL;
	if (chain->outside != FLOW_NONE)
		flow_table_remove(template->chains->clients, chain->outside);
	eos_list_remove(&chain->node);
	give_chain(chain);
}

bool chain_renew(struct chain *chain, uint64_t now_ns)
{
	struct chain_template *template = chain->template;
	/* Nobody reclaims it while it waits for room. */
	chain->last_ns = now_ns;
	if (chain->version != template->version) {
		give_fwps(chain);
		take_fwps(chain);
		template->stats.replaced++;
	}
	if (make_fwps(chain, now_ns))
		return true;
	template->stats.limit++;
	return false;
}

void chain_fwp_replace(struct chain_fwp *c, uint64_t now_ns)
{
	end_fwp(c);
	c->chain->missing++;
	if (make_fwp(c, now_ns))
		c->chain->missing--;
}

unsigned chain_reclaim(struct chain_template *template, unsigned count_max, uint64_t now_ns)
{
	unsigned count = 0, looked = 0;
	if (template->idle_ns == 0)
		return 0;
	while (count < count_max && looked < CHAIN_IDLE_LOOK_MAX + count) {
		if (eos_list_is_empty(&template->idle))
			break;
		struct chain *chain = EOS_CONTAINER_OF(template->idle.next, struct chain, node);
		if (now_ns - chain->looked_ns < template->idle_ns)
			break;
		looked++;
		if (now_ns - chain->last_ns >= template->idle_ns) {
			chain_free(chain);
			template->stats.reclaimed++;
			count++;
			continue;
		}
		eos_list_remove(&chain->node);
		eos_list_add_tail(&template->idle, &chain->node);
		chain->looked_ns = now_ns;
	}
	return count;
}
