/*
 * IPPrint([LABEL], CONTENTS, PAYLOAD, MAXLENGTH, ID, TTL, TOS, LENGTH, TIMESTAMP, AGGREGATE, PAINT,
 * ETHER, SWAP, ACTIVE): a line of the log for each packet with an IP header annotation, in the
 *words of Click, and lines with its bytes behind it.
 *
 *	label: 1700000000.000001: 10.0.0.1.1000 > 10.0.0.2.53: udp 13
 *
 * Headers may be cut or have lengths that cannot be: what is not there is told, not looked at.
 */
#include "elements/ip_names.h"
#include "elements/out_more.h"
#include "elements/print.h"
#include "ip.h"

#define AGGREGATE 20 /* the annotation's number */

struct ip_print {
	struct click_element element;
	const char *label;
	uint32_t label_len;
	int32_t length; /* below zero: all */
	enum click_contents contents;
	bool is_payload; /* of that */
	bool has_ether, has_id, has_time, has_paint, has_tos, has_ttl, has_length, has_aggregate;
	bool is_swapped, is_active;
};

/* A header of 20 bytes at least, and what is behind it. */
struct view {
	const uint8_t *header, *transport;
	int32_t total_len, payload_len; /* as it says; the second may be below zero */
	int32_t transport_len;		/* what of that is in the packet; likewise */
	bool is_first;
};

static void read_options(struct ip_print *print, struct click_args *args)
{
	static const struct {
		const char *key;
		size_t at;
	} options[] = {
		{"ETHER", offsetof(struct ip_print, has_ether)},
		{"ID", offsetof(struct ip_print, has_id)},
		{"TIMESTAMP", offsetof(struct ip_print, has_time)},
		{"PAINT", offsetof(struct ip_print, has_paint)},
		{"TOS", offsetof(struct ip_print, has_tos)},
		{"TTL", offsetof(struct ip_print, has_ttl)},
		{"SWAP", offsetof(struct ip_print, is_swapped)},
		{"LENGTH", offsetof(struct ip_print, has_length)},
		{"AGGREGATE", offsetof(struct ip_print, has_aggregate)},
		{"ACTIVE", offsetof(struct ip_print, is_active)},
	};
	print->has_time = print->is_swapped = print->is_active = true;
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		click_arg_bool(args, options[i].key, 0, (bool *)((uint8_t *)print + options[i].at));
}

static int configure(struct click_element *element, struct click_args *args)
{
	struct ip_print *print = (struct ip_print *)element;
	enum click_contents payload = CLICK_NONE;
	const char *file = NULL, *channel = NULL;
	print->label = "";
	print->length = 1500;
	click_arg_string(args, "LABEL", CLICK_POSITIONAL, &print->label, &print->label_len);
	click_print_contents(args, "CONTENTS", &print->contents);
	click_print_contents(args, "PAYLOAD", &payload);
	click_arg_int(args, "MAXLENGTH", 0, &print->length);
	click_arg_int(args, "NBYTES", 0, &print->length);
	click_arg_text(args, "CHANNEL", 0, &channel);
	click_arg_text(args, "OUTFILE", 0, &file);
	read_options(print, args);
	if (file)
		click_args_error(args, "OUTFILE: there are no files here, lines go to the log");
	if (payload != CLICK_NONE && print->contents != CLICK_NONE)
		click_args_error(args, "at most one of PAYLOAD and CONTENTS");
	print->is_payload = payload != CLICK_NONE;
	if (print->is_payload)
		print->contents = payload;
	return click_args_end(args);
}

static void add_pair(struct click_out *to, const struct view *ip)
{
	click_out_ip(to, click_get_address(ip->header + 12));
	click_out_add(to, " > ");
	click_out_ip(to, click_get_address(ip->header + 16));
	click_out_add(to, ": ");
}

/* The pair with ports; false: "NAME", or that it is cut, was said in place of that. */
static bool add_ports(struct click_out *to, const struct view *ip, const char *name)
{
	if (ip->transport_len < 4 || !ip->is_first) {
		add_pair(to, ip);
		click_out_add(to, ip->is_first ? "truncated-" : "");
		click_out_add(to, name);
		return false;
	}
	click_out_ip(to, click_get_address(ip->header + 12));
	click_out_char(to, '.');
	click_out_u64(to, click_get_u16(ip->transport));
	click_out_add(to, " > ");
	click_out_ip(to, click_get_address(ip->header + 16));
	click_out_char(to, '.');
	click_out_u64(to, click_get_u16(ip->transport + 2));
	click_out_add(to, ": ");
	return true;
}

static void add_tcp(struct click_out *to, const struct view *ip, uint32_t packet_len)
{
	static const struct {
		uint8_t bit;
		char letter;
	} flags[] = {{2, 'S'}, {1, 'F'}, {4, 'R'}, {8, 'P'}};
	const uint8_t *tcp = ip->transport;
	if (!add_ports(to, ip, "tcp"))
		return;
	if (ip->transport_len < 14) {
		click_out_add(to, "truncated-tcp");
		return;
	}
	/* SYN and FIN have a number of their own. */
	int32_t len = ip->payload_len - (tcp[12] >> 4) * 4 + (tcp[13] >> 1 & 1) + (tcp[13] & 1);
	uint32_t seq = click_get_u32(tcp + 4);
	for (unsigned i = 0; i < sizeof(flags) / sizeof(flags[0]); i++)
		if (tcp[13] & flags[i].bit)
			click_out_char(to, flags[i].letter);
	if (!(tcp[13] & 15))
		click_out_char(to, '.');
	click_out_char(to, ' ');
	click_out_u64(to, seq);
	click_out_char(to, ':');
	click_out_u64(to, seq + (uint32_t)len);
	click_out_char(to, '(');
	click_out_i64(to, len);
	click_out_char(to, ',');
	click_out_u64(to, packet_len);
	click_out_char(to, ',');
	click_out_i64(to, ip->total_len);
	click_out_char(to, ')');
	if (tcp[13] & 16) {
		click_out_add(to, " ack ");
		click_out_u64(to, click_get_u32(tcp + 8));
	}
	if (ip->transport_len < 16) {
		click_out_add(to, "truncated-tcp");
		return;
	}
	click_out_add(to, " win ");
	click_out_u64(to, click_get_u16(tcp + 14));
}

static void add_udp(struct click_out *to, const struct view *ip)
{
	if (!add_ports(to, ip, "udp"))
		return;
	if (ip->transport_len < (int32_t)CLICK_UDP_HEADER) {
		click_out_add(to, "truncated-udp");
		return;
	}
	click_out_add(to, "udp ");
	click_out_u64(to, click_get_u16(ip->transport + 4));
}

/* --- ICMP --- */

enum { ECHO_REPLY = 0, UNREACHABLE = 3, ECHO = 8 };
enum { NO_PROTOCOL = 2, NO_PORT = 3, NEEDS_FRAGMENTS = 4 };

static void add_code(struct click_out *to, uint32_t type, uint32_t code)
{
	const char *name = click_icmp_code_name(type, code);
	if (name) {
		click_out_add(to, name);
		return;
	}
	click_out_add(to, "code ");
	click_out_u64(to, code);
}

static void add_protocol(struct click_out *to, uint32_t protocol, const char *before)
{
	const char *name = click_ip_protocol_name(protocol);
	if (name) {
		click_out_add(to, name);
		return;
	}
	click_out_add(to, before);
	click_out_u64(to, protocol);
}

/* False: it is cut. */
static bool add_echo(struct click_out *to, const struct view *ip, bool is_swapped)
{
	const uint8_t *icmp = ip->transport;
	if (ip->transport_len < (int32_t)CLICK_ICMP_HEADER)
		return false;
	click_out_char(to, '(');
	for (unsigned at = 4; at <= 6; at += 2) {
		uint32_t value = click_get_u16(icmp + at);
		click_out_add(to, at == 4 ? "" : ", ");
		click_out_u64(to, is_swapped ? value : (value & 0xff) << 8 | value >> 8);
	}
	click_out_char(to, ')');
	return true;
}

static bool add_unreachable(struct click_out *to, const struct view *ip)
{
	const uint8_t *icmp = ip->transport, *inner = icmp + CLICK_ICMP_HEADER;
	int32_t inner_len = ip->transport_len - (int32_t)CLICK_ICMP_HEADER;
	click_out_add(to, "icmp ");
	if (inner_len < (int32_t)CLICK_IP_HEADER) {
		click_out_add(to, "unreachable ");
		add_code(to, UNREACHABLE, icmp[1]);
		click_out_char(to, ' ');
		return false;
	}
	int32_t header_len = (inner[0] & 15) * 4;
	click_out_ip(to, click_get_address(inner + 16));
	click_out_add(to, " unreachable ");
	add_code(to, UNREACHABLE, icmp[1]);
	if (icmp[1] == NO_PROTOCOL) {
		click_out_char(to, ' ');
		add_protocol(to, inner[9], "");
	} else if (icmp[1] == NO_PORT) {
		click_out_char(to, ' ');
		add_protocol(to, inner[9], "protocol ");
		if (inner_len - header_len < 4)
			return false;
		click_out_char(to, '/');
		click_out_u64(to, click_get_u16(inner + header_len + 2));
	} else if (icmp[1] == NEEDS_FRAGMENTS && click_get_u16(icmp + 6) != 0) {
		click_out_add(to, " (mtu ");
		click_out_u64(to, click_get_u16(icmp + 6));
		click_out_char(to, ')');
	}
	return true;
}

static void add_other(struct click_out *to, uint32_t type, uint32_t code)
{
	const char *name = click_icmp_type_name(type);
	click_out_add(to, "icmp ");
	click_out_add(to, name ? name : "type ");
	if (!name)
		click_out_u64(to, type);
	if (code == 0 && !click_icmp_code_name(type, code))
		return;
	click_out_char(to, ' ');
	add_code(to, type, code);
}

static void add_icmp(struct click_out *to, const struct view *ip, bool is_swapped)
{
	bool is_whole = ip->transport_len >= 2;
	add_pair(to, ip);
	if (!ip->is_first) {
		click_out_add(to, "icmp");
		return;
	}
	uint32_t type = is_whole ? ip->transport[0] : 0;
	if (is_whole && (type == ECHO || type == ECHO_REPLY)) {
		click_out_add(to, type == ECHO ? "icmp echo " : "icmp echo-reply ");
		is_whole = add_echo(to, ip, is_swapped);
	} else if (is_whole && type == UNREACHABLE) {
		is_whole = add_unreachable(to, ip);
	} else if (is_whole) {
		add_other(to, type, ip->transport[1]);
	}
	if (!is_whole)
		click_out_add(to, "truncated-icmp");
}

/* --- lines --- */

/* Lines of 24 bytes, or of 48 as text; those of Click's one message. */
static void log_bytes(const struct ip_print *print, const uint8_t *bytes, uint32_t len)
{
	bool is_hex = print->contents == CLICK_HEX;
	uint32_t a_line = is_hex ? 24 : 48, group = is_hex ? 4 : 8;
	for (uint32_t begin = 0; begin < len; begin += a_line) {
		char line[80];
		struct click_out to;
		click_out_init(&to, line, sizeof(line) - 1);
		click_out_add(&to, "  ");
		for (uint32_t i = begin; i < len && i < begin + a_line; i++) {
			if (i > begin && i % group == 0)
				click_out_char(&to, ' ');
			if (is_hex)
				click_out_hex(&to, bytes[i], 2);
			else
				click_out_char(&to, bytes[i] < 32 || bytes[i] > 126
							    ? '.'
							    : (char)bytes[i]);
		}
		line[to.len] = '\0';
		click_log(print->element.router, line);
	}
}

static void log_contents(const struct ip_print *print, const struct click_packet *packet,
			 const struct view *ip)
{
	const uint8_t *bytes = packet->data, *end = packet->data + packet->len;
	uint8_t protocol = ip->header[9];
	if (print->is_payload) {
		int32_t left = (int32_t)(end - ip->transport), header_len = 0;
		if (ip->is_first && protocol == CLICK_TCP)
			header_len = left > 12 ? (ip->transport[12] >> 4) * 4 : left;
		else if (ip->is_first && protocol == CLICK_UDP)
			header_len = CLICK_UDP_HEADER;
		bytes = left > header_len ? ip->transport + header_len : end;
	}
	uint32_t len = (uint32_t)(end - bytes);
	if (print->length >= 0 && len > (uint32_t)print->length)
		len = (uint32_t)print->length;
	log_bytes(print, bytes, len);
}

static void add_annos(struct click_out *to, const struct ip_print *print,
		      const struct click_packet *packet)
{
	for (uint32_t i = 0; i < print->label_len; i++)
		click_out_char(to, print->label[i]);
	click_out_add(to, print->label_len ? ": " : "");
	if (print->has_time) {
		click_print_time(to, packet->time_ns);
		click_out_add(to, ": ");
	}
	if (print->has_aggregate) {
		click_out_char(to, '#');
		click_out_u64(to, click_anno_get(packet, AGGREGATE, 4));
	}
	if (print->has_paint) {
		click_out_add(to, print->has_aggregate ? "." : "paint ");
		click_out_u64(to, packet->paint);
	}
	if (print->has_aggregate || print->has_paint)
		click_out_add(to, ": ");
	const uint8_t *mac = click_packet_header(packet, packet->mac, CLICK_ETHER_HEADER);
	if (print->has_ether && mac &&
	    packet->mac + (int16_t)CLICK_ETHER_HEADER <= packet->network) {
		click_out_ether(to, mac + 6);
		click_out_add(to, " > ");
		click_out_ether(to, mac);
		click_out_add(to, ": ");
	}
}

static void add_ip(struct click_out *to, const struct ip_print *print, const struct view *ip,
		   uint32_t packet_len)
{
	const struct {
		bool is_wanted;
		const char *name;
		int32_t value;
	} fields[] = {
		{print->has_id, "id ", click_get_u16(ip->header + 4)},
		{print->has_ttl, "ttl ", ip->header[8]},
		{print->has_tos, "tos ", ip->header[1]},
		{print->has_length, "length ", ip->total_len},
	};
	for (unsigned i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (!fields[i].is_wanted)
			continue;
		click_out_add(to, fields[i].name);
		click_out_i64(to, fields[i].value);
		click_out_char(to, ' ');
	}
	uint32_t protocol = ip->header[9];
	if (protocol == CLICK_TCP) {
		add_tcp(to, ip, packet_len);
	} else if (protocol == CLICK_UDP) {
		add_udp(to, ip);
	} else if (protocol == CLICK_ICMP) {
		add_icmp(to, ip, print->is_swapped);
	} else {
		add_pair(to, ip);
		click_out_add(to, "ip-proto-");
		click_out_u64(to, protocol);
	}
	uint32_t fragment = click_get_u16(ip->header + 6);
	if (!(fragment & (CLICK_IP_MF | CLICK_IP_OFFSET)))
		return;
	click_out_add(to, " (frag ");
	click_out_u64(to, click_get_u16(ip->header + 4));
	click_out_char(to, ':');
	click_out_i64(to, ip->payload_len);
	click_out_char(to, '@');
	click_out_u64(to, (fragment & CLICK_IP_OFFSET) * 8);
	click_out_add(to, fragment & CLICK_IP_MF ? "+)" : ")");
}

static struct click_packet *simple(struct click_element *element, struct click_packet *packet)
{
	const struct ip_print *print = (const struct ip_print *)element;
	if (!print->is_active || packet->network == CLICK_NO_HEADER)
		return packet;
	char line[CLICK_PRINT_LINE_MAX];
	struct click_out to;
	struct view ip = {.header = click_packet_header(packet, packet->network, CLICK_IP_HEADER)};
	click_out_init(&to, line, sizeof(line) - 1);
	add_annos(&to, print, packet);
	if (ip.header) {
		int32_t header_len = (ip.header[0] & 15) * 4;
		ip.transport = ip.header + header_len;
		ip.total_len = click_get_u16(ip.header + 2);
		ip.payload_len = ip.total_len - header_len;
		ip.transport_len = (int32_t)packet->len - packet->network - header_len;
		if (ip.transport_len > ip.payload_len)
			ip.transport_len = ip.payload_len;
		ip.is_first = !(click_get_u16(ip.header + 6) & CLICK_IP_OFFSET);
		add_ip(&to, print, &ip, packet->len);
	} else {
		click_out_add(&to, "truncated-ip");
	}
	line[to.len] = '\0';
	click_log(element->router, line);
	if (ip.header && print->contents != CLICK_NONE)
		log_contents(print, packet, &ip);
	return packet;
}

static uint32_t read_active(struct click_element *element, char *out, uint32_t size)
{
	struct click_out text;
	click_out_init(&text, out, size);
	click_out_add(&text, ((const struct ip_print *)element)->is_active ? "true" : "false");
	return text.len;
}

static int write_active(struct click_element *element, const char *text, struct click_args *args)
{
	(void)text;
	click_arg_bool(args, "active", CLICK_POSITIONAL | CLICK_MANDATORY,
		       &((struct ip_print *)element)->is_active);
	return click_args_end(args);
}

static const struct click_handler handlers[] = {
	{.name = "active", .read = read_active, .write = write_active},
	{.name = NULL},
};

const struct click_class click_class_IPPrint = {
	.name = "IPPrint",
	.size = sizeof(struct ip_print),
	.port_count = "1/1",
	.processing = "a/a",
	.configure = configure,
	.simple = simple,
	.handlers = handlers,
};
