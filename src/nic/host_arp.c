/*
 * ARP (RFC 826), and the defence of addresses (RFC 5227). flow_parse() lets only ARP for IPv4 over
 * Ethernet through, and all of its bytes are there.
 *
 * Who asks for an address of ours becomes a neighbour, as it is about to be spoken to. Who answers,
 * or announces itself, is believed only when it is a neighbour already: answers that nobody asked
 * for do not fill the table.
 */
#include "nic/host_priv.h"

#define REQUEST 1u
#define REPLY	2u

static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

bool host_arp_request(struct nic_host *host, const uint8_t address[16], struct nic_host_buffer *out)
{
	const struct host_own *own = host_find_link(host, address);
	return own != NULL &&
	       host_write_arp(host, REQUEST, everybody, own->address.address, address, out);
}

bool host_arp_announce(struct nic_host *host, const struct host_own *own,
		       struct nic_host_buffer *out)
{
	return host_write_arp(host, REQUEST, everybody, own->address.address, own->address.address,
			      out);
}

enum nic_host_verdict host_arp_input(struct nic_host *host, const uint8_t *frame,
				     const struct flow_packet *packet, uint64_t now_ns,
				     struct nic_host_buffer *reply)
{
	const uint8_t *arp = frame + packet->l3_offset, *mac = arp + 8;
	uint16_t operation = host_get16(arp + 6);
	bool is_probe = host_is_zero(arp + 14, 4);
	struct host_own *claimed = host_find_own(host, packet->source);
	const struct host_own *asked = host_find_own(host, packet->target);
	if (memcmp(frame, host->mac, 6) != 0 && memcmp(frame, everybody, 6) != 0)
		return NIC_HOST_NOT_OURS;
	if (operation != REQUEST && operation != REPLY)
		return NIC_HOST_NOT_OURS;
	/* Our own, come back. */
	if (memcmp(mac, host->mac, 6) == 0)
		return NIC_HOST_TAKEN;
	if (!host_mac_is_possible(mac) || (!is_probe && !host_is_possible(host, packet->source))) {
		host->stats.bad++;
		return NIC_HOST_TAKEN;
	}
	if (operation == REQUEST)
		host->stats.arp_requests++;
	else
		host->stats.arp_replies++;
	if (claimed != NULL)
		return host_must_defend(host, claimed, now_ns) &&
				       host_arp_announce(host, claimed, reply)
			       ? NIC_HOST_ANSWERED
			       : NIC_HOST_TAKEN;
	if (!is_probe)
		host_neighbour_learn(host, packet->source, mac,
				     operation == REQUEST && asked != NULL, now_ns);
	if (operation == REPLY || asked == NULL)
		/* Others may be interested in what is not about us. */
		return asked != NULL || operation == REPLY ? NIC_HOST_TAKEN : NIC_HOST_NOT_OURS;
	return host_write_arp(host, REPLY, mac, packet->target, packet->source, reply)
		       ? NIC_HOST_ANSWERED
		       : NIC_HOST_TAKEN;
}
