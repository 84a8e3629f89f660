/*
 * Handlers by name: those of classes, and the few that every element has.
 */
#include <string.h>

#include "core.h"

#define WRITE_MEMORY_MAX (4u << 20) /* bytes that the arguments of one write may use */

/* Splits "element.handler". NULL: there is no such element. */
static struct click_element *split(const struct click_router *router, const char *path,
				   const char **ret_handler)
{
	char name[CLICK_NAME_MAX + 1];
	const char *dot = strrchr(path, '.');
	if (dot == NULL || dot - path > (ptrdiff_t)CLICK_NAME_MAX)
		return NULL;
	memcpy(name, path, (size_t)(dot - path));
	name[dot - path] = '\0';
	*ret_handler = dot + 1;
	return click_router_find(router, name);
}

static const struct click_handler *find(const struct click_element *element, const char *name)
{
	const struct click_handler *handler = element->class->handlers;
	for (; handler != NULL && handler->name != NULL; handler++)
		if (strcmp(handler->name, name) == 0)
			return handler;
	return NULL;
}

static bool read_common(const struct click_element *element, const char *name,
			struct click_text *text)
{
	const struct click_handler *handler = element->class->handlers;
	if (strcmp(name, "name") == 0) {
		click_text_puts(text, element->more->name);
	} else if (strcmp(name, "class") == 0) {
		click_text_puts(text, element->class->name);
	} else if (strcmp(name, "config") == 0) {
		click_text_puts(text, element->router->places[element->more->index].config);
	} else if (strcmp(name, "handlers") == 0) {
		click_text_puts(text, "name\tr\nclass\tr\nconfig\tr\nhandlers\tr\n");
		for (; handler != NULL && handler->name != NULL; handler++)
			click_text_printf(text, "%s\t%s%s\n", handler->name,
					  handler->read || handler->count ? "r" : "",
					  handler->write ? "w" : "");
	} else {
		return false;
	}
	return true;
}

int click_router_read(struct click_router *router, const char *path, char *out, uint32_t size)
{
	const char *name;
	struct click_element *element = split(router, path, &name);
	struct click_text text = {out, size, 0};
	if (element == NULL || size == 0)
		return -1;
	out[0] = '\0';
	const struct click_handler *handler = find(element, name);
	if (handler == NULL)
		return read_common(element, name, &text) ? (int)text.len : -1;
	if (handler->read != NULL) {
		uint32_t len = handler->read(element, out, size - 1);
		len = len < size ? len : size - 1;
		out[len] = '\0';
		return (int)len;
	}
	if (handler->count == NULL)
		return -1;
	click_text_u64(&text, handler->count(element));
	return (int)text.len;
}

static void tell_unknown(struct click_router *router, const struct click_element *element,
			 const char *path, const char *name)
{
	char line[CLICK_NAME_MAX + 200];
	struct click_text text = CLICK_TEXT(line);
	click_text_printf(&text, "there is no handler '%.*s' to write", 100, path);
	if (element != NULL) {
		struct click_nearest nearest = click_nearest_to(name);
		const struct click_handler *handler = element->class->handlers;
		for (; handler != NULL && handler->name != NULL; handler++)
			if (handler->write != NULL)
				click_nearest_offer(&nearest, handler->name);
		click_nearest_say(&nearest, &text);
	}
	click_tell_line(router, line);
}

int click_router_write(struct click_router *router, const char *path, const char *value,
		       struct click_errors *errors)
{
	struct click_errors none = {0}, *before = router->errors;
	struct click_arena arena = {.max = WRITE_MEMORY_MAX}, *outer = router->scratch;
	const char *name = "";
	router->errors = errors != NULL ? errors : before != NULL ? before : &none;
	struct click_element *element = split(router, path, &name);
	const struct click_handler *handler = element != NULL ? find(element, name) : NULL;
	int err = -1;
	struct click_args args;
	router->scratch = &arena;
	if (handler == NULL || handler->write == NULL) {
		tell_unknown(router, element, path, name);
	} else if (click_args_init(&args, element, value) < 0) {
		click_tell_line(router, "out of memory");
	} else {
		err = handler->write(element, value, &args);
		if (err < 0 && args.errors == 0)
			click_args_error(&args, "%s: '%.*s' cannot be written", name, 60, value);
		err = err < 0 || args.errors > 0 ? -1 : 0;
	}
	router->errors = before;
	router->scratch = outer;
	click_arena_fini(&arena);
	return err;
}

uint32_t click_router_counters(const struct click_router *router)
{
	return router->counters_count;
}

void click_router_counter_name(const struct click_router *router, uint32_t index, char *name,
			       uint32_t size)
{
	struct click_text text = {name, size, 0};
	if (size > 0)
		name[0] = '\0';
	if (index < router->counters_count)
		click_text_printf(&text, "%s.%s", router->counters[index].element->more->name,
				  router->counters[index].handler->name);
}

uint64_t click_router_counter(const struct click_router *router, uint32_t index)
{
	if (index >= router->counters_count)
		return 0;
	const struct click_counter_ref *counter = &router->counters[index];
	return counter->handler->count(counter->element);
}
