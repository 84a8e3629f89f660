/*
 * The table of neighbours: sets of eight, chosen by a secret hash of the address. A neighbour that
 * is new takes the place that is worth least in its set: a free one, one that nobody answered for,
 * the one that was not used for longest; never a static one. So flooding costs its sender's victims
 * some requests, and us nothing.
 *
 *   asked, nobody answered yet ──answer──► known, fresh ──30 s──► known, stale ──300 s──► forgotten
 *            │ three requests                   ▲                      │ used: asked again
 *            ▼                                  └──────── answer ──────┘
 *       unreachable until the last request is old
 */
#include <errno.h>

#include "nic/host.h"
#include "nic/host_priv.h"

static struct host_neighbour *set_of(struct nic_host *host, const uint8_t address[16])
{
	struct flow_key key = {0};
	memcpy(key.low, address, 16);
	uint32_t set = (uint32_t)flow_key_hash(&key, host->seed) & host->sets_mask;
	return &host->neighbours[(size_t)set * HOST_SET_SIZE];
}

struct host_neighbour *host_neighbour_find(struct nic_host *host, const uint8_t address[16])
{
	struct host_neighbour *set = set_of(host, address);
	for (unsigned i = 0; i < HOST_SET_SIZE; i++) {
		if (set[i].is_used && memcmp(set[i].address, address, 16) == 0)
			return &set[i];
	}
	return NULL;
}

/* The less, the sooner it is given up. */
static uint64_t worth(const struct host_neighbour *neighbour)
{
	if (!neighbour->is_used)
		return 0;
	return neighbour->is_known ? UINT64_MAX / 2 + neighbour->touched_ns / 2
				   : 1 + neighbour->touched_ns / 4;
}

static struct host_neighbour *make(struct nic_host *host, const uint8_t address[16],
				   uint64_t now_ns)
{
	struct host_neighbour *set = set_of(host, address), *chosen = NULL;
	for (unsigned i = 0; i < HOST_SET_SIZE; i++) {
		if (!set[i].is_static && (chosen == NULL || worth(&set[i]) < worth(chosen)))
			chosen = &set[i];
	}
	if (chosen == NULL)
		return NULL;
	if (chosen->is_used)
		host->stats.neighbours_evicted++;
	*chosen = (struct host_neighbour){.is_used = true, .touched_ns = now_ns};
	memcpy(chosen->address, address, 16);
	return chosen;
}

void host_neighbour_learn(struct nic_host *host, const uint8_t address[16], const uint8_t mac[6],
			  bool may_add, uint64_t now_ns)
{
	if (!host_mac_is_possible(mac) || !host_is_possible(host, address) ||
	    host_find_link(host, address) == NULL || nic_host_has_address(host, address))
		return;
	struct host_neighbour *neighbour = host_neighbour_find(host, address);
	if (neighbour == NULL && may_add)
		neighbour = make(host, address, now_ns);
	if (neighbour == NULL || neighbour->is_static)
		return;
	memcpy(neighbour->mac, mac, 6);
	neighbour->is_known = true;
	neighbour->requests = 0;
	neighbour->confirmed_ns = now_ns;
}

/* Wants NEIGHBOUR to be asked again, soon. */
static void make_due(struct nic_host *host, const struct host_neighbour *neighbour)
{
	for (unsigned i = 0; i < host->due_count; i++) {
		if (memcmp(host->due[i], neighbour->address, 16) == 0)
			return;
	}
	if (host->due_count < HOST_DUE_MAX)
		memcpy(host->due[host->due_count++], neighbour->address, 16);
}

/* A known one is used: is it known well enough? */
static bool is_good(struct nic_host *host, struct host_neighbour *neighbour, uint64_t now_ns)
{
	if (neighbour->is_static)
		return true;
	uint64_t age = now_ns - neighbour->confirmed_ns;
	if (age >= NIC_HOST_STALE_NS || neighbour->requests > NIC_HOST_RETRIES) {
		neighbour->is_known = false;
		neighbour->requests = 0;
		neighbour->was_asked = false;
		return false;
	}
	if (age >= NIC_HOST_FRESH_NS &&
	    (!neighbour->was_asked || now_ns - neighbour->requested_ns >= NIC_HOST_RETRY_NS))
		make_due(host, neighbour);
	return true;
}

static int request(struct nic_host *host, struct host_neighbour *neighbour, uint64_t now_ns,
		   struct nic_host_buffer *out)
{
	uint64_t passed = now_ns - neighbour->requested_ns;
	if (neighbour->was_asked && passed < NIC_HOST_RETRY_NS)
		return neighbour->requests >= NIC_HOST_RETRIES ? -EHOSTUNREACH : -EAGAIN;
	/* Nobody was there; some time later there may be. */
	if (neighbour->requests >= NIC_HOST_RETRIES) {
		if (passed < NIC_HOST_RETRIES * NIC_HOST_RETRY_NS)
			return -EHOSTUNREACH;
		neighbour->requests = 0;
	}
	if (!host_limit_take(&host->requests, now_ns)) {
		host->stats.requests_limited++;
		return -EAGAIN;
	}
	bool is_written = host_is_ipv4(neighbour->address)
				  ? host_arp_request(host, neighbour->address, out)
				  : host_ndp_request(host, neighbour->address, out);
	if (!is_written)
		return -EMSGSIZE;
	neighbour->requests++;
	neighbour->requested_ns = now_ns;
	neighbour->was_asked = true;
	host->stats.requests_sent++;
	return -EAGAIN;
}

int host_neighbour_resolve(struct nic_host *host, const uint8_t address[16], uint64_t now_ns,
			   uint8_t ret_mac[6], struct nic_host_buffer *out)
{
	struct host_neighbour *neighbour = host_neighbour_find(host, address);
	if (neighbour == NULL)
		neighbour = make(host, address, now_ns);
	/* All of its set are static. */
	if (neighbour == NULL)
		return -EHOSTUNREACH;
	neighbour->touched_ns = now_ns;
	if (!neighbour->is_known || !is_good(host, neighbour, now_ns))
		return request(host, neighbour, now_ns, out);
	memcpy(ret_mac, neighbour->mac, 6);
	return 0;
}

int nic_host_neighbour_set(struct nic_host *host, const uint8_t address[16], const uint8_t mac[6])
{
	if (!host_mac_is_possible(mac) || !host_is_possible(host, address))
		return -EINVAL;
	struct host_neighbour *neighbour = host_neighbour_find(host, address);
	if (neighbour == NULL)
		neighbour = make(host, address, 0);
	if (neighbour == NULL)
		return -ENOSPC;
	memcpy(neighbour->mac, mac, 6);
	neighbour->is_static = neighbour->is_known = true;
	return 0;
}

int nic_host_neighbour_remove(struct nic_host *host, const uint8_t address[16])
{
	struct host_neighbour *neighbour = host_neighbour_find(host, address);
	if (neighbour == NULL)
		return -ENOENT;
	*neighbour = (struct host_neighbour){.is_used = false};
	return 0;
}

bool nic_host_neighbour_next(const struct nic_host *host, uint32_t *position,
			     struct nic_host_neighbour *ret_neighbour)
{
	uint32_t count = (host->sets_mask + 1) * HOST_SET_SIZE;
	for (; *position < count; (*position)++) {
		const struct host_neighbour *neighbour = &host->neighbours[*position];
		if (!neighbour->is_used)
			continue;
		*ret_neighbour = (struct nic_host_neighbour){
			.is_static = neighbour->is_static,
			.is_known = neighbour->is_known,
			.confirmed_ns = neighbour->confirmed_ns,
		};
		memcpy(ret_neighbour->address, neighbour->address, 16);
		memcpy(ret_neighbour->mac, neighbour->mac, 6);
		(*position)++;
		return true;
	}
	return false;
}
