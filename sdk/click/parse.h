/*
 * A configuration as it is written: compounds with their elements, not expanded. For parse*.c and
 * expand.c. All memory is an arena's that goes when the router is made.
 */
#pragma once

#include "lex.h"

#define CLICK_NONE UINT32_MAX

/* --- names.c: numbers by names, which are borrowed --- */

struct click_name {
	const char *name; /* NULL: a free place */
	uint32_t len, hash, index;
};
struct click_names {
	struct click_name *slots;
	uint32_t count, size;
};

/* CLICK_NONE: it is not there. */
uint32_t click_names_find(const struct click_names *names, const char *name, size_t len);
/* False: no memory. */
bool click_names_add(struct click_arena *arena, struct click_names *names, const char *name,
		     uint32_t index);

struct click_compound;

/* What a name of a class means: a class, or a compound. */
struct click_type {
	const char *name;
	const struct click_class *class;
	struct click_compound *compound;
	struct click_type *next; /* the one before it in scope */
};

enum click_decl_kind { CLICK_REFERENCE, CLICK_PSEUDO, CLICK_ELEMENT };

struct click_decl {
	const char *name; /* of anonymous ones: the class's, until their compound is read */
	uint32_t number;  /* which one of the compound's it is */
	enum click_decl_kind kind;
	bool is_anonymous;
	const struct click_class *class;
	struct click_compound *compound;
	const char *config;
	uint32_t line;
	const char *file;
	uint32_t inputs, outputs; /* used */
};

struct click_variable {
	const char *key; /* of a formal parameter; NULL: positional */
	const char *name;
	const char *value; /* of define(); NULL: a formal parameter */
	const char *file;
	uint32_t line;
};

struct click_compound {
	const char *name;
	struct click_compound *parent;	 /* around it in the text */
	struct click_compound *overload; /* the next to try */
	struct click_type rest;		 /* "...": what it extends */
	struct click_variable *variables;
	uint32_t variables_count, variables_capacity, formals_count;
	struct click_names variable_names;
	/* In compounds the first two are input and output. */
	struct click_decl *decls;
	uint32_t decls_count, decls_capacity, numbers;
	struct click_names named;      /* of decls, without anonymous ones */
	struct click_flat_link *links; /* by index of decls */
	uint32_t links_count, links_capacity;
	uint32_t line;
	const char *file;
};

struct click_parser {
	struct click_router *router;
	struct click_arena *arena;
	struct click_lexer lexer;
	struct click_compound *scope;
	struct click_type *types;
	uint32_t input, output; /* decls that "->" without an element means; or NONE */
	unsigned depth, total;
	bool failed, no_memory;
	bool has_given_up; /* the rest is not read */
};

struct click_ports {
	uint32_t *list;
	uint32_t count, capacity;
	bool is_open;	 /* "[]", "[2-]" */
	bool is_implied; /* a group's */
};

/* One of the elements between two arrows. */
struct click_item {
	uint32_t in, out; /* decls; equal but for groups; CLICK_NONE: it is not resolved yet */
	struct click_ports in_ports, out_ports;
	const char *name;	/* NULL: it has none */
	struct click_decl decl; /* what it declares; where it is only named, nothing */
	bool is_group, is_declared, is_unnamed;
	uint32_t line;
};

struct click_list {
	struct click_item *items;
	uint32_t count, capacity;
};

/* --- parse.c --- */
void click_parse_error(struct click_parser *parser, uint32_t line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* What was told makes the rest useless. */
void click_parse_give_up(struct click_parser *parser);
bool click_parse_statement(struct click_parser *parser, bool is_nested);
bool click_parse_expect(struct click_parser *parser, int kind, const char *what);
bool click_parse_is_word(const struct click_token *token, const char *word);
const char *click_parse_copy(struct click_parser *parser, const char *text, size_t len);
/* "(…)" if it is there: its text, else "". */
const char *click_parse_config(struct click_parser *parser);
/* { … }, behind '{'. NULL: failed. */
struct click_compound *click_parse_compound(struct click_parser *parser, const char *name);
const struct click_type *click_parse_type(struct click_parser *parser, const char *name,
					  struct click_type *space);
uint32_t click_parse_find(const struct click_compound *scope, const char *name);
uint32_t click_parse_add(struct click_parser *parser, const struct click_decl *decl);
struct click_compound *click_parse_scope(struct click_parser *parser, const char *name,
					 uint32_t line);
bool click_parse_variable(struct click_parser *parser, const struct click_variable *variable);

/* --- parse_connect.c --- */
void click_parse_connection(struct click_parser *parser);
bool click_is_arrow(int kind);
bool click_ends_chain(const struct click_token *token);
/* Of the pseudo elements of NAME all ports up to the last one must be used. */
void click_parse_check_ports(struct click_parser *parser, uint32_t input, uint32_t output,
			     const char *name, uint32_t line);

/* --- parse_item.c --- */
bool click_parse_ports(struct click_parser *parser, struct click_ports *ports);
/* A list, whose first element's input ports were read already; IS_FIRST: of its chain. */
bool click_parse_list(struct click_parser *parser, struct click_list *list,
		      struct click_ports ports, bool is_first);
/* Reports what was named and never declared. */
void click_parse_undeclared(struct click_parser *parser);

/* --- expand.c, substitute.c --- */

#define CLICK_ARGUMENTS_MAX   65536u /* bytes of an element's, with variables' values */
#define CLICK_VALUE_DEPTH_MAX 10u    /* of values within values */

/* What the variables of a use of COMPOUND are. */
struct click_environment {
	const struct click_compound *compound;
	const struct click_environment *parent;
	const char **values; /* by the compound's variables; NULL: not computed yet */
};

struct click_expansion {
	struct click_parser *parser;
	struct click_flat *flat;
	unsigned depth, value_depth;
	char *scratch[CLICK_VALUE_DEPTH_MAX]; /* for each depth CLICK_ARGUMENTS_MAX + 1 bytes */
	bool failed;			      /* a value; it is told */
};

int click_expand(struct click_parser *parser, struct click_flat *flat);
/* TEXT with the values of variables. NULL: told. */
const char *click_substitute(struct click_expansion *expansion, const struct click_environment *env,
			     const char *text, const char *file, uint32_t line);
/* Of the variable at INDEX of ENV's own. NULL: told. */
const char *click_variable_value(struct click_expansion *expansion,
				 const struct click_environment *env, uint32_t index);
