/*
 * FromDevice, PollDevice, ToDevice: the chain's ports.
 *
 * ToDevice may be pushed to as well as pull, unlike Click's: a configuration needs no Queue where
 * nothing can be queued.
 */
#include "click.h"

struct device {
	struct click_element element;
	uint32_t number;
	uint64_t *count;
};

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

static int from_configure(struct click_element *element, struct click_args *args)
{
	static const char *const others[] = {"SNIFFER",	 "PROMISC",  "SNAPLEN",	   "FORCE_IP",
					     "METHOD",	 "CAPTURE",  "BPF_FILTER", "OUTBOUND",
					     "HEADROOM", "ENCAP",    "BURST",	   "TIMESTAMP",
					     "ACTIVE",	 "PROTOCOL", NULL};
	struct device *device = (struct device *)element;
	if (configure_device(device, args) < 0)
		return -1;
	ignore_others(args, others);
	if (click_args_end(args) < 0)
		return -1;
	return click_device_receive(element, device->number, args);
}

static int to_configure(struct click_element *element, struct click_args *args)
{
	static const char *const others[] = {"METHOD", "BURST",	 "DEBUG", "UNIQUE",
					     "QUEUE",  "NO_PAD", "Q",	  NULL};
	struct device *device = (struct device *)element;
	if (configure_device(device, args) < 0)
		return -1;
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

static struct click_packet *from_simple(struct click_element *element, struct click_packet *packet)
{
	(void)element;
	return packet;
}

static const struct click_handler to_handlers[] = {
	{.name = "count", .counter = offsetof(struct device, count)}, {NULL}};

const struct click_class click_class_FromDevice = {
	.name = "FromDevice",
	.size = sizeof(struct device),
	.port_count = "0/1",
	.processing = "h",
	.configure = from_configure,
	.simple = from_simple,
};

const struct click_class click_class_PollDevice = {
	.name = "PollDevice",
	.size = sizeof(struct device),
	.port_count = "0/1",
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
