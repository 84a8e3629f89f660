/*
 * Programs that decide by a packet's bytes where it goes: what the patterns of Classifier,
 * IPClassifier and IPFilter become when they are configured.
 *
 * A pattern is an expression of nodes; all patterns of an element together become steps. A step
 * compares up to four bytes, and goes on to one of two other steps or ends at an output. What a
 * step knows from those before it is not asked again. Steps go down in the array only, so that a
 * program ends however it was made.
 *
 * What only configuring needs is in an arena of whoever does that.
 *
 * A test of bytes that the packet does not have is false, unless it says otherwise: the opposite of
 * a test is then true, and what classify_opposite() makes of it is false, too.
 */
#pragma once

#include "core.h"

enum classify_where {
	CLASSIFY_DATA,
	CLASSIFY_MAC,
	CLASSIFY_NETWORK,
	CLASSIFY_TRANSPORT,
	CLASSIFY_WHERES,
};

enum classify_op { CLASSIFY_EQUAL, CLASSIFY_GREATER };

/* (the WIDTH bytes at OFFSET, as a big-endian number) & MASK OP VALUE */
struct classify_test {
	uint32_t mask, value;
	uint16_t offset;
	uint8_t where, width, op;
	bool absent; /* what it says of bytes that are not there */
};

struct classify_step {
	struct classify_test test;
	uint16_t yes, no; /* a step below, or an output */
};

#define CLASSIFY_OUTPUT 0x8000u
#define CLASSIFY_DROP	0xffffu

struct classify_program {
	struct classify_step *steps;
	uint32_t steps_count, steps_max;
	uint16_t first; /* a step, or an output */
};

enum classify_kind {
	CLASSIFY_TRUE,
	CLASSIFY_FALSE,
	CLASSIFY_TEST,
	CLASSIFY_NOT,	 /* a */
	CLASSIFY_AND,	 /* a, b */
	CLASSIFY_OR,	 /* a, b */
	CLASSIFY_CHOICE, /* a ? b : c */
};

struct classify_node {
	enum classify_kind kind;
	uint16_t a, b, c;
	struct classify_test test;
};

/* The nodes of one expression at a time. A node is its index; CLASSIFY_NO_NODE: there were more
 * than fit, which whoever uses it may ignore until the end (is_full). */
#define CLASSIFY_NO_NODE   0xffffu
#define CLASSIFY_NODES_MAX 0xfff0u
struct classify_nodes {
	struct classify_node *nodes;
	uint32_t count, max;
	uint32_t tests; /* of all expressions so far */
	bool is_full;
};

/* Room for MAX nodes; false: there is no memory. */
bool classify_nodes_init(struct classify_nodes *nodes, struct click_arena *arena, uint32_t max);
uint16_t classify_constant(struct classify_nodes *nodes, bool value);
uint16_t classify_test(struct classify_nodes *nodes, const struct classify_test *test);
uint16_t classify_not(struct classify_nodes *nodes, uint16_t a);
/* As classify_not(), but that what A's tests say of absent bytes stays. The depth of A is small. */
uint16_t classify_opposite(struct classify_nodes *nodes, uint16_t a);
uint16_t classify_and(struct classify_nodes *nodes, uint16_t a, uint16_t b);
uint16_t classify_or(struct classify_nodes *nodes, uint16_t a, uint16_t b);
uint16_t classify_choice(struct classify_nodes *nodes, uint16_t a, uint16_t b, uint16_t c);

/* Room for TESTS steps, and nothing to do but drop. False: too many, or no memory. */
bool classify_program_init(struct classify_program *program, struct click_arena *arena,
			   uint32_t tests);
/* Packets that ROOT is true of go to OUTPUT; others where they went before. So the last pattern is
 * added first. */
void classify_program_prepend(struct classify_program *program, const struct classify_nodes *nodes,
			      uint16_t root, uint16_t output);
/* Leaves out the steps that nothing leads to, and puts the others where packets touch them: nothing
 * of it is in ARENA then. False: no memory. */
bool classify_program_finish(struct classify_program *program, struct click_arena *arena,
			     struct click_router *router);
/* The output, or CLASSIFY_DROP. */
unsigned classify_run(const struct classify_program *program, const struct click_packet *packet);
/* The steps as text, one a line, numbered from 0 in the order of execution. */
uint32_t classify_program_text(const struct classify_program *program, char *out, uint32_t size);
