/*
 * Routing: RadixIPLookup and its like look up the destination annotation in a table of routes
 * "ADDRESS/MASK [GATEWAY] OUTPUT", set the annotation to the gateway if the route has one, and
 * push packets to its output. Packets without a route are dropped and counted.
 *
 * Click has several of these elements for different trades of memory against speed. Here they are
 * one, with the names of all of them, and the handlers that each has. The table has room for
 * ROUTES_MORE routes beyond those configured.
 */
#include <errno.h>
#include <string.h>

#include <click.h>

#include "elements/out.h"
#include "elements/route_table.h"
#include "elements/split.h"
#include "ip.h"

#define ROUTES_MORE  1024u
#define COMMANDS_MAX 256u

struct ip_lookup {
	struct click_element element;
	struct click_route_table table;
	uint64_t *drops;    /* without a route */
	uint32_t looked_up; /* by the handler */
	bool is_looked_up;
};

/* --- routes as text --- */

static bool prefix_len(uint32_t mask, uint8_t *ret_len)
{
	uint32_t host = click_address_to_host(mask);
	unsigned len = host == UINT32_MAX ? 32 : (unsigned)__builtin_clz(~host);
	if (len < 32 && host << len)
		return false;
	*ret_len = (uint8_t)len;
	return true;
}

static bool parse_port(const struct ip_lookup *self, const char *text, int32_t *ret)
{
	uint32_t port;
	if (!click_parse_u32(text, &port) || port >= self->element.outputs_count)
		return false;
	*ret = (int32_t)port;
	return true;
}

/* "ADDRESS/MASK [GATEWAY] OUTPUT"; where IS_REMOVAL the output may be missing. */
static bool parse_route(const struct ip_lookup *self, const struct click_split *split,
			unsigned first, bool is_removal, struct click_route *ret)
{
	unsigned count = split->count - first;
	const char *const *words = split->words + first;
	uint32_t mask;
	*ret = (struct click_route){.port = -1};
	struct click_router *router = self->element.router;
	if (count < 1 || count > 3 ||
	    !click_parse_ip_prefix_name(router, words[0], &ret->address, &mask) ||
	    !prefix_len(mask, &ret->len))
		return false;
	ret->address &= mask;
	if (count == 1)
		return is_removal;
	if (count == 3 && strcmp(words[1], "-") != 0 &&
	    !click_parse_ip_name(router, words[1], &ret->gateway))
		return false;
	return parse_port(self, words[count - 1], &ret->port);
}

static void add_route_text(struct click_out *to, const struct click_route *route)
{
	uint32_t start = to->len;
	click_out_prefix(to, route->address, route->len);
	click_out_add(to, to->len - start < 16 ? "\t\t" : "\t");
	start = to->len;
	if (route->gateway)
		click_out_ip(to, route->gateway);
	else
		click_out_char(to, '-');
	click_out_add(to, to->len - start < 8 ? "\t\t" : "\t");
	click_out_i64(to, route->port);
}

/* --- the element --- */

static int configure(struct click_element *element, struct click_args *args)
{
	struct ip_lookup *self = (struct ip_lookup *)element;
	unsigned count = click_args_count(args);
	uint32_t routes = count + ROUTES_MORE;
	void *memory = click_alloc(element->router, click_routes_size(routes));
	if (!memory) {
		click_args_error(args, "no memory for %u routes", routes);
		return -1;
	}
	click_routes_init(&self->table, memory, routes);
	for (unsigned i = 0; i < count; i++) {
		const char *text = click_args_at(args, i);
		struct click_split split;
		struct click_route route, old;
		if (!click_split(&split, text, (uint32_t)strlen(text)) ||
		    !parse_route(self, &split, 0, false, &route))
			click_args_error(args, "expected 'ADDRESS/MASK [GATEWAY] OUTPUT', not '%s'",
					 text);
		else if (click_routes_add(&self->table, &route, false, &old) < 0)
			click_args_error(args, "there are two routes for '%s'", split.words[0]);
	}
	return click_args_end(args);
}

static void push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	struct ip_lookup *self = (struct ip_lookup *)element;
	struct click_route route;
	(void)port;
	if (!click_routes_lookup(&self->table, packet->destination, &route)) {
		(*self->drops)++;
		click_kill(element, packet);
		return;
	}
	if (route.gateway)
		packet->destination = route.gateway;
	click_push(element, (unsigned)route.port, packet);
}

/* --- handlers --- */

enum command { ADD, SET, REMOVE };

/* What makes a command undone. */
struct undo {
	bool is_removal;
	struct click_route route;
};

static int run(struct ip_lookup *self, enum command command, const struct click_split *split,
	       unsigned first, struct undo *undo, struct click_args *args)
{
	struct click_route route, old = {.port = -1};
	if (!parse_route(self, split, first, command == REMOVE, &route)) {
		click_args_error(args, "expected 'ADDRESS/MASK %s'",
				 command == REMOVE ? "[[GATEWAY] OUTPUT]" : "[GATEWAY] OUTPUT");
		return -1;
	}
	int error = command == REMOVE
			    ? click_routes_remove(&self->table, &route, &old)
			    : click_routes_add(&self->table, &route, command == SET, &old);
	if (error == -EEXIST)
		click_args_error(args, "there is a route for '%s'", split->words[first]);
	else if (error == -ENOENT)
		click_args_error(args, "there is no such route for '%s'", split->words[first]);
	else if (error == -ENOSPC)
		click_args_error(args, "the table is full");
	if (error < 0)
		return -1;
	undo->is_removal = old.port < 0;
	undo->route = undo->is_removal ? route : old;
	return 0;
}

static int run_text(struct click_element *element, enum command command, const char *text,
		    struct click_args *args)
{
	struct click_split split;
	struct undo undo;
	if (!click_split(&split, text, (uint32_t)strlen(text)))
		split.count = 0;
	return run((struct ip_lookup *)element, command, &split, 0, &undo, args);
}

static int write_add(struct click_element *element, const char *text, struct click_args *args)
{
	return run_text(element, ADD, text, args);
}

static int write_set(struct click_element *element, const char *text, struct click_args *args)
{
	return run_text(element, SET, text, args);
}

static int write_remove(struct click_element *element, const char *text, struct click_args *args)
{
	return run_text(element, REMOVE, text, args);
}

static int run_line(struct ip_lookup *self, const char *text, uint32_t len, struct undo *undo,
		    struct click_args *args)
{
	static const char *const names[] = {[ADD] = "add", [SET] = "set", [REMOVE] = "remove"};
	struct click_split split;
	if (!click_split(&split, text, len)) {
		click_args_error(args, "a line is too long");
		return -1;
	}
	if (split.count == 0)
		return 0;
	for (enum command command = ADD; command <= REMOVE; command++)
		if (strcmp(split.words[0], names[command]) == 0)
			return run(self, command, &split, 1, undo, args) < 0 ? -1 : 1;
	click_args_error(args, "expected add, set or remove, not '%s'", split.words[0]);
	return -1;
}

/* Lines of commands: all of them, or none. */
static int write_ctrl(struct click_element *element, const char *text, struct click_args *args)
{
	struct ip_lookup *self = (struct ip_lookup *)element;
	struct undo undos[COMMANDS_MAX];
	unsigned done = 0;
	int result = 0;
	while (*text && result >= 0) {
		uint32_t len = (uint32_t)strcspn(text, "\n");
		if (done == COMMANDS_MAX) {
			click_args_error(args, "more than %u commands", COMMANDS_MAX);
			result = -1;
			break;
		}
		result = run_line(self, text, len, &undos[done], args);
		done += result > 0;
		text += len + (text[len] == '\n');
	}
	if (result >= 0)
		return 0;
	while (done--) {
		struct click_route old;
		if (undos[done].is_removal)
			click_routes_remove(&self->table, &undos[done].route, &old);
		else
			click_routes_add(&self->table, &undos[done].route, true, &old);
	}
	return -1;
}

static int write_flush(struct click_element *element, const char *text, struct click_args *args)
{
	(void)text;
	(void)args;
	click_routes_clear(&((struct ip_lookup *)element)->table);
	return 0;
}

/* Handlers that are read take no text: an address is written first, and its route then read. */
static int write_lookup(struct click_element *element, const char *text, struct click_args *args)
{
	struct ip_lookup *self = (struct ip_lookup *)element;
	if (!click_parse_ip_name(element->router, text, &self->looked_up)) {
		click_args_error(args, "expected an IP address, not '%s'", text);
		return -1;
	}
	self->is_looked_up = true;
	return 0;
}

static uint32_t read_lookup(struct click_element *element, char *out, uint32_t size)
{
	const struct ip_lookup *self = (const struct ip_lookup *)element;
	struct click_route route;
	struct click_out to;
	click_out_init(&to, out, size);
	if (!self->is_looked_up || !click_routes_lookup(&self->table, self->looked_up, &route)) {
		click_out_add(&to, "-1");
		return to.len;
	}
	click_out_i64(&to, route.port);
	if (route.gateway) {
		click_out_char(&to, ' ');
		click_out_ip(&to, route.gateway);
	}
	return to.len;
}

static void add_line(void *ctx, const struct click_route *route)
{
	add_route_text(ctx, route);
	click_out_char(ctx, '\n');
}

static uint32_t read_table(struct click_element *element, char *out, uint32_t size)
{
	struct click_out to;
	click_out_init(&to, out, size);
	click_routes_walk(&((const struct ip_lookup *)element)->table, add_line, &to);
	return to.len;
}

static uint64_t count_routes(struct click_element *element)
{
	return ((const struct ip_lookup *)element)->table.routes_count;
}

#define READ_HANDLERS                                                                              \
	{.name = "table", .read = read_table},                                                     \
		{.name = "lookup", .read = read_lookup, .write = write_lookup},                    \
		{.name = "routes", .count = count_routes},                                         \
	{                                                                                          \
		.name = "drops", .counter = offsetof(struct ip_lookup, drops)                      \
	}
#define WRITE_HANDLERS                                                                             \
	{.name = "add", .write = write_add}, {.name = "set", .write = write_set},                  \
		{.name = "remove", .write = write_remove},                                         \
	{                                                                                          \
		.name = "ctrl", .write = write_ctrl                                                \
	}

static const struct click_handler static_handlers[] = {
	READ_HANDLERS,
	{.name = NULL},
};

static const struct click_handler handlers[] = {
	READ_HANDLERS,
	WRITE_HANDLERS,
	{.name = NULL},
};

static const struct click_handler flush_handlers[] = {
	READ_HANDLERS,
	WRITE_HANDLERS,
	{.name = "flush", .write = write_flush},
	{.name = NULL},
};

#define IP_LOOKUP(class_name, its_handlers)                                                        \
	const struct click_class click_class_##class_name = {                                      \
		.name = #class_name,                                                               \
		.size = sizeof(struct ip_lookup),                                                  \
		.port_count = "1/-",                                                               \
		.processing = "h/h",                                                               \
		.configure = configure,                                                            \
		.push = push,                                                                      \
		.handlers = its_handlers,                                                          \
	}

IP_LOOKUP(DirectIPLookup, flush_handlers);
IP_LOOKUP(LinearIPLookup, handlers);
IP_LOOKUP(LookupIPRoute, handlers);
IP_LOOKUP(RadixIPLookup, handlers);
IP_LOOKUP(RangeIPLookup, flush_handlers);
IP_LOOKUP(SortedIPLookup, handlers);
IP_LOOKUP(StaticIPLookup, static_handlers);
