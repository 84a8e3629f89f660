/*
 * Unqueue: pulls packets and pushes them, as long as there are some.
 */
#include "click.h"
#include "elements/out.h"

#define BURST_MAX 1024 /* in one run */

struct unqueue {
	struct click_element element;
	int32_t burst, limit; /* below zero: without end; a burst of 0 takes nothing */
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
	int32_t done = 0, burst = unqueue->burst;
	if (burst < 0 || burst > BURST_MAX)
		burst = BURST_MAX;
	while (unqueue->is_active && done < burst &&
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
	struct click_out to;
	click_out_init(&to, out, size);
	click_out_add(&to, ((const struct unqueue *)element)->is_active ? "true" : "false");
	return to.len;
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

static uint32_t read_int(int32_t value, char *out, uint32_t size)
{
	struct click_out to;
	click_out_init(&to, out, size);
	click_out_i64(&to, value);
	return to.len;
}

static uint32_t read_burst(struct click_element *element, char *out, uint32_t size)
{
	return read_int(((const struct unqueue *)element)->burst, out, size);
}

static uint32_t read_limit(struct click_element *element, char *out, uint32_t size)
{
	return read_int(((const struct unqueue *)element)->limit, out, size);
}

static int write_int(struct click_element *element, const char *key, int32_t *ret,
		     struct click_args *args)
{
	int32_t value = 0;
	click_arg_int(args, key, CLICK_POSITIONAL | CLICK_MANDATORY, &value);
	if (click_args_end(args) < 0)
		return -1;
	*ret = value;
	return initialize(element, args);
}

static int write_burst(struct click_element *element, const char *text, struct click_args *args)
{
	(void)text;
	return write_int(element, "burst", &((struct unqueue *)element)->burst, args);
}

static int write_limit(struct click_element *element, const char *text, struct click_args *args)
{
	(void)text;
	return write_int(element, "limit", &((struct unqueue *)element)->limit, args);
}

static const struct click_handler handlers[] = {
	{.name = "count", .counter = offsetof(struct unqueue, count)},
	{.name = "reset", .write = reset},
	{.name = "reset_counts", .write = reset},
	{.name = "burst", .read = read_burst, .write = write_burst},
	{.name = "limit", .read = read_limit, .write = write_limit},
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
