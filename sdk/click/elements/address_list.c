#include "elements/address_list.h"

bool click_addresses_add(struct click_addresses *list, struct click_router *router,
			 uint32_t address)
{
	if (!list->address) {
		list->address = click_alloc(router, CLICK_LIST_MAX * sizeof(*list->address));
		list->mask = click_alloc(router, CLICK_LIST_MAX * sizeof(*list->mask));
		if (!list->address || !list->mask)
			return false;
	}
	if (list->count == CLICK_LIST_MAX)
		return false;
	list->mask[list->count] = UINT32_MAX;
	list->address[list->count++] = address;
	return true;
}

static void read_list(struct click_args *args, struct click_router *router, const char *key,
		      unsigned flags, struct click_addresses *list, bool are_prefixes)
{
	const char *text = NULL;
	click_arg_text(args, key, flags, &text);
	if (!text)
		return;
	const char *words[CLICK_LIST_MAX + 1];
	unsigned count = click_words(router, text, words, CLICK_LIST_MAX + 1);
	for (unsigned i = 0; i < count; i++) {
		uint32_t address = 0, mask = UINT32_MAX;
		bool is_right =
			are_prefixes ? click_parse_ip_prefix_name(router, words[i], &address, &mask)
				     : click_parse_ip_name(router, words[i], &address);
		if (!is_right) {
			click_args_error(args, "%s: '%s' is no IP %s", key, words[i],
					 are_prefixes ? "prefix" : "address");
			continue;
		}
		if (!click_addresses_add(list, router, address)) {
			click_args_error(args, "%s has more than %u addresses", key,
					 CLICK_LIST_MAX);
			return;
		}
		list->mask[list->count - 1] = mask;
	}
}

void click_arg_addresses(struct click_args *args, struct click_router *router, const char *key,
			 unsigned flags, struct click_addresses *list)
{
	read_list(args, router, key, flags, list, false);
}

void click_arg_prefixes(struct click_args *args, struct click_router *router, const char *key,
			unsigned flags, struct click_addresses *list)
{
	read_list(args, router, key, flags, list, true);
}

bool click_addresses_have(const struct click_addresses *list, uint32_t address)
{
	for (uint32_t i = 0; i < list->count; i++) {
		if (list->address[i] == address)
			return true;
	}
	return false;
}
