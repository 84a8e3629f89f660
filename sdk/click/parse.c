/*
 * The statements of the Click language.
 */
#include <string.h>

#include "parse.h"

void click_parse_error(struct click_parser *parser, uint32_t line, const char *format, ...)
{
	va_list list;
	va_start(list, format);
	click_tell_va(parser->router, parser->lexer.file, line, NULL, format, list);
	va_end(list);
	parser->failed = true;
}

const char *click_parse_copy(struct click_parser *parser, const char *text, size_t len)
{
	char *copy = click_arena_text(parser->arena, text, len);
	if (copy == NULL)
		parser->no_memory = true;
	return copy != NULL ? copy : "";
}

bool click_parse_is_word(const struct click_token *token, const char *word)
{
	return token->kind == CLICK_NAME && token->len == strlen(word) &&
	       memcmp(token->text, word, token->len) == 0;
}

void click_parse_give_up(struct click_parser *parser)
{
	parser->lexer.at = parser->lexer.end;
	parser->has_given_up = true;
}

static void unexpected(struct click_parser *parser, const struct click_token *token,
		       const char *what)
{
	if (token->kind == CLICK_END && parser->has_given_up)
		return;
	if (token->kind == CLICK_END)
		click_parse_error(parser, token->line, "the file ends where %s is expected", what);
	else
		click_parse_error(parser, token->line, "'%s%.*s' where %s is expected",
				  token->kind == CLICK_VARIABLE ? "$" : "",
				  token->len > 40 ? 40 : (int)token->len, token->text, what);
}

bool click_parse_expect(struct click_parser *parser, int kind, const char *what)
{
	struct click_token token = click_lex_peek(&parser->lexer);
	if (token.kind != kind) {
		unexpected(parser, &token, what);
		return false;
	}
	(void)click_lex(&parser->lexer);
	return true;
}

const char *click_parse_config(struct click_parser *parser)
{
	struct click_token token = click_lex_peek(&parser->lexer);
	char *text;
	if (token.kind != '(')
		return "";
	(void)click_lex(&parser->lexer);
	if (!click_lex_config(&parser->lexer, &text)) {
		click_parse_error(parser, token.line, "'(' is never closed");
		click_parse_give_up(parser);
		return "";
	}
	if (text == NULL)
		parser->no_memory = true;
	return text != NULL ? text : "";
}

/* --- names --- */

const struct click_type *click_parse_type(struct click_parser *parser, const char *name,
					  struct click_type *space)
{
	for (const struct click_type *type = parser->types; type != NULL; type = type->next)
		if (strcmp(type->name, name) == 0)
			return type;
	*space = (struct click_type){.name = name, .class = click_find_class(parser->router, name)};
	return space->class != NULL ? space : NULL;
}

uint32_t click_parse_find(const struct click_compound *scope, const char *name)
{
	return click_names_find(&scope->named, name, strlen(name));
}

uint32_t click_parse_add(struct click_parser *parser, const struct click_decl *decl)
{
	struct click_compound *scope = parser->scope;
	if (parser->total >= 2 * CLICK_ELEMENTS_MAX) {
		click_parse_error(parser, decl->line, "more than %u elements",
				  2 * CLICK_ELEMENTS_MAX);
		click_parse_give_up(parser);
		return CLICK_NONE;
	}
	if (!click_arena_grow(parser->arena, &scope->decls, scope->decls_count,
			      &scope->decls_capacity, sizeof(*scope->decls))) {
		parser->no_memory = true;
		return CLICK_NONE;
	}
	parser->total++;
	struct click_decl *added = &scope->decls[scope->decls_count];
	*added = *decl;
	added->number = ++scope->numbers;
	added->file = parser->lexer.file;
	if (!decl->is_anonymous &&
	    !click_names_add(parser->arena, &scope->named, decl->name, scope->decls_count))
		parser->no_memory = true;
	return scope->decls_count++;
}

struct click_compound *click_parse_scope(struct click_parser *parser, const char *name,
					 uint32_t line)
{
	struct click_compound *scope = click_arena_alloc(parser->arena, sizeof(*scope));
	if (scope == NULL) {
		parser->no_memory = true;
		return NULL;
	}
	scope->name = name;
	scope->parent = parser->scope;
	scope->line = line;
	scope->file = parser->lexer.file;
	return scope;
}

bool click_parse_variable(struct click_parser *parser, const struct click_variable *variable)
{
	struct click_compound *scope = parser->scope;
	if (click_names_find(&scope->variable_names, variable->name, strlen(variable->name)) !=
	    CLICK_NONE) {
		click_parse_error(parser, parser->lexer.line, "'$%s' is defined twice",
				  variable->name);
		return false;
	}
	if (!click_names_add(parser->arena, &scope->variable_names, variable->name,
			     scope->variables_count)) {
		parser->no_memory = true;
		return false;
	}
	if (!click_arena_grow(parser->arena, &scope->variables, scope->variables_count,
			      &scope->variables_capacity, sizeof(*scope->variables))) {
		parser->no_memory = true;
		return false;
	}
	struct click_variable *added = &scope->variables[scope->variables_count++];
	*added = *variable;
	added->file = parser->lexer.file;
	added->line = parser->lexer.line;
	return true;
}

/* --- compounds --- */

/* Positional ones come first, then keywords, each once, then __REST__. */
static void check_formal(struct click_parser *parser, const struct click_variable *formal)
{
	const struct click_compound *scope = parser->scope;
	for (uint32_t i = 0; i < scope->formals_count; i++) {
		const char *key = scope->variables[i].key;
		if (key == NULL)
			continue;
		if (formal->key == NULL || strcmp(key, "__REST__") == 0)
			click_parse_error(parser, parser->lexer.line,
					  "parameter '$%s' comes too late: the order is positional "
					  "ones, keywords, __REST__",
					  formal->name);
		else if (strcmp(key, formal->key) == 0)
			click_parse_error(parser, parser->lexer.line,
					  "two parameters have the keyword '%s'", key);
		else
			continue;
		return;
	}
}

/* "$a, KEY $b |", if it is there. */
static void parse_formals(struct click_parser *parser)
{
	for (;;) {
		struct click_lexer before = parser->lexer;
		struct click_token token = click_lex(&parser->lexer);
		struct click_variable formal = {0};
		if (token.kind == '|' && parser->scope->variables_count == 0)
			return;
		if (token.kind == CLICK_NAME &&
		    click_lex_peek(&parser->lexer).kind == CLICK_VARIABLE) {
			formal.key = click_parse_copy(parser, token.text, token.len);
			token = click_lex(&parser->lexer);
		}
		if (token.kind != CLICK_VARIABLE) {
			if (parser->scope->variables_count > 0)
				unexpected(parser, &token, "a parameter '$name'");
			parser->lexer = before;
			return;
		}
		formal.name = click_parse_copy(parser, token.text, token.len);
		check_formal(parser, &formal);
		if (!click_parse_variable(parser, &formal))
			return;
		parser->scope->formals_count++;
		token = click_lex_peek(&parser->lexer);
		if (token.kind == ',' || token.kind == '|')
			(void)click_lex(&parser->lexer);
		if (token.kind == '|')
			return;
		if (token.kind != ',') {
			unexpected(parser, &token, "',' or '|' behind a parameter");
			return;
		}
	}
}

/* Class@2: the second element of its compound; or the next number that is free. */
static void name_anonymous(struct click_parser *parser)
{
	struct click_compound *scope = parser->scope;
	for (uint32_t i = 0; i < scope->decls_count && !parser->no_memory; i++) {
		struct click_decl *decl = &scope->decls[i];
		char bytes[CLICK_NAME_MAX + 20];
		struct click_text text = CLICK_TEXT(bytes);
		/* A name that is too long is told when it is used. */
		if (decl->kind != CLICK_ELEMENT || !decl->is_anonymous ||
		    strlen(decl->name) > CLICK_NAME_MAX)
			continue;
		for (uint32_t number = decl->number;; number++) {
			text.len = 0;
			click_text_printf(&text, "%s@%u", decl->name, number);
			if (click_parse_find(scope, bytes) == CLICK_NONE)
				break;
		}
		decl->name = click_parse_copy(parser, bytes, text.len);
		decl->is_anonymous = false;
		if (!click_names_add(parser->arena, &scope->named, decl->name, i))
			parser->no_memory = true;
	}
}

/* One of the bodies between '{', '||' and '}'. */
static struct click_compound *parse_body(struct click_parser *parser, const char *name)
{
	struct click_compound *outside = parser->scope;
	struct click_type *types = parser->types;
	uint32_t input = parser->input, output = parser->output;
	uint32_t line = parser->lexer.line;
	struct click_compound *scope = click_parse_scope(parser, name, line);
	if (scope == NULL)
		return NULL;
	parser->scope = scope;
	parser->input = click_parse_add(
		parser, &(struct click_decl){.name = "input", .kind = CLICK_PSEUDO, .line = line});
	parser->output = click_parse_add(
		parser, &(struct click_decl){.name = "output", .kind = CLICK_PSEUDO, .line = line});
	scope->numbers = 0;
	parse_formals(parser);
	while (!parser->no_memory && click_parse_statement(parser, true))
		;
	click_parse_undeclared(parser);
	name_anonymous(parser);
	if (!parser->no_memory)
		click_parse_check_ports(parser, parser->input, parser->output,
					name[0] != '\0' ? name : "{…}", line);
	parser->scope = outside;
	parser->types = types;
	parser->input = input;
	parser->output = output;
	return scope;
}

struct click_compound *click_parse_compound(struct click_parser *parser, const char *name)
{
	struct click_compound *first = NULL, *last = NULL;
	uint32_t line = parser->lexer.line;
	if (parser->depth >= CLICK_DEPTH_MAX) {
		click_parse_error(parser, line, "compounds are nested deeper than %u",
				  CLICK_DEPTH_MAX);
		click_parse_give_up(parser);
		return NULL;
	}
	parser->depth++;
	for (;;) {
		if (last != NULL && click_lex_peek(&parser->lexer).kind == CLICK_DOTS) {
			(void)click_lex(&parser->lexer);
			struct click_type space;
			const struct click_type *type = click_parse_type(parser, name, &space);
			if (type != NULL)
				last->rest = *type;
			else
				click_parse_error(parser, line, "'...': there is no class '%s' yet",
						  name);
			break;
		}
		struct click_compound *body = parse_body(parser, name);
		if (body == NULL)
			break;
		if (last != NULL)
			last->overload = body;
		first = first != NULL ? first : body;
		last = body;
		if (click_lex_peek(&parser->lexer).kind != CLICK_BARS)
			break;
		(void)click_lex(&parser->lexer);
	}
	parser->depth--;
	(void)click_parse_expect(parser, '}', "'}'");
	return first;
}

static void parse_elementclass(struct click_parser *parser)
{
	struct click_token token = click_lex(&parser->lexer);
	if (token.kind != CLICK_NAME) {
		unexpected(parser, &token, "the name of a class");
		return;
	}
	struct click_type *type = click_arena_alloc(parser->arena, sizeof(*type));
	if (type == NULL) {
		parser->no_memory = true;
		return;
	}
	type->name = click_parse_copy(parser, token.text, token.len);
	token = click_lex(&parser->lexer);
	if (token.kind == '{') {
		type->compound = click_parse_compound(parser, type->name);
	} else if (token.kind == CLICK_NAME) {
		struct click_type space;
		const char *name = click_parse_copy(parser, token.text, token.len);
		const struct click_type *other = click_parse_type(parser, name, &space);
		if (other == NULL) {
			click_parse_error(parser, token.line, "unknown element class '%s'", name);
			return;
		}
		type->class = other->class;
		type->compound = other->compound;
	} else {
		unexpected(parser, &token, "'{' or a class");
		return;
	}
	type->next = parser->types;
	parser->types = type;
}

/* --- statements in parentheses --- */

/* False: there are none, or no memory. */
static bool parse_arguments(struct click_parser *parser, struct click_arg **ret_args,
			    uint32_t *ret_count)
{
	struct click_token token = click_lex_peek(&parser->lexer);
	if (token.kind != '(') {
		unexpected(parser, &token, "'('");
		return false;
	}
	if (click_args_split(parser->arena, click_parse_config(parser), ret_args, ret_count) == 0)
		return true;
	parser->no_memory = true;
	return false;
}

/* "package NAME", or NAME alone: what others load is here, or it is not. */
static bool has_package(struct click_parser *parser, const char *name)
{
	static const char *const known[] = {"click", "userlevel", "userspace", "alignment",
					    "compact_config"};
	if (strncmp(name, "package", 7) == 0 && click_is_space(name[7]))
		for (name += 8; click_is_space(*name);)
			name++;
	for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
		if (strcmp(name, known[k]) == 0)
			return true;
	return name[0] == '\0' || click_find_class(parser->router, name) != NULL;
}

static void parse_require(struct click_parser *parser, bool is_provide)
{
	uint32_t line = parser->lexer.line;
	struct click_arg *args;
	uint32_t count;
	if (!parse_arguments(parser, &args, &count))
		return;
	for (uint32_t i = 0; i < count && !is_provide; i++) {
		if (strncmp(args[i].text, "library", 7) == 0)
			click_parse_error(parser, line,
					  "require(library …) is not supported: a configuration "
					  "is one file");
		else if (!has_package(parser, args[i].text))
			click_parse_error(parser, line, "require: there is no package '%.*s' here",
					  60, args[i].text);
	}
}

static void parse_define(struct click_parser *parser)
{
	uint32_t line = parser->lexer.line;
	struct click_arg *args;
	uint32_t count;
	if (!parse_arguments(parser, &args, &count))
		return;
	for (uint32_t i = 0; i < count; i++) {
		const char *name = args[i].text, *end = name + 1;
		if (name[0] == '\0')
			continue;
		while (name[0] == '$' && click_is_name(*end) && *end != '@')
			end++;
		if (name[0] != '$' || end == name + 1 || (*end != '\0' && !click_is_space(*end))) {
			click_parse_error(parser, line, "define: '%.*s' is not '$name value'", 60,
					  name);
			continue;
		}
		const char *value = end;
		while (click_is_space(*value))
			value++;
		(void)click_parse_variable(
			parser,
			&(struct click_variable){.name = click_parse_copy(parser, name + 1,
									  (size_t)(end - name - 1)),
						 .value = value});
	}
}

/* connectiontunnel a -> b: what compounds do better. */
static void parse_tunnel(struct click_parser *parser, uint32_t line)
{
	click_parse_error(parser, line,
			  "connectiontunnel is not supported; use a compound element");
	while (click_lex_peek(&parser->lexer).kind != ';' &&
	       click_lex_peek(&parser->lexer).kind != CLICK_END)
		(void)click_lex(&parser->lexer);
}

bool click_parse_statement(struct click_parser *parser, bool is_nested)
{
	struct click_token token = click_lex_peek(&parser->lexer);
	if (token.kind == CLICK_END)
		return false;
	bool closes = token.kind == '}' || token.kind == ')' || token.kind == CLICK_BARS;
	if (closes && is_nested)
		return false;
	if (click_parse_is_word(&token, "elementclass") || click_parse_is_word(&token, "require") ||
	    click_parse_is_word(&token, "provide") || click_parse_is_word(&token, "define") ||
	    click_parse_is_word(&token, "connectiontunnel"))
		(void)click_lex(&parser->lexer);
	if (click_parse_is_word(&token, "elementclass")) {
		parse_elementclass(parser);
	} else if (click_parse_is_word(&token, "require") ||
		   click_parse_is_word(&token, "provide")) {
		parse_require(parser, click_parse_is_word(&token, "provide"));
	} else if (click_parse_is_word(&token, "define")) {
		parse_define(parser);
	} else if (click_parse_is_word(&token, "connectiontunnel")) {
		parse_tunnel(parser, token.line);
	} else if (token.kind == ';') {
		(void)click_lex(&parser->lexer);
	} else if (token.kind == CLICK_NAME || token.kind == '[' || token.kind == '{' ||
		   token.kind == '(' || token.kind == CLICK_ARROW ||
		   token.kind == CLICK_DOUBLE_ARROW) {
		click_parse_connection(parser);
	} else {
		unexpected(parser, &token, "a statement");
		(void)click_lex(&parser->lexer);
	}
	return true;
}

int click_parse(struct click_router *router, struct click_arena *arena, const char *text,
		size_t len, const char *file, struct click_flat *flat)
{
	/* A byte order mark is no part of it. */
	size_t mark = len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
	const char *start = text + mark;
	struct click_parser parser = {
		.router = router,
		.arena = arena,
		.lexer = {start, start, text + len, 1, file, file, arena},
		.input = CLICK_NONE,
		.output = CLICK_NONE,
	};
	if (len > CLICK_TEXT_MAX) {
		click_tell(router, file, 1, "longer than %u bytes", CLICK_TEXT_MAX);
		return -1;
	}
	const char *zero = memchr(text, '\0', len);
	if (zero != NULL) {
		click_tell(router, file, 1 + click_count_lines(text, zero, text + len),
			   "a zero byte, which no configuration may have");
		return -1;
	}
	parser.scope = click_parse_scope(&parser, "", 1);
	while (!parser.no_memory && click_parse_statement(&parser, false))
		;
	if (!parser.no_memory) {
		click_parse_undeclared(&parser);
		name_anonymous(&parser);
	}
	if (!parser.failed && !parser.no_memory && click_expand(&parser, flat) == 0)
		return 0;
	if (parser.no_memory)
		click_tell(router, file, parser.lexer.line, "out of memory");
	return -1;
}
