/*
 * Elements that choose an output: Switch, StaticSwitch, RoundRobinSwitch, RandomSwitch, HashSwitch
 * and PaintSwitch.
 */
#include <click.h>

#include "elements/out.h"

/* --- Switch([OUTPUT]), StaticSwitch(OUTPUT) --- */

struct switcher {
	struct click_element element;
	int32_t output; /* below zero: packets are dropped */
};

static int read_output(struct switcher *element, unsigned flags, struct click_args *args)
{
	int32_t output = 0;
	click_arg_int(args, "OUTPUT", CLICK_POSITIONAL | flags, &output);
	if (output >= 0 && (uint32_t)output >= element->element.outputs_count)
		click_args_error(args, "OUTPUT must be less than %u",
				 element->element.outputs_count);
	if (click_args_end(args) < 0)
		return -1;
	element->output = output;
	return 0;
}

static int switch_configure(struct click_element *element, struct click_args *args)
{
	return read_output((struct switcher *)element, 0, args);
}

static int static_switch_configure(struct click_element *element, struct click_args *args)
{
	return read_output((struct switcher *)element, CLICK_MANDATORY, args);
}

static int switch_write(struct click_element *element, const char *text, struct click_args *args)
{
	(void)text;
	return read_output((struct switcher *)element, CLICK_MANDATORY, args);
}

static uint32_t switch_read(struct click_element *element, char *out, uint32_t size)
{
	struct click_out to;
	click_out_init(&to, out, size);
	click_out_i64(&to, ((const struct switcher *)element)->output);
	return to.len;
}

static void switch_push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	(void)port;
	int32_t output = ((const struct switcher *)element)->output;
	if (output < 0)
		click_kill(element, packet);
	else
		click_push(element, (unsigned)output, packet);
}

static const struct click_handler switch_handlers[] = {
	{.name = "switch", .read = switch_read, .write = switch_write},
	{.name = NULL},
};

const struct click_class click_class_Switch = {
	.name = "Switch",
	.size = sizeof(struct switcher),
	.port_count = "1/-",
	.processing = "h/h",
	.configure = switch_configure,
	.push = switch_push,
	.handlers = switch_handlers,
};

const struct click_class click_class_StaticSwitch = {
	.name = "StaticSwitch",
	.size = sizeof(struct switcher),
	.port_count = "1/-",
	.processing = "h/h",
	.configure = static_switch_configure,
	.push = switch_push,
};

/* --- RoundRobinSwitch, RandomSwitch --- */

struct round_robin {
	struct click_element element;
	uint32_t next;
};

static int no_arguments(struct click_element *element, struct click_args *args)
{
	(void)element;
	return click_args_end(args);
}

static void round_robin_push(struct click_element *element, unsigned port,
			     struct click_packet *packet)
{
	struct round_robin *self = (struct round_robin *)element;
	(void)port;
	uint32_t output = self->next;
	self->next = output + 1 < element->outputs_count ? output + 1 : 0;
	click_push(element, output, packet);
}

const struct click_class click_class_RoundRobinSwitch = {
	.name = "RoundRobinSwitch",
	.size = sizeof(struct round_robin),
	.port_count = "1/1-",
	.processing = "h/h",
	.configure = no_arguments,
	.push = round_robin_push,
};

static void random_push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	(void)port;
	/* The upper half of a product spreads over the outputs without a division. */
	uint64_t product = (uint64_t)click_random(element->router) * element->outputs_count;
	click_push(element, (unsigned)(product >> 32), packet);
}

const struct click_class click_class_RandomSwitch = {
	.name = "RandomSwitch",
	.size = sizeof(struct click_element),
	.port_count = "1/1-",
	.processing = "h/h",
	.configure = no_arguments,
	.push = random_push,
};

/* --- HashSwitch(OFFSET, LENGTH) --- */

/*
 * As Click's, so that the same packets go the same ways: the sum of the bytes, of which for 2, 4
 * and 8 outputs some bits count, and else the rest of a division. Who sends can choose the output.
 * Packets that end before are output 0's.
 */
struct hash_switch {
	struct click_element element;
	uint32_t offset, length;
};

static int hash_configure(struct click_element *element, struct click_args *args)
{
	struct hash_switch *self = (struct hash_switch *)element;
	click_arg_u32(args, "OFFSET", CLICK_POSITIONAL | CLICK_MANDATORY, &self->offset);
	click_arg_u32(args, "LENGTH", CLICK_POSITIONAL | CLICK_MANDATORY, &self->length);
	if (click_args_end(args) < 0)
		return -1;
	if (self->length == 0) {
		click_args_error(args, "LENGTH must be more than 0");
		return -1;
	}
	return 0;
}

static uint32_t choose(uint32_t sum, uint32_t outputs)
{
	if (outputs == 2 || outputs == 4 || outputs == 8)
		return (sum ^ sum >> 4) & (outputs - 1);
	return sum % outputs;
}

static void hash_push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	struct hash_switch *self = (struct hash_switch *)element;
	uint32_t sum = 0;
	(void)port;
	if (self->offset > packet->len || self->length > packet->len - self->offset) {
		click_push(element, 0, packet);
		return;
	}
	for (uint32_t i = 0; i < self->length; i++)
		sum += packet->data[self->offset + i];
	click_push(element, choose(sum, element->outputs_count), packet);
}

const struct click_class click_class_HashSwitch = {
	.name = "HashSwitch",
	.size = sizeof(struct hash_switch),
	.port_count = "1/1-",
	.processing = "h/h",
	.configure = hash_configure,
	.push = hash_push,
};

/* --- PaintSwitch([ANNO]) --- */

#define PAINT_ALL 255u

struct paint_switch {
	struct click_element element;
	uint32_t anno;
};

static int paint_configure(struct click_element *element, struct click_args *args)
{
	struct paint_switch *self = (struct paint_switch *)element;
	self->anno = CLICK_ANNO_PAINT;
	click_arg_anno(args, "ANNO", CLICK_POSITIONAL, 1, &self->anno);
	return click_args_end(args);
}

static void paint_push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	const struct paint_switch *self = (const struct paint_switch *)element;
	(void)port;
	uint32_t color = click_anno_get(packet, self->anno, 1);
	if (color != PAINT_ALL) {
		click_push(element, color, packet); /* freed where there is no such output */
		return;
	}
	uint32_t last = element->outputs_count;
	for (uint32_t i = 0; i + 1 < last; i++) {
		struct click_packet *copy = click_packet_clone(element->router, packet);
		if (copy)
			click_push(element, i, copy);
	}
	if (last)
		click_push(element, last - 1, packet);
	else
		click_kill(element, packet);
}

const struct click_class click_class_PaintSwitch = {
	.name = "PaintSwitch",
	.size = sizeof(struct paint_switch),
	.port_count = "1/-",
	.processing = "h/h",
	.configure = paint_configure,
	.push = paint_push,
};
