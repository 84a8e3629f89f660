/*
 * ARP's packets and table; the elements are in arp_elements.c and arp_querier.c.
 */
#include <string.h>

#include "elements/arp.h"
#include "elements/out_more.h"
#include "ip.h"

#define NS_PER_S 1000000000ull
/* Ten questions a second; after ten without an answer, one each two seconds. */
#define POLL_FAST_NS (NS_PER_S / 10)
#define POLL_SLOW_NS (2 * NS_PER_S)
#define POLLS_FAST   10u

/* --- packets --- */

static const uint8_t fixed[8] = {0, 1, 8, 0, 6, 4}; /* Ethernet, IPv4, and their lengths */

bool arp_read(const struct click_packet *packet, struct arp_packet *ret)
{
	const uint8_t *arp = packet->data + CLICK_ETHER_HEADER;
	if (packet->len < ARP_BYTES || click_get_u16(packet->data + 12) != CLICK_ETHERTYPE_ARP ||
	    memcmp(arp, fixed, 6) != 0)
		return false;
	ret->operation = click_get_u16(arp + 6);
	memcpy(ret->sender, arp + 8, 6);
	ret->sender_ip = click_get_address(arp + 14);
	memcpy(ret->target, arp + 18, 6);
	ret->target_ip = click_get_address(arp + 24);
	return true;
}

void arp_write(uint8_t *out, const struct arp_packet *packet, const uint8_t dst[6])
{
	uint8_t *arp = out + CLICK_ETHER_HEADER;
	memmove(out, dst, 6);
	memcpy(out + 6, packet->sender, 6);
	click_put_u16(out + 12, CLICK_ETHERTYPE_ARP);
	memcpy(arp, fixed, 6);
	click_put_u16(arp + 6, packet->operation);
	memcpy(arp + 8, packet->sender, 6);
	click_put_address(arp + 14, packet->sender_ip);
	memcpy(arp + 18, packet->target, 6);
	click_put_address(arp + 24, packet->target_ip);
}

/* --- making one --- */

void arp_table_init(struct arp_table *table, struct click_router *router)
{
	table->router = router;
	table->timeout_ns = 300 * NS_PER_S;
	table->capacity = 2048;
	table->slim_factor = 2;
}

void arp_table_configure(struct arp_table *table, struct click_args *args)
{
	click_arg_u32(args, "CAPACITY", 0, &table->capacity);
	click_arg_u32(args, "ENTRY_CAPACITY", 0, &table->entry_capacity);
	click_arg_u32(args, "ENTRY_PACKET_CAPACITY", 0, &table->entry_packet_capacity);
	click_arg_u32(args, "CAPACITY_SLIM_FACTOR", 0, &table->slim_factor);
	click_arg_duration_ns(args, "TIMEOUT", 0, &table->timeout_ns);
	if (!table->slim_factor)
		click_args_error(args, "CAPACITY_SLIM_FACTOR is at least 1");
}

int arp_table_initialize(struct arp_table *table, struct click_args *args)
{
	if (!table->entry_capacity || table->entry_capacity > ARP_ENTRIES_MAX)
		table->entry_capacity = ARP_ENTRIES_MAX;
	click_reserve_packets(table->router, table->capacity);
	table->entries =
		click_alloc(table->router, table->entry_capacity * sizeof(*table->entries));
	if (!table->entries) {
		click_args_error(args, "there is no memory for %u entries", table->entry_capacity);
		return -1;
	}
	for (uint32_t i = table->entry_capacity; i-- > 0;) {
		table->entries[i].hash_next = table->free;
		table->free = &table->entries[i];
	}
	return 0;
}

/* --- entries --- */

static struct arp_entry **bucket(struct arp_table *table, uint32_t ip)
{
	uint32_t host = click_address_to_host(ip);
	return &table->buckets[(host ^ host >> 8 ^ host >> 16) % ARP_BUCKETS];
}

static struct arp_entry *find(struct arp_table *table, uint32_t ip)
{
	struct arp_entry *entry = *bucket(table, ip);
	while (entry && entry->ip != ip)
		entry = entry->hash_next;
	return entry;
}

static void unlink_age(struct arp_table *table, struct arp_entry *entry)
{
	*(entry->older ? &entry->older->newer : &table->oldest) = entry->newer;
	*(entry->newer ? &entry->newer->older : &table->newest) = entry->older;
}

static void link_newest(struct arp_table *table, struct arp_entry *entry)
{
	entry->older = table->newest;
	entry->newer = NULL;
	*(table->newest ? &table->newest->newer : &table->oldest) = entry;
	table->newest = entry;
}

static void drop_first(struct arp_table *table, struct arp_entry *entry)
{
	struct click_packet *packet = entry->first;
	entry->first = packet->next;
	if (!entry->first)
		entry->last = NULL;
	packet->next = NULL;
	click_packet_free(table->router, packet);
	entry->packets--;
	table->packets--;
	table->drops++;
}

static void forget(struct arp_table *table, struct arp_entry *entry)
{
	while (entry->first)
		drop_first(table, entry);
	struct arp_entry **at = bucket(table, entry->ip);
	while (*at != entry)
		at = &(*at)->hash_next;
	*at = entry->hash_next;
	unlink_age(table, entry);
	*entry = (struct arp_entry){.hash_next = table->free};
	table->free = entry;
	table->count--;
}

static bool is_expired(const struct arp_table *table, const struct arp_entry *entry, uint64_t now)
{
	return table->timeout_ns && now - entry->live_ns > table->timeout_ns;
}

static struct arp_entry *ensure(struct arp_table *table, uint32_t ip, uint64_t now)
{
	struct arp_entry *entry = find(table, ip);
	if (entry)
		return entry;
	if (!table->free)
		forget(table, table->oldest);
	entry = table->free;
	table->free = entry->hash_next;
	struct arp_entry **at = bucket(table, ip);
	*entry = (struct arp_entry){.ip = ip, .live_ns = now, .hash_next = *at};
	memset(entry->ether, 0xff, sizeof(entry->ether));
	*at = entry;
	link_newest(table, entry);
	table->count++;
	return entry;
}

static bool may_poll(struct arp_entry *entry, uint64_t now)
{
	uint64_t pause = entry->polls >= POLLS_FAST ? POLL_SLOW_NS : POLL_FAST_NS;
	if (entry->polled_ns && now - entry->polled_ns < pause)
		return false;
	entry->polled_ns = now;
	if (entry->polls < UINT8_MAX)
		entry->polls++;
	return true;
}

enum arp_answer arp_table_lookup(struct arp_table *table, uint32_t ip, uint64_t poll_ns,
				 uint8_t ret[6])
{
	struct arp_entry *entry = find(table, ip);
	uint64_t now = click_now_ns();
	if (!entry || !entry->is_known || is_expired(table, entry, now))
		return ARP_UNKNOWN;
	memcpy(ret, entry->ether, 6);
	bool is_old = poll_ns && now - entry->live_ns >= poll_ns;
	return is_old && may_poll(entry, now) ? ARP_KNOWN_POLL : ARP_KNOWN;
}

/* Those that waited longest make room for one more packet, a part of all at once: with it there are
 * as many as stay, of which it is always one. */
static void slim(struct arp_table *table)
{
	uint32_t stay = table->capacity - table->capacity / table->slim_factor;
	uint32_t goal = stay > 0 ? stay - 1 : 0;
	for (struct arp_entry *entry = table->oldest; entry && table->packets > goal;
	     entry = entry->newer) {
		while (entry->first && table->packets > goal)
			drop_first(table, entry);
	}
}

bool arp_table_wait(struct arp_table *table, uint32_t ip, struct click_packet *packet)
{
	uint64_t now = click_now_ns();
	struct arp_entry *entry = ensure(table, ip, now);
	if (entry->is_known && is_expired(table, entry, now)) {
		entry->is_known = false;
		entry->polls = 0;
	}
	if (table->entry_packet_capacity && entry->packets >= table->entry_packet_capacity) {
		click_packet_free(table->router, packet);
		table->drops++;
		return may_poll(entry, now);
	}
	if (table->capacity && table->packets >= table->capacity)
		slim(table);
	packet->next = NULL;
	*(entry->last ? &entry->last->next : &entry->first) = packet;
	entry->last = packet;
	entry->packets++;
	table->packets++;
	return may_poll(entry, now);
}

struct click_packet *arp_table_insert(struct arp_table *table, uint32_t ip, const uint8_t ether[6],
				      bool is_asked)
{
	uint64_t now = click_now_ns();
	struct arp_entry *entry = is_asked ? find(table, ip) : ensure(table, ip, now);
	if (!entry)
		return NULL;
	memcpy(entry->ether, ether, 6);
	entry->is_known = true;
	entry->polls = 0;
	entry->live_ns = entry->polled_ns = now;
	unlink_age(table, entry);
	link_newest(table, entry);
	struct click_packet *waiting = entry->first;
	table->packets -= entry->packets;
	entry->packets = 0;
	entry->first = entry->last = NULL;
	return waiting;
}

void arp_table_delete(struct arp_table *table, uint32_t ip)
{
	struct arp_entry *entry = find(table, ip);
	if (entry)
		forget(table, entry);
}

void arp_table_clear(struct arp_table *table)
{
	while (table->oldest)
		forget(table, table->oldest);
}

uint64_t arp_table_expire(struct arp_table *table)
{
	uint64_t now = click_now_ns();
	while (table->oldest && is_expired(table, table->oldest, now))
		forget(table, table->oldest);
	/* Now and then is enough, as nobody is given what is too old. */
	return now + (table->timeout_ns / 4 > NS_PER_S ? table->timeout_ns / 4 : NS_PER_S);
}

/* --- text --- */

uint32_t arp_table_text(const struct arp_table *table, char *out, uint32_t size)
{
	struct click_out text;
	uint64_t now = click_now_ns();
	click_out_init(&text, out, size);
	for (const struct arp_entry *entry = table->oldest; entry; entry = entry->newer) {
		click_out_ip(&text, entry->ip);
		click_out_add(&text,
			      entry->is_known && !is_expired(table, entry, now) ? " 1 " : " 0 ");
		click_out_ether(&text, entry->ether);
		click_out_char(&text, ' ');
		click_out_time(&text, now - entry->live_ns);
		click_out_char(&text, '\n');
	}
	return text.len;
}

int arp_table_insert_text(struct arp_table *table, const char *text, struct click_args *args,
			  struct click_packet **ret)
{
	char ip[64];
	const char *space = strchr(text, ' ');
	size_t len = space ? (size_t)(space - text) : sizeof(ip);
	uint32_t address;
	uint8_t ether[6];
	if (len < sizeof(ip)) {
		memcpy(ip, text, len);
		ip[len] = '\0';
		while (*space == ' ')
			space++;
		if (click_parse_ip_name(table->router, ip, &address) &&
		    click_parse_ether_name(table->router, space, ether)) {
			*ret = arp_table_insert(table, address, ether, false);
			return 0;
		}
	}
	click_args_error(args, "'%s' is not IP ETHER", text);
	return -1;
}

int arp_table_delete_text(struct arp_table *table, const char *text, struct click_args *args)
{
	uint32_t address;
	if (!click_parse_ip_name(table->router, text, &address)) {
		click_args_error(args, "'%s' is no IP address", text);
		return -1;
	}
	arp_table_delete(table, address);
	return 0;
}
