/*
 * ARPTable, which is a table for several ARPQueriers, and ARPResponder(IP/MASK ... ETH, ...).
 */
#include <string.h>

#include "elements/arp.h"
#include "elements/out_more.h"
#include "ip.h"

/* --- ARPTable --- */

struct table_element {
	struct click_element element;
	struct arp_table table;
};

static struct arp_table *table_of(struct click_element *element)
{
	return &((struct table_element *)element)->table;
}

static int table_configure(struct click_element *element, struct click_args *args)
{
	arp_table_init(table_of(element), element->router);
	arp_table_configure(table_of(element), args);
	/* Who uses the table may be initialised before it. */
	if (click_args_end(args) < 0)
		return -1;
	return arp_table_initialize(table_of(element), args);
}

static void table_timer(struct click_element *element)
{
	click_timer_set(element, arp_table_expire(table_of(element)));
}

static int table_initialize(struct click_element *element, struct click_args *args)
{
	if (table_of(element)->timeout_ns)
		table_timer(element);
	return 0;
}

static uint64_t table_count(struct click_element *element)
{
	return table_of(element)->count;
}

static uint64_t table_length(struct click_element *element)
{
	return table_of(element)->packets;
}

static uint64_t table_drops(struct click_element *element)
{
	return table_of(element)->drops;
}

static uint32_t table_read(struct click_element *element, char *out, uint32_t size)
{
	return arp_table_text(table_of(element), out, size);
}

static int table_delete(struct click_element *element, const char *text, struct click_args *args)
{
	return arp_table_delete_text(table_of(element), text, args);
}

/* The packets that waited cannot be sent from here, and would be late when they are. */
static int table_insert(struct click_element *element, const char *text, struct click_args *args)
{
	struct click_packet *waiting = NULL;
	if (arp_table_insert_text(table_of(element), text, args, &waiting) < 0)
		return -1;
	while (waiting) {
		struct click_packet *next = waiting->next;
		waiting->next = NULL;
		table_of(element)->drops++;
		click_kill(element, waiting);
		waiting = next;
	}
	return 0;
}

static int table_clear(struct click_element *element, const char *text, struct click_args *args)
{
	arp_table_clear(table_of(element));
	return 0;
}

static const struct click_handler table_handlers[] = {
	{.name = "table", .read = table_read},	   {.name = "count", .count = table_count},
	{.name = "length", .count = table_length}, {.name = "drops", .count = table_drops},
	{.name = "insert", .write = table_insert}, {.name = "delete", .write = table_delete},
	{.name = "clear", .write = table_clear},   {.name = NULL},
};

const struct click_class click_class_ARPTable = {
	.name = "ARPTable",
	.size = sizeof(struct table_element),
	.port_count = "0/0",
	.processing = "a/a",
	.configure = table_configure,
	.initialize = table_initialize,
	.run_timer = table_timer,
	.handlers = table_handlers,
};

struct arp_table *arp_table_of(struct click_element *element)
{
	return element->more->class == &click_class_ARPTable ? table_of(element) : NULL;
}

/* --- ARPResponder --- */

#define ANSWERS_MAX 256u
#define WORDS_MAX   64u

struct answer {
	uint32_t address, mask;
	uint8_t ether[6];
};

struct responder {
	struct click_element element;
	struct answer *answers; /* the longest prefix first */
	uint32_t count;
	uint32_t asked; /* by the handler lookup */
};

static uint32_t mask_host(const struct answer *answer)
{
	return click_address_to_host(answer->mask);
}

static int add_answer(struct responder *responder, uint32_t address, uint32_t mask,
		      const uint8_t ether[6], struct click_args *args)
{
	struct answer new = {.address = address & mask, .mask = mask};
	memcpy(new.ether, ether, 6);
	uint32_t at = 0;
	while (at < responder->count && mask_host(&responder->answers[at]) > mask_host(&new))
		at++;
	for (uint32_t i = at; i < responder->count && responder->answers[i].mask == mask; i++) {
		if (responder->answers[i].address == new.address) {
			responder->answers[i] = new;
			return 0;
		}
	}
	if (responder->count == ANSWERS_MAX) {
		click_args_error(args, "there are more than %u addresses", ANSWERS_MAX);
		return -1;
	}
	memmove(&responder->answers[at + 1], &responder->answers[at],
		(responder->count - at) * sizeof(new));
	responder->answers[at] = new;
	responder->count++;
	return 0;
}

/* An address of a name rather than its network, as NAME is short for both. */
static bool parse_answer(struct responder *responder, const char *word, uint32_t *ret_address,
			 uint32_t *ret_mask)
{
	struct click_router *router = responder->element.router;
	const char *colon = strrchr(word, ':');
	bool is_net = strchr(word, '/') || (colon && strstr(colon, "net"));
	*ret_mask = UINT32_MAX;
	if (!is_net && click_parse_ip_name(router, word, ret_address))
		return true;
	return click_parse_ip_prefix_name(router, word, ret_address, ret_mask);
}

/* The one Ethernet address among WORDS, the others of which are prefixes; a name may be both. */
static int find_ether(struct responder *responder, const char *const *words, unsigned count,
		      uint8_t ret[6], struct click_args *args)
{
	struct click_router *router = responder->element.router;
	uint32_t address, mask;
	unsigned prefixes = 0, ethers = 0;
	for (unsigned i = 0; i < count; i++) {
		if (parse_answer(responder, words[i], &address, &mask)) {
			prefixes++;
		} else if (click_parse_ether_name(router, words[i], ret)) {
			ethers++;
		} else {
			click_args_error(args, "'%s' is no IP prefix", words[i]);
			return -1;
		}
	}
	for (unsigned i = 0; i < count && !ethers; i++)
		ethers += click_parse_ether_name(router, words[i], ret);
	if (prefixes && ethers == 1)
		return 0;
	click_args_error(args, "IP/MASK ... ETH expected");
	return -1;
}

/* "IP/MASK [IP/MASK ...] ETH" */
static int add_entry(struct responder *responder, const char *const *words, unsigned count,
		     struct click_args *args)
{
	uint8_t ether[6];
	uint32_t address, mask;
	if (find_ether(responder, words, count, ether, args) < 0)
		return -1;
	for (unsigned i = 0; i < count; i++) {
		if (parse_answer(responder, words[i], &address, &mask) &&
		    add_answer(responder, address, mask, ether, args) < 0)
			return -1;
	}
	return 0;
}

static int responder_configure(struct click_element *element, struct click_args *args)
{
	struct responder *responder = (struct responder *)element;
	unsigned count = click_args_count(args);
	responder->answers = click_alloc(element->router, ANSWERS_MAX * sizeof(struct answer));
	if (!responder->answers) {
		click_args_error(args, "there is no memory for %u addresses", ANSWERS_MAX);
		return -1;
	}
	for (unsigned i = 0; i < count; i++) {
		const char *words[WORDS_MAX + 1];
		unsigned words_count =
			click_words(element->router, click_args_at(args, i), words, WORDS_MAX + 1);
		if (words_count > WORDS_MAX)
			click_args_error(args, "an entry has more than %u words", WORDS_MAX);
		else
			add_entry(responder, words, words_count, args);
	}
	return click_args_end(args);
}

static const struct answer *lookup(const struct responder *responder, uint32_t ip)
{
	for (uint32_t i = 0; i < responder->count; i++) {
		if ((ip & responder->answers[i].mask) == responder->answers[i].address)
			return &responder->answers[i];
	}
	return NULL;
}

static struct click_packet *responder_simple(struct click_element *element,
					     struct click_packet *packet)
{
	struct arp_packet arp;
	const struct answer *answer = NULL;
	if (arp_read(packet, &arp) && arp.operation == ARP_REQUEST)
		answer = lookup((struct responder *)element, arp.target_ip);
	if (!answer) {
		click_push(element, 1, packet);
		return NULL;
	}
	struct click_packet *reply = click_packet_new(element->router, ARP_BYTES);
	if (reply) {
		struct arp_packet out = {
			.operation = ARP_REPLY,
			.sender_ip = arp.target_ip,
			.target_ip = arp.sender_ip,
		};
		memcpy(out.sender, answer->ether, 6);
		memcpy(out.target, arp.sender, 6);
		arp_write(reply->data, &out, arp.sender);
		reply->mac = 0;
		reply->device = packet->device;
		reply->vlan_tci = packet->vlan_tci;
	}
	click_kill(element, packet);
	return reply;
}

static uint32_t responder_table(struct click_element *element, char *out, uint32_t size)
{
	struct responder *responder = (struct responder *)element;
	struct click_out text;
	click_out_init(&text, out, size);
	for (uint32_t i = 0; i < responder->count; i++) {
		const struct answer *answer = &responder->answers[i];
		click_out_mask(&text, answer->address, answer->mask);
		click_out_char(&text, ' ');
		click_out_ether(&text, answer->ether);
		click_out_char(&text, '\n');
	}
	return text.len;
}

/* One entry a line of at most this many words: nothing may be allocated here. */
#define LINE_MAX_BYTES 512u

static unsigned split(char *line, const char *text, const char **words)
{
	unsigned count = 0;
	size_t len = strlen(text);
	if (len >= LINE_MAX_BYTES)
		return 0;
	memcpy(line, text, len + 1);
	for (char *at = line; *at && count < WORDS_MAX;) {
		while (*at == ' ')
			*at++ = '\0';
		if (*at)
			words[count++] = at;
		while (*at && *at != ' ')
			at++;
	}
	return count;
}

static int responder_add(struct click_element *element, const char *text, struct click_args *args)
{
	char line[LINE_MAX_BYTES];
	const char *words[WORDS_MAX];
	return add_entry((struct responder *)element, words, split(line, text, words), args);
}

static int responder_remove(struct click_element *element, const char *text,
			    struct click_args *args)
{
	struct responder *responder = (struct responder *)element;
	uint32_t address, mask;
	if (!parse_answer(responder, text, &address, &mask)) {
		click_args_error(args, "'%s' is no IP prefix", text);
		return -1;
	}
	for (uint32_t i = 0; i < responder->count; i++) {
		struct answer *at = &responder->answers[i];
		if (at->mask == mask && at->address == (address & mask)) {
			responder->count--;
			memmove(at, at + 1, (responder->count - i) * sizeof(*at));
			return 0;
		}
	}
	click_args_error(args, "there is no entry '%s'", text);
	return -1;
}

/* Handlers have no parameters: the address is written, and then the answer read. */
static int responder_ask(struct click_element *element, const char *text, struct click_args *args)
{
	if (click_parse_ip_name(element->router, text, &((struct responder *)element)->asked))
		return 0;
	click_args_error(args, "'%s' is no IP address", text);
	return -1;
}

static uint32_t responder_lookup(struct click_element *element, char *out, uint32_t size)
{
	struct responder *responder = (struct responder *)element;
	const struct answer *answer = lookup(responder, responder->asked);
	struct click_out text;
	click_out_init(&text, out, size);
	if (answer)
		click_out_ether(&text, answer->ether);
	return text.len;
}

static const struct click_handler responder_handlers[] = {
	{.name = "table", .read = responder_table},
	{.name = "lookup", .read = responder_lookup, .write = responder_ask},
	{.name = "add", .write = responder_add},
	{.name = "remove", .write = responder_remove},
	{.name = NULL},
};

const struct click_class click_class_ARPResponder = {
	.name = "ARPResponder",
	.size = sizeof(struct responder),
	.port_count = "1/1-2",
	.processing = "a/ah",
	.configure = responder_configure,
	.simple = responder_simple,
	.handlers = responder_handlers,
};
