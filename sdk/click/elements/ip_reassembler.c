/*
 * IPReassembler([HIMEM, MAX_MTU_ANNO]): fragments to packets (RFC 791, RFC 815).
 *
 * A datagram in the making is one packet of the pool, with the payload in place, and a slot that
 * says which blocks of eight bytes are there. So memory is bounded by the number of slots, however
 * many fragments there are, and so is work: each fragment is copied once.
 *
 * Fragments that overlap must agree in what both have; a datagram of which some do not is given up
 * with all it has, as two of its readers might see different ones. A datagram has to fit into a
 * packet (CLICK_PACKET_MAX).
 */
#include <string.h>

#include "elements/out_more.h"
#include "ip.h"

#define NS_PER_S   1000000000ull
#define TIMEOUT_NS (30 * NS_PER_S)
#define REAP_NS	   (10 * NS_PER_S)
#define HIMEM	   (256u << 10)
#define SLOTS_MAX  1024u
#define BUCKETS	   64u
#define BLOCKS	   (CLICK_PACKET_MAX / 8)
#define FRONT_MAX  CLICK_HEADROOM
/* What a slot costs with its packet's buffer. */
#define SLOT_BYTES ((uint32_t)sizeof(struct slot) + CLICK_HEADROOM + CLICK_PACKET_MAX)

struct slot {
	struct click_packet *packet; /* NULL: the slot is free. Its data are the payload's. */
	uint32_t src, dst;
	uint16_t id;
	uint8_t protocol;
	bool has_first, has_last;
	uint32_t len;	 /* of the payload, as far as is known */
	uint32_t blocks; /* that are there */
	uint32_t mtu;	 /* the largest fragment, with its header */
	uint64_t used_ns;
	uint8_t present[BLOCKS / 8];
	/* What is in front of the payload: up to the IP header's end, and where in it headers and
	 * the data began. */
	uint8_t front[FRONT_MAX];
	uint32_t front_len, header_len, data_at;
	int32_t mac_at; /* below zero: there was none */
	struct slot *hash_next;
	struct slot *older, *newer; /* by used_ns */
};

struct reassembler {
	struct click_element element;
	uint32_t himem, mtu_anno;
	bool has_mtu_anno;
	struct slot *slots, *free; /* by hash_next */
	struct slot *buckets[BUCKETS];
	struct slot *oldest, *newest;
	uint32_t count, slots_max;
	uint64_t fragments, good, failed, bad;
};

static int configure(struct click_element *element, struct click_args *args)
{
	struct reassembler *r = (struct reassembler *)element;
	uint32_t none = UINT32_MAX;
	r->himem = HIMEM;
	r->mtu_anno = none;
	click_arg_u32(args, "HIMEM", 0, &r->himem);
	click_arg_anno(args, "MAX_MTU_ANNO", 0, 2, &r->mtu_anno);
	r->has_mtu_anno = r->mtu_anno != none;
	return click_args_end(args);
}

static void run_timer(struct click_element *element);

static int initialize(struct click_element *element, struct click_args *args)
{
	struct reassembler *r = (struct reassembler *)element;
	r->slots_max = r->himem / SLOT_BYTES;
	if (r->slots_max < 1)
		r->slots_max = 1;
	if (r->slots_max > SLOTS_MAX)
		r->slots_max = SLOTS_MAX;
	click_reserve_packets(element->router, r->slots_max);
	r->slots = click_alloc(element->router, r->slots_max * sizeof(*r->slots));
	if (!r->slots) {
		click_args_error(args, "there is no memory for HIMEM %u", r->himem);
		return -1;
	}
	for (uint32_t i = r->slots_max; i-- > 0;) {
		r->slots[i].hash_next = r->free;
		r->free = &r->slots[i];
	}
	run_timer(element);
	return 0;
}

/* --- slots --- */

static struct slot **bucket(struct reassembler *r, uint16_t id)
{
	return &r->buckets[(id ^ id >> 8) % BUCKETS];
}

static struct slot *find(struct reassembler *r, const struct click_ip *ip)
{
	uint16_t id = click_get_u16(ip->header + 4);
	struct slot *slot = *bucket(r, id);
	while (slot && (slot->id != id || slot->protocol != ip->protocol ||
			slot->src != click_get_address(ip->header + 12) ||
			slot->dst != click_get_address(ip->header + 16)))
		slot = slot->hash_next;
	return slot;
}

static void unlink_age(struct reassembler *r, struct slot *slot)
{
	*(slot->older ? &slot->older->newer : &r->oldest) = slot->newer;
	*(slot->newer ? &slot->newer->older : &r->newest) = slot->older;
}

static void link_newest(struct reassembler *r, struct slot *slot)
{
	slot->used_ns = click_now_ns();
	slot->older = r->newest;
	slot->newer = NULL;
	*(r->newest ? &r->newest->newer : &r->oldest) = slot;
	r->newest = slot;
}

/* Frees SLOT; its packet is the caller's. */
static struct click_packet *release(struct reassembler *r, struct slot *slot)
{
	struct click_packet *packet = slot->packet;
	struct slot **at = bucket(r, slot->id);
	while (*at != slot)
		at = &(*at)->hash_next;
	*at = slot->hash_next;
	unlink_age(r, slot);
	slot->packet = NULL;
	slot->hash_next = r->free;
	r->free = slot;
	r->count--;
	return packet;
}

static bool is_present(const struct slot *slot, uint32_t block)
{
	return slot->present[block / 8] >> (block % 8) & 1;
}

/* Puts the headers in front of PACKET's LEN bytes of payload from FROM on, with FRAGMENT as that
 * field. False: there is no room. */
static bool put_front(const struct slot *slot, struct click_packet *packet, uint32_t from,
		      uint32_t len, uint16_t fragment)
{
	uint32_t network = slot->front_len - slot->header_len;
	click_packet_take(packet, packet->len - from - len);
	if (!click_packet_pull(packet, from) || !click_packet_push(packet, slot->front_len))
		return false;
	memcpy(packet->data, slot->front, slot->front_len);
	uint8_t *header = packet->data + network;
	click_put_u16(header + 2, slot->header_len + len);
	click_put_u16(header + 6, fragment);
	click_ip_set_checksum(header, slot->header_len);
	packet->mac = slot->mac_at < 0 ? CLICK_NO_HEADER : (int16_t)slot->mac_at;
	click_ip_mark(packet, (int32_t)network, slot->header_len);
	return click_packet_pull(packet, slot->data_at);
}

/*
 * Gives a datagram up. Output 1 gets what there is, in its place: from the first block on, with
 * zeroes for those that are missing. Where the first fragment is not there it stays a fragment, so
 * that nobody answers it (RFC 1122 3.2.2.4).
 */
static void give_up(struct reassembler *r, struct slot *slot)
{
	struct click_element *element = &r->element;
	uint32_t from = 0;
	while (from < BLOCKS && !is_present(slot, from))
		from++;
	for (uint32_t block = from; block < (slot->len + 7) / 8; block++) {
		if (!is_present(slot, block))
			memset(slot->packet->data + 8 * block, 0, 8);
	}
	uint16_t fragment = (uint16_t)(from | (slot->has_last ? 0 : CLICK_IP_MF));
	r->failed++;
	struct click_packet *packet = release(r, slot);
	if (element->outputs_count > 1 && 8 * from < slot->len &&
	    put_front(slot, packet, 8 * from, slot->len - 8 * from, from ? fragment : 0))
		click_push(element, 1, packet);
	else
		click_kill(element, packet);
}

static void run_timer(struct click_element *element)
{
	struct reassembler *r = (struct reassembler *)element;
	uint64_t now = click_now_ns();
	while (r->oldest && now - r->oldest->used_ns > TIMEOUT_NS)
		give_up(r, r->oldest);
	click_timer_set(element, now + REAP_NS);
}

static struct slot *make(struct reassembler *r, const struct click_ip *ip)
{
	/* Above HIMEM the oldest go until three quarters are left. */
	if (!r->free) {
		uint32_t goal = r->slots_max - (r->slots_max + 3) / 4;
		while (r->count > goal)
			give_up(r, r->oldest);
	}
	struct click_packet *packet = click_packet_new(r->element.router, CLICK_PACKET_MAX);
	if (!packet)
		return NULL;
	struct slot *slot = r->free;
	r->free = slot->hash_next;
	*slot = (struct slot){
		.packet = packet,
		.src = click_get_address(ip->header + 12),
		.dst = click_get_address(ip->header + 16),
		.id = click_get_u16(ip->header + 4),
		.protocol = ip->protocol,
	};
	struct slot **at = bucket(r, slot->id);
	slot->hash_next = *at;
	*at = slot;
	link_newest(r, slot);
	r->count++;
	return slot;
}

/* --- fragments --- */

/* The headers of the first fragment, or until then of any, are those of the datagram. */
static void keep_front(struct slot *slot, const struct click_packet *packet,
		       const struct click_ip *ip)
{
	bool is_first = click_ip_is_first(ip);
	if (slot->has_first || (!is_first && slot->header_len))
		return;
	/* What of it is stripped is in front of the data. */
	int32_t start = packet->network < 0 ? packet->network : 0;
	bool has_mac = packet->mac != CLICK_NO_HEADER && packet->mac < packet->network;
	if (has_mac && packet->mac < start)
		start = packet->mac;
	uint32_t len = (uint32_t)(packet->network - start) + ip->header_len;
	if (len > FRONT_MAX || !click_packet_header(packet, (int16_t)start, len)) {
		has_mac = false;
		start = packet->network;
		len = ip->header_len;
	}
	memcpy(slot->front, ip->header + ip->header_len - len, len);
	slot->front_len = len;
	slot->header_len = ip->header_len;
	slot->mac_at = has_mac ? packet->mac - start : -1;
	slot->data_at = start < 0 ? (uint32_t)-start : 0;
	slot->has_first = is_first;
	click_copy_annotations(slot->packet, packet);
}

/* Copies LEN bytes of payload to OFFSET. False: what is there is different. */
static bool copy(struct slot *slot, uint32_t offset, const uint8_t *payload, uint32_t len)
{
	for (uint32_t at = 0; at < len; at += 8) {
		uint32_t block = (offset + at) / 8;
		uint32_t bytes = len - at < 8 ? len - at : 8;
		uint8_t *to = slot->packet->data + offset + at;
		if (is_present(slot, block)) {
			if (memcmp(to, payload + at, bytes) != 0)
				return false;
			continue;
		}
		memcpy(to, payload + at, bytes);
		slot->present[block / 8] |= (uint8_t)(1u << (block % 8));
		slot->blocks++;
	}
	return true;
}

/* Adds a fragment. False: it contradicts the others. */
static bool add(struct slot *slot, const struct click_packet *packet, const struct click_ip *ip)
{
	uint32_t offset = (ip->fragment & CLICK_IP_OFFSET) * 8u;
	uint32_t end = offset + ip->payload_len;
	bool is_last = !(ip->fragment & CLICK_IP_MF);
	if (slot->has_last ? end > slot->len || (is_last && end != slot->len)
			   : is_last && end < slot->len)
		return false;
	keep_front(slot, packet, ip);
	if (!copy(slot, offset, ip->payload, ip->payload_len))
		return false;
	slot->has_last |= is_last;
	if (end > slot->len)
		slot->len = end;
	if (slot->mtu < ip->total_len)
		slot->mtu = ip->total_len;
	/* The datagram is as old as what completes it. */
	slot->packet->time_ns = packet->time_ns;
	return true;
}

static struct click_packet *finish(struct reassembler *r, struct slot *slot)
{
	uint32_t len = slot->len, mtu = slot->mtu;
	/* Who forbade to fragment a fragment forbids it of the whole. */
	const uint8_t *header = slot->front + slot->front_len - slot->header_len;
	uint16_t forbids = click_get_u16(header + 6) & CLICK_IP_DF;
	struct click_packet *packet = release(r, slot);
	if (slot->header_len + len > CLICK_PACKET_MAX ||
	    !put_front(slot, packet, 0, len, forbids)) {
		r->failed++;
		click_kill(&r->element, packet);
		return NULL;
	}
	if (r->has_mtu_anno)
		click_anno_set(packet, r->mtu_anno, 2, mtu);
	r->good++;
	return packet;
}

/* Whether IP is a fragment that can be part of something. */
static bool is_good(const struct click_ip *ip)
{
	uint32_t end = (ip->fragment & CLICK_IP_OFFSET) * 8u + ip->payload_len;
	return ip->total_len == ip->header_len + ip->payload_len && ip->payload_len > 0 &&
	       (!(ip->fragment & CLICK_IP_MF) || ip->payload_len % 8 == 0) &&
	       end + CLICK_IP_HEADER <= CLICK_PACKET_MAX;
}

static struct click_packet *simple(struct click_element *element, struct click_packet *packet)
{
	struct reassembler *r = (struct reassembler *)element;
	struct click_ip ip;
	if (!click_ip_get(packet, &ip)) {
		r->bad++;
		click_kill(element, packet);
		return NULL;
	}
	if (!(ip.fragment & (CLICK_IP_OFFSET | CLICK_IP_MF)))
		return packet;
	r->fragments++;
	struct slot *slot = is_good(&ip) ? find(r, &ip) : NULL;
	if (!slot && is_good(&ip))
		slot = make(r, &ip);
	bool is_added = slot && add(slot, packet, &ip);
	click_kill(element, packet);
	if (!is_added) {
		r->bad++;
		if (slot)
			give_up(r, slot);
		return NULL;
	}
	unlink_age(r, slot);
	link_newest(r, slot);
	bool is_whole = slot->has_last && slot->has_first && slot->blocks == (slot->len + 7) / 8;
	return is_whole ? finish(r, slot) : NULL;
}

/* --- handlers --- */

static uint64_t count_fragments(struct click_element *element)
{
	return ((struct reassembler *)element)->fragments;
}

static uint64_t count_good(struct click_element *element)
{
	return ((struct reassembler *)element)->good;
}

static uint64_t count_failed(struct click_element *element)
{
	return ((struct reassembler *)element)->failed;
}

static uint64_t count_bad(struct click_element *element)
{
	return ((struct reassembler *)element)->bad;
}

static uint64_t count_waiting(struct click_element *element)
{
	return ((struct reassembler *)element)->count;
}

static const struct click_handler handlers[] = {
	{.name = "fragments", .count = count_fragments}, {.name = "good", .count = count_good},
	{.name = "failed", .count = count_failed},	 {.name = "bad", .count = count_bad},
	{.name = "length", .count = count_waiting},	 {.name = NULL},
};

const struct click_class click_class_IPReassembler = {
	.name = "IPReassembler",
	.size = sizeof(struct reassembler),
	.port_count = "1/1-2",
	.processing = "a/ah",
	.configure = configure,
	.initialize = initialize,
	.simple = simple,
	.run_timer = run_timer,
	.handlers = handlers,
};
