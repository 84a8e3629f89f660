/*
 * Counter: how many packets and bytes passed, and how fast lately.
 */
#include <string.h>

#include "click.h"

struct counter {
	struct click_element element;
	uint64_t packets, bytes;
	/* The second before the last packet's, for the rate. */
	uint64_t second_ns, packets_then, bytes_then;
	uint64_t rate, byte_rate;
	uint64_t count_call, byte_count_call;
	const char *count_handler, *byte_count_handler;
};

static int configure(struct click_element *element, struct click_args *args)
{
	(void)element;
	return click_args_end(args);
}

static struct click_packet *simple(struct click_element *element, struct click_packet *packet)
{
	struct counter *counter = (struct counter *)element;
	counter->packets++;
	counter->bytes += packet->len;
	return packet;
}

static uint64_t count(struct click_element *element)
{
	return ((struct counter *)element)->packets;
}

static uint64_t byte_count(struct click_element *element)
{
	return ((struct counter *)element)->bytes;
}

static int reset(struct click_element *element, const char *text, struct click_args *args)
{
	struct counter *counter = (struct counter *)element;
	(void)text;
	(void)args;
	counter->packets = counter->bytes = 0;
	return 0;
}

static const struct click_handler handlers[] = {
	{.name = "count", .count = count},
	{.name = "byte_count", .count = byte_count},
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
