/*
 * Links by pseudo elements into links between elements: from each real output on, through pseudo
 * elements, to all real inputs.
 */
#include <string.h>

#include "core.h"

#define STEPS_MAX 1000000u
#define DEPTH_MAX 256u /* pseudo elements, one behind the other */

struct walk {
	struct click_router *router;
	struct click_arena *arena;
	const struct click_flat *flat;
	uint32_t *first, *next; /* links by the element they come from; index + 1 */
	struct click_flat_link *out;
	uint32_t out_count, out_capacity;
	uint32_t steps, depth;
};

static int add(struct walk *walk, const struct click_flat_link *link)
{
	if (walk->out_count >= CLICK_CONNECTIONS_MAX) {
		click_tell(walk->router, link->file, link->line, "more than %u connections",
			   CLICK_CONNECTIONS_MAX);
		return -1;
	}
	if (!click_arena_grow(walk->arena, &walk->out, walk->out_count, &walk->out_capacity,
			      sizeof(*walk->out))) {
		click_tell(walk->router, link->file, link->line, "out of memory");
		return -1;
	}
	walk->out[walk->out_count++] = *link;
	return 0;
}

static int follow(struct walk *walk, struct click_flat_link link)
{
	const struct click_flat_element *to = &walk->flat->elements[link.to.element];
	if (to->class != NULL)
		return add(walk, &link);
	if (walk->depth >= DEPTH_MAX || walk->steps++ >= STEPS_MAX) {
		click_tell(walk->router, link.file, link.line,
			   "connections through compounds go in circles, or too far");
		return -1;
	}
	bool is_found = false;
	int err = 0;
	walk->depth++;
	for (uint32_t i = walk->first[link.to.element]; i > 0 && err == 0; i = walk->next[i - 1]) {
		const struct click_flat_link *on = &walk->flat->links[i - 1];
		if (on->from.port != link.to.port)
			continue;
		is_found = true;
		struct click_flat_link through = link;
		through.to = on->to;
		err = follow(walk, through);
	}
	walk->depth--;
	if (!is_found && err == 0 && (to->what == NULL || strcmp(to->what, "input") == 0)) {
		click_tell(walk->router, link.file, link.line, "'%s' has no input %u", to->name,
			   link.to.port);
		return -1;
	}
	return err;
}

/* What comes from a compound's output that nothing in it leads to. */
static int check_outputs(struct walk *walk)
{
	const struct click_flat *flat = walk->flat;
	for (uint32_t i = 0; i < flat->links_count; i++) {
		const struct click_flat_link *link = &flat->links[i];
		const struct click_flat_element *from = &flat->elements[link->from.element];
		bool is_fed = from->class != NULL || from->what == NULL ||
			      strcmp(from->what, "output") != 0;
		for (uint32_t j = 0; j < flat->links_count && !is_fed; j++)
			is_fed = flat->links[j].to.element == link->from.element &&
				 flat->links[j].to.port == link->from.port;
		if (!is_fed) {
			click_tell(walk->router, link->file, link->line, "'%s' has no output %u",
				   from->name, link->from.port);
			return -1;
		}
	}
	return 0;
}

int click_untunnel(struct click_router *router, struct click_arena *arena, struct click_flat *flat)
{
	struct walk walk = {.router = router, .arena = arena, .flat = flat};
	walk.first = click_arena_alloc(arena, (flat->elements_count + 1) * sizeof(*walk.first));
	walk.next = click_arena_alloc(arena, (flat->links_count + 1) * sizeof(*walk.next));
	if (walk.first == NULL || walk.next == NULL) {
		click_tell(router, "click", 1, "out of memory");
		return -1;
	}
	for (uint32_t i = flat->links_count; i-- > 0;) {
		uint32_t from = flat->links[i].from.element;
		walk.next[i] = walk.first[from];
		walk.first[from] = i + 1;
	}
	if (check_outputs(&walk) < 0)
		return -1;
	for (uint32_t i = 0; i < flat->links_count; i++) {
		const struct click_flat_link *link = &flat->links[i];
		if (flat->elements[link->from.element].class != NULL && follow(&walk, *link) < 0)
			return -1;
	}
	flat->links = walk.out;
	flat->links_count = walk.out_count;
	return 0;
}
