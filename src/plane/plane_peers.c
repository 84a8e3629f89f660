/*
 * Peers are found by a flow table, whose flow identifiers are their places here. Confirmed is who
 * was answered and then heard again: no forged address gets there. When the table is full, who is
 * not goes first, and only then who was silent longest: so a flood forgets itself, not those who
 * were there before, and who comes new is never sent away.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "plane/plane_priv.h"

#define PEER_IDLE_NS (600 * EOS_NS_PER_S)

static void expired(void *ctx, const struct flow_key *key, uint64_t place)
{
	struct plane_peers *peers = ctx;
	(void)key;
	peers->peers[place].number = 0;
}

int plane_peers_init(struct plane_peers *peers, uint32_t peers_max, struct eos_why *why)
{
	const struct flow_table_config config = {
		.flows_max = peers_max,
		.idle_ns = PEER_IDLE_NS,
		.when_full = FLOW_EVICT_ANY,
		.expired = expired,
		.ctx = peers,
	};
	peers->peers = calloc(peers_max, sizeof(*peers->peers));
	if (peers->peers == NULL)
		return eos_why(why, -ENOMEM, "no memory for %u peers", peers_max);
	peers->count = peers_max;
	return flow_table_new(&config, &peers->table, why);
}

void plane_peers_fini(struct plane_peers *peers)
{
	peers->table = flow_table_free(peers->table);
	free(peers->peers);
	peers->peers = NULL;
}

/* A number is the place and how often numbers were given, so old ones are not found again soon. */
static uint32_t next_number(struct plane_peers *peers, uint32_t place)
{
	uint32_t generations = UINT32_MAX / peers->count;
	peers->generation = (peers->generation + 1) % generations;
	uint32_t number = peers->generation * peers->count + place;
	return number == 0 ? peers->count + place : number;
}

struct plane_peer *plane_peers_meet(struct plane_peers *peers, const struct plane_peer *seen,
				    uint64_t now_ns)
{
	struct flow_key key = {
		.low_port = seen->port,
		.high_port = seen->local_port,
		.domain = seen->socket == NULL ? (uint16_t)(seen->nic_port + 1) : 0,
	};
	memcpy(key.low, seen->address, sizeof(key.low));
	memcpy(key.high, seen->local, sizeof(key.high));
	uint64_t hash = flow_table_hash(peers->table, &key);
	flow_id id = flow_table_find(peers->table, &key, hash);
	if (id != FLOW_NONE) {
		struct plane_peer *peer = &peers->peers[id];
		flow_table_touch(peers->table, id, true, now_ns);
		if (peer->owner != 0)
			flow_table_confirm(peers->table, id);
		/* Its chain was replaced, or its way back has changed. */
		if (peer->entry != seen->entry || peer->socket != seen->socket) {
			uint32_t number = peer->number;
			*peer = *seen;
			peer->number = number;
		}
		memcpy(peer->mac, seen->mac, sizeof(peer->mac));
		return peer;
	}
	flow_table_age(peers->table, now_ns, 2);
	if (flow_table_add(peers->table, &key, hash, 0, 0, now_ns, &id) < 0)
		return NULL;
	flow_table_set(peers->table, id, id);
	struct plane_peer *peer = &peers->peers[id];
	*peer = *seen;
	peer->owner = 0;
	peer->number = next_number(peers, id);
	return peer;
}

struct plane_peer *plane_peers_find(struct plane_peers *peers, uint32_t number)
{
	struct plane_peer *peer = &peers->peers[number % peers->count];
	return number != 0 && peer->number == number ? peer : NULL;
}

void plane_peers_forget(struct plane_peers *peers, const struct plane_entry *entry, uint64_t owner)
{
	for (uint32_t i = 0; i < peers->count; i++) {
		struct plane_peer *peer = &peers->peers[i];
		if (peer->number == 0 || peer->entry != entry ||
		    (owner != 0 && peer->owner != owner))
			continue;
		flow_table_remove(peers->table, i);
		peer->number = 0;
	}
}
