/*
 * CheckTCPHeader, CheckUDPHeader and CheckICMPHeader([VERBOSE, DETAILS]; the first also CHECKSUM).
 *
 * Fragments fail: those but the first have no header, and the checksum covers all of them.
 */
#include "elements/reasons.h"
#include "ip.h"

enum reason { WRONG_PROTOCOL, BAD_LENGTH, BAD_CHECKSUM };

static const char *const tcp_reasons[] = {"not TCP", "bad packet length", "bad TCP checksum"};
static const char *const udp_reasons[] = {"not UDP", "bad packet length", "bad UDP checksum"};
static const char *const icmp_reasons[] = {"not ICMP", "bad packet length", "bad ICMP checksum"};

struct check {
	struct click_check check;
	bool skips_checksum;
};

static int configure(struct click_element *element, struct click_args *args, const char *what,
		     const char *const *reasons)
{
	struct check *check = (struct check *)element;
	bool checksum = true;
	check->check.what = what;
	check->check.reasons = reasons;
	check->check.reasons_count = 3;
	click_check_configure(&check->check, args);
	click_arg_bool(args, "CHECKSUM", 0, &checksum);
	check->skips_checksum = !checksum;
	return click_args_end(args);
}

/* The header of PROTOCOL. */
static bool get(const struct click_packet *packet, uint8_t protocol, struct click_ip *ret)
{
	return click_ip_get(packet, ret) && ret->protocol == protocol && click_ip_is_first(ret);
}

static struct click_packet *pass(struct check *check, struct click_packet *packet)
{
	(*check->check.passed)++;
	return packet;
}

/* --- CheckTCPHeader --- */

static int tcp_configure(struct click_element *element, struct click_args *args)
{
	return configure(element, args, "TCP", tcp_reasons);
}

static struct click_packet *tcp_simple(struct click_element *element, struct click_packet *packet)
{
	struct check *check = (struct check *)element;
	struct click_ip ip;
	if (!get(packet, CLICK_TCP, &ip))
		return click_check_drop(&check->check, WRONG_PROTOCOL, packet);
	uint32_t header_len = ip.payload_len >= CLICK_TCP_HEADER ? (ip.payload[12] >> 4) * 4u : 0;
	if (header_len < CLICK_TCP_HEADER || header_len > ip.payload_len ||
	    ip.total_len != ip.header_len + ip.payload_len)
		return click_check_drop(&check->check, BAD_LENGTH, packet);
	if (!check->skips_checksum && click_ip_payload_checksum(&ip) != 0)
		return click_check_drop(&check->check, BAD_CHECKSUM, packet);
	return pass(check, packet);
}

const struct click_class click_class_CheckTCPHeader = {
	.name = "CheckTCPHeader",
	.size = sizeof(struct check),
	.port_count = "1/1-2",
	.processing = "a/ah",
	.configure = tcp_configure,
	.simple = tcp_simple,
	.handlers = click_check_handlers,
};

/* --- CheckUDPHeader --- */

static int udp_configure(struct click_element *element, struct click_args *args)
{
	return configure(element, args, "UDP", udp_reasons);
}

static struct click_packet *udp_simple(struct click_element *element, struct click_packet *packet)
{
	struct check *check = (struct check *)element;
	struct click_ip ip;
	if (!get(packet, CLICK_UDP, &ip))
		return click_check_drop(&check->check, WRONG_PROTOCOL, packet);
	uint32_t len = ip.payload_len >= CLICK_UDP_HEADER ? click_get_u16(ip.payload + 4) : 0;
	if (len < CLICK_UDP_HEADER || len > ip.payload_len)
		return click_check_drop(&check->check, BAD_LENGTH, packet);
	/* Zero: the sender made none. */
	ip.payload_len = len;
	if (!check->skips_checksum && click_get_u16(ip.payload + 6) &&
	    click_ip_payload_checksum(&ip) != 0)
		return click_check_drop(&check->check, BAD_CHECKSUM, packet);
	return pass(check, packet);
}

const struct click_class click_class_CheckUDPHeader = {
	.name = "CheckUDPHeader",
	.size = sizeof(struct check),
	.port_count = "1/1-2",
	.processing = "a/ah",
	.configure = udp_configure,
	.simple = udp_simple,
	.handlers = click_check_handlers,
};

/* --- CheckICMPHeader --- */

static int icmp_configure(struct click_element *element, struct click_args *args)
{
	return configure(element, args, "ICMP", icmp_reasons);
}

/* How long a message of TYPE is, with its header. */
static bool is_icmp_length(uint8_t type, uint32_t len)
{
	switch (type) {
	case 3:	 /* unreachable */
	case 4:	 /* source quench */
	case 5:	 /* redirect */
	case 11: /* time exceeded */
	case 12: /* parameter problem */
		return len >= CLICK_ICMP_HEADER + CLICK_IP_HEADER + 8;
	case 13: /* timestamp */
	case 14:
		return len == CLICK_ICMP_HEADER + 12;
	case 15: /* information */
	case 16:
		return len == CLICK_ICMP_HEADER;
	default:
		return len >= CLICK_ICMP_HEADER;
	}
}

static struct click_packet *icmp_simple(struct click_element *element, struct click_packet *packet)
{
	struct check *check = (struct check *)element;
	struct click_ip ip;
	if (!get(packet, CLICK_ICMP, &ip))
		return click_check_drop(&check->check, WRONG_PROTOCOL, packet);
	if (!ip.payload_len || !is_icmp_length(ip.payload[0], ip.payload_len) ||
	    ip.total_len != ip.header_len + ip.payload_len)
		return click_check_drop(&check->check, BAD_LENGTH, packet);
	if (!check->skips_checksum && click_checksum(ip.payload, ip.payload_len) != 0)
		return click_check_drop(&check->check, BAD_CHECKSUM, packet);
	return pass(check, packet);
}

const struct click_class click_class_CheckICMPHeader = {
	.name = "CheckICMPHeader",
	.size = sizeof(struct check),
	.port_count = "1/1-2",
	.processing = "a/ah",
	.configure = icmp_configure,
	.simple = icmp_simple,
	.handlers = click_check_handlers,
};
