/*
 * Paint: sets an annotation of one byte, the colour.
 */
#include "click.h"

struct paint {
	struct click_element element;
	uint32_t color, anno;
	uint64_t *color_shown;
};

static int configure(struct click_element *element, struct click_args *args)
{
	struct paint *paint = (struct paint *)element;
	paint->anno = CLICK_ANNO_PAINT;
	click_arg_u32(args, "COLOR", CLICK_POSITIONAL | CLICK_MANDATORY, &paint->color);
	click_arg_anno(args, "ANNO", CLICK_POSITIONAL, 1, &paint->anno);
	if (paint->color > 255)
		click_args_error(args, "COLOR: it is from 0 to 255");
	return click_args_end(args);
}

static int initialize(struct click_element *element, struct click_args *args)
{
	struct paint *paint = (struct paint *)element;
	(void)args;
	*paint->color_shown = paint->color;
	return 0;
}

static struct click_packet *simple(struct click_element *element, struct click_packet *packet)
{
	const struct paint *paint = (const struct paint *)element;
	click_anno_set(packet, paint->anno, 1, paint->color);
	return packet;
}

static int write_color(struct click_element *element, const char *text, struct click_args *args)
{
	uint32_t value = 0;
	(void)text;
	click_arg_u32(args, "color", CLICK_POSITIONAL | CLICK_MANDATORY, &value);
	if (value > 255)
		click_args_error(args, "color: it is from 0 to 255");
	if (click_args_end(args) < 0)
		return -1;
	((struct paint *)element)->color = value;
	return initialize(element, args);
}

static const struct click_handler handlers[] = {
	{.name = "color", .counter = offsetof(struct paint, color_shown), .write = write_color},
	{NULL},
};

const struct click_class click_class_Paint = {
	.name = "Paint",
	.size = sizeof(struct paint),
	.port_count = "1/1",
	.processing = "a",
	.configure = configure,
	.initialize = initialize,
	.simple = simple,
	.handlers = handlers,
};
