/*
 * MarkIPHeader([OFFSET]) and MarkMACHeader([OFFSET, LENGTH]): say where headers are, without
 * looking whether they make sense.
 */
#include "ip.h"

struct mark {
	struct click_element element;
	uint32_t offset, len;
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
static void mark_network(struct click_packet *packet, uint32_t offset)
{
	packet->network = packet->transport = CLICK_NO_HEADER;
	if (offset < packet->len)
		click_ip_mark(packet, (int32_t)offset, (packet->data[offset] & 15) * 4u);
}

static struct click_packet *mark_ip(struct click_element *element, struct click_packet *packet)
{
	mark_network(packet, ((struct mark *)element)->offset);
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

static int configure_mac(struct click_element *element, struct click_args *args)
{
	struct mark *mark = (struct mark *)element;
	click_arg_u32(args, "OFFSET", CLICK_POSITIONAL, &mark->offset);
	click_arg_u32(args, "LENGTH", CLICK_POSITIONAL, &mark->len);
	check_offset(args, mark->offset);
	check_offset(args, mark->len);
	return click_args_end(args);
}

/* Whose length is known, of that it is known where the network header begins. */
static struct click_packet *mark_mac(struct click_element *element, struct click_packet *packet)
{
	const struct mark *mark = (const struct mark *)element;
	packet->mac = mark->offset <= packet->len ? (int16_t)mark->offset : CLICK_NO_HEADER;
	if (mark->len > 0)
		mark_network(packet, mark->offset + mark->len);
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
