/*
 * Arguments about networks and time: addresses, ports, durations, rates, annotations.
 */
#include <string.h>

#include "core.h"

/* A decimal fraction with DIGITS digits behind the point, as an integer; AT is behind it then.
 * False: none, or too large. */
static bool parse_decimal(const char **at, unsigned digits, uint64_t *ret)
{
	uint64_t value = 0;
	bool has_digit = false;
	for (; **at >= '0' && **at <= '9'; ++*at, has_digit = true) {
		if (value > UINT64_MAX / 20)
			return false;
		value = value * 10 + (uint64_t)(**at - '0');
	}
	if (**at == '.')
		++*at;
	else if (!has_digit)
		return false;
	for (unsigned i = 0; i < digits; i++) {
		if (value > UINT64_MAX / 20)
			return false;
		value *= 10;
		if (**at >= '0' && **at <= '9') {
			value += (uint64_t)(**at - '0');
			has_digit = true;
			++*at;
		}
	}
	for (; **at >= '0' && **at <= '9'; ++*at)
		has_digit = true;
	if (has_digit)
		*ret = value;
	return has_digit;
}

void click_arg_fraction(struct click_args *args, const char *key, unsigned flags, unsigned bits,
			uint32_t *ret)
{
	const char *value = click_args_take(args, key, flags), *at = value;
	const uint64_t one = 100000000; /* 8 digits */
	uint64_t number;
	if (value == NULL)
		return;
	bool is_good = parse_decimal(&at, 8, &number);
	while (is_good && click_is_space(*at))
		at++;
	if (is_good && *at == '%') {
		number /= 100;
		at++;
	}
	if (!is_good || *at != '\0' || number > one || bits > 31) {
		click_args_expected(args, key, value, "a fraction between 0 and 1");
		return;
	}
	*ret = (uint32_t)(((number << bits) + one / 2) / one);
}

struct unit {
	const char *name;
	uint64_t factor;
};

/* NUMBER times the unit that AT names, of all; the first of UNITS is that of no name. */
static bool apply_unit(const struct unit *units, const char *at, uint64_t number, uint64_t *ret)
{
	while (click_is_space(*at))
		at++;
	for (const struct unit *unit = units; unit->name != NULL; unit++) {
		if (strcmp(unit->name, at) != 0)
			continue;
		if (number > UINT64_MAX / unit->factor)
			return false;
		*ret = number * unit->factor;
		return true;
	}
	return false;
}

void click_arg_duration_ns(struct click_args *args, const char *key, unsigned flags, uint64_t *ret)
{
	/* Of numbers with 9 digits behind the point; smaller units divide. */
	static const struct unit units[] = {
		{"", 1},	 {"s", 1},	 {"sec", 1},	  {"second", 1},   {"seconds", 1},
		{"m", 60},	 {"min", 60},	 {"minute", 60},  {"minutes", 60}, {"h", 3600},
		{"hr", 3600},	 {"hour", 3600}, {"hours", 3600}, {"d", 86400},	   {"day", 86400},
		{"days", 86400}, {NULL, 0},
	};
	static const struct unit small[] = {
		{"ms", 1000},	    {"msec", 1000},	  {"us", 1000000}, {"usec", 1000000},
		{"ns", 1000000000}, {"nsec", 1000000000}, {NULL, 0},
	};
	const char *value = click_args_take(args, key, flags), *at = value;
	uint64_t number;
	if (value == NULL)
		return;
	if (!parse_decimal(&at, 9, &number)) {
		click_args_expected(args, key, value, "a time such as 1.5s or 20ms");
		return;
	}
	while (click_is_space(*at))
		at++;
	for (const struct unit *unit = small; unit->name != NULL; unit++) {
		if (strcmp(unit->name, at) == 0) {
			*ret = number / unit->factor;
			return;
		}
	}
	if (!apply_unit(units, at, number, ret))
		click_args_expected(args, key, value, "a time such as 1.5s or 20ms");
}

void click_arg_bandwidth(struct click_args *args, const char *key, unsigned flags, uint64_t *ret)
{
	/* In bits a second with 3 digits behind the point; of bytes 8 times as much. */
	static const struct unit units[] = {
		{"", 8},
		{"Bps", 8},
		{"B/s", 8},
		{"kBps", 8000},
		{"kB/s", 8000},
		{"KBps", 8000},
		{"MBps", 8000000},
		{"MB/s", 8000000},
		{"GBps", 8000000000},
		{"GB/s", 8000000000},
		{"bps", 1},
		{"b/s", 1},
		{"baud", 1},
		{"kbps", 1000},
		{"kb/s", 1000},
		{"Kbps", 1000},
		{"Mbps", 1000000},
		{"Mb/s", 1000000},
		{"Gbps", 1000000000},
		{"Gb/s", 1000000000},
		{NULL, 0},
	};
	const char *value = click_args_take(args, key, flags), *at = value;
	uint64_t number;
	if (value == NULL)
		return;
	if (!parse_decimal(&at, 3, &number) || !apply_unit(units, at, number, &number))
		click_args_expected(args, key, value,
				    "a rate such as 10Mbps or 1000 (bytes a second)");
	else
		*ret = number / 8000;
}

/* --- addresses --- */

/* Of a prefix the bytes behind its last one that is not 0 may be left out: "10/8". */
static bool parse_dotted(const char **at, bool is_prefix, uint32_t *ret)
{
	uint8_t bytes[4] = {0};
	for (unsigned i = 0; i < 4; i++) {
		unsigned value = 0, digits = 0;
		if (is_prefix && i > 0 && **at == '/')
			break;
		if (i > 0 && *(*at)++ != '.')
			return false;
		for (; **at >= '0' && **at <= '9' && digits < 4; ++*at, digits++)
			value = value * 10 + (unsigned)(**at - '0');
		if (digits == 0 || value > 255)
			return false;
		bytes[i] = (uint8_t)value;
	}
	memcpy(ret, bytes, 4);
	return true;
}

bool click_parse_ip(const char *text, uint32_t *ret)
{
	uint32_t ip;
	if (!parse_dotted(&text, false, &ip) || *text != '\0')
		return false;
	*ret = ip;
	return true;
}

static uint32_t mask_of(unsigned bits)
{
	uint8_t bytes[4];
	for (unsigned i = 0; i < 4; i++)
		bytes[i] = bits >= 8 * (i + 1) ? 0xff
			   : bits <= 8 * i     ? 0
					       : (uint8_t)(0xff00u >> (bits - 8 * i));
	uint32_t mask;
	memcpy(&mask, bytes, 4);
	return mask;
}

bool click_parse_ip_prefix(const char *text, uint32_t *ret_address, uint32_t *ret_mask)
{
	uint32_t address, mask = UINT32_MAX, bits;
	if (!parse_dotted(&text, true, &address))
		return false;
	if (*text == '/') {
		const char *behind = text + 1;
		if (!click_parse_ip(behind, &mask)) {
			for (const char *c = behind; *c != '\0'; c++)
				if (*c < '0' || *c > '9' || c - behind > 1)
					return false;
			/* "08" is no octal number here. */
			while (behind[0] == '0' && behind[1] != '\0')
				behind++;
			if (!click_parse_u32(behind, &bits) || bits > 32)
				return false;
			mask = mask_of(bits);
		}
	} else if (*text != '\0') {
		return false;
	}
	*ret_address = address;
	*ret_mask = mask;
	return true;
}

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool click_parse_ether(const char *text, uint8_t ret[6])
{
	uint8_t bytes[6];
	char separator = 0;
	for (unsigned i = 0; i < 6; i++) {
		if (i > 0) {
			if ((*text != ':' && *text != '-') || (separator && *text != separator))
				return false;
			separator = *text++;
		}
		int digit = hex_digit(*text);
		if (digit < 0)
			return false;
		bytes[i] = (uint8_t)digit;
		if (hex_digit(*++text) >= 0)
			bytes[i] = (uint8_t)(bytes[i] << 4 | hex_digit(*text++));
	}
	if (*text != '\0')
		return false;
	memcpy(ret, bytes, 6);
	return true;
}

const struct click_address *click_find_address(const struct click_router *router, const char *name)
{
	for (const struct click_address *a = router->addresses; a != NULL; a = a->next)
		if (strcmp(a->name, name) == 0)
			return a;
	return NULL;
}

/* NAME of an AddressInfo, maybe with ":KIND" behind it. */
static const struct click_address *named(const struct click_router *router, const char *text,
					 const char *const *kinds)
{
	char name[CLICK_NAME_MAX + 1];
	const char *colon = strrchr(text, ':');
	size_t len = strlen(text);
	for (; colon != NULL && *kinds != NULL; kinds++)
		if (strcmp(colon + 1, *kinds) == 0)
			len = (size_t)(colon - text);
	if (len > CLICK_NAME_MAX)
		return NULL;
	memcpy(name, text, len);
	name[len] = '\0';
	return click_find_address(router, name);
}

bool click_parse_ip_name(struct click_router *router, const char *text, uint32_t *ret)
{
	static const char *const kinds[] = {"ip", "ip4", NULL};
	if (click_parse_ip(text, ret))
		return true;
	const struct click_address *address = named(router, text, kinds);
	if (address == NULL || !address->has_ip)
		return false;
	*ret = address->ip;
	return true;
}

void click_arg_ip(struct click_args *args, const char *key, unsigned flags, uint32_t *ret)
{
	const char *value = click_args_take(args, key, flags);
	if (value != NULL && !click_parse_ip_name(args->router, value, ret))
		click_args_expected(args, key, value, "an IP address");
}

bool click_parse_ip_prefix_name(struct click_router *router, const char *text,
				uint32_t *ret_address, uint32_t *ret_mask)
{
	static const char *const kinds[] = {"ipnet", "ip4net", "ip", "ip4", NULL};
	if (click_parse_ip_prefix(text, ret_address, ret_mask))
		return true;
	const struct click_address *address = named(router, text, kinds);
	if (address == NULL || !address->has_ip)
		return false;
	*ret_address = address->ip;
	*ret_mask = address->has_mask ? address->mask : UINT32_MAX;
	return true;
}

void click_arg_ip_prefix(struct click_args *args, const char *key, unsigned flags,
			 uint32_t *ret_address, uint32_t *ret_mask)
{
	const char *value = click_args_take(args, key, flags);
	if (value != NULL &&
	    !click_parse_ip_prefix_name(args->router, value, ret_address, ret_mask))
		click_args_expected(args, key, value, "an IP address or network (10.0.0.0/8)");
}

bool click_parse_ether_name(struct click_router *router, const char *text, uint8_t ret[6])
{
	static const char *const kinds[] = {"eth", "ether", "ethernet", NULL};
	if (click_parse_ether(text, ret))
		return true;
	const struct click_address *address = named(router, text, kinds);
	if (address == NULL || !address->has_ether)
		return false;
	memcpy(ret, address->ether, 6);
	return true;
}

void click_arg_ether(struct click_args *args, const char *key, unsigned flags, uint8_t ret[6])
{
	const char *value = click_args_take(args, key, flags);
	if (value != NULL && !click_parse_ether_name(args->router, value, ret))
		click_args_expected(args, key, value, "an Ethernet address");
}

bool click_find_port(const struct click_router *router, const char *name, bool is_udp,
		     uint16_t *ret)
{
	const struct click_address *address = click_find_address(router, name);
	if (address == NULL || !(is_udp ? address->has_udp_port : address->has_tcp_port))
		return false;
	*ret = is_udp ? address->udp_port : address->tcp_port;
	return true;
}

void click_arg_port(struct click_args *args, const char *key, unsigned flags, uint16_t *ret)
{
	static const struct {
		const char *name;
		uint16_t port;
	} services[] = {
		{"echo", 7},	{"discard", 9},	      {"ftp-data", 20}, {"ftp", 21},
		{"ssh", 22},	{"telnet", 23},	      {"smtp", 25},	{"domain", 53},
		{"dns", 53},	{"bootps", 67},	      {"bootpc", 68},	{"tftp", 69},
		{"http", 80},	{"www", 80},	      {"pop3", 110},	{"ntp", 123},
		{"imap", 143},	{"imap2", 143},	      {"snmp", 161},	{"bgp", 179},
		{"https", 443}, {"syslog", 514},      {"imaps", 993},	{"pop3s", 995},
		{"sip", 5060},	{"memcached", 11211},
	};
	const char *value = click_args_take(args, key, flags);
	uint32_t number;
	if (value == NULL || click_find_port(args->router, value, true, ret) ||
	    click_find_port(args->router, value, false, ret))
		return;
	for (size_t i = 0; i < sizeof(services) / sizeof(services[0]); i++) {
		if (strcmp(services[i].name, value) == 0) {
			*ret = services[i].port;
			return;
		}
	}
	if (!click_parse_u32(value, &number) || number > UINT16_MAX)
		click_args_expected(args, key, value, "a port (0 to 65535) or a service's name");
	else
		*ret = (uint16_t)number;
}
