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

/* "\<48 45>" within a string, or behind a backslash elsewhere. */
static const char *skip_escape(const char *at, const char *end)
{
	if (end - at >= 2 && at[1] == '<') {
		while (at < end && *at != '>')
			at++;
		return at < end ? at + 1 : at;
	}
	return end - at >= 2 ? at + 2 : end;
}

const char *click_skip_quoted(const char *at, const char *end)
{
	if (at >= end)
		return at;
	if (*at == '\\')
		return skip_escape(at, end);
	if (*at != '"' && *at != '\'')
		return at;
	char quote = *at++;
	while (at < end && *at != quote)
		at = *at == '\\' && quote == '"' ? skip_escape(at, end) : at + 1;
	return at < end ? at + 1 : at;
}

static void count_lines(struct click_lexer *lexer, const char *from, const char *to)
{
	for (; from < to; from++)
		lexer->line += *from == '\n';
}

/* "#line 12 "file"" and "# 12 "file"", at the start of a line: what follows stands there. */
static void read_line_directive(struct click_lexer *lexer)
{
	const char *at = lexer->at + 1, *end = memchr(at, '\n', (size_t)(lexer->end - at));
	if (end == NULL)
		end = lexer->end;
	while (at < end && (click_is_space(*at) || (*at >= 'a' && *at <= 'z')))
		at++;
	uint32_t line = 0;
	bool has_line = at < end && *at >= '0' && *at <= '9';
	for (; at < end && *at >= '0' && *at <= '9'; at++)
		line = line < 100000000 ? line * 10 + (uint32_t)(*at - '0') : line;
	const char *open = memchr(at, '"', (size_t)(end - at));
	const char *close = open ? memchr(open + 1, '"', (size_t)(end - open - 1)) : NULL;
	if (has_line) {
		lexer->line = line - 1; /* the line break is counted yet */
		char *file = close == NULL ? NULL
					   : click_arena_text(lexer->arena, open + 1,
							      (size_t)(close - open - 1));
		if (file != NULL)
			lexer->file = file;
	}
	lexer->at = end;
}

static void skip_blank(struct click_lexer *lexer, bool at_line_start)
{
	while (lexer->at < lexer->end) {
		const char *at = lexer->at;
		if (click_is_space(*at)) {
			at_line_start = at_line_start || *at == '\n';
			lexer->line += *at == '\n';
			lexer->at++;
		} else if (*at == '#' && at_line_start) {
			read_line_directive(lexer);
		} else {
			const char *behind = click_skip_comment(at, lexer->end);
			if (behind == at)
				return;
			count_lines(lexer, at, behind);
			lexer->at = behind;
		}
	}
}

static const char *name_end(const char *at, const char *end)
{
	while (at < end && (click_is_name(*at) ||
			    (*at == '/' && !(end - at >= 2 && (at[1] == '/' || at[1] == '*')))))
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
	skip_blank(lexer, lexer->line == 1);
	struct click_token token = {CLICK_END, lexer->at, 0, lexer->line};
	if (lexer->at == lexer->end)
		return token;
	if (click_is_name(*lexer->at)) {
		token.kind = CLICK_NAME;
		lexer->at = name_end(lexer->at, lexer->end);
	} else if (*lexer->at == '$' && lexer->end - lexer->at >= 2 &&
		   click_is_name(lexer->at[1])) {
		token.kind = CLICK_VARIABLE;
		token.text++;
		lexer->at = name_end(lexer->at + 1, lexer->end);
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
		/* A zero byte is not the end. */
		token.kind = token.kind == 0 ? 1 : token.kind;
	}
	token.len = (size_t)(lexer->at - token.text);
	return token;
}

struct click_token click_lex_peek(const struct click_lexer *lexer)
{
	struct click_lexer copy = *lexer;
	return click_lex(&copy);
}

bool click_lex_config(struct click_lexer *lexer, const char **ret_text, size_t *ret_len)
{
	const char *start = lexer->at, *at = start;
	for (unsigned depth = 0; at < lexer->end;) {
		const char *behind = click_skip_comment(at, lexer->end);
		if (behind == at)
			behind = click_skip_quoted(at, lexer->end);
		if (behind != at) {
			at = behind;
			continue;
		}
		if (*at == '(') {
			depth++;
		} else if (*at == ')' && depth-- == 0) {
			count_lines(lexer, start, at);
			lexer->at = at + 1;
			*ret_text = start;
			*ret_len = (size_t)(at - start);
			return true;
		}
		at++;
	}
	return false;
}
