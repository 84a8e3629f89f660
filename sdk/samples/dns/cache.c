/*
 * What name servers said, for as long as they said it holds.
 *
 * A message is kept if it answers, to the one who asked, the question that he asked, as he spelled
 * it, with the number that he gave it; so nobody else can put something in without seeing the
 * query. It is given only to who asks the same server in the same VLAN: what another one says,
 * which some client has chosen, is not taken for it. It is kept without its EDNS record, which is
 * about one exchange only, and goes out with the asker's number, his spelling of the name, and TTLs
 * from which its age is taken.
 *
 * Options of EDNS may change the answer (RFC 7871's subnets do), or be what is asked for (NSID):
 * who has one asks the server. But not for a cookie (RFC 7873), which all queries of many clients
 * have: it says nothing about the answer, and one that its server has completed is given back to
 * it.
 */
#include <string.h>

#include "dns.h"
#include "frame.h"

#define WAYS	     4u
#define PENDING_MAX  256u
#define NS_PER_S     UINT64_C(1000000000)
#define PENDING_NS   (5 * NS_PER_S)
#define NEGATIVE_MAX 3600u
#define SOA_MIN	     22u /* bytes of data: two names and five numbers */
#define OPT_BYTES    11u /* of EDNS's record without options */

struct key {
	struct name name;
	uint8_t server[16]; /* whose answer it is */
	uint32_t network;
	uint16_t type;
	uint8_t bits; /* what else changes it: DNSSEC or AD wanted, checking disabled */
};

struct kept {
	uint64_t stored_ns, ends_ns; /* 0: free */
	uint64_t used;
	struct key key;
	uint32_t len;
	uint8_t message[CACHE_MESSAGE];
};

struct pending {
	uint64_t ends_ns;
	struct asked asked;
	uint16_t id;
	struct key key;
	uint8_t spelled[NAME_MAX_BYTES]; /* the key's name as it was written */
};

struct cache_stats cache_stats;
static struct kept kept[CACHE_PLACES];
static struct pending pending[PENDING_MAX];
static uint64_t uses;
static uint32_t pending_next;

static struct key key_of(const struct question *question, const struct asked *asked)
{
	struct key key = {.name = question->name, .type = question->type};
	key.bits = (uint8_t)(question->wants_dnssec |
			     (question->flags & (FLAG_CHECKED | FLAG_AUTHENTIC)) >> 3);
	memcpy(key.server, asked->server, sizeof(key.server));
	key.network = asked->network;
	return key;
}

static bool key_is(const struct key *one, const struct key *other)
{
	return one->type == other->type && one->bits == other->bits &&
	       one->network == other->network &&
	       memcmp(one->server, other->server, sizeof(one->server)) == 0 &&
	       name_is(&one->name, &other->name);
}

static struct kept *set_of(const struct key *key)
{
	uint32_t hash = 2166136261u ^ key->type ^ (uint32_t)key->bits << 16 ^ key->network << 8;
	for (uint32_t i = 0; i < key->name.len; i++)
		hash = (hash ^ key->name.bytes[i]) * 16777619u;
	for (uint32_t i = 0; i < sizeof(key->server); i++)
		hash = (hash ^ key->server[i]) * 16777619u;
	hash ^= hash >> 15;
	return &kept[hash % (CACHE_PLACES / WAYS) * WAYS];
}

static struct kept *find(const struct key *key, uint64_t now_ns)
{
	struct kept *entry = set_of(key);
	for (unsigned i = 0; i < WAYS; i++, entry++) {
		if (entry->ends_ns > now_ns && key_is(&entry->key, key))
			return entry;
	}
	return NULL;
}

static void expect(const uint8_t *query, const struct question *question, const struct key *key,
		   const struct asked *asked, uint64_t now_ns)
{
	struct pending *one = &pending[pending_next++ % PENDING_MAX];
	*one = (struct pending){now_ns + PENDING_NS, *asked, question->id, *key, {0}};
	memcpy(one->spelled, query + HEADER_BYTES, question->name.len);
}

/* Takes the question that the answer QUESTION of MESSAGE was expected to; NULL: nobody asked. */
static struct pending *find_pending(const uint8_t *message, const struct question *question,
				    const struct asked *asked, uint64_t now_ns)
{
	for (unsigned i = 0; i < PENDING_MAX; i++) {
		struct pending *one = &pending[i];
		if (one->ends_ns > now_ns && one->id == question->id &&
		    one->key.type == question->type &&
		    one->asked.client_port == asked->client_port &&
		    memcmp(one->asked.client, asked->client, 16) == 0 &&
		    memcmp(one->asked.server, asked->server, 16) == 0 &&
		    name_is(&one->key.name, &question->name) &&
		    memcmp(one->spelled, message + HEADER_BYTES, question->name.len) == 0)
			return one;
	}
	return NULL;
}

/* For how many seconds the RECORD of MESSAGE holds: that there is nothing, for no longer than its
 * SOA says (RFC 2308, 5), and so whoever gets it from here. */
static uint32_t holds_for(const uint8_t *message, const struct record *record, bool is_authority)
{
	/* The highest bit is none (RFC 2181, 8). */
	uint32_t ttl = record->ttl > INT32_MAX ? 0 : record->ttl;
	if (record->type != TYPE_SOA || !is_authority || record->data_len < SOA_MIN)
		return ttl;
	uint32_t minimum = frame_u32(message + record->end - 4);
	return minimum < ttl ? minimum : ttl;
}

/* --- out --- */

static bool has_whole_cookie(const struct question *question)
{
	return question->cookie_len > COOKIE_CLIENT;
}

static uint32_t edns_len(const struct question *question)
{
	if (!question->has_edns)
		return 0;
	return OPT_BYTES + (has_whole_cookie(question) ? 4 + question->cookie_len : 0);
}

static uint32_t write_edns(const uint8_t *query, const struct question *question, uint8_t *out,
			   uint32_t at)
{
	const uint8_t opt[OPT_BYTES] = {0,
					0,
					TYPE_OPT,
					ANSWER_MAX >> 8,
					ANSWER_MAX & 255,
					0,
					0,
					question->wants_dnssec ? 0x80 : 0};
	uint32_t len = edns_len(question);
	memcpy(out + at, opt, sizeof(opt));
	frame_put_u16(out + at + OPT_BYTES - 2, len - OPT_BYTES);
	if (has_whole_cookie(question))
		memcpy(out + at + OPT_BYTES, query + question->cookie - 4, len - OPT_BYTES);
	frame_put_u16(out + 10, frame_u16(out + 10) + 1u);
	return len;
}

static uint32_t write_answer(const struct kept *entry, const uint8_t *query,
			     const struct question *question, uint64_t now_ns, uint8_t *out)
{
	uint32_t len = entry->len, at = question->end;
	uint32_t age = (uint32_t)((now_ns - entry->stored_ns) / NS_PER_S);
	uint32_t answers = frame_u16(entry->message + 6), count = 0;
	struct record record;
	memcpy(out, entry->message, len);
	frame_put_u16(out, question->id);
	frame_put_u16(out + 2, (frame_u16(out + 2) & ~FLAG_RECURSE & ~FLAG_AUTHORITY) |
				       (question->flags & FLAG_RECURSE));
	memcpy(out + HEADER_BYTES, query + HEADER_BYTES, question->end - HEADER_BYTES);
	/* It was read whole when it was stored. */
	while (at < len && record_read(out, len, at, &record)) {
		uint32_t ttl = holds_for(out, &record, count++ >= answers);
		frame_put_u32(out + record.ttl_offset, ttl > age ? ttl - age : 0);
		at = record.end;
	}
	if (question->has_edns)
		len += write_edns(query, question, out, len);
	return len;
}

int cache_answer(const uint8_t *query, uint32_t len, const struct asked *asked, uint64_t now_ns,
		 uint8_t *out)
{
	struct question question;
	int rcode = query_read(query, len, &question);
	/* Without a question there can be an option (RFC 7873, 5.4). */
	if (rcode == RCODE_FORMAT && frame_u16(query + 4) == 0)
		return 0;
	if (rcode < 0 || rcode == RCODE_FORMAT)
		return -1;
	/* What is out of the ordinary is the server's to answer. */
	bool is_meta = question.type >= TYPE_META && question.type <= TYPE_ANY;
	if (rcode != RCODE_OK || question.class != CLASS_IN || is_meta ||
	    !question.is_edns_version_known || question.has_more ||
	    (question.flags & FLAG_RECURSE) == 0)
		return 0;
	struct key key = key_of(&question, asked);
	struct kept *entry = find(&key, now_ns);
	if (entry == NULL || entry->len + edns_len(&question) > question.room) {
		cache_stats.misses++;
		expect(query, &question, &key, asked, now_ns);
		return 0;
	}
	cache_stats.hits++;
	entry->used = ++uses;
	return (int)write_answer(entry, query, &question, now_ns, out);
}

/* --- in --- */

/* Does it only lead to what is asked for, or sign it? */
static bool is_way(uint16_t type)
{
	return type == TYPE_CNAME || type == TYPE_DNAME || type == TYPE_RRSIG;
}

/* For how many seconds the message, which answers QUESTION, holds, and its length without EDNS;
 * false: malformed. */
static bool examine(const uint8_t *message, uint32_t len, const struct question *question,
		    uint32_t *ret_ttl, uint32_t *ret_len)
{
	uint32_t answers = frame_u16(message + 6), authority = frame_u16(message + 8);
	uint32_t count = answers + authority + frame_u16(message + 10), ttl = CACHE_TTL_MAX;
	uint32_t at = question->end;
	bool has_soa = false, has_data = false;
	struct record record;
	*ret_len = len;
	for (uint32_t i = 0; i < count; i++) {
		if (!record_read(message, len, at, &record))
			return false;
		at = record.end;
		if (record.type == TYPE_OPT) {
			/* Somewhere else nothing could be left out: names may point behind it. Nor
			 * can a part of the RCODE, which is in here. */
			if (i + 1 != count || record.ttl >> 24 != 0)
				ttl = 0;
			*ret_len = record.offset;
			continue;
		}
		bool is_authority = i >= answers && i < answers + authority;
		uint32_t holds = holds_for(message, &record, is_authority);
		if (record.type == TYPE_SOA && is_authority && record.data_len >= SOA_MIN) {
			has_soa = true;
			holds = holds < NEGATIVE_MAX ? holds : NEGATIVE_MAX;
		}
		has_data |= i < answers && (record.type == question->type || !is_way(record.type));
		ttl = holds < ttl ? holds : ttl;
	}
	/* Without a SOA nobody knows how long there is nothing, be it behind an alias (RFC 2308,
	 * 5). */
	bool is_negative = !has_data || (message[3] & 15) == RCODE_NO_NAME;
	*ret_ttl = is_negative && !has_soa ? 0 : ttl;
	return at == len;
}

static void store(const struct key *key, const uint8_t *message, uint32_t len, uint32_t ttl,
		  bool has_edns, uint64_t now_ns)
{
	struct kept *entry = set_of(key), *best = NULL;
	for (unsigned i = 0; i < WAYS; i++, entry++) {
		if (entry->ends_ns <= now_ns || key_is(&entry->key, key)) {
			best = entry;
			break;
		}
		if (best == NULL || entry->used < best->used)
			best = entry;
	}
	best->key = *key;
	best->stored_ns = now_ns;
	best->ends_ns = now_ns + ttl * NS_PER_S;
	best->used = ++uses;
	best->len = len;
	memcpy(best->message, message, len);
	if (has_edns)
		frame_put_u16(best->message + 10, frame_u16(best->message + 10) - 1u);
	cache_stats.kept++;
}

bool cache_take(const uint8_t *message, uint32_t len, const struct asked *asked, uint64_t now_ns)
{
	struct question question;
	uint32_t ttl, kept_len;
	if (len < HEADER_BYTES || (message[2] & 0x80) == 0)
		return false;
	/* Refusals of what was malformed may come without the question. */
	if (frame_u16(message + 4) == 0)
		return true;
	if (!question_read(message, len, &question))
		return false;
	/* Some servers cut such a message anywhere; to its client it only says: ask by TCP. */
	if ((question.flags & FLAG_TRUNCATED) != 0)
		return true;
	if (!examine(message, len, &question, &ttl, &kept_len))
		return false;
	struct pending *one = find_pending(message, &question, asked, now_ns);
	if (one == NULL) {
		cache_stats.unasked++;
		return true;
	}
	one->ends_ns = 0;
	unsigned rcode = question.flags & 15;
	if (ttl > 0 && (rcode == RCODE_OK || rcode == RCODE_NO_NAME) &&
	    (question.flags & 0x7800) == 0 && kept_len <= CACHE_MESSAGE &&
	    question.class == CLASS_IN)
		store(&one->key, message, kept_len, ttl, kept_len != len, now_ns);
	return true;
}
