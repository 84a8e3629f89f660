/*
 * Strip(N), Unstrip(N), StripIPHeader and StripToNetworkHeader: where a packet begins. What was
 * stripped stays in front of the packet, for Unstrip to bring back.
 */
#include "ip.h"

struct strip {
	struct click_element element;
	uint32_t bytes;
};

static int configure(struct click_element *element, struct click_args *args)
{
	struct strip *strip = (struct strip *)element;
	click_arg_u32(args, "LENGTH", CLICK_POSITIONAL | CLICK_MANDATORY, &strip->bytes);
	if (strip->bytes > CLICK_PACKET_MAX)
		click_args_error(args, "a packet has at most %u bytes", CLICK_PACKET_MAX);
	return click_args_end(args);
}

static struct click_packet *strip_simple(struct click_element *element, struct click_packet *packet)
{
	uint32_t bytes = ((struct strip *)element)->bytes;
	click_packet_pull(packet, bytes < packet->len ? bytes : packet->len);
	return packet;
}

const struct click_class click_class_Strip = {
	.name = "Strip",
	.size = sizeof(struct strip),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = configure,
	.simple = strip_simple,
};

static struct click_packet *unstrip_simple(struct click_element *element,
					   struct click_packet *packet)
{
	if (click_packet_push(packet, ((struct strip *)element)->bytes))
		return packet;
	click_kill(element, packet);
	return NULL;
}

const struct click_class click_class_Unstrip = {
	.name = "Unstrip",
	.size = sizeof(struct strip),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = configure,
	.simple = unstrip_simple,
};

/* The outermost header goes, with whatever is in front of it. The marks stay where they are. */
static struct click_packet *strip_header_simple(struct click_element *element,
						struct click_packet *packet)
{
	struct click_ip ip;
	if (!click_ip_get(packet, &ip) || ip.payload < packet->data) {
		click_kill(element, packet);
		return NULL;
	}
	click_packet_pull(packet, (uint32_t)(ip.payload - packet->data));
	return packet;
}

const struct click_class click_class_StripIPHeader = {
	.name = "StripIPHeader",
	.size = sizeof(struct click_element),
	.port_count = "1/1",
	.processing = "a/a",
	.simple = strip_header_simple,
};

/* Forward or back. A packet without the mark is as it was. */
static struct click_packet *strip_to_network_simple(struct click_element *element,
						    struct click_packet *packet)
{
	int16_t at = packet->network;
	if (at == CLICK_NO_HEADER)
		return packet;
	bool is_there = at >= 0 ? click_packet_pull(packet, (uint32_t)at)
				: click_packet_push(packet, (uint32_t) - (int32_t)at);
	if (is_there)
		return packet;
	click_kill(element, packet);
	return NULL;
}

const struct click_class click_class_StripToNetworkHeader = {
	.name = "StripToNetworkHeader",
	.size = sizeof(struct click_element),
	.port_count = "1/1",
	.processing = "a/a",
	.simple = strip_to_network_simple,
};
