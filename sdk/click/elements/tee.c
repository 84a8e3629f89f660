/*
 * Tee, PullTee: a copy for each output. The last one gets the packet itself.
 */
#include "click.h"

static int configure(struct click_element *element, struct click_args *args)
{
	uint32_t count = element->outputs_count;
	click_arg_u32(args, "N", CLICK_POSITIONAL, &count);
	if (click_args_end(args) < 0)
		return -1;
	if (count != element->outputs_count) {
		click_args_error(args, "N is %u, but %u outputs are connected", count,
				 element->outputs_count);
		return -1;
	}
	return 0;
}

static void tee_push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	uint32_t last = element->outputs_count - 1;
	(void)port;
	for (uint32_t i = 0; i < last; i++)
		click_push(element, i, click_packet_clone(element->router, packet));
	click_push(element, last, packet);
}

static struct click_packet *pull_tee_pull(struct click_element *element, unsigned port)
{
	struct click_packet *packet = click_pull(element, 0);
	(void)port;
	for (uint32_t i = 1; packet != NULL && i < element->outputs_count; i++)
		click_push(element, i, click_packet_clone(element->router, packet));
	return packet;
}

const struct click_class click_class_Tee = {
	.name = "Tee",
	.size = sizeof(struct click_element),
	.port_count = "1/1-",
	.processing = "h/h",
	.configure = configure,
	.push = tee_push,
};

const struct click_class click_class_PullTee = {
	.name = "PullTee",
	.size = sizeof(struct click_element),
	.port_count = "1/1-",
	.processing = "l/lh",
	.configure = configure,
	.pull = pull_tee_pull,
};
