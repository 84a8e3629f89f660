/*
 * Ports: how many each element has, which of them push and which pull, and that each is connected
 * as it must be. The rules are Click's.
 *
 * Agnostic ports become what they are connected to, and what the element's other ports become to
 * which packets flow from there (its flow code). What is still open in the end pushes.
 */
#include <string.h>

#include "core.h"

#define OPEN 'a'

struct check {
	struct click_router *router;
	char **inputs, **outputs; /* 'h', 'l' or OPEN, by element and port */
	unsigned failed;
};

static void complain(struct check *check, const struct click_element *element, const char *format,
		     ...)
{
	const struct click_place *place = &check->router->places[element->more->index];
	char prefix[CLICK_NAME_MAX + 80];
	struct click_text text = CLICK_TEXT(prefix);
	click_text_printf(&text, "%s :: %s: ", element->more->name, element->more->class->name);
	va_list list;
	va_start(list, format);
	click_tell_va(check->router, place->file, place->line, prefix, format, list);
	va_end(list);
	check->failed++;
}

/* --- how many --- */

static bool read_number(const char **at, uint32_t *ret)
{
	uint32_t value = 0;
	if (**at < '0' || **at > '9')
		return false;
	for (; **at >= '0' && **at <= '9'; (*at)++)
		value = value * 10 + (uint32_t)(**at - '0');
	*ret = value;
	return true;
}

struct range {
	uint32_t min, max;
	bool is_same; /* as many as inputs, and PLUS */
	uint32_t plus;
};

/* "1", "1-2", "1-", "-", "=", "=+"; AT is behind it then. */
static struct range read_range(const char **at)
{
	struct range range = {0, CLICK_PORTS_MAX, false, 0};
	if (**at == '=') {
		range.is_same = true;
		while (*++*at == '+')
			range.plus++;
	} else if (read_number(at, &range.min)) {
		range.max = range.min;
		if (**at == '-') {
			++*at;
			range.max = CLICK_PORTS_MAX;
			(void)read_number(at, &range.max);
		}
	} else if (**at == '-') {
		++*at;
		(void)read_number(at, &range.max);
	}
	return range;
}

static uint32_t settle_count(struct check *check, struct click_element *element, uint32_t used,
			     struct range range, const char *what)
{
	if (used > range.max)
		complain(check, element, "%s %u is connected, but it has %s%u %s%s", what, used - 1,
			 range.max == range.min ? "" : "at most ", range.max, what,
			 range.max == 1 ? "" : "s");
	return used > range.max ? range.max : used < range.min ? range.min : used;
}

static void count_ports(struct check *check, struct click_element *element)
{
	const char *at = element->more->class->port_count;
	struct range inputs = read_range(&at);
	if (*at == '/')
		at++;
	struct range outputs = *element->more->class->port_count != '\0' && at[-1] == '/'
				       ? read_range(&at)
				       : inputs;
	element->inputs_count =
		(uint16_t)settle_count(check, element, element->inputs_count, inputs, "input");
	if (outputs.is_same) {
		uint32_t same = element->inputs_count + outputs.plus;
		/* Outputs beyond it give it more inputs, where it may have them. */
		if (element->outputs_count > same && inputs.max > element->inputs_count) {
			element->inputs_count = (uint16_t)(element->outputs_count - outputs.plus);
			same = element->outputs_count;
		}
		outputs.min = outputs.max = same;
	}
	element->outputs_count =
		(uint16_t)settle_count(check, element, element->outputs_count, outputs, "output");
}

/* --- push or pull --- */

static char processing_of(const char *code, bool is_output, uint32_t port)
{
	const char *slash = strchr(code, '/');
	const char *end = slash != NULL && !is_output ? slash : code + strlen(code);
	const char *at = slash != NULL && is_output ? slash + 1 : code;
	if (at == end)
		return OPEN;
	size_t len = (size_t)(end - at);
	return at[port < len ? port : len - 1];
}

/* The part of a flow code for PORT: a letter, '#', or a set in brackets. */
static const char *flow_part(const char *at, const char *end, uint32_t port)
{
	const char *part = at;
	for (;;) {
		const char *next = part + 1;
		if (*part == '[') {
			while (next < end && *next != ']')
				next++;
			next += next < end;
		}
		if (port-- == 0 || next >= end)
			return part;
		part = next;
	}
}

static bool part_has(const char *part, const char *end, int wanted, uint32_t part_port,
		     uint32_t wanted_port)
{
	if (*part != '[')
		return *part == wanted && (wanted != '#' || part_port == wanted_port);
	const char *at = part + 1;
	bool is_negated = at < end && *at == '^';
	at += is_negated;
	for (; at < end && *at != ']'; at++)
		if (*at == wanted && (wanted != '#' || part_port == wanted_port))
			return !is_negated;
	return is_negated;
}

bool click_flows(const struct click_class *class, uint32_t input, uint32_t output)
{
	const char *code = class->flow_code;
	if (code == NULL || code[0] == '\0')
		return true;
	const char *slash = strchr(code, '/'), *end = code + strlen(code);
	const char *in_end = slash != NULL ? slash : end, *out = slash != NULL ? slash + 1 : code;
	if (in_end == code || out == end)
		return false;
	const char *left = flow_part(code, in_end, input), *right = flow_part(out, end, output);
	if (*left != '[')
		return part_has(right, end, *left, output, input);
	if (*right != '[')
		return part_has(left, in_end, *right, input, output);
	for (int letter = 'A'; letter <= 'z'; letter++)
		if (part_has(left, in_end, letter, input, output) &&
		    part_has(right, end, letter, output, input))
			return true;
	return false;
}

/* One settles the other, if one is open: did anything change? */
static bool agree(char *a, char *b)
{
	if ((*a == OPEN) == (*b == OPEN))
		return false;
	if (*a == OPEN)
		*a = *b;
	else
		*b = *a;
	return true;
}

static bool agree_inside(struct check *check, const struct click_element *element)
{
	bool changed = false;
	char *inputs = check->inputs[element->more->index],
	     *outputs = check->outputs[element->more->index];
	const char *code = element->more->class->processing;
	for (uint32_t i = 0; i < element->inputs_count; i++) {
		if (processing_of(code, false, i) != OPEN)
			continue;
		for (uint32_t o = 0; o < element->outputs_count; o++)
			if (processing_of(code, true, o) == OPEN &&
			    click_flows(element->more->class, i, o) &&
			    agree(&inputs[i], &outputs[o]))
				changed = true;
	}
	return changed;
}

static void settle_open(struct check *check, struct click_element *element)
{
	for (uint32_t i = 0; i < element->inputs_count; i++)
		if (check->inputs[element->more->index][i] == OPEN)
			check->inputs[element->more->index][i] = CLICK_PUSH;
	for (uint32_t o = 0; o < element->outputs_count; o++)
		if (check->outputs[element->more->index][o] == OPEN)
			check->outputs[element->more->index][o] = CLICK_PUSH;
}

static void spread(struct check *check)
{
	struct click_router *router = check->router;
	for (bool changed = true; changed;) {
		changed = false;
		for (uint32_t i = 0; i < router->links_count; i++) {
			const struct click_flat_link *link = &router->links[i];
			if (agree(&check->outputs[link->from.element][link->from.port],
				  &check->inputs[link->to.element][link->to.port]))
				changed = true;
		}
		for (uint32_t i = router->links_count; i-- > 0;) {
			const struct click_flat_link *link = &router->links[i];
			if (agree(&check->outputs[link->from.element][link->from.port],
				  &check->inputs[link->to.element][link->to.port]))
				changed = true;
			if (agree_inside(check, router->elements[link->from.element]))
				changed = true;
		}
		for (uint32_t i = 0; i < router->elements_count; i++)
			if (agree_inside(check, router->elements[i]))
				changed = true;
	}
}

static const char *word_of(char processing)
{
	return processing == CLICK_PULL ? "pull" : "push";
}

/* Agnostic ports between which packets flow have to be the same. */
static void check_inside(struct check *check, struct click_element *element)
{
	const char *code = element->more->class->processing;
	const char *inputs = check->inputs[element->more->index],
		   *outputs = check->outputs[element->more->index];
	for (uint32_t i = 0; i < element->inputs_count; i++) {
		for (uint32_t o = 0; o < element->outputs_count; o++) {
			if (processing_of(code, false, i) == OPEN &&
			    processing_of(code, true, o) == OPEN &&
			    click_flows(element->more->class, i, o) && inputs[i] != outputs[o]) {
				complain(check, element,
					 "its input %u is connected as %s and its output %u as %s, "
					 "which have to be the same (a Queue or an Unqueue between "
					 "them?)",
					 i, word_of(inputs[i]), o, word_of(outputs[o]));
				return;
			}
		}
	}
}

static void check_link(struct check *check, const struct click_flat_link *link)
{
	struct click_router *router = check->router;
	struct click_element *from = router->elements[link->from.element];
	struct click_element *to = router->elements[link->to.element];
	char output = check->outputs[from->more->index][link->from.port];
	char input = check->inputs[to->more->index][link->to.port];
	if (output != input) {
		click_tell(router, link->file, link->line,
			   "'%s' %s output %u is connected to '%s' %s input %u%s", from->more->name,
			   word_of(output), link->from.port, to->more->name, word_of(input),
			   link->to.port,
			   output == CLICK_PUSH ? "; is a Queue missing?"
						: "; is an Unqueue missing?");
		check->failed++;
		return;
	}
	struct click_port *peer =
		output == CLICK_PUSH ? &from->outputs[link->from.port] : &to->inputs[link->to.port];
	if (peer->element != NULL) {
		bool is_push = output == CLICK_PUSH;
		click_tell(router, link->file, link->line, "'%s' %s %u is connected twice; use %s",
			   is_push ? from->more->name : to->more->name,
			   is_push ? "push output" : "pull input",
			   is_push ? link->from.port : link->to.port,
			   is_push ? "a Tee" : "a scheduler such as RoundRobinSched");
		check->failed++;
		return;
	}
	peer->element = output == CLICK_PUSH ? to : from;
	peer->port = output == CLICK_PUSH ? link->to.port : link->from.port;
}

/* --- all together --- */

static int make_ports(struct check *check, struct click_arena *arena, struct click_element *element)
{
	struct click_router *router = check->router;
	uint32_t in = element->inputs_count, out = element->outputs_count;
	/* Only pulling ones lead anywhere; which those are is not known yet. */
	element->inputs = click_arena_alloc(&router->arena, (in + 1) * sizeof(*element->inputs));
	if (out > router->places[element->more->index].outputs_room)
		element->outputs = click_hot_alloc(router, out * sizeof(*element->outputs));
	element->more->input_is_pull = click_arena_alloc(&router->arena, in + 1);
	element->more->output_is_pull = click_arena_alloc(&router->arena, out + 1);
	char *inputs = click_arena_alloc(arena, in + 1),
	     *outputs = click_arena_alloc(arena, out + 1);
	if (element->inputs == NULL || element->outputs == NULL ||
	    element->more->input_is_pull == NULL || element->more->output_is_pull == NULL ||
	    inputs == NULL || outputs == NULL)
		return -1;
	check->inputs[element->more->index] = inputs;
	check->outputs[element->more->index] = outputs;
	for (uint32_t i = 0; i < in; i++)
		inputs[i] = processing_of(element->more->class->processing, false, i);
	for (uint32_t i = 0; i < out; i++)
		outputs[i] = processing_of(element->more->class->processing, true, i);
	return 0;
}

static void check_connected(struct check *check, const struct click_element *element,
			    const bool *is_input_used, const bool *is_output_used)
{
	for (uint32_t i = 0; i < element->inputs_count; i++)
		if (!is_input_used[i])
			complain(check, element, "its input %u is not connected", i);
	for (uint32_t i = 0; i < element->outputs_count; i++)
		if (!is_output_used[i])
			complain(check, element, "its output %u is not connected", i);
}

static int check_unused(struct check *check, struct click_arena *arena)
{
	struct click_router *router = check->router;
	uint32_t count = router->elements_count;
	bool **inputs = click_arena_alloc(arena, (count + 1) * sizeof(*inputs));
	bool **outputs = click_arena_alloc(arena, (count + 1) * sizeof(*outputs));
	if (inputs == NULL || outputs == NULL)
		return -1;
	for (uint32_t i = 0; i < count; i++) {
		inputs[i] = click_arena_alloc(arena, router->elements[i]->inputs_count + 1);
		outputs[i] = click_arena_alloc(arena, router->elements[i]->outputs_count + 1);
		if (inputs[i] == NULL || outputs[i] == NULL)
			return -1;
	}
	for (uint32_t i = 0; i < router->links_count; i++) {
		const struct click_flat_link *link = &router->links[i];
		outputs[link->from.element][link->from.port] = true;
		inputs[link->to.element][link->to.port] = true;
	}
	for (uint32_t i = 0; i < count; i++)
		check_connected(check, router->elements[i], inputs[i], outputs[i]);
	return 0;
}

static int publish(struct check *check, struct click_element *element)
{
	bool is_pulling = false;
	for (uint32_t i = 0; i < element->inputs_count; i++)
		is_pulling |= element->more->input_is_pull[i] =
			check->inputs[element->more->index][i] == CLICK_PULL;
	for (uint32_t i = 0; i < element->outputs_count; i++)
		element->more->output_is_pull[i] =
			check->outputs[element->more->index][i] == CLICK_PULL;
	if (is_pulling)
		element->inputs = click_hot_alloc(check->router,
						  element->inputs_count * sizeof(*element->inputs));
	return element->inputs != NULL ? 0 : -1;
}

static int no_memory(struct click_router *router)
{
	click_tell_line(router, "out of memory");
	return -1;
}

int click_connect(struct click_router *router, struct click_arena *arena,
		  const struct click_flat *flat)
{
	struct check check = {.router = router};
	uint32_t count = router->elements_count;
	(void)flat;
	check.inputs = click_arena_alloc(arena, (count + 1) * sizeof(*check.inputs));
	check.outputs = click_arena_alloc(arena, (count + 1) * sizeof(*check.outputs));
	if (check.inputs == NULL || check.outputs == NULL)
		return no_memory(router);
	for (uint32_t i = 0; i < count; i++)
		count_ports(&check, router->elements[i]);
	if (check.failed > 0)
		return -1;
	for (uint32_t i = 0; i < count; i++)
		if (make_ports(&check, arena, router->elements[i]) < 0)
			return no_memory(router);
	spread(&check);
	for (uint32_t i = 0; i < count; i++) {
		settle_open(&check, router->elements[i]);
		check_inside(&check, router->elements[i]);
		if (publish(&check, router->elements[i]) < 0)
			return no_memory(router);
	}
	for (uint32_t i = 0; i < router->links_count; i++)
		check_link(&check, &router->links[i]);
	if (check_unused(&check, arena) < 0)
		return no_memory(router);
	return check.failed > 0 ? -1 : 0;
}
