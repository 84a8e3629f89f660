/*
 * ICMPRewriter(MAPS, DST_ANNO): rewrites ICMP errors about packets that a rewriter of MAPS has
 * rewritten, so that they say what the sender of those packets knows, and reach him.
 *
 * An error has the IP header and the first bytes of the packet that it is about, as that left the
 * rewriter. What replies to that packet would be found in the rewriter's table; the flow found
 * says what the packet was before. Both its header in the error and the error's own addresses are
 * changed accordingly: the destination is the packet's sender; and where the error comes from the
 * packet's very destination, its source is what the sender takes for that. Other sources, routers
 * on the way, stay.
 *
 * All checksums follow incrementally, so that what was wrong stays wrong.
 */
#include <string.h>

#include "elements/out.h"
#include "elements/rewriter.h"

#define MAPS_MAX       16u
#define UNREACHABLE    3u
#define SOURCE_QUENCH  4u
#define REDIRECT       5u
#define TIME_EXCEEDED  11u
#define PARAMETER      12u
#define ECHO	       8u
#define EMBEDDED_BYTES 8u /* of the transport header, which each error has */

struct icmp_rewriter {
	struct click_element element;
	const char *maps_text;
	struct click_rewriter *maps[MAPS_MAX];
	uint32_t maps_count;
	bool has_dst_anno;
	uint64_t rewritten;
};

static int configure(struct click_element *element, struct click_args *args)
{
	struct icmp_rewriter *self = (struct icmp_rewriter *)element;
	self->has_dst_anno = true;
	click_arg_text(args, "MAPS", CLICK_POSITIONAL | CLICK_MANDATORY, &self->maps_text);
	click_arg_bool(args, "DST_ANNO", 0, &self->has_dst_anno);
	return click_args_end(args);
}

static int initialize(struct click_element *element, struct click_args *args)
{
	struct icmp_rewriter *self = (struct icmp_rewriter *)element;
	const char *words[MAPS_MAX];
	unsigned count = click_words(element->router, self->maps_text, words, MAPS_MAX);
	for (unsigned i = 0; i < count; i++) {
		struct click_element *map = click_find(element, words[i]);
		struct click_rewriter *rewriter = map ? click_rewriter_of(map) : NULL;
		if (rewriter)
			self->maps[self->maps_count++] = rewriter;
		else
			click_args_error(args, "'%s' is not a rewriter", words[i]);
	}
	if (count == 0)
		click_args_error(args, "expected rewriters");
	return 0; /* what was told counts */
}

static bool is_error(uint8_t type)
{
	return type == UNREACHABLE || type == SOURCE_QUENCH || type == REDIRECT ||
	       type == TIME_EXCEEDED || type == PARAMETER;
}

/* The header of the packet that the error ICMP is about, and the first bytes behind it. */
static bool get_embedded(const struct click_ip *icmp, struct click_ip *ret)
{
	uint8_t *header = icmp->payload + CLICK_ICMP_HEADER;
	if (icmp->payload_len < CLICK_ICMP_HEADER + CLICK_IP_HEADER || header[0] >> 4 != 4)
		return false;
	uint32_t available = icmp->payload_len - CLICK_ICMP_HEADER;
	uint32_t header_len = (header[0] & 15) * 4u;
	if (header_len < CLICK_IP_HEADER || available < header_len + EMBEDDED_BYTES)
		return false;
	*ret = (struct click_ip){.header = header,
				 .header_len = header_len,
				 .payload = header + header_len,
				 .payload_len = available - header_len,
				 .total_len = click_get_u16(header + 2),
				 .fragment = click_get_u16(header + 6),
				 .protocol = header[9]};
	return click_ip_is_first(ret);
}

/* Where the embedded packet has its ports, or its identifier as a source port; NULL: nowhere. */
static uint8_t *ports_of(const struct click_ip *embedded, bool *ret_is_echo)
{
	*ret_is_echo = embedded->protocol == CLICK_ICMP;
	if (embedded->protocol == CLICK_TCP || embedded->protocol == CLICK_UDP)
		return embedded->payload;
	if (*ret_is_echo && embedded->payload[0] == ECHO)
		return embedded->payload + 4;
	return NULL;
}

/*
 * The flow of the packet EMBEDDED, as it left REWRITER: keys[WAY] is how it came there. NULL:
 * REWRITER has not rewritten it.
 */
static struct click_flow *find_flow(struct click_rewriter *rewriter,
				    const struct click_ip *embedded, unsigned *ret_way)
{
	bool is_echo;
	struct click_flow_key keys[2] = {0};
	const uint8_t *ports = ports_of(embedded, &is_echo);
	uint32_t saddr = click_get_address(embedded->header + 12);
	uint32_t daddr = click_get_address(embedded->header + 16);
	keys[0] = (struct click_flow_key){.saddr = saddr, .daddr = daddr};
	if (rewriter->kind->has_ports) {
		if (!ports)
			return NULL;
		keys[0].sport = click_get_u16(ports);
		keys[0].dport = is_echo ? 0 : click_get_u16(ports + 2);
		keys[0].protocol = embedded->protocol;
	}
	/* Of rewriters of single addresses one or the other address matters. */
	keys[1] = (struct click_flow_key){.daddr = daddr};
	unsigned count = rewriter->kind->is_of_one_address ? 2 : 1;
	if (count == 2)
		keys[0].daddr = 0;
	for (unsigned i = 0; i < count; i++) {
		struct click_flow_key reply = click_flow_reverse(&keys[i]);
		reply.map = rewriter->map;
		uint32_t entry = click_flows_find(&rewriter->flows->table, &reply, click_now_ns());
		if (entry == CLICK_FLOW_NONE)
			continue;
		*ret_way = !(entry % 2);
		return &rewriter->flows->table.flows[entry / 2];
	}
	return NULL;
}

/* Puts VALUE at AT; the change of a checksum that covers it. */
static uint32_t put(uint8_t *at, uint16_t value)
{
	uint32_t change = click_change_u16(click_get_u16(at), value);
	click_put_u16(at, value);
	return change;
}

/* Makes EMBEDDED what KEY says. The change for the checksum of the error around it. */
static uint32_t restore(const struct click_ip *embedded, const struct click_flow_key *key,
			uint32_t saddr, uint32_t daddr, bool has_ports)
{
	bool is_echo;
	uint8_t *ports = ports_of(embedded, &is_echo);
	uint16_t old_sum = click_get_u16(embedded->header + 10);
	uint32_t addresses = click_rewriter_set_addresses(embedded->header, saddr, daddr);
	uint32_t change =
		addresses + click_change_u16(old_sum, click_get_u16(embedded->header + 10));
	uint32_t ports_change = 0;
	if (has_ports && ports) {
		ports_change = put(ports, key->sport);
		if (!is_echo)
			ports_change += put(ports + 2, key->dport);
	}
	change += ports_change;
	uint8_t *sum = NULL;
	if (embedded->protocol == CLICK_UDP)
		sum = embedded->payload + 6;
	else if (embedded->protocol == CLICK_TCP && embedded->payload_len >= 18)
		sum = embedded->payload + 16;
	else if (is_echo && ports)
		sum = embedded->payload + 2;
	if (!sum || (embedded->protocol == CLICK_UDP && click_get_u16(sum) == 0))
		return change;
	old_sum = click_get_u16(sum);
	click_rewriter_fix(sum, is_echo ? ports_change : ports_change + addresses);
	if (embedded->protocol == CLICK_UDP && click_get_u16(sum) == 0)
		click_put_u16(sum, 0xffff);
	return change + click_change_u16(old_sum, click_get_u16(sum));
}

static void rewrite(struct icmp_rewriter *self, struct click_packet *packet,
		    const struct click_ip *icmp, const struct click_ip *embedded,
		    const struct click_rewriter *rewriter, const struct click_flow *flow,
		    unsigned way)
{
	const struct click_flow_key *key = &flow->key[way];
	const uint32_t old_saddr = click_get_address(embedded->header + 12);
	const uint32_t old_daddr = click_get_address(embedded->header + 16);
	/* A key without one of the addresses leaves that as it is. */
	uint32_t saddr = key->saddr ? key->saddr : old_saddr;
	uint32_t daddr = key->daddr ? key->daddr : old_daddr;
	uint32_t change = restore(embedded, key, saddr, daddr, rewriter->kind->has_ports);
	click_rewriter_fix(icmp->payload + 2, change);
	uint32_t from = click_get_address(icmp->header + 12);
	uint32_t to = click_get_address(icmp->header + 16);
	if (from == old_daddr)
		from = daddr;
	if (to == old_saddr)
		to = saddr;
	click_rewriter_set_addresses(icmp->header, from, to);
	if (self->has_dst_anno)
		packet->destination = to;
}

static void push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	struct icmp_rewriter *self = (struct icmp_rewriter *)element;
	struct click_ip icmp, embedded;
	(void)port;
	if (click_ip_get(packet, &icmp) && icmp.protocol == CLICK_ICMP &&
	    click_ip_is_first(&icmp) && icmp.payload_len >= CLICK_ICMP_HEADER &&
	    is_error(icmp.payload[0]) && get_embedded(&icmp, &embedded)) {
		for (uint32_t i = 0; i < self->maps_count; i++) {
			unsigned way;
			const struct click_flow *flow = find_flow(self->maps[i], &embedded, &way);
			if (!flow)
				continue;
			rewrite(self, packet, &icmp, &embedded, self->maps[i], flow, way);
			self->rewritten++;
			click_push(element, 0, packet);
			return;
		}
	}
	click_push(element, 1, packet); /* freed where there is no such output */
}

static uint64_t count_rewritten(struct click_element *element)
{
	return ((const struct icmp_rewriter *)element)->rewritten;
}

static const struct click_handler handlers[] = {
	{.name = "rewritten", .count = count_rewritten},
	{.name = NULL},
};

const struct click_class click_class_ICMPRewriter = {
	.name = "ICMPRewriter",
	.size = sizeof(struct icmp_rewriter),
	.port_count = "1/1-2",
	.processing = "h/h",
	.configure = configure,
	.initialize = initialize,
	.push = push,
	.handlers = handlers,
};
