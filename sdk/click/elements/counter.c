/*
 * Counter: how many packets and bytes passed.
 */
#include <string.h>

#include "click.h"

struct counter {
	struct click_element element;
	uint64_t *packets, *bytes;
};

static int configure(struct click_element *element, struct click_args *args)
{
	(void)element;
	return click_args_end(args);
}

static struct click_packet *simple(struct click_element *element, struct click_packet *packet)
{
	struct counter *counter = (struct counter *)element;
	(*counter->packets)++;
	*counter->bytes += packet->len;
	return packet;
}

static int reset(struct click_element *element, const char *text, struct click_args *args)
{
	struct counter *counter = (struct counter *)element;
	(void)text;
	(void)args;
	*counter->packets = *counter->bytes = 0;
	return 0;
}

static const struct click_handler handlers[] = {
	{.name = "count", .counter = offsetof(struct counter, packets)},
	{.name = "byte_count", .counter = offsetof(struct counter, bytes)},
	{.name = "reset", .write = reset},
	{.name = "reset_counts", .write = reset},
	{NULL},
};

const struct click_class click_class_Counter = {
	.name = "Counter",
	.size = sizeof(struct counter),
	.port_count = "1/1",
	.processing = "a",
	.configure = configure,
	.simple = simple,
	.handlers = handlers,
};
