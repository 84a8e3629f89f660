/*
 * Null, Idle, Discard: what does nothing, comes from nowhere, and goes nowhere. So does what is
 * for a ToHost or a ToHostSniffers: behind a function there is no host.
 */
#include "click.h"
#include "elements/out.h"

#define BURST_MAX 1024u /* in one run */

struct discard {
	struct click_element element;
	bool is_active;
	uint32_t burst;
	uint64_t *count;
};

static struct click_packet *null_simple(struct click_element *element, struct click_packet *packet)
{
	(void)element;
	return packet;
}

static void idle_push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	(void)port;
	click_kill(element, packet);
}

static struct click_packet *idle_pull(struct click_element *element, unsigned port)
{
	(void)element;
	(void)port;
	return NULL;
}

static int discard_configure(struct click_element *element, struct click_args *args)
{
	struct discard *discard = (struct discard *)element;
	discard->is_active = true;
	discard->burst = 1;
	click_arg_bool(args, "ACTIVE", 0, &discard->is_active);
	click_arg_u32(args, "BURST", 0, &discard->burst);
	/* Zero: as many as there are. */
	if (discard->burst == 0 || discard->burst > BURST_MAX)
		discard->burst = BURST_MAX;
	if (!discard->is_active && !element->more->input_is_pull[0])
		click_args_error(args, "ACTIVE is for a Discard that pulls");
	return click_args_end(args);
}

static int discard_initialize(struct click_element *element, struct click_args *args)
{
	(void)args;
	if (element->more->input_is_pull[0] && ((struct discard *)element)->is_active)
		click_task_schedule(element);
	return 0;
}

static void discard_push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	(void)port;
	(*((struct discard *)element)->count)++;
	click_kill(element, packet);
}

static bool discard_run_task(struct click_element *element)
{
	struct discard *discard = (struct discard *)element;
	uint32_t done = 0;
	while (discard->is_active && done < discard->burst) {
		struct click_packet *packet = click_pull(element, 0);
		if (packet == NULL)
			break;
		discard_push(element, 0, packet);
		done++;
	}
	return done > 0;
}

static int discard_reset(struct click_element *element, const char *text, struct click_args *args)
{
	(void)text;
	(void)args;
	*((struct discard *)element)->count = 0;
	return 0;
}

static int write_active(struct click_element *element, const char *text, struct click_args *args)
{
	struct discard *discard = (struct discard *)element;
	(void)text;
	click_arg_bool(args, "active", CLICK_POSITIONAL | CLICK_MANDATORY, &discard->is_active);
	if (click_args_end(args) < 0)
		return -1;
	if (element->more->input_is_pull[0] && discard->is_active)
		click_task_schedule(element);
	return 0;
}

static uint32_t read_active(struct click_element *element, char *out, uint32_t size)
{
	struct click_out to;
	click_out_init(&to, out, size);
	click_out_add(&to, ((const struct discard *)element)->is_active ? "true" : "false");
	return to.len;
}

static const struct click_handler discard_handlers[] = {
	{.name = "count", .counter = offsetof(struct discard, count)},
	{.name = "reset_counts", .write = discard_reset},
	{.name = "active", .read = read_active, .write = write_active},
	{NULL},
};

const struct click_class click_class_Null = {
	.name = "Null",
	.size = sizeof(struct click_element),
	.port_count = "1/1",
	.processing = "a",
	.simple = null_simple,
};

const struct click_class click_class_Idle = {
	.name = "Idle",
	.size = sizeof(struct click_element),
	.port_count = "-/-",
	.processing = "a",
	.flow_code = "x/y",
	.push = idle_push,
	.pull = idle_pull,
};

const struct click_class click_class_Discard = {
	.name = "Discard",
	.size = sizeof(struct discard),
	.port_count = "1/0",
	.processing = "a",
	.configure = discard_configure,
	.initialize = discard_initialize,
	.push = discard_push,
	.run_task = discard_run_task,
	.handlers = discard_handlers,
};

/* --- ToHost([DEVNAME]), ToHostSniffers([DEVNAME]) --- */

struct to_host {
	struct click_element element;
	uint64_t *drops;
};

static int to_host_configure(struct click_element *element, struct click_args *args)
{
	const char *ignored = NULL;
	bool sniffers = false, may_be_missing = false;
	(void)element;
	click_arg_text(args, "DEVNAME", CLICK_POSITIONAL, &ignored);
	click_arg_text(args, "TYPE", 0, &ignored);
	click_arg_bool(args, "SNIFFERS", 0, &sniffers);
	click_arg_bool(args, "ALLOW_NONEXISTENT", 0, &may_be_missing);
	return click_args_end(args);
}

static void to_host_push(struct click_element *element, unsigned port, struct click_packet *packet)
{
	(void)port;
	(*((struct to_host *)element)->drops)++;
	click_kill(element, packet);
}

static const struct click_handler to_host_handlers[] = {
	{.name = "drops", .counter = offsetof(struct to_host, drops)},
	{NULL},
};

#define TO_HOST(NAME)                                                                              \
	const struct click_class click_class_##NAME = {                                            \
		.name = #NAME,                                                                     \
		.size = sizeof(struct to_host),                                                    \
		.port_count = "1/0",                                                               \
		.processing = "h",                                                                 \
		.configure = to_host_configure,                                                    \
		.push = to_host_push,                                                              \
		.handlers = to_host_handlers,                                                      \
	}

TO_HOST(ToHost);
TO_HOST(ToHostSniffers);
