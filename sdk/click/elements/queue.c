/*
 * Queue (also SimpleQueue, ThreadSafeQueue): packets wait here, and are pulled in order. A full
 * queue drops what comes.
 */
#include <string.h>

#include "click.h"

#define CAPACITY_MAX 65536u

struct queue {
	struct click_element element;
	struct click_packet *first, *last;
	uint32_t length, highest, capacity;
	uint64_t *drops;
	uint64_t *length_shown, *highest_shown, *capacity_shown;
};

static int configure(struct click_element *element, struct click_args *args)
{
	struct queue *queue = (struct queue *)element;
	queue->capacity = 1000;
	click_arg_u32(args, "CAPACITY", CLICK_POSITIONAL, &queue->capacity);
	if (queue->capacity == 0 || queue->capacity > CAPACITY_MAX)
		click_args_error(args, "CAPACITY: it is from 1 to %u", CAPACITY_MAX);
	click_reserve_packets(element->router, queue->capacity);
	return click_args_end(args);
}

static int initialize(struct click_element *element, struct click_args *args)
{
	struct queue *queue = (struct queue *)element;
	(void)args;
	*queue->capacity_shown = queue->capacity;
	return 0;
}

static void push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	struct queue *queue = (struct queue *)element;
	(void)port;
	if (queue->length >= queue->capacity) {
		(*queue->drops)++;
		click_kill(element, packet);
		return;
	}
	packet->next = NULL;
	if (queue->last != NULL)
		queue->last->next = packet;
	else
		queue->first = packet;
	queue->last = packet;
	*queue->length_shown = ++queue->length;
	if (queue->length > queue->highest)
		*queue->highest_shown = queue->highest = queue->length;
	if (queue->length == 1)
		click_notify(element);
}

static struct click_packet *pull(struct click_element *element, unsigned port)
{
	struct queue *queue = (struct queue *)element;
	struct click_packet *packet = queue->first;
	(void)port;
	if (packet == NULL)
		return NULL;
	queue->first = packet->next;
	if (queue->first == NULL)
		queue->last = NULL;
	*queue->length_shown = --queue->length;
	packet->next = NULL;
	return packet;
}

/* For others that ask. */
static uint64_t length(struct click_element *element)
{
	return ((struct queue *)element)->length;
}

static int write_capacity(struct click_element *element, const char *text, struct click_args *args)
{
	struct queue *queue = (struct queue *)element;
	uint32_t wanted = 0;
	(void)text;
	click_arg_u32(args, "capacity", CLICK_POSITIONAL | CLICK_MANDATORY, &wanted);
	if (wanted == 0 || wanted > CAPACITY_MAX)
		click_args_error(args, "capacity: it is from 1 to %u", CAPACITY_MAX);
	if (click_args_end(args) < 0)
		return -1;
	*queue->capacity_shown = queue->capacity = wanted;
	while (queue->length > wanted) {
		click_kill(element, pull(element, 0));
		(*queue->drops)++;
	}
	return 0;
}

static int reset_counts(struct click_element *element, const char *text, struct click_args *args)
{
	struct queue *queue = (struct queue *)element;
	(void)text;
	(void)args;
	*queue->drops = 0;
	*queue->highest_shown = queue->highest = queue->length;
	return 0;
}

static int reset(struct click_element *element, const char *text, struct click_args *args)
{
	struct queue *queue = (struct queue *)element;
	while (queue->length > 0)
		click_kill(element, pull(element, 0));
	return reset_counts(element, text, args);
}

static const struct click_handler handlers[] = {
	{.name = "length", .count = length, .counter = offsetof(struct queue, length_shown)},
	{.name = "highwater_length", .counter = offsetof(struct queue, highest_shown)},
	{.name = "capacity",
	 .counter = offsetof(struct queue, capacity_shown),
	 .write = write_capacity},
	{.name = "drops", .counter = offsetof(struct queue, drops)},
	{.name = "reset_counts", .write = reset_counts},
	{.name = "reset", .write = reset},
	{NULL},
};

#define QUEUE(NAME)                                                                                \
	const struct click_class click_class_##NAME = {                                            \
		.name = #NAME,                                                                     \
		.size = sizeof(struct queue),                                                      \
		.port_count = "1/1",                                                               \
		.processing = "h/l",                                                               \
		.configure = configure,                                                            \
		.initialize = initialize,                                                          \
		.push = push,                                                                      \
		.pull = pull,                                                                      \
		.handlers = handlers,                                                              \
	}

QUEUE(Queue);
QUEUE(SimpleQueue);
QUEUE(ThreadSafeQueue);
