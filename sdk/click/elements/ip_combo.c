/*
 * IPInputCombo(COLOR [, BADSRC, INTERFACES, GOODDST]) and IPOutputCombo(COLOR, IPADDR, MTU): what
 * lies on an IP router's way in and out, as one element each.
 *
 *	Paint(COLOR) -> Strip(14) -> CheckIPHeader(BADSRC) -> GetIPAddress(16)
 *
 *	DropBroadcasts -> p :: PaintTee(COLOR) -> g :: IPGWOptions(IPADDR) -> FixIPSrc(IPADDR)
 *		-> d :: DecIPTTL -> l :: CheckLength(MTU); outputs 1 to 4 are p, g, d and l's.
 */
#include "elements/ip_steps.h"

static uint32_t read_color(struct click_args *args)
{
	uint32_t color = 0;
	click_arg_u32(args, "COLOR", CLICK_POSITIONAL | CLICK_MANDATORY, &color);
	if (color > UINT8_MAX)
		click_args_error(args, "COLOR: it is from 0 to 255");
	return color;
}

/* --- IPInputCombo --- */

struct input {
	struct click_check_ip check;
	uint32_t color;
};

static int input_configure(struct click_element *element, struct click_args *args)
{
	struct input *input = (struct input *)element;
	const char *bad = NULL;
	click_check_ip_init(&input->check, true);
	input->color = read_color(args);
	/* With the keyword it is the new form, without it the old one. */
	click_arg_text(args, "BADSRC*", CLICK_POSITIONAL, &bad);
	if (bad)
		click_check_ip_bad(&input->check, bad, args);
	click_check_ip_addresses(&input->check, args);
	return click_args_end(args);
}

static struct click_packet *input_simple(struct click_element *element, struct click_packet *packet)
{
	struct input *input = (struct input *)element;
	packet->paint = (uint8_t)input->color;
	click_packet_pull(packet,
			  packet->len < CLICK_ETHER_HEADER ? packet->len : CLICK_ETHER_HEADER);
	return click_check_ip(&input->check, packet);
}

const struct click_class click_class_IPInputCombo = {
	.name = "IPInputCombo",
	.size = sizeof(struct input),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = input_configure,
	.simple = input_simple,
	.handlers = click_check_handlers,
};

/* --- IPOutputCombo --- */

enum { OUT, OUT_PAINTED, OUT_OPTIONS, OUT_TTL, OUT_LENGTH };

struct output {
	struct click_element element;
	uint32_t color, mtu;
	struct click_gw gw;
};

static int output_configure(struct click_element *element, struct click_args *args)
{
	struct output *output = (struct output *)element;
	output->color = read_color(args);
	click_arg_ip(args, "IPADDR", CLICK_POSITIONAL | CLICK_MANDATORY, &output->gw.address);
	click_arg_u32(args, "MTU", CLICK_POSITIONAL | CLICK_MANDATORY, &output->mtu);
	if (!click_addresses_add(&output->gw.own, element->router, output->gw.address))
		click_args_error(args, "no memory");
	return click_args_end(args);
}

static unsigned choose(const struct output *output, struct click_packet *packet,
		       const struct click_ip *ip)
{
	if (!click_gw_options(&output->gw, packet, ip))
		return OUT_OPTIONS;
	click_fix_ip_src(packet, ip, output->gw.address);
	if (!click_dec_ip_ttl(ip))
		return OUT_TTL;
	return packet->len > output->mtu ? OUT_LENGTH : OUT;
}

static void output_push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	const struct output *output = (const struct output *)element;
	struct click_ip ip;
	(void)port;
	if (packet->packet_type == CLICK_TO_BROADCAST ||
	    packet->packet_type == CLICK_TO_MULTICAST) {
		click_kill(element, packet);
		return;
	}
	if (packet->paint == output->color) {
		struct click_packet *copy = click_packet_clone(element->router, packet);
		if (copy)
			click_push(element, OUT_PAINTED, copy);
	}
	if (click_ip_get(packet, &ip))
		click_push(element, choose(output, packet, &ip), packet);
	else
		click_kill(element, packet);
}

const struct click_class click_class_IPOutputCombo = {
	.name = "IPOutputCombo",
	.size = sizeof(struct output),
	.port_count = "1/5",
	.processing = "h/h",
	.configure = output_configure,
	.push = output_push,
};
