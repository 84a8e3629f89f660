#include <string.h>

#include "balancer.h"

struct backend backends[MAGLEV_BACKENDS_MAX];
unsigned backends_count;
static uint8_t table[MAGLEV_PLACES];

int backends_find(const uint8_t address[16])
{
	for (unsigned i = 0; i < backends_count; i++) {
		if (memcmp(backends[i].address, address, 16) == 0)
			return (int)i;
	}
	return -1;
}

static bool parse_backend(struct piece rest, struct backend *ret)
{
	struct piece address, mac, word;
	uint64_t weight = 1;
	if (!piece_word(&rest, &address) || !piece_word(&rest, &mac) ||
	    !frame_parse_address(address.text, address.len, ret->address) ||
	    !frame_parse_mac(mac.text, mac.len, ret->mac))
		return false;
	if (piece_word(&rest, &word) &&
	    (!piece_is(word, "weight") || !piece_word(&rest, &word) ||
	     !piece_u64(word, 1, MAGLEV_WEIGHT_MAX, &weight) || piece_word(&rest, &word)))
		return false;
	ret->weight = (uint32_t)weight;
	return true;
}

bool backends_parse(struct piece text, const uint8_t service[16], struct piece *ret_wrong)
{
	struct maglev_backend named[MAGLEV_BACKENDS_MAX];
	struct piece part;
	backends_count = 0;
	*ret_wrong = text;
	while (piece_split(&text, ";", &part)) {
		struct backend backend;
		if (part.len == 0)
			continue;
		*ret_wrong = part;
		if (backends_count == MAGLEV_BACKENDS_MAX || !parse_backend(part, &backend) ||
		    backends_find(backend.address) >= 0 ||
		    frame_is_ipv4(backend.address) != frame_is_ipv4(service))
			return false;
		named[backends_count] = (struct maglev_backend){maglev_hash(backend.address, 16, 0),
								backend.weight};
		backends[backends_count++] = backend;
	}
	if (backends_count == 0)
		return false;
	maglev_fill(table, named, backends_count);
	return true;
}

unsigned backends_choose(const struct flow_key *key)
{
	/* Not by a seed: other instances, and this one after a restart, choose alike. */
	return table[maglev_hash(key, sizeof(*key), 0) % MAGLEV_PLACES];
}

/* The checksum that covers addresses of what is quoted; NULL: there is none, or it is cut off. */
static uint8_t *quoted_checksum(const struct frame *quoted)
{
	static const struct {
		uint8_t proto, offset;
	} places[] = {{FRAME_TCP, 16}, {FRAME_UDP, 6}, {FRAME_ICMP6, 2}};
	for (unsigned i = 0; quoted->has_transport && i < sizeof(places) / sizeof(places[0]); i++) {
		uint32_t at = quoted->transport + places[i].offset;
		if (places[i].proto == quoted->proto && at + 2 <= quoted->end)
			return quoted->data + at;
	}
	return NULL;
}

void rewrite_quoted(struct frame *outer, struct frame *quoted, bool is_target, const uint8_t to[16])
{
	uint8_t *ip = quoted->data + quoted->ip;
	uint8_t *checksum = outer->data + outer->transport + 2;
	uint8_t *inner = quoted_checksum(quoted), old_inner[2];
	uint32_t len = quoted->version == 4 ? 4 : 16;
	uint8_t *at = ip + (quoted->version == 4 ? 12 : 8) + (is_target ? len : 0);
	const uint8_t *new = to + (16 - len);
	bool is_udp = quoted->proto == FRAME_UDP;
	/* The quoted checksum of IPv4 makes up for the quoted address, so that the sum of both
	 * stays what it was; IPv6 has none. */
	if (quoted->version == 4)
		frame_adjust(ip + 10, at, new, len);
	else
		frame_adjust(checksum, at, new, len);
	/* UDP's 0 of IPv4: there is none. */
	if (inner != NULL && !(is_udp && quoted->version == 4 && frame_u16(inner) == 0)) {
		memcpy(old_inner, inner, 2);
		frame_adjust(inner, at, new, len);
		if (is_udp && frame_u16(inner) == 0)
			frame_put_u16(inner, 0xffff);
		frame_adjust(checksum, old_inner, inner, 2);
	}
	memcpy(at, new, len);
}
