/*
 * Elements that choose an input to pull from: PullSwitch, StaticPullSwitch, RoundRobinSched,
 * PrioSched and StrideSched.
 */
#include <click.h>

#include "elements/out.h"

/* --- PullSwitch([INPUT]), StaticPullSwitch(INPUT) --- */

struct pull_switch {
	struct click_element element;
	int32_t input; /* below zero: nothing is pulled */
};

static int read_input(struct pull_switch *self, unsigned flags, struct click_args *args)
{
	int32_t input = 0;
	click_arg_int(args, "INPUT", CLICK_POSITIONAL | flags, &input);
	if (input >= 0 && (uint32_t)input >= self->element.inputs_count)
		click_args_error(args, "INPUT must be less than %u", self->element.inputs_count);
	if (click_args_end(args) < 0)
		return -1;
	self->input = input;
	return 0;
}

static int pull_switch_configure(struct click_element *element, struct click_args *args)
{
	return read_input((struct pull_switch *)element, 0, args);
}

static int static_pull_switch_configure(struct click_element *element, struct click_args *args)
{
	return read_input((struct pull_switch *)element, CLICK_MANDATORY, args);
}

static int pull_switch_write(struct click_element *element, const char *text,
			     struct click_args *args)
{
	(void)text;
	if (read_input((struct pull_switch *)element, CLICK_MANDATORY, args) < 0)
		return -1;
	/* There may have been something at the other input for long. */
	click_notify(element);
	return 0;
}

static uint32_t pull_switch_read(struct click_element *element, char *out, uint32_t size)
{
	struct click_out to;
	click_out_init(&to, out, size);
	click_out_i64(&to, ((const struct pull_switch *)element)->input);
	return to.len;
}

static struct click_packet *pull_switch_pull(struct click_element *element, unsigned port)
{
	int32_t input = ((const struct pull_switch *)element)->input;
	(void)port;
	return input < 0 ? NULL : click_pull(element, (unsigned)input);
}

static const struct click_handler pull_switch_handlers[] = {
	{.name = "switch", .read = pull_switch_read, .write = pull_switch_write},
	{.name = NULL},
};

const struct click_class click_class_PullSwitch = {
	.name = "PullSwitch",
	.size = sizeof(struct pull_switch),
	.port_count = "-/1",
	.processing = "l/l",
	.configure = pull_switch_configure,
	.pull = pull_switch_pull,
	.handlers = pull_switch_handlers,
};

const struct click_class click_class_StaticPullSwitch = {
	.name = "StaticPullSwitch",
	.size = sizeof(struct pull_switch),
	.port_count = "-/1",
	.processing = "l/l",
	.configure = static_pull_switch_configure,
	.pull = pull_switch_pull,
};

/* --- RoundRobinSched, PrioSched --- */

struct round_robin {
	struct click_element element;
	uint32_t next;
};

static int no_arguments(struct click_element *element, struct click_args *args)
{
	(void)element;
	return click_args_end(args);
}

static struct click_packet *round_robin_pull(struct click_element *element, unsigned port)
{
	struct round_robin *self = (struct round_robin *)element;
	(void)port;
	uint32_t input = self->next;
	for (uint32_t tried = 0; tried < element->inputs_count; tried++) {
		struct click_packet *packet = click_pull(element, input);
		input = input + 1 < element->inputs_count ? input + 1 : 0;
		if (packet) {
			self->next = input;
			return packet;
		}
	}
	return NULL;
}

const struct click_class click_class_RoundRobinSched = {
	.name = "RoundRobinSched",
	.size = sizeof(struct round_robin),
	.port_count = "-/1",
	.processing = "l/l",
	.configure = no_arguments,
	.pull = round_robin_pull,
};

static struct click_packet *prio_pull(struct click_element *element, unsigned port)
{
	(void)port;
	for (uint32_t input = 0; input < element->inputs_count; input++) {
		struct click_packet *packet = click_pull(element, input);
		if (packet)
			return packet;
	}
	return NULL;
}

const struct click_class click_class_PrioSched = {
	.name = "PrioSched",
	.size = sizeof(struct click_element),
	.port_count = "-/1",
	.processing = "l/l",
	.configure = no_arguments,
	.pull = prio_pull,
};
