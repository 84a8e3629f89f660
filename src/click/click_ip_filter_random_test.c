/*
 * Random patterns of IPClassifier over random packets, of which some are cut. While a pattern's
 * text is written, it is computed which packets it matches: as the documentation says it, without
 * what the elements make of patterns. The program has to agree.
 *
 * click_ip_filter_random_test [SEED ROUNDS]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <sdk/click/ip.h>

#include "click/click_elements_fixture.h"

#define PACKETS	 32u
#define PATTERNS 3u

static unsigned seed = 1, rounds = 1500;

static unsigned below(unsigned limit)
{
	seed = seed * 1103515245u + 12345u;
	return (seed >> 16 & 0x7fff) % limit;
}

#define ONE_OF(array) ((array)[below(sizeof(array) / sizeof((array)[0]))])

/* --- packets: Ethernet, IP, maybe options, and a header of a transport --- */

static uint8_t packets[PACKETS][128];
static size_t lens[PACKETS];

static const unsigned protocols[] = {1, 6, 6, 6, 17, 17, 33, 50};
static const unsigned ports[] = {0, 22, 53, 80, 81, 1023, 1024, 0x8000, 65535};
static const uint32_t addresses[] = {0x0a000001, 0x0a000002, 0x0aff0001, 0xc0a80102};

static void make_packet(unsigned index)
{
	static const unsigned fragments[] = {0, 0, 0, 0x4000, 0x2000, 0x2003, 0x0010, 0x1fff};
	static const unsigned options[] = {0, 0, 0, 4, 40};
	uint8_t *frame = packets[index], *ip = frame + 14;
	for (unsigned i = 0; i < sizeof(packets[0]); i++)
		frame[i] = (uint8_t)(below(2) ? below(4) : below(256));
	unsigned header = 20 + ONE_OF(options);
	memset(frame, 0, 12);
	frame[5] = (uint8_t)below(2);
	frame[11] = (uint8_t)below(2);
	ip[0] = (uint8_t)(0x40 | header / 4);
	click_put_u16(ip + 6, ONE_OF(fragments));
	ip[9] = (uint8_t)ONE_OF(protocols);
	click_put_u32(ip + 12, ONE_OF(addresses));
	click_put_u32(ip + 16, ONE_OF(addresses));
	if (ip[9] == 1)
		ip[header] = (uint8_t)(below(2) ? 8 : below(20));
	else
		click_put_u16(ip + header, ONE_OF(ports));
	click_put_u16(ip + header + 2, ONE_OF(ports));
	lens[index] = 14 + header + 20;
	if (below(3) == 0)
		lens[index] = 14 + below(header + 20);
}

/* --- what a packet has --- */

enum { MAC, IP, TRANSPORT };
enum truth { NO, YES, ABSENT };

static bool has(unsigned packet, unsigned where, unsigned offset, unsigned width, uint32_t *ret)
{
	const uint8_t *frame = packets[packet];
	offset += where == MAC ? 0 : where == IP ? 14 : 14 + (frame[14] & 15) * 4u;
	/* Without a byte of it there is no header. */
	if (offset + width > lens[packet] || (where == TRANSPORT && lens[packet] <= 14))
		return false;
	*ret = 0;
	for (unsigned i = 0; i < width; i++)
		*ret = *ret << 8 | frame[offset + i];
	return true;
}

static bool is_protocol(unsigned packet, unsigned protocol)
{
	uint32_t value;
	return has(packet, IP, 9, 1, &value) && value == protocol;
}

static bool is_first(unsigned packet)
{
	uint32_t value;
	return has(packet, IP, 6, 2, &value) && (value & 0x1fff) == 0;
}

/* --- comparisons --- */

struct comparison {
	const char *relation;
	uint32_t mask, value;
};

static enum truth compare(const struct comparison *c, bool is_there, uint32_t field)
{
	field &= c->mask;
	const char *r = c->relation;
	if (!is_there)
		return ABSENT;
	if (strcmp(r, "!=") == 0)
		return field != (c->value & c->mask) ? YES : NO;
	if (strcmp(r, ">") == 0)
		return field > c->value ? YES : NO;
	if (strcmp(r, "<=") == 0)
		return field <= c->value ? YES : NO;
	if (strcmp(r, "<") == 0)
		return field < c->value ? YES : NO;
	if (strcmp(r, ">=") == 0)
		return field >= c->value ? YES : NO;
	return field == (c->value & c->mask) ? YES : NO;
}

/* What is the same for all values is so for absent ones. */
static int constant_of(const struct comparison *c)
{
	bool is_less = c->relation[0] == '<', has_equal = c->relation[0] && c->relation[1] == '=';
	if (c->relation[0] != '<' && c->relation[0] != '>')
		return -1;
	if (is_less != has_equal) { /* < and >= compare with what is below VALUE */
		if (c->value == 0)
			return !is_less;
		return c->value > c->mask ? is_less : -1;
	}
	return c->value >= c->mask ? is_less : -1;
}

/* "& MASK RELATION VALUE" of a field with the highest value MAX. */
static struct comparison write_comparison(char **to, uint32_t max, const unsigned *values,
					  unsigned count)
{
	static const char *const relations[] = {"", "=", "==", "!=", ">", "<=", "<", ">="};
	struct comparison c = {ONE_OF(relations), max, 0};
	c.value = count && below(4) ? values[below(count)] : below(6) ? below(0x7fff) & max : max;
	c.value &= max;
	if (below(4) == 0) {
		c.mask = (below(2) ? below(0x7fff) : 1u << below(16)) & max;
		c.mask = c.mask ? c.mask : max;
		*to += sprintf(*to, below(2) ? " & %u" : "&0x%x", c.mask);
	}
	*to += sprintf(*to, below(2) ? " %s %u" : "%s 0x%x", c.relation, c.value);
	return c;
}

/* --- sides --- */

enum side { SRC, DST, BOTH, EITHER };

static enum side write_side(char **to)
{
	static const char *const sides[] = {"src ", "dst ", "src and dst ", "src or dst "};
	enum side side = (enum side)below(5);
	if (side <= EITHER)
		*to += sprintf(*to, "%s", sides[side]);
	return side <= EITHER ? side : EITHER;
}

/* The relation is about both sides: OF is what it says without "not". */
static bool of_sides(enum side side, const enum truth of[2], bool is_negated)
{
	enum truth truth = of[side == DST];
	if (side == BOTH)
		truth = of[0] == NO || of[1] == NO     ? NO
			: of[0] == YES && of[1] == YES ? YES
						       : ABSENT;
	if (side == EITHER)
		truth = of[0] == YES || of[1] == YES ? YES
			: of[0] == NO && of[1] == NO ? NO
						     : ABSENT;
	return truth == (is_negated ? NO : YES);
}

/* COMPARISON without its negation, which is told. */
static struct comparison positive(const struct comparison *c, bool *ret_is_negated)
{
	struct comparison p = *c;
	if (strcmp(c->relation, "!=") == 0)
		p.relation = "=";
	else if (strcmp(c->relation, "<=") == 0)
		p.relation = ">";
	else if (strcmp(c->relation, "<") == 0)
		p.relation = ">=";
	*ret_is_negated = p.relation != c->relation;
	return p;
}

/* --- primitives: text to TO, and the packets that match --- */

/* Whether the last one ended with data or a parenthesis, so that another may follow without "and".
 */
static bool is_closed;

static uint32_t write_port(char **to)
{
	static const struct {
		const char *name;
		int protocol;
	} kinds[] = {{"", 0}, {"tcp ", 6}, {"udp ", 17}, {"dccp ", 33}};
	unsigned kind = below(4), more = below(4) ? 1 : 2 + below(2);
	*to += sprintf(*to, "%s%s", more > 1 ? "(" : "", kinds[kind].name);
	enum side side = write_side(to);
	*to += sprintf(*to, "port");
	uint32_t matches = 0;
	for (unsigned i = 0; i < more; i++) {
		if (i)
			*to += sprintf(*to, " or");
		struct comparison c = write_comparison(to, 65535, ports, 9);
		bool is_negated;
		struct comparison p = positive(&c, &is_negated);
		int constant = constant_of(&p);
		for (unsigned packet = 0; packet < PACKETS; packet++) {
			enum truth of[2];
			uint32_t value;
			for (unsigned j = 0; j < 2; j++) {
				bool is_there = has(packet, TRANSPORT, 2 * j, 2, &value);
				of[j] = constant >= 0 ? (enum truth)constant
						      : compare(&p, is_there, is_there ? value : 0);
			}
			bool is_kind = kind ? is_protocol(packet, (unsigned)kinds[kind].protocol)
					    : is_protocol(packet, 6) || is_protocol(packet, 17);
			if (is_kind && is_first(packet) && of_sides(side, of, is_negated))
				matches |= 1u << packet;
		}
	}
	if (more > 1)
		*to += sprintf(*to, ")");
	is_closed = true;
	return matches;
}

static uint32_t write_address(char **to)
{
	static const char *const kinds[] = {"host ", "", "net ", ""};
	const char *begin = *to;
	enum side side = write_side(to);
	/* A bare address would have the side of the one before. */
	unsigned kind = *to == begin ? 2 * below(2) : below(4);
	bool is_negated = below(4) == 0;
	struct comparison c = {"=", UINT32_MAX, ONE_OF(addresses)};
	*to += sprintf(*to, "%s", kinds[kind]);
	if (kind < 2 && below(3) == 0) {
		c.mask = below(2) ? 0xff000000 : 0xffff00ff;
		*to += sprintf(*to, "& %s ", c.mask == 0xff000000 ? "255.0.0.0" : "0xffff00ff");
	}
	*to += sprintf(*to, "%s%u.%u.%u.%u", is_negated ? "!= " : "", c.value >> 24,
		       c.value >> 16 & 255, c.value >> 8 & 255, c.value & 255);
	if (kind >= 2) {
		c.mask = below(2) ? 0xff000000 : 0xfffffffe;
		*to += sprintf(*to, "%s", c.mask == 0xff000000 ? "/8" : " mask 255.255.255.254");
	}
	uint32_t matches = 0, value;
	for (unsigned packet = 0; packet < PACKETS; packet++) {
		enum truth of[2];
		for (unsigned i = 0; i < 2; i++) {
			bool is_there = has(packet, IP, 12 + 4 * i, 4, &value);
			of[i] = compare(&c, is_there, is_there ? value : 0);
		}
		if (of_sides(side, of, is_negated))
			matches |= 1u << packet;
	}
	is_closed = true;
	return matches;
}

static uint32_t write_ether(char **to)
{
	static const char *const kinds[] = {"ether host ", "host "};
	unsigned more = 1 + below(2), last = below(2);
	*to += sprintf(*to, more > 1 ? "(" : "");
	enum side side = write_side(to);
	bool is_negated = below(4) == 0;
	*to += sprintf(*to, "%s%s0:0:0:0:0:%u", ONE_OF(kinds), is_negated ? "!= " : "", last);
	uint32_t matches = 0, first, second;
	for (unsigned packet = 0; packet < PACKETS; packet++) {
		enum truth of[2];
		for (unsigned i = 0; i < 2; i++) {
			of[i] = ABSENT;
			if (has(packet, MAC, i ? 0 : 6, 4, &first) && first)
				of[i] = NO;
			else if (has(packet, MAC, i ? 4 : 10, 2, &second))
				of[i] = second == last ? YES : NO;
		}
		if (of_sides(side, of, is_negated))
			matches |= 1u << packet;
		if (more > 1 && of_sides(side, of, !is_negated))
			matches |= 1u << packet;
	}
	if (more > 1)
		*to += sprintf(*to, " or %s0:0:0:0:0:%u)", is_negated ? "" : "!= ", last);
	is_closed = true;
	return matches;
}

static const struct field {
	const char *text;
	unsigned where, offset, width, shift;
	uint32_t max;
	unsigned protocol;
} fields[] = {
	{"ip vers", IP, 0, 1, 4, 15, 0},
	{"ip hl", IP, 0, 1, 0, 15, 0},
	{"ip tos", IP, 1, 1, 0, 255, 0},
	{"dscp", IP, 1, 1, 2, 63, 0},
	{"ip len", IP, 2, 2, 0, 65535, 0},
	{"ip id", IP, 4, 2, 0, 65535, 0},
	{"ip ttl", IP, 8, 1, 0, 255, 0},
	{"ip proto", IP, 9, 1, 0, 255, 0},
	{"ip sum", IP, 10, 2, 0, 65535, 0},
	{"tcp win", TRANSPORT, 14, 2, 0, 65535, 6},
	{"icmp type", TRANSPORT, 0, 1, 0, 255, 1},
	{"ip[6:2]", IP, 6, 2, 0, 65535, 0},
	{"ip[5:3]", IP, 5, 3, 0, 0xffffff, 0},
	{"ip[12:4]", IP, 12, 4, 0, UINT32_MAX, 0},
	{"ip[19]", IP, 19, 1, 0, 255, 0},
	{"transp[0:2]", TRANSPORT, 0, 2, 0, 65535, 1000},
	{"transp[18:2]", TRANSPORT, 18, 2, 0, 65535, 1000},
	{"tcp[13]", TRANSPORT, 13, 1, 0, 255, 6},
	{"udp[0:4]", TRANSPORT, 0, 4, 0, UINT32_MAX, 17},
};

static uint32_t write_field(char **to)
{
	static const unsigned values[] = {0, 1, 2, 3, 6, 8, 17, 80};
	const struct field *field = &ONE_OF(fields);
	*to += sprintf(*to, "%s", field->text);
	struct comparison c = write_comparison(to, field->max, values, 8);
	uint32_t matches = 0, value = 0;
	int constant = constant_of(&c);
	for (unsigned packet = 0; packet < PACKETS; packet++) {
		bool is_there = has(packet, field->where, field->offset, field->width, &value);
		bool is_true = compare(&c, is_there, value >> field->shift & field->max) == YES;
		if (constant >= 0)
			is_true = constant;
		if (field->protocol)
			is_true = is_true && is_first(packet) &&
				  (field->protocol == 1000 || is_protocol(packet, field->protocol));
		if (is_true)
			matches |= 1u << packet;
	}
	is_closed = true;
	return matches;
}

/* Those without a comparison: MASK of a field is VALUE. */
static uint32_t write_word(char **to)
{
	static const struct {
		const char *text;
		struct field field;
		uint32_t mask, value;
		bool is_negated, has_data;
	} words[] = {
		{"ip frag", {"", IP, 6, 2, 0, 0, 0}, 0x3fff, 0, true, false},
		{"unfrag", {"", IP, 6, 2, 0, 0, 0}, 0x3fff, 0, false, false},
		{"ip ect", {"", IP, 1, 1, 0, 0, 0}, 3, 0, true, false},
		{"ip ect 2", {"", IP, 1, 1, 0, 0, 0}, 3, 2, false, true},
		{"ip ce", {"", IP, 1, 1, 0, 0, 0}, 3, 3, false, false},
		{"tcp", {"", IP, 9, 1, 0, 0, 0}, 255, 6, false, false},
		{"ip proto udp", {"", IP, 9, 1, 0, 0, 0}, 255, 17, false, false},
		{"proto != icmp", {"", IP, 9, 1, 0, 0, 0}, 255, 1, true, true},
		{"tcp opt syn", {"", TRANSPORT, 13, 1, 0, 0, 6}, 2, 2, false, true},
		{"ack", {"", TRANSPORT, 13, 1, 0, 0, 6}, 16, 16, false, true},
		{"opt 3", {"", TRANSPORT, 13, 1, 0, 0, 6}, 3, 3, false, true},
		{"icmp echo", {"", TRANSPORT, 0, 1, 0, 0, 1}, 255, 8, false, true},
		{"true", {"", IP, 0, 0, 0, 0, 0}, 0, 0, false, true},
		{"false", {"", IP, 0, 0, 0, 0, 0}, 0, 1, false, true},
	};
	unsigned index = below(sizeof(words) / sizeof(words[0]));
	const struct field *field = &words[index].field;
	*to += sprintf(*to, "%s", words[index].text);
	uint32_t matches = 0, value = 0;
	for (unsigned packet = 0; packet < PACKETS; packet++) {
		bool is_true = field->width == 0 ||
			       has(packet, field->where, field->offset, field->width, &value);
		is_true = is_true && ((value & words[index].mask) == words[index].value) !=
					     words[index].is_negated;
		if (field->protocol)
			is_true =
				is_true && is_first(packet) && is_protocol(packet, field->protocol);
		if (is_true)
			matches |= 1u << packet;
	}
	is_closed = words[index].has_data;
	return matches;
}

/* --- expressions --- */

static const char *soft_end; /* of the text: nothing optional is behind it */

static uint32_t write_expression(char **to, unsigned depth);

static bool goes_on(const char *to, unsigned times)
{
	return to < soft_end && below(times) == 0;
}

static uint32_t write_factor(char **to, unsigned depth)
{
	static uint32_t (*const primitives[])(char **to) = {
		write_port, write_port, write_address, write_ether, write_field, write_word,
	};
	if (goes_on(*to, 6)) {
		*to += sprintf(*to, below(2) ? "not " : "!");
		return ~write_factor(to, depth);
	}
	if (!depth || !goes_on(*to, 3))
		return ONE_OF(primitives)(to);
	*to += sprintf(*to, "(");
	uint32_t matches = write_expression(to, depth - 1);
	*to += sprintf(*to, ")");
	is_closed = true;
	return matches;
}

static uint32_t write_terms(char **to, unsigned depth)
{
	static const char *const ands[] = {" and ", " && ", "&&"};
	uint32_t matches = write_factor(to, depth);
	while (goes_on(*to, 3)) {
		*to += sprintf(*to, "%s", is_closed && below(3) == 0 ? " " : ONE_OF(ands));
		matches &= write_factor(to, depth);
	}
	return matches;
}

static uint32_t write_alternatives(char **to, unsigned depth)
{
	uint32_t matches = write_terms(to, depth);
	while (goes_on(*to, 3)) {
		*to += sprintf(*to, below(2) ? " or " : "||");
		matches |= write_terms(to, depth);
	}
	return matches;
}

static uint32_t write_expression(char **to, unsigned depth)
{
	uint32_t matches = write_alternatives(to, depth);
	if (!depth || !goes_on(*to, 4))
		return matches;
	*to += sprintf(*to, " ? ");
	uint32_t when_true = write_expression(to, depth - 1);
	*to += sprintf(*to, " : ");
	return (matches & when_true) | (~matches & write_expression(to, depth - 1));
}

/* --- the test --- */

/* A step that nothing leads to would only be in the way of the others. */
static void expect_no_dead_steps(const struct fixture *fixture)
{
	static char text[65536], step[32];
	int len = click_router_read(fixture->router, "f.program", text, sizeof(text) - 1);
	assert_in_range(len, 1, sizeof(text) - 1);
	text[len] = '\0';
	unsigned steps = 0;
	for (const char *at = strchr(text, '\n'); at; at = strchr(at + 1, '\n'))
		steps++;
	for (unsigned i = 1; i + 1 < steps; i++) {
		snprintf(step, sizeof(step), "->step %u ", i);
		bool leads = strstr(text, step) != NULL;
		step[strlen(step) - 1] = '\n';
		if (!leads && !strstr(text, step))
			fail_msg("nothing leads to step %u: %s", i, text);
	}
}

static void programs_do_what_patterns_say(void **state)
{
	static const char *const devices[] = {"a", "b", "c", "d"};
	static char text[16384];
	struct fixture fixture;
	for (unsigned round = 0; round < rounds; round++) {
		uint32_t matches[PATTERNS + 1] = {[PATTERNS] = UINT32_MAX};
		char *to = text;
		for (unsigned i = 0; i < PACKETS; i++)
			make_packet(i);
		to += sprintf(to, "FromDevice(in) -> MarkMACHeader(0) -> MarkIPHeader(14) -> "
				  "f :: IPClassifier(");
		for (unsigned i = 0; i < PATTERNS; i++) {
			soft_end = to + 500;
			matches[i] = write_expression(&to, 4);
			to += sprintf(to, ", ");
		}
		to += sprintf(to, "-);");
		for (unsigned i = 0; i <= PATTERNS; i++)
			to += sprintf(to, "f[%u] -> ToDevice(%s);", i, devices[i]);
		if (fixture_load(&fixture, text) < 0)
			fail_msg("%s: %s", text, fixture.errors);
		expect_no_dead_steps(&fixture);
		for (unsigned packet = 0; packet < PACKETS; packet++) {
			unsigned expected = 0;
			while (!(matches[expected] & 1u << packet))
				expected++;
			fixture_receive(&fixture, "in", packets[packet], lens[packet]);
			assert_int_equal(fixture.sent_count, 1);
			if (fixture.sent[0].device != fixture_device(&fixture, devices[expected]))
				fail_msg("round %u: packet %u of %zu bytes is not in %s: %s", round,
					 packet, lens[packet], devices[expected], text);
		}
		fixture_fini(&fixture);
	}
}

int main(int argc, char **argv)
{
	if (argc > 2) {
		seed = (unsigned)strtoul(argv[1], NULL, 10);
		rounds = (unsigned)strtoul(argv[2], NULL, 10);
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(programs_do_what_patterns_say),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
