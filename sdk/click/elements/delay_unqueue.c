/*
 * DelayUnqueue(DELAY): pulls packets, and pushes each no earlier than DELAY after its timestamp
 * annotation; then that is DELAY later. DelayShaper(DELAY) lets each be pulled then, and its
 * annotation is that time.
 *
 * One packet is held; those behind it wait in the queue upstream. A packet without a timestamp is
 * taken as having come when it was pulled, and so is one from the future: nothing waits longer
 * than DELAY here.
 */
#include <click.h>

#include "elements/out.h"

/* A year: times added to it do not overflow. */
#define DELAY_MAX_NS (366ull * 86400 * 1000000000)

struct delay_unqueue {
	struct click_element element;
	uint64_t delay_ns;
	struct click_packet *held; /* or NULL */
	uint64_t due_ns;	   /* of HELD, by click_now_ns() */
};

static int configure(struct click_element *element, struct click_args *args)
{
	uint64_t delay_ns = 0;
	click_arg_duration_ns(args, "DELAY", CLICK_POSITIONAL | CLICK_MANDATORY, &delay_ns);
	if (delay_ns > DELAY_MAX_NS)
		click_args_error(args, "DELAY is too long");
	if (click_args_end(args) < 0)
		return -1;
	((struct delay_unqueue *)element)->delay_ns = delay_ns;
	return 0;
}

static int initialize(struct click_element *element, struct click_args *args)
{
	(void)args;
	click_task_schedule(element);
	return 0;
}

/* The packet that is due, or NULL, and if there is one to wait for the timer is set. */
static struct click_packet *take(struct delay_unqueue *self)
{
	uint64_t now_ns = click_now_ns(), wall_ns = click_wall_ns();
	if (!self->held) {
		self->held = click_pull(&self->element, 0);
		if (!self->held)
			return NULL;
		uint64_t since_ns = self->held->time_ns;
		if (!since_ns || since_ns > wall_ns)
			since_ns = wall_ns;
		uint64_t age_ns = wall_ns - since_ns;
		self->due_ns = now_ns;
		if (age_ns < self->delay_ns)
			self->due_ns += self->delay_ns - age_ns;
		self->held->time_ns = since_ns + self->delay_ns;
	}
	if (now_ns < self->due_ns) {
		click_timer_set(&self->element, self->due_ns);
		return NULL;
	}
	struct click_packet *packet = self->held;
	self->held = NULL;
	return packet;
}

static bool run_task(struct click_element *element)
{
	struct click_packet *packet = take((struct delay_unqueue *)element);
	if (!packet)
		return false;
	click_push(element, 0, packet);
	return true;
}

static void run_timer(struct click_element *element)
{
	click_task_schedule(element);
}

static uint32_t read_delay(struct click_element *element, char *out, uint32_t size)
{
	struct click_out to;
	click_out_init(&to, out, size);
	click_out_seconds(&to, ((const struct delay_unqueue *)element)->delay_ns);
	return to.len;
}

/* For the packets that are pulled from now on. */
static int write_delay(struct click_element *element, const char *text, struct click_args *args)
{
	(void)text;
	return configure(element, args);
}

static const struct click_handler handlers[] = {
	{.name = "delay", .read = read_delay, .write = write_delay},
	{.name = NULL},
};

const struct click_class click_class_DelayUnqueue = {
	.name = "DelayUnqueue",
	.size = sizeof(struct delay_unqueue),
	.port_count = "1/1",
	.processing = "l/h",
	.configure = configure,
	.initialize = initialize,
	.run_task = run_task,
	.run_timer = run_timer,
	.handlers = handlers,
};

/* --- DelayShaper --- */

static struct click_packet *shaper_pull(struct click_element *element, unsigned port)
{
	struct click_packet *packet = take((struct delay_unqueue *)element);
	(void)port;
	if (packet)
		packet->time_ns = click_wall_ns();
	return packet;
}

static void shaper_run_timer(struct click_element *element)
{
	click_notify(element);
}

const struct click_class click_class_DelayShaper = {
	.name = "DelayShaper",
	.size = sizeof(struct delay_unqueue),
	.port_count = "1/1",
	.processing = "l/l",
	.configure = configure,
	.pull = shaper_pull,
	.run_timer = shaper_run_timer,
	.handlers = handlers,
};
