/*
 * IPAddrRewriter and IPAddrPairRewriter: NAT of addresses alone, for all protocols and fragments.
 *
 * IPAddrRewriter's mappings are between one source address and another: packets from the first get
 * the second, packets to the second go to the first. IPAddrPairRewriter's are between pairs of
 * addresses. Ports of keys are 0, and so is the address that does not matter.
 */
#include "elements/rewriter.h"

#define SECOND_NS 1000000000ull

static unsigned addr_keys(const struct click_rewriter *rewriter, const struct click_ip *ip,
			  struct click_flow_key ret[2], bool *ret_may_create)
{
	(void)rewriter;
	(void)ret_may_create;
	ret[0].saddr = click_get_address(ip->header + 12);
	ret[1].daddr = click_get_address(ip->header + 16);
	return 2;
}

static unsigned pair_keys(const struct click_rewriter *rewriter, const struct click_ip *ip,
			  struct click_flow_key ret[2], bool *ret_may_create)
{
	(void)rewriter;
	(void)ret_may_create;
	ret[0].saddr = click_get_address(ip->header + 12);
	ret[0].daddr = click_get_address(ip->header + 16);
	return 1;
}

/* Only sources: what a pattern or a mapper says of destinations would be lost. */
static bool addr_accepts(const struct click_flow_key *forward, const struct click_flow_key *becomes)
{
	(void)forward;
	return becomes->daddr == 0;
}

/* Checksums of TCP and UDP cover the addresses. */
static void fix_transport(const struct click_ip *ip, uint32_t change)
{
	if (!click_ip_is_first(ip))
		return;
	if (ip->protocol == CLICK_TCP && ip->payload_len >= 18)
		click_rewriter_fix(ip->payload + 16, change);
	if (ip->protocol != CLICK_UDP || ip->payload_len < CLICK_UDP_HEADER ||
	    click_get_u16(ip->payload + 6) == 0)
		return;
	click_rewriter_fix(ip->payload + 6, change);
	if (click_get_u16(ip->payload + 6) == 0)
		click_put_u16(ip->payload + 6, 0xffff);
}

static void rewrite_addr(const struct click_rewriter *rewriter, struct click_packet *packet,
			 const struct click_ip *ip, const struct click_flow *flow, unsigned way)
{
	uint32_t saddr = click_get_address(ip->header + 12);
	uint32_t daddr = click_get_address(ip->header + 16);
	if (way == 0) {
		saddr = flow->key[1].daddr;
	} else {
		daddr = flow->key[0].saddr;
		if (rewriter->has_dst_anno)
			packet->destination = daddr;
	}
	fix_transport(ip, click_rewriter_set_addresses(ip->header, saddr, daddr));
}

static void rewrite_pair(const struct click_rewriter *rewriter, struct click_packet *packet,
			 const struct click_ip *ip, const struct click_flow *flow, unsigned way)
{
	const struct click_flow_key *other = &flow->key[!way];
	fix_transport(ip, click_rewriter_set_addresses(ip->header, other->daddr, other->saddr));
	if (rewriter->has_dst_anno)
		packet->destination = other->saddr;
}

static unsigned one_timeout(const struct click_rewriter *rewriter, const struct click_ip *ip,
			    struct click_flow *flow, unsigned way)
{
	(void)rewriter;
	(void)ip;
	(void)flow;
	(void)way;
	return 0;
}

static const struct click_rewriter_kind addr_kind = {.is_of_one_address = true,
						     .keys = addr_keys,
						     .accepts = addr_accepts,
						     .rewrite = rewrite_addr,
						     .timeout = one_timeout};
static const struct click_rewriter_kind pair_kind = {
	.keys = pair_keys, .rewrite = rewrite_pair, .timeout = one_timeout};

static int configure(struct click_element *element, const struct click_rewriter_kind *kind,
		     uint64_t timeout_ns, struct click_args *args)
{
	struct click_rewriter *rewriter = (struct click_rewriter *)element;
	uint64_t guarantee_ns = 5 * SECOND_NS;
	click_rewriter_init(rewriter, kind);
	click_arg_duration_ns(args, "TIMEOUT", 0, &timeout_ns);
	click_arg_duration_ns(args, "GUARANTEE", 0, &guarantee_ns);
	click_rewriter_timeout(rewriter, 0, timeout_ns, guarantee_ns);
	return click_rewriter_configure(rewriter, args);
}

static int addr_configure(struct click_element *element, struct click_args *args)
{
	if (configure(element, &addr_kind, 300 * SECOND_NS, args) < 0)
		return -1;
	const struct click_rewriter *rewriter = (const struct click_rewriter *)element;
	for (uint32_t i = 0; i < rewriter->inputs_count; i++) {
		const struct click_pattern *pattern = rewriter->inputs[i].pattern;
		if (pattern && pattern->daddr)
			click_args_error(args, "DADDR of a pattern must be '-': destinations "
					       "are IPAddrPairRewriter's");
	}
	return click_args_end(args);
}

static int pair_configure(struct click_element *element, struct click_args *args)
{
	return configure(element, &pair_kind, 300 * SECOND_NS, args);
}

static const struct click_handler handlers[] = {
	CLICK_REWRITER_HANDLERS,
	{.name = NULL},
};

const struct click_class click_class_IPAddrRewriter = {
	.name = "IPAddrRewriter",
	.size = sizeof(struct click_rewriter),
	.port_count = "1-/1-",
	.processing = "h/h",
	.configure = addr_configure,
	.initialize = click_rewriter_initialize,
	.push = click_rewriter_push,
	.run_timer = click_rewriter_run_timer,
	.handlers = handlers,
};

const struct click_class click_class_IPAddrPairRewriter = {
	.name = "IPAddrPairRewriter",
	.size = sizeof(struct click_rewriter),
	.port_count = "1-/1-",
	.processing = "h/h",
	.configure = pair_configure,
	.initialize = click_rewriter_initialize,
	.push = click_rewriter_push,
	.run_timer = click_rewriter_run_timer,
	.handlers = handlers,
};
