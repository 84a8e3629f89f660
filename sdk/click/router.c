/*
 * A router from its configuration's text, and what is told of mistakes in it.
 */
#include <stdlib.h>
#include <string.h>

#include "core.h"

static struct click_router *make_router(struct click_router *router, const struct click_host *host,
					const struct click_class *const *classes)
{
	router->host = host;
	router->due_ns = UINT64_MAX;
	router->classes = classes != NULL ? classes : click_classes;
	router->arena.max = CLICK_MEMORY_MAX;
	router->is_used = click_arena_alloc(&router->arena, CLICK_CLASSES_MAX);
	if (router->is_used == NULL || !click_own_counters(router) || !click_packets_init(router))
		return click_router_free(router);
	return router;
}

struct click_router *click_router_new(const struct click_host *host,
				      const struct click_class *const *classes)
{
	struct click_router *router = aligned_alloc(CLICK_LINE, sizeof(*router));
	if (router == NULL)
		return NULL;
	memset(router, 0, sizeof(*router));
	return make_router(router, host, classes);
}

struct click_router *click_router_new_in(void *memory, size_t size, const struct click_host *host,
					 const struct click_class *const *classes)
{
	struct click_router *router = memory;
	if (size < sizeof(*router))
		return NULL;
	router->is_borrowed = true;
	click_arena_lend(&router->hot, router + 1, size - sizeof(*router));
	return make_router(router, host, classes);
}

struct click_router *click_router_free(struct click_router *router)
{
	if (router == NULL)
		return NULL;
	click_packets_fini(router);
	click_arena_fini(&router->hot);
	click_arena_fini(&router->arena);
	if (!router->is_borrowed)
		free(router);
	return NULL;
}

/* --- mistakes --- */

void click_tell_line(struct click_router *router, const char *line)
{
	struct click_errors *errors = router->errors;
	if (errors == NULL)
		return;
	errors->count++;
	if (errors->count <= CLICK_ERRORS_MAX && errors->tell != NULL)
		errors->tell(errors->ctx, line);
}

void click_tell_va(struct click_router *router, const char *file, uint32_t line, const char *prefix,
		   const char *format, va_list list)
{
	char bytes[600];
	struct click_text text = CLICK_TEXT(bytes);
	click_text_printf(&text, "%.*s:%u: %.*s", 120, file, line, CLICK_NAME_MAX + 80,
			  prefix != NULL ? prefix : "");
	click_text_format(&text, format, list);
	click_text_clean(&text);
	click_tell_line(router, bytes);
}

void click_tell(struct click_router *router, const char *file, uint32_t line, const char *format,
		...)
{
	va_list list;
	va_start(list, format);
	click_tell_va(router, file, line, NULL, format, list);
	va_end(list);
}

const struct click_class *click_find_class(struct click_router *router, const char *name)
{
	for (size_t i = 0; i < CLICK_CLASSES_MAX && router->classes[i] != NULL; i++)
		if (strcmp(router->classes[i]->name, name) == 0) {
			router->is_used[i] = true;
			return router->classes[i];
		}
	return NULL;
}

static uint8_t number_of(const struct click_router *router, const struct click_class *class)
{
	uint8_t number = 0;
	while (router->classes[number] != class)
		number++;
	return number;
}

bool click_router_uses(const struct click_router *router, size_t index)
{
	return index < CLICK_CLASSES_MAX && router->is_used[index];
}

/* --- building --- */

/* With room for its outputs behind it, as many as are connected. */
static int make_element(struct click_router *router, const struct click_flat_element *flat,
			uint32_t index)
{
	struct click_place *place = &router->places[index];
	size_t size = (flat->class->size + sizeof(void *) - 1) & ~(sizeof(void *) - 1);
	size_t bytes = size + place->outputs_room * sizeof(struct click_port);
	/* To what nothing leads no packet comes. */
	struct click_element *element = place->inputs_used > 0
						? click_hot_alloc(router, bytes)
						: click_arena_alloc(&router->arena, bytes);
	struct click_element_more *more = click_arena_alloc(&router->arena, sizeof(*more));
	if (element == NULL || more == NULL)
		return -1;
	element->router = router;
	element->more = more;
	element->class_number = number_of(router, flat->class);
	element->gives = flat->class->pull != NULL;
	element->has_task = flat->class->run_task != NULL;
	element->outputs = (struct click_port *)((uint8_t *)element + size);
	element->outputs_count = (uint16_t)place->outputs_room;
	element->inputs_count = (uint16_t)place->inputs_used;
	more->class = flat->class;
	more->index = index;
	more->timer_ns = UINT64_MAX;
	more->name = click_arena_text(&router->arena, flat->name, strlen(flat->name));
	place->line = flat->line;
	place->file = click_arena_text(&router->arena, flat->file, strlen(flat->file));
	place->config = click_arena_text(&router->arena, flat->config, strlen(flat->config));
	router->elements[index] = element;
	return more->name != NULL && place->file != NULL && place->config != NULL ? 0 : -1;
}

/* The links between real elements, numbered by MAP, and the ports that they need. */
static void take_links(struct click_router *router, const struct click_flat *flat,
		       const uint32_t *map)
{
	router->links = flat->links;
	router->links_count = flat->links_count;
	for (uint32_t i = 0; i < flat->links_count; i++) {
		struct click_end *from = &flat->links[i].from, *to = &flat->links[i].to;
		from->element = map[from->element];
		to->element = map[to->element];
		uint32_t *outputs = &router->places[from->element].outputs_room;
		uint32_t *inputs = &router->places[to->element].inputs_used;
		*outputs = from->port >= *outputs ? from->port + 1 : *outputs;
		*inputs = to->port >= *inputs ? to->port + 1 : *inputs;
	}
}

/* Elements and links, by their numbers without pseudo elements. */
static int make_elements(struct click_router *router, struct click_arena *arena,
			 const struct click_flat *flat)
{
	uint32_t count = 0;
	uint32_t *map = click_arena_alloc(arena, (flat->elements_count + 1) * sizeof(*map));
	if (map == NULL)
		return -1;
	for (uint32_t i = 0; i < flat->elements_count; i++)
		if (flat->elements[i].class != NULL)
			map[i] = count++;
	if (count > CLICK_ELEMENTS_MAX) {
		click_tell(router, flat->elements[0].file, 1, "more than %u elements",
			   CLICK_ELEMENTS_MAX);
		return -1;
	}
	struct click_arena *cold = &router->arena;
	router->elements = click_arena_alloc(cold, (count + 1) * sizeof(struct click_element *));
	router->places = click_arena_alloc(cold, (count + 1) * sizeof(*router->places));
	router->timers = click_arena_alloc(cold, (count + 1) * sizeof(struct click_element *));
	if (router->elements == NULL || router->places == NULL || router->timers == NULL)
		return -1;
	take_links(router, flat, map);
	for (uint32_t i = 0; i < flat->elements_count; i++)
		if (flat->elements[i].class != NULL &&
		    make_element(router, &flat->elements[i], map[i]) < 0)
			return -1;
	router->elements_count = count;
	return 0;
}

static int configure(struct click_router *router, struct click_element *element)
{
	struct click_args args;
	if (click_args_init(&args, element, router->places[element->more->index].config) < 0) {
		click_tell_line(router, "out of memory");
		return -1;
	}
	int err = element->more->class->configure != NULL
			  ? element->more->class->configure(element, &args)
			  : click_args_end(&args);
	if (err < 0 && args.errors == 0)
		click_args_error(&args, "it cannot be configured");
	return err < 0 || args.errors > 0 ? -1 : 0;
}

typedef int step(struct click_element *element, struct click_args *args);

static int run_step(struct click_router *router, struct click_element *element, step *fn)
{
	struct click_args args;
	if (fn == NULL)
		return 0;
	if (click_args_init(&args, element, router->places[element->more->index].config) < 0) {
		click_tell_line(router, "out of memory");
		return -1;
	}
	/* What it tells is about the element, not about an argument that is not read. */
	int err = fn(element, &args);
	if (err < 0 && args.errors == 0)
		click_args_error(&args, "it cannot be initialised");
	return err < 0 || args.errors > 0 ? -1 : 0;
}

static int configure_all(struct click_router *router)
{
	int err = 0;
	for (int first = 1; first >= 0; first--)
		for (uint32_t i = 0; i < router->elements_count; i++)
			if (router->elements[i]->more->class->configures_first == (first == 1) &&
			    configure(router, router->elements[i]) < 0)
				err = -1;
	return err;
}

static int initialize_all(struct click_router *router)
{
	int err = 0;
	for (uint32_t i = 0; i < router->elements_count; i++)
		if (run_step(router, router->elements[i],
			     router->elements[i]->more->class->initialize) < 0)
			err = -1;
	for (uint32_t i = 0; i < router->elements_count && err == 0; i++)
		if (run_step(router, router->elements[i], router->elements[i]->more->class->start) <
		    0)
			err = -1;
	return err;
}

static int build(struct click_router *router, struct click_arena *arena, const char *text,
		 size_t len, const char *name)
{
	struct click_flat flat = {0};
	if (click_parse(router, arena, text, len, name, &flat) < 0 ||
	    click_untunnel(router, arena, &flat) < 0)
		return -1;
	if (make_elements(router, arena, &flat) < 0) {
		if (router->errors->count == 0)
			click_tell(router, name, 1, "out of memory");
		return -1;
	}
	if (click_connect(router, arena, &flat) < 0 || click_find_listeners(router, arena) < 0)
		return -1;
	if (configure_all(router) < 0 || click_make_counters(router) < 0)
		return -1;
	return initialize_all(router);
}

int click_router_load(struct click_router *router, const char *text, size_t len, const char *name,
		      struct click_errors *errors)
{
	struct click_errors none = {0};
	struct click_arena arena = {.max = CLICK_MEMORY_MAX};
	router->errors = errors != NULL ? errors : &none;
	int err = build(router, &arena, text, len, name);
	if (err < 0 && router->errors->count == 0)
		click_tell(router, name, 1, "it cannot be built");
	err = router->errors->count > 0 ? -1 : err;
	if (err == 0)
		click_packets_fill(router);
	router->errors = NULL;
	router->links = NULL;
	router->links_count = 0;
	click_arena_fini(&arena);
	return err;
}

/* --- elements by name --- */

uint32_t click_router_elements(const struct click_router *router)
{
	return router->elements_count;
}

struct click_element *click_router_element(const struct click_router *router, uint32_t index)
{
	return index < router->elements_count ? router->elements[index] : NULL;
}

static struct click_element *find(const struct click_router *router, const char *prefix,
				  size_t prefix_len, const char *name)
{
	size_t len = strlen(name);
	for (uint32_t i = 0; i < router->elements_count; i++) {
		const char *own = router->elements[i]->more->name;
		if (strlen(own) == prefix_len + len && memcmp(own, prefix, prefix_len) == 0 &&
		    memcmp(own + prefix_len, name, len) == 0)
			return router->elements[i];
	}
	return NULL;
}

struct click_element *click_router_find(const struct click_router *router, const char *name)
{
	return find(router, "", 0, name);
}

struct click_element *click_find(struct click_element *element, const char *name)
{
	if (element == NULL)
		return NULL;
	/* In its own compound first, then in those around it. */
	for (size_t len = strlen(element->more->name);; len--) {
		while (len > 0 && element->more->name[len - 1] != '/')
			len--;
		struct click_element *found = find(element->router, element->more->name, len, name);
		if (found != NULL || len == 0)
			return found;
	}
}
