/*
 * Which chain a packet is for.
 *
 *	isolation	from the client side		from the out side
 *	per client	the sender's address (of
 *			endpoints, with our port)	the flow, or else the receiver's address
 *	per tenant	the one				the one
 *	fixed		the flow's hash			the flow, or else its hash
 *
 * A flow's key is the same for both directions, so answers need nothing to be remembered as long as
 * the stages do not change addresses: chain_clients_remember() looks at what leaves on the out side
 * and remembers only what would not be found again. The first chain that sends as a flow keeps it
 * while it lives, so that no client takes over another one's answers.
 *
 * The number of the template is in all keys: templates know nothing of each other's clients.
 */
#include <string.h>

#include "chain/chain_priv.h"

static void set_id(struct flow_key *key, const struct chain_template *template)
{
	memcpy(key->reserved, &template->id, sizeof(template->id));
}

static bool is_ip(const struct flow_packet *packet)
{
	return (packet->kind == FLOW_IPV4 || packet->kind == FLOW_IPV6) && !packet->is_bad;
}

/* The key of whom a packet comes from, or (TO_TARGET) is for. False: it has none. */
static bool client_key(const struct chain_packet *packet, const struct flow_packet *headers,
		       struct flow_key *ret_key)
{
	const struct chain_template *template = packet->template;
	if (packet->kind == CHAIN_FRAME) {
		if (!is_ip(headers))
			return false;
		flow_key_of_host(headers, packet->side == CHAIN_OUT, template->domain, ret_key);
	} else {
		struct flow_packet peer = {.kind = FLOW_IPV6};
		memcpy(peer.source, packet->peer_address, sizeof(peer.source));
		flow_key_of_host(&peer, false, template->domain, ret_key);
		/* An endpoint with many port numbers is as many services. */
		ret_key->high_port = packet->local_port;
	}
	set_id(ret_key, template);
	return true;
}

/* The same for its flow. */
static bool conversation_key(const struct chain_packet *packet, const struct flow_packet *headers,
			     struct flow_key *ret_key)
{
	const struct chain_template *template = packet->template;
	if (packet->kind == CHAIN_FRAME) {
		if (!is_ip(headers))
			return false;
		flow_key_of(headers, template->domain, ret_key);
	} else {
		struct flow_packet peer = {
			.kind = FLOW_IPV6,
			.has_ports = true,
			.source_port = packet->peer_port,
			.target_port = packet->local_port,
		};
		memcpy(peer.source, packet->peer_address, sizeof(peer.source));
		flow_key_of(&peer, template->domain, ret_key);
	}
	set_id(ret_key, template);
	return true;
}

static struct chain *chain_at(const struct chains *chains, uint32_t number)
{
	const struct chain_pool *pool = &chains->chain_pool;
	return (struct chain *)(void *)(pool->items + number * pool->item_size);
}

/* The chain that sent packets of KEY's flow, or NULL. */
static struct chain *find_flow(struct chains *chains, const struct flow_key *key, bool to_high,
			       uint64_t now_ns)
{
	uint64_t hash = flow_table_hash(chains->flows, key);
	flow_id id = flow_table_find(chains->flows, key, hash);
	if (id == FLOW_NONE)
		return NULL;
	uint64_t value = flow_table_value(chains->flows, id);
	struct chain *chain = chain_at(chains, (uint32_t)value);
	if (chain->generation != value >> 32)
		return NULL;
	flow_table_touch(chains->flows, id, to_high, now_ns);
	return chain;
}

static uint64_t value_of(const struct chain *chain)
{
	return (uint64_t)chain->generation << 32 | chain->number;
}

void chain_clients_remember(struct chain *chain, const uint8_t *data, uint32_t len, uint64_t now_ns)
{
	struct chain_template *template = chain->template;
	struct flow_table *flows = template->chains->flows;
	struct flow_packet packet;
	struct flow_key key;
	if (template->isolation == CHAIN_PER_TENANT)
		return;
	flow_parse(data, len, &packet);
	if (!is_ip(&packet))
		return;
	/* Answers to the client's own address are found by that. */
	if (template->isolation == CHAIN_PER_CLIENT) {
		flow_key_of_host(&packet, false, template->domain, &key);
		set_id(&key, template);
		if (memcmp(&key, flow_table_key(template->chains->clients, chain->client),
			   sizeof(key)) == 0)
			return;
	}
	bool to_high = flow_key_of(&packet, template->domain, &key);
	set_id(&key, template);
	uint64_t hash = flow_table_hash(flows, &key);
	if (template->isolation == CHAIN_FIXED && !template->has_flows &&
	    hash % template->fixed_count == chain->fixed_index)
		return;
	flow_id id = flow_table_find(flows, &key, hash);
	if (id == FLOW_NONE) {
		/* A full table, or chain's share of it: counted there. */
		if (flow_table_add(flows, &key, hash, chain->number, value_of(chain), now_ns, &id) <
		    0)
			template->stats.flows_refused++;
		template->has_flows = true;
		return;
	}
	uint64_t value = flow_table_value(flows, id);
	if (chain_at(template->chains, (uint32_t)value)->generation != value >> 32)
		flow_table_set(flows, id, value_of(chain));
	else if (value != value_of(chain))
		return;
	flow_table_touch(flows, id, to_high, now_ns);
}

static const struct flow_packet *headers_of(const struct chain_packet *packet,
					    struct flow_packet *ret_parsed)
{
	if (packet->headers != NULL || packet->kind != CHAIN_FRAME)
		return packet->headers;
	flow_parse(packet->data, packet->len, ret_parsed);
	return ret_parsed;
}

/* The chain of a flow, where that decides. */
static struct chain *find_by_flow(struct chains *chains, const struct chain_packet *packet,
				  const struct flow_packet *headers, uint32_t *ret_index)
{
	struct chain_template *template = packet->template;
	struct flow_key key;
	if (!conversation_key(packet, headers, &key))
		return NULL;
	if (template->isolation == CHAIN_FIXED)
		*ret_index =
			(uint32_t)(flow_table_hash(chains->flows, &key) % template->fixed_count);
	if (packet->side != CHAIN_OUT || packet->kind != CHAIN_FRAME || !template->has_flows)
		return NULL;
	bool to_high = flow_key_of(headers, template->domain, &key);
	set_id(&key, template);
	return find_flow(chains, &key, to_high, chains->run.now_ns);
}

/* What can be said of a packet without looking into the table of clients. */
static void classify(struct chains *chains, const struct chain_packet *packet,
		     struct chain_target *target)
{
	struct chain_template *template = packet->template;
	struct flow_packet parsed;
	const struct flow_packet *headers = headers_of(packet, &parsed);
	target->chain = NULL;
	target->has_key = false;
	target->fixed_index = 0;
	if (template->isolation == CHAIN_FIXED ||
	    (template->has_flows && packet->side == CHAIN_OUT))
		target->chain = find_by_flow(chains, packet, headers, &target->fixed_index);
	if (target->chain != NULL)
		return;
	if (template->isolation != CHAIN_PER_CLIENT) {
		target->chain = template->fixed[target->fixed_index];
		return;
	}
	target->has_key = client_key(packet, headers, &target->key);
	if (!target->has_key)
		return;
	target->hash = flow_table_hash(chains->clients, &target->key);
	flow_table_prefetch(chains->clients, target->hash);
}

static struct chain *find_client(struct chains *chains, const struct chain_target *target)
{
	flow_id id = flow_table_find(chains->clients, &target->key, target->hash);
	if (id == FLOW_NONE)
		return NULL;
	return chain_at(chains, (uint32_t)flow_table_value(chains->clients, id));
}

bool chain_template_knows(struct chain_template *template, const struct flow_packet *headers)
{
	struct chains *chains = template->chains;
	const struct chain_packet packet = {
		.kind = CHAIN_FRAME, .side = CHAIN_OUT, .template = template, .headers = headers};
	struct chain_target target;
	classify(chains, &packet, &target);
	return target.chain != NULL || (target.has_key && find_client(chains, &target) != NULL);
}

void chain_clients_find(struct chains *chains)
{
	struct chain_run *run = &chains->run;
	for (unsigned i = 0; i < run->count; i++)
		classify(chains, &run->packets[i], &run->targets[i]);
	for (unsigned i = 0; i < run->count; i++) {
		struct chain_target *target = &run->targets[i];
		if (target->chain == NULL && target->has_key)
			target->chain = find_client(chains, target);
		if (target->chain != NULL) {
			__builtin_prefetch(target->chain, 1);
			__builtin_prefetch(&target->chain->fwps[4]);
		}
	}
	for (unsigned i = 0; i < run->count; i++) {
		struct chain *chain = run->targets[i].chain;
		if (chain == NULL)
			continue;
		/* Used now: nobody reclaims it before its packet's turn. */
		chain->last_ns = run->now_ns;
		for (unsigned stage = 0; stage < chain->stages_count; stage++)
			__builtin_prefetch(chain->fwps[stage], 1);
	}
}

struct chain *chain_clients_get(struct chains *chains, unsigned i, bool may_make, bool *ret_needs)
{
	struct chain_run *run = &chains->run;
	struct chain_target *target = &run->targets[i];
	const struct chain_packet *packet = &run->packets[i];
	struct chain_template *template = packet->template;
	*ret_needs = false;
	/* Another packet of the burst may have made it. */
	if (target->chain == NULL && target->has_key)
		target->chain = find_client(chains, target);
	else if (target->chain == NULL && template->isolation != CHAIN_PER_CLIENT)
		target->chain = template->fixed[target->fixed_index];
	if (EOS_LIKELY(target->chain != NULL && chain_is_ready(target->chain)))
		return target->chain;
	bool has_place = target->has_key || template->isolation != CHAIN_PER_CLIENT;
	bool is_answer = packet->side == CHAIN_OUT && template->isolation == CHAIN_PER_CLIENT;
	if (target->chain == NULL && (!has_place || is_answer)) {
		template->stats.no_chain++;
		return NULL;
	}
	*ret_needs = !may_make;
	if (!may_make)
		return NULL;
	if (target->chain == NULL) {
		target->chain = chain_new(template, target, run->now_ns);
		return target->chain;
	}
	return chain_renew(target->chain, run->now_ns) ? target->chain : NULL;
}
