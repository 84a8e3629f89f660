/* SimpleQueue, FrontDropQueue and MixedQueue, each with a CAPACITY. */
#include "elements/queue_more.h"

#include "elements/out.h"

static uint32_t read_capacity_arg(unsigned flags, struct click_args *args)
{
	uint32_t capacity = CLICK_QUEUE_DEFAULT;
	click_arg_u32(args, "CAPACITY", CLICK_POSITIONAL | flags, &capacity);
	if (capacity == 0 || capacity > CLICK_QUEUE_MAX)
		click_args_error(args, "CAPACITY must be 1 to %u", CLICK_QUEUE_MAX);
	return capacity;
}

int click_ring_configure(struct click_element *element, struct click_args *args)
{
	struct click_ring *ring = (struct click_ring *)element;
	ring->capacity = read_capacity_arg(0, args);
	return click_args_end(args);
}

int click_ring_initialize(struct click_element *element, struct click_args *args)
{
	struct click_ring *ring = (struct click_ring *)element;
	ring->allocated = ring->capacity * 2;
	ring->packets = click_alloc(element->router, ring->allocated * sizeof(*ring->packets));
	if (!ring->packets) {
		click_args_error(args, "no memory for %u packets", ring->allocated);
		return -1;
	}
	return 0;
}

static uint32_t place(const struct click_ring *ring, uint32_t offset)
{
	uint32_t at = ring->head + offset;
	return at < ring->allocated ? at : at - ring->allocated;
}

static void grew(struct click_ring *ring)
{
	ring->length++;
	if (ring->length > ring->highwater)
		ring->highwater = ring->length;
	if (ring->length == 1)
		click_notify(&ring->element);
}

void click_ring_put_last(struct click_ring *ring, struct click_packet *packet)
{
	ring->packets[place(ring, ring->length)] = packet;
	grew(ring);
}

void click_ring_put_first(struct click_ring *ring, struct click_packet *packet)
{
	ring->head = ring->head ? ring->head - 1 : ring->allocated - 1;
	ring->packets[ring->head] = packet;
	grew(ring);
}

struct click_packet *click_ring_take_first(struct click_ring *ring)
{
	if (ring->length == 0)
		return NULL;
	struct click_packet *packet = ring->packets[ring->head];
	ring->head = place(ring, 1);
	ring->length--;
	return packet;
}

struct click_packet *click_ring_take_last(struct click_ring *ring)
{
	if (ring->length == 0)
		return NULL;
	ring->length--;
	return ring->packets[place(ring, ring->length)];
}

void click_ring_drop(struct click_ring *ring, struct click_packet *packet)
{
	ring->drops++;
	click_kill(&ring->element, packet);
}

struct click_packet *click_ring_pull(struct click_element *element, unsigned port)
{
	(void)port;
	return click_ring_take_first((struct click_ring *)element);
}

/* --- handlers --- */

static uint64_t count_length(struct click_element *element)
{
	return ((const struct click_ring *)element)->length;
}

static uint64_t count_drops(struct click_element *element)
{
	return ((const struct click_ring *)element)->drops;
}

static uint32_t read_length(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size, count_length(element));
}

static uint32_t read_highwater(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size, ((const struct click_ring *)element)->highwater);
}

static uint32_t read_capacity(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size, ((const struct click_ring *)element)->capacity);
}

static uint32_t read_drops(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size, count_drops(element));
}

static int write_capacity(struct click_element *element, const char *text, struct click_args *args)
{
	struct click_ring *ring = (struct click_ring *)element;
	(void)text;
	uint32_t capacity = read_capacity_arg(CLICK_MANDATORY, args);
	if (capacity > ring->allocated)
		click_args_error(args, "CAPACITY can be at most %u here", ring->allocated);
	if (click_args_end(args) < 0)
		return -1;
	ring->capacity = capacity;
	while (ring->length > capacity)
		click_ring_drop(ring, click_ring_take_last(ring));
	return 0;
}

static int write_reset_counts(struct click_element *element, const char *text,
			      struct click_args *args)
{
	struct click_ring *ring = (struct click_ring *)element;
	(void)text;
	(void)args;
	ring->drops = 0;
	ring->highwater = ring->length;
	return 0;
}

static int write_reset(struct click_element *element, const char *text, struct click_args *args)
{
	struct click_ring *ring = (struct click_ring *)element;
	(void)text;
	(void)args;
	while (ring->length)
		click_ring_drop(ring, click_ring_take_first(ring));
	return 0;
}

const struct click_handler click_ring_handlers[] = {
	{.name = "length", .read = read_length, .count = count_length},
	{.name = "highwater_length", .read = read_highwater},
	{.name = "capacity", .read = read_capacity, .write = write_capacity},
	{.name = "drops", .read = read_drops, .count = count_drops},
	{.name = "reset_counts", .write = write_reset_counts},
	{.name = "reset", .write = write_reset},
	{.name = NULL},
};

/* --- classes --- */

static void simple_push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	struct click_ring *ring = (struct click_ring *)element;
	(void)port;
	if (ring->length < ring->capacity)
		click_ring_put_last(ring, packet);
	else
		click_ring_drop(ring, packet);
}

const struct click_class click_class_SimpleQueue = {
	.name = "SimpleQueue",
	.size = sizeof(struct click_ring),
	.port_count = "1/1",
	.processing = "h/l",
	.configure = click_ring_configure,
	.initialize = click_ring_initialize,
	.push = simple_push,
	.pull = click_ring_pull,
	.handlers = click_ring_handlers,
};

/* The oldest makes room for the newest. */
static void front_drop_push(struct click_element *element, unsigned port,
			    struct click_packet *packet)
{
	struct click_ring *ring = (struct click_ring *)element;
	(void)port;
	if (ring->length >= ring->capacity)
		click_ring_drop(ring, click_ring_take_first(ring));
	click_ring_put_last(ring, packet);
}

const struct click_class click_class_FrontDropQueue = {
	.name = "FrontDropQueue",
	.size = sizeof(struct click_ring),
	.port_count = "1/1",
	.processing = "h/l",
	.configure = click_ring_configure,
	.initialize = click_ring_initialize,
	.push = front_drop_push,
	.pull = click_ring_pull,
	.handlers = click_ring_handlers,
};

/*
 * Input 0 puts packets behind the others and drops them when it is full; input 1 puts them in
 * front, for which the packet at the tail, the one that would wait longest, makes room.
 */
static void mixed_push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	struct click_ring *ring = (struct click_ring *)element;
	if (port == 0) {
		simple_push(element, port, packet);
		return;
	}
	if (ring->length >= ring->capacity)
		click_ring_drop(ring, click_ring_take_last(ring));
	click_ring_put_first(ring, packet);
}

const struct click_class click_class_MixedQueue = {
	.name = "MixedQueue",
	.size = sizeof(struct click_ring),
	.port_count = "2/1",
	.processing = "h/l",
	.configure = click_ring_configure,
	.initialize = click_ring_initialize,
	.push = mixed_push,
	.pull = click_ring_pull,
	.handlers = click_ring_handlers,
};
