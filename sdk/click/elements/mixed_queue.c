/* FrontDropQueue and MixedQueue, each with a CAPACITY. Drops go to output 1 if there is one. */
#include <click.h>

#include "elements/out.h"
#include "router.h"

#define CAPACITY_DEFAULT 1000u
/* More packets than there are. */
#define ALLOCATED_MAX (CLICK_PACKETS_MAX + 16u)

/*
 * A ring of packets, allocated when the router starts. Its capacity can be changed later, but not
 * beyond what was allocated: twice what was configured.
 */
struct ring {
	struct click_element element;
	struct click_packet **packets;
	uint32_t allocated, capacity;
	uint32_t head, length; /* the oldest is at HEAD */
	uint32_t highwater;
	uint64_t *drops;
};

static uint32_t read_capacity_arg(unsigned flags, struct click_args *args)
{
	uint32_t capacity = CAPACITY_DEFAULT;
	click_arg_u32(args, "CAPACITY", CLICK_POSITIONAL | flags, &capacity);
	return capacity;
}

static int ring_configure(struct click_element *element, struct click_args *args)
{
	struct ring *ring = (struct ring *)element;
	ring->capacity = read_capacity_arg(0, args);
	return click_args_end(args);
}

static int ring_initialize(struct click_element *element, struct click_args *args)
{
	struct ring *ring = (struct ring *)element;
	ring->allocated = ring->capacity < ALLOCATED_MAX / 2 ? ring->capacity * 2 : ALLOCATED_MAX;
	click_reserve_packets(element->router, ring->capacity);
	ring->packets = click_alloc(element->router, ring->allocated * sizeof(*ring->packets));
	if (!ring->packets) {
		click_args_error(args, "no memory for %u packets", ring->allocated);
		return -1;
	}
	return 0;
}

static uint32_t place(const struct ring *ring, uint32_t offset)
{
	uint32_t at = ring->head + offset;
	return at < ring->allocated ? at : at - ring->allocated;
}

static void grew(struct ring *ring)
{
	ring->length++;
	if (ring->length > ring->highwater)
		ring->highwater = ring->length;
	if (ring->length == 1)
		click_notify(&ring->element);
}

static void ring_put_last(struct ring *ring, struct click_packet *packet)
{
	ring->packets[place(ring, ring->length)] = packet;
	grew(ring);
}

static void ring_put_first(struct ring *ring, struct click_packet *packet)
{
	ring->head = ring->head ? ring->head - 1 : ring->allocated - 1;
	ring->packets[ring->head] = packet;
	grew(ring);
}

static struct click_packet *ring_take_first(struct ring *ring)
{
	if (ring->length == 0)
		return NULL;
	struct click_packet *packet = ring->packets[ring->head];
	ring->head = place(ring, 1);
	ring->length--;
	return packet;
}

static struct click_packet *ring_take_last(struct ring *ring)
{
	if (ring->length == 0)
		return NULL;
	ring->length--;
	return ring->packets[place(ring, ring->length)];
}

/* When the ring is as it has to be: the packet may come back. */
static void ring_drop(struct ring *ring, struct click_packet *packet)
{
	(*ring->drops)++;
	click_push(&ring->element, 1, packet); /* freed where there is no such output */
}

static struct click_packet *ring_pull(struct click_element *element, unsigned port)
{
	(void)port;
	return ring_take_first((struct ring *)element);
}

/* --- FrontDropQueue: the oldest makes room for the newest --- */

static void front_drop_push(struct click_element *element, unsigned port,
			    struct click_packet *packet)
{
	struct ring *ring = (struct ring *)element;
	(void)port;
	if (ring->length < ring->capacity) {
		ring_put_last(ring, packet);
		return;
	}
	struct click_packet *oldest = ring_take_first(ring);
	if (oldest)
		ring_put_last(ring, packet);
	ring_drop(ring, oldest ? oldest : packet);
}

/* --- handlers --- */

static uint64_t count_length(struct click_element *element)
{
	return ((const struct ring *)element)->length;
}

static uint32_t read_highwater(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size, ((const struct ring *)element)->highwater);
}

static uint32_t read_capacity(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size, ((const struct ring *)element)->capacity);
}

static int write_capacity(struct click_element *element, const char *text, struct click_args *args)
{
	struct ring *ring = (struct ring *)element;
	(void)text;
	uint32_t capacity = read_capacity_arg(CLICK_MANDATORY, args);
	if (capacity > ring->allocated && ring->allocated < ALLOCATED_MAX)
		click_args_error(args, "CAPACITY can be at most %u here", ring->allocated);
	if (click_args_end(args) < 0)
		return -1;
	ring->capacity = capacity;
	bool is_front_drop = element->more->class->push == front_drop_push;
	while (ring->length > capacity) {
		click_kill(element, is_front_drop ? ring_take_first(ring) : ring_take_last(ring));
		(*ring->drops)++;
	}
	return 0;
}

static int write_reset_counts(struct click_element *element, const char *text,
			      struct click_args *args)
{
	struct ring *ring = (struct ring *)element;
	(void)text;
	(void)args;
	*ring->drops = 0;
	ring->highwater = ring->length;
	return 0;
}

static int write_reset(struct click_element *element, const char *text, struct click_args *args)
{
	struct ring *ring = (struct ring *)element;
	(void)text;
	(void)args;
	for (uint32_t left = ring->length; left > 0; left--)
		click_push(element, 1, ring_take_first(ring));
	return 0;
}

static const struct click_handler handlers[] = {
	{.name = "length", .count = count_length},
	{.name = "highwater_length", .read = read_highwater},
	{.name = "capacity", .read = read_capacity, .write = write_capacity},
	{.name = "drops", .counter = offsetof(struct ring, drops)},
	{.name = "reset_counts", .write = write_reset_counts},
	{.name = "reset", .write = write_reset},
	{.name = NULL},
};

/* --- classes --- */

const struct click_class click_class_FrontDropQueue = {
	.name = "FrontDropQueue",
	.size = sizeof(struct ring),
	.port_count = "1/1-2",
	.processing = "h/lh",
	.configure = ring_configure,
	.initialize = ring_initialize,
	.push = front_drop_push,
	.pull = ring_pull,
	.handlers = handlers,
};

/*
 * Input 0 puts packets behind the others and drops them when it is full; input 1 puts them in
 * front, for which the packet at the tail, the one that would wait longest, makes room.
 */
static void mixed_push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	struct ring *ring = (struct ring *)element;
	bool is_full = ring->length >= ring->capacity;
	if (port == 0 && !is_full) {
		ring_put_last(ring, packet);
	} else if (port == 0 || ring->capacity == 0) {
		ring_drop(ring, packet);
	} else {
		struct click_packet *last = is_full ? ring_take_last(ring) : NULL;
		ring_put_first(ring, packet);
		if (last)
			ring_drop(ring, last);
	}
}

const struct click_class click_class_MixedQueue = {
	.name = "MixedQueue",
	.size = sizeof(struct ring),
	.port_count = "2/1-2",
	.processing = "h/lh",
	.configure = ring_configure,
	.initialize = ring_initialize,
	.push = mixed_push,
	.pull = ring_pull,
	.handlers = handlers,
};
