/*
 * Expressions to steps, backwards: an expression is given the targets for true and false, and
 * answers with the target to enter it. As targets exist before what leads to them, an edge can be
 * moved on past each step whose outcome is known there, from the tests on the way (facts).
 */
#include "classify.h"

#include "elements/out_more.h"
#include "ip.h"

/* More would only find less to leave out. */
#define FACTS_MAX 24u

struct fact {
	const struct classify_test *test;
	bool is_true;
};

struct facts {
	struct fact fact[FACTS_MAX];
	unsigned count;
};

/* --- nodes --- */

bool classify_nodes_init(struct classify_nodes *nodes, struct click_arena *arena, uint32_t max)
{
	*nodes = (struct classify_nodes){.max = max};
	if (nodes->max > CLASSIFY_NODES_MAX)
		nodes->max = CLASSIFY_NODES_MAX;
	nodes->nodes = click_arena_alloc(arena, nodes->max * sizeof(*nodes->nodes));
	return nodes->nodes != NULL;
}

static uint16_t add(struct classify_nodes *nodes, const struct classify_node *node)
{
	bool is_broken = (node->kind >= CLASSIFY_NOT && node->a == CLASSIFY_NO_NODE) ||
			 (node->kind >= CLASSIFY_AND && node->b == CLASSIFY_NO_NODE) ||
			 (node->kind >= CLASSIFY_CHOICE && node->c == CLASSIFY_NO_NODE);
	if (is_broken || nodes->count == nodes->max) {
		nodes->is_full = true;
		return CLASSIFY_NO_NODE;
	}
	nodes->nodes[nodes->count] = *node;
	return (uint16_t)nodes->count++;
}

uint16_t classify_constant(struct classify_nodes *nodes, bool value)
{
	return add(nodes, &(struct classify_node){.kind = value ? CLASSIFY_TRUE : CLASSIFY_FALSE});
}

uint16_t classify_test(struct classify_nodes *nodes, const struct classify_test *test)
{
	nodes->tests++;
	return add(nodes, &(struct classify_node){.kind = CLASSIFY_TEST, .test = *test});
}

uint16_t classify_not(struct classify_nodes *nodes, uint16_t a)
{
	return add(nodes, &(struct classify_node){.kind = CLASSIFY_NOT, .a = a});
}

static void flip_absent(struct classify_nodes *nodes, uint16_t at)
{
	struct classify_node *node = &nodes->nodes[at];
	if (node->kind == CLASSIFY_TEST)
		node->test.absent = !node->test.absent;
	if (node->kind >= CLASSIFY_NOT)
		flip_absent(nodes, node->a);
	if (node->kind >= CLASSIFY_AND)
		flip_absent(nodes, node->b);
	if (node->kind >= CLASSIFY_CHOICE)
		flip_absent(nodes, node->c);
}

uint16_t classify_opposite(struct classify_nodes *nodes, uint16_t a)
{
	if (a != CLASSIFY_NO_NODE)
		flip_absent(nodes, a);
	return classify_not(nodes, a);
}

uint16_t classify_and(struct classify_nodes *nodes, uint16_t a, uint16_t b)
{
	return add(nodes, &(struct classify_node){.kind = CLASSIFY_AND, .a = a, .b = b});
}

uint16_t classify_or(struct classify_nodes *nodes, uint16_t a, uint16_t b)
{
	return add(nodes, &(struct classify_node){.kind = CLASSIFY_OR, .a = a, .b = b});
}

uint16_t classify_choice(struct classify_nodes *nodes, uint16_t a, uint16_t b, uint16_t c)
{
	return add(nodes, &(struct classify_node){.kind = CLASSIFY_CHOICE, .a = a, .b = b, .c = c});
}

/* --- steps --- */

static bool compare(const struct classify_test *test, uint32_t value)
{
	value &= test->mask;
	return test->op == CLASSIFY_EQUAL ? value == test->value : value > test->value;
}

/* 1 or 0: what TEST says where FACT holds; -1: either. */
static int outcome(const struct classify_test *test, const struct fact *fact)
{
	const struct classify_test *known = fact->test;
	if (test->where != known->where || test->offset != known->offset ||
	    test->width != known->width || test->mask != known->mask)
		return -1;
	/* A test that does not say what it says of absent bytes says that they are there. */
	bool are_there = fact->is_true != known->absent;
	if (test->op == known->op && test->value == known->value)
		return are_there || test->absent == known->absent ? fact->is_true : -1;
	if (are_there && fact->is_true && known->op == CLASSIFY_EQUAL)
		return compare(test, known->value);
	return -1;
}

static void learn(struct facts *facts, const struct classify_test *test, bool is_true)
{
	/* The latest are the likeliest to be asked again. */
	facts->fact[facts->count % FACTS_MAX] = (struct fact){test, is_true};
	facts->count++;
}

/* Adds what is known when NODE is IS_TRUE. Long chains lean to the left. */
static void assume(struct facts *facts, const struct classify_nodes *nodes, uint16_t node,
		   bool is_true)
{
	for (;;) {
		const struct classify_node *at = &nodes->nodes[node];
		if (at->kind == CLASSIFY_TEST) {
			learn(facts, &at->test, is_true);
			return;
		}
		if (at->kind == CLASSIFY_NOT)
			is_true = !is_true;
		else if ((at->kind == CLASSIFY_AND && is_true) ||
			 (at->kind == CLASSIFY_OR && !is_true))
			assume(facts, nodes, at->b, is_true);
		else
			return;
		node = at->a;
	}
}

/* Where TARGET leads to when FACTS hold. */
static uint16_t advance(const struct classify_program *program, uint16_t target,
			const struct facts *facts)
{
	unsigned count = facts->count < FACTS_MAX ? facts->count : FACTS_MAX;
	while (!(target & CLASSIFY_OUTPUT)) {
		const struct classify_step *step = &program->steps[target];
		int known = -1;
		for (unsigned i = 0; i < count && known < 0; i++)
			known = outcome(&step->test, &facts->fact[i]);
		if (known < 0)
			break;
		target = known ? step->yes : step->no;
	}
	return target;
}

static uint16_t lower_test(struct classify_program *program, const struct classify_test *test,
			   uint16_t yes, uint16_t no, const struct facts *facts)
{
	struct facts known = *facts;
	learn(&known, test, true);
	yes = advance(program, yes, &known);
	known.fact[(known.count - 1) % FACTS_MAX].is_true = false;
	no = advance(program, no, &known);
	if (yes == no || program->steps_count == program->steps_max)
		return no;
	program->steps[program->steps_count] = (struct classify_step){*test, yes, no};
	return (uint16_t)program->steps_count++;
}

/* The depth of this is that of parentheses, which the parsers limit. */
static uint16_t lower(struct classify_program *program, const struct classify_nodes *nodes,
		      uint16_t node, uint16_t yes, uint16_t no, const struct facts *facts)
{
	for (;;) {
		const struct classify_node *at = &nodes->nodes[node];
		struct facts known = *facts;
		uint16_t when_true = yes, when_false = no;
		switch (at->kind) {
		case CLASSIFY_TRUE:
			return yes;
		case CLASSIFY_FALSE:
			return no;
		case CLASSIFY_TEST:
			return lower_test(program, &at->test, yes, no, facts);
		case CLASSIFY_NOT:
			yes = when_false;
			no = when_true;
			break;
		case CLASSIFY_AND:
			assume(&known, nodes, at->a, true);
			yes = lower(program, nodes, at->b, yes, no, &known);
			break;
		case CLASSIFY_OR:
			assume(&known, nodes, at->a, false);
			no = lower(program, nodes, at->b, yes, no, &known);
			break;
		case CLASSIFY_CHOICE:
			assume(&known, nodes, at->a, false);
			no = lower(program, nodes, at->c, when_true, when_false, &known);
			known = *facts;
			assume(&known, nodes, at->a, true);
			yes = lower(program, nodes, at->b, when_true, when_false, &known);
			break;
		}
		node = at->a;
	}
}

bool classify_program_init(struct classify_program *program, struct click_arena *arena,
			   uint32_t tests)
{
	*program = (struct classify_program){.first = CLASSIFY_DROP, .steps_max = tests};
	if (tests >= CLASSIFY_OUTPUT)
		return false;
	program->steps = click_arena_alloc(arena, (tests ? tests : 1) * sizeof(*program->steps));
	return program->steps != NULL;
}

void classify_program_prepend(struct classify_program *program, const struct classify_nodes *nodes,
			      uint16_t root, uint16_t output)
{
	struct facts nothing = {.count = 0};
	program->first = lower(program, nodes, root, output, program->first, &nothing);
}

/* Targets are below what leads to them: so a mark is there before its step's turn downwards, and a
 * step's new place before that of what leads to it upwards. */
bool classify_program_finish(struct classify_program *program, struct click_arena *arena,
			     struct click_router *router)
{
	uint32_t live = 0;
	uint16_t *place = click_arena_alloc(arena, (program->steps_count + 1) * sizeof(*place));
	if (!place)
		return false;
	for (uint32_t i = program->steps_count; i-- > 0;) {
		const struct classify_step *step = &program->steps[i];
		if (i != program->first && !place[i])
			continue;
		place[i] = 1;
		live++;
		if (!(step->yes & CLASSIFY_OUTPUT))
			place[step->yes] = 1;
		if (!(step->no & CLASSIFY_OUTPUT))
			place[step->no] = 1;
	}
	struct classify_step *steps = click_alloc(router, (live ? live : 1) * sizeof(*steps));
	if (!steps)
		return false;
	live = 0;
	for (uint32_t i = 0; i < program->steps_count; i++) {
		if (!place[i])
			continue;
		struct classify_step *step = &steps[live];
		*step = program->steps[i];
		if (!(step->yes & CLASSIFY_OUTPUT))
			step->yes = place[step->yes];
		if (!(step->no & CLASSIFY_OUTPUT))
			step->no = place[step->no];
		place[i] = (uint16_t)live++;
	}
	if (!(program->first & CLASSIFY_OUTPUT))
		program->first = place[program->first];
	program->steps = steps;
	program->steps_count = program->steps_max = live;
	return true;
}

/* --- running --- */

static int32_t offset_of(const struct click_packet *packet, unsigned where)
{
	switch (where) {
	case CLASSIFY_DATA:
		return 0;
	case CLASSIFY_MAC:
		return packet->mac;
	case CLASSIFY_NETWORK:
		return packet->network;
	default:
		return packet->transport;
	}
}

/* Nothing here is in an array: a guest's stack is memory that is in no cache. */
unsigned classify_run(const struct classify_program *program, const struct click_packet *packet)
{
	uint16_t target = program->first;
	unsigned where = CLASSIFY_WHERES; /* where BASE is: AVAILABLE bytes, NULL: none */
	const uint8_t *base = NULL;
	uint32_t available = 0;
	while (!(target & CLASSIFY_OUTPUT)) {
		const struct classify_step *step = &program->steps[target];
		const struct classify_test *test = &step->test;
		if (test->where != where) {
			where = test->where;
			int32_t offset = offset_of(packet, where);
			base = offset <= (int32_t)packet->len
				       ? click_packet_header(packet, (int16_t)offset, 0)
				       : NULL;
			available = base != NULL ? (uint32_t)((int32_t)packet->len - offset) : 0;
		}
		bool is_true = test->absent;
		if ((uint32_t)test->offset + test->width <= available) {
			const uint8_t *at = base + test->offset;
			uint32_t value = at[0];
			if (test->width == 2)
				value = click_get_u16(at);
			else if (test->width == 4)
				value = click_get_u32(at);
			else if (test->width == 3)
				value = (uint32_t)click_get_u16(at) << 8 | at[2];
			is_true = compare(test, value);
		}
		target = is_true ? step->yes : step->no;
	}
	return target == CLASSIFY_DROP ? target : target & ~CLASSIFY_OUTPUT;
}

/* --- text --- */

static void put_target(const struct classify_program *program, struct click_out *text,
		       uint16_t target)
{
	if (target == CLASSIFY_DROP) {
		click_out_add(text, "[X]");
	} else if (target & CLASSIFY_OUTPUT) {
		click_out_char(text, '[');
		click_out_u64(text, target & ~CLASSIFY_OUTPUT);
		click_out_char(text, ']');
	} else {
		click_out_add(text, "step ");
		click_out_u64(text, program->steps_count - 1 - target);
	}
}

static void put_step(const struct classify_program *program, struct click_out *text, uint16_t index)
{
	static const char *const wheres[] = {"", "mac+", "ip+", "transp+"};
	const struct classify_step *step = &program->steps[index];
	const struct classify_test *test = &step->test;
	click_out_u64(text, program->steps_count - 1 - index);
	click_out_add(text, "  ");
	click_out_add(text, wheres[test->where]);
	click_out_u64(text, test->offset);
	click_out_char(text, test->op == CLASSIFY_EQUAL ? '/' : '>');
	click_out_hex(text, test->value, 2u * test->width);
	click_out_char(text, '%');
	click_out_hex(text, test->mask, 2u * test->width);
	click_out_add(text, "  yes->");
	put_target(program, text, step->yes);
	click_out_add(text, "  no->");
	put_target(program, text, step->no);
	if (test->absent)
		click_out_add(text, "  absent->yes");
	click_out_char(text, '\n');
}

uint32_t classify_program_text(const struct classify_program *program, char *out, uint32_t size)
{
	struct click_out text;
	click_out_init(&text, out, size);
	if (program->first & CLASSIFY_OUTPUT) {
		click_out_add(&text, "all->");
		put_target(program, &text, program->first);
		click_out_char(&text, '\n');
		return text.len;
	}
	click_out_add(&text, "start at ");
	put_target(program, &text, program->first);
	click_out_char(&text, '\n');
	for (uint32_t i = program->steps_count; i-- > 0;)
		put_step(program, &text, (uint16_t)i);
	return text.len;
}
