/*
 * Keys and their hash.
 *
 * The hash is NH (Black, Halevi, Krawczyk, Krovetz, Rogaway: "UMAC: Fast and Secure Message
 * Authentication", CRYPTO 1999, section 4.1) with words of 64 bits: the sum of the products of
 * pairs of words of the key, to each of which a secret word was added. For two keys that were
 * chosen without knowledge of the secret words the sums (of 128 bits) are the same with a
 * probability of at most 2^-64. A table uses only some bits of it, so the sum is folded into 64
 * bits by two more multiplications, whose high and low halves are joined. Hashes do not leave the
 * machine, nor do times that would tell them: nobody learns the secret words.
 *
 * The words come from the seed by SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom
 * Number Generators", OOPSLA 2014).
 */
#include <endian.h>
#include <string.h>

#include "base/assert.h"
#include "flow/flow.h"
#include "flow/flow_priv.h"

__extension__ typedef unsigned __int128 u128;

#define KEY_WORDS (sizeof(struct flow_key) / sizeof(uint64_t))
_Static_assert(KEY_WORDS + 2 == FLOW_HASH_WORDS, "a word for each of the key, two to fold");

/* An address in halves; see map_address() in flow_parse.c. */
struct address {
	uint64_t high, low; /* as the processor has them */
};

static struct address read_address(const uint8_t bytes[16])
{
	struct address address;

	memcpy(&address.high, bytes, 8);
	memcpy(&address.low, bytes + 8, 8);
	return address;
}

static void write_address(uint8_t bytes[16], struct address address)
{
	memcpy(bytes, &address.high, 8);
	memcpy(bytes + 8, &address.low, 8);
}

/* The order of the bytes: below zero, zero, above. */
static int compare_addresses(struct address a, struct address b)
{
	uint64_t x = be64toh(a.high == b.high ? a.low : a.high);
	uint64_t y = be64toh(a.high == b.high ? b.low : b.high);

	return (x > y) - (x < y);
}

bool flow_key_of(const struct flow_packet *packet, uint16_t domain, struct flow_key *ret_key)
{
	EOS_DCHECK(packet->kind == FLOW_IPV4 || packet->kind == FLOW_IPV6);
	struct address source = read_address(packet->source);
	struct address target = read_address(packet->target);
	int order = compare_addresses(source, target);
	bool is_to_high = order < 0 || (order == 0 && packet->source_port <= packet->target_port);

	*ret_key = (struct flow_key){
		.low_port = is_to_high ? packet->source_port : packet->target_port,
		.high_port = is_to_high ? packet->target_port : packet->source_port,
		.vlan = packet->vlan,
		.inner_vlan = packet->inner_vlan,
		.domain = domain,
		.proto = packet->proto,
	};
	write_address(ret_key->low, is_to_high ? source : target);
	write_address(ret_key->high, is_to_high ? target : source);
	return is_to_high;
}

void flow_key_of_host(const struct flow_packet *packet, bool to_target, uint16_t domain,
		      struct flow_key *ret_key)
{
	*ret_key = (struct flow_key){
		.vlan = packet->vlan, .inner_vlan = packet->inner_vlan, .domain = domain};
	memcpy(ret_key->low, to_target ? packet->target : packet->source, 16);
}

static uint64_t split_mix(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

void flow_hash_init(struct flow_hash *hash, uint64_t seed)
{
	for (unsigned i = 0; i < FLOW_HASH_WORDS; i++)
		hash->words[i] = split_mix(&seed);
}

static uint64_t multiply_fold(uint64_t a, uint64_t b)
{
	u128 product = (u128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

static uint64_t finish(const struct flow_hash *hash, u128 sum)
{
	uint64_t high = (uint64_t)(sum >> 64) ^ hash->words[6];
	/* The halves again: a product is nothing where one of its factors is. */
	uint64_t folded =
		multiply_fold((uint64_t)sum ^ hash->words[7], high) + (uint64_t)sum + high;

	return multiply_fold(folded, hash->words[7] | 1);
}

uint64_t flow_hash_key(const struct flow_hash *hash, const struct flow_key *key)
{
	uint64_t words[KEY_WORDS];
	u128 sum = 0;

	memcpy(words, key, sizeof(words));
	for (unsigned i = 0; i < KEY_WORDS; i += 2)
		sum += (u128)(words[i] + hash->words[i]) * (words[i + 1] + hash->words[i + 1]);
	return finish(hash, sum);
}

uint64_t flow_hash_u64(const struct flow_hash *hash, uint64_t value)
{
	/* No two values have the same product. */
	return finish(hash, (u128)(value + hash->words[0]) * (hash->words[1] | 1));
}

uint64_t flow_key_hash(const struct flow_key *key, uint64_t seed)
{
	struct flow_hash hash;

	flow_hash_init(&hash, seed);
	return flow_hash_key(&hash, key);
}
