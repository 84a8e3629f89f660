/*
 * Handlers by name: those of classes, and the few that every element has; and counters.
 *
 * Counters are a table that a host reads when it likes. So that a packet pays nothing for that,
 * elements count in its values themselves: the router tells them where, by a pointer in their
 * struct. Others compute a value when they are asked; who runs the router says when
 * (click_router_compute()).
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
	const struct click_handler *handler = element->more->class->handlers;
	for (; handler != NULL && handler->name != NULL; handler++)
		if (strcmp(handler->name, name) == 0)
			return handler;
	return NULL;
}

static bool is_counter(const struct click_handler *handler)
{
	return handler->count != NULL || handler->counter != 0;
}

static uint64_t *value_at(const struct click_counter_ref *counter)
{
	uint64_t *value;
	memcpy(&value, (const uint8_t *)counter->element + counter->handler->counter,
	       sizeof(value));
	return value;
}

static uint64_t value_of(const struct click_counter_ref *counter)
{
	return counter->handler->counter != 0 ? *value_at(counter)
					      : counter->handler->count(counter->element);
}

static bool read_common(const struct click_element *element, const char *name,
			struct click_text *text)
{
	const struct click_handler *handler = element->more->class->handlers;
	if (strcmp(name, "name") == 0) {
		click_text_puts(text, element->more->name);
	} else if (strcmp(name, "class") == 0) {
		click_text_puts(text, element->more->class->name);
	} else if (strcmp(name, "config") == 0) {
		click_text_puts(text, element->router->places[element->more->index].config);
	} else if (strcmp(name, "handlers") == 0) {
		click_text_puts(text, "name\tr\nclass\tr\nconfig\tr\nhandlers\tr\n");
		for (; handler != NULL && handler->name != NULL; handler++)
			click_text_printf(text, "%s\t%s%s\n", handler->name,
					  handler->read || is_counter(handler) ? "r" : "",
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
	if (!is_counter(handler))
		return -1;
	click_text_u64(&text, value_of(&(struct click_counter_ref){element, handler}));
	return (int)text.len;
}

bool click_can_write(const struct click_element *element, const char *name,
		     struct click_text *guess)
{
	const struct click_handler *handler = find(element, name);
	if (handler != NULL && handler->write != NULL)
		return true;
	struct click_nearest nearest = click_nearest_to(name);
	for (handler = element->more->class->handlers; handler != NULL && handler->name != NULL;
	     handler++)
		if (handler->write != NULL)
			click_nearest_offer(&nearest, handler->name);
	click_nearest_say(&nearest, guess);
	return false;
}

static void tell_unknown(struct click_router *router, const struct click_element *element,
			 const char *path, const char *name)
{
	char line[CLICK_NAME_MAX + 200];
	struct click_text text = CLICK_TEXT(line);
	click_text_printf(&text, "there is no handler '%.*s' to write", 100, path);
	if (element != NULL)
		(void)click_can_write(element, name, &text);
	click_tell_line(router, line);
}

int click_router_write(struct click_router *router, const char *path, const char *value,
		       struct click_errors *errors)
{
	struct click_errors none = {0}, *before = router->errors;
	struct click_arena arena = {.max = WRITE_MEMORY_MAX}, *outer = router->scratch;
	const char *name = "", *naming = router->naming;
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
	router->naming = naming;
	click_arena_fini(&arena);
	return err;
}

/* --- counters --- */

/* Of the table's two last entries. */
enum { EXHAUSTED, LOOPED, OWN_COUNT };

bool click_own_counters(struct click_router *router)
{
	router->own_counters =
		click_arena_alloc(&router->arena, OWN_COUNT * sizeof(*router->own_counters));
	return router->own_counters != NULL;
}

void click_count_exhausted(struct click_router *router)
{
	router->own_counters[EXHAUSTED]++;
}

void click_count_looped(struct click_router *router)
{
	router->own_counters[LOOPED]++;
}

uint64_t click_router_exhausted(const struct click_router *router)
{
	return router->own_counters[EXHAUSTED];
}

uint64_t click_router_looped(const struct click_router *router)
{
	return router->own_counters[LOOPED];
}

static bool collect(struct click_router *router, uint32_t *ret_computed)
{
	uint32_t capacity = 0;
	for (uint32_t i = 0; i < router->elements_count; i++) {
		struct click_element *element = router->elements[i];
		const struct click_handler *handler = element->more->class->handlers;
		for (; handler != NULL && handler->name != NULL; handler++) {
			if (!is_counter(handler))
				continue;
			if (!click_arena_grow(&router->arena, &router->counters,
					      router->counters_count, &capacity,
					      sizeof(*router->counters)))
				return false;
			router->counters[router->counters_count++] =
				(struct click_counter_ref){element, handler};
			*ret_computed += handler->counter == 0;
		}
	}
	return true;
}

/* Those that are shown come first, then our own, then the others, which count nevertheless. */
static void fill_table(struct click_router *router)
{
	static const char *const own[] = {"packets_exhausted", "packets_looped"};
	uint32_t shown = router->table_count - OWN_COUNT;
	for (uint32_t i = 0; i < router->counters_count; i++) {
		const struct click_counter_ref *counter = &router->counters[i];
		uint64_t *value = &router->values[i < shown ? i : i + OWN_COUNT];
		if (counter->handler->counter != 0)
			memcpy((uint8_t *)counter->element + counter->handler->counter, &value,
			       sizeof(value));
		else if (i < shown)
			router->computed[router->computed_count++] = (struct click_computed){
				counter->handler->count, counter->element, value};
		if (i < shown)
			click_router_counter_name(router, i, router->table[i].name,
						  sizeof(router->table[i].name));
	}
	for (uint32_t i = 0; i < OWN_COUNT; i++) {
		strcpy(router->table[shown + i].name, own[i]);
		router->values[shown + i] = router->own_counters[i];
	}
	router->own_counters = &router->values[shown];
}

int click_make_counters(struct click_router *router)
{
	uint32_t computed = 0;
	if (collect(router, &computed)) {
		uint32_t count = router->counters_count + OWN_COUNT;
		router->table_count = count < CLICK_TABLE_MAX ? count : CLICK_TABLE_MAX;
		router->table = click_arena_alloc(&router->arena,
						  router->table_count * sizeof(*router->table));
		router->values = click_hot_alloc(router, count * sizeof(*router->values));
		router->computed = click_hot_alloc(router, computed * sizeof(*router->computed));
	}
	if (router->table == NULL || router->values == NULL || router->computed == NULL) {
		click_tell_line(router, "out of memory");
		return -1;
	}
	fill_table(router);
	return 0;
}

const struct click_counter *click_router_table(const struct click_router *router,
					       uint32_t *ret_count, const uint64_t **ret_values)
{
	*ret_count = router->table_count;
	*ret_values = router->values;
	return router->table;
}

uint32_t click_router_computed(const struct click_router *router)
{
	return router->computed_count;
}

void click_router_compute(struct click_router *router)
{
	for (uint32_t i = 0; i < router->computed_count; i++) {
		const struct click_computed *computed = &router->computed[i];
		*computed->value = computed->count(computed->element);
	}
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
	return index < router->counters_count ? value_of(&router->counters[index]) : 0;
}
