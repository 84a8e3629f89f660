/*
 * The words of the Click language.
 */
#include <string.h>

#include "lex.h"

const char *click_skip_comment(const char *at, const char *end)
{
	if (end - at < 2 || at[0] != '/')
		return at;
	if (at[1] == '/') {
		while (at < end && *at != '\n' && *at != '\r')
			at++;
	} else if (at[1] == '*') {
		for (at += 2; at < end; at++)
			if (end - at >= 2 && at[0] == '*' && at[1] == '/')
				return at + 2;
	}
	return at;
}

/* "\<48 45>", in which there may be comments. */
static const char *skip_data(const char *at, const char *end)
{
	for (at += 2; at < end && *at != '>';) {
		const char *behind = click_skip_comment(at, end);
		at = behind != at ? behind : at + 1;
	}
	return at < end ? at + 1 : at;
}

static bool begins_data(const char *at, const char *end)
{
	return end - at >= 2 && at[0] == '\\' && at[1] == '<';
}

/* Outside of double quotes a backslash means nothing else. */
const char *click_skip_quoted(const char *at, const char *end)
{
	if (at >= end)
		return at;
	if (begins_data(at, end))
		return skip_data(at, end);
	if (*at != '"' && *at != '\'')
		return at;
	char quote = *at++;
	while (at < end && *at != quote) {
		if (quote == '"' && begins_data(at, end))
			at = skip_data(at, end);
		else if (quote == '"' && *at == '\\' && end - at >= 2)
			at += 2;
		else
			at++;
	}
	return at < end ? at + 1 : at;
}

/* A line ends with CR, LF, or both. */
uint32_t click_count_lines(const char *from, const char *to, const char *end)
{
	uint32_t count = 0;
	for (; from < to; from++)
		count += *from == '\n' || (*from == '\r' && (end - from < 2 || from[1] != '\n'));
	return count;
}

/* --- "# 12 "file"" and "#line 12 "file"": what follows stands there --- */

static const char *skip_blanks(const char *at, const char *end)
{
	while (at < end && (*at == ' ' || *at == '\t'))
		at++;
	return at;
}

static const char *line_end(const char *at, const char *end)
{
	while (at < end && *at != '\n' && *at != '\r')
		at++;
	return at;
}

static bool is_at_line_start(const struct click_lexer *lexer, const char *at)
{
	return at == lexer->begin || at[-1] == '\n' || at[-1] == '\r';
}

/* The number in it; NULL: there is none at AT. */
static const char *find_directive(const struct click_lexer *lexer, const char *at)
{
	if (*at != '#' || !is_at_line_start(lexer, at))
		return NULL;
	at = skip_blanks(at + 1, lexer->end);
	if (lexer->end - at > 4 && memcmp(at, "line", 4) == 0)
		at = skip_blanks(at + 4, lexer->end);
	return at < lexer->end && *at >= '0' && *at <= '9' ? at : NULL;
}

/* Behind it is the line break, which is counted yet. */
static const char *read_directive(struct click_lexer *lexer, const char *number)
{
	const char *at = number, *end = line_end(at, lexer->end);
	uint32_t line = 0;
	for (; at < end && *at >= '0' && *at <= '9'; at++)
		line = line < 100000000 ? line * 10 + (uint32_t)(*at - '0') : line;
	lexer->line = line - 1;
	at = skip_blanks(at, end);
	if (at == end || *at != '"')
		return end;
	char *file = click_arena_alloc(lexer->arena, (size_t)(end - at));
	size_t len = 0;
	for (at++; file != NULL && at < end && *at != '"'; at++) {
		at += *at == '\\' && end - at >= 2;
		file[len++] = *at;
	}
	if (file != NULL)
		lexer->file = len > 0 ? file : lexer->own_file;
	return end;
}

/* --- words --- */

static void skip_blank(struct click_lexer *lexer)
{
	while (lexer->at < lexer->end) {
		const char *at = lexer->at, *number = find_directive(lexer, at);
		if (number != NULL) {
			lexer->at = read_directive(lexer, number);
			continue;
		}
		const char *behind =
			click_is_space(*at) ? at + 1 : click_skip_comment(at, lexer->end);
		if (behind == at)
			return;
		lexer->line += click_count_lines(at, behind, lexer->end);
		lexer->at = behind;
	}
}

/* A slash is within it, and begins no comment. */
static const char *name_end(const char *at, const char *end)
{
	while (at < end &&
	       (click_is_name(*at) || (*at == '/' && end - at >= 2 && click_is_name(at[1]))))
		at++;
	return at;
}

static bool follows(const struct click_lexer *lexer, const char *word)
{
	size_t len = strlen(word);
	return (size_t)(lexer->end - lexer->at) >= len && memcmp(lexer->at, word, len) == 0;
}

struct click_token click_lex(struct click_lexer *lexer)
{
	static const struct {
		const char *word;
		int kind;
	} signs[] = {{"->", CLICK_ARROW},
		     {"=>", CLICK_DOUBLE_ARROW},
		     {"::", CLICK_DECLARES},
		     {"||", CLICK_BARS},
		     {"...", CLICK_DOTS}};
	skip_blank(lexer);
	struct click_token token = {CLICK_END, lexer->at, 0, lexer->line};
	if (lexer->at == lexer->end)
		return token;
	if (click_is_name(*lexer->at)) {
		token.kind = CLICK_NAME;
		lexer->at = name_end(lexer->at, lexer->end);
	} else if (*lexer->at == '$' && lexer->end - lexer->at >= 2 &&
		   click_is_variable(lexer->at[1])) {
		token.kind = CLICK_VARIABLE;
		token.text++;
		while (++lexer->at < lexer->end && click_is_variable(*lexer->at))
			;
	} else if (*lexer->at == '#' && is_at_line_start(lexer, lexer->at)) {
		/* As one word, since what is in it is no Click. */
		token.kind = '#';
		lexer->at = line_end(lexer->at, lexer->end);
	} else {
		for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
			if (!follows(lexer, signs[i].word))
				continue;
			token.kind = signs[i].kind;
			token.len = strlen(signs[i].word);
			lexer->at += token.len;
			return token;
		}
		token.kind = (unsigned char)*lexer->at++;
		/* A character, as it is told. */
		while (token.kind >= 0xc0 && lexer->at < lexer->end && (*lexer->at & 0xc0) == 0x80)
			lexer->at++;
	}
	token.len = (size_t)(lexer->at - token.text);
	return token;
}

struct click_token click_lex_peek(const struct click_lexer *lexer)
{
	struct click_lexer copy = *lexer;
	return click_lex(&copy);
}

/* Behind the ')' that belongs to what begins at AT; NULL: there is none. */
static const char *find_config_end(const struct click_lexer *lexer, const char *at)
{
	for (unsigned depth = 0; at < lexer->end;) {
		const char *behind = click_skip_comment(at, lexer->end);
		if (behind == at)
			behind = click_skip_quoted(at, lexer->end);
		if (behind == at && find_directive(lexer, at) != NULL)
			behind = line_end(at, lexer->end);
		if (behind != at) {
			at = behind;
			continue;
		}
		if (*at == '(')
			depth++;
		else if (*at == ')' && depth-- == 0)
			return at + 1;
		at++;
	}
	return NULL;
}

bool click_lex_config(struct click_lexer *lexer, char **ret_text)
{
	const char *start = lexer->at, *at = start, *end = find_config_end(lexer, at);
	if (end == NULL)
		return false;
	char *copy = click_arena_text(lexer->arena, start, (size_t)(end - 1 - start));
	while (at < end) {
		const char *behind = click_skip_comment(at, end), *number = NULL;
		if (behind == at)
			behind = click_skip_quoted(at, end);
		if (behind == at)
			number = find_directive(lexer, at);
		if (number != NULL)
			behind = read_directive(lexer, number);
		else if (behind == at)
			behind++;
		if (number != NULL && copy != NULL)
			memset(copy + (at - start), ' ', (size_t)(behind - at));
		lexer->line += click_count_lines(at, behind, lexer->end);
		at = behind;
	}
	lexer->at = end;
	*ret_text = copy;
	return true;
}
