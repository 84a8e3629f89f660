/*
 * Neighbour discovery (RFC 4861): solicitations and advertisements. Routers' messages and redirects
 * are not taken: who could send them could take the traffic.
 *
 *	solicitation, advertisement:  type code checksum(2) flags(4) target(16) options
 *	option:                       type length(in 8 bytes, never 0) value
 *
 * As with ARP, who asks for one of ours becomes a neighbour, and who answers was one before.
 */
#include "nic/host_priv.h"

#define SOLICITATION   135u
#define ADVERTISEMENT  136u
#define MESSAGE_LEN    24u
#define OPTION_LEN     8u /* of one with a MAC address */
#define OPTION_SOURCE  1u
#define OPTION_TARGET  2u
#define FLAG_SOLICITED 0x40u
#define FLAG_OVERRIDE  0x20u

static const uint8_t all_nodes[16] = {0xff, 0x02, [15] = 1};

/* The group that whoever has ADDRESS listens to. */
static void solicited_node(const uint8_t address[16], uint8_t out[16])
{
	static const uint8_t head[13] = {0xff, 0x02, [11] = 1, 0xff};
	memcpy(out, head, sizeof(head));
	memcpy(out + 13, address + 13, 3);
}

static void group_mac(const uint8_t group[16], uint8_t out[6])
{
	out[0] = out[1] = 0x33;
	memcpy(out + 2, group + 12, 4);
}

/* A message to TARGET_MAC, or to the group TARGET. */
static bool write_message(struct nic_host *host, struct host_route *route, uint8_t type,
			  uint8_t flags, const uint8_t subject[16], struct nic_host_buffer *out)
{
	bool is_group = route->target[0] == 0xff;
	memcpy(route->source_mac, host->mac, 6);
	if (is_group)
		group_mac(route->target, route->target_mac);
	route->proto = HOST_PROTO_ICMPV6;
	route->ttl = HOST_TTL_LINK;
	uint8_t *message = host_write_ip(host, route, MESSAGE_LEN + OPTION_LEN, out);
	if (message == NULL)
		return false;
	memset(message, 0, MESSAGE_LEN);
	message[0] = type;
	message[4] = flags;
	memcpy(message + 8, subject, 16);
	message[24] = type == SOLICITATION ? OPTION_SOURCE : OPTION_TARGET;
	message[25] = 1;
	memcpy(message + 26, host->mac, 6);
	host_write_checksums(out);
	return true;
}

bool host_ndp_request(struct nic_host *host, const uint8_t address[16], struct nic_host_buffer *out)
{
	struct host_route route = {.ttl = HOST_TTL_LINK};
	const struct host_own *own = host_find_link(host, address);
	if (own == NULL)
		return false;
	memcpy(route.source, own->address.address, 16);
	solicited_node(address, route.target);
	return write_message(host, &route, SOLICITATION, 0, address, out);
}

bool host_ndp_announce(struct nic_host *host, const struct host_own *own,
		       struct nic_host_buffer *out)
{
	struct host_route route = {.ttl = HOST_TTL_LINK};
	memcpy(route.source, own->address.address, 16);
	memcpy(route.target, all_nodes, 16);
	return write_message(host, &route, ADVERTISEMENT, FLAG_OVERRIDE, own->address.address, out);
}

/* The MAC address of the option OPTION, or NULL; false: the options are malformed. */
static bool read_option(const uint8_t *options, uint32_t len, uint8_t option,
			const uint8_t **ret_mac)
{
	*ret_mac = NULL;
	for (uint32_t at = 0; at < len;) {
		if (len - at < 2 || options[at + 1] == 0 || options[at + 1] * 8u > len - at)
			return false;
		if (options[at] == option && options[at + 1] == 1)
			*ret_mac = options + at + 2;
		at += options[at + 1] * 8u;
	}
	return true;
}

static bool is_for_group_of_ours(const struct nic_host *host, const uint8_t target[16])
{
	uint8_t group[16];
	for (unsigned i = 0; i < host->own_count; i++) {
		solicited_node(host->own[i].address.address, group);
		if (!host->own[i].is_ipv4 && memcmp(group, target, 16) == 0)
			return true;
	}
	return false;
}

bool host_ndp_is_ours(struct nic_host *host, const uint8_t *frame, const struct flow_packet *packet)
{
	uint8_t mac[6];
	const uint8_t *target = packet->target;
	if (packet->proto != HOST_PROTO_ICMPV6 || packet->is_icmp_error || packet->is_fragment ||
	    packet->l4_offset == 0)
		return false;
	uint8_t type = frame[packet->l4_offset];
	if (type != SOLICITATION && type != ADVERTISEMENT)
		return false;
	if (target[0] != 0xff)
		return memcmp(frame, host->mac, 6) == 0 && nic_host_has_address(host, target);
	group_mac(target, mac);
	return memcmp(frame, mac, 6) == 0 &&
	       (is_for_group_of_ours(host, target) ||
		(type == ADVERTISEMENT && memcmp(target, all_nodes, 16) == 0));
}

static enum nic_host_verdict answer(struct nic_host *host, const uint8_t *frame,
				    const struct flow_packet *packet, const uint8_t subject[16],
				    struct nic_host_buffer *reply)
{
	struct host_route route = {.ttl = HOST_TTL_LINK};
	bool is_probe = host_is_zero(packet->source, 16);
	memcpy(route.source, subject, 16);
	memcpy(route.target, is_probe ? all_nodes : packet->source, 16);
	memcpy(route.target_mac, frame + 6, 6);
	return write_message(host, &route, ADVERTISEMENT,
			     (uint8_t)(FLAG_OVERRIDE | (is_probe ? 0 : FLAG_SOLICITED)), subject,
			     reply)
		       ? NIC_HOST_ANSWERED
		       : NIC_HOST_TAKEN;
}

static enum nic_host_verdict take_solicitation(struct nic_host *host, const uint8_t *frame,
					       const struct flow_packet *packet,
					       const uint8_t *message, uint32_t len,
					       uint64_t now_ns, struct nic_host_buffer *reply)
{
	const uint8_t *mac, *subject = message + 8;
	bool is_probe = host_is_zero(packet->source, 16);
	bool is_good = read_option(message + MESSAGE_LEN, len - MESSAGE_LEN, OPTION_SOURCE, &mac);
	/* Who has no address yet asks the group, and has nothing to tell. */
	if (!is_good || (is_probe && (packet->target[0] != 0xff || mac != NULL)) ||
	    (!is_probe && !host_is_possible(host, packet->source))) {
		host->stats.bad++;
		return NIC_HOST_TAKEN;
	}
	host->stats.ndp_solicitations++;
	if (!nic_host_has_address(host, subject))
		return NIC_HOST_TAKEN;
	if (is_probe)
		host->stats.conflicts++;
	/* Our own, come back, or somebody with our address. */
	if (nic_host_has_address(host, packet->source))
		return NIC_HOST_TAKEN;
	if (mac != NULL)
		host_neighbour_learn(host, packet->source, mac, true, now_ns);
	return answer(host, frame, packet, subject, reply);
}

static enum nic_host_verdict take_advertisement(struct nic_host *host,
						const struct flow_packet *packet,
						const uint8_t *message, uint32_t len,
						uint64_t now_ns, struct nic_host_buffer *reply)
{
	const uint8_t *mac, *subject = message + 8;
	if (!read_option(message + MESSAGE_LEN, len - MESSAGE_LEN, OPTION_TARGET, &mac) ||
	    !host_is_possible(host, packet->source) || subject[0] == 0xff ||
	    host_is_ipv4(subject)) {
		host->stats.bad++;
		return NIC_HOST_TAKEN;
	}
	host->stats.ndp_advertisements++;
	struct host_own *own = host_find_own(host, subject);
	if (own != NULL) {
		if (mac != NULL && memcmp(mac, host->mac, 6) == 0)
			return NIC_HOST_TAKEN;
		return host_must_defend(host, own, now_ns) && host_ndp_announce(host, own, reply)
			       ? NIC_HOST_ANSWERED
			       : NIC_HOST_TAKEN;
	}
	const struct host_neighbour *neighbour = host_neighbour_find(host, subject);
	bool may_change =
		neighbour != NULL && (!neighbour->is_known || (message[4] & FLAG_OVERRIDE) != 0 ||
				      (mac != NULL && memcmp(mac, neighbour->mac, 6) == 0));
	if (mac != NULL && may_change)
		host_neighbour_learn(host, subject, mac, false, now_ns);
	return NIC_HOST_TAKEN;
}

enum nic_host_verdict host_ndp_input(struct nic_host *host, const uint8_t *frame,
				     const struct flow_packet *packet, uint64_t now_ns,
				     struct nic_host_buffer *reply)
{
	const uint8_t *message = frame + packet->l4_offset;
	uint32_t len = packet->l3_offset + packet->l3_len - packet->l4_offset;
	/* The hop limit says that it comes from the link. */
	if (len < MESSAGE_LEN || message[1] != 0 || frame[packet->l3_offset + 7] != HOST_TTL_LINK) {
		host->stats.bad++;
		return NIC_HOST_TAKEN;
	}
	if (message[0] == SOLICITATION)
		return take_solicitation(host, frame, packet, message, len, now_ns, reply);
	return take_advertisement(host, packet, message, len, now_ns, reply);
}
