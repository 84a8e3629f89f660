/*
 * ARP for IPv4 on Ethernet: its packets, and the table of ARPTable and ARPQuerier.
 *
 * An entry begins with a packet for an address that is not known. It keeps packets until an answer
 * comes, and is forgotten when there was none, or no newer one, for TIMEOUT. Nothing is learnt that
 * nobody asked for. What the table holds is bounded: by its options, and by ARP_ENTRIES_MAX.
 */
#pragma once

#include <click.h>

#define ARP_BYTES	42u /* with the Ethernet header */
#define ARP_ENTRIES_MAX 1024u

enum arp_operation { ARP_REQUEST = 1, ARP_REPLY = 2 };

struct arp_packet {
	uint16_t operation;
	uint32_t sender_ip, target_ip; /* network order */
	uint8_t sender[6], target[6];
};

/* False: PACKET is no ARP packet of IPv4 on Ethernet. */
bool arp_read(const struct click_packet *packet, struct arp_packet *ret);
/* Into ARP_BYTES at OUT, from ARP's sender to the Ethernet address DST. */
void arp_write(uint8_t *out, const struct arp_packet *arp, const uint8_t dst[6]);

struct arp_entry {
	uint32_t ip;
	uint8_t ether[6];
	bool is_known;
	uint8_t polls; /* since the last answer, up to 255 */
	uint64_t live_ns, polled_ns;
	struct click_packet *first, *last;
	uint32_t packets;
	struct arp_entry *hash_next;
	struct arp_entry *older, *newer; /* by live_ns */
};

#define ARP_BUCKETS 256u
struct arp_table {
	struct click_router *router;
	uint64_t timeout_ns; /* 0: never */
	uint32_t capacity, entry_capacity, entry_packet_capacity, slim_factor;
	struct arp_entry *entries, *free; /* free ones are linked by hash_next */
	struct arp_entry *buckets[ARP_BUCKETS];
	struct arp_entry *oldest, *newest;
	uint32_t count, packets;
	uint64_t drops;
};

/* The defaults of the documentation. */
void arp_table_init(struct arp_table *table, struct click_router *router);
/* CAPACITY, ENTRY_CAPACITY, ENTRY_PACKET_CAPACITY, CAPACITY_SLIM_FACTOR and TIMEOUT. */
void arp_table_configure(struct arp_table *table, struct click_args *args);
/* Allocates. 0, or -1 and it was told. */
int arp_table_initialize(struct arp_table *table, struct click_args *args);

enum arp_answer {
	ARP_UNKNOWN,
	ARP_KNOWN,
	ARP_KNOWN_POLL, /* and it is time to ask again */
};
/* The address of IP. POLL_NS: how old an answer may be before one asks again; 0: does not matter.
 */
enum arp_answer arp_table_lookup(struct arp_table *table, uint32_t ip, uint64_t poll_ns,
				 uint8_t ret[6]);
/* Keeps PACKET, which is taken, until IP is known. True: it is time to ask. */
bool arp_table_wait(struct arp_table *table, uint32_t ip, struct click_packet *packet);
/* IP was answered for: the packets that waited, by next. IS_ASKED: only if there is an entry. */
struct click_packet *arp_table_insert(struct arp_table *table, uint32_t ip, const uint8_t ether[6],
				      bool is_asked);
void arp_table_delete(struct arp_table *table, uint32_t ip);
void arp_table_clear(struct arp_table *table);
/* Forgets what is too old; when to come again. */
uint64_t arp_table_expire(struct arp_table *table);

/* The handlers table, insert, delete and clear. */
uint32_t arp_table_text(const struct arp_table *table, char *out, uint32_t size);
/* "IP ETHER"; the packets that waited go to *RET. */
int arp_table_insert_text(struct arp_table *table, const char *text, struct click_args *args,
			  struct click_packet **ret);
int arp_table_delete_text(struct arp_table *table, const char *text, struct click_args *args);

/* The table of the ARPTable ELEMENT, or NULL: it is of another class. */
struct arp_table *arp_table_of(struct click_element *element);
