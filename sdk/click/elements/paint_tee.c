/* PaintTee(COLOR [, ANNO]): packets of that colour go to output 1, too, as copies. */
#include <click.h>

#include "elements/out.h"

struct paint_tee {
	struct click_element element;
	uint32_t anno;
	uint8_t color;
};

static int configure(struct click_element *element, struct click_args *args)
{
	struct paint_tee *self = (struct paint_tee *)element;
	uint32_t color = 0;
	self->anno = CLICK_ANNO_PAINT;
	click_arg_u32(args, "COLOR", CLICK_POSITIONAL | CLICK_MANDATORY, &color);
	click_arg_anno(args, "ANNO", CLICK_POSITIONAL, 1, &self->anno);
	if (color > 255)
		click_args_error(args, "COLOR must be less than 256");
	self->color = (uint8_t)color;
	return click_args_end(args);
}

static void tee(struct click_element *element, const struct click_packet *packet)
{
	const struct paint_tee *self = (const struct paint_tee *)element;
	if (click_anno_get(packet, self->anno, 1) != self->color)
		return;
	struct click_packet *copy = click_packet_clone(element->router, packet);
	if (copy)
		click_push(element, 1, copy);
}

static void push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	(void)port;
	tee(element, packet);
	click_push(element, 0, packet);
}

static struct click_packet *pull(struct click_element *element, unsigned port)
{
	(void)port;
	struct click_packet *packet = click_pull(element, 0);
	if (packet)
		tee(element, packet);
	return packet;
}

static uint32_t read_color(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size, ((const struct paint_tee *)element)->color);
}

static int write_color(struct click_element *element, const char *text, struct click_args *args)
{
	uint32_t color;
	if (!click_parse_u32(text, &color) || color > UINT8_MAX) {
		click_args_error(args, "'%s' is no colour from 0 to 255", text);
		return -1;
	}
	((struct paint_tee *)element)->color = (uint8_t)color;
	return 0;
}

static const struct click_handler handlers[] = {
	{.name = "color", .read = read_color, .write = write_color},
	{.name = NULL},
};

const struct click_class click_class_PaintTee = {
	.name = "PaintTee",
	.size = sizeof(struct paint_tee),
	.port_count = "1/2",
	.processing = "a/ah",
	.configure = configure,
	.push = push,
	.pull = pull,
	.handlers = handlers,
};
