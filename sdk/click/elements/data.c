/*
 * CheckLength(LENGTH), CheckPaint(COLOR [, ANNO]) and StoreData(OFFSET, DATA [, MASK, GROW]).
 */
#include "elements/out_more.h"
#include "ip.h"

/* --- CheckLength --- */

struct check_length {
	struct click_element element;
	uint32_t max;
	bool counts_extra;
};

static int length_configure(struct click_element *element, struct click_args *args)
{
	struct check_length *check = (struct check_length *)element;
	click_arg_u32(args, "LENGTH", CLICK_POSITIONAL | CLICK_MANDATORY, &check->max);
	click_arg_bool(args, "EXTRA_LENGTH", 0, &check->counts_extra);
	return click_args_end(args);
}

static struct click_packet *length_simple(struct click_element *element,
					  struct click_packet *packet)
{
	struct check_length *check = (struct check_length *)element;
	uint64_t len = (uint64_t)packet->len + (check->counts_extra ? packet->extra_len : 0);
	if (len <= check->max)
		return packet;
	click_push(element, 1, packet);
	return NULL;
}

static uint32_t length_read(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size, ((struct check_length *)element)->max);
}

static int length_write(struct click_element *element, const char *text, struct click_args *args)
{
	if (click_parse_u32(text, &((struct check_length *)element)->max))
		return 0;
	click_args_error(args, "'%s' is no length", text);
	return -1;
}

static const struct click_handler length_handlers[] = {
	{.name = "length", .read = length_read, .write = length_write},
	{.name = NULL},
};

const struct click_class click_class_CheckLength = {
	.name = "CheckLength",
	.size = sizeof(struct check_length),
	.port_count = "1/1-2",
	.processing = "a/ah",
	.configure = length_configure,
	.simple = length_simple,
	.handlers = length_handlers,
};

/* --- CheckPaint --- */

struct check_paint {
	struct click_element element;
	uint32_t color, anno;
};

static int paint_configure(struct click_element *element, struct click_args *args)
{
	struct check_paint *check = (struct check_paint *)element;
	check->anno = CLICK_ANNO_PAINT;
	click_arg_u32(args, "COLOR", CLICK_POSITIONAL | CLICK_MANDATORY, &check->color);
	click_arg_anno(args, "ANNO", CLICK_POSITIONAL, 1, &check->anno);
	if (check->color > UINT8_MAX)
		click_args_error(args, "COLOR is at most 255");
	return click_args_end(args);
}

static struct click_packet *paint_simple(struct click_element *element, struct click_packet *packet)
{
	struct check_paint *check = (struct check_paint *)element;
	if (click_anno_get(packet, check->anno, 1) == check->color)
		return packet;
	click_push(element, 1, packet);
	return NULL;
}

static uint32_t paint_read(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size, ((struct check_paint *)element)->color);
}

static int paint_write(struct click_element *element, const char *text, struct click_args *args)
{
	uint32_t color;
	if (!click_parse_u32(text, &color) || color > UINT8_MAX) {
		click_args_error(args, "'%s' is no colour from 0 to 255", text);
		return -1;
	}
	((struct check_paint *)element)->color = color;
	return 0;
}

static const struct click_handler paint_handlers[] = {
	{.name = "color", .read = paint_read, .write = paint_write},
	{.name = NULL},
};

const struct click_class click_class_CheckPaint = {
	.name = "CheckPaint",
	.size = sizeof(struct check_paint),
	.port_count = "1/1-2",
	.processing = "a/ah",
	.configure = paint_configure,
	.simple = paint_simple,
	.handlers = paint_handlers,
};

/* --- StoreData --- */

struct store_data {
	struct click_element element;
	const uint8_t *data, *mask; /* MASK may be shorter */
	uint32_t offset, data_len, mask_len;
	bool can_grow;
};

static int store_configure(struct click_element *element, struct click_args *args)
{
	struct store_data *store = (struct store_data *)element;
	const char *data = NULL, *mask = NULL;
	click_arg_u32(args, "OFFSET", CLICK_POSITIONAL | CLICK_MANDATORY, &store->offset);
	click_arg_string(args, "DATA", CLICK_POSITIONAL | CLICK_MANDATORY, &data, &store->data_len);
	click_arg_string(args, "MASK", CLICK_POSITIONAL, &mask, &store->mask_len);
	click_arg_bool(args, "GROW", 0, &store->can_grow);
	store->data = (const uint8_t *)data;
	store->mask = (const uint8_t *)mask;
	if (store->offset > CLICK_PACKET_MAX || store->data_len > CLICK_PACKET_MAX)
		click_args_error(args, "a packet has at most %u bytes", CLICK_PACKET_MAX);
	if (store->mask_len > store->data_len)
		click_args_error(args, "MASK is longer than DATA");
	return click_args_end(args);
}

static struct click_packet *store_simple(struct click_element *element, struct click_packet *packet)
{
	struct store_data *store = (struct store_data *)element;
	uint32_t end = store->offset + store->data_len;
	uint32_t old_len = packet->len;
	if (store->can_grow && end > old_len) {
		if (!click_packet_put(packet, end - old_len)) {
			click_kill(element, packet);
			return NULL;
		}
		/* Neither a gap nor what is masked may show what the buffer held before. */
		for (uint32_t i = old_len; i < end; i++)
			packet->data[i] = 0;
	}
	for (uint32_t i = 0; i < store->data_len && store->offset + i < packet->len; i++) {
		uint8_t *at = packet->data + store->offset + i;
		uint8_t mask = i < store->mask_len ? store->mask[i] : 0xff;
		*at = (uint8_t)((*at & ~mask) | (store->data[i] & mask));
	}
	return packet;
}

const struct click_class click_class_StoreData = {
	.name = "StoreData",
	.size = sizeof(struct store_data),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = store_configure,
	.simple = store_simple,
};
