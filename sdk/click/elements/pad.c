/*
 * Pad([LENGTH], ZERO): makes packets longer: to LENGTH bytes, or by what their extra length
 * annotation says, which is 0 then.
 *
 * The bytes are zeroes whatever ZERO says: what was there before is not for who gets the packet.
 */
#include <string.h>

#include "click.h"

struct pad {
	struct click_element element;
	uint32_t length; /* 0: by the annotation */
};

static int configure(struct click_element *element, struct click_args *args)
{
	struct pad *pad = (struct pad *)element;
	bool is_zero = true;
	click_arg_u32(args, "LENGTH", CLICK_POSITIONAL, &pad->length);
	click_arg_bool(args, "ZERO", 0, &is_zero);
	if (pad->length > CLICK_PACKET_MAX)
		click_args_error(args, "a packet has at most %u bytes", CLICK_PACKET_MAX);
	return click_args_end(args);
}

static struct click_packet *simple(struct click_element *element, struct click_packet *packet)
{
	uint32_t length = ((const struct pad *)element)->length, len = packet->len;
	uint32_t more = length == 0 ? packet->extra_len : length > len ? length - len : 0;
	packet->extra_len = 0;
	if (click_packet_put(packet, more)) {
		memset(packet->data + len, 0, more);
		return packet;
	}
	click_kill(element, packet);
	return NULL;
}

const struct click_class click_class_Pad = {
	.name = "Pad",
	.size = sizeof(struct pad),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = configure,
	.simple = simple,
};
