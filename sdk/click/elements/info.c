/*
 * AddressInfo, PortInfo: names for addresses and ports, which arguments of other elements may use.
 *
 *	AddressInfo(gateway 10.0.0.1 00:50:ba:85:84:a9, lan 10.0.0.0/24)
 *	PortInfo(game 3000/udp, http 80 www)
 */
#include <string.h>

#include "../core.h"

#define WORDS_MAX 16u

/* Names hold in the compound of ELEMENT, and in those within it. */
static struct click_address *get(struct click_element *element, const char *name)
{
	struct click_router *router = element->router;
	const char *scope = element->more->name, *slash = strrchr(scope, '/');
	size_t len = slash != NULL ? (size_t)(slash - scope) + 1 : 0;
	struct click_address *address = router->addresses;
	while (address != NULL && (strcmp(address->name, name) != 0 || address->scope_len != len ||
				   memcmp(address->scope, scope, len) != 0))
		address = address->next;
	if (address != NULL)
		return address;
	address = click_cold_alloc(router, sizeof(*address));
	if (address == NULL)
		return NULL;
	*address = (struct click_address){
		.name = name, .scope = scope, .scope_len = len, .next = router->addresses};
	router->addresses = address;
	return address;
}

/* "10.0.0.1/8" is an address and a network; the address only if KNOWN has none. */
static bool add_address(struct click_address *address, const char *text, unsigned *known)
{
	uint32_t ip, mask;
	if (click_parse_ether(text, address->ether)) {
		address->has |= CLICK_HAS_ETHER;
		return true;
	}
	if (!click_parse_ip_prefix(text, &ip, &mask))
		return false;
	bool is_net = strchr(text, '/') != NULL, is_both = is_net && (ip & ~mask) != 0;
	if (is_net && !(is_both && (*known & CLICK_HAS_NET) != 0)) {
		address->net = ip;
		address->mask = mask;
		address->has |= CLICK_HAS_NET;
	}
	if (!is_net || (is_both && (*known & CLICK_HAS_IP) == 0)) {
		address->ip = ip;
		address->has |= CLICK_HAS_IP;
	}
	*known |= (is_net ? CLICK_HAS_NET : 0u) | (!is_net || is_both ? CLICK_HAS_IP : 0u);
	return true;
}

/* "PORT[/PROTOCOL]". */
static bool add_port(struct click_address *address, const char *text)
{
	char digits[8];
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	bool is_tcp = slash == NULL || strcmp(slash, "/tcp") == 0;
	bool is_udp = slash == NULL || strcmp(slash, "/udp") == 0;
	uint32_t port;
	if (len >= sizeof(digits) || (!is_tcp && !is_udp))
		return false;
	memcpy(digits, text, len);
	digits[len] = '\0';
	if (!click_parse_u32(digits, &port) || port > UINT16_MAX)
		return false;
	if (is_tcp) {
		address->tcp_port = (uint16_t)port;
		address->has |= CLICK_HAS_TCP_PORT;
	}
	if (is_udp) {
		address->udp_port = (uint16_t)port;
		address->has |= CLICK_HAS_UDP_PORT;
	}
	return true;
}

static int address_configure(struct click_element *element, struct click_args *args)
{
	for (unsigned i = 0; i < click_args_count(args); i++) {
		const char *words[WORDS_MAX];
		const char *text = click_args_at(args, i);
		unsigned count = click_words(element->router, text, words, WORDS_MAX);
		if (count == 0)
			continue;
		if (count == 1) {
			click_args_error(args, "'%.*s': an address is missing", 60, text);
			continue;
		}
		struct click_address *address = get(element, words[0]);
		if (address == NULL) {
			click_args_error(args, "out of memory");
			return -1;
		}
		unsigned known = 0;
		for (unsigned w = 1; w < count; w++)
			if (!add_address(address, words[w], &known))
				click_args_error(args, "'%.*s' is not an address", 60, words[w]);
	}
	return click_args_end(args);
}

/* "NAME PORT[/PROTOCOL] [NAME...] [# COMMENT]", as in /etc/services. */
static int port_configure(struct click_element *element, struct click_args *args)
{
	for (unsigned i = 0; i < click_args_count(args); i++) {
		const char *words[WORDS_MAX];
		const char *text = click_args_at(args, i);
		unsigned all = click_words(element->router, text, words, WORDS_MAX), count = 0;
		while (count < all && words[count][0] != '#')
			count++;
		if (count == 0)
			continue;
		if (count == 1) {
			click_args_error(args, "'%.*s': a port is missing", 60, text);
			continue;
		}
		for (unsigned w = 0; w < count; w += 1 + (w == 0)) {
			struct click_address *address = get(element, words[w]);
			if (address == NULL) {
				click_args_error(args, "out of memory");
				return -1;
			}
			if (!add_port(address, words[1])) {
				click_args_error(args, "'%.*s' is not a port", 60, words[1]);
				break;
			}
		}
	}
	return click_args_end(args);
}

const struct click_class click_class_AddressInfo = {
	.name = "AddressInfo",
	.size = sizeof(struct click_element),
	.port_count = "0/0",
	.processing = "a",
	.configure = address_configure,
	.configures_first = true,
};

const struct click_class click_class_PortInfo = {
	.name = "PortInfo",
	.size = sizeof(struct click_element),
	.port_count = "0/0",
	.processing = "a",
	.configure = port_configure,
	.configures_first = true,
};
