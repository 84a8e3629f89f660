/*
 * Elements that rewriters name: IPRewriterPatterns(NAME PATTERN, …), whose patterns several inputs
 * or rewriters share, and RoundRobinIPMapper(PATTERN FOUTPUT ROUTPUT, …), whose patterns are used
 * for one new flow after the other.
 */
#include <string.h>

#include "elements/rewriter.h"
#include "router.h"

#define WORDS_MAX 8u

/* --- IPRewriterPatterns --- */

struct named_pattern {
	const char *name;
	struct click_pattern pattern;
};

struct patterns {
	struct click_element element;
	struct named_pattern *patterns;
	uint32_t count;
};

extern const struct click_class click_class_IPRewriterPatterns;

struct click_pattern *click_pattern_find(struct click_router *router, const char *name)
{
	for (uint32_t i = 0; i < click_router_elements(router); i++) {
		struct click_element *element = click_router_element(router, i);
		if (element->more->class != &click_class_IPRewriterPatterns)
			continue;
		struct patterns *self = (struct patterns *)element;
		for (uint32_t at = 0; at < self->count; at++)
			if (strcmp(self->patterns[at].name, name) == 0)
				return &self->patterns[at].pattern;
	}
	return NULL;
}

static int patterns_configure(struct click_element *element, struct click_args *args)
{
	struct patterns *self = (struct patterns *)element;
	unsigned count = click_args_count(args);
	self->patterns = click_alloc(element->router, (count + 1) * sizeof(*self->patterns));
	if (!self->patterns) {
		click_args_error(args, "no memory for %u patterns", count);
		return -1;
	}
	for (unsigned i = 0; i < count; i++) {
		const char *words[WORDS_MAX];
		const char *text = click_args_at(args, i);
		unsigned found = click_words(element->router, text, words, WORDS_MAX);
		struct named_pattern *named = &self->patterns[self->count];
		if (found != 5 && found != 3)
			click_args_error(args, "expected 'NAME SADDR SPORT DADDR DPORT', or "
					       "'NAME SADDR DADDR'");
		else if (click_pattern_find(element->router, words[0]))
			click_args_error(args, "there are two patterns '%s'", words[0]);
		else if (click_pattern_parse(&named->pattern, element->router, words + 1, found - 1,
					     args)) {
			named->name = words[0];
			self->count++;
		}
	}
	return click_args_end(args);
}

const struct click_class click_class_IPRewriterPatterns = {
	.name = "IPRewriterPatterns",
	.size = sizeof(struct patterns),
	.port_count = "0/0",
	.processing = "a/a",
	.configure = patterns_configure,
	.configures_first = true,
};

/* --- RoundRobinIPMapper --- */

struct mapping {
	struct click_pattern pattern, *used; /* its own, or a named one */
	uint16_t output[2];
};

struct round_robin {
	struct click_mapper mapper;
	struct mapping *mappings;
	uint32_t count, next;
};

extern const struct click_class click_class_RoundRobinIPMapper;

struct click_mapper *click_mapper_of(struct click_element *element)
{
	return element->more->class == &click_class_RoundRobinIPMapper
		       ? (struct click_mapper *)element
		       : NULL;
}

/* The first pattern that has something left, beginning behind the one used last. */
static bool map(struct click_mapper *mapper, struct click_rewriter *rewriter,
		const struct click_flow_key *flow, uint64_t now_ns,
		struct click_flow_key *ret_becomes, uint16_t ret_output[2])
{
	struct round_robin *self = (struct round_robin *)mapper;
	for (uint32_t tried = 0; tried < self->count; tried++) {
		struct mapping *mapping = &self->mappings[self->next];
		self->next = self->next + 1 < self->count ? self->next + 1 : 0;
		if (!click_pattern_apply(mapping->used, &rewriter->flows->table,
					 rewriter->element.router, flow, now_ns, ret_becomes))
			continue;
		ret_output[0] = mapping->output[0];
		ret_output[1] = mapping->output[1];
		return true;
	}
	return false;
}

static bool parse_mapping(struct round_robin *self, struct mapping *mapping, const char *text,
			  struct click_args *args)
{
	struct click_router *router = self->mapper.element.router;
	const char *words[WORDS_MAX];
	unsigned count = click_words(router, text, words, WORDS_MAX);
	mapping->used = &mapping->pattern;
	if (count != 3 && count != 4 && count != 6) {
		click_args_error(args, "expected 'PATTERN FOUTPUT ROUTPUT', not '%s'", text);
		return false;
	}
	if (!click_rewriter_outputs(words + count - 2, CLICK_PORTS_MAX, mapping->output, args))
		return false;
	if (count != 3)
		return click_pattern_parse(&mapping->pattern, router, words, count - 2, args);
	mapping->used = click_pattern_find(router, words[0]);
	if (!mapping->used)
		click_args_error(args, "there is no pattern '%s'", words[0]);
	return mapping->used != NULL;
}

static int mapper_configure(struct click_element *element, struct click_args *args)
{
	struct round_robin *self = (struct round_robin *)element;
	unsigned count = click_args_count(args);
	self->mapper.map = map;
	self->mappings = click_alloc(element->router, (count + 1) * sizeof(*self->mappings));
	if (!self->mappings || count == 0) {
		click_args_error(args, count ? "no memory for %u patterns" : "expected patterns",
				 count);
		return -1;
	}
	for (; self->count < count; self->count++) {
		struct mapping *mapping = &self->mappings[self->count];
		if (!parse_mapping(self, mapping, click_args_at(args, self->count), args))
			continue;
		bool has_ports = !mapping->used->is_of_addresses;
		if (self->count && has_ports != self->mapper.has_ports)
			click_args_error(args, "patterns with ports and without");
		self->mapper.has_ports = has_ports;
		for (unsigned way = 0; way < 2; way++)
			if (mapping->output[way] > self->mapper.output_max)
				self->mapper.output_max = mapping->output[way];
	}
	return click_args_end(args);
}

const struct click_class click_class_RoundRobinIPMapper = {
	.name = "RoundRobinIPMapper",
	.size = sizeof(struct round_robin),
	.port_count = "0/0",
	.processing = "a/a",
	.configure = mapper_configure,
};
