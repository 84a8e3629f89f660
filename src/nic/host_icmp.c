/*
 * Echo, and the errors that say that nobody wants a packet (RFC 792, 4443). Errors quote what they
 * are about, and are never about errors, groups, or fragments but the first.
 */
#include "nic/host_priv.h"

#define ECHO_REQUEST	 8u
#define ECHO_REPLY	 0u
#define ECHO_REQUEST6	 128u
#define ECHO_REPLY6	 129u
#define UNREACHABLE	 3u
#define UNREACHABLE6	 1u
#define CODE_PROTOCOL	 2u
#define CODE_PORT	 3u
#define CODE_PORT6	 4u
#define PARAMETER6	 4u /* "next header not known" is one of the parameter problems */
#define CODE_NEXT_HEADER 1u
#define QUOTED_MAX	 576u /* bytes of IPv4 that an error may have in all (RFC 1812) */

/* Back to where FRAME came from. */
static struct host_route route_back(const struct nic_host *host, const uint8_t *frame,
				    const struct flow_packet *packet)
{
	struct host_route route = {.ttl = HOST_TTL};
	route.proto = packet->kind == FLOW_IPV4 ? HOST_PROTO_ICMP : HOST_PROTO_ICMPV6;
	memcpy(route.source_mac, host->mac, 6);
	memcpy(route.target_mac, frame + 6, 6);
	memcpy(route.source, packet->target, 16);
	memcpy(route.target, packet->source, 16);
	return route;
}

enum nic_host_verdict host_icmp_input(struct nic_host *host, const uint8_t *frame,
				      const struct flow_packet *packet,
				      struct nic_host_buffer *reply)
{
	bool is_ipv4 = packet->kind == FLOW_IPV4;
	const uint8_t *message = frame + packet->l4_offset;
	uint32_t len = packet->l3_offset + packet->l3_len - packet->l4_offset;
	if (message[0] != (is_ipv4 ? ECHO_REQUEST : ECHO_REQUEST6) || message[1] != 0 ||
	    len < HOST_ICMP_LEN)
		return NIC_HOST_TAKEN;
	struct host_route route = route_back(host, frame, packet);
	uint8_t *out = host_write_ip(host, &route, len, reply);
	if (out == NULL)
		return NIC_HOST_TAKEN;
	memcpy(out, message, len);
	out[0] = is_ipv4 ? ECHO_REPLY : ECHO_REPLY6;
	host_write_checksums(reply);
	host->stats.echoes++;
	return NIC_HOST_ANSWERED;
}

static bool deserves_error(const struct nic_host *host, const uint8_t *frame, uint32_t len,
			   const struct flow_packet *packet)
{
	return len >= HOST_ETHER_LEN && !packet->is_bad && !packet->is_fragment &&
	       !packet->is_icmp_error && (packet->kind == FLOW_IPV4 || packet->kind == FLOW_IPV6) &&
	       packet->proto != HOST_PROTO_ICMP && packet->proto != HOST_PROTO_ICMPV6 &&
	       packet->l3_offset == HOST_ETHER_LEN && memcmp(frame, host->mac, 6) == 0 &&
	       host_mac_is_possible(frame + 6) && nic_host_has_address(host, packet->target) &&
	       host_is_possible(host, packet->source) &&
	       !nic_host_has_address(host, packet->source);
}

bool nic_host_refuse(struct nic_host *host, const uint8_t *frame, uint32_t len,
		     const struct flow_packet *packet, uint64_t now_ns,
		     struct nic_host_buffer *reply)
{
	bool is_ipv4 = packet->kind == FLOW_IPV4, is_udp = packet->proto == HOST_PROTO_UDP;
	reply->len = 0;
	if (!deserves_error(host, frame, len, packet))
		return false;
	if (!host_limit_take(&host->errors, now_ns)) {
		host->stats.errors_limited++;
		return false;
	}
	uint32_t header = is_ipv4 ? HOST_IPV4_LEN : HOST_IPV6_LEN;
	uint32_t most = is_ipv4 ? QUOTED_MAX : NIC_HOST_CONTROL_MAX - HOST_ETHER_LEN;
	uint32_t quoted = EOS_MIN((uint32_t)packet->l3_len,
				  EOS_MIN(most, (uint32_t)host->mtu) - header - HOST_ICMP_LEN);
	struct host_route route = route_back(host, frame, packet);
	uint8_t *out = host_write_ip(host, &route, HOST_ICMP_LEN + quoted, reply);
	if (out == NULL)
		return false;
	memset(out, 0, HOST_ICMP_LEN);
	if (is_ipv4) {
		out[0] = UNREACHABLE;
		out[1] = is_udp ? CODE_PORT : CODE_PROTOCOL;
	} else if (is_udp) {
		out[0] = UNREACHABLE6;
		out[1] = CODE_PORT6;
	} else {
		out[0] = PARAMETER6;
		out[1] = CODE_NEXT_HEADER;
		/* Where IPv6's own header says so; behind extension headers nobody looks. */
		out[7] = 6;
	}
	memcpy(out + HOST_ICMP_LEN, frame + packet->l3_offset, quoted);
	host_write_checksums(reply);
	host->stats.refused++;
	return true;
}
