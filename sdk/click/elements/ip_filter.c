/*
 * IPClassifier(PATTERN, ...) and IPFilter(ACTION PATTERN, ...).
 */
#include <string.h>

#include "elements/ip_pattern.h"

/* As much as the longest patterns need, and more. */
#define CONFIGURE_MAX (8u << 20)

struct filter {
	struct click_element element;
	struct classify_program program;
};

/* What a pattern of an element's arguments is, and where it leads to. */
struct source {
	struct click_element *element;
	struct click_args *args;
	struct ip_words words;
	struct classify_nodes nodes;
	bool has_actions;
};

static uint16_t read_action(const struct source *source, unsigned number, bool tells)
{
	const char *word = source->words.words[0];
	uint32_t output;
	if (strcmp(word, "drop") == 0 || strcmp(word, "deny") == 0)
		return CLASSIFY_DROP;
	if (strcmp(word, "allow") == 0)
		output = 0;
	else if (!ip_word_number(word, &output)) {
		if (tells)
			click_args_error(
				source->args,
				"pattern %u: '%s' is neither allow, deny, drop nor an output",
				number, word);
		return CLASSIFY_DROP;
	}
	if (output >= source->element->outputs_count && tells)
		click_args_error(source->args, "pattern %u: there is no output %u", number, output);
	return (uint16_t)(CLASSIFY_OUTPUT | (output & 0xff));
}

/* The node of pattern NUMBER. */
static uint16_t parse(struct source *source, unsigned number, bool tells, uint16_t *ret_output)
{
	source->nodes.count = 0;
	ip_words_split(&source->words, click_args_at(source->args, number));
	*ret_output = (uint16_t)(CLASSIFY_OUTPUT | number);
	if (!source->words.count) {
		if (tells)
			click_args_error(source->args, "pattern %u is empty", number);
		return CLASSIFY_NO_NODE;
	}
	if (!source->has_actions)
		return ip_pattern_parse(&source->words, 0, number, &source->nodes,
					source->element->router, source->args, tells);
	*ret_output = read_action(source, number, tells);
	if (source->words.count == 1)
		return classify_constant(&source->nodes, true);
	return ip_pattern_parse(&source->words, 1, number, &source->nodes, source->element->router,
				source->args, tells);
}

/* Once to find mistakes and to count, and again from the last to the first, as programs grow. */
static int compile(struct source *source, struct click_arena *arena)
{
	struct filter *filter = (struct filter *)source->element;
	struct click_router *router = source->element->router;
	unsigned count = click_args_count(source->args);
	size_t longest = 0;
	for (unsigned i = 0; i < count; i++) {
		size_t len = strlen(click_args_at(source->args, i));
		longest = len > longest ? len : longest;
	}
	/* A word, of which some share a separator, becomes 14 nodes at most. */
	if (longest > UINT16_MAX || !ip_words_init(&source->words, arena, (uint32_t)longest) ||
	    !classify_nodes_init(&source->nodes, arena, (uint32_t)longest * 8 + 32)) {
		click_args_error(source->args, "the patterns are too long");
		return -1;
	}
	uint16_t output;
	for (unsigned i = 0; i < count; i++)
		parse(source, i, true, &output);
	if (source->nodes.is_full && click_args_end(source->args) == 0)
		click_args_error(source->args, "the patterns are too long");
	if (click_args_end(source->args) < 0)
		return -1;
	if (!classify_program_init(&filter->program, arena, source->nodes.tests)) {
		click_args_error(source->args, "the patterns are too many");
		return -1;
	}
	for (unsigned i = count; i-- > 0;) {
		uint16_t root = parse(source, i, false, &output);
		classify_program_prepend(&filter->program, &source->nodes, root, output);
	}
	if (!classify_program_finish(&filter->program, arena, router)) {
		click_args_error(source->args, "there is no memory for the patterns");
		return -1;
	}
	return 0;
}

static int configure(struct source *source)
{
	struct click_arena arena = {.max = CONFIGURE_MAX};
	int err = compile(source, &arena);
	click_arena_fini(&arena);
	return err;
}

static int filter_configure(struct click_element *element, struct click_args *args)
{
	struct source source = {.element = element, .args = args, .has_actions = true};
	return configure(&source);
}

static int classifier_configure(struct click_element *element, struct click_args *args)
{
	struct source source = {.element = element, .args = args};
	unsigned count = click_args_count(args);
	if (count != element->outputs_count)
		click_args_error(args, "%u patterns for %u outputs", count, element->outputs_count);
	return configure(&source);
}

static void push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	struct filter *filter = (struct filter *)element;
	click_push(element, classify_run(&filter->program, packet), packet);
}

static uint32_t read_program(struct click_element *element, char *out, uint32_t size)
{
	return classify_program_text(&((struct filter *)element)->program, out, size);
}

static const struct click_handler handlers[] = {
	{.name = "program", .read = read_program},
	{.name = NULL},
};

const struct click_class click_class_IPFilter = {
	.name = "IPFilter",
	.size = sizeof(struct filter),
	.port_count = "1/-",
	.processing = "h/h",
	.configure = filter_configure,
	.push = push,
	.handlers = handlers,
};

const struct click_class click_class_IPClassifier = {
	.name = "IPClassifier",
	.size = sizeof(struct filter),
	.port_count = "1/-",
	.processing = "h/h",
	.configure = classifier_configure,
	.push = push,
	.handlers = handlers,
};
