/*
 * Who is told when a packet can be pulled: from each element with a pull output on, through those
 * that only pass packets, to those that have a task.
 */
#include <string.h>

#include "core.h"

struct search {
	struct click_router *router;
	const struct click_flat_link **order; /* links by the element they come from */
	uint32_t *first;		      /* where those of an element begin in ORDER */
	uint32_t *seen;	 /* by element: in which search it was met, from 1 on */
	uint32_t *stack; /* elements to look at */
	struct click_element **found;
	uint32_t found_count;
};

static int sort_links(struct search *search, struct click_arena *arena)
{
	struct click_router *router = search->router;
	uint32_t elements = router->elements_count, links = router->links_count;
	search->order = click_arena_alloc(arena, (links + 1) * sizeof(void *));
	search->first = click_arena_alloc(arena, (elements + 2) * sizeof(uint32_t));
	search->seen = click_arena_alloc(arena, (elements + 1) * sizeof(uint32_t));
	search->stack = click_arena_alloc(arena, (elements + 1) * sizeof(uint32_t));
	search->found = click_arena_alloc(arena, (elements + 1) * sizeof(void *));
	uint32_t *fill = click_arena_alloc(arena, (elements + 1) * sizeof(uint32_t));
	if (search->order == NULL || search->first == NULL || search->seen == NULL ||
	    search->stack == NULL || search->found == NULL || fill == NULL)
		return -1;
	for (uint32_t i = 0; i < links; i++)
		search->first[router->links[i].from.element + 1]++;
	for (uint32_t i = 0; i < elements; i++)
		search->first[i + 1] += search->first[i];
	for (uint32_t i = 0; i < links; i++) {
		uint32_t from = router->links[i].from.element;
		search->order[search->first[from] + fill[from]++] = &router->links[i];
	}
	return 0;
}

static void search_from(struct search *search, uint32_t start)
{
	struct click_router *router = search->router;
	uint32_t depth = 1;
	search->found_count = 0;
	search->seen[start] = start + 1;
	search->stack[0] = start;
	while (depth > 0) {
		uint32_t at = search->stack[--depth];
		for (uint32_t i = search->first[at]; i < search->first[at + 1]; i++) {
			const struct click_flat_link *link = search->order[i];
			uint32_t to = link->to.element;
			if (!router->elements[at]->more->output_is_pull[link->from.port] ||
			    search->seen[to] == start + 1)
				continue;
			search->seen[to] = start + 1;
			if (router->elements[to]->more->class->run_task != NULL)
				search->found[search->found_count++] = router->elements[to];
			else
				search->stack[depth++] = to;
		}
	}
}

static bool has_pull_output(const struct click_element *element)
{
	for (uint32_t i = 0; i < element->outputs_count; i++)
		if (element->more->output_is_pull[i])
			return true;
	return false;
}

int click_find_listeners(struct click_router *router, struct click_arena *arena)
{
	struct search search = {.router = router};
	if (sort_links(&search, arena) < 0) {
		click_tell_line(router, "out of memory");
		return -1;
	}
	for (uint32_t i = 0; i < router->elements_count; i++) {
		struct click_element *element = router->elements[i];
		if (!has_pull_output(element))
			continue;
		search_from(&search, i);
		size_t size = search.found_count * sizeof(void *);
		element->listeners = click_alloc(router, size);
		if (element->listeners == NULL) {
			click_tell_line(router, "out of memory");
			return -1;
		}
		memcpy(element->listeners, search.found, size);
		element->listeners_count = (uint16_t)search.found_count;
	}
	return 0;
}
