/*
 * Connections: chains of lists of elements, each with ports before and behind it.
 *
 *	a -> b			output 0 to input 0
 *	a [1] -> [2] b		other ports
 *	a, b -> c		each of several to one, or one to each of several
 *	a [0,1] => b, c		one by one, in order
 *	a => ( [0] -> x; [1] -> y )	a group: its names are those around it
 *	{ -> Queue -> }		in compounds and groups input and output may be left out
 *	{ [0], [1] -> Queue -> }	where there are several, their ports say so
 */
#include <string.h>

#include "parse.h"

bool click_ends_chain(const struct click_token *token)
{
	static const char *const words[] = {"elementclass", "require", "provide", "define"};
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (click_parse_is_word(token, words[i]))
			return true;
	return token->kind == ';' || token->kind == '}' || token->kind == ')' ||
	       token->kind == CLICK_BARS || token->kind == CLICK_END;
}

bool click_is_arrow(int kind)
{
	return kind == CLICK_ARROW || kind == CLICK_DOUBLE_ARROW;
}

void click_parse_check_ports(struct click_parser *parser, uint32_t input, uint32_t output,
			     const char *name, uint32_t line)
{
	const struct click_compound *scope = parser->scope;
	if (input == CLICK_NONE || output == CLICK_NONE)
		return;
	const uint32_t counts[] = {scope->decls[input].outputs, scope->decls[output].inputs};
	bool used[2][CLICK_PORTS_MAX] = {{false}};
	for (uint32_t i = 0; i < scope->links_count; i++) {
		const struct click_flat_link *link = &scope->links[i];
		if (link->from.element == input)
			used[0][link->from.port] = true;
		if (link->to.element == output)
			used[1][link->to.port] = true;
	}
	for (unsigned side = 0; side < 2; side++)
		for (uint32_t port = 0; port < counts[side]; port++)
			if (!used[side][port])
				click_parse_error(parser, line, "%s uses its %s %u, but not %u",
						  name, side == 0 ? "input" : "output",
						  counts[side] - 1, port);
}

/* False: no further ones. */
static bool add_link(struct click_parser *parser, struct click_end from, struct click_end to,
		     uint32_t line)
{
	struct click_compound *scope = parser->scope;
	if (to.element == parser->input || from.element == parser->output) {
		click_parse_error(parser, line, "packets come from 'input' and go to 'output'");
		return false;
	}
	if (scope->links_count >= CLICK_CONNECTIONS_MAX) {
		click_parse_error(parser, line, "more than %u connections", CLICK_CONNECTIONS_MAX);
		click_parse_give_up(parser);
		return false;
	}
	if (!click_arena_grow(parser->arena, &scope->links, scope->links_count,
			      &scope->links_capacity, sizeof(*scope->links))) {
		parser->no_memory = true;
		return false;
	}
	scope->links[scope->links_count++] =
		(struct click_flat_link){from, to, line, parser->lexer.file};
	struct click_decl *left = &scope->decls[from.element], *right = &scope->decls[to.element];
	left->outputs = from.port >= left->outputs ? from.port + 1 : left->outputs;
	right->inputs = to.port >= right->inputs ? to.port + 1 : right->inputs;
	return true;
}

/* --- which output goes to which input --- */

/* The outputs of what is on the left of an arrow, or the inputs of what is on its right. */
struct side {
	const struct click_list *list;
	bool is_left;
	uint32_t count; /* of ports, with those behind the open item's */
	uint32_t open;	/* the item that has more ports than it says: EXTRA; or NONE */
	uint32_t extra;
	bool grows; /* EXTRA is as much as is needed */
	struct click_end *ends;
};

static const struct click_ports *ports_of(const struct side *side, uint32_t index)
{
	const struct click_item *item = &side->list->items[index];
	return side->is_left ? &item->out_ports : &item->in_ports;
}

static uint32_t ports_count(const struct click_ports *ports)
{
	return ports->count > 0 ? ports->count : 1;
}

static bool measure(struct click_parser *parser, struct side *side, uint32_t line)
{
	side->open = CLICK_NONE;
	for (uint32_t i = 0; i < side->list->count; i++) {
		const struct click_ports *ports = ports_of(side, i);
		side->count += ports_count(ports);
		if (!ports->is_open)
			continue;
		if (side->grows) {
			click_parse_error(parser, line, "only one '[]' can be in a connection");
			return false;
		}
		side->grows = true;
		side->open = i;
	}
	return true;
}

/* One element for which no ports are said. */
static bool is_bare(const struct side *side)
{
	return side->list->count == 1 && ports_of(side, 0)->count == 0;
}

/* How many ports the compound that is all of SIDE has; 0: it is none. */
static uint32_t ports_inside(const struct click_parser *parser, const struct side *side)
{
	const struct click_item *item = &side->list->items[0];
	const struct click_decl *decl = &parser->scope->decls[side->is_left ? item->out : item->in];
	if (decl->kind != CLICK_ELEMENT || decl->compound == NULL)
		return 0;
	return side->is_left ? decl->compound->decls[1].inputs : decl->compound->decls[0].outputs;
}

/* At a double arrow a bare element has as many ports as the other side, or as the compound that
 * one of two is. */
static bool open_bare(struct click_parser *parser, struct side *left, struct side *right,
		      uint32_t line)
{
	if (!is_bare(left) || !is_bare(right)) {
		struct side *bare = is_bare(left) ? left : is_bare(right) ? right : NULL;
		if (bare != NULL) {
			bare->open = 0;
			bare->grows = true;
		}
		return true;
	}
	uint32_t counts[] = {ports_inside(parser, left), ports_inside(parser, right)};
	for (unsigned i = 0; i < 2; i++) {
		struct side *side = i == 0 ? left : right;
		side->open = 0;
		side->grows = counts[i] == 0;
		side->extra = counts[i] > 0 ? counts[i] - 1 : 0;
		side->count += side->extra;
	}
	if (counts[0] == 0 && counts[1] == 0)
		click_parse_error(parser, line,
				  "'=>': say which ports, as in 'a [0,1] => [0,1] b'");
	return counts[0] > 0 || counts[1] > 0;
}

static bool grow(struct click_parser *parser, struct side *side, const struct side *other,
		 uint32_t line)
{
	if (!side->grows || side->count >= other->count)
		return true;
	const struct click_ports *ports = ports_of(side, side->open);
	side->extra = other->count - side->count;
	side->count = other->count;
	uint32_t last = ports->count > 0 ? ports->list[ports->count - 1] : 0;
	if (last + side->extra < CLICK_PORTS_MAX)
		return true;
	click_parse_error(parser, line, "no element has more than %u ports", CLICK_PORTS_MAX);
	return false;
}

static bool collect(struct click_parser *parser, struct side *side)
{
	uint32_t count = 0;
	side->ends = click_arena_alloc(parser->arena, side->count * sizeof(*side->ends));
	if (side->ends == NULL) {
		parser->no_memory = true;
		return false;
	}
	for (uint32_t i = 0; i < side->list->count; i++) {
		const struct click_item *item = &side->list->items[i];
		const struct click_ports *ports = ports_of(side, i);
		uint32_t element = side->is_left ? item->out : item->in, port = 0;
		for (uint32_t p = 0; p < ports_count(ports); p++) {
			port = ports->count > 0 ? ports->list[p] : 0;
			side->ends[count++] = (struct click_end){element, port};
		}
		for (uint32_t p = 0; i == side->open && p < side->extra; p++)
			side->ends[count++] = (struct click_end){element, ++port};
	}
	return true;
}

static bool match(struct click_parser *parser, struct side *left, struct side *right,
		  const struct click_token *arrow)
{
	bool is_double = arrow->kind == CLICK_DOUBLE_ARROW;
	if (!measure(parser, left, arrow->line) || !measure(parser, right, arrow->line))
		return false;
	if (left->grows && right->grows) {
		click_parse_error(parser, arrow->line, "only one '[]' can be in a connection");
		return false;
	}
	if (is_double &&
	    (!open_bare(parser, left, right, arrow->line) ||
	     !grow(parser, left, right, arrow->line) || !grow(parser, right, left, arrow->line)))
		return false;
	if (!is_double && left->count > 1 && right->count > 1) {
		click_parse_error(parser, arrow->line,
				  "'->' connects %u outputs to %u inputs: '=>' connects them one "
				  "by one",
				  left->count, right->count);
		return false;
	}
	if (is_double && left->count != right->count) {
		click_parse_error(parser, arrow->line,
				  "'=>' connects %u outputs to %u inputs: say which ports, as in "
				  "'a [0,1] => [0,1] b'",
				  left->count, right->count);
		return false;
	}
	return true;
}

static void connect(struct click_parser *parser, const struct click_list *left,
		    const struct click_list *right, const struct click_token *arrow)
{
	struct side sides[] = {{.list = left, .is_left = true}, {.list = right}};
	if (!match(parser, &sides[0], &sides[1], arrow) || !collect(parser, &sides[0]) ||
	    !collect(parser, &sides[1]))
		return;
	uint32_t count = sides[0].count > sides[1].count ? sides[0].count : sides[1].count;
	for (uint32_t i = 0; i < count; i++)
		if (!add_link(parser, sides[0].ends[sides[0].count > 1 ? i : 0],
			      sides[1].ends[sides[1].count > 1 ? i : 0], arrow->line))
			return;
}

/* --- chains --- */

/* The unnamed end of a chain: of the compound or group around it. */
static bool unnamed(struct click_parser *parser, struct click_list *list, uint32_t decl,
		    struct click_ports ports, uint32_t line)
{
	*list = (struct click_list){.items =
					    click_arena_alloc(parser->arena, sizeof(*list->items))};
	if (list->items == NULL) {
		parser->no_memory = true;
		return false;
	}
	if (decl == CLICK_NONE) {
		click_parse_error(parser, line, "an arrow needs an element on both sides");
		return false;
	}
	list->items[0] = (struct click_item){
		.in = decl, .out = decl, .in_ports = ports, .out_ports = ports, .line = line};
	list->count = 1;
	return true;
}

/* After a mistake: up to the end of the statement. */
static void skip_statement(struct click_parser *parser)
{
	struct click_token token;
	for (;;) {
		token = click_lex_peek(&parser->lexer);
		if (click_ends_chain(&token))
			return;
		(void)click_lex(&parser->lexer);
	}
}

/* The first list of a chain, or the unnamed input in front of an arrow. */
static bool parse_start(struct click_parser *parser, struct click_list *list)
{
	struct click_ports ports = {0};
	uint32_t line = parser->lexer.line;
	if (!click_parse_ports(parser, &ports))
		return false;
	struct click_token token = click_lex_peek(&parser->lexer);
	bool has_list = ports.count > 0 && token.kind == ',' && parser->input != CLICK_NONE;
	if (click_is_arrow(token.kind))
		return unnamed(parser, list, parser->input, ports, token.line);
	if (!click_parse_list(parser, list, ports, true))
		return false;
	if (ports.count > 0 && !has_list)
		click_parse_error(parser, line, "an input port at the start of a chain");
	return true;
}

void click_parse_connection(struct click_parser *parser)
{
	struct click_list left, right;
	if (!parse_start(parser, &left)) {
		skip_statement(parser);
		return;
	}
	for (;;) {
		struct click_token arrow = click_lex_peek(&parser->lexer);
		if (!click_is_arrow(arrow.kind))
			break;
		(void)click_lex(&parser->lexer);
		struct click_ports ports = {0};
		if (!click_parse_ports(parser, &ports)) {
			skip_statement(parser);
			return;
		}
		struct click_token next = click_lex_peek(&parser->lexer);
		bool is_end = click_ends_chain(&next);
		if (!(is_end ? unnamed(parser, &right, parser->output, ports, arrow.line)
			     : click_parse_list(parser, &right, ports, false))) {
			skip_statement(parser);
			return;
		}
		connect(parser, &left, &right, &arrow);
		left = right;
		if (is_end)
			return;
	}
	for (uint32_t i = 0; i < left.count; i++)
		if (left.items[i].out_ports.count > 0 && !left.items[i].out_ports.is_implied)
			click_parse_error(parser, left.items[i].line,
					  "an output port at the end of a chain");
}
