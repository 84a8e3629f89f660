/*
 * Arguments about networks and time: addresses, ports, durations, rates, annotations.
 */
#include <string.h>

#include "core.h"

/* The digits of a number such as "1_000.25e-3"; "_" is between two of them. */
struct decimal {
	const char *at, *end;
	int64_t integer_digits; /* of them, with the exponent added; may be below zero */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* AT is behind it then. False: there is none. */
static bool read_decimal(const char **at, struct decimal *ret)
{
	const char *c = *at + (**at == '+');
	bool has_point = false, has_digit = false;
	*ret = (struct decimal){.at = c};
	for (;; c++) {
		if (is_digit(*c)) {
			has_digit = true;
			ret->integer_digits += !has_point;
		} else if (*c == '.' && !has_point) {
			has_point = true;
		} else if (*c != '_' || c == ret->at || !is_digit(c[-1]) || !is_digit(c[1])) {
			break;
		}
	}
	ret->end = c;
	if (has_digit && (*c == 'e' || *c == 'E')) {
		bool is_negative = c[1] == '-';
		int64_t exponent = 0;
		const char *digits = c + 1 + (c[1] == '-' || c[1] == '+');
		for (c = is_digit(*digits) ? digits : c; is_digit(*c); c++)
			exponent = exponent < 1000 ? exponent * 10 + (*c - '0') : exponent;
		ret->integer_digits += is_negative ? -exponent : exponent;
	}
	*at = c;
	return has_digit;
}

/* A number times 10^DIGITS; AT is behind it then. False: none, or too large. */
static bool parse_decimal(const char **at, unsigned digits, uint64_t *ret)
{
	struct decimal number;
	uint64_t value = 0;
	if (!read_decimal(at, &number))
		return false;
	for (int64_t left = number.integer_digits + digits; left > 0; number.at++) {
		bool is_behind = number.at >= number.end;
		if (is_behind && value == 0)
			break;
		if (!is_behind && !is_digit(*number.at))
			continue;
		if (value > UINT64_MAX / 20)
			return false;
		value = value * 10 + (is_behind ? 0 : (uint64_t)(*number.at - '0'));
		left--;
	}
	*ret = value;
	return true;
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

/* NUMBER times the unit that AT names. */
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
	static const struct unit units[] = {{"Bps", 8}, {"B/s", 8},  {"bps", 1},
					    {"b/s", 1}, {"baud", 1}, {NULL, 0}};
	static const struct unit bytes[] = {{"", 8}, {NULL, 0}};
	const char *value = click_args_take(args, key, flags), *at = value;
	uint64_t number, factor = 1;
	if (value == NULL)
		return;
	bool is_good = parse_decimal(&at, 3, &number);
	while (is_good && click_is_space(*at))
		at++;
	bool has_unit = is_good && *at != '\0';
	if (has_unit && strchr("kKMG", *at) != NULL)
		factor = *at == 'G' ? 1000000000 : *at == 'M' ? 1000000 : 1000;
	at += factor > 1;
	if (!is_good || !apply_unit(has_unit ? units : bytes, at, number, &number) ||
	    number > (UINT64_MAX - 4000) / factor)
		click_args_expected(args, key, value,
				    "a rate such as 10Mbps or 1000 (bytes a second)");
	else
		*ret = (number * factor + 4000) / 8000;
}

/* --- addresses --- */

/* How many of four bytes there are; AT is behind them then. */
static unsigned parse_dotted(const char **at, uint32_t *ret)
{
	uint8_t bytes[4] = {0};
	unsigned count = 0;
	while (count < 4 && (count == 0 || **at == '.')) {
		const char *c = *at + (count > 0);
		unsigned value = 0;
		if (!is_digit(*c))
			break;
		for (; is_digit(*c) && value <= 255; c++)
			value = value * 10 + (unsigned)(*c - '0');
		if (value > 255)
			break;
		bytes[count++] = (uint8_t)value;
		*at = c;
	}
	memcpy(ret, bytes, 4);
	return count;
}

bool click_parse_ip(const char *text, uint32_t *ret)
{
	uint32_t ip;
	if (parse_dotted(&text, &ip) != 4 || *text != '\0')
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

/* What is behind a slash: "24", or "255.255.255.0". */
static bool parse_mask(const char *text, uint32_t *ret)
{
	uint32_t bits = 0;
	if (click_parse_ip(text, ret))
		return true;
	const char *c = text;
	/* "08" is no octal number here. */
	for (; is_digit(*c) && bits <= 32; c++)
		bits = bits * 10 + (uint32_t)(*c - '0');
	if (c == text || *c != '\0' || bits > 32)
		return false;
	*ret = mask_of(bits);
	return true;
}

/* "10/8": bytes that do not count may be left out. */
bool click_parse_ip_prefix(const char *text, uint32_t *ret_address, uint32_t *ret_mask)
{
	uint32_t address, mask = UINT32_MAX;
	unsigned bytes = parse_dotted(&text, &address);
	if (*text == '/' ? !parse_mask(text + 1, &mask) : *text != '\0')
		return false;
	if (bytes == 0 || (mask & ~mask_of(8 * bytes)) != 0)
		return false;
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

/* --- names of AddressInfo and PortInfo --- */

/* The innermost NAME, as seen from the element whose arguments are read, that has a HAS. */
static const struct click_address *find_name(const struct click_router *router, const char *name,
					     size_t len, unsigned has)
{
	const char *from = router->naming != NULL ? router->naming : "";
	const struct click_address *best = NULL;
	for (const struct click_address *a = router->addresses; a != NULL; a = a->next)
		if ((a->has & has) != 0 && strlen(a->name) == len &&
		    memcmp(a->name, name, len) == 0 && strncmp(from, a->scope, a->scope_len) == 0 &&
		    (best == NULL || a->scope_len > best->scope_len))
			best = a;
	return best;
}

/* The length of TEXT without ":SUFFIX", and which of SUFFIXES that is; 0: there is none, or -1. */
static size_t split_suffix(const char *text, const char *const *suffixes, int *ret_which)
{
	const char *colon = strrchr(text, ':');
	*ret_which = 0;
	if (colon == NULL)
		return strlen(text);
	for (int i = 0; suffixes[i] != NULL; i++) {
		if (click_distance(colon + 1, suffixes[i], 0) == 0) {
			*ret_which = i + 1;
			return (size_t)(colon - text);
		}
	}
	*ret_which = -1;
	return 0;
}

/* ":bcast" is the last address of a network, ":gw" its first. */
bool click_parse_ip_name(struct click_router *router, const char *text, uint32_t *ret)
{
	static const char *const suffixes[] = {"ip", "ip4", "bcast", "gw", NULL};
	int which;
	if (click_parse_ip(text, ret))
		return true;
	size_t len = split_suffix(text, suffixes, &which);
	bool is_of_net = which >= 3;
	const struct click_address *address =
		which < 0 ? NULL
			  : find_name(router, text, len, is_of_net ? CLICK_HAS_NET : CLICK_HAS_IP);
	if (address == NULL)
		return false;
	uint32_t first;
	memcpy(&first, (const uint8_t[]){0, 0, 0, 1}, 4);
	*ret = !is_of_net   ? address->ip
	       : which == 3 ? address->net | ~address->mask
			    : (address->net & address->mask) | first;
	return true;
}

bool click_parse_net_name(struct click_router *router, const char *text, uint32_t *ret_address,
			  uint32_t *ret_mask)
{
	static const char *const suffixes[] = {"ipnet", "net", "ip4net", NULL};
	const char *slash = strrchr(text, '/');
	char name[CLICK_NAME_MAX + 1];
	int which;
	if (slash != NULL) {
		size_t len = (size_t)(slash - text);
		uint32_t address, mask;
		if (len > CLICK_NAME_MAX)
			return false;
		memcpy(name, text, len);
		name[len] = '\0';
		if (click_parse_ip_prefix(text, ret_address, ret_mask))
			return true;
		if (!click_parse_ip_name(router, name, &address) || !parse_mask(slash + 1, &mask))
			return false;
		*ret_address = address;
		*ret_mask = mask;
		return true;
	}
	size_t len = split_suffix(text, suffixes, &which);
	const struct click_address *address =
		which < 0 ? NULL : find_name(router, text, len, CLICK_HAS_NET);
	if (address == NULL)
		return false;
	*ret_address = address->net;
	*ret_mask = address->mask;
	return true;
}

bool click_parse_ip_prefix_name(struct click_router *router, const char *text,
				uint32_t *ret_address, uint32_t *ret_mask)
{
	if (click_parse_ip_prefix(text, ret_address, ret_mask))
		return true;
	if (click_parse_ip_name(router, text, ret_address)) {
		*ret_mask = UINT32_MAX;
		return true;
	}
	return click_parse_net_name(router, text, ret_address, ret_mask);
}

bool click_parse_ether_name(struct click_router *router, const char *text, uint8_t ret[6])
{
	static const char *const suffixes[] = {"eth", "ether", "ethernet", NULL};
	int which;
	if (click_parse_ether(text, ret))
		return true;
	size_t len = split_suffix(text, suffixes, &which);
	const struct click_address *address =
		which < 0 ? NULL : find_name(router, text, len, CLICK_HAS_ETHER);
	if (address == NULL)
		return false;
	memcpy(ret, address->ether, 6);
	return true;
}

/* --- arguments that are addresses --- */

void click_arg_ip(struct click_args *args, const char *key, unsigned flags, uint32_t *ret)
{
	const char *value = click_args_take(args, key, flags);
	if (value != NULL && !click_parse_ip_name(args->router, value, ret))
		click_args_expected(args, key, value, "an IP address");
}

void click_arg_ip_prefix(struct click_args *args, const char *key, unsigned flags,
			 uint32_t *ret_address, uint32_t *ret_mask)
{
	const char *value = click_args_take(args, key, flags);
	if (value != NULL &&
	    !click_parse_ip_prefix_name(args->router, value, ret_address, ret_mask))
		click_args_expected(args, key, value, "an IP address or network (10.0.0.0/8)");
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
	const struct click_address *address = find_name(
		router, name, strlen(name), is_udp ? CLICK_HAS_UDP_PORT : CLICK_HAS_TCP_PORT);
	if (address == NULL)
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
