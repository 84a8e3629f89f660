/*
 * ICMPPingRewriter: NAT of ICMP echo requests and replies by addresses and identifier.
 *
 * A request's identifier is in the place of the source port, a reply's in that of the destination
 * port; requests and replies have different protocol numbers in keys. Requests create mappings,
 * replies do not.
 */
#include "elements/rewriter.h"

#define SECOND_NS  1000000000ull
#define ECHO_REPLY 0u
#define ECHO	   8u

static unsigned ping_keys(const struct click_rewriter *rewriter, const struct click_ip *ip,
			  struct click_flow_key ret[2], bool *ret_may_create)
{
	(void)rewriter;
	if (ip->protocol != CLICK_ICMP || !click_ip_is_first(ip) ||
	    ip->payload_len < CLICK_ICMP_HEADER)
		return 0;
	uint16_t identifier = click_get_u16(ip->payload + 4);
	ret[0].saddr = click_get_address(ip->header + 12);
	ret[0].daddr = click_get_address(ip->header + 16);
	if (ip->payload[0] == ECHO) {
		ret[0].sport = identifier;
		ret[0].protocol = CLICK_FLOW_ECHO;
		return 1;
	}
	if (ip->payload[0] != ECHO_REPLY)
		return 0;
	ret[0].dport = identifier;
	ret[0].protocol = CLICK_FLOW_ECHO_REPLY;
	*ret_may_create = false;
	return 1;
}

static bool accepts(const struct click_flow_key *forward, const struct click_flow_key *becomes)
{
	(void)forward;
	return becomes->dport == 0;
}

static void rewrite(const struct click_rewriter *rewriter, struct click_packet *packet,
		    const struct click_ip *ip, const struct click_flow *flow, unsigned way)
{
	const struct click_flow_key *other = &flow->key[!way];
	uint16_t identifier = way == 0 ? other->dport : other->sport;
	click_rewriter_set_addresses(ip->header, other->daddr, other->saddr);
	/* ICMP's checksum does not cover addresses. */
	click_rewriter_fix(ip->payload + 2,
			   click_change_u16(click_get_u16(ip->payload + 4), identifier));
	click_put_u16(ip->payload + 4, identifier);
	if (rewriter->has_dst_anno)
		packet->destination = other->saddr;
}

static unsigned timeout(const struct click_rewriter *rewriter, const struct click_ip *ip,
			struct click_flow *flow, unsigned way)
{
	(void)rewriter;
	(void)ip;
	(void)flow;
	(void)way;
	return 0;
}

static const struct click_rewriter_kind kind = {.has_ports = true,
						.keys = ping_keys,
						.accepts = accepts,
						.rewrite = rewrite,
						.timeout = timeout};

static int configure(struct click_element *element, struct click_args *args)
{
	struct click_rewriter *rewriter = (struct click_rewriter *)element;
	uint64_t timeout_ns = 300 * SECOND_NS, guarantee_ns = 5 * SECOND_NS;
	click_rewriter_init(rewriter, &kind);
	click_arg_duration_ns(args, "TIMEOUT", 0, &timeout_ns);
	click_arg_duration_ns(args, "GUARANTEE", 0, &guarantee_ns);
	click_rewriter_timeout(rewriter, 0, timeout_ns, guarantee_ns);
	return click_rewriter_configure(rewriter, args);
}

static const struct click_handler handlers[] = {
	CLICK_REWRITER_HANDLERS,
	{.name = NULL},
};

const struct click_class click_class_ICMPPingRewriter = {
	.name = "ICMPPingRewriter",
	.size = sizeof(struct click_rewriter),
	.port_count = "1-/1-",
	.processing = "h/h",
	.configure = configure,
	.initialize = click_rewriter_initialize,
	.push = click_rewriter_push,
	.run_timer = click_rewriter_run_timer,
	.handlers = handlers,
};
