/*
 * What is between two arrows: a list of elements, each with ports before and behind it. An element
 * is the name of one, a declaration, a class, a compound, or a group of statements in parentheses.
 */
#include <string.h>

#include "parse.h"

#define ITEMS_MAX 256u

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

/* "[1]", "[0, 2]", "[0-3]", if it is there; "[]", "[2-]": and as many more as the other side has.
 * False: it is wrong, and told. */
bool click_parse_ports(struct click_parser *parser, struct click_ports *ports)
{
	struct click_token token = click_lex_peek(&parser->lexer);
	if (token.kind != '[')
		return true;
	(void)click_lex(&parser->lexer);
	for (;;) {
		uint32_t from, to;
		token = click_lex(&parser->lexer);
		if (token.kind == ']') {
			ports->is_open = true;
			return ports->count > 0 || add_port(parser, ports, 0);
		}
		if (!read_port(&token, &from))
			break;
		to = from;
		token = click_lex(&parser->lexer);
		bool has_dash = token.kind == '-';
		if (has_dash)
			token = click_lex(&parser->lexer);
		if (has_dash && token.kind == ']')
			ports->is_open = true;
		else if (has_dash) {
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

void click_parse_undeclared(struct click_parser *parser)
{
	const struct click_compound *scope = parser->scope;
	for (uint32_t i = 0; i < scope->decls_count; i++)
		if (scope->decls[i].kind == CLICK_REFERENCE)
			unknown_name(parser, scope->decls[i].line, "unknown element or class",
				     scope->decls[i].name, scope);
}

/* --- groups --- */

/* A group's ports are those that are used within; where nothing else is said, all of them. */
static bool imply_ports(struct click_parser *parser, struct click_ports *ports, uint32_t count)
{
	if (ports->count > 0)
		return true;
	ports->is_implied = true;
	for (uint32_t port = 0; port < count; port++)
		if (!add_port(parser, ports, port))
			return false;
	return true;
}

/* ( … ): statements whose input and output are the group's. */
static bool parse_group(struct click_parser *parser, struct click_item *item)
{
	if (parser->depth >= CLICK_DEPTH_MAX) {
		click_parse_error(parser, item->line, "groups are nested deeper than %u",
				  CLICK_DEPTH_MAX);
		click_parse_give_up(parser);
		return false;
	}
	struct click_decl pseudo = {
		.name = "input", .kind = CLICK_PSEUDO, .is_anonymous = true, .line = item->line};
	uint32_t input = parser->input, output = parser->output;
	parser->input = item->in = click_parse_add(parser, &pseudo);
	pseudo.name = "output";
	parser->output = item->out = click_parse_add(parser, &pseudo);
	parser->scope->numbers++; /* Click's has a number of its own */
	item->is_group = true;
	parser->depth++;
	while (!parser->no_memory && item->out != CLICK_NONE && click_parse_statement(parser, true))
		;
	parser->depth--;
	parser->input = input;
	parser->output = output;
	if (!click_parse_expect(parser, ')', "')'") || item->out == CLICK_NONE)
		return false;
	click_parse_check_ports(parser, item->in, item->out, "a group", item->line);
	return imply_ports(parser, &item->in_ports, parser->scope->decls[item->in].outputs);
}

/* --- elements --- */

/* A class and its arguments, behind "::" or as an anonymous element. */
static bool parse_class(struct click_parser *parser, const char *what, struct click_type *ret_type,
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
	} else if (!click_parse_expect(parser, CLICK_NAME, what)) {
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

static struct click_decl element_of(const struct click_type *type, const char *config,
				    uint32_t line)
{
	return (struct click_decl){.name = type->name,
				   .kind = CLICK_ELEMENT,
				   .class = type->class,
				   .compound = type->compound,
				   .config = config,
				   .line = line};
}

/* name, name :: Class(config), Class, Class(config), { … } */
static bool parse_element(struct click_parser *parser, struct click_item *item)
{
	struct click_lexer ahead = parser->lexer;
	struct click_token token = click_lex(&ahead);
	struct click_type type;
	const char *config;
	uint32_t line;
	if (token.kind == CLICK_NAME && click_lex_peek(&ahead).kind != '(') {
		item->name = click_parse_copy(parser, token.text, token.len);
		parser->lexer = ahead;
		if (click_lex_peek(&ahead).kind != CLICK_DECLARES)
			return true;
		(void)click_lex(&parser->lexer);
		if (!parse_class(parser, "an element class", &type, &config, &line))
			return false;
		item->decl = element_of(&type, config, line);
		item->decl.name = item->name;
		item->is_declared = true;
		return true;
	}
	if (!parse_class(parser, "an element", &type, &config, &line))
		return false;
	item->decl = element_of(&type, config, line);
	item->decl.is_anonymous = true;
	return true;
}

/* [ports] element [ports], the first ones being read already; what it is is settled later. */
static bool parse_item(struct click_parser *parser, struct click_item *item)
{
	struct click_token token = click_lex_peek(&parser->lexer);
	item->line = token.line;
	item->in = item->out = CLICK_NONE;
	if (token.kind == '(') {
		(void)click_lex(&parser->lexer);
		if (!parse_group(parser, item))
			return false;
	} else if (!parse_element(parser, item)) {
		return false;
	}
	if (click_lex_peek(&parser->lexer).kind == CLICK_DECLARES) {
		click_parse_error(parser, item->line,
				  "'::' needs the name of an element in front of it");
		return false;
	}
	if (!click_parse_ports(parser, &item->out_ports))
		return false;
	return !item->is_group ||
	       imply_ports(parser, &item->out_ports, parser->scope->decls[item->out].inputs);
}

/* The pseudo element that NAME means where the parser is; or NONE. */
static uint32_t pseudo_of(const struct click_parser *parser, const char *name)
{
	if (strcmp(name, "input") == 0)
		return parser->input;
	return strcmp(name, "output") == 0 ? parser->output : CLICK_NONE;
}

static bool is_all_digits(const char *name)
{
	bool has_other = false;
	for (; *name != '\0'; name++) {
		if (*name == '/' && !has_other)
			return true;
		has_other = *name != '/' && (has_other || *name < '0' || *name > '9');
	}
	return !has_other;
}

/* The element ITEM is what it declares. False: the name means something already, and that was told.
 */
static bool declare(struct click_parser *parser, struct click_item *item)
{
	struct click_type space;
	uint32_t index = pseudo_of(parser, item->name);
	if (index == CLICK_NONE)
		index = click_parse_find(parser->scope, item->name);
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
	if (is_all_digits(item->name))
		click_parse_error(parser, item->line, "'%s' is no name, but a number", item->name);
	if (index == CLICK_NONE) {
		item->in = item->out = click_parse_add(parser, &item->decl);
		return item->in != CLICK_NONE;
	}
	/* It was used before; what was noted of that stays. */
	struct click_decl *known = &parser->scope->decls[index], used = *known;
	*known = item->decl;
	known->number = used.number;
	known->file = parser->lexer.file;
	known->inputs = used.inputs;
	known->outputs = used.outputs;
	item->in = item->out = index;
	return true;
}

/* A name that declares nothing: an element, or an anonymous one of that class. */
static uint32_t resolve_name(struct click_parser *parser, const struct click_item *item)
{
	struct click_type space;
	uint32_t index = pseudo_of(parser, item->name);
	if (index == CLICK_NONE)
		index = click_parse_find(parser->scope, item->name);
	if (index != CLICK_NONE)
		return index;
	const struct click_type *type = click_parse_type(parser, item->name, &space);
	struct click_decl decl = {.name = item->name, .kind = CLICK_REFERENCE, .line = item->line};
	if (type != NULL) {
		decl = element_of(type, "", item->line);
		decl.is_anonymous = true;
	}
	return click_parse_add(parser, &decl);
}

/* a, b, c :: Class, on its own: all of them. In a chain each name has to declare itself. */
static void spread(struct click_parser *parser, struct click_list *list)
{
	struct click_item *last = &list->items[list->count - 1];
	if (!last->is_declared || click_is_arrow(click_lex_peek(&parser->lexer).kind))
		return;
	for (uint32_t i = 0; i < list->count; i++) {
		const struct click_item *item = &list->items[i];
		if (item->in_ports.count > 0 || item->out_ports.count > 0 ||
		    (item != last && (item->name == NULL || item->is_declared)))
			return;
	}
	for (struct click_item *item = list->items; item != last; item++) {
		item->decl = last->decl;
		item->decl.name = item->name;
		item->is_declared = true;
	}
}

/* In the order in which they are written, by which anonymous ones are numbered. */
static bool resolve(struct click_parser *parser, struct click_list *list)
{
	for (uint32_t i = 0; i < list->count; i++) {
		struct click_item *item = &list->items[i];
		if (item->is_group || item->is_unnamed)
			continue;
		if (item->is_declared) {
			if (!declare(parser, item))
				return false;
		} else {
			item->in = item->out = item->name != NULL
						       ? resolve_name(parser, item)
						       : click_parse_add(parser, &item->decl);
		}
		if (item->in == CLICK_NONE)
			return false;
	}
	return true;
}

/* In a list "[1]" alone is the input's or output's of what is around it. */
static bool take_unnamed(struct click_parser *parser, struct click_item *item, bool is_first)
{
	struct click_token token = click_lex_peek(&parser->lexer);
	uint32_t decl = is_first ? parser->input : parser->output;
	bool is_last = is_first ? click_is_arrow(token.kind) : click_ends_chain(&token);
	if (decl == CLICK_NONE || item->in_ports.count == 0 || (token.kind != ',' && !is_last))
		return false;
	item->is_unnamed = true;
	item->line = token.line;
	item->in = item->out = decl;
	if (is_first)
		item->out_ports = item->in_ports;
	return true;
}

bool click_parse_list(struct click_parser *parser, struct click_list *list,
		      struct click_ports ports, bool is_first)
{
	*list = (struct click_list){0};
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
		if (!take_unnamed(parser, item, is_first) && !parse_item(parser, item))
			return false;
		list->count++;
		if (click_lex_peek(&parser->lexer).kind != ',')
			break;
		(void)click_lex(&parser->lexer);
		/* There may be one comma too many. */
		struct click_token token = click_lex_peek(&parser->lexer);
		if (click_is_arrow(token.kind) || click_ends_chain(&token))
			break;
		ports = (struct click_ports){0};
		if (!click_parse_ports(parser, &ports))
			return false;
	}
	if (is_first)
		spread(parser, list);
	return resolve(parser, list);
}
