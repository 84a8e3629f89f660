/*
 * The language of rules:
 *
 *	RULES = RULE (";" RULE)*
 *	RULE  = ["client" | "out"] ("allow" | "deny") PROTO [PORTS] ["from" PREFIX] ["to" PREFIX]
 *	PROTO = "tcp" | "udp" | "icmp" | "icmp6" | "all" | NUMBER
 *	PORTS = PORT ["-" PORT] ("," PORT ["-" PORT])*	of the target; up to 8
 *
 * A prefix is of IPv4 or of IPv6, and takes nothing of the other; a rule without one takes both.
 * "client" (what is meant when nothing is said): conversations that the chain's clients begin;
 * "out": those that are begun on the other side.
 */
#include <string.h>

#include "firewall.h"

struct range {
	uint16_t first, last;
};

struct rule {
	bool is_client, allows;
	uint8_t proto; /* 0: all */
	uint8_t ranges_count;
	struct range ranges[RANGES_MAX];
	bool has_from, has_to;
	uint8_t from[16], to[16];
	uint8_t from_bits, to_bits;
};

static struct rule rules[RULES_MAX];
static unsigned rules_count;

static bool parse_proto(struct piece word, uint8_t *ret)
{
	static const struct {
		const char *name;
		uint8_t number;
	} names[] = {
		{"all", 0},	      {"tcp", FRAME_TCP},     {"udp", FRAME_UDP},
		{"icmp", FRAME_ICMP}, {"icmp6", FRAME_ICMP6},
	};
	uint64_t number;
	for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (piece_is(word, names[i].name)) {
			*ret = names[i].number;
			return true;
		}
	}
	if (!piece_u64(word, 1, 255, &number))
		return false;
	*ret = (uint8_t)number;
	return true;
}

static bool parse_ports(struct piece word, struct rule *rule)
{
	struct piece part, first;
	if (rule->proto != FRAME_TCP && rule->proto != FRAME_UDP)
		return false;
	if (word.text[word.len - 1] == ',')
		return false;
	while (piece_split(&word, ",", &part)) {
		uint64_t from, to;
		/* "1024-" is not 1024 alone. */
		bool is_range = part.len > 0 && memchr(part.text, '-', part.len) != NULL;
		if (rule->ranges_count == RANGES_MAX || !piece_split(&part, "-", &first) ||
		    !piece_u64(first, 0, UINT16_MAX, &from))
			return false;
		to = from;
		if (is_range && !piece_u64(part, from, UINT16_MAX, &to))
			return false;
		rule->ranges[rule->ranges_count++] = (struct range){(uint16_t)from, (uint16_t)to};
	}
	return rule->ranges_count > 0;
}

static bool parse_prefixes(struct piece rest, struct piece word, struct rule *rule)
{
	do {
		struct piece prefix;
		bool is_from = piece_is(word, "from");
		bool *has = is_from ? &rule->has_from : &rule->has_to;
		if ((!is_from && !piece_is(word, "to")) || *has || !piece_word(&rest, &prefix) ||
		    !frame_parse_prefix(prefix.text, prefix.len, is_from ? rule->from : rule->to,
					is_from ? &rule->from_bits : &rule->to_bits))
			return false;
		*has = true;
	} while (piece_word(&rest, &word));
	return true;
}

static bool parse_rule(struct piece rest, struct rule *rule)
{
	struct piece word;
	*rule = (struct rule){.is_client = true};
	if (!piece_word(&rest, &word))
		return false;
	if (piece_is(word, "out") || piece_is(word, "client")) {
		rule->is_client = piece_is(word, "client");
		if (!piece_word(&rest, &word))
			return false;
	}
	rule->allows = piece_is(word, "allow");
	if (!rule->allows && !piece_is(word, "deny"))
		return false;
	if (!piece_word(&rest, &word) || !parse_proto(word, &rule->proto))
		return false;
	if (!piece_word(&rest, &word))
		return true;
	if (word.text[0] >= '0' && word.text[0] <= '9') {
		if (!parse_ports(word, rule))
			return false;
		if (!piece_word(&rest, &word))
			return true;
	}
	return parse_prefixes(rest, word, rule);
}

bool rules_parse(struct piece text, struct piece *ret_wrong)
{
	struct piece part;
	rules_count = 0;
	while (piece_split(&text, ";", &part)) {
		if (part.len == 0)
			continue;
		*ret_wrong = part;
		if (rules_count == RULES_MAX || !parse_rule(part, &rules[rules_count]))
			return false;
		rules_count++;
	}
	return true;
}

static bool takes_port(const struct rule *rule, const struct frame *frame)
{
	for (unsigned i = 0; i < rule->ranges_count; i++) {
		if (frame->target_port >= rule->ranges[i].first &&
		    frame->target_port <= rule->ranges[i].last)
			return true;
	}
	return rule->ranges_count == 0;
}

bool rules_allow(const struct frame *frame, bool is_from_client)
{
	for (unsigned i = 0; i < rules_count; i++) {
		const struct rule *rule = &rules[i];
		if (rule->is_client == is_from_client &&
		    (rule->proto == 0 || rule->proto == frame->proto) && takes_port(rule, frame) &&
		    (!rule->has_from ||
		     frame_prefix_has(rule->from, rule->from_bits, frame->source)) &&
		    (!rule->has_to || frame_prefix_has(rule->to, rule->to_bits, frame->target)))
			return rule->allows;
	}
	return false;
}
