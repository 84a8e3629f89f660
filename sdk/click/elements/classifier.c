/*
 * Classifier(OFFSET/VALUE[%MASK] ..., ...): one pattern an output, each of clauses that all have to
 * be true.
 */
#include "elements/classify.h"

/* As much as the longest patterns need, and more. */
#define CONFIGURE_MAX (8u << 20)

struct classifier {
	struct click_element element;
	struct classify_program program;
};

static const char *skip_spaces(const char *at)
{
	while (*at == ' ' || *at == '\t' || *at == '\n' || *at == '\r')
		at++;
	return at;
}

/* A run of hexadecimal digits and question marks. */
struct digits {
	const char *at;
	uint32_t count;
};

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return -1;
}

static struct digits take_digits(const char **text)
{
	struct digits digits = {.at = *text};
	while (hex_digit(**text) >= 0 || **text == '?')
		(*text)++;
	digits.count = (uint32_t)(*text - digits.at);
	return digits;
}

/* The byte INDEX of VALUE under MASK (which may be empty). */
static void get_byte(const struct digits *value, const struct digits *mask, uint32_t index,
		     uint8_t *ret_value, uint8_t *ret_mask)
{
	unsigned byte = 0, bits = 0;
	for (uint32_t i = 2 * index; i < 2 * index + 2; i++) {
		int digit = hex_digit(value->at[i]);
		unsigned nibble = digit < 0 ? 0 : 15;
		if (mask->count)
			nibble &= mask->at[i] == '?' ? 0 : (unsigned)hex_digit(mask->at[i]);
		byte = byte << 4 | (digit < 0 ? 0 : (unsigned)digit);
		bits = bits << 4 | nibble;
	}
	*ret_mask = (uint8_t)bits;
	*ret_value = (uint8_t)(byte & bits);
}

/* Tests of up to four bytes; bytes without a bit in the mask need not be in the packet. */
static uint16_t add_bytes(struct classify_nodes *nodes, uint32_t offset, const struct digits *value,
			  const struct digits *mask)
{
	uint16_t all = classify_constant(nodes, true);
	struct classify_test test = {.width = 0};
	for (uint32_t i = 0; i <= value->count / 2; i++) {
		uint8_t byte = 0, bits = 0;
		if (i < value->count / 2)
			get_byte(value, mask, i, &byte, &bits);
		if (test.width && (!bits || test.width == 4)) {
			all = classify_and(nodes, all, classify_test(nodes, &test));
			test.width = 0;
		}
		if (!bits)
			continue;
		if (!test.width)
			test = (struct classify_test){.offset = (uint16_t)(offset + i)};
		test.value = test.value << 8 | byte;
		test.mask = test.mask << 8 | bits;
		test.width++;
	}
	return all;
}

static uint16_t add_clause(struct classify_nodes *nodes, const char **at, unsigned number,
			   struct click_args *args)
{
	bool is_negated = false;
	for (; **at == '!'; *at = skip_spaces(*at + 1))
		is_negated = !is_negated;
	uint32_t offset = 0;
	const char *begin = *at;
	for (; **at >= '0' && **at <= '9' && offset <= INT16_MAX; (*at)++)
		offset = offset * 10 + (uint32_t)(**at - '0');
	if (*at == begin || **at != '/' || offset > INT16_MAX) {
		click_args_error(args, "pattern %u: OFFSET/VALUE expected at '%s'", number, begin);
		return CLASSIFY_NO_NODE;
	}
	(*at)++;
	struct digits value = take_digits(at), mask = {.count = 0};
	bool has_mask = **at == '%';
	if (has_mask) {
		(*at)++;
		mask = take_digits(at);
	}
	if (!value.count || value.count % 2 || (has_mask && mask.count != value.count) ||
	    (**at && **at != ' ' && **at != '\t' && **at != '\n' && **at != '\r')) {
		click_args_error(args,
				 "pattern %u: an even number of hexadecimal digits, and a mask of "
				 "as many, expected at '%s'",
				 number, begin);
		return CLASSIFY_NO_NODE;
	}
	uint16_t clause = add_bytes(nodes, offset, &value, &mask);
	return is_negated ? classify_not(nodes, clause) : clause;
}

static uint16_t add_pattern(struct classify_nodes *nodes, const char *at, unsigned number,
			    struct click_args *args)
{
	nodes->count = 0;
	uint16_t all = classify_constant(nodes, true);
	at = skip_spaces(at);
	if (at[0] == '-' && !*skip_spaces(at + 1))
		return all;
	if (!*at)
		click_args_error(args, "pattern %u is empty", number);
	while (*at) {
		uint16_t clause = add_clause(nodes, &at, number, args);
		if (clause == CLASSIFY_NO_NODE)
			return clause;
		all = classify_and(nodes, all, clause);
		at = skip_spaces(at);
	}
	return all;
}

static uint32_t text_length(const char *text)
{
	uint32_t len = 0;
	while (text[len])
		len++;
	return len;
}

static int compile(struct click_element *element, struct click_args *args,
		   struct click_arena *arena)
{
	struct classifier *classifier = (struct classifier *)element;
	unsigned count = click_args_count(args);
	if (count != element->outputs_count)
		click_args_error(args, "%u patterns for %u outputs", count, element->outputs_count);
	/* Two digits make a byte, and each byte at most a test and what joins it to the others. */
	uint32_t longest = 0;
	for (unsigned i = 0; i < count; i++) {
		uint32_t len = text_length(click_args_at(args, i));
		longest = len > longest ? len : longest;
	}
	struct classify_nodes nodes;
	if (!classify_nodes_init(&nodes, arena, 2 * longest + 8)) {
		click_args_error(args, "there is no memory for the patterns");
		return -1;
	}
	for (unsigned i = 0; i < count; i++)
		add_pattern(&nodes, click_args_at(args, i), i, args);
	if (nodes.is_full || !classify_program_init(&classifier->program, arena, nodes.tests)) {
		click_args_error(args, "the patterns are too long");
		return -1;
	}
	if (click_args_end(args) < 0)
		return -1;
	for (unsigned i = count; i-- > 0;) {
		uint16_t root = add_pattern(&nodes, click_args_at(args, i), i, args);
		classify_program_prepend(&classifier->program, &nodes, root,
					 (uint16_t)(CLASSIFY_OUTPUT | i));
	}
	if (!classify_program_finish(&classifier->program, arena, element->router)) {
		click_args_error(args, "there is no memory for the patterns");
		return -1;
	}
	return 0;
}

static int configure(struct click_element *element, struct click_args *args)
{
	struct click_arena arena = {.max = CONFIGURE_MAX};
	int err = compile(element, args, &arena);
	click_arena_fini(&arena);
	return err;
}

static void push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	struct classifier *classifier = (struct classifier *)element;
	click_push(element, classify_run(&classifier->program, packet), packet);
}

static uint32_t read_program(struct click_element *element, char *out, uint32_t size)
{
	struct classifier *classifier = (struct classifier *)element;
	return classify_program_text(&classifier->program, out, size);
}

static const struct click_handler handlers[] = {
	{.name = "program", .read = read_program},
	{.name = NULL},
};

const struct click_class click_class_Classifier = {
	.name = "Classifier",
	.size = sizeof(struct classifier),
	.port_count = "1/-",
	.processing = "h/h",
	.configure = configure,
	.push = push,
	.handlers = handlers,
};
