#include "flows.h"

#include <string.h>
#include <unistd.h>

_Static_assert(sizeof(struct flow_key) == 40, "compared and hashed as bytes");

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
	uint32_t seed;
	/* Without randomness it works as well, but for those who know the seed. */
	if (getentropy(&seed, sizeof(seed)) == 0)
		flows->seed ^= seed;
}

static struct flow *set_of(const struct flows *flows, const struct flow_key *key)
{
	uint32_t words[sizeof(*key) / 4], hash = flows->seed;
	memcpy(words, key, sizeof(words));
	for (uint32_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		hash = (hash ^ words[i]) * 0x9e3779b1u;
		hash ^= hash >> 15;
	}
	uint32_t set = (uint32_t)((uint64_t)hash * flows->sets >> 32);
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
