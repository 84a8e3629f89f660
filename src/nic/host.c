/*
 * The host itself: its addresses, what comes in for them, and what is due without being asked.
 *
 * The way in: ARP goes to host_arp.c. IP that is for one of our addresses, and came to our MAC
 * address, is checked once (source, fragments, checksums), then goes to host_icmp.c, or to the
 * caller as UDP or LOCAL. NDP is the one protocol of groups that is taken.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "nic/host.h"
#include "nic/host_priv.h"

#define MTU	      1500u
#define MTU_MIN	      68u
#define MTU_MIN_IPV6  1280u
#define NEIGHBOURS    1024u
#define ANNOUNCE_WAIT UINT64_C(2000000000)

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

bool host_is_ipv4(const uint8_t address[16])
{
	return memcmp(address, mapped, sizeof(mapped)) == 0;
}

bool host_is_zero(const uint8_t *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != 0)
			return false;
	}
	return true;
}

bool host_is_group(const uint8_t address[16])
{
	/* From 224.0.0.0 on there is nobody: groups, what is reserved, and the broadcast. */
	return host_is_ipv4(address) ? address[12] >= 224 : address[0] == 0xff;
}

bool host_is_link_local(const uint8_t address[16])
{
	return address[0] == 0xfe && (address[1] & 0xc0) == 0x80;
}

bool host_mac_is_possible(const uint8_t mac[6])
{
	return (mac[0] & 1) == 0 && !host_is_zero(mac, 6);
}

/* Bits of the 16 bytes that the prefix has. */
static unsigned prefix_bits(const struct host_own *own)
{
	return own->address.prefix_len + (own->is_ipv4 ? 96u : 0);
}

static bool is_within(const struct host_own *own, const uint8_t address[16])
{
	unsigned bits = prefix_bits(own), bytes = bits / 8, rest = bits % 8;
	if (memcmp(own->address.address, address, bytes) != 0)
		return false;
	return rest == 0 || ((own->address.address[bytes] ^ address[bytes]) >> (8 - rest)) == 0;
}

/* The first and the last address of an IPv4 network with room for more than two. */
static bool is_broadcast(const struct host_own *own, const uint8_t address[16])
{
	if (!own->is_ipv4 || own->address.prefix_len > 30 || !is_within(own, address))
		return false;
	uint32_t mask = UINT32_MAX >> own->address.prefix_len;
	uint32_t host = ((uint32_t)address[12] << 24 | (uint32_t)address[13] << 16 |
			 (uint32_t)address[14] << 8 | address[15]) &
			mask;
	return host == 0 || host == mask;
}

bool host_is_possible(const struct nic_host *host, const uint8_t address[16])
{
	static const uint8_t loopback[16] = {[15] = 1};
	if (host_is_group(address) || host_is_zero(address, 16) ||
	    memcmp(address, loopback, 16) == 0)
		return false;
	if (host_is_ipv4(address) && (address[12] == 0 || address[12] == 127))
		return false;
	for (unsigned i = 0; i < host->own_count; i++) {
		if (is_broadcast(&host->own[i], address))
			return false;
	}
	return true;
}

struct host_own *host_find_own(struct nic_host *host, const uint8_t address[16])
{
	for (unsigned i = 0; i < host->own_count; i++) {
		if (memcmp(host->own[i].address.address, address, 16) == 0)
			return &host->own[i];
	}
	return NULL;
}

bool nic_host_has_address(const struct nic_host *host, const uint8_t address[16])
{
	for (unsigned i = 0; i < host->own_count; i++) {
		if (memcmp(host->own[i].address.address, address, 16) == 0)
			return true;
	}
	return false;
}

const struct host_own *host_find_link(const struct nic_host *host, const uint8_t address[16])
{
	const struct host_own *best = NULL;
	for (unsigned i = 0; i < host->own_count; i++) {
		const struct host_own *own = &host->own[i];
		if (own->is_ipv4 == host_is_ipv4(address) && is_within(own, address) &&
		    (best == NULL || own->address.prefix_len > best->address.prefix_len))
			best = own;
	}
	return best;
}

bool host_limit_take(struct host_limit *limit, uint64_t now_ns)
{
	uint64_t passed = now_ns > limit->filled_ns ? now_ns - limit->filled_ns : 0;
	uint64_t step = EOS_NS_PER_S / limit->rate;
	uint64_t more = passed / step;
	if (more > 0) {
		limit->left = (uint32_t)EOS_MIN(limit->rate, limit->left + more);
		limit->filled_ns += more * step;
	}
	if (limit->left == 0)
		return false;
	limit->left--;
	return true;
}

bool host_must_defend(struct nic_host *host, struct host_own *own, uint64_t now_ns)
{
	host->stats.conflicts++;
	if (own->was_defended && now_ns - own->defended_ns < NIC_HOST_DEFEND_NS)
		return false;
	own->was_defended = true;
	own->defended_ns = now_ns;
	return true;
}

static int check_address(const struct nic_host_address *address, struct eos_why *why)
{
	bool is_ipv4 = host_is_ipv4(address->address);
	if (host_is_group(address->address) || host_is_zero(address->address, 16) ||
	    (is_ipv4 && host_is_zero(address->address + 12, 4)))
		return eos_why(why, -EINVAL, "an address is a group's, or nobody's");
	if (address->prefix_len > (is_ipv4 ? 32 : 128))
		return eos_why(why, -EINVAL, "an address has a prefix of %u bits",
			       address->prefix_len);
	return 0;
}

static int check_config(struct nic_host_config *config, struct eos_why *why)
{
	if (config->mtu == 0)
		config->mtu = MTU;
	if (config->neighbours_max == 0)
		config->neighbours_max = NEIGHBOURS;
	if (config->mtu < MTU_MIN)
		return eos_why(why, -EINVAL, "an MTU of %u; %u is the least", config->mtu, MTU_MIN);
	if (!host_mac_is_possible(config->mac))
		return eos_why(why, -EINVAL, "the MAC address is a group's, or nobody's");
	if (config->addresses_count > NIC_HOST_ADDRESSES_MAX)
		return eos_why(why, -EINVAL, "%zu addresses; %u are the most",
			       config->addresses_count, NIC_HOST_ADDRESSES_MAX);
	if (config->neighbours_max < HOST_SET_SIZE ||
	    config->neighbours_max > NIC_HOST_NEIGHBOURS_MAX ||
	    (config->neighbours_max & (config->neighbours_max - 1)) != 0)
		return eos_why(why, -EINVAL, "%u neighbours; it is a power of two, from %u to %u",
			       config->neighbours_max, HOST_SET_SIZE, NIC_HOST_NEIGHBOURS_MAX);
	for (size_t i = 0; i < config->addresses_count; i++) {
		int err = check_address(&config->addresses[i], why);
		if (err < 0)
			return err;
		if (!host_is_ipv4(config->addresses[i].address) && config->mtu < MTU_MIN_IPV6)
			return eos_why(why, -EINVAL, "an MTU of %u; IPv6 needs %u", config->mtu,
				       MTU_MIN_IPV6);
	}
	if (!host_is_zero(config->gateway4, 16) && !host_is_ipv4(config->gateway4))
		return eos_why(why, -EINVAL, "the gateway of IPv4 has no IPv4 address");
	if (!host_is_zero(config->gateway6, 16) && host_is_ipv4(config->gateway6))
		return eos_why(why, -EINVAL, "the gateway of IPv6 has no IPv6 address");
	return 0;
}

static void add_own(struct nic_host *host, const struct nic_host_address *address, uint64_t now_ns)
{
	if (nic_host_has_address(host, address->address))
		return;
	host->own[host->own_count++] = (struct host_own){
		.address = *address,
		.is_ipv4 = host_is_ipv4(address->address),
		.announcements = HOST_ANNOUNCE,
		.announce_ns = now_ns,
	};
}

static void add_link_local(struct nic_host *host, uint64_t now_ns)
{
	const uint8_t *m = host->mac;
	const struct nic_host_address address = {
		{0xfe, 0x80, 0, 0, 0, 0, 0, 0, m[0] ^ 2, m[1], m[2], 0xff, 0xfe, m[3], m[4], m[5]},
		64,
	};
	add_own(host, &address, now_ns);
}

int nic_host_new(const struct nic_host_config *config, struct nic_host **ret_host,
		 struct eos_why *why)
{
	struct nic_host_config checked = *config;
	bool has_ipv6 = false;
	int err = check_config(&checked, why);
	if (err < 0)
		return err;
	struct nic_host *host =
		calloc(1, sizeof(*host) + checked.neighbours_max * sizeof(host->neighbours[0]));
	if (host == NULL)
		return eos_why(why, -ENOMEM, "no memory");
	memcpy(host->mac, checked.mac, sizeof(host->mac));
	host->mtu = checked.mtu;
	host->seed = checked.seed;
	host->sets_mask = checked.neighbours_max / HOST_SET_SIZE - 1;
	memcpy(host->gateway4, checked.gateway4, 16);
	memcpy(host->gateway6, checked.gateway6, 16);
	host->has_gateway4 = !host_is_zero(checked.gateway4, 16);
	host->has_gateway6 = !host_is_zero(checked.gateway6, 16);
	host->requests =
		(struct host_limit){NIC_HOST_REQUESTS_RATE, NIC_HOST_REQUESTS_RATE, checked.now_ns};
	host->errors =
		(struct host_limit){NIC_HOST_ERRORS_RATE, NIC_HOST_ERRORS_RATE, checked.now_ns};
	for (size_t i = 0; i < checked.addresses_count; i++) {
		add_own(host, &checked.addresses[i], checked.now_ns);
		has_ipv6 = has_ipv6 || !host_is_ipv4(checked.addresses[i].address);
	}
	if (has_ipv6 && !checked.without_link_local)
		add_link_local(host, checked.now_ns);
	*ret_host = host;
	return 0;
}

struct nic_host *nic_host_free(struct nic_host *host)
{
	free(host);
	return NULL;
}

void nic_host_stats(const struct nic_host *host, struct nic_host_stats *ret_stats)
{
	*ret_stats = host->stats;
}

/* One of our addresses, our MAC address, and a source that can be. */
static enum nic_host_verdict check_ip(struct nic_host *host, const uint8_t *frame,
				      const struct flow_packet *packet, const uint8_t source[16],
				      bool checksums_good)
{
	if (!host_is_possible(host, source) || nic_host_has_address(host, source)) {
		host->stats.bad++;
		return NIC_HOST_TAKEN;
	}
	if (packet->is_fragment) {
		host->stats.fragments++;
		return NIC_HOST_TAKEN;
	}
	if (!checksums_good && !flow_checksums_are_good(frame, packet)) {
		host->stats.bad_checksums++;
		return NIC_HOST_TAKEN;
	}
	return NIC_HOST_LOCAL;
}

static enum nic_host_verdict take_udp(struct nic_host *host, const uint8_t *frame,
				      const struct flow_packet *packet,
				      struct nic_host_datagram *ret_datagram)
{
	if (packet->source_port == 0 || packet->target_port == 0) {
		host->stats.bad++;
		return NIC_HOST_TAKEN;
	}
	*ret_datagram = (struct nic_host_datagram){
		.payload = frame + packet->payload_offset,
		.len = packet->payload_len,
		.local_port = packet->target_port,
		.peer_port = packet->source_port,
		.has_peer_mac = true,
	};
	memcpy(ret_datagram->local, packet->target, 16);
	memcpy(ret_datagram->peer, packet->source, 16);
	memcpy(ret_datagram->peer_mac, frame + 6, 6);
	host->stats.datagrams++;
	return NIC_HOST_UDP;
}

/* IP's own addresses, as an ICMP error's in PACKET are those of what it is about. */
static void read_addresses(const uint8_t *frame, const struct flow_packet *packet,
			   uint8_t source[16], uint8_t target[16])
{
	const uint8_t *ip = frame + packet->l3_offset;
	if (packet->kind == FLOW_IPV6) {
		memcpy(source, ip + 8, 16);
		memcpy(target, ip + 24, 16);
		return;
	}
	memcpy(source, mapped, sizeof(mapped));
	memcpy(target, mapped, sizeof(mapped));
	memcpy(source + 12, ip + 12, 4);
	memcpy(target + 12, ip + 16, 4);
}

static enum nic_host_verdict input_ip(struct nic_host *host, const uint8_t *frame,
				      const struct flow_packet *packet, bool checksums_good,
				      uint64_t now_ns, struct nic_host_buffer *reply,
				      struct nic_host_datagram *ret_datagram)
{
	uint8_t source[16], target[16];
	read_addresses(frame, packet, source, target);
	if (packet->kind == FLOW_IPV6 && host_ndp_is_ours(host, frame, packet)) {
		if (!checksums_good && !flow_checksums_are_good(frame, packet)) {
			host->stats.bad_checksums++;
			return NIC_HOST_TAKEN;
		}
		return host_ndp_input(host, frame, packet, now_ns, reply);
	}
	if (memcmp(frame, host->mac, 6) != 0 || !nic_host_has_address(host, target))
		return NIC_HOST_NOT_OURS;
	enum nic_host_verdict verdict = check_ip(host, frame, packet, source, checksums_good);
	if (verdict != NIC_HOST_LOCAL)
		return verdict;
	/* Errors about what was sent are nothing to a host without connections. */
	if (packet->is_icmp_error)
		return NIC_HOST_TAKEN;
	if (packet->proto == (packet->kind == FLOW_IPV4 ? HOST_PROTO_ICMP : HOST_PROTO_ICMPV6))
		return host_icmp_input(host, frame, packet, reply);
	if (packet->proto == HOST_PROTO_UDP)
		return take_udp(host, frame, packet, ret_datagram);
	return NIC_HOST_LOCAL;
}

enum nic_host_verdict nic_host_input(struct nic_host *host, const uint8_t *frame, uint32_t len,
				     const struct flow_packet *packet, bool checksums_good,
				     uint64_t now_ns, struct nic_host_buffer *reply,
				     struct nic_host_datagram *ret_datagram)
{
	reply->len = 0;
	if (len < HOST_ETHER_LEN || packet->vlan != 0)
		return NIC_HOST_NOT_OURS;
	if (packet->is_bad) {
		if (memcmp(frame, host->mac, 6) != 0)
			return NIC_HOST_NOT_OURS;
		host->stats.bad++;
		return NIC_HOST_TAKEN;
	}
	/* What is not from a neighbour's own address is from nobody who could be answered. A tag of
	 * priority only has no identifier, so the headers' place tells. */
	if (!host_mac_is_possible(frame + 6) || packet->l3_offset != HOST_ETHER_LEN)
		return NIC_HOST_NOT_OURS;
	switch (packet->kind) {
	case FLOW_ARP:
		return host_arp_input(host, frame, packet, now_ns, reply);
	case FLOW_IPV4:
	case FLOW_IPV6:
		return input_ip(host, frame, packet, checksums_good, now_ns, reply, ret_datagram);
	default:
		return NIC_HOST_NOT_OURS;
	}
}

bool nic_host_poll(struct nic_host *host, uint64_t now_ns, struct nic_host_buffer *out)
{
	out->len = 0;
	for (unsigned i = 0; i < host->own_count; i++) {
		struct host_own *own = &host->own[i];
		if (own->announcements == 0 || now_ns < own->announce_ns)
			continue;
		own->announcements--;
		own->announce_ns = now_ns + ANNOUNCE_WAIT;
		return own->is_ipv4 ? host_arp_announce(host, own, out)
				    : host_ndp_announce(host, own, out);
	}
	while (host->due_count > 0) {
		const uint8_t *address = host->due[--host->due_count];
		struct host_neighbour *neighbour = host_neighbour_find(host, address);
		if (neighbour == NULL || neighbour->is_static)
			continue;
		if (!host_limit_take(&host->requests, now_ns)) {
			host->stats.requests_limited++;
			return false;
		}
		neighbour->requested_ns = now_ns;
		neighbour->was_asked = true;
		neighbour->requests++;
		host->stats.requests_sent++;
		return host_is_ipv4(neighbour->address)
			       ? host_arp_request(host, neighbour->address, out)
			       : host_ndp_request(host, neighbour->address, out);
	}
	return false;
}
