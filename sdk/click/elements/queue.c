/*
 * Queue (also SimpleQueue, NotifierQueue, FullNoteQueue, QuickNoteQueue, ThreadSafeQueue): packets
 * wait here, and are pulled in order. A full queue drops what comes, to output 1 if there is one.
 *
 * How many packets there can be is CLICK_PACKETS_MAX in any case: a larger capacity is none.
 */
#include "elements/queue.h"

#include <string.h>

/* Who waits for room, one behind the other. */
struct waiter {
	struct click_element *element;
	struct waiter *next;
};

struct queue {
	struct click_element element;
	struct click_packet *first, *last;
	uint32_t length, highest, capacity;
	uint64_t *drops;
	uint64_t *length_shown, *highest_shown, *capacity_shown;
	struct waiter *waiters;
};

static int configure(struct click_element *element, struct click_args *args)
{
	struct queue *queue = (struct queue *)element;
	queue->capacity = 1000;
	click_arg_u32(args, "CAPACITY", CLICK_POSITIONAL, &queue->capacity);
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
		click_push(element, 1, packet); /* freed where there is no such output */
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

static __attribute__((noinline)) void wake(const struct queue *queue)
{
	for (const struct waiter *waiter = queue->waiters; waiter != NULL; waiter = waiter->next)
		click_task_schedule(waiter->element);
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
	if (queue->waiters != NULL)
		wake(queue);
	return packet;
}

/* For others that ask. */
static uint64_t length(struct click_element *element)
{
	return ((struct queue *)element)->length;
}

/* Keeps the first WANTED packets, which came first. */
static void shorten(struct queue *queue, uint32_t wanted)
{
	struct click_packet *last = NULL, *rest = queue->first;
	for (uint32_t i = 0; i < wanted; i++) {
		last = rest;
		rest = rest->next;
	}
	queue->last = last;
	if (last != NULL)
		last->next = NULL;
	else
		queue->first = NULL;
	*queue->length_shown = queue->length = wanted;
	while (rest != NULL) {
		struct click_packet *next = rest->next;
		(*queue->drops)++;
		click_kill(&queue->element, rest);
		rest = next;
	}
}

static int write_capacity(struct click_element *element, const char *text, struct click_args *args)
{
	struct queue *queue = (struct queue *)element;
	uint32_t wanted = 0;
	(void)text;
	click_arg_u32(args, "capacity", CLICK_POSITIONAL | CLICK_MANDATORY, &wanted);
	if (click_args_end(args) < 0)
		return -1;
	*queue->capacity_shown = queue->capacity = wanted;
	if (queue->length > wanted)
		shorten(queue, wanted);
	wake(queue);
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
	(void)text;
	(void)args;
	/* So many: what is dropped may come back. */
	for (uint32_t left = queue->length; left > 0; left--)
		click_push(element, 1, pull(element, 0));
	return 0;
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
		.port_count = "1/1-2",                                                             \
		.processing = "h/lh",                                                              \
		.configure = configure,                                                            \
		.initialize = initialize,                                                          \
		.push = push,                                                                      \
		.pull = pull,                                                                      \
		.handlers = handlers,                                                              \
	}

QUEUE(Queue);
QUEUE(SimpleQueue);
QUEUE(NotifierQueue);
QUEUE(FullNoteQueue);
QUEUE(QuickNoteQueue);
QUEUE(ThreadSafeQueue);

/* --- those who wait for room --- */

bool click_queue_tells_room(const struct click_element *element)
{
	const struct click_class *class = element->more->class;
	return class == &click_class_Queue || class == &click_class_FullNoteQueue ||
	       class == &click_class_QuickNoteQueue || class == &click_class_ThreadSafeQueue;
}

bool click_queue_is_full(const struct click_element *element)
{
	const struct queue *queue = (const struct queue *)element;
	return queue->length >= queue->capacity;
}

bool click_queue_wake(struct click_element *element, struct click_element *waiting)
{
	struct queue *queue = (struct queue *)element;
	struct waiter *waiter = click_alloc(element->router, sizeof(*waiter));
	if (waiter == NULL)
		return false;
	*waiter = (struct waiter){waiting, queue->waiters};
	queue->waiters = waiter;
	return true;
}
