/*
 * Links by pseudo elements into links between elements: from each real output on, through pseudo
 * elements, to all real inputs. A link that is there twice counts once.
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
	uint32_t *seen; /* a hash table of OUT; index + 1 */
	uint32_t steps, depth;
};

#define SEEN_SIZE (2 * CLICK_CONNECTIONS_MAX) /* a power of two */

/* Where LINK is in the table, or is to be. */
static uint32_t *find_seen(struct walk *walk, const struct click_flat_link *link)
{
	uint32_t hash = link->from.element * 2654435761u ^ link->to.element * 2246822519u ^
			(link->from.port << 8 | link->to.port) * 3266489917u;
	for (hash ^= hash >> 15;; hash++) {
		uint32_t *slot = &walk->seen[hash % SEEN_SIZE];
		if (*slot == 0)
			return slot;
		const struct click_flat_link *other = &walk->out[*slot - 1];
		if (memcmp(&other->from, &link->from, sizeof(link->from)) == 0 &&
		    memcmp(&other->to, &link->to, sizeof(link->to)) == 0)
			return slot;
	}
}

static int add(struct walk *walk, const struct click_flat_link *link)
{
	uint32_t *seen = find_seen(walk, link);
	if (*seen != 0)
		return 0;
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
	*seen = walk->out_count;
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
	int err = 0;
	walk->depth++;
	for (uint32_t i = walk->first[link.to.element]; i > 0 && err == 0; i = walk->next[i - 1]) {
		const struct click_flat_link *on = &walk->flat->links[i - 1];
		if (on->from.port != link.to.port)
			continue;
		struct click_flat_link through = link;
		through.to = on->to;
		err = follow(walk, through);
	}
	walk->depth--;
	return err;
}

/* A bit for each port of an element. */
struct ports {
	uint32_t bits[CLICK_PORTS_MAX / 32];
};

static bool has(const struct ports *ports, uint32_t port)
{
	return (ports->bits[port / 32] >> port % 32 & 1) != 0;
}

static void put(struct ports *ports, uint32_t port)
{
	ports->bits[port / 32] |= 1u << port % 32;
}

/* ELEMENT is a pseudo element; it is told once for each port. */
static int complain(struct walk *walk, const struct click_flat_link *link,
		    const struct click_flat_element *element, uint32_t port, bool is_inside)
{
	if (is_inside)
		click_tell(walk->router, element->file, element->line,
			   "'%s': its %s %u is not connected", element->name, element->what, port);
	else
		click_tell(walk->router, link->file, link->line, "'%s' has no %s %u", element->name,
			   element->what, port);
	return -1;
}

/* What comes to a pseudo element's port goes on from there, and the other way round. */
static int check_pseudo(struct walk *walk)
{
	const struct click_flat *flat = walk->flat;
	size_t size = (flat->elements_count + 1) * sizeof(struct ports);
	struct ports *fed = click_arena_alloc(walk->arena, size);
	struct ports *drained = click_arena_alloc(walk->arena, size);
	int err = 0;
	if (fed == NULL || drained == NULL) {
		click_tell(walk->router, "click", 1, "out of memory");
		return -1;
	}
	for (uint32_t i = 0; i < flat->links_count; i++) {
		put(&drained[flat->links[i].from.element], flat->links[i].from.port);
		put(&fed[flat->links[i].to.element], flat->links[i].to.port);
	}
	for (uint32_t i = 0; i < flat->links_count; i++) {
		const struct click_flat_link *link = &flat->links[i];
		const struct click_end *from = &link->from, *to = &link->to;
		const struct click_flat_element *left = &flat->elements[from->element],
						*right = &flat->elements[to->element];
		if (left->class == NULL && !has(&fed[from->element], from->port)) {
			put(&fed[from->element], from->port);
			err = complain(walk, link, left, from->port, left->what[0] == 'i');
		}
		if (right->class == NULL && !has(&drained[to->element], to->port)) {
			put(&drained[to->element], to->port);
			err = complain(walk, link, right, to->port, right->what[0] == 'o');
		}
	}
	return err;
}

int click_untunnel(struct click_router *router, struct click_arena *arena, struct click_flat *flat)
{
	struct walk walk = {.router = router, .arena = arena, .flat = flat};
	walk.first = click_arena_alloc(arena, (flat->elements_count + 1) * sizeof(*walk.first));
	walk.next = click_arena_alloc(arena, (flat->links_count + 1) * sizeof(*walk.next));
	walk.seen = click_arena_alloc(arena, SEEN_SIZE * sizeof(*walk.seen));
	if (walk.first == NULL || walk.next == NULL || walk.seen == NULL) {
		click_tell(router, "click", 1, "out of memory");
		return -1;
	}
	for (uint32_t i = flat->links_count; i-- > 0;) {
		uint32_t from = flat->links[i].from.element;
		walk.next[i] = walk.first[from];
		walk.first[from] = i + 1;
	}
	if (check_pseudo(&walk) < 0)
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
