/*
 * Which chain a packet is for.
 *
 *	isolation	from the client side
 *	per client	the sender's address
 *	per tenant	the one
 *	fixed		the flow's hash
 *
 * From the out side: who sent as that flow, or else who sent as that address. Chains of clients
 * whose packets leave with the client's own address are known by that, once and for all of its
 * flows: chain_clients_remember() looks at what leaves. The first that sends as a flow, or address,
 * keeps it while it lives, so that no client takes over another one's answers. Where the owner says
 * the template, the table above is for what nobody has sent for: with the receiver's address.
 *
 * On the client side the number of the template is in all keys: templates know nothing of each
 * other's clients. On the out side the domain is.
 */
#include <string.h>

#include "chain/chain_priv.h"

/* A client's address on the out side: instead of a protocol's number in the key. */
#define OUTSIDE 255u

static void set_id(struct flow_key *key, const struct chain_template *template)
{
	memcpy(key->reserved, &template->id, sizeof(template->id));
}

static bool is_ip(const struct flow_packet *packet)
{
	return (packet->kind == FLOW_IPV4 || packet->kind == FLOW_IPV6) && !packet->is_bad;
}

/* Whose address is known: ARP tells it, too. Without it there would be no link to talk over. */
static bool has_hosts(const struct flow_packet *packet)
{
	return is_ip(packet) || (packet->kind == FLOW_ARP && !packet->is_bad);
}

/* The key of whom a packet comes from, or (TO_TARGET) is for. False: it has none. */
static bool client_key(const struct chain_packet *packet, const struct flow_packet *headers,
		       struct flow_key *ret_key)
{
	const struct chain_template *template = packet->template;
	if (packet->kind == CHAIN_FRAME) {
		if (!has_hosts(headers))
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

/* Of a flow on the client side. */
static uint64_t hash_conversation(const struct chains *chains, const struct chain_packet *packet,
				  const struct flow_packet *headers)
{
	uint16_t domain = packet->template->domain;
	struct flow_key key;
	if (packet->kind == CHAIN_FRAME) {
		if (!is_ip(headers))
			return 0;
		flow_key_of(headers, domain, &key);
	} else {
		struct flow_packet peer = {
			.kind = FLOW_IPV6,
			.has_ports = true,
			.source_port = packet->peer_port,
			.target_port = packet->local_port,
		};
		memcpy(peer.source, packet->peer_address, sizeof(peer.source));
		flow_key_of(&peer, domain, &key);
	}
	return flow_table_hash(chains->clients, &key);
}

static struct chain *chain_at(const struct chains *chains, uint32_t number)
{
	const struct chain_pool *pool = &chains->chain_pool;
	return (struct chain *)(void *)(pool->items + number * pool->item_size);
}

/* The chain that sent packets of the flow that HEADERS is an answer of, or NULL. */
static struct chain *find_flow(struct chains *chains, const struct flow_packet *headers,
			       uint16_t domain, uint64_t now_ns)
{
	struct flow_key key;
	bool to_high = flow_key_of(headers, domain, &key);
	uint64_t hash = flow_table_hash(chains->flows, &key);
	flow_id id = flow_table_find(chains->flows, &key, hash);
	if (id == FLOW_NONE)
		return NULL;
	uint64_t value = flow_table_value(chains->flows, id);
	struct chain *chain = chain_at(chains, (uint32_t)value);
	if (chain->generation != value >> 32)
		return NULL;
	flow_table_touch(chains->flows, id, to_high, now_ns);
	return chain;
}

/* The chain whose client's address on the out side is HEADERS' target, or NULL. */
static struct chain *find_outside(struct chains *chains, const struct flow_packet *headers,
				  uint16_t domain)
{
	struct flow_key key;
	flow_key_of_host(headers, true, domain, &key);
	key.proto = OUTSIDE;
	flow_id id = flow_table_find(chains->clients, &key, flow_table_hash(chains->clients, &key));
	if (id == FLOW_NONE)
		return NULL;
	struct chain *chain = chain_at(chains, (uint32_t)flow_table_value(chains->clients, id));
	return is_ip(headers) || chain->template->takes_arp ? chain : NULL;
}

static struct chain *find_answered(struct chains *chains, const struct flow_packet *headers,
				   uint16_t domain, uint64_t now_ns)
{
	struct flow_table_stats stats;
	struct chain *chain = NULL;
	flow_table_stats(chains->flows, &stats);
	if (stats.flows > 0 && is_ip(headers))
		chain = find_flow(chains, headers, domain, now_ns);
	return chain != NULL ? chain : find_outside(chains, headers, domain);
}

bool chains_knows_flow(struct chains *chains, uint16_t domain, const struct flow_packet *packet)
{
	return find_answered(chains, packet, domain, chains->run.now_ns) != NULL;
}

/* Whose share of the table a flow with HASH counts against: not that of who had the place before.
 * An instance for all clients has several shares, and its flows are spread over them. */
static uint64_t share_of(const struct chain *chain, uint64_t hash)
{
	_Static_assert(CHAIN_CHAINS_MAX <= 1u << 30, "no number has the bits of the part");
	uint64_t part = chain->client == FLOW_NONE ? hash % CHAIN_FLOW_SHARES : 0;
	return chain_identity(chain) | part << 30;
}

static void remember_flow(struct chain *chain, const struct flow_packet *packet, uint64_t now_ns)
{
	struct chain_template *template = chain->template;
	struct flow_table *flows = template->chains->flows;
	struct flow_key key;
	bool to_high = flow_key_of(packet, template->out_domain, &key);
	uint64_t hash = flow_table_hash(flows, &key);
	flow_id id = flow_table_find(flows, &key, hash);
	if (id == FLOW_NONE) {
		/* A full table, or the chain's share of it. */
		if (flow_table_add(flows, &key, hash, share_of(chain, hash), chain_identity(chain),
				   now_ns, &id) < 0)
			template->stats.flows_refused++;
		/* So that the first answer confirms it, and a flood does not push it out. */
		else
			flow_table_touch(flows, id, to_high, now_ns);
		return;
	}
	uint64_t value = flow_table_value(flows, id);
	if (chain_at(template->chains, (uint32_t)value)->generation != value >> 32)
		flow_table_set(flows, id, chain_identity(chain));
	else if (value != chain_identity(chain))
		return;
	flow_table_touch(flows, id, to_high, now_ns);
}

/* True: PACKET has its client's address, and answers to that are CHAIN's. */
static bool remember_address(struct chain *chain, const struct flow_packet *packet, uint64_t now_ns)
{
	struct chain_template *template = chain->template;
	struct flow_table *clients = template->chains->clients;
	struct flow_key key;
	flow_key_of_host(packet, false, template->out_domain, &key);
	key.proto = OUTSIDE;
	if (chain->outside != FLOW_NONE)
		return memcmp(&key, flow_table_key(clients, chain->outside), sizeof(key)) == 0;
	const struct flow_key *client = flow_table_key(clients, chain->client);
	if (memcmp(key.low, client->low, sizeof(key.low)) != 0)
		return false;
	/* Somebody else's already, or no room: flows are remembered one by one. */
	return flow_table_add(clients, &key, flow_table_hash(clients, &key), 0, chain->number,
			      now_ns, &chain->outside) == 0;
}

void chain_clients_remember(struct chain *chain, const uint8_t *data, uint32_t len, uint64_t now_ns)
{
	struct flow_packet packet;
	flow_parse(data, len, &packet);
	if (!has_hosts(&packet))
		return;
	bool is_known = chain->client != FLOW_NONE && remember_address(chain, &packet, now_ns);
	if (!is_known && is_ip(&packet))
		remember_flow(chain, &packet, now_ns);
}

static const struct flow_packet *headers_of(const struct chain_packet *packet,
					    struct flow_packet *ret_parsed)
{
	if (packet->headers != NULL || packet->kind != CHAIN_FRAME)
		return packet->headers;
	flow_parse(packet->data, packet->len, ret_parsed);
	return ret_parsed;
}

/* What can be said of a packet without looking into the table of clients. */
static void classify(struct chains *chains, const struct chain_packet *packet,
		     struct chain_target *target)
{
	struct chain_template *template = packet->template;
	struct flow_packet parsed;
	const struct flow_packet *headers = headers_of(packet, &parsed);
	*target = (struct chain_target){.template = template};
	if (packet->side == CHAIN_OUT && packet->kind == CHAIN_FRAME && has_hosts(headers)) {
		uint16_t domain = template != NULL ? template->out_domain : packet->domain;
		struct chain *chain = find_answered(chains, headers, domain, chains->run.now_ns);
		if (chain != NULL && (template == NULL || chain->template == template)) {
			target->template = chain->template;
			target->chain = chain;
			return;
		}
	}
	if (template == NULL)
		return;
	if (template->isolation != CHAIN_PER_CLIENT) {
		if (template->isolation == CHAIN_FIXED)
			target->fixed_index =
				(uint32_t)(hash_conversation(chains, packet, headers) %
					   template->fixed_count);
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
	struct chain_template *template = target->template;
	*ret_needs = false;
	if (EOS_UNLIKELY(template == NULL)) {
		chains->lost++;
		return NULL;
	}
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
