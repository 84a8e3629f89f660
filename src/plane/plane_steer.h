/*
 * Which core a packet belongs to. Devices spread flows over their queues; a client's chain is on
 * one core only, whatever they do. So the core that received a packet asks here, and hands it over.
 *
 * Concepts
 * - Hashes have one secret seed for all cores, and no ports of the node in them: so a client has
 *   one core, and both directions of a conversation have one.
 * - The directory says which core remembers a flow, so that answers find it. It is a hint: the
 *   core's own table of flows decides. An entry is one word; who needs room takes that of the entry
 *   that was not seen for longest.
 *
 * An entry names its flow by 48 bits of a secret hash and by its place: two flows that share these
 * are each other's once in 2^48, and cost a look at one more core.
 *
 * Threads: any, at the same time, but for init and fini. Nothing is allocated after init.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "flow/flow.h"
#include "plane/plane_config.h"

/* What the directory says in the place of a core. */
#define PLANE_STEER_NONE    PLANE_CORES_MAX	   /* no core remembers this flow */
#define PLANE_STEER_UNKNOWN (PLANE_CORES_MAX + 1u) /* one may, as there was no room for all */

struct plane_bucket;

struct plane_steer {
	uint64_t seed;
	unsigned cores;
	uint32_t mask; /* of buckets */
	struct plane_bucket *buckets;
};

/* A directory for FLOWS_MAX flows of all cores. -ENOMEM, or what there are no random numbers for.
 */
int plane_steer_init(struct plane_steer *steer, unsigned cores, uint32_t flows_max) EOS_MUST_CHECK;
void plane_steer_fini(struct plane_steer *steer);

/* The core of the client that sent PACKET (or, TO_TARGET, that it is for). IPv4 or IPv6. */
unsigned plane_steer_client(const struct plane_steer *steer, const struct flow_packet *packet,
			    bool to_target);
/* The same number for all packets of a conversation. IPv4 or IPv6. */
uint64_t plane_steer_conversation(const struct plane_steer *steer,
				  const struct flow_packet *packet);
/* For the functions below. DOMAIN as in flow.h. */
uint64_t plane_steer_flow(const struct plane_steer *steer, const struct flow_packet *packet,
			  uint16_t domain);

/* CORE remembers the flow, and has just seen it. Who was first keeps it, as long as it sees it.
 * False: another core has it. */
bool plane_steer_remember(struct plane_steer *steer, uint64_t flow, unsigned core, uint64_t now_ns);
/* The core, or PLANE_STEER_NONE, _UNKNOWN. */
unsigned plane_steer_find(const struct plane_steer *steer, uint64_t flow, uint64_t now_ns);
/* CORE does not remember it after all. */
void plane_steer_forget(struct plane_steer *steer, uint64_t flow, unsigned core);
