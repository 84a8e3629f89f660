/*
 * Records from the configuration, and answers made of them.
 */
#include <string.h>

#include "dns.h"
#include "frame.h"
#include "settings.h"

#define CHAIN_MAX 8u /* of CNAMEs */

struct zone_record {
	struct name name;
	uint32_t ttl;
	uint16_t type;
	uint16_t data_len;
	uint8_t data[RDATA_MAX];
};

static struct zone_record records[RECORDS_MAX];
static uint32_t records_count;
static struct name origin;

bool zone_init(const char *text, uint32_t len)
{
	records_count = 0;
	return name_parse(text, len, NULL, &origin);
}

uint32_t zone_count(void)
{
	return records_count;
}

/* --- the zone's text --- */

static bool parse_type(struct piece word, uint16_t *ret)
{
	static const struct {
		const char *name;
		uint16_t type;
	} types[] = {{"A", TYPE_A},
		     {"AAAA", TYPE_AAAA},
		     {"CNAME", TYPE_CNAME},
		     {"PTR", TYPE_PTR},
		     {"TXT", TYPE_TXT}};
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (piece_is(word, types[i].name)) {
			*ret = types[i].type;
			return true;
		}
	}
	return false;
}

static void skip_blanks(struct piece *rest)
{
	while (rest->len > 0 && rest->text[0] != '\0' && strchr(" \t\r\n", rest->text[0])) {
		rest->text++;
		rest->len--;
	}
}

/* Strings in quotes (no quotes in them), or words. */
static bool parse_text(struct piece rest, struct zone_record *record)
{
	skip_blanks(&rest);
	do {
		struct piece string = rest;
		if (rest.len > 0 && rest.text[0] == '"') {
			const char *end = memchr(rest.text + 1, '"', rest.len - 1);
			if (end == NULL)
				return false;
			string = (struct piece){rest.text + 1, (uint32_t)(end - rest.text) - 1};
			rest.len -= string.len + 2;
			rest.text = end + 1;
		} else if (!piece_word(&rest, &string)) {
			return false;
		}
		if (string.len > 255 || record->data_len + 1 + string.len > RDATA_MAX)
			return false;
		record->data[record->data_len++] = (uint8_t)string.len;
		memcpy(record->data + record->data_len, string.text, string.len);
		record->data_len += (uint16_t)string.len;
		skip_blanks(&rest);
	} while (rest.len > 0);
	return true;
}

static bool parse_data(struct piece rest, struct zone_record *record)
{
	struct piece word, more = rest;
	uint8_t address[16];
	struct name name;
	if (record->type == TYPE_TXT)
		return parse_text(rest, record);
	if (!piece_word(&more, &word) || more.len > 0)
		return false;
	if (record->type == TYPE_A || record->type == TYPE_AAAA) {
		uint16_t len = record->type == TYPE_A ? 4 : 16;
		if (!frame_parse_address(word.text, word.len, address) ||
		    frame_is_ipv4(address) != (len == 4))
			return false;
		memcpy(record->data, address + 16 - len, len);
		record->data_len = len;
		return true;
	}
	if (!name_parse(word.text, word.len, &origin, &name))
		return false;
	memcpy(record->data, name.bytes, name.len);
	record->data_len = (uint16_t)name.len;
	return true;
}

static bool parse_record(struct piece rest, struct zone_record *record)
{
	struct piece word;
	uint64_t ttl = ZONE_TTL;
	memset(record, 0, sizeof(*record));
	if (!piece_word(&rest, &word) || !name_parse(word.text, word.len, &origin, &record->name) ||
	    !piece_word(&rest, &word))
		return false;
	if (piece_u64(word, 0, ZONE_TTL_MAX, &ttl) && !piece_word(&rest, &word))
		return false;
	record->ttl = (uint32_t)ttl;
	return parse_type(word, &record->type) && parse_data(rest, record);
}

/* A CNAME is alone at its name (RFC 1034, 3.6.2); the origin has a SOA. */
static bool contradicts(const struct zone_record *record)
{
	if (record->type == TYPE_CNAME && name_is(&record->name, &origin))
		return true;
	for (uint32_t i = 0; i < records_count; i++) {
		if ((record->type == TYPE_CNAME || records[i].type == TYPE_CNAME) &&
		    name_is(&records[i].name, &record->name))
			return true;
	}
	return false;
}

/* Takes RECORD, the first free one, up. Those of one name and type are a set: each is there once,
 * and all have one TTL, the least (RFC 2181, 5). */
static void take_record(struct zone_record *record)
{
	bool is_new = true;
	for (uint32_t i = 0; i < records_count; i++) {
		struct zone_record *other = &records[i];
		if (other->type != record->type || !name_is(&other->name, &record->name))
			continue;
		uint32_t ttl = other->ttl < record->ttl ? other->ttl : record->ttl;
		other->ttl = record->ttl = ttl;
		is_new &= other->data_len != record->data_len ||
			  memcmp(other->data, record->data, record->data_len) != 0;
	}
	records_count += is_new;
}

/* Up to the next ";" outside of quotes. */
static struct piece take_line(struct piece *rest)
{
	bool is_quoted = false;
	uint32_t n = 0;
	for (; n < rest->len && (is_quoted || rest->text[n] != ';'); n++)
		is_quoted ^= rest->text[n] == '"';
	struct piece line = {rest->text, n};
	n += n < rest->len;
	rest->text += n;
	rest->len -= n;
	return line;
}

bool zone_add(const char *text, uint32_t len, const char **ret_wrong, uint32_t *ret_wrong_len)
{
	struct piece rest = {text, len};
	while (rest.len > 0) {
		struct piece line = take_line(&rest), copy = line, word;
		*ret_wrong = line.text;
		*ret_wrong_len = line.len;
		if (!piece_word(&copy, &word))
			continue;
		if (records_count == RECORDS_MAX || !parse_record(line, &records[records_count]) ||
		    contradicts(&records[records_count]))
			return false;
		take_record(&records[records_count]);
	}
	return true;
}

/* --- answers --- */

struct answer {
	uint8_t *out;
	uint32_t len, room;
	bool is_truncated;
};

static void put_record(struct answer *answer, const uint8_t *name, uint32_t name_len, uint16_t type,
		       uint32_t ttl, const uint8_t *data, uint32_t data_len, unsigned section)
{
	if (answer->is_truncated || answer->room - answer->len < name_len + 10 + data_len) {
		answer->is_truncated = true;
		return;
	}
	uint8_t *at = answer->out + answer->len;
	memcpy(at, name, name_len);
	at += name_len;
	frame_put_u16(at, type);
	frame_put_u16(at + 2, CLASS_IN);
	frame_put_u32(at + 4, ttl);
	frame_put_u16(at + 8, data_len);
	memcpy(at + 10, data, data_len);
	answer->len += name_len + 10 + data_len;
	uint8_t *count = answer->out + section;
	frame_put_u16(count, frame_u16(count) + 1u);
}

#define IN_ANSWER    6u
#define IN_AUTHORITY 8u

/* The origin's. Beside an answer it says for how long a name or type may be taken as not there (RFC
 * 2308). */
static void put_soa(struct answer *answer, unsigned section)
{
	static const uint8_t numbers[20] = {0, 0,    0, 1, 0,	 0,    0x0e, 0x10, 0, 0,
					    2, 0x58, 0, 9, 0x3a, 0x80, 0,    0,	   0, NEGATIVE_TTL};
	uint8_t data[2 + 20];
	/* The root stands for a name server and a mailbox that there are not. */
	memset(data, 0, 2);
	memcpy(data + 2, numbers, sizeof(numbers));
	put_record(answer, origin.bytes, origin.len, TYPE_SOA, NEGATIVE_TTL, data, sizeof(data),
		   section);
}

struct found {
	bool is_known;			 /* there is such a name, or one below it */
	bool is_answered;		 /* … with what is asked for */
	const struct zone_record *alias; /* NULL: it is none */
};

/* Puts what NAME, the HOPS-th of a chain, has for QUESTION. */
static struct found put_name(struct answer *answer, const struct question *question,
			     const struct name *name, unsigned hops)
{
	/* Each name the first time that it is written: a pointer to the question's. */
	const uint8_t pointer[2] = {0xc0, HEADER_BYTES};
	const uint8_t *owner = hops == 0 ? pointer : name->bytes;
	uint32_t owner_len = hops == 0 ? 2 : name->len;
	bool wants_all = question->type == TYPE_ANY;
	struct found found = {.is_known = hops > 0 && !name_is_below(name, &origin)};
	for (uint32_t i = 0; i < records_count; i++) {
		const struct zone_record *record = &records[i];
		if (!name_is(&record->name, name)) {
			found.is_known |= name_is_below(&record->name, name);
			continue;
		}
		found.is_known = true;
		bool is_wanted = record->type == question->type || wants_all;
		if (record->type == TYPE_CNAME && !is_wanted)
			found.alias = record;
		if (!is_wanted && found.alias != record)
			continue;
		put_record(answer, owner, owner_len, record->type, record->ttl, record->data,
			   record->data_len, IN_ANSWER);
		found.is_answered |= is_wanted;
	}
	if (!name_is(name, &origin))
		return found;
	found.is_known = true;
	if (question->type == TYPE_SOA || wants_all) {
		put_soa(answer, IN_ANSWER);
		found.is_answered = true;
	}
	return found;
}

/* Answers about NAME, following aliases. A chain that is too long, or comes back to where it was,
 * is left where it is: who asks may go on from there, and is not told that there is nothing. */
static int put_answers(struct answer *answer, const struct question *question)
{
	const struct zone_record *passed[CHAIN_MAX];
	struct name name = question->name;
	struct found found;
	for (unsigned hops = 0;; hops++) {
		found = put_name(answer, question, &name, hops);
		if (found.alias == NULL)
			break;
		passed[hops] = found.alias;
		memcpy(name.bytes, found.alias->data, found.alias->data_len);
		name.len = found.alias->data_len;
		for (unsigned i = 0; i <= hops; i++)
			if (hops + 1 == CHAIN_MAX || name_is(&passed[i]->name, &name))
				return RCODE_OK;
	}
	if (!found.is_answered && name_is_below(&name, &origin))
		put_soa(answer, IN_AUTHORITY);
	return found.is_known ? RCODE_OK : RCODE_NO_NAME;
}

/* Of the origin, or of a name of its own somewhere else (PTR). */
static bool is_ours(const struct name *name)
{
	if (name_is_below(name, &origin))
		return true;
	for (uint32_t i = 0; i < records_count; i++) {
		if (name_is(&records[i].name, name))
			return true;
	}
	return false;
}

static int answer_question(struct answer *answer, const struct question *question)
{
	if (!question->is_edns_version_known)
		return 16; /* BADVERS */
	if (question->class != CLASS_IN || !is_ours(&question->name) ||
	    question->type == TYPE_AXFR || question->type == TYPE_IXFR)
		return RCODE_REFUSED;
	return put_answers(answer, question);
}

uint32_t zone_answer(const uint8_t *query, uint32_t len, uint8_t *out)
{
	struct question question;
	int rcode = query_read(query, len, &question);
	if (rcode < 0)
		return 0;
	/* A transfer may come with what is there already, and is refused as such. */
	bool has_answers = frame_u16(query + 6) != 0 || frame_u16(query + 8) != 0;
	if (rcode == RCODE_OK && has_answers && question.type != TYPE_IXFR)
		rcode = RCODE_FORMAT;
	struct answer answer = {out, HEADER_BYTES, question.room - (question.has_edns ? 11 : 0),
				false};
	memset(out, 0, HEADER_BYTES);
	frame_put_u16(out, question.id);
	uint32_t flags = FLAG_RESPONSE | (question.flags & (FLAG_RECURSE | 0x7800));
	if (rcode == RCODE_OK) {
		/* The question as it was written, with its large letters. */
		memcpy(out + HEADER_BYTES, query + HEADER_BYTES, question.end - HEADER_BYTES);
		frame_put_u16(out + 4, 1);
		answer.len = question.end;
		rcode = answer_question(&answer, &question);
		flags |= rcode == RCODE_OK || rcode == RCODE_NO_NAME ? FLAG_AUTHORITY : 0;
	}
	if (answer.is_truncated)
		flags |= FLAG_TRUNCATED;
	frame_put_u16(out + 2, flags | ((uint32_t)rcode & 15));
	if (question.has_edns) {
		uint8_t opt[11] = {0, 0, TYPE_OPT, ANSWER_MAX >> 8, ANSWER_MAX & 255};
		opt[5] = (uint8_t)(rcode >> 4);
		opt[7] = question.wants_dnssec ? 0x80 : 0; /* RFC 3225, 3 */
		memcpy(out + answer.len, opt, sizeof(opt));
		answer.len += sizeof(opt);
		frame_put_u16(out + 10, 1);
	}
	return answer.len;
}
