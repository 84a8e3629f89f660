/*
 * ARPQuerier(IP, ETH [, TABLE, CAPACITY, ..., TIMEOUT, POLL_TIMEOUT, BROADCAST, BROADCAST_POLL]):
 * IP packets at input 0 get an Ethernet header for their destination annotation, ARP's answers come
 * at input 1.
 */
#include <string.h>

#include "elements/arp.h"
#include "elements/out_more.h"
#include "ip.h"

#define NS_PER_S 1000000000ull

static const uint8_t everybody[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

struct querier {
	struct click_element element;
	struct arp_table *table; /* OWN, or an ARPTable's */
	struct arp_table own;
	uint32_t ip, broadcast;
	uint8_t ether[6];
	uint64_t poll_ns;
	bool polls_everybody;
	uint64_t queries, responses, drops;
};

/* --- configuration --- */

/* One name may be short for both addresses. The network of IP, if it has one, is that which
 * broadcasts are of. */
static void read_addresses(struct querier *querier, struct click_args *args)
{
	struct click_router *router = querier->element.router;
	const char *ip = NULL, *ether = NULL;
	uint32_t address, mask = UINT32_MAX;
	click_arg_text(args, "IP", CLICK_POSITIONAL | CLICK_MANDATORY, &ip);
	click_arg_text(args, "ETH", CLICK_POSITIONAL, &ether);
	if (!ip)
		return;
	if (!click_parse_ip_prefix_name(router, ip, &querier->ip, &mask))
		click_args_error(args, "IP: '%s' is no IP address", ip);
	if (!click_parse_ether_name(router, ether ? ether : ip, querier->ether))
		click_args_error(args, "ETH: '%s' is no Ethernet address", ether ? ether : ip);
	if (click_parse_net_name(router, ip, &address, &mask) && mask != UINT32_MAX)
		querier->broadcast = address | ~mask;
}

static int configure(struct click_element *element, struct click_args *args)
{
	struct querier *querier = (struct querier *)element;
	struct click_element *table = NULL;
	querier->broadcast = UINT32_MAX;
	querier->poll_ns = 60 * NS_PER_S;
	querier->table = &querier->own;
	arp_table_init(&querier->own, element->router);
	read_addresses(querier, args);
	click_arg_element(args, "TABLE", 0, &table);
	arp_table_configure(&querier->own, args);
	click_arg_duration_ns(args, "POLL_TIMEOUT", 0, &querier->poll_ns);
	click_arg_ip(args, "BROADCAST", 0, &querier->broadcast);
	click_arg_bool(args, "BROADCAST_POLL", 0, &querier->polls_everybody);
	if (table)
		querier->table = arp_table_of(table);
	if (!querier->table)
		click_args_error(args, "TABLE: '%s' is no ARPTable", table->more->name);
	return click_args_end(args);
}

static void run_timer(struct click_element *element)
{
	click_timer_set(element, arp_table_expire(&((struct querier *)element)->own));
}

static int initialize(struct click_element *element, struct click_args *args)
{
	struct querier *querier = (struct querier *)element;
	if (querier->table != &querier->own)
		return 0;
	if (arp_table_initialize(&querier->own, args) < 0)
		return -1;
	if (querier->own.timeout_ns)
		run_timer(element);
	return 0;
}

/* --- packets --- */

/* What of a packet its query gets, which may be gone by then. */
struct reason {
	uint32_t ip;
	uint16_t vlan_tci;
	uint64_t time_ns;
};

/* Asks for an address: everybody, or (a poll) who had it. */
static void ask(struct querier *querier, const struct reason *reason, const uint8_t dst[6])
{
	struct click_element *element = &querier->element;
	struct click_packet *query = click_packet_new(element->router, ARP_BYTES);
	if (!query)
		return;
	struct arp_packet arp = {
		.operation = ARP_REQUEST,
		.sender_ip = querier->ip,
		.target_ip = reason->ip,
	};
	memcpy(arp.sender, querier->ether, 6);
	arp_write(query->data, &arp, dst);
	query->mac = 0;
	query->vlan_tci = reason->vlan_tci;
	query->time_ns = reason->time_ns;
	querier->queries++;
	click_push(element, element->outputs_count > 1, query);
}

static void drop(struct querier *querier, struct click_packet *packet)
{
	querier->drops++;
	click_kill(&querier->element, packet);
}

static void send(struct querier *querier, struct click_packet *packet, const uint8_t dst[6])
{
	if (!click_packet_push(packet, CLICK_ETHER_HEADER)) {
		drop(querier, packet);
		return;
	}
	memcpy(packet->data, dst, 6);
	memcpy(packet->data + 6, querier->ether, 6);
	click_put_u16(packet->data + 12, CLICK_ETHERTYPE_IP);
	click_ether_mark(packet);
	click_push(&querier->element, 0, packet);
}

/* Addresses of many have Ethernet addresses of their own (RFC 1112). */
static bool get_group(const struct querier *querier, uint32_t ip, uint8_t ret[6])
{
	uint32_t host = click_address_to_host(ip);
	if (ip == UINT32_MAX || ip == querier->broadcast) {
		memcpy(ret, everybody, 6);
		return true;
	}
	if (host >> 28 != 14)
		return false;
	click_put_u16(ret, 0x0100);
	click_put_u32(ret + 2, 0x5e000000 | (host & 0x7fffff));
	return true;
}

static void push_ip(struct querier *querier, struct click_packet *packet)
{
	const struct reason reason = {packet->destination, packet->vlan_tci, packet->time_ns};
	uint8_t ether[6];
	if (!reason.ip) {
		drop(querier, packet);
		return;
	}
	if (get_group(querier, reason.ip, ether)) {
		send(querier, packet, ether);
		return;
	}
	enum arp_answer answer =
		arp_table_lookup(querier->table, reason.ip, querier->poll_ns, ether);
	if (answer == ARP_UNKNOWN) {
		if (arp_table_wait(querier->table, reason.ip, packet))
			ask(querier, &reason, everybody);
		return;
	}
	if (answer == ARP_KNOWN_POLL)
		ask(querier, &reason, querier->polls_everybody ? everybody : ether);
	send(querier, packet, ether);
}

/* Packets that waited go where each now belongs, in their order. */
static void push_all(struct querier *querier, struct click_packet *waiting)
{
	while (waiting) {
		struct click_packet *next = waiting->next;
		waiting->next = NULL;
		push_ip(querier, waiting);
		waiting = next;
	}
}

/* What claims the address of many, or of this host itself, is not believed. */
static void push_response(struct querier *querier, struct click_packet *packet)
{
	struct arp_packet arp;
	bool is_reply = arp_read(packet, &arp) && arp.operation == ARP_REPLY;
	click_kill(&querier->element, packet);
	if (!is_reply)
		return;
	querier->responses++;
	if ((arp.sender[0] & 1) || arp.sender_ip == querier->ip)
		return;
	push_all(querier, arp_table_insert(querier->table, arp.sender_ip, arp.sender, true));
}

static void push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	if (port == 0)
		push_ip((struct querier *)element, packet);
	else
		push_response((struct querier *)element, packet);
}

/* --- handlers --- */

static struct querier *of(struct click_element *element)
{
	return (struct querier *)element;
}

static uint64_t count_queries(struct click_element *element)
{
	return of(element)->queries;
}

static uint64_t count_responses(struct click_element *element)
{
	return of(element)->responses;
}

static uint64_t count_drops(struct click_element *element)
{
	return of(element)->drops + of(element)->table->drops;
}

static uint64_t count_entries(struct click_element *element)
{
	return of(element)->table->count;
}

static uint64_t count_waiting(struct click_element *element)
{
	return of(element)->table->packets;
}

static uint32_t read_ip(struct click_element *element, char *out, uint32_t size)
{
	struct click_out text;
	click_out_init(&text, out, size);
	click_out_ip(&text, of(element)->ip);
	return text.len;
}

static int write_ip(struct click_element *element, const char *text, struct click_args *args)
{
	if (click_parse_ip_name(element->router, text, &of(element)->ip))
		return 0;
	click_args_error(args, "'%s' is no IP address", text);
	return -1;
}

static uint32_t read_broadcast(struct click_element *element, char *out, uint32_t size)
{
	struct click_out text;
	click_out_init(&text, out, size);
	click_out_ip(&text, of(element)->broadcast);
	return text.len;
}

static int write_broadcast(struct click_element *element, const char *text, struct click_args *args)
{
	if (click_parse_ip_name(element->router, text, &of(element)->broadcast))
		return 0;
	click_args_error(args, "'%s' is no IP address", text);
	return -1;
}

static uint32_t read_table(struct click_element *element, char *out, uint32_t size)
{
	return arp_table_text(of(element)->table, out, size);
}

static uint32_t read_stats(struct click_element *element, char *out, uint32_t size)
{
	struct click_out text;
	click_out_init(&text, out, size);
	click_out_u64(&text, count_drops(element));
	click_out_add(&text, " packets killed\n");
	click_out_u64(&text, of(element)->queries);
	click_out_add(&text, " ARP queries sent\n");
	return text.len;
}

static int write_insert(struct click_element *element, const char *text, struct click_args *args)
{
	struct click_packet *waiting = NULL;
	if (arp_table_insert_text(of(element)->table, text, args, &waiting) < 0)
		return -1;
	push_all(of(element), waiting);
	return 0;
}

static int write_delete(struct click_element *element, const char *text, struct click_args *args)
{
	return arp_table_delete_text(of(element)->table, text, args);
}

static int write_clear(struct click_element *element, const char *text, struct click_args *args)
{
	struct querier *querier = of(element);
	querier->queries = querier->responses = querier->drops = 0;
	arp_table_clear(querier->table);
	return 0;
}

static const struct click_handler handlers[] = {
	{.name = "ipaddr", .read = read_ip, .write = write_ip},
	{.name = "broadcast", .read = read_broadcast, .write = write_broadcast},
	{.name = "table", .read = read_table},
	{.name = "stats", .read = read_stats},
	{.name = "queries", .count = count_queries},
	{.name = "responses", .count = count_responses},
	{.name = "drops", .count = count_drops},
	{.name = "count", .count = count_entries},
	{.name = "length", .count = count_waiting},
	{.name = "insert", .write = write_insert},
	{.name = "delete", .write = write_delete},
	{.name = "clear", .write = write_clear},
	{.name = NULL},
};

const struct click_class click_class_ARPQuerier = {
	.name = "ARPQuerier",
	.size = sizeof(struct querier),
	.port_count = "2/1-2",
	.processing = "h/h",
	.flow_code = "xy/x",
	.configure = configure,
	.initialize = initialize,
	.push = push,
	.run_timer = run_timer,
	.handlers = handlers,
};
