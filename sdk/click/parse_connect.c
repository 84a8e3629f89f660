/*
 * Connections: chains of lists of elements, each with ports before and behind it.
 *
 *	a -> b			output 0 to input 0
 *	a [1] -> [2] b		other ports
 *	a, b -> c		each of the left to each of the right
 *	a [0,1] => b, c		one by one, in order
 *	a => ( [0] -> x; [1] -> y )	a group: its names are those around it
 *	{ -> Queue -> }		in compounds and groups input and output may be left out
 */
#include <string.h>

#include "parse.h"

#define ITEMS_MAX 256u

struct list {
	struct click_item *items;
	uint32_t count, capacity;
};

static bool add_port(struct click_parser *parser, struct click_ports *ports, uint32_t port)
{
	if (ports->count >= CLICK_PORTS_MAX)
		return false;
	if (!click_arena_grow(parser->arena, &ports->list, ports->count, &ports->capacity,
			      sizeof(*ports->list))) {
		parser->no_memory = true;
		return false;
	}
	ports->list[ports->count++] = port;
	return true;
}

static bool read_port(const struct click_token *token, uint32_t *ret)
{
	uint32_t value = 0;
	for (size_t i = 0; i < token->len; i++) {
		if (token->kind != CLICK_NAME || token->text[i] < '0' || token->text[i] > '9')
			return false;
		value = value * 10 + (uint32_t)(token->text[i] - '0');
		if (value >= CLICK_PORTS_MAX)
			return false;
	}
	*ret = value;
	return token->len > 0;
}

/* "[1]", "[0, 2]", "[0-3]", if it is there. False: it is wrong, and told. */
static bool parse_ports(struct click_parser *parser, struct click_ports *ports)
{
	struct click_token token = click_lex_peek(&parser->lexer);
	if (token.kind != '[')
		return true;
	(void)click_lex(&parser->lexer);
	for (;;) {
		uint32_t from, to;
		token = click_lex(&parser->lexer);
		if (!read_port(&token, &from))
			break;
		to = from;
		token = click_lex(&parser->lexer);
		if (token.kind == '-') {
			token = click_lex(&parser->lexer);
			if (!read_port(&token, &to) || to < from)
				break;
			token = click_lex(&parser->lexer);
		}
		for (uint32_t port = from; port <= to; port++)
			if (!add_port(parser, ports, port))
				return false;
		if (token.kind == ']')
			return true;
		if (token.kind != ',')
			break;
	}
	click_parse_error(parser, token.line,
			  "'%.*s' is not a port: expected a number below %u and ']'",
			  token.len > 40 ? 40 : (int)token.len, token.text, CLICK_PORTS_MAX);
	return false;
}

static bool ends_chain(int kind)
{
	return kind == ';' || kind == '}' || kind == ')' || kind == CLICK_BARS || kind == CLICK_END;
}

static uint32_t add_anonymous(struct click_parser *parser, const struct click_type *type,
			      const char *config, uint32_t line)
{
	return click_parse_add(parser, &(struct click_decl){.name = type->name,
							    .kind = CLICK_ELEMENT,
							    .is_anonymous = true,
							    .class = type->class,
							    .compound = type->compound,
							    .config = config,
							    .line = line});
}

/* Told once for each place: the nearest of classes and, if there is a scope, of elements. */
static void unknown_name(struct click_parser *parser, uint32_t line, const char *what,
			 const char *name, const struct click_compound *scope)
{
	struct click_nearest nearest = click_nearest_to(name);
	for (uint32_t i = 0; scope != NULL && i < scope->decls_count; i++)
		if (scope->decls[i].kind == CLICK_ELEMENT && !scope->decls[i].is_anonymous)
			click_nearest_offer(&nearest, scope->decls[i].name);
	for (const struct click_type *type = parser->types; type != NULL; type = type->next)
		click_nearest_offer(&nearest, type->name);
	for (size_t i = 0; parser->router->classes[i] != NULL; i++)
		click_nearest_offer(&nearest, parser->router->classes[i]->name);
	char guess[120];
	struct click_text text = CLICK_TEXT(guess);
	guess[0] = '\0';
	click_nearest_say(&nearest, &text);
	click_parse_error(parser, line, "%s '%.*s'%s", what, 80, name, guess);
}

/* ( … ): statements whose unnamed ends are the group's. */
static bool parse_group(struct click_parser *parser, struct click_item *item)
{
	if (parser->depth >= CLICK_DEPTH_MAX) {
		click_parse_error(parser, item->line, "groups are nested deeper than %u",
				  CLICK_DEPTH_MAX);
		parser->lexer.at = parser->lexer.end;
		return false;
	}
	const struct click_decl pseudo = {
		.name = "group", .kind = CLICK_PSEUDO, .is_anonymous = true, .line = item->line};
	uint32_t input = parser->input, output = parser->output;
	parser->input = item->in = click_parse_add(parser, &pseudo);
	parser->output = item->out = click_parse_add(parser, &pseudo);
	item->is_group = true;
	parser->depth++;
	while (!parser->no_memory && item->out != CLICK_NONE && click_parse_statement(parser, true))
		;
	parser->depth--;
	parser->input = input;
	parser->output = output;
	return click_parse_expect(parser, ')', "')'") && item->out != CLICK_NONE;
}

/* A class and its arguments, behind "::" or as an anonymous element. */
static bool parse_class(struct click_parser *parser, struct click_type *ret_type,
			const char **ret_config, uint32_t *ret_line)
{
	struct click_token token = click_lex_peek(&parser->lexer);
	*ret_line = token.line;
	*ret_type = (struct click_type){.name = ""};
	if (token.kind == '{') {
		(void)click_lex(&parser->lexer);
		ret_type->compound = click_parse_compound(parser, "");
		if (ret_type->compound == NULL)
			return false;
	} else if (!click_parse_expect(parser, CLICK_NAME, "an element class")) {
		return false;
	} else {
		const char *name = click_parse_copy(parser, token.text, token.len);
		struct click_type space;
		const struct click_type *type = click_parse_type(parser, name, &space);
		if (type == NULL)
			unknown_name(parser, token.line, "unknown element class", name, NULL);
		*ret_type = type != NULL ? *type : (struct click_type){.name = name};
	}
	*ret_config = click_parse_config(parser);
	return true;
}

/* [ports] element [ports]; an element by its plain name is not resolved yet. */
static bool parse_item(struct click_parser *parser, struct click_item *item)
{
	struct click_token token = click_lex_peek(&parser->lexer);
	item->line = token.line;
	item->in = item->out = CLICK_NONE;
	item->name = NULL;
	if (token.kind == '(') {
		(void)click_lex(&parser->lexer);
		if (!parse_group(parser, item))
			return false;
	} else {
		struct click_lexer ahead = parser->lexer;
		(void)click_lex(&ahead);
		if (token.kind == CLICK_NAME && click_lex_peek(&ahead).kind != '(') {
			item->name = click_parse_copy(parser, token.text, token.len);
			parser->lexer = ahead;
			if (click_lex_peek(&ahead).kind == CLICK_DECLARES)
				return true;
		} else {
			struct click_type type;
			const char *config;
			uint32_t line;
			if (!parse_class(parser, &type, &config, &line))
				return false;
			item->in = item->out = add_anonymous(parser, &type, config, line);
		}
	}
	return parse_ports(parser, &item->out_ports);
}

/* The element ITEM is DECL. False: the name means something already, and that was told. */
static bool declare_one(struct click_parser *parser, struct click_item *item,
			const struct click_decl *decl)
{
	struct click_type space;
	uint32_t index = click_parse_find(parser->scope, item->name);
	if (index != CLICK_NONE && parser->scope->decls[index].kind != CLICK_REFERENCE) {
		click_parse_error(parser, item->line,
				  "element '%s' is declared already, in line %u", item->name,
				  parser->scope->decls[index].line);
		return false;
	}
	if (click_parse_type(parser, item->name, &space) != NULL) {
		click_parse_error(parser, item->line, "'%s' is an element class", item->name);
		return false;
	}
	if (index == CLICK_NONE) {
		item->in = item->out = click_parse_add(parser, decl);
		return item->in != CLICK_NONE;
	}
	/* It was used before; what was noted of that stays. */
	struct click_decl *known = &parser->scope->decls[index], used = *known;
	*known = *decl;
	known->hash = used.hash;
	known->file = parser->lexer.file;
	known->inputs = used.inputs;
	known->outputs = used.outputs;
	item->in = item->out = index;
	return true;
}

/* name, name :: Class: for all plain names at the end of LIST. */
static bool declare(struct click_parser *parser, struct list *list)
{
	struct click_type type;
	const char *config;
	uint32_t line, first = list->count - 1;
	(void)click_lex(&parser->lexer);
	if (list->items[first].name == NULL) {
		click_parse_error(parser, list->items[first].line,
				  "'::' needs the name of an element in front of it");
		return false;
	}
	if (!parse_class(parser, &type, &config, &line))
		return false;
	while (first > 0) {
		const struct click_item *item = &list->items[first - 1];
		if (item->name == NULL || item->in != CLICK_NONE || item->in_ports.count > 0 ||
		    item->out_ports.count > 0)
			break;
		uint32_t index = click_parse_find(parser->scope, item->name);
		if (index != CLICK_NONE && parser->scope->decls[index].kind != CLICK_REFERENCE)
			break; /* an element, in front of those that are declared */
		first--;
	}
	for (uint32_t i = first; i < list->count; i++) {
		struct click_item *item = &list->items[i];
		const struct click_decl decl = {.name = item->name,
						.kind = CLICK_ELEMENT,
						.class = type.class,
						.compound = type.compound,
						.config = config,
						.line = line};
		if (!declare_one(parser, item, &decl))
			return false;
	}
	return parse_ports(parser, &list->items[list->count - 1].out_ports);
}

/* Plain names: elements, or anonymous ones of that class. */
static bool resolve(struct click_parser *parser, struct list *list)
{
	for (uint32_t i = 0; i < list->count; i++) {
		struct click_item *item = &list->items[i];
		struct click_type space;
		if (item->in != CLICK_NONE || item->name == NULL)
			continue;
		item->in = click_parse_find(parser->scope, item->name);
		if (item->in == CLICK_NONE) {
			const struct click_type *type =
				click_parse_type(parser, item->name, &space);
			if (type != NULL)
				item->in = add_anonymous(parser, type, "", item->line);
			else
				item->in = click_parse_add(
					parser, &(struct click_decl){.name = item->name,
								     .kind = CLICK_REFERENCE,
								     .line = item->line});
		}
		item->out = item->in;
		if (item->in == CLICK_NONE)
			return false;
	}
	return true;
}

/* A list, whose first element's input ports were read already. */
static bool parse_list(struct click_parser *parser, struct list *list, struct click_ports ports)
{
	*list = (struct list){0};
	for (;;) {
		if (list->count >= ITEMS_MAX) {
			click_parse_error(parser, parser->lexer.line,
					  "more than %u elements between two arrows", ITEMS_MAX);
			return false;
		}
		if (!click_arena_grow(parser->arena, &list->items, list->count, &list->capacity,
				      sizeof(*list->items))) {
			parser->no_memory = true;
			return false;
		}
		struct click_item *item = &list->items[list->count];
		*item = (struct click_item){.in_ports = ports};
		if (!parse_item(parser, item))
			return false;
		list->count++;
		if (click_lex_peek(&parser->lexer).kind == CLICK_DECLARES && !declare(parser, list))
			return false;
		if (click_lex_peek(&parser->lexer).kind != ',')
			return resolve(parser, list);
		(void)click_lex(&parser->lexer);
		ports = (struct click_ports){0};
		if (!parse_ports(parser, &ports))
			return false;
	}
}

static void add_link(struct click_parser *parser, uint32_t from, uint32_t from_port, uint32_t to,
		     uint32_t to_port, uint32_t line)
{
	struct click_compound *scope = parser->scope;
	if (scope->parent != NULL && (to == 0 || from == 1)) {
		click_parse_error(parser, line, "packets come from 'input' and go to 'output'");
		return;
	}
	if (scope->links_count >= CLICK_CONNECTIONS_MAX) {
		if (scope->links_count == CLICK_CONNECTIONS_MAX)
			click_parse_error(parser, line, "more than %u connections",
					  CLICK_CONNECTIONS_MAX);
		return;
	}
	if (!click_arena_grow(parser->arena, &scope->links, scope->links_count,
			      &scope->links_capacity, sizeof(*scope->links))) {
		parser->no_memory = true;
		return;
	}
	scope->links[scope->links_count++] = (struct click_flat_link){
		{from, from_port}, {to, to_port}, line, parser->lexer.file};
	struct click_decl *left = &scope->decls[from], *right = &scope->decls[to];
	left->outputs = from_port >= left->outputs ? from_port + 1 : left->outputs;
	right->inputs = to_port >= right->inputs ? to_port + 1 : right->inputs;
}

static uint32_t ports_count(const struct click_ports *ports)
{
	return ports->count > 0 ? ports->count : 1;
}

static uint32_t port_at(const struct click_ports *ports, uint32_t index)
{
	return ports->count > 0 ? ports->list[index] : index;
}

/* How many ports ITEM has inside, if that is known; 0: it is not. */
static uint32_t ports_inside(const struct click_parser *parser, const struct click_item *item,
			     bool is_left)
{
	const struct click_decl *decl = &parser->scope->decls[is_left ? item->out : item->in];
	if (item->is_group)
		return is_left ? decl->inputs : decl->outputs;
	if (decl->kind == CLICK_ELEMENT && decl->compound != NULL)
		return is_left ? decl->compound->decls[1].inputs : decl->compound->decls[0].outputs;
	return 0;
}

struct side {
	struct click_end ends[CLICK_PORTS_MAX];
	uint32_t count;
	bool is_open; /* one element without ports: as many as the other side has */
};

static void collect(const struct click_parser *parser, const struct list *list, bool is_left,
		    struct side *side)
{
	side->count = 0;
	side->is_open = false;
	for (uint32_t i = 0; i < list->count; i++) {
		const struct click_item *item = &list->items[i];
		const struct click_ports *ports = is_left ? &item->out_ports : &item->in_ports;
		for (uint32_t p = 0; p < ports_count(ports) && side->count < CLICK_PORTS_MAX; p++)
			side->ends[side->count++] = (struct click_end){
				is_left ? item->out : item->in, port_at(ports, p)};
		side->is_open = list->count == 1 && ports->count == 0;
	}
	uint32_t inside = side->is_open ? ports_inside(parser, &list->items[0], is_left) : 0;
	if (inside > 0 && inside <= CLICK_PORTS_MAX) {
		side->is_open = false;
		side->count = inside;
	}
	for (uint32_t p = 0;
	     list->count == 1 && (inside > 0 || side->is_open) && p < CLICK_PORTS_MAX; p++)
		side->ends[p] = (struct click_end){side->ends[0].element, p};
}

/* a => b: the first with the first, the second with the second. */
static void connect_pairs(struct click_parser *parser, const struct list *left,
			  const struct list *right, uint32_t line)
{
	static const char hint[] = "say which ports, as in 'a [0,1] => [0,1] b'";
	struct side *sides = click_arena_alloc(parser->arena, 2 * sizeof(*sides));
	if (sides == NULL) {
		parser->no_memory = true;
		return;
	}
	collect(parser, left, true, &sides[0]);
	collect(parser, right, false, &sides[1]);
	if (sides[0].is_open && sides[1].is_open) {
		click_parse_error(parser, line, "'=>': %s", hint);
		return;
	}
	if (!sides[0].is_open && !sides[1].is_open && sides[0].count != sides[1].count) {
		click_parse_error(parser, line, "'=>' connects %u outputs to %u inputs: %s",
				  sides[0].count, sides[1].count, hint);
		return;
	}
	uint32_t count = sides[0].is_open ? sides[1].count : sides[0].count;
	for (uint32_t i = 0; i < count; i++)
		add_link(parser, sides[0].ends[i].element, sides[0].ends[i].port,
			 sides[1].ends[i].element, sides[1].ends[i].port, line);
}

static void connect_all(struct click_parser *parser, const struct list *left,
			const struct list *right, uint32_t line)
{
	for (uint32_t l = 0; l < left->count; l++)
		for (uint32_t p = 0; p < ports_count(&left->items[l].out_ports); p++)
			for (uint32_t r = 0; r < right->count; r++)
				for (uint32_t q = 0; q < ports_count(&right->items[r].in_ports);
				     q++)
					add_link(parser, left->items[l].out,
						 port_at(&left->items[l].out_ports, p),
						 right->items[r].in,
						 port_at(&right->items[r].in_ports, q), line);
}

/* The unnamed end of a chain: of the compound or group around it. */
static bool unnamed(struct click_parser *parser, struct list *list, uint32_t decl,
		    struct click_ports ports, uint32_t line)
{
	*list = (struct list){.items = click_arena_alloc(parser->arena, sizeof(*list->items))};
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

static bool is_arrow(int kind)
{
	return kind == CLICK_ARROW || kind == CLICK_DOUBLE_ARROW;
}

/* After a mistake: up to the end of the statement. */
static void skip_statement(struct click_parser *parser)
{
	struct click_token token;
	for (;;) {
		token = click_lex_peek(&parser->lexer);
		if (ends_chain(token.kind))
			return;
		(void)click_lex(&parser->lexer);
	}
}

/* The first list of a chain, or the unnamed input in front of an arrow. */
static bool parse_start(struct click_parser *parser, struct list *list)
{
	struct click_ports ports = {0};
	uint32_t line = parser->lexer.line;
	if (!parse_ports(parser, &ports))
		return false;
	struct click_token token = click_lex_peek(&parser->lexer);
	if (is_arrow(token.kind))
		return unnamed(parser, list, parser->input, ports, token.line);
	if (!parse_list(parser, list, ports))
		return false;
	if (ports.count > 0)
		click_parse_error(parser, line, "an input port at the start of a chain");
	return true;
}

void click_parse_connection(struct click_parser *parser)
{
	struct list left, right;
	if (!parse_start(parser, &left)) {
		skip_statement(parser);
		return;
	}
	for (;;) {
		struct click_token arrow = click_lex_peek(&parser->lexer);
		if (!is_arrow(arrow.kind))
			break;
		(void)click_lex(&parser->lexer);
		struct click_ports ports = {0};
		if (!parse_ports(parser, &ports)) {
			skip_statement(parser);
			return;
		}
		bool is_end = ends_chain(click_lex_peek(&parser->lexer).kind);
		if (!(is_end ? unnamed(parser, &right, parser->output, ports, arrow.line)
			     : parse_list(parser, &right, ports))) {
			skip_statement(parser);
			return;
		}
		if (arrow.kind == CLICK_ARROW)
			connect_all(parser, &left, &right, arrow.line);
		else
			connect_pairs(parser, &left, &right, arrow.line);
		left = right;
		if (is_end)
			return;
	}
	for (uint32_t i = 0; i < left.count; i++)
		if (left.items[i].out_ports.count > 0)
			click_parse_error(parser, left.items[i].line,
					  "an output port at the end of a chain");
}

void click_parse_undeclared(struct click_parser *parser)
{
	const struct click_compound *scope = parser->scope;
	for (uint32_t i = 0; i < scope->decls_count; i++)
		if (scope->decls[i].kind == CLICK_REFERENCE)
			unknown_name(parser, scope->decls[i].line, "unknown element or class",
				     scope->decls[i].name, scope);
}
