/*
 * MarkIPHeader([OFFSET]) and MarkMACHeader([OFFSET, END_OFFSET]): say where headers are, without
 * looking whether they make sense.
 */
#include "ip.h"

struct mark {
	struct click_element element;
	uint32_t offset;
};

static void check_offset(struct click_args *args, uint32_t offset)
{
	if (offset > CLICK_PACKET_MAX)
		click_args_error(args, "a packet has at most %u bytes", CLICK_PACKET_MAX);
}

static int configure_ip(struct click_element *element, struct click_args *args)
{
	struct mark *mark = (struct mark *)element;
	click_arg_u32(args, "OFFSET", CLICK_POSITIONAL, &mark->offset);
	check_offset(args, mark->offset);
	return click_args_end(args);
}

/* A header that is not there is not marked: whoever asks for it will see that. The length is the
 * header's own, so that the transport header is behind the options. */
static struct click_packet *mark_ip(struct click_element *element, struct click_packet *packet)
{
	uint32_t offset = ((struct mark *)element)->offset;
	packet->network = packet->transport = CLICK_NO_HEADER;
	if (offset < packet->len)
		click_ip_mark(packet, (int32_t)offset, (packet->data[offset] & 15) * 4u);
	return packet;
}

const struct click_class click_class_MarkIPHeader = {
	.name = "MarkIPHeader",
	.size = sizeof(struct mark),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = configure_ip,
	.simple = mark_ip,
};

/* END_OFFSET is how long the header is; nothing here asks for that. */
static int configure_mac(struct click_element *element, struct click_args *args)
{
	struct mark *mark = (struct mark *)element;
	uint32_t end = 0;
	click_arg_u32(args, "OFFSET", CLICK_POSITIONAL, &mark->offset);
	click_arg_u32(args, "END_OFFSET", CLICK_POSITIONAL, &end);
	check_offset(args, mark->offset);
	check_offset(args, end);
	if (end && end < mark->offset)
		click_args_error(args, "END_OFFSET is before OFFSET");
	return click_args_end(args);
}

static struct click_packet *mark_mac(struct click_element *element, struct click_packet *packet)
{
	uint32_t offset = ((struct mark *)element)->offset;
	packet->mac = offset <= packet->len ? (int16_t)offset : CLICK_NO_HEADER;
	return packet;
}

const struct click_class click_class_MarkMACHeader = {
	.name = "MarkMACHeader",
	.size = sizeof(struct mark),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = configure_mac,
	.simple = mark_mac,
};
