/*
 * RatedUnqueue(RATE), BandwidthRatedUnqueue(RATE): pull packets at RATE and push them. A token
 * bucket; see rate.h for the other arguments.
 *
 * A packet's length is known when it was pulled: a BandwidthRatedUnqueue pulls while there is a
 * token, and may owe the rest.
 *
 * The task runs while there are packets and tokens. Without tokens a timer wakes it, without
 * packets a notification from upstream does.
 */
#include <click.h>

#include "elements/out.h"
#include "elements/rate.h"

struct rated_unqueue {
	struct click_element element;
	struct click_rate rate;
	bool is_active;
	uint64_t *pushes, failed_pulls;
};

static int configure_as(struct rated_unqueue *self, bool is_bandwidth, struct click_args *args)
{
	self->rate.is_bandwidth = is_bandwidth;
	self->is_active = true;
	click_arg_bool(args, "ACTIVE", 0, &self->is_active);
	return click_rate_configure(&self->rate, args);
}

static int rated_configure(struct click_element *element, struct click_args *args)
{
	return configure_as((struct rated_unqueue *)element, false, args);
}

static int bandwidth_configure(struct click_element *element, struct click_args *args)
{
	return configure_as((struct rated_unqueue *)element, true, args);
}

static int initialize(struct click_element *element, struct click_args *args)
{
	(void)args;
	click_task_schedule(element);
	return 0;
}

static bool run_task(struct click_element *element)
{
	struct rated_unqueue *self = (struct rated_unqueue *)element;
	if (!self->is_active || self->rate.bucket.rate == 0)
		return false;
	uint64_t now_ns = click_now_ns();
	if (!click_bucket_has(&self->rate.bucket, 1, now_ns)) {
		click_timer_set(element, now_ns + click_bucket_wait_ns(&self->rate.bucket, 1));
		return false;
	}
	struct click_packet *packet = click_pull(element, 0);
	if (!packet) {
		self->failed_pulls++;
		return false;
	}
	click_bucket_owe(&self->rate.bucket, self->rate.is_bandwidth ? packet->len : 1);
	(*self->pushes)++;
	click_push(element, 0, packet);
	return true;
}

static void run_timer(struct click_element *element)
{
	click_task_schedule(element);
}

static uint32_t read_rate(struct click_element *element, char *out, uint32_t size)
{
	return click_out_number(out, size,
				((const struct rated_unqueue *)element)->rate.bucket.rate);
}

static int write_rate(struct click_element *element, const char *text, struct click_args *args)
{
	struct rated_unqueue *self = (struct rated_unqueue *)element;
	(void)text;
	if (click_rate_change(&self->rate, args) < 0)
		return -1;
	click_task_schedule(element);
	return 0;
}

static uint32_t read_active(struct click_element *element, char *out, uint32_t size)
{
	struct click_out to;
	click_out_init(&to, out, size);
	click_out_add(&to, ((const struct rated_unqueue *)element)->is_active ? "true" : "false");
	return to.len;
}

static int write_active(struct click_element *element, const char *text, struct click_args *args)
{
	bool is_active = true;
	(void)text;
	click_arg_bool(args, "ACTIVE", CLICK_POSITIONAL | CLICK_MANDATORY, &is_active);
	if (click_args_end(args) < 0)
		return -1;
	((struct rated_unqueue *)element)->is_active = is_active;
	click_task_schedule(element);
	return 0;
}

static uint32_t read_calls(struct click_element *element, char *out, uint32_t size)
{
	const struct rated_unqueue *self = (const struct rated_unqueue *)element;
	struct click_out to;
	click_out_init(&to, out, size);
	click_out_u64(&to, *self->pushes);
	click_out_add(&to, " pushes, ");
	click_out_u64(&to, self->failed_pulls);
	click_out_add(&to, " failed pulls");
	return to.len;
}

static const struct click_handler handlers[] = {
	{.name = "rate", .read = read_rate, .write = write_rate},
	{.name = "active", .read = read_active, .write = write_active},
	{.name = "calls", .read = read_calls},
	{.name = "pushes", .counter = offsetof(struct rated_unqueue, pushes)},
	{.name = NULL},
};

const struct click_class click_class_RatedUnqueue = {
	.name = "RatedUnqueue",
	.size = sizeof(struct rated_unqueue),
	.port_count = "1/1",
	.processing = "l/h",
	.configure = rated_configure,
	.initialize = initialize,
	.run_task = run_task,
	.run_timer = run_timer,
	.handlers = handlers,
};

const struct click_class click_class_BandwidthRatedUnqueue = {
	.name = "BandwidthRatedUnqueue",
	.size = sizeof(struct rated_unqueue),
	.port_count = "1/1",
	.processing = "l/h",
	.configure = bandwidth_configure,
	.initialize = initialize,
	.run_task = run_task,
	.run_timer = run_timer,
	.handlers = handlers,
};
