#include "flows.h"

#include <string.h>
#include <unistd.h>

_Static_assert(sizeof(struct flow_key) == 4 * FLOWS_WORDS, "compared and hashed as bytes");

struct flow_key flow_key_of(const struct frame *frame, bool is_from_client)
{
	struct flow_key key = {.proto = frame->proto};
	memcpy(is_from_client ? key.client : key.out, frame->source, 16);
	memcpy(is_from_client ? key.out : key.client, frame->target, 16);
	key.client_port = is_from_client ? frame->source_port : frame->target_port;
	key.out_port = is_from_client ? frame->target_port : frame->source_port;
	if ((frame->proto == FRAME_ICMP || frame->proto == FRAME_ICMP6) && frame->has_transport &&
	    !frame_is_icmp_error(frame))
		key.client_port = key.out_port = frame_u16(frame->data + frame->transport + 4);
	return key;
}

void flows_seed(struct flows *flows)
{
	uint64_t keys[FLOWS_WORDS];
	/* Without randomness it works as well, but for those who know the keys. */
	if (getentropy(keys, sizeof(keys)) == 0)
		memcpy(flows->hash_keys, keys, sizeof(keys));
}

static struct flow *set_of(const struct flows *flows, const struct flow_key *key)
{
	uint32_t words[FLOWS_WORDS];
	uint64_t hash = 0;
	memcpy(words, key, sizeof(words));
	for (uint32_t i = 0; i < FLOWS_WORDS; i++)
		hash += flows->hash_keys[i] * words[i];
	/* The upper half is the one in which every bit of each word counts. Ports that follow one
	 * another are equally far apart in it: they are to be anywhere. */
	uint32_t mixed = (uint32_t)(hash >> 32);
	mixed = (mixed ^ mixed >> 16) * 0x85ebca6bu;
	mixed = (mixed ^ mixed >> 13) * 0xc2b2ae35u;
	uint32_t set = (uint32_t)((uint64_t)(mixed ^ mixed >> 16) * flows->sets >> 32);
	return (struct flow *)((uint8_t *)flows->entries +
			       (size_t)set * FLOWS_WAYS * flows->entry_bytes);
}

static struct flow *next_of(const struct flows *flows, struct flow *flow)
{
	return (struct flow *)((uint8_t *)flow + flows->entry_bytes);
}

void *flows_find(const struct flows *flows, const struct flow_key *key, uint64_t now_ns)
{
	struct flow *flow = set_of(flows, key);
	for (unsigned i = 0; i < FLOWS_WAYS; i++, flow = next_of(flows, flow)) {
		if (flow->ends_ns > now_ns && memcmp(&flow->key, key, sizeof(*key)) == 0)
			return flow;
	}
	return NULL;
}

void *flows_add(struct flows *flows, const struct flow_key *key, uint64_t now_ns, bool *ret_evicted)
{
	struct flow *flow = set_of(flows, key), *best = NULL;
	for (unsigned i = 0; i < FLOWS_WAYS; i++, flow = next_of(flows, flow)) {
		bool is_over = flow->ends_ns <= now_ns;
		if (!is_over && flow->is_kept)
			continue;
		if (best == NULL || flow->ends_ns < best->ends_ns)
			best = flow;
	}
	if (best == NULL)
		return NULL;
	if (ret_evicted != NULL)
		*ret_evicted = best->ends_ns > now_ns;
	memset(best, 0, flows->entry_bytes);
	best->key = *key;
	return best;
}
