/*
 * FromDevice, PollDevice, ToDevice: the chain's ports.
 *
 * ToDevice may be pushed to as well as pull, unlike Click's: a configuration needs no Queue where
 * nothing can be queued.
 */
#include "ip.h"

struct device {
	struct click_element element;
	uint32_t number;
	uint64_t *count;
};

#define TAG_BYTES     4u
#define ETHERTYPE_IP6 0x86ddu
#define IP6_HEADER    40u

/* Arguments of Click's that are about how a kernel's device is read, and mean nothing here. */
static void ignore_others(struct click_args *args, const char *const *keys)
{
	const char *ignored = NULL;
	for (; *keys != NULL; keys++)
		click_arg_text(args, *keys, 0, &ignored);
}

static int configure_device(struct device *device, struct click_args *args)
{
	const char *name = "";
	uint32_t len = 0;
	click_arg_string(args, "DEVNAME", CLICK_POSITIONAL | CLICK_MANDATORY, &name, &len);
	if (len == 0)
		return -1;
	int number = click_device(device->element.router, name);
	if (number < 0) {
		click_args_error(args, "there are too many devices for '%s'", name);
		return -1;
	}
	device->number = (uint32_t)number;
	return 0;
}

/* Click has one in the kernel and one outside of it: the third argument is BURST or SNAPLEN. */
static int from_configure(struct click_element *element, struct click_args *args)
{
	static const char *const others[] = {
		"SNIFFER",   "METHOD",	  "CAPTURE",  "BPF_FILTER",
		"OUTBOUND",  "ENCAP",	  "BURST",    "TIMESTAMP",
		"HEADROOM",  "ACTIVE",	  "PROTOCOL", "QUIET",
		"UP_CALL",   "DOWN_CALL", "LENGTH",   "ALLOW_NONEXISTENT",
		"ALIGNMENT", NULL};
	struct device *device = (struct device *)element;
	const char *ignored = NULL;
	bool forces_ip = false;
	if (configure_device(device, args) < 0)
		return -1;
	click_arg_text(args, "PROMISC", CLICK_POSITIONAL, &ignored);
	click_arg_text(args, "SNAPLEN", CLICK_POSITIONAL, &ignored);
	click_arg_bool(args, "FORCE_IP", 0, &forces_ip);
	ignore_others(args, others);
	if (click_args_end(args) < 0)
		return -1;
	return click_device_receive(element, device->number, forces_ip, args);
}

/* Where FRAME's IP header begins, behind a tag if there is one; 0: it has none. */
static uint32_t find_ip(const struct click_packet *frame)
{
	uint32_t at = CLICK_ETHER_HEADER;
	if (frame->len >= at + TAG_BYTES &&
	    click_get_u16(frame->data + at - 2) == CLICK_ETHERTYPE_VLAN)
		at += TAG_BYTES;
	if (frame->len <= at)
		return 0;
	uint32_t type = click_get_u16(frame->data + at - 2);
	return type == CLICK_ETHERTYPE_IP || type == ETHERTYPE_IP6 ? at : 0;
}

/* FORCE_IP: who has an IP header gets it marked. */
static bool mark_ip(struct click_packet *frame)
{
	uint32_t at = find_ip(frame), available = frame->len - at;
	if (at == 0)
		return false;
	const uint8_t *header = frame->data + at;
	bool is_4 = header[0] >> 4 == 4;
	uint32_t len = is_4 ? (header[0] & 15) * 4u : IP6_HEADER;
	if ((!is_4 && header[0] >> 4 != 6) || len < CLICK_IP_HEADER || len > available)
		return false;
	click_ip_mark(frame, (int32_t)at, len);
	if (is_4)
		frame->destination = click_get_address(header + 16);
	return true;
}

static int to_configure(struct click_element *element, struct click_args *args)
{
	static const char *const others[] = {"METHOD",	"DEBUG",     "UNIQUE", "QUEUE",
					     "NO_PAD",	"Q",	     "QUIET",  "ALLOW_NONEXISTENT",
					     "UP_CALL", "DOWN_CALL", NULL};
	struct device *device = (struct device *)element;
	const char *ignored = NULL;
	if (configure_device(device, args) < 0)
		return -1;
	click_arg_text(args, "BURST", CLICK_POSITIONAL, &ignored);
	ignore_others(args, others);
	return click_args_end(args);
}

static void to_push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	struct device *device = (struct device *)element;
	(void)port;
	(*device->count)++;
	click_device_send(element->router, device->number, packet);
}

static int to_initialize(struct click_element *element, struct click_args *args)
{
	(void)args;
	if (element->more->input_is_pull[0])
		click_task_schedule(element);
	return 0;
}

static bool to_run_task(struct click_element *element)
{
	struct click_packet *packet = click_pull(element, 0);
	if (packet == NULL)
		return false;
	to_push(element, 0, packet);
	return true;
}

/* Only with FORCE_IP do packets come through here. */
static struct click_packet *from_simple(struct click_element *element, struct click_packet *packet)
{
	if (mark_ip(packet))
		return packet;
	click_push(element, 1, packet);
	return NULL;
}

static int to_reset(struct click_element *element, const char *text, struct click_args *args)
{
	(void)text;
	(void)args;
	*((struct device *)element)->count = 0;
	return 0;
}

static const struct click_handler to_handlers[] = {
	{.name = "count", .counter = offsetof(struct device, count)},
	{.name = "reset_counts", .write = to_reset},
	{NULL},
};

const struct click_class click_class_FromDevice = {
	.name = "FromDevice",
	.size = sizeof(struct device),
	.port_count = "0/1-2",
	.processing = "h",
	.configure = from_configure,
	.simple = from_simple,
};

const struct click_class click_class_PollDevice = {
	.name = "PollDevice",
	.size = sizeof(struct device),
	.port_count = "0/1-2",
	.processing = "h",
	.configure = from_configure,
	.simple = from_simple,
};

const struct click_class click_class_ToDevice = {
	.name = "ToDevice",
	.size = sizeof(struct device),
	.port_count = "1/0",
	.processing = "a",
	.configure = to_configure,
	.initialize = to_initialize,
	.push = to_push,
	.run_task = to_run_task,
	.handlers = to_handlers,
};
