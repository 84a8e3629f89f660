#include "elements/ip_names.h"

#include <string.h>

struct name {
	const char *name;
	uint32_t value;
	unsigned kind; /* of codes: the type */
};

static const struct name protocols[] = {
	{"icmp", 1, 0},	 {"igmp", 2, 0},   {"ipip", 4, 0},   {"tcp", 6, 0},	  {"udp", 17, 0},
	{"dccp", 33, 0}, {"gre", 47, 0},   {"esp", 50, 0},   {"ah", 51, 0},	  {"ospf", 89, 0},
	{"pim", 103, 0}, {"vrrp", 112, 0}, {"sctp", 132, 0}, {"udplite", 136, 0}, {NULL, 0, 0},
};

static const struct name ports[] = {
	{"echo", 7, 0},		 {"discard", 9, 0},	  {"daytime", 13, 0},
	{"chargen", 19, 0},	 {"ftp-data", 20, 0},	  {"ftp", 21, 0},
	{"ssh", 22, 0},		 {"telnet", 23, 0},	  {"smtp", 25, 0},
	{"domain", 53, 0},	 {"dns", 53, 0},	  {"bootps", 67, 0},
	{"bootpc", 68, 0},	 {"tftp", 69, 0},	  {"finger", 79, 0},
	{"www", 80, 0},		 {"http", 80, 0},	  {"pop3", 110, 0},
	{"sunrpc", 111, 0},	 {"auth", 113, 0},	  {"nntp", 119, 0},
	{"ntp", 123, 0},	 {"netbios-ns", 137, 0},  {"netbios-dgm", 138, 0},
	{"netbios-ssn", 139, 0}, {"imap", 143, 0},	  {"imap2", 143, 0},
	{"snmp", 161, 0},	 {"snmp-trap", 162, 0},	  {"bgp", 179, 0},
	{"irc", 194, 0},	 {"imap3", 220, 0},	  {"https", 443, 0},
	{"syslog", 514, 0},	 {"rip", 520, 0},	  {"route", 520, 0},
	{"imaps", 993, 0},	 {"pop3s", 995, 0},	  {"pptp", 1723, 0},
	{"sip", 5060, 0},	 {"memcached", 11211, 0}, {NULL, 0, 0},
};

static const struct name flags[] = {
	{"fin", 1, 0},	{"syn", 2, 0},	{"rst", 4, 0}, {"psh", 8, 0},
	{"ack", 16, 0}, {"urg", 32, 0}, {NULL, 0, 0},
};

static const struct name icmp_types[] = {
	{"echo-reply", 0, 0},
	{"unreachable", 3, 0},
	{"sourcequench", 4, 0},
	{"redirect", 5, 0},
	{"echo", 8, 0},
	{"routeradvert", 9, 0},
	{"routersolicit", 10, 0},
	{"timeexceeded", 11, 0},
	{"parameterproblem", 12, 0},
	{"timestamp", 13, 0},
	{"timestamp-reply", 14, 0},
	{"inforeq", 15, 0},
	{"inforeq-reply", 16, 0},
	{"maskreq", 17, 0},
	{"maskreq-reply", 18, 0},
	{NULL, 0, 0},
};

static const struct name icmp_codes[] = {
	{"net", 0, 3},
	{"host", 1, 3},
	{"protocol", 2, 3},
	{"port", 3, 3},
	{"needfrag", 4, 3},
	{"srcroutefail", 5, 3},
	{"netunknown", 6, 3},
	{"hostunknown", 7, 3},
	{"isolated", 8, 3},
	{"netprohibited", 9, 3},
	{"hostprohibited", 10, 3},
	{"tosnet", 11, 3},
	{"toshost", 12, 3},
	{"filterprohibited", 13, 3},
	{"hostprecedence", 14, 3},
	{"precedencecutoff", 15, 3},
	{"net", 0, 5},
	{"host", 1, 5},
	{"tosnet", 2, 5},
	{"toshost", 3, 5},
	{"transit", 0, 11},
	{"reassembly", 1, 11},
	{"erroratptr", 0, 12},
	{"missingopt", 1, 12},
	{"length", 2, 12},
	{NULL, 0, 0},
};

static const struct name *find(const struct name *names, const char *name)
{
	while (names->name && strcmp(names->name, name) != 0)
		names++;
	return names->name ? names : NULL;
}

static bool get(const struct name *names, const char *name, uint32_t *ret)
{
	const struct name *found = find(names, name);
	if (found)
		*ret = found->value;
	return found != NULL;
}

bool click_ip_protocol_number(const char *name, uint32_t *ret)
{
	return get(protocols, name, ret);
}

bool click_ip_port_number(const char *name, uint32_t *ret)
{
	return get(ports, name, ret);
}

bool click_tcp_flag(const char *name, uint32_t *ret)
{
	return get(flags, name, ret);
}

bool click_icmp_type_number(const char *name, uint32_t *ret)
{
	return get(icmp_types, name, ret);
}

bool click_icmp_code_number(uint32_t type, const char *name, uint32_t *ret)
{
	for (const struct name *code = icmp_codes; code->name; code++) {
		if (code->kind == type && strcmp(code->name, name) == 0) {
			*ret = code->value;
			return true;
		}
	}
	return false;
}

static const char *name_of(const struct name *names, uint32_t value, unsigned kind)
{
	while (names->name && (names->value != value || names->kind != kind))
		names++;
	return names->name;
}

const char *click_ip_protocol_name(uint32_t protocol)
{
	return name_of(protocols, protocol, 0);
}

const char *click_icmp_type_name(uint32_t type)
{
	return name_of(icmp_types, type, 0);
}

const char *click_icmp_code_name(uint32_t type, uint32_t code)
{
	return name_of(icmp_codes, code, type);
}
