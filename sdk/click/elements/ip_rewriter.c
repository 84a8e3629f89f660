/*
 * IPRewriter, TCPRewriter and UDPRewriter: NAT of addresses and ports.
 *
 * Packets that are neither TCP nor UDP, later fragments, and packets that end within their
 * transport header cannot be mapped. (Of a TCP header all 20 bytes must be there: with less, the
 * checksum would be in the next fragment and could not follow.)
 *
 * The state of a flow: of TCP, which side has sent data and which is done; of UDP, how many
 * packets there were, up to three, and which sides have sent any. TCPRewriter's changes of
 * sequence numbers are for elements that change data (FTPPortMapper), which there are not.
 */
#include <string.h>

#include "elements/rewriter.h"

#define SECOND_NS 1000000000ull

#define TCP_FIN 1u
#define TCP_SYN 2u
#define TCP_RST 4u

/* IPRewriter's timeouts; TCPRewriter has the first three. */
enum { TCP_NODATA, TCP_DATA, TCP_DONE, UDP_RPC, UDP_STREAMING };
/* UDPRewriter's. */
enum { FLOW_RPC, FLOW_STREAMING };

/* state[0] of TCP */
#define IS_DONE(way)  (1u << (way))
#define HAS_DATA(way) (4u << (way))
#define BOTH_DONE     3u
#define BOTH_DATA     12u
/* state[0] of others, state[1] counts */
#define BOTH_SENT      3u
#define STREAM_PACKETS 3u

/* --- packets --- */

static unsigned port_keys(const struct click_rewriter *rewriter, const struct click_ip *ip,
			  struct click_flow_key ret[2], bool *ret_may_create)
{
	(void)rewriter;
	(void)ret_may_create;
	uint32_t needed = ip->protocol == CLICK_TCP ? CLICK_TCP_HEADER : CLICK_UDP_HEADER;
	if ((ip->protocol != CLICK_TCP && ip->protocol != CLICK_UDP) || !click_ip_is_first(ip) ||
	    ip->payload_len < needed)
		return 0;
	ret[0].saddr = click_get_address(ip->header + 12);
	ret[0].daddr = click_get_address(ip->header + 16);
	ret[0].sport = click_get_u16(ip->payload);
	ret[0].dport = click_get_u16(ip->payload + 2);
	ret[0].protocol = ip->protocol;
	return 1;
}

static unsigned tcp_keys(const struct click_rewriter *rewriter, const struct click_ip *ip,
			 struct click_flow_key ret[2], bool *ret_may_create)
{
	if (ip->protocol != CLICK_TCP)
		return 0;
	return port_keys(rewriter, ip, ret, ret_may_create);
}

static void rewrite_ports(const struct click_rewriter *rewriter, struct click_packet *packet,
			  const struct click_ip *ip, const struct click_flow *flow, unsigned way)
{
	/* What replies to the packet will come as the other key. */
	const struct click_flow_key *other = &flow->key[!way];
	uint32_t change = click_rewriter_set_addresses(ip->header, other->daddr, other->saddr);
	change += click_change_u16(click_get_u16(ip->payload), other->dport);
	change += click_change_u16(click_get_u16(ip->payload + 2), other->sport);
	click_put_u16(ip->payload, other->dport);
	click_put_u16(ip->payload + 2, other->sport);
	uint8_t *checksum = ip->payload + (ip->protocol == CLICK_TCP ? 16 : 6);
	bool is_udp = ip->protocol == CLICK_UDP;
	/* Of UDP, 0 is no checksum, and the checksum 0 is sent as its complement. */
	if (!is_udp || click_get_u16(checksum) != 0) {
		click_rewriter_fix(checksum, change);
		if (is_udp && click_get_u16(checksum) == 0)
			click_put_u16(checksum, 0xffff);
	}
	if (rewriter->has_dst_anno)
		packet->destination = other->saddr;
}

static unsigned tcp_timeout(const struct click_rewriter *rewriter, const struct click_ip *ip,
			    struct click_flow *flow, unsigned way)
{
	(void)rewriter;
	uint8_t *state = &flow->state[0];
	const uint8_t flags = ip->payload[13];
	uint32_t header_len = (ip->payload[12] >> 4) * 4u;
	bool has_data = ip->payload_len > header_len && header_len >= CLICK_TCP_HEADER;
	if (has_data)
		*state |= HAS_DATA(way);
	if (flags & TCP_RST)
		*state |= BOTH_DONE;
	else if (flags & TCP_FIN)
		*state |= IS_DONE(way);
	else if ((flags & TCP_SYN) && (*state & BOTH_DONE) == BOTH_DONE)
		*state = 0; /* the same ports again */
	else if ((flags & TCP_SYN) || has_data)
		/* Who goes on is not done: the reset was not the other side's. */
		*state &= (uint8_t)~IS_DONE(way);
	if ((*state & BOTH_DONE) == BOTH_DONE)
		return TCP_DONE;
	return (*state & BOTH_DATA) == BOTH_DATA ? TCP_DATA : TCP_NODATA;
}

static bool is_streaming(struct click_flow *flow, unsigned way)
{
	flow->state[0] |= (uint8_t)(1u << way);
	if (flow->state[1] < STREAM_PACKETS)
		flow->state[1]++;
	return flow->state[0] == BOTH_SENT && flow->state[1] == STREAM_PACKETS;
}

static unsigned ip_timeout(const struct click_rewriter *rewriter, const struct click_ip *ip,
			   struct click_flow *flow, unsigned way)
{
	if (ip->protocol == CLICK_TCP)
		return tcp_timeout(rewriter, ip, flow, way);
	return is_streaming(flow, way) ? UDP_STREAMING : UDP_RPC;
}

static unsigned udp_timeout(const struct click_rewriter *rewriter, const struct click_ip *ip,
			    struct click_flow *flow, unsigned way)
{
	(void)rewriter;
	(void)ip;
	return is_streaming(flow, way) ? FLOW_STREAMING : FLOW_RPC;
}

static const struct click_rewriter_kind ip_kind = {
	.has_ports = true, .keys = port_keys, .rewrite = rewrite_ports, .timeout = ip_timeout};
static const struct click_rewriter_kind tcp_kind = {
	.has_ports = true, .keys = tcp_keys, .rewrite = rewrite_ports, .timeout = tcp_timeout};
static const struct click_rewriter_kind udp_kind = {
	.has_ports = true, .keys = port_keys, .rewrite = rewrite_ports, .timeout = udp_timeout};

/* --- configuration --- */

static void configure_tcp(struct click_rewriter *rewriter, struct click_args *args)
{
	uint64_t data_ns = 24 * 3600 * SECOND_NS, done_ns = 240 * SECOND_NS;
	uint64_t nodata_ns = 300 * SECOND_NS, guarantee_ns = 5 * SECOND_NS;
	click_arg_duration_ns(args, "TIMEOUT", 0, &data_ns);
	click_arg_duration_ns(args, "TCP_TIMEOUT", 0, &data_ns);
	click_arg_duration_ns(args, "TCP_DONE_TIMEOUT", 0, &done_ns);
	click_arg_duration_ns(args, "TCP_NODATA_TIMEOUT", 0, &nodata_ns);
	click_arg_duration_ns(args, "GUARANTEE", 0, &guarantee_ns);
	click_arg_duration_ns(args, "TCP_GUARANTEE", 0, &guarantee_ns);
	click_rewriter_timeout(rewriter, TCP_NODATA, nodata_ns, guarantee_ns);
	click_rewriter_timeout(rewriter, TCP_DATA, data_ns, guarantee_ns);
	click_rewriter_timeout(rewriter, TCP_DONE, done_ns, guarantee_ns);
}

/* UDPRewriter has both names of each. */
static void configure_udp(struct click_rewriter *rewriter, struct click_args *args, unsigned first)
{
	uint64_t rpc_ns = 300 * SECOND_NS, streaming_ns = UINT64_MAX;
	uint64_t guarantee_ns = 5 * SECOND_NS;
	if (first == FLOW_RPC) {
		click_arg_duration_ns(args, "TIMEOUT", 0, &rpc_ns);
		click_arg_duration_ns(args, "STREAMING_TIMEOUT", 0, &streaming_ns);
		click_arg_duration_ns(args, "GUARANTEE", 0, &guarantee_ns);
	}
	click_arg_duration_ns(args, "UDP_TIMEOUT", 0, &rpc_ns);
	click_arg_duration_ns(args, "UDP_STREAMING_TIMEOUT", 0, &streaming_ns);
	click_arg_duration_ns(args, "UDP_GUARANTEE", 0, &guarantee_ns);
	click_rewriter_timeout(rewriter, first, rpc_ns, guarantee_ns);
	click_rewriter_timeout(rewriter, first + 1,
			       streaming_ns == UINT64_MAX ? rpc_ns : streaming_ns, guarantee_ns);
}

/* Keywords of Click's earlier versions, which had a timer for each. */
static void ignore_old_keywords(struct click_args *args)
{
	uint64_t ignored_ns = 0;
	click_arg_duration_ns(args, "REAP_TCP", 0, &ignored_ns);
	click_arg_duration_ns(args, "REAP_TCP_DONE", 0, &ignored_ns);
	click_arg_duration_ns(args, "REAP_UDP", 0, &ignored_ns);
}

static int ip_configure(struct click_element *element, struct click_args *args)
{
	struct click_rewriter *rewriter = (struct click_rewriter *)element;
	click_rewriter_init(rewriter, &ip_kind);
	configure_tcp(rewriter, args);
	configure_udp(rewriter, args, UDP_RPC);
	ignore_old_keywords(args);
	return click_rewriter_configure(rewriter, args);
}

static int tcp_configure(struct click_element *element, struct click_args *args)
{
	struct click_rewriter *rewriter = (struct click_rewriter *)element;
	click_rewriter_init(rewriter, &tcp_kind);
	configure_tcp(rewriter, args);
	return click_rewriter_configure(rewriter, args);
}

static int udp_configure(struct click_element *element, struct click_args *args)
{
	struct click_rewriter *rewriter = (struct click_rewriter *)element;
	click_rewriter_init(rewriter, &udp_kind);
	configure_udp(rewriter, args, FLOW_RPC);
	return click_rewriter_configure(rewriter, args);
}

static const struct click_handler ip_handlers[] = {
	CLICK_REWRITER_HANDLERS,
	{.name = "tcp_table", .read = click_rewriter_read_tcp_table},
	{.name = "udp_table", .read = click_rewriter_read_udp_table},
	{.name = "tcp_mappings", .read = click_rewriter_read_tcp_table},
	{.name = "udp_mappings", .read = click_rewriter_read_udp_table},
	{.name = "tcp_lookup",
	 .read = click_rewriter_read_lookup,
	 .write = click_rewriter_write_tcp_lookup},
	{.name = "udp_lookup",
	 .read = click_rewriter_read_lookup,
	 .write = click_rewriter_write_udp_lookup},
	{.name = NULL},
};

static const struct click_handler tcp_handlers[] = {
	CLICK_REWRITER_HANDLERS,
	{.name = "lookup",
	 .read = click_rewriter_read_lookup,
	 .write = click_rewriter_write_tcp_lookup},
	{.name = NULL},
};

static const struct click_handler udp_handlers[] = {
	CLICK_REWRITER_HANDLERS,
	{.name = "lookup",
	 .read = click_rewriter_read_lookup,
	 .write = click_rewriter_write_udp_lookup},
	{.name = NULL},
};

#define REWRITER(class_name, its_configure, its_handlers)                                          \
	const struct click_class click_class_##class_name = {                                      \
		.name = #class_name,                                                               \
		.size = sizeof(struct click_rewriter),                                             \
		.port_count = "1-/1-",                                                             \
		.processing = "h/h",                                                               \
		.configure = its_configure,                                                        \
		.initialize = click_rewriter_initialize,                                           \
		.push = click_rewriter_push,                                                       \
		.run_timer = click_rewriter_run_timer,                                             \
		.handlers = its_handlers,                                                          \
	}

REWRITER(IPRewriter, ip_configure, ip_handlers);
REWRITER(TCPRewriter, tcp_configure, tcp_handlers);
REWRITER(UDPRewriter, udp_configure, udp_handlers);
