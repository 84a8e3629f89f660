/*
 * The words of the Click language. For parse.c and its parts.
 */
#pragma once

#include "core.h"

enum click_token_kind {
	CLICK_END = 0,
	CLICK_NAME = 256,
	CLICK_VARIABLE,	    /* text is without the '$' */
	CLICK_ARROW,	    /* -> */
	CLICK_DOUBLE_ARROW, /* => */
	CLICK_DECLARES,	    /* :: */
	CLICK_BARS,	    /* || */
	CLICK_DOTS,	    /* ... */
			    /* Others are characters. */
};

struct click_token {
	int kind;
	const char *text;
	size_t len;
	uint32_t line;
};

/* A copy of it is a place to go back to. */
struct click_lexer {
	const char *begin, *at, *end;
	uint32_t line;
	const char *file, *own_file; /* where it says that it is from, and is */
	struct click_arena *arena;   /* configurations, and names of files from "#line" */
};

struct click_token click_lex(struct click_lexer *lexer);
struct click_token click_lex_peek(const struct click_lexer *lexer);
/* Behind '(': a copy of the text up to the ')' that belongs to it, which is passed; NULL: no
 * memory. False: there is no ')'. */
bool click_lex_config(struct click_lexer *lexer, char **ret_text);
/* Behind a comment, a string's end, or what else begins at AT and is one piece; AT: none does. */
const char *click_skip_quoted(const char *at, const char *end);
const char *click_skip_comment(const char *at, const char *end);
/* How many lines end between FROM and TO; END: of the whole text. */
uint32_t click_count_lines(const char *from, const char *to, const char *end);
