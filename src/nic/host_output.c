/* The way out: whom to send it to, then the headers around the payload. */
#include <errno.h>

#include "nic/host.h"
#include "nic/host_priv.h"

/* The next hop: the peer itself on the link, else the gateway. */
static const uint8_t *next_hop(const struct nic_host *host, const uint8_t peer[16])
{
	if (host_find_link(host, peer) != NULL)
		return peer;
	if (host_is_ipv4(peer))
		return host->has_gateway4 && host_find_link(host, host->gateway4) != NULL
			       ? host->gateway4
			       : NULL;
	if (host_is_link_local(peer))
		return NULL;
	return host->has_gateway6 && host_find_link(host, host->gateway6) != NULL ? host->gateway6
										  : NULL;
}

static int check(const struct nic_host *host, const struct nic_host_datagram *datagram,
		 const struct nic_host_buffer *out)
{
	bool is_ipv4 = host_is_ipv4(datagram->local);
	uint32_t header = is_ipv4 ? HOST_IPV4_LEN : HOST_IPV6_LEN;
	if (!nic_host_has_address(host, datagram->local))
		return -EADDRNOTAVAIL;
	if (datagram->local_port == 0 || datagram->peer_port == 0 ||
	    host_is_ipv4(datagram->peer) != is_ipv4 || !host_is_possible(host, datagram->peer) ||
	    nic_host_has_address(host, datagram->peer))
		return -EINVAL;
	if (datagram->len > (uint32_t)host->mtu - header - HOST_UDP_LEN ||
	    out->capacity < HOST_ETHER_LEN + header + HOST_UDP_LEN + datagram->len)
		return -EMSGSIZE;
	return 0;
}

int nic_host_output(struct nic_host *host, const struct nic_host_datagram *datagram,
		    uint64_t now_ns, struct nic_host_buffer *out)
{
	struct host_route route = {.proto = HOST_PROTO_UDP, .ttl = HOST_TTL};
	out->len = 0;
	int err = check(host, datagram, out);
	if (err < 0)
		return err;
	if (datagram->has_peer_mac && host_mac_is_possible(datagram->peer_mac)) {
		memcpy(route.target_mac, datagram->peer_mac, 6);
	} else {
		const uint8_t *hop = next_hop(host, datagram->peer);
		if (hop == NULL)
			return -ENETUNREACH;
		err = host_neighbour_resolve(host, hop, now_ns, route.target_mac, out);
		if (err < 0)
			return err;
	}
	memcpy(route.source_mac, host->mac, 6);
	memcpy(route.source, datagram->local, 16);
	memcpy(route.target, datagram->peer, 16);
	/* The payload first: the headers may be written over where it was. */
	uint32_t header = HOST_ETHER_LEN + HOST_UDP_LEN +
			  (host_is_ipv4(route.source) ? HOST_IPV4_LEN : HOST_IPV6_LEN);
	if (datagram->len > 0)
		memmove(out->data + header, datagram->payload, datagram->len);
	uint8_t *udp = host_write_ip(host, &route, HOST_UDP_LEN + datagram->len, out);
	if (udp == NULL)
		return -EMSGSIZE;
	host_put16(udp, datagram->local_port);
	host_put16(udp + 2, datagram->peer_port);
	host_put16(udp + 4, (uint16_t)(HOST_UDP_LEN + datagram->len));
	host_put16(udp + 6, 0);
	host_write_checksums(out);
	return 0;
}
