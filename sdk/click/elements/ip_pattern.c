#include "elements/ip_pattern.h"

#include <string.h>

#include "elements/ip_names.h"
#include "elements/ip_primitive.h"
#include "ip.h"

/* Of parentheses, and of choices within each other. */
#define DEPTH_MAX 32u

struct parser {
	const struct ip_words *words;
	unsigned at, number, depth;
	struct classify_nodes *nodes;
	struct click_router *router;
	struct click_args *args;
	bool tells, has_failed;
	struct ip_primitive previous;
};

static const struct {
	const char *word;
	enum ip_type type;
	struct ip_field field;
} types[] = {
	{"host", IP_HOST, {0}},
	{"net", IP_NET, {0}},
	{"proto", IP_PROTO, {0}},
	{"port", IP_PORT, {0}},
	{"portrange", IP_PORTRANGE, {0}},
	{"opt", IP_FLAGS, {0}},
	{"frag", IP_FRAG, {0}},
	{"unfrag", IP_UNFRAG, {0}},
	{"ect", IP_ECT, {0}},
	{"ce", IP_CE, {0}},
	{"vers", IP_FIELD, {0, 1, 4, 4, IP_NO_PROTOCOL}},
	{"hl", IP_FIELD, {0, 1, 0, 4, IP_NO_PROTOCOL}},
	{"tos", IP_FIELD, {1, 1, 0, 8, IP_NO_PROTOCOL}},
	{"dscp", IP_FIELD, {1, 1, 2, 6, IP_NO_PROTOCOL}},
	{"len", IP_FIELD, {2, 2, 0, 16, IP_NO_PROTOCOL}},
	{"id", IP_FIELD, {4, 2, 0, 16, IP_NO_PROTOCOL}},
	{"ttl", IP_FIELD, {8, 1, 0, 8, IP_NO_PROTOCOL}},
	{"sum", IP_FIELD, {10, 2, 0, 16, IP_NO_PROTOCOL}},
	{"win", IP_FIELD, {14, 2, 0, 16, CLICK_TCP}},
	{"type", IP_FIELD, {0, 1, 0, 8, CLICK_ICMP}},
};

/* --- words --- */

static const char *word(const struct parser *parser)
{
	return parser->words
		->words[parser->at < parser->words->count ? parser->at : parser->words->count];
}

static bool is(const struct parser *parser, const char *what)
{
	return strcmp(word(parser), what) == 0;
}

static bool take(struct parser *parser, const char *what)
{
	if (!is(parser, what))
		return false;
	parser->at++;
	return true;
}

/* Tells the first mistake, and ends the pattern there. */
static uint16_t fail(struct parser *parser, const char *what)
{
	if (!parser->has_failed && parser->tells)
		click_args_error(parser->args, "pattern %u: %s near '%s'", parser->number, what,
				 *word(parser) ? word(parser) : "the end");
	parser->has_failed = true;
	parser->at = parser->words->count;
	return CLASSIFY_NO_NODE;
}

/* --- qualifiers --- */

static bool read_type(struct parser *parser, struct ip_primitive *p)
{
	for (unsigned i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		if (!is(parser, types[i].word))
			continue;
		if (p->type)
			fail(parser, "a second directive");
		p->type = types[i].type;
		p->field = types[i].field;
		if (p->type == IP_FIELD && p->field.protocol != IP_NO_PROTOCOL) {
			if (p->protocol != IP_NO_PROTOCOL && p->protocol != p->field.protocol)
				fail(parser, "a field of another protocol");
			p->protocol = p->field.protocol;
		}
		return true;
	}
	return false;
}

static bool read_protocol(struct parser *parser, struct ip_primitive *p)
{
	uint32_t protocol;
	if (is(parser, "tcpudp"))
		protocol = IP_TCP_OR_UDP;
	else if (is(parser, "transp"))
		protocol = IP_ANY_TRANSP;
	else if (!click_ip_protocol_number(word(parser), &protocol))
		return false;
	if (p->protocol != IP_NO_PROTOCOL && p->protocol != (int)protocol)
		fail(parser, "a second transport protocol");
	p->protocol = (int)protocol;
	return true;
}

static bool read_side(struct parser *parser, struct ip_primitive *p)
{
	enum ip_side side = IP_NO_SIDE;
	if (is(parser, "src"))
		side = IP_SRC;
	else if (is(parser, "dst") || is(parser, "dest"))
		side = IP_DST;
	else
		return false;
	unsigned left = parser->words->count - parser->at;
	const char *const *words = parser->words->words + parser->at;
	if (side == IP_SRC && left > 2 &&
	    (strcmp(words[2], "dst") == 0 || strcmp(words[2], "dest") == 0)) {
		if (strcmp(words[1], "and") == 0 || strcmp(words[1], "&&") == 0)
			side = IP_SRC_AND_DST;
		else if (strcmp(words[1], "or") == 0 || strcmp(words[1], "||") == 0)
			side = IP_SRC_OR_DST;
		if (side != IP_SRC)
			parser->at += 2;
	}
	if (p->side)
		fail(parser, "a second 'src' or 'dst'");
	p->side = side;
	return true;
}

static void read_qualifiers(struct parser *parser, struct ip_primitive *p, bool *is_negated)
{
	for (; parser->at < parser->words->count && !parser->has_failed; parser->at++) {
		if (is(parser, "not") || is(parser, "!"))
			*is_negated = !*is_negated;
		else if (is(parser, "ether"))
			p->is_ether = true;
		else if (is(parser, "ip"))
			p->is_ip = true;
		else if (!read_type(parser, p) && !read_protocol(parser, p) &&
			 !read_side(parser, p))
			break;
	}
	if (p->is_ether && p->is_ip)
		fail(parser, "'ip' and 'ether'");
}

/* --- the rest of a primitive --- */

/* "[POS]", "[POS:LEN]" or "[FIRST,LAST]", of which the words are put together again. */
static void read_brackets(struct parser *parser, struct ip_primitive *p)
{
	char text[32] = "", *second;
	uint32_t len = 0, pos = 0, count = 1;
	for (; !is(parser, "]"); parser->at++) {
		uint32_t word_len = (uint32_t)strlen(word(parser));
		if (!word_len || len + word_len >= sizeof(text)) {
			fail(parser, "']' expected");
			return;
		}
		memcpy(text + len, word(parser), word_len + 1);
		len += word_len;
	}
	second = strpbrk(text, ":,");
	bool is_last = second && *second == ',';
	if (second)
		*second++ = '\0';
	if (!ip_word_number(text, &pos) || (second && !ip_word_number(second, &count))) {
		fail(parser, "[POS:LEN] expected");
		return;
	}
	if (is_last)
		count = count >= pos ? count - pos + 1 : 0;
	if (count < 1 || count > 4 || pos > CLICK_PACKET_MAX) {
		fail(parser, "a field has from 1 to 4 bytes, within the packet,");
		return;
	}
	parser->at++;
	p->type = IP_FIELD;
	p->field = (struct ip_field){
		.offset = (uint16_t)pos,
		.width = (uint8_t)count,
		.bits = (uint8_t)(8 * count),
		.protocol = (int16_t)p->protocol,
	};
}

static void read_relation(struct parser *parser, struct ip_primitive *p)
{
	static const struct {
		const char *word;
		enum ip_relation relation;
		bool is_negated;
	} relations[] = {
		{"=", IP_EQUAL, false},	  {"==", IP_EQUAL, false},  {"!=", IP_EQUAL, true},
		{">", IP_GREATER, false}, {"<=", IP_GREATER, true}, {"<", IP_LESS, false},
		{">=", IP_LESS, true},
	};
	for (unsigned i = 0; i < sizeof(relations) / sizeof(relations[0]); i++) {
		if (take(parser, relations[i].word)) {
			p->relation = relations[i].relation;
			p->is_negated = relations[i].is_negated;
			return;
		}
	}
}

static bool read_ether(struct parser *parser, const struct ip_primitive *p, uint8_t ret[6])
{
	if (p->is_ip || !click_parse_ether_name(parser->router, word(parser), ret))
		return false;
	parser->at++;
	return true;
}

/* "& MASK": a number, or an address where addresses are compared. */
static void read_mask(struct parser *parser, struct ip_primitive *p)
{
	uint32_t address;
	if (!take(parser, "&"))
		return;
	if (ip_word_number(word(parser), &p->mask)) {
		p->mask_data = IP_DATA_INTEGER;
		parser->at++;
	} else if (!p->is_ether && click_parse_ip_name(parser->router, word(parser), &address)) {
		p->mask_data = IP_DATA_HOST;
		p->mask = click_address_to_host(address);
		parser->at++;
	} else if (read_ether(parser, p, p->ether_mask)) {
		p->mask_data = IP_DATA_ETHER;
		return;
	}
	if (!p->mask)
		fail(parser, "a mask that is not 0 expected");
}

/* The port NAME, as a PortInfo says or as it is known. */
static bool find_port(const struct parser *parser, const char *name, bool is_udp, uint32_t *ret)
{
	uint16_t port;
	if (!click_find_port(parser->router, name, is_udp, &port))
		return click_ip_port_number(name, ret);
	*ret = port;
	return true;
}

/* How many ports the word may mean for P; which one goes to RET. */
static unsigned count_ports(const struct parser *parser, const struct ip_primitive *p,
			    uint32_t *ret)
{
	uint32_t tcp, udp;
	bool no_protocol = p->protocol == IP_NO_PROTOCOL || p->protocol == IP_TCP_OR_UDP;
	bool may_be = !p->type || p->type == IP_PORT;
	bool is_tcp = may_be && (no_protocol || p->protocol == CLICK_TCP) &&
		      find_port(parser, word(parser), false, &tcp);
	bool is_udp = may_be && (no_protocol || p->protocol == CLICK_UDP) &&
		      find_port(parser, word(parser), true, &udp);
	if (is_tcp || is_udp)
		*ret = is_tcp ? tcp : udp;
	return is_tcp && is_udp && tcp != udp ? 2 : is_tcp || is_udp;
}

/* A name means what the directive and the protocol leave of its meanings, if that is one. */
static bool read_name(struct parser *parser, struct ip_primitive *p)
{
	uint32_t proto, port, flag, type;
	bool is_proto = click_ip_protocol_number(word(parser), &proto);
	bool is_port = find_port(parser, word(parser), false, &port) ||
		       find_port(parser, word(parser), true, &port);
	bool is_flag = click_tcp_flag(word(parser), &flag);
	bool is_type = click_icmp_type_number(word(parser), &type);
	if (!is_proto && !is_port && !is_flag && !is_type)
		return false;
	bool no_protocol = p->protocol == IP_NO_PROTOCOL || p->protocol == IP_TCP_OR_UDP;
	bool is_icmp_type = p->type == IP_FIELD && p->field.protocol == CLICK_ICMP &&
			    p->field.offset == 0 && p->field.width == 1;
	is_proto = is_proto && (!p->type || p->type == IP_PROTO);
	unsigned ports = count_ports(parser, p, &port);
	is_flag = is_flag && (!p->type || p->type == IP_FLAGS) &&
		  (no_protocol || p->protocol == CLICK_TCP);
	is_type = is_type && (!p->type || is_icmp_type) &&
		  (p->protocol == IP_NO_PROTOCOL || p->protocol == CLICK_ICMP);
	/* "icmp type echo-reply or echo" is about types still. */
	if (ports && is_type && parser->previous.type) {
		is_type = parser->previous.type != IP_PORT;
		ports = is_type ? 0 : ports;
	}
	unsigned meanings = (unsigned)is_proto + ports + is_flag + is_type;
	/* A host may have the name of a port. */
	if (meanings == 0 && (p->type == IP_HOST || p->type == IP_NET))
		return false;
	if (meanings != 1) {
		fail(parser, meanings ? "a name of several meanings (say 'tcp port' or 'icmp type')"
				      : "a name that means nothing here");
		return true;
	}
	if (is_proto)
		p->data = IP_DATA_PROTO, p->value = proto;
	else if (ports)
		p->data = IP_DATA_PORT, p->value = port;
	else if (is_flag)
		p->data = IP_DATA_FLAGS, p->value = flag;
	else
		p->data = IP_DATA_ICMP_TYPE, p->value = type;
	parser->at++;
	return true;
}

/* "FROM-TO", each a number or a port's name. */
static bool read_range(struct parser *parser, struct ip_primitive *p)
{
	char from[32];
	const char *dash = strchr(word(parser), '-');
	size_t len = dash ? (size_t)(dash - word(parser)) : sizeof(from);
	if (p->type != IP_PORTRANGE || len >= sizeof(from))
		return false;
	memcpy(from, word(parser), len);
	from[len] = '\0';
	bool is_udp = p->protocol == CLICK_UDP;
	if ((!ip_word_number(from, &p->value) && !find_port(parser, from, is_udp, &p->value)) ||
	    (!ip_word_number(dash + 1, &p->value_max) &&
	     !find_port(parser, dash + 1, is_udp, &p->value_max)))
		return false;
	p->data = IP_DATA_RANGE;
	parser->at++;
	return true;
}

/* A name of AddressInfo is a network if that is all it is ("NET 10.0.0.0/8"), or asked for ("net",
 * "NAME:ipnet"). */
static bool read_network(struct parser *parser, const struct ip_primitive *p, bool is_host,
			 uint32_t *address, uint32_t *mask)
{
	if (p->type != IP_NET && is_host)
		return false;
	return click_parse_net_name(parser->router, word(parser), address, mask) ||
	       click_parse_ip_prefix_name(parser->router, word(parser), address, mask);
}

static bool read_ip_address(struct parser *parser, struct ip_primitive *p)
{
	uint32_t address, host, mask = UINT32_MAX;
	const char *const *words = parser->words->words + parser->at;
	unsigned left = parser->words->count - parser->at, used = 1;
	bool is_host = click_parse_ip_name(parser->router, words[0], &host);
	if (is_host && left > 2 && strcmp(words[1], "mask") == 0 &&
	    click_parse_ip(words[2], &mask)) {
		p->data = IP_DATA_NET;
		address = host;
		used = 3;
	} else if (read_network(parser, p, is_host, &address, &mask)) {
		p->data = IP_DATA_NET;
	} else if (is_host) {
		p->data = IP_DATA_HOST;
		address = host;
	} else {
		return false;
	}
	p->value = click_address_to_host(address);
	p->value_mask = click_address_to_host(mask);
	parser->at += used;
	return true;
}

/* Addresses need no 'ether' before them; names that are of both kinds do, or an address before. */
static bool read_address(struct parser *parser, struct ip_primitive *p)
{
	bool was_ether = parser->previous.data == IP_DATA_ETHER;
	if (!p->is_ether && !was_ether && read_ip_address(parser, p))
		return true;
	if (!read_ether(parser, p, p->ether))
		return was_ether && !p->is_ether && read_ip_address(parser, p);
	p->data = IP_DATA_ETHER;
	p->is_ether = true;
	return true;
}

static void read_data(struct parser *parser, struct ip_primitive *p)
{
	if (parser->at >= parser->words->count || read_name(parser, p) || read_range(parser, p))
		return;
	if (ip_word_number(word(parser), &p->value)) {
		p->data = IP_DATA_INTEGER;
		parser->at++;
	} else if (!read_address(parser, p) && (p->relation != IP_EQUAL || p->is_negated)) {
		fail(parser, "a value expected");
	}
}

static uint16_t parse_primitive(struct parser *parser)
{
	struct ip_primitive p = {.protocol = IP_NO_PROTOCOL};
	unsigned first = parser->at;
	bool is_negated = false;
	read_qualifiers(parser, &p, &is_negated);
	if (parser->at != first)
		parser->previous = (struct ip_primitive){.protocol = IP_NO_PROTOCOL};
	if (parser->at != first && !p.type && take(parser, "["))
		read_brackets(parser, &p);
	read_mask(parser, &p);
	read_relation(parser, &p);
	read_data(parser, &p);
	/* "DIRECTIVE & MASK" alone asks for any of these bits. */
	if (p.mask && p.data == IP_NO_DATA && p.type && p.relation == IP_EQUAL && !p.is_negated) {
		p.data = IP_DATA_INTEGER;
		p.is_negated = true;
	}
	if (parser->has_failed)
		return CLASSIFY_NO_NODE;
	if (parser->at == first)
		return fail(parser, "a term expected");
	const char *error = ip_primitive_check(&p, &parser->previous);
	if (error)
		return fail(parser, error);
	parser->previous = p;
	uint16_t node = ip_primitive_nodes(&p, parser->nodes);
	return is_negated ? classify_not(parser->nodes, node) : node;
}

/* --- expressions --- */

static uint16_t parse_expression(struct parser *parser);

static bool is_factor(const struct parser *parser)
{
	return parser->at < parser->words->count && !is(parser, ")") && !is(parser, "||") &&
	       !is(parser, "or") && !is(parser, "?") && !is(parser, ":");
}

static uint16_t parse_factor(struct parser *parser)
{
	bool is_negated = false;
	uint16_t node;
	while (is(parser, "not") || is(parser, "!")) {
		is_negated = !is_negated;
		parser->at++;
	}
	if (!is_factor(parser))
		return fail(parser, "a term expected");
	if (take(parser, "true")) {
		node = classify_constant(parser->nodes, true);
	} else if (take(parser, "false")) {
		node = classify_constant(parser->nodes, false);
	} else if (take(parser, "(")) {
		node = parse_expression(parser);
		if (!take(parser, ")"))
			return fail(parser, "')' expected");
	} else {
		node = parse_primitive(parser);
	}
	return is_negated ? classify_not(parser->nodes, node) : node;
}

static uint16_t parse_terms(struct parser *parser)
{
	uint16_t node = parse_factor(parser);
	while (!parser->has_failed) {
		if (!take(parser, "and") && !take(parser, "&&") && !is_factor(parser))
			break;
		node = classify_and(parser->nodes, node, parse_factor(parser));
	}
	return node;
}

static uint16_t parse_alternatives(struct parser *parser)
{
	uint16_t node = parse_terms(parser);
	while (!parser->has_failed && (take(parser, "or") || take(parser, "||")))
		node = classify_or(parser->nodes, node, parse_terms(parser));
	return node;
}

static uint16_t parse_expression(struct parser *parser)
{
	if (++parser->depth > DEPTH_MAX)
		return fail(parser, "too many parentheses");
	uint16_t node = parse_alternatives(parser);
	if (!parser->has_failed && take(parser, "?")) {
		uint16_t when_true = parse_expression(parser);
		if (!take(parser, ":"))
			return fail(parser, "':' expected");
		node = classify_choice(parser->nodes, node, when_true, parse_expression(parser));
	}
	parser->depth--;
	return parser->has_failed ? CLASSIFY_NO_NODE : node;
}

uint16_t ip_pattern_parse(const struct ip_words *words, unsigned first, unsigned number,
			  struct classify_nodes *nodes, struct click_router *router,
			  struct click_args *args, bool tells)
{
	struct parser parser = {
		.words = words,
		.at = first,
		.number = number,
		.nodes = nodes,
		.router = router,
		.args = args,
		.tells = tells,
		.previous = {.protocol = IP_NO_PROTOCOL},
	};
	if (words->count == first + 1) {
		if (is(&parser, "-") || is(&parser, "any") || is(&parser, "all"))
			return classify_constant(nodes, true);
		if (is(&parser, "none"))
			return classify_constant(nodes, false);
	}
	uint16_t node = parse_expression(&parser);
	if (!parser.has_failed && parser.at < words->count)
		return fail(&parser, "garbage behind the pattern");
	return parser.has_failed ? CLASSIFY_NO_NODE : node;
}
