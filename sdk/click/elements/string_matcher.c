/*
 * StringMatcher(STRING, …, PAYLOAD_ONLY): packets in which one of the strings occurs go to output
 * 1, or are dropped where there is none; the others go to output 0.
 *
 * With PAYLOAD_ONLY (false by default) what is searched begins behind the TCP or UDP header, or
 * behind the IP header of other protocols; packets whose IP header is not known are searched whole.
 */
#include <errno.h>

#include <click.h>

#include "elements/matcher.h"
#include "ip.h"

struct string_matcher {
	struct click_element element;
	struct click_matcher matcher;
	bool payload_only;
	uint32_t strings;
	uint64_t *matches;
};

static int build(struct string_matcher *self, const struct click_string *strings,
		 struct click_args *args)
{
	int error =
		click_matcher_build(&self->matcher, self->element.router, strings, self->strings);
	if (error == -E2BIG)
		click_args_error(args, "the strings are too long together");
	else if (error < 0)
		click_args_error(args, "no memory for %u strings", self->strings);
	return error < 0 ? -1 : 0;
}

static int configure(struct click_element *element, struct click_args *args)
{
	struct string_matcher *self = (struct string_matcher *)element;
	click_arg_bool(args, "PAYLOAD_ONLY", 0, &self->payload_only);
	unsigned count = click_args_count(args);
	struct click_string *strings = NULL;
	if (count)
		strings = click_cold_alloc(element->router, count * sizeof(*strings));
	if (!strings) {
		click_args_error(args, count ? "no memory for %u strings" : "expected strings",
				 count);
		return -1;
	}
	for (unsigned i = 0; i < count; i++) {
		const char *text = NULL;
		uint32_t len = 0;
		click_arg_string(args, "STRING", CLICK_POSITIONAL, &text, &len);
		if (!text)
			break;
		if (len == 0)
			click_args_error(args, "a string is empty");
		else
			strings[self->strings++] =
				(struct click_string){(const uint8_t *)text, len};
	}
	if (click_args_end(args) < 0)
		return -1;
	if (self->strings == 0) {
		click_args_error(args, "expected strings");
		return -1;
	}
	return build(self, strings, args);
}

/* What is behind the headers of PACKET. */
static const uint8_t *payload(const struct click_packet *packet, uint32_t *ret_len)
{
	struct click_ip ip;
	*ret_len = packet->len;
	if (!click_ip_get(packet, &ip))
		return packet->data;
	uint32_t header = 0;
	if (ip.protocol == CLICK_UDP)
		header = CLICK_UDP_HEADER;
	else if (ip.protocol == CLICK_TCP && ip.payload_len >= CLICK_TCP_HEADER)
		header = (ip.payload[12] >> 4) * 4u;
	if (!click_ip_is_first(&ip) || header > ip.payload_len)
		header = 0;
	*ret_len = ip.payload_len - header;
	return ip.payload + header;
}

static bool is_match(struct click_element *element, const struct click_packet *packet)
{
	struct string_matcher *self = (struct string_matcher *)element;
	const uint8_t *data = packet->data;
	uint32_t len = packet->len;
	if (self->payload_only)
		data = payload(packet, &len);
	bool found = click_matcher_finds(&self->matcher, data, len);
	*self->matches += found;
	return found;
}

static void push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	(void)port;
	click_push(element, is_match(element, packet), packet);
}

static struct click_packet *pull(struct click_element *element, unsigned port)
{
	(void)port;
	struct click_packet *packet = click_pull(element, 0);
	if (!packet || !is_match(element, packet))
		return packet;
	click_push(element, 1, packet);
	/* Whoever pulls would take this for the end of what there is. */
	click_notify(element);
	return NULL;
}

static int write_reset(struct click_element *element, const char *text, struct click_args *args)
{
	(void)text;
	(void)args;
	*((struct string_matcher *)element)->matches = 0;
	return 0;
}

static const struct click_handler handlers[] = {
	{.name = "matches", .counter = offsetof(struct string_matcher, matches)},
	{.name = "reset_count", .write = write_reset},
	{.name = NULL},
};

const struct click_class click_class_StringMatcher = {
	.name = "StringMatcher",
	.size = sizeof(struct string_matcher),
	.port_count = "1/1-2",
	.processing = "a/ah",
	.configure = configure,
	.push = push,
	.pull = pull,
	.handlers = handlers,
};
