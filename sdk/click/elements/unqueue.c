/*
 * Unqueue: pulls packets and pushes them, as long as there are some.
 */
#include "click.h"

struct unqueue {
	struct click_element element;
	int32_t burst, limit; /* below zero: without end */
	bool is_active;
	uint64_t *count;
};

static int configure(struct click_element *element, struct click_args *args)
{
	struct unqueue *unqueue = (struct unqueue *)element;
	unqueue->burst = 1;
	unqueue->limit = -1;
	unqueue->is_active = true;
	click_arg_int(args, "BURST", CLICK_POSITIONAL, &unqueue->burst);
	click_arg_int(args, "LIMIT", 0, &unqueue->limit);
	click_arg_bool(args, "ACTIVE", 0, &unqueue->is_active);
	/* Zero or less: as many as there are. */
	if (unqueue->burst <= 0 || unqueue->burst > 1024)
		unqueue->burst = 1024;
	return click_args_end(args);
}

static int initialize(struct click_element *element, struct click_args *args)
{
	(void)args;
	if (((struct unqueue *)element)->is_active)
		click_task_schedule(element);
	return 0;
}

static bool run_task(struct click_element *element)
{
	struct unqueue *unqueue = (struct unqueue *)element;
	int32_t done = 0;
	while (unqueue->is_active && done < unqueue->burst &&
	       (unqueue->limit < 0 || *unqueue->count < (uint64_t)unqueue->limit)) {
		struct click_packet *packet = click_pull(element, 0);
		if (packet == NULL)
			break;
		(*unqueue->count)++;
		done++;
		click_push(element, 0, packet);
	}
	return done > 0;
}

static int reset(struct click_element *element, const char *text, struct click_args *args)
{
	(void)text;
	(void)args;
	*((struct unqueue *)element)->count = 0;
	return initialize(element, args);
}

static uint32_t read_active(struct click_element *element, char *out, uint32_t size)
{
	const char *text = ((struct unqueue *)element)->is_active ? "true" : "false";
	uint32_t len = 0;
	for (; text[len] != '\0' && len < size; len++)
		out[len] = text[len];
	return len;
}

static int write_active(struct click_element *element, const char *text, struct click_args *args)
{
	struct unqueue *unqueue = (struct unqueue *)element;
	(void)text;
	click_arg_bool(args, "active", CLICK_POSITIONAL | CLICK_MANDATORY, &unqueue->is_active);
	if (click_args_end(args) < 0)
		return -1;
	return initialize(element, args);
}

static const struct click_handler handlers[] = {
	{.name = "count", .counter = offsetof(struct unqueue, count)},
	{.name = "reset", .write = reset},
	{.name = "active", .read = read_active, .write = write_active},
	{NULL},
};

const struct click_class click_class_Unqueue = {
	.name = "Unqueue",
	.size = sizeof(struct unqueue),
	.port_count = "1/1",
	.processing = "l/h",
	.configure = configure,
	.initialize = initialize,
	.run_task = run_task,
	.handlers = handlers,
};
